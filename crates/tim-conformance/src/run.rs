//! Runs the checks: concurrently, each with its own deadline.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::check::Stop;
use crate::lab::Lab;
use crate::report::{Outcome, Report, RowReport};
use crate::row::{Row, rows};
use crate::target::Target;

/// Which rows to run, and how.
#[derive(Debug, Clone)]
pub struct Selection {
    /// Empty for all.
    rows: BTreeSet<u16>,
    concurrency: usize,
    deadline: Duration,
}

impl Selection {
    /// All rows, eight at a time, each with a deadline of 60 s.
    #[must_use]
    pub const fn all() -> Self {
        Self {
            rows: BTreeSet::new(),
            concurrency: 8,
            deadline: Duration::from_secs(60),
        }
    }

    /// The rows with these numbers; if there are none, all.
    ///
    /// # Errors
    /// [`UnknownRow`] if there is no such row.
    pub fn rows(numbers: impl IntoIterator<Item = u16>) -> Result<Self, UnknownRow> {
        let mut selection = Self::all();
        for number in numbers {
            if !rows().any(|(_, row)| row.number == number) {
                return Err(UnknownRow(format!("S{number}")));
            }
            selection.rows.insert(number);
        }
        Ok(selection)
    }

    /// How many checks run at the same time.
    #[must_use]
    pub const fn with_concurrency(mut self, checks: NonZeroUsize) -> Self {
        self.concurrency = checks.get();
        self
    }

    /// How long a check may take. A check that takes longer has failed.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    fn contains(&self, row: &Row) -> bool {
        self.rows.is_empty() || self.rows.contains(&row.number)
    }
}

impl Default for Selection {
    fn default() -> Self {
        Self::all()
    }
}

/// Row ids, separated by commas.
impl FromStr for Selection {
    type Err = UnknownRow;

    fn from_str(text: &str) -> Result<Self, UnknownRow> {
        let number = |id: &str| {
            let digits = id.trim().strip_prefix(['S', 's']);
            let number = digits.and_then(|digits| digits.parse().ok());
            number.ok_or_else(|| UnknownRow(id.trim().to_owned()))
        };
        let numbers: Vec<u16> = text.split(',').map(number).collect::<Result<_, _>>()?;
        Self::rows(numbers)
    }
}

/// There is no such row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownRow(String);

impl fmt::Display for UnknownRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no row {:?}; rows are S1 to S220", self.0)
    }
}

impl std::error::Error for UnknownRow {}

/// Runs the selected rows against a hub. Must be called on a tokio runtime whose time is enabled.
///
/// Every check makes users and groups of its own, with random ids, and removes what it can when it is done.
pub async fn run(target: &Target, selection: &Selection) -> Report {
    let began = Instant::now();
    let permits = Arc::new(Semaphore::new(selection.concurrency));
    let mut running = JoinSet::new();
    let selected = rows().filter(|(_, row)| selection.contains(row));
    for (at, (chapter, row)) in selected.enumerate() {
        let (target, permits, deadline) = (target.clone(), Arc::clone(&permits), selection.deadline);
        running.spawn(async move {
            // The semaphore is never closed.
            let _permit = permits.acquire().await;
            (at, run_row(target, chapter, row, deadline).await)
        });
    }
    let mut rows = Vec::new();
    while let Some(done) = running.join_next().await {
        rows.extend(done.ok());
    }
    rows.sort_by_key(|(at, _)| *at);
    Report {
        rows: rows.into_iter().map(|(_, row)| row).collect(),
        took: began.elapsed(),
    }
}

async fn run_row(target: Target, chapter: &'static str, row: &'static Row, deadline: Duration) -> RowReport {
    let began = Instant::now();
    // In a task of its own, so that a check that panics fails and the others go on.
    let check = tokio::spawn(async move {
        let lab = Lab::new(target, row.number)?;
        let verdict = tokio::time::timeout(deadline, (row.check)(&lab)).await;
        lab.clean_up().await;
        verdict.unwrap_or_else(|_| {
            let seconds = deadline.as_secs_f64();
            Err(Stop::Fail(format!("not decided after {seconds} s")))
        })
    });
    let verdict = check
        .await
        .unwrap_or_else(|error| Err(Stop::Fail(format!("the check itself failed: {error}"))));
    let (outcome, reason) = match verdict {
        Ok(reason) => (Outcome::Pass, reason),
        Err(Stop::Fail(reason)) => (Outcome::Fail, reason),
        Err(Stop::NotApplicable(reason)) => (Outcome::NotApplicable, reason),
        Err(Stop::NotBuilt(reason)) => (Outcome::NotBuilt, reason),
    };
    RowReport {
        row: format!("S{}", row.number),
        chapter,
        asks: row.asks,
        outcome,
        reason,
        took: began.elapsed(),
    }
}
