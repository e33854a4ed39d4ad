//! Checking a whole store: its structure, what is stored about each log, and the checksum of every entry.

use std::collections::HashMap;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rusqlite::{Connection, params};
use tim_store::Quota;

use super::recent::{is_listed, unread_of_row};
use super::rows::{Head, Senders, entries_columns, head_columns, name_of, personal_sum, sql, unsigned};
use super::sums::Damage;
use super::{DATABASE, OpenError, database, files, lock, look_at_files, open_reader};

/// The tables without which nothing else can be trusted. They are small.
const SMALL: [&str; 14] = [
    "meta",
    "epochs",
    "users",
    "logs",
    "personal",
    "recent",
    "groups",
    "requests",
    "restrictions",
    "mentions",
    "fields",
    "contacts",
    "push_tokens",
    "push_users",
];
/// The tables with a row for each message.
const LARGE: [&str; 6] = ["revoked", "entries", "contents", "sent", "files", "uses"];
/// How many findings a report lists.
const MAX_FINDINGS: usize = 100;
/// After so many steps of SQLite's machine the clock is read.
const STEPS: i32 = 10_000;

/// What a check has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// How many conversations were checked.
    pub conversations: u64,
    /// How many entries were checked.
    pub entries: u64,
    /// Damage to the structure, or to what is stored about users, conversations and groups: the store cannot be used. At most 100.
    pub broken: Vec<String>,
    /// Damaged entries: all others can be read. At most 100.
    pub damaged: Vec<DamagedEntries>,
    /// Users whose stored bytes or conversations are miscounted, which decides only when they may store no more. The next opening
    /// corrects it. At most 100. Bytes are compared only if no entries are damaged.
    pub miscounted: Vec<String>,
    /// Files of which what is stored is damaged: they cannot be read or sent. All others can. At most 100.
    pub damaged_files: Vec<String>,
    /// How many files are taken for used or unused wrongly. No file that is used is ever removed. The next opening corrects it.
    pub misjudged_files: u64,
    /// Whether the check has ended before everything was checked.
    pub is_partial: bool,
    /// How many batches are in `tim.log` only: those that a killed hub had stored last. The next one takes them over when it starts,
    /// and they are not checked before.
    pub batches_in_log: u64,
    /// Whether a hub is running on the store: what it has stored last may be in `tim.log` only, which was not looked at then.
    pub is_in_use: bool,
}

impl Report {
    /// Whether nothing is damaged.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.broken.is_empty()
            && self.damaged.is_empty()
            && self.miscounted.is_empty()
            && self.damaged_files.is_empty()
            && self.misjudged_files == 0
    }

    fn broken(&mut self, what: String) {
        if self.broken.len() < MAX_FINDINGS {
            self.broken.push(what);
        }
    }

    fn damaged(&mut self, conversation: String, from: u64, to: u64) {
        if let Some(last) = self.damaged.last_mut()
            && last.conversation == conversation
            && last.to + 1 == from
        {
            last.to = to;
        } else if self.damaged.len() < MAX_FINDINGS {
            self.damaged.push(DamagedEntries {
                conversation,
                from,
                to,
            });
        }
    }
}

/// A range of damaged or missing entries.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DamagedEntries {
    /// The conversation: `C2Calice+bob`, `GROUPcrew` or `@TIM#SYSTEM+alice`.
    pub conversation: String,
    /// The first sequence.
    pub from: u64,
    /// The last sequence.
    pub to: u64,
}

impl fmt::Display for DamagedEntries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.from == self.to {
            true => write!(f, "{}: entry {} is damaged", self.conversation, self.from),
            false => write!(
                f,
                "{}: entries {} to {} are damaged",
                self.conversation, self.from, self.to
            ),
        }
    }
}

/// Checks the store in a directory and changes nothing. A hub may be using it.
///
/// # Errors
/// [`OpenError`] if there is no store, or it cannot be read at all.
pub fn check(dir: &Path) -> Result<Report, OpenError> {
    let path = dir.join(DATABASE);
    let io = |path: PathBuf| move |error| OpenError::Io { path, error };
    // The files of a running hub change while one looks at them.
    let is_running = lock::is_held(dir).map_err(io(dir.to_owned()))?;
    if !is_running && look_at_files(&path)? {
        return Err(io(path)(ErrorKind::NotFound.into()));
    }
    let in_file = |error| OpenError::from(error).in_file(&path);
    let mut connection = open_reader(&path).map_err(in_file)?;
    // One snapshot for all of it.
    connection.execute_batch("BEGIN").map_err(in_file)?;
    let mut report = run(&mut connection, None);
    report.is_in_use = is_running;
    if !is_running && report.broken.is_empty() {
        let was_killed = lock::was_killed(dir).map_err(io(dir.to_owned()))?;
        report.batches_in_log = database::blocks_in_log(&connection, dir, was_killed)
            .map_err(|error| error.in_file(&path))?
            .len() as u64;
    }
    Ok(report)
}

/// Names the files of the store in a directory and changes nothing, as [`check`] does. Damaged ones are left out.
///
/// # Errors
/// As [`check`].
pub fn files_in(dir: &Path, mut each: impl FnMut(&tim_store::File)) -> Result<(), OpenError> {
    let path = dir.join(DATABASE);
    let in_file = |error| OpenError::from(error).in_file(&path);
    let connection = open_reader(&path).map_err(in_file)?;
    files::each(&connection, |found| {
        if let Ok(file) = found {
            each(file);
        }
    })
    .map_err(in_file)
}

/// Checks a snapshot, until the deadline. What matters most comes first.
pub(super) fn run(db: &mut Connection, deadline: Option<Instant>) -> Report {
    let mut report = Report::default();
    if let Some(deadline) = deadline {
        let is_over = move || Instant::now() >= deadline;
        if let Err(error) = db.progress_handler(STEPS, Some(is_over)) {
            report.broken(error.to_string());
        }
    }
    let done = run_all(db, &mut report);
    let _ = db.progress_handler(0, None::<fn() -> bool>);
    if let Err(error) = done {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::OperationInterrupted) => report.is_partial = true,
            _ => report.broken(error.to_string()),
        }
    }
    report
}

fn run_all(db: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    if super::schema::statements(db)? != super::schema::expected()? {
        report.broken("the definitions of the tables are damaged".to_owned());
        return Ok(()); // what follows relies on them
    }
    for table in SMALL {
        structure(db, table, report)?;
    }
    heads(db, report)?;
    participants(db, report)?;
    recent(db, report)?;
    if !report.broken.is_empty() {
        return Ok(()); // what follows would be wrong
    }
    let bytes = entries(db, report)?;
    for table in LARGE {
        structure(db, table, report)?;
    }
    usage(db, &bytes, report)?;
    files::each(db, |found| {
        let Err(file) = found else { return };
        if report.damaged_files.len() < MAX_FINDINGS {
            report.damaged_files.push(file);
        }
    })?;
    report.misjudged_files = files::misjudged(db)?;
    Ok(())
}

/// SQLite's own check of a table and its indices.
fn structure(db: &Connection, table: &str, report: &mut Report) -> rusqlite::Result<()> {
    let mut statement = db.prepare(&format!("PRAGMA integrity_check({table})"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let found: String = row.get(0)?;
        if found != "ok" {
            report.broken(format!("table {table}: {found}"));
        }
    }
    Ok(())
}

/// What is stored about each log fits its newest and its oldest entry.
fn heads(db: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    let newest: u64 = db.query_row("SELECT change FROM meta", [], |row| unsigned(row, 0))?;
    let mut found_newest = 0;
    let mut statement = db.prepare(concat!("SELECT ", head_columns!(), " FROM logs l"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        report.conversations += 1;
        match Head::from_row(row) {
            Ok(head) => found_newest = head.change.max(found_newest),
            Err(error) => {
                let id: i64 = row.get(0)?;
                let _ = Damage::found(&error).ok_or(error)?;
                report.broken(format!("{}: what is stored about it is damaged", name_of(db, id)));
            }
        }
    }
    if found_newest != newest {
        report.broken(format!(
            "the newest change is {found_newest}, but the store counted {newest}"
        ));
    }
    Ok(())
}

/// The rows of users in logs, and how many there are.
fn participants(db: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    let mut statement = db.prepare("SELECT user, log, joined_ms, joined_at, sum FROM personal")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (user, log, kept): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(4)?);
        let sum = personal_sum(user, log, unsigned(row, 2)?, unsigned(row, 3)?);
        if i64::from(sum) != kept {
            report.broken(format!("{}: a participant's row is damaged", name_of(db, log)));
        }
    }
    // The members of an AVChatRoom (type 4) are not stored.
    let mut statement = db.prepare(
        "SELECT l.id FROM logs l LEFT JOIN groups g ON g.log = l.id
         WHERE coalesce(g.group_type, 0) <> 4 AND (SELECT count(*) FROM personal p WHERE p.log = l.id AND (l.kind <> 2 OR p.role IS NOT NULL))
             <> CASE l.kind WHEN 1 THEN 1 + (substr(l.name, 1, instr(l.name, char(10)) - 1)
                                              <> substr(l.name, instr(l.name, char(10)) + 1))
                            WHEN 2 THEN coalesce(g.member_count, -1)
                            WHEN 3 THEN 1 ELSE 0 END",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        report.broken(format!("{}: participants are missing", name_of(db, row.get(0)?)));
    }
    Ok(())
}

/// The order of one-to-one conversations, and what is unread in them.
fn recent(db: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    let wrong = |report: &mut Report, user: i64| {
        report.broken(format!(
            "user {user}: the order or the unread counts of conversations are damaged"
        ));
    };
    let mut statement = db.prepare(concat!(
        "SELECT r.user, r.listed, r.change, r.unread, l.change, l.last_change, ",
        is_listed!(),
        ", ",
        unread_of_row!(),
        " FROM recent r LEFT JOIN logs l ON l.id = r.log AND l.kind = 1
          LEFT JOIN personal p ON p.user = r.user AND p.log = r.log
         ORDER BY r.user, r.listed DESC, r.change DESC"
    ))?;
    let mut rows = statement.query([])?;
    // The row before this one, which is of a newer conversation.
    let mut newer: Option<(i64, bool, i64)> = None;
    while let Some(row) = rows.next()? {
        let (user, listed, change, unread): (i64, bool, i64, i64) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        let found: [Option<i64>; 4] = [row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?];
        let [Some(head), Some(last), Some(is_listed), Some(counted)] = found else {
            wrong(report, user);
            continue;
        };
        let above = newer.filter(|newer| (newer.0, newer.1) == (user, listed));
        let is_right = match listed {
            true => {
                is_listed == 1
                    && change <= last
                    && above.is_none_or(|(_, _, above)| last < above)
                    && unread == if above.is_some() { counted } else { 0 }
            }
            false => change == head && (is_listed == 0 || last < head) && unread == 0,
        };
        if !is_right {
            wrong(report, user);
        }
        newer = Some((user, listed, change));
    }
    // No conversation is in it twice, as the rows are right; so none is missing if there are as many as there must be.
    let mut statement = db.prepare(concat!(
        "SELECT u.id FROM users u LEFT JOIN (
             SELECT p.user, total(",
        is_listed!(),
        ") AS listed, total(l.sequence > 0 AND NOT (l.change = l.last_change AND ",
        is_listed!(),
        ")) AS other FROM personal p CROSS JOIN logs l ON l.id = p.log WHERE l.kind = 1 GROUP BY p.user
         ) due ON due.user = u.id LEFT JOIN (
             SELECT user, total(listed) AS listed, total(NOT listed) AS other, total(unread) AS unread FROM recent GROUP BY user
         ) kept ON kept.user = u.id
         WHERE (coalesce(due.listed, 0), coalesce(due.other, 0), u.unread)
             <> (coalesce(kept.listed, 0), coalesce(kept.other, 0), coalesce(kept.unread, 0))"
    ))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        wrong(report, row.get(0)?);
    }
    Ok(())
}

/// What accounts take up, as it was counted.
fn usage(db: &Connection, bytes: &HashMap<i64, u64>, report: &mut Report) -> rusqlite::Result<()> {
    let mut statement = db.prepare(
        "SELECT u.id, u.name, u.bytes, u.conversations = coalesce(begun.count, 0) FROM users u LEFT JOIN (
             SELECT begun_by, count(*) AS count FROM logs WHERE kind = 1 GROUP BY begun_by
         ) begun ON begun.begun_by = u.id WHERE u.id <> 0",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let found = bytes.get(&row.get(0)?).copied().unwrap_or_default();
        let is_right = row.get(3)? && (!report.damaged.is_empty() || unsigned(row, 2)? == found);
        if !is_right && report.miscounted.len() < MAX_FINDINGS {
            report.miscounted.push(row.get(1)?);
        }
    }
    Ok(())
}

/// Every entry, in order. Returns what they count for, by sender.
fn entries(db: &Connection, report: &mut Report) -> rusqlite::Result<HashMap<i64, u64>> {
    let mut logs = db.prepare(concat!("SELECT ", head_columns!(), " FROM logs l ORDER BY l.id"))?;
    let mut statement = db.prepare(concat!(
        "SELECT ",
        entries_columns!(),
        " WHERE e.log = ?1 AND e.sequence >= ?2 AND e.sequence <= ?3 ORDER BY e.sequence"
    ))?;
    let mut heads = logs.query([])?;
    let mut senders = Senders::new(db);
    let mut bytes = HashMap::new();
    while let Some(row) = heads.next()? {
        let head = Head::from_row(row)?;
        let mut expected = head.first_kept;
        let mut rows = statement.query(params![head.id, sql(head.first_kept), sql(head.sequence)])?;
        while let Some(row) = rows.next()? {
            let found = match senders.entry(row) {
                Ok(entry) => {
                    *bytes.entry(row.get(3)?).or_default() += Quota::cost(entry.flags, entry.content.len());
                    entry.sequence
                }
                Err(error) if Damage::found(&error).is_some() => continue,
                Err(error) => return Err(error),
            };
            report.entries += 1;
            if expected < found {
                report.damaged(head.key.to_string(), expected, found - 1);
            }
            expected = found + 1;
        }
        if expected <= head.sequence {
            report.damaged(head.key.to_string(), expected, head.sequence);
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_checked() {
        let dir = tempfile::tempdir().unwrap();
        drop(crate::open(dir.path()).unwrap());
        let db = open_reader(&dir.path().join(DATABASE)).unwrap();
        let mut statement = db
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
            .unwrap();
        let tables = statement.query_map([], |row| row.get(0)).unwrap();
        let mut checked = [&SMALL[..], &LARGE[..]].concat();
        checked.sort_unstable();
        assert_eq!(tables.collect::<Result<Vec<String>, _>>().unwrap(), checked);
    }
}
