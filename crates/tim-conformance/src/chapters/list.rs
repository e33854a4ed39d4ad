//! The conversation list.

use std::time::Duration;

use tim_client::{ConversationId, ErrorCode, Event};

use super::{to, wire_text};
use crate::check::{Stop, Verdict, ensure, ensure_eq, ensure_refused};
use crate::lab::Lab;
use crate::row::{Row, table};
use crate::spec::{Input, To, kind};
use crate::target::HubSettings;

pub(super) const ROWS: &[Row] = table! {
    187, "`getConversationList`", { exists };
    188, "the latest 100, newest first", { latest_hundred };
    189, "a repeated call returns the present state", { present_state };
    190, "an entry is enough to draw; details need the profile", { enough_to_draw };
    191, "a conversation lives as long as its last message", { as_long_as_last };
    192, "messages are kept for seven days by default", { seven_days };
    193, "`conversationList` replaces the old list", { replaces };
    194, "a failure is an error", { failure };
    195, "returns a promise", { promise };
};

async fn exists(lab: &Lab) -> Verdict {
    let (alice, bob) = lab.pair().await?;
    let before = bob.client.get_conversation_list().await?.conversation_list;
    ensure!(before.is_empty(), "a new user has conversations");
    alice.say(bob.user(), "x").await?;
    let list = lab
        .log_in("bob")
        .await?
        .client
        .get_conversation_list()
        .await?
        .conversation_list;
    let ids: Vec<ConversationId> = list.iter().map(|it| it.id).collect();
    ensure_eq!(ids, [alice.c2c()], "the list");
    Ok("empty for a new user, then with the conversation".into())
}

/// One conversation more than a list has.
const MANY: usize = 101;

async fn latest_hundred(lab: &Lab) -> Verdict {
    let mut raw = lab.raw("alice").await?;
    let mut peers = Vec::new();
    for number in 0..MANY {
        let peer = lab.user(&format!("p{number}"))?;
        let body = raw.body(&to(peer), 1, wire_text("x"));
        if raw.send(&body).await?.is_err() {
            // A hub may want its users to have logged in.
            lab.raw_as(peer).await?;
            let mut again = body.clone();
            again.id = raw.new_id();
            raw.send(&again)
                .await?
                .map_err(|refusal| Stop::fail(format_args!("{refusal:?}")))?;
        }
        peers.push(ConversationId::C2c(peer));
    }
    let alice = lab.log_in("alice").await?;
    let list = alice.client.get_conversation_list().await?;
    let ids: Vec<ConversationId> = list.conversation_list.iter().map(|it| it.id).collect();
    ensure_eq!(ids.len(), 100, "conversations on the list");
    let newest_first: Vec<ConversationId> = peers.iter().rev().take(100).copied().collect();
    ensure!(
        ids == newest_first,
        "they are not the latest, newest first: {ids:?}"
    );
    ensure!(list.is_truncated, "the list does not say that there are more");
    Ok("of 101 conversations the latest 100, newest first".into())
}

async fn present_state(lab: &Lab) -> Verdict {
    let (alice, mut bob) = lab.pair().await?;
    let carol = lab.log_in("carol").await?;
    let ids = async |bob: &crate::person::Person| -> Result<Vec<ConversationId>, Stop> {
        let list = bob.client.get_conversation_list().await?.conversation_list;
        Ok(list.iter().map(|it| it.id).collect())
    };
    for (sender, wanted) in [
        (&alice, vec![alice.c2c()]),
        (&carol, vec![carol.c2c(), alice.c2c()]),
        (&alice, vec![alice.c2c(), carol.c2c()]),
    ] {
        sender.say(bob.user(), "x").await?;
        bob.hears("x").await?;
        ensure_eq!(ids(&bob).await?, wanted, "the list");
    }
    Ok("each message moves its conversation to the front".into())
}

async fn enough_to_draw(lab: &Lab) -> Verdict {
    let (alice, bob, group) = lab.pair_in_group().await?;
    alice
        .client
        .update_my_profile(Some("张三"), Some("https://example.invalid/a.png"))
        .await?;
    alice.say(bob.user(), "hello").await?;
    alice.say(group, "all").await?;
    let fresh = lab.log_in("bob").await?;
    let c2c = fresh.conversation(alice.user()).await?;
    let c2c = c2c.ok_or_else(|| Stop::fail("the conversation is not on the list"))?;
    ensure_eq!(
        (c2c.title(), c2c.avatar.as_str()),
        ("张三", "https://example.invalid/a.png"),
        "title and picture"
    );
    let last = c2c
        .last_message
        .as_ref()
        .and_then(|message| message.text().map(str::to_owned));
    ensure_eq!(
        (last.as_deref(), c2c.unread_count),
        (Some("hello"), 1),
        "last message and unread count"
    );
    let in_group = fresh.conversation(group).await?;
    let in_group = in_group.ok_or_else(|| Stop::fail("the group is not on the list"))?;
    ensure_eq!(in_group.title(), "conformance", "the title of the group");
    ensure!(in_group.last_message.is_some(), "the group has no last message");
    let profile = fresh.client.get_conversation_profile(group).await?.conversation;
    ensure_eq!(
        profile.group.map(|group| group.owner),
        Some(alice.user()),
        "the owner in the profile"
    );
    Ok("title, picture, unread count and last message; the owner of a group is in its profile".into())
}

/// What a list has of a conversation so long after its message, on a hub that keeps messages for `kept`.
async fn is_listed_after(lab: &Lab, kept: Duration, age: Duration, wanted: bool) -> Result<(), Stop> {
    let settings = HubSettings {
        retention_seconds: kept.as_secs(),
        ..HubSettings::default()
    };
    let (hub, lab) = lab.on_another_hub(settings).await?;
    let mut alice = lab.raw("alice").await?;
    let _bob = lab.raw("bob").await?;
    alice.say(&to(lab.user("bob")?), "x").await?;
    hub.advance(age);
    if wanted {
        let late = lab.log_in("bob").await?;
        ensure!(
            late.conversation(lab.user("alice")?).await?.is_some(),
            "it is not listed after {age:?}"
        );
        ensure_eq!(
            late.history(lab.user("alice")?).await?.len(),
            1,
            "messages after {age:?}"
        );
        return Ok(());
    }
    // The hub comes round to it by itself; the row's deadline bounds the wait.
    let mut late = lab.raw("bob").await?;
    loop {
        let page = late.request(kind::CONVERSATIONS, &[0, 0]).await?;
        let page = page.map_err(|refusal| Stop::fail(refusal.text))?;
        let mut input = Input(&page);
        let (_next, _completed, _total) = (input.bytes()?, input.bool()?, input.varint()?);
        if input.list()?.is_empty() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let (history, _) = late
        .history(&To::User(lab.user("alice")?.as_str().into()), 0)
        .await?;
    ensure!(
        history.is_empty(),
        "the conversation is gone, and its message is not"
    );
    Ok(())
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MINUTE: Duration = Duration::from_secs(60);

async fn as_long_as_last(lab: &Lab) -> Verdict {
    let kept = 60 * MINUTE;
    is_listed_after(lab, kept, kept - MINUTE, true).await?;
    is_listed_after(lab, kept, kept + MINUTE, false).await?;
    Ok("on a hub that keeps messages for an hour: listed after 59 minutes, gone after 61".into())
}

async fn seven_days(lab: &Lab) -> Verdict {
    let kept = Duration::from_secs(HubSettings::default().retention_seconds);
    ensure_eq!(kept, 7 * DAY, "the documented period");
    is_listed_after(lab, kept, 7 * DAY - MINUTE, true).await?;
    is_listed_after(lab, kept, 7 * DAY + MINUTE, false).await?;
    Ok("there after 6 days, 23 hours and 59 minutes; gone after 7 days and a minute".into())
}

async fn replaces(lab: &Lab) -> Verdict {
    let (alice, mut bob) = lab.pair().await?;
    let carol = lab.log_in("carol").await?;
    alice.say(bob.user(), "a").await?;
    carol.say(bob.user(), "c").await?;
    let (one, two) = (alice.c2c(), carol.c2c());
    bob.list_shows("a list of two", |list| list.iter().map(|it| it.id).eq([two, one]))
        .await?;
    bob.client.delete_conversation(alice.user()).await?;
    bob.list_shows("a list of one", |list| list.iter().map(|it| it.id).eq([two]))
        .await?;
    let list = bob.client.get_conversation_list().await?.conversation_list;
    ensure!(
        list.iter().map(|it| it.id).eq([two]),
        "the response has another list"
    );
    let events = bob
        .told
        .iter()
        .filter(|event| matches!(event, Event::ConversationListUpdated(list) if list.len() == 2));
    ensure_eq!(events.count(), 0, "lists with the deleted conversation behind it");
    Ok("each event and each response has the whole list".into())
}

async fn failure(lab: &Lab) -> Verdict {
    let alice = lab.log_in("alice").await?;
    alice.client.logout().await?;
    let refused = alice.client.get_conversation_list().await;
    ensure_refused(
        refused,
        &[
            ErrorCode::SDK_IS_NOT_READY,
            ErrorCode::LOGGED_OUT,
            ErrorCode::USER_NOT_LOGGED_IN,
        ],
        "the list after the logout",
    )?;
    let mut raw = lab.raw("alice").await?;
    let broken = raw.request(kind::CONVERSATIONS, &[0xff]).await?;
    ensure!(broken.is_err(), "the hub answers a request that cannot be read");
    Ok("after the logout, and for a request that the hub cannot read".into())
}

async fn promise(lab: &Lab) -> Verdict {
    let alice = lab.log_in("alice").await?;
    let (first, second) = tokio::join!(
        alice.client.get_conversation_list(),
        alice.client.get_conversation_list()
    );
    ensure_eq!(
        first?.conversation_list.len(),
        second?.conversation_list.len(),
        "two calls at once"
    );
    Ok("a future; two of them run at the same time".into())
}
