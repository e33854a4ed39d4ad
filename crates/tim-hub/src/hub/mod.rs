//! The hub: connections, live push, and the store behind them.
//!
//! `connection` is one device's connection; `requests`, `send` and `groups` are what becomes of what it asks; `gate` keeps
//! the pace of groups; `online` knows who is there; `fanout` carries commits to them, `live` what is in no log. **The log is
//! the queue**: live push is only a fast path over it, so a slow device costs no memory.

mod absent;
mod ask;
mod connection;
mod device;
mod encode;
mod failed;
mod fanout;
mod gate;
mod groups;
mod limit;
mod list;
mod live;
mod live_ids;
mod me;
mod online;
mod options;
mod pages;
mod rate;
mod recall;
mod requests;
mod rights;
mod room;
mod send;
mod serial;
mod shared;

pub use groups::Audience;
pub use options::HubOptions;

use std::future::Future;
use std::io;
use std::sync::atomic::AtomicU32;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tim_proto::{ErrorCode, GroupId};
use tim_session::Framing;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tracing::{debug, error, info, warn};

use crate::store::sqlite::{self, OpenError};
use crate::store::{Hooks, Purge, StoreError, StoreReader, Write, WriteError, Writer, WriterConfig, Written};
use connection::Connection;
use device::lock;
use gate::Gates;
use live_ids::LiveIds;
use online::Online;
use recall::Recall;
use rights::Rights;
use shared::{JoinOnDrop, Shared};

/// How many commits may wait for the fan-out before the writer waits for it.
const MAX_WAITING_COMMITS: usize = 64;
/// Old entries are not looked for more often than this.
const LEAST_PURGE_INTERVAL: Duration = Duration::from_millis(1);
/// How many entries one step of forgetting removes.
const PURGE_STEP: u32 = 2_000;
/// For how much longer than the retention message ids are remembered.
const ID_GRACE_MS: u64 = 24 * 60 * 60 * 1000;
/// How many connections beyond the last place are told that there is none; more are closed without a word.
const MAX_REFUSALS: usize = 64;
/// How often it is logged that connections are turned away, at the most.
const TURNED_AWAY_INTERVAL: Duration = Duration::from_secs(10);
/// How long connections get to hear the farewell when the hub stops.
const FAREWELL: Duration = Duration::from_secs(3);

/// A hub on its data directory.
///
/// ```no_run
/// use tim_hub::usersig::App;
/// use tim_hub::{Hub, HubOptions};
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::open(HubOptions::new("/var/lib/tim", App::new(1_400_000_000, "a key that nobody guesses")))?;
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:7878").await?;
/// hub.serve(listener, std::future::pending()).await?;
/// # Ok(())
/// # }
/// ```
pub struct Hub {
    shared: Arc<Shared>,
    /// How many places there are, taken and free.
    max_connections: usize,
    places: Arc<Semaphore>,
    /// Places for those who are only told that there is none.
    refusals: Arc<Semaphore>,
    turned_away: TurnedAway,
    failed: watch::Receiver<Option<String>>,
    /// Whether the hub is about to end.
    stopping: watch::Sender<bool>,
}

/// What a SEND has beside the bytes that the limit of a message measures, at the most: header, ids, and options with some
/// words for a notification.
const SEND_OVERHEAD: u64 = 4096;

/// Why a hub stopped, or could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// The data directory cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store failed for good: nothing that was acknowledged is lost, and nothing more can be taken.
    #[error("the store failed: {0}")]
    Store(String),
    /// The operating system refused a thread or a socket.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Hub {
    /// Opens the data directory and starts the store's threads.
    ///
    /// # Errors
    /// [`HubError::Open`], notably if another hub has the directory; [`HubError::Io`] without threads to be had.
    pub fn open(mut options: HubOptions) -> Result<Self, HubError> {
        let largest_send = options.limits.message_bytes().saturating_add(SEND_OVERHEAD);
        let largest_send = u32::try_from(largest_send).unwrap_or(u32::MAX);
        options.connection.max_frame = options.connection.max_frame.max(largest_send);
        let (store, reader) = sqlite::open_limited(&options.data, options.max_data)?;
        let reader: Arc<dyn StoreReader> = Arc::new(reader);
        let online = Arc::new(Online::default());
        let (publish, published) = sync_channel(MAX_WAITING_COMMITS);
        let recall = Arc::new(Recall::default());
        let fanout = {
            let (online, recall) = (Arc::clone(&online), Arc::clone(&recall));
            thread("tim-fanout", move || fanout::run(&published, &online, &recall))?
        };
        let rights = Arc::new(Rights::new(
            Arc::clone(&reader),
            Arc::clone(&online),
            Arc::clone(&options.clock),
        ));
        let live_ids = Arc::new(LiveIds::default());
        let (live, run) = live::queue(&online, Arc::clone(&rights), Arc::clone(&live_ids));
        let live_thread = thread("tim-live", run)?;
        let (fail, failed) = watch::channel(None);
        let fail = Arc::new(fail);
        let no_fanout = Arc::clone(&fail);
        let no_reading = Arc::clone(&fail);
        reader.on_fatal(Box::new(move |error| {
            // Many connections may find that out at a time; the first one is heard.
            no_reading.send_if_modified(|reason| {
                let first = reason.is_none();
                if first {
                    error!(%error, "the store cannot be read; the hub stops");
                    *reason = Some(error.to_string());
                }
                first
            });
        }));
        let clock = Arc::clone(&options.clock);
        let hooks = Hooks {
            now_ms: Box::new(move || clock()),
            published: Box::new(move |batch| {
                recall.committed(&batch);
                // The fan-out should end only after the writer. Without it nobody would hear of anything.
                if publish.send(batch).is_err() {
                    error!("the fan-out has ended; the hub stops");
                    no_fanout.send_replace(Some("the fan-out has ended".to_owned()));
                }
            }),
            fatal: Box::new(move |error: StoreError| {
                error!(%error, "the store failed; the hub stops");
                fail.send_replace(Some(error.to_string()));
            }),
        };
        let writer = Arc::new(Writer::start(store, WriterConfig::default(), hooks)?);
        let max_connections = options.max_connections.min(Semaphore::MAX_PERMITS);
        let places = Arc::new(Semaphore::new(max_connections));
        let gates = Gates::new(options.limits.group_messages_per_second());
        let shared = Arc::new(Shared {
            options,
            writer,
            epochs: reader.epochs(),
            reader,
            online,
            rights,
            gates,
            randoms: AtomicU32::new(0),
            live,
            live_ids,
            _threads: [fanout, live_thread],
        });
        Ok(Self {
            shared,
            max_connections,
            places,
            refusals: Arc::new(Semaphore::new(MAX_REFUSALS)),
            turned_away: TurnedAway::default(),
            failed,
            stopping: watch::Sender::new(false),
        })
    }

    /// Serves connections until `stop` is ready, then says goodbye to everybody and returns.
    ///
    /// # Errors
    /// [`HubError::Store`] if the store failed: the process should end.
    pub async fn serve(&self, listener: TcpListener, stop: impl Future<Output = ()>) -> Result<(), HubError> {
        let mut stop = std::pin::pin!(stop);
        let mut failed = self.failed.clone();
        let purge_interval = self.shared.options.purge_interval;
        let mut purge = tokio::time::interval(purge_interval.max(LEAST_PURGE_INTERVAL));
        let result = loop {
            tokio::select! {
                () = &mut stop => break Ok(()),
                reason = failure(&mut failed) => break Err(HubError::Store(reason)),
                _ = purge.tick() => self.purge_step(),
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        // Small frames should not wait for each other.
                        let _ = stream.set_nodelay(true);
                        self.spawn(stream);
                    }
                    Err(error) => {
                        // Out of file descriptors, as a rule: those that are there go on, and some will close.
                        warn!(%error, "a connection cannot be accepted");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
            }
        };
        self.shut_down().await;
        result
    }

    /// Serves one connection over any byte stream, on a task of its own.
    pub fn spawn<L: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&self, link: L) {
        let free = Arc::clone(&self.places).try_acquire_owned().ok();
        let is_full = free.is_none();
        if is_full {
            self.turned_away.note(self.max_connections);
        }
        // Who finds no place is told so, and when to come back, as long as not too many have to be told.
        let Some(place) = free.or_else(|| Arc::clone(&self.refusals).try_acquire_owned().ok()) else {
            return;
        };
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            let mut connection = match is_full {
                true => Connection::turned_away(shared, link),
                false => Connection::new(shared, link, Framing::Stream),
            };
            let ended = std::future::poll_fn(|context| connection.poll(context)).await;
            if let Err(error) = ended {
                debug!(%error, "a connection broke");
            }
            drop(connection);
            drop(place);
        });
    }

    /// How many connections there are.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.max_connections
            .saturating_sub(self.places.available_permits())
    }

    /// Tells members of a group something in the application's name: a notice of operation 255 (S159), kept in each member's
    /// system conversation, or, in an AVChatRoom, passed on to those who are in it now.
    ///
    /// # Errors
    /// [`WriteError::Refused`] if there is no such group or the text is longer than
    /// [`MAX_NOTICE`](crate::groups::rules::MAX_NOTICE); else the store's.
    pub async fn notify_group(
        &self,
        group: GroupId,
        audience: Audience<'_>,
        text: &str,
    ) -> Result<(), WriteError> {
        self.shared.notify_group(group, audience, text).await
    }

    /// Ends a group in the service's name: all members get a notice of operation 11, and nobody is in it any more.
    ///
    /// # Errors
    /// [`WriteError::Refused`] if there is no such group; else the store's.
    pub async fn reclaim_group(&self, group: GroupId) -> Result<(), WriteError> {
        self.shared.reclaim_group(group).await
    }

    /// Whether [`Hub::shut_down`] has been called, by [`Hub::serve`] or otherwise.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Says goodbye to everybody and waits, for a moment, until they are gone.
    pub async fn shut_down(&self) {
        info!(connections = self.connections(), "the hub stops");
        self.stopping.send_replace(true);
        for device in self.shared.online.all() {
            device.end(ErrorCode::SERVER_SHUTTING_DOWN);
        }
        let deadline = tokio::time::Instant::now() + FAREWELL;
        while self.connections() > 0 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Removes what is older than the retention (S191, S192), a bounded number of entries at a time.
    fn purge_step(&self) {
        let now_ms = self.shared.now_ms();
        let retention_ms = self
            .shared
            .options
            .limits
            .retention_seconds()
            .saturating_mul(1000);
        let older_than_ms = now_ms.saturating_sub(retention_ms);
        purge(
            &self.shared.writer,
            Purge {
                older_than_ms,
                forget_ids_before_ms: older_than_ms.saturating_sub(ID_GRACE_MS),
                budget: PURGE_STEP,
            },
        );
    }
}

/// Connections that found no place, for the log.
#[derive(Debug, Default)]
struct TurnedAway(Mutex<(u64, Option<Instant>)>);

impl TurnedAway {
    fn note(&self, max_connections: usize) {
        let mut noted = lock(&self.0);
        noted.0 += 1;
        if noted.1.is_none_or(|last| last.elapsed() >= TURNED_AWAY_INTERVAL) {
            let count = std::mem::take(&mut noted.0);
            noted.1 = Some(Instant::now());
            warn!(
                count,
                max_connections, "the hub is full: connections are turned away"
            );
        }
    }
}

fn thread(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinOnDrop> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(run)?;
    Ok(JoinOnDrop(Some(thread)))
}

/// Waits until the store has failed for good, and says why.
async fn failure(failed: &mut watch::Receiver<Option<String>>) -> String {
    match failed.wait_for(Option::is_some).await {
        Ok(reason) => reason.clone().unwrap_or_default(),
        Err(_) => "the store's thread has ended".to_owned(),
    }
}

/// One step, and the next one behind it while there is more: other writes come in between.
fn purge(writer: &Arc<Writer>, step: Purge) {
    let again = Arc::downgrade(writer);
    let submitted = writer.submit(Write::Purge(step), move |answer| match answer {
        Ok(Written::Purged { more: true, .. }) => {
            if let Some(writer) = again.upgrade() {
                purge(&writer, step);
            }
        }
        Ok(_) => {}
        Err(error) => warn!(%error, "old entries cannot be removed; trying again later"),
    });
    if let Err(error) = submitted {
        debug!(%error, "old entries are not looked for now");
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub")
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}
