//! What goes wrong in a run.

use super::rates::Rates;
use super::{BEGIN_MS, Draft, below_any, pick, stream, within_any};
use crate::Rng;
use crate::simulator::op::{
    Attack, CutPoint, DeviceFault, DeviceKind, HubFault, LinkFault, Op, Server, ServerFault, StoreFault,
    Target,
};

impl Draft {
    /// What goes wrong.
    pub(super) fn faults(&mut self) {
        let rates = Rates::of(self.profile);
        self.link_faults(&rates);
        self.device_faults(&rates);
        self.hub_faults(&rates);
        self.store_faults(&rates);
        self.attacks(&rates);
        self.power_cuts(&rates);
        self.server_faults(&rates);
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

    /// The power of devices of firmware goes.
    fn power_cuts(&mut self, rates: &Rates) {
        let mut devices = self.devices();
        devices.retain(|(_, kind)| *kind != DeviceKind::Sdk);
        let mut rng = stream(self.seed, "power", 0);
        for _ in 0..Self::count(&mut rng, rates.power_cuts) {
            let Some((device, _)) = pick(&mut rng, &devices) else {
                break;
            };
            let at = rng.within(BEGIN_MS..self.end_ms);
            let point = CutPoint::ALL[rng.below(CutPoint::ALL.len() as u64) as usize];
            let fault = DeviceFault::PowerCut(point, below_any(&mut rng, &[10, 2_000, 20_000]) as u32);
            self.steps.push((at, Op::Device(device, fault)));
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
            let seconds = match self.population.backend {
                // UserSigs that were made void by a clock that is ahead are void until the time has come.
                true => jump(&mut rng).abs(),
                false => jump(&mut rng),
            };
            self.steps.push((at, Op::Hub(HubFault::ClockJump(seconds))));
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

    fn server_faults(&mut self, rates: &Rates) {
        let mut rng = stream(self.seed, "servers", 0);
        for _ in 0..Self::count(&mut rng, rates.servers) {
            let at = self.moment(&mut rng);
            let server = Server::ALL[rng.below(3) as usize];
            let for_ms = within_any(&mut rng, 200, &[2_000, 15_000, 60_000]) as u32;
            let fault = match rng.below(6) {
                0..2 => ServerFault::Refuses(for_ms),
                2 => ServerFault::Hangs(for_ms),
                3 => ServerFault::Cuts(for_ms),
                4 => ServerFault::Fails(for_ms),
                _ => ServerFault::Slow {
                    later_ms: rng.within(100..4_000) as u32,
                    for_ms,
                },
            };
            self.steps.push((at, Op::Server(server, fault)));
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
        19 if rng.percent(50) => Attack::PingFlood(rng.within(100..5_000) as u16),
        19 => Attack::Idle(rng.within(1..60) as u16),
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
