//! Compact deliveries: the two real ends of a connection against a model, and a client against a hub that says anything.

use std::time::Duration;

use tim_proto::message::{Message, MessageFlags, Payload, SenderNames, to_vec, with_sender_names};
use tim_proto::request::{CompactCursor, CompactDeliver, Delivery, Done, Login, Synced};
use tim_proto::wire::{End, Frame, FrameKind, Parsed, decode_body, decode_prefix};
use tim_proto::{ConversationId, Encoded, MessageKind, Priority, UserId};
use tim_session::{
    ClientConfig, ClientSession, Event, Framing, GrowBuffer, HubConfig, HubEvent, HubOutput, HubSession,
    Instant, MAX_CURSOR_LEN, Output,
};
use tim_testkit::ends::{self, NOW, config, take_down, take_up, welcome};
use tim_testkit::{frame, group, messages, raw_frame, user};

use crate::packing::{Packing, framing};
use crate::script::Script;

type Client = ClientSession<&'static str, GrowBuffer>;

const ROOM: usize = 8192;

/// Whatever the client asks for, it is told what the hub says: each entry once, in order, and with its cursor. Any bytes in a
/// DELIVER_COMPACT are what they decode to, or malformed, and the cursor moves as `SPEC.md` says.
pub fn compact(data: &[u8]) {
    let mut script = Script(data);
    let asks = script.byte();
    match asks % 4 {
        0 => from_a_hostile_hub(asks, &mut script),
        _ => between_both_ends(asks, &mut script),
    }
}

fn client(asks: u8) -> Client {
    let mut config = config();
    config.framing = framing(usize::from(asks) << 8);
    config.compact = asks & 1 != 0;
    config.compact_numbers = asks & 2 != 0;
    let buffers = [ROOM; 3].map(GrowBuffer::new);
    let [rx, tx, outbox] = buffers;
    ClientSession::new(config, "sig", rx, tx, outbox, 1)
}

/// An entry as the hub says it.
struct Said {
    message: Vec<u8>,
    payload_len: u32,
    cursor: Vec<u8>,
    /// Whether it may come in its compact form.
    may_be_compact: bool,
}

struct Ends {
    client: Client,
    config: ClientConfig,
    hub: HubSession<GrowBuffer>,
    now: Instant,
    /// What the client's cursor must be.
    cursor: Vec<u8>,
    login_cursor: Vec<u8>,
    is_logged_in: bool,
    said: Option<Said>,
}

fn between_both_ends(asks: u8, script: &mut Script<'_>) {
    let client = client(asks);
    let mut ends = Ends {
        config: client.config(),
        hub: new_hub(client.config().framing, NOW),
        client,
        now: NOW,
        cursor: Vec::new(),
        login_cursor: cursor(script, &[]),
        is_logged_in: false,
        said: None,
    };
    ends.client.login(NOW);
    ends.come_online();
    while !script.is_over() {
        ends.step(script);
        ends.settle();
        assert!(ends.said.is_none(), "an entry did not arrive");
        assert_eq!(ends.client.cursor(), ends.cursor);
    }
}

fn new_hub(framing: Framing, now: Instant) -> HubSession<GrowBuffer> {
    let mut config = HubConfig::default();
    config.framing = framing;
    HubSession::new(config, GrowBuffer::new(2 * ROOM), GrowBuffer::new(2 * ROOM), now)
}

impl Ends {
    fn step(&mut self, script: &mut Script<'_>) {
        let cursor = cursor(script, &self.cursor);
        match script.byte() % 8 {
            0 => {
                self.hub.synced(&cursor).expect("room");
                self.moved(&cursor);
            }
            // Of a cursor that the hub's end does not know.
            1 => {
                let body = Synced::new().with_cursor(&cursor);
                self.hub.push(FrameKind::SYNCED, &body).expect("room");
                self.moved(&cursor);
            }
            2 => {
                self.login_cursor = cursor;
                self.client.disconnected(self.now);
                self.is_logged_in = false;
                self.come_online();
            }
            choice => {
                let said = Said {
                    message: entry(script),
                    payload_len: number(script) as u32,
                    cursor,
                    may_be_compact: choice > 3,
                };
                self.say(said);
            }
        }
    }

    fn moved(&mut self, cursor: &[u8]) {
        if !cursor.is_empty() {
            self.cursor = cursor.to_vec();
        }
    }

    fn say(&mut self, said: Said) {
        let (user, device) = (self.config.user, self.config.device);
        let Said {
            message,
            payload_len,
            cursor,
            ..
        } = &said;
        let sent = match said.may_be_compact {
            true => self.hub.deliver_to(&user, device, cursor, *payload_len, message),
            false => self.hub.deliver(cursor, *payload_len, message),
        };
        sent.expect("room and a window");
        let full = [to_vec(&&**cursor), to_vec(payload_len), message.clone()].concat();
        let full = raw_frame(FrameKind::DELIVER, u32::MAX, &full).len();
        if self.config.framing == Framing::Stream {
            assert!(self.hub.outgoing().len() <= full, "longer than the full one");
        }
        let cursor = cursor.clone();
        self.moved(&cursor);
        self.said = Some(said);
    }

    fn come_online(&mut self) {
        for _ in 0..60 {
            self.settle();
            if self.is_logged_in && self.client.is_ready() {
                return;
            }
            self.now = self.now + Duration::from_secs(40);
        }
        panic!("no login on a good connection");
    }

    /// Moves bytes and polls both ends until nothing happens any more.
    fn settle(&mut self) {
        for _ in 0..100 {
            let up = take_up(&mut self.client);
            assert_eq!(self.hub.receive(self.now, &up), up.len());
            self.poll_hub();
            let down = take_down(&mut self.hub);
            assert_eq!(self.client.receive(self.now, &down), down.len());
            self.poll_client();
            if up.is_empty() && down.is_empty() && self.client.outgoing().is_empty() {
                return;
            }
        }
        panic!("the ends are never done");
    }

    fn poll_hub(&mut self) {
        loop {
            match self.hub.poll(self.now) {
                HubOutput::Wait(_) => return,
                HubOutput::Close(_) => {
                    self.hub.begin_again(self.now); // on a serial line
                    return;
                }
                HubOutput::Event(HubEvent::Login(_)) => {
                    self.hub.accept(&welcome(&self.login_cursor)).expect("room");
                    self.hub.push(FrameKind::SYNCED, &Done).expect("room");
                    if self.cursor.is_empty() {
                        self.cursor.clone_from(&self.login_cursor);
                    }
                }
                HubOutput::Event(_) => {}
            }
        }
    }

    fn poll_client(&mut self) {
        loop {
            match self.client.poll(self.now) {
                Output::Wait(_) => return,
                Output::Connect => {}
                Output::Disconnect => continue,
                Output::Event(Event::LoggedIn(_)) => {
                    self.is_logged_in = true;
                    continue;
                }
                Output::Event(Event::Delivered(delivery)) => {
                    let said = self.said.take().expect("an entry that the hub did not say");
                    check(&delivery, &said, &self.config);
                    continue;
                }
                Output::Event(Event::Malformed { kind }) => panic!("malformed: {kind:?}"),
                Output::Event(_) => continue,
            }
            if self.config.framing == Framing::Stream {
                self.hub = new_hub(Framing::Stream, self.now);
            }
            self.client.connected(self.now);
        }
    }
}

/// The delivery is what was said, without the numbers that the client has not asked for.
fn check(delivery: &Delivery<'_>, said: &Said, config: &ClientConfig) {
    assert_eq!(
        (delivery.cursor, delivery.payload_len),
        (&*said.cursor, said.payload_len)
    );
    let Some(encoded) = delivery.encoded() else {
        assert!(config.compact && said.may_be_compact, "nobody asked for it");
        let full = Encoded::new(&*said.message).expect("a message");
        let mut expected = full.header();
        if !config.compact_numbers {
            let (me, device) = (config.user, config.device);
            expected.content.client_sequence = 0;
            if (expected.envelope.from, expected.envelope.origin) != (me, device) {
                expected.envelope.origin = 0;
            }
        }
        assert_eq!(delivery.header, expected);
        assert_eq!(delivery.message(), expected.message());
        return;
    };
    assert_eq!(encoded.as_bytes(), said.message);
}

/// A cursor, which often begins as the last one does; sometimes none.
fn cursor(script: &mut Script<'_>, last: &[u8]) -> Vec<u8> {
    let shared = script.below(MAX_CURSOR_LEN + 1).min(last.len());
    let len = script.below(MAX_CURSOR_LEN + 1 - shared);
    [&last[..shared], script.bytes(len)].concat()
}

/// Numbers at which the compact form changes, and others.
fn number(script: &mut Script<'_>) -> u64 {
    let near = i64::from(script.byte() as i8) as u64;
    let base = [
        0,
        7,
        1 << 32,
        1_700_000_000,
        1_764_230_000,
        144_115_200_000_000_000,
        1 << 60,
        u64::MAX,
    ];
    base[script.below(base.len())].wrapping_add(near)
}

/// A message of whatever kind in whatever conversation.
fn entry(script: &mut Script<'_>) -> Vec<u8> {
    let people = [user("alice"), user("bob"), UserId::SYSTEM, user(&"x".repeat(32))];
    let from = people[script.below(4)];
    let to = match script.below(6) {
        4 => group("a-group").into(),
        5 => ConversationId::System,
        person => people[person].into(),
    };
    let mut message: Message<'_> = messages::text(from, to, "");
    message.envelope = message
        .envelope
        .with_sequence(number(script))
        .with_time(number(script))
        .with_origin(number(script))
        .with_flags(MessageFlags(u32::from(script.byte())));
    message.id.sender = number(script);
    message.id.client_time = number(script);
    message.id.random = number(script) as u32;
    message.client_sequence = number(script);
    message.priority = Priority(script.byte() % 5);
    let len = script.below(80);
    message.payload = Payload::Unknown(MessageKind(u16::from(script.byte()) << 5), script.bytes(len));
    let bytes = to_vec(&message);
    match script.byte() % 2 {
        0 => bytes,
        _ => with_sender_names(&bytes, &SenderNames::new().with_nick("nick").with_avatar("a")),
    }
}

/// A client that is logged in at a hub, whose frames the harness makes.
struct Alone {
    client: Client,
    packing: Packing,
    cursor: Vec<u8>,
}

fn from_a_hostile_hub(asks: u8, script: &mut Script<'_>) {
    let mut alone = logged_in(asks);
    let me = user("alice");
    for id in 1_u32.. {
        if script.is_over() {
            return;
        }
        let body = hostile_body(&me, script);
        let cursor = alone.behind(&body);
        let packet = alone
            .packing
            .pack(&raw_frame(FrameKind::DELIVER_COMPACT, id, &body));
        assert_eq!(alone.client.receive(NOW, &packet), packet.len());
        match (alone.client.poll(NOW), decode_body::<CompactDeliver<'_>>(&body)) {
            (Output::Event(Event::Delivered(delivery)), Ok(compact)) => {
                assert_eq!(delivery.header, compact.header(&me));
                assert_eq!(delivery.cursor, cursor.as_deref().unwrap_or_default());
                let payload_len = compact.rest.map_or(0, |rest| rest.payload_len);
                assert_eq!(delivery.payload_len, payload_len);
                settled(&compact, &me);
            }
            (Output::Event(Event::Malformed { kind }), Err(error)) => {
                assert!(kind == FrameKind::DELIVER_COMPACT && error.at <= body.len());
            }
            (output, decoded) => panic!("{output:?} of {decoded:?}"),
        }
        alone.cursor = cursor.unwrap_or(std::mem::take(&mut alone.cursor));
        assert_eq!(alone.client.cursor(), alone.cursor);
        assert!(ends::drain(&mut alone.client, NOW).is_empty());
        assert_eq!(alone.client.cursor(), alone.cursor);
        take_up(&mut alone.client);
    }
}

/// What a compact delivery says can be said again.
fn settled(compact: &CompactDeliver<'_>, me: &UserId) {
    let (header, payload_len) = (
        compact.header(me),
        compact.rest.map_or(0, |rest| rest.payload_len),
    );
    let again = CompactDeliver::of(&header, payload_len, compact.cursor, me, 0, true);
    assert_eq!(again.header(me), header);
    let bytes = to_vec(&again);
    assert_eq!(decode_body::<CompactDeliver<'_>>(&bytes), Ok(again));
    assert_eq!(again.rest.unwrap_or_default().payload_len, payload_len);
}

/// Any bytes, or a delivery with any cursor, of which bytes may be changed or missing.
fn hostile_body(me: &UserId, script: &mut Script<'_>) -> Vec<u8> {
    let choice = script.byte();
    if choice % 4 == 0 {
        let len = script.byte().into();
        return script.bytes(len).to_vec();
    }
    let (shared, len) = (script.byte(), script.below(2 * MAX_CURSOR_LEN));
    let moved = CompactCursor::new()
        .with_shared(shared % 32)
        .with_rest(script.bytes(len));
    let message = entry(script);
    let header = Encoded::new(&*message).expect("a message");
    let compact = CompactDeliver::of(&header.header(), 3, moved, me, 7, choice % 2 == 0);
    let mut bytes = to_vec(&compact);
    match script.byte() % 8 {
        0 => bytes.truncate(script.byte().into()),
        1 => {
            let at = script.below(bytes.len());
            bytes[at] = script.byte();
        }
        _ => {}
    }
    bytes
}

impl Alone {
    /// The cursor behind this delivery, in the words of `SPEC.md`; `None` if it has none.
    fn behind(&self, body: &[u8]) -> Option<Vec<u8>> {
        let (CompactCursor { shared, rest, .. }, _) = decode_prefix(body).ok()?;
        let shared = self.cursor.get(..usize::from(shared))?;
        let cursor = [shared, rest].concat();
        (!rest.is_empty() && cursor.len() <= MAX_CURSOR_LEN).then_some(cursor)
    }

    fn hear(&mut self, packet: &[u8]) {
        let bytes = self.packing.pack(packet);
        assert_eq!(self.client.receive(NOW, &bytes), bytes.len());
        ends::drain(&mut self.client, NOW);
    }
}

fn logged_in(asks: u8) -> Alone {
    let client = client(asks);
    let mut alone = Alone {
        packing: Packing::new(client.config().framing),
        client,
        cursor: vec![1, 2, 3],
    };
    ends::connecting(&mut alone.client, NOW);
    alone.client.connected(NOW);
    let mut sent = take_up(&mut alone.client);
    alone.hear(&tim_testkit::hello(End::HUB, (1, 1), 4096, 0));
    sent.extend(take_up(&mut alone.client));
    let frames = alone.packing.frames(&sent);
    let logins = frames.iter().filter_map(|bytes| login_in(bytes));
    let (id, session, attempt) = logins.last().expect("a LOGIN behind the hello");
    let welcome = welcome(&[1, 2, 3]).with_session(session).with_attempt(attempt);
    alone.hear(&frame(FrameKind::LOGIN.answer(), id, &welcome));
    alone.hear(&frame(FrameKind::SYNCED, 0, &Done));
    assert!(alone.client.is_ready());
    alone
}

fn login_in(bytes: &[u8]) -> Option<(u32, u64, u32)> {
    let Ok(Parsed::Frame(frame, _)) = Frame::parse(bytes, ROOM) else {
        return None;
    };
    let login: Login<'_> = decode_body(frame.body).ok()?;
    (frame.kind == FrameKind::LOGIN).then_some((frame.id, login.session, login.attempt))
}
