//! GROUPS.

use crate::conversation::GroupProfile;
use crate::request::Request;
use crate::wire::{FrameKind, List, wire};

wire! {
    /// GROUPS: a page of the groups that the user is a member of.
    #[derive(Debug, Default)]
    pub struct Groups<'a> {
        /// [`GroupsResponse::next`] of the previous page; empty for the first page.
        pub next: &'a [u8] = &[] => with_next,
        /// The largest number of groups; 0 for the default.
        pub count: u16 = 0 => with_count,
    }
}

impl Request for Groups<'_> {
    const KIND: FrameKind = FrameKind::GROUPS;
    type Response<'a> = GroupsResponse<'a>;
}

wire! {
    /// Response to [`Groups`].
    #[derive(Debug)]
    pub struct GroupsResponse<'a> {
        /// [`Groups::next`] of the next page.
        pub next: &'a [u8] = &[] => with_next,
        /// Whether this is the last page.
        pub completed: bool = false => with_completed,
        /// The groups, in an order that is the same for all pages.
        pub groups: List<'a, GroupProfile<'a>>,
    }
}
