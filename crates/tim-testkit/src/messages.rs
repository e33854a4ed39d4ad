//! Messages with the fields that a test does not care about filled in.

use tim_session::proto::message::{Envelope, Message, Payload, Text};
use tim_session::proto::{ConversationId, MessageId, UserId};

/// A message as the hub stores it: the first of its conversation, sent from device 7 of account 1.
#[must_use]
pub fn message<'a, P>(from: UserId, to: ConversationId, payload: P) -> Message<'a, P> {
    Message::new(
        Envelope::new(from).with_sequence(1).with_time(1).with_origin(7),
        to,
        MessageId {
            sender: 1,
            client_time: 2,
            random: 3,
        },
        payload,
    )
    .with_client_sequence(1)
}

/// A [`message`] with this text.
#[must_use]
pub fn text<'a>(from: UserId, to: ConversationId, text: &'a str) -> Message<'a> {
    message(from, to, Payload::Text(Text::new(text)))
}

/// The text of a payload; empty for other kinds.
#[must_use]
pub fn text_of(payload: &Payload<'_>) -> String {
    match payload {
        Payload::Text(text) => text.text.to_owned(),
        _ => String::new(),
    }
}
