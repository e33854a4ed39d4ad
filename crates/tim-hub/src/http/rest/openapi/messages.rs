//! `openim`: one-to-one messages.

use super::Description;
use super::elements::{body, callbacks, shown};
use super::shape::{
    Field, Shape, all, any_of, can, digits, flag, integer, list, may, need, number, number32, object,
    one_number, one_or_two, part, pattern, rows, some, some_text, text, user, without,
};
use crate::http::rest::messages::{MAX_COUNT, MAX_PEERS, MAX_USERS};

/// The name of a message.
fn key() -> Shape {
    let parts = [u64::MAX, u32::MAX.into(), u64::MAX].map(digits);
    pattern(&format!("^{}$", parts.join("_")))
}

/// What `sendmsg` and `batchsendmsg` say of a message.
fn draft() -> impl Iterator<Item = Field> {
    let fields = [
        need("MsgRandom", number32()),
        // Other than elsewhere an empty one is wrong.
        may("From_Account", user()),
        can("MsgTimeStamp", number32()),
        can("MsgSeq", number32()),
        can("MsgLifeTime", number()),
        can("SyncOtherMachine", one_or_two()),
        can("OnlineOnlyFlag", flag()),
    ];
    fields.into_iter().chain(body())
}

pub(in crate::http::rest) fn send() -> Description {
    let takes = draft().chain([need("To_Account", user()), callbacks()]);
    let answers = [
        need("MsgTime", integer()),
        need("MsgKey", key()),
        need("MsgId", some_text()),
    ];
    Description::new("Sends a message to a user", takes, answers)
}

pub(in crate::http::rest) fn send_many() -> Description {
    let takes = draft().chain([need("To_Account", some(user(), MAX_USERS))]);
    let failed = object([need("To_Account", user()), need("ErrorCode", integer())]);
    let answers = [
        need("MsgTime", integer()),
        need("MsgKey", key()),
        need("ErrorList", list(failed, MAX_USERS)),
    ];
    let description = Description::new("Sends a message to users, to each apart", takes, answers);
    Description {
        done: &["OK", "SomeError"],
        ..description
    }
}

pub(in crate::http::rest) fn import() -> Description {
    let fields = [
        need("From_Account", user()),
        need("To_Account", user()),
        need("SyncFromOldSystem", one_or_two()),
        need("MsgRandom", number32()),
        need("MsgTimeStamp", number32()),
        can("MsgSeq", number()),
    ];
    let takes = fields.into_iter().chain(body());
    Description::new("Imports a message of another system", takes, [])
}

/// One of two fields, of which the first one counts.
fn either(names: [&'static str; 2]) -> Shape {
    let [first, second] = names;
    any_of([
        object([need(first, user())]),
        object([need(second, user()), without(first)]),
    ])
}

pub(in crate::http::rest) fn history() -> Description {
    let fields = object([
        need("MaxCnt", number()),
        need("MinTime", number()),
        need("MaxTime", number()),
        can("LastMsgKey", key()),
    ]);
    let users = [
        either(["From_Account", "Operator_Account"]),
        either(["To_Account", "Peer_Account"]),
    ];
    let row = object([
        need("From_Account", user()),
        need("To_Account", user()),
        need("MsgSeq", integer()),
        need("MsgRandom", integer()),
        need("MsgTimeStamp", integer()),
        need("MsgClientTime", integer()),
        need("MsgFlagBits", one_number([0, 8])),
        need("MsgKey", key()),
        need("IsPeerRead", one_number([0, 1])),
        need("MsgBody", shown()),
        part("CloudCustomData", some_text()),
    ]);
    let answers = [
        need("Complete", one_number([0, 1])),
        need("MsgCnt", integer()),
        need("LastMsgTime", integer()),
        need("LastMsgKey", text()),
        need("MsgList", list(row, MAX_COUNT)),
    ];
    let takes = all(users.into_iter().chain([fields]));
    Description::new("The messages of two users, a part at a time", [], answers).taking(takes)
}

pub(in crate::http::rest) fn withdraw() -> Description {
    let takes = [
        need("From_Account", user()),
        need("To_Account", user()),
        need("MsgKey", key()),
    ];
    Description::new("Revokes a message", takes, [])
}

pub(in crate::http::rest) fn set_read() -> Description {
    let takes = [
        need("Report_Account", user()),
        need("Peer_Account", user()),
        can("MsgReadTime", number()),
    ];
    Description::new("Marks the messages of a user as read", takes, [])
}

pub(in crate::http::rest) fn unread() -> Description {
    let takes = [
        need("To_Account", user()),
        may("Peer_Account", list(user(), MAX_PEERS)),
    ];
    let known = object([need("Peer_Account", user()), need("C2CUnreadMsgNum", integer())]);
    let unknown = object([need("Peer_Account", user()), need("ErrorCode", integer())]);
    let answers = [
        part("AllC2CUnreadMsgNum", integer()),
        part("C2CUnreadMsgNumList", rows(known)),
        part("ErrorList", rows(unknown)),
    ];
    Description::new("How many messages of a user are unread", takes, answers)
}
