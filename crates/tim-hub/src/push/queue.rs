//! Who waits for a sink, and in which order they are looked up.

use std::collections::{BTreeMap, BTreeSet};

use tim_proto::UserId;

/// Users who wait for a sink. Adding and taking one takes logarithmic time, however many wait: the writer's thread adds them, and waits
/// for whoever takes them.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// In the order in which they came, with the number of the last failure of each.
    waiting: BTreeMap<u64, (UserId, u64)>,
    /// The same, by the number of the last failure, then in the order in which they came.
    by_failure: BTreeSet<(u64, u64)>,
    /// How many have come so far.
    came: u64,
    /// How many users are under way.
    pub(super) under_way: usize,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Adds a user, whose last failure has this number: 0 if there was none.
    pub(super) fn push(&mut self, user: UserId, failed: u64) {
        self.came += 1;
        self.waiting.insert(self.came, (user, failed));
        self.by_failure.insert((failed, self.came));
    }

    /// Takes who came first.
    pub(super) fn pop(&mut self) -> Option<UserId> {
        let (came, (user, failed)) = self.waiting.pop_first()?;
        self.by_failure.remove(&(failed, came));
        Some(user)
    }

    /// Takes who failed longest ago, or never; of those who never failed, who came first.
    pub(super) fn pop_to_try(&mut self) -> Option<UserId> {
        let (_, came) = self.by_failure.pop_first()?;
        self.waiting.remove(&came).map(|(user, _)| user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> UserId {
        UserId::new(&format!("user{number}")).unwrap()
    }

    #[test]
    fn the_two_orders_do_not_disturb_each_other() {
        let mut queue = Queue::default();
        for (number, failed) in [0, 7, 3, 0, 5, 0].into_iter().enumerate() {
            queue.push(name(number), failed);
        }
        let mut taken = Vec::new();
        for takes_to_try in [true, false, true, false, true, false] {
            taken.extend(match takes_to_try {
                true => queue.pop_to_try(),
                false => queue.pop(),
            });
        }
        // Never failed and first, came first, never failed, came first, never failed, the one that is left.
        assert_eq!(taken, [0, 1, 3, 2, 5, 4].map(name));
        assert!(queue.is_empty() && queue.by_failure.is_empty());
        assert_eq!((queue.pop(), queue.pop_to_try()), (None, None));
    }

    /// With a look at each who waits for each trial, this would take minutes.
    #[test]
    fn a_trial_does_not_look_at_everybody_who_waits() {
        const USERS: usize = 20_000;
        let mut queue = Queue::default();
        // Half of them have failed, the last one first.
        (0..USERS / 2).for_each(|number| queue.push(name(number), (USERS - number) as u64));
        (USERS / 2..USERS).for_each(|number| queue.push(name(number), 0));
        assert_eq!(queue.len(), USERS);
        let tried: Vec<_> = std::iter::from_fn(|| queue.pop_to_try()).collect();
        let expected = (USERS / 2..USERS).chain((0..USERS / 2).rev()).map(name);
        assert!(tried.into_iter().eq(expected));
    }
}
