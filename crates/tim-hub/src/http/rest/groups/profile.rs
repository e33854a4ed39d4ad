//! Changing a group: its profile, its owner, its end.

use tim_groups::{GroupAction, GroupUpdate};
use tim_proto::{InviteOption, JoinOption};

use super::{change, check_owner, custom_fields, either, existing, group_of, named};
use crate::http::rest::call::Call;
use crate::http::rest::envelope::{Answer, RestError};

/// `modify_group_base_info`. What is not given stays.
pub(in crate::http::rest) async fn modify(call: Call) -> Result<Answer, RestError> {
    let fields = call.fields();
    let group = group_of(&fields)?;
    let text = |name| Ok::<_, RestError>(fields.text(name)?.map(str::to_owned));
    let mute_all = either(&fields, ["ShutUpAllMember", "MuteAllMember"]);
    let update = GroupUpdate {
        name: fields.non_empty_text("Name")?.map(str::to_owned),
        introduction: text("Introduction")?,
        notification: text("Notification")?,
        avatar: text("FaceUrl")?,
        join_option: named(&fields, "ApplyJoinOption", JoinOption::from_name)?,
        invite_option: named(&fields, "InviteJoinOption", InviteOption::from_name)?,
        mute_all: named(&fields, mute_all, |text| match text {
            "On" => Some(true),
            "Off" => Some(false),
            _ => None,
        })?,
        max_members: fields.number32("MaxMemberNum")?,
        fields: custom_fields(&fields, "AppDefinedData")?,
    };
    change(&call, group, false, GroupAction::Update(update)).await?;
    Ok(Answer::ok())
}

/// `destroy_group`.
pub(in crate::http::rest) async fn dismiss(call: Call) -> Result<Answer, RestError> {
    let group = group_of(&call.fields())?;
    // The store takes a second one of the same administrator for a repeated request.
    existing(&call, group).await?;
    change(&call, group, false, GroupAction::Dismiss).await?;
    Ok(Answer::ok())
}

/// `change_group_owner`.
pub(in crate::http::rest) async fn hand_over(call: Call) -> Result<Answer, RestError> {
    let fields = call.fields();
    let group = group_of(&fields)?;
    let owner = fields.need_user("NewOwner_Account")?;
    check_owner(&call, owner).await?;
    change(&call, group, false, GroupAction::ChangeOwner { owner }).await?;
    Ok(Answer::ok())
}
