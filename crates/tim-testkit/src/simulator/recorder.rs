//! Writes the history down, and what all parts of a run share.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use tim_usersig::{App, UserSig};

use super::history::{Ceiling, FileOf, Mark, Observation, What};
use super::network::Network;
use super::op::{DeviceRef, Plan};
use super::time::{Steady, Wall};
use crate::Rng;

/// The application that all users of a run use.
pub(crate) const APP: u32 = 1_400_000_000;
const KEY: &str = "a key that is known to the simulator";

/// What all parts of a run share.
pub(crate) struct Shared {
    pub(crate) plan: Plan,
    pub(crate) steady: Steady,
    /// The hub's wall clock.
    pub(crate) hub_wall: Wall,
    pub(crate) network: Network,
    observations: RefCell<Vec<Observation>>,
    last_change_ms: std::cell::Cell<u64>,
    ceilings: RefCell<BTreeMap<&'static str, (u64, u64)>>,
    /// The files of messages, by mark.
    files: RefCell<BTreeMap<Mark, FileOf>>,
    /// Where the hub that runs now keeps its files.
    files_dir: RefCell<Option<PathBuf>>,
}

impl Shared {
    pub(crate) fn new(plan: Plan, steady: Steady, network: Network) -> Rc<Self> {
        Rc::new(Self {
            plan,
            steady,
            hub_wall: Wall::new(steady),
            network,
            observations: RefCell::default(),
            last_change_ms: std::cell::Cell::new(0),
            ceilings: RefCell::default(),
            files: RefCell::default(),
            files_dir: RefCell::default(),
        })
    }

    /// Writes down what was observed at a device, or elsewhere.
    pub(crate) fn observe(&self, device: Option<DeviceRef>, what: What) {
        let at_ms = self.steady.ms();
        self.last_change_ms.set(at_ms);
        self.observations
            .borrow_mut()
            .push(Observation { at_ms, device, what });
    }

    /// A message carries a file.
    pub(crate) fn carries(&self, mark: Mark, file: FileOf) {
        self.files.borrow_mut().insert(mark, file);
    }

    /// The file that a message carries.
    pub(crate) fn file_of(&self, mark: Mark) -> Option<FileOf> {
        self.files.borrow().get(&mark).copied()
    }

    /// The hub keeps its files there.
    pub(crate) fn set_files_dir(&self, dir: Option<PathBuf>) {
        *self.files_dir.borrow_mut() = dir;
    }

    /// Where the hub keeps its files.
    pub(crate) fn files_dir(&self) -> Option<PathBuf> {
        self.files_dir.borrow().clone()
    }

    /// Something was measured that has a ceiling.
    pub(crate) fn measure(&self, what: &'static str, value: u64, allowed: u64) {
        let mut ceilings = self.ceilings.borrow_mut();
        let entry = ceilings.entry(what).or_insert((0, allowed));
        // The one that is closest to its ceiling, or furthest above it.
        if i128::from(value) - i128::from(allowed) > i128::from(entry.0) - i128::from(entry.1) {
            *entry = (value, allowed);
        }
    }

    /// What was measured.
    pub(crate) fn ceilings(&self) -> Vec<Ceiling> {
        let ceilings = self.ceilings.borrow();
        let ceilings = ceilings.iter().map(|(what, (most, allowed))| Ceiling {
            what: (*what).to_owned(),
            most: *most,
            allowed: *allowed,
        });
        ceilings.collect()
    }

    /// How much was observed.
    pub(crate) fn observed(&self) -> usize {
        self.observations.borrow().len()
    }

    /// When something was last observed.
    pub(crate) fn last_change_ms(&self) -> u64 {
        self.last_change_ms.get()
    }

    pub(crate) fn observations(&self) -> Vec<Observation> {
        self.observations.borrow().clone()
    }

    pub(crate) fn take_observations(&self) -> Vec<Observation> {
        self.observations.take()
    }

    pub(crate) fn app() -> App {
        App::new(APP, KEY)
    }

    /// A UserSig that is valid from now, by the hub's clock, for so many seconds.
    pub(crate) fn user_sig(&self, user: tim_proto::UserId, seconds: u64) -> Sig {
        let now_s = self.hub_wall.ms() / 1000;
        Sig {
            text: UserSig::sign(&Self::app(), &user, now_s, seconds),
            since_s: now_s,
            until_s: now_s + seconds,
        }
    }

    /// A stream of random numbers of its own for a part of the run.
    pub(crate) fn rng(&self, part: u64) -> Rng {
        let mut rng = Rng::new(self.plan.seed ^ part.wrapping_mul(0xA24B_AED4_963E_E407));
        rng.draw();
        rng
    }
}

/// A UserSig and its end, Unix time in seconds.
#[derive(Debug, Clone)]
pub(crate) struct Sig {
    pub(crate) text: String,
    pub(crate) since_s: u64,
    until_s: u64,
}

impl Sig {
    /// Whether it is valid by the hub's clock, now and for a moment.
    pub(crate) fn is_good(&self, shared: &Shared) -> bool {
        let now_s = shared.hub_wall.ms() / 1000;
        (self.since_s..self.until_s).contains(&(now_s + 1))
    }
}
