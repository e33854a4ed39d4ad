//! Contacts of users, UserSigs that are void, and accounts that were deleted.

use super::db::{self, Connection, Optional as _};
use super::value::params;
use tim_proto::UserId;
use tim_store::{ChangeContacts, Contact, Contacts, MAX_CONTACT_DETAILS, MAX_CONTACTS, Refused, Written};

use super::batch::{Batch, Stop};
use super::rows::{parsed, sql, unsigned};

/// From when on the UserSigs of a user are good.
pub(super) fn valid_from(db: &Connection, user: &UserId) -> db::Result<u64> {
    let found = db
        .statement("SELECT valid_from FROM users WHERE name = ?1")?
        .query_row([user.as_str()], |row| unsigned(row, 0))
        .optional()?;
    Ok(found.unwrap_or(0))
}

/// The contacts of a user.
pub(super) fn contacts(db: &Connection, user: &UserId) -> db::Result<Contacts> {
    let list = db
        .statement("SELECT id, contacts_version, contacts FROM users WHERE name = ?1")?
        .query_row([user.as_str()], |row| {
            Ok((row.get::<i64>(0)?, unsigned(row, 1)?, row.get(2)?))
        })
        .optional()?;
    let Some((id, version, details)) = list else {
        return Ok(Contacts::default());
    };
    let statement = db.statement(
        "SELECT u.name, c.details FROM contacts c JOIN users u ON u.id = c.contact
         WHERE c.account = ?1 ORDER BY c.number, u.name",
    )?;
    let rows = statement.query_map([id], |row| {
        Ok(Contact {
            user: parsed(row, 0)?,
            details: row.get(1)?,
        })
    })?;
    Ok(Contacts {
        version,
        details,
        contacts: rows.collect::<db::Result<_>>()?,
    })
}

impl Batch<'_> {
    pub(super) fn void_user_sigs(&self, user: &UserId, before_s: u64) -> Result<Written, Stop> {
        let id = self.user(user)?;
        self.void(id, before_s)?;
        Ok(Written::Done)
    }

    fn void(&self, id: i64, before_s: u64) -> db::Result<()> {
        // What was removed with the account would be good again.
        self.keep_account(id)?;
        self.db
            // A clock that was wrong may have set a time that is still to come, before which nobody could log in.
            .statement(
                "UPDATE users SET valid_from = CASE WHEN valid_from > ?3 THEN ?2 ELSE greatest(valid_from, ?2) END WHERE id = ?1",
            )?
            .run([id, sql(before_s), sql(self.now_ms / 1000)])?;
        Ok(())
    }

    pub(super) fn delete_account(&self, user: &UserId, before_s: u64) -> Result<Written, Stop> {
        let id = self.user(user)?;
        self.void(id, before_s)?;
        self.db
            .statement(
                "UPDATE users SET contacts_version = contacts_version + 1
                 WHERE id IN (SELECT account FROM contacts WHERE contact = ?1)",
            )?
            .run([id])?;
        self.db
            .statement("DELETE FROM contacts WHERE account = ?1 OR contact = ?1")?
            .run([id])?;
        for statement in [
            "DELETE FROM push_tokens WHERE account = ?1",
            "DELETE FROM push_users WHERE account = ?1",
        ] {
            self.db.statement(statement)?.run([id])?;
        }
        self.db
            .statement(
                "UPDATE users SET nick = '', avatar = '', deleted = 1, contacts = '',
                 contacts_version = contacts_version + 1 WHERE id = ?1",
            )?
            .run([id])?;
        Ok(Written::Done)
    }

    pub(super) fn change_contacts(&self, changes: &[ChangeContacts]) -> Result<Written, Stop> {
        let mut owners = Vec::with_capacity(changes.len());
        for change in changes {
            let owner = self.check_change(change)?;
            // The second change of a list would be of a version that is not there yet.
            if owners.contains(&owner) {
                return Err(Refused::ContactsChanged(change.user).into());
            }
            owners.push(owner);
        }
        for (change, owner) in changes.iter().zip(owners) {
            self.apply_change(change, owner)?;
        }
        Ok(Written::Done)
    }

    /// Checks a change of a user's contacts. Writes nothing.
    fn check_change(&self, change: &ChangeContacts) -> Result<i64, Stop> {
        let owner = self.user(&change.user)?;
        let (version, count) = self
            .db
            .statement(
                "SELECT contacts_version, (SELECT count(*) FROM contacts c WHERE c.account = u.id) FROM users u WHERE id = ?1",
            )?
            .query_row([owner], |row| Ok((unsigned(row, 0)?, unsigned(row, 1)?)))?;
        if version != change.version {
            return Err(Refused::ContactsChanged(change.user).into());
        }
        let said = change
            .set
            .iter()
            .map(|contact| &contact.details)
            .chain(&change.details);
        if let Some(len) = said.map(String::len).find(|len| *len > MAX_CONTACT_DETAILS) {
            let max = MAX_CONTACT_DETAILS;
            return Err(Refused::TooLarge { len, max }.into());
        }
        let is_known = self
            .db
            .statement("SELECT EXISTS (SELECT 1 FROM contacts WHERE account = ?1 AND contact = ?2)")?;
        let mut added = 0_u64;
        for contact in &change.set {
            let id = self.user(&contact.user)?;
            added += u64::from(!is_known.query_row([owner, id], |row| row.get::<bool>(0))?);
        }
        let mut removed = 0_u64;
        for contact in &change.remove {
            if let Some(id) = self.known.user(self.db, contact)? {
                removed += u64::from(is_known.query_row([owner, id], |row| row.get::<bool>(0))?);
            }
        }
        if (count + added).saturating_sub(removed) > MAX_CONTACTS as u64 {
            let (user, max) = (change.user, MAX_CONTACTS);
            return Err(Refused::TooManyContacts { user, max }.into());
        }
        Ok(owner)
    }

    fn apply_change(&self, change: &ChangeContacts, owner: i64) -> Result<(), Stop> {
        for contact in &change.remove {
            if let Some(id) = self.known.user(self.db, contact)? {
                self.db
                    .statement("DELETE FROM contacts WHERE account = ?1 AND contact = ?2")?
                    .run([owner, id])?;
            }
        }
        for contact in &change.set {
            let id = self.user(&contact.user)?;
            self.keep_account(id)?;
            self.db
                .statement(
                    "INSERT INTO contacts (account, contact, number, details) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (account, contact) DO UPDATE SET details = excluded.details",
                )?
                .run(params![owner, id, sql(change.version), contact.details])?;
        }
        self.keep_account(owner)?;
        self.db
            .statement(
                "UPDATE users SET contacts_version = contacts_version + 1, contacts = coalesce(?2, contacts) WHERE id = ?1",
            )?
            .run(params![owner, change.details])?;
        Ok(())
    }
}
