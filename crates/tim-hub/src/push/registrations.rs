//! Who registers a token while being notified: that a push service does not know a token was said of the registration before.

use std::collections::HashMap;
use std::sync::Mutex;

use tim_proto::UserId;

use crate::threads::lock;

/// The users who are looked up, and those of whom a token is being removed.
#[derive(Debug, Default)]
pub(super) struct Registrations(Mutex<HashMap<UserId, Watched>>);

#[derive(Debug, Default)]
struct Watched {
    /// How many sinks the user is looked up for.
    lookups: usize,
    /// How many removals are not stored yet.
    removals: usize,
    /// How often the user has registered a token since then.
    registered: u64,
}

impl Registrations {
    /// A user is looked up from now on.
    pub(super) fn watch(&self, user: UserId) {
        lock(&self.0).entry(user).or_default().lookups += 1;
    }

    pub(super) fn unwatch(&self, user: &UserId) {
        self.change(user, |watched| {
            watched.lookups = watched.lookups.saturating_sub(1)
        });
    }

    /// What is to be known of a user's registrations before the store is read.
    pub(super) fn seen(&self, user: &UserId) -> u64 {
        lock(&self.0).get(user).map_or(0, |watched| watched.registered)
    }

    /// A user registers a token. Whether one is being removed. To be asked before the store is read.
    pub(super) fn registers(&self, user: &UserId) -> bool {
        lock(&self.0).get_mut(user).is_some_and(|watched| {
            watched.registered += 1;
            watched.removals > 0
        })
    }

    /// Hands the removal of a token to the writer, unless the user has registered one since this was seen. `submit` says whether the
    /// writer has taken it; what is registered later comes to the writer later.
    pub(super) fn remove(&self, user: &UserId, seen: u64, submit: impl FnOnce() -> bool) {
        let mut users = lock(&self.0);
        if let Some(watched) = users.get_mut(user)
            && watched.registered == seen
            && submit()
        {
            watched.removals += 1;
        }
    }

    /// A removal is stored, or never will be.
    pub(super) fn removed(&self, user: &UserId) {
        self.change(user, |watched| {
            watched.removals = watched.removals.saturating_sub(1)
        });
    }

    fn change(&self, user: &UserId, change: impl FnOnce(&mut Watched)) {
        let mut users = lock(&self.0);
        let Some(watched) = users.get_mut(user) else {
            return;
        };
        change(watched);
        if watched.lookups == 0 && watched.removals == 0 {
            users.remove(user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_removed_unless_one_was_registered_meanwhile() {
        let (alice, users) = (UserId::new("alice").unwrap(), Registrations::default());
        let removes = |seen| {
            let mut is_removed = false;
            users.remove(&alice, seen, || {
                is_removed = true;
                true
            });
            is_removed
        };
        assert!(!users.registers(&alice), "nobody looks");
        users.watch(alice);
        let seen = users.seen(&alice);
        assert!(!users.registers(&alice));
        assert!(!removes(seen), "registered since");
        assert!(removes(users.seen(&alice)));
        users.unwatch(&alice);
        assert!(users.registers(&alice), "the removal is not stored yet");
        users.removed(&alice);
        assert!(!users.registers(&alice));
        assert!(lock(&users.0).is_empty());
    }
}
