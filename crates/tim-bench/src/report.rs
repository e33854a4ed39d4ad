//! What was measured: lines for people as they come, or one JSON document at the end. The README describes the document.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tim_bench::{Latency, Machine};

use crate::Result;

/// The version of the document's shape. Keys are added without a new one; no key goes or changes its meaning.
const FORMAT: u32 = 1;

/// All measurements of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    format: u32,
    program: &'static str,
    build: &'static str,
    unix_time: u64,
    hub: String,
    machine: Machine,
    measurements: Vec<Measurement>,
    error: Option<String>,
    #[serde(skip)]
    is_json: bool,
}

#[derive(Debug, Serialize)]
struct Measurement {
    name: &'static str,
    /// The load average of the minute before.
    load: Option<f64>,
    parameters: BTreeMap<&'static str, u64>,
    figures: BTreeMap<String, Figure>,
}

/// One figure, under the key that it has in the document.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    #[serde(skip)]
    key: String,
    #[serde(skip)]
    label: String,
    value: Value,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// The value of a figure.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(untagged)]
pub(crate) enum Value {
    Count(u64),
    /// Shown with two decimals.
    Real(f64),
    /// Shown without decimals.
    Round(f64),
    /// It cannot be measured here; the note says why.
    Unknown,
}

/// A column of a [table](Report::table): its title, and the parameter or figure in it, or `load`.
pub(crate) struct Column(pub(crate) &'static str, pub(crate) &'static str);

impl Value {
    /// Milliseconds.
    pub(crate) fn millis(duration: Duration) -> Self {
        Self::Real(duration.as_secs_f64() * 1_000.0)
    }

    fn shown(self) -> String {
        match self {
            Self::Count(count) => count.to_string(),
            Self::Real(value) => format!("{value:.2}"),
            Self::Round(value) => format!("{value:.0}"),
            Self::Unknown => "unknown".to_owned(),
        }
    }
}

impl Figure {
    pub(crate) fn new(key: &str, label: &str, value: Value, unit: &'static str) -> Self {
        Self {
            key: key.to_owned(),
            label: label.to_owned(),
            value,
            unit,
            note: None,
        }
    }

    pub(crate) const fn is_unknown(&self) -> bool {
        matches!(self.value, Value::Unknown)
    }

    /// Adds a remark.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }
}

impl Report {
    /// The report of a run on this machine, on `hub`.
    pub(crate) fn new(is_json: bool, hub: String, machine: Machine) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            format: FORMAT,
            program: concat!("tim-bench ", env!("CARGO_PKG_VERSION")),
            build: if cfg!(debug_assertions) {
                "debug"
            } else {
                "release"
            },
            unix_time: since.unwrap_or_default().as_secs(),
            hub,
            machine,
            measurements: Vec::new(),
            error: None,
            is_json,
        }
    }

    /// Shows the machine.
    pub(crate) fn show_machine(&self) -> Result<()> {
        let machine = &self.machine;
        let mut parts = vec![match machine.cores {
            1 => "1 core".to_owned(),
            cores => format!("{cores} cores"),
        }];
        parts.extend(machine.processor.clone());
        parts.extend(machine.kernel.clone());
        parts.extend(machine.load.map(|load| format!("load {load}")));
        if let Some(on) = &machine.file_system {
            let memory = if on.is_memory() {
                ", in memory: nothing is durable there"
            } else {
                ""
            };
            parts.push(format!("data on {} ({}{memory})", on.kind, on.device));
        }
        self.line(&format!("machine: {}", parts.join(", ")))?;
        match self.build {
            "debug" => self.line("a debug build: no figure is worth quoting"),
            _ => Ok(()),
        }
    }

    /// Begins a measurement with these parameters: the figures that follow are its own.
    pub(crate) fn begin<const N: usize>(&mut self, name: &'static str, parameters: [(&'static str, u64); N]) {
        self.measurements.push(Measurement {
            name,
            load: tim_bench::load(),
            parameters: parameters.into(),
            figures: BTreeMap::new(),
        });
    }

    /// Adds a figure.
    pub(crate) fn add(&mut self, figure: Figure) -> Result<()> {
        let note = figure
            .note
            .as_ref()
            .map(|note| format!(" ({note})"))
            .unwrap_or_default();
        self.text(
            &figure.label,
            &figure.value.shown(),
            &format!("{}{note}", figure.unit),
        )?;
        self.add_unseen(figure);
        Ok(())
    }

    /// Adds a figure that a line of [`text`](Self::text) shows.
    pub(crate) fn add_unseen(&mut self, figure: Figure) {
        if let Some(current) = self.measurements.last_mut() {
            current.figures.insert(figure.key.clone(), figure);
        }
    }

    /// Adds the distribution of a latency, with keys that begin with `key` and labels that begin with `label`.
    pub(crate) fn add_latency(&mut self, key: &str, label: &str, latency: &Latency) -> Result<()> {
        for (name, shown, value) in [
            ("p50", "p50", latency.quantile(0.5)),
            ("p99", "p99", latency.quantile(0.99)),
            ("p999", "p99.9", latency.quantile(0.999)),
            ("max", "max", latency.max()),
        ] {
            self.add(Figure::new(
                &format!("{key}_{name}_ms"),
                &format!("{label}, {shown}"),
                Value::millis(value),
                "ms",
            ))?;
        }
        Ok(())
    }

    /// Prints the measurements of this name below each other, if there are several.
    pub(crate) fn table(&self, name: &str, columns: &[Column]) -> Result<()> {
        let rows: Vec<&Measurement> = self.measurements.iter().filter(|one| one.name == name).collect();
        if rows.len() < 2 {
            return Ok(());
        }
        let cell = |row: &Measurement, key: &str| match (row.parameters.get(key), row.figures.get(key)) {
            (Some(parameter), _) => parameter.to_string(),
            (None, Some(figure)) => figure.value.shown(),
            (None, None) if key == "load" => row.load.map_or_else(|| "?".to_owned(), |load| load.to_string()),
            (None, None) => "?".to_owned(),
        };
        let line = |cells: Vec<String>| {
            let widths = columns.iter().map(|Column(title, _)| title.len().max(7) + 2);
            let cells = cells
                .iter()
                .zip(widths)
                .map(|(cell, width)| format!("{cell:>width$}"));
            cells.collect::<String>()
        };
        self.line("")?;
        self.line(&line(
            columns
                .iter()
                .map(|Column(title, _)| (*title).to_owned())
                .collect(),
        ))?;
        for row in rows {
            self.line(&line(
                columns.iter().map(|Column(_, key)| cell(row, key)).collect(),
            ))?;
        }
        Ok(())
    }

    /// Prints a line that is not in the document.
    pub(crate) fn text(&self, label: &str, value: &str, unit: &str) -> Result<()> {
        self.line(format!("{label:<50} {value:>12} {unit}").trim_end())
    }

    fn line(&self, line: &str) -> Result<()> {
        match self.is_json {
            true => Ok(()),
            false => Ok(writeln!(io::stdout(), "{line}")?),
        }
    }

    /// Prints the document, if one is wanted, with the error that ended the run.
    pub(crate) fn finish(mut self, error: Option<&crate::Failure>) -> Result<()> {
        if !self.is_json {
            return Ok(());
        }
        self.error = error.map(ToString::to_string);
        let document = serde_json::to_string_pretty(&self)?;
        Ok(writeln!(io::stdout(), "{document}")?)
    }
}
