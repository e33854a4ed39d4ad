//! The reading end: pages, lists, profiles.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use tim_proto::{GroupId, UserId};

use super::super::{
    About, Account, Changes, ChangesRequest, Conversation, Entry, Group, LogKey, MAX_CONVERSATIONS, Member,
    Membership, Page, PageRequest, REVOCATION, StoreError, StoreReader,
};
use super::changes;
use super::lock::DirLock;
use super::pool::Pool;
use super::rows::{
    HEAD_COLUMNS, Head, KIND_GROUP, Personal, entry, entry_at, entry_columns, head_columns, number_of,
    parsed, personal_columns, sql, unsigned, user_id,
};

/// Read-only connections to a data directory; share it freely.
pub struct SqliteReader {
    pool: Pool,
    _lock: Arc<DirLock>,
}

impl SqliteReader {
    pub(super) const fn new(pool: Pool, lock: Arc<DirLock>) -> Self {
        Self { pool, _lock: lock }
    }
}

impl std::fmt::Debug for SqliteReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteReader").finish_non_exhaustive()
    }
}

impl StoreReader for SqliteReader {
    fn head_change(&self) -> Result<u64, StoreError> {
        self.pool.read(|db| changes::head_change(db))
    }

    fn page(&self, request: &PageRequest) -> Result<Page, StoreError> {
        self.pool.read(|db| page(db, request))
    }

    fn entry(&self, log: &LogKey, sequence: u64) -> Result<Option<Entry>, StoreError> {
        self.pool.read(|db| match Head::find(db, log)? {
            Some(head) => entry_at(db, head.id, sequence),
            None => Ok(None),
        })
    }

    fn changes_since(&self, request: &ChangesRequest) -> Result<Changes, StoreError> {
        self.pool.read(|db| changes::changes_since(db, request))
    }

    fn conversations(&self, user: &UserId, limit: usize) -> Result<Vec<Conversation>, StoreError> {
        self.pool
            .read(|db| conversations(db, user, limit.min(MAX_CONVERSATIONS)))
    }

    fn conversation(&self, user: &UserId, log: &LogKey) -> Result<Option<Conversation>, StoreError> {
        self.pool.read(|db| {
            let Some(id) = user_id(db, user)? else {
                return Ok(None);
            };
            let Some(head) = Head::find(db, log)? else {
                return Ok(None);
            };
            let Some(personal) = Personal::find(db, id, &head)? else {
                return Ok(None);
            };
            seen_by(db, user, &head, &personal)
        })
    }

    fn group(&self, id: &GroupId) -> Result<Option<Group>, StoreError> {
        self.pool.read(|db| match Head::find(db, &LogKey::Group(*id))? {
            Some(head) => group(db, head.id),
            None => Ok(None),
        })
    }

    fn members(&self, group: &GroupId) -> Result<Vec<Member>, StoreError> {
        self.pool
            .read(|db| match Head::find(db, &LogKey::Group(*group))? {
                Some(head) => members(db, head.id),
                None => Ok(Vec::new()),
            })
    }

    fn membership(&self, group: &GroupId, user: &UserId) -> Result<Option<Membership>, StoreError> {
        self.pool.read(|db| {
            let Some(id) = user_id(db, user)? else {
                return Ok(None);
            };
            let Some(head) = Head::find(db, &LogKey::Group(*group))? else {
                return Ok(None);
            };
            Ok(Personal::find(db, id, &head)?.as_ref().map(standing))
        })
    }

    fn groups_of(&self, user: &UserId) -> Result<Vec<Group>, StoreError> {
        self.pool.read(|db| groups_of(db, user))
    }

    fn account(&self, user: &UserId) -> Result<Option<Account>, StoreError> {
        self.pool.read(|db| account(db, user))
    }
}

fn page(db: &Connection, request: &PageRequest) -> rusqlite::Result<Page> {
    let Some(head) = Head::find(db, &request.log)? else {
        return Ok(Page {
            entries: Vec::new(),
            first_kept: 1,
            completed: true,
            next: 1,
        });
    };
    let below = request.before.unwrap_or(u64::MAX).min(head.sequence + 1);
    let mut statement = db.prepare_cached(concat!(
        "SELECT ",
        entry_columns!(),
        " WHERE e.log = ?1 AND e.sequence < ?2 AND e.sequence > ?3 AND e.kind <> ?4 ORDER BY e.sequence DESC"
    ))?;
    let after = request.after.min(head.sequence);
    let mut rows = statement.query(params![head.id, sql(below), sql(after), REVOCATION])?;
    let mut entries: Vec<Entry> = Vec::with_capacity(request.limit.min(64));
    let mut budget = request.max_bytes;
    let mut completed = true;
    while let Some(row) = rows.next()? {
        let size = row.get_ref(10)?.as_blob()?.len();
        // One more than fits: there is another page.
        if !entries.is_empty() && (entries.len() >= request.limit || size > budget) {
            completed = false;
            break;
        }
        budget = budget.saturating_sub(size);
        entries.push(entry(row)?);
    }
    entries.reverse();
    let next = entries.first().map_or(below, |oldest| oldest.sequence);
    Ok(Page {
        entries,
        first_kept: head.first_kept,
        completed,
        next,
    })
}

fn conversations(db: &Connection, user: &UserId, limit: usize) -> rusqlite::Result<Vec<Conversation>> {
    let Some(id) = user_id(db, user)? else {
        return Ok(Vec::new());
    };
    let mut statement = db.prepare_cached(concat!(
        "SELECT ",
        head_columns!(),
        ", ",
        personal_columns!(),
        " FROM personal p CROSS JOIN logs l ON l.id = p.log
         WHERE p.user = ?1 AND (l.kind <> ?2 OR p.role IS NOT NULL) AND l.last_sequence >= l.first_kept
             AND l.last_sequence > p.hidden_through AND l.last_sequence > p.joined_at
         ORDER BY l.last_change DESC LIMIT ?3"
    ))?;
    let rows = statement.query_map(params![id, KIND_GROUP, sql(limit as u64)], |row| {
        Ok((Head::from_row(row)?, Personal::from_row(row, HEAD_COLUMNS)?))
    })?;
    let mut list = Vec::new();
    for row in rows {
        let (head, personal) = row?;
        list.extend(seen_by(db, user, &head, &personal)?);
    }
    Ok(list)
}

/// A conversation from one side.
fn seen_by(
    db: &Connection,
    user: &UserId,
    head: &Head,
    personal: &Personal,
) -> rusqlite::Result<Option<Conversation>> {
    let Some(id) = head.key.seen_by(user) else {
        return Ok(None);
    };
    let about = match head.key {
        LogKey::C2c(pair) => {
            let peer = pair.peer_of(user).unwrap_or(*user);
            account(db, &peer)?.map(About::Peer)
        }
        LogKey::Group(_) => group(db, head.id)?.map(|group| About::Group(group, standing(personal))),
        LogKey::System(_) => Some(About::System),
    };
    let Some(about) = about else { return Ok(None) };
    let visible = head.last_sequence > personal.joined_at;
    let last = if visible {
        entry_at(db, head.id, head.last_sequence)?
    } else {
        None
    };
    Ok(Some(Conversation {
        log: head.key,
        id,
        last,
        unread: personal.unread(db, head)?,
        read_sequence: personal.read_sequence,
        head_sequence: head.sequence,
        head_change: head.change,
        first_kept: head.first_kept,
        hidden: personal.hidden_through > 0 && head.last_sequence <= personal.hidden_through,
        about,
    }))
}

const fn standing(personal: &Personal) -> Membership {
    let role = match personal.role {
        Some(role) => role,
        None => 0,
    };
    Membership {
        role,
        joined_ms: personal.joined_ms,
        joined_at: personal.joined_at,
    }
}

fn account(db: &Connection, user: &UserId) -> rusqlite::Result<Option<Account>> {
    if *user == UserId::SYSTEM {
        return Ok(None);
    }
    db.prepare_cached("SELECT id, nick, avatar FROM users WHERE name = ?1")?
        .query_row([user.as_str()], |row| {
            Ok(Account {
                user: *user,
                number: number_of(row.get(0)?),
                nick: row.get(1)?,
                avatar: row.get(2)?,
            })
        })
        .optional()
}

/// The columns of a [`Group`], from column 0.
macro_rules! group_columns {
    () => {
        "l.name, g.group_type, u.name, g.name, g.introduction, g.notification, g.avatar, g.created_ms, g.member_count"
    };
}

fn group_from_row(row: &Row<'_>) -> rusqlite::Result<Group> {
    Ok(Group {
        group: parsed(row, 0)?,
        group_type: row.get(1)?,
        owner: parsed(row, 2)?,
        name: row.get(3)?,
        introduction: row.get(4)?,
        notification: row.get(5)?,
        avatar: row.get(6)?,
        created_ms: unsigned(row, 7)?,
        member_count: unsigned(row, 8)?,
    })
}

fn group(db: &Connection, log: i64) -> rusqlite::Result<Option<Group>> {
    db.prepare_cached(concat!(
        "SELECT ",
        group_columns!(),
        " FROM groups g CROSS JOIN logs l ON l.id = g.log CROSS JOIN users u ON u.id = g.owner WHERE g.log = ?1"
    ))?
    .query_row([log], group_from_row)
    .optional()
}

fn groups_of(db: &Connection, user: &UserId) -> rusqlite::Result<Vec<Group>> {
    let Some(id) = user_id(db, user)? else {
        return Ok(Vec::new());
    };
    let mut statement = db.prepare_cached(concat!(
        "SELECT ",
        group_columns!(),
        " FROM personal p CROSS JOIN groups g ON g.log = p.log CROSS JOIN logs l ON l.id = g.log
         CROSS JOIN users u ON u.id = g.owner WHERE p.user = ?1 AND p.role IS NOT NULL ORDER BY l.name"
    ))?;
    let rows = statement.query_map([id], group_from_row)?;
    rows.collect()
}

fn members(db: &Connection, log: i64) -> rusqlite::Result<Vec<Member>> {
    let mut statement = db.prepare_cached(
        "SELECT u.id, u.name, u.nick, u.avatar, p.role, p.joined_ms, p.joined_at
         FROM personal p CROSS JOIN users u ON u.id = p.user WHERE p.log = ?1 AND p.role IS NOT NULL
         ORDER BY p.joined_ms, p.user",
    )?;
    let rows = statement.query_map([log], |row| {
        let account = Account {
            user: parsed(row, 1)?,
            number: number_of(row.get(0)?),
            nick: row.get(2)?,
            avatar: row.get(3)?,
        };
        let membership = Membership {
            role: row.get(4)?,
            joined_ms: unsigned(row, 5)?,
            joined_at: unsigned(row, 6)?,
        };
        Ok(Member { account, membership })
    })?;
    rows.collect()
}
