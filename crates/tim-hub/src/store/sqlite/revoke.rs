//! Revoking: the message keeps its place and is marked; the revocation is an entry of its own.

use rusqlite::{OptionalExtension as _, params};

use super::super::types::flags;
use super::super::{REVOCATION, Refused, Revoke, Stored, Written};
use super::append::{NewEntry, check_size};
use super::rows::{Head, counts, parsed, sql, unsigned};
use super::writer::{Batch, Stop};

/// What has to be known of the message.
struct Target {
    sender: i64,
    time_ms: u64,
    flags: u32,
}

impl Batch<'_> {
    pub(super) fn revoke(&mut self, revoke: &Revoke) -> Result<Written, Stop> {
        let by = self.sender(&revoke.by)?;
        check_size(&revoke.content)?;
        let mut head = self.head(&revoke.log)?;
        let target = self.target(&head, revoke.sequence)?.ok_or(Refused::NotFound)?;
        if let Some(before) = self.revoked_before(&head, revoke.sequence, by)? {
            return before
                .map(|entry| Written::Revoked { entry, already: true })
                .map_err(Stop::from);
        }
        self.check_revocable(&target, by, revoke)?;

        self.db
            .prepare_cached("UPDATE entries SET flags = flags | ?3 WHERE log = ?1 AND sequence = ?2")?
            .execute(params![head.id, sql(revoke.sequence), flags::REVOKED])?;
        let entry = self.push(
            &mut head,
            NewEntry {
                sender: revoke.by,
                sender_id: by,
                client_time: revoke.id.client_time,
                random: revoke.id.random,
                origin: revoke.origin,
                flags: flags::NO_UNREAD | flags::NO_LAST | flags::SYSTEM,
                kind: REVOCATION,
                content: revoke.content.clone(),
            },
        )?;
        self.insert_revoked(&head, revoke.sequence, &target, by, &entry)?;
        Ok(Written::Revoked {
            entry,
            already: false,
        })
    }

    fn check_revocable(&self, target: &Target, by: i64, revoke: &Revoke) -> Result<(), Refused> {
        let own = target.sender == by || revoke.as_admin;
        if !own || target.flags & flags::SYSTEM != 0 {
            return Err(Refused::NotYours);
        }
        let age_ms = self.now_ms.saturating_sub(target.time_ms);
        if age_ms > revoke.window_ms {
            return Err(Refused::TooLate {
                age_ms,
                window_ms: revoke.window_ms,
            });
        }
        Ok(())
    }

    fn target(&self, head: &Head, sequence: u64) -> rusqlite::Result<Option<Target>> {
        self.db
            .prepare_cached("SELECT sender, time_ms, flags FROM entries WHERE log = ?1 AND sequence = ?2")?
            .query_row(params![head.id, sql(sequence)], |row| {
                Ok(Target {
                    sender: row.get(0)?,
                    time_ms: unsigned(row, 1)?,
                    flags: row.get(2)?,
                })
            })
            .optional()
    }

    /// The first revocation's place if it was the same user's, a refusal if another's.
    fn revoked_before(
        &self,
        head: &Head,
        sequence: u64,
        by: i64,
    ) -> rusqlite::Result<Option<Result<Stored, Refused>>> {
        self.db
            .prepare_cached(
                "SELECT r.revoker, r.entry, r.change, r.time_ms, u.name FROM revoked r
                 JOIN users u ON u.id = r.revoker WHERE r.log = ?1 AND r.sequence = ?2",
            )?
            .query_row(params![head.id, sql(sequence)], |row| {
                if row.get::<_, i64>(0)? != by {
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

    fn insert_revoked(
        &self,
        head: &Head,
        sequence: u64,
        target: &Target,
        by: i64,
        entry: &Stored,
    ) -> rusqlite::Result<()> {
        self.db
            .prepare_cached("INSERT INTO revoked VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
            .execute(params![
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
