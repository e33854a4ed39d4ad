//! Creating and changing groups.

use std::collections::BTreeMap;

use super::db::{self, Optional as _};
use super::value::{ToValue, params};
use tim_groups::rules::{Sender, TypeRules};
use tim_groups::{FieldScope, GroupCommand, GroupUpdate, NewGroup, NewRequest, RowChange, Verdict, decide};
use tim_proto::planted::{self, Fault};
use tim_proto::{GroupType, Role, UserId};
use tim_store::{
    Append, CreateGroup, EntryFlags, Fingerprint, GroupChanged, LogKey, Published, Refused, Restriction,
    RosterChange, SystemEntry, Written,
};

use super::append::{Destination, NewEntry};
use super::batch::{Batch, Stop};
use super::group_view::{View, groups_of, request_kind};
use super::rosters::{membership, restriction};
use super::rows::{Head, KIND_DISMISSED, sql, unsigned, user_id};

/// The owner, if the group has one.
fn owner_of(new: &NewGroup) -> Option<UserId> {
    new.has_owner().then_some(new.owner)
}

fn role_in(new: &NewGroup, member: &UserId) -> Role {
    match new.admins.contains(member) {
        true => Role::ADMIN,
        false => Role::MEMBER,
    }
}

/// Checked notices with their logs.
type Notices = Vec<(LogKey, NewEntry)>;

impl Batch<'_> {
    pub(super) fn create_group(&mut self, create: &CreateGroup) -> Result<Written, Stop> {
        let new = &create.group;
        let owner = match new.has_owner() {
            true => self.user(&new.owner)?,
            false => self.sender(&UserId::SYSTEM)?,
        };
        let log = LogKey::Group(new.group);
        if let Some(head) = Head::find(self.db, &log)? {
            return self.created_before(&head, new, owner);
        }
        if super::group_view::ended_by(self.db, &new.group)?.is_some() {
            return Err(Refused::IdInUse(new.group).into());
        }
        let members = new
            .members
            .iter()
            .map(|user| Ok((self.user(user)?, role_in(new, user))));
        let mut members = members.collect::<Result<BTreeMap<_, _>, Stop>>()?;
        if new.has_owner() {
            members.insert(owner, Role::OWNER);
        }
        self.check_group_counts(create)?;
        let tip = create
            .tip
            .as_ref()
            .map(|tip| self.system_entry(tip))
            .transpose()?;
        let notices = self.notices(&create.notices)?;
        let mut roster = RosterChange::of(new.group);
        roster.joined.extend(owner_of(new));
        roster.joined.extend(&new.members);

        let mut head = self.insert_log(&log, 0)?;
        self.insert_group(&head, new, owner, members.len() as u64)?;
        self.set_fields(&head, 0, &FieldScope::Group, &new.fields)?;
        for (member, role) in members {
            self.insert_personal(member, &head, Some(role))?;
        }
        self.set_roster_change(roster);
        self.announce(&mut head, tip, notices)?;
        Ok(Written::Group { created: true })
    }

    /// Checks that nobody will be in more groups than allowed.
    fn check_group_counts(&self, create: &CreateGroup) -> Result<(), Stop> {
        let (new, max) = (&create.group, create.max_groups);
        for user in owner_of(new).iter().chain(&new.members) {
            if groups_of(self.db, self.user(user)?, max)? >= max {
                return Err(Refused::TooManyGroups { user: *user, max }.into());
            }
        }
        Ok(())
    }

    fn created_before(&self, head: &Head, new: &NewGroup, owner: i64) -> Result<Written, Stop> {
        let found = self
            .db
            .statement(
                "SELECT fingerprint FROM groups WHERE log = ?1 AND creator = ?2 AND creation_random = ?3",
            )?
            .query_row(params![head.id, owner, new.random], |row| unsigned(row, 0))
            .optional()?;
        match found {
            None => Err(Refused::IdInUse(new.group).into()),
            Some(kept) if kept == Fingerprint::of_group(new).to_bits() => {
                Ok(Written::Group { created: false })
            }
            Some(_) => Err(Refused::IdReused.into()),
        }
    }

    fn insert_group(&self, head: &Head, new: &NewGroup, owner: i64, members: u64) -> db::Result<()> {
        self.db
            .statement(
                "INSERT INTO groups (log, group_type, owner, creator, creation_random, name, introduction, notification,
                     avatar, created_ms, member_count, join_option, invite_option, fingerprint, max_members)
                 VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            )?
            .run(params![
                head.id,
                new.group_type.0,
                owner,
                new.random,
                new.name,
                new.introduction,
                new.notification,
                new.avatar,
                sql(self.now_ms),
                sql(members),
                new.join_option.0,
                new.invite_option.0,
                sql(Fingerprint::of_group(new).to_bits()),
                new.max_members,
            ])?;
        Ok(())
    }

    pub(super) fn change_group(&mut self, command: &GroupCommand) -> Result<Written, Stop> {
        let view = View::new(self.db, command.group)?;
        let effects = decide(&view, command, self.now_ms)?;
        let tips = effects
            .tips
            .iter()
            .map(|tip| self.system_entry(tip))
            .collect::<Result<Vec<_>, _>>()?;
        let notices = self.notices(&effects.notices)?;
        let rows = self.interned(&effects.rows)?;

        if let Some(mut head) = view.head {
            let mut roster = RosterChange::of(command.group);
            roster.sequence = head.sequence;
            for (user, change) in rows {
                self.change_row(&head, user, change, &mut roster)?;
            }
            self.set_roster_change(roster);
            self.announce(&mut head, tips, notices)?;
        }
        Ok(Written::GroupChanged(GroupChanged {
            response: effects.response,
            live: effects.live,
            delta: effects.delta,
        }))
    }

    /// The changes with the interned ids of the users whom they concern.
    fn interned<'c>(&self, changes: &'c [RowChange]) -> Result<Vec<(i64, &'c RowChange)>, Stop> {
        let whose = |change: &RowChange| match change {
            RowChange::Add(user)
            | RowChange::Remove(user)
            | RowChange::Role(user, _)
            | RowChange::MutedUntil(user, _)
            | RowChange::NameCard(user, _)
            | RowChange::ReceiveOption(user, _)
            | RowChange::Owner(user)
            | RowChange::Restrict(user, _)
            | RowChange::Decide(_, Verdict { by: user, .. })
            | RowChange::Ask(NewRequest { user, .. })
            | RowChange::Dismiss { by: user } => self.sender(user),
            RowChange::AddAs(new) => self.sender(&new.user),
            RowChange::Fields(FieldScope::Member(user), _) => self.sender(user),
            RowChange::Profile(_) | RowChange::Fields(..) => Ok(0),
        };
        changes
            .iter()
            .map(|change| Ok((whose(change)?, change)))
            .collect()
    }

    /// `user` is the user whom the change concerns.
    fn change_row(
        &self,
        head: &Head,
        user: i64,
        change: &RowChange,
        roster: &mut RosterChange,
    ) -> db::Result<()> {
        match change {
            RowChange::Add(name) => {
                roster.joined.push(*name);
                self.add_member(head, user, Role::MEMBER, self.now_ms)
            }
            RowChange::AddAs(new) => {
                roster.joined.push(new.user);
                self.add_member(head, user, new.role, new.joined_ms.unwrap_or(self.now_ms))
            }
            RowChange::Fields(scope, fields) => self.set_fields(head, user, scope, fields),
            RowChange::Remove(name) => {
                roster.left.push(*name);
                self.remove_member(head, user)
            }
            RowChange::Role(_, role) => self.set_personal(head, user, "role", &role.0),
            RowChange::MutedUntil(name, until_ms) => {
                let restriction = Restriction {
                    muted_until_ms: *until_ms,
                    ..restriction(self.db, head.id, name)?
                };
                self.restrict(head, user, &restriction)
            }
            RowChange::NameCard(_, card) => self.set_personal(head, user, "name_card", card),
            RowChange::ReceiveOption(_, option) => self.set_personal(head, user, "receive_option", &option.0),
            RowChange::Owner(_) => self.set_owner(head, user),
            RowChange::Profile(update) => self.set_profile(head, update),
            RowChange::Ask(request) => self.ask(head, user, request),
            RowChange::Decide(number, verdict) => self.decide_request(head, user, *number, verdict.accepted),
            RowChange::Restrict(_, restriction) => self.restrict(head, user, restriction),
            RowChange::Dismiss { .. } => {
                roster.dismissed = true;
                self.end_group(head, user)
            }
        }
    }

    fn set_roster_change(&mut self, roster: RosterChange) {
        if roster.dismissed || !roster.joined.is_empty() || !roster.left.is_empty() {
            self.roster = Some(Box::new(roster));
        }
    }

    fn add_member(&self, head: &Head, member: i64, role: Role, joined_ms: u64) -> db::Result<()> {
        self.insert_personal_since(member, head, Some(role), joined_ms)?;
        // An open request of a member must not be accepted after the member has left again.
        self.db
            .statement(
                "UPDATE requests SET decided_by = ?2, accepted = TRUE WHERE log = ?1 AND account = ?2 AND accepted IS NULL",
            )?
            .run([head.id, member])?;
        self.count_members(head, 1)
    }

    fn remove_member(&self, head: &Head, member: i64) -> db::Result<()> {
        self.db
            .statement("DELETE FROM personal WHERE account = ?1 AND log = ?2")?
            .run([member, head.id])?;
        if planted::is(Fault::MuteInMembership) {
            self.db
                .statement("DELETE FROM restrictions WHERE account = ?1 AND log = ?2")?
                .run([member, head.id])?;
        }
        self.remove_fields_of(head, member)?;
        self.forget_mentions(member, head, head.sequence)?;
        self.count_members(head, -1)
    }

    /// `column` is a constant of this module, never input.
    fn set_personal(
        &self,
        head: &Head,
        member: i64,
        column: &'static str,
        value: &dyn ToValue,
    ) -> db::Result<()> {
        self.db
            .statement(&format!(
                "UPDATE personal SET {column} = ?3 WHERE account = ?1 AND log = ?2"
            ))?
            .run(params![member, head.id, value])?;
        Ok(())
    }

    fn count_members(&self, head: &Head, by: i64) -> db::Result<()> {
        self.db
            .statement("UPDATE groups SET member_count = member_count + ?2 WHERE log = ?1")?
            .run([head.id, by])?;
        Ok(())
    }

    fn set_owner(&self, head: &Head, owner: i64) -> db::Result<()> {
        self.db
            .statement(
                "UPDATE groups SET former_owner = owner, owner = ?2, profile_changes = profile_changes + 1, profile_ms = ?3
                 WHERE log = ?1",
            )?
            .run([head.id, owner, sql(self.now_ms)])?;
        Ok(())
    }

    fn set_profile(&self, head: &Head, new: &GroupUpdate) -> db::Result<()> {
        self.db
            .statement(
                "UPDATE groups SET name = coalesce(?2, name), introduction = coalesce(?3, introduction),
                     notification = coalesce(?4, notification), avatar = coalesce(?5, avatar),
                     join_option = coalesce(?6, join_option), invite_option = coalesce(?7, invite_option),
                     mute_all = coalesce(?8, mute_all), max_members = coalesce(?9, max_members),
                     profile_changes = profile_changes + 1, profile_ms = ?10 WHERE log = ?1",
            )?
            .run(params![
                head.id,
                new.name,
                new.introduction,
                new.notification,
                new.avatar,
                new.join_option.map(|option| option.0),
                new.invite_option.map(|option| option.0),
                new.mute_all,
                new.max_members,
                sql(self.now_ms),
            ])?;
        Ok(())
    }

    fn ask(&self, head: &Head, user: i64, new: &NewRequest) -> db::Result<()> {
        let inviter = match new.inviter {
            Some(inviter) => user_id(self.db, &inviter)?,
            None => None,
        };
        for user in inviter.into_iter().chain([user]) {
            self.keep_account(user)?;
        }
        self.db
            .statement(
                "INSERT INTO requests (log, account, kind, number, inviter, time_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (log, account, kind) DO UPDATE SET number = excluded.number, inviter = excluded.inviter,
                     decided_by = NULL, accepted = NULL, time_ms = excluded.time_ms",
            )?
            .run(params![
                head.id,
                user,
                request_kind(new.kind),
                sql(new.key),
                inviter,
                sql(self.now_ms)
            ])?;
        self.db
            .statement("UPDATE meta SET request = greatest(request, ?1)")?
            .run([sql(new.key)])?;
        Ok(())
    }

    fn decide_request(&self, head: &Head, by: i64, number: u64, accepted: bool) -> db::Result<()> {
        self.db
            .statement("UPDATE requests SET decided_by = ?3, accepted = ?4 WHERE number = ?2 AND log = ?1")?
            .run(params![head.id, sql(number), by, accepted])?;
        Ok(())
    }

    fn restrict(&self, head: &Head, user: i64, restriction: &Restriction) -> db::Result<()> {
        self.keep_account(user)?;
        if restriction.banned_until_ms.max(restriction.muted_until_ms) <= self.now_ms {
            self.db
                .statement("DELETE FROM restrictions WHERE log = ?1 AND account = ?2")?
                .run([head.id, user])?;
            return Ok(());
        }
        self.db
            .statement(
                "INSERT INTO restrictions VALUES (?1, ?2, ?3, ?4) ON CONFLICT (log, account) DO UPDATE SET
                     banned_until_ms = excluded.banned_until_ms, muted_until_ms = excluded.muted_until_ms",
            )?
            .run(params![
                head.id,
                user,
                sql(restriction.banned_until_ms),
                sql(restriction.muted_until_ms)
            ])?;
        Ok(())
    }

    /// The id stays taken. The log, which can no longer be found by the id, stays until its entries are purged, and their mentions
    /// with them.
    fn end_group(&self, head: &Head, by: i64) -> db::Result<()> {
        for table in [
            "DELETE FROM personal WHERE log = ?1 AND role IS NOT NULL",
            "DELETE FROM requests WHERE log = ?1",
            "DELETE FROM restrictions WHERE log = ?1",
            "DELETE FROM fields WHERE log = ?1",
        ] {
            self.db.statement(table)?.run([head.id])?;
        }
        self.end_uses(head.id, 0, head.sequence)?;
        self.db
            .statement("UPDATE logs SET kind = ?2 WHERE id = ?1")?
            .run([head.id, KIND_DISMISSED])?;
        self.db
            .statement(
                "UPDATE groups SET dismissed_ms = ?2, dismissed_by = ?3, member_count = 0,
                     name = '', introduction = '', notification = '', avatar = '' WHERE log = ?1",
            )?
            .run([head.id, sql(self.now_ms), by])?;
        Ok(())
    }

    /// Checks whether a member may write in a group.
    pub(super) fn group_destination(&self, append: &Append, sender: i64) -> Result<Destination, Stop> {
        let head = self.head(&append.log)?;
        let (group_type, mute_all): (_, bool) = self
            .db
            .statement("SELECT group_type, mute_all FROM groups WHERE log = ?1")?
            .query_row([head.id], |row| Ok((row.get(0).map(GroupType)?, row.get(1)?)))?;
        let rules = TypeRules::of_stored(group_type)?;
        if !rules.is_stored {
            return Err(Refused::NotAllowed("messages to an AVChatRoom are not stored").into());
        }
        if append.require_membership {
            let outsider = || Refused::NotParticipant(append.sender);
            let me = membership(self.db, sender, &head)?.ok_or_else(outsider)?;
            let sender = Sender {
                role: me.role,
                muted_until_ms: me.muted_until_ms,
                mute_all,
            };
            rules.may_send(&sender, append.mention_all, self.now_ms)?;
        }
        let flags = if rules.counts_unread {
            EntryFlags::NONE
        } else {
            EntryFlags::NO_UNREAD
        };
        Ok(Destination {
            head: Some(head),
            flags,
        })
    }

    /// Checks the notices. Writes nothing.
    fn notices(&self, notices: &[(UserId, SystemEntry)]) -> Result<Notices, Stop> {
        notices
            .iter()
            .map(|(user, notice)| {
                self.user(user)?;
                Ok((LogKey::System(*user), self.system_entry(notice)?))
            })
            .collect()
    }

    fn announce(
        &mut self,
        head: &mut Head,
        tips: impl IntoIterator<Item = NewEntry>,
        notices: Notices,
    ) -> Result<(), Stop> {
        for tip in tips {
            self.push(head, tip)?;
        }
        for (log, notice) in notices {
            let found = Head::find(self.db, &log)?;
            let mut head = found.map_or_else(|| self.make_log(&log, 0), Ok)?;
            self.push(&mut head, notice)?;
        }
        // Of a silent change nobody is told, but it takes its place between the entries.
        if let Some(roster) = self.roster.take()
            && !(roster.joined.is_empty() && roster.left.is_empty())
        {
            self.published.push(Published {
                log: head.key,
                entry: None,
                roster: Some(roster),
                revoked: None,
            });
        }
        Ok(())
    }
}
