//! Images.

use tim_client::{MessageKind, Payload};

use super::payloads::{creates_without_upload, is_not_claimed};
use super::wire_image;
use crate::check::{Stop, Verdict, ensure_eq};
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
    creates_without_upload(lab, MessageKind::IMAGE).await
}

async fn from_file(_: &Lab) -> Verdict {
    is_not_claimed("createImageMessage from a File")
}
