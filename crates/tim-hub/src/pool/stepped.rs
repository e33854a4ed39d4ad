//! Jobs of a stepped hub, which are done when somebody says so, in any order.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::threads::{blocking, lock};

/// Does the work, and returns what hands the result over.
pub(super) type SteppedJob = Box<dyn FnOnce() -> Answer + Send>;
/// Hands the result of a job over.
pub(super) type Answer = Box<dyn FnOnce() + Send>;

/// Jobs that wait to be done, and results that wait to be handed over. No lock is held while a job runs.
pub(crate) struct SteppedJobs {
    jobs: Mutex<VecDeque<SteppedJob>>,
    answers: Mutex<VecDeque<Answer>>,
    is_closed: AtomicBool,
    wakeup: Arc<Notify>,
}

impl SteppedJobs {
    pub(super) fn new(wakeup: Arc<Notify>) -> Self {
        Self {
            jobs: Mutex::default(),
            answers: Mutex::default(),
            is_closed: AtomicBool::new(false),
            wakeup,
        }
    }

    fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    pub(super) fn submit(&self, job: SteppedJob) {
        if !self.is_closed() {
            lock(&self.jobs).push_back(job);
            self.wakeup.notify_one();
        }
    }

    /// How many jobs wait.
    pub(crate) fn jobs(&self) -> usize {
        lock(&self.jobs).len()
    }

    /// How many results wait.
    pub(crate) fn answers(&self) -> usize {
        lock(&self.answers).len()
    }

    /// Does a waiting job and hands its result over; whether there is one of this index.
    pub(crate) fn read(&self, index: usize) -> bool {
        self.do_job(index).map(|answer| answer()).is_some()
    }

    /// Does a waiting job; whether there is one of this index. Its result waits to be handed over.
    pub(crate) fn read_ahead(&self, index: usize) -> bool {
        let answer = self.do_job(index);
        let is_done = answer.is_some();
        if !self.is_closed() {
            lock(&self.answers).extend(answer);
        }
        is_done
    }

    fn do_job(&self, index: usize) -> Option<Answer> {
        let job = lock(&self.jobs).remove(index)?;
        Some(blocking(job))
    }

    /// Hands a waiting result over; whether there is one of this index.
    pub(crate) fn answer(&self, index: usize) -> bool {
        let answer = lock(&self.answers).remove(index);
        answer.map(|answer| answer()).is_some()
    }

    /// Drops what waits, and takes no more.
    pub(crate) fn abandon(&self) {
        self.is_closed.store(true, Ordering::Release);
        let jobs = std::mem::take(&mut *lock(&self.jobs));
        let answers = std::mem::take(&mut *lock(&self.answers));
        drop((jobs, answers));
    }
}
