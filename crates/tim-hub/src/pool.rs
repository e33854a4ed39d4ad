//! Pools of threads for work that blocks on the disk.
//!
//! A connection runs on an executor's thread together with many others, so nothing there may wait for the disk. Work that does is
//! handed to a pool: a bounded number of jobs run at a time, and a smaller number of one user, so that however much one user asks
//! for, the others' work goes on. Users are served in turn. In a [stepped](crate::Steps) hub there are no threads: jobs wait until
//! they are told to run.

mod stepped;

pub(crate) use stepped::SteppedJobs;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, Weak};

use tim_proto::UserId;
use tim_store::FairQueue;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::threads::{blocking, lock};
use crate::worker::Workplace;

/// How many jobs of a pool run at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PoolSize {
    pub(crate) workers: usize,
    /// How many of them are one user's.
    pub(crate) of_user: usize,
}

/// What runs jobs.
#[derive(Clone)]
pub(crate) enum Pool {
    Threads(Arc<Threads>),
    Stepped(Arc<SteppedJobs>),
}

impl Pool {
    pub(crate) fn new(workplace: &Workplace, size: PoolSize) -> Self {
        match workplace {
            Workplace::Threads => Self::Threads(Arc::new(Threads::new(size))),
            Workplace::Steps(wakeup) => Self::Stepped(Arc::new(SteppedJobs::new(Arc::clone(wakeup)))),
        }
    }

    /// Another pool. In a stepped hub its jobs wait together with those of this one.
    pub(crate) fn beside(&self, size: PoolSize) -> Self {
        match self {
            Self::Threads(_) => Self::Threads(Arc::new(Threads::new(size))),
            Self::Stepped(stepped) => Self::Stepped(Arc::clone(stepped)),
        }
    }

    /// What waits in a stepped hub.
    pub(crate) fn stepped(&self) -> Option<Weak<SteppedJobs>> {
        match self {
            Self::Threads(_) => None,
            Self::Stepped(stepped) => Some(Arc::downgrade(stepped)),
        }
    }

    /// How many jobs wait.
    pub(crate) fn waiting(&self) -> usize {
        match self {
            Self::Threads(threads) => lock(&threads.state).waiting.len(),
            Self::Stepped(stepped) => stepped.jobs(),
        }
    }

    /// How many threads are at work.
    pub(crate) fn busy(&self) -> usize {
        match self {
            Self::Threads(threads) => lock(&threads.state).workers,
            Self::Stepped(_) => 0,
        }
    }

    /// Whether jobs are running or waiting.
    pub(crate) fn is_busy(&self) -> bool {
        match self {
            Self::Threads(threads) => lock(&threads.state).workers > 0,
            Self::Stepped(stepped) => stepped.jobs() + stepped.answers() > 0,
        }
    }

    /// Runs `work` of this user on the pool, unless the receiver is dropped before its turn comes. The channel closes without a
    /// result if the work panics or the runtime ends.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        user: UserId,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let stepped = match self {
            Self::Threads(threads) => return threads.run(user, work),
            Self::Stepped(stepped) => stepped,
        };
        let (sender, receiver) = oneshot::channel();
        stepped.submit(Box::new(move || {
            // As on the pool.
            let result = (!sender.is_closed()).then(work);
            Box::new(move || drop(result.map(|result| sender.send(result))))
        }));
        receiver
    }

    /// Runs `work`, which answers by itself, on the pool: for this user, or for the hub itself.
    pub(crate) fn run_detached(&self, user: Option<UserId>, work: impl FnOnce() + Send + 'static) {
        match self {
            Self::Threads(threads) => threads.submit(user, Box::new(work)),
            Self::Stepped(stepped) => stepped.submit(Box::new(move || {
                work();
                Box::new(|| ())
            })),
        }
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// Jobs on the blocking threads of the runtime, a bounded number at a time.
pub(crate) struct Threads {
    size: PoolSize,
    state: Mutex<State>,
}

struct State {
    /// Who has as many running as a user may have is paused.
    waiting: FairQueue<Option<UserId>, Job>,
    /// How many jobs of each user are running, if there are any.
    running: HashMap<UserId, usize>,
    workers: usize,
    /// Where the last job came from: some come from threads of the hub, which are outside of it.
    runtime: Option<Handle>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            // Bounded by what connections have under way.
            waiting: FairQueue::new(usize::MAX),
            running: HashMap::new(),
            workers: 0,
            runtime: None,
        }
    }
}

impl State {
    /// The next job, which counts as running from now on.
    fn begin(&mut self, of_user: usize) -> Option<(Option<UserId>, Job)> {
        let (key, job) = self.waiting.pop()?;
        if let Some(user) = key {
            let running = self.running.entry(user).or_default();
            *running += 1;
            if *running >= of_user {
                self.waiting.pause(key);
            }
        }
        Some((key, job))
    }

    /// A job has ended.
    fn end(&mut self, key: Option<UserId>) {
        let Some(user) = key else { return };
        if let Some(running) = self.running.get_mut(&user) {
            *running -= 1;
            if *running == 0 {
                self.running.remove(&user);
            }
        }
        self.waiting.resume(key);
    }
}

impl Threads {
    fn new(size: PoolSize) -> Self {
        Self {
            size,
            state: Mutex::default(),
        }
    }

    fn run<T: Send + 'static>(
        self: &Arc<Self>,
        user: UserId,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (sender, receiver) = oneshot::channel();
        let job = Box::new(move || {
            // The connection may be gone. Those that connect and leave again while the store is slow do not hold up the others.
            if !sender.is_closed() {
                let _ = sender.send(work());
            }
        });
        // The system is not one of many users.
        self.submit((user != UserId::SYSTEM).then_some(user), job);
        receiver
    }

    fn submit(self: &Arc<Self>, key: Option<UserId>, job: Job) {
        let (is_enough, runtime) = {
            let mut state = lock(&self.state);
            if let Ok(runtime) = Handle::try_current() {
                state.runtime = Some(runtime);
            }
            // The queue has no bound of its own.
            let _ = state.waiting.push(key, job, usize::MAX);
            let is_at_most = key.is_some_and(|user| state.running.get(&user) >= Some(&self.size.of_user));
            let is_enough = is_at_most || state.workers >= self.size.workers;
            state.workers += usize::from(!is_enough);
            (is_enough, state.runtime.clone())
        };
        if is_enough {
            return;
        }
        let worker = Worker {
            pool: Arc::clone(self),
            is_counted: true,
        };
        // Without a runtime there is no connection that waits: the job is dropped with the worker.
        if let Some(runtime) = runtime {
            runtime.spawn_blocking(move || worker.run());
        }
    }
}

/// One that does jobs until none is left.
struct Worker {
    pool: Arc<Threads>,
    /// Whether [`State::workers`] counts it.
    is_counted: bool,
}

impl Worker {
    fn run(mut self) {
        while let Some((key, job)) = self.next() {
            // Reported by the panic hook; the job's channel closes.
            let _ = catch_unwind(AssertUnwindSafe(|| blocking(job)));
            lock(&self.pool.state).end(key);
        }
    }

    /// The next job. A worker that finds none is not counted from that moment on, so that no job waits for it. A job that is
    /// paused waits for one of its user's own.
    fn next(&mut self) -> Option<(Option<UserId>, Job)> {
        let mut state = lock(&self.pool.state);
        let job = state.begin(self.pool.size.of_user);
        if job.is_none() {
            state.workers -= 1;
            self.is_counted = false;
        }
        job
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if !self.is_counted {
            return;
        }
        // The runtime has ended before the worker could begin.
        let orphaned = {
            let mut state = lock(&self.pool.state);
            state.workers -= 1;
            match state.workers {
                0 => state.waiting.take(),
                _ => Vec::new(),
            }
        };
        drop(orphaned);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use crate::threads::may_block;

    use super::*;

    const MAX_WORKERS: usize = 16;
    const MAX_PER_USER: usize = 2;

    fn pool() -> Arc<Threads> {
        Arc::new(Threads::new(PoolSize {
            workers: MAX_WORKERS,
            of_user: MAX_PER_USER,
        }))
    }

    fn user(number: usize) -> UserId {
        UserId::new(&format!("user{number}")).unwrap()
    }

    #[tokio::test]
    async fn a_user_with_many_slow_reads_leaves_workers_to_the_others() {
        let pool = pool();
        let barrier = Arc::new(Barrier::new(MAX_PER_USER + 1));
        let running = Arc::new(AtomicUsize::new(0));
        let slow: Vec<_> = (0..10 * MAX_WORKERS)
            .map(|number| {
                let (barrier, running) = (Arc::clone(&barrier), Arc::clone(&running));
                pool.run(user(0), move || {
                    let most = running.fetch_add(1, Ordering::SeqCst) + 1;
                    // The first ones hold their workers until all others have been served.
                    if number < MAX_PER_USER {
                        barrier.wait();
                    }
                    running.fetch_sub(1, Ordering::SeqCst);
                    most
                })
            })
            .collect();
        for number in 1..10 * MAX_WORKERS {
            assert_eq!(pool.run(user(number), move || number).await, Ok(number));
        }
        barrier.wait();
        for job in slow {
            assert!(job.await.unwrap() <= MAX_PER_USER);
        }
        assert!(lock(&pool.state).waiting.is_empty());
        // A job answers before it has ended.
        while !lock(&pool.state).running.is_empty() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn jobs_run_side_by_side_on_a_bounded_number_of_threads() {
        let pool = pool();
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        // Nobody goes on before so many have met.
        let barrier = Arc::new(Barrier::new(MAX_WORKERS));
        let jobs: Vec<_> = (0..4 * MAX_WORKERS)
            .map(|number| {
                let (now, most, barrier) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&barrier));
                pool.run(user(number), move || {
                    assert!(may_block());
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    barrier.wait();
                    now.fetch_sub(1, Ordering::SeqCst);
                    number
                })
            })
            .collect();
        for (number, job) in jobs.into_iter().enumerate() {
            assert_eq!(job.await, Ok(number));
        }
        assert_eq!(most.load(Ordering::SeqCst), MAX_WORKERS);
        assert!(!may_block());
    }

    #[tokio::test]
    async fn a_job_that_panics_closes_its_channel_and_harms_no_other() {
        let pool = pool();
        for _ in 0..2 * MAX_WORKERS {
            assert!(pool.run(user(0), || panic!("on purpose")).await.is_err());
        }
        assert_eq!(pool.run(user(0), || 7).await, Ok(7));
    }

    #[tokio::test]
    async fn a_job_that_nobody_waits_for_is_skipped() {
        let pool = pool();
        let barrier = Arc::new(Barrier::new(MAX_WORKERS + 1));
        let busy: Vec<_> = (0..MAX_WORKERS)
            .map(|number| {
                let barrier = Arc::clone(&barrier);
                pool.run(user(number), move || barrier.wait())
            })
            .collect();
        let done = Arc::new(AtomicUsize::new(0));
        let job = || {
            let done = Arc::clone(&done);
            pool.run(user(MAX_WORKERS), move || done.fetch_add(1, Ordering::SeqCst))
        };
        drop(job());
        let waited_for = job();
        barrier.wait();
        assert_eq!(waited_for.await, Ok(0), "the job before it was not done");
        for job in busy {
            job.await.unwrap();
        }
        assert_eq!(done.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn without_a_runtime_no_job_waits_for_ever() {
        let pool = pool();
        assert!(pool.run(user(0), || 7).blocking_recv().is_err());
        assert!(lock(&pool.state).waiting.is_empty() && lock(&pool.state).workers == 0);
    }
}
