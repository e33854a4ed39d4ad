//! Images.

use tim_client::{MessageKind, Payload, SendOptions};

use super::{claims, wire_image, wire_payload};
use crate::check::{Stop, Verdict, ensure, ensure_eq};
use crate::lab::Lab;
use crate::row::{Row, table};

pub(super) const ROWS: &[Row] = table! {
    29, "`createImageMessage`", { create };
    30, "source: a DOM node", { not built: "uploads" };
    31, "source: a `File` (2.3.1)", { from_file };
    32, "source: the result of `wx.chooseImage`", { not built: "uploads" };
    33, "the SDK uploads the picture", { not built: "uploads" };
    34, "a missing file is an error", { not built: "uploads" };
    35, "the source may be changed after the upload", { not built: "uploads" };
    36, "one picture per message", { not built: "uploads" };
    37, "`sourceType` is an option of the host application", { not applicable: "an option of the host application, without an effect here" };
};

async fn create(lab: &Lab) -> Verdict {
    carries(lab, MessageKind::IMAGE).await?;
    let decoded = wire_image(7);
    let Payload::Image(image) = Payload::decode(MessageKind::IMAGE, &decoded) else {
        return Err(Stop::fail("a picture as in SPEC.md cannot be read"));
    };
    let sizes: Vec<_> = image
        .images
        .iter()
        .map(|info| (info.size, info.width, info.height))
        .collect();
    ensure_eq!(sizes, [(7, 640, 480)], "the renditions");
    Err(Stop::NotBuilt("uploads; the payload is carried unchanged".into()))
}

/// A payload of this kind, made by the SDK, arrives with the bytes of SPEC.md.
pub(super) async fn carries(lab: &Lab, kind: MessageKind) -> Result<(), Stop> {
    let (alice, mut bob) = lab.pair().await?;
    let mut raw = lab.raw("bob").await?;
    let bytes = wire_payload(kind);
    let payload = Payload::decode(kind, &bytes);
    ensure!(
        !matches!(payload, Payload::Unknown(..)),
        "a {kind} as in SPEC.md cannot be read"
    );
    let message = alice.client.create_message(bob.user(), payload)?;
    alice
        .client
        .send_message(&message, SendOptions::default())
        .await?;
    let got = bob.receives(&message).await?;
    ensure_eq!(got.payload(), payload, "the payload that arrived");
    let on_the_wire = raw
        .delivery("the message", |it| Some((it.kind, it.payload.clone())))
        .await?;
    ensure!(
        on_the_wire == (kind.0.into(), bytes),
        "the bytes on the wire are not those of SPEC.md"
    );
    Ok(())
}

async fn from_file(_: &Lab) -> Verdict {
    ensure!(
        !claims("createImageMessage from a File"),
        "the SDK claims uploads, but has no call for them"
    );
    Err(Stop::NotBuilt(
        "uploads; the SDK's table of features says so".into(),
    ))
}
