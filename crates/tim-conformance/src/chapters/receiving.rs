//! Receiving.

use tim_client::proto::message::{NoticeOperation, TipOperation};
use tim_client::{Event, EventKind, Message};

use super::revoking::on;
use crate::check::{Verdict, ensure, ensure_eq};
use crate::lab::Lab;
use crate::person::texts;
use crate::row::{Row, table};

pub(super) const ROWS: &[Row] = table! {
    129, "MESSAGE_RECEIVED by `on(event, handler)`", { handler };
    130, "the event has a list, in the hub's order", { in_order };
    131, "C2C, group, tip and notice", { four_kinds };
    132, "several handlers, each gets each event once", { several_handlers };
};

fn messages(event: &Event) -> Vec<Message> {
    match event {
        Event::MessageReceived(messages) => messages.clone(),
        _ => Vec::new(),
    }
}

async fn handler(lab: &Lab) -> Verdict {
    ensure_eq!(
        EventKind::MessageReceived.name(),
        "onMessageReceived",
        "the name of the event"
    );
    let (alice, bob) = lab.pair().await?;
    let mut handled = on(&bob, EventKind::MessageReceived, messages);
    alice.say(bob.user(), "hello").await?;
    let got = handled.next().await?;
    ensure_eq!(texts(&got), ["hello"], "what the handler got");
    Ok("the handler is called with the message".into())
}

async fn in_order(lab: &Lab) -> Verdict {
    let (alice, bob) = lab.pair().await?;
    let mut handled = on(&bob, EventKind::MessageReceived, messages);
    let mut sent = Vec::new();
    for number in 0..20 {
        sent.push(alice.say(bob.user(), &number.to_string()).await?);
    }
    let mut got: Vec<Message> = Vec::new();
    while got.len() < sent.len() {
        let list = handled.next().await?;
        ensure!(!list.is_empty(), "an event with an empty list");
        got.extend(list);
    }
    let seen: Vec<_> = got.iter().map(|it| (it.id(), it.sequence())).collect();
    let wanted: Vec<_> = sent.iter().map(|it| (it.id(), it.sequence())).collect();
    ensure_eq!(seen, wanted, "the messages of the lists");
    ensure!(wanted.is_sorted_by(|a, b| a.1 < b.1), "sequences do not grow");
    Ok("twenty messages, each once, in the order of their sequence".into())
}

async fn four_kinds(lab: &Lab) -> Verdict {
    let (alice, mut bob, group) = lab.pair_in_group().await?;
    alice.say(bob.user(), "between two").await?;
    alice.say(group, "in the group").await?;
    bob.hears("between two").await?;
    bob.hears("in the group").await?;
    let notice = bob.notice(NoticeOperation::INVITED).await?;
    ensure_eq!(
        notice.conversation_id(),
        tim_client::ConversationId::System,
        "where the notice is"
    );
    let tip = bob.tip(TipOperation::JOIN).await?;
    ensure_eq!(
        tip.conversation_id(),
        tim_client::ConversationId::Group(group),
        "where the tip is"
    );
    Ok("one of each comes".into())
}

async fn several_handlers(lab: &Lab) -> Verdict {
    let (alice, bob) = lab.pair().await?;
    let mut first = on(&bob, EventKind::MessageReceived, messages);
    let mut second = on(&bob, EventKind::MessageReceived, messages);
    for text in ["one", "two", "three"] {
        alice.say(bob.user(), text).await?;
    }
    for handled in [&mut first, &mut second] {
        let mut got = Vec::new();
        while got.len() < 3 {
            got.extend(texts(&handled.next().await?));
        }
        ensure_eq!(got, ["one", "two", "three"], "what a handler got");
    }
    Ok("two handlers, three messages: each gets each once".into())
}
