//! Making and sending messages.

use std::time::Duration;

use super::support::*;
use super::*;
use tim_client::proto::message::{Custom, Face};
use tim_client::proto::request::Send;
use tim_client::{
    ConversationId, ErrorCode, Flow, GroupId, OfflinePush, Payload, Priority, SendOptions, Status,
};

#[tokio::test(start_paused = true)]
async fn a_message_can_be_shown_before_it_is_sent_and_sending_updates_the_same_instance() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let message = client.create_text_message(user("bob"), "你好[呲牙]").unwrap();
    assert_eq!(
        (message.text(), message.status(), message.flow()),
        (Some("你好[呲牙]"), Status::UnSend, Flow::Out)
    );
    assert_eq!(
        (message.conversation_id(), message.sender()),
        (c2c("bob"), user("alice"))
    );
    assert_eq!(
        (message.id().sender, message.priority(), message.sequence()),
        (ACCOUNT, Priority::NORMAL, 0)
    );
    assert!(message.time() > 1_700_000_000);
    hub.settle().await; // nothing was sent (S11)

    let shown = message.clone();
    let options = SendOptions {
        online_user_only: false,
        offline_push: Some(OfflinePush {
            disable_push: true,
            title: Some("title".into()),
            description: Some("description".into()),
            extension: Some("extension".into()),
            ignore_ios_badge: true,
            android_oppo_channel_id: Some("channel".into()),
        }),
        ..SendOptions::default()
    };
    let script = async {
        let asked = hub.next_request().await;
        let send: Send<'_> = asked.request();
        assert_eq!(
            (send.content.id, send.options.0),
            (message.id(), options.as_borrowed())
        );
        hub.answer(&asked, &STORED).await;
    };
    let (sent, ()) = tokio::join!(client.send_message(&message, options.clone()), script);
    assert!(sent.unwrap().message.is_same(&message));
    assert_eq!(
        (shown.status(), shown.sequence(), shown.time()),
        (Status::Success, 12, 1_705_307_415)
    );
    let again = client
        .send_message(&message, SendOptions::default())
        .await
        .unwrap_err();
    assert_eq!(
        (again.code, message.status()),
        (ErrorCode::INVALID_OPERATION, Status::Success)
    );
}

#[tokio::test(start_paused = true)]
async fn custom_and_face_messages_carry_their_fields_and_their_priority() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let group = GroupId::new("g1").unwrap();
    let dice = Custom::new().with_data("dice").with_description("6");
    let dice = client
        .create_custom_message(group, dice)
        .unwrap()
        .with_priority(Priority::HIGH)
        .unwrap();
    let face = client.create_face_message(group, u32::MAX, "tt00").unwrap();
    assert_eq!(
        face.payload(),
        Payload::Face(Face::new(u32::MAX).with_data("tt00"))
    );
    let script = async {
        let asked = hub.next_request().await;
        let send: Send<'_> = asked.request();
        assert_eq!(
            (send.content.priority, send.content.to),
            (Priority::HIGH, ConversationId::Group(group))
        );
        hub.answer(&asked, &STORED).await;
    };
    let (sent, ()) = tokio::join!(client.send_message(&dice, SendOptions::default()), script);
    sent.unwrap();
    assert_eq!(
        dice.with_priority(Priority::LOW).unwrap_err().code,
        ErrorCode::INVALID_OPERATION
    );
    assert_eq!(
        face.with_priority(Priority(9)).unwrap_err().code,
        ErrorCode::UNKNOWN_PRIORITY
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_cannot_be_created() {
    let (client, _listener) = alice(|builder| builder);
    assert_eq!(
        client.create_text_message(user("bob"), "x").unwrap_err().code,
        ErrorCode::USER_NOT_LOGGED_IN
    );
    let (client, _events, _hub, _listener) = alice_online().await;
    let to_system = client
        .create_face_message(ConversationId::System, 1, "")
        .unwrap_err();
    assert_eq!(to_system.code, ErrorCode::MESSAGE_SEND_INVALID_CONVERSATION_TYPE);
    let long = client.create_custom_message(user("bob"), Custom::new().with_data(&"x".repeat(12 * 1024)));
    assert_eq!(long.unwrap_err().code, ErrorCode::COMM_BODY_SIZE_LIMIT);
    client
        .create_text_message(user("bob"), &"x".repeat(12 * 1024 - 2))
        .unwrap();
    let tip = client.create_message(
        user("bob"),
        Payload::Unknown(tim_client::MessageKind::GROUP_TIP, &[]),
    );
    assert_eq!(tip.unwrap_err().code, ErrorCode::UNSUPPORTED_PLATFORM);
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_as_long_as_the_limit_says() {
    let limits = tim_client::Limits::new().with_request_timeout_millis(4_000);
    let (client, _events, mut hub, _listener) = alice_online_with(|builder| builder.limits(limits)).await;
    let start = tokio::time::Instant::now();
    let script = async {
        let _unanswered = hub.next_request().await;
        std::future::pending::<()>().await;
    };
    let failed = tokio::select! {
        answer = client.get_conversation_list() => answer.unwrap_err(),
        () = script => unreachable!("the script never ends"),
    };
    assert_eq!(failed.code, ErrorCode::NETWORK_TIMEOUT);
    let waited = start.elapsed();
    assert!(
        waited >= Duration::from_millis(4_000) && waited < Duration::from_millis(4_100),
        "{waited:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_failed_message_is_resent_with_its_id_and_its_options() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let message = client.create_text_message(user("bob"), "x").unwrap();
    assert_eq!(
        client.resend_message(&message).await.unwrap_err().code,
        ErrorCode::MESSAGE_NOT_FAILED
    );
    let script = async {
        let asked = hub.next_request().await;
        hub.fail(&asked, ErrorCode::STORAGE_FAILED, "disk").await;
    };
    let (sent, ()) = tokio::join!(client.send_message(&message, SendOptions::online_only()), script);
    let error = sent.unwrap_err();
    assert_eq!(
        (error.code, error.text.as_str()),
        (ErrorCode::STORAGE_FAILED, "disk")
    );
    assert_eq!((message.status(), message.is_resend()), (Status::Fail, false));
    let script = async {
        let asked = hub.next_request().await;
        let send: Send<'_> = asked.request();
        assert_eq!(send.content.id, message.id());
        assert!(send.options.0.online_user_only);
        hub.answer(&asked, &PASSED_ON).await;
    };
    let (sent, ()) = tokio::join!(client.resend_message(&message), script);
    assert!(sent.unwrap().message.is_same(&message));
    assert_eq!((message.status(), message.is_resend()), (Status::Success, true));
}

#[tokio::test(start_paused = true)]
async fn sending_fails_at_once_unless_ready_and_in_time_unless_answered() {
    let (client, mut listener) = alice(|builder| builder);
    let hub = async {
        let mut hub = accept(&mut listener).await;
        hub.login().await;
        hub.welcome();
        hub.flush().await;
        hub
    };
    let (login, mut hub) = tokio::join!(client.login(), hub);
    login.unwrap();
    let message = client.create_text_message(user("bob"), "x").unwrap();
    let early = client
        .send_message(&message, SendOptions::default())
        .await
        .unwrap_err();
    assert_eq!(
        (early.code, message.status()),
        (ErrorCode::SDK_IS_NOT_READY, Status::Fail)
    );
    hub.settle().await; // no frame left (S83)
    hub.synced().await;
    client.wait_until_ready().await.unwrap();
    let start = tokio::time::Instant::now();
    let late = client.resend_message(&message).await.unwrap_err();
    assert_eq!(
        (late.code, message.status()),
        (ErrorCode::NETWORK_TIMEOUT, Status::Fail)
    );
    assert_eq!(start.elapsed().as_secs(), 15);
}

#[tokio::test(start_paused = true)]
async fn only_instances_of_this_client_are_sent() {
    let (client, mut events, mut hub, _listener) = alice_online().await;
    hub.deliver(&[1], &text("bob", c2c("alice"), 1, "hi")).await;
    let received = received(&mut events).await;
    let error = client
        .send_message(&received[0], SendOptions::default())
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::MESSAGE_SEND_NEED_MESSAGE_INSTANCE);
    assert_eq!(
        client.resend_message(&received[0]).await.unwrap_err().code,
        error.code
    );
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_is_seen_through() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let message = client.create_text_message(user("bob"), "x").unwrap();
    let dropped = tokio::time::timeout(
        Duration::from_millis(5),
        client.send_message(&message, SendOptions::default()),
    );
    assert!(dropped.await.is_err());
    let asked = hub.next_request().await;
    hub.answer(&asked, &STORED).await;
    hub.answer_list(&[listed(c2c("bob"), 12, 0)]).await; // what the new conversation is called
    client.login().await.unwrap(); // the task has got round to it
    hub.settle().await;
    assert_eq!((message.status(), message.sequence()), (Status::Success, 12));
}

#[tokio::test(start_paused = true)]
async fn a_malformed_answer_fails_the_call() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let message = client.create_text_message(user("bob"), "x").unwrap();
    let hub = async {
        let asked = hub.next_request().await;
        hub.answer_with_bytes(&asked, b"\x01\x02\x03").await;
    };
    let (sent, ()) = tokio::join!(client.send_message(&message, SendOptions::default()), hub);
    assert_eq!(sent.unwrap_err().code, ErrorCode::PROTOCOL_VIOLATION);
    assert_eq!(message.status(), Status::Fail);
}
