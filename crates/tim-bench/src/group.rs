//! Deliveries per second into a group with many members online.

use std::time::Instant;

use tim_proto::request::CreateGroup;
use tim_proto::wire::List;
use tim_proto::{ConversationId, GroupId, GroupType, UserId};
use tokio::task::JoinSet;

use crate::bot::Bot;
use crate::figure;
use crate::hub::Target;
use crate::{Failure, Result};

pub(crate) async fn measure(target: &Target, members: u32, messages: u32) -> Result<()> {
    let mut sender = Bot::login(target, "bench-owner", 0).await?;
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
    let mut receivers = JoinSet::new();
    for (number, name) in names.iter().enumerate() {
        let mut bot = Bot::login(target, name, number as u32 + 1).await?;
        bot.delivered = 0; // what came before it was ready is not counted
        let wanted = u64::from(messages);
        receivers.spawn(async move {
            while bot.delivered < wanted {
                bot.turn().await?;
            }
            Ok::<_, Failure>(())
        });
    }
    let start = Instant::now();
    let group = ConversationId::Group(id);
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
    while let Some(task) = receivers.join_next().await {
        task??;
    }
    let took = start.elapsed();
    let deliveries = f64::from(members) * f64::from(messages);
    figure(
        &format!("deliveries into a group of {members} online"),
        format!("{:.0}", deliveries / took.as_secs_f64()),
        "deliveries/s",
    )?;
    let rate = f64::from(messages) / stored.as_secs_f64();
    figure(
        &format!("  its {messages} messages stored at"),
        format!("{rate:.0}"),
        "messages/s",
    )
}
