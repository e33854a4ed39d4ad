#![doc = include_str!("../README.md")]

mod administer;
mod append;
mod backup;
mod blocked;
mod changes;
mod check;
mod checkpoints;
mod contacts;
mod contents;
mod counts;
mod database;
mod details;
mod epochs;
#[cfg(test)]
mod erasure_tests;
mod export;
#[cfg(test)]
mod file_tests;
mod files;
#[cfg(test)]
mod full_disk_tests;
#[cfg(test)]
mod group_tests;
mod group_view;
mod groups;
mod known;
mod lists;
mod lock;
mod log;
#[cfg(test)]
mod log_tests;
mod maybe_sent;
mod mentions;
mod personal;
mod pool;
mod purge;
mod push;
mod recent;
mod revoke;
mod rosters;
mod rows;
mod schema;
mod shared;
mod statements;
mod sums;
#[cfg(test)]
mod tests;
mod unused;
mod unwritten;
#[cfg(test)]
mod unwritten_tests;
mod usage;
mod wal;
mod writer;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use tim_store::{NotStored, StoreError};
use tracing::{error, info, warn};

use database::Database;
use lock::DirLock;
use pool::Pool;
use shared::Shared;

pub use check::{DamagedEntries, Report, check, files_in};
pub use export::Export;
pub use lists::SqliteReader;
pub use writer::SqliteWriter;

/// What the fuzz targets look at. Not a part of the API.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing {
    use crate::log::{block, front, record};
    use crate::wal::{Found, judge_files};

    /// Reads the blocks of a generation in a log, and their records. Returns how many blocks are intact, and how many of them hold
    /// nothing but records.
    #[must_use]
    pub fn look_at_blocks(log: &[u8], salt: u64, generation: u64) -> (usize, usize) {
        match block::scan(log, salt, generation) {
            block::Found::Blocks(blocks) => {
                let whole = blocks.iter().filter(|(_, body)| record::decode(body).is_some());
                (blocks.len(), whole.count())
            }
            _ => (0, 0),
        }
    }

    /// How long a log of the store with this salt was, by its front; `None` if it has none.
    #[must_use]
    pub fn length_in_front(log: &[u8], salt: u64) -> Option<u64> {
        match front::look(log, salt) {
            front::Front::Own { len } => Some(len),
            front::Front::Nothing | front::Front::Foreign => None,
        }
    }

    /// The records in these bytes, written anew; `None` if they are malformed.
    #[must_use]
    pub fn rewrite_records(bytes: &[u8]) -> Option<Vec<u8>> {
        let mut again = Vec::new();
        for write in record::decode(bytes)? {
            record::encode(&write, &mut again);
        }
        Some(again)
    }

    /// What a look at the write-ahead log finds.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum InLog {
        /// Nothing is missing.
        Whole,
        /// It ends inside a transaction.
        Unfinished,
        /// It is empty, and its index knows committed frames.
        Empty,
        /// Acknowledged changes are missing.
        Damaged,
    }

    /// Looks at a write-ahead log and its index.
    #[must_use]
    pub fn look_at_log(log: &[u8], index: &[u8]) -> InLog {
        match judge_files(log, index) {
            Found::Whole => InLog::Whole,
            Found::Unfinished => InLog::Unfinished,
            Found::Empty => InLog::Empty,
            Found::Damaged(_) => InLog::Damaged,
        }
    }
}

/// The oldest safe SQLite. Older ones can lose committed pages when a checkpoint races with a writer.
pub const OLDEST_SQLITE: i32 = 3_051_003;

const DATABASE: &str = "tim.sqlite3";
/// The length of a database file's header. A shorter file is not a database.
const HEADER: u64 = 100;
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// What is deleted is overwritten, also in pages that become free. See [`contents`] for what SQLite moves.
const DELETE: &str = "PRAGMA secure_delete=ON";
const STATEMENT_CACHE: usize = 160;
/// How long the store is checked when it is opened. A larger one is checked in part.
const CHECK_TIME: Duration = Duration::from_secs(2);
/// How many findings an error names.
const MAX_NAMED: usize = 3;
/// The largest number of pages of a SQLite database.
const MAX_PAGES: i64 = 4_294_967_294;

/// Why a data directory could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another hub uses it. Stop that hub, or choose another directory.
    #[error("{} is in use by another hub{}", path.display(), Pid(*pid))]
    InUse {
        /// The data directory.
        path: PathBuf,
        /// The other hub's process id, if it could be read.
        pid: Option<u32>,
    },
    /// The linked SQLite has a known bug that loses data.
    #[error("SQLite {found} is too old, 3.51.3 or newer is needed")]
    SqliteTooOld {
        /// Its version.
        found: &'static str,
    },
    /// A newer hub has written the database.
    #[error(
        "the database has schema {found}, but this program knows only up to {known}: use a newer version"
    )]
    NewerSchema {
        /// The database's schema version.
        found: u32,
        /// The newest version that this program knows.
        known: u32,
    },
    /// A hub from before the first release has written the database.
    #[error(
        "the database has schema {found}, but this program knows only those from {known} on: begin with an empty directory"
    )]
    OldSchema {
        /// The database's schema version.
        found: u32,
        /// The oldest version that this program knows.
        known: u32,
    },
    /// The file system does not support a write-ahead log, as most network file systems.
    #[error("the file system does not support a write-ahead log (journal mode {mode}): use a local disk")]
    NoWal {
        /// The journal mode that SQLite uses instead.
        mode: String,
    },
    /// The database file exists, but was truncated to less than a header. Restore a backup, or remove the file to begin anew.
    #[error("{} is truncated: restore a backup, or remove it and hub.lock to begin with an empty store", path.display())]
    Emptied {
        /// The database file.
        path: PathBuf,
    },
    /// The database file is missing, but its write-ahead log, with messages, exists. Restore the file, or a backup of both; remove the
    /// log to begin anew.
    #[error(
        "{path} is missing, but {path}-wal exists: restore the database or a backup of both, or remove the log \
         and hub.lock to begin with an empty store",
        path = path.display()
    )]
    Missing {
        /// The database file.
        path: PathBuf,
    },
    /// The database file is missing, but a hub has used the directory before. Restore a backup, or remove `hub.lock` to begin anew.
    #[error(
        "{} is missing, but a hub has used this directory: restore a backup, or remove hub.lock to begin with an empty store",
        path.display()
    )]
    Lost {
        /// The database file.
        path: PathBuf,
    },
    /// A file is damaged. Acknowledged messages may be missing: restore a backup. [`check`] says more.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The database file, or its write-ahead log.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// The disk is full. What is stored is intact.
    #[error("the database cannot be opened, as the disk is full")]
    DiskFull,
    /// The directory cannot be created or locked.
    #[error("cannot use {}: {error}", path.display())]
    Io {
        /// The data directory.
        path: PathBuf,
        /// The error of the operating system.
        error: io::Error,
    },
    /// An error of SQLite.
    #[error("cannot open the database: {0}")]
    Engine(String),
}

struct Pid(Option<u32>);

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |pid| write!(f, " (process {pid})"))
    }
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged {
                path: PathBuf::new(),
                what: error.to_string(),
            },
            _ => Self::Engine(error.to_string()),
        }
    }
}

impl OpenError {
    /// What was in the log cannot be stored in the database.
    fn from_store(error: StoreError) -> Self {
        match error {
            StoreError::NotStored(NotStored::DiskFull) => Self::DiskFull,
            error => Self::Engine(error.to_string()),
        }
    }

    /// Names the database.
    fn in_file(self, database: &Path) -> Self {
        match self {
            Self::Damaged { path, what } if path.as_os_str().is_empty() => Self::Damaged {
                path: database.to_owned(),
                what,
            },
            Self::Engine(text) => Self::Engine(format!("{}: {text}", database.display())),
            other => other,
        }
    }
}

/// Opens a data directory, which is created if it does not exist, and keeps other hubs out until both ends are dropped.
///
/// ```
/// use tim_store::{StoreReader, StoreWriter, Write, Written};
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path();
/// let (mut writer, reader) = tim_store_sqlite::open(dir)?;
/// let alice = "alice".parse()?;
/// let commit = writer.commit(1_705_307_415_000, &[Write::EnsureAccount(alice)])?;
/// let account = reader.account(&alice)?.ok_or("alice has an account")?;
/// assert_eq!(commit.results, [Ok(Written::Account { number: account.number })]);
/// assert!(tim_store_sqlite::open(dir).is_err(), "one hub at a time");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// See [`OpenError`].
pub fn open(dir: &Path) -> Result<(SqliteWriter, SqliteReader), OpenError> {
    OpenOptions::new().open(dir)
}

/// How a data directory is opened.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct OpenOptions {
    max_bytes: u64,
    now_ms: Option<u64>,
    random: Option<u64>,
}

impl OpenOptions {
    /// Without a limit, by the system's clock.
    pub fn new() -> Self {
        Self::default()
    }

    /// The largest size of the database in bytes; 0 is no limit. A database that is larger already does not grow. A write beyond
    /// the limit fails as on a full disk; removing old entries frees space.
    pub const fn max_bytes(mut self, max_bytes: u64) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// The current time, Unix time in milliseconds, which is part of the id of the [epoch](tim_store::Epoch) that begins. Default:
    /// the system's.
    pub const fn now_ms(mut self, now_ms: u64) -> Self {
        self.now_ms = Some(now_ms);
        self
    }

    /// The random part of the id of the [epoch](tim_store::Epoch) that begins. Two copies of a store must not be opened with the
    /// same number. Default: drawn.
    pub const fn random(mut self, random: u64) -> Self {
        self.random = Some(random);
        self
    }

    /// Opens a data directory, which is created if it does not exist, and keeps other hubs out until both ends are dropped.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(&self, dir: &Path) -> Result<(SqliteWriter, SqliteReader), OpenError> {
        if rusqlite::version_number() < OLDEST_SQLITE {
            return Err(OpenError::SqliteTooOld {
                found: rusqlite::version(),
            });
        }
        let lock = Arc::new(DirLock::take(dir)?);
        let path = dir.join(DATABASE);
        if lock.was_begun() {
            remove_unfinished(&path)?;
        }
        let is_new = look_at_files(&path)?;
        if is_new && lock.was_used() {
            return Err(OpenError::Lost { path });
        }
        if lock.was_killed() && size(&beside(&path, "-wal"))?.is_none() {
            let path = path.display();
            warn!(
                "the last hub was killed, but {path}-wal is missing: unless it was starting or stopping, messages are lost"
            );
        }
        let store = self.open_database(&path, is_new, lock);
        store.map_err(|error| error.in_file(&path))
    }

    fn open_database(
        &self,
        path: &Path,
        is_new: bool,
        lock: Arc<DirLock>,
    ) -> Result<(SqliteWriter, SqliteReader), OpenError> {
        let mut connection = open_writer(path).inspect_err(|_| {
            // A database whose creation failed must not look like a truncated one.
            if is_new && fs::metadata(path).is_ok_and(|file| file.len() == 0) {
                let _ = fs::remove_file(path);
            }
        })?;
        let has_log = schema::migrate(&connection)?;
        if !is_new {
            check_at_start(&mut connection, path)?;
        }
        let log = path.with_file_name(log::LOG);
        let mut database = Database::open(connection, path, has_log && lock.was_killed())?;
        // What is in the log already was stored within the limit of that time.
        if self.max_bytes > 0 {
            database.limit_size(self.max_bytes)?;
        }
        lock::keep_private(&log)?;
        let now_ms = self.now_ms.unwrap_or_else(system_time_ms);
        let epochs = Arc::new(epochs::begin(database.connection(), now_ms, self.random)?);
        database.set_epoch(epochs.current());
        let has_front = database.log().has_front();
        let counts = database.log().counts();
        let shared = Arc::new(Shared::new(database));
        let writer = SqliteWriter::new(Arc::clone(&shared), Arc::clone(&lock));
        // On a full disk there may be no log yet, and it must not be missed after a kill.
        if has_front {
            lock.mark_used().map_err(|error| OpenError::Io {
                path: path.to_owned(),
                error,
            })?;
        }
        Ok((
            writer,
            SqliteReader::new(Pool::new(path.to_owned()), shared, epochs, lock, counts),
        ))
    }
}

/// Looks at the files before SQLite does, which would take some damage for an empty database. Returns whether there is no database.
/// No hub may be running.
fn look_at_files(path: &Path) -> Result<bool, OpenError> {
    let log = beside(path, "-wal");
    only_file(path).map_err(|error| OpenError::Io {
        path: path.to_owned(),
        error,
    })?;
    let found = size(path)?;
    match found {
        None if size(&log)?.is_some_and(|len| len > 0) => {
            return Err(OpenError::Missing {
                path: path.to_owned(),
            });
        }
        // SQLite takes a file of even one byte for a new database.
        Some(len) if len < HEADER => {
            return Err(OpenError::Emptied {
                path: path.to_owned(),
            });
        }
        _ => {}
    }
    match wal::look(path) {
        Ok(wal::Found::Whole) => {}
        Ok(wal::Found::Unfinished) => warn!(
            "{} ends with a transaction that is not whole: after a power cut it was not acknowledged; if there was none, the \
             file is damaged and the last changes are lost",
            log.display()
        ),
        Ok(wal::Found::Empty) => warn!(
            "{} is empty: after a power cut its changes are in the database; if there was none, the file is damaged and the last \
             changes are lost",
            log.display()
        ),
        Ok(wal::Found::Damaged(what)) => return Err(OpenError::Damaged { path: log, what }),
        Err(error) => return Err(OpenError::Io { path: log, error }),
    }
    Ok(found.is_none())
}

/// Removes what a hub has left that was killed while it created the database. SQLite writes the first page only after the file was
/// there for a while, with a journal beside it.
fn remove_unfinished(path: &Path) -> Result<(), OpenError> {
    let log = path.with_file_name(log::LOG);
    let has_nothing = size(path)? == Some(0)
        && size(&beside(path, "-wal"))?.is_none_or(|len| len == 0)
        && size(&log)?.is_none();
    if !has_nothing {
        return Ok(());
    }
    for file in [beside(path, "-journal"), path.to_owned()] {
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(OpenError::Io { path: file, error });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Checks what can be checked in a short time. A store whose structure is damaged is not opened; damaged entries are reported.
fn check_at_start(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let report = check::run(connection, Instant::now().checked_add(CHECK_TIME));
    if !report.broken.is_empty() {
        let what = report.broken.get(..MAX_NAMED).unwrap_or(&report.broken);
        return Err(OpenError::Damaged {
            path: path.to_owned(),
            what: what.join("; "),
        });
    }
    if report.is_partial {
        info!(
            "{} was checked in part; there was no time for more",
            path.display()
        );
    }
    if !report.miscounted.is_empty() {
        warn!(
            users = report.miscounted.join(", "),
            "what these users have stored was miscounted, and is counted anew"
        );
        // As on a full disk: nothing else depends on it.
        if let Err(error) = usage::correct(connection) {
            warn!(%error, "it cannot be counted anew now");
        }
    }
    if report.misjudged_files > 0 {
        warn!(
            files = report.misjudged_files,
            "whether files are used was wrong, and is corrected"
        );
        if let Err(error) = files::correct(connection) {
            warn!(%error, "it cannot be corrected now");
        }
    }
    for file in report.damaged_files {
        error!(
            "{} is damaged: what is stored of file {file}; it is not served",
            path.display()
        );
    }
    for damaged in report.damaged {
        error!(
            "{} is damaged: {damaged}; these entries are not served",
            path.display()
        );
    }
    Ok(())
}

/// The length of a file; `None` if there is none.
fn size(path: &Path) -> Result<Option<u64>, OpenError> {
    match fs::metadata(path) {
        Ok(file) => Ok(Some(file.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(OpenError::Io {
            path: path.to_owned(),
            error,
        }),
    }
}

/// Refuses what is no file but is in the place of one. Reading from a pipe would wait forever; writing to `/dev/null` keeps nothing.
fn only_file(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{} is not a file", path.display()),
        )),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The path of a file that SQLite keeps beside the database.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

fn system_time_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn open_writer(path: &Path) -> Result<Connection, OpenError> {
    let connection = Connection::open(path)?;
    // SQLite gives the files beside it the same mode.
    lock::keep_private(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let mode: String = connection.query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(OpenError::NoWal { mode });
    }
    // `checkpoints` moves the write-ahead log, which is truncated to 64 MiB afterwards. Pages of a generation stay in memory until its
    // commit, whatever the size of the cache.
    connection.execute_batch(
        "PRAGMA synchronous=FULL;
         PRAGMA fullfsync=ON;
         PRAGMA checkpoint_fullfsync=ON;
         PRAGMA wal_autocheckpoint=0;
         PRAGMA journal_size_limit=67108864;
         PRAGMA cache_size=-65536;
         PRAGMA cache_spill=OFF;
         PRAGMA foreign_keys=OFF;",
    )?;
    connection.execute_batch(DELETE)?;
    keep_statements(&connection)?;
    Ok(connection)
}

/// Each statement is prepared once. By default SQLite plans some of them anew for the bound values, which takes longer than
/// running them.
fn keep_statements(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.execute_batch("PRAGMA cache_size=-8192; PRAGMA query_only=ON;")?;
    keep_statements(&connection)?;
    Ok(connection)
}

/// An error outside of a COMMIT: nothing was stored, or the disk cannot be trusted.
fn plain_error(error: &rusqlite::Error) -> StoreError {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::NotStored(NotStored::DiskFull),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::NotStored(NotStored::Busy),
        Some(ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Fatal(text)
        }
        _ => StoreError::NotStored(NotStored::Engine(text)),
    }
}
