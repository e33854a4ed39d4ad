//! Why the rules of groups, or a store, refuse a request.

use std::fmt;

use tim_proto::ShownNameError;
use tim_proto::{ErrorCode, GroupId, UserId};

/// Why an operation was refused. Nothing of it was stored, and the other operations of its batch were not affected.
///
/// The request is at fault: sent again in the same state, it is refused again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The account does not exist.
    #[error("there is no user {0}")]
    NoSuchUser(UserId),
    /// The user id is reserved.
    #[error("{0} is reserved for the system")]
    ReservedUser(UserId),
    /// The group does not exist or was dismissed (10010).
    #[error("there is no group {0}")]
    NoSuchGroup(GroupId),
    /// The group id is, or was, another group's (10021).
    #[error("the group id {0} is in use")]
    IdInUse(GroupId),
    /// The user is not a member of the group, or not one of the two users of the conversation.
    #[error("{0} is not a participant of this conversation")]
    NotParticipant(UserId),
    /// The conversation has no entries.
    #[error("there is no such conversation")]
    NoSuchConversation,
    /// The message does not exist or is past retention (10030).
    #[error("there is no such message")]
    NotFound,
    /// Another user, or the hub, sent the message (10032).
    #[error("the message is not the user's own")]
    NotYours,
    /// The role of the message's sender is not lower than the user's (10032).
    #[error("the role of the message's sender is not lower than the user's")]
    NotOutranked,
    /// Messages of an AVChatRoom are not stored and cannot be revoked (10033).
    #[error("messages in an AVChatRoom are not stored and cannot be revoked")]
    NotStored,
    /// The message is too old to be revoked (20016, 10031).
    #[error("the message is {age_ms} ms old; messages can be revoked for {window_ms} ms")]
    TooLate {
        /// The age of the message.
        age_ms: u64,
        /// The largest age at which it can be revoked.
        window_ms: u64,
    },
    /// Another user has revoked the message.
    #[error("the message was revoked by {0}")]
    AlreadyRevoked(UserId),
    /// The account number in the message id is not the sender's.
    #[error("the message id does not carry the sender's account number")]
    ForeignId,
    /// The message id, or the random number of a new group, was used for other content before (200025).
    #[error("this id was used for other content before; send again with a new id")]
    IdReused,
    /// The content has more bytes than an entry may have.
    #[error("the content has {len} bytes; the limit is {max}")]
    TooLarge {
        /// Its length.
        len: usize,
        /// The largest length.
        max: usize,
    },
    /// The account has stored as much as it may (200028).
    #[error(
        "{user} has {stored} bytes of messages stored, and may have {max}; revoke some, or try again when old ones are removed"
    )]
    TooMuchStored {
        /// The user.
        user: UserId,
        /// What the account has stored, in bytes.
        stored: u64,
        /// The most that it may have.
        max: u64,
    },
    /// The account has begun as many conversations as it may (200029).
    #[error("{user} has begun {begun} conversations, and may begin {max}; others can still write first")]
    TooManyConversations {
        /// The user.
        user: UserId,
        /// How many the account has begun.
        begun: u64,
        /// The most that it may begin.
        max: u64,
    },
    /// The account has stored as many bytes of files as it may (200034).
    #[error(
        "{user} has {stored} bytes of files stored, and may have {max}; revoke some, or try again when old ones are removed"
    )]
    TooManyFileBytes {
        /// The user.
        user: UserId,
        /// What the account has stored, in bytes.
        stored: u64,
        /// The most that it may have.
        max: u64,
    },
    /// The account has stored as many files as it may (200034).
    #[error(
        "{user} has {stored} files stored, and may have {max}; revoke some, or try again when old ones are removed"
    )]
    TooManyFiles {
        /// The user.
        user: UserId,
        /// How many the account has stored.
        stored: u64,
        /// The most that it may have.
        max: u64,
    },
    /// The message names a file that is not there, or that its sender can neither see nor owns (200033).
    #[error("the message names a file that its sender may not send; upload it, and send it again")]
    FileNotYours,
    /// The contacts of the user have been changed meanwhile (30008).
    #[error("the contacts of {0} have been changed meanwhile; read them again")]
    ContactsChanged(UserId),
    /// The user would have too many contacts (30010).
    #[error("{user} would have more than {max} contacts")]
    TooManyContacts {
        /// The user.
        user: UserId,
        /// The most contacts.
        max: usize,
    },
    /// The file is not there, or belongs to another user (200037).
    #[error("there is no such file")]
    NoSuchFile,
    /// The rules of the group forbid it, for the given reason (10007).
    #[error("{0}")]
    NotAllowed(&'static str),
    /// The owner cannot leave (10009).
    #[error("the owner cannot leave; hand the group over or dismiss it")]
    OwnerMayNotQuit,
    /// The group has its largest number of members (10014).
    #[error("the group is full: the limit is {max} members")]
    Full {
        /// The largest number of members.
        max: u32,
    },
    /// The group has its largest number of open applications (10006).
    #[error("the group has {max} open applications, the most that are allowed; try again later")]
    TooManyApplications {
        /// The largest number of open applications.
        max: u32,
    },
    /// The user is in the largest number of groups (10037).
    #[error("{user} is in {max} groups, the most that are allowed; leave one first")]
    TooManyGroups {
        /// The user.
        user: UserId,
        /// The largest number of groups.
        max: u32,
    },
    /// The sender is muted in this group (10017).
    #[error("{}", Muted(*until_ms))]
    Muted {
        /// The end of the mute, Unix time in milliseconds; `None` while all members are muted.
        until_ms: Option<u64>,
    },
    /// Another user has decided the application or invitation, or this user decided it differently (10024).
    #[error("this request has been decided already")]
    AlreadyHandled,
    /// The user has no application or invitation (10004).
    #[error("there is no application or invitation of {0}")]
    NoSuchRequest(UserId),
    /// The account that the request is about does not exist (10019).
    #[error("there is no account {0}")]
    NoAccount(UserId),
    /// The user that the request is about is not a member (10004).
    #[error("{0} is not a member of the group")]
    NotMember(UserId),
    /// The name of an attribute is too long (10045).
    #[error("the name of the attribute has {len} bytes; the limit is {max}")]
    AttributeNameTooLong {
        /// Its length in bytes.
        len: usize,
        /// The largest length in bytes.
        max: usize,
    },
    /// The value of an attribute is too long (10046).
    #[error("the attribute has {len} bytes; the limit is {max}")]
    AttributeTooLong {
        /// Its length in bytes.
        len: usize,
        /// The largest length in bytes.
        max: usize,
    },
    /// The group would have too many attributes (10047).
    #[error("a group has {max} attributes at most")]
    TooManyAttributes {
        /// The largest number.
        max: usize,
    },
    /// The attributes of the group would be too large (10048).
    #[error("the attributes of a group have {max} bytes at most")]
    AttributesTooLarge {
        /// The largest number of bytes.
        max: usize,
    },
    /// What is stored of the conversation is damaged (200027).
    #[error("what is stored of the conversation is damaged")]
    Damaged,
    /// A value of the request is invalid (10004).
    #[error("{0}")]
    BadValue(&'static str),
    /// A display name of the request is not allowed (10004).
    #[error("{0}")]
    BadName(ShownNameError),
    /// A text of the request is too long (10004).
    #[error("the {what} has {len} bytes; the limit is {max}")]
    TextTooLong {
        /// The field.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The largest length in bytes.
        max: usize,
    },
}

impl Refused {
    /// The error code for the client.
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
            Self::AttributeNameTooLong { .. } => ErrorCode(10045),
            Self::AttributeTooLong { .. } => ErrorCode(10046),
            Self::TooManyAttributes { .. } => ErrorCode(10047),
            Self::AttributesTooLarge { .. } => ErrorCode(10048),
            Self::Damaged => ErrorCode::STORAGE_DAMAGED,
            Self::TooMuchStored { .. } => ErrorCode::ACCOUNT_STORAGE_FULL,
            Self::TooManyConversations { .. } => ErrorCode::TOO_MANY_CONVERSATIONS,
            Self::FileNotYours => ErrorCode::FILE_NOT_YOURS,
            Self::TooManyFileBytes { .. } | Self::TooManyFiles { .. } => ErrorCode::FILE_QUOTA_REACHED,
            Self::ContactsChanged(_) => ErrorCode(30008),
            Self::TooManyContacts { .. } => ErrorCode(30010),
            Self::NoSuchFile => ErrorCode::FILE_NOT_FOUND,
        }
    }
}

/// The end of a mute, in words.
struct Muted(Option<u64>);

impl fmt::Display for Muted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(until_ms) => write!(f, "you are muted until {} (Unix time)", until_ms / 1000),
            None => f.write_str("all members are muted; only the owner and admins can write"),
        }
    }
}
