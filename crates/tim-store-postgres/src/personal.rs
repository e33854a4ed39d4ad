//! What belongs to one user in a log: the read mark and the hidden conversation.

use super::db::{self, Optional as _};
use super::value::params;
use tim_proto::planted::{self, Fault};
use tim_proto::{Role, UserId};
use tim_store::{EntryFlags, LogKey, Refused, Written};

use super::batch::{Batch, Stop};
use super::rows::{Head, Personal, sql, unsigned};

impl Batch<'_> {
    pub(super) fn mark_read(&self, user: &UserId, log: &LogKey, upto: Option<u64>) -> Result<Written, Stop> {
        let user_id = self.user(user)?;
        let head = match (self.known.head(self.db, log)?, log) {
            (Some(head), _) => head,
            (None, LogKey::Group(group)) => return Err(Refused::NoSuchGroup(*group).into()),
            // The conversation has no entries, so none is unread.
            (None, LogKey::C2c(_) | LogKey::System(_)) => {
                return Ok(Written::NOTHING_TO_READ);
            }
        };
        let mut row = Personal::find(self.db, user_id, &head)?.ok_or(Refused::NotParticipant(*user))?;
        let target = upto.unwrap_or(head.sequence).min(head.sequence);
        self.read_up_to(&head, &mut row, target)?;
        self.read_state(&head, &row)
    }

    pub(super) fn read_state(&self, head: &Head, row: &Personal) -> Result<Written, Stop> {
        Ok(Written::Read {
            read_sequence: row.read_to(head),
            unread: row.unread(self.db, head)?,
            counted: head.sequence,
            deleted_through: if row.hides(head) { row.hidden_through } else { 0 },
        })
    }

    /// Moves the read mark, but not backward.
    fn read_up_to(&self, head: &Head, row: &mut Personal, target: u64) -> db::Result<()> {
        if target > row.read_sequence || planted::is(Fault::ReadMarkGoesBack) {
            row.own_at_read = self.own_up_to(head, row, target)?;
            row.read_countable = self.countable_at(head, target)?;
            row.read_sequence = target;
            self.db
                .statement(
                    "UPDATE personal SET read_sequence = ?3, read_countable = ?4, own_at_read = ?5
                     WHERE account = ?1 AND log = ?2",
                )?
                .run(params![
                    row.user,
                    head.id,
                    sql(row.read_sequence),
                    sql(row.read_countable),
                    sql(row.own_at_read)
                ])?;
            self.forget_mentions(row.user, head, target)?;
            self.count_unread(row.user, head)?;
        }
        Ok(())
    }

    /// The number of own countable entries up to `target`, counted on the shorter side of it.
    fn own_up_to(&self, head: &Head, row: &Personal, target: u64) -> db::Result<u64> {
        let counted_to = row.read_to(head);
        if target <= counted_to {
            return Ok(row.own_at_read);
        }
        if head.sequence - target <= target - counted_to {
            let behind = self.count_own(head, row.user, target, head.sequence)?;
            return Ok(row.own_total.saturating_sub(behind));
        }
        Ok(row.own_at_read + self.count_own(head, row.user, counted_to, target)?)
    }

    /// The number of own countable entries with `after < sequence <= upto`.
    pub(super) fn count_own(&self, head: &Head, user: i64, after: u64, upto: u64) -> db::Result<u64> {
        if after == upto {
            return Ok(0);
        }
        self.db
            .statement(
                "SELECT count(*) FROM entries WHERE log = ?1 AND sequence > ?2 AND sequence <= ?3 AND sender = ?4
                 AND flags & ?5 = 0",
            )?
            .query_row(params![head.id, sql(after), sql(upto), user, EntryFlags::NO_UNREAD.to_bits()], |row| unsigned(row, 0))
    }

    pub(super) fn countable_at(&self, head: &Head, sequence: u64) -> db::Result<u64> {
        if sequence == head.sequence {
            return Ok(head.countable);
        }
        let kept: Option<u64> = self
            .db
            .statement("SELECT countable FROM entries WHERE log = ?1 AND sequence = ?2")?
            .query_row(params![head.id, sql(sequence)], |row| unsigned(row, 0))
            .optional()?;
        Ok(kept.unwrap_or(head.purged_countable))
    }

    pub(super) fn delete_conversation(&mut self, user: &UserId, log: &LogKey) -> Result<Written, Stop> {
        let user_id = self.user(user)?;
        let nothing = Written::NOTHING_TO_READ;
        let Some(head) = Head::find(self.db, log)? else {
            return Ok(nothing);
        };
        let Some(mut row) = Personal::find(self.db, user_id, &head)? else {
            return Ok(nothing);
        };
        self.read_up_to(&head, &mut row, head.sequence)?;
        row.hidden_through = head.sequence;
        self.db
            .statement("UPDATE personal SET hidden_through = ?3 WHERE account = ?1 AND log = ?2")?
            .run([user_id, head.id, sql(head.sequence)])?;
        self.remove_from_list(user_id, &head)?;
        self.read_state(&head, &row)
    }

    /// A row for a new participant, in a group with a role. Existing entries of the log count as read.
    pub(super) fn insert_personal(&self, user: i64, head: &Head, role: Option<Role>) -> db::Result<()> {
        self.insert_personal_since(user, head, role, self.now_ms)
    }

    /// The same for one who is said to have joined at this time.
    pub(super) fn insert_personal_since(
        &self,
        user: i64,
        head: &Head,
        role: Option<Role>,
        joined_ms: u64,
    ) -> db::Result<()> {
        self.keep_account(user)?;
        // In a note to oneself both participants have the same row.
        self.db
            .statement(
                "INSERT INTO personal (account, log, role, joined_ms, joined_at, read_sequence, read_countable)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6)
                 ON CONFLICT (account, log) DO NOTHING",
            )?
            .run(params![
                user,
                head.id,
                role.map(|role| role.0),
                sql(joined_ms),
                sql(head.sequence),
                sql(head.countable),
            ])?;
        Ok(())
    }
}
