//! `joinGroup`, `quitGroup`, and decisions about applications and invitations.

use tim_proto::message::NoticeOperation;
use tim_proto::request::{HandleApplication, HandleInvitation, JoinGroup, QuitGroup};
use tim_proto::{ErrorCode, GroupId, JoinStatus, Payload, UserId};

use super::manage::GroupResponse;
use crate::call::encoded;
use crate::client::Client;
use crate::{GroupProfile, ImError, Message};

/// The response of [`Client::join_group`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JoinGroupResponse {
    /// Whether the user is now a member, was one before, or must wait for approval.
    pub status: JoinStatus,
    /// The group; `None` while waiting, or if the group was dismissed meanwhile.
    pub group: Option<GroupProfile>,
}

/// A decision about an application or an invitation (`handleAction`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Accept.
    Agree,
    /// Reject.
    Reject,
}

/// An application to join a group; the argument of [`Client::handle_group_application`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GroupApplication {
    group: GroupId,
    applicant: UserId,
    key: u64,
}

impl GroupApplication {
    /// The user's newest application to this group.
    #[must_use]
    pub const fn new(group: GroupId, applicant: UserId) -> Self {
        let key = 0;
        Self {
            group,
            applicant,
            key,
        }
    }

    /// The group.
    #[must_use]
    pub const fn group(&self) -> GroupId {
        self.group
    }

    /// The applicant.
    #[must_use]
    pub const fn applicant(&self) -> UserId {
        self.applicant
    }
}

/// The application that a notice announces.
impl TryFrom<&Message> for GroupApplication {
    type Error = ImError;

    fn try_from(notice: &Message) -> Result<Self, ImError> {
        let wrong = |text: &str| ImError::new(ErrorCode::GROUP_INVALID_PARAMETERS, text);
        match notice.payload() {
            Payload::SystemNotice(notice) if notice.operation == NoticeOperation::JOIN_REQUESTED => {
                Ok(Self {
                    group: GroupId::new(notice.group_id)?,
                    applicant: UserId::new(notice.operator_id)?,
                    key: notice.message_key,
                })
            }
            _ => Err(wrong(
                "the message is not a notice of an application (operation 1)",
            )),
        }
    }
}

impl Client {
    /// `joinGroup`: joins a group or applies to join it. `message` is for the admins that decide; may be empty. If the user
    /// joins at once, the user gets notice 2 and the group tip 1; otherwise the owner and the admins get notice 1, and their
    /// decision arrives as notice 2 or 3.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal: 10007 if the group accepts no applications or has banned the user, 10010 if the
    /// group does not exist, 10014 if it is full.
    ///
    /// ```no_run
    /// # async fn example(client: tim_client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use tim_client::{GroupId, JoinStatus};
    /// let joined = client.join_group(GroupId::new("hikers")?, "I have boots").await?;
    /// if joined.status == JoinStatus::WAIT_APPROVAL {
    ///     println!("an admin has to agree first");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn join_group(&self, group: GroupId, message: &str) -> Result<JoinGroupResponse, ImError> {
        let request = encoded(&JoinGroup::new(group).with_message(message));
        let status = self.call(request, |_, response| response.status).await?;
        let group = match status {
            JoinStatus::JOINED | JoinStatus::ALREADY_IN_GROUP => self.get_group_profile(group).await.ok(),
            _ => None,
        };
        Ok(JoinGroupResponse {
            status,
            group: group.map(|found| found.group),
        })
    }

    /// `quitGroup`: leaves a group. The group gets tip 2, the user's devices notice 8. When the owner of a Work group leaves,
    /// the longest-standing admin or member becomes the owner; when the last member leaves, the group is dismissed. Leaving
    /// twice is not an error.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal: 10009 for the owner of a group that must have one, 10010 if the group does not
    /// exist.
    pub async fn quit_group(&self, group: GroupId) -> Result<GroupResponse, ImError> {
        self.change_group(group, encoded(&QuitGroup::new(group))).await
    }

    /// `handleGroupApplication`: accepts an applicant (notice 2 to the applicant, tip 1 to the group) or rejects the
    /// application (notice 3). `message` is for the applicant; may be empty.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal: 10004 if the application does not exist, 10007 unless the user is owner or
    /// admin, 10010 if the group does not exist, 10014 if it is full, 10024 if it was decided already.
    ///
    /// ```no_run
    /// # async fn example(client: tim_client::Client, notice: tim_client::Message) -> Result<(), tim_client::ImError> {
    /// use tim_client::{Decision, GroupApplication};
    /// let application = GroupApplication::try_from(&notice)?;
    /// client.handle_group_application(application, Decision::Agree, "welcome").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn handle_group_application(
        &self,
        application: GroupApplication,
        decision: Decision,
        message: &str,
    ) -> Result<GroupResponse, ImError> {
        let GroupApplication {
            group,
            applicant,
            key,
        } = application;
        let request = encoded(
            &HandleApplication::new(group, applicant, decision == Decision::Agree)
                .with_message(message)
                .with_key(key),
        );
        self.change_group(group, request).await
    }

    /// Accepts or declines an invitation to a group (notice 12). The inviter gets notice 13 or 14. `message` is for the
    /// inviter; may be empty. Not in the Web SDK.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal: 10004 if the invitation does not exist, 10010 if the group does not exist, 10014
    /// if it is full, 10024 if it was decided otherwise before.
    pub async fn handle_group_invitation(
        &self,
        group: GroupId,
        decision: Decision,
        message: &str,
    ) -> Result<GroupResponse, ImError> {
        let accept = decision == Decision::Agree;
        let request = encoded(&HandleInvitation::new(group, accept).with_message(message));
        self.change_group(group, request).await
    }
}
