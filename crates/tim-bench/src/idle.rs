//! The memory of idle connections in the hub.

use tokio::task::JoinSet;

use crate::Result;
use crate::bot::Bot;
use crate::figure;
use crate::hub::Target;

/// Concurrent logins.
const AT_ONCE: u32 = 64;

pub(crate) async fn measure(target: &Target, connections: u32) -> Result<()> {
    // The first few also pay for threads and caches.
    let mut bots = open(target, 0..AT_ONCE).await?;
    let before = target.memory();
    bots.extend(open(target, AT_ONCE..AT_ONCE + connections).await?);
    let after = target.memory();
    figure("idle connections", connections, "")?;
    match (before, after) {
        (Some(before), Some(after)) => {
            let each = after.saturating_sub(before) as f64 / f64::from(connections);
            figure("  the hub's memory for each", format!("{each:.0}"), "bytes")
        }
        _ => figure(
            "  the hub's memory for each",
            "unknown",
            "(only for a hub that `tim-bench` starts, on Linux)",
        ),
    }
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
