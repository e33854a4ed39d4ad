//! Group requests of a device, and the events that it waits for.

use std::io::Write as _;

use tim_proto::request::{
    DismissGroup, GetGroupProfile, GroupMembers, InviteMembers, JoinGroup, QuitGroup, RemoveMembers,
    SetMember,
};
use tim_proto::wire::List;
use tim_proto::{ErrorCode, Role, UserId};

use super::{Device, Notice, Reply, Tip, group_id, user};

impl Device {
    /// Sends what is to be sent, and reads nothing.
    pub(crate) fn push_out(&mut self) {
        self.events();
        let stream = self.stream.as_mut().unwrap();
        while !self.session.outgoing().is_empty() {
            let sent = stream.write(self.session.outgoing()).unwrap();
            self.session.transmitted(sent);
        }
    }

    pub(crate) fn join(&mut self, group: &str) -> Result<Reply, ErrorCode> {
        let (group, message) = (group_id(group), "let me in");
        self.ask(&JoinGroup::new(group).with_message(message))
    }

    pub(crate) fn quit(&mut self, group: &str) -> Result<Reply, ErrorCode> {
        let group = group_id(group);
        self.ask(&QuitGroup::new(group))
    }

    pub(crate) fn dismiss(&mut self, group: &str) -> Result<Reply, ErrorCode> {
        let group = group_id(group);
        self.ask(&DismissGroup::new(group))
    }

    pub(crate) fn profile(&mut self, group: &str) -> Result<Reply, ErrorCode> {
        let group = group_id(group);
        self.ask(&GetGroupProfile::new(group))
    }

    pub(crate) fn invite(&mut self, group: &str, names: &[&str]) -> Result<Reply, ErrorCode> {
        let users: Vec<UserId> = names.iter().map(|name| user(name)).collect();
        self.ask(&InviteMembers::new(group_id(group), List::from_slice(&users)).with_reason("because"))
    }

    pub(crate) fn remove(&mut self, group: &str, names: &[&str]) -> Result<Reply, ErrorCode> {
        let users: Vec<UserId> = names.iter().map(|name| user(name)).collect();
        self.ask(&RemoveMembers::new(group_id(group), List::from_slice(&users)).with_reason("because"))
    }

    pub(crate) fn members(&mut self, group: &str, next: &[u8], count: u16) -> Result<Reply, ErrorCode> {
        self.ask(
            &GroupMembers::new(group_id(group))
                .with_next(next)
                .with_count(count),
        )
    }

    /// Mutes a member for so many seconds.
    pub(crate) fn mute(&mut self, group: &str, name: &str, seconds: u32) -> Result<Reply, ErrorCode> {
        self.ask(&SetMember::new(group_id(group), user(name)).with_mute_seconds(seconds))
    }

    pub(crate) fn set_role(&mut self, group: &str, name: &str, role: Role) -> Result<Reply, ErrorCode> {
        self.ask(&SetMember::new(group_id(group), user(name)).with_role(role))
    }

    /// Waits for a notice of this operation, and takes it and those before it.
    pub(crate) fn until_notice(&mut self, operation: u32) -> Notice {
        self.until(|device| device.notices.iter().any(|notice| notice.operation == operation));
        let at = self
            .notices
            .iter()
            .position(|notice| notice.operation == operation);
        self.notices.drain(..=at.unwrap()).next_back().unwrap()
    }

    /// Waits for a tip of this operation, and takes it and those before it.
    pub(crate) fn until_tip(&mut self, operation: u32) -> Tip {
        self.until(|device| device.tips.iter().any(|tip| tip.operation == operation));
        let at = self.tips.iter().position(|tip| tip.operation == operation);
        self.tips.drain(..=at.unwrap()).next_back().unwrap()
    }
}
