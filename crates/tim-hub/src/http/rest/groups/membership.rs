//! Reading members: of a group, and the groups of a user.

use serde_json::{Map, Value};
use tim_proto::{GroupId, GroupType, Role, UserId};
use tim_store::{Group, ListPosition, LogKey, Member, MembersRequest, Membership};

use super::shown::{GroupFilter, MAX_FILTER, MemberFilter, group_object, member_objects, role_name};
use super::{MAX_ANSWER, PAGE, existing, group_of, not_in_this_type, type_of};
use crate::http::rest::call::Call;
use crate::http::rest::codes;
use crate::http::rest::envelope::{Answer, RestError, object};
use crate::http::rest::fields::Fields;
use crate::refusal::Refusal;
use crate::service::Services;

/// The most members of an answer.
pub(in crate::http::rest) const MAX_MEMBERS: usize = 6_000;
/// The most groups of an answer.
pub(in crate::http::rest) const MAX_GROUPS: usize = 5_000;
/// The most users whose roles are asked for.
pub(in crate::http::rest) const MAX_ROLES: usize = 500;

/// The most roles in a filter.
pub(in crate::http::rest) const MAX_ROLE_FILTER: usize = 10;

/// Which members are asked for.
struct Wanted {
    group: GroupId,
    offset: usize,
    limit: usize,
    /// Any of these roles; all if there are none.
    roles: Vec<Role>,
    /// Where the page begins, of a Community.
    after: Option<ListPosition>,
}

/// `get_group_member_info`.
pub(in crate::http::rest) async fn members(call: Call) -> Result<Answer, RestError> {
    let fields = call.fields();
    let group = group_of(&fields)?;
    let found = existing(&call, group).await?;
    if found.group_type == GroupType::AV_CHAT_ROOM {
        return Err(not_in_this_type(&found));
    }
    let wanted = wanted(&fields, group)?;
    let filter = MemberFilter::beside(&fields)?;
    let (members, next) = call
        .read(move |services| {
            let (members, next) = find(services, &wanted)?;
            Ok((member_objects(services, &group, &members, &filter)?, next))
        })
        .await?;
    let members = fitting(members, "members")?;
    let answer = Answer::ok()
        .with("MemberNum", found.member_count)
        .with("MemberList", members);
    Ok(match found.group_type {
        GroupType::COMMUNITY => answer.with("Next", next.map_or_else(String::new, position_text)),
        _ => answer,
    })
}

fn wanted(fields: &Fields<'_>, group: GroupId) -> Result<Wanted, RestError> {
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let limit = fields.number("Limit")?.filter(|limit| *limit > 0);
    let roles = fields.texts("MemberRoleFilter", MAX_ROLE_FILTER)?;
    let roles = roles.into_iter().map(|text| {
        let role = Role::from_name(text);
        role.ok_or_else(|| fields.fault("MemberRoleFilter", format_args!("cannot have {text:?}")))
    });
    let after = match fields.value("Next") {
        Some(Value::String(text)) if !text.is_empty() => {
            let position = position_of(text);
            Some(position.ok_or_else(|| fields.fault("Next", "is not from an answer"))?)
        }
        _ => None,
    };
    Ok(Wanted {
        group,
        offset: size(fields.number("Offset")?.unwrap_or(0)),
        limit: limit.map_or(MAX_MEMBERS, size).min(MAX_MEMBERS),
        roles: roles.collect::<Result<_, _>>()?,
        after,
    })
}

/// The position of a page as text, and back.
fn position_text(position: ListPosition) -> String {
    let (major, minor) = position.parts();
    format!("{major:x}-{minor:x}")
}

fn position_of(text: &str) -> Option<ListPosition> {
    let (major, minor) = text.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some(ListPosition::new(number(major)?, number(minor)?))
}

/// A part of a list that comes in pages.
struct Window {
    skip: usize,
    left: usize,
    found: Vec<Member>,
}

impl Window {
    fn take(&mut self, mut members: Vec<Member>) {
        let skipped = self.skip.min(members.len());
        self.skip -= skipped;
        members.drain(..skipped);
        members.truncate(self.left);
        self.left -= members.len();
        self.found.extend(members);
    }
}

/// The members that are asked for, and where the next page begins.
fn find(services: &Services, wanted: &Wanted) -> Result<(Vec<Member>, Option<ListPosition>), Refusal> {
    let store = services.reads.store();
    let mut window = Window {
        skip: wanted.offset,
        left: wanted.limit,
        found: Vec::new(),
    };
    let role = (!wanted.roles.is_empty()).then_some(Role::MEMBER);
    if role.is_some() {
        let mut managers = store.managers(&wanted.group)?;
        managers.retain(|member| wanted.roles.contains(&member.membership.role));
        window.take(managers);
        if !wanted.roles.contains(&Role::MEMBER) {
            return Ok((window.found, None));
        }
    }
    let mut after = wanted.after;
    while window.left > 0 {
        let page = store.members_page(&MembersRequest {
            group: wanted.group,
            role,
            after,
            limit: window.skip.saturating_add(window.left).min(PAGE),
        })?;
        window.take(page.members);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok((window.found, after))
}

/// A list that fits into an answer.
fn fitting(items: Vec<Value>, what: &str) -> Result<Vec<Value>, RestError> {
    let size: usize = items.iter().map(|item| item.to_string().len()).sum();
    match size > MAX_ANSWER {
        true => Err(RestError::new(
            codes::ANSWER_TOO_LARGE,
            format!("the answer would have {size} bytes; ask for fewer {what}"),
        )),
        false => Ok(items),
    }
}

/// `get_role_in_group`.
pub(in crate::http::rest) async fn roles(call: Call) -> Result<Answer, RestError> {
    let fields = call.fields();
    let group = group_of(&fields)?;
    let users = fields.need_users("User_Account", MAX_ROLES)?;
    let found = existing(&call, group).await?;
    if found.group_type == GroupType::AV_CHAT_ROOM {
        return Err(not_in_this_type(&found));
    }
    let roles = call.read(move |services| {
        let store = services.reads.store();
        let roles = users.into_iter().map(|user| {
            let membership = store.membership(&group, &user)?;
            let role = membership.map_or("NotMember", |membership| role_name(membership.role));
            Ok(object([
                ("Member_Account", user.as_str().into()),
                ("Role", role.into()),
            ]))
        });
        roles.collect::<Result<Vec<_>, Refusal>>()
    });
    Ok(Answer::ok().with("UserIdList", roles.await?))
}

/// Which groups of a user are asked for, and what of them.
struct Joined {
    user: UserId,
    group_type: Option<GroupType>,
    with_rooms: bool,
    offset: usize,
    limit: usize,
    groups: GroupFilter,
    /// The names of the user's own fields.
    own: Vec<String>,
}

/// `get_joined_group_list`. Without a filter it has ids only.
pub(in crate::http::rest) async fn joined(call: Call) -> Result<Answer, RestError> {
    let fields = call.fields();
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let limit = fields.number("Limit")?.filter(|limit| *limit > 0);
    let filter = fields.object("ResponseFilter")?;
    let own = match &filter {
        Some(filter) => filter.texts("SelfInfoFilter", MAX_FILTER)?,
        None => Vec::new(),
    };
    let asked = Joined {
        user: fields.need_user("Member_Account")?,
        group_type: type_of(&fields, "GroupType")?,
        with_rooms: fields.flag("WithHugeGroups")?,
        offset: size(fields.number("Offset")?.unwrap_or(0)),
        limit: limit.map_or(MAX_GROUPS, size).min(MAX_GROUPS),
        own: own.into_iter().map(str::to_owned).collect(),
        groups: match filter {
            Some(_) => GroupFilter::read(filter.as_ref())?,
            None => GroupFilter::none(),
        },
    };
    let (total, groups) = call.read(move |services| groups_of(services, &asked)).await?;
    Ok(Answer::ok()
        .with("TotalCount", total)
        .with("GroupIdList", fitting(groups, "groups")?))
}

fn groups_of(services: &Services, asked: &Joined) -> Result<(usize, Vec<Value>), Refusal> {
    let store = services.reads.store();
    if store.account(&asked.user)?.is_none() {
        return Err(tim_store::Refused::NoAccount(asked.user).into());
    }
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = store.groups_page(&asked.user, after, PAGE)?;
        found.extend(page.groups);
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    // Of an AVChatRoom only the owner is stored.
    found.retain(|(group, _)| {
        let is_room = group.group_type == GroupType::AV_CHAT_ROOM;
        asked.group_type.is_none_or(|wanted| wanted == group.group_type) && (!is_room || asked.with_rooms)
    });
    let total = found.len();
    let page = found.iter().skip(asked.offset).take(asked.limit);
    let shown = page.map(|(group, membership)| joined_object(services, asked, group, membership));
    Ok((total, shown.collect::<Result<_, _>>()?))
}

fn joined_object(
    services: &Services,
    asked: &Joined,
    group: &Group,
    membership: &Membership,
) -> Result<Value, Refusal> {
    let store = services.reads.store();
    let id = group.group;
    let mut shown = match asked.groups.is_empty() {
        true => Map::from_iter([("GroupId".to_owned(), id.as_str().into())]),
        false => match store.group_status(&id)? {
            Some(status) => group_object(services, &status, &asked.groups)?,
            // It was dismissed a moment ago.
            None => Map::from_iter([("GroupId".to_owned(), id.as_str().into())]),
        },
    };
    if asked.own.is_empty() {
        return Ok(Value::Object(shown));
    }
    let mut own = Map::new();
    for name in &asked.own {
        let value: Value = match name.as_str() {
            "Role" => role_name(membership.role).into(),
            "JoinTime" => (membership.joined_ms / 1000).into(),
            "MsgFlag" => membership.receive_option.name().unwrap_or("").into(),
            "MsgSeq" => {
                let read = store.read_states(&LogKey::Group(id), &[asked.user], u64::MAX)?;
                read.first().map_or(0, |state| state.read_sequence).into()
            }
            _ => continue,
        };
        own.insert(name.clone(), value);
    }
    shown.insert("SelfInfo".to_owned(), Value::Object(own));
    Ok(Value::Object(shown))
}
