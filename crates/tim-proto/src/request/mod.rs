//! Endpoints: the requests of a client and the hub's responses, and what the hub pushes.
//!
//! Each endpoint is a file with two structs: the request and its response. [`Request`] ties them together, so the type of
//! a request determines how its response is decoded. A struct is the body of the frame kind that its documentation names;
//! `SPEC.md` has the tables.
//!
//! A struct is made by its `new`, which takes the fields that have no default; the others have a `with_` method each.
//! Fields can be read and assigned. Later versions may add fields, so no struct is made by its fields:
//!
//! ```
//! use tim_proto::request::SetMember;
//! use tim_proto::{GroupId, Role, UserId};
//!
//! let (group, user) = (GroupId::new("hikers")?, UserId::new("bob")?);
//! let request = SetMember::new(group, user).with_role(Role::ADMIN);
//! assert_eq!((request.role, request.mute_seconds), (Some(Role::ADMIN), None));
//! # Ok::<(), tim_proto::IdError>(())
//! ```
//!
//! ```compile_fail,E0639
//! use tim_proto::request::MarkRead;
//!
//! let conversation = tim_proto::ConversationId::System;
//! let request = MarkRead { conversation, sequence: 0 };
//! ```

mod compact;
mod conversation_profile;
mod conversations;
mod delete_conversation;
mod done;
mod failure;
mod fetch;
mod files;
mod group;
mod history;
mod login;
mod logout;
mod mark_read;
mod push;
mod raw;
mod register_push;
mod renew;
mod revoke;
mod send;
mod update_user_profile;
mod user_profiles;

pub use compact::{CompactCursor, CompactDeliver, CompactRest};
pub use conversation_profile::GetConversationProfile;
pub use conversations::{Conversations, ConversationsResponse};
pub use delete_conversation::DeleteConversation;
pub use done::Done;
pub use failure::Failure;
pub use fetch::{Fetch, FetchResponse};
pub use files::{
    BeginUpload, BeginUploadResponse, CancelUpload, Download, DownloadResponse, EndUpload, EndUploadResponse,
    FilePart, FileUrl, FileUrlResponse, Upload, UploadRefused, UploadResponse,
};
pub use group::{
    BanMembers, ChangeOwner, CreateGroup, CreateGroupResponse, DismissGroup, GetGroupProfile, GroupMember,
    GroupMembers, GroupMembersResponse, Groups, GroupsResponse, HandleApplication, HandleInvitation,
    InviteMembers, JoinGroup, JoinGroupResponse, MemberOutcome, MembersResponse, QuitGroup, RemoveMembers,
    SetMember, SetReceiveOption, UpdateGroup,
};
pub use history::{History, HistoryResponse};
pub use login::{Login, LoginResponse, Resume};
pub use logout::Logout;
pub use mark_read::{MarkRead, MarkReadResponse};
pub use push::{ConversationChange, Deliver, Delivery, Expiring, Gap, Push, Synced};
pub use raw::{RawRequest, RawResponse};
pub use register_push::{MAX_PUSH_TOKEN, PushPlatform, RegisterPush, UnregisterPush};
pub use renew::{Renew, RenewResponse};
pub use revoke::{Revoke, RevokeResponse};
pub use send::{Send, SendMessage, SendResponse};
pub use update_user_profile::UpdateUserProfile;
pub use user_profiles::{UserProfiles, UserProfilesResponse};

use crate::conversation::Conversation;
use crate::wire::{Decode, Encode, FrameKind};

/// A request of a client, and the type of its response.
///
/// ```
/// use tim_proto::request::{Fetch, FetchResponse, Request};
/// use tim_proto::wire::{FrameKind, decode_body};
///
/// /// The payload bytes in the body of a response to FETCH.
/// fn piece(body: &[u8]) -> Option<&[u8]> {
///     let response: <Fetch as Request>::Response<'_> = decode_body(body).ok()?;
///     Some(response.bytes)
/// }
/// assert_eq!(Fetch::KIND, FrameKind::FETCH);
/// assert_eq!(piece(b"\x09\x03abc"), Some(&b"abc"[..]));
/// ```
pub trait Request: Encode {
    /// The kind of frame that carries the request.
    const KIND: FrameKind;
    /// The response, borrowing from the received bytes.
    type Response<'a>: Decode<'a> + Encode;
}

/// Passes the types of all requests to a macro: the one table for code that finds the type of a body by its frame kind.
///
/// ```
/// use tim_proto::request::{Request, for_each_request};
/// use tim_proto::wire::{FrameKind, decode_body};
///
/// macro_rules! describe {
///     ([$kind:expr, $body:expr] $($request:ty),+) => {
///         match $kind {
///             $(kind if kind == <$request>::KIND => decode_body::<$request>($body).map(|request| format!("{request:?}")),)+
///             _ => Ok(String::new()),
///         }
///     };
/// }
///
/// fn request(kind: FrameKind, body: &[u8]) -> Result<String, tim_proto::wire::DecodeError> {
///     for_each_request!(describe![kind, body])
/// }
/// assert_eq!(request(FrameKind::LOGOUT, b""), Ok("Logout".to_owned()));
/// assert!(request(FrameKind::FETCH, b"").is_err());
/// ```
#[macro_export]
macro_rules! for_each_request {
    ($callback:ident![$($argument:tt)*]) => {
        $callback! {
            [$($argument)*]
            $crate::request::Login<'_>,
            $crate::request::Logout,
            $crate::request::Send<'_>,
            $crate::request::Revoke<'_>,
            $crate::request::History<'_>,
            $crate::request::MarkRead,
            $crate::request::Conversations<'_>,
            $crate::request::GetConversationProfile,
            $crate::request::DeleteConversation,
            $crate::request::Fetch,
            $crate::request::BeginUpload<'_>,
            $crate::request::Upload<'_>,
            $crate::request::EndUpload,
            $crate::request::CancelUpload,
            $crate::request::Download,
            $crate::request::FileUrl,
            $crate::request::CreateGroup<'_>,
            $crate::request::JoinGroup<'_>,
            $crate::request::QuitGroup,
            $crate::request::HandleApplication<'_>,
            $crate::request::InviteMembers<'_>,
            $crate::request::RemoveMembers<'_>,
            $crate::request::SetMember<'_>,
            $crate::request::ChangeOwner,
            $crate::request::UpdateGroup<'_>,
            $crate::request::DismissGroup,
            $crate::request::GroupMembers<'_>,
            $crate::request::Groups<'_>,
            $crate::request::GetGroupProfile,
            $crate::request::HandleInvitation<'_>,
            $crate::request::BanMembers<'_>,
            $crate::request::SetReceiveOption,
            $crate::request::UserProfiles<'_>,
            $crate::request::UpdateUserProfile<'_>,
            $crate::request::Renew<'_>,
            $crate::request::RegisterPush<'_>,
            $crate::request::UnregisterPush<'_>
        }
    };
}
#[doc(inline)]
pub use for_each_request;

// A list entry is decoded each time it is accessed, so it must stay cheap to copy.
const _: () = assert!(size_of::<Conversation<'_>>() <= 200);
