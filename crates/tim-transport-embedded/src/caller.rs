//! What both drivers do with a message. They differ in how they wait for a response: a future for it costs the polled device half a
//! kilobyte of flash, so what they share here does not wait.

use tim_session::proto::message::PayloadBody;
use tim_session::proto::request::{Send, SendResponse};
use tim_session::proto::{ErrorCode, MAX_SUCCESSORS, Message, MessageId, UserId};

use crate::Error;
use crate::ids::Ids;

/// What makes calls: a [`Client`](crate::Client) or a [`PolledDevice`](crate::PolledDevice).
pub(crate) trait Caller {
    /// What goes into new messages.
    fn ids(&self) -> &Ids;

    /// Why requests are not accepted now.
    fn refusal(&self) -> Error;

    /// An error for a message that was not created for this device.
    fn check_own(&self, id: MessageId, from: UserId) -> Result<(), Error> {
        self.ids().check_own(id, from, || self.refusal())
    }

    /// The same for a message that was kept.
    fn check_kept(&self, id: MessageId) -> Result<(), Error> {
        self.check_own(id, self.ids().user).map_err(|error| match error {
            Error::Invalid(_) => Error::OtherAccount,
            other => other,
        })
    }
}

/// The attempts to send a message: under its own id, and under the next ones if the hub has another message under it.
#[derive(Default)]
pub(crate) struct Attempts(u32);

impl Attempts {
    /// What has come of a message; `None` if it is to be sent again, under its next id.
    pub(crate) fn end(
        &mut self,
        outcome: Result<SendResponse<'static>, Error>,
        message: &mut Message<'_, impl PayloadBody>,
    ) -> Option<Result<SendResponse<'static>, Error>> {
        if self.is_taken(&outcome) {
            message.id = message.id.successor(message.envelope.origin);
            return None;
        }
        if let Ok(answer) = &outcome {
            message.envelope.sequence = answer.sequence;
            message.envelope.time = answer.time;
        }
        Some(outcome)
    }

    /// The same for a message from its record.
    pub(crate) fn end_of_kept(
        &mut self,
        outcome: Result<SendResponse<'static>, Error>,
        send: &mut Send<'_>,
        device: u64,
    ) -> Option<Result<SendResponse<'static>, Error>> {
        if self.is_taken(&outcome) {
            send.content.id = send.content.id.successor(device);
            return None;
        }
        Some(outcome)
    }

    fn is_taken(&mut self, outcome: &Result<SendResponse<'static>, Error>) -> bool {
        let is_taken = matches!(
            outcome,
            Err(Error::Refused {
                code: ErrorCode::MESSAGE_ID_REUSED,
                ..
            })
        );
        let is_next = is_taken && self.0 < MAX_SUCCESSORS;
        self.0 += u32::from(is_next);
        is_next
    }
}

/// The response to SEND. The device does not request sender names; extensions of later hubs are ignored.
pub(crate) const fn stored(response: &SendResponse<'_>) -> SendResponse<'static> {
    SendResponse::new(response.sequence, response.time).with_duplicate(response.duplicate)
}
