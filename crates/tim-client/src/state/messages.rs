//! The message instances that the application holds: the hub's view of a message goes to the same instance each time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tim_proto::message::Header;
use tim_proto::planted::{self, Fault};
use tim_proto::{ConversationId, MessageId, UserId};

use crate::Message;
use crate::message::{Instance, Persisted};

/// The registry of message instances, shared by the client's task and its handles. It holds as many as the application
/// does, and does not keep them alive.
pub(crate) struct Messages {
    user: UserId,
    instances: Mutex<Instances>,
}

impl Messages {
    pub(crate) fn new(user: UserId) -> Self {
        Self {
            user,
            instances: Mutex::default(),
        }
    }

    /// The instance of a message of the hub: the one that the application holds, brought up to date, or a new one.
    pub(crate) fn instance(&self, header: &Header<'_>) -> Message {
        let key = self.key(header);
        let mut instances = self.lock();
        if let Some(message) = instances.get(&key)
            && !message.is_another(header)
        {
            message.update(header);
            return message;
        }
        let message = Message::stored(header, &self.user);
        instances.insert(key, &message);
        message
    }

    /// The instance with this sender and id, if the application holds one.
    pub(crate) fn known(
        &self,
        conversation: ConversationId,
        sender: UserId,
        id: MessageId,
    ) -> Option<Message> {
        self.lock().get(&(conversation, sender, id))
    }

    /// Registers an instance that was created here.
    pub(crate) fn register(&self, message: &Message) {
        self.lock().insert(key_of(message), message);
    }

    /// The instance of a message that the application has persisted: the one that it still holds, or a new one.
    pub(crate) fn restore(&self, header: &Header<'_>, persisted: Persisted) -> Message {
        let key = self.key(header);
        let mut instances = self.lock();
        if let Some(message) = instances.get(&key) {
            return message;
        }
        let message = Message::restored(header, &self.user, persisted);
        instances.insert(key, &message);
        message
    }

    /// The hub's store was restored from an older state. What was revoked in the history that is lost may come again as it was: as an
    /// instance of its own, because the application's stays revoked.
    pub(crate) fn rewind(&self) {
        self.lock().known.retain(|_, instance| {
            instance
                .upgrade()
                .is_some_and(|known| !Message(known).is_revoked())
        });
    }

    /// Gives a message another id, after the hub has refused the one that it has.
    pub(crate) fn renew_id(&self, message: &Message) {
        let mut instances = self.lock();
        let old = key_of(message);
        // The id may belong to another instance by now: that of the message that the hub has under it.
        if instances.get(&old).is_some_and(|known| known.is_same(message)) {
            instances.known.remove(&old);
        }
        if !planted::is(Fault::IdsDrawnAgain) {
            message.set_id(message.id().successor(message.view().envelope.origin));
        }
        instances.insert(key_of(message), message);
    }

    fn key(&self, header: &Header<'_>) -> InstanceKey {
        (
            header.conversation_of(&self.user),
            *header.sender(),
            header.content.id,
        )
    }

    fn lock(&self) -> MutexGuard<'_, Instances> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Messages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Messages")
            .field("known", &self.lock().known.len())
            .finish_non_exhaustive()
    }
}

/// What identifies a message. The sender is part of it: an id is only as trustworthy as the client that made it up.
type InstanceKey = (ConversationId, UserId, MessageId);

fn key_of(message: &Message) -> InstanceKey {
    (message.conversation_id(), message.sender(), message.id())
}

#[derive(Default)]
struct Instances {
    known: HashMap<InstanceKey, Weak<Instance>>,
    sweep_at: usize,
}

impl Instances {
    const FIRST_SWEEP: usize = 1024;

    fn get(&self, key: &InstanceKey) -> Option<Message> {
        self.known.get(key).and_then(Weak::upgrade).map(Message)
    }

    fn insert(&mut self, key: InstanceKey, message: &Message) {
        if key.2 == MessageId::default() {
            return; // notices of the hub may have no id
        }
        if self.known.len() >= self.sweep_at.max(Self::FIRST_SWEEP) {
            self.known.retain(|_, instance| instance.strong_count() > 0);
            self.sweep_at = self.known.len().saturating_mul(2);
        }
        self.known.insert(key, Arc::downgrade(&message.0));
    }
}
