//! One connection: its session, its device's mailbox, and its place in the log.
//!
//! Everything happens in [`Connection::poll`], which goes round until nothing moves any more: receive, answer, catch up,
//! hand over what is live, send. What keeps the order: while the device is *behind*, deliveries are read from the log
//! only; once a reading finds nothing more, the live ones go on from there, and those that were read already are passed
//! over by their change number.

mod expiry;
mod serial;

pub(crate) use expiry::Expiry;

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tim_proto::request::{Failure, Gap, LoginResponse, Resume};
use tim_proto::wire::FrameKind;
use tim_proto::{ErrorCode, UserId};
use tim_session::{CloseReason, DeliverError, Framing, HubConfig, Instant, SendError};
use tim_transport_std::HubConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::{debug, info, warn};

use crate::client_context::{ClientContext, MAX_UNTOLD};
use crate::device::{Answered, Device, Outcome};
use crate::encoding as encode;
use crate::handlers::ask::{Login, Next};
use crate::presence::registry::Leaving;
use crate::refusal::Refusal;
use crate::service::Services;
use crate::store::{Changes, ChangesRequest, Epochs, ResumePoint, Write, Written};
use crate::usersig::UserSig;

/// The most bytes of entries that one reading of the log brings.
const CATCH_UP_BYTES: usize = 256 * 1024;
/// How often a connection goes round before the others have their turn.
const MAX_ROUNDS: usize = 8;
/// How many requests it deals with in one round.
const MAX_EVENTS: usize = 16;

pub(crate) struct Connection<L> {
    pub(crate) hub: Arc<Services>,
    pub(crate) io: HubConnection<L>,
    pub(crate) me: Option<ClientContext>,
    /// A login that waits for its account.
    login: Option<Login>,
    /// A farewell was said; the session closes next.
    ending: bool,
    closing: bool,
    wake: Option<Instant>,
    /// Since when the peer takes nothing, while there is no room for more.
    stuck: Option<Instant>,
    framing: Framing,
    /// There is no place for it: it hears that as the answer to its login.
    is_full: bool,
    /// Who is at the other end, and who says to be there, for the log.
    peer: String,
    claimed: Option<UserId>,
}

/// When to come back to a hub that has no place.
const FULL_RETRY_MS: u64 = 5_000;
/// For how long somebody may take to log in who is only told that there is no place.
const FULL_PATIENCE: Duration = Duration::from_secs(3);

/// What came of going round once.
enum Round {
    Moved,
    /// Nothing to do before a waker or the timer calls.
    Idle,
    Over(io::Result<()>),
}

impl<L: AsyncRead + AsyncWrite + Unpin> Connection<L> {
    pub(crate) fn new(hub: Arc<Services>, link: L, framing: Framing, peer: String) -> Self {
        let mut config = hub.options.connection;
        config.framing = framing;
        Self::with(hub, link, config, peer)
    }

    fn with(hub: Arc<Services>, link: L, config: HubConfig, peer: String) -> Self {
        let io = HubConnection::new(link, config, hub.options.max_outgoing);
        Self {
            hub,
            io,
            me: None,
            login: None,
            ending: false,
            closing: false,
            wake: None,
            stuck: None,
            framing: config.framing,
            is_full: false,
            peer,
            claimed: None,
        }
    }

    /// A connection for which there is no place.
    pub(crate) fn turned_away(hub: Arc<Services>, link: L, peer: String) -> Self {
        let mut config = hub.options.connection;
        config.login_timeout = config.login_timeout.min(FULL_PATIENCE);
        let mut connection = Self::with(hub, link, config, peer);
        connection.is_full = true;
        connection
    }

    /// Ready when the connection is over, with the stream's error if it had one. Goes round while anything moves, but not for ever: others have their turn.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        for _ in 0..MAX_ROUNDS {
            match self.round(context) {
                Round::Moved => {}
                Round::Idle => return Poll::Pending,
                Round::Over(why) => return Poll::Ready(why),
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn round(&mut self, context: &mut Context<'_>) -> Round {
        let mut moved = false;
        let cramped = !self.closing && !self.has_room();
        if !self.closing {
            match self.io.poll_receive(context) {
                Poll::Ready(Ok(true)) => moved = true,
                Poll::Ready(Ok(false)) => return Round::Over(Ok(())),
                Poll::Ready(Err(error)) => return Round::Over(Err(error)),
                Poll::Pending => {}
            }
            moved |= self.take_events();
            moved |= self.watch_expiry();
            moved |= self.empty_mailbox(context);
            moved |= self.catch_up();
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
        // What was put off for want of room can go on now.
        moved |= cramped && self.has_room();
        if moved { Round::Moved } else { self.wait(context) }
    }

    /// Waits for the session's next moment. A peer that takes nothing is not waited for for ever: neither while closing,
    /// nor while what it does not take is in the way of everything else.
    fn wait(&mut self, context: &mut Context<'_>) -> Round {
        let stuck = !self.closing && !self.has_room();
        let moment = if stuck {
            let now = self.io.now();
            Some(*self.stuck.get_or_insert(now) + self.hub.options.connection.keep_alive)
        } else {
            self.next_wake()
        };
        match moment {
            Some(moment) if self.io.poll_until(context, moment).is_ready() => {
                if stuck || self.closing {
                    debug!("a client does not read what it is sent");
                    Round::Over(Ok(()))
                } else {
                    Round::Moved
                }
            }
            _ => Round::Idle,
        }
    }

    /// The most bytes that an answer may have: what the client takes, and what leaves room for others.
    pub(crate) fn max_answer(&mut self) -> usize {
        self.io
            .session()
            .peer_max_frame()
            .min(self.hub.options.max_outgoing / 2)
    }

    /// Room for one more answer of any size.
    fn has_room(&mut self) -> bool {
        let most = self.max_answer();
        self.io.session().outgoing_capacity() >= most
    }

    /// Deals with what the client says; whether it said anything.
    fn take_events(&mut self) -> bool {
        let mut moved = false;
        for _ in 0..MAX_EVENTS {
            if !self.has_room() && !self.ending {
                return moved; // answers are not taken off our hands: no more questions
            }
            let now = self.io.now();
            let next = Next::of(self.io.session().poll(now), &self.hub.options.limits);
            match next {
                Next::Wait(until) => {
                    self.wake = until;
                    return moved;
                }
                Next::Close(reason) => {
                    self.close(reason);
                    return true;
                }
                Next::Login(login) => self.log_in(login),
                Next::Refuse { id, failed } => self.fail(id, &failed),
                Next::Ask { id, kind, ask } => self.handle(id, kind, ask),
            }
            moved = true;
        }
        moved
    }

    /// The hub stops: says so.
    pub(crate) fn stop(&mut self) {
        if !self.ending && !self.closing {
            self.goodbye(ErrorCode::SERVER_SHUTTING_DOWN, "");
        }
    }

    /// Says why the connection ends, if there is room for that, and ends it.
    pub(crate) fn goodbye(&mut self, code: ErrorCode, text: &str) {
        let failed = Refusal::new(code, text);
        self.io.session().goodbye(&failed.failure());
        self.ending = true;
    }

    fn close(&mut self, reason: CloseReason) {
        let user = self.me.as_ref().map(|me| me.device.user);
        match reason {
            CloseReason::Violation(code) => debug!(?user, %code, "a client broke the protocol"),
            CloseReason::LineLost => debug!(?user, "a serial line lost something; its client begins again"),
            _ => {}
        }
        self.leave(Leaving::of(reason));
        if self.framing == Framing::Serial && reason != CloseReason::Goodbye(ErrorCode::SERVER_SHUTTING_DOWN)
        {
            // The line outlives the session.
            (self.login, self.ending, self.stuck) = (None, false, None);
            let now = self.io.now();
            self.io.session().begin_again(now);
        } else {
            self.closing = true;
            self.wake = Some(self.io.now() + self.hub.options.connection.keep_alive_timeout);
        }
    }

    pub(crate) const fn closing(&self) -> bool {
        self.closing
    }

    pub(crate) const fn wake(&self) -> Option<Instant> {
        self.wake
    }

    /// Whether nobody is logged in here, or about to be, or being told goodbye.
    pub(crate) const fn is_vacant(&self) -> bool {
        self.me.is_none() && self.login.is_none() && !self.closing
    }

    fn log_in(&mut self, mut login: Login) {
        self.claimed = Some(login.user);
        if self.is_full {
            let code = ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR;
            let text = "all places of this hub are taken";
            return self.refuse(&Refusal::too_soon(code, FULL_RETRY_MS, text));
        }
        let app = &self.hub.settings.app();
        if login.app != app.id {
            return self.refuse(&Refusal::new(
                ErrorCode::ACCOUNT_USERSIG_MISMATCH_SDKAPPID,
                "this hub serves another application",
            ));
        }
        if login.user == UserId::SYSTEM {
            let text = "nobody logs in as the system";
            return self.refuse(&Refusal::new(ErrorCode::SDK_COMM_INVALID_IDENTIFIER, text));
        }
        let now_s = self.hub.now_ms() / 1000;
        match UserSig::verify_for(app, &login.user, &login.user_sig, now_s) {
            Ok(claims) => login.expires_s = claims.expires,
            Err(error) => return self.refuse(&Refusal::new(ErrorCode(error.code()), error.to_string())),
        }
        match self.hub.reader.account(&login.user) {
            Ok(Some(account)) => self.admit(&login, account.number, &account.nick),
            Ok(None) => self.open_account(login),
            Err(error) => {
                let failed = Refusal::from(error);
                self.refuse(&failed);
            }
        }
    }

    /// The user's first login ever.
    fn open_account(&mut self, login: Login) {
        // A device of its own, only to be answered; the real one is made when the account is there.
        let device = Arc::new(Device::new(login.user, login.device, 0));
        device.mailbox().behind = false;
        let submitted = self.hub.submit(
            &device,
            0,
            FrameKind::LOGIN,
            None,
            None,
            Write::EnsureAccount(login.user),
        );
        match submitted {
            Ok(()) => {
                self.login = Some(login);
                self.me = Some(ClientContext::new(device, 0, 0, self.hub.permissions.now()));
            }
            Err(error) => {
                let failed = Refusal::from(&error);
                self.refuse(&failed);
            }
        }
    }

    fn refuse(&mut self, failed: &Refusal) {
        if let Some(unsaid) = self.hub.refusals.take(self.hub.steady_ms()) {
            let user = self.claimed.map(|user| user.to_string()).unwrap_or_default();
            info!(peer = self.peer, user, code = %failed.code, reason = failed.text, unsaid, "a login is refused");
        }
        self.io.session().refuse(&failed.failure());
    }

    fn admit(&mut self, login: &Login, account: u64, nick: &str) {
        let hub = Arc::clone(&self.hub);
        let now_ms = hub.now_ms();
        let device = Device::new(login.user, login.device, hub.options.max_live).with_login(login.life);
        let device = Arc::new(device);
        // First the place in the tables, then the reading: nothing falls between the two.
        let sends =
            crate::admission::token_bucket::Bucket::new(hub.settings.sends_per_second(), hub.steady_ms());
        if !hub.presence.enter(&device, hub.settings.max_devices(), sends) {
            let text = "a newer login of this session is known";
            return self.refuse(&Refusal::new(ErrorCode::SESSION_REPLACED, text));
        }
        let read = hub
            .reader
            .head_change()
            .and_then(|head| Ok((head, hub.reader.groups_of(&login.user)?)));
        let (head, groups) = match read {
            Ok(read) => read,
            Err(error) => {
                hub.leave(&device, Leaving::Cut);
                let failed = Refusal::from(error);
                return self.refuse(&failed);
            }
        };
        hub.join(&device, &groups);
        let at = |change, restored| ResumePoint { change, restored };
        let start = match (login.resume, login.cursor) {
            (Resume::START, _) => at(0, false),
            (Resume::CURSOR, Some(cursor)) => hub.epochs.resume(cursor, head),
            // What is no cursor of any store's says nothing of what the device has.
            (Resume::CURSOR, None) => at(head, true),
            _ => at(head, false),
        };
        if start.restored
            && let Some(unsaid) = hub.foreign_cursors.take(hub.steady_ms())
        {
            warn!(
                peer = self.peer,
                user = %login.user,
                device = login.device,
                unsaid,
                "a device has a cursor that this store did not give out, as after the store was put back from an older copy; \
                 the device is told of a gap"
            );
        }
        let mut me = ClientContext::new(device, account, start.change, hub.permissions.now());
        me.restored = start.restored;
        me.expiry = Expiry::at(&hub, login.expires_s);
        self.me = Some(me);
        let cursor = hub.epochs.cursor(start.change).to_bytes();
        let answer = LoginResponse {
            account,
            time_ms: now_ms,
            cursor: cursor.as_ref(),
            nick,
            ..LoginResponse::default() // the session repeats what the login said
        };
        let nameless = LoginResponse { nick: "", ..answer };
        let session = self.io.session();
        if session.accept(&answer).is_err() && session.accept(&nameless).is_err() {
            self.goodbye(ErrorCode::PROTOCOL_VIOLATION, "the login answer does not fit");
        }
    }

    /// Takes what waits for the device; whether there was anything.
    fn empty_mailbox(&mut self, context: &mut Context<'_>) -> bool {
        let mut moved = false;
        loop {
            let room = self.has_room();
            let Some(me) = &mut self.me else { return moved };
            me.device.listen(context.waker());
            let device = Arc::clone(&me.device);
            let mut mailbox = device.mailbox();
            if let Some(code) = mailbox.farewell.take() {
                drop(mailbox);
                self.goodbye(code, "");
                return true;
            }
            if std::mem::take(&mut mailbox.behind) {
                me.catching_up = true;
                moved = true;
            }
            if !room {
                return moved;
            }
            if let Some(answered) = mailbox.answers.pop_front() {
                drop(mailbox);
                self.answered(answered);
            } else if let Some(change) = mailbox.changes.pop_front() {
                drop(mailbox);
                if self.io.session().push(FrameKind::CONVERSATION, &change).is_err() {
                    return moved;
                }
            } else if let Some(delivery) = self
                .io
                .session()
                .is_online()
                .then(|| me.next_live(&mut mailbox))
                .flatten()
            {
                let taken = hand_over(
                    &mut self.io,
                    &self.hub.epochs,
                    delivery.change,
                    delivery.message(),
                );
                match taken {
                    Ok(()) => me.cursor = me.cursor.max(delivery.change),
                    Err(_) => {
                        mailbox.live.put_back(delivery);
                        return moved;
                    }
                }
            } else {
                if me.untold >= MAX_UNTOLD && me.synced {
                    me.tell_cursor(self.io.session(), &self.hub.epochs);
                }
                return moved;
            }
            moved = true;
        }
    }

    /// The account of a first login is there.
    pub(crate) fn logged_in(&mut self, answered: &Answered) {
        let Some(login) = self.login.take() else { return };
        self.me = None;
        match &answered.outcome {
            Outcome::Store(Ok(Written::Account { number })) => self.admit(&login, *number, ""),
            Outcome::Store(Err(error)) => {
                let failed = Refusal::from(error);
                self.refuse(&failed);
            }
            _ => self.refuse(&Refusal::new(
                ErrorCode::STORAGE_FAILED,
                "the store gave a wrong answer",
            )),
        }
    }

    /// Reads on from the log, as far as the client's window allows; whether anything came of it.
    fn catch_up(&mut self) -> bool {
        let room = self.has_room();
        let Some(me) = self.me.as_mut().filter(|me| me.catching_up) else {
            return false;
        };
        let session = self.io.session();
        let window = session.window_capacity();
        // Reading costs the same for one entry as for many: wait until half of the window is free. Only a client that
        // has not heard yet that there is nothing more for it hears that without a window too.
        let enough = window * 2 >= session.window() && window > 0;
        if !session.is_online() || !room || (!enough && (me.synced || me.more)) {
            return false;
        }
        if me.restored {
            if session.push(FrameKind::GAP, &Gap::RESTORED).is_err() {
                return false;
            }
            me.restored = false;
        }
        let request = ChangesRequest {
            user: me.device.user,
            cursor: me.cursor,
            limit: window.clamp(1, 256),
            max_bytes: CATCH_UP_BYTES.min(session.outgoing_capacity() / 2),
        };
        match self.hub.reader.changes_since(&request) {
            Ok(changes) => self.hand_over_changes(&changes),
            Err(error) => {
                warn!(user = %me.device.user, %error, "the log cannot be read");
                self.goodbye(ErrorCode::STORAGE_FAILED, "the log cannot be read");
                true
            }
        }
    }

    fn hand_over_changes(&mut self, changes: &Changes) -> bool {
        let Some(me) = &mut self.me else { return false };
        let start = me.cursor;
        me.more = true; // unless the end is reached below
        for gap in &changes.gaps {
            let Some(conversation) = gap.log.seen_by(&me.device.user) else {
                continue;
            };
            let body = Gap {
                conversation,
                from: gap.from,
                to: gap.to,
            };
            if self.io.session().push(FrameKind::GAP, &body).is_err() {
                return false;
            }
        }
        for change in &changes.entries {
            let delivery = encode::delivery(&change.entry);
            if delivery.is_from(&me.device) {
                me.untold += 1;
            } else if hand_over(
                &mut self.io,
                &self.hub.epochs,
                delivery.change,
                delivery.message(),
            )
            .is_ok()
            {
                me.untold = 0;
            } else {
                return me.cursor != start; // the rest when there is room again
            }
            me.cursor = delivery.change;
        }
        me.cursor = me.cursor.max(changes.cursor);
        me.more = changes.more;
        if !changes.more {
            me.catching_up = false;
            if !me.synced {
                me.synced = me.tell_cursor(self.io.session(), &self.hub.epochs);
                me.catching_up = !me.synced;
            }
        }
        true
    }

    /// Answers a request with an error. Without room even for that, the connection is of no use.
    pub(crate) fn fail(&mut self, id: u32, failed: &Refusal) {
        let failure = failed.failure();
        if self.io.session().fail(id, &failure).is_ok() {
            return;
        }
        let short = Failure { text: "", ..failure };
        if let Err(SendError::Full | SendError::TooLarge { .. }) = self.io.session().fail(id, &short) {
            self.goodbye(ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR, "");
        }
    }
}

impl<L> Connection<L> {
    fn leave(&mut self, leaving: Leaving) {
        if let Some(me) = self.me.take() {
            self.hub.leave(&me.device, leaving);
        }
    }
}

impl<L> Drop for Connection<L> {
    fn drop(&mut self) {
        self.leave(Leaving::Cut);
    }
}

/// Delivers a message. A client that cannot take it whole gets a tip without names, or else its stub.
fn hand_over<L: AsyncRead + AsyncWrite + Unpin>(
    io: &mut HubConnection<L>,
    epochs: &Epochs,
    change: u64,
    message: &Bytes,
) -> Result<(), DeliverError> {
    let cursor = (change > 0).then(|| epochs.cursor(change).to_bytes());
    let cursor = cursor.as_ref().map_or(&[][..], AsRef::as_ref);
    match io.session().deliver(cursor, 0, message) {
        Err(DeliverError::Send(SendError::TooLarge { .. })) => {}
        taken => return taken,
    }
    let nameless = encode::nameless_tip(message).map(|tip| (tip, 0));
    for shorter in [nameless, encode::stub(message), encode::bare_stub(message)] {
        let Some((stub, payload_len)) = shorter else {
            continue;
        };
        match io.session().deliver(cursor, payload_len, &stub) {
            Err(DeliverError::Send(SendError::TooLarge { .. })) => {}
            taken => return taken,
        }
    }
    // Unreachable, so nothing is passed over in silence here. The last of the three fits: a session comes online only with a
    // client that takes frames of `LEAST_MAX_FRAME` bytes, and a stub without extensions has a bounded length that is less,
    // see `encode::tests::the_longest_stub_fits_into_the_smallest_frame`. It can be made of every message: the hub decoded
    // its content before it took it, or wrote it itself.
    Ok(())
}
