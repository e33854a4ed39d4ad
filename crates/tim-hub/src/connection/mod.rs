//! One connection: its byte stream, its session, and the device that is logged in on it.
//!
//! Only this module knows of streams. Everything happens in [`Connection::poll`], which repeats until nothing moves any
//! more: receive, handle requests, deliver what is in the mailbox, catch up, send. It never blocks: what reads the store is
//! on the read pool meanwhile.

mod delivery_state;
mod ending;
mod login;
mod online;
mod requests;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tim_proto::ErrorCode;
use tim_proto::wire::FrameKind;
use tim_session::{Framing, HubConfig, Instant};
use tim_transport_std::HubConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::{Span, debug, debug_span, warn};

use crate::service::Services;
use login::LoggingIn;
use online::Online;

/// How often a connection repeats before others have their turn.
const MAX_ROUNDS: usize = 8;
/// How long a login may take that is only refused for lack of capacity.
const FULL_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection over a stream.
pub(crate) struct Connection<L> {
    services: Arc<Services>,
    io: HubConnection<L>,
    stage: Stage,
    /// The hub stops.
    stopping: bool,
    /// A GOODBYE is queued; the session closes next.
    ending: bool,
    closing: bool,
    wake: Option<Instant>,
    /// Since when the peer takes nothing, while there is no capacity for more.
    stuck: Option<Instant>,
    framing: Framing,
    /// The hub has no capacity for it: its login is refused.
    is_full: bool,
    /// The other end, for the log.
    peer: String,
    span: Span,
}

enum Stage {
    Anonymous,
    LoggingIn(LoggingIn),
    Online(Box<Online>),
}

/// The result of repeating once.
enum Round {
    Moved,
    /// Nothing to do before a waker or the timer calls.
    Idle,
    Over(io::Result<()>),
}

impl<L: AsyncRead + AsyncWrite + Unpin> Connection<L> {
    pub(crate) fn new(services: Arc<Services>, link: L, framing: Framing, peer: String) -> Self {
        let mut config = services.options.connection;
        config.framing = framing;
        Self::with(services, link, config, peer)
    }

    /// A connection for which the hub has no capacity.
    pub(crate) fn turned_away(services: Arc<Services>, link: L, peer: String) -> Self {
        let mut config = services.options.connection;
        config.login_timeout = config.login_timeout.min(FULL_TIMEOUT);
        let mut connection = Self::with(services, link, config, peer);
        connection.is_full = true;
        connection
    }

    fn with(services: Arc<Services>, link: L, config: HubConfig, peer: String) -> Self {
        let io = HubConnection::new(link, config, services.options.max_outgoing);
        let span = debug_span!(
            "connection",
            peer,
            user = tracing::field::Empty,
            device = tracing::field::Empty
        );
        Self {
            services,
            io,
            stage: Stage::Anonymous,
            stopping: false,
            ending: false,
            closing: false,
            wake: None,
            stuck: None,
            framing: config.framing,
            is_full: false,
            peer,
            span,
        }
    }

    /// Ready when the connection is over, with the stream's error if it had one.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _entered = self.span.clone().entered();
        for _ in 0..MAX_ROUNDS {
            match self.round(context) {
                Round::Moved => {}
                Round::Idle => return Poll::Pending,
                Round::Over(result) => return Poll::Ready(result),
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn round(&mut self, context: &mut Context<'_>) -> Round {
        let mut moved = false;
        let was_full = !self.closing && !self.has_capacity();
        if !self.closing {
            match self.io.poll_receive(context) {
                Poll::Ready(Ok(true)) => moved = true,
                Poll::Ready(Ok(false)) => return Round::Over(Ok(())),
                Poll::Ready(Err(error)) => return Round::Over(Err(error)),
                Poll::Pending => {}
            }
            moved |= self.finish_login(context);
            moved |= self.finish_request(context);
            // Before the next request is taken, which may go to the read pool at once: a client that always has one more
            // waiting cannot prolong its session.
            moved |= self.end_if_stopping();
            moved |= self.end_if_told(context);
            moved |= self.watch_expiry();
            moved |= self.take_events();
            moved |= self.empty_mailbox(context);
            moved |= self.catch_up(context);
        }
        let waiting = self.io.session().outgoing().len();
        match self.io.poll_send(context) {
            Poll::Ready(Err(error)) => return Round::Over(Err(error)),
            Poll::Ready(Ok(())) if self.closing && self.io.poll_close(context).is_ready() => {
                return Round::Over(Ok(()));
            }
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        if self.io.session().outgoing().len() < waiting {
            self.stuck = None;
        }
        // What was put off for lack of capacity can continue now.
        moved |= was_full && self.has_capacity();
        if moved { Round::Moved } else { self.wait(context) }
    }

    /// Waits for the session's next deadline. A peer that takes nothing is not waited for without end: neither while closing,
    /// nor while what it does not take blocks everything else.
    fn wait(&mut self, context: &mut Context<'_>) -> Round {
        let is_stuck = !self.closing && !self.has_capacity();
        let deadline = if is_stuck {
            let now = self.io.now();
            Some(*self.stuck.get_or_insert(now) + self.services.options.connection.keep_alive)
        } else {
            self.next_wake()
        };
        match deadline {
            Some(deadline) if self.io.poll_until(context, deadline).is_ready() => {
                if is_stuck || self.closing {
                    debug!("a client does not read what it is sent");
                    Round::Over(Ok(()))
                } else {
                    Round::Moved
                }
            }
            _ => Round::Idle,
        }
    }

    /// The session's next deadline, or that of the UserSig. While requests are held up, the session is not polled, and the
    /// return of the one on the read pool comes first.
    fn next_wake(&mut self) -> Option<Instant> {
        let Stage::Online(online) = &self.stage else {
            return self.wake;
        };
        if online.is_held_up() {
            return None;
        }
        let Some(client) = &online.client else {
            return self.wake;
        };
        let expiry = self.io.now() + client.expiry.next_look(self.services.steady_ms());
        Some(self.wake.map_or(expiry, |wake| wake.min(expiry)))
    }

    /// The most bytes of a response: what the client takes, and what leaves capacity for others.
    fn max_response(&mut self) -> usize {
        let peer_max_frame = self.io.session().peer_max_frame();
        peer_max_frame.min(self.services.options.max_outgoing / 2)
    }

    /// Whether one more response of any size can be queued.
    fn has_capacity(&mut self) -> bool {
        let most = self.max_response();
        self.io.session().outgoing_capacity() >= most
    }

    /// Sends what waits for the device; whether there was anything.
    fn empty_mailbox(&mut self, context: &mut Context<'_>) -> bool {
        let mut moved = false;
        loop {
            if self.end_if_told(context) {
                return true;
            }
            let has_capacity = self.has_capacity();
            let Stage::Online(online) = &mut self.stage else {
                return moved;
            };
            let device = Arc::clone(online.device());
            let mut mailbox = device.mailbox();
            if mailbox.take_behind() {
                online.state.catch_up();
                moved = true;
            }
            if !has_capacity {
                return moved;
            }
            if let Some(response) = mailbox.next_response() {
                drop(mailbox);
                online.state.note_answered(self.io.session(), response.change);
                self.finish(response.request, response.kind, response.result.map(Some));
            } else if let Some(change) = mailbox.next_change() {
                drop(mailbox);
                if self.io.session().push(FrameKind::CONVERSATION, &change).is_err() {
                    return moved;
                }
            } else if !online.state.deliver_live(self.io.session(), &mut mailbox) {
                return moved;
            }
            moved = true;
        }
    }

    /// Reads on from the log; whether anything came of it.
    fn catch_up(&mut self, context: &mut Context<'_>) -> bool {
        if !self.has_capacity() {
            return false;
        }
        let Stage::Online(online) = &mut self.stage else {
            return false;
        };
        if !online.is_reading() {
            let Some(request) = online.state.next_reading(self.io.session()) else {
                return false;
            };
            online.read(&self.services, request);
        }
        let Poll::Ready(changes) = online.poll_reading(context) else {
            return false;
        };
        match changes {
            Ok(Ok(changes)) => online.state.deliver_changes(self.io.session(), &changes),
            failed => {
                let error = failed.ok().and_then(Result::err);
                warn!(user = %online.device().user(), ?error, "the log cannot be read");
                self.goodbye(ErrorCode::STORAGE_FAILED, "the log cannot be read");
                true
            }
        }
    }

    /// Whether nobody is logged in here, or about to be, or being sent a GOODBYE.
    pub(crate) const fn is_vacant(&self) -> bool {
        matches!(self.stage, Stage::Anonymous) && !self.closing
    }
}
