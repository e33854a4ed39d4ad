//! The store's conformance suite on the embedded engine, and what only that engine promises.

mod store_suite;

use std::fs;
use std::sync::Arc;

use store_suite::{Engine, Opened};
use tim_hub::store::sqlite::{self, OpenError};

/// A data directory of its own for each test.
struct Sqlite(tempfile::TempDir);

impl Sqlite {
    fn fresh() -> Box<dyn Engine> {
        Box::new(Self(tempfile::tempdir().unwrap()))
    }
}

impl Engine for Sqlite {
    fn open(&self) -> Opened {
        let (writer, reader) = sqlite::open(self.0.path()).unwrap();
        Opened {
            writer: Box::new(writer),
            reader: Arc::new(reader),
        }
    }
}

store_suite::suite!(Sqlite::fresh);

#[test]
fn the_linked_sqlite_is_safe() {
    assert!(
        rusqlite::version_number() >= sqlite::OLDEST_SQLITE,
        "{}",
        rusqlite::version()
    );
}

#[test]
fn a_second_hub_is_kept_out_and_told_why() {
    let dir = tempfile::tempdir().unwrap();
    let first = sqlite::open(dir.path()).unwrap();
    let refused = sqlite::open(dir.path()).unwrap_err();
    assert!(matches!(refused, OpenError::InUse { pid: Some(pid), .. } if pid == std::process::id()));
    assert!(refused.to_string().contains("in use by another hub"), "{refused}");
    let (writer, reader) = first;
    drop(writer);
    assert!(
        sqlite::open(dir.path()).is_err(),
        "a reader holds the directory too"
    );
    drop(reader);
    assert!(sqlite::open(dir.path()).is_ok(), "free again");
}

#[test]
fn a_newer_schema_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(sqlite::open(dir.path()).unwrap());
    let database = rusqlite::Connection::open(dir.path().join("tim.sqlite3")).unwrap();
    database.execute_batch("PRAGMA user_version = 1000").unwrap();
    drop(database);
    let refused = sqlite::open(dir.path()).unwrap_err();
    assert!(
        matches!(refused, OpenError::NewerSchema { found: 1000, .. }),
        "{refused}"
    );
}

#[test]
fn a_file_that_is_no_database_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("tim.sqlite3"), vec![7; 8192]).unwrap();
    assert!(sqlite::open(dir.path()).is_err());
}
