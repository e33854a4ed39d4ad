//! Asking for one thing at a time: what a device links is then what it asks for, not all that can be asked.

use super::{
    Answer, BanMembers, ChangeOwner, Conversations, CreateGroup, Failure, Fetch, GroupMembers, Groups,
    HandleApplication, HandleInvitation, History, JoinGroup, MarkRead, Renew, Request, Revoke, Send,
    SendMessage, SetMember, SetReceiveOption, UpdateGroup, UpdateUserProfile, UserProfiles,
};
use crate::message::Body;
use crate::wire::{Decode, DecodeError, Encode, FrameKind, Writer, decode_body};

/// A request: the body of a frame, and of which kind the frame is.
pub trait Ask: Encode {
    /// The kind of frame that carries it.
    fn kind(&self) -> FrameKind;
}

impl Ask for Request<'_> {
    fn kind(&self) -> FrameKind {
        self.kind()
    }
}

impl<P: Body> Ask for SendMessage<'_, P> {
    fn kind(&self) -> FrameKind {
        FrameKind::SEND
    }
}

/// A body that more than one kind of request has, and the kind.
///
/// ```
/// use tim_proto::request::{Kinded, OneConversation};
/// use tim_proto::wire::FrameKind;
/// use tim_proto::{ConversationId, UserId};
///
/// let conversation = ConversationId::C2c(UserId::new("alice")?);
/// let request = Kinded(FrameKind::DELETE_CONVERSATION, OneConversation { conversation });
/// # Ok::<(), tim_proto::IdError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kinded<T>(pub FrameKind, pub T);

impl<T: Encode> Encode for Kinded<T> {
    fn encode(&self, writer: &mut Writer<'_>) {
        self.1.encode(writer);
    }
}

impl<T: Encode> Ask for Kinded<T> {
    fn kind(&self) -> FrameKind {
        self.0
    }
}

macro_rules! asks {
    ($($body:ty => $kind:ident,)+) => {$(
        impl Ask for $body {
            fn kind(&self) -> FrameKind {
                FrameKind::$kind
            }
        }
    )+};
}

asks! {
    Send<'_> => SEND,
    Revoke<'_> => REVOKE,
    History<'_> => HISTORY,
    MarkRead => MARK_READ,
    Conversations<'_> => CONVERSATIONS,
    Fetch => FETCH,
    CreateGroup<'_> => CREATE_GROUP,
    JoinGroup<'_> => JOIN_GROUP,
    HandleApplication<'_> => HANDLE_APPLICATION,
    SetMember<'_> => SET_MEMBER,
    ChangeOwner => CHANGE_OWNER,
    UpdateGroup<'_> => UPDATE_GROUP,
    GroupMembers<'_> => GROUP_MEMBERS,
    Groups<'_> => GROUPS,
    HandleInvitation<'_> => HANDLE_INVITATION,
    BanMembers<'_> => BAN_MEMBERS,
    SetReceiveOption => SET_RECEIVE_OPTION,
    UserProfiles<'_> => USER_PROFILES,
    UpdateUserProfile<'_> => UPDATE_USER_PROFILE,
    Renew<'_> => RENEW,
}

/// An answer of the hub that is no error, as it came: decoded when it is asked for, and only as what it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawAnswer<'a> {
    /// Which kind of request it answers.
    pub kind: FrameKind,
    /// Its body.
    pub body: &'a [u8],
}

impl<'a> RawAnswer<'a> {
    /// Reads it, whatever it answers.
    ///
    /// # Errors
    /// [`DecodeError`] if it is not what its kind says; [`Failure::MALFORMED`] is what to tell the application.
    pub fn decode(&self) -> Result<Answer<'a>, DecodeError> {
        Answer::decode(self.kind, self.body)
    }

    /// As [`RawAnswer::decode`], with the failure that the application is to be told of.
    ///
    /// # Errors
    /// [`Failure::MALFORMED`].
    pub fn decode_or_fail(&self) -> Result<Answer<'a>, Failure<'static>> {
        self.decode().map_err(|_| Failure::MALFORMED)
    }

    /// Reads it as the answer that its kind has, for those who know what they asked.
    ///
    /// # Errors
    /// As [`RawAnswer::decode`].
    pub fn read<T: Decode<'a>>(&self) -> Result<T, DecodeError> {
        decode_body(self.body)
    }
}
