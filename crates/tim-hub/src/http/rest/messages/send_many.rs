//! `batchsendmsg`: a message to many users, to each apart.

use std::sync::Arc;

use serde_json::Value;
use tim_proto::planted::{self, Fault};
use tim_proto::{FileId, UserId};
use tim_store::Account;

use super::key::MsgKey;
use super::send::{Draft, Sent};
use super::{sender, sender_account};
use crate::http::rest::call::Call;
use crate::http::rest::codes;
use crate::http::rest::envelope::{Answer, Coded as _, RestError, object};

/// The most users of one call.
pub(in crate::http::rest) const MAX_USERS: usize = 500;
/// To how many of them it is on its way at a time: what is stored together is synced together.
const AT_A_TIME: usize = 64;
/// A message was cut off on its way.
const INTERNAL: u32 = 91_000;

pub(in crate::http::rest) async fn send_many(call: Call) -> Result<Answer, RestError> {
    let from = sender(&call)?;
    let targets = targets(&call)?;
    let draft = Arc::new(Draft::read(&call.fields())?);
    let asked = [targets.as_slice(), &[from]].concat();
    let known = call
        .read(move |services| Ok(services.reads.store().accounts(&asked)?))
        .await?;
    let from = sender_account(&call, from, &known).await?;
    let Some(first) = targets.first() else {
        return Err(call.wrong_answer());
    };
    let files = draft.check(&call, *first).await?;
    let (sendable, unknown): (Vec<_>, Vec<_>) = targets
        .iter()
        .partition(|to| known.iter().any(|account| account.user == **to));
    let mut failed: Vec<_> = unknown
        .into_iter()
        .map(|to| failure(to, codes::NO_SUCH_ACCOUNT))
        .collect();
    let (random, digest) = (draft.random, draft.digest());
    let message = Arc::new((call, draft, from, files));
    let mut time: Option<u64> = None;
    // Why the first of those who have accounts did not get it.
    let mut fault = None;
    let sent_to = match sendable.split_last() {
        Some((_, first @ [_, ..])) if planted::is(Fault::LastReceiverLeftOut) => first,
        _ => &sendable[..],
    };
    for part in sent_to.chunks(AT_A_TIME) {
        let sending: Vec<_> = part
            .iter()
            .map(|to| (**to, tokio::spawn(send_one(Arc::clone(&message), **to))))
            .collect();
        for (to, sent) in sending {
            match sent.await {
                Ok(Ok(sent)) => time = Some(time.map_or(sent.key.time, |time| time.min(sent.key.time))),
                Ok(Err(error)) => {
                    failed.push(failure(&to, error.code));
                    fault.get_or_insert(error);
                }
                Err(_) => {
                    failed.push(failure(&to, INTERNAL));
                    fault.get_or_insert_with(|| RestError::new(INTERNAL, "the message was cut off"));
                }
            }
        }
    }
    let Some(time) = time else {
        let info = "invalid To_Account: none of these users has an account";
        return Err(fault.unwrap_or_else(|| RestError::new(codes::UNKNOWN_TO_ACCOUNT, info)));
    };
    let key = MsgKey {
        sequence: digest,
        random,
        time,
    };
    let answer = match failed.is_empty() {
        true => Answer::ok(),
        false => Answer::ok().with("ActionStatus", "SomeError"),
    };
    Ok(answer
        .with("MsgTime", time)
        .with("MsgKey", key.to_string())
        .with("ErrorList", failed))
}

/// Sends the message to one of the users.
async fn send_one(
    message: Arc<(Call, Arc<Draft>, Account, Vec<FileId>)>,
    to: UserId,
) -> Result<Sent, RestError> {
    let (call, draft, from, files) = &*message;
    draft.send_to(call, from, to, files).await
}

/// The users, each once.
fn targets(call: &Call) -> Result<Vec<UserId>, RestError> {
    let fields = call.fields();
    let items = fields
        .list("To_Account", usize::MAX)
        .coded(codes::BAD_TO_ACCOUNT)?;
    if items.is_some_and(|items| items.len() > MAX_USERS) {
        let what = format_args!("has more than {MAX_USERS} users");
        return Err(fields
            .fault("To_Account", what)
            .with_code(codes::TOO_MANY_TARGETS));
    }
    let mut users = fields
        .need_users("To_Account", MAX_USERS)
        .coded(codes::BAD_TO_ACCOUNT)?;
    let mut seen = std::collections::HashSet::new();
    users.retain(|user| seen.insert(*user));
    Ok(users)
}

fn failure(to: &UserId, code: u32) -> Value {
    object([("To_Account", to.as_str().into()), ("ErrorCode", code.into())])
}
