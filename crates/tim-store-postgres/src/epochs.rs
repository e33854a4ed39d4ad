//! The epochs of the store. Besides making cursors, the newest one detects a second writer on the database.

use super::db::{self, Connection};
use super::value::params;
use tim_store::{Epoch, Epochs};

use super::rows::{sql, unsigned};

/// The number of epochs that are kept. A cursor of an older one counts as one of a lost store, and its device gets a gap.
const MAX_EPOCHS: u32 = 1_000;

/// The epochs in the database. The last one goes on.
pub(super) fn shared(db: &Connection) -> db::Result<Epochs> {
    let mut known = all(db)?;
    let current = known.pop().ok_or(db::Error::NoRow)?;
    Ok(Epochs::new(known, current))
}

fn all(db: &Connection) -> db::Result<Vec<Epoch>> {
    let statement = db.statement("SELECT id, first FROM epochs ORDER BY id")?;
    let known = statement.query_map(params![], |row| {
        Ok(Epoch {
            id: unsigned(row, 0)?,
            first: unsigned(row, 1)?,
        })
    })?;
    known.collect()
}

/// The epochs in the database, and a new one that begins now. The new one is written with its first change; an opening that
/// changes nothing leaves none. Without a random number, one is drawn.
pub(super) fn begin(db: &Connection, now_ms: u64, random: Option<u64>) -> db::Result<Epochs> {
    let known = all(db)?;
    let (head, drawn) = db
        .statement(
            "SELECT change, floor((random() - 0.5) * 18446744073709549568)::bigint FROM meta WHERE id = 0",
        )?
        .query_row(params![], |row| Ok((unsigned(row, 0)?, unsigned(row, 1)?)))?;
    let random = random.unwrap_or(drawn);
    let current = Epoch::begin(now_ms, random, known.last(), head);
    Ok(Epochs::new(known, current))
}

pub(super) fn insert(db: &Connection, epoch: &Epoch) -> db::Result<()> {
    db.statement("INSERT INTO epochs VALUES (?1, ?2)")?
        .run([sql(epoch.id), sql(epoch.first)])?;
    db.statement(
        "DELETE FROM epochs WHERE id <= (SELECT id FROM epochs ORDER BY id DESC LIMIT 1 OFFSET ?1)",
    )?
    .run(params![MAX_EPOCHS])?;
    db.statement("UPDATE meta SET epoch = ?1 WHERE id = 0")?
        .run([sql(epoch.id)])?;
    Ok(())
}

/// When the newest change was made.
pub(super) fn newest_time_ms(db: &Connection) -> db::Result<Option<u64>> {
    let time_ms = db
        .statement("SELECT time_ms FROM meta WHERE id = 0")?
        .query_row(params![], |row| unsigned(row, 0))?;
    Ok((time_ms > 0).then_some(time_ms))
}

/// The newest epoch that has written, as it is stored.
pub(super) fn newest(db: &Connection) -> db::Result<Option<i64>> {
    db.statement("SELECT epoch FROM meta WHERE id = 0")?
        .query_row(params![], |row| row.get(0))
}
