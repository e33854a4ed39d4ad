//! The hub as a whole: it accepts connections, stops, and tells how it is.

mod administer;
#[cfg(feature = "http")]
mod http;
mod serial;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tim_proto::GroupId;
use tim_session::Framing;
use tim_store::{Store, WriteError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tracing::{debug, info, warn};

pub use administer::UserStatus;

use crate::connection::Connection;
#[cfg(feature = "sqlite")]
use crate::file_options::FileOptions;
use crate::files::Files;
use crate::handlers::{self, Audience};
use crate::listener::{Listener, Peer};
use crate::metrics;
use crate::options::HubOptions;
use crate::push::PushStats;
use crate::service::{Services, Status};
use crate::steps::Steps;
use crate::stopping::StopListener;
use crate::threads::blocking;

/// How long connections get to send their GOODBYE when the hub stops.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(3);

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
    services: Arc<Services>,
    status: Arc<Status>,
    is_stepped: bool,
}

/// What a SEND has beside the bytes that the limit of a message measures, at the most: header, ids, and options with some
/// words for a notification.
const SEND_OVERHEAD: u64 = 4096;

/// What a hub has counted since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct HubStats {
    /// Connections now, of any kind.
    pub connections: usize,
    /// Those of them that have not logged in yet.
    pub half_open: usize,
    /// Connections that were turned away for lack of capacity, or because too many came from one address.
    pub turned_away: u64,
    /// Connections and serial ports without a login that were dropped for newer ones.
    pub half_open_dropped: u64,
    /// Logins that were refused.
    pub refused_logins: u64,
    /// Calls of the REST interface by somebody who may not make them.
    #[cfg(feature = "rest")]
    pub refused_calls: u64,
    /// Requests that could not be decoded.
    pub malformed_requests: u64,
    /// Connections that ended because the client broke the protocol.
    pub protocol_violations: u64,
    /// Bytes of memory that hold what waits for clients, or what has come from them and waits, now.
    pub backlog: usize,
    /// How often a device gave up what waited for it, because too much waited for all together.
    pub shed: u64,
    /// Offline push.
    pub push: PushStats,
    /// Callbacks.
    #[cfg(feature = "outgoing")]
    pub callbacks: crate::callbacks::CallbackStats,
}

/// Why a hub stopped, or could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// The data directory cannot be used.
    #[cfg(feature = "sqlite")]
    #[error(transparent)]
    Open(#[from] tim_store_sqlite::OpenError),
    /// An option is invalid.
    #[error("{0}")]
    Options(String),
    /// The store failed for good. Nothing that was acknowledged is lost; nothing more can be stored.
    #[error("the store failed: {0}")]
    Store(String),
    /// The directory of files cannot be used.
    #[error("files cannot be kept: {0}")]
    Files(#[from] tim_files::FileError),
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
        let mut options = checked(options)?;
        let store = tim_store_sqlite::OpenOptions::new()
            .max_bytes(options.max_data)
            .now_ms(options.clock.wall_ms())
            .open(directory.as_ref())?;
        if options.files.is_none() {
            options.files = Some(FileOptions::new(directory.as_ref().join("files"))?);
        }
        Self::start(options, store.into(), None)
    }

    /// A hub on an open store of any engine.
    ///
    /// Starts the store's writer thread and the retention thread. Both run until the hub is dropped or shut down, whether or
    /// not it serves connections.
    ///
    /// # Errors
    /// [`HubError::Options`] for options that cannot work; [`HubError::Io`] if a thread cannot be started.
    pub fn with_store(options: HubOptions, store: impl Into<Store>) -> Result<Self, HubError> {
        Self::start(checked(options)?, store.into(), None)
    }

    /// A hub without threads, which works only when its [`Steps`] are taken: for tests that decide in which order things happen.
    ///
    /// Nothing of it blocks, so its connections, its clients and whoever takes the steps can run on one thread.
    /// [`shut_down`](Self::shut_down) commits what waits; to drop the hub without that, call [`Steps::crash`] first.
    ///
    /// # Errors
    /// [`HubError::Options`] for options that cannot work.
    pub fn stepped(options: HubOptions, store: impl Into<Store>) -> Result<(Self, Steps), HubError> {
        let steps = Steps::new();
        let hub = Self::start(checked(options)?, store.into(), Some(&steps))?;
        Ok((hub, steps))
    }

    fn start(options: HubOptions, store: Store, steps: Option<&Steps>) -> Result<Self, HubError> {
        let status = Arc::new(Status::new());
        let content = Files::open(options.files.as_ref(), &options.limits, &options.clock)?;
        let services = Services::start(options, store, content, &status, steps)?;
        services.start_tasks();
        Ok(Self {
            services: Arc::new(services),
            status,
            is_stepped: steps.is_some(),
        })
    }

    #[cfg(test)]
    pub(crate) const fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// Serves the connections of a [`Listener`] until `stop` is ready, then [shuts down](Self::shut_down) and returns. A hub may
    /// serve several listeners; the first to stop ends all.
    ///
    /// # Errors
    /// [`HubError::Store`] if the store failed: the process should end.
    pub async fn serve(
        &self,
        mut listener: impl Listener,
        stop: impl Future<Output = ()>,
    ) -> Result<(), HubError> {
        // It could not start where there was no runtime.
        self.services.start_tasks();
        let mut stop = std::pin::pin!(stop);
        let mut failed = self.status.failed.subscribe();
        let result = loop {
            tokio::select! {
                biased;
                () = &mut stop => break Ok(()),
                reason = failure(&mut failed) => break Err(HubError::Store(reason)),
                accepted = listener.accept() => match accepted {
                    Ok((link, peer)) => self.spawn_from(link, peer),
                    Err(error) => {
                        // Out of file descriptors, as a rule: existing connections continue, and some will close.
                        warn!(%error, "a connection cannot be accepted");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
            }
        };
        // First, so that nobody connects to a hub that stops.
        drop(listener);
        self.shut_down().await;
        result
    }

    /// Serves one connection over any byte stream, on a task of its own.
    pub fn spawn<L: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&self, link: L) {
        self.spawn_from(link, Peer::new("unknown"));
    }

    /// As [`spawn`](Self::spawn); `peer` is the other end, to which the limits of its address apply if it has one.
    pub fn spawn_from<L: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        link: L,
        peer: impl Into<Peer>,
    ) {
        let peer = peer.into();
        if self.is_stopping() {
            return debug!(peer = peer.name(), "a connection is turned away: the hub stops");
        }
        let network = self.services.network_of(peer.address());
        let place = self.services.places.enter(network);
        let (services, taken) = (Arc::clone(&self.services), Arc::clone(&place));
        let task = tokio::spawn(Served {
            connection: Connection::new(services, link, Framing::Stream, taken, peer.name().into()),
            stopping: Arc::clone(&self.status.stopping).listener(),
        });
        place.set_task(task.abort_handle());
    }

    pub(crate) fn note_turned_away(&self, peer: &str) {
        if let Some(suppressed) = self.services.events.turned_away.take(self.services.steady_ms()) {
            warn!(
                peer,
                suppressed, "a connection is turned away: there are too many"
            );
        }
    }

    /// Changes the settings that can be changed while the hub runs: the app's keys, the retention, the window for revoking, the
    /// rates of sending and of requests, of accounts and addresses, the administrators, the number of a user's devices, what an account may store, messages
    /// and files, how long unused accounts are kept, the token of callbacks. Sessions continue; the rates hold for logins from now on. The other options are ignored.
    ///
    /// # Errors
    /// [`HubError::Options`]; nothing is changed then.
    pub fn reload(&self, options: &HubOptions) -> Result<(), HubError> {
        options.check().map_err(HubError::Options)?;
        let former = options.former_app.as_ref().map_or(options.app.id, |app| app.id);
        if [options.app.id, former] != [self.services.options.app.id; 2] {
            return Err(HubError::Options(
                "the application's number cannot change while the hub runs".to_owned(),
            ));
        }
        self.services.settings.set(options);
        #[cfg(feature = "outgoing")]
        self.services.callbacks.set_token(options.callbacks.as_ref());
        Ok(())
    }

    /// Ready with the reason when the store has failed for good. All connections have been sent a GOODBYE by then, or are being
    /// sent one.
    pub fn failed(&self) -> impl Future<Output = String> + Send + use<> {
        let mut failed = self.status.failed.subscribe();
        async move { failure(&mut failed).await }
    }

    /// The number of connections.
    #[must_use]
    pub fn connections(&self) -> usize {
        let occupied = self.services.places.occupied();
        occupied.half_open + occupied.established + occupied.serial
    }

    /// What the hub has counted since it was opened.
    #[must_use]
    pub fn stats(&self) -> HubStats {
        let events = &self.services.events;
        HubStats {
            connections: self.connections(),
            half_open: self.services.places.occupied().half_open,
            half_open_dropped: self.services.places.dropped(),
            turned_away: events.turned_away.total(),
            refused_logins: events.refused_logins.total(),
            #[cfg(feature = "rest")]
            refused_calls: events.refused_calls.total(),
            malformed_requests: events.malformed_requests.total(),
            protocol_violations: events.protocol_violations.total(),
            backlog: self.services.backlog.total(),
            shed: events.shed.total(),
            push: self.services.push.stats(),
            #[cfg(feature = "outgoing")]
            callbacks: self.services.callbacks.stats(),
        }
    }

    /// Copies everything that the hub keeps into a directory, which is made and must not exist: a data directory in which a hub can be
    /// opened. It has everything that was acknowledged before the call. The hub goes on meanwhile. Content of files that `before`, an
    /// earlier backup, has too is shared with it by hard links. All entries of the copy are checked before it gets its name; content that
    /// is missing or of another size is reported. Blocks for as long as that takes.
    ///
    /// # Errors
    /// See [`BackupError`](crate::BackupError); nothing is left behind then.
    #[cfg(feature = "sqlite")]
    pub fn back_up(
        &self,
        to: &std::path::Path,
        before: Option<&std::path::Path>,
    ) -> Result<crate::BackupReport, crate::BackupError> {
        let Services { reads, files, .. } = &*self.services;
        blocking(|| {
            let made = crate::backup::back_up(reads.store(), files, to, before);
            files.delete_put_off();
            made
        })
    }

    /// What the hub has counted, and how long its queues and files are, in the text format of Prometheus. Reads from the disk.
    #[must_use]
    pub fn metrics(&self) -> String {
        blocking(|| metrics::report(&self.services))
    }

    /// Why the hub should be sent no traffic at the moment: it stops, or cannot store anything. `None` if it is ready. Tries whether
    /// its directory can be written.
    #[must_use]
    pub fn not_ready(&self) -> Option<&'static str> {
        blocking(|| metrics::not_ready(&self.services))
    }

    /// Whether a connection or a pool is still at work.
    fn is_busy(&self) -> bool {
        self.connections() > 0 || self.services.reads.is_busy() || self.services.files.is_busy()
    }

    /// Sends members of a group a notice in the application's name (operation 255). It is kept in each member's system
    /// conversation; in an AVChatRoom it is passed on to those who are in it now.
    ///
    /// # Errors
    /// [`WriteError::Refused`] if there is no such group or the text is longer than
    /// [`MAX_NOTICE`](tim_groups::rules::MAX_NOTICE); else the store's.
    pub async fn notify_group(
        &self,
        group: GroupId,
        audience: Audience<'_>,
        text: &str,
    ) -> Result<(), WriteError> {
        handlers::notify_group(&self.services, group, audience, text).await
    }

    /// Dismisses a group in the system's name: all members get a notice of operation 11.
    ///
    /// # Errors
    /// [`WriteError::Refused`] if there is no such group; else the store's.
    pub async fn reclaim_group(&self, group: GroupId) -> Result<(), WriteError> {
        handlers::reclaim_group(&self.services, group).await
    }

    /// Whether [`Hub::shut_down`] has been called, by [`Hub::serve`] or otherwise.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.status.stopping.is_set()
    }

    /// Sends all connections a GOODBYE, waits for a moment until they are gone, and closes the store, after which the database
    /// file alone has everything that was acknowledged.
    pub async fn shut_down(&self) {
        info!(connections = self.connections(), "the hub stops");
        self.status.stop(&self.services.presence);
        let deadline = tokio::time::Instant::now() + GOODBYE_TIMEOUT;
        while self.is_busy() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.services.push.save();
        // What waits is written first, which blocks.
        let writer = Arc::clone(&self.services.writer);
        if self.is_stepped {
            return blocking(|| writer.close());
        }
        let _ = tokio::task::spawn_blocking(move || writer.close()).await;
    }
}

/// A connection until it is over, as a future of its own: an `async` block would keep what it is made of beside it.
struct Served<L> {
    connection: Connection<L>,
    stopping: StopListener,
}

// Each connection is one.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Served<tokio::net::TcpStream>>() <= 632);

impl<L: AsyncRead + AsyncWrite + Unpin> Future for Served<L> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Self {
            connection, stopping, ..
        } = &mut *self;
        if stopping.hears(context) {
            connection.stop();
        }
        if let Err(error) = ready!(connection.poll(context)) {
            debug!(%error, "a connection broke");
        }
        Poll::Ready(())
    }
}

/// Waits until the store has failed for good. Returns the reason.
async fn failure(failed: &mut watch::Receiver<Option<String>>) -> String {
    match failed.wait_for(Option::is_some).await {
        Ok(reason) => reason.clone().unwrap_or_default(),
        Err(_) => "the store's thread has ended".to_owned(),
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub")
            .field("options", &self.services.options)
            .finish_non_exhaustive()
    }
}
