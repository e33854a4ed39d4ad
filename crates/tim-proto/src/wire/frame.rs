//! Frames: `kind`, `id`, `length`, `body`, one after the other on a stream.

use core::fmt;
use core::str::FromStr;

use super::{Reader, Writer, wire_number};
use crate::open::{UnknownName, plain_number};

/// The maximal length of a frame's header: the kind, and two varints of 32 bits.
pub const MAX_FRAME_HEADER_LEN: usize = 1 + 5 + 5;

/// The kind of a frame; an open enumeration. Kinds of requests are below 0x80; a response has the high bit set.
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

            const NAMES: &[&str] = &[$(stringify!($name)),*];

            fn from_name(name: &str) -> Option<Self> {
                match name {
                    $(stringify!($name) => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    /// Request: authenticate the connection.
    LOGIN = 0x01;
    /// Request: end the session.
    LOGOUT = 0x02;
    /// Liveness check. The PONG has the same id.
    PING = 0x03;
    /// Response to PING.
    PONG = 0x04;
    /// Acknowledges the deliveries up to this id.
    ACK = 0x05;
    /// Ends the connection, with a reason.
    GOODBYE = 0x06;
    /// The request with this id failed.
    ERROR = 0x07;
    /// Request: store and deliver a message.
    SEND = 0x10;
    /// Request: revoke a message.
    REVOKE = 0x11;
    /// Request: a page of history.
    HISTORY = 0x12;
    /// Request: mark a conversation as read.
    MARK_READ = 0x13;
    /// Request: a page of the conversation list.
    CONVERSATIONS = 0x14;
    /// Request: the profile of a conversation.
    CONVERSATION_PROFILE = 0x15;
    /// Request: delete a conversation from the list.
    DELETE_CONVERSATION = 0x16;
    /// Request: a piece of a message that arrived as a stub.
    FETCH = 0x17;
    /// Request: announce a file, or continue its upload.
    BEGIN_UPLOAD = 0x18;
    /// Request: store a piece of a file.
    UPLOAD = 0x19;
    /// Request: complete an upload.
    END_UPLOAD = 0x1A;
    /// Request: forget an upload.
    CANCEL_UPLOAD = 0x1B;
    /// Request: a piece of the file of a message.
    DOWNLOAD = 0x1C;
    /// Request: a URL for the file of a message.
    FILE_URL = 0x1D;
    /// Request: create a group.
    CREATE_GROUP = 0x20;
    /// Request: join a group.
    JOIN_GROUP = 0x21;
    /// Request: leave a group.
    QUIT_GROUP = 0x22;
    /// Request: accept or refuse an application.
    HANDLE_APPLICATION = 0x23;
    /// Request: invite users into a group.
    INVITE_MEMBERS = 0x24;
    /// Request: remove members from a group.
    REMOVE_MEMBERS = 0x25;
    /// Request: change a member's role, mute or name card.
    SET_MEMBER = 0x26;
    /// Request: transfer the ownership of a group.
    CHANGE_OWNER = 0x27;
    /// Request: change a group's profile and options.
    UPDATE_GROUP = 0x28;
    /// Request: dismiss a group.
    DISMISS_GROUP = 0x29;
    /// Request: a page of a group's members.
    GROUP_MEMBERS = 0x2A;
    /// Request: a page of the user's groups.
    GROUPS = 0x2B;
    /// Request: the profile of a group.
    GROUP_PROFILE = 0x2C;
    /// Request: accept or refuse an invitation.
    HANDLE_INVITATION = 0x2D;
    /// Request: ban users from an AVChatRoom, or unban them.
    BAN_MEMBERS = 0x2E;
    /// Request: set the receive option of a group.
    SET_RECEIVE_OPTION = 0x2F;
    /// Request: profiles of users.
    USER_PROFILES = 0x30;
    /// Request: change the user's own profile.
    UPDATE_USER_PROFILE = 0x31;
    /// Request: continue the session with a new UserSig.
    RENEW = 0x32;
    /// Request: send notifications to a token of a push service.
    REGISTER_PUSH = 0x33;
    /// Request: send no more notifications to a token.
    UNREGISTER_PUSH = 0x34;
    /// Push: an entry of a conversation.
    DELIVER = 0x40;
    /// Push: entries were purged before the device received them.
    GAP = 0x41;
    /// Push: everything that was there at login has been delivered.
    SYNCED = 0x42;
    /// Push: the user's state of a conversation changed.
    CONVERSATION = 0x43;
    /// Push: the UserSig, and with it the session, expires soon.
    EXPIRING = 0x44;
    /// Push: an entry of a conversation, without what the device knows.
    DELIVER_COMPACT = 0x45;
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

/// Parses a name, with ` answer` behind it for an answer, or a number.
impl FromStr for FrameKind {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let (name, is_answer) = match text.strip_suffix(" answer") {
            Some(name) => (name, true),
            None => (text, false),
        };
        let named = Self::from_name(name).map(|kind| if is_answer { kind.answer() } else { kind });
        named.or_else(|| plain_number(text).map(Self)).ok_or(UnknownName {
            what: "FrameKind",
            expected: Self::NAMES,
        })
    }
}

impl From<u8> for FrameKind {
    fn from(number: u8) -> Self {
        Self(number)
    }
}

wire_number! { FrameKind(u8) }

/// One frame, borrowed from the buffer that it was received in.
///
/// `Debug` leaves the bodies out that hold a credential, `Serialize` does not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The kind.
    pub kind: FrameKind,
    /// The number of the request or delivery; 0 for frames that need none.
    pub id: u32,
    /// The body.
    pub body: &'a [u8],
}

#[cfg(feature = "serde")]
super::serialize! { Frame, Frame<'_>, { kind, id, body } }
#[cfg(feature = "serde")]
super::deserialize! { Frame, ['de: 'a, 'a], Frame<'a>, { kind: FrameKind, id: u32, body: &'a [u8] } }

impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Frame");
        out.field("kind", &self.kind).field("id", &self.id);
        match self.kind {
            // The body contains a UserSig or a signed URL, which must not reach logs.
            FrameKind::LOGIN | FrameKind::RENEW => out.finish_non_exhaustive(),
            kind if kind == FrameKind::FILE_URL.answer() => out.finish_non_exhaustive(),
            _ => out.field("body", &self.body).finish(),
        }
    }
}

/// The result of parsing the start of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// A frame and its length.
    Frame(Frame<'a>, usize),
    /// The beginning of a frame, of which at least this many bytes are needed.
    Incomplete(usize),
}

/// The bytes are not a frame. The peer is at fault, and the stream cannot be used any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The id or the length is not a varint of 32 bits.
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
    /// A message of a transport with message boundaries is not exactly one frame.
    #[error("the message is not exactly one frame")]
    Border,
}

impl<'a> Frame<'a> {
    /// Parses the frame at the start of `bytes`, of at most `max` bytes with its header.
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

    /// Parses a message of a transport with message boundaries, which is exactly one frame.
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

    /// Appends the header of a body of `body_len` bytes.
    #[inline]
    pub fn encode_header(kind: FrameKind, id: u32, body_len: usize, writer: &mut Writer<'_>) {
        writer.put_u8(kind.0);
        writer.put_varint(u64::from(id));
        writer.put_varint(body_len as u64);
    }
}

/// A varint of 32 bits, `None` if it is incomplete.
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
