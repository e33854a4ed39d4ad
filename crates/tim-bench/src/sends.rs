//! Durable one-to-one sends: each sender waits for the response before it sends again. What was acknowledged is read back.
//!
//! With a rate, messages are due at fixed times, and latency counts from then: a stall delays all that are due meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tim_bench::{Latency, Usage};
use tim_proto::{ConversationId, UserId};
use tokio::task::JoinSet;

use crate::bot::Bot;
use crate::check::{self, Place};
use crate::disk::Disk;
use crate::hub::Target;
use crate::report::{Figure, Report, Value};
use crate::{Failure, Result};

/// Concurrent logins.
const AT_ONCE: usize = 64;
/// How long sends are counted under strace.
const TRACED: Duration = Duration::from_secs(2);

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
    /// Messages that the hub has before.
    pub(crate) stored: u64,
}

/// What a run showed.
struct Run {
    latency: Latency,
    took: Duration,
    duplicates: u64,
    usage: Option<Usage>,
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
struct Pace {
    first: Duration,
    interval: Duration,
}

impl Pace {
    fn due(self, number: u32) -> Duration {
        self.first + self.interval * number
    }
}

impl Load {
    /// The pace of one sender, if there is a rate. All take turns.
    fn pace(&self, sender: u32) -> Option<Pace> {
        let of_all = Duration::from_secs(1) / self.rate?;
        Some(Pace {
            first: of_all * sender,
            interval: Duration::from_secs_f64(f64::from(self.senders) / f64::from(self.rate?)),
        })
    }
}

/// A device with its conversations, each with the sequence that it was at before.
struct Sender {
    bot: Bot,
    conversations: Vec<(ConversationId, u64)>,
}

/// Measures a hub; `traced` is another one for the same load, under strace.
pub(crate) async fn measure(
    report: &mut Report,
    load: &Load,
    target: Target,
    traced: Option<impl FnOnce() -> Result<Target>>,
) -> Result<()> {
    report.begin(
        "sends",
        [
            ("senders", load.senders.into()),
            ("conversations", load.conversations.into()),
            ("payload_bytes", load.payload as u64),
            ("rate", load.rate.unwrap_or_default().into()),
            ("seconds", load.time.as_secs()),
            ("stored_before", load.stored),
        ],
    );
    let mut disk = Disk::new(target.directory(), load.payload, load.senders as usize);
    disk.measure().await?;
    let run = run(&target, load, || Ok(0)).await?.0;
    disk.measure().await?;
    drop(target);
    report_sends(report, load, &run)?;
    report_usage(report, &run)?;
    if let Some(start) = traced {
        let target = start()?;
        let time = load.time.min(TRACED);
        let load = Load { time, ..load.clone() };
        let (run, calls) = self::run(&target, &load, || target.sync_calls()).await?;
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

/// One load, and by how much `count` grew during it.
async fn run(target: &Target, load: &Load, count: impl Fn() -> Result<u64>) -> Result<(Run, u64)> {
    let senders = log_in(target, load).await?;
    let meter = target.meter();
    let before = (meter.as_ref().map(tim_bench::Meter::read), count()?);
    let latency = Arc::new(Mutex::new(Latency::new()));
    let (start, time) = (Instant::now(), load.time);
    let mut tasks = JoinSet::new();
    for (number, mut sender) in (0..).zip(senders) {
        let latency = Arc::clone(&latency);
        let pace = load.pace(number);
        tasks.spawn(async move {
            sender.send_until(start, time, pace, &latency).await?;
            Ok::<_, Failure>(sender)
        });
    }
    let mut senders = Vec::new();
    while let Some(task) = tasks.join_next().await {
        senders.push(task??);
    }
    let took = start.elapsed();
    let usage = meter.zip(before.0).map(|(meter, before)| meter.since(&before));
    let counted = count()?.saturating_sub(before.1);
    let duplicates = senders.iter().map(|sender| sender.bot.duplicates).sum();
    let checked = read_back(senders).await?;
    let latency = latency.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let run = Run {
        latency,
        took,
        duplicates,
        usage,
        checked,
    };
    Ok((run, counted))
}

async fn log_in(target: &Target, load: &Load) -> Result<Vec<Sender>> {
    let text: Arc<str> = tim_bench::text_of(load.payload).into();
    let mut senders = Vec::with_capacity(load.senders as usize);
    let mut logins = JoinSet::new();
    for number in 0..load.senders {
        if logins.len() >= AT_ONCE
            && let Some(sender) = logins.join_next().await
        {
            senders.push(sender??);
        }
        let target = Target::remote(target.address, target.app.clone());
        let receivers = (number..load.conversations).step_by(load.senders as usize);
        let text = Arc::clone(&text);
        logins.spawn(async move { Sender::log_in(&target, number, receivers, text).await });
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
        receivers: impl Iterator<Item = u32>,
        text: Arc<str>,
    ) -> Result<Self> {
        let mut bot = Bot::login(target, &format!("bench-sender-{number}"), number).await?;
        bot.text = text;
        let mut conversations = Vec::new();
        for receiver in receivers {
            let to = ConversationId::C2c(UserId::new(&format!("bench-receiver-{receiver}"))?);
            bot.send(to).await?; // creates the conversation before the measurement
            let at = bot.take_acknowledged(to).first().map(|place| place.sequence);
            conversations.push((to, at.ok_or("the hub did not store a message")?));
        }
        bot.duplicates = 0;
        Ok(Self { bot, conversations })
    }

    async fn send_until(
        &mut self,
        start: Instant,
        time: Duration,
        pace: Option<Pace>,
        latency: &Mutex<Latency>,
    ) -> Result<()> {
        let Self { bot, conversations } = self;
        for (number, (to, _)) in (0..).zip(conversations.iter().cycle()) {
            let sent = match pace {
                Some(pace) => start + pace.due(number),
                None => Instant::now(),
            };
            if sent >= start + time {
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
            }
        }
        Ok(())
    }

    /// Compares what the hub has with what it acknowledged. Returns the number of messages.
    async fn read_back(mut self) -> Result<u64> {
        let mut acknowledged: HashMap<ConversationId, Vec<Place>> = HashMap::new();
        for (to, place) in self.bot.acknowledged.drain(..) {
            acknowledged.entry(to).or_default().push(place);
        }
        let mut checked = 0;
        for (to, after) in self.conversations {
            let places = acknowledged.remove(&to).unwrap_or_default();
            check::conversation(&mut self.bot, to, after, &places).await?;
            checked += places.len() as u64;
        }
        Ok(checked)
    }
}

async fn read_back(senders: Vec<Sender>) -> Result<u64> {
    let mut readers = JoinSet::new();
    for sender in senders {
        readers.spawn(sender.read_back());
    }
    let mut checked = 0;
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
    report.add(Figure::new(key, label, flushes, "per message").note(note))
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
}
