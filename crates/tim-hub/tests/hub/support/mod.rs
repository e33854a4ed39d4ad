//! A hub on a temporary directory, and devices that talk to it over TCP with the real client session.

mod calls;
mod observed;
mod raw;

use std::io::{ErrorKind, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant as StdInstant};

use tim_hub::usersig::{App, UserSig};
use tim_hub::{Clock, Hub, HubError, HubOptions};
use tim_proto::message::{Message, Payload, SendOptions, Text};
use tim_proto::request::{
    CreateGroup, DeleteConversation, Fetch, GetConversationProfile, History, MarkRead, Request, Revoke, Send,
};
use tim_proto::wire::List;
use tim_proto::{
    AtKind, ConversationId, ErrorCode, GroupId, GroupType, InviteOption, JoinOption, MessageId, UserId,
};
use tim_session::{ClientConfig, ClientSession, Event, GrowBuffer, Instant, Output, RequestId};
use tim_store::faults::{self, Faults};
use tokio::sync::oneshot;

pub(crate) use observed::{Notice, Observed, Reply, Tip};
use observed::{observe, reply, sender_names};
pub(crate) use raw::Raw;
use tim_testkit::messages;
pub(crate) use tim_testkit::{c2c, group as group_id, user};

pub(crate) const APP: u32 = 1_400_000_000;
const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// Long enough for everything: a test that reaches it has failed.
const DEADLINE: Duration = Duration::from_secs(20);

/// A hub whose clock the test sets.
pub(crate) struct TestHub {
    pub(crate) address: SocketAddr,
    pub(crate) clock_ms: Arc<AtomicU64>,
    steady_ms: Arc<AtomicU64>,
    pub(crate) data: Arc<tempfile::TempDir>,
    hub: Option<Arc<Hub>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<Result<(), HubError>>>,
}

pub(crate) const START_MS: u64 = 1_700_000_000_000;

impl TestHub {
    pub(crate) fn start() -> Self {
        Self::start_on(Arc::new(tempfile::tempdir().unwrap()), |_| ())
    }

    pub(crate) fn start_with(change: impl FnOnce(&mut HubOptions)) -> Self {
        Self::start_on(Arc::new(tempfile::tempdir().unwrap()), change)
    }

    pub(crate) fn start_on(data: Arc<tempfile::TempDir>, change: impl FnOnce(&mut HubOptions)) -> Self {
        let directory = data.path().to_owned();
        Self::start_with_hub(data, change, |options| Hub::open(directory, options))
    }

    /// A hub whose store is slow or fails when the test says so.
    pub(crate) fn start_faulty() -> (Self, Faults) {
        let data = Arc::new(tempfile::tempdir().unwrap());
        let store = tim_store_sqlite::open(data.path()).unwrap();
        let (store, faults) = faults::wrap(store.into());
        let hub = Self::start_with_hub(data, |_| (), |options| Hub::with_store(options, store));
        (hub, faults)
    }

    fn start_with_hub(
        data: Arc<tempfile::TempDir>,
        change: impl FnOnce(&mut HubOptions),
        open: impl FnOnce(HubOptions) -> Result<Hub, HubError>,
    ) -> Self {
        tim_testkit::deadline();
        let clock_ms = Arc::new(AtomicU64::new(START_MS));
        let mut options = HubOptions::new(App::new(APP, KEY));
        let clock = Arc::clone(&clock_ms);
        let steady_ms = Arc::new(AtomicU64::new(0));
        let steady = Arc::clone(&steady_ms);
        options.clock = Clock::new(
            move || clock.load(Ordering::SeqCst),
            move || steady.load(Ordering::SeqCst),
        );
        options.sends_per_second = 0;
        options.limits = options.limits.with_group_messages_per_second(0);
        change(&mut options);
        let hub = Arc::new(open(options).unwrap());
        let serving = Arc::clone(&hub);
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                serving
                    .serve(listener, async move { stopped.await.unwrap_or(()) })
                    .await
            })
        });
        let address = told.recv().unwrap();
        Self {
            address,
            clock_ms,
            steady_ms,
            data,
            hub: Some(hub),
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// What the application's own server tells the hub.
    pub(crate) fn tell<T>(&self, tell: impl AsyncFnOnce(&Hub) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(tell(self.hub.as_ref().unwrap()))
    }

    /// The hub, for another thread.
    pub(crate) fn shared(&self) -> Arc<Hub> {
        Arc::clone(self.hub.as_ref().unwrap())
    }

    /// Time passes.
    pub(crate) fn advance(&self, by: Duration) {
        self.steady_ms.fetch_add(by.as_millis() as u64, Ordering::SeqCst);
        self.clock_ms.fetch_add(by.as_millis() as u64, Ordering::SeqCst);
    }

    /// Somebody sets the wall clock ahead, or back again.
    pub(crate) fn set_clock(&self, ms: u64) {
        self.clock_ms.store(ms, Ordering::SeqCst);
    }

    /// Stops the hub and starts another one on the same data.
    pub(crate) fn restart(mut self) -> Self {
        let (data, now) = (Arc::clone(&self.data), self.clock_ms.load(Ordering::SeqCst));
        self.halt();
        let hub = Self::start_on(data, |_| ());
        hub.clock_ms.store(now, Ordering::SeqCst);
        hub
    }

    /// Stops the hub and leaves its data.
    pub(crate) fn stop(mut self) -> Arc<tempfile::TempDir> {
        self.halt();
        Arc::clone(&self.data)
    }

    /// How it ends by itself.
    pub(crate) fn ended(mut self) -> Result<(), HubError> {
        let (thread, start) = (self.thread.take().unwrap(), StdInstant::now());
        while !thread.is_finished() {
            assert!(start.elapsed() < DEADLINE, "the hub goes on");
            std::thread::sleep(Duration::from_millis(2));
        }
        thread.join().unwrap()
    }

    fn halt(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap().unwrap();
        }
        self.hub = None;
    }
}

impl Drop for TestHub {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.halt();
        }
    }
}

pub(crate) struct Device {
    pub(crate) session: ClientSession<String, GrowBuffer>,
    stream: Option<TcpStream>,
    address: SocketAddr,
    started: StdInstant,
    user: UserId,
    next_random: u32,
    pub(crate) observed: Vec<Observed>,
    /// The notices among it, and what they say.
    pub(crate) notices: Vec<Notice>,
    /// The tips among it, and what they say.
    pub(crate) tips: Vec<Tip>,
    /// How the senders of its messages are called: text, nick, name card, picture.
    pub(crate) sender_names: Vec<[String; 4]>,
    /// How the hub calls the user, as each answer to SEND said.
    pub(crate) own_names: Vec<[String; 3]>,
    /// Who mentions the user where, as the last profile of a conversation said.
    pub(crate) at: Vec<(u64, String, AtKind)>,
    answers: Vec<(RequestId, Result<Reply, ErrorCode>)>,
    /// When to try again, as the last refusal said.
    pub retry_after: Option<Duration>,
}

pub(crate) fn group(name: &str) -> ConversationId {
    ConversationId::Group(group_id(name))
}

pub(crate) fn app() -> App {
    App::new(APP, KEY)
}

pub(crate) fn sig(name: &str) -> String {
    sig_for(name, 30 * 24 * 3600)
}

/// A UserSig that is good for so many seconds from the start.
pub(crate) fn sig_for(name: &str, seconds: u64) -> String {
    UserSig::sign(&app(), &user(name), START_MS / 1000, seconds)
}

impl Device {
    pub(crate) fn new(hub: &TestHub, name: &str, number: u64) -> Self {
        Self::with(hub, name, number, |_| ())
    }

    pub(crate) fn with(
        hub: &TestHub,
        name: &str,
        number: u64,
        change: impl FnOnce(&mut ClientConfig),
    ) -> Self {
        let mut config = ClientConfig::new(APP, user(name), number);
        config.backoff_min = Duration::from_millis(1);
        change(&mut config);
        let buffers = || GrowBuffer::new(64 * 1024);
        // Each device is another life, be it of the same device.
        static LIVES: AtomicU64 = AtomicU64::new(1);
        let seed = LIVES.fetch_add(1, Ordering::Relaxed);
        let session = ClientSession::new(config, sig(name), buffers(), buffers(), buffers(), seed);
        Self {
            session,
            stream: None,
            address: hub.address,
            started: StdInstant::now(),
            user: user(name),
            next_random: number as u32 * 1_000_000,
            observed: Vec::new(),
            notices: Vec::new(),
            tips: Vec::new(),
            sender_names: Vec::new(),
            own_names: Vec::new(),
            at: Vec::new(),
            answers: Vec::new(),
            retry_after: None,
        }
    }

    /// A device that is ready.
    pub(crate) fn login(hub: &TestHub, name: &str, number: u64) -> Self {
        let mut device = Self::new(hub, name, number);
        device.log_in();
        device
    }

    pub(crate) fn log_in(&mut self) {
        let now = self.now();
        self.session.login(now);
        self.until(|device| device.session.is_ready());
    }

    pub(crate) const fn is_connected(&self) -> bool {
        self.stream.is_some()
    }

    /// The hub is somewhere else now.
    pub(crate) fn move_to(&mut self, hub: &TestHub) {
        self.address = hub.address;
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::from_micros(self.started.elapsed().as_micros() as u64)
    }

    /// Pulls the cable.
    pub(crate) fn cut(&mut self) {
        if self.stream.take().is_some() {
            let now = self.now();
            self.session.disconnected(now);
        }
    }

    /// Runs until something is so.
    pub(crate) fn until(&mut self, mut done: impl FnMut(&Self) -> bool) {
        let start = StdInstant::now();
        loop {
            self.turn();
            if done(self) {
                return;
            }
            assert!(
                start.elapsed() < DEADLINE,
                "waited in vain; seen so far: {:?}",
                self.observed
            );
        }
    }

    /// One round: events, bytes out, bytes in.
    pub(crate) fn turn(&mut self) {
        self.events();
        let Some(stream) = &mut self.stream else { return };
        let mut broken = false;
        while !self.session.outgoing().is_empty() && !broken {
            match stream.write(self.session.outgoing()) {
                Ok(sent) => self.session.transmitted(sent),
                Err(_) => broken = true,
            }
        }
        let space = self.session.space(4096);
        let read = stream.read(space);
        let now = Instant::from_micros(self.started.elapsed().as_micros() as u64);
        match read {
            Ok(0) => broken = true,
            Ok(len) => self.session.received(now, len),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => broken = true,
        }
        if broken {
            self.cut();
        }
        self.events();
    }

    fn events(&mut self) {
        loop {
            let now = self.now();
            match self.session.poll(now) {
                Output::Wait(_) => return,
                Output::Disconnect => self.stream = None,
                Output::Connect => match TcpStream::connect(self.address) {
                    Ok(stream) => {
                        stream.set_nodelay(true).unwrap();
                        stream.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
                        self.stream = Some(stream);
                        self.session.connected(now);
                    }
                    Err(_) => self.session.disconnected(now),
                },
                Output::Event(Event::Response { id, response }) => {
                    match response.kind() {
                        Send::KIND => {
                            let sent = response.decode::<Send<'_>>().unwrap();
                            let names = [sent.nick(), sent.name_card(), sent.avatar()];
                            self.own_names.push(names.map(str::to_owned));
                        }
                        GetConversationProfile::KIND => {
                            let profile = response.decode::<GetConversationProfile>().unwrap();
                            let at = profile.conversation.at.iter();
                            self.at = at.map(|at| (at.sequence, at.from.to_string(), at.kind)).collect();
                        }
                        _ => {}
                    }
                    self.answers.push((id, Ok(reply(&response).unwrap())))
                }
                Output::Event(Event::Failed { id: ticket, failure }) => {
                    self.retry_after = failure.retry_after();
                    self.answers.push((ticket, Err(failure.code)))
                }
                Output::Event(event) => {
                    if let Event::Delivered(deliver) = &event {
                        match deliver.message().payload {
                            Payload::GroupTip(tip) => self.tips.push(Tip::of(&tip)),
                            Payload::SystemNotice(notice) => {
                                let flags = deliver.message().envelope.flags;
                                self.notices.push(Notice::of(&notice, flags));
                            }
                            _ => self.sender_names.push(sender_names(&deliver.message())),
                        }
                    }
                    self.observed.extend(observe(&event, &self.user));
                }
            }
        }
    }

    pub(crate) fn is_answered(&self, ticket: RequestId) -> bool {
        self.answers.iter().any(|(answered, _)| *answered == ticket)
    }

    pub(crate) fn wait_for(&mut self, ticket: RequestId) -> Result<Reply, ErrorCode> {
        self.until(|device| device.answers.iter().any(|(answered, _)| *answered == ticket));
        let at = self
            .answers
            .iter()
            .position(|(answered, _)| *answered == ticket)
            .unwrap();
        self.answers.remove(at).1
    }

    pub(crate) fn message<'a>(&mut self, to: ConversationId, payload: impl Into<Payload<'a>>) -> Message<'a> {
        self.next_random += 1;
        let device = self.session.config().device;
        let mut message = messages::message(self.user, to, payload.into());
        message.envelope.sequence = 0;
        message.envelope.origin = device;
        message.id = MessageId {
            sender: self.session.account(),
            client_time: 1,
            random: self.next_random,
        };
        message
    }

    pub(crate) fn start_send(&mut self, message: &Message<'_>, options: SendOptions<'_>) -> RequestId {
        let now = self.now();
        self.session.send(now, message, options).unwrap().id()
    }

    pub(crate) fn send_message(&mut self, message: &Message<'_>) -> Result<Reply, ErrorCode> {
        let ticket = self.start_send(message, SendOptions::default());
        self.wait_for(ticket)
    }

    pub(crate) fn send(&mut self, to: ConversationId, text: &str) -> u64 {
        let message = self.message(to, Text { text });
        match self.send_message(&message) {
            Ok(Reply::Sent {
                sequence,
                duplicate: false,
            }) => sequence,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn ask<R: Request>(&mut self, request: &R) -> Result<Reply, ErrorCode> {
        let now = self.now();
        let ticket = self.session.request(now, request).unwrap();
        self.wait_for(ticket.id())
    }

    pub(crate) fn page(
        &mut self,
        conversation: ConversationId,
        next: &[u8],
        count: u16,
    ) -> Result<Reply, ErrorCode> {
        self.ask(&History {
            conversation,
            next,
            count,
        })
    }

    pub(crate) fn read(&mut self, conversation: ConversationId) -> u32 {
        match self.ask(&MarkRead {
            conversation,
            sequence: 0,
        }) {
            Ok(Reply::Read { unread }) => unread,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn revoke(&mut self, conversation: ConversationId, sequence: u64) -> Result<Reply, ErrorCode> {
        self.revoke_for(conversation, sequence, "")
    }

    pub(crate) fn revoke_for(
        &mut self,
        conversation: ConversationId,
        sequence: u64,
        reason: &str,
    ) -> Result<Reply, ErrorCode> {
        let message = MessageId::default();
        self.ask(&Revoke {
            conversation,
            sequence,
            message,
            reason,
        })
    }

    /// A piece of a message's payload.
    pub(crate) fn fetch(
        &mut self,
        conversation: ConversationId,
        sequence: u64,
        offset: u32,
        len: u32,
    ) -> Result<Reply, ErrorCode> {
        self.ask(&Fetch {
            conversation,
            sequence,
            offset,
            len,
        })
    }

    pub(crate) fn delete(&mut self, conversation: ConversationId) -> Result<Reply, ErrorCode> {
        self.ask(&DeleteConversation { conversation })
    }

    pub(crate) fn conversations(&mut self) -> Vec<(String, u32, String)> {
        self.conversations_at_most(0)
    }

    /// The conversations, `count` at the most; as many as the hub finds good for 0.
    pub(crate) fn conversations_at_most(&mut self, count: u16) -> Vec<(String, u32, String)> {
        match self.ask(&tim_proto::request::Conversations { next: &[], count }) {
            Ok(Reply::Conversations(list)) => list,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn create_group(&mut self, id: &str, members: &[UserId]) -> Result<Reply, ErrorCode> {
        self.create(GroupType::PUBLIC, id, members)
    }

    pub(crate) fn create(
        &mut self,
        group_type: GroupType,
        id: &str,
        members: &[UserId],
    ) -> Result<Reply, ErrorCode> {
        let group = GroupId::new(id).unwrap();
        let request = CreateGroup {
            group: Some(group),
            group_type,
            name: "周末去哪",
            introduction: "",
            notification: "",
            avatar: "",
            members: List::from_slice(members),
            random: 7,
            join_option: JoinOption::AS_USUAL,
            invite_option: InviteOption::AS_USUAL,
        };
        self.ask(&request)
    }

    /// Starts to ask, and does not wait.
    pub(crate) fn start<R: Request>(&mut self, request: &R) -> RequestId {
        let now = self.now();
        self.session.request(now, request).unwrap().id()
    }

    /// Asks for the same page again and again and never reads an answer, until the hub has closed the connection.
    /// Calls `blocked` when the hub takes no more questions.
    pub(crate) fn ask_and_never_read(&mut self, conversation: ConversationId, blocked: impl FnOnce()) {
        let mut blocked = Some(blocked);
        let now = self.now();
        let request = History {
            conversation,
            next: &[],
            count: 0,
        };
        self.session.request(now, &request).unwrap();
        self.events();
        let frame = self.session.outgoing().to_vec();
        let stream = self.stream.as_mut().unwrap();
        stream.set_write_timeout(Some(Duration::from_millis(2))).unwrap();
        let (start, mut sent) = (StdInstant::now(), 0);
        loop {
            assert!(start.elapsed() < DEADLINE, "the hub puts up with it");
            match stream.write(&frame[sent..]) {
                Ok(len) => sent = (sent + len) % frame.len(),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if let Some(blocked) = blocked.take() {
                        blocked();
                    }
                }
                Err(_) => return,
            }
        }
    }

    /// The texts that came in, in order.
    pub(crate) fn texts(&self) -> Vec<&str> {
        let mut texts = Vec::new();
        for seen in &self.observed {
            if let Observed::Message { text, .. } = seen {
                texts.push(text.as_str());
            }
        }
        texts
    }

    pub(crate) fn until_texts(&mut self, count: usize) {
        self.until(|device| device.texts().len() >= count);
    }
}
