//! An AVChatRoom with very many members: joins per second, memory per member, the time until one message reaches all, and
//! that nothing is stored.
//!
//! The hub runs in this process, and its members are on links in memory, because a process has too few sockets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tim_bench::{Latency, memory_of};
use tim_hub::{Hub, HubOptions};
use tim_proto::request::JoinGroup;
use tim_proto::vendor::limits::Limits;
use tim_proto::wire::FrameKind;
use tim_proto::{ConversationId, GroupId, GroupType};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::bot::Bot;
use crate::check;
use crate::hub::{Target, own_app};
use crate::link::{Member, Tally, own_size, pair};
use crate::member::raw_client;
use crate::prepare::{self, OWNER, member};
use crate::report::{Figure, Report, Value};
use crate::{Result, blocking};

/// Concurrent logins.
const AT_ONCE: u32 = 500;
/// Joins are announced in the room at most once a second; after this time all are.
const QUIET: Duration = Duration::from_millis(1_500);

pub(crate) async fn measure(report: &mut Report, members: u32, messages: u32) -> Result<()> {
    let prepared = blocking(move || prepare::group(GroupType::AV_CHAT_ROOM, members)).await?;
    let app = own_app();
    let mut options = HubOptions::new(app.clone());
    options.max_connections = members as usize + 1;
    options.sends_per_second = 0;
    options.requests_per_second = 0;
    options.limits = Limits::new().with_group_messages_per_second(0);
    let hub = Arc::new(Hub::open(prepared.data.path(), options)?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let target = Target::remote(listener.local_addr()?, app);
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = {
        let hub = Arc::clone(&hub);
        tokio::spawn(async move { hub.serve(listener, async { drop(stopped.await) }).await })
    };
    report.begin(
        "room",
        [("members", members.into()), ("messages", messages.into())],
    );
    report.text(
        &format!("an AVChatRoom with {members} members"),
        "",
        "(simulated: links in memory, hub and members in one process)",
    )?;
    let room = Room {
        hub: &hub,
        target: &target,
        tally: Tally::new(),
        group: prepared.group,
    };
    let owner = Bot::login(&target, OWNER, 0).await?;
    let everybody = room.fill(report, members).await?;
    room.speak(report, owner, members, messages).await?;
    drop(stop);
    serving.await??;
    drop(everybody);
    drop(hub);
    let stored = last_entries(&prepared).await?.saturating_sub(prepared.entries);
    let label = "  entries stored for all of that";
    report.add(Figure::new("entries", label, Value::Count(stored), ""))?;
    check::equal(label.trim(), stored, 0)
}

struct Room<'a> {
    hub: &'a Hub,
    target: &'a Target,
    tally: Arc<Tally>,
    group: GroupId,
}

impl Room<'_> {
    async fn fill(&self, report: &mut Report, members: u32) -> Result<Vec<Member>> {
        let before = memory_of("self");
        let mut everybody = Vec::with_capacity(members as usize);
        let start = Instant::now();
        let mut next = 0;
        while next < members {
            let upto = members.min(next + AT_ONCE);
            let log_in = async {
                for number in next..upto {
                    let raw = raw_client(self.target, &member(number))?;
                    let (member, link) = pair(raw, &self.tally);
                    self.hub.spawn(link);
                    everybody.push(member);
                }
                Ok(())
            };
            let more = u64::from(upto - next);
            self.tally.until(&self.tally.synced, more, log_in).await?;
            next = upto;
        }
        let rate = |took: Duration| Value::Round(f64::from(members) / took.as_secs_f64());
        let logins = Figure::new("logins_per_second", "  logins", rate(start.elapsed()), "logins/s");
        report.add(logins)?;
        let logged_in = memory_of("self");
        let join = async {
            for (number, member) in everybody.iter().enumerate() {
                let body = JoinGroup::new(self.group);
                member.request(FrameKind::JOIN_GROUP, 1, &body);
                if number % AT_ONCE as usize == 0 {
                    tokio::task::yield_now().await;
                }
            }
            Ok(())
        };
        let took = self
            .tally
            .until(&self.tally.answered, members.into(), join)
            .await?;
        let label = "  joins, with the room told of them";
        report.add(Figure::new("joins_per_second", label, rate(took), "joins/s"))?;
        let joined = memory_of("self");
        let each = |from: Option<u64>, to: Option<u64>| match from.zip(to) {
            Some((from, to)) => Value::Round(to.saturating_sub(from) as f64 / f64::from(members)),
            None => Value::Unknown,
        };
        let (label, value) = ("  memory for each connection", each(before, logged_in));
        let figure = Figure::new("memory_bytes_per_connection", label, value, "bytes");
        report.add(figure.note(format!("{} of them the simulated member's", own_size())))?;
        let (label, value) = (
            "  memory for each in the room, beside it",
            each(logged_in, joined),
        );
        report.add(Figure::new("memory_bytes_per_member", label, value, "bytes"))?;
        Ok(everybody)
    }

    async fn speak(&self, report: &mut Report, mut owner: Bot, members: u32, messages: u32) -> Result<()> {
        self.quiet(&mut owner).await?;
        let mut times = Latency::new();
        for _ in 0..messages {
            let say = owner.send(ConversationId::Group(self.group));
            times.record(
                self.tally
                    .until(&self.tally.delivered, members.into(), say)
                    .await?,
            );
        }
        let label = format!("  one message to all of them, median of {messages}");
        let median = Value::millis(times.quantile(0.5));
        report.add(Figure::new("to_all_p50_ms", &label, median, "ms"))?;
        let label = "  one message to all of them, slowest";
        report.add(Figure::new(
            "to_all_max_ms",
            label,
            Value::millis(times.max()),
            "ms",
        ))
    }

    /// Waits until no more deliveries arrive.
    async fn quiet(&self, owner: &mut Bot) -> Result<()> {
        loop {
            let before = self.tally.delivered.count();
            let until = tokio::time::Instant::now() + QUIET;
            while let Ok(turn) = tokio::time::timeout_at(until, owner.turn()).await {
                turn?;
            }
            if self.tally.delivered.count() == before {
                return Ok(());
            }
        }
    }
}

/// The number of entries, once the last connection has closed the store.
async fn last_entries(prepared: &prepare::Prepared) -> Result<u64> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match prepare::entries(prepared.data.path()) {
            Err(_) if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(50)).await,
            done => return done,
        }
    }
}
