//! Retention, in bounded steps.
//!
//! A step does one kind of work after another, each in chunks that take a fraction of a millisecond. When its time is over, it ends after
//! the current chunk. Each kind of work does at least one chunk in each step, so all of them make progress, however short the time. Message ids
//! wait until the entries of a step leave something of its budget.

use std::time::Instant;

use super::db::{self, Optional as _};
use super::value::params;
use tim_store::{EntryFlags, Purge, PurgedLog, Quota, Written};

use super::batch::{Batch, Stop};
use super::rows::{Head, flags, head_columns, sql, unsigned};

pub(super) const FORGET_MENTIONS: &str = "DELETE FROM mentions WHERE log = ?1 AND sequence <= ?2";

/// The most rows of a chunk.
const ROWS: u64 = 32;
/// The most bytes of a chunk of entries; a larger entry is a chunk by itself.
const BYTES: u64 = 128 << 10;
/// The most message ids that are looked at for a chunk.
const IDS: u64 = 256;

/// A message id in the order of the table.
pub(super) type LastId = (i64, i64, i64);

/// Before all ids.
const FIRST_ID: LastId = (i64::MIN, i64::MIN, i64::MIN);

/// When a step ends.
struct Limit {
    until: Option<Instant>,
    /// The most chunks of a kind of work that has no count of its own.
    chunks: u64,
}

impl Limit {
    fn is_over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }
}

/// Whether there is nothing more to do of a kind of work in this round.
type IsDone = bool;

/// The oldest entries of a log, all of them past retention.
struct Chunk {
    upto: u64,
    change: u64,
    countable: u64,
    /// The sender that each of them counts for, and how much.
    costs: Vec<(i64, u64)>,
    /// Whether the log may have more that is past retention.
    is_cut: bool,
}

impl Batch<'_> {
    pub(super) fn purge(&mut self, purge: &Purge) -> Result<Written, Stop> {
        let budget = u64::from(purge.budget);
        let limit = Limit {
            until: purge.time.and_then(|time| Instant::now().checked_add(time)),
            chunks: 1 + budget / ROWS,
        };
        let mut logs = Vec::new();
        let (entries, mut is_done) = self.purge_entries(purge.older_than_ms, budget, &limit, &mut logs)?;
        is_done &= in_chunks(&limit, || self.forget_requests(purge.older_than_ms))?;
        is_done &= in_chunks(&limit, || self.forget_restrictions(purge.over_before_ms))?;
        let mut accounts = 0;
        is_done &= in_chunks(&limit, || {
            let (removed, is_last) = self.remove_unused(purge.unused_before_ms, ROWS)?;
            accounts += removed;
            Ok(is_last)
        })?;
        let mut ids = 0;
        let mut left = budget.saturating_sub(entries);
        while left > 0 {
            let (forgotten, is_last) = self.forget_ids(purge.forget_ids_before_ms, left)?;
            ids += forgotten;
            left -= forgotten.min(left);
            if is_last || limit.is_over() {
                is_done &= is_last;
                break;
            }
        }
        Ok(Written::Purged {
            entries,
            ids,
            accounts,
            more: !is_done || left == 0,
            logs,
        })
    }

    /// Removes entries of the logs that have the oldest ones. Returns how many.
    fn purge_entries(
        &mut self,
        older_than_ms: u64,
        budget: u64,
        limit: &Limit,
        logs: &mut Vec<PurgedLog>,
    ) -> db::Result<(u64, IsDone)> {
        let mut entries = 0;
        while entries < budget {
            let Some(head) = self.oldest_log(older_than_ms)? else {
                return Ok((entries, true));
            };
            let Some((removed, log)) = self.purge_log(head, older_than_ms, budget - entries, limit)? else {
                // A damaged age must not hold up all others.
                self.correct_age(&head)?;
                continue;
            };
            entries += removed;
            logs.push(log);
            if limit.is_over() {
                return Ok((entries, false));
            }
        }
        Ok((entries, false))
    }

    fn oldest_log(&self, older_than_ms: u64) -> db::Result<Option<Head>> {
        self.db
            .statement(concat!(
                "SELECT ",
                head_columns!(),
                " FROM logs l WHERE l.first_time_ms IS NOT NULL AND l.first_time_ms < ?1
                 ORDER BY l.first_time_ms LIMIT 1"
            ))?
            .query_row([sql(older_than_ms)], Head::from_row)
            .optional()
    }

    /// The oldest kept entry of a log has the age that the log is found by.
    fn correct_age(&self, head: &Head) -> db::Result<()> {
        self.db
            .statement(
                "UPDATE logs SET first_time_ms =
                     (SELECT time_ms FROM entries WHERE log = ?1 ORDER BY sequence LIMIT 1) WHERE id = ?1",
            )?
            .run([head.id])?;
        Ok(())
    }

    /// Returns how many entries were removed, and what the hub is to know of the log.
    fn purge_log(
        &mut self,
        mut head: Head,
        older_than_ms: u64,
        budget: u64,
        limit: &Limit,
    ) -> db::Result<Option<(u64, PurgedLog)>> {
        let before = head;
        let mut entries = 0;
        while entries < budget {
            let Some(chunk) = self.old_chunk(&head, older_than_ms, budget - entries)? else {
                break;
            };
            entries += chunk.costs.len() as u64;
            head = self.purge_chunk(&head, &chunk)?;
            if !chunk.is_cut || limit.is_over() {
                break;
            }
        }
        if entries == 0 {
            return Ok(None);
        }
        self.note_purged(&head)?;
        let through = head.first_kept - 1;
        let log = PurgedLog {
            log: head.key,
            through,
            last: (before.first_kept..=through).contains(&head.last_sequence),
        };
        Ok(Some((entries, log)))
    }

    /// Removes the oldest entries of a log. Returns its new head.
    fn purge_chunk(&mut self, head: &Head, chunk: &Chunk) -> db::Result<Head> {
        self.forget_own(head, chunk)?;
        for (sender, cost) in &chunk.costs {
            self.give_back_bytes(*sender, *cost)?;
        }
        let remove = |rows: &str| self.db.statement(rows)?.run([head.id, sql(chunk.upto)]);
        remove("DELETE FROM entries WHERE log = ?1 AND sequence <= ?2")?;
        remove("DELETE FROM revoked WHERE log = ?1 AND sequence <= ?2")?;
        remove(FORGET_MENTIONS)?;
        self.end_uses(head.id, 0, chunk.upto)?;
        let after = Head {
            first_kept: chunk.upto + 1,
            purged_change: chunk.change,
            purged_countable: chunk.countable,
            ..*head
        };
        self.db
            .statement(
                "UPDATE logs SET first_kept = ?2, purged_change = ?3, purged_countable = ?4,
                     first_time_ms = (SELECT time_ms FROM entries WHERE log = ?1 AND sequence = ?2)
                 WHERE id = ?1",
            )?
            .run(params![
                head.id,
                sql(chunk.upto + 1),
                sql(chunk.change),
                sql(chunk.countable),
            ])?;
        Ok(after)
    }

    fn old_chunk(&self, head: &Head, older_than_ms: u64, budget: u64) -> db::Result<Option<Chunk>> {
        let most = budget.min(ROWS);
        let statement = self.db.statement(
            "SELECT e.sequence, e.change, e.countable, e.time_ms, e.sender, e.flags, octet_length(e.body)
             FROM entries e WHERE e.log = ?1 ORDER BY e.sequence LIMIT ?2",
        )?;
        let mut rows = statement.query(params![head.id, sql(most)])?;
        let (mut last, mut costs) = (None, Vec::new());
        let (mut bytes, mut is_cut) = (0, false);
        while let Some(row) = rows.next()? {
            if unsigned(row, 3)? >= older_than_ms {
                is_cut = false;
                break;
            }
            let len = unsigned(row, 6)?;
            bytes += len;
            is_cut = true;
            if bytes > BYTES && !costs.is_empty() {
                break;
            }
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            costs.push((row.get(4)?, Quota::cost(flags(row, 5)?, len)));
            last = Some((unsigned(row, 0)?, unsigned(row, 1)?, unsigned(row, 2)?));
        }
        Ok(last.map(|(upto, change, countable)| Chunk {
            upto,
            change,
            countable,
            costs,
            is_cut,
        }))
    }

    /// Purged entries are not unread, so their senders' own ones are no longer subtracted.
    fn forget_own(&self, head: &Head, chunk: &Chunk) -> db::Result<()> {
        let statement = self.db.statement(
            "SELECT e.sender, count(*) FROM entries e JOIN personal p ON p.account = e.sender AND p.log = e.log
             WHERE e.log = ?1 AND e.sequence <= ?2 AND e.sequence > p.read_sequence AND e.flags & ?3 = 0
             GROUP BY e.sender",
        )?;
        let found = statement.query_map(
            params![head.id, sql(chunk.upto), EntryFlags::NO_UNREAD.to_bits()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let own = found.collect::<db::Result<Vec<(i64, i64)>>>()?;
        for (sender, count) in own {
            self.db
                .statement(
                    "UPDATE personal SET own_at_read = own_at_read + ?3 WHERE account = ?1 AND log = ?2",
                )?
                .run([sender, head.id, count])?;
        }
        Ok(())
    }

    /// Applications and invitations are removed with the notices about them.
    fn forget_requests(&self, older_than_ms: u64) -> db::Result<IsDone> {
        let gone = self
            .db
            .statement(
                "DELETE FROM requests WHERE (log, account, kind) IN
                     (SELECT log, account, kind FROM requests WHERE time_ms < ?1 ORDER BY time_ms LIMIT ?2)",
            )?
            .execute([sql(older_than_ms), sql(ROWS)])?;
        Ok(gone < ROWS)
    }

    /// Bans and mutes that are over are without effect.
    fn forget_restrictions(&self, over_before_ms: u64) -> db::Result<IsDone> {
        let gone = self
            .db
            .statement(
                "DELETE FROM restrictions WHERE (log, account) IN
                     (SELECT log, account FROM restrictions WHERE greatest(banned_until_ms, muted_until_ms) <= ?1
                      ORDER BY greatest(banned_until_ms, muted_until_ms) LIMIT ?2)",
            )?
            .execute([sql(over_before_ms), sql(ROWS)])?;
        Ok(gone < ROWS)
    }

    /// Both times of an id must be old: a client's clock may be wrong, and its resend may still come. Many ids may have to stay, so the
    /// next chunk continues after them. Returns how many were removed.
    fn forget_ids(&mut self, before_ms: u64, budget: u64) -> db::Result<(u64, IsDone)> {
        let most = budget.min(IDS);
        let (client_time, sender, random) = self.last_id.unwrap_or(FIRST_ID);
        let mut found = Vec::new();
        {
            let statement = self.db.statement(
                "SELECT client_time, sender, random, time_ms < ?2
                     AND NOT EXISTS (SELECT 1 FROM entries e WHERE e.log = s.log AND e.sequence = s.sequence)
                 FROM sent s WHERE client_time < ?1 AND (client_time, sender, random) > (?3, ?4, ?5)
                 ORDER BY client_time, sender, random LIMIT ?6",
            )?;
            let mut rows = statement.query([
                sql(before_ms / 1000),
                sql(before_ms),
                client_time,
                sender,
                random,
                sql(most),
            ])?;
            while let Some(row) = rows.next()? {
                let id: LastId = (row.get(0)?, row.get(1)?, row.get(2)?);
                found.push((id, row.get::<bool>(3)?));
            }
        }
        let mut gone = 0;
        for ((client_time, sender, random), _) in found.iter().filter(|(_, is_old)| *is_old) {
            gone += self
                .db
                .statement("DELETE FROM sent WHERE client_time = ?1 AND sender = ?2 AND random = ?3")?
                .execute([client_time, sender, random])?;
        }
        let is_last = (found.len() as u64) < most;
        self.last_id = found.last().map(|(id, _)| *id).filter(|_| !is_last);
        Ok((gone, is_last))
    }
}

/// Does a kind of work, chunk by chunk, until it is done or the step ends.
fn in_chunks(limit: &Limit, mut chunk: impl FnMut() -> db::Result<IsDone>) -> db::Result<IsDone> {
    for _ in 0..limit.chunks {
        let is_done = chunk()?;
        if is_done || limit.is_over() {
            return Ok(is_done);
        }
    }
    Ok(false)
}
