//! A client with a scripted hub at the other end, and what such a hub sends.
#![allow(dead_code, unreachable_pub, unused_imports)] // each test file uses its part

pub mod files;
pub mod groups;

use tim_client::proto::message::{Message, MessageFlags, Payload};
use tim_client::proto::wire::List;
use tim_client::transport::{MemoryListener, memory_listener};
use tim_client::{Client, ClientBuilder, ConversationId, Event, EventStream, MessageId, ReceiveOption};
pub use tim_testkit::{Incoming, c2c, group, in_time, user};
use tim_testkit::{ScriptedHub, messages};
use tokio::io::DuplexStream;

/// The hub's end of a connection.
pub type HubEnd = ScriptedHub<DuplexStream>;

pub const ACCOUNT: u64 = 144_115_200_000_000_001;
pub const DEVICE: u64 = 7;

/// Alice's client, not logged in, and where her connections arrive.
pub fn alice(change: impl FnOnce(ClientBuilder) -> ClientBuilder) -> (Client, MemoryListener) {
    tim_testkit::deadline();
    let (connector, listener) = memory_listener();
    let builder = change(Client::builder(1, user("alice"), "sig").device(DEVICE));
    (builder.build(connector), listener)
}

/// Alice's client, logged in and ready, her events from then on, and the hub's end of her connection.
pub async fn alice_online() -> (Client, EventStream, HubEnd, MemoryListener) {
    alice_online_with(|builder| builder).await
}

/// [`alice_online`] with another client.
pub async fn alice_online_with(
    change: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> (Client, EventStream, HubEnd, MemoryListener) {
    let (client, mut listener) = alice(change);
    let login = tokio::spawn({
        let client = client.clone();
        async move { client.login().await }
    });
    let mut hub = accept(&mut listener).await;
    hub.let_in().await;
    login.await.unwrap().unwrap();
    client.wait_until_ready().await.unwrap();
    hub.answer_list(&[]).await;
    let events = client.events();
    (client, events, hub, listener)
}

/// The next connection's hub, which alice's device logs in to.
pub async fn accept(listener: &mut MemoryListener) -> HubEnd {
    let stream = in_time("a connection", listener.accept()).await.unwrap();
    let mut hub = HubEnd::new(stream);
    hub.expected_login = Some((user("alice"), "sig", DEVICE));
    hub
}

/// A conversation as the hub lists it.
pub fn listed<'a>(
    id: ConversationId,
    last_sequence: u64,
    unread: u32,
) -> tim_client::proto::conversation::Conversation<'a> {
    tim_client::proto::conversation::Conversation::new(id)
        .with_unread(unread)
        .with_last_sequence(last_sequence)
        .with_group_type(tim_client::GroupType(0))
}

/// A text from `from` to `to` as the hub delivers it.
pub fn text<'a>(from: &str, to: ConversationId, sequence: u64, text: &'a str) -> Message<'a> {
    let mut message = messages::text(user(from), to, text);
    message.envelope.sequence = sequence;
    message.envelope.time = 1000 + sequence;
    message.envelope.origin = 99;
    message.id = MessageId {
        sender: 5,
        client_time: 1000,
        random: sequence as u32,
    };
    message.client_sequence = sequence;
    message
}

pub fn stub(mut message: Message<'_>) -> Message<'_> {
    message.envelope.flags |= MessageFlags::STUB;
    message.payload = Payload::Unknown(message.payload.kind(), &[]);
    message
}

/// The next event that `pick` wants; the others are passed over.
pub async fn event<T>(events: &mut EventStream, mut pick: impl FnMut(&Event) -> Option<T>) -> T {
    let wanted = async {
        loop {
            let event = events.next().await.expect("an event");
            if let Some(picked) = pick(&event) {
                return picked;
            }
        }
    };
    in_time("an event", wanted).await
}

/// The texts of the next MESSAGE_RECEIVED.
pub async fn received(events: &mut EventStream) -> Vec<tim_client::Message> {
    event(events, |event| match event {
        Event::MessageReceived(messages) => Some(messages.clone()),
        _ => None,
    })
    .await
}
