//! Limits the messages a second in each group, and lets the urgent ones go first.
//!
//! Below the rate everything passes at once. Above it messages wait, at most [`MAX_WAIT_MS`] and at most a second's worth
//! of them. The most urgent go first; without capacity, the newest of the least urgent is dropped. HIGH has a bucket of
//! its own with the whole rate, so it does not wait behind what other priorities have used up: it runs them into debt instead.
//!
//! The limiter has no clock and no thread: its owner passes the time, and calls [`GroupLimiter::turn`] at
//! [`GroupLimiter::next_ms`].

use std::collections::{BTreeSet, HashMap, VecDeque};

use tim_proto::{GroupId, Priority};

use super::token_bucket::TokenBucket;

/// How long a message waits for its turn before it is dropped.
const MAX_WAIT_MS: u64 = 2_000;
/// How many idle queues are worth a sweep.
const FIRST_SWEEP: usize = 1024;
const RANKS: usize = 4;
/// What the limiter does with a message that is offered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Offer<T> {
    /// It passes now.
    Pass(T),
    /// It waits for its turn.
    Waits,
    /// It waits; this less urgent one is dropped for it.
    Displaces(T),
    /// It is dropped.
    Dropped(T),
}

/// The result of a turn.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Turn<T> {
    /// These pass now, in this order.
    pub(crate) passed: Vec<T>,
    /// These have waited too long.
    pub(crate) dropped: Vec<T>,
}

/// The limiter of all groups.
#[derive(Debug)]
pub(crate) struct GroupLimiter<T> {
    /// Messages a second in each group; 0 is no limit.
    rate: u32,
    groups: HashMap<GroupId, Queue<T>>,
    /// Those in which messages wait: few, as a rule.
    busy: BTreeSet<GroupId>,
    sweep_at: usize,
}

impl<T> GroupLimiter<T> {
    pub(crate) fn new(rate: u32) -> Self {
        Self {
            rate,
            groups: HashMap::new(),
            busy: BTreeSet::new(),
            sweep_at: FIRST_SWEEP,
        }
    }

    /// Passes, queues or drops a message for a group.
    pub(crate) fn offer(&mut self, group: GroupId, priority: Priority, item: T, now_ms: u64) -> Offer<T> {
        if self.rate == 0 {
            return Offer::Pass(item);
        }
        if self.groups.len() >= self.sweep_at && !self.groups.contains_key(&group) {
            self.groups.retain(|_, queue| !queue.is_idle(now_ms));
            self.sweep_at = (self.groups.len() * 2).max(FIRST_SWEEP);
        }
        let queue = self
            .groups
            .entry(group)
            .or_insert_with(|| Queue::new(self.rate, now_ms));
        let offer = queue.offer(priority, item, now_ms);
        if matches!(offer, Offer::Waits) {
            self.busy.insert(group);
        }
        offer
    }

    /// Passes the messages whose turn it is, in every group.
    pub(crate) fn turn(&mut self, now_ms: u64) -> Turn<T> {
        let mut turn = Turn {
            passed: Vec::new(),
            dropped: Vec::new(),
        };
        self.busy.retain(|group| {
            let Some(queue) = self.groups.get_mut(group) else {
                return false;
            };
            queue.turn(now_ms, &mut turn);
            queue.waiting > 0
        });
        turn
    }

    /// In how many milliseconds the group takes one more message, behind those that wait now.
    pub(crate) fn wait_ms(&self, group: &GroupId, now_ms: u64) -> u64 {
        let queue = self.groups.get(group);
        queue.map_or(0, |queue| queue.ready_ms().saturating_sub(now_ms))
    }

    /// When the next turn is due; `None` if nothing waits.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        let busy = self.busy.iter().filter_map(|group| self.groups.get(group));
        busy.filter_map(Queue::next_ms).min()
    }
}

/// The messages of one group.
#[derive(Debug)]
struct Queue<T> {
    /// For all messages. HIGH may draw it down to a second's worth of debt.
    all: TokenBucket,
    /// For HIGH alone.
    high: TokenBucket,
    /// By rank, the least urgent first; within a rank in order of arrival.
    queues: [VecDeque<Waiting<T>>; RANKS],
    waiting: usize,
    most_waiting: usize,
}

#[derive(Debug)]
struct Waiting<T> {
    item: T,
    until_ms: u64,
}

impl<T> Queue<T> {
    fn new(rate: u32, now_ms: u64) -> Self {
        Self {
            all: TokenBucket::new(rate, 1, now_ms),
            high: TokenBucket::new(rate, 1, now_ms),
            queues: Default::default(),
            waiting: 0,
            most_waiting: rate as usize,
        }
    }

    fn is_idle(&mut self, now_ms: u64) -> bool {
        self.fill(now_ms);
        self.waiting == 0 && self.all.is_full() && self.high.is_full()
    }

    fn fill(&mut self, now_ms: u64) {
        self.all.fill(now_ms);
        self.high.fill(now_ms);
    }

    fn offer(&mut self, priority: Priority, item: T, now_ms: u64) -> Offer<T> {
        self.fill(now_ms);
        let rank = usize::from(priority.rank()).min(RANKS - 1);
        let behind_others = self.queues.iter().skip(rank).any(|queue| !queue.is_empty());
        if !behind_others && self.take(rank) {
            return Offer::Pass(item);
        }
        let waiting = Waiting {
            item,
            until_ms: now_ms.saturating_add(MAX_WAIT_MS),
        };
        if self.waiting < self.most_waiting {
            self.wait(rank, waiting);
            return Offer::Waits;
        }
        // Full: the newest of the least urgent is dropped, which may be this one.
        let last = self.queues.iter_mut().take(rank).find_map(VecDeque::pop_back);
        match last {
            Some(last) => {
                self.waiting -= 1;
                self.wait(rank, waiting);
                Offer::Displaces(last.item)
            }
            None => Offer::Dropped(waiting.item),
        }
    }

    fn wait(&mut self, rank: usize, waiting: Waiting<T>) {
        if let Some(queue) = self.queues.get_mut(rank) {
            queue.push_back(waiting);
            self.waiting += 1;
        }
    }

    fn take(&mut self, rank: usize) -> bool {
        if rank == RANKS - 1 {
            let may = self.high.take_one();
            if may {
                self.all.draw();
            }
            may
        } else {
            self.all.take_one()
        }
    }

    fn turn(&mut self, now_ms: u64, turn: &mut Turn<T>) {
        self.fill(now_ms);
        for rank in (0..RANKS).rev() {
            while self.queues.get(rank).is_some_and(|queue| !queue.is_empty()) && self.take(rank) {
                let first = self.queues.get_mut(rank).and_then(VecDeque::pop_front);
                self.waiting -= 1;
                turn.passed.extend(first.map(|first| first.item));
            }
        }
        for queue in &mut self.queues {
            while queue.front().is_some_and(|first| first.until_ms <= now_ms) {
                self.waiting -= 1;
                turn.dropped.extend(queue.pop_front().map(|first| first.item));
            }
        }
    }

    /// When a token is there for a message behind those that wait.
    fn ready_ms(&self) -> u64 {
        self.all.ready_ms(self.waiting.saturating_add(1))
    }

    fn next_ms(&self) -> Option<u64> {
        let fronts = self.queues.iter().enumerate().filter_map(|(rank, queue)| {
            let first = queue.front()?;
            let bucket = if rank == RANKS - 1 { &self.high } else { &self.all };
            Some(bucket.ready_ms(1).min(first.until_ms))
        });
        fronts.min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RATE: u32 = 40;

    fn group() -> GroupId {
        GroupId::new("g").unwrap()
    }

    /// A message, and when it was offered.
    type Offered = (Priority, u64);

    /// Offers `count` of each priority, spread over a second, and says what passed and what was dropped.
    fn overload(count: u64) -> (Vec<Offered>, Vec<Offered>) {
        let mut limiter = GroupLimiter::new(RATE);
        let (mut passed, mut dropped) = (Vec::new(), Vec::new());
        let all = [Priority::LOWEST, Priority::LOW, Priority::NORMAL, Priority::HIGH];
        for now in 0..10_000_u64 {
            if now < 1000 && (now * count) / 1000 != ((now + 1) * count) / 1000 {
                for priority in all {
                    match limiter.offer(group(), priority, (priority, now), now) {
                        Offer::Pass(item) => passed.push(item),
                        Offer::Waits => {}
                        Offer::Displaces(item) | Offer::Dropped(item) => dropped.push(item),
                    }
                }
            }
            if limiter.next_ms().is_some_and(|at| at <= now) {
                let turn = limiter.turn(now);
                assert!(
                    !turn.passed.is_empty() || !turn.dropped.is_empty(),
                    "woken for nothing at {now}"
                );
                passed.extend(turn.passed);
                dropped.extend(turn.dropped);
            }
        }
        assert_eq!(limiter.next_ms(), None, "nobody waits for ever");
        (passed, dropped)
    }

    #[test]
    fn below_the_rate_everything_passes_at_once() {
        let mut limiter = GroupLimiter::new(RATE);
        for now in (0..100_000).step_by(25) {
            assert_eq!(
                limiter.offer(group(), Priority::LOWEST, now, now),
                Offer::Pass(now)
            );
        }
        assert_eq!(limiter.next_ms(), None);
        let mut unlimited = GroupLimiter::new(0);
        assert!((0..100_000).all(|n| unlimited.offer(group(), Priority::LOWEST, n, 0) == Offer::Pass(n)));
    }

    #[test]
    fn under_overload_high_is_never_lost_nor_late_and_the_lowest_go_first() {
        let (passed, dropped) = overload(30);
        let lost = |priority| dropped.iter().filter(|(other, _)| *other == priority).count();
        let came = |priority| passed.iter().filter(|(other, _)| *other == priority).count();
        assert_eq!((lost(Priority::HIGH), came(Priority::HIGH)), (0, 30));
        assert!(lost(Priority::NORMAL) <= lost(Priority::LOW));
        assert!(lost(Priority::LOW) < lost(Priority::LOWEST), "{dropped:?}");
        assert_eq!(passed.len() + dropped.len(), 120, "each exactly once");
    }

    #[test]
    fn high_alone_is_limited_too() {
        let mut limiter = GroupLimiter::new(RATE);
        let passed = (0..200)
            .filter(|n| limiter.offer(group(), Priority::HIGH, *n, 0) == Offer::Pass(*n))
            .count();
        assert_eq!(passed, RATE as usize);
        assert!(matches!(
            limiter.offer(group(), Priority::HIGH, 999, 0),
            Offer::Dropped(999)
        ));
        assert!(!limiter.turn(1000).passed.is_empty());
    }

    #[test]
    fn a_clock_that_is_set_back_stops_nobody_for_long() {
        let mut limiter = GroupLimiter::new(1);
        let hour = 3_600_000;
        assert_eq!(limiter.offer(group(), Priority::LOW, 1, hour), Offer::Pass(1));
        assert_eq!(limiter.offer(group(), Priority::LOW, 2, hour), Offer::Waits);
        assert!(limiter.turn(0).passed.is_empty());
        assert!(limiter.next_ms().is_some_and(|at| at <= 1000));
        assert_eq!(limiter.turn(1000).passed, [2]);
        assert_eq!(limiter.offer(group(), Priority::LOW, 3, 2000), Offer::Pass(3));
    }

    #[test]
    fn groups_do_not_share_their_limits_and_idle_ones_are_forgotten() {
        let mut limiter = GroupLimiter::new(1);
        for n in 0..10 * FIRST_SWEEP {
            let group = GroupId::new(&format!("g{n}")).unwrap();
            assert_eq!(
                limiter.offer(group, Priority::LOW, n, n as u64 * 10),
                Offer::Pass(n)
            );
        }
        assert!(
            limiter.groups.len() <= 2 * FIRST_SWEEP,
            "{}",
            limiter.groups.len()
        );
    }

    proptest! {
        #[test]
        fn keeps_the_rate_the_order_and_every_message(
            steps in proptest::collection::vec((0_u64..200, 0_u8..6), 1..400), rate in 1_u32..60,
        ) {
            let mut limiter = GroupLimiter::new(rate);
            let (mut now, mut out, mut lost) = (0, Vec::new(), Vec::new());
            // Who waits, by rank, as a plain list has it.
            let mut waits: Vec<(u8, usize)> = Vec::new();
            for (n, (pause, priority)) in steps.iter().enumerate() {
                now += pause;
                let priority = Priority(*priority);
                let turn = limiter.turn(now);
                for gone in turn.passed.iter().chain(&turn.dropped) {
                    waits.retain(|(_, waiting)| waiting != gone);
                }
                out.extend(turn.passed.into_iter().map(|n| (now, n)));
                lost.extend(turn.dropped);
                match limiter.offer(group(), priority, n, now) {
                    Offer::Pass(n) => {
                        prop_assert!(waits.iter().all(|(rank, _)| *rank < priority.rank()), "nobody more urgent waits");
                        out.push((now, n));
                    }
                    Offer::Waits => waits.push((priority.rank(), n)),
                    Offer::Displaces(victim) => {
                        let least = waits.iter().map(|(rank, _)| *rank).min();
                        let newest = waits.iter().rev().find(|(rank, _)| Some(*rank) == least);
                        prop_assert_eq!(newest.map(|(_, n)| *n), Some(victim));
                        prop_assert!(least < Some(priority.rank()));
                        waits.retain(|(_, n)| *n != victim);
                        waits.push((priority.rank(), n));
                        lost.push(victim);
                    }
                    Offer::Dropped(n) => {
                        prop_assert!(waits.iter().all(|(rank, _)| *rank >= priority.rank()));
                        lost.push(n);
                    }
                }
                prop_assert!(waits.len() <= rate as usize);
            }
            // To the end.
            while let Some(at) = limiter.next_ms() {
                now = at.max(now);
                let turn = limiter.turn(now);
                prop_assert!(!turn.passed.is_empty() || !turn.dropped.is_empty());
                out.extend(turn.passed.into_iter().map(|n| (now, n)));
                lost.extend(turn.dropped);
            }
            let mut seen: Vec<usize> = out.iter().map(|(_, n)| *n).chain(lost).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..steps.len()).collect::<Vec<_>>(), "each exactly once");
            // Never more than the rate, a second's worth saved up and a second's worth of HIGH's debt.
            for (at, (begin, _)) in out.iter().enumerate() {
                let end = begin + 1000;
                let many = out.iter().skip(at).take_while(|(time, _)| *time < end).count();
                prop_assert!(many <= 3 * rate as usize, "{many} in a second at {rate}");
            }
            // Inside a priority, in the order of coming.
            for rank in 0..4 {
                let order: Vec<usize> = out.iter().map(|(_, n)| *n)
                    .filter(|n| Priority(steps[*n].1).rank() == rank).collect();
                prop_assert!(order.is_sorted());
            }
        }
    }
}
