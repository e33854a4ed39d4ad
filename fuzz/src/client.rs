//! A client session with buffers of any size against a hub that says anything.

use std::collections::HashSet;
use std::time::Duration;

use tim_proto::message::{Message, SendOptions};
use tim_proto::request::{Deliver, Done, Failure, Login, LoginResponse, Logout, SendResponse};
use tim_proto::wire::{End, Frame, FrameKind, Hello, Parsed, decode_body};
use tim_proto::{ErrorCode, UserId};
use tim_session::{
    ClientConfig, ClientSession, Event, Framing, GrowBuffer, HubConfig, Instant, Output, RequestId,
};
pub use tim_testkit::frame;
use tim_testkit::{ModelHub, c2c, messages, user};

use crate::packing::{Packing, framing};
use crate::script::Script;

type Session = ClientSession<&'static str, GrowBuffer>;

/// What the harness knows of a session from outside.
struct Watched {
    session: Session,
    now: Instant,
    limits: (usize, usize),
    ready: bool,
    packing: Packing,
    /// The last LOGIN's id, and its numbers.
    login: (u32, u64, u32),
    /// Requests made and not answered.
    open: HashSet<RequestId>,
}

/// No input makes the session panic, loop, outgrow its buffers, or answer a request twice; and when it is all over, it
/// logs in on a good connection.
pub fn client_session(data: &[u8]) {
    let mut script = Script(data);
    let mut watched = start(&mut script);
    while !script.is_over() {
        step(&mut watched, &mut script);
        watched.settle();
        let sizes = (
            watched.session.space(usize::MAX).len(),
            watched.session.outgoing().len(),
        );
        assert!(sizes.0 <= watched.limits.0 && sizes.1 <= watched.limits.1);
        assert_eq!(
            watched.session.is_ready(),
            watched.ready,
            "readiness is told by events"
        );
        assert_eq!(watched.session.pending(), watched.open.len());
    }
    recovers(watched);
}

fn start(script: &mut Script<'_>) -> Watched {
    let Ok(user) = UserId::new("alice") else {
        unreachable!()
    };
    let mut config = ClientConfig::new(1, user, 7);
    // Large enough for hello, login and its answer; anything above is the fuzzer's choice.
    let limits = (64 + script.word() % 2000, 64 + script.word() % 2000);
    let word = script.word();
    let outbox = word % 2000;
    config.framing = framing(word);
    config.window = u16::from(script.byte());
    config.max_pending = u16::from(script.byte());
    config.max_frame = 64 + script.word() as u32;
    let buffers = (
        GrowBuffer::new(limits.0),
        GrowBuffer::new(limits.1),
        GrowBuffer::new(outbox),
    );
    let packing = Packing::new(config.framing);
    let mut session = ClientSession::new(config, "sig", buffers.0, buffers.1, buffers.2, 5);
    session.login(Instant::ZERO);
    let now = Instant::ZERO;
    Watched {
        session,
        now,
        limits,
        ready: false,
        packing,
        login: (0, 0, 0),
        open: HashSet::new(),
    }
}

fn step(watched: &mut Watched, script: &mut Script<'_>) {
    let now = watched.now;
    match script.byte() % 20 {
        0 => watched.now = now + Duration::from_millis(script.word() as u64),
        1 => watched.now = now + Duration::from_secs(script.byte().into()),
        2 => watched.session.disconnected(now),
        3 => watched.session.logout(now),
        4 => watched.session.login(now),
        5 => {
            let len = script.below(1 + watched.session.outgoing().len());
            watched.session.transmitted(len);
        }
        6 => watched.send(script),
        7 => {
            let len = script.byte().into();
            let raw = script.bytes(len);
            let _ = watched.feed(raw, script.byte());
        }
        8 => {
            let all = watched.session.outgoing().len();
            watched.session.transmitted(all);
        }
        _ => {
            let bytes = plausible(watched, script);
            let _ = watched.feed(&bytes, script.byte());
        }
    }
}

/// What a real hub might say, and now and then with a byte changed or the end missing.
fn plausible(watched: &mut Watched, script: &mut Script<'_>) -> Vec<u8> {
    let packing = &mut watched.packing;
    let (login, session, attempt) = watched.login;
    let id = u32::from(script.byte());
    let code = [
        ErrorCode::KICKED_OUT_MULT_DEVICE,
        ErrorCode::SERVER_SHUTTING_DOWN,
        ErrorCode(1),
    ][script.below(3)];
    let failure = Failure::new(code, "").with_retry_after_ms(script.byte().into());
    let cursor = script.bytes(id as usize % 20);
    // The attempt is the last one, or the one before.
    let answer = LoginResponse::new(1)
        .with_time_ms(2)
        .with_cursor(cursor)
        .with_session(session)
        .with_attempt(attempt.wrapping_sub(id % 2));
    let packet = match script.byte() % 10 {
        0 => hello(script.word() as u32).to_vec(),
        1 => frame(FrameKind::LOGIN.answer(), login, &answer),
        2 => frame(FrameKind::SYNCED, 0, &Done),
        3 => frame(
            FrameKind::DELIVER,
            id,
            &Deliver::new(message("hi")).with_cursor(cursor),
        ),
        4 => frame(FrameKind::SEND.answer(), id % 4, &SendResponse::new(1, 1)),
        5 => frame(
            FrameKind::ERROR,
            if id % 8 == 7 { login } else { id % 4 },
            &failure,
        ),
        6 => frame(FrameKind::GOODBYE, 0, &failure),
        7 => frame(FrameKind::PING, id, &Done),
        8 => frame(FrameKind(id as u8), id, &failure),
        _ => frame(FrameKind::LOGOUT.answer(), 0, &Done),
    };
    let mut bytes = packing.pack(&packet);
    match script.byte() {
        0 => bytes.truncate(script.below(bytes.len())),
        1 => {
            let at = script.below(bytes.len());
            bytes[at] = script.byte();
        }
        _ => {}
    }
    bytes
}

fn hello(max_frame: u32) -> [u8; Hello::LEN] {
    tim_testkit::hello(End::HUB, (1, 1), max_frame, 0)
}

/// A text from alice to bob.
pub fn message(text: &str) -> Message<'_> {
    messages::text(user("alice"), c2c("bob"), text)
}

impl Watched {
    fn send(&mut self, script: &mut Script<'_>) {
        let text = "x".repeat(script.byte().into());
        let sent = match script.byte() % 2 {
            0 => self
                .session
                .send(self.now, &message(&text), SendOptions::default())
                .map(|ticket| ticket.id()),
            _ => self.session.request(self.now, &Logout).map(|ticket| ticket.id()),
        };
        if let Ok(ticket) = sent {
            assert!(self.ready, "taken before SDK_READY");
            assert!(self.open.insert(ticket), "a ticket under way is given out again");
        }
    }

    /// Offers bytes in pieces, polling in between, until they are taken or nothing moves. Returns how many were.
    fn feed(&mut self, bytes: &[u8], piece: u8) -> usize {
        let mut rest = bytes;
        while !rest.is_empty() {
            let len = rest.len().min(usize::from(piece).max(1));
            let taken = self.session.receive(self.now, &rest[..len]);
            assert!(taken <= len);
            rest = &rest[taken..];
            self.settle();
            if taken == 0 {
                break;
            }
        }
        bytes.len() - rest.len()
    }

    /// Reads the LOGIN in what is outgoing, if there is one: its answer repeats its numbers.
    fn note_login(&mut self) {
        let outgoing = self.session.outgoing();
        let frames = match self.packing.framing {
            Framing::Serial => self.packing.frames(outgoing),
            // Some of it may have gone: wherever a frame begins.
            _ => (0..outgoing.len()).map(|at| outgoing[at..].to_vec()).collect(),
        };
        for bytes in frames {
            if let Ok(Parsed::Frame(frame, _)) = Frame::parse(&bytes, 65536)
                && frame.kind == FrameKind::LOGIN
                && let Ok(login) = decode_body::<Login<'_>>(frame.body)
            {
                self.login = (frame.id, login.session, login.attempt);
            }
        }
    }

    /// Polls until there is nothing more to do, which must come soon.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            let mut connect = false;
            match self.session.poll(self.now) {
                Output::Wait(until) => {
                    let in_time = until.is_none_or(|until| until > self.now);
                    assert!(in_time, "a wake-up in the past");
                    return self.note_login();
                }
                Output::Connect => connect = true,
                Output::Disconnect => {}
                Output::Event(event) => match event {
                    Event::Ready => self.ready = true,
                    Event::NotReady(_) => self.ready = false,
                    Event::Response { id: ticket, .. } | Event::Failed { id: ticket, .. } => {
                        assert!(self.open.remove(&ticket), "a second answer");
                    }
                    _ => {}
                },
            }
            if connect {
                self.session.connected(self.now);
            }
        }
        panic!("the session is never done");
    }
}

/// A good hub, a good line: the session gets in, and what waits is answered or fails.
fn recovers(mut watched: Watched) {
    let least = watched.packing.framing.buffer_len(256);
    if watched.limits.0 < least || watched.limits.1 < least || watched.session.config().max_frame < 256 {
        return; // too small for a login with its answer, in whatever state
    }
    watched.session.disconnected(watched.now);
    for round in 0..60 {
        watched.now = watched.now + Duration::from_secs(40);
        watched.session.login(watched.now); // if it had stopped
        watched.settle();
        if serve(&mut watched) {
            assert!(watched.ready && watched.open.is_empty());
            return;
        }
        assert!(round < 59, "no login on a good connection");
    }
}

/// One connection with a good hub; whether the session was let in and became ready.
fn serve(watched: &mut Watched) -> bool {
    const CONNECTION: u64 = 0;
    let mut hub = ModelHub::default();
    hub.behavior.skip_own = true;
    hub.behavior.allow_foreign_cursors = true; // it was given any
    let mut config = HubConfig::default();
    config.framing = watched.packing.framing;
    hub.open(CONNECTION, config, watched.now);
    for _ in 0..50 {
        let up = watched.session.outgoing().to_vec();
        let taken = hub.receive(CONNECTION, watched.now, &up);
        watched.session.transmitted(taken);
        hub.settle(CONNECTION, watched.now);
        let down = hub.outgoing(CONNECTION).to_vec();
        let taken = watched.feed(&down, 255);
        hub.transmitted(CONNECTION, taken);
        watched.settle();
        if watched.ready && watched.open.is_empty() && up.is_empty() && down.is_empty() {
            return true;
        }
    }
    false
}
