//! Which messages mention which users: kept until the mentioned user has read them.

use std::collections::BTreeMap;

use super::db::{self, Connection};
use super::value::params;
use tim_proto::conversation::AtInfo;
use tim_proto::{AtKind, UserId};
use tim_store::{Append, MAX_AT, MAX_AT_LOOK, MAX_MENTIONS};

use super::batch::Batch;
use super::rows::{Head, Personal, parsed, sql, unsigned, user_id};

/// Stands for all members.
const EVERYBODY: i64 = 0;

impl Batch<'_> {
    pub(super) fn keep_mentions(
        &self,
        head: &Head,
        append: &Append,
        sender: i64,
        sequence: u64,
    ) -> db::Result<()> {
        if append.mention_all {
            self.mention(head, EVERYBODY, sequence, sender)?;
        }
        for user in append.mentions.iter().take(MAX_MENTIONS) {
            let Some(id) = user_id(self.db, user)?.filter(|id| *id != sender && *user != UserId::SYSTEM)
            else {
                continue;
            };
            if Personal::find(self.db, id, head)?.is_some() {
                self.mention(head, id, sequence, sender)?;
            }
        }
        Ok(())
    }

    fn mention(&self, head: &Head, user: i64, sequence: u64, sender: i64) -> db::Result<()> {
        self.db
            .statement("INSERT INTO mentions VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING")?
            .run(params![head.id, user, sql(sequence), sender])?;
        Ok(())
    }

    /// Removes a user's mentions up to the read mark. Mentions of all members are purged with their messages.
    pub(super) fn forget_mentions(&self, user: i64, head: &Head, upto: u64) -> db::Result<()> {
        if !head.is_group() {
            return Ok(());
        }
        self.db
            .statement("DELETE FROM mentions WHERE log = ?1 AND account = ?2 AND sequence <= ?3")?
            .run(params![head.id, user, sql(upto)])?;
        Ok(())
    }
}

/// The newest messages after a user's read mark that mention the user, oldest first.
pub(super) fn behind(db: &Connection, head: &Head, personal: &Personal) -> db::Result<Vec<AtInfo>> {
    if !head.is_group() {
        return Ok(Vec::new());
    }
    let mark = personal
        .read_sequence
        .max(personal.joined_at)
        .max(head.first_kept.saturating_sub(1));
    let mut found: BTreeMap<u64, AtInfo> = BTreeMap::new();
    for user in [EVERYBODY, personal.user] {
        for at in newest(db, head, user, mark, personal.user)? {
            let kind = if user == EVERYBODY {
                AtKind::AT_ALL
            } else {
                AtKind::AT_ME
            };
            found
                .entry(at.sequence)
                .and_modify(|both| both.kind = AtKind::AT_ALL_AT_ME)
                .or_insert_with(|| AtInfo::new(at.sequence, at.from, kind));
        }
    }
    let skip = found.len().saturating_sub(MAX_AT);
    Ok(found.into_values().skip(skip).collect())
}

fn newest(db: &Connection, head: &Head, user: i64, mark: u64, reader: i64) -> db::Result<Vec<AtInfo>> {
    let statement = db.statement(
        "SELECT m.sequence, u.name FROM
             (SELECT log, sequence, sender FROM mentions WHERE log = ?1 AND account = ?2 AND sequence > ?3
              ORDER BY sequence DESC LIMIT ?6) m JOIN users u ON u.id = m.sender
         WHERE m.sender <> ?4
             AND NOT EXISTS (SELECT 1 FROM revoked r WHERE r.log = m.log AND r.sequence = m.sequence)
         ORDER BY m.sequence DESC LIMIT ?5",
    )?;
    let bounds = params![
        head.id,
        user,
        sql(mark),
        reader,
        sql(MAX_AT as u64),
        sql(MAX_AT_LOOK as u64)
    ];
    let rows = statement.query_map(bounds, |row| {
        Ok(AtInfo::new(unsigned(row, 0)?, parsed(row, 1)?, AtKind(0)))
    })?;
    rows.collect()
}
