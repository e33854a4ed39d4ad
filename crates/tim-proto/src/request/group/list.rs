//! GROUPS.

use crate::conversation::GroupProfile;
use crate::request::Request;
use crate::wire::{FrameKind, List, wire};

wire! {
    /// GROUPS: a page of the groups that the user is a member of.
    #[derive(Debug)]
    pub struct Groups<'a> {
        /// [`GroupsResponse::next`] of the previous page; empty for the first page.
        pub next: &'a [u8],
        /// The largest number of groups; 0 for the default.
        pub count: u16,
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
        pub next: &'a [u8],
        /// Whether this is the last page.
        pub completed: bool,
        /// The groups, in an order that is the same for all pages.
        pub groups: List<'a, GroupProfile<'a>>,
    }
}
