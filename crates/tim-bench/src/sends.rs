//! Durable one-to-one sends: each sender waits for the response before it sends again.

use std::time::{Duration, Instant};

use tim_proto::{ConversationId, UserId};
use tokio::task::JoinSet;

use crate::bot::Bot;
use crate::hub::Target;
use crate::{Failure, Result};
use crate::{figure, millis, percentile};

pub(crate) async fn measure(target: &Target, senders: u32, time: Duration) -> Result<()> {
    let mut bots = Vec::new();
    for number in 0..senders {
        let mut bot = Bot::login(target, &format!("bench-sender-{number}"), number).await?;
        let to = ConversationId::C2c(UserId::new(&format!("bench-receiver-{number}"))?);
        bot.send(to).await?; // creates the conversation before the measurement
        bots.push((bot, to));
    }
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for (mut bot, to) in bots {
        tasks.spawn(async move {
            let mut times = Vec::new();
            while start.elapsed() < time {
                let (sent, before) = (Instant::now(), bot.duplicates);
                bot.send(to).await?;
                // A duplicate cost the hub no write.
                if bot.duplicates == before {
                    times.push(sent.elapsed());
                }
            }
            Ok::<_, Failure>((times, bot.duplicates))
        });
    }
    let (mut times, mut duplicates) = (Vec::new(), 0);
    while let Some(task) = tasks.join_next().await {
        let (of_one, duplicates_of_one) = task??;
        times.extend(of_one);
        duplicates += duplicates_of_one;
    }
    let took = start.elapsed();
    times.sort_unstable();
    let rate = times.len() as f64 / took.as_secs_f64();
    figure(
        &format!("durable sends, {senders} senders"),
        format!("{rate:.0}"),
        "messages/s",
    )?;
    if duplicates > 0 {
        figure(
            "  answered as duplicates, and not counted",
            duplicates,
            "messages",
        )?;
    }
    figure("  until answered, median", millis(percentile(&times, 0.5)), "ms")?;
    figure("  until answered, p99", millis(percentile(&times, 0.99)), "ms")
}
