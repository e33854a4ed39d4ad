//! What the operator asks of a hub about users and groups.

use tim_proto::{ErrorCode, GroupId, UserId};
use tim_store::{AllGroups, AllGroupsRequest, GroupStatus, StoreError};

use super::Hub;
use crate::threads::blocking;

/// What is known of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserStatus {
    /// The account's number (`tinyID`).
    pub number: u64,
    /// The nick; may be empty.
    pub nick: String,
    /// How many devices are logged in now.
    pub devices: usize,
    /// The groups that the user is a member of.
    pub groups: Vec<GroupId>,
    /// How many files the user has.
    pub files: u64,
    /// Their bytes, renditions of pictures included.
    pub file_bytes: u64,
}

/// All but [`kick`](Self::kick) read the store, and block.
impl Hub {
    /// Ends all sessions of a user, as an administrator does. Returns how many there were. The user can log in again.
    pub fn kick(&self, user: &UserId) -> usize {
        let devices = self.services.presence.devices(user);
        for device in &devices {
            device.close(ErrorCode::KICKED_OUT_REST_API);
        }
        devices.len()
    }

    /// What is known of a user; `None` if there is no account.
    ///
    /// # Errors
    /// The store's.
    pub fn user(&self, user: &UserId) -> Result<Option<UserStatus>, StoreError> {
        let found = blocking(|| {
            let store = self.services.reads.store();
            let Some(account) = store.account(user)? else {
                return Ok(None);
            };
            Ok(Some((account, store.groups_of(user)?, store.file_usage(user)?)))
        })?;
        Ok(found.map(|(account, groups, usage)| UserStatus {
            number: account.number,
            nick: account.nick,
            devices: self.services.presence.devices(user).len(),
            groups: groups.into_iter().map(|group| group.group).collect(),
            files: usage.files,
            file_bytes: usage.bytes,
        }))
    }

    /// A page of all groups, at most `limit` of them, behind where the one before it ended; 0 for the first one.
    ///
    /// # Errors
    /// The store's.
    pub fn groups(&self, after: u64, limit: usize) -> Result<AllGroups, StoreError> {
        let request = AllGroupsRequest {
            group_type: None,
            after,
            limit: limit.max(1),
        };
        blocking(|| self.services.reads.store().all_groups(&request))
    }

    /// A group, and what has happened in it; `None` if there is none.
    ///
    /// # Errors
    /// The store's.
    pub fn group(&self, group: &GroupId) -> Result<Option<GroupStatus>, StoreError> {
        blocking(|| self.services.reads.store().group_status(group))
    }
}
