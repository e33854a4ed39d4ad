//! A member that costs next to nothing: it takes what comes and says that it took it, and reads none of it.
//!
//! Thousands of them share a machine with the hub that is measured, so there is no session behind them, only what
//! the hub must hear to go on: hello, login, acknowledgements, signs of life.

use tim_proto::request::{Failure as Refusal, Login, Resume};
use tim_proto::wire::{
    Encode, Frame, FrameKind, Hello, MAX_FRAME_HEADER_LEN, Parsed, Role, Writer, decode_body,
};
use tim_proto::{Platform, UserId};
use tokio::net::TcpStream;

use super::hub::Target;
use crate::error::Failure;

/// How many deliveries it takes ahead.
pub(super) const WINDOW: u16 = 64;
/// The largest frame that it takes.
const MAX_FRAME: usize = 64 * 1024;
/// How much is read at a time.
const CHUNK: usize = 16 * 1024;

/// The member's end of a connection, without the connection.
#[derive(Debug, Default)]
pub(super) struct Raw {
    /// What the hub is to read next.
    pub(super) out: Vec<u8>,
    /// A frame that is not all there.
    rest: Vec<u8>,
    greeted: bool,
    /// It is logged in, and there is nothing older to deliver.
    pub(super) synced: bool,
    /// Messages that came.
    pub(super) delivered: u64,
    /// Requests that were answered.
    pub(super) answered: u32,
    /// Why the hub wants nothing to do with it, if so.
    refused: Option<Box<str>>,
}

impl Raw {
    /// Hello and login are on their way.
    pub(super) fn new(target: &Target, name: &str) -> Result<Self, Failure> {
        let user = UserId::new(name).map_err(Failure::usage)?;
        let hello = Hello {
            min_version: 1,
            max_version: 1,
            role: Role::CLIENT,
            features: 0,
            max_frame: MAX_FRAME as u32,
            window: WINDOW,
        };
        let mut raw = Self {
            out: hello.to_bytes().to_vec(),
            ..Self::default()
        };
        let login = Login {
            app: target.app.id,
            user,
            user_sig: &target.sig(&user),
            device: 1,
            platform: Platform::DESKTOP,
            resume: Resume::NOW,
            cursor: &[],
            session: 1,
            attempt: 1,
        };
        raw.say(FrameKind::LOGIN, 0, &tim_proto::message::to_vec(&login));
        Ok(raw)
    }

    /// Makes a request, whose answer is counted.
    pub(super) fn request(&mut self, kind: FrameKind, id: u32, body: &impl Encode) {
        self.say(kind, id, &tim_proto::message::to_vec(body));
    }

    fn say(&mut self, kind: FrameKind, id: u32, body: &[u8]) {
        let start = self.out.len();
        self.out.resize(start + MAX_FRAME_HEADER_LEN + body.len(), 0);
        let frame = Frame { kind, id, body };
        let mut writer = Writer::new(&mut self.out[start..]);
        frame.encode(&mut writer);
        let len = writer.len();
        self.out.truncate(start + len);
    }

    /// Takes what the hub said.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let mut taken = None;
        if self.rest.is_empty() {
            let used = self.read(bytes, &mut taken)?;
            self.rest = bytes[used..].to_vec();
        } else {
            let mut all = std::mem::take(&mut self.rest);
            all.extend_from_slice(bytes);
            let used = self.read(&all, &mut taken)?;
            self.rest = all[used..].to_vec();
        }
        if let Some(last) = taken {
            self.say(FrameKind::ACK, last, &[]);
        }
        match &self.refused {
            Some(why) => Err(Failure::failed(why)),
            None => Ok(()),
        }
    }

    /// Reads whole frames; how many bytes they were, and the last delivery among them.
    fn read(&mut self, bytes: &[u8], taken: &mut Option<u32>) -> Result<usize, Failure> {
        let mut at = 0;
        if !self.greeted {
            if bytes.len() < Hello::LEN {
                return Ok(0);
            }
            (self.greeted, at) = (true, Hello::LEN);
        }
        while let Parsed::Frame(frame, len) =
            Frame::parse(&bytes[at..], MAX_FRAME).map_err(Failure::failed)?
        {
            at += len;
            match frame.kind {
                FrameKind::DELIVER => {
                    self.delivered += 1;
                    *taken = Some(frame.id);
                }
                FrameKind::SYNCED => self.synced = true,
                FrameKind::PING => self.say(FrameKind::PONG, frame.id, &[]),
                FrameKind::ERROR | FrameKind::GOODBYE => {
                    let why: Refusal<'_> = decode_body(frame.body).map_err(Failure::failed)?;
                    self.refused = Some(format!("{} {}", why.code.explain(), why.text).into());
                }
                kind if kind.is_answer() && kind != FrameKind::LOGIN.answer() => self.answered += 1,
                _ => {}
            }
        }
        Ok(at)
    }
}

/// A member on a TCP connection.
#[derive(Debug)]
pub(super) struct Member {
    stream: TcpStream,
    pub(super) raw: Raw,
}

impl Member {
    /// Logs in and waits until there is nothing older to deliver.
    pub(super) async fn login(target: &Target, name: &str) -> Result<Self, Failure> {
        let stream = TcpStream::connect(target.address)
            .await
            .map_err(Failure::failed)?;
        stream.set_nodelay(true).map_err(Failure::failed)?;
        let raw = Raw::new(target, name)?;
        let mut member = Self { stream, raw };
        while !member.raw.synced {
            member.turn().await?;
        }
        member.raw.delivered = 0;
        Ok(member)
    }

    /// Says what there is to say, waits until something comes, and takes it.
    pub(super) async fn turn(&mut self) -> Result<(), Failure> {
        self.flush().await?;
        self.stream.readable().await.map_err(Failure::failed)?;
        self.take()?;
        self.flush().await
    }

    /// Not a future: the bytes are on the stack only as long as this takes.
    fn take(&mut self) -> Result<(), Failure> {
        let mut bytes = [0; CHUNK];
        match self.stream.try_read(&mut bytes) {
            Ok(0) => Err(Failure::failed("the hub hung up")),
            Ok(len) => self.raw.receive(&bytes[..len]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(Failure::failed(error)),
        }
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        while !self.raw.out.is_empty() {
            match self.stream.try_write(&self.raw.out) {
                Ok(len) if len == self.raw.out.len() => self.raw.out = Vec::new(),
                Ok(len) => drop(self.raw.out.drain(..len)),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    self.stream.writable().await.map_err(Failure::failed)?;
                }
                Err(error) => return Err(Failure::failed(error)),
            }
        }
        Ok(())
    }
}
