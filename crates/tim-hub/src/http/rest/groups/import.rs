//! `import_group_msg`: messages of another system. All members have read everything then, and nobody is notified.

use serde_json::Value;
use tim_proto::request::ConversationChange;
use tim_proto::{ConversationId, ErrorCode, GroupId, MessageId};
use tim_store::{Account, EntryFlags, ImportMessages, ImportedMessage, Stored, Write, Written};

use super::{about_group, existing, group_of, refused};
use crate::http::rest::body::{Body, OF_GROUP};
use crate::http::rest::call::Call;
use crate::http::rest::envelope::{Answer, RestError, object};
use crate::http::rest::fields::Fields;
use crate::refusal::Refusal;

/// The most messages of a call.
pub(in crate::http::rest) const MAX_MESSAGES: usize = 7;

/// Each message has a result of its own; those that are refused do not stop the others.
pub(in crate::http::rest) async fn import(call: Call) -> Result<Answer, RestError> {
    let fields = call.fields();
    let group = group_of(&fields)?;
    let items = fields.need_objects("MsgList", MAX_MESSAGES)?;
    // A conversation that is not to become a recent one keeps its last message.
    let moves_up = fields.value("RecentContactFlag").is_none() || fields.flag("RecentContactFlag")?;
    let flags = if moves_up {
        EntryFlags::IMPORTED
    } else {
        EntryFlags::IMPORTED | EntryFlags::NO_LAST
    };
    existing(&call, group).await?;
    let mut read = Vec::new();
    for item in &items {
        read.push(message(&call, group, item, flags).await);
    }
    let messages = read.iter().filter_map(|read| read.as_ref().ok().cloned());
    let write = Write::ImportMessages(Box::new(ImportMessages {
        group,
        messages: messages.collect(),
    }));
    let results = match call.services.writer.write(write).await {
        Ok(Written::Imported(results)) => results,
        Ok(_) => return Err(call.wrong_answer()),
        Err(error) => return Err(refused(&call, error)),
    };
    let mut results = results.into_iter();
    let rows = read.into_iter().map(|read| {
        let stored = match read {
            Err(error) => Err(error),
            Ok(_) => match results.next() {
                Some(Ok(stored)) => Ok(stored),
                Some(Err(error)) => Err(about_group(RestError::of(call.service, error.into()))),
                None => Err(call.wrong_answer()),
            },
        };
        row(stored)
    });
    let rows: Vec<Value> = rows.collect();
    // What is unread has changed for everybody who is online.
    let change = ConversationChange::new(ConversationId::Group(group));
    for device in call.services.presence.group(&group).iter() {
        device.change(change);
    }
    Ok(Answer::ok().with("ImportMsgResult", rows))
}

fn row(stored: Result<Stored, RestError>) -> Value {
    let (sequence, time, result) = match stored {
        Ok(stored) => (stored.sequence, stored.time_ms / 1000, 0),
        Err(error) => (0, 0, error.code),
    };
    object([
        ("MsgSeq", sequence.into()),
        ("MsgTime", time.into()),
        ("Result", result.into()),
    ])
}

/// A message as it is to be stored.
async fn message(
    call: &Call,
    group: GroupId,
    item: &Fields<'_>,
    flags: EntryFlags,
) -> Result<ImportedMessage, RestError> {
    let from = item.need_user("From_Account")?;
    let time_s = item.need_number32("SendTime")?;
    let random = match item.number32("Random")? {
        Some(random) => random,
        None => call.services.randoms.next(),
    };
    let body = Body::read(item, OF_GROUP)?;
    let to = ConversationId::Group(group);
    let checked = body.clone();
    let found = call.read(move |services| {
        let account: Option<Account> = services.reads.store().account(&from)?;
        let files = checked.check(services, to, true);
        Ok((account, files))
    });
    let (account, files) = found.await?;
    let unknown = || {
        Refusal::new(
            ErrorCode::GROUP_ACCOUNT_NOT_FOUND,
            format!("{from} has no account"),
        )
    };
    let account = account.ok_or_else(|| RestError::of(call.service, unknown()))?;
    let files = files.map_err(|refusal| body.refused(call.service, refusal))?;
    if !files.is_empty() {
        return Err(item.fault("MsgBody", "names a file of this hub, which cannot be imported"));
    }
    let id = MessageId {
        sender: account.number,
        client_time: time_s.into(),
        random,
    };
    Ok(ImportedMessage {
        sender: from,
        id,
        fingerprint: body.fingerprint(to),
        time_ms: u64::from(time_s).saturating_mul(1000),
        kind: body.kind,
        flags: body.flags | flags,
        content: body.encode(to, id, &account, ""),
    })
}
