//! Requests and responses of any kind, decoded by frame kind.

use super::*;
use crate::conversation::{ConversationProfile, GroupProfile};
use crate::wire::{DecodeError, Reader, Writer};

/// Defines [`AnyRequest`]: which kind of frame carries what.
macro_rules! requests {
    ($($kind:ident => $variant:ident($body:ty),)+) => {
        /// Any request that a client may make, by frame kind.
        #[derive(Debug, Clone, Copy, PartialEq)]
        #[non_exhaustive]
        pub enum AnyRequest<'a> {
            $(#[doc = concat!(stringify!($kind), ".")] $variant($body),)+
            /// LOGOUT.
            Logout,
            /// A kind that this version does not know.
            Unknown(FrameKind),
        }

        impl<'a> AnyRequest<'a> {
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

        impl Encode for AnyRequest<'_> {
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
    CONVERSATION_PROFILE => ConversationProfile(GetConversationProfile),
    DELETE_CONVERSATION => DeleteConversation(DeleteConversation),
    FETCH => Fetch(Fetch),
    CREATE_GROUP => CreateGroup(CreateGroup<'a>),
    JOIN_GROUP => JoinGroup(JoinGroup<'a>),
    QUIT_GROUP => QuitGroup(QuitGroup),
    HANDLE_APPLICATION => HandleApplication(HandleApplication<'a>),
    INVITE_MEMBERS => InviteMembers(InviteMembers<'a>),
    REMOVE_MEMBERS => RemoveMembers(RemoveMembers<'a>),
    SET_MEMBER => SetMember(SetMember<'a>),
    CHANGE_OWNER => ChangeOwner(ChangeOwner),
    UPDATE_GROUP => UpdateGroup(UpdateGroup<'a>),
    DISMISS_GROUP => DismissGroup(DismissGroup),
    GROUP_MEMBERS => GroupMembers(GroupMembers<'a>),
    GROUPS => Groups(Groups<'a>),
    GROUP_PROFILE => GroupProfile(GetGroupProfile),
    HANDLE_INVITATION => HandleInvitation(HandleInvitation<'a>),
    BAN_MEMBERS => BanMembers(BanMembers<'a>),
    SET_RECEIVE_OPTION => SetReceiveOption(SetReceiveOption),
    USER_PROFILES => UserProfiles(UserProfiles<'a>),
    UPDATE_USER_PROFILE => UpdateUserProfile(UpdateUserProfile<'a>),
    RENEW => Renew(Renew<'a>),
}

/// Defines [`AnyResponse`]: what answers which kinds.
macro_rules! answers {
    (done: $($done:ident)|+; $($($kind:ident)|+ => $variant:ident($body:ty),)+) => {
        /// Any answer of the hub that is no error, by frame kind.
        #[derive(Debug, Clone, Copy, PartialEq)]
        #[non_exhaustive]
        #[allow(clippy::large_enum_variant)] // borrowed and short-lived, and there is no heap to put it on
        pub enum AnyResponse<'a> {
            $(#[doc = concat!("To" $(, " ", stringify!($kind))+, ".")] $variant($body),)+
            /// To all other requests that this version knows.
            Done,
            /// To a request that this version does not know.
            Unknown(FrameKind, &'a [u8]),
        }

        impl<'a> AnyResponse<'a> {
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

        impl Encode for AnyResponse<'_> {
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
    LOGIN => Login(LoginResponse<'a>),
    SEND => Send(SendResponse<'a>),
    REVOKE => Revoke(RevokeResponse),
    HISTORY => History(HistoryResponse<'a>),
    MARK_READ | DELETE_CONVERSATION => MarkRead(MarkReadResponse),
    CONVERSATIONS => Conversations(ConversationsResponse<'a>),
    CONVERSATION_PROFILE => ConversationProfile(ConversationProfile<'a>),
    FETCH => Fetch(FetchResponse<'a>),
    CREATE_GROUP => CreateGroup(CreateGroupResponse),
    JOIN_GROUP => JoinGroup(JoinGroupResponse),
    INVITE_MEMBERS | REMOVE_MEMBERS | BAN_MEMBERS => Members(MembersResponse<'a>),
    GROUP_MEMBERS => GroupMembers(GroupMembersResponse<'a>),
    GROUPS => Groups(GroupsResponse<'a>),
    GROUP_PROFILE => GroupProfile(GroupProfile<'a>),
    USER_PROFILES => UserProfiles(UserProfilesResponse<'a>),
    RENEW => Renew(RenewResponse),
}

impl<'a> RawResponse<'a> {
    /// Decodes the response by its kind.
    ///
    /// # Errors
    /// [`Failure::MALFORMED`] if the body is not a valid response of that kind.
    pub fn decode_any(&self) -> Result<AnyResponse<'a>, Failure<'static>> {
        AnyResponse::decode(self.kind(), self.body()).map_err(|_| Failure::MALFORMED)
    }
}

impl<'a> RawRequest<'a> {
    /// Decodes the request by its kind.
    ///
    /// # Errors
    /// [`DecodeError`] if the body is not valid.
    pub fn decode_any(&self) -> Result<AnyRequest<'a>, DecodeError> {
        AnyRequest::decode(self.kind(), self.body())
    }
}
