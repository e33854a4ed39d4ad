//! Scenes in which something comes late: bytes of a connection that was given up, what a serial line still had on its way when its device
//! was reset, an answer that was read before what the device has got meanwhile.

use tim_session::proto::GroupType;

use super::{Play, Scene};
use crate::simulator::op::{Call, DeviceFault, DeviceKind, LinkFault, Op, Profile, StoreFault, Target};

/// What a device waits for before it connects again, in milliseconds: the shortest back-off, with its jitter.
const FIRST_WAIT_MS: u64 = 190;

/// The scenes of a profile.
pub(super) const fn scenes_of(profile: Profile) -> &'static [Play] {
    match profile {
        Profile::Groups => &[Scene::read_by_another_device_on_return],
        Profile::Links | Profile::Logins => &[Scene::login_of_a_lost_connection],
        Profile::Serial => &[Scene::reset_before_the_login_is_answered],
        Profile::Store => &[Scene::described_while_it_arrives],
        Profile::Devices => &[Scene::comes_back_with_questions],
        _ => &[],
    }
}

impl Scene {
    /// What a frame takes from one end of an undisturbed link to the other, in milliseconds.
    fn trip_ms(&self) -> u64 {
        let (least, most) = self.stage.settings.delay_us;
        (least + most) / 2 / 1000
    }

    /// A login is on its way when its connection is lost, and arrives after the next one.
    fn login_of_a_lost_connection(&mut self) -> Option<()> {
        // Firmware says why it was turned away.
        let device = self.any_device_but(&[], &[DeviceKind::Small])?;
        let delay_ms = self.rng.within(800..1_500);
        let trip_ms = self.trip_ms();
        self.steps.push((self.at_ms, Op::Link(device, LinkFault::Cut)));
        // It connects, both ends say hello, and the LOGIN is sent.
        let until_login_ms = FIRST_WAIT_MS + trip_ms + 3 * (delay_ms + trip_ms);
        let lost_after_ms = until_login_ms + (delay_ms + trip_ms) / 2;
        let slow = LinkFault::Slow {
            delay_ms: delay_ms as u32,
            for_ms: (lost_after_ms - 5) as u32,
        };
        self.steps.push((self.at_ms, Op::Link(device, slow)));
        self.at_ms += lost_after_ms;
        self.steps
            .push((self.at_ms, Op::Link(device, LinkFault::HalfOpen)));
        Some(())
    }

    /// A device on a slow serial line is reset twice: the second time while the answer to its login is on its way, and somebody has
    /// written meanwhile.
    fn reset_before_the_login_is_answered(&mut self) -> Option<()> {
        let device = self.any_device_but(&[], &[DeviceKind::Serial])?;
        let other = self.user_but(&[device.user])?;
        // The device says hello again before the first answer arrives, so that there is an answer on its way after the reset.
        let delay_ms = self.rng.within(510..570);
        let (trip_ms, most_ms) = (self.trip_ms(), self.stage.settings.delay_us.1 / 1000);
        let slow = LinkFault::Slow {
            delay_ms: delay_ms as u32,
            for_ms: 8_000,
        };
        let reset = DeviceFault::Reset {
            after_ms: 10,
            from_start: false,
        };
        self.steps.push((self.at_ms, Op::Link(device, slow)));
        self.steps.push((self.at_ms, Op::Device(device, reset)));
        self.at_ms += 10 + 3 * (delay_ms + trip_ms.max(most_ms * 3 / 4));
        self.pause(20, 60);
        self.send(other, Target::User(device.user), 60);
        self.at_ms += 2 * most_ms;
        self.pause(15, 100);
        self.steps.push((self.at_ms, Op::Device(device, reset)));
        Some(())
    }

    /// A member is removed and comes back at once, and reads the group on one device before another one has heard of all that.
    fn read_by_another_device_on_return(&mut self) -> Option<()> {
        let (group, owner) = self.group(&[GroupType::PUBLIC, GroupType::MEETING, GroupType::COMMUNITY])?;
        let member = self.user_with_two(owner.user)?;
        // What comes later would put it right.
        self.at_ms = self.stage.end_ms.saturating_sub(self.rng.within(500..4_000));
        self.call(owner, Call::Invite(group, vec![member.user]));
        self.call(member, Call::Join(group));
        self.a_moment();
        self.send(owner, Target::Group(group), 60);
        self.a_moment();
        for _ in 0..self.rng.within(1..3) {
            let commit_ms = self.rng.within(300..900);
            let slow = StoreFault::Slow {
                commit_ms: commit_ms as u32,
                for_ms: commit_ms as u32,
            };
            self.steps.push((self.at_ms, Op::Store(slow)));
            self.call(owner, Call::Remove(group, vec![member.user]));
            self.call(owner, Call::Invite(group, vec![member.user]));
            self.send(owner, Target::Group(group), 60);
            self.pause(100, 280);
            self.call(member, Call::Read(Target::Group(group)));
            self.at_ms += commit_ms;
            self.pause(500, 3_000);
        }
        Some(())
    }

    /// A conversation is asked for while messages arrive in it, and the hub hands over what it has read after it has delivered them.
    fn described_while_it_arrives(&mut self) -> Option<()> {
        let reader = self.user_but(&[])?;
        let other = self.user_but(&[reader.user])?;
        self.at_ms = self.stage.end_ms.saturating_sub(self.rng.within(500..4_000));
        self.call(reader, Call::List);
        self.send(other, Target::User(reader.user), 60);
        self.a_moment();
        let slow = StoreFault::SlowAnswers {
            later_ms: self.rng.within(50..400) as u32,
            for_ms: 4_000,
        };
        self.steps.push((self.at_ms, Op::Store(slow)));
        for _ in 0..self.rng.within(1..4) {
            self.call(reader, Call::ConversationProfile(Target::User(other.user)));
            for _ in 0..self.rng.within(1..4) {
                self.pause(0, 60);
                self.send(other, Target::User(reader.user), 60);
            }
            self.pause(100, 600);
        }
        Some(())
    }

    /// A device that has lost its connection, and has not given up, misses much and asks for pages. The questions are the first that it
    /// sends when it is back.
    fn comes_back_with_questions(&mut self) -> Option<()> {
        let away = self.user_but(&[])?;
        let other = self.user_but(&[away.user])?;
        let for_ms = self.rng.within(2_000..5_000);
        let unreachable = LinkFault::Unreachable(for_ms as u32);
        self.steps.push((self.at_ms, Op::Link(away, unreachable)));
        self.steps.push((self.at_ms, Op::Link(away, LinkFault::Cut)));
        let back_ms = self.at_ms + for_ms;
        for _ in 0..self.rng.within(8..20) {
            self.send(other, Target::User(away.user), 12_000);
            self.pause(1, 60);
        }
        // While the log is read for it, some of the questions are answered, and the answers wait for the link.
        let slow = StoreFault::SlowReads {
            read_ms: self.rng.within(50..200) as u32,
            for_ms: 4_000,
        };
        let narrow = LinkFault::Narrow {
            bytes: self.rng.within(3_000..9_000) as u32,
            for_ms: 4_000,
        };
        self.steps.push((back_ms, Op::Store(slow)));
        self.steps.push((back_ms, Op::Link(away, narrow)));
        self.at_ms = back_ms - 300;
        for _ in 0..self.rng.within(4..12) {
            let page = Call::Page {
                of: Target::User(other.user),
                count: 15,
                pages: 2,
            };
            self.call(away, page);
            self.pause(0, 20);
        }
        Some(())
    }
}
