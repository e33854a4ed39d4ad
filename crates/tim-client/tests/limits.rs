//! Every limit of the client's at its border, against the real hub: what can be made can be sent.

#[path = "support/world.rs"]
mod world;

use std::time::Duration;

use tim_client::proto::message::{Custom, File};
use tim_client::transport::memory_listener;
use tim_client::{
    Client, CreateGroup, ErrorCode, GroupType, Limits, MENTION_ALL, Payload, Platform, SendOptions, Status,
    UserId,
};
use tim_testkit::{Border, borders};
use world::World;

#[tokio::test]
async fn what_can_be_made_is_taken_by_the_hub_and_one_more_cannot_be_made() {
    let world = World::new();
    // The longest ids: they are no part of the measure.
    let name = "n".repeat(UserId::MAX_LEN);
    let (client, _events) = world
        .log_in(&name, |builder| builder.platform(Platform::ANDROID))
        .await;
    let peer = UserId::new(&"p".repeat(UserId::MAX_LEN)).unwrap();
    for Border { most, payload, code } in borders() {
        for much in [most - 1, most] {
            let message = client.create_message(peer, payload(much)).unwrap();
            client
                .send_message(&message, SendOptions::default())
                .await
                .unwrap();
        }
        let refused = client.create_message(peer, payload(most + 1)).unwrap_err();
        assert_eq!(refused.code, code, "{refused}");
    }
    let made = client
        .create_group(CreateGroup::new(GroupType::PUBLIC, "g"))
        .await
        .unwrap();
    // The mention of everybody takes four bytes: tag, length, no users, and the word.
    let most = Limits::new().message_bytes() as usize - 2 - 4;
    for (len, fits) in [(most - 1, true), (most, true), (most + 1, false)] {
        match client.create_text_at_message(made.group_id, &"x".repeat(len), &[MENTION_ALL]) {
            Ok(message) if fits => {
                client
                    .send_message(&message, SendOptions::default())
                    .await
                    .unwrap();
            }
            Err(error) if !fits => assert_eq!(error.code, ErrorCode::COMM_BODY_SIZE_LIMIT),
            other => panic!("{len}: {other:?}"),
        }
    }
    world.end().await;
}

#[tokio::test]
async fn what_has_no_content_can_be_made_but_not_sent() {
    let world = World::new();
    let (client, _events) = world.log_in("alice", |builder| builder).await;
    let bob = UserId::new("bob").unwrap();
    let empty = [Payload::Custom(Custom::default()), Payload::File(File::default())];
    for payload in empty {
        let message = client.create_message(bob, payload).unwrap();
        let refused = client
            .send_message(&message, SendOptions::default())
            .await
            .unwrap_err();
        assert_eq!(refused.code, ErrorCode::MESSAGE_FILE_URL_IS_EMPTY);
        assert_eq!(message.status(), Status::Fail);
    }
    assert!(
        client
            .get_message_list(bob, None, None)
            .await
            .unwrap()
            .message_list
            .is_empty()
    );
    world.end().await;
}

#[tokio::test]
async fn a_page_has_as_many_messages_as_the_limit_and_not_one_more() {
    let world = World::new();
    let (client, _events) = world.log_in("alice", |builder| builder).await;
    let bob = UserId::new("bob").unwrap();
    for n in 0..17 {
        let message = client.create_text_message(bob, &n.to_string()).unwrap();
        client
            .send_message(&message, SendOptions::default())
            .await
            .unwrap();
    }
    for (asked, given) in [(None, 15), (Some(14), 14), (Some(15), 15), (Some(16), 15)] {
        let page = client.get_message_list(bob, None, asked).await.unwrap();
        assert_eq!(page.message_list.len(), given, "{asked:?}");
    }
    let none = client.get_message_list(bob, None, 0).await.unwrap_err();
    assert_eq!(none.code, ErrorCode::GROUP_INVALID_PARAMETERS);
    // A place in this list is none in another.
    let next = client
        .get_message_list(bob, None, 3)
        .await
        .unwrap()
        .next_req_message_id;
    let carol = UserId::new("carol").unwrap();
    let refused = client
        .get_message_list(carol, Some(&next), None)
        .await
        .unwrap_err();
    assert_eq!(refused.code, ErrorCode::CURSOR_INVALID);
    world.end().await;
}

#[tokio::test]
async fn more_users_than_one_request_takes_are_looked_up_in_several() {
    let world = World::new();
    let limits = Limits::new().with_user_profiles(3);
    let (client, _events) = world.log_in("alice", |builder| builder.limits(limits)).await;
    let names = ["b", "c", "d", "e"].map(|name| UserId::new(name).unwrap());
    for name in names {
        let message = client.create_text_message(name, "hello").unwrap();
        client
            .send_message(&message, SendOptions::default())
            .await
            .unwrap();
    }
    for count in [2, 3, 4] {
        let found = client.get_user_profile(&names[..count]).await.unwrap();
        assert_eq!(found.profiles.len(), count);
    }
    world.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_login_waits_for_as_long_as_the_limit_says() {
    let limits = Limits::new().with_login_timeout_millis(5_000);
    let (connector, _nobody_accepts) = memory_listener();
    let client = Client::builder(1, UserId::new("alice").unwrap(), "sig")
        .limits(limits)
        .build(connector);
    let start = tokio::time::Instant::now();
    let refused = client.login().await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::NETWORK_TIMEOUT);
    let waited = start.elapsed();
    assert!(
        waited >= Duration::from_millis(5_000) && waited < Duration::from_millis(5_100),
        "{waited:?}"
    );
}
