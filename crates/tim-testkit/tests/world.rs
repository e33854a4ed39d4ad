//! What the two ends promise together, over lines that break. Every failure names its seed, and the seed repeats it.

use std::time::Duration;

use tim_session::proto::request::{Fetch, History};
use tim_session::proto::{ConversationId, ErrorCode, UserId};
use tim_session::{NetState, NotReadyReason, RequestId};
use tim_testkit::{Faults, Observed, Rng, World};

const SECOND: Duration = Duration::from_secs(1);

fn ready(world: &World) -> bool {
    world.devices().iter().all(|device| device.session().is_ready())
}

fn two_devices(seed: u64, faults: Faults) -> World {
    let mut world = World::new(seed, faults);
    world.add_device("alice", |_| {});
    world.add_device("bob", |_| {});
    assert!(world.run_until(3600 * SECOND, ready), "seed {seed}: not ready");
    world
}

/// Sends again what failed, as the same message, until it is answered.
fn send_until_stored(world: &mut World, number: usize, conversation: &str, text: &str, count: u64) {
    for _ in 0..100 {
        assert!(world.run_until(3600 * SECOND, |world| world.device(number).session().is_ready()));
        let Ok(ticket) = world.send_numbered(number, conversation, text, count) else {
            continue;
        };
        world.run_until(20 * SECOND, |world| {
            !world.device(number).outcomes(ticket).is_empty()
        });
        match world.device(number).outcomes(ticket)[..] {
            [Observed::Answered { .. }] => return,
            [
                Observed::Failed {
                    code: ErrorCode::NETWORK_TIMEOUT,
                    ..
                },
            ] => {}
            ref other => panic!("{other:?}"),
        }
    }
    panic!("{text} was never stored");
}

/// A device is cut off at a random byte, again and again, while messages come and go: in the end every device has seen
/// every message once and in order, and every message is stored once.
#[test]
fn devices_cut_off_at_random_bytes_see_every_message_once_and_in_order() {
    for seed in 0..300 {
        let mut world = World::new(seed, Faults::breaking(12));
        let mut rng = Rng::new(!seed);
        world.add_group("team", &["alice", "bob", "carol"]);
        let alice = world.add_device("alice", |config| config.window = 2);
        let phone = world.add_device("bob", |config| config.window = 5);
        let desk = world.add_device("bob", |_| {});
        let carol = world.add_device("carol", |config| config.window = 1);

        let mut expected: [Vec<String>; 2] = Default::default();
        for n in 1..=15 {
            let to_team = n % 3 == 0;
            let (sender, text) = (if n % 2 == 0 { alice } else { carol }, format!("message {n}"));
            let conversation = match (to_team, sender == alice) {
                (true, _) => "GROUPteam",
                (false, true) => "C2Cbob",
                (false, false) => "GROUPteam",
            };
            expected[usize::from(conversation == "GROUPteam")].push(text.clone());
            send_until_stored(&mut world, sender, conversation, &text, n);
            world.run_for(Duration::from_millis(rng.within(0..3000)));
        }
        let [c2c, team] = expected;
        let all_there = |world: &World| {
            let got = |number: usize| world.device(number).texts().len();
            ready(world)
                && got(alice) == 15
                && got(phone) == 15
                && got(desk) == 15
                && got(carol) == team.len()
        };
        assert!(
            world.run_until(600 * SECOND, all_there),
            "seed {seed}: {:?}",
            world.device(phone).texts()
        );
        world.run_for(120 * SECOND); // nothing comes twice afterwards
        assert!(all_there(&world), "seed {seed}: something came twice");
        for device in world.devices() {
            assert_eq!(device.check_order(), Ok(()), "seed {seed}");
        }
        let texts = world.device(phone).texts();
        let of = |wanted: &[String]| wanted.iter().all(|text| texts.contains(&text.as_str()));
        assert!(of(&c2c) && of(&team), "seed {seed}");
        assert_eq!(world.hub().texts("alice", "C2Cbob"), c2c, "seed {seed}");
        assert_eq!(world.hub().texts("alice", "GROUPteam"), team, "seed {seed}");
        assert!(
            world.hub().statistics().most_in_flight <= 64,
            "seed {seed}: more than any window"
        );
        assert!(
            world.hub().connections() <= 4,
            "seed {seed}: old connections stay"
        );
    }
}

/// Bursts without waiting for answers: each request has exactly one outcome, and what was answered is stored.
#[test]
fn every_request_has_exactly_one_outcome() {
    for seed in 0..200 {
        let mut world = two_devices(seed, Faults::NONE);
        world.set_faults(Faults {
            cut_after: 0..700,
            ..Faults::breaking(8)
        });
        world.cut(0, seed % 4 == 0);
        let mut tickets: Vec<(RequestId, String)> = Vec::new();
        for n in 0..40 {
            let text = format!("burst {n}");
            if let Ok(ticket) = world.send(0, "C2Cbob", &text) {
                tickets.push((ticket, text));
            }
            world.run_for(Duration::from_millis(n * 7 % 300));
        }
        world.run_for(60 * SECOND);
        assert!(tickets.len() > 10, "seed {seed}");
        let stored = world.hub().texts("alice", "C2Cbob");
        for (ticket, text) in &tickets {
            let entries = stored.iter().filter(|other| *other == text).count();
            match world.device(0).outcomes(*ticket)[..] {
                [Observed::Answered { .. }] => assert_eq!(entries, 1, "seed {seed}: {text} was answered"),
                [
                    Observed::Failed {
                        code: ErrorCode::NETWORK_TIMEOUT,
                        ..
                    },
                ] => assert!(entries <= 1, "seed {seed}"),
                ref other => panic!("seed {seed}: {other:?}"),
            }
        }
        assert_eq!(world.device(0).session().pending(), 0);
        assert_eq!(world.device(1).check_order(), Ok(()), "seed {seed}");
        assert_eq!(world.device(1).texts(), stored, "seed {seed}");
    }
}

#[test]
fn a_message_whose_answer_was_lost_is_sent_again_and_stored_once() {
    let mut duplicates = 0;
    for seed in 0..100 {
        let mut world = two_devices(
            seed,
            Faults {
                delay_us: 20_000..20_001,
                ..Faults::NONE
            },
        );
        let ticket = world.send(0, "C2Cbob", "once").unwrap();
        // The request arrives after 20 ms, its answer after 40: in between the line breaks.
        world.run_for(Duration::from_micros(20_500 + seed * 150));
        world.cut_for_device_only(0);
        world.run_for(30 * SECOND);
        let Observed::Answered { duplicate, .. } = world.device(0).outcomes(ticket)[0] else {
            panic!("seed {seed}")
        };
        duplicates += usize::from(*duplicate);
        assert_eq!(world.device(0).outcomes(ticket).len(), 1, "seed {seed}");
        assert_eq!(world.hub().texts("alice", "C2Cbob"), ["once"], "seed {seed}");
        assert_eq!(world.device(1).texts(), ["once"], "seed {seed}");
        // The application sends the same message again, long after.
        let again = world.send_numbered(0, "C2Cbob", "once", 1).unwrap();
        world.run_for(SECOND);
        let answered = world.device(0).outcomes(again);
        assert!(
            matches!(answered[..], [Observed::Answered { duplicate: true, .. }]),
            "seed {seed}: {answered:?}"
        );
        // Another message under the same id is not that message.
        let other = world.send_numbered(0, "C2Cbob", "twice", 1).unwrap();
        world.run_for(SECOND);
        let refused = world.device(0).outcomes(other);
        let code = ErrorCode::MESSAGE_ID_REUSED;
        assert_eq!(
            refused,
            [&Observed::Failed { ticket: other, code }],
            "seed {seed}"
        );
        assert_eq!(world.hub().texts("alice", "C2Cbob"), ["once"], "seed {seed}");
    }
    assert!(
        duplicates > 90,
        "the hub had the message before in {duplicates} of 100 runs"
    );
}

#[test]
fn a_window_is_never_exceeded_however_much_waits() {
    for window in [1, 2, 7] {
        let mut world = World::new(u64::from(window), Faults::NONE);
        let alice = world.add_device("alice", |_| {});
        assert!(world.run_until(10 * SECOND, ready));
        for n in 0..200 {
            send_until_stored(&mut world, alice, "C2Cbob", &n.to_string(), n + 1);
        }
        assert!(world.hub().statistics().most_in_flight <= 64);
        // A device that comes later has all of it to catch up with, through a window of its own.
        let mut world = catch_up_alone(world, window);
        world.run_for(SECOND);
        assert_eq!(world.device(1).texts().len(), 200);
        assert_eq!(world.device(1).check_order(), Ok(()));
    }
}

fn catch_up_alone(mut world: World, window: u16) -> World {
    world.with_session(0, |session, now| session.logout(now));
    world.run_for(SECOND);
    world.reset_most_in_flight();
    world.add_device("bob", |config| config.window = window);
    world.run_until(60 * SECOND, |world| world.device(1).session().is_ready());
    assert_eq!(
        world.hub().statistics().most_in_flight,
        usize::from(window),
        "the window is used, and no more"
    );
    world
}

#[test]
fn a_line_that_died_silently_is_found_out_by_both_ends() {
    let mut world = two_devices(1, Faults::NONE);
    let config = world.device(0).session().config().clone();
    let connects = world.device(0).connects().len();
    world.run_for(300 * SECOND);
    assert_eq!(
        world.device(0).connects().len(),
        connects,
        "signs of life keep a quiet line"
    );

    let at = world.now();
    world.cut(0, true);
    assert!(world.run_until(3600 * SECOND, |world| {
        world.device(0).count(&Observed::Net(NetState::Disconnected)) > 0
    }));
    let took = world.now().since(at);
    assert!(took <= config.keep_alive + config.keep_alive_timeout, "{took:?}");
    world.run_for(100 * SECOND);
    assert!(ready(&world));
    assert_eq!(world.hub().connections(), 2, "the hub has let go of the dead one");
}

/// The hub's old end is alive when the device comes back: it is ended, and nothing is delivered to nowhere.
#[test]
fn a_device_that_comes_back_replaces_its_half_open_connection() {
    for seed in 0..50 {
        let mut world = two_devices(
            seed,
            Faults {
                delay_us: 100..90_000,
                max_fragment: 7,
                ..Faults::NONE
            },
        );
        for n in 1..=20 {
            world.cut_for_device_only(1);
            send_until_stored(&mut world, 0, "C2Cbob", &n.to_string(), n);
            world.run_for(Duration::from_millis(seed * 13 % 700));
        }
        assert!(
            world.run_until(600 * SECOND, |world| world.device(1).texts().len() == 20),
            "seed {seed}"
        );
        assert_eq!(world.device(1).check_order(), Ok(()), "seed {seed}");
        assert!(world.hub().statistics().replaced > 0, "seed {seed}");
        assert_eq!(world.device(1).count(&Observed::Ready), 1, "seed {seed}");
        assert!(
            !world
                .device(1)
                .observed()
                .iter()
                .any(|(_, seen)| matches!(seen, Observed::KickedOut(_))),
            "seed {seed}"
        );
        world.run_for(100 * SECOND);
        assert_eq!(world.hub().connections(), 2, "seed {seed}");
    }
}

/// A device loses its line or its power at any moment, above all while its LOGIN is on its way; what was on its way comes
/// in many seconds later. It is let in all the same, and never ended by what it said itself.
#[test]
fn a_login_that_comes_late_ends_no_newer_session() {
    let (mut late, mut replaced) = (0, 0);
    for seed in 0..100 {
        let faults = Faults {
            delay_us: 1000..100_000,
            late_us: 500_000..9_000_000,
            ..Faults::NONE
        };
        let mut world = World::new(seed, faults);
        let mut rng = Rng::new(!seed);
        world.add_device("alice", |config| config.resume_window = 3600 * SECOND);
        for _ in 0..20 {
            world.run_for(Duration::from_micros(rng.within(0..400_000)));
            world.cut_for_device_only(0);
        }
        world.run_for(60 * SECOND);
        world.cut_for_device_only(0);
        world.run_for(Duration::from_micros(rng.within(0..800_000)));
        world.cut_for_device_only(0);
        world.reset_device(0);
        world.run_for(30 * SECOND);
        assert!(world.run_until(60 * SECOND, ready), "seed {seed}");
        let kicked = |(_, seen): &_| matches!(seen, Observed::KickedOut(_) | Observed::LoginFailed(_));
        assert!(!world.device(0).observed().iter().any(kicked), "seed {seed}");
        world.run_for(100 * SECOND);
        assert!(ready(&world), "seed {seed}");
        assert_eq!(world.hub().connections(), 1, "seed {seed}");
        late += world.hub().statistics().late_logins;
        replaced += world.hub().statistics().replaced;
    }
    assert!(late > 20 && replaced > 20, "{late} late, {replaced} replaced");
}

#[test]
fn two_devices_with_one_number_fight_once_and_not_for_ever() {
    for seed in 0..50 {
        let mut world = World::new(seed, Faults::NONE);
        world.add_device("alice", |config| config.device = 7);
        world.add_device("alice", |config| config.device = 7);
        world.run_for(600 * SECOND);
        let kicked = |number: usize| {
            world
                .device(number)
                .count(&Observed::KickedOut(ErrorCode::SESSION_REPLACED))
        };
        assert_eq!(kicked(0) + kicked(1), 1, "seed {seed}");
        let winner = usize::from(kicked(0) == 1);
        assert!(world.device(winner).session().is_ready(), "seed {seed}");
        let logins = world.device(0).connects().len() + world.device(1).connects().len();
        assert!(logins <= 6, "seed {seed}: {logins} connections");
    }
}

#[test]
fn waits_between_tries_grow_are_capped_and_begin_anew_after_a_minute_of_peace() {
    for seed in 0..20 {
        let mut world = two_devices(seed, Faults::NONE);
        let config = world.device(0).session().config().clone();
        world.set_faults(Faults {
            refuse_percent: 100,
            cuts: u32::MAX,
            ..Faults::breaking(1)
        });
        let before = world.device(0).connects().len();
        world.cut(0, false);
        world.run_for(600 * SECOND);
        let connects = &world.device(0).connects()[before..];
        let waits: Vec<Duration> = connects.windows(2).map(|pair| pair[1].since(pair[0])).collect();
        assert!(waits.len() > 15, "seed {seed}: {waits:?}");
        assert!(
            waits.iter().all(|wait| *wait <= config.backoff_max + SECOND),
            "seed {seed}: {waits:?}"
        );
        assert!(
            waits[0] < SECOND && waits.last().unwrap() >= &(config.backoff_max / 2),
            "seed {seed}: {waits:?}"
        );
        for pair in waits.windows(3) {
            assert!(
                pair[2] > pair[0] || pair[2] >= config.backoff_max / 2,
                "seed {seed}: {waits:?}"
            );
        }
        let lost = Observed::NotReady(NotReadyReason::ConnectionLost);
        assert_eq!(world.device(0).count(&lost), 1, "seed {seed}");

        world.set_faults(Faults::NONE);
        assert!(world.run_until(60 * SECOND, ready), "seed {seed}");
        world.run_for(60 * SECOND);
        let (at, before) = (world.now(), world.device(0).connects().len());
        world.cut(0, false);
        world.run_for(5 * SECOND);
        assert!(
            world.device(0).connects()[before].since(at) < SECOND,
            "seed {seed}: back at once"
        );
    }
}

#[test]
fn short_cuts_leave_the_session_ready_and_a_long_one_does_not() {
    for seed in 0..50 {
        let mut world = two_devices(seed, Faults::NONE);
        for n in 0..10 {
            world.cut(0, false);
            assert!(world.device(0).session().is_ready());
            let ticket = world
                .send(0, "C2Cbob", "during the cut")
                .expect("a short cut is no reason to refuse");
            world.run_for(Duration::from_secs(2 + n));
            assert!(
                matches!(world.device(0).outcomes(ticket)[..], [Observed::Answered { .. }]),
                "seed {seed}"
            );
            world.run_for(60 * SECOND); // so that each is a first one
        }
        let not_ready = |world: &World| {
            world
                .device(0)
                .observed()
                .iter()
                .filter(|(_, seen)| matches!(seen, Observed::NotReady(_)))
                .count()
        };
        assert_eq!(
            (not_ready(&world), world.device(0).count(&Observed::Ready)),
            (0, 1),
            "seed {seed}"
        );

        world.set_faults(Faults {
            refuse_percent: 100,
            cuts: u32::MAX,
            ..Faults::breaking(1)
        });
        world.cut(0, false);
        let window = world.device(0).session().config().resume_window;
        world.run_for(window - SECOND);
        assert_eq!(not_ready(&world), 0, "seed {seed}");
        world.run_for(2 * SECOND);
        assert_eq!(not_ready(&world), 1, "seed {seed}");
        world.set_faults(Faults::NONE);
        assert!(world.run_until(60 * SECOND, ready), "seed {seed}");
        assert_eq!(world.device(0).count(&Observed::Ready), 2, "seed {seed}");
    }
}

/// A device that takes frames of 300 bytes gets a long message as a stub and fetches it in pieces.
#[test]
fn long_messages_reach_a_small_device_in_pieces() {
    let mut world = World::new(
        3,
        Faults {
            max_fragment: 1,
            ..Faults::NONE
        },
    );
    let long = "0123456789".repeat(100);
    world.add_device("alice", |_| {});
    let small = world.add_device("bob", |config| (config.max_frame, config.window) = (300, 2));
    assert!(world.run_until(10 * SECOND, ready));
    send_until_stored(&mut world, 0, "C2Cbob", &long, 1);
    world.run_for(SECOND);
    let stub = world
        .device(small)
        .observed()
        .iter()
        .find_map(|(_, seen)| match seen {
            Observed::Delivered { stub_of, .. } => *stub_of,
            _ => None,
        });
    let total = stub.expect("a stub");
    let mut payload = Vec::new();
    let conversation = ConversationId::C2c(UserId::new("alice").unwrap());
    while payload.len() < total as usize {
        let offset = payload.len() as u32;
        let fetch = Fetch::new(conversation, 1, offset, 200);
        let ticket = world
            .with_session(small, |session, now| session.request(now, &fetch))
            .unwrap();
        world.run_for(SECOND);
        let [
            Observed::Fetched {
                total: all, bytes, ..
            },
        ] = world.device(small).outcomes(ticket.id())[..]
        else {
            panic!()
        };
        assert_eq!(*all, total);
        payload.extend_from_slice(bytes);
    }
    // The payload is the text with its length, two bytes, before it.
    assert!(payload.ends_with(long.as_bytes()) && payload.len() == total as usize && total == 1002);
}

#[test]
fn history_is_paged_backwards_and_strangers_are_refused() {
    let mut world = two_devices(4, Faults::NONE);
    world.add_group("team", &["alice"]);
    for n in 1..=20 {
        send_until_stored(&mut world, 0, "C2Cbob", &n.to_string(), n);
    }
    let history = |next: &'static [u8]| {
        let conversation = ConversationId::C2c(UserId::new("alice").unwrap());
        History::new(conversation).with_next(next).with_count(15)
    };
    let mut pages = Vec::new();
    for next in [&[][..], &[5, 0, 0, 0]] {
        let ticket = world
            .with_session(1, |session, now| session.request(now, &history(next)))
            .unwrap();
        world.run_for(SECOND);
        let [Observed::Answered { texts, .. }] = &world.device(1).outcomes(ticket.id())[..] else {
            panic!()
        };
        pages.push(texts.clone());
    }
    let numbers = |range: std::ops::RangeInclusive<u32>| range.map(|n| n.to_string()).collect::<Vec<_>>();
    assert_eq!(pages, [numbers(6..=20), numbers(1..=5)]);

    let ticket = world.send(1, "GROUPteam", "let me in").unwrap();
    world.run_for(SECOND);
    assert!(matches!(
        world.device(1).outcomes(ticket)[..],
        [Observed::Failed { .. }]
    ));
    assert!(world.hub().texts("alice", "GROUPteam").is_empty());
}

#[test]
fn the_same_seed_is_the_same_run() {
    let run = |seed| {
        let mut world = World::new(seed, Faults::breaking(10));
        world.add_device("alice", |_| {});
        world.add_device("bob", |_| {});
        world.run_until(600 * SECOND, ready);
        let _ = world.send(0, "C2Cbob", "hi");
        world.run_for(60 * SECOND);
        format!(
            "{:?}",
            world
                .devices()
                .iter()
                .map(|device| device.observed())
                .collect::<Vec<_>>()
        )
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}
