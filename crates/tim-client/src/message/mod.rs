//! Message instances: what the application holds, shows, and passes to `send_message`.

mod kept;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tim_proto::message::{Content, Encoded, Payload, RevokedBy, flags, tags, to_vec};
use tim_proto::request;
use tim_proto::request::SendResponse;
use tim_proto::wire::{Encode, Extensions, Nested, Writer};
use tim_proto::{AtKind, ConversationId, ErrorCode, MessageId, MessageKind, Priority, UserId, constants};

use crate::{ImError, SendOptions};

/// In [`Message::at_user_list`] and `create_text_at_message`: everybody in the group (`MSG_AT_ALL`).
pub const MENTION_ALL: UserId = match UserId::new(tim_proto::MENTION_ALL) {
    Ok(id) => id,
    Err(_) => panic!("checked by the compiler"),
};

/// How far a message has got (`message.status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// Made, and not sent or not answered yet.
    UnSend,
    /// The hub has it.
    Success,
    /// Sending failed; it can be resent.
    Fail,
}

impl Status {
    /// The SDK's constant: `unSend`, `success` or `fail`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnSend => constants::status::UN_SEND,
            Self::Success => constants::status::SUCCESS,
            Self::Fail => constants::status::FAIL,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Whether a message came to the account or from it (`message.flow`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flow {
    /// From somebody else.
    In,
    /// From this account, on whichever device.
    Out,
}

impl Flow {
    /// The SDK's constant: `in` or `out`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::In => constants::flow::IN,
            Self::Out => constants::flow::OUT,
        }
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A message instance (S12). A clone is the same instance: sending, revoking and whatever the hub says of the message
/// later show in every clone. It is complete enough to be shown before it is sent.
#[derive(Clone)]
pub struct Message(pub(crate) Arc<Instance>);

/// What a message instance consists of: bytes that never change, and the few fields that do.
pub(crate) struct Instance {
    /// Whose client holds it.
    owner: UserId,
    conversation: ConversationId,
    flow: Flow,
    /// Made by a create call of this client.
    made_here: bool,
    encoded: Encoded<Vec<u8>>,
    /// The whole message, if `encoded` is a stub and the rest was fetched, or was made here and the hub has added names.
    fetched: OnceLock<Encoded<Vec<u8>>>,
    /// What there is of it since it was revoked, with the hub's word about who did it.
    revoked: OnceLock<Encoded<Vec<u8>>>,
    state: Mutex<State>,
}

struct State {
    /// Another one than in the bytes once the hub has refused that one.
    id: MessageId,
    sequence: u64,
    time: u64,
    flags: u32,
    priority: Priority,
    status: Status,
    sending: bool,
    resend: bool,
    /// It was kept as bytes, and nobody knows what happened since.
    restored: bool,
    options: SendOptions,
}

/// What is kept of an instance beside the message itself.
pub(crate) struct Kept {
    pub(crate) made_here: bool,
    pub(crate) status: Status,
    pub(crate) resend: bool,
    pub(crate) options: SendOptions,
}

impl Message {
    /// An instance of what a create call made.
    pub(crate) fn made(message: &tim_proto::Message<'_>) -> Self {
        Self::new(message, message.envelope.from, message.to, Flow::Out, true)
    }

    /// An instance of what the hub has.
    pub(crate) fn stored(message: &tim_proto::Message<'_>, me: &UserId) -> Self {
        let flow = if message.sender() == me {
            Flow::Out
        } else {
            Flow::In
        };
        Self::new(message, *me, message.conversation_of(me), flow, false)
    }

    /// An instance of what the application has kept.
    pub(crate) fn restored(message: &tim_proto::Message<'_>, me: &UserId, kept: Kept) -> Self {
        let flow = if message.sender() == me {
            Flow::Out
        } else {
            Flow::In
        };
        let restored = Self::new(message, *me, message.conversation_of(me), flow, kept.made_here);
        let mut state = restored.state();
        state.status = kept.status;
        state.resend = kept.resend;
        state.options = kept.options;
        state.restored = true;
        drop(state);
        restored
    }

    fn new(
        message: &tim_proto::Message<'_>,
        owner: UserId,
        conversation: ConversationId,
        flow: Flow,
        made_here: bool,
    ) -> Self {
        let state = State {
            id: message.id,
            sequence: message.envelope.sequence,
            time: message.envelope.time,
            flags: message.envelope.flags,
            priority: message.priority,
            status: if made_here {
                Status::UnSend
            } else {
                Status::Success
            },
            sending: false,
            resend: false,
            restored: false,
            options: SendOptions::default(),
        };
        Self(Arc::new(Instance {
            owner,
            conversation,
            flow,
            made_here,
            encoded: message.to_encoded(),
            fetched: OnceLock::new(),
            revoked: OnceLock::new(),
            state: Mutex::new(state),
        }))
    }

    /// The message as it is now: ids, payload, everything. No payload is copied.
    #[must_use]
    pub fn view(&self) -> tim_proto::Message<'_> {
        let mut view = self.encoded().message();
        let state = self.state();
        view.id = state.id;
        view.envelope.sequence = state.sequence;
        view.envelope.time = state.time;
        view.envelope.flags = state.flags;
        view.priority = state.priority;
        view
    }

    /// What it says. A revoked message says nothing; only an instance that this account sent, and that was held when
    /// it was revoked, keeps what it said, so that an application can offer to edit it and to send it anew.
    #[must_use]
    pub fn payload(&self) -> Payload<'_> {
        self.encoded().message().payload
    }

    /// Its text, if it is a text message.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self.payload() {
            Payload::Text(text) => Some(text.text),
            _ => None,
        }
    }

    /// What kind of message it is (`message.type`).
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        self.encoded().header().content.kind
    }

    /// Its id, known before it is sent and kept when it is resent. It changes in one case: if the hub has another message
    /// under this id, the message is sent under a new one.
    #[must_use]
    pub fn id(&self) -> MessageId {
        self.state().id
    }

    /// The conversation as this account names it.
    #[must_use]
    pub fn conversation_id(&self) -> ConversationId {
        self.0.conversation
    }

    /// Who sent it.
    #[must_use]
    pub fn sender(&self) -> UserId {
        self.encoded().header().envelope.from
    }

    /// To whom, as the sender names it.
    #[must_use]
    pub fn to(&self) -> ConversationId {
        self.encoded().header().content.to
    }

    /// Whom it mentions (`atUserList`), with [`MENTION_ALL`] at the end if that is everybody.
    #[must_use]
    pub fn at_user_list(&self) -> Vec<UserId> {
        let Some(mentions) = self.encoded().message().mentions() else {
            return Vec::new();
        };
        let all = mentions.all.then_some(MENTION_ALL);
        mentions.users.iter().chain(all).collect()
    }

    /// As what it mentions this user, if it does.
    #[must_use]
    pub fn mentions(&self, user: &UserId) -> Option<AtKind> {
        self.encoded().message().mentions()?.kind_for(user)
    }

    /// The sender's nick when it was sent; empty if unknown.
    #[must_use]
    pub fn nick(&self) -> &str {
        self.encoded().message().nick()
    }

    /// Where the sender's picture was when it was sent; empty if unknown.
    #[must_use]
    pub fn avatar(&self) -> &str {
        self.encoded().message().avatar()
    }

    /// The sender's name in the group when it was sent; empty if there was none.
    #[must_use]
    pub fn name_card(&self) -> &str {
        self.encoded().message().name_card()
    }

    /// When the hub took it, Unix time in seconds; before that, when it was made.
    #[must_use]
    pub fn time(&self) -> u64 {
        self.state().time
    }

    /// Its place in the conversation; 0 before it is sent, and for one that is not stored.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.state().sequence
    }

    /// How far it has got.
    #[must_use]
    pub fn status(&self) -> Status {
        self.state().status
    }

    /// Whether it came to this account or from it.
    #[must_use]
    pub fn flow(&self) -> Flow {
        self.0.flow
    }

    /// Its priority (S14-S20).
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.state().priority
    }

    /// Whether it was taken back (S111).
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.state().flags & flags::REVOKED != 0
    }

    /// Who took it back; `None` if nobody did, or the hub has not said.
    #[must_use]
    pub fn revoker(&self) -> Option<UserId> {
        UserId::new(self.encoded().message().revoked_by()?.revoker).ok()
    }

    /// The name of who took it back: name card, nick or user id, in this order (S116); empty if that is not known.
    #[must_use]
    pub fn revoker_name(&self) -> &str {
        let by = self.encoded().message().revoked_by();
        by.map_or("", |by| by.shown_name())
    }

    /// Why it was taken back; empty if nothing was said.
    #[must_use]
    pub fn revoke_reason(&self) -> &str {
        self.encoded().message().revoked_by().map_or("", |by| by.reason)
    }

    /// Whether it was resent (S124).
    #[must_use]
    pub fn is_resend(&self) -> bool {
        self.state().resend
    }

    /// Whether its payload is still at the hub: `Client::fetch_message` gets it.
    #[must_use]
    pub fn is_stub(&self) -> bool {
        self.state().flags & flags::STUB != 0
    }

    /// Whether both are the same instance.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The same instance with this priority (S15-S18), before it is sent.
    ///
    /// # Errors
    /// [`ErrorCode::UNKNOWN_PRIORITY`] for one without a name, [`ErrorCode::INVALID_OPERATION`] once it was sent.
    pub fn with_priority(self, priority: Priority) -> Result<Self, ImError> {
        if !priority.is_known() {
            return Err(ErrorCode::UNKNOWN_PRIORITY.into());
        }
        let mut state = self.state();
        if state.status != Status::UnSend || state.sending || !self.0.made_here {
            return Err(ImError::new(
                ErrorCode::INVALID_OPERATION,
                "the message was sent already",
            ));
        }
        state.priority = priority;
        drop(state);
        Ok(self)
    }

    fn encoded(&self) -> &Encoded<Vec<u8>> {
        let shown = self.0.revoked.get().or_else(|| self.0.fetched.get());
        shown.unwrap_or(&self.0.encoded)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the client does to an instance.
impl Message {
    pub(crate) fn is_made_here(&self) -> bool {
        self.0.made_here
    }

    /// Sending begins, with these options.
    pub(crate) fn begin_sending(&self, options: SendOptions) -> Result<InFlight, ImError> {
        let mut state = self.state();
        if state.sending {
            return Err(ImError::new(
                ErrorCode::INVALID_OPERATION,
                "the message is being sent already",
            ));
        }
        if state.status == Status::Success {
            return Err(ImError::new(
                ErrorCode::INVALID_OPERATION,
                "the message was sent already",
            ));
        }
        not_revoked(&state)?;
        state.options = options;
        state.sending = true;
        state.status = Status::UnSend;
        Ok(InFlight(self.clone()))
    }

    /// Sending begins again, with the options of the first time.
    pub(crate) fn begin_resending(&self) -> Result<InFlight, ImError> {
        let options = {
            let mut state = self.state();
            let may_have_failed = match state.status {
                Status::Fail => true,
                Status::UnSend => state.restored,
                Status::Success => false,
            };
            if !may_have_failed || state.sending {
                return Err(ErrorCode::MESSAGE_NOT_FAILED.into());
            }
            not_revoked(&state)?;
            state.resend = true;
            state.options.clone()
        };
        self.begin_sending(options)
    }

    pub(crate) fn owner(&self) -> UserId {
        self.0.owner
    }

    /// What is to be kept of it. Of a sending that is under way nobody will know how it ended.
    pub(crate) fn kept(&self) -> Kept {
        let state = self.state();
        Kept {
            made_here: self.0.made_here,
            status: if state.sending { Status::Fail } else { state.status },
            resend: state.resend,
            options: state.options.clone(),
        }
    }

    /// The body of a SEND request, with the id, priority and options that the message has now. The payload is taken from
    /// the encoded message as it is.
    pub(crate) fn outgoing(&self) -> Outgoing {
        let state = self.state();
        Outgoing {
            message: self.clone(),
            id: state.id,
            priority: state.priority,
            options: state.options.clone(),
            own_extensions: self.own_extensions(),
        }
    }

    /// The extensions that the sender wrote, if the hub has added others, as it does to a message that reached it
    /// unnoticed: the hub refuses its own extensions.
    fn own_extensions(&self) -> Option<Vec<u8>> {
        let written = self.0.encoded.header().content.extensions;
        let is_own = |tag| tag < tags::FIRST_OF_HUB;
        if written.iter().all(|extension| is_own(extension.tag)) {
            return None;
        }
        let own = written.iter().filter(|extension| is_own(extension.tag));
        Some(own.flat_map(|extension| to_vec(&extension)).collect())
    }

    pub(crate) fn set_id(&self, id: MessageId) {
        self.state().id = id;
    }

    /// Whether the hub shows another message than this one under the same id: one that was made here and not sent yet is
    /// not the hub's, whatever id it has drawn. Content that the hub leaves out is not compared, but who sent it is.
    pub(crate) fn is_another(&self, message: &tim_proto::Message<'_>) -> bool {
        if !self.0.made_here || self.status() == Status::Success {
            return false;
        }
        let left_out = flags::STUB | flags::REVOKED;
        if message.envelope.flags & left_out == 0 {
            message.payload != self.payload()
        } else {
            message.envelope.origin != self.encoded().header().envelope.origin
        }
    }

    /// Sending that has just failed begins again by itself. `None` if somebody else was quicker.
    pub(crate) fn begin_retrying(&self) -> Option<InFlight> {
        let mut state = self.state();
        if state.status != Status::Fail || state.sending {
            return None;
        }
        state.sending = true;
        state.status = Status::UnSend;
        Some(InFlight(self.clone()))
    }

    pub(crate) fn options(&self) -> SendOptions {
        self.state().options.clone()
    }

    /// The message was taken back by somebody. What others wrote is let go; an own instance keeps what it says.
    pub(crate) fn mark_revoked(&self, by: &RevokedBy<'_>) {
        if self.encoded().message().revoked_by().is_none() {
            let left = match self.flow() {
                Flow::In => self.emptied(by),
                Flow::Out => self.extended(&to_vec(by)),
            };
            if let Some(left) = left {
                // Lost only to another task that has just done the same.
                let _ = self.0.revoked.set(left);
            }
        }
        let mut state = self.state();
        state.flags |= flags::REVOKED;
        state.flags &= !flags::STUB; // nothing is left to be fetched
    }

    /// The message without what was said.
    fn emptied(&self, by: &RevokedBy<'_>) -> Option<Encoded<Vec<u8>>> {
        let header = self.encoded().header();
        let mut bytes = to_vec(&header.envelope);
        bytes.append(&mut header.content.revoked(by));
        Encoded::new(bytes).ok()
    }

    /// The message with these extensions behind its own.
    fn extended(&self, more: &[u8]) -> Option<Encoded<Vec<u8>>> {
        let view = self.view();
        let extensions = [view.extensions.as_bytes(), more].concat();
        let extensions = Extensions::new(&extensions).ok()?;
        Some(tim_proto::Message { extensions, ..view }.to_encoded())
    }

    /// The hub has shown the message again: takes over what it says now.
    pub(crate) fn update(&self, message: &tim_proto::Message<'_>) {
        let envelope = &message.envelope;
        let whole = envelope.flags & flags::STUB == 0;
        if self.0.made_here {
            self.take_names(message.extensions);
        }
        match message.revoked_by() {
            Some(by) => self.mark_revoked(&by),
            None if self.is_stub() && whole => self.complete_with(message.payload),
            None => {}
        }
        let mut state = self.state();
        let stub = state.flags & flags::STUB;
        state.flags = (envelope.flags & !flags::STUB) | stub | (state.flags & flags::REVOKED);
        state.time = envelope.time;
        if envelope.sequence != 0 {
            state.sequence = envelope.sequence;
        }
        state.status = Status::Success;
    }

    /// The hub says how it called the sender. An instance that was made here has no such extensions of its own.
    fn take_names(&self, hubs: Extensions<'_>) {
        if self.0.fetched.get().is_some() {
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
            let _ = self.0.fetched.set(named);
        }
    }

    /// The whole payload of a stub has arrived.
    pub(crate) fn complete(&self, payload: &[u8]) {
        self.complete_with(Payload::decode(self.kind(), payload));
    }

    fn complete_with(&self, payload: Payload<'_>) {
        let whole = tim_proto::Message {
            payload,
            ..self.view()
        };
        if self.0.fetched.set(whole.to_encoded()).is_ok() {
            self.state().flags &= !flags::STUB;
        }
    }
}

/// What is left of a revoked message must not be sent as if it were a message: the hub has it.
fn not_revoked(state: &State) -> Result<(), ImError> {
    if state.flags & flags::REVOKED == 0 {
        return Ok(());
    }
    let text = "the message reached the hub and was revoked";
    Err(ImError::new(ErrorCode::INVALID_OPERATION, text))
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("status", &self.status())
            .field("view", &self.view())
            .finish()
    }
}

/// The body of a SEND request for a message.
pub(crate) struct Outgoing {
    message: Message,
    id: MessageId,
    priority: Priority,
    options: SendOptions,
    own_extensions: Option<Vec<u8>>,
}

impl Encode for Outgoing {
    fn encode(&self, writer: &mut Writer<'_>) {
        let written = self.message.0.encoded.header().content;
        let own = self.own_extensions.as_deref().map(Extensions::new);
        let content = Content {
            id: self.id,
            priority: self.priority,
            extensions: own.map_or(written.extensions, Result::unwrap_or_default),
            ..written
        };
        let options = Nested(self.options.as_borrowed());
        request::Send { options, content }.encode(writer);
    }
}

/// A message that is being sent; unless the outcome is recorded, it has failed.
pub(crate) struct InFlight(Message);

impl InFlight {
    pub(crate) fn message(&self) -> &Message {
        &self.0
    }

    pub(crate) fn succeeded(self, answer: &SendResponse<'_>) {
        self.0.take_names(answer.extensions);
        let mut state = self.0.state();
        state.sequence = answer.sequence;
        state.time = answer.time;
        if state.options.online_user_only {
            state.flags |= flags::ONLINE_ONLY;
        }
        state.status = Status::Success;
        state.sending = false;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.0.state();
        if state.sending {
            state.sending = false;
            state.status = Status::Fail;
        }
    }
}
