//! Faults that were reported of other clients for devices, tried on this one. The comments name the reports.

use std::time::Duration;

use tim_session::proto::ErrorCode;
use tim_session::proto::request::Conversations;
use tim_transport_embedded::{ClientConfig, Clock as _, Error, Event, NetState, PolledDevice, Resources};

use crate::hub::bob;
use crate::polled::{Device, Line, Time, log_in};
use crate::support::config;
use crate::world::{World, delivered};

fn with_device(config: ClientConfig, script: impl FnOnce(&World, Device<'_, Line>)) {
    let world = World::new();
    let mut resources = Resources::<512, 512, 512>::new();
    let (line, time) = (Line(world.clone()), Time(world.clone()));
    script(
        &world,
        PolledDevice::new(config, "sig", &mut resources, 42, line, time),
    );
}

/// Polls the device for so long, and returns how often the connection was lost.
fn run(world: &World, device: &mut Device<'_, Line>, time: Duration) -> u32 {
    let (until, mut lost) = (world.now() + time, 0);
    while world.now() < until {
        match device.poll() {
            Some(event) => lost += u32::from(matches!(event, Event::NetState(NetState::Disconnected))),
            None => world.idle(Some(device.next_wakeup().map_or(until, |wake| wake.min(until)))),
        }
    }
    lost
}

/// eclipse-paho/paho.mqtt.python#24: with as many messages under way as may be, nothing is sent any more after a reconnect.
#[test]
fn a_full_outbox_is_sent_after_a_cut_and_takes_more_then() {
    let mut config = config();
    config.max_pending = 2;
    with_device(config, |world, mut device| {
        log_in(&mut device);
        world.cut();
        for _ in 0..2 {
            device.request(&Conversations::new()).expect("there is room");
        }
        assert_eq!(device.request(&Conversations::new()), Err(Error::Busy));
        let mut answered = 0;
        while answered < 2 {
            match device.poll() {
                Some(event) => answered += u32::from(matches!(event, Event::Response { .. })),
                None => world.idle(device.next_wakeup()),
            }
        }
        let mut message = device.create_text_message(bob(), "more").expect("a message");
        device.send_message(&mut message, |_| {}).expect("stored");
        assert_eq!(world.hub.borrow().texts_of_kiosk(), ["more"]);
    });
}

/// espressif/esp-idf#5668: what is said while there is no connection fills the memory.
#[test]
fn a_long_time_without_a_hub_fails_calls_and_fills_nothing() {
    with_device(config(), |world, mut device| {
        log_in(&mut device);
        world.connects_failing.set(u32::MAX);
        world.cut();
        let mut errors = Vec::new();
        for _ in 0..20 {
            let mut message = device.create_text_message(bob(), "lost").expect("a message");
            errors.extend(device.send_message(&mut message, |_| {}).err());
            assert_eq!(device.session().pending(), 0);
            run(world, &mut device, Duration::from_secs(5));
        }
        assert_eq!(errors.first(), Some(&Error::TimedOut));
        assert_eq!(errors.last(), Some(&Error::NotReady(ErrorCode::SDK_IS_NOT_READY)));
        assert_eq!(errors.len(), 20);
        world.connects_failing.set(0);
        device.wait_until_ready(|_| {}).expect("it has come back");
    });
}

/// eclipse-paho/paho.mqtt.embedded-c#239 and #122: a program that was away for longer than the keepalive loses its connection when it looks
/// twice at once.
#[test]
fn a_program_that_was_away_for_long_keeps_its_connection() {
    with_device(config(), |world, mut device| {
        log_in(&mut device);
        for _ in 0..3 {
            world.now.set(world.now.get() + 3_600_000_000);
            for _ in 0..3 {
                while device.poll().is_some() {}
            }
            assert_eq!(run(world, &mut device, Duration::from_secs(60)), 0);
        }
        assert_eq!(world.connects.get(), 1);
    });
}

/// knolleary/pubsubclient#802: the question that was not answered on the last connection ends the next one.
#[test]
fn a_ping_without_an_answer_does_not_outlive_its_connection() {
    with_device(config(), |world, mut device| {
        log_in(&mut device);
        world.lose_up.set(usize::MAX);
        world.lose_down.set(usize::MAX);
        while world.connects.get() < 2 {
            run(world, &mut device, Duration::from_secs(1));
        }
        world.lose_up.set(0);
        world.lose_down.set(0);
        device.wait_until_ready(|_| {}).expect("it has come back");
        run(world, &mut device, Duration::from_secs(60));
        let connects = world.connects.get();
        assert_eq!(run(world, &mut device, Duration::from_secs(600)), 0);
        assert_eq!(world.connects.get(), connects);
    });
}

/// 256dpi/arduino-mqtt#144: a keepalive of more than 86 seconds overflows.
#[test]
fn a_keepalive_of_a_day_asks_once_a_day() {
    let mut config = config();
    config.keep_alive = Duration::from_secs(86_400);
    with_device(config, |world, mut device| {
        log_in(&mut device);
        let before = device.stats().frames_sent;
        // The hub asks, too, and each PONG is a sign of life.
        world.hub.borrow_mut().bob_says("one");
        assert_eq!(run(world, &mut device, Duration::from_secs(3 * 86_400)), 0);
        let sent = device.stats().frames_sent - before;
        let asked_by_hub = 3 * 86_400 / 75 + 1;
        assert!(sent <= asked_by_hub + 4, "{sent} frames");
    });
}

/// eclipse-paho/paho.mqtt.c#284, #646 and #920: nothing is tried any more when the time of day is set back while there is no connection.
#[test]
fn a_device_that_waits_to_reconnect_goes_on_when_its_clock_is_set_back() {
    with_device(config(), |world, mut device| {
        world.now.set(1 << 50);
        log_in(&mut device);
        world.connects_failing.set(3);
        world.cut();
        run(world, &mut device, Duration::from_millis(300));
        world.now.set(1_000_000);
        let mut heard = Vec::new();
        let until = world.now() + Duration::from_secs(60);
        world.hub.borrow_mut().bob_says("after");
        while heard.is_empty() && world.now() < until {
            match device.poll() {
                Some(event) => heard.extend(delivered(&event)),
                None => world.idle(device.next_wakeup()),
            }
        }
        assert_eq!(heard, ["after"]);
    });
}
