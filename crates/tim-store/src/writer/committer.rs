//! What commits batches, and reports their results.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tracing::{debug, warn};

use super::waiting::{Callbacks, Job, Waiting};
use super::{Hooks, WriteError, WriterConfig};
use crate::measure::{Histogram, SIZES};
use crate::{Commit, MAX_BATCH, StoreError, StoreWriter, Write, WriterStats};

/// The store, and the batch in hand.
pub(super) struct Committer<S> {
    store: S,
    pub(super) batch: usize,
    hooks: Hooks,
    pub(super) stopped: Arc<AtomicBool>,
    pub(super) counts: Arc<Counts>,
    waiting: Arc<Waiting>,
    /// Those of the current batch; empty between two.
    writes: Vec<Write>,
    answers: Vec<Callbacks>,
}

impl<S: StoreWriter> Committer<S> {
    pub(super) fn new(store: S, config: WriterConfig, hooks: Hooks, waiting: Arc<Waiting>) -> Self {
        let batch = config.batch.clamp(1, MAX_BATCH);
        Self {
            store,
            batch,
            hooks,
            stopped: Arc::default(),
            counts: Arc::new(Counts::new()),
            waiting,
            writes: Vec::with_capacity(batch),
            answers: Vec::with_capacity(batch),
        }
    }

    /// Commits until the queue is closed and empty, or the store has failed.
    pub(super) fn run(mut self) {
        let ending = Ending(Arc::clone(&self.waiting));
        let mut jobs = Vec::with_capacity(self.batch);
        while ending.0.wait(self.batch, &mut jobs) {
            if let Err(reason) = self.commit(jobs.drain(..)) {
                return self.fail(reason);
            }
        }
    }

    /// Commits one batch, publishes it and reports the results. `Err` with the reason of a fatal error, which is not reported yet.
    fn commit(&mut self, jobs: impl Iterator<Item = Job>) -> Result<(), String> {
        let outcome = self.write(jobs);
        self.report(outcome)
    }

    pub(super) fn write(&mut self, jobs: impl Iterator<Item = Job>) -> Result<Commit, StoreError> {
        for job in jobs {
            self.writes.push(job.write);
            self.answers.push(job.answers);
        }
        let now_ms = (self.hooks.now_ms)();
        let begun = Instant::now();
        let outcome = self.store.commit(now_ms, &self.writes);
        self.counts.batch(self.writes.len(), begun, &outcome);
        outcome
    }

    pub(super) fn report(&mut self, outcome: Result<Commit, StoreError>) -> Result<(), String> {
        match outcome {
            Ok(commit) => {
                if !commit.elsewhere.is_empty() {
                    (self.hooks.elsewhere)(commit.elsewhere);
                }
                if !commit.published.is_empty() {
                    (self.hooks.published)(commit.published);
                }
                let mut results = commit.results.into_iter();
                let answers = &mut self.answers;
                (self.hooks.answers)(&mut || {
                    let results = results.by_ref().map(|result| result.map_err(WriteError::from));
                    answers
                        .drain(..)
                        .zip(results)
                        .for_each(|(answers, result)| answers.answer(result));
                });
            }
            Err(StoreError::Fatal(reason)) => return Err(reason),
            Err(error) => {
                match self.writes.len() {
                    0 => debug!(%error, "it is not known what other hubs have written"),
                    writes => warn!(%error, writes, "a batch of writes was not stored"),
                }
                self.answers
                    .drain(..)
                    .for_each(|answers| answers.answer(Err(error.clone().into())));
                if matches!(error, StoreError::Unknown(_)) {
                    (self.hooks.unknown)();
                }
            }
        }
        self.writes.clear();
        Ok(())
    }

    /// Drops the current batch. Nobody is told anything.
    pub(super) fn forget(&mut self) {
        self.answers.drain(..).for_each(Callbacks::forget);
        self.writes.clear();
    }

    /// Fails all waiting writes with an unknown outcome, and takes no more.
    pub(super) fn fail(self, reason: String) {
        self.stopped.store(true, Ordering::Release);
        for answers in self.answers {
            answers.answer(Err(StoreError::Unknown(reason.clone()).into()));
        }
        self.waiting.fail(&reason);
        (self.hooks.fatal)(StoreError::Fatal(reason));
    }
}

/// What is counted of the batches.
#[derive(Debug)]
pub(super) struct Counts {
    written: AtomicU64,
    refused: AtomicU64,
    overloaded: AtomicU64,
    failed: AtomicU64,
    batches: Histogram,
    commits_us: Histogram,
    is_failing: AtomicBool,
    /// Why, if it is.
    failing: Mutex<Option<String>>,
}

impl Counts {
    const fn new() -> Self {
        Self {
            written: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            overloaded: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            batches: Histogram::new(&SIZES),
            commits_us: Histogram::of_times(),
            is_failing: AtomicBool::new(false),
            failing: Mutex::new(None),
        }
    }

    /// A write was not enqueued.
    pub(super) fn not_taken(&self, error: &WriteError) {
        if *error == WriteError::Overloaded {
            self.overloaded.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn batch(&self, writes: usize, begun: Instant, outcome: &Result<Commit, StoreError>) {
        let writes = writes as u64;
        if writes > 0 {
            self.batches.observe(writes);
            let took_us = begun.elapsed().as_micros();
            self.commits_us
                .observe(u64::try_from(took_us).unwrap_or(u64::MAX));
        }
        match outcome {
            Ok(commit) => {
                let refused = commit.results.iter().filter(|result| result.is_err()).count() as u64;
                self.refused.fetch_add(refused, Ordering::Relaxed);
                self.written
                    .fetch_add(writes.saturating_sub(refused), Ordering::Relaxed);
                // Looking for what others have written proves nothing of writing.
                if writes > 0 && self.is_failing.swap(false, Ordering::AcqRel) {
                    self.set_failing(None);
                }
            }
            Err(error) => {
                self.failed.fetch_add(writes, Ordering::Relaxed);
                self.set_failing(Some(error.to_string()));
                self.is_failing.store(true, Ordering::Release);
            }
        }
    }

    fn set_failing(&self, reason: Option<String>) {
        *self.failing.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    pub(super) fn stats(&self) -> WriterStats {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        WriterStats {
            waiting: 0,
            written: count(&self.written),
            refused: count(&self.refused),
            overloaded: count(&self.overloaded),
            failed: count(&self.failed),
            batches: self.batches.distribution(),
            commits_us: self.commits_us.distribution(),
            failing: self
                .failing
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        }
    }
}

/// The thread has ended, if by a panic. Nobody may wait for it.
struct Ending(Arc<Waiting>);

impl Drop for Ending {
    fn drop(&mut self) {
        // Their callbacks are called with an unknown outcome.
        drop(self.0.shut());
    }
}
