//! `group_open_http_svc`: groups, their members, attributes and messages.
//!
//! An administrator acts on every group, member or not, with the rights that
//! [`administrator_may`](tim_groups::rules::TypeRules::administrator_may) says; tips and notices name the administrator. The store
//! decides, in one order with what members do.

mod attributes;
mod create;
mod history;
mod import;
mod info;
mod members;
mod membership;
mod notices;
mod profile;
mod revoke;
mod send;
mod shown;

pub(super) use attributes::{attributes, clear_attributes, modify_attributes};
pub(super) use create::create;
pub(super) use history::history;
pub(super) use import::import;
pub(super) use info::{count_online, info, list};
pub(super) use members::{
    add_members, import_members, modify_member, mute, muted, remove_members, set_unread,
};
pub(super) use membership::{joined, members, roles};
pub(super) use notices::notify;
pub(super) use profile::{dismiss, hand_over, modify};
pub(super) use revoke::{recall, revoke_of_sender};
pub(super) use send::send;

use serde_json::Value;
use tim_groups::{Field, FieldChange, GroupAction, GroupResponse};
use tim_proto::{ErrorCode, GroupId, GroupType, UserId};
use tim_store::{Group, Refused, WriteError};

use super::call::Call;
use super::codes;
use super::envelope::{RestError, object};
use super::fields::Fields;
use crate::handlers::{Administered, administer};
use crate::refusal::Refusal;

/// The most bytes of an answer; what is longer has to be asked for in parts.
const MAX_ANSWER: usize = 1 << 20;
/// The most fields of the application in a call; a group or a member has fewer.
pub(super) const MAX_FIELDS: usize = 100;
/// How many members are read at a time.
const PAGE: usize = 1_000;

/// How many of what fit into a call or an answer.
pub(super) mod limits {
    pub(in crate::http::rest) use super::MAX_FIELDS as FIELDS;
    pub(in crate::http::rest) use super::attributes::MAX_NAMED as ATTRIBUTES;
    pub(in crate::http::rest) use super::create::MAX_MEMBERS as CREATED_WITH;
    pub(in crate::http::rest) use super::history::MAX_COUNT as HISTORY;
    pub(in crate::http::rest) use super::import::MAX_MESSAGES as IMPORTED;
    pub(in crate::http::rest) use super::info::{MAX_ASKED as ASKED, MAX_LISTED as LISTED};
    pub(in crate::http::rest) use super::members::{
        MAX_ADDED as ADDED, MAX_LISTED as MUTED_LISTED, MAX_MUTED as MUTED, MAX_REMOVED as REMOVED,
    };
    pub(in crate::http::rest) use super::membership::{
        MAX_GROUPS as JOINED, MAX_MEMBERS as MEMBERS, MAX_ROLE_FILTER as ROLES, MAX_ROLES as ROLES_OF,
    };
    pub(in crate::http::rest) use super::notices::MAX_RECEIVERS as RECEIVERS;
    pub(in crate::http::rest) use super::revoke::{MAX_NAMED as RECALLED, MAX_REASON as REASON};
    pub(in crate::http::rest) use super::shown::MAX_FILTER as FILTER;
}

/// The group that a call is about.
fn group_of(fields: &Fields<'_>) -> Result<GroupId, RestError> {
    parsed_group(fields, "GroupId", fields.need_text("GroupId")?)
}

fn parsed_group(fields: &Fields<'_>, name: &str, text: &str) -> Result<GroupId, RestError> {
    GroupId::new(text).map_err(|error| {
        fields
            .fault(name, format_args!("is not a group id: {error}"))
            .with_code(codes::BAD_GROUP_ID)
    })
}

/// A group type by any of its names; "" and none are no type.
fn type_of(fields: &Fields<'_>, name: &str) -> Result<Option<GroupType>, RestError> {
    let Some(text) = fields.non_empty_text(name)? else {
        return Ok(None);
    };
    Ok(Some(match text {
        "Private" | "Work" => GroupType::WORK,
        "Public" => GroupType::PUBLIC,
        "ChatRoom" | "Meeting" => GroupType::MEETING,
        "AVChatRoom" => GroupType::AV_CHAT_ROOM,
        "Community" => GroupType::COMMUNITY,
        _ => return Err(fields.fault(name, "is not a type of groups")),
    }))
}

/// A named value of a field.
fn named<T>(
    fields: &Fields<'_>,
    name: &str,
    find: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, RestError> {
    let Some(text) = fields.non_empty_text(name)? else {
        return Ok(None);
    };
    let found = find(text);
    found
        .map(Some)
        .ok_or_else(|| fields.fault(name, format_args!("cannot be {text:?}")))
}

/// The first of these names that the object has: some were renamed.
fn either<'n>(fields: &Fields<'_>, names: [&'n str; 2]) -> &'n str {
    let [old, new] = names;
    match fields.value(old) {
        None if fields.value(new).is_some() => new,
        _ => old,
    }
}

/// Fields of a group or a member as they are to be set; an empty value removes one.
fn custom_fields(fields: &Fields<'_>, name: &str) -> Result<Vec<FieldChange>, RestError> {
    let items = fields.objects(name, MAX_FIELDS)?;
    let changes = items.iter().map(|item| {
        Ok(FieldChange {
            name: item.need_text("Key")?.to_owned(),
            value: item.non_empty_text("Value")?.map(str::to_owned),
        })
    });
    changes.collect()
}

/// Fields as an answer shows them.
fn shown_fields<'f>(fields: impl IntoIterator<Item = &'f Field>) -> Value {
    let fields = fields.into_iter().map(|field| {
        object([
            ("Key", field.name.as_str().into()),
            ("Value", field.value.as_str().into()),
        ])
    });
    Value::Array(fields.collect())
}

/// An error of the store, or a refusal, about a group.
fn refused(call: &Call, error: WriteError) -> RestError {
    about_group(RestError::of_write(call.service, error))
}

/// That an account is unknown has a code of its own in calls about groups.
fn about_group(error: RestError) -> RestError {
    match error.code {
        code if code == ErrorCode::MSG_INVALID_ID.0 => error.with_code(ErrorCode::GROUP_ACCOUNT_NOT_FOUND.0),
        _ => error,
    }
}

/// Has the store change a group.
async fn change(
    call: &Call,
    group: GroupId,
    silent: bool,
    action: GroupAction,
) -> Result<GroupResponse, RestError> {
    let administered = Administered {
        admin: call.admin,
        group,
        silent,
        told: true,
        action,
    };
    administered_by(call, administered).await
}

async fn administered_by(call: &Call, administered: Administered) -> Result<GroupResponse, RestError> {
    let response = administer(&call.services, administered).await;
    response.map_err(|error| refused(call, error))
}

/// Checks that whoever is to own a group has an account.
async fn check_owner(call: &Call, owner: UserId) -> Result<(), RestError> {
    let found = call.read(move |services| Ok(services.reads.store().account(&owner)?));
    match found.await? {
        Some(_) => Ok(()),
        None => {
            let info = format!("{owner} has no account");
            Err(RestError::new(ErrorCode::GROUP_ACCOUNT_NOT_FOUND.0, info))
        }
    }
}

/// A group that exists.
async fn existing(call: &Call, group: GroupId) -> Result<Group, RestError> {
    let found = call.read(move |services| {
        let found = services.reads.store().group(&group)?;
        found.ok_or_else(|| Refusal::from(Refused::NoSuchGroup(group)))
    });
    found.await
}

/// Refuses what groups of this type do not have.
fn not_in_this_type(group: &Group) -> RestError {
    let info = format!(
        "this is not possible in a group of the type {}",
        type_name(group.group_type)
    );
    RestError::new(ErrorCode::GROUP_PERMISSION_DENY.0, info)
}

/// The name of a type in answers.
fn type_name(group_type: GroupType) -> &'static str {
    group_type.name().unwrap_or("Unknown")
}

/// The item of an answer about one member.
fn result(user: &UserId, result: u32) -> Value {
    object([
        ("Member_Account", user.as_str().into()),
        ("Result", result.into()),
    ])
}
