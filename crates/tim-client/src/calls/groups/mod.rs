//! Groups: creating, joining, managing and listing them. The hub checks permissions; the table is in the docs of
//! `tim_groups::rules`.

mod create;
mod join;
mod list;
mod manage;
mod members;

pub use create::{CreateGroup, CreateGroupResponse};
pub use join::{Decision, GroupApplication, JoinGroupResponse};
pub use list::{GetGroupListResponse, GetGroupProfileResponse};
pub use manage::{GroupResponse, UpdateGroupProfile};
pub use members::{
    AddGroupMemberResponse, BanGroupMemberResponse, DeleteGroupMemberResponse, GetGroupMemberListResponse,
    MemberListOptions, NextMember,
};
