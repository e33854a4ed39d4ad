//! What was said, apart from the entries, so that it can be removed from the files for good.
//!
//! SQLite overwrites what is deleted with zeros (`secure_delete`). It does not do that with what it moves: when a leaf page of a table
//! fills up in the middle of the table, or empties, `balance_nonroot` spreads the rows over that page and up to two pages beside it, and
//! leaves bytes of where they were. A row that is removed later may be there still. So nothing in this table ever moves:
//!
//! * Ids grow with each row, so a row is only ever added behind the last one. A full page then stays as it is, and the row goes to a new
//!   one (`balance_quick`; a root is copied once, and then cleared: `balance_deeper`). In the pages above there are only ids.
//! * A removed content is overwritten by zeros where it is, and becomes shorter or keeps its length. Such an update balances nothing.
//!   Pages that belong to this content alone become free, and are cleared.
//! * Deleting a row does balance. Rows are deleted from the front only, and only as long as the next three pages hold nothing but removed
//!   contents. What is moved then is zeros.

use rusqlite::{Connection, params};

use super::rows::{sql, unsigned};
use super::writer::Batch;

/// What is left of a longer content that is removed. It fits in the row's own page, whatever of a long content is there: SQLite keeps at
/// least 489 bytes of a row there, if not all of it.
const MOST_ZEROS: i64 = 480;
/// The least number of bytes that a row takes in its page besides the content.
const ROW: u64 = 8;
/// `balance_nonroot` looks at a page and at most two behind it.
const PAGES_BEHIND: u64 = 3;
/// So many more removed contents than were asked for are looked at, as some of them must stay.
const MORE: u64 = 2048;

/// The id of the newest content; ids of removed ones may be given out again only when nothing is left.
pub(super) fn newest(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("SELECT coalesce(max(id), 0) FROM contents", [], |row| row.get(0))
}

impl Batch<'_> {
    /// Stores a content of a log's entry.
    pub(super) fn add_content(&mut self, log: i64, body: &[u8]) -> rusqlite::Result<i64> {
        self.content += 1;
        self.statements
            .content()?
            .execute(params![self.content, log, body])?;
        Ok(self.content)
    }

    /// Removes a content. A damaged id of an entry cannot remove that of another log.
    pub(super) fn remove_content(&self, log: i64, id: i64) -> rusqlite::Result<()> {
        self.db
            .prepare_cached(
                "UPDATE contents SET log = NULL, body = zeroblob(min(octet_length(body), ?3)) WHERE id = ?1 AND log = ?2",
            )?
            .execute([id, log, MOST_ZEROS])?;
        Ok(())
    }

    /// Deletes removed contents that are older than all others, about so many. Returns whether there are more.
    pub(super) fn delete_removed(&self, most: u64) -> rusqlite::Result<bool> {
        let limit = most.saturating_add(MORE);
        let mut removed = self.oldest_removed(limit)?;
        let is_more = removed.len() as u64 == limit;
        let page: u64 = self
            .db
            .prepare_cached("PRAGMA page_size")?
            .query_row([], |row| unsigned(row, 0))?;
        let mut kept = 0;
        while let Some((id, len)) = removed.pop() {
            if kept > PAGES_BEHIND * page {
                self.db
                    .prepare_cached("DELETE FROM contents WHERE id <= ?1")?
                    .execute([id])?;
                break;
            }
            kept += len + ROW;
        }
        Ok(is_more)
    }

    /// The removed contents in front of the oldest other one: their ids and lengths.
    fn oldest_removed(&self, limit: u64) -> rusqlite::Result<Vec<(i64, u64)>> {
        let mut statement = self
            .db
            .prepare_cached("SELECT id, log IS NULL, length(body) FROM contents ORDER BY id LIMIT ?1")?;
        let mut rows = statement.query([sql(limit)])?;
        let mut removed = Vec::new();
        while let Some(row) = rows.next()?
            && row.get(1)?
        {
            removed.push((row.get(0)?, unsigned(row, 2)?));
        }
        Ok(removed)
    }
}
