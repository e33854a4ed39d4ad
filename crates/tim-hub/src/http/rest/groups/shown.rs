//! Groups and members as answers show them, with the fields that are asked for.

use serde_json::{Map, Value};
use tim_groups::rules::TypeRules;
use tim_groups::{Field, FieldScope};
use tim_proto::{GroupId, GroupType, Role, UserId};
use tim_store::{Group, GroupStatus, LogKey, Member, MembersRequest};

use super::{PAGE, shown_fields, type_name};
use crate::http::rest::envelope::RestError;
use crate::http::rest::fields::Fields;
use crate::refusal::Refusal;
use crate::service::Services;

/// The most names in a filter.
pub(in crate::http::rest) const MAX_FILTER: usize = 100;

/// Which fields of a group are asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct GroupFilter {
    /// `None`: all of them.
    names: Option<Vec<String>>,
    /// Which of the application's own fields.
    custom: Option<Vec<String>>,
}

/// Which fields of members are asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct MemberFilter {
    names: Option<Vec<String>>,
    custom: Option<Vec<String>>,
}

/// The names in a list of a filter; `None` if there is no such list.
fn names(filter: &Fields<'_>, name: &str) -> Result<Option<Vec<String>>, RestError> {
    if filter.value(name).is_none() {
        return Ok(None);
    }
    let names = filter.texts(name, MAX_FILTER)?;
    Ok(Some(names.into_iter().map(str::to_owned).collect()))
}

fn has(names: Option<&Vec<String>>, wanted: &str) -> bool {
    names.is_none_or(|names| names.iter().any(|name| name == wanted))
}

impl GroupFilter {
    /// Without a filter everything is shown; with one, what it names.
    pub(super) fn read(filter: Option<&Fields<'_>>) -> Result<Self, RestError> {
        let Some(filter) = filter else {
            return Ok(Self::default());
        };
        Ok(Self {
            names: Some(names(filter, "GroupBaseInfoFilter")?.unwrap_or_default()),
            custom: Some(names(filter, "AppDefinedDataFilter_Group")?.unwrap_or_default()),
        })
    }

    /// Nothing but the id.
    pub(super) fn none() -> Self {
        Self {
            names: Some(Vec::new()),
            custom: Some(Vec::new()),
        }
    }

    /// Whether nothing but the id is asked for.
    pub(super) fn is_empty(&self) -> bool {
        self.names.as_ref().is_some_and(Vec::is_empty) && self.custom.as_ref().is_some_and(Vec::is_empty)
    }
}

impl MemberFilter {
    /// As for groups, of the filter's fields about members.
    pub(super) fn read(filter: Option<&Fields<'_>>) -> Result<Self, RestError> {
        let Some(filter) = filter else {
            return Ok(Self::default());
        };
        Ok(Self {
            names: names(filter, "MemberInfoFilter")?,
            custom: Some(names(filter, "AppDefinedDataFilter_GroupMember")?.unwrap_or_default()),
        })
    }

    /// Of a call whose filters stand beside its other fields.
    pub(super) fn beside(fields: &Fields<'_>) -> Result<Self, RestError> {
        Ok(Self {
            names: names(fields, "MemberInfoFilter")?,
            custom: names(fields, "AppDefinedDataFilter_GroupMember")?,
        })
    }
}

/// How many members a group has now.
pub(super) fn member_count(services: &Services, group: &Group) -> u64 {
    match group.group_type {
        GroupType::AV_CHAT_ROOM => services.presence.av_chat_room_members(&group.group).into(),
        _ => group.member_count,
    }
}

/// A group with the fields that are asked for, and its id.
pub(super) fn group_object(
    services: &Services,
    status: &GroupStatus,
    filter: &GroupFilter,
) -> Result<Map<String, Value>, Refusal> {
    let group = &status.group;
    let rules = TypeRules::of_stored(group.group_type)?;
    let most = rules.ceiling_of(&services.options.group_policy(), group.max_members);
    let owner = match group.owner == UserId::SYSTEM {
        true => "",
        false => group.owner.as_str(),
    };
    let on_off = if group.mute_all { "On" } else { "Off" };
    let all: [(&str, Value); 19] = [
        ("Type", type_name(group.group_type).into()),
        ("Name", group.name.as_str().into()),
        ("Appid", services.options.app.id.into()),
        ("Introduction", group.introduction.as_str().into()),
        ("Notification", group.notification.as_str().into()),
        ("FaceUrl", group.avatar.as_str().into()),
        ("Owner_Account", owner.into()),
        ("CreateTime", (group.created_ms / 1000).into()),
        ("InfoSeq", status.profile_changes.into()),
        ("LastInfoTime", (status.profile_ms / 1000).into()),
        ("LastMsgTime", (status.last_ms / 1000).into()),
        ("NextMsgSeq", status.head_sequence.saturating_add(1).into()),
        ("MemberNum", member_count(services, group).into()),
        ("MaxMemberNum", most.unwrap_or(0).into()),
        ("MaxMemberCount", most.unwrap_or(0).into()),
        ("ApplyJoinOption", group.join_option.name().unwrap_or("").into()),
        (
            "InviteJoinOption",
            group.invite_option.name().unwrap_or("").into(),
        ),
        ("ShutUpAllMember", on_off.into()),
        ("MuteAllMember", on_off.into()),
    ];
    let mut shown: Map<String, Value> = all
        .into_iter()
        .filter(|(name, _)| has(filter.names.as_ref(), name))
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    shown.insert("GroupId".to_owned(), group.group.as_str().into());
    if filter.custom.as_ref().is_none_or(|names| !names.is_empty()) {
        let found = services
            .reads
            .store()
            .fields(&group.group, &[FieldScope::Group])?;
        let wanted = |field: &&Field| has(filter.custom.as_ref(), &field.name);
        let found = found.iter().flatten().filter(wanted);
        shown.insert("AppDefinedData".to_owned(), shown_fields(found));
    }
    Ok(shown)
}

/// All members of a group, in the order in which they joined.
pub(super) fn all_members(services: &Services, group: &GroupId) -> Result<Vec<Member>, Refusal> {
    let mut members = Vec::new();
    let mut after = None;
    loop {
        let page = services.reads.store().members_page(&MembersRequest {
            group: *group,
            role: None,
            after,
            limit: PAGE,
        })?;
        members.extend(page.members);
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(members),
        }
    }
}

/// The name of a role in answers.
pub(super) const fn role_name(role: Role) -> &'static str {
    match role {
        Role::OWNER => "Owner",
        Role::ADMIN => "Admin",
        _ => "Member",
    }
}

/// Members with the fields that are asked for, and their accounts.
pub(super) fn member_objects(
    services: &Services,
    group: &GroupId,
    members: &[Member],
    filter: &MemberFilter,
) -> Result<Vec<Value>, Refusal> {
    let store = services.reads.store();
    let users: Vec<UserId> = members.iter().map(|member| member.account.user).collect();
    let with_read = has(filter.names.as_ref(), "MsgSeq") && !users.is_empty();
    let read = match with_read {
        true => store.read_states(&LogKey::Group(*group), &users, u64::MAX)?,
        false => Vec::new(),
    };
    let read: std::collections::HashMap<_, _> = read
        .into_iter()
        .map(|state| (state.user, state.read_sequence))
        .collect();
    let custom = match &filter.custom {
        Some(names) if names.is_empty() => None,
        _ => {
            let scopes: Vec<_> = users.iter().map(|user| FieldScope::Member(*user)).collect();
            Some(store.fields(group, &scopes)?)
        }
    };
    let now_ms = services.now_ms();
    let objects = members.iter().enumerate().map(|(number, member)| {
        let user = &member.account.user;
        let mut shown = member_object(member, read.get(user).copied().unwrap_or(0), now_ms, filter);
        if let Some(custom) = &custom {
            let wanted = |field: &&Field| has(filter.custom.as_ref(), &field.name);
            let found = custom.get(number).into_iter().flatten().filter(wanted);
            shown.insert("AppMemberDefinedData".to_owned(), shown_fields(found));
        }
        Value::Object(shown)
    });
    Ok(objects.collect())
}

fn member_object(member: &Member, read: u64, now_ms: u64, filter: &MemberFilter) -> Map<String, Value> {
    let membership = &member.membership;
    let muted_until = match membership.muted_until_ms {
        until if until > now_ms => until / 1000,
        _ => 0,
    };
    let all: [(&str, Value); 8] = [
        ("Role", role_name(membership.role).into()),
        ("JoinTime", (membership.joined_ms / 1000).into()),
        ("MsgSeq", read.into()),
        ("MsgFlag", membership.receive_option.name().unwrap_or("").into()),
        ("LastSendMsgTime", 0.into()),
        ("ShutUpUntil", muted_until.into()),
        ("MuteUntil", muted_until.into()),
        ("NameCard", membership.name_card.as_str().into()),
    ];
    let mut shown: Map<String, Value> = all
        .into_iter()
        .filter(|(name, _)| has(filter.names.as_ref(), name))
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    shown.insert("Member_Account".to_owned(), member.account.user.as_str().into());
    shown
}
