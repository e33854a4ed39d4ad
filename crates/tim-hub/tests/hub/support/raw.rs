//! A connection without a session: bytes as a test wants them, when it wants them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::RangeInclusive;

use tim_proto::Platform;
use tim_proto::request::{Done, Failure, Login};
use tim_proto::wire::{Encode, End, Frame, FrameKind, Hello, Parsed, decode_body};
use tim_testkit::{frame, hello};

use super::{APP, DEADLINE, TestHub, sig, user};

pub(crate) struct Raw {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Raw {
    /// A connection whose hellos are said; the client takes frames of this size.
    pub(crate) fn open(hub: &TestHub, max_frame: u32) -> Self {
        let mut stream = TcpStream::connect(hub.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
            .write_all(&hello(End::CLIENT, (1, 1), max_frame, 4))
            .unwrap();
        let mut answer = [0; Hello::LEN];
        stream.read_exact(&mut answer).unwrap();
        Hello::from_bytes(&answer).unwrap();
        Self {
            stream,
            received: Vec::new(),
        }
    }

    pub(crate) fn say(&mut self, kind: FrameKind, id: u32, body: &impl Encode) {
        self.stream.write_all(&frame(kind, id, body)).unwrap();
    }

    /// Acknowledges the deliveries up to this one.
    pub(crate) fn acknowledge(&mut self, delivery: u32) {
        self.say(FrameKind::ACK, delivery, &Done);
    }

    /// Reads up to a frame of this kind, and returns the kinds of the frames before it.
    pub(crate) fn until(&mut self, kind: FrameKind) -> Vec<FrameKind> {
        let frames = std::iter::from_fn(|| Some(self.next().expect("the hub has closed").0));
        frames.take_while(|next| *next != kind).collect()
    }

    /// The same request under each of these ids, in one write.
    pub(crate) fn say_at_once(&mut self, kind: FrameKind, ids: RangeInclusive<u32>, body: &impl Encode) {
        let frames: Vec<u8> = ids.flat_map(|id| frame(kind, id, body)).collect();
        self.stream.write_all(&frames).unwrap();
    }

    pub(crate) fn login(&mut self, name: &str, device: u64, session: u64, attempt: u32) {
        let sig = sig(name);
        let login = Login::new(APP, user(name), &sig, device, Platform::DESKTOP)
            .with_session(session)
            .with_attempt(attempt);
        self.say(FrameKind::LOGIN, 0, &login);
    }

    /// The next frame: its kind, and the code in it if it is an ERROR or a GOODBYE. `None` when the hub has closed.
    pub(crate) fn next(&mut self) -> Option<(FrameKind, u32)> {
        loop {
            if let Parsed::Frame(frame, len) = Frame::parse(&self.received, 1 << 20).unwrap() {
                let failure = decode_body::<Failure<'_>>(frame.body);
                let kind = frame.kind;
                let told = matches!(kind, FrameKind::ERROR | FrameKind::GOODBYE);
                let code = failure.map_or(0, |failure| if told { failure.code.0 } else { 0 });
                self.received.drain(..len);
                return Some((kind, code));
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk).unwrap() {
                0 => return None,
                len => self.received.extend_from_slice(&chunk[..len]),
            }
        }
    }
}
