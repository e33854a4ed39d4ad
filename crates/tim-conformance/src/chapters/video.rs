//! Video.

use tim_client::proto::vendor::capability::{FEATURES, Version};
use tim_client::{MessageKind, Payload, Platform, Source};

use super::payloads::{arrives, can_create};
use super::{to, uploads, wire_payload, wire_video};
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
    68, "source: a DOM node, `File` or object", { every_shape };
    69, "the SDK uploads the video", { uploads_it };
    70, "`maxDuration` is an option of the host application", { not applicable: "an option of the host application, without an effect here" };
    71, "`sourceType` and `camera` are options of the host application", { not applicable: "options of the host application, without an effect here" };
    72, "progress of an upload", { progress };
    73, "a second shape of the source", { second_shape };
};

async fn create(lab: &Lab) -> Verdict {
    uploads::creates(lab, MessageKind::VIDEO).await
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
    let content = uploads::content(MessageKind::VIDEO);
    let source = Source::bytes("video.mp4", content.clone());
    let got = uploads::arrives_from(lab, MessageKind::VIDEO, source, &content).await?;
    let Payload::Video(video) = got.payload() else {
        return Err(Stop::fail("a video arrived as something else"));
    };
    let default = video.thumbnail;
    let is_filled = default.width > 0 && default.height > 0 && default.size > 0;
    ensure!(default.is_default && is_filled, "the thumbnail is {default:?}");
    Ok("a default thumbnail is filled in, with its flag, width, height and size; it is read as a part of the file".into())
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

async fn every_shape(lab: &Lab) -> Verdict {
    uploads::handle(lab, MessageKind::VIDEO).await?;
    uploads::own_source(lab, MessageKind::VIDEO).await?;
    Ok("a selection of one file and a source of the application's own are taken".into())
}

async fn uploads_it(lab: &Lab) -> Verdict {
    uploads::reader(lab, MessageKind::VIDEO).await
}

async fn progress(lab: &Lab) -> Verdict {
    uploads::tells_progress(lab, &[MessageKind::VIDEO]).await
}

async fn second_shape(lab: &Lab) -> Verdict {
    uploads::own_source(lab, MessageKind::VIDEO).await
}
