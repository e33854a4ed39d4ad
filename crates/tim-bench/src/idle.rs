//! Idle connections: what each takes in the hub's memory, how fast they log in, and what they cost while nothing happens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tim_bench::{Latency, Meter, Usage, memory_of};
use tim_hub::{Hub, HubOptions};
use tim_proto::{ConversationId, UserId};

use crate::args::Args;
use crate::bot::Bot;
use crate::hub::{Setup, Target, most_connections, own_app};
use crate::idle_clients::{Holder, Seen, name};
use crate::link::{self, Tally};
use crate::member::raw_client;
use crate::prepare;
use crate::report::{Figure, Report, Value};
use crate::{Result, blocking, check};

/// How long nothing happens, in seconds, if it is not said: a hub asks for a sign of life after 75.
const SECONDS: u64 = 80;
/// The first few connections also pay for threads and caches.
const FIRST: u32 = 64;
/// Connections that a message is sent to in the end, to see that they live.
const PROBED: u32 = 1_000;
/// How long messages may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Concurrent logins over links in memory.
const AT_ONCE: u32 = 64;
const SENDER: &str = "bench-idle-sender";

/// What was seen.
struct Idle {
    connections: u32,
    /// Memory before and after.
    memory: Option<(u64, u64)>,
    took: Duration,
    latency: Latency,
    time: Duration,
    usage: Option<Usage>,
    keepalives: u64,
    probed: u32,
}

pub(crate) async fn measure(report: &mut Report, args: &Args) -> Result<()> {
    let connections = args.connections;
    let time = args.time(SECONDS);
    let idle = match args.in_memory {
        true => in_memory(connections, time).await?,
        false => over_tcp(args, connections, time).await?,
    };
    let parameters = [
        ("connections", connections.into()),
        ("seconds", time.as_secs()),
        ("in_memory", args.in_memory.into()),
    ];
    report.begin("idle", parameters);
    let how = match args.in_memory {
        true => "(simulated: links in memory, hub and clients in one process)",
        false => "",
    };
    report.text("idle connections", &connections.to_string(), how)?;
    report_idle(report, &idle, args.in_memory)
}

/// Users who have an account before the hub starts, so that a login is only that.
async fn accounts(connections: u32) -> Result<tempfile::TempDir> {
    let names = (0..FIRST + connections).map(name).chain([SENDER.to_owned()]);
    blocking(move || prepare::accounts(names)).await
}

/// The users that a message is sent to, spread over all.
fn probed(connections: u32) -> impl ExactSizeIterator<Item = u32> {
    let probes = connections.min(PROBED);
    (0..probes).map(move |probe| (u64::from(probe) * u64::from(connections) / u64::from(probes)) as u32)
}

async fn over_tcp(args: &Args, connections: u32, time: Duration) -> Result<Idle> {
    let most = most_connections().unwrap_or(u32::MAX);
    // The sender of the end is one more.
    let all = FIRST + connections + 1;
    if args.hub.is_none() && all > most {
        let fit = most.saturating_sub(FIRST + 1);
        return Err(format!(
            "the system's limit of open files allows a process {most} connections, and {all} are wanted: raise the hard limit (ulimit -Hn, \
             LimitNOFILE=), take --connections {fit}, or measure links in memory with --in-memory"
        )
        .into());
    }
    let setup = Setup {
        connections: all,
        ..args.setup()
    };
    let target = match args.prepares() {
        false => args.target()?,
        true => Target::start_as(accounts(connections).await?, setup)?,
    };
    let data = args.data.clone().filter(|_| args.hub.is_some());
    let address = target.socket()?;
    let hold = |first, connections| {
        let data = data.clone();
        blocking(move || Holder::start(address, data.as_deref(), first, connections))
    };
    let mut holders = vec![hold(0, FIRST).await?];
    let before = target.memory();
    let (mut took, mut latency) = (Duration::ZERO, Latency::new());
    for first in (FIRST..FIRST + connections).step_by(most as usize) {
        let holder = hold(first, (FIRST + connections - first).min(most)).await?;
        took += holder.took;
        latency.add(&holder.latency);
        holders.push(holder);
    }
    let memory = before.zip(target.memory());
    let mut sender = Bot::login(&target, SENDER, 0).await?;
    let meter = target.meter();
    let start = meter.as_ref().map(Meter::read);
    let seen_before = seen(&mut holders)?;
    tokio::time::sleep(time).await;
    let usage = meter.zip(start).map(|(meter, start)| meter.since(&start));
    let seen_after = seen(&mut holders)?;
    for number in probed(connections) {
        sender
            .send(ConversationId::C2c(UserId::new(&name(FIRST + number))?))
            .await?;
    }
    let probed = probed(connections).len() as u32;
    let wanted = seen_before.delivered + u64::from(probed);
    let end = Instant::now() + PATIENCE;
    let mut now = seen(&mut holders)?;
    while now.delivered < wanted && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(10)).await;
        now = seen(&mut holders)?;
    }
    check::equal(
        "connections that are still there",
        now.connected,
        (FIRST + connections).into(),
    )?;
    check::equal("messages to them that arrived", now.delivered, wanted)?;
    Ok(Idle {
        connections,
        memory,
        took,
        latency,
        time,
        usage,
        keepalives: seen_after.keepalives - seen_before.keepalives,
        probed,
    })
}

/// What the connections of all processes have seen.
fn seen(holders: &mut [Holder]) -> Result<Seen> {
    holders.iter_mut().try_fold(Seen::default(), |sum, holder| {
        let seen = holder.seen()?;
        Ok(Seen {
            connected: sum.connected + seen.connected,
            delivered: sum.delivered + seen.delivered,
            keepalives: sum.keepalives + seen.keepalives,
        })
    })
}

async fn in_memory(connections: u32, time: Duration) -> Result<Idle> {
    let data = accounts(connections).await?;
    let app = own_app();
    let mut options = HubOptions::new(app.clone());
    options.address_requests_per_second = 0;
    options.max_connections = (FIRST + connections + 1) as usize;
    options.sends_per_second = 0;
    options.requests_per_second = 0;
    let hub = Hub::open(data.path(), options)?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let target = Target::remote(listener.local_addr()?, app);
    let hub = Arc::new(hub);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = {
        let hub = Arc::clone(&hub);
        tokio::spawn(async move { hub.serve(listener, async { drop(stopped.await) }).await })
    };
    let tally = Tally::new();
    let mut members = Vec::with_capacity((FIRST + connections) as usize);
    let mut log_in = async |numbers: std::ops::Range<u32>| -> Result<Latency> {
        let mut latency = Latency::new();
        for first in numbers.clone().step_by(AT_ONCE as usize) {
            let some = first..numbers.end.min(first + AT_ONCE);
            let more = some.len() as u64;
            let start = async {
                for number in some {
                    let raw = raw_client(&target, &name(number))?;
                    let (member, link) = link::pair(raw, &tally);
                    hub.spawn(link);
                    members.push(member);
                }
                Ok(())
            };
            latency.record(tally.until(&tally.synced, more, start).await?);
        }
        Ok(latency)
    };
    log_in(0..FIRST).await?;
    let before = memory_of("self");
    let start = Instant::now();
    let latency = log_in(FIRST..FIRST + connections).await?;
    let took = start.elapsed();
    let memory = before.zip(memory_of("self"));
    let mut sender = Bot::login(&target, SENDER, 0).await?;
    let meter = Meter::new(std::process::id(), data.path());
    let counters = meter.read();
    tokio::time::sleep(time).await;
    let usage = meter.since(&counters);
    let probes = probed(connections).len() as u32;
    let probe = async {
        for number in probed(connections) {
            sender
                .send(ConversationId::C2c(UserId::new(&name(FIRST + number))?))
                .await?;
        }
        Ok(())
    };
    tally.until(&tally.delivered, probes.into(), probe).await?;
    check::equal(
        "connections that are still there",
        hub.connections() as u64,
        u64::from(FIRST + connections) + 1,
    )?;
    drop(stop);
    serving.await??;
    Ok(Idle {
        connections,
        memory,
        took,
        latency,
        time,
        usage: Some(usage),
        keepalives: 0,
        probed: probes,
    })
}

fn report_idle(report: &mut Report, idle: &Idle, is_in_memory: bool) -> Result<()> {
    let Idle {
        connections,
        memory,
        took,
        time,
        ..
    } = idle;
    let connections = f64::from(*connections);
    let each = memory.map(|(before, after)| after.saturating_sub(before) as f64 / connections);
    let label = "  the hub's memory for each";
    let figure = Figure::new(
        "memory_bytes_per_connection",
        label,
        each.map_or(Value::Unknown, Value::Round),
        "bytes",
    );
    report.add(match each {
        None => figure.note("only for a hub on this machine, on Linux; --hub-pid names its process"),
        Some(_) if is_in_memory => {
            figure.note(format!("{} of them the simulated client's", link::own_size()))
        }
        Some(_) => figure.note("without the kernel's part of each socket"),
    })?;
    let rate = Value::Round(connections / took.as_secs_f64());
    report.add(Figure::new("logins_per_second", "  logins", rate, "logins/s"))?;
    let label = match is_in_memory {
        true => "  until 64 at once are ready",
        false => "  until ready, 64 at once",
    };
    report.add_latency("login", label, &idle.latency)?;
    let cpu = idle.usage.and_then(|usage| usage.cpu);
    let cpu = cpu.map(|cpu| Value::Real(cpu.as_secs_f64() * 1e6 / connections / (time.as_secs_f64() / 60.0)));
    let unit = "us per connection and minute";
    let figure = Figure::new(
        "idle_cpu_us_per_connection_minute",
        "  hub CPU while idle",
        cpu.unwrap_or(Value::Unknown),
        unit,
    );
    let keepalives = idle.keepalives;
    report.add(match cpu {
        None => figure.note("only for a hub on this machine, on Linux; --hub-pid names its process"),
        Some(_) if is_in_memory => figure.note("the simulated clients' included"),
        Some(_) => figure.note(format!("{keepalives} keepalives in {} s", time.as_secs())),
    })?;
    report.add_unseen(Figure::new("keepalives", "", Value::Count(keepalives), ""));
    let label = "  messages to some of them, all arrived";
    report.add(Figure::new(
        "checked",
        label,
        Value::Count(idle.probed.into()),
        "messages",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_are_spread_over_all_connections() {
        let all: Vec<u32> = probed(20).collect();
        assert_eq!(all, (0..20).collect::<Vec<u32>>());
        let some: Vec<u32> = probed(100_000).collect();
        assert_eq!((some.len(), some[0], some[1], some[999]), (1_000, 0, 100, 99_900));
    }
}
