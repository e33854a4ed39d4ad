//! Video.

use tim_client::proto::vendor::capability::{FEATURES, Version};
use tim_client::{MessageKind, Payload, Platform};

use super::payloads::{arrives, can_create, creates_without_upload};
use super::{to, wire_payload, wire_video};
use crate::check::{Stop, Verdict, ensure, ensure_eq};
use crate::lab::Lab;
use crate::row::{Row, table};
use crate::spec::Output;

pub(super) const ROWS: &[Row] = table! {
    62, "`createVideoMessage`", { create };
    63, "since 2.2.0", { since };
    64, "mini program, and Web since 2.6.0", { platforms };
    65, "a default thumbnail when there is none", { default_thumbnail };
    66, "a default thumbnail can be told from a real one", { told_apart };
    67, "older readers survive a video message", { older_readers };
    68, "source: a DOM node, `File` or object", { not built: "uploads" };
    69, "the SDK uploads the video", { not built: "uploads" };
    70, "`maxDuration` is an option of the host application", { not applicable: "an option of the host application, without an effect here" };
    71, "`sourceType` and `camera` are options of the host application", { not applicable: "options of the host application, without an effect here" };
    72, "progress of an upload", { not built: "uploads" };
    73, "a second shape of the source", { not built: "uploads" };
};

async fn create(lab: &Lab) -> Verdict {
    creates_without_upload(lab, MessageKind::VIDEO).await
}

/// The version in which the manual has a feature.
pub(super) fn since_version(feature: &str) -> Option<Version> {
    FEATURES.iter().find(|it| it.name == feature).map(|it| it.since)
}

async fn since(_: &Lab) -> Verdict {
    ensure_eq!(
        since_version("createVideoMessage"),
        Some(Version::new(2, 2, 0)),
        "the version"
    );
    Ok("the table of features says 2.2.0".into())
}

async fn platforms(lab: &Lab) -> Verdict {
    ensure_eq!(
        since_version("createVideoMessage on the Web"),
        Some(Version::new(2, 6, 0)),
        "the version"
    );
    for platform in [Platform::WEB, Platform::MINI_PROGRAM] {
        ensure!(
            can_create(lab, platform, MessageKind::VIDEO).await?,
            "{platform} cannot create a video"
        );
    }
    Ok("a video can be created on both".into())
}

/// Of the video that arrives when this one is sent: whether its thumbnail is a default one, and its address.
async fn thumbnail(lab: &Lab, bytes: &[u8]) -> Result<(bool, String), Stop> {
    let got = arrives(lab, MessageKind::VIDEO, bytes).await?;
    match got.payload() {
        Payload::Video(video) => Ok((video.thumbnail.is_default, video.thumbnail.url.to_owned())),
        other => Err(Stop::fail(format_args!("a video arrived as {other:?}"))),
    }
}

async fn default_thumbnail(lab: &Lab) -> Verdict {
    let without = Output::default()
        .str("video")
        .str("https://example.invalid/video.mp4")
        .varint(1000)
        .varint(60)
        .str("mp4")
        .bool(true)
        .str("")
        .str("")
        .varint(0)
        .varint(0)
        .varint(0)
        .str("");
    let (is_default, url) = thumbnail(lab, &without.0).await?;
    ensure!(is_default, "the flag is lost");
    if url.is_empty() {
        return Err(Stop::NotBuilt("nothing fills in a default thumbnail".into()));
    }
    Ok("a default thumbnail is filled in".into())
}

async fn told_apart(lab: &Lab) -> Verdict {
    for is_default in [true, false] {
        let (arrived, _) = thumbnail(lab, &wire_video(1000, is_default)).await?;
        ensure_eq!(arrived, is_default, "is_default");
    }
    Ok("the flag arrives".into())
}

async fn older_readers(lab: &Lab) -> Verdict {
    let (mut raw, mut bob) = (lab.raw("alice").await?, lab.log_in("bob").await?);
    // A newer sender has one more field, and a newer kind of video.
    let grown = Output::default()
        .raw(&wire_payload(MessageKind::VIDEO))
        .varint(200)
        .bytes(b"new")
        .0;
    let body = raw.body(&to(bob.user()), MessageKind::VIDEO.0, grown);
    let answer = raw.send(&body).await?;
    ensure!(
        answer.is_ok(),
        "the hub refused a field that it does not know: {answer:?}"
    );
    let got = bob.next("the video", |message| Some(message.clone())).await?;
    ensure!(
        matches!(got.payload(), Payload::Video(video) if video.seconds == 60),
        "it was read as {:?}",
        got.payload()
    );
    let body = raw.body(&to(bob.user()), 20, vec![7; 40]);
    let answer = raw.send(&body).await?;
    ensure!(
        answer.is_ok(),
        "the hub refused a kind that it does not know: {answer:?}"
    );
    let got = bob.next("the new kind", |message| Some(message.clone())).await?;
    ensure_eq!(
        got.payload(),
        Payload::Unknown(MessageKind(20), &[7; 40]),
        "the new kind"
    );
    Ok("a video with an unknown field is read, and an unknown kind is carried as bytes".into())
}
