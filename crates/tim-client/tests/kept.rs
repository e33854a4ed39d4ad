//! Messages that the application keeps as bytes, against the real hub.

#[path = "support/world.rs"]
mod world;

use tim_client::{Client, ErrorCode, Message, OfflinePush, Priority, SendOptions, Status};
use tim_testkit::c2c;
use world::World;

async fn start(world: &World, name: &str) -> Client {
    world.log_in(name, |builder| builder.device(77)).await.0
}

async fn history(client: &Client, with: &str) -> Vec<Message> {
    let page = client.get_message_list(c2c(with), None, None).await.unwrap();
    page.message_list
}

/// The application ends, and starts again.
async fn restart(world: &World, client: Client) -> Client {
    client.logout().await.unwrap();
    drop(client);
    start(world, "bot").await
}

#[tokio::test]
async fn a_message_that_was_kept_is_resent_after_a_restart_and_stays_one_entry() {
    let world = World::new();
    let client = start(&world, "bot").await;
    let message = client.create_text_message(c2c("sink"), "once").unwrap();
    let kept = message.to_bytes();
    client
        .send_message(&message, SendOptions::default())
        .await
        .unwrap();
    let sent = message.sequence();
    let (id, count) = (message.id(), message.view().client_sequence);
    drop(message);
    // Otherwise the conversation list tells the client at once that the message was sent.
    client.delete_conversation(c2c("sink")).await.unwrap();

    let client = restart(&world, client).await;
    let back = client.restore_message(&kept).unwrap();
    assert_eq!(
        (back.id(), back.view().client_sequence, back.text(), back.status()),
        (id, count, Some("once"), Status::UnSend)
    );
    client.resend_message(&back).await.unwrap();
    assert_eq!((back.status(), back.sequence()), (Status::Success, sent));
    let entries = history(&client, "sink").await;
    assert_eq!(entries.len(), 1);
    assert!(entries[0].is_same(&back), "it is the instance of the entry");
    // And it can be taken back.
    client.revoke_message(&back).await.unwrap();
    assert!(back.is_revoked() && history(&client, "sink").await[0].is_revoked());
    world.end().await;
}

#[tokio::test]
async fn a_message_that_was_revoked_meanwhile_is_shown_as_revoked_when_it_is_resent() {
    let world = World::new();
    let client = start(&world, "bot").await;
    let message = client.create_text_message(c2c("sink"), "once").unwrap();
    let kept = message.to_bytes();
    let options = SendOptions::default();
    client.send_message(&message, options).await.unwrap();
    client.revoke_message(&message).await.unwrap();
    drop(message);
    // Otherwise the conversation list tells the client at once.
    client.delete_conversation(c2c("sink")).await.unwrap();

    let client = restart(&world, client).await;
    let back = client.restore_message(&kept).unwrap();
    assert!(!back.is_revoked());
    client.resend_message(&back).await.unwrap();
    assert_eq!((back.status(), back.is_revoked()), (Status::Success, true));
    assert_eq!(back.view().revoked_by().map(|by| by.revoker), Some("bot"));
    world.end().await;
}

#[tokio::test]
async fn a_message_for_those_online_that_was_kept_before_it_was_sent_is_not_stored_when_it_is_resent() {
    let world = World::new();
    let client = start(&world, "bot").await;
    let message = client
        .create_text_message(c2c("sink"), "now")
        .unwrap()
        .with_options(SendOptions::online_only())
        .unwrap();
    let kept = message.to_bytes();
    drop(message);

    let client = restart(&world, client).await;
    let back = client.restore_message(&kept).unwrap();
    client.resend_message(&back).await.unwrap();
    assert_eq!((back.status(), back.sequence()), (Status::Success, 0));
    assert!(history(&client, "sink").await.is_empty());
    let late = back.with_options(SendOptions::default());
    assert_eq!(late.unwrap_err().code, ErrorCode::INVALID_OPERATION);
    world.end().await;
}

#[tokio::test]
async fn a_message_that_was_never_sent_is_sent_later() {
    let world = World::new();
    let client = start(&world, "bot").await;
    let draft = client
        .create_text_message(c2c("sink"), "draft")
        .unwrap()
        .with_priority(Priority::HIGH)
        .unwrap();
    let kept = draft.to_bytes();
    drop(draft);
    let client = restart(&world, client).await;
    let back = client.restore_message(&kept).unwrap();
    assert_eq!((back.priority(), back.sequence()), (Priority::HIGH, 0));
    let error = client.revoke_message(&back).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::MESSAGE_NOT_SENT);
    client.send_message(&back, SendOptions::default()).await.unwrap();
    assert_eq!(history(&client, "sink").await.len(), 1);
    world.end().await;
}

#[tokio::test]
async fn a_sent_message_is_revoked_after_a_restart_and_not_sent_again() {
    let world = World::new();
    let client = start(&world, "bot").await;
    let message = client.create_text_message(c2c("sink"), "oops").unwrap();
    client
        .send_message(&message, SendOptions::default())
        .await
        .unwrap();
    let (kept, time) = (message.to_bytes(), message.time());
    drop(message);
    let client = restart(&world, client).await;
    let back = client.restore_message(&kept).unwrap();
    assert_eq!(
        (back.status(), back.sequence(), back.time()),
        (Status::Success, 1, time)
    );
    let error = client.resend_message(&back).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::MESSAGE_NOT_FAILED);
    let error = client
        .send_message(&back, SendOptions::default())
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::INVALID_OPERATION);
    client.revoke_message(&back).await.unwrap();
    world.end().await;
}

#[tokio::test]
async fn a_failed_message_keeps_its_options_and_a_received_one_can_be_kept_too() {
    let world = World::new();
    let client = start(&world, "bot").await;
    let (sink, mut at_sink) = world.log_in("sink", |builder| builder).await;
    let message = client.create_text_message(c2c("sink"), "x").unwrap();
    client.logout().await.unwrap();
    let options = SendOptions {
        offline_push: Some(OfflinePush {
            title: Some("Title".into()),
            ..OfflinePush::default()
        }),
        ..SendOptions::online_only()
    };
    client.send_message(&message, options).await.unwrap_err();
    assert_eq!(message.status(), Status::Fail);
    let kept = message.to_bytes();
    drop((message, client));
    let client = start(&world, "bot").await;
    let back = client.restore_message(&kept).unwrap();
    assert_eq!(back.status(), Status::Fail);
    assert_eq!(back.to_bytes(), kept, "nothing is lost on the way");
    client.resend_message(&back).await.unwrap();
    assert_eq!((back.is_resend(), back.sequence()), (true, 0), "online only");

    let received = world::in_time(async {
        loop {
            match at_sink.next().await.unwrap() {
                tim_client::Event::MessageReceived(messages) => return messages[0].clone(),
                _ => continue,
            }
        }
    });
    let received = received.await;
    let bytes = received.to_bytes();
    assert!(sink.restore_message(&bytes).unwrap().is_same(&received));
    drop(received);
    let back = sink.restore_message(&bytes).unwrap();
    assert_eq!((back.text(), back.conversation_id()), (Some("x"), c2c("bot")));
    let error = sink
        .send_message(&back, SendOptions::default())
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::MESSAGE_SEND_NEED_MESSAGE_INSTANCE);
    world.end().await;
}

#[tokio::test]
async fn bytes_of_another_account_or_damaged_ones_are_refused() {
    let (world, other) = (World::new(), World::new());
    let client = start(&world, "bot").await;
    let message = client.create_text_message(c2c("sink"), "mine").unwrap();
    let kept = message.to_bytes();
    let bob = start(&world, "bob").await;
    let error = bob.restore_message(&kept).unwrap_err();
    assert_eq!(error.code, ErrorCode::MESSAGE_SEND_NEED_MESSAGE_INSTANCE);
    assert!(error.text.contains("kept by bot"), "{error}");
    // The same name in another world has another account number.
    start(&other, "somebody").await;
    let namesake = start(&other, "bot").await;
    let error = namesake.restore_message(&kept).unwrap_err();
    assert_eq!(error.code, ErrorCode::MESSAGE_SEND_NEED_MESSAGE_INSTANCE);

    for len in 0..kept.len() {
        let error = client.restore_message(&kept[..len]).unwrap_err();
        assert_eq!(error.code, ErrorCode::INVALID_OPERATION, "{len}");
    }
    for at in 0..kept.len() {
        for bit in 0..8 {
            let mut damaged = kept.clone();
            damaged[at] ^= 1 << bit;
            let error = client.restore_message(&damaged).unwrap_err();
            assert_eq!(error.code, ErrorCode::INVALID_OPERATION, "{at}.{bit}");
        }
    }
    let longer = [&kept[..], b"x"].concat();
    client.restore_message(&longer).unwrap_err();
    assert!(client.restore_message(&kept).unwrap().is_same(&message));
    world.end().await;
    other.end().await;
}

#[tokio::test]
async fn two_restored_messages_under_one_id_are_both_stored() {
    let world = World::new();
    let client = start(&world, "bot").await;
    let first = client.create_text_message(c2c("sink"), "first").unwrap();
    let bytes = first.to_bytes();
    client.send_message(&first, SendOptions::default()).await.unwrap();
    drop(first);
    // The same id with other content: as two devices draw it by chance.
    let first = client.restore_message(&bytes).unwrap();
    let other = client.create_text_message(c2c("fire"), "FIRE").unwrap();
    let mut twin = other.view();
    twin.id = first.id();
    let other = client.restore_message(&replaced(&other, &twin)).unwrap();
    assert_eq!(other.id(), first.id());
    client.send_message(&other, SendOptions::default()).await.unwrap();
    assert_ne!(other.id(), first.id());
    assert_eq!(history(&client, "fire").await[0].text(), Some("FIRE"));
    assert_eq!(history(&client, "sink").await.len(), 1);
    world.end().await;
}

/// The bytes of a message with another view in them.
fn replaced(message: &Message, view: &tim_client::proto::Message<'_>) -> Vec<u8> {
    use tim_client::proto::wire::crc32;
    let bytes = message.to_bytes();
    let old = message.view().to_encoded().into_inner();
    let head = bytes.len() - old.len() - 4;
    assert_eq!(bytes[head..head + old.len()], old);
    let mut bytes = [&bytes[..head], view.to_encoded().as_bytes()].concat();
    bytes.extend(crc32(&[&bytes]).to_le_bytes());
    bytes
}
