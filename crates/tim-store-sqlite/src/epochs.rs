//! The epochs of the store. Besides making cursors, the newest one detects a second writer on the database.

use rusqlite::{Connection, OptionalExtension as _, params};
use tim_store::{Epoch, Epochs};

use super::rows::{sql, unsigned};

/// The number of epochs that are kept. A cursor of an older one counts as one of a lost store, and its device gets a gap.
const MAX_EPOCHS: u32 = 1_000;

/// The epochs in the database, and a new one that begins now. The new one is written with its first change; an opening that
/// changes nothing leaves none. Without a random number, one is drawn.
pub(super) fn begin(db: &Connection, now_ms: u64, random: Option<u64>) -> rusqlite::Result<Epochs> {
    let mut statement = db.prepare("SELECT id, first FROM epochs ORDER BY id")?;
    let known = statement.query_map([], |row| {
        Ok(Epoch {
            id: unsigned(row, 0)?,
            first: unsigned(row, 1)?,
        })
    })?;
    let known = known.collect::<rusqlite::Result<Vec<Epoch>>>()?;
    let (head, drawn) = db.query_row("SELECT change, random() FROM meta", [], |row| {
        Ok((unsigned(row, 0)?, unsigned(row, 1)?))
    })?;
    let random = random.unwrap_or(drawn);
    let current = Epoch::begin(now_ms, random, known.last(), head);
    Ok(Epochs::new(known, current))
}

/// The newest epoch in the database; `None` before the first change.
pub(super) fn newest(db: &Connection) -> rusqlite::Result<Option<Epoch>> {
    db.prepare_cached("SELECT id, first FROM epochs ORDER BY id DESC LIMIT 1")?
        .query_row([], |row| {
            Ok(Epoch {
                id: unsigned(row, 0)?,
                first: unsigned(row, 1)?,
            })
        })
        .optional()
}

pub(super) fn insert(db: &Connection, epoch: &Epoch) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO epochs VALUES (?1, ?2)")?
        .execute([sql(epoch.id), sql(epoch.first)])?;
    db.prepare_cached(
        "DELETE FROM epochs WHERE id <= (SELECT id FROM epochs ORDER BY id DESC LIMIT 1 OFFSET ?1)",
    )?
    .execute(params![MAX_EPOCHS])?;
    Ok(())
}

/// When the newest change was made.
pub(super) fn newest_time_ms(db: &Connection) -> rusqlite::Result<Option<u64>> {
    let time_ms = db
        .prepare_cached("SELECT time_ms FROM meta")?
        .query_row([], |row| unsigned(row, 0))?;
    Ok((time_ms > 0).then_some(time_ms))
}
