//! Sending.

use std::time::Duration;

use tim_client::proto::vendor::capability::{Capabilities, PROFILES};
use tim_client::{
    ErrorCode, Event, EventKind, GroupId, GroupType, Message, NotReadyReason, OfflinePush, Platform,
    SendOptions, Status,
};

use super::revoking::on;
use super::{push, to, wire_text};
use crate::check::{Stop, Verdict, ensure, ensure_eq, ensure_refused};
use crate::lab::Lab;
use crate::person::{Person, texts};
use crate::row::{Row, table};
use crate::spec::{Push, RawMessage, SendBody};

pub(super) const ROWS: &[Row] = table! {
    79, "`sendMessage` with optional options", { send };
    80, "only created messages can be sent", { only_created };
    81, "options default", { defaults };
    82, "a message is created first", { created_first };
    83, "sending fails at once unless the client is ready", { not_ready };
    84, "SDK_READY once login and catch-up are complete", { sdk_ready };
    85, "SDK_NOT_READY when the session stops being ready", { sdk_not_ready };
    86, "`onlineUserOnly`, default false", { stored_by_default };
    87, "online-only: not stored", { online_only_not_stored };
    88, "online-only: not counted as unread", { online_only_not_counted };
    89, "online-only: never reaches an offline receiver", { online_only_not_later };
    90, "online-only: reaches connected receivers live", { online_only_live };
    91, "online-only to an AVChatRoom is refused", { online_only_in_room };
    92, "`offlinePushInfo`", { push::default_push };
    93, "`disablePush`", { push::disabled };
    94, "`title`", { push::title };
    95, "`description` overrides the push text", { push::description };
    96, "for custom messages it overrides the payload's description", { push::custom_description };
    97, "a custom message without a description causes no push", { push::custom_without_text };
    98, "`extension` is passed through", { push::extension };
    99, "`ignoreIOSBadge`", { push::ios_badge };
    100, "`androidOPPOChannelID`", { push::oppo_channel };
    101, "six fields", { six_fields };
    102, "an offline receiver finds the message in the history and gets a push", { offline_receiver };
    103, "only Android and iOS receive pushes", { platforms };
    104, "example with title, description and channel", { example };
    105, "no MESSAGE_RECEIVED for a message of this instance", { not_ones_own };
    106, "MESSAGE_RECEIVED for messages of the same account from elsewhere", { from_elsewhere };
    107, "returns a promise", { promise };
};

async fn send(lab: &Lab) -> Verdict {
    let (alice, mut bob) = lab.pair().await?;
    for options in [SendOptions::default(), SendOptions::online_only()] {
        let message = alice.client.create_text_message(bob.user(), "x")?;
        let response = alice.client.send_message(&message, options).await?;
        ensure!(
            response.message.is_same(&message),
            "the response has another instance"
        );
        bob.receives(&message).await?;
    }
    Ok("sends with default options and with others; the response has the message".into())
}

async fn only_created(lab: &Lab) -> Verdict {
    let (alice, mut bob) = lab.pair().await?;
    let sent = alice.say(bob.user(), "x").await?;
    let received = bob.receives(&sent).await?;
    let again = bob.client.send_message(&received, SendOptions::default()).await;
    ensure_refused(
        again,
        &[ErrorCode::MESSAGE_SEND_NEED_MESSAGE_INSTANCE],
        "sending a received message",
    )?;
    let mut raw = lab.raw("carol").await?;
    let mut body = raw.body(&to(bob.user()), 1, wire_text("x"));
    body.id.sender += 1;
    let forged = raw.send(&body).await?;
    ensure!(
        forged.is_err(),
        "the hub took a message with the id of another account"
    );
    Ok("a received message is refused with 2105; the hub refuses the id of another account".into())
}

async fn defaults(lab: &Lab) -> Verdict {
    let bob = lab.log_in("bob").await?;
    let (alice, tap) = lab.log_in_with("alice", |builder| builder).await?;
    alice.say(bob.user(), "x").await?;
    let sends = tap.sends()?;
    let send = SendBody::read(sends.first().ok_or_else(|| Stop::fail("no SEND left"))?)?;
    ensure_eq!(
        (send.online_only, send.push),
        (false, None),
        "the options on the wire"
    );
    Ok("without options: stored, and with the default push".into())
}

async fn created_first(lab: &Lab) -> Verdict {
    let (alice, bob) = lab.pair().await?;
    let message: Message = alice.client.create_text_message(bob.user(), "x")?;
    ensure_eq!(
        message.status(),
        Status::UnSend,
        "the status of a created message"
    );
    alice
        .client
        .send_message(&message, SendOptions::default())
        .await?;
    ensure_eq!(message.status(), Status::Success, "the status of a sent message");
    let again = alice.client.send_message(&message, SendOptions::default()).await;
    ensure_refused(again, &[ErrorCode::INVALID_OPERATION], "sending it a second time")?;
    Ok("`send_message` takes a message by its type, and each message once".into())
}

/// The codes of a client that is not ready.
const NOT_READY: [ErrorCode; 3] = [
    ErrorCode::SDK_IS_NOT_READY,
    ErrorCode::LOGGED_OUT,
    ErrorCode::USER_NOT_LOGGED_IN,
];

async fn not_ready(lab: &Lab) -> Verdict {
    let bob = lab.log_in("bob").await?;
    let (alice, tap) = lab.log_in_with("alice", |builder| builder).await?;
    let message = alice.client.create_text_message(bob.user(), "x")?;
    alice.client.logout().await?;
    ensure!(!alice.client.is_ready(), "it is ready after the logout");
    let refused = alice.client.send_message(&message, SendOptions::default()).await;
    ensure_refused(refused, &NOT_READY, "sending while not ready")?;
    ensure_eq!(tap.sends()?.len(), 0, "SEND frames while not ready");
    alice.enter().await?;
    alice.client.resend_message(&message).await?;
    ensure_eq!(tap.sends()?.len(), 1, "SEND frames once ready");
    Ok("refused at once without a frame; after SDK_READY the same message is sent".into())
}

fn count(person: &Person, wanted: impl Fn(&Event) -> bool) -> usize {
    person.told.iter().filter(|event| wanted(event)).count()
}

async fn sdk_ready(lab: &Lab) -> Verdict {
    let mut alice = lab.log_in("alice").await?;
    let is_ready = |event: &Event| matches!(event, Event::SdkReady);
    let bob = lab.log_in("bob").await?;
    bob.say(alice.user(), "fence").await?;
    alice.hears("fence").await?;
    ensure_eq!(count(&alice, is_ready), 1, "SDK_READY after a login");
    // What waited is delivered before SDK_READY.
    let (mut late, _) = lab.client_with(alice.user(), tim_client::ClientBuilder::resume_from_start);
    ensure!(!late.client.is_ready(), "it is ready before the login");
    late.enter().await?;
    late.take_events().await;
    ensure_eq!(
        texts(&late.inbox),
        ["fence"],
        "messages delivered by the time of SDK_READY"
    );
    ensure_eq!(count(&late, is_ready), 1, "SDK_READY after this login");
    Ok("once for each login, behind the messages that waited".into())
}

async fn sdk_not_ready(lab: &Lab) -> Verdict {
    let bob = lab.log_in("bob").await?;
    let (alice, tap) = lab
        .log_in_with("alice", |builder| {
            builder.session(|session| session.resume_window = Duration::from_millis(1))
        })
        .await?;
    // A stream has the newest state only; a handler is called for each.
    let mut reasons = on(&alice, EventKind::SdkNotReady, |event| match event {
        Event::SdkNotReady(reason) => Some(*reason),
        _ => None,
    });
    tap.cut_behind_next_send();
    let _ = alice.say(bob.user(), "cut").await;
    ensure_eq!(
        reasons.next().await?,
        Some(NotReadyReason::ConnectionLost),
        "the reason after the loss of the connection"
    );
    alice.client.wait_until_ready().await?;
    alice.client.logout().await?;
    ensure_eq!(
        reasons.next().await?,
        Some(NotReadyReason::LoggedOut),
        "the reason after the logout"
    );
    let refused = alice.client.get_conversation_list().await;
    ensure_refused(refused, &NOT_READY, "a call after SDK_NOT_READY")?;
    Ok("after a connection that stays lost, and after the logout; calls are refused then".into())
}

async fn stored_by_default(lab: &Lab) -> Verdict {
    let (alice, mut bob) = lab.pair().await?;
    let mut raw = lab.raw("bob").await?;
    let sent = alice.say(bob.user(), "x").await?;
    bob.receives(&sent).await?;
    let flags = raw
        .delivery("the message", |it| Some((it.flags, it.sequence)))
        .await?;
    ensure!(
        flags.0 & RawMessage::ONLINE_ONLY == 0 && flags.1 > 0,
        "it is flagged as online-only"
    );
    ensure_eq!(
        bob.history(alice.user()).await?.len(),
        1,
        "messages in the history"
    );
    ensure_eq!(bob.unread(alice.user()).await?, 1, "unread messages");
    Ok("delivered, stored and counted".into())
}

/// Waits until a device gets what is said in a group: a hub may take a moment to list it among those who are online there.
async fn gets_what_is_said(device: &mut Person, sender: &Person, group: GroupId) -> Result<(), Stop> {
    let sent = sender.say(group, "one").await?;
    device.receives(&sent).await?;
    Ok(())
}

async fn online_only_not_stored(lab: &Lab) -> Verdict {
    let (alice, mut bob, group) = lab.pair_in_group().await?;
    gets_what_is_said(&mut bob, &alice, group).await?;
    for (to, seen_by_bob) in [(bob.c2c(), alice.c2c()), (group.into(), group.into())] {
        let sent = alice.say_with(to, "gone", SendOptions::online_only()).await?;
        ensure_eq!(sent.sequence(), 0, "the place of an online-only message");
        bob.receives(&sent).await?;
        let histories = [alice.history(to).await?, bob.history(seen_by_bob).await?];
        for history in histories {
            ensure!(
                !texts(&history).contains(&"gone".into()),
                "it is in the history of {to}"
            );
        }
    }
    Ok("in no history, of the sender or of the receiver, in C2C and in a group".into())
}

async fn online_only_not_counted(lab: &Lab) -> Verdict {
    let (alice, mut bob, group) = lab.pair_in_group().await?;
    alice.say(bob.user(), "one").await?;
    gets_what_is_said(&mut bob, &alice, group).await?;
    for (to, seen_by_bob) in [(bob.c2c(), alice.c2c()), (group.into(), group.into())] {
        let before = bob.unread(seen_by_bob).await?;
        ensure!(before > 0, "an ordinary message in {to} is not counted");
        let sent = alice.say_with(to, "gone", SendOptions::online_only()).await?;
        bob.receives(&sent).await?;
        ensure_eq!(bob.unread(seen_by_bob).await?, before, "unread messages in {to}");
    }
    let fresh = lab.log_in("bob").await?;
    ensure_eq!(
        fresh.unread(alice.user()).await?,
        1,
        "unread messages by the hub's count"
    );
    Ok("the number of unread messages stays, at the receiver and on the hub".into())
}

async fn online_only_not_later(lab: &Lab) -> Verdict {
    let (alice, bob) = lab.pair().await?;
    bob.client.logout().await?;
    alice
        .say_with(bob.user(), "gone", SendOptions::online_only())
        .await?;
    alice.say(bob.user(), "stored").await?;
    let (mut back, _) = lab
        .log_in_with("bob", tim_client::ClientBuilder::resume_from_start)
        .await?;
    back.hears("stored").await?;
    ensure!(!back.has_heard("gone"), "it came later");
    Ok("a receiver who was offline gets what was stored behind it, and not this one".into())
}

async fn online_only_live(lab: &Lab) -> Verdict {
    let (alice, mut bob, group) = lab.pair_in_group().await?;
    let mut second = lab.log_in("bob").await?;
    for device in [&mut bob, &mut second] {
        gets_what_is_said(device, &alice, group).await?;
    }
    for to in [bob.c2c(), group.into()] {
        let sent = alice.say_with(to, "now", SendOptions::online_only()).await?;
        bob.receives(&sent).await?;
        second.receives(&sent).await?;
    }
    Ok("every connected device of the receiver gets it, in C2C and in a group".into())
}

async fn online_only_in_room(lab: &Lab) -> Verdict {
    let alice = lab.log_in("alice").await?;
    let room = lab.make_group(&alice, GroupType::AV_CHAT_ROOM, &[]).await?;
    let refused = alice.say_with(room, "x", SendOptions::online_only()).await;
    ensure_refused(
        refused,
        &[ErrorCode::ONLINE_ONLY_NOT_ALLOWED],
        "an online-only message to a room",
    )?;
    let mut raw = lab.raw("alice").await?;
    let mut body = raw.body(&crate::spec::To::Group(room.as_str().into()), 1, wire_text("x"));
    body.online_only = true;
    let code = raw.send(&body).await?.map_err(|refusal| refusal.code);
    ensure_eq!(
        code,
        Err(u64::from(ErrorCode::ONLINE_ONLY_NOT_ALLOWED.0)),
        "the hub's answer"
    );
    body.online_only = false;
    body.id = raw.new_id();
    ensure!(
        raw.send(&body).await?.is_ok(),
        "an ordinary message to the room is refused too"
    );
    Ok("refused by the SDK and by the hub; an ordinary message is taken".into())
}

/// What leaves of an `offlinePushInfo` that the hub takes.
async fn push_on_the_wire(lab: &Lab, push: OfflinePush) -> Result<Push, Stop> {
    let mut bob = lab.log_in("bob").await?;
    let (alice, tap) = lab.log_in_with("alice", |builder| builder).await?;
    let options = SendOptions {
        offline_push: Some(push),
        ..SendOptions::default()
    };
    let sent = alice.say_with(bob.user(), "x", options).await?;
    bob.receives(&sent).await?;
    let history = texts(&bob.history(alice.user()).await?);
    let count = history.iter().filter(|text| *text == "x").count();
    ensure_eq!(count, 1, "how often it is in the history");
    let sends = tap.sends()?;
    let body = sends.last().ok_or_else(|| Stop::fail("no SEND left"))?;
    SendBody::read(body)?
        .push
        .ok_or_else(|| Stop::fail("offlinePushInfo did not leave"))
}

/// The fields that are to leave.
fn wanted(push: &OfflinePush) -> Push {
    Push {
        disable_push: push.disable_push,
        title: push.title.clone(),
        description: push.description.clone(),
        extension: push.extension.clone(),
        ignore_ios_badge: push.ignore_ios_badge,
        android_oppo_channel_id: push.android_oppo_channel_id.clone(),
    }
}

/// These fields leave, and no others.
async fn leave(lab: &Lab, push: OfflinePush) -> Result<(), Stop> {
    let wanted = wanted(&push);
    let on_the_wire = push_on_the_wire(lab, push).await?;
    ensure_eq!(on_the_wire, wanted, "offlinePushInfo on the wire");
    Ok(())
}

async fn six_fields(lab: &Lab) -> Verdict {
    let push = OfflinePush {
        disable_push: true,
        title: Some("1".into()),
        description: Some("2".into()),
        extension: Some("3".into()),
        ignore_ios_badge: true,
        android_oppo_channel_id: Some("4".into()),
    };
    leave(lab, push).await?;
    Ok("six fields leave, in their order, and nothing behind them".into())
}

async fn offline_receiver(lab: &Lab) -> Verdict {
    let (alice, bob) = lab.pair().await?;
    bob.client.logout().await?;
    alice.say(bob.user(), "while away").await?;
    let (mut back, _) = lab
        .log_in_with("bob", tim_client::ClientBuilder::resume_from_start)
        .await?;
    back.hears("while away").await?;
    ensure_eq!(
        texts(&back.history(alice.user()).await?),
        ["while away"],
        "the history"
    );
    ensure_eq!(back.unread(alice.user()).await?, 1, "unread messages");
    back.client.logout().await?;
    push::one_for_each_phone(lab).await?;
    Ok("delivered at the next login, and in the history; one notification on each phone".into())
}

async fn platforms(_: &Lab) -> Verdict {
    for profile in PROFILES {
        let platform = profile.platform();
        let wanted = [Platform::ANDROID, Platform::IOS].contains(&platform);
        ensure_eq!(profile.receives_push(), wanted, "{platform} receives pushes");
    }
    ensure!(
        !Capabilities::of(Platform(99)).receives_push(),
        "an unknown platform receives pushes"
    );
    Ok("the profiles of the platforms say so".into())
}

async fn example(lab: &Lab) -> Verdict {
    let push = OfflinePush {
        title: Some("新消息".into()),
        description: Some("您有一条新消息".into()),
        android_oppo_channel_id: Some("channel".into()),
        ..OfflinePush::default()
    };
    leave(lab, push).await?;
    push::example(lab).await?;
    Ok("the example is sent, and its fields reach the phone".into())
}

async fn not_ones_own(lab: &Lab) -> Verdict {
    let (mut alice, bob, group) = lab.pair_in_group().await?;
    for to in [bob.c2c(), group.into(), alice.c2c()] {
        alice.say(to, "my own").await?;
    }
    bob.say(alice.user(), "fence").await?;
    alice.hears("fence").await?;
    ensure!(!alice.has_heard("my own"), "the sender was told of it");
    Ok("none in C2C, in a group or with oneself".into())
}

async fn from_elsewhere(lab: &Lab) -> Verdict {
    let (alice, bob, group) = lab.pair_in_group().await?;
    let mut tablet = lab.log_in("alice").await?;
    for to in [bob.c2c(), group.into()] {
        alice.say(to, "from the phone").await?;
    }
    bob.say(alice.user(), "fence").await?;
    tablet.hears("fence").await?;
    let heard: Vec<_> = texts(&tablet.inbox)
        .into_iter()
        .filter(|text| text != "-")
        .collect();
    ensure_eq!(
        heard,
        ["from the phone", "from the phone"],
        "what the other device was told of"
    );
    Ok("the other device gets each once, as its own message".into())
}

async fn promise(lab: &Lab) -> Verdict {
    let (alice, bob) = lab.pair().await?;
    let message = alice.client.create_text_message(bob.user(), "x")?;
    let future = alice.client.send_message(&message, SendOptions::default());
    ensure_eq!(
        message.status(),
        Status::UnSend,
        "the status before the future is polled"
    );
    future.await?;
    ensure_eq!(
        message.status(),
        Status::Success,
        "the status when it is complete"
    );
    Ok("a future, which does nothing before it is polled".into())
}
