//! Audio.

use tim_client::proto::message::Audio;
use tim_client::{ErrorCode, MessageKind, Payload, Platform, Source};

use super::payloads::{are_taken, arrives, creates_everywhere_but_on, is_refused};
use super::{uploads, wire_audio};
use crate::check::{Stop, Verdict, ensure_eq};
use crate::lab::Lab;
use crate::row::{Row, table};

pub(super) const ROWS: &[Row] = table! {
    38, "`createAudioMessage`", { create };
    39, "only some platforms can record", { platforms };
    40, "source: the recorder's result", { recorder };
    41, "audio has no progress", { harmless_progress };
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
    uploads::creates(lab, MessageKind::AUDIO).await
}

async fn platforms(lab: &Lab) -> Verdict {
    creates_everywhere_but_on(lab, Platform::WEB, MessageKind::AUDIO).await?;
    Ok("audio can be created everywhere but on the Web, where it is refused".into())
}

async fn recorder(lab: &Lab) -> Verdict {
    let content = uploads::content(MessageKind::AUDIO);
    let source = Source::bytes("recording.aac", content.clone());
    let got = uploads::arrives_from(lab, MessageKind::AUDIO, source, &content).await?;
    match got.payload() {
        Payload::Audio(audio) => ensure_eq!(
            (audio.duration_ms, audio.size),
            (60_000, 100_000),
            "duration and size"
        ),
        other => return Err(Stop::fail(format_args!("a recording arrived as {other:?}"))),
    }
    Ok("the recording arrives with its bytes, size and duration".into())
}

async fn harmless_progress(lab: &Lab) -> Verdict {
    uploads::tells_progress(lab, &[MessageKind::AUDIO]).await?;
    Ok("sending needs no progress function; one that is set is called".into())
}

async fn longest(lab: &Lab) -> Verdict {
    let [short, longest, too_long] = [60_000, 600_000, 600_001].map(|it| wire_audio(1000, it));
    are_taken(lab, MessageKind::AUDIO, &[short, longest]).await?;
    let refusal = (ErrorCode::MESSAGE_AUDIO_SIZE_LIMIT, 2301);
    is_refused(lab, MessageKind::AUDIO, &too_long, refusal).await?;
    Ok("600,000 ms are taken; 600,001 ms are refused with 2301 by the SDK and by the hub".into())
}

/// The recording that arrives, given to `look`.
async fn heard<T>(lab: &Lab, look: impl Fn(&Audio<'_>) -> T) -> Result<T, Stop> {
    let got = arrives(lab, MessageKind::AUDIO, &wire_audio(1000, 60_000)).await?;
    match got.payload() {
        Payload::Audio(audio) => Ok(look(&audio)),
        other => Err(Stop::fail(format_args!("a recording arrived as {other:?}"))),
    }
}

async fn sample_rate(lab: &Lab) -> Verdict {
    let rate = heard(lab, |audio| audio.sample_rate).await?;
    ensure_eq!(rate, 44_100, "the sample rate");
    Ok("44,100 arrives".into())
}

async fn channels(lab: &Lab) -> Verdict {
    let channels = heard(lab, |audio| audio.channels).await?;
    ensure_eq!(channels, 1, "the channels");
    Ok("1 arrives".into())
}

async fn bit_rate(lab: &Lab) -> Verdict {
    let rate = heard(lab, |audio| audio.bit_rate).await?;
    ensure_eq!(rate, 192_000, "the bit rate");
    Ok("192,000 arrives".into())
}

async fn aac(lab: &Lab) -> Verdict {
    let format = heard(lab, |audio| audio.format.to_owned()).await?;
    ensure_eq!(format, "aac", "the format");
    Ok("the format arrives as the sender names it".into())
}
