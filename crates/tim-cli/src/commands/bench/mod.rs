//! `tim bench`: measures a hub, its own or any other, and prints the figures.
//!
//! Each measurement is a file of its own and speaks to the hub as any device does, over TCP. Figures that are promised
//! somewhere come from here, and depend on what else the machine does: the clients run on it too.

mod bot;
mod group;
mod hub;
mod idle;
mod pages;
mod sends;

use std::fmt::Display;
use std::io::{self, Write as _};
use std::time::Duration;

use crate::error::{EXIT_CODES, Failure};
use crate::local::DataArg;
use hub::Target;

/// Measure a hub: durable sends, group delivery, history pages, idle connections.
///
/// Without --hub, a hub of its own is started on a temporary data directory and measured.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Args {
    /// What to measure [default: all].
    #[arg(value_enum, value_name = "WHAT")]
    what: Vec<What>,
    /// Measure the hub at this address, with the key from --data. Its own send rate limit holds.
    #[arg(long, value_name = "ADDRESS")]
    hub: Option<std::net::SocketAddr>,
    #[command(flatten)]
    data: DataArg,
    /// How many senders send at the same time.
    #[arg(long, default_value_t = 64, value_name = "NUMBER")]
    senders: u32,
    /// How long sends are measured, in seconds.
    #[arg(long, default_value_t = 5, value_name = "SECONDS")]
    seconds: u64,
    /// How many members of the group are online.
    #[arg(long, default_value_t = 200, value_name = "NUMBER")]
    members: u32,
    /// How many messages are sent into the group.
    #[arg(long, default_value_t = 2_000, value_name = "NUMBER")]
    group_messages: u32,
    /// How long the long conversation is that pages are taken from.
    #[arg(long, default_value_t = 1_000_000, value_name = "NUMBER")]
    history: u64,
    /// How many idle connections are opened.
    #[arg(long, default_value_t = 10_000, value_name = "NUMBER")]
    connections: u32,
}

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// Durable one-to-one sends a second.
    Sends,
    /// Deliveries a second into one group.
    Group,
    /// A page of history, from a short and from a long conversation.
    Pages,
    /// What an idle connection costs the hub.
    Idle,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::failed)?;
    runtime.block_on(measure(args))
}

async fn measure(args: Args) -> Result<(), Failure> {
    let what = if args.what.is_empty() {
        vec![What::Sends, What::Group, What::Pages, What::Idle]
    } else {
        args.what.clone()
    };
    for what in what {
        // A hub of its own for each, so that none measures what another one left.
        let own_history = (what == What::Pages && args.hub.is_none()).then_some(args.history);
        let target = match args.hub {
            Some(address) => Target::existing(address, args.data.data.clone())?,
            None => Target::own(own_history).await?,
        };
        match what {
            What::Sends => sends::measure(&target, args.senders, Duration::from_secs(args.seconds)).await?,
            What::Group => group::measure(&target, args.members, args.group_messages).await?,
            What::Pages => pages::measure(&target, args.history).await?,
            What::Idle => idle::measure(&target, args.connections).await?,
        }
    }
    Ok(())
}

/// Prints one figure.
fn figure(name: &str, value: impl Display, unit: &str) -> Result<(), Failure> {
    Ok(writeln!(io::stdout(), "{name:<44} {value:>12} {unit}")?)
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
