//! Checksums of rows, so that what a disk returns is what was written to it.
//!
//! SQLite notices a damaged structure, but not a changed byte inside a value. An entry is checked whenever it is read; so are the head
//! of a log and what decides what a user may see of it.

use std::error::Error;
use std::fmt;

use rusqlite::types::Type;
use tim_store::StoreError;

/// A checksum in progress.
#[derive(Debug, Default)]
pub(super) struct Sum(crc32fast::Hasher);

impl Sum {
    /// The checksum of numbers.
    pub(super) fn of(numbers: &[i64]) -> Self {
        let mut sum = Self::default();
        for number in numbers {
            sum.0.update(&number.to_le_bytes());
        }
        sum
    }

    /// With these bytes behind what came before.
    pub(super) fn with(mut self, bytes: &[u8]) -> u32 {
        self.0.update(bytes);
        self.0.finalize()
    }

    /// Of what came before.
    pub(super) fn finish(self) -> u32 {
        self.0.finalize()
    }
}

/// A damaged part of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damage {
    /// The log's id.
    pub(super) log: i64,
    /// The damaged entry; `None` for what is stored about the log as a whole. A negative log is that of a file.
    pub(super) sequence: Option<u64>,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sequence {
            Some(sequence) => write!(f, "entry {sequence} of log {}", self.log),
            None => write!(f, "what is stored about log {}", self.log),
        }
    }
}

impl Error for Damage {}

impl From<Damage> for rusqlite::Error {
    fn from(damage: Damage) -> Self {
        Self::FromSqlConversionFailure(0, Type::Null, Box::new(damage))
    }
}

impl Damage {
    pub(super) const fn of_log(log: i64) -> Self {
        Self { log, sequence: None }
    }

    /// Of what is stored about a file.
    pub(super) const fn of_file(file: i64) -> Self {
        Self::of_log(-file)
    }

    pub(super) const fn of_entry(log: i64, sequence: u64) -> Self {
        Self {
            log,
            sequence: Some(sequence),
        }
    }

    /// The damage that a read has found, if its error is one.
    pub(super) fn found(error: &rusqlite::Error) -> Option<Self> {
        match error {
            rusqlite::Error::FromSqlConversionFailure(_, _, cause) => cause.downcast_ref().copied(),
            _ => None,
        }
    }
}

/// The error of a read that found a value that cannot be there, if it is one. Names the log.
pub(super) fn damaged(db: &rusqlite::Connection, error: &rusqlite::Error) -> Option<StoreError> {
    use rusqlite::Error as E;
    if let Some(damage) = Damage::found(error) {
        if damage.log < 0 {
            return Some(StoreError::Damaged(format!(
                "what is stored about file {} is damaged",
                -damage.log
            )));
        }
        let name = super::rows::name_of(db, damage.log);
        return Some(StoreError::Damaged(match damage.sequence {
            Some(sequence) => format!("{name}: entry {sequence} is damaged"),
            None => format!("{name}: what is stored about it is damaged"),
        }));
    }
    let is_value = matches!(
        error,
        E::FromSqlConversionFailure(..)
            | E::InvalidColumnType(..)
            | E::IntegralValueOutOfRange(..)
            | E::Utf8Error(..)
    );
    is_value.then(|| StoreError::Damaged(error.to_string()))
}
