//! Images.

use tim_client::{ErrorCode, MessageKind, Payload, Source};

use super::{uploads, wire_image};
use crate::check::{Stop, Verdict, ensure_eq};
use crate::lab::Lab;
use crate::row::{Row, table};

pub(super) const ROWS: &[Row] = table! {
    29, "`createImageMessage`", { create };
    30, "source: a DOM node", { handle };
    31, "source: a `File` (2.3.1)", { from_file };
    32, "source: the result of `wx.chooseImage`", { chosen };
    33, "the SDK uploads the picture", { uploads_it };
    34, "a missing file is an error", { missing };
    35, "the source may be changed after the upload", { lets_go };
    36, "one picture per message", { one_only };
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
    uploads::creates(lab, MessageKind::IMAGE).await
}

async fn handle(lab: &Lab) -> Verdict {
    uploads::handle(lab, MessageKind::IMAGE).await
}

async fn from_file(lab: &Lab) -> Verdict {
    uploads::file_object(lab, MessageKind::IMAGE, "createImageMessage from a File").await
}

async fn chosen(lab: &Lab) -> Verdict {
    uploads::own_source(lab, MessageKind::IMAGE).await
}

async fn uploads_it(lab: &Lab) -> Verdict {
    uploads::reader(lab, MessageKind::IMAGE).await
}

async fn missing(lab: &Lab) -> Verdict {
    let code = ErrorCode::MESSAGE_IMAGE_SELECT_FILE_FIRST;
    uploads::refuses(lab, MessageKind::IMAGE, None::<Source>.into(), code).await
}

async fn lets_go(lab: &Lab) -> Verdict {
    uploads::lets_go(lab).await
}

async fn one_only(lab: &Lab) -> Verdict {
    let one = || Source::bytes("a.bmp", uploads::content(MessageKind::IMAGE));
    let several = vec![one(), one()];
    uploads::refuses(lab, MessageKind::IMAGE, several.into(), ErrorCode::SEVERAL_FILES).await
}
