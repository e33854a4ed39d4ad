//! What is said of a friend, by tag.

use serde_json::Value;
use tim_proto::UserId;

use super::book::{Book, Friend};
use crate::http::rest::codes;
use crate::http::rest::envelope::{RestError, object};
use crate::http::rest::fields::Fields;

/// The longest remark, request, name of a list, and value of the application, in bytes.
pub(in crate::http::rest) const MAX_REMARK: usize = 96;
pub(in crate::http::rest) const MAX_WORDING: usize = 256;
pub(in crate::http::rest) const MAX_LIST_NAME: usize = 30;
pub(in crate::http::rest) const MAX_VALUE: usize = 500;
/// The most lists of a user, and values of the application of a friend.
pub(in crate::http::rest) const MAX_LISTS: usize = 32;
pub(in crate::http::rest) const MAX_CUSTOM: usize = 20;
/// The longest part of a tag behind what all such tags begin with, in letters.
pub(in crate::http::rest) const MAX_TAG: usize = 8;

pub(in crate::http::rest) const SOURCE: &str = "AddSource_Type_";
pub(in crate::http::rest) const CUSTOM: &str = "Tag_SNS_Custom_";
pub(in crate::http::rest) const REMARK: &str = "Tag_SNS_IM_Remark";
pub(in crate::http::rest) const LISTS: &str = "Tag_SNS_IM_Group";

/// A tag with its value, to be set.
#[derive(Debug, Clone)]
pub(super) enum Tag {
    Remark(String),
    Lists(Vec<String>),
    Custom(String, Value),
}

fn is_short_word(text: &str, start: &str) -> bool {
    let rest = text.strip_prefix(start).unwrap_or_default();
    (1..=MAX_TAG).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

pub(super) fn check_source(fields: &Fields<'_>, source: &str) -> Result<(), RestError> {
    match is_short_word(source, SOURCE) {
        true => Ok(()),
        false => Err(fields.fault("AddSource", "is not AddSource_Type_ and up to eight letters")),
    }
}

/// Checks the name of a list.
pub(super) fn check_list(fields: &Fields<'_>, field: &str, name: &str) -> Result<(), RestError> {
    match (1..=MAX_LIST_NAME).contains(&name.len()) {
        true => Ok(()),
        false => Err(fields.fault(field, "has a name that is empty or longer than 30 bytes")),
    }
}

/// The tags in `SnsItem`.
pub(super) fn read(item: &Fields<'_>) -> Result<Vec<Tag>, RestError> {
    let tags = item.need_objects("SnsItem", MAX_CUSTOM + 2)?;
    tags.iter().map(read_one).collect()
}

fn read_one(tag: &Fields<'_>) -> Result<Tag, RestError> {
    match tag.need_text("Tag")? {
        REMARK => {
            let remark = tag.text_within("Value", MAX_REMARK)?;
            Ok(Tag::Remark(remark.unwrap_or("").to_owned()))
        }
        LISTS => {
            let names = tag.texts("Value", MAX_LISTS)?;
            names.iter().try_for_each(|name| check_list(tag, "Value", name))?;
            Ok(Tag::Lists(names.into_iter().map(str::to_owned).collect()))
        }
        name if is_short_word(name, CUSTOM) => match tag.value("Value") {
            Some(Value::Array(_) | Value::Object(_)) => {
                Err(tag.fault("Value", "is neither a string nor a number"))
            }
            Some(value) if value.as_str().map_or(0, str::len) <= MAX_VALUE => {
                Ok(Tag::Custom(name.to_owned(), value.clone()))
            }
            Some(_) => Err(tag.fault("Value", "is longer than 500 bytes")),
            None => Err(tag.fault("Value", "is missing")),
        },
        _ => Err(tag.fault("Tag", "is none that can be set")),
    }
}

/// Sets tags of a friend.
pub(super) fn apply(mine: &mut Book, user: &UserId, tags: &[Tag]) -> Result<(), RestError> {
    let not_a_friend = || RestError::new(codes::BAD_FRIEND, "Err_SNS_FriendUpdate_Friend_Not_Exist");
    let mut friend = mine.friend(user).cloned().ok_or_else(not_a_friend)?;
    for tag in tags {
        match tag {
            Tag::Remark(remark) => friend.remark.clone_from(remark),
            Tag::Lists(lists) => {
                add_lists(mine, lists)?;
                friend.lists.clear();
                for list in lists {
                    if !friend.lists.contains(list) {
                        friend.lists.push(list.clone());
                    }
                }
            }
            Tag::Custom(name, value) => {
                friend.custom.insert(name.clone(), value.clone());
                if friend.custom.len() > MAX_CUSTOM {
                    let info = "a friend has 20 fields of the application at most";
                    return Err(RestError::new(codes::BAD_FRIEND, info));
                }
            }
        }
    }
    if let Some(old) = mine.friend_mut(user) {
        *old = friend;
    }
    Ok(())
}

/// Adds lists that are not there, unless there would be too many.
pub(super) fn add_lists(mine: &mut Book, names: &[String]) -> Result<(), RestError> {
    let mut lists = mine.lists.clone();
    for name in names {
        if !lists.contains(name) {
            lists.push(name.clone());
        }
    }
    if lists.len() > MAX_LISTS {
        return Err(RestError::new(
            codes::TOO_MANY_LISTS,
            "a user has 32 lists of friends at most",
        ));
    }
    mine.lists = lists;
    Ok(())
}

/// The tags of a friend that are set. Those of the application, and the others.
pub(super) fn shown(friend: &Friend) -> (Vec<Value>, Vec<Value>) {
    let tag = |name: &str, value: Value| object([("Tag", name.into()), ("Value", value)]);
    let mut standard = vec![tag("Tag_SNS_IM_AddTime", friend.time.into())];
    for (name, text) in [
        (REMARK, &friend.remark),
        ("Tag_SNS_IM_AddSource", &friend.source),
        ("Tag_SNS_IM_AddWording", &friend.wording),
    ] {
        if !text.is_empty() {
            standard.push(tag(name, text.as_str().into()));
        }
    }
    if !friend.lists.is_empty() {
        standard.push(tag(LISTS, friend.lists.clone().into()));
    }
    let custom = friend.custom.iter().map(|(name, value)| tag(name, value.clone()));
    (standard, custom.collect())
}
