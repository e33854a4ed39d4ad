#![doc = include_str!("../README.md")]

mod crash;
mod damage;
#[cfg(unix)]
mod database;
#[cfg(unix)]
mod failover;
mod hub;
mod ledger;
mod load;
#[cfg(unix)]
mod network;
#[cfg(unix)]
mod outages;
mod power_cut;
mod reading;
mod record;
mod script;
#[cfg(unix)]
mod server;
mod trace;

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use ledger::Ledger;

type Failure = Box<dyn Error + Send + Sync>;
type Result<T, E = Failure> = std::result::Result<T, E>;

/// How many faults a report lists.
const MAX_FAULTS: usize = 40;

const EXIT_CODES: &str = "\
Exit codes:
  0  everything that was acknowledged is there, once
  1  something is lost, doubled or wrong, or the test itself failed
  2  invalid command line
  3  skipped: this machine lacks what the command needs";

/// Kill a hub, cut its power, damage its files, take its database away; then read everything back through the protocol and compare.
#[derive(Debug, Parser)]
#[command(name = "tim-torture", version, after_help = EXIT_CODES)]
enum Args {
    /// Kill the hub (SIGKILL) at random moments: under load, at its start, at its stop, during checkpoints.
    Crash(crash::Args),
    /// Cut the power under load: on a real ext4 file system on a loop device, or simulated from a recording of all writes.
    PowerCut(power_cut::Args),
    /// Damage files of a stopped or killed hub: flipped bits, truncations, zeros, noise, swapped pages, removed files.
    Damage(damage::Args),
    /// Kill, freeze and cut off the PostgreSQL server of a hub, and kill the hub, under load.
    #[cfg(unix)]
    Database(database::Args),
    /// Kill and freeze nodes of a replicated PostgreSQL, and hubs, under load.
    #[cfg(unix)]
    Failover(failover::Args),
    /// Commits batches; what `power-cut --simulated` records.
    #[command(hide = true)]
    Record(record::Args),
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Good,
    Bad,
    /// What this machine lacks.
    Skipped(String),
}

impl Verdict {
    const fn of(is_good: bool) -> Self {
        if is_good { Self::Good } else { Self::Bad }
    }
}

/// Where and with what a command works.
#[derive(Debug, clap::Args)]
struct Work {
    /// Repeats a run's random choices; the timing of processes differs from run to run.
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// The program `tim` [default: beside this program].
    #[arg(long, value_name = "FILE")]
    tim: Option<PathBuf>,
    /// Keep the files in this directory, which must not exist [default: a temporary one].
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// A working directory.
enum Place {
    Temporary(tempfile::TempDir),
    Kept(PathBuf),
}

impl Place {
    fn path(&self) -> &Path {
        match self {
            Self::Temporary(dir) => dir.path(),
            Self::Kept(path) => path,
        }
    }
}

impl Work {
    fn seed(&self) -> u64 {
        self.seed.unwrap_or(1)
    }

    fn place(&self) -> Result<Place> {
        Ok(match &self.keep {
            Some(path) => {
                std::fs::create_dir(path).map_err(|error| format!("{}: {error}", path.display()))?;
                Place::Kept(path.clone())
            }
            None => Place::Temporary(tempfile::Builder::new().prefix("tim-torture-").tempdir()?),
        })
    }

    fn program(&self) -> Result<PathBuf> {
        let program = match &self.tim {
            Some(program) => program.clone(),
            None => std::env::current_exe()?.with_file_name(format!("tim{}", std::env::consts::EXE_SUFFIX)),
        };
        match program.exists() {
            true => Ok(program),
            false => Err(format!(
                "there is no {}: build it (cargo build -p tim-im) or name it with --tim",
                program.display()
            )
            .into()),
        }
    }
}

/// Prints a line.
fn say(line: impl Display) -> Result<()> {
    Ok(writeln!(io::stdout(), "{line}")?)
}

/// Prints what a run has found.
fn report(seed: u64, ledger: &Ledger, faults: &[String]) -> Result<()> {
    say(format_args!(
        "seed {seed}: {} messages, {} revocations and {} read marks were acknowledged; {} faults",
        ledger.messages(),
        ledger.revocations(),
        ledger.reads,
        faults.len()
    ))?;
    for fault in faults.iter().take(MAX_FAULTS) {
        say(format_args!("  {fault}"))?;
    }
    Ok(())
}

fn run(args: &Args) -> Result<Verdict> {
    if let Args::Record(args) = args {
        return record::run(args).map(|()| Verdict::Good);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match args {
            Args::Crash(args) => crash::run(args).await,
            Args::PowerCut(args) => power_cut::run(args).await,
            Args::Damage(args) => damage::run(args).await,
            #[cfg(unix)]
            Args::Database(args) => database::run(args).await,
            #[cfg(unix)]
            Args::Failover(args) => failover::run(args).await,
            Args::Record(_) => Ok(Verdict::Good),
        }
    })
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Ok(Verdict::Bad) => ExitCode::FAILURE,
        Ok(Verdict::Skipped(why)) => {
            let _ = say(format_args!("skipped: {why}"));
            ExitCode::from(3)
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}
