//! AVChatRooms: their members are the users who are online and have joined, in memory only.
//!
//! Who logs out, is kicked or is banned has left at once. Who loses the last connection stays a member for 60 s
//! ([`GRACE_MS`](crate::presence::grace_period::GRACE_MS)), and counts as one: who logs in again within that time is in the rooms as before,
//! and nobody is told of it; what was said meanwhile is lost, as nothing is stored. After that the user has left, and the
//! rooms are told so. At most [`MAX_ABSENT`](crate::presence::grace_period::MAX_ABSENT) users are waited for.
//!
//! Where many come and go, not each of them is worth a tip to everybody: at most once a second a room is told who came and
//! who left since.

use tim_proto::{GroupId, UserId};

use crate::groups::tips::MAX_NAMED;
use crate::presence::registry::{Move, PresenceRegistry};

/// How often a room is told who came and went.
const NEWS_INTERVAL_MS: u64 = 1_000;

/// Who came into a room and who left it since it was last told.
#[derive(Debug, Default)]
pub(crate) struct News {
    joined: Vec<UserId>,
    left: Vec<UserId>,
    /// When it was last told, on the steady clock; `None` if never.
    told_ms: Option<u64>,
}

impl News {
    /// Remembers who is to be named; of too many only the first.
    pub(crate) fn note(&mut self, user: UserId, moved: Move) {
        let (named, other) = match moved {
            Move::Joined => (&mut self.joined, &mut self.left),
            Move::Left => (&mut self.left, &mut self.joined),
        };
        // Who came and went between two tips, or the other way round, is as before.
        if let Some(at) = other.iter().position(|named| *named == user) {
            other.swap_remove(at);
        } else if named.len() < MAX_NAMED {
            named.push(user);
        }
    }

    const fn is_empty(&self) -> bool {
        self.joined.is_empty() && self.left.is_empty()
    }

    const fn due_ms(&self) -> u64 {
        match self.told_ms {
            Some(told_ms) => told_ms.saturating_add(NEWS_INTERVAL_MS),
            None => 0,
        }
    }

    /// Whether it is to be told now; with a clock that went back, rather too early.
    fn is_due(&self, now_ms: u64) -> bool {
        self.due_ms() <= now_ms || self.told_ms.is_some_and(|told_ms| now_ms < told_ms)
    }
}

/// What a room is to be told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) group: GroupId,
    pub(crate) joined: Vec<UserId>,
    pub(crate) left: Vec<UserId>,
    /// How many are in it now.
    pub(crate) members: u32,
}

impl PresenceRegistry {
    /// Lets a user who is online into a room; whether the user was not in it before.
    pub(crate) fn enter_room(&self, group: GroupId, user: &UserId) -> bool {
        let mut tables = self.tables();
        let is_new = tables.add(group, user);
        if let Some(listed) = tables.groups.get_mut(&group) {
            listed.room.get_or_insert_default();
        }
        is_new
    }

    /// Tells the room, in a while, that a user has come.
    pub(crate) fn welcome(&self, group: GroupId, user: UserId) {
        let mut tables = self.tables();
        if let Some(room) = tables
            .groups
            .get_mut(&group)
            .and_then(|listed| listed.room.as_mut())
        {
            room.note(user, Move::Joined);
            tables.busy_rooms.insert(group);
        }
    }

    /// A user leaves a room; whether the user was in it.
    pub(crate) fn leave_room(&self, group: GroupId, user: &UserId) -> bool {
        self.tables().take_out(group, user)
    }

    /// A user leaves a room that has not been told that the user came, or is told otherwise why the user goes.
    pub(crate) fn slip_out(&self, group: GroupId, user: &UserId) {
        let mut tables = self.tables();
        if tables.take_out(group, user)
            && let Some(room) = tables
                .groups
                .get_mut(&group)
                .and_then(|listed| listed.room.as_mut())
        {
            room.left.retain(|left| left != user);
        }
    }

    /// Whether a group of which somebody is online is a room.
    pub(crate) fn is_room(&self, group: &GroupId) -> bool {
        let tables = self.tables();
        tables
            .groups
            .get(group)
            .is_some_and(|listed| listed.room.is_some())
    }

    /// In how many rooms a user is.
    pub(crate) fn rooms_of(&self, user: &UserId) -> usize {
        let tables = self.tables();
        let groups = tables.users.get(user).map(|user| user.groups.iter());
        let is_room = |group: &&GroupId| {
            tables
                .groups
                .get(*group)
                .is_some_and(|listed| listed.room.is_some())
        };
        groups.into_iter().flatten().filter(is_room).count()
    }

    /// How many users are in a room.
    pub(crate) fn room_members(&self, group: &GroupId) -> u32 {
        self.tables().groups.get(group).map_or(0, |listed| listed.users)
    }

    /// A page of the users in a room, and where the next one starts.
    pub(crate) fn room_page(
        &self,
        group: &GroupId,
        from: usize,
        limit: usize,
    ) -> (Vec<UserId>, Option<usize>) {
        self.tables().page(group, from, limit)
    }

    /// What rooms are to be told now.
    pub(crate) fn take_news(&self, now_ms: u64) -> Vec<Told> {
        let mut tables = self.tables();
        let mut all = Vec::new();
        let busy = std::mem::take(&mut tables.busy_rooms);
        for group in busy {
            let Some(listed) = tables.groups.get_mut(&group) else {
                continue;
            };
            let members = listed.users;
            let Some(room) = listed.room.as_mut().filter(|room| !room.is_empty()) else {
                continue;
            };
            if !room.is_due(now_ms) {
                tables.busy_rooms.insert(group);
                continue;
            }
            room.told_ms = Some(now_ms);
            all.push(Told {
                group,
                joined: std::mem::take(&mut room.joined),
                left: std::mem::take(&mut room.left),
                members,
            });
        }
        all
    }

    /// When there is next something to do: news to tell, or an absent user to let go.
    pub(crate) fn next_turn_ms(&self) -> Option<u64> {
        let absent = self.next_absent_ms().into_iter();
        absent.chain(self.next_news_ms()).min()
    }

    /// When the next room is to be told something; `None` if there is nothing to tell.
    pub(crate) fn next_news_ms(&self) -> Option<u64> {
        let tables = self.tables();
        let rooms = tables.busy_rooms.iter().filter_map(|group| {
            let listed = tables.groups.get(group)?;
            listed.room.as_ref().map(|room| room.due_ms())
        });
        rooms.min()
    }
}
