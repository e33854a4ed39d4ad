//! The wire format alone: a SEND frame out, a DELIVER frame in.

use core::hint::black_box;

use tim_proto::message::{Envelope, Text};
use tim_proto::request::{Delivery, SendMessage};
use tim_proto::wire::{self, Frame, FrameKind, Parsed, Writer};
use tim_proto::{ConversationId, Message, MessageId, UserId};

use crate::Board;

/// A message from `from` to `to`.
pub fn message<'t>(from: UserId, to: UserId, text: &'t str) -> Message<'t, Text<'t>> {
    let mut envelope = Envelope::new(from);
    envelope.origin = black_box(7);
    let id = MessageId {
        sender: black_box(99),
        client_time: black_box(1_700_000_000),
        random: black_box(42),
    };
    let mut message = Message::new(envelope, ConversationId::C2c(to), id, Text::new(text));
    message.client_sequence = black_box(1);
    message
}

/// Sends a message, and shows the text of one that comes.
pub fn run<B: Board>(board: &mut B) -> Option<()> {
    let mut buffer = [0; 512];
    let (from, to) = (
        UserId::new(black_box("kiosk-1")).ok()?,
        UserId::new(black_box("alice")).ok()?,
    );
    let message = message(from, to, black_box("Hello world!"));
    let send = SendMessage::new(&message);
    let mut writer = Writer::new(&mut buffer);
    Frame::encode_header(
        FrameKind::SEND,
        black_box(1),
        wire::encoded_len(&send),
        &mut writer,
    );
    wire::Encode::encode(&send, &mut writer);
    let len = writer.finish().ok()?;
    board.write_all(buffer.get(..len)?);

    let mut len = 0;
    loop {
        *buffer.get_mut(len)? = board.wait();
        len += 1;
        match Frame::parse(buffer.get(..len)?, buffer.len()).ok()? {
            Parsed::Incomplete(_) => {}
            Parsed::Frame(frame, _) if frame.kind == FrameKind::DELIVER => {
                let delivery: Delivery<'_> = wire::decode_body(frame.body).ok()?;
                board.show(delivery.header.sender().as_str().as_bytes());
                if let Some(said) = delivery.header.payload::<Text<'_>>() {
                    board.show(said.text.as_bytes());
                }
                return Some(());
            }
            Parsed::Frame(..) => return None,
        }
    }
}
