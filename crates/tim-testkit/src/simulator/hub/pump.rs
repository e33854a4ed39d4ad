//! Takes the steps of a hub, in an order and with delays that a seed decides.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tim_hub::{Step, Steps, Waiting};

use crate::Rng;
use crate::simulator::recorder::Shared;

/// How fast the disk is.
#[derive(Default)]
pub(crate) struct Pace {
    /// What a commit takes in addition, and until when.
    commits: Cell<(u32, u64)>,
    reads: Cell<(u32, u64)>,
    /// No rounds of retention: somebody looks at the store.
    retention_is_held: Cell<bool>,
    /// How much later what was read is handed over, and until when.
    answers: Cell<(u32, u64)>,
}

impl Pace {
    pub(crate) fn slow_commits(&self, shared: &Shared, ms: u32, for_ms: u32) {
        self.commits.set((ms, shared.steady.ms() + u64::from(for_ms)));
    }

    pub(crate) fn slow_reads(&self, shared: &Shared, ms: u32, for_ms: u32) {
        self.reads.set((ms, shared.steady.ms() + u64::from(for_ms)));
    }

    pub(crate) fn hold_retention(&self, is_held: bool) {
        self.retention_is_held.set(is_held);
    }

    pub(crate) fn slow_answers(&self, shared: &Shared, ms: u32, for_ms: u32) {
        self.answers.set((ms, shared.steady.ms() + u64::from(for_ms)));
    }

    /// What a read waits for before it is handed over.
    fn answer_ms(&self, now_ms: u64) -> u64 {
        slow(self.answers.get(), now_ms)
    }

    pub(crate) fn heal(&self) {
        self.commits.take();
        self.reads.take();
        self.answers.take();
    }
}

/// The kinds of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Commit,
    FanOut,
    Live,
    Read,
    Answer,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Commit, Self::FanOut, Self::Live, Self::Read, Self::Answer];

    const fn waiting(self, waiting: &Waiting) -> usize {
        match self {
            Self::Commit => waiting.writes,
            Self::FanOut => waiting.commits,
            Self::Live => waiting.live,
            Self::Read => waiting.reads,
            Self::Answer => waiting.answers,
        }
    }
}

struct Pump {
    shared: Rc<Shared>,
    pace: Rc<Pace>,
    steps: Steps,
    rng: Rng,
    /// When the next piece of work of a kind is done, if it waits.
    due_ms: [Option<u64>; 5],
}

/// Takes the steps of a hub until it is aborted.
pub(super) async fn run(shared: Rc<Shared>, pace: Rc<Pace>, steps: Steps, rng: Rng) {
    let interval = Duration::from_millis(shared.plan.settings.purge_interval_ms.max(1));
    let mut pump = Pump {
        shared,
        pace,
        steps,
        rng,
        due_ms: [None; 5],
    };
    let mut retention = tokio::time::interval(interval);
    loop {
        tokio::select! {
            biased;
            _ = retention.tick() => pump.retention(),
            () = pump.turn() => {}
        }
    }
}

impl Pump {
    fn retention(&self) {
        if !self.pace.retention_is_held.get() {
            self.steps.step(Step::Retention);
        }
    }

    /// Waits for work, and does a piece of it.
    async fn turn(&mut self) {
        self.steps.wait_for_work().await;
        let now_ms = self.shared.steady.ms();
        let waiting = self.steps.waiting();
        let mut ready = Vec::with_capacity(5);
        let mut first = u64::MAX;
        for kind in Kind::ALL {
            let due = &mut self.due_ms[kind as usize];
            if kind.waiting(&waiting) == 0 {
                *due = None;
                continue;
            }
            let delay = match due {
                Some(_) => 0,
                None => delay(kind, &self.pace, now_ms, &mut self.rng),
            };
            let due = *due.get_or_insert(now_ms + delay);
            first = first.min(due);
            if due <= now_ms {
                ready.push(kind);
            }
        }
        if ready.is_empty() {
            // More work may come first, which has to be planned too.
            tokio::time::sleep(Duration::from_millis((first - now_ms).min(2))).await;
            return;
        }
        let kind = ready[self.rng.below(ready.len() as u64) as usize];
        self.due_ms[kind as usize] = None;
        self.take(kind, &waiting);
        if self.rng.percent(60) {
            tokio::task::yield_now().await;
        }
    }

    fn take(&mut self, kind: Kind, waiting: &Waiting) {
        let mut any = |count: usize| self.rng.below(count as u64) as usize;
        let waits = self.pace.answer_ms(self.shared.steady.ms()) > 0;
        let step = match kind {
            Kind::Commit if any(5) == 0 => Step::Commit(1 + any(waiting.writes)),
            Kind::Commit => Step::Commit(waiting.writes),
            Kind::FanOut => Step::FanOut,
            Kind::Live => Step::Live,
            Kind::Read if any(5) == 0 || waits => Step::ReadAhead(any(waiting.reads)),
            Kind::Read => Step::Read(any(waiting.reads)),
            Kind::Answer => Step::Answer(any(waiting.answers)),
        };
        self.steps.step(step);
    }
}

/// How long a piece of work takes to begin.
fn delay(kind: Kind, pace: &Pace, now_ms: u64, rng: &mut Rng) -> u64 {
    let usual = if rng.percent(70) { 0 } else { rng.within(1..5) };
    usual
        + match kind {
            Kind::Commit => slow(pace.commits.get(), now_ms),
            Kind::Read => slow(pace.reads.get(), now_ms),
            Kind::Answer => pace.answer_ms(now_ms),
            Kind::FanOut | Kind::Live => 0,
        }
}

/// What something takes in addition, which is slow until a time.
fn slow((ms, until_ms): (u32, u64), now_ms: u64) -> u64 {
    if now_ms < until_ms { u64::from(ms) } else { 0 }
}
