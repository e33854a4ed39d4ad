//! The writer, which groups waiting writes into one commit.
//!
//! It has a thread. While a batch becomes durable, the next one collects in the queue. Batches grow with the load, and no write
//! waits for a timer. A [stepped](Writer::stepped) writer has no thread and commits when it is told to.

mod committer;
#[cfg(test)]
mod tests;
mod waiting;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

use super::{Elsewhere, MAX_BATCH, Published, Refused, StoreError, StoreWriter, Write, WriterStats, Written};
use committer::{Committer, Counts};
use waiting::{Callback, Job, Waiting};

/// Why a write failed, or may have failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The write was refused; the request is at fault.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue is full. Nothing was stored; retry later.
    #[error("too many writes are waiting, try again later")]
    Overloaded,
    /// The writer has stopped. Nothing was stored.
    #[error("the store is closed")]
    Closed,
}

impl WriteError {
    /// Whether the same write can be retried, with the same message id.
    #[must_use]
    pub const fn may_retry(&self) -> bool {
        matches!(
            self,
            Self::Overloaded
                | Self::Store(StoreError::NotStored(_) | StoreError::Damaged(_) | StoreError::Unknown(_))
        )
    }
}

/// The result of a write.
pub type WriteResult = Result<Written, WriteError>;

/// Limits of a [`Writer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterConfig {
    /// The capacity of the queue. Further writes fail with [`WriteError::Overloaded`].
    pub queue: usize,
    /// How many of them may be one user's. Further writes of that user fail with [`WriteError::Overloaded`].
    pub per_user: usize,
    /// The most writes of a commit, up to [`MAX_BATCH`].
    pub batch: usize,
}

impl Default for WriterConfig {
    /// A queue of 4,096 writes, 512 of them one user's, commits of [`MAX_BATCH`].
    fn default() -> Self {
        Self {
            queue: 4096,
            per_user: 512,
            batch: MAX_BATCH,
        }
    }
}

/// Calls what it is given, once.
pub type Around = Box<dyn FnMut(&mut dyn FnMut()) + Send>;

/// Callbacks of the writer. All writes wait while one runs, so none may block for long.
pub struct Hooks {
    /// The clock: Unix time in milliseconds.
    pub now_ms: Box<dyn FnMut() -> u64 + Send>,
    /// Receives the new entries of each commit, in the order of changes, after they are durable and before the results of the writes
    /// are reported. What a sender does after its result therefore comes after its message in the fan-out.
    pub published: Box<dyn FnMut(Vec<Published>) + Send>,
    /// Receives what other hubs have written, before what this one has.
    pub elsewhere: Box<dyn FnMut(Vec<Elsewhere>) + Send>,
    /// Around the reports of the results of one commit: many of them are for the same sender.
    pub answers: Around,
    /// Called after a batch of which it is unknown whether it was stored, when its writes have their results and before the next
    /// commit. If it was stored, nothing of it is published: whoever follows the commits has to read what it has missed.
    pub unknown: Box<dyn FnMut() + Send>,
    /// Called once after a fatal error of the store, when all waiting writes have their results.
    pub fatal: Box<dyn FnOnce(StoreError) + Send>,
}

impl Hooks {
    /// A clock, and no other callbacks.
    pub fn clock(now_ms: impl FnMut() -> u64 + Send + 'static) -> Self {
        Self {
            now_ms: Box::new(now_ms),
            published: Box::new(|_| ()),
            elsewhere: Box::new(|_| ()),
            answers: Box::new(|answer| answer()),
            unknown: Box::new(|| ()),
            fatal: Box::new(|_| ()),
        }
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").finish_non_exhaustive()
    }
}

/// The handle of the writer; share it in an [`Arc`]. Dropping it commits the waiting writes and closes the store.
pub struct Writer {
    waiting: Arc<Waiting>,
    commits: Commits,
    stopped: Arc<AtomicBool>,
    counts: Arc<Counts>,
}

/// Who commits.
enum Commits {
    Thread(Mutex<Option<JoinHandle<()>>>),
    Stepped(Stepped),
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(
        store: impl StoreWriter + 'static,
        config: WriterConfig,
        hooks: Hooks,
    ) -> std::io::Result<Self> {
        let waiting = Arc::new(Waiting::new(config));
        let committer = Committer::new(store, config, hooks, Arc::clone(&waiting));
        let (stopped, counts) = (Arc::clone(&committer.stopped), Arc::clone(&committer.counts));
        let thread = thread::Builder::new()
            .name("tim-store".to_owned())
            .spawn(move || committer.run())?;
        Ok(Self {
            counts,
            waiting,
            commits: Commits::Thread(Mutex::new(Some(thread))),
            stopped,
        })
    }

    /// A writer without a thread, which commits in [`step`](Self::step) only: for tests that decide when, and how many writes at a
    /// time. `submitted` is called after each submission.
    pub fn stepped(
        store: impl StoreWriter + 'static,
        config: WriterConfig,
        hooks: Hooks,
        submitted: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let waiting = Arc::new(Waiting::new(config));
        let store: Box<dyn StoreWriter> = Box::new(store);
        let committer = Committer::new(store, config, hooks, Arc::clone(&waiting));
        let (stopped, counts) = (Arc::clone(&committer.stopped), Arc::clone(&committer.counts));
        let stepped = Stepped {
            waiting: Arc::clone(&waiting),
            committer: Mutex::new(Some(committer)),
            submitted: Box::new(submitted),
        };
        Self {
            waiting,
            commits: Commits::Stepped(stepped),
            stopped,
            counts,
        }
    }

    /// Enqueues a write and returns. `done` is called with the result, by the thread that commits.
    ///
    /// # Errors
    /// [`WriteError::Overloaded`] or [`WriteError::Closed`]; `done` is not called then.
    pub fn submit(
        &self,
        write: Write,
        done: impl FnOnce(WriteResult) + Send + 'static,
    ) -> Result<(), WriteError> {
        if self.is_stopped() {
            return Err(WriteError::Closed);
        }
        let pushed = self.waiting.push(Job::new(write, Callback::new(done)));
        pushed.inspect_err(|error| self.counts.not_taken(error))?;
        if let Commits::Stepped(stepped) = &self.commits {
            (stepped.submitted)();
        }
        Ok(())
    }

    /// Has the store look for what other hubs have written, though nobody here writes.
    pub fn look(&self) {
        self.waiting.look();
    }

    /// Enqueues a write at once; the future waits for its result. Dropping the future does not cancel the write.
    pub fn write(&self, write: Write) -> impl Future<Output = WriteResult> + Send + use<> {
        let (sender, receiver) = oneshot::channel();
        let submitted = self.submit(write, move |answer| {
            let _ = sender.send(answer);
        });
        async move {
            submitted?;
            receiver.await.unwrap_or_else(|_| Err(lost()))
        }
    }

    /// As [`write`](Self::write), but blocks the thread. A stepped writer commits what waits.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn write_blocking(&self, write: Write) -> WriteResult {
        let (sender, receiver) = sync_channel(1);
        self.submit(write, move |answer| {
            let _ = sender.send(answer);
        })?;
        if let Commits::Stepped(stepped) = &self.commits {
            while stepped.step(MAX_BATCH) > 0 {}
            return receiver.try_recv().unwrap_or_else(|_| Err(lost()));
        }
        receiver.recv().unwrap_or_else(|_| Err(lost()))
    }

    /// How many writes wait for a [`step`](Self::step). 0 for a writer with a thread, and while a step is being taken.
    #[must_use]
    pub fn waiting(&self) -> usize {
        match &self.commits {
            Commits::Thread(_) => 0,
            Commits::Stepped(stepped) => stepped.waiting(),
        }
    }

    /// Commits up to `at_most` of the waiting writes, on this thread, and at most those of one batch. Returns how many: 0 if none
    /// wait, inside of another step, and for a writer with a thread.
    pub fn step(&self, at_most: usize) -> usize {
        match &self.commits {
            Commits::Thread(_) => 0,
            Commits::Stepped(stepped) => stepped.step(at_most),
        }
    }

    /// Ends a stepped writer as if its process were killed: the waiting writes are neither committed nor answered, the commit that
    /// is being made is not answered, and the store is closed. Does nothing for a writer with a thread.
    pub fn abandon(&self) {
        if let Commits::Stepped(stepped) = &self.commits {
            stepped.abandon();
        }
    }

    /// Takes no more writes, commits the waiting ones and closes the store. Blocks until that is done.
    pub fn close(&self) {
        self.waiting.close();
        let thread = match &self.commits {
            Commits::Stepped(stepped) => return stepped.close(),
            Commits::Thread(thread) => thread,
        };
        let thread = thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.thread().id() != thread::current().id()
        {
            let _ = thread.join();
        }
    }

    /// What the writer has counted.
    #[must_use]
    pub fn stats(&self) -> WriterStats {
        WriterStats {
            waiting: self.waiting.len(),
            ..self.counts.stats()
        }
    }

    /// Whether the store had a fatal error.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }
}

/// The thread ended without a result.
fn lost() -> WriteError {
    StoreError::Unknown("the writer stopped".to_owned()).into()
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("stopped", &self.is_stopped())
            .finish_non_exhaustive()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

/// A queue whose writes are committed when somebody says so.
///
/// The lock of the waiting writes is not held while the store or callbacks run, and nobody waits for that of the committer: callbacks
/// may submit writes, and close or drop the writer.
struct Stepped {
    waiting: Arc<Waiting>,
    /// `None` when the store is closed.
    committer: Mutex<Option<SteppedCommitter>>,
    submitted: Box<dyn Fn() + Send + Sync>,
}

type SteppedCommitter = Committer<Box<dyn StoreWriter>>;

impl Stepped {
    /// The committer; `None` inside of a step.
    fn committer(&self) -> Option<MutexGuard<'_, Option<SteppedCommitter>>> {
        match self.committer.try_lock() {
            Ok(committer) => Some(committer),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn waiting(&self) -> usize {
        let can_commit = self.committer().is_some_and(|committer| committer.is_some());
        if can_commit { self.waiting.len() } else { 0 }
    }

    fn step(&self, at_most: usize) -> usize {
        let Some(mut committer) = self.committer() else {
            return 0;
        };
        let done = self.commit(&mut committer, at_most);
        if self.waiting.is_closed() {
            self.finish(&mut committer);
        }
        done
    }

    /// Commits a batch. Returns how many writes it had.
    fn commit(&self, committer: &mut Option<SteppedCommitter>, at_most: usize) -> usize {
        let Some(active) = committer else { return 0 };
        let mut batch = Vec::new();
        self.waiting.take(at_most.min(active.batch), &mut batch);
        let count = batch.len();
        if count == 0 && !self.waiting.take_look() {
            return 0;
        }
        let outcome = active.write(batch.into_iter());
        if self.waiting.is_abandoned() {
            active.forget();
        } else if let Err(reason) = active.report(outcome)
            && let Some(failed) = committer.take()
        {
            failed.fail(reason);
        }
        count
    }

    /// Commits the rest, and closes the store.
    fn finish(&self, committer: &mut Option<SteppedCommitter>) {
        while self.commit(committer, MAX_BATCH) > 0 {}
        *committer = None;
    }

    /// Inside of a step, that step does the rest.
    fn close(&self) {
        self.waiting.close();
        if let Some(mut committer) = self.committer() {
            self.finish(&mut committer);
        }
    }

    fn abandon(&self) {
        self.waiting.abandon();
        self.close();
    }
}
