//! Short sequences that take several parties in the right order, which steps drawn one by one hardly ever make: somebody is muted, leaves,
//! comes back and speaks.
//!
//! A scene has random actors and random pauses, and consists of ordinary steps: it is shrunk as they are, and whatever else the plan has
//! crosses it. Scenes are drawn from a stream of their own.

mod files;
mod late;
mod servers;

use tim_session::proto::GroupType;

use super::op::{
    Body, Call, DeviceFault, DeviceKind, DeviceRef, HubFault, LinkFault, Mention, Op, Population, Profile,
    Settings, StoreFault, Target, UserPlan,
};
use super::plan::any;
use crate::Rng;

/// What a scene needs to know of the plan that it becomes a part of.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    pub(super) profile: Profile,
    pub(super) population: Population,
    pub(super) settings: Settings,
    /// The users who make the groups, by the number of the group.
    pub(super) owners: Vec<u8>,
    /// When the ordinary operations begin and end.
    pub(super) begin_ms: u64,
    pub(super) end_ms: u64,
}

/// Scenes on their way.
struct Scene {
    stage: Stage,
    rng: Rng,
    at_ms: u64,
    steps: Vec<(u64, Op)>,
}

type Play = fn(&mut Scene) -> Option<()>;

/// The scenes of a profile.
const fn scenes_of(profile: Profile) -> &'static [Play] {
    match profile {
        Profile::Groups => &[Scene::muted_comes_back, Scene::over_a_superior],
        Profile::Rooms => &[Scene::muted_while_waiting, Scene::cut_before_the_answer],
        Profile::Clock => &[Scene::away_longer_than_retention],
        Profile::Links => &[Scene::revoked_while_it_waits],
        Profile::Store => &[Scene::read_while_it_arrives],
        Profile::Devices => &[Scene::catches_up_on_much],
        _ => &[],
    }
}

/// Draws the scenes of a plan: none, one or two.
pub(super) fn draw(rng: Rng, stage: Stage) -> Vec<(u64, Op)> {
    let plays = scenes_of(stage.profile);
    draw_of(plays, rng, stage)
}

/// Draws the scenes of a plan in which something comes late: none, one or two.
pub(super) fn draw_late(rng: Rng, stage: Stage) -> Vec<(u64, Op)> {
    let plays = late::scenes_of(stage.profile);
    draw_of(plays, rng, stage)
}

/// Draws the scenes with files of a plan, of which there are some in the profile for them.
pub(super) fn draw_files(mut rng: Rng, stage: Stage) -> Vec<(u64, Op)> {
    let plays = files::scenes_of(stage.profile);
    let mut steps = Vec::new();
    for _ in 0..3 {
        steps.extend(draw_of(plays, Rng::new(rng.draw()), stage.clone()));
    }
    steps
}

/// Draws the scenes with servers that the hub calls, of which there are some in the profile for them.
pub(super) fn draw_servers(mut rng: Rng, stage: Stage) -> Vec<(u64, Op)> {
    let plays = servers::scenes_of(stage.profile);
    let mut steps = Vec::new();
    for _ in 0..4 {
        steps.extend(draw_of(plays, Rng::new(rng.draw()), stage.clone()));
    }
    steps
}

fn draw_of(plays: &[Play], rng: Rng, stage: Stage) -> Vec<(u64, Op)> {
    let mut scene = Scene::new(rng, stage);
    for _ in 0..scene.rng.below(3) {
        if plays.is_empty() {
            break;
        }
        scene.at_ms = scene.rng.within(scene.stage.begin_ms..scene.stage.end_ms);
        let play = any(&mut scene.rng, plays);
        let before = scene.steps.len();
        // A scene for which the plan has no actors is left out.
        if play(&mut scene).is_none() {
            scene.steps.truncate(before);
        }
    }
    scene.steps
}

impl Scene {
    const fn new(rng: Rng, stage: Stage) -> Self {
        Self {
            stage,
            rng,
            at_ms: 0,
            steps: Vec::new(),
        }
    }

    /// After a pause of so many milliseconds.
    fn pause(&mut self, from_ms: u64, to_ms: u64) {
        self.at_ms += self.rng.within(from_ms..to_ms);
    }

    /// Time for a call to return on an ordinary link.
    fn a_moment(&mut self) {
        let trip_ms = self.stage.settings.delay_us.1 / 1000;
        self.pause(3 * trip_ms + 20, 4 * trip_ms + 600);
    }

    fn call(&mut self, device: DeviceRef, call: Call) {
        self.steps.push((self.at_ms, Op::Call(device, call)));
    }

    fn send(&mut self, device: DeviceRef, to: Target, longest: u64) {
        let len = self.rng.within(14..longest) as u16;
        let call = Call::Send {
            to,
            body: Body::Text(len),
            priority: self.rng.within(1..5) as u8,
            online_only: false,
            mention: Mention::Nobody,
            retry_ms: 0,
        };
        self.call(device, call);
    }

    /// Another user than these, with a device that can make every call.
    fn user_but(&mut self, not: &[u8]) -> Option<DeviceRef> {
        self.device_but(not, &[DeviceKind::Sdk])
    }

    /// Device 0 of another user than these, if it is of one of these kinds.
    fn device_but(&mut self, not: &[u8], kinds: &[DeviceKind]) -> Option<DeviceRef> {
        let users = &self.stage.population.users;
        let fits = |user: &u8| {
            let first = users[usize::from(*user)].devices.first();
            !not.contains(user) && first.is_some_and(|kind| kinds.contains(kind))
        };
        let fit: Vec<u8> = (0..users.len() as u8).filter(fits).collect();
        (!fit.is_empty()).then(|| DeviceRef::new(any(&mut self.rng, &fit), 0))
    }

    /// Any device of one of these kinds, of another user than these.
    fn any_device_but(&mut self, not: &[u8], kinds: &[DeviceKind]) -> Option<DeviceRef> {
        let users = (0..).zip(&self.stage.population.users);
        let fit: Vec<DeviceRef> = users
            .filter(|(user, _)| !not.contains(user))
            .flat_map(|(user, plan)| {
                let devices = (0..).zip(&plan.devices);
                let fit = devices.filter(|(_, kind)| kinds.contains(kind));
                fit.map(move |(device, _)| DeviceRef::new(user, device))
            })
            .collect();
        (!fit.is_empty()).then(|| any(&mut self.rng, &fit))
    }

    /// Device 0 of another user, who has a second one, both of which can make every call.
    fn user_with_two(&mut self, not: u8) -> Option<DeviceRef> {
        let users = (0..).zip(&self.stage.population.users);
        let has_two = |plan: &UserPlan| plan.devices.starts_with(&[DeviceKind::Sdk, DeviceKind::Sdk]);
        let fit: Vec<u8> = users
            .filter(|(user, plan)| *user != not && has_two(plan))
            .map(|(user, _)| user)
            .collect();
        (!fit.is_empty()).then(|| DeviceRef::new(any(&mut self.rng, &fit), 0))
    }

    /// A group of one of these types, and its owner.
    fn group(&mut self, types: &[GroupType]) -> Option<(u8, DeviceRef)> {
        let groups = (0..).zip(&self.stage.population.groups);
        let fit: Vec<u8> = groups
            .filter(|(_, group)| types.contains(group))
            .map(|(number, _)| number)
            .collect();
        if fit.is_empty() {
            return None;
        }
        let group = any(&mut self.rng, &fit);
        Some((group, DeviceRef::new(self.stage.owners[usize::from(group)], 0)))
    }

    /// Who is muted leaves, comes back and speaks.
    fn muted_comes_back(&mut self) -> Option<()> {
        let (group, owner) = self.group(&[GroupType::PUBLIC, GroupType::MEETING, GroupType::COMMUNITY])?;
        let member = self.user_but(&[owner.user])?;
        self.call(owner, Call::Invite(group, vec![member.user]));
        self.call(member, Call::Join(group));
        self.a_moment();
        let seconds = self.rng.within(60..600) as u32;
        self.call(owner, Call::Mute(group, member.user, seconds));
        self.a_moment();
        let leaves = self.rng.percent(60);
        if leaves {
            self.call(member, Call::Quit(group));
        } else {
            self.call(owner, Call::Remove(group, vec![member.user]));
        }
        self.a_moment();
        self.call(owner, Call::Invite(group, vec![member.user]));
        self.call(member, Call::Join(group));
        self.a_moment();
        self.send(member, Target::Group(group), 100);
        Some(())
    }

    /// An admin acts on the owner and on another admin.
    fn over_a_superior(&mut self) -> Option<()> {
        let (group, owner) = self.group(&[GroupType::PUBLIC, GroupType::MEETING, GroupType::COMMUNITY])?;
        let admin = self.user_but(&[owner.user])?;
        let other = self.user_but(&[owner.user, admin.user])?;
        self.call(owner, Call::Invite(group, vec![admin.user, other.user]));
        self.call(admin, Call::Join(group));
        self.call(other, Call::Join(group));
        self.a_moment();
        self.call(owner, Call::SetAdmin(group, admin.user, true));
        self.call(owner, Call::SetAdmin(group, other.user, true));
        self.a_moment();
        let whom = any(&mut self.rng, &[owner.user, other.user]);
        let act = match self.rng.below(3) {
            0 => Call::Mute(group, whom, 30),
            1 => Call::Remove(group, vec![whom]),
            _ => Call::NameCard(group, whom, 1),
        };
        self.call(admin, act);
        Some(())
    }

    /// Somebody says more in a room than it takes at once, and is muted while some of that waits.
    fn muted_while_waiting(&mut self) -> Option<()> {
        let (room, owner) = self.group(&[GroupType::AV_CHAT_ROOM])?;
        let member = self.user_but(&[owner.user])?;
        self.call(member, Call::Join(room));
        self.a_moment();
        let rate = u64::from(self.stage.settings.group_messages_per_second.min(10));
        for _ in 0..2 * rate {
            self.send(member, Target::Group(room), 60);
        }
        self.pause(0, 100);
        self.call(owner, Call::Mute(room, member.user, 60));
        Some(())
    }

    /// The connection is lost after a message that nothing stores, and before the answer.
    fn cut_before_the_answer(&mut self) -> Option<()> {
        let (room, owner) = self.group(&[GroupType::AV_CHAT_ROOM])?;
        let member = self.user_but(&[owner.user])?;
        self.call(member, Call::Join(room));
        self.a_moment();
        let trip_ms = self.stage.settings.delay_us.1 / 1000;
        for _ in 0..self.rng.within(1..4) {
            if self.rng.percent(50) {
                let bytes = self.rng.within(60..350) as u32;
                self.steps
                    .push((self.at_ms, Op::Link(member, LinkFault::CutAfter(bytes))));
                self.send(member, Target::Group(room), 60);
            } else {
                self.send(member, Target::Group(room), 60);
                self.pause(0, 2 * trip_ms + 2);
                self.steps.push((self.at_ms, Op::Link(member, LinkFault::Cut)));
            }
            self.pause(1_000, 4_000);
        }
        Some(())
    }

    /// A device is away until retention has removed what it was sent.
    fn away_longer_than_retention(&mut self) -> Option<()> {
        let away = self.user_but(&[])?;
        let other = self.user_but(&[away.user])?;
        self.at_ms = self.stage.begin_ms + self.rng.below(5_000);
        let settings = &self.stage.settings;
        let kept_ms = settings.retention_seconds * 1000 + 2 * settings.purge_interval_ms;
        // A hub that is started again believes its clock; otherwise the time has to pass.
        let jumps = self.rng.percent(50);
        let away_ms = if jumps { 12_000 } else { kept_ms + 4_000 };
        let restart = DeviceFault::Restart(away_ms as u32);
        self.steps.push((self.at_ms, Op::Device(away, restart)));
        let back_ms = self.at_ms + away_ms;
        for _ in 0..self.rng.within(1..4) {
            self.pause(50, 500);
            self.send(other, Target::User(away.user), 60);
        }
        if jumps {
            self.pause(200, 1_000);
            let jump = HubFault::ClockJump((kept_ms / 1000) as i64 + 60);
            self.steps.push((self.at_ms, Op::Hub(jump)));
            self.steps.push((self.at_ms + 100, Op::Hub(HubFault::Stop(200))));
        }
        self.at_ms = back_ms;
        self.pause(500, 3_000);
        self.send(other, Target::User(away.user), 60);
        Some(())
    }

    /// Messages to a device on a slow link wait in the hub, and one of them is revoked.
    fn revoked_while_it_waits(&mut self) -> Option<()> {
        let slow = self.user_but(&[])?;
        let other = self.user_but(&[slow.user])?;
        let delay_ms = self.rng.within(300..1_500) as u32;
        let for_ms = 30_000;
        self.steps
            .push((self.at_ms, Op::Link(slow, LinkFault::Slow { delay_ms, for_ms })));
        for _ in 0..self.rng.within(10..20) {
            self.send(other, Target::User(slow.user), 60);
            self.pause(1, 10);
        }
        self.a_moment();
        let which = super::op::Which::Own(self.rng.below(3) as u16);
        self.call(other, Call::Revoke(which));
        Some(())
    }

    /// A conversation is read while messages arrive in it.
    fn read_while_it_arrives(&mut self) -> Option<()> {
        let reader = self.user_but(&[])?;
        let other = self.user_but(&[reader.user])?;
        self.at_ms = self.stage.end_ms.saturating_sub(self.rng.within(500..3_000));
        self.call(reader, Call::List);
        self.send(other, Target::User(reader.user), 60);
        self.a_moment();
        let slow = StoreFault::Slow {
            commit_ms: self.rng.within(20..400) as u32,
            for_ms: 3_000,
        };
        self.steps.push((self.at_ms, Op::Store(slow)));
        for _ in 0..self.rng.within(2..6) {
            self.send(other, Target::User(reader.user), 60);
            self.pause(0, 100);
            self.call(reader, Call::Read(Target::User(other.user)));
            self.pause(0, 100);
        }
        self.send(other, Target::User(reader.user), 60);
        Some(())
    }

    /// A device comes back to more than its connection takes at once, and asks for pages meanwhile.
    fn catches_up_on_much(&mut self) -> Option<()> {
        let away = self.user_but(&[])?;
        let other = self.user_but(&[away.user])?;
        let for_ms = self.rng.within(2_000..4_000) as u32;
        self.steps
            .push((self.at_ms, Op::Device(away, DeviceFault::Restart(for_ms))));
        let back_ms = self.at_ms + u64::from(for_ms);
        for _ in 0..self.rng.within(8..16) {
            self.send(other, Target::User(away.user), 12_000);
            self.pause(1, 60);
        }
        self.at_ms = back_ms;
        self.pause(1, 50);
        for _ in 0..self.rng.within(4..10) {
            let page = Call::Page {
                of: Target::User(other.user),
                count: 15,
                pages: 2,
            };
            self.call(away, page);
            self.pause(0, 60);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::op::Plan;
    use super::*;

    #[test]
    fn each_scene_finds_its_actors_in_many_plans() {
        for profile in Profile::ALL {
            let plays = scenes_of(profile)
                .iter()
                .chain(late::scenes_of(profile))
                .chain(files::scenes_of(profile));
            for (number, play) in plays.enumerate() {
                let played = (0..100).filter(|seed| {
                    let plan = Plan::generate(*seed, profile);
                    let stage = Stage {
                        profile,
                        population: plan.population,
                        settings: plan.settings,
                        owners: vec![0, 1, 2, 3, 0],
                        begin_ms: 4_000,
                        end_ms: 50_000,
                    };
                    let mut scene = Scene::new(Rng::new(*seed), stage);
                    play(&mut scene).is_some() && scene.steps.len() > 1
                });
                assert!(played.count() > 50, "scene {number} of {profile}");
            }
        }
    }
}
