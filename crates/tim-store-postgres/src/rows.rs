//! Rows as Rust values, and the small queries of both ends.

use super::db::{self, Connection, Optional as _, Row};
use super::value::params;
use bytes::Bytes;
use tim_proto::{GroupId, IdError, MessageId, MessageKind, Role, UserId};
use tim_store::{Entry, EntryFlags, LogKey, Pair, SYSTEM_NUMBER, account_number};

use super::damage::Damage;

/// A number as it is stored, bit for bit.
pub(super) const fn sql(number: u64) -> i64 {
    number.cast_signed()
}

/// So many rows at most.
pub(super) fn rows(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

/// An unsigned column.
pub(super) fn unsigned(row: &Row, column: usize) -> db::Result<u64> {
    row.get::<i64>(column).map(i64::cast_unsigned)
}

/// A column that is an entry's flags.
pub(super) fn flags(row: &Row, column: usize) -> db::Result<EntryFlags> {
    row.get(column).map(EntryFlags::from_bits)
}

/// A stored id. Old ones may have a form that new ones cannot have.
pub(super) trait StoredId: Sized {
    fn of(text: &str) -> Result<Self, IdError>;
}

impl StoredId for UserId {
    fn of(text: &str) -> Result<Self, IdError> {
        Self::from_record(text)
    }
}

impl StoredId for GroupId {
    fn of(text: &str) -> Result<Self, IdError> {
        Self::from_record(text)
    }
}

/// A text column that is an id.
pub(super) fn parsed<T: StoredId>(row: &Row, column: usize) -> db::Result<T> {
    let text = row.text(column)?;
    T::of(text).map_err(|error| damaged(column, error))
}

fn damaged(column: usize, error: impl ToString) -> db::Error {
    db::Error::Value(column, error.to_string())
}

pub(super) const KIND_C2C: i64 = 1;
pub(super) const KIND_GROUP: i64 = 2;
pub(super) const KIND_SYSTEM: i64 = 3;
/// A dismissed group. Its log is not found by the group's id, and has no participants.
pub(super) const KIND_DISMISSED: i64 = 4;

/// Separates the two users in the name of a pair. No user id contains it.
const SEPARATOR: char = '\n';

/// A log's kind and name, as they are stored.
pub(super) fn log_name(log: &LogKey) -> (i64, String) {
    match log {
        LogKey::C2c(pair) => {
            let (low, high) = pair.users();
            (KIND_C2C, format!("{low}{SEPARATOR}{high}"))
        }
        LogKey::Group(group) => (KIND_GROUP, group.to_string()),
        LogKey::System(user) => (KIND_SYSTEM, user.to_string()),
    }
}

fn log_key(kind: i64, name: &str, column: usize) -> db::Result<LogKey> {
    let user = |name: &str| UserId::from_record(name).map_err(|error| damaged(column, error));
    match kind {
        KIND_C2C => {
            let (low, high) = name
                .split_once(SEPARATOR)
                .ok_or_else(|| damaged(column, "no pair"))?;
            Ok(LogKey::C2c(Pair::new(user(low)?, user(high)?)))
        }
        KIND_GROUP | KIND_DISMISSED => GroupId::from_record(name)
            .map(LogKey::Group)
            .map_err(|error| damaged(column, error)),
        _ => user(name).map(LogKey::System),
    }
}

/// The head of a log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) id: i64,
    pub(super) key: LogKey,
    pub(super) sequence: u64,
    pub(super) change: u64,
    pub(super) countable: u64,
    pub(super) last_sequence: u64,
    pub(super) last_change: u64,
    pub(super) first_kept: u64,
    pub(super) is_empty: bool,
    pub(super) purged_change: u64,
    pub(super) purged_countable: u64,
}

/// The columns of a [`Head`], of `logs l`, from column 0.
macro_rules! head_columns {
    () => {
        "l.id, l.kind, l.name, l.sequence, l.change, l.countable, l.last_sequence, l.last_change, l.first_kept, \
         l.first_time_ms IS NULL, l.purged_change, l.purged_countable"
    };
}
pub(super) use head_columns;

/// The number of these columns.
pub(super) const HEAD_COLUMNS: usize = 12;

impl Head {
    pub(super) fn from_row(row: &Row) -> db::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            key: log_key(row.get(1)?, row.text(2)?, 2)?,
            sequence: unsigned(row, 3)?,
            change: unsigned(row, 4)?,
            countable: unsigned(row, 5)?,
            last_sequence: unsigned(row, 6)?,
            last_change: unsigned(row, 7)?,
            first_kept: unsigned(row, 8)?,
            is_empty: row.get(9)?,
            purged_change: unsigned(row, 10)?,
            purged_countable: unsigned(row, 11)?,
        })
    }

    pub(super) fn find(db: &Connection, log: &LogKey) -> db::Result<Option<Self>> {
        let (kind, name) = log_name(log);
        db.statement(concat!(
            "SELECT ",
            head_columns!(),
            " FROM logs l WHERE name = ?1 AND kind = ?2"
        ))?
        .query_row(params![name, kind], Self::from_row)
        .optional()
    }

    /// Whether the log has the entry with this sequence.
    pub(super) const fn keeps(&self, sequence: u64) -> bool {
        self.first_kept <= sequence && sequence <= self.sequence
    }

    pub(super) const fn is_group(&self) -> bool {
        matches!(self.key, LogKey::Group(_))
    }
}

/// The columns of an [`Entry`], of `entries e` and `users u`, from column 0.
macro_rules! entry_columns {
    () => {
        "e.sequence, e.change, e.time_ms, e.sender, u.name, e.client_time, e.random, e.origin, e.flags, e.kind, \
         e.body, e.log FROM entries e JOIN users u ON u.id = e.sender"
    };
}
pub(super) use entry_columns;

/// The same without the sender's name, for [`Senders`].
macro_rules! entries_columns {
    () => {
        "e.sequence, e.change, e.time_ms, e.sender, NULL, e.client_time, e.random, e.origin, e.flags, e.kind, \
         e.body, e.log FROM entries e"
    };
}
pub(super) use entries_columns;

/// An entry.
pub(super) fn entry(row: &Row) -> db::Result<Entry> {
    entry_of(row, parsed(row, 4)?)
}

/// The names of senders: most entries of a log are of a few.
pub(super) struct Senders<'a> {
    db: &'a Connection,
    known: Vec<(i64, UserId)>,
}

impl<'a> Senders<'a> {
    /// No more are kept.
    const MOST: usize = 32;

    pub(super) const fn new(db: &'a Connection) -> Self {
        Self {
            db,
            known: Vec::new(),
        }
    }

    /// As [`entry`].
    pub(super) fn entry(&mut self, row: &Row) -> db::Result<Entry> {
        let id = row.get(3)?;
        let name = match self.known.iter().find(|(known, _)| *known == id) {
            Some((_, name)) => *name,
            None => self.find(id)?.ok_or_else(|| damaged_entry(row))?,
        };
        entry_of(row, name)
    }

    fn find(&mut self, id: i64) -> db::Result<Option<UserId>> {
        let name = self
            .db
            .statement("SELECT name FROM users WHERE id = ?1")?
            .query_row([id], |row| parsed(row, 0))
            .optional()?;
        if let Some(name) = name {
            self.known.truncate(Self::MOST - 1);
            self.known.insert(0, (id, name));
        }
        Ok(name)
    }
}

fn entry_of(row: &Row, sender: UserId) -> db::Result<Entry> {
    let id = MessageId {
        sender: number_of(row.get(3)?),
        client_time: unsigned(row, 5)?,
        random: row.get(6)?,
    };
    Ok(Entry {
        sequence: unsigned(row, 0)?,
        change: unsigned(row, 1)?,
        time_ms: unsigned(row, 2)?,
        sender,
        id,
        origin: unsigned(row, 7)?,
        flags: flags(row, 8)?,
        kind: row.get(9).map(MessageKind)?,
        content: Bytes::copy_from_slice(row.bytes(10)?),
    })
}

/// The key of a row is not damaged, or it would not have been found.
fn damaged_entry(row: &Row) -> db::Error {
    match (row.get(11), unsigned(row, 0)) {
        (Ok(log), Ok(sequence)) => Damage::of_entry(log, sequence).into(),
        (Err(error), _) | (_, Err(error)) => error,
    }
}

/// The name of a log in messages.
pub(super) fn name_of(db: &Connection, log: i64) -> String {
    let named = db
        .statement("SELECT kind, name FROM logs WHERE id = ?1")
        .and_then(|statement| statement.query_row([log], |row| log_key(row.get(0)?, row.text(1)?, 1)));
    named.map_or_else(|_| format!("log {log}"), |key| key.to_string())
}

/// An entry; `None` if the log does not have it.
pub(super) fn entry_at(db: &Connection, head: &Head, sequence: u64) -> db::Result<Option<Entry>> {
    let found = db
        .statement(concat!(
            "SELECT ",
            entry_columns!(),
            " WHERE e.log = ?1 AND e.sequence = ?2"
        ))?
        .query_row(params![head.id, sql(sequence)], entry)
        .optional()?;
    match found {
        None if head.keeps(sequence) => Err(Damage::of_entry(head.id, sequence).into()),
        found => Ok(found),
    }
}

/// The account number of an interned user.
pub(super) fn number_of(user: i64) -> u64 {
    if user == 0 {
        SYSTEM_NUMBER
    } else {
        account_number(user.cast_unsigned())
    }
}

pub(super) fn user_id(db: &Connection, user: &UserId) -> db::Result<Option<i64>> {
    db.statement("SELECT id FROM users WHERE name = ?1")?
        .query_row([user.as_str()], |row| row.get(0))
        .optional()
}

/// One user's row in one log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Personal {
    pub(super) user: i64,
    pub(super) role: Option<Role>,
    pub(super) joined_ms: u64,
    pub(super) joined_at: u64,
    pub(super) read_sequence: u64,
    pub(super) read_countable: u64,
    pub(super) own_total: u64,
    pub(super) own_at_read: u64,
    pub(super) hidden_through: u64,
    pub(super) muted_until_ms: u64,
    pub(super) receive_option: u8,
}

/// The columns of a [`Personal`], of `personal p`. Restrictions are in a table of their own, because they outlive membership.
macro_rules! personal_columns {
    () => {
        "p.account, p.role, p.joined_ms, p.joined_at, p.read_sequence, p.read_countable, p.own_total, p.own_at_read, \
         p.hidden_through, \
         coalesce((SELECT r.muted_until_ms FROM restrictions r WHERE r.log = p.log AND r.account = p.account), 0), \
         p.receive_option, p.name_card"
    };
}
pub(super) use personal_columns;

impl Personal {
    /// The number of columns. The last one, the name card, is read separately.
    pub(super) const COLUMNS: usize = 12;

    /// Reads the columns from column `at`.
    pub(super) fn from_row(row: &Row, at: usize) -> db::Result<Self> {
        Ok(Self {
            user: row.get(at)?,
            role: row.get::<Option<u8>>(at + 1)?.map(Role),
            joined_ms: unsigned(row, at + 2)?,
            joined_at: unsigned(row, at + 3)?,
            read_sequence: unsigned(row, at + 4)?,
            read_countable: unsigned(row, at + 5)?,
            own_total: unsigned(row, at + 6)?,
            own_at_read: unsigned(row, at + 7)?,
            hidden_through: unsigned(row, at + 8)?,
            muted_until_ms: unsigned(row, at + 9)?,
            receive_option: row.get(at + 10)?,
        })
    }

    /// The row of a participant.
    pub(super) fn find(db: &Connection, user: i64, head: &Head) -> db::Result<Option<Self>> {
        db.statement(concat!(
            "SELECT ",
            personal_columns!(),
            " FROM personal p WHERE account = ?1 AND log = ?2"
        ))?
        .query_row(params![user, head.id], |row| Self::from_row(row, 0))
        .optional()
    }

    /// Whether the user has hidden the conversation, and no newer entry that shows in the list has arrived.
    pub(super) const fn hides(&self, head: &Head) -> bool {
        self.hidden_through > 0 && head.last_sequence <= self.hidden_through
    }

    /// Whether the conversation is in the user's list.
    pub(super) const fn lists(&self, head: &Head) -> bool {
        head.last_sequence >= head.first_kept
            && head.last_sequence > self.hidden_through
            && head.last_sequence > self.joined_at
    }

    /// Up to where the log is read. What was removed counts as read.
    pub(super) const fn read_to(&self, head: &Head) -> u64 {
        let removed = head.first_kept.saturating_sub(1);
        if self.read_sequence > removed {
            self.read_sequence
        } else {
            removed
        }
    }

    /// The unread count: countable kept entries after the read mark, without own and revoked ones.
    pub(super) fn unread(&self, db: &Connection, head: &Head) -> db::Result<u64> {
        let counted = head
            .countable
            .saturating_sub(self.read_countable.max(head.purged_countable));
        let own = self.own_total.saturating_sub(self.own_at_read);
        let rest = counted.saturating_sub(own);
        if rest == 0 {
            return Ok(0);
        }
        let mark = self.read_to(head);
        let revoked: u64 = db
            .statement(
                "SELECT count(*) FROM revoked WHERE log = ?1 AND sequence > ?2 AND counted AND sender <> ?3",
            )?
            .query_row(params![head.id, sql(mark), self.user], |row| unsigned(row, 0))?;
        Ok(rest.saturating_sub(revoked))
    }
}

/// Whether an entry with these flags counts as unread.
pub(super) const fn counts(entry_flags: EntryFlags) -> bool {
    !entry_flags.contains(EntryFlags::NO_UNREAD)
}
