//! Making groups.

use tim_proto::request::{self, Answer, Request};
use tim_proto::wire::List;
use tim_proto::{GroupId, GroupType, InviteOption, JoinOption, UserId};
use tim_transport_std::StdClientSession;

use crate::ImError;
use crate::builder::random;
use crate::client::Client;

/// What a group is to be; the argument of [`Client::create_group`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateGroup {
    /// Its id, or none for one that the hub makes up.
    pub group_id: Option<GroupId>,
    /// Its type.
    pub group_type: GroupType,
    /// Its name.
    pub name: String,
    /// What it is about.
    pub introduction: String,
    /// What its members are told.
    pub notification: String,
    /// Where its picture is.
    pub avatar: String,
    /// Its members besides the maker.
    pub members: Vec<UserId>,
}

impl CreateGroup {
    /// A group of this type and name; everything else is empty.
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
        }
    }
}

/// The answer to [`Client::create_group`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreateGroupResponse {
    /// The group's id.
    pub group_id: GroupId,
}

impl Client {
    /// `createGroup`: makes a group that the user owns.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal, such as for an id that is taken.
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
        // The same number however often the request is repeated, so that it makes one group.
        let random = random() as u32;
        let submit = move |session: &mut StdClientSession, now| {
            let request = request::CreateGroup {
                group: group.group_id,
                group_type: group.group_type,
                name: &group.name,
                introduction: &group.introduction,
                notification: &group.notification,
                avatar: &group.avatar,
                members: List::from_slice(&group.members),
                random,
                join_option: JoinOption::AS_USUAL,
                invite_option: InviteOption::AS_USUAL,
            };
            session.request(now, &Request::CreateGroup(request))
        };
        let convert = |_: &mut _, answer: Result<&Answer<'_>, ImError>| match answer? {
            Answer::CreateGroup(answer) => Ok(CreateGroupResponse {
                group_id: answer.group,
            }),
            _ => Err(ImError::unexpected_answer()),
        };
        self.call(submit, convert).await
    }
}
