//! The bodies of frames: what a client may ask, what the hub answers and says on its own.
//!
//! Each struct is the body of the frame kind that its doc names; `SPEC.md` has the tables.

mod ask;
mod group;
mod message;
mod profile;
mod push;

pub use ask::{Ask, Kinded, RawAnswer};
pub use group::{
    BanMembers, ChangeOwner, CreateGroup, CreateGroupAnswer, GroupMember, GroupMembers, GroupMembersAnswer,
    Groups, GroupsAnswer, HandleApplication, HandleInvitation, JoinGroup, JoinGroupAnswer, MemberList,
    MemberOutcome, MembersAnswer, OneGroup, SetMember, SetReceiveOption, UpdateGroup,
};
pub use message::{
    Conversations, ConversationsAnswer, Fetch, FetchAnswer, History, HistoryAnswer, MarkRead, MarkReadAnswer,
    OneConversation, Revoke, RevokeAnswer, Send, SendAnswer, SendMessage,
};
pub use profile::{Renew, RenewAnswer, UpdateUserProfile, UserProfiles, UserProfilesAnswer};
pub use push::{ConversationChange, Deliver, Delivery, Expiring, Gap, Push, Synced};

use core::time::Duration;

use crate::conversation::{Conversation, ConversationProfile, GroupProfile};
use crate::wire::{DecodeError, Encode, FrameKind, Read, Reader, Writer, wire};
use crate::{ErrorCode, Platform, UserId};

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
    /// The device's number, made once at random and kept. A newer login of the same device replaces the older one.
    pub device: u64,
    /// What the device is.
    pub platform: Platform,
    /// Where deliveries start.
    pub resume: Resume,
    /// The cursor of the last delivery that the device took, for [`Resume::CURSOR`].
    pub cursor: &'a [u8],
    /// The session's number, drawn at random when the session is made: it tells two lives of a device apart.
    pub session: u64,
    /// How many logins the session has tried, this one included. Of two logins of one session the higher one is newer.
    pub attempt: u32,
}
wire!(Login<'a> { app, user, user_sig, device, platform, resume, cursor, session, attempt });

impl core::fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // The signature is a credential and stays out of logs.
        f.debug_struct("Login")
            .field("app", &self.app)
            .field("user", &self.user)
            .field("device", &self.device)
            .field("platform", &self.platform)
            .field("resume", &self.resume)
            .field("session", &self.session)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

/// LOGIN answer: welcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoginAnswer<'a> {
    /// The user's account number (`tinyID`), which goes into message ids.
    pub account: u64,
    /// The hub's time, Unix time in milliseconds.
    pub time_ms: u64,
    /// Where the device's deliveries stand now.
    pub cursor: &'a [u8],
    /// The name shown for the user.
    pub nick: &'a str,
    /// [`Login::session`] of the login that this answers.
    pub session: u64,
    /// [`Login::attempt`] of the login that this answers.
    pub attempt: u32,
}
wire!(LoginAnswer<'a> { account, time_ms, cursor, nick, session, attempt });

/// An answer that says only that it was done (LOGOUT, DELETE_CONVERSATION, most of what is done to a group).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done;

impl Encode for Done {
    fn encode(&self, _: &mut Writer<'_>) {}
}
impl<'a> Read<'a> for Done {
    fn read(_: &mut Reader<'a>) -> Self {
        Self
    }
}

/// ERROR: the request with this id failed. GOODBYE: the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure<'a> {
    /// The code that `IMError` shows.
    pub code: ErrorCode,
    /// In how many milliseconds the same request may be repeated (or the connection made again); 0: not said.
    pub retry_after_ms: u32,
    /// What went wrong, in words; may be empty.
    pub text: &'a str,
}
wire!(Failure<'a> { code, retry_after_ms, text });

impl<'a> Failure<'a> {
    /// A failure that does not say when to try again.
    #[must_use]
    pub const fn new(code: ErrorCode, text: &'a str) -> Self {
        Self {
            code,
            retry_after_ms: 0,
            text,
        }
    }

    /// The same failure, to be repeated after this many milliseconds; 0: not said.
    #[must_use]
    pub const fn retry_after_ms(self, retry_after_ms: u32) -> Self {
        Self {
            retry_after_ms,
            ..self
        }
    }

    /// When the same request may be repeated, if the failure says so.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self.retry_after_ms {
            0 => None,
            ms => Some(Duration::from_millis(ms as u64)),
        }
    }
}

impl Failure<'static> {
    /// What an answer comes to that cannot be read: the hub is at fault.
    pub const MALFORMED: Self = Self::new(ErrorCode::PROTOCOL_VIOLATION, "the hub's answer is malformed");
}

/// Defines [`Request`]: which kind of frame carries what.
macro_rules! requests {
    ($($kind:ident => $variant:ident($body:ty),)+) => {
        /// Any request that a client may make, by frame kind.
        #[derive(Debug, Clone, Copy, PartialEq)]
        #[non_exhaustive]
        pub enum Request<'a> {
            $(#[doc = concat!(stringify!($kind), ".")] $variant($body),)+
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
                let mut reader = Reader::new(body);
                let request = match kind {
                    $(FrameKind::$kind => Self::$variant(reader.read()),)+
                    FrameKind::LOGOUT => return Ok(Self::Logout),
                    other => return Ok(Self::Unknown(other)),
                };
                reader.end()?;
                Ok(request)
            }

            /// The kind of frame that carries it.
            #[must_use]
            pub const fn kind(&self) -> FrameKind {
                match self {
                    $(Self::$variant(_) => FrameKind::$kind,)+
                    Self::Logout => FrameKind::LOGOUT,
                    Self::Unknown(kind) => *kind,
                }
            }
        }

        impl Encode for Request<'_> {
            fn encode(&self, writer: &mut Writer<'_>) {
                match self {
                    $(Self::$variant(body) => body.encode(writer),)+
                    Self::Logout | Self::Unknown(_) => {}
                }
            }
        }
    };
}

requests! {
    SEND => Send(Send<'a>),
    REVOKE => Revoke(Revoke<'a>),
    HISTORY => History(History<'a>),
    MARK_READ => MarkRead(MarkRead),
    CONVERSATIONS => Conversations(Conversations<'a>),
    CONVERSATION_PROFILE => ConversationProfile(OneConversation),
    DELETE_CONVERSATION => DeleteConversation(OneConversation),
    FETCH => Fetch(Fetch),
    CREATE_GROUP => CreateGroup(CreateGroup<'a>),
    JOIN_GROUP => JoinGroup(JoinGroup<'a>),
    QUIT_GROUP => QuitGroup(OneGroup),
    HANDLE_APPLICATION => HandleApplication(HandleApplication<'a>),
    INVITE_MEMBERS => InviteMembers(MemberList<'a>),
    REMOVE_MEMBERS => RemoveMembers(MemberList<'a>),
    SET_MEMBER => SetMember(SetMember<'a>),
    CHANGE_OWNER => ChangeOwner(ChangeOwner),
    UPDATE_GROUP => UpdateGroup(UpdateGroup<'a>),
    DISMISS_GROUP => DismissGroup(OneGroup),
    GROUP_MEMBERS => GroupMembers(GroupMembers<'a>),
    GROUPS => Groups(Groups<'a>),
    GROUP_PROFILE => GroupProfile(OneGroup),
    HANDLE_INVITATION => HandleInvitation(HandleInvitation<'a>),
    BAN_MEMBERS => BanMembers(BanMembers<'a>),
    SET_RECEIVE_OPTION => SetReceiveOption(SetReceiveOption),
    USER_PROFILES => UserProfiles(UserProfiles<'a>),
    UPDATE_USER_PROFILE => UpdateUserProfile(UpdateUserProfile<'a>),
    RENEW => Renew(Renew<'a>),
}

/// Defines [`Answer`]: what answers which kinds.
macro_rules! answers {
    (done: $($done:ident)|+; $($($kind:ident)|+ => $variant:ident($body:ty),)+) => {
        /// Any answer of the hub that is no error, by frame kind.
        #[derive(Debug, Clone, Copy, PartialEq)]
        #[non_exhaustive]
        #[allow(clippy::large_enum_variant)] // borrowed and short-lived, and there is no heap to put it on
        pub enum Answer<'a> {
            $(#[doc = concat!("To" $(, " ", stringify!($kind))+, ".")] $variant($body),)+
            /// To all other requests that this version knows.
            Done,
            /// To a request that this version does not know.
            Unknown(FrameKind, &'a [u8]),
        }

        impl<'a> Answer<'a> {
            /// Reads the body of an answer; `kind` with or without the answer bit.
            ///
            /// # Errors
            /// [`DecodeError`] if it is not what its kind says.
            pub fn decode(kind: FrameKind, body: &'a [u8]) -> Result<Self, DecodeError> {
                let mut reader = Reader::new(body);
                let answer = match kind.request() {
                    $($(FrameKind::$kind)|+ => Self::$variant(reader.read()),)+
                    $(FrameKind::$done)|+ => Self::Done,
                    other => return Ok(Self::Unknown(other, body)),
                };
                reader.end()?;
                Ok(answer)
            }
        }

        impl Encode for Answer<'_> {
            fn encode(&self, writer: &mut Writer<'_>) {
                match self {
                    $(Self::$variant(body) => body.encode(writer),)+
                    Self::Done => {}
                    Self::Unknown(_, body) => writer.put(body),
                }
            }
        }
    };
}

answers! {
    done: LOGOUT | QUIT_GROUP | HANDLE_APPLICATION | SET_MEMBER | CHANGE_OWNER | UPDATE_GROUP
        | DISMISS_GROUP | HANDLE_INVITATION | SET_RECEIVE_OPTION | UPDATE_USER_PROFILE;
    LOGIN => Login(LoginAnswer<'a>),
    SEND => Send(SendAnswer<'a>),
    REVOKE => Revoke(RevokeAnswer),
    HISTORY => History(HistoryAnswer<'a>),
    MARK_READ | DELETE_CONVERSATION => MarkRead(MarkReadAnswer),
    CONVERSATIONS => Conversations(ConversationsAnswer<'a>),
    CONVERSATION_PROFILE => ConversationProfile(ConversationProfile<'a>),
    FETCH => Fetch(FetchAnswer<'a>),
    CREATE_GROUP => CreateGroup(CreateGroupAnswer),
    JOIN_GROUP => JoinGroup(JoinGroupAnswer),
    INVITE_MEMBERS | REMOVE_MEMBERS | BAN_MEMBERS => Members(MembersAnswer<'a>),
    GROUP_MEMBERS => GroupMembers(GroupMembersAnswer<'a>),
    GROUPS => Groups(GroupsAnswer<'a>),
    GROUP_PROFILE => GroupProfile(GroupProfile<'a>),
    USER_PROFILES => UserProfiles(UserProfilesAnswer<'a>),
    RENEW => Renew(RenewAnswer),
}

wire!(Resume(..), Platform(..), ErrorCode(..));

// A list entry is decoded as often as it is looked at, so it stays cheap to copy.
const _: () = assert!(size_of::<Conversation<'_>>() <= 200);
