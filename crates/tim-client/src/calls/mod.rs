//! The calls of the documented API, by subject.

mod conversations;
mod create;
mod groups;
mod history;
mod profiles;
mod push;
mod send;

pub use conversations::{
    DeleteConversationResponse, GetConversationListResponse, GetConversationProfileResponse,
    SetMessageReadResponse,
};
pub use groups::{
    AddGroupMemberResponse, BanGroupMemberResponse, CreateGroup, CreateGroupResponse, Decision,
    DeleteGroupMemberResponse, GetGroupListResponse, GetGroupMemberListResponse, GetGroupProfileResponse,
    GroupApplication, GroupResponse, JoinGroupResponse, MemberListOptions, NextMember, UpdateGroupProfile,
};
pub use history::{GetMessageListResponse, NextReqMessageId, NextReqMessageIdError};
pub use profiles::{GetUserProfileResponse, MyProfileResponse};
pub use send::SendMessageResponse;
