//! CREATE_GROUP.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use tim_groups::tips::MAX_NAMED;
use tim_groups::{NewGroup, create as prepare};
use tim_proto::request::{CreateGroup, CreateGroupResponse};
use tim_proto::{ErrorCode, GroupId, GroupType, UserId};
use tim_store::{Write, Written};

#[cfg(feature = "outgoing")]
use crate::callbacks::{AfterCreate, Platform};
use crate::client_context::ClientContext;
use crate::handlers::{Handled, Reply, admit};
use crate::refusal::Refusal;
use crate::service::Services;

/// Has the store create a group, with everything that tells of it.
pub(in crate::handlers) fn create<'a>(
    services: &Services,
    client: &mut ClientContext,
    request: &CreateGroup<'a>,
) -> Handled<CreateGroup<'a>> {
    let owner = client.user();
    let create = prepared(services, owner, request)?;
    let group = create.group.group;
    let is_av_chat_room = request.group_type == GroupType::AV_CHAT_ROOM;
    let mut new_users = Vec::new();
    // A request that is repeated after a cut creates nothing new, and costs nothing.
    if services.reads.store().group(&group)?.is_none() {
        let cost = u32::try_from(create.group.members.len()).unwrap_or(u32::MAX);
        if !client.was_asked_about() {
            admit(services, client, cost.saturating_add(1))?;
        }
        if services.options.open_registration {
            new_users.clone_from(&create.group.members);
            new_users.retain(UserId::is_well_formed);
        }
    }
    #[cfg(feature = "outgoing")]
    let after = AfterCreate::new(
        &services.callbacks,
        owner,
        Platform::Device,
        &create.group,
        services.now_ms(),
    );
    let write = Write::WithAccounts {
        users: new_users,
        write: Box::new(Write::CreateGroup(Box::new(create))),
    };
    let presence = Arc::clone(&services.presence);
    let responder = client.responder::<CreateGroup<'static>>();
    let fanout = services.fanout.clone();
    services.writer.submit(write, move |answer| {
        // A repeated request may name another type than the first one.
        if is_av_chat_room && matches!(answer, Ok(Written::Group { created: true })) {
            presence.enter_av_chat_room(group, &owner);
        }
        #[cfg(feature = "outgoing")]
        if matches!(answer, Ok(Written::Group { created: true })) {
            after.into_iter().for_each(AfterCreate::created);
        }
        fanout.answer(answer, move |answer| match answer {
            Ok(Written::Group { .. }) => responder.respond(&CreateGroupResponse::new(group)),
            Ok(_) => responder.refuse(Refusal::wrong_answer()),
            Err(error) => responder.refuse(error.into()),
        });
    })?;
    Reply::later()
}

/// The group that a request is to create, complete with what tells of it. Reads the store.
pub(super) fn prepared(
    services: &Services,
    owner: UserId,
    request: &CreateGroup<'_>,
) -> Result<tim_groups::CreateGroup, Refusal> {
    check(request)?;
    let group = match request.group {
        Some(group) => group,
        None => derived_id(&owner, request.random)?,
    };
    let members: Vec<UserId> = request.members.iter().collect();
    // The tip names the members in the order of their ids.
    let mut named = members.clone();
    named.sort_unstable();
    named.truncate(MAX_NAMED);
    named.push(owner);
    let book = services.reads.name_book(&named)?;
    let new = NewGroup {
        name: request.name.to_owned(),
        introduction: request.introduction.to_owned(),
        notification: request.notification.to_owned(),
        avatar: request.avatar.to_owned(),
        join_option: request.join_option,
        invite_option: request.invite_option,
        members,
        random: request.random,
        ..NewGroup::new(group, request.group_type, owner)
    };
    let policy = services.options.group_policy();
    Ok(prepare(new, &policy, services.now_ms(), &book)?)
}

fn check(new: &CreateGroup<'_>) -> Result<(), Refusal> {
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

/// An id of the form that only the hub makes, derived from the request, so that a repeated request means the same group.
fn derived_id(owner: &UserId, random: u32) -> Result<GroupId, Refusal> {
    let mut hasher = DefaultHasher::new();
    (owner, random).hash(&mut hasher);
    let text = format!("{}{:016X}", tim_proto::SYSTEM_GROUP_PREFIX, hasher.finish());
    GroupId::new(&text).map_err(|error| Refusal::new(ErrorCode::ILLEGAL_GROUP_ID, error.to_string()))
}
