//! Ids and conversations.

use tim_client::proto::IdError;
use tim_client::proto::message::{NoticeOperation, TipOperation};
use tim_client::{ConversationId, ConversationType, ErrorCode, GroupId, MessageKind, UserId};

use super::wire_text;
use crate::check::{Verdict, ensure, ensure_eq, ensure_refused};
use crate::lab::Lab;
use crate::row::{Row, table};
use crate::spec::{To, kind};

pub(super) const ROWS: &[Row] = table! {
    1, "a message has a receiver that is not empty", { receiver };
    2, "conversation type C2C", { type_c2c };
    3, "conversation type GROUP", { type_group };
    4, "`C2C` + user id; parsing and printing are inverses", { c2c_ids };
    5, "`GROUP` + group id; parsing and printing are inverses", { group_ids };
    6, "`@TIM#SYSTEM` is the system conversation; anything malformed is a typed error", { system_id };
    7, "ids compare case-sensitively", { case_counts };
    8, "only C2C and GROUP can be sent to", { not_to_system };
    9, "four kinds of pushed message: C2C, group, tip, notice", { four_kinds };
};

async fn receiver(lab: &Lab) -> Verdict {
    ensure_eq!(UserId::new(""), Err(IdError::Empty), "an empty user id");
    ensure_eq!(GroupId::new(""), Err(IdError::Empty), "an empty group id");
    let (alice, mut bob) = lab.pair().await?;
    let sent = alice.say(bob.user(), "hello").await?;
    let got = bob.receives(&sent).await?;
    ensure_eq!(got.to(), bob.c2c(), "the receiver of the message that came");
    let mut raw = lab.raw("carol").await?;
    for to in [To::User(String::new()), To::Group(String::new())] {
        let body = raw.body(&to, 1, wire_text("x"));
        let answer = raw.send(&body).await?;
        ensure!(answer.is_err(), "the hub took a message to {to:?}");
    }
    Ok("an empty receiver is refused by the SDK and by the hub; another one arrives unchanged".into())
}

async fn type_c2c(lab: &Lab) -> Verdict {
    let (alice, mut bob) = lab.pair().await?;
    let message = alice.client.create_text_message(bob.user(), "x")?;
    let conversation = message.conversation_id();
    ensure_eq!(
        conversation.to_string(),
        format!("C2C{}", bob.user()),
        "the conversation"
    );
    ensure_eq!(conversation.conversation_type().as_str(), "C2C", "the type");
    alice.say(bob.user(), "y").await?;
    let got = bob.hears("y").await?;
    ensure_eq!(got.conversation_id(), alice.c2c(), "the receiver's conversation");
    Ok("a message to a user is in C2C + user".into())
}

async fn type_group(lab: &Lab) -> Verdict {
    let (alice, mut bob, group) = lab.pair_in_group().await?;
    let message = alice.say(group, "y").await?;
    let conversation = message.conversation_id();
    ensure_eq!(
        conversation.to_string(),
        format!("GROUP{group}"),
        "the conversation"
    );
    ensure_eq!(
        conversation.conversation_type(),
        ConversationType::Group,
        "the type"
    );
    let got = bob.hears("y").await?;
    ensure_eq!(got.conversation_id(), conversation, "the receiver's conversation");
    Ok("a message to a group is in GROUP + group".into())
}

/// Ids of all lengths and of every byte that is allowed, those among them that look like conversations.
fn awkward_ids(longest: usize) -> Vec<String> {
    let mut ids: Vec<String> = [
        "test",
        "C2C",
        "C2CC2C",
        "GROUP",
        "GROUPx",
        "C2CGROUP",
        "@TIM#SYSTEM!",
        "0",
        "~",
    ]
    .map(str::to_owned)
    .to_vec();
    ids.extend((1..=longest).map(|len| "n".repeat(len)));
    ids.extend((0x21..=0x7e_u8).map(|byte| char::from(byte).to_string()));
    ids
}

async fn c2c_ids(lab: &Lab) -> Verdict {
    for id in awkward_ids(UserId::MAX_LEN) {
        let text = format!("C2C{id}");
        let parsed: ConversationId = text.parse()?;
        ensure_eq!(parsed, ConversationId::C2c(UserId::new(&id)?), "{text} parsed");
        ensure_eq!(parsed.to_string(), text, "{text} printed");
    }
    let (alice, _) = lab.log_in_as(lab.user("a")?, |builder| builder).await?;
    let tricky = UserId::new(&format!("C2CGROUP{}", &alice.user().as_str()[2..]))?;
    let (mut bob, _) = lab.log_in_as(tricky, |builder| builder).await?;
    alice.say(tricky, "x").await?;
    bob.hears("x").await?;
    let listed = alice.conversation(tricky).await?;
    ensure!(
        listed.is_some(),
        "the conversation with {tricky} is not on the list"
    );
    Ok("inverse for ids of every length and byte; a user whose id begins with C2CGROUP is reached".into())
}

async fn group_ids(lab: &Lab) -> Verdict {
    for id in awkward_ids(GroupId::MAX_LEN) {
        let text = format!("GROUP{id}");
        let parsed: ConversationId = text.parse()?;
        ensure_eq!(parsed, ConversationId::Group(GroupId::new(&id)?), "{text} parsed");
        ensure_eq!(parsed.to_string(), text, "{text} printed");
    }
    let (alice, _bob, group) = lab.pair_in_group().await?;
    let parsed: ConversationId = format!("GROUP{group}").parse()?;
    alice.say(parsed, "x").await?;
    ensure!(
        alice.conversation(group).await?.is_some(),
        "the group is not on the list"
    );
    Ok("inverse for ids of every length and byte; a group is reached by its conversation id".into())
}

async fn system_id(lab: &Lab) -> Verdict {
    ensure_eq!(
        "@TIM#SYSTEM".parse(),
        Ok(ConversationId::System),
        "@TIM#SYSTEM parsed"
    );
    ensure_eq!(ConversationId::System.to_string(), "@TIM#SYSTEM", "and printed");
    for text in [
        "@TIM#SYSTEMx",
        "@TIM#SYSTE",
        "@tim#system",
        "",
        "C2C",
        "GROUP",
        "c2cbob",
        "Groupg",
        "bob",
        "C2Cä",
    ] {
        ensure!(text.parse::<ConversationId>().is_err(), "{text:?} parsed");
    }
    let alice = lab.log_in("alice").await?;
    let page = alice
        .client
        .get_message_list(ConversationId::System, None, None)
        .await?;
    ensure!(
        page.is_completed && page.message_list.is_empty(),
        "a new user has notices"
    );
    let mut raw = lab.raw("carol").await?;
    let unknown_type = raw.request(kind::HISTORY, &[3, 0, 0]).await?;
    ensure!(unknown_type.is_err(), "the hub knows a conversation of type 3");
    Ok("exactly @TIM#SYSTEM parses; malformed ids are errors, also on the wire".into())
}

async fn case_counts(lab: &Lab) -> Verdict {
    for text in ["C2Ctest", "C2Cexample", "C2CExample"] {
        ensure_eq!(text.parse::<ConversationId>()?.to_string(), text, "{text}");
    }
    ensure!(
        UserId::new("example")? != UserId::new("Example")?,
        "example equals Example"
    );
    let small = lab.log_in("example").await?;
    let mut large = lab.log_in("Example").await?;
    let alice = lab.log_in("alice").await?;
    alice.say(large.user(), "to Example").await?;
    large.hears("to Example").await?;
    ensure!(
        small.history(alice.user()).await?.is_empty(),
        "a message to Example is in example's history"
    );
    ensure!(
        small.conversation(alice.user()).await?.is_none(),
        "and in the list of example"
    );
    Ok("example and Example are two users, with a history each".into())
}

async fn not_to_system(lab: &Lab) -> Verdict {
    let alice = lab.log_in("alice").await?;
    let created = alice.client.create_text_message(ConversationId::System, "x");
    let code = ErrorCode::MESSAGE_SEND_INVALID_CONVERSATION_TYPE;
    ensure_refused(created, &[code], "a message to @TIM#SYSTEM")?;
    let mut raw = lab.raw("carol").await?;
    let body = raw.body(&To::System, 1, wire_text("x"));
    let answer = raw.send(&body).await?;
    ensure!(answer.is_err(), "the hub took a message to @TIM#SYSTEM");
    let (history, _) = raw.history(&To::System, 0).await?;
    ensure!(history.is_empty(), "and stored it");
    Ok("refused by the SDK with 2106, and by the hub".into())
}

async fn four_kinds(lab: &Lab) -> Verdict {
    let (alice, mut bob, group) = lab.pair_in_group().await?;
    alice.say(bob.user(), "between two").await?;
    alice.say(group, "in the group").await?;
    let c2c = bob.hears("between two").await?;
    let in_group = bob.hears("in the group").await?;
    let notice = bob.notice(NoticeOperation::INVITED).await?;
    let tip = bob.tip(TipOperation::JOIN).await?;
    let kinds = [&c2c, &in_group, &tip, &notice]
        .map(|message| (message.kind(), message.conversation_id().conversation_type()));
    let wanted = [
        (MessageKind::TEXT, ConversationType::C2c),
        (MessageKind::TEXT, ConversationType::Group),
        (MessageKind::GROUP_TIP, ConversationType::Group),
        (MessageKind::GROUP_SYSTEM_NOTICE, ConversationType::System),
    ];
    ensure_eq!(kinds, wanted, "kinds and conversations");
    Ok("all four come as MESSAGE_RECEIVED and can be told apart".into())
}
