//! What an application's server does.

use super::{BEGIN_MS, Draft, any, below_any, stream, within_any};
use crate::Rng;
use crate::simulator::op::{Body, Call, DeviceRef, Op, Profile, Rest};

/// The call that makes a group for its owner, in the place of the owner's own.
pub(super) fn for_owner(owner: u8, create: Call) -> Call {
    match create {
        Call::CreateGroup { group, members, .. } => Call::Rest(Rest::CreateGroup {
            group,
            owner,
            members,
        }),
        other => other,
    }
}

impl Draft {
    /// The calls of the application's server, if there is one. They come beside everything else.
    pub(super) fn backend(&mut self) {
        if !self.population.backend {
            return;
        }
        let mut rng = stream(self.seed, "backend", 0);
        // It makes the accounts to which it sends before their users have logged in.
        for user in 0..self.users() as u8 {
            let at = rng.below(BEGIN_MS);
            self.asks(at, Call::Rest(Rest::ImportAccount(user)));
        }
        let mut at = self.time(&mut rng);
        let count = match self.profile {
            Profile::Servers => rng.within(10..40),
            _ => rng.within(40..90),
        };
        for _ in 0..count {
            at = match rng.percent(30) {
                true => at + rng.below(60),
                false => self.time(&mut rng),
            };
            match rng.below(100) {
                0..58 => {
                    let call = self.message_call(&mut rng);
                    self.asks(at, call);
                }
                58..72 => self.ends_sessions(at, &mut rng),
                _ => {
                    let call = self.backend_group_call(&mut rng);
                    self.asks(at, call);
                }
            }
        }
    }

    fn asks(&mut self, at: u64, call: Call) {
        self.steps.push((at, Op::Backend(call)));
    }

    fn any_user(&self, rng: &mut Rng) -> u8 {
        rng.below(self.users()) as u8
    }

    fn message_call(&self, rng: &mut Rng) -> Call {
        let body = match rng.below(10) {
            0..7 => Body::Text(within_any(rng, 14, &[40, 300, 2_500]) as u16),
            7..9 => Body::Custom(rng.within(14..600) as u16),
            _ => Body::Face,
        };
        let from = self.any_user(rng);
        let mut others: Vec<u8> = (0..self.users() as u8).filter(|user| *user != from).collect();
        let to = any(rng, &others);
        let group = rng.below(self.population.groups.len() as u64) as u8;
        Call::Rest(match rng.below(100) {
            0..32 => Rest::Send {
                from,
                to: vec![to],
                body,
                online_only: rng.percent(12),
                to_sender: rng.percent(70),
            },
            32..44 => {
                others.retain(|_| rng.percent(70));
                if others.len() < 2 {
                    others = vec![to];
                }
                Rest::Send {
                    from,
                    to: others,
                    body,
                    online_only: rng.percent(6),
                    to_sender: rng.percent(70),
                }
            }
            44..54 => Rest::Import {
                from,
                to,
                body,
                counts: rng.percent(60),
            },
            54..76 => Rest::SendGroup {
                group,
                from: rng.percent(75).then_some(from),
                body,
            },
            76..84 => Rest::Withdraw(below_any(rng, &[1, 3, 10]) as u16),
            84..91 => Rest::Recall(below_any(rng, &[1, 3, 10]) as u16),
            _ => Rest::SetRead(from, to),
        })
    }

    /// Somebody is kicked out, kept out for a while or deleted; the applications try to log in again, first with the UserSigs that they
    /// have.
    fn ends_sessions(&mut self, at: u64, rng: &mut Rng) {
        let user = self.any_user(rng);
        match rng.below(10) {
            0..5 => self.asks(at, Call::Rest(Rest::Kick(user))),
            5..8 => {
                self.asks(at, Call::Rest(Rest::Block(user, true)));
                let until = at + within_any(rng, 100, &[2_000, 20_000]);
                self.asks(until, Call::Rest(Rest::Block(user, false)));
            }
            _ => {
                self.asks(at, Call::Rest(Rest::Delete(user)));
                if rng.percent(60) {
                    let again = at + within_any(rng, 50, &[1_000, 10_000]);
                    self.asks(again, Call::Rest(Rest::ImportAccount(user)));
                }
            }
        }
        let devices = self.devices();
        for (device, _) in devices.into_iter().filter(|(device, _)| device.user == user) {
            let mut later = at + rng.below(50);
            for _ in 0..rng.below(4) {
                later += within_any(rng, 5, &[200, 3_000, 10_000]);
                let login = DeviceRef::new(device.user, device.device);
                self.steps.push((later, Op::Call(login, Call::Login)));
            }
        }
    }

    fn backend_group_call(&self, rng: &mut Rng) -> Call {
        let group = rng.below(self.population.groups.len() as u64) as u8;
        let user = self.any_user(rng);
        match rng.below(100) {
            0..30 => Call::Invite(group, vec![user, self.any_user(rng)]),
            30..45 => Call::Remove(group, vec![user]),
            45..57 => Call::SetAdmin(group, user, rng.percent(65)),
            57..69 => {
                let seconds = within_any(rng, 2, &[6, 30, 600]) as u32;
                Call::Mute(group, user, if rng.percent(25) { 0 } else { seconds })
            }
            69..76 => Call::MuteAll(group, rng.percent(50)),
            76..83 => Call::Rename(group, rng.below(5) as u8),
            83..88 => Call::NameCard(group, user, rng.below(5) as u8),
            88..96 => Call::ChangeOwner(group, user),
            _ => Call::Dismiss(group),
        }
    }
}
