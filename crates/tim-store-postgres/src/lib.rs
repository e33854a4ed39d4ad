#![doc = include_str!("../README.md")]

mod administer;
mod append;
mod batch;
mod blocked;
mod bus;
mod changes;
mod contacts;
mod damage;
mod db;
mod details;
mod entry_rows;
mod epochs;
mod errors;
mod files;
mod group_view;
mod groups;
mod hubs;
mod import;
mod known;
mod mentions;
mod personal;
mod pool;
mod purge;
mod push;
mod reader;
mod recent;
mod revoke;
mod rosters;
mod rows;
mod schema;
mod session;
mod sizes;
mod turns;
mod unused;
mod usage;
mod value;
mod watch;
mod writer;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use pool::Pool;
use session::{Place, open_error, take_lock};
use sizes::Sizes;
use tim_store::Store;
use watch::Watch;

pub use import::Import;
pub use reader::PostgresReader;
pub use writer::PostgresWriter;

/// Why a store could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The address of the database is malformed.
    #[error(
        "the address of the database is not right: {0}; it should be like postgres://user:password@host:5432/database"
    )]
    BadUrl(String),
    /// There is no database at this address, or none answers.
    #[error(
        "the database {place} cannot be reached: {why}; check the address, and whether PostgreSQL is running and listening there"
    )]
    Unreachable {
        /// The hosts and the database.
        place: String,
        /// The error.
        why: String,
    },
    /// The server does not let this user in, or does not have this database.
    #[error(
        "the database {place} refuses the connection: {why}; check the user, the password, the name of the database and pg_hba.conf"
    )]
    Refused {
        /// The hosts and the database.
        place: String,
        /// The server's error.
        why: String,
    },
    /// Another hub uses the store.
    #[error(
        "the schema {schema:?} is in use by another hub ({by}), and not both of them share it: stop the other one, or start both to share it"
    )]
    InUse {
        /// The schema.
        schema: String,
        /// Where the other hub is.
        by: String,
    },
    /// A newer hub has made the tables.
    #[error(
        "the tables have version {found}, but this program knows only up to {known}: use a newer version"
    )]
    NewerSchema {
        /// The version of the tables.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// A store is being copied into the schema, or was in part.
    #[error(
        "the copy of another store into the schema {schema:?} is not complete: run `tim migrate` again, which goes on with it"
    )]
    Unfinished {
        /// The schema.
        schema: String,
    },
    /// The user may not create or use the tables.
    #[error(
        "the user of the database lacks a right: {why}; as an administrator of the database, run \
         CREATE SCHEMA IF NOT EXISTS \"{schema}\" AUTHORIZATION the_user; tables that are there already must be that user's, too"
    )]
    MissingRights {
        /// The schema.
        schema: String,
        /// The server's error.
        why: String,
    },
    /// What the server acknowledges is not kept.
    #[error("the database runs with {setting} = {value}, and would lose acknowledged messages: {fix}")]
    NotDurable {
        /// The setting.
        setting: &'static str,
        /// Its value.
        value: String,
        /// What to do, by where the value comes from.
        fix: String,
    },
    /// The server is a standby.
    #[error(
        "the database is a standby, which cannot be written to: give the address of the primary, or of all servers"
    )]
    Standby,
    /// The database is read-only.
    #[error(
        "the database is read-only (default_transaction_read_only = on), and cannot be written to: {fix}"
    )]
    ReadOnly {
        /// What to do, by where the value comes from.
        fix: String,
    },
    /// The server is too old.
    #[error("PostgreSQL {} is too old: 13 or newer is needed", found / 10_000)]
    OldServer {
        /// Its version, as `server_version_num`.
        found: i64,
    },
    /// The texts of the database are not in UTF-8.
    #[error("the encoding of the database is {found}: create it with ENCODING 'UTF8'")]
    Encoding {
        /// The encoding.
        found: String,
    },
    /// The disk of the server is full.
    #[error("the disk of the database is full")]
    DiskFull,
    /// Another error.
    #[error("cannot open the database: {0}")]
    Engine(String),
}

/// The schema if no other is chosen.
pub const DEFAULT_SCHEMA: &str = "tim";

/// Opens a store in the schema [`DEFAULT_SCHEMA`] of a database, which is created if it does not exist, and keeps other hubs out until the
/// writing end is dropped.
///
/// # Errors
/// See [`OpenError`].
pub fn open(url: &str) -> Result<(PostgresWriter, PostgresReader), OpenError> {
    OpenOptions::new().open(url)
}

/// How a store is opened.
#[derive(Debug, Clone)]
#[must_use]
pub struct OpenOptions {
    schema: String,
    now_ms: Option<u64>,
    random: Option<u64>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            schema: DEFAULT_SCHEMA.to_owned(),
            now_ms: None,
            random: None,
        }
    }
}

impl OpenOptions {
    /// In the schema [`DEFAULT_SCHEMA`], by the system's clock.
    pub fn new() -> Self {
        Self::default()
    }

    /// The schema of the tables. Stores in different schemas of one database do not see each other.
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// The current time, Unix time in milliseconds, which is part of the id of the [epoch](tim_store::Epoch) that begins. Default: the system's.
    pub const fn now_ms(mut self, now_ms: u64) -> Self {
        self.now_ms = Some(now_ms);
        self
    }

    /// The random part of the id of the [epoch](tim_store::Epoch) that begins. Two copies of a store must not be opened with the same number.
    /// Default: drawn.
    pub const fn random(mut self, random: u64) -> Self {
        self.random = Some(random);
        self
    }

    /// Opens a store together with other hubs, each of which opens it so: it is created if it does not exist, and hubs that do not share
    /// are kept out. The bus of the [`Store`] is between them. The writing end reads what the others have written with each commit, so have it
    /// [look](tim_store::Writer::look) when the bus says that [there may be something](tim_store::BusEvent::Wrote).
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_shared(&self, url: &str) -> Result<Store, OpenError> {
        let place = Place::new(url, &self.schema)?;
        let session = place.session()?;
        let member = hubs::join(&session, &place, self, self.now_ms.unwrap_or_else(system_time_ms))?;
        let shared = bus::start(place.clone(), member.hub, member.turn.number)
            .map_err(|error| OpenError::Engine(error.to_string()))?;
        let epochs = Arc::new(member.epochs);
        let reader = PostgresReader::new(
            Pool::new(place.clone()),
            Watch::new(place.clone()),
            epochs,
            Sizes::default(),
        );
        let sharing = writer::Sharing {
            hub: member.hub,
            turn: member.turn,
            ahead: Vec::new(),
            bus: Arc::clone(&shared),
        };
        let at = (member.epoch, member.change);
        Ok(Store {
            writer: Box::new(PostgresWriter::sharing(
                place,
                session,
                member.held.holder,
                at,
                sharing,
            )),
            reader: Arc::new(reader),
            bus: Some(Arc::new(bus::PostgresBus(shared))),
        })
    }

    /// Opens a store, which is created if it does not exist, and keeps other hubs out until the writing end is dropped. Waits for the
    /// database, at most some seconds.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(&self, url: &str) -> Result<(PostgresWriter, PostgresReader), OpenError> {
        let place = Place::new(url, &self.schema)?;
        let session = place.session()?;
        let holder = take_lock(&session, &place, None)?;
        schema::migrate(&session, &self.schema)?;
        let now_ms = self.now_ms.unwrap_or_else(system_time_ms);
        let epochs =
            epochs::begin(&session, now_ms, self.random).map_err(|error| open_error(error, &self.schema))?;
        let before = epochs::newest(&session).map_err(|error| open_error(error, &self.schema))?;
        let epochs = Arc::new(epochs);
        let current = epochs
            .current()
            .ok_or_else(|| OpenError::Engine("no epoch has begun".to_owned()))?;
        let reader = PostgresReader::new(
            Pool::new(place.clone()),
            Watch::new(place.clone()),
            epochs,
            Sizes::default(),
        );
        Ok((
            PostgresWriter::new(place, session, holder, current, before),
            reader,
        ))
    }
}

fn system_time_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
