//! A member that costs next to nothing: it takes what comes and says that it took it, and reads none of it.
//!
//! Thousands of them share a machine with the hub that is measured, so there is no session behind them, only what
//! the hub must hear to go on: hello, login, acknowledgements, signs of life.

use tim_proto::request::{Failure, Login, Resume};
use tim_proto::wire::{
    Encode, Frame, FrameKind, Hello, MAX_FRAME_HEADER_LEN, Parsed, Role, Writer, decode_body,
};
use tim_proto::{Platform, UserId};
use tokio::net::TcpStream;

use crate::Result;
use crate::hub::Target;

/// How many deliveries it takes ahead.
pub(crate) const WINDOW: u16 = 64;
/// The largest frame that it takes.
const MAX_FRAME: usize = 64 * 1024;
/// How much is read at a time.
const CHUNK: usize = 16 * 1024;

/// The member's end of a connection, without the connection.
#[derive(Debug, Default)]
pub(crate) struct Raw {
    /// What the hub is to read next.
    pub(crate) out: Vec<u8>,
    /// A frame that is not all there.
    rest: Vec<u8>,
    greeted: bool,
    /// It is logged in, and there is nothing older to deliver.
    pub(crate) synced: bool,
    /// Messages that came.
    pub(crate) delivered: u64,
    /// Requests that were answered.
    pub(crate) answered: u32,
    /// Why the hub wants nothing to do with it, if so.
    refused: Option<Box<str>>,
}

impl Raw {
    /// Hello and login are on their way.
    pub(crate) fn new(target: &Target, name: &str) -> Result<Self> {
        let user = UserId::new(name)?;
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
    pub(crate) fn request(&mut self, kind: FrameKind, id: u32, body: &impl Encode) {
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
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Result<()> {
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
            Some(why) => Err(why.to_string().into()),
            None => Ok(()),
        }
    }

    /// Reads whole frames; how many bytes they were, and the last delivery among them.
    fn read(&mut self, bytes: &[u8], taken: &mut Option<u32>) -> Result<usize> {
        let mut at = 0;
        if !self.greeted {
            if bytes.len() < Hello::LEN {
                return Ok(0);
            }
            (self.greeted, at) = (true, Hello::LEN);
        }
        while let Parsed::Frame(frame, len) = Frame::parse(&bytes[at..], MAX_FRAME)? {
            at += len;
            match frame.kind {
                FrameKind::DELIVER => {
                    self.delivered += 1;
                    *taken = Some(frame.id);
                }
                FrameKind::SYNCED => self.synced = true,
                FrameKind::PING => self.say(FrameKind::PONG, frame.id, &[]),
                FrameKind::ERROR | FrameKind::GOODBYE => {
                    let why: Failure<'_> = decode_body(frame.body)?;
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
pub(crate) struct Member {
    stream: TcpStream,
    pub(crate) raw: Raw,
}

impl Member {
    /// Logs in and waits until there is nothing older to deliver.
    pub(crate) async fn login(target: &Target, name: &str) -> Result<Self> {
        let stream = TcpStream::connect(target.address).await?;
        stream.set_nodelay(true)?;
        let raw = Raw::new(target, name)?;
        let mut member = Self { stream, raw };
        while !member.raw.synced {
            member.turn().await?;
        }
        member.raw.delivered = 0;
        Ok(member)
    }

    /// Says what there is to say, waits until something comes, and takes it.
    pub(crate) async fn turn(&mut self) -> Result<()> {
        self.flush().await?;
        self.stream.readable().await?;
        self.take()?;
        self.flush().await
    }

    /// Not a future: the bytes are on the stack only as long as this takes.
    fn take(&mut self) -> Result<()> {
        let mut bytes = [0; CHUNK];
        match self.stream.try_read(&mut bytes) {
            Ok(0) => Err("the hub hung up".into()),
            Ok(len) => self.raw.receive(&bytes[..len]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn flush(&mut self) -> Result<()> {
        while !self.raw.out.is_empty() {
            match self.stream.try_write(&self.raw.out) {
                Ok(len) if len == self.raw.out.len() => self.raw.out = Vec::new(),
                Ok(len) => drop(self.raw.out.drain(..len)),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    self.stream.writable().await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
