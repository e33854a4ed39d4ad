//! How much CPU time the threads of a server have taken, by their names, from `/proc`.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::time::Duration;

/// The CPU time of each thread of a server since it began, in nanoseconds and not in ticks of 10 ms.
#[derive(Debug, Clone)]
pub struct Threads(HashMap<(u32, u32), Thread>);

#[derive(Debug, Clone)]
struct Thread {
    name: String,
    on_cpu: Duration,
}

impl Threads {
    /// Those of these processes; `None` if they cannot be read.
    pub(crate) fn of(processes: &[u32]) -> Option<Self> {
        let threads = processes.iter().flat_map(|process| {
            let listing = fs::read_dir(format!("/proc/{process}/task"))
                .into_iter()
                .flatten();
            let numbers = listing
                .flatten()
                .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
            numbers.filter_map(|number: u32| Some(((*process, number), Thread::read(*process, number)?)))
        });
        let threads: HashMap<_, _> = threads.collect();
        (!threads.is_empty()).then_some(Self(threads))
    }

    /// What the threads of each name have taken since `earlier`. Threads that have ended since are left out.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> BTreeMap<String, Duration> {
        let mut by_name = BTreeMap::<_, Duration>::new();
        for (thread, now) in &self.0 {
            let before = earlier
                .0
                .get(thread)
                .map_or(Duration::ZERO, |before| before.on_cpu);
            *by_name.entry(now.name.clone()).or_default() += now.on_cpu.saturating_sub(before);
        }
        by_name
    }
}

impl Thread {
    fn read(process: u32, number: u32) -> Option<Self> {
        let read = |file: &str| fs::read_to_string(format!("/proc/{process}/task/{number}/{file}"));
        let on_cpu = read("schedstat").ok()?.split(' ').next()?.parse().ok()?;
        Some(Self {
            name: read("comm").ok()?.trim_end().to_owned(),
            on_cpu: Duration::from_nanos(on_cpu),
        })
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::path::Path;
    use std::thread;

    use crate::Meter;

    use super::*;

    #[test]
    fn threads_are_counted_by_their_names() {
        tim_testkit::deadline();
        let meter = Meter::new(std::process::id(), Path::new("/"));
        let Some(before) = meter.threads() else { return };
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let spin = move || while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {};
        let spinning = thread::Builder::new().name("spinning".to_owned()).spawn(spin);
        let spinning = spinning.expect("a thread");
        let used = || meter.threads().expect("threads").since(&before);
        while used()
            .get("spinning")
            .is_none_or(|time| *time < Duration::from_millis(5))
        {
            thread::yield_now();
        }
        drop(stop);
        spinning.join().expect("its end");
        assert_eq!(used().get("spinning"), None);
    }
}
