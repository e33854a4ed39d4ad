//! `group_msg_recall` and `delete_group_msg_by_sender`: revoking messages, of any age and of anybody.

use serde_json::Value;
use tim_groups::tips::content;
use tim_proto::message::Revocation;
use tim_proto::{ConversationId, ErrorCode, GroupId, GroupType, MessageId, MessageKind};
use tim_store::{Entry, LogKey, PageRequest, Refused, Revoke, Write, WriteError, Written};

use super::{existing, group_of, refused};
use crate::http::rest::call::Call;
use crate::http::rest::callbacks::after_revoke;
use crate::http::rest::envelope::{Answer, RestError, object};

/// A group and its type.
type Typed = (GroupId, GroupType);

/// The most messages that a call names.
pub(in crate::http::rest) const MAX_NAMED: usize = 10;
/// The longest reason, in bytes.
pub(in crate::http::rest) const MAX_REASON: usize = 100;
/// How many of the newest messages are searched for those of a sender, and how many are read at a time.
const MAX_SEARCHED: usize = 1_000;
const PAGE: usize = 100;
const PAGE_BYTES: usize = 1 << 20;

/// `group_msg_recall`. Each message has a code of its own.
pub(in crate::http::rest) async fn recall(call: Call) -> Result<Answer, RestError> {
    let fields = call.fields();
    let group = group_of(&fields)?;
    let items = fields.need_objects("MsgSeqList", MAX_NAMED)?;
    let sequences = items.iter().map(|item| item.need_number("MsgSeq"));
    let sequences = sequences.collect::<Result<Vec<_>, _>>()?;
    let reason = fields.text_within("Reason", MAX_REASON)?.unwrap_or("");
    let group_type = existing(&call, group).await?.group_type;
    let group = (group, group_type);
    if group_type == GroupType::AV_CHAT_ROOM {
        let info = "messages in an AVChatRoom are not stored and cannot be revoked";
        return Err(RestError::new(ErrorCode::GROUP_NOT_ALLOW_REVOKE_MSG.0, info));
    }
    let mut results: Vec<Value> = Vec::new();
    for sequence in sequences {
        let code = match revoke_at(&call, group, sequence, reason).await {
            Ok(()) => 0,
            Err(error) => error.code,
        };
        results.push(object([("MsgSeq", sequence.into()), ("RetCode", code.into())]));
    }
    Ok(Answer::ok().with("RecallRetList", results))
}

async fn revoke_at(call: &Call, group: Typed, sequence: u64, reason: &str) -> Result<(), RestError> {
    let log = LogKey::Group(group.0);
    let found = call.read(move |services| Ok(services.reads.store().entry(&log, sequence)?));
    match found.await? {
        Some(message) => revoke(call, group, &message, reason).await,
        None => Err(RestError::new(
            ErrorCode::GROUP_REVOKE_MSG_NOT_FOUND.0,
            "there is no such message",
        )),
    }
}

/// Revokes a message, unless that was done before.
async fn revoke(
    call: &Call,
    (group, group_type): Typed,
    message: &Entry,
    reason: &str,
) -> Result<(), RestError> {
    let conversation = ConversationId::Group(group);
    // The store replaces the sender.
    let id = MessageId {
        sender: 0,
        client_time: call.services.now_ms() / 1000,
        random: message.id.random,
    };
    let payload =
        Revocation::new(message.sequence, message.id, message.sender, call.admin).with_reason(reason);
    let revoke = Revoke {
        log: LogKey::Group(group),
        sequence: message.sequence,
        by: call.admin,
        as_administrator: true,
        window_ms: u64::MAX,
        manager_window_ms: u64::MAX,
        reason: reason.to_owned(),
        origin: 0,
        id,
        content: content(conversation, id, MessageKind::REVOCATION, &payload),
    };
    let write = Write::WithAccounts {
        users: vec![call.admin],
        write: Box::new(Write::Revoke(revoke)),
    };
    let after = after_revoke(call, (&LogKey::Group(group), group_type), message);
    match call.services.writer.write(write).await {
        Ok(Written::Revoked { already: false, .. }) => {
            after.done();
            Ok(())
        }
        Ok(Written::Revoked { already: true, .. }) | Err(WriteError::Refused(Refused::AlreadyRevoked(_))) => {
            Ok(())
        }
        Ok(_) => Err(call.wrong_answer()),
        Err(error) => Err(refused(call, error)),
    }
}

/// `delete_group_msg_by_sender`: revokes what a user has sent among the newest messages. In an AVChatRoom nothing is stored.
pub(in crate::http::rest) async fn revoke_of_sender(call: Call) -> Result<Answer, RestError> {
    let fields = call.fields();
    let group = group_of(&fields)?;
    let sender = fields.need_user("Sender_Account")?;
    let group_type = existing(&call, group).await?.group_type;
    let mut before = None;
    for _ in 0..MAX_SEARCHED / PAGE {
        let request = PageRequest {
            log: LogKey::Group(group),
            before,
            after: 0,
            limit: PAGE,
            max_bytes: PAGE_BYTES,
        };
        let page = call
            .read(move |services| Ok(services.reads.store().page(&request)?))
            .await?;
        for message in page.entries.iter().rev() {
            if message.sender == sender && !message.is_revoked() {
                revoke(&call, (group, group_type), message, "").await?;
            }
        }
        if page.completed {
            break;
        }
        before = Some(page.next);
    }
    Ok(Answer::ok())
}
