//! Forms of values on the wire, and how an answer is read.

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};
use tim_json::{Content, Element, Json as _, Spelling};

use crate::Names;

/// Fields that have an older name, too, under which answers are read: a service may give either, or both.
const RENAMED: [(&str, &str); 5] = [
    ("MaxMemberCount", "MaxMemberNum"),
    ("MuteAllMember", "ShutUpAllMember"),
    ("MuteUntil", "ShutUpUntil"),
    ("MutedUntil", "ShuttedUntil"),
    ("MutedAccountList", "ShuttedUinList"),
];

/// An answer without null, which is the same as a missing field, and with the older names. What applications have said is left as it is.
pub(crate) fn tidy(fields: &mut Map<String, Value>) {
    fields.retain(|_, value| !value.is_null());
    for (new, old) in RENAMED {
        if !fields.contains_key(old)
            && let Some(value) = fields.remove(new)
        {
            fields.insert(old.to_owned(), value);
        }
    }
    for (_, value) in fields.iter_mut().filter(|(name, _)| *name != "MsgBody") {
        tidy_value(value);
    }
}

fn tidy_value(value: &mut Value) {
    match value {
        Value::Object(fields) => tidy(fields),
        Value::Array(items) => items.iter_mut().for_each(tidy_value),
        _ => {}
    }
}

/// A code, which may come as a text.
pub(crate) fn number(value: &Value) -> Option<u32> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64().and_then(|number| number.try_into().ok()),
    }
}

/// 0 or 1.
pub(crate) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Bool(is_on) => Ok(is_on),
        other => match number(&other) {
            Some(number) => Ok(number != 0),
            None => Err(D::Error::custom("expected 0 or 1")),
        },
    }
}

/// `On` or `Off`.
pub(crate) fn on_off<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    Ok(match String::deserialize(deserializer)?.as_str() {
        "On" => Some(true),
        "Off" => Some(false),
        _ => None,
    })
}

/// A text, or a number as one.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => text,
        other => other.to_string(),
    })
}

/// Objects that have a group id only.
pub(crate) fn group_ids<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(serde::Deserialize)]
    struct Item {
        #[serde(rename = "GroupId")]
        group: String,
    }
    let items = Vec::<Item>::deserialize(deserializer)?;
    Ok(items.into_iter().map(|item| item.group).collect())
}

/// Elements of a message. One that is not as it should be does not hide the others: it is one of an unknown type.
pub(crate) fn elements<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Element>, D::Error> {
    let unknown = |value: Value| {
        let msg_type = value.get("MsgType").and_then(Value::as_str).unwrap_or_default();
        let msg_type = msg_type.to_owned();
        let value = Some(value);
        Element::from(Content::Unknown { msg_type, value })
    };
    Ok(match Value::deserialize(deserializer)? {
        Value::Array(items) => {
            let items = items.into_iter();
            items
                .map(|item| {
                    Element::from_value(item.clone(), Spelling::Rest).unwrap_or_else(|_| unknown(item))
                })
                .collect()
        }
        other => vec![unknown(other)],
    })
}

fn each<T: Serialize, S: Serializer>(key: &str, values: &[T], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(|value| json!({key: value})))
}

/// An object with a `UserID` for each.
pub(crate) fn user_ids<S: Serializer>(names: &Names, serializer: S) -> Result<S::Ok, S::Error> {
    each("UserID", &names.0, serializer)
}

/// An object with a `Member_Account` for each.
pub(crate) fn members<S: Serializer>(names: &Names, serializer: S) -> Result<S::Ok, S::Error> {
    each("Member_Account", &names.0, serializer)
}

/// An object with a `MsgSeq` for each.
pub(crate) fn sequences<S: Serializer>(sequences: &[u64], serializer: S) -> Result<S::Ok, S::Error> {
    each("MsgSeq", sequences, serializer)
}
