//! From calls of the application's server to the JSON of the interface, and back.

use serde_json::{Value, json};
use tim_proto::message::to_vec;
use tim_proto::{GroupType, MessageId, UserId};

use super::{Known, no_id};
use crate::simulator::history::{Log, Mark, Returned, Said, Sent};
use crate::simulator::op::{ADMINISTRATOR, Body, Call, Plan, Rest};
use crate::simulator::sdk::with_payload;
use crate::simulator::time::START_MS;

/// What is asked of the hub.
#[derive(Debug)]
pub(super) enum Request {
    /// By REST: the path, and the body.
    Rest(&'static str, String),
    /// Of the operator's interface.
    Block(UserId, bool),
}

/// A call that is about to be made.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) request: Request,
    /// The message that is sent or revoked.
    pub(super) message: Option<Sent>,
    /// Its sequence, of one that is revoked.
    sequence: u64,
}

/// A random number of a message: some have the same one.
const fn random_of(step: u32) -> u32 {
    if step.is_multiple_of(5) { 7 } else { step + 1_000 }
}

/// `Err`: the call has no object.
pub(super) fn prepare(plan: &Plan, step: u32, op: &Call, sent: &[Known]) -> Result<Prepared, &'static str> {
    let Call::Rest(rest) = op else {
        return of_group(op).map(plain);
    };
    let mark = Mark(step);
    Ok(match rest {
        Rest::Send { .. } | Rest::Import { .. } | Rest::SendGroup { .. } => {
            let (request, message) = sending(rest, mark, plan.disables_push(mark));
            Prepared {
                request,
                message: Some(message),
                sequence: 0,
            }
        }
        Rest::Withdraw(n) => {
            let to_users = sent
                .iter()
                .rev()
                .filter_map(|known| Some((known, known.to.as_ref()?)));
            let to_users: Vec<_> = to_users.collect();
            let (known, (to, key)) = nth(&to_users, *n).ok_or("no message was sent to one user")?;
            let body = json!({
                "From_Account": known.message.from.as_str(), "To_Account": to.as_str(), "MsgKey": key,
            });
            about(known, "openim/admin_msgwithdraw", &body)
        }
        Rest::Recall(n) => {
            let in_groups = sent.iter().rev().filter_map(|known| match known.message.log {
                Log::Group(group) => Some((known, group)),
                _ => None,
            });
            let in_groups: Vec<_> = in_groups.collect();
            let (known, group) = nth(&in_groups, *n).ok_or("no message was sent to a group")?;
            let body = json!({ "GroupId": group.as_str(), "MsgSeqList": [{ "MsgSeq": known.sequence }] });
            about(known, "group_open_http_svc/group_msg_recall", &body)
        }
        Rest::SetRead(user, peer) => plain(by_rest(
            "openim/admin_set_msg_read",
            &json!({ "Report_Account": name(*user), "Peer_Account": name(*peer) }),
        )),
        Rest::Kick(user) => plain(by_rest(
            "im_open_login_svc/kick",
            &json!({ "UserID": name(*user) }),
        )),
        Rest::Block(user, is_blocked) => plain(Request::Block(Plan::user(*user), *is_blocked)),
        Rest::Delete(user) => plain(by_rest(
            "im_open_login_svc/account_delete",
            &json!({ "DeleteItem": [{ "UserID": name(*user) }] }),
        )),
        Rest::ImportAccount(user) => plain(by_rest(
            "im_open_login_svc/account_import",
            &json!({ "UserID": name(*user) }),
        )),
        Rest::CreateGroup {
            group,
            owner,
            members,
        } => {
            let members: Vec<Value> = members.iter().map(|user| member(*user)).collect();
            let group_type = plan.population.groups.get(usize::from(*group));
            plain(by_rest(
                "group_open_http_svc/create_group",
                &json!({
                    "Owner_Account": name(*owner), "GroupId": Plan::group(*group).as_str(),
                    "Name": format!("group {group}"), "MemberList": members,
                    "Type": type_name(group_type.copied().unwrap_or(GroupType::PUBLIC)),
                }),
            ))
        }
    })
}

fn name(user: u8) -> String {
    Plan::user(user).to_string()
}

fn member(user: u8) -> Value {
    json!({ "Member_Account": name(user) })
}

const fn type_name(group_type: GroupType) -> &'static str {
    match group_type {
        GroupType::WORK => "Private",
        GroupType::MEETING => "ChatRoom",
        GroupType::COMMUNITY => "Community",
        GroupType::AV_CHAT_ROOM => "AVChatRoom",
        _ => "Public",
    }
}

fn nth<T: Copy>(of: &[T], n: u16) -> Option<T> {
    of.get(usize::from(n).checked_rem(of.len())?).copied()
}

fn by_rest(path: &'static str, body: &Value) -> Request {
    Request::Rest(path, body.to_string())
}

const fn plain(request: Request) -> Prepared {
    Prepared {
        request,
        message: None,
        sequence: 0,
    }
}

/// A call about a message.
fn about(known: &Known, path: &'static str, body: &Value) -> Prepared {
    Prepared {
        request: by_rest(path, body),
        message: Some(known.message),
        sequence: known.sequence,
    }
}

/// What a message says, as JSON.
fn elements(body: Body, mark: Mark) -> Value {
    let text = |len: u16| mark.text_of(len.into());
    let (kind, content) = match body {
        Body::Text(len) => ("TIMTextElem", json!({ "Text": text(len) })),
        Body::Custom(len) => (
            "TIMCustomElem",
            json!({ "Data": text(len), "Desc": "", "Ext": "" }),
        ),
        // There are no files in such runs.
        Body::Face | Body::File(_) => ("TIMFaceElem", json!({ "Index": mark.0, "Data": mark.text() })),
    };
    json!([{ "MsgType": kind, "MsgContent": content }])
}

fn sending(rest: &Rest, mark: Mark, is_silent: bool) -> (Request, Sent) {
    let push = json!({ "PushFlag": u8::from(is_silent) });
    let message = |log: Log, from: UserId, body: Body, online_only: bool| Sent {
        log,
        from,
        id: no_id(),
        said: with_payload(body, mark, |payload| Said {
            mark: Some(mark),
            ..Said::of(payload.kind(), &to_vec(&payload))
        }),
        online_only,
        file: None,
    };
    let c2c = |from: u8, to: u8| Log::of(Plan::user(from), Plan::user(to).into());
    match rest {
        Rest::Send {
            from,
            to,
            body,
            online_only,
            to_sender,
        } => {
            let first = to.first().copied().unwrap_or_default();
            let (path, receivers) = match to.as_slice() {
                [to] => ("openim/sendmsg", json!(name(*to))),
                all => (
                    "openim/batchsendmsg",
                    json!(all.iter().map(|user| name(*user)).collect::<Vec<_>>()),
                ),
            };
            let json = json!({
                "From_Account": name(*from), "To_Account": receivers, "MsgRandom": random_of(mark.0),
                "SyncOtherMachine": if *to_sender { 1 } else { 2 }, "OnlineOnlyFlag": u8::from(*online_only),
                "MsgBody": elements(*body, mark), "OfflinePushInfo": push,
            });
            let sent = message(c2c(*from, first), Plan::user(*from), *body, *online_only);
            (by_rest(path, &json), sent)
        }
        Rest::SendGroup { group, from, body } => {
            let mut json = json!({
                "GroupId": Plan::group(*group).as_str(), "Random": random_of(mark.0),
                "MsgBody": elements(*body, mark), "OfflinePushInfo": push,
            });
            let from = from.map(Plan::user);
            if let (Some(from), Some(fields)) = (from, json.as_object_mut()) {
                fields.insert("From_Account".to_owned(), json!(from.as_str()));
            }
            let from = from.unwrap_or_else(|| crate::user(ADMINISTRATOR));
            let sent = message(Log::Group(Plan::group(*group)), from, *body, false);
            (by_rest("group_open_http_svc/send_group_msg", &json), sent)
        }
        Rest::Import {
            from,
            to,
            body,
            counts,
        } => {
            let json = json!({
                "From_Account": name(*from), "To_Account": name(*to), "MsgRandom": random_of(mark.0),
                "MsgTimeStamp": START_MS / 1000 - 10_000 + u64::from(mark.0),
                "SyncFromOldSystem": if *counts { 1 } else { 2 }, "MsgBody": elements(*body, mark),
            });
            let sent = message(c2c(*from, *to), Plan::user(*from), *body, false);
            (by_rest("openim/importmsg", &json), sent)
        }
        // `prepare` calls this for no other one.
        _ => (
            by_rest("", &Value::Null),
            message(Log::System(UserId::SYSTEM), UserId::SYSTEM, Body::Face, false),
        ),
    }
}

/// What devices can call, too.
fn of_group(op: &Call) -> Result<Request, &'static str> {
    let group = |number: &u8| Plan::group(*number).to_string();
    Ok(match op {
        Call::Invite(of, users) => {
            let members: Vec<Value> = users.iter().map(|user| member(*user)).collect();
            let body = json!({ "GroupId": group(of), "MemberList": members });
            by_rest("group_open_http_svc/add_group_member", &body)
        }
        Call::Remove(of, users) => {
            let users: Vec<String> = users.iter().map(|user| name(*user)).collect();
            let body = json!({ "GroupId": group(of), "MemberToDel_Account": users });
            by_rest("group_open_http_svc/delete_group_member", &body)
        }
        Call::SetAdmin(of, user, is_admin) => {
            let role = if *is_admin { "Admin" } else { "Member" };
            let body = json!({ "GroupId": group(of), "Member_Account": name(*user), "Role": role });
            by_rest("group_open_http_svc/modify_group_member_info", &body)
        }
        Call::NameCard(of, user, n) => {
            let card = format!("card-{n}");
            let body = json!({ "GroupId": group(of), "Member_Account": name(*user), "NameCard": card });
            by_rest("group_open_http_svc/modify_group_member_info", &body)
        }
        Call::Mute(of, user, seconds) => {
            let body =
                json!({ "GroupId": group(of), "Members_Account": [name(*user)], "ShutUpTime": seconds });
            by_rest("group_open_http_svc/forbid_send_msg", &body)
        }
        Call::MuteAll(of, is_muted) => {
            let muted = if *is_muted { "On" } else { "Off" };
            let body = json!({ "GroupId": group(of), "ShutUpAllMember": muted });
            by_rest("group_open_http_svc/modify_group_base_info", &body)
        }
        Call::Rename(of, n) => {
            let body = json!({ "GroupId": group(of), "Name": format!("name {n}") });
            by_rest("group_open_http_svc/modify_group_base_info", &body)
        }
        Call::ChangeOwner(of, user) => {
            let body = json!({ "GroupId": group(of), "NewOwner_Account": name(*user) });
            by_rest("group_open_http_svc/change_group_owner", &body)
        }
        Call::Dismiss(of) => by_rest(
            "group_open_http_svc/destroy_group",
            &json!({ "GroupId": group(of) }),
        ),
        _ => return Err("an application's server has no such call"),
    })
}

/// What a call returned, and what a message to one user is called.
pub(super) fn returned(op: &Call, prepared: &Prepared, answer: &Value) -> (Returned, Option<String>) {
    let Some(message) = &prepared.message else {
        return (Returned::Done, None);
    };
    let accepted = |sequence: u64, id: MessageId| match message.said.mark {
        Some(mark) => Returned::Accepted {
            log: message.log,
            sequence,
            id,
            time_s: answer["MsgTime"].as_u64().unwrap_or(0),
            mark,
        },
        None => Returned::Done,
    };
    match op {
        Call::Rest(Rest::Send { to, .. }) if to.len() == 1 => {
            let key = answer["MsgKey"].as_str().unwrap_or_default().to_owned();
            let sequence = key.split('_').next().and_then(|number| number.parse().ok());
            let id = answer["MsgId"].as_str().and_then(|id| id.parse().ok());
            let id = id.unwrap_or_else(no_id);
            (accepted(sequence.unwrap_or(0), id), Some(key))
        }
        Call::Rest(Rest::SendGroup { .. }) => {
            let sequence = answer["MsgSeq"].as_u64().unwrap_or(0);
            (accepted(sequence, no_id()), None)
        }
        Call::Rest(Rest::Withdraw(_) | Rest::Recall(_)) => {
            let returned = Returned::Revoked {
                log: message.log,
                sequence: prepared.sequence,
                // What has the sequence after a restore may be another message.
                mark: message
                    .said
                    .mark
                    .filter(|_| matches!(op, Call::Rest(Rest::Withdraw(_)))),
            };
            (returned, None)
        }
        Call::Rest(_) => (Returned::Stored, None),
        _ => (Returned::Done, None),
    }
}
