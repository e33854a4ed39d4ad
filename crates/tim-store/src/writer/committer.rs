//! What commits batches, and reports their results.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::warn;

use super::waiting::{Callbacks, Job, Waiting};
use super::{Hooks, WriteError, WriterConfig};
use crate::{Commit, MAX_BATCH, StoreError, StoreWriter, Write};

/// The store, and the batch in hand.
pub(super) struct Committer<S> {
    store: S,
    pub(super) batch: usize,
    hooks: Hooks,
    pub(super) stopped: Arc<AtomicBool>,
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
        self.store.commit(now_ms, &self.writes)
    }

    pub(super) fn report(&mut self, outcome: Result<Commit, StoreError>) -> Result<(), String> {
        match outcome {
            Ok(commit) => {
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
                warn!(%error, writes = self.writes.len(), "a batch of writes was not stored");
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

/// The thread has ended, if by a panic. Nobody may wait for it.
struct Ending(Arc<Waiting>);

impl Drop for Ending {
    fn drop(&mut self) {
        // Their callbacks are called with an unknown outcome.
        drop(self.0.shut());
    }
}
