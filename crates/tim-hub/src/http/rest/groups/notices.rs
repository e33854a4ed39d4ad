//! `send_group_system_notification`: a notice of the application (255).

use tim_groups::GroupAction;
use tim_groups::rules::{MAX_NOTICE, check_text};
use tim_proto::GroupType;

use super::{change, existing, group_of, not_in_this_type, refused};
use crate::handlers::notify_room;
use crate::http::rest::call::Call;
use crate::http::rest::envelope::{Answer, RestError};

/// The most receivers that are named.
pub(in crate::http::rest) const MAX_RECEIVERS: usize = 500;

/// To all members, or to those of the named users who are members; in an AVChatRoom to all who are in it now.
pub(in crate::http::rest) async fn notify(call: Call) -> Result<Answer, RestError> {
    let fields = call.fields();
    let group = group_of(&fields)?;
    let text = fields.need_text("Content")?.to_owned();
    check_text("Content", &text, MAX_NOTICE).map_err(|error| refused(&call, error.into()))?;
    let users = fields.users("ToMembers_Account", MAX_RECEIVERS)?;
    let found = existing(&call, group).await?;
    if found.group_type != GroupType::AV_CHAT_ROOM {
        change(&call, group, false, GroupAction::Notify { users, text }).await?;
        return Ok(Answer::ok());
    }
    if !users.is_empty() {
        return Err(not_in_this_type(&found));
    }
    notify_room(&call.services, call.admin, &found, &text).map_err(|error| refused(&call, error))?;
    Ok(Answer::ok())
}
