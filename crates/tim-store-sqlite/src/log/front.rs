//! The front of the log: whose it is, and how long it once was.
//!
//! A block at the end of the log that is missing looks like one that was never written. So the front has a *mark* for each step in which
//! the file grew, each in a sector of its own, which is written once. It is synced with the first block behind it. A log without marks
//! is not the one that a hub has used, and one that is shorter than its marks say was truncated.

use super::block::SECTOR;
use super::{GROWTH, MAX_LEN};

/// The length of the front. Blocks begin behind it.
pub(super) const FRONT: u64 = FRONT_LEN as u64;
pub(super) const FRONT_LEN: usize = 4096;

const MAGIC: u32 = u32::from_le_bytes(*b"tiM\x01");
/// The magic, the checksum, and two numbers.
const MARK: usize = 24;

/// What the front says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Front {
    /// There is no mark.
    Nothing,
    /// The marks are those of another store.
    Foreign,
    /// The log of this store, which had at least this length.
    Own {
        /// In bytes.
        len: u64,
    },
}

/// Which mark a log of this length has.
pub(super) const fn step(len: u64) -> u64 {
    len / GROWTH
}

/// Where a mark is.
pub(super) const fn place(step: u64) -> u64 {
    step * SECTOR as u64
}

/// Writes a mark to the start of zeros.
pub(super) fn encode(salt: u64, step: u64, target: &mut [u8]) {
    let mut mark = [0; MARK];
    let (head, numbers) = mark.split_at_mut(8);
    let (first, second) = numbers.split_at_mut(8);
    first.copy_from_slice(&salt.to_le_bytes());
    second.copy_from_slice(&step.to_le_bytes());
    let sum = crc32fast::hash(numbers);
    let (magic, check) = head.split_at_mut(4);
    magic.copy_from_slice(&MAGIC.to_le_bytes());
    check.copy_from_slice(&sum.to_le_bytes());
    if let Some(target) = target.get_mut(..MARK) {
        target.copy_from_slice(&mark);
    }
}

/// Looks at the front of a log.
pub(in super::super) fn look(bytes: &[u8], salt: u64) -> Front {
    let mut front = Front::Nothing;
    for step in 0..=step(MAX_LEN) {
        let at = usize::try_from(place(step)).unwrap_or(usize::MAX);
        match salt_of(bytes.get(at..).unwrap_or_default(), step) {
            Some(found) if found == salt => {
                let len = (step * GROWTH).max(FRONT);
                front = Front::Own { len };
            }
            Some(_) if front == Front::Nothing => front = Front::Foreign,
            _ => {}
        }
    }
    front
}

/// The salt of the mark at the start of these bytes.
fn salt_of(bytes: &[u8], step: u64) -> Option<u64> {
    let mark: &[u8; MARK] = bytes.first_chunk()?;
    let mut expected = [0; MARK];
    let salt = u64::from_le_bytes(mark.get(8..16)?.try_into().ok()?);
    encode(salt, step, &mut expected);
    (*mark == expected).then_some(salt)
}

const _: () = assert!(place(step(MAX_LEN) + 1) <= FRONT);

#[cfg(test)]
mod tests {
    use super::*;

    fn front(marks: &[(u64, u64)]) -> Vec<u8> {
        let mut bytes = vec![0; 4096];
        for (salt, step) in marks {
            encode(*salt, *step, &mut bytes[usize::try_from(place(*step)).unwrap()..]);
        }
        bytes
    }

    #[test]
    fn the_last_mark_says_how_long_the_log_was() {
        assert_eq!(look(&[], 7), Front::Nothing);
        assert_eq!(look(&front(&[]), 7), Front::Nothing);
        assert_eq!(look(&front(&[(7, 0)]), 7), Front::Own { len: FRONT });
        assert_eq!(
            look(&front(&[(7, 0), (7, 1), (7, 2)]), 7),
            Front::Own { len: 2 * GROWTH }
        );
        assert_eq!(look(&front(&[(8, 0), (8, 1)]), 7), Front::Foreign);
    }

    #[test]
    fn a_damaged_mark_does_not_hide_others() {
        let whole = front(&[(7, 0), (7, 1)]);
        for byte in 0..MARK {
            let mut damaged = whole.clone();
            damaged[byte] ^= 1;
            assert_eq!(look(&damaged, 7), Front::Own { len: GROWTH });
            let mut damaged = whole.clone();
            damaged[SECTOR + byte] ^= 1;
            assert_eq!(look(&damaged, 7), Front::Own { len: FRONT });
        }
    }
}
