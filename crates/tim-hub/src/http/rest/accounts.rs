//! `im_open_login_svc`: accounts.

use serde_json::Value;
use tim_groups::rules::MAX_AVATAR;
use tim_proto::planted::{self, Fault};
use tim_proto::{ErrorCode, UserId};
use tim_store::{Write, Written};

use super::call::Call;
use super::codes;
use super::envelope::{Answer, RestError, object};
use super::fields::Fields;
use crate::handlers::{MAX_NICK, check_profile};

/// The most users of one call.
pub(super) const MAX_USERS: usize = 100;
/// A nick or an address is too long.
const TOO_LONG: u32 = 40_601;

/// `account_import`: makes an account, or changes the nick and the picture of one.
pub(super) async fn import(call: Call) -> Result<Answer, RestError> {
    let fields = call.fields();
    let user = new_user(&fields, "UserID")?;
    let nick = fields.non_empty_text("Nick")?;
    let avatar = fields.non_empty_text("FaceUrl")?;
    check_names(&call, nick.unwrap_or(""), avatar.unwrap_or(""))?;
    let (nick, avatar) = (nick.map(str::to_owned), avatar.map(str::to_owned));
    let is_named = nick.is_some() || avatar.is_some();
    let write = match is_named {
        false => Write::EnsureAccount(user),
        true => Write::WithAccounts {
            users: vec![user],
            write: Box::new(Write::SetUserProfile { user, nick, avatar }),
        },
    };
    match call.write(write).await? {
        Written::Account { .. } => {}
        // What is cached of the user's names is out of date.
        Written::Done => call.services.presence.invalidate(&user),
        _ => return Err(call.wrong_answer()),
    }
    Ok(Answer::ok())
}

/// Checks a nick and the address of a picture, as where a user sets them.
fn check_names(call: &Call, nick: &str, avatar: &str) -> Result<(), RestError> {
    check_profile(nick, avatar).map_err(|refusal| {
        let code = match nick.len() > MAX_NICK || avatar.len() > MAX_AVATAR {
            true => TOO_LONG,
            false => call.service.parameter,
        };
        RestError::new(code, refusal.text)
    })
}

/// A user id under which an account may be made.
fn new_user(fields: &Fields<'_>, name: &str) -> Result<UserId, RestError> {
    let user = fields.need_user(name)?;
    match user.is_well_formed() {
        true => Ok(user),
        false => Err(fields.fault(name, "begins or ends with a space")),
    }
}

/// `multiaccount_import`: makes accounts. Those ids under which none can be made are named in the answer.
pub(super) async fn import_many(call: Call) -> Result<Answer, RestError> {
    let mut users = Vec::new();
    let mut failed: Vec<Value> = Vec::new();
    for text in call.fields().need_texts("Accounts", MAX_USERS)? {
        match UserId::new(text) {
            Ok(user) if user != UserId::SYSTEM && user.is_well_formed() => users.push(user),
            _ => failed.push(text.into()),
        }
    }
    if !users.is_empty() {
        call.write(Write::EnsureAccounts(users)).await?;
    }
    Ok(Answer::ok().with("FailAccounts", failed))
}

/// `account_check`: which of these users have accounts.
pub(super) async fn check(call: Call) -> Result<Answer, RestError> {
    let items = call.fields().need_objects("CheckItem", MAX_USERS)?;
    let mut asked = Vec::new();
    for item in &items {
        let Some(text) = item.text("UserID")? else {
            return Err(item.fault("UserID", "is missing"));
        };
        // One that is no user id does not stop the others.
        asked.push((text, item.need_user("UserID")));
    }
    let users: Vec<_> = asked.iter().filter_map(|(_, user)| user.clone().ok()).collect();
    let known = call
        .read(move |services| Ok(services.reads.store().accounts(&users)?))
        .await?;
    let items = asked.into_iter().map(|(text, user)| {
        let (code, info, is_known) = match user {
            Ok(user) => (0, String::new(), known.iter().any(|account| account.user == user)),
            Err(error) => (error.code, error.info, false),
        };
        let status = if is_known { "Imported" } else { "NotImported" };
        object([
            ("UserID", text.into()),
            ("ResultCode", code.into()),
            ("ResultInfo", info.into()),
            ("AccountStatus", status.into()),
        ])
    });
    Ok(Answer::ok().with("ResultItem", items.collect::<Vec<_>>()))
}

/// `kick`: the UserSigs of a user that were issued before now are void, and the user's sessions end.
pub(super) async fn kick(call: Call) -> Result<Answer, RestError> {
    let fields = call.fields();
    let name = match fields.value("UserID") {
        Some(_) => "UserID",
        None => "Identifier",
    };
    let user = fields.need_user(name).map_err(|error| match name {
        "Identifier" => fields.need_user("UserID").err().unwrap_or(error),
        _ => error,
    })?;
    let known = call
        .read(move |services| Ok(services.reads.store().account(&user)?))
        .await?;
    if known.is_none() {
        return Err(RestError::new(
            codes::NO_SUCH_ACCOUNT,
            format!("{user} has no account"),
        ));
    }
    let before_s = call.services.now_ms() / 1000;
    call.write(Write::VoidUserSigs { user, before_s }).await?;
    end_sessions(&call, &user);
    Ok(Answer::ok())
}

/// Ends the sessions of a user whose UserSigs are void. One that logs in just now finds that out by itself.
fn end_sessions(call: &Call, user: &UserId) {
    if planted::is(Fault::KickLeavesSessions) {
        return;
    }
    for device in call.services.presence.devices(user) {
        device.close(ErrorCode::KICKED_OUT_REST_API);
    }
}

/// `account_delete`: the profiles and friends of users are gone, their UserSigs are void, and their sessions end. Messages and
/// memberships stay, and so does the number: an account that is imported again, or that its user logs in to with a new UserSig, is the
/// same one.
pub(super) async fn delete(call: Call) -> Result<Answer, RestError> {
    let items = call.fields().need_objects("DeleteItem", MAX_USERS)?;
    let users: Vec<_> = items
        .iter()
        .map(|item| item.need_user("UserID"))
        .collect::<Result<_, _>>()?;
    let asked = users.clone();
    let known = call
        .read(move |services| Ok(services.reads.store().accounts(&asked)?))
        .await?;
    let before_s = call.services.now_ms() / 1000;
    let mut results = Vec::new();
    for user in users {
        let (code, info) = match known.iter().any(|account| account.user == user) {
            false => (
                codes::NO_SUCH_ACCOUNT,
                "Err_TLS_PT_Open_Login_Account_Not_Exist".to_owned(),
            ),
            true => match call.write(Write::DeleteAccount { user, before_s }).await {
                Ok(_) => {
                    call.services.presence.invalidate(&user);
                    end_sessions(&call, &user);
                    (0, String::new())
                }
                Err(error) => (error.code, error.info),
            },
        };
        results.push(object([
            ("UserID", user.as_str().into()),
            ("ResultCode", code.into()),
            ("ResultInfo", info.into()),
        ]));
    }
    Ok(Answer::ok().with("ResultItem", results))
}
