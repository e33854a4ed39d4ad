//! Retention: a thread that removes what is older than the hub keeps it, whether or not connections come. In a
//! [stepped](crate::Steps) hub there is no thread: a round is a step. Who is online and shows something of what was removed is told.

mod announce;
mod proven_time;

use std::collections::BTreeSet;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tracing::{debug, info, warn};

use crate::clock::Clock;
use crate::files::Files;
use crate::metrics::Metrics;
use crate::presence::PresenceRegistry;
use crate::settings::Settings;
use crate::threads::JoinOnDrop;
pub(crate) use announce::Announcer;
use proven_time::Look;
pub(crate) use proven_time::ProvenTime;
use tim_proto::UserId;
use tim_proto::planted::{self, Fault};
use tim_store::{Purge, PurgedLog, StoreReader, Write, WriteResult, Writer, Written};

/// The shortest interval between two rounds.
const LEAST_INTERVAL: Duration = Duration::from_millis(1);
/// How many entries one step removes at most.
const STEP: u32 = 2_000;
/// How long one step takes, about, without its commit. Messages that are sent meanwhile wait for both.
const STEP_TIME: Duration = Duration::from_millis(2);
/// The shortest and the longest pause between two steps. A step is followed by a pause that is as long as the step was, with its commit, so
/// that half of the store's time is left to others, and no message waits for two steps.
const PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(100)];
/// For how much longer than entries message ids are kept.
const ID_GRACE_MS: u64 = 24 * 60 * 60 * 1000;

/// The thread, if there is one. Dropping this ends it.
#[derive(Debug)]
pub(crate) struct Retention {
    /// In front of the thread, which ends when this is dropped.
    _stop: SyncSender<()>,
    _thread: JoinOnDrop,
}

/// What removes. It keeps neither the store nor the writer open.
pub(crate) struct Work {
    pub(crate) writer: Weak<Writer>,
    pub(crate) reader: Weak<dyn StoreReader>,
    pub(crate) clock: Clock,
    pub(crate) settings: Arc<Settings>,
    pub(crate) interval: Duration,
    pub(crate) time: ProvenTime,
    pub(crate) presence: Weak<PresenceRegistry>,
    /// When the store was told last who is online, by the steady clock.
    pub(crate) told_of_use_ms: Option<u64>,
    /// Whether steps end after a time. Those of a stepped hub are always the same.
    pub(crate) is_timed: bool,
    pub(crate) announcer: Weak<Announcer>,
    pub(crate) files: Weak<Files>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Retention {
    pub(crate) fn start(work: Work) -> io::Result<Self> {
        let (stop, stopped) = sync_channel(0);
        let thread = crate::threads::thread("tim-retention", move || work.run(&stopped))?;
        Ok(Self {
            _stop: stop,
            _thread: thread,
        })
    }
}

impl Work {
    fn run(mut self, stopped: &Receiver<()>) {
        let interval = self.interval.max(LEAST_INTERVAL);
        loop {
            self.round_here(stopped);
            match stopped.recv_timeout(interval) {
                Err(RecvTimeoutError::Timeout) => {}
                _ => return,
            }
        }
    }

    /// Removes what is older than the retention, a bounded number of entries at a time. Other writes come in between.
    fn round_here(&mut self, stopped: &Receiver<()>) {
        let Some(step) = self.step() else { return };
        let mut removed = Removed::default();
        while let Some(writer) = self.writer.upgrade() {
            let begun_ms = self.clock.steady_ms();
            let (logs, more) = removed.take(writer.write_blocking(Write::Purge(step)));
            drop(writer);
            if let Some(announcer) = self.announcer.upgrade() {
                announcer.announce_here(&logs);
            }
            let took = Duration::from_millis(self.clock.steady_ms().saturating_sub(begun_ms));
            let [least, most] = PAUSES;
            if !more || stopped.recv_timeout(took.clamp(least, most)) != Err(RecvTimeoutError::Timeout) {
                break;
            }
        }
        removed.report(&self.metrics);
        // Behind the entries that used them.
        if let Some(files) = self.files.upgrade() {
            files.keep_house_here(step.over_before_ms);
        }
    }

    /// Begins to remove what is older than the retention. Each step is a write, and what it has removed is told on the read pool.
    pub(crate) fn round(&mut self) {
        if let (Some(writer), Some(step)) = (self.writer.upgrade(), self.step()) {
            let counted = Counted {
                announcer: self.announcer.clone(),
                metrics: Arc::clone(&self.metrics),
            };
            submit(&writer, step, counted, Removed::default());
            if let Some(files) = self.files.upgrade() {
                files.keep_house(step.over_before_ms);
            }
        }
    }

    /// A step that removes what is old by now.
    fn step(&mut self) -> Option<Purge> {
        let reader = self.reader.upgrade()?;
        let newest_ms = match reader.newest_time_ms() {
            Ok(newest_ms) => newest_ms,
            Err(error) => {
                debug!(%error, "old entries are not looked for now");
                return None;
            }
        };
        let Look { proven_ms, jumped_ms } =
            self.time
                .look(self.clock.wall_ms(), self.clock.steady_ms(), newest_ms);
        let proven_ms = match planted::is(Fault::PurgeByWallClock) {
            true => self.clock.wall_ms(),
            false => proven_ms,
        };
        if let Some(jumped_ms) = jumped_ms {
            warn!(
                seconds = jumped_ms / 1000,
                "the system's clock has jumped; nothing is removed on its account: what is older than the retention goes \
                 as the time passes"
            );
        }
        // It may be that nothing is old, or that no time is proven. The store still wipes what was revoked.
        let older_than_ms = proven_ms.saturating_sub(self.settings.retention_ms());
        Some(Purge {
            older_than_ms,
            forget_ids_before_ms: older_than_ms.saturating_sub(ID_GRACE_MS),
            over_before_ms: proven_ms,
            unused_before_ms: self.unused_before_ms(proven_ms),
            budget: STEP,
            time: self.is_timed.then_some(STEP_TIME),
        })
    }
}

/// How many users the store is told of at a time.
const USERS: usize = 256;

impl Work {
    /// Accounts that were in use last before this time are removed. None, unless the store knows who is online.
    fn unused_before_ms(&mut self, proven_ms: u64) -> u64 {
        match self.settings.unused_account_life_ms() {
            Some(life_ms) if self.tell_of_use() => proven_ms.saturating_sub(life_ms),
            _ => 0,
        }
    }

    /// Tells the store now and then that those who are online use their accounts. Whether it knows.
    fn tell_of_use(&mut self) -> bool {
        let now_ms = self.clock.steady_ms();
        let interval_ms = self.settings.use_interval_ms().unwrap_or(u64::MAX);
        let is_due = |told_ms: u64| now_ms.saturating_sub(told_ms) >= interval_ms;
        if !self.told_of_use_ms.is_none_or(is_due) {
            return true;
        }
        let (Some(presence), Some(writer)) = (self.presence.upgrade(), self.writer.upgrade()) else {
            return false;
        };
        let users: BTreeSet<UserId> = presence.all().iter().map(|device| device.user()).collect();
        let users: Vec<UserId> = users.into_iter().collect();
        for users in users.chunks(USERS) {
            // Removal comes behind it in the same queue.
            let told = writer.submit(Write::EnsureAccounts(users.to_vec()), |result| {
                if let Err(error) = result {
                    debug!(%error, "the store is not told of all who are online");
                }
            });
            if told.is_err() {
                return false;
            }
        }
        self.told_of_use_ms = Some(now_ms);
        true
    }
}

/// What the steps of one round have removed.
#[derive(Debug, Default)]
struct Removed {
    entries: u64,
    ids: u64,
    accounts: u64,
}

impl Removed {
    /// Takes the result of a step. Returns what it has removed entries from, and whether there may be more to remove.
    fn take(&mut self, result: WriteResult) -> (Vec<PurgedLog>, bool) {
        match result {
            Ok(Written::Purged {
                entries,
                ids,
                accounts,
                more,
                logs,
            }) => {
                self.entries += entries;
                self.ids += ids;
                self.accounts += accounts;
                return (logs, more);
            }
            Ok(_) => {}
            Err(error) => warn!(%error, "old entries cannot be removed; trying again later"),
        }
        (Vec::new(), false)
    }

    fn report(&self, metrics: &Metrics) {
        let counts = &metrics.retention;
        counts.entries.add(self.entries);
        counts.ids.add(self.ids);
        counts.accounts.add(self.accounts);
        metrics.retention_ended();
        if self.entries > 0 {
            info!(
                entries = self.entries,
                ids = self.ids,
                "removed what is older than the retention"
            );
        }
        if self.accounts > 0 {
            info!(accounts = self.accounts, "removed accounts that were not used");
        }
    }
}

/// Who is told of what the steps of a round remove.
struct Counted {
    announcer: Weak<Announcer>,
    metrics: Arc<Metrics>,
}

/// One step, and another one behind it while there is more.
fn submit(writer: &Arc<Writer>, step: Purge, counted: Counted, mut removed: Removed) {
    let again = Arc::downgrade(writer);
    let submitted = writer.submit(Write::Purge(step), move |result| {
        let (logs, more) = removed.take(result);
        if let Some(announcer) = counted.announcer.upgrade() {
            announcer.announce(logs);
        }
        match again.upgrade().filter(|_| more) {
            Some(writer) => submit(&writer, step, counted, removed),
            None => removed.report(&counted.metrics),
        }
    });
    if let Err(error) = submitted {
        debug!(%error, "old entries are not looked for now");
    }
}
