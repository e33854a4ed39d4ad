//! A client that costs next to nothing: it acknowledges what arrives, and reads none of it.
//!
//! Thousands of them share a machine with the hub that they load. There is no session behind one, only what a hub must hear
//! to go on: hello, login, acknowledgements, signs of life.

use tim_session::proto::request::{Done, Failure, Login};
use tim_session::proto::wire::{Encode, End, Frame, FrameKind, Hello, Parsed, decode_body};

use crate::{frame, hello};

/// The largest frame that it takes.
const MAX_FRAME: usize = 64 * 1024;

/// The client's end of a connection, without the connection.
#[derive(Debug, Default)]
pub struct RawClient {
    /// The bytes to send to the hub; the sender removes them.
    pub outgoing: Vec<u8>,
    /// An incomplete frame.
    rest: Vec<u8>,
    greeted: bool,
    /// It is logged in, and everything older is delivered.
    pub synced: bool,
    /// Deliveries that arrived.
    pub delivered: u64,
    /// Responses that arrived, refusals not counted.
    pub answered: u32,
    /// Signs of life that the hub asked for.
    pub keepalives: u32,
    refused: Option<Box<str>>,
}

impl RawClient {
    /// A client that takes so many deliveries ahead. Hello and login are outgoing.
    #[must_use]
    pub fn new(login: &Login<'_>, window: u16) -> Self {
        let mut client = Self {
            outgoing: hello(End::CLIENT, (1, 1), MAX_FRAME as u32, window).to_vec(),
            ..Self::default()
        };
        client.request(FrameKind::LOGIN, 0, login);
        client
    }

    /// Makes a request, whose response is counted.
    pub fn request(&mut self, kind: FrameKind, id: u32, body: &impl Encode) {
        self.outgoing.extend(frame(kind, id, body));
    }

    /// Takes bytes that the hub sent.
    ///
    /// # Errors
    /// Why the hub refused something, or what is wrong with its bytes.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut last_delivery = None;
        if self.rest.is_empty() {
            let used = self.read(bytes, &mut last_delivery)?;
            self.rest = bytes[used..].to_vec();
        } else {
            let mut all = std::mem::take(&mut self.rest);
            all.extend_from_slice(bytes);
            let used = self.read(&all, &mut last_delivery)?;
            self.rest = all[used..].to_vec();
        }
        if let Some(last) = last_delivery {
            self.request(FrameKind::ACK, last, &Done);
        }
        match &self.refused {
            Some(reason) => Err(reason.to_string()),
            None => Ok(()),
        }
    }

    /// Reads whole frames. Returns how many bytes they were, and the id of the last delivery among them.
    fn read(&mut self, bytes: &[u8], last_delivery: &mut Option<u32>) -> Result<usize, String> {
        let mut at = 0;
        if !self.greeted {
            if bytes.len() < Hello::LEN {
                return Ok(0);
            }
            (self.greeted, at) = (true, Hello::LEN);
        }
        while let Parsed::Frame(frame, len) =
            Frame::parse(&bytes[at..], MAX_FRAME).map_err(|error| error.to_string())?
        {
            at += len;
            match frame.kind {
                FrameKind::DELIVER => {
                    self.delivered += 1;
                    *last_delivery = Some(frame.id);
                }
                FrameKind::SYNCED => self.synced = true,
                FrameKind::PING => {
                    self.keepalives += 1;
                    self.request(FrameKind::PONG, frame.id, &Done);
                }
                FrameKind::ERROR | FrameKind::GOODBYE => {
                    let failure: Failure<'_> = decode_body(frame.body).map_err(|error| error.to_string())?;
                    self.refused = Some(format!("{} {}", failure.code.explain(), failure.text).into());
                }
                kind if kind.is_answer() && kind != FrameKind::LOGIN.answer() => self.answered += 1,
                _ => {}
            }
        }
        Ok(at)
    }
}
