//! Deliveries per second into a group with many members online. Each member must receive each message once, in order.

use std::time::{Duration, Instant};

use tim_proto::request::CreateGroup;
use tim_proto::wire::List;
use tim_proto::{ConversationId, GroupId, GroupType, UserId};
use tokio::task::JoinSet;

use crate::bot::Bot;
use crate::check::{self, Place};
use crate::disk::Disk;
use crate::hub::Target;
use crate::report::{Figure, Report, Value};
use crate::{Failure, Result};

/// How long a member waits for its next message.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn measure(
    report: &mut Report,
    target: &Target,
    members: u32,
    messages: u32,
    payload: usize,
) -> Result<()> {
    let mut sender = Bot::login(target, "bench-owner", 0).await?;
    sender.text = tim_bench::text_of(payload).into();
    let names: Vec<String> = (0..members)
        .map(|number| format!("bench-member-{number}"))
        .collect();
    let users: Result<Vec<UserId>, _> = names.iter().map(|name| UserId::new(name)).collect();
    let users = users?;
    // A group of its own for each run against the same hub.
    let run = sender.draw();
    let id = GroupId::new(&format!("bench-{run:08x}"))?;
    let create = CreateGroup::new(GroupType::PUBLIC, "bench", run)
        .with_group(id)
        .with_members(List::from_slice(&users));
    sender.call(&create, |_| ()).await?;
    let group = ConversationId::Group(id);
    let mut receivers = JoinSet::new();
    for (number, name) in names.iter().enumerate() {
        let mut bot = Bot::login(target, name, number as u32 + 1).await?;
        bot.inbox = Some((group, Vec::new())); // what came before it was ready is not counted
        receivers.spawn(async move { receive(bot, messages as usize).await });
    }
    let mut disk = Disk::new(target.directory(), payload, sender.most_under_way());
    disk.measure().await?;
    let meter = target.meter();
    let before = meter.as_ref().map(tim_bench::Meter::read);
    let start = Instant::now();
    let mut sent = 0;
    while sent < messages {
        if sender.start_send(group)? {
            sent += 1;
        } else {
            sender.turn().await?;
        }
    }
    while sender.stored < u64::from(messages) {
        sender.turn().await?;
    }
    let stored = start.elapsed();
    sender.check_stored()?;
    let mut inboxes = Vec::new();
    while let Some(task) = receivers.join_next().await {
        inboxes.push(task??);
    }
    let took = start.elapsed();
    let usage = meter.zip(before).map(|(meter, before)| meter.since(&before));
    disk.measure().await?;
    let acknowledged = sender.take_acknowledged(group);
    check::conversation_from_first(&mut sender, group, &acknowledged).await?;
    for inbox in &inboxes {
        check::delivered(&acknowledged, inbox)?;
    }
    report.begin(
        "group",
        [
            ("members", members.into()),
            ("messages", messages.into()),
            ("payload_bytes", payload as u64),
        ],
    );
    let deliveries = f64::from(members) * f64::from(messages);
    report.add(Figure::new(
        "deliveries_per_second",
        &format!("deliveries into a group of {members} online"),
        Value::Round(deliveries / took.as_secs_f64()),
        "deliveries/s",
    ))?;
    let rate = f64::from(messages) / stored.as_secs_f64();
    let label = format!("  its {messages} messages stored at");
    report.add(Figure::new(
        "stored_per_second",
        &label,
        Value::Round(rate),
        "messages/s",
    ))?;
    let cpu = usage.and_then(|usage| usage.cpu);
    report.add(per_core("deliveries_per_core_second", deliveries, cpu))?;
    let label = "  read back, and received by each: once, in order";
    report.add(Figure::new(
        "checked",
        label,
        Value::Count(acknowledged.len() as u64),
        "messages",
    ))?;
    disk.report(report, rate)
}

/// So many deliveries in so much of the hub's CPU time.
pub(crate) fn per_core(key: &str, deliveries: f64, cpu: Option<Duration>) -> Figure {
    let rate = cpu
        .filter(|cpu| !cpu.is_zero())
        .map(|cpu| Value::Round(deliveries / cpu.as_secs_f64()));
    let unit = "deliveries per core-second of the hub's";
    let figure = Figure::new(key, "  deliveries", rate.unwrap_or(Value::Unknown), unit);
    match (rate, cpu) {
        (Some(_), _) => figure,
        (None, Some(_)) => figure.note("too short to measure"),
        (None, None) => figure.note("only for a hub on this machine, on Linux; --hub-pid names its process"),
    }
}

/// Takes so many messages of the bot's inbox.
async fn receive(mut bot: Bot, wanted: usize) -> Result<Vec<Place>> {
    loop {
        let received = bot.inbox.as_ref().map_or(0, |(_, places)| places.len());
        if received >= wanted {
            return Ok(bot.inbox.map(|(_, places)| places).unwrap_or_default());
        }
        match tokio::time::timeout(PATIENCE, bot.turn()).await {
            Ok(turn) => turn?,
            Err(_) => return Err(missing(received, wanted)),
        }
    }
}

/// A member got less than was sent.
pub(crate) fn missing(received: usize, sent: usize) -> Failure {
    format!(
        "a member received {received} of {sent} messages, and no more within {} s",
        PATIENCE.as_secs()
    )
    .into()
}

/// As long as a member of a group waits for its next message.
pub(crate) const fn patience() -> Duration {
    PATIENCE
}
