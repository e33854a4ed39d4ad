//! Of which users it is to be looked up whether they are to be notified, and up to where each was.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use tim_proto::{GroupId, UserId};
use tim_store::PushUser;
use tokio::time::Instant;

use super::lane::{Failure, Head, Lane, State};
use super::queue::Queue;
use super::sink::pause_after;

/// The users with tokens, and what waits. Bounded by the number of users and sinks, and by that of the groups.
#[derive(Debug, Default)]
pub(super) struct Pending {
    users: HashMap<UserId, User>,
    /// By the number of the sink: users with something to look up, of whom nothing is under way there.
    queues: Vec<Queue>,
    /// Those whose last notification failed, and when it is tried again.
    resting: BTreeSet<(Instant, UserId, usize)>,
    /// Groups with new messages, and the newest change of each, whose members with tokens are to be looked up.
    groups: BTreeMap<GroupId, u64>,
    /// Cursors that are not stored yet.
    unsaved: BTreeMap<UserId, u64>,
    /// How often notifications have failed.
    failures: u64,
}

/// A user with tokens.
#[derive(Debug)]
struct User {
    /// For each sink that may have tokens of the user.
    lanes: Vec<Lane>,
    /// The position that is stored, or about to be.
    saved: u64,
}

/// How it has ended to look up a user for a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing is left but what was noted meanwhile.
    Done,
    /// The user had no tokens there, and is forgotten unless one was registered meanwhile.
    NoTokens,
    /// There may be more through this change.
    More(u64),
    /// A notification failed, and there may be more through this change. The sink may have said when to try again.
    Failed(u64, Option<Duration>),
}

/// A user to look up for a sink, who was notified through a change, if there may be something through the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) user: UserId,
    pub(super) pushed: u64,
    pub(super) newest: u64,
}

impl Pending {
    /// For so many sinks.
    pub(super) fn new(sinks: usize) -> Self {
        Self {
            queues: std::iter::repeat_with(Queue::default).take(sinks).collect(),
            ..Self::default()
        }
    }

    /// A user has tokens, of whichever sinks, and was notified through this change. What is there already is looked up.
    pub(super) fn add(&mut self, user: UserId, pushed: u64) {
        (0..self.queues.len()).for_each(|sink| self.add_to(sink, user, pushed));
    }

    /// The same, of this sink.
    pub(super) fn add_to(&mut self, sink: usize, user: UserId, pushed: u64) {
        let known = self.users.entry(user).or_insert_with(|| User {
            lanes: Vec::new(),
            saved: pushed,
        });
        match known.lanes.iter_mut().find(|lane| lane.sink == sink) {
            Some(lane) => {
                // Who had no token for a while is not notified of what came meanwhile.
                lane.pushed = lane.pushed.max(pushed);
                lane.newest = u64::MAX;
            }
            None => known.lanes.push(Lane::new(sink, pushed)),
        }
        self.wait(sink, user);
    }

    pub(super) fn users(&self) -> usize {
        self.users.len()
    }

    /// How many are looked up, now or later; a user with several sinks counts at each.
    pub(super) fn waiting(&self) -> usize {
        let queues = self.queues.iter().map(|queue| queue.len() + queue.under_way);
        queues.sum::<usize>() + self.resting.len() + self.groups.len()
    }

    /// Whether something is to be looked up now.
    pub(super) fn has_due(&self) -> bool {
        !self.groups.is_empty() || self.queues.iter().any(|queue| !queue.is_empty())
    }

    /// When the first of those whose notification failed is to be tried again.
    pub(super) fn rest_ends(&self) -> Option<Instant> {
        self.resting.first().map(|(until, ..)| *until)
    }

    /// Those whose notification failed long enough ago are due.
    pub(super) fn wake(&mut self, now: Instant) {
        while let Some((until, user, sink)) = self.resting.pop_first() {
            if until > now {
                self.resting.insert((until, user, sink));
                return;
            }
            if let Some(lane) = self.lane(sink, &user) {
                lane.state = State::Idle;
            }
            self.wait(sink, user);
        }
    }

    /// There is something for a user at this change.
    pub(super) fn note(&mut self, user: UserId, change: u64) {
        let Some(known) = self.users.get_mut(&user) else {
            return;
        };
        for lane in &mut known.lanes {
            lane.newest = lane.newest.max(change);
            lane.wait(&mut self.queues, user);
        }
    }

    pub(super) fn note_group(&mut self, group: GroupId, change: u64) {
        let newest = self.groups.entry(group).or_default();
        *newest = change.max(*newest);
    }

    fn lane(&mut self, sink: usize, user: &UserId) -> Option<&mut Lane> {
        let lanes = &mut self.users.get_mut(user)?.lanes;
        lanes.iter_mut().find(|lane| lane.sink == sink)
    }

    fn wait(&mut self, sink: usize, user: UserId) {
        let lanes = self.users.get_mut(&user).map(|known| known.lanes.iter_mut());
        let lane = lanes.into_iter().flatten().find(|lane| lane.sink == sink);
        if let Some(lane) = lane {
            lane.wait(&mut self.queues, user);
        }
    }

    /// Takes a group whose members are to be looked up, and the change there.
    pub(super) fn take_group(&mut self) -> Option<(GroupId, u64)> {
        self.groups.pop_first()
    }

    /// Takes who is to be looked up next for a sink, if fewer than so many are under way there.
    pub(super) fn take(&mut self, sink: usize, most: usize) -> Option<Due> {
        self.take_from(sink, most, Queue::pop)
    }

    /// The same, to see whether a sink that is down works again: who failed longest ago, or never. Else those who always fail would keep
    /// the others from being tried.
    pub(super) fn take_to_try(&mut self, sink: usize) -> Option<Due> {
        self.take_from(sink, 1, Queue::pop_to_try)
    }

    fn take_from(&mut self, sink: usize, most: usize, pop: fn(&mut Queue) -> Option<UserId>) -> Option<Due> {
        let queue = self.queues.get_mut(sink).filter(|queue| queue.under_way < most)?;
        let user = pop(queue)?;
        let lanes = self.users.get_mut(&user).map(|known| known.lanes.iter_mut());
        let lane = lanes.into_iter().flatten().find(|lane| lane.sink == sink)?;
        queue.under_way += 1;
        lane.state = State::UnderWay;
        Some(Due {
            user,
            pushed: lane.pushed,
            // What comes from now on is noted anew.
            newest: std::mem::take(&mut lane.newest),
        })
    }

    /// Which of the tokens are to be notified of the message at this change, in this order. The sink has taken so many notifications.
    pub(super) fn left<T>(
        &mut self,
        (sink, user): (usize, &UserId),
        change: u64,
        taken: u64,
        tokens: Vec<(u64, T)>,
    ) -> Vec<(u64, T)> {
        match self.lane(sink, user) {
            Some(lane) => lane.left(change, taken, tokens),
            None => tokens,
        }
    }

    /// A token needs no notification of the message at this change any more.
    pub(super) fn settled(&mut self, sink: usize, user: &UserId, change: u64, token: u64) {
        if let Some(lane) = self.lane(sink, user).filter(|lane| lane.head.change == change) {
            lane.settled(token);
        }
    }

    /// The notification of the message at this change has failed for a token. Whether it is given up.
    pub(super) fn failed(
        &mut self,
        (sink, user): (usize, &UserId),
        (change, token): (u64, u64),
        failure: Failure,
        now: Instant,
    ) -> bool {
        let lane = self.lane(sink, user).filter(|lane| lane.head.change == change);
        lane.is_some_and(|lane| lane.failed(token, failure, now))
    }

    /// Everything for a user through this change was dealt with at a sink.
    pub(super) fn pushed(&mut self, sink: usize, user: &UserId, through: u64) {
        if let Some(lane) = self.lane(sink, user)
            && through > lane.pushed
        {
            lane.pushed = through;
            lane.failures = 0;
            if through >= lane.head.change {
                lane.head = Head::default();
            }
            self.save(user);
        }
    }

    /// What was under way for a user at a sink has ended.
    pub(super) fn end(&mut self, sink: usize, user: UserId, end: End, now: Instant) {
        let number = self.failures + 1;
        if let Some(queue) = self.queues.get_mut(sink) {
            queue.under_way = queue.under_way.saturating_sub(1);
        }
        let Some(lane) = self.lane(sink, &user) else {
            return;
        };
        lane.state = State::Idle;
        // Who registers a token is to be looked up wholly; nothing else that comes meanwhile says so.
        if end == End::NoTokens && lane.newest != u64::MAX {
            self.forget(sink, &user);
            return;
        }
        if let End::More(newest) | End::Failed(newest, _) = end {
            lane.newest = lane.newest.max(newest);
        }
        if let End::Failed(_, retry_after) = end {
            let until = now + pause_after(lane.failures, retry_after);
            lane.failures = lane.failures.saturating_add(1);
            lane.failed = number;
            lane.state = State::Resting;
            self.failures = number;
            self.resting.insert((until, user, sink));
        }
        self.wait(sink, user);
    }

    /// A user has no tokens at a sink any more.
    fn forget(&mut self, sink: usize, user: &UserId) {
        let Some(known) = self.users.get_mut(user) else {
            return;
        };
        known.lanes.retain(|lane| lane.sink != sink);
        if known.lanes.is_empty() {
            self.users.remove(user);
            self.unsaved.remove(user);
        } else {
            self.save(user);
        }
    }

    /// The position of a user is that of the sink that is farthest behind.
    fn save(&mut self, user: &UserId) {
        let Some(known) = self.users.get_mut(user) else {
            return;
        };
        let pushed = known
            .lanes
            .iter()
            .map(|lane| lane.pushed)
            .min()
            .unwrap_or_default();
        if pushed > known.saved {
            known.saved = pushed;
            self.unsaved.insert(*user, pushed);
        }
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

    const MOST: usize = 32;

    fn name(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    fn user(user: UserId, pushed: u64, newest: u64) -> Option<Due> {
        Some(Due { user, pushed, newest })
    }

    #[test]
    fn a_user_is_looked_up_once_at_a_time_and_again_for_what_came_meanwhile() {
        let (alice, mut pending, now) = (name("alice"), Pending::new(1), Instant::now());
        pending.note(alice, 4);
        assert_eq!(pending.take(0, MOST), None, "without a token");
        pending.add(alice, 5);
        assert_eq!(
            pending.take(0, MOST),
            user(alice, 5, u64::MAX),
            "what is there already"
        );
        pending.pushed(0, &alice, 7);
        pending.note(alice, 8);
        pending.end(0, alice, End::Done, now);
        assert_eq!(pending.take(0, MOST), user(alice, 7, 8));
        pending.note(alice, 9);
        assert_eq!(pending.take(0, MOST), None, "it is under way");
        pending.pushed(0, &alice, 8);
        pending.end(0, alice, End::Done, now);
        assert_eq!(pending.take(0, MOST), user(alice, 8, 9));
        // Not all of it: again, also without anything new.
        pending.end(0, alice, End::More(9), now);
        assert_eq!(pending.take(0, MOST), user(alice, 8, 9));
        pending.pushed(0, &alice, 9);
        pending.end(0, alice, End::Done, now);
        assert_eq!((pending.take(0, MOST), pending.waiting()), (None, 0));
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
        let (alice, mut pending) = (name("alice"), Pending::new(1));
        pending.add(alice, 5);
        pending.take(0, MOST);
        pending.pushed(0, &alice, 7);
        assert_eq!((pending.users(), pending.waiting()), (1, 1));
        pending.note(alice, 8);
        pending.end(0, alice, End::NoTokens, Instant::now());
        assert_eq!(
            (pending.take(0, MOST), pending.users(), pending.waiting()),
            (None, 0, 0)
        );
        pending.note(alice, 9);
        assert_eq!(pending.take(0, MOST), None);
        assert!(!pending.has_unsaved());
    }

    #[test]
    fn who_registers_a_token_while_there_was_none_is_looked_up_again() {
        let (alice, mut pending) = (name("alice"), Pending::new(1));
        pending.add(alice, 5);
        pending.take(0, MOST);
        // The store was read before this one was registered.
        pending.add(alice, 7);
        pending.end(0, alice, End::NoTokens, Instant::now());
        assert_eq!(
            (pending.users(), pending.take(0, MOST)),
            (1, user(alice, 7, u64::MAX))
        );
    }

    #[test]
    fn groups_are_taken_once() {
        let (group, mut pending) = (GroupId::new("hikers").unwrap(), Pending::new(1));
        pending.add(name("alice"), 0);
        pending.note_group(group, 3);
        pending.note_group(group, 4);
        assert_eq!(pending.take_group(), Some((group, 4)));
        assert_eq!((pending.take_group(), pending.has_due()), (None, true));
    }

    #[test]
    fn who_is_not_notified_rests_longer_each_time_and_others_do_not() {
        let (alice, bob, mut pending) = (name("alice"), name("bob"), Pending::new(1));
        let mut now = Instant::now();
        pending.add(alice, 5);
        pending.add(bob, 5);
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            while pending.has_due() {
                let Some(Due { user, .. }) = pending.take(0, MOST) else {
                    panic!("somebody is due");
                };
                let end = if user == alice {
                    End::Failed(9, None)
                } else {
                    End::Done
                };
                pending.end(0, user, end, now);
            }
            // What comes meanwhile makes one of them due.
            pending.note(alice, 9);
            pending.note(bob, 9);
            let ends = now + Duration::from_secs(seconds);
            assert_eq!((pending.rest_ends(), pending.waiting()), (Some(ends), 2));
            now = ends - Duration::from_millis(1);
            pending.wake(now);
            assert_eq!(pending.take(0, MOST), user(bob, 5, 9));
            assert_eq!(pending.take(0, MOST), None, "Alice's is tried later");
            pending.end(0, bob, End::Done, now);
            now = ends;
            pending.wake(now);
        }
        assert_eq!(pending.take(0, MOST), user(alice, 5, 9));
        // Another one that fails is not the first's fault.
        pending.pushed(0, &alice, 7);
        let asked = Duration::from_secs(7);
        pending.end(0, alice, End::Failed(9, Some(asked)), now);
        assert_eq!(pending.rest_ends(), Some(now + asked));
        pending.wake(now + asked);
        pending.take(0, MOST);
        pending.end(0, alice, End::NoTokens, now);
        assert_eq!((pending.rest_ends(), pending.waiting()), (None, 0));
    }

    #[test]
    fn each_sink_has_its_own_position_and_that_of_the_last_is_stored() {
        let (alice, mut pending, now) = (name("alice"), Pending::new(3), Instant::now());
        pending.add(alice, 5);
        (0..3).for_each(|sink| assert_eq!(pending.take(sink, MOST), user(alice, 5, u64::MAX)));
        // The first fails, the second works, and at the third the user has no tokens.
        pending.end(0, alice, End::Failed(9, None), now);
        pending.pushed(1, &alice, 9);
        pending.end(1, alice, End::Done, now);
        assert!(!pending.has_unsaved(), "the others are at 5");
        pending.end(2, alice, End::NoTokens, now);
        pending.note(alice, 10);
        assert_eq!((pending.take(0, MOST), pending.take(2, MOST)), (None, None));
        assert_eq!(pending.take(1, MOST), user(alice, 9, 10));
        pending.pushed(1, &alice, 10);
        pending.end(1, alice, End::Done, now);
        assert_eq!((pending.has_unsaved(), pending.waiting()), (false, 1));
        pending.wake(now + Duration::from_secs(1));
        assert_eq!(pending.take(0, MOST), user(alice, 5, 10));
        pending.pushed(0, &alice, 7);
        assert_eq!(
            pending.take_unsaved(10),
            [PushUser {
                user: alice,
                pushed: 7
            }]
        );
        // No token there any more: the others are not held back.
        pending.end(0, alice, End::NoTokens, now);
        assert_eq!(
            pending.take_unsaved(10),
            [PushUser {
                user: alice,
                pushed: 10
            }]
        );
        pending.add_to(0, alice, 10);
        assert_eq!(
            (pending.take(1, MOST), pending.take(0, MOST)),
            (None, user(alice, 10, u64::MAX))
        );
    }

    #[test]
    fn each_sink_has_its_own_places() {
        let mut pending = Pending::new(2);
        (0..3).for_each(|n| pending.add(name(&format!("user{n}")), 0));
        assert!(pending.take(0, 1).is_some() && pending.take(0, 1).is_none());
        assert!(pending.take(1, 2).is_some() && pending.take(1, 2).is_some() && pending.take(1, 2).is_none());
        pending.end(0, name("user0"), End::Done, Instant::now());
        assert!(pending.take(0, 0).is_none() && pending.take(0, 1).is_some());
    }

    /// Nine users of whom eight always fail, and a sink that is asked for one notification at a time.
    #[test]
    fn who_failed_longest_ago_is_tried_first_while_a_sink_is_down() {
        let (mut pending, mut now) = (Pending::new(1), Instant::now());
        let names: Vec<_> = (0..8).map(|n| name(&format!("user{n}"))).collect();
        names.iter().for_each(|user| pending.add(*user, 0));
        for user in &names {
            assert_eq!(pending.take(0, MOST).map(|due| due.user), Some(*user));
            pending.end(0, *user, End::Failed(9, None), now);
        }
        // They are due again before anybody else is.
        now += Duration::from_secs(60);
        pending.wake(now);
        let carol = name("carol");
        pending.add(carol, 0);
        assert_eq!(pending.take_to_try(0).map(|due| due.user), Some(carol));
        assert_eq!(pending.take_to_try(0), None, "one at a time");
        pending.end(0, carol, End::Failed(9, None), now);
        // Then it is everybody's turn, whoever waits at the front.
        for user in names.iter().chain([&carol]) {
            pending.wake(now);
            assert_eq!(pending.take_to_try(0).map(|due| due.user), Some(*user));
            pending.end(0, *user, End::Failed(9, None), now);
            now += Duration::from_secs(60);
        }
    }
}
