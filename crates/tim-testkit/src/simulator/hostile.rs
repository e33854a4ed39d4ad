//! Hostile users: they have a valid UserSig of their own and speak the protocol by themselves, as badly as it can be spoken.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tim_client::transport::Connector;
use tim_proto::message::{Content as Encoded, SendOptions, Text, tags, to_vec};
use tim_proto::request::{
    Conversations, ConversationsResponse, Deliver, Done, Failure, Fetch, FetchResponse, GroupMembers,
    GroupMembersResponse, History, HistoryResponse, Login, LoginResponse, MarkRead, Revoke, SendResponse,
};
use tim_proto::wire::{
    Decode, Encode, End as HelloEnd, Extension, Extensions, Frame, FrameKind, Hello, Nested, Parsed,
    decode_body,
};
use tim_proto::{ConversationId, ErrorCode, GroupId, MessageId, MessageKind, Platform, UserId};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_local};

use super::history::{AttackSaw, Log, Mark, Said, Sent, What};
use super::net::{LifeLine, LinkEnd};
use super::op::{Attack, Plan, Target};
use super::recorder::{APP, Shared};
use super::seen;
use crate::{Rng, frame, hello, raw_frame};

/// The links of hostile users begin here.
const ROGUE: u32 = 1 << 24;
/// The largest frame that one takes.
const MAX_FRAME: usize = 1 << 20;
/// How long one waits for its login before it does what it has to log in for.
const PATIENCE_MS: u64 = 5_000;
/// How long a connection of a flood is held.
const HOLD: Duration = Duration::from_secs(20);

/// A hostile user.
pub(crate) struct Rogue {
    shared: Rc<Shared>,
    number: u8,
    user: UserId,
    /// The number of the next request, which all hostile users share.
    next: Rc<Cell<u32>>,
    connection: RefCell<Option<Rc<Connection>>>,
    logins: Cell<u32>,
}

/// A connection of a hostile user.
struct Connection {
    /// Bytes for the hub.
    outgoing: RefCell<Vec<u8>>,
    changed: Notify,
    /// What its requests were.
    asked: RefCell<BTreeMap<u32, Asked>>,
    /// 0 before the login is answered.
    account: Cell<u64>,
    ended: Cell<bool>,
    acknowledges: Cell<bool>,
    window: u16,
    /// Deliveries that were not acknowledged.
    unacknowledged: Cell<u64>,
    paused_until_ms: Cell<u64>,
    task: RefCell<Option<JoinHandle<()>>>,
}

/// What is needed to understand an answer.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Login(UserId),
    Send,
    History,
    List,
    Members(GroupId),
    Fetch(Log, u64),
    Other,
}

impl Connection {
    fn put(&self, bytes: &[u8]) {
        self.outgoing.borrow_mut().extend_from_slice(bytes);
        self.changed.notify_one();
    }

    fn ask(&self, kind: FrameKind, id: u32, body: &impl Encode, asked: Asked) {
        self.asked.borrow_mut().insert(id, asked);
        self.put(&frame(kind, id, body));
    }
}

impl Rogue {
    pub(crate) fn new(shared: &Rc<Shared>, number: u8, next: &Rc<Cell<u32>>) -> Rc<Self> {
        Rc::new(Self {
            shared: Rc::clone(shared),
            number,
            user: Plan::hostile_user(number),
            next: Rc::clone(next),
            connection: RefCell::default(),
            logins: Cell::new(0),
        })
    }

    fn observe(&self, what: What) {
        self.shared.observe(None, what);
    }

    fn saw(&self, saw: AttackSaw) {
        self.observe(What::AttackSaw {
            hostile: self.number,
            saw,
        });
    }

    fn request(&self) -> u32 {
        let id = self.next.get() + 1;
        self.next.set(id);
        id
    }

    fn conversation(&self, target: Target) -> ConversationId {
        let population = &self.shared.plan.population;
        match target {
            Target::User(user) => ConversationId::C2c(Plan::user(user % population.users.len().max(1) as u8)),
            Target::Group(group) => ConversationId::Group(Plan::group(group)),
            Target::System => ConversationId::System,
        }
    }

    /// Does something hostile.
    pub(crate) fn attack(self: &Rc<Self>, step: u32, attack: Attack) {
        self.observe(What::Attacked {
            call: step,
            hostile: self.number,
            attack,
        });
        match attack {
            Attack::Login => drop(self.log_in(64, false)),
            Attack::HugeWindow(window) => drop(self.log_in(window.min(u32::from(u16::MAX)) as u16, false)),
            Attack::LoginFlood(count) => (0..count).for_each(|n| self.log_in_badly(n)),
            Attack::ForgedUser(user) => {
                let users = self.shared.plan.population.users.len().max(1) as u8;
                self.log_in_as(Plan::user(user % users), self.sig());
            }
            Attack::Idle(count) => (0..count).for_each(|_| self.hold_open()),
            Attack::ReadsNothing(ms) => {
                if let Some(connection) = &*self.connection.borrow() {
                    connection
                        .paused_until_ms
                        .set(self.shared.steady.ms() + u64::from(ms));
                }
            }
            Attack::HangUp => self.hang_up(),
            _ => self.once_logged_in(step, attack),
        }
    }

    fn hang_up(&self) {
        if let Some(connection) = self.connection.take()
            && let Some(task) = connection.task.take()
        {
            task.abort();
        }
    }

    fn sig(&self) -> String {
        self.shared.user_sig(self.user, 24 * 3600).text
    }

    /// Opens a connection and logs in. The connection becomes that of later attacks.
    fn log_in(self: &Rc<Self>, window: u16, acknowledges: bool) -> Rc<Connection> {
        self.hang_up();
        let connection = self.open(window, acknowledges);
        self.send_login(&connection, self.user, &self.sig());
        *self.connection.borrow_mut() = Some(Rc::clone(&connection));
        connection
    }

    fn send_login(&self, connection: &Connection, user: UserId, sig: &str) {
        let attempt = self.logins.replace(self.logins.get() + 1) + 1;
        let device = u64::from(ROGUE) + u64::from(self.number) + 1;
        let login = Login::new(APP, user, sig, device, Platform::DESKTOP)
            .with_session(u64::from(attempt))
            .with_attempt(attempt);
        connection.ask(FrameKind::LOGIN, self.request(), &login, Asked::Login(user));
    }

    fn log_in_as(self: &Rc<Self>, user: UserId, sig: String) {
        let connection = self.open(64, false);
        self.send_login(&connection, user, &sig);
    }

    fn log_in_badly(self: &Rc<Self>, n: u16) {
        let users = self.shared.plan.population.users.len().max(1) as u16;
        let victim = Plan::user((n % users) as u8);
        let mut sig = self.sig();
        match n % 3 {
            0 => self.log_in_as(victim, sig),
            1 => self.log_in_as(self.user, "no signature".to_owned()),
            _ => {
                sig.truncate(sig.len() / 2);
                self.log_in_as(self.user, sig);
            }
        }
    }

    /// Opens a connection that says nothing.
    fn hold_open(self: &Rc<Self>) {
        let mut connector = self.shared.network.connector(self.link(), LifeLine::default());
        spawn_local(async move {
            let link = connector.connect().await;
            tokio::time::sleep(HOLD).await;
            drop(link);
        });
    }

    fn link(&self) -> u32 {
        ROGUE + u32::from(self.number)
    }

    /// A connection that says hello, and the task that serves it.
    fn open(self: &Rc<Self>, window: u16, acknowledges: bool) -> Rc<Connection> {
        let connection = Rc::new(Connection {
            outgoing: RefCell::new(hello(HelloEnd::CLIENT, (1, 1), MAX_FRAME as u32, window).to_vec()),
            changed: Notify::new(),
            asked: RefCell::default(),
            account: Cell::new(0),
            ended: Cell::new(false),
            acknowledges: Cell::new(acknowledges),
            window,
            unacknowledged: Cell::new(0),
            paused_until_ms: Cell::new(0),
            task: RefCell::default(),
        });
        let (rogue, served) = (Rc::clone(self), Rc::clone(&connection));
        let mut connector = self.shared.network.connector(self.link(), LifeLine::default());
        let task = spawn_local(async move {
            if let Ok(link) = connector.connect().await {
                rogue.serve(&served, link).await;
            }
            served.ended.set(true);
            rogue.saw(AttackSaw::Ended);
        });
        *connection.task.borrow_mut() = Some(task);
        connection
    }

    /// Writes and reads until the hub hangs up.
    async fn serve(&self, connection: &Connection, mut link: LinkEnd) {
        let (mut incoming, mut greeted) = (Vec::new(), false);
        loop {
            let now_ms = self.shared.steady.ms();
            let reads = connection.paused_until_ms.get() <= now_ms;
            let mut buffer = [0; 4096];
            let moved = tokio::select! {
                biased;
                moved = poll_fn(|context| {
                    let mut outgoing = connection.outgoing.borrow_mut();
                    if !outgoing.is_empty() {
                        match link.poll_send(context, &outgoing) {
                            Poll::Ready(Ok(len)) => {
                                outgoing.drain(..len);
                                return Poll::Ready(Some(0));
                            }
                            Poll::Ready(Err(_)) => return Poll::Ready(None),
                            Poll::Pending => {}
                        }
                    }
                    if !reads {
                        return Poll::Pending;
                    }
                    match link.poll_receive(context, &mut buffer) {
                        Poll::Ready(Ok(0)) | Poll::Ready(Err(_)) => Poll::Ready(None),
                        Poll::Ready(Ok(len)) => Poll::Ready(Some(len)),
                        Poll::Pending => Poll::Pending,
                    }
                }) => moved,
                () = connection.changed.notified() => Some(0),
                () = tokio::time::sleep(Duration::from_millis(500)), if !reads => Some(0),
            };
            let Some(len) = moved else { return };
            incoming.extend_from_slice(&buffer[..len]);
            if !self.read(connection, &mut incoming, &mut greeted) {
                return;
            }
        }
    }

    /// Reads whole frames; `false` after bytes that are none.
    fn read(&self, connection: &Connection, incoming: &mut Vec<u8>, greeted: &mut bool) -> bool {
        if !*greeted {
            if incoming.len() < Hello::LEN {
                return true;
            }
            incoming.drain(..Hello::LEN);
            *greeted = true;
        }
        let mut at = 0;
        loop {
            match Frame::parse(&incoming[at..], MAX_FRAME) {
                Ok(Parsed::Frame(frame, len)) => {
                    self.take(connection, &frame);
                    at += len;
                }
                Ok(Parsed::Incomplete(_)) => break,
                Err(_) => return false,
            }
        }
        incoming.drain(..at);
        true
    }

    fn take(&self, connection: &Connection, frame: &Frame<'_>) {
        match frame.kind {
            FrameKind::PING => connection.put(&crate::frame(FrameKind::PONG, frame.id, &Done)),
            FrameKind::DELIVER => {
                let delivered = decode_body::<Deliver<'_>>(frame.body);
                if let Ok(delivered) = delivered {
                    let entry = seen::of_message(self.user, &delivered.message);
                    self.saw(AttackSaw::Entries(vec![entry]));
                }
                if connection.acknowledges.get() {
                    connection.put(&crate::frame(FrameKind::ACK, frame.id, &Done));
                } else {
                    connection.unacknowledged.set(connection.unacknowledged.get() + 1);
                    let (most, window) = (
                        connection.unacknowledged.get(),
                        u64::from(connection.window.max(1)),
                    );
                    self.shared
                        .measure("deliveries to a device that acknowledges none", most, window);
                }
            }
            FrameKind::ERROR | FrameKind::GOODBYE => {
                connection.asked.borrow_mut().remove(&frame.id);
                let failure = decode_body::<Failure<'_>>(frame.body);
                let code = failure.map_or(ErrorCode::PROTOCOL_VIOLATION, |failure| failure.code);
                self.saw(AttackSaw::Refused(code));
            }
            kind if kind.is_answer() => {
                let asked = connection.asked.borrow_mut().remove(&frame.id);
                self.saw(self.answer(connection, frame, asked.unwrap_or(Asked::Other)));
            }
            _ => {}
        }
    }

    fn answer(&self, connection: &Connection, frame: &Frame<'_>, asked: Asked) -> AttackSaw {
        let entries = |messages: Vec<tim_proto::Message<'_>>| {
            AttackSaw::Entries(
                messages
                    .iter()
                    .map(|message| seen::of_message(self.user, message))
                    .collect(),
            )
        };
        match asked {
            Asked::Login(user) => {
                let account = body::<LoginResponse<'_>>(frame).map_or(0, |answer| answer.account);
                connection.account.set(account);
                AttackSaw::LoggedIn(user)
            }
            Asked::Send => {
                body::<SendResponse<'_>>(frame).map_or(AttackSaw::Done, |answer| AttackSaw::Accepted {
                    request: frame.id,
                    sequence: answer.sequence,
                    duplicate: answer.duplicate,
                })
            }
            Asked::History => body::<HistoryResponse<'_>>(frame)
                .map_or(AttackSaw::Done, |page| entries(page.messages.iter().collect())),
            Asked::List => body::<ConversationsResponse<'_>>(frame).map_or(AttackSaw::Done, |list| {
                entries(
                    list.conversations
                        .iter()
                        .filter_map(|entry| entry.last_message())
                        .collect(),
                )
            }),
            Asked::Members(group) => {
                body::<GroupMembersResponse<'_>>(frame).map_or(AttackSaw::Done, |members| {
                    AttackSaw::Members(group, members.members.iter().map(|member| member.user).collect())
                })
            }
            Asked::Fetch(log, sequence) => {
                let piece = body::<FetchResponse<'_>>(frame).map_or(&[][..], |piece| piece.bytes);
                match Mark::find(piece) {
                    None => AttackSaw::Done,
                    Some(_) => AttackSaw::Entries(vec![super::history::Seen {
                        log,
                        sequence,
                        id: MessageId::default(),
                        from: self.user,
                        time_s: 0,
                        content: super::history::Content::Said(Said::of(MessageKind::TEXT, piece)),
                        revoked: false,
                        online_only: false,
                    }]),
                }
            }
            Asked::Other => AttackSaw::Done,
        }
    }

    /// Does what needs a session, on one that there is or a new one.
    fn once_logged_in(self: &Rc<Self>, step: u32, attack: Attack) {
        let open = self
            .connection
            .borrow()
            .clone()
            .filter(|connection| !connection.ended.get());
        let connection = open.unwrap_or_else(|| self.log_in(64, true));
        let rogue = Rc::clone(self);
        spawn_local(async move {
            let until_ms = rogue.shared.steady.ms() + PATIENCE_MS;
            while connection.account.get() == 0
                && !connection.ended.get()
                && rogue.shared.steady.ms() < until_ms
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let rng = rogue.shared.rng(u64::from(step) << 8 | 0xA77A_C400_0000);
            Raid {
                rogue: &rogue,
                connection: &connection,
                step,
                rng,
            }
            .begin(attack);
        });
    }
}

/// One attack on an open connection.
struct Raid<'a> {
    rogue: &'a Rogue,
    connection: &'a Connection,
    step: u32,
    rng: Rng,
}

impl Raid<'_> {
    fn begin(&mut self, attack: Attack) {
        match attack {
            Attack::ReusedId(target) => {
                let id = self.id();
                self.send(target, id, 0, Extensions::NONE);
                self.send(target, id, 1, Extensions::NONE);
            }
            Attack::ForgedId(target) => {
                let id = self.id();
                let other = id.sender ^ 1;
                self.send(target, MessageId { sender: other, ..id }, 0, Extensions::NONE);
            }
            Attack::ForgedSender(target, user) => self.send_with_envelope(target, user),
            Attack::ForgedExtensions(target) => {
                let extension = to_vec(&Extension::new(tags::FIRST_OF_HUB, b"admin"));
                let id = self.id();
                if let Ok(extensions) = Extensions::new(&extension) {
                    self.send(target, id, 0, extensions);
                }
            }
            Attack::SendFlood(target, count) => {
                for n in 0..count {
                    let id = self.id();
                    self.send(target, id, n.into(), Extensions::NONE);
                }
            }
            Attack::PageFlood(target, count) => (0..count).for_each(|_| self.page(target)),
            Attack::Snoop(target) => self.snoop(target),
            Attack::ForgedAck => {
                let id = self.rng.draw() as u32;
                self.connection.put(&frame(FrameKind::ACK, id, &Done));
            }
            Attack::UnknownKind(kind) => {
                let id = self.rogue.request();
                self.connection
                    .put(&raw_frame(FrameKind(kind as u8 & 0x7F), id, b"?"));
            }
            Attack::Garbage { kind, bytes } => {
                let body: Vec<u8> = (0..bytes).map(|_| self.rng.draw() as u8).collect();
                let id = self.rogue.request();
                self.connection.put(&raw_frame(FrameKind(kind as u8), id, &body));
            }
            Attack::Noise(bytes) => {
                let noise: Vec<u8> = (0..bytes).map(|_| self.rng.draw() as u8).collect();
                self.connection.put(&noise);
            }
            Attack::ForgedKind(target, kind) => {
                let kinds = [
                    MessageKind::GROUP_TIP,
                    MessageKind::GROUP_SYSTEM_NOTICE,
                    MessageKind::REVOCATION,
                ];
                let (id, mark) = (self.id(), Mark::hostile(self.step, 0));
                let payload = mark.text();
                let kind = kinds[usize::from(kind) % kinds.len()];
                self.send_content(
                    target,
                    &Encoded::new(self.rogue.conversation(target), id, kind, payload.as_bytes()),
                );
            }
            // Made without a session.
            Attack::Login
            | Attack::HugeWindow(_)
            | Attack::LoginFlood(_)
            | Attack::ForgedUser(_)
            | Attack::Idle(_)
            | Attack::ReadsNothing(_)
            | Attack::HangUp => {}
        }
    }

    fn id(&mut self) -> MessageId {
        MessageId {
            sender: self.connection.account.get(),
            client_time: self.rogue.shared.hub_wall.ms() / 1000,
            random: self.rng.draw() as u32,
        }
    }

    /// Sends a text with the `n`-th mark of this attack.
    fn send(&self, target: Target, id: MessageId, n: u32, extensions: Extensions<'_>) {
        let text = Mark::hostile(self.step, n).text_of(20);
        let payload = to_vec(&Text::new(&text));
        let to = self.rogue.conversation(target);
        let content = Encoded::new(to, id, MessageKind::TEXT, &payload).with_extensions(extensions);
        self.send_content(target, &content);
    }

    fn send_content(&self, target: Target, content: &Encoded<'_>) {
        let request = self.note_sent(target, content);
        let send = tim_proto::request::Send::new(*content).with_options(Nested(SendOptions::new()));
        self.connection.ask(FrameKind::SEND, request, &send, Asked::Send);
    }

    fn note_sent(&self, target: Target, content: &Encoded<'_>) -> u32 {
        let request = self.rogue.request();
        let user = self.rogue.user;
        self.rogue.observe(What::AttackSent {
            hostile: self.rogue.number,
            request,
            message: Sent {
                log: Log::of(user, self.rogue.conversation(target)),
                from: user,
                id: content.id,
                said: Said::of(content.kind, content.payload),
                online_only: false,
            },
        });
        request
    }

    /// Sends a message with an envelope before its content, which no request has.
    fn send_with_envelope(&mut self, target: Target, user: u8) {
        let users = self.rogue.shared.plan.population.users.len().max(1) as u8;
        let text = Mark::hostile(self.step, 0).text_of(20);
        let payload = to_vec(&Text::new(&text));
        let id = self.id();
        let content = Encoded::new(self.rogue.conversation(target), id, MessageKind::TEXT, &payload);
        let request = self.note_sent(target, &content);
        let envelope = tim_proto::message::Envelope::new(Plan::user(user % users))
            .with_sequence(1)
            .with_time(1);
        let mut bytes = to_vec(&Nested(SendOptions::new()));
        bytes.extend(to_vec(&envelope));
        bytes.extend(to_vec(&content));
        self.connection.asked.borrow_mut().insert(request, Asked::Send);
        self.connection.put(&raw_frame(FrameKind::SEND, request, &bytes));
    }

    fn page(&self, target: Target) {
        let history = History::new(self.rogue.conversation(target)).with_count(100);
        self.connection
            .ask(FrameKind::HISTORY, self.rogue.request(), &history, Asked::History);
    }

    /// Looks at what is not its own, and changes it.
    fn snoop(&self, target: Target) {
        let (connection, conversation) = (self.connection, self.rogue.conversation(target));
        let log = Log::of(self.rogue.user, conversation);
        let request = || self.rogue.request();
        self.page(target);
        connection.ask(
            FrameKind::CONVERSATIONS,
            request(),
            &Conversations::new(),
            Asked::List,
        );
        if let ConversationId::Group(group) = conversation {
            connection.ask(
                FrameKind::GROUP_MEMBERS,
                request(),
                &GroupMembers::new(group),
                Asked::Members(group),
            );
        }
        for sequence in 1..4 {
            let fetch = Fetch::new(conversation, sequence, 0, 4096);
            connection.ask(FrameKind::FETCH, request(), &fetch, Asked::Fetch(log, sequence));
            connection.ask(
                FrameKind::REVOKE,
                request(),
                &Revoke::new(conversation, sequence),
                Asked::Other,
            );
        }
        connection.ask(
            FrameKind::MARK_READ,
            request(),
            &MarkRead::new(conversation),
            Asked::Other,
        );
    }
}

fn body<'a, T: Decode<'a>>(frame: &Frame<'a>) -> Option<T> {
    decode_body(frame.body).ok()
}
