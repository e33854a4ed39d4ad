//! The memory of idle connections in the hub.

use tokio::task::JoinSet;

use crate::Result;
use crate::bot::Bot;
use crate::hub::Target;
use crate::report::{Figure, Report, Value};

/// Concurrent logins.
const AT_ONCE: u32 = 64;

pub(crate) async fn measure(report: &mut Report, target: &Target, connections: u32) -> Result<()> {
    // The first few also pay for threads and caches.
    let mut bots = open(target, 0..AT_ONCE).await?;
    let before = target.memory();
    bots.extend(open(target, AT_ONCE..AT_ONCE + connections).await?);
    let after = target.memory();
    report.begin("idle", [("connections", connections.into())]);
    report.text("idle connections", &connections.to_string(), "")?;
    let each = before
        .zip(after)
        .map(|(before, after)| after.saturating_sub(before) as f64 / f64::from(connections));
    let label = "  the hub's memory for each";
    let value = each.map_or(Value::Unknown, Value::Round);
    let figure = Figure::new("memory_bytes_per_connection", label, value, "bytes");
    report.add(match each {
        Some(_) => figure,
        None => figure.note("only for a hub on this machine, on Linux; --hub-pid names its process"),
    })
}

async fn open(target: &Target, numbers: std::ops::Range<u32>) -> Result<Vec<Bot>> {
    let mut bots = Vec::with_capacity(numbers.len());
    let mut numbers = numbers.peekable();
    while numbers.peek().is_some() {
        let mut logins = JoinSet::new();
        for number in numbers.by_ref().take(AT_ONCE as usize) {
            let (address, app) = (target.address, target.app.clone());
            logins.spawn(async move {
                let target = Target::remote(address, app);
                Bot::login(&target, &format!("bench-idle-{number}"), number).await
            });
        }
        while let Some(bot) = logins.join_next().await {
            bots.push(bot??);
        }
    }
    Ok(bots)
}
