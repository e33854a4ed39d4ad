//! `create…Message`: instances that can be shown at once and sent later. Nothing leaves the device here.

use tim_proto::message::{Custom, Envelope, Face, Mentions, Payload, Text};
use tim_proto::planted::{self, Fault};
use tim_proto::wire::{Extensions, List, encoded_len};
use tim_proto::{ConversationId, ErrorCode, MessageId, UserId};

use crate::client::Client;
use crate::files::Attachment;
use crate::{ImError, MENTION_ALL, Message};

/// The maximum length of the tag and length before mentions, in bytes.
const MENTIONS_HEADER: usize = 16;

impl Client {
    /// `createTextMessage`: a text to a user or group. [`Message::with_priority`] changes its priority.
    ///
    /// # Errors
    /// - [`ErrorCode::MESSAGE_SEND_INVALID_CONVERSATION_TYPE`] for the system conversation;
    /// - [`ErrorCode::USER_NOT_LOGGED_IN`] before the first login, since ids contain the account number;
    /// - [`ErrorCode::COMM_BODY_SIZE_LIMIT`] if it exceeds the limits (12 KiB), which the hub checks too.
    ///
    /// ```no_run
    /// # async fn example(client: tim_client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use tim_client::{Priority, UserId};
    /// let message = client.create_text_message(UserId::new("bob")?, "Hello world!")?.with_priority(Priority::HIGH)?;
    /// client.send_message(&message, Default::default()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn create_text_message(&self, to: impl Into<ConversationId>, text: &str) -> Result<Message, ImError> {
        self.create_message(to, Text::new(text))
    }

    /// `createTextAtMessage`: a text to a group that mentions members; [`MENTION_ALL`] mentions everybody. Their conversation
    /// lists it in `group_at_info_list` until they have read it. In a one-to-one conversation the mentions are not sent.
    ///
    /// # Errors
    /// As [`Client::create_text_message`]; mentions count as part of the length. Sending fails with 10007 if a member mentions
    /// everybody without the right to.
    ///
    /// ```no_run
    /// # fn example(client: &tim_client::Client, group: tim_client::GroupId) -> Result<(), Box<dyn std::error::Error>> {
    /// use tim_client::{MENTION_ALL, UserId};
    /// let one = client.create_text_at_message(group, "@bob your turn", &[UserId::new("bob")?])?;
    /// let all = client.create_text_at_message(group, "@all lunch", &[MENTION_ALL])?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn create_text_at_message(
        &self,
        to: impl Into<ConversationId>,
        text: &str,
        at_user_list: &[UserId],
    ) -> Result<Message, ImError> {
        let to = to.into();
        let users: Vec<UserId> = at_user_list
            .iter()
            .filter(|user| **user != MENTION_ALL)
            .copied()
            .collect();
        let mentions = Mentions::new()
            .with_users(List::from_slice(&users))
            .with_all(users.len() < at_user_list.len());
        let mut buffer = vec![0; encoded_len(&mentions) + MENTIONS_HEADER];
        let extensions = if at_user_list.is_empty() || !matches!(to, ConversationId::Group(_)) {
            Extensions::NONE
        } else {
            mentions
                .write(&mut buffer)
                .map_err(|_| ErrorCode::COMM_BODY_SIZE_LIMIT)?
        };
        self.create(to, Text::new(text).into(), extensions, None)
    }

    /// `createCustomMessage`: content that only applications interpret.
    ///
    /// # Errors
    /// As [`Client::create_text_message`].
    pub fn create_custom_message(
        &self,
        to: impl Into<ConversationId>,
        custom: Custom<'_>,
    ) -> Result<Message, ImError> {
        self.create_message(to, custom)
    }

    /// `createFaceMessage`: a sticker. The application defines the meaning of `index`.
    ///
    /// # Errors
    /// As [`Client::create_text_message`].
    pub fn create_face_message(
        &self,
        to: impl Into<ConversationId>,
        index: u32,
        data: &str,
    ) -> Result<Message, ImError> {
        self.create_message(to, Face::new(index).with_data(data))
    }

    /// A message with any payload that can be sent; the basis of the other create calls.
    ///
    /// # Errors
    /// As [`Client::create_text_message`]; [`ErrorCode::UNSUPPORTED_PLATFORM`] for a kind that cannot be created on this
    /// platform; and the code of [`Limits::check_message`](crate::Limits::check_message) for an image, audio, video or file
    /// over the limits of its kind.
    pub fn create_message<'a>(
        &self,
        to: impl Into<ConversationId>,
        payload: impl Into<Payload<'a>>,
    ) -> Result<Message, ImError> {
        self.create(to.into(), payload.into(), Extensions::NONE, None)
    }

    pub(crate) fn create(
        &self,
        to: ConversationId,
        payload: Payload<'_>,
        extensions: Extensions<'_>,
        attachment: Option<Attachment>,
    ) -> Result<Message, ImError> {
        if !matches!(to, ConversationId::C2c(_) | ConversationId::Group(_)) {
            return Err(ErrorCode::MESSAGE_SEND_INVALID_CONVERSATION_TYPE.into());
        }
        self.shared.capabilities.check(payload.kind())?;
        self.shared
            .limits
            .check_message(&payload, encoded_len(&payload), extensions)
            .map_err(|over| ImError::new(over.code, over.to_string()))?;
        let account = self.shared.account();
        if account == 0 {
            return Err(ErrorCode::USER_NOT_LOGGED_IN.into());
        }
        let now = self.shared.unix_seconds();
        let client_time = match planted::is(Fault::IdsDrawnAgain) {
            true => now - now % 3600,
            false => now,
        };
        let message = Message::created(
            &tim_proto::Message::new(
                Envelope::new(self.shared.user)
                    .with_time(now)
                    .with_origin(self.shared.device),
                to,
                MessageId {
                    sender: account,
                    client_time,
                    random: self.shared.draw_random(),
                },
                payload,
            )
            .with_client_sequence(u64::from(self.shared.draw_sequence()))
            .with_extensions(extensions),
            attachment,
        );
        self.shared.messages.register(&message);
        Ok(message)
    }
}
