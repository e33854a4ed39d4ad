//! A device: the real client session over TCP, and what it has seen.

use std::io::{ErrorKind, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant as StdInstant};

use tim_proto::message::Payload;
use tim_proto::request::{GetConversationProfile, Request, Send};
use tim_proto::{AtKind, ErrorCode, UserId};
use tim_session::{ClientConfig, ClientSession, Event, GrowBuffer, Instant, Output, RequestId};

use super::observed::{observe, reply, sender_names};
use super::{APP, DEADLINE, Notice, Observed, Reply, TestHub, Tip, sig, user};

pub(crate) struct Device {
    pub(crate) session: ClientSession<String, GrowBuffer>,
    pub(super) stream: Option<TcpStream>,
    address: SocketAddr,
    started: StdInstant,
    pub(super) user: UserId,
    pub(super) next_random: u32,
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
    /// What it said.
    pub refusal: String,
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
            refusal: String::new(),
        }
    }

    /// A device that is ready.
    pub(crate) fn login(hub: &TestHub, name: &str, number: u64) -> Self {
        let mut device = Self::new(hub, name, number);
        device.log_in();
        device
    }

    pub(crate) fn log_in(&mut self) {
        self.begin_login();
        self.until(|device| device.session.is_ready());
    }

    pub(crate) fn begin_login(&mut self) {
        let now = self.now();
        self.session.login(now);
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

    pub(super) fn events(&mut self) {
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
                    failure.text.clone_into(&mut self.refusal);
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
}
