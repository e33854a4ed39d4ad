//! The same durable sends against tim and against servers of other kinds, in one run: `benches/peers/run` starts it.
//!
//! Each server is a process of its own on the loopback interface, with a temporary directory, and runs alone. Runs of tim and of a peer
//! alternate, so that what disturbs the machine disturbs both. Each client is the usual one of its server in Rust, and counts
//! afterwards what the server has.

mod mosquitto;
mod nats;
mod peer;
mod postgres;
mod redis;
mod report;
mod server;
mod tim;
mod work;

use std::error::Error;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum, value_parser};
use tim_bench::Machine;
use tokio::signal::unix::{SignalKind, signal};

use peer::{Peer, Programs};
use report::Report;
use work::Work;

type Failure = Box<dyn Error + Send + Sync>;
type Result<T, E = Failure> = std::result::Result<T, E>;

const AFTER_HELP: &str = "\
Servers and clients share the machine. Quote ratios, of a run on a quiet machine. TMPDIR says where the servers keep their data.

Exit codes:
  0  success
  1  a run failed, or a server does not have what it acknowledged
  2  invalid command line
  3  a peer that was asked for is not installed, or none is
130  stopped by SIGINT
143  stopped by SIGTERM";

/// Compare tim with its peers: durable sends, one under way for each sender.
#[derive(Debug, Parser)]
#[command(name = "tim-peers", version, after_help = AFTER_HELP)]
struct Args {
    /// The peers to compare with [default: all that are installed; with --baseline, none].
    #[arg(value_enum, value_name = "PEER")]
    peers: Vec<Peer>,
    /// The program tim-bench, built as the figures want it.
    #[arg(long, value_name = "FILE")]
    tim_bench: PathBuf,
    /// The program tim, of the same build.
    #[arg(long, value_name = "FILE")]
    tim: PathBuf,
    /// Compare tim with this program tim too, for example with an older one.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Number of concurrent senders.
    #[arg(long, default_value_t = 64, value_name = "NUMBER", value_parser = value_parser!(u32).range(1..=10_000))]
    senders: u32,
    /// Duration of each run, in seconds.
    #[arg(long, default_value_t = 5, value_name = "SECONDS", value_parser = value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Number of rounds: in each, every peer runs once, and tim before each of them.
    #[arg(long, default_value_t = 3, value_name = "NUMBER", value_parser = value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Length of the texts that are sent, in bytes.
    #[arg(long, default_value_t = 157, value_name = "BYTES", value_parser = value_parser!(u32).range(1..=12_000))]
    payload: u32,
    /// Print one JSON document at the end instead of lines as they come.
    #[arg(long)]
    json: bool,
}

/// What came of a run.
enum End {
    Done,
    /// Nothing was compared with something that was asked for.
    Missing,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let run = async {
        let mut terminated = signal(SignalKind::terminate())?;
        tokio::select! {
            done = compare_and_report(&args) => done.map(|end| match end {
                End::Done => 0,
                End::Missing => 3,
            }),
            // What is dropped here stops its server and removes its directory.
            stopped = tokio::signal::ctrl_c() => Ok(stopped.map(|()| 130)?),
            _ = terminated.recv() => Ok(143),
        }
    };
    let done = tokio::runtime::Runtime::new()
        .map_err(Failure::from)
        .and_then(|runtime| runtime.block_on(run));
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // If stderr is closed too, the exit code is all there is.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn compare_and_report(args: &Args) -> Result<End> {
    let payload = args.payload as usize;
    let work = Work {
        senders: args.senders as usize,
        seconds: args.seconds,
        payload,
        text: tim_bench::text_of(payload).into(),
    };
    let machine = Machine::here(Some(&std::env::temp_dir()));
    let mut report = Report::new(args.json, machine, &work);
    report.show_setting(args.rounds)?;
    let done = compare(args, &work, &mut report).await;
    report.finish(done.as_ref().err())?;
    done
}

impl Args {
    /// The peers that are asked for.
    fn asked(&self) -> Vec<Peer> {
        let mut asked = match &*self.peers {
            [] if self.baseline.is_none() => Peer::value_variants().to_vec(),
            peers => peers.to_vec(),
        };
        asked.extend(self.baseline.as_ref().map(|_| Peer::Baseline));
        asked
    }
}

async fn compare(args: &Args, work: &Work, report: &mut Report) -> Result<End> {
    let programs = Programs {
        tim_bench: args.tim_bench.clone(),
        tim: args.tim.clone(),
        baseline: args.baseline.clone(),
    };
    let asked = args.asked();
    let mut peers = Vec::new();
    for peer in &asked {
        if report.add_peer(*peer, peer.known(&programs))? {
            peers.push(*peer);
        }
    }
    for round in 1..=args.rounds {
        for peer in &peers {
            let tim = tim::run(work, &programs.tim_bench, &programs.tim).await?;
            let outcome = peer.run(work, &programs).await?;
            report.add_round(round, *peer, tim, outcome)?;
        }
    }
    let names_some = !args.peers.is_empty() || args.baseline.is_some();
    let is_missing = peers.is_empty() || (names_some && peers.len() < asked.len());
    Ok(if is_missing { End::Missing } else { End::Done })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
        let parse = |args: &[&str]| {
            let programs = ["tim-peers", "--tim-bench", "x", "--tim", "y"];
            Args::try_parse_from(programs.iter().chain(args))
        };
        let args = parse(&["redis", "nats-synced"]).expect("a valid command line");
        assert_eq!(args.asked(), [Peer::Redis, Peer::NatsSynced]);
        let asked = |args: &[&str]| parse(args).expect("a valid command line").asked();
        assert_eq!(asked(&[]), Peer::value_variants());
        assert_eq!(asked(&["--baseline", "z"]), [Peer::Baseline]);
        assert_eq!(
            asked(&["redis", "--baseline", "z"]),
            [Peer::Redis, Peer::Baseline]
        );
        for bad in [
            ["--senders", "0"],
            ["--rounds", "0"],
            ["--payload", "12001"],
            ["--seconds", "0"],
        ] {
            assert!(parse(&bad).is_err(), "{bad:?}");
        }
        assert!(parse(&["sqlite"]).is_err());
        assert!(parse(&["baseline"]).is_err());
    }
}
