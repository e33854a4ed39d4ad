//! Who may do what: every cell of the table of permissions, asked of the store.

use std::collections::BTreeMap;

use tim_groups::suite::{self, Host};
use tim_groups::{GroupAction, GroupResponse, NewGroup, Refused};
use tim_proto::{GroupId, UserId};

use super::World;
use crate::{LogKey, Write, Written};

pub fn every_cell_of_the_table(world: &mut World) {
    suite::every_cell_of_the_table(world);
}

impl Host for World {
    fn user(&mut self, name: &str) -> UserId {
        Self::user(self, name)
    }

    fn create(&mut self, new: NewGroup) -> Result<(), Refused> {
        let new = tim_groups::create(new, &self.policy, self.now_ms, &BTreeMap::new())?;
        self.write(Write::CreateGroup(Box::new(new))).map(|_| ())
    }

    fn change(
        &mut self,
        group: GroupId,
        actor: UserId,
        action: GroupAction,
    ) -> Result<GroupResponse, Refused> {
        Self::change(self, group, actor, action)
    }

    fn send(&mut self, group: GroupId, sender: UserId, mention_all: bool) -> Result<(), Refused> {
        let mut append = self.message(LogKey::Group(group), sender, "x");
        append.mention_all = mention_all;
        self.write(Write::Append(append)).map(|_| ())
    }

    fn revoke(&mut self, group: GroupId, sender: UserId, by: UserId) -> Result<(), Refused> {
        let log = LogKey::Group(group);
        let mut append = self.message(log, sender, "x");
        append.require_membership = false;
        let sequence = match self.write(Write::Append(append)) {
            Ok(Written::Stored(at)) => at.sequence,
            _ => 1, // an AVChatRoom stores no messages
        };
        let before = self.state(group);
        let revoke = super::revoke::by(self, log, sequence, by);
        let result = self.write(Write::Revoke(revoke)).map(|_| ());
        assert!(
            result.is_ok() || self.state(group) == before,
            "a refusal changes nothing"
        );
        result
    }

    fn state(&self, group: GroupId) -> String {
        let reader = self.reader();
        let state = (
            reader.head_change().unwrap(),
            reader.group(&group).unwrap(),
            self.members(&group),
        );
        format!("{state:?}")
    }
}
