//! Clocks on counters that wrap.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use embassy_futures::select::{Either, select};
use tim_transport_embedded::{Clock, Counter, Device, Event, Instant, NetState, Resources, WideningClock};

use crate::hub::bob;
use crate::support::{config, log_in, when_ready};
use crate::world::{Wire, World};

const TURN: u64 = 1 << 32;

/// A counter set by the test, and how long it was last waited on.
#[derive(Default)]
struct Set {
    ticks: Cell<u64>,
    waits: Cell<u32>,
    longest: Cell<u32>,
    /// By how much each wait is late.
    late: u64,
}

impl Counter for &Set {
    fn count(&self) -> u32 {
        self.ticks.get() as u32
    }
    async fn wait(&self, ticks: u32) {
        self.ticks.set(self.ticks.get() + u64::from(ticks) + self.late);
        self.waits.set(self.waits.get() + 1);
        self.longest.set(self.longest.get().max(ticks));
    }
}

/// A world's time as a board counts it: microseconds, from shortly before the first wrap.
struct Board(World);

impl Board {
    const START: u64 = TURN - 30_000_000;
}

impl Counter for Board {
    fn count(&self) -> u32 {
        (self.0.now.get() + Self::START) as u32
    }
    async fn wait(&self, ticks: u32) {
        self.0.sleep(Duration::from_micros(ticks.into())).await;
    }
}

fn done<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits for nobody"),
    }
}

#[test]
fn a_counter_that_wraps_gives_a_time_that_goes_on() {
    let counter = Set::default();
    let (millis, micros) = (
        WideningClock::of_millis(&counter),
        WideningClock::of_micros(&counter),
    );
    for step in 0..40 {
        // A little less than half a turn each time, so that reads fall before, on and behind the wraps.
        let ticks = step * (TURN / 2 - 1);
        counter.ticks.set(ticks);
        for _ in 0..2 {
            assert_eq!(millis.now(), Instant::from_millis(ticks));
            assert_eq!(micros.now(), Instant::from_micros(ticks));
        }
    }
}

#[test]
fn the_last_tick_of_a_turn_and_the_first_of_the_next_are_one_apart() {
    let counter = Set::default();
    let clock = WideningClock::of_millis(&counter);
    counter.ticks.set(TURN / 2 - 1);
    clock.now();
    counter.ticks.set(TURN - 1);
    let before = clock.now();
    counter.ticks.set(TURN);
    assert_eq!(clock.now() - before, Duration::from_millis(1));
}

#[test]
fn a_counter_that_reads_less_than_before_does_not_turn_the_time_back_or_far_ahead() {
    let counter = Set::default();
    let clock = WideningClock::of_micros(&counter);
    counter.ticks.set(1_000_000);
    let before = clock.now();
    counter.ticks.set(999_990);
    assert_eq!(clock.now(), before);
    counter.ticks.set(1_000_500);
    assert_eq!(clock.now() - before, Duration::from_micros(510));
}

#[test]
fn a_clock_that_was_not_read_for_many_turns_has_lost_them_and_goes_on() {
    let counter = Set::default();
    let clock = WideningClock::of_millis(&counter);
    counter.ticks.set(500);
    for (asleep, seen) in [(7 * TURN + 20, 20), (TURN - 1, 0), (TURN / 2, 0)] {
        let before = clock.now();
        counter.ticks.set(counter.ticks.get() + asleep);
        let woken = clock.now();
        assert_eq!(woken - before, Duration::from_millis(seen));
        counter.ticks.set(counter.ticks.get() + 10);
        assert_eq!(clock.now() - woken, Duration::from_millis(10));
    }
}

#[test]
fn a_wait_over_several_wraps_reads_the_counter_often_enough_and_ends_on_time() {
    // Each wait comes back up to a quarter of a turn late.
    for late in [0, 1, 1_000, TURN / 4 - 1] {
        let counter = Set {
            late,
            ..Set::default()
        };
        let clock = WideningClock::of_micros(&counter);
        let moment = Instant::from_micros(5 * TURN + 12_345);
        done(clock.wait_until(moment));
        assert!(clock.now() >= moment);
        assert_eq!(clock.now().as_micros(), counter.ticks.get(), "nothing is lost");
        assert!(counter.ticks.get() <= moment.as_micros() + late);
        assert!(u64::from(counter.longest.get()) <= TURN / 4);
        done(clock.wait_until(moment)); // it is past
        assert_eq!(clock.now().as_micros(), counter.ticks.get());
    }
    let counter = Set::default();
    let clock = WideningClock::of_millis(&counter);
    done(clock.wait_until(Instant::from_micros(1_500)));
    assert_eq!((counter.ticks.get(), counter.waits.get()), (2, 1), "never early");
    done(clock.wait_until(Instant::from_millis(3 * TURN)));
    assert_eq!(clock.now(), Instant::from_millis(3 * TURN));
}

/// The counter wraps 30 seconds in, and five times more before the line goes dead.
#[test]
fn a_device_on_a_counter_that_wraps_stays_connected_and_still_notices_a_dead_line() {
    let world = World::new();
    let mut resources = Resources::<512, 512, 512>::new();
    let clock = WideningClock::of_micros(Board(world.clone()));
    let mut device = Device::new(config(), "sig", &mut resources, 42, clock);
    let (client, runner) = device.split(Wire(world.clone()));
    world.run_one(runner.run(async |mut events| {
        log_in(client, &mut events).await;
        let six_hours = world.sleep(Duration::from_secs(6 * 3600));
        let alone = events.until(six_hours, |event| {
            assert!(!matches!(event, Event::NetState(_)), "{event:?}");
        });
        alone.await;
        world.lose_up.set(usize::MAX);
        world.lose_down.set(usize::MAX);
        let patience = world.sleep(Duration::from_secs(180));
        let lost =
            async { while !matches!(events.next_event().await, Event::NetState(NetState::Disconnected)) {} };
        assert!(
            matches!(select(lost, patience).await, Either::First(())),
            "a dead line is noticed"
        );
    }));
    assert_eq!(world.connects.get(), 1);
}

/// Milliseconds and microseconds of any counter of 64 bits.
#[test]
fn a_device_works_wherever_its_clock_begins() {
    for start in [0, (1 << 63) - 1, 1 << 63, u64::MAX - (1 << 40)] {
        let world = World::new();
        world.now.set(start);
        when_ready(&world, async |client, mut events| {
            for number in 0..3 {
                let text = number.to_string();
                let before = world.now.get();
                let mut message = client.create_text_message(bob(), &text).expect("a message");
                let sent = events.until(client.send_message(&mut message), |_| {});
                sent.await.expect("sent");
                // Past the keepalive, which must not take the line for dead.
                let pause = world.sleep(Duration::from_secs(100));
                events.until(pause, |_| {}).await;
                assert!(world.now.get() >= before + 100_000_000, "from {start}");
            }
            assert_eq!(world.connects.get(), 1, "from {start}");
        });
        assert_eq!(world.hub.borrow().texts_of_kiosk(), ["0", "1", "2"]);
    }
}

#[test]
fn a_clock_that_is_set_back_stands_still_for_a_moment_and_goes_on() {
    let world = World::new();
    world.now.set(1 << 50);
    when_ready(&world, async |client, mut events| {
        let before = client.create_text_message(bob(), "before").expect("a message");
        world.now.set(1_000_000);
        let back = client.create_text_message(bob(), "back").expect("a message");
        assert_eq!(back.envelope.time, before.envelope.time);
        let pause = world.sleep(Duration::from_secs(100));
        events
            .until(pause, |event| {
                assert!(!matches!(event, Event::NetState(_)), "{event:?}")
            })
            .await;
        let mut after = client.create_text_message(bob(), "after").expect("a message");
        assert_eq!(after.envelope.time, before.envelope.time + 100, "it goes on");
        let sent = events.until(client.send_message(&mut after), |_| {});
        sent.await.expect("sent");
        world.lose_up.set(usize::MAX);
        world.lose_down.set(usize::MAX);
        let patience = world.sleep(Duration::from_secs(180));
        let lost =
            async { while !matches!(events.next_event().await, Event::NetState(NetState::Disconnected)) {} };
        assert!(
            matches!(select(lost, patience).await, Either::First(())),
            "a dead line is noticed"
        );
    });
}
