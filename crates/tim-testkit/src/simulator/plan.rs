//! From a seed to a plan: who takes part, what they do and when, and what goes wrong.
//!
//! Every entity (a device, the hub, the store, a link) has a random stream of its own, derived from the seed and its name, so that a change
//! of one leaves the others as they are. A third of what devices do is moved close to a fault: most of what can go wrong goes wrong
//! where two things meet.

use tim_session::proto::GroupType;

use super::op::{
    Attack, Body, Call, DeviceFault, DeviceKind, DeviceRef, HubFault, LinkFault, Mention, Op, Plan,
    Population, Profile, Settings, Step, StoreFault, Target, UserPlan, Which,
};
use super::scenes::{self, Stage};
use crate::Rng;

/// When the ordinary operations begin: everybody has logged in, the first groups exist.
const BEGIN_MS: u64 = 4_000;

/// A random stream that belongs to an entity.
fn stream(seed: u64, entity: &str, number: u64) -> Rng {
    let name = entity.bytes().fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    let mut rng = Rng::new(seed ^ name.rotate_left(17) ^ number.wrapping_mul(0x9E37_79B9));
    rng.draw();
    rng
}

/// How often each kind of fault is expected in a run, in tenths; links and devices: in a run over all of them together.
#[derive(Debug, Clone, Copy, Default)]
struct Rates {
    cuts: u64,
    silent: u64,
    unreachable: u64,
    slow: u64,
    serial: u64,
    slow_readers: u64,
    restarts: u64,
    resets: u64,
    twins: u64,
    device_clocks: u64,
    stops: u64,
    crashes: u64,
    backups: u64,
    restores: u64,
    hub_clocks: u64,
    store_errors: u64,
    store_slow: u64,
    attacks: u64,
}

impl Rates {
    const fn of(profile: Profile) -> Self {
        let none = Self {
            cuts: 0,
            silent: 0,
            unreachable: 0,
            slow: 0,
            serial: 0,
            slow_readers: 0,
            restarts: 0,
            resets: 0,
            twins: 0,
            device_clocks: 0,
            stops: 0,
            crashes: 0,
            backups: 0,
            restores: 0,
            hub_clocks: 0,
            store_errors: 0,
            store_slow: 0,
            attacks: 0,
        };
        match profile {
            Profile::Calm | Profile::Groups | Profile::Rooms => Self {
                slow_readers: 5,
                cuts: if matches!(profile, Profile::Calm) { 0 } else { 20 },
                ..none
            },
            Profile::Mixed => Self {
                cuts: 40,
                silent: 15,
                unreachable: 10,
                slow: 10,
                serial: 10,
                slow_readers: 10,
                restarts: 15,
                resets: 8,
                twins: 5,
                device_clocks: 5,
                stops: 5,
                crashes: 8,
                backups: 5,
                restores: 3,
                hub_clocks: 5,
                store_errors: 10,
                store_slow: 10,
                attacks: 30,
            },
            Profile::Links => Self {
                cuts: 120,
                silent: 50,
                unreachable: 30,
                slow: 40,
                slow_readers: 20,
                ..none
            },
            Profile::Serial => Self {
                serial: 120,
                cuts: 20,
                stops: 8,
                resets: 10,
                restarts: 10,
                ..none
            },
            Profile::Devices => Self {
                restarts: 80,
                resets: 40,
                cuts: 30,
                slow_readers: 30,
                device_clocks: 10,
                ..none
            },
            Profile::Crash => Self {
                crashes: 40,
                stops: 15,
                cuts: 20,
                restarts: 20,
                store_slow: 10,
                ..none
            },
            Profile::Restore => Self {
                backups: 30,
                restores: 15,
                crashes: 5,
                cuts: 20,
                restarts: 20,
                resets: 5,
                ..none
            },
            Profile::Clock => Self {
                hub_clocks: 40,
                device_clocks: 30,
                stops: 8,
                cuts: 20,
                restarts: 10,
                ..none
            },
            Profile::Store => Self {
                store_errors: 60,
                store_slow: 40,
                cuts: 20,
                crashes: 5,
                ..none
            },
            Profile::Logins => Self {
                twins: 50,
                cuts: 40,
                silent: 30,
                restarts: 30,
                stops: 5,
                ..none
            },
            Profile::Hostile => Self { attacks: 250, ..none },
        }
    }
}

impl Plan {
    /// The plan of a seed. The same seed and profile make the same plan.
    #[must_use]
    pub fn generate(seed: u64, profile: Profile) -> Self {
        let mut rng = stream(seed, "population", profile as u64);
        let population = population(&mut rng, profile);
        let mut settings = settings(&mut rng, profile);
        small_buffers(&mut stream(seed, "buffers", 0), profile, &mut settings);
        let span_ms = BEGIN_MS + rng.within(40_000..110_000);
        let mut draft = Draft {
            seed,
            profile,
            population,
            settings,
            end_ms: span_ms,
            steps: Vec::new(),
            moments: Vec::new(),
        };
        draft.beginnings();
        draft.faults();
        draft.activities(rng.within(70..170));
        draft.scenes();
        draft.finish(&mut rng)
    }
}

fn population(rng: &mut Rng, profile: Profile) -> Population {
    let mut users = Vec::new();
    for number in 0..rng.within(4..7) {
        let devices = (0..rng.within(1..4).min(if number == 0 { 3 } else { 2 })).map(|_| {
            let chance = rng.below(100);
            match profile {
                Profile::Serial if chance < 60 => DeviceKind::Serial,
                Profile::Serial if chance < 70 => DeviceKind::Small,
                Profile::Mixed | Profile::Devices | Profile::Crash | Profile::Restore if chance < 8 => {
                    DeviceKind::Serial
                }
                _ if chance < 22 && profile != Profile::Hostile => DeviceKind::Small,
                _ => DeviceKind::Sdk,
            }
        });
        // Device 0 can make every call, if one of the user's devices can.
        let mut devices: Vec<DeviceKind> = devices.collect();
        devices.sort_by_key(|kind| *kind != DeviceKind::Sdk);
        users.push(UserPlan { devices });
    }
    let groups = match profile {
        Profile::Rooms => vec![
            GroupType::AV_CHAT_ROOM,
            GroupType::AV_CHAT_ROOM,
            GroupType::MEETING,
            GroupType::PUBLIC,
        ],
        Profile::Groups => vec![
            GroupType::PUBLIC,
            GroupType::WORK,
            GroupType::MEETING,
            GroupType::COMMUNITY,
            GroupType::PUBLIC,
        ],
        _ => {
            let types = [
                GroupType::PUBLIC,
                GroupType::WORK,
                GroupType::MEETING,
                GroupType::COMMUNITY,
                GroupType::AV_CHAT_ROOM,
            ];
            let first = rng.below(5) as usize;
            (0..3).map(|n| types[(first + n) % types.len()]).collect()
        }
    };
    Population {
        users,
        hostile: match profile {
            Profile::Hostile => 2,
            Profile::Mixed => 1,
            _ => 0,
        },
        groups,
        innocent_pair: profile == Profile::Hostile,
    }
}

fn settings(rng: &mut Rng, profile: Profile) -> Settings {
    let usual = Settings::default();
    let mut settings = Settings {
        max_live: any(rng, &[4, 16, 256]),
        event_capacity: any(rng, &[2, 16, 256]),
        window: any(rng, &[1, 4, 16, 64]),
        delay_us: match profile {
            Profile::Hostile => (500, 2_000),
            _ => any(rng, &[(100, 1_000), (500, 20_000), (10_000, 120_000)]),
        },
        max_fragment: match profile {
            Profile::Hostile => usual.max_fragment,
            _ => any(rng, &[1, 16, 500, 1 << 20]),
        },
        keeps: rng.percent(80),
        purge_interval_ms: rng.within(2_000..20_000),
        ..usual
    };
    match profile {
        Profile::Clock => {
            settings.retention_seconds = rng.within(20..60);
            settings.purge_interval_ms = rng.within(1_000..8_000);
        }
        Profile::Logins => {
            settings.max_devices = rng.within(1..4) as usize;
            settings.sig_seconds = rng.within(20..90);
        }
        Profile::Mixed if rng.percent(25) => {
            settings.retention_seconds = rng.within(30..90);
            settings.purge_interval_ms = rng.within(2_000..15_000);
        }
        _ => {}
    }
    if matches!(profile, Profile::Rooms) {
        settings.group_messages_per_second = any(rng, &[2, 5, 40]);
    }
    if matches!(profile, Profile::Hostile) {
        settings.sends_per_second = any(rng, &[20, 200]);
    }
    if settings.max_fragment == 1 {
        // Each byte is an arrival of its own: only a part of the runs, and with little delay.
        settings.delay_us = (20, 200);
    }
    settings
}

/// In most runs in which applications restart, the buffers between a device and the hub are small: a device that comes back gets
/// its messages piece by piece, between the answers to what it asks for.
fn small_buffers(rng: &mut Rng, profile: Profile, settings: &mut Settings) {
    if profile != Profile::Devices || rng.percent(30) {
        return;
    }
    settings.socket_bytes = any(rng, &[2 * 1024, 8 * 1024]);
    settings.max_outgoing = any(rng, &[48 * 1024, 56 * 1024]);
    settings.max_frame = 16 * 1024;
}

/// The longest text that a message may have, in bytes.
const LONGEST_TEXT: u16 = 12 * 1024 - 2;

/// A plan on its way.
struct Draft {
    seed: u64,
    profile: Profile,
    population: Population,
    settings: Settings,
    end_ms: u64,
    steps: Vec<(u64, Op)>,
    /// When something goes wrong, or changes for many: what devices do is moved there.
    moments: Vec<u64>,
}

impl Draft {
    fn devices(&self) -> Vec<(DeviceRef, DeviceKind)> {
        let mut all = Vec::new();
        for (user, plan) in (0..).zip(&self.population.users) {
            for (device, kind) in (0..).zip(&plan.devices) {
                all.push((DeviceRef::new(user, device), *kind));
            }
        }
        all
    }

    fn users(&self) -> u64 {
        self.population.users.len() as u64
    }

    /// Everybody logs in, and the groups are made by different users.
    fn beginnings(&mut self) {
        for (device, _) in self.devices() {
            let mut rng = stream(self.seed, "login", number_of(device));
            // A tenth comes late, to what the others have said meanwhile.
            let at = if rng.percent(10) && !self.population.innocent_pair {
                rng.within(BEGIN_MS..self.end_ms)
            } else {
                rng.below(1_500)
            };
            self.steps.push((at, Op::Call(device, Call::Login)));
        }
        let users = self.users();
        for group in 0..self.population.groups.len() as u8 {
            let mut rng = stream(self.seed, "group", u64::from(group));
            let owner = self.owner_of(group);
            let is_room = self.population.groups[usize::from(group)] == GroupType::AV_CHAT_ROOM;
            let members = (0..users).filter(|user| *user != owner && !is_room && rng.percent(60));
            let members = members.map(|user| user as u8).collect();
            let create = Call::CreateGroup {
                group,
                members,
                join: any(&mut rng, &[0, 0, 1, 2]) * u8::from(!is_room),
                invite: 0,
            };
            let at = if rng.percent(85) {
                rng.within(2_000..BEGIN_MS)
            } else {
                rng.within(BEGIN_MS..self.end_ms)
            };
            self.steps
                .push((at, Op::Call(DeviceRef::new(owner as u8, 0), create)));
            if is_room {
                for user in (0..users).filter(|user| *user != owner) {
                    if rng.percent(75) {
                        let device = DeviceRef::new(user as u8, 0);
                        self.steps
                            .push((at + rng.within(300..3_000), Op::Call(device, Call::Join(group))));
                    }
                }
            }
        }
    }

    /// Who makes a group: different users, who have a device that can.
    fn owner_of(&self, group: u8) -> u64 {
        let users = self.users();
        let first = u64::from(group) % users;
        let can =
            |user: &u64| self.population.users[*user as usize].devices.first() == Some(&DeviceKind::Sdk);
        let mut candidates = (0..users).map(|next| (first + next) % users);
        candidates.find(can).unwrap_or(first)
    }

    /// What goes wrong.
    fn faults(&mut self) {
        let rates = Rates::of(self.profile);
        self.link_faults(&rates);
        self.device_faults(&rates);
        self.hub_faults(&rates);
        self.store_faults(&rates);
        self.attacks(&rates);
    }

    /// How many of a kind of fault this run has.
    fn count(rng: &mut Rng, tenths: u64) -> u64 {
        if tenths == 0 {
            return 0;
        }
        let drawn = rng.below(2 * tenths + 1);
        drawn / 10 + u64::from(rng.below(10) < drawn % 10)
    }

    /// A moment for a fault: often one that there is already.
    fn moment(&mut self, rng: &mut Rng) -> u64 {
        let near = !self.moments.is_empty() && rng.percent(30);
        let at = if near {
            let at = self.moments[rng.below(self.moments.len() as u64) as usize];
            at + below_any(rng, &[1, 50, 1_000])
        } else {
            rng.within(BEGIN_MS..self.end_ms)
        };
        self.moments.push(at);
        at
    }

    fn link_faults(&mut self, rates: &Rates) {
        let devices = self.devices();
        let on_streams: Vec<_> = devices
            .iter()
            .filter(|(_, kind)| *kind != DeviceKind::Serial)
            .map(|(device, _)| *device)
            .collect();
        let serial: Vec<_> = devices
            .iter()
            .filter(|(_, kind)| *kind == DeviceKind::Serial)
            .map(|(device, _)| *device)
            .collect();
        let mut rng = stream(self.seed, "links", 0);
        let brief = |rng: &mut Rng| within_any(rng, 200, &[1_000, 8_000, 40_000]) as u32;
        type Make = fn(&mut Rng, u32) -> LinkFault;
        let kinds: [(u64, &[Make]); 4] = [
            (
                rates.cuts,
                &[
                    |_, _| LinkFault::Cut,
                    |rng, _| LinkFault::CutAfter(rng.below(400) as u32),
                    |rng, _| LinkFault::CutAfter(rng.below(4_000) as u32),
                ],
            ),
            (
                rates.silent,
                &[|_, _| LinkFault::Silent, |_, _| LinkFault::HalfOpen],
            ),
            (rates.unreachable, &[|_, for_ms| LinkFault::Unreachable(for_ms)]),
            (
                rates.slow,
                &[
                    |rng, for_ms| LinkFault::Slow {
                        delay_ms: rng.within(50..3_000) as u32,
                        for_ms,
                    },
                    |rng, for_ms| LinkFault::Narrow {
                        bytes: rng.within(100..4_000) as u32,
                        for_ms,
                    },
                ],
            ),
        ];
        for (rate, makes) in kinds {
            for _ in 0..Self::count(&mut rng, rate) {
                let Some(device) = pick(&mut rng, &on_streams) else {
                    break;
                };
                let at = self.moment(&mut rng);
                let for_ms = brief(&mut rng);
                let make = makes[rng.below(makes.len() as u64) as usize];
                let fault = make(&mut rng, for_ms);
                self.steps.push((at, Op::Link(device, fault)));
            }
        }
        for _ in 0..Self::count(&mut rng, rates.serial) {
            let Some(device) = pick(&mut rng, &serial) else {
                break;
            };
            let at = self.moment(&mut rng);
            let for_ms = brief(&mut rng);
            let fault = if rng.percent(25) {
                LinkFault::Pull(for_ms)
            } else {
                LinkFault::Noise {
                    damaged: rng.below(40) as u16,
                    lost: rng.below(40) as u16,
                    doubled: rng.below(40) as u16,
                    for_ms,
                }
            };
            self.steps.push((at, Op::Link(device, fault)));
        }
    }

    fn device_faults(&mut self, rates: &Rates) {
        let devices = self.devices();
        let mut rng = stream(self.seed, "devices", 0);
        type Make = fn(&mut Rng) -> DeviceFault;
        let kinds: [(u64, Make); 5] = [
            (rates.slow_readers, |rng| {
                DeviceFault::ReadsNothing(rng.within(500..20_000) as u32)
            }),
            (rates.restarts, |rng| {
                DeviceFault::Restart(below_any(rng, &[10, 2_000, 20_000]) as u32)
            }),
            (rates.resets, |rng| DeviceFault::Reset {
                after_ms: below_any(rng, &[10, 2_000, 20_000]) as u32,
                from_start: rng.percent(50),
            }),
            (rates.twins, |rng| {
                DeviceFault::Twin(rng.within(100..10_000) as u32)
            }),
            (rates.device_clocks, |rng| DeviceFault::ClockJump(jump(rng))),
        ];
        for (rate, make) in kinds {
            for _ in 0..Self::count(&mut rng, rate) {
                let Some((device, kind)) = pick(&mut rng, &devices) else {
                    break;
                };
                let at = self.moment(&mut rng);
                let fault = make(&mut rng);
                if kind != DeviceKind::Sdk && matches!(fault, DeviceFault::Twin(_)) {
                    continue; // there is one device of firmware
                }
                self.steps.push((at, Op::Device(device, fault)));
            }
        }
    }

    fn hub_faults(&mut self, rates: &Rates) {
        let mut rng = stream(self.seed, "hub", 0);
        let pause = |rng: &mut Rng| within_any(rng, 10, &[500, 5_000, 30_000]) as u32;
        for _ in 0..Self::count(&mut rng, rates.backups) {
            let at = self.moment(&mut rng);
            self.steps.push((at, Op::Hub(HubFault::Backup)));
        }
        for _ in 0..Self::count(&mut rng, rates.stops) {
            let at = self.moment(&mut rng);
            let fault = HubFault::Stop(pause(&mut rng));
            self.steps.push((at, Op::Hub(fault)));
        }
        for _ in 0..Self::count(&mut rng, rates.crashes) {
            let at = self.moment(&mut rng);
            let fault = HubFault::Crash(pause(&mut rng));
            self.steps.push((at, Op::Hub(fault)));
        }
        for _ in 0..Self::count(&mut rng, rates.restores) {
            // A backup before it, and time to do something that is lost.
            let backup = rng.within(BEGIN_MS..self.end_ms * 2 / 3);
            let at = rng.within(backup + 500..self.end_ms);
            self.moments.extend([backup, at]);
            self.steps.push((backup, Op::Hub(HubFault::Backup)));
            let fault = HubFault::Restore(pause(&mut rng));
            self.steps.push((at, Op::Hub(fault)));
        }
        for _ in 0..Self::count(&mut rng, rates.hub_clocks) {
            let at = self.moment(&mut rng);
            let fault = HubFault::ClockJump(jump(&mut rng));
            self.steps.push((at, Op::Hub(fault)));
        }
    }

    fn store_faults(&mut self, rates: &Rates) {
        let mut rng = stream(self.seed, "store", 0);
        for _ in 0..Self::count(&mut rng, rates.store_errors) {
            let at = self.moment(&mut rng);
            let fault = match rng.below(10) {
                0..3 => StoreFault::NextFails,
                3..5 => StoreFault::NextFull,
                5..8 => StoreFault::NextUnknown,
                8 => StoreFault::NextFatal,
                _ => StoreFault::ReadsFail(rng.within(100..5_000) as u32),
            };
            self.steps.push((at, Op::Store(fault)));
        }
        for _ in 0..Self::count(&mut rng, rates.store_slow) {
            let at = self.moment(&mut rng);
            let for_ms = rng.within(500..10_000) as u32;
            let slow = rng.within(20..1_500) as u32;
            let fault = if rng.percent(60) {
                StoreFault::Slow {
                    commit_ms: slow,
                    for_ms,
                }
            } else {
                StoreFault::SlowReads {
                    read_ms: slow,
                    for_ms,
                }
            };
            self.steps.push((at, Op::Store(fault)));
        }
    }

    fn attacks(&mut self, rates: &Rates) {
        let groups = self.population.groups.len() as u64;
        let users = self.users();
        for hostile in 0..self.population.hostile {
            let mut rng = stream(self.seed, "hostile", u64::from(hostile));
            // A quiet time first, with which the innocent are compared.
            let begin = BEGIN_MS + (self.end_ms - BEGIN_MS) / 4;
            self.steps.push((begin, Op::Attack(hostile, Attack::Login)));
            for _ in 0..Self::count(&mut rng, rates.attacks / u64::from(self.population.hostile)) {
                let at = rng.within(begin..self.end_ms);
                let target = |rng: &mut Rng| match rng.below(10) {
                    0..6 => Target::User(rng.below(users) as u8),
                    6..9 => Target::Group(rng.below(groups) as u8),
                    _ => Target::System,
                };
                let to = target(&mut rng);
                let attack = attack(&mut rng, to, users);
                self.steps.push((at, Op::Attack(hostile, attack)));
                if matches!(attack, Attack::HangUp | Attack::Garbage { .. } | Attack::Noise(_)) {
                    self.steps
                        .push((at + rng.within(50..500), Op::Attack(hostile, Attack::Login)));
                }
            }
        }
    }

    /// What the devices do: so many operations in all.
    fn activities(&mut self, count: u64) {
        let devices = self.devices();
        let each = (count / devices.len().max(1) as u64).max(1);
        for (device, kind) in devices {
            let mut rng = stream(self.seed, "activity", number_of(device));
            if self.population.innocent_pair && device.user < 2 {
                self.pair(device, &mut rng);
                continue;
            }
            let mut at = self.time(&mut rng);
            for _ in 0..rng.within(each / 2..each * 2) {
                // Bursts: a quarter follows the last one at once.
                at = if rng.percent(25) {
                    at + rng.below(30)
                } else {
                    self.time(&mut rng)
                };
                let call = match kind {
                    DeviceKind::Sdk => self.call(device, &mut rng),
                    DeviceKind::Small | DeviceKind::Serial => self.small_call(device, &mut rng),
                };
                let is_login = matches!(call, Call::Logout);
                self.steps.push((at, Op::Call(device, call)));
                if is_login {
                    let after = at + rng.within(10..6_000);
                    self.steps.push((after, Op::Call(device, Call::Login)));
                }
            }
        }
    }

    /// Sequences that steps drawn one by one hardly ever make.
    fn scenes(&mut self) {
        let groups = 0..self.population.groups.len() as u8;
        let owners = groups.map(|group| self.owner_of(group) as u8);
        let stage = Stage {
            profile: self.profile,
            population: self.population.clone(),
            settings: self.settings.clone(),
            owners: owners.collect(),
            begin_ms: BEGIN_MS,
            end_ms: self.end_ms,
        };
        // What was added later has a stream of its own, so that the scenes of a seed are still the same.
        let more = stream(self.seed, "late scenes", 0);
        self.steps
            .extend(scenes::draw(stream(self.seed, "scenes", 0), stage.clone()));
        self.steps.extend(scenes::draw_late(more, stage));
    }

    /// The innocent pair writes to each other, evenly.
    fn pair(&mut self, device: DeviceRef, rng: &mut Rng) {
        if device.device != 0 {
            return;
        }
        let mut at = BEGIN_MS + rng.below(1_000);
        while at < self.end_ms {
            let send = Call::Send {
                to: Target::User(1 - device.user),
                body: Body::Text(rng.within(16..200) as u16),
                priority: 2,
                online_only: false,
                mention: Mention::Nobody,
                retry_ms: 0,
            };
            self.steps.push((at, Op::Call(device, send)));
            at += rng.within(300..2_500);
        }
    }

    /// When an operation happens: a third of them close to a fault.
    fn time(&self, rng: &mut Rng) -> u64 {
        if !self.moments.is_empty() && rng.percent(35) {
            let moment = self.moments[rng.below(self.moments.len() as u64) as usize];
            let spread = any(rng, &[30, 400, 4_000]);
            (moment + rng.below(spread))
                .saturating_sub(spread / 3)
                .max(BEGIN_MS)
        } else {
            rng.within(BEGIN_MS..self.end_ms)
        }
    }

    fn call(&self, device: DeviceRef, rng: &mut Rng) -> Call {
        let group_share = match self.profile {
            Profile::Groups => 45,
            Profile::Rooms | Profile::Clock => 25,
            _ => 14,
        };
        if rng.below(100) < group_share {
            return self.group_call(device, rng);
        }
        let target = self.target(device, rng);
        match rng.below(100) {
            0..42 => self.send(target, rng),
            42..46 => Call::Resend(rng.below(4) as u16),
            46..50 => Call::ResendKept(rng.below(6) as u16),
            50..58 => Call::Revoke(self.which(device, rng)),
            58..67 => Call::Read(target),
            67..71 => Call::ReadUpTo(target, rng.below(6) as u16),
            71..73 => Call::DeleteConversation(target),
            73..76 => Call::List,
            76..77 => Call::Latest(rng.within(1..4) as u8),
            77..84 => Call::Page {
                of: target,
                count: rng.within(1..16) as u8,
                pages: rng.within(1..5) as u8,
            },
            84..86 => Call::ConversationProfile(target),
            86..87 => Call::UserProfiles((0..self.users() as u8).collect()),
            87..88 => Call::SetNick(rng.below(5) as u8),
            88..90 => Call::Groups,
            90..92 => Call::GroupProfile(self.group(device, rng)),
            92..94 => Call::Members(self.group(device, rng)),
            94..95 => Call::ReceiveOption(self.group(device, rng), rng.below(3) as u8),
            95..97 => Call::SetUserSig {
                seconds: rng.within(20..4_000) as u32,
            },
            97..98 => Call::Logout,
            _ => Call::Login,
        }
    }

    /// What a small-frame device can do.
    fn small_call(&self, device: DeviceRef, rng: &mut Rng) -> Call {
        let target = self.target(device, rng);
        match rng.below(100) {
            0..55 => match self.send(target, rng) {
                Call::Send {
                    to,
                    body,
                    priority,
                    online_only,
                    ..
                } => Call::Send {
                    to,
                    body: match body {
                        Body::Text(len) => Body::Text(len.min(120)),
                        Body::Custom(len) => Body::Custom(len.min(120)),
                        Body::Face => Body::Face,
                    },
                    priority,
                    online_only,
                    mention: Mention::Nobody,
                    retry_ms: 0,
                },
                other => other,
            },
            55..61 => Call::Resend(rng.below(3) as u16),
            61..65 => Call::ResendKept(rng.below(4) as u16),
            65..70 => Call::Revoke(self.which(device, rng)),
            70..80 => Call::Read(target),
            80..83 => Call::DeleteConversation(target),
            83..88 => Call::List,
            88..95 => Call::Page {
                of: target,
                count: rng.within(1..10) as u8,
                pages: rng.within(1..4) as u8,
            },
            95..97 => Call::Logout,
            _ => Call::Login,
        }
    }

    fn send(&self, to: Target, rng: &mut Rng) -> Call {
        let to = if to == Target::System { Target::User(0) } else { to };
        let online_share = if self.profile == Profile::Rooms { 25 } else { 7 };
        let mention = match (to, rng.below(10)) {
            (Target::Group(_), 0..2) => Mention::Users(vec![rng.below(self.users()) as u8]),
            (Target::Group(_), 2) => Mention::All,
            _ => Mention::Nobody,
        };
        Call::Send {
            to,
            body: match rng.below(20) {
                0..13 => match within_any(rng, 14, &[40, 300, 2_500]) as u16 {
                    len if len % 61 == 0 => Body::Text(LONGEST_TEXT),
                    len => Body::Text(len),
                },
                13..18 => Body::Custom(rng.within(14..600) as u16),
                _ => Body::Face,
            },
            priority: rng.within(1..5) as u8,
            online_only: rng.below(100) < online_share,
            mention,
            retry_ms: any(rng, &[0, 0, 3_000, 20_000]),
        }
    }

    /// A conversation that the device's user probably has.
    fn target(&self, device: DeviceRef, rng: &mut Rng) -> Target {
        let users = self.users();
        let kept_off = if self.population.innocent_pair { 2 } else { 0 };
        match rng.below(100) {
            0..30 => {
                let next = kept_off + (u64::from(device.user) - kept_off + 1) % (users - kept_off);
                Target::User(next as u8)
            }
            30..50 => Target::User(rng.within(kept_off..users) as u8),
            50..97 => Target::Group(self.group(device, rng)),
            _ => Target::System,
        }
    }

    fn which(&self, device: DeviceRef, rng: &mut Rng) -> Which {
        let n = below_any(rng, &[1, 3, 10]) as u16;
        if rng.percent(65) {
            Which::Own(n)
        } else {
            Which::Of(self.target(device, rng), n)
        }
    }

    /// A group, more often one that the user made.
    fn group(&self, device: DeviceRef, rng: &mut Rng) -> u8 {
        let groups = self.population.groups.len() as u64;
        if u64::from(device.user) < groups && rng.percent(40) {
            device.user
        } else {
            rng.below(groups) as u8
        }
    }

    fn group_call(&self, device: DeviceRef, rng: &mut Rng) -> Call {
        let group = self.group(device, rng);
        let is_room = self.population.groups[usize::from(group)] == GroupType::AV_CHAT_ROOM;
        let user = rng.below(self.users()) as u8;
        let seconds = within_any(rng, 2, &[6, 30, 600]) as u32;
        match rng.below(100) {
            0..18 => Call::Join(group),
            18..27 => Call::Quit(group),
            27..38 => Call::Invite(group, vec![user]),
            38..49 if is_room => Call::Ban(group, vec![user], seconds),
            38..49 => Call::Remove(group, vec![user]),
            49..57 => Call::SetAdmin(group, user, rng.percent(65)),
            57..66 => Call::Mute(group, user, if rng.percent(25) { 0 } else { seconds }),
            66..72 => Call::MuteAll(group, rng.percent(50)),
            72..76 => Call::ChangeOwner(group, user),
            76..79 => Call::Rename(group, rng.below(5) as u8),
            79..81 => Call::SetJoinOption(group, rng.within(1..4) as u8),
            81..82 => Call::Dismiss(group),
            82..89 => Call::AnswerApplication(group, user, rng.percent(75)),
            89..93 => Call::AnswerInvitation(group, rng.percent(75)),
            93..96 if is_room => Call::Unban(group, vec![user]),
            93..97 => Call::NameCard(group, user, rng.below(5) as u8),
            _ => Call::ReceiveOption(group, rng.below(3) as u8),
        }
    }

    /// Sorts and numbers the steps, and puts rests between them.
    fn finish(mut self, rng: &mut Rng) -> Plan {
        if rng.percent(40) {
            let at = rng.within(BEGIN_MS + 5_000..self.end_ms);
            self.steps.push((at, Op::Rest));
        }
        self.steps.sort_by_key(|(at, _)| *at); // stable: generated in the same order each time
        let last = self.steps.last().map_or(0, |(at, _)| *at);
        self.steps.push((last + 1_000, Op::Rest));
        let steps = (0..)
            .zip(self.steps)
            .map(|(number, (at_ms, op))| Step { number, at_ms, op });
        Plan {
            seed: self.seed,
            profile: self.profile,
            population: self.population,
            settings: self.settings,
            steps: steps.collect(),
        }
    }
}

fn attack(rng: &mut Rng, to: Target, users: u64) -> Attack {
    match rng.below(21) {
        0 => Attack::HugeWindow(rng.draw() as u32),
        1 => Attack::LoginFlood(rng.within(5..60) as u16),
        2 => Attack::ForgedUser(rng.below(users) as u8),
        3..5 => Attack::ReusedId(to),
        5 => Attack::ForgedId(to),
        6 => Attack::ForgedSender(to, rng.below(users) as u8),
        7 => Attack::ForgedExtensions(to),
        8..10 => Attack::SendFlood(to, rng.within(10..400) as u16),
        10..12 => Attack::PageFlood(to, rng.within(10..200) as u16),
        12..14 => Attack::Snoop(to),
        14 => Attack::ForgedAck,
        15 => Attack::UnknownKind(rng.draw() as u16),
        16 => Attack::Garbage {
            kind: rng.below(80) as u16,
            bytes: rng.below(300) as u16,
        },
        17 => Attack::Noise(rng.within(1..500) as u16),
        18 => Attack::ForgedKind(to, rng.within(32..64) as u8),
        19 => Attack::Idle(rng.within(1..30) as u16),
        _ if rng.percent(50) => Attack::ReadsNothing(rng.within(500..10_000) as u32),
        _ => Attack::HangUp,
    }
}

/// A jump of a clock, in seconds: minutes, hours or weeks, forward or back.
fn jump(rng: &mut Rng) -> i64 {
    let seconds = within_any(rng, 1, &[120, 7_200, 20 * 24 * 3600]);
    let seconds = i64::try_from(seconds).unwrap_or(0);
    if rng.percent(50) { seconds } else { -seconds }
}

fn number_of(device: DeviceRef) -> u64 {
    u64::from(device.user) << 8 | u64::from(device.device)
}

/// One of these.
pub(super) fn any<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.below(of.len() as u64) as usize]
}

/// A number below one of these.
fn below_any(rng: &mut Rng, ends: &[u64]) -> u64 {
    let end = any(rng, ends);
    rng.below(end)
}

/// A number from the first up to one of these.
fn within_any(rng: &mut Rng, from: u64, ends: &[u64]) -> u64 {
    let end = any(rng, ends);
    rng.within(from..end)
}

fn pick<T: Copy>(rng: &mut Rng, of: &[T]) -> Option<T> {
    if of.is_empty() {
        return None;
    }
    of.get(rng.below(of.len() as u64) as usize).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_seed_makes_the_same_plan_again_and_another_seed_another_one() {
        for profile in Profile::ALL {
            let plan = Plan::generate(7, profile);
            assert_eq!(plan, Plan::generate(7, profile));
            assert_ne!(plan.steps, Plan::generate(8, profile).steps);
        }
    }

    #[test]
    fn a_plan_is_in_order_of_time_ends_with_a_rest_and_names_only_who_takes_part() {
        for seed in 0..200 {
            let plan = Plan::generate(seed, Profile::ALL[seed as usize % Profile::ALL.len()]);
            assert!(plan.steps.is_sorted_by_key(|step| step.at_ms));
            assert!((0..).zip(&plan.steps).all(|(number, step)| step.number == number));
            assert_eq!(plan.steps.last().map(|step| &step.op), Some(&Op::Rest));
            assert!(
                (50..600).contains(&plan.steps.len()),
                "{} steps",
                plan.steps.len()
            );
            for step in &plan.steps {
                let (Op::Call(device, _) | Op::Device(device, _) | Op::Link(device, _)) = &step.op else {
                    continue;
                };
                let user = &plan.population.users[usize::from(device.user)];
                assert!(usize::from(device.device) < user.devices.len());
            }
        }
    }

    #[test]
    fn each_kind_of_operation_and_fault_comes_in_some_seed() {
        let mut seen = BTreeSet::new();
        for seed in 0..400 {
            let plan = Plan::generate(seed, Profile::ALL[seed as usize % Profile::ALL.len()]);
            for step in plan.steps {
                // The name of the variant: what stands before its fields.
                let words = match &step.op {
                    Op::Call(_, call) => format!("{call:?}"),
                    Op::Device(_, fault) => format!("device {fault:?}"),
                    Op::Link(_, fault) => format!("link {fault:?}"),
                    Op::Hub(fault) => format!("hub {fault:?}"),
                    Op::Store(fault) => format!("store {fault:?}"),
                    Op::Attack(_, attack) => format!("attack {attack:?}"),
                    Op::Rest => "Rest".to_owned(),
                };
                let name = words.split(['(', '{']).next().unwrap_or_default().trim();
                seen.insert(name.to_owned());
            }
        }
        // 37 calls, 5 of devices, 9 of links, 5 of the hub, 8 of the store, 19 attacks, rest.
        assert_eq!(seen.len(), 84, "{seen:#?}");
    }

    #[test]
    fn a_plan_with_steps_left_out_keeps_the_numbers_of_the_others() {
        let plan = Plan::generate(3, Profile::Mixed);
        let half = plan.only(|number| number % 2 == 0);
        assert!(
            half.steps
                .iter()
                .all(|step| plan.steps[step.number as usize] == *step)
        );
        assert_eq!(half.steps.len(), plan.steps.len().div_ceil(2));
    }
}
