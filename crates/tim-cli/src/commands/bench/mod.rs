//! `tim bench`: measures a hub, its own or any other, and prints the figures.
//!
//! Each measurement is a file of its own and speaks to the hub as any device does, over TCP (`room`: over links in memory). Figures that are promised
//! somewhere come from here, and depend on what else the machine does: the clients run on it too.

mod bot;
mod fan_out;
mod group;
mod hub;
mod idle;
mod link;
mod pages;
mod prepare;
mod priority;
mod raw;
mod room;
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
    /// How many members are online in the groups of fan-out.
    #[arg(long, default_values_t = [10, 1_000, 10_000], value_delimiter = ',', value_name = "NUMBER")]
    fan_out_members: Vec<u32>,
    /// How many members the room has.
    #[arg(long, default_value_t = 100_000, value_name = "NUMBER")]
    room_members: u32,
    /// Only whether it works: a little of everything, and the numbers above do not count.
    #[arg(long)]
    quick: bool,
}

impl Args {
    /// Little of everything.
    fn hurry(&mut self) {
        (self.senders, self.seconds) = (4, 1);
        (self.members, self.group_messages) = (5, 50);
        (self.history, self.connections) = (2_000, 20);
        (self.fan_out_members, self.room_members) = (vec![3, 40], 500);
    }
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
    /// What deliveries into groups of several sizes cost the hub, and a member who reads nothing.
    FanOut,
    /// A group that is offered ten times what it takes: what becomes of the urgent messages.
    Priority,
    /// An AVChatRoom with very many members.
    Room,
}

impl What {
    const ALL: [Self; 7] = [
        Self::Sends,
        Self::Group,
        Self::Pages,
        Self::Idle,
        Self::FanOut,
        Self::Priority,
        Self::Room,
    ];

    /// It needs a hub that is set up for it.
    const fn needs_own(self) -> bool {
        matches!(self, Self::FanOut | Self::Priority | Self::Room)
    }
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::failed)?;
    runtime.block_on(measure(args))
}

async fn measure(mut args: Args) -> Result<(), Failure> {
    if args.quick {
        args.hurry();
    }
    let what = match (&*args.what, args.hub) {
        ([], None) => What::ALL.to_vec(),
        ([], Some(_)) => What::ALL.into_iter().filter(|what| !what.needs_own()).collect(),
        (chosen, Some(_)) if chosen.iter().any(|what| what.needs_own()) => {
            return Err(
                Failure::usage("fan-out, priority and room are measured without --hub")
                    .hint("they need a hub that is set up for them, and start one"),
            );
        }
        (chosen, _) => chosen.to_vec(),
    };
    for what in what {
        if what.needs_own() {
            measure_own(what, &args).await?;
        } else {
            measure_any(what, &args).await?;
        }
    }
    Ok(())
}

async fn measure_any(what: What, args: &Args) -> Result<(), Failure> {
    // A hub of its own for each, so that none measures what another one left.
    let target = match args.hub {
        Some(address) => Target::existing(address, args.data.data.clone())?,
        None if what == What::Pages => {
            let len = args.history;
            let filling = tokio::task::spawn_blocking(move || prepare::history(len));
            Target::start(filling.await.map_err(Failure::failed)??, 0)?
        }
        None => Target::own()?,
    };
    match what {
        What::Sends => sends::measure(&target, args.senders, Duration::from_secs(args.seconds)).await,
        What::Group => group::measure(&target, args.members, args.group_messages).await,
        What::Pages => pages::measure(&target, args.history).await,
        _ => idle::measure(&target, args.connections).await,
    }
}

async fn measure_own(what: What, args: &Args) -> Result<(), Failure> {
    match what {
        What::Room => room::measure(args.room_members, if args.quick { 3 } else { 20 }).await,
        What::Priority if args.quick => priority::measure(1, Duration::from_secs(1)).await,
        What::Priority => priority::measure(3, Duration::from_secs(6)).await,
        _ => {
            for members in &args.fan_out_members {
                fan_out::measure(fan_out::Load::of(*members, args.quick)).await?;
            }
            Ok(())
        }
    }
}

/// Prints one figure.
fn figure(name: &str, value: impl Display, unit: &str) -> Result<(), Failure> {
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
