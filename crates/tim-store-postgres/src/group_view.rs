//! A group as the open transaction sees it, for the rules.

use super::db::{self, Connection, Optional as _};
use super::value::params;
use tim_groups::tips::UserNames;
use tim_groups::{
    DecideError, Field, FieldScope, GroupState, GroupView, LiveGroup, Request, RequestKind, Verdict,
};
use tim_proto::{GroupId, UserId};
use tim_store::{LogKey, Membership, Restriction};

use super::batch::Stop;
use super::reader::account;
use super::rosters::{self, group, membership};
use super::rows::{Head, KIND_DISMISSED, parsed, unsigned, user_id};

pub(super) struct View<'a> {
    db: &'a Connection,
    id: GroupId,
    pub(super) head: Option<Head>,
}

impl<'a> View<'a> {
    pub(super) fn new(db: &'a Connection, id: GroupId) -> db::Result<Self> {
        let head = Head::find(db, &LogKey::Group(id))?;
        Ok(Self { db, id, head })
    }

    /// Reads something of the group; the default if it does not exist.
    fn look<T: Default>(&self, look: impl FnOnce(&Connection, &Head) -> db::Result<T>) -> db::Result<T> {
        self.head
            .as_ref()
            .map_or_else(|| Ok(T::default()), |head| look(self.db, head))
    }

    /// The users that a query finds by the group's log.
    fn users(&self, sql: &str) -> db::Result<Vec<UserId>> {
        self.look(|db, head| {
            let statement = db.statement(sql)?;
            let rows = statement.query_map([head.id], |row| parsed(row, 0))?;
            rows.collect()
        })
    }
}

impl GroupView for View<'_> {
    type Error = db::Error;

    fn group(&self) -> db::Result<GroupState> {
        let live = self.look(|db, head| {
            let former_owner = db
                .statement(
                    "SELECT u.name FROM groups g JOIN users u ON u.id = g.former_owner WHERE g.log = ?1",
                )?
                .query_row([head.id], |row| parsed(row, 0))
                .optional()?;
            let group = group(db, head.id)?;
            Ok(group.map(|group| Box::new(LiveGroup { group, former_owner })))
        })?;
        Ok(match (live, ended_by(self.db, &self.id)?) {
            (Some(live), _) => GroupState::Live(live),
            (None, Some(by)) => GroupState::Dismissed { by },
            (None, None) => GroupState::Unknown,
        })
    }

    fn member(&self, user: &UserId) -> db::Result<Option<Membership>> {
        self.look(|db, head| match user_id(db, user)? {
            Some(user) => membership(db, user, head),
            None => Ok(None),
        })
    }

    fn groups_of(&self, user: &UserId, most: u32) -> db::Result<u32> {
        match user_id(self.db, user)? {
            Some(user) => groups_of(self.db, user, most),
            None => Ok(0),
        }
    }

    fn has_account(&self, user: &UserId) -> db::Result<bool> {
        Ok(*user != UserId::SYSTEM && user_id(self.db, user)?.is_some())
    }

    fn names(&self, user: &UserId) -> db::Result<UserNames> {
        let Some(account) = account(self.db, user)? else {
            return Ok(UserNames::default());
        };
        let name_card = self.member(user)?.map(|member| member.name_card);
        Ok(UserNames {
            name_card: name_card.unwrap_or_default(),
            ..account.into()
        })
    }

    fn managers(&self) -> db::Result<Vec<UserId>> {
        let managers = self.look(|db, head| rosters::managers(db, head.id))?;
        Ok(managers.into_iter().map(|member| member.account.user).collect())
    }

    fn members(&self) -> db::Result<Vec<UserId>> {
        self.users(
            "SELECT u.name FROM personal p JOIN users u ON u.id = p.account
             WHERE p.log = ?1 AND p.role IS NOT NULL ORDER BY p.joined_ms, p.account",
        )
    }

    fn successor(&self, owner: &UserId) -> db::Result<Option<UserId>> {
        for sql in [
            "SELECT u.name FROM personal p JOIN users u ON u.id = p.account
             WHERE p.log = ?1 AND p.role < 3 AND p.role = 2 ORDER BY p.joined_ms, p.account LIMIT 1",
            "SELECT u.name FROM personal p JOIN users u ON u.id = p.account
             WHERE p.log = ?1 AND p.role IS NOT NULL ORDER BY p.joined_ms, p.account LIMIT 2",
        ] {
            let next = self.users(sql)?.into_iter().find(|user| user != owner);
            if next.is_some() {
                return Ok(next);
            }
        }
        Ok(None)
    }

    fn request(&self, user: &UserId, kind: RequestKind) -> db::Result<Option<Request>> {
        self.look(|db, head| {
            let Some(user) = user_id(db, user)? else {
                return Ok(None);
            };
            db.statement(
                "SELECT r.number, r.accepted, i.name, d.name FROM requests r
                 LEFT JOIN users i ON i.id = r.inviter LEFT JOIN users d ON d.id = r.decided_by
                 WHERE r.log = ?1 AND r.account = ?2 AND r.kind = ?3",
            )?
            .query_row(params![head.id, user, request_kind(kind)], |row| {
                let name = |column: usize| match row.get::<Option<String>>(column)? {
                    None => Ok(None),
                    Some(_) => parsed(row, column).map(Some),
                };
                let accepted: Option<bool> = row.get(1)?;
                let verdict = name(3)?.zip(accepted);
                Ok(Request {
                    key: unsigned(row, 0)?,
                    inviter: name(2)?,
                    verdict: verdict.map(|(by, accepted)| Verdict { by, accepted }),
                })
            })
            .optional()
        })
    }

    fn open_applications(&self) -> db::Result<u32> {
        self.look(|db, head| {
            // The index is named, because the planner prefers the primary key, which has the decided requests too.
            db.statement(
                "SELECT count(*) FROM requests 
                 WHERE log = ?1 AND kind = ?2 AND accepted IS NULL",
            )?
            .query_row(params![head.id, request_kind(RequestKind::Application)], |row| {
                row.get(0)
            })
        })
    }

    fn next_key(&self) -> db::Result<u64> {
        self.db
            .statement("SELECT request + 1 FROM meta WHERE id = 0")?
            .query_row(params![], |row| unsigned(row, 0))
    }

    fn fields(&self, of: &FieldScope) -> db::Result<Vec<Field>> {
        self.look(|db, head| super::administer::fields(db, head.id, of))
    }

    fn restriction(&self, user: &UserId) -> db::Result<Restriction> {
        self.look(|db, head| rosters::restriction(db, head.id, user))
    }
}

pub(super) const fn request_kind(kind: RequestKind) -> i64 {
    match kind {
        RequestKind::Application => 1,
        RequestKind::Invitation => 2,
    }
}

/// The number of groups that a user is in, counted in the index of the user's rows up to `most`.
pub(super) fn groups_of(db: &Connection, user: i64, most: u32) -> db::Result<u32> {
    db.statement(
        "SELECT count(*) FROM (SELECT 1 FROM personal WHERE account = ?1 AND role IS NOT NULL LIMIT ?2) found",
    )?
    .query_row(params![user, most], |row| row.get(0))
}

/// The user who ended the group with this id, if there was one.
pub(super) fn ended_by(db: &Connection, group: &GroupId) -> db::Result<Option<UserId>> {
    db.statement(
        "SELECT u.name FROM logs l JOIN groups g ON g.log = l.id JOIN users u ON u.id = g.dismissed_by
         WHERE l.name = ?1 AND l.kind = ?2",
    )?
    .query_row(params![group.as_str(), KIND_DISMISSED], |row| parsed(row, 0))
    .optional()
}

impl From<DecideError<db::Error>> for Stop {
    fn from(undecided: DecideError<db::Error>) -> Self {
        match undecided {
            DecideError::Refused(refused) => refused.into(),
            DecideError::View(error) => error.into(),
        }
    }
}
