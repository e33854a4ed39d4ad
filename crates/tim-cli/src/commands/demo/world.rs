//! The hub of the demo, which can be restarted, and its devices.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tim_client::{Client, ConversationId, Event, EventStream, ImError, Message, NetState, UserId};
use tim_hub::{Clock, Hub, HubOptions};
use tim_transport_std::{Address, AnyConnector};
use tim_usersig::{App, UserSig};
use tokio::sync::oneshot;

use crate::address::TextAddress;
use crate::config::Settings;
use crate::connect::TlsArgs;
use crate::error::Failure;
use crate::listeners::Plan;
use crate::session::{block_on_threads, failure};
use crate::time::now;

/// How long the demo waits for an event.
const PATIENCE: Duration = Duration::from_secs(20);
/// The demo's application.
const APP_ID: u32 = 1_400_000_000;
/// The lifetime of the demo's UserSigs, in seconds.
const SIG_SECONDS: u64 = 3600;

/// Where the hub of the demo listens, and how its devices connect.
#[derive(Debug, Clone)]
pub(super) struct Sockets {
    /// With one address.
    pub(super) settings: Settings,
    pub(super) tls: TlsArgs,
}

/// A hub on a directory, on real sockets.
pub(super) struct RunningHub {
    data: PathBuf,
    sockets: Sockets,
    pub(super) address: Address,
    connector: AnyConnector,
    pub(super) app: App,
    /// How far the hub's clock is ahead, in milliseconds.
    ahead_ms: Arc<AtomicU64>,
    serving: Option<Serving>,
}

struct Serving {
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<Result<(), Failure>>,
}

impl RunningHub {
    /// Starts a hub.
    pub(super) async fn start(data: PathBuf, key: String, sockets: Sockets) -> Result<Self, Failure> {
        let address = sockets.settings.listen.first();
        let TextAddress(address) = address.ok_or_else(|| Failure::usage("no address to listen at"))?;
        let mut hub = Self {
            data,
            connector: sockets.tls.connector(address)?,
            address: address.clone(),
            sockets,
            app: App::new(APP_ID, key),
            ahead_ms: Arc::default(),
            serving: None,
        };
        hub.begin().await?;
        Ok(hub)
    }

    /// Starts it again on its directory, at the same address.
    pub(super) async fn begin(&mut self) -> Result<(), Failure> {
        let mut options = HubOptions::new(self.app.clone());
        let ahead = || {
            let ahead = Arc::clone(&self.ahead_ms);
            move || ahead.load(Ordering::Relaxed)
        };
        let (real, wall, steady) = (options.clock.clone(), ahead(), ahead());
        let too = real.clone();
        options.clock = Clock::new(
            move || real.wall_ms() + wall(),
            move || too.steady_ms() + steady(),
        );
        let hub = Arc::new(Hub::open(&self.data, options).map_err(Failure::failed)?);
        let plan = Plan::of(&self.sockets.settings).await?;
        let (stop, stopped) = oneshot::channel::<()>();
        let (listen, listening) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        // On a thread of its own, as if in a process of its own.
        std::thread::spawn(move || {
            let result = block_on_threads(async {
                let listeners = plan.open().await?;
                let _ = listen.send(listeners.local());
                let stopped = async { drop(stopped.await) };
                listeners.serve(&hub, stopped).await.map_err(Failure::failed)
            });
            drop(hub);
            let _ = end.send(result);
        });
        let Ok(Some(address)) = listening.await else {
            ended.await.map_err(Failure::failed)??;
            return Err(Failure::failed("the hub ended at once"));
        };
        // A free port, which it takes again after a restart.
        self.connector = self.sockets.tls.connector(&address)?;
        self.sockets.settings.listen = vec![TextAddress(address.clone())];
        self.address = address;
        self.serving = Some(Serving { stop, ended });
        Ok(())
    }

    /// Stops it; everything that it has acknowledged is on disk.
    pub(super) async fn stop(&mut self) -> Result<(), Failure> {
        let Some(Serving { stop, ended }) = self.serving.take() else {
            return Ok(());
        };
        let _ = stop.send(());
        ended.await.map_err(Failure::failed)?
    }

    /// Advances the hub's clock.
    pub(super) fn wait(&self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.ahead_ms.fetch_add(ms, Ordering::Relaxed);
    }
}

/// A user's device.
pub(super) struct Device {
    pub(super) name: &'static str,
    pub(super) client: Client,
    events: EventStream,
    /// Messages that arrived and were not taken.
    inbox: VecDeque<Message>,
    /// Revocations that arrived and were not taken.
    revoked: VecDeque<Message>,
    /// The last connection state.
    net: Option<NetState>,
}

impl Device {
    /// A new device.
    pub(super) async fn log_in(hub: &RunningHub, user: &str, name: &'static str) -> Result<Self, Failure> {
        let user = user.parse().map_err(Failure::failed)?;
        let sig = UserSig::sign(&hub.app, &user, now(), SIG_SECONDS);
        Self::start(
            Client::builder(APP_ID, user, sig).build(hub.connector.clone()),
            name,
        )
        .await
    }

    /// The same device, switched on again: it resumes where it stopped.
    pub(super) async fn resume(hub: &RunningHub, before: &SavedDevice) -> Result<Self, Failure> {
        let SavedDevice {
            user,
            name,
            device,
            cursor,
        } = before;
        let sig = UserSig::sign(&hub.app, user, now(), SIG_SECONDS);
        let builder = Client::builder(APP_ID, *user, sig)
            .device(*device)
            .resume_from(cursor);
        Self::start(builder.build(hub.connector.clone()), name).await
    }

    async fn start(client: Client, name: &'static str) -> Result<Self, Failure> {
        let events = client.events();
        client.login().await.map_err(failure)?;
        client.wait_until_ready().await.map_err(failure)?;
        Ok(Self {
            name,
            client,
            events,
            inbox: VecDeque::new(),
            revoked: VecDeque::new(),
            net: None,
        })
    }

    /// Switches it off.
    pub(super) async fn leave(&mut self) -> Result<SavedDevice, Failure> {
        // A message is settled once the next event is polled.
        while let Ok(Some(event)) = tokio::time::timeout(Duration::ZERO, self.events.next()).await {
            self.sort(event);
        }
        let left = SavedDevice {
            user: self.client.user(),
            name: self.name,
            device: self.client.device(),
            cursor: self.client.cursor(),
        };
        self.client.logout().await.map_err(failure)?;
        Ok(left)
    }

    /// The next message in a conversation; waits for it.
    pub(super) async fn receives(&mut self, conversation: ConversationId) -> Result<Message, Failure> {
        loop {
            let here = self
                .inbox
                .iter()
                .position(|message| message.conversation_id() == conversation);
            if let Some(message) = here.and_then(|at| self.inbox.remove(at)) {
                return Ok(message);
            }
            self.wait_for(&format!("a message in {conversation}")).await?;
        }
    }

    /// The next revoked message; waits for it.
    pub(super) async fn sees_revoked(&mut self) -> Result<Message, Failure> {
        loop {
            if let Some(message) = self.revoked.pop_front() {
                return Ok(message);
            }
            self.wait_for("a revocation").await?;
        }
    }

    /// Waits until the connection is lost.
    pub(super) async fn loses_connection(&mut self) -> Result<NetState, Failure> {
        loop {
            match self.net {
                Some(state) if state != NetState::Connected => return Ok(state),
                _ => self.wait_for("the loss of the connection").await?,
            }
        }
    }

    /// The number of messages and revocations that no step expected.
    pub(super) async fn unexpected(&mut self) -> usize {
        while let Ok(Some(event)) = tokio::time::timeout(Duration::ZERO, self.events.next()).await {
            self.sort(event);
        }
        self.inbox.len() + self.revoked.len()
    }

    /// The unread count of a conversation.
    pub(super) async fn unread(&self, conversation: ConversationId) -> Result<Option<u32>, Failure> {
        let list = self.client.get_conversation_list().await.map_err(failure)?;
        let found = list.conversation_list.iter().find(|it| it.id == conversation);
        Ok(found.map(|it| it.unread_count))
    }

    /// A conversation's messages, all pages, oldest first.
    pub(super) async fn history(&self, conversation: ConversationId) -> Result<Vec<Message>, Failure> {
        let mut pages = Vec::new();
        let mut next = None;
        loop {
            let page = self
                .client
                .get_message_list(conversation, next.as_ref(), None)
                .await
                .map_err(failure)?;
            pages.push(page.message_list);
            if page.is_completed {
                return Ok(pages.into_iter().rev().flatten().collect());
            }
            next = Some(page.next_req_message_id);
        }
    }

    async fn wait_for(&mut self, what: &str) -> Result<(), Failure> {
        let event = tokio::time::timeout(PATIENCE, self.events.next()).await;
        match event {
            Ok(Some(event)) => {
                self.sort(event);
                Ok(())
            }
            Ok(None) => Err(Failure::failed(format_args!(
                "{}: the session ended; expected {what}",
                self.name
            ))),
            Err(_) => Err(Failure::failed(format_args!("{}: {what} never came", self.name))),
        }
    }

    fn sort(&mut self, event: Event) {
        match event {
            Event::MessageReceived(messages) => self.inbox.extend(messages),
            Event::MessageRevoked(messages) => self.revoked.extend(messages),
            Event::NetStateChange(state) => self.net = Some(state),
            _ => {}
        }
    }
}

/// What a device stores while it is off.
pub(super) struct SavedDevice {
    user: UserId,
    name: &'static str,
    device: u64,
    cursor: Vec<u8>,
}

/// Tries to log in with a UserSig that another key signed.
pub(super) async fn impostor(hub: &RunningHub, user: &str) -> Result<Result<(), ImError>, Failure> {
    let user: UserId = user.parse().map_err(Failure::failed)?;
    let sig = UserSig::sign(&App::new(APP_ID, "a guess"), &user, now(), SIG_SECONDS);
    let client = Client::builder(APP_ID, user, sig).build(hub.connector.clone());
    Ok(client.login().await.map(drop))
}
