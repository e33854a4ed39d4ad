//! The conversation profile.

use tim_client::{ConversationId, ErrorCode, GroupId};

use crate::check::{Stop, Verdict, ensure, ensure_eq, ensure_refused};
use crate::lab::Lab;
use crate::row::{Row, table};

pub(super) const ROWS: &[Row] = table! {
    196, "`getConversationProfile` by id", { by_id };
    197, "more fields than the list entry", { more_fields };
    198, "for all three kinds of conversation", { three_kinds };
    199, "`conversation`", { conversation };
    200, "an unknown id is an error", { unknown };
    201, "returns a promise", { promise };
};

async fn by_id(lab: &Lab) -> Verdict {
    let (alice, bob) = lab.pair().await?;
    let id: ConversationId = format!("C2C{}", bob.user()).parse()?;
    let profile = alice.client.get_conversation_profile(id).await?.conversation;
    ensure_eq!(profile.conversation.id, bob.c2c(), "the conversation");
    Ok("by the string of the id".into())
}

async fn more_fields(lab: &Lab) -> Verdict {
    let (alice, bob, group) = lab.pair_in_group().await?;
    alice
        .client
        .update_my_profile(Some("张三"), Some("https://example.invalid/a.png"))
        .await?;
    let user = bob
        .client
        .get_conversation_profile(alice.user())
        .await?
        .conversation
        .user;
    let user = user.ok_or_else(|| Stop::fail("no profile of the user"))?;
    let told = (user.id, user.nick.as_str(), user.avatar.as_str());
    ensure_eq!(
        told,
        (alice.user(), "张三", "https://example.invalid/a.png"),
        "the user"
    );
    let told = bob
        .client
        .get_conversation_profile(group)
        .await?
        .conversation
        .group;
    let told = told.ok_or_else(|| Stop::fail("no profile of the group"))?;
    ensure_eq!(
        (told.id, told.owner, told.member_count),
        (group, alice.user(), 2),
        "the group"
    );
    Ok("the user's or the group's own profile".into())
}

async fn three_kinds(lab: &Lab) -> Verdict {
    let (alice, bob, group) = lab.pair_in_group().await?;
    for id in [alice.c2c(), group.into(), ConversationId::System] {
        let profile = bob.client.get_conversation_profile(id).await?.conversation;
        ensure_eq!(profile.conversation.id, id, "the conversation");
    }
    Ok("C2C, a group and @TIM#SYSTEM".into())
}

async fn conversation(lab: &Lab) -> Verdict {
    let (alice, bob) = lab.pair().await?;
    alice.say(bob.user(), "hello").await?;
    let fresh = lab.log_in("bob").await?;
    let profile = fresh
        .client
        .get_conversation_profile(alice.user())
        .await?
        .conversation;
    let listed = fresh.conversation(alice.user()).await?;
    let listed = listed.ok_or_else(|| Stop::fail("it is not on the list"))?;
    let entry = &profile.conversation;
    ensure_eq!(
        (entry.id, entry.unread_count, entry.last_sequence),
        (listed.id, listed.unread_count, listed.last_sequence),
        "the conversation of the profile"
    );
    let text = entry
        .last_message
        .as_ref()
        .and_then(|message| message.text().map(str::to_owned));
    ensure_eq!(text.as_deref(), Some("hello"), "its last message");
    Ok("has what the list has".into())
}

async fn unknown(lab: &Lab) -> Verdict {
    let alice = lab.log_in("alice").await?;
    let nobody = ConversationId::C2c(lab.user("nobody")?);
    let no_group = ConversationId::Group(GroupId::new("cf-no-such-group")?);
    for id in [nobody, no_group] {
        let refused = alice.client.get_conversation_profile(id).await;
        ensure_refused(refused, &[], "the profile of nobody")?;
    }
    Ok("for a user and for a group that do not exist".into())
}

async fn promise(lab: &Lab) -> Verdict {
    let alice = lab.log_in("alice").await?;
    alice.client.get_conversation_profile(alice.user()).await?;
    alice.client.logout().await?;
    let refused = alice.client.get_conversation_profile(alice.user()).await;
    ensure_refused(
        refused,
        &[
            ErrorCode::SDK_IS_NOT_READY,
            ErrorCode::LOGGED_OUT,
            ErrorCode::USER_NOT_LOGGED_IN,
        ],
        "a profile after the logout",
    )?;
    ensure!(!alice.client.is_ready(), "it is ready after the logout");
    Ok("a future of the profile or of the error".into())
}
