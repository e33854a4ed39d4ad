//! GROUP_MEMBERS, GROUPS and GROUP_PROFILE, in pages that fit the client's frames.

use tim_groups::Refused;
use tim_groups::rules::TypeRules;
use tim_proto::conversation::GroupProfile;
use tim_proto::request::{
    GetGroupProfile, GroupMember, GroupMembers, GroupMembersResponse, Groups, GroupsResponse,
};
use tim_proto::wire::{List, encoded_len};
use tim_proto::{GroupType, Role};
use tim_store::{Account, Group, Member, MembersRequest, Membership};

use crate::client_context::ClientContext;
use crate::encoding;
use crate::handlers::av_chat_rooms::is_av_chat_room;
use crate::handlers::pages::{self, Paged};
use crate::handlers::{Handled, RESPONSE_OVERHEAD, Reply};
use crate::refusal::Refusal;
use crate::service::Services;

/// A page of a group's members.
pub(in crate::handlers) fn members<'a>(
    services: &Services,
    client: &mut ClientContext,
    request: &GroupMembers<'a>,
) -> Handled<GroupMembers<'a>> {
    let membership = services.permissions.membership(&client.user(), request.group)?;
    let page = PageLimits {
        len: pages::page_len(request.count, services.options.limits.members_page()),
        max_bytes: client.max_response().saturating_sub(RESPONSE_OVERHEAD),
    };
    let paged = Paged::Members(request.group, request.role);
    let after = paged.position(request.next)?;
    let (members, next) = if membership.rules.is_stored {
        stored_members(services, request, after, page)?
    } else {
        av_chat_room_members(services, request, after, page)?
    };
    // Again: a user who was removed meanwhile does not see who is in the group now.
    services.permissions.membership(&client.user(), request.group)?;
    let next = next.map_or_else(Vec::new, |next| paged.cursor(&next));
    let members: Vec<GroupMember<'_>> = members.iter().map(wire_member).collect();
    Reply::now(
        &GroupMembersResponse::new(List::from_slice(&members))
            .with_next(&next)
            .with_completed(next.is_empty()),
    )
}

/// A page of the groups that the user is a member of.
pub(in crate::handlers) fn groups<'a>(
    services: &Services,
    client: &mut ClientContext,
    request: &Groups<'a>,
) -> Handled<Groups<'a>> {
    let user = client.user();
    let paged = Paged::Groups(user);
    let after = pages::list_cursor(paged.position(request.next)?)?;
    let mut limit = pages::page_len(request.count, services.options.limits.groups_page());
    let max_bytes = client.max_response().saturating_sub(RESPONSE_OVERHEAD);
    let page = loop {
        let page = services.reads.store().groups_page(&user, after, limit)?;
        let profiles = page.groups.iter();
        let sizes = profiles
            .map(|(group, membership)| encoded_len(&profile_for(services, group, Some(membership), true)));
        match pages::fitting(sizes, max_bytes)? {
            fit if fit == page.groups.len() => break page,
            fit => limit = fit, // the end of a page is known only by asking for it
        }
    };
    let groups: Vec<GroupProfile<'_>> = page
        .groups
        .iter()
        .map(|(group, membership)| profile_for(services, group, Some(membership), true))
        .collect();
    let next = page.next.as_ref();
    let next = next.map_or_else(Vec::new, |next| paged.cursor(next.as_bytes()));
    Reply::now(
        &GroupsResponse::new(List::from_slice(&groups))
            .with_next(&next)
            .with_completed(next.is_empty()),
    )
}

/// The profile of a group, also for users who are not members; of a Work group for members only.
pub(in crate::handlers) fn profile(
    services: &Services,
    client: &mut ClientContext,
    request: &GetGroupProfile,
) -> Handled<GetGroupProfile> {
    let (group, user) = (request.group, client.user());
    let Some((found, membership)) = services.reads.store().group_and_membership(&group, &user)? else {
        return Err(Refused::NoSuchGroup(group).into());
    };
    if found.group_type == GroupType::WORK && membership.is_none() {
        return Err(Refused::NotParticipant(user).into());
    }
    let is_in = membership.is_some() || services.presence.is_in(&group, &user);
    Reply::now(&profile_for(services, &found, membership.as_ref(), is_in))
}

/// A group as it appears to a user.
pub(in crate::handlers) fn profile_for<'a>(
    services: &Services,
    group: &'a Group,
    membership: Option<&'a Membership>,
    is_in: bool,
) -> GroupProfile<'a> {
    let rules = TypeRules::of_stored(group.group_type).ok();
    let ceiling =
        rules.and_then(|rules| rules.ceiling_of(&services.options.group_policy(), group.max_members));
    let profile = encoding::group_profile(group, membership, ceiling.unwrap_or(0));
    if !is_av_chat_room(group) {
        return profile;
    }
    profile
        .with_member_count(services.presence.av_chat_room_members(&group.group))
        .with_role(match profile.role {
            Role(0) if is_in => Role::MEMBER,
            role => role,
        })
}

/// How many members a page may have, and how many bytes.
#[derive(Clone, Copy)]
struct PageLimits {
    len: usize,
    max_bytes: usize,
}

/// Members, and the position behind them; `None` behind the last one.
type MembersPage = (Vec<Member>, Option<Vec<u8>>);

fn stored_members(
    services: &Services,
    request: &GroupMembers<'_>,
    after: Option<&[u8]>,
    mut limits: PageLimits,
) -> Result<MembersPage, Refusal> {
    let after = pages::list_cursor(after)?;
    loop {
        let page = services.reads.store().members_page(&MembersRequest {
            group: request.group,
            role: request.role,
            after,
            limit: limits.len,
        })?;
        let fit = limits.fitting(&page.members)?;
        if fit == page.members.len() {
            let next = page.next.map(|next| next.as_bytes().to_vec());
            return Ok((page.members, next));
        }
        limits.len = fit; // the end of a page is known only by asking for it
    }
}

/// Those who are in an AVChatRoom now, in no particular order. Users who come or go between two pages can shift others.
fn av_chat_room_members(
    services: &Services,
    request: &GroupMembers<'_>,
    after: Option<&[u8]>,
    mut limits: PageLimits,
) -> Result<MembersPage, Refusal> {
    let from = match after {
        None => Some(0),
        Some(next) => pages::number(next).and_then(|from| usize::try_from(from).ok()),
    };
    let from = from.ok_or_else(pages::invalid)?;
    let store = services.reads.store();
    let Some(group) = store.group(&request.group)? else {
        return Err(Refused::NoSuchGroup(request.group).into());
    };
    let is_wanted = |member: &Member| request.role.is_none_or(|wanted| wanted == member.membership.role);
    loop {
        let (users, next) = services
            .presence
            .av_chat_room_page(&request.group, from, limits.len);
        let accounts = store.accounts(&users)?.into_iter();
        let members = accounts.map(|account| av_chat_room_member(account, &group));
        let members: Vec<Member> = members.filter(is_wanted).collect();
        let fit = limits.fitting(&members)?;
        if fit == members.len() {
            let next = next.map(|next| pages::encode(next as u64).as_ref().to_vec());
            return Ok((members, next));
        }
        limits.len = fit;
    }
}

impl PageLimits {
    fn fitting(&self, members: &[Member]) -> Result<usize, Refusal> {
        let sizes = members.iter().map(|member| encoded_len(&wire_member(member)));
        pages::fitting(sizes, self.max_bytes)
    }
}

fn av_chat_room_member(account: Account, group: &Group) -> Member {
    let role = match account.user == group.owner {
        true => Role::OWNER,
        false => Role::MEMBER,
    };
    Member {
        account,
        membership: Membership {
            role,
            joined_ms: 0,
            joined_at: 0,
            muted_until_ms: 0,
            receive_option: Default::default(),
            name_card: String::new(),
        },
    }
}

fn wire_member(member: &Member) -> GroupMember<'_> {
    GroupMember::new(member.account.user, member.membership.role)
        .with_joined(member.membership.joined_ms / 1000)
        .with_muted_until(member.membership.muted_until_ms / 1000)
        .with_nick(&member.account.nick)
        .with_avatar(&member.account.avatar)
        .with_name_card(&member.membership.name_card)
}
