//! Attributes of groups: names with values that clients of an AVChatRoom share.

use serde_json::Value;
use tim_groups::{FieldChange, FieldScope, GroupAction};
use tim_proto::{GroupId, GroupType};

use super::{change, existing, group_of, not_in_this_type};
use crate::http::rest::call::Call;
use crate::http::rest::callbacks::{tell_attributes, tells_attributes};
use crate::http::rest::codes;
use crate::http::rest::envelope::{Answer, RestError, object};

/// How often a second the attributes of a group may be changed.
const CHANGES_PER_SECOND: u32 = 5;
/// The most attributes that a call may name; a group has fewer.
pub(in crate::http::rest) const MAX_NAMED: usize = 100;

/// `get_group_attr`.
pub(in crate::http::rest) async fn attributes(call: Call) -> Result<Answer, RestError> {
    let group = group_of(&call.fields())?;
    let found = existing(&call, group).await?;
    if found.group_type == GroupType::COMMUNITY {
        return Err(not_in_this_type(&found));
    }
    let fields = call
        .read(move |services| Ok(services.reads.store().fields(&group, &[FieldScope::Attributes])?))
        .await?;
    let items = fields.iter().flatten().map(|field| {
        object([
            ("key", field.name.as_str().into()),
            ("value", field.value.as_str().into()),
        ])
    });
    Ok(Answer::ok().with("GroupAttrAry", items.collect::<Vec<Value>>()))
}

/// `modify_group_attr`: sets some and keeps the others.
pub(in crate::http::rest) async fn modify_attributes(call: Call) -> Result<Answer, RestError> {
    let fields = call.fields();
    let group = group_of(&fields)?;
    let items = fields.need_objects("GroupAttr", MAX_NAMED)?;
    let changes = items.iter().map(|item| {
        Ok(FieldChange {
            name: item.need_text("key")?.to_owned(),
            value: Some(item.text("value")?.unwrap_or("").to_owned()),
        })
    });
    let changes = changes.collect::<Result<Vec<_>, RestError>>()?;
    set(&call, group, false, changes).await
}

/// `clear_group_attr`.
pub(in crate::http::rest) async fn clear_attributes(call: Call) -> Result<Answer, RestError> {
    let group = group_of(&call.fields())?;
    set(&call, group, true, Vec::new()).await
}

async fn set(
    call: &Call,
    group: GroupId,
    clear: bool,
    changes: Vec<FieldChange>,
) -> Result<Answer, RestError> {
    let services = &call.services;
    let taken = services
        .attribute_limiter
        .take(group, CHANGES_PER_SECOND, services.steady_ms(), 1);
    taken.map_err(|wait_ms| {
        let info = format!("the attributes are changed too often; try again in {wait_ms} ms");
        RestError::new(codes::TOO_MANY_ATTRIBUTE_CHANGES, info)
    })?;
    let told = match tells_attributes(call) {
        true => Some((existing(call, group).await?.group_type, changes.clone())),
        false => None,
    };
    change(call, group, false, GroupAction::SetAttributes { clear, changes }).await?;
    if let Some((group_type, changes)) = told {
        tell_attributes(call, (group, group_type), (clear, &changes));
    }
    Ok(Answer::ok())
}
