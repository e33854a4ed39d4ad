//! What the hub delivers, and what becomes of it.

mod messages;
mod revoking;
mod streams;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use support::*;
use tim_client::proto::message::{Message, Payload, Revocation};
use tim_client::{ConversationId, Event, EventStream, MessageId};

/// As long as the pause between two events about the same list.
const A_SECOND: Duration = Duration::from_secs(1);

fn texts(messages: &[tim_client::Message]) -> Vec<String> {
    messages
        .iter()
        .map(|message| message.text().unwrap_or("-").to_owned())
        .collect()
}

async fn revoked(events: &mut EventStream) -> Vec<tim_client::Message> {
    event(events, |event| match event {
        Event::MessageRevoked(messages) => Some(messages.clone()),
        _ => None,
    })
    .await
}

async fn list(events: &mut EventStream) -> Vec<(ConversationId, u32)> {
    event(events, |event| match event {
        Event::ConversationListUpdated(list) => Some(list.iter().map(|c| (c.id, c.unread_count)).collect()),
        _ => None,
    })
    .await
}

/// Takes every event that is there.
fn take_all(events: &mut EventStream) -> Vec<Event> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut all = Vec::new();
    while let std::task::Poll::Ready(Some(event)) = events.poll_next_event(&mut context) {
        all.push(event);
    }
    all
}

fn revocation<'a>(of: &Message<'_>, sequence: u64) -> Message<'a> {
    let payload = Payload::Revocation(Revocation::new(
        of.envelope.sequence,
        of.id,
        of.envelope.from,
        of.envelope.from,
    ));
    let id = MessageId {
        random: 1_000_000 + sequence as u32,
        ..of.id
    };
    let mut message = text(of.envelope.from.as_str(), of.to, sequence, "");
    (message.payload, message.id) = (payload, id);
    message
}
