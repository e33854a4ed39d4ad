//! `tim-bench` measures a hub, its own or any other, and prints the figures.
//!
//! Each measurement is one file and connects as any device does, over TCP (`room`: over links in memory). The clients share the
//! machine with the hub, so the figures depend on its load.

mod bot;
mod fan_out;
mod group;
mod hub;
mod idle;
mod link;
mod member;
mod pages;
mod prepare;
mod priority;
mod room;
mod sends;
mod stop;

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::RangedI64ValueParser;
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, ValueEnum, value_parser};

use hub::Target;

type Failure = Box<dyn Error + Send + Sync>;
type Result<T, E = Failure> = std::result::Result<T, E>;

/// The longest measurement: a day.
const MAX_SECONDS: u64 = 24 * 60 * 60;

const EXIT_CODES: &str = "\
Exit codes:
  0  success
  1  the measurement failed
  2  invalid command line
130  stopped by SIGINT
143  stopped by SIGTERM";

/// Measure a hub: durable sends, group delivery, history pages, idle connections.
///
/// Without --hub, the program starts a hub on a temporary data directory and measures that.
#[derive(Debug, Parser)]
#[command(name = "tim-bench", version, after_help = EXIT_CODES)]
struct Args {
    /// What to measure [default: all].
    #[arg(value_enum, value_name = "WHAT")]
    what: Vec<What>,
    /// Measure the hub at this address, with the key from --data. Its send rate limit applies.
    #[arg(long, value_name = "ADDRESS", requires = "data")]
    hub: Option<SocketAddr>,
    /// The data directory of the hub at --hub: UserSigs are signed with its key.
    #[arg(long, value_name = "DIR", env = "TIM_DATA", hide_env_values = true)]
    data: Option<PathBuf>,
    /// Number of concurrent senders.
    #[arg(long, default_value_t = 64, value_name = "NUMBER", value_parser = count())]
    senders: u32,
    /// Duration of the send measurement, in seconds.
    #[arg(long, default_value_t = 5, value_name = "SECONDS", value_parser = value_parser!(u64).range(1..=MAX_SECONDS))]
    seconds: u64,
    /// Number of group members online.
    #[arg(long, default_value_t = 200, value_name = "NUMBER", value_parser = count())]
    members: u32,
    /// Number of messages sent into the group.
    #[arg(long, default_value_t = 2_000, value_name = "NUMBER", value_parser = count())]
    group_messages: u32,
    /// Length of the long conversation that pages are read from.
    #[arg(long, default_value_t = 1_000_000, value_name = "NUMBER", value_parser = value_parser!(u64).range(1..))]
    history: u64,
    /// Number of idle connections.
    #[arg(long, default_value_t = 10_000, value_name = "NUMBER", value_parser = count())]
    connections: u32,
    /// Numbers of members online in the groups of fan-out.
    #[arg(long, default_values_t = [10, 1_000, 10_000], value_delimiter = ',', value_name = "NUMBER", value_parser = count())]
    fan_out_members: Vec<u32>,
    /// Number of members of the AVChatRoom.
    #[arg(long, default_value_t = 100_000, value_name = "NUMBER", value_parser = count())]
    room_members: u32,
    /// A smoke test: small, fixed sizes instead of the numbers above.
    #[arg(long)]
    quick: bool,
    /// Run the hub under measurement on this directory, in this process.
    #[arg(long, hide = true, value_name = "DIR")]
    run_hub: Option<PathBuf>,
    /// The group rate of --run-hub.
    #[arg(long, hide = true, default_value_t = 0, value_name = "NUMBER")]
    group_rate: u32,
}

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Durable one-to-one sends per second.
    Sends,
    /// Deliveries per second into one group.
    Group,
    /// Reading a page of history from a short and from a long conversation.
    Pages,
    /// Memory of an idle connection in the hub.
    Idle,
    /// Cost of deliveries into groups of several sizes, with and without a member that does not read.
    FanOut,
    /// A group that is offered ten times its rate: what happens to urgent messages.
    Priority,
    /// An AVChatRoom with very many members.
    Room,
}

impl What {
    /// It needs a hub that is set up for it.
    const fn needs_own(self) -> bool {
        matches!(self, Self::FanOut | Self::Priority | Self::Room)
    }
}

/// Takes how many there are of something: at least one, for a mean of none is no number.
fn count() -> RangedI64ValueParser<u32> {
    value_parser!(u32).range(1..=10_000_000)
}

fn main() -> ExitCode {
    let args = Args::parse();
    let run = async {
        if let Some(data) = &args.run_hub {
            hub::run(data, args.group_rate).await?;
            return Ok(ExitCode::SUCCESS);
        }
        // What is dropped here stops its hub and removes its directory.
        let stopped = stop::signalled()?;
        tokio::select! {
            done = measure(args) => done.map(|()| ExitCode::SUCCESS),
            code = stopped => Ok(ExitCode::from(code)),
        }
    };
    let done = allow_many_files()
        .and_then(|()| Ok(tokio::runtime::Runtime::new()?))
        .and_then(|runtime| runtime.block_on(run));
    match done {
        Err(error) if !is_broken_pipe(&error) => {
            // If stderr is closed too, the exit code is all there is.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
        Err(_) => ExitCode::SUCCESS,
        Ok(code) => code,
    }
}

/// The reader of the output has left: nothing to report.
fn is_broken_pipe(error: &Failure) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Raises the limit of open files as far as the system allows: both ends of every connection are on this machine.
fn allow_many_files() -> Result<()> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let current = limit.maximum;
        setrlimit(Resource::Nofile, Rlimit { current, ..limit })?;
    }
    Ok(())
}

async fn measure(mut args: Args) -> Result<()> {
    if args.quick {
        (args.senders, args.seconds) = (4, 1);
        (args.members, args.group_messages) = (5, 50);
        (args.history, args.connections) = (2_000, 20);
        (args.fan_out_members, args.room_members) = (vec![3, 40], 500);
    }
    if args.hub.is_some() && args.what.iter().any(|what| what.needs_own()) {
        let message =
            "fan-out, priority and room are measured without --hub: they start a hub that is set up for them";
        Args::command().error(ErrorKind::ArgumentConflict, message).exit();
    }
    let all = What::value_variants();
    let what = match &*args.what {
        [] => all
            .iter()
            .copied()
            .filter(|what| args.hub.is_none() || !what.needs_own())
            .collect(),
        chosen => chosen.to_vec(),
    };
    for what in what {
        // A new hub for each, so that no measurement sees what another one left.
        match what {
            What::Sends => {
                let time = Duration::from_secs(args.seconds);
                sends::measure(&target(&args)?, args.senders, time).await?;
            }
            What::Group => group::measure(&target(&args)?, args.members, args.group_messages).await?,
            What::Pages => {
                let target = match args.hub {
                    Some(_) => target(&args)?,
                    None => Target::start(blocking(move || prepare::history(args.history)).await?, 0)?,
                };
                pages::measure(&target, args.history).await?;
            }
            What::Idle => idle::measure(&target(&args)?, args.connections).await?,
            What::FanOut => {
                for members in &args.fan_out_members {
                    fan_out::measure(fan_out::Load::of(*members, args.quick)).await?;
                }
            }
            What::Priority if args.quick => priority::measure(1, Duration::from_secs(1)).await?,
            What::Priority => priority::measure(3, Duration::from_secs(6)).await?,
            What::Room => room::measure(args.room_members, if args.quick { 3 } else { 20 }).await?,
        }
    }
    Ok(())
}

/// The hub that the options name, or a new one on an empty directory.
fn target(args: &Args) -> Result<Target> {
    match (args.hub, &args.data) {
        (Some(address), Some(data)) => Target::existing(address, data),
        _ => Target::start(tempfile::tempdir()?, 0),
    }
}

/// Runs work that blocks off the executor.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await?
}

/// Prints one figure.
fn figure(name: &str, value: impl Display, unit: &str) -> Result<()> {
    Ok(writeln!(io::stdout(), "{name:<50} {value:>12} {unit}")?)
}

/// The value at this fraction of sorted values.
fn percentile(sorted: &[Duration], fraction: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get((last as f64 * fraction).round() as usize)
        .copied()
        .unwrap_or_default()
}

/// Milliseconds with two decimals.
fn millis(duration: Duration) -> String {
    format!("{:.2}", duration.as_secs_f64() * 1000.0)
}
