//! Custom messages.

use tim_client::{Custom, GroupType, MessageKind, Payload, Priority, SendOptions};

use crate::check::{Stop, Verdict, ensure, ensure_eq};
use crate::lab::Lab;
use crate::row::{Row, table};
use crate::spec::Output;

pub(super) const ROWS: &[Row] = table! {
    56, "`createCustomMessage`", { create };
    57, "`data` arrives byte for byte", { data };
    58, "`description` arrives byte for byte", { description };
    59, "`extension` arrives byte for byte", { extension };
    60, "the dice example, 1 to 6", { dice };
    61, "the dice with priority HIGH", { dice_high };
};

const SAMPLES: [&str; 5] = ["dice", "", "骰子 🎲", "{\"a\":[1,2]}", "\u{0}\r\n\u{1b}[31m"];

/// Sends a custom message with these fields and reads them where they arrive, with the SDK and on the wire.
async fn round_trip(lab: &Lab, fields: impl Fn(&'static str) -> [&'static str; 3]) -> Result<(), Stop> {
    let (alice, mut bob) = lab.pair().await?;
    let mut raw = lab.raw("bob").await?;
    for sample in SAMPLES {
        let [data, description, extension] = fields(sample);
        let bytes = Output::default().str(data).str(description).str(extension).0;
        let payload = Payload::decode(MessageKind::CUSTOM, &bytes);
        let Payload::Custom(custom) = payload else {
            return Err(Stop::fail("a custom payload as in SPEC.md cannot be read"));
        };
        let message = alice.client.create_custom_message(bob.user(), custom)?;
        alice
            .client
            .send_message(&message, SendOptions::default())
            .await?;
        let got = bob.receives(&message).await?;
        match got.payload() {
            Payload::Custom(got) => {
                let got = [got.data, got.description, got.extension];
                ensure_eq!(
                    got,
                    [data, description, extension],
                    "data, description and extension"
                );
            }
            other => return Err(Stop::fail(format_args!("it arrived as {other:?}"))),
        }
        let on_the_wire = raw.delivery("the message", |it| Some(it.payload.clone())).await?;
        ensure!(on_the_wire == bytes, "other bytes on the wire for {sample:?}");
    }
    Ok(())
}

async fn create(lab: &Lab) -> Verdict {
    round_trip(lab, |text| [text, text, "x"]).await?;
    Ok("creates a custom message, which arrives".into())
}

async fn data(lab: &Lab) -> Verdict {
    round_trip(lab, |text| [text, "description", ""]).await?;
    Ok("ASCII, Chinese, JSON, control characters and the empty string arrive".into())
}

async fn description(lab: &Lab) -> Verdict {
    round_trip(lab, |text| ["data", text, ""]).await?;
    Ok("ASCII, Chinese, JSON, control characters and the empty string arrive".into())
}

async fn extension(lab: &Lab) -> Verdict {
    round_trip(lab, |text| ["data", "description", text]).await?;
    Ok("ASCII, Chinese, JSON, control characters and the empty string arrive".into())
}

/// The manual's dice.
const FACES: [&str; 6] = ["1", "2", "3", "4", "5", "6"];

fn dice_payload(face: &str) -> Vec<u8> {
    Output::default().str("dice").str(face).str("").0
}

fn as_custom(bytes: &[u8]) -> Result<Custom<'_>, Stop> {
    match Payload::decode(MessageKind::CUSTOM, bytes) {
        Payload::Custom(custom) => Ok(custom),
        other => Err(Stop::fail(format_args!("the dice is {other:?}"))),
    }
}

async fn dice(lab: &Lab) -> Verdict {
    let (alice, mut bob) = lab.pair().await?;
    for face in FACES {
        let bytes = dice_payload(face);
        let message = alice
            .client
            .create_custom_message(bob.user(), as_custom(&bytes)?)?;
        alice
            .client
            .send_message(&message, SendOptions::default())
            .await?;
        let got = bob.receives(&message).await?;
        ensure!(
            matches!(got.payload(), Payload::Custom(dice) if dice.data == "dice" && dice.description == face),
            "{face} arrived as {:?}",
            got.payload()
        );
    }
    Ok("all six faces are sent and arrive".into())
}

async fn dice_high(lab: &Lab) -> Verdict {
    let (alice, mut bob) = lab.pair().await?;
    let group = lab.make_group(&alice, GroupType::PUBLIC, &[bob.user()]).await?;
    let bytes = dice_payload("6");
    let message = alice
        .client
        .create_custom_message(group, as_custom(&bytes)?)?
        .with_priority(Priority::HIGH)?;
    alice
        .client
        .send_message(&message, SendOptions::default())
        .await?;
    let got = bob.receives(&message).await?;
    ensure_eq!(got.priority(), Priority::HIGH, "the priority");
    Ok("the dice arrives with HIGH".into())
}
