//! The writing connection, the log in front of it, and the generation in progress. See [`log`](super::log).

use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tim_proto::planted::{self, Fault};
use tim_store::{Commit, Epoch, NotStored, Refused, StoreError, Write, Written};
use tracing::{info, warn};

use super::checkpoints::Checkpoints;
use super::known::Known;
use super::lock::DirLock;
use super::log::block::{Found, Header};
use super::log::{Log, record};
use super::maybe_sent::MaybeSent;
use super::purge::LastId;
use super::recent::Newest;
use super::rows::{sql, unsigned};
use super::shared::Shared;
use super::statements::Statements;
use super::sums::damaged;
use super::unwritten::{Room, Unwritten, limit_pages};
use super::usage::Usage;
use super::writer::{Batch, commit_error};
use super::{BUSY_TIMEOUT, MAX_PAGES, OpenError, contents, epochs, log, plain_error};

/// How many users and logs a generation may be about. Each of them is a page or two in memory until the commit, which writes them.
const MAX_TOUCHED: usize = 4_096;
/// For how long all readers together may use the writing connection in a generation. Beyond that a commit is cheaper.
const READING_TIME: Duration = Duration::from_millis(5);
/// How long one read may hold up the writer.
pub(super) const READ_TIME: Duration = Duration::from_millis(2);
/// After how long removed contents are wiped at the latest, if the rounds of retention do not end.
const WIPE_INTERVAL: Duration = Duration::from_secs(60);
/// How many steps prepare a wipe at the most.
const MAX_PREPARATIONS: u8 = 16;
/// For how long a generation that could not be committed is not tried again: SQLite rolls it back, and all of it is applied anew.
const PAUSE: Duration = Duration::from_secs(5);

/// What one batch or reader at a time works on.
pub(super) struct Database {
    connection: Connection,
    log: Log,
    checkpoints: Checkpoints,
    salt: u64,
    /// The newest generation that is committed.
    generation: u64,
    /// The one in progress: a transaction of the connection is open.
    open: Option<Generation>,
    /// The newest change.
    change: u64,
    /// The id of the newest content.
    content: i64,
    /// The epoch of this opening.
    epoch: Option<Epoch>,
    /// The newest one in the database.
    newest_epoch: Option<Epoch>,
    /// Whether contents were removed that may still be in the write-ahead log of SQLite, or in ours.
    wipe: bool,
    /// When they were wiped last.
    wiped: Instant,
    /// How many steps have prepared the next wipe.
    preparations: u8,
    newest: Newest,
    known: Known,
    unwritten: Unwritten,
    room: Room,
    usage: Usage,
    sent: MaybeSent,
    last_id: Option<LastId>,
    records: Vec<u8>,
    state: State,
    /// What was taken from the log and cannot be committed yet.
    recovered: Vec<Write>,
    /// Why the generation could not be committed, and until when it is not tried again.
    refused: Option<(StoreError, Instant)>,
    /// How many blocks were applied anew because something was taken back.
    #[cfg(test)]
    pub(super) restored: u64,
}

/// Whether what is applied may be committed.
#[derive(Debug)]
enum State {
    Whole,
    /// A batch is being applied. It stays so if that panics.
    Applying,
    /// The disk cannot be trusted, for this reason.
    Failed(String),
}

/// A generation in progress.
#[derive(Debug, Default)]
struct Generation {
    /// How many blocks of it are in the log.
    blocks: u64,
    /// How long it has been read.
    read: Duration,
}

impl Database {
    /// The database of a data directory, with what the log has of the last generation applied and, if the disk is not full, committed.
    /// If the last hub was killed, there must be a log.
    pub(super) fn open(connection: Connection, path: &Path, was_killed: bool) -> Result<Self, OpenError> {
        let dir = path.parent().unwrap_or_else(|| Path::new("."));
        let (generation, salt) = generation(&connection)?;
        let blocks = blocks_in_log(&connection, dir, was_killed)?;
        let log = Log::create(dir, salt).map_err(|error| OpenError::Io {
            path: dir.join(log::LOG),
            error,
        })?;
        let mut database = Self {
            checkpoints: Checkpoints::new(path.to_owned()),
            connection,
            log,
            salt,
            generation,
            open: None,
            change: 0,
            content: 0,
            epoch: None,
            newest_epoch: None,
            // A hub that was killed may have left removed contents there.
            wipe: true,
            wiped: Instant::now(),
            preparations: 0,
            newest: Newest::default(),
            known: Known::default(),
            unwritten: Unwritten::default(),
            room: Room::default(),
            usage: Usage::default(),
            sent: MaybeSent::default(),
            last_id: None,
            records: Vec::new(),
            state: State::Whole,
            recovered: Vec::new(),
            refused: None,
            #[cfg(test)]
            restored: 0,
        };
        database.look()?;
        database.recover(dir, &blocks)?;
        Ok(database)
    }

    /// Takes the counters from the database.
    fn look(&mut self) -> rusqlite::Result<()> {
        self.change = self
            .connection
            .query_row("SELECT change FROM meta", [], |row| unsigned(row, 0))?;
        self.content = contents::newest(&self.connection)?;
        self.newest_epoch = epochs::newest(&self.connection)?;
        (self.newest, self.known) = (Newest::default(), Known::default());
        self.unwritten = Unwritten::new(self.room);
        (self.usage, self.last_id) = (Usage::default(), None);
        self.sent = MaybeSent::default();
        Ok(())
    }

    /// Limits the database to so many bytes.
    pub(super) fn limit_size(&mut self, max_bytes: u64) -> rusqlite::Result<()> {
        let page_size: i64 = self
            .connection
            .query_row("PRAGMA page_size", [], |row| row.get(0))?;
        let bytes = i64::try_from(max_bytes).unwrap_or(i64::MAX);
        self.limit_pages((bytes / page_size.max(1)).clamp(1, MAX_PAGES))
    }

    pub(super) fn limit_pages(&mut self, pages: i64) -> rusqlite::Result<()> {
        // What is not written yet keeps its room.
        self.room = Room { pages };
        self.unwritten.write(&self.connection)?;
        self.unwritten = Unwritten::new(self.room);
        limit_pages(&self.connection, pages)
    }

    fn recover(&mut self, dir: &Path, blocks: &[(Header, Vec<u8>)]) -> Result<(), OpenError> {
        if blocks.is_empty() {
            return Ok(());
        }
        self.begin().map_err(OpenError::from_store)?;
        for (header, body) in blocks {
            self.apply_block(header, body).map_err(|why| OpenError::Damaged {
                path: dir.join(log::LOG),
                what: format!("block {}: {why}", header.index),
            })?;
        }
        info!(
            batches = blocks.len(),
            "what was not in the database yet was taken from {}",
            log::LOG
        );
        self.log.go_on_after(blocks.iter().map(|(_, body)| body.len()));
        match self.end_generation() {
            Ok(()) => Ok(()),
            Err(error @ StoreError::NotStored(_)) => self.go_on_ahead(error, blocks),
            Err(error) => Err(OpenError::from_store(error)),
        }
    }

    /// What was taken from the log cannot be committed, as on a full disk, and stays in the log. It can be read.
    fn go_on_ahead(&mut self, error: StoreError, blocks: &[(Header, Vec<u8>)]) -> Result<(), OpenError> {
        warn!(%error, "what was taken from {} stays there until there is space", log::LOG);
        if self.connection.is_autocommit() {
            self.restore().map_err(OpenError::Engine)?;
        }
        self.refused = Some((error, Instant::now() + PAUSE));
        let records = blocks.iter().filter_map(|(_, body)| record::decode(body));
        self.recovered = records.flatten().collect();
        Ok(())
    }

    /// What readers do not see on connections of their own after the opening.
    pub(super) fn take_recovered(&mut self) -> Vec<Write> {
        std::mem::take(&mut self.recovered)
    }

    /// Applies a block of the log once more.
    fn apply_block(&mut self, header: &Header, body: &[u8]) -> Result<(), String> {
        if header.before != self.change {
            return Err(format!(
                "it follows change {}, and the database is at {}",
                header.before, self.change
            ));
        }
        let writes = record::decode(body).ok_or("its records are malformed")?;
        let text = |error: rusqlite::Error| error.to_string();
        let applied = self.apply(header.now_ms, &writes).map_err(text)?;
        self.take(&applied);
        if self.change != header.after {
            return Err(format!(
                "it ends with change {}, and its records with {}",
                header.after, self.change
            ));
        }
        if header.epoch.id != 0 && self.newest_epoch != Some(header.epoch) {
            epochs::insert(&self.connection, &header.epoch).map_err(text)?;
            self.newest_epoch = Some(header.epoch);
        }
        if let Some(generation) = &mut self.open {
            generation.blocks += 1;
        }
        Ok(())
    }

    /// The epoch of this opening, which begins with its first change.
    pub(super) const fn set_epoch(&mut self, epoch: Option<Epoch>) {
        self.epoch = epoch;
    }

    pub(super) const fn change(&self) -> u64 {
        self.change
    }

    pub(super) const fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) const fn log(&mut self) -> &mut Log {
        &mut self.log
    }

    /// Whether something is applied that readers do not see on connections of their own.
    pub(super) const fn is_ahead(&self) -> bool {
        self.open.is_some()
    }

    /// Whether readers have used the connection for so long that a commit is cheaper.
    pub(super) fn is_read_enough(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.read > READING_TIME)
    }

    /// A reader has used the connection for so long.
    pub(super) fn was_read(&mut self, time: Duration) {
        if let Some(open) = &mut self.open {
            open.read = open.read.saturating_add(time);
        }
    }

    /// Applies a batch, and makes it durable: in the log, or with the whole generation in the database.
    pub(super) fn commit(
        &mut self,
        shared: &Shared,
        now_ms: u64,
        batch: &[Write],
    ) -> Result<Commit, StoreError> {
        let committed = self.commit_batch(shared, now_ms, batch);
        if let Err(error) = &committed {
            self.note_failure(error);
        }
        committed
    }

    /// After a fatal error nothing is committed any more.
    fn note_failure(&mut self, error: &StoreError) {
        if let (StoreError::Fatal(reason), State::Whole | State::Applying) = (error, &self.state) {
            self.state = State::Failed(reason.clone());
        }
    }

    /// Whether it can be used.
    pub(super) fn check_state(&self) -> Result<(), StoreError> {
        match &self.state {
            State::Whole => Ok(()),
            State::Applying => Err(StoreError::Fatal("a batch was left in the middle".to_owned())),
            State::Failed(reason) => Err(StoreError::Fatal(reason.clone())),
        }
    }

    fn commit_batch(&mut self, shared: &Shared, now_ms: u64, batch: &[Write]) -> Result<Commit, StoreError> {
        self.check_state()?;
        let has_room = self.make_room(shared, batch)?;
        self.begin()?;
        let applied = match self.apply(now_ms, batch) {
            Ok(applied) => applied,
            Err(error) => {
                let error = damaged(&self.connection, &error).unwrap_or_else(|| plain_error(&error));
                let error = self.undo(error);
                // The next one that fails has less to take back.
                if let Err(fatal @ StoreError::Fatal(_)) = self.end(shared) {
                    return Err(fatal);
                }
                return Err(error);
            }
        };
        let before = self.take(&applied);
        self.store(shared, now_ms, batch, &applied, before, has_room)?;
        let mut results = applied.results;
        if self.wipe && self.is_time_to_wipe(&results) {
            match self.prepare_to_wipe(shared) {
                true => self.wipe(shared)?,
                false => results.iter_mut().for_each(go_on),
            }
        }
        Ok(Commit {
            results,
            published: applied.published,
            elsewhere: Vec::new(),
        })
    }

    /// Whether a round of retention has ended, or takes very long. What wipes stops everything else, so not each step does it.
    fn is_time_to_wipe(&self, results: &[Result<Written, Refused>]) -> bool {
        results.iter().any(|result| match result {
            Ok(Written::Purged { more, .. }) => !more || self.wiped.elapsed() >= WIPE_INTERVAL,
            _ => false,
        })
    }

    /// Sees to it, before anything is applied, that the batch finds room: what is applied can be taken back only with all of the
    /// generation. Whether what may go into the log may go there.
    fn make_room(&mut self, shared: &Shared, batch: &[Write]) -> Result<bool, StoreError> {
        self.records.clear();
        let logged = batch.iter().filter(|write| record::is_logged(write));
        logged.for_each(|write| record::encode(write, &mut self.records));
        let is_logged = batch.iter().all(record::is_logged);
        let fits = self.log.has_room(self.records.len());
        let is_full = !fits || shared.recent(|recent| recent.len() >= MAX_TOUCHED);
        if is_full {
            self.end(shared)?;
        } else if self.checkpoints.are_waiting()
            && let Err(error @ StoreError::Fatal(_)) = self.end(shared)
        {
            return Err(error);
        }
        if !is_logged {
            self.check_refused()?;
        }
        if self.records.is_empty() || !self.log.has_room(self.records.len()) {
            return Ok(false);
        }
        match self.log.reserve(self.records.len()) {
            Ok(()) => Ok(true),
            // It may be that all of the batch has to be committed, which needs no log.
            Err(_) if !is_logged => Ok(false),
            Err(error) => Err(not_written(&error)),
        }
    }

    /// Makes an applied batch durable.
    fn store(
        &mut self,
        shared: &Shared,
        now_ms: u64,
        batch: &[Write],
        applied: &Applied,
        before: u64,
        has_room: bool,
    ) -> Result<(), StoreError> {
        let changed = || {
            batch
                .iter()
                .zip(&applied.changed)
                .filter(|(_, changed)| **changed)
        };
        if changed().next().is_none() {
            return self.release();
        }
        if self.change != before
            && self.newest_epoch != self.epoch
            && let Some(epoch) = self.epoch
        {
            if let Err(error) = epochs::insert(&self.connection, &epoch) {
                return Err(self.undo(plain_error(&error)));
            }
            self.newest_epoch = Some(epoch);
        }
        // What has changed nothing, as what is refused, keeps nobody else's writes out of the log.
        if !has_room || !changed().all(|(write, _)| record::is_logged(write)) {
            return self.try_to_end(shared).map_err(|error| self.undo(error));
        }
        if applied.changed.contains(&false) {
            // What has changed nothing need not be done again.
            self.records.clear();
            changed().for_each(|(write, _)| record::encode(write, &mut self.records));
        }
        let header = Header {
            salt: self.salt,
            generation: self.generation + 1,
            index: self.open.as_ref().map_or(0, |open| open.blocks),
            now_ms,
            before,
            after: self.change,
            epoch: self.newest_epoch.unwrap_or(Epoch { id: 0, first: 0 }),
        };
        if !planted::is(Fault::AcknowledgeBeforeCommit) {
            self.log
                .append(&header, &self.records)
                .map_err(|error| self.not_appended(&error))?;
        }
        if let Some(open) = &mut self.open {
            open.blocks += 1;
        }
        shared.note(changed().map(|(write, _)| write), self.change);
        Ok(())
    }

    /// On some file systems, what is written over needs space, too. Of a block that does not fit, nothing may be left.
    fn not_appended(&mut self, error: &log::NotAppended) -> StoreError {
        let log::NotAppended::Written(error) = error else {
            return StoreError::Fatal(error.to_string());
        };
        let error = not_written(error);
        let stored = self.open.as_ref().map_or(0, |open| open.blocks);
        let found = self.log.read(self.salt, self.generation + 1);
        if !matches!(&found, Ok(Found::Blocks(blocks)) if blocks.len() as u64 == stored) {
            return StoreError::Fatal(format!("{error}; {}: {stored} blocks were expected", log::LOG));
        }
        self.undo(error)
    }

    /// Begins a generation, unless one is in progress.
    fn begin(&mut self) -> Result<(), StoreError> {
        if self.open.is_some() {
            return Ok(());
        }
        self.connection
            .execute_batch("BEGIN IMMEDIATE")
            .map_err(|error| plain_error(&error))?;
        self.open = Some(Generation::default());
        // Two hubs on one database would assign the same change numbers to different entries.
        let newest = epochs::newest(&self.connection).map_err(|error| plain_error(&error))?;
        if newest != self.newest_epoch {
            return Err(StoreError::Fatal(
                "another hub has written to this database; stop one of the two".to_owned(),
            ));
        }
        Ok(())
    }

    /// Ends the transaction if nothing was applied in it.
    fn release(&mut self) -> Result<(), StoreError> {
        if self.open.as_ref().is_some_and(|open| open.blocks == 0) {
            self.open = None;
            // From now on others may write.
            self.known.forget_senders();
            self.connection
                .execute_batch("ROLLBACK")
                .map_err(|error| plain_error(&error))?;
        }
        Ok(())
    }

    fn apply(&mut self, now_ms: u64, batch: &[Write]) -> rusqlite::Result<Applied> {
        let mut work = Batch {
            db: &self.connection,
            now_ms,
            change: self.change,
            content: self.content,
            published: Vec::new(),
            roster: None,
            revoked: None,
            wipe: false,
            // On an error nothing is known any more.
            newest: std::mem::take(&mut self.newest),
            known: std::mem::take(&mut self.known),
            unwritten: std::mem::take(&mut self.unwritten),
            usage: std::mem::take(&mut self.usage),
            sent: std::mem::take(&mut self.sent),
            statements: Statements::new(&self.connection),
            last_id: self.last_id.take(),
            changed: Vec::with_capacity(batch.len()),
        };
        self.state = State::Applying;
        let applied = work.apply_all(batch);
        self.state = State::Whole;
        let results = applied?;
        let Batch {
            change,
            content,
            published,
            wipe,
            newest,
            known,
            unwritten,
            usage,
            sent,
            last_id,
            changed,
            ..
        } = work;
        (self.newest, self.known) = (newest, known);
        (self.unwritten, self.usage, self.last_id) = (unwritten, usage, last_id);
        self.sent = sent;
        Ok(Applied {
            results,
            published,
            changed,
            change,
            content,
            wipe,
        })
    }

    /// Takes over the counters. Returns the newest change from before.
    const fn take(&mut self, applied: &Applied) -> u64 {
        let before = self.change;
        self.change = applied.change;
        self.content = applied.content;
        self.wipe |= applied.wipe;
        before
    }

    /// Takes back a batch that was not stored: all of the generation, and then its blocks once more. Returns the error, or a fatal
    /// one.
    fn undo(&mut self, error: StoreError) -> StoreError {
        if matches!(error, StoreError::Fatal(_)) {
            return error;
        }
        match self.restore() {
            Ok(()) => error,
            Err(why) => StoreError::Fatal(format!(
                "{error}; what was stored before cannot be restored: {why}"
            )),
        }
    }

    fn restore(&mut self) -> Result<(), String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        if !self.connection.is_autocommit() {
            self.connection
                .execute_batch("ROLLBACK")
                .map_err(|error| text(&error))?;
        }
        let stored = self.open.take().map_or(0, |open| open.blocks);
        self.look().map_err(|error| text(&error))?;
        if stored == 0 {
            return Ok(());
        }
        let found = self
            .log
            .read(self.salt, self.generation + 1)
            .map_err(|error| text(&error))?;
        let Found::Blocks(blocks) = found else {
            return Err(format!("{}: {found:?}", log::LOG));
        };
        if blocks.len() as u64 != stored {
            return Err(format!("{} of {stored} blocks are left", blocks.len()));
        }
        self.begin().map_err(|error| text(&error))?;
        for (header, body) in &blocks {
            self.apply_block(header, body)?;
        }
        #[cfg(test)]
        {
            self.restored += stored;
        }
        Ok(())
    }

    /// Commits the generation, after which all readers see it. If that is not possible, as on a full disk, it goes on.
    pub(super) fn end(&mut self, shared: &Shared) -> Result<(), StoreError> {
        self.try_to_end(shared).map_err(|error| {
            // SQLite may have rolled it back.
            let error = match self.open.is_some() && self.connection.is_autocommit() {
                true => self.undo(error),
                false => error,
            };
            self.note_failure(&error);
            error
        })
    }

    /// Fails at once if it has failed a moment ago. The caller takes back what cannot be committed.
    fn try_to_end(&mut self, shared: &Shared) -> Result<(), StoreError> {
        self.check_state()?;
        if self.open.is_none() {
            return Ok(());
        }
        self.check_refused()?;
        if let Err(error) = self.end_generation() {
            self.refused = Some((error.clone(), Instant::now() + PAUSE));
            return Err(error);
        }
        self.refused = None;
        shared.committed(self.change);
        Ok(())
    }

    fn check_refused(&self) -> Result<(), StoreError> {
        match &self.refused {
            Some((error, until)) if Instant::now() < *until => Err(error.clone()),
            _ => Ok(()),
        }
    }

    fn end_generation(&mut self) -> Result<(), StoreError> {
        if self.open.is_none() {
            return Ok(());
        }
        #[cfg(test)]
        tests::fail(&self.connection)?;
        let next = self.generation + 1;
        self.unwritten
            .write(&self.connection)
            .and_then(|()| {
                let usage = &mut self.usage;
                self.room.give(&self.connection, || usage.write(&self.connection))
            })
            .map_err(|error| plain_error(&error))?;
        self.connection
            .prepare_cached("UPDATE meta SET generation = ?1")
            .and_then(|mut statement| statement.execute([sql(next)]))
            .map_err(|error| plain_error(&error))?;
        self.connection
            .execute_batch("COMMIT")
            .map_err(|error| commit_error(&error))?;
        self.generation = next;
        self.open = None;
        let generations = &self.log.counts().generations;
        generations.fetch_add(1, Ordering::Relaxed);
        // They are checked when they are read again.
        self.known.forget_heads();
        self.known.forget_senders();
        self.unwritten.forget();
        self.log.restart();
        self.checkpoints.committed(&self.connection);
        Ok(())
    }

    /// Sees to it that a wipe takes little time: everything else waits for it. Most of SQLite's write-ahead log is moved beside the
    /// writer, and most of our log is overwritten in steps. Whether that is done. If not, the round of retention is to go on.
    fn prepare_to_wipe(&mut self, shared: &Shared) -> bool {
        if self.checkpoints.is_busy() {
            return false;
        }
        // What cannot be committed is not wiped either.
        if self.end(shared).is_err() {
            return true;
        }
        // A reader may keep the write-ahead log from being moved, and a busy hub fills both again.
        if self.preparations < MAX_PREPARATIONS {
            self.preparations += 1;
            if self.checkpoints.begin_to_empty(&self.connection) {
                return false;
            }
            match self.log.wipe_behind() {
                Ok(false) => {}
                Ok(true) => return false,
                Err(error) => warn!(%error, "{} is not overwritten in steps", log::LOG),
            }
        }
        self.preparations = 0;
        true
    }

    /// Removes what is left of removed contents: moves SQLite's write-ahead log into the database and truncates it, and overwrites ours.
    /// Does not wait for readers; the next one tries again.
    fn wipe(&mut self, shared: &Shared) -> Result<(), StoreError> {
        match self.end(shared) {
            Ok(()) => {}
            Err(error @ StoreError::Fatal(_)) => return Err(error),
            // The batch is stored.
            Err(reason) => {
                warn!(%reason, "removed contents stay in {}", log::LOG);
                return Ok(());
            }
        }
        if !self.empty_the_log()? {
            return Ok(());
        }
        match self.log.wipe().map_err(|error| not_written(&error)) {
            Ok(()) => (self.wipe, self.wiped) = (false, Instant::now()),
            Err(error @ StoreError::Fatal(_)) => return Err(error),
            Err(reason) => warn!(%reason, "removed contents stay in {}", log::LOG),
        }
        Ok(())
    }

    /// Returns whether SQLite's log is empty.
    fn empty_the_log(&self) -> Result<bool, StoreError> {
        let cut = || {
            self.connection.busy_timeout(Duration::ZERO)?;
            let busy = self
                .connection
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
            // In any case: later writes wait for locks.
            self.connection.busy_timeout(BUSY_TIMEOUT)?;
            Ok(!busy?)
        };
        match cut().map_err(|error: rusqlite::Error| plain_error(&error)) {
            Err(StoreError::NotStored(reason)) => {
                // The batch is stored; the next purge tries again.
                warn!(%reason, "the write-ahead log cannot be emptied: removed contents stay in it");
                Ok(false)
            }
            cut => cut,
        }
    }

    /// Before somebody looks at the tables.
    fn write_heads(&mut self) -> rusqlite::Result<()> {
        self.unwritten.write(&self.connection).inspect_err(|error| {
            let error = plain_error(error);
            // SQLite may have rolled the generation back.
            let error = match self.open.is_some() && self.connection.is_autocommit() {
                true => self.undo(error),
                false => error,
            };
            self.note_failure(&error);
        })
    }

    /// Runs a read on this connection, for a while. `None` if it takes longer.
    pub(super) fn read<T>(
        &mut self,
        within: Option<Duration>,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Option<rusqlite::Result<T>> {
        /// After so many steps of SQLite's machine the clock is read.
        const STEPS: i32 = 1_000;
        let begun = Instant::now();
        if let Err(error) = self.write_heads() {
            return Some(Err(error));
        }
        if let Some(within) = within {
            let is_over = move || begun.elapsed() > within;
            let _ = self.connection.progress_handler(STEPS, Some(is_over));
        }
        let found = work(&self.connection);
        if within.is_some() {
            let _ = self.connection.progress_handler(0, None::<fn() -> bool>);
        }
        self.was_read(begun.elapsed());
        match found {
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) => {
                None
            }
            found => Some(found),
        }
    }

    /// Leaves everything in the database file, so that a copy of this file is complete.
    pub(super) fn close(&mut self, shared: &Shared, lock: &DirLock) {
        if let Err(error) = self.end(shared) {
            warn!(%error, "the last messages stay in {}, beside the database", log::LOG);
            return;
        }
        self.checkpoints.stop();
        let checkpoint = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
        match checkpoint {
            Ok(false) => {}
            Ok(true) => warn!("the write-ahead log is still being read and stays beside the database"),
            Err(error) => warn!(%error, "the write-ahead log stays beside the database"),
        }
        if let Err(error) = lock.mark_stopped().and_then(|()| self.log.close()) {
            warn!(%error, "{} cannot be emptied", log::LOG);
        }
    }
}

/// A step of retention does not end its round: removed contents are not wiped yet.
const fn go_on(result: &mut Result<Written, Refused>) {
    if let Ok(Written::Purged { more, .. }) = result {
        *more = true;
    }
}

/// The newest generation that is committed, and the salt of the store.
fn generation(connection: &Connection) -> rusqlite::Result<(u64, u64)> {
    connection.query_row("SELECT generation, salt FROM meta", [], |row| {
        Ok((unsigned(row, 0)?, unsigned(row, 1)?))
    })
}

/// The blocks of the log that are not in the database. If the last hub was killed, there must be a log.
pub(super) fn blocks_in_log(
    connection: &Connection,
    dir: &Path,
    was_killed: bool,
) -> Result<Vec<(Header, Vec<u8>)>, OpenError> {
    let path = dir.join(log::LOG);
    let (generation, salt) = generation(connection)?;
    let found = match Log::new(dir, salt).and_then(|log| log.read(salt, generation + 1)) {
        Ok(found) => found,
        Err(error) => return Err(OpenError::Io { path, error }),
    };
    let what = match found {
        Found::Blocks(blocks) => return Ok(blocks),
        // Whoever opens the store makes it, and it has the last messages.
        Found::Nothing if !was_killed => return Ok(Vec::new()),
        Found::Nothing => "the last hub was killed, and its log is missing or emptied: restore it or a backup, or remove hub.lock to \
                           go on without what was stored last"
            .to_owned(),
        Found::NoFront => "its front is damaged, and blocks follow it".to_owned(),
        Found::Foreign => "it belongs to another store: restore both files of one time, or remove this one".to_owned(),
        Found::Short { len } => format!(
            "it was truncated, and once had {len} bytes: restore it or a backup, or remove it and hub.lock to go on without what \
             was stored last"
        ),
        Found::Hole { index } => format!("block {index} is damaged, and later ones follow it"),
        Found::Newer { generation: found } => format!(
            "it continues generation {} of the database, which is at {generation}: restore both files of one time, or remove this \
             one to go on from the database, without what was stored since",
            found - 1
        ),
    };
    Err(OpenError::Damaged { path, what })
}

/// An applied batch.
struct Applied {
    results: Vec<Result<Written, Refused>>,
    published: Vec<tim_store::Published>,
    changed: Vec<bool>,
    change: u64,
    content: i64,
    wipe: bool,
}

/// The log could not grow.
fn not_written(error: &io::Error) -> StoreError {
    if log::is_full(error) {
        return StoreError::NotStored(NotStored::DiskFull);
    }
    StoreError::Fatal(error.to_string())
}

#[cfg(test)]
pub(super) mod tests {
    use std::ops::Deref;

    use std::cell::Cell;

    use super::super::shared::Turn;
    use super::*;

    /// Why a generation is not committed.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(in super::super) enum Commits {
        Succeed,
        /// As if the disk were full.
        Fail,
        /// SQLite takes the transaction back, too.
        RollBack,
    }

    thread_local! {
        pub(in super::super) static COMMITS: Cell<Commits> = const { Cell::new(Commits::Succeed) };
    }

    pub(super) fn fail(connection: &Connection) -> Result<(), StoreError> {
        match COMMITS.get() {
            Commits::Succeed => return Ok(()),
            Commits::Fail => {}
            Commits::RollBack => connection.execute_batch("ROLLBACK").unwrap(),
        }
        Err(StoreError::NotStored(NotStored::DiskFull))
    }

    /// The writing connection, for tests that look at it.
    pub(in super::super) struct Writing<'a>(pub(in super::super) Turn<'a>);

    impl Deref for Writing<'_> {
        type Target = Connection;

        fn deref(&self) -> &Connection {
            self.0.database.as_ref().unwrap().connection()
        }
    }
}
