//! Scenes in which something happens to a file that is on its way.

use tim_session::proto::GroupType;

use super::{Play, Scene};
use crate::simulator::op::{Call, DeviceFault, DeviceRef, HubFault, LinkFault, Op, Profile, Target, Which};
use crate::simulator::plan::{file_body, send_file};

/// The scenes of a profile.
pub(super) const fn scenes_of(profile: Profile) -> &'static [Play] {
    match profile {
        Profile::Files => &[
            Scene::revoked_while_it_is_read,
            Scene::revoked_and_forwarded,
            Scene::sender_goes_while_uploading,
            Scene::cancelled_while_uploading,
            Scene::uploaded_by_two_devices,
            Scene::interrupted_upload,
            Scene::read_from_outside,
        ],
        _ => &[],
    }
}

impl Scene {
    fn send_file(&mut self, device: DeviceRef, to: Target, most: u64) {
        let body = file_body(&mut self.rng, &[most]);
        let call = send_file(&mut self.rng, to, body);
        self.call(device, call);
    }

    fn download(&mut self, device: DeviceRef, which: Which) {
        let call = Call::Download {
            which,
            part: 0,
            from: 0,
            again_after: self.rng.below(2) as u32 * 5_000,
        };
        self.call(device, call);
    }

    /// Few bytes a second, so that an upload or a download takes some.
    fn narrow(&mut self, device: DeviceRef) {
        let narrow = LinkFault::Narrow {
            bytes: self.rng.within(2_000..8_000) as u32,
            for_ms: 6_000,
        };
        self.steps.push((self.at_ms, Op::Link(device, narrow)));
    }

    /// A file is revoked while somebody downloads it, and asked for again.
    fn revoked_while_it_is_read(&mut self) -> Option<()> {
        let sender = self.user_but(&[])?;
        let reader = self.user_but(&[sender.user])?;
        self.send_file(sender, Target::User(reader.user), 30_000);
        self.a_moment();
        self.a_moment();
        let which = Which::Of(Target::User(sender.user), 0);
        if self.rng.percent(60) {
            self.narrow(reader);
        }
        self.download(reader, which);
        self.pause(0, 2_000);
        self.call(sender, Call::Revoke(Which::Own(0)));
        self.pause(0, 100);
        self.download(reader, which);
        self.download(sender, Which::Own(0));
        self.a_moment();
        self.download(sender, Which::Own(0));
        Some(())
    }

    /// A file is forwarded, and the first message of it revoked.
    fn revoked_and_forwarded(&mut self) -> Option<()> {
        let sender = self.user_but(&[])?;
        let reader = self.user_but(&[sender.user])?;
        let third = self.user_but(&[sender.user, reader.user])?;
        self.send_file(sender, Target::User(reader.user), 8_000);
        self.a_moment();
        self.a_moment();
        let forward = Call::Forward {
            which: Which::Of(Target::User(sender.user), 0),
            to: Target::User(third.user),
        };
        let revoke = Call::Revoke(Which::Own(0));
        if self.rng.percent(50) {
            self.call(reader, forward);
            self.pause(0, 1_000);
            self.call(sender, revoke);
        } else {
            self.call(sender, revoke);
            self.pause(0, 200);
            self.call(reader, forward);
        }
        self.a_moment();
        self.pause(0, 6_000);
        self.download(third, Which::Of(Target::User(reader.user), 0));
        // The same content once more.
        self.call(sender, Call::ResendKept(0));
        Some(())
    }

    /// Who uploads a file for a group leaves it, or is muted or removed, before the upload ends.
    fn sender_goes_while_uploading(&mut self) -> Option<()> {
        let (group, owner) = self.group(&[
            GroupType::PUBLIC,
            GroupType::MEETING,
            GroupType::COMMUNITY,
            GroupType::WORK,
        ])?;
        let member = self.user_but(&[owner.user])?;
        self.call(owner, Call::Invite(group, vec![member.user]));
        self.call(member, Call::Join(group));
        self.a_moment();
        self.narrow(member);
        self.send_file(member, Target::Group(group), 20_000);
        self.pause(100, 2_000);
        match self.rng.below(4) {
            0 => self.call(member, Call::Quit(group)),
            1 => self.call(owner, Call::Remove(group, vec![member.user])),
            2 => self.call(owner, Call::Dismiss(group)),
            _ => self.call(owner, Call::Mute(group, member.user, 60)),
        }
        self.pause(3_000, 9_000);
        self.call(member, Call::Resend(0));
        Some(())
    }

    /// An upload is cancelled, and the message sent after all.
    fn cancelled_while_uploading(&mut self) -> Option<()> {
        let sender = self.user_but(&[])?;
        let reader = self.user_but(&[sender.user])?;
        if self.rng.percent(70) {
            self.narrow(sender);
        }
        self.send_file(sender, Target::User(reader.user), 20_000);
        self.pause(10, 3_000);
        self.call(sender, Call::CancelUpload(0));
        self.pause(0, 3_000);
        self.call(sender, Call::Resend(0));
        Some(())
    }

    /// Two devices of a user upload the same, and one of them may give up.
    fn uploaded_by_two_devices(&mut self) -> Option<()> {
        let one = self.user_with_two(u8::MAX).or_else(|| self.user_but(&[]))?;
        let two = DeviceRef::new(one.user, 1);
        let reader = self.user_but(&[one.user])?;
        let mut body = file_body(&mut self.rng, &[10_000]);
        (body.kind, body.size, body.content) = (crate::simulator::op::FileKind::File, 12_000, 4);
        self.narrow(one);
        for device in [one, two] {
            let call = send_file(&mut self.rng, Target::User(reader.user), body);
            self.call(device, call);
            self.pause(0, 1_500);
        }
        match self.rng.below(3) {
            0 => self.call(one, Call::CancelUpload(0)),
            1 => self.call(two, Call::CancelUpload(0)),
            _ => {}
        }
        self.pause(1_000, 5_000);
        self.download(reader, Which::Of(Target::User(one.user), 0));
        Some(())
    }

    /// The application, the connection or the hub ends in the middle of an upload.
    fn interrupted_upload(&mut self) -> Option<()> {
        let sender = self.user_but(&[])?;
        let reader = self.user_but(&[sender.user])?;
        self.narrow(sender);
        self.send_file(sender, Target::User(reader.user), 20_000);
        self.pause(50, 3_000);
        let after = self.rng.below(2_000) as u32;
        let op = match self.rng.below(6) {
            0 => Op::Device(sender, DeviceFault::Restart(after)),
            1 => Op::Link(sender, LinkFault::Cut),
            2 => Op::Link(sender, LinkFault::CutAfter(self.rng.below(3_000) as u32)),
            3 => Op::Hub(HubFault::Stop(after + 10)),
            4 => Op::Call(sender, Call::Logout),
            _ => Op::Hub(HubFault::Crash(after + 10)),
        };
        let logs_out = matches!(op, Op::Call(..));
        self.steps.push((self.at_ms, op));
        self.pause(2_500, 6_000);
        if logs_out {
            self.call(sender, Call::Login);
            self.pause(500, 2_000);
        }
        self.call(sender, Call::Resend(0));
        Some(())
    }

    /// Who has left a group asks for a file that was sent there, and for one that was sent since.
    fn read_from_outside(&mut self) -> Option<()> {
        let (group, owner) = self.group(&[GroupType::PUBLIC, GroupType::MEETING, GroupType::COMMUNITY])?;
        let member = self.user_but(&[owner.user])?;
        self.call(owner, Call::Invite(group, vec![member.user]));
        self.call(member, Call::Join(group));
        self.a_moment();
        self.send_file(owner, Target::Group(group), 5_000);
        self.a_moment();
        self.a_moment();
        let which = Which::Of(Target::Group(group), 0);
        self.download(member, which);
        self.pause(0, 500);
        match self.rng.percent(50) {
            true => self.call(member, Call::Quit(group)),
            false => self.call(owner, Call::Remove(group, vec![member.user])),
        }
        self.a_moment();
        self.download(member, which);
        let forward = Call::Forward {
            which,
            to: Target::User(member.user),
        };
        self.call(member, forward);
        Some(())
    }
}
