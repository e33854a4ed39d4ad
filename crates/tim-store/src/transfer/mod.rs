//! Copying a whole store from one engine into another.
//!
//! A [`Transfer`] copies all tables in the order of their keys, in steps that are durable each, so that one that was interrupted goes on
//! where it stopped. Then it reads both stores from the beginning and compares them: conversation by conversation for entries, table by
//! table for everything else. Ids, change numbers and epochs are kept: cursors of devices stay valid.

mod compare;
mod copy;
mod tables;

pub use copy::{Progress, Report, Stage, TableReport, Transfer};
pub use tables::{TABLES, Table};

use crate::StoreError;

/// The value of a column. Flags are 0 and 1, texts are bytes in UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Value {
    /// None.
    Null,
    /// A number; unsigned ones bit for bit.
    Number(i64),
    /// A text, or bytes.
    Bytes(Vec<u8>),
}

/// A row: the columns of its [`Table`], in that order.
pub type Row = Vec<Value>;

/// What tells a store, as it is now, from others and from what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// A random number that a store has for good.
    pub store: i64,
    /// It grows with everything that is written.
    pub generation: i64,
    /// The newest change.
    pub change: u64,
}

impl Identity {
    /// The store with this number, at this generation and change.
    #[must_use]
    pub const fn new(store: i64, generation: i64, change: u64) -> Self {
        Self {
            store,
            generation,
            change,
        }
    }
}

/// What a transfer can read rows from.
pub trait Rows {
    /// The rows with the smallest keys after this one, in the order of keys: at most so many, and fewer if they are long. None only if
    /// there are no more.
    ///
    /// # Errors
    /// As every read.
    fn rows(&self, table: &Table, after: Option<&[Value]>, most: usize) -> Result<Vec<Row>, StoreError>;
}

/// A store to copy from, to which nothing is written meanwhile.
pub trait Source: Rows {
    /// Which store it is.
    fn identity(&self) -> Identity;

    /// How many rows a table has.
    ///
    /// # Errors
    /// As every read.
    fn count(&self, table: &Table) -> Result<u64, StoreError>;

    /// The name of the log with this id, for people.
    fn log_name(&self, id: i64) -> String;
}

/// A store to copy into. No hub uses it until the transfer is complete.
pub trait Target: Rows {
    /// Begins a transfer from this store, or goes on with one.
    ///
    /// # Errors
    /// [`TransferError::NotEmpty`], [`TransferError::OtherSource`], [`TransferError::SourceChanged`], or an error of the store.
    fn begin(&mut self, source: &Identity) -> Result<Begun, TransferError>;

    /// The greatest key of a table, up to which everything is copied.
    ///
    /// # Errors
    /// As every read.
    fn newest_key(&self, table: &Table) -> Result<Option<Row>, StoreError>;

    /// Adds rows with greater keys: all of them, durably, or none.
    ///
    /// # Errors
    /// Whatever it is, a transfer that is begun again goes on rightly.
    fn insert(&mut self, table: &Table, rows: &[Row]) -> Result<(), StoreError>;

    /// Everything is there: hubs may use the store from now on.
    ///
    /// # Errors
    /// As [`Target::insert`].
    fn finish(&mut self) -> Result<(), StoreError>;
}

/// How a transfer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Begun {
    /// With an empty store.
    Fresh,
    /// With what one that was interrupted has copied.
    Resumed,
    /// It was completed before.
    Complete,
}

/// Why a transfer ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// There are rows in the target that no transfer has made.
    #[error("the target is not empty: choose another one, or remove what is there")]
    NotEmpty,
    /// The target has a transfer from another store.
    #[error(
        "the target has what was copied from another store: choose another target, or remove what is there"
    )]
    OtherSource,
    /// A hub has used the source since the transfer began.
    #[error(
        "a hub has used the source since its copy was begun, so that the copy is of two states: remove the target, and begin anew"
    )]
    SourceChanged,
    /// The source cannot be read.
    #[error("the source: {0}")]
    Source(StoreError),
    /// The target cannot be read or written.
    #[error("the target: {0}")]
    Target(StoreError),
    /// The copy differs from the source. At most a hundred findings.
    #[error("the copy is not what was copied: {}", .0.join("; "))]
    Differs(Vec<String>),
}
