//! A copy of everything that a hub keeps, as of one moment, while it runs.
//!
//! First the database, then the files that it names: none of these is removed before the copy is complete, as the hub removes no content
//! meanwhile. What is uploaded later may be in the copy, too; a hub that uses the copy removes it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use tim_files::{Copied, FileStore};
use tim_store::{StoreError, StoreReader};

use crate::files::Files;

/// What a backup has.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupReport {
    /// How many conversations.
    pub conversations: u64,
    /// How many entries. All were read again, and are intact.
    pub entries: u64,
    /// The bytes of the database.
    pub database_bytes: u64,
    /// The content of files.
    pub files: Copied,
    /// How many files that the database names have content that is missing or of another size, in the hub and so in the backup.
    pub damaged_files: u64,
    /// What is wrong with them, in words. At most 100.
    pub damage: Vec<String>,
    /// Whether content is in a store of objects that is none of the hub's: it is not in the backup.
    pub is_without_files: bool,
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The place is taken.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// Another one is being made.
    #[error("another backup is being made")]
    Busy,
    /// The store cannot be copied.
    #[error("the store cannot be copied: {0}")]
    Store(#[from] StoreError),
    /// Files cannot be copied.
    #[error("files cannot be copied: {0}")]
    Files(#[from] tim_files::FileError),
    /// The system's.
    #[error("{}: {error}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What it says.
        error: io::Error,
    },
    /// The store of a hub that does not run cannot be opened.
    #[error(transparent)]
    Open(#[from] tim_store_sqlite::OpenError),
    /// The copy is not whole: what it was made of is damaged.
    #[error("the copy is damaged as the store is: {0}")]
    Damaged(String),
}

/// Where the parts are, by their names in a data directory.
const FILES: &str = "files";
/// How many damaged files a report names.
const MAX_FINDINGS: usize = 100;
/// How the names of unfinished backups begin and end that [`clear`] removes: those of `tim backup`.
const UNFINISHED: (&str, &str) = (".tim-", ".partial");

/// Makes a backup of a hub that does not run.
///
/// # Errors
/// See [`BackupError`]; nothing is left behind then.
pub fn back_up_stopped(data: &Path, to: &Path, before: Option<&Path>) -> Result<BackupReport, BackupError> {
    // Dropped last: both keep hubs out.
    let (_writer, reader) = tim_store_sqlite::open(data)?;
    make(to, |partial| {
        reader.back_up(partial)?;
        let (from, into) = (data.join(FILES), partial.join(FILES));
        Ok(FileStore::back_up_closed(
            &from,
            &into,
            of_files(before).as_deref(),
        )?)
    })
}

/// Makes a backup of a hub that runs.
pub(crate) fn back_up(
    store: &dyn StoreReader,
    files: &Files,
    to: &Path,
    before: Option<&Path>,
) -> Result<BackupReport, BackupError> {
    // Before the snapshot.
    let _hold = files.hold_content().ok_or(BackupError::Busy)?;
    make(to, |partial| {
        store.back_up(partial)?;
        let Ok(content) = files.content() else {
            return Ok(Some(Copied::default()));
        };
        Ok(content.back_up(&partial.join(FILES), of_files(before).as_deref())?)
    })
}

fn of_files(before: Option<&Path>) -> Option<PathBuf> {
    before.map(|before| before.join(FILES))
}

/// Fills a directory beside the place, checks what is there, and gives it its name.
fn make(
    to: &Path,
    fill: impl FnOnce(&Path) -> Result<Option<Copied>, BackupError>,
) -> Result<BackupReport, BackupError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| BackupError::Io { path, error }
    };
    if fs::symlink_metadata(to).is_ok() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let (Some(parent), Some(name)) = (to.parent(), to.file_name()) else {
        return Err(at(to)(io::ErrorKind::InvalidInput.into()));
    };
    let partial = parent.join(format!(".{}.partial", name.to_string_lossy()));
    private_directory(parent).map_err(at(parent))?;
    let (_working, is_alone) = clear(parent);
    if is_alone {
        remove(&partial).map_err(at(&partial))?;
    }
    // Another hub may be making one of this name.
    if fs::symlink_metadata(&partial).is_ok() {
        return Err(BackupError::Exists(partial));
    }
    private_directory(&partial).map_err(at(&partial))?;
    let made = fill(&partial).and_then(|files| {
        let report = checked(&partial, files)?;
        sync(&partial).map_err(at(&partial))?;
        fs::rename(&partial, to).map_err(at(to))?;
        sync(parent).map_err(at(parent))?;
        Ok(report)
    });
    if made.is_err() {
        // It would be removed before the next one.
        let _ = remove(&partial);
    }
    made
}

fn checked(partial: &Path, files: Option<Copied>) -> Result<BackupReport, BackupError> {
    let found = tim_store_sqlite::check(partial)?;
    let damage = found.broken.iter().cloned();
    let damage = damage.chain(found.damaged.iter().map(ToString::to_string));
    let damage: Vec<String> = damage
        .chain(found.damaged_files.iter().cloned())
        .take(3)
        .collect();
    if !damage.is_empty() {
        return Err(BackupError::Damaged(damage.join("; ")));
    }
    let database = partial.join("tim.sqlite3");
    for beside in ["-wal", "-shm"] {
        // The check has left them behind, empty.
        let _ = fs::remove_file(partial.join(format!("tim.sqlite3{beside}")));
    }
    let (damaged_files, damage) = match files {
        Some(_) => damaged_files(partial)?,
        None => (0, Vec::new()),
    };
    Ok(BackupReport {
        damaged_files,
        damage,
        conversations: found.conversations,
        entries: found.entries,
        database_bytes: fs::metadata(&database).map_or(0, |file| file.len()),
        files: files.unwrap_or_default(),
        is_without_files: files.is_none(),
    })
}

/// How many files have content in the copy that is missing or of another size, and what is wrong with the first of them.
fn damaged_files(partial: &Path) -> Result<(u64, Vec<String>), BackupError> {
    let directory = partial.join(FILES);
    let (mut count, mut damage, mut failed) = (0, Vec::new(), None);
    tim_store_sqlite::files_in(partial, |file| {
        match crate::files::check_content(&directory, file, false) {
            Ok(None) => {}
            Ok(Some(wrong)) => {
                count += 1;
                if damage.len() < MAX_FINDINGS {
                    damage.push(format!("file {}: {wrong}", file.id));
                }
            }
            Err(error) => failed = Some(error),
        }
    })?;
    match failed {
        Some(error) => Err(BackupError::Io {
            path: directory,
            error,
        }),
        None => Ok((count, damage)),
    }
}

/// Removes what killed backups have left in a directory, unless another backup is being made there. The lock that is returned tells
/// others of this one; and whether this is the only one. Where directories cannot be locked, nothing is removed.
fn clear(parent: &Path) -> (Option<File>, bool) {
    let Ok(lock) = File::open(parent) else {
        return (None, false);
    };
    let is_alone = match lock.try_lock() {
        Ok(()) => {
            for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                let is_unfinished = name.starts_with(UNFINISHED.0) && name.ends_with(UNFINISHED.1);
                if is_unfinished && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    // It may be another user's. It takes space, and does no other harm.
                    let _ = fs::remove_dir_all(entry.path());
                }
            }
            lock.unlock().is_ok()
        }
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(_)) => return (None, false),
    };
    (lock.try_lock_shared().ok().map(|()| lock), is_alone)
}

fn private_directory(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn sync(directory: &Path) -> io::Result<()> {
    match cfg!(unix) {
        true => File::open(directory)?.sync_all(),
        false => Ok(()),
    }
}
