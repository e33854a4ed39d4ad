//! A hub with its REST interface in this process, and drivers that tell what they do.

use std::collections::{BTreeSet, VecDeque};
use std::future::ready;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tim_client::transport::{MemoryConnector, memory_listener};
use tim_client::{Client as Session, Event, EventStream, UserId};
use tim_hub::usersig::{App, UserSig};
use tim_hub::{HttpOptions, Hub, HubOptions};
use tim_rest::{Client, Driver, HttpRequest, HttpResponse, HyperDriver, Posting, Sleeping, TransportError};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) const APP: u32 = 1_400_000_000;
pub(crate) const KEY: &str = "a key of the tests, long enough";
pub(crate) const ADMIN: &str = "administrator";

/// A hub that can be stopped and started again at the same address. What calls it meanwhile waits.
pub(crate) struct World {
    hub: Option<Arc<Hub>>,
    pub(crate) address: SocketAddr,
    data: tempfile::TempDir,
    listener: std::net::TcpListener,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
    connector: MemoryConnector,
    accepting: JoinHandle<()>,
}

impl World {
    pub(crate) fn start() -> Self {
        tim_testkit::deadline();
        let data = tempfile::tempdir().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let hub = open(data.path());
        let (connector, mut links) = memory_listener();
        let serving = Arc::clone(&hub);
        let accepting = tokio::spawn(async move {
            while let Some(link) = links.accept().await {
                serving.spawn(link);
            }
        });
        let mut world = Self {
            hub: Some(hub),
            address: listener.local_addr().unwrap(),
            data,
            listener,
            stop: None,
            serving: None,
            connector,
            accepting,
        };
        world.serve();
        world
    }

    pub(crate) fn hub(&self) -> Arc<Hub> {
        Arc::clone(self.hub.as_ref().unwrap())
    }

    fn serve(&mut self) {
        let hub = self.hub();
        let listener = TcpListener::from_std(self.listener.try_clone().unwrap()).unwrap();
        let options = HttpOptions::new(format!("http://{}", self.address));
        let (stop, stopped) = oneshot::channel::<()>();
        self.stop = Some(stop);
        self.serving = Some(tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            hub.serve_http(listener, options, stopped).await.unwrap();
        }));
    }

    pub(crate) async fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(serving) = self.serving.take() {
            serving.await.unwrap();
        }
        self.accepting.abort();
        let _ = (&mut self.accepting).await;
        self.hub.take().unwrap().shut_down().await;
    }

    /// Another hub on the same data, for REST only.
    pub(crate) fn start_again(&mut self) {
        self.hub = Some(open(self.data.path()));
        self.serve();
    }

    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A device of a user, which is online.
    pub(crate) async fn device(&self, name: &str) -> Device {
        let user = UserId::new(name).unwrap();
        let sig = UserSig::sign(&App::new(APP, KEY), &user, now_s(), 3600);
        let client = Session::builder(APP, user, sig).build(self.connector.clone());
        let events = client.events();
        client.login().await.unwrap();
        client.wait_until_ready().await.unwrap();
        Device { client, events }
    }
}

fn open(data: &Path) -> Arc<Hub> {
    let mut options = HubOptions::new(App::new(APP, KEY));
    options.admins = vec![UserId::new(ADMIN).unwrap()];
    options.trusted_addresses = Vec::new();
    Arc::new(Hub::open(data, options).unwrap())
}

/// A session of a user.
pub(crate) struct Device {
    pub(crate) client: Session,
    events: EventStream,
}

impl Device {
    /// The texts of the next messages, as many as these, with their senders.
    pub(crate) async fn texts(&mut self, count: usize) -> Vec<(String, String)> {
        let mut texts = Vec::new();
        while texts.len() < count {
            if let Event::MessageReceived(messages) = self.next().await {
                let said = messages
                    .iter()
                    .filter_map(|message| Some((message.sender().to_string(), message.text()?.to_owned())));
                texts.extend(said);
            }
        }
        texts
    }

    pub(crate) async fn next(&mut self) -> Event {
        let next = tokio::time::timeout(Duration::from_secs(60), self.events.next());
        next.await.expect("in time").expect("the session goes on")
    }
}

pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A driver that notes the paths that are called.
pub(crate) struct Noting {
    driver: HyperDriver,
    pub(crate) paths: Arc<Mutex<BTreeSet<String>>>,
}

impl Noting {
    /// A client of this base with such a driver, and what it notes.
    pub(crate) fn client(base: String) -> (Client, Arc<Mutex<BTreeSet<String>>>) {
        let builder = Client::builder(base, APP, ADMIN, KEY).timeout(Duration::from_secs(60));
        let driver = builder.driver().unwrap();
        let paths = Arc::default();
        let noting = Self {
            driver,
            paths: Arc::clone(&paths),
        };
        (builder.build_with(noting).unwrap(), paths)
    }
}

pub(crate) fn path(post: &HttpRequest) -> String {
    let behind_scheme = post.url.split("//").nth(1).unwrap();
    let target = &behind_scheme[behind_scheme.find('/').unwrap()..];
    target.split('?').next().unwrap().to_owned()
}

impl Driver for Noting {
    fn post(&self, post: HttpRequest) -> Posting<'_> {
        self.paths.lock().unwrap().insert(path(&post));
        self.driver.post(post)
    }

    fn sleep(&self, time: Duration) -> Sleeping<'_> {
        self.driver.sleep(time)
    }

    fn unix_seconds(&self) -> u64 {
        self.driver.unix_seconds()
    }

    fn random(&self) -> u32 {
        self.driver.random()
    }
}

/// A driver whose answers, time and random numbers the test gives.
#[derive(Clone, Default)]
pub(crate) struct Scripted {
    pub(crate) answers: Arc<Mutex<VecDeque<Result<HttpResponse, TransportError>>>>,
    pub(crate) posts: Arc<Mutex<Vec<HttpRequest>>>,
    pub(crate) slept: Arc<Mutex<Vec<Duration>>>,
    pub(crate) now_s: Arc<AtomicU64>,
    randoms: Arc<AtomicU64>,
}

impl Scripted {
    pub(crate) fn client(&self) -> Client {
        let builder = Client::builder("https://console.tim.qq.com", APP, ADMIN, KEY);
        builder.build_with(self.clone()).unwrap()
    }

    pub(crate) fn answer(&self, answer: Result<HttpResponse, TransportError>) {
        self.answers.lock().unwrap().push_back(answer);
    }

    /// What was posted since the last time.
    pub(crate) fn posts(&self) -> Vec<HttpRequest> {
        std::mem::take(&mut self.posts.lock().unwrap())
    }
}

impl Driver for Scripted {
    fn post(&self, post: HttpRequest) -> Posting<'_> {
        self.posts.lock().unwrap().push(post);
        let answer = self.answers.lock().unwrap().pop_front();
        Box::pin(ready(answer.expect("no more calls than there are answers")))
    }

    fn sleep(&self, time: Duration) -> Sleeping<'_> {
        self.slept.lock().unwrap().push(time);
        Box::pin(ready(()))
    }

    fn unix_seconds(&self) -> u64 {
        self.now_s.load(Ordering::SeqCst)
    }

    fn random(&self) -> u32 {
        self.randoms.fetch_add(1, Ordering::SeqCst) as u32
    }
}
