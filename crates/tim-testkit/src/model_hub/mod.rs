//! A model of the hub: everything in memory, one step at a time, and short enough to be seen to be right.

mod connection;
mod files;
mod requests;
mod store;

use std::collections::BTreeMap;

use tim_session::proto::message::{Message, to_vec};
use tim_session::proto::request::{Failure, LoginResponse, Resume, Send, SendMessage, Synced};
use tim_session::proto::wire::FrameKind;
use tim_session::proto::{ConversationId, ErrorCode, GroupId, MessageId, UserId};
use tim_session::{CloseReason, Framing, HubConfig, HubEvent, HubOutput, Instant};

use crate::messages::{text, text_of};
use crate::{Incoming, user};
use connection::Connection;
use requests::Context;
use store::{Key, Store};

/// The account number of the first user who logs in; the next ones follow.
const FIRST_ACCOUNT: u64 = 1001;
/// The sender of messages that [`ModelHub::say`] makes: no account of a connection.
const NO_ACCOUNT: u64 = 1;

/// The hub: one-to-one conversations and groups, for any number of devices.
///
/// It reads no clock and moves no bytes: its owner opens connections, passes in what clients send, and sends what is
/// outgoing. [`World`](crate::World) does so over links in virtual time.
#[derive(Debug, Default)]
pub struct ModelHub {
    store: Store,
    accounts: BTreeMap<UserId, u64>,
    connections: BTreeMap<u64, Connection>,
    /// What clients are to find wrong with it.
    pub behavior: Behavior,
    statistics: Statistics,
    /// How many messages [`ModelHub::say`] made.
    said: u32,
    /// The UserSig of the last login.
    user_sig: String,
}

/// What a test may change about the hub.
#[derive(Debug, Clone, Default)]
pub struct Behavior {
    /// The time at [`Instant::ZERO`], in milliseconds since 1970.
    pub clock_ms: u64,
    /// Logins are refused with this code.
    pub refuse_logins: Option<ErrorCode>,
    /// Requests are not answered.
    pub ignore_requests: bool,
    /// The next requests of these kinds are refused with these codes, once each.
    pub refuse: Vec<(FrameKind, ErrorCode)>,
    /// After how many milliseconds a refused login or request can succeed, as the refusal says; 0 is not said.
    pub retry_after_ms: u32,
    /// Nothing is read from a connection as long as something waits to be sent on it.
    pub write_before_reading: bool,
    /// Entries are not delivered to the device that sent them, as the real hub does.
    pub skip_own: bool,
    /// A client may present a cursor of another hub, and gets nothing older then. Otherwise that is a panic.
    pub allow_foreign_cursors: bool,
}

/// What the hub counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Logins that were accepted.
    pub logins: usize,
    /// Connections that ended because their device came back on another one.
    pub replaced: usize,
    /// Logins that were refused because the same session had logged in since.
    pub late_logins: usize,
    /// The most deliveries that any client had not acknowledged.
    pub most_in_flight: usize,
    /// Sessions that ended on serial lines.
    pub serial_sessions: usize,
}

/// What a connection's session wants, in memory of its own.
enum Wanted {
    Login(Login),
    Request(Incoming),
}

struct Login {
    device: (UserId, u64),
    user_sig: String,
    /// Session number and attempt.
    number: (u64, u32),
    /// Where to resume; `None` is now.
    from: Option<usize>,
}

impl Wanted {
    /// `end` is the newest position.
    fn new(event: HubEvent<'_>, behavior: &Behavior, end: usize) -> Self {
        match event {
            HubEvent::Login(login) => Self::Login(Login {
                device: (login.user, login.device),
                user_sig: login.user_sig.to_owned(),
                number: (login.session, login.attempt),
                from: match login.resume {
                    Resume::NOW => None,
                    Resume::START => Some(0),
                    _ => {
                        let from = position(login.cursor).filter(|position| *position <= end);
                        let is_ours = from.is_some() || behavior.allow_foreign_cursors;
                        assert!(is_ours, "a cursor of another hub: {:?}", login.cursor);
                        from
                    }
                },
            }),
            HubEvent::Request { id, request } => Self::Request(Incoming {
                id,
                kind: request.kind(),
                body: request.body().to_vec(),
            }),
            other => panic!("an event that the model does not know: {other:?}"),
        }
    }
}

/// The cursor behind so many entries.
fn cursor(position: usize) -> [u8; 4] {
    (position as u32).to_le_bytes()
}

fn position(cursor: &[u8]) -> Option<usize> {
    let bytes = cursor.try_into().ok()?;
    Some(u32::from_le_bytes(bytes) as usize)
}

impl ModelHub {
    /// What it counted.
    #[must_use]
    pub const fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// Starts [`Statistics::most_in_flight`] anew.
    pub const fn reset_most_in_flight(&mut self) {
        self.statistics.most_in_flight = 0;
    }

    /// The UserSig of the last login.
    #[must_use]
    pub fn user_sig(&self) -> &str {
        &self.user_sig
    }

    /// How many connections it has.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// The messages of a conversation, as `user_name` names it, oldest first.
    fn messages(&self, user_name: &str, conversation: &str) -> impl Iterator<Item = Message<'_>> {
        let conversation = conversation.parse().expect("a conversation id");
        let log = Key::new(user(user_name), conversation).map_or(&[][..], |key| self.store.log(&key));
        log.iter().filter_map(|entry| Message::decode_from(entry).ok())
    }

    /// The texts of a conversation, as `user_name` names it, oldest first.
    #[must_use]
    pub fn texts(&self, user_name: &str, conversation: &str) -> Vec<String> {
        let messages = self.messages(user_name, conversation);
        messages.map(|message| text_of(&message.payload)).collect()
    }

    /// Those of them that the user sent.
    #[must_use]
    pub fn texts_sent(&self, user_name: &str, conversation: &str) -> Vec<String> {
        let sender = user(user_name);
        let messages = self.messages(user_name, conversation);
        let sent = messages.filter(|message| *message.sender() == sender);
        sent.map(|message| text_of(&message.payload)).collect()
    }

    /// The message with this sequence.
    #[must_use]
    pub fn message(&self, user_name: &str, conversation: &str, sequence: u64) -> Option<Message<'_>> {
        let mut messages = self.messages(user_name, conversation);
        messages.find(|message| message.envelope.sequence == sequence)
    }

    /// What of uploads is not durable is lost, as in a crash.
    pub fn lose_unconfirmed(&mut self) {
        self.store.files.crash();
    }

    /// The content of a complete file.
    #[must_use]
    pub fn file(&self, uuid: &str) -> Option<&[u8]> {
        self.store.files.content(uuid)
    }

    /// How many bytes came in pieces of uploads.
    #[must_use]
    pub const fn uploaded(&self) -> u64 {
        self.store.files.uploaded
    }

    /// Adds a user to a group, which is made if there is none.
    pub fn add_to_group(&mut self, group: GroupId, user: UserId) {
        self.store.groups.entry(group).or_default().insert(user);
    }

    /// Stores a text of a user who has no device here.
    ///
    /// # Panics
    /// If the user may not send to the conversation.
    pub fn say(&mut self, from: UserId, to: ConversationId, said: &str) {
        self.said += 1;
        let mut message = text(from, to, said);
        message.id = MessageId {
            sender: NO_ACCOUNT,
            client_time: 0,
            random: self.said,
        };
        let body = to_vec(&SendMessage::new(&message));
        let content = Send::content_bytes(&body).expect("a body");
        let stored = self.store.append(content, (from, 0), 0);
        stored.expect("a message that may be sent");
    }

    /// Opens a connection under this number, in place of another one.
    pub fn open(&mut self, connection: u64, config: HubConfig, now: Instant) {
        self.connections.insert(connection, Connection::new(config, now));
    }

    /// The connection is lost.
    pub fn lost(&mut self, connection: u64) {
        self.connections.remove(&connection);
    }

    /// Ends the session of a connection.
    ///
    /// # Panics
    /// If there is no such connection.
    pub fn kick(&mut self, connection: u64, code: ErrorCode) {
        let connection = self.connections.get_mut(&connection).expect("a connection");
        connection.session.goodbye(&Failure::new(code, ""));
    }

    /// Takes bytes that a client sent. Returns how many; a connection that is gone takes all.
    pub fn receive(&mut self, number: u64, now: Instant, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while let Some(connection) = self.connections.get_mut(&number) {
            if self.behavior.write_before_reading && !connection.session.outgoing().is_empty() {
                return taken;
            }
            let rest = bytes.get(taken..).unwrap_or(&[]);
            let piece = connection.session.receive(now, rest);
            connection.watch(&rest[..piece]);
            taken += piece;
            self.settle(number, now);
            if piece == 0 {
                break;
            }
        }
        match self.connections.contains_key(&number) {
            true => taken,
            false => bytes.len(),
        }
    }

    /// The bytes to send on a connection.
    #[must_use]
    pub fn outgoing(&self, connection: u64) -> &[u8] {
        let connection = self.connections.get(&connection);
        connection.map_or(&[], |connection| connection.session.outgoing())
    }

    /// So many of the outgoing bytes were sent.
    pub fn transmitted(&mut self, connection: u64, len: usize) {
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.session.transmitted(len);
        }
    }

    /// Whether the hub is done with a connection, which is forgotten then: it is closed after what is outgoing.
    pub fn take_closed(&mut self, number: u64) -> bool {
        let connection = self.connections.get(&number);
        let closed = connection
            .is_some_and(|connection| connection.closed && connection.session.outgoing().is_empty());
        if closed {
            self.connections.remove(&number);
        }
        closed
    }

    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.connections.keys().copied().collect()
    }

    /// Does all that can be done for a connection. Returns when to come back.
    ///
    /// # Panics
    /// If the client breaks the protocol.
    pub fn settle(&mut self, number: u64, now: Instant) -> Option<Instant> {
        loop {
            self.deliver(number);
            let connection = self.connections.get_mut(&number)?;
            let wanted = match connection.session.poll(now) {
                HubOutput::Wait(until) => return until,
                HubOutput::Close(reason) => {
                    assert!(
                        !matches!(reason, CloseReason::Violation(_)),
                        "our own client: {reason:?}"
                    );
                    if connection.framing == Framing::Stream {
                        connection.closed = true;
                        return None;
                    }
                    connection.begin_again(now);
                    self.statistics.serial_sessions += 1;
                    continue;
                }
                HubOutput::Event(HubEvent::More) => continue,
                HubOutput::Event(event) => Wanted::new(event, &self.behavior, self.store.changes.len()),
            };
            match wanted {
                Wanted::Login(login) => self.log_in(number, login, now),
                Wanted::Request(_) if self.behavior.ignore_requests => {}
                Wanted::Request(request) => {
                    if let Some(device) = connection.device {
                        let context = Context {
                            store: &mut self.store,
                            connection,
                            device,
                            now,
                            refusals: &mut self.behavior.refuse,
                            retry_after_ms: self.behavior.retry_after_ms,
                            request: &request,
                        };
                        context.handle();
                    }
                }
            }
        }
    }

    fn log_in(&mut self, number: u64, login: Login, now: Instant) {
        let Login {
            device,
            user_sig,
            number: (session, attempt),
            from,
        } = login;
        self.user_sig = user_sig;
        let mut logins = Vec::new();
        for (other, connection) in &self.connections {
            if *other != number && connection.device == Some(device) && !connection.closed {
                logins.clone_from(&connection.logins);
            }
        }
        let is_late = logins
            .iter()
            .any(|known| known.0 == session && known.1 >= attempt);
        let refusal = if is_late {
            self.statistics.late_logins += 1;
            Some(ErrorCode::SESSION_REPLACED)
        } else {
            self.behavior.refuse_logins
        };
        if let Some(code) = refusal {
            if let Some(connection) = self.connections.get_mut(&number) {
                let failure = Failure::new(code, "").with_retry_after_ms(self.behavior.retry_after_ms);
                connection.session.refuse(&failure);
            }
            return;
        }
        logins.retain(|known| known.0 != session);
        logins.push((session, attempt));
        for (other, connection) in &mut self.connections {
            if *other != number && connection.device == Some(device) && !connection.closed {
                connection
                    .session
                    .goodbye(&Failure::new(ErrorCode::SESSION_REPLACED, ""));
                connection.device = None;
                self.statistics.replaced += 1;
            }
        }
        let count = self.accounts.len() as u64;
        let account = *self.accounts.entry(device.0).or_insert(FIRST_ACCOUNT + count);
        let end = self.store.changes.len();
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        let next = from.unwrap_or(end);
        let (cursor, nick) = (cursor(next), requests::nick(device.0.as_str()));
        let response = LoginResponse::new(account)
            .with_time_ms(self.behavior.clock_ms + now.as_micros() / 1000)
            .with_cursor(&cursor)
            .with_nick(&nick);
        connection
            .session
            .accept(&response)
            .expect("room for a login's response");
        (connection.device, connection.next, connection.synced_at) = (Some(device), next, Some(end));
        connection.logins = logins;
        self.statistics.logins += 1;
    }

    /// Delivers what the connection's device has not had, as far as its window and its buffer have room.
    fn deliver(&mut self, number: u64) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        let Some(device) = connection.device else { return };
        loop {
            if connection.synced_at == Some(connection.next) {
                let cursor = cursor(connection.next);
                let synced = Synced::new().with_cursor(&cursor);
                if connection.session.push(FrameKind::SYNCED, &synced).is_err() {
                    return;
                }
                connection.synced_at = None;
            }
            let Some((key, index)) = self.store.changes.get(connection.next) else {
                return;
            };
            let entry = &self.store.log(key)[*index];
            let is_own = || {
                let message = Message::decode_from(entry).expect("an entry of the log");
                *message.sender() == device.0 && message.envelope.origin == device.1
            };
            if self.store.takes_part(device.0, key) && !(self.behavior.skip_own && is_own()) {
                if !connection.deliver(entry) {
                    return;
                }
                connection.delivered += 1;
                let in_flight = connection.in_flight();
                self.statistics.most_in_flight = self.statistics.most_in_flight.max(in_flight);
            }
            connection.next += 1;
        }
    }
}
