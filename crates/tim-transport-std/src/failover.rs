//! A connector for several hubs, any of which will do.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::{debug, info};

use crate::connect::{Connecting, ConnectionEnd, Connector};

/// For how long each of several hubs is waited for.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// How long a session waits at most before it opens a connection to another hub. The wait is drawn: those that have lost the same hub do
/// not arrive at the others at the same moment.
pub const SPREAD: Duration = Duration::from_millis(250);
/// After so long a connection counts as one that works: when it is lost, all other hubs are tried before the session waits.
const STABLE_AFTER: Duration = Duration::from_secs(60);

/// Connects to one of several hubs of the same installation.
///
/// The first one is the first one named; the others follow in an order that is drawn. Hubs that cannot be reached are skipped, and
/// [`CONNECT_LIMIT`] passes for one that does not answer. After a lost connection the next hub is tried at once ([`SPREAD`]); only when all
/// have failed, the session waits for its back-off. What has turned out not to be a hub, or to have a wrong certificate, is tried last.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use tim_transport_std::{Connector, Failover, memory_listener};
/// let ((gone, _), (there, mut listener)) = (memory_listener(), memory_listener());
/// let mut hubs = Failover::new([("a", gone), ("b", there)], 0x5EED).unwrap();
/// let (client, hub) = tokio::join!(hubs.connect(), listener.accept());
/// assert!(client.is_ok() && hub.is_some());
/// # });
/// ```
pub struct Failover<C> {
    hubs: Arc<Mutex<Hubs<C>>>,
}

#[derive(Clone)]
struct Hubs<C> {
    all: Vec<Hub<C>>,
    /// Their numbers; the next one to try is the first.
    order: VecDeque<usize>,
    /// Since when the session has been logged in.
    online_since: Option<Instant>,
    /// Whether a hub has let the session in since all had failed.
    is_let_in: bool,
    /// How many connections have ended in a row.
    ended: usize,
    random: u64,
}

#[derive(Clone)]
struct Hub<C> {
    name: String,
    connector: C,
    /// Whether it cannot be the right one, by what it did last.
    is_unfit: bool,
}

impl<C: Connector> Failover<C> {
    /// A connector for hubs, with their names for errors and logs; `None` if there are none. `seed` is a random number, different for each
    /// client: it spreads the clients of a lost hub over the others.
    pub fn new<N: ToString>(hubs: impl IntoIterator<Item = (N, C)>, seed: u64) -> Option<Self> {
        let hub = |(name, connector): (N, C)| Hub {
            name: name.to_string(),
            connector,
            is_unfit: false,
        };
        let all: Vec<_> = hubs.into_iter().map(hub).collect();
        let mut hubs = Hubs {
            order: (0..all.len()).collect(),
            all,
            online_since: None,
            is_let_in: false,
            ended: 0,
            random: seed | 1,
        };
        hubs.draw_others();
        (!hubs.all.is_empty()).then(|| Self {
            hubs: Arc::new(Mutex::new(hubs)),
        })
    }
}

impl<C> Failover<C> {
    fn hubs(&self) -> MutexGuard<'_, Hubs<C>> {
        lock(&self.hubs)
    }
}

fn lock<C>(hubs: &Mutex<Hubs<C>>) -> MutexGuard<'_, Hubs<C>> {
    hubs.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The clone chooses by itself.
impl<C: Clone> Clone for Failover<C> {
    fn clone(&self) -> Self {
        let hubs = self.hubs().clone();
        Self {
            hubs: Arc::new(Mutex::new(hubs)),
        }
    }
}

impl<C> fmt::Debug for Failover<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hubs = self.hubs();
        let names = hubs.order.iter().filter_map(|number| hubs.all.get(*number));
        f.debug_list().entries(names.map(|hub| &hub.name)).finish()
    }
}

impl<C: Connector> Connector for Failover<C> {
    type Link = C::Link;

    fn connect(&mut self) -> impl Future<Output = io::Result<C::Link>> + Send + 'static {
        let hubs = Arc::clone(&self.hubs);
        async move {
            let round = lock(&hubs).round();
            let mut failures = Vec::new();
            for number in round {
                let Some((name, connecting)) = lock(&hubs).open(number) else {
                    continue;
                };
                debug!(hub = %name, "connecting");
                let opened = timeout(CONNECT_LIMIT, connecting).await;
                let error = match opened {
                    Ok(Ok(link)) => {
                        lock(&hubs).prefer(number);
                        return Ok(link);
                    }
                    Ok(Err(error)) => error,
                    Err(_) => io::Error::new(
                        io::ErrorKind::TimedOut,
                        format!("no answer within {} s", CONNECT_LIMIT.as_secs()),
                    ),
                };
                info!(hub = %name, %error, "cannot be reached");
                lock(&hubs).note_unfit(number, is_lasting(&error));
                failures.push((name, error));
            }
            Err(all_failed(failures))
        }
    }

    fn logged_in(&mut self) {
        self.hubs().logged_in();
    }

    fn ended(&mut self, end: ConnectionEnd) -> Option<Duration> {
        self.hubs().ended(end)
    }
}

impl<C: Connector> Hubs<C> {
    /// Starts to open a connection. Whatever becomes of it, the next one to try is another one, until it is open.
    fn open(&mut self, number: usize) -> Option<(String, Connecting<C::Link>)> {
        self.defer(number);
        let hub = self.all.get_mut(number)?;
        Some((hub.name.clone(), Box::pin(hub.connector.connect())))
    }
}

impl<C> Hubs<C> {
    /// All hubs, in the order in which they are tried.
    fn round(&self) -> Vec<usize> {
        let mut round: Vec<usize> = self.order.iter().copied().collect();
        // A stable sort.
        round.sort_by_key(|number| self.all.get(*number).is_some_and(|hub| hub.is_unfit));
        round
    }

    fn note_unfit(&mut self, number: usize, is_unfit: bool) {
        if let Some(hub) = self.all.get_mut(number) {
            hub.is_unfit = is_unfit;
        }
    }

    fn prefer(&mut self, number: usize) {
        self.order.retain(|other| *other != number);
        self.order.push_front(number);
    }

    fn defer(&mut self, number: usize) {
        self.order.retain(|other| *other != number);
        self.order.push_back(number);
    }

    fn logged_in(&mut self) {
        self.online_since = Some(Instant::now());
        self.is_let_in = true;
        if let Some(number) = self.order.front().copied() {
            self.note_unfit(number, false);
        }
        self.draw_others();
    }

    fn ended(&mut self, end: ConnectionEnd) -> Option<Duration> {
        if let Some(number) = self.order.front().copied() {
            self.note_unfit(number, end == ConnectionEnd::Unfit);
            self.defer(number);
        }
        let was_stable = self
            .online_since
            .take()
            .is_some_and(|since| since.elapsed() >= STABLE_AFTER);
        if was_stable {
            self.ended = 0;
        }
        self.ended += 1;
        if self.ended >= self.all.len() {
            self.ended = 0;
            // One that was unfit may be mended, and of the others none has let the session in.
            if !std::mem::take(&mut self.is_let_in) {
                self.all.iter_mut().for_each(|hub| hub.is_unfit = false);
            }
            return None;
        }
        let spread = u64::try_from(SPREAD.as_millis()).unwrap_or(1);
        Some(Duration::from_millis(self.draw() % spread))
    }

    /// Draws the order of all but the first one.
    fn draw_others(&mut self) {
        for last in (2..self.order.len()).rev() {
            let other = 1 + usize::try_from(self.draw() % last as u64).unwrap_or_default();
            self.order.swap(last, other);
        }
    }

    /// xorshift64; not for cryptography.
    fn draw(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random >> 8
    }
}

/// Whether the same would happen again: a certificate or an answer that cannot be a hub's, not a hub that is down.
fn is_lasting(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, PermissionDenied, Unsupported};
    matches!(
        error.kind(),
        InvalidData | InvalidInput | PermissionDenied | Unsupported
    )
}

/// The error of a round: that of the only hub, or of all.
fn all_failed(mut failures: Vec<(String, io::Error)>) -> io::Error {
    let kind = failures.last().map(|(_, error)| error.kind());
    match (failures.len(), kind) {
        (1, _) => failures.remove(0).1,
        (_, kind) => {
            let each = failures.iter().map(|(name, error)| format!("{name}: {error}"));
            let text = format!("no hub can be reached ({})", each.collect::<Vec<_>>().join("; "));
            io::Error::new(kind.unwrap_or(io::ErrorKind::NotConnected), text)
        }
    }
}
