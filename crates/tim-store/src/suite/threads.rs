//! The writer thread, and races through it.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;

use tim_groups::GroupAction;
use tim_proto::UserId;

use super::{START_MS, World, files, groups, revoke, texts};
use crate::{
    Commit, File, Hooks, LogKey, NotStored, Published, Refused, RemoveFiles, StoreError, StoreWriter, Write,
    WriteError, Writer, WriterConfig, Written,
};

fn start(world: &mut World) -> Arc<Writer> {
    let hooks = Hooks::clock(|| START_MS);
    Arc::new(Writer::start(world.take_writer(), WriterConfig::default(), hooks).unwrap())
}

/// Runs all at once, each on a thread of its own, and returns the answers.
fn race(writer: &Arc<Writer>, writes: Vec<Write>) -> Vec<Result<Written, WriteError>> {
    let barrier = &Barrier::new(writes.len());
    thread::scope(|scope| {
        let run = |write| {
            scope.spawn(move || {
                barrier.wait();
                writer.write_blocking(write)
            })
        };
        let racers: Vec<_> = writes.into_iter().map(run).collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    })
}

pub fn one_of_many_equal_sends_is_stored(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let log = LogKey::c2c(alice, bob);
    let writer = start(world);
    for round in 1..=10 {
        let append = world.message(log, alice, "once");
        let answers = race(&writer, vec![Write::Append(append); 20]);
        let stored: Vec<_> = answers
            .iter()
            .filter_map(|answer| {
                if let Ok(Written::Stored(at)) = answer {
                    Some(*at)
                } else {
                    None
                }
            })
            .collect();
        assert_eq!(stored.len(), 1, "{answers:?}");
        let duplicates = answers
            .iter()
            .filter(|answer| **answer == Ok(Written::Duplicate(stored[0])))
            .count();
        assert_eq!(duplicates, 19);
        assert_eq!(stored[0].sequence, round);
    }
    assert_eq!(world.page(log, None, 100).entries.len(), 10);
}

pub fn sixty_four_writers_leave_no_gap(world: &mut World) {
    let users: Vec<UserId> = (0..64).map(|n| world.user(&format!("user{n}"))).collect();
    let log = LogKey::Group(world.group("g1", &users));
    let mut jobs: Vec<Vec<Write>> = Vec::new();
    for user in &users {
        jobs.push(
            (0..10)
                .map(|_| Write::Append(world.message(log, *user, "x")))
                .collect(),
        );
    }
    let writer = start(world);
    let sequences = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for job in jobs {
            scope.spawn(|| {
                let mut last = 0;
                for write in job {
                    let Ok(Written::Stored(at)) = writer.write_blocking(write) else {
                        panic!("not stored")
                    };
                    assert!(at.sequence > last, "one sender's messages keep their order");
                    last = at.sequence;
                    sequences.lock().unwrap().push((at.sequence, at.change));
                }
            });
        }
    });
    let mut sequences = sequences.into_inner().unwrap();
    sequences.sort_unstable();
    let expected: Vec<(u64, u64)> = (1..=640).map(|n| (n, n)).collect();
    assert_eq!(sequences, expected);
}

pub fn one_of_two_revokers_wins(world: &mut World) {
    let (alice, bob, carol) = (world.user("alice"), world.user("bob"), world.user("carol"));
    let group = world.group("g1", &[alice, bob, carol]);
    let log = LogKey::Group(group);
    for _ in 0..10 {
        world.say(log, carol, "x");
    }
    let admin = GroupAction::SetMember {
        user: bob,
        role: Some(tim_proto::Role::ADMIN),
        mute_seconds: None,
        name_card: None,
    };
    world.change(group, alice, admin).unwrap();
    let racers: Vec<[Write; 2]> = (1..=10)
        .map(|sequence| {
            let managers = [alice, bob];
            managers.map(|by| Write::Revoke(revoke::by(world, log, sequence, by)))
        })
        .collect();
    let writer = start(world);
    for pair in racers {
        let answers = race(&writer, pair.to_vec());
        let won = answers
            .iter()
            .filter(|answer| matches!(answer, Ok(Written::Revoked { already: false, .. })))
            .count();
        let lost = answers
            .iter()
            .filter(|answer| matches!(answer, Err(WriteError::Refused(Refused::AlreadyRevoked(_)))))
            .count();
        assert_eq!((won, lost), (1, 1), "{answers:?}");
    }
    assert_eq!(
        world.conversation(&alice, &log).head_sequence,
        21,
        "one revocation each, and the tip of the admin"
    );
}

/// Of a message that names a file, and the removal of what nothing uses, one comes first.
pub fn a_removal_races_with_messages(world: &mut World) {
    let alice = world.user("alice");
    let log = LogKey::c2c(alice, alice);
    let uploads: Vec<File> = (1..=20)
        .map(|number| files::upload(world, alice, number))
        .collect();
    let sends: Vec<Write> = uploads
        .iter()
        .map(|file| Write::Append(files::naming(world, log, alice, &[file.id])))
        .collect();
    let writer = start(world);
    let step = RemoveFiles {
        unsent_before_ms: u64::MAX,
        most: 3,
    };
    let mut kept = BTreeSet::new();
    let mut removed = BTreeSet::new();
    for (file, send) in uploads.iter().zip(sends) {
        let answers = race(
            &writer,
            vec![Write::RemoveFiles(step), send, Write::RemoveFiles(step)],
        );
        for answer in answers {
            match answer {
                Ok(Written::Stored(at)) => {
                    assert_eq!(world.reader().files_of(&log, at.sequence), Ok(vec![file.id]));
                    kept.insert(file.id);
                }
                Ok(Written::FilesRemoved { files, .. }) => removed.extend(files),
                Err(WriteError::Refused(Refused::FileNotYours)) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(kept.is_disjoint(&removed), "{kept:?} {removed:?}");
    for file in &uploads {
        let found = world.reader().file(&file.id).unwrap();
        assert_eq!(found.is_some(), !removed.contains(&file.id));
    }
}

pub fn read_marks_race_forward(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let log = LogKey::c2c(alice, bob);
    for _ in 0..64 {
        world.say(log, alice, "x");
    }
    let writer = start(world);
    let marks = (1..=64)
        .map(|upto| Write::MarkRead {
            user: bob,
            log,
            upto: Some(upto),
        })
        .collect();
    for answer in race(&writer, marks) {
        let Ok(Written::Read {
            read_sequence,
            unread,
            ..
        }) = answer
        else {
            panic!("{answer:?}")
        };
        assert_eq!(read_sequence + unread, 64);
    }
    let conversation = world.conversation(&bob, &log);
    assert_eq!((conversation.read_sequence, conversation.unread), (64, 0));
}

pub fn a_dismissal_races_with_everything(world: &mut World) {
    let (alice, bob, carol) = (world.user("alice"), world.user("bob"), world.user("carol"));
    let mut rounds = Vec::new();
    for round in 0..10 {
        let group = world.group(&format!("g{round}"), &[alice, bob]);
        let log = LogKey::Group(group);
        let writes = vec![
            world.command(group, alice, GroupAction::Dismiss),
            world.command(group, carol, groups::join()),
            world.command(group, bob, GroupAction::Quit),
            Write::Append(world.message(log, bob, "x")),
        ];
        rounds.push((group, writes));
    }
    let writer = start(world);
    for (group, writes) in rounds {
        let answers = race(&writer, writes);
        assert!(answers[0].is_ok(), "the owner's word holds: {answers:?}");
        let log = LogKey::Group(group);
        for (answer, user) in answers[1..].iter().zip([carol, bob, bob]) {
            let gone = matches!(answer, Err(WriteError::Refused(Refused::NoSuchGroup(_))));
            let left = *answer == Err(WriteError::Refused(Refused::NotParticipant(bob)));
            assert!(answer.is_ok() || gone || left, "{answer:?}");
            assert_eq!(world.reader().conversation(&user, &log), Ok(None));
        }
        assert_eq!(world.reader().group(&group), Ok(None));
        // Who was in it at the end is told of the end, and nobody else.
        let told = |user| {
            let inbox = texts(&world.page(LogKey::System(user), None, 100).entries);
            let joined = inbox.iter().filter(|line| line.starts_with("notice 2 ")).count();
            let ended = inbox.iter().filter(|line| line.starts_with("notice 5 ")).count();
            let left = inbox.iter().filter(|line| line.starts_with("notice 8 ")).count();
            (joined, ended, left)
        };
        let (joined, ended, _) = told(carol);
        assert_eq!(joined, ended);
        let (_, ended, left) = told(bob);
        let so_far = told(alice).1;
        assert_eq!(ended + left, so_far, "bob heard of the end, or had left before");
    }
}

pub fn published_entries_come_in_order_before_answers(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let log = LogKey::c2c(alice, bob);
    let sends: Vec<Vec<Write>> = (0..8)
        .map(|_| {
            (0..25)
                .map(|_| Write::Append(world.message(log, alice, "x")))
                .collect()
        })
        .collect();
    let newest = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&newest);
    let published = move |batch: Vec<Published>| {
        for published in batch {
            let change = published.entry.as_ref().unwrap().change;
            let before = seen.swap(change, Ordering::SeqCst);
            assert_eq!(change, before + 1, "each once, in the order of changes");
        }
    };
    let hooks = Hooks {
        published: Box::new(published),
        ..Hooks::clock(|| START_MS)
    };
    let writer = Writer::start(world.take_writer(), WriterConfig::default(), hooks).unwrap();
    thread::scope(|scope| {
        for job in sends {
            scope.spawn(|| {
                for write in job {
                    let Ok(Written::Stored(at)) = writer.write_blocking(write) else {
                        panic!("not stored")
                    };
                    assert!(
                        newest.load(Ordering::SeqCst) >= at.change,
                        "published before the answer"
                    );
                }
            });
        }
    });
    assert_eq!(newest.load(Ordering::SeqCst), 200);
}

/// A store whose commits wait for the test and end as it says.
struct Scripted {
    inner: Box<dyn StoreWriter>,
    began: Sender<usize>,
    outcomes: Receiver<Result<(), StoreError>>,
}

impl StoreWriter for Scripted {
    fn commit(&mut self, now_ms: u64, batch: &[Write]) -> Result<Commit, StoreError> {
        self.began.send(batch.len()).unwrap();
        self.outcomes.recv().unwrap()?;
        self.inner.commit(now_ms, batch)
    }
}

struct Script {
    writer: Writer,
    began: Receiver<usize>,
    outcomes: Sender<Result<(), StoreError>>,
    fatal: Receiver<StoreError>,
}

fn scripted(world: &mut World, queue: usize) -> Script {
    let (began_sender, began) = channel();
    let (outcomes, outcome_receiver) = channel();
    let (fatal_sender, fatal) = channel();
    let store = Scripted {
        inner: world.take_writer(),
        began: began_sender,
        outcomes: outcome_receiver,
    };
    let hooks = Hooks {
        fatal: Box::new(move |error| fatal_sender.send(error).unwrap()),
        ..Hooks::clock(|| START_MS)
    };
    let config = WriterConfig {
        queue,
        ..WriterConfig::default()
    };
    Script {
        writer: Writer::start(store, config, hooks).unwrap(),
        began,
        outcomes,
        fatal,
    }
}

/// Hands `count` account requests in and returns where their answers come.
fn submit(writer: &Writer, count: usize) -> Receiver<Result<Written, WriteError>> {
    let (sender, answers) = channel();
    for n in 0..count {
        let sender = sender.clone();
        let user = UserId::new(&format!("new{n}")).unwrap();
        writer
            .submit(Write::EnsureAccount(user), move |answer| {
                sender.send(answer).unwrap()
            })
            .unwrap();
    }
    answers
}

pub fn a_full_queue_refuses(world: &mut World) {
    let script = scripted(world, 4);
    let first = submit(&script.writer, 1);
    assert_eq!(script.began.recv(), Ok(1), "the writer is busy");
    let waiting = submit(&script.writer, 4);
    let refused = script
        .writer
        .write_blocking(Write::EnsureAccount(UserId::new("late").unwrap()));
    assert_eq!(refused, Err(WriteError::Overloaded));
    script.outcomes.send(Ok(())).unwrap();
    assert!(first.recv().unwrap().is_ok());
    assert_eq!(
        script.began.recv(),
        Ok(4),
        "those who waited share the next commit"
    );
    script.outcomes.send(Ok(())).unwrap();
    assert_eq!(waiting.iter().filter(Result::is_ok).count(), 4);
    assert_eq!(world.reader().account(&UserId::new("late").unwrap()), Ok(None));
}

pub fn a_fatal_store_answers_everybody_and_stops(world: &mut World) {
    let script = scripted(world, 10);
    let first = submit(&script.writer, 1);
    script.began.recv().unwrap();
    let waiting = submit(&script.writer, 5);
    script
        .outcomes
        .send(Err(StoreError::Fatal("fsync failed".to_owned())))
        .unwrap();
    for answer in first.iter().chain(waiting.iter()) {
        assert!(
            matches!(answer, Err(WriteError::Store(StoreError::Unknown(_)))),
            "{answer:?}"
        );
    }
    assert_eq!(
        script.fatal.recv(),
        Ok(StoreError::Fatal("fsync failed".to_owned()))
    );
    assert!(script.writer.is_stopped());
    let late = script
        .writer
        .write_blocking(Write::EnsureAccount(UserId::new("late").unwrap()));
    assert_eq!(late, Err(WriteError::Closed));
}

pub fn a_failed_commit_is_told_to_its_batch_only(world: &mut World) {
    let script = scripted(world, 10);
    let full = StoreError::NotStored(NotStored::DiskFull);
    let first = submit(&script.writer, 1);
    script.outcomes.send(Err(full.clone())).unwrap();
    let answer = first.recv().unwrap();
    assert_eq!(answer, Err(WriteError::Store(full)));
    assert!(answer.unwrap_err().may_retry());
    let second = submit(&script.writer, 1);
    script.outcomes.send(Ok(())).unwrap();
    assert!(second.recv().unwrap().is_ok(), "the writer goes on");
}

pub fn futures_are_answered(world: &mut World) {
    let writer = start(world);
    let users: Vec<UserId> = (0..10)
        .map(|n| UserId::new(&format!("user{n}")).unwrap())
        .collect();
    let futures: Vec<_> = users
        .iter()
        .map(|user| writer.write(Write::EnsureAccount(*user)))
        .collect();
    // The last one's answer comes after the others'; a future that nobody polls is answered all the same.
    let last = writer.write_blocking(Write::EnsureAccount(users[0])).unwrap();
    let mut numbers = BTreeSet::new();
    for future in futures {
        let mut future = pin!(future);
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(Written::Account { number })) => numbers.insert(number),
            other => panic!("{other:?}"),
        };
    }
    assert_eq!(numbers.len(), 10);
    assert!(matches!(last, Written::Account { number } if numbers.contains(&number)));
    drop(writer.write(Write::EnsureAccount(UserId::new("dropped").unwrap())));
    writer.write_blocking(Write::EnsureAccount(users[0])).unwrap();
    assert!(
        world
            .reader()
            .account(&UserId::new("dropped").unwrap())
            .unwrap()
            .is_some(),
        "dropping takes nothing back"
    );
}
