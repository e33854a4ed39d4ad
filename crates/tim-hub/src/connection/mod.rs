//! One connection: its byte stream, its session, and the device that is logged in on it.
//!
//! Only this module knows of streams. Everything happens in [`Connection::poll`], which repeats until nothing moves any
//! more: receive, handle requests, deliver what is in the mailbox, catch up, send. It never blocks: what reads the store is
//! on the read pool meanwhile.

mod backlog;
mod delivery_state;
mod ending;
mod login;
mod online;
mod requests;
#[cfg(test)]
mod tests;
mod throttle;

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use tim_proto::ErrorCode;
use tim_proto::wire::FrameKind;
use tim_session::{Framing, Instant};
use tim_transport_std::HubConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::{Span, debug, debug_span, warn};

use crate::admission::Place;
use crate::service::Services;
use backlog::Leaving;
use login::LoggingIn;
use online::Online;

/// How often a connection repeats before others have their turn. A round receives at most 8 KiB and takes at most 16 events.
const MAX_ROUNDS: usize = 4;

/// How many bytes of a client whose login is being checked are held before it is not read from.
const MAX_OF_STRANGER: usize = 8 * 1024;

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
    /// Until when nothing is read from the client.
    paused_until: Option<Instant>,
    /// Counts what has come, frame by frame.
    handled: u16,
    /// How often in succession the connection was woken and there was nothing to do.
    fruitless: u8,
    /// Since it was woken, something has come or gone, or the mailbox had called.
    is_active: bool,
    place: Arc<Place>,
    /// Since when nobody is logged in, if the connection ends for that.
    vacant_since: Option<Instant>,
    /// A serial port ends with its session.
    port_ends: bool,
    /// The other end, for the log.
    peer: Box<str>,
    span: Span,
}

enum Stage {
    Anonymous,
    LoggingIn(Box<LoggingIn>),
    Online(Box<Online>),
    /// The session is over, and the connection closes.
    Leaving(Box<Leaving>),
}

/// The result of repeating once.
enum Round {
    Moved,
    /// Nothing to do before a waker or the timer calls.
    Idle,
    Over(io::Result<()>),
}

impl<L: AsyncRead + AsyncWrite + Unpin> Connection<L> {
    pub(crate) fn new(
        services: Arc<Services>,
        link: L,
        framing: Framing,
        place: Arc<Place>,
        peer: Box<str>,
    ) -> Self {
        let mut config = services.options.connection;
        config.framing = framing;
        let io = HubConnection::new(link, config, services.options.max_outgoing);
        let span = debug_span!(
            "connection",
            peer,
            user = tracing::field::Empty,
            device = tracing::field::Empty
        );
        let mut connection = Self {
            services,
            io,
            stage: Stage::Anonymous,
            stopping: false,
            ending: false,
            closing: false,
            wake: None,
            stuck: None,
            framing,
            paused_until: None,
            handled: 0,
            fruitless: 0,
            is_active: false,
            place,
            vacant_since: None,
            port_ends: false,
            peer,
            span,
        };
        connection.charge_connection();
        connection
    }

    /// The connection ends when nobody has been logged in on it for as long as a stream may be silent.
    pub(crate) fn end_when_vacant(&mut self) {
        self.vacant_since = Some(self.io.now());
    }

    /// Ready when the connection is over, with the stream's error if it had one.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _entered = self.span.clone().entered();
        if self.is_cut() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        self.is_active = false;
        for _ in 0..MAX_ROUNDS {
            match self.round(context) {
                Round::Moved => {}
                Round::Idle => {
                    self.charge_fruitless();
                    return self.rest(context);
                }
                Round::Over(result) => return Poll::Ready(result),
            }
        }
        context.waker().wake_by_ref();
        self.rest(context)
    }

    /// Others have their turn.
    fn rest(&mut self, context: &Context<'_>) -> Poll<io::Result<()>> {
        self.report_backlog(context);
        // Again, now that whoever cuts it finds its waker.
        match self.is_cut() {
            true => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
            false => Poll::Pending,
        }
    }

    fn round(&mut self, context: &mut Context<'_>) -> Round {
        let mut moved = false;
        let was_paused = self.is_paused();
        if !self.closing {
            let (free, handled) = (self.io.session().receive_capacity(), self.handled);
            let received = match was_paused || self.has_enough_of_stranger() {
                true => Poll::Pending,
                false => self.io.poll_receive(context),
            };
            match received {
                Poll::Ready(Ok(true)) => moved = true,
                Poll::Ready(Ok(false)) => return Round::Over(Ok(())),
                Poll::Ready(Err(error)) => return Round::Over(Err(error)),
                Poll::Pending => {}
            }
            let received = free.saturating_sub(self.io.session().receive_capacity());
            let was_waiting = self.takes_nothing() || self.is_held_up();
            moved |= self.finish_login(context);
            moved |= self.finish_request(context);
            // Before the next request is taken, which may go to the read pool at once: a client that always has one more
            // waiting cannot prolong its session.
            moved |= self.end_if_stopping();
            moved |= self.end_if_told(context);
            moved |= self.watch_expiry();
            moved |= self.take_events();
            let is_fragment = handled == self.handled && self.io.session().receive_capacity() < free;
            if received > 0 && is_fragment && !was_waiting {
                self.charge_fragment(received);
            }
            moved |= self.end_if_vacant();
            moved |= self.empty_mailbox(context);
            moved |= self.catch_up(context);
        }
        let was_full = !self.closing && !self.has_capacity();
        let waiting = self.io.session().outgoing().len();
        self.is_active |= waiting > 0;
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
        self.is_active |= moved;
        // The pause has ended meanwhile, and the stream was not asked.
        moved |= was_paused && self.paused_until.is_none();
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

    /// Whether the client has said so much behind its LOGIN that no more is read before that is checked. Then the login moves.
    fn has_enough_of_stranger(&mut self) -> bool {
        matches!(self.stage, Stage::LoggingIn(_)) && self.io.session().received_len() >= MAX_OF_STRANGER
    }

    /// The session's next deadline, or that of the UserSig.
    fn next_wake(&mut self) -> Option<Instant> {
        // Also one that has just ended, as nothing was read during it.
        if self.paused_until.is_some() && !self.closing {
            return self.paused_until;
        }
        let Stage::Online(online) = &self.stage else {
            let vacant = self.vacant_since.map(|since| since + self.max_vacancy());
            return self.wake.into_iter().chain(vacant).min();
        };
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

    /// Sends what waits for the device. Whether that lets anything else go on: a response does, on which the client's next requests
    /// may wait, and on a serial port everything does, as the other end has to confirm it.
    fn empty_mailbox(&mut self, context: &Context<'_>) -> bool {
        let max_response = self.max_response();
        let is_serial = self.framing == Framing::Serial;
        let Stage::Online(online) = &self.stage else {
            return false;
        };
        let device = Arc::clone(online.device());
        let mut moved = false;
        loop {
            let Stage::Online(online) = &mut self.stage else {
                return moved;
            };
            let mut mailbox = device.mailbox();
            self.is_active |= mailbox.register(context.waker());
            if online.may_end(&mailbox) {
                drop(mailbox);
                return self.end_if_told(context) || moved;
            }
            if mailbox.take_behind() {
                online.state.catch_up();
                moved = true;
            }
            let session = self.io.session();
            if session.outgoing_capacity() < max_response {
                return moved;
            }
            if let Some(response) = mailbox.next_response() {
                let newest = response.change.max(mailbox.newest_answered());
                drop(mailbox);
                self.send_response(response, newest);
                moved = true;
            } else if let Some(change) = mailbox.next_change() {
                drop(mailbox);
                if session.push(FrameKind::CONVERSATION, &change).is_err() {
                    return moved;
                }
                moved |= is_serial;
            } else if online
                .state
                .deliver_live(session, &mut mailbox, max_response, &self.services.metrics)
            {
                moved |= is_serial;
            } else {
                return moved;
            }
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
        if online.state.has_ahead(&self.services.withdrawals) {
            return online.state.deliver_ahead(
                self.io.session(),
                &self.services.merges,
                &self.services.metrics,
            );
        }
        if !online.is_reading() {
            let Some(request) = online.state.next_reading(self.io.session()) else {
                return false;
            };
            online.read(&self.services, request);
        }
        let Poll::Ready(read) = online.poll_reading(context) else {
            return false;
        };
        if let Ok((_, took_ms)) = &read {
            self.charge_reading(*took_ms);
        }
        let Stage::Online(online) = &mut self.stage else {
            return false;
        };
        let withdrawals = &self.services.withdrawals;
        match read.map(|(changes, _)| changes) {
            Ok(Ok((changes, mark))) => {
                if !online.state.take(self.io.session(), changes, mark) {
                    return false;
                }
                // What was withdrawn meanwhile is read again.
                !online.state.has_ahead(withdrawals)
                    || online.state.deliver_ahead(
                        self.io.session(),
                        &self.services.merges,
                        &self.services.metrics,
                    )
            }
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
