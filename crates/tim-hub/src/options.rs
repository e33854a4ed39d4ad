//! The options of a hub.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

#[cfg(feature = "rest")]
use tim_proto::UserId;
use tim_proto::vendor::limits::Limits;
use tim_session::HubConfig;

use crate::clock::Clock;
use crate::file_options::FileOptions;
use crate::push::PushOptions;
use tim_groups::GroupPolicy;
use tim_usersig::App;

/// The application that a hub serves, and its limits. Each number has a default that suits a small installation.
#[derive(Clone)]
#[non_exhaustive]
pub struct HubOptions {
    /// The application whose UserSigs are accepted.
    pub app: App,
    /// The same application with the key that it had before, while that is replaced: what it has signed is good, too, UserSigs and URLs of
    /// files. Default none.
    pub former_app: Option<App>,
    /// The limits of messaging: sizes, pages, windows, retention.
    pub limits: Limits,
    /// The limits of a connection. The largest frame is raised to what the largest message needs.
    pub connection: HubConfig,
    /// The maximum number of connections that are logged in; more are turned away. Default 20,000.
    pub max_connections: usize,
    /// The maximum number of them from one address; 0 is no limit. Default 5,000. Of IPv6, the first 64 bits count, here and
    /// wherever a limit is one of an address.
    pub max_connections_per_address: usize,
    /// The maximum number of connections that have not logged in yet. For one more, one of the address that has most of them is
    /// dropped: the oldest that has not sent a LOGIN, or else the newest whose LOGIN waits for its turn. Default 2,000.
    pub max_half_open: usize,
    /// The maximum number of serial ports. For one more, one that anybody can connect is dropped, as of connections that have not logged
    /// in, if nobody is logged in on it. Default 256.
    pub max_serial_ports: usize,
    /// The maximum number of bytes that wait to be sent on one connection. Default 1 MiB.
    pub max_outgoing: usize,
    /// The maximum number of live deliveries that wait for one connection; with more, it reads from the log instead.
    /// Default 256.
    pub max_live: usize,
    /// The maximum number of bytes that wait for clients which do not read them, of all connections together; 0 is no limit. Buffers
    /// count whole, and those of sessions that have ended count until they are sent. Beyond it, those for whom most waits read on from
    /// the log later, or are cut off and come back. Default 256 MiB.
    pub max_backlog: usize,
    /// The maximum number of devices on which a user is logged in; one more ends the oldest session. Default 16.
    pub max_devices: usize,
    /// The maximum number of messages that an account sends per second, with a burst of twice that; 0 is no limit.
    /// Default 200.
    pub sends_per_second: u32,
    /// What the requests of an account, other than SEND, may cost per second, with a burst of twice that; 0 is no limit. A request
    /// for one thing costs 1, for a page 5, for a page of conversations 10; a refusal and a PING 1, a login 20. Beyond it requests
    /// are refused, and its connections are not read from until what was refused is paid for. Default 2,000.
    pub requests_per_second: u32,
    /// What everything from one address may cost per second, with a burst of twice that; 0 is no limit. Costs are as for
    /// [`requests_per_second`](Self::requests_per_second), and a SEND costs 1. Beyond it the connections from there are read
    /// from more slowly, and logins wait for a moment or are refused. Those who have no valid UserSig have a rate of the same size
    /// apart: they cannot slow down the others at a shared address. Default 10,000.
    pub address_requests_per_second: u32,
    /// The maximum number of new accounts in an hour, with a burst of twice that: of one address by first logins, and of one account by
    /// messages to users who have never logged in. 0 is no limit. Default 1,000.
    pub accounts_per_hour: u32,
    /// Who may call the REST interface that [`Hub::serve_http`](crate::Hub::serve_http) serves, each with a UserSig. Without anybody there
    /// is no such interface. An administrator acts as any user: no user should be able to choose such a user id. Default: nobody.
    #[cfg(feature = "rest")]
    pub admins: Vec<UserId>,
    /// The maximum number of calls of the REST interface per second, of all administrators together, with a burst of twice that; 0 is
    /// no limit. Default 10,000.
    #[cfg(feature = "rest")]
    pub rest_calls_per_second: u32,
    /// Addresses to which no limit of an address applies, as of a proxy, behind which everybody has the same one. Default 127.0.0.1
    /// and ::1.
    pub trusted_addresses: Vec<IpAddr>,
    /// The maximum number of members of a group other than a Community. Default 6,000.
    pub max_members: usize,
    /// The maximum number of members of a Community. Default 100,000.
    pub max_community: usize,
    /// The maximum number of admins of a group, without its owner. Default 10.
    pub max_admins: usize,
    /// The maximum number of groups of a user, including Communities and the user's own AVChatRooms; also the maximum number
    /// of AVChatRooms that a user is in at a time. Default 1,000.
    pub max_groups: usize,
    /// The maximum number of bytes that an account has stored: of messages that it has sent and that are kept, each with 128 bytes for
    /// what is kept beside it. Further ones are refused with `ACCOUNT_STORAGE_FULL`, until the retention or a revocation has removed
    /// some. 0 is no limit. Default 1 GiB.
    pub max_account_bytes: u64,
    /// The maximum number of one-to-one conversations that an account has begun; a message that would begin one more is refused with
    /// `TOO_MANY_CONVERSATIONS`. 0 is no limit. Default 100,000.
    pub max_conversations: u64,
    /// The maximum size of the kept files that an account has uploaded, with their renditions, in bytes. More are refused with
    /// `FILE_QUOTA_REACHED`, until retention or a revocation has removed some. 0 is no limit. Default 1 GiB.
    pub max_account_file_bytes: u64,
    /// The maximum number of these files; 0 is no limit. Default 10,000.
    pub max_account_files: u64,
    /// Where the files of messages are kept. With `None`, [`Hub::open`](crate::Hub::open) uses the directory `files` in that of the
    /// store, and any other hub refuses files. Default `None`.
    pub files: Option<FileOptions>,
    /// How users who are offline are notified; `None` in a hub that notifies nobody. Tokens are kept in any case. Default `None`.
    pub push: Option<PushOptions>,
    /// Which server of the application the hub asks about messages, and tells of them; `None` for none. Default `None`.
    #[cfg(feature = "outgoing")]
    pub callbacks: Option<crate::callbacks::CallbackOptions>,
    /// How long an account is kept that was never used for anything, a conversation, a group or a profile, after it was logged in last;
    /// zero keeps it. Who logs in later gets a new one. Default 90 days.
    pub unused_account_life: Duration,
    /// Whether a message to a user id that never logged in creates the account, as an application's server would have done.
    /// Otherwise the message is refused. Default true.
    pub open_registration: bool,
    /// The largest size of the database that [`Hub::open`](crate::Hub::open) opens, in bytes, without up to 64 MiB of its
    /// write-ahead log; 0 is no limit. Writes beyond it are refused with `STORAGE_FULL`; reads go on. Default 0.
    #[cfg(feature = "sqlite")]
    pub max_data: u64,
    /// The interval at which old entries are removed. Default 60 s.
    pub purge_interval: Duration,
    /// The clocks. Default: the system's.
    pub clock: Clock,
}

impl HubOptions {
    /// The defaults, for this application.
    #[must_use]
    pub fn new(app: App) -> Self {
        Self {
            app,
            former_app: None,
            limits: Limits::new(),
            connection: HubConfig::default(),
            max_connections: 20_000,
            max_connections_per_address: 5_000,
            max_half_open: 2_000,
            max_serial_ports: 256,
            max_outgoing: 1 << 20,
            max_live: 256,
            max_backlog: 256 << 20,
            max_devices: 16,
            sends_per_second: 200,
            requests_per_second: 2_000,
            address_requests_per_second: 10_000,
            accounts_per_hour: 1_000,
            #[cfg(feature = "rest")]
            admins: Vec::new(),
            #[cfg(feature = "rest")]
            rest_calls_per_second: 10_000,
            trusted_addresses: vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            max_members: 6_000,
            max_community: 100_000,
            max_admins: 10,
            max_groups: 1_000,
            max_account_bytes: 1 << 30,
            max_conversations: 100_000,
            max_account_file_bytes: 1 << 30,
            max_account_files: 10_000,
            files: None,
            push: None,
            #[cfg(feature = "outgoing")]
            callbacks: None,
            unused_account_life: Duration::from_secs(90 * 24 * 3600),
            open_registration: true,
            #[cfg(feature = "sqlite")]
            max_data: 0,
            purge_interval: Duration::from_secs(60),
            clock: Clock::system(),
        }
    }
}

/// The shortest app key that is accepted, in bytes. Anybody who guesses the key can log in as any user.
pub const MIN_KEY_LEN: usize = 16;

impl HubOptions {
    /// Checks the options.
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub(crate) fn check(&self) -> Result<(), String> {
        let key_len = self.app.key_len();
        if key_len < MIN_KEY_LEN {
            return Err(format!(
                "the app key has {key_len} bytes, at least {MIN_KEY_LEN} are needed: who guesses it can log in as anybody"
            ));
        }
        let limits = &self.limits;
        let at_least_one = [
            ("max_connections", self.max_connections as u64),
            ("max_half_open", self.max_half_open as u64),
            ("max_devices", self.max_devices as u64),
            ("max_members", self.max_members as u64),
            ("max_community", self.max_community as u64),
            ("max_groups", self.max_groups as u64),
            ("max_live", self.max_live as u64),
            ("the retention", limits.retention_seconds()),
            ("the largest message", limits.message_bytes()),
        ];
        if let Some((what, _)) = at_least_one.into_iter().find(|(_, value)| *value == 0) {
            return Err(format!(
                "{what} is 0: nothing could be done; set it to 1 at least"
            ));
        }
        #[cfg(feature = "outgoing")]
        if let Some(callbacks) = &self.callbacks {
            callbacks.check()?;
        }
        if self.max_backlog != 0 && self.max_backlog < self.max_outgoing {
            return Err(format!(
                "max_backlog is {}, less than what may wait for one connection, {}",
                self.max_backlog, self.max_outgoing
            ));
        }
        Ok(())
    }

    /// The ceilings of groups.
    pub(crate) fn group_policy(&self) -> GroupPolicy {
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
            .field("app", &self.app)
            .field("limits", &self.limits)
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}
