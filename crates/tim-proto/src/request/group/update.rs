//! UPDATE_GROUP.

use crate::message::GroupChange;
use crate::request::{Done, Request};
use crate::wire::{FrameKind, wire};
use crate::{GroupId, InviteOption, JoinOption};

wire! {
    /// UPDATE_GROUP: changes a group's profile and options. Absent fields stay unchanged.
    ///
    /// ```
    /// use tim_proto::GroupId;
    /// use tim_proto::message::GroupChange;
    /// use tim_proto::request::UpdateGroup;
    ///
    /// let update = UpdateGroup::new(GroupId::new("hikers")?).with_name("Walkers").with_mute_all(true);
    /// let changes: Vec<_> = update.changes().collect();
    /// assert_eq!(changes, [GroupChange::Name("Walkers"), GroupChange::MuteAll(true)]);
    /// # Ok::<(), tim_proto::IdError>(())
    /// ```
    #[derive(Debug)]
    pub struct UpdateGroup<'a> {
        /// The group.
        pub group: GroupId,
        /// The group's name.
        pub name: Option<&'a str> = None => with_name,
        /// The group's introduction.
        pub introduction: Option<&'a str> = None => with_introduction,
        /// The group's notification, shown to members.
        pub notification: Option<&'a str> = None => with_notification,
        /// The avatar's address.
        pub avatar: Option<&'a str> = None => with_avatar,
        /// Who may join.
        pub join_option: Option<JoinOption> = None => with_join_option,
        /// Who may invite.
        pub invite_option: Option<InviteOption> = None => with_invite_option,
        /// Whether all members but owner and admins are muted.
        pub mute_all: Option<bool> = None => with_mute_all,
    }
}

impl Request for UpdateGroup<'_> {
    const KIND: FrameKind = FrameKind::UPDATE_GROUP;
    type Response<'a> = Done;
}

impl<'a> UpdateGroup<'a> {
    /// The changes, as the group tip about the update lists them.
    pub fn changes(&self) -> impl Iterator<Item = GroupChange<'a>> + use<'a> {
        [
            self.name.map(GroupChange::Name),
            self.introduction.map(GroupChange::Introduction),
            self.notification.map(GroupChange::Notification),
            self.avatar.map(GroupChange::Avatar),
            self.join_option.map(GroupChange::JoinOption),
            self.invite_option.map(GroupChange::InviteOption),
            self.mute_all.map(GroupChange::MuteAll),
        ]
        .into_iter()
        .flatten()
    }
}
