//! Sending a message instance.

use tim_proto::message::{Content, MessageFlags, tags, to_vec};
use tim_proto::request::{self, SendResponse};
use tim_proto::wire::{Encode, Extensions, Nested, Writer};
use tim_proto::{ErrorCode, MessageId, Priority};

use super::instance::State;
use super::{Message, Status};
use crate::{ImError, SendOptions};

impl Message {
    /// Sending begins, with these options.
    pub(crate) fn begin_sending(&self, options: SendOptions) -> Result<InFlight, ImError> {
        let mut state = self.state();
        let refused = |text: &str| Err(ImError::new(ErrorCode::INVALID_OPERATION, text));
        if state.sending {
            return refused("the message is being sent already");
        }
        if state.status == Status::Success {
            return refused("the message was sent already");
        }
        not_revoked(&state)?;
        state.options = options;
        state.refusal = None;
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

    /// Sending that has just failed begins again automatically. `None` if another call was faster.
    pub(crate) fn begin_retrying(&self) -> Option<InFlight> {
        let mut state = self.state();
        if state.status != Status::Fail || state.sending {
            return None;
        }
        state.sending = true;
        state.status = Status::UnSend;
        Some(InFlight(self.clone()))
    }

    /// Sending it has failed for the moment, or `None`: it has come further since.
    pub(crate) fn set_refusal(&self, refusal: Option<ImError>) {
        self.state().refusal = refusal.map(Box::new);
    }

    pub(crate) fn options(&self) -> SendOptions {
        self.state().options.clone()
    }

    /// Whether the message has content to send.
    pub(crate) fn has_content(&self) -> bool {
        self.0.has_content
    }

    /// The body of a SEND request, with the id, priority and options that the message has now.
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

    /// The extensions that the sender wrote, if the hub has added others, as it does to a message that it has accepted
    /// without the sender's knowledge: it refuses its own extensions.
    fn own_extensions(&self) -> Option<Vec<u8>> {
        let written = self.as_written().header().content.extensions;
        let is_own = |tag| tag < tags::FIRST_OF_HUB;
        if written.iter().all(|extension| is_own(extension.tag)) {
            return None;
        }
        let own = written.iter().filter(|extension| is_own(extension.tag));
        Some(own.flat_map(|extension| to_vec(&extension)).collect())
    }
}

/// What remains of a revoked message must not be sent as a message: the hub has it.
fn not_revoked(state: &State) -> Result<(), ImError> {
    if !state.flags.contains(MessageFlags::REVOKED) {
        return Ok(());
    }
    let text = "the message reached the hub and was revoked";
    Err(ImError::new(ErrorCode::INVALID_OPERATION, text))
}

/// The body of a SEND request. The payload is copied from the instance as it was encoded when the message was created.
pub(crate) struct Outgoing {
    message: Message,
    id: MessageId,
    priority: Priority,
    options: SendOptions,
    own_extensions: Option<Vec<u8>>,
}

impl Encode for Outgoing {
    fn encode(&self, writer: &mut Writer<'_>) {
        let written = self.message.as_written().header().content;
        let own = self.own_extensions.as_deref().map(Extensions::new);
        let content = Content::new(written.to, self.id, written.kind, written.payload)
            .with_client_sequence(written.client_sequence)
            .with_priority(self.priority)
            .with_extensions(own.map_or(written.extensions, Result::unwrap_or_default));
        let options = Nested(self.options.as_borrowed());
        request::Send::new(content).with_options(options).encode(writer);
    }
}

/// A message that is being sent. Unless the outcome is recorded, sending has failed.
pub(crate) struct InFlight(Message);

impl InFlight {
    pub(crate) fn message(&self) -> &Message {
        &self.0
    }

    pub(crate) fn succeeded(self, response: &SendResponse<'_>) {
        self.0.take_names(response.extensions);
        if let Some(by) = response.revoked_by() {
            self.0.mark_revoked(&by);
        }
        let mut state = self.0.state();
        state.sequence = response.sequence;
        state.time = response.time;
        if state.options.online_user_only {
            state.flags |= MessageFlags::ONLINE_ONLY;
        }
        state.status = Status::Success;
        state.refusal = None;
        state.sending = false;
        drop(state);
        if let Some(attachment) = self.0.attachment() {
            attachment.release();
        }
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
