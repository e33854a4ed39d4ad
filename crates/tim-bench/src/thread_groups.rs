//! Which threads a hub has, and what they are for.

use std::collections::BTreeMap;
use std::time::Duration;

/// Threads of the hub whose CPU time is shown together: the key, the label, their names; none for all others.
pub(crate) struct ThreadGroup(&'static str, &'static str, &'static [&'static str]);

pub(crate) const THREADS: &[ThreadGroup] = &[
    ThreadGroup(
        "writer_cpu_us_per_message",
        "    of it the writer",
        &["tim-store"],
    ),
    ThreadGroup("fan_out_cpu_us_per_message", "    the fan-out", &["tim-fanout"]),
    ThreadGroup(
        "executor_cpu_us_per_message",
        "    connections and the read pool",
        &["tokio-rt-worker", "tokio-runtime-w"],
    ),
    ThreadGroup(
        "checkpoint_cpu_us_per_message",
        "    checkpoints",
        &["tim-checkpoint"],
    ),
    ThreadGroup("other_threads_cpu_us_per_message", "    other threads", &[]),
];

impl ThreadGroup {
    /// Its key, its label and the time of its threads.
    pub(crate) fn of(
        &self,
        threads: Option<&BTreeMap<String, Duration>>,
    ) -> (&'static str, &'static str, Option<Duration>) {
        let Self(key, label, names) = self;
        let is_in = |name: &str| match names.is_empty() {
            true => THREADS.iter().all(|Self(_, _, names)| !names.contains(&name)),
            false => names.contains(&name),
        };
        let time = threads.map(|threads| {
            let of_group = threads.iter().filter(|(name, _)| is_in(name.as_str()));
            of_group.map(|(_, time)| *time).sum()
        });
        (key, label, time)
    }
}
