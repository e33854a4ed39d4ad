//! A stepped hub: one whose workers have no threads and work when they are told to.
//!
//! For tests that decide in which order things happen. On a runtime with one thread and paused time, with clocks and random
//! numbers of its own, such a hub does the same whenever it is told the same.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, TryLockError, Weak};

use tim_store::Writer;
use tokio::sync::Notify;

use crate::pool::SteppedJobs;
use crate::retention;
use crate::threads::blocking;
use crate::worker::StepWorker;

/// Takes the steps of a [stepped](crate::Hub::stepped) hub. Clones take the steps of the same hub.
///
/// A step is taken on the caller's thread, as a whole. Inside of a step others can be taken, for example from a store's reader
/// that commits between two reads of the same job; the worker that is at work does nothing then.
///
/// Steps do not keep the hub or its store open.
#[derive(Clone)]
pub struct Steps(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// There is work.
    wakeup: Arc<Notify>,
    workers: OnceLock<Workers>,
}

/// What works in steps.
pub(crate) struct Workers {
    pub(crate) writer: Weak<Writer>,
    pub(crate) fanout: Option<Weak<dyn StepWorker>>,
    pub(crate) live: Option<Weak<dyn StepWorker>>,
    pub(crate) reads: Option<Weak<SteppedJobs>>,
    pub(crate) retention: Mutex<retention::Work>,
}

impl Workers {
    fn fanout(&self) -> Option<Arc<dyn StepWorker>> {
        self.fanout.as_ref()?.upgrade()
    }

    fn live(&self) -> Option<Arc<dyn StepWorker>> {
        self.live.as_ref()?.upgrade()
    }

    fn reads(&self) -> Option<Arc<SteppedJobs>> {
        self.reads.as_ref()?.upgrade()
    }

    fn commit(&self, at_most: usize) -> bool {
        let writer = self.writer.upgrade();
        writer.is_some_and(|writer| blocking(|| writer.step(at_most)) > 0)
    }

    fn begin_retention(&self) -> bool {
        let mut retention = match self.retention.try_lock() {
            Ok(retention) => retention,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        blocking(|| retention.round());
        true
    }
}

/// One unit of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Commits up to so many of the waiting writes, and answers them; changes of groups are answered by [`Step::FanOut`].
    Commit(usize),
    /// Hands the entries of the oldest commit to the devices that are online, or sends the answer to a change of a group that
    /// waits behind its commit.
    FanOut,
    /// Hands the oldest item of what is stored nowhere to the devices that are online.
    Live,
    /// Does the waiting read of this index, oldest first, and hands its result over.
    Read(usize),
    /// Does the waiting read of this index. Its result waits for [`Step::Answer`], so that it comes late.
    ReadAhead(usize),
    /// Hands over the waiting result of this index, oldest first.
    Answer(usize),
    /// Begins a round of retention. It never waits: the caller keeps its interval.
    Retention,
}

/// How much waits for each [`Step`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Waiting {
    /// Writes for [`Step::Commit`]. None as long as the fan-out has no space for another commit.
    pub writes: usize,
    /// Commits and answers for [`Step::FanOut`].
    pub commits: usize,
    /// Items for [`Step::Live`].
    pub live: usize,
    /// Jobs for [`Step::Read`] and [`Step::ReadAhead`].
    pub reads: usize,
    /// Results for [`Step::Answer`].
    pub answers: usize,
}

impl Waiting {
    /// Whether nothing waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.writes == 0 && self.commits == 0 && self.live == 0 && self.reads == 0 && self.answers == 0
    }
}

impl Steps {
    /// Of a hub that is about to start.
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// Tells whoever waits for work that there is some.
    pub(crate) fn wakeup(&self) -> Arc<Notify> {
        Arc::clone(&self.0.wakeup)
    }

    /// The hub has started its workers.
    pub(crate) fn set_workers(&self, workers: Workers) {
        // A hub starts once.
        let _ = self.0.workers.set(workers);
    }

    /// What waits now. Nothing if the hub is gone.
    #[must_use]
    pub fn waiting(&self) -> Waiting {
        let Some(workers) = self.0.workers.get() else {
            return Waiting::default();
        };
        let waiting = |worker: Option<Arc<dyn StepWorker>>| worker.map_or(0, |worker| worker.waiting());
        let reads = workers.reads();
        let can_commit = workers.fanout().is_some_and(|fanout| fanout.has_space());
        let writes = workers.writer.upgrade().map_or(0, |writer| writer.waiting());
        Waiting {
            writes: if can_commit { writes } else { 0 },
            commits: waiting(workers.fanout()),
            live: waiting(workers.live()),
            reads: reads.as_ref().map_or(0, |reads| reads.jobs()),
            answers: reads.as_ref().map_or(0, |reads| reads.answers()),
        }
    }

    /// Ready when something waits.
    pub async fn wait_for_work(&self) {
        while self.waiting().is_empty() {
            self.0.wakeup.notified().await;
        }
    }

    /// Takes a step; whether there was something to do.
    pub fn step(&self, step: Step) -> bool {
        let Some(workers) = self.0.workers.get() else {
            return false;
        };
        let reads = workers.reads();
        match step {
            Step::Commit(at_most) => self.waiting().writes > 0 && workers.commit(at_most),
            Step::FanOut => workers.fanout().is_some_and(|fanout| fanout.step()),
            Step::Live => workers.live().is_some_and(|live| live.step()),
            Step::Read(index) => reads.is_some_and(|reads| reads.read(index)),
            Step::ReadAhead(index) => reads.is_some_and(|reads| reads.read_ahead(index)),
            Step::Answer(index) => reads.is_some_and(|reads| reads.answer(index)),
            Step::Retention => workers.begin_retention(),
        }
    }

    /// Ends the hub's work as if its process were killed: what waits is dropped, and the store is closed without it. Connections
    /// and [`Hub`](crate::Hub) are for the caller to drop; nothing that they are asked for is done any more.
    pub fn crash(&self) {
        let Some(workers) = self.0.workers.get() else {
            return;
        };
        if let Some(writer) = workers.writer.upgrade() {
            writer.abandon();
        }
        for worker in [workers.fanout(), workers.live()].into_iter().flatten() {
            worker.abandon();
        }
        if let Some(reads) = workers.reads() {
            reads.abandon();
        }
    }
}

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Steps").field("waiting", &self.waiting()).finish()
    }
}
