//! Making groups, with the tip and the notices that tell of it.

use std::sync::Arc;

use tim_proto::message::GroupTip;
use tim_proto::notice::{NoticeOperation, SystemNotice};
use tim_proto::tip::TipOperation;
use tim_proto::wire::{FrameKind, List};
use tim_proto::{ConversationId, ErrorCode, GroupId, GroupType, MessageId, MessageKind, UserId};

use super::ask::NewGroup;
use super::online::Device;
use super::requests::{Failed, content};
use super::shared::Shared;
use crate::store::{CreateGroup, Prepared, Write, role};

/// The longest of a group's texts, in bytes.
const MAX_NAME: usize = 100;
const MAX_INTRODUCTION: usize = 400;
const MAX_NOTIFICATION: usize = 400;
const MAX_AVATAR: usize = 500;
/// How many members the first tip names; the member list has them all.
const MAX_NAMED: usize = 100;

/// Hands a new group to the store, with everything that tells of it.
pub(super) fn create(hub: &Shared, device: &Arc<Device>, request: u32, new: NewGroup) -> Result<(), Failed> {
    check(hub, &new)?;
    let owner = device.user;
    let group = match new.group {
        Some(group) => group,
        None => made_up_id(&owner, new.random)?,
    };
    let mut members = new.members.clone();
    members.sort_unstable();
    members.dedup();
    members.retain(|member| *member != owner);
    // A request that is repeated after a cut makes nothing new, and costs nothing.
    if hub.reader.group(&group)?.is_none() {
        let cost = u32::try_from(members.len()).unwrap_or(u32::MAX).saturating_add(1);
        if !hub.online.may_send(&owner, hub.now_ms(), cost) {
            return Err(Failed::new(ErrorCode::RATE_LIMITED, ""));
        }
        if hub.options.open_registration {
            let submitted = hub.writer.submit(Write::EnsureAccounts(members.clone()), |_| ());
            submitted.map_err(|error| Failed(Shared::explain(&error)))?;
        }
    }
    let now_s = hub.now_ms() / 1000;
    let notice = |operation| notice(operation, owner, group, &new.name, now_s, new.random);
    let mut notices = vec![(owner, notice(NoticeOperation::GROUP_CREATED))];
    let invited = notice(NoticeOperation::INVITED); // the same bytes for all of them
    notices.extend(members.iter().map(|member| (*member, invited.clone())));
    let create = CreateGroup {
        group,
        group_type: u16::from(new.group_type.0),
        owner,
        tip: Some(join_tip(owner, &members, group, &new.name, now_s, new.random)),
        notices,
        members: members.into_iter().map(|member| (member, role::MEMBER)).collect(),
        name: new.name,
        introduction: new.introduction,
        notification: new.notification,
        avatar: new.avatar,
        creation_random: new.random,
    };
    let write = Write::CreateGroup(Box::new(create));
    let submitted = hub.submit(device, request, FrameKind::CREATE_GROUP, None, Some(group), write);
    submitted.map_err(|error| Failed(Shared::explain(&error)))
}

fn check(hub: &Shared, new: &NewGroup) -> Result<(), Failed> {
    let invalid = |text: String| Err(Failed::new(ErrorCode::GROUP_INVALID_PARAMETERS, text));
    if new.group.is_some_and(|group| group.is_system_made()) {
        return Err(Failed::new(
            ErrorCode::ILLEGAL_GROUP_ID,
            "ids that start with @TGS# are made by the hub",
        ));
    }
    if !new.group_type.is_known() {
        return Err(Failed::new(ErrorCode::ILLEGAL_GROUP_TYPE, ""));
    }
    if new.group_type == GroupType::AV_CHAT_ROOM && !new.members.is_empty() {
        return Err(Failed::new(ErrorCode::CANNOT_ADD_MEMBER_IN_AVCHATROOM, ""));
    }
    if new.members.len() > hub.options.max_members {
        return Err(Failed::new(
            ErrorCode::GROUP_FULL_MEMBER_COUNT,
            format!("at most {} members", hub.options.max_members),
        ));
    }
    for (what, text, max) in [
        ("name", &new.name, MAX_NAME),
        ("introduction", &new.introduction, MAX_INTRODUCTION),
        ("notification", &new.notification, MAX_NOTIFICATION),
        ("avatar", &new.avatar, MAX_AVATAR),
    ] {
        if text.len() > max {
            return invalid(format!(
                "the group's {what} has {} bytes, at most {max} are taken",
                text.len()
            ));
        }
    }
    Ok(())
}

/// An id of the form that only the hub makes. From the request, so that a repeated request means the same group.
fn made_up_id(owner: &UserId, random: u32) -> Result<GroupId, Failed> {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    (owner, random).hash(&mut hasher);
    let text = format!("{}{:016X}", tim_proto::SYSTEM_GROUP_PREFIX, hasher.finish());
    GroupId::new(&text).map_err(|error| Failed::new(ErrorCode::ILLEGAL_GROUP_ID, error.to_string()))
}

fn prepared<T: tim_proto::wire::Encode>(
    to: ConversationId,
    kind: MessageKind,
    payload: &T,
    now_s: u64,
    random: u32,
) -> Prepared {
    let id = MessageId {
        sender: 0,
        client_time: now_s,
        random,
    };
    Prepared {
        sender: UserId::SYSTEM,
        client_time: now_s,
        random,
        kind: kind.0,
        flags: 0,
        content: content(to, id, kind, payload),
    }
}

fn join_tip(
    owner: UserId,
    members: &[UserId],
    group: GroupId,
    name: &str,
    now_s: u64,
    random: u32,
) -> Prepared {
    let everybody = [&[owner], members].concat();
    let named: Vec<&str> = everybody.iter().take(MAX_NAMED).map(UserId::as_str).collect();
    let tip = GroupTip {
        operation: TipOperation::JOIN,
        operator_id: owner.as_str(),
        users: List::from_slice(&named),
        group_id: group,
        group_name: name,
        member_count: u32::try_from(everybody.len()).unwrap_or(u32::MAX),
        changes: List::default(),
        muted: List::default(),
        reason: "",
    };
    prepared(
        ConversationId::Group(group),
        MessageKind::GROUP_TIP,
        &tip,
        now_s,
        random,
    )
}

fn notice(
    operation: NoticeOperation,
    by: UserId,
    group: GroupId,
    name: &str,
    now_s: u64,
    random: u32,
) -> Prepared {
    let notice = SystemNotice {
        operation,
        operator_id: by.as_str(),
        group_id: group.as_str(),
        group_name: name,
        ..SystemNotice::default()
    };
    prepared(
        ConversationId::System,
        MessageKind::GROUP_SYSTEM_NOTICE,
        &notice,
        now_s,
        random,
    )
}
