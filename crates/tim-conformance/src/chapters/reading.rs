//! Reading.

use tim_client::{ConversationId, Event, GroupType};

use super::history::raw_page;
use super::to;
use crate::check::{Verdict, ensure, ensure_eq};
use crate::lab::Lab;
use crate::row::{Row, table};

pub(super) const ROWS: &[Row] = table! {
    181, "`setMessageRead`", { exists };
    182, "for all three kinds of conversation", { three_kinds };
    183, "unread becomes 0 on all devices of the account", { all_devices };
    184, "read messages do not count in the total", { total };
    185, "without the call they stay unread across reconnects", { stays };
    186, "the result may be ignored", { ignored };
};

async fn exists(lab: &Lab) -> Verdict {
    let (alice, mut bob) = lab.pair().await?;
    for text in ["one", "two"] {
        alice.say(bob.user(), text).await?;
    }
    bob.hears("two").await?;
    ensure_eq!(bob.unread(alice.user()).await?, 2, "unread messages before");
    let read = bob.client.set_message_read(alice.user()).await?;
    ensure_eq!((read.read_sequence, read.unread_count), (2, 0), "the response");
    ensure_eq!(bob.unread(alice.user()).await?, 0, "unread messages afterwards");
    Ok("two unread messages, then none".into())
}

async fn three_kinds(lab: &Lab) -> Verdict {
    let (alice, mut bob, group) = lab.pair_in_group().await?;
    alice.say(bob.user(), "x").await?;
    alice.say(group, "y").await?;
    bob.hears("x").await?;
    bob.hears("y").await?;
    for conversation in [alice.c2c(), group.into(), ConversationId::System] {
        ensure!(
            bob.unread(conversation).await? > 0,
            "nothing is unread in {conversation}"
        );
        let read = bob.client.set_message_read(conversation).await?;
        ensure_eq!(read.unread_count, 0, "unread messages in {conversation}");
        ensure_eq!(
            bob.unread(conversation).await?,
            0,
            "unread messages on the list in {conversation}"
        );
    }
    Ok("C2C, a group and @TIM#SYSTEM".into())
}

async fn all_devices(lab: &Lab) -> Verdict {
    let (alice, mut bob) = lab.pair().await?;
    let mut tablet = lab.log_in("bob").await?;
    let peer = alice.c2c();
    for text in ["one", "two"] {
        alice.say(bob.user(), text).await?;
    }
    bob.hears("two").await?;
    tablet.hears("two").await?;
    ensure_eq!(
        tablet.unread(alice.user()).await?,
        2,
        "unread messages at the other device before"
    );
    tablet.take_events().await;
    tablet.told.clear();
    bob.client.set_message_read(alice.user()).await?;
    tablet
        .list_shows("a list without unread messages at the other device", |list| {
            list.iter().any(|it| it.id == peer && it.unread_count == 0)
        })
        .await?;
    let fresh = lab.log_in("bob").await?;
    ensure_eq!(
        fresh.unread(alice.user()).await?,
        0,
        "unread messages at a device that logs in later"
    );
    Ok("at another connected device by an event, and at one that logs in later".into())
}

async fn total(lab: &Lab) -> Verdict {
    let (alice, mut bob, group) = lab.pair_in_group().await?;
    bob.client.set_message_read(group).await?;
    alice.say(bob.user(), "one").await?;
    alice.say(bob.user(), "two").await?;
    alice.say(group, "three").await?;
    bob.hears("three").await?;
    let is = |wanted: u64| {
        move |event: &Event| {
            matches!(event, Event::TotalUnreadMessageCountUpdated(total) if *total == wanted).then_some(())
        }
    };
    bob.event("a total of 3", is(3)).await?;
    ensure_eq!(bob.client.get_total_unread_message_count(), 3, "the total");
    bob.client.set_message_read(alice.user()).await?;
    bob.event("a total of 1", is(1)).await?;
    bob.client.set_message_read(group).await?;
    bob.event("a total of 0", is(0)).await?;
    ensure_eq!(bob.client.get_total_unread_message_count(), 0, "the total");
    Ok("3, then 1, then 0".into())
}

async fn stays(lab: &Lab) -> Verdict {
    let (alice, mut bob) = lab.pair().await?;
    let room = lab.make_group(&alice, GroupType::PUBLIC, &[bob.user()]).await?;
    alice.say(bob.user(), "x").await?;
    alice.say(room, "y").await?;
    bob.hears("x").await?;
    bob.hears("y").await?;
    let before = (bob.unread(alice.user()).await?, bob.unread(room).await?);
    ensure!(
        before.0 == 1 && before.1 > 0,
        "unread messages before: {before:?}"
    );
    bob.client.logout().await?;
    bob.enter().await?;
    let after = (bob.unread(alice.user()).await?, bob.unread(room).await?);
    ensure_eq!(after, before, "unread messages after another login");
    Ok("after another login as many as before, in C2C and in a group".into())
}

async fn ignored(lab: &Lab) -> Verdict {
    let (alice, mut bob) = lab.pair().await?;
    let (bobs, peer) = (bob.client.clone(), alice.c2c());
    alice.say(bob.user(), "x").await?;
    bob.hears("x").await?;
    let _running = tokio::spawn(async move { bobs.set_message_read(peer).await });
    let is_read = |list: &[std::sync::Arc<tim_client::Conversation>]| {
        list.iter().any(|it| it.id == peer && it.unread_count == 0)
    };
    bob.list_shows("a list without unread messages", is_read).await?;
    // Reading tells the sender nothing: their history and counts are as before.
    ensure_eq!(alice.unread(bob.user()).await?, 0, "the sender's unread messages");
    ensure_eq!(
        raw_page(lab, "alice", &to(bob.user())).await?.len(),
        1,
        "entries of the sender's history"
    );
    Ok("read without waiting for the result; the sender gets no receipt".into())
}
