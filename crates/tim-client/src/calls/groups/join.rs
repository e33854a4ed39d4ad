//! `joinGroup`, `quitGroup`, and what those say who let others in, or are let in.

use tim_proto::notice::NoticeOperation;
use tim_proto::request::{HandleApplication, HandleInvitation, JoinGroup, QuitGroup};
use tim_proto::{ErrorCode, GroupId, JoinStatus, Payload, UserId};

use super::manage::GroupResponse;
use crate::call::encoded;
use crate::client::Client;
use crate::{GroupProfile, ImError, Message};

/// The answer to [`Client::join_group`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JoinGroupResponse {
    /// Whether the user is a member now, was one before, or has to wait for an admin.
    pub status: JoinStatus,
    /// The group as a member sees it; none while waiting, or if the group ended meanwhile.
    pub group: Option<GroupProfile>,
}

/// What is decided about an application or an invitation (`handleAction`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Yes: there will be one more member.
    Agree,
    /// No.
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
    /// The newest application of this user to this group.
    #[must_use]
    pub const fn new(group: GroupId, applicant: UserId) -> Self {
        let key = 0;
        Self {
            group,
            applicant,
            key,
        }
    }

    /// Which group is applied to.
    #[must_use]
    pub const fn group(&self) -> GroupId {
        self.group
    }

    /// Who applied.
    #[must_use]
    pub const fn applicant(&self) -> UserId {
        self.applicant
    }
}

/// The application that a notice tells of (S149).
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
            _ => Err(wrong("the message is no notice of an application (operation 1)")),
        }
    }
}

impl Client {
    /// `joinGroup`: asks to be let in. `message` is for those who decide about it; may be empty. Who is let in at once
    /// gets notice 2, and the group tip 1; else owner and admins get notice 1 (S149) and the answer is notice 2 or 3.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal: 10007 if the group takes no applications or has banned the user, 10010 if
    /// there is no such group, 10014 if it is full.
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
        let request = encoded(&JoinGroup { group, message });
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

    /// `quitGroup`: leaves a group. The others get tip 2, the own devices notice 8. When the owner of a Work group leaves,
    /// its longest-standing admin or member owns it, and when the last member leaves, it is dismissed. It is no error to
    /// leave a group twice.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal: 10009 for the owner of a group that needs one, 10010 if there is no such
    /// group.
    pub async fn quit_group(&self, group: GroupId) -> Result<GroupResponse, ImError> {
        self.change_group(group, encoded(&QuitGroup { group })).await
    }

    /// `handleGroupApplication`: lets an applicant in (notice 2 to them, tip 1 to the group) or refuses them (notice 3).
    /// `message` is for the applicant; may be empty.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal: 10004 if there is no such application, 10007 for who is neither owner nor
    /// admin, 10010 if there is no such group, 10014 if it is full, 10024 if it is decided already.
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
        let request = encoded(&HandleApplication {
            group,
            applicant,
            accept: decision == Decision::Agree,
            message,
            key,
        });
        self.change_group(group, request).await
    }

    /// Joins a group as its owner or an admin has asked for (notice 12), or does not; the SDK has no call for it. The
    /// inviter gets notice 13 or 14. `message` is for the inviter; may be empty.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal: 10004 if there is no such invitation, 10010 if there is no such group, 10014
    /// if it is full, 10024 if it was answered otherwise before.
    pub async fn handle_group_invitation(
        &self,
        group: GroupId,
        decision: Decision,
        message: &str,
    ) -> Result<GroupResponse, ImError> {
        let accept = decision == Decision::Agree;
        let request = encoded(&HandleInvitation {
            group,
            accept,
            message,
        });
        self.change_group(group, request).await
    }
}
