//! Streams and handlers, cuts, kicks and the end of a client.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::support::*;
use super::*;
use tim_client::proto::request::{Failure, Gap, Resume, Send, SendResponse, Synced};
use tim_client::proto::wire::FrameKind;
use tim_client::transport::session::HubEvent;
use tim_client::{ErrorCode, Event, EventKind, NetState, NotReadyReason, SendOptions};

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_not_read_stops_the_hub_and_nothing_else() {
    let (client, mut listener) =
        alice(|builder| builder.event_capacity(10).session(|session| session.window = 8));
    let (login, mut hub) = tokio::join!(client.login(), async {
        let mut hub = accept(&mut listener).await;
        hub.let_in().await;
        hub
    });
    login.unwrap();
    hub.answer_list(&[]).await;
    let mut events = client.events();
    let mut sent = 0_u64;
    for _ in 0..20 {
        while hub.session.window_capacity() > 0 {
            sent += 1;
            hub.deliver(
                &sent.to_le_bytes(),
                &text("bob", c2c("alice"), sent, &sent.to_string()),
            )
            .await;
        }
        hub.settle().await;
    }
    assert!(
        (18..=26).contains(&sent),
        "{sent} delivered: the capacity, and a window or two"
    );
    assert_eq!(client.cursor(), [0], "nothing was read");

    // Calls are answered all the same.
    let message = client.create_text_message(user("bob"), "reply").unwrap();
    let script = async {
        let asked = hub.next_request().await;
        hub.answer(&asked, &SendResponse::new(1000, 9)).await;
    };
    let (answered, ()) = tokio::join!(client.send_message(&message, SendOptions::default()), script);
    answered.unwrap();

    // Reading lets the hub go on, and each message comes once and in order.
    let mut seen = Vec::new();
    while seen.len() < 100 {
        for event in take_all(&mut events) {
            if let Event::MessageReceived(messages) = event {
                seen.extend(messages.iter().map(|message| message.sequence()));
            }
        }
        hub.settle().await;
        while hub.session.window_capacity() > 0 && sent < 100 {
            sent += 1;
            hub.deliver(&sent.to_le_bytes(), &text("bob", c2c("alice"), sent, "x"))
                .await;
        }
    }
    assert!(seen.into_iter().eq(1..=100));
    assert_eq!(client.cursor(), 100_u64.to_le_bytes());
}

#[tokio::test(start_paused = true)]
async fn a_slow_stream_keeps_only_the_newest_of_each_state() {
    let (client, mut events, mut hub, _listener) = alice_online().await;
    for sequence in 1..=20 {
        hub.deliver(&[sequence], &text("bob", c2c("alice"), sequence.into(), "x"))
            .await;
        hub.settle().await;
        tokio::time::advance(A_SECOND).await;
    }
    let all = take_all(&mut events);
    let lists = all.iter().filter_map(|event| match event {
        Event::ConversationListUpdated(list) => Some(list[0].unread_count),
        _ => None,
    });
    assert_eq!(lists.collect::<Vec<_>>(), [20]);
    let totals = all.iter().filter_map(|event| match event {
        Event::TotalUnreadMessageCountUpdated(count) => Some(*count),
        _ => None,
    });
    assert_eq!(totals.collect::<Vec<_>>(), [20]);
    assert_eq!(all.len(), 22);
    assert_eq!(client.cursor(), [20]);
}

#[tokio::test(start_paused = true)]
async fn the_cursor_follows_the_slowest_stream() {
    let (client, mut fast, mut hub, _listener) = alice_online().await;
    let mut slow = client.events();
    for sequence in [1, 2] {
        hub.deliver(&[sequence], &text("bob", c2c("alice"), sequence.into(), "x"))
            .await;
        hub.settle().await;
    }
    assert_eq!(take_all(&mut fast).len(), 4, "two messages, one list, one total");
    assert_eq!(client.cursor(), [0]);
    received(&mut slow).await;
    assert_eq!(
        client.cursor(),
        [0],
        "not done with the first before the next is asked for"
    );
    received(&mut slow).await;
    assert_eq!(client.cursor(), [1]);
    drop(slow);
    assert_eq!(client.cursor(), [2]);
}

#[tokio::test(start_paused = true)]
async fn a_cut_loses_nothing_and_repeats_nothing() {
    let (client, mut events, mut hub, mut listener) = alice_online().await;
    hub.deliver(&[1], &text("bob", c2c("alice"), 1, "one")).await;
    hub.settle().await;
    let message = client.create_text_message(user("bob"), "x").unwrap();
    let script = async {
        let _lost = hub.next_request().await;
        drop(hub);
        let mut hub = accept(&mut listener).await;
        let login = hub.login().await;
        assert_eq!((login.resume, login.cursor), (Resume::CURSOR, vec![1]));
        hub.welcome();
        let asked = hub.next_request().await;
        let send: Send<'_> = asked.request();
        assert_eq!(send.content.id, message.id());
        hub.answer(&asked, &SendResponse::new(2, 9).with_duplicate(true))
            .await;
        hub.deliver(&[3], &text("bob", c2c("alice"), 3, "three")).await;
        hub.synced().await;
        hub.answer_list(&[]).await;
        hub
    };
    let (sent, _hub) = tokio::join!(client.send_message(&message, SendOptions::default()), script);
    assert_eq!(sent.unwrap().message.sequence(), 2);
    assert!(client.is_ready(), "a short cut does not end readiness");
    let mut seen = Vec::new();
    while seen.len() < 2 {
        seen.extend(texts(&received(&mut events).await));
    }
    assert_eq!(seen, ["one", "three"]);
    let net = take_all(&mut events);
    assert!(net.iter().all(|event| event.kind() != EventKind::SdkReady));
}

#[tokio::test(start_paused = true)]
async fn a_long_cut_ends_readiness_until_the_hub_is_back() {
    let (client, mut events, hub, mut listener) = alice_online().await;
    drop(hub);
    let state = |event: &Event| {
        if let Event::NetStateChange(state) = event {
            Some(*state)
        } else {
            None
        }
    };
    assert_eq!(event(&mut events, state).await, NetState::Disconnected);
    let reason = |event: &Event| {
        if let Event::SdkNotReady(reason) = event {
            Some(*reason)
        } else {
            None
        }
    };
    assert_eq!(event(&mut events, reason).await, NotReadyReason::ConnectionLost);
    let error = client.get_conversation_list().await.unwrap_err();
    assert_eq!(error.code, ErrorCode::SDK_IS_NOT_READY);
    let mut hub = loop {
        let mut hub = accept(&mut listener).await;
        let login = hub.next(|event| matches!(event, HubEvent::Login(_)).then_some(()));
        if login.await.is_some() {
            break hub; // the connections before it were given up
        }
    };
    hub.welcome();
    hub.synced().await;
    event(&mut events, |event| {
        matches!(event, Event::SdkReady).then_some(())
    })
    .await;
    assert!(client.is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_kick_is_told_and_ends_the_session() {
    let (client, mut events, mut hub, _listener) = alice_online().await;
    hub.session
        .goodbye(&Failure::new(ErrorCode::KICKED_OUT_MULT_DEVICE, "phone"));
    hub.flush().await;
    let kicked = |event: &Event| {
        if let Event::KickedOut(error) = event {
            Some(error.clone())
        } else {
            None
        }
    };
    let error = event(&mut events, kicked).await;
    assert_eq!(
        (error.code, error.text.as_str()),
        (ErrorCode::KICKED_OUT_MULT_DEVICE, "phone")
    );
    let reason = |event: &Event| {
        if let Event::SdkNotReady(reason) = event {
            Some(*reason)
        } else {
            None
        }
    };
    assert_eq!(event(&mut events, reason).await, NotReadyReason::KickedOut);
    assert_eq!(
        client.wait_until_ready().await.unwrap_err().code,
        ErrorCode::KICKED_OUT_MULT_DEVICE
    );
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_takes_the_client_with_it() {
    let (client, mut events, mut hub, _listener) = alice_online().await;
    let other = client.clone();
    drop(client);
    hub.settle().await;
    drop(other);
    assert_eq!(
        hub.next::<()>(|event| panic!("{event:?}")).await,
        None,
        "logged out"
    );
    while events.next().await.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn the_cursor_moves_past_a_gap_when_it_is_processed() {
    let (client, mut events, mut hub, _listener) = alice_online().await;
    hub.deliver(&[1], &text("bob", c2c("alice"), 1, "one")).await;
    received(&mut events).await;
    drop(take_all(&mut events));
    for (gap, cursor) in [(Gap::RESTORED, 2), (Gap::new(c2c("bob"), 2, 4), 3)] {
        hub.session.push(FrameKind::GAP, &gap).unwrap();
        let behind = Synced::new().with_cursor(std::slice::from_ref(&cursor));
        hub.session.push(FrameKind::SYNCED, &behind).unwrap();
        hub.flush().await;
        while !matches!(events.next().await, Some(Event::Gap(_))) {}
        hub.answer_list(&[]).await; // what was lost may have been unread
        hub.settle().await;
        assert_eq!(
            client.cursor(),
            [cursor - 1],
            "the application has not processed the gap"
        );
        drop(take_all(&mut events));
        assert_eq!(client.cursor(), [cursor]);
    }
}

#[tokio::test(start_paused = true)]
async fn each_handler_gets_each_event_once() {
    let (client, mut events, mut hub, _listener) = alice_online().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let keep = |name: &'static str| {
        let seen = seen.clone();
        move |event: &Event| {
            let Event::MessageReceived(messages) = event else {
                panic!("{event:?}")
            };
            seen.lock()
                .unwrap()
                .push(format!("{name} {}", texts(messages).join(" ")));
        }
    };
    let first = client.on(EventKind::MessageReceived, keep("first"));
    client.on(EventKind::MessageReceived, |_| panic!("a handler that fails"));
    client.on(EventKind::MessageReceived, keep("second"));
    hub.deliver(&[1], &text("bob", c2c("alice"), 1, "one")).await;
    received(&mut events).await;
    hub.settle().await;
    assert!(client.off(first) && !client.off(first));
    hub.deliver(&[2], &text("bob", c2c("alice"), 2, "two")).await;
    hub.settle().await;
    assert_eq!(*seen.lock().unwrap(), ["first one", "second one", "second two"]);
    drop(take_all(&mut events));
    assert_eq!(client.cursor(), [2]);
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_floods_is_disconnected_until_there_is_room() {
    let (client, mut events, mut hub, mut listener) = alice_online().await;
    let gap = Gap::new(c2c("bob"), 2, 4);
    while hub.session.push(FrameKind::GAP, &gap).is_ok() {}
    hub.flush().await;
    assert_eq!(hub.next::<()>(|event| panic!("{event:?}")).await, None, "hung up");
    let early = tokio::time::timeout(Duration::from_secs(120), listener.accept()).await;
    assert!(early.is_err(), "not before the events were read");
    assert!(take_all(&mut events).len() < 50_000);
    let mut hub = accept(&mut listener).await;
    hub.let_in().await;
    client.wait_until_ready().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_a_client_sends_itself_behind_an_incomplete_delivery_is_no_flood() {
    let (client, mut events, mut hub, _listener) =
        alice_online_with(|builder| builder.event_capacity(4).session(|session| session.window = 8)).await;
    hub.deliver(&[1], &stub(text("bob", c2c("alice"), 1, "long")))
        .await;
    let piece = hub.next_request().await;
    // Each answer also brings a cursor.
    for sequence in 2..200_u64 {
        let message = client.create_text_message(user("bob"), "more").unwrap();
        let script = async {
            let mut asked = hub.next_request().await;
            while asked.kind != FrameKind::SEND {
                asked = hub.next_request().await;
            }
            let cursor = sequence.to_le_bytes();
            hub.session
                .push(FrameKind::SYNCED, &Synced::new().with_cursor(&cursor))
                .unwrap();
            hub.answer(&asked, &SendResponse::new(sequence, 9)).await;
        };
        let (sent, ()) = tokio::join!(client.send_message(&message, SendOptions::default()), script);
        assert_eq!(sent.map(|sent| sent.message.sequence()), Ok(sequence));
    }
    hub.fail(&piece, ErrorCode::STORAGE_FAILED, "not now").await;
    assert_eq!(received(&mut events).await[0].sequence(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_window_more_on_each_of_many_connections_is_no_flood() {
    let (_client, mut events, mut hub, mut listener) = alice_online_with(|builder| {
        builder.event_capacity(4).session(|session| {
            session.window = 8;
            session.backoff_max = session.backoff_min;
        })
    })
    .await;
    let mut sequence = 0_u64;
    for connection in 0..13 {
        while hub.session.window_capacity() > 0 {
            sequence += 1;
            let message = text("bob", c2c("alice"), sequence, "x");
            let message = if sequence == 1 { stub(message) } else { message };
            let _ = hub
                .session
                .deliver(&sequence.to_le_bytes(), 0, message.to_encoded().as_bytes());
        }
        // Whatever it asks for is not answered.
        let asked = tokio::time::timeout(Duration::from_millis(10), async {
            loop {
                hub.next_request().await;
            }
        });
        let _: Result<(), _> = asked.await;
        assert!(hub.session.is_online(), "connection {connection} was given up");
        drop(hub);
        hub = accept(&mut listener).await;
        hub.let_in().await;
    }
    assert!(
        sequence > 4 + 2 * 8 + 64,
        "more than a hub may send at once: {sequence}"
    );
    loop {
        let asked = hub.next_request().await;
        let is_piece = asked.kind == FrameKind::FETCH;
        hub.fail(&asked, ErrorCode::STORAGE_FAILED, "not now").await;
        if is_piece {
            break;
        }
    }
    assert_eq!(received(&mut events).await[0].sequence(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_device_resumes_where_it_is_told_to() {
    for (cursor, mode) in [(&b"here"[..], 1), (&[][..], 0)] {
        let (client, mut listener) = alice(|builder| builder.resume_from(cursor));
        assert_eq!(client.cursor(), cursor);
        let script = async { accept(&mut listener).await.login().await };
        let login = async { tokio::time::timeout(Duration::from_millis(50), client.login()).await };
        let (_, login) = tokio::join!(login, script);
        assert_eq!((login.resume.0, login.cursor), (mode, cursor.to_vec()));
    }
    let (client, mut listener) = alice(|builder| builder.resume_from_start());
    let script = async { accept(&mut listener).await.login().await };
    let login = async { tokio::time::timeout(Duration::from_millis(50), client.login()).await };
    let (_, login) = tokio::join!(login, script);
    assert_eq!((login.resume, login.cursor), (Resume::START, vec![]));
}

#[tokio::test(start_paused = true)]
async fn deliveries_that_wait_for_the_hub_do_not_keep_a_client_from_it() {
    let (_client, mut events, mut hub, mut listener) =
        alice_online_with(|builder| builder.event_capacity(4).session(|session| session.window = 8)).await;
    // All wait behind the first one, whose payload has to be fetched, and the connection is lost before that.
    for sequence in 1..=6_u64 {
        let message = text("bob", c2c("alice"), sequence, "x");
        let message = if sequence == 1 { stub(message) } else { message };
        hub.deliver(&sequence.to_le_bytes(), &message).await;
    }
    hub.next_request().await;
    hub.settle().await;
    drop(hub);
    let connected = std::cell::Cell::new(false);
    let script = async {
        let mut hub = accept(&mut listener).await;
        hub.let_in().await;
        connected.set(true);
        // Whatever is asked for, the list and the payload: it cannot be had.
        loop {
            let asked = hub.next_request().await;
            hub.fail(&asked, ErrorCode::STORAGE_FAILED, "not now").await;
        }
    };
    let reader = async {
        let mut seen = Vec::new();
        while seen.len() < 6 {
            let messages = received(&mut events).await;
            seen.extend(messages.iter().map(tim_client::Message::sequence));
        }
        assert!(seen.into_iter().eq(1..=6));
    };
    tokio::select! {
        () = reader => {}
        () = script => {}
    }
    assert!(connected.get(), "the events came when the client had given up");
}

#[tokio::test(start_paused = true)]
async fn readiness_behind_a_full_stream_is_an_error_and_not_a_hang() {
    let (client, mut listener) = alice(|builder| {
        builder
            .event_capacity(4)
            .session(|session| session.window = 2)
            .resume_from_start()
    });
    let mut events = client.events();
    let backlog = async {
        let mut hub = accept(&mut listener).await;
        hub.login().await;
        hub.welcome();
        // The first is a stub, which cannot be fetched before readiness.
        for sequence in 1..=12_u64 {
            while hub.session.window_capacity() == 0 {
                let _ = tokio::time::timeout(Duration::from_millis(1), hub.next::<()>(|_| None)).await;
            }
            let message = text("bob", c2c("alice"), sequence, "x");
            hub.deliver(
                &sequence.to_le_bytes(),
                &if sequence == 1 { stub(message) } else { message },
            )
            .await;
        }
        hub.synced().await;
        hub
    };
    let reader = async {
        client.login().await.unwrap();
        assert_eq!(
            client.wait_until_ready().await.unwrap_err().code,
            ErrorCode::INVALID_OPERATION
        );
        let mut seen = Vec::new();
        while seen.len() < 12 {
            seen.extend(
                received(&mut events)
                    .await
                    .iter()
                    .map(tim_client::Message::sequence),
            );
        }
        assert!(seen.into_iter().eq(1..=12));
        client.wait_until_ready().await.unwrap();
    };
    let (_hub, ()) = tokio::join!(backlog, reader);
}

/// The harness's own deadline: a wait for what a silent hub never makes happen fails, in virtual time.
#[tokio::test(start_paused = true)]
#[should_panic(expected = "waited in vain for an event")]
async fn a_test_whose_hub_says_nothing_fails_and_does_not_hang() {
    let (client, _listener) = alice(|builder| builder);
    let mut events = client.events();
    let _logging_in = tokio::spawn({
        let client = client.clone();
        async move { client.login().await }
    });
    event(&mut events, |event| {
        matches!(event, Event::SdkReady).then_some(())
    })
    .await;
}
