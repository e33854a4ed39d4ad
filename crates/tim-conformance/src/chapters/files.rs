//! Files.

use tim_client::proto::vendor::limits::MAX_FILE_BYTES;
use tim_client::{ErrorCode, MessageKind, Payload, Platform, Source};

use super::payloads::{are_taken, creates_everywhere_but_on, is_refused};
use super::{uploads, wire_file};
use crate::check::{Stop, Verdict, ensure_eq};
use crate::lab::Lab;
use crate::row::{Row, table};

pub(super) const ROWS: &[Row] = table! {
    50, "`createFileMessage`", { create };
    51, "source: a DOM node", { handle };
    52, "source: a `File` (2.3.1)", { from_file };
    53, "the SDK uploads the file", { uploads_it };
    54, "at most 100 MB", { largest };
    55, "not in the mini program", { not_in_mini_program };
};

async fn create(lab: &Lab) -> Verdict {
    uploads::creates(lab, MessageKind::FILE).await
}

async fn handle(lab: &Lab) -> Verdict {
    uploads::handle(lab, MessageKind::FILE).await
}

async fn from_file(lab: &Lab) -> Verdict {
    uploads::file_object(lab, MessageKind::FILE, "createFileMessage from a File").await
}

async fn uploads_it(lab: &Lab) -> Verdict {
    let content = uploads::content(MessageKind::FILE);
    let source = Source::reader("report.pdf", std::io::Cursor::new(content.clone()));
    let got = uploads::arrives_from(lab, MessageKind::FILE, source, &content).await?;
    match got.payload() {
        Payload::File(file) => ensure_eq!((file.name, file.size), ("report.pdf", 100_000), "name and size"),
        other => return Err(Stop::fail(format_args!("a file arrived as {other:?}"))),
    }
    Ok("the same bytes, name and size arrive".into())
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
