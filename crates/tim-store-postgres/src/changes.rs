//! Catching up: the entries of all of a user's logs after one change, merged.
//!
//! Within a log, changes increase with the sequence, so the first new entry is found by searching backward from the head in
//! doubling steps over the primary key. No index on changes is needed.

use std::collections::HashMap;

use super::db::{self, Connection, Optional as _};
use super::value::params;
use tim_proto::UserId;
use tim_store::{ChangeEntry, Changes, ChangesRequest, Gap, Merge, Position};
use tracing::warn;

use super::damage::Damage;
use super::entry_rows::EntryRows;
use super::recent::few_logs;
use super::rows::{
    HEAD_COLUMNS, Head, Personal, Senders, head_columns, personal_columns, sql, unsigned, user_id,
};

/// The most positions that are kept between two readings, which take 384 KiB. A user with more changed conversations is merged anew
/// after that many entries at the earliest.
const MAX_POSITIONS: usize = 16_384;

pub(super) fn head_change(db: &Connection) -> db::Result<u64> {
    db.statement("SELECT change FROM meta WHERE id = 0")?
        .query_row(params![], |row| unsigned(row, 0))
}

/// As much as is asked for. The merge goes on from there.
pub(super) fn changes_after(
    db: &Connection,
    request: &ChangesRequest,
    merge: &mut Merge,
) -> db::Result<Changes> {
    let head_change = head_change(db)?;
    let mut changes = Changes {
        entries: Vec::new(),
        gaps: Vec::new(),
        more: false,
        cursor: head_change.max(request.cursor),
    };
    let Some(user) = user_id(db, &request.user)? else {
        return Ok(changes);
    };
    let reading = Reading {
        db,
        user,
        name: &request.user,
        head_change,
    };
    if !merge.continues(request.cursor) {
        *merge = reading.begin(request.cursor)?;
    }
    let mut free = FreeSpace {
        entries: request.limit.max(1),
        bytes: request.max_bytes,
        cursor: request.cursor,
    };
    let mut logs = HashMap::new();
    while !reading.take(merge, &mut logs, &mut changes, &mut free)? {
        if merge.upto() >= head_change {
            return Ok(changes);
        }
        // It did not cover everything, or there is more by now.
        *merge = reading.begin(merge.upto())?;
    }
    changes.more = true;
    changes.cursor = free.cursor;
    merge.move_to(free.cursor);
    Ok(changes)
}

/// A user's logs in one snapshot.
struct Reading<'a> {
    db: &'a Connection,
    user: i64,
    name: &'a UserId,
    head_change: u64,
}

/// Logs that were looked at: their heads, and the sequence after which the user may read each; `None` for a log that the user may not
/// read.
type Logs = HashMap<u64, Option<(Head, u64)>>;

impl Reading<'_> {
    /// Merges everything after the cursor, as far as it can be kept.
    fn begin(&self, cursor: u64) -> db::Result<Merge> {
        let mut merge = Merge::new(cursor, self.head_change);
        self.each_changed_log(cursor, |head, joined_at| {
            if let Some((gap, _)) = gap_in(head, joined_at, cursor) {
                merge.push(gap);
            }
            if let Some(entry) = next_entry(self.db, head, joined_at, cursor)? {
                merge.push(entry);
            }
            Ok(())
        })?;
        merge.limit(MAX_POSITIONS);
        Ok(merge)
    }

    /// Takes what comes next until the result is full; whether it is.
    fn take(
        &self,
        merge: &mut Merge,
        logs: &mut Logs,
        changes: &mut Changes,
        free: &mut FreeSpace,
    ) -> db::Result<bool> {
        loop {
            if free.entries == 0 && !merge.is_empty() {
                return Ok(true);
            }
            let Some(next) = merge.pop() else {
                return Ok(false);
            };
            let known = match logs.get(&next.log) {
                Some(known) => *known,
                None => *logs.entry(next.log).or_insert(self.log(next.log)?),
            };
            // The user has left, or the group is no more.
            let Some((head, joined_at)) = known else { continue };
            if next.sequence == 0 {
                match gap_in(&head, joined_at, free.cursor) {
                    Some((gap, range)) if gap == next => {
                        changes.gaps.push(range);
                        free.cursor = next.change;
                    }
                    // More was removed since.
                    Some((gap, _)) => merge.push(gap),
                    None => {}
                }
            } else if next.sequence <= joined_at || next.sequence < head.first_kept {
                // It was removed since, or the user has left and joined again.
                if let Some((gap, _)) = gap_in(&head, joined_at, free.cursor)
                    && !merge.has_gap(next.log)
                {
                    merge.push(gap);
                }
                if let Some(entry) = next_entry(self.db, &head, joined_at, free.cursor)? {
                    merge.push(entry);
                }
            } else {
                let before = merge.next_change().unwrap_or(u64::MAX);
                let until = before.min(merge.upto());
                match run(self.db, &head, next.sequence, until, changes, free)? {
                    End::Log => {}
                    End::Turn(sequence, change) => merge.push(Position {
                        change,
                        sequence,
                        ..next
                    }),
                    End::Full(sequence, change) => {
                        merge.push(Position {
                            change,
                            sequence,
                            ..next
                        });
                        return Ok(true);
                    }
                }
            }
        }
    }

    /// A log of the user.
    fn log(&self, log: u64) -> db::Result<Option<(Head, u64)>> {
        let found = self
            .db
            .statement(concat!(
                "SELECT ",
                head_columns!(),
                ", ",
                personal_columns!(),
                " FROM personal p JOIN logs l ON l.id = p.log WHERE p.account = ?1 AND p.log = ?2"
            ))?
            .query_row([self.user, sql(log)], |row| {
                Ok((
                    Head::from_row(row)?,
                    Personal::from_row(row, HEAD_COLUMNS)?.joined_at,
                ))
            })
            .optional()?;
        Ok(found)
    }

    /// Visits the user's logs with entries after the cursor, with the sequence after which the user may read each.
    fn each_changed_log(
        &self,
        cursor: u64,
        mut visit: impl FnMut(&Head, u64) -> db::Result<()>,
    ) -> db::Result<()> {
        // Of the listed conversations the newest one that the cursor is not before may have grown since, too. What is missing beside
        // a row of `recent` is damage, not nothing new.
        let statement = self.db.statement(concat!(
            "SELECT ",
            head_columns!(),
            ", ",
            personal_columns!(),
            " FROM (SELECT log FROM recent WHERE account = ?1 AND listed = 1 AND change >= coalesce((
                        SELECT max(change) FROM recent WHERE account = ?1 AND listed = 1 AND change <= ?3), 0)
                    UNION SELECT log FROM recent WHERE account = ?1 AND listed = 0 AND change > ?3
                    UNION ALL ",
            few_logs!(),
            ") changed LEFT JOIN logs l ON l.id = changed.log
                 LEFT JOIN personal p ON p.account = ?1 AND p.log = changed.log
             WHERE l.id IS NULL OR l.change > ?3"
        ))?;
        let mut rows = statement.query(params![self.user, self.name.as_str(), sql(cursor)])?;
        while let Some(row) = rows.next()? {
            let head = Head::from_row(row)?;
            visit(&head, Personal::from_row(row, HEAD_COLUMNS)?.joined_at)?;
        }
        Ok(())
    }
}

/// The free space of the result, and the change up to which it is complete.
struct FreeSpace {
    entries: usize,
    bytes: usize,
    cursor: u64,
}

/// Why a run over a log's entries ended; with the sequence at which it goes on, and the change of the next intact entry.
enum End {
    /// The log has no more entries.
    Log,
    /// The next entry comes after the change up to which the log has its turn.
    Turn(u64, u64),
    /// The result is full.
    Full(u64, u64),
}

/// Takes a log's entries from `sequence` up to and with the change `until`, with one query.
fn run(
    db: &Connection,
    head: &Head,
    sequence: u64,
    until: u64,
    changes: &mut Changes,
    free: &mut FreeSpace,
) -> db::Result<End> {
    let mut rows = EntryRows::from(db, head.id, sequence, free.entries);
    let mut senders = Senders::new(db);
    // What is missing or damaged is a gap in front of the next intact entry.
    let mut expected = sequence;
    while let Some(row) = rows.next()? {
        let Some(entry) = intact(senders.entry(row))? else {
            continue;
        };
        let (sequence, change, size) = (entry.sequence, entry.change, entry.content.len());
        if change > until {
            return Ok(End::Turn(expected, change));
        }
        if (free.entries == 0 || size > free.bytes) && !changes.entries.is_empty() {
            return Ok(End::Full(expected, change));
        }
        free.entries = free.entries.saturating_sub(1);
        free.bytes = free.bytes.saturating_sub(size);
        free.cursor = change;
        announce(head, expected, sequence - 1, changes);
        expected = sequence + 1;
        changes.entries.push(ChangeEntry { log: head.key, entry });
    }
    // Those of the log's end come with the newest change.
    if expected <= head.sequence && head.change > until {
        return Ok(End::Turn(expected, head.change));
    }
    announce(head, expected, head.sequence, changes);
    Ok(End::Log)
}

/// `None` for a damaged entry.
fn intact<T>(entry: db::Result<T>) -> db::Result<Option<T>> {
    match entry {
        Err(error) if Damage::found(&error).is_some() => Ok(None),
        entry => entry.map(Some),
    }
}

/// Announces damaged entries, if there are any.
fn announce(head: &Head, from: u64, to: u64, changes: &mut Changes) {
    if from <= to {
        warn!(conversation = %head.key, from, to, "damaged entries are announced as a gap");
        changes.gaps.push(Gap {
            log: head.key,
            from,
            to,
        });
    }
}

/// The gap of a log, if the cursor is before or in it.
fn gap_in(head: &Head, joined_at: u64, cursor: u64) -> Option<(Position, Gap)> {
    let from = joined_at + 1;
    let is_lost = head.purged_change > cursor && from < head.first_kept;
    is_lost.then(|| {
        let position = Position {
            change: head.purged_change,
            log: head.id.cast_unsigned(),
            sequence: 0,
        };
        let range = Gap {
            log: head.key,
            from,
            to: head.first_kept - 1,
        };
        (position, range)
    })
}

/// The first entry of a log after the cursor.
fn next_entry(db: &Connection, head: &Head, joined_at: u64, cursor: u64) -> db::Result<Option<Position>> {
    let sequence = first_after(db, head, head.first_kept.max(joined_at + 1), cursor)?;
    if sequence > head.sequence {
        return Ok(None);
    }
    Ok(Some(Position {
        change: change_from(db, head, sequence)?,
        log: head.id.cast_unsigned(),
        sequence,
    }))
}

/// The change of the first entry from `sequence` on. So a damaged entry counts as new as long as the next one does, and its
/// loss is announced.
fn change_from(db: &Connection, head: &Head, sequence: u64) -> db::Result<u64> {
    if sequence >= head.sequence {
        return Ok(head.change);
    }
    let found = db
        .statement("SELECT change FROM entries WHERE log = ?1 AND sequence >= ?2 ORDER BY sequence LIMIT 1")?
        .query_row(params![head.id, sql(sequence)], |row| unsigned(row, 0))
        .optional()?;
    Ok(found.unwrap_or(head.change))
}

/// The smallest sequence, at least `from`, whose change is greater than `cursor`; one past the head if there is none.
fn first_after(db: &Connection, head: &Head, from: u64, cursor: u64) -> db::Result<u64> {
    let is_new = |sequence| change_from(db, head, sequence).map(|change| change > cursor);
    // Invariant: everything from `new` on is new; everything below `old` is old.
    let (mut old, mut new) = (from, head.sequence + 1);
    let mut step = 1;
    while old < new {
        let probe = new.saturating_sub(step).max(old);
        if is_new(probe)? {
            new = probe;
            step *= 2;
        } else {
            old = probe + 1;
            break;
        }
    }
    while old < new {
        let probe = old + (new - old) / 2;
        if is_new(probe)? {
            new = probe;
        } else {
            old = probe + 1;
        }
    }
    Ok(new)
}
