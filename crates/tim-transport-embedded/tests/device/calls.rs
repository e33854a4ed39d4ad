//! Every call, and every way to be refused.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tim_session::proto::message::{Custom, Face, MessageFlags, Payload, SendOptions, Text};
use tim_session::proto::wire::FrameKind;
use tim_session::proto::{ConversationId, ErrorCode};
use tim_transport_embedded::{Client, Clock, Device, Error, Event, Resources, UserSig};

use crate::hub::{ACCOUNT, HUB_TIME_MS, bob, user};
use crate::support::{Slot, config, log_in, refusal, when_ready, with_device};
use crate::world::{Wire, World, delivered};

#[test]
fn every_kind_of_message_is_sent_resent_and_revoked() {
    let world = World::new();
    when_ready(&world, async |client, mut events| {
        let mut text = client.create_text_message(user("bob"), "hi").expect("a message");
        assert_eq!(
            text.envelope.time,
            HUB_TIME_MS / 1000 + world.now.get() / 1_000_000
        );
        let custom = Custom::new()
            .with_data("d")
            .with_description("e")
            .with_extension("f");
        let custom = client.create_custom_message(bob(), custom).expect("a message");
        let face = client.create_face_message(bob(), 3, "x").expect("a message");
        for (sequence, message) in [
            (1, &mut text.into_any()),
            (2, &mut custom.into_any()),
            (3, &mut face.into_any()),
        ] {
            let sent = events
                .until(client.send_message(message), |_| {})
                .await
                .expect("sent");
            assert_eq!((sent.sequence, sent.duplicate), (sequence, false));
            assert_eq!(message.envelope.sequence, sequence);
            let sent = events
                .until(client.resend_message(message), |_| {})
                .await
                .expect("sent");
            assert_eq!((sent.sequence, sent.duplicate), (sequence, true));
        }
        let unsent = events.until(client.revoke_message(&text), |_| {}).await;
        assert_eq!(unsent, Err(Error::Invalid(ErrorCode::MESSAGE_NOT_SENT)));
        text.envelope.sequence = 1;
        events
            .until(client.revoke_message(&text), |_| {})
            .await
            .expect("revoked");
        text.envelope.sequence = 2;
        let other = events.until(client.revoke_message(&text), |_| {}).await;
        assert_eq!(other, Err(refusal(ErrorCode::MSG_REVOKE_TIME_LIMIT)));
    });
    let hub = world.hub.borrow();
    assert_eq!(
        hub.entry(1),
        (Payload::Text(Text::new("hi")), MessageFlags::REVOKED)
    );
    assert_eq!(
        hub.entry(2).0,
        Payload::Custom(
            Custom::new()
                .with_data("d")
                .with_description("e")
                .with_extension("f")
        )
    );
    assert_eq!(
        hub.entry(3),
        (Payload::Face(Face::new(3).with_data("x")), MessageFlags::NONE)
    );
}

/// What the conversations say is unread.
async fn unread(client: Client<'_>) -> Result<Vec<u32>, Error> {
    client
        .get_conversation_list(&[], 0, |list| {
            list.conversations.iter().map(|listed| listed.unread).collect()
        })
        .await
}

#[test]
fn history_is_paged_to_its_end_and_conversations_are_read() {
    let world = World::new();
    for number in 0..40 {
        world.hub.borrow_mut().bob_says(&format!("number {number}"));
    }
    when_ready(&world, async |client, mut events| {
        let (mut seen, mut next, mut pages) = (Vec::new(), None, 0);
        loop {
            let mut page_texts = Vec::new();
            let page = client.get_message_list(bob(), next.as_ref(), 6, |page| {
                for message in page.messages.iter() {
                    assert!(!message.is_revoked());
                    if let Payload::Text(text) = message.payload {
                        page_texts.push(text.text.to_owned());
                    }
                }
            });
            next = events.until(page, |_| {}).await.expect("a page");
            assert!((1..=6).contains(&page_texts.len()));
            seen.splice(0..0, page_texts);
            pages += 1;
            if next.is_none() {
                break;
            }
        }
        let expected: Vec<_> = (0..40).map(|number| format!("number {number}")).collect();
        assert_eq!(seen, expected);
        assert!(pages >= 7);

        let list = events.until(unread(client), |_| {}).await.expect("a list");
        assert_eq!(list, [40]);
        let read = events
            .until(client.set_message_read(bob()), |_| {})
            .await
            .expect("read");
        assert_eq!((read.read_sequence, read.unread), (40, 0));
        let list = events.until(unread(client), |_| {}).await.expect("a list");
        assert_eq!(list, [0]);
        let nick =
            client.get_conversation_profile(bob(), |profile| profile.user.map(|user| user.nick.to_owned()));
        assert_eq!(events.until(nick, |_| {}).await, Ok(Some("Bob".to_owned())));
        let nobody = client.get_conversation_profile(user("eve"), |_| ());
        assert_eq!(
            events.until(nobody, |_| {}).await,
            Err(refusal(ErrorCode::CONVERSATION_NOT_FOUND))
        );
        events
            .until(client.delete_conversation(bob()), |_| {})
            .await
            .expect("deleted");
        let list = events.until(unread(client), |_| {}).await.expect("a list");
        assert!(list.is_empty());
    });
}

#[test]
fn a_text_of_12_kilobytes_comes_as_a_stub_and_is_fetched_whole() {
    let world = World::new();
    let long: String = (0..12_000).map(|at| char::from(b'a' + (at % 26) as u8)).collect();
    when_ready(&world, async |client, mut events| {
        world.hub.borrow_mut().bob_says(&long);
        let (conversation, sequence, kind) = loop {
            if let Event::Delivered(delivery) = events.next_event().await {
                assert!(delivery.header.envelope.flags.contains(MessageFlags::STUB));
                assert_eq!(delivery.payload_len, 12_002);
                let message = delivery.message();
                let conversation = message.conversation_of(&user("kiosk"));
                break (conversation, message.envelope.sequence, message.payload.kind());
            }
        };
        let mut payload = [0; 13_000];
        let fetched = client.fetch_message(conversation, sequence, &mut payload);
        let len = events.until(fetched, |_| {}).await.expect("fetched");
        match Payload::decode(kind, &payload[..len]) {
            Payload::Text(text) => assert_eq!(text.text, long),
            other => panic!("{other:?}"),
        }
        let mut small = [0; 1000];
        let fetched = events
            .until(client.fetch_message(conversation, sequence, &mut small), |_| {})
            .await;
        assert_eq!(
            fetched,
            Err(Error::TooLarge {
                len: 12_002,
                max: 1000
            })
        );
        let piece = client.fetch(conversation, sequence, 12_000, |piece| piece.bytes.to_owned());
        assert_eq!(
            events.until(piece, |_| {}).await.expect("a piece"),
            &long.as_bytes()[11_998..]
        );
    });
}

#[test]
fn refusals_say_whose_fault_it_is() {
    let world = World::new();
    with_device(&world, async |client, mut events| {
        let not_in = Error::NotReady(ErrorCode::USER_NOT_LOGGED_IN);
        assert_eq!(client.create_text_message(bob(), "hi"), Err(not_in));
        assert_eq!(events.until(client.wait_until_ready(), |_| {}).await, Err(not_in));
        assert_eq!(
            events.until(client.set_message_read(bob()), |_| {}).await,
            Err(not_in)
        );
        assert_eq!(events.until(client.logout(), |_| {}).await, Ok(()));

        world.hub.borrow_mut().model.behavior.refuse_logins = Some(ErrorCode::ACCOUNT_USERSIG_EXPIRED);
        let refused = events.until(client.login(), |_| {}).await;
        assert_eq!(refused, Err(refusal(ErrorCode::ACCOUNT_USERSIG_EXPIRED)));
        world.hub.borrow_mut().model.behavior.refuse_logins = None;
        events.set_user_sig("another");
        log_in(client, &mut events).await;

        let to_system = client.create_text_message(ConversationId::System, "hi");
        assert_eq!(
            to_system,
            Err(Error::Invalid(ErrorCode::MESSAGE_SEND_INVALID_CONVERSATION_TYPE))
        );
        let mut message = client.create_text_message(bob(), "hi").expect("a message");
        let long = "x".repeat(600);
        let mut too_long = client.create_text_message(bob(), &long).expect("a message");
        let refused = events.until(client.send_message(&mut too_long), |_| {}).await;
        assert!(
            matches!(
                refused,
                Err(Error::TooLarge {
                    len: 600..,
                    max: ..512
                })
            ),
            "{refused:?}"
        );
        message.id.sender = 5;
        let foreign = events.until(client.send_message(&mut message), |_| {}).await;
        assert_eq!(
            foreign,
            Err(Error::Invalid(ErrorCode::MESSAGE_SEND_NEED_MESSAGE_INSTANCE))
        );
        message.id.sender = ACCOUNT;

        world.hub.borrow_mut().model.behavior.ignore_requests = true;
        assert_eq!(
            events.until(client.send_message(&mut message), |_| {}).await,
            Err(Error::TimedOut)
        );
        let kicked = async {
            let mut call = pin!(client.send_message(&mut message));
            poll_fn(|context| match call.as_mut().poll(context) {
                Poll::Pending => Poll::Ready(()),
                Poll::Ready(outcome) => panic!("{outcome:?}"),
            })
            .await;
            world.hub.borrow_mut().kick(ErrorCode::KICKED_OUT_MULT_DEVICE);
            call.await
        };
        assert_eq!(
            events.until(kicked, |_| {}).await,
            Err(Error::Ended(ErrorCode::KICKED_OUT_MULT_DEVICE))
        );
        assert!(!client.is_ready());
        let refused = events.until(client.send_message(&mut message), |_| {}).await;
        assert_eq!(refused, Err(Error::NotReady(ErrorCode::KICKED_OUT_MULT_DEVICE)));

        world.hub.borrow_mut().model.behavior.ignore_requests = false;
        events.until(client.login(), |_| {}).await.expect("back");
        events
            .until(client.wait_until_ready(), |_| {})
            .await
            .expect("ready");
        events.until(client.logout(), |_| {}).await.expect("out");
        let refused = events.until(client.send_message(&mut message), |_| {}).await;
        assert_eq!(refused, Err(Error::NotReady(ErrorCode::LOGGED_OUT)));
    });
}

#[test]
fn one_call_too_many_is_refused_and_the_others_get_their_own_answers() {
    let world = World::new();
    when_ready(&world, async |client, mut events| {
        let texts: Vec<_> = (0..5).map(|number| format!("n{number}")).collect();
        let mut messages: Vec<_> = texts
            .iter()
            .map(|text| client.create_text_message(bob(), text).expect("a message"))
            .collect();
        let mut calls: Vec<_> = messages
            .iter_mut()
            .map(|message| Box::pin(client.send_message(message)))
            .collect();
        let mut results = vec![None; 5];
        let all = poll_fn(|context| {
            for (call, result) in calls.iter_mut().zip(&mut results) {
                if result.is_none()
                    && let Poll::Ready(outcome) = call.as_mut().poll(context)
                {
                    *result = Some(outcome.map(|answer| answer.sequence));
                }
            }
            match results.iter().all(Option::is_some) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        });
        events.until(all, |_| {}).await;
        let expected = [Ok(1), Ok(2), Ok(3), Ok(4), Err(Error::Busy)].map(Some);
        assert_eq!(results, expected);
    });
}

/// What a firmware does that keeps its cursor: save it after each event. The cursor then stands behind the entry in hand.
#[test]
fn the_cursor_that_is_saved_after_an_event_does_not_bring_it_again() {
    let world = World::new();
    let mut kept = Vec::new();
    when_ready(&world, async |_, mut events| {
        world.hub.borrow_mut().bob_says("one");
        world.hub.borrow_mut().bob_says("two");
        let mut texts = Vec::new();
        while texts.len() < 2 {
            let (text, cursor) = match events.next_event().await {
                Event::Delivered(delivery) => (
                    delivered(&Event::Delivered(delivery)),
                    Some(delivery.cursor.to_vec()),
                ),
                _ => (None, None),
            };
            texts.extend(text);
            kept = events.cursor(<[u8]>::to_vec);
            assert!(cursor.is_none_or(|cursor| cursor == kept));
        }
        assert_eq!(texts, ["one", "two"]);
    });
    world.hub.borrow_mut().bob_says("three");
    let mut resources = Resources::<512, 512, 512>::new();
    let mut device = Device::new(config(), "sig", &mut resources, 43, world.clone());
    assert!(!device.resume_from(&[0; 17]));
    assert!(device.resume_from(&kept));
    let (client, runner) = device.split(Wire(world.clone()));
    world.run_one(runner.run(async |mut events| {
        events.until(client.login(), |_| {}).await.expect("let in");
        let text = loop {
            if let Some(text) = delivered(&events.next_event().await) {
                break text;
            }
        };
        assert_eq!(text, "three", "what was in hand is not shown again");
    }));
}

#[test]
fn the_session_is_asked_what_it_has_counted() {
    let world = World::new();
    when_ready(&world, async |client, mut events| {
        let before = events.stats();
        assert!(
            before.frames_sent >= 2 && before.bytes_received > 20,
            "{before:?}"
        );
        let mut text = client.create_text_message(user("bob"), "hi").expect("a message");
        let sent = events.until(client.send_message(&mut text), |_| {}).await;
        sent.expect("stored");
        let after = events.stats();
        assert_eq!(after.frames_sent - before.frames_sent, 1);
        assert_eq!((after.reconnects, after.malformed_frames), (0, 0));
        // An event that the application holds does not hide them.
        world.hub.borrow_mut().bob_says("one");
        while delivered(&events.next_event().await).is_none() {}
        assert!(events.stats().frames_received > after.frames_received);
    });
}

#[test]
fn a_user_sig_that_comes_at_run_time_is_kept_for_later_logins() {
    let world = World::new();
    let (mut buffer, mut resources) = ([0; 8], Resources::<512, 512, 512>::new());
    assert!(UserSig::in_buffer(&mut [0; 2], "sig").is_err());
    let user_sig = UserSig::in_buffer(&mut buffer, "sig").expect("there is room");
    assert!(!format!("{user_sig:?}").contains("sig\""), "a credential");
    let mut device = Device::new(config(), user_sig, &mut resources, 42, world.clone());
    let (client, runner) = device.split(Wire(world.clone()));
    world.run_one(runner.run(async |mut events| {
        log_in(client, &mut events).await;
        assert_eq!(world.hub.borrow().model.user_sig(), "sig");
        let too_long = events.until(client.renew_user_sig("a long sig"), |_| {});
        assert_eq!(too_long.await, Err(Error::TooLarge { len: 10, max: 8 }));
        world.hub.borrow_mut().model.behavior.refuse = vec![(FrameKind::RENEW, ErrorCode::RATE_LIMITED)];
        let refused = events.until(client.renew_user_sig("refused"), |_| {}).await;
        assert_eq!(refused, Err(refusal(ErrorCode::RATE_LIMITED)));
        for (new, user_sig) in [(None, "sig"), (Some("new sig"), "new sig")] {
            if let Some(new) = new {
                let renewed = events.until(client.renew_user_sig(new), |_| {});
                renewed.await.expect("renewed");
            }
            events.until(client.logout(), |_| {}).await.expect("out");
            log_in(client, &mut events).await;
            assert_eq!(world.hub.borrow().model.user_sig(), user_sig);
        }
        events.until(client.logout(), |_| {}).await.expect("out");
        events.set_user_sig("other");
        log_in(client, &mut events).await;
        assert_eq!(world.hub.borrow().model.user_sig(), "other");
        // A constant has no room for another one.
        let constant = events.until(client.renew_user_sig("x"), |_| {}).await;
        assert_eq!(constant, Err(Error::TooLarge { len: 1, max: 0 }));
    }));
}

#[test]
fn acknowledgements_are_held_and_what_is_pending_is_known() {
    let world = World::new();
    when_ready(&world, async |client, mut events| {
        assert!(client.next_wakeup().is_some_and(|at| at > Clock::now(&world)));
        events.hold_acknowledgements(true);
        for number in 0..4 {
            world.hub.borrow_mut().bob_says(&number.to_string());
        }
        let mut heard = Vec::new();
        // The window has two places.
        while heard.len() < 2 {
            heard.extend(delivered(&events.next_event().await));
        }
        let mut hi = client.create_text_message(bob(), "hi").expect("a message");
        let mut send = pin!(client.send_message(&mut hi));
        for pending in [0, 1] {
            poll_fn(|context| {
                assert!(send.as_mut().poll(context).is_pending());
                Poll::Ready(())
            })
            .await;
            assert_eq!(events.pending(), pending, "the call waits while an event is held");
            events.hold_acknowledgements(true); // and gives the event back
        }
        let sent = events.until(send, |event| heard.extend(delivered(&event))).await;
        sent.expect("sent");
        assert_eq!((heard.len(), events.pending()), (2, 0));
        events.hold_acknowledgements(false);
        while heard.len() < 4 {
            heard.extend(delivered(&events.next_event().await));
        }
    });
}

#[test]
fn a_refusal_says_when_the_same_request_can_succeed() {
    let world = World::new();
    let (mut slot, mut record) = (Slot::default(), [0; 200]);
    when_ready(&world, async |client, mut events| {
        let wait = Duration::from_millis(1_500);
        // A code that is newer than the firmware names a time as well: the message can still go, and stays in the outbox.
        for code in [ErrorCode::RATE_LIMITED, ErrorCode(200_900)] {
            {
                let behavior = &mut world.hub.borrow_mut().model.behavior;
                behavior.refuse = vec![(FrameKind::SEND, code)];
                behavior.retry_after_ms = 1_500;
            }
            let mut message = client.create_text_message(bob(), "later").expect("a message");
            let kept = client.send_kept_message(&mut message, SendOptions::default(), &mut slot, &mut record);
            let refused = events.until(kept, |_| {}).await.expect_err("refused");
            assert_eq!((refused.code(), refused.retry_after()), (code, Some(wait)));
            assert!(!refused.is_final() && slot.0.is_some());
            events.until(world.sleep(wait), |_| {}).await;
            let resent = client.resend_kept(&mut slot, &mut record, |_, sent| assert!(sent.is_ok()));
            events.until(resent, |_| {}).await.expect("sent");
            assert!(slot.0.is_none());
        }
        let gone = Error::NotReady(ErrorCode::LOGGED_OUT);
        assert_eq!(
            (gone.retry_after(), refusal(ErrorCode::RATE_LIMITED).retry_after()),
            (None, None)
        );
    });
    assert_eq!(world.hub.borrow().texts_of_kiosk(), ["later", "later"]);
}

#[test]
fn a_login_that_is_refused_for_the_moment_goes_on_after_the_time_that_the_hub_named() {
    let world = World::new();
    {
        let behavior = &mut world.hub.borrow_mut().model.behavior;
        behavior.refuse_logins = Some(ErrorCode::RATE_LIMITED);
        behavior.retry_after_ms = 20_000;
    }
    with_device(&world, async |client, mut events| {
        let mut told = Vec::new();
        let login = events.until(client.login(), |event| {
            if let Event::TurnedAway(failure) = event {
                told.push((failure.code, failure.retry_after(), world.now.get()));
                world.hub.borrow_mut().model.behavior.refuse_logins = None;
            }
        });
        login.await.expect("let in");
        let [(code, after, at)] = told[..] else {
            panic!("{told:?}")
        };
        assert_eq!(
            (code, after),
            (ErrorCode::RATE_LIMITED, Some(Duration::from_secs(20)))
        );
        assert!((20_000_000..40_000_000).contains(&(world.now.get() - at)));
    });
}
