//! Making groups.

use std::sync::Arc;

use tim_proto::wire::FrameKind;
use tim_proto::{ErrorCode, GroupId, GroupType, UserId};

use crate::device::{Answered, Device, Outcome};
use crate::groups;
use crate::groups::tips::MAX_NAMED;
use crate::handlers::ask::NewGroup;
use crate::handlers::groups::refused;
use crate::refusal::Refusal;
use crate::service::Services;
use crate::store::{Write, Written};

/// Hands a new group to the store, with everything that tells of it.
pub(crate) fn create(
    hub: &Services,
    device: &Arc<Device>,
    request: u32,
    new: NewGroup,
) -> Result<(), Refusal> {
    check(&new)?;
    let owner = device.user;
    let group = match new.group {
        Some(group) => group,
        None => made_up_id(&owner, new.random)?,
    };
    // The tip names the members in the order of their ids.
    let mut named = new.members.clone();
    named.sort_unstable();
    named.truncate(MAX_NAMED);
    named.push(owner);
    let book = hub.name_book(&named)?;
    let is_room = new.group_type == GroupType::AV_CHAT_ROOM;
    let wish = groups::NewGroup {
        group,
        group_type: new.group_type,
        owner,
        name: new.name,
        introduction: new.introduction,
        notification: new.notification,
        avatar: new.avatar,
        join_option: new.join_option,
        invite_option: new.invite_option,
        members: new.members,
        random: new.random,
    };
    let create = groups::create(wish, &hub.options.group_policy(), hub.now_ms(), &book).map_err(refused)?;
    // A request that is repeated after a cut makes nothing new, and costs nothing.
    if hub.reader.group(&group)?.is_none() {
        let cost = u32::try_from(create.members.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        hub.presence.may_send(&owner, hub.steady_ms(), cost)?;
        if hub.options.open_registration {
            let members = create.members.iter().map(|(member, _)| *member);
            let members = members.filter(UserId::is_well_formed).collect();
            let submitted = hub.writer.submit(Write::EnsureAccounts(members), |_| ());
            submitted.map_err(|error| Refusal::from(&error))?;
        }
    }
    let write = Write::CreateGroup(Box::new(create));
    let (presence, device) = (Arc::clone(&hub.presence), Arc::clone(device));
    let submitted = hub.writer.submit(write, move |answer| {
        // A repeated request may name another type than the first one.
        if is_room && matches!(answer, Ok(Written::Group { created: true })) {
            presence.enter_room(group, &device.user);
        }
        device.answer(Answered {
            request,
            kind: FrameKind::CREATE_GROUP,
            log: None,
            group: Some(group),
            outcome: Outcome::Store(answer),
        });
    });
    submitted.map_err(|error| Refusal::from(&error))
}

fn check(new: &NewGroup) -> Result<(), Refusal> {
    if new.group.is_some_and(|group| group.is_system_made()) {
        return Err(Refusal::new(
            ErrorCode::ILLEGAL_GROUP_ID,
            "ids that start with @TGS# are made by the hub",
        ));
    }
    if new.group.is_some_and(|group| !group.is_well_formed()) {
        let text = "a group id neither begins nor ends with a space";
        return Err(Refusal::new(ErrorCode::ILLEGAL_GROUP_ID, text));
    }
    if !new.group_type.is_known() {
        return Err(Refusal::new(ErrorCode::ILLEGAL_GROUP_TYPE, ""));
    }
    if new.group_type == GroupType::AV_CHAT_ROOM && !new.members.is_empty() {
        return Err(Refusal::new(ErrorCode::CANNOT_ADD_MEMBER_IN_AVCHATROOM, ""));
    }
    Ok(())
}

/// An id of the form that only the hub makes. From the request, so that a repeated request means the same group.
fn made_up_id(owner: &UserId, random: u32) -> Result<GroupId, Refusal> {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    (owner, random).hash(&mut hasher);
    let text = format!("{}{:016X}", tim_proto::SYSTEM_GROUP_PREFIX, hasher.finish());
    GroupId::new(&text).map_err(|error| Refusal::new(ErrorCode::ILLEGAL_GROUP_ID, error.to_string()))
}
