//! A real hub in memory, and clients that log in to it.
#![allow(dead_code, unreachable_pub)] // each test file uses its part

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tim_client::transport::{MemoryConnector, memory_listener};
use tim_client::{Client, ClientBuilder, EventStream, UserId};
use tim_hub::usersig::{App, UserSig};
use tim_hub::{Hub, HubOptions};

pub const APP: u32 = 1_400_000_000;

pub struct World {
    hub: Arc<Hub>,
    pub app: App,
    pub connector: MemoryConnector,
    accepting: tokio::task::JoinHandle<()>,
    _data: tempfile::TempDir,
}

impl World {
    pub fn new() -> Self {
        tim_testkit::deadline();
        let data = tempfile::tempdir().unwrap();
        let app = App::new(APP, "a key of the tests, long enough");
        let mut options = HubOptions::new(app.clone());
        options.sends_per_second = 0;
        options.requests_per_second = 0;
        options.limits = options.limits.with_group_messages_per_second(0);
        let hub = Arc::new(Hub::open(data.path(), options).unwrap());
        let (connector, mut listener) = memory_listener();
        let serving = hub.clone();
        let accepting = tokio::spawn(async move {
            while let Some(link) = listener.accept().await {
                serving.spawn(link);
            }
        });
        Self {
            hub,
            app,
            connector,
            accepting,
            _data: data,
        }
    }

    /// A client with a valid UserSig.
    pub fn builder(&self, name: &str) -> ClientBuilder {
        let user = UserId::new(name).unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let sig = UserSig::sign(&self.app, &user, now, 3600);
        Client::builder(APP, user, sig)
    }

    pub async fn log_in(
        &self,
        name: &str,
        change: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> (Client, EventStream) {
        let client = change(self.builder(name)).build(self.connector.clone());
        let events = client.events();
        client.login().await.unwrap();
        client.wait_until_ready().await.unwrap();
        (client, events)
    }

    pub async fn end(self) {
        self.accepting.abort();
        self.hub.shut_down().await;
    }
}

/// What comes of `wanted`, which must not take long.
pub async fn in_time<T>(wanted: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), wanted)
        .await
        .expect("in time")
}
