//! The hubs that share a schema: who they are, and which of them are still there.

use tim_store::Epoch;

use super::OpenError;
use super::db::{self, Connection};
use super::epochs;
use super::rows::{sql, unsigned};
use super::session::{Held, Place, open_error, take_shared_lock};
use super::turns::Turn;
use super::value::params;
use super::{OpenOptions, schema};

/// After how long without a sign of life a hub counts as gone, in milliseconds. It must be longer than any pause of a hub that is well.
const GONE_MS: i64 = 60_000;
/// After how long without a sign of life of any hub a new epoch begins: longer than the database is out of reach, and hubs are started
/// anew meanwhile, while devices stay.
const OVER_MS: i64 = 3_600_000;

/// The clock of the database, Unix time in milliseconds.
macro_rules! now_ms {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    };
}

/// A hub that has come in.
pub(super) struct Member {
    pub(super) hub: u64,
    pub(super) held: Held,
    pub(super) epochs: tim_store::Epochs,
    pub(super) epoch: Epoch,
    pub(super) turn: Turn,
    pub(super) change: u64,
}

/// Comes in, beside the other hubs. The first one begins an epoch, which the others share.
pub(super) fn join(
    db: &Connection,
    place: &Place,
    options: &OpenOptions,
    now_ms: u64,
) -> Result<Member, OpenError> {
    let context = |error| open_error(error, &place.schema);
    let held = take_shared_lock(db, place, true)?;
    schema::migrate(db, &place.schema)?;
    // Others may be here whose sessions are lost just now.
    let is_first = held.is_alone && living(db, OVER_MS).map_err(context)?.is_empty();
    if is_first {
        db.batch("BEGIN; DELETE FROM hubs; DELETE FROM turns; UPDATE meta SET hubs = 0; COMMIT")
            .map_err(context)?;
    }
    let epochs = match is_first {
        true => {
            let begun = epochs::begin(db, now_ms, options.random).map_err(context)?;
            if let Some(epoch) = begun.current() {
                let inserted = db.batch("BEGIN").and_then(|()| epochs::insert(db, &epoch));
                inserted
                    .and_then(|()| db.settle())
                    .and_then(|()| db.batch("COMMIT"))
                    .map_err(context)?;
            }
            begun
        }
        false => epochs::shared(db).map_err(context)?,
    };
    let epoch = epochs
        .current()
        .ok_or_else(|| OpenError::Engine("no epoch has begun".to_owned()))?;
    let hub = draw(db).map_err(context)?;
    let (number, change) = register(db, hub, None).map_err(context)?;
    held.share(db).map_err(context)?;
    Ok(Member {
        hub,
        held,
        epochs,
        epoch,
        turn: Turn { number, made: None },
        change,
    })
}

/// A number that no other hub has, and that is greater than those of older ones.
fn draw(db: &Connection) -> db::Result<u64> {
    db.statement(concat!(
        "SELECT ",
        now_ms!(),
        " * 1024 + floor(random() * 1024)::bigint"
    ))?
    .query_row(params![], |row| unsigned(row, 0))
}

/// Writes down that a hub is there, from the current turn on. From then on all others write down what they commit. Returns the turn and
/// the newest change.
pub(super) fn register(db: &Connection, hub: u64, seen: Option<u64>) -> db::Result<(u64, u64)> {
    db.batch("BEGIN")?;
    let (turn, change) = db
        .statement("SELECT turn, change FROM meta WHERE id = 0 FOR UPDATE")?
        .query_row(params![], |row| Ok((unsigned(row, 0)?, unsigned(row, 1)?)))?;
    db.statement(concat!(
        "INSERT INTO hubs (id, seen, alive_ms) VALUES (?1, ?2, ",
        now_ms!(),
        ") ON CONFLICT (id) DO UPDATE SET seen = excluded.seen, alive_ms = excluded.alive_ms"
    ))?
    .execute(params![sql(hub), sql(seen.unwrap_or(turn))])?;
    remove_gone(db)?;
    db.batch("COMMIT")?;
    Ok((turn, change))
}

/// Removes the hubs that show no sign of life, and counts the others. Inside of a transaction that has the row of `meta`.
fn remove_gone(db: &Connection) -> db::Result<()> {
    db.statement(concat!("DELETE FROM hubs WHERE alive_ms < ", now_ms!(), " - ?1"))?
        .execute(params![GONE_MS])?;
    db.statement("UPDATE meta SET hubs = (SELECT count(*) FROM hubs) WHERE id = 0")?
        .execute(params![])?;
    Ok(())
}

/// A sign of life of a hub that has seen everything up to this turn. Turns that all have seen are removed. Returns the hubs that there are.
pub(super) fn beat(db: &Connection, hub: u64, seen: u64) -> db::Result<Vec<u64>> {
    let text = concat!(
        "UPDATE hubs SET seen = ?2, alive_ms = ",
        now_ms!(),
        " WHERE id = ?1"
    );
    let updated = db.statement(text)?.execute(params![sql(hub), sql(seen)])?;
    if updated == 0 {
        // The others took it for gone.
        register(db, hub, Some(seen))?;
    }
    let is_any_gone: bool = db
        .statement(concat!(
            "SELECT EXISTS (SELECT 1 FROM hubs WHERE alive_ms < ",
            now_ms!(),
            " - ?1)"
        ))?
        .query_row(params![GONE_MS], |row| row.get(0))?;
    if is_any_gone {
        db.batch("BEGIN; SELECT 1 FROM meta WHERE id = 0 FOR UPDATE")?;
        remove_gone(db)?;
        db.batch("COMMIT")?;
    }
    db.statement("DELETE FROM turns WHERE turn < (SELECT min(seen) FROM hubs)")?
        .execute(params![])?;
    living(db, GONE_MS)
}

/// The hubs that have shown signs of life.
fn living(db: &Connection, within_ms: i64) -> db::Result<Vec<u64>> {
    db.statement(concat!(
        "SELECT id FROM hubs WHERE alive_ms >= ",
        now_ms!(),
        " - ?1 ORDER BY id"
    ))?
    .query_map(params![within_ms], |row| unsigned(row, 0))?
    .collect()
}

/// Begins an epoch that no hub has yet.
pub(super) fn begin_epoch(db: &Connection, now_ms: u64) -> db::Result<()> {
    db.batch("BEGIN; SELECT 1 FROM meta WHERE id = 0 FOR UPDATE")?;
    if let Some(epoch) = epochs::begin(db, now_ms, None)?.current() {
        epochs::insert(db, &epoch)?;
    }
    db.settle()?;
    db.batch("COMMIT")
}

/// Goes.
pub(super) fn leave(db: &Connection, hub: u64) -> db::Result<()> {
    db.batch("BEGIN; SELECT 1 FROM meta WHERE id = 0 FOR UPDATE")?;
    db.statement("DELETE FROM hubs WHERE id = ?1")?
        .execute(params![sql(hub)])?;
    remove_gone(db)?;
    db.batch("COMMIT")
}
