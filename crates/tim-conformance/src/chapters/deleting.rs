//! Deleting a conversation.

use tim_client::{ConversationId, ErrorCode};

use crate::check::{Verdict, ensure, ensure_eq, ensure_refused};
use crate::lab::Lab;
use crate::person::texts;
use crate::row::{Row, table};

pub(super) const ROWS: &[Row] = table! {
    202, "`deleteConversation`", { exists };
    203, "its messages stay", { messages_stay };
    204, "it comes back with its history", { comes_back };
    205, "for all three kinds of conversation", { three_kinds };
    206, "`conversationID` of the deleted one", { id };
    207, "a failure is an error", { failure };
    208, "returns a promise", { promise };
};

async fn exists(lab: &Lab) -> Verdict {
    let (alice, mut bob) = lab.pair().await?;
    alice.say(bob.user(), "x").await?;
    bob.hears("x").await?;
    ensure!(
        bob.conversation(alice.user()).await?.is_some(),
        "it is not on the list before"
    );
    bob.client.delete_conversation(alice.user()).await?;
    ensure!(
        bob.conversation(alice.user()).await?.is_none(),
        "it is on the list afterwards"
    );
    let fresh = lab.log_in("bob").await?;
    ensure!(
        fresh.conversation(alice.user()).await?.is_none(),
        "it is on the list of a later login"
    );
    Ok("off the list, also after another login".into())
}

async fn messages_stay(lab: &Lab) -> Verdict {
    let (alice, mut bob) = lab.pair().await?;
    for text in ["one", "two"] {
        alice.say(bob.user(), text).await?;
    }
    bob.hears("two").await?;
    bob.client.delete_conversation(alice.user()).await?;
    ensure_eq!(
        texts(&bob.history(alice.user()).await?),
        ["one", "two"],
        "the history"
    );
    ensure!(
        alice.conversation(bob.user()).await?.is_some(),
        "it is off the other user's list too"
    );
    Ok("the history is as it was, and the other user's list too".into())
}

async fn comes_back(lab: &Lab) -> Verdict {
    let (alice, mut bob) = lab.pair().await?;
    alice.say(bob.user(), "before").await?;
    bob.hears("before").await?;
    bob.client.delete_conversation(alice.user()).await?;
    alice.say(bob.user(), "after").await?;
    bob.hears("after").await?;
    ensure_eq!(bob.unread(alice.user()).await?, 1, "unread messages");
    ensure_eq!(
        texts(&bob.history(alice.user()).await?),
        ["before", "after"],
        "the history"
    );
    Ok("a new message brings it back, with the earlier ones in its history".into())
}

async fn three_kinds(lab: &Lab) -> Verdict {
    let (alice, mut bob, group) = lab.pair_in_group().await?;
    alice.say(bob.user(), "x").await?;
    alice.say(group, "y").await?;
    bob.hears("x").await?;
    bob.hears("y").await?;
    for id in [alice.c2c(), group.into(), ConversationId::System] {
        ensure!(bob.conversation(id).await?.is_some(), "{id} is not on the list");
        bob.client.delete_conversation(id).await?;
        ensure!(bob.conversation(id).await?.is_none(), "{id} is still on the list");
    }
    Ok("C2C, a group and @TIM#SYSTEM".into())
}

async fn id(lab: &Lab) -> Verdict {
    let (alice, bob) = lab.pair().await?;
    alice.say(bob.user(), "x").await?;
    let deleted = alice.client.delete_conversation(bob.user()).await?;
    ensure_eq!(deleted.conversation_id, bob.c2c(), "the id of the response");
    Ok("the response has the id".into())
}

async fn failure(lab: &Lab) -> Verdict {
    let alice = lab.log_in("alice").await?;
    alice.client.logout().await?;
    let refused = alice.client.delete_conversation(lab.user("bob")?).await;
    ensure_refused(
        refused,
        &[
            ErrorCode::SDK_IS_NOT_READY,
            ErrorCode::LOGGED_OUT,
            ErrorCode::USER_NOT_LOGGED_IN,
        ],
        "deleting after the logout",
    )?;
    Ok("after the logout".into())
}

async fn promise(lab: &Lab) -> Verdict {
    let (alice, bob) = lab.pair().await?;
    alice.say(bob.user(), "x").await?;
    let future = alice.client.delete_conversation(bob.user());
    ensure!(
        alice.conversation(bob.user()).await?.is_some(),
        "deleted before the future is polled"
    );
    future.await?;
    ensure!(
        alice.conversation(bob.user()).await?.is_none(),
        "not deleted when it is complete"
    );
    Ok("a future, which does nothing before it is polled".into())
}
