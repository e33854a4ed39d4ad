//! The calls of the SDK that a device has.

use tim_session::proto::conversation::ConversationProfile;
use tim_session::proto::message::{Custom, Face, MessageFlags, Payload, PayloadBody, SendOptions, Text};
use tim_session::proto::request::{
    Conversations, ConversationsResponse, DeleteConversation, Fetch, FetchResponse, GetConversationProfile,
    History, HistoryResponse, MarkRead, MarkReadResponse, Revoke, SendMessage, SendResponse,
};
use tim_session::proto::{ConversationId, ErrorCode, Message, MessageId};

use crate::caller::{Attempts, Caller as _, stored};
use crate::{Client, Error, FramingChoice};

/// The longest `nextReqMessageID` that is supported, in bytes.
const MAX_NEXT_LEN: usize = 16;

/// Where a page of history ended (`nextReqMessageID`): the position of the next, older page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NextReqMessageId {
    bytes: [u8; MAX_NEXT_LEN],
    len: u8,
}

impl NextReqMessageId {
    fn new(next: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_NEXT_LEN];
        for (to, from) in bytes.get_mut(..next.len())?.iter_mut().zip(next) {
            *to = *from;
        }
        Some(Self {
            bytes,
            len: next.len() as u8,
        })
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }
}

impl<F: FramingChoice> Client<'_, F> {
    /// `createTextMessage`. It does not send anything.
    ///
    /// # Errors
    /// As [`Client::create_message`].
    pub fn create_text_message<'a>(
        &self,
        to: impl Into<ConversationId>,
        text: &'a str,
    ) -> Result<Message<'a, Text<'a>>, Error> {
        self.make(to.into(), Text::new(text))
    }

    /// `createCustomMessage`: content that only applications interpret.
    ///
    /// # Errors
    /// As [`Client::create_message`].
    pub fn create_custom_message<'a>(
        &self,
        to: impl Into<ConversationId>,
        custom: Custom<'a>,
    ) -> Result<Message<'a, Custom<'a>>, Error> {
        self.make(to.into(), custom)
    }

    /// `createFaceMessage`: a sticker. The application defines the meaning of `index`.
    ///
    /// # Errors
    /// As [`Client::create_message`].
    pub fn create_face_message<'a>(
        &self,
        to: impl Into<ConversationId>,
        index: u32,
        data: &'a str,
    ) -> Result<Message<'a, Face<'a>>, Error> {
        self.make(to.into(), Face::new(index).with_data(data))
    }

    /// A message with any payload. The caller may change its priority before sending it. Its time is the hub's time, based on
    /// the last login.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the system conversation; [`Error::NotReady`] before the first login, because message ids contain
    /// the account number.
    pub fn create_message<'a>(
        &self,
        to: impl Into<ConversationId>,
        payload: impl Into<Payload<'a>>,
    ) -> Result<Message<'a>, Error> {
        self.make(to.into(), payload.into())
    }

    /// Rebuilds a message that was created before a reset, with the same id, so that the hub stores it once. The crate's front
    /// page says what to save, and for how long the hub remembers ids.
    ///
    /// # Errors
    /// [`Error::Invalid`] with `MESSAGE_SEND_NEED_MESSAGE_INSTANCE` for the id of another account, and as
    /// [`Client::create_message`].
    pub fn restore_message<'a, P>(
        &self,
        to: impl Into<ConversationId>,
        payload: P,
        id: MessageId,
    ) -> Result<Message<'a, P>, Error> {
        let mut message = self.make(to.into(), payload)?;
        if id.sender != message.id.sender {
            return Err(Error::Invalid(ErrorCode::MESSAGE_SEND_NEED_MESSAGE_INSTANCE));
        }
        message.id = id;
        message.envelope.time = id.client_time;
        Ok(message)
    }

    pub(crate) fn make<'a, P>(&self, to: ConversationId, payload: P) -> Result<Message<'a, P>, Error> {
        let message = self.shared.ids.message(self.now(), to, payload)?;
        message.ok_or_else(|| self.shared.refusal())
    }

    /// `sendMessage`: the hub stores the message once, however often the connection is lost in between, and the message is
    /// durable when this returns. Its sequence and time are then set.
    ///
    /// If the hub has another message under the same id, this one is sent again under a new id, up to three times, and
    /// `message.id` is updated. The new id is derived from the old one: a device that is reset meanwhile and sends the
    /// message under the saved id arrives at the same new id.
    ///
    /// # Errors
    /// [`Error::NotReady`] unless [`Client::is_ready`]; [`Error::TooLarge`]; [`Error::Invalid`] for a message that this device
    /// did not create; [`Error::Refused`]; [`Error::TimedOut`], [`Error::LoggedOut`] and
    /// [`Error::Ended`], after which [`Client::resend_message`] is safe.
    pub async fn send_message(
        &self,
        message: &mut Message<'_, impl PayloadBody>,
    ) -> Result<SendResponse<'static>, Error> {
        self.send_message_with(message, SendOptions::default()).await
    }

    /// [`Client::send_message`] with options: online-only delivery, offline push.
    ///
    /// # Errors
    /// As [`Client::send_message`].
    pub async fn send_message_with(
        &self,
        message: &mut Message<'_, impl PayloadBody>,
        options: SendOptions<'_>,
    ) -> Result<SendResponse<'static>, Error> {
        self.check_own(message.id, message.envelope.from)?;
        let mut attempts = Attempts::default();
        loop {
            let request = SendMessage::new(&*message).with_options(options);
            let outcome = self.call(&request, stored).await;
            if let Some(sent) = attempts.end(outcome, message) {
                return sent;
            }
        }
    }

    /// `resendMessage`: sends a message again after a failure. Its id stays the same: if the hub has already stored it, it is
    /// not stored again, and [`SendResponse::duplicate`] is set.
    ///
    /// # Errors
    /// As [`Client::send_message`].
    pub async fn resend_message(
        &self,
        message: &mut Message<'_, impl PayloadBody>,
    ) -> Result<SendResponse<'static>, Error> {
        self.send_message(message).await
    }

    /// `revokeMessage`: revokes a message. The message must have a sequence: it was sent, delivered, or restored and sent
    /// again.
    ///
    /// The device is delivered the revocation as well ([`Event::Delivered`](crate::Event::Delivered) with a
    /// [`Revocation`](tim_session::proto::message::Revocation) of its own origin), before or after this returns, also after a reset
    /// and if the response was lost. A firmware that removes the content and shows the revocation there, and not here, does it
    /// once.
    ///
    /// # Errors
    /// [`Error::Invalid`] with `MESSAGE_NOT_SENT`, or with `GROUP_NOT_ALLOW_REVOKE_MSG` for an online-only message; otherwise as
    /// [`Client::send_message`], for example [`Error::Refused`] with `MSG_REVOKE_TIME_LIMIT` after two minutes.
    pub async fn revoke_message<P>(&self, message: &Message<'_, P>) -> Result<(), Error> {
        if message.envelope.sequence == 0 {
            let was_passed_on = message.envelope.flags.contains(MessageFlags::ONLINE_ONLY);
            return Err(Error::Invalid(if was_passed_on {
                ErrorCode::GROUP_NOT_ALLOW_REVOKE_MSG
            } else {
                ErrorCode::MESSAGE_NOT_SENT
            }));
        }
        let request = Revoke::new(
            message.conversation_of(&self.shared.ids.user),
            message.envelope.sequence,
        )
        .with_message(message.id);
        self.call(&request, |_| ()).await
    }

    /// `getMessageList`: passes a page of a conversation's history to `on_page`, oldest message first; without `next`, the
    /// newest page. A page has at most `count` messages (0: 15), and no more than fit into a frame. Returns the position of the
    /// older page, or `None` on the oldest page.
    ///
    /// # Errors
    /// As [`Client::send_message`].
    pub async fn get_message_list(
        &self,
        conversation: impl Into<ConversationId>,
        next: Option<&NextReqMessageId>,
        count: u16,
        on_page: impl FnOnce(&HistoryResponse<'_>),
    ) -> Result<Option<NextReqMessageId>, Error> {
        let request = History::new(conversation.into())
            .with_next(next.map_or(&[], NextReqMessageId::as_slice))
            .with_count(count);
        self.call(&request, |page| {
            let next = match page.completed || page.next.is_empty() {
                true => None,
                false => Some(NextReqMessageId::new(page.next).ok_or(Error::Protocol)?),
            };
            on_page(page);
            Ok(next)
        })
        .await?
    }

    /// `setMessageRead`: marks all messages of a conversation as read, on all devices of the account.
    ///
    /// # Errors
    /// As [`Client::send_message`].
    pub async fn set_message_read(
        &self,
        conversation: impl Into<ConversationId>,
    ) -> Result<MarkReadResponse, Error> {
        let request = MarkRead::new(conversation.into());
        self.call(&request, |marked| *marked).await
    }

    /// `getConversationList`: passes a page of the conversation list to `on_list`, newest first. A page has at most `count`
    /// conversations (0: the hub's maximum), and no more than fit into a frame. With an empty `next` it is the first page; the
    /// next page starts at [`ConversationsResponse::next`].
    ///
    /// # Errors
    /// As [`Client::send_message`].
    pub async fn get_conversation_list<R>(
        &self,
        next: &[u8],
        count: u16,
        on_list: impl FnOnce(&ConversationsResponse<'_>) -> R,
    ) -> Result<R, Error> {
        self.call(&Conversations::new().with_next(next).with_count(count), on_list)
            .await
    }

    /// `getConversationProfile`: passes the conversation's list entry and the profile of its group or user to `on_profile`.
    ///
    /// # Errors
    /// As [`Client::send_message`].
    pub async fn get_conversation_profile<R>(
        &self,
        conversation: impl Into<ConversationId>,
        on_profile: impl FnOnce(&ConversationProfile<'_>) -> R,
    ) -> Result<R, Error> {
        let conversation = conversation.into();
        let request = GetConversationProfile::new(conversation);
        self.call(&request, on_profile).await
    }

    /// `deleteConversation`: removes a conversation from the list. Its messages are kept and marked as read; a new message
    /// returns it to the list.
    ///
    /// # Errors
    /// As [`Client::send_message`].
    pub async fn delete_conversation(&self, conversation: impl Into<ConversationId>) -> Result<(), Error> {
        let conversation = conversation.into();
        let request = DeleteConversation::new(conversation);
        self.call(&request, |_| ()).await
    }

    /// Fetches a piece of the payload of a message that was delivered as a stub, and passes it to `on_piece`: the bytes from
    /// `offset` on, as many as fit into a frame.
    ///
    /// # Errors
    /// As [`Client::send_message`].
    pub async fn fetch<R>(
        &self,
        conversation: impl Into<ConversationId>,
        sequence: u64,
        offset: u32,
        on_piece: impl FnOnce(&FetchResponse<'_>) -> R,
    ) -> Result<R, Error> {
        let request = Fetch::new(conversation.into(), sequence, offset, self.shared.fetch_piece);
        self.call(&request, on_piece).await
    }

    /// Fetches the whole payload of a message that was delivered as a stub into `payload`, piece by piece, and returns its
    /// length. [`Payload::decode`] decodes it.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if it is longer than `payload`; else as [`Client::send_message`].
    pub async fn fetch_message(
        &self,
        conversation: impl Into<ConversationId>,
        sequence: u64,
        payload: &mut [u8],
    ) -> Result<usize, Error> {
        let (conversation, mut have) = (conversation.into(), 0);
        loop {
            let rest = payload.get_mut(have..).unwrap_or_default();
            let (total, len) = self
                .fetch(conversation, sequence, have as u32, |piece| {
                    for (to, from) in rest.iter_mut().zip(piece.bytes) {
                        *to = *from;
                    }
                    (piece.total as usize, piece.bytes.len())
                })
                .await?;
            if total > payload.len() {
                return Err(Error::TooLarge {
                    len: total,
                    max: payload.len(),
                });
            }
            have = have.saturating_add(len);
            if have >= total {
                return Ok(total);
            }
            if len == 0 {
                return Err(Error::Protocol);
            }
        }
    }
}
