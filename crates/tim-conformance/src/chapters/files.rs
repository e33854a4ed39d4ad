//! Files.

use tim_client::proto::vendor::limits::MAX_FILE_BYTES;
use tim_client::{ErrorCode, MessageKind, Platform};

use super::payloads::{
    are_taken, creates_everywhere_but_on, creates_without_upload, is_not_claimed, is_refused,
};
use super::wire_file;
use crate::check::{Verdict, ensure_eq};
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
    creates_without_upload(lab, MessageKind::FILE).await
}

async fn from_file(_: &Lab) -> Verdict {
    is_not_claimed("createFileMessage from a File")
}

async fn largest(lab: &Lab) -> Verdict {
    ensure_eq!(MAX_FILE_BYTES, 100 * 1024 * 1024, "the constant");
    let (largest, too_large) = (wire_file(MAX_FILE_BYTES), wire_file(MAX_FILE_BYTES + 1));
    are_taken(lab, MessageKind::FILE, &[largest]).await?;
    let refusal = (ErrorCode::MESSAGE_FILE_SIZE_LIMIT, 2402);
    is_refused(lab, MessageKind::FILE, &too_large, refusal).await?;
    Ok("100 MiB are taken; a byte more is refused with 2402 by the SDK and by the hub".into())
}

async fn not_in_mini_program(lab: &Lab) -> Verdict {
    creates_everywhere_but_on(lab, Platform::MINI_PROGRAM, MessageKind::FILE).await?;
    Ok("files can be created everywhere but in the mini program, where they are refused".into())
}
