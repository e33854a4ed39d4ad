//! The servers of others that the hub calls: the application's, which callbacks go to, and the sinks of offline push. They take real
//! requests of the hub's HTTP client, over connections in memory, and fail as the plan and the settings of the run say.

mod application;
mod http;
mod sinks;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tim_client::transport::Connector;
use tim_hub::{CallbackOptions, Clock, Endpoint, HubOptions, PushOptions, PushRoutes, PushSink, PushWebhook};
use tim_proto::request::PushPlatform;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::task::spawn_local;

use self::http::Connection;
use self::sinks::Embedded;
use super::history::What;
use super::net::lock;
use super::op::{Server, ServerFault, ServerSettings};
use super::recorder::Shared;
use super::time::Steady;
use crate::Rng;

/// How many bytes a connection holds in each direction.
const LINK_BYTES: usize = 4 * 1024;

/// All servers.
pub(crate) struct Servers {
    shared: Rc<Shared>,
    settings: ServerSettings,
    conditions: Arc<Mutex<Conditions>>,
    /// How many questions, notifications and other requests there were, for their names and the streams of random numbers.
    questions: Cell<u32>,
    /// How often something was asked about a message, or a notification has come.
    repeated: RefCell<BTreeMap<String, u64>>,
}

/// How the servers are, on whichever thread that is asked.
#[derive(Debug, Default)]
struct Conditions {
    /// What has happened to each, and until when.
    faults: BTreeMap<Server, (ServerFault, u64)>,
    /// Nothing goes wrong any more, also by chance.
    is_healed: bool,
}

impl Conditions {
    fn fault(&self, server: Server, now_ms: u64) -> Option<ServerFault> {
        let (fault, until_ms) = self.faults.get(&server)?;
        (now_ms < *until_ms).then_some(*fault)
    }
}

/// What ends with the hub that it belongs to: its way to the servers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Way(Arc<AtomicBool>);

impl Way {
    /// The hub has ended: what it still has under way arrives nowhere.
    pub(crate) fn end(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn has_ended(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Servers {
    /// The servers of a run, if it has some.
    pub(crate) fn new(shared: &Rc<Shared>) -> Option<Rc<Self>> {
        let settings = shared.plan.settings.servers?;
        Some(Rc::new(Self {
            shared: Rc::clone(shared),
            settings,
            conditions: Arc::default(),
            questions: Cell::new(0),
            repeated: RefCell::default(),
        }))
    }

    /// Has a hub call the servers.
    pub(crate) fn be_called(self: &Rc<Self>, options: &mut HubOptions) -> Way {
        let way = Way::default();
        let mut callbacks = CallbackOptions::new(self.endpoint(Server::Application, &way));
        callbacks.timeout = Duration::from_millis(self.settings.timeout_ms);
        callbacks.refuse_without_answer = self.settings.refuse_without_answer;
        callbacks.max_waiting = self.settings.max_waiting;
        options.callbacks = Some(callbacks);
        let (wall, steady) = (self.shared.hub_wall.clone(), self.shared.steady);
        let clock = Clock::new(move || wall.ms(), move || steady.ms());
        let webhook = PushWebhook::new(self.endpoint(Server::Webhook, &way), clock);
        let webhook = webhook.unwrap_or_else(|error| panic!("the webhook has no place: {error}"));
        let (embedded, notifications) = Embedded::new(way.clone());
        spawn_local(sinks::serve_embedded(Rc::clone(self), notifications));
        let (webhook, embedded): (Arc<dyn PushSink>, Arc<dyn PushSink>) =
            (Arc::new(webhook), Arc::new(embedded));
        let routes = PushRoutes::new()
            .with_others(webhook)
            .with(PushPlatform::HUAWEI, embedded);
        let mut push = PushOptions::with_routes(routes);
        push.max_age = Duration::from_secs(self.settings.max_age_s);
        push.max_concurrent = self.settings.max_concurrent;
        options.push = Some(push);
        way
    }

    /// Where a server is, for a hub.
    fn endpoint(self: &Rc<Self>, server: Server, way: &Way) -> Endpoint {
        let (sender, connections) = mpsc::unbounded_channel();
        spawn_local(Rc::clone(self).accept(server, connections));
        let door = Door {
            server,
            way: way.clone(),
            conditions: Arc::clone(&self.conditions),
            steady: self.shared.steady,
            connections: sender,
        };
        Endpoint::new("http://server/").over(door)
    }

    /// Until the hub that uses the door has ended.
    async fn accept(
        self: Rc<Self>,
        server: Server,
        mut connections: mpsc::UnboundedReceiver<(DuplexStream, Way)>,
    ) {
        while let Some((stream, way)) = connections.recv().await {
            let servers = Rc::clone(&self);
            let connection = Connection::new(stream);
            spawn_local(async move {
                match server {
                    Server::Application => servers.answer_callbacks(connection, way).await,
                    _ => servers.take_notifications(connection, way).await,
                }
            });
        }
    }

    /// Something happens to a server.
    pub(crate) fn fault(&self, server: Server, fault: ServerFault) {
        self.shared.observe(None, What::ServerFault(server, fault));
        let until_ms = self.shared.steady.ms() + fault.for_ms();
        lock(&self.conditions).faults.insert(server, (fault, until_ms));
    }

    /// All servers work, and go on working until they need not.
    pub(crate) fn heal(&self) {
        let mut conditions = lock(&self.conditions);
        conditions.faults.clear();
        conditions.is_healed = true;
    }

    /// Something may go wrong again.
    pub(crate) fn stop_healing(&self) {
        lock(&self.conditions).is_healed = false;
    }

    fn condition(&self, server: Server) -> Option<ServerFault> {
        lock(&self.conditions).fault(server, self.shared.steady.ms())
    }

    fn is_healed(&self) -> bool {
        lock(&self.conditions).is_healed
    }

    /// A stream of random numbers for the n-th request about something: another order of requests changes nothing about it.
    fn chance(&self, about: &str) -> Rng {
        let mut repeated = self.repeated.borrow_mut();
        let times = repeated.entry(about.to_owned()).or_default();
        *times += 1;
        let hash = super::files::hash_of(about.as_bytes());
        self.shared
            .rng(0x5345_5256 << 32 ^ hash ^ times.wrapping_mul(0x9E37_79B9))
    }

    /// After how many milliseconds a server answers.
    fn delay(&self, server: Server, rng: &mut Rng) -> u64 {
        let usual = if rng.percent(80) {
            rng.below(20)
        } else {
            rng.below(250)
        };
        match self.condition(server) {
            Some(ServerFault::Slow { later_ms, .. }) => usual + u64::from(later_ms),
            _ => usual,
        }
    }
}

/// Opens connections to a server.
struct Door {
    server: Server,
    way: Way,
    conditions: Arc<Mutex<Conditions>>,
    steady: Steady,
    connections: mpsc::UnboundedSender<(DuplexStream, Way)>,
}

impl Connector for Door {
    type Link = DuplexStream;

    fn connect(&mut self) -> impl Future<Output = io::Result<DuplexStream>> + Send + 'static {
        let (server, way, steady) = (self.server, self.way.clone(), self.steady);
        let (conditions, connections) = (Arc::clone(&self.conditions), self.connections.clone());
        async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let fault = lock(&conditions).fault(server, steady.ms());
            if way.has_ended() || matches!(fault, Some(ServerFault::Refuses(_))) {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let (hub, server) = tokio::io::duplex(LINK_BYTES);
            let sent = connections.send((server, way));
            sent.map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
            Ok(hub)
        }
    }
}
