//! What a hub is opened with.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tim_proto::limits::Limits;
use tim_session::HubConfig;

use crate::groups::GroupPolicy;
use crate::usersig::App;

/// Where the hub's data is, whose users it serves, and what it allows. Each number has a default that suits a small
/// installation.
#[derive(Clone)]
#[non_exhaustive]
pub struct HubOptions {
    /// The data directory; made if it is not there.
    pub data: PathBuf,
    /// The application whose UserSigs let users in.
    pub app: App,
    /// The limits of the messaging itself: sizes, pages, windows, retention.
    pub limits: Limits,
    /// The limits of a connection. Frames are taken as large as the largest message needs, also if this says less.
    pub connection: HubConfig,
    /// How many connections there may be at a time; more are turned away. Default 20,000.
    pub max_connections: usize,
    /// How many bytes may wait to be sent to one connection. Default 1 MiB.
    pub max_outgoing: usize,
    /// How many live deliveries may wait for one connection before it reads on from the log instead. Default 256.
    pub max_live: usize,
    /// On how many devices a user can be logged in at a time; one more ends the oldest one's session. Default 16.
    pub max_devices: usize,
    /// How many messages an account may send a second, with twice that in one go; 0 is no limit. Default 200.
    pub sends_per_second: u32,
    /// How many members a group may have, but for Communities. Default 6,000.
    pub max_members: usize,
    /// How many members a Community may have. Default 100,000.
    pub max_community: usize,
    /// How many admins a group may have beside its owner. Default 10.
    pub max_admins: usize,
    /// How many groups a user may be in, Communities and the user's own AVChatRooms among them; also in how many AVChatRooms
    /// at a time. Default 1,000.
    pub max_groups: usize,
    /// Whether a message to a user id that never logged in makes the account (as an application's server would have done);
    /// otherwise it is refused. Default true.
    pub open_registration: bool,
    /// How many bytes the database may have, beside up to 64 MiB of its write-ahead log; 0 is as many as the disk has.
    /// What finds no room is refused with `STORAGE_FULL`, and everything that is there can be read. Default 0.
    pub max_data: u64,
    /// How often old entries are looked for. Default 60 s.
    pub purge_interval: Duration,
    /// The clock, Unix time in milliseconds. Default: the system's.
    pub clock: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl HubOptions {
    /// The defaults, for this data directory and application.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>, app: App) -> Self {
        Self {
            data: data.into(),
            app,
            limits: Limits::new(),
            connection: HubConfig::default(),
            max_connections: 20_000,
            max_outgoing: 1 << 20,
            max_live: 256,
            max_devices: 16,
            sends_per_second: 200,
            max_members: 6_000,
            max_community: 100_000,
            max_admins: 10,
            max_groups: 1_000,
            open_registration: true,
            max_data: 0,
            purge_interval: Duration::from_secs(60),
            clock: Arc::new(system_time_ms),
        }
    }
}

impl HubOptions {
    /// The ceilings of groups.
    pub(super) fn group_policy(&self) -> GroupPolicy {
        let number = |ceiling: usize| u32::try_from(ceiling).unwrap_or(u32::MAX);
        GroupPolicy {
            max_members: number(self.max_members),
            max_community: number(self.max_community),
            max_admins: number(self.max_admins),
            max_groups: number(self.max_groups),
        }
    }
}

impl fmt::Debug for HubOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubOptions")
            .field("data", &self.data)
            .field("app", &self.app)
            .field("limits", &self.limits)
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

fn system_time_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
