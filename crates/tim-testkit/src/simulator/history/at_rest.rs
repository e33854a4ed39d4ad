//! What everybody has when a run rests.

use std::collections::BTreeMap;

use tim_session::proto::{FileId, GroupId, GroupType, ReceiveOption, Role, UserId};

use super::{Downloaded, Failed, GroupSeen, ListEntry, Log, Mark, Seen};
use crate::simulator::op::DeviceRef;

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
    /// The file store; `None` if the hub keeps no files.
    pub files: Option<FilesAtRest>,
    /// What an application's server is told; `None` in a run without one.
    pub backend: Option<BackendView>,
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
    /// When its UserSig was made, Unix time in seconds.
    pub sig_since_s: Option<u64>,
}

/// What an application's server is told by the hub.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BackendView {
    /// What is unread in all one-to-one conversations of each user.
    pub unread: BTreeMap<UserId, u64>,
    /// What is unread in the conversation of one user with another one.
    pub unread_with: BTreeMap<(UserId, UserId), u64>,
    /// The roles in each group, as they are named.
    pub roles: BTreeMap<GroupId, BTreeMap<UserId, String>>,
    /// The history of two users, oldest first: the sequence of each message, and whether it is revoked.
    pub histories: BTreeMap<(UserId, UserId), Vec<(u64, bool)>>,
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
    /// The files of messages in it: by log and sequence, what a download yields.
    pub files: BTreeMap<(Log, u64), Result<Downloaded, Failed>>,
}

/// The file store at rest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FilesAtRest {
    /// The files of which there is content or that an entry names.
    pub files: BTreeMap<FileId, FileAtRest>,
    /// How many uploads are under way.
    pub staged: usize,
    /// What is in the directory of uploads that belongs to none.
    pub litter: Vec<String>,
    /// What the store counts of each user's files: bytes, and files.
    pub usage: BTreeMap<UserId, (u64, u64)>,
}

/// A file at rest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileAtRest {
    /// Of its row: the owner, and what it counts for.
    pub row: Option<(UserId, u64)>,
    /// Its content: size and hash.
    pub content: Option<(u64, u64)>,
    /// The entries that use it, by the store.
    pub uses: Vec<(Log, u64)>,
}

/// An entry of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The entry.
    pub seen: Seen,
    /// The file of the hub that it names.
    pub file: Option<FileId>,
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
