//! `sendMessage`, `resendMessage`, `revokeMessage`.

use std::sync::Arc;
use std::time::Duration;

use tim_proto::request::{self, Revoke, SendResponse};
use tim_proto::{ErrorCode, MAX_SUCCESSORS};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::actor::Command;
use crate::call::{call, encoded};
use crate::client::Client;
use crate::message::InFlight;
use crate::state::State;
use crate::{Flow, ImError, Message, SendOptions, Status};

/// The response of [`Client::send_message`], [`Client::resend_message`] and [`Client::revoke_message`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SendMessageResponse {
    /// The instance that was passed in, in its new state.
    pub message: Message,
}

impl Client {
    /// `sendMessage`: sends a message that a create call of this client made. The hub stores it once, however often the
    /// connection is lost meanwhile, and it is durable when this returns. The instance shows the result: status, time,
    /// sequence.
    ///
    /// Transient refusals, such as too many messages in a second, are retried for [`SendOptions::retry_for`]; meanwhile
    /// [`Message::refusal`] is the last one.
    ///
    /// # Errors
    /// The status becomes `Fail`, and [`Client::resend_message`] can send the message again:
    /// - at once, if the client is not ready ([`ErrorCode::SDK_IS_NOT_READY`] and similar codes);
    /// - [`ErrorCode::NETWORK_TIMEOUT`] if no response arrived in time, and [`ErrorCode::OUTCOME_UNKNOWN`] if it was sent more than
    ///   once and refused for the moment in the end, although the hub may have accepted the message;
    /// - [`ErrorCode::MESSAGE_FILE_SELECT_FILE_FIRST`], or [`ErrorCode::MESSAGE_IMAGE_SELECT_FILE_FIRST`] for a picture, if the file that
    ///   it carries cannot be read any more or has become shorter;
    /// - [`ErrorCode::MESSAGE_FILE_URL_IS_EMPTY`] for a custom message whose fields are all empty, and for an empty file;
    /// - the hub's refusal.
    ///
    /// If the hub has another message under the id ([`ErrorCode::MESSAGE_ID_REUSED`]), the client sends this one again under
    /// a new id, up to three times; [`Message::id`] returns the new one.
    ///
    /// The status is unchanged and nothing is sent:
    /// - [`ErrorCode::MESSAGE_SEND_NEED_MESSAGE_INSTANCE`] if the message does not belong to the account of this client;
    /// - [`ErrorCode::INVALID_OPERATION`] if it was sent already, is being sent, or was revoked;
    /// - [`ErrorCode::COMM_BODY_SIZE_LIMIT`] if the texts of [`SendOptions::offline_push`] have more than
    ///   [`MAX_OFFLINE_PUSH_BYTES`](tim_proto::message::MAX_OFFLINE_PUSH_BYTES);
    /// - [`ErrorCode::ONLINE_ONLY_NOT_ALLOWED`] for an online-only message to a group that this client knows to be an
    ///   AVChatRoom; for others the hub refuses it.
    pub async fn send_message(
        &self,
        message: &Message,
        options: SendOptions,
    ) -> Result<SendMessageResponse, ImError> {
        if options.online_user_only && self.shared.av_chat_rooms.contains(&message.conversation_id()) {
            return Err(ErrorCode::ONLINE_ONLY_NOT_ALLOWED.into());
        }
        if let Some(push) = &options.offline_push {
            let checked = push.as_borrowed().check();
            checked.map_err(|over| ImError::new(over.code, over.to_string()))?;
        }
        self.send_with(message, |message| message.begin_sending(options))
            .await
    }

    /// `resendMessage`: sends a message again after sending has failed, with the same options and the same id. If the hub
    /// already has it, it is not stored twice.
    ///
    /// # Errors
    /// [`ErrorCode::MESSAGE_NOT_FAILED`] unless the status is `Fail`; otherwise as [`Client::send_message`].
    pub async fn resend_message(&self, message: &Message) -> Result<SendMessageResponse, ImError> {
        self.send_with(message, Message::begin_resending).await
    }

    async fn send_with(
        &self,
        message: &Message,
        begin: impl FnOnce(&Message) -> Result<InFlight, ImError>,
    ) -> Result<SendMessageResponse, ImError> {
        if message.flow() != Flow::Out || message.id().sender != self.shared.account() {
            return Err(ErrorCode::MESSAGE_SEND_NEED_MESSAGE_INSTANCE.into());
        }
        let mut retries = Retries::new();
        let mut may_have_arrived = false;
        let mut result = self.try_to_send(message, || begin(message)).await;
        while let Err(error) = &result {
            may_have_arrived |= is_unknown(error);
            let options = message.options();
            let Some(wait) = retries.next(error, options.retry_for, message.id().random) else {
                break;
            };
            // It counts as being sent between two attempts too.
            let Some(in_flight) = message.begin_retrying() else {
                break;
            };
            message.set_refusal(Some(error.clone()));
            tokio::time::sleep(wait).await;
            result = self.try_to_send(message, || Ok(in_flight)).await;
        }
        // A refusal for the moment says nothing about the attempts before it.
        let says_all = |error: &ImError| is_unknown(error) || !error.code.is_transient();
        result.map_err(|error| match may_have_arrived && !says_all(&error) {
            true => error.with_code(ErrorCode::OUTCOME_UNKNOWN),
            false => error,
        })
    }

    async fn try_to_send(
        &self,
        message: &Message,
        begin: impl FnOnce() -> Result<InFlight, ImError>,
    ) -> Result<SendMessageResponse, ImError> {
        // The status changes only once it is certain that the task will get the message.
        let mut permit = self.commands.reserve().await.map_err(|_| ImError::ended())?;
        let mut in_flight = begin()?;
        if !message.has_content() {
            return Err(ErrorCode::MESSAGE_FILE_URL_IS_EMPTY.into());
        }
        if message.attachment().is_some() {
            drop(permit);
            self.upload(message).await?;
            permit = self.commands.reserve().await.map_err(|_| ImError::ended())?;
        }
        for successors in 0.. {
            let (reply, result) = oneshot::channel();
            let finish = |state: &mut State, response: Result<SendResponse<'_>, ImError>| {
                finish_sending(state, in_flight, response)
            };
            permit.send(Command::Call(call::<request::Send<'_>, _>(
                message.outgoing(),
                finish,
                reply,
            )));
            match result.await.unwrap_or_else(|_| Err(ImError::ended()))? {
                Attempt::Done(response) => return Ok(response),
                Attempt::IdReused(again, error) if successors < MAX_SUCCESSORS => {
                    permit = self.commands.reserve().await.map_err(|_| error)?;
                    self.shared.messages.renew_id(message);
                    in_flight = again;
                }
                Attempt::IdReused(_, error) => return Err(error),
            }
        }
        Err(ErrorCode::MESSAGE_ID_REUSED.into())
    }

    /// `revokeMessage`: revokes a message. On success [`Message::is_revoked`] is true, and the other devices get
    /// [`Event::MessageRevoked`](crate::Event::MessageRevoked). This client publishes that event only if the response
    /// is lost or nobody waits for it. The hub removes the content for good; an instance of an own
    /// message keeps it, so that an application can offer to edit it and to send it again. In a group, the owner and the
    /// admins may revoke messages of members of lower rank.
    ///
    /// # Errors
    /// [`ErrorCode::MESSAGE_NOT_SENT`] for a message that was not sent; [`ErrorCode::GROUP_NOT_ALLOW_REVOKE_MSG`] for one that
    /// is not stored (online-only, AVChatRoom); [`ErrorCode::ALREADY_REVOKED`]; or the hub's refusal, for example
    /// [`ErrorCode::MSG_REVOKE_TIME_LIMIT`] after two minutes.
    pub async fn revoke_message(&self, message: &Message) -> Result<SendMessageResponse, ImError> {
        if message.status() != Status::Success {
            return Err(ErrorCode::MESSAGE_NOT_SENT.into());
        }
        if message.sequence() == 0 {
            return Err(ImError::new(
                ErrorCode::GROUP_NOT_ALLOW_REVOKE_MSG,
                "the message was delivered without being stored, and cannot be revoked",
            ));
        }
        if message.is_revoked() {
            return Err(ErrorCode::ALREADY_REVOKED.into());
        }
        let (conversation, sequence) = (message.conversation_id(), message.sequence());
        let request = encoded(&Revoke::new(conversation, sequence).with_message(message.id()));
        let caller = Arc::new(());
        let revoking = message.begin_revoking(Arc::downgrade(&caller));
        self.call_with(request, move |state, response| {
            state.revoke_done(&revoking, response.map(|response| response.sequence))
        })
        .await?;
        Ok(SendMessageResponse {
            message: message.clone(),
        })
    }
}

/// Whether it is not known what became of an attempt.
const fn is_unknown(error: &ImError) -> bool {
    matches!(
        error.code,
        ErrorCode::NETWORK_TIMEOUT | ErrorCode::OUTCOME_UNKNOWN
    )
}

/// The outcome of sending a message once.
enum Attempt {
    Done(SendMessageResponse),
    /// The hub has another message under its id. It is still being sent.
    IdReused(InFlight, ImError),
}

/// When a message that was refused is sent again automatically.
struct Retries {
    begun: Instant,
    /// The shortest interval, so that many messages that are refused together do not all return at once.
    least: Duration,
}

impl Retries {
    const FIRST: Duration = Duration::from_millis(100);
    const MOST: Duration = Duration::from_secs(5);
    /// After a refusal without a retry-after time.
    const DEFAULT: Duration = Duration::from_millis(500);

    fn new() -> Self {
        Self {
            begun: Instant::now(),
            least: Duration::ZERO,
        }
    }

    /// How long to wait before the next attempt; `None` if there is none.
    fn next(&mut self, error: &ImError, retry_for: Duration, random: u32) -> Option<Duration> {
        if retry_for.is_zero() || !error.code.is_transient() {
            return None;
        }
        // Spread by up to a quarter.
        let spread = self.least * (random % 64) / 256;
        let asked = error.retry_after().unwrap_or(Self::DEFAULT);
        let wait = asked.max(self.least.saturating_add(spread));
        self.least = (self.least * 2).clamp(Self::FIRST, Self::MOST);
        let in_time = self.begun.elapsed().saturating_add(wait) <= retry_for;
        in_time.then_some(wait)
    }
}

fn finish_sending(
    state: &mut State,
    in_flight: InFlight,
    response: Result<SendResponse<'_>, ImError>,
) -> Result<Attempt, ImError> {
    match response {
        Ok(response) => {
            let message = in_flight.message().clone();
            in_flight.succeeded(&response);
            state.take_message(&message, false);
            Ok(Attempt::Done(SendMessageResponse { message }))
        }
        Err(error) if error.code == ErrorCode::MESSAGE_ID_REUSED => Ok(Attempt::IdReused(in_flight, error)),
        Err(error) => Err(error),
    }
}
