//! Reading groups: all of them, what is known of some, how many are in one now.

use serde_json::Value;
use tim_proto::{GroupId, GroupType};
use tim_store::{AllGroupsRequest, Refused};

use super::shown::{GroupFilter, MemberFilter, all_members, group_object, member_objects};
use super::{MAX_ANSWER, existing, group_of, not_in_this_type, parsed_group, type_of};
use crate::http::rest::call::Call;
use crate::http::rest::codes;
use crate::http::rest::envelope::{Answer, RestError, object};
use crate::refusal::Refusal;
use crate::service::Services;

/// The most groups of a page of all groups.
pub(in crate::http::rest) const MAX_LISTED: usize = 10_000;
/// The most groups that a call asks about.
pub(in crate::http::rest) const MAX_ASKED: usize = 50;
/// The length of the shortest member in an answer: those of groups in which there are more than fit are not read.
const SHORTEST_MEMBER: usize = r#"{"Member_Account":"x"},"#.len();

/// `get_appid_group_list`.
pub(in crate::http::rest) async fn list(call: Call) -> Result<Answer, RestError> {
    let fields = call.fields();
    let limit = fields
        .number("Limit")?
        .filter(|limit| *limit > 0)
        .map_or(MAX_LISTED, |limit| usize::try_from(limit).unwrap_or(MAX_LISTED))
        .min(MAX_LISTED);
    let request = AllGroupsRequest {
        group_type: type_of(&fields, "GroupType")?,
        after: fields.number("Next")?.unwrap_or(0),
        limit,
    };
    let page = call
        .read(move |services| Ok(services.reads.store().all_groups(&request)?))
        .await?;
    let groups = page.groups.iter();
    let groups = groups.map(|group| object([("GroupId", group.as_str().into())]));
    Ok(Answer::ok()
        .with("TotalCount", page.total)
        .with("GroupIdList", groups.collect::<Vec<_>>())
        .with("Next", page.next.unwrap_or(0)))
}

/// `get_group_info`. Each group has a code of its own.
pub(in crate::http::rest) async fn info(call: Call) -> Result<Answer, RestError> {
    let fields = call.fields();
    let texts = fields.need_texts("GroupIdList", MAX_ASKED)?;
    let texts: Vec<(String, Result<GroupId, RestError>)> = texts
        .into_iter()
        .map(|text| (text.to_owned(), parsed_group(&fields, "GroupIdList", text)))
        .collect();
    let filter = fields.object("ResponseFilter")?;
    let groups = GroupFilter::read(filter.as_ref())?;
    let members = match &filter {
        Some(filter) if filter.value("MemberInfoFilter").is_none() => None,
        _ => Some(MemberFilter::read(filter.as_ref())?),
    };
    let service = call.service;
    let found = call.read(move |services| {
        let (mut found, mut size) = (Vec::<Value>::new(), 0_usize);
        for (text, group) in texts {
            let left = MAX_ANSWER.saturating_sub(size);
            let shown = group.and_then(|group| {
                let shown = one(services, &group, &groups, members.as_ref(), left);
                shown.map_err(|refusal| RestError::of(service, refusal))
            });
            let shown = match shown {
                Ok(Some(shown)) => shown,
                Ok(None) => return Ok(None),
                Err(error) => object([
                    ("GroupId", text.into()),
                    ("ErrorCode", error.code.into()),
                    ("ErrorInfo", error.info.into()),
                ]),
            };
            size += shown.to_string().len();
            found.push(shown);
        }
        Ok((size <= MAX_ANSWER).then_some(found))
    });
    let found = found.await?.ok_or_else(|| {
        let info = format!(
            "the answer would have more than {MAX_ANSWER} bytes; ask for fewer groups, or without their members"
        );
        RestError::new(codes::ANSWER_TOO_LARGE, info)
    })?;
    Ok(Answer::ok().with("GroupInfo", found))
}

/// What is shown of a group; `None` if its members do not fit into so many bytes.
fn one(
    services: &Services,
    group: &GroupId,
    filter: &GroupFilter,
    members: Option<&MemberFilter>,
    left: usize,
) -> Result<Option<Value>, Refusal> {
    let status = services.reads.store().group_status(group)?;
    let status = status.ok_or_else(|| Refusal::from(Refused::NoSuchGroup(*group)))?;
    let mut shown = group_object(services, &status, filter)?;
    shown.insert("ErrorCode".to_owned(), 0.into());
    shown.insert("ErrorInfo".to_owned(), "".into());
    if let Some(filter) = members {
        let members = match status.group.group_type {
            GroupType::AV_CHAT_ROOM => Vec::new(),
            _ if status.group.member_count > (left / SHORTEST_MEMBER) as u64 => return Ok(None),
            _ => all_members(services, group)?,
        };
        let members = member_objects(services, group, &members, filter)?;
        shown.insert("MemberList".to_owned(), members.into());
    }
    Ok(Some(Value::Object(shown)))
}

/// `get_online_member_num`: how many are in an AVChatRoom now.
pub(in crate::http::rest) async fn count_online(call: Call) -> Result<Answer, RestError> {
    let group = existing(&call, group_of(&call.fields())?).await?;
    if group.group_type != GroupType::AV_CHAT_ROOM {
        return Err(not_in_this_type(&group));
    }
    let count = call.services.presence.av_chat_room_members(&group.group);
    Ok(Answer::ok().with("OnlineMemberNum", count))
}
