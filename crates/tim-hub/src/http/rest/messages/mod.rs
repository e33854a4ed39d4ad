//! `openim`: one-to-one messages.
//!
//! A message goes the way of one that a device sends: into the log of the two users, and from there to all devices of both.

mod history;
mod import;
mod key;
mod marks;
mod repeat;
mod send;
mod send_many;

pub(super) use history::{MAX_COUNT, history};
pub(super) use import::import;
pub(super) use marks::{MAX_PEERS, set_read, unread, withdraw};
pub(super) use repeat::{ATTEMPTS, Ids, Sending};
pub(super) use send::send;
pub(super) use send_many::{MAX_USERS, send_many};

use tim_proto::UserId;
use tim_store::{Account, Write};

use super::call::Call;
use super::codes;
use super::envelope::{Coded as _, RestError};
use super::fields::Fields;

/// Two users, of which the first one acts.
fn pair(fields: &Fields<'_>, from: &[&str], to: &[&str]) -> Result<(UserId, UserId), RestError> {
    let user = |names: &[&str], code| {
        let given = names.iter().find(|name| fields.value(name).is_some());
        let name = given.or_else(|| names.first()).copied().unwrap_or_default();
        fields.need_user(name).coded(code)
    };
    Ok((
        user(from, codes::BAD_FROM_ACCOUNT)?,
        user(to, codes::BAD_TO_ACCOUNT)?,
    ))
}

/// Who sends: `From_Account`, or else the administrator who calls.
pub(super) fn sender(call: &Call) -> Result<UserId, RestError> {
    let fields = call.fields();
    match fields.value("From_Account") {
        None => Ok(call.admin),
        Some(_) => fields.need_user("From_Account").coded(codes::BAD_FROM_ACCOUNT),
    }
}

/// The account of whoever sends, if it is among these; that of the administrator who calls is made if there is none.
pub(super) async fn sender_account(
    call: &Call,
    from: UserId,
    known: &[Account],
) -> Result<Account, RestError> {
    if let Some(account) = known.iter().find(|account| account.user == from) {
        return Ok(account.clone());
    }
    if from != call.admin {
        let info = format!("From_Account {from} has no account");
        return Err(RestError::new(codes::BAD_FROM_ACCOUNT, info));
    }
    call.write(Write::EnsureAccount(from)).await?;
    let found = call
        .read(move |services| Ok(services.reads.store().account(&from)?))
        .await?;
    found.ok_or_else(|| call.wrong_answer())
}
