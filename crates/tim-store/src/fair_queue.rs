//! A bounded queue that serves those who have something in it in turn.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// How many empty queues are kept for the next keys, instead of being allocated again.
const MAX_SPARE: usize = 64;

/// A bounded queue in which each item belongs to a key, such as the user who caused it.
///
/// Keys are served in turn, one item each; the items of a key keep their order. However many items one key has, the oldest item of
/// another waits for at most one item of each key. A key can be paused, so that others are served meanwhile. All operations take
/// constant time, on average.
///
/// ```
/// use tim_store::FairQueue;
///
/// let mut queue = FairQueue::new(100);
/// for item in ["a1", "a2", "a3", "b1"] {
///     queue.push(&item[..1], item, usize::MAX).unwrap();
/// }
/// let order: Vec<_> = std::iter::from_fn(|| queue.pop()).map(|(_, item)| item).collect();
/// assert_eq!(order, ["a1", "b1", "a2", "a3"]);
/// ```
#[derive(Debug)]
pub struct FairQueue<K, T> {
    lanes: HashMap<K, Lane<T>>,
    /// The keys of the lanes that have a turn.
    turns: VecDeque<K>,
    /// Empty queues.
    spare: Vec<VecDeque<T>>,
    len: usize,
    capacity: usize,
}

/// The items of one key. Without items it exists while it is paused or has a turn.
#[derive(Debug)]
struct Lane<T> {
    items: VecDeque<T>,
    has_turn: bool,
    is_paused: bool,
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self {
            items: VecDeque::new(),
            has_turn: false,
            is_paused: false,
        }
    }
}

impl<K: Copy + Eq + Hash, T> FairQueue<K, T> {
    /// An empty queue for at most `capacity` items.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            lanes: HashMap::new(),
            turns: VecDeque::new(),
            spare: Vec::new(),
            len: 0,
            capacity,
        }
    }

    /// How many items wait, those of paused keys included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends an item to those of its key, which may then have `at_most` of them.
    ///
    /// # Errors
    /// The item, if the queue is full or its key has as many as it may have.
    pub fn push(&mut self, key: K, item: T, at_most: usize) -> Result<(), T> {
        if self.len >= self.capacity || at_most == 0 {
            return Err(item);
        }
        let spare = &mut self.spare;
        let lane = self.lanes.entry(key).or_insert_with(|| Lane {
            items: spare.pop().unwrap_or_default(),
            ..Lane::default()
        });
        if lane.items.len() >= at_most {
            return Err(item);
        }
        lane.items.push_back(item);
        if !lane.has_turn && !lane.is_paused {
            lane.has_turn = true;
            self.turns.push_back(key);
        }
        self.len += 1;
        Ok(())
    }

    /// Takes the oldest item of the key whose turn it is. `None` if all items are those of paused keys.
    pub fn pop(&mut self) -> Option<(K, T)> {
        while let Some(key) = self.turns.pop_front() {
            let Some(lane) = self.lanes.get_mut(&key) else {
                continue;
            };
            lane.has_turn = false;
            if lane.is_paused {
                continue;
            }
            let item = lane.items.pop_front();
            if lane.items.is_empty() {
                self.remove(&key);
            } else {
                lane.has_turn = true;
                self.turns.push_back(key);
            }
            if let Some(item) = item {
                self.len -= 1;
                return Some((key, item));
            }
        }
        None
    }

    /// Takes no items of this key until it is [resumed](Self::resume).
    pub fn pause(&mut self, key: K) {
        self.lanes.entry(key).or_default().is_paused = true;
    }

    /// Takes items of this key again.
    pub fn resume(&mut self, key: K) {
        let Some(lane) = self.lanes.get_mut(&key) else {
            return;
        };
        lane.is_paused = false;
        if lane.has_turn {
            return;
        }
        if lane.items.is_empty() {
            return self.remove(&key);
        }
        lane.has_turn = true;
        self.turns.push_back(key);
    }

    /// The items of a key, the newest first.
    pub fn newest_of(&mut self, key: &K) -> impl Iterator<Item = &mut T> {
        let lane = self.lanes.get_mut(key).into_iter();
        lane.flat_map(|lane| lane.items.iter_mut().rev())
    }

    /// Takes everything out, in turns; no key is paused any more.
    pub fn take(&mut self) -> Vec<T> {
        let paused: Vec<K> = self
            .lanes
            .iter()
            .filter(|(_, lane)| lane.is_paused)
            .map(|(key, _)| *key)
            .collect();
        paused.into_iter().for_each(|key| self.resume(key));
        std::iter::from_fn(|| self.pop()).map(|(_, item)| item).collect()
    }

    fn remove(&mut self, key: &K) {
        let lane = self.lanes.remove(key);
        if self.spare.len() < MAX_SPARE {
            self.spare.extend(lane.map(|lane| lane.items));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FairQueue;

    #[test]
    fn a_key_with_many_items_delays_another_by_one_of_them() {
        let mut queue = FairQueue::new(1_000);
        for number in 0..500 {
            queue.push('a', number, usize::MAX).unwrap();
        }
        assert_eq!(queue.pop(), Some(('a', 0)));
        queue.push('b', 1_000, usize::MAX).unwrap();
        assert_eq!([queue.pop(), queue.pop()], [Some(('a', 1)), Some(('b', 1_000))]);
        queue.push('b', 1_001, usize::MAX).unwrap();
        let rest = queue.take();
        assert_eq!(rest.iter().position(|item| *item == 1_001), Some(1));
        let of_a: Vec<_> = rest.into_iter().filter(|item| *item < 1_000).collect();
        assert_eq!(of_a, (2..500).collect::<Vec<_>>(), "each key keeps its order");
        assert!(queue.is_empty());
    }

    #[test]
    fn the_queue_and_each_key_are_bounded() {
        let mut queue = FairQueue::new(5);
        for number in 0..3 {
            queue.push('a', number, 3).unwrap();
        }
        assert_eq!(queue.push('a', 3, 3), Err(3), "the key is full");
        assert_eq!(queue.push('c', 9, 0), Err(9));
        queue.push('b', 4, 3).unwrap();
        queue.push('b', 5, 3).unwrap();
        assert_eq!(queue.push('c', 6, 3), Err(6), "the queue is full");
        assert_eq!(queue.len(), 5);
        queue.pop();
        queue.push('c', 6, 3).unwrap();
        assert_eq!(queue.take().len(), 5);
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn the_items_of_a_key_can_be_looked_at() {
        let mut queue = FairQueue::new(9);
        for (key, item) in [('a', 1), ('b', 2), ('a', 3)] {
            queue.push(key, item, 9).unwrap();
        }
        for item in queue.newest_of(&'a') {
            *item *= 10;
        }
        assert_eq!(queue.newest_of(&'c').count(), 0);
        assert_eq!(
            queue.newest_of(&'a').map(|item| *item).collect::<Vec<_>>(),
            [30, 10]
        );
        assert_eq!(queue.take(), [10, 2, 30]);
    }

    #[test]
    fn a_paused_key_lets_the_others_go_first() {
        let mut queue = FairQueue::new(9);
        for (key, item) in [('a', 1), ('b', 2), ('a', 3)] {
            queue.push(key, item, 9).unwrap();
        }
        queue.pause('a');
        queue.pause('c');
        assert_eq!([queue.pop(), queue.pop()], [Some(('b', 2)), None]);
        queue.push('a', 4, 9).unwrap();
        queue.push('c', 5, 9).unwrap();
        assert_eq!((queue.pop(), queue.len()), (None, 4));
        queue.resume('a');
        queue.pause('a');
        queue.resume('a');
        assert_eq!(
            [queue.pop(), queue.pop(), queue.pop()],
            [Some(('a', 1)), Some(('a', 3)), Some(('a', 4))]
        );
        queue.pause('a');
        queue.resume('a');
        assert_eq!((queue.pop(), queue.len()), (None, 1));
        assert_eq!(queue.take(), [5], "also of paused keys");
        assert!(queue.is_empty() && queue.lanes.is_empty());
    }

    /// Against a plain reference: a list of keys with their items.
    #[test]
    fn equals_a_plain_reference() {
        for seed in 0..200_u32 {
            let mut state = seed.wrapping_mul(2_654_435_761).max(1);
            let mut random = |below: u32| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                state % below
            };
            let (mut queue, mut reference) = (FairQueue::new(20), Vec::<(u32, Vec<u32>)>::new());
            for item in 0..300 {
                if random(5) < 3 {
                    let key = random(6);
                    let count: usize = reference.iter().map(|(_, items)| items.len()).sum();
                    let found = reference.iter_mut().find(|(other, _)| *other == key);
                    let expected = match found {
                        _ if count >= 20 => Err(item),
                        Some((_, items)) if items.len() >= 7 => Err(item),
                        Some((_, items)) => {
                            items.push(item);
                            Ok(())
                        }
                        None => {
                            reference.push((key, vec![item]));
                            Ok(())
                        }
                    };
                    assert_eq!(queue.push(key, item, 7), expected);
                } else {
                    let expected = (!reference.is_empty()).then(|| {
                        let (key, mut items) = reference.remove(0);
                        let first = items.remove(0);
                        if !items.is_empty() {
                            reference.push((key, items));
                        }
                        first
                    });
                    assert_eq!(queue.pop().map(|(_, item)| item), expected);
                }
            }
        }
    }
}
