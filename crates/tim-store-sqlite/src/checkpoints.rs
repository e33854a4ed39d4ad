//! Moving SQLite's write-ahead log into the database, beside the writer.
//!
//! SQLite does that in the commit that makes the log too long, and everybody waits. Here a thread does it, on a connection of its own,
//! while the writer goes on. SQLite begins the log anew only if all of it was moved when a transaction begins. So when the thread is done
//! and the log is long, the writer ends its generation early, which is then short, and moves the little that came since by itself. It is
//! the same when the log has to be emptied, because there are contents in it that were removed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use tracing::warn;

use super::BUSY_TIMEOUT;

/// From so many pages that were not moved on, the thread is started: 16 MiB.
const PAGES: i64 = 4_096;
/// From so many pages on, the log begins anew: 64 MiB.
const MAX_PAGES: i64 = 16_384;

/// With so many pages that were not moved, the log is not emptied by the writer: 4 MiB.
const MANY: i64 = 1_024;

/// Who moves the log.
pub(super) struct Checkpoints {
    path: PathBuf,
    thread: Option<(Sender<()>, JoinHandle<()>)>,
    /// The thread works.
    is_busy: Arc<AtomicBool>,
    /// The log is long, and the thread has moved all of it but the last commits.
    is_due: bool,
}

impl Checkpoints {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            thread: None,
            is_busy: Arc::default(),
            is_due: false,
        }
    }

    /// Whether the generation should end early.
    pub(super) fn are_waiting(&self) -> bool {
        self.is_due && !self.is_busy()
    }

    /// A generation was committed, and no transaction is open.
    pub(super) fn committed(&mut self, connection: &Connection) {
        if self.is_busy() {
            return;
        }
        let mode = if self.is_due { "PASSIVE" } else { "NOOP" };
        let Some((pages, moved)) = checkpoint(connection, mode) else {
            return;
        };
        // If readers kept it from moving everything, the next generation tries again.
        self.is_due = !self.is_due && pages > MAX_PAGES && pages > moved;
        if pages - moved > PAGES || self.is_due {
            self.request();
        }
    }

    /// Whether the thread works.
    pub(super) fn is_busy(&self) -> bool {
        self.is_busy.load(Ordering::Acquire)
    }

    /// Has the thread move the log if that would hold up the writer for long; whether it does. What comes meanwhile is left.
    pub(super) fn begin_to_empty(&mut self, connection: &Connection) -> bool {
        let is_long = checkpoint(connection, "NOOP").is_some_and(|(pages, moved)| pages - moved > MANY);
        if is_long {
            self.request();
        }
        is_long && self.thread.is_some()
    }

    fn request(&mut self) {
        if self.thread.is_none() {
            self.thread = self.start();
        }
        if let Some((requests, _)) = &self.thread {
            self.is_busy.store(true, Ordering::Release);
            if requests.send(()).is_err() {
                self.is_busy.store(false, Ordering::Release);
            }
        }
    }

    fn start(&self) -> Option<(Sender<()>, JoinHandle<()>)> {
        let (requests, received) = channel();
        let (path, is_busy) = (self.path.clone(), Arc::clone(&self.is_busy));
        let work = move || {
            let mut connection = None;
            while received.recv().is_ok() {
                if connection.is_none() {
                    connection = open(&path)
                        .inspect_err(|error| warn!(%error, "the write-ahead log is not moved"))
                        .ok();
                }
                if let Some(connection) = &connection {
                    checkpoint(connection, "PASSIVE");
                }
                is_busy.store(false, Ordering::Release);
            }
        };
        let thread = thread::Builder::new()
            .name("tim-checkpoint".to_owned())
            .spawn(work);
        match thread {
            Ok(thread) => Some((requests, thread)),
            Err(error) => {
                warn!(%error, "no thread for the write-ahead log, which grows until the hub stops");
                None
            }
        }
    }

    /// Waits for the thread to end.
    pub(super) fn stop(&mut self) {
        if let Some((requests, thread)) = self.thread.take() {
            drop(requests);
            let _ = thread.join();
        }
    }
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.execute_batch(
        "PRAGMA synchronous=FULL; PRAGMA checkpoint_fullfsync=ON; PRAGMA wal_autocheckpoint=0;",
    )?;
    Ok(connection)
}

/// How many pages the log has, and how many of them were moved. `None` if it cannot be said.
fn checkpoint(connection: &Connection, mode: &str) -> Option<(i64, i64)> {
    let done = connection
        .prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))
        .and_then(|mut statement| statement.query_row([], |row| Ok((row.get(1)?, row.get(2)?))));
    done.inspect_err(|error| warn!(%error, "the write-ahead log is not moved"))
        .ok()
}
