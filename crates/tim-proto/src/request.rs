//! The bodies of frames: what a client may ask, what the hub answers and says on its own.
//!
//! Each struct is the body of the frame kind that its doc names; `SPEC.md` has the tables.

use crate::conversation::{Conversation, ConversationList};
use crate::message::{Content, SendOptions};
use crate::wire::{Decode, DecodeError, Encode, FrameKind, List, Reader, Writer, decode_body, wire};
use crate::{ConversationId, ErrorCode, GroupId, GroupType, Message, MessageId, Platform, UserId};

/// Where the deliveries to a device are to start; an open enumeration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Resume(pub u8);

impl Resume {
    /// With what comes from now on; history is there to be paged.
    pub const NOW: Self = Self(0);
    /// Behind [`Login::cursor`].
    pub const CURSOR: Self = Self(1);
    /// With the oldest entry that is kept.
    pub const START: Self = Self(2);
}

/// LOGIN: who I am, and where I left off.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Login<'a> {
    /// The application's number (`sdkAppID`).
    pub app: u32,
    /// Who I am.
    pub user: UserId,
    /// The proof of it.
    pub user_sig: &'a str,
    /// The device's number, made once at random and kept. A new connection of the same device replaces the old one.
    pub device: u64,
    /// What the device is.
    pub platform: Platform,
    /// Where deliveries start.
    pub resume: Resume,
    /// The cursor of the last delivery that the device took, for [`Resume::CURSOR`].
    pub cursor: &'a [u8],
}
wire!(Login<'a> { app, user, user_sig, device, platform, resume, cursor });

impl core::fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // The signature is a credential and stays out of logs.
        f.debug_struct("Login")
            .field("app", &self.app)
            .field("user", &self.user)
            .field("device", &self.device)
            .field("platform", &self.platform)
            .field("resume", &self.resume)
            .finish_non_exhaustive()
    }
}

/// LOGIN answer: welcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginAnswer<'a> {
    /// The user's account number (`tinyID`), which goes into message ids.
    pub account: u64,
    /// The hub's time, Unix time in milliseconds.
    pub time_ms: u64,
    /// Where the device's deliveries stand now.
    pub cursor: &'a [u8],
    /// The name shown for the user.
    pub nick: &'a str,
}
wire!(LoginAnswer<'a> { account, time_ms, cursor, nick });

/// SEND: store this message and pass it on. The content stands last and is passed on byte for byte.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Send<'a> {
    /// How.
    pub options: SendOptions<'a>,
    /// What.
    pub content: Content<'a>,
}

impl Encode for Send<'_> {
    fn encode(&self, writer: &mut Writer<'_>) {
        writer.put_sized(&self.options);
        self.content.encode(writer);
    }
}

impl<'a> Decode<'a> for Send<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let options = reader.take_bytes().and_then(decode_body)?;
        Ok(Self {
            options,
            content: Content::decode(reader)?,
        })
    }
}

impl<'a> Send<'a> {
    /// The content's own bytes in the body of a SEND frame.
    ///
    /// # Errors
    /// [`DecodeError`] if the options in front of it are cut short.
    pub fn content_bytes(body: &'a [u8]) -> Result<&'a [u8], DecodeError> {
        let mut reader = Reader::new(body);
        reader.take_bytes()?;
        Ok(reader.take_rest())
    }
}

/// A SEND as it is encoded from a message that was made but not sent.
#[derive(Debug, Clone, Copy)]
pub struct SendMessage<'a> {
    /// How.
    pub options: SendOptions<'a>,
    /// What; only the sender's part of it travels.
    pub message: Message<'a>,
}

impl Encode for SendMessage<'_> {
    fn encode(&self, writer: &mut Writer<'_>) {
        writer.put_sized(&self.options);
        self.message.encode_content(writer);
    }
}

/// SEND answer: it is stored (or, if for those online only, passed on).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendAnswer {
    /// Its place in the conversation; 0 if it is not stored.
    pub sequence: u64,
    /// When the hub took it, Unix time in seconds.
    pub time: u64,
    /// Whether this very message had been stored before (S125).
    pub duplicate: bool,
}
wire!(SendAnswer {
    sequence,
    time,
    duplicate
});

/// REVOKE: take this message back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoke<'a> {
    /// In which conversation.
    pub conversation: ConversationId,
    /// Where it stands.
    pub sequence: u64,
    /// Which one, as a check; all zero if not known.
    pub message: MessageId,
    /// Why; may be empty.
    pub reason: &'a str,
}
wire!(Revoke<'a> { conversation, sequence, message, reason });

/// REVOKE answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevokeAnswer {
    /// The sequence of the entry that says so.
    pub sequence: u64,
}
wire!(RevokeAnswer { sequence });

/// HISTORY: a page, going back from where the last one ended (S171-S180).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History<'a> {
    /// Of which conversation.
    pub conversation: ConversationId,
    /// `nextReqMessageID` of the page before; empty for the newest page.
    pub next: &'a [u8],
    /// How many messages at the most; 0 means the default.
    pub count: u16,
}
wire!(History<'a> { conversation, next, count });

/// HISTORY answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HistoryAnswer<'a> {
    /// What to ask for next.
    pub next: &'a [u8],
    /// Whether there is nothing older.
    pub completed: bool,
    /// The messages, oldest first.
    pub messages: List<'a, Message<'a>>,
}
wire!(HistoryAnswer<'a> { next, completed, messages });

/// MARK_READ: I have read this conversation (S181-S186).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarkRead {
    /// Which one.
    pub conversation: ConversationId,
    /// Up to where; 0 means all of it.
    pub sequence: u64,
}
wire!(MarkRead {
    conversation,
    sequence
});

/// MARK_READ answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarkReadAnswer {
    /// Up to where it is read now.
    pub read_sequence: u64,
    /// What is left unread.
    pub unread: u32,
}
wire!(MarkReadAnswer {
    read_sequence,
    unread
});

/// CONVERSATIONS: my conversations, newest first (S187-S195).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conversations {
    /// How many at the most; 0 means the default.
    pub count: u16,
}
wire!(Conversations { count });

/// CONVERSATIONS answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConversationsAnswer<'a> {
    /// The conversations, newest first.
    pub conversations: ConversationList<'a>,
    /// Whether some were left out because the answer would have been larger than the receiver takes.
    pub truncated: bool,
}
wire!(ConversationsAnswer<'a> { conversations, truncated });

/// CONVERSATION_PROFILE and DELETE_CONVERSATION: this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OneConversation {
    /// Which one.
    pub conversation: ConversationId,
}
wire!(OneConversation { conversation });

/// An answer that says only that it was done (DELETE_CONVERSATION, LOGOUT).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done;

impl Encode for Done {
    fn encode(&self, _: &mut Writer<'_>) {}
}
impl<'a> Decode<'a> for Done {
    fn decode(_: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self)
    }
}

/// FETCH: a piece of a message that arrived as a stub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fetch {
    /// In which conversation.
    pub conversation: ConversationId,
    /// Where it stands.
    pub sequence: u64,
    /// From which byte of the payload on.
    pub offset: u32,
    /// How many bytes at the most.
    pub len: u32,
}
wire!(Fetch {
    conversation,
    sequence,
    offset,
    len
});

/// FETCH answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchAnswer<'a> {
    /// How long the whole payload is.
    pub total: u32,
    /// The piece; may be shorter than asked for.
    pub bytes: &'a [u8],
}
wire!(FetchAnswer<'a> { total, bytes });

/// CREATE_GROUP: make a group with these members.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CreateGroup<'a> {
    /// Its id, or none for one that the hub makes up.
    pub group: Option<GroupId>,
    /// Its type.
    pub group_type: GroupType,
    /// Its name.
    pub name: &'a str,
    /// What it is about.
    pub introduction: &'a str,
    /// What its members are told.
    pub notification: &'a str,
    /// Where its picture is.
    pub avatar: &'a str,
    /// Its members besides the maker.
    pub members: List<'a, UserId>,
    /// A random number that makes a repeated request the same request.
    pub random: u32,
}
wire!(CreateGroup<'a> { group, group_type, name, introduction, notification, avatar, members, random });

/// CREATE_GROUP answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreateGroupAnswer {
    /// The group's id.
    pub group: GroupId,
}
wire!(CreateGroupAnswer { group });

/// ERROR: the request with this id failed. GOODBYE: the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure<'a> {
    /// The code that `IMError` shows.
    pub code: ErrorCode,
    /// What went wrong, in words; may be empty.
    pub text: &'a str,
}
wire!(Failure<'a> { code, text });

/// DELIVER: an entry of a conversation, and where the device stands once it has taken it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Deliver<'a> {
    /// What to present as [`Login::cursor`] next time; empty for a message that is not stored.
    pub cursor: &'a [u8],
    /// For a [`crate::message::flags::STUB`]: how long the payload is that was left out; else 0.
    pub payload_len: u32,
    /// The entry.
    pub message: Message<'a>,
}
wire!(Deliver<'a> { cursor, payload_len, message });

/// GAP: these entries fell out of retention before the device saw them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// In which conversation.
    pub conversation: ConversationId,
    /// The first one missing.
    pub from: u64,
    /// The last one missing.
    pub to: u64,
}
wire!(Gap {
    conversation,
    from,
    to
});

/// SYNCED: the device has been handed all that there was. May come again, to move the cursor past what concerns the
/// device but is not handed to it (its own messages).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Synced<'a> {
    /// What to present as [`Login::cursor`] next time; empty leaves it as it is.
    pub cursor: &'a [u8],
}

impl Encode for Synced<'_> {
    fn encode(&self, writer: &mut Writer<'_>) {
        if !self.cursor.is_empty() {
            self.cursor.encode(writer);
        }
    }
}

impl<'a> Decode<'a> for Synced<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let cursor = if reader.rest().is_empty() {
            &[]
        } else {
            reader.take_bytes()?
        };
        Ok(Self { cursor })
    }
}

/// CONVERSATION: the user's own state of a conversation changed, on whichever device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConversationChange {
    /// Which one.
    pub conversation: ConversationId,
    /// Messages not read yet.
    pub unread: u32,
    /// Up to where it is read.
    pub read_sequence: u64,
    /// Whether it was taken off the list.
    pub deleted: bool,
}
wire!(ConversationChange {
    conversation,
    unread,
    read_sequence,
    deleted
});

/// Any request that a client may make, by frame kind.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Request<'a> {
    /// SEND.
    Send(Send<'a>),
    /// REVOKE.
    Revoke(Revoke<'a>),
    /// HISTORY.
    History(History<'a>),
    /// MARK_READ.
    MarkRead(MarkRead),
    /// CONVERSATIONS.
    Conversations(Conversations),
    /// CONVERSATION_PROFILE.
    ConversationProfile(OneConversation),
    /// DELETE_CONVERSATION.
    DeleteConversation(OneConversation),
    /// FETCH.
    Fetch(Fetch),
    /// CREATE_GROUP.
    CreateGroup(CreateGroup<'a>),
    /// LOGOUT.
    Logout,
    /// A kind that this version does not know.
    Unknown(FrameKind),
}

impl<'a> Request<'a> {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// [`DecodeError`] if it is not what its kind says.
    pub fn decode(kind: FrameKind, body: &'a [u8]) -> Result<Self, DecodeError> {
        Ok(match kind {
            FrameKind::SEND => Self::Send(decode_body(body)?),
            FrameKind::REVOKE => Self::Revoke(decode_body(body)?),
            FrameKind::HISTORY => Self::History(decode_body(body)?),
            FrameKind::MARK_READ => Self::MarkRead(decode_body(body)?),
            FrameKind::CONVERSATIONS => Self::Conversations(decode_body(body)?),
            FrameKind::CONVERSATION_PROFILE => Self::ConversationProfile(decode_body(body)?),
            FrameKind::DELETE_CONVERSATION => Self::DeleteConversation(decode_body(body)?),
            FrameKind::FETCH => Self::Fetch(decode_body(body)?),
            FrameKind::CREATE_GROUP => Self::CreateGroup(decode_body(body)?),
            FrameKind::LOGOUT => Self::Logout,
            other => Self::Unknown(other),
        })
    }

    /// The kind of frame that carries it.
    #[must_use]
    pub const fn kind(&self) -> FrameKind {
        match self {
            Self::Send(_) => FrameKind::SEND,
            Self::Revoke(_) => FrameKind::REVOKE,
            Self::History(_) => FrameKind::HISTORY,
            Self::MarkRead(_) => FrameKind::MARK_READ,
            Self::Conversations(_) => FrameKind::CONVERSATIONS,
            Self::ConversationProfile(_) => FrameKind::CONVERSATION_PROFILE,
            Self::DeleteConversation(_) => FrameKind::DELETE_CONVERSATION,
            Self::Fetch(_) => FrameKind::FETCH,
            Self::CreateGroup(_) => FrameKind::CREATE_GROUP,
            Self::Logout => FrameKind::LOGOUT,
            Self::Unknown(kind) => *kind,
        }
    }
}

impl Encode for Request<'_> {
    fn encode(&self, writer: &mut Writer<'_>) {
        match self {
            Self::Send(body) => body.encode(writer),
            Self::Revoke(body) => body.encode(writer),
            Self::History(body) => body.encode(writer),
            Self::MarkRead(body) => body.encode(writer),
            Self::Conversations(body) => body.encode(writer),
            Self::ConversationProfile(body) | Self::DeleteConversation(body) => body.encode(writer),
            Self::Fetch(body) => body.encode(writer),
            Self::CreateGroup(body) => body.encode(writer),
            Self::Logout | Self::Unknown(_) => {}
        }
    }
}

/// Any answer of the hub that is no error, by frame kind.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant)] // borrowed and short-lived, and there is no heap to put it on
pub enum Answer<'a> {
    /// To LOGIN.
    Login(LoginAnswer<'a>),
    /// To SEND.
    Send(SendAnswer),
    /// To REVOKE.
    Revoke(RevokeAnswer),
    /// To HISTORY.
    History(HistoryAnswer<'a>),
    /// To MARK_READ.
    MarkRead(MarkReadAnswer),
    /// To CONVERSATIONS.
    Conversations(ConversationsAnswer<'a>),
    /// To CONVERSATION_PROFILE.
    ConversationProfile(crate::conversation::ConversationProfile<'a>),
    /// To DELETE_CONVERSATION and LOGOUT.
    Done,
    /// To FETCH.
    Fetch(FetchAnswer<'a>),
    /// To CREATE_GROUP.
    CreateGroup(CreateGroupAnswer),
    /// To a request that this version does not know.
    Unknown(FrameKind, &'a [u8]),
}

impl<'a> Answer<'a> {
    /// Reads the body of an answer; `kind` with or without the answer bit.
    ///
    /// # Errors
    /// [`DecodeError`] if it is not what its kind says.
    pub fn decode(kind: FrameKind, body: &'a [u8]) -> Result<Self, DecodeError> {
        Ok(match kind.request() {
            FrameKind::LOGIN => Self::Login(decode_body(body)?),
            FrameKind::SEND => Self::Send(decode_body(body)?),
            FrameKind::REVOKE => Self::Revoke(decode_body(body)?),
            FrameKind::HISTORY => Self::History(decode_body(body)?),
            FrameKind::MARK_READ => Self::MarkRead(decode_body(body)?),
            FrameKind::CONVERSATIONS => Self::Conversations(decode_body(body)?),
            FrameKind::CONVERSATION_PROFILE => Self::ConversationProfile(decode_body(body)?),
            FrameKind::DELETE_CONVERSATION | FrameKind::LOGOUT => {
                let Done = decode_body(body)?;
                Self::Done
            }
            FrameKind::FETCH => Self::Fetch(decode_body(body)?),
            FrameKind::CREATE_GROUP => Self::CreateGroup(decode_body(body)?),
            other => Self::Unknown(other, body),
        })
    }
}

impl Encode for Answer<'_> {
    fn encode(&self, writer: &mut Writer<'_>) {
        match self {
            Self::Login(body) => body.encode(writer),
            Self::Send(body) => body.encode(writer),
            Self::Revoke(body) => body.encode(writer),
            Self::History(body) => body.encode(writer),
            Self::MarkRead(body) => body.encode(writer),
            Self::Conversations(body) => body.encode(writer),
            Self::ConversationProfile(body) => body.encode(writer),
            Self::Done => {}
            Self::Fetch(body) => body.encode(writer),
            Self::CreateGroup(body) => body.encode(writer),
            Self::Unknown(_, body) => writer.put(body),
        }
    }
}

/// What the hub may send that is no answer, by frame kind.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant)] // borrowed and short-lived, and there is no heap to put it on
pub enum Push<'a> {
    /// DELIVER.
    Deliver(Deliver<'a>),
    /// GAP.
    Gap(Gap),
    /// SYNCED.
    Synced(Synced<'a>),
    /// CONVERSATION.
    Conversation(ConversationChange),
    /// A kind that this version does not know.
    Unknown(FrameKind),
}

impl<'a> Push<'a> {
    /// Reads the body of a push.
    ///
    /// # Errors
    /// [`DecodeError`] if it is not what its kind says.
    pub fn decode(kind: FrameKind, body: &'a [u8]) -> Result<Self, DecodeError> {
        Ok(match kind {
            FrameKind::DELIVER => Self::Deliver(decode_body(body)?),
            FrameKind::GAP => Self::Gap(decode_body(body)?),
            FrameKind::SYNCED => Self::Synced(decode_body(body)?),
            FrameKind::CONVERSATION => Self::Conversation(decode_body(body)?),
            other => Self::Unknown(other),
        })
    }
}

wire!(Resume(..), Platform(..), ErrorCode(..));

// A list entry is decoded as often as it is looked at, so it stays cheap to copy.
const _: () = assert!(size_of::<Conversation<'_>>() <= 200);
