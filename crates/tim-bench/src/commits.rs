//! The commits of a hub's store, seen from the inside: how long each takes, and how long senders wait for the next one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tim_bench::Latency;
use tim_store::{Commit, Store, StoreError, StoreWriter, Write};

/// The distributions since [`Commits::clear`].
#[derive(Debug, Default)]
struct Seen {
    messages: Latency,
    retention: Latency,
    gaps: Latency,
    last: Option<Instant>,
}

/// What the commits of a hub took, as classes of [`Latency`].
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct CommitTimes {
    /// Commits with messages, and with no step of retention.
    pub(crate) messages: Vec<(u64, u64)>,
    /// Commits with a step of retention.
    pub(crate) retention: Vec<(u64, u64)>,
    /// From the end of a commit with messages to the end of the next one.
    pub(crate) gaps: Vec<(u64, u64)>,
}

/// The commits of a store.
#[derive(Debug, Clone, Default)]
pub(crate) struct Commits(Arc<Mutex<Seen>>);

impl Commits {
    /// A store whose commits are seen.
    pub(crate) fn watch(&self, store: Store) -> Store {
        let writer = Watched {
            inner: store.writer,
            commits: self.clone(),
        };
        Store {
            writer: Box::new(writer),
            ..store
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what was seen.
    pub(crate) fn clear(&self) {
        *self.seen() = Seen::default();
    }

    /// What was seen.
    pub(crate) fn times(&self) -> CommitTimes {
        let seen = self.seen();
        CommitTimes {
            messages: seen.messages.classes(),
            retention: seen.retention.classes(),
            gaps: seen.gaps.classes(),
        }
    }

    fn note(&self, batch: &[Write], began: Instant, ended: Instant) {
        let mut seen = self.seen();
        let has_retention = batch.iter().any(|write| matches!(write, Write::Purge(_)));
        let has_messages = batch.iter().any(|write| matches!(write, Write::Append(_)));
        let took = ended.duration_since(began);
        if has_retention {
            seen.retention.record(took);
        } else if has_messages {
            seen.messages.record(took);
        }
        if has_messages && let Some(last) = seen.last.replace(ended) {
            seen.gaps.record(ended.duration_since(last));
        }
    }
}

struct Watched {
    inner: Box<dyn StoreWriter>,
    commits: Commits,
}

impl StoreWriter for Watched {
    fn commit(&mut self, now_ms: u64, batch: &[Write]) -> Result<Commit, StoreError> {
        let began = Instant::now();
        let done = self.inner.commit(now_ms, batch);
        self.commits.note(batch, began, Instant::now());
        done
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tim_store::Purge;

    use super::*;
    use crate::prepare;

    #[test]
    fn commits_are_told_apart_by_what_is_in_them() {
        let (commits, start) = (Commits::default(), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        let step = Write::Purge(Purge {
            older_than_ms: 0,
            forget_ids_before_ms: 0,
            over_before_ms: 0,
            budget: 1,
            ..Purge::NONE
        });
        let message = prepare::any_message();
        commits.note(std::slice::from_ref(&message), at(0), at(10));
        commits.note(std::slice::from_ref(&step), at(10), at(30));
        commits.note(&[message, step], at(30), at(70));
        commits.note(&[], at(70), at(71));
        let times = commits.times();
        let longest = |classes: &[(u64, u64)]| {
            let latency = Latency::of_classes(classes);
            let millis = (latency.max().as_secs_f64() * 1e3).round() as u64;
            (latency.count(), millis)
        };
        assert_eq!(longest(&times.messages), (1, 10));
        assert_eq!(longest(&times.retention), (2, 40));
        assert_eq!(longest(&times.gaps), (1, 60), "senders waited for both steps");
        commits.clear();
        assert!(commits.times().gaps.is_empty());
    }
}
