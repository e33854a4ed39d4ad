//! Durable one-to-one sends: each sender waits for the response before it sends again. What was acknowledged is read back.
//!
//! With a rate, messages are due at fixed times, and latency counts from then: a stall delays all that are due meanwhile.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tim_bench::{Latency, Usage};
use tim_proto::ConversationId;
use tokio::task::JoinSet;

use crate::args::Args;
use crate::bot::Bot;
use crate::check::{self, Place};
use crate::disk::Disk;
use crate::hub::{Setup, Target};
use crate::report::{Column, Figure, Report, Value};
use crate::thread_groups::THREADS;
use crate::{Failure, Result, blocking, prepare};

/// Concurrent logins.
const AT_ONCE: usize = 64;
/// How long sends are counted under strace.
const TRACED: Duration = Duration::from_secs(2);
/// The summary of several loads.
const TABLE: &[Column] = &[
    Column("senders", "senders"),
    Column("conversations", "conversations"),
    Column("stored before", "stored_before"),
    Column("messages/s", "sends_per_second"),
    Column("p50 ms", "latency_p50_ms"),
    Column("p99 ms", "latency_p99_ms"),
    Column("p99.9 ms", "latency_p999_ms"),
    Column("max ms", "latency_max_ms"),
    Column("hub CPU us", "hub_cpu_us_per_message"),
    Column("its writer us", "writer_cpu_us_per_message"),
    Column("dirty B", "written_bytes_per_message"),
    Column("to disk B", "disk_written_bytes_per_message"),
    Column("flushes", "disk_flushes_per_message"),
    Column("grown B", "grown_bytes_per_message"),
    Column("clients' CPU us", "clients_cpu_us_per_message"),
    Column("messages", "checked"),
    Column("load", "load"),
];

/// The size of the measurement.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) senders: u32,
    /// At least one for each sender.
    pub(crate) conversations: u32,
    /// The bytes of a text.
    pub(crate) payload: usize,
    /// Messages that are due each second, from all senders.
    pub(crate) rate: Option<u32>,
    pub(crate) time: Duration,
    /// It goes on until so many are acknowledged.
    pub(crate) at_least: u64,
    /// Messages that the conversations have before.
    pub(crate) stored: u64,
}

/// What a run showed.
struct Run {
    latency: Latency,
    took: Duration,
    duplicates: u64,
    /// CPU time of this program, which is all clients.
    clients_cpu: Option<Duration>,
    usage: Option<Usage>,
    /// CPU time of the hub's threads until the last response, by their names.
    threads: Option<BTreeMap<String, Duration>>,
    /// By how much the data have grown on the disk, of a hub that was stopped in order.
    grown: Option<u64>,
    sync_calls: Option<u64>,
    checked: u64,
}

impl Run {
    /// Messages a second.
    fn rate(&self) -> f64 {
        self.latency.count() as f64 / self.took.as_secs_f64()
    }
}

/// When one sender's messages are due.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    first: Duration,
    interval: Duration,
}

impl Pace {
    pub(crate) fn due(self, number: u32) -> Duration {
        self.first + self.interval * number
    }
}

impl Load {
    /// The pace of one sender, if there is a rate. All take turns.
    pub(crate) fn pace(&self, sender: u32) -> Option<Pace> {
        let of_all = Duration::from_secs(1) / self.rate?;
        Some(Pace {
            first: of_all * sender,
            interval: Duration::from_secs_f64(f64::from(self.senders) / f64::from(self.rate?)),
        })
    }

    /// The conversations of one sender, by their numbers.
    fn of_sender(&self, sender: u32) -> impl Iterator<Item = u32> {
        (sender..self.conversations).step_by(self.senders as usize)
    }

    /// The messages a second of a run on a hub of its own, which is read back.
    pub(crate) async fn rate_of_a_run(&self) -> Result<f64> {
        let target = Target::start_as(self.prepare().await?, Setup::default())?;
        Ok(run(target, self).await?.rate())
    }

    /// The directory of a hub that has these conversations.
    pub(crate) async fn prepare(&self) -> Result<tempfile::TempDir> {
        let (load, text) = (self.clone(), tim_bench::text_of(self.payload));
        let Self {
            senders,
            conversations,
            stored,
            ..
        } = load;
        blocking(move || {
            let data = tempfile::tempdir()?;
            prepare::conversations(data.path(), senders, conversations, stored, &text)?;
            Ok(data)
        })
        .await
    }
}

/// A device with its conversations, each with the sequence that it was at before.
pub(crate) struct Sender {
    pub(crate) bot: Bot,
    pub(crate) number: u32,
    pub(crate) conversations: Vec<(ConversationId, u64)>,
}

/// What the hub must have in the conversations of one sender.
pub(crate) struct Claim {
    number: u32,
    conversations: Vec<(ConversationId, u64)>,
    acknowledged: Vec<(ConversationId, Place)>,
}

/// When a run ends.
#[derive(Debug)]
struct End {
    start: Instant,
    time: Duration,
    at_least: u64,
    acknowledged: AtomicU64,
}

impl End {
    /// Whether a message of this time is one too many.
    fn is_before(&self, time: Instant) -> bool {
        time >= self.start + self.time && self.acknowledged.load(Ordering::Relaxed) >= self.at_least
    }
}

/// Measures all loads that the options name, each on a hub of its own unless they name one.
pub(crate) async fn measure_all(report: &mut Report, args: &Args) -> Result<()> {
    for load in args.loads() {
        measure(report, &load, args).await?;
    }
    report.table("sends", TABLE)
}

async fn measure(report: &mut Report, load: &Load, args: &Args) -> Result<()> {
    let start = Instant::now();
    let target = match args.prepares() {
        false => args.target()?,
        true => Target::start_as(load.prepare().await?, args.setup())?,
    };
    let prepared = start.elapsed();
    report.begin(
        "sends",
        [
            ("senders", load.senders.into()),
            ("conversations", load.conversations.into()),
            ("payload_bytes", load.payload as u64),
            ("rate", load.rate.unwrap_or_default().into()),
            ("seconds", load.time.as_secs()),
            ("at_least", load.at_least),
            ("stored_before", load.stored),
        ],
    );
    let mut disk = Disk::new(target.directory(), load.payload, load.senders as usize);
    disk.measure().await?;
    let run = run(target, load).await?;
    // The hub's directory is gone with it.
    disk.measure_in(&std::env::temp_dir()).await?;
    report_sends(report, load, &run)?;
    if load.stored > 0 {
        let label = "  the messages before, stored in";
        report.add(Figure::new(
            "prepared_in_ms",
            label,
            Value::millis(prepared),
            "ms",
        ))?;
    }
    report_usage(report, &run)?;
    if args.count_syncs {
        let time = load.time.min(TRACED);
        let load = Load {
            time,
            at_least: 1,
            ..load.clone()
        };
        let run = self::run(Target::start_traced(load.prepare().await?)?, &load).await?;
        let calls = run.sync_calls.ok_or("strace has counted nothing")?;
        report.add(
            Figure::new(
                "sync_calls_per_message",
                "  calls that sync a file",
                Value::Real(calls as f64 / run.latency.count().max(1) as f64),
                "per message",
            )
            .note("counted by strace in another run, which is slower"),
        )?;
    }
    disk.report(report, run.rate())
}

/// One load. A hub of our own is stopped in order after it, so that its costs are complete, and read back when it has started again.
async fn run(target: Target, load: &Load) -> Result<Run> {
    let senders = log_in(&target, load).await?;
    let meter = target.meter();
    let before = meter.as_ref().map(tim_bench::Meter::read);
    let calls = target.sync_calls().ok();
    let threads = meter.as_ref().and_then(tim_bench::Meter::threads);
    let own_cpu = tim_bench::own_cpu();
    let (senders, latency, took) = send_all(senders, load).await?;
    let clients_cpu = own_cpu
        .zip(tim_bench::own_cpu())
        .map(|(before, now)| now.saturating_sub(before));
    let threads = threads.zip(meter.as_ref().and_then(tim_bench::Meter::threads));
    let duplicates = senders.iter().map(|sender| sender.bot.duplicates).sum();
    let mut run = Run {
        latency,
        took,
        duplicates,
        clients_cpu,
        usage: None,
        threads: threads.map(|(before, now)| now.since(&before)),
        grown: None,
        sync_calls: None,
        checked: 0,
    };
    if target.is_own() {
        let claims = senders.into_iter().map(Sender::claim).collect();
        let stopped = blocking(|| target.stop_in_order()).await?;
        run.usage = before
            .zip(stopped.counters)
            .map(|(before, now)| now.since(&before));
        run.grown = Some(stopped.grown);
        run.sync_calls = calls.and_then(|calls| Some(stopped.sync_calls().ok()?.saturating_sub(calls)));
        run.checked = read_back(&stopped.restart()?, claims).await?;
    } else {
        run.usage = meter.zip(before).map(|(meter, before)| meter.since(&before));
        run.checked = read_back(&target, senders.into_iter().map(Sender::claim).collect()).await?;
    }
    Ok(run)
}

/// Has all of them send until the load is over. Returns them, how long each message took, and how long all did.
pub(crate) async fn send_all(senders: Vec<Sender>, load: &Load) -> Result<(Vec<Sender>, Latency, Duration)> {
    let latency = Arc::new(Mutex::new(Latency::new()));
    let end = Arc::new(End {
        start: Instant::now(),
        time: load.time,
        at_least: load.at_least,
        acknowledged: AtomicU64::new(0),
    });
    let mut tasks = JoinSet::new();
    for mut sender in senders {
        let (latency, end) = (Arc::clone(&latency), Arc::clone(&end));
        let pace = load.pace(sender.number);
        tasks.spawn(async move {
            sender.send_until(&end, pace, &latency).await?;
            Ok::<_, Failure>(sender)
        });
    }
    let mut senders = Vec::new();
    while let Some(task) = tasks.join_next().await {
        senders.push(task??);
    }
    let took = end.start.elapsed();
    let latency = latency.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok((senders, latency, took))
}

/// All senders, logged in.
pub(crate) async fn log_in(target: &Target, load: &Load) -> Result<Vec<Sender>> {
    let text: Arc<str> = tim_bench::text_of(load.payload).into();
    let mut senders = Vec::with_capacity(load.senders as usize);
    let mut logins = JoinSet::new();
    for number in 0..load.senders {
        if logins.len() >= AT_ONCE
            && let Some(sender) = logins.join_next().await
        {
            senders.push(sender??);
        }
        // Prepared conversations are there, with as many messages as we put there.
        let is_prepared = target.is_prepared();
        let target = target.share();
        let (load, text) = (load.clone(), Arc::clone(&text));
        logins.spawn(async move { Sender::log_in(&target, number, &load, text, is_prepared).await });
    }
    while let Some(sender) = logins.join_next().await {
        senders.push(sender??);
    }
    Ok(senders)
}

impl Sender {
    async fn log_in(
        target: &Target,
        number: u32,
        load: &Load,
        text: Arc<str>,
        is_prepared: bool,
    ) -> Result<Self> {
        let mut bot = Bot::login(target, &prepare::sender(number), number).await?;
        bot.text = text;
        let mut conversations = Vec::new();
        for conversation in load.of_sender(number) {
            let to = ConversationId::C2c(prepare::pair(load.senders, conversation)?.1);
            let at = match is_prepared {
                true => Some(prepare::messages_in(
                    conversation,
                    load.conversations,
                    load.stored,
                )),
                false => {
                    bot.send(to).await?; // creates the conversation before the measurement
                    bot.take_acknowledged(to).first().map(|place| place.sequence)
                }
            };
            conversations.push((to, at.ok_or("the hub did not store a message")?));
        }
        bot.duplicates = 0;
        Ok(Self {
            bot,
            number,
            conversations,
        })
    }

    async fn send_until(&mut self, end: &End, pace: Option<Pace>, latency: &Mutex<Latency>) -> Result<()> {
        let Self {
            bot, conversations, ..
        } = self;
        for (number, (to, _)) in (0..).zip(conversations.iter().cycle()) {
            let sent = match pace {
                Some(pace) => end.start + pace.due(number),
                None => Instant::now(),
            };
            if end.is_before(sent) {
                break;
            }
            while Instant::now() < sent {
                tokio::select! {
                    () = tokio::time::sleep_until(sent.into()) => {}
                    turn = bot.turn() => turn?,
                }
            }
            let before = bot.duplicates;
            bot.send(*to).await?;
            // A duplicate cost the hub no write.
            if bot.duplicates == before {
                let took = sent.elapsed();
                latency
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .record(took);
                end.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// What it was acknowledged.
    pub(crate) fn claim(self) -> Claim {
        Claim {
            number: self.number,
            conversations: self.conversations,
            acknowledged: self.bot.acknowledged,
        }
    }
}

impl Claim {
    /// Compares what the hub has with what it acknowledged. Returns the number of messages.
    async fn read_back(self, target: &Target) -> Result<u64> {
        let mut bot = Bot::login(target, &prepare::sender(self.number), self.number).await?;
        let mut acknowledged: HashMap<ConversationId, Vec<Place>> = HashMap::new();
        for (to, place) in self.acknowledged {
            acknowledged.entry(to).or_default().push(place);
        }
        let mut checked = 0;
        for (to, after) in self.conversations {
            let places = acknowledged.remove(&to).unwrap_or_default();
            check::conversation(&mut bot, to, after, &places).await?;
            checked += places.len() as u64;
        }
        Ok(checked)
    }
}

/// Compares what the hub has with what it acknowledged, to all senders. Returns the number of messages.
pub(crate) async fn read_back(target: &Target, claims: Vec<Claim>) -> Result<u64> {
    let mut readers = JoinSet::new();
    let mut checked = 0;
    for claim in claims {
        if readers.len() >= AT_ONCE
            && let Some(reader) = readers.join_next().await
        {
            checked += reader??;
        }
        let target = target.share();
        readers.spawn(async move { claim.read_back(&target).await });
    }
    while let Some(reader) = readers.join_next().await {
        checked += reader??;
    }
    Ok(checked)
}

fn report_sends(report: &mut Report, load: &Load, run: &Run) -> Result<()> {
    let rate = run.rate();
    let (senders, conversations, payload) = (load.senders, load.conversations, load.payload);
    let label = format!("durable sends, {senders} senders");
    let note = format!("{payload} bytes of text, {conversations} conversations");
    report.add(Figure::new("sends_per_second", &label, Value::Round(rate), "messages/s").note(note))?;
    report.add_latency("latency", "  until answered", &run.latency)?;
    let label = "  answered as duplicates, and not counted";
    let duplicates = Figure::new("duplicates", label, Value::Count(run.duplicates), "messages");
    match run.duplicates {
        0 => report.add_unseen(duplicates),
        _ => report.add(duplicates)?,
    }
    let label = "  read back: there once, in sequence";
    report.add(Figure::new(
        "checked",
        label,
        Value::Count(run.checked),
        "messages",
    ))
}

fn report_usage(report: &mut Report, run: &Run) -> Result<()> {
    let messages = run.latency.count().max(1) as f64;
    let usage = run.usage;
    // Of another machine, or of another user's process.
    let note = match usage {
        Some(_) => "not on this system, or not for this user",
        None => "the hub's process is not known; --hub-pid names one on this machine",
    };
    let mut add = |figure: Figure| match figure.is_unknown() {
        true => report.add(figure.note(note)),
        false => report.add(figure),
    };
    let cpu = usage.and_then(|usage| usage.cpu);
    let cpu = cpu.map(|cpu| Value::Real(cpu.as_secs_f64() * 1e6 / messages));
    add(Figure::new(
        "hub_cpu_us_per_message",
        "  hub CPU",
        cpu.unwrap_or(Value::Unknown),
        "us per message",
    ))?;
    for (key, label, time) in THREADS.iter().map(|group| group.of(run.threads.as_ref())) {
        let time = time.map(|time| Value::Real(time.as_secs_f64() * 1e6 / messages));
        add(Figure::new(
            key,
            label,
            time.unwrap_or(Value::Unknown),
            "us per message",
        ))?;
    }
    let clients = run
        .clients_cpu
        .map(|cpu| Value::Real(cpu.as_secs_f64() * 1e6 / messages));
    add(Figure::new(
        "clients_cpu_us_per_message",
        "  CPU of all clients",
        clients.unwrap_or(Value::Unknown),
        "us per message",
    ))?;
    let written = usage.and_then(|usage| usage.written);
    let written = written.map(|bytes| Value::Round(bytes as f64 / messages));
    add(Figure::new(
        "written_bytes_per_message",
        "  made dirty in the page cache",
        written.unwrap_or(Value::Unknown),
        "bytes per message",
    ))?;
    let note = match usage {
        Some(Usage { flushes: Some(_), .. }) => "counted by the block device, for all processes",
        Some(_) => "the data are on no block device",
        None => note,
    };
    let disk_written = usage.and_then(|usage| usage.disk_written);
    let bytes = disk_written.map_or(Value::Unknown, |bytes| Value::Round(bytes as f64 / messages));
    let (key, label) = ("disk_written_bytes_per_message", "  written to the disk");
    report.add(Figure::new(key, label, bytes, "bytes per message").note(note))?;
    let flushes = usage.and_then(|usage| usage.flushes);
    let flushes = flushes.map_or(Value::Unknown, |flushes| Value::Real(flushes as f64 / messages));
    let (key, label) = ("disk_flushes_per_message", "  flushes of the disk");
    report.add(Figure::new(key, label, flushes, "per message").note(note))?;
    let grown = run.grown.map(|bytes| Value::Round(bytes as f64 / messages));
    let (key, label) = ("grown_bytes_per_message", "  by which the data have grown");
    let figure = Figure::new(key, label, grown.unwrap_or(Value::Unknown), "bytes per message");
    report.add(match grown {
        Some(_) => figure,
        None => figure.note("only for a hub that this program stops"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_take_turns_at_a_rate() {
        let load = Load {
            senders: 4,
            conversations: 4,
            payload: 1,
            rate: Some(8),
            time: Duration::from_secs(1),
            at_least: 1,
            stored: 0,
        };
        let due = |sender| {
            let pace = load.pace(sender).expect("there is a rate");
            [0, 1].map(|number| pace.due(number).as_millis())
        };
        assert_eq!(
            [0, 1, 2, 3].map(due),
            [[0, 500], [125, 625], [250, 750], [375, 875]]
        );
        assert!(Load { rate: None, ..load }.pace(0).is_none());
    }

    #[test]
    fn a_run_ends_when_both_its_time_and_its_messages_are_over() {
        let end = End {
            start: Instant::now(),
            time: Duration::from_secs(2),
            at_least: 3,
            acknowledged: AtomicU64::new(2),
        };
        let at = |seconds| end.start + Duration::from_secs(seconds);
        assert!(!end.is_before(at(1)) && !end.is_before(at(9)));
        end.acknowledged.store(3, Ordering::Relaxed);
        assert!(!end.is_before(at(1)) && end.is_before(at(2)));
    }
}
