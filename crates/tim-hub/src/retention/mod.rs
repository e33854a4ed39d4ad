//! Retention: a thread that removes what is older than the hub keeps it, whether or not connections come. In a
//! [stepped](crate::Steps) hub there is no thread: a round is a step.

mod proven_time;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tracing::{debug, info, warn};

use crate::clock::Clock;
use crate::settings::Settings;
use crate::threads::JoinOnDrop;
use proven_time::Look;
pub(crate) use proven_time::ProvenTime;
use tim_proto::planted::{self, Fault};
use tim_store::{Purge, StoreReader, Write, Writer, Written};

/// The shortest interval between two rounds.
const LEAST_INTERVAL: Duration = Duration::from_millis(1);
/// How many entries one step removes.
const STEP: u32 = 2_000;
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
            self.round();
            match stopped.recv_timeout(interval) {
                Err(RecvTimeoutError::Timeout) => {}
                _ => return,
            }
        }
    }

    /// Begins to remove what is older than the retention, a bounded number of entries at a time.
    pub(crate) fn round(&mut self) {
        let (Some(writer), Some(reader)) = (self.writer.upgrade(), self.reader.upgrade()) else {
            return;
        };
        let newest_ms = match reader.newest_time_ms() {
            Ok(newest_ms) => newest_ms,
            Err(error) => return debug!(%error, "old entries are not looked for now"),
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
        let step = Purge {
            older_than_ms,
            forget_ids_before_ms: older_than_ms.saturating_sub(ID_GRACE_MS),
            over_before_ms: proven_ms,
            budget: STEP,
        };
        purge(&writer, step, Arc::default());
    }
}

/// What the steps of one round have removed.
#[derive(Debug, Default)]
struct Removed {
    entries: AtomicU64,
    ids: AtomicU64,
}

/// One step, and another one behind it while there is more. Other writes come in between.
fn purge(writer: &Arc<Writer>, step: Purge, removed: Arc<Removed>) {
    let again = Arc::downgrade(writer);
    let submitted = writer.submit(Write::Purge(step), move |answer| match answer {
        Ok(Written::Purged { entries, ids, more }) => {
            let entries = removed.entries.fetch_add(entries, Ordering::Relaxed) + entries;
            let ids = removed.ids.fetch_add(ids, Ordering::Relaxed) + ids;
            match again.upgrade().filter(|_| more) {
                Some(writer) => purge(&writer, step, removed),
                None if entries > 0 => info!(entries, ids, "removed what is older than the retention"),
                None => {}
            }
        }
        Ok(_) => {}
        Err(error) => warn!(%error, "old entries cannot be removed; trying again later"),
    });
    if let Err(error) = submitted {
        debug!(%error, "old entries are not looked for now");
    }
}
