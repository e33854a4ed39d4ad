//! Group requests. The hub decides who may do what.

mod ban;
mod change_owner;
mod create;
mod dismiss;
mod handle_application;
mod handle_invitation;
mod invite;
mod join;
mod list;
mod members;
mod profile;
mod quit;
mod remove;
mod set_member;
mod set_receive_option;
mod update;

pub use ban::BanMembers;
pub use change_owner::ChangeOwner;
pub use create::{CreateGroup, CreateGroupResponse};
pub use dismiss::DismissGroup;
pub use handle_application::HandleApplication;
pub use handle_invitation::HandleInvitation;
pub use invite::{InviteMembers, MemberOutcome, MembersResponse};
pub use join::{JoinGroup, JoinGroupResponse};
pub use list::{Groups, GroupsResponse};
pub use members::{GroupMember, GroupMembers, GroupMembersResponse};
pub use profile::GetGroupProfile;
pub use quit::QuitGroup;
pub use remove::RemoveMembers;
pub use set_member::SetMember;
pub use set_receive_option::SetReceiveOption;
pub use update::UpdateGroup;
