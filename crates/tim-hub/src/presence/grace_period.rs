//! Who lost their last connection while in rooms: for a grace they are in them still.
//!
//! A stand-in takes the place of the user's devices in the rooms' lists, so that whoever counts the users of a room, or
//! goes through them, finds the user; what is delivered to it is dropped. The user's stored groups are not kept: they are
//! read again at login.

use std::sync::Arc;

use tim_proto::{ErrorCode, GroupId, UserId};
use tim_session::CloseReason;

use crate::device::Device;
use crate::presence::registry::{Leaving, PresenceRegistry, Tables};

/// For how long a user without a connection stays in the rooms: as long as a client takes at most to come back by itself.
pub(crate) const GRACE_MS: u64 = 60_000;
/// How many users may be absent at a time; with more, those who went first leave.
pub(crate) const MAX_ABSENT: usize = 100_000;
/// How many users are dealt with before others get the lock.
const PART: usize = 1024;

/// A user in rooms who has no connection, or one that is not in the lists yet.
#[derive(Debug)]
pub(crate) struct Absent {
    pub(crate) stand_in: Arc<Device>,
    /// When the user leaves, unix ms.
    until_ms: u64,
}

impl Leaving {
    /// A cut is what neither the client nor the hub wanted: the client comes back.
    pub(crate) const fn of(reason: CloseReason) -> Self {
        match reason {
            CloseReason::TimedOut
            | CloseReason::LineLost
            | CloseReason::Superseded
            | CloseReason::Goodbye(ErrorCode::STORAGE_FAILED | ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR) => {
                Self::Cut
            }
            _ => Self::ForGood,
        }
    }
}

impl PresenceRegistry {
    /// Lets those leave who have not come back in time.
    pub(crate) fn let_absent_go(&self, now_ms: u64) {
        while self.tables().let_absent_go(now_ms, PART) {}
    }

    /// When the next absent user is to leave; `None` if there is none.
    pub(crate) fn next_absent_ms(&self) -> Option<u64> {
        self.tables().absent.first().map(|(until_ms, _)| *until_ms)
    }
}

impl Tables {
    /// The last connection of a user is lost: the rooms keep the user for the grace, if there are any.
    pub(crate) fn stay_away(&mut self, name: UserId, now_ms: u64) {
        let Some(user) = self.users.get_mut(&name) else {
            return;
        };
        let groups = &self.groups;
        let is_room = |group: &GroupId| groups.get(group).is_some_and(|listed| listed.room.is_some());
        if !user.groups.iter().any(is_room) {
            return self.depart(&name);
        }
        let stored: Vec<GroupId> = user.groups.extract_if(|group| !is_room(group)).collect();
        let until_ms = now_ms.saturating_add(GRACE_MS);
        let absent = user.absent.get_or_insert_with(|| Absent {
            stand_in: Arc::new(Device::new(name, 0, 0)),
            until_ms,
        });
        absent.until_ms = until_ms;
        for group in &user.groups {
            if let Some(listed) = self.groups.get_mut(group) {
                listed.devices.insert(&absent.stand_in);
            }
        }
        for group in stored {
            self.one_less(group, name);
        }
        self.absent.insert((until_ms, name));
        if self.absent.len() > MAX_ABSENT
            && let Some((_, oldest)) = self.absent.pop_first()
        {
            self.depart(&oldest);
        }
    }

    /// A device of the user has entered: the user does not leave for having been away.
    pub(crate) fn is_back(&mut self, user: &UserId) {
        let absent = self.users.get(user).and_then(|user| user.absent.as_ref());
        if let Some(absent) = absent {
            self.absent.remove(&(absent.until_ms, *user));
        }
    }

    /// A user is gone, from all groups.
    pub(crate) fn depart(&mut self, name: &UserId) {
        let Some(user) = self.users.remove(name) else {
            return;
        };
        for group in user.groups {
            if let Some((listed, absent)) = self.groups.get_mut(&group).zip(user.absent.as_ref()) {
                listed.devices.remove(&absent.stand_in);
            }
            self.one_less(group, *name);
        }
    }

    /// Lets so many leave at most; whether there may be more. After the clock was set back, rather too early.
    fn let_absent_go(&mut self, now_ms: u64, limit: usize) -> bool {
        let latest_ms = now_ms.saturating_add(GRACE_MS);
        for _ in 0..limit {
            let due = match (self.absent.first(), self.absent.last()) {
                (Some((until_ms, _)), _) if *until_ms <= now_ms => self.absent.pop_first(),
                (_, Some((until_ms, _))) if *until_ms > latest_ms => self.absent.pop_last(),
                _ => return false,
            };
            if let Some((_, user)) = due {
                self.depart(&user);
            }
        }
        true
    }
}

#[cfg(test)]
#[path = "grace_period_tests.rs"]
mod tests;
