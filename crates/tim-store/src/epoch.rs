//! Epochs: which history of the store a cursor belongs to.
//!
//! A change number alone does not identify a change: a store that is restored from an older copy assigns the lost numbers again.
//! The store therefore begins an *epoch* with every opening, under an id that no other opening has, and a cursor names the epoch
//! of its change. A cursor of an unknown epoch, or beyond the end of a known one, comes from a history that was lost with the
//! restore.
//!
//! A device can know of a change that is ahead of what it was delivered: the answer to a request of its own says that its message
//! is stored. Its cursor names both, so that the loss of such a change is noticed as well.

use tim_proto::planted::{self, Fault};

/// The number of random low bits of an epoch's id. The others are the time at which it began, Unix time in milliseconds.
const RANDOM_BITS: u32 = 20;
/// Marks the epoch of an encoded cursor behind which two changes stand.
const TWO_CHANGES: u64 = 1 << 63;
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
    /// The epoch of `known`; 0 if it is before all epochs that the store keeps.
    pub epoch: u64,
    /// The change up to which the device has everything.
    pub change: u64,
    /// The newest change that the device knows of; at least `change`.
    pub known: u64,
}

/// Where a device resumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResumePoint {
    /// The device resumes after this change.
    pub change: u64,
    /// The newest change that the device knows of; at least `change`.
    pub known: u64,
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
        self.cursor_knowing(change, change)
    }

    /// The cursor of a device that has everything up to `change`, and knows of the change `known`.
    #[must_use]
    pub fn cursor_knowing(&self, change: u64, known: u64) -> Cursor {
        let known = known.max(change);
        let made_in = self.0.iter().rev().find(|epoch| epoch.first < known);
        Cursor {
            epoch: made_in.map_or(0, |epoch| epoch.id),
            change,
            known,
        }
    }

    /// Where a device with this cursor resumes, in a store whose newest change is `head`.
    #[must_use]
    pub fn resume(&self, cursor: Cursor, head: u64) -> ResumePoint {
        let Cursor {
            epoch,
            change,
            known: newest,
        } = cursor;
        let intact = |change| ResumePoint {
            change,
            known: newest.max(change),
            restored: false,
        };
        if planted::is(Fault::CursorBelievedAfterRestore) {
            return intact(change.min(head));
        }
        if newest == 0 {
            return intact(change);
        }
        let known = match epoch {
            0 => Some(self.start_of(0, head)),
            id => {
                let index = self.0.iter().position(|epoch| epoch.id == id);
                index.map(|index| self.start_of(index + 1, head))
            }
        };
        let common = match known {
            Some(end) if newest <= end => return intact(change),
            Some(end) => end,
            None => self.last_common(epoch),
        };
        let change = change.min(common);
        ResumePoint {
            change,
            known: change,
            restored: true,
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
        let (epoch, numbers) = bytes.split_first_chunk::<{ Self::EPOCH_LEN }>()?;
        let epoch = u64::from_be_bytes(*epoch);
        if epoch & TWO_CHANGES == 0 {
            let change = number(numbers)?;
            return Some(Self {
                epoch,
                change,
                known: change,
            });
        }
        let (len, numbers) = numbers.split_first()?;
        let (change, ahead) = numbers.split_at_checked(usize::from(*len))?;
        let change = number(change)?;
        Some(Self {
            epoch: epoch & !TWO_CHANGES,
            change,
            known: change.checked_add(number(ahead)?)?,
        })
    }

    /// Encodes the cursor for a device: the epoch, and the change without leading zeros. If the device knows of a newer change,
    /// the epoch is marked, the length of the change stands before it, and how much newer that is stands behind it. What does
    /// not fit is left out: the device knows of what it has.
    #[must_use]
    pub fn to_bytes(self) -> CursorBytes {
        let mut bytes = CursorBytes {
            bytes: [0; Self::MAX_LEN],
            len: 0,
        };
        let (change, ahead) = (self.change, self.known.saturating_sub(self.change));
        let len = significant(change);
        if ahead == 0 || Self::EPOCH_LEN + 1 + len + significant(ahead) > Self::MAX_LEN {
            bytes.push(&self.epoch.to_be_bytes());
            bytes.push_number(change);
        } else {
            bytes.push(&(self.epoch | TWO_CHANGES).to_be_bytes());
            bytes.push(&[len as u8]);
            bytes.push_number(change);
            bytes.push_number(ahead);
        }
        bytes
    }
}

/// A number without its leading zeros; `None` if it is too long.
fn number(bytes: &[u8]) -> Option<u64> {
    let mut number = [0; 8];
    let at = number.len().checked_sub(bytes.len())?;
    number.get_mut(at..)?.copy_from_slice(bytes);
    Some(u64::from_be_bytes(number))
}

/// The length of a number without its leading zeros, in bytes.
const fn significant(number: u64) -> usize {
    8 - (number.leading_zeros() / 8) as usize
}

/// An encoded [`Cursor`].
#[derive(Debug, Clone, Copy)]
pub struct CursorBytes {
    bytes: [u8; Cursor::MAX_LEN],
    len: usize,
}

impl CursorBytes {
    fn push(&mut self, new: &[u8]) {
        let free = self.bytes.iter_mut().skip(self.len);
        free.zip(new).for_each(|(byte, new)| *byte = *new);
        self.len = self.len.saturating_add(new.len()).min(Cursor::MAX_LEN);
    }

    fn push_number(&mut self, number: u64) {
        let bytes = number.to_be_bytes();
        self.push(bytes.get(bytes.len() - significant(number)..).unwrap_or_default());
    }
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
        ResumePoint {
            change,
            known: change,
            restored,
        }
    }

    /// The cursor of a device that knows of nothing but what it has.
    fn at(epoch: u64, change: u64) -> Cursor {
        Cursor {
            epoch,
            change,
            known: change,
        }
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
    fn a_cursor_names_what_a_device_knows_of_beyond_what_it_has() {
        let (first, second) = (epoch(1, 5, 0), epoch(2, 6, 100));
        let epochs = Epochs::new(vec![first], second);
        for (change, known) in [
            (0, 1),
            (0, 101),
            (100, 101),
            (255, 256),
            (1 << 32, (1 << 32) + 65_535),
        ] {
            let cursor = epochs.cursor_knowing(change, known);
            assert_eq!((cursor.change, cursor.known), (change, known));
            let bytes = cursor.to_bytes();
            assert_eq!(Cursor::from_bytes(bytes.as_ref()), Some(cursor), "{cursor:?}");
            let resumed = ResumePoint {
                change,
                known,
                restored: false,
            };
            assert_eq!(epochs.resume(cursor, u64::MAX), resumed);
        }
        assert_eq!(epochs.cursor_knowing(7, 3), epochs.cursor(7));
        // What does not fit into a cursor.
        let bytes = epochs.cursor_knowing(1 << 40, (1 << 40) + 65_536).to_bytes();
        let left = Cursor::from_bytes(bytes.as_ref());
        assert_eq!(
            left.map(|cursor| (cursor.change, cursor.known)),
            Some((1 << 40, 1 << 40))
        );
        // A length that goes beyond the end, numbers that are too large, and nothing at all behind a mark.
        let mark = [0x80; 8];
        for rest in [&[][..], &[3, 1, 2], &[9], &[7, 255, 255, 255, 255, 255, 255, 255]] {
            let bytes = [&mark[..], rest].concat();
            let read = Cursor::from_bytes(&bytes);
            assert!(
                read.is_none_or(|cursor| cursor.known >= cursor.change),
                "{bytes:?}"
            );
            assert_eq!(read.is_some(), rest.len() == 8, "{bytes:?}");
        }
    }

    #[test]
    fn what_a_device_knows_of_is_missed_though_it_has_nothing_of_what_is_lost() {
        // A copy of the running store was made at change 60 and restored after change 90. The device has all up to 50.
        let (first, restored) = (epoch(1, 1, 0), epoch(2, 2, 60));
        let before = Epochs::new(Vec::new(), first);
        let epochs = Epochs::new(vec![first], restored);
        assert_eq!(
            epochs.resume(before.cursor_knowing(50, 61), 200),
            resumed(50, true)
        );
        let point = epochs.resume(before.cursor_knowing(50, 60), 200);
        assert_eq!((point.change, point.known, point.restored), (50, 60, false));
        assert_eq!(epochs.resume(before.cursor_knowing(0, 61), 200), resumed(0, true));
        // It was opened again before the device sent something: both changes go by the later epoch.
        let lost = Epochs::new(vec![first], epoch(3, 3, 70));
        assert_eq!(epochs.resume(lost.cursor_knowing(50, 75), 200), resumed(50, true));
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
        let before = |change| at(first.id, change);
        assert_eq!(epochs.resume(before(60), 200), resumed(60, false));
        assert_eq!(epochs.resume(before(61), 200), resumed(60, true));
        assert_eq!(epochs.resume(before(90), 200), resumed(60, true));
        let ahead = at(restored.id, 201);
        assert_eq!(epochs.resume(ahead, 200), resumed(200, true));
    }

    #[test]
    fn a_lost_epoch_goes_on_where_the_stores_parted() {
        // Days 1, 2: the store. Its copy of day 2 lost days 3 and 4, went on on day 5, and was opened again on days 6 and 7.
        let known = vec![epoch(1, 1, 0), epoch(2, 2, 50), epoch(5, 5, 80), epoch(6, 6, 120)];
        let epochs = Epochs::new(known, epoch(7, 7, 130));
        for lost in [epoch(3, 3, 80), epoch(4, 4, 95)] {
            for change in [96, 110, 1000] {
                let cursor = at(lost.id, change);
                assert_eq!(epochs.resume(cursor, 140), resumed(80, true), "{lost:?} {change}");
            }
        }
        // Of a copy that was restored on day 6 and replaced by this one on day 7.
        let cursor = at(epoch(6, 9, 120).id, 125);
        assert_eq!(epochs.resume(cursor, 140).change, 125);
        assert!(epochs.resume(cursor, 140).restored);
        // A clock that ran ahead: what they share ends at this opening at the latest.
        let cursor = at(epoch(99, 9, 120).id, 135);
        assert_eq!(epochs.resume(cursor, 140), resumed(130, true));
        // A device that has nothing has nothing to lose.
        let cursor = at(epoch(3, 3, 80).id, 0);
        assert_eq!(epochs.resume(cursor, 140), resumed(0, false));
    }

    #[test]
    fn what_is_older_than_all_known_epochs_goes_on() {
        let epochs = Epochs::new(vec![epoch(5, 5, 100)], epoch(6, 6, 150));
        assert_eq!(epochs.cursor(80), at(0, 80));
        assert_eq!(epochs.resume(epochs.cursor(80), 200), resumed(80, false));
        assert_eq!(epochs.resume(at(0, 101), 200), resumed(100, true));
        let forgotten = at(epoch(2, 2, 0).id, 70);
        assert_eq!(
            epochs.resume(forgotten, 200),
            resumed(70, true),
            "a gap is announced rather than guessed away"
        );
    }
}
