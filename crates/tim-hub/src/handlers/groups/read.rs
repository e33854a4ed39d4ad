//! Looking groups and their members up, in pages that fit the client's frames.

use std::sync::Arc;

use tim_proto::conversation::GroupProfile;
use tim_proto::request::{AnyResponse as Answer, GroupMember, GroupMembersResponse, GroupsResponse};
use tim_proto::wire::{FrameKind, List, encoded_len};
use tim_proto::{ErrorCode, GroupId, Role};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::connection::Connection;
use crate::device::Device;
use crate::encoding as encode;
use crate::groups::rules::TypeRules;
use crate::handlers::groups::change::is_room;
use crate::handlers::groups::refused;
use crate::handlers::pages::{self, Paged};
use crate::handlers::requests::{ANSWER_OVERHEAD, MAX_LEN_PREFIX};
use crate::refusal::Refusal;
use crate::service::Services;
use crate::store::{Account, Group, ListPosition, Member, MembersRequest, Membership, Refused};

/// What a list has at most beside its items: `next` and the rest.
const LIST_OVERHEAD: usize = ANSWER_OVERHEAD;

impl<L: AsyncRead + AsyncWrite + Unpin> Connection<L> {
    pub(crate) fn group_members(
        &mut self,
        id: u32,
        device: &Arc<Device>,
        asked: &MembersAsked,
    ) -> Result<(), Refusal> {
        let hub = Arc::clone(&self.hub);
        let place = hub.permissions.place(&device.user, asked.group)?;
        let limit = page_len(asked.count, hub.options.limits.members_page());
        let max = self.max_answer().saturating_sub(LIST_OVERHEAD);
        let paged = Paged::Members(asked.group, asked.role);
        let after = paged.place(&asked.next)?;
        let (members, next) = if place.rules.is_stored {
            stored_members(&hub, asked, after, limit, max)?
        } else {
            room_members(&hub, asked, after, limit, max)?
        };
        let next = next.map_or_else(Vec::new, |next| paged.cursor(&next));
        let members: Vec<GroupMember<'_>> = members.iter().map(wire_member).collect();
        let answer = GroupMembersResponse {
            next: &next,
            completed: next.is_empty(),
            members: List::from_slice(&members),
        };
        self.reply(id, FrameKind::GROUP_MEMBERS, &Answer::GroupMembers(answer));
        Ok(())
    }

    /// A page of the groups that the user is a member of.
    pub(crate) fn groups(
        &mut self,
        id: u32,
        device: &Arc<Device>,
        next: &[u8],
        count: u16,
    ) -> Result<(), Refusal> {
        let hub = Arc::clone(&self.hub);
        let paged = Paged::Groups(device.user);
        let after = list_cursor(paged.place(next)?)?;
        let mut limit = page_len(count, hub.options.limits.groups_page());
        let max = self.max_answer().saturating_sub(LIST_OVERHEAD);
        let page = loop {
            let page = hub.reader.groups_page(&device.user, after, limit)?;
            let sizes = page.groups.iter();
            let sizes = sizes.map(|(group, me)| encoded_len(&hub.profile(group, Some(me), true)));
            match fitting(sizes, max)? {
                fit if fit == page.groups.len() => break page,
                fit => limit = fit, // a page's end is known only by asking for it
            }
        };
        let groups: Vec<GroupProfile<'_>> = page
            .groups
            .iter()
            .map(|(group, me)| hub.profile(group, Some(me), true))
            .collect();
        let next = page.next.as_ref();
        let next = next.map_or_else(Vec::new, |next| paged.cursor(next.as_bytes()));
        let answer = GroupsResponse {
            next: &next,
            completed: next.is_empty(),
            groups: List::from_slice(&groups),
        };
        self.reply(id, FrameKind::GROUPS, &Answer::Groups(answer));
        Ok(())
    }

    /// A group's profile, also for who is no member. Of a Work group nobody else hears.
    pub(crate) fn group_profile(
        &mut self,
        id: u32,
        device: &Arc<Device>,
        group: GroupId,
    ) -> Result<(), Refusal> {
        let hub = Arc::clone(&self.hub);
        let Some((found, membership)) = hub.reader.group_and_membership(&group, &device.user)? else {
            return Err(refused(Refused::NoSuchGroup(group)));
        };
        let is_work = found.group_type == tim_proto::GroupType::WORK;
        if is_work && membership.is_none() {
            return Err(refused(Refused::NotParticipant(device.user)));
        }
        let is_in = membership.is_some() || hub.presence.is_in(&group, &device.user);
        let profile = hub.profile(&found, membership.as_ref(), is_in);
        self.reply(id, FrameKind::GROUP_PROFILE, &Answer::GroupProfile(profile));
        Ok(())
    }
}

/// Which members are asked for.
pub(crate) struct MembersAsked {
    pub(crate) group: GroupId,
    pub(crate) next: Vec<u8>,
    pub(crate) count: u16,
    pub(crate) role: Option<Role>,
}

impl Services {
    /// A group as a user sees it.
    pub(crate) fn profile<'a>(
        &self,
        group: &'a Group,
        membership: Option<&'a Membership>,
        is_in: bool,
    ) -> GroupProfile<'a> {
        let rules = TypeRules::of_stored(group.group_type).ok();
        let ceiling = rules.and_then(|rules| rules.ceiling(&self.options.group_policy()));
        let profile = encode::group_profile(group, membership, ceiling.unwrap_or(0));
        if !is_room(group) {
            return profile;
        }
        GroupProfile {
            member_count: self.presence.room_members(&group.group),
            role: match profile.role {
                Role(0) if is_in => Role::MEMBER,
                role => role,
            },
            ..profile
        }
    }
}

/// Members, and the place where they end; `None` behind the last one.
type MembersPage = (Vec<Member>, Option<Vec<u8>>);

fn stored_members(
    hub: &Services,
    asked: &MembersAsked,
    after: Option<&[u8]>,
    mut limit: usize,
    max: usize,
) -> Result<MembersPage, Refusal> {
    let after = list_cursor(after)?;
    loop {
        let page = hub.reader.members_page(&MembersRequest {
            group: asked.group,
            role: asked.role,
            after,
            limit,
        })?;
        let sizes = page
            .members
            .iter()
            .map(|member| encoded_len(&wire_member(member)));
        let fit = fitting(sizes, max)?;
        if fit == page.members.len() {
            let next = page.next.map(|next| next.as_bytes().to_vec());
            return Ok((page.members, next));
        }
        limit = fit; // a page's end is known only by asking for it
    }
}

/// Those who are in a room now, in no particular order. Who comes or goes between two pages can shift others.
fn room_members(
    hub: &Services,
    asked: &MembersAsked,
    after: Option<&[u8]>,
    limit: usize,
    max: usize,
) -> Result<MembersPage, Refusal> {
    let from = match after {
        None => Some(0),
        Some(next) => encode::page_number(next).and_then(|from| usize::try_from(from).ok()),
    };
    let Some(from) = from else {
        return Err(pages::invalid());
    };
    let Some(group) = hub.reader.group(&asked.group)? else {
        return Err(refused(Refused::NoSuchGroup(asked.group)));
    };
    let is_wanted = |member: &Member| {
        let role = member.membership.role;
        asked.role.is_none_or(|wanted| wanted == role)
    };
    let mut limit = limit;
    loop {
        let (users, next) = hub.presence.room_page(&asked.group, from, limit);
        let accounts = hub.reader.accounts(&users)?;
        let members = accounts.into_iter().map(|account| room_member(account, &group));
        let members: Vec<Member> = members.filter(is_wanted).collect();
        let sizes = members.iter().map(|member| encoded_len(&wire_member(member)));
        let fit = fitting(sizes, max)?;
        if fit == members.len() {
            let next = next.map(|next| encode::page_cursor(next as u64).as_ref().to_vec());
            return Ok((members, next));
        }
        limit = fit;
    }
}

fn room_member(account: Account, group: &Group) -> Member {
    let role = if account.user == group.owner {
        Role::OWNER
    } else {
        Role::MEMBER
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
    GroupMember {
        user: member.account.user,
        role: member.membership.role,
        joined: member.membership.joined_ms / 1000,
        muted_until: member.membership.muted_until_ms / 1000,
        nick: &member.account.nick,
        avatar: &member.account.avatar,
        name_card: &member.membership.name_card,
    }
}

/// How many items of these sizes go into `max` bytes: at least one, if there is one.
pub(crate) fn fitting(sizes: impl Iterator<Item = usize>, max: usize) -> Result<usize, Refusal> {
    let (mut fit, mut room) = (0, max);
    for size in sizes {
        match room.checked_sub(size.saturating_add(MAX_LEN_PREFIX)) {
            Some(left) => room = left,
            None if fit == 0 => {
                return Err(Refusal::new(
                    ErrorCode::FRAME_TOO_LARGE,
                    "not one of them fits into a frame that you take",
                ));
            }
            None => break,
        }
        fit += 1;
    }
    Ok(fit)
}

pub(crate) fn page_len(asked: u16, most: u32) -> usize {
    let most = most as usize;
    if asked == 0 {
        most
    } else {
        most.min(usize::from(asked))
    }
}

pub(crate) fn list_cursor(place: Option<&[u8]>) -> Result<Option<ListPosition>, Refusal> {
    match place {
        Some(place) => ListPosition::from_bytes(place)
            .map(Some)
            .ok_or_else(pages::invalid),
        None => Ok(None),
    }
}
