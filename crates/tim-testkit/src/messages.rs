//! Messages with the fields that a test does not care about filled in.

use tim_session::proto::message::{Envelope, Message, MessageFlags, Payload, Text};
use tim_session::proto::{ConversationId, MessageId, Priority, UserId};

/// A message as the hub stores it: the first of its conversation, sent from device 7 of account 1.
#[must_use]
pub fn message<'a, P>(from: UserId, to: ConversationId, payload: P) -> Message<'a, P> {
    Message {
        envelope: Envelope {
            sequence: 1,
            time: 1,
            flags: MessageFlags::NONE,
            origin: 7,
            from,
        },
        to,
        id: MessageId {
            sender: 1,
            client_time: 2,
            random: 3,
        },
        client_sequence: 1,
        priority: Priority::NORMAL,
        payload,
        extensions: Default::default(),
    }
}

/// A [`message`] with this text.
#[must_use]
pub fn text<'a>(from: UserId, to: ConversationId, text: &'a str) -> Message<'a> {
    message(from, to, Payload::Text(Text { text }))
}

/// The text of a payload; empty for other kinds.
#[must_use]
pub fn text_of(payload: &Payload<'_>) -> String {
    match payload {
        Payload::Text(text) => text.text.to_owned(),
        _ => String::new(),
    }
}
