//! GROUP_MEMBERS.

use crate::request::Request;
use crate::wire::{FrameKind, List, wire};
use crate::{GroupId, Role, UserId};

wire! {
    /// GROUP_MEMBERS: a page of a group's members.
    #[derive(Debug)]
    pub struct GroupMembers<'a> {
        /// The group.
        pub group: GroupId,
        /// [`GroupMembersResponse::next`] of the previous page; empty for the first page.
        pub next: &'a [u8] = &[] => with_next,
        /// The largest number of members; 0 for the default.
        pub count: u16 = 0 => with_count,
        /// Lists only members with this role.
        pub role: Option<Role> = None => with_role,
    }
}

impl Request for GroupMembers<'_> {
    const KIND: FrameKind = FrameKind::GROUP_MEMBERS;
    type Response<'a> = GroupMembersResponse<'a>;
}

wire! {
    /// Response to [`GroupMembers`].
    #[derive(Debug)]
    pub struct GroupMembersResponse<'a> {
        /// [`GroupMembers::next`] of the next page.
        pub next: &'a [u8] = &[] => with_next,
        /// Whether this is the last page.
        pub completed: bool = false => with_completed,
        /// The members, in an order that is the same for all pages.
        pub members: List<'a, GroupMember<'a>>,
    }
}

wire! {
    /// A member of a group.
    #[derive(Debug)]
    pub struct GroupMember<'a> {
        /// The user.
        pub user: UserId,
        /// The user's role in the group.
        pub role: Role,
        /// When the user joined, Unix time in seconds.
        pub joined: u64 = 0 => with_joined,
        /// When the user's mute ends, Unix time in seconds; a time in the past means not muted.
        pub muted_until: u64 = 0 => with_muted_until,
        /// The user's display name; may be empty.
        pub nick: &'a str = "" => with_nick,
        /// The avatar's address; may be empty.
        pub avatar: &'a str = "" => with_avatar,
        /// The user's name card in this group; may be empty.
        pub name_card: &'a str = "" => with_name_card,
    }
}
