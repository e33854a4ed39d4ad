//! The writing end.

use std::time::Duration;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tim_store::{
    Change, Commit, Elsewhere, Epoch, MAX_BATCH, NotStored, Published, Refused, StoreError, StoreWriter,
    Write, Written,
};
use tracing::{info, warn};

use super::batch::Batch;
use super::db::{CommitError, Connection, Error};
use super::errors::{commit_error, not_opened, plain_error};
use super::known::Known;
use super::purge::LastId;
use super::recent::Newest;
use super::rows::{sql, unsigned};
use super::session::{Holder, Place, end_former, open_error, take_lock, take_shared_lock};
use super::turns::{self, Found, Turn};
use super::usage::Usage;
use super::value::params;
use super::{OpenError, bus, epochs, hubs};

/// For how long a COMMIT is waited for. It waits for a standby that confirms it; without one, longer.
pub(super) const COMMIT_TIME: Duration = Duration::from_secs(15);

/// The writing end of a store.
pub struct PostgresWriter {
    place: Place,
    /// `None` while the connection is lost.
    session: Option<Connection>,
    /// The newest session.
    holder: Holder,
    /// The epoch of this opening, and whether it is in the database.
    epoch: Epoch,
    is_begun: bool,
    /// The newest epoch before it.
    epoch_before: Option<i64>,
    /// The newest change that is known to be stored.
    change: u64,
    /// Whether a batch may have been stored after it.
    is_unknown: bool,
    memory: Memory,
    /// Why nothing more is written.
    failed: Option<String>,
    /// `None` if no other hub is let in.
    sharing: Option<Sharing>,
    /// Whether the database was found to have lost acknowledged changes.
    has_lost: Cell<bool>,
}

/// A hub that writes beside others.
pub(super) struct Sharing {
    pub(super) hub: u64,
    /// Everything up to this turn is known here.
    pub(super) turn: Turn,
    /// What others have written up to there and nobody here was told of.
    pub(super) ahead: Vec<Elsewhere>,
    pub(super) bus: Arc<bus::Shared>,
}

/// Where the database is.
struct Head {
    change: u64,
    epoch: Option<i64>,
    turn: u64,
    hubs: i64,
}

/// The columns of [`Head`].
macro_rules! head {
    () => {
        "SELECT change, epoch, turn, hubs FROM meta WHERE id = 0"
    };
}

/// What is known without asking the database. On an error nothing is known any more.
#[derive(Debug, Default)]
struct Memory {
    newest: Newest,
    known: Known,
    usage: Usage,
    last_id: Option<LastId>,
}

impl PostgresWriter {
    pub(super) fn new(
        place: Place,
        session: Connection,
        holder: Holder,
        epoch: Epoch,
        epoch_before: Option<i64>,
    ) -> Self {
        Self {
            place,
            session: Some(session),
            holder,
            change: epoch.first,
            epoch,
            is_begun: false,
            epoch_before,
            is_unknown: false,
            memory: Memory::default(),
            failed: None,
            sharing: None,
            has_lost: Cell::new(false),
        }
    }

    /// One beside others.
    pub(super) fn sharing(
        place: Place,
        session: Connection,
        holder: Holder,
        (epoch, change): (Epoch, u64),
        sharing: Sharing,
    ) -> Self {
        let mut writer = Self::new(place, session, holder, epoch, None);
        writer.change = change;
        writer.is_begun = true;
        writer.sharing = Some(sharing);
        writer
    }

    /// A session that has the lock.
    fn session(&mut self) -> Result<Connection, StoreError> {
        if let Some(session) = self.session.take().filter(|session| !session.is_lost()) {
            return Ok(session);
        }
        self.memory = Memory::default();
        let opened = self.place.session().and_then(|session| {
            let holder = match &self.sharing {
                None => take_lock(&session, &self.place, Some(&self.holder))?,
                Some(_) => {
                    end_former(&session, &self.holder)
                        .map_err(|error| open_error(error, &self.place.schema))?;
                    take_shared_lock(&session, &self.place, false)?.holder
                }
            };
            Ok((session, holder))
        });
        match opened {
            Ok((session, holder)) => {
                info!(database = %self.place.name(), "the connection to the database is back");
                self.holder = holder;
                Ok(session)
            }
            // A hub that is coming in has the lock for a moment.
            Err(error @ OpenError::InUse { .. }) if self.sharing.is_none() => Err(StoreError::Fatal(
                format!("{error}; it took over when the connection to the database was lost"),
            )),
            Err(error) => Err(not_opened(error)),
        }
    }

    /// Begins a transaction, and waits for that of a lost connection to end.
    fn begin(&self, db: &Connection) -> Result<Head, StoreError> {
        db.send("BEGIN");
        self.head(db, concat!(head!(), " FOR UPDATE"))
    }

    /// Where the database is, if nothing is wrong with that.
    fn head(&self, db: &Connection, text: &str) -> Result<Head, StoreError> {
        let found = db.statement(text).and_then(|statement| {
            statement.query_row(params![], |row| {
                Ok(Head {
                    change: unsigned(row, 0)?,
                    epoch: row.get(1)?,
                    turn: unsigned(row, 2)?,
                    hubs: row.get(3)?,
                })
            })
        });
        let head = found.map_err(|error| plain_error(&error))?;
        let own = Some(sql(self.epoch.id));
        let is_own = head.epoch == own || (!self.is_begun && head.epoch == self.epoch_before);
        if !is_own && head.epoch > own {
            return Err(StoreError::Fatal(
                "another hub has written to this database; stop one of the two".to_owned(),
            ));
        }
        let turn = self
            .sharing
            .as_ref()
            .map_or(head.turn, |sharing| sharing.turn.number);
        if !is_own || head.change < self.change || head.turn < turn {
            self.has_lost.set(true);
            return Err(lost(head.change, self.change));
        }
        if head.change != self.change && head.turn == turn && !self.is_unknown {
            return Err(StoreError::Fatal(
                "another program has written to this database".to_owned(),
            ));
        }
        Ok(head)
    }

    /// What was written since the turn that is known here, and the turn of the database.
    fn elsewhere(&self, db: &Connection, head: &Head) -> Result<(Vec<Elsewhere>, Option<Turn>), StoreError> {
        let Some(sharing) = &self.sharing else {
            // It was stored after all, and is visible only now: later than everybody was told to begin again.
            let is_late = self.is_unknown && head.change != self.change;
            return Ok((is_late.then_some(Elsewhere::Missed).into_iter().collect(), None));
        };
        let turn = sharing.turn;
        if head.turn == turn.number {
            return Ok((Vec::new(), Some(turn)));
        }
        let unseen = Turn {
            number: head.turn,
            made: None,
        };
        match turns::after(db, &turn, head.turn).map_err(|error| plain_error(&error))? {
            Found::All(elsewhere, turn) => Ok((elsewhere, Some(turn))),
            Found::Missed => {
                warn!("other hubs have written more than is kept for this one");
                Ok((vec![Elsewhere::Missed], Some(unseen)))
            }
            Found::Other => {
                self.has_lost.set(true);
                Err(lost(head.change, self.change))
            }
        }
    }

    /// Reads what other hubs have written, without keeping them from writing more.
    fn read_ahead(&mut self, db: &Connection) -> Result<(), StoreError> {
        let head = self.head(db, head!())?;
        let (elsewhere, turn) = self.elsewhere(db, &head)?;
        self.saw(head.change, turn);
        if let Some(sharing) = &mut self.sharing {
            // The others took this hub for gone, unless it was only slow.
            if elsewhere.contains(&Elsewhere::Missed)
                && let Err(error) = hubs::register(db, sharing.hub, Some(head.turn))
            {
                warn!(%error, "the other hubs may take this one for gone");
                let _ = db.roll_back();
            }
            sharing.ahead.extend(elsewhere);
        }
        Ok(())
    }

    /// Changes that devices know are lost, and their numbers are given anew. In the epoch that all hubs share devices could not be told, so a new
    /// one begins, and the other hubs end, too.
    fn begin_epoch(&self, now_ms: u64) {
        if self.sharing.is_none() {
            return;
        }
        let begun = self
            .place
            .session()
            .map_err(|error| error.to_string())
            .and_then(|db| hubs::begin_epoch(&db, now_ms).map_err(|error| error.to_string()));
        if let Err(error) = begun {
            warn!(
                error,
                "no new epoch has begun: devices may not be told that messages are missing"
            );
        }
    }

    /// One batch, behind what other hubs have written.
    fn commit_on(&mut self, db: &Connection, now_ms: u64, batch: &[Write]) -> Result<Commit, StoreError> {
        let is_shared = self
            .sharing
            .as_ref()
            .is_some_and(|sharing| sharing.bus.is_heard());
        let looks = batch.is_empty() && self.sharing.is_some();
        if (is_shared || looks) && !self.is_unknown {
            self.read_ahead(db)?;
        }
        let mut commit = match looks && !self.is_unknown {
            true => Commit::default(),
            false => self.write(db, now_ms, batch)?,
        };
        if let Some(sharing) = &mut self.sharing {
            let behind = std::mem::take(&mut commit.elsewhere);
            commit.elsewhere = std::mem::take(&mut sharing.ahead);
            commit.elsewhere.extend(behind);
        }
        Ok(commit)
    }

    /// Everything up to here is known.
    fn saw(&mut self, change: u64, turn: Option<Turn>) {
        self.change = change;
        if let Some((sharing, turn)) = self.sharing.as_mut().zip(turn) {
            if turn.number != sharing.turn.number {
                self.memory = Memory::default();
            }
            sharing.turn = turn;
            sharing.bus.seen.store(turn.number, Ordering::Release);
        }
    }

    fn write(&mut self, db: &Connection, now_ms: u64, batch: &[Write]) -> Result<Commit, StoreError> {
        let head = self.begin(db)?;
        let (elsewhere, turn) = self.elsewhere(db, &head)?;
        let before = head.change;
        let mut memory = std::mem::take(&mut self.memory);
        if turn.map(|turn| turn.number) != self.sharing.as_ref().map(|sharing| sharing.turn.number) {
            memory = Memory::default();
        }
        let unchanged = db.total_changes();
        let mut work = Batch {
            db,
            now_ms,
            change: before,
            published: Vec::new(),
            roster: None,
            revoked: None,
            newest: memory.newest,
            known: memory.known,
            usage: memory.usage,
            last_id: memory.last_id,
        };
        let results = work
            .apply_all(batch, before)
            .map_err(|error| plain_error(&error))?;
        let is_changed = work.change != before;
        let begins = is_changed && !self.is_begun;
        let mut own_turn = None;
        let applied = (|| {
            work.usage.write(db)?;
            if begins {
                epochs::insert(db, &self.epoch)?;
            }
            if let Some(turn) = turn.filter(|_| db.total_changes() != unchanged) {
                own_turn = Some(self.take_turn(db, turn, &head, &work, batch, &results)?);
            }
            Ok(())
        })();
        applied.map_err(|error: Error| plain_error(&error))?;
        match db.commit(COMMIT_TIME) {
            Ok(()) => {}
            Err(CommitError::Before(error)) => return Err(plain_error(&error)),
            Err(CommitError::During(error)) => {
                let error = commit_error(&error);
                self.is_unknown |= matches!(error, StoreError::Unknown(_));
                return Err(error);
            }
        }
        let published: Vec<Published> = work.published;
        let (change, is_told) = (work.change, own_turn.is_some() && head.hubs > 1);
        let memory = Memory {
            newest: work.newest,
            known: work.known,
            usage: work.usage,
            last_id: work.last_id,
        };
        self.is_unknown = false;
        self.is_begun |= is_changed;
        self.saw(change, own_turn.or(turn));
        self.memory = memory;
        if let Some(sharing) = self.sharing.as_ref().filter(|_| is_told) {
            sharing.bus.has_written();
        }
        Ok(Commit {
            results,
            published,
            elsewhere,
        })
    }

    /// Writes down for the others what this batch means to them.
    fn take_turn(
        &self,
        db: &Connection,
        before: Turn,
        head: &Head,
        work: &Batch<'_>,
        batch: &[Write],
        results: &[Result<Written, Refused>],
    ) -> super::db::Result<Turn> {
        let hub = self.sharing.as_ref().map_or(0, |sharing| sharing.hub);
        let turn = Turn {
            number: before.number + 1,
            made: Some((hub, work.change)),
        };
        db.statement("UPDATE meta SET turn = ?1 WHERE id = 0")?
            .run([sql(turn.number)])?;
        if head.hubs > 1 {
            let applied = batch.iter().zip(results);
            let applied = applied.filter_map(|(write, result)| Some((write, result.as_ref().ok()?)));
            let changes: Vec<Change> = applied
                .flat_map(|(write, written)| Change::of(write, written))
                .collect();
            turns::insert(db, &turn, &work.published, &changes)?;
        }
        Ok(turn)
    }
}

/// The database has less than it had.
fn lost(found: u64, stored: u64) -> StoreError {
    StoreError::Fatal(format!(
        "the database has lost acknowledged changes: it ends with {found}, and {stored} was stored; it was restored from an older copy, \
         or failed over to a standby that is not synchronous"
    ))
}

impl StoreWriter for PostgresWriter {
    fn commit(&mut self, now_ms: u64, batch: &[Write]) -> Result<Commit, StoreError> {
        if batch.len() > MAX_BATCH {
            return Err(StoreError::NotStored(NotStored::BatchTooLong));
        }
        if let Some(why) = &self.failed {
            return Err(StoreError::Fatal(why.clone()));
        }
        let session = self.session();
        let done = session.and_then(|db| {
            let done = self.commit_on(&db, now_ms, batch);
            // Whatever was not stored is taken back. After an unknown end the server ends the session by itself.
            let is_usable = match &done {
                Ok(_) => !db.is_lost(),
                Err(StoreError::NotStored(_)) => !db.is_lost() && db.roll_back().is_ok(),
                Err(_) => false,
            };
            if is_usable {
                self.session = Some(db);
            }
            done
        });
        if let Err(error) = &done {
            self.memory = Memory::default();
            if self.has_lost.take() {
                self.begin_epoch(now_ms);
            }
            if let StoreError::Fatal(why) = error {
                self.failed = Some(why.clone());
            }
        }
        done
    }
}

/// Gives the lock back, so that the next hub need not wait until the server notices.
impl Drop for PostgresWriter {
    fn drop(&mut self) {
        if let Some(sharing) = &self.sharing {
            sharing.bus.end();
        }
        let Some(session) = self.session.take().filter(|session| !session.is_lost()) else {
            return;
        };
        if let Some(sharing) = &self.sharing
            && let Err(error) = hubs::leave(&session, sharing.hub)
        {
            warn!(%error, "the other hubs take this one for present for a while");
        }
        if let Err(error) = session.batch("SELECT pg_advisory_unlock_all()") {
            warn!(%error, "the lock of the store stays until the database notices that this hub has gone");
        }
    }
}

impl std::fmt::Debug for PostgresWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresWriter")
            .field("change", &self.change)
            .finish_non_exhaustive()
    }
}
