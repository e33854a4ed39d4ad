//! `sns`.

use super::Description;
use super::shape::{
    Field, any_of, anything, bytes, can, flag, integer, list, may, need, number, object, one_number, part,
    pattern, plain, rows, some, some_text, text, user, word,
};
use crate::http::rest::friends::{MAX_ITEMS, MAX_TAGS, MAX_USERS, PAGE, tags};

/// What every answer has, and what the users of the call have come to.
fn results(more: impl IntoIterator<Item = Field>) -> Vec<Field> {
    let result = object([
        need("To_Account", user()),
        need("ResultCode", integer()),
        need("ResultInfo", text()),
    ]);
    let fields = [
        part("ResultItem", rows(result)),
        part("Fail_Account", rows(user())),
        need("ErrorDisplay", text()),
    ];
    fields.into_iter().chain(more).collect()
}

fn own() -> Field {
    need("From_Account", user())
}

fn list_name() -> super::Shape {
    bytes(1, tags::MAX_LIST_NAME)
}

pub(in crate::http::rest) fn add() -> Description {
    let source = format!("^{}[A-Za-z0-9]{{1,{}}}$", tags::SOURCE, tags::MAX_TAG);
    let item = object([
        need("To_Account", user()),
        need("AddSource", pattern(&source)),
        may("Remark", bytes(0, tags::MAX_REMARK)),
        may("AddWording", bytes(0, tags::MAX_WORDING)),
        can("GroupName", list_name()),
    ]);
    let takes = [
        own(),
        need("AddFriendItem", some(item, MAX_ITEMS)),
        can("AddType", word(["Add_Type_Both", "Add_Type_Single"])),
        can("ForceAddFlags", flag()),
    ];
    Description::new("Makes friends", takes, results([]))
}

pub(in crate::http::rest) fn delete() -> Description {
    let takes = [
        own(),
        need("To_Account", some(user(), MAX_USERS)),
        can("DeleteType", word(["Delete_Type_Single", "Delete_Type_Both"])),
    ];
    Description::new("Ends friendships", takes, results([]))
}

/// A tag that can be set, with its value.
fn tag() -> super::Shape {
    let custom = format!("^{}[A-Za-z0-9]{{1,{}}}$", tags::CUSTOM, tags::MAX_TAG);
    any_of([
        object([
            need("Tag", word([tags::REMARK])),
            may("Value", bytes(0, tags::MAX_REMARK)),
        ]),
        object([
            need("Tag", word([tags::LISTS])),
            may("Value", list(list_name(), tags::MAX_LISTS)),
        ]),
        object([need("Tag", pattern(&custom)), need("Value", tag_value())]),
    ])
}

fn tag_value() -> super::Shape {
    any_of([bytes(0, tags::MAX_VALUE), plain()])
}

pub(in crate::http::rest) fn update() -> Description {
    let item = object([
        need("To_Account", user()),
        need("SnsItem", some(tag(), tags::MAX_CUSTOM + 2)),
    ]);
    let takes = [own(), need("UpdateItem", some(item, MAX_ITEMS))];
    Description::new("Changes what is said of friends", takes, results([]))
}

/// A tag that is set.
fn shown_tag() -> super::Shape {
    object([need("Tag", text()), need("Value", anything())])
}

pub(in crate::http::rest) fn get() -> Description {
    let takes = [
        own(),
        need("StartIndex", number()),
        can("StandardSequence", number()),
        can("CustomSequence", number()),
    ];
    let item = object([need("To_Account", user()), need("ValueItem", rows(shown_tag()))]);
    let answers = [
        need("ErrorDisplay", text()),
        need("UserDataItem", list(item, PAGE)),
        need("StandardSequence", integer()),
        need("CustomSequence", integer()),
        need("FriendNum", integer()),
        need("CompleteFlag", one_number([0, 1])),
        need("NextStartIndex", integer()),
    ];
    Description::new("The friends of a user, a page at a time", takes, answers)
}

pub(in crate::http::rest) fn get_some() -> Description {
    let takes = [
        own(),
        need("To_Account", some(user(), MAX_ITEMS)),
        need("TagList", some(text(), MAX_TAGS)),
    ];
    let item = object([
        need("To_Account", user()),
        part("SnsProfileItem", rows(shown_tag())),
        need("ResultCode", integer()),
        need("ResultInfo", text()),
    ]);
    let answers = [
        need("ErrorDisplay", text()),
        need("InfoItem", rows(item)),
        part("Fail_Account", rows(user())),
    ];
    Description::new("What is said of some friends", takes, answers)
}

pub(in crate::http::rest) fn add_list() -> Description {
    let takes = [
        own(),
        need("GroupName", some(list_name(), tags::MAX_LISTS)),
        may("To_Account", list(user(), MAX_USERS)),
    ];
    let answers = results([need("CurrentSequence", integer())]);
    Description::new(
        "Makes lists of friends, and puts friends into them",
        takes,
        answers,
    )
}

pub(in crate::http::rest) fn delete_list() -> Description {
    let takes = [own(), need("GroupName", some(list_name(), tags::MAX_LISTS))];
    let answers = [need("ErrorDisplay", text()), need("CurrentSequence", integer())];
    Description::new("Removes lists of friends; the friends stay", takes, answers)
}

pub(in crate::http::rest) fn get_lists() -> Description {
    let takes = [
        own(),
        may("NeedFriend", text()),
        may("GroupName", list(text(), tags::MAX_LISTS)),
    ];
    let item = object([
        need("GroupName", some_text()),
        need("FriendNumber", integer()),
        part("To_Account", rows(user())),
    ]);
    let answers = [
        need("ErrorDisplay", text()),
        need("ResultItem", rows(item)),
        need("CurrentSequence", integer()),
    ];
    Description::new(
        "The lists of friends, with the friends if they are asked for",
        takes,
        answers,
    )
}
