//! The parsers alone: emoji spans, a notice's and a tip's words, a conversation id. The emoji table is the seed's, of
//! three keys; a larger one adds itself and no code.

use core::fmt::Write;

use tim_proto::notice::{NoticeOperation, SystemNotice};
use tim_proto::text::{self, Span};
use tim_proto::tip::{TipOperation, tip_text};
use tim_proto::{ConversationId, Words};

use crate::{Board, Display};

/// Reads a line (an operation, a space, a text), and shows all that the parsers make of it.
pub fn run<B: Board>(board: &mut B) -> Option<()> {
    let mut buffer = [0; 256];
    let mut len = 0;
    let operation = board.wait();
    loop {
        match board.wait() {
            b'\n' => break,
            byte => *buffer.get_mut(len)? = byte,
        }
        len += 1;
    }
    show(
        board,
        operation.into(),
        core::str::from_utf8(buffer.get(..len)?).ok()?,
    )
}

/// Shows what the parsers make of a text.
pub fn show<B: Board>(board: &mut B, operation: u32, text: &str) -> Option<()> {
    for span in text::spans(text, &text::SEED) {
        match span {
            Span::Text(text) => board.show(text.as_bytes()),
            Span::Emoji { file, .. } => board.show(file.as_bytes()),
        }
    }
    let notice = SystemNotice {
        operation: NoticeOperation(operation),
        operator_id: text,
        group_id: text,
        ..SystemNotice::default()
    };
    if let Some(notice) = notice.text(Words::SEED) {
        write!(Display(board), "{notice}").ok()?;
    }
    write!(
        Display(board),
        "{}",
        tip_text(TipOperation(operation), text, [text], Words::SEED)
    )
    .ok()?;
    let id: ConversationId = text.parse().ok()?;
    write!(Display(board), "{id}").ok()
}
