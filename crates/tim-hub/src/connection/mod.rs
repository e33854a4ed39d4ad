//! One connection: its byte stream, its session, and the device that is logged in on it.
//!
//! Only this module knows of streams. Everything happens in [`Connection::poll`], which repeats until nothing moves any
//! more: receive, handle requests, deliver what is in the mailbox, catch up, send. It never blocks: what reads the store is
//! on the read pool meanwhile.

mod delivery_state;
mod login;
mod online;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tim_proto::request::{Failure, LoginResponse};
use tim_proto::wire::FrameKind;
use tim_proto::{ErrorCode, UserId};
use tim_session::{CloseReason, Framing, HubConfig, HubEvent, HubOutput, Instant, SendError};
use tim_transport_std::HubConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::{Span, debug, debug_span, info, warn};

use crate::client_context::{ClientLimits, Due};
use crate::encoding::Raw;
use crate::presence::Leaving;
use crate::refusal::Refusal;
use crate::service::Services;
use login::{LoggedIn, LoginRequest, log_in};
use online::{Handled, Lost, Online};

/// How often a connection repeats before others have their turn.
const MAX_ROUNDS: usize = 8;
/// How many requests it handles in one round.
const MAX_EVENTS: usize = 16;
/// The retry interval while the hub has no capacity for a connection.
const FULL_RETRY_MS: u64 = 5_000;
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

/// A login that is being checked.
struct LoggingIn {
    user: UserId,
    device: u64,
    result: Pin<Box<dyn Future<Output = Result<LoggedIn, Refusal>> + Send>>,
}

/// The result of repeating once.
enum Round {
    Moved,
    /// Nothing to do before a waker or the timer calls.
    Idle,
    Over(io::Result<()>),
}

/// What the session has said, without what it borrows.
enum Next {
    Login(LoginRequest),
    Handled {
        id: u32,
        kind: FrameKind,
        handled: Handled,
    },
    Close(CloseReason),
    Wait(Option<Instant>),
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

    /// The session's next deadline, or that of the UserSig. While a request is on the read pool, its return comes first.
    fn next_wake(&mut self) -> Option<Instant> {
        let Stage::Online(online) = &self.stage else {
            return self.wake;
        };
        let client = online.client.as_ref()?;
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

    /// Takes what the client has sent; whether there was anything.
    fn take_events(&mut self) -> bool {
        let mut moved = false;
        for _ in 0..MAX_EVENTS {
            // Without capacity for responses no request is taken.
            let must_wait = self.is_busy() || !self.has_capacity();
            if must_wait && !self.ending {
                return moved;
            }
            let now = self.io.now();
            let next = match self.io.session().poll(now) {
                HubOutput::Wait(until) => Next::Wait(until),
                HubOutput::Close(reason) => Next::Close(reason),
                HubOutput::Event(HubEvent::Login(login)) => Next::Login(login.into()),
                HubOutput::Event(HubEvent::Request { id, request }) => {
                    let kind = request.kind();
                    let handled = match &mut self.stage {
                        Stage::Online(online) => online.handle(&self.services, id, kind, request.body()),
                        _ => Err(Refusal::new(ErrorCode::USER_NOT_LOGGED_IN, "")),
                    };
                    Next::Handled { id, kind, handled }
                }
                HubOutput::Event(_) => Next::Wait(None),
            };
            match next {
                Next::Wait(until) => {
                    self.wake = until;
                    return moved;
                }
                Next::Close(reason) => {
                    self.close(reason);
                    return true;
                }
                Next::Login(login) => self.begin_login(login),
                Next::Handled { id, kind, handled } => self.finish(id, kind, handled),
            }
            moved = true;
        }
        moved
    }

    fn begin_login(&mut self, login: LoginRequest) {
        self.span.record("user", tracing::field::display(&login.user));
        self.span.record("device", login.device);
        if self.is_full {
            let code = ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR;
            let text = "all places of this hub are taken";
            return self.refuse_login(login.user, &Refusal::too_soon(code, FULL_RETRY_MS, text));
        }
        let limits = ClientLimits {
            max_response: self.max_response(),
            features: self.io.session().peer_features(),
            sends_per_second: self.services.settings.sends_per_second(),
        };
        self.stage = Stage::LoggingIn(LoggingIn {
            user: login.user,
            device: login.device,
            result: Box::pin(log_in(Arc::clone(&self.services), login, limits)),
        });
    }

    /// Answers a login that has been checked; whether there was one.
    fn finish_login(&mut self, context: &mut Context<'_>) -> bool {
        let Stage::LoggingIn(login) = &mut self.stage else {
            return false;
        };
        let Poll::Ready(result) = login.result.as_mut().poll(context) else {
            return false;
        };
        let (user, device) = (login.user, login.device);
        self.stage = Stage::Anonymous;
        match result {
            Ok(logged_in) => self.go_online(user, device, logged_in),
            Err(refusal) => self.refuse_login(user, &refusal),
        }
        true
    }

    fn refuse_login(&mut self, user: UserId, refusal: &Refusal) {
        let events = &self.services.events;
        if let Some(suppressed) = events.refused_logins.take(self.services.steady_ms()) {
            info!(peer = self.peer, %user, code = %refusal.code, reason = refusal.text, suppressed, "a login is refused");
        }
        self.io.session().refuse(&refusal.failure());
    }

    fn go_online(&mut self, user: UserId, device: u64, login: LoggedIn) {
        let services = Arc::clone(&self.services);
        if login.start.restored
            && let Some(suppressed) = services.events.foreign_cursors.take(services.steady_ms())
        {
            warn!(
                peer = self.peer,
                %user,
                device,
                suppressed,
                "a device has a cursor that this store did not give out, as after the store was put back from an older copy; \
                 the device is told of a gap"
            );
        }
        let cursor = services.epochs.cursor(login.start.change).to_bytes();
        let response = LoginResponse {
            account: login.client.account(),
            time_ms: services.now_ms(),
            cursor: cursor.as_ref(),
            nick: &login.nick,
            ..LoginResponse::default() // the session repeats what the login said
        };
        let nameless = LoginResponse { nick: "", ..response };
        let session = self.io.session();
        let is_sent = session.accept(&response).is_ok() || session.accept(&nameless).is_ok();
        self.stage = Stage::Online(Box::new(Online::new(&services, login)));
        if !is_sent {
            self.goodbye(ErrorCode::PROTOCOL_VIOLATION, "the login answer does not fit");
        }
    }

    /// Answers the request that has come back from the read pool; whether there was one.
    fn finish_request(&mut self, context: &mut Context<'_>) -> bool {
        if !self.has_capacity() {
            return false;
        }
        let Stage::Online(online) = &mut self.stage else {
            return false;
        };
        match online.poll_request(context) {
            Poll::Pending => false,
            Poll::Ready(Ok((id, kind, handled))) => {
                self.finish(id, kind, handled);
                true
            }
            Poll::Ready(Err(Lost)) => {
                self.goodbye(ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR, "");
                true
            }
        }
    }

    /// Warns of the end of the UserSig, and ends the session then; whether anything was done.
    fn watch_expiry(&mut self) -> bool {
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

    /// Sends the answer to a request, if there is one yet.
    fn finish(&mut self, id: u32, kind: FrameKind, handled: Handled) {
        let body = match handled {
            Ok(Some(body)) => body,
            Ok(None) => return,
            Err(refusal) => return self.fail(id, &refusal),
        };
        let refusal = match self.io.session().respond_untyped(id, kind, &Raw(&body)) {
            Ok(()) | Err(SendError::NotOnline) => return,
            Err(SendError::TooLarge { .. }) => {
                Refusal::new(ErrorCode::FRAME_TOO_LARGE, "the answer is larger than you take")
            }
            Err(_) => Refusal::new(ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR, ""),
        };
        self.fail(id, &refusal);
    }

    /// Answers a request with an error. Without capacity even for that, the connection is of no use.
    fn fail(&mut self, id: u32, refusal: &Refusal) {
        let failure = refusal.failure();
        if self.io.session().fail(id, &failure).is_ok() {
            return;
        }
        let short = Failure { text: "", ..failure };
        if let Err(SendError::Full | SendError::TooLarge { .. }) = self.io.session().fail(id, &short) {
            self.goodbye(ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR, "");
        }
    }

    /// The hub stops: the session is to end.
    pub(crate) const fn stop(&mut self) {
        self.stopping = true;
    }

    /// Ends the session if the hub stops. A request that is on the read pool is answered first.
    fn end_if_stopping(&mut self) -> bool {
        let is_due = self.stopping && !self.ending && !self.is_busy();
        if is_due {
            self.goodbye(ErrorCode::SERVER_SHUTTING_DOWN, "");
        }
        is_due
    }

    /// Ends the session if the mailbox says so, as when a newer login took over. A request that is on the read pool is answered
    /// first. Registers for what comes into the mailbox.
    fn end_if_told(&mut self, context: &Context<'_>) -> bool {
        let Stage::Online(online) = &self.stage else {
            return false;
        };
        let reason = {
            let mut mailbox = online.device().mailbox();
            mailbox.register(context.waker());
            match online.is_busy() {
                true => None,
                false => mailbox.take_close_reason(),
            }
        };
        let Some(reason) = reason else { return false };
        self.goodbye(reason, "");
        true
    }

    /// Whether a request is on the read pool: no other one is taken, and the session is not ended, until it is answered.
    fn is_busy(&self) -> bool {
        matches!(&self.stage, Stage::Online(online) if online.is_busy())
    }

    /// Says why the connection ends, if there is capacity for that, and ends it.
    fn goodbye(&mut self, code: ErrorCode, text: &str) {
        self.io.session().goodbye(&Refusal::new(code, text).failure());
        self.ending = true;
    }

    fn close(&mut self, reason: CloseReason) {
        match reason {
            CloseReason::Violation(code) => self.note_violation(code),
            CloseReason::LineLost => debug!("a serial line lost something; its client begins again"),
            _ => {}
        }
        if let Stage::Online(online) = std::mem::replace(&mut self.stage, Stage::Anonymous) {
            online.seat.leave(leaving(reason));
        }
        if self.framing == Framing::Serial && reason != CloseReason::Goodbye(ErrorCode::SERVER_SHUTTING_DOWN)
        {
            // The line outlives the session.
            (self.ending, self.stuck) = (false, None);
            let now = self.io.now();
            self.io.session().begin_again(now);
        } else {
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

    /// Whether nobody is logged in here, or about to be, or being sent a GOODBYE.
    pub(crate) const fn is_vacant(&self) -> bool {
        matches!(self.stage, Stage::Anonymous) && !self.closing
    }
}

/// How a device goes offline. A cut is what neither the client nor the hub wanted: the client comes back.
const fn leaving(reason: CloseReason) -> Leaving {
    match reason {
        CloseReason::TimedOut
        | CloseReason::LineLost
        | CloseReason::Superseded
        | CloseReason::Goodbye(ErrorCode::STORAGE_FAILED | ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR) => {
            Leaving::Cut
        }
        _ => Leaving::ForGood,
    }
}
