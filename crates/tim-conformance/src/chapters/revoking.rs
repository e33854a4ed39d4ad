//! Revoking.

use std::time::Duration;

use serde_json::json;
use tim_client::proto::Words;
use tim_client::proto::render::{Revoker, revoked_text};
use tim_client::{ErrorCode, Event, EventKind, Message, MessageKind, Status};

use super::{claims, to};
use crate::check::{Stop, Verdict, ensure, ensure_eq, ensure_refused};
use crate::lab::Lab;
use crate::row::{Row, table};
use crate::spec::RawMessage;
use crate::target::HubSettings;

pub(super) const ROWS: &[Row] = table! {
    108, "`revokeMessage` (2.4.0)", { revoke };
    109, "only a sent message can be revoked", { only_sent };
    110, "in C2C and groups", { everywhere };
    111, "afterwards `isRevoked` is true", { is_revoked };
    112, "for two minutes by the hub's clock", { two_minutes };
    113, "the period is configurable", { configurable };
    114, "a revoked message keeps its position in the history", { keeps_position };
    115, "text in C2C: `对方撤回了一条消息`", { text_in_c2c };
    116, "text in groups: the name + `撤回了一条消息`", { text_in_groups };
    117, "the REST interface can revoke", { rest };
    118, "event MESSAGE_REVOKED (2.4.0)", { event };
    119, "the event has its name", { event_name };
    120, "the event has a list of revoked messages", { event_list };
    121, "a failure is an error", { failure };
    122, "example: branch on `isRevoked` in the history", { example };
    123, "returns a promise", { promise };
};

async fn revoke(lab: &Lab) -> Verdict {
    ensure!(claims("revokeMessage"), "the SDK does not claim it");
    let (alice, bob) = lab.pair().await?;
    let sent = alice.say(bob.user(), "oops").await?;
    let response = alice.client.revoke_message(&sent).await?;
    ensure!(
        response.message.is_same(&sent),
        "the response has another instance"
    );
    Ok("revokes a message; the response has it".into())
}

async fn only_sent(lab: &Lab) -> Verdict {
    let (alice, bob) = lab.pair().await?;
    let unsent = alice.client.create_text_message(bob.user(), "x")?;
    let refused = alice.client.revoke_message(&unsent).await;
    ensure_refused(
        refused,
        &[ErrorCode::MESSAGE_NOT_SENT],
        "revoking an unsent message",
    )?;
    let mut raw = lab.raw("alice").await?;
    let nothing = raw.revoke(&to(bob.user()), 99).await?;
    ensure!(nothing.is_err(), "the hub revoked a message that was never sent");
    ensure_eq!(unsent.status(), Status::UnSend, "the status");
    Ok("an unsent message is refused by the SDK, and a place without a message by the hub".into())
}

async fn everywhere(lab: &Lab) -> Verdict {
    let (alice, mut bob, group) = lab.pair_in_group().await?;
    for (to, seen_by_bob) in [(bob.c2c(), alice.c2c()), (group.into(), group.into())] {
        let sent = alice.say(to, "oops").await?;
        let got = bob.receives(&sent).await?;
        alice.client.revoke_message(&sent).await?;
        bob.sees_revoked().await?;
        ensure!(got.is_revoked(), "the receiver's instance in {to} is not revoked");
        let history = bob.history(seen_by_bob).await?;
        ensure!(
            history.iter().any(|it| it.id() == sent.id() && it.is_revoked()),
            "not in the history of {to}"
        );
    }
    Ok("one message each is revoked, at the receiver and in the history".into())
}

async fn is_revoked(lab: &Lab) -> Verdict {
    let (alice, bob) = lab.pair().await?;
    let sent = alice.say(bob.user(), "oops").await?;
    ensure!(!sent.is_revoked(), "it was revoked before");
    alice.client.revoke_message(&sent).await?;
    ensure!(sent.is_revoked(), "the sender's instance is not revoked");
    Ok("the sender's instance becomes revoked".into())
}

/// Revokes a message of this age; the result's code.
async fn revoked_at(lab: &Lab, settings: HubSettings, age: Duration) -> Result<Result<(), ErrorCode>, Stop> {
    let (hub, lab) = lab.on_another_hub(settings).await?;
    let (alice, bob) = lab.pair().await?;
    let sent = alice.say(bob.user(), "oops").await?;
    hub.advance(age);
    let result = alice.client.revoke_message(&sent).await;
    Ok(result.map(drop).map_err(|error| error.code))
}

async fn window(lab: &Lab, seconds: u64) -> Result<(), Stop> {
    let settings = HubSettings {
        revoke_window_seconds: seconds,
        ..HubSettings::default()
    };
    let below = revoked_at(lab, settings, Duration::from_secs(seconds - 1)).await?;
    ensure_eq!(below, Ok(()), "revoking {} s after sending", seconds - 1);
    let above = revoked_at(lab, settings, Duration::from_secs(seconds + 1)).await?;
    ensure_eq!(
        above,
        Err(ErrorCode::MSG_REVOKE_TIME_LIMIT),
        "revoking {} s after sending",
        seconds + 1
    );
    Ok(())
}

async fn two_minutes(lab: &Lab) -> Verdict {
    ensure_eq!(
        HubSettings::default().revoke_window_seconds,
        120,
        "the documented period"
    );
    window(lab, 120).await?;
    Ok("taken after 119 s, refused with 20016 after 121 s by the hub's clock".into())
}

async fn configurable(lab: &Lab) -> Verdict {
    window(lab, 5).await?;
    window(lab, 600).await?;
    Ok("with 5 s and with 600 s the hub takes and refuses accordingly".into())
}

async fn keeps_position(lab: &Lab) -> Verdict {
    let (alice, bob) = lab.pair().await?;
    let mut sent = Vec::new();
    for text in ["one", "secret", "three"] {
        sent.push(alice.say(bob.user(), text).await?);
    }
    alice.client.revoke_message(&sent[1]).await?;
    let fresh = lab.log_in("bob").await?;
    let history = fresh.history(alice.user()).await?;
    let seen: Vec<_> = history.iter().map(|it| (it.id(), it.is_revoked())).collect();
    let wanted: Vec<_> = sent
        .iter()
        .zip([false, true, false])
        .map(|(it, revoked)| (it.id(), revoked))
        .collect();
    ensure_eq!(seen, wanted, "the history");
    let mut raw = lab.raw("bob").await?;
    let (page, _) = raw.history(&to(alice.user()), 0).await?;
    let revoked = page.iter().find(|it| it.sequence == sent[1].sequence());
    let revoked = revoked.ok_or_else(|| Stop::fail("the page does not have its place"))?;
    ensure!(
        revoked.flags & RawMessage::REVOKED != 0,
        "the flag is not set on the wire"
    );
    ensure!(revoked.payload.is_empty(), "its content is still there");
    let by = revoked
        .extensions
        .iter()
        .find(|(tag, _)| *tag == 67)
        .map(|(_, user)| user.as_slice());
    ensure_eq!(by, Some(alice.user().as_str().as_bytes()), "who revoked it");
    Ok("it is where it was, flagged, without its content, and names who revoked it".into())
}

fn words(message: &Message, me: tim_client::UserId) -> String {
    let view = message.view();
    revoked_text(Revoker::of(&view, &me), Words::SEED).to_string()
}

async fn text_in_c2c(lab: &Lab) -> Verdict {
    let (alice, mut bob) = lab.pair().await?;
    let sent = alice.say(bob.user(), "oops").await?;
    bob.receives(&sent).await?;
    alice.client.revoke_message(&sent).await?;
    let revoked = bob.sees_revoked().await?;
    ensure_eq!(
        words(&revoked, bob.user()),
        "对方撤回了一条消息",
        "the receiver's text"
    );
    ensure_eq!(
        words(&sent, alice.user()),
        "你撤回了一条消息",
        "the sender's text"
    );
    Ok("exactly this text at the receiver; the sender reads tim's own `你撤回了一条消息`".into())
}

async fn text_in_groups(lab: &Lab) -> Verdict {
    let (alice, mut bob, group) = lab.pair_in_group().await?;
    alice.client.update_my_profile(Some("张三"), None).await?;
    let sent = alice.say(group, "oops").await?;
    bob.receives(&sent).await?;
    alice.client.revoke_message(&sent).await?;
    let revoked = bob.sees_revoked().await?;
    ensure_eq!(
        words(&revoked, bob.user()),
        "张三撤回了一条消息",
        "the receiver's text"
    );
    Ok("the nick of who revoked it, and the text".into())
}

/// What the REST interface sends reaches all devices; what it revokes is revoked for them, between two users and in a group.
pub(super) async fn rest(lab: &Lab) -> Verdict {
    let (mut alice, mut bob, group) = lab.pair_in_group().await?;
    let words = |text: &str| json!([{"MsgType": "TIMTextElem", "MsgContent": {"Text": text}}]);
    let (from, to) = (alice.user().to_string(), bob.user().to_string());
    let message =
        json!({"From_Account": from, "To_Account": to, "MsgRandom": 1, "MsgBody": words("by REST")});
    let sent = lab.rest("openim/sendmsg", message).await?;
    let in_group = json!({
        "GroupId": group.to_string(), "From_Account": from, "Random": 2, "MsgBody": words("to all"),
    });
    let sent_to_group = lab.rest("group_open_http_svc/send_group_msg", in_group).await?;
    for person in [&mut alice, &mut bob] {
        let _held = person.hears("by REST").await?;
        let _held = person.hears("to all").await?;
    }
    let own = alice.say(group, "by a device").await?;
    bob.receives(&own).await?;
    let withdraw = json!({"From_Account": from, "To_Account": to, "MsgKey": sent["MsgKey"]});
    lab.rest("openim/admin_msgwithdraw", withdraw).await?;
    ensure!(bob.sees_revoked().await?.is_revoked(), "the message of the event");
    let list = json!([{"MsgSeq": sent_to_group["MsgSeq"]}, {"MsgSeq": own.sequence()}]);
    let recall = json!({"GroupId": group.to_string(), "MsgSeqList": list});
    let recalled = lab.rest("group_open_http_svc/group_msg_recall", recall).await?;
    for result in recalled["RecallRetList"].as_array().into_iter().flatten() {
        ensure_eq!(result["RetCode"], 0, "the code of a message");
        ensure!(bob.sees_revoked().await?.is_revoked(), "the message of the event");
    }
    Ok("sent to two users and to a group, and revoked there; one of a device, too".into())
}

async fn event(lab: &Lab) -> Verdict {
    let (alice, mut bob, group) = lab.pair_in_group().await?;
    let mut tablet = lab.log_in("alice").await?;
    for to in [bob.c2c(), group.into()] {
        let sent = alice.say(to, "oops").await?;
        for device in [&mut bob, &mut tablet] {
            let _held = device.receives(&sent).await?;
            alice.client.get_conversation_list().await?;
        }
        alice.client.revoke_message(&sent).await?;
        for device in [&mut bob, &mut tablet] {
            let revoked = device.sees_revoked().await?;
            ensure_eq!(
                (revoked.id(), revoked.is_revoked()),
                (sent.id(), true),
                "the message of the event"
            );
        }
    }
    // The response may be lost; then nothing else tells the device that revoked.
    let mut raw = lab.raw("alice").await?;
    let sent = raw.say(&to(bob.user()), "oops").await?;
    let response = raw.revoke(&to(bob.user()), sent.sequence).await?;
    ensure!(response.is_ok(), "a message was not revoked: {response:?}");
    raw.delivery("the revocation at the device that revoked", |it| {
        (it.kind == u64::from(MessageKind::REVOCATION.0) && it.sequence > sent.sequence).then_some(())
    })
    .await?;
    Ok("at the receiver and at the sender's other device, in C2C and in a group; the device that revokes is told too".into())
}

async fn event_name(lab: &Lab) -> Verdict {
    ensure_eq!(
        EventKind::MessageRevoked.name(),
        "onMessageRevoked",
        "the name of the kind"
    );
    let (alice, mut bob) = lab.pair().await?;
    let mut names = on(&bob, EventKind::MessageRevoked, |event| event.name());
    let sent = alice.say(bob.user(), "oops").await?;
    bob.receives(&sent).await?;
    alice.client.revoke_message(&sent).await?;
    ensure_eq!(names.next().await?, "onMessageRevoked", "the name of the event");
    Ok("onMessageRevoked".into())
}

/// What a handler takes from its events.
pub(super) struct Handled<T>(tokio::sync::mpsc::UnboundedReceiver<T>);

impl<T> Handled<T> {
    pub(super) async fn next(&mut self) -> Result<T, Stop> {
        let next = tokio::time::timeout(Duration::from_secs(20), self.0.recv()).await;
        next.ok()
            .flatten()
            .ok_or_else(|| Stop::fail("the handler was not called within 20 s"))
    }
}

pub(super) fn on<T: Send + 'static>(
    person: &crate::person::Person,
    kind: EventKind,
    take: impl Fn(&Event) -> T + Send + Sync + 'static,
) -> Handled<T> {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    person.client.on(kind, move |event| {
        // The check may have ended.
        let _ = sender.send(take(event));
    });
    Handled(receiver)
}

async fn event_list(lab: &Lab) -> Verdict {
    let (alice, mut bob) = lab.pair().await?;
    let mut lists = on(&bob, EventKind::MessageRevoked, |event| match event {
        Event::MessageRevoked(messages) => messages.clone(),
        _ => Vec::new(),
    });
    let mut sent = Vec::new();
    for text in ["one", "two", "three"] {
        sent.push(alice.say(bob.user(), text).await?);
    }
    let _held = bob.receives(&sent[2]).await?;
    for message in &sent {
        alice.client.revoke_message(message).await?;
    }
    let mut revoked: Vec<Message> = Vec::new();
    while revoked.len() < sent.len() {
        let list = lists.next().await?;
        ensure!(!list.is_empty(), "an event with an empty list");
        revoked.extend(list);
    }
    ensure!(
        revoked.iter().all(Message::is_revoked),
        "one of the list is not revoked"
    );
    let ids: Vec<_> = revoked.iter().map(Message::id).collect();
    let wanted: Vec<_> = sent.iter().map(Message::id).collect();
    ensure_eq!(ids, wanted, "the messages of the events");
    Ok("three messages, each in a list once, each revoked".into())
}

async fn failure(lab: &Lab) -> Verdict {
    let (alice, mut bob) = lab.pair().await?;
    let sent = alice.say(bob.user(), "mine").await?;
    let got = bob.receives(&sent).await?;
    let error = ensure_refused(
        bob.client.revoke_message(&got).await,
        &[],
        "revoking the other's message",
    )?;
    ensure!(!got.is_revoked(), "it is shown as revoked after {error}");
    alice.client.revoke_message(&sent).await?;
    let again = alice.client.revoke_message(&sent).await;
    ensure_refused(again, &[ErrorCode::ALREADY_REVOKED], "revoking it again")?;
    Ok("another user's message, and one that is revoked already, are refused".into())
}

async fn example(lab: &Lab) -> Verdict {
    let (alice, bob) = lab.pair().await?;
    alice.say(bob.user(), "stays").await?;
    let sent = alice.say(bob.user(), "goes").await?;
    alice.client.revoke_message(&sent).await?;
    let mut shown = Vec::new();
    for message in bob.history(alice.user()).await? {
        shown.push(match message.is_revoked() {
            true => words(&message, bob.user()),
            false => message.text().unwrap_or_default().to_owned(),
        });
    }
    ensure_eq!(shown, ["stays", "对方撤回了一条消息"], "what the example shows");
    Ok("the loop of the example shows the text and the placeholder".into())
}

async fn promise(lab: &Lab) -> Verdict {
    let (alice, bob) = lab.pair().await?;
    let sent = alice.say(bob.user(), "x").await?;
    let future = alice.client.revoke_message(&sent);
    ensure!(!sent.is_revoked(), "revoked before the future is polled");
    future.await?;
    ensure!(sent.is_revoked(), "not revoked when it is complete");
    Ok("a future, which does nothing before it is polled".into())
}
