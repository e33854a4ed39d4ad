//! Files, and which entries use them.
//!
//! A file that nothing uses has a time in `unused_ms`: when it was stored or claimed, or 0 if its last use has ended. The first use clears
//! it. A claim of a file that is in use is kept in `touched_ms` for the end of the last use, and the owner's next message takes it back.
//!

use super::db::{self, Connection, Optional as _, Row};
use super::value::params;
use tim_proto::planted::{self, Fault};
use tim_proto::{FileId, MessageKind, UserId};
use tim_store::{
    AddFile, Append, File, FileContent, FileUsage, LogKey, MAX_FILES, MAX_IMAGES, MAX_MEDIA_TYPE,
    MAX_USES_LOOK, Refused, RemoveFiles, Written,
};

use super::batch::{Batch, Stop};
use super::damage::Damage;
use super::details::{self, Details};
use super::rows::{Head, parsed, sql, unsigned, user_id};

/// A file as it is stored.
struct Stored {
    id: i64,
    owner: i64,
    file: File,
}

/// The columns of a [`Stored`], of `files f` and `users u`, from column 0.
macro_rules! file_columns {
    () => {
        "f.id, f.name, f.owner, f.kind, f.size, f.created_ms, f.details, u.name FROM files f LEFT JOIN users u ON u.id = f.owner"
    };
}

impl Stored {
    fn from_row(row: &Row) -> db::Result<Self> {
        let id: i64 = row.get(0)?;
        // A value of another type is damaged, too.
        Self::read(row, id)
            .ok()
            .flatten()
            .ok_or_else(|| Damage::of_file(id).into())
    }

    fn read(row: &Row, id: i64) -> db::Result<Option<Self>> {
        let (key, details): (FileId, Vec<u8>) = (file_id(row, 1)?, row.get(6)?);
        let (kind, size, created_ms) = (MessageKind(row.get(3)?), unsigned(row, 4)?, unsigned(row, 5)?);
        let (owner, name) = (row.get(2)?, parsed(row, 7)?);
        Ok(Details::decode(&details).map(|decoded| Self {
            id,
            owner,
            file: decoded.file(key, name, kind, size, created_ms),
        }))
    }
}

/// The part of the hash by which a file is found.
const fn digest(sha256: &[u8; 32]) -> i64 {
    let [a, b, c, d, e, f, g, h, ..] = *sha256;
    i64::from_le_bytes([a, b, c, d, e, f, g, h])
}

fn file_id(row: &Row, column: usize) -> db::Result<FileId> {
    row.get(column).map(FileId::from_bytes)
}

fn stored(db: &Connection, key: &FileId) -> db::Result<Option<Stored>> {
    db.statement(concat!("SELECT ", file_columns!(), " WHERE f.name = ?1"))?
        .query_row([key.to_bytes()], Stored::from_row)
        .optional()
}

/// A file.
pub(super) fn file(db: &Connection, key: &FileId) -> db::Result<Option<File>> {
    stored(db, key).map(|found| found.map(|stored| stored.file))
}

fn stored_with(db: &Connection, owner: i64, content: &FileContent) -> db::Result<Option<Stored>> {
    let statement = db.statement(concat!(
        "SELECT ",
        file_columns!(),
        " WHERE f.owner = ?1 AND f.digest = ?2 AND f.size = ?3 AND f.kind = ?4 ORDER BY f.id"
    ))?;
    let found = statement.query_map(
        params![owner, digest(&content.sha256), sql(content.size), content.kind.0],
        Stored::from_row,
    )?;
    for stored in found {
        match stored {
            Ok(stored) if stored.file.sha256 == content.sha256 => return Ok(Some(stored)),
            // A damaged one is not there.
            Err(error) if Damage::found(&error).is_none() => return Err(error),
            _ => {}
        }
    }
    Ok(None)
}

/// A user's file with this content.
pub(super) fn file_with(db: &Connection, content: &FileContent) -> db::Result<Option<File>> {
    let Some(owner) = user_id(db, &content.owner)? else {
        return Ok(None);
    };
    stored_with(db, owner, content).map(|found| found.map(|stored| stored.file))
}

/// What a user's files take up.
pub(super) fn usage(db: &Connection, owner: &UserId) -> db::Result<FileUsage> {
    user_id(db, owner)?.map_or_else(|| Ok(FileUsage::default()), |owner| usage_of(db, owner))
}

fn usage_of(db: &Connection, owner: i64) -> db::Result<FileUsage> {
    db.statement("SELECT coalesce(sum(bytes), 0)::bigint, count(*) FROM files WHERE owner = ?1")?
        .query_row([owner], |row| {
            Ok(FileUsage {
                bytes: unsigned(row, 0)?,
                files: unsigned(row, 1)?,
            })
        })
}

/// The files that an entry uses.
pub(super) fn files_of(db: &Connection, log: &LogKey, sequence: u64) -> db::Result<Vec<FileId>> {
    let Some(head) = Head::find(db, log)? else {
        return Ok(Vec::new());
    };
    let statement = db.statement(
        "SELECT f.name FROM uses s JOIN files f ON f.id = s.file WHERE s.log = ?1 AND s.sequence = ?2",
    )?;
    let rows = statement.query_map([head.id, sql(sequence)], |row| file_id(row, 0))?;
    rows.collect()
}

/// Whether a user may send a file.
pub(super) fn may_send(db: &Connection, user: &UserId, key: &FileId) -> db::Result<bool> {
    match (user_id(db, user)?, stored(db, key)?) {
        (Some(user), Some(found)) => Ok(found.owner == user || sees_use(db, user, found.id)?),
        _ => Ok(false),
    }
}

/// Whether a user is a participant who sees an entry that uses the file.
fn sees_use(db: &Connection, user: i64, file: i64) -> db::Result<bool> {
    db.statement(
        "SELECT EXISTS (
             SELECT 1 FROM (SELECT log, sequence FROM uses WHERE file = ?1 LIMIT ?3) s
             JOIN personal p ON p.account = ?2 AND p.log = s.log WHERE s.sequence > p.joined_at)",
    )?
    .query_row([file, user, sql(MAX_USES_LOOK as u64)], |row| row.get(0))
}

fn is_used(db: &Connection, file: i64) -> db::Result<bool> {
    db.statement("SELECT EXISTS (SELECT 1 FROM uses WHERE file = ?1)")?
        .query_row([file], |row| row.get(0))
}

fn check_file(file: &File) -> Result<(), Refused> {
    if file.images.len() > MAX_IMAGES {
        return Err(Refused::BadValue("a file has too many pictures"));
    }
    if file.media_type.len() > MAX_MEDIA_TYPE {
        return Err(Refused::TextTooLong {
            what: "media type",
            len: file.media_type.len(),
            max: MAX_MEDIA_TYPE,
        });
    }
    Ok(())
}

impl Batch<'_> {
    pub(super) fn add_file(&mut self, add: &AddFile) -> Result<Written, Stop> {
        let file = &add.file;
        let owner = self.user(&file.owner)?;
        check_file(file)?;
        if let Some(found) = stored_with(self.db, owner, &file.content())? {
            return self.claim(found);
        }
        if stored(self.db, &file.id)?.is_some() {
            return Err(Refused::IdReused.into());
        }
        self.check_file_quota(owner, add)?;
        let file = self.insert_file(owner, file)?;
        self.keep_account(owner)?;
        Ok(Written::File {
            file: Box::new(file),
            is_new: true,
        })
    }

    fn check_file_quota(&self, owner: i64, add: &AddFile) -> Result<(), Stop> {
        let (user, used) = (add.file.owner, usage_of(self.db, owner)?);
        if planted::is(Fault::FileQuotaIgnored) {
            return Ok(());
        }
        if used.files >= add.quota.files {
            return Err(Refused::TooManyFiles {
                user,
                stored: used.files,
                max: add.quota.files,
            }
            .into());
        }
        if used.bytes.saturating_add(add.file.bytes()) > add.quota.bytes {
            return Err(Refused::TooManyFileBytes {
                user,
                stored: used.bytes,
                max: add.quota.bytes,
            }
            .into());
        }
        Ok(())
    }

    fn insert_file(&mut self, owner: i64, file: &File) -> db::Result<File> {
        let file = File {
            created_ms: self.now_ms,
            ..file.clone()
        };
        // Ids only grow, so that details of a removed file are never taken for those of another.
        let id: i64 = self
            .db
            .statement(
                "SELECT 1 + greatest(removed_file, (SELECT coalesce(max(id), 0) FROM files)) FROM meta WHERE id = 0",
            )?
            .query_row(params![], |row| row.get(0))?;
        let details = details::encode(&file);
        self.db
            .statement(
                "INSERT INTO files (id, name, owner, kind, size, digest, bytes, created_ms, unused_ms, touched_ms, details)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, 0, ?9)",
            )?
            .run(params![
                id,
                file.id.to_bytes(),
                owner,
                file.kind.0,
                sql(file.size),
                digest(&file.sha256),
                sql(file.bytes()),
                sql(file.created_ms),
                details,
            ])?;
        Ok(file)
    }

    pub(super) fn claim_file(&mut self, owner: &UserId, key: &FileId) -> Result<Written, Stop> {
        let owner = self.user(owner)?;
        match stored(self.db, key)? {
            Some(found) if found.owner == owner => self.claim(found),
            _ => Err(Refused::NoSuchFile.into()),
        }
    }

    fn claim(&self, found: Stored) -> Result<Written, Stop> {
        self.db
            .statement(
                "UPDATE files SET touched_ms = greatest(touched_ms, ?2),
                     unused_ms = CASE WHEN unused_ms IS NULL THEN NULL ELSE greatest(unused_ms, ?2) END WHERE id = ?1",
            )?
            .run([found.id, sql(self.now_ms)])?;
        Ok(Written::File {
            file: Box::new(found.file),
            is_new: false,
        })
    }

    /// The files that a message names, if its sender may send all of them. Writes nothing.
    pub(super) fn sendable(&self, append: &Append, sender: i64) -> Result<Sendable, Stop> {
        if append.files.len() > MAX_FILES {
            return Err(Refused::BadValue("the message names too many files").into());
        }
        let mut files = Vec::with_capacity(append.files.len());
        for key in &append.files {
            let found = stored(self.db, key)?.ok_or(Refused::FileNotYours)?;
            let is_sendable = found.owner == sender || planted::is(Fault::FileOfAnybody);
            if !is_sendable && !sees_use(self.db, sender, found.id)? {
                return Err(Refused::FileNotYours.into());
            }
            files.push(found);
        }
        Ok(Sendable(files))
    }

    /// An entry uses files.
    pub(super) fn use_files(
        &mut self,
        files: Sendable,
        sender: i64,
        log: i64,
        sequence: u64,
    ) -> db::Result<()> {
        if planted::is(Fault::FileNotPinned) {
            return Ok(());
        }
        for found in files.0 {
            self.db
                .statement("INSERT INTO uses VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?
                .run([log, sql(sequence), found.id])?;
            if found.owner == sender {
                self.db
                    .statement("UPDATE files SET unused_ms = NULL, touched_ms = 0 WHERE id = ?1 AND (unused_ms IS NOT NULL OR touched_ms <> 0)")?
                    .run([found.id])?;
            } else {
                self.db
                    .statement("UPDATE files SET unused_ms = NULL WHERE id = ?1 AND unused_ms IS NOT NULL")?
                    .run([found.id])?;
            }
        }
        Ok(())
    }

    /// The entry with this sequence uses no files any more.
    pub(super) fn end_uses_of(&self, log: i64, sequence: u64) -> db::Result<()> {
        if planted::is(Fault::RevocationKeepsFile) {
            return Ok(());
        }
        self.end_uses(log, sequence, sequence)
    }

    /// Entries of a log use no files any more.
    pub(super) fn end_uses(&self, log: i64, from: u64, to: u64) -> db::Result<()> {
        let range = [log, sql(from), sql(to)];
        let files = {
            let statement = self.db.statement(
                "SELECT DISTINCT file FROM uses WHERE log = ?1 AND sequence >= ?2 AND sequence <= ?3",
            )?;
            let rows = statement.query_map(range, |row| row.get(0))?;
            rows.collect::<db::Result<Vec<i64>>>()?
        };
        if files.is_empty() {
            return Ok(());
        }
        self.db
            .statement("DELETE FROM uses WHERE log = ?1 AND sequence >= ?2 AND sequence <= ?3")?
            .run(range)?;
        for file in files {
            if !is_used(self.db, file)? {
                self.db
                    .statement("UPDATE files SET unused_ms = touched_ms WHERE id = ?1")?
                    .run([file])?;
            }
        }
        Ok(())
    }

    pub(super) fn remove_files(&mut self, step: &RemoveFiles) -> Result<Written, Stop> {
        let found = {
            let statement = self.db.statement(
                "SELECT id, name FROM files
                 WHERE unused_ms IS NOT NULL AND unused_ms < ?1 ORDER BY unused_ms LIMIT ?2",
            )?;
            let before = i64::try_from(step.unsent_before_ms).unwrap_or(i64::MAX);
            let rows = statement.query_map([before, step.most.into()], |row| {
                Ok((row.get(0)?, file_id(row, 1)?))
            })?;
            rows.collect::<db::Result<Vec<(i64, FileId)>>>()?
        };
        let more = found.len() as u64 >= step.most.into();
        let mut files = Vec::new();
        for (id, key) in found {
            // A damaged mark must not remove anything.
            if is_used(self.db, id)? {
                self.db
                    .statement("UPDATE files SET unused_ms = NULL WHERE id = ?1")?
                    .run([id])?;
                continue;
            }
            self.db.statement("DELETE FROM files WHERE id = ?1")?.run([id])?;
            self.db
                .statement("UPDATE meta SET removed_file = greatest(removed_file, ?1)")?
                .run([id])?;
            files.push(key);
        }
        Ok(Written::FilesRemoved { files, more })
    }
}

/// Files that a user may send.
pub(super) struct Sendable(Vec<Stored>);
