//! The simulator's world: the same plan is the same run, and what is planned happens.
#![cfg(feature = "simulator")]

use std::convert::Infallible;

use tim_testkit::simulator::history::{Event, Returned, What};
use tim_testkit::simulator::op::{
    Body, Call, DeviceFault, DeviceKind, DeviceRef, FileBody, FileKind, FileSettings, HubFault, LinkFault,
    Mention, Op, Plan, Population, Profile, Settings, Step, StoreFault, Target, UserPlan, Which,
};
use tim_testkit::simulator::{Outcome, Snapshot, check_all, run};

const ALICE: DeviceRef = DeviceRef::new(0, 0);
const BOB: DeviceRef = DeviceRef::new(1, 0);

fn text_to(user: u8) -> Call {
    Call::Send {
        to: Target::User(user),
        body: Body::Text(20),
        priority: 2,
        online_only: false,
        mention: Mention::Nobody,
        retry_ms: 0,
    }
}

/// A plan of two users with a device of this kind each.
fn plan(seed: u64, kind: DeviceKind, steps: &[(u64, Op)]) -> Plan {
    let user = UserPlan { devices: vec![kind] };
    Plan {
        seed,
        profile: Profile::Mixed,
        population: Population {
            users: vec![
                UserPlan {
                    devices: vec![DeviceKind::Sdk],
                },
                user,
            ],
            ..Population::default()
        },
        settings: Settings::default(),
        steps: steps
            .iter()
            .enumerate()
            .map(|(number, (at_ms, op))| Step {
                number: number as u32,
                at_ms: *at_ms,
                op: op.clone(),
            })
            .collect(),
    }
}

fn run_once(plan: &Plan) -> (Outcome<Infallible>, Snapshot) {
    let mut last = Snapshot::default();
    let outcome = run(plan, |_, snapshot| {
        last = snapshot.clone();
        Ok(())
    });
    assert!(
        outcome.failure.is_none(),
        "{}: {:?}",
        trace(&outcome),
        outcome.failure
    );
    assert_eq!(last.unsettled, Vec::<String>::new(), "{}", trace(&outcome));
    (outcome, last)
}

fn trace<E>(outcome: &Outcome<E>) -> String {
    let lines = outcome
        .history
        .observations
        .iter()
        .map(|observation| format!("{observation}\n"));
    lines.collect()
}

fn adventures(kind: DeviceKind, seed: u64) -> Plan {
    let mut steps = vec![(0, Op::Call(ALICE, Call::Login)), (5, Op::Call(BOB, Call::Login))];
    for n in 0..20_u64 {
        steps.push((1_000 + n * 300, Op::Call(ALICE, text_to(1))));
        steps.push((1_050 + n * 300, Op::Call(BOB, text_to(0))));
    }
    steps.extend([
        (1_700, Op::Link(ALICE, LinkFault::Cut)),
        (2_300, Op::Link(BOB, LinkFault::CutAfter(150))),
        (2_950, Op::Hub(HubFault::Crash(200))),
        (4_100, Op::Device(ALICE, DeviceFault::Restart(300))),
        (5_000, Op::Hub(HubFault::Stop(100))),
        (5_900, Op::Device(BOB, DeviceFault::Restart(200))),
        (6_500, Op::Hub(HubFault::Backup)),
        (8_000, Op::Rest),
    ]);
    steps.sort_by_key(|(at_ms, _)| *at_ms);
    plan(seed, kind, &steps)
}

#[test]
fn the_same_plan_is_the_same_run() {
    for kind in [DeviceKind::Sdk, DeviceKind::Small, DeviceKind::Serial] {
        let plan = adventures(kind, 7);
        let (once, again) = (run_once(&plan).0, run_once(&plan).0);
        let (once, again) = (trace(&once), trace(&again));
        let differs = once
            .lines()
            .zip(again.lines())
            .position(|(once, again)| once != again);
        assert!(once == again, "from line {differs:?} on:\n{once}\n\n{again}");
    }
}

#[test]
fn what_is_acknowledged_is_stored_and_arrives_once() {
    for kind in [DeviceKind::Sdk, DeviceKind::Small, DeviceKind::Serial] {
        for seed in 0..5 {
            let plan = adventures(kind, seed);
            let (outcome, last) = run_once(&plan);
            let observations = &outcome.history.observations;
            let accepted: Vec<_> = observations
                .iter()
                .filter_map(|observation| match &observation.what {
                    What::Resolved {
                        result: Ok(Returned::Accepted { mark, sequence, .. }),
                        ..
                    } => Some((*mark, *sequence)),
                    _ => None,
                })
                .collect();
            assert!(accepted.len() > 10, "{}", trace(&outcome));
            let (_, log) = last.logs.iter().next().unwrap();
            for (mark, sequence) in accepted {
                let stored = log
                    .iter()
                    .filter(|stored| stored.seen.content.mark() == Some(mark));
                assert_eq!(
                    stored.map(|stored| stored.seen.sequence).collect::<Vec<_>>(),
                    [sequence]
                );
            }
            let received = observations.iter().filter(|observation| {
                observation.device == Some(BOB) && matches!(observation.what, What::Event(Event::Received(_)))
            });
            assert!(received.count() > 5, "{}", trace(&outcome));
        }
    }
}

#[test]
fn what_waits_in_a_narrow_link_arrives_before_the_rest() {
    let long = Call::Send {
        to: Target::User(1),
        body: Body::Text(11_000),
        priority: 2,
        online_only: false,
        mention: Mention::Nobody,
        retry_ms: 0,
    };
    let narrow = LinkFault::Narrow {
        bytes: 3_000,
        for_ms: 2_000,
    };
    let steps = [
        (0, Op::Call(ALICE, Call::Login)),
        (5, Op::Call(BOB, Call::Login)),
        (1_000, Op::Link(BOB, narrow)),
        (1_010, Op::Call(ALICE, long.clone())),
        (1_020, Op::Call(ALICE, long.clone())),
        (1_030, Op::Call(ALICE, long)),
        (1_500, Op::Rest),
    ];
    let (outcome, _) = run_once(&plan(3, DeviceKind::Sdk, &steps));
    let observations = &outcome.history.observations;
    let received = observations
        .iter()
        .take_while(|observation| observation.what != What::Rested);
    let received = received.map(|observation| match &observation.what {
        What::Event(Event::Received(entries)) if observation.device == Some(BOB) => entries.len(),
        _ => 0,
    });
    assert_eq!(received.sum::<usize>(), 3, "{}", trace(&outcome));
}

/// A plan of two users with SDKs and a hub that keeps files, though not for long.
fn plan_with_files(seed: u64, steps: &[(u64, Op)]) -> Plan {
    let mut steps = steps.to_vec();
    steps.extend([(0, Op::Call(ALICE, Call::Login)), (5, Op::Call(BOB, Call::Login))]);
    steps.sort_by_key(|(at_ms, _)| *at_ms);
    let mut plan = plan(seed, DeviceKind::Sdk, &steps);
    plan.profile = Profile::Files;
    plan.settings.purge_interval_ms = 2_000;
    plan.settings.files = Some(FileSettings {
        piece_bytes: 500,
        window: 4,
        account_bytes: 0,
        account_files: 0,
        max_uploads: 4,
        upload_life_ms: 3_000,
        unsent_life_ms: 3_000,
    });
    plan
}

fn file_to(to: Target, kind: FileKind) -> Op {
    let body = Body::File(FileBody {
        kind,
        size: 3_000,
        content: 0,
    });
    let send = Call::Send {
        to,
        body,
        priority: 2,
        online_only: false,
        mention: Mention::Nobody,
        retry_ms: 0,
    };
    Op::Call(ALICE, send)
}

/// Runs a plan in which every invariant holds.
fn run_checked(plan: &Plan) -> Snapshot {
    let mut last = Snapshot::default();
    let outcome = run(plan, |history, snapshot| {
        last = snapshot.clone();
        check_all(history, snapshot).map(|_| ())
    });
    assert!(
        outcome.failure.is_none(),
        "{}: {:?}",
        trace(&outcome),
        outcome.failure
    );
    last
}

#[test]
fn a_file_that_was_revoked_does_not_come_back_when_its_message_is_sent_again() {
    for kind in [FileKind::Image, FileKind::Audio, FileKind::Video, FileKind::File] {
        let steps = [
            (1_000, file_to(Target::User(1), kind)),
            (2_000, Op::Call(ALICE, Call::Revoke(Which::Own(0)))),
            // The file is gone by then, and is uploaded under another name.
            (8_000, Op::Call(ALICE, Call::ResendKept(0))),
            (12_000, Op::Rest),
        ];
        let last = run_checked(&plan_with_files(3, &steps));
        let marks = last
            .logs
            .values()
            .flatten()
            .filter_map(|stored| stored.seen.content.mark());
        assert_eq!(marks.count(), 0, "{kind:?}");
        assert_eq!(last.files.map(|found| found.files.len()), Some(0));
    }
}

#[test]
fn nothing_is_left_of_a_file_of_which_the_store_does_not_know_what_became() {
    for seed in 0..4 {
        let mut steps: Vec<_> = (950..14_000)
            .step_by(300)
            .map(|at_ms| (at_ms, Op::Store(StoreFault::NextUnknown)))
            .collect();
        steps.extend([
            // It is not told whether its file was stored, and does not ask again.
            (1_000, file_to(Target::User(1), FileKind::File)),
            (1_100 + seed * 30, Op::Device(ALICE, DeviceFault::Restart(1_000))),
            // There is no such group: the file is not used.
            (4_000, file_to(Target::Group(0), FileKind::Image)),
            (15_000, Op::Rest),
        ]);
        let last = run_checked(&plan_with_files(seed, &steps));
        let found = last.files.unwrap_or_default();
        assert_eq!((found.files.len(), found.staged), (0, 0), "seed {seed}");
    }
}
