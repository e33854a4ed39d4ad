//! Serial lines that are noisy, pulled and restarted at both ends, in virtual time. Every failure names its seed.

use std::time::Duration;

use tim_session::{ClientConfig, Framing, RequestId};
use tim_testkit::{End, Faults, Observed, Rng, World};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

fn serial(config: &mut ClientConfig) {
    config.framing = Framing::Serial;
    config.max_frame = 512;
    config.window = 2;
    config.backoff_max = 2 * SECOND;
    config.request_timeout = HOUR;
}

fn ready(world: &World) -> bool {
    world.devices().iter().all(|device| device.session().is_ready())
}

/// alice on a serial line, bob on a stream.
fn kiosk_and_phone(seed: u64, faults: Faults) -> World {
    let mut world = World::new(seed, faults);
    world.add_device("alice", serial);
    world.add_device("bob", |config| config.request_timeout = HOUR);
    assert!(world.run_until(HOUR, ready), "seed {seed}: not ready");
    world
}

/// What has been said by each, and what must come of it.
struct Talk {
    seed: u64,
    tickets: [Vec<RequestId>; 2],
    texts: [Vec<String>; 2],
}

impl Talk {
    fn new(seed: u64) -> Self {
        Self {
            seed,
            tickets: Default::default(),
            texts: Default::default(),
        }
    }

    fn say(&mut self, world: &mut World, from: usize) {
        let text = format!("{} of {from}", self.texts[from].len());
        let to = ["C2Cbob", "C2Calice"][from];
        let mut sent = world.send(from, to, &text);
        for _ in 0..HOUR.as_secs() {
            match sent {
                Ok(ticket) => {
                    self.tickets[from].push(ticket);
                    return self.texts[from].push(text);
                }
                Err(_) => world.run_for(SECOND), // the outbox is full, or it is not ready after a long cut
            }
            sent = world.send(from, to, &text);
        }
        panic!("seed {}: {text} is never taken", self.seed);
    }

    /// Everything arrives, once and in order, and all is quiet then. (This hub gives devices their own messages too.)
    fn ends_well(&self, world: &mut World) {
        let seed = self.seed;
        let said = self.texts[0].len() + self.texts[1].len();
        let all_there = |world: &World| {
            let has_all = |at: usize| {
                let device = world.device(at);
                device.texts().len() == said && device.session().pending() == 0
            };
            ready(world) && has_all(0) && has_all(1)
        };
        for _ in 0..HOUR.as_secs() {
            if all_there(world) {
                break;
            }
            world.run_for(SECOND);
        }
        assert!(
            all_there(world),
            "seed {seed}: {:?} of {said}",
            [0, 1].map(|at| world.device(at).texts().len())
        );
        world.run_for(100 * SECOND); // nothing comes twice afterwards
        let stored = world.hub().texts("alice", "C2Cbob");
        for at in 0..2 {
            let from = format!(" of {at}");
            let mine: Vec<_> = stored.iter().filter(|text| text.ends_with(&from)).collect();
            assert_eq!(mine, self.texts[at].iter().collect::<Vec<_>>(), "seed {seed}");
            assert_eq!(world.device(at).texts(), stored, "seed {seed}: device {at}");
            for ticket in &self.tickets[at] {
                let outcomes = world.device(at).outcomes(*ticket);
                assert!(
                    matches!(outcomes[..], [Observed::Answered { .. }]),
                    "seed {seed}: {outcomes:?}"
                );
            }
        }
        assert_eq!(world.hub().connections(), 2, "seed {seed}");
        let (up, down) = (
            world.device(0).session().outgoing(),
            world.device(1).session().outgoing(),
        );
        assert!(up.is_empty() && down.is_empty(), "seed {seed}");
    }
}

#[test]
fn a_thousand_messages_each_way_survive_twenty_cuts() {
    for seed in 0..3 {
        let mut world = kiosk_and_phone(seed, Faults::noisy(0));
        let (mut talk, mut rng, mut cuts) = (Talk::new(seed), Rng::new(!seed), 0);
        for n in 0..1000 {
            talk.say(&mut world, 0);
            talk.say(&mut world, 1);
            world.run_for(Duration::from_millis(rng.within(0..100)));
            if n % 50 == 49 {
                world.pull(0, Duration::from_millis(rng.within(0..8000)));
                cuts += 1;
            }
        }
        assert_eq!(cuts, 20);
        talk.ends_well(&mut world);
        let ended = world.hub().statistics().serial_sessions;
        assert!((10..=60).contains(&ended), "seed {seed}: {ended} sessions ended");
    }
}

#[test]
fn noise_costs_logins_but_no_message() {
    let mut sessions = 0;
    for seed in 0..50 {
        let mut world = kiosk_and_phone(seed, Faults::noisy(20));
        let (mut talk, mut rng) = (Talk::new(seed), Rng::new(!seed));
        for _ in 0..60 {
            talk.say(&mut world, rng.within(0..2) as usize);
            world.run_for(Duration::from_millis(rng.within(0..1500)));
        }
        talk.ends_well(&mut world);
        sessions += world.hub().statistics().serial_sessions;
    }
    assert!(sessions > 150, "{sessions} sessions: the noise is too little");
}

#[test]
fn restarts_of_the_hub_and_of_the_device_lose_nothing_that_was_stored() {
    for seed in 0..50 {
        let mut world = kiosk_and_phone(seed, Faults::noisy(2));
        let (mut talk, mut rng) = (Talk::new(seed), Rng::new(!seed));
        for n in 0..40 {
            talk.say(&mut world, 1);
            world.run_for(Duration::from_millis(rng.within(0..700)));
            match n % 8 {
                3 => world.restart_hub(),
                7 => world.reset_device(0),
                _ => {}
            }
        }
        talk.ends_well(&mut world);
    }
}

/// A lost packet is noticed within seconds, though nobody says anything more.
#[test]
fn after_a_short_cut_all_is_there_again_within_seconds() {
    let mut worst = Duration::ZERO;
    for seed in 0..200 {
        let mut world = kiosk_and_phone(seed, Faults::noisy(0));
        let (mut talk, mut rng) = (Talk::new(seed), Rng::new(!seed));
        world.run_for(5 * SECOND);
        talk.say(&mut world, (seed % 2) as usize);
        world.run_for(Duration::from_micros(rng.within(0..60_000)));
        world.pull(0, Duration::from_millis(rng.within(1..500)));
        let at = world.now();
        let (to, from) = (1 - (seed % 2) as usize, (seed % 2) as usize);
        let there = |world: &World| {
            world.device(to).texts().len() == 1
                && world.device(from).texts().len() == 1
                && world.device(from).session().pending() == 0
        };
        assert!(world.run_until(HOUR, there), "seed {seed}");
        worst = worst.max(world.now().since(at));
        talk.ends_well(&mut world);
    }
    assert!(worst < 8 * SECOND, "{worst:?}");
}

#[test]
fn a_quiet_line_stays_quiet() {
    let mut world = kiosk_and_phone(1, Faults::noisy(0));
    world.run_for(10 * SECOND);
    let (connects, mut busy) = (world.device(0).connects().len(), 0);
    for _ in 0..600 {
        world.run_for(SECOND);
        busy += usize::from(!world.is_quiet());
    }
    assert!(busy <= 30, "busy in {busy} of 600 moments");
    assert_eq!(world.device(0).connects().len(), connects);
}

/// A megabyte of anything at both ends, from a line that was logged in and from one that was not: login works afterwards,
/// and what came meanwhile is there.
#[test]
fn a_megabyte_of_garbage_is_no_reason_to_stop() {
    for seed in 0..8 {
        let mut world = match seed % 2 {
            0 => kiosk_and_phone(seed, Faults::noisy(0)),
            _ => {
                let mut world = World::new(seed, Faults::noisy(0));
                world.add_device("alice", serial);
                world.add_device("bob", |_| {});
                world.run_for(Duration::from_millis(1));
                world
            }
        };
        let mut rng = Rng::new(!seed);
        for _ in 0..256 {
            // With zeros as often as in any data, or hardly any.
            let least = rng.within(0..2);
            let noise: Vec<u8> = (0..4096).map(|_| rng.within(least..256) as u8).collect();
            world.disturb(0, End::Device, &noise);
            world.disturb(0, End::Hub, &noise);
            world.run_for(Duration::from_millis(rng.within(0..200)));
        }
        assert!(world.run_until(60 * SECOND, ready), "seed {seed}: no login");
        let mut talk = Talk::new(seed);
        (0..10).for_each(|n| talk.say(&mut world, n % 2));
        talk.ends_well(&mut world);
        assert!(world.is_quiet(), "seed {seed}: something is left on a line");
    }
}
