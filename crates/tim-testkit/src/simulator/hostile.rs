//! Hostile users: they have a valid UserSig of their own and speak the protocol by themselves, as badly as it can be spoken.

mod files;
mod raid;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tim_client::transport::Connector;
use tim_proto::request::{
    ConversationsResponse, Deliver, Done, Failure, FetchResponse, GroupMembersResponse, HistoryResponse,
    Login, LoginResponse, SendResponse,
};
use tim_proto::wire::{Decode, Encode, End as HelloEnd, Frame, FrameKind, Hello, Parsed, decode_body};
use tim_proto::{ConversationId, ErrorCode, FileId, GroupId, MessageId, MessageKind, Platform, UserId};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_local};

use self::files::FileRequest;
use self::raid::Raid;
use super::history::{AttackSaw, Content, FileSaw, Log, Mark, Said, Seen, What};
use super::net::LinkEnd;
use super::network::LifeLine;
use super::op::{Attack, Plan, Target};
use super::recorder::{APP, Shared};
use super::seen;
use crate::{frame, hello};

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
    /// Its own files.
    files: RefCell<BTreeSet<FileId>>,
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
    /// Something about files.
    File(FileRequest),
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
            files: RefCell::default(),
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
                let asked = connection.asked.borrow_mut().remove(&frame.id);
                if let Some(Asked::File(_)) = asked {
                    return self.saw(AttackSaw::File(frame.id, FileSaw::Refused));
                }
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
                    Some(_) => AttackSaw::Entries(vec![Seen {
                        log,
                        sequence,
                        id: MessageId::default(),
                        from: self.user,
                        time_s: 0,
                        content: Content::Said(Said::of(MessageKind::TEXT, piece)),
                        revoked: false,
                        online_only: false,
                    }]),
                }
            }
            Asked::File(request) => self.file_answer(connection, frame, request),
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

fn body<'a, T: Decode<'a>>(frame: &Frame<'a>) -> Option<T> {
    decode_body(frame.body).ok()
}
