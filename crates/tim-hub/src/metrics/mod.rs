//! What the hub counts, for its operator: totals, times and sizes, without anything of users.
//!
//! Counting is an addition to an atomic number: no lock and no memory on the way of a message. Sizes of queues and files are looked up
//! when somebody [asks](report()). Labels have few values, all of them fixed here.

mod process;
mod report;
mod text;

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use tim_proto::ErrorCode;
use tim_proto::wire::FrameKind;
use tim_session::CloseReason;
use tim_store::measure::Histogram;
use tokio::time::Instant;

use crate::refusal::Refusal;

pub(crate) use report::{not_ready, report};

/// A counter.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// When something began, in microseconds that wrap after more than an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Began(u32);

/// Declares an enumeration of what a label may say, with the number of its values.
macro_rules! label {
    ($(#[$doc:meta])* $name:ident { $($value:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name { $($value,)+ }

        impl $name {
            const ALL: &'static [Self] = &[$(Self::$value,)+];
            const COUNT: usize = Self::ALL.len();

            const fn text(self) -> &'static str {
                match self { $(Self::$value => $text,)+ }
            }
        }
    };
}

label! {
    /// Why something was refused, by whose fault it is and what helps.
    Class {
        Credentials = "credentials",
        Rate = "rate",
        Quota = "quota",
        Capacity = "capacity",
        Storage = "storage",
        Permission = "permission",
        NotFound = "not_found",
        Malformed = "malformed",
        Invalid = "invalid",
    }
}

label! {
    /// How a session ended.
    SessionEnd {
        LoggedOut = "logged_out",
        TimedOut = "timed_out",
        Kicked = "kicked",
        Expired = "expired",
        Shutdown = "shutdown",
        Violation = "violation",
        Overload = "overload",
        Lost = "lost",
        Other = "other",
    }
}

label! {
    /// Why a message was not passed on.
    Drop {
        GroupRate = "group_rate",
        SlowDevice = "slow_device",
        LiveQueue = "live_queue",
    }
}

impl Class {
    pub(crate) const fn of(code: ErrorCode) -> Self {
        match code {
            ErrorCode::ACCOUNT_USERSIG_MISMATCH_SDKAPPID
            | ErrorCode::SDK_COMM_INVALID_IDENTIFIER
            | ErrorCode::USER_NOT_LOGGED_IN
            | ErrorCode::SESSION_REPLACED
            | ErrorCode(70_000..=70_999) => Self::Credentials,
            ErrorCode::RATE_LIMITED | ErrorCode::GROUP_SEND_MSG_FREQ_LIMIT | ErrorCode::GROUP_FREQ_LIMIT => {
                Self::Rate
            }
            ErrorCode::ACCOUNT_STORAGE_FULL
            | ErrorCode::FILE_QUOTA_REACHED
            | ErrorCode::TOO_MANY_CONVERSATIONS
            | ErrorCode::TOO_MANY_UPLOADS
            | ErrorCode::GROUP_COUNT_LIMIT
            | ErrorCode::GROUP_FULL_MEMBER_COUNT => Self::Quota,
            ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR | ErrorCode::SERVER_SHUTTING_DOWN => Self::Capacity,
            ErrorCode::STORAGE_FAILED
            | ErrorCode::STORAGE_DAMAGED
            | ErrorCode::STORAGE_FULL
            | ErrorCode::FILE_STORE_FAILED
            | ErrorCode::OUTCOME_UNKNOWN => Self::Storage,
            ErrorCode::GROUP_PERMISSION_DENY
            | ErrorCode::GROUP_SHUTUP_DENY
            | ErrorCode::GROUP_REVOKE_MSG_DENY
            | ErrorCode::GROUP_NOT_ALLOW_REVOKE_MSG
            | ErrorCode::GROUP_SUPER_NOT_ALLOW_QUIT
            | ErrorCode::GROUP_REVOKE_MSG_TIME_LIMIT
            | ErrorCode::MSG_REVOKE_TIME_LIMIT
            | ErrorCode::CANNOT_ADD_MEMBER_IN_AVCHATROOM
            | ErrorCode::ONLINE_ONLY_NOT_ALLOWED
            | ErrorCode::FILE_NOT_YOURS
            | ErrorCode::REVOKE_DENIED => Self::Permission,
            ErrorCode::FILE_NOT_FOUND
            | ErrorCode::MESSAGE_NOT_FOUND
            | ErrorCode::GROUP_NOT_FOUND
            | ErrorCode::GROUP_REVOKE_MSG_NOT_FOUND
            | ErrorCode::GROUP_ACCOUNT_NOT_FOUND
            | ErrorCode::CONVERSATION_NOT_FOUND
            | ErrorCode::USER_OR_GROUP_NOT_FOUND
            | ErrorCode::UPLOAD_UNKNOWN => Self::NotFound,
            ErrorCode::MSG_PKG_PARSE_FAILED
            | ErrorCode::UNSUPPORTED_REQUEST
            | ErrorCode::PROTOCOL_VIOLATION
            | ErrorCode::FRAME_TOO_LARGE => Self::Malformed,
            _ => Self::Invalid,
        }
    }
}

impl SessionEnd {
    pub(crate) const fn of(reason: CloseReason) -> Self {
        match reason {
            CloseReason::LoggedOut => Self::LoggedOut,
            CloseReason::Violation(_) => Self::Violation,
            CloseReason::TimedOut => Self::TimedOut,
            CloseReason::LineLost | CloseReason::Superseded => Self::Lost,
            CloseReason::Goodbye(code) => match code {
                ErrorCode::KICKED_OUT_USERSIG_EXPIRED => Self::Expired,
                ErrorCode::SERVER_SHUTTING_DOWN => Self::Shutdown,
                ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR | ErrorCode::STORAGE_FAILED => Self::Overload,
                ErrorCode::KICKED_OUT_MULT_DEVICE
                | ErrorCode::KICKED_OUT_REST_API
                | ErrorCode::KICKED_OUT_MULT_ACCOUNT
                | ErrorCode::SESSION_REPLACED => Self::Kicked,
                _ => Self::Other,
            },
            _ => Self::Other,
        }
    }
}

/// What the hub has counted since it was opened.
#[derive(Debug)]
pub(crate) struct Metrics {
    start: Instant,
    /// How long requests took until they were answered: those of kinds that the protocol does not have, and behind them those of each
    /// kind, in the order of [`known_kinds`].
    requests_us: Box<[Histogram]>,
    /// The place of each kind in `requests_us`.
    places: [u8; 256],
    refusals: [Counter; Class::COUNT],
    sends: [Counter; 3],
    logins: Counter,
    refused_logins: [Counter; Class::COUNT],
    ends: [Counter; SessionEnd::COUNT],
    drops: [Counter; Drop::COUNT],
    pub(crate) deliveries: Counter,
    pub(crate) http_connections: AtomicUsize,
    pub(crate) retention: RetentionCounts,
}

/// What retention has done.
#[derive(Debug, Default)]
pub(crate) struct RetentionCounts {
    pub(crate) rounds: Counter,
    pub(crate) entries: Counter,
    pub(crate) ids: Counter,
    pub(crate) accounts: Counter,
    /// When the last round ended, in seconds since the start.
    last_s: AtomicU32,
}

/// The kinds that the protocol has. An answer counts as its request.
fn known_kinds() -> impl Iterator<Item = FrameKind> {
    (0..=u8::MAX)
        .map(FrameKind)
        .filter(|kind| !kind.is_answer() && kind.name().is_some())
}

/// What becomes of a SEND.
const SENDS: [&str; 3] = ["ok", "refused", "failed"];

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut places = [0; 256];
        for (kind, place) in known_kinds().zip(1..) {
            if let Some(of_kind) = places.get_mut(usize::from(kind.0)) {
                *of_kind = place;
            }
        }
        Self {
            start: Instant::now(),
            requests_us: (0..=known_kinds().count())
                .map(|_| Histogram::of_times())
                .collect(),
            places,
            refusals: Default::default(),
            sends: Default::default(),
            logins: Counter::default(),
            refused_logins: Default::default(),
            ends: Default::default(),
            drops: Default::default(),
            deliveries: Counter::default(),
            http_connections: AtomicUsize::new(0),
            retention: RetentionCounts::default(),
        }
    }

    /// The current time.
    pub(crate) fn now(&self) -> Began {
        #[allow(clippy::cast_possible_truncation)] // it wraps
        Began(self.start.elapsed().as_micros() as u32)
    }

    fn seconds(&self) -> u32 {
        u32::try_from(self.start.elapsed().as_secs()).unwrap_or(u32::MAX)
    }

    /// A request was answered.
    pub(crate) fn answered(&self, kind: FrameKind, began: Began, refusal: Option<&Refusal>) {
        let place = self.places.get(usize::from(kind.0)).copied().unwrap_or_default();
        if let Some(histogram) = self.requests_us.get(usize::from(place)) {
            histogram.observe(self.now().0.wrapping_sub(began.0).into());
        }
        let class = refusal.map(|refusal| Class::of(refusal.code));
        if let Some(class) = class {
            count(&self.refusals, class as usize);
        }
        if kind == FrameKind::SEND {
            let result = match class {
                None => 0,
                Some(Class::Storage | Class::Capacity) => 2,
                Some(_) => 1,
            };
            count(&self.sends, result);
        }
    }

    pub(crate) fn logged_in(&self) {
        self.logins.add(1);
    }

    pub(crate) fn login_refused(&self, refusal: &Refusal) {
        count(&self.refused_logins, Class::of(refusal.code) as usize);
    }

    pub(crate) fn session_ended(&self, reason: CloseReason) {
        count(&self.ends, SessionEnd::of(reason) as usize);
    }

    pub(crate) fn dropped(&self, why: Drop, number: u64) {
        if let Some(counter) = self.drops.get(why as usize) {
            counter.add(number);
        }
    }

    /// A round of retention has ended.
    pub(crate) fn retention_ended(&self) {
        self.retention.rounds.add(1);
        self.retention.last_s.store(self.seconds(), Ordering::Relaxed);
    }
}

fn count(counters: &[Counter], place: usize) {
    if let Some(counter) = counters.get(place) {
        counter.add(1);
    }
}
