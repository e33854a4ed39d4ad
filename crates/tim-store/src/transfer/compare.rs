//! Whether the copy of a table is what was copied: both are read from the beginning, and counted and hashed.

use std::collections::VecDeque;

use sha2::{Digest as _, Sha256};

use super::copy::TableReport;
use super::tables::{Table, key_of};
use super::{Row, Rows, Source, Target, TransferError, Value};
use crate::StoreError;

/// How many findings are named.
const MAX_FINDINGS: usize = 100;

/// A comparison of two tables in progress.
pub(super) struct Comparison {
    table: &'static Table,
    source: Side,
    target: Side,
    findings: Vec<String>,
    differing: Vec<(i64, Option<Part>, Option<Part>)>,
    logs: u64,
}

/// One of the two.
struct Side {
    after: Option<Row>,
    is_read: bool,
    /// The part that is being read, and those that are read and not compared yet.
    part: Option<(i64, Hashed)>,
    parts: VecDeque<(i64, Part)>,
    all: Sha256,
    rows: u64,
}

#[derive(Default)]
struct Hashed {
    rows: u64,
    hash: Sha256,
}

/// The rows of a log, or of a whole table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    rows: u64,
    sha256: [u8; 32],
}

impl Comparison {
    pub(super) fn new(table: &'static Table) -> Self {
        Self {
            table,
            source: Side::new(),
            target: Side::new(),
            findings: Vec::new(),
            differing: Vec::new(),
            logs: 0,
        }
    }

    /// How many rows of the source were read.
    pub(super) const fn rows(&self) -> u64 {
        self.source.rows
    }

    /// How many logs were compared.
    pub(super) const fn logs(&self) -> u64 {
        self.logs
    }

    /// Reads on where less was read. Whether there is more to read.
    pub(super) fn step(&mut self, source: &impl Source, target: &impl Target) -> Result<bool, TransferError> {
        let is_source = match (self.source.is_read, self.target.is_read) {
            (true, true) => return Ok(false),
            (true, false) => false,
            (false, true) => true,
            (false, false) => self.source.after <= self.target.after,
        };
        match is_source {
            true => self
                .source
                .read(self.table, source)
                .map_err(TransferError::Source)?,
            false => self
                .target
                .read(self.table, target)
                .map_err(TransferError::Target)?,
        }
        self.settle();
        Ok(!(self.source.is_read && self.target.is_read))
    }

    /// Compares what both have read.
    fn settle(&mut self) {
        let is_over = self.source.is_read && self.target.is_read;
        loop {
            let heads = (self.source.parts.front(), self.target.parts.front());
            let (of_source, of_target) = match heads {
                (Some((a, _)), Some((b, _))) => (a <= b, b <= a),
                (Some(_), None) if is_over => (true, false),
                (None, Some(_)) if is_over => (false, true),
                _ => return,
            };
            let source = of_source.then(|| self.source.parts.pop_front()).flatten();
            let target = of_target.then(|| self.target.parts.pop_front()).flatten();
            let log = source.or(target).map_or(0, |(log, _)| log);
            let (source, target) = (source.map(|(_, part)| part), target.map(|(_, part)| part));
            if source != target && self.differing.len() < MAX_FINDINGS {
                self.differing.push((log, source, target));
            }
            self.logs += u64::from(self.table.is_by_log);
        }
    }

    /// What was found, when both are read.
    pub(super) fn finish(mut self, source: &impl Source) -> Result<TableReport, TransferError> {
        for (log, in_source, in_target) in &self.differing {
            let what = match self.table.is_by_log {
                true => source.log_name(*log),
                false => format!("table {}", self.table.name),
            };
            let text =
                |part: &Option<Part>| part.map_or_else(|| "no rows".to_owned(), |part| part.to_string());
            self.findings.push(format!(
                "{what}: {} in the source, {} in the copy",
                text(in_source),
                text(in_target)
            ));
        }
        match self.findings.is_empty() {
            true => Ok(TableReport {
                table: self.table.name,
                rows: self.source.rows,
                sha256: self.source.all.finalize().into(),
            }),
            false => Err(TransferError::Differs(self.findings)),
        }
    }
}

impl Side {
    fn new() -> Self {
        Self {
            after: None,
            is_read: false,
            part: None,
            parts: VecDeque::new(),
            all: Sha256::new(),
            rows: 0,
        }
    }

    fn read(&mut self, table: &Table, store: &impl Rows) -> Result<(), StoreError> {
        let rows = store.rows(table, self.after.as_deref(), table.page)?;
        for row in &rows {
            self.take(table, row);
        }
        match rows.last() {
            Some(last) => self.after = Some(key_of(table, last).to_vec()),
            None => {
                self.is_read = true;
                self.end_part();
            }
        }
        Ok(())
    }

    fn take(&mut self, table: &Table, row: &[Value]) {
        let log = match row.first() {
            Some(Value::Number(log)) if table.is_by_log => *log,
            _ => 0,
        };
        if self.part.as_ref().is_some_and(|(part, _)| *part != log) {
            self.end_part();
        }
        let (_, part) = self.part.get_or_insert_with(|| (log, Hashed::default()));
        let mut bytes = Vec::with_capacity(128);
        encode(row, &mut bytes);
        part.hash.update(&bytes);
        part.rows += 1;
        self.all.update(&bytes);
        self.rows += 1;
    }

    fn end_part(&mut self) {
        if let Some((log, hashed)) = self.part.take() {
            let part = Part {
                rows: hashed.rows,
                sha256: hashed.hash.finalize().into(),
            };
            self.parts.push_back((log, part));
        }
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} rows with the hash ", self.rows)?;
        self.sha256
            .iter()
            .take(8)
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A row as bytes: no two rows of a table have the same.
fn encode(row: &[Value], out: &mut Vec<u8>) {
    for value in row {
        match value {
            Value::Null => out.push(0),
            Value::Number(number) => {
                out.push(1);
                out.extend(number.to_le_bytes());
            }
            Value::Bytes(bytes) => {
                out.push(2);
                out.extend((bytes.len() as u64).to_le_bytes());
                out.extend(bytes);
            }
        }
    }
}
