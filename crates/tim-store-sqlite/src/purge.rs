//! Retention, in bounded steps.

use rusqlite::{OptionalExtension as _, params};
use tim_store::{EntryFlags, Purge, PurgedLog, Written};

use super::rows::{Head, head_columns, sql, unsigned};
use super::writer::{Batch, Stop};

pub(super) const FORGET_MENTIONS: &str = "DELETE FROM mentions WHERE log = ?1 AND sequence <= ?2";

/// The oldest entries of a log, all of them past retention.
struct Chunk {
    upto: u64,
    change: u64,
    countable: u64,
    /// The ids of their contents.
    contents: Vec<i64>,
}

impl Batch<'_> {
    pub(super) fn purge(&mut self, purge: &Purge) -> Result<Written, Stop> {
        let budget = u64::from(purge.budget);
        let (mut entries, mut logs) = (0, Vec::new());
        while entries < budget {
            let Some(head) = self.oldest_log(purge.older_than_ms)? else {
                break;
            };
            let Some((removed, log)) = self.purge_log(&head, purge.older_than_ms, budget - entries)? else {
                break;
            };
            entries += removed;
            logs.push(log);
        }
        self.forget_requests(purge.older_than_ms, budget)?;
        self.forget_restrictions(purge.over_before_ms, budget)?;
        let is_more = self.delete_removed(budget)?;
        let ids = self.forget_ids(purge.forget_ids_before_ms, budget.saturating_sub(entries))?;
        Ok(Written::Purged {
            entries,
            ids,
            more: is_more || entries + ids >= budget,
            logs,
        })
    }

    fn oldest_log(&self, older_than_ms: u64) -> rusqlite::Result<Option<Head>> {
        self.db
            .prepare_cached(concat!(
                "SELECT ",
                head_columns!(),
                " FROM logs l WHERE l.first_time_ms IS NOT NULL AND l.first_time_ms < ?1
                 ORDER BY l.first_time_ms LIMIT 1"
            ))?
            .query_row([sql(older_than_ms)], Head::from_row)
            .optional()
    }

    /// How many entries were removed, and what is to be known of the log.
    fn purge_log(
        &mut self,
        head: &Head,
        older_than_ms: u64,
        budget: u64,
    ) -> rusqlite::Result<Option<(u64, PurgedLog)>> {
        let Some(chunk) = self.old_chunk(head, older_than_ms, budget)? else {
            return Ok(None);
        };
        self.forget_own(head, &chunk)?;
        for content in &chunk.contents {
            self.remove_content(head.id, *content)?;
        }
        let remove = |rows: &str| self.db.prepare_cached(rows)?.execute([head.id, sql(chunk.upto)]);
        remove("DELETE FROM entries WHERE log = ?1 AND sequence <= ?2")?;
        remove("DELETE FROM revoked WHERE log = ?1 AND sequence <= ?2")?;
        remove(FORGET_MENTIONS)?;
        let after = Head {
            first_kept: chunk.upto + 1,
            purged_change: chunk.change,
            purged_countable: chunk.countable,
            ..*head
        };
        self.db
            .prepare_cached(
                "UPDATE logs SET first_kept = ?2, purged_change = ?3, purged_countable = ?4,
                     first_time_ms = (SELECT time_ms FROM entries WHERE log = ?1 AND sequence = ?2), sum = ?5
                 WHERE id = ?1",
            )?
            .execute(params![
                head.id,
                sql(chunk.upto + 1),
                sql(chunk.change),
                sql(chunk.countable),
                after.sum()
            ])?;
        self.note_purged(&after)?;
        let log = PurgedLog {
            log: head.key,
            through: chunk.upto,
            last: (head.first_kept..=chunk.upto).contains(&head.last_sequence),
        };
        Ok(Some((chunk.contents.len() as u64, log)))
    }

    fn old_chunk(&self, head: &Head, older_than_ms: u64, budget: u64) -> rusqlite::Result<Option<Chunk>> {
        let mut statement = self.db.prepare_cached(
            "SELECT sequence, change, countable, time_ms, content FROM entries WHERE log = ?1 ORDER BY sequence LIMIT ?2",
        )?;
        let mut rows = statement.query(params![head.id, sql(budget)])?;
        let (mut last, mut contents) = (None, Vec::new());
        while let Some(row) = rows.next()? {
            if unsigned(row, 3)? >= older_than_ms {
                break;
            }
            contents.push(row.get(4)?);
            last = Some((unsigned(row, 0)?, unsigned(row, 1)?, unsigned(row, 2)?));
        }
        Ok(last.map(|(upto, change, countable)| Chunk {
            upto,
            change,
            countable,
            contents,
        }))
    }

    /// Purged entries are not unread, so their senders' own ones are no longer subtracted.
    fn forget_own(&self, head: &Head, chunk: &Chunk) -> rusqlite::Result<()> {
        let mut statement = self.db.prepare_cached(
            "SELECT e.sender, count(*) FROM entries e JOIN personal p ON p.user = e.sender AND p.log = e.log
             WHERE e.log = ?1 AND e.sequence <= ?2 AND e.sequence > p.read_sequence AND e.flags & ?3 = 0
             GROUP BY e.sender",
        )?;
        let found = statement.query_map(
            params![head.id, sql(chunk.upto), EntryFlags::NO_UNREAD.to_bits()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let own = found.collect::<rusqlite::Result<Vec<(i64, i64)>>>()?;
        for (sender, count) in own {
            self.db
                .prepare_cached(
                    "UPDATE personal SET own_at_read = own_at_read + ?3 WHERE user = ?1 AND log = ?2",
                )?
                .execute([sender, head.id, count])?;
        }
        Ok(())
    }

    /// Applications and invitations are removed with the notices about them.
    fn forget_requests(&self, older_than_ms: u64, budget: u64) -> rusqlite::Result<()> {
        self.db
            .prepare_cached(
                "DELETE FROM requests WHERE (log, user, kind) IN
                     (SELECT log, user, kind FROM requests WHERE time_ms < ?1 ORDER BY time_ms LIMIT ?2)",
            )?
            .execute([sql(older_than_ms), sql(budget)])?;
        Ok(())
    }

    /// Bans and mutes that are over are without effect.
    fn forget_restrictions(&self, over_before_ms: u64, budget: u64) -> rusqlite::Result<()> {
        self.db
            .prepare_cached(
                "DELETE FROM restrictions WHERE (log, user) IN
                     (SELECT log, user FROM restrictions WHERE max(banned_until_ms, muted_until_ms) <= ?1
                      ORDER BY max(banned_until_ms, muted_until_ms) LIMIT ?2)",
            )?
            .execute([sql(over_before_ms), sql(budget)])?;
        Ok(())
    }

    /// Both times must be old: a client's clock may be wrong, and its resend may still come.
    fn forget_ids(&self, before_ms: u64, budget: u64) -> rusqlite::Result<u64> {
        let gone = self
            .db
            .prepare_cached(
                "DELETE FROM sent WHERE (client_time, sender, random) IN
                     (SELECT client_time, sender, random FROM sent s WHERE client_time < ?1 AND time_ms < ?2
                          AND NOT EXISTS (SELECT 1 FROM entries e WHERE e.log = s.log AND e.sequence = s.sequence)
                      LIMIT ?3)",
            )?
            .execute([sql(before_ms / 1000), sql(before_ms), sql(budget)])?;
        Ok(gone as u64)
    }
}
