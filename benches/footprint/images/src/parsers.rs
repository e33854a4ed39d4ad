//! The parsers alone: emoji spans, a notice's and a tip's words, a conversation id. The emoji table is the seed's, of
//! three keys; a larger one adds itself and no code.

use tim_proto::message::TipOperation;
use tim_proto::message::{GroupTip, Header, Text};
use tim_proto::message::{NoticeOperation, SystemNotice};
use tim_proto::render::text::{self, EmojiTable, Span};
use tim_proto::render::tip_text;
use tim_proto::{ConversationId, Words};

use crate::{Board, Display};

/// The seed's emojis, with an index of their size.
static EMOJIS: EmojiTable<'static, 4> = EmojiTable::with_slots(text::SEED.entries());

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
    show_spans(board, text);
    let notice = SystemNotice::new(NoticeOperation(operation))
        .with_operator_id(text)
        .with_group_id(text);
    if let Some(notice) = notice.text(Words::SEED) {
        notice.write_to(&mut Display(board)).ok()?;
    }
    let tip = tip_text(TipOperation(operation), text, [text], Words::SEED);
    tip.write_to(&mut Display(board)).ok()?;
    let Ok(id) = &ConversationId::new(text) else {
        return None;
    };
    board.show(id.conversation_type().as_str().as_bytes());
    board.show(id.target().as_bytes());
    Some(())
}

/// Shows who sent a message, and what it says: a text with its emojis, a tip and a notice in words.
pub fn show_message<B: Board>(board: &mut B, header: &Header<'_>) {
    board.show(header.sender().as_str().as_bytes());
    if let Some(said) = header.payload::<Text<'_>>() {
        show_spans(board, said.text);
    } else if let Some(tip) = header.payload::<GroupTip<'_>>() {
        show_tip(board, &tip);
    } else if let Some(notice) = header.payload::<SystemNotice<'_>>() {
        show_notice(board, &notice);
    }
}

/// Shows a tip in words.
pub fn show_tip<B: Board>(board: &mut B, tip: &GroupTip<'_>) {
    let _ = tip.text(Words::SEED).write_to(&mut Display(board));
}

/// Shows a notice in words, if it has any.
pub fn show_notice<B: Board>(board: &mut B, notice: &SystemNotice<'_>) {
    if let Some(text) = notice.text(Words::SEED) {
        let _ = text.write_to(&mut Display(board));
    }
}

fn show_spans<B: Board>(board: &mut B, text: &str) {
    for span in text::spans(text, &EMOJIS) {
        match span {
            Span::Text(text) => board.show(text.as_bytes()),
            Span::Emoji { file, .. } => board.show(file.as_bytes()),
        }
    }
}
