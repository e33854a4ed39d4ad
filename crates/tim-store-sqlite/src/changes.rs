//! Catching up: the entries of all of a user's logs after one change, merged.
//!
//! Within a log, changes increase with the sequence, so the first new entry is found by searching backward from the head in
//! doubling steps over the primary key. No index on changes is needed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rusqlite::{Connection, OptionalExtension as _, params};
use tim_store::{ChangeEntry, Changes, ChangesRequest, Gap};

use super::rows::{
    HEAD_COLUMNS, Head, KIND_DISMISSED, KIND_GROUP, entry, entry_columns, head_columns, sql, unsigned,
    user_id,
};

pub(super) fn head_change(db: &Connection) -> rusqlite::Result<u64> {
    db.prepare_cached("SELECT change FROM meta")?
        .query_row([], |row| unsigned(row, 0))
}

/// The next step of a log, ordered by change. No two steps have the same change.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct NextStep {
    change: u64,
    /// The index of the log among the user's logs.
    log: usize,
    step: Step,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Gap { from: u64, to: u64 },
    Entry { sequence: u64 },
}

pub(super) fn changes_since(db: &Connection, request: &ChangesRequest) -> rusqlite::Result<Changes> {
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
    let logs = changed_logs(db, user, request.cursor)?;
    let mut queue = BinaryHeap::new();
    for (index, (head, joined_at)) in logs.iter().enumerate() {
        queue.extend(first_steps(db, index, head, *joined_at, request.cursor)?.map(Reverse));
    }
    let mut free = FreeSpace {
        entries: request.limit.max(1),
        bytes: request.max_bytes,
        cursor: request.cursor,
    };
    while let Some(Reverse(next)) = queue.pop() {
        let Some((head, _)) = logs.get(next.log) else {
            continue;
        };
        match next.step {
            Step::Gap { from, to } => {
                changes.gaps.push(Gap {
                    log: head.key,
                    from,
                    to,
                });
                free.cursor = next.change;
            }
            Step::Entry { sequence } => {
                let before = queue.peek().map_or(u64::MAX, |Reverse(other)| other.change);
                match run(db, head, sequence, before, &mut changes, &mut free)? {
                    End::Log => {}
                    End::Turn { sequence, change } => queue.push(Reverse(NextStep {
                        change,
                        log: next.log,
                        step: Step::Entry { sequence },
                    })),
                    End::Full => {
                        changes.more = true;
                        break;
                    }
                }
            }
        }
    }
    if changes.more {
        changes.cursor = free.cursor;
    }
    Ok(changes)
}

/// The free space of the result, and the change up to which it is complete.
struct FreeSpace {
    entries: usize,
    bytes: usize,
    cursor: u64,
}

/// Why a run over a log's entries ended.
enum End {
    /// The log has no more entries.
    Log,
    /// An entry of another log comes before this one.
    Turn { sequence: u64, change: u64 },
    /// The result is full.
    Full,
}

/// Takes a log's entries from `sequence` up to the change `before`, with one query.
fn run(
    db: &Connection,
    head: &Head,
    sequence: u64,
    before: u64,
    changes: &mut Changes,
    free: &mut FreeSpace,
) -> rusqlite::Result<End> {
    let mut statement = db.prepare_cached(concat!(
        "SELECT ",
        entry_columns!(),
        " WHERE e.log = ?1 AND e.sequence >= ?2 ORDER BY e.sequence"
    ))?;
    let mut rows = statement.query(params![head.id, sql(sequence)])?;
    while let Some(row) = rows.next()? {
        let entry = entry(row)?;
        let (sequence, change, size) = (entry.sequence, entry.change, entry.content.len());
        if change > before {
            return Ok(End::Turn { sequence, change });
        }
        if (free.entries == 0 || size > free.bytes) && !changes.entries.is_empty() {
            return Ok(End::Full);
        }
        free.entries = free.entries.saturating_sub(1);
        free.bytes = free.bytes.saturating_sub(size);
        free.cursor = change;
        changes.entries.push(ChangeEntry { log: head.key, entry });
    }
    Ok(End::Log)
}

/// The user's logs with entries after the cursor, and the sequence after which the user may read each.
fn changed_logs(db: &Connection, user: i64, cursor: u64) -> rusqlite::Result<Vec<(Head, u64)>> {
    let mut statement = db.prepare_cached(concat!(
        "SELECT ",
        head_columns!(),
        ", p.joined_at FROM personal p CROSS JOIN logs l ON l.id = p.log
         WHERE p.user = ?1 AND l.change > ?2 AND (l.kind NOT IN (?3, ?4) OR p.role IS NOT NULL)"
    ))?;
    let rows = statement.query_map(params![user, sql(cursor), KIND_GROUP, KIND_DISMISSED], |row| {
        Ok((Head::from_row(row)?, unsigned(row, HEAD_COLUMNS)?))
    })?;
    rows.collect()
}

/// The gap of a log, if the cursor is before or in it, and the first entry after the cursor.
fn first_steps(
    db: &Connection,
    log: usize,
    head: &Head,
    joined_at: u64,
    cursor: u64,
) -> rusqlite::Result<impl Iterator<Item = NextStep> + use<>> {
    let from = joined_at + 1;
    let lost = head.purged_change > cursor && from < head.first_kept;
    let gap = lost.then(|| {
        let step = Step::Gap {
            from,
            to: head.first_kept - 1,
        };
        NextStep {
            change: head.purged_change,
            log,
            step,
        }
    });
    let sequence = first_after(db, head, from.max(head.first_kept), cursor)?;
    Ok(gap.into_iter().chain(step_at(db, log, head, sequence)?))
}

fn step_at(db: &Connection, log: usize, head: &Head, sequence: u64) -> rusqlite::Result<Option<NextStep>> {
    let change = if sequence > head.sequence {
        None
    } else {
        change_at(db, head, sequence)?
    };
    Ok(change.map(|change| NextStep {
        change,
        log,
        step: Step::Entry { sequence },
    }))
}

fn change_at(db: &Connection, head: &Head, sequence: u64) -> rusqlite::Result<Option<u64>> {
    if sequence == head.sequence {
        return Ok(Some(head.change)); // also for an entry that is purged: the caller finds nothing there
    }
    db.prepare_cached("SELECT change FROM entries WHERE log = ?1 AND sequence = ?2")?
        .query_row([head.id, sql(sequence)], |row| unsigned(row, 0))
        .optional()
}

/// The smallest sequence, at least `from`, whose change is greater than `cursor`; one past the head if there is none.
fn first_after(db: &Connection, head: &Head, from: u64, cursor: u64) -> rusqlite::Result<u64> {
    let is_new =
        |sequence| change_at(db, head, sequence).map(|change| change.is_some_and(|change| change > cursor));
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
