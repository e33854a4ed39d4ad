//! Groups: made whole, changed whole.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension as _, params};
use tim_proto::{GroupId, UserId};

use super::super::{ChangeMembers, CreateGroup, LogKey, Prepared, Refused, Written, role};
use super::append::NewEntry;
use super::rows::{Head, Personal, sql};
use super::writer::{Batch, Stop};

/// Notices that are sure to go through.
type Notices = Vec<(LogKey, NewEntry)>;

impl Batch<'_> {
    pub(super) fn create_group(&mut self, new: &CreateGroup) -> Result<Written, Stop> {
        let owner = self.user(&new.owner)?;
        let log = LogKey::Group(new.group);
        if let Some(head) = Head::find(self.db, &log)? {
            return self.created_before(&head, new, owner);
        }
        let mut members = self.roles(&new.members)?;
        members.insert(owner, role::OWNER);
        let tip = new.tip.as_ref().map(|tip| self.prepared(tip)).transpose()?;
        let notices = self.notices(&new.notices)?;

        let mut head = self.insert_log(&log)?;
        self.insert_group(&head, new, owner, members.len() as u64)?;
        for (member, role) in members {
            self.insert_personal(member, &head, Some(role))?;
        }
        self.announce(&mut head, tip, notices)?;
        Ok(Written::Group { created: true })
    }

    fn created_before(&self, head: &Head, new: &CreateGroup, owner: i64) -> Result<Written, Stop> {
        let same = self
            .db
            .prepare_cached("SELECT 1 FROM groups WHERE log = ?1 AND creator = ?2 AND creation_random = ?3")?
            .exists(params![head.id, owner, new.creation_random])?;
        if same {
            Ok(Written::Group { created: false })
        } else {
            Err(Refused::IdInUse(new.group).into())
        }
    }

    fn insert_group(&self, head: &Head, new: &CreateGroup, owner: i64, members: u64) -> rusqlite::Result<()> {
        self.db
            .prepare_cached(
                "INSERT INTO groups (log, group_type, owner, creator, creation_random, name, introduction, notification,
                     avatar, created_ms, member_count)
                 VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![
                head.id,
                new.group_type,
                owner,
                new.creation_random,
                new.name,
                new.introduction,
                new.notification,
                new.avatar,
                sql(self.now_ms),
                sql(members),
            ])?;
        Ok(())
    }

    pub(super) fn change_members(&mut self, change: &ChangeMembers) -> Result<Written, Stop> {
        let mut head = self.group_head(&change.group)?;
        let add = self.roles(&change.add)?;
        let tip = change.tip.as_ref().map(|tip| self.prepared(tip)).transpose()?;
        let notices = self.notices(&change.notices)?;

        for user in &change.remove {
            self.remove_member(&head, user)?;
        }
        for (member, role) in add {
            self.add_member(&head, member, role)?;
        }
        self.announce(&mut head, tip, notices)?;
        Ok(Written::Done)
    }

    fn group_head(&self, group: &GroupId) -> Result<Head, Stop> {
        Head::find(self.db, &LogKey::Group(*group))?.ok_or_else(|| Refused::NoSuchGroup(*group).into())
    }

    fn add_member(&self, head: &Head, member: i64, role: u16) -> rusqlite::Result<()> {
        let is_member = Personal::find(self.db, member, head)?.is_some();
        if is_member {
            self.set_role(head, member, Some(role))?;
            return Ok(());
        }
        self.insert_personal(member, head, Some(role))?;
        self.count_members(head, 1)
    }

    fn remove_member(&self, head: &Head, user: &UserId) -> rusqlite::Result<()> {
        let id: Option<i64> = self
            .db
            .prepare_cached("SELECT id FROM users WHERE name = ?1")?
            .query_row([user.as_str()], |row| row.get(0))
            .optional()?;
        let Some(id) = id else { return Ok(()) };
        if Personal::find(self.db, id, head)?.is_none() {
            return Ok(());
        }
        self.set_role(head, id, None)?;
        self.count_members(head, -1)
    }

    fn set_role(&self, head: &Head, member: i64, role: Option<u16>) -> rusqlite::Result<()> {
        self.db
            .prepare_cached("UPDATE personal SET role = ?3 WHERE user = ?1 AND log = ?2")?
            .execute(params![member, head.id, role])?;
        Ok(())
    }

    fn count_members(&self, head: &Head, by: i64) -> rusqlite::Result<()> {
        self.db
            .prepare_cached("UPDATE groups SET member_count = member_count + ?2 WHERE log = ?1")?
            .execute([head.id, by])?;
        Ok(())
    }

    /// The users' interned ids; of one named twice the last role counts.
    fn roles(&self, users: &[(UserId, u16)]) -> Result<BTreeMap<i64, u16>, Stop> {
        users
            .iter()
            .map(|(user, role)| Ok((self.user(user)?, *role)))
            .collect()
    }

    /// Checks the notices. Writes nothing.
    fn notices(&self, notices: &[(UserId, Prepared)]) -> Result<Notices, Stop> {
        notices
            .iter()
            .map(|(user, notice)| {
                self.user(user)?;
                Ok((LogKey::System(*user), self.prepared(notice)?))
            })
            .collect()
    }

    fn announce(&mut self, head: &mut Head, tip: Option<NewEntry>, notices: Notices) -> Result<(), Stop> {
        if let Some(tip) = tip {
            self.push(head, tip)?;
        }
        for (log, notice) in notices {
            let found = Head::find(self.db, &log)?;
            let mut head = found.map_or_else(|| self.make_log(&log), Ok)?;
            self.push(&mut head, notice)?;
        }
        Ok(())
    }
}
