//! What administrators of the application ask of groups: fields, all groups, imported messages, unread counts that are set.

use super::db::{self, Connection, Optional as _};
use super::value::params;
use tim_groups::rules::TypeRules;
use tim_groups::{Field, FieldScope};
use tim_proto::{GroupId, GroupType, UserId};
use tim_store::{
    AllGroups, AllGroupsRequest, Append, EntryFlags, GroupStatus, ImportMessages, ImportedMessage, LogKey,
    MAX_IMPORT, MAX_SET_UNREAD, Quota, Refused, Stored, Written,
};

use super::batch::{Batch, Stop};
use super::rosters::{GROUP_COLUMNS, group, group_columns, group_from_row};
use super::rows::{Head, Personal, parsed, rows, sql, unsigned, user_id};

const fn kind(of: &FieldScope) -> i64 {
    match of {
        FieldScope::Group => 1,
        FieldScope::Member(_) => 2,
        FieldScope::Attributes => 3,
    }
}

/// The fields of a group, of a member, or its attributes, in the order of their names.
pub(super) fn fields(db: &Connection, log: i64, of: &FieldScope) -> db::Result<Vec<Field>> {
    let user = match of {
        FieldScope::Member(user) => user_id(db, user)?,
        FieldScope::Group | FieldScope::Attributes => Some(0),
    };
    let statement = db.statement(
        "SELECT name, value FROM fields WHERE log = ?1 AND kind = ?2 AND account = ?3 ORDER BY name",
    )?;
    let rows = statement.query_map(params![log, kind(of), user], |row| {
        Ok(Field {
            name: row.get(0)?,
            value: row.get(1)?,
        })
    })?;
    rows.collect()
}

pub(super) fn all_groups(db: &Connection, request: &AllGroupsRequest) -> db::Result<AllGroups> {
    let wanted = request.group_type.map(|group_type| group_type.0);
    let total = match wanted {
        Some(_) => "SELECT count(*) FROM groups WHERE dismissed_ms IS NULL AND group_type = ?1",
        None => "SELECT count(*) FROM groups WHERE dismissed_ms IS NULL AND ?1::bigint IS NULL",
    };
    let total = db.statement(total)?.query_row([wanted], |row| unsigned(row, 0))?;
    let page = match wanted {
        Some(_) => {
            "SELECT g.log, l.name FROM groups g JOIN logs l ON l.id = g.log
             WHERE g.dismissed_ms IS NULL AND g.group_type = ?1 AND g.log > ?2 ORDER BY g.log LIMIT ?3"
        }
        None => {
            "SELECT g.log, l.name FROM groups g JOIN logs l ON l.id = g.log
             WHERE g.dismissed_ms IS NULL AND ?1::bigint IS NULL AND g.log > ?2 ORDER BY g.log LIMIT ?3"
        }
    };
    let limit = request.limit.max(1);
    // One more than requested: there is another page.
    let bounds = params![
        wanted,
        sql(request.after.min(i64::MAX.cast_unsigned())),
        rows(limit.saturating_add(1))
    ];
    let statement = db.statement(page)?;
    let rows = statement.query_map(bounds, |row| Ok((unsigned(row, 0)?, parsed::<GroupId>(row, 1)?)))?;
    let mut found = rows.collect::<db::Result<Vec<_>>>()?;
    let is_last = found.len() <= limit;
    found.truncate(limit);
    Ok(AllGroups {
        next: found.last().map(|(log, _)| *log).filter(|_| !is_last),
        groups: found.into_iter().map(|(_, group)| group).collect(),
        total,
    })
}

pub(super) fn group_status(db: &Connection, head: &Head) -> db::Result<Option<GroupStatus>> {
    let found = db
        .statement(concat!(
            "SELECT ",
            group_columns!(),
            ", g.profile_changes, g.profile_ms FROM groups g JOIN logs l ON l.id = g.log
              JOIN users u ON u.id = g.owner WHERE g.log = ?1"
        ))?
        .query_row([head.id], |row| {
            Ok((
                group_from_row(row)?,
                unsigned(row, GROUP_COLUMNS)?,
                unsigned(row, GROUP_COLUMNS + 1)?,
            ))
        })
        .optional()?;
    let Some((group, profile_changes, profile_ms)) = found else {
        return Ok(None);
    };
    Ok(Some(GroupStatus {
        head_sequence: head.sequence,
        first_kept: head.first_kept,
        last_ms: newest_ms(db, head)?,
        profile_changes,
        profile_ms: if profile_ms == 0 {
            group.created_ms
        } else {
            profile_ms
        },
        group,
    }))
}

/// When the newest entry of a log was stored; 0 if the log has none.
fn newest_ms(db: &Connection, head: &Head) -> db::Result<u64> {
    let found = db
        .statement("SELECT time_ms FROM entries WHERE log = ?1 AND sequence = ?2")?
        .query_row(params![head.id, sql(head.sequence)], |row| unsigned(row, 0))
        .optional()?;
    Ok(found.unwrap_or(0))
}

pub(super) fn muted_users(
    db: &Connection,
    log: i64,
    now_ms: u64,
    limit: usize,
) -> db::Result<Vec<(UserId, u64)>> {
    let statement = db.statement(
        "SELECT u.name, r.muted_until_ms FROM restrictions r JOIN users u ON u.id = r.account
         WHERE r.log = ?1 AND r.muted_until_ms > ?2 ORDER BY r.account LIMIT ?3",
    )?;
    let rows = statement.query_map(params![log, sql(now_ms), rows(limit)], |row| {
        Ok((parsed(row, 0)?, unsigned(row, 1)?))
    })?;
    rows.collect()
}

impl Batch<'_> {
    /// `user` is the member whose fields they are.
    pub(super) fn set_fields(
        &self,
        head: &Head,
        user: i64,
        of: &FieldScope,
        fields: &[Field],
    ) -> db::Result<()> {
        self.db
            .statement("DELETE FROM fields WHERE log = ?1 AND kind = ?2 AND account = ?3")?
            .run([head.id, kind(of), user])?;
        for Field { name, value } in fields {
            self.db
                .statement(
                    "INSERT INTO fields VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT (log, kind, account, name) DO UPDATE SET value = excluded.value",
                )?
                .run(params![head.id, kind(of), user, name, value])?;
        }
        Ok(())
    }

    pub(super) fn remove_fields_of(&self, head: &Head, member: i64) -> db::Result<()> {
        self.db
            .statement("DELETE FROM fields WHERE log = ?1 AND kind = 2 AND account = ?2")?
            .run([head.id, member])?;
        Ok(())
    }

    pub(super) fn import_messages(&mut self, import: &ImportMessages) -> Result<Written, Stop> {
        let log = LogKey::Group(import.group);
        let head = self.head(&log)?;
        let Some(group) = group(self.db, head.id)? else {
            return Err(Refused::NoSuchGroup(import.group).into());
        };
        if !TypeRules::of_stored(group.group_type)?.is_stored {
            return Err(Refused::NotAllowed("messages to an AVChatRoom are not stored").into());
        }
        let mut results = Vec::with_capacity(import.messages.len());
        for (number, message) in import.messages.iter().enumerate() {
            let imported = match number < MAX_IMPORT {
                true => self.import_message(&log, group.created_ms, message),
                false => Err(Refused::BadValue("more messages than can be imported at once").into()),
            };
            results.push(match imported {
                Ok(stored) => Ok(stored),
                Err(Stop::Refused(refused)) => Err(refused),
                Err(error @ Stop::Engine(_)) => return Err(error),
            });
        }
        if results.iter().any(Result::is_ok) {
            self.read_by_all(&self.head(&log)?)?;
        }
        Ok(Written::Imported(results))
    }

    fn import_message(
        &mut self,
        log: &LogKey,
        created_ms: u64,
        message: &ImportedMessage,
    ) -> Result<Stored, Stop> {
        let newest_ms = newest_ms(self.db, &self.head(log)?)?.max(created_ms);
        let now_ms = self.now_ms;
        // To the second.
        if message.time_ms < newest_ms - newest_ms % 1000 || message.time_ms > now_ms {
            let text = "the time of the message is not between that of the newest one and now";
            return Err(Refused::BadValue(text).into());
        }
        self.now_ms = message.time_ms.max(newest_ms).min(now_ms.max(newest_ms));
        let written = self.append(&Append {
            log: *log,
            sender: message.sender,
            id: message.id,
            fingerprint: message.fingerprint,
            origin: 0,
            kind: message.kind,
            flags: message.flags,
            content: message.content.clone(),
            require_membership: false,
            mentions: Vec::new(),
            mention_all: false,
            quota: Quota::NONE,
            files: Vec::new(),
        });
        self.now_ms = now_ms;
        match written? {
            Written::Stored(stored) | Written::Duplicate(stored) | Written::DuplicateOfRevoked(stored, _) => {
                Ok(stored)
            }
            _ => Err(Refused::NotFound.into()),
        }
    }

    /// All members have read everything.
    fn read_by_all(&self, head: &Head) -> db::Result<()> {
        self.db
            .statement(
                "UPDATE personal SET read_sequence = ?2, read_countable = ?3, own_at_read = own_total
                 WHERE log = ?1 AND role IS NOT NULL",
            )?
            .run([head.id, sql(head.sequence), sql(head.countable)])?;
        self.db
            .statement("DELETE FROM mentions WHERE log = ?1")?
            .run([head.id])?;
        Ok(())
    }

    pub(super) fn set_group_unread(
        &self,
        user: &UserId,
        group: &GroupId,
        unread: u64,
    ) -> Result<Written, Stop> {
        let user_id = self.user(user)?;
        let head = self.head(&LogKey::Group(*group))?;
        let outsider = || Refused::NotMember(*user);
        let mut row = Personal::find(self.db, user_id, &head)?.ok_or_else(outsider)?;
        let group_type: u8 = self
            .db
            .statement("SELECT group_type FROM groups WHERE log = ?1")?
            .query_row([head.id], |row| row.get(0))?;
        // Where nothing counts, nothing is moved.
        if TypeRules::of_stored(GroupType(group_type))?.counts_unread {
            row.read_sequence = self.mark_before(&head, &row, unread.min(MAX_SET_UNREAD))?;
            row.read_countable = self.countable_at(&head, row.read_sequence)?;
            let own_behind = self.count_own(&head, user_id, row.read_sequence, head.sequence)?;
            row.own_at_read = row.own_total.saturating_sub(own_behind);
            self.db
                .statement(
                    "UPDATE personal SET read_sequence = ?3, read_countable = ?4, own_at_read = ?5
                     WHERE account = ?1 AND log = ?2",
                )?
                .run(params![
                    user_id,
                    head.id,
                    sql(row.read_sequence),
                    sql(row.read_countable),
                    sql(row.own_at_read)
                ])?;
            self.forget_mentions(user_id, &head, row.read_sequence)?;
        }
        self.read_state(&head, &row)
    }

    /// The read mark behind which so many messages are unread, or as many as there are.
    fn mark_before(&self, head: &Head, row: &Personal, unread: u64) -> db::Result<u64> {
        let Some(skipped) = unread.checked_sub(1) else {
            return Ok(head.sequence);
        };
        let ignored = (EntryFlags::NO_UNREAD | EntryFlags::REVOKED).to_bits();
        let first = row.joined_at.max(head.first_kept.saturating_sub(1));
        let found = self
            .db
            .statement(
                "SELECT sequence FROM entries WHERE log = ?1 AND sequence > ?2 AND sender <> ?3 AND flags & ?4 = 0
                 ORDER BY sequence DESC LIMIT 1 OFFSET ?5",
            )?
            .query_row(
                params![head.id, sql(first), row.user, ignored, sql(skipped)],
                |row| unsigned(row, 0),
            )
            .optional()?;
        Ok(found.map_or(first, |sequence| sequence.saturating_sub(1)))
    }
}
