//! The text format of Prometheus, version 0.0.4.

use std::fmt::{Display, Write as _};

use tim_store::measure::Distribution;

/// What kind of metric it is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// The unit in which a histogram counts, if it is not that of its name.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unit {
    One,
    /// Microseconds, for a metric in seconds.
    Micros,
}

/// A page of metrics in the making.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
    /// The name of the metric whose samples come.
    name: &'static str,
}

impl Page {
    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// A metric begins. Its name is one, and its help has no line breaks and no backslashes.
    pub(super) fn begin(&mut self, name: &'static str, kind: Kind, help: &str) -> &mut Self {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.name = name;
        // Writing to a string cannot fail, here and below.
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        self
    }

    /// A metric of one sample.
    pub(super) fn one(&mut self, name: &'static str, kind: Kind, help: &str, value: impl Display) {
        self.begin(name, kind, help).sample(&[], value);
    }

    /// A sample of the metric that has begun. Values of labels have no quotes, line breaks and backslashes.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.line("", labels, None, value);
        self
    }

    /// The samples of a histogram that has begun.
    pub(super) fn distribution(
        &mut self,
        labels: &[(&str, &str)],
        found: &Distribution,
        unit: Unit,
    ) -> &mut Self {
        let scaled = |value: u64| match unit {
            Unit::One => value.to_string(),
            Unit::Micros => seconds(value),
        };
        for (bound, count) in &found.buckets {
            self.line("_bucket", labels, Some(&scaled(*bound)), count);
        }
        self.line("_bucket", labels, Some("+Inf"), found.count);
        self.line("_sum", labels, None, scaled(found.sum));
        self.line("_count", labels, None, found.count);
        self
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], bound: Option<&str>, value: impl Display) {
        let _ = write!(self.text, "{}{suffix}", self.name);
        let bound = bound.map(|bound| ("le", bound));
        let mut separator = '{';
        for (name, value) in labels.iter().copied().chain(bound) {
            let _ = write!(self.text, "{separator}{name}=\"{value}\"");
            separator = ',';
        }
        if separator == ',' {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

/// Microseconds as seconds, exactly.
fn seconds(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
