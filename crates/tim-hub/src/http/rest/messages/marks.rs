//! `admin_msgwithdraw`, `admin_set_msg_read` and `get_c2c_unread_msg_num`.

use serde_json::Value;
use tim_groups::tips::content;
use tim_proto::message::Revocation;
use tim_proto::planted::{self, Fault};
use tim_proto::{ConversationId, GroupType, MessageId, MessageKind, ReceiveOption, UserId};
use tim_store::{Entry, LogKey, Refused, Revoke, StoreReader, Write, WriteError, Written};

use super::key::{MsgKey, first_after, is_written};
use super::pair;
use crate::handlers::read_change;
use crate::http::rest::call::Call;
use crate::http::rest::callbacks::{after_revoke, tell_read};
use crate::http::rest::codes;
use crate::http::rest::envelope::{Answer, Coded as _, RestError, object};
use crate::refusal::Refusal;

/// The most peers of one call.
pub(in crate::http::rest) const MAX_PEERS: usize = 10;

/// `admin_msgwithdraw`: revokes a message, however old it is, whoever has sent it how.
pub(in crate::http::rest) async fn withdraw(call: Call) -> Result<Answer, RestError> {
    let fields = call.fields();
    let (from, to) = pair(&fields, &["From_Account"], &["To_Account"])?;
    let key = fields.need_text("MsgKey").coded(codes::BAD_KEY)?;
    let key: MsgKey = key.parse().map_err(|()| {
        fields
            .fault("MsgKey", "is not a MsgKey")
            .with_code(codes::BAD_KEY)
    })?;
    let found = call
        .read(move |services| Ok(key.find(services.reads.store(), &from, &to)?))
        .await?;
    let message = found.ok_or_else(|| RestError::new(codes::NO_SUCH_MESSAGE, "there is no such message"))?;
    let revoked = || RestError::new(codes::ALREADY_REVOKED, "the message is revoked already");
    if message.is_revoked() {
        return Err(revoked());
    }
    if planted::is(Fault::WithdrawnStays) {
        return Ok(Answer::ok());
    }
    let revocation = revocation(&call, &message, to);
    let after = after_revoke(&call, (&revocation.log, GroupType(0)), &message);
    match call.services.writer.write(Write::Revoke(revocation)).await {
        Ok(Written::Revoked { already: false, .. }) => {
            after.done();
            Ok(Answer::ok())
        }
        Ok(Written::Revoked { already: true, .. }) | Err(WriteError::Refused(Refused::AlreadyRevoked(_))) => {
            Err(revoked())
        }
        Ok(_) => Err(call.wrong_answer()),
        Err(error) => Err(RestError::of_write(call.service, error)),
    }
}

/// The revocation of a message by its sender.
fn revocation(call: &Call, message: &Entry, to: UserId) -> Revoke {
    let id = MessageId {
        sender: message.id.sender,
        client_time: call.services.now_ms() / 1000,
        random: message.id.random,
    };
    let payload = Revocation::new(message.sequence, message.id, message.sender, message.sender);
    Revoke {
        log: LogKey::c2c(message.sender, to),
        sequence: message.sequence,
        by: message.sender,
        as_administrator: false,
        window_ms: u64::MAX,
        manager_window_ms: u64::MAX,
        reason: String::new(),
        origin: 0,
        id,
        content: content(ConversationId::C2c(to), id, MessageKind::REVOCATION, &payload),
    }
}

/// `admin_set_msg_read`: a user has read a conversation, up to a time.
pub(in crate::http::rest) async fn set_read(call: Call) -> Result<Answer, RestError> {
    let fields = call.fields();
    let (user, peer) =
        pair(&fields, &["Report_Account"], &["Peer_Account"]).map_err(|error| match error.code {
            codes::BAD_FROM_ACCOUNT => error.with_code(codes::BAD_TO_ACCOUNT),
            _ => error,
        })?;
    let log = LogKey::c2c(user, peer);
    let time = fields.number("MsgReadTime")?;
    let (is_known, upto) = call
        .read(move |services| {
            let store = services.reads.store();
            let known = store.accounts(&[user, peer])?;
            let has_account = |user| known.iter().any(|account| account.user == user);
            let is_known = has_account(user) && (has_account(peer) || is_written(store, &log)?);
            let first_unread = time.map(|time| first_after(store, &log, time)).transpose()?;
            Ok((is_known, first_unread.map(|first| first.saturating_sub(1))))
        })
        .await?;
    if !is_known {
        let info = "Report_Account or Peer_Account has no account";
        return Err(RestError::new(codes::BAD_TO_ACCOUNT, info));
    }
    if upto == Some(0) {
        return Ok(Answer::ok());
    }
    let read = call.write(Write::MarkRead { user, log, upto }).await?;
    if let Some(change) = read_change(&user, &log, &read)
        && !planted::is(Fault::ReadByServerUntold)
    {
        let devices = call.services.presence.devices(&user);
        devices.iter().for_each(|device| device.change(change));
        tell_read(&call, user, &log);
    }
    Ok(Answer::ok())
}

/// `get_c2c_unread_msg_num`: what is unread in all one-to-one conversations of a user, or in some.
pub(in crate::http::rest) async fn unread(call: Call) -> Result<Answer, RestError> {
    let fields = call.fields();
    let user = fields.need_user("To_Account").coded(codes::BAD_TO_ACCOUNT)?;
    let peers = match fields.value("Peer_Account") {
        None => None,
        Some(_) => Some(
            fields
                .users("Peer_Account", MAX_PEERS)
                .coded(codes::BAD_TO_ACCOUNT)?,
        ),
    };
    let asked = peers.clone();
    let (is_known, counts, all) = call
        .read(move |services| {
            let store = services.reads.store();
            let is_known = store.account(&user)?.is_some();
            Ok(match asked {
                None => (is_known, Vec::new(), unread_of_all(store, &user)?),
                Some(peers) => (is_known, unread_of(store, &user, &peers)?, 0),
            })
        })
        .await?;
    if !is_known {
        return Err(RestError::new(
            codes::BAD_TO_ACCOUNT,
            format!("To_Account {user} has no account"),
        ));
    }
    let Some(peers) = peers else {
        return Ok(Answer::ok().with("AllC2CUnreadMsgNum", all));
    };
    let (mut known, mut unknown): (Vec<Value>, Vec<Value>) = Default::default();
    for (peer, count) in peers.iter().zip(counts) {
        let peer = ("Peer_Account", peer.as_str().into());
        match count {
            Some(count) => known.push(object([peer, ("C2CUnreadMsgNum", count.into())])),
            None => unknown.push(object([peer, ("ErrorCode", codes::NO_SUCH_ACCOUNT.into())])),
        }
    }
    Ok(Answer::ok()
        .with("C2CUnreadMsgNumList", known)
        .with("ErrorList", unknown))
}

/// What is unread in the conversations with these peers; `None` for one without an account, and without messages.
fn unread_of(store: &dyn StoreReader, user: &UserId, peers: &[UserId]) -> Result<Vec<Option<u64>>, Refusal> {
    let known = store.accounts(peers)?;
    let count = |peer: &UserId| {
        let log = LogKey::c2c(*user, *peer);
        if !known.iter().any(|account| account.user == *peer) && !is_written(store, &log)? {
            return Ok(None);
        }
        let states = store.read_states(&log, &[*user], u64::MAX)?;
        Ok(Some(states.first().map_or(0, |state| state.unread)))
    };
    peers.iter().map(count).collect()
}

/// What is unread in all one-to-one conversations: the total without that of groups.
fn unread_of_all(store: &dyn StoreReader, user: &UserId) -> Result<u64, Refusal> {
    let mut unread = store.conversations(user, None, 1)?.total_unread;
    if planted::is(Fault::GroupsCountAsUsers) {
        return Ok(unread);
    }
    for group in store.groups_of(user)? {
        let log = LogKey::Group(group.group);
        let Some(conversation) = store.conversation(user, &log)? else {
            continue;
        };
        let counts = match &conversation.about {
            tim_store::About::Group(_, membership) => {
                membership.receive_option == ReceiveOption::ACCEPT_AND_NOTIFY
            }
            _ => false,
        };
        if counts && conversation.last.is_some() && !conversation.hidden {
            unread = unread.saturating_sub(conversation.unread);
        }
    }
    Ok(unread)
}
