//! What a connection is charged for, and how it is slowed down: nothing is read from it until that is paid for.
//!
//! Requests are charged to the user by their handlers' costs, and refused when the user has made too many. What is left is charged
//! here: to the user what has no other limit, such as PINGs and refusals; to the network everything. A connection in debt is
//! paused. Its socket fills, and then its client waits.
//!
//! A network has two accounts: one for those of its users who have logged in, one for strangers. Many share an address; whoever has
//! no UserSig cannot slow down those who have one.

use std::time::Duration;

use tim_proto::wire::FrameKind;
use tim_proto::{ErrorCode, UserId};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Connection, Stage};
use crate::admission::Network;
use crate::handlers;
use crate::refusal::Refusal;
use crate::service::Services;

/// What a login costs of what its user and its network may spend: it checks a signature and may write to the store.
const LOGIN_COST: u32 = 20;
/// How long a login waits for its turn at the most before it is refused.
const MAX_LOGIN_WAIT_MS: u64 = 2_000;
/// What a new connection costs its network.
const CONNECTION_COST: u32 = 2;
/// What a millisecond of reading the log costs. So an account keeps a part of one core busy, however often it begins anew.
const READING_COST: u32 = 5;
/// The longest reading that is charged: on a slow disk it is not the user's fault.
const MAX_READING_MS: u64 = 2_000;
/// The shortest pause, so that a client in debt costs few wake-ups, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));
/// After fewer received bytes than these, without the end of a frame, the connection pauses, so that the rest comes at once.
const FEW_BYTES: usize = 512;
/// How often a connection may be woken for nothing: the longest TLS record comes in no more segments.
const MAX_FRUITLESS: u8 = 16;
/// For how long it pauses.
const FRAGMENT_PAUSE: Duration = Duration::from_millis(5);

impl<L: AsyncRead + AsyncWrite + Unpin> Connection<L> {
    /// Whether nothing is to be read from the client now.
    pub(super) fn is_paused(&mut self) -> bool {
        if self.paused_until.is_some_and(|until| self.io.now() >= until) {
            self.paused_until = None;
        }
        self.paused_until.is_some()
    }

    fn pause(&mut self, wait_ms: u64) {
        if wait_ms > 0 {
            let (least, most) = PAUSE;
            self.pause_for(Duration::from_millis(wait_ms).clamp(least, most));
        }
    }

    fn pause_for(&mut self, pause: Duration) {
        let until = self.io.now() + pause;
        self.paused_until = self.paused_until.max(Some(until));
    }

    /// The connection begins.
    pub(super) fn charge_connection(&mut self) {
        let wait_ms = self.charge_network(CONNECTION_COST);
        self.pause(wait_ms);
    }

    /// A request has come. Its user pays by the handler's rate.
    pub(super) fn charge_request(&mut self, kind: FrameKind) {
        let wait_ms = self.charge_network(handlers::cost(kind).max(1));
        self.pause(wait_ms);
    }

    /// The log was read for the device, for so long: the first reading looks at each conversation of the user.
    pub(super) fn charge_reading(&mut self, took_ms: u64) {
        let took_ms = u32::try_from(took_ms.min(MAX_READING_MS)).unwrap_or(u32::MAX);
        if took_ms > 1 {
            self.charge(took_ms * READING_COST);
        }
    }

    /// Something has come that has no other limit.
    pub(super) fn charge(&mut self, cost: u32) {
        let mut wait_ms = self.charge_network(cost);
        if let Stage::Online(online) = &self.stage {
            let (user, per_second) = (online.device().user(), online.requests_per_second());
            let now_ms = self.services.steady_ms();
            let limiter = &self.services.request_limiter;
            wait_ms = wait_ms.max(limiter.charge(user, per_second, now_ms, cost));
        }
        self.pause(wait_ms);
    }

    /// Charges what the session has handled by itself. Before the login, that is little.
    pub(super) fn charge_idle_frames(&mut self) {
        let idle = self.io.session().take_idle_frames();
        if idle > 0 {
            self.handled = self.handled.wrapping_add(1);
            self.charge(idle);
            if !matches!(self.stage, Stage::Online(_)) {
                self.pause(1);
            }
        }
    }

    /// Some bytes have come, and no frame.
    pub(super) fn charge_fragment(&mut self, bytes: usize) {
        if bytes < FEW_BYTES {
            let wait_ms = self.charge_network(1);
            self.pause(wait_ms);
            self.pause_for(FRAGMENT_PAUSE);
        }
    }

    /// The connection has nothing to do. If it was woken for nothing again and again, its stream brings bytes and no data, as of a TLS
    /// record that comes in pieces: that costs as much as a fragment.
    pub(super) fn charge_fruitless(&mut self) {
        if self.is_active {
            self.fruitless = 0;
        } else if !self.is_paused() {
            self.fruitless = self.fruitless.saturating_add(1);
            if self.fruitless > MAX_FRUITLESS {
                self.charge_fragment(0);
            }
        }
    }

    fn charge_network(&self, cost: u32) -> u64 {
        let Some(network) = self.place.network() else {
            return 0;
        };
        let per_second = self.services.settings.address_requests_per_second();
        let now_ms = self.services.steady_ms();
        let limiter = match self.stage {
            Stage::Online(_) => &self.services.network_limiter,
            _ => &self.services.stranger_limiter,
        };
        limiter.charge(network, per_second, now_ms, cost)
    }
}

/// A login is refused for its UserSig. The connection ends, and the next one from there waits.
pub(super) fn charge_refused_login(services: &Services, network: Option<Network>) {
    let Some(network) = network else { return };
    let per_second = services.settings.address_requests_per_second();
    let limiter = &services.stranger_limiter;
    limiter.charge(network, per_second, services.steady_ms(), LOGIN_COST);
}

/// Waits until the network may log in once more.
pub(super) async fn login_of_network(services: &Services, network: Option<Network>) -> Result<(), Refusal> {
    let Some(network) = network else { return Ok(()) };
    let (per_second, now_ms) = (
        services.settings.address_requests_per_second(),
        services.steady_ms(),
    );
    let limiter = &services.network_limiter;
    let turn = limiter.reserve(network, per_second, now_ms, LOGIN_COST, MAX_LOGIN_WAIT_MS);
    wait_for(turn, "too many logins and requests come from your address").await
}

/// Waits until the user may log in once more.
pub(super) async fn login_of_user(services: &Services, user: UserId) -> Result<(), Refusal> {
    let (per_second, now_ms) = (services.settings.requests_per_second(), services.steady_ms());
    let limiter = &services.request_limiter;
    let turn = limiter.reserve(user, per_second, now_ms, LOGIN_COST, MAX_LOGIN_WAIT_MS);
    wait_for(turn, "this account logs in too often").await
}

/// Admits one more account of the network.
pub(super) fn account_of_network(services: &Services, network: Option<Network>) -> Result<(), Refusal> {
    let Some(network) = network else { return Ok(()) };
    let taken = services.network_accounts.take(network, services.steady_ms());
    let text = "too many new accounts come from your address";
    taken.map_err(|wait_ms| Refusal::too_soon(ErrorCode::RATE_LIMITED, wait_ms, text))
}

async fn wait_for(turn: Result<u64, u64>, too_late: &str) -> Result<(), Refusal> {
    match turn {
        Ok(0) => Ok(()),
        Ok(wait_ms) => {
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            Ok(())
        }
        Err(wait_ms) => Err(Refusal::too_soon(ErrorCode::RATE_LIMITED, wait_ms, too_late)),
    }
}
