//! What was measured: lines as they come, a table of medians and ratios, or one JSON document.

use std::io::{self, Write as _};

use serde::Serialize;
use tim_bench::Machine;

use crate::Result;
use crate::peer::{Known, Peer};
use crate::tim::Ours;
use crate::work::{Outcome, Work};

/// The version of the document's shape. Keys are added without a new one; no key goes or changes its meaning.
const FORMAT: u32 = 1;

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    format: u32,
    machine: Machine,
    work: Work,
    missing: Vec<Missing>,
    peers: Vec<Compared>,
    error: Option<String>,
    #[serde(skip)]
    is_json: bool,
}

/// A peer that is not there.
#[derive(Debug, Serialize)]
struct Missing {
    peer: &'static str,
    reason: String,
}

/// A peer, and its runs beside ours.
#[derive(Debug, Serialize)]
struct Compared {
    peer: &'static str,
    #[serde(flatten)]
    known: Known,
    rounds: Vec<Round>,
    medians: Option<Medians>,
}

/// Ours and the peer's, one after the other.
#[derive(Debug, Clone, Copy, Serialize)]
struct Round {
    tim: Ours,
    peer: Outcome,
}

/// The medians of all rounds; the ratios are medians of the rounds' ratios, and not ratios of medians.
#[derive(Debug, Clone, Copy, Serialize)]
struct Medians {
    tim_sends_per_second: f64,
    peer_sends_per_second: f64,
    tim_over_peer: f64,
    tim_over_peer_least: f64,
    tim_over_peer_most: f64,
    tim_p99_over_peer: f64,
    tim_cpu_over_peer: Option<f64>,
    tim_written_over_peer: Option<f64>,
    tim_disk_written_over_peer: Option<f64>,
    /// Our sends over what the disk alone takes in blocks of a message of each sender.
    tim_over_raw_group: f64,
    /// The same of the peer, with the disk's figure of our run before.
    peer_over_raw_group: f64,
}

impl Medians {
    fn of(rounds: &[Round], work: &Work) -> Option<Self> {
        let of = |value: &dyn Fn(&Round) -> f64| median(rounds.iter().map(value).collect());
        let ratio = |value: fn(&Outcome) -> Option<f64>| {
            let ratios: Option<Vec<f64>> = rounds
                .iter()
                .map(|round| {
                    Some(value(&round.tim.outcome)? / value(&round.peer)?).filter(|ratio| ratio.is_finite())
                })
                .collect();
            ratios.and_then(median)
        };
        let sends = |round: &Round| round.tim.outcome.sends_per_second / round.peer.sends_per_second;
        let messages_of_block = |round: &Round| {
            let of_one = tim_bench::message_block(work.payload) as f64;
            round.tim.raw_group_syncs_per_second * round.tim.raw_group_bytes / of_one
        };
        let all = rounds.iter().map(sends);
        Some(Self {
            tim_sends_per_second: of(&|round| round.tim.outcome.sends_per_second)?,
            peer_sends_per_second: of(&|round| round.peer.sends_per_second)?,
            tim_over_peer: of(&sends)?,
            tim_over_peer_least: all.clone().reduce(f64::min)?,
            tim_over_peer_most: all.reduce(f64::max)?,
            tim_p99_over_peer: of(&|round| round.tim.outcome.latency_p99_ms / round.peer.latency_p99_ms)?,
            tim_cpu_over_peer: ratio(|outcome| outcome.server_cpu_us_per_message),
            tim_written_over_peer: ratio(|outcome| outcome.written_bytes_per_message),
            tim_disk_written_over_peer: ratio(|outcome| outcome.disk_written_bytes_per_message),
            tim_over_raw_group: of(&|round| round.tim.outcome.sends_per_second / messages_of_block(round))?,
            peer_over_raw_group: of(&|round| round.peer.sends_per_second / messages_of_block(round))?,
        })
    }
}

/// The middle one, or the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get((values.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

impl Report {
    pub(crate) fn new(is_json: bool, machine: Machine, work: &Work) -> Self {
        Self {
            format: FORMAT,
            machine,
            work: work.clone(),
            missing: Vec::new(),
            peers: Vec::new(),
            error: None,
            is_json,
        }
    }

    /// Adds a peer to compare with, or says why it is not.
    pub(crate) fn add_peer(&mut self, peer: Peer, known: Result<Known>) -> Result<bool> {
        let peer = peer.name();
        match known {
            Ok(known) => {
                self.line(&format!("{peer}: {} - {}", known.version, known.promise))?;
                self.peers.push(Compared {
                    peer,
                    known,
                    rounds: Vec::new(),
                    medians: None,
                });
                Ok(true)
            }
            Err(reason) => {
                let reason = reason.to_string();
                self.line(&format!("{peer}: left out, {reason}"))?;
                self.missing.push(Missing { peer, reason });
                Ok(false)
            }
        }
    }

    /// Shows the machine and the work.
    pub(crate) fn show_setting(&self, rounds: u32) -> Result<()> {
        let Machine {
            cores,
            processor,
            kernel,
            load,
            file_system,
            ..
        } = &self.machine;
        let unknown = || "unknown".to_owned();
        let (kind, device) = file_system.as_ref().map_or_else(
            || (unknown(), unknown()),
            |on| (on.kind.clone(), on.device.clone()),
        );
        let load = load.map_or_else(unknown, |load| load.to_string());
        self.line(&format!(
            "machine: {cores} cores, {}, {}, load {load}, data on {kind} ({device})",
            processor.clone().unwrap_or_else(unknown),
            kernel.clone().unwrap_or_else(unknown),
        ))?;
        if file_system.as_ref().is_some_and(tim_bench::FileSystem::is_memory) {
            self.line("the data are in memory: nothing is durable there, and no figure is worth quoting")?;
        }
        let Work {
            senders,
            seconds,
            payload,
            ..
        } = &self.work;
        self.line(&format!(
            "work: {senders} senders with one message of {payload} bytes under way each, {seconds} s a run, {rounds} rounds; \
             tim runs before each run of a peer"
        ))
    }

    /// Adds a run of ours and the run of a peer that followed it.
    pub(crate) fn add_round(&mut self, round: u32, peer: Peer, tim: Ours, outcome: Outcome) -> Result<()> {
        self.line(&run_line(round, "tim", &tim.outcome))?;
        self.line(&run_line(round, peer.name(), &outcome))?;
        let compared = self
            .peers
            .iter_mut()
            .find(|compared| compared.peer == peer.name());
        let compared = compared.ok_or("this peer was not announced")?;
        compared.rounds.push(Round { tim, peer: outcome });
        compared.medians = Medians::of(&compared.rounds, &self.work);
        Ok(())
    }

    /// Prints the table or the document.
    pub(crate) fn finish(mut self, error: Option<&crate::Failure>) -> Result<()> {
        if self.is_json {
            self.error = error.map(ToString::to_string);
            let document = serde_json::to_string_pretty(&self)?;
            return Ok(writeln!(io::stdout(), "{document}")?);
        }
        if self.peers.iter().all(|compared| compared.medians.is_none()) {
            return Ok(());
        }
        self.line("")?;
        self.line("medians; ratios are tim over the peer, the medians of the rounds' ratios")?;
        self.line(&format!(
            "{:<12} {:>8} {:>10} {:>10} {:>6} {:>13} {:>6} {:>6} {:>8} {:>14}",
            "peer",
            "durable",
            "tim/s",
            "peer/s",
            "ratio",
            "least-most",
            "p99",
            "CPU",
            "to disk",
            "of disk alone"
        ))?;
        for compared in &self.peers {
            let Some(medians) = &compared.medians else {
                continue;
            };
            self.line(&table_line(compared, medians))?;
        }
        Ok(())
    }

    fn line(&self, line: &str) -> Result<()> {
        match self.is_json {
            true => Ok(()),
            false => Ok(writeln!(io::stdout(), "{line}")?),
        }
    }
}

fn maybe(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "?".to_owned(), |value| format!("{value:.decimals$}"))
}

fn run_line(round: u32, name: &str, outcome: &Outcome) -> String {
    format!(
        "{round:>3} {name:<12} {:>8.0}/s  p50 {:.2} p99 {:.2} p99.9 {:.2} max {:.2} ms  CPU {} us  dirty {} B  to disk {} B  flushes {}  \
         checked {}",
        outcome.sends_per_second,
        outcome.latency_p50_ms,
        outcome.latency_p99_ms,
        outcome.latency_p999_ms,
        outcome.latency_max_ms,
        maybe(outcome.server_cpu_us_per_message, 1),
        maybe(outcome.written_bytes_per_message, 0),
        maybe(outcome.disk_written_bytes_per_message, 0),
        maybe(outcome.disk_flushes_per_message, 3),
        outcome.checked,
    )
}

fn table_line(compared: &Compared, medians: &Medians) -> String {
    format!(
        "{:<12} {:>8} {:>10.0} {:>10.0} {:>6.2} {:>13} {:>6.2} {:>6} {:>8} {:>14}",
        compared.peer,
        if compared.known.is_durable { "yes" } else { "no" },
        medians.tim_sends_per_second,
        medians.peer_sends_per_second,
        medians.tim_over_peer,
        format!(
            "{:.2}-{:.2}",
            medians.tim_over_peer_least, medians.tim_over_peer_most
        ),
        medians.tim_p99_over_peer,
        maybe(medians.tim_cpu_over_peer, 2),
        maybe(medians.tim_disk_written_over_peer, 1),
        format!(
            "{:.3} {:.3}",
            medians.tim_over_raw_group, medians.peer_over_raw_group
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(sends: f64, cpu: Option<f64>) -> Outcome {
        Outcome {
            sends_per_second: sends,
            latency_p50_ms: 1.0,
            latency_p99_ms: 2.0,
            latency_p999_ms: 3.0,
            latency_max_ms: 4.0,
            checked: 5,
            server_cpu_us_per_message: cpu,
            written_bytes_per_message: None,
            disk_written_bytes_per_message: Some(1_000.0),
            disk_flushes_per_message: Some(0.5),
        }
    }

    fn round(tim: f64, peer: f64) -> Round {
        let tim = Ours {
            outcome: outcome(tim, Some(10.0)),
            raw_group_bytes: 1024.0,
            raw_group_syncs_per_second: 100.0,
            raw_single_syncs_per_second: 120.0,
        };
        let peer = outcome(peer, Some(5.0));
        Round { tim, peer }
    }

    fn work() -> Work {
        Work {
            senders: 4,
            seconds: 1,
            payload: 157,
            text: "x".into(),
        }
    }

    #[test]
    fn ratios_are_medians_of_the_ratios_of_rounds() {
        let rounds = [round(100.0, 100.0), round(300.0, 100.0), round(200.0, 400.0)];
        let medians = Medians::of(&rounds, &work()).expect("three rounds");
        assert_eq!(
            (medians.tim_sends_per_second, medians.peer_sends_per_second),
            (200.0, 100.0)
        );
        let ratios = (
            medians.tim_over_peer,
            medians.tim_over_peer_least,
            medians.tim_over_peer_most,
        );
        assert_eq!(ratios, (1.0, 0.5, 3.0));
        assert_eq!(
            (medians.tim_cpu_over_peer, medians.tim_written_over_peer),
            (Some(2.0), None)
        );
        // Four messages of 256 bytes in a block, 100 blocks a second.
        assert_eq!(medians.tim_over_raw_group, 0.5);
        assert!(Medians::of(&[], &work()).is_none());
        assert_eq!(median(vec![4.0, 1.0]), Some(2.5));
    }

    #[test]
    fn the_document_has_a_stable_shape() {
        let mut report = Report::new(true, Machine::here(None), &work());
        let known = Known {
            version: "1".to_owned(),
            is_durable: true,
            promise: "synced",
        };
        assert!(report.add_peer(Peer::Redis, Ok(known)).expect("no output"));
        assert!(
            !report
                .add_peer(Peer::Nats, Err("not installed".into()))
                .expect("no output")
        );
        let Round { tim, peer } = round(3.0, 2.0);
        report
            .add_round(1, Peer::Redis, tim, peer)
            .expect("an announced peer");
        assert!(report.add_round(1, Peer::Mosquitto, tim, peer).is_err());
        let document = serde_json::to_value(&report).expect("JSON");
        let keys = |of: &serde_json::Value| -> Vec<String> {
            of.as_object().expect("an object").keys().cloned().collect()
        };
        assert_eq!(
            keys(&document),
            ["error", "format", "machine", "missing", "peers", "work"]
        );
        assert_eq!(keys(&document["work"]), ["payload_bytes", "seconds", "senders"]);
        assert_eq!(
            document["missing"],
            serde_json::json!([{ "peer": "nats", "reason": "not installed" }])
        );
        let readme = include_str!("../README.md");
        let redis = &document["peers"][0];
        for of in [
            &document,
            &document["work"],
            redis,
            &redis["rounds"][0]["tim"],
            &redis["medians"],
        ] {
            for key in keys(of) {
                assert!(
                    readme.contains(&format!("`{key}`")),
                    "the README does not explain {key}"
                );
            }
        }
        assert_eq!(
            keys(redis),
            ["is_durable", "medians", "peer", "promise", "rounds", "version"]
        );
        assert_eq!(redis["rounds"][0]["tim"]["sends_per_second"], 3.0);
        assert_eq!(redis["medians"]["tim_over_peer"], 1.5);
        assert_eq!(redis["medians"]["tim_written_over_peer"], serde_json::Value::Null);
    }
}
