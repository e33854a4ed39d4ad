//! `MsgKey`: the name of a message between two users, and where it is.
//!
//! It is `<MsgSeq>_<MsgRandom>_<MsgTime>`: the place in the log, the random number of the message id, and when the message was stored. The
//! key of a message to many users, which is the same for all of them, has a digest of the content for a place; there the message is found
//! by its time.

use std::fmt;
use std::str::FromStr;

use tim_proto::{ConversationId, UserId};
use tim_store::{Entry, LogKey, Page, PageRequest, StoreError, StoreReader};

use super::repeat::Ids;

/// The bit that no place has.
const MANY: u64 = 1 << 63;
/// For how long after the time of its key a message to many users may have been stored, in seconds.
const SPREAD_S: u64 = 60;
/// How many entries of a log are read at a time, and at the most, to find a message by its time.
const PAGE: usize = 100;
const PAGE_BYTES: usize = 1 << 20;
const MAX_LOOK: usize = 10_000;

/// The name of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http::rest) struct MsgKey {
    /// The place in the log; 0 for a message that is not stored; [`MsgKey::digest_of`] for one to many users.
    pub(in crate::http::rest) sequence: u64,
    pub(in crate::http::rest) random: u32,
    /// Unix seconds.
    pub(in crate::http::rest) time: u64,
}

impl MsgKey {
    pub(in crate::http::rest) const fn of(entry: &Entry) -> Self {
        Self {
            sequence: entry.sequence,
            random: entry.id.random,
            time: entry.time_ms / 1000,
        }
    }

    /// What stands for a place in the key of a message to many users.
    pub(super) const fn digest_of(content: u64) -> u64 {
        content | MANY
    }

    /// The message of this sender that has the name.
    pub(super) fn find(
        &self,
        store: &dyn StoreReader,
        from: &UserId,
        to: &UserId,
    ) -> Result<Option<Entry>, StoreError> {
        let log = LogKey::c2c(*from, *to);
        if self.sequence < MANY {
            let found = store.entry(&log, self.sequence)?;
            return Ok(found.filter(|entry| entry.sender == *from && Self::of(entry) == *self));
        }
        let content = (ConversationId::C2c(*to), self.sequence);
        let is_it = |entry: &Entry| {
            let ids = Ids::new(entry.id.sender, self.random, content, entry.time_ms / 1000);
            entry.sender == *from && (ids.have(&entry.id) || ids.before().have(&entry.id))
        };
        let mut before = Some(first_after(store, &log, self.time.saturating_add(SPREAD_S))?);
        for _ in 0..MAX_LOOK / PAGE {
            let page = store.page(&PageRequest {
                log,
                before,
                after: 0,
                limit: PAGE,
                max_bytes: PAGE_BYTES,
            })?;
            let mut entries = page.entries.into_iter().rev();
            let found = entries.find(|entry| entry.time_ms / 1000 < self.time || is_it(entry));
            match found {
                Some(entry) => return Ok(Some(entry).filter(|entry| entry.time_ms / 1000 >= self.time)),
                None if page.completed => return Ok(None),
                None => before = Some(page.next),
            }
        }
        Ok(None)
    }
}

impl fmt::Display for MsgKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}_{}", self.sequence, self.random, self.time)
    }
}

impl FromStr for MsgKey {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('_');
        let mut part = || {
            parts
                .next()
                .filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let (sequence, random, time) = (part().ok_or(())?, part().ok_or(())?, part().ok_or(())?);
        if parts.next().is_some() {
            return Err(());
        }
        let number = |text: &str| text.parse::<u64>().map_err(drop);
        Ok(Self {
            sequence: number(sequence)?,
            random: random.parse().map_err(drop)?,
            time: number(time)?,
        })
    }
}

/// The newest entry of a log.
fn newest(store: &dyn StoreReader, log: &LogKey) -> Result<Page, StoreError> {
    store.page(&PageRequest {
        log: *log,
        before: None,
        after: 0,
        limit: 1,
        max_bytes: PAGE_BYTES,
    })
}

/// Whether two users have, or had, messages; their accounts may be gone since.
pub(super) fn is_written(store: &dyn StoreReader, log: &LogKey) -> Result<bool, StoreError> {
    let newest = newest(store, log)?;
    Ok(!newest.entries.is_empty() || newest.first_kept > 1)
}

/// The sequence of the first entry of a log that was stored after this time, in unix seconds; one beyond the last entry if there
/// is none. Entries are stored in the order of their time.
pub(super) fn first_after(store: &dyn StoreReader, log: &LogKey, time: u64) -> Result<u64, StoreError> {
    // The log itself: the conversation of a user whose peer's account was deleted is not found.
    let newest = newest(store, log)?;
    let head = newest.entries.last().map_or(0, |entry| entry.sequence);
    let (mut low, mut high) = (newest.first_kept, head.saturating_add(1).max(newest.first_kept));
    while low < high {
        let middle = low + (high - low) / 2;
        // What was removed meanwhile is older than all that is kept.
        let is_after = store
            .entry(log, middle)?
            .is_some_and(|entry| entry.time_ms / 1000 > time);
        match is_after {
            true => high = middle,
            false => low = middle + 1,
        }
    }
    Ok(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_written() {
        for key in [
            MsgKey {
                sequence: 1,
                random: 2,
                time: 3,
            },
            MsgKey {
                sequence: u64::MAX,
                random: u32::MAX,
                time: u64::from(u32::MAX),
            },
        ] {
            assert_eq!(key.to_string().parse(), Ok(key));
            assert!(key.to_string().len() <= 50);
        }
        for text in [
            "",
            "1",
            "1_2",
            "1_2_3_4",
            "a_2_3",
            "1__3",
            "-1_2_3",
            "+1_2_3",
            "1_4294967296_3",
            "1_2_3 ",
            "1_2_99999999999999999999",
        ] {
            assert_eq!(text.parse::<MsgKey>(), Err(()), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_read_is_a_key(text in "[0-9_+-]{0,30}", sequence: u64, random: u32, time: u64) {
            if let Ok(key) = text.parse::<MsgKey>() {
                proptest::prop_assert_eq!(key.to_string().parse(), Ok(key));
            }
            let key = MsgKey { sequence, random, time };
            proptest::prop_assert_eq!(key.to_string().parse(), Ok(key));
        }
    }
}
