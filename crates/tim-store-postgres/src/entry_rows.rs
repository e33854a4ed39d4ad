//! The entries of a log, a few at a time: nobody knows how many of them will be taken.

use super::db::{self, Connection, Row, Rows};
use super::rows::{entries_columns, rows, sql, unsigned};
use super::value::params;

/// The most entries of a query. Each may have a mebibyte.
const MOST: usize = 32;

/// In which direction entries are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Forward,
    Back,
}

/// Entries in their order, as they are asked for.
pub(super) struct EntryRows<'a> {
    db: &'a Connection,
    log: i64,
    order: Order,
    /// Between which sequences those lie that were not read, both included.
    left: (i64, i64),
    limit: usize,
    rows: Option<Rows>,
    /// How many of the rows are left.
    count: usize,
}

impl<'a> EntryRows<'a> {
    /// Those from this sequence on. About `wanted` of them will be taken.
    pub(super) const fn from(db: &'a Connection, log: i64, sequence: u64, wanted: usize) -> Self {
        Self::new(db, log, Order::Forward, (sql(sequence), i64::MAX), wanted)
    }

    /// Those with `after < sequence < below`, the newest first.
    pub(super) const fn below(
        db: &'a Connection,
        log: i64,
        (after, below): (u64, u64),
        wanted: usize,
    ) -> Self {
        let left = (sql(after).saturating_add(1), sql(below).saturating_sub(1));
        Self::new(db, log, Order::Back, left, wanted)
    }

    const fn new(db: &'a Connection, log: i64, order: Order, left: (i64, i64), wanted: usize) -> Self {
        let limit = if wanted < MOST { wanted + 1 } else { MOST };
        Self {
            db,
            log,
            order,
            left,
            limit,
            rows: None,
            count: 0,
        }
    }

    /// The next one.
    pub(super) fn next(&mut self) -> db::Result<Option<&Row>> {
        if self.count == 0 && !self.read()? {
            return Ok(None);
        }
        self.count -= 1;
        self.rows.as_mut().map_or(Ok(None), Rows::next)
    }

    /// Reads the next few. Whether there are any.
    fn read(&mut self) -> db::Result<bool> {
        let is_last = self.rows.as_ref().is_some_and(|rows| rows.len() < self.limit);
        if is_last || self.left.0 > self.left.1 {
            return Ok(false);
        }
        let text = match self.order {
            Order::Forward => concat!(
                "SELECT ",
                entries_columns!(),
                " WHERE e.log = ?1 AND e.sequence >= ?2 AND e.sequence <= ?3 ORDER BY e.sequence LIMIT ?4"
            ),
            Order::Back => concat!(
                "SELECT ",
                entries_columns!(),
                " WHERE e.log = ?1 AND e.sequence >= ?2 AND e.sequence <= ?3 ORDER BY e.sequence DESC LIMIT ?4"
            ),
        };
        let (from, to) = self.left;
        let rows = self
            .db
            .statement(text)?
            .query(params![self.log, from, to, rows(self.limit)])?;
        let last = rows.last().map(|row| unsigned(row, 0)).transpose()?;
        match (last, self.order) {
            (None, _) => self.left = (1, 0),
            (Some(last), Order::Forward) => self.left.0 = sql(last).saturating_add(1),
            (Some(last), Order::Back) => self.left.1 = sql(last).saturating_sub(1),
        }
        self.count = rows.len();
        let is_any = self.count > 0;
        self.rows = Some(rows);
        Ok(is_any)
    }
}
