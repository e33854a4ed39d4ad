//! A group that is offered ten times its rate: what happens to urgent messages, compared with urgent messages alone.
//!
//! Calm and overload alternate, so that other load of the machine affects both.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tim_bench::Latency;
use tim_proto::{ConversationId, ErrorCode, GroupType, Priority};
use tim_session::RequestId;
use tokio::task::JoinSet;

use crate::bot::Bot;
use crate::check;
use crate::hub::Target;
use crate::prepare::{self, member};
use crate::report::{Figure, Report, Value};
use crate::{Failure, Result, blocking};

/// Messages per second that the group accepts.
const RATE: u32 = 40;
/// HIGH messages per second offered, in calm and in overload.
const HIGH: u32 = 30;
/// Messages per second of all priorities offered in overload.
const OFFERED: u32 = 10 * RATE;
/// Connections that send HIGH messages, and connections that send others.
const HIGH_SENDERS: u32 = 2;
const OTHER_SENDERS: u32 = 6;
/// Longer than a message is queued, so that no part affects the next.
const PAUSE: Duration = Duration::from_millis(2_500);
const NAMES: [(Priority, &str); 4] = [
    (Priority::HIGH, "HIGH"),
    (Priority::NORMAL, "NORMAL"),
    (Priority::LOW, "LOW"),
    (Priority::LOWEST, "LOWEST"),
];

/// The outcome of messages of one priority.
#[derive(Debug, Default)]
struct Fate {
    /// Until each was stored.
    passed: Vec<Duration>,
    dropped: usize,
}

type Fates = HashMap<Priority, Fate>;

pub(crate) async fn measure(report: &mut Report, rounds: u32, time: Duration) -> Result<()> {
    let senders = HIGH_SENDERS + OTHER_SENDERS;
    let prepared = blocking(move || prepare::group(GroupType::PUBLIC, senders)).await?;
    let group = ConversationId::Group(prepared.group);
    let target = Target::start(prepared.data, RATE)?;
    let mut bots = Vec::new();
    for number in 0..senders {
        let mut bot = Bot::login(&target, &member(number), number).await?;
        bot.outcomes = Some(Vec::new());
        bots.push(bot);
    }
    let (mut calm, mut overload) = (Fates::new(), Fates::new());
    for _ in 0..rounds {
        bots = run(bots, group, time, false, &mut calm).await?;
        bots = run(bots, group, time, true, &mut overload).await?;
    }
    let mut acknowledged = Vec::new();
    for bot in &mut bots {
        acknowledged.extend(bot.take_acknowledged(group));
    }
    let reader = bots.first_mut().ok_or("nobody sent")?;
    check::conversation_from_first(reader, group, &acknowledged).await?;
    report.begin(
        "priority",
        [
            ("group_rate", RATE.into()),
            ("offered_per_second", OFFERED.into()),
            ("rounds", rounds.into()),
            ("seconds", time.as_secs()),
        ],
    );
    report_fates(report, calm, overload)?;
    let label = "  read back: there once, in sequence";
    report.add(Figure::new(
        "checked",
        label,
        Value::Count(acknowledged.len() as u64),
        "messages",
    ))
}

/// All senders send for this long; those of other priorities than HIGH only in overload.
async fn run(
    bots: Vec<Bot>,
    group: ConversationId,
    time: Duration,
    is_overload: bool,
    fates: &mut Fates,
) -> Result<Vec<Bot>> {
    let mut tasks = JoinSet::new();
    for (number, bot) in (0..).zip(bots) {
        let (priorities, rate) = if number < HIGH_SENDERS {
            (&NAMES[..1], f64::from(HIGH) / f64::from(HIGH_SENDERS))
        } else {
            let others = if is_overload { OFFERED - HIGH } else { 0 };
            (&NAMES[1..], f64::from(others) / f64::from(OTHER_SENDERS))
        };
        let priorities: Vec<Priority> = priorities.iter().map(|(priority, _)| *priority).collect();
        let mut lane = Lane {
            number,
            bot,
            waiting: HashMap::new(),
            fates: Fates::new(),
        };
        tasks.spawn(async move {
            lane.write(group, &priorities, rate, time).await?;
            Ok::<_, Failure>(lane)
        });
    }
    let mut lanes = Vec::new();
    while let Some(lane) = tasks.join_next().await {
        lanes.push(lane??);
    }
    lanes.sort_by_key(|lane| lane.number);
    for (priority, fate) in lanes.iter_mut().flat_map(|lane| lane.fates.drain()) {
        let sum = fates.entry(priority).or_default();
        sum.passed.extend(fate.passed);
        sum.dropped += fate.dropped;
    }
    Ok(lanes.into_iter().map(|lane| lane.bot).collect())
}

/// One connection that sends at a steady pace, whatever the outcome.
struct Lane {
    number: u32,
    bot: Bot,
    waiting: HashMap<RequestId, (Priority, Instant)>,
    fates: Fates,
}

impl Lane {
    async fn write(
        &mut self,
        group: ConversationId,
        priorities: &[Priority],
        rate: f64,
        time: Duration,
    ) -> Result<()> {
        let start = tokio::time::Instant::now();
        // Senders are staggered.
        let offset = f64::from(self.number) / f64::from(HIGH_SENDERS + OTHER_SENDERS);
        let due = |n: u32| start + Duration::from_secs_f64((f64::from(n) + offset) / rate.max(0.001));
        let mut priorities = priorities.iter().copied().cycle();
        let mut next = 0;
        while due(next) < start + time || !self.waiting.is_empty() {
            tokio::select! {
                () = tokio::time::sleep_until(due(next)), if due(next) < start + time => {
                    next += 1;
                    let Some(priority) = priorities.next() else { continue };
                    let sent = Instant::now();
                    let ticket = self.bot.start_send_as(group, priority)?;
                    let ticket = ticket.ok_or("too many messages wait for an answer")?;
                    self.waiting.insert(ticket, (priority, sent));
                }
                turn = self.bot.turn() => turn?,
            }
            self.settle()?;
        }
        // Deliveries are acknowledged meanwhile.
        let until = start + time + PAUSE;
        while tokio::time::timeout_at(until, self.bot.turn()).await.is_ok() {}
        Ok(())
    }

    fn settle(&mut self) -> Result<()> {
        for (ticket, outcome) in self.bot.outcomes.iter_mut().flat_map(|all| all.drain(..)) {
            let Some((priority, sent)) = self.waiting.remove(&ticket) else {
                continue;
            };
            let fate = self.fates.entry(priority).or_default();
            match outcome {
                Ok(()) => fate.passed.push(sent.elapsed()),
                Err(ErrorCode::GROUP_SEND_MSG_FREQ_LIMIT) => fate.dropped += 1,
                Err(other) => return Err(other.explain().to_string().into()),
            }
        }
        Ok(())
    }
}

fn report_fates(report: &mut Report, mut calm: Fates, mut overload: Fates) -> Result<()> {
    report.text(
        &format!("priorities, a group that takes {RATE}/s"),
        &OFFERED.to_string(),
        "offered a second",
    )?;
    let of_high = Latency::from_iter(calm.remove(&Priority::HIGH).unwrap_or_default().passed);
    let unloaded = of_high.quantile(0.99);
    report.add_latency("high_alone", "  HIGH alone until stored", &of_high)?;
    let mut p99_of_high = Duration::ZERO;
    for (priority, name) in NAMES {
        let Fate { passed, dropped } = overload.remove(&priority).unwrap_or_default();
        let waited = passed.iter().filter(|time| **time > 2 * unloaded).count();
        let offered = passed.len() + dropped;
        report.text(
            &format!("  {name} in overload, offered / passed / dropped"),
            &format!("{offered} / {} / {dropped}", passed.len()),
            &format!("({waited} passed after waiting)"),
        )?;
        let key = name.to_lowercase();
        for (what, count) in [
            ("offered", offered),
            ("passed", passed.len()),
            ("dropped", dropped),
            ("waited", waited),
        ] {
            let value = Value::Count(count as u64);
            report.add_unseen(Figure::new(&format!("{key}_{what}"), "", value, "messages"));
        }
        if priority == Priority::HIGH {
            let latency = Latency::from_iter(passed);
            p99_of_high = latency.quantile(0.99);
            report.add_latency("high_in_overload", "  HIGH in overload until stored", &latency)?;
        }
    }
    let ratio = p99_of_high.as_secs_f64() / unloaded.as_secs_f64();
    let label = "  HIGH's p99 in overload over its p99 alone";
    report.add(Figure::new("high_p99_over_alone", label, Value::Real(ratio), "x"))
}
