//! Scenes about who is notified while offline, and what the application is asked meanwhile: somebody goes away, is written to, and comes
//! back, has read it elsewhere, or has another user's device; a sink is down, and the hub ends between a message and its notification.

use super::{Play, Scene};
use crate::simulator::op::{
    Body, Call, DeviceRef, HubFault, LinkFault, Op, Profile, Rest, Server, ServerFault, Target, Which,
};
use crate::simulator::plan::{any, own_token, token};

/// An hour, and a bit more.
const AN_HOUR_MS: u64 = 3_630_000;

/// The scenes of a profile.
pub(super) const fn scenes_of(profile: Profile) -> &'static [Play] {
    match profile {
        Profile::Servers => &[
            Scene::written_to_while_away,
            Scene::written_to_while_away,
            Scene::comes_back_before_it_is_notified,
            Scene::gone_before_it_is_notified,
            Scene::another_user_has_the_token,
            Scene::the_hub_ends_before_it_is_notified,
            Scene::a_sink_is_down_for_long,
            Scene::stopped_while_the_application_is_asked,
            Scene::asked_again,
        ],
        _ => &[],
    }
}

impl Scene {
    /// Somebody with a token logs out on all devices. Also the token.
    fn goes_away(&mut self, not: &[u8]) -> Option<(DeviceRef, u16)> {
        let away = self.user_but(not)?;
        let token = token(own_token(away.user, away.device), &mut self.rng);
        self.call(away, Call::Login);
        self.a_moment();
        self.call(away, Call::RegisterPush(token, true));
        self.a_moment();
        let devices = self.stage.population.users[usize::from(away.user)].devices.len();
        for device in 0..devices as u8 {
            self.call(DeviceRef::new(away.user, device), Call::Logout);
        }
        self.a_moment();
        Some((away, token))
    }

    /// Others write to somebody: devices, and the application's server.
    fn is_written_to(&mut self, user: u8) -> Option<DeviceRef> {
        let other = self.user_but(&[user])?;
        for _ in 0..self.rng.within(1..4) {
            match self.rng.below(10) {
                0..6 => self.send(other, Target::User(user), 400),
                6..8 => {
                    let groups = self.stage.population.groups.len() as u64;
                    let group = self.rng.below(groups) as u8;
                    self.send(other, Target::Group(group), 100);
                }
                _ => {
                    let send = Rest::Send {
                        from: other.user,
                        to: vec![user],
                        body: Body::Text(30),
                        online_only: self.rng.percent(10),
                        to_sender: true,
                    };
                    self.steps.push((self.at_ms, Op::Backend(Call::Rest(send))));
                }
            }
            self.pause(0, 300);
        }
        Some(other)
    }

    fn server(&mut self, server: Server, fault: ServerFault) {
        self.steps.push((self.at_ms, Op::Server(server, fault)));
    }

    /// Something happens to a server.
    fn fails(&mut self, server: Server, for_ms: u64) {
        let for_ms = for_ms as u32;
        let fault = match self.rng.below(5) {
            0 => ServerFault::Refuses(for_ms),
            1 => ServerFault::Hangs(for_ms),
            2 => ServerFault::Cuts(for_ms),
            3 => ServerFault::Fails(for_ms),
            _ => ServerFault::Slow {
                later_ms: self.rng.within(100..3_000) as u32,
                for_ms,
            },
        };
        self.server(server, fault);
    }

    fn any_sink(&mut self) -> Server {
        any(&mut self.rng, &[Server::Webhook, Server::Embedded])
    }

    fn written_to_while_away(&mut self) -> Option<()> {
        let (away, _) = self.goes_away(&[])?;
        self.is_written_to(away.user)?;
        if self.rng.percent(50) {
            self.pause(100, 20_000);
            self.call(away, Call::Login);
        }
        Some(())
    }

    /// The sink does not answer, and the user is online before it does.
    fn comes_back_before_it_is_notified(&mut self) -> Option<()> {
        let (away, _) = self.goes_away(&[])?;
        let for_ms = self.rng.within(1_000..20_000);
        let sink = self.any_sink();
        self.fails(sink, for_ms);
        self.is_written_to(away.user)?;
        self.pause(0, 2_000);
        self.call(away, Call::Login);
        Some(())
    }

    /// What was written is revoked, or read in another way, before the sink takes it.
    fn gone_before_it_is_notified(&mut self) -> Option<()> {
        let (away, _) = self.goes_away(&[])?;
        let for_ms = self.rng.within(2_000..20_000);
        for sink in [Server::Webhook, Server::Embedded] {
            self.fails(sink, for_ms);
        }
        let other = self.is_written_to(away.user)?;
        self.pause(100, 1_500);
        match self.rng.percent(50) {
            true => self.call(other, Call::Revoke(Which::Own(0))),
            false => {
                let read = Call::Rest(Rest::SetRead(away.user, other.user));
                self.steps.push((self.at_ms, Op::Backend(read)));
            }
        }
        Some(())
    }

    /// The device is another user's before the sink takes what was written to the first.
    fn another_user_has_the_token(&mut self) -> Option<()> {
        let (away, token) = self.goes_away(&[])?;
        let next = self.user_but(&[away.user])?;
        let for_ms = self.rng.within(500..20_000);
        for sink in [Server::Webhook, Server::Embedded] {
            self.fails(sink, for_ms);
        }
        self.is_written_to(away.user)?;
        self.pause(0, 1_500);
        self.call(next, Call::RegisterPush(token, true));
        self.a_moment();
        self.is_written_to(away.user)?;
        Some(())
    }

    fn the_hub_ends_before_it_is_notified(&mut self) -> Option<()> {
        let (away, _) = self.goes_away(&[])?;
        if self.rng.percent(50) {
            let for_ms = self.rng.within(500..10_000);
            let sink = self.any_sink();
            self.fails(sink, for_ms);
        }
        self.is_written_to(away.user)?;
        let longest_ms = any(&mut self.rng, &[30, 300, 1_500]);
        self.pause(0, longest_ms);
        let pause_ms = self.rng.within(10..3_000) as u32;
        let end = match self.rng.percent(70) {
            true => HubFault::Crash(pause_ms),
            false => HubFault::Stop(pause_ms),
        };
        self.steps.push((self.at_ms, Op::Hub(end)));
        Some(())
    }

    /// For an hour, sometimes.
    fn a_sink_is_down_for_long(&mut self) -> Option<()> {
        let (away, _) = self.goes_away(&[])?;
        let for_ms = match self.rng.percent(8) {
            true => AN_HOUR_MS,
            false => self.rng.within(20_000..90_000),
        };
        for sink in [Server::Webhook, Server::Embedded] {
            self.fails(sink, for_ms);
        }
        for _ in 0..self.rng.within(1..4) {
            self.is_written_to(away.user)?;
            self.pause(100, for_ms / 4);
        }
        self.pause(for_ms / 4, for_ms);
        Some(())
    }

    /// The hub stops, or is killed, while it waits for an answer.
    fn stopped_while_the_application_is_asked(&mut self) -> Option<()> {
        let one = self.user_but(&[])?;
        let other = self.user_but(&[one.user])?;
        let for_ms = self.rng.within(1_000..4_000) as u32;
        let fault = match self.rng.percent(50) {
            true => ServerFault::Hangs(for_ms),
            false => ServerFault::Slow {
                later_ms: self.rng.within(300..1_800) as u32,
                for_ms,
            },
        };
        self.server(Server::Application, fault);
        self.send(one, Target::User(other.user), 100);
        self.send(other, Target::User(one.user), 100);
        self.pause(10, 1_500);
        let pause_ms = self.rng.within(10..2_000) as u32;
        let end = match self.rng.percent(50) {
            true => HubFault::Crash(pause_ms),
            false => HubFault::Stop(pause_ms),
        };
        self.steps.push((self.at_ms, Op::Hub(end)));
        Some(())
    }

    /// The application is asked twice about a message: its sender has lost the connection, and sends it again.
    fn asked_again(&mut self) -> Option<()> {
        let one = self.user_but(&[])?;
        let other = self.user_but(&[one.user])?;
        let slow = ServerFault::Slow {
            later_ms: self.rng.within(200..2_500) as u32,
            for_ms: self.rng.within(1_000..6_000) as u32,
        };
        self.server(Server::Application, slow);
        self.send(one, Target::User(other.user), 100);
        self.pause(50, 800);
        self.steps.push((self.at_ms, Op::Link(one, LinkFault::Cut)));
        self.pause(1_000, 4_000);
        self.call(one, Call::ResendKept(0));
        Some(())
    }
}
