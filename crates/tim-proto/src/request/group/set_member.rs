//! SET_MEMBER.

use crate::request::{Done, Request};
use crate::wire::{FrameKind, wire};
use crate::{GroupId, Role, UserId};

wire! {
    /// SET_MEMBER: changes a member's role, mute or name card. Absent fields stay unchanged.
    #[derive(Debug)]
    pub struct SetMember<'a> {
        /// The group.
        pub group: GroupId,
        /// The member; may be the user itself.
        pub user: UserId,
        /// Admin or ordinary member. [`ChangeOwner`](super::ChangeOwner) transfers ownership.
        pub role: Option<Role> = None => with_role,
        /// The duration of the mute in seconds; 0 lifts it.
        pub mute_seconds: Option<u32> = None => with_mute_seconds,
        /// The member's name card in this group; may be empty.
        pub name_card: Option<&'a str> = None => with_name_card,
    }
}

impl Request for SetMember<'_> {
    const KIND: FrameKind = FrameKind::SET_MEMBER;
    type Response<'a> = Done;
}
