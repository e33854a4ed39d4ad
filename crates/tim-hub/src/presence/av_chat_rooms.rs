//! Which groups are AVChatRooms, and what their members are still to be told.
//!
//! The members of an AVChatRoom are the users who are online and have joined; nothing of it is stored. A user who logs out,
//! is kicked or is banned has left at once. A user who loses the last connection stays a member for the
//! [grace period](super::grace_period). Where many come and go, not each of them is worth a tip to everybody: at most once
//! a second an AVChatRoom is told who came and who left since.

use std::collections::{BTreeSet, HashMap};

use tim_groups::tips::MAX_NAMED;
use tim_proto::{GroupId, UserId};

use super::Move;

/// How often an AVChatRoom is told who came and left.
const TIP_INTERVAL_MS: u64 = 1_000;

/// The AVChatRooms with users online.
#[derive(Debug, Default)]
pub(super) struct AvChatRooms {
    rooms: HashMap<GroupId, AvChatRoom>,
    /// Those with something to tell, in the order in which they are told.
    pending: BTreeSet<GroupId>,
}

/// Who came into an AVChatRoom and who left it since it was last told.
#[derive(Debug, Default)]
struct AvChatRoom {
    joined: Vec<UserId>,
    left: Vec<UserId>,
    /// When it was last told, on the steady clock; `None` if never.
    told_ms: Option<u64>,
}

/// What the members of an AVChatRoom are to be told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Moves {
    pub(crate) group: GroupId,
    pub(crate) joined: Vec<UserId>,
    pub(crate) left: Vec<UserId>,
    /// How many are in it now.
    pub(crate) members: u32,
}

impl AvChatRooms {
    /// This group is an AVChatRoom.
    pub(super) fn open(&mut self, group: GroupId) {
        self.rooms.entry(group).or_default();
    }

    /// Nobody is in the AVChatRoom any more.
    pub(super) fn close(&mut self, group: &GroupId) {
        self.rooms.remove(group);
        self.pending.remove(group);
    }

    pub(super) fn contains(&self, group: &GroupId) -> bool {
        self.rooms.contains_key(group)
    }

    /// Notes who came or left, if the group is an AVChatRoom; of too many only the first.
    pub(super) fn note(&mut self, group: GroupId, user: UserId, moved: Move) {
        let Some(room) = self.rooms.get_mut(&group) else {
            return;
        };
        let (named, other) = match moved {
            Move::Joined => (&mut room.joined, &mut room.left),
            Move::Left => (&mut room.left, &mut room.joined),
        };
        // A user who came and left between two tips, or the other way round, is where the members believe.
        if let Some(at) = other.iter().position(|named| *named == user) {
            other.swap_remove(at);
        } else if named.len() < MAX_NAMED {
            named.push(user);
        }
        self.pending.insert(group);
    }

    /// Tells nobody that this user has left.
    pub(super) fn forget_left(&mut self, group: &GroupId, user: &UserId) {
        if let Some(room) = self.rooms.get_mut(group) {
            room.left.retain(|left| left != user);
        }
    }

    /// What is to be told now. `members` counts those who are in a group.
    pub(super) fn take_due(&mut self, now_ms: u64, members: impl Fn(&GroupId) -> u32) -> Vec<Moves> {
        let mut due = Vec::new();
        for group in std::mem::take(&mut self.pending) {
            let Some(room) = self.rooms.get_mut(&group).filter(|room| !room.is_empty()) else {
                continue;
            };
            if !room.is_due(now_ms) {
                self.pending.insert(group);
                continue;
            }
            room.told_ms = Some(now_ms);
            due.push(Moves {
                group,
                joined: std::mem::take(&mut room.joined),
                left: std::mem::take(&mut room.left),
                members: members(&group),
            });
        }
        due
    }

    /// Whether there is something to tell. Asked at each login, and so not a search.
    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// When the next AVChatRoom is to be told something; `None` if there is nothing to tell.
    pub(super) fn next_ms(&self) -> Option<u64> {
        let pending = self.pending.iter().filter_map(|group| self.rooms.get(group));
        pending.map(AvChatRoom::due_ms).min()
    }
}

impl AvChatRoom {
    const fn is_empty(&self) -> bool {
        self.joined.is_empty() && self.left.is_empty()
    }

    const fn due_ms(&self) -> u64 {
        match self.told_ms {
            Some(told_ms) => told_ms.saturating_add(TIP_INTERVAL_MS),
            None => 0,
        }
    }

    /// After the clock was set back, rather too early.
    fn is_due(&self, now_ms: u64) -> bool {
        self.due_ms() <= now_ms || self.told_ms.is_some_and(|told_ms| now_ms < told_ms)
    }
}
