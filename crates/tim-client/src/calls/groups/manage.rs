//! `updateGroupProfile`, `changeGroupOwner`, `dismissGroup`, `setMessageRemindType`.

use tim_proto::check_shown_name;
use tim_proto::request::{ChangeOwner, DismissGroup, Request, SetReceiveOption, UpdateGroup};
use tim_proto::{GroupId, InviteOption, JoinOption, ReceiveOption, UserId};

use crate::ImError;
use crate::call::{EncodedRequest, encoded};
use crate::client::Client;

/// The answer to calls that change a group and have nothing else to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupResponse {
    /// Which group.
    pub group_id: GroupId,
}

/// What is to change in a group; the argument of [`Client::update_group_profile`]. What is absent stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpdateGroupProfile {
    /// Its name.
    pub name: Option<String>,
    /// What it is about.
    pub introduction: Option<String>,
    /// What its members are told.
    pub notification: Option<String>,
    /// Where its picture is.
    pub avatar: Option<String>,
    /// Who may join by asking.
    pub join_option: Option<JoinOption>,
    /// Whom members may bring in.
    pub invite_option: Option<InviteOption>,
    /// Whether nobody but owner and admins may write (`muteAllMembers`).
    pub mute_all: Option<bool>,
}

impl Client {
    /// `updateGroupProfile`: changes what a group is called and shows, and what its members may do. The group gets tip 6
    /// with what has changed.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal: 10007 for who may not change that (a plain member of anything but a Work
    /// group; anybody but the owner for the options) or if the group's type does not let it be changed, 10010 if there is
    /// no such group.
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
        let request = encoded(&UpdateGroup {
            group,
            name: update.name.as_deref(),
            introduction: update.introduction.as_deref(),
            notification: update.notification.as_deref(),
            avatar: update.avatar.as_deref(),
            join_option: update.join_option,
            invite_option: update.invite_option,
            mute_all: update.mute_all,
        });
        self.change_group(group, request).await
    }

    /// `changeGroupOwner`: gives the group to one of its members; who gave it is a plain member then. The group gets tip 6.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal: 10004 to who is no member, 10007 for anybody but the owner, 10010 if there is
    /// no such group, 10019 if there is no such user.
    pub async fn change_group_owner(&self, group: GroupId, owner: UserId) -> Result<GroupResponse, ImError> {
        self.change_group(group, encoded(&ChangeOwner { group, owner }))
            .await
    }

    /// `dismissGroup`: ends a group. All its members get notice 5 (S153), and nobody can write to it any more; its id is
    /// never free again. It is no error to dismiss a group twice.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal: 10007 for anybody but the owner, and for a Work group with others in it;
    /// 10010 if there is no such group.
    pub async fn dismiss_group(&self, group: GroupId) -> Result<GroupResponse, ImError> {
        self.change_group(group, encoded(&DismissGroup { group })).await
    }

    /// `setMessageRemindType`: how the user wants to be told of a group's messages, on all devices. A group with another
    /// option than [`ReceiveOption::ACCEPT_AND_NOTIFY`] does not count in
    /// [`Client::get_total_unread_message_count`].
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal: 10007 for who is no member, 10010 if there is no such group.
    pub async fn set_message_remind_type(
        &self,
        group: GroupId,
        option: ReceiveOption,
    ) -> Result<GroupResponse, ImError> {
        let request = encoded(&SetReceiveOption { group, option });
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
