//! `createGroup`.

use tim_proto::check_shown_name;
use tim_proto::request;
use tim_proto::wire::List;
use tim_proto::{ErrorCode, GroupId, GroupType, InviteOption, JoinOption, MAX_SUCCESSORS, UserId};

use crate::ImError;
use crate::call::encoded;
use crate::client::Client;

/// The group to create; the argument of [`Client::create_group`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateGroup {
    /// The id; `None` for one that the hub generates.
    pub group_id: Option<GroupId>,
    /// The type.
    pub group_type: GroupType,
    /// The name.
    pub name: String,
    /// The introduction.
    pub introduction: String,
    /// The announcement to the members.
    pub notification: String,
    /// The address of the avatar.
    pub avatar: String,
    /// The members besides the owner.
    pub members: Vec<UserId>,
    /// How applications to join are handled; [`JoinOption::AS_USUAL`] for the default of the type.
    pub join_option: JoinOption,
    /// How invitations by members are handled; [`InviteOption::AS_USUAL`] for the default of the type.
    pub invite_option: InviteOption,
}

impl CreateGroup {
    /// A group of this type and name; all other fields are empty.
    #[must_use]
    pub fn new(group_type: GroupType, name: impl Into<String>) -> Self {
        Self {
            group_id: None,
            group_type,
            name: name.into(),
            introduction: String::new(),
            notification: String::new(),
            avatar: String::new(),
            members: Vec::new(),
            join_option: JoinOption::AS_USUAL,
            invite_option: InviteOption::AS_USUAL,
        }
    }
}

/// The response of [`Client::create_group`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreateGroupResponse {
    /// The group's id.
    pub group_id: GroupId,
}

impl Client {
    /// `createGroup`: creates a group that the user owns. The members join at once and get notice 7; the group gets tip 1.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal: [`ErrorCode`](crate::ErrorCode) 10021 for an id that is or was in use, 10014
    /// for more members than the type allows.
    ///
    /// ```no_run
    /// # async fn example(client: tim_client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use tim_client::{CreateGroup, GroupType, UserId};
    /// let group = CreateGroup { members: vec![UserId::new("bob")?], ..CreateGroup::new(GroupType::PUBLIC, "Friends") };
    /// let group_id = client.create_group(group).await?.group_id;
    /// let hello = client.create_text_message(group_id, "Hello all")?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn create_group(&self, group: CreateGroup) -> Result<CreateGroupResponse, ImError> {
        check_shown_name(&group.name)?;
        // The random number identifies the request, so that repeating it creates one group. If the user has created
        // another group with this number before, the request needs another one.
        let mut refusals = 0;
        loop {
            match self.make_group(&group, self.shared.draw_random()).await {
                Err(error) if error.code == ErrorCode::MESSAGE_ID_REUSED && refusals < MAX_SUCCESSORS => {
                    refusals += 1;
                }
                made => return made,
            }
        }
    }

    async fn make_group(&self, group: &CreateGroup, random: u32) -> Result<CreateGroupResponse, ImError> {
        let group_type = group.group_type;
        let mut request = request::CreateGroup::new(group_type, &group.name, random)
            .with_introduction(&group.introduction)
            .with_notification(&group.notification)
            .with_avatar(&group.avatar)
            .with_members(List::from_slice(&group.members))
            .with_join_option(group.join_option)
            .with_invite_option(group.invite_option);
        request.group = group.group_id;
        self.call(encoded(&request), move |state, created| {
            state.note_group(created.group, group_type);
            CreateGroupResponse {
                group_id: created.group,
            }
        })
        .await
    }
}
