//! Text.

use tim_client::proto::vendor::limits::MAX_MESSAGE_BYTES;
use tim_client::{MessageKind, Payload, SendOptions};

use super::{to, wire_text};
use crate::check::{Stop, Verdict, ensure, ensure_eq};
use crate::lab::Lab;
use crate::row::{Row, table};
use crate::spec::SendBody;

pub(super) const ROWS: &[Row] = table! {
    26, "`createTextMessage`", { create };
    27, "the text arrives byte for byte; the empty text is a text", { byte_for_byte };
    28, "the same on every platform", { same_bytes };
};

fn samples() -> Vec<String> {
    let longest = usize::try_from(MAX_MESSAGE_BYTES).unwrap_or_default() - 2;
    let mut samples = [
        "Hello world!",
        "",
        "[微笑]",
        "你好，世界",
        "😀👩‍👩‍👧",
        "\u{0}\n\t\u{7f}\u{2028}",
    ]
    .map(str::to_owned)
    .to_vec();
    samples.push("x".repeat(longest));
    samples
}

async fn create(lab: &Lab) -> Verdict {
    let (alice, mut bob) = lab.pair().await?;
    let message = alice.client.create_text_message(bob.user(), "Hello world!")?;
    ensure_eq!(
        (message.kind(), message.text()),
        (MessageKind::TEXT, Some("Hello world!")),
        "the message"
    );
    alice
        .client
        .send_message(&message, SendOptions::default())
        .await?;
    bob.hears("Hello world!").await?;
    Ok("creates a text message, which arrives".into())
}

async fn byte_for_byte(lab: &Lab) -> Verdict {
    let (alice, mut bob) = lab.pair().await?;
    let mut raw = lab.raw("bob").await?;
    for text in samples() {
        let sent = alice.say(bob.user(), &text).await?;
        let got = bob.receives(&sent).await?;
        ensure!(
            got.text() == Some(text.as_str()),
            "a text of {} bytes came back changed",
            text.len()
        );
        let random = u64::from(sent.id().random);
        let payload = raw
            .delivery("the text", |it| {
                (it.id.random == random).then(|| it.payload.clone())
            })
            .await?;
        ensure!(
            payload == wire_text(&text),
            "a text of {} bytes is other bytes on the wire",
            text.len()
        );
    }
    let history = bob.history(alice.user()).await?;
    let texts: Vec<_> = history
        .iter()
        .filter_map(|message| message.text())
        .map(str::to_owned)
        .collect();
    ensure!(texts == samples(), "the history has other texts");
    Ok("empty, ASCII, Chinese, emoji, control characters and the longest text: live, in the history, on the wire".into())
}

async fn same_bytes(lab: &Lab) -> Verdict {
    let bob = lab.log_in("bob").await?;
    let (alice, tap) = lab.log_in_with("alice", |builder| builder).await?;
    for text in samples() {
        alice.say(bob.user(), &text).await?;
        let sends = tap.sends()?;
        let body = sends.last().ok_or_else(|| Stop::fail("no SEND left"))?;
        let send = SendBody::read(body)?;
        ensure!(send.encode() == *body, "the SDK's bytes are not those of SPEC.md");
        ensure_eq!((send.kind, &send.to), (1, &to(bob.user())), "kind and receiver");
        ensure!(
            send.payload == wire_text(&text),
            "the SDK's payload is not that of SPEC.md"
        );
        let decoded = Payload::decode(MessageKind::TEXT, &send.payload);
        ensure!(
            decoded == Payload::Text(tim_client::proto::message::Text::new(&text)),
            "it is read otherwise"
        );
    }
    Ok("the SDK writes exactly the bytes that SPEC.md prescribes for all platforms".into())
}
