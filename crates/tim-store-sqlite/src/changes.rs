//! Catching up: the entries of all of a user's logs after one change, merged.
//!
//! Within a log, changes increase with the sequence, so the first new entry is found by searching backward from the head in
//! doubling steps over the primary key. No index on changes is needed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rusqlite::{Connection, params};
use tim_proto::UserId;
use tim_store::{ChangeEntry, Changes, ChangesRequest, Gap};
use tracing::warn;

use super::recent::few_logs;
use super::rows::{
    HEAD_COLUMNS, Head, Personal, Senders, check_entry, entries_columns, head_columns, personal_columns, sql,
    unsigned, user_id,
};
use super::sums::Damage;

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
    let logs = changed_logs(db, &request.user, user, request.cursor)?;
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
        entries_columns!(),
        " WHERE e.log = ?1 AND e.sequence >= ?2 ORDER BY e.sequence"
    ))?;
    let mut rows = statement.query(params![head.id, sql(sequence)])?;
    let mut senders = Senders::new(db);
    // What is missing or damaged is a gap in front of the next intact entry.
    let mut expected = sequence;
    while let Some(row) = rows.next()? {
        let Some(entry) = intact(senders.entry(row))? else {
            continue;
        };
        let (sequence, change, size) = (entry.sequence, entry.change, entry.content.len());
        if change > before {
            return Ok(End::Turn {
                sequence: expected,
                change,
            });
        }
        if (free.entries == 0 || size > free.bytes) && !changes.entries.is_empty() {
            return Ok(End::Full);
        }
        free.entries = free.entries.saturating_sub(1);
        free.bytes = free.bytes.saturating_sub(size);
        free.cursor = change;
        announce(head, expected, sequence - 1, changes);
        expected = sequence + 1;
        changes.entries.push(ChangeEntry { log: head.key, entry });
    }
    announce(head, expected, head.sequence, changes);
    Ok(End::Log)
}

/// `None` for a damaged entry.
fn intact<T>(entry: rusqlite::Result<T>) -> rusqlite::Result<Option<T>> {
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

/// The user's logs with entries after the cursor, and the sequence after which the user may read each.
fn changed_logs(
    db: &Connection,
    name: &UserId,
    user: i64,
    cursor: u64,
) -> rusqlite::Result<Vec<(Head, u64)>> {
    // Of the listed conversations the newest one that the cursor is not before may have grown since, too. What is missing beside a row
    // of `recent` is damage, not nothing new.
    let mut statement = db.prepare_cached(concat!(
        "SELECT ",
        head_columns!(),
        ", ",
        personal_columns!(),
        " FROM (SELECT log FROM recent WHERE user = ?1 AND listed = 1 AND change >= coalesce((
                    SELECT max(change) FROM recent WHERE user = ?1 AND listed = 1 AND change <= ?3), 0)
                UNION SELECT log FROM recent WHERE user = ?1 AND listed = 0 AND change > ?3
                UNION ALL ",
        few_logs!(),
        ") changed LEFT JOIN logs l ON l.id = changed.log LEFT JOIN personal p ON p.user = ?1 AND p.log = changed.log
         WHERE l.id IS NULL OR l.change > ?3"
    ))?;
    let rows = statement.query_map(params![user, name.as_str(), sql(cursor)], |row| {
        Ok((
            Head::from_row(row)?,
            Personal::from_row(row, HEAD_COLUMNS)?.joined_at,
        ))
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
        Some(change_from(db, head, sequence)?)
    };
    Ok(change.map(|change| NextStep {
        change,
        log,
        step: Step::Entry { sequence },
    }))
}

/// The change of the first intact entry from `sequence` on. So a damaged entry counts as new as long as the next one does, and its
/// loss is announced.
fn change_from(db: &Connection, head: &Head, sequence: u64) -> rusqlite::Result<u64> {
    if sequence >= head.sequence {
        return Ok(head.change);
    }
    let mut statement = db.prepare_cached(concat!(
        "SELECT ",
        entries_columns!(),
        " WHERE e.log = ?1 AND e.sequence >= ?2 ORDER BY e.sequence"
    ))?;
    let mut rows = statement.query(params![head.id, sql(sequence)])?;
    while let Some(row) = rows.next()? {
        if intact(check_entry(row))?.is_some() {
            return unsigned(row, 1);
        }
    }
    Ok(head.change)
}

/// The smallest sequence, at least `from`, whose change is greater than `cursor`; one past the head if there is none.
fn first_after(db: &Connection, head: &Head, from: u64, cursor: u64) -> rusqlite::Result<u64> {
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
