//! What is stored and cannot be: rows that are missing beside others, values that are none. PostgreSQL's own checksums tell of pages that a
//! disk has changed.

use std::fmt;

use tim_store::StoreError;

use super::db::{Connection, Error};

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
    pub(super) const fn found(error: &Error) -> Option<Self> {
        match error {
            Error::Damaged(damage) => Some(*damage),
            _ => None,
        }
    }
}

/// The error of a read that found a value that cannot be there, if it is one. Names the log.
pub(super) fn damaged(db: &Connection, error: &Error) -> Option<StoreError> {
    let text = match error {
        Error::Damaged(damage) if damage.log < 0 => {
            format!("what is stored about file {} is damaged", -damage.log)
        }
        Error::Damaged(damage) => {
            let name = super::rows::name_of(db, damage.log);
            match damage.sequence {
                Some(sequence) => format!("{name}: entry {sequence} is damaged"),
                None => format!("{name}: what is stored about it is damaged"),
            }
        }
        Error::Value(..) | Error::NoRow => error.to_string(),
        Error::Server(_) | Error::Lost(_) => return None,
    };
    Some(StoreError::Damaged(text))
}
