//! Epochs: which history of the store a cursor belongs to.
//!
//! A change number alone does not identify a change: a store that is restored from an older copy assigns the lost numbers again.
//! The store therefore begins an *epoch* with every opening, under an id that no other opening has, and a cursor names the epoch
//! of its change. A cursor of an unknown epoch, or beyond the end of a known one, comes from a history that was lost with the
//! restore.

use tim_proto::planted::{self, Fault};

/// The number of random low bits of an epoch's id. The others are the time at which it began, Unix time in milliseconds.
const RANDOM_BITS: u32 = 20;
/// The greatest time of an id, in the year 2248: ids stay in the positive half of 64 bits.
const MAX_BEGAN_MS: u64 = (1 << (63 - RANDOM_BITS)) - 1;

/// One epoch of a store: the changes between one opening and the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch {
    /// The id. No other epoch of any copy of the store has it.
    pub id: u64,
    /// The newest change before the epoch. Its own changes have greater numbers.
    pub first: u64,
}

/// A device's position in the order of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The epoch of the change; 0 if it is before all epochs that the store keeps.
    pub epoch: u64,
    /// The newest change that the device has.
    pub change: u64,
}

/// Where a device resumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResumePoint {
    /// The device resumes after this change.
    pub change: u64,
    /// Whether the store was restored from a copy that is older than what the device had, so that entries are lost. The device must
    /// be notified before anything is delivered.
    pub restored: bool,
}

/// The epochs of an open store, oldest first. The last one began with this opening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epochs(Vec<Epoch>);

impl Epoch {
    /// The epoch of an opening at `now_ms`, after `last`. Ids increase even if the clock was set back. Two copies of a store that
    /// are opened in the same millisecond have ids in a random order, so what both have in common may be taken for more than it is.
    #[must_use]
    pub fn begin(now_ms: u64, random: u64, last: Option<&Self>, first: u64) -> Self {
        let began_ms = now_ms
            .max(last.map_or(0, |last| last.began_ms().saturating_add(1)))
            .min(MAX_BEGAN_MS);
        let random = random & ((1 << RANDOM_BITS) - 1);
        Self {
            id: began_ms << RANDOM_BITS | random,
            first,
        }
    }

    const fn began_ms(&self) -> u64 {
        self.id >> RANDOM_BITS
    }
}

impl Epochs {
    /// This opening's epoch.
    #[must_use]
    pub fn current(&self) -> Option<Epoch> {
        self.0.last().copied()
    }

    /// `known` are the earlier epochs, oldest first; `current` is that of this opening.
    #[must_use]
    pub fn new(mut known: Vec<Epoch>, current: Epoch) -> Self {
        known.push(current);
        Self(known)
    }

    /// The cursor of a device that has everything up to `change`.
    #[must_use]
    pub fn cursor(&self, change: u64) -> Cursor {
        let made_in = self.0.iter().rev().find(|epoch| epoch.first < change);
        Cursor {
            epoch: made_in.map_or(0, |epoch| epoch.id),
            change,
        }
    }

    /// Where a device with this cursor resumes, in a store whose newest change is `head`.
    #[must_use]
    pub fn resume(&self, cursor: Cursor, head: u64) -> ResumePoint {
        let Cursor { epoch, change } = cursor;
        if planted::is(Fault::CursorBelievedAfterRestore) {
            return ResumePoint {
                change: change.min(head),
                restored: false,
            };
        }
        if change == 0 {
            return ResumePoint {
                change,
                restored: false,
            };
        }
        let known = match epoch {
            0 => Some(self.start_of(0, head)),
            id => {
                let index = self.0.iter().position(|epoch| epoch.id == id);
                index.map(|index| self.start_of(index + 1, head))
            }
        };
        match known {
            Some(end) => ResumePoint {
                change: change.min(end),
                restored: change > end,
            },
            None => ResumePoint {
                change: change.min(self.last_common(epoch)),
                restored: true,
            },
        }
    }

    /// The change at which the epoch at `index` begins; the head after the last one.
    fn start_of(&self, index: usize, head: u64) -> u64 {
        self.0.get(index).map_or(head, |epoch| epoch.first)
    }

    /// The newest change that a lost epoch and this store can have in common. The copy was made before the lost epoch began and
    /// restored after that, so the common history ends with the last known epoch that began before the lost one.
    fn last_common(&self, lost: u64) -> u64 {
        let after = self.0.iter().position(|epoch| epoch.id >= lost);
        let index = after.unwrap_or_else(|| self.0.len().saturating_sub(1));
        self.start_of(index, 0)
    }
}

impl Cursor {
    /// The largest encoded cursor, in bytes.
    pub const MAX_LEN: usize = 16;
    const EPOCH_LEN: usize = 8;

    /// Decodes the cursor of a device; `None` if it is malformed.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (epoch, change) = bytes.split_first_chunk::<{ Self::EPOCH_LEN }>()?;
        let mut number = [0; 8];
        let at = number.len().checked_sub(change.len())?;
        number.get_mut(at..)?.copy_from_slice(change);
        Some(Self {
            epoch: u64::from_be_bytes(*epoch),
            change: u64::from_be_bytes(number),
        })
    }

    /// Encodes the cursor for a device: the epoch, and the change without leading zeros.
    #[must_use]
    pub fn to_bytes(self) -> CursorBytes {
        let mut bytes = [0; Self::MAX_LEN];
        let change = self.change.to_be_bytes();
        let zeros = (self.change.leading_zeros() / 8) as usize;
        let significant = change.get(zeros..).unwrap_or(&[]);
        let all = self
            .epoch
            .to_be_bytes()
            .into_iter()
            .chain(significant.iter().copied());
        bytes.iter_mut().zip(all).for_each(|(byte, value)| *byte = value);
        CursorBytes {
            bytes,
            len: Self::EPOCH_LEN + significant.len(),
        }
    }
}

/// An encoded [`Cursor`].
#[derive(Debug, Clone, Copy)]
pub struct CursorBytes {
    bytes: [u8; Cursor::MAX_LEN],
    len: usize,
}

impl AsRef<[u8]> for CursorBytes {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400_000;

    fn epoch(day: u64, random: u64, first: u64) -> Epoch {
        Epoch::begin(day * DAY, random, None, first)
    }

    fn resumed(change: u64, restored: bool) -> ResumePoint {
        ResumePoint { change, restored }
    }

    #[test]
    fn a_cursor_names_the_epoch_of_its_change_and_comes_back_whole() {
        let (first, second) = (epoch(1, 5, 0), epoch(2, 6, 100));
        let epochs = Epochs::new(vec![first], second);
        for (change, made_in) in [
            (0, 0),
            (1, first.id),
            (100, first.id),
            (101, second.id),
            (u64::MAX, second.id),
        ] {
            let cursor = epochs.cursor(change);
            assert_eq!((cursor.epoch, cursor.change), (made_in, change));
            assert_eq!(Cursor::from_bytes(cursor.to_bytes().as_ref()), Some(cursor));
            assert_eq!(epochs.resume(cursor, u64::MAX), resumed(change, false));
        }
        assert!(epochs.cursor(200).to_bytes().as_ref().len() <= 9);
        for strange in [&[][..], &[1], &[1; 7], &[1; 17]] {
            assert_eq!(Cursor::from_bytes(strange), None, "{strange:?}");
        }
    }

    #[test]
    fn ids_grow_even_if_the_clock_was_set_back() {
        let first = epoch(9, u64::MAX, 0);
        let second = Epoch::begin(DAY, 0, Some(&first), 10);
        assert!(second.id > first.id);
    }

    #[test]
    fn a_cursor_beyond_what_its_epoch_came_to_is_of_a_lost_store() {
        // A copy of the running store was made at change 60 and restored after change 90.
        let (first, restored) = (epoch(1, 1, 0), epoch(2, 2, 60));
        let epochs = Epochs::new(vec![first], restored);
        let before = |change| Cursor {
            epoch: first.id,
            change,
        };
        assert_eq!(epochs.resume(before(60), 200), resumed(60, false));
        assert_eq!(epochs.resume(before(61), 200), resumed(60, true));
        assert_eq!(epochs.resume(before(90), 200), resumed(60, true));
        let ahead = Cursor {
            epoch: restored.id,
            change: 201,
        };
        assert_eq!(epochs.resume(ahead, 200), resumed(200, true));
    }

    #[test]
    fn a_lost_epoch_goes_on_where_the_stores_parted() {
        // Days 1, 2: the store. Its copy of day 2 lost days 3 and 4, went on on day 5, and was opened again on days 6 and 7.
        let known = vec![epoch(1, 1, 0), epoch(2, 2, 50), epoch(5, 5, 80), epoch(6, 6, 120)];
        let epochs = Epochs::new(known, epoch(7, 7, 130));
        for lost in [epoch(3, 3, 80), epoch(4, 4, 95)] {
            for change in [96, 110, 1000] {
                let cursor = Cursor {
                    epoch: lost.id,
                    change,
                };
                assert_eq!(epochs.resume(cursor, 140), resumed(80, true), "{lost:?} {change}");
            }
        }
        // Of a copy that was restored on day 6 and replaced by this one on day 7.
        let cursor = Cursor {
            epoch: epoch(6, 9, 120).id,
            change: 125,
        };
        assert_eq!(epochs.resume(cursor, 140).change, 125);
        assert!(epochs.resume(cursor, 140).restored);
        // A clock that ran ahead: what they share ends at this opening at the latest.
        let cursor = Cursor {
            epoch: epoch(99, 9, 120).id,
            change: 135,
        };
        assert_eq!(epochs.resume(cursor, 140), resumed(130, true));
        // A device that has nothing has nothing to lose.
        let cursor = Cursor {
            epoch: epoch(3, 3, 80).id,
            change: 0,
        };
        assert_eq!(epochs.resume(cursor, 140), resumed(0, false));
    }

    #[test]
    fn what_is_older_than_all_known_epochs_goes_on() {
        let epochs = Epochs::new(vec![epoch(5, 5, 100)], epoch(6, 6, 150));
        assert_eq!(epochs.cursor(80), Cursor { epoch: 0, change: 80 });
        assert_eq!(epochs.resume(epochs.cursor(80), 200), resumed(80, false));
        assert_eq!(
            epochs.resume(
                Cursor {
                    epoch: 0,
                    change: 101
                },
                200
            ),
            resumed(100, true)
        );
        let forgotten = Cursor {
            epoch: epoch(2, 2, 0).id,
            change: 70,
        };
        assert_eq!(
            epochs.resume(forgotten, 200),
            resumed(70, true),
            "a gap is announced rather than guessed away"
        );
    }
}
