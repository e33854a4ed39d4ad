//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::RangedI64ValueParser;
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, ValueEnum, value_parser};

use tim_transport_std::tls::ClientTls;
use tim_transport_std::{Address, ConnectOptions};

use crate::attackers::Attack;
use crate::hub::{Setup, Target};
use crate::{Result, sends};

/// The usual duration of sends, in seconds.
const SENDS: u64 = 5;
/// How long the innocent pair is watched beside each attack, in seconds.
pub(crate) const HOSTILE: u64 = 20;
/// The most messages that a run goes on for.
const MAX_MESSAGES: u64 = 1_000_000_000;
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
    /// Measure the hub at this address, with the key from --data: tim://HOST:PORT or HOST:PORT, tims://, ws://, wss://, unix:/PATH.
    /// Its limits apply, such as the rate of sends. Idle connections are measured at tim:// only.
    #[arg(long, value_name = "ADDRESS", requires = "data")]
    pub(crate) hub: Option<Address>,
    /// Trust hubs with a certificate of an authority in this PEM file.
    #[arg(long, value_name = "FILE", requires = "hub")]
    tls_ca: Option<PathBuf>,
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
    /// Number of concurrent senders. Each has one message under way. With several numbers, here and of conversations and stored
    /// messages, each combination is measured, and a table ends the output.
    #[arg(long, default_values_t = [64], value_delimiter = ',', value_name = "NUMBER", value_parser = count())]
    senders: Vec<u32>,
    /// Number of one-to-one conversations that the senders write to in turn [default: one for each sender].
    #[arg(long, value_delimiter = ',', value_name = "NUMBER", value_parser = count())]
    conversations: Vec<u32>,
    /// Number of messages that are due each second, from all senders together [default: each sends as soon as it has its response;
    /// stalls: 5000].
    #[arg(long, value_name = "NUMBER", value_parser = count())]
    pub(crate) rate: Option<u32>,
    /// Length of the texts that are sent, in bytes.
    #[arg(long, default_value_t = PAYLOAD, value_name = "BYTES", value_parser = value_parser!(u32).range(1..=MAX_PAYLOAD))]
    payload: u32,
    /// Number of messages that the hub has before sends are measured, spread over the conversations [default: one in each].
    #[arg(long, value_delimiter = ',', value_name = "NUMBER", conflicts_with_all = ["hub", "tim"], value_parser = value_parser!(u64).range(1..))]
    stored: Vec<u64>,
    /// Go on with sends until so many messages are acknowledged. What a hub writes later, in large steps, counts fully with 100,000.
    #[arg(long, default_value_t = 1, value_name = "NUMBER", value_parser = value_parser!(u64).range(1..=MAX_MESSAGES))]
    at_least: u64,
    /// Count the calls that sync a file in another run of sends, under strace.
    #[arg(long, conflicts_with_all = ["hub", "tim"])]
    pub(crate) count_syncs: bool,
    /// Measure the hub of this program `tim`, for example an older one, instead of the one inside of this program.
    #[arg(long, value_name = "FILE", conflicts_with = "hub")]
    tim: Option<PathBuf>,
    /// Duration of a measurement in seconds [default: sends 5, stalls 600, idle 80].
    #[arg(long, value_name = "SECONDS", value_parser = value_parser!(u64).range(1..=MAX_SECONDS))]
    seconds: Option<u64>,
    /// Number of group members online.
    #[arg(long, default_value_t = 200, value_name = "NUMBER", value_parser = count())]
    pub(crate) members: u32,
    /// Number of messages sent into the group.
    #[arg(long, default_value_t = 2_000, value_name = "NUMBER", value_parser = count())]
    pub(crate) group_messages: u32,
    /// Length of the long conversation that pages are read from.
    #[arg(long, default_value_t = 1_000_000, value_name = "NUMBER", value_parser = value_parser!(u64).range(1..))]
    pub(crate) history: u64,
    /// Numbers of conversations of a user whose list is read.
    #[arg(long, default_values_t = [1_000, 10_000, 100_000], value_delimiter = ',', value_name = "NUMBER", value_parser = count())]
    pub(crate) list_conversations: Vec<u32>,
    /// Number of idle connections.
    #[arg(long, default_value_t = 10_000, value_name = "NUMBER", value_parser = count())]
    pub(crate) connections: u32,
    /// Numbers of members online in the groups of fan-out.
    #[arg(long, default_values_t = [10, 1_000, 10_000], value_delimiter = ',', value_name = "NUMBER", value_parser = count())]
    pub(crate) fan_out_members: Vec<u32>,
    /// Number of members of the AVChatRoom.
    #[arg(long, default_value_t = 100_000, value_name = "NUMBER", value_parser = count())]
    pub(crate) room_members: u32,
    /// Measure idle connections over links in memory, with the hub in this process: as many as the memory holds.
    #[arg(long)]
    pub(crate) in_memory: bool,
    /// A smoke test: small, fixed sizes instead of the numbers above.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Run the hub under measurement on this directory, in this process.
    #[arg(long, hide = true, value_name = "DIR")]
    pub(crate) run_hub: Option<PathBuf>,
    /// How the hub of --run-hub differs from others, as JSON.
    #[arg(long, hide = true, default_value = "{}", value_name = "JSON")]
    pub(crate) hub_setup: String,
    /// Hold --connections idle connections to the hub at this address, and say on stdout what comes of them.
    #[arg(long, hide = true, value_name = "ADDRESS")]
    pub(crate) hold: Option<SocketAddr>,
    /// The number of the first user of --hold.
    #[arg(long, hide = true, default_value_t = 0, value_name = "NUMBER")]
    pub(crate) first: u32,
    /// Attack the hub of --attacked like this.
    #[arg(long, hide = true, value_enum, requires = "attacked", value_name = "ATTACK")]
    pub(crate) attack: Option<Attack>,
    /// The address of the hub that is attacked.
    #[arg(long, hide = true, value_name = "ADDRESS")]
    pub(crate) attacked: Option<SocketAddr>,
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
    /// A user with many conversations: the list, the total unread count, logins, catching up.
    Lists,
    /// Memory of an idle connection in the hub, logins per second, and CPU while nothing happens.
    Idle,
    /// Cost of deliveries into groups of several sizes, with and without a member that does not read.
    FanOut,
    /// A group that is offered ten times its rate: what happens to urgent messages.
    Priority,
    /// An AVChatRoom with very many members.
    Room,
    /// A file of 100 MiB on its way to the hub and back, and messages beside it.
    Files,
    /// Durable sends by calls of the REST interface, beside those of as many devices.
    Rest,
    /// Durable sends beside an application's server that is asked about each: one that answers, hangs, refuses connections, or dies.
    Callbacks,
    /// Ten minutes of sends at a steady rate, while as much falls out of retention: how long each waits, and the commits.
    Stalls,
    /// What an innocent pair of users notices of hostile ones: lists of 100,000 conversations, marks, silent connections, slow writers,
    /// logins, PINGs. Takes some minutes.
    Hostile,
}

impl What {
    /// It needs a hub that is set up for it.
    const fn needs_own(self) -> bool {
        matches!(
            self,
            Self::Callbacks
                | Self::FanOut
                | Self::Hostile
                | Self::Lists
                | Self::Priority
                | Self::Rest
                | Self::Room
                | Self::Stalls
        )
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
        (self.senders, self.conversations) = (vec![4], Vec::new());
        (self.rate, self.seconds, self.at_least) = (None, Some(1), 1);
        for stored in &mut self.stored {
            *stored = 2_000.min(*stored);
        }
        (self.members, self.group_messages) = (5, 50);
        (self.history, self.connections) = (2_000, 20);
        (self.fan_out_members, self.room_members) = (vec![3, 40], 500);
        self.list_conversations = vec![20, 200];
    }

    /// What clap does not check by itself.
    fn check(&self) -> Result<(), (ErrorKind, String)> {
        if self.hub.is_some() && self.what.iter().any(|what| what.needs_own()) {
            let message = "callbacks, fan-out, hostile, lists, priority, rest, room and stalls are measured without --hub: they start a hub that is set up for them";
            return Err((ErrorKind::ArgumentConflict, message.to_owned()));
        }
        if self.tim.is_some()
            && self
                .what()
                .iter()
                .any(|what| what.needs_own() || *what == What::Pages)
        {
            let message = "callbacks, fan-out, hostile, lists, pages, priority, rest, room and stalls are measured without --tim: they start a hub that is set up for them";
            return Err((ErrorKind::ArgumentConflict, message.to_owned()));
        }
        for load in self.loads() {
            let (senders, conversations) = (load.senders, load.conversations);
            if conversations < senders {
                let message = format!(
                    "--conversations {conversations} is too few for --senders {senders}: a one-to-one conversation has one sender"
                );
                return Err((ErrorKind::ValueValidation, message));
            }
        }
        if self.in_memory && (self.hub.is_some() || self.tim.is_some()) {
            let message = "--in-memory needs a hub in this process: leave out --hub and --tim";
            return Err((ErrorKind::ArgumentConflict, message.to_owned()));
        }
        Ok(())
    }

    /// The measurements to make, in order.
    pub(crate) fn what(&self) -> Vec<What> {
        let all = What::value_variants().iter().copied();
        match &*self.what {
            // What takes minutes is asked for by name.
            [] => all
                .filter(|what| !matches!(what, What::Hostile | What::Stalls) || self.quick)
                .filter(|what| *what != What::Files || self.prepares())
                .filter(|what| self.prepares() || !what.needs_own())
                .filter(|what| self.tim.is_none() || *what != What::Pages)
                .collect(),
            chosen => chosen.to_vec(),
        }
    }

    /// The loads of sends to measure: each combination.
    pub(crate) fn loads(&self) -> Vec<sends::Load> {
        let mut loads = Vec::new();
        let or_one = |stored: &[u64]| {
            if stored.is_empty() {
                vec![0]
            } else {
                stored.to_vec()
            }
        };
        for senders in &self.senders {
            for stored in or_one(&self.stored) {
                let one_each = [*senders];
                let conversations = if self.conversations.is_empty() {
                    &one_each[..]
                } else {
                    &self.conversations
                };
                for conversations in conversations {
                    loads.push(sends::Load {
                        senders: *senders,
                        conversations: *conversations,
                        payload: self.payload(),
                        rate: self.rate,
                        time: self.time(SENDS),
                        at_least: self.at_least,
                        stored,
                    });
                }
            }
        }
        loads
    }

    /// How long something is measured, if it is not said.
    pub(crate) fn time(&self, usual: u64) -> Duration {
        Duration::from_secs(self.seconds.unwrap_or(usual))
    }

    pub(crate) const fn payload(&self) -> usize {
        self.payload as usize
    }

    /// A hub of our own for these options.
    pub(crate) fn setup(&self) -> Setup {
        Setup {
            program: self.tim.clone(),
            ..Setup::default()
        }
    }

    /// Whether the data of the hub are made before it starts. Those of another program may be of another version.
    pub(crate) const fn prepares(&self) -> bool {
        self.hub.is_none() && self.tim.is_none()
    }

    /// The hub that the options name, or a new one on an empty directory.
    pub(crate) fn target(&self) -> Result<Target> {
        match (&self.hub, &self.data) {
            (Some(address), Some(data)) => {
                let mut options = ConnectOptions::new();
                if let Some(file) = &self.tls_ca {
                    options = options.with_tls(ClientTls::new().with_roots_from(file)?);
                }
                Target::existing(address.clone(), options, data, self.hub_pid)
            }
            _ => Target::start_as(tempfile::tempdir()?, self.setup()),
        }
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
        assert_eq!(args.what().len(), What::value_variants().len() - 2);
        for long in [What::Hostile, What::Stalls] {
            assert!(
                !args.what().contains(&long),
                "it takes minutes and is asked for by name"
            );
        }
        let [load] = &args.loads()[..] else {
            panic!("one load: {:?}", args.loads())
        };
        assert_eq!((load.senders, load.conversations, load.payload), (64, 64, 157));
        assert_eq!((load.stored, load.time.as_secs(), load.at_least), (0, 5, 1));
        assert!(!args.json);
        let hub = ["--hub", "127.0.0.1:1", "--data", "."];
        let on_hub = parse(&hub).expect("a valid command line").what();
        assert_eq!(on_hub, [What::Sends, What::Group, What::Pages, What::Idle]);
        let on_other = parse(&["--tim", "tim"]).expect("a valid command line").what();
        assert_eq!(on_other, [What::Sends, What::Group, What::Idle]);
    }

    #[test]
    fn each_conversation_has_one_sender() {
        let conversations = |args: &[&str]| {
            let loads = parse(args).expect("a valid command line").loads();
            loads.iter().map(|load| load.conversations).collect::<Vec<u32>>()
        };
        assert_eq!(
            conversations(&["sends", "--senders", "2", "--conversations", "5"]),
            [5]
        );
        assert_eq!(conversations(&["--senders", "2,7"]), [2, 7]);
        let too_few = parse(&["--conversations", "63"]).expect_err("64 senders");
        assert_eq!(too_few, ErrorKind::ValueValidation);
    }

    #[test]
    fn several_numbers_are_measured_in_each_combination() {
        let args = [
            "--senders",
            "1,16",
            "--stored",
            "100,1000000",
            "--conversations",
            "64,10000",
        ];
        let loads = parse(&args).expect("a valid command line").loads();
        let loads: Vec<(u32, u64, u32)> = loads
            .iter()
            .map(|load| (load.senders, load.stored, load.conversations))
            .collect();
        assert_eq!(loads.len(), 8);
        assert_eq!(loads[..2], [(1, 100, 64), (1, 100, 10_000)]);
        assert_eq!(loads[7], (16, 1_000_000, 10_000));
    }

    #[test]
    fn options_that_do_not_go_together_are_refused() {
        let hub = ["--hub", "127.0.0.1:1", "--data", "."];
        for (more, kind) in [
            (&["--stored", "10"][..], ErrorKind::ArgumentConflict),
            (&["--count-syncs"], ErrorKind::ArgumentConflict),
            (&["room"], ErrorKind::ArgumentConflict),
            (&["stalls"], ErrorKind::ArgumentConflict),
            (&["--tim", "tim"], ErrorKind::ArgumentConflict),
            (&["idle", "--in-memory"], ErrorKind::ArgumentConflict),
            (&["--hub-pid", "0"], ErrorKind::ValueValidation),
        ] {
            assert_eq!(
                parse(&[&hub[..], more].concat()).expect_err("a conflict"),
                kind,
                "{more:?}"
            );
        }
        for more in [
            &["--stored", "10"][..],
            &["--count-syncs"],
            &["pages"],
            &["stalls"],
        ] {
            let conflict = parse(&[&["--tim", "tim"], more].concat()).expect_err("a conflict");
            assert_eq!(conflict, ErrorKind::ArgumentConflict, "{more:?}");
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
