//! A group's members: who they are, bringing them in, removing them, and what each of them is and may do.

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

/// Which members [`Client::get_group_member_list`] lists. The default begins with the first of all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemberListOptions {
    /// Only those with this role.
    pub role: Option<Role>,
    /// How many at the most; 0 for as many as the hub finds good.
    pub count: u16,
    /// Behind an earlier page.
    pub next: Option<NextMember>,
}

/// Where a page of members ended. Opaque.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NextMember(Vec<u8>);

/// The answer to [`Client::get_group_member_list`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetGroupMemberListResponse {
    /// The members.
    pub member_list: Vec<GroupMember>,
    /// What to ask for the next page with; none behind the last one.
    pub next: Option<NextMember>,
}

/// The answer to [`Client::add_group_member`]: what became of each user.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct AddGroupMemberResponse {
    /// Members now (`successUserIDList`).
    pub success: Vec<UserId>,
    /// Members before (`existedUserIDList`).
    pub existed: Vec<UserId>,
    /// Those who have to agree first ([`MemberResult::INVITED`]), or about whom an admin has to decide
    /// ([`MemberResult::WAIT_APPROVAL`]).
    pub waiting: Vec<MemberOutcome>,
    /// Those who are no members, and why (`failureUserIDList`).
    pub failed: Vec<MemberOutcome>,
}

/// The answer to [`Client::delete_group_member`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DeleteGroupMemberResponse {
    /// No members any more (`userIDList`).
    pub removed: Vec<UserId>,
    /// The others, and why.
    pub failed: Vec<MemberOutcome>,
}

/// The answer to [`Client::ban_group_member`] and [`Client::unban_group_member`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct BanGroupMemberResponse {
    /// Banned now, or not any more.
    pub success: Vec<UserId>,
    /// The others, and why.
    pub failed: Vec<MemberOutcome>,
}

impl Client {
    /// `getGroupMemberList`: a page of the members.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal: 10007 for who is no member, 10010 if there is no such group.
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
        let request = encoded(&GroupMembers {
            group,
            next: options.next.as_ref().map_or(&[], |next| &next.0),
            count: options.count,
            role: options.role,
        });
        self.call(request, |_, page| GetGroupMemberListResponse {
            member_list: page.members.iter().map(|member| (&member).into()).collect(),
            next: Some(page.next.to_vec())
                .filter(|next| !page.completed && !next.is_empty())
                .map(NextMember),
        })
        .await
    }

    /// `addGroupMember`: invites users. Depending on the group they are in at once (notice 7 to each, tip 1), or have to
    /// agree first (notice 12), or an admin has to (notice 1).
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal: 10007 for who may not invite, 10010 if there is no such group. What could not
    /// be done for one user is no error but in the response.
    pub async fn add_group_member(
        &self,
        group: GroupId,
        users: &[UserId],
    ) -> Result<AddGroupMemberResponse, ImError> {
        let request = encoded(&InviteMembers {
            group,
            users: List::from_slice(users),
            reason: "",
        });
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

    /// `deleteGroupMember`: removes members. They get notice 4 (S152), the group tip 3; `reason` goes with the tip and may
    /// be empty.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal: 10007 for who may not remove anybody, 10010 if there is no such group. What
    /// could not be done for one user is no error but in the response.
    pub async fn delete_group_member(
        &self,
        group: GroupId,
        users: &[UserId],
        reason: &str,
    ) -> Result<DeleteGroupMemberResponse, ImError> {
        let request = encoded(&RemoveMembers {
            group,
            users: List::from_slice(users),
            reason,
        });
        let (removed, failed) = split(self.outcomes(request).await?);
        Ok(DeleteGroupMemberResponse { removed, failed })
    }

    /// `setGroupMemberRole`: makes a member an admin (notice 9, tip 4) or a plain member again (notice 10, tip 5). The
    /// owner changes by [`Client::change_group_owner`].
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal: 10004 for another role or who is no member, 10007 for anybody but the owner and
    /// for a group that has no admins or as many as it may have, 10010 if there is no such group, 10019 if there is no such
    /// user.
    pub async fn set_group_member_role(
        &self,
        group: GroupId,
        user: UserId,
        role: Role,
    ) -> Result<GroupResponse, ImError> {
        let request = encoded(&SetMember {
            role: Some(role),
            ..unchanged(group, user)
        });
        self.change_group(group, request).await
    }

    /// `setGroupMemberMuteTime`: for so many seconds a member cannot write (10017); 0 lets them again. The group gets
    /// tip 7.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal: 10004 for who is no member, 10007 for who may not mute this member, 10010 if
    /// there is no such group, 10019 if there is no such user.
    pub async fn set_group_member_mute_time(
        &self,
        group: GroupId,
        user: UserId,
        seconds: u32,
    ) -> Result<GroupResponse, ImError> {
        let request = encoded(&SetMember {
            mute_seconds: Some(seconds),
            ..unchanged(group, user)
        });
        self.change_group(group, request).await
    }

    /// `setGroupMemberNameCard`: how a member, or oneself, is called in this group. The group gets tip 7.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal: 10004 for who is no member and for a card that is too long, 10007 for another
    /// member whom one does not outrank, 10010 if there is no such group, 10019 if there is no such user.
    pub async fn set_group_member_name_card(
        &self,
        group: GroupId,
        user: UserId,
        name_card: &str,
    ) -> Result<GroupResponse, ImError> {
        check_shown_name(name_card)?;
        let request = encoded(&SetMember {
            name_card: Some(name_card),
            ..unchanged(group, user)
        });
        self.change_group(group, request).await
    }

    /// Keeps users out of an AVChatRoom for so many seconds; the SDK has no name for it. They get notice 21, the room tip
    /// 10 with the reason.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal: 10007 for anybody but the owner and for groups of other types, 10010 if there
    /// is no such group; [`ErrorCode::GROUP_INVALID_PARAMETERS`](crate::ErrorCode::GROUP_INVALID_PARAMETERS) for 0 seconds.
    pub async fn ban_group_member(
        &self,
        group: GroupId,
        users: &[UserId],
        seconds: u32,
        reason: &str,
    ) -> Result<BanGroupMemberResponse, ImError> {
        if seconds == 0 {
            let text = "a ban lasts a second at least; unban_group_member ends it";
            return Err(ImError::new(crate::ErrorCode::GROUP_INVALID_PARAMETERS, text));
        }
        self.set_ban(group, users, seconds, reason).await
    }

    /// Lets users into an AVChatRoom again that were banned. The room gets tip 11.
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
        let request = encoded(&BanMembers {
            group,
            users: List::from_slice(users),
            seconds,
            reason,
        });
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

/// A change of a member that changes nothing.
const fn unchanged<'a>(group: GroupId, user: UserId) -> SetMember<'a> {
    SetMember {
        group,
        user,
        role: None,
        mute_seconds: None,
        name_card: None,
    }
}

/// Those for whom it was done, and the others.
fn split(outcomes: Vec<MemberOutcome>) -> (Vec<UserId>, Vec<MemberOutcome>) {
    let done = |outcome: &MemberOutcome| outcome.result == MemberResult::REMOVED;
    let (done, failed): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(done);
    (done.into_iter().map(|outcome| outcome.user).collect(), failed)
}
