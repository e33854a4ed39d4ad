//! The writer thread: everybody's writes, grouped so that those that wait share one commit.
//!
//! While a batch is being made durable the next one collects in the queue; under load the batches grow by themselves and
//! nobody waits for a timer.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;
use tracing::warn;

use super::{MAX_BATCH, Published, Refused, StoreError, StoreWriter, Write, Written};

/// Why a write was not done, or not known to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The store's rules refused it; the request is at fault.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue is full: too many writes wait. Nothing was stored, come back later.
    #[error("too many writes are waiting, try again later")]
    Overloaded,
    /// The writer has stopped. Nothing was stored.
    #[error("the store is closed")]
    Closed,
}

impl WriteError {
    /// Whether the same write may simply be tried again, with the same message id.
    #[must_use]
    pub const fn may_retry(&self) -> bool {
        matches!(
            self,
            Self::Overloaded | Self::Store(StoreError::NotStored(_) | StoreError::Unknown(_))
        )
    }
}

/// What a write is answered with.
pub type WriteResult = Result<Written, WriteError>;

/// Limits of a [`Writer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterConfig {
    /// How many writes may wait; more are refused with [`WriteError::Overloaded`].
    pub queue: usize,
    /// How many writes share a commit, at most [`MAX_BATCH`].
    pub batch: usize,
}

impl Default for WriterConfig {
    /// 4,096 may wait, [`MAX_BATCH`] share a commit.
    fn default() -> Self {
        Self {
            queue: 4096,
            batch: MAX_BATCH,
        }
    }
}

/// What the writer thread calls. None of these may block for long: everybody's writes wait for it.
pub struct Hooks {
    /// Tells the time: unix milliseconds.
    pub now_ms: Box<dyn FnMut() -> u64 + Send>,
    /// Gets each commit's new entries in the order of changes, after they are durable and before anybody is answered:
    /// what a sender does after its answer comes after the push of what it sent.
    pub published: Box<dyn FnMut(Vec<Published>) + Send>,
    /// Called once when the store has failed for good, after everybody who waited was answered: stop the process.
    pub fatal: Box<dyn FnOnce(StoreError) + Send>,
}

impl Hooks {
    /// Only a clock; published entries go nowhere.
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

/// Answers exactly once: with "unknown" if it is dropped, by whatever accident, without an answer.
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

/// The way to the writer thread; share it in an [`Arc`]. Dropping it writes what waits and ends the thread.
pub struct Writer {
    queue: RwLock<Option<SyncSender<Job>>>,
    stopped: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// The operating system's, if it gives no thread.
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

    /// Hands a write in and returns; `answer` is called on the writer thread when the write is durable, or is not.
    ///
    /// # Errors
    /// [`WriteError::Overloaded`] or [`WriteError::Closed`]; then `answer` is never called.
    pub fn submit(
        &self,
        write: Write,
        answer: impl FnOnce(WriteResult) + Send + 'static,
    ) -> Result<(), WriteError> {
        let queue = self.queue.read().unwrap_or_else(PoisonError::into_inner);
        let queue = queue
            .as_ref()
            .filter(|_| !self.is_stopped())
            .ok_or(WriteError::Closed)?;
        let job = Job {
            write,
            answer: Callback(Some(Box::new(answer))),
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

    /// Writes and waits. The write is handed in at once; dropping the future does not take it back.
    pub fn write(&self, write: Write) -> impl Future<Output = WriteResult> + Send + use<> {
        let (sender, receiver) = oneshot::channel();
        let submitted = self.submit(write, move |answer| {
            // Whoever asked may have gone.
            let _ = sender.send(answer);
        });
        async move {
            submitted?;
            receiver.await.unwrap_or_else(|_| Err(lost()))
        }
    }

    /// As [`write`](Self::write), for a thread. Not for use in async code.
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

    /// Takes nothing more, writes what waits, closes the store and waits for that; blocks.
    pub fn close(&self) {
        drop(self.queue.write().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.thread().id() != thread::current().id()
        {
            let _ = thread.join();
        }
    }

    /// Whether the store has failed for good.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }
}

/// The thread ended without an answer.
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

/// What the thread owns.
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

    /// Everybody who waits gets "unknown"; nothing more is taken.
    fn fail(self, reason: String, answers: Vec<Callback>) {
        self.stopped.store(true, Ordering::Release);
        let waiting = self.jobs.try_iter().map(|job| job.answer);
        for answer in answers.into_iter().chain(waiting) {
            answer.answer(Err(StoreError::Unknown(reason.clone()).into()));
        }
        (self.hooks.fatal)(StoreError::Fatal(reason));
    }
}
