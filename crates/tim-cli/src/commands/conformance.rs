//! `tim conformance`: holds a hub against the requirements, row by row.

use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::time::Duration;

use serde_json::json;
use tim_conformance::{Outcome, OwnHub, Report, Selection, Target, requirements};
use tim_transport_std::Address;
use tim_transport_std::session::Framing;
use tim_usersig::UserSig;

use crate::connect::TlsArgs;
use crate::error::{EXIT_CODES, Failure};
use crate::session::{block_on_threads, failure};
use crate::terminal::Safe;
use crate::time::now;

use super::sig::KeyArgs;

/// The lifetime of the UserSigs of a run, in seconds.
const SIG_SECONDS: u64 = 3600;

/// Check a hub against the requirements, row by row.
///
/// Without --hub, a hub of its own is started in this process, on a temporary directory; only then are the rows about the
/// hub's clock and settings decided. On a hub in production use, the checks make users and groups with random ids, whose
/// ids begin with cf; the groups are dismissed at the end. Fails if a row fails.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Args {
    /// Address of the hub to check [default: a hub of its own].
    #[arg(
        long,
        visible_alias = "connect",
        value_name = "ADDRESS",
        env = "TIM_HUB",
        hide_env_values = true
    )]
    hub: Option<Address>,
    #[command(flatten)]
    tls: TlsArgs,
    #[command(flatten)]
    key: KeyArgs,
    /// Check these rows only, separated by commas; --list prints them.
    #[arg(long, value_name = "ROWS", default_value_t)]
    row: Rows,
    /// Print the report as JSON.
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print the report as a Markdown page.
    #[arg(long)]
    markdown: bool,
    /// Print the rows and check nothing.
    #[arg(long)]
    list: bool,
    /// How many rows are checked at the same time.
    #[arg(long, value_name = "NUMBER", default_value = "8")]
    jobs: NonZeroUsize,
    /// Time limit for each row.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3600))]
    timeout: u32,
}

/// The value of `--row`.
#[derive(Debug, Clone, Default)]
struct Rows(Option<Selection>);

impl std::str::FromStr for Rows {
    type Err = tim_conformance::UnknownRow;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(match text {
            "all" => None,
            rows => Some(rows.parse()?),
        }))
    }
}

impl std::fmt::Display for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("all")
    }
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    if args.list {
        return list(args.json);
    }
    let selection = args.row.0.clone().unwrap_or_default();
    let selection = selection
        .with_concurrency(args.jobs)
        .with_deadline(Duration::from_secs(args.timeout.into()));
    let report = block_on_threads(async {
        match &args.hub {
            Some(hub) => check_other(hub, args, &selection).await,
            None => check_own(&selection).await,
        }
    })?;
    print(args, &report)?;
    if report.is_conforming() {
        return Ok(());
    }
    let failed: Vec<_> = report
        .with_outcome(Outcome::Fail)
        .map(|row| row.row.as_str())
        .collect();
    Err(Failure::failed(format_args!("{} failed", failed.join(", "))))
}

async fn check_other(hub: &Address, args: &Args, selection: &Selection) -> Result<Report, Failure> {
    if hub.framing() == Framing::Serial {
        return Err(Failure::usage(
            "a serial port carries one session, but the checks need several at once",
        ));
    }
    let app = args.key.app()?;
    let target = Target::new(app.id, args.tls.connector(hub)?, move |user| {
        UserSig::sign(&app, user, now(), SIG_SECONDS)
    });
    target.probe().await.map_err(failure)?;
    Ok(tim_conformance::run(&target, selection).await)
}

async fn check_own(selection: &Selection) -> Result<Report, Failure> {
    let hub =
        OwnHub::start().map_err(|error| Failure::failed(format_args!("cannot start a hub: {error}")))?;
    let report = tim_conformance::run(&hub.target(), selection).await;
    hub.stop().await;
    Ok(report)
}

fn print(args: &Args, report: &Report) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{}", report.to_json())
    } else if args.markdown {
        write!(out, "{}", report.to_markdown())
    } else {
        // Reasons may have texts that came from the hub.
        write!(out, "{}", Safe::lines(&report.to_string(), 0))
    }
}

fn list(as_json: bool) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if as_json {
        let rows: Vec<_> = requirements()
            .map(|row| json!({ "row": format!("S{}", row.number), "chapter": row.chapter, "asks": row.asks }))
            .collect();
        writeln!(out, "{}", json!(rows))?;
    } else {
        for row in requirements() {
            writeln!(
                out,
                "{:<5} {}: {}",
                format!("S{}", row.number),
                row.chapter,
                row.asks
            )?;
        }
    }
    Ok(())
}
