//! Every call, and every way to be refused.

use std::cell::Cell;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tim_session::proto::message::{Custom, Face, MessageFlags, Payload, Text};
use tim_session::proto::{ConversationId, ErrorCode};
use tim_transport_embedded::{Client, ClientConfig, Clock as _, Device, Error, Event, Resources, Runner};

use crate::hub::{ACCOUNT, HUB_TIME_MS, bob, user};
use crate::world::{Wire, World, delivered};

pub(crate) type TestRunner<'m> = Runner<'m, World, Wire>;

pub(crate) fn config() -> ClientConfig {
    let mut config = ClientConfig::new(1, user("kiosk"), 7);
    config.window = 2;
    config
}

/// A device of 512 bytes a buffer in this world, its two ends given to `script`.
pub(crate) fn with_device(world: &World, script: impl AsyncFnOnce(Client<'_>, TestRunner<'_>)) {
    let mut resources = Resources::<512, 512, 512>::new();
    let mut device = Device::new(config(), "sig", &mut resources, 42, world.clone());
    let (client, runner) = device.split(Wire(world.clone()));
    world.run_one(script(client, runner));
}

/// The same, logged in and ready.
fn when_ready(world: &World, script: impl AsyncFnOnce(Client<'_>, TestRunner<'_>)) {
    with_device(world, async |client, mut runner| {
        let login = runner.until(client.login(), |_| {}).await.expect("let in");
        assert_eq!((login.account, login.repeat_login), (ACCOUNT, false));
        assert!(
            runner
                .until(client.login(), |_| {})
                .await
                .expect("in already")
                .repeat_login
        );
        runner
            .until(client.wait_until_ready(), |_| {})
            .await
            .expect("ready");
        assert!(client.is_ready());
        script(client, runner).await;
    });
}

#[test]
fn every_kind_of_message_is_sent_resent_and_revoked() {
    let world = World::new();
    when_ready(&world, async |client, mut runner| {
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
            let sent = runner
                .until(client.send_message(message), |_| {})
                .await
                .expect("sent");
            assert_eq!((sent.sequence, sent.duplicate), (sequence, false));
            assert_eq!(message.envelope.sequence, sequence);
            let sent = runner
                .until(client.resend_message(message), |_| {})
                .await
                .expect("sent");
            assert_eq!((sent.sequence, sent.duplicate), (sequence, true));
        }
        let unsent = runner.until(client.revoke_message(&text), |_| {}).await;
        assert_eq!(unsent, Err(Error::Invalid(ErrorCode::MESSAGE_NOT_SENT)));
        text.envelope.sequence = 1;
        runner
            .until(client.revoke_message(&text), |_| {})
            .await
            .expect("revoked");
        text.envelope.sequence = 2;
        let other = runner.until(client.revoke_message(&text), |_| {}).await;
        assert_eq!(other, Err(Error::Refused(ErrorCode::MSG_REVOKE_TIME_LIMIT)));
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
    when_ready(&world, async |client, mut runner| {
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
            next = runner.until(page, |_| {}).await.expect("a page");
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

        let list = runner.until(unread(client), |_| {}).await.expect("a list");
        assert_eq!(list, [40]);
        let read = runner
            .until(client.set_message_read(bob()), |_| {})
            .await
            .expect("read");
        assert_eq!((read.read_sequence, read.unread), (40, 0));
        let list = runner.until(unread(client), |_| {}).await.expect("a list");
        assert_eq!(list, [0]);
        let nick =
            client.get_conversation_profile(bob(), |profile| profile.user.map(|user| user.nick.to_owned()));
        assert_eq!(runner.until(nick, |_| {}).await, Ok(Some("Bob".to_owned())));
        let nobody = client.get_conversation_profile(user("eve"), |_| ());
        assert_eq!(
            runner.until(nobody, |_| {}).await,
            Err(Error::Refused(ErrorCode::CONVERSATION_NOT_FOUND))
        );
        runner
            .until(client.delete_conversation(bob()), |_| {})
            .await
            .expect("deleted");
        let list = runner.until(unread(client), |_| {}).await.expect("a list");
        assert!(list.is_empty());
    });
}

#[test]
fn a_text_of_12_kilobytes_comes_as_a_stub_and_is_fetched_whole() {
    let world = World::new();
    let long: String = (0..12_000).map(|at| char::from(b'a' + (at % 26) as u8)).collect();
    when_ready(&world, async |client, mut runner| {
        world.hub.borrow_mut().bob_says(&long);
        let (conversation, sequence, kind) = loop {
            if let Event::Delivered(delivery) = runner.next_event().await {
                assert!(delivery.header.envelope.flags.contains(MessageFlags::STUB));
                assert_eq!(delivery.payload_len, 12_002);
                let message = delivery.message();
                let conversation = message.conversation_of(&user("kiosk"));
                break (conversation, message.envelope.sequence, message.payload.kind());
            }
        };
        let mut payload = [0; 13_000];
        let fetched = client.fetch_message(conversation, sequence, &mut payload);
        let len = runner.until(fetched, |_| {}).await.expect("fetched");
        match Payload::decode(kind, &payload[..len]) {
            Payload::Text(text) => assert_eq!(text.text, long),
            other => panic!("{other:?}"),
        }
        let mut small = [0; 1000];
        let fetched = runner
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
            runner.until(piece, |_| {}).await.expect("a piece"),
            &long.as_bytes()[11_998..]
        );
    });
}

#[test]
fn refusals_say_whose_fault_it_is() {
    let world = World::new();
    with_device(&world, async |client, mut runner| {
        let not_in = Error::NotReady(ErrorCode::USER_NOT_LOGGED_IN);
        assert_eq!(client.create_text_message(bob(), "hi"), Err(not_in));
        assert_eq!(runner.until(client.wait_until_ready(), |_| {}).await, Err(not_in));
        assert_eq!(
            runner.until(client.set_message_read(bob()), |_| {}).await,
            Err(not_in)
        );
        assert_eq!(runner.until(client.logout(), |_| {}).await, Ok(()));

        world.hub.borrow_mut().model.behavior.refuse_logins = Some(ErrorCode::ACCOUNT_USERSIG_EXPIRED);
        let refused = runner.until(client.login(), |_| {}).await;
        assert_eq!(refused, Err(Error::Refused(ErrorCode::ACCOUNT_USERSIG_EXPIRED)));
        world.hub.borrow_mut().model.behavior.refuse_logins = None;
        runner.set_user_sig("another");
        runner.until(client.login(), |_| {}).await.expect("let in");
        runner
            .until(client.wait_until_ready(), |_| {})
            .await
            .expect("ready");

        let to_system = client.create_text_message(ConversationId::System, "hi");
        assert_eq!(
            to_system,
            Err(Error::Invalid(ErrorCode::MESSAGE_SEND_INVALID_CONVERSATION_TYPE))
        );
        let mut message = client.create_text_message(bob(), "hi").expect("a message");
        let long = "x".repeat(600);
        let mut too_long = client.create_text_message(bob(), &long).expect("a message");
        let refused = runner.until(client.send_message(&mut too_long), |_| {}).await;
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
        let foreign = runner.until(client.send_message(&mut message), |_| {}).await;
        assert_eq!(
            foreign,
            Err(Error::Invalid(ErrorCode::MESSAGE_SEND_NEED_MESSAGE_INSTANCE))
        );
        message.id.sender = ACCOUNT;

        world.hub.borrow_mut().model.behavior.ignore_requests = true;
        assert_eq!(
            runner.until(client.send_message(&mut message), |_| {}).await,
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
            runner.until(kicked, |_| {}).await,
            Err(Error::Ended(ErrorCode::KICKED_OUT_MULT_DEVICE))
        );
        assert!(!client.is_ready());
        let refused = runner.until(client.send_message(&mut message), |_| {}).await;
        assert_eq!(refused, Err(Error::NotReady(ErrorCode::KICKED_OUT_MULT_DEVICE)));

        world.hub.borrow_mut().model.behavior.ignore_requests = false;
        runner.until(client.login(), |_| {}).await.expect("back");
        runner
            .until(client.wait_until_ready(), |_| {})
            .await
            .expect("ready");
        runner.until(client.logout(), |_| {}).await.expect("out");
        let refused = runner.until(client.send_message(&mut message), |_| {}).await;
        assert_eq!(refused, Err(Error::NotReady(ErrorCode::LOGGED_OUT)));
    });
}

#[test]
fn one_call_too_many_is_refused_and_the_others_get_their_own_answers() {
    let world = World::new();
    when_ready(&world, async |client, mut runner| {
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
        runner.until(all, |_| {}).await;
        let expected = [Ok(1), Ok(2), Ok(3), Ok(4), Err(Error::Busy)].map(Some);
        assert_eq!(results, expected);
    });
}

#[test]
fn the_cursor_stands_behind_what_the_application_is_done_with() {
    let world = World::new();
    let mut kept = Vec::new();
    when_ready(&world, async |_, mut runner| {
        world.hub.borrow_mut().bob_says("one");
        world.hub.borrow_mut().bob_says("two");
        let mut texts = Vec::new();
        while texts.len() < 2 {
            kept = runner.cursor(<[u8]>::to_vec);
            texts.extend(delivered(&runner.next_event().await));
        }
        assert_eq!(texts, ["one", "two"]);
        // "two" has been handed over, and not been come back from.
        kept = runner.cursor(<[u8]>::to_vec);
    });
    let mut resources = Resources::<512, 512, 512>::new();
    let mut device = Device::new(config(), "sig", &mut resources, 43, world.clone());
    assert!(!device.resume_from(&[0; 17]));
    assert!(device.resume_from(&kept));
    let (client, mut runner) = device.split(Wire(world.clone()));
    world.run_one(async {
        runner.until(client.login(), |_| {}).await.expect("let in");
        let text = loop {
            if let Some(text) = delivered(&runner.next_event().await) {
                break text;
            }
        };
        assert_eq!(text, "two");
    });
}

/// Nothing moves while an event is looked at: the calls of other tasks wait, and go on when it is let go of.
#[test]
fn calls_wait_while_an_event_is_looked_at() {
    let world = World::new();
    let mut resources = Resources::<512, 512, 512>::new();
    let mut device = Device::new(config(), "sig", &mut resources, 42, world.clone());
    let (client, mut runner) = device.split(Wire(world.clone()));
    let looking = Cell::new(false);
    let receiver = async {
        loop {
            let event = runner.next_event().await;
            looking.set(true);
            world.sleep(Duration::from_millis(100)).await;
            looking.set(false);
            assert!(!matches!(event, Event::Malformed { .. })); // it is still there
        }
    };
    let sender = async {
        client.login().await.expect("let in");
        client.wait_until_ready().await.expect("ready");
        world.hub.borrow_mut().bob_says("look at this");
        while !looking.get() {
            world.sleep(Duration::from_millis(1)).await;
        }
        let mut message = client.create_text_message(bob(), "meanwhile").expect("a message");
        client.send_message(&mut message).await.expect("sent");
        assert!(!looking.get());
        client.logout().await.expect("out");
    };
    world.run(vec![Box::pin(sender), Box::pin(receiver)]);
    assert_eq!(world.hub.borrow().texts_of_kiosk(), ["meanwhile"]);
}

/// An outbox that is full makes a call wait for room; it is not refused.
#[test]
fn a_full_outbox_makes_calls_wait() {
    let world = World::new();
    when_ready(&world, async |client, mut runner| {
        let texts = ["a", "b", "c"].map(|letter| letter.repeat(300));
        let mut messages = texts
            .each_ref()
            .map(|text| client.create_text_message(bob(), text).expect("a message"));
        let mut calls = messages
            .each_mut()
            .map(|message| Some(Box::pin(client.send_message(message))));
        let all = poll_fn(|context| {
            for call in &mut calls {
                if let Some(running) = call
                    && let Poll::Ready(outcome) = running.as_mut().poll(context)
                {
                    outcome.expect("sent");
                    *call = None;
                }
            }
            match calls.iter().all(Option::is_none) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        });
        runner.until(all, |_| {}).await;
        assert_eq!(world.hub.borrow().texts_of_kiosk(), texts);
    });
}

/// A call in a task of its own, which waits for room in the outbox, is woken when the response to a dropped call makes room.
#[test]
fn the_response_to_a_dropped_call_makes_room_for_the_next() {
    let world = World::new();
    let mut resources = Resources::<512, 512, 512>::new();
    let mut device = Device::new(config(), "sig", &mut resources, 42, world.clone());
    let (client, mut runner) = device.split(Wire(world.clone()));
    let receiver = async {
        loop {
            runner.next_event().await;
        }
    };
    let sender = async {
        client.login().await.expect("let in");
        client.wait_until_ready().await.expect("ready");
        let texts = ["a", "b"].map(|letter| letter.repeat(300));
        for (text, is_dropped) in texts.iter().zip([true, false]) {
            let mut message = client.create_text_message(bob(), text).expect("a message");
            let mut call = pin!(client.send_message(&mut message));
            if is_dropped {
                assert!(poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_pending())).await);
            } else {
                let before = world.now();
                call.await.expect("sent");
                assert!(world.now().since(before) < Duration::from_secs(1));
            }
        }
        assert_eq!(world.hub.borrow().texts_of_kiosk(), texts);
    };
    world.run(vec![Box::pin(sender), Box::pin(receiver)]);
}

/// A logout completes although another task, which waited for its end to log in again, is polled first.
#[test]
fn a_logout_completes_while_another_task_logs_in_again() {
    let world = World::new();
    let mut resources = Resources::<512, 512, 512>::new();
    let mut device = Device::new(config(), "sig", &mut resources, 42, world.clone());
    let (client, mut runner) = device.split(Wire(world.clone()));
    let (leaving, outs) = (Cell::new(0), Cell::new(0));
    let sender = async {
        client.login().await.expect("let in");
        client.wait_until_ready().await.expect("ready");
        while leaving.get() < 2 {
            world.yield_now().await;
        }
        assert!(!client.login().await.expect("let in again").repeat_login);
        client.wait_until_ready().await.expect("ready again");
        world.sleep(Duration::from_secs(1)).await;
        assert_eq!(outs.get(), 2, "both logouts have completed");
        assert!(client.is_ready(), "the second one has not ended the new login");
    };
    let receiver = async {
        loop {
            runner.next_event().await;
        }
    };
    let leave = async || {
        world.sleep(Duration::from_secs(1)).await;
        leaving.set(leaving.get() + 1);
        client.logout().await.expect("out");
        outs.set(outs.get() + 1);
        pending::<()>().await;
    };
    // The sender's login waits from the same moment as the logouts, and is polled before them when they end.
    world.run(vec![
        Box::pin(sender),
        Box::pin(leave()),
        Box::pin(leave()),
        Box::pin(receiver),
    ]);
}

/// What was under way ends with an error that says so, and not as if the hub had refused it.
#[test]
fn calls_that_a_logout_interrupts_say_so() {
    let world = World::new();
    world.hub.borrow_mut().model.behavior.ignore_requests = true;
    let mut resources = Resources::<512, 512, 512>::new();
    let mut device = Device::new(config(), "sig", &mut resources, 42, world.clone());
    let (client, mut runner) = device.split(Wire(world.clone()));
    let receiver = async {
        loop {
            runner.next_event().await;
        }
    };
    let leaver = async {
        loop {
            world.sleep(Duration::from_secs(1)).await;
            client.logout().await.expect("out");
        }
    };
    let caller = async {
        client.login().await.expect("let in");
        client.wait_until_ready().await.expect("ready");
        let mut message = client.create_text_message(bob(), "x").expect("a message");
        assert_eq!(client.send_message(&mut message).await, Err(Error::LoggedOut));
        world.connects_failing.set(u32::MAX);
        assert_eq!(client.login().await, Err(Error::LoggedOut));
        assert_eq!(Error::LoggedOut.code(), ErrorCode::LOGGED_OUT);
    };
    world.run(vec![Box::pin(caller), Box::pin(leaver), Box::pin(receiver)]);
}

/// A call that is dropped when its answer is there gives the session free again.
#[test]
fn an_answer_that_nobody_reads_holds_up_nothing() {
    let world = World::new();
    when_ready(&world, async |client, mut runner| {
        for polls in 1..20 {
            let number = world.hub.borrow().texts_of_kiosk().len();
            let mut message = client.create_text_message(bob(), "x").expect("a message");
            let mut call = Box::pin(client.send_message(&mut message));
            // Driven, but the call is polled once only; then some time passes, and it is dropped unread.
            let unread = async {
                let once = poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_pending()));
                assert!(once.await);
                world.sleep(Duration::from_millis(polls)).await;
            };
            runner.until(unread, |_| {}).await;
            drop(call);
            assert_eq!(world.hub.borrow().texts_of_kiosk().len(), number + 1);
            runner
                .until(client.set_message_read(bob()), |_| {})
                .await
                .expect("read");
        }
    });
}

#[test]
fn the_runner_shows_what_the_session_has_counted() {
    let world = World::new();
    when_ready(&world, async |client, mut runner| {
        let before = runner.stats();
        assert!(
            before.frames_sent >= 2 && before.bytes_received > 20,
            "{before:?}"
        );
        let mut text = client.create_text_message(user("bob"), "hi").expect("a message");
        let sent = runner.until(client.send_message(&mut text), |_| {}).await;
        sent.expect("stored");
        let after = runner.stats();
        assert_eq!(after.frames_sent - before.frames_sent, 1);
        assert_eq!((after.reconnects, after.malformed_frames), (0, 0));
        // An event that the application holds does not hide them.
        world.hub.borrow_mut().bob_says("one");
        while delivered(&runner.next_event().await).is_none() {}
        assert!(runner.stats().frames_received > after.frames_received);
    });
}
