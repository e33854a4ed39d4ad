//! What a device asks about groups, and what it waits to be told of them.

use tim_proto::request::{GroupMembers, JoinGroup, MemberList, OneGroup, Request};
use tim_proto::wire::List;
use tim_proto::{ErrorCode, UserId};

use super::{Device, Notice, Reply, Tip, group_id, user};

impl Device {
    pub(crate) fn join(&mut self, group: &str) -> Result<Reply, ErrorCode> {
        let (group, message) = (group_id(group), "let me in");
        self.ask(&Request::JoinGroup(JoinGroup { group, message }))
    }

    pub(crate) fn quit(&mut self, group: &str) -> Result<Reply, ErrorCode> {
        let group = group_id(group);
        self.ask(&Request::QuitGroup(OneGroup { group }))
    }

    pub(crate) fn dismiss(&mut self, group: &str) -> Result<Reply, ErrorCode> {
        let group = group_id(group);
        self.ask(&Request::DismissGroup(OneGroup { group }))
    }

    pub(crate) fn profile(&mut self, group: &str) -> Result<Reply, ErrorCode> {
        let group = group_id(group);
        self.ask(&Request::GroupProfile(OneGroup { group }))
    }

    pub(crate) fn invite(&mut self, group: &str, names: &[&str]) -> Result<Reply, ErrorCode> {
        let users: Vec<UserId> = names.iter().map(|name| user(name)).collect();
        self.ask(&Request::InviteMembers(list(group, &users)))
    }

    pub(crate) fn remove(&mut self, group: &str, names: &[&str]) -> Result<Reply, ErrorCode> {
        let users: Vec<UserId> = names.iter().map(|name| user(name)).collect();
        self.ask(&Request::RemoveMembers(list(group, &users)))
    }

    pub(crate) fn members(&mut self, group: &str, next: &[u8], count: u16) -> Result<Reply, ErrorCode> {
        self.ask(&Request::GroupMembers(GroupMembers {
            group: group_id(group),
            next,
            count,
            role: None,
        }))
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

fn list<'a>(group: &str, users: &'a [UserId]) -> MemberList<'a> {
    MemberList {
        group: group_id(group),
        users: List::from_slice(users),
        reason: "because",
    }
}
