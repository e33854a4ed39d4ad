//! Message instances: what the application holds, shows, and passes to `send_message`.

mod instance;
mod persist;
mod revoking;
mod sending;

use std::fmt;
use std::sync::{Arc, MutexGuard};

use tim_proto::message::{MessageFlags, Payload};
use tim_proto::vendor::constants;
use tim_proto::{AtKind, ConversationId, ErrorCode, MessageId, MessageKind, Priority, UserId};

use crate::{ImError, SendOptions};

use instance::State;
pub(crate) use instance::{Instance, Persisted};
pub(crate) use revoking::Revoking;
pub(crate) use sending::InFlight;

/// Everybody in the group (`MSG_AT_ALL`), for [`Message::at_user_list`] and `create_text_at_message`.
pub const MENTION_ALL: UserId = match UserId::new(tim_proto::MENTION_ALL) {
    Ok(id) => id,
    Err(_) => panic!("checked by the compiler"),
};

/// The status of sending a message (`message.status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// Created, and not sent or not acknowledged yet.
    UnSend,
    /// The hub has accepted it.
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

/// The direction of a message (`message.flow`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flow {
    /// Sent by another user.
    In,
    /// Sent by this account, on any device.
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

/// A message instance. A clone is the same instance: sending, revocation and later changes by the hub are visible in every
/// clone. It can be shown before it is sent.
#[derive(Clone)]
pub struct Message(pub(crate) Arc<Instance>);

impl Message {
    /// The message in its current state, decoded in place.
    #[must_use]
    pub fn view(&self) -> tim_proto::Message<'_> {
        self.header().message()
    }

    /// The payload. A revoked message has none, except for an instance that this account sent and that was held when it was
    /// revoked: an application can offer to edit it and to send it again.
    #[must_use]
    pub fn payload(&self) -> Payload<'_> {
        self.encoded().message().payload
    }

    /// The text, if it is a text message.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self.payload() {
            Payload::Text(text) => Some(text.text),
            _ => None,
        }
    }

    /// The kind of the message (`message.type`).
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        self.encoded().header().content.kind
    }

    /// The id, known before the message is sent and kept when it is resent. It changes in one case: if the hub has another
    /// message under this id, the message is sent under a new one.
    #[must_use]
    pub fn id(&self) -> MessageId {
        self.state().id
    }

    /// The conversation, as this account names it.
    #[must_use]
    pub fn conversation_id(&self) -> ConversationId {
        self.0.conversation
    }

    /// The sender.
    #[must_use]
    pub fn sender(&self) -> UserId {
        self.encoded().header().envelope.from
    }

    /// The receiver, as the sender names it.
    #[must_use]
    pub fn to(&self) -> ConversationId {
        self.encoded().header().content.to
    }

    /// The mentioned users (`atUserList`), with [`MENTION_ALL`] at the end if everybody is mentioned.
    #[must_use]
    pub fn at_user_list(&self) -> Vec<UserId> {
        let Some(mentions) = self.content().mentions() else {
            return Vec::new();
        };
        let all = mentions.all.then_some(MENTION_ALL);
        mentions.users.iter().chain(all).collect()
    }

    /// How the message mentions `user`, or `None`.
    #[must_use]
    pub fn mentions(&self, user: &UserId) -> Option<AtKind> {
        self.content().mentions()?.kind_for(user)
    }

    /// The sender's nick when the message was sent; empty if unknown.
    #[must_use]
    pub fn nick(&self) -> &str {
        self.encoded().message().nick()
    }

    /// The address of the sender's avatar when the message was sent; empty if unknown.
    #[must_use]
    pub fn avatar(&self) -> &str {
        self.encoded().message().avatar()
    }

    /// The sender's name card in the group when the message was sent; empty if there was none.
    #[must_use]
    pub fn name_card(&self) -> &str {
        self.encoded().message().name_card()
    }

    /// When the hub accepted the message, Unix time in seconds; before that, when it was created.
    #[must_use]
    pub fn time(&self) -> u64 {
        self.state().time
    }

    /// The sequence in the conversation; 0 before the message is sent, and if it is not stored.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.state().sequence
    }

    /// The status of sending.
    #[must_use]
    pub fn status(&self) -> Status {
        self.state().status
    }

    /// Whether the message was sent by this account or received.
    #[must_use]
    pub fn flow(&self) -> Flow {
        self.0.flow
    }

    /// The priority.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.state().priority
    }

    /// Whether the message is revoked.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.state().flags.contains(MessageFlags::REVOKED)
    }

    /// The user who revoked the message; `None` if it is not revoked, or if that is unknown.
    #[must_use]
    pub fn revoker(&self) -> Option<UserId> {
        UserId::new(self.content().revoked_by()?.revoker).ok()
    }

    /// The name of the user who revoked the message: name card, nick or user id, in this order; empty if unknown.
    #[must_use]
    pub fn revoker_name(&self) -> &str {
        let by = self.content().revoked_by();
        by.map_or("", |by| by.shown_name())
    }

    /// The reason of the revocation; may be empty.
    #[must_use]
    pub fn revoke_reason(&self) -> &str {
        self.content().revoked_by().map_or("", |by| by.reason)
    }

    /// Why sending the message, or a piece of its file, was last refused for the moment, if the client waits to try again or the call
    /// was given up meanwhile: an application that limits the time of [`Client::send_message`](crate::Client::send_message) itself
    /// learns here what it waited for. `None` once the upload has come further, the message is sent, or it is sent anew.
    #[must_use]
    pub fn refusal(&self) -> Option<ImError> {
        self.state().refusal.as_deref().cloned()
    }

    /// Whether the message was resent.
    #[must_use]
    pub fn is_resend(&self) -> bool {
        self.state().resend
    }

    /// Whether the payload is missing: [`Client::fetch_message`](crate::Client::fetch_message) fetches it.
    #[must_use]
    pub fn is_stub(&self) -> bool {
        self.state().flags.contains(MessageFlags::STUB)
    }

    /// Whether both are the same instance.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The same instance with this priority, before it is sent.
    ///
    /// # Errors
    /// [`ErrorCode::UNKNOWN_PRIORITY`] for a priority without a name; [`ErrorCode::INVALID_OPERATION`] once it was sent.
    pub fn with_priority(self, priority: Priority) -> Result<Self, ImError> {
        if !priority.is_known() {
            return Err(ErrorCode::UNKNOWN_PRIORITY.into());
        }
        self.before_sending()?.priority = priority;
        Ok(self)
    }

    /// The same instance with these options, before it is sent: [`Message::to_bytes`] keeps them, except for
    /// [`SendOptions::retry_for`], and [`Client::resend_message`](crate::Client::resend_message) sends with them.
    /// [`Client::send_message`](crate::Client::send_message) replaces them by its own.
    ///
    /// # Errors
    /// [`ErrorCode::INVALID_OPERATION`] once it was sent.
    pub fn with_options(self, options: SendOptions) -> Result<Self, ImError> {
        self.before_sending()?.options = options;
        Ok(self)
    }

    /// The state of an own message that was not sent yet.
    fn before_sending(&self) -> Result<MutexGuard<'_, State>, ImError> {
        let state = self.state();
        if state.status != Status::UnSend || state.sending || !self.0.created_here {
            return Err(ImError::new(
                ErrorCode::INVALID_OPERATION,
                "the message was sent already",
            ));
        }
        Ok(state)
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("status", &self.status())
            .field("view", &self.view())
            .finish()
    }
}
