//! A group whose members are all online: the cost of a delivery, and the effect of a member that does not read.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tim_bench::Latency;
use tim_proto::{ConversationId, GroupType};
use tokio::task::JoinSet;

use crate::bot::Bot;
use crate::check;
use crate::group::{missing, patience, per_core};
use crate::hub::Target;
use crate::member::Member;
use crate::prepare::{self, OWNER, member};
use crate::report::{Figure, Report, Value};
use crate::{Result, blocking};

/// Concurrent logins.
const AT_ONCE: usize = 64;
/// Fewer members take too little memory to measure.
const ENOUGH_TO_WEIGH: u32 = 500;
/// Messages after which a member that does not read is behind: more than a window and a mailbox hold.
const FALL_BEHIND: u32 = 400;

/// The size of the measurement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    members: u32,
    /// Messages of the first part, sent as fast as the hub accepts them.
    flood: u32,
    /// Messages of each later part, sent at a steady pace.
    paced: u32,
    pace: Duration,
}

impl Load {
    /// A load of a few seconds for each part, or a minimal one.
    pub(crate) fn of(members: u32, quick: bool) -> Self {
        let members = members.max(1);
        // Well below the capacity of the hub, so that delays are not queueing delays.
        let pace = Duration::from_micros(50 * u64::from(members)).max(Duration::from_millis(20));
        let (flood, paced) = if quick {
            (50, 10)
        } else {
            let paced = Duration::from_secs(6).as_micros() / pace.as_micros();
            ((4_000_000 / members).clamp(400, 20_000), (paced as u32).max(12))
        };
        Self {
            members,
            flood,
            paced,
            pace,
        }
    }
}

/// When each message was sent, in microseconds from the start.
struct Times {
    start: Instant,
    sent: Vec<AtomicU64>,
}

impl Times {
    fn now(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }
}

pub(crate) async fn measure(report: &mut Report, load: Load) -> Result<()> {
    let Load {
        members,
        flood,
        paced,
        pace,
    } = load;
    // One more: the member that does not read.
    let prepared = blocking(move || prepare::group(GroupType::COMMUNITY, members + 1)).await?;
    let entries = prepared.entries;
    let group = ConversationId::Group(prepared.group);
    report.begin(
        "fan-out",
        [
            ("members", members.into()),
            ("flood", flood.into()),
            ("paced", paced.into()),
        ],
    );
    report.text(&format!("a group of {members} online"), "", "")?;
    let label = "  its making, in one commit";
    report.add(Figure::new(
        "making_ms",
        label,
        Value::millis(prepared.took),
        "ms",
    ))?;
    let target = Target::start(prepared.data, 0)?;
    let sent = flood + FALL_BEHIND + 3 * paced;
    let times = Arc::new(Times {
        start: Instant::now(),
        sent: (0..sent).map(|_| AtomicU64::new(0)).collect(),
    });
    let mut sender = Sender {
        bot: Bot::login(&target, OWNER, 0).await?,
        group,
        times: Arc::clone(&times),
        next: 0,
    };
    let before = target.memory();
    let bots = log_in(&target, members).await?;
    let after = target.memory();
    let all = Arc::new(AtomicU64::new(0));
    let mut receivers = Receivers::new();
    for bot in bots {
        receivers.spawn(receive(bot, Arc::clone(&times), Arc::clone(&all)));
    }
    measure_flood(report, &target, &mut sender, flood, members, &all).await?;
    if members >= ENOUGH_TO_WEIGH {
        let more = before
            .zip(after)
            .map(|(before, after)| after.saturating_sub(before));
        report_memory(report, more.map(|bytes| bytes as f64 / f64::from(members)))?;
    }
    sender.paced(paced, pace).await?;
    let mut slow = Member::login(&target, &member(members)).await?;
    sender.flood(FALL_BEHIND).await?;
    sender.paced(paced, pace).await?;
    // It has read nothing since, and finds what fits into the buffers between the hub and it.
    slow.turn().await?;
    if slow.raw.delivered >= u64::from(FALL_BEHIND) {
        return Err("the member that does not read received everything".into());
    }
    drop(slow);
    sender.paced(paced, pace).await?;
    let parts = [0, paced + FALL_BEHIND, 2 * paced + FALL_BEHIND].map(|first| (flood + first) as usize);
    let parts = parts.map(|from| from..from + paced as usize);
    report_delays(report, delays(receivers, parts).await?)?;
    sender.bot.check_stored()?;
    let acknowledged = sender.bot.take_acknowledged(group);
    check::equal("messages acknowledged", acknowledged.len() as u64, sent.into())?;
    check::conversation_from_first(&mut sender.bot, group, &acknowledged).await?;
    drop(sender);
    report_entries(report, target, entries, sent)
}

type Receivers = JoinSet<Result<Vec<u32>>>;

/// The latencies of the messages of these parts, at all members.
async fn delays(mut receivers: Receivers, parts: [Range<usize>; 3]) -> Result<[Vec<Duration>; 3]> {
    let mut delays: [Vec<Duration>; 3] = Default::default();
    while let Some(times) = receivers.join_next().await {
        let times = times??;
        for (delays, part) in delays.iter_mut().zip(&parts) {
            let times = times.get(part.clone()).unwrap_or_default();
            delays.extend(times.iter().map(|time| Duration::from_micros(u64::from(*time))));
        }
    }
    Ok(delays)
}

async fn log_in(target: &Target, members: u32) -> Result<Vec<Member>> {
    let mut bots = Vec::with_capacity(members as usize);
    let mut logins = JoinSet::new();
    for number in 0..members {
        if logins.len() >= AT_ONCE
            && let Some(bot) = logins.join_next().await
        {
            bots.push(bot??);
        }
        let target = target.share();
        logins.spawn(async move { Member::login(&target, &member(number)).await });
    }
    while let Some(bot) = logins.join_next().await {
        bots.push(bot??);
    }
    Ok(bots)
}

/// Takes all messages; returns the latency of each in microseconds.
async fn receive(mut bot: Member, times: Arc<Times>, all: Arc<AtomicU64>) -> Result<Vec<u32>> {
    let mut delays = Vec::with_capacity(times.sent.len());
    while delays.len() < times.sent.len() {
        match tokio::time::timeout(patience(), bot.turn()).await {
            Ok(turn) => turn?,
            Err(_) => return Err(missing(delays.len(), times.sent.len())),
        }
        let now = times.now();
        let came = bot.raw.delivered as usize;
        let new = times.sent.get(delays.len()..came);
        let new = new.ok_or("more came than was sent")?;
        all.fetch_add(new.len() as u64, Ordering::Relaxed);
        delays.extend(
            new.iter()
                .map(|sent| now.saturating_sub(sent.load(Ordering::Relaxed)) as u32),
        );
    }
    Ok(delays)
}

/// The sender.
struct Sender {
    bot: Bot,
    group: ConversationId,
    times: Arc<Times>,
    next: usize,
}

impl Sender {
    /// Sends as fast as the hub accepts messages, and waits until they are stored.
    async fn flood(&mut self, messages: u32) -> Result<()> {
        let wanted = self.bot.stored + u64::from(messages);
        let mut left = messages;
        while self.bot.stored < wanted {
            if left > 0 && self.send()? {
                left -= 1;
            } else {
                self.bot.turn().await?;
            }
        }
        Ok(())
    }

    /// Sends at a steady pace, and waits until they are stored.
    async fn paced(&mut self, messages: u32, pace: Duration) -> Result<()> {
        // Earlier messages are delivered by then.
        let mut next = tokio::time::Instant::now() + Duration::from_secs(1);
        let wanted = self.bot.stored + u64::from(messages);
        let mut left = messages;
        while self.bot.stored < wanted {
            tokio::select! {
                () = tokio::time::sleep_until(next), if left > 0 => {
                    if self.send()? {
                        left -= 1;
                    }
                    next += pace;
                }
                turn = self.bot.turn() => turn?,
            }
        }
        Ok(())
    }

    fn send(&mut self) -> Result<bool> {
        if let Some(sent) = self.times.sent.get(self.next) {
            sent.store(self.times.now(), Ordering::Relaxed);
        }
        let is_sent = self.bot.start_send(self.group)?;
        self.next += usize::from(is_sent);
        Ok(is_sent)
    }
}

async fn measure_flood(
    report: &mut Report,
    target: &Target,
    sender: &mut Sender,
    messages: u32,
    members: u32,
    all: &AtomicU64,
) -> Result<()> {
    let deliveries = u64::from(members) * u64::from(messages);
    let meter = target.meter().ok_or("the hub is not ours")?;
    let (start, before) = (Instant::now(), meter.read());
    sender.flood(messages).await?;
    while all.load(Ordering::Relaxed) < deliveries {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let took = start.elapsed();
    let cpu = meter.since(&before).cpu;
    let rate = Value::Round(deliveries as f64 / took.as_secs_f64());
    let figure = Figure::new("deliveries_per_second", "  deliveries", rate, "deliveries/s");
    report.add(figure.note("with the members on the same cores"))?;
    report.add(per_core("deliveries_per_core_second", deliveries as f64, cpu))
}

fn report_memory(report: &mut Report, each: Option<f64>) -> Result<()> {
    let label = "  the hub's memory for each member online";
    let value = each.map_or(Value::Unknown, Value::Round);
    let figure = Figure::new("memory_bytes_per_member", label, value, "bytes");
    report.add(match each {
        Some(_) => figure,
        None => figure.note("only on Linux"),
    })
}

fn report_delays(report: &mut Report, parts: [Vec<Duration>; 3]) -> Result<()> {
    let [before, with, after] = parts.map(Latency::from_iter);
    let mut without = before;
    without.add(&after);
    for (name, latency) in [("without", without), ("with", with)] {
        for (quantile, shown, value) in [
            ("p50", "median", latency.quantile(0.5)),
            ("p99", "p99", latency.quantile(0.99)),
            ("max", "max", latency.max()),
        ] {
            let label = format!("  until delivered, {shown}, {name} a slow member");
            let key = format!("delivered_{name}_slow_{quantile}_ms");
            report.add(Figure::new(&key, &label, Value::millis(value), "ms"))?;
        }
    }
    Ok(())
}

fn report_entries(report: &mut Report, target: Target, before: u64, sent: u32) -> Result<()> {
    let data = target.stop().ok_or("the hub is not ours")?;
    let stored = prepare::entries(data.path())?.saturating_sub(before);
    let label = format!("  entries stored for {sent} messages");
    report.add(Figure::new("entries", &label, Value::Count(stored), ""))?;
    check::equal(label.trim(), stored, sent.into())
}
