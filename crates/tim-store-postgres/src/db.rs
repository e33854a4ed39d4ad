//! A connection to the database, for a thread that waits.
//!
//! Statements are prepared once. What changes rows is sent without waiting for the answer ([`Statement::run`]): the server works through
//! it in order while the next statements are made, and its errors are found before the commit. Only a read takes a round trip.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio_postgres::error::{DbError, Severity, SqlState};
use tokio_postgres::{AsyncMessage, Client, Config, NoTls};

use super::damage::Damage;
use super::value::{FromValue, Raw, Values};

pub(super) type Result<T> = std::result::Result<T, Error>;

/// For how long an answer is waited for. The server gives up a statement sooner.
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(30);
/// No more statements are kept prepared; there are about two hundred.
const MOST_STATEMENTS: usize = 512;
/// How many notifications may wait to be taken.
const MOST_NOTIFICATIONS: usize = 4_096;

/// Why a statement failed.
#[derive(Debug)]
pub(super) enum Error {
    /// A query for one row has found none.
    NoRow,
    /// What is stored cannot be.
    Damaged(Damage),
    /// A column has a value that is not of the type that it should have.
    Value(usize, String),
    /// The server says so.
    Server(Box<DbError>),
    /// There is no connection any more, or no answer in time.
    Lost(String),
}

impl Error {
    fn of(error: &tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(error) => Self::Server(Box::new(error.clone())),
            None => Self::Lost(in_full(error)),
        }
    }

    /// The code of an error of the server.
    pub(super) fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Server(error) => Some(error.code()),
            _ => None,
        }
    }

    /// Whether the connection is of no use any more.
    pub(super) fn ends_connection(&self) -> bool {
        match self {
            Self::Lost(_) => true,
            Self::Server(error) => matches!(
                error.parsed_severity(),
                Some(Severity::Fatal | Severity::Panic) | None
            ),
            _ => false,
        }
    }
}

/// An error with its causes.
pub(super) fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRow => f.write_str("a row is missing"),
            Self::Damaged(damage) => damage.fmt(f),
            Self::Value(column, what) => write!(f, "column {column} of a row: {what}"),
            Self::Server(error) => write!(f, "{} (SQLSTATE {})", error.message(), error.code().code()),
            Self::Lost(why) => write!(f, "the connection to the database is lost: {why}"),
        }
    }
}

impl From<Damage> for Error {
    fn from(damage: Damage) -> Self {
        Self::Damaged(damage)
    }
}

/// `None` for a row that is not there.
pub(super) trait Optional<T> {
    fn optional(self) -> Result<Option<T>>;
}

impl<T> Optional<T> for Result<T> {
    fn optional(self) -> Result<Option<T>> {
        match self {
            Err(Error::NoRow) => Ok(None),
            other => other.map(Some),
        }
    }
}

/// A statement whose answer is not here yet.
type Pending = Pin<Box<dyn Future<Output = std::result::Result<u64, tokio_postgres::Error>> + Send>>;

/// A connection.
pub(super) struct Connection {
    runtime: Option<Runtime>,
    client: Arc<Client>,
    statements: RefCell<HashMap<String, tokio_postgres::Statement>>,
    pending: RefCell<FuturesUnordered<Pending>>,
    /// The first error of a statement that was not waited for.
    failed: RefCell<Option<Error>>,
    is_lost: Cell<bool>,
    /// For how long an answer is waited for.
    answer_time: Cell<Duration>,
    /// How many statements that change rows were sent.
    changes: Cell<u64>,
    /// Whether the server has warned.
    warned: Arc<AtomicBool>,
    notifications: Arc<Notifications>,
}

/// What was notified on the channels that are listened to.
#[derive(Default)]
struct Notifications {
    payloads: Mutex<Vec<String>>,
    /// There is one more, or the connection is lost.
    more: Notify,
}

impl Notifications {
    fn push(&self, payload: String) {
        let mut payloads = self.payloads.lock().unwrap_or_else(PoisonError::into_inner);
        // Of more than anybody reads in time, the rest is lost, as it may be anyway.
        if payloads.len() < MOST_NOTIFICATIONS {
            payloads.push(payload);
        }
        drop(payloads);
        self.more.notify_one();
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.payloads.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Connection {
    /// Connects.
    pub(super) fn open(config: &Config, within: Duration) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| Error::Lost(error.to_string()))?;
        let connecting = async { tokio::time::timeout(within, config.connect(NoTls)).await };
        let (client, mut connection) = runtime
            .block_on(connecting)
            .map_err(|_| Error::Lost(format!("no answer within {within:?}")))?
            .map_err(|error| Error::of(&error))?;
        let warned = Arc::new(AtomicBool::new(false));
        let notes = Arc::clone(&warned);
        let notifications = Arc::<Notifications>::default();
        let notified = Arc::clone(&notifications);
        runtime.spawn(async move {
            let mut messages = futures_util::stream::poll_fn(|context| connection.poll_message(context));
            while let Some(Ok(message)) = messages.next().await {
                match message {
                    AsyncMessage::Notice(notice) if notice.parsed_severity() == Some(Severity::Warning) => {
                        notes.store(true, Ordering::Release);
                        tracing::warn!("the database: {}", notice.message());
                    }
                    AsyncMessage::Notification(notification) => {
                        notified.push(notification.payload().to_owned());
                    }
                    _ => {}
                }
            }
            notified.more.notify_one();
        });
        Ok(Self {
            runtime: Some(runtime),
            client: Arc::new(client),
            statements: RefCell::default(),
            pending: RefCell::default(),
            failed: RefCell::default(),
            is_lost: Cell::new(false),
            answer_time: Cell::new(ANSWER_TIME),
            changes: Cell::new(0),
            warned,
            notifications,
        })
    }

    /// Whether the connection is of no use any more.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost.get() || self.client.is_closed()
    }

    /// For how long an answer is waited for from now on.
    pub(super) fn answer_within(&self, time: Duration) {
        self.answer_time.set(time);
    }

    /// How many statements that change rows were sent.
    pub(super) fn total_changes(&self) -> u64 {
        self.changes.get()
    }

    /// A statement with parameters `?1`, `?2`, ...
    #[allow(clippy::unnecessary_wraps)] // it is prepared when it is used
    pub(super) fn statement<'a>(&'a self, sql: &'a str) -> Result<Statement<'a>> {
        Ok(Statement { db: self, sql })
    }

    /// Statements without parameters or results, one after another.
    pub(super) fn batch(&self, sql: &str) -> Result<()> {
        self.wait(self.client.batch_execute(sql))
    }

    /// Sends a statement without parameters, without waiting for the answer.
    pub(super) fn send(&self, sql: &str) {
        let (client, sql) = (Arc::clone(&self.client), sql.to_owned());
        self.push(Box::pin(
            async move { client.batch_execute(&sql).await.map(|()| 0) },
        ));
    }

    /// Hands what was sent over to the server, without waiting for an answer.
    pub(super) fn flush(&self) {
        if let Some(runtime) = &self.runtime {
            // The task of the connection has its turn.
            runtime.block_on(tokio::task::yield_now());
        }
    }

    /// Commits, when everything that was sent has succeeded. The error says nothing of whether that was done unless nothing was tried.
    pub(super) fn commit(&self, within: Duration) -> std::result::Result<(), CommitError> {
        self.settle().map_err(CommitError::Before)?;
        self.warned.store(false, Ordering::Release);
        let committed = self.wait_for(self.client.batch_execute("COMMIT"), within);
        match committed {
            // The standby has not confirmed it.
            Ok(()) if self.warned.load(Ordering::Acquire) => {
                self.is_lost.set(true);
                let text = "the database has warned while it was committing".to_owned();
                Err(CommitError::During(Error::Lost(text)))
            }
            committed => committed.map_err(CommitError::During),
        }
    }

    /// Waits until there are notifications, or `enough` is done. Returns them.
    pub(super) fn notified(&self, enough: impl Future<Output = ()>) -> Result<Vec<String>> {
        let mut enough = pin!(enough);
        let mut more = pin!(self.notifications.more.notified());
        self.wait(std::future::poll_fn(|context| {
            match enough.as_mut().poll(context).is_ready() || more.as_mut().poll(context).is_ready() {
                true => Poll::Ready(Ok(())),
                false => Poll::Pending,
            }
        }))?;
        match self.is_lost() {
            true => Err(Error::Lost("it is closed".to_owned())),
            false => Ok(self.notifications.take()),
        }
    }

    /// Waits until everything that was sent has succeeded.
    pub(super) fn settle(&self) -> Result<()> {
        loop {
            if let Some(error) = self.failed.borrow_mut().take() {
                return Err(error);
            }
            if self.pending.borrow().is_empty() {
                return Ok(());
            }
            self.wait(std::future::poll_fn(|context| {
                let mut pending = self.pending.borrow_mut();
                loop {
                    match pending.poll_next_unpin(context) {
                        Poll::Ready(Some(Ok(_))) => {}
                        Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                        Poll::Ready(None) => return Poll::Ready(Ok(())),
                        Poll::Pending => return Poll::Pending,
                    }
                }
            }))?;
        }
    }

    /// Takes a transaction back. Errors of what was sent in it are forgotten.
    pub(super) fn roll_back(&self) -> Result<()> {
        let rolled_back = self.wait(self.client.batch_execute("ROLLBACK"));
        *self.pending.borrow_mut() = FuturesUnordered::new();
        self.failed.borrow_mut().take();
        rolled_back
    }

    /// Sends this one, in its turn.
    fn push(&self, mut sent: Pending) {
        // With the first poll it is in the queue of the connection.
        match sent.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) => self.note(&error),
            Poll::Pending => self.pending.borrow_mut().push(sent),
        }
    }

    fn note(&self, error: &tokio_postgres::Error) {
        let error = Error::of(error);
        if error.ends_connection() {
            self.is_lost.set(true);
        }
        self.failed.borrow_mut().get_or_insert(error);
    }

    fn wait<T>(
        &self,
        work: impl Future<Output = std::result::Result<T, tokio_postgres::Error>>,
    ) -> Result<T> {
        self.wait_for(work, self.answer_time.get())
    }

    /// Waits for an answer, and takes those that come before it.
    fn wait_for<T>(
        &self,
        work: impl Future<Output = std::result::Result<T, tokio_postgres::Error>>,
        within: Duration,
    ) -> Result<T> {
        let Some(runtime) = &self.runtime else {
            return Err(Error::Lost("it is closed".to_owned()));
        };
        let waited = runtime.block_on(async {
            let mut work = pin!(tokio::time::timeout(within, work));
            std::future::poll_fn(|context| {
                if let Poll::Ready(done) = work.as_mut().poll(context) {
                    return Poll::Ready(done);
                }
                let Ok(mut pending) = self.pending.try_borrow_mut() else {
                    return Poll::Pending;
                };
                while let Poll::Ready(Some(answer)) = pending.poll_next_unpin(context) {
                    // Those that `work` itself waits for may be done.
                    context.waker().wake_by_ref();
                    if let Err(error) = answer {
                        self.note(&error);
                    }
                }
                Poll::Pending
            })
            .await
        });
        let done = match waited {
            Ok(done) => done.map_err(|error| Error::of(&error)),
            Err(_) => Err(Error::Lost(format!("no answer within {within:?}"))),
        };
        let Err(error) = done else { return done };
        if error.ends_connection() {
            self.is_lost.set(true);
        }
        // After an error in a transaction everything else in it fails; the first one says why.
        let is_aborted = error.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION);
        let first = self.failed.borrow_mut().take().filter(|_| is_aborted);
        Err(first.unwrap_or(error))
    }

    fn prepared(&self, sql: &str) -> Result<tokio_postgres::Statement> {
        if let Some(prepared) = self.statements.borrow().get(sql) {
            return Ok(prepared.clone());
        }
        let prepared = self.wait(self.client.prepare(&sql.replace('?', "$")))?;
        let mut statements = self.statements.borrow_mut();
        if statements.len() >= MOST_STATEMENTS {
            statements.clear();
        }
        statements.insert(sql.to_owned(), prepared.clone());
        Ok(prepared)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // What waits in the queue is not sent. A runtime must not be dropped where another one runs.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("is_lost", &self.is_lost())
            .finish_non_exhaustive()
    }
}

/// A commit that failed.
#[derive(Debug)]
pub(super) enum CommitError {
    /// It was not tried.
    Before(Error),
    /// It may have been done.
    During(Error),
}

/// A statement on a connection.
pub(super) struct Statement<'a> {
    db: &'a Connection,
    sql: &'a str,
}

impl Statement<'_> {
    /// Sends it without waiting for the answer.
    pub(super) fn run(&self, values: impl Values) -> Result<()> {
        let prepared = self.db.prepared(self.sql)?;
        self.db.changes.set(self.db.changes.get() + 1);
        let (client, values) = (Arc::clone(&self.db.client), values.values());
        self.db.push(Box::pin(
            async move { client.execute_raw(&prepared, values).await },
        ));
        Ok(())
    }

    /// Waits for the answer: how many rows were changed.
    pub(super) fn execute(&self, values: impl Values) -> Result<u64> {
        let prepared = self.db.prepared(self.sql)?;
        self.db.changes.set(self.db.changes.get() + 1);
        self.db
            .wait(self.db.client.execute_raw(&prepared, values.values()))
    }

    /// The rows that it finds.
    pub(super) fn query(&self, values: impl Values) -> Result<Rows> {
        let prepared = self.db.prepared(self.sql)?;
        let found = self.db.wait(async {
            let rows = self.db.client.query_raw(&prepared, values.values()).await?;
            let mut rows = pin!(rows);
            let mut found = Vec::new();
            while let Some(row) = rows.next().await {
                found.push(Row(row?));
            }
            Ok(found)
        })?;
        Ok(Rows {
            count: found.len(),
            rows: found.into_iter(),
            current: None,
        })
    }

    /// What `read` makes of each row.
    pub(super) fn query_map<T, F: FnMut(&Row) -> Result<T>>(
        &self,
        values: impl Values,
        read: F,
    ) -> Result<Mapped<F>> {
        let rows = self.query(values)?.rows;
        Ok(Mapped { rows, read })
    }

    /// What `read` makes of the first row.
    pub(super) fn query_row<T>(
        &self,
        values: impl Values,
        read: impl FnOnce(&Row) -> Result<T>,
    ) -> Result<T> {
        let mut rows = self.query(values)?;
        rows.next()?.map_or(Err(Error::NoRow), read)
    }
}

/// Rows that were found.
pub(super) struct Rows {
    count: usize,
    rows: std::vec::IntoIter<Row>,
    current: Option<Row>,
}

impl Rows {
    /// How many were found.
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// The last one, unless it was taken.
    pub(super) fn last(&self) -> Option<&Row> {
        self.rows.as_slice().last()
    }

    /// The next one.
    #[allow(clippy::unnecessary_wraps)] // they are all here
    pub(super) fn next(&mut self) -> Result<Option<&Row>> {
        self.current = self.rows.next();
        Ok(self.current.as_ref())
    }
}

/// What a function makes of each row.
pub(super) struct Mapped<F> {
    rows: std::vec::IntoIter<Row>,
    read: F,
}

impl<T, F: FnMut(&Row) -> Result<T>> Iterator for Mapped<F> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        self.rows.next().map(|row| (self.read)(&row))
    }
}

/// A row.
pub(super) struct Row(tokio_postgres::Row);

impl Row {
    /// The value of a column.
    pub(super) fn get<T: FromValue>(&self, column: usize) -> Result<T> {
        let raw: Raw<'_> = self
            .0
            .try_get(column)
            .map_err(|error| Error::Value(column, error.to_string()))?;
        T::from_value(raw).ok_or_else(|| Error::Value(column, format!("{raw} is not what was expected")))
    }

    /// The text of a column.
    pub(super) fn text(&self, column: usize) -> Result<&str> {
        let bytes = self.bytes(column)?;
        str::from_utf8(bytes).map_err(|error| Error::Value(column, error.to_string()))
    }

    /// The bytes of a column.
    pub(super) fn bytes(&self, column: usize) -> Result<&[u8]> {
        match self.0.try_get(column) {
            Ok(Raw::Bytes(bytes)) => Ok(bytes),
            Ok(other) => Err(Error::Value(column, format!("{other} is not what was expected"))),
            Err(error) => Err(Error::Value(column, error.to_string())),
        }
    }
}
