//! The documented calls that make sense on a device.

use tim_session::proto::conversation::ConversationProfile;
use tim_session::proto::message::{Body, Custom, Envelope, Face, Payload, SendOptions, Text, flags};
use tim_session::proto::request::{
    Conversations, ConversationsResponse, DeleteConversation, Fetch, FetchResponse, GetConversationProfile,
    History, HistoryResponse, MarkRead, MarkReadResponse, Revoke, SendMessage, SendResponse,
};
use tim_session::proto::wire::Extensions;
use tim_session::proto::{ConversationId, ErrorCode, MAX_SUCCESSORS, Message, MessageId, Priority};

use crate::{Client, Error};

/// The longest `nextReqMessageID` that is kept, in bytes.
const MAX_NEXT_LEN: usize = 16;

/// Where a page of history ended (`nextReqMessageID`): what to ask for the next, older one with.
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

impl<'m> Client<'m> {
    /// `createTextMessage` (S26-S28). Nothing leaves the device here (S11).
    ///
    /// # Errors
    /// As [`Client::create_message`].
    pub fn create_text_message<'a>(
        &self,
        to: impl Into<ConversationId>,
        text: &'a str,
    ) -> Result<Message<'a, Text<'a>>, Error> {
        self.make(to.into(), Text { text })
    }

    /// `createCustomMessage` (S56-S61): content that only applications understand.
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

    /// `createFaceMessage` (S74-S78): a sticker; what `index` means is the application's to say.
    ///
    /// # Errors
    /// As [`Client::create_message`].
    pub fn create_face_message<'a>(
        &self,
        to: impl Into<ConversationId>,
        index: u32,
        data: &'a str,
    ) -> Result<Message<'a, Face<'a>>, Error> {
        self.make(to.into(), Face { index, data })
    }

    /// A message with any payload; the calls above are made of this one. Its priority is the caller's to change before it is
    /// sent. Its time is the hub's, as the last login told it.
    ///
    /// # Errors
    /// [`Error::Invalid`] to the system conversation (S8); [`Error::NotReady`] before the first login, since ids carry the
    /// account's number.
    pub fn create_message<'a>(
        &self,
        to: impl Into<ConversationId>,
        payload: impl Into<Payload<'a>>,
    ) -> Result<Message<'a>, Error> {
        self.make(to.into(), payload.into())
    }

    /// A message that was made before a reset, to be sent again: with the id that it had then, so that the hub stores it once.
    /// The crate's page says what to keep, and for how long the hub remembers ids.
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

    fn make<'a, P>(&self, to: ConversationId, payload: P) -> Result<Message<'a, P>, Error> {
        let shared = self.shared;
        if !matches!(to, ConversationId::C2c(_) | ConversationId::Group(_)) {
            return Err(Error::Invalid(ErrorCode::MESSAGE_SEND_INVALID_CONVERSATION_TYPE));
        }
        if shared.account.get() == 0 {
            return Err(shared.refusal());
        }
        let time = shared.unix_time(self.now());
        Ok(Message {
            envelope: Envelope {
                sequence: 0,
                time,
                flags: 0,
                origin: shared.device,
                from: shared.user,
            },
            to,
            id: MessageId {
                sender: shared.account.get(),
                client_time: time,
                random: shared.draw_random(),
            },
            client_sequence: u64::from(shared.draw_sequence()),
            priority: Priority::NORMAL,
            payload,
            extensions: Default::default(),
        })
    }

    /// `sendMessage` (S79-S107): the hub has it once, however often the line is cut in between, and it is durable when this
    /// returns. The message then has its place and time.
    ///
    /// If the hub has another message under the id, this one is sent again under a new id, up to three times, and
    /// `message.id` is the new one. It is computed from the old one: a device that is reset meanwhile, and sends the message
    /// under the id that it kept, comes to the same new id.
    ///
    /// # Errors
    /// [`Error::NotReady`] outside [`Client::is_ready`] (S83); [`Error::TooLarge`]; [`Error::Invalid`] for a message that
    /// this device did not make; [`Error::Refused`]; [`Error::TimedOut`] and [`Error::Ended`], after which
    /// [`Client::resend_message`] does no harm.
    pub async fn send_message(
        &self,
        message: &mut Message<'_, impl Body>,
    ) -> Result<SendResponse<'static>, Error> {
        self.send_message_with(message, SendOptions::default()).await
    }

    /// [`Client::send_message`] with options: only for those online now, how those offline are notified (S86-S104).
    ///
    /// # Errors
    /// As [`Client::send_message`].
    pub async fn send_message_with(
        &self,
        message: &mut Message<'_, impl Body>,
        options: SendOptions<'_>,
    ) -> Result<SendResponse<'static>, Error> {
        if message.id.sender != self.shared.account.get() || message.envelope.from != self.shared.user {
            return Err(Error::Invalid(ErrorCode::MESSAGE_SEND_NEED_MESSAGE_INSTANCE));
        }
        let mut successors = 0;
        loop {
            let request = SendMessage {
                options,
                message: &*message,
            };
            // The device does not ask for its own names; what else a later hub says here is skipped.
            let stored = |response: SendResponse<'_>| SendResponse {
                extensions: Extensions::NONE,
                ..response
            };
            match self.call(&request, stored).await {
                Err(Error::Refused(ErrorCode::MESSAGE_ID_REUSED)) if successors < MAX_SUCCESSORS => {
                    successors += 1;
                    message.id = message.id.successor(message.envelope.origin);
                }
                Ok(answer) => {
                    message.envelope.sequence = answer.sequence;
                    message.envelope.time = answer.time;
                    return Ok(answer);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// `resendMessage` (S124-S128): sends a message again whose sending failed. Its id stays the same, so if the hub has it
    /// already, it stays there once, and [`SendResponse::duplicate`] says so.
    ///
    /// # Errors
    /// As [`Client::send_message`].
    pub async fn resend_message(
        &self,
        message: &mut Message<'_, impl Body>,
    ) -> Result<SendResponse<'static>, Error> {
        self.send_message(message).await
    }

    /// `revokeMessage` (S108-S123): takes a message back. It must have its place in the conversation: one that was sent or
    /// delivered has it, and one that was restored has it when it was sent again.
    ///
    /// # Errors
    /// [`Error::Invalid`] with `MESSAGE_NOT_SENT` (S109), or with `GROUP_NOT_ALLOW_REVOKE_MSG` for one that is stored nowhere; else as [`Client::send_message`], such as [`Error::Refused`] with
    /// `MSG_REVOKE_TIME_LIMIT` after two minutes (S112).
    pub async fn revoke_message<P>(&self, message: &Message<'_, P>) -> Result<(), Error> {
        if message.envelope.sequence == 0 {
            let was_passed_on = message.envelope.flags & flags::ONLINE_ONLY != 0;
            return Err(Error::Invalid(if was_passed_on {
                ErrorCode::GROUP_NOT_ALLOW_REVOKE_MSG
            } else {
                ErrorCode::MESSAGE_NOT_SENT
            }));
        }
        let request = Revoke {
            conversation: message.conversation_of(&self.shared.user),
            sequence: message.envelope.sequence,
            message: message.id,
            reason: "",
        };
        self.call(&request, |_| ()).await
    }

    /// `getMessageList` (S171-S180): hands a page of a conversation's history to `on_page`, oldest message first; the newest
    /// page without `next`. A page has at most `count` messages (0: 15), and no more than fit into a frame. Returns what to
    /// ask for the older page with, or `None` if there is nothing older.
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
        let request = History {
            conversation: conversation.into(),
            next: next.map_or(&[], NextReqMessageId::as_slice),
            count,
        };
        self.call(&request, |page| {
            let next = match page.completed || page.next.is_empty() {
                true => None,
                false => Some(NextReqMessageId::new(page.next).ok_or(Error::Protocol)?),
            };
            on_page(&page);
            Ok(next)
        })
        .await?
    }

    /// `setMessageRead` (S181-S186): all of a conversation's messages are read, on all devices of the account.
    ///
    /// # Errors
    /// As [`Client::send_message`].
    pub async fn set_message_read(
        &self,
        conversation: impl Into<ConversationId>,
    ) -> Result<MarkReadResponse, Error> {
        let request = MarkRead {
            conversation: conversation.into(),
            sequence: 0,
        };
        self.call(&request, |marked| marked).await
    }

    /// `getConversationList` (S187-S195): hands a page of the conversations to `on_list`, newest first, `count` at the most
    /// (0: as many as the hub gives) and no more than fit into a frame. Without `next` it is the newest page; the page
    /// behind one is asked for with its [`ConversationsResponse::next`].
    ///
    /// # Errors
    /// As [`Client::send_message`].
    pub async fn get_conversation_list<R>(
        &self,
        next: &[u8],
        count: u16,
        on_list: impl FnOnce(&ConversationsResponse<'_>) -> R,
    ) -> Result<R, Error> {
        self.call(&Conversations { next, count }, |list| on_list(&list))
            .await
    }

    /// `getConversationProfile` (S196-S201): hands the list's entry, and all about the group or the user, to `on_profile`.
    ///
    /// # Errors
    /// As [`Client::send_message`].
    pub async fn get_conversation_profile<R>(
        &self,
        conversation: impl Into<ConversationId>,
        on_profile: impl FnOnce(&ConversationProfile<'_>) -> R,
    ) -> Result<R, Error> {
        let conversation = conversation.into();
        let request = GetConversationProfile { conversation };
        self.call(&request, |profile| on_profile(&profile)).await
    }

    /// `deleteConversation` (S202-S208): takes a conversation off the list. Its messages stay, as read ones, and with the
    /// next one it is back.
    ///
    /// # Errors
    /// As [`Client::send_message`].
    pub async fn delete_conversation(&self, conversation: impl Into<ConversationId>) -> Result<(), Error> {
        let conversation = conversation.into();
        let request = DeleteConversation { conversation };
        self.call(&request, |_| ()).await
    }

    /// Hands a piece of the payload of a message that came as a stub to `on_piece`: the bytes from `offset` on, as many as fit
    /// into a frame.
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
        let request = Fetch {
            conversation: conversation.into(),
            sequence,
            offset,
            len: self.shared.fetch_piece,
        };
        self.call(&request, |piece| on_piece(&piece)).await
    }

    /// Fetches the whole payload of a message that came as a stub, piece by piece, into `payload`, and returns its length.
    /// [`Payload::decode`] reads it.
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
