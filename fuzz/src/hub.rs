//! A hub session with buffers of any size against a client that says anything.

use std::time::Duration;

use tim_proto::ErrorCode;
use tim_proto::message::to_vec;
use tim_proto::request::{Conversations, Done, Failure, Login, LoginResponse, Logout, Resume, SendMessage};
use tim_proto::wire::{End, FrameKind, Hello};
use tim_proto::{Platform, UserId};
use tim_session::{DeliverError, Framing, GrowBuffer, HubConfig, HubEvent, HubOutput, HubSession, Instant};

use crate::client::{frame, message};
use crate::packing::{Packing, framing};
use crate::script::Script;

/// What the harness knows of a session from outside.
struct Watched {
    session: HubSession<GrowBuffer>,
    now: Instant,
    limits: (usize, usize),
    closed: bool,
    packing: Packing,
    max_requests: u16,
    max_frame: u32,
    /// Requests handed out and not answered; an id twice if the client gave it twice.
    open: Vec<u32>,
    /// The most that the window may be.
    window: u16,
    delivered: u32,
}

/// No input makes the session panic, loop, outgrow its buffers, or exceed the client's window; once it says Close, it
/// says nothing more; and the next connection is as good as ever.
pub fn hub_session(data: &[u8]) {
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
        assert!(watched.session.window_capacity() <= usize::from(watched.window));
    }
    match watched.packing.framing {
        Framing::Stream => another_connection(watched.now),
        _ => another_session(watched),
    }
}

fn start(script: &mut Script<'_>) -> Watched {
    let (rx, tx) = (script.word(), script.word());
    let limits = (rx % 2000, tx % 2000);
    let mut config = HubConfig::default();
    config.framing = framing(tx);
    config.max_requests = u16::from(script.byte());
    config.max_window = u16::from(script.byte());
    config.max_frame = script.word() as u32;
    let now = Instant::ZERO;
    let buffers = (GrowBuffer::new(limits.0), GrowBuffer::new(limits.1));
    Watched {
        session: HubSession::new(config, buffers.0, buffers.1, now),
        now,
        limits,
        closed: false,
        packing: Packing::new(config.framing),
        max_requests: config.max_requests,
        max_frame: config.max_frame,
        open: Vec::new(),
        window: config.max_window.max(1), // a session takes 0 for 1
        delivered: 0,
    }
}

fn step(watched: &mut Watched, script: &mut Script<'_>) {
    match script.byte() % 16 {
        0 => watched.now = watched.now + Duration::from_millis(script.word() as u64),
        1 => {
            let len = script.below(1 + watched.session.outgoing().len());
            watched.session.transmitted(len);
        }
        2 | 3 => watched.deliver(script),
        4 | 5 => watched.answer(script),
        6 => watched
            .session
            .goodbye(&Failure::new(ErrorCode::SERVER_SHUTTING_DOWN, "x")),
        7 => {
            let len = script.byte().into();
            let raw = script.bytes(len);
            watched.feed(raw, script.byte());
        }
        8 => {
            let all = watched.session.outgoing().len();
            watched.session.transmitted(all);
        }
        _ => {
            let bytes = plausible(watched, script);
            watched.feed(&bytes, script.byte());
        }
    }
}

/// What a real client might say, and now and then with a byte changed or the end missing.
fn plausible(watched: &mut Watched, script: &mut Script<'_>) -> Vec<u8> {
    let id = u32::from(script.byte());
    let packet = match script.byte() % 9 {
        0 => hello(u32::from(script.byte()) * 8, script.byte().into()).to_vec(),
        1 => login(),
        2 => frame(FrameKind::ACK, watched.delivered.saturating_sub(id % 4), &Done),
        3 => frame(FrameKind::ACK, id, &Done),
        4 | 5 => frame(FrameKind::SEND, id, &SendMessage::new(&message("hi"))),
        6 => frame(FrameKind::PING, id, &Done),
        7 => frame(FrameKind(id as u8), id, &Conversations::new().with_count(1)),
        _ => frame(FrameKind::CONVERSATIONS, id, &Conversations::new().with_count(1)),
    };
    let mut bytes = watched.packing.pack(&packet);
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

fn hello(max_frame: u32, window: u16) -> [u8; Hello::LEN] {
    tim_testkit::hello(End::CLIENT, (1, 1), max_frame, window)
}

fn login() -> Vec<u8> {
    let user = UserId::new("alice").expect("a good id");
    let (platform, resume) = (Platform::DEVICE, Resume::NOW);
    frame(
        FrameKind::LOGIN,
        0,
        &Login::new(1, user, "s", 7, platform)
            .with_resume(resume)
            .with_cursor(b"")
            .with_session(1)
            .with_attempt(1),
    )
}

impl Watched {
    fn deliver(&mut self, script: &mut Script<'_>) {
        let bytes = to_vec(&message(&"x".repeat(script.byte().into())));
        let room = self.session.window_capacity();
        match self.session.deliver(&[script.byte()], 0, &bytes) {
            Ok(()) => {
                self.delivered += 1;
                assert_eq!(
                    self.session.window_capacity() + 1,
                    room,
                    "a delivery uses one place of the window"
                );
            }
            Err(DeliverError::Window) => assert_eq!(room, 0),
            Err(_) => assert_eq!(
                self.session.window_capacity(),
                room,
                "what was not sent uses nothing"
            ),
        }
    }

    fn answer(&mut self, script: &mut Script<'_>) {
        let Some(&id) = self.open.first() else { return };
        let sent = match script.byte() % 2 {
            0 => self.session.respond::<Logout>(id, &Done),
            _ => self
                .session
                .fail(id, &Failure::new(ErrorCode(1), &"y".repeat(script.byte().into()))),
        };
        if sent.is_ok() {
            self.open.remove(0);
        }
    }

    fn feed(&mut self, mut bytes: &[u8], piece: u8) {
        while !bytes.is_empty() {
            let len = bytes.len().min(usize::from(piece).max(1));
            let taken = self.session.receive(self.now, &bytes[..len]);
            assert!(taken <= len);
            bytes = &bytes[taken..];
            self.settle();
            if taken == 0 {
                return;
            }
        }
    }

    /// Polls until there is nothing more to do, which must come soon.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            let (mut accept, mut again) = (false, false);
            match self.session.poll(self.now) {
                HubOutput::Wait(Some(until)) => return assert!(until > self.now, "a wake-up in the past"),
                HubOutput::Wait(None) => return,
                HubOutput::Close(_) if self.packing.framing == Framing::Serial => again = true,
                HubOutput::Close(_) => assert!(!std::mem::replace(&mut self.closed, true), "closed twice"),
                HubOutput::Event(event) => {
                    assert!(!self.closed, "an event after the close");
                    match event {
                        HubEvent::Login(_) => accept = true,
                        HubEvent::Request { id, .. } => {
                            self.open.push(id);
                        }
                        _ => {}
                    }
                }
            }
            if again {
                self.session.begin_again(self.now);
                self.open.clear();
                self.delivered = 0;
                assert_eq!(self.session.window_capacity(), 0, "nobody is there");
            }
            if accept {
                let welcome = LoginResponse::new(1).with_time_ms(2).with_cursor(b"1");
                if self.session.accept(&welcome).is_err() {
                    self.session.refuse(&Failure::new(ErrorCode(1), "no room"));
                }
            }
        }
        panic!("the session is never done");
    }
}

/// A client that behaves, on the same serial line, after whatever there was.
fn another_session(mut watched: Watched) {
    let least = Framing::Serial.buffer_len(256);
    let (rx, tx) = watched.limits;
    if rx < least || tx < least || watched.max_requests == 0 || watched.max_frame < 256 {
        return;
    }
    // An answer makes room for requests that wait behind it.
    for _ in 0..300 {
        watched.settle();
        let all = watched.session.outgoing().len();
        watched.session.transmitted(all);
        if watched.open.is_empty() {
            break;
        }
        let id = watched.open.remove(0);
        let _ = watched.session.fail(id, &Failure::new(ErrorCode(1), ""));
    }
    watched.settle();
    let all = watched.session.outgoing().len();
    watched.session.transmitted(all);
    for packet in [&hello(4096, 2)[..], &login()] {
        let bytes = watched.packing.pack(packet);
        watched.feed(&bytes, 255);
        let all = watched.session.outgoing().len();
        watched.session.transmitted(all);
    }
    assert!(watched.session.is_online(), "no login on a good line");
}

/// A client that behaves, on a connection of its own.
fn another_connection(now: Instant) {
    let buffers = (GrowBuffer::new(4096), GrowBuffer::new(4096));
    let mut session = HubSession::new(HubConfig::default(), buffers.0, buffers.1, now);
    let opening = [&hello(4096, 2)[..], &login()].concat();
    assert_eq!(session.receive(now, &opening), opening.len());
    assert!(matches!(session.poll(now), HubOutput::Event(HubEvent::Login(_))));
    assert_eq!(session.accept(&LoginResponse::new(1).with_time_ms(2)), Ok(()));
    let bytes = to_vec(&message("hi"));
    assert_eq!(
        [0; 3].map(|_| session.deliver(b"1", 0, &bytes).is_ok()),
        [true, true, false]
    );
}
