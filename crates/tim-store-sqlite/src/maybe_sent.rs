//! Which message ids the table `sent` may have, so that it is not asked about each new message.
//!
//! An id begins with the time of its sender. When the table was looked at, it had no id whose time lies between two times that are
//! remembered; those that came in between since are remembered, too. Of any other id there, it is certain that the table does not have it.
//! Whoever sends with a wrong clock gains nothing and harms nobody: then the table is asked, as it is about all ids outside.

use std::collections::{BTreeMap, HashSet};

use rusqlite::Connection;
use tim_proto::MessageId;

use super::rows::sql;

/// The most ids that are remembered: the newest few seconds of a busy hub.
const MOST: usize = 65_536;
/// After how many ids outside the table is looked at again: the clock goes on.
const LOOK_AFTER: u32 = 1_024;

/// The ids that the table may have. It may have fewer, as when a transaction was rolled back.
#[derive(Debug, Default)]
pub(super) struct MaybeSent {
    /// Between these times, both excluded, the table has no other ids than those here. `None`: it was not looked at.
    between: Option<(i64, i64)>,
    /// Senders and random numbers, by time.
    ids: BTreeMap<i64, HashSet<(i64, u32)>>,
    len: usize,
    /// How many ids were outside since the table was looked at.
    outside: u32,
}

impl MaybeSent {
    /// Whether the table may have the id.
    pub(super) fn may_have(
        &mut self,
        db: &Connection,
        now_ms: u64,
        sender: i64,
        id: &MessageId,
    ) -> rusqlite::Result<bool> {
        let time = sql(id.client_time);
        if !self.is_between(time) {
            self.outside += 1;
            if self.between.is_some() && self.outside < LOOK_AFTER {
                return Ok(true);
            }
            self.look(db, now_ms)?;
            if !self.is_between(time) {
                return Ok(true);
            }
        }
        let ids = self.ids.get(&time);
        Ok(ids.is_some_and(|ids| ids.contains(&(sender, id.random))))
    }

    /// The table gets this id.
    pub(super) fn note(&mut self, sender: i64, id: &MessageId) {
        let time = sql(id.client_time);
        if !self.is_between(time) {
            return;
        }
        let is_new = self.ids.entry(time).or_default().insert((sender, id.random));
        self.len += usize::from(is_new);
        if self.len > MOST
            && let Some((oldest, ids)) = self.ids.pop_first()
        {
            self.len -= ids.len();
            self.between = self.between.map(|(after, before)| (after.max(oldest), before));
        }
    }

    fn is_between(&self, time: i64) -> bool {
        self.between
            .is_some_and(|(after, before)| after < time && time < before)
    }

    /// Looks which times around the present one the table has.
    fn look(&mut self, db: &Connection, now_ms: u64) -> rusqlite::Result<()> {
        *self = Self::default();
        let now_s = sql(now_ms / 1_000);
        self.between = Some(
            db.prepare_cached(
                "SELECT (SELECT max(client_time) FROM sent WHERE client_time <= ?1),
                        (SELECT min(client_time) FROM sent WHERE client_time > ?1)",
            )?
            .query_row([now_s], |row| {
                let after: Option<i64> = row.get(0)?;
                let before: Option<i64> = row.get(1)?;
                Ok((after.unwrap_or(i64::MIN), before.unwrap_or(i64::MAX)))
            })?,
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Connection {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(
            "CREATE TABLE sent (client_time, sender, random, PRIMARY KEY (client_time, sender, random)) WITHOUT ROWID",
        )
        .unwrap();
        db
    }

    fn insert(db: &Connection, sender: i64, id: &MessageId) -> bool {
        let rows = db.execute(
            "INSERT OR IGNORE INTO sent VALUES (?1, ?2, ?3)",
            (sql(id.client_time), sender, id.random),
        );
        rows.unwrap() == 1
    }

    fn id(client_time: u64, random: u32) -> MessageId {
        MessageId {
            sender: 0,
            client_time,
            random,
        }
    }

    /// With clocks that are right, wrong and absurd, whatever the table had before and loses.
    #[test]
    fn what_it_does_not_have_the_table_does_not_have() {
        let mut state = 7_u64;
        let mut draw = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let (mut seen, mut unseen) = (0, 0);
        for _ in 0..100 {
            let (db, mut sent, mut now) = (table(), MaybeSent::default(), 100);
            for _ in 0..200 {
                let time = match draw(40) {
                    39 => u64::MAX,
                    time => now + time - 20,
                };
                let (id, sender) = (id(time, draw(6) as u32), draw(3) as i64);
                match draw(20) {
                    0 => now += 1,
                    1 => sent.outside = LOOK_AFTER,
                    2 => sent = MaybeSent::default(),
                    3 => {
                        db.execute("DELETE FROM sent WHERE client_time = ?1", [sql(time)])
                            .unwrap();
                    }
                    _ => {
                        let may_have = sent.may_have(&db, now * 1_000, sender, &id).unwrap();
                        if draw(10) == 0 {
                            sent.len += MOST; // as if there were too many
                        }
                        sent.note(sender, &id);
                        sent.len = sent.ids.values().map(HashSet::len).sum();
                        let is_new = insert(&db, sender, &id);
                        assert!(may_have || is_new, "{time} {sender} {id:?}");
                        *(if may_have { &mut seen } else { &mut unseen }) += 1;
                    }
                }
            }
        }
        assert!(seen > 1_000 && unseen > 1_000, "{seen} {unseen}");
    }

    #[test]
    fn new_ids_are_known_to_be_new_and_the_oldest_are_forgotten_first() {
        let (db, mut sent) = (table(), MaybeSent::default());
        for random in 0..10 {
            assert!(insert(&db, 1, &id(99, random)));
        }
        assert!(insert(&db, 1, &id(1_000, 0)));
        let may_have = |sent: &mut MaybeSent, id| sent.may_have(&db, 100_000, 1, &id).unwrap();
        assert!(may_have(&mut sent, id(99, 11)), "of its second");
        assert!(may_have(&mut sent, id(1_000, 1)), "of a wrong clock");
        for random in 0..2 * MOST as u32 {
            let id = id(100 + u64::from(random / 1_000), random);
            assert!(!may_have(&mut sent, id), "{random}");
            sent.note(1, &id);
            assert!(may_have(&mut sent, id), "{random}");
        }
        assert!(sent.len <= MOST && sent.len > MOST / 2);
        assert!(may_have(&mut sent, id(100, 999_999)), "forgotten");
        assert!(!may_have(&mut sent, id(300, 1)));
    }
}
