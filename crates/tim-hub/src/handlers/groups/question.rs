//! What the application is asked before a request about a group.

use tim_groups::rules::{Action, TypeRules};
use tim_proto::request::{CreateGroup, InviteMembers, JoinGroup};
use tim_proto::wire::{FrameKind, decode_body};
use tim_proto::{GroupId, GroupType, JoinOption, UserId};
use tim_store::StoreError;

use super::create::prepared;
use crate::callbacks::Question;
use crate::handlers::admit_user;
use crate::handlers::av_chat_rooms::is_av_chat_room;
use crate::refusal::Refusal;
use crate::service::Services;

/// How many groups of a user are read at a time.
const PAGE: usize = 1_000;

/// Who makes a request, and how much the user may send.
#[derive(Debug, Clone, Copy)]
pub(in crate::handlers) struct Asker {
    pub(in crate::handlers) user: UserId,
    pub(in crate::handlers) sends_per_second: u32,
}

/// What the application is asked before this request is handled. `None`: nothing, as the request is refused anyway, or repeats one that was
/// carried out. Otherwise the request is admitted, which its handler does not do again. Reads the store.
pub(in crate::handlers) fn question(
    services: &Services,
    asker: Asker,
    kind: FrameKind,
    body: &[u8],
) -> Result<Option<Question>, Refusal> {
    let found = match kind {
        FrameKind::CREATE_GROUP => before_create(services, asker.user, body)?,
        FrameKind::JOIN_GROUP => before_join(services, asker.user, body)?,
        FrameKind::INVITE_MEMBERS => before_invite(services, asker.user, body)?,
        _ => None,
    };
    if let Some(question) = &found {
        let users = match question {
            Question::Create { new, .. } => new.members.len().saturating_add(1),
            Question::Join { .. } => 1,
            Question::Invite { users, .. } => users.len(),
        };
        let cost = u32::try_from(users).unwrap_or(u32::MAX);
        admit_user(services, asker.user, asker.sends_per_second, cost)?;
    }
    Ok(found)
}

fn before_create(services: &Services, owner: UserId, body: &[u8]) -> Result<Option<Question>, Refusal> {
    let Ok(request) = decode_body::<CreateGroup<'_>>(body) else {
        return Ok(None);
    };
    let Ok(create) = prepared(services, owner, &request) else {
        return Ok(None);
    };
    if services.reads.store().group(&create.group.group)?.is_some() {
        return Ok(None);
    }
    Ok(Some(Question::Create {
        operator: owner,
        owned: owned_groups(services, &owner)?,
        new: Box::new(create.group),
    }))
}

fn before_join(services: &Services, user: UserId, body: &[u8]) -> Result<Option<Question>, Refusal> {
    let Ok(request) = decode_body::<JoinGroup<'_>>(body) else {
        return Ok(None);
    };
    let found = services
        .reads
        .store()
        .group_and_membership(&request.group, &user)?;
    // Who is a member does not join.
    let Some((group, None)) = found else {
        return Ok(None);
    };
    let is_open = match is_av_chat_room(&group) {
        true => !services.presence.is_in(&group.group, &user),
        false => matches!(
            group.join_option,
            JoinOption::FREE_ACCESS | JoinOption::NEED_PERMISSION
        ),
    };
    Ok(is_open.then_some(Question::Join {
        group: group.group,
        group_type: group.group_type,
        user,
    }))
}

fn before_invite(services: &Services, user: UserId, body: &[u8]) -> Result<Option<Question>, Refusal> {
    let Ok(request) = decode_body::<InviteMembers<'_>>(body) else {
        return Ok(None);
    };
    let store = services.reads.store();
    let Some((group, Some(membership))) = store.group_and_membership(&request.group, &user)? else {
        return Ok(None);
    };
    let may = TypeRules::of_stored(group.group_type)
        .and_then(|rules| rules.may(Some(membership.role), Action::Invite));
    let most = services.options.limits.members_per_call() as usize;
    if may.is_err() || request.users.len() > most {
        return Ok(None);
    }
    let users: Vec<UserId> = request.users.iter().collect();
    invitation(services, (group.group, group.group_type), user, &users)
}

/// What the application is asked before these users are invited, or added; `None` if all of them are members. Reads the store.
pub(crate) fn invitation(
    services: &Services,
    (group, group_type): (GroupId, GroupType),
    operator: UserId,
    users: &[UserId],
) -> Result<Option<Question>, Refusal> {
    let store = services.reads.store();
    let mut strangers: Vec<UserId> = Vec::new();
    for user in users {
        if !strangers.contains(user) && store.membership(&group, user)?.is_none() {
            strangers.push(*user);
        }
    }
    Ok((!strangers.is_empty()).then_some(Question::Invite {
        group,
        group_type,
        operator,
        users: strangers,
    }))
}

/// How many groups a user owns. Reads the store.
pub(crate) fn owned_groups(services: &Services, owner: &UserId) -> Result<usize, StoreError> {
    let (mut count, mut after) = (0, None);
    loop {
        let page = services.reads.store().groups_page(owner, after, PAGE)?;
        count += page
            .groups
            .iter()
            .filter(|(group, _)| group.owner == *owner)
            .count();
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(count),
        }
    }
}
