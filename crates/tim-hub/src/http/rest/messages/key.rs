//! Where the message is that has a `MsgKey`, and who has which.
//!
//! The key of a message to many users, which is the same for all of them, has a digest of the content for a place; there the message is found
//! by its time.

use tim_proto::{ConversationId, UserId};
use tim_store::{Entry, LogKey, Page, PageRequest, StoreError, StoreReader};

use super::repeat::Ids;
pub(super) use crate::msg_key::MsgKey;

/// The bit that no place has.
const MANY: u64 = 1 << 63;
/// For how long after the time of its key a message to many users may have been stored, in seconds.
const SPREAD_S: u64 = 60;
/// How many entries of a log are read at a time, and at the most, to find a message by its time.
const PAGE: usize = 100;
const PAGE_BYTES: usize = 1 << 20;
const MAX_LOOK: usize = 10_000;

impl MsgKey {
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
