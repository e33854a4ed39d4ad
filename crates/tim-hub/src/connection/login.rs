//! A login: who it is, whether the account exists, and the device's entry into presence.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tim_proto::request::{Login, LoginResponse, Resume};
use tim_proto::{ErrorCode, GroupType, UserId};
use tim_session::CloseReason;
use tim_store::{Cursor, ResumePoint, StoreError, Write, WriteError, Written};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::online::Online;
use super::{Connection, Stage, throttle};
use crate::admission::{NoPlace, Place};
#[cfg(feature = "outgoing")]
use crate::callbacks::StateChange;
use crate::client_context::{ClientContext, ClientLimits, Expiry};
use crate::device::{Device, LoginId};
use crate::presence::Leaving;
use crate::refusal::Refusal;
use crate::service::Services;

/// The retry interval while the hub has no capacity for a connection.
const FULL_RETRY_MS: u64 = 5_000;

/// A login that is being checked.
pub(super) struct LoggingIn {
    user: UserId,
    device: u64,
    result: Pin<Box<dyn Future<Output = Result<LoggedIn, Refusal>> + Send>>,
}

/// A LOGIN, in memory of its own.
pub(super) struct LoginRequest {
    app: u32,
    user: UserId,
    user_sig: String,
    device: u64,
    login: LoginId,
    resume: Resume,
    cursor: Option<Cursor>,
}

impl From<Login<'_>> for LoginRequest {
    fn from(login: Login<'_>) -> Self {
        Self {
            app: login.app,
            user: login.user,
            user_sig: login.user_sig.to_owned(),
            device: login.device,
            login: LoginId {
                session: login.session,
                attempt: login.attempt,
            },
            resume: login.resume,
            cursor: Cursor::from_bytes(login.cursor),
        }
    }
}

/// A login that was admitted.
pub(super) struct LoggedIn {
    pub(super) seat: Seat,
    pub(super) client: ClientContext,
    pub(super) nick: String,
    /// Where the device's deliveries start.
    pub(super) start: ResumePoint,
}

/// A device's entry in presence, which ends with this: as cut, unless it is left otherwise.
pub(super) struct Seat {
    services: Arc<Services>,
    device: Arc<Device>,
    leaving: Leaving,
    /// What the application is told when it ends; nothing before the login was answered.
    #[cfg(feature = "outgoing")]
    end: Option<StateChange>,
}

impl Seat {
    /// The device goes offline.
    pub(super) fn leave(mut self, leaving: Leaving, reason: CloseReason) {
        self.leaving = leaving;
        #[cfg(feature = "outgoing")]
        if self.end.is_some() {
            self.end = Some(match reason {
                CloseReason::LoggedOut => StateChange::Logout,
                CloseReason::Goodbye(code) if code.ends_session() => StateChange::Logout,
                CloseReason::TimedOut => StateChange::TimeOut,
                _ => StateChange::Disconnect,
            });
        }
        #[cfg(not(feature = "outgoing"))]
        let _ = reason;
    }

    /// The device is online: the application is told.
    #[cfg(feature = "outgoing")]
    fn tell(&mut self) {
        self.end = Some(StateChange::Disconnect);
        self.tell_of(StateChange::Login);
    }

    #[cfg(feature = "outgoing")]
    fn tell_of(&self, change: StateChange) {
        let now_ms = self.services.now_ms();
        let callbacks = &self.services.callbacks;
        callbacks.state(self.device.user(), change, now_ms);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Services { presence, timer, .. } = &*self.services;
        self.device.leave();
        let backlog = &self.services.backlog;
        backlog.report(&self.device, self.device.backlog(), 0);
        presence.leave(&self.device, self.leaving, self.services.steady_ms());
        timer.wake_for_presence();
        // The device may have logged in again on another connection, of which the application was told.
        #[cfg(feature = "outgoing")]
        if let Some(end) = self.end
            && self.services.callbacks.are_there()
            && presence.successor(&self.device).is_none()
        {
            self.tell_of(end);
        }
    }
}

impl<L: AsyncRead + AsyncWrite + Unpin> Connection<L> {
    pub(super) fn begin_login(&mut self, login: LoginRequest) {
        self.span.record("user", tracing::field::display(&login.user));
        self.span.record("device", login.device);
        if self.place.begin_login().is_err() {
            // It was dropped for a newer one a moment ago, and its task ends.
            return self.goodbye(ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR, "");
        }
        let limits = ClientLimits {
            max_response: self.max_response(),
            features: self.io.session().peer_features(),
            sends_per_second: self.services.settings.sends_per_second(),
            requests_per_second: self.services.settings.requests_per_second(),
        };
        self.stage = Stage::LoggingIn(Box::new(LoggingIn {
            user: login.user,
            device: login.device,
            result: Box::pin(log_in(
                Arc::clone(&self.services),
                Arc::clone(&self.place),
                login,
                limits,
            )),
        }));
    }

    /// Answers a login that has been checked; whether there was one.
    pub(super) fn finish_login(&mut self, context: &mut Context<'_>) -> bool {
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
        self.place.end_login();
        self.services.metrics.login_refused(refusal);
        let events = &self.services.events;
        if let Some(suppressed) = events.refused_logins.take(self.services.steady_ms()) {
            info!(peer = self.peer, %user, code = %refusal.code, reason = refusal.text, suppressed, "a login is refused");
        }
        self.io.session().refuse(&refusal.failure());
    }

    fn go_online(&mut self, user: UserId, device: u64, login: LoggedIn) {
        #[cfg(feature = "outgoing")]
        let login = {
            let mut login = login;
            login.seat.tell();
            login
        };
        let services = Arc::clone(&self.services);
        services.metrics.logged_in();
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
        // The session repeats which login it answers.
        let response = LoginResponse::new(login.client.account())
            .with_time_ms(services.now_ms())
            .with_cursor(cursor.as_ref())
            .with_nick(&login.nick);
        let nameless = response.with_nick("");
        let session = self.io.session();
        let is_sent = session.accept(&response).is_ok() || session.accept(&nameless).is_ok();
        self.stage = Stage::Online(Box::new(Online::new(&services, login)));
        if !is_sent {
            self.goodbye(ErrorCode::PROTOCOL_VIOLATION, "the login answer does not fit");
        }
    }
}

/// Admits a login, or refuses it.
async fn log_in(
    services: Arc<Services>,
    place: Arc<Place>,
    request: LoginRequest,
    limits: ClientLimits,
) -> Result<LoggedIn, Refusal> {
    // First: what strangers say must not cost those who have a UserSig anything.
    let (issued_s, expires_s) = verify(&services, &request)
        .inspect_err(|_| throttle::charge_refused_login(&services, place.network()))?;
    throttle::login_of_user(&services, request.user).await?;
    throttle::login_of_network(&services, place.network()).await?;
    place.establish().map_err(|reason| no_place(&services, reason))?;
    let (user, reads) = (request.user, services.reads.clone());
    let look =
        move || Ok::<_, StoreError>((reads.store().account(&user)?, reads.store().unused_since(&user)?));
    let found = services.reads.run(user, look).await;
    let (account, unused_since) = found.map_err(|_| interrupted())??;
    let (account, nick) = match account {
        // It may be removed just now; the store decides.
        Some(account) if is_out_of_use(&services, unused_since) => {
            (open_account(&services, user).await?, account.nick)
        }
        Some(account) => (account.number, account.nick),
        None => {
            throttle::account_of_network(&services, place.network())?;
            (open_account(&services, user).await?, String::new())
        }
    };
    let entering = Arc::clone(&services);
    let entered = services.reads.run(user, move || {
        let (seat, start) = enter(&entering, &request, issued_s)?;
        let client = ClientContext::new(
            Arc::clone(&seat.device),
            account,
            limits,
            (issued_s, Expiry::at(&entering.options.clock, expires_s)),
            entering.permissions.generation(),
        );
        Ok(LoggedIn {
            seat,
            client,
            nick,
            start,
        })
    });
    entered.await.unwrap_or_else(|_| Err(interrupted()))
}

fn no_place(services: &Services, reason: NoPlace) -> Refusal {
    if let Some(suppressed) = services.events.turned_away.take(services.steady_ms()) {
        let max_connections = services.options.max_connections;
        warn!(
            ?reason,
            max_connections, suppressed, "a connection is turned away: there are too many"
        );
    }
    let text = match reason {
        NoPlace::Full => "all places of this hub are taken",
        NoPlace::OfNetwork => "too many connections come from your address",
        NoPlace::Dropped => "",
    };
    Refusal::too_soon(ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR, FULL_RETRY_MS, text)
}

/// The read pool has lost a job.
fn interrupted() -> Refusal {
    Refusal::new(ErrorCode::STORAGE_FAILED, "")
}

/// Checks who logs in. Returns when the UserSig was issued, and until when it is good, in unix seconds.
fn verify(services: &Services, request: &LoginRequest) -> Result<(u64, u64), Refusal> {
    if request.app != services.options.app.id {
        return Err(Refusal::new(
            ErrorCode::ACCOUNT_USERSIG_MISMATCH_SDKAPPID,
            "this hub serves another application",
        ));
    }
    if request.user == UserId::SYSTEM {
        let text = "nobody logs in as the system";
        return Err(Refusal::new(ErrorCode::SDK_COMM_INVALID_IDENTIFIER, text));
    }
    let now_s = services.now_ms() / 1000;
    services
        .settings
        .verify(&request.user, &request.user_sig, now_s)
        .map(|claims| (claims.issued, claims.expires))
        .map_err(|error| Refusal::new(ErrorCode(error.code()), error.to_string()))
}

/// Whether the store has to be told that an account is used.
fn is_out_of_use(services: &Services, unused_since: Option<u64>) -> bool {
    let interval_ms = services.settings.use_interval_ms();
    let out_of_use = |since: u64| services.now_ms().saturating_sub(since) >= interval_ms.unwrap_or(u64::MAX);
    unused_since.is_some_and(out_of_use)
}

/// The user's first login ever, or the first one for long. Returns the number of the account.
async fn open_account(services: &Services, user: UserId) -> Result<u64, Refusal> {
    let (sender, receiver) = oneshot::channel();
    services.writer.submit(Write::EnsureAccount(user), |answer| {
        // The connection may be gone.
        let _ = sender.send(answer);
    })?;
    match receiver.await.unwrap_or(Err(WriteError::Closed))? {
        Written::Account { number } => Ok(number),
        _ => Err(Refusal::wrong_answer()),
    }
}

/// Enters the device into presence and reads where it starts. In this order, so that nothing falls between the two.
fn enter(
    services: &Arc<Services>,
    request: &LoginRequest,
    issued_s: u64,
) -> Result<(Seat, ResumePoint), Refusal> {
    // Before it ends another session, and behind it: when a UserSig is made void, the sessions in presence are ended.
    services.check_admitted(&request.user, issued_s)?;
    let device = Device::new(request.user, request.device, services.options.max_live);
    let device = Arc::new(device.with_login(request.login).with_issued_s(issued_s));
    if !services.presence.enter(&device, services.settings.max_devices()) {
        let text = "a newer login of this session is known";
        return Err(Refusal::new(ErrorCode::SESSION_REPLACED, text));
    }
    let seat = Seat {
        services: Arc::clone(services),
        device,
        leaving: Leaving::Cut,
        #[cfg(feature = "outgoing")]
        end: None,
    };
    let (max_devices, now_ms) = (services.settings.max_devices(), services.now_ms());
    services.presence.tell_entered(&seat.device, max_devices, now_ms);
    services.check_admitted(&request.user, issued_s)?;
    let store = services.reads.store();
    let head = store.head_change()?;
    let groups = store.groups_of(&request.user)?;
    let groups = groups.iter().map(|group| {
        let is_av_chat_room = group.group_type == GroupType::AV_CHAT_ROOM;
        (group.group, is_av_chat_room)
    });
    services.presence.join(&seat.device, groups);
    services.timer.wake_for_presence();
    let at = |change, restored| ResumePoint {
        change,
        known: change,
        restored,
    };
    let start = match (request.resume, request.cursor) {
        (Resume::START, _) => at(0, false),
        (Resume::CURSOR, Some(cursor)) => services.epochs.resume(cursor, head),
        // What is no cursor of any store's says nothing of what the device has.
        (Resume::CURSOR, None) => at(head, true),
        _ => at(head, false),
    };
    Ok((seat, start))
}
