//! A device that is restarted in the middle, keeps its cursor or not, and may be set up for somebody else; with fixed
//! buffers, on a stream or on a serial line on which old bytes still arrive. Both ends are real sessions.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tim_proto::message::{Payload, SendOptions, to_vec};
use tim_proto::request::{Done, Failure, LoginResponse, Resume, Send, SendResponse};
use tim_proto::wire::FrameKind;
use tim_proto::{ErrorCode, MessageId, UserId};
use tim_session::{
    ClientConfig, ClientSession, Event, FixedBuffer, Framing, GrowBuffer, HubConfig, HubEvent, HubOutput,
    HubSession, Instant, Output, RequestId,
};

use crate::client::message;
use crate::packing::framing;
use crate::script::Script;

type Client<'b> = ClientSession<&'static str, FixedBuffer<'b>>;

const USERS: [&str; 2] = ["alice", "bob"];

/// What outlives the device: the line with what is on its way, and the hub with all that it keeps.
struct Outside {
    now: Instant,
    framing: Framing,
    up: VecDeque<u8>,
    down: VecDeque<u8>,
    hub: Option<HubSession<GrowBuffer>>,
    /// Who is logged in, and which entry is next.
    online: Option<(usize, u64)>,
    synced: bool,
    /// How many entries each user has: numbered from 1.
    entries: [u64; 2],
    /// What was sent, in the order in which it came: user and number.
    stored: Vec<(u64, u32)>,
    /// How many messages were made by all lives of the device.
    made: u32,
}

/// One life of the device.
struct Life<'b> {
    session: Client<'b>,
    user: usize,
    /// The number that the next delivery must have, if that is known.
    expected: Option<u64>,
    ready: bool,
    /// Requests that wait for their answer, and the message's number.
    open: HashMap<RequestId, u32>,
}

/// No input makes an end panic or loop. Whatever is restarted, cut or lost: the device is only ever logged in as who it is
/// set up for, is handed every entry from its cursor on exactly once and in order, and has one answer for each request,
/// which is that request's; and on a good line it gets in again and is given all.
pub fn device_lives(data: &[u8]) {
    let mut script = Script(data);
    let word = script.word();
    let mut outside = Outside::new(framing(word));
    let least = outside.framing.buffer_len(300);
    let sizes = [
        least + word % 500,
        least + script.word() % 500,
        100 + script.word() % 500,
    ];
    let mut memory = sizes.map(|len| vec![0xA5; len]);
    let mut kept: [Option<Vec<u8>>; 2] = [None, None];
    let mut seed = 1;
    loop {
        let user = script.below(2);
        let [rx, tx, outbox] = &mut memory;
        let buffers = (FixedBuffer(rx), FixedBuffer(tx), FixedBuffer(outbox));
        let mut config = ClientConfig::new(1, id(USERS[user]), 7);
        config.framing = outside.framing;
        config.window = 1 + u16::from(script.byte() % 8);
        seed += 1;
        let mut session = ClientSession::new(config, "sig", buffers.0, buffers.1, buffers.2, seed);
        let resumed = kept[user].as_deref().filter(|_| script.byte() % 4 != 0);
        let expected = match (resumed, script.byte() % 2) {
            (Some(cursor), _) => {
                assert_eq!(session.resume_from(cursor), !cursor.is_empty());
                place(cursor, user).map(|place| place + 1)
            }
            (None, 0) => {
                session.resume_from_start();
                Some(1)
            }
            (None, _) => None,
        };
        session.login(outside.now);
        let mut life = Life {
            session,
            user,
            expected,
            ready: false,
            open: HashMap::new(),
        };
        life.settle(&mut outside);
        while !script.is_over() && step(&mut life, &mut outside, &mut script) {
            life.settle(&mut outside);
        }
        if script.is_over() {
            return recovers(life, outside);
        }
        // Restarted: what the application kept is where the session stood.
        let cursor = life.session.cursor().to_vec();
        if let (Some(place), Some(expected)) = (place(&cursor, user), life.expected) {
            assert!(
                place + 1 == expected || place + 2 == expected,
                "the cursor is behind"
            );
        }
        kept[user] = Some(cursor).filter(|cursor| !cursor.is_empty());
        if outside.framing == Framing::Stream {
            outside.hang_up();
        }
    }
}

fn id(name: &str) -> UserId {
    UserId::new(name).expect("a good id")
}

/// The cursor behind a user's entry.
fn cursor(user: usize, entry: u64) -> Vec<u8> {
    [&[user as u8][..], &entry.to_le_bytes()].concat()
}

/// Which entry of this user a cursor stands behind.
fn place(cursor: &[u8], user: usize) -> Option<u64> {
    let (whose, entry) = cursor.split_first()?;
    assert_eq!(usize::from(*whose), user, "another user's cursor");
    Some(u64::from_le_bytes(
        entry.try_into().expect("a cursor of this hub"),
    ))
}

/// Something happens. `false`: the device is restarted.
fn step(life: &mut Life<'_>, outside: &mut Outside, script: &mut Script<'_>) -> bool {
    match script.byte() % 20 {
        0 => outside.now = outside.now + Duration::from_millis(script.word() as u64),
        1 => outside.now = outside.now + Duration::from_secs(script.byte().into()),
        2 => life.carry(outside, script.byte().into(), 0),
        3 => life.carry(outside, 0, script.byte().into()),
        4 | 5 => outside.entries[script.below(2)] += 1,
        6 | 7 => life.send(outside),
        8 => return false,
        9 => match outside.framing {
            Framing::Stream => {
                outside.hang_up();
                life.session.disconnected(outside.now);
            }
            _ => {
                let (up, down) = (script.byte().into(), script.byte().into());
                outside.up.drain(..outside.up.len().min(up));
                outside.down.drain(..outside.down.len().min(down));
            }
        },
        10 if outside.framing == Framing::Serial => {
            let bit = 1 << script.below(8);
            let queue = [&mut outside.up, &mut outside.down];
            if let Some(byte) = queue
                .into_iter()
                .nth(script.below(2))
                .and_then(|queue| queue.front_mut())
            {
                *byte ^= bit;
            }
        }
        11 => {
            let code = [ErrorCode::SERVER_SHUTTING_DOWN, ErrorCode::KICKED_OUT_REST_API][script.below(2)];
            if let Some(hub) = &mut outside.hub {
                hub.goodbye(&Failure::new(code, ""));
            }
        }
        12 => life.session.logout(outside.now),
        13 => life.session.login(outside.now),
        14 => life.session.hold_acknowledgements(script.byte() % 2 == 1),
        15 => outside.restart_hub(),
        _ => life.carry(outside, usize::MAX, usize::MAX),
    }
    true
}

impl Outside {
    fn new(framing: Framing) -> Self {
        let mut outside = Self {
            now: Instant::ZERO,
            framing,
            up: VecDeque::new(),
            down: VecDeque::new(),
            hub: None,
            online: None,
            synced: false,
            entries: [0; 2],
            stored: Vec::new(),
            made: 0,
        };
        if framing == Framing::Serial {
            outside.open();
        }
        outside
    }

    /// A new session at the hub's end: for a new connection, or because the hub was started again.
    fn open(&mut self) {
        let mut config = HubConfig::default();
        config.framing = self.framing;
        let buffers = (GrowBuffer::new(4096), GrowBuffer::new(2048));
        self.hub = Some(HubSession::new(config, buffers.0, buffers.1, self.now));
        self.online = None;
    }

    /// The connection is gone with all that was on its way.
    fn hang_up(&mut self) {
        self.up.clear();
        self.down.clear();
        self.hub = None;
        self.online = None;
    }

    /// On a serial line nobody is told, and what is on its way stays there; a connection ends with its hub.
    fn restart_hub(&mut self) {
        match self.framing {
            Framing::Stream => self.hub = None,
            _ => self.open(),
        }
        self.online = None;
    }

    /// The hub's end does what it can do now.
    fn settle_hub(&mut self) {
        for _ in 0..10_000 {
            let Some(hub) = &mut self.hub else { return };
            match hub.poll(self.now) {
                HubOutput::Wait(Some(until)) if until <= self.now => panic!("a wake-up in the past"),
                HubOutput::Wait(_) => {
                    if !self.deliver() {
                        return;
                    }
                }
                HubOutput::Close(_) => {
                    self.online = None;
                    if self.framing == Framing::Stream {
                        let last = hub.outgoing().to_vec();
                        self.down.extend(last);
                        self.hub = None;
                        return;
                    }
                    hub.begin_again(self.now);
                }
                HubOutput::Event(HubEvent::Login(login)) => {
                    let user = USERS.iter().position(|name| *name == login.user.as_str());
                    let user = user.expect("one of the two, as the line carries nothing else");
                    let next = match login.resume {
                        Resume::START => 1,
                        Resume::CURSOR => place(login.cursor, user).expect("a cursor") + 1,
                        _ => self.entries[user] + 1,
                    };
                    assert!(next <= self.entries[user] + 1, "a cursor beyond the end");
                    let here = cursor(user, self.entries[user]);
                    let welcome = LoginResponse::new(100 + user as u64)
                        .with_time_ms(2)
                        .with_cursor(&here)
                        .with_session(login.session)
                        .with_attempt(login.attempt);
                    if hub.accept(&welcome).is_ok() {
                        self.online = Some((user, next));
                        self.synced = false;
                    } else {
                        hub.goodbye(&Failure::new(ErrorCode::SERVER_SHUTTING_DOWN, ""));
                    }
                }
                HubOutput::Event(HubEvent::Request { id, request }) => {
                    let send = request.decode::<Send<'_>>().expect("only messages are sent");
                    let said = (send.content.id.sender, send.content.id.random);
                    let known = self.stored.iter().position(|stored| *stored == said);
                    let at = known.unwrap_or(self.stored.len());
                    let answer = SendResponse::new(at as u64, 1).with_duplicate(known.is_some());
                    match hub.respond::<Send<'_>>(id, &answer) {
                        Ok(()) if known.is_none() => self.stored.push(said),
                        Ok(()) => {}
                        // The device reads nothing: as the hub does with such a one.
                        Err(_) => hub.goodbye(&Failure::new(ErrorCode::SERVER_SHUTTING_DOWN, "")),
                    }
                }
                HubOutput::Event(HubEvent::More) => {}
                HubOutput::Event(other) => panic!("the line carries what was sent or nothing: {other:?}"),
            }
        }
        panic!("the hub's end is never done")
    }

    /// Hands over what there is, as far as there is room. Whether anything was.
    fn deliver(&mut self) -> bool {
        let (Some(hub), Some((user, next))) = (&mut self.hub, &mut self.online) else {
            return false;
        };
        if !hub.is_online() {
            return false;
        }
        if *next > self.entries[*user] {
            let news = !self.synced;
            self.synced = self.synced || hub.push(FrameKind::SYNCED, &Done).is_ok();
            return news && self.synced;
        }
        let text = format!("{} {next}", USERS[*user]);
        let bytes = to_vec(&message(&text));
        let delivered = hub.deliver(&cursor(*user, *next), 0, &bytes).is_ok();
        *next += u64::from(delivered);
        delivered
    }
}

impl Life<'_> {
    fn send(&mut self, outside: &mut Outside) {
        outside.made += 1;
        let made = outside.made;
        let mut message = message("up");
        message.id = MessageId {
            sender: self.session.account(),
            client_time: 1,
            random: made,
        };
        if let Ok(ticket) = self.session.send(outside.now, &message, SendOptions::default()) {
            assert!(self.ready, "taken before SDK_READY");
            let before = self.open.insert(ticket.id(), made);
            assert_eq!(before, None, "a ticket under way is given out again");
        }
    }

    /// Moves at most so many bytes each way.
    fn carry(&mut self, outside: &mut Outside, up: usize, down: usize) {
        let sent = self.session.outgoing().to_vec();
        self.session.transmitted(sent.len());
        if outside.hub.is_some() || outside.framing == Framing::Serial {
            outside.up.extend(sent);
        }
        if let Some(hub) = &mut outside.hub {
            outside.down.extend(hub.outgoing());
            hub.transmitted(usize::MAX);
        }
        let mut left = up.min(outside.up.len());
        while left > 0
            && let Some(hub) = &mut outside.hub
        {
            let bytes = &outside.up.make_contiguous()[..left];
            let taken = hub.receive(outside.now, bytes);
            outside.up.drain(..taken);
            left -= taken;
            outside.settle_hub();
            if taken == 0 {
                break;
            }
        }
        let mut left = down.min(outside.down.len());
        while left > 0 {
            let bytes = &outside.down.make_contiguous()[..left];
            let taken = self.session.receive(outside.now, bytes);
            outside.down.drain(..taken);
            left = (left - taken).min(outside.down.len());
            self.settle(outside);
            left = left.min(outside.down.len());
            if taken == 0 {
                break;
            }
        }
    }

    /// Both ends do what they can do now. A stream whose hub has gone is lost once all that came from it has been read.
    fn settle(&mut self, outside: &mut Outside) {
        outside.settle_hub();
        self.poll(outside);
        if outside.hub.is_none() && outside.framing == Framing::Stream && outside.down.is_empty() {
            self.session.disconnected(outside.now);
            self.poll(outside);
        }
        assert_eq!(self.session.is_ready(), self.ready, "readiness is told by events");
        assert_eq!(self.session.pending(), self.open.len());
    }

    fn poll(&mut self, outside: &mut Outside) {
        for _ in 0..10_000 {
            match self.session.poll(outside.now) {
                Output::Wait(Some(until)) => return assert!(until > outside.now, "a wake-up in the past"),
                Output::Wait(None) => return,
                Output::Disconnect if outside.framing == Framing::Stream => outside.hang_up(),
                Output::Disconnect => {}
                Output::Connect => {
                    if outside.framing == Framing::Stream {
                        outside.hang_up();
                        outside.open();
                    }
                    self.session.connected(outside.now);
                }
                Output::Event(event) => told(
                    event,
                    self.user,
                    &mut self.expected,
                    &mut self.ready,
                    &mut self.open,
                    outside,
                ),
            }
        }
        panic!("the session is never done");
    }
}

/// Holds what the application is told against what is so.
fn told(
    event: Event<'_>,
    user: usize,
    expected: &mut Option<u64>,
    ready: &mut bool,
    open: &mut HashMap<RequestId, u32>,
    outside: &Outside,
) {
    match event {
        Event::LoggedIn(answer) => {
            assert_eq!(answer.account, 100 + user as u64, "logged in as somebody else");
            if expected.is_none() {
                *expected = place(answer.cursor, user).map(|place| place + 1);
            }
        }
        Event::Ready => *ready = true,
        Event::NotReady(_) => *ready = false,
        Event::Delivered(delivery) => {
            let entry = place(delivery.cursor, user).expect("every delivery has one");
            let Payload::Text(text) = delivery.message().payload else {
                panic!("only texts are delivered")
            };
            assert_eq!(text.text, format!("{} {entry}", USERS[user]));
            assert_eq!(Some(entry), *expected, "lost, twice, or out of order");
            *expected = Some(entry + 1);
        }
        Event::Response {
            id: ticket,
            response: answer,
        } => {
            let made = open.remove(&ticket).expect("a request that waits");
            let answer = answer.decode::<Send<'_>>().expect("a good answer");
            let stored = outside.stored.get(answer.sequence as usize);
            assert_eq!(
                stored.map(|stored| stored.1),
                Some(made),
                "another request's answer"
            );
        }
        Event::Failed { id: ticket, .. } => {
            open.remove(&ticket).expect("a request that waits");
        }
        Event::Gap(_) | Event::Malformed { .. } => panic!("never sent: {event:?}"),
        _ => {}
    }
}

/// A good line from now on: the device gets in, is given all, and has its answers.
fn recovers(mut life: Life<'_>, mut outside: Outside) {
    life.session.hold_acknowledgements(false);
    for _ in 0..200 {
        life.session.login(outside.now); // if it had stopped
        life.settle(&mut outside);
        for _ in 0..20 {
            life.carry(&mut outside, usize::MAX, usize::MAX);
            life.settle(&mut outside);
        }
        let all = outside.entries[life.user] + 1;
        let complete = life.expected.is_some_and(|expected| expected == all);
        if life.ready && life.open.is_empty() && complete {
            return;
        }
        outside.now = outside.now + Duration::from_secs(7);
    }
    panic!("it does not recover: {:?}", life.session);
}
