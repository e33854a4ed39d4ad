//! What the operator asks of a hub about users and groups.

use tim_proto::{ErrorCode, GroupId, UserId};
use tim_store::{AllGroups, AllGroupsRequest, GroupStatus, Refused, StoreError, Write, WriteError};

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
    /// Whether the user is [kept out](Hub::block).
    pub is_blocked: bool,
    /// How many devices are logged in now.
    pub devices: usize,
    /// The groups that the user is a member of.
    pub groups: Vec<GroupId>,
    /// How many files the user has.
    pub files: u64,
    /// Their bytes, renditions of pictures included.
    pub file_bytes: u64,
}

/// [`user`](Self::user), [`groups`](Self::groups) and [`group`](Self::group) read the store, and block.
impl Hub {
    /// Makes the UserSigs of a user void that were issued before now, and ends all of the user's sessions. Returns how many there were. The
    /// user can log in again with a new UserSig.
    ///
    /// # Errors
    /// The store's, or [`WriteError::Refused`] if there is no such account.
    pub async fn kick(&self, user: UserId) -> Result<usize, WriteError> {
        let before_s = self.services.now_ms() / 1000;
        let void = Write::VoidUserSigs { user, before_s };
        self.services.writer.write(void).await?;
        Ok(self.end_sessions(&user))
    }

    fn end_sessions(&self, user: &UserId) -> usize {
        let devices = self.services.presence.devices(user);
        for device in &devices {
            device.close(ErrorCode::KICKED_OUT_REST_API);
        }
        devices.len()
    }

    /// Keeps a user out, also one who has no account yet, and ends all of the user's sessions; or lets the user log in again. It holds for as
    /// long as the store is kept. URLs of files that the user has got are good until they expire. Returns how many sessions there were.
    ///
    /// # Errors
    /// The store's, or [`WriteError::Refused`] for a reserved user, or for one who is let in and has no account.
    pub async fn block(&self, user: UserId, is_blocked: bool) -> Result<usize, WriteError> {
        let (writer, block) = (&self.services.writer, Write::Block { user, is_blocked });
        match writer.write(block.clone()).await {
            // One that was deleted stays so, and nobody gets an account by being let in.
            Err(WriteError::Refused(Refused::NoSuchUser(_))) if is_blocked => {
                writer.write(Write::EnsureAccount(user)).await?;
                writer.write(block).await?;
            }
            blocked => drop(blocked?),
        }
        Ok(if is_blocked { self.end_sessions(&user) } else { 0 })
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
            let (groups, usage) = (store.groups_of(user)?, store.file_usage(user)?);
            Ok(Some((account, groups, usage, store.is_blocked(user)?)))
        })?;
        Ok(found.map(|(account, groups, usage, is_blocked)| UserStatus {
            is_blocked,
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
