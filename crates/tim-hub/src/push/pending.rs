//! Of which users it is to be looked up whether they are to be notified, and up to where each was.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use tim_proto::{GroupId, UserId};
use tim_store::PushUser;
use tokio::time::Instant;

use super::sink::pause_after;

/// The users with tokens, and what waits. Bounded by their number, and by that of the groups.
#[derive(Debug, Default)]
pub(super) struct Pending {
    users: HashMap<UserId, User>,
    /// Users with something to look up, of whom nothing is under way.
    due: VecDeque<UserId>,
    /// Users whose last notification failed, and when it is tried again.
    resting: BTreeSet<(Instant, UserId)>,
    /// Groups with new messages, and the newest change of each, whose members with tokens are to be looked up.
    groups: BTreeMap<GroupId, u64>,
    /// Cursors that are not stored yet.
    unsaved: BTreeMap<UserId, u64>,
    /// How many users are under way.
    under_way: usize,
}

/// A user with tokens.
#[derive(Debug, Clone, Copy)]
struct User {
    /// Everything through this change was dealt with.
    pushed: u64,
    /// There may be something through this change.
    newest: u64,
    /// How often in a row the next notification failed.
    failures: u32,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Due,
    UnderWay,
    /// Until then, as the last notification failed.
    Resting(Instant),
}

/// How it has ended to look up a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing is left but what was noted meanwhile.
    Done,
    /// The user had no tokens, and is forgotten unless one was registered meanwhile.
    NoTokens,
    /// There may be more through this change.
    More(u64),
    /// A notification failed, and there may be more through this change. The sink may have said when to try again.
    Failed(u64, Option<Duration>),
}

/// Something to look up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// A user who was notified through this change, if there may be something through the newest.
    User { user: UserId, pushed: u64, newest: u64 },
    /// The members of a group in which there is something at this change.
    Group(GroupId, u64),
}

impl Pending {
    /// A user has tokens, and was notified through this change. What is there already is looked up.
    pub(super) fn add(&mut self, user: UserId, pushed: u64) {
        let known = self.users.entry(user).or_insert(User {
            pushed,
            newest: 0,
            failures: 0,
            state: State::Idle,
        });
        // Who had no token for a while is not notified of what came meanwhile.
        known.pushed = known.pushed.max(pushed);
        known.newest = u64::MAX;
        self.wait(user);
    }

    pub(super) fn users(&self) -> usize {
        self.users.len()
    }

    /// How many are looked up, now or later.
    pub(super) fn waiting(&self) -> usize {
        self.due.len() + self.under_way + self.resting.len() + self.groups.len()
    }

    /// Whether something is to be looked up now.
    pub(super) fn has_due(&self) -> bool {
        !self.due.is_empty() || !self.groups.is_empty()
    }

    /// When the first of those whose notification failed is to be tried again.
    pub(super) fn rest_ends(&self) -> Option<Instant> {
        self.resting.first().map(|(until, _)| *until)
    }

    /// Those whose notification failed long enough ago are due.
    pub(super) fn wake(&mut self, now: Instant) {
        while let Some((until, user)) = self.resting.pop_first() {
            if until > now {
                self.resting.insert((until, user));
                return;
            }
            if let Some(known) = self.users.get_mut(&user) {
                known.state = State::Idle;
            }
            self.wait(user);
        }
    }

    /// There is something for a user at this change.
    pub(super) fn note(&mut self, user: UserId, change: u64) {
        if let Some(known) = self.users.get_mut(&user) {
            known.newest = known.newest.max(change);
            self.wait(user);
        }
    }

    pub(super) fn note_group(&mut self, group: GroupId, change: u64) {
        let newest = self.groups.entry(group).or_default();
        *newest = change.max(*newest);
    }

    fn wait(&mut self, user: UserId) {
        let Some(known) = self.users.get_mut(&user) else {
            return;
        };
        if known.state == State::Idle && known.newest > known.pushed {
            known.state = State::Due;
            self.due.push_back(user);
        }
    }

    /// Takes what is to be looked up next. Groups come first, as their members may.
    pub(super) fn take(&mut self) -> Option<Due> {
        if let Some((group, change)) = self.groups.pop_first() {
            return Some(Due::Group(group, change));
        }
        let user = self.due.pop_front()?;
        let known = self.users.get_mut(&user)?;
        known.state = State::UnderWay;
        self.under_way += 1;
        Some(Due::User {
            user,
            pushed: known.pushed,
            // What comes from now on is noted anew.
            newest: std::mem::take(&mut known.newest),
        })
    }

    /// Everything for a user through this change was dealt with.
    pub(super) fn pushed(&mut self, user: &UserId, through: u64) {
        if let Some(known) = self.users.get_mut(user)
            && through > known.pushed
        {
            known.pushed = through;
            known.failures = 0;
            self.unsaved.insert(*user, through);
        }
    }

    /// What was under way for a user has ended.
    pub(super) fn end(&mut self, user: UserId, end: End, now: Instant) {
        let Some(known) = self.users.get_mut(&user) else {
            return;
        };
        known.state = State::Idle;
        self.under_way = self.under_way.saturating_sub(1);
        // Who registers a token is to be looked up wholly; nothing else that comes meanwhile says so.
        if end == End::NoTokens && known.newest != u64::MAX {
            self.users.remove(&user);
            self.unsaved.remove(&user);
            return;
        }
        if let End::More(newest) | End::Failed(newest, _) = end {
            known.newest = known.newest.max(newest);
        }
        if let End::Failed(_, retry_after) = end {
            let until = now + pause_after(known.failures, retry_after);
            known.failures = known.failures.saturating_add(1);
            known.state = State::Resting(until);
            self.resting.insert((until, user));
        }
        self.wait(user);
    }

    /// Takes up to so many cursors that are to be stored.
    pub(super) fn take_unsaved(&mut self, most: usize) -> Vec<PushUser> {
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some((user, pushed)) = self.unsaved.pop_first()
        {
            taken.push(PushUser { user, pushed });
        }
        taken
    }

    pub(super) fn has_unsaved(&self) -> bool {
        !self.unsaved.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    fn user(user: UserId, pushed: u64, newest: u64) -> Option<Due> {
        Some(Due::User { user, pushed, newest })
    }

    #[test]
    fn a_user_is_looked_up_once_at_a_time_and_again_for_what_came_meanwhile() {
        let (alice, mut pending, now) = (name("alice"), Pending::default(), Instant::now());
        pending.note(alice, 4);
        assert_eq!(pending.take(), None, "without a token");
        pending.add(alice, 5);
        assert_eq!(pending.take(), user(alice, 5, u64::MAX), "what is there already");
        pending.pushed(&alice, 7);
        pending.note(alice, 8);
        pending.end(alice, End::Done, now);
        assert_eq!(pending.take(), user(alice, 7, 8));
        pending.note(alice, 9);
        assert_eq!(pending.take(), None, "it is under way");
        pending.pushed(&alice, 8);
        pending.end(alice, End::Done, now);
        assert_eq!(pending.take(), user(alice, 8, 9));
        // Not all of it: again, also without anything new.
        pending.end(alice, End::More(9), now);
        assert_eq!(pending.take(), user(alice, 8, 9));
        pending.pushed(&alice, 9);
        pending.end(alice, End::Done, now);
        assert_eq!((pending.take(), pending.waiting()), (None, 0));
        let saved = pending.take_unsaved(10);
        assert_eq!(
            saved,
            [PushUser {
                user: alice,
                pushed: 9
            }]
        );
        assert!(!pending.has_unsaved());
    }

    #[test]
    fn who_has_no_token_any_more_is_forgotten() {
        let (alice, mut pending) = (name("alice"), Pending::default());
        pending.add(alice, 5);
        pending.take();
        pending.pushed(&alice, 7);
        assert_eq!((pending.users(), pending.waiting()), (1, 1));
        pending.note(alice, 8);
        pending.end(alice, End::NoTokens, Instant::now());
        assert_eq!((pending.take(), pending.users(), pending.waiting()), (None, 0, 0));
        pending.note(alice, 9);
        assert_eq!(pending.take(), None);
        assert!(!pending.has_unsaved());
    }

    #[test]
    fn who_registers_a_token_while_there_was_none_is_looked_up_again() {
        let (alice, mut pending) = (name("alice"), Pending::default());
        pending.add(alice, 5);
        pending.take();
        // The store was read before this one was registered.
        pending.add(alice, 7);
        pending.end(alice, End::NoTokens, Instant::now());
        assert_eq!((pending.users(), pending.take()), (1, user(alice, 7, u64::MAX)));
    }

    #[test]
    fn groups_come_first_and_are_taken_once() {
        let (group, mut pending) = (GroupId::new("hikers").unwrap(), Pending::default());
        pending.add(name("alice"), 0);
        pending.note_group(group, 3);
        pending.note_group(group, 4);
        assert_eq!(pending.take(), Some(Due::Group(group, 4)));
        assert!(matches!(pending.take(), Some(Due::User { .. })));
    }

    #[test]
    fn who_is_not_notified_rests_longer_each_time_and_others_do_not() {
        let (alice, bob, mut pending) = (name("alice"), name("bob"), Pending::default());
        let mut now = Instant::now();
        pending.add(alice, 5);
        pending.add(bob, 5);
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            while pending.has_due() {
                let Some(Due::User { user, .. }) = pending.take() else {
                    panic!("somebody is due");
                };
                let end = if user == alice {
                    End::Failed(9, None)
                } else {
                    End::Done
                };
                pending.end(user, end, now);
            }
            // What comes meanwhile makes one of them due.
            pending.note(alice, 9);
            pending.note(bob, 9);
            let ends = now + Duration::from_secs(seconds);
            assert_eq!((pending.rest_ends(), pending.waiting()), (Some(ends), 2));
            now = ends - Duration::from_millis(1);
            pending.wake(now);
            assert_eq!(pending.take(), user(bob, 5, 9));
            assert_eq!(pending.take(), None, "Alice's is tried later");
            pending.end(bob, End::Done, now);
            now = ends;
            pending.wake(now);
        }
        assert_eq!(pending.take(), user(alice, 5, 9));
        // Another one that fails is not the first's fault.
        pending.pushed(&alice, 7);
        let asked = Duration::from_secs(7);
        pending.end(alice, End::Failed(9, Some(asked)), now);
        assert_eq!(pending.rest_ends(), Some(now + asked));
        pending.wake(now + asked);
        pending.take();
        pending.end(alice, End::NoTokens, now);
        assert_eq!((pending.rest_ends(), pending.waiting()), (None, 0));
    }
}
