//! Calls of several tasks, calls that wait, and calls that are dropped.

use std::cell::Cell;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tim_session::proto::ErrorCode;
use tim_transport_embedded::{Clock as _, Device, Error, Event, Resources};

use crate::hub::bob;
use crate::support::{config, drive, when_ready};
use crate::world::{Wire, World};

/// Nothing moves while an event is looked at: the calls of other tasks wait, and go on when it is let go of.
#[test]
fn calls_wait_while_an_event_is_looked_at() {
    let world = World::new();
    let mut resources = Resources::<512, 512, 512>::new();
    let mut device = Device::new(config(), "sig", &mut resources, 42, world.clone());
    let (client, runner) = device.split(Wire(world.clone()));
    let looking = Cell::new(false);
    let receiver = runner.run(async |mut events| {
        loop {
            let event = events.next_event().await;
            looking.set(true);
            world.sleep(Duration::from_millis(100)).await;
            looking.set(false);
            assert!(!matches!(event, Event::Malformed { .. })); // it is still there
        }
    });
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
    when_ready(&world, async |client, mut events| {
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
        events.until(all, |_| {}).await;
        assert_eq!(world.hub.borrow().texts_of_kiosk(), texts);
    });
}

/// A call in a task of its own, which waits for room in the outbox, is woken when the response to a dropped call makes room.
#[test]
fn the_response_to_a_dropped_call_makes_room_for_the_next() {
    let world = World::new();
    let mut resources = Resources::<512, 512, 512>::new();
    let mut device = Device::new(config(), "sig", &mut resources, 42, world.clone());
    let (client, runner) = device.split(Wire(world.clone()));
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
    world.run(vec![Box::pin(sender), Box::pin(drive(runner))]);
}

/// A logout completes although another task, which waited for its end to log in again, is polled first.
#[test]
fn a_logout_completes_while_another_task_logs_in_again() {
    let world = World::new();
    let mut resources = Resources::<512, 512, 512>::new();
    let mut device = Device::new(config(), "sig", &mut resources, 42, world.clone());
    let (client, runner) = device.split(Wire(world.clone()));
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
        Box::pin(drive(runner)),
    ]);
}

/// What was under way ends with an error that says so, and not as if the hub had refused it.
#[test]
fn calls_that_a_logout_interrupts_say_so() {
    let world = World::new();
    world.hub.borrow_mut().model.behavior.ignore_requests = true;
    let mut resources = Resources::<512, 512, 512>::new();
    let mut device = Device::new(config(), "sig", &mut resources, 42, world.clone());
    let (client, runner) = device.split(Wire(world.clone()));
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
    world.run(vec![Box::pin(caller), Box::pin(leaver), Box::pin(drive(runner))]);
}

/// A call that is dropped when its answer is there gives the session free again.
#[test]
fn an_answer_that_nobody_reads_holds_up_nothing() {
    let world = World::new();
    when_ready(&world, async |client, mut events| {
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
            events.until(unread, |_| {}).await;
            drop(call);
            assert_eq!(world.hub.borrow().texts_of_kiosk().len(), number + 1);
            events
                .until(client.set_message_read(bob()), |_| {})
                .await
                .expect("read");
        }
    });
}
