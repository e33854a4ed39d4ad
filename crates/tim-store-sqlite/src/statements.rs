//! The statements of an append, each looked up once for a batch: looking one up costs as much as a quarter of what it does.

use rusqlite::{CachedStatement, Connection};

/// The position and the fingerprint of the message with an id.
pub(super) const EARLIER: &str = "SELECT sequence, change, time_ms, fingerprint FROM sent
     WHERE client_time = ?1 AND sender = ?2 AND random = ?3";
const ENTRY: &str = "INSERT INTO entries VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
const CONTENT: &str = "INSERT INTO contents VALUES (?1, ?2, ?3)";
const SENT: &str = "INSERT INTO sent VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

/// The statements that the appends of a batch have needed so far.
pub(super) struct Statements<'a> {
    db: &'a Connection,
    earlier: Option<CachedStatement<'a>>,
    entry: Option<CachedStatement<'a>>,
    content: Option<CachedStatement<'a>>,
    sent: Option<CachedStatement<'a>>,
}

impl<'a> Statements<'a> {
    pub(super) const fn new(db: &'a Connection) -> Self {
        Self {
            db,
            earlier: None,
            entry: None,
            content: None,
            sent: None,
        }
    }

    /// Finds a message by its id.
    pub(super) fn earlier(&mut self) -> rusqlite::Result<&mut CachedStatement<'a>> {
        prepared(self.db, &mut self.earlier, EARLIER)
    }

    /// Inserts an entry.
    pub(super) fn entry(&mut self) -> rusqlite::Result<&mut CachedStatement<'a>> {
        prepared(self.db, &mut self.entry, ENTRY)
    }

    /// Inserts a content.
    pub(super) fn content(&mut self) -> rusqlite::Result<&mut CachedStatement<'a>> {
        prepared(self.db, &mut self.content, CONTENT)
    }

    /// Inserts the id of a message.
    pub(super) fn sent(&mut self) -> rusqlite::Result<&mut CachedStatement<'a>> {
        prepared(self.db, &mut self.sent, SENT)
    }
}

fn prepared<'s, 'a>(
    db: &'a Connection,
    statement: &'s mut Option<CachedStatement<'a>>,
    sql: &str,
) -> rusqlite::Result<&'s mut CachedStatement<'a>> {
    match statement {
        Some(prepared) => Ok(prepared),
        none => Ok(none.insert(db.prepare_cached(sql)?)),
    }
}
