//! The result of a run, as text, JSON and Markdown.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

/// The result of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The hub, or the SDK, does what the row asks for.
    Pass,
    /// It does something else.
    Fail,
    /// The row asks for nothing that this target could do, or cannot be decided on it.
    NotApplicable,
    /// What the row asks for does not exist yet.
    NotBuilt,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: [Self; 4] = [Self::Pass, Self::Fail, Self::NotApplicable, Self::NotBuilt];
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::NotApplicable => "not applicable",
            Self::NotBuilt => "not built yet",
        })
    }
}

/// A row, its outcome and the reason.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RowReport {
    /// The id: the letter S and the number.
    pub row: String,
    /// The chapter of `docs/requirements.md`.
    pub chapter: &'static str,
    /// What the manual asks for.
    pub asks: &'static str,
    /// The outcome.
    pub outcome: Outcome,
    /// What was shown, what went wrong, or what is missing.
    pub reason: String,
    /// How long the check took.
    #[serde(rename = "milliseconds", serialize_with = "milliseconds")]
    pub took: Duration,
}

fn milliseconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// The result of a run.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The rows that were selected, in their order.
    pub rows: Vec<RowReport>,
    /// How long the run took.
    #[serde(rename = "milliseconds", serialize_with = "milliseconds")]
    pub took: Duration,
}

impl Report {
    /// The number of rows with this outcome.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        self.rows.iter().filter(|row| row.outcome == outcome).count()
    }

    /// The rows with this outcome.
    pub fn with_outcome(&self, outcome: Outcome) -> impl Iterator<Item = &RowReport> {
        self.rows.iter().filter(move |row| row.outcome == outcome)
    }

    /// Whether no row failed.
    #[must_use]
    pub fn is_conforming(&self) -> bool {
        self.count(Outcome::Fail) == 0
    }

    /// The counts on one line: `170 pass, 0 fail, 6 not applicable, 40 not built yet`.
    #[must_use]
    pub fn summary(&self) -> String {
        let counts = Outcome::ALL.map(|outcome| format!("{} {outcome}", self.count(outcome)));
        counts.join(", ")
    }

    /// The report as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings, numbers and enumerations always serialize.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// The report as a Markdown page, without times, which differ from run to run.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut page = format!("{}.\n", self.summary());
        let mut chapter = "";
        for row in &self.rows {
            if row.chapter != chapter {
                chapter = row.chapter;
                page += &format!(
                    "\n## {chapter}\n\n| row | what is asked | outcome | reason |\n|---|---|---|---|\n"
                );
            }
            page += &format!(
                "| {} | {} | {} | {} |\n",
                row.row,
                row.asks,
                row.outcome,
                cell(&row.reason)
            );
        }
        page
    }
}

/// Text that stays in its cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

/// One line for a row, and the summary.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut chapter = "";
        for row in &self.rows {
            if row.chapter != chapter {
                chapter = row.chapter;
                writeln!(f, "{chapter}")?;
            }
            writeln!(
                f,
                "  {:<5} {:<14}  {}: {}",
                row.row, row.outcome, row.asks, row.reason
            )?;
        }
        writeln!(f, "{}, in {:.1} s", self.summary(), self.took.as_secs_f64())
    }
}
