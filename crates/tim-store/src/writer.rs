//! The writer, which groups waiting writes into one commit.
//!
//! It has a thread. While a batch becomes durable, the next one collects in the queue. Batches grow with the load, and no write
//! waits for a timer. A [stepped](Writer::stepped) writer has no thread and commits when it is told to.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;
use tracing::warn;

use super::{Commit, MAX_BATCH, Published, Refused, StoreError, StoreWriter, Write, Written};

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
    /// The most writes of a commit, up to [`MAX_BATCH`].
    pub batch: usize,
}

impl Default for WriterConfig {
    /// A queue of 4,096 writes, commits of [`MAX_BATCH`].
    fn default() -> Self {
        Self {
            queue: 4096,
            batch: MAX_BATCH,
        }
    }
}

/// Callbacks of the writer. All writes wait while one runs, so none may block for long.
pub struct Hooks {
    /// The clock: Unix time in milliseconds.
    pub now_ms: Box<dyn FnMut() -> u64 + Send>,
    /// Receives the new entries of each commit, in the order of changes, after they are durable and before the results of the writes
    /// are reported. What a sender does after its result therefore comes after its message in the fan-out.
    pub published: Box<dyn FnMut(Vec<Published>) + Send>,
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

/// Called exactly once: with an unknown outcome if it is dropped without a result.
struct Callback(Option<Box<dyn FnOnce(WriteResult) + Send>>);

impl Callback {
    fn answer(mut self, answer: WriteResult) {
        if let Some(call) = self.0.take() {
            call(answer);
        }
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        if let Some(call) = self.0.take() {
            call(Err(lost()));
        }
    }
}

struct Job {
    write: Write,
    answer: Callback,
}

impl Job {
    /// It was not taken: the callback is not called.
    fn refuse(mut self, error: WriteError) -> WriteError {
        self.answer.0 = None;
        error
    }
}

/// The handle of the writer; share it in an [`Arc`]. Dropping it commits the waiting writes and closes the store.
pub struct Writer {
    queue: Queue,
    stopped: Arc<AtomicBool>,
}

/// Where writes wait, and who commits them.
enum Queue {
    Thread {
        sender: RwLock<Option<SyncSender<Job>>>,
        thread: Mutex<Option<JoinHandle<()>>>,
    },
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
        let (sender, jobs) = sync_channel(config.queue);
        let committer = Committer::new(store, config, hooks);
        let stopped = Arc::clone(&committer.stopped);
        let thread = thread::Builder::new()
            .name("tim-store".to_owned())
            .spawn(move || committer.run(&jobs))?;
        Ok(Self {
            queue: Queue::Thread {
                sender: RwLock::new(Some(sender)),
                thread: Mutex::new(Some(thread)),
            },
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
        let committer = Committer::new(Box::new(store) as Box<dyn StoreWriter>, config, hooks);
        let stopped = Arc::clone(&committer.stopped);
        let stepped = Stepped {
            jobs: Mutex::default(),
            capacity: config.queue,
            committer: Mutex::new(Some(committer)),
            submitted: Box::new(submitted),
        };
        Self {
            queue: Queue::Stepped(stepped),
            stopped,
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
        let job = Job {
            write,
            answer: Callback(Some(Box::new(done))),
        };
        match &self.queue {
            Queue::Thread { sender, .. } => {
                let sender = sender.read().unwrap_or_else(PoisonError::into_inner);
                let submitted = match &*sender {
                    Some(sender) => sender.try_send(job),
                    None => Err(TrySendError::Disconnected(job)),
                };
                submitted.map_err(|error| match error {
                    TrySendError::Full(job) => job.refuse(WriteError::Overloaded),
                    TrySendError::Disconnected(job) => job.refuse(WriteError::Closed),
                })
            }
            Queue::Stepped(stepped) => stepped.submit(job),
        }
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
        if let Queue::Stepped(stepped) = &self.queue {
            while stepped.step(MAX_BATCH) > 0 {}
            return receiver.try_recv().unwrap_or_else(|_| Err(lost()));
        }
        receiver.recv().unwrap_or_else(|_| Err(lost()))
    }

    /// How many writes wait for a [`step`](Self::step). 0 for a writer with a thread, and while a step is being taken.
    #[must_use]
    pub fn waiting(&self) -> usize {
        match &self.queue {
            Queue::Thread { .. } => 0,
            Queue::Stepped(stepped) => stepped.waiting(),
        }
    }

    /// Commits up to `at_most` of the waiting writes, on this thread, and at most those of one batch. Returns how many: 0 if none
    /// wait, inside of another step, and for a writer with a thread.
    pub fn step(&self, at_most: usize) -> usize {
        match &self.queue {
            Queue::Thread { .. } => 0,
            Queue::Stepped(stepped) => stepped.step(at_most),
        }
    }

    /// Ends a stepped writer as if its process were killed: the waiting writes are neither committed nor answered, the commit that
    /// is being made is not answered, and the store is closed. Does nothing for a writer with a thread.
    pub fn abandon(&self) {
        if let Queue::Stepped(stepped) = &self.queue {
            stepped.abandon();
        }
    }

    /// Takes no more writes, commits the waiting ones and closes the store. Blocks until that is done.
    pub fn close(&self) {
        let (sender, thread) = match &self.queue {
            Queue::Stepped(stepped) => return stepped.close(),
            Queue::Thread { sender, thread } => (sender, thread),
        };
        drop(sender.write().unwrap_or_else(PoisonError::into_inner).take());
        let thread = thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.thread().id() != thread::current().id()
        {
            let _ = thread.join();
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

/// What commits.
struct Committer<S> {
    store: S,
    batch: usize,
    hooks: Hooks,
    stopped: Arc<AtomicBool>,
    /// Those of the current batch; empty between two.
    writes: Vec<Write>,
    answers: Vec<Callback>,
}

impl<S: StoreWriter> Committer<S> {
    fn new(store: S, config: WriterConfig, hooks: Hooks) -> Self {
        let batch = config.batch.clamp(1, MAX_BATCH);
        Self {
            store,
            batch,
            hooks,
            stopped: Arc::default(),
            writes: Vec::with_capacity(batch),
            answers: Vec::with_capacity(batch),
        }
    }

    /// Commits until the queue is closed and empty, or the store has failed.
    fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(first) = jobs.recv() {
            let more = jobs.try_iter().take(self.batch - 1);
            if let Err(reason) = self.commit(std::iter::once(first).chain(more)) {
                return self.fail(reason, jobs.try_iter());
            }
        }
    }

    /// Commits one batch, publishes it and reports the results. `Err` with the reason of a fatal error, which is not reported yet.
    fn commit(&mut self, jobs: impl Iterator<Item = Job>) -> Result<(), String> {
        let outcome = self.write(jobs);
        self.report(outcome)
    }

    fn write(&mut self, jobs: impl Iterator<Item = Job>) -> Result<Commit, StoreError> {
        for job in jobs {
            self.writes.push(job.write);
            self.answers.push(job.answer);
        }
        let now_ms = (self.hooks.now_ms)();
        self.store.commit(now_ms, &self.writes)
    }

    fn report(&mut self, outcome: Result<Commit, StoreError>) -> Result<(), String> {
        match outcome {
            Ok(commit) => {
                if !commit.published.is_empty() {
                    (self.hooks.published)(commit.published);
                }
                let results = commit
                    .results
                    .into_iter()
                    .map(|result| result.map_err(WriteError::from));
                self.answers
                    .drain(..)
                    .zip(results)
                    .for_each(|(answer, result)| answer.answer(result));
            }
            Err(StoreError::Fatal(reason)) => return Err(reason),
            Err(error) => {
                warn!(%error, writes = self.writes.len(), "a batch of writes was not stored");
                self.answers
                    .drain(..)
                    .for_each(|answer| answer.answer(Err(error.clone().into())));
                if matches!(error, StoreError::Unknown(_)) {
                    (self.hooks.unknown)();
                }
            }
        }
        self.writes.clear();
        Ok(())
    }

    /// Drops the current batch. Nobody is told anything.
    fn forget(&mut self) {
        self.answers.iter_mut().for_each(|answer| answer.0 = None);
        self.answers.clear();
        self.writes.clear();
    }

    /// Fails all waiting writes with an unknown outcome, and takes no more.
    fn fail(self, reason: String, waiting: impl Iterator<Item = Job>) {
        self.stopped.store(true, Ordering::Release);
        let waiting = waiting.map(|job| job.answer);
        for answer in self.answers.into_iter().chain(waiting) {
            answer.answer(Err(StoreError::Unknown(reason.clone()).into()));
        }
        (self.hooks.fatal)(StoreError::Fatal(reason));
    }
}

/// A queue whose writes are committed when somebody says so.
///
/// The lock of the waiting writes is not held while the store or callbacks run, and nobody waits for that of the committer: callbacks
/// may submit writes, and close or drop the writer.
struct Stepped {
    jobs: Mutex<Waiting>,
    capacity: usize,
    /// `None` when the store is closed.
    committer: Mutex<Option<SteppedCommitter>>,
    submitted: Box<dyn Fn() + Send + Sync>,
}

type SteppedCommitter = Committer<Box<dyn StoreWriter>>;

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    closed: bool,
    abandoned: bool,
}

impl Stepped {
    fn jobs(&self) -> MutexGuard<'_, Waiting> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The committer; `None` inside of a step.
    fn committer(&self) -> Option<MutexGuard<'_, Option<SteppedCommitter>>> {
        match self.committer.try_lock() {
            Ok(committer) => Some(committer),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn submit(&self, job: Job) -> Result<(), WriteError> {
        {
            let mut waiting = self.jobs();
            if waiting.closed {
                return Err(job.refuse(WriteError::Closed));
            }
            if waiting.jobs.len() >= self.capacity {
                return Err(job.refuse(WriteError::Overloaded));
            }
            waiting.jobs.push_back(job);
        }
        (self.submitted)();
        Ok(())
    }

    fn waiting(&self) -> usize {
        let can_commit = self.committer().is_some_and(|committer| committer.is_some());
        if can_commit { self.jobs().jobs.len() } else { 0 }
    }

    fn step(&self, at_most: usize) -> usize {
        let Some(mut committer) = self.committer() else {
            return 0;
        };
        let done = self.commit(&mut committer, at_most);
        if self.jobs().closed {
            self.finish(&mut committer);
        }
        done
    }

    /// Commits a batch. Returns how many writes it had.
    fn commit(&self, committer: &mut Option<SteppedCommitter>, at_most: usize) -> usize {
        let Some(active) = committer else { return 0 };
        let batch: VecDeque<Job> = {
            let mut waiting = self.jobs();
            let count = waiting.jobs.len().min(at_most).min(active.batch);
            waiting.jobs.drain(..count).collect()
        };
        let count = batch.len();
        if count == 0 {
            return 0;
        }
        let outcome = active.write(batch.into_iter());
        if self.jobs().abandoned {
            active.forget();
        } else if let Err(reason) = active.report(outcome)
            && let Some(failed) = committer.take()
        {
            let waiting = std::mem::take(&mut self.jobs().jobs);
            failed.fail(reason, waiting.into_iter());
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
        self.jobs().closed = true;
        if let Some(mut committer) = self.committer() {
            self.finish(&mut committer);
        }
    }

    fn abandon(&self) {
        let mut abandoned = {
            let mut waiting = self.jobs();
            (waiting.closed, waiting.abandoned) = (true, true);
            std::mem::take(&mut waiting.jobs)
        };
        // Nobody is told anything.
        abandoned.iter_mut().for_each(|job| job.answer.0 = None);
        self.close();
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
