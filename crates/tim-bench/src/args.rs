//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::RangedI64ValueParser;
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, ValueEnum, value_parser};

/// The longest measurement: a day.
const MAX_SECONDS: u64 = 24 * 60 * 60;
/// The longest text: a hub takes 12 KiB, unless its operator says otherwise.
const MAX_PAYLOAD: i64 = 12_000;
/// The text of most measurements of messaging servers, and 57 Chinese characters.
const PAYLOAD: u32 = 157;

const AFTER_HELP: &str = "\
The clients share the machine with the hub. Quote figures of a release build on a quiet machine, as ratios to the disk alone or to
another server in the same run (benches/peers/run). TMPDIR says where the hub under measurement keeps its data.

Exit codes:
  0  success
  1  the measurement failed, or the hub does not have what it acknowledged
  2  invalid command line
130  stopped by SIGINT
143  stopped by SIGTERM";

/// Measure a hub: durable sends, group delivery, history pages, idle connections.
///
/// Without --hub, the program starts a hub on a temporary data directory and measures that. Afterwards it reads back what the hub
/// acknowledged: each message must be there once, at its sequence. If not, the run fails.
#[derive(Debug, Clone, Parser)]
#[command(name = "tim-bench", version, after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// What to measure [default: all].
    #[arg(value_enum, value_name = "WHAT")]
    what: Vec<What>,
    /// Measure the hub at this address, with the key from --data. Its limits apply, such as the rate of sends.
    #[arg(long, value_name = "ADDRESS", requires = "data")]
    pub(crate) hub: Option<SocketAddr>,
    /// The data directory of the hub at --hub: UserSigs are signed with its key.
    #[arg(long, value_name = "DIR", env = "TIM_DATA", hide_env_values = true)]
    pub(crate) data: Option<PathBuf>,
    /// The process of the hub at --hub, if it runs on this machine with the data at --data: its CPU time, bytes written, flushes
    /// and memory are measured too, and the disk alone beside it.
    #[arg(long, value_name = "PID", requires = "hub", value_parser = value_parser!(u32).range(1..))]
    pub(crate) hub_pid: Option<u32>,
    /// Print one JSON document at the end instead of lines as they come.
    #[arg(long)]
    pub(crate) json: bool,
    /// Number of concurrent senders. Each has one message under way.
    #[arg(long, default_value_t = 64, value_name = "NUMBER", value_parser = count())]
    pub(crate) senders: u32,
    /// Number of one-to-one conversations that the senders write to in turn [default: one for each sender].
    #[arg(long, value_name = "NUMBER", value_parser = count())]
    conversations: Option<u32>,
    /// Number of messages that are due each second, from all senders together [default: each sends as soon as it has its response].
    #[arg(long, value_name = "NUMBER", value_parser = count())]
    pub(crate) rate: Option<u32>,
    /// Length of the texts that are sent, in bytes.
    #[arg(long, default_value_t = PAYLOAD, value_name = "BYTES", value_parser = value_parser!(u32).range(1..=MAX_PAYLOAD))]
    payload: u32,
    /// Number of messages that the hub has before sends are measured [default: none].
    #[arg(long, value_name = "NUMBER", conflicts_with = "hub", value_parser = value_parser!(u64).range(1..))]
    stored: Option<u64>,
    /// Count the calls that sync a file in another run of sends, under strace.
    #[arg(long, conflicts_with = "hub")]
    pub(crate) count_syncs: bool,
    /// Duration of the send measurement, in seconds.
    #[arg(long, default_value_t = 5, value_name = "SECONDS", value_parser = value_parser!(u64).range(1..=MAX_SECONDS))]
    pub(crate) seconds: u64,
    /// Number of group members online.
    #[arg(long, default_value_t = 200, value_name = "NUMBER", value_parser = count())]
    pub(crate) members: u32,
    /// Number of messages sent into the group.
    #[arg(long, default_value_t = 2_000, value_name = "NUMBER", value_parser = count())]
    pub(crate) group_messages: u32,
    /// Length of the long conversation that pages are read from.
    #[arg(long, default_value_t = 1_000_000, value_name = "NUMBER", value_parser = value_parser!(u64).range(1..))]
    pub(crate) history: u64,
    /// Number of idle connections.
    #[arg(long, default_value_t = 10_000, value_name = "NUMBER", value_parser = count())]
    pub(crate) connections: u32,
    /// Numbers of members online in the groups of fan-out.
    #[arg(long, default_values_t = [10, 1_000, 10_000], value_delimiter = ',', value_name = "NUMBER", value_parser = count())]
    pub(crate) fan_out_members: Vec<u32>,
    /// Number of members of the AVChatRoom.
    #[arg(long, default_value_t = 100_000, value_name = "NUMBER", value_parser = count())]
    pub(crate) room_members: u32,
    /// A smoke test: small, fixed sizes instead of the numbers above.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Run the hub under measurement on this directory, in this process.
    #[arg(long, hide = true, value_name = "DIR")]
    pub(crate) run_hub: Option<PathBuf>,
    /// The group rate of --run-hub.
    #[arg(long, hide = true, default_value_t = 0, value_name = "NUMBER")]
    pub(crate) group_rate: u32,
}

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum What {
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

impl Args {
    /// The command line of this process. Ends it if that is invalid.
    pub(crate) fn of_process() -> Self {
        let mut args = Self::parse();
        if args.quick {
            args.shrink();
        }
        if let Err((kind, message)) = args.check() {
            Self::command().error(kind, message).exit();
        }
        args
    }

    fn shrink(&mut self) {
        (self.senders, self.conversations, self.seconds) = (4, None, 1);
        self.rate = None;
        self.stored = self.stored.map(|stored| stored.min(2_000));
        (self.members, self.group_messages) = (5, 50);
        (self.history, self.connections) = (2_000, 20);
        (self.fan_out_members, self.room_members) = (vec![3, 40], 500);
    }

    /// What clap does not check by itself.
    fn check(&self) -> Result<(), (ErrorKind, String)> {
        if self.hub.is_some() && self.what.iter().any(|what| what.needs_own()) {
            let message = "fan-out, priority and room are measured without --hub: they start a hub that is set up for them";
            return Err((ErrorKind::ArgumentConflict, message.to_owned()));
        }
        let (senders, conversations) = (self.senders, self.conversations());
        if conversations < senders {
            let message = format!(
                "--conversations {conversations} is too few for --senders {senders}: a one-to-one conversation has one sender"
            );
            return Err((ErrorKind::ValueValidation, message));
        }
        Ok(())
    }

    /// The measurements to make, in order.
    pub(crate) fn what(&self) -> Vec<What> {
        let all = What::value_variants().iter().copied();
        match &*self.what {
            [] => all
                .filter(|what| self.hub.is_none() || !what.needs_own())
                .collect(),
            chosen => chosen.to_vec(),
        }
    }

    pub(crate) fn conversations(&self) -> u32 {
        self.conversations.unwrap_or(self.senders)
    }

    pub(crate) const fn payload(&self) -> usize {
        self.payload as usize
    }

    pub(crate) fn stored(&self) -> u64 {
        self.stored.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Args, ErrorKind> {
        let all = ["tim-bench"].iter().chain(args);
        let args = Args::try_parse_from(all).map_err(|error| error.kind())?;
        args.check().map_err(|(kind, _)| kind)?;
        Ok(args)
    }

    #[test]
    fn without_options_everything_is_measured_as_documented() {
        let args = parse(&[]).expect("a valid command line");
        assert_eq!(args.what().len(), What::value_variants().len());
        assert_eq!(
            (args.senders, args.conversations(), args.payload()),
            (64, 64, 157)
        );
        assert_eq!((args.stored(), args.seconds, args.json), (0, 5, false));
        let hub = ["--hub", "127.0.0.1:1", "--data", "."];
        let on_hub = parse(&hub).expect("a valid command line").what();
        assert_eq!(on_hub, [What::Sends, What::Group, What::Pages, What::Idle]);
    }

    #[test]
    fn each_conversation_has_one_sender() {
        let args = parse(&["sends", "--senders", "2", "--conversations", "5"]).expect("a valid command line");
        assert_eq!(args.conversations(), 5);
        assert_eq!(
            parse(&["--senders", "2"])
                .expect("a valid command line")
                .conversations(),
            2
        );
        let too_few = parse(&["--conversations", "63"]).expect_err("64 senders");
        assert_eq!(too_few, ErrorKind::ValueValidation);
    }

    #[test]
    fn options_that_do_not_go_together_are_refused() {
        let hub = ["--hub", "127.0.0.1:1", "--data", "."];
        for (more, kind) in [
            (&["--stored", "10"][..], ErrorKind::ArgumentConflict),
            (&["--count-syncs"], ErrorKind::ArgumentConflict),
            (&["room"], ErrorKind::ArgumentConflict),
            (&["--hub-pid", "0"], ErrorKind::ValueValidation),
        ] {
            assert_eq!(
                parse(&[&hub[..], more].concat()).expect_err("a conflict"),
                kind,
                "{more:?}"
            );
        }
        let no_hub = parse(&["--hub-pid", "1"]).expect_err("no hub");
        assert_eq!(no_hub, ErrorKind::MissingRequiredArgument);
        for payload in ["0", "12001", "many"] {
            assert_eq!(
                parse(&["--payload", payload]).expect_err(payload),
                ErrorKind::ValueValidation
            );
        }
    }
}
