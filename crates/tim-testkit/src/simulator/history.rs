//! What happened, as seen from outside: the observations of a run, and what everybody has when it rests. The checkers see nothing else.

mod at_rest;
mod entries;
mod servers;
mod words;

use tim_session::proto::{ErrorCode, GroupId, GroupType, MessageId, Role, UserId};

use super::op::{Call, DeviceFault, DeviceRef, HubFault, LinkFault, Plan, Server, ServerFault, StoreFault};
pub use at_rest::{
    BackendView, Ceiling, DeviceState, FileAtRest, FilesAtRest, FreshView, GroupState, MemberState, Snapshot,
    Stored,
};
pub use entries::{Content, FileOf, ListEntry, Log, Mark, Said, Seen, Sent};
pub use servers::{Notified, Question, SinkAnswer, Told, Verdict, changed, changed_text, is_changed};

/// A run: its plan and everything that was observed, in order.
#[derive(Debug, Clone)]
pub struct History {
    /// The plan that was run.
    pub plan: Plan,
    /// What was observed, in order.
    pub observations: Vec<Observation>,
}

impl History {
    /// Nothing yet of this plan.
    #[must_use]
    pub const fn new(plan: Plan) -> Self {
        Self {
            plan,
            observations: Vec::new(),
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// When, in virtual milliseconds since the beginning.
    pub at_ms: u64,
    /// Where; `None` for the hub and the world.
    pub device: Option<DeviceRef>,
    /// What.
    pub what: What,
}

/// What was observed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A device's application was started (also by the first login, a restart, a reset).
    Started(Started),
    /// A device's application ended without warning. Its calls in progress are abandoned; none of them resolves any more.
    Ended,
    /// A call began. Its number is that of the step.
    Called {
        /// The number.
        call: u32,
        /// The call.
        op: Call,
        /// The message that is to be sent, known before it is sent; of [`Call::Revoke`] the message that is to be revoked.
        message: Option<Sent>,
    },
    /// A step had no object: there was no message to revoke, the device was not running.
    Skipped {
        /// The number of the step.
        call: u32,
        /// Why.
        why: &'static str,
    },
    /// A call returned.
    Resolved {
        /// The number.
        call: u32,
        /// With what.
        result: Result<Returned, Failed>,
    },
    /// A message is in the storage of a device, which is to keep it until it is answered.
    Kept(Mark),
    /// What was told of the upload of a message since it was told last, when the call returns that sends it.
    Uploaded {
        /// The call.
        call: u32,
        /// The message.
        mark: Mark,
        /// How many bytes had come, one after the other.
        done: Vec<u64>,
        /// How many there are.
        total: u64,
    },
    /// A device reported an event to its application.
    Event(Event),
    /// Something happened to a device.
    DeviceFault(DeviceFault),
    /// Something happened to a link.
    LinkFault(LinkFault),
    /// The hub runs, with this epoch of its store.
    HubStarted {
        /// Its wall clock, Unix time in milliseconds.
        wall_ms: u64,
    },
    /// The hub ended, because of this.
    HubEnded(HubFault),
    /// The hub ended by itself (fatal error of its store).
    HubFailed,
    /// A backup was made; it contains all changes up to this one.
    BackedUp {
        /// The number of the backup, from 0.
        backup: u32,
        /// The newest change in it.
        change: u64,
    },
    /// The store was replaced by a backup.
    Restored {
        /// The backup.
        backup: u32,
    },
    /// The hub's wall clock was set.
    HubClock {
        /// By how many seconds it jumped.
        seconds: i64,
        /// What it says now.
        wall_ms: u64,
    },
    /// Something happens to the store.
    StoreFault(StoreFault),
    /// Something happens to a server that the hub calls.
    ServerFault(Server, ServerFault),
    /// The application's server was asked something.
    Asked(Question),
    /// Its answer to the question with this number is on its way.
    Answered(u32),
    /// The application's server was told something.
    Told(Told),
    /// A sink has got a notification.
    Notified(Notified),
    /// All faults have ended, and the hub has notified everybody of whom it was to. Nobody has logged in since the faults ended.
    AllNotified,
    /// A hostile user does something.
    Attacked {
        /// The number of the step.
        call: u32,
        /// Who.
        hostile: u8,
        /// What.
        attack: super::op::Attack,
    },
    /// A hostile user sent a message.
    AttackSent {
        /// Who.
        hostile: u8,
        /// The number of the request on the connection, unique in the run.
        request: u32,
        /// The message, as it says itself.
        message: Sent,
    },
    /// A hostile user asked for something about files.
    AttackAsked {
        /// Who.
        hostile: u8,
        /// The number of the request, unique in the run.
        request: u32,
        /// What.
        ask: FileAsk,
    },
    /// A hostile user received something.
    AttackSaw {
        /// Who.
        hostile: u8,
        /// What.
        saw: AttackSaw,
    },
    /// Faults end; from here on everybody has to be let in again.
    RestBegins,
    /// Everything has settled, or the deadline has passed; the invariants were checked here.
    Rested,
}

/// With what a device's application was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Started {
    /// The life of the device: 0 for the first one, counted up by restarts and resets.
    pub life: u32,
    /// Where its deliveries begin.
    pub from: StartsFrom,
    /// Whether it is a twin: a second instance with the same device id. It is observed under the same device; its events are not.
    pub twin: bool,
}

/// Where the deliveries of a life begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartsFrom {
    /// With what is new.
    Now,
    /// With the oldest entry that is retained.
    Start,
    /// Behind the first `events` observed deliveries of the device (over all its lives): the cursor that it kept then.
    Cursor {
        /// How many observations of the whole history were made when this cursor was kept. What the device had observed before is behind it.
        observations: usize,
    },
}

/// An event that a device reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// SDK_READY.
    Ready,
    /// SDK_NOT_READY, in words.
    NotReady(String),
    /// Entries arrived (MESSAGE_RECEIVED of the SDK; each delivery of a small-frame device, revocations included).
    Received(Vec<Seen>),
    /// These messages were revoked.
    Revoked(Vec<Seen>),
    /// The list of conversations.
    List(Vec<ListEntry>),
    /// The total unread count.
    TotalUnread(u64),
    /// The list of groups.
    Groups(Vec<GroupSeen>),
    /// The session was ended by the hub.
    KickedOut(ErrorCode),
    /// The login was refused.
    LoginFailed(ErrorCode),
    /// The hub has ended the connection, and the device tries again. Only devices of firmware report it.
    TurnedAway(ErrorCode),
    /// Entries are missing.
    Gap {
        /// In which log.
        log: Log,
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// The hub was restored from a backup: an unknown part of everything is lost.
    RestoredGap,
    /// The UserSig expires.
    SigExpiring(u64),
    /// Anything else, in words.
    Other(String),
}

/// A group, as a member or another user sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSeen {
    /// Which one.
    pub group: GroupId,
    /// Its type.
    pub group_type: GroupType,
    /// Its name.
    pub name: String,
    /// Its owner.
    pub owner: UserId,
    /// How many members it has.
    pub member_count: u64,
    /// Whether everybody but the managers is muted.
    pub mute_all: bool,
    /// The role of the user who looks; 0 for none.
    pub role: Role,
    /// When the mute of that user ends, Unix time in seconds.
    pub muted_until_s: u64,
}

/// What a call returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Returned {
    /// Nothing of interest.
    Done,
    /// A login.
    LoggedIn {
        /// The account number.
        account: u64,
    },
    /// The message was accepted.
    Accepted {
        /// Its log.
        log: Log,
        /// Its sequence; 0 if it is not stored.
        sequence: u64,
        /// Its id, which may be another one than before.
        id: MessageId,
        /// Its time, Unix time in seconds.
        time_s: u64,
        /// Its mark.
        mark: Mark,
    },
    /// A message of an application's server was accepted, and is, or will be, in the logs to which it goes.
    Stored,
    /// A message was revoked.
    Revoked {
        /// Its log.
        log: Log,
        /// Its sequence.
        sequence: u64,
        /// Its mark, if this device knows the content.
        mark: Option<Mark>,
    },
    /// The file of a message was downloaded, from a position to its end.
    Downloaded(Downloaded),
    /// A conversation was marked as read, or deleted from the list.
    Read {
        /// Its log.
        log: Log,
        /// The read mark; `None` if the call does not return it.
        read_sequence: Option<u64>,
        /// The unread count; `None` if the call does not return it.
        unread: Option<u64>,
    },
    /// Conversations.
    List {
        /// Newest first.
        entries: Vec<ListEntry>,
        /// Whether there are more.
        truncated: bool,
    },
    /// History, oldest first, newest pages last.
    Page {
        /// Of which log.
        log: Log,
        /// The entries, oldest first.
        entries: Vec<Seen>,
        /// Whether the beginning was reached.
        completed: bool,
    },
    /// A group's profile.
    Group(GroupSeen),
    /// The groups of the user.
    Groups(Vec<GroupSeen>),
    /// Members.
    Members {
        /// Of which group.
        group: GroupId,
        /// Who, in order.
        members: Vec<MemberSeen>,
    },
    /// The group was joined, or is to be joined: the numbers of `JoinStatus`.
    Joined(u32),
    /// What was done about each user: the numbers of `MemberResult`.
    Outcomes(Vec<(UserId, u32)>),
    /// Nicks of users.
    Nicks(Vec<(UserId, String)>),
}

/// A member, as somebody sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberSeen {
    /// Who.
    pub user: UserId,
    /// The role.
    pub role: Role,
    /// When the mute ends, Unix time in seconds.
    pub muted_until_s: u64,
}

/// What was read of the file of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Downloaded {
    /// The message's log.
    pub log: Log,
    /// Its sequence.
    pub sequence: u64,
    /// Its mark.
    pub mark: Option<Mark>,
    /// What of it: 0 the file, 1 the original, 2 the large picture, 3 the thumbnail.
    pub part: u8,
    /// Where it begins.
    pub offset: u64,
    /// How many bytes.
    pub len: u64,
    /// A hash of them.
    pub hash: u64,
}

/// A call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// The code.
    pub code: ErrorCode,
    /// Whether the hub may nevertheless have done it: no response arrived, or the hub said that it does not know.
    pub unknown: bool,
    /// In words.
    pub text: String,
}

/// What a hostile user asks for that is about files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileAsk {
    /// The content of the file of a message to somebody else.
    Content(super::op::Target),
    /// To send a message with somebody else's file.
    Name,
    /// To write to somebody else's upload, or to end it.
    Foreign,
    /// Something that is wrong with an upload of its own: see [`Attack::OddUpload`](super::op::Attack::OddUpload).
    Wrong(u8),
    /// An upload of its own as it should be.
    Own,
}

impl FileAsk {
    /// Whether the hub may do it.
    #[must_use]
    pub const fn may_be_granted(&self) -> bool {
        matches!(self, Self::Own)
    }
}

/// How the hub answered it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSaw {
    /// It refused.
    Refused,
    /// It did it, or gave some content.
    Granted,
}

/// What a hostile user received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttackSaw {
    /// Its login was accepted.
    LoggedIn(UserId),
    /// A message was accepted.
    Accepted {
        /// The number of the request.
        request: u32,
        /// The sequence.
        sequence: u64,
        /// Whether the hub says that it had it already.
        duplicate: bool,
    },
    /// A request was answered otherwise: entries of a page, the list, or a delivery.
    Entries(Vec<Seen>),
    /// Members of a group.
    Members(GroupId, Vec<UserId>),
    /// The answer to the request with this number, which is about files.
    File(u32, FileSaw),
    /// A request succeeded.
    Done,
    /// A request was refused.
    Refused(ErrorCode),
    /// Its connection ended.
    Ended,
}
