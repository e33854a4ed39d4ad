//! Audio.

use tim_client::{ErrorCode, MessageKind, Payload, Platform, SendOptions};

use super::images::carries;
use super::{to, wire_audio, wire_payload};
use crate::check::{Stop, Verdict, ensure, ensure_eq, ensure_refused};
use crate::lab::Lab;
use crate::row::{Row, table};

pub(super) const ROWS: &[Row] = table! {
    38, "`createAudioMessage`", { create };
    39, "only some platforms can record", { platforms };
    40, "source: the recorder's result", { not built: "uploads" };
    41, "audio has no progress", { not built: "uploads" };
    42, "at most 600,000 ms", { longest };
    43, "sample rate", { sample_rate };
    44, "number of channels", { channels };
    45, "bit rate", { bit_rate };
    46, "`aac` plays on every platform", { aac };
    47, "errors of the recorder", { not applicable: "recording is up to the application" };
    48, "record, create, send", { not applicable: "recording is up to the application" };
    49, "one recorder per application", { not applicable: "recording is up to the application" };
};

async fn create(lab: &Lab) -> Verdict {
    carries(lab, MessageKind::AUDIO).await?;
    Err(Stop::NotBuilt("uploads; the payload is carried unchanged".into()))
}

/// Whether a client of a platform can create this kind.
pub(super) async fn can_create(lab: &Lab, platform: Platform, kind: MessageKind) -> Result<bool, Stop> {
    let name = format!("p{}", platform.0);
    let (person, _) = lab
        .log_in_with(&name, |builder| builder.platform(platform))
        .await?;
    let bytes = wire_payload(kind);
    match person
        .client
        .create_message(person.user(), Payload::decode(kind, &bytes))
    {
        Ok(_) => Ok(true),
        Err(error) if error.code == ErrorCode::UNSUPPORTED_PLATFORM => Ok(false),
        Err(error) => Err(error.into()),
    }
}

async fn platforms(lab: &Lab) -> Verdict {
    for &platform in Platform::KNOWN {
        let can = can_create(lab, platform, MessageKind::AUDIO).await?;
        ensure_eq!(can, platform != Platform::WEB, "audio on {platform}");
    }
    Ok("audio can be created everywhere but on the Web, where it is refused".into())
}

async fn longest(lab: &Lab) -> Verdict {
    let (alice, bob) = lab.pair().await?;
    let mut raw = lab.raw("alice").await?;
    for (milliseconds, taken) in [(60_000, true), (600_000, true), (600_001, false)] {
        let bytes = wire_audio(1000, milliseconds);
        let created = alice
            .client
            .create_message(bob.user(), Payload::decode(MessageKind::AUDIO, &bytes));
        let sent = match created {
            Ok(message) => alice
                .client
                .send_message(&message, SendOptions::default())
                .await
                .map(drop),
            Err(error) => Err(error),
        };
        let body = raw.body(&to(bob.user()), MessageKind::AUDIO.0, bytes.clone());
        let by_hub = raw.send(&body).await?;
        if taken {
            ensure!(
                sent.is_ok() && by_hub.is_ok(),
                "{milliseconds} ms were refused: {sent:?}, {by_hub:?}"
            );
        } else {
            ensure_refused(
                sent,
                &[ErrorCode::MESSAGE_AUDIO_SIZE_LIMIT],
                "a recording of 600,001 ms",
            )?;
            ensure_eq!(
                by_hub.map_err(|refusal| refusal.code),
                Err(2301),
                "the hub's answer to 600,001 ms"
            );
        }
    }
    Ok("600,000 ms are taken; 600,001 ms are refused with 2301 by the SDK and by the hub".into())
}

/// The recording that arrives, given to `look`.
async fn arrives<T>(
    lab: &Lab,
    look: impl Fn(&tim_client::proto::message::Audio<'_>) -> T,
) -> Result<T, Stop> {
    let (alice, mut bob) = lab.pair().await?;
    let bytes = wire_audio(1000, 60_000);
    let message = alice
        .client
        .create_message(bob.user(), Payload::decode(MessageKind::AUDIO, &bytes))?;
    alice
        .client
        .send_message(&message, SendOptions::default())
        .await?;
    let got = bob.receives(&message).await?;
    match got.payload() {
        Payload::Audio(audio) => Ok(look(&audio)),
        other => Err(Stop::fail(format_args!("a recording arrived as {other:?}"))),
    }
}

async fn sample_rate(lab: &Lab) -> Verdict {
    ensure_eq!(
        arrives(lab, |audio| audio.sample_rate).await?,
        44_100,
        "the sample rate"
    );
    Ok("44,100 arrives".into())
}

async fn channels(lab: &Lab) -> Verdict {
    ensure_eq!(arrives(lab, |audio| audio.channels).await?, 1, "the channels");
    Ok("1 arrives".into())
}

async fn bit_rate(lab: &Lab) -> Verdict {
    ensure_eq!(
        arrives(lab, |audio| audio.bit_rate).await?,
        192_000,
        "the bit rate"
    );
    Ok("192,000 arrives".into())
}

async fn aac(lab: &Lab) -> Verdict {
    ensure_eq!(
        arrives(lab, |audio| audio.format.to_owned()).await?,
        "aac",
        "the format"
    );
    Ok("the format arrives as the sender names it".into())
}
