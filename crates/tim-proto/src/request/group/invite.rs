//! INVITE_MEMBERS.

use crate::request::Request;
use crate::wire::{FrameKind, List, wire};
use crate::{GroupId, MemberResult, UserId};

wire! {
    /// INVITE_MEMBERS: adds users to a group, or invites them.
    #[derive(Debug)]
    pub struct InviteMembers<'a> {
        /// The group.
        pub group: GroupId,
        /// The users.
        pub users: List<'a, UserId>,
        /// The reason; may be empty.
        pub reason: &'a str = "" => with_reason,
    }
}

impl Request for InviteMembers<'_> {
    const KIND: FrameKind = FrameKind::INVITE_MEMBERS;
    type Response<'a> = MembersResponse<'a>;
}

wire! {
    /// Response to [`InviteMembers`], [`RemoveMembers`](super::RemoveMembers) and [`BanMembers`](super::BanMembers).
    #[derive(Debug)]
    pub struct MembersResponse<'a> {
        /// The result for each user, in the requested order.
        pub results: List<'a, MemberOutcome>,
    }
}

wire! {
    /// The result for one user of a [`MembersResponse`].
    #[derive(Debug)]
    pub struct MemberOutcome {
        /// The user.
        pub user: UserId,
        /// The result.
        pub result: MemberResult,
    }
}
