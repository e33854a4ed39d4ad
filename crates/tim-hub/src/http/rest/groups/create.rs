//! `create_group`.

use tim_groups::tips::MAX_NAMED;
use tim_groups::{Field, NewGroup, create as prepare};
use tim_proto::{GroupId, GroupType, InviteOption, JoinOption, UserId};
use tim_store::Refused;

use super::{about_group, check_owner, custom_fields, named, parsed_group, refused, type_of};
use crate::handlers::create_prepared;
use crate::http::rest::call::Call;
use crate::http::rest::callbacks::ask_create;
use crate::http::rest::codes;
use crate::http::rest::envelope::{Answer, Coded as _, RestError};
use crate::http::rest::fields::Fields;
use crate::refusal::Refusal;

/// The most members that a group is created with.
pub(in crate::http::rest) const MAX_MEMBERS: usize = 100;

/// Creates a group, for its owner or without one.
pub(in crate::http::rest) async fn create(call: Call) -> Result<Answer, RestError> {
    let fields = call.fields();
    let new = read(&call, &fields)?;
    let (group, owner) = (new.group, new.owner);
    if owner != UserId::SYSTEM {
        check_owner(&call, owner).await?;
    }
    let prepared = call.read(move |services| {
        let mut involved = new.members.clone();
        involved.sort_unstable();
        involved.truncate(MAX_NAMED);
        involved.push(new.owner);
        let book = services.reads.name_book(&involved)?;
        let now_ms = services.now_ms();
        Ok(prepare(new, &services.options.group_policy(), now_ms, &book)?)
    });
    let prepared = prepared.await.map_err(about_group)?;
    ask_create(&call, &prepared.group).await?;
    match create_prepared(&call.services, call.admin, prepared).await {
        Ok(()) => Ok(Answer::ok().with("GroupId", group.as_str())),
        Err(tim_store::WriteError::Refused(Refused::IdInUse(_))) => {
            let found = call
                .read(move |services| Ok(services.reads.store().group(&group)?))
                .await?;
            let is_own = found.is_some_and(|found| found.owner == owner);
            let (code, info) = match is_own {
                true => (codes::GROUP_ID_IS_YOURS, "a group of this owner has this id"),
                false => (codes::GROUP_ID_IS_TAKEN, "another group has, or had, this id"),
            };
            Err(RestError::new(code, info))
        }
        Err(error) => Err(refused(&call, error)),
    }
}

fn read(call: &Call, fields: &Fields<'_>) -> Result<NewGroup, RestError> {
    let group_type = type_of(fields, "Type")?;
    let group_type = group_type.ok_or_else(|| fields.fault("Type", "is missing"))?;
    let group = id(call, fields, group_type)?;
    let owner = fields.user("Owner_Account")?.unwrap_or(UserId::SYSTEM);
    let text = |name| Ok::<_, RestError>(fields.text(name)?.unwrap_or("").to_owned());
    let items = fields.objects("MemberList", MAX_MEMBERS).map_err(|error| {
        let is_long =
            fields.list("MemberList", MAX_MEMBERS).is_err() && fields.list("MemberList", usize::MAX).is_ok();
        match is_long {
            true => error.with_code(codes::TOO_MANY_MEMBERS),
            false => error,
        }
    })?;
    let (mut members, mut admins) = (Vec::new(), Vec::new());
    for item in &items {
        let user = item.need_user("Member_Account")?;
        if item.non_empty_text("Role")? == Some("Admin") && user != owner {
            admins.push(user);
        }
        members.push(user);
    }
    let custom = custom_fields(fields, "AppDefinedData")?.into_iter();
    Ok(NewGroup {
        name: fields.need_text("Name")?.to_owned(),
        introduction: text("Introduction")?,
        notification: text("Notification")?,
        avatar: text("FaceUrl")?,
        join_option: named(fields, "ApplyJoinOption", JoinOption::from_name)?.unwrap_or(JoinOption::AS_USUAL),
        invite_option: named(fields, "InviteJoinOption", InviteOption::from_name)?
            .unwrap_or(InviteOption::AS_USUAL),
        members,
        admins,
        max_members: fields.number32("MaxMemberCount")?.unwrap_or(0),
        fields: custom
            .filter_map(|change| {
                let value = change.value?;
                let name = change.name;
                Some(Field { name, value })
            })
            .collect(),
        random: call.services.randoms.next(),
        ..NewGroup::new(group, group_type, owner)
    })
}

/// The id that the caller wants, or a new one. Ids that begin as the hub's do are for Communities, which have to begin so at the
/// vendor.
fn id(call: &Call, fields: &Fields<'_>, group_type: GroupType) -> Result<GroupId, RestError> {
    let is_community = group_type == GroupType::COMMUNITY;
    let Some(text) = fields.non_empty_text("GroupId")? else {
        let of_community = if is_community { "_" } else { "" };
        let (high, low) = (call.services.now_ms(), call.services.randoms.next());
        let text = format!(
            "{}{of_community}{high:X}{low:08X}",
            tim_proto::SYSTEM_GROUP_PREFIX
        );
        let made = GroupId::new(&text);
        return made.map_err(|error| {
            RestError::of(
                call.service,
                Refusal::new(tim_proto::ErrorCode::STORAGE_FAILED, error.to_string()),
            )
        });
    };
    let group = parsed_group(fields, "GroupId", text)?;
    let is_allowed =
        group.is_well_formed() && (!group.is_system_made() || is_community && text.starts_with("@TGS#_"));
    match is_allowed {
        true => Ok(group),
        false => Err(fields.fault(
            "GroupId",
            "begins or ends with a space, or begins with @TGS#, as only those of Communities may, with @TGS#_",
        ))
        .coded(codes::BAD_GROUP_ID),
    }
}
