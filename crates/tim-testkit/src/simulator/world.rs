//! Runs a plan: everything that takes part in it on one thread, in tokio's paused time.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use tokio::task::LocalSet;

use super::backend::Backend;
use super::history::{DeviceState, History, Snapshot, What};
use super::hostile::Rogue;
use super::hub::{self, HubProcess};
use super::net::Cut;
use super::network::Network;
use super::op::{Call, DeviceFault, DeviceKind, DeviceRef, LinkFault, Op, Plan, Profile};
use super::recorder::Shared;
use super::sdk::SdkDevice;
use super::small::SmallDevice;
use super::time::Steady;
use super::{panics, snapshot};
use crate::deadline::deadline_of;
use crate::{End, Faults};

/// How long everything may take to settle once all faults have ended, in virtual time. A silent link is found out after a
/// keepalive and a time-out, the longest back-off is half a minute, and a login that was refused is tried again.
const SETTLE_DEADLINE: Duration = Duration::from_secs(300);
/// How long nothing may be observed before everything counts as settled: lists are published once a second.
const QUIET_MS: u64 = 2_500;
/// The same with serial lines, which lose things in silence: that is noticed after a keepalive and a time-out.
const LONG_QUIET_MS: u64 = 45_000;

/// How long a run may take in real time, on a machine that does much else.
const REAL_DEADLINE: Duration = Duration::from_secs(300);

/// What came of a run.
#[derive(Debug)]
pub struct Outcome<E> {
    /// Everything that was observed.
    pub history: History,
    /// Why it failed, if it did.
    pub failure: Option<Failure<E>>,
    /// How much virtual time passed, in milliseconds.
    pub virtual_ms: u64,
    /// How many steps were made.
    pub steps: usize,
}

/// Why a run failed.
#[derive(Debug)]
pub enum Failure<E> {
    /// What `look` found at a rest.
    Found(E),
    /// Something panicked; where, and what it said.
    Panicked(String),
}

/// Runs a plan. `look` gets the history and what everybody has whenever the run rests; its error ends the run.
///
/// The same plan gives the same history. Must not be called inside of a tokio runtime.
pub fn run<E>(plan: &Plan, look: impl FnMut(&History, &Snapshot) -> Result<(), E>) -> Outcome<E> {
    let name = format!("seed {} of the profile {}", plan.seed, plan.profile);
    deadline_of(&name, REAL_DEADLINE);
    let observed: RefCell<Option<Rc<Shared>>> = RefCell::default();
    let watch = panics::Watch::begin();
    let result = catch_unwind(AssertUnwindSafe(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap_or_else(|error| panic!("there is no runtime: {error}"));
        let local = LocalSet::new();
        let result = local.block_on(&runtime, drive(plan, &observed, look));
        // What still runs ends with the set, inside of the runtime.
        let _inside = runtime.enter();
        drop(local);
        result
    }));
    let panicked = watch.end();
    let shared = observed.take();
    let (failure, steps) = match result {
        Ok((failure, steps)) => (failure.map(Failure::Found), steps),
        Err(_) => (None, 0),
    };
    let failure = match panicked {
        Some(words) => Some(Failure::Panicked(words)),
        None => failure,
    };
    let observations = shared
        .as_ref()
        .map(|shared| shared.take_observations())
        .unwrap_or_default();
    Outcome {
        virtual_ms: observations.last().map_or(0, |last| last.at_ms),
        history: History {
            plan: plan.clone(),
            observations,
        },
        failure,
        steps,
    }
}

async fn drive<E>(
    plan: &Plan,
    observed: &RefCell<Option<Rc<Shared>>>,
    look: impl FnMut(&History, &Snapshot) -> Result<(), E>,
) -> (Option<E>, usize) {
    let steady = Steady::start();
    let settings = &plan.settings;
    let usual = Faults {
        delay_us: settings.delay_us.0..settings.delay_us.1,
        max_fragment: if settings.max_fragment >= 1 << 16 {
            0
        } else {
            settings.max_fragment
        },
        // What is on its way when a connection is given up may arrive after the next one was made.
        late_us: if plan.profile == Profile::Calm {
            0..0
        } else {
            0..2_000_000
        },
        ..Faults::NONE
    };
    let network = Network::new(steady, plan.seed ^ 0x4E45_5400, usual, settings.socket_bytes);
    let shared = Shared::new(plan.clone(), steady, network);
    *observed.borrow_mut() = Some(Rc::clone(&shared));
    let world = World::new(shared);
    let result = world.run(look).await;
    (result.err(), plan.steps.len())
}

/// A device of either kind.
enum Device {
    Sdk(Rc<SdkDevice>),
    Small(Rc<SmallDevice>),
}

impl Device {
    fn link(&self) -> u32 {
        match self {
            Self::Sdk(device) => device.link,
            Self::Small(device) => device.link,
        }
    }

    fn call(&self, step: u32, call: &Call) {
        match self {
            Self::Sdk(device) => device.call(step, call),
            Self::Small(device) => device.call(step, call),
        }
    }

    fn fault(&self, fault: DeviceFault) {
        match self {
            Self::Sdk(device) => device.fault(fault),
            Self::Small(device) => device.fault(fault),
        }
    }

    fn settle(&self) {
        match self {
            Self::Sdk(device) => device.settle(),
            Self::Small(device) => device.settle(),
        }
    }

    fn unsettled(&self) -> Option<String> {
        match self {
            Self::Sdk(device) => device.unsettled(),
            Self::Small(device) => device.unsettled(),
        }
    }

    fn state(&self) -> DeviceState {
        match self {
            Self::Sdk(device) => device.state(),
            Self::Small(device) => device.state(),
        }
    }
}

struct World {
    shared: Rc<Shared>,
    hub: Rc<HubProcess>,
    devices: BTreeMap<DeviceRef, Device>,
    rogues: Vec<Rc<Rogue>>,
    backend: Rc<Backend>,
}

impl World {
    fn new(shared: Rc<Shared>) -> Self {
        let mut devices = BTreeMap::new();
        for (user, plan) in shared.plan.population.users.iter().enumerate() {
            for (number, kind) in plan.devices.iter().enumerate() {
                let me = DeviceRef::new(user as u8, number as u8);
                let link = (user as u32) << 8 | number as u32;
                let device = match kind {
                    DeviceKind::Sdk => Device::Sdk(SdkDevice::new(&shared, me, link)),
                    DeviceKind::Small | DeviceKind::Serial => {
                        Device::Small(SmallDevice::new(&shared, me, *kind, link))
                    }
                };
                if *kind == DeviceKind::Serial {
                    // It is laid before the hub starts, which serves it from then on.
                    shared.network.serial_line(link);
                }
                devices.insert(me, device);
            }
        }
        let hub = HubProcess::start(&shared)
            .unwrap_or_else(|error| panic!("there is no place for the store: {error}"));
        let requests = Rc::default();
        let rogues = (0..shared.plan.population.hostile).map(|number| Rogue::new(&shared, number, &requests));
        Self {
            backend: Backend::new(&shared, &hub),
            rogues: rogues.collect(),
            shared,
            hub,
            devices,
        }
    }

    async fn run<E>(&self, mut look: impl FnMut(&History, &Snapshot) -> Result<(), E>) -> Result<(), E> {
        // How much later than planned everything is, because rests take as long as they take.
        let mut late_ms = 0;
        for step in &self.shared.plan.steps {
            let at_ms = step.at_ms + late_ms;
            let now_ms = self.shared.steady.ms();
            tokio::time::sleep(Duration::from_millis(at_ms.saturating_sub(now_ms))).await;
            match &step.op {
                Op::Rest => {
                    let begun_ms = self.shared.steady.ms();
                    self.rest(&mut look).await?;
                    late_ms += self.shared.steady.ms() - begun_ms;
                }
                op => self.step(step.number, op),
            }
        }
        Ok(())
    }

    fn step(&self, number: u32, op: &Op) {
        match op {
            Op::Call(device, call) => self.at(*device).map_or((), |device| device.call(number, call)),
            Op::Backend(call) => self.backend.call(number, call),
            Op::Device(device, fault) => self.at(*device).map_or((), |device| device.fault(*fault)),
            Op::Link(device, fault) => self.link_fault(*device, *fault),
            Op::Hub(fault) => self.hub.fault(*fault),
            Op::Store(fault) => self.hub.store_fault(*fault),
            Op::Server(server, fault) => self.hub.server_fault(*server, *fault),
            Op::Attack(rogue, attack) => {
                let rogue = usize::from(*rogue).checked_rem(self.rogues.len());
                if let Some(rogue) = rogue.and_then(|at| self.rogues.get(at)) {
                    rogue.attack(number, *attack);
                }
            }
            Op::Rest => {}
        }
    }

    /// A device, by its numbers modulo what exists.
    fn at(&self, device: DeviceRef) -> Option<&Device> {
        let users = &self.shared.plan.population.users;
        let user = usize::from(device.user).checked_rem(users.len())?;
        let number = usize::from(device.device).checked_rem(users[user].devices.len())?;
        self.devices.get(&DeviceRef::new(user as u8, number as u8))
    }

    fn link_fault(&self, device: DeviceRef, fault: LinkFault) {
        let Some(link) = self.at(device).map(Device::link) else {
            return;
        };
        let network = &self.shared.network;
        self.shared.observe(Some(device), What::LinkFault(fault));
        match fault {
            LinkFault::Cut => drop(network.cut(link, Cut::Noticed)),
            LinkFault::CutAfter(bytes) => {
                if !network.cut(link, Cut::AfterBytes(bytes.into())) {
                    network.cut_next(link, Cut::AfterBytes(bytes.into()));
                }
            }
            LinkFault::Silent => drop(network.cut(link, Cut::Silent)),
            LinkFault::HalfOpen => drop(network.cut(link, Cut::HalfOpen(End::Hub))),
            LinkFault::Unreachable(ms) => network.keep_offline(link, Duration::from_millis(ms.into())),
            LinkFault::Slow { delay_ms, for_ms } => {
                let more = u64::from(delay_ms) * 1000;
                self.change_link(link, for_ms, |usual| {
                    usual.delay_us = usual.delay_us.start + more..usual.delay_us.end + more
                });
            }
            LinkFault::Narrow { bytes, for_ms } => {
                self.change_link(link, for_ms, |usual| usual.bytes_per_ms = (bytes / 1000).max(1));
            }
            LinkFault::Noise {
                damaged,
                lost,
                doubled,
                for_ms,
            } => self.change_link(link, for_ms, |usual| {
                usual.noise_per_mille = damaged;
                usual.lost_per_mille = lost;
                usual.doubled_per_mille = doubled;
                usual.max_fragment = 64;
            }),
            LinkFault::Pull(ms) => network.pull(link, Duration::from_millis(ms.into())),
        }
    }

    /// Changes the faults of a link for a time.
    fn change_link(&self, link: u32, for_ms: u32, change: impl FnOnce(&mut Faults)) {
        let network = self.shared.network.clone();
        let mut faults = network.faults(link);
        change(&mut faults);
        network.set_faults(link, Some(faults));
        tokio::task::spawn_local(async move {
            tokio::time::sleep(Duration::from_millis(for_ms.into())).await;
            network.set_faults(link, None);
        });
    }

    /// All faults end. Waits until everything has settled, and looks.
    async fn rest<E>(&self, look: &mut impl FnMut(&History, &Snapshot) -> Result<(), E>) -> Result<(), E> {
        self.shared.observe(None, What::RestBegins);
        let begun_ms = self.shared.steady.ms();
        self.shared.network.heal();
        self.hub.heal();
        while self.hub.unsettled().is_some() && self.shared.steady.ms() < begun_ms + 60_000 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.backend.let_everybody_in().await;
        let notified = self.hub.all_notified().await;
        self.devices.values().for_each(Device::settle);
        let _ = tokio::time::timeout(SETTLE_DEADLINE, self.settled()).await;
        if let Some(files) = &self.shared.plan.settings.files {
            // Until what nobody goes on with has passed its life.
            let life_ms = files.upload_life_ms.max(files.unsent_life_ms);
            tokio::time::sleep(Duration::from_millis(life_ms + 1_000)).await;
        }
        self.hub.tidy().await;
        // Who is online is told of what that has removed.
        tokio::time::sleep(Duration::from_millis(QUIET_MS)).await;
        let _ = tokio::time::timeout(SETTLE_DEADLINE, self.settled()).await;
        let mut snapshot = Snapshot {
            at_ms: self.shared.steady.ms(),
            wall_ms: self.shared.hub_wall.ms(),
            unsettled: self.unsettled(),
            settled_ms: self.shared.steady.ms() - begun_ms,
            ..Snapshot::default()
        };
        snapshot.unsettled.extend(notified.err());
        snapshot.devices = self.devices.values().map(Device::state).collect();
        self.look_afresh(&mut snapshot).await;
        match self.backend.look().await {
            Ok(view) => snapshot.backend = view,
            Err(words) => snapshot.unsettled.push(words),
        }
        if let Some(life) = self.hub.life() {
            snapshot::of_store(&self.shared.plan, &life, &mut snapshot);
        }
        self.hub.stop_hurrying();
        self.measure(&snapshot);
        snapshot.ceilings = self.shared.ceilings();
        snapshot.observations = self.shared.observed();
        self.shared.observe(None, What::Rested);
        let history = History {
            plan: self.shared.plan.clone(),
            observations: self.shared.observations(),
        };
        look(&history, &snapshot)
    }

    /// Measures what has a ceiling and shows at rest.
    fn measure(&self, snapshot: &Snapshot) {
        let most = self.shared.plan.settings.max_devices as u64;
        for user in 0..self.shared.plan.population.users.len() as u8 {
            let devices = snapshot
                .devices
                .iter()
                .filter(|device| device.device.user == user && device.ready);
            self.shared.measure(
                "devices of a user that are logged in",
                devices.count() as u64,
                most,
            );
        }
    }

    /// What has not settled, in words.
    fn unsettled(&self) -> Vec<String> {
        let devices = self.devices.values().filter_map(|device| {
            let is_deceived = self.shared.network.is_deceived(device.link());
            device
                .unsettled()
                .or_else(|| is_deceived.then(|| "a device has a dead connection".to_owned()))
        });
        self.hub
            .unsettled()
            .map(str::to_owned)
            .into_iter()
            .chain(devices)
            .chain(self.backend.unsettled())
            .collect()
    }

    /// Ready when nothing has happened for a while and nobody waits for anything.
    async fn settled(&self) {
        let population = &self.shared.plan.population;
        let mut devices = population.users.iter().flat_map(|user| &user.devices);
        let quiet_ms = match devices.any(|kind| *kind == DeviceKind::Serial) {
            true => LONG_QUIET_MS,
            false => QUIET_MS,
        };
        let mut arrived_ms = 0;
        loop {
            // What waits in a narrow link is long on its way, and nothing is observed meanwhile.
            arrived_ms = arrived_ms.max(self.shared.network.late_arrival_ms().unwrap_or(0));
            let quiet_at = self.shared.last_change_ms().max(arrived_ms) + quiet_ms;
            let now_ms = self.shared.steady.ms();
            if now_ms < quiet_at {
                tokio::time::sleep(Duration::from_millis(quiet_at - now_ms)).await;
            } else if self.unsettled().is_empty() {
                return;
            } else {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }

    /// What a fresh device of each user sees. The hub allows for one more device meanwhile.
    async fn look_afresh(&self, snapshot: &mut Snapshot) {
        let Some(life) = self.hub.life() else { return };
        let mut options = hub::options(&self.shared);
        options.max_devices += 1;
        let changed = life.hub.reload(&options);
        changed.unwrap_or_else(|error| panic!("the hub takes no options: {error}"));
        for number in 0..self.shared.plan.population.users.len() {
            match snapshot::fresh_view(&self.shared, number as u32, Plan::user(number as u8)).await {
                Ok(view) => snapshot.fresh.push(view),
                Err(words) => snapshot.unsettled.push(words),
            }
        }
        let _ = life.hub.reload(&hub::options(&self.shared));
    }
}
