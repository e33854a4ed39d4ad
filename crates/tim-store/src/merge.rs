//! What is kept of a catch-up between two readings.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What [`changes_after`](super::StoreReader::changes_after) goes on from: which entry of each log is next, up to some change. It holds no
/// content, so what is revoked, removed or left meanwhile is read as it is then.
///
/// The numbers are the engine's. A merge belongs to one user and to one opening of a store.
#[derive(Debug, Default)]
pub struct Merge {
    /// The change up to which everything was returned.
    cursor: u64,
    /// The merge has everything after the cursor up to and with this change.
    upto: u64,
    next: BinaryHeap<Reverse<Position>>,
}

/// The next entry of a log, or a gap in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The change of the entry, or that of the newest entry of the gap.
    pub change: u64,
    /// The engine's number of the log.
    pub log: u64,
    /// The sequence of the entry; 0 for a gap.
    pub sequence: u64,
}

impl Merge {
    /// A merge that has nothing yet of what is after `cursor`, up to and with the change `upto`.
    #[must_use]
    pub const fn new(cursor: u64, upto: u64) -> Self {
        Self {
            cursor,
            upto,
            next: BinaryHeap::new(),
        }
    }

    /// Whether a reading from this cursor can go on from here.
    #[must_use]
    pub fn continues(&self, cursor: u64) -> bool {
        !self.next.is_empty() && self.cursor == cursor
    }

    /// Everything up to this change was returned.
    pub const fn move_to(&mut self, cursor: u64) {
        self.cursor = cursor;
    }

    /// The change up to which the merge has everything.
    #[must_use]
    pub const fn upto(&self) -> u64 {
        self.upto
    }

    /// Adds a position. One that comes after what the merge covers is left to the next merge.
    pub fn push(&mut self, position: Position) {
        if position.change <= self.upto {
            self.next.push(Reverse(position));
        }
    }

    /// Takes the position with the smallest change.
    pub fn pop(&mut self) -> Option<Position> {
        self.next.pop().map(|Reverse(position)| position)
    }

    /// The smallest change of a position.
    #[must_use]
    pub fn next_change(&self) -> Option<u64> {
        self.next.peek().map(|Reverse(position)| position.change)
    }

    /// Whether there is a gap of this log to come.
    #[must_use]
    pub fn has_gap(&self, log: u64) -> bool {
        self.next
            .iter()
            .any(|Reverse(position)| position.log == log && position.sequence == 0)
    }

    /// The number of positions, which take 24 bytes each.
    #[must_use]
    pub fn len(&self) -> usize {
        self.next.len()
    }

    /// Whether there is nothing to go on from.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.next.is_empty()
    }

    /// Forgets all but the first `most` positions: the merge then covers fewer changes.
    pub fn limit(&mut self, most: usize) {
        if self.next.len() <= most {
            return;
        }
        let mut positions = std::mem::take(&mut self.next).into_vec();
        if most == 0 {
            return;
        }
        // In descending order of changes, for they are reversed.
        let kept_from = positions.len() - most;
        positions.select_nth_unstable(kept_from);
        let kept = positions.split_off(kept_from);
        let first_left = positions.iter().map(|Reverse(left)| left.change).min();
        self.upto = first_left.map_or(self.upto, |change| change.saturating_sub(1));
        self.next = kept.into();
        self.next.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merge(changes: impl IntoIterator<Item = u64>) -> Merge {
        let mut merge = Merge::new(5, 1_000);
        for change in changes {
            merge.push(Position {
                change,
                log: change * 10,
                sequence: 1,
            });
        }
        merge
    }

    fn changes(mut merge: Merge) -> Vec<u64> {
        std::iter::from_fn(|| merge.pop())
            .map(|position| position.change)
            .collect()
    }

    #[test]
    fn the_oldest_comes_first_and_what_is_not_covered_is_left() {
        assert_eq!(changes(merge([30, 1_001, 10, 1_000, 20])), [10, 20, 30, 1_000]);
    }

    #[test]
    fn a_limited_merge_covers_what_it_keeps() {
        let all = [70, 10, 60, 20, 50, 30, 40];
        for most in 1..7 {
            let mut limited = merge(all);
            limited.limit(most);
            let first_left = 10 * (most as u64 + 1);
            assert_eq!(limited.upto(), first_left - 1);
            assert!(limited.continues(5));
            assert_eq!(changes(limited).len(), most);
        }
        let mut whole = merge(all);
        whole.limit(7);
        assert_eq!((whole.upto(), whole.len()), (1_000, 7));
    }

    #[test]
    fn nothing_is_continued_from_another_place_or_from_nothing() {
        assert!(!merge([10]).continues(6));
        let mut nothing = merge([10, 20]);
        nothing.limit(0);
        assert!(!nothing.continues(5));
        assert!(!Merge::default().continues(0));
    }
}
