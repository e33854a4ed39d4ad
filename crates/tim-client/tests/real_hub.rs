//! Clients against the real hub, over connections in memory.

#[path = "support/world.rs"]
mod world;

use std::time::{SystemTime, UNIX_EPOCH};

use tim_client::{
    Client, ClientBuilder, ConversationId, CreateGroup, ErrorCode, Event, EventStream, Flow, GroupType,
    Message, SendOptions, UserId,
};
use tim_hub::usersig::UserSig;
use tim_testkit::c2c;
use world::{APP, World, in_time};

async fn say(client: &Client, to: impl Into<ConversationId>, text: &str) -> Message {
    let message = client.create_text_message(to, text).unwrap();
    client
        .send_message(&message, SendOptions::default())
        .await
        .unwrap()
        .message
}

/// The next messages, `count` of them.
async fn received(events: &mut EventStream, count: usize) -> Vec<Message> {
    let mut all = Vec::new();
    while all.len() < count {
        match in_time(events.next()).await.unwrap() {
            Event::MessageReceived(messages) => all.extend(messages),
            _ => continue,
        }
    }
    all
}

fn texts(messages: &[Message]) -> Vec<&str> {
    messages
        .iter()
        .map(|message| message.text().unwrap_or("-"))
        .collect()
}

#[tokio::test]
async fn nobody_logs_in_as_the_system_and_the_login_fails_at_once() {
    let world = World::new();
    let client = world
        .builder(UserId::SYSTEM.as_str())
        .build(world.connector.clone());
    let refused = in_time(client.login()).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::SDK_COMM_INVALID_IDENTIFIER);
    assert_eq!(client.stats().await.unwrap().reconnects, 0);
    world.end().await;
}

#[tokio::test]
async fn two_users_and_a_second_device_talk_read_and_revoke() {
    let world = World::new();
    let (alice, mut on_alice) = world.log_in("alice", |b| b).await;
    let (tablet, mut on_tablet) = world.log_in("alice", |b| b).await;
    let (bob, mut on_bob) = world.log_in("bob", |b| b).await;

    let hello = say(&alice, c2c("bob"), "hello").await;
    let at_bob = received(&mut on_bob, 1).await.remove(0);
    assert_eq!(
        (at_bob.text(), at_bob.id(), at_bob.flow()),
        (Some("hello"), hello.id(), Flow::In)
    );
    let at_tablet = received(&mut on_tablet, 1).await.remove(0);
    assert_eq!(
        (at_tablet.flow(), at_tablet.conversation_id()),
        (Flow::Out, c2c("bob"))
    );
    say(&bob, c2c("alice"), "hi").await;
    assert_eq!(
        texts(&received(&mut on_alice, 1).await),
        ["hi"],
        "and not her own"
    );
    received(&mut on_tablet, 1).await;

    let list = tablet.get_conversation_list().await.unwrap().conversation_list;
    assert_eq!((list.len(), list[0].id, list[0].unread_count), (1, c2c("bob"), 1));
    alice.set_message_read(c2c("bob")).await.unwrap();
    loop {
        if let Event::ConversationListUpdated(list) = on_tablet.next().await.unwrap()
            && list[0].unread_count == 0
        {
            break;
        }
    }

    // Bob still holds the message; the tablet has let go of it and finds it in the history.
    drop(at_tablet);
    alice.revoke_message(&hello).await.unwrap();
    assert!(hello.is_revoked());
    for events in [&mut on_bob, &mut on_tablet] {
        loop {
            if let Event::MessageRevoked(messages) = events.next().await.unwrap() {
                assert_eq!(
                    (messages.len(), messages[0].id(), messages[0].is_revoked()),
                    (1, hello.id(), true)
                );
                break;
            }
        }
    }
    assert!(at_bob.is_revoked());
    let page = bob.get_message_list(c2c("alice"), None, None).await.unwrap();
    assert!(page.message_list[0].is_same(&at_bob) && page.is_completed);
    let profile = bob
        .get_conversation_profile(c2c("alice"))
        .await
        .unwrap()
        .conversation;
    assert_eq!(profile.user.unwrap().id.as_str(), "alice");
    bob.delete_conversation(c2c("alice")).await.unwrap();
    assert!(
        bob.get_conversation_list()
            .await
            .unwrap()
            .conversation_list
            .is_empty()
    );
    world.end().await;
}

#[tokio::test]
async fn a_group_is_written_to_and_its_history_walked() {
    let world = World::new();
    let (alice, _on_alice) = world.log_in("alice", |b| b).await;
    let (bob, mut on_bob) = world.log_in("bob", |b| b).await;
    let (eve, _on_eve) = world.log_in("eve", |b| b).await;
    let wanted = CreateGroup {
        members: vec![bob.user()],
        ..CreateGroup::new(GroupType::PUBLIC, "Friends")
    };
    let group = alice.create_group(wanted).await.unwrap().group_id;
    for number in 0..40 {
        say(&alice, group, &number.to_string()).await;
    }
    let mut seen = Vec::new();
    while seen.len() < 40 {
        seen.extend(
            received(&mut on_bob, 1)
                .await
                .into_iter()
                .filter(|message| message.text().is_some()),
        );
    }
    let expected: Vec<_> = (0..40).map(|number| number.to_string()).collect();
    assert_eq!(texts(&seen), expected);
    assert_eq!(
        bob.get_conversation_list().await.unwrap().conversation_list[0].title(),
        "Friends"
    );

    let mut walked = Vec::new();
    let mut page = bob.get_message_list(group, None, None).await.unwrap();
    loop {
        walked.splice(
            0..0,
            page.message_list
                .iter()
                .filter(|message| message.text().is_some())
                .cloned(),
        );
        if page.is_completed {
            break;
        }
        page = bob
            .get_message_list(group, Some(&page.next_req_message_id), 7)
            .await
            .unwrap();
    }
    assert_eq!(texts(&walked), expected);
    assert!(walked.iter().zip(&seen).all(|(a, b)| a.is_same(b)));
    assert!(eve.get_message_list(group, None, None).await.is_err());
    let message = eve.create_text_message(group, "let me in").unwrap();
    assert!(eve.send_message(&message, SendOptions::default()).await.is_err());
    world.end().await;
}

#[tokio::test]
async fn a_tiny_device_gets_long_messages_whole() {
    let world = World::new();
    let (alice, _on_alice) = world.log_in("alice", |b| b).await;
    let tiny = |b: ClientBuilder| {
        b.session(|session| {
            session.max_frame = 512;
            session.window = 2;
        })
    };
    let (bob, mut on_bob) = world.log_in("bob", tiny).await;
    let long = "0123456789".repeat(1000);
    say(&alice, c2c("bob"), "before").await;
    say(&alice, c2c("bob"), &long).await;
    say(&alice, c2c("bob"), "after").await;
    let messages = received(&mut on_bob, 3).await;
    assert_eq!(texts(&messages), ["before", long.as_str(), "after"]);
    drop(messages);
    let mut page = bob.get_message_list(c2c("alice"), None, None).await.unwrap();
    let mut walked = page.message_list;
    while !page.is_completed {
        page = bob
            .get_message_list(c2c("alice"), Some(&page.next_req_message_id), None)
            .await
            .unwrap();
        walked.splice(0..0, page.message_list.iter().cloned());
    }
    assert_eq!(texts(&walked), ["before", long.as_str(), "after"]);
    world.end().await;
}

#[tokio::test]
async fn what_came_while_away_comes_once() {
    let world = World::new();
    let (alice, _on_alice) = world.log_in("alice", |b| b).await;
    let (bob, mut on_bob) = world.log_in("bob", |b| b.device(5)).await;
    say(&alice, c2c("bob"), "one").await;
    received(&mut on_bob, 1).await;
    let unfinished = bob.cursor();
    bob.logout().await.unwrap();
    while on_bob
        .next()
        .await
        .is_some_and(|event| !matches!(event, Event::SdkNotReady(_)))
    {}
    let cursor = bob.cursor();
    assert_ne!(cursor, unfinished);
    drop((bob, on_bob));
    for number in 0..600 {
        say(&alice, c2c("bob"), &number.to_string()).await;
    }
    for (from, first) in [(&cursor, "0"), (&unfinished, "one")] {
        let resumed = UserId::new("bob").unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let sig = UserSig::sign(&world.app, &resumed, now, 3600);
        let bob = Client::builder(APP, resumed, sig)
            .device(5)
            .resume_from(from)
            .event_capacity(50);
        let bob = bob.build(world.connector.clone());
        let mut events = bob.events();
        let missed = 600 + usize::from(first == "one");
        let (login, messages) = tokio::join!(bob.login(), received(&mut events, missed));
        login.unwrap();
        assert_eq!(texts(&messages).first(), Some(&first));
        assert_eq!(texts(&messages).last(), Some(&"599"));
        bob.wait_until_ready().await.unwrap();
        assert_eq!(messages.len(), missed);
        let list = bob.get_conversation_list().await.unwrap().conversation_list;
        assert_eq!(list[0].unread_count, 601);
    }
    let read = alice.set_message_read(c2c("nobody")).await.unwrap();
    assert_eq!((read.read_sequence, read.unread_count), (0, 0));
    world.end().await;
}

/// The total that is told next.
async fn total(events: &mut EventStream, wanted: u64) {
    loop {
        if let Event::TotalUnreadMessageCountUpdated(total) = in_time(events.next()).await.unwrap()
            && total == wanted
        {
            return;
        }
    }
}

#[tokio::test]
async fn the_total_covers_what_the_list_leaves_out() {
    let world = World::new();
    let (bob, mut on_bob) = world.log_in("bob", |b| b).await;
    let (tablet, _on_tablet) = world.log_in("bob", |b| b).await;
    let names = ["a", "b", "c", "d"];
    for name in names {
        let (other, _events) = world.log_in(name, |b| b).await;
        say(&other, c2c("bob"), "hi").await;
    }
    let listed = bob.get_latest_conversations(2).await.unwrap();
    assert_eq!((listed.conversation_list.len(), listed.is_truncated), (2, true));
    assert_eq!(bob.get_total_unread_message_count(), 4);
    // Also those that are not on the list, and those that another device reads.
    tablet.set_message_read(c2c("a")).await.unwrap();
    total(&mut on_bob, 3).await;
    for name in names {
        bob.set_message_read(c2c(name)).await.unwrap();
    }
    total(&mut on_bob, 0).await;
    let listed = bob.get_conversation_list().await.unwrap();
    assert_eq!((listed.conversation_list.len(), listed.is_truncated), (4, false));
    assert!(listed.conversation_list.iter().all(|one| one.unread_count == 0));
    world.end().await;
}

#[tokio::test]
async fn a_receive_option_that_another_device_chooses_changes_the_total() {
    let world = World::new();
    let (alice, _on_alice) = world.log_in("alice", |b| b).await;
    let (bob, mut on_bob) = world.log_in("bob", |b| b).await;
    let (tablet, _on_tablet) = world.log_in("bob", |b| b).await;
    let wanted = CreateGroup {
        members: vec![bob.user()],
        ..CreateGroup::new(GroupType::PUBLIC, "Friends")
    };
    let group = alice.create_group(wanted).await.unwrap().group_id;
    say(&alice, group, "hi").await;
    let quiet = tim_client::proto::ReceiveOption::ACCEPT_NOT_NOTIFY;
    tablet.set_message_remind_type(group, quiet).await.unwrap();
    loop {
        if let Event::ConversationListUpdated(list) = in_time(on_bob.next()).await.unwrap()
            && list.iter().any(|one| one.message_remind_type == quiet)
        {
            break;
        }
    }
    assert_eq!(bob.get_total_unread_message_count(), 0);
    world.end().await;
}
