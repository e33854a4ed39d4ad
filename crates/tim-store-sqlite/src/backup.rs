//! A copy of the database while it is written to.
//!
//! What was acknowledged may be in the log only, so the generation in progress is committed first. From then on one snapshot of the
//! database has all of it, and the log adds nothing: the copy needs none. Pages are copied as they are, so that nothing
//! [is moved](super::contents) and what was overwritten stays so. Meanwhile the write-ahead log cannot begin anew, and grows.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use tim_store::{NotStored, StoreError};

use super::pool::Pool;
use super::shared::Shared;
use super::{DATABASE, lock, open_reader};

/// How many pages are copied at a time: 4 MiB. In between, the disk is the hub's.
const PAGES: i32 = 1_024;
const PAUSE: Duration = Duration::from_millis(2);

/// Copies the database into this directory, where there is none yet.
pub(super) fn copy(shared: &Shared, pool: &Pool, to: &Path) -> Result<(), StoreError> {
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        StoreError::NotStored(NotStored::Engine(format!("{what}: {error}")))
    };
    let source = {
        let mut turn = shared.database();
        match turn.database.as_mut() {
            Some(database) => database.end(shared)?,
            None => return Err(StoreError::Fatal("the store is closed".to_owned())),
        }
        // Before anything else is committed, though a later snapshot would be as good.
        snapshot(pool.path()).map_err(|error| failed("the database cannot be read", &error))?
    };
    let path = to.join(DATABASE);
    let mut target = Connection::open(&path).map_err(|error| failed("the copy cannot be made", &error))?;
    lock::keep_private(&path).map_err(|error| failed("the copy cannot be made", &error))?;
    let copied =
        copy_pages(&source, &mut target).map_err(|error| failed("the copy cannot be written", &error));
    copied.and_then(|()| {
        target
            .close()
            .map_err(|(_, error)| failed("the copy cannot be written", &error))
    })
}

/// A connection that reads the database as it is now, until it is closed.
fn snapshot(path: &Path) -> rusqlite::Result<Connection> {
    let source = open_reader(path)?;
    source.execute_batch("BEGIN")?;
    let _: u32 = source.query_row("SELECT count(*) FROM meta", [], |row| row.get(0))?;
    Ok(source)
}

fn copy_pages(source: &Connection, target: &mut Connection) -> rusqlite::Result<()> {
    target.execute_batch("PRAGMA synchronous=FULL; PRAGMA fullfsync=ON;")?;
    let backup = Backup::new(source, target)?;
    while backup.step(PAGES)? != StepResult::Done {
        std::thread::sleep(PAUSE);
    }
    Ok(())
}
