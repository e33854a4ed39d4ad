//! The steps of a transfer.

use super::compare::Comparison;
use super::tables::{TABLES, Table, key_of};
use super::{Begun, Identity, Row, Source, Target, TransferError};

/// How many rows a step copies at most. The source returns fewer if they are long.
const STEP: usize = 4_000;

/// A transfer in progress.
pub struct Transfer<S, T> {
    source: S,
    target: T,
    begun: Begun,
    at: At,
    report: Report,
}

/// What is done next.
enum At {
    Copying {
        table: usize,
        /// Up to where the table is copied; `None` if nobody has looked.
        after: Option<Option<Row>>,
        done: u64,
    },
    Comparing {
        table: usize,
        comparison: Box<Comparison>,
    },
    Finished,
}

/// What a transfer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// It copies a table.
    Copying,
    /// It compares the copy of a table with the source.
    Comparing,
    /// It is complete.
    Finished,
}

/// How far a transfer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// What it does.
    pub stage: Stage,
    /// With which table; empty at the end.
    pub table: &'static str,
    /// How many rows of the table are done in this run.
    pub done: u64,
}

/// What was copied and compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The tables.
    pub tables: Vec<TableReport>,
    /// How many conversations have entries that were compared.
    pub conversations: u64,
}

/// A table that was compared.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableReport {
    /// Its name.
    pub table: &'static str,
    /// How many rows it has.
    pub rows: u64,
    /// The SHA-256 of all its rows, the same in both stores.
    pub sha256: [u8; 32],
}

impl<S: Source, T: Target> Transfer<S, T> {
    /// Begins a transfer, or goes on with one that was interrupted.
    ///
    /// # Errors
    /// As [`Target::begin`].
    pub fn begin(source: S, mut target: T) -> Result<Self, TransferError> {
        let begun = target.begin(&source.identity())?;
        let at = match begun {
            Begun::Complete => At::Finished,
            Begun::Fresh | Begun::Resumed => At::copying(0),
        };
        Ok(Self {
            source,
            target,
            begun,
            at,
            report: Report::default(),
        })
    }

    /// How it has begun.
    #[must_use]
    pub const fn begun(&self) -> Begun {
        self.begun
    }

    /// Which store is copied.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.source.identity()
    }

    /// What was compared so far.
    #[must_use]
    pub const fn report(&self) -> &Report {
        &self.report
    }

    /// How many rows a table has in the source.
    ///
    /// # Errors
    /// [`TransferError::Source`].
    pub fn count(&self, table: &Table) -> Result<u64, TransferError> {
        self.source.count(table).map_err(TransferError::Source)
    }

    /// Does a part of the work. After [`Stage::Finished`] there is nothing left to do.
    ///
    /// # Errors
    /// [`TransferError`]; what was copied stays, and another transfer goes on with it.
    pub fn step(&mut self) -> Result<Progress, TransferError> {
        match std::mem::replace(&mut self.at, At::Finished) {
            At::Copying { table, after, done } => self.copy(table, after, done),
            At::Comparing { table, comparison } => self.compare(table, comparison),
            At::Finished => Ok(FINISHED),
        }
    }

    fn copy(
        &mut self,
        number: usize,
        after: Option<Option<Row>>,
        done: u64,
    ) -> Result<Progress, TransferError> {
        let Some(table) = TABLES.get(number) else {
            return self.begin_comparing(0);
        };
        let after = match after {
            Some(after) => after,
            None => self.target.newest_key(table).map_err(TransferError::Target)?,
        };
        let rows = self.source.rows(table, after.as_deref(), STEP);
        let rows = rows.map_err(TransferError::Source)?;
        let Some(last) = rows.last() else {
            self.at = At::copying(number + 1);
            return Ok(progress(Stage::Copying, table, done));
        };
        let after = Some(Some(key_of(table, last).to_vec()));
        self.target.insert(table, &rows).map_err(TransferError::Target)?;
        let done = done + rows.len() as u64;
        self.at = At::Copying {
            table: number,
            after,
            done,
        };
        Ok(progress(Stage::Copying, table, done))
    }

    fn begin_comparing(&mut self, number: usize) -> Result<Progress, TransferError> {
        let Some(table) = TABLES.get(number) else {
            self.target.finish().map_err(TransferError::Target)?;
            return Ok(FINISHED);
        };
        self.at = At::Comparing {
            table: number,
            comparison: Box::new(Comparison::new(table)),
        };
        Ok(progress(Stage::Comparing, table, 0))
    }

    fn compare(&mut self, number: usize, mut comparison: Box<Comparison>) -> Result<Progress, TransferError> {
        let Some(table) = TABLES.get(number) else {
            return self.begin_comparing(number);
        };
        let is_more = comparison.step(&self.source, &self.target)?;
        let done = comparison.rows();
        if is_more {
            self.at = At::Comparing {
                table: number,
                comparison,
            };
            return Ok(progress(Stage::Comparing, table, done));
        }
        self.report.conversations += comparison.logs();
        self.report.tables.push(comparison.finish(&self.source)?);
        let begun = self.begin_comparing(number + 1)?;
        Ok(match begun.stage {
            Stage::Finished => begun,
            _ => progress(Stage::Comparing, table, done),
        })
    }
}

impl At {
    const fn copying(table: usize) -> Self {
        Self::Copying {
            table,
            after: None,
            done: 0,
        }
    }
}

const FINISHED: Progress = Progress {
    stage: Stage::Finished,
    table: "",
    done: 0,
};

const fn progress(stage: Stage, table: &Table, done: u64) -> Progress {
    Progress {
        stage,
        table: table.name,
        done,
    }
}

impl<S, T> std::fmt::Debug for Transfer<S, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transfer")
            .field("begun", &self.begun)
            .finish_non_exhaustive()
    }
}
