//! The stepped writer. That with a thread is tested by the suite.

use std::sync::Weak;

use tim_proto::{GroupId, UserId};

use super::*;
use crate::{Commit, LogKey};

/// What happens to a store, in words.
#[derive(Clone, Default)]
struct Trace(Arc<Mutex<Vec<String>>>);

impl Trace {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// What is done during the next commit.
type During = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

/// Notes what is committed, calls back during a commit, and fails when it is told to.
struct Store {
    trace: Trace,
    during: During,
    fails: Arc<Mutex<Option<StoreError>>>,
}

impl StoreWriter for Store {
    fn commit(&mut self, _now_ms: u64, batch: &[Write]) -> Result<Commit, StoreError> {
        if let Some(error) = self.fails.lock().unwrap().take() {
            return Err(error);
        }
        let users = batch.iter().map(|write| match write {
            Write::EnsureAccount(user) => user.to_string(),
            Write::MarkRead { user, log, upto } => {
                let LogKey::Group(group) = log else {
                    panic!("{log:?}")
                };
                let upto = upto.map_or("all".to_owned(), |upto| upto.to_string());
                format!("{user}:{group}:{upto}")
            }
            other => panic!("{other:?}"),
        });
        self.trace
            .note(format!("commits {}", users.collect::<Vec<_>>().join(" ")));
        let during = self.during.lock().unwrap().take();
        if let Some(during) = during {
            during();
        }
        Ok(Commit {
            results: batch.iter().map(|_| Ok(Written::Done)).collect(),
            ..Commit::default()
        })
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.trace.note("closes");
    }
}

struct World {
    writer: Arc<Writer>,
    trace: Trace,
    during: During,
    fails: Arc<Mutex<Option<StoreError>>>,
}

impl World {
    fn new() -> Self {
        let trace = Trace::default();
        let (during, fails) = (Arc::default(), Arc::default());
        let store = Store {
            trace: trace.clone(),
            during: Arc::clone(&during),
            fails: Arc::clone(&fails),
        };
        let mut hooks = Hooks::clock(|| 1);
        let unknown = trace.clone();
        hooks.unknown = Box::new(move || unknown.note("unknown"));
        let fatal = trace.clone();
        hooks.fatal = Box::new(move |error| fatal.note(error.to_string()));
        let config = WriterConfig {
            queue: 5,
            per_user: 4,
            batch: 3,
        };
        let woken = trace.clone();
        let writer = Writer::stepped(store, config, hooks, move || woken.note("wakes"));
        Self {
            writer: Arc::new(writer),
            trace,
            during,
            fails,
        }
    }

    /// Submits accounts of these names, and notes their answers.
    fn submit(&self, names: &str) {
        for name in names.split(' ') {
            submit(&self.writer, &self.trace, name, |_| ()).unwrap();
        }
        assert_eq!(self.trace.take().len(), names.split(' ').count(), "one call each");
    }

    fn weak(&self) -> Weak<Writer> {
        Arc::downgrade(&self.writer)
    }
}

/// An account of this name; or, with `user:group:sequence`, a read mark.
fn write(name: &str) -> Write {
    let mut parts = name.split(':');
    let user = UserId::new(parts.next().unwrap()).unwrap();
    let Some(group) = parts.next() else {
        return Write::EnsureAccount(user);
    };
    Write::MarkRead {
        user,
        log: LogKey::Group(GroupId::new(group).unwrap()),
        upto: parts.next().unwrap().parse().ok(),
    }
}

fn submit(
    writer: &Writer,
    trace: &Trace,
    name: &str,
    then: impl FnOnce(&Trace) + Send + 'static,
) -> Result<(), WriteError> {
    let (trace, answered) = (trace.clone(), name.to_owned());
    writer.submit(write(name), move |answer| {
        let what = match answer {
            Ok(_) => "done".to_owned(),
            Err(error) => error.to_string(),
        };
        trace.note(format!("{answered} {what}"));
        then(&trace);
    })
}

#[test]
fn a_step_commits_the_oldest_writes_of_one_batch() {
    let world = World::new();
    world.submit("a b c d e");
    assert_eq!(world.writer.waiting(), 5);
    let refused = submit(&world.writer, &world.trace, "f", |_| ());
    assert_eq!(refused, Err(WriteError::Overloaded));
    assert_eq!(world.writer.step(1), 1);
    assert_eq!(world.trace.take(), ["commits a", "a done"]);
    assert_eq!(world.writer.step(usize::MAX), 3, "a batch has no more");
    assert_eq!(
        world.trace.take(),
        ["commits b c d", "b done", "c done", "d done"]
    );
    assert_eq!(
        (world.writer.step(9), world.writer.step(9), world.writer.step(0)),
        (1, 0, 0)
    );
    assert_eq!(world.writer.write_blocking(write("g")), Ok(Written::Done));
}

#[test]
fn users_are_served_in_turn_and_none_fills_the_queue() {
    let world = World::new();
    world.submit("a a a a");
    let refused = submit(&world.writer, &world.trace, "a", |_| ());
    assert_eq!(
        refused,
        Err(WriteError::Overloaded),
        "one user has as many as may be"
    );
    world.submit("b");
    assert_eq!(world.writer.step(9), 3);
    assert_eq!(world.trace.take()[0], "commits a b a");
    assert_eq!(world.writer.step(9), 2);
    assert_eq!(world.trace.take()[0], "commits a a");
}

#[test]
fn read_marks_of_a_conversation_are_one_write() {
    let world = World::new();
    world.submit("a:g:5 a:g:3 a:h:1 a:g:9 b:g:20");
    assert_eq!(world.writer.step(9), 3);
    let told = [
        "commits a:g:9 b:g:20 a:h:1",
        "a:g:5 done",
        "a:g:3 done",
        "a:g:9 done",
        "b:g:20 done",
        "a:h:1 done",
    ];
    assert_eq!(world.trace.take(), told);
    // Everything is more than any number.
    world.submit("a:g:all a:g:7 b:g:7 b:g:all");
    world.writer.step(9);
    assert_eq!(world.trace.take()[0], "commits a:g:all b:g:all");
    // Nothing passes by another write of the user.
    world.submit("a:g:1 a a:g:2");
    world.writer.step(9);
    assert_eq!(world.trace.take()[0], "commits a:g:1 a a:g:2");
}

#[test]
fn closing_commits_what_waits() {
    let world = World::new();
    world.submit("a b c d");
    world.writer.close();
    let done = [
        "commits a b c",
        "a done",
        "b done",
        "c done",
        "commits d",
        "d done",
        "closes",
    ];
    assert_eq!(world.trace.take(), done);
    let late = submit(&world.writer, &world.trace, "e", |_| ());
    assert_eq!((late, world.writer.step(1)), (Err(WriteError::Closed), 0));
    assert_eq!(world.writer.write_blocking(write("f")), Err(WriteError::Closed));
}

#[test]
fn answers_may_submit_step_and_close() {
    let world = World::new();
    let writer = world.weak();
    let then = move |trace: &Trace| {
        let writer = writer.upgrade().unwrap();
        submit(&writer, trace, "b", |_| ()).unwrap();
        assert_eq!(
            (writer.waiting(), writer.step(1)),
            (0, 0),
            "inside of a step nothing can be done"
        );
        writer.close();
        trace.note("closed");
    };
    submit(&world.writer, &world.trace, "a", then).unwrap();
    world.trace.take();
    assert_eq!(world.writer.step(1), 1);
    let done = [
        "commits a",
        "a done",
        "wakes",
        "closed",
        "commits b",
        "b done",
        "closes",
    ];
    assert_eq!(world.trace.take(), done, "the step did the rest");
}

#[test]
fn what_is_abandoned_is_neither_committed_nor_answered() {
    let world = World::new();
    world.submit("a b");
    world.writer.abandon();
    assert_eq!(world.trace.take(), ["closes"]);
    assert_eq!(world.writer.step(1), 0);
    drop(world.writer);
    assert!(world.trace.take().is_empty());

    // In the middle of a commit: it is stored, and nobody is told.
    let world = World::new();
    world.submit("a b");
    let writer = world.weak();
    *world.during.lock().unwrap() = Some(Box::new(move || writer.upgrade().unwrap().abandon()));
    assert_eq!(world.writer.step(1), 1);
    assert_eq!(world.trace.take(), ["commits a", "closes"]);
}

#[test]
fn of_an_unknown_outcome_the_batch_is_told_before_whoever_follows_the_commits() {
    let world = World::new();
    world.submit("a b");
    let unknown = StoreError::Unknown("who knows".to_owned());
    *world.fails.lock().unwrap() = Some(unknown.clone());
    assert_eq!(world.writer.step(1), 1);
    let told = [format!("a {}", WriteError::from(unknown)), "unknown".to_owned()];
    assert_eq!(world.trace.take(), told);
    assert_eq!(world.writer.step(1), 1);
    assert_eq!(world.trace.take(), ["commits b", "b done"]);
}

#[test]
fn a_fatal_error_fails_all_that_waits() {
    let world = World::new();
    world.submit("a b");
    let full = StoreError::NotStored(crate::NotStored::DiskFull);
    *world.fails.lock().unwrap() = Some(full.clone());
    assert_eq!(world.writer.step(1), 1);
    assert_eq!(world.trace.take(), [format!("a {}", WriteError::from(full))]);
    world.submit("c");
    let fatal = StoreError::Fatal("gone".to_owned());
    *world.fails.lock().unwrap() = Some(fatal.clone());
    assert_eq!(world.writer.step(1), 1);
    let unknown = WriteError::from(StoreError::Unknown("gone".to_owned()));
    let told = [
        format!("b {unknown}"),
        format!("c {unknown}"),
        fatal.to_string(),
        "closes".to_owned(),
    ];
    assert_eq!(world.trace.take(), told);
    assert!(world.writer.is_stopped() && world.writer.waiting() == 0);
    assert_eq!(world.writer.write_blocking(write("d")), Err(WriteError::Closed));
}
