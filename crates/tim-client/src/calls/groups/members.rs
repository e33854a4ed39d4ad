//! The members of a group: listing, adding and removing them, roles, mutes, name cards and bans.

use tim_proto::check_shown_name;
use tim_proto::request::{
    BanMembers, GroupMembers, InviteMembers, MemberOutcome, MembersResponse, RemoveMembers, Request,
    SetMember,
};
use tim_proto::wire::List;
use tim_proto::{GroupId, MemberResult, Role, UserId};

use super::manage::GroupResponse;
use crate::call::{EncodedRequest, encoded};
use crate::client::Client;
use crate::{GroupMember, ImError};

/// Which members [`Client::get_group_member_list`] lists. The default is the first page of all members.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemberListOptions {
    /// Only members with this role.
    pub role: Option<Role>,
    /// The maximum number; 0 for the hub's default.
    pub count: u16,
    /// The position after an earlier page.
    pub next: Option<NextMember>,
}

/// A position between two pages of members. Opaque.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NextMember(Vec<u8>);

/// The response of [`Client::get_group_member_list`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetGroupMemberListResponse {
    /// The members.
    pub member_list: Vec<GroupMember>,
    /// The position of the next page; `None` after the last one.
    pub next: Option<NextMember>,
}

/// The response of [`Client::add_group_member`]: the outcome for each user.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct AddGroupMemberResponse {
    /// Users who are now members (`successUserIDList`).
    pub success: Vec<UserId>,
    /// Users who were members before (`existedUserIDList`).
    pub existed: Vec<UserId>,
    /// Users who must accept the invitation first ([`MemberResult::INVITED`]) or need the approval of an admin
    /// ([`MemberResult::WAIT_APPROVAL`]).
    pub waiting: Vec<MemberOutcome>,
    /// Users who could not be added, and the reason (`failureUserIDList`).
    pub failed: Vec<MemberOutcome>,
}

/// The response of [`Client::delete_group_member`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DeleteGroupMemberResponse {
    /// Users who are no longer members (`userIDList`).
    pub removed: Vec<UserId>,
    /// The other users, and the reason.
    pub failed: Vec<MemberOutcome>,
}

/// The response of [`Client::ban_group_member`] and [`Client::unban_group_member`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct BanGroupMemberResponse {
    /// Users who are now banned, or no longer banned.
    pub success: Vec<UserId>,
    /// The other users, and the reason.
    pub failed: Vec<MemberOutcome>,
}

impl Client {
    /// `getGroupMemberList`: a page of the members.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal: 10007 if the user is not a member, 10010 if the group does not exist.
    ///
    /// ```no_run
    /// # async fn example(client: tim_client::Client, group: tim_client::GroupId) -> Result<(), tim_client::ImError> {
    /// use tim_client::MemberListOptions;
    /// let mut options = MemberListOptions::default();
    /// loop {
    ///     let page = client.get_group_member_list(group, options.clone()).await?;
    ///     for member in &page.member_list {
    ///         println!("{} {}", member.user, member.role);
    ///     }
    ///     options.next = page.next;
    ///     if options.next.is_none() {
    ///         break;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn get_group_member_list(
        &self,
        group: GroupId,
        options: MemberListOptions,
    ) -> Result<GetGroupMemberListResponse, ImError> {
        let mut request = GroupMembers::new(group)
            .with_next(options.next.as_ref().map_or(&[], |next| &next.0))
            .with_count(options.count);
        request.role = options.role;
        self.call(encoded(&request), |_, page| GetGroupMemberListResponse {
            member_list: page.members.iter().map(|member| (&member).into()).collect(),
            next: Some(page.next.to_vec())
                .filter(|next| !page.completed && !next.is_empty())
                .map(NextMember),
        })
        .await
    }

    /// `addGroupMember`: invites users. Depending on the group they join at once (notice 7 to each, tip 1), must accept first
    /// (notice 12), or need the approval of an admin (notice 1).
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal: 10007 if the user may not invite, 10010 if the group does not exist. A failure
    /// for one user is not an error; the response lists it.
    pub async fn add_group_member(
        &self,
        group: GroupId,
        users: &[UserId],
    ) -> Result<AddGroupMemberResponse, ImError> {
        let request = encoded(&InviteMembers::new(group, List::from_slice(users)));
        let mut response = AddGroupMemberResponse::default();
        for outcome in self.outcomes(request).await? {
            match outcome.result {
                MemberResult::ADDED => response.success.push(outcome.user),
                MemberResult::ALREADY_MEMBER => response.existed.push(outcome.user),
                MemberResult::INVITED | MemberResult::WAIT_APPROVAL => response.waiting.push(outcome),
                _ => response.failed.push(outcome),
            }
        }
        Ok(response)
    }

    /// `deleteGroupMember`: removes members. They get notice 4, the group tip 3 with the `reason`, which may be empty.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal: 10007 if the user may not remove members, 10010 if the group does not exist. A
    /// failure for one user is not an error; the response lists it.
    pub async fn delete_group_member(
        &self,
        group: GroupId,
        users: &[UserId],
        reason: &str,
    ) -> Result<DeleteGroupMemberResponse, ImError> {
        let request = encoded(&RemoveMembers::new(group, List::from_slice(users)).with_reason(reason));
        let (removed, failed) = split(self.outcomes(request).await?);
        Ok(DeleteGroupMemberResponse { removed, failed })
    }

    /// `setGroupMemberRole`: makes a member an admin (notice 9, tip 4) or a plain member (notice 10, tip 5).
    /// [`Client::change_group_owner`] changes the owner.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal: 10004 for another role or a user who is not a member, 10007 unless the caller is
    /// the owner, and for a group that has no admins or the maximum number of them, 10010 if the group does not exist, 10019
    /// if the user does not exist.
    pub async fn set_group_member_role(
        &self,
        group: GroupId,
        user: UserId,
        role: Role,
    ) -> Result<GroupResponse, ImError> {
        let request = encoded(&SetMember::new(group, user).with_role(role));
        self.change_group(group, request).await
    }

    /// `setGroupMemberMuteTime`: mutes a member for so many seconds: sending fails with 10017. 0 ends the mute. The group gets
    /// tip 7.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal: 10004 if the user is not a member, 10007 if the caller may not mute this member,
    /// 10010 if the group does not exist, 10019 if the user does not exist.
    pub async fn set_group_member_mute_time(
        &self,
        group: GroupId,
        user: UserId,
        seconds: u32,
    ) -> Result<GroupResponse, ImError> {
        let request = encoded(&SetMember::new(group, user).with_mute_seconds(seconds));
        self.change_group(group, request).await
    }

    /// `setGroupMemberNameCard`: sets the name card of a member or of the user. The group gets tip 7.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal: 10004 if the user is not a member or the name card is too long, 10007 for a
    /// member whom the caller does not outrank, 10010 if the group does not exist, 10019 if the user does not exist.
    pub async fn set_group_member_name_card(
        &self,
        group: GroupId,
        user: UserId,
        name_card: &str,
    ) -> Result<GroupResponse, ImError> {
        check_shown_name(name_card)?;
        let request = encoded(&SetMember::new(group, user).with_name_card(name_card));
        self.change_group(group, request).await
    }

    /// Bans users from an AVChatRoom for so many seconds. They get notice 21, the AVChatRoom tip 10 with the reason. Not in the
    /// Web SDK.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal: 10007 unless the user is the owner, and for groups of other types, 10010 if the
    /// group does not exist; [`ErrorCode::GROUP_INVALID_PARAMETERS`](crate::ErrorCode::GROUP_INVALID_PARAMETERS) for 0 seconds.
    pub async fn ban_group_member(
        &self,
        group: GroupId,
        users: &[UserId],
        seconds: u32,
        reason: &str,
    ) -> Result<BanGroupMemberResponse, ImError> {
        if seconds == 0 {
            let text = "a ban lasts at least one second; unban_group_member ends it";
            return Err(ImError::new(crate::ErrorCode::GROUP_INVALID_PARAMETERS, text));
        }
        self.set_ban(group, users, seconds, reason).await
    }

    /// Ends bans from an AVChatRoom. The AVChatRoom gets tip 11.
    ///
    /// # Errors
    /// As [`Client::ban_group_member`].
    pub async fn unban_group_member(
        &self,
        group: GroupId,
        users: &[UserId],
    ) -> Result<BanGroupMemberResponse, ImError> {
        self.set_ban(group, users, 0, "").await
    }

    async fn set_ban(
        &self,
        group: GroupId,
        users: &[UserId],
        seconds: u32,
        reason: &str,
    ) -> Result<BanGroupMemberResponse, ImError> {
        let request = encoded(&BanMembers::new(group, List::from_slice(users), seconds).with_reason(reason));
        let (success, failed) = split(self.outcomes(request).await?);
        Ok(BanGroupMemberResponse { success, failed })
    }

    /// Makes a request about users. Returns the outcome for each.
    async fn outcomes<R>(&self, request: EncodedRequest<R>) -> Result<Vec<MemberOutcome>, ImError>
    where
        R: for<'a> Request<Response<'a> = MembersResponse<'a>> + 'static,
    {
        self.call(request, |_, response: MembersResponse<'_>| {
            response.results.iter().collect()
        })
        .await
    }
}

/// The users for whom the request succeeded, and the other outcomes.
fn split(outcomes: Vec<MemberOutcome>) -> (Vec<UserId>, Vec<MemberOutcome>) {
    let done = |outcome: &MemberOutcome| outcome.result == MemberResult::REMOVED;
    let (done, failed): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(done);
    (done.into_iter().map(|outcome| outcome.user).collect(), failed)
}
