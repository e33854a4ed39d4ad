//! A session on the database: how it is opened, and what is asked of the database before it is used.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::Host;
use tokio_postgres::error::SqlState;

use super::OpenError;
use super::db::{self, ANSWER_TIME, Connection, Error, Optional as _, in_full};
use super::value::params;

/// For how long a connection is waited for.
pub(super) const CONNECT_TIME: Duration = Duration::from_secs(5);
/// The oldest PostgreSQL, as `server_version_num`.
const OLDEST: i64 = 130_000;
/// How often the lock of a session that was ended is tried again, and how long is waited before each.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// Where the database is, and which schema is the store's.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// One for each server.
    configs: Vec<Config>,
    /// The server that could be written to last, of all sessions.
    newest: Arc<AtomicUsize>,
    name: String,
    pub(super) schema: String,
}

impl Place {
    pub(super) fn new(url: &str, schema: &str) -> Result<Self, OpenError> {
        if has_stray_at(url) {
            return Err(OpenError::BadUrl(STRAY_AT.to_owned()));
        }
        let config: Config = url.parse().map_err(|error| {
            // The error may show what seems to be the name of a parameter.
            let is_clear = url.matches('@').count() <= 1;
            OpenError::BadUrl(if is_clear {
                in_full(&error)
            } else {
                STRAY_AT.to_owned()
            })
        })?;
        let is_name = |host: &Host| match host {
            Host::Tcp(name) => !name.contains('@'),
            #[cfg(unix)]
            Host::Unix(_) => true,
        };
        if !config.get_hosts().iter().all(is_name) {
            return Err(OpenError::BadUrl(STRAY_AT.to_owned()));
        }
        let hosts = config.get_hosts().len().max(config.get_hostaddrs().len());
        if hosts == 0 {
            return Err(OpenError::BadUrl("it names no host".to_owned()));
        }
        if config.get_dbname().is_none() {
            return Err(OpenError::BadUrl("it names no database".to_owned()));
        }
        if schema.is_empty() || schema.len() > 63 || schema.contains('\0') || schema.starts_with("pg_") {
            return Err(OpenError::BadUrl(format!(
                "{schema:?} cannot be the name of a schema"
            )));
        }
        Ok(Self {
            configs: (0..hosts).map(|number| of_host(&config, number, hosts)).collect(),
            newest: Arc::default(),
            name: name(&config),
            schema: schema.to_owned(),
        })
    }

    /// The database, without the password.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// A session that reads and writes the schema. Of several servers, on the one that can be written to.
    pub(super) fn session(&self) -> Result<Connection, OpenError> {
        self.session_within(CONNECT_TIME)
    }

    /// The same, with this time for each server: one that does not answer must not keep the hub from the next one.
    pub(super) fn session_within(&self, time: Duration) -> Result<Connection, OpenError> {
        let first = self.newest.load(Ordering::Relaxed);
        let mut failed = None;
        for number in (0..self.configs.len()).map(|next| (first + next) % self.configs.len()) {
            match self.session_at(number, time) {
                Ok(session) => {
                    self.newest.store(number, Ordering::Relaxed);
                    return Ok(session);
                }
                Err(error) => failed = Some(worse(failed, error)),
            }
        }
        Err(failed.unwrap_or(OpenError::Standby))
    }

    /// Every statement goes by an index, in the order in which its tables are written down: a table that the server knows nothing of yet
    /// must not be read as a whole.
    fn session_at(&self, number: usize, time: Duration) -> Result<Connection, OpenError> {
        let config = self.configs.get(number).ok_or(OpenError::Standby)?;
        let db = Connection::open(config, time).map_err(|error| match error.code() {
            // The server says so itself while it starts or stops.
            Some(code) if !code.code().starts_with("57P") => OpenError::Refused {
                place: self.name.clone(),
                why: error.to_string(),
            },
            _ => OpenError::Unreachable {
                place: self.name.clone(),
                why: error.to_string(),
            },
        })?;
        let settings = format!(
            "SET search_path TO {}; SET enable_seqscan TO off; SET enable_hashjoin TO off; SET enable_mergejoin TO off;
             SET join_collapse_limit TO 1; SET from_collapse_limit TO 1; SET jit TO off;
             SET plan_cache_mode TO force_generic_plan; SET bytea_output TO hex;
             SET tcp_keepalives_idle TO 10; SET tcp_keepalives_interval TO 5; SET tcp_keepalives_count TO 3;
             SET statement_timeout TO '20s'; SET idle_in_transaction_session_timeout TO '60s'",
            quoted(&self.schema)
        );
        db.answer_within(time);
        db.batch(&settings)
            .map_err(|error| open_error(error, &self.schema))?;
        check_server(&db).map_err(|error| open_error(error, &self.schema))??;
        // When the server reads its settings anew, what was checked stays in force here.
        db.batch("SELECT set_config('synchronous_commit', current_setting('synchronous_commit'), false)")
            .map_err(|error| open_error(error, &self.schema))?;
        db.answer_within(ANSWER_TIME);
        Ok(db)
    }
}

/// What is wrong with an address that has an `@` too many. It is not shown: what follows the first one may be a part of the password.
const STRAY_AT: &str = "there is more than one @ in it; write one in the user or the password as %40";

/// Whether there is an `@` behind the credentials, which end with the first one. A parameter may have one.
fn has_stray_at(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else {
        return false;
    };
    let Some((_, behind)) = rest.split_once('@') else {
        return false;
    };
    let place = behind.split('?').next().unwrap_or(behind);
    place.contains('@')
}

/// Of the errors of two servers, the one that an operator has to know: what is wrong with a server, then that there is no primary, then
/// that one is gone.
fn worse(one: Option<OpenError>, other: OpenError) -> OpenError {
    match (one, other) {
        (None | Some(OpenError::Unreachable { .. }), other) => other,
        (Some(OpenError::Standby), OpenError::Unreachable { .. }) => OpenError::Standby,
        (Some(OpenError::Standby), other) => other,
        (Some(one), _) => one,
    }
}

/// What is to be connected to for this one of the hosts.
fn of_host(config: &Config, number: usize, hosts: usize) -> Config {
    let mut one = Config::new();
    if let Some(host) = config.get_hosts().get(number) {
        match host {
            Host::Tcp(host) => one.host(host),
            #[cfg(unix)]
            Host::Unix(path) => one.host_path(path),
        };
    }
    if let Some(address) = config.get_hostaddrs().get(number) {
        one.hostaddr(*address);
    }
    one.port(port(config, number));
    if let Some(user) = config.get_user() {
        one.user(user);
    }
    if let Some(password) = config.get_password() {
        one.password(password);
    }
    if let Some(dbname) = config.get_dbname() {
        one.dbname(dbname);
    }
    if let Some(options) = config.get_options() {
        one.options(options);
    }
    one.application_name(config.get_application_name().unwrap_or("tim"));
    one.ssl_mode(config.get_ssl_mode());
    one.channel_binding(config.get_channel_binding());
    one.connect_timeout(config.get_connect_timeout().copied().unwrap_or(CONNECT_TIME));
    one.keepalives_idle(Duration::from_secs(10));
    one.tcp_user_timeout(Duration::from_secs(30));
    // A single server says by itself why it cannot be written to.
    if hosts == 1 {
        one.target_session_attrs(config.get_target_session_attrs());
    }
    one
}

/// The port of this one of the hosts.
fn port(config: &Config, number: usize) -> u16 {
    let ports = config.get_ports();
    ports
        .get(number)
        .or_else(|| ports.first())
        .copied()
        .unwrap_or(5432)
}

/// The servers and the database.
fn name(config: &Config) -> String {
    let addresses = config
        .get_hostaddrs()
        .iter()
        .enumerate()
        .skip(config.get_hosts().len());
    let addresses = addresses.map(|(number, address)| format!("{address}:{}", port(config, number)));
    let hosts = config.get_hosts().iter().enumerate().map(|(number, host)| {
        let port = port(config, number);
        match host {
            Host::Tcp(host) => format!("{host}:{port}"),
            #[cfg(unix)]
            Host::Unix(path) => format!("{} (port {port})", path.display()),
        }
    });
    let servers = hosts.chain(addresses).collect::<Vec<_>>().join(",");
    format!("{servers}/{}", config.get_dbname().unwrap_or_default())
}

/// An identifier in quotation marks.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Whether what the server acknowledges is kept, and whether it is the one to write to.
pub(super) fn check_server(db: &Connection) -> db::Result<Result<(), OpenError>> {
    let found = db
        .statement(
            "SELECT current_setting('server_version_num')::bigint, pg_is_in_recovery(), current_setting('server_encoding'),
                 current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit'),
                 current_setting('synchronous_standby_names'), current_setting('transaction_read_only')",
        )?
        .query_row(params![], |row| {
            let text = |column| row.text(column).map(str::to_owned);
            Ok((
                row.get::<i64>(0)?,
                row.get::<bool>(1)?,
                text(2)?,
                [
                    ("fsync", text(3)?),
                    ("full_page_writes", text(4)?),
                    ("synchronous_commit", text(5)?),
                ],
                text(6)?,
                text(7)?,
            ))
        })?;
    let (version, is_standby, encoding, settings, standbys, read_only) = found;
    if version < OLDEST {
        return Ok(Err(OpenError::OldServer { found: version }));
    }
    if is_standby {
        return Ok(Err(OpenError::Standby));
    }
    if read_only == "on" {
        let fix = fix(db, "default_transaction_read_only", "off")?;
        return Ok(Err(OpenError::ReadOnly { fix }));
    }
    if encoding != "UTF8" {
        return Ok(Err(OpenError::Encoding { found: encoding }));
    }
    for (setting, value) in settings {
        // With standbys, a message counts as stored when one of them has it, too.
        let is_lost = match value.as_str() {
            "off" => true,
            "local" | "remote_write" => !standbys.is_empty(),
            _ => false,
        };
        if is_lost {
            let fix = fix(db, setting, "on")?;
            return Ok(Err(OpenError::NotDurable { setting, value, fix }));
        }
    }
    Ok(Ok(()))
}

/// What an administrator does to give a setting the right value, by where its present one comes from.
fn fix(db: &Connection, setting: &str, right: &str) -> db::Result<String> {
    let (source, user, database) = db
        .statement("SELECT source, quote_ident(current_user), quote_ident(current_database()) FROM pg_settings WHERE name = ?1::text")?
        .query_row([setting], |row| {
            let text = |column| row.text(column).map(str::to_owned);
            Ok((text(0)?, text(1)?, text(2)?))
        })?;
    Ok(match source.as_str() {
        "database" => format!("run ALTER DATABASE {database} RESET {setting}"),
        "user" => format!("run ALTER ROLE {user} RESET {setting}"),
        "database user" => format!("run ALTER ROLE {user} IN DATABASE {database} RESET {setting}"),
        "global" => format!("run ALTER ROLE ALL RESET {setting}"),
        "client" => format!("take {setting} out of the address"),
        "command line" | "environment variable" => format!("start the server with {setting} = {right}"),
        _ => format!("run ALTER SYSTEM SET {setting} TO {right}, and then SELECT pg_reload_conf()"),
    })
}

/// The session of a hub on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holder {
    pid: i64,
    /// When it began, in microseconds.
    began: i64,
    /// Where it is from.
    pub(super) from: String,
}

impl Holder {
    fn from_row(row: &db::Row) -> db::Result<Self> {
        Ok(Self {
            pid: row.get(0)?,
            began: row.get(1)?,
            from: row.text(2)?.to_owned(),
        })
    }

    /// Whether it is the same session.
    fn is(&self, other: &Self) -> bool {
        (self.pid, self.began) == (other.pid, other.began)
    }
}

const SESSION: &str = "a.pid::bigint, coalesce((extract(epoch FROM a.backend_start) * 1000000)::bigint, 0),
    coalesce(host(a.client_addr), 'this machine') || ', process ' || a.pid FROM pg_stat_activity a";

/// The lock of a schema, which one session has: that of the hub that writes. Without one, who has it.
const LOCK: &str = "pg_try_advisory_lock(hashtextextended('tim ' || current_schema(), 0))";

/// Takes the lock of the schema. The session that this hub had `before` is ended if it still has the lock: the server may not
/// have noticed yet that the connection is lost.
pub(super) fn take_lock(
    db: &Connection,
    place: &Place,
    before: Option<&Holder>,
) -> Result<Holder, OpenError> {
    let context = |error| open_error(error, &place.schema);
    let mut by = "a session that is ending".to_owned();
    for _ in 0..LOCK_TRIES {
        let text = format!("SELECT {}", LOCK.replace("current_schema()", "?1::text"));
        let is_taken: bool = db
            .statement(&text)
            .and_then(|statement| statement.query_row([place.schema.as_str()], |row| row.get(0)))
            .map_err(context)?;
        if is_taken {
            return own_session(db).map_err(context);
        }
        let holder = holder(db, &place.schema).map_err(context)?;
        match (&holder, before) {
            (Some(holder), Some(before)) if holder.is(before) => end_session(db, before).map_err(context)?,
            // It has just ended, or it may be that of a hub that was killed a moment ago: the server takes a while to notice.
            _ => {}
        }
        by = holder.map_or(by, |holder| holder.from);
        std::thread::sleep(LOCK_PAUSE);
    }
    Err(OpenError::InUse {
        schema: place.schema.clone(),
        by,
    })
}

/// A session that shares the lock of a schema with those of other hubs.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) holder: Holder,
    /// Whether no other session has the lock. Nobody else gets it until it is [shared](Self::share).
    pub(super) is_alone: bool,
    schema: String,
}

impl Held {
    /// Lets other hubs in.
    pub(super) fn share(&self, db: &Connection) -> db::Result<()> {
        if self.is_alone {
            for function in ["pg_advisory_lock_shared", "pg_advisory_unlock"] {
                db.statement(&format!(
                    "SELECT 1 FROM {function}(hashtextextended('tim ' || ?1::text, 0))"
                ))?
                .query([self.schema.as_str()])?;
            }
        }
        Ok(())
    }
}

/// Takes the lock of the schema together with other hubs; alone if that is possible and asked for. Refused while a hub that does not
/// share has it.
pub(super) fn take_shared_lock(db: &Connection, place: &Place, alone: bool) -> Result<Held, OpenError> {
    let context = |error| open_error(error, &place.schema);
    let take = |function: &str| {
        db.statement(&format!(
            "SELECT {function}(hashtextextended('tim ' || ?1::text, 0))"
        ))
        .and_then(|statement| statement.query_row([place.schema.as_str()], |row| row.get::<bool>(0)))
        .map_err(context)
    };
    for _ in 0..LOCK_TRIES {
        let is_alone = alone && take("pg_try_advisory_lock")?;
        if is_alone || take("pg_try_advisory_lock_shared")? {
            // The others wait for a hub that is stopped in the middle of a commit.
            db.batch("SET idle_in_transaction_session_timeout TO '10s'")
                .map_err(context)?;
            return Ok(Held {
                holder: own_session(db).map_err(context)?,
                is_alone,
                schema: place.schema.clone(),
            });
        }
        std::thread::sleep(LOCK_PAUSE);
    }
    let holder = holder(db, &place.schema).map_err(context)?;
    Err(OpenError::InUse {
        schema: place.schema.clone(),
        by: holder.map_or_else(|| "a session that is ending".to_owned(), |holder| holder.from),
    })
}

/// Ends a former session of this hub, if the server has not noticed that its connection is lost.
pub(super) fn end_former(db: &Connection, before: &Holder) -> db::Result<()> {
    let found = db
        .statement(&format!("SELECT {SESSION} WHERE a.pid = ?1::bigint::int"))?
        .query_row(params![before.pid], Holder::from_row)
        .optional()?;
    match found {
        Some(found) if found.is(before) => end_session(db, before),
        _ => Ok(()),
    }
}

fn own_session(db: &Connection) -> db::Result<Holder> {
    db.statement(&format!("SELECT {SESSION} WHERE a.pid = pg_backend_pid()"))?
        .query_row(params![], Holder::from_row)
}

fn holder(db: &Connection, schema: &str) -> db::Result<Option<Holder>> {
    db.statement(&format!(
        "SELECT {SESSION} JOIN pg_locks l ON l.pid = a.pid WHERE l.locktype = 'advisory' AND l.granted
             AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
             AND (l.classid::bigint << 32) | l.objid::bigint = hashtextextended('tim ' || ?1::text, 0)"
    ))?
    .query_row([schema], Holder::from_row)
    .optional()
}

fn end_session(db: &Connection, session: &Holder) -> db::Result<()> {
    db.statement("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = ?1::bigint::int")?
        .query(params![session.pid])?;
    Ok(())
}

/// What an error means for who opens the store.
pub(super) fn open_error(error: Error, schema: &str) -> OpenError {
    let why = error.to_string();
    match error.code() {
        Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => OpenError::MissingRights {
            schema: schema.to_owned(),
            why,
        },
        Some(code) if *code == SqlState::DISK_FULL => OpenError::DiskFull,
        Some(code) if *code == SqlState::READ_ONLY_SQL_TRANSACTION => OpenError::ReadOnly {
            fix: "it was opened for writing a moment ago".to_owned(),
        },
        _ => OpenError::Engine(why),
    }
}
