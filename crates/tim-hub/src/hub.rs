//! The hub: connections, live push, and the store behind them.
//!
//! `connection` is one device's connection; `requests`, `send` and `groups` are what becomes of what it asks; `gate` keeps
//! the pace of groups; `online` knows who is there; `fanout` carries commits to them, `live` what is in no log. **The log is
//! the queue**: live push is only a fast path over it, so a slow device costs no memory.

use std::future::{Future, poll_fn};
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use tim_proto::{ErrorCode, GroupId};
use tim_session::Framing;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};
use tracing::{debug, error, info, warn};

use crate::admission::log_limiter::LogLimiter;
use crate::connection::Connection;
use crate::delivery::group_queue::GroupQueue;
use crate::delivery::recent_ids::RecentIds;
use crate::delivery::revocations::Revocations;
use crate::delivery::{fanout, live};
use crate::handlers::groups::Audience;
use crate::listener::Listener;
use crate::options::HubOptions;
use crate::permissions::Permissions;
use crate::presence::registry::PresenceRegistry;
use crate::retention::{self, Keeper};
use crate::service::Services;
use crate::settings::Settings;
use crate::store::{Hooks, Store, StoreError, WriteError, Writer, WriterConfig};
use crate::threads::thread;

/// How many commits may wait for the fan-out before the writer waits for it.
const MAX_WAITING_COMMITS: usize = 64;
/// How many connections beyond the last place are told that there is none; more are closed without a word.
const MAX_REFUSALS: usize = 64;
/// How long connections get to hear the farewell when the hub stops.
const FAREWELL: Duration = Duration::from_secs(3);

/// A hub on its store.
///
/// ```no_run
/// use tim_hub::usersig::App;
/// use tim_hub::{Hub, HubOptions};
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let options = HubOptions::new(App::new(1_400_000_000, "a key that nobody guesses"));
/// let hub = Hub::open("/var/lib/tim", options)?;
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:7878").await?;
/// hub.serve(listener, std::future::pending()).await?;
/// # Ok(())
/// # }
/// ```
pub struct Hub {
    pub(crate) shared: Arc<Services>,
    /// How many places there are, taken and free.
    max_connections: usize,
    pub(crate) places: Arc<Semaphore>,
    /// Places for those who are only told that there is none.
    refusals: Arc<Semaphore>,
    failed: watch::Receiver<Option<String>>,
    /// Whether the hub is about to end.
    pub(crate) stopping: Arc<watch::Sender<bool>>,
}

/// What a SEND has beside the bytes that the limit of a message measures, at the most: header, ids, and options with some
/// words for a notification.
const SEND_OVERHEAD: u64 = 4096;

/// Why a hub stopped, or could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// The data directory cannot be used.
    #[cfg(feature = "sqlite")]
    #[error(transparent)]
    Open(#[from] tim_store_sqlite::OpenError),
    /// The options cannot be right.
    #[error("{0}")]
    Options(String),
    /// The store failed for good: nothing that was acknowledged is lost, and nothing more can be taken.
    #[error("the store failed: {0}")]
    Store(String),
    /// The operating system refused a thread or a socket.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The options with frames as large as the largest message needs, if a hub can work with them.
fn checked(mut options: HubOptions) -> Result<HubOptions, HubError> {
    options.check().map_err(HubError::Options)?;
    let largest_send = options.limits.message_bytes().saturating_add(SEND_OVERHEAD);
    let largest_send = u32::try_from(largest_send).unwrap_or(u32::MAX);
    options.connection.max_frame = options.connection.max_frame.max(largest_send);
    let connection = options.connection.check();
    connection.map_err(|fault| HubError::Options(format!("in the limits of a connection, {fault}")))?;
    Ok(options)
}

impl Hub {
    /// A hub on the SQLite store in `directory`, which is created if it does not exist.
    ///
    /// # Errors
    /// As [`with_store`](Self::with_store), and [`HubError::Open`], for example if another hub uses the directory.
    #[cfg(feature = "sqlite")]
    pub fn open(directory: impl AsRef<std::path::Path>, options: HubOptions) -> Result<Self, HubError> {
        // First, so that a hub that cannot start leaves no directory behind.
        let options = checked(options)?;
        let store = tim_store_sqlite::open_limited(directory.as_ref(), options.max_data)?;
        Self::start(options, store.into())
    }

    /// A hub on an open store of any engine.
    ///
    /// Starts the store's writer thread and the retention thread. Both run until the hub is dropped or shut down, whether or
    /// not it serves connections.
    ///
    /// # Errors
    /// [`HubError::Options`] for options that cannot work; [`HubError::Io`] if a thread cannot be started.
    pub fn with_store(options: HubOptions, store: impl Into<Store>) -> Result<Self, HubError> {
        Self::start(checked(options)?, store.into())
    }

    fn start(options: HubOptions, store: Store) -> Result<Self, HubError> {
        let Store {
            writer: store,
            reader,
        } = store;
        let presence = Arc::new(PresenceRegistry::default());
        let (publish, published) = sync_channel(MAX_WAITING_COMMITS);
        let recall = Arc::new(Revocations::default());
        let fanout = {
            let (presence, recall) = (Arc::clone(&presence), Arc::clone(&recall));
            thread("tim-fanout", move || fanout::run(&published, &presence, &recall))?
        };
        let permissions = Arc::new(Permissions::new(
            Arc::clone(&reader),
            Arc::clone(&presence),
            options.clock.clone(),
        ));
        let live_ids = Arc::new(RecentIds::default());
        let (live, run) = live::queue(&presence, Arc::clone(&permissions), Arc::clone(&live_ids));
        let live_thread = thread("tim-live", run)?;
        let (fail, failed) = watch::channel(None);
        let fail = Arc::new(fail);
        let no_fanout = Arc::clone(&fail);
        let clock = options.clock.clone();
        let stopping = Arc::new(watch::Sender::new(false));
        let (stop, everybody) = (Arc::clone(&stopping), Arc::clone(&presence));
        let (no_reading, no_more) = (Arc::clone(&fail), Arc::clone(&stopping));
        let no_more_news = Arc::clone(&stopping);
        reader.on_fatal(Box::new(move |error| {
            // Also where nobody waits for the failure in `serve`: each connection says goodbye by itself.
            no_more.send_replace(true);
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
        let hooks = Hooks {
            now_ms: Box::new(move || clock.wall_ms()),
            published: Box::new(move |batch| {
                recall.committed(&batch);
                // The fan-out should end only after the writer. Without it nobody would hear of anything.
                if publish.send(batch).is_err() {
                    error!("the fan-out has ended; the hub stops");
                    no_more_news.send_replace(true);
                    no_fanout.send_replace(Some("the fan-out has ended".to_owned()));
                }
            }),
            fatal: Box::new(move |error: StoreError| {
                error!(%error, "the store failed; the hub stops");
                // First, and also where nobody waits for the failure in `serve`.
                say_goodbye(&stop, &everybody);
                fail.send_replace(Some(error.to_string()));
            }),
        };
        let writer = Arc::new(Writer::start(store, WriterConfig::default(), hooks)?);
        let max_connections = options.max_connections.min(Semaphore::MAX_PERMITS);
        let places = Arc::new(Semaphore::new(max_connections));
        let gates = GroupQueue::new(options.limits.group_messages_per_second());
        let settings = Arc::new(Settings::new(&options));
        let keeper = Keeper::start(retention::Work {
            writer: Arc::downgrade(&writer),
            reader: Arc::downgrade(&reader),
            clock: options.clock.clone(),
            settings: Arc::clone(&settings),
            interval: options.purge_interval,
        })?;
        let shared = Arc::new(Services {
            options,
            settings,
            refusals: LogLimiter::new(),
            turned_away: LogLimiter::new(),
            foreign_cursors: LogLimiter::new(),
            _keeper: keeper,
            writer,
            epochs: reader.epochs(),
            reader,
            presence,
            permissions,
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
            failed,
            stopping,
        })
    }

    /// Serves connections until `stop` is ready, then says goodbye to everybody, closes the store and returns. They come from
    /// any [`Listener`]; a hub may serve several, of which the first to stop ends all.
    ///
    /// # Errors
    /// [`HubError::Store`] if the store failed: the process should end.
    pub async fn serve(
        &self,
        mut listener: impl Listener,
        stop: impl Future<Output = ()>,
    ) -> Result<(), HubError> {
        let mut stop = std::pin::pin!(stop);
        let mut failed = self.failed.clone();
        let result = loop {
            tokio::select! {
                () = &mut stop => break Ok(()),
                reason = failure(&mut failed) => break Err(HubError::Store(reason)),
                accepted = listener.accept() => match accepted {
                    Ok((link, peer)) => self.spawn_from(link, peer),
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
        self.spawn_from(link, "unknown".to_owned());
    }

    /// As [`spawn`](Self::spawn); `peer` says in the hub's log who is at the other end.
    pub fn spawn_from<L: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&self, link: L, peer: String) {
        if self.is_stopping() {
            return debug!(peer, "a connection is turned away: the hub stops");
        }
        let free = Arc::clone(&self.places).try_acquire_owned().ok();
        let is_full = free.is_none();
        if is_full {
            self.note_turned_away(&peer);
        }
        // Who finds no place is told so, and when to come back, as long as not too many have to be told.
        let Some(place) = free.or_else(|| Arc::clone(&self.refusals).try_acquire_owned().ok()) else {
            return;
        };
        let shared = Arc::clone(&self.shared);
        let mut stopping = self.stopping.subscribe();
        tokio::spawn(async move {
            let mut connection = match is_full {
                true => Connection::turned_away(shared, link, peer),
                false => Connection::new(shared, link, Framing::Stream, peer),
            };
            let ended = tokio::select! {
                ended = poll_fn(|context| connection.poll(context)) => ended,
                () = async { drop(stopping.wait_for(|stopping| *stopping).await) } => {
                    connection.stop();
                    poll_fn(|context| connection.poll(context)).await
                }
            };
            if let Err(error) = ended {
                debug!(%error, "a connection broke");
            }
            drop(connection);
            drop(place);
        });
    }

    pub(crate) fn note_turned_away(&self, peer: &str) {
        if let Some(unsaid) = self.shared.turned_away.take(self.shared.steady_ms()) {
            warn!(
                peer,
                max_connections = self.max_connections,
                unsaid,
                "a connection is turned away: there are too many"
            );
        }
    }

    /// Takes over what can be changed while the hub runs: the app's key, the retention, the window for revoking, the rate of
    /// sending, the number of a user's devices. Sessions go on; the rate holds for logins from now on. All else is as it was.
    ///
    /// # Errors
    /// [`HubError::Options`]; nothing is changed then.
    pub fn reload(&self, options: &HubOptions) -> Result<(), HubError> {
        options.check().map_err(HubError::Options)?;
        if options.app.id != self.shared.options.app.id {
            return Err(HubError::Options(
                "the application's number cannot change while the hub runs".to_owned(),
            ));
        }
        self.shared.settings.set(options);
        Ok(())
    }

    /// Ready when the store has failed for good, and why. Everybody has been told goodbye by then, or is being told.
    pub fn failed(&self) -> impl Future<Output = String> + Send + use<> {
        let mut failed = self.failed.clone();
        async move { failure(&mut failed).await }
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

    /// Says goodbye to everybody, waits for a moment until they are gone, and closes the store: what was acknowledged is
    /// then in the database file alone.
    pub async fn shut_down(&self) {
        info!(connections = self.connections(), "the hub stops");
        say_goodbye(&self.stopping, &self.shared.presence);
        let deadline = tokio::time::Instant::now() + FAREWELL;
        while self.connections() > 0 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let writer = Arc::clone(&self.shared.writer);
        // What waits is written first, which blocks.
        let _ = tokio::task::spawn_blocking(move || writer.close()).await;
    }
}

/// No more connections, and a farewell for those who are there.
fn say_goodbye(stopping: &watch::Sender<bool>, presence: &PresenceRegistry) {
    stopping.send_replace(true);
    for device in presence.all() {
        device.end(ErrorCode::SERVER_SHUTTING_DOWN);
    }
}

/// Waits until the store has failed for good, and says why.
async fn failure(failed: &mut watch::Receiver<Option<String>>) -> String {
    match failed.wait_for(Option::is_some).await {
        Ok(reason) => reason.clone().unwrap_or_default(),
        Err(_) => "the store's thread has ended".to_owned(),
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub")
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}
