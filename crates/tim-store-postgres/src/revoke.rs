//! Revoking: the message keeps its position and is flagged, its content is removed for good, and the revocation is an entry.

use super::db::{self, Connection, Optional as _};
use super::value::params;
use bytes::Bytes;
use tim_groups::rules::{Action, TypeRules};
use tim_proto::message::{Content, RevokedBy, tags};
use tim_proto::planted::{self, Fault};
use tim_proto::wire::{Extension, decode_body, encode_body, encoded_len};
use tim_proto::{GroupType, MessageKind, Role, UserId};
use tim_store::{EntryFlags, LogKey, Refused, Revoke, Stored, Written};

use super::append::{NewEntry, check_size};
use super::batch::{Batch, Stop};
use super::damage::Damage;
use super::rosters::membership;
use super::rows::{Head, counts, entry, entry_at, entry_columns, parsed, sql, unsigned};

/// What is read of the message.
struct Target {
    sender: i64,
    time_ms: u64,
    flags: EntryFlags,
}

/// The revoker's rights in the conversation.
struct Rights {
    /// Only entries after this sequence are visible.
    joined_at: u64,
    /// In a group: its rules and the user's role.
    group: Option<(&'static TypeRules, Role)>,
}

impl Batch<'_> {
    pub(super) fn revoke(&mut self, revoke: &Revoke) -> Result<Written, Stop> {
        let by = self.sender(&revoke.by)?;
        check_size(&revoke.content)?;
        let mut head = self.head(&revoke.log)?;
        let me = match revoke.as_administrator {
            true => self.rights_of_administrator(&head)?,
            false => self.rights(&head, by, &revoke.by)?,
        };
        let target = self.target(&head, revoke.sequence)?;
        // A message that is not visible is reported as missing.
        let visible = target.filter(|_| revoke.sequence > me.joined_at);
        let target = visible.ok_or(Refused::NotFound)?;
        if let Some(before) = self.revoked_before(&head, revoke.sequence, by)? {
            return before
                .map(|entry| Written::Revoked { entry, already: true })
                .map_err(Stop::from);
        }
        self.check_revocable(&head, &target, by, &me, revoke)?;

        let name = shown_name(self.db, &head, by)?;
        let left = RevokedBy::new(revoke.by.as_str())
            .with_reason(&revoke.reason)
            .with_name(&name);
        if !planted::is(Fault::RevokedContentKept) {
            let removed = self.leave(head.id, revoke.sequence, &left)?;
            self.give_back_bytes(target.sender, removed)?;
        }
        self.revoked = entry_at(self.db, &head, revoke.sequence)?.map(Box::new);
        let entry = self.push(
            &mut head,
            NewEntry {
                sender: revoke.by,
                sender_id: by,
                client_time: revoke.id.client_time,
                random: revoke.id.random,
                origin: revoke.origin,
                flags: EntryFlags::NO_UNREAD | EntryFlags::NO_LAST | EntryFlags::SYSTEM,
                kind: MessageKind::REVOCATION,
                content: with_revoker_name(&revoke.content, &name),
            },
        )?;
        self.insert_revoked(&head, revoke.sequence, &target, by, &entry)?;
        self.count_unread_of_both(&head)?;
        Ok(Written::Revoked {
            entry,
            already: false,
        })
    }

    fn rights(&self, head: &Head, user: i64, name: &UserId) -> Result<Rights, Stop> {
        let outsider = || Stop::from(Refused::NotParticipant(*name));
        let everything = Rights {
            joined_at: 0,
            group: None,
        };
        match head.key {
            LogKey::C2c(pair) => pair.peer_of(name).map(|_| everything).ok_or_else(outsider),
            LogKey::System(owner) if owner == *name => Ok(everything),
            LogKey::System(_) => Err(outsider()),
            LogKey::Group(_) => {
                let rules = self.rules(head)?;
                if !rules.is_stored {
                    return Err(Refused::NotStored.into());
                }
                let me = membership(self.db, user, head)?.ok_or_else(outsider)?;
                Ok(Rights {
                    joined_at: me.joined_at,
                    group: Some((rules, me.role)),
                })
            }
        }
    }

    /// Everything but the system's notices.
    fn rights_of_administrator(&self, head: &Head) -> Result<Rights, Stop> {
        let group = match head.key {
            LogKey::C2c(_) => None,
            LogKey::System(_) => return Err(Refused::NotYours.into()),
            LogKey::Group(_) => {
                let rules = self.rules(head)?;
                if !rules.is_stored {
                    return Err(Refused::NotStored.into());
                }
                Some((rules, Role::OWNER))
            }
        };
        Ok(Rights { joined_at: 0, group })
    }

    fn rules(&self, head: &Head) -> Result<&'static TypeRules, Stop> {
        let group_type = self
            .db
            .statement("SELECT group_type FROM groups WHERE log = ?1")?
            .query_row([head.id], |row| row.get(0).map(GroupType))?;
        Ok(TypeRules::of_stored(group_type)?)
    }

    fn check_revocable(
        &self,
        head: &Head,
        target: &Target,
        by: i64,
        me: &Rights,
        revoke: &Revoke,
    ) -> Result<(), Stop> {
        if target.flags.contains(EntryFlags::SYSTEM) {
            return Err(Refused::NotYours.into());
        }
        if revoke.as_administrator {
            return Ok(());
        }
        let window_ms = match me.group {
            _ if target.sender == by => {
                let manages =
                    |(rules, role): (&TypeRules, _)| rules.may(Some(role), Action::RevokeOthers).is_ok();
                match me.group.is_some_and(manages) {
                    true => revoke.window_ms.max(revoke.manager_window_ms),
                    false => revoke.window_ms,
                }
            }
            None => return Err(Refused::NotYours.into()),
            Some((rules, role)) => {
                let sender = membership(self.db, target.sender, head)?;
                rules.may_revoke(role, sender.map(|sender| sender.role))?;
                revoke.manager_window_ms
            }
        };
        let age_ms = self.now_ms.saturating_sub(target.time_ms);
        if age_ms > window_ms {
            return Err(Refused::TooLate { age_ms, window_ms }.into());
        }
        Ok(())
    }

    fn target(&self, head: &Head, sequence: u64) -> db::Result<Option<Target>> {
        let found = self
            .db
            .statement(concat!(
                "SELECT ",
                entry_columns!(),
                " WHERE e.log = ?1 AND e.sequence = ?2"
            ))?
            .query_row(params![head.id, sql(sequence)], |row| {
                let message = entry(row)?;
                Ok(Target {
                    sender: row.get(3)?,
                    time_ms: message.time_ms,
                    flags: message.flags,
                })
            })
            .optional()?;
        match found {
            None if head.keeps(sequence) => Err(Damage::of_entry(head.id, sequence).into()),
            found => Ok(found),
        }
    }

    /// The position of an earlier revocation if it was the same user's, a refusal if it was another's.
    fn revoked_before(
        &self,
        head: &Head,
        sequence: u64,
        by: i64,
    ) -> db::Result<Option<Result<Stored, Refused>>> {
        self.db
            .statement(
                "SELECT r.revoker, r.entry, r.change, r.time_ms, u.name FROM revoked r
                 JOIN users u ON u.id = r.revoker WHERE r.log = ?1 AND r.sequence = ?2",
            )?
            .query_row(params![head.id, sql(sequence)], |row| {
                if row.get::<i64>(0)? != by {
                    return Ok(Err(Refused::AlreadyRevoked(parsed(row, 4)?)));
                }
                let (sequence, change, time_ms) = (unsigned(row, 1)?, unsigned(row, 2)?, unsigned(row, 3)?);
                Ok(Ok(Stored {
                    sequence,
                    change,
                    time_ms,
                }))
            })
            .optional()
    }

    /// Flags the message, replaces its content by what may remain, and removes its mentions. Returns how many bytes were removed.
    fn leave(&mut self, log: i64, sequence: u64, by: &RevokedBy<'_>) -> db::Result<u64> {
        let position = params![log, sql(sequence)];
        let (left, removed): (Vec<u8>, u64) = self
            .db
            .statement("SELECT body FROM entries WHERE log = ?1 AND sequence = ?2")?
            .query_row(position, |row| {
                let content = row.bytes(0)?;
                // Of content that cannot be decoded nothing remains.
                let left = decode_body::<Content<'_>>(content).map(|content| content.revoked(by));
                Ok((left.unwrap_or_default(), content.len() as u64))
            })?;
        self.db
            .statement("UPDATE entries SET flags = flags | ?3, body = ?4 WHERE log = ?1 AND sequence = ?2")?
            .run(params![log, sql(sequence), EntryFlags::REVOKED.to_bits(), left])?;
        self.db
            .statement("DELETE FROM mentions WHERE log = ?1 AND sequence = ?2")?
            .run(position)?;
        self.end_uses_of(log, sequence)?;
        Ok(removed)
    }

    fn insert_revoked(
        &self,
        head: &Head,
        sequence: u64,
        target: &Target,
        by: i64,
        entry: &Stored,
    ) -> db::Result<()> {
        self.db
            .statement(
                "INSERT INTO revoked (log, sequence, sender, counted, revoker, entry, change, time_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .run(params![
                head.id,
                sql(sequence),
                target.sender,
                counts(target.flags),
                by,
                sql(entry.sequence),
                sql(entry.change),
                sql(entry.time_ms),
            ])?;
        Ok(())
    }
}

/// The name card in the group, or else the nick; may be empty.
fn shown_name(db: &Connection, head: &Head, user: i64) -> db::Result<String> {
    if let Some(member) = membership(db, user, head)?
        && !member.name_card.is_empty()
    {
        return Ok(member.name_card);
    }
    db.statement("SELECT nick FROM users WHERE id = ?1")?
        .query_row([user], |row| row.get(0))
}

/// The content of a revocation with the revoker's name appended.
fn with_revoker_name(content: &Bytes, name: &str) -> Bytes {
    if name.is_empty() {
        return content.clone();
    }
    let name = Extension::new(tags::REVOKER_NAME, name.as_bytes());
    let mut bytes = vec![0; encoded_len(&name)];
    // The buffer has exactly this length.
    let _ = encode_body(&name, &mut bytes);
    [content, bytes.as_slice()].concat().into()
}
