//! Revoking a message instance. The application is told by the call or by the event; the delivery of the revocation, whose
//! cursor the application may keep, waits for whichever it is.

use std::sync::Weak;

use super::Message;

impl Message {
    /// A call begins to revoke the message. `caller` is alive as long as somebody waits for the result.
    pub(crate) fn begin_revoking(&self, caller: Weak<()>) -> Revoking {
        self.state().revoking += 1;
        let message = self.clone();
        Revoking { message, caller }
    }

    /// Whether a call that revokes the message has no response yet.
    pub(crate) fn is_being_revoked(&self) -> bool {
        self.state().revoking > 0
    }

    /// This device's revocation of the message was delivered.
    pub(crate) fn own_revocation_arrived(&self) {
        self.state().own_revocation_arrived = true;
    }

    /// Whether a call has told the application that the message is revoked.
    pub(crate) fn is_told_by_call(&self) -> bool {
        self.state().told_by_call
    }
}

/// A call that is revoking a message, until its response has been processed.
pub(crate) struct Revoking {
    message: Message,
    caller: Weak<()>,
}

impl Revoking {
    pub(crate) const fn message(&self) -> &Message {
        &self.message
    }

    /// Whether the hub has delivered this device's revocation: then it has happened, whatever the response is.
    pub(crate) fn is_done(&self) -> bool {
        self.message.state().own_revocation_arrived
    }

    /// The call has succeeded. Returns whether anybody is told by it.
    pub(crate) fn succeeded(&self) -> bool {
        let is_told = self.caller.strong_count() > 0;
        self.message.state().told_by_call |= is_told;
        is_told
    }
}

impl Drop for Revoking {
    fn drop(&mut self) {
        let mut state = self.message.state();
        state.revoking = state.revoking.saturating_sub(1);
    }
}
