//! Files.

use tim_client::proto::vendor::limits::MAX_FILE_BYTES;
use tim_client::{ErrorCode, MessageKind, Payload, Platform, SendOptions};

use super::audio::can_create;
use super::images::carries;
use super::{claims, to, wire_file};
use crate::check::{Stop, Verdict, ensure, ensure_eq, ensure_refused};
use crate::lab::Lab;
use crate::row::{Row, table};

pub(super) const ROWS: &[Row] = table! {
    50, "`createFileMessage`", { create };
    51, "source: a DOM node", { not built: "uploads" };
    52, "source: a `File` (2.3.1)", { from_file };
    53, "the SDK uploads the file", { not built: "uploads" };
    54, "at most 100 MB", { largest };
    55, "not in the mini program", { not_in_mini_program };
};

async fn create(lab: &Lab) -> Verdict {
    carries(lab, MessageKind::FILE).await?;
    Err(Stop::NotBuilt("uploads; the payload is carried unchanged".into()))
}

async fn from_file(_: &Lab) -> Verdict {
    ensure!(
        !claims("createFileMessage from a File"),
        "the SDK claims uploads, but has no call for them"
    );
    Err(Stop::NotBuilt(
        "uploads; the SDK's table of features says so".into(),
    ))
}

async fn largest(lab: &Lab) -> Verdict {
    ensure_eq!(MAX_FILE_BYTES, 100 * 1024 * 1024, "the constant");
    let (alice, bob) = lab.pair().await?;
    let mut raw = lab.raw("alice").await?;
    for (size, taken) in [(MAX_FILE_BYTES, true), (MAX_FILE_BYTES + 1, false)] {
        let bytes = wire_file(size);
        let created = alice
            .client
            .create_message(bob.user(), Payload::decode(MessageKind::FILE, &bytes));
        let sent = match created {
            Ok(message) => alice
                .client
                .send_message(&message, SendOptions::default())
                .await
                .map(drop),
            Err(error) => Err(error),
        };
        let body = raw.body(&to(bob.user()), MessageKind::FILE.0, bytes.clone());
        let by_hub = raw.send(&body).await?;
        if taken {
            ensure!(
                sent.is_ok() && by_hub.is_ok(),
                "100 MiB were refused: {sent:?}, {by_hub:?}"
            );
        } else {
            ensure_refused(
                sent,
                &[ErrorCode::MESSAGE_FILE_SIZE_LIMIT],
                "a file of 100 MiB and a byte",
            )?;
            ensure_eq!(
                by_hub.map_err(|refusal| refusal.code),
                Err(2402),
                "the hub's answer to it"
            );
        }
    }
    Ok("100 MiB are taken; a byte more is refused with 2402 by the SDK and by the hub".into())
}

async fn not_in_mini_program(lab: &Lab) -> Verdict {
    for &platform in Platform::KNOWN {
        let can = can_create(lab, platform, MessageKind::FILE).await?;
        ensure_eq!(can, platform != Platform::MINI_PROGRAM, "a file on {platform}");
    }
    Ok("files can be created everywhere but in the mini program, where they are refused".into())
}
