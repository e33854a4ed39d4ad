//! Frames: `kind`, `id`, `length`, `body`. On a stream they follow each other without anything between them; the
//! length is what separates them.

use core::fmt;

use super::{Reader, Writer};

/// The most bytes that stand before a body: the kind, and two varints of 32 bits.
pub const MAX_FRAME_HEADER_LEN: usize = 1 + 5 + 5;

/// What a frame says; an open enumeration. Requests stand below 0x80, the answer to a request has the high bit set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameKind(pub u8);

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $value:expr;)*) => {
        impl FrameKind {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// The kind's name in `SPEC.md`, without the answer bit.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.request() {
                    $(Self::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    /// Request: who I am, and where I left off.
    LOGIN = 0x01;
    /// Request: I leave on purpose.
    LOGOUT = 0x02;
    /// Are you there? The id comes back in a PONG.
    PING = 0x03;
    /// I am here.
    PONG = 0x04;
    /// Deliveries up to this id were taken.
    ACK = 0x05;
    /// The connection ends, and why.
    GOODBYE = 0x06;
    /// The request with this id failed.
    ERROR = 0x07;
    /// Request: store and pass on a message.
    SEND = 0x10;
    /// Request: take a message back.
    REVOKE = 0x11;
    /// Request: a page of history.
    HISTORY = 0x12;
    /// Request: I have read a conversation.
    MARK_READ = 0x13;
    /// Request: my conversations.
    CONVERSATIONS = 0x14;
    /// Request: all about one conversation.
    CONVERSATION_PROFILE = 0x15;
    /// Request: take a conversation off my list.
    DELETE_CONVERSATION = 0x16;
    /// Request: a piece of a message that arrived as a stub.
    FETCH = 0x17;
    /// Request: make a group with these members.
    CREATE_GROUP = 0x20;
    /// Request: let me into a group.
    JOIN_GROUP = 0x21;
    /// Request: I leave a group.
    QUIT_GROUP = 0x22;
    /// Request: somebody who applied may join a group, or may not.
    HANDLE_APPLICATION = 0x23;
    /// Request: these users are to join a group.
    INVITE_MEMBERS = 0x24;
    /// Request: these members are to leave a group.
    REMOVE_MEMBERS = 0x25;
    /// Request: change a member's role, muting or name card.
    SET_MEMBER = 0x26;
    /// Request: a group is another member's from now on.
    CHANGE_OWNER = 0x27;
    /// Request: change a group's profile or options.
    UPDATE_GROUP = 0x28;
    /// Request: a group is to be no more.
    DISMISS_GROUP = 0x29;
    /// Request: a page of a group's members.
    GROUP_MEMBERS = 0x2A;
    /// Request: a page of the groups that I am in.
    GROUPS = 0x2B;
    /// Request: what there is to know about a group.
    GROUP_PROFILE = 0x2C;
    /// Request: I join a group as I was invited to, or I do not.
    HANDLE_INVITATION = 0x2D;
    /// Request: keep these users out of an AVChatRoom, or let them in again.
    BAN_MEMBERS = 0x2E;
    /// Request: how I want to be told of a group's messages.
    SET_RECEIVE_OPTION = 0x2F;
    /// Request: what there is to know about users.
    USER_PROFILES = 0x30;
    /// Request: change my own profile.
    UPDATE_USER_PROFILE = 0x31;
    /// Request: go on with this UserSig.
    RENEW = 0x32;
    /// The hub hands over an entry of a conversation.
    DELIVER = 0x40;
    /// Entries that the device has not seen are no longer there.
    GAP = 0x41;
    /// The device has been given all that was there when it logged in.
    SYNCED = 0x42;
    /// The user's own state of a conversation changed, on whichever device.
    CONVERSATION = 0x43;
    /// The user's UserSig ends soon, and the session with it.
    EXPIRING = 0x44;
}

impl FrameKind {
    const ANSWER: u8 = 0x80;

    /// The kind of the answer to this request.
    #[must_use]
    pub const fn answer(self) -> Self {
        Self(self.0 | Self::ANSWER)
    }

    /// Whether this is an answer.
    #[must_use]
    pub const fn is_answer(self) -> bool {
        self.0 & Self::ANSWER != 0
    }

    /// The kind without the answer bit.
    #[must_use]
    pub const fn request(self) -> Self {
        Self(self.0 & !Self::ANSWER)
    }
}

impl fmt::Display for FrameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) if self.is_answer() => write!(f, "{name} answer"),
            Some(name) => f.write_str(name),
            None => write!(f, "frame kind {:#04x}", self.0),
        }
    }
}

impl fmt::Debug for FrameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One frame, borrowed from the buffer that it was received in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it says.
    pub kind: FrameKind,
    /// Which request it makes or answers, or which delivery it is; 0 where there is nothing to tell apart.
    pub id: u32,
    /// Its content.
    pub body: &'a [u8],
}

impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Frame");
        out.field("kind", &self.kind).field("id", &self.id);
        match self.kind {
            // A UserSig stands in it, which is a credential and stays out of logs.
            FrameKind::LOGIN => out.finish_non_exhaustive(),
            _ => out.field("body", &self.body).finish(),
        }
    }
}

/// What stands at the start of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// A whole frame, and how many bytes it takes.
    Frame(Frame<'a>, usize),
    /// The beginning of a frame; at least this many bytes are needed in all before it is worth asking again.
    Incomplete(usize),
}

/// Bytes that cannot be a frame: the stream cannot be trusted any more, and the peer is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The id or the length is no varint of 32 bits.
    #[error("a frame header holds a number out of range")]
    Header,
    /// The frame is larger than was agreed.
    #[error("a frame of {len} bytes is larger than the {max} that were agreed")]
    TooLarge {
        /// Its length, header included.
        len: usize,
        /// The largest that this side takes.
        max: usize,
    },
    /// A transport that keeps message borders handed over more or less than one frame.
    #[error("the message is not exactly one frame")]
    Border,
}

impl<'a> Frame<'a> {
    /// Reads the frame at the start of `bytes`, if it is all there; never more than `max` bytes, header included.
    ///
    /// # Errors
    /// [`FrameError`] as soon as the header shows that this can be no acceptable frame.
    pub fn parse(bytes: &'a [u8], max: usize) -> Result<Parsed<'a>, FrameError> {
        let mut reader = Reader::new(bytes);
        if bytes.is_empty() {
            return Ok(Parsed::Incomplete(3));
        }
        let kind = reader.take_u8();
        let Some(id) = header_number(&mut reader)? else {
            return Ok(Parsed::Incomplete(bytes.len() + 1));
        };
        let Some(body_len) = header_number(&mut reader)? else {
            return Ok(Parsed::Incomplete(bytes.len() + 1));
        };
        let len = reader.position().saturating_add(body_len as usize);
        if len > max {
            return Err(FrameError::TooLarge { len, max });
        }
        Ok(match reader.rest().get(..body_len as usize) {
            Some(body) => Parsed::Frame(
                Frame {
                    kind: FrameKind(kind),
                    id,
                    body,
                },
                len,
            ),
            None => Parsed::Incomplete(len),
        })
    }

    /// Reads a message of a transport that keeps message borders: exactly one frame.
    ///
    /// # Errors
    /// [`FrameError::Border`] for a part of a frame or more than one, else as [`Frame::parse`].
    pub fn parse_exact(bytes: &'a [u8], max: usize) -> Result<Self, FrameError> {
        match Self::parse(bytes, max)? {
            Parsed::Frame(frame, len) if len == bytes.len() => Ok(frame),
            _ => Err(FrameError::Border),
        }
    }

    /// Appends the frame.
    pub fn encode(&self, writer: &mut Writer<'_>) {
        Self::encode_header(self.kind, self.id, self.body.len(), writer);
        writer.put(self.body);
    }

    /// Appends what stands before a body of `body_len` bytes.
    #[inline]
    pub fn encode_header(kind: FrameKind, id: u32, body_len: usize, writer: &mut Writer<'_>) {
        writer.put_u8(kind.0);
        writer.put_varint(u64::from(id));
        writer.put_varint(body_len as u64);
    }
}

/// A varint of 32 bits, `None` while it is not all there.
fn header_number(reader: &mut Reader<'_>) -> Result<Option<u32>, FrameError> {
    let mut value = 0_u64;
    for shift in [0, 7, 14, 21, 28] {
        if reader.rest().is_empty() {
            return Ok(None);
        }
        let byte = reader.take_u8();
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return u32::try_from(value).map(Some).map_err(|_| FrameError::Header);
        }
    }
    Err(FrameError::Header)
}
