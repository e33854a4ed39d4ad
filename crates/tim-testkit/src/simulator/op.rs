//! What a plan consists of: who takes part, and every operation and fault that a step can be.
//!
//! References are abstract: "the third-newest message that this device has sent". The world resolves them, modulo what exists, when the
//! step runs. A plan with steps left out is therefore still a plan.

mod faults;
mod rest;
mod servers;

use std::fmt;
use std::str::FromStr;

use tim_session::proto::{GroupId, GroupType, UserId};

pub use faults::{CutPoint, DeviceFault, FileFault, HubFault, LinkFault, StoreFault};
pub use rest::{ADMINISTRATOR, Rest};
pub use servers::{SHARED_TOKENS, Server, ServerFault, ServerSettings};

/// What a seed emphasises. Every profile has every ordinary operation; the profile decides which faults come, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// No fault.
    Calm,
    /// A little of everything.
    Mixed,
    /// Links that are cut, silent, half-open, slow.
    Links,
    /// Small-frame devices on serial lines with noise, loss, duplication, pulled cables.
    Serial,
    /// Applications that restart, devices that are reset.
    Devices,
    /// A hub that stops and crashes.
    Crash,
    /// A hub that is restored from backups.
    Restore,
    /// Wall clocks that jump, retention, bans and mutes that end.
    Clock,
    /// A store that fails, is full, slow, or does not say what happened.
    Store,
    /// Membership, roles, restrictions.
    Groups,
    /// AVChatRooms and online-only messages.
    Rooms,
    /// Several logins of one device, more devices than allowed, UserSigs that expire.
    Logins,
    /// Users whose frames no SDK sends, beside an innocent pair.
    Hostile,
    /// Messages with files: uploads, downloads, forwarding, quotas, and a file store that fails.
    Files,
    /// An application's server beside the devices: messages, sessions, accounts and groups by REST.
    Backend,
    /// Servers of others that the hub calls: an application's, which is asked and told, and sinks of offline push.
    Servers,
}

impl Profile {
    /// All profiles, in the order in which a mixed run takes turns.
    pub const ALL: [Self; 16] = [
        Self::Mixed,
        Self::Calm,
        Self::Links,
        Self::Serial,
        Self::Devices,
        Self::Crash,
        Self::Restore,
        Self::Clock,
        Self::Store,
        Self::Groups,
        Self::Rooms,
        Self::Logins,
        Self::Hostile,
        Self::Files,
        Self::Backend,
        Self::Servers,
    ];

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Mixed => "mixed",
            Self::Links => "links",
            Self::Serial => "serial",
            Self::Devices => "devices",
            Self::Crash => "crash",
            Self::Restore => "restore",
            Self::Clock => "clock",
            Self::Store => "store",
            Self::Groups => "groups",
            Self::Rooms => "rooms",
            Self::Logins => "logins",
            Self::Hostile => "hostile",
            Self::Files => "files",
            Self::Backend => "backend",
            Self::Servers => "servers",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|profile| profile.name() == name);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("there is no profile {name}; there are {names}")
        })
    }
}

/// The program of one seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The seed that it was made from, and from which the world draws everything else.
    pub seed: u64,
    /// The profile.
    pub profile: Profile,
    /// Who takes part.
    pub population: Population,
    /// How the hub and the devices are configured.
    pub settings: Settings,
    /// What happens, in the order of time. The last step is [`Op::Rest`].
    pub steps: Vec<Step>,
}

/// Who takes part.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Population {
    /// The users who use the SDK or a device, by number.
    pub users: Vec<UserPlan>,
    /// How many hostile users there are. They speak the protocol by themselves, one connection each at a time.
    pub hostile: u8,
    /// The type of each group that a step may create, by number.
    pub groups: Vec<GroupType>,
    /// Whether users 0 and 1 are an innocent pair: they write to each other only, and their latency is bounded.
    pub innocent_pair: bool,
    /// Whether there is an application's server.
    pub backend: bool,
}

/// A user and the devices.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserPlan {
    /// What each device is, by number.
    pub devices: Vec<DeviceKind>,
}

/// What a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// A `tim_client::Client` on a stream.
    Sdk,
    /// A small-frame device (`tim_transport_embedded`) on a stream.
    Small,
    /// A small-frame device on a serial line.
    Serial,
}

/// How the hub and the devices are configured for a seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `Limits::retention_seconds` of the hub.
    pub retention_seconds: u64,
    /// `HubOptions::purge_interval`, in milliseconds.
    pub purge_interval_ms: u64,
    /// `HubOptions::max_devices`.
    pub max_devices: usize,
    /// `HubOptions::max_live`.
    pub max_live: usize,
    /// `HubOptions::sends_per_second`.
    pub sends_per_second: u32,
    /// `Limits::group_messages_per_second` of the hub.
    pub group_messages_per_second: u32,
    /// How many events the stream of an application holds.
    pub event_capacity: usize,
    /// The window of a device.
    pub window: u16,
    /// How long the UserSig of the first login is valid, in seconds.
    pub sig_seconds: u64,
    /// The delay of a fragment on a link, least and most, in microseconds.
    pub delay_us: (u64, u64),
    /// The most bytes that arrive together.
    pub max_fragment: usize,
    /// How many bytes a link holds in each direction.
    pub socket_bytes: usize,
    /// `HubOptions::max_outgoing`.
    pub max_outgoing: usize,
    /// The longest frame that an SDK device takes.
    pub max_frame: u32,
    /// Whether the application of a device keeps its cursor after every event (and sends kept messages again after a restart).
    pub keeps: bool,
    /// How the hub keeps files; `None`: it keeps none.
    pub files: Option<FileSettings>,
    /// How the hub calls servers of others; `None`: there are none.
    pub servers: Option<ServerSettings>,
}

/// How a hub keeps files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSettings {
    /// `Limits::piece_bytes` of the hub.
    pub piece_bytes: u32,
    /// `Limits::upload_window` of the hub.
    pub window: u8,
    /// `HubOptions::max_account_file_bytes`; 0 is no limit.
    pub account_bytes: u64,
    /// `HubOptions::max_account_files`; 0 is no limit.
    pub account_files: u64,
    /// `FileStoreOptions::max_uploads`.
    pub max_uploads: usize,
    /// `FileStoreOptions::upload_life_ms`.
    pub upload_life_ms: u64,
    /// `FileOptions::unsent_life`, in milliseconds.
    pub unsent_life_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            retention_seconds: 7 * 24 * 3600,
            purge_interval_ms: 60_000,
            max_devices: 16,
            max_live: 256,
            sends_per_second: 200,
            group_messages_per_second: 40,
            event_capacity: 256,
            window: 16,
            sig_seconds: 24 * 3600,
            delay_us: (200, 5_000),
            max_fragment: 1 << 20,
            socket_bytes: 64 * 1024,
            max_outgoing: 1 << 20,
            max_frame: 64 * 1024,
            keeps: true,
            files: None,
            servers: None,
        }
    }
}

impl Plan {
    /// The user with this number. Hostile users come after the others.
    #[must_use]
    pub fn user(number: u8) -> UserId {
        crate::user(&format!("user-{number}"))
    }

    /// The hostile user with this number.
    #[must_use]
    pub fn hostile_user(number: u8) -> UserId {
        crate::user(&format!("rogue-{number}"))
    }

    /// The group with this number.
    #[must_use]
    pub fn group(number: u8) -> GroupId {
        crate::group(&format!("group-{number}"))
    }

    /// The same plan with only these steps, by number.
    #[must_use]
    pub fn only(&self, keep: impl Fn(u32) -> bool) -> Self {
        let steps = self.steps.iter().filter(|step| keep(step.number)).cloned();
        Self {
            steps: steps.collect(),
            ..self.clone()
        }
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its number in the whole plan, which it keeps when others are left out. Also the number of its call and the [mark](super::Mark) of its
    /// message.
    pub number: u32,
    /// When it begins, in virtual milliseconds since the beginning. Time that passes in a [`Op::Rest`] is not counted.
    pub at_ms: u64,
    /// What it does.
    pub op: Op,
}

/// A device by the numbers of its user and of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceRef {
    /// The user.
    pub user: u8,
    /// The user's device.
    pub device: u8,
}

impl DeviceRef {
    /// A device.
    #[must_use]
    pub const fn new(user: u8, device: u8) -> Self {
        Self { user, device }
    }

    /// Its user.
    #[must_use]
    pub fn user_id(self) -> UserId {
        match self.is_backend() {
            true => crate::user(ADMINISTRATOR),
            false => Plan::user(self.user),
        }
    }
}

impl fmt::Display for DeviceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_backend() {
            return f.pad("backend");
        }
        write!(f, "user-{}.{}", self.user, self.device)
    }
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// The application of a device calls its client. The call runs beside others, and its result is observed when it resolves.
    Call(DeviceRef, Call),
    /// The application's server calls the hub. It repeats a call of which it does not know what became of it.
    Backend(Call),
    /// Something happens to the application or the device itself.
    Device(DeviceRef, DeviceFault),
    /// Something happens to the link of a device.
    Link(DeviceRef, LinkFault),
    /// Something happens to the hub.
    Hub(HubFault),
    /// Something happens to the hub's store.
    Store(StoreFault),
    /// Something happens to a server that the hub calls.
    Server(Server, ServerFault),
    /// A hostile user does something.
    Attack(u8, Attack),
    /// All faults end; everybody logs in; time passes until nothing happens any more; the invariants are checked.
    Rest,
}

/// To whom a message goes, or which conversation a call is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// The conversation with this user. The user itself: a note.
    User(u8),
    /// This group or room.
    Group(u8),
    /// The notices.
    System,
}

/// A message that a device knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Which {
    /// Of those that this device has made, the n-th newest.
    Own(u16),
    /// Of those of this conversation that the device holds (received, listed, sent), the n-th newest.
    Of(Target, u16),
}

/// The content of a message. Whatever it is, the [mark](super::Mark) of the message is in its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Body {
    /// A text of this many bytes at least.
    Text(u16),
    /// A custom message with so much data.
    Custom(u16),
    /// A face.
    Face,
    /// A file, which is uploaded first.
    File(FileBody),
}

/// A file that a message carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileBody {
    /// What it is.
    pub kind: FileKind,
    /// How many bytes it has. A picture has as many as it needs.
    pub size: u32,
    /// 0: content of its own; else content that others send too. Each picture has content of its own.
    pub content: u16,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// A picture.
    Image,
    /// A recording.
    Audio,
    /// A video without a thumbnail.
    Video,
    /// Anything else.
    File,
}

/// Whom a message in a group mentions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Mention {
    /// Nobody.
    #[default]
    Nobody,
    /// These users.
    Users(Vec<u8>),
    /// Everybody.
    All,
}

/// A call of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// Logs in.
    Login,
    /// Logs out.
    Logout,
    /// Passes in a UserSig that is valid for so many seconds from now.
    SetUserSig {
        /// For how long.
        seconds: u32,
    },
    /// Sends a new message.
    Send {
        /// To whom.
        to: Target,
        /// What.
        body: Body,
        /// The priority, as on the wire (1 is the highest).
        priority: u8,
        /// Only to those online.
        online_only: bool,
        /// Whom it mentions.
        mention: Mention,
        /// How long transient refusals are retried, in milliseconds.
        retry_ms: u32,
    },
    /// Sends a new message that a device of firmware keeps in its storage until the hub has answered.
    SendKept {
        /// To whom.
        to: Target,
        /// What; no file.
        body: Body,
        /// The priority, as on the wire (1 is the highest).
        priority: u8,
    },
    /// Sends the oldest message that the storage has. It is no step of a plan: firmware does it by itself, when it is ready.
    ResendOutbox,
    /// Sends the n-th newest own message that did not succeed again: the same instance, or the one that was restored from kept bytes.
    Resend(u16),
    /// Sends the n-th newest own message again although it succeeded: as an instance made from bytes that were kept before it succeeded.
    ResendKept(u16),
    /// Stops the upload of the n-th newest own message with a file that did not succeed, and has the hub forget it.
    CancelUpload(u16),
    /// Sends the file of a message that the device knows in a message of its own.
    Forward {
        /// The message, among those with files.
        which: Which,
        /// To whom.
        to: Target,
    },
    /// Downloads the file of a message that the device knows.
    Download {
        /// The message, among those with files.
        which: Which,
        /// What of it: 0 the file, 1 the original, 2 the large picture, 3 the thumbnail.
        part: u8,
        /// Where it begins, counted around the size of the file.
        from: u32,
        /// After so many bytes it is given up and goes on in a new download; 0: in one.
        again_after: u32,
    },
    /// Revokes a message.
    Revoke(Which),
    /// Marks a conversation as read.
    Read(Target),
    /// Marks it as read up to the n-th newest message that the device holds.
    ReadUpTo(Target, u16),
    /// Removes a conversation from the list.
    DeleteConversation(Target),
    /// Gets the list of conversations.
    List,
    /// Gets the newest conversations of the list.
    Latest(u8),
    /// Pages back through a conversation.
    Page {
        /// Of what.
        of: Target,
        /// The size of a page.
        count: u8,
        /// How many pages, unless there is nothing more.
        pages: u8,
    },
    /// Gets the entry of the list, with the profile.
    ConversationProfile(Target),
    /// Gets the profiles of these users.
    UserProfiles(Vec<u8>),
    /// Sets the nick.
    SetNick(u8),
    /// Gets the list of groups.
    Groups,
    /// Gets a group's profile.
    GroupProfile(u8),
    /// Gets all members of a group.
    Members(u8),
    /// Creates a group.
    CreateGroup {
        /// Its number; the population says its type.
        group: u8,
        /// The members besides the owner.
        members: Vec<u8>,
        /// Who may join: 0 as usual, 1 everybody, 2 on approval, 3 nobody.
        join: u8,
        /// Whom members may invite: 0 as usual, 1 everybody, 2 on approval, 3 nobody.
        invite: u8,
    },
    /// Joins a group, or applies to.
    Join(u8),
    /// Leaves a group.
    Quit(u8),
    /// Adds or invites users.
    Invite(u8, Vec<u8>),
    /// Removes members.
    Remove(u8, Vec<u8>),
    /// Makes a member an admin, or a plain member.
    SetAdmin(u8, u8, bool),
    /// Mutes a member for so many seconds; 0 ends it.
    Mute(u8, u8, u32),
    /// Mutes everybody but the managers, or ends that.
    MuteAll(u8, bool),
    /// Bans users from a room for so many seconds.
    Ban(u8, Vec<u8>, u32),
    /// Ends a ban.
    Unban(u8, Vec<u8>),
    /// Passes the group on.
    ChangeOwner(u8, u8),
    /// Gives a group another name.
    Rename(u8, u8),
    /// Sets who may join.
    SetJoinOption(u8, u8),
    /// Dismisses a group.
    Dismiss(u8),
    /// Answers the newest application of a user that the device knows a notice of, or any.
    AnswerApplication(u8, u8, bool),
    /// Answers an invitation.
    AnswerInvitation(u8, bool),
    /// Sets a member's name card.
    NameCard(u8, u8, u8),
    /// Sets the receive option: 0 deliver and notify, 1 do not deliver, 2 deliver silently.
    ReceiveOption(u8, u8),
    /// Registers a token of a push service, by its number, with the switch for notifications.
    RegisterPush(u16, bool),
    /// Removes a token.
    UnregisterPush(u16),
    /// What only an application's server can call.
    Rest(Rest),
}

/// What a hostile user does: frames of the protocol that no SDK sends. Users and groups are numbers of the population.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attack {
    /// Logs in as itself, as the SDK would, and acknowledges nothing from then on.
    Login,
    /// Logs in with a window of so many deliveries, and acknowledges nothing.
    HugeWindow(u32),
    /// So many logins, each on a new connection, with a wrong UserSig or that of somebody else.
    LoginFlood(u16),
    /// Logs in as another user with its own UserSig.
    ForgedUser(u8),
    /// Sends a message, and then another one under the same id.
    ReusedId(Target),
    /// Sends a message with the id of the account of another user.
    ForgedId(Target),
    /// Sends a message whose envelope names another sender, time and sequence.
    ForgedSender(Target, u8),
    /// Sends a message with extensions that only the hub may write.
    ForgedExtensions(Target),
    /// Sends so many messages at once.
    SendFlood(Target, u16),
    /// Asks for so many pages at once.
    PageFlood(Target, u16),
    /// Asks for the history, list and members of a conversation that is not its own, and revokes, marks and fetches in it.
    Snoop(Target),
    /// Acknowledges deliveries that there were not.
    ForgedAck,
    /// A frame of an unknown kind.
    UnknownKind(u16),
    /// A request with so many bytes of garbage as its body.
    Garbage {
        /// The kind of the frame.
        kind: u16,
        /// The bytes.
        bytes: u16,
    },
    /// So many bytes that are no frames.
    Noise(u16),
    /// Sends a message of the kind of a tip, a notice or a revocation.
    ForgedKind(Target, u8),
    /// So many PINGs at once.
    PingFlood(u16),
    /// Opens so many connections that say nothing.
    Idle(u16),
    /// Reads nothing from its connection for so many milliseconds.
    ReadsNothing(u32),
    /// Hangs up.
    HangUp,
    /// Asks for the files of messages of a conversation that is not its own.
    TakeFiles(Target),
    /// Sends messages with files that others have uploaded.
    NameFile(Target),
    /// Writes to the uploads of others, ends and cancels them.
    TakeUploads,
    /// Uploads something: 0 as it should be, 1 with another hash, 2 with a piece ahead of its turn, 3 with more than it has announced,
    /// 4 with less, 5 under the name of a path.
    OddUpload(u8),
}
