//! How a session ends: a GOODBYE of the hub, the end of the UserSig, or the client's own doing.

use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use tim_proto::ErrorCode;
use tim_proto::wire::FrameKind;
use tim_session::{CloseReason, Framing};
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::debug;

use super::backlog::Leaving;
use super::{Connection, Stage};
use crate::client_context::Due;
use crate::presence;
use crate::refusal::Refusal;

impl<L: AsyncRead + AsyncWrite + Unpin> Connection<L> {
    /// The hub stops: the session is to end.
    pub(crate) const fn stop(&mut self) {
        self.stopping = true;
    }

    /// Ends the session if the hub stops. A request that is on the read pool is answered first.
    pub(super) fn end_if_stopping(&mut self) -> bool {
        let is_due = self.stopping && !self.ending && !self.is_busy();
        if is_due {
            self.send_responses();
            self.goodbye(ErrorCode::SERVER_SHUTTING_DOWN, "");
        }
        is_due
    }

    /// Ends the session if the mailbox says so, as when a newer login took over. What can be answered is answered first: a request
    /// that is on the read pool, and the responses in the mailbox. One about which the application is asked is dropped if the user is kicked out. Registers for what comes into the mailbox.
    pub(super) fn end_if_told(&mut self, context: &Context<'_>) -> bool {
        let Stage::Online(online) = &self.stage else {
            return false;
        };
        let reason = {
            let mut mailbox = online.device().mailbox();
            self.is_active |= mailbox.register(context.waker());
            match online.may_end(&mailbox) {
                true => mailbox.take_close_reason(),
                false => None,
            }
        };
        let Some(reason) = reason else { return false };
        self.send_responses();
        self.goodbye(reason, "");
        true
    }

    /// Sends the responses in the mailbox, as far as there is capacity.
    fn send_responses(&mut self) {
        while self.has_capacity() {
            let Stage::Online(online) = &self.stage else {
                return;
            };
            let mut mailbox = online.device().mailbox();
            let Some(response) = mailbox.next_response() else {
                return;
            };
            let newest = response.change.max(mailbox.newest_answered());
            drop(mailbox);
            self.send_response(response, newest);
        }
    }

    /// Warns of the end of the UserSig, and ends the session then; whether anything was done.
    pub(super) fn watch_expiry(&mut self) -> bool {
        let session = self.io.session();
        let Stage::Online(online) = &mut self.stage else {
            return false;
        };
        let Some(client) = online.client.as_mut().filter(|_| session.is_online()) else {
            return false;
        };
        match client.expiry.due(self.services.steady_ms()) {
            Due::Nothing => false,
            Due::Warning(expiring) => {
                let is_sent = session.push(FrameKind::EXPIRING, &expiring).is_ok();
                if is_sent {
                    client.expiry.warned();
                }
                is_sent
            }
            Due::End => {
                self.goodbye(ErrorCode::KICKED_OUT_USERSIG_EXPIRED, "");
                true
            }
        }
    }

    /// Ends a connection on which nobody is logged in, if it is one that ends then; whether it did.
    pub(super) fn end_if_vacant(&mut self) -> bool {
        if self.vacant_since.is_none() {
            return false; // as a rule
        }
        let now = self.io.now();
        let max_vacancy = self.max_vacancy();
        let Some(since) = &mut self.vacant_since else {
            return false;
        };
        if matches!(self.stage, Stage::Online(_)) {
            *since = now;
            return false;
        }
        let is_due = now >= *since + max_vacancy;
        if is_due {
            debug!(peer = self.peer, "a serial port is silent");
            self.goodbye(ErrorCode::NETWORK_ERROR, "nobody has logged in");
            (self.port_ends, self.vacant_since) = (true, None);
        }
        is_due
    }

    /// How long a connection may be without a login, if it is one that ends then.
    pub(super) fn max_vacancy(&self) -> Duration {
        let config = &self.services.options.connection;
        config.keep_alive + config.keep_alive_timeout
    }

    /// Says why the connection ends, if there is capacity for that, and ends it.
    pub(super) fn goodbye(&mut self, code: ErrorCode, text: &str) {
        self.io.session().goodbye(&Refusal::new(code, text).failure());
        self.ending = true;
    }

    pub(super) fn close(&mut self, reason: CloseReason) {
        match reason {
            CloseReason::Violation(code) => self.note_violation(code),
            CloseReason::LineLost => {
                debug!("packets were lost on a serial port; its client begins a new session")
            }
            _ => {}
        }
        let ended = match std::mem::replace(&mut self.stage, Stage::Anonymous) {
            Stage::Online(online) => {
                let device = Arc::clone(online.device());
                self.services.metrics.session_ended(reason);
                online.seat.leave(leaving(reason), reason);
                Some(device)
            }
            _ => None,
        };
        let port_ends = self.port_ends || reason == CloseReason::Goodbye(ErrorCode::SERVER_SHUTTING_DOWN);
        if self.framing == Framing::Serial && !port_ends {
            // The port outlives the session.
            self.place.end_login();
            (self.ending, self.stuck) = (false, None);
            let now = self.io.now();
            self.io.session().begin_again(now);
        } else {
            // What it has not read yet still counts.
            if let Some(device) = ended {
                self.stage = Stage::Leaving(Box::new(Leaving::new(&self.services, device)));
            }
            self.closing = true;
            self.wake = Some(self.io.now() + self.services.options.connection.keep_alive_timeout);
        }
    }

    fn note_violation(&self, code: ErrorCode) {
        let events = &self.services.events;
        if let Some(suppressed) = events.protocol_violations.take(self.services.steady_ms()) {
            let user = match &self.stage {
                Stage::Online(online) => Some(online.device().user()),
                _ => None,
            };
            debug!(peer = self.peer, ?user, %code, suppressed, "a client broke the protocol");
        }
    }
}

/// How a device goes offline. A cut is what neither the client nor the hub wanted: the client comes back.
const fn leaving(reason: CloseReason) -> presence::Leaving {
    match reason {
        CloseReason::TimedOut
        | CloseReason::LineLost
        | CloseReason::Superseded
        | CloseReason::Goodbye(ErrorCode::STORAGE_FAILED | ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR) => {
            presence::Leaving::Cut
        }
        _ => presence::Leaving::ForGood,
    }
}
