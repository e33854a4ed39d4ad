//! What the devices do in a run.

use tim_session::proto::GroupType;

use super::{BEGIN_MS, Draft, any, below_any, number_of, stream, within_any};
use crate::Rng;
use crate::simulator::op::{Body, Call, DeviceKind, DeviceRef, Mention, Op, Profile, Target, Which};

/// The longest text that a message may have, in bytes.
const LONGEST_TEXT: u16 = 12 * 1024 - 2;

impl Draft {
    /// What the devices do: so many operations in all.
    pub(super) fn activities(&mut self, count: u64) {
        let devices = self.devices();
        let each = (count / devices.len().max(1) as u64).max(1);
        for (device, kind) in devices {
            let mut rng = stream(self.seed, "activity", number_of(device));
            let mut outbox = stream(self.seed, "outbox", number_of(device));
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
                    DeviceKind::Small | DeviceKind::Serial => {
                        self.keep(self.small_call(device, &mut rng), &mut outbox)
                    }
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
    pub(super) fn time(&self, rng: &mut Rng) -> u64 {
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

    /// Half of the messages of a device that keeps something are kept until they are answered.
    fn keep(&self, call: Call, rng: &mut Rng) -> Call {
        let is_kept = self.settings.keeps && rng.percent(50);
        match call {
            Call::Send {
                to,
                body,
                priority,
                online_only: false,
                ..
            } if is_kept && !matches!(body, Body::File(_)) => Call::SendKept { to, body, priority },
            other => other,
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
                        other => other,
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
    pub(super) fn target(&self, device: DeviceRef, rng: &mut Rng) -> Target {
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

    pub(super) fn which(&self, device: DeviceRef, rng: &mut Rng) -> Which {
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
}
