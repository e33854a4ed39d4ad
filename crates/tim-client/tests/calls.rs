//! Every call, once as it should go and once refused, against a scripted hub.

mod support;

use std::time::Duration;

use support::*;
use tim_client::proto::conversation as wire;
use tim_client::proto::message::{Custom, Face, MessageFlags, tags, to_vec};
use tim_client::proto::request::{
    ConversationsResponse, CreateGroupResponse, DeleteConversation, Failure, Fetch, FetchResponse,
    GetConversationProfile, History, HistoryResponse, MarkRead, MarkReadResponse, Renew, Revoke,
    RevokeResponse, Send, SendResponse,
};
use tim_client::proto::wire::{Extension, Extensions, FrameKind, List};
use tim_client::{
    ConversationId, CreateGroup, ErrorCode, Event, Flow, GroupId, GroupType, OfflinePush, Payload, Priority,
    SendOptions, Status,
};

const STORED: SendResponse<'static> = SendResponse::new(12, 1_705_307_415);
/// The response to a message that is not stored.
const PASSED_ON: SendResponse<'static> = SendResponse::new(0, 1_705_307_415);

#[tokio::test(start_paused = true)]
async fn a_login_is_accepted_and_a_second_one_repeats_it() {
    let (client, mut listener) = alice(|builder| builder);
    assert_eq!(
        client.wait_until_ready().await.unwrap_err().code,
        ErrorCode::USER_NOT_LOGGED_IN
    );
    let mut events = client.events();
    let hub = async {
        let mut hub = accept(&mut listener).await;
        hub.login().await;
        hub.welcome();
        hub.flush().await;
        hub
    };
    let (login, mut hub) = tokio::join!(client.login(), hub);
    let login = login.unwrap();
    assert_eq!(
        (login.account, login.nick.as_str(), login.repeat_login),
        (ACCOUNT, "Alice", false)
    );
    assert!(!client.is_ready(), "logged in is not ready (S84)");
    assert!(client.login().await.unwrap().repeat_login);
    hub.synced().await;
    event(&mut events, |event| {
        matches!(event, Event::SdkReady).then_some(())
    })
    .await;
    assert!(client.is_ready());
    client.wait_until_ready().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_says_why() {
    let (client, mut listener) = alice(|builder| builder);
    let hub = async {
        let mut hub = accept(&mut listener).await;
        hub.login().await;
        hub.session
            .refuse(&Failure::new(ErrorCode::ACCOUNT_USERSIG_EXPIRED, "yesterday"));
        hub.flush().await;
        hub
    };
    let (login, _hub) = tokio::join!(client.login(), hub);
    let error = login.unwrap_err();
    assert_eq!(
        (error.code, error.text.as_str()),
        (ErrorCode::ACCOUNT_USERSIG_EXPIRED, "yesterday")
    );
    assert_eq!(
        client.wait_until_ready().await.unwrap_err().code,
        ErrorCode::LOGIN_FAILED
    );
}

#[tokio::test(start_paused = true)]
async fn a_login_without_a_hub_times_out_and_tells_the_reason() {
    let (client, listener) = alice(|builder| builder);
    drop(listener);
    let (first, second) = tokio::join!(client.login(), client.login());
    let error = first.unwrap_err();
    assert_eq!(error.code, ErrorCode::NETWORK_TIMEOUT);
    assert!(error.text.contains("connection refused"), "{error}");
    assert_eq!(second.unwrap_err().code, ErrorCode::REPEAT_LOGIN);
    // And again: the client is not used up.
    assert_eq!(client.login().await.unwrap_err().code, ErrorCode::NETWORK_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_user_sig_that_the_hub_refused_is_not_presented_at_the_next_login() {
    let (client, _events, mut hub, mut listener) = alice_online().await;
    let refuse = async {
        let asked = asked_beside_lists(&mut hub).await;
        assert_eq!(asked.request::<Renew<'_>>(), Renew::new("bad"));
        hub.fail(&asked, ErrorCode::ACCOUNT_USERSIG_MISMATCH_ID, "").await;
    };
    let (renewed, ()) = tokio::join!(client.set_user_sig("bad"), refuse);
    assert_eq!(renewed.unwrap_err().code, ErrorCode::ACCOUNT_USERSIG_MISMATCH_ID);
    drop(hub); // the line breaks
    let mut hub = accept(&mut listener).await;
    hub.let_in().await; // it checks the UserSig of the login
    client.wait_until_ready().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_logout_ends_readiness_and_fails_what_waits() {
    let (client, mut events, mut hub, _listener) = alice_online().await;
    let message = client.create_text_message(user("bob"), "hi").unwrap();
    let script = async {
        let _unanswered = hub.next_request().await;
        // A hub answers a LOGOUT behind the requests before it. This one is gone instead.
        let (left, ()) = tokio::join!(client.logout(), async { drop(hub) });
        left.unwrap();
    };
    let (sent, ()) = tokio::join!(client.send_message(&message, SendOptions::default()), script);
    assert_eq!(sent.unwrap_err().code, ErrorCode::LOGGED_OUT);
    assert_eq!(message.status(), Status::Fail);
    event(&mut events, |event| {
        matches!(event, Event::SdkNotReady(_)).then_some(())
    })
    .await;
    assert!(!client.is_ready());
    assert_eq!(
        client.get_conversation_list().await.unwrap_err().code,
        ErrorCode::LOGGED_OUT
    );
    client.logout().await.unwrap();
}

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

/// The next request that is not for the conversation list, which the client asks for when it likes; that is empty.
async fn asked_beside_lists(hub: &mut HubEnd) -> Incoming {
    loop {
        let asked = hub.next_request().await;
        if asked.kind != FrameKind::CONVERSATIONS {
            return asked;
        }
        let list = ConversationsResponse::new(Default::default()).with_completed(true);
        hub.answer(&asked, &list).await;
    }
}

/// Takes the next SEND, refuses its id or stores it, and says which id it was.
async fn take_send(hub: &mut HubEnd, refuse: bool) -> tim_client::MessageId {
    let asked = asked_beside_lists(hub).await;
    let send: Send<'_> = asked.request();
    let id = send.content.id;
    match refuse {
        true => hub.fail(&asked, ErrorCode::MESSAGE_ID_REUSED, "").await,
        false => hub.answer(&asked, &STORED).await,
    }
    id
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_id_is_used_is_sent_under_another_one_by_itself() {
    let (client, mut events, mut hub, _listener) = alice_online().await;
    let message = client.create_text_message(user("bob"), "FIRE").unwrap();
    let first = message.id();
    // The message that has the id comes from another device while this one is under way.
    let mut other = text("alice", c2c("bob"), 9, "all is well");
    other.id = first;
    let script = async {
        hub.deliver(&[1], &other).await;
        let ids = [
            take_send(&mut hub, true).await,
            take_send(&mut hub, true).await,
            take_send(&mut hub, false).await,
        ];
        assert_eq!(ids[0], first);
        assert_eq!(ids[1], first.successor(DEVICE));
        assert_eq!(ids[2], ids[1].successor(DEVICE));
        ids[2]
    };
    let (sent, last) = tokio::join!(client.send_message(&message, SendOptions::default()), script);
    assert!(sent.unwrap().message.is_same(&message));
    assert_eq!((message.id(), message.status()), (last, Status::Success));
    assert_eq!(message.view().id, last);
    let received = received(&mut events).await;
    assert_eq!(
        (received[0].text(), received[0].id()),
        (Some("all is well"), first)
    );
    // What the hub shows under the new id is this instance.
    let mut shown = text("alice", c2c("bob"), 10, "FIRE");
    shown.id = last;
    let page = async {
        let asked = asked_beside_lists(&mut hub).await;
        let messages = [shown];
        let answer = HistoryResponse::new(List::from_slice(&messages)).with_completed(true);
        hub.answer(&asked, &answer).await;
    };
    let (page, ()) = tokio::join!(client.get_message_list(user("bob"), None, None), page);
    assert!(page.unwrap().message_list[0].is_same(&message));
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_refuses_every_id_is_not_asked_for_ever() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let message = client.create_text_message(user("bob"), "x").unwrap();
    let script = async {
        for _ in 0..4 {
            take_send(&mut hub, true).await;
        }
    };
    let (sent, ()) = tokio::join!(client.send_message(&message, SendOptions::default()), script);
    assert_eq!(sent.unwrap_err().code, ErrorCode::MESSAGE_ID_REUSED);
    assert_eq!(message.status(), Status::Fail);
    // Later it may go.
    let (sent, _) = tokio::join!(client.resend_message(&message), take_send(&mut hub, false));
    sent.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_count_of_messages_has_ten_digits_and_ids_differ() {
    let (client, _events, _hub, _listener) = alice_online().await;
    let made: Vec<_> = (0..1000)
        .map(|_| client.create_text_message(user("bob"), "x").unwrap())
        .collect();
    let first = made[0].view().client_sequence;
    for (message, sequence) in made.iter().zip(first..) {
        assert_eq!(message.view().client_sequence, sequence);
        assert_eq!(sequence.to_string().len(), 10);
        assert!(u32::try_from(sequence).is_ok());
    }
    let ids: std::collections::HashSet<_> = made.iter().map(tim_client::Message::id).collect();
    assert_eq!(ids.len(), 1000);
}

/// Refuses as often as it is asked, `times` at most, and then stores; says how often it refused, and at what moments it
/// was asked.
async fn refuse_then_store(hub: &mut HubEnd, failure: Failure<'_>, times: usize) -> Vec<Duration> {
    let start = tokio::time::Instant::now();
    let (mut moments, mut first) = (Vec::new(), None);
    loop {
        let asked = asked_beside_lists(hub).await;
        moments.push(start.elapsed());
        let send: Send<'_> = asked.request();
        assert_eq!(
            *first.get_or_insert(send.content.id),
            send.content.id,
            "one id for all"
        );
        if moments.len() > times {
            hub.answer(&asked, &STORED).await;
            return moments;
        }
        hub.fail_with(&asked, &failure).await;
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_that_pass_are_waited_out_as_long_as_the_hub_says_if_that_is_wanted() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let message = client.create_text_message(user("bob"), "x").unwrap();
    let soon = Failure::new(ErrorCode::RATE_LIMITED, "").with_retry_after_ms(700);
    // Without the wish the refusal is told, and says when.
    let script = async {
        let asked = hub.next_request().await;
        hub.fail_with(&asked, &soon).await;
    };
    let (sent, ()) = tokio::join!(client.send_message(&message, SendOptions::default()), script);
    assert_eq!(sent.unwrap_err().retry_after(), Some(Duration::from_millis(700)));
    // With it, the same instance goes again and again, never before its time.
    let patient = SendOptions::default().retry_for(Duration::from_secs(10));
    let (sent, moments) = tokio::join!(
        client.send_message(&message, patient.clone()),
        refuse_then_store(&mut hub, soon, 3)
    );
    sent.unwrap();
    assert_eq!((message.status(), message.is_resend()), (Status::Success, false));
    assert_eq!(moments.len(), 4);
    for pair in moments.windows(2) {
        let wait = pair[1] - pair[0];
        assert!(wait >= Duration::from_millis(700), "{moments:?}");
        assert!(wait < Duration::from_millis(710), "{moments:?}");
    }
    // Untold, the waits grow.
    let message = client.create_text_message(user("bob"), "y").unwrap();
    let untold = Failure::new(ErrorCode::STORAGE_FAILED, "");
    let (sent, moments) = tokio::join!(
        client.send_message(&message, patient),
        refuse_then_store(&mut hub, untold, 5)
    );
    sent.unwrap();
    assert!(moments[5] - moments[4] > moments[2] - moments[1], "{moments:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_again_is_what_the_sender_wrote_and_not_what_the_hub_added() {
    for revoked in [false, true] {
        let (client, _events, mut hub, _listener) = alice_online().await;
        let message = client.create_text_message(user("bob"), "x").unwrap();
        let kept = message.to_bytes();
        drop(message);
        let message = client.restore_message(&kept).unwrap();
        let patient = SendOptions::default().retry_for(Duration::from_secs(10));
        let script = async {
            let asked = asked_beside_lists(&mut hub).await;
            let first: Send<'_> = asked.request();
            // The hub has the message, for an earlier answer was lost, and shows it before it answers.
            let page = tokio::spawn({
                let client = client.clone();
                async move { client.get_message_list(user("bob"), None, None).await.map(drop) }
            });
            let history = asked_beside_lists(&mut hub).await;
            let more = match revoked {
                false => to_vec(&Extension::new(tags::NICK, b"Alice")),
                true => to_vec(&Extension::new(tags::REVOKER, b"alice")),
            };
            let mut shown = text("alice", c2c("bob"), 12, "x");
            shown.id = first.content.id;
            shown.envelope.origin = DEVICE;
            shown.extensions = Extensions::new(&more).unwrap();
            if revoked {
                shown.envelope.flags |= MessageFlags::REVOKED;
            }
            let shown = [shown];
            let messages = List::from_slice(&shown);
            let answer = HistoryResponse::new(messages).with_completed(true);
            hub.answer(&history, &answer).await;
            page.await.unwrap().unwrap();
            let kept = message.to_bytes();
            hub.fail(&asked, ErrorCode::RATE_LIMITED, "").await;
            let again = asked_beside_lists(&mut hub).await;
            assert_eq!((again.kind, &again.body), (asked.kind, &asked.body));
            let answer = STORED.with_duplicate(true);
            hub.answer(&again, &answer).await;
            kept
        };
        let (sent, kept) = tokio::join!(client.send_message(&message, patient), script);
        sent.unwrap();
        assert_eq!(
            (message.status(), message.is_revoked()),
            (Status::Success, revoked)
        );
        // Kept while it was being sent: what is left of a revoked message is not sent as a new one.
        if revoked {
            let (restarted, _events, _hub, _listener) = alice_online().await;
            let back = restarted.restore_message(&kept).unwrap();
            assert_eq!((back.status(), back.is_revoked()), (Status::Fail, true));
            let error = restarted.resend_message(&back).await.unwrap_err();
            assert_eq!(
                (error.code, back.is_resend()),
                (ErrorCode::INVALID_OPERATION, false)
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_out_refusals_has_an_end_and_is_not_for_those_that_stay() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let patient = SendOptions::default().retry_for(Duration::from_secs(10));
    let message = client.create_text_message(user("bob"), "x").unwrap();
    // A second try after 7 s, and none after 14.
    let script = async {
        for _ in 0..2 {
            let asked = asked_beside_lists(&mut hub).await;
            assert!(!message.is_resend() && message.status() == Status::UnSend);
            let failure = Failure::new(ErrorCode::GROUP_SEND_MSG_FREQ_LIMIT, "").with_retry_after_ms(7_000);
            hub.fail_with(&asked, &failure).await;
        }
    };
    let start = tokio::time::Instant::now();
    let (sent, ()) = tokio::join!(client.send_message(&message, patient.clone()), script);
    assert_eq!(sent.unwrap_err().code, ErrorCode::GROUP_SEND_MSG_FREQ_LIMIT);
    assert_eq!((message.status(), start.elapsed().as_secs()), (Status::Fail, 7));
    // What nobody's waiting cures is told at once.
    let message = client.create_text_message(user("bob"), "y").unwrap();
    let script = async {
        let asked = asked_beside_lists(&mut hub).await;
        hub.fail(&asked, ErrorCode::GROUP_PERMISSION_DENY, "").await;
    };
    let (sent, ()) = tokio::join!(client.send_message(&message, patient.clone()), script);
    assert_eq!(sent.unwrap_err().code, ErrorCode::GROUP_PERMISSION_DENY);
    // Who stops waiting leaves a message that can be sent again.
    let message = client.create_text_message(user("bob"), "z").unwrap();
    let sending = client.send_message(&message, patient);
    let script = async {
        let asked = asked_beside_lists(&mut hub).await;
        hub.fail_with(
            &asked,
            &Failure::new(ErrorCode::RATE_LIMITED, "").with_retry_after_ms(5_000),
        )
        .await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(message.status(), Status::UnSend);
    };
    tokio::select! {
        biased;
        _ = sending => panic!("it waits"),
        () = script => {}
    }
    assert_eq!(message.status(), Status::Fail);
    hub.settle().await;
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

#[tokio::test(start_paused = true)]
async fn a_sent_message_is_revoked_once() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let message = client.create_text_message(user("bob"), "x").unwrap();
    assert_eq!(
        client.revoke_message(&message).await.unwrap_err().code,
        ErrorCode::MESSAGE_NOT_SENT
    );
    let script = async {
        let asked = hub.next_request().await;
        hub.answer(&asked, &STORED).await;
    };
    let (sent, ()) = tokio::join!(client.send_message(&message, SendOptions::default()), script);
    sent.unwrap();
    hub.answer_list(&[listed(c2c("bob"), 12, 0)]).await; // what the new conversation is called
    let passed_on = client.create_text_message(user("bob"), "now").unwrap();
    let script = async {
        let asked = hub.next_request().await;
        hub.answer(&asked, &PASSED_ON).await;
    };
    let options = SendOptions {
        online_user_only: true,
        ..SendOptions::default()
    };
    let (sent, ()) = tokio::join!(client.send_message(&passed_on, options), script);
    sent.unwrap();
    assert_eq!(
        client.revoke_message(&passed_on).await.unwrap_err().code,
        ErrorCode::GROUP_NOT_ALLOW_REVOKE_MSG,
        "it was sent, but is stored nowhere"
    );
    let script = async {
        let asked = hub.next_request().await;
        hub.fail(&asked, ErrorCode::MSG_REVOKE_TIME_LIMIT, "").await;
    };
    let (revoked, ()) = tokio::join!(client.revoke_message(&message), script);
    assert_eq!(
        (revoked.unwrap_err().code, message.is_revoked()),
        (ErrorCode::MSG_REVOKE_TIME_LIMIT, false)
    );
    let script = async {
        let asked = hub.next_request().await;
        let revoke: Revoke<'_> = asked.request();
        assert_eq!(
            (revoke.conversation, revoke.sequence, revoke.message),
            (c2c("bob"), 12, message.id())
        );
        hub.answer(&asked, &RevokeResponse::new(13)).await;
    };
    let (revoked, ()) = tokio::join!(client.revoke_message(&message), script);
    assert!(revoked.unwrap().message.is_revoked() && message.is_revoked());
    assert_eq!(
        (message.revoker(), message.text()),
        (Some(user("alice")), Some("x"))
    );
    assert_eq!(
        client.revoke_message(&message).await.unwrap_err().code,
        ErrorCode::ALREADY_REVOKED
    );
}

#[tokio::test(start_paused = true)]
async fn history_is_paged_to_its_end_and_gives_the_instances_that_are_held() {
    let (client, mut events, mut hub, _listener) = alice_online().await;
    hub.deliver(&[1], &text("bob", c2c("alice"), 2, "two")).await;
    let held = received(&mut events).await.remove(0);

    let script = async {
        let asked = hub.next_request().await;
        let history: History<'_> = asked.request();
        assert_eq!(
            (history.conversation, history.next, history.count),
            (c2c("bob"), &[][..], 15)
        );
        let mut two = text("bob", c2c("alice"), 2, "two");
        two.envelope.flags |= MessageFlags::REVOKED;
        let page = [text("alice", c2c("bob"), 1, "one"), two];
        let messages = List::from_slice(&page);
        hub.answer(&asked, &HistoryResponse::new(messages).with_next(&[0xab, 1]))
            .await;
        let asked = hub.next_request().await;
        let history: History<'_> = asked.request();
        assert_eq!((history.next, history.count), (&[0xab, 1][..], 3));
        let end = HistoryResponse::new(List::default()).with_completed(true);
        hub.answer(&asked, &end).await;
    };
    let walk = async {
        let page = client.get_message_list(user("bob"), None, 99).await.unwrap();
        let shown: Vec<_> = page
            .message_list
            .iter()
            .map(|m| (m.text().unwrap(), m.flow()))
            .collect();
        assert_eq!(shown, [("one", Flow::Out), ("two", Flow::In)]);
        assert!(page.message_list[1].is_same(&held) && held.is_revoked());
        let next = page.next_req_message_id;
        assert_eq!((page.is_completed, next.to_string().as_str()), (false, "ab01"));
        assert_eq!(next.to_string().parse().as_ref(), Ok(&next));
        client
            .get_message_list(user("bob"), Some(&next), 3)
            .await
            .unwrap()
    };
    let (page, ()) = tokio::join!(walk, script);
    assert!(page.is_completed && page.message_list.is_empty());
    // Behind the end there is nothing, and the hub is not even asked (S178).
    let page = client
        .get_message_list(user("bob"), Some(&page.next_req_message_id), None)
        .await
        .unwrap();
    assert!(page.is_completed && page.message_list.is_empty());

    assert_eq!(
        client
            .get_message_list(user("bob"), None, 0)
            .await
            .unwrap_err()
            .code,
        ErrorCode::GROUP_INVALID_PARAMETERS
    );
    let script = async {
        let asked = hub.next_request().await;
        hub.fail(&asked, ErrorCode::GROUP_PERMISSION_DENY, "").await;
    };
    let (page, ()) = tokio::join!(
        client.get_message_list(GroupId::new("g").unwrap(), None, None),
        script
    );
    assert_eq!(page.unwrap_err().code, ErrorCode::GROUP_PERMISSION_DENY);
    for bad in ["", "a", "zz", "END", "AB"] {
        assert!(bad.parse::<tim_client::NextReqMessageId>().is_err(), "{bad}");
    }
}

#[tokio::test(start_paused = true)]
async fn stubs_in_the_history_are_fetched_in_pieces() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let whole = text("bob", c2c("alice"), 4, "a long story");
    let payload = to_vec(&whole.payload);
    let script = async {
        let asked = hub.next_request().await;
        let page = [stub(whole)];
        let messages = List::from_slice(&page);
        hub.answer(&asked, &HistoryResponse::new(messages).with_completed(true))
            .await;
        for piece in payload.chunks(5) {
            let asked = hub.next_request().await;
            let fetch: Fetch = asked.request();
            assert_eq!((fetch.conversation, fetch.sequence), (c2c("bob"), 4));
            assert!(payload[fetch.offset as usize..].starts_with(piece));
            let total = payload.len() as u32;
            hub.answer(&asked, &FetchResponse::new(total, piece)).await;
        }
    };
    let (page, ()) = tokio::join!(client.get_message_list(user("bob"), None, None), script);
    let message = &page.unwrap().message_list[0];
    assert_eq!((message.text(), message.is_stub()), (Some("a long story"), false));
    client.fetch_message(message).await.unwrap(); // nothing to do
}

#[tokio::test(start_paused = true)]
async fn reading_and_deleting_change_the_list() {
    let (client, mut events, mut hub, _listener) = alice_online().await;
    hub.deliver(&[1], &text("bob", c2c("alice"), 1, "hi")).await;
    let list = next_list(&mut events).await;
    assert_eq!((list[0].id, list[0].unread_count), (c2c("bob"), 1));

    let script = async {
        let asked = hub.next_request().await;
        let read: MarkRead = asked.request();
        assert_eq!((read.conversation, read.sequence), (c2c("bob"), 0));
        hub.answer(&asked, &MarkReadResponse::new(1).with_counted(1))
            .await;
    };
    let (read, ()) = tokio::join!(client.set_message_read(user("bob")), script);
    assert_eq!(read.unwrap().unread_count, 0);
    assert_eq!(next_list(&mut events).await[0].unread_count, 0);

    let script = async {
        let asked = hub.next_request().await;
        assert!(asked.request::<DeleteConversation>().conversation == c2c("bob"));
        let deleted = MarkReadResponse::new(1).with_counted(1);
        hub.answer(&asked, &deleted).await;
    };
    let (deleted, ()) = tokio::join!(client.delete_conversation(user("bob")), script);
    assert_eq!(deleted.unwrap().conversation_id, c2c("bob"));
    assert!(next_list(&mut events).await.is_empty());

    let script = async {
        for _ in 0..2 {
            let asked = hub.next_request().await;
            hub.fail(&asked, ErrorCode::CONVERSATION_NOT_FOUND, "").await;
        }
    };
    let (read, deleted, ()) = tokio::join!(
        client.set_message_read(user("eve")),
        client.delete_conversation(user("eve")),
        script
    );
    assert_eq!(read.unwrap_err().code, ErrorCode::CONVERSATION_NOT_FOUND);
    assert_eq!(deleted.unwrap_err().code, ErrorCode::CONVERSATION_NOT_FOUND);
}

async fn next_list(events: &mut tim_client::EventStream) -> Vec<std::sync::Arc<tim_client::Conversation>> {
    event(events, |event| match event {
        Event::ConversationListUpdated(list) => Some(list.clone()),
        _ => None,
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn the_list_and_a_profile_come_from_the_hub() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let last = text("bob", c2c("alice"), 3, "hi").to_encoded();
    let bob = wire::Conversation::new(c2c("bob"))
        .with_unread(2)
        .with_read_sequence(1)
        .with_last_sequence(3)
        .with_name("Bob")
        .with_last_message(last.as_bytes())
        .with_receive_option(tim_client::proto::ReceiveOption::ACCEPT_AND_NOTIFY);
    let entries = [bob];
    let (list, ()) = tokio::join!(client.get_conversation_list(), hub.answer_list(&entries));
    let list = list.unwrap();
    let entry = &list.conversation_list[0];
    assert_eq!(
        (entry.id, entry.unread_count, entry.title()),
        (c2c("bob"), 2, "Bob")
    );
    assert_eq!(entry.last_message.as_ref().unwrap().text(), Some("hi"));
    assert!(!list.is_truncated);

    let script = async {
        let asked = hub.next_request().await;
        assert!(asked.request::<GetConversationProfile>().conversation == c2c("bob"));
        let profile = wire::ConversationProfile::new(bob).with_user(
            wire::UserProfile::new(user("bob"))
                .with_nick("Bobby")
                .with_avatar("b.png"),
        );
        hub.answer(&asked, &profile).await;
    };
    let (profile, ()) = tokio::join!(client.get_conversation_profile(user("bob")), script);
    let profile = profile.unwrap().conversation;
    assert_eq!(
        (profile.user.unwrap().nick.as_str(), profile.group),
        ("Bobby", None)
    );

    let script = async {
        for _ in 0..2 {
            let asked = hub.next_request().await;
            hub.fail(&asked, ErrorCode::CONVERSATION_NOT_FOUND, "").await;
        }
    };
    let (list, profile, ()) = tokio::join!(
        client.get_conversation_list(),
        client.get_conversation_profile(user("eve")),
        script
    );
    assert_eq!(list.unwrap_err().code, ErrorCode::CONVERSATION_NOT_FOUND);
    assert_eq!(profile.unwrap_err().code, ErrorCode::CONVERSATION_NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn a_group_is_made_with_its_members() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let wanted = CreateGroup {
        members: vec![user("bob"), user("carol")],
        introduction: "about".into(),
        ..CreateGroup::new(GroupType::PUBLIC, "Friends")
    };
    let script = async {
        let asked = hub.next_request().await;
        let group: tim_client::proto::request::CreateGroup<'_> = asked.request();
        assert_eq!(
            (group.group, group.name, group.introduction),
            (None, "Friends", "about")
        );
        assert_eq!(
            group.members.iter().collect::<Vec<_>>(),
            [user("bob"), user("carol")]
        );
        let group = GroupId::new("@TGS#1").unwrap();
        hub.answer(&asked, &CreateGroupResponse::new(group)).await;
        let asked = hub.next_request().await;
        hub.fail(&asked, ErrorCode::GROUP_GROUPID_IN_USED, "").await;
    };
    let calls = async {
        (
            client.create_group(wanted.clone()).await,
            client.create_group(wanted.clone()).await,
        )
    };
    let ((made, refused), ()) = tokio::join!(calls, script);
    assert_eq!(made.unwrap().group_id.as_str(), "@TGS#1");
    assert_eq!(refused.unwrap_err().code, ErrorCode::GROUP_GROUPID_IN_USED);
}
