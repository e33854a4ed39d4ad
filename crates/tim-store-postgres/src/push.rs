//! Tokens of push services, and up to where their users were notified.

use super::db::{self, Connection, Optional as _};
use super::value::params;
use tim_proto::UserId;
use tim_proto::request::{MAX_PUSH_TOKEN, PushPlatform};
use tim_store::{MAX_PUSH_TOKENS, PushToken, PushUser, Refused, RegisterPush, Written};

use super::batch::{Batch, Stop};
use super::rows::{parsed, rows, sql, unsigned, user_id};

/// A user's tokens, in the order in which they were registered.
pub(super) fn tokens(db: &Connection, user: &UserId) -> db::Result<Vec<PushToken>> {
    let Some(user) = user_id(db, user)? else {
        return Ok(Vec::new());
    };
    let statement =
        db.statement("SELECT id, platform, token, enabled FROM push_tokens WHERE account = ?1 ORDER BY id")?;
    let rows = statement.query_map([user], |row| {
        Ok(PushToken {
            number: unsigned(row, 0)?,
            platform: PushPlatform(row.get(1)?),
            token: row.get(2)?,
            enabled: row.get(3)?,
        })
    })?;
    rows.collect()
}

/// A page of the users with tokens, in the order of their ids.
pub(super) fn users(db: &Connection, after: Option<&UserId>, limit: usize) -> db::Result<Vec<PushUser>> {
    let after = after.map_or("", UserId::as_str);
    let statement = db.statement(
        "SELECT u.name, p.pushed FROM users u JOIN push_users p ON p.account = u.id
         WHERE u.name > ?1 ORDER BY u.name LIMIT ?2",
    )?;
    let rows = statement.query_map(params![after, rows(limit)], |row| {
        Ok(PushUser {
            user: parsed(row, 0)?,
            pushed: unsigned(row, 1)?,
        })
    })?;
    rows.collect()
}

/// The members of a group who have tokens.
pub(super) fn members(db: &Connection, log: i64) -> db::Result<Vec<UserId>> {
    let statement = db.statement(
        "SELECT u.name FROM personal m JOIN push_users p ON p.account = m.account
         JOIN users u ON u.id = m.account WHERE m.log = ?1 AND m.role IS NOT NULL",
    )?;
    let rows = statement.query_map([log], |row| parsed(row, 0))?;
    rows.collect()
}

impl Batch<'_> {
    pub(super) fn register_push(&self, register: &RegisterPush) -> Result<Written, Stop> {
        let user = self.user(&register.user)?;
        let len = register.token.len();
        if len == 0 || len > MAX_PUSH_TOKEN {
            return Err(Refused::TextTooLong {
                what: "token of a push service",
                len,
                max: MAX_PUSH_TOKEN,
            }
            .into());
        }
        let mut own = None;
        for token in [Some(&register.token), register.written.as_ref()]
            .into_iter()
            .flatten()
        {
            match self.token(register.platform, token)? {
                Some((id, owner)) if owner == user && own.is_none() => own = Some(id),
                Some((id, owner)) => self.remove_token(id, owner)?,
                None => {}
            }
        }
        match own {
            Some(id) => self.keep_token(id, register)?,
            None => self.add_token(user, register)?,
        }
        self.keep_account(user)?;
        let pushed = self
            .db
            .statement("SELECT pushed FROM push_users WHERE account = ?1")?
            .query_row([user], |row| unsigned(row, 0))?;
        Ok(Written::PushRegistered { pushed })
    }

    /// The number and the owner of a token.
    fn token(&self, platform: PushPlatform, token: &str) -> db::Result<Option<(i64, i64)>> {
        self.db
            .statement("SELECT id, account FROM push_tokens WHERE token = ?1 AND platform = ?2")?
            .query_row(params![token, platform.0], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
    }

    /// A token stays, and takes the form in which it is registered now.
    fn keep_token(&self, id: i64, register: &RegisterPush) -> db::Result<()> {
        self.db
            .statement("UPDATE push_tokens SET token = ?2, enabled = ?3 WHERE id = ?1")?
            .run(params![id, register.token, register.enabled])?;
        Ok(())
    }

    /// Adds a token. The oldest makes room; who had none is notified of what comes from now on.
    fn add_token(&self, user: i64, register: &RegisterPush) -> db::Result<()> {
        self.db
            .statement(
                "DELETE FROM push_tokens WHERE id IN (
                     SELECT id FROM push_tokens WHERE account = ?1 ORDER BY id DESC LIMIT ALL OFFSET ?2)",
            )?
            .run([user, sql(MAX_PUSH_TOKENS as u64 - 1)])?;
        // Numbers only grow, so that nothing that was sent to one token is taken for something to another.
        let id: i64 = self
            .db
            .statement("UPDATE meta SET push_token = push_token + 1 WHERE id = 0 RETURNING push_token")?
            .query_row(params![], |row| row.get(0))?;
        self.db
            .statement("INSERT INTO push_tokens VALUES (?1, ?2, ?3, ?4, ?5)")?
            .run(params![
                id,
                user,
                register.platform.0,
                register.token,
                register.enabled
            ])?;
        self.db
            .statement("INSERT INTO push_users VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
            .run([user, sql(self.change)])?;
        Ok(())
    }

    fn remove_token(&self, id: i64, owner: i64) -> db::Result<()> {
        self.db
            .statement("DELETE FROM push_tokens WHERE id = ?1")?
            .run([id])?;
        self.db
            .statement(
                "DELETE FROM push_users WHERE account = ?1 AND NOT EXISTS (SELECT 1 FROM push_tokens WHERE account = ?1)",
            )?
            .run([owner])?;
        Ok(())
    }

    pub(super) fn unregister_push(
        &self,
        user: &UserId,
        platform: PushPlatform,
        forms: [Option<&str>; 2],
        number: Option<u64>,
    ) -> Result<Written, Stop> {
        let (user, number) = (self.user(user)?, number.map(sql));
        for token in forms.into_iter().flatten() {
            if let Some((id, owner)) = self.token(platform, token)?
                && owner == user
                && number.is_none_or(|number| number == id)
            {
                self.remove_token(id, user)?;
            }
        }
        Ok(Written::Done)
    }

    pub(super) fn pushed(&self, users: &[PushUser]) -> Result<Written, Stop> {
        for PushUser { user, pushed } in users {
            let Some(id) = self.known.user(self.db, user)? else {
                continue;
            };
            self.db
                .statement("UPDATE push_users SET pushed = ?2 WHERE account = ?1 AND pushed < ?2")?
                .run([id, sql(*pushed)])?;
        }
        Ok(Written::Done)
    }
}
