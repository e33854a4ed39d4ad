//! A tim hub in this process.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tim_client::UserId;
use tim_client::transport::{MemoryConnector, memory_listener};
use tim_hub::usersig::{App, UserSig};
use tim_hub::{Clock, HttpOptions, Hub, HubOptions, Notification, PushOptions, PushSink, Sending};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::target::{Boxed, HubFactory, HubSettings, SeenPush, StartedHub, Target};

/// The application that the hub serves.
const APP: u32 = 1_400_000_000;
/// Who calls the REST interface.
const ADMIN: &str = "administrator";
/// How many calls wait, and how many bytes of one.
const MAX_CALLS: usize = 16;
const PIPE: usize = 64 * 1024;
/// The lifetime of UserSigs, in seconds.
const SIG_SECONDS: u64 = 60 * 86_400;
/// How often a hub whose clock moves looks for what is too old.
const PURGE_INTERVAL: Duration = Duration::from_millis(20);

/// A tim hub in this process, on a temporary directory, with connections in memory. It stops when this is dropped.
#[derive(Debug)]
pub struct OwnHub {
    target: Target,
    connector: MemoryConnector,
    hub: Arc<Hub>,
    accepting: JoinHandle<()>,
    http: JoinHandle<()>,
    ahead_ms: Arc<AtomicU64>,
    _data: tempfile::TempDir,
}

/// A sink of notifications, for as long as the hub runs.
#[derive(Default)]
struct Pushes(Mutex<Vec<(UserId, SeenPush)>>);

impl Pushes {
    fn of(&self, user: &UserId) -> Vec<SeenPush> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = seen.iter().filter(|(owner, _)| owner == user);
        own.map(|(_, push)| push.clone()).collect()
    }
}

impl PushSink for Pushes {
    fn send<'a>(&'a self, push: &'a Notification) -> Sending<'a> {
        let seen = SeenPush {
            platform: push.platform,
            token: push.token.clone(),
            title: push.title.clone(),
            text: push.text.clone(),
            extension: push.extension.clone(),
            badge: push.badge,
            channel: push.channel.clone(),
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push((push.user, seen));
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Whether a hub's clock runs, or moves only by [`StartedHub::advance`].
enum ClockKind {
    Running,
    Stopped,
}

impl OwnHub {
    /// Starts a hub with the default options.
    ///
    /// # Errors
    /// Why it could not be started.
    pub fn start() -> io::Result<Self> {
        Self::start_with(|_| ())
    }

    /// Starts a hub with other options. Its clock is the system's, moved ahead by [`StartedHub::advance`].
    ///
    /// # Errors
    /// Why it could not be started.
    pub fn start_with(change: impl FnOnce(&mut HubOptions)) -> io::Result<Self> {
        Self::start_by(&ClockKind::Running, change)
    }

    fn start_by(clock: &ClockKind, change: impl FnOnce(&mut HubOptions)) -> io::Result<Self> {
        let key = random_key()?;
        let mut options = HubOptions::new(App::new(APP, key.as_str()));
        let ahead_ms = Arc::new(AtomicU64::new(0));
        options.clock = match clock {
            ClockKind::Running => ahead_of(&options.clock, &ahead_ms),
            ClockKind::Stopped => {
                let (wall_ms, steady_ms) = (options.clock.wall_ms(), options.clock.steady_ms());
                ahead_of(&Clock::new(move || wall_ms, move || steady_ms), &ahead_ms)
            }
        };
        let pushes = Arc::new(Pushes::default());
        options.push = Some(PushOptions::new(pushes.clone()));
        options.admins = vec![ADMIN.parse().map_err(io::Error::other)?];
        change(&mut options);
        let data = tempfile::tempdir()?;
        let hub = Hub::open(data.path(), options).map_err(io::Error::other)?;
        let hub = Arc::new(hub);
        let (connector, mut listener) = memory_listener();
        let serving = Arc::clone(&hub);
        let accepting = tokio::spawn(async move {
            while let Some(link) = listener.accept().await {
                serving.spawn(link);
            }
        });
        let (links, listener) = mpsc::channel(MAX_CALLS);
        let serving = Arc::clone(&hub);
        let http = tokio::spawn(async move {
            let options = HttpOptions::new("http://hub.example.invalid");
            let _ = serving
                .serve_http(listener, options, std::future::pending())
                .await;
        });
        let target = target_of(key, connector.clone()).with_pushes(move |user| pushes.of(user));
        Ok(Self {
            target: with_rest(target, links),
            connector,
            hub,
            accepting,
            http,
            ahead_ms,
            _data: data,
        })
    }

    /// The hub as the target of a run. The suite may start further hubs like it.
    #[must_use]
    pub fn target(&self) -> Target {
        self.target.clone().with_factory(OwnHubs)
    }

    /// Opens connections to the hub.
    #[must_use]
    pub fn connector(&self) -> MemoryConnector {
        self.connector.clone()
    }

    /// The hub itself.
    #[must_use]
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Stops the hub, and waits until it has stopped.
    pub async fn stop(self) {
        self.accepting.abort();
        self.http.abort();
        self.hub.shut_down().await;
    }
}

impl Drop for OwnHub {
    fn drop(&mut self) {
        self.accepting.abort();
        self.http.abort();
    }
}

impl StartedHub for OwnHub {
    fn target(&self) -> Target {
        self.target.clone()
    }

    fn advance(&self, by: Duration) {
        let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.ahead_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

/// Starts tim hubs in this process. Their clocks move only by [`StartedHub::advance`].
#[derive(Debug, Clone, Copy, Default)]
pub struct OwnHubs;

impl HubFactory for OwnHubs {
    fn start(&self, settings: HubSettings) -> Boxed<'_, io::Result<Box<dyn StartedHub>>> {
        Box::pin(async move {
            let hub = OwnHub::start_by(&ClockKind::Stopped, |options| {
                options.purge_interval = PURGE_INTERVAL;
                options.limits = options
                    .limits
                    .with_revoke_window_seconds(settings.revoke_window_seconds)
                    .with_retention_seconds(settings.retention_seconds)
                    .with_group_messages_per_second(settings.group_messages_per_second);
            })?;
            Ok(Box::new(hub) as Box<dyn StartedHub>)
        })
    }
}

fn ahead_of(clock: &Clock, ahead_ms: &Arc<AtomicU64>) -> Clock {
    let (wall, steady) = (clock.clone(), clock.clone());
    let (ahead, too) = (Arc::clone(ahead_ms), Arc::clone(ahead_ms));
    Clock::new(
        move || wall.wall_ms() + ahead.load(Ordering::SeqCst),
        move || steady.steady_ms() + too.load(Ordering::SeqCst),
    )
}

fn random_key() -> io::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Lets the suite call the hub's REST interface through connections in memory, one for each call.
fn with_rest(target: Target, links: mpsc::Sender<DuplexStream>) -> Target {
    let signer = target.clone();
    target.with_rest(move |command, body| {
        let body = body.to_string();
        let sig = ADMIN.parse().map(|admin| signer.sign(&admin).replace('*', "%2A"));
        let request = format!(
            "POST /v4/{command}?sdkappid={APP}&identifier={ADMIN}&usersig={}&random=1&contenttype=json HTTP/1.1\r\nHost: hub\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            sig.unwrap_or_default(),
            body.len()
        );
        let links = links.clone();
        Box::pin(async move {
            let (mut link, end) = tokio::io::duplex(PIPE);
            links.send(end).await.map_err(io::Error::other)?;
            link.write_all(request.as_bytes()).await?;
            let mut answer = Vec::new();
            link.read_to_end(&mut answer).await?;
            let answer = String::from_utf8_lossy(&answer);
            let (_, json) = answer.split_once("\r\n\r\n").unwrap_or_default();
            serde_json::from_str(json).map_err(io::Error::other)
        })
    })
}

/// With UserSigs that outlast every jump of the hub's clock.
fn target_of(key: String, connector: MemoryConnector) -> Target {
    let app = App::new(APP, key);
    Target::new(APP, connector, move |user| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UserSig::sign(&app, user, now.as_secs(), SIG_SECONDS)
    })
}
