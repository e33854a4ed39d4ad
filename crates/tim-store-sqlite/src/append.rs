//! Appending: the only place where entries are made.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, Statement, params};
use tim_proto::planted::{self, Fault};
use tim_proto::{MessageId, MessageKind, UserId};
use tim_store::{
    Append, Entry, EntryFlags, Fingerprint, LogKey, MAX_CONTENT, Published, Quota, Refused, Stored,
    SystemEntry, Written,
};

use super::rows::{Head, counts, entry_at, entry_sum, log_name, number_of, sql, unsigned};
use super::statements::EARLIER;
use super::writer::{Batch, Stop};

/// A checked entry, ready to be appended.
pub(super) struct NewEntry {
    pub(super) sender: UserId,
    pub(super) sender_id: i64,
    pub(super) client_time: u64,
    pub(super) random: u32,
    pub(super) origin: u64,
    pub(super) flags: EntryFlags,
    pub(super) kind: MessageKind,
    pub(super) content: Bytes,
}

/// The log that a message may be appended to, and the flags that it gets there.
pub(super) struct Destination {
    /// `None` for a one-to-one conversation that the message begins.
    pub(super) head: Option<Head>,
    pub(super) flags: EntryFlags,
}

impl Batch<'_> {
    pub(super) fn append(&mut self, append: &Append) -> Result<Written, Stop> {
        let sender_id = self.user(&append.sender)?;
        if append.id.sender != number_of(sender_id) {
            return Err(Refused::ForeignId.into());
        }
        if let Some(first) = self.earlier_send(sender_id, append)? {
            return self.duplicate(&append.log, first?);
        }
        check_size(&append.content)?;
        let destination = self.destination(append, sender_id)?;
        let flags = append.flags.chosen() | destination.flags;
        let cost = Quota::cost(flags, append.content.len());
        let begins = destination.head.is_none();
        self.check_quota((append.sender, sender_id), append.quota, cost, begins)?;
        let files = self.sendable(append, sender_id)?;
        let mut head = match destination.head {
            Some(head) => head,
            None => self.begin_conversation(&append.log, sender_id)?,
        };
        let entry = NewEntry {
            sender: append.sender,
            sender_id,
            client_time: append.id.client_time,
            random: append.id.random,
            origin: append.origin,
            flags,
            kind: append.kind,
            content: append.content.clone(),
        };
        // First: see `earlier_send`.
        self.remember_id(sender_id, append, &head)?;
        let stored = self.push_again(&mut head, entry)?;
        self.use_files(files, sender_id, head.id, stored.sequence)?;
        if head.is_group() {
            if !append.require_membership {
                self.keep_account(sender_id)?;
            }
            self.keep_mentions(&head, append, sender_id, stored.sequence)?;
        }
        Ok(Written::Stored(stored))
    }

    /// As [`earlier_send`]. The table is asked only if it may have the id, or if the log may be made: what is damaged in the table is
    /// found before anything is written.
    fn earlier_send(
        &mut self,
        sender: i64,
        append: &Append,
    ) -> rusqlite::Result<Option<Result<Stored, Refused>>> {
        if !self.sent.may_have(self.db, self.now_ms, sender, &append.id)? && self.known.has_head(&append.log)
        {
            return Ok(None);
        }
        let find = self.statements.earlier()?;
        find_earlier(find, sender, &append.id, append.fingerprint)
    }

    /// The message has been stored before, at this place.
    fn duplicate(&self, log: &LogKey, first: Stored) -> Result<Written, Stop> {
        let entry = match self.known.head(self.db, log)? {
            Some(head) => entry_at(self.db, &head, first.sequence)?,
            None => None,
        };
        let revoked = entry.filter(Entry::is_revoked);
        Ok(revoked.map_or(Written::Duplicate(first), |left| {
            Written::DuplicateOfRevoked(first, Box::new(left))
        }))
    }

    pub(super) fn append_system(&mut self, log: &LogKey, entry: &SystemEntry) -> Result<Written, Stop> {
        let entry = self.system_entry(entry)?;
        let mut head = match (self.known.head(self.db, log)?, log) {
            (Some(head), _) => head,
            (None, LogKey::Group(group)) => return Err(Refused::NoSuchGroup(*group).into()),
            (None, LogKey::C2c(_) | LogKey::System(_)) => self.make_log(log, 0)?,
        };
        Ok(Written::Stored(self.push_again(&mut head, entry)?))
    }

    /// Checks a system entry. Writes nothing.
    pub(super) fn system_entry(&self, entry: &SystemEntry) -> Result<NewEntry, Stop> {
        check_size(&entry.content)?;
        Ok(NewEntry {
            sender: UserId::SYSTEM,
            sender_id: self.sender(&UserId::SYSTEM)?,
            client_time: entry.client_time,
            random: entry.random,
            origin: 0,
            flags: entry.flags.chosen() | EntryFlags::SYSTEM,
            kind: entry.kind,
            content: entry.content.clone(),
        })
    }

    /// The log that a user may append to.
    fn destination(&self, append: &Append, sender_id: i64) -> Result<Destination, Stop> {
        let outsider = || Stop::from(Refused::NotParticipant(append.sender));
        match append.log {
            LogKey::C2c(pair) => {
                pair.peer_of(&append.sender).ok_or_else(outsider)?;
                Ok(Destination {
                    head: self.known.head(self.db, &append.log)?,
                    flags: EntryFlags::NONE,
                })
            }
            LogKey::Group(_) => self.group_destination(append, sender_id),
            // Users cannot write to the system conversation.
            LogKey::System(_) => Err(outsider()),
        }
    }

    /// A new one-to-one conversation, which counts for who has begun it.
    fn begin_conversation(&mut self, log: &LogKey, sender: i64) -> Result<Head, Stop> {
        let head = self.make_log(log, sender)?;
        self.add_conversation(sender)?;
        Ok(head)
    }

    /// A new C2C or system log, with a row for each participant.
    pub(super) fn make_log(&self, log: &LogKey, begun_by: i64) -> Result<Head, Stop> {
        let users = match log {
            LogKey::C2c(pair) => {
                let (low, high) = pair.users();
                vec![self.user(&low)?, self.user(&high)?]
            }
            LogKey::System(user) => vec![self.user(user)?],
            LogKey::Group(_) => Vec::new(),
        };
        let head = self.insert_log(log, begun_by)?;
        for user in users {
            self.insert_personal(user, &head, None)?;
        }
        Ok(head)
    }

    pub(super) fn insert_log(&self, log: &LogKey, begun_by: i64) -> rusqlite::Result<Head> {
        let (kind, name) = log_name(log);
        let head = Head {
            id: 0,
            key: *log,
            sequence: 0,
            change: 0,
            countable: 0,
            last_sequence: 0,
            last_change: 0,
            first_kept: 1,
            is_empty: true,
            purged_change: 0,
            purged_countable: 0,
        };
        let id = self
            .db
            .prepare_cached("INSERT INTO logs (kind, name, sum, begun_by) VALUES (?1, ?2, ?3, ?4)")?
            .insert(params![kind, name, head.sum(), begun_by])?;
        Ok(Head { id, ..head })
    }

    /// Assigns the next sequence and the next change to the entry, appends it, and moves the head.
    pub(super) fn push(&mut self, head: &mut Head, new: NewEntry) -> rusqlite::Result<Stored> {
        let stored = self.push_again(head, new)?;
        self.unwritten.write(self.db)?;
        Ok(stored)
    }

    /// The same, when another append may follow: the new head is [written later](super::unwritten).
    fn push_again(&mut self, head: &mut Head, new: NewEntry) -> rusqlite::Result<Stored> {
        let before = *head;
        self.change += 1;
        head.sequence += 1;
        head.change = self.change;
        head.countable += u64::from(counts(new.flags));
        if !new.flags.contains(EntryFlags::NO_LAST) {
            head.last_sequence = head.sequence;
            head.last_change = head.change;
        }
        let stored = Stored {
            sequence: head.sequence,
            change: head.change,
            time_ms: self.now_ms,
        };
        let content = self.add_content(head.id, &new.content)?;
        self.insert_entry(head, &new, content)?;
        self.add_bytes(new.sender_id, Quota::cost(new.flags, new.content.len()))?;
        self.note_age(head)?;
        self.unwritten.head(head);
        if counts(new.flags) && new.sender_id != 0 && !planted::is(Fault::OwnMessagesCount) {
            self.unwritten.own(self.db, new.sender_id, head.id)?;
        }
        if !self.known.appended(head) {
            self.unwritten.write(self.db)?;
        }
        self.note_appended(&before, head, (new.sender, new.sender_id), counts(new.flags))?;
        let id = MessageId {
            sender: number_of(new.sender_id),
            client_time: new.client_time,
            random: new.random,
        };
        let entry = Entry {
            sequence: stored.sequence,
            change: stored.change,
            time_ms: stored.time_ms,
            sender: new.sender,
            id,
            origin: new.origin,
            flags: new.flags,
            kind: new.kind,
            content: new.content,
        };
        let (roster, revoked) = (self.roster.take(), self.revoked.take());
        self.published.push(Published {
            log: head.key,
            entry: Some(entry),
            roster,
            revoked,
        });
        Ok(stored)
    }

    fn insert_entry(&mut self, head: &Head, new: &NewEntry, content: i64) -> rusqlite::Result<()> {
        let columns = [
            head.id,
            sql(head.sequence),
            sql(head.change),
            sql(self.now_ms),
            new.sender_id,
            sql(new.client_time),
            i64::from(new.random),
            sql(new.origin),
            i64::from(new.flags.to_bits()),
            i64::from(new.kind.0),
            sql(head.countable),
            content,
        ];
        let sum = entry_sum(columns, &new.content);
        let [
            log,
            sequence,
            change,
            time_ms,
            sender,
            client_time,
            random,
            origin,
            flags,
            kind,
            countable,
            content,
        ] = columns;
        self.statements.entry()?.execute(params![
            log,
            sequence,
            change,
            time_ms,
            sender,
            client_time,
            random,
            origin,
            flags,
            kind,
            countable,
            content,
            sum,
        ])?;
        Ok(())
    }

    /// A log that was empty has its oldest entry. This column is in an index, which most appends do not touch.
    fn note_age(&self, head: &mut Head) -> rusqlite::Result<()> {
        if head.is_empty {
            head.is_empty = false;
            self.db
                .prepare_cached("UPDATE logs SET first_time_ms = ?2 WHERE id = ?1")?
                .execute([head.id, sql(self.now_ms)])?;
        }
        Ok(())
    }

    /// The next entry of the log has this id.
    fn remember_id(&mut self, sender: i64, append: &Append, head: &Head) -> rusqlite::Result<()> {
        self.sent.note(sender, &append.id);
        self.statements.sent()?.execute(params![
            sql(append.id.client_time),
            sender,
            append.id.random,
            sql(head.sequence + 1),
            sql(self.change + 1),
            sql(self.now_ms),
            sql(append.fingerprint.to_bits()),
            head.id,
        ])?;
        Ok(())
    }
}

/// The position of the message with this id if it was the same message, a refusal if it was another.
pub(super) fn earlier_send(
    db: &Connection,
    sender: i64,
    id: &MessageId,
    fingerprint: Fingerprint,
) -> rusqlite::Result<Option<Result<Stored, Refused>>> {
    find_earlier(&mut *db.prepare_cached(EARLIER)?, sender, id, fingerprint)
}

fn find_earlier(
    find: &mut Statement<'_>,
    sender: i64,
    id: &MessageId,
    fingerprint: Fingerprint,
) -> rusqlite::Result<Option<Result<Stored, Refused>>> {
    let found = find
        .query_row(params![sql(id.client_time), sender, id.random], |row| {
            let stored = Stored {
                sequence: unsigned(row, 0)?,
                change: unsigned(row, 1)?,
                time_ms: unsigned(row, 2)?,
            };
            Ok((stored, unsigned(row, 3)?))
        })
        .optional()?;
    let is_same = |kept| kept == fingerprint.to_bits() || planted::is(Fault::IdsWithoutHash);
    Ok(found.map(|(stored, kept)| match is_same(kept) {
        true => Ok(stored),
        false => Err(Refused::IdReused),
    }))
}

pub(super) fn check_size(content: &Bytes) -> Result<(), Refused> {
    let len = content.len();
    if len > MAX_CONTENT {
        Err(Refused::TooLarge {
            len,
            max: MAX_CONTENT,
        })
    } else {
        Ok(())
    }
}
