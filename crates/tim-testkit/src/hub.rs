//! A model of the hub: everything in memory, one step at a time, and short enough to be seen to be right.

use std::collections::{BTreeMap, BTreeSet};

use tim_session::proto::message::{Content, Envelope, Header, Message, Payload, flags, to_vec};
use tim_session::proto::request::{
    AnyResponse as Answer, Done, Failure, FetchResponse, HistoryResponse, LoginResponse, SendResponse,
};
use tim_session::proto::wire::{Frame, FrameKind, Hello, List, Parsed, decode_body};
use tim_session::proto::{ErrorCode, GroupId, MessageId, UserId};
use tim_session::{
    AnswerError, CloseReason, DeliverError, Framing, GrowBuffer, HubConfig, HubOutput, HubSession, Instant,
};

use crate::asked::{Asked, Key, asked, cursor, key};

/// The hub.
#[derive(Debug, Default)]
pub struct ModelHub {
    groups: BTreeMap<GroupId, BTreeSet<UserId>>,
    accounts: BTreeMap<UserId, u64>,
    /// Each conversation's entries, as encoded messages; the first one has sequence 1.
    logs: BTreeMap<Key, Vec<Vec<u8>>>,
    /// Where each message id stands, and under what content.
    stored: BTreeMap<MessageId, (Vec<u8>, SendResponse<'static>)>,
    /// Every entry in the order in which it was stored: a cursor is a place in it.
    changes: Vec<(Key, usize)>,
    connections: BTreeMap<u64, Connection>,
    /// How often a connection was ended because its device came back on another one.
    replaced: usize,
    /// How many logins came so late that the same session had logged in since.
    late_logins: usize,
    /// The most deliveries that any client had not acknowledged.
    most_in_flight: usize,
    /// How many sessions have ended on serial lines.
    line_sessions: usize,
}

#[derive(Debug)]
struct Connection {
    session: HubSession<GrowBuffer>,
    framing: Framing,
    /// Who, and on which device, once logged in.
    device: Option<(UserId, u64)>,
    /// The session's number and attempt, and those of the session that it took over from.
    lives: Vec<(u64, u32)>,
    /// What comes next in the order of changes, and where SYNCED is due.
    next: usize,
    synced_at: Option<usize>,
    closed: bool,
    /// Deliveries sent, and those whose acknowledgement came in: counted from the bytes, to check the session's window.
    delivered: u32,
    acknowledged: u32,
    /// What came in since the last whole frame, the hello included.
    unread: Vec<u8>,
    greeted: bool,
}

impl ModelHub {
    /// The texts of a conversation's log, oldest first, as `user` names the conversation.
    #[must_use]
    pub fn texts(&self, user: &str, conversation: &str) -> Vec<String> {
        let user = user.parse().expect("a user id");
        let key = conversation
            .parse()
            .ok()
            .and_then(|conversation| key(user, conversation));
        let log = key
            .and_then(|key| self.logs.get(&key))
            .map_or(&[][..], Vec::as_slice);
        log.iter().filter_map(|entry| text(entry)).collect()
    }

    /// How many connections it has.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// How often a connection was ended because its device came back on another one.
    #[must_use]
    pub const fn replaced(&self) -> usize {
        self.replaced
    }

    /// How many logins came so late that the same session had logged in since; they were refused.
    #[must_use]
    pub const fn late_logins(&self) -> usize {
        self.late_logins
    }

    /// The most deliveries that any client had not acknowledged at a time.
    #[must_use]
    pub const fn most_in_flight(&self) -> usize {
        self.most_in_flight
    }

    /// How many sessions have ended on serial lines.
    #[must_use]
    pub const fn line_sessions(&self) -> usize {
        self.line_sessions
    }

    pub(crate) const fn forget_most_in_flight(&mut self) {
        self.most_in_flight = 0;
    }

    pub(crate) fn add_to_group(&mut self, group: GroupId, user: UserId) {
        self.groups.entry(group).or_default().insert(user);
    }

    pub(crate) fn open(&mut self, line: u64, config: HubConfig, now: Instant) {
        let session = HubSession::new(config, GrowBuffer::new(65536), GrowBuffer::new(1 << 20), now);
        let connection = Connection {
            session,
            framing: config.framing,
            device: None,
            lives: Vec::new(),
            next: 0,
            synced_at: None,
            closed: false,
            delivered: 0,
            acknowledged: 0,
            unread: Vec::new(),
            greeted: false,
        };
        self.connections.insert(line, connection);
    }

    /// The line is gone, as far as the hub was told.
    pub(crate) fn lost(&mut self, line: u64) {
        self.connections.remove(&line);
    }

    pub(crate) fn receive(&mut self, line: u64, now: Instant, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while let Some(connection) = self.connections.get_mut(&line) {
            let rest = bytes.get(taken..).unwrap_or(&[]);
            let piece = connection.session.receive(now, rest);
            connection.watch(&rest[..piece]);
            taken += piece;
            self.settle(line, now);
            if piece == 0 {
                break;
            }
        }
        taken.max(if self.connections.contains_key(&line) {
            0
        } else {
            bytes.len()
        })
    }

    /// The bytes that go out on a line now.
    pub(crate) fn take_outgoing(&mut self, line: u64) -> Vec<u8> {
        let Some(connection) = self.connections.get_mut(&line) else {
            return Vec::new();
        };
        let bytes = connection.session.outgoing().to_vec();
        connection.session.transmitted(bytes.len());
        bytes
    }

    /// Whether the hub is done with a line; it is forgotten then.
    pub(crate) fn take_closed(&mut self, line: u64) -> bool {
        let closed = self
            .connections
            .get(&line)
            .is_some_and(|connection| connection.closed);
        if closed {
            self.connections.remove(&line);
        }
        closed
    }

    pub(crate) fn lines(&self) -> Vec<u64> {
        self.connections.keys().copied().collect()
    }

    /// Does all that can be done for a connection, and says when to come back.
    pub(crate) fn settle(&mut self, line: u64, now: Instant) -> Option<Instant> {
        loop {
            self.deliver(line);
            let connection = self.connections.get_mut(&line)?;
            let asked = match connection.session.poll(now) {
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
                    self.line_sessions += 1;
                    continue;
                }
                HubOutput::Event(event) => asked(event, connection.device),
            };
            self.act(line, asked, now);
        }
    }

    fn act(&mut self, line: u64, asked: Asked, now: Instant) {
        let device = self
            .connections
            .get(&line)
            .and_then(|connection| connection.device);
        match (asked, device) {
            (
                Asked::Login {
                    user,
                    device,
                    life,
                    from,
                },
                _,
            ) => self.log_in(line, (user, device), life, from),
            (Asked::Send { id, content }, Some(device)) => {
                let answer = self.store(&content, device, now);
                self.answer(line, id, FrameKind::SEND, answer.map(Answer::Send));
            }
            (
                Asked::History {
                    id,
                    log,
                    before,
                    count,
                },
                _,
            ) => self.history(line, id, log, before, count),
            (
                Asked::Fetch {
                    id,
                    log,
                    sequence,
                    offset,
                    len,
                },
                _,
            ) => self.fetch(line, id, log, sequence, offset, len),
            (Asked::Unsupported { id } | Asked::Send { id, .. }, _) => {
                self.answer(line, id, FrameKind::SEND, Err(ErrorCode::UNSUPPORTED_REQUEST));
            }
        }
    }

    fn log_in(&mut self, line: u64, device: (UserId, u64), life: (u64, u32), from: Option<usize>) {
        let is_known = |known: &(u64, u32)| known.0 == life.0 && known.1 >= life.1;
        let mut lives = Vec::new();
        for (other, connection) in &self.connections {
            if *other != line && connection.device == Some(device) && !connection.closed {
                lives.clone_from(&connection.lives);
            }
        }
        if lives.iter().any(is_known) {
            self.late_logins += 1;
            if let Some(connection) = self.connections.get_mut(&line) {
                connection
                    .session
                    .refuse(&Failure::new(ErrorCode::SESSION_REPLACED, ""));
            }
            return;
        }
        lives.retain(|known| known.0 != life.0);
        lives.push(life);
        let older = |(other, connection): (&u64, &mut Connection)| {
            let replaced = *other != line && connection.device == Some(device) && !connection.closed;
            if replaced {
                connection
                    .session
                    .goodbye(&Failure::new(ErrorCode::SESSION_REPLACED, ""));
                connection.device = None;
            }
            usize::from(replaced)
        };
        self.replaced += self.connections.iter_mut().map(older).sum::<usize>();
        let count = self.accounts.len() as u64;
        let account = *self.accounts.entry(device.0).or_insert(1000 + count);
        let end = self.changes.len();
        let Some(connection) = self.connections.get_mut(&line) else {
            return;
        };
        let next = from.unwrap_or(end);
        let cursor = cursor(next);
        let welcome = LoginResponse {
            account,
            time_ms: 0,
            cursor: &cursor,
            ..LoginResponse::default()
        };
        connection
            .session
            .accept(&welcome)
            .expect("room for a login's answer");
        (connection.device, connection.next, connection.synced_at) = (Some(device), next, Some(end));
        connection.lives = lives;
    }

    /// Appends a message, unless it was stored before; an error if another one has its id, or the sender may not.
    fn store(
        &mut self,
        content: &[u8],
        (from, origin): (UserId, u64),
        now: Instant,
    ) -> Result<SendResponse<'static>, ErrorCode> {
        let sent: Content<'_> = decode_body(content).map_err(|_| ErrorCode::MSG_PKG_PARSE_FAILED)?;
        if let Some((first, answer)) = self.stored.get(&sent.id) {
            let is_same = decode_body::<Content<'_>>(first).is_ok_and(|first| {
                let said = |it: &Content<'_>| {
                    (
                        it.to,
                        it.kind,
                        it.payload.to_vec(),
                        it.extensions.as_bytes().to_vec(),
                    )
                };
                said(&first) == said(&sent)
            });
            return match is_same {
                true => Ok(SendResponse {
                    duplicate: true,
                    ..*answer
                }),
                false => Err(ErrorCode::MESSAGE_ID_REUSED),
            };
        }
        let key = key(from, sent.to).ok_or(ErrorCode::GROUP_NOT_FOUND)?;
        if !self.takes_part(from, &key) {
            return Err(ErrorCode::GROUP_NOT_FOUND);
        }
        let time = now.as_micros() / 1_000_000;
        let log = self.logs.entry(key.clone()).or_default();
        let sequence = log.len() as u64 + 1;
        let mut entry = to_vec(&Envelope {
            sequence,
            time,
            flags: 0,
            origin,
            from,
        });
        entry.extend_from_slice(content);
        log.push(entry);
        self.changes.push((key, log.len() - 1));
        let answer = SendResponse {
            sequence,
            time,
            duplicate: false,
            extensions: Default::default(),
        };
        self.stored.insert(sent.id, (content.to_vec(), answer));
        Ok(answer)
    }

    fn takes_part(&self, user: UserId, key: &Key) -> bool {
        match key {
            Key::Pair(one, other) => user == *one || user == *other,
            Key::Group(group) => self
                .groups
                .get(group)
                .is_some_and(|members| members.contains(&user)),
        }
    }

    /// Delivers what the connection's device has not had, as far as its window and the line have room.
    fn deliver(&mut self, line: u64) {
        while let Some(next) = self
            .connections
            .get(&line)
            .and_then(|c| c.device.map(|device| (c.next, device.0)))
        {
            let due = self.changes.get(next.0);
            let mine = due.is_some_and(|(key, _)| self.takes_part(next.1, key));
            let Some(connection) = self.connections.get_mut(&line) else {
                return;
            };
            if connection.synced_at == Some(connection.next) {
                if connection.session.push(FrameKind::SYNCED, &Done).is_err() {
                    return;
                }
                connection.synced_at = None;
            }
            let Some((key, index)) = due else { return };
            if mine {
                let entry = &self.logs[key][*index];
                if !connection.hand_over(entry) {
                    return;
                }
                connection.delivered += 1;
                self.most_in_flight = self.most_in_flight.max(connection.in_flight());
            }
            connection.next += 1;
        }
    }

    fn answer(&mut self, line: u64, id: u32, kind: FrameKind, answer: Result<Answer<'_>, ErrorCode>) {
        let Some(connection) = self.connections.get_mut(&line) else {
            return;
        };
        let sent = match answer {
            Ok(answer) => connection.session.answer(id, kind, &answer),
            Err(code) => connection.session.fail(id, &Failure::new(code, "")),
        };
        if let Err(AnswerError::TooLarge { .. }) = sent {
            let failed = connection
                .session
                .fail(id, &Failure::new(ErrorCode::FRAME_TOO_LARGE, ""));
            failed.expect("a client takes an error");
        } else {
            sent.expect("the model's lines have room");
        }
    }

    fn history(&mut self, line: u64, id: u32, log: Option<Key>, before: Option<usize>, count: usize) {
        let log = log
            .and_then(|key| self.logs.get(&key))
            .cloned()
            .unwrap_or_default();
        let end = before.unwrap_or(log.len()).min(log.len());
        let start = end.saturating_sub(count);
        let messages: Vec<_> = log[start..end]
            .iter()
            .filter_map(|entry| Message::decode_from(entry).ok())
            .collect();
        let (next, messages) = (cursor(start), List::from_slice(&messages));
        let page = HistoryResponse {
            next: &next,
            completed: start == 0,
            messages,
        };
        self.answer(line, id, FrameKind::HISTORY, Ok(Answer::History(page)));
    }

    fn fetch(&mut self, line: u64, id: u32, log: Option<Key>, sequence: usize, offset: usize, len: usize) {
        let entry = log.and_then(|key| self.logs.get(&key)?.get(sequence.checked_sub(1)?).cloned());
        let header = entry
            .as_deref()
            .and_then(|entry| decode_body::<Header<'_>>(entry).ok());
        let answer = header.map(|header| {
            let payload = header.content.payload;
            let end = payload.len().min(offset.saturating_add(len));
            let bytes = payload.get(offset..end).unwrap_or(&[]);
            Answer::Fetch(FetchResponse {
                total: payload.len() as u32,
                bytes,
            })
        });
        self.answer(
            line,
            id,
            FrameKind::FETCH,
            answer.ok_or(ErrorCode::MESSAGE_NOT_FOUND),
        );
    }
}

impl Connection {
    /// The session on a serial line is over; the line waits for the next one.
    fn begin_again(&mut self, now: Instant) {
        self.session.begin_again(now);
        (self.device, self.next, self.synced_at) = (None, 0, None);
        (self.delivered, self.acknowledged) = (0, 0);
    }

    /// How many deliveries are not acknowledged; on a serial line the session is believed.
    fn in_flight(&self) -> usize {
        match self.framing {
            Framing::Stream => (self.delivered - self.acknowledged) as usize,
            _ => self.session.window() - self.session.window_room(),
        }
    }

    /// Reads along what the client says on a stream, for its acknowledgements.
    fn watch(&mut self, bytes: &[u8]) {
        if self.framing != Framing::Stream {
            return;
        }
        self.unread.extend_from_slice(bytes);
        if !self.greeted && self.unread.len() >= Hello::LEN {
            self.unread.drain(..Hello::LEN);
            self.greeted = true;
        }
        while let (true, Ok(Parsed::Frame(frame, len))) =
            (self.greeted, Frame::parse(&self.unread, usize::MAX))
        {
            if frame.kind == FrameKind::ACK {
                self.acknowledged = frame.id;
            }
            self.unread.drain(..len);
        }
    }

    /// Delivers an entry, as a stub if the client takes no frame of its size. Whether it went out.
    fn hand_over(&mut self, entry: &[u8]) -> bool {
        let cursor = cursor(self.next + 1);
        match self.session.deliver(&cursor, 0, entry) {
            Ok(()) => true,
            Err(DeliverError::Answer(AnswerError::TooLarge { .. })) => {
                let header: Header<'_> = decode_body(entry).expect("an entry of the log");
                let Header {
                    mut envelope,
                    mut content,
                } = header;
                let len = content.payload.len() as u32;
                envelope.flags |= flags::STUB;
                content.payload = &[];
                self.session
                    .deliver(&cursor, len, &to_vec(&Header { envelope, content }))
                    .is_ok()
            }
            Err(_) => false,
        }
    }
}

fn text(entry: &[u8]) -> Option<String> {
    match Message::decode_from(entry).ok()?.payload {
        Payload::Text(text) => Some(text.text.to_owned()),
        _ => None,
    }
}
