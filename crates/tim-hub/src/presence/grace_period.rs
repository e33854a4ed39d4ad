//! Grace periods: how long a user who lost the last connection stays in AVChatRooms.
//!
//! A user who logs in again within the period is in the AVChatRooms as before, and nobody is told of it; what was sent
//! meanwhile is lost, as nothing is stored. After the period the user has left, and the AVChatRooms are told so.

use std::collections::{BTreeSet, HashMap};

use tim_proto::UserId;

/// How long a grace period lasts: as long as a client takes at most to come back by itself.
pub(super) const GRACE_PERIOD_MS: u64 = 60_000;
/// How many users may be in a grace period at a time; with more, the oldest periods end.
pub(super) const MAX_ABSENT: usize = 100_000;

/// The users in a grace period, by its end.
#[derive(Debug, Default)]
pub(super) struct GracePeriods {
    ends: HashMap<UserId, u64>,
    by_end: BTreeSet<(u64, UserId)>,
}

impl GracePeriods {
    /// The period of a user begins. Returns the user whose period ends for it, if there are too many.
    pub(super) fn begin(&mut self, user: UserId, now_ms: u64) -> Option<UserId> {
        self.cancel(&user);
        let end_ms = now_ms.saturating_add(GRACE_PERIOD_MS);
        self.ends.insert(user, end_ms);
        self.by_end.insert((end_ms, user));
        (self.by_end.len() > MAX_ABSENT)
            .then(|| self.pop_first())
            .flatten()
    }

    /// The user is back, or gone for another reason.
    pub(super) fn cancel(&mut self, user: &UserId) {
        if let Some(end_ms) = self.ends.remove(user) {
            self.by_end.remove(&(end_ms, *user));
        }
    }

    /// When the next period ends; `None` if there is none.
    pub(super) fn next_ms(&self) -> Option<u64> {
        self.by_end.first().map(|(end_ms, _)| *end_ms)
    }

    /// A user whose period is over. After the clock was set back, rather too early.
    pub(super) fn take_over(&mut self, now_ms: u64) -> Option<UserId> {
        let latest_ms = now_ms.saturating_add(GRACE_PERIOD_MS);
        if self.next_ms()? <= now_ms {
            return self.pop_first();
        }
        let (end_ms, user) = *self.by_end.last()?;
        (end_ms > latest_ms).then(|| {
            self.cancel(&user);
            user
        })
    }

    fn pop_first(&mut self) -> Option<UserId> {
        let (_, user) = self.by_end.pop_first()?;
        self.ends.remove(&user);
        Some(user)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty() && self.by_end.is_empty()
    }
}
