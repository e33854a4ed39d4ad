//! The writes that wait for a commit.
//!
//! They are taken fairly: the users who have writes waiting have one each in turn, and no user can fill the queue. What the hub
//! itself writes has a turn like a user, and is bounded by the whole queue only.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tim_proto::UserId;

use super::{WriteError, WriteResult, WriterConfig, lost};
use crate::{FairQueue, StoreError, Write};

/// How many results a MARK_READ may owe, and among how many of its user's newest writes another one is looked for.
const MAX_MERGED: usize = 64;

/// Called exactly once: with an unknown outcome if it is dropped without a result.
pub(super) struct Callback(Option<Box<dyn FnOnce(WriteResult) + Send>>);

impl Callback {
    pub(super) fn new(call: impl FnOnce(WriteResult) + Send + 'static) -> Self {
        Self(Some(Box::new(call)))
    }

    fn answer(mut self, answer: WriteResult) {
        if let Some(call) = self.0.take() {
            call(answer);
        }
    }

    /// The callback is not called.
    fn forget(mut self) {
        self.0 = None;
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        if let Some(call) = self.0.take() {
            call(Err(lost()));
        }
    }
}

/// Everybody who waits for the result of one write.
pub(super) struct Callbacks {
    first: Callback,
    /// Those of writes that were merged into it.
    more: Vec<Callback>,
}

impl Callbacks {
    pub(super) fn answer(self, answer: WriteResult) {
        for callback in std::iter::once(self.first).chain(self.more) {
            callback.answer(answer.clone());
        }
    }

    /// Nobody is told anything.
    pub(super) fn forget(self) {
        self.more.into_iter().for_each(Callback::forget);
        self.first.forget();
    }
}

/// A write, and who waits for its result.
pub(super) struct Job {
    pub(super) write: Write,
    pub(super) answers: Callbacks,
}

impl Job {
    pub(super) const fn new(write: Write, answer: Callback) -> Self {
        Self {
            write,
            answers: Callbacks {
                first: answer,
                more: Vec::new(),
            },
        }
    }

    /// It was not taken: the callback is not called.
    fn refuse(self, error: WriteError) -> WriteError {
        self.answers.forget();
        error
    }

    /// Makes one MARK_READ of two of the same conversation. Returns the other write if they are not.
    fn merge(&mut self, later: Self) -> Option<Self> {
        let (
            Write::MarkRead { log, upto, .. },
            Write::MarkRead {
                log: later_log,
                upto: later_upto,
                ..
            },
        ) = (&mut self.write, &later.write)
        else {
            return Some(later);
        };
        if log != later_log || self.answers.more.len() >= MAX_MERGED {
            return Some(later);
        }
        // Without a sequence it is the head.
        *upto = upto.zip(*later_upto).map(|(one, other)| one.max(other));
        self.answers.more.push(later.answers.first);
        self.answers.more.extend(later.answers.more);
        None
    }
}

/// The queue, shared by those who submit and the one who commits.
pub(super) struct Waiting {
    state: Mutex<State>,
    /// There is more, or it is closed.
    changed: Condvar,
    per_user: usize,
}

struct State {
    jobs: FairQueue<Option<UserId>, Job>,
    closed: bool,
    abandoned: bool,
    /// The store is to look for what other hubs have written.
    look: bool,
    /// Whether somebody waits for [`Waiting::changed`]: telling nobody costs a system call.
    waited_for: bool,
}

impl State {
    fn take(&mut self, at_most: usize, batch: &mut Vec<Job>) {
        let jobs = std::iter::from_fn(|| self.jobs.pop());
        batch.extend(jobs.map(|(_, job)| job).take(at_most));
    }
}

impl Waiting {
    pub(super) fn new(config: WriterConfig) -> Self {
        Self {
            state: Mutex::new(State {
                jobs: FairQueue::new(config.queue),
                closed: false,
                abandoned: false,
                look: false,
                waited_for: false,
            }),
            changed: Condvar::new(),
            per_user: config.per_user,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, job: Job) -> Result<(), WriteError> {
        let user = job.write.author();
        let mut state = self.state();
        if state.closed {
            drop(state);
            return Err(job.refuse(WriteError::Closed));
        }
        let at_most = user.map_or(usize::MAX, |_| self.per_user);
        let pushed = match merge(&mut state.jobs, user, job) {
            None => Ok(()),
            Some(job) => state.jobs.push(user, job, at_most),
        };
        let is_waited_for = pushed.is_ok() && std::mem::take(&mut state.waited_for);
        drop(state);
        if is_waited_for {
            self.changed.notify_one();
        }
        pushed.map_err(|job| job.refuse(WriteError::Overloaded))
    }

    pub(super) fn len(&self) -> usize {
        self.state().jobs.len()
    }

    /// Up to `at_most` of those that wait now.
    pub(super) fn take(&self, at_most: usize, batch: &mut Vec<Job>) {
        self.state().take(at_most, batch);
    }

    /// As [`take`](Self::take), but waits until there is something, or the store is to look; false if it is closed and empty.
    pub(super) fn wait(&self, at_most: usize, batch: &mut Vec<Job>) -> bool {
        let mut state = self.state();
        while state.jobs.is_empty() && !state.look {
            if state.closed {
                return false;
            }
            state.waited_for = true;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        // A commit looks, too.
        state.look = false;
        state.take(at_most, batch);
        true
    }

    /// The store is to look for what other hubs have written.
    pub(super) fn look(&self) {
        let is_waited_for = {
            let mut state = self.state();
            state.look = !state.closed;
            std::mem::take(&mut state.waited_for)
        };
        if is_waited_for {
            self.changed.notify_one();
        }
    }

    /// Whether it is to look, which it does then.
    pub(super) fn take_look(&self) -> bool {
        std::mem::take(&mut self.state().look)
    }

    /// No more writes are taken.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// No more writes are taken, and those that wait are gone; nobody is told anything.
    pub(super) fn abandon(&self) {
        let abandoned = {
            let mut state = self.state();
            (state.closed, state.abandoned) = (true, true);
            state.jobs.take()
        };
        // Outside of the lock: callbacks own what may call back.
        abandoned.into_iter().for_each(|job| job.answers.forget());
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.state().abandoned
    }

    /// No more writes are taken, and those that wait fail with an unknown outcome.
    pub(super) fn fail(&self, reason: &str) {
        for job in self.shut() {
            job.answers
                .answer(Err(StoreError::Unknown(reason.to_owned()).into()));
        }
    }

    /// Closes the queue and takes everything out.
    pub(super) fn shut(&self) -> Vec<Job> {
        let mut state = self.state();
        state.closed = true;
        state.jobs.take()
    }
}

/// Merges a MARK_READ into one of the same user and conversation that waits, unless the user has written something else since.
/// Returns the write if there is none.
fn merge(jobs: &mut FairQueue<Option<UserId>, Job>, user: Option<UserId>, mut job: Job) -> Option<Job> {
    let is_read_mark = |job: &Job| matches!(job.write, Write::MarkRead { .. });
    if !is_read_mark(&job) {
        return Some(job);
    }
    let newest = jobs.newest_of(&user).take(MAX_MERGED);
    for waiting in newest.take_while(|waiting| is_read_mark(waiting)) {
        job = waiting.merge(job)?;
    }
    Some(job)
}
