//! The payloads of notices and tips as the documented functions that make texts of them read them: as JavaScript does, and only the
//! fields that a text uses.

use serde_json::Value;
use tim_proto::Words;
use tim_proto::message::{NoticeOperation, SystemNotice, TipOperation};
use tim_proto::render::tip_text;

use crate::error::{Error, Fault};
use crate::object::At;

/// What the text of a system notice uses of its payload.
///
/// ```
/// use serde_json::json;
/// use tim_json::text::NoticePayload;
/// use tim_proto::Words;
///
/// let payload = json!({"operationType": 5, "operatorID": "alice", "groupProfile": {"groupID": "team"}});
/// let notice = NoticePayload::read(&payload)?;
/// assert_eq!(notice.text(Words::SEED).as_deref(), Some("群:team 已被alice解散"));
/// # Ok::<(), tim_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticePayload {
    operation: NoticeOperation,
    operator_id: String,
    group: String,
}

impl NoticePayload {
    /// Takes the fields from a payload. The name of the group is the first of `name`, `groupName` and `groupID` that is truthy.
    ///
    /// # Errors
    /// [`Error`] if the payload or its `groupProfile` is no object, or a name is no text.
    pub fn read(payload: &Value) -> Result<Self, Error> {
        let fields = object(payload, &At::ROOT)?;
        let at = At::ROOT.key("groupProfile");
        let profile = object(fields.get("groupProfile").unwrap_or(&Value::Null), &at)?;
        // The original's `groupName || groupID`, after the `name` of newer payloads.
        let named = ["name", "groupName"]
            .into_iter()
            .find(|key| profile.get(*key).is_some_and(is_truthy));
        let key = named.unwrap_or("groupID");
        Ok(Self {
            operation: NoticeOperation(operation(fields.get("operationType"))),
            operator_id: printed(fields.get("operatorID"), &At::ROOT.key("operatorID"))?,
            group: printed(profile.get(key), &at.key(key))?,
        })
    }

    /// The text; `None` for an operation that has none.
    #[must_use]
    pub fn text(&self, words: Words) -> Option<String> {
        let notice = SystemNotice::new(self.operation)
            .with_operator_id(&self.operator_id)
            .with_group_name(&self.group);
        notice.text(words).map(|text| text.to_string())
    }
}

/// What the text of a group tip uses of its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TipPayload {
    operation: TipOperation,
    operator_id: String,
    users: Vec<String>,
}

impl TipPayload {
    /// Takes the fields from a payload.
    ///
    /// # Errors
    /// [`Error`] if the payload is no object, has no list of users for an operation that shows them, or a user is no text.
    pub fn read(payload: &Value) -> Result<Self, Error> {
        let fields = object(payload, &At::ROOT)?;
        let operation = TipOperation(operation(fields.get("operationType")));
        let at = At::ROOT.key("userIDList");
        let shows_users = (TipOperation::JOIN..=TipOperation::CANCELED_ADMIN).contains(&operation);
        let users = match fields.get("userIDList") {
            _ if !shows_users => Vec::new(),
            Some(Value::Array(list)) => {
                let list = list.iter().enumerate();
                list.map(|(index, id)| printed(Some(id), &at.index(index)))
                    .collect::<Result<_, _>>()?
            }
            None => {
                let expected = "an array, which this operation shows";
                return Err(Fault::Missing { expected }.at(&at));
            }
            Some(other) => return Err(Fault::expected("an array", other).at(&at)),
        };
        Ok(Self {
            operation,
            operator_id: printed(fields.get("operatorID"), &At::ROOT.key("operatorID"))?,
            users,
        })
    }

    /// The text.
    #[must_use]
    pub fn text(&self, words: Words) -> String {
        tip_text(self.operation, &self.operator_id, &self.users, words).to_string()
    }
}

fn object<'a>(value: &'a Value, at: &At<'_>) -> Result<&'a serde_json::Map<String, Value>, Error> {
    value
        .as_object()
        .ok_or_else(|| Fault::expected("an object", value).at(at))
}

/// The number of an operation; 0 for any other value, such as a string.
fn operation(value: Option<&Value>) -> u32 {
    let Some(number) = value.and_then(Value::as_f64) else {
        return 0;
    };
    let whole = number as u32; // saturates
    if f64::from(whole) == number { whole } else { 0 }
}

/// Whether a value is truthy in JavaScript.
fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

/// A field as it appears in a text; missing and null are empty.
fn printed(value: Option<&Value>, at: &At<'_>) -> Result<String, Error> {
    match value {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        Some(other) => Err(Fault::expected("a string", other).at(at)),
    }
}
