//! `im_open_login_svc`, and who is online.

use super::Description;
use super::shape::{
    any_of, bytes, can, flag, integer, list, need, object, part, rows, shown_name, some, some_text, text,
    user, without, word,
};
use crate::handlers::MAX_NICK;
use crate::http::rest::{accounts, online};
use tim_groups::rules::MAX_AVATAR;

pub(in crate::http::rest) fn import() -> Description {
    let takes = [
        need("UserID", user()),
        can("Nick", shown_name(0, MAX_NICK)),
        can("FaceUrl", bytes(0, MAX_AVATAR)),
    ];
    Description::new("Makes an account, or changes its nick and picture", takes, [])
}

pub(in crate::http::rest) fn import_many() -> Description {
    let takes = [need("Accounts", some(text(), accounts::MAX_USERS))];
    let answers = [need("FailAccounts", rows(text()))];
    Description::new("Makes accounts", takes, answers)
}

pub(in crate::http::rest) fn check() -> Description {
    let item = object([need("UserID", text())]);
    let takes = [need("CheckItem", some(item, accounts::MAX_USERS))];
    let result = object([
        need("UserID", text()),
        need("ResultCode", integer()),
        need("ResultInfo", text()),
        need("AccountStatus", word(["Imported", "NotImported"])),
    ]);
    Description::new(
        "Which of these users have accounts",
        takes,
        [need("ResultItem", rows(result))],
    )
}

pub(in crate::http::rest) fn delete() -> Description {
    let item = object([need("UserID", user())]);
    let takes = [need("DeleteItem", some(item, accounts::MAX_USERS))];
    let result = object([
        need("UserID", text()),
        need("ResultCode", integer()),
        need("ResultInfo", text()),
    ]);
    Description::new("Deletes accounts", takes, [need("ResultItem", rows(result))])
}

pub(in crate::http::rest) fn kick() -> Description {
    let takes = any_of([
        object([need("UserID", user())]),
        object([need("Identifier", user()), without("UserID")]),
    ]);
    Description::new(
        "Ends the sessions of a user, whose UserSigs are void then",
        [],
        [],
    )
    .taking(takes)
}

pub(in crate::http::rest) fn status() -> Description {
    online("Status")
}

pub(in crate::http::rest) fn state() -> Description {
    online("State")
}

fn online(name: &'static str) -> Description {
    let takes = [
        need("To_Account", some(user(), online::MAX_USERS)),
        can("IsNeedDetail", flag()),
    ];
    let states = || word(["Online", "Offline"]);
    let device = object([need("Platform", text()), need("Status", states())]);
    let found = object([
        need("To_Account", some_text()),
        need(name, states()),
        part("Detail", rows(device)),
    ]);
    let unknown = object([need("To_Account", some_text()), need("ErrorCode", integer())]);
    let answers = [
        need("QueryResult", list(found, online::MAX_USERS)),
        need("ErrorList", list(unknown, online::MAX_USERS)),
    ];
    Description::new("Which of these users are online", takes, answers)
}
