//! Changing members: adding, removing, roles, mutes, name cards, what they have read.

use serde_json::Value;
use tim_groups::{GroupAction, GroupResponse, MemberEdit, NewMember};
use tim_proto::{ErrorCode, GroupId, GroupType, MemberResult, ReceiveOption, Role, UserId};
use tim_store::{Write, Written};

use super::{
    MAX_ANSWER, administered_by, change, custom_fields, either, existing, group_of, named, not_in_this_type,
    refused, result,
};
use crate::handlers::{Administered, tell_list_changed};
use crate::http::rest::call::Call;
use crate::http::rest::callbacks::ask_invite;
use crate::http::rest::codes;
use crate::http::rest::envelope::{Answer, RestError, object};
use crate::http::rest::fields::Fields;

/// The most users that a call adds.
pub(in crate::http::rest) const MAX_ADDED: usize = 300;
/// The most that one removes.
pub(in crate::http::rest) const MAX_REMOVED: usize = 100;
/// The most that one mutes.
pub(in crate::http::rest) const MAX_MUTED: usize = 500;
/// The most that the list of muted users shows.
pub(in crate::http::rest) const MAX_LISTED: usize = 10_000;

/// A list of members to add, with the code for one that is too long.
fn list<'a>(fields: &Fields<'a>, name: &str, max: usize) -> Result<Vec<Fields<'a>>, RestError> {
    let items = fields.need_objects(name, usize::MAX)?;
    match items.len() > max {
        true => Err(fields
            .fault(name, format_args!("has {} items, at most {max} fit", items.len()))
            .with_code(codes::TOO_MANY_MEMBERS)),
        false => Ok(items),
    }
}

fn role(fields: &Fields<'_>) -> Result<Option<Role>, RestError> {
    named(fields, "Role", |text| match text {
        "Admin" => Some(Role::ADMIN),
        "Member" => Some(Role::MEMBER),
        _ => None,
    })
}

/// `add_group_member`: nobody is asked for consent.
pub(in crate::http::rest) async fn add_members(call: Call) -> Result<Answer, RestError> {
    let fields = call.fields();
    let group = group_of(&fields)?;
    let items = list(&fields, "MemberList", MAX_ADDED)?;
    let members = items
        .iter()
        .map(|item| item.need_user("Member_Account").map(NewMember::new))
        .collect::<Result<Vec<_>, _>>()?;
    let silent = fields.flag("Silence")?;
    let users: Vec<UserId> = members.iter().map(|new| new.user).collect();
    let refused = ask_invite(&call, group, users).await?;
    let members = members.into_iter().filter(|new| !refused.contains(&new.user));
    let mut results = add(&call, (group, silent, true), members.collect()).await?;
    results.extend(refused.iter().map(|user| (*user, MemberResult::NOT_ALLOWED)));
    if let Some(error) = none_added(&results) {
        return Err(error);
    }
    let results = results
        .iter()
        .map(|(user, outcome)| result(user, number(*outcome)));
    Ok(Answer::ok().with("MemberList", results.collect::<Vec<_>>()))
}

async fn add(
    call: &Call,
    (group, silent, told): (GroupId, bool, bool),
    members: Vec<NewMember>,
) -> Result<Vec<(UserId, MemberResult)>, RestError> {
    let administered = Administered {
        admin: call.admin,
        group,
        silent,
        told,
        action: GroupAction::Add { members },
    };
    match administered_by(call, administered).await? {
        GroupResponse::Members(results) => Ok(results),
        _ => Err(call.wrong_answer()),
    }
}

/// The result of one user.
const fn number(outcome: MemberResult) -> u32 {
    match outcome {
        MemberResult::ADDED => 1,
        MemberResult::ALREADY_MEMBER => 2,
        _ => 0,
    }
}

/// The error if all users failed for one reason.
fn none_added(results: &[(UserId, MemberResult)]) -> Option<RestError> {
    let (_, first) = results.first()?;
    if !results.iter().all(|(_, outcome)| outcome == first) {
        return None;
    }
    let (code, info) = match *first {
        MemberResult::NOT_FOUND => (
            ErrorCode::GROUP_ACCOUNT_NOT_FOUND,
            "none of these users has an account",
        ),
        MemberResult::FULL => (ErrorCode::GROUP_FULL_MEMBER_COUNT, "the group is full"),
        MemberResult::NOT_ALLOWED => (
            ErrorCode::GROUP_COUNT_LIMIT,
            "these users are in as many groups as they may be",
        ),
        _ => return None,
    };
    Some(RestError::new(code.0, info))
}

/// `import_group_member`: adds members of another system, and tells nobody.
pub(in crate::http::rest) async fn import_members(call: Call) -> Result<Answer, RestError> {
    let fields = call.fields();
    let group = group_of(&fields)?;
    let items = list(&fields, "MemberList", MAX_ADDED)?;
    let (mut members, mut unread) = (Vec::new(), Vec::new());
    for item in &items {
        let user = item.need_user("Member_Account")?;
        let joined_s = item.number32("JoinTime")?;
        members.push(NewMember {
            role: role(item)?.unwrap_or(Role::MEMBER),
            joined_ms: joined_s.map(|seconds| u64::from(seconds).saturating_mul(1000)),
            ..NewMember::new(user)
        });
        if let Some(count) = item.number("UnreadMsgNum")?.filter(|count| *count > 0) {
            unread.push((user, count));
        }
    }
    let members = in_their_second(&call, group, members).await?;
    let results = add(&call, (group, true, false), members).await?;
    let is_added = |user: &UserId| results.contains(&(*user, MemberResult::ADDED));
    for (user, unread) in unread.into_iter().filter(|(user, _)| is_added(user)) {
        // The members are there already: "not done" would be wrong.
        let counted = count_unread(&call, user, group, unread).await;
        counted.map_err(|error| error.with_code(call.service.internal))?;
    }
    let results = results
        .iter()
        .map(|(user, outcome)| result(user, number(*outcome)));
    Ok(Answer::ok().with("MemberList", results.collect::<Vec<_>>()))
}

/// The second in which the group was created is as good a time to have joined as any later one.
async fn in_their_second(
    call: &Call,
    group: GroupId,
    mut members: Vec<NewMember>,
) -> Result<Vec<NewMember>, RestError> {
    let created_ms = existing(call, group).await?.created_ms;
    for joined_ms in members.iter_mut().filter_map(|member| member.joined_ms.as_mut()) {
        if *joined_ms / 1000 == created_ms / 1000 {
            *joined_ms = created_ms;
        }
    }
    Ok(members)
}

/// `delete_group_member`. Those who are no members are removed already.
pub(in crate::http::rest) async fn remove_members(call: Call) -> Result<Answer, RestError> {
    let fields = call.fields();
    let group = group_of(&fields)?;
    let users = fields.need_users("MemberToDel_Account", MAX_REMOVED)?;
    let silent = fields.flag("Silence")?;
    let reason = fields.text("Reason")?.unwrap_or("").to_owned();
    let found = existing(&call, group).await?;
    if found.group_type == GroupType::AV_CHAT_ROOM {
        return Err(not_in_this_type(&found).with_code(call.service.parameter));
    }
    let owner_stays = || {
        let info = "the owner cannot be removed; hand the group over or dismiss it";
        RestError::new(ErrorCode::GROUP_PERMISSION_DENY.0, info)
    };
    if users.contains(&found.owner) {
        return Err(owner_stays());
    }
    match change(&call, group, silent, GroupAction::Remove { users, reason }).await? {
        // Who has become the owner meanwhile.
        GroupResponse::Members(results)
            if results
                .iter()
                .any(|(_, outcome)| *outcome == MemberResult::NOT_ALLOWED) =>
        {
            Err(owner_stays())
        }
        _ => Ok(Answer::ok()),
    }
}

/// `modify_group_member_info`.
pub(in crate::http::rest) async fn modify_member(call: Call) -> Result<Answer, RestError> {
    let fields = call.fields();
    let group = group_of(&fields)?;
    let user = fields.need_user("Member_Account")?;
    let edit = MemberEdit {
        user,
        role: role(&fields)?,
        mute_seconds: fields.number32(either(&fields, ["ShutUpTime", "MuteTime"]))?,
        name_card: fields.text("NameCard")?.map(str::to_owned),
        receive_option: named(&fields, "MsgFlag", ReceiveOption::from_name)?,
        fields: custom_fields(&fields, "AppMemberDefinedData")?,
    };
    let tells = edit.receive_option.is_some();
    change(&call, group, false, GroupAction::Edit(Box::new(edit))).await?;
    if tells {
        tell_list_changed(&call.services.presence, &user, group);
    }
    Ok(Answer::ok())
}

/// `forbid_send_msg`: mutes members, or ends their mutes.
pub(in crate::http::rest) async fn mute(call: Call) -> Result<Answer, RestError> {
    let fields = call.fields();
    let group = group_of(&fields)?;
    let users = fields.need_users("Members_Account", MAX_MUTED)?;
    let seconds = fields.need_number32(either(&fields, ["ShutUpTime", "MuteTime"]))?;
    change(&call, group, false, GroupAction::MuteMembers { users, seconds }).await?;
    Ok(Answer::ok())
}

/// `get_group_shutted_uin`, now named `get_group_muted_account`: the answer has the names of both.
pub(in crate::http::rest) async fn muted(call: Call) -> Result<Answer, RestError> {
    let group = group_of(&call.fields())?;
    existing(&call, group).await?;
    let found = call
        .read(move |services| {
            let now_ms = services.now_ms();
            Ok(services.reads.store().muted_users(&group, now_ms, MAX_LISTED)?)
        })
        .await?;
    let shown = |until: &str| {
        let items = found.iter().map(|(user, until_ms)| {
            object([
                ("Member_Account", user.as_str().into()),
                (until, (until_ms / 1000).into()),
            ])
        });
        Value::Array(items.collect())
    };
    let old = shown("ShuttedUntil");
    if old.to_string().len() > MAX_ANSWER / 2 {
        return Err(RestError::new(codes::ANSWER_TOO_LARGE, "the list is too long"));
    }
    Ok(Answer::ok()
        .with("GroupId", group.as_str())
        .with("ShuttedUinList", old)
        .with("MutedAccountList", shown("MutedUntil")))
}

/// `set_unread_msg_num`.
pub(in crate::http::rest) async fn set_unread(call: Call) -> Result<Answer, RestError> {
    let fields = call.fields();
    let group = group_of(&fields)?;
    let user = fields.need_user("Member_Account")?;
    let unread = fields.need_number("UnreadMsgNum")?;
    let found = existing(&call, group).await?;
    // Nothing counts there, and nothing goes wrong.
    if found.group_type != GroupType::AV_CHAT_ROOM {
        count_unread(&call, user, group, unread).await?;
    }
    Ok(Answer::ok())
}

async fn count_unread(call: &Call, user: UserId, group: GroupId, unread: u64) -> Result<(), RestError> {
    let write = Write::SetUnread { user, group, unread };
    match call.services.writer.write(write).await {
        Ok(Written::Read { .. }) => {
            tell_list_changed(&call.services.presence, &user, group);
            Ok(())
        }
        Ok(_) => Err(call.wrong_answer()),
        Err(error) => Err(refused(call, error)),
    }
}
