//! Messages in general.

use std::collections::BTreeSet;

use tim_client::proto::kind::UnknownPriority;
use tim_client::{
    ConversationId, ErrorCode, Flow, GroupType, Message, MessageKind, Payload, Priority, SendOptions, Status,
};

use super::{SENDABLE, wire_payload, wire_text};
use crate::check::{Stop, Verdict, ensure, ensure_eq, ensure_refused};
use crate::lab::Lab;
use crate::person::{Person, burst, texts};
use crate::row::{Row, table};
use crate::spec::{Output, send_options};
use crate::target::HubSettings;

pub(super) const ROWS: &[Row] = table! {
    10, "exactly seven kinds can be sent", { seven_kinds };
    11, "creating a message sends nothing", { creating_sends_nothing };
    12, "a created message can be shown before it is sent; sending updates the same instance", { shown_before_sent };
    13, "every create call returns the same type", { one_type };
    14, "priority defaults to NORMAL", { default_priority };
    15, "priority HIGH", { high };
    16, "priority NORMAL", { normal };
    17, "priority LOW", { low };
    18, "priority LOWEST; the four are ordered; an unknown one is an error for a caller", { lowest };
    19, "priority has no effect in C2C", { no_effect_in_c2c };
    20, "above a group's rate limit, urgent messages go first and LOWEST is dropped first", { urgent_first };
    21, "a payload is required", { payload_required };
    22, "progress of an upload", { upload_progress };
    23, "the progress event carries a fraction", { progress_fraction };
    24, "sending succeeds or fails, once", { once };
    25, "an error has a code and a text", { code_and_text };
};

async fn seven_kinds(lab: &Lab) -> Verdict {
    let sendable: Vec<_> = (0..=u16::MAX)
        .map(MessageKind)
        .filter(|kind| kind.is_sendable())
        .collect();
    ensure_eq!(sendable.len(), 7, "kinds that the SDK can send");
    let (mut raw, mut bob) = (lab.raw("alice").await?, lab.log_in("bob").await?);
    let to = super::to(bob.user());
    for kind in SENDABLE {
        ensure!(kind.is_sendable(), "{kind} cannot be sent");
        let body = raw.body(&to, kind.0, wire_payload(kind));
        let answer = raw.send(&body).await?;
        ensure!(answer.is_ok(), "the hub refused {kind}: {answer:?}");
        let got = bob.next("a message", |message| Some(message.clone())).await?;
        ensure_eq!(got.kind(), kind, "the kind that arrived");
        ensure!(
            !matches!(got.payload(), Payload::Unknown(..)),
            "{kind} cannot be read"
        );
    }
    for reserved in [32, 33, 34, 63] {
        let body = raw.body(&to, reserved, Vec::new());
        ensure!(
            raw.send(&body).await?.is_err(),
            "the hub took kind {reserved} from a client"
        );
    }
    let body = raw.body(&to, 4711, vec![1, 2, 3]);
    let answer = raw.send(&body).await?;
    ensure!(answer.is_ok(), "the hub refused an unknown kind: {answer:?}");
    let got = bob.next("a message", |message| Some(message.clone())).await?;
    ensure_eq!(
        got.payload(),
        Payload::Unknown(MessageKind(4711), &[1, 2, 3]),
        "an unknown kind"
    );
    Ok("seven kinds arrive as such; the hub's own kinds are refused, and unknown ones passed on".into())
}

async fn creating_sends_nothing(lab: &Lab) -> Verdict {
    let bob = lab.user("bob")?;
    let (alice, tap) = lab.log_in_with("alice", |builder| builder).await?;
    let messages = one_of_each(&alice, bob)?;
    // An answer proves that everything before it has left.
    alice.client.get_conversation_list().await?;
    ensure_eq!(tap.sends()?.len(), 0, "SEND frames after the create calls");
    lab.log_in("bob").await?;
    for message in &messages {
        alice.client.send_message(message, SendOptions::default()).await?;
    }
    ensure_eq!(
        tap.sends()?.len(),
        7,
        "SEND frames after seven calls of send_message"
    );
    Ok("seven create calls sent no frame; seven send calls sent seven".into())
}

fn one_of_each(person: &Person, to: impl Into<ConversationId>) -> Result<Vec<Message>, Stop> {
    let to = to.into();
    let create = |kind: MessageKind| {
        let payload = wire_payload(kind);
        Ok(person
            .client
            .create_message(to, Payload::decode(kind, &payload))?)
    };
    SENDABLE.into_iter().map(create).collect()
}

async fn shown_before_sent(lab: &Lab) -> Verdict {
    let (alice, bob) = lab.pair().await?;
    let message = alice.client.create_text_message(bob.user(), "你好[呲牙]")?;
    let shown = message.clone();
    ensure_eq!(shown.text(), Some("你好[呲牙]"), "the text");
    ensure_eq!(
        (shown.status(), shown.flow()),
        (Status::UnSend, Flow::Out),
        "status and flow"
    );
    ensure_eq!(
        (shown.sender(), shown.to()),
        (alice.user(), bob.c2c()),
        "sender and receiver"
    );
    ensure_eq!(shown.priority(), Priority::NORMAL, "the priority");
    ensure!(
        shown.time() > 1_600_000_000 && shown.id().sender != 0,
        "it has no time or no id"
    );
    let id = shown.id();
    let sent = alice
        .client
        .send_message(&message, SendOptions::default())
        .await?
        .message;
    ensure!(sent.is_same(&shown), "sending returned another instance");
    ensure_eq!(
        (shown.status(), shown.id()),
        (Status::Success, id),
        "status and id afterwards"
    );
    ensure!(shown.sequence() > 0, "it has no place");
    let history = alice.history(bob.user()).await?;
    ensure!(
        history.len() == 1 && history[0].is_same(&shown),
        "the history has another instance"
    );
    Ok("id, sender, time, text and status are there before; the same instance shows the success".into())
}

async fn one_type(lab: &Lab) -> Verdict {
    let alice = lab.log_in("alice").await?;
    let messages: Vec<Message> = one_of_each(&alice, lab.user("bob")?)?;
    let kinds: Vec<_> = messages.iter().map(Message::kind).collect();
    ensure_eq!(kinds, SENDABLE, "the kinds of the messages");
    Ok("seven create calls, one type".into())
}

async fn default_priority(lab: &Lab) -> Verdict {
    let (alice, mut bob) = lab.pair().await?;
    for message in one_of_each(&alice, bob.user())? {
        ensure_eq!(
            message.priority(),
            Priority::NORMAL,
            "the priority of {}",
            message.kind()
        );
        alice
            .client
            .send_message(&message, SendOptions::default())
            .await?;
        let got = bob.receives(&message).await?;
        ensure_eq!(got.priority(), Priority::NORMAL, "the priority that arrived");
    }
    Ok("NORMAL for all seven kinds, here and at the receiver".into())
}

async fn carried(lab: &Lab, priority: Priority, wire: u8) -> Result<(), Stop> {
    let (alice, mut bob, group) = lab.pair_in_group().await?;
    let mut raw = lab.raw("bob").await?;
    for to in [bob.c2c(), group.into()] {
        let message = alice
            .client
            .create_text_message(to, "x")?
            .with_priority(priority)?;
        alice
            .client
            .send_message(&message, SendOptions::default())
            .await?;
        let got = bob.receives(&message).await?;
        ensure_eq!(got.priority(), priority, "the priority in {to}");
        let on_the_wire = raw
            .delivery("the message", |got| {
                (got.id.random == u64::from(message.id().random)).then_some(got.priority)
            })
            .await?;
        ensure_eq!(on_the_wire, wire, "the priority on the wire");
    }
    Ok(())
}

async fn high(lab: &Lab) -> Verdict {
    carried(lab, Priority::HIGH, 1).await?;
    Ok("carried to the receiver in C2C and in a group".into())
}

async fn normal(lab: &Lab) -> Verdict {
    carried(lab, Priority::NORMAL, 2).await?;
    Ok("carried to the receiver in C2C and in a group".into())
}

async fn low(lab: &Lab) -> Verdict {
    carried(lab, Priority::LOW, 3).await?;
    Ok("carried to the receiver in C2C and in a group".into())
}

async fn lowest(lab: &Lab) -> Verdict {
    carried(lab, Priority::LOWEST, 4).await?;
    let order = [Priority::HIGH, Priority::NORMAL, Priority::LOW, Priority::LOWEST];
    ensure!(
        order.windows(2).all(|pair| pair[0] > pair[1]),
        "they are not ordered"
    );
    ensure_eq!(Priority(9).checked(), Err(UnknownPriority(9)), "priority 9");
    let alice = lab.log_in("alice").await?;
    let message = alice.client.create_text_message(lab.user("bob")?, "x")?;
    ensure_refused(
        message.with_priority(Priority(9)),
        &[ErrorCode::UNKNOWN_PRIORITY],
        "priority 9",
    )?;
    Ok("carried; HIGH > NORMAL > LOW > LOWEST; 9 is refused".into())
}

async fn no_effect_in_c2c(lab: &Lab) -> Verdict {
    let (alice, mut bob) = lab.pair().await?;
    let mut sent = Vec::new();
    for number in 0..20 {
        let priority = Priority(4 - number % 4);
        let text = number.to_string();
        let message = alice
            .client
            .create_text_message(bob.user(), &text)?
            .with_priority(priority)?;
        alice
            .client
            .send_message(&message, SendOptions::default())
            .await?;
        sent.push(text);
    }
    bob.hears("19").await?;
    sent.pop();
    ensure_eq!(texts(&bob.inbox), sent, "the order");
    Ok("twenty messages of all priorities arrive in the order in which they were sent".into())
}

/// The number of messages of each priority in a burst.
const BURST: usize = 10;
/// What the group takes per second.
const RATE: u32 = 5;

async fn urgent_first(lab: &Lab) -> Verdict {
    let settings = HubSettings {
        group_messages_per_second: RATE,
        ..HubSettings::default()
    };
    let (hub, lab) = lab.on_another_hub(settings).await?;
    let (alice, mut bob) = lab.pair().await?;
    let group = lab
        .make_group(&alice, GroupType::CHAT_ROOM, &[bob.user()])
        .await?;
    for _ in 0..RATE {
        alice.say(group, "uses up what is free").await?;
    }
    let ladder = [Priority::LOWEST, Priority::LOW, Priority::NORMAL, Priority::HIGH];
    let sent = ladder.iter().flat_map(|priority| [*priority; BURST]);
    let refused = burst(&*hub, &alice, group, sent).await?;
    let counts = ladder.map(|priority| refused.iter().filter(|it| **it == priority).count());
    ensure_eq!(counts[3], 0, "refused messages of priority HIGH");
    ensure!(counts[0] > 0, "nothing was refused: the limit was not reached");
    ensure!(
        counts.is_sorted_by(|a, b| a >= b),
        "refused of LOWEST, LOW, NORMAL, HIGH: {counts:?}"
    );
    alice.say(bob.user(), "fence").await?;
    bob.hears("fence").await?;
    let arrived: Vec<Priority> = bob
        .inbox
        .iter()
        .filter(|it| {
            it.text()
                .is_some_and(|text| text.contains(' ') && !text.starts_with("uses"))
        })
        .map(Message::priority)
        .collect();
    ensure!(
        arrived.is_sorted_by(|a, b| a >= b),
        "the order of arrival: {arrived:?}"
    );
    ensure_eq!(
        arrived.len() + refused.len(),
        4 * BURST,
        "messages that arrived or were refused"
    );
    Ok(
        "40 messages, the urgent last: no HIGH is refused, the less urgent the more, and HIGH arrives first"
            .into(),
    )
}

async fn payload_required(lab: &Lab) -> Verdict {
    let (mut raw, bob) = (lab.raw("alice").await?, lab.log_in("bob").await?);
    let id = raw.new_id();
    let without = Output::default()
        .bytes(&send_options(false, None))
        .to(&super::to(bob.user()))
        .varint(id.sender)
        .varint(id.time)
        .varint(id.random)
        .varint(1)
        .u8(2)
        .varint(1);
    let answer = raw.send_bytes(&without.0).await?;
    ensure!(answer.is_err(), "the hub took a message without a payload");
    let body = raw.body(&super::to(bob.user()), MessageKind::TEXT.0, Vec::new());
    ensure!(
        raw.send(&body).await?.is_err(),
        "the hub took a text without a text"
    );
    let body = raw.body(&super::to(bob.user()), MessageKind::TEXT.0, wire_text(""));
    ensure!(raw.send(&body).await?.is_ok(), "the hub refused the empty text");
    Ok("the create calls take one by their type; the hub refuses a message without".into())
}

async fn once(lab: &Lab) -> Verdict {
    let (alice, bob) = lab.pair().await?;
    let message = alice.client.create_text_message(bob.user(), "x")?;
    let (first, second) = tokio::join!(
        alice.client.send_message(&message, SendOptions::default()),
        alice.client.send_message(&message, SendOptions::default()),
    );
    ensure!(
        first.is_ok() != second.is_ok(),
        "of two calls at once, not exactly one succeeded"
    );
    ensure_eq!(message.status(), Status::Success, "the status");
    ensure_eq!(
        alice.history(bob.user()).await?.len(),
        1,
        "messages in the history"
    );
    let stranger = alice
        .client
        .create_text_message(tim_client::GroupId::new("cf-no-such-group")?, "x")?;
    let failed = alice.client.send_message(&stranger, SendOptions::default()).await;
    ensure!(failed.is_err(), "a message to no group succeeded");
    ensure_eq!(stranger.status(), Status::Fail, "the status of the failed one");
    Ok("one call succeeds or fails, the status says which, and the message is stored once".into())
}

async fn code_and_text(lab: &Lab) -> Verdict {
    let mut texts = BTreeSet::new();
    for (code, name) in ErrorCode::NAMED {
        let printed = tim_client::ImError::from(*code).to_string();
        ensure!(
            printed.contains(&code.0.to_string()),
            "{name} prints without its number: {printed}"
        );
        texts.insert(code.text());
    }
    ensure!(texts.len() > 100, "only {} texts for all codes", texts.len());
    let alice = lab.log_in("alice").await?;
    let failed = alice
        .client
        .get_message_list(tim_client::GroupId::new("cf-no-such-group")?, None, None)
        .await;
    let error = ensure_refused(failed, &[], "the history of no group")?;
    ensure!(
        error.code.0 > 0 && !error.to_string().is_empty(),
        "an error without code or text"
    );
    let mut raw = lab.raw("bob").await?;
    let refusal = raw.request(0x7e, &[]).await?.err();
    let code = refusal.as_ref().map(|refusal| refusal.code);
    ensure_eq!(code, Some(200_001), "the code for an unknown request");
    Ok("every named code prints with number and text; the hub's refusals carry codes".into())
}

async fn upload_progress(lab: &Lab) -> Verdict {
    super::uploads::tells_progress(lab, &[MessageKind::IMAGE, MessageKind::VIDEO, MessageKind::FILE]).await
}

async fn progress_fraction(lab: &Lab) -> Verdict {
    super::uploads::carries_a_fraction(lab).await
}
