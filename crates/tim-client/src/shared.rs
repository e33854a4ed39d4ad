//! What the handles and the client's task share.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tim_proto::capability::Capabilities;
use tim_proto::limits::Limits;
use tim_proto::{
    ClientSequence, ConversationId, ErrorCode, GroupId, GroupType, MessageId, MessageRandom, UserId,
};
use tim_transport_std::session::ClientConfig;
use tokio::sync::watch;

use crate::Message;
use crate::builder::random;
use crate::bus::Bus;
use crate::client::unix_millis;
use crate::handlers::Handlers;
use crate::message::{Instance, Kept};

/// The most of a stub that is asked for at a time, in bytes.
const MAX_FETCH_PIECE: u32 = 16 * 1024;
/// What a frame with a piece of a stub has besides, at the most.
const FETCH_OVERHEAD: u32 = 32;

/// What the handles and the client's task share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) user: UserId,
    pub(crate) device: u64,
    pub(crate) limits: Limits,
    pub(crate) capabilities: Capabilities,
    /// How much of a stub to ask for at a time, so that it fits into a frame.
    pub(crate) fetch_piece: u32,
    /// The account number, 0 before the first login.
    pub(crate) account: AtomicU64,
    ids: Mutex<Ids>,
    /// What is unread in all conversations that count.
    pub(crate) total_unread: AtomicU64,
    pub(crate) status: watch::Sender<ClientStatus>,
    pub(crate) bus: Arc<Bus>,
    pub(crate) handlers: Handlers,
    instances: Mutex<Instances>,
    /// AVChatRooms that were seen: they take no online-only messages.
    live_rooms: Mutex<HashSet<GroupId>>,
}

/// How many AVChatRooms are remembered as such. In more of them the hub has to say what they do not take.
const MAX_LIVE_ROOMS: usize = 4096;

/// Where the client stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClientStatus {
    pub(crate) stage: Stage,
    pub(crate) ready: bool,
    /// The client waits for the application to read its events.
    pub(crate) stalled: bool,
}

/// How far the client's login has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// There was no login.
    New,
    /// The first answer of the hub is due.
    LoggingIn,
    /// Logged in, or getting back in by itself.
    LoggedIn,
    /// Not any more, and why.
    Ended(ErrorCode),
}

impl ClientStatus {
    pub(crate) const NEW: Self = Self {
        stage: Stage::New,
        ready: false,
        stalled: false,
    };

    /// Why nothing can be asked for now.
    pub(crate) const fn refusal(self) -> ErrorCode {
        match self.stage {
            Stage::New => ErrorCode::USER_NOT_LOGGED_IN,
            Stage::LoggingIn => ErrorCode::LOGGING_IN,
            Stage::LoggedIn => ErrorCode::SDK_IS_NOT_READY,
            Stage::Ended(code) => code,
        }
    }
}

impl Shared {
    pub(crate) fn new(config: &ClientConfig, limits: Limits, capabilities: Capabilities, bus: Bus) -> Self {
        Self {
            user: config.user,
            device: config.device,
            fetch_piece: config
                .max_frame
                .saturating_sub(FETCH_OVERHEAD)
                .clamp(1, MAX_FETCH_PIECE),
            limits,
            capabilities,
            account: AtomicU64::new(0),
            ids: Mutex::new(Ids {
                random: MessageRandom::new(random()),
                sequence: ClientSequence::at(unix_millis() / 1000),
            }),
            total_unread: AtomicU64::new(0),
            status: watch::Sender::new(ClientStatus::NEW),
            bus: Arc::new(bus),
            handlers: Handlers::default(),
            instances: Mutex::default(),
            live_rooms: Mutex::default(),
        }
    }

    pub(crate) fn account(&self) -> u64 {
        self.account.load(Ordering::Relaxed)
    }

    /// The hub has let the client in.
    pub(crate) fn logged_in(&self, account: u64, hub_time_ms: u64) {
        self.account.store(account, Ordering::Relaxed);
        self.ids().random.logged_in(self.device, hub_time_ms);
    }

    /// The random number of a new id.
    pub(crate) fn draw_random(&self) -> u32 {
        self.ids().random.draw()
    }

    /// The number of a new message (`clientSequence`).
    pub(crate) fn draw_sequence(&self) -> u32 {
        self.ids().sequence.draw()
    }

    fn ids(&self) -> MutexGuard<'_, Ids> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn status(&self) -> ClientStatus {
        *self.status.borrow()
    }

    pub(crate) fn set_status(&self, change: impl FnOnce(&mut ClientStatus)) {
        self.status.send_if_modified(|status| {
            let before = *status;
            change(status);
            *status != before
        });
    }

    /// Remembers of which type a group is.
    pub(crate) fn note_group(&self, group: GroupId, group_type: GroupType) {
        let mut rooms = self.live_rooms.lock().unwrap_or_else(PoisonError::into_inner);
        if group_type == GroupType::AV_CHAT_ROOM && rooms.len() < MAX_LIVE_ROOMS {
            rooms.insert(group);
        }
    }

    /// Whether a conversation is known to be that of an AVChatRoom.
    pub(crate) fn is_live_room(&self, conversation: &ConversationId) -> bool {
        let rooms = self.live_rooms.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(conversation, ConversationId::Group(group) if rooms.contains(group))
    }

    /// The instance of what the hub shows: the one that the application holds already, brought up to date, or a new one.
    pub(crate) fn instance(&self, view: &tim_proto::Message<'_>) -> Message {
        let key = (view.conversation_of(&self.user), *view.sender(), view.id);
        let mut instances = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(message) = instances.get(&key)
            && !message.is_another(view)
        {
            message.update(view);
            return message;
        }
        let message = Message::stored(view, &self.user);
        instances.insert(key, &message);
        message
    }

    /// The instance with this sender and id, if the application holds one.
    pub(crate) fn known(&self, conversation: ConversationId, from: UserId, id: MessageId) -> Option<Message> {
        self.instances
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&(conversation, from, id))
    }

    /// Remembers an instance that was made here.
    pub(crate) fn remember(&self, message: &Message) {
        self.instances
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key_of(message), message);
    }

    /// The instance of what the application has kept: the one that it still holds, or a new one.
    pub(crate) fn restore(&self, view: &tim_proto::Message<'_>, kept: Kept) -> Message {
        let key = (view.conversation_of(&self.user), *view.sender(), view.id);
        let mut instances = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(message) = instances.get(&key) {
            return message;
        }
        let message = Message::restored(view, &self.user, kept);
        instances.insert(key, &message);
        message
    }

    /// Gives a message another id, after the hub has refused the one that it has.
    pub(crate) fn renew_id(&self, message: &Message) {
        let mut instances = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
        let old = key_of(message);
        // The id may belong to another instance by now: to that of the message that the hub has under it.
        if instances.get(&old).is_some_and(|known| known.is_same(message)) {
            instances.known.remove(&old);
        }
        message.set_id(message.id().successor(message.view().envelope.origin));
        instances.insert(key_of(message), message);
    }
}

/// What new messages are numbered with.
#[derive(Debug)]
struct Ids {
    random: MessageRandom,
    sequence: ClientSequence,
}

/// What tells messages apart. The sender belongs to it: an id is only as good as whoever made it up.
type InstanceKey = (ConversationId, UserId, MessageId);

fn key_of(message: &Message) -> InstanceKey {
    (message.conversation_id(), message.sender(), message.id())
}

/// The message instances that the application holds, by what they are instances of; as many as it holds, no more.
#[derive(Default)]
struct Instances {
    known: HashMap<InstanceKey, Weak<Instance>>,
    sweep_at: usize,
}

impl std::fmt::Debug for Instances {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instances")
            .field("known", &self.known.len())
            .finish_non_exhaustive()
    }
}

impl Instances {
    const FIRST_SWEEP: usize = 1024;

    fn get(&self, key: &InstanceKey) -> Option<Message> {
        self.known.get(key).and_then(Weak::upgrade).map(Message)
    }

    fn insert(&mut self, key: InstanceKey, message: &Message) {
        if key.2 == MessageId::default() {
            return; // the hub's own words may have no id
        }
        if self.known.len() >= self.sweep_at.max(Self::FIRST_SWEEP) {
            self.known.retain(|_, instance| instance.strong_count() > 0);
            self.sweep_at = self.known.len().saturating_mul(2);
        }
        self.known.insert(key, Arc::downgrade(&message.0));
    }
}
