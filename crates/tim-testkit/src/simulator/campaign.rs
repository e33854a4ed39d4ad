//! Runs seeds, some at the same time, each on a thread of its own; adds up what was done and checked; shrinks what fails.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tim_proto::planted::Fault;

use super::history::{History, Snapshot, What};
use super::invariants::{self, Counts, Violation, check_all};
use super::op::{Plan, Profile};
use super::shrink::shrink;
use super::world::{self, Failure};

/// How often a failing plan is run to shrink it.
const SHRINK_TRIES: u32 = 400;
/// A profile of which fewer seeds were run may have checked nothing by chance.
const ENOUGH_SEEDS: u64 = 20;

/// The invariant that a panic anywhere violates.
pub const NO_PANIC: &str = "no-panic";

/// Which seeds are run, and how.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// The first seed.
    pub from: u64,
    /// How many.
    pub seeds: u64,
    /// The profile; `None`: all take turns.
    pub profile: Option<Profile>,
    /// How many at the same time.
    pub jobs: usize,
    /// Runs each seed twice and compares what was observed.
    pub twice: bool,
    /// No seed is begun after this time.
    pub time: Option<Duration>,
    /// The mistake that is planted. It has no effect without the feature `planted`.
    pub fault: Option<Fault>,
}

/// The profile of a seed when all take turns.
#[must_use]
pub fn profile_of(seed: u64) -> Profile {
    let index = seed % Profile::ALL.len() as u64;
    Profile::ALL[index as usize]
}

/// What came of one plan.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Everything that was observed.
    pub history: History,
    /// What was checked.
    pub counts: Counts,
    /// What does not hold.
    pub violation: Option<Violation>,
    /// How much virtual time passed, in milliseconds.
    pub virtual_ms: u64,
    /// How many steps were made.
    pub steps: u64,
}

/// Runs a plan and checks it whenever it rests.
#[must_use]
pub fn run_plan(plan: &Plan) -> Finished {
    let mut counts = Counts::default();
    let look = |history: &History, snapshot: &Snapshot| {
        counts.add(&check_all(history, snapshot)?);
        Ok(())
    };
    let outcome = world::run(plan, look);
    let violation = outcome.failure.map(|failure| match failure {
        Failure::Found(violation) => violation,
        Failure::Panicked(words) => Violation::of_panic(words),
    });
    Finished {
        history: outcome.history,
        counts,
        violation,
        virtual_ms: outcome.virtual_ms,
        steps: outcome.steps as u64,
    }
}

/// Leaves out of a failing plan what is not needed to violate the same invariant.
#[must_use]
pub fn shrink_plan(plan: &Plan, invariant: &str) -> Plan {
    shrink(plan, SHRINK_TRIES, |plan| {
        run_plan(plan)
            .violation
            .is_some_and(|violation| violation.invariant == invariant)
    })
}

/// A seed that failed.
#[derive(Debug, Clone)]
pub struct Failed {
    /// The plan.
    pub plan: Plan,
    /// What does not hold.
    pub violation: Violation,
}

/// What was done and checked in seeds together.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// How many seeds were run.
    pub seeds: u64,
    /// The steps of their plans.
    pub steps: u64,
    /// The calls that returned.
    pub operations: u64,
    /// What was observed.
    pub observations: u64,
    /// Virtual time, in milliseconds.
    pub virtual_ms: u64,
    /// By profile: how many seeds, and what was checked.
    pub profiles: BTreeMap<Profile, (u64, Counts)>,
    /// The seeds that failed, in the order in which they did.
    pub failed: Vec<Failed>,
}

impl Totals {
    fn add(&mut self, plan: Plan, finished: Finished) {
        let is_return = |what: &What| matches!(what, What::Resolved { .. });
        let observations = &finished.history.observations;
        let operations = observations
            .iter()
            .filter(|observation| is_return(&observation.what));
        self.seeds += 1;
        self.steps += finished.steps;
        self.operations += operations.count() as u64;
        self.observations += observations.len() as u64;
        self.virtual_ms += finished.virtual_ms;
        let (seeds, counts) = self.profiles.entry(plan.profile).or_default();
        *seeds += 1;
        counts.add(&finished.counts);
        if let Some(violation) = finished.violation {
            self.failed.push(Failed { plan, violation });
        }
    }

    /// What was checked in all profiles together.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut all = Counts::default();
        self.profiles.values().for_each(|(_, counts)| all.add(counts));
        all
    }

    /// The invariants that compared nothing in a profile that is to exercise them, in words. A seed that fails is checked only up to what
    /// does not hold, so that nothing is said if some have failed.
    #[must_use]
    pub fn vacuous(&self) -> Vec<String> {
        let mut vacuous = Vec::new();
        for (profile, (seeds, counts)) in &self.profiles {
            if *seeds < ENOUGH_SEEDS || !self.failed.is_empty() {
                continue;
            }
            for (invariant, count) in invariants::ALL.iter().zip(counts.0) {
                if count == 0 && invariant.applies_to(*profile) {
                    let name = invariant.name();
                    vacuous.push(format!(
                        "{name} compared nothing in {seeds} seeds of the profile {profile}"
                    ));
                }
            }
        }
        vacuous
    }
}

impl Campaign {
    /// The plan of a seed.
    #[must_use]
    pub fn plan(&self, seed: u64) -> Plan {
        Plan::generate(seed, self.profile.unwrap_or_else(|| profile_of(seed)))
    }

    /// Runs the seeds. `done` gets the totals after each one; the campaign ends when it returns `false`.
    pub fn run(&self, done: impl Fn(&Totals) -> bool + Sync) -> Totals {
        let begun = Instant::now();
        let next = AtomicU64::new(0);
        let ends = AtomicBool::new(false);
        let totals = Mutex::new(Totals::default());
        let work = || loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let is_late = self.time.is_some_and(|time| begun.elapsed() > time);
            if number >= self.seeds || is_late || ends.load(Ordering::Relaxed) {
                return;
            }
            let plan = self.plan(self.from + number);
            let finished = planted(self.fault, || self.finish(&plan));
            let mut totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
            totals.add(plan, finished);
            if !done(&totals) {
                ends.store(true, Ordering::Relaxed);
            }
        };
        thread::scope(|scope| {
            for _ in 0..self.jobs.max(1) {
                scope.spawn(work);
            }
        });
        totals.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self, plan: &Plan) -> Finished {
        let mut finished = run_plan(plan);
        if self.twice && finished.violation.is_none() {
            let again = run_plan(plan);
            finished.violation = difference(&finished.history, &again.history);
        }
        finished
    }
}

/// Does something while a mistake is planted on this thread.
#[cfg(feature = "planted")]
pub fn planted<T>(fault: Option<Fault>, work: impl FnOnce() -> T) -> T {
    tim_proto::planted::with(fault, work)
}

/// Does something. Nothing can be planted without the feature `planted`.
#[cfg(not(feature = "planted"))]
pub fn planted<T>(fault: Option<Fault>, work: impl FnOnce() -> T) -> T {
    let _ = fault;
    work()
}

/// The invariant that a run which is not the same again violates.
pub const DETERMINISM: &str = "determinism";

/// The first difference between two runs of one plan.
fn difference(first: &History, second: &History) -> Option<Violation> {
    let (one, other) = (&first.observations, &second.observations);
    let at = one.iter().zip(other).position(|(one, other)| one != other);
    let at = at.or_else(|| (one.len() != other.len()).then(|| one.len().min(other.len())))?;
    let words = |observations: &[super::history::Observation]| {
        let found = observations.get(at);
        found.map_or_else(|| "the end".to_owned(), ToString::to_string)
    };
    let words = format!("once:  {}\nagain: {}", words(one), words(other));
    Some(Violation::new(DETERMINISM, words).at([at]))
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} seeds, {} steps, {} operations, {} observations, {:.1} h of virtual time",
            self.seeds,
            self.steps,
            self.operations,
            self.observations,
            self.virtual_ms as f64 / 3_600_000.0
        )?;
        let all = self.counts();
        for (invariant, count) in invariants::ALL.iter().zip(all.0) {
            writeln!(f, "  {:<16} {count:>12} comparisons", invariant.name())?;
        }
        for (profile, (seeds, _)) in &self.profiles {
            writeln!(f, "  {:<16} {seeds:>12} seeds", format!("profile {profile}"))?;
        }
        Ok(())
    }
}
