//! What must hold of every run, whatever its plan: the promises of the design, each with a reference model of its own.
//!
//! The checkers look from outside: at what was called, what it returned, what devices reported, and what the store holds at rest. None of
//! them asks the code under test what is right. An operation whose outcome is unknown may have happened or not; a checker keeps both
//! open. Each counts what it has compared, so that one that compares nothing is noticed.
//!
//! | invariant | promise |
//! |---|---|
//! | [`durable-once`](DurableOnce) | what was acknowledged is stored once, at its place, unchanged; what was refused is not |
//! | [`order-once`](OrderOnce) | a device gets each entry of its conversations once and in order, and all of them |
//! | [`gaps`](Gaps) | what a restored store or retention lost is announced, and nothing else is |
//! | [`used-id`](UsedId) | another message under a used id is never acknowledged |
//! | [`numbers-at-rest`](NumbersAtRest) | counts, marks, totals and last messages of devices, hub and logs agree |
//! | [`marks-forward`](MarksForward) | no read mark goes back, in what is published and in what is asked for |
//! | [`visibility`](Visibility) | nobody sees what the visibility matrix forbids |
//! | [`restrictions`](Restrictions) | mutes and bans hold, and outlive membership; roles are what they are |
//! | [`revoked`](Revoked) | what was revoked is nowhere; only what somebody revoked is gone |
//! | [`ceilings`](Ceilings) | queues stay below their ceilings |
//! | [`file-content`](FileContent) | what is downloaded is what was uploaded |
//! | [`file-access`](FileAccess) | only who may read a message gets its file, and nobody once it is revoked |
//! | [`files-at-rest`](FilesAtRest) | each stored message has its file; nothing else is left, and quotas count what there is |
//! | [`uploads`](Uploads) | progress grows up to the whole; who sends something else does not notice |
//! | [`liveness`](Liveness) | after the faults end, everybody who may is let in, and every call returns |
//! | [`as-told`](AsTold) | an application's server is told what is so, and what it was told is so |
//! | [`kept-out`](KeptOut) | who was kicked out, blocked or deleted has no session of before, and nobody else loses one |
//! | [`decided`](Decided) | what the application's server refuses or changes is refused and changed for everybody, and nothing else is |
//! | [`told-once`](ToldOnce) | it is told once of each message that is stored, and of nothing else |
//! | [`notified`](Notified) | nobody is notified who is online, or of what is read, revoked or not to be pushed; one id for one notification |
//! | [`not-missed`](NotMissed) | who is offline is notified of each message that qualifies, whatever fails meanwhile |
//! | [`fairness`](Fairness) | the latency of an innocent pair is bounded beside hostile users |

mod as_told;
mod ceilings;
mod decided;
mod durable_once;
mod fairness;
mod file_access;
mod file_content;
mod files_at_rest;
mod gaps;
mod kept_out;
mod liveness;
mod marks_forward;
mod membership;
mod model;
mod not_missed;
mod notified;
mod numbers_at_rest;
mod order_once;
mod outside;
mod restrictions;
mod revoked;
mod told;
mod uploads;
mod used_id;
mod visibility;

#[cfg(test)]
mod made_up;

use std::fmt;

use super::history::{History, Snapshot};
use super::op::Profile;
pub use as_told::AsTold;
pub use ceilings::Ceilings;
pub use decided::Decided;
pub use durable_once::DurableOnce;
pub use fairness::Fairness;
pub use file_access::FileAccess;
pub use file_content::FileContent;
pub use files_at_rest::FilesAtRest;
pub use gaps::Gaps;
pub use kept_out::KeptOut;
pub use liveness::Liveness;
pub use marks_forward::MarksForward;
pub use model::Model;
pub use not_missed::NotMissed;
pub use notified::Notified;
pub use numbers_at_rest::NumbersAtRest;
pub use order_once::OrderOnce;
pub use restrictions::Restrictions;
pub use revoked::Revoked;
pub use told::ToldOnce;
pub use uploads::Uploads;
pub use used_id::UsedId;
pub use visibility::Visibility;

/// Something that must hold whenever a run rests.
pub trait Invariant: Send + Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Whether runs of this profile have something to check. If a number of them together check nothing, the checker is vacuous.
    fn applies_to(&self, profile: Profile) -> bool;

    /// Checks it, and returns how many comparisons were made.
    ///
    /// # Errors
    /// What does not hold.
    fn check(&self, model: &Model<'_>) -> Result<u64, Violation>;
}

/// All invariants, in the order in which they are checked: what explains a failure best comes first.
pub const ALL: [&dyn Invariant; 22] = [
    &DurableOnce,
    &UsedId,
    &OrderOnce,
    &Gaps,
    &AsTold,
    &KeptOut,
    &Decided,
    &ToldOnce,
    &Notified,
    &NotMissed,
    &Visibility,
    &Restrictions,
    &Revoked,
    &FileAccess,
    &FileContent,
    &FilesAtRest,
    &Uploads,
    &NumbersAtRest,
    &MarksForward,
    &Ceilings,
    &Fairness,
    &Liveness,
];

/// An invariant does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub invariant: &'static str,
    /// How, in words.
    pub words: String,
    /// The observations that show it, by index.
    pub observations: Vec<usize>,
}

impl Violation {
    pub(super) fn of_panic(words: impl Into<String>) -> Self {
        Self::new(super::campaign::NO_PANIC, words)
    }

    pub(super) fn new(invariant: &'static str, words: impl Into<String>) -> Self {
        Self {
            invariant,
            words: words.into(),
            observations: Vec::new(),
        }
    }

    pub(super) fn at(mut self, observations: impl IntoIterator<Item = usize>) -> Self {
        self.observations.extend(observations);
        self
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.words)
    }
}

/// How many comparisons each invariant made, in the order of [`ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts(pub [u64; ALL.len()]);

impl Counts {
    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        for (mine, others) in self.0.iter_mut().zip(other.0) {
            *mine += others;
        }
    }
}

/// Checks all invariants at a rest. Returns how much was compared.
///
/// # Errors
/// The first violation.
pub fn check_all(history: &History, snapshot: &Snapshot) -> Result<Counts, Violation> {
    let model = Model::new(history, snapshot);
    let mut counts = Counts::default();
    for (count, invariant) in counts.0.iter_mut().zip(ALL) {
        *count = invariant.check(&model)?;
    }
    Ok(counts)
}
