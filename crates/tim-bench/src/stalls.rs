//! Sends at a steady rate, while as many old messages fall out of retention: how long each waits, and how long commits take.
//!
//! The loop is open: a message goes out when it is due, whether or not those before it are answered, and its latency counts from
//! then. A stall of the hub therefore counts for every message that is due meanwhile.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tim_bench::{Latency, Usage};
use tim_proto::Priority;
use tokio::task::JoinSet;

use crate::args::Args;
use crate::hub::{Setup, Target};
use crate::prepare::{self, Ageing};
use crate::report::{Figure, Report, Value};
use crate::sends::{self, Load, Pace, Sender};
use crate::{Failure, Result, blocking};

/// The usual duration, in seconds, and the usual rate of messages a second.
const SECONDS: u64 = 600;
const RATE: u32 = 5_000;
/// The rate of a smoke test.
const QUICK_RATE: u32 = 200;
/// How old the first message is that falls out of retention, in seconds: as old as in a hub as it comes.
const AGE: u64 = 7 * 24 * 60 * 60;
/// Old messages are in so many conversations.
const OLD_CONVERSATIONS: u32 = 64;
/// Messages under way at most, of all senders: half of what waits for a hub's store before it refuses more. What is due beyond waits
/// here, and its latency counts.
const UNDER_WAY: usize = 2_048;
/// How often a hub as it comes removes what is old; a shorter run has ten rounds.
const RETENTION_EVERY: Duration = Duration::from_secs(60);
/// The limits of the histogram, in milliseconds.
const WITHIN: [u64; 9] = [1, 2, 5, 10, 25, 50, 100, 250, 1_000];

/// What came of it.
struct Run {
    took: Duration,
    latency: Latency,
    commits: [(&'static str, &'static str, Latency); 3],
    usage: Option<Usage>,
    /// Old messages that were removed, and how many were old enough when the last round of retention ended at the latest.
    removed: u64,
    due: u64,
    checked: u64,
}

pub(crate) async fn measure(report: &mut Report, args: &Args) -> Result<()> {
    let rate = args.rate.unwrap_or(if args.quick { QUICK_RATE } else { RATE });
    let time = args.time(SECONDS);
    for load in args.loads() {
        let load = Load {
            rate: Some(rate),
            time,
            at_least: 1,
            ..load
        };
        let ageing = Ageing {
            rate,
            messages: u64::from(rate) * (time.as_secs() + 1),
            conversations: OLD_CONVERSATIONS,
            age: AGE,
        };
        let every = RETENTION_EVERY.min(time / 10);
        report.begin(
            "stalls",
            [
                ("senders", load.senders.into()),
                ("conversations", load.conversations.into()),
                ("payload_bytes", load.payload as u64),
                ("rate", rate.into()),
                ("seconds", time.as_secs()),
                ("old_messages", ageing.messages),
                ("retention_every_ms", every.as_millis() as u64),
            ],
        );
        let run = run(&load, ageing, every).await?;
        report_run(report, &load, every, &run)?;
    }
    Ok(())
}

async fn run(load: &Load, ageing: Ageing, every: Duration) -> Result<Run> {
    let text = tim_bench::text_of(load.payload);
    let (senders, conversations, stored) = (load.senders, load.conversations, load.stored);
    let (data, first) = blocking(move || {
        let data = tempfile::tempdir()?;
        let first = ageing.store(data.path(), &text)?;
        prepare::conversations(data.path(), senders, conversations, stored, &text)?;
        Ok((data, first))
    })
    .await?;
    // The first message is as old as the hub keeps messages when the hub starts, whatever storing them took.
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64;
    let setup = Setup {
        retention: (now - first) / 1_000,
        retention_every: every.as_millis() as u64,
        notes_commits: true,
        ..Setup::default()
    };
    let hub_start = Instant::now();
    let mut target = Target::start_as(data, setup)?;
    let senders = sends::log_in(&target, load).await?;
    let meter = target.meter();
    let before = meter.as_ref().map(tim_bench::Meter::read);
    target.clear_commits()?;
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for mut sender in senders {
        let pace = load.pace(sender.number).ok_or("a rate is needed")?;
        let (time, most) = (load.time, (UNDER_WAY / load.senders as usize).max(1));
        tasks.spawn(async move {
            send(&mut sender, start, time, pace, most).await?;
            Ok::<_, Failure>(sender)
        });
    }
    let mut senders = Vec::new();
    while let Some(task) = tasks.join_next().await {
        senders.push(task??);
    }
    let took = start.elapsed();
    let times = target.commits()?;
    let stopped = blocking(|| target.stop_in_order()).await?;
    // Retentions are whole seconds.
    let due = ageing.due_after(hub_start.elapsed() + Duration::from_secs(1));
    let usage = before
        .zip(stopped.counters)
        .map(|(before, now)| now.since(&before));
    let removed = ageing.removed(stopped.data.path())?;
    let mut latency = Latency::new();
    for sender in &senders {
        latency.add(&sender.bot.latency);
    }
    let claims = senders.into_iter().map(Sender::claim).collect();
    let checked = sends::read_back(&stopped.restart()?, claims).await?;
    if removed == 0 || removed > due {
        return Err(
            format!("retention removed {removed} messages, and {due} were old enough at the end").into(),
        );
    }
    let commits = [
        ("commit", "  commits of messages", times.messages),
        (
            "retention_commit",
            "  commits with a step of retention",
            times.retention,
        ),
        (
            "commit_gap",
            "  from one commit of messages to the next",
            times.gaps,
        ),
    ];
    Ok(Run {
        took,
        latency,
        commits: commits.map(|(key, label, classes)| (key, label, Latency::of_classes(&classes))),
        usage,
        removed,
        due,
        checked,
    })
}

/// Sends each message when it is due, at most so many without a response, and waits for all responses.
async fn send(sender: &mut Sender, start: Instant, time: Duration, pace: Pace, most: usize) -> Result<()> {
    let Sender {
        bot, conversations, ..
    } = sender;
    let due = |number: u32| {
        Some(pace.due(number))
            .filter(|due| *due < time)
            .map(|due| start + due)
    };
    let mut next = 0;
    loop {
        let mut is_full = false;
        while let Some(due) = due(next).filter(|due| *due <= Instant::now()) {
            let (to, _) = conversations[next as usize % conversations.len()];
            is_full = bot.under_way() >= most || bot.start_send_due(to, Priority::NORMAL, due)?.is_none();
            if is_full {
                break;
            }
            next += 1;
        }
        let due = due(next);
        if due.is_none() && bot.under_way() == 0 {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() && !is_full => {}
            turn = bot.turn() => turn?,
        }
    }
}

fn report_run(report: &mut Report, load: &Load, every: Duration, run: &Run) -> Result<()> {
    let messages = run.latency.count();
    let rate = messages as f64 / run.took.as_secs_f64();
    let (senders, seconds) = (load.senders, load.time.as_secs());
    let label = format!("sends at a steady rate for {seconds} s, {senders} senders");
    let note = format!("{} conversations, retention every {every:?}", load.conversations);
    report.add(Figure::new("sends_per_second", &label, Value::Round(rate), "messages/s").note(note))?;
    report_histogram(report, "answered", "  until answered, since due", &run.latency)?;
    for (key, label, latency) in &run.commits {
        report_histogram(report, key, label, latency)?;
    }
    let removed = Figure::new(
        "removed",
        "  removed by retention meanwhile",
        Value::Count(run.removed),
        "messages",
    );
    report.add(removed.note(format!("{} were old enough when the hub stopped", run.due)))?;
    let due = Value::Count(run.due);
    report.add_unseen(Figure::new("removed_at_most", "", due, "messages"));
    let cpu = run.usage.and_then(|usage| usage.cpu);
    let cpu = cpu.map(|cpu| Value::Real(cpu.as_secs_f64() * 1e6 / messages.max(1) as f64));
    let figure = Figure::new(
        "hub_cpu_us_per_message",
        "  hub CPU, retention included",
        cpu.unwrap_or(Value::Unknown),
        "us per message",
    );
    report.add(match cpu {
        Some(_) => figure,
        None => figure.note("not on this system"),
    })?;
    let label = "  read back after a restart: there once, in sequence";
    report.add(Figure::new(
        "checked",
        label,
        Value::Count(run.checked),
        "messages",
    ))
}

/// Quantiles, and how many are within each limit.
fn report_histogram(report: &mut Report, key: &str, label: &str, latency: &Latency) -> Result<()> {
    report.add_latency(key, label, latency)?;
    let all = latency.count();
    report.add_unseen(Figure::new(&format!("{key}_count"), "", Value::Count(all), ""));
    let mut shown = Vec::new();
    let mut before = 0;
    for limit in WITHIN {
        let within = latency.within(Duration::from_millis(limit));
        let value = Value::Count(within);
        report.add_unseen(Figure::new(&format!("{key}_within_{limit}_ms"), "", value, ""));
        if within > before {
            shown.push(format!("{} <= {limit} ms", within - before));
        }
        before = within;
    }
    if all > before {
        shown.push(format!("{} more", all - before));
    }
    report.text(&format!("{label}, all {all}"), "", &shown.join(", "))
}
