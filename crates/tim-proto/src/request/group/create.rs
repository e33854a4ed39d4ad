//! CREATE_GROUP.

use crate::request::Request;
use crate::wire::{FrameKind, List, wire};
use crate::{GroupId, GroupType, InviteOption, JoinOption, UserId};

wire! {
    /// CREATE_GROUP: creates a group with the given members.
    ///
    /// ```
    /// use tim_proto::request::CreateGroup;
    /// use tim_proto::wire::List;
    /// use tim_proto::{GroupType, JoinOption, UserId};
    ///
    /// let members = [UserId::new("bob")?, UserId::new("carol")?];
    /// let random = 0x5EED; // a new one for each group
    /// let request = CreateGroup::new(GroupType::PUBLIC, "Hikers", random)
    ///     .with_members(List::from_slice(&members))
    ///     .with_join_option(JoinOption::FREE_ACCESS);
    /// assert_eq!(request.group, None); // the hub generates an id
    /// # Ok::<(), tim_proto::IdError>(())
    /// ```
    #[derive(Debug)]
    pub struct CreateGroup<'a> {
        /// The group's id; absent for one that the hub generates.
        pub group: Option<GroupId> = None => with_group,
        /// The group's type.
        pub group_type: GroupType,
        /// The group's name.
        pub name: &'a str,
        /// The group's introduction.
        pub introduction: &'a str = "" => with_introduction,
        /// The group's notification, shown to members.
        pub notification: &'a str = "" => with_notification,
        /// The avatar's address.
        pub avatar: &'a str = "" => with_avatar,
        /// The members, apart from the creator.
        pub members: List<'a, UserId> = List::EMPTY => with_members,
        /// A random number. A repeated request with the same number creates no second group.
        pub random: u32,
        /// Who may join; [`JoinOption::AS_USUAL`] for the default of the group type.
        pub join_option: JoinOption = JoinOption::AS_USUAL => with_join_option,
        /// Who may invite; [`InviteOption::AS_USUAL`] for the default of the group type.
        pub invite_option: InviteOption = InviteOption::AS_USUAL => with_invite_option,
    }
}

impl Request for CreateGroup<'_> {
    const KIND: FrameKind = FrameKind::CREATE_GROUP;
    type Response<'a> = CreateGroupResponse;
}

wire! {
    /// Response to [`CreateGroup`].
    #[derive(Debug)]
    pub struct CreateGroupResponse {
        /// The group's id.
        pub group: GroupId,
    }
}
