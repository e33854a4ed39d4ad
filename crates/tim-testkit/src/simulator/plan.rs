//! From a seed to a plan: who takes part, what they do and when, and what goes wrong.
//!
//! Every entity (a device, the hub, the store, a link) has a random stream of its own, derived from the seed and its name, so that a change
//! of one leaves the others as they are. A third of what devices do is moved close to a fault: most of what can go wrong goes wrong
//! where two things meet.

mod activities;
mod backend;
mod faults;
mod files;
mod rates;
mod servers;
mod setup;

use tim_session::proto::GroupType;

use super::op::{Call, DeviceKind, DeviceRef, Op, Plan, Population, Profile, Settings, Step};
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

impl Plan {
    /// The plan of a seed. The same seed and profile make the same plan.
    #[must_use]
    pub fn generate(seed: u64, profile: Profile) -> Self {
        let mut rng = stream(seed, "population", profile as u64);
        let population = setup::population(&mut rng, profile);
        let mut settings = setup::settings(&mut rng, profile);
        setup::small_buffers(&mut stream(seed, "buffers", 0), profile, &mut settings);
        setup::files(&mut stream(seed, "file settings", 0), profile, &mut settings);
        setup::servers(&mut stream(seed, "server settings", 0), profile, &mut settings);
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
        let activities = rng.within(70..170);
        draft.activities(match profile {
            Profile::Files => activities / 2, // and as much again with files
            Profile::Servers => activities * 2 / 3,
            _ => activities,
        });
        draft.scenes();
        draft.files();
        draft.backend();
        draft.servers();
        draft.finish(&mut rng)
    }
}

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
            let create = match self.profile {
                Profile::Backend | Profile::Servers if group % 2 == 1 => {
                    Op::Backend(backend::for_owner(owner as u8, create))
                }
                _ => Op::Call(DeviceRef::new(owner as u8, 0), create),
            };
            self.steps.push((at, create));
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
        self.steps.extend(scenes::draw_late(more, stage.clone()));
        let with_files = stream(self.seed, "scenes with files", 0);
        self.steps.extend(scenes::draw_files(with_files, stage.clone()));
        let with_servers = stream(self.seed, "scenes with servers", 0);
        self.steps.extend(scenes::draw_servers(with_servers, stage));
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

fn number_of(device: DeviceRef) -> u64 {
    u64::from(device.user) << 8 | u64::from(device.device)
}

pub(super) use files::{file_body, send_file};
pub(super) use servers::{own_token, token};

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
                    Op::Backend(Call::Rest(rest)) => format!("rest {rest:?}"),
                    Op::Backend(call) => format!("backend {call:?}"),
                    Op::Device(_, fault) => format!("device {fault:?}"),
                    Op::Link(_, fault) => format!("link {fault:?}"),
                    Op::Hub(fault) => format!("hub {fault:?}"),
                    Op::Store(fault) => format!("store {fault:?}"),
                    Op::Server(_, fault) => format!("server {fault:?}"),
                    Op::Attack(_, attack) => format!("attack {attack:?}"),
                    Op::Rest => "Rest".to_owned(),
                };
                let name = words.split(['(', '{']).next().unwrap_or_default().trim();
                seen.insert(name.to_owned());
            }
        }
        // 43 calls, 6 of devices, 9 of links, 5 of the hub, 9 of the store, 5 of servers, 24 attacks, rest; 11 + 9 calls of an
        // application's server.
        assert_eq!(seen.len(), 122, "{seen:#?}");
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
