//! One connection of the model hub.

use tim_session::proto::UserId;
use tim_session::proto::message::{Header, MessageFlags, to_vec};
use tim_session::proto::wire::{Frame, FrameKind, Hello, Parsed, decode_body};
use tim_session::{DeliverError, Framing, GrowBuffer, HubConfig, HubSession, Instant, SendError};

/// A session, and how far its client has come.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) session: HubSession<GrowBuffer>,
    pub(super) framing: Framing,
    /// User and device, once logged in.
    pub(super) device: Option<(UserId, u64)>,
    /// Session number and attempt of this login, and of those that it replaced.
    pub(super) logins: Vec<(u64, u32)>,
    /// The next position in the order of changes, and the one at which SYNCED is due.
    pub(super) next: usize,
    pub(super) synced_at: Option<usize>,
    pub(super) closed: bool,
    /// Deliveries sent, and acknowledgements received: counted in the bytes, to check the session's window.
    pub(super) delivered: u32,
    acknowledged: u32,
    /// Bytes since the last whole frame, including the hello.
    unread: Vec<u8>,
    greeted: bool,
}

impl Connection {
    pub(super) fn new(config: HubConfig, now: Instant) -> Self {
        Self {
            session: HubSession::new(config, GrowBuffer::new(65536), GrowBuffer::new(1 << 20), now),
            framing: config.framing,
            device: None,
            logins: Vec::new(),
            next: 0,
            synced_at: None,
            closed: false,
            delivered: 0,
            acknowledged: 0,
            unread: Vec::new(),
            greeted: false,
        }
    }

    /// The session on a serial line is over; the line waits for the next one.
    pub(super) fn begin_again(&mut self, now: Instant) {
        self.session.begin_again(now);
        (self.device, self.next, self.synced_at) = (None, 0, None);
        (self.delivered, self.acknowledged) = (0, 0);
    }

    /// How many deliveries are not acknowledged. On a serial line this is what the session says.
    pub(super) fn in_flight(&self) -> usize {
        match self.framing {
            Framing::Stream => (self.delivered - self.acknowledged) as usize,
            _ => self.session.window() - self.session.window_capacity(),
        }
    }

    /// Reads the acknowledgements in what a client sends on a stream.
    pub(super) fn watch(&mut self, bytes: &[u8]) {
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

    /// Delivers an entry, as a stub if the client takes no frame of its size. Returns whether it was sent.
    pub(super) fn deliver(&mut self, entry: &[u8]) -> bool {
        let cursor = super::cursor(self.next + 1);
        match self.session.deliver(&cursor, 0, entry) {
            Ok(()) => true,
            Err(DeliverError::Send(SendError::TooLarge { .. })) => {
                let mut header: Header<'_> = decode_body(entry).expect("an entry of the log");
                let len = header.content.payload.len() as u32;
                header.envelope.flags |= MessageFlags::STUB;
                header.content.payload = &[];
                self.session.deliver(&cursor, len, &to_vec(&header)).is_ok()
            }
            Err(_) => false,
        }
    }
}
