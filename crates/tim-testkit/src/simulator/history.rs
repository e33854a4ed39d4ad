//! What happened, as seen from outside: the observations of a run, and what everybody has when it rests. The checkers see nothing else.

use std::collections::BTreeMap;
use std::fmt;

use tim_session::proto::message::{NoticeOperation, Payload, TipOperation};
use tim_session::proto::{
    ConversationId, ErrorCode, GroupId, GroupType, MessageId, MessageKind, ReceiveOption, Role, UserId,
};

use super::op::{Call, DeviceFault, DeviceRef, HubFault, LinkFault, Plan, StoreFault};

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

/// Which log, independent of who sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Log {
    /// Of two users, the smaller first.
    C2c(UserId, UserId),
    /// Of a group.
    Group(GroupId),
    /// The notices of a user.
    System(UserId),
}

impl Log {
    /// The log of a conversation, as this user names it.
    #[must_use]
    pub fn of(user: UserId, conversation: ConversationId) -> Self {
        match conversation {
            ConversationId::C2c(peer) if peer < user => Self::C2c(peer, user),
            ConversationId::C2c(peer) => Self::C2c(user, peer),
            ConversationId::Group(group) => Self::Group(group),
            _ => Self::System(user),
        }
    }

    /// The conversation, as this user names it; `None` if the user cannot have it.
    #[must_use]
    pub fn seen_by(&self, user: &UserId) -> Option<ConversationId> {
        match self {
            Self::C2c(a, b) if a == user => Some(ConversationId::C2c(*b)),
            Self::C2c(a, b) if b == user => Some(ConversationId::C2c(*a)),
            Self::C2c(..) => None,
            Self::Group(group) => Some(ConversationId::Group(*group)),
            Self::System(owner) => (owner == user).then_some(ConversationId::System),
        }
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::C2c(a, b) => write!(f, "{a}+{b}"),
            Self::Group(group) => write!(f, "{group}"),
            Self::System(user) => write!(f, "notices of {user}"),
        }
    }
}

/// What tells a message from all others of a run: it is in the bytes of its content. The number of the step that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark(pub u32);

impl Mark {
    /// The mark of the `n`-th message of a hostile step.
    #[must_use]
    pub const fn hostile(step: u32, n: u32) -> Self {
        Self(1 << 31 | (step & 0x3FFF) << 16 | (n & 0xFFFF))
    }

    const LEN: usize = 14;

    /// The bytes in the content.
    #[must_use]
    pub fn text(self) -> String {
        format!("mark:{:08x}.", self.0)
    }

    /// The text of a message with this mark, of this length at least.
    #[must_use]
    pub fn text_of(self, len: usize) -> String {
        let mut text = self.text();
        while text.len() < len {
            text.push(char::from(b'a' + (text.len() % 26) as u8));
        }
        text
    }

    /// The mark in these bytes.
    #[must_use]
    pub fn find(bytes: &[u8]) -> Option<Self> {
        let found = bytes
            .windows(Self::LEN)
            .find(|window| window.starts_with(b"mark:"))?;
        let digits = std::str::from_utf8(found.get(5..13)?).ok()?;
        u32::from_str_radix(digits, 16).ok().map(Self)
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >> 31 == 0 {
            write!(f, "#{}", self.0)
        } else {
            write!(f, "#{}.{}", self.0 >> 16 & 0x3FFF, self.0 & 0xFFFF)
        }
    }
}

/// A message to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// To which log.
    pub log: Log,
    /// Its sender.
    pub from: UserId,
    /// Its id when the call began.
    pub id: MessageId,
    /// Its content.
    pub said: Said,
    /// Only to those online.
    pub online_only: bool,
}

/// The content that a user wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Said {
    /// Its kind.
    pub kind: MessageKind,
    /// Its mark, if it has one.
    pub mark: Option<Mark>,
    /// A hash of the bytes.
    pub hash: u64,
    /// How many bytes.
    pub len: u32,
}

/// The content of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// What a user wrote.
    Said(Said),
    /// A tip.
    Tip {
        /// What happened.
        operation: TipOperation,
        /// Who did it.
        operator: String,
        /// To whom.
        users: Vec<String>,
        /// How many members there are after it.
        members: u32,
    },
    /// A notice.
    Notice {
        /// Of what.
        operation: NoticeOperation,
        /// Who did it.
        operator: String,
        /// In which group.
        group: String,
    },
    /// A revocation of the entry with this sequence.
    Revocation {
        /// The sequence.
        sequence: u64,
    },
    /// Nothing: it was revoked.
    Gone,
    /// The payload has not been fetched.
    Stub,
}

impl Content {
    /// The content of a payload that is there (neither revoked nor a stub). `kind` and `bytes` are those of the encoded payload.
    #[must_use]
    pub fn of(payload: &Payload<'_>, kind: MessageKind, bytes: &[u8]) -> Self {
        match payload {
            Payload::GroupTip(tip) => Self::Tip {
                operation: tip.operation,
                operator: tip.operator_id.to_owned(),
                users: tip.users.iter().map(str::to_owned).collect(),
                members: tip.member_count,
            },
            Payload::SystemNotice(notice) => Self::Notice {
                operation: notice.operation,
                operator: notice.operator_id.to_owned(),
                group: notice.group_id.to_owned(),
            },
            Payload::Revocation(revocation) => Self::Revocation {
                sequence: revocation.sequence,
            },
            _ => Self::Said(Said::of(kind, bytes)),
        }
    }

    /// The mark of what a user wrote.
    #[must_use]
    pub const fn mark(&self) -> Option<Mark> {
        match self {
            Self::Said(said) => said.mark,
            _ => None,
        }
    }
}

impl Said {
    /// The content of an encoded payload.
    #[must_use]
    pub fn of(kind: MessageKind, bytes: &[u8]) -> Self {
        let hash = bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
        });
        Self {
            kind,
            mark: Mark::find(bytes),
            hash,
            len: bytes.len() as u32,
        }
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said(Said { mark: Some(mark), .. }) => write!(f, "{mark}"),
            Self::Said(said) => write!(f, "unmarked {:?} of {} bytes", said.kind, said.len),
            Self::Tip {
                operation,
                operator,
                users,
                members,
            } => write!(
                f,
                "tip {} by {operator} [{}] members {members}",
                operation.name().unwrap_or("?"),
                users.join(" ")
            ),
            Self::Notice {
                operation,
                operator,
                group,
            } => write!(
                f,
                "notice {} by {operator} of {group}",
                operation.name().unwrap_or("?")
            ),
            Self::Revocation { sequence } => write!(f, "revocation of {sequence}"),
            Self::Gone => f.write_str("revoked"),
            Self::Stub => f.write_str("stub"),
        }
    }
}

/// An entry, as somebody sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its log.
    pub log: Log,
    /// Its sequence; 0 if it is not stored.
    pub sequence: u64,
    /// Its id.
    pub id: MessageId,
    /// Its sender.
    pub from: UserId,
    /// When the hub accepted it, Unix time in seconds.
    pub time_s: u64,
    /// The content.
    pub content: Content,
    /// Whether it is flagged as revoked. An own instance keeps its content.
    pub revoked: bool,
    /// Whether it is flagged as online-only.
    pub online_only: bool,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{} {} from {}",
            self.log, self.sequence, self.content, self.from
        )?;
        if self.revoked {
            f.write_str(" (revoked)")?;
        }
        if self.online_only {
            f.write_str(" (online-only)")?;
        }
        Ok(())
    }
}

/// An entry of a conversation list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListEntry {
    /// Which log.
    pub log: Log,
    /// The unread count.
    pub unread: u64,
    /// The read mark.
    pub read_sequence: u64,
    /// The sequence of the newest entry.
    pub last_sequence: u64,
    /// The newest message.
    pub last: Option<Seen>,
    /// The receive option.
    pub receive_option: ReceiveOption,
    /// The name shown.
    pub name: String,
    /// The sequences of the unread messages that mention the user.
    pub at: Vec<u64>,
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
    /// A message was revoked.
    Revoked {
        /// Its log.
        log: Log,
        /// Its sequence.
        sequence: u64,
        /// Its mark, if this device knows the content.
        mark: Option<Mark>,
    },
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
    /// A request succeeded.
    Done,
    /// A request was refused.
    Refused(ErrorCode),
    /// Its connection ended.
    Ended,
}

/// What everybody has when the run rests.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Virtual milliseconds.
    pub at_ms: u64,
    /// The hub's wall clock, Unix time in milliseconds.
    pub wall_ms: u64,
    /// How many observations there were when it was taken.
    pub observations: usize,
    /// What has not settled by the deadline, in words; empty if everything has.
    pub unsettled: Vec<String>,
    /// How long it took to settle, in virtual milliseconds.
    pub settled_ms: u64,
    /// The devices.
    pub devices: Vec<DeviceState>,
    /// What each user sees on a fresh device.
    pub fresh: Vec<FreshView>,
    /// The whole logs of the store, by log; what retention has removed is missing at the beginning.
    pub logs: BTreeMap<Log, Vec<Stored>>,
    /// The groups of the store.
    pub groups: BTreeMap<GroupId, GroupState>,
    /// The marks that were found in the bytes of the store's files.
    pub marks_in_files: Vec<Mark>,
    /// Ceilings: what was measured, the largest value that was seen in the run, and the largest that is allowed.
    pub ceilings: Vec<Ceiling>,
}

/// A device at rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceState {
    /// Which one.
    pub device: DeviceRef,
    /// Whether it wants to be logged in (it has logged in, and neither logged out nor was it refused or kicked out for good).
    pub wants_in: bool,
    /// Whether it is ready.
    pub ready: bool,
    /// Its list of conversations, as published last; `None` if it publishes none.
    pub list: Option<Vec<ListEntry>>,
    /// Whether that list is known to be cut off.
    pub truncated: bool,
    /// The total unread count, as published last; `None` if it publishes none.
    pub total_unread: Option<u64>,
    /// All messages that it holds (received, listed, sent), in their current state.
    pub held: Vec<Seen>,
}

/// What a fresh device of a user sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreshView {
    /// The user.
    pub user: UserId,
    /// The list of conversations.
    pub list: Vec<ListEntry>,
    /// Whether there are more.
    pub truncated: bool,
    /// The total unread count.
    pub total_unread: u64,
    /// The groups.
    pub groups: Vec<GroupSeen>,
    /// The history of each conversation of the list, oldest first.
    pub pages: BTreeMap<Log, Vec<Seen>>,
}

/// An entry of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The entry.
    pub seen: Seen,
    /// Its place in the order of changes.
    pub change: u64,
    /// When it was stored, Unix time in milliseconds.
    pub time_ms: u64,
    /// Whether it is flagged as not counting as unread.
    pub no_unread: bool,
    /// Whether it is flagged as no last message.
    pub no_last: bool,
}

/// A group of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupState {
    /// Its type.
    pub group_type: GroupType,
    /// Its owner.
    pub owner: UserId,
    /// Whether everybody but the managers is muted.
    pub mute_all: bool,
    /// Its members.
    pub members: BTreeMap<UserId, MemberState>,
    /// The restrictions of users, members or not: (banned until, muted until), Unix time in milliseconds.
    pub restrictions: BTreeMap<UserId, (u64, u64)>,
}

/// A member of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberState {
    /// The role.
    pub role: Role,
    /// The sequence of the newest entry when the user joined.
    pub joined_at: u64,
    /// The receive option.
    pub receive_option: ReceiveOption,
}

/// A bounded thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ceiling {
    /// What it is.
    pub what: String,
    /// The largest value seen.
    pub most: u64,
    /// The largest allowed.
    pub allowed: u64,
}

impl fmt::Display for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>8} ms  ", self.at_ms)?;
        match self.device {
            Some(device) => write!(f, "{device:<9} {}", self.what),
            None => write!(f, "{:<9} {}", "", self.what),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started(started) => write!(f, "starts: {started:?}"),
            Self::Ended => f.write_str("ends without warning"),
            Self::Called { call, op, message } => {
                write!(f, "calls [{call}] {op:?}")?;
                match message {
                    Some(sent) => write!(f, ": {} to {} as {}", Content::Said(sent.said), sent.log, sent.id),
                    None => Ok(()),
                }
            }
            Self::Skipped { call, why } => write!(f, "skips [{call}]: {why}"),
            Self::Resolved {
                call,
                result: Ok(done),
            } => write!(f, "returns [{call}] {done}"),
            Self::Resolved {
                call,
                result: Err(failed),
            } => write!(f, "returns [{call}] {failed}"),
            Self::Event(event) => write!(f, "event: {event}"),
            Self::DeviceFault(fault) => write!(f, "fault: {fault:?}"),
            Self::LinkFault(fault) => write!(f, "link: {fault:?}"),
            Self::HubStarted { wall_ms } => write!(f, "the hub starts, its clock says {wall_ms}"),
            Self::HubEnded(fault) => write!(f, "the hub ends: {fault:?}"),
            Self::HubFailed => f.write_str("the hub ends by itself"),
            Self::BackedUp { backup, change } => write!(f, "backup {backup} with change {change}"),
            Self::Restored { backup } => write!(f, "the store is restored from backup {backup}"),
            Self::HubClock { seconds, wall_ms } => {
                write!(f, "the hub's clock jumps by {seconds} s and says {wall_ms}")
            }
            Self::StoreFault(fault) => write!(f, "store: {fault:?}"),
            Self::Attacked {
                call,
                hostile,
                attack,
            } => write!(f, "rogue-{hostile} [{call}] {attack:?}"),
            Self::AttackSent {
                hostile,
                request,
                message,
            } => write!(
                f,
                "rogue-{hostile} sends ({request}) {} to {} as {}",
                Content::Said(message.said),
                message.log,
                message.id
            ),
            Self::AttackSaw { hostile, saw } => write!(f, "rogue-{hostile} receives {saw:?}"),
            Self::RestBegins => f.write_str("all faults end"),
            Self::Rested => f.write_str("rest"),
        }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.code.name().unwrap_or("?");
        write!(f, "error {} {name}", self.code.0)?;
        if self.unknown {
            f.write_str(", may have happened")?;
        }
        if self.text.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", self.text)
        }
    }
}

impl fmt::Display for Returned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted {
                log,
                sequence,
                id,
                mark,
                ..
            } => write!(f, "{mark} is {log}/{sequence} as {id}"),
            Self::List { entries, truncated } => {
                let more = if *truncated { " and more" } else { "" };
                write!(f, "list: {}{more}", Entries(entries))
            }
            Self::Page {
                log,
                entries,
                completed,
            } => {
                let more = if *completed { "" } else { " (and older)" };
                write!(f, "page of {log}: {}{more}", Messages(entries))
            }
            other => write!(f, "{other:?}"),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Received(messages) => write!(f, "received {}", Messages(messages)),
            Self::Revoked(messages) => write!(f, "revoked {}", Messages(messages)),
            Self::List(entries) => write!(f, "list {}", Entries(entries)),
            Self::Gap { log, from, to } => write!(f, "gap {log} {from} to {to}"),
            other => write!(f, "{other:?}"),
        }
    }
}

struct Messages<'a>(&'a [Seen]);

impl fmt::Display for Messages<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, seen) in self.0.iter().enumerate() {
            write!(f, "{}{seen}", if n == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

struct Entries<'a>(&'a [ListEntry]);

impl fmt::Display for Entries<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, entry) in self.0.iter().enumerate() {
            let separator = if n == 0 { "" } else { "; " };
            write!(
                f,
                "{separator}{} unread {} read {} last {}",
                entry.log, entry.unread, entry.read_sequence, entry.last_sequence
            )?;
        }
        Ok(())
    }
}
