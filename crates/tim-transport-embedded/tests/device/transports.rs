//! Lines that are slow, blocked, cut and noisy.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use embassy_futures::join::join;
use tim_session::proto::ErrorCode;
use tim_transport_embedded::{
    Client, ClientConfig, Clock, Device, Error, Event, Events, Framing, NetState, NotReadyReason, Resources,
    SerialPort,
};

use crate::hub::bob;
use crate::support::{config, log_in, when_ready, with_device};
use crate::world::{Half, Wire, World, delivered};

#[test]
fn a_line_that_takes_one_byte_at_a_time() {
    let world = World::new();
    world.capacity.set(1);
    world.portion.set(1);
    with_device(&world, async |client, mut events| {
        let mut received = Vec::new();
        log_in(client, &mut events).await;
        world.hub.borrow_mut().bob_says("hello");
        let mut message = client.create_text_message(bob(), "hi").expect("a message");
        events
            .until(client.send_message(&mut message), |event| {
                received.extend(delivered(&event))
            })
            .await
            .expect("sent");
        while received.is_empty() {
            received.extend(delivered(&events.next_event().await));
        }
        assert_eq!(received, ["hello"]);
    });
    assert_eq!(world.hub.borrow().texts_of_kiosk(), ["hi"]);
    assert_eq!(world.connects.get(), 1);
}

/// The hub takes nothing until it is rid of what it says: a device that would not read while it writes were stuck.
#[test]
fn both_directions_blocked() {
    let world = World::new();
    world.capacity.set(20);
    when_ready(&world, async |client, mut events| {
        world.hub.borrow_mut().model.behavior.write_before_reading = true;
        let long = "k".repeat(150);
        let mut messages = [(); 2].map(|()| client.create_text_message(bob(), &long).expect("a message"));
        for _ in 0..4 {
            world.hub.borrow_mut().bob_says(&"b".repeat(200));
        }
        let received = Cell::new(0);
        for message in &mut messages {
            let sent = events.until(client.send_message(message), |event| {
                received.set(received.get() + usize::from(delivered(&event).is_some()));
            });
            sent.await.expect("sent");
        }
        while received.get() < 4 {
            received.set(received.get() + usize::from(delivered(&events.next_event().await).is_some()));
        }
    });
    assert_eq!(world.hub.borrow().texts_of_kiosk().len(), 2);
    assert_eq!(world.connects.get(), 1);
}

#[test]
fn a_call_goes_on_over_a_reconnect_and_lines_that_cannot_be_opened() {
    let world = World::new();
    when_ready(&world, async |client, mut events| {
        let mut message = client
            .create_text_message(bob(), "over the gap")
            .expect("a message");
        world.cut_after.set(Some(10)); // within the request
        world.connects_failing.set(3);
        let mut states = Vec::new();
        let sent = events.until(client.send_message(&mut message), |event| {
            if let Event::NetState(state) = event {
                states.push(state);
            }
        });
        assert!(!sent.await.expect("sent").duplicate);
        use NetState::{Connected, Connecting, Disconnected};
        assert_eq!(
            states,
            [
                Disconnected,
                Connecting,
                Connecting,
                Connecting,
                Connecting,
                Connected
            ]
        );
        assert!(client.is_ready());
    });
    assert_eq!(world.connects.get(), 5);
    assert_eq!(world.hub.borrow().texts_of_kiosk(), ["over the gap"]);
    assert_eq!(world.hub.borrow().logins(), 2);
}

#[test]
fn a_line_that_stays_away_ends_readiness_and_coming_back_brings_it_back() {
    let world = World::new();
    when_ready(&world, async |client, mut events| {
        world.connects_failing.set(10);
        world.cut();
        let reason = loop {
            if let Event::NotReady(reason) = events.next_event().await {
                break reason;
            }
        };
        assert_eq!(reason, NotReadyReason::ConnectionLost);
        let refused = events.until(client.set_message_read(bob()), |_| {}).await;
        assert_eq!(refused, Err(Error::NotReady(ErrorCode::SDK_IS_NOT_READY)));
        events
            .until(client.wait_until_ready(), |_| {})
            .await
            .expect("ready again");
    });
    assert_eq!(world.hub.borrow().logins(), 2);
}

/// An opening that takes for ever is given up by the session, and calls that come meanwhile do not make it begin anew.
#[test]
fn calls_do_not_disturb_a_line_that_is_being_opened() {
    let world = World::new();
    world.connect_polls.set(u32::MAX);
    let began = Rc::new(Cell::new(0));
    let line = NeverOpen(began.clone());
    let mut resources = Resources::<512, 512, 512>::new();
    let mut device = Device::new(config(), "sig", &mut resources, 42, world.clone());
    let (client, runner) = device.split(line);
    world.run_one(runner.run(async |mut events| {
        let start = world.now.get();
        let impatient = async {
            for _ in 0..10 {
                // Begun, poked and dropped, ten times.
                let mut login = std::pin::pin!(client.login());
                std::future::poll_fn(|context| {
                    assert!(login.as_mut().poll(context).is_pending());
                    std::task::Poll::Ready(())
                })
                .await;
                world.sleep(Duration::from_millis(500)).await;
            }
        };
        events.until(impatient, |_| {}).await;
        assert_eq!((world.now.get() - start, began.get()), (5_000_000, 1));
        events.until(world.sleep(Duration::from_secs(15)), |_| {}).await;
        assert!(began.get() >= 2, "the session's connect_timeout is over");
    }));
}

/// A line that cannot be opened, and counts how often that is tried.
struct NeverOpen(Rc<Cell<u32>>);

impl tim_transport_embedded::Transport for NeverOpen {
    type Connection<'a> = (Half, Half);
    async fn connect(&mut self) -> Option<(Half, Half)> {
        self.0.set(self.0.get() + 1);
        std::future::pending().await
    }
    async fn disconnect(&mut self) {}
}

fn serial() -> ClientConfig {
    let mut config = config();
    config.framing = Framing::Serial;
    config
}

/// A device on a serial line in this world, its two ends given to `script`.
fn on_serial(world: &World, script: impl AsyncFnOnce(Client<'_>, Events<'_>)) {
    world.hub.borrow_mut().framing = Framing::Serial;
    world.is_open.set(true);
    world.serial.set(true);
    world.hub.borrow_mut().open(world.now());
    let mut resources = Resources::<512, 512, 512>::new();
    let mut device = Device::new(serial(), "sig", &mut resources, 42, world.clone());
    let (client, runner) = device.split(SerialPort::new(Half(world.clone()), Half(world.clone())));
    world.run_one(runner.run(async |events| script(client, events).await));
}

/// Noise in both directions, lost bytes and a hub that starts anew: each message arrives once and in order.
#[test]
fn a_serial_line_with_noise_and_losses() {
    let world = World::new();
    let received = RefCell::new(Vec::new());
    on_serial(&world, async |client, mut events| {
        world.noise(&[0x55; 70]);
        let take = |event: Event<'_>| received.borrow_mut().extend(delivered(&event));
        events.until(client.login(), take).await.expect("let in");
        events
            .until(client.wait_until_ready(), take)
            .await
            .expect("ready");
        for number in 0..30_usize {
            world.hub.borrow_mut().bob_says(&format!("b{number}"));
            let text = format!("k{number}");
            let mut message = client.create_text_message(bob(), &text).expect("a message");
            match number % 5 {
                1 => world.noise(b"\0noise\0\xff\x01\0"),
                2 => world.lose_up.set(number),
                3 => world.lose_down.set(number),
                4 => world.read_errors.set(5),
                _ => {}
            }
            events
                .until(client.send_message(&mut message), take)
                .await
                .expect("sent");
        }
        while received.borrow().len() < 30 {
            take(events.next_event().await);
        }
    });
    let expected: Vec<_> = (0..30).map(|number| format!("b{number}")).collect();
    assert_eq!(*received.borrow(), expected);
    let expected: Vec<_> = (0..30).map(|number| format!("k{number}")).collect();
    assert_eq!(world.hub.borrow().texts_of_kiosk(), expected);
    assert!(world.hub.borrow().logins() > 5, "the losses did not hurt");
}

/// The largest frame is what fits beside the framing, so a piece of a stub is as long as can be had.
#[test]
fn a_stub_is_fetched_over_a_serial_line() {
    let world = World::new();
    let long = "long ".repeat(2_400);
    on_serial(&world, async |client, mut events| {
        log_in(client, &mut events).await;
        world.hub.borrow_mut().bob_says(&long);
        while delivered(&events.next_event().await).is_none() {}
        let (mut payload, mut pieces) = (Vec::new(), 0);
        while payload.len() < 12_002 {
            let offset = payload.len() as u32;
            let piece = client.fetch(bob(), 1, offset, |piece| payload.extend_from_slice(piece.bytes));
            events.until(piece, |_| {}).await.expect("a piece");
            pieces += 1;
        }
        assert_eq!(&payload[2..], long.as_bytes());
        assert!(pieces < 28, "{pieces} pieces");
    });
    assert_eq!(world.hub.borrow().logins(), 1);
}

/// Ever the same pseudo-random numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }
}

/// Whatever a serial line feeds the device, it goes on, and logs in as soon as it can.
#[test]
fn two_hundred_thousand_bytes_of_noise() {
    let world = World::new();
    let mut random = Random(0x0dd_ba11);
    world.capacity.set(usize::MAX);
    on_serial(&world, async |client, mut events| {
        let noise = async {
            for _ in 0..2_000 {
                // Every third byte or so is one that means something on the line.
                let bytes: [u8; 100] = std::array::from_fn(|_| match random.below(3) {
                    0 => [0, 1, 2, 0xff][random.below(4)],
                    _ => random.below(256) as u8,
                });
                world.noise(&bytes);
                world.read_errors.set(random.below(40));
                world.sleep(Duration::from_millis(5)).await;
            }
        };
        let login = async {
            client.login().await.expect("let in");
            client.wait_until_ready().await.expect("ready");
        };
        events.until(join(noise, login), |_| {}).await;
        events
            .until(client.wait_until_ready(), |_| {})
            .await
            .expect("still, or again");
        let mut message = client
            .create_text_message(bob(), "still here")
            .expect("a message");
        events
            .until(client.send_message(&mut message), |_| {})
            .await
            .expect("sent");
    });
    assert_eq!(world.hub.borrow().texts_of_kiosk(), ["still here"]);
}

/// Lines of any width that are cut again and again, between two tasks.
#[test]
fn random_lines_with_cuts() {
    const COUNT: usize = 25;
    for seed in 1..=60 {
        let (world, mut random) = (World::new(), Random(seed * 0x9e37_79b9));
        let mut resources = Resources::<512, 512, 512>::new();
        // The line never has a minute of peace, so the waits stay long: they must be shorter than a request's time.
        let mut config = config();
        config.backoff_max = Duration::from_secs(2);
        let mut device = Device::new(config, "sig", &mut resources, seed, world.clone());
        let (client, runner) = device.split(Wire(world.clone()));
        let received = RefCell::new(Vec::new());
        let sender = async {
            client.login().await.expect("let in");
            client.wait_until_ready().await.expect("ready");
            for number in 0..COUNT {
                world.capacity.set(1 + random.below(150));
                world.portion.set(1 + random.below(70));
                world.connect_polls.set(random.below(5) as u32);
                if random.below(3) == 0 {
                    world.cut_after.set(Some(random.below(250)));
                    world.connects_failing.set(random.below(3) as u32);
                }
                world.hub.borrow_mut().bob_says(&format!("b{number}"));
                let text = format!("k{number}");
                let mut message = client.create_text_message(bob(), &text).expect("a message");
                // A line that is cut again and again makes the waits between two tries longer than a request's time-out, and
                // the device is not ready meanwhile. The same message again is the same message.
                while let Err(error) = client.send_message(&mut message).await {
                    assert!(matches!(error, Error::TimedOut | Error::NotReady(_)), "{error:?}");
                    client.wait_until_ready().await.expect("ready again");
                }
            }
            while received.borrow().len() < COUNT {
                world.sleep(Duration::from_millis(100)).await;
            }
        };
        let receiver = runner.run(async |mut events| {
            loop {
                let text = delivered(&events.next_event().await);
                received.borrow_mut().extend(text);
            }
        });
        world.run(vec![Box::pin(sender), Box::pin(receiver)]);
        let numbered = |letter| {
            (0..COUNT)
                .map(|number| format!("{letter}{number}"))
                .collect::<Vec<_>>()
        };
        assert_eq!(*received.borrow(), numbered('b'), "seed {seed}");
        assert_eq!(world.hub.borrow().texts_of_kiosk(), numbered('k'), "seed {seed}");
        assert!(world.hub.borrow().logins() > 1, "seed {seed}: no cut");
    }
}

/// The harness's own deadline.
#[test]
#[should_panic(expected = "it never ends")]
fn a_test_that_waits_for_what_never_comes_fails_and_does_not_hang() {
    let world = World::new();
    world.run_one(async {
        loop {
            world.sleep(Duration::from_secs(1)).await;
        }
    });
}
