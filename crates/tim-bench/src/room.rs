//! An AVChatRoom with very many members: joins per second, memory per member, the time until one message reaches all, and
//! that nothing is stored.
//!
//! The hub runs in this process, and its members are on links in memory, because a process has too few sockets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tim_hub::{Hub, HubOptions};
use tim_proto::request::JoinGroup;
use tim_proto::vendor::limits::Limits;
use tim_proto::wire::FrameKind;
use tim_proto::{ConversationId, GroupId, GroupType};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::bot::Bot;
use crate::hub::{Target, memory_of, own_app};
use crate::link::{Member, Tally, own_size, pair};
use crate::member::raw_client;
use crate::prepare::{self, OWNER, member};
use crate::{Result, blocking, figure, millis, percentile};

/// Concurrent logins.
const AT_ONCE: u32 = 500;
/// Joins are announced in the room at most once a second; after this time all are.
const QUIET: Duration = Duration::from_millis(1_500);

pub(crate) async fn measure(members: u32, messages: u32) -> Result<()> {
    let prepared = blocking(move || prepare::group(GroupType::AV_CHAT_ROOM, members)).await?;
    let app = own_app();
    let mut options = HubOptions::new(app.clone());
    options.max_connections = members as usize + 1;
    options.sends_per_second = 0;
    options.limits = Limits::new().with_group_messages_per_second(0);
    let hub = Arc::new(Hub::open(prepared.data.path(), options)?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let target = Target::remote(listener.local_addr()?, app);
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = {
        let hub = Arc::clone(&hub);
        tokio::spawn(async move { hub.serve(listener, async { drop(stopped.await) }).await })
    };
    figure(
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
    let everybody = room.fill(members).await?;
    room.speak(owner, members, messages).await?;
    drop(stop);
    serving.await??;
    drop(everybody);
    drop(hub);
    let stored = last_entries(&prepared).await?.saturating_sub(prepared.entries);
    figure("  entries stored for all of that", stored, "")
}

struct Room<'a> {
    hub: &'a Hub,
    target: &'a Target,
    tally: Arc<Tally>,
    group: GroupId,
}

impl Room<'_> {
    async fn fill(&self, members: u32) -> Result<Vec<Member>> {
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
        let rate = |took: Duration| format!("{:.0}", f64::from(members) / took.as_secs_f64());
        figure("  logins", rate(start.elapsed()), "a second")?;
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
        figure("  joins, with the room told of them", rate(took), "a second")?;
        let joined = memory_of("self");
        let each = |from: Option<u64>, to: Option<u64>| match from.zip(to) {
            Some((from, to)) => format!("{:.0}", to.saturating_sub(from) as f64 / f64::from(members)),
            None => "unknown".to_owned(),
        };
        let unit = format!("bytes, {} of them the simulated member's", own_size());
        figure("  memory for each connection", each(before, logged_in), &unit)?;
        figure(
            "  memory for each in the room, beside it",
            each(logged_in, joined),
            "bytes",
        )?;
        Ok(everybody)
    }

    async fn speak(&self, mut owner: Bot, members: u32, messages: u32) -> Result<()> {
        self.quiet(&mut owner).await?;
        let mut times = Vec::new();
        for _ in 0..messages {
            let say = owner.send(ConversationId::Group(self.group));
            times.push(
                self.tally
                    .until(&self.tally.delivered, members.into(), say)
                    .await?,
            );
        }
        times.sort_unstable();
        let name = format!("  one message to all of them, median of {messages}");
        figure(&name, millis(percentile(&times, 0.5)), "ms")?;
        figure(
            "  one message to all of them, slowest",
            millis(percentile(&times, 1.0)),
            "ms",
        )
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
