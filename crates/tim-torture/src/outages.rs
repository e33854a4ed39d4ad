//! For how long nothing was acknowledged, by kind of fault.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::ValueEnum;

use crate::load::Load;
use crate::{Result, say};

/// What was measured.
#[derive(Debug, Default)]
pub(crate) struct Outages(BTreeMap<String, Vec<Outage>>);

#[derive(Debug, Clone, Copy)]
struct Outage {
    silence: Duration,
    reconnects: u64,
}

/// A fault that is being made.
#[derive(Debug)]
pub(crate) struct Measured {
    reconnects: u64,
}

impl Measured {
    /// From now on.
    pub(crate) async fn begin(load: &Load) -> Self {
        let reconnects = load.reconnects().await;
        load.measure();
        Self { reconnects }
    }
}

/// A kind of fault, as the command line names it.
pub(crate) fn name(kind: impl ValueEnum) -> String {
    kind.to_possible_value()
        .map_or_else(String::new, |value| value.get_name().to_owned())
}

impl Outages {
    /// It is over: so much more was acknowledged.
    pub(crate) async fn end(&mut self, kind: impl ValueEnum, load: &Load, measured: Measured) {
        let outage = Outage {
            silence: load.longest_silence(),
            reconnects: load.reconnects().await.saturating_sub(measured.reconnects),
        };
        self.0.entry(name(kind)).or_default().push(outage);
    }

    /// A line for each kind.
    pub(crate) fn report(&self) -> Result<()> {
        say(
            "fault              times   nothing acknowledged for (median, longest)   connections made again",
        )?;
        for (kind, outages) in &self.0 {
            let mut silences: Vec<Duration> = outages.iter().map(|outage| outage.silence).collect();
            silences.sort_unstable();
            let median = silences.get(silences.len() / 2).copied().unwrap_or_default();
            let longest = silences.last().copied().unwrap_or_default();
            let reconnects: u64 = outages.iter().map(|outage| outage.reconnects).sum();
            say(format_args!(
                "{kind:<18} {:>5}   {:>8.2} s, {:>8.2} s {:>42}",
                outages.len(),
                median.as_secs_f64(),
                longest.as_secs_f64(),
                reconnects
            ))?;
        }
        Ok(())
    }
}
