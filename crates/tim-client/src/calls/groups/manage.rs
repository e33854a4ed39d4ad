//! `updateGroupProfile`, `changeGroupOwner`, `dismissGroup`, `setMessageRemindType`.

use tim_proto::check_shown_name;
use tim_proto::request::{ChangeOwner, DismissGroup, Request, SetReceiveOption, UpdateGroup};
use tim_proto::{GroupId, InviteOption, JoinOption, ReceiveOption, UserId};

use crate::ImError;
use crate::call::{EncodedRequest, encoded};
use crate::client::Client;

/// The response of calls that change a group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupResponse {
    /// The group's id.
    pub group_id: GroupId,
}

/// Changes of a group's profile; the argument of [`Client::update_group_profile`]. `None` leaves a field unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpdateGroupProfile {
    /// The name.
    pub name: Option<String>,
    /// The introduction.
    pub introduction: Option<String>,
    /// The announcement to the members.
    pub notification: Option<String>,
    /// The address of the avatar.
    pub avatar: Option<String>,
    /// How applications to join are handled.
    pub join_option: Option<JoinOption>,
    /// How invitations by members are handled.
    pub invite_option: Option<InviteOption>,
    /// Whether only the owner and the admins may send messages (`muteAllMembers`).
    pub mute_all: Option<bool>,
}

impl Client {
    /// `updateGroupProfile`: changes the profile and the options of a group. The group gets tip 6 with the changes.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal: 10007 if the user may not change that (a plain member of a group other than
    /// Work; for options anybody but the owner) or the type of the group does not allow it, 10010 if the group does not
    /// exist.
    ///
    /// ```no_run
    /// # async fn example(client: tim_client::Client, group: tim_client::GroupId) -> Result<(), tim_client::ImError> {
    /// use tim_client::UpdateGroupProfile;
    /// let quiet = UpdateGroupProfile { mute_all: Some(true), ..Default::default() };
    /// client.update_group_profile(group, quiet).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn update_group_profile(
        &self,
        group: GroupId,
        update: UpdateGroupProfile,
    ) -> Result<GroupResponse, ImError> {
        check_shown_name(update.name.as_deref().unwrap_or(""))?;
        let mut request = UpdateGroup::new(group);
        request.name = update.name.as_deref();
        request.introduction = update.introduction.as_deref();
        request.notification = update.notification.as_deref();
        request.avatar = update.avatar.as_deref();
        request.join_option = update.join_option;
        request.invite_option = update.invite_option;
        request.mute_all = update.mute_all;
        self.change_group(group, encoded(&request)).await
    }

    /// `changeGroupOwner`: makes a member the owner; the previous owner becomes a plain member. The group gets tip 6.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal: 10004 if the new owner is not a member, 10007 unless the user is the owner, 10010
    /// if the group does not exist, 10019 if the new owner does not exist.
    pub async fn change_group_owner(&self, group: GroupId, owner: UserId) -> Result<GroupResponse, ImError> {
        self.change_group(group, encoded(&ChangeOwner::new(group, owner)))
            .await
    }

    /// `dismissGroup`: dismisses a group. All members get notice 5, and nobody can send messages to it any more; its id is never
    /// reused. Dismissing twice is not an error.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal: 10007 unless the user is the owner, and for a Work group that has other members;
    /// 10010 if the group does not exist.
    pub async fn dismiss_group(&self, group: GroupId) -> Result<GroupResponse, ImError> {
        self.change_group(group, encoded(&DismissGroup::new(group))).await
    }

    /// `setMessageRemindType`: sets the receive option of a group, for all devices of the user. A group with another option
    /// than [`ReceiveOption::ACCEPT_AND_NOTIFY`] does not count in [`Client::get_total_unread_message_count`].
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal: 10007 if the user is not a member, 10010 if the group does not exist.
    pub async fn set_message_remind_type(
        &self,
        group: GroupId,
        option: ReceiveOption,
    ) -> Result<GroupResponse, ImError> {
        let request = encoded(&SetReceiveOption::new(group, option));
        self.call(request, move |state, _| {
            state.set_receive_option(group, option);
            GroupResponse { group_id: group }
        })
        .await
    }

    /// Makes a request that changes a group and has nothing to return.
    pub(super) async fn change_group<R: Request + 'static>(
        &self,
        group: GroupId,
        request: EncodedRequest<R>,
    ) -> Result<GroupResponse, ImError> {
        self.call(request, move |_, _| GroupResponse { group_id: group })
            .await
    }
}
