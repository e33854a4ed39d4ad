//! What a message instance consists of, and how the hub changes it.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tim_proto::message::{Content, Encoded, Header, MessageFlags, RevokedBy, tags, to_vec};
use tim_proto::wire::Extensions;
use tim_proto::{ConversationId, MessageId, Priority, UserId};

use super::{Flow, Message, Status};
use crate::files::Attachment;
use crate::{ImError, SendOptions};

/// Encoded messages that never change, and the few fields that do. A message is encoded once: when it is created, or by
/// its sender; a received one keeps the bytes of its payload as they came.
pub(crate) struct Instance {
    /// The user whose client holds it.
    pub(super) owner: UserId,
    pub(super) conversation: ConversationId,
    pub(super) flow: Flow,
    /// Created by this client.
    pub(super) created_here: bool,
    /// Whether it has content to send.
    pub(super) has_content: bool,
    pub(super) encoded: Encoded<Vec<u8>>,
    /// The file that is uploaded when the message is sent.
    attachment: Option<Attachment>,
    /// The message with what the hub has made of its file.
    uploaded: OnceLock<Box<Uploaded>>,
    /// The complete message, if `encoded` is a stub whose payload was fetched, or if it was created here and the hub has
    /// added names.
    completed: OnceLock<Encoded<Vec<u8>>>,
    /// What remains since it was revoked, with the hub's account of the revocation.
    revoked: OnceLock<Encoded<Vec<u8>>>,
    state: Mutex<State>,
}

/// A message with what the hub has made of its file. If the hub has forgotten that before the message was sent, the file is uploaded
/// again, and there is a later version.
struct Uploaded {
    encoded: Encoded<Vec<u8>>,
    later: OnceLock<Box<Self>>,
}

impl Uploaded {
    fn last(&self) -> &Self {
        let mut last = self;
        while let Some(later) = last.later.get() {
            last = later;
        }
        last
    }
}

pub(super) struct State {
    /// Another one than in the bytes once the hub has refused that one.
    pub(super) id: MessageId,
    pub(super) sequence: u64,
    pub(super) time: u64,
    pub(super) flags: MessageFlags,
    pub(super) priority: Priority,
    pub(super) status: Status,
    pub(super) sending: bool,
    /// Why sending it has failed for the moment.
    pub(super) refusal: Option<Box<ImError>>,
    pub(super) resend: bool,
    /// It was restored from bytes, so the outcome of sending it may be unknown.
    pub(super) restored: bool,
    /// It was revoked when it was persisted, and this client has not heard so.
    pub(super) revoked_before: bool,
    /// How many calls are revoking it.
    pub(super) revoking: u32,
    /// This device's revocation of it was delivered.
    pub(super) own_revocation_arrived: bool,
    /// A call has returned that it is revoked.
    pub(super) told_by_call: bool,
    pub(super) options: SendOptions,
}

/// What is persisted of an instance besides the message itself.
pub(crate) struct Persisted {
    pub(crate) created_here: bool,
    pub(crate) status: Status,
    pub(crate) resend: bool,
    pub(crate) options: SendOptions,
    pub(crate) attachment: Option<Attachment>,
}

impl Message {
    /// An instance of a message that was created here.
    pub(crate) fn created(message: &tim_proto::Message<'_>, attachment: Option<Attachment>) -> Self {
        let has_content = message.payload.has_content();
        Self::new(
            message.to_encoded(),
            message.sender(),
            true,
            has_content,
            attachment,
        )
    }

    /// An instance of a message of the hub.
    pub(crate) fn stored(header: &Header<'_>, me: &UserId) -> Self {
        Self::new(header.to_encoded(), me, false, false, None)
    }

    /// An instance of a message that the application has persisted.
    pub(crate) fn restored(header: &Header<'_>, me: &UserId, persisted: Persisted) -> Self {
        let has_content = header.message().payload.has_content();
        let (created_here, attachment) = (persisted.created_here, persisted.attachment);
        let restored = Self::new(header.to_encoded(), me, created_here, has_content, attachment);
        let mut state = restored.state();
        state.status = persisted.status;
        state.resend = persisted.resend;
        state.options = persisted.options;
        state.restored = true;
        state.revoked_before = state.flags.contains(MessageFlags::REVOKED);
        drop(state);
        restored
    }

    fn new(
        encoded: Encoded<Vec<u8>>,
        owner: &UserId,
        created_here: bool,
        has_content: bool,
        attachment: Option<Attachment>,
    ) -> Self {
        let header = encoded.header();
        let state = State {
            id: header.content.id,
            sequence: header.envelope.sequence,
            time: header.envelope.time,
            flags: header.envelope.flags,
            priority: header.content.priority,
            status: if created_here {
                Status::UnSend
            } else {
                Status::Success
            },
            sending: false,
            refusal: None,
            resend: false,
            restored: false,
            revoked_before: false,
            revoking: 0,
            own_revocation_arrived: false,
            told_by_call: false,
            options: SendOptions::default(),
        };
        let is_own = header.sender() == owner;
        Self(Arc::new(Instance {
            owner: *owner,
            conversation: header.conversation_of(owner),
            flow: if is_own { Flow::Out } else { Flow::In },
            created_here,
            has_content,
            attachment,
            uploaded: OnceLock::new(),
            completed: OnceLock::new(),
            revoked: OnceLock::new(),
            state: Mutex::new(state),
            encoded,
        }))
    }

    /// The bytes that the message has now.
    pub(super) fn encoded(&self) -> &Encoded<Vec<u8>> {
        let shown = self.0.revoked.get().or_else(|| self.0.completed.get());
        shown.unwrap_or_else(|| self.as_written())
    }

    /// The message as its sender has written it.
    pub(super) fn as_written(&self) -> &Encoded<Vec<u8>> {
        let uploaded = self.0.uploaded.get();
        uploaded.map_or(&self.0.encoded, |uploaded| &uploaded.last().encoded)
    }

    pub(super) fn content(&self) -> Content<'_> {
        self.encoded().header().content
    }

    /// The message in its current state; the payload is not decoded.
    pub(super) fn header(&self) -> Header<'_> {
        let mut header = self.encoded().header();
        let state = self.state();
        header.content.id = state.id;
        header.content.priority = state.priority;
        header.envelope.sequence = state.sequence;
        header.envelope.time = state.time;
        header.envelope.flags = state.flags;
        header
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_created_here(&self) -> bool {
        self.0.created_here
    }

    pub(crate) fn owner(&self) -> UserId {
        self.0.owner
    }

    pub(crate) fn set_id(&self, id: MessageId) {
        self.state().id = id;
    }

    /// What is to be persisted. The outcome of a sending in progress will be unknown.
    pub(crate) fn persisted(&self) -> Persisted {
        let state = self.state();
        Persisted {
            created_here: self.0.created_here,
            status: if state.sending { Status::Fail } else { state.status },
            resend: state.resend,
            options: state.options.clone(),
            attachment: None,
        }
    }

    /// The file of a message that was created here with one.
    pub(crate) fn attachment(&self) -> Option<&Attachment> {
        self.0.attachment.as_ref()
    }

    /// Whether the message was created here and is not sent yet.
    pub(crate) fn is_to_be_sent(&self) -> bool {
        self.0.created_here && self.status() != Status::Success
    }

    /// The hub has the file of the message, which has this payload now.
    pub(crate) fn set_payload(&self, payload: &[u8]) {
        let mut header = self.as_written().header();
        if header.content.payload == payload {
            return;
        }
        header.content.payload = payload;
        let next = Box::new(Uploaded {
            encoded: header.to_encoded(),
            later: OnceLock::new(),
        });
        // Lost only to another task that has just done the same.
        let _ = match self.0.uploaded.get() {
            Some(before) => before.last().later.set(next),
            None => self.0.uploaded.set(next),
        };
    }

    /// Whether a message of the hub is another one under the same id: one that was created here and not sent yet is not
    /// the hub's, whatever its id. Content that the hub leaves out is not compared, but its origin is.
    pub(crate) fn is_another(&self, header: &Header<'_>) -> bool {
        if !header.envelope.flags.contains(MessageFlags::REVOKED) && self.is_of_another_entry(header) {
            return true;
        }
        if !self.0.created_here || self.status() == Status::Success {
            return false;
        }
        let left_out = MessageFlags::STUB | MessageFlags::REVOKED;
        // The hub may have names for the file that an earlier run of the application has not heard of.
        let may_differ = self.attachment().is_some() && header.content.kind == self.kind();
        if !header.envelope.flags.intersects(left_out) && !may_differ {
            let own = self.content();
            (header.content.kind, header.content.payload) != (own.kind, own.payload)
        } else {
            header.envelope.origin != self.encoded().header().envelope.origin
        }
    }

    /// Whether the message is revoked, and what the hub shows is not: a restore of the hub has undone the revocation, or the message
    /// was sent once more when the hub no longer knew its id, and is at another place.
    fn is_of_another_entry(&self, header: &Header<'_>) -> bool {
        let (state, sequence) = (self.state(), header.envelope.sequence);
        let is_elsewhere = state.sequence != 0 && sequence != 0 && state.sequence != sequence;
        state.revoked_before || (state.flags.contains(MessageFlags::REVOKED) && is_elsewhere)
    }

    /// The hub has shown the message again, with its current state.
    pub(crate) fn update(&self, header: &Header<'_>) {
        let Header {
            envelope, content, ..
        } = header;
        let whole = !envelope.flags.contains(MessageFlags::STUB);
        if self.0.created_here {
            if whole && self.attachment().is_some() && content.revoked_by().is_none() {
                self.set_payload(content.payload);
            }
            self.take_names(content.extensions);
        }
        match content.revoked_by() {
            Some(by) => self.mark_revoked(&by),
            None if self.is_stub() && whole => self.complete(content.payload),
            None => {}
        }
        let mut state = self.state();
        let stub = state.flags & MessageFlags::STUB;
        state.flags = (envelope.flags & !MessageFlags::STUB) | stub | (state.flags & MessageFlags::REVOKED);
        state.time = envelope.time;
        if envelope.sequence != 0 {
            state.sequence = envelope.sequence;
        }
        state.status = Status::Success;
    }

    /// The whole payload of a stub has arrived.
    pub(crate) fn complete(&self, payload: &[u8]) {
        let mut whole = self.header();
        whole.content.payload = payload;
        if self.0.completed.set(whole.to_encoded()).is_ok() {
            self.state().flags.remove(MessageFlags::STUB);
        }
    }

    /// Takes the sender's names from the hub's extensions; a message that was created here has none.
    pub(super) fn take_names(&self, hubs: Extensions<'_>) {
        if self.0.completed.get().is_some() {
            return; // they are known
        }
        let names = tags::FIRST_OF_HUB..tags::REVOKER;
        let of_sender = hubs.iter().filter(|it| names.contains(&it.tag));
        let more = of_sender
            .flat_map(|extension| to_vec(&extension))
            .collect::<Vec<_>>();
        if !more.is_empty()
            && let Some(named) = self.extended(&more)
        {
            // Lost only to another task that has just done the same.
            let _ = self.0.completed.set(named);
        }
    }

    /// The message was revoked. The content of other users is dropped; an own instance keeps it.
    pub(crate) fn mark_revoked(&self, by: &RevokedBy<'_>) {
        if self.content().revoked_by().is_none() {
            let remains = match self.flow() {
                Flow::In => self.emptied(by),
                Flow::Out => self.extended(&to_vec(by)),
            };
            if let Some(remains) = remains {
                // Lost only to another task that has just done the same.
                let _ = self.0.revoked.set(remains);
            }
        }
        let mut state = self.state();
        state.flags |= MessageFlags::REVOKED;
        state.revoked_before = false;
        state.flags.remove(MessageFlags::STUB); // nothing is left to be fetched
    }

    /// The message without its content.
    fn emptied(&self, by: &RevokedBy<'_>) -> Option<Encoded<Vec<u8>>> {
        let header = self.encoded().header();
        let mut bytes = to_vec(&header.envelope);
        bytes.append(&mut header.content.revoked(by));
        Encoded::new(bytes).ok()
    }

    /// The message with these extensions after its own.
    fn extended(&self, more: &[u8]) -> Option<Encoded<Vec<u8>>> {
        let mut header = self.header();
        let extensions = [header.content.extensions.as_bytes(), more].concat();
        header.content.extensions = Extensions::new(&extensions).ok()?;
        Some(header.to_encoded())
    }
}
