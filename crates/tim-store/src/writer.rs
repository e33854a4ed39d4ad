//! The writer thread, which groups waiting writes into one commit.
//!
//! While a batch becomes durable, the next one collects in the queue. Batches grow with the load, and no write waits for a timer.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;
use tracing::warn;

use super::{MAX_BATCH, Published, Refused, StoreError, StoreWriter, Write, Written};

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
            Self::Overloaded | Self::Store(StoreError::NotStored(_) | StoreError::Unknown(_))
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

/// Callbacks of the writer thread. All writes wait while one runs, so none may block for long.
pub struct Hooks {
    /// The clock: Unix time in milliseconds.
    pub now_ms: Box<dyn FnMut() -> u64 + Send>,
    /// Receives the new entries of each commit, in the order of changes, after they are durable and before the results of the writes
    /// are reported. What a sender does after its result therefore comes after its message in the fan-out.
    pub published: Box<dyn FnMut(Vec<Published>) + Send>,
    /// Called once after a fatal error of the store, when all waiting writes have their results.
    pub fatal: Box<dyn FnOnce(StoreError) + Send>,
}

impl Hooks {
    /// A clock, and no other callbacks.
    pub fn clock(now_ms: impl FnMut() -> u64 + Send + 'static) -> Self {
        Self {
            now_ms: Box::new(now_ms),
            published: Box::new(|_| ()),
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

/// The handle of the writer thread; share it in an [`Arc`]. Dropping it commits the waiting writes and ends the thread.
pub struct Writer {
    queue: RwLock<Option<SyncSender<Job>>>,
    stopped: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
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
        let (queue, jobs) = sync_channel(config.queue);
        let stopped = Arc::new(AtomicBool::new(false));
        let run = Run {
            store,
            jobs,
            batch: config.batch.clamp(1, MAX_BATCH),
            hooks,
            stopped: Arc::clone(&stopped),
        };
        let thread = thread::Builder::new()
            .name("tim-store".to_owned())
            .spawn(move || run.run())?;
        Ok(Self {
            queue: RwLock::new(Some(queue)),
            stopped,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Enqueues a write and returns. `done` is called on the writer thread with the result.
    ///
    /// # Errors
    /// [`WriteError::Overloaded`] or [`WriteError::Closed`]; `done` is not called then.
    pub fn submit(
        &self,
        write: Write,
        done: impl FnOnce(WriteResult) + Send + 'static,
    ) -> Result<(), WriteError> {
        let queue = self.queue.read().unwrap_or_else(PoisonError::into_inner);
        let queue = queue
            .as_ref()
            .filter(|_| !self.is_stopped())
            .ok_or(WriteError::Closed)?;
        let job = Job {
            write,
            answer: Callback(Some(Box::new(done))),
        };
        queue.try_send(job).map_err(|error| {
            let (mut job, error) = match error {
                TrySendError::Full(job) => (job, WriteError::Overloaded),
                TrySendError::Disconnected(job) => (job, WriteError::Closed),
            };
            job.answer.0 = None;
            error
        })
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

    /// As [`write`](Self::write), but blocks the thread.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn write_blocking(&self, write: Write) -> WriteResult {
        let (sender, receiver) = sync_channel(1);
        self.submit(write, move |answer| {
            let _ = sender.send(answer);
        })?;
        receiver.recv().unwrap_or_else(|_| Err(lost()))
    }

    /// Takes no more writes, commits the waiting ones and closes the store. Blocks until that is done.
    pub fn close(&self) {
        drop(self.queue.write().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
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

/// The state of the thread.
struct Run<S> {
    store: S,
    jobs: Receiver<Job>,
    batch: usize,
    hooks: Hooks,
    stopped: Arc<AtomicBool>,
}

impl<S: StoreWriter> Run<S> {
    fn run(mut self) {
        let mut writes = Vec::with_capacity(self.batch);
        let mut answers: Vec<Callback> = Vec::with_capacity(self.batch);
        while let Ok(first) = self.jobs.recv() {
            for job in std::iter::once(first).chain(self.jobs.try_iter().take(self.batch - 1)) {
                writes.push(job.write);
                answers.push(job.answer);
            }
            let now_ms = (self.hooks.now_ms)();
            match self.store.commit(now_ms, &writes) {
                Ok(commit) => {
                    if !commit.published.is_empty() {
                        (self.hooks.published)(commit.published);
                    }
                    let results = commit
                        .results
                        .into_iter()
                        .map(|result| result.map_err(WriteError::from));
                    answers
                        .drain(..)
                        .zip(results)
                        .for_each(|(answer, result)| answer.answer(result));
                }
                Err(StoreError::Fatal(reason)) => return self.fail(reason, answers),
                Err(error) => {
                    warn!(%error, writes = writes.len(), "a batch of writes was not stored");
                    answers
                        .drain(..)
                        .for_each(|answer| answer.answer(Err(error.clone().into())));
                }
            }
            writes.clear();
        }
    }

    /// Fails all waiting writes with an unknown outcome, and takes no more.
    fn fail(self, reason: String, answers: Vec<Callback>) {
        self.stopped.store(true, Ordering::Release);
        let waiting = self.jobs.try_iter().map(|job| job.answer);
        for answer in answers.into_iter().chain(waiting) {
            answer.answer(Err(StoreError::Unknown(reason.clone()).into()));
        }
        (self.hooks.fatal)(StoreError::Fatal(reason));
    }
}
