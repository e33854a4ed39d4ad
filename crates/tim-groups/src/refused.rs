//! Why a request is refused.

use std::fmt;

use tim_proto::ShownNameError;
use tim_proto::{ErrorCode, GroupId, UserId};

/// Why the store refused one operation; nothing of it was stored and its neighbours were not touched. The request is at
/// fault, and sending it again gives the same answer (but for [`Refused::TooLate`]'s age, and for ceilings).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// There is no account of this name.
    #[error("there is no user {0}")]
    NoSuchUser(UserId),
    /// The name belongs to the system.
    #[error("{0} is reserved for the system")]
    ReservedUser(UserId),
    /// There is no group of this name, or it was dismissed (10010).
    #[error("there is no group {0}")]
    NoSuchGroup(GroupId),
    /// Another group has this name, or had it (10021).
    #[error("the group id {0} is in use")]
    IdInUse(GroupId),
    /// The user is no member of the group, or none of the two users of the conversation.
    #[error("{0} takes no part in this conversation")]
    NotParticipant(UserId),
    /// Nobody has written in this conversation yet.
    #[error("there is no such conversation")]
    NoSuchConversation,
    /// There is no such message, or it fell out of retention (10030).
    #[error("there is no such message")]
    NotFound,
    /// The message is somebody else's, or the system's (10032).
    #[error("the message is not the user's own")]
    NotYours,
    /// The message is of somebody whose role in the group is not lower (10032).
    #[error("the message is of somebody whose role is not lower than the user's")]
    NotOutranked,
    /// Messages in a group of this type are not stored, and so not revoked (10033).
    #[error("messages in an AVChatRoom are not stored and cannot be revoked")]
    NotStored,
    /// The message is too old to be revoked (20016, 10031).
    #[error("the message is {age_ms} ms old, it can be revoked for {window_ms} ms")]
    TooLate {
        /// How old the message is.
        age_ms: u64,
        /// How old it may be.
        window_ms: u64,
    },
    /// Somebody else revoked it before.
    #[error("the message was revoked by {0}")]
    AlreadyRevoked(UserId),
    /// The message id names another account than the sender's.
    #[error("the message id does not carry the sender's account number")]
    ForeignId,
    /// The sender has used the message id, or the owner the random number of a new group, for something else (200025).
    #[error("this id was used for something else before; make a new one and send again")]
    IdReused,
    /// The content has more bytes than an entry may have.
    #[error("the content has {len} bytes, at most {max} are stored")]
    TooLarge {
        /// How many it has.
        len: usize,
        /// How many are allowed.
        max: usize,
    },
    /// The rules of the group are against it (10007); the words say why.
    #[error("{0}")]
    NotAllowed(&'static str),
    /// The owner stays, or hands the group over, or dismisses it (10009).
    #[error("the owner cannot leave; hand the group over or dismiss it")]
    OwnerMayNotQuit,
    /// The group has as many members as it may have (10014).
    #[error("the group is full: it may have {max} members")]
    Full {
        /// How many it may have.
        max: u32,
    },
    /// As many applications to the group wait for an answer as may wait (10006).
    #[error(
        "{max} applications to this group wait for an answer, which is as many as allowed; try again later"
    )]
    TooManyApplications {
        /// How many may wait.
        max: u32,
    },
    /// The user is in as many groups as a user may be in (10037).
    #[error("{user} is in {max} groups, which is as many as allowed; leave one first")]
    TooManyGroups {
        /// Who.
        user: UserId,
        /// How many groups a user may be in.
        max: u32,
    },
    /// The sender may not write in this group for now (10017).
    #[error("{}", Muted(*until_ms))]
    Muted {
        /// Until when, unix ms; `None` while nobody may write but owner and admins.
        until_ms: Option<u64>,
    },
    /// The application or invitation was decided before, and not so by this user (10024).
    #[error("somebody else has dealt with this request already")]
    AlreadyHandled,
    /// The user has not applied, or was not invited (10004).
    #[error("there is no application or invitation of {0}")]
    NoSuchRequest(UserId),
    /// There is no account of this name (10019).
    #[error("there is no account {0}")]
    NoAccount(UserId),
    /// The user that the request is about is no member of the group (10004).
    #[error("{0} is no member of the group")]
    NotMember(UserId),
    /// A value of the request is none that there is (10004).
    #[error("{0}")]
    BadValue(&'static str),
    /// A shown name of the request may not be one (10004).
    #[error("{0}")]
    BadName(ShownNameError),
    /// A text of the request is too long (10004).
    #[error("the {what} has {len} bytes, at most {max} are taken")]
    TextTooLong {
        /// Which text.
        what: &'static str,
        /// How many bytes it has.
        len: usize,
        /// How many are taken.
        max: usize,
    },
}

impl Refused {
    /// The code that a client gets.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::NoSuchUser(_) | Self::ReservedUser(_) => ErrorCode::MSG_INVALID_ID,
            Self::NoSuchGroup(_) => ErrorCode::GROUP_NOT_FOUND,
            Self::IdInUse(_) => ErrorCode::GROUP_GROUPID_IN_USED,
            Self::NotParticipant(_) | Self::NotAllowed(_) => ErrorCode::GROUP_PERMISSION_DENY,
            Self::NoSuchConversation => ErrorCode::CONVERSATION_NOT_FOUND,
            Self::NotFound => ErrorCode::GROUP_REVOKE_MSG_NOT_FOUND,
            Self::NotYours | Self::NotOutranked => ErrorCode::GROUP_REVOKE_MSG_DENY,
            Self::NotStored => ErrorCode::GROUP_NOT_ALLOW_REVOKE_MSG,
            Self::TooLate { .. } => ErrorCode::MSG_REVOKE_TIME_LIMIT,
            Self::AlreadyRevoked(_) => ErrorCode::ALREADY_REVOKED,
            Self::ForeignId
            | Self::NoSuchRequest(_)
            | Self::NotMember(_)
            | Self::BadValue(_)
            | Self::BadName(_)
            | Self::TextTooLong { .. } => ErrorCode::GROUP_INVALID_PARAMETERS,
            Self::IdReused => ErrorCode::MESSAGE_ID_REUSED,
            Self::TooLarge { .. } => ErrorCode::COMM_BODY_SIZE_LIMIT,
            Self::OwnerMayNotQuit => ErrorCode::GROUP_SUPER_NOT_ALLOW_QUIT,
            Self::Full { .. } => ErrorCode::GROUP_FULL_MEMBER_COUNT,
            Self::TooManyApplications { .. } => ErrorCode::GROUP_FREQ_LIMIT,
            Self::TooManyGroups { .. } => ErrorCode::GROUP_COUNT_LIMIT,
            Self::Muted { .. } => ErrorCode::GROUP_SHUTUP_DENY,
            Self::AlreadyHandled => ErrorCode::GROUP_REQ_ALLREADY_BEEN_PROCESSED,
            Self::NoAccount(_) => ErrorCode::GROUP_ACCOUNT_NOT_FOUND,
        }
    }
}

/// Until when, in words.
struct Muted(Option<u64>);

impl fmt::Display for Muted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(until_ms) => write!(f, "you may not write here until {} (unix time)", until_ms / 1000),
            None => f.write_str("only the owner and admins may write here now"),
        }
    }
}
