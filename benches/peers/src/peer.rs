//! The peers: what each promises with its acknowledgement, and how it is run.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Serialize;

use crate::nats::Storage;
use crate::work::{Outcome, Work};
use crate::{Result, mosquitto, nats, postgres, redis, tim};

/// A server that tim is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Peer {
    /// Redis Streams, appendfsync always.
    Redis,
    /// PostgreSQL, a synchronous INSERT for each message.
    Postgresql,
    /// NATS JetStream, synced before the acknowledgement.
    NatsSynced,
    /// NATS JetStream as it comes: not durable when it acknowledges.
    Nats,
    /// Mosquitto, QoS 1, persistent: not durable when it acknowledges.
    Mosquitto,
    /// The tim of --baseline.
    #[value(skip)]
    Baseline,
}

/// The programs of a run.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    /// Measures tim.
    pub(crate) tim_bench: PathBuf,
    /// The tim that is compared.
    pub(crate) tim: PathBuf,
    /// Another tim to compare it with.
    pub(crate) baseline: Option<PathBuf>,
}

impl Programs {
    fn baseline(&self) -> Result<&Path> {
        self.baseline.as_deref().ok_or_else(|| "there is none".into())
    }
}

/// What is known of a peer that can be run here.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Known {
    /// What it says its version is.
    pub(crate) version: String,
    /// Whether an acknowledged message outlives a power cut.
    pub(crate) is_durable: bool,
    /// What its acknowledgement means.
    pub(crate) promise: &'static str,
}

impl Peer {
    /// Its name on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Postgresql => "postgresql",
            Self::NatsSynced => "nats-synced",
            Self::Nats => "nats",
            Self::Mosquitto => "mosquitto",
            Self::Baseline => "baseline",
        }
    }

    /// What it is; an error says what is missing here.
    pub(crate) fn known(self, programs: &Programs) -> Result<Known> {
        match self {
            Self::Redis => redis::known(),
            Self::Postgresql => postgres::known(),
            Self::NatsSynced => nats::known(Storage::Synced),
            Self::Nats => nats::known(Storage::AsItComes),
            Self::Mosquitto => mosquitto::known(),
            Self::Baseline => tim::known(programs.baseline()?),
        }
    }

    /// Starts it, gives it the work, checks what it has, and stops it.
    pub(crate) async fn run(self, work: &Work, programs: &Programs) -> Result<Outcome> {
        let ran = match self {
            Self::Redis => redis::run(work).await,
            Self::Postgresql => postgres::run(work).await,
            Self::NatsSynced => nats::run(work, Storage::Synced).await,
            Self::Nats => nats::run(work, Storage::AsItComes).await,
            Self::Mosquitto => mosquitto::run(work).await,
            Self::Baseline => tim::run(work, &programs.tim_bench, programs.baseline()?)
                .await
                .map(|ours| ours.outcome),
        };
        ran.map_err(|error| format!("{}: {error}", self.name()).into())
    }
}

/// An error unless a count is as it should be.
pub(crate) fn same(what: impl Display, is: u64, should_be: u64) -> Result<()> {
    match is == should_be {
        true => Ok(()),
        false => Err(format!("{what}: {is} instead of {should_be}").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_command_line() {
        for peer in Peer::value_variants() {
            let value = peer.to_possible_value().expect("none is hidden");
            assert_eq!(value.get_name(), peer.name());
            assert_ne!(*peer, Peer::Baseline, "it is an option");
        }
    }
}
