//! The options of the SDK's `create…Message`.

use serde_json::{Map, Value};
use tim_proto::{ConversationId, MessageKind, Priority};

use crate::element::Content;
use crate::error::{Error, Fault};
use crate::object::{At, Object};
use crate::{Spelling, limits};

/// What an application gives to a `create…Message` of the SDK.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct NewMessage {
    /// Where the message goes.
    pub to: ConversationId,
    /// The priority. The SDK takes a name or a number, and makes [`Priority::NORMAL`] of anything else.
    pub priority: Priority,
    /// The payload.
    pub content: Content,
    /// The users whom a text mentions.
    pub at_users: Vec<String>,
    /// Data of the application.
    pub cloud_custom_data: String,
    /// The only receivers in a group; empty for all.
    pub receivers: Vec<String>,
    /// Options that this version does not know.
    pub other: Map<String, Value>,
}

impl NewMessage {
    /// Reads the options, as the SDK checks them. The SDK fails with "Params validate failed."; this error says where.
    ///
    /// # Errors
    /// [`Error`] with the path of the fault.
    pub fn from_value(kind: MessageKind, value: Value) -> Result<Self, Error> {
        limits::check_value(&value)?;
        let mut fields = Object::open(value, Spelling::Sdk, &At::ROOT)?;
        let to: String = fields.need(["to"; 2])?;
        let conversation_type: String = fields.need(["conversationType"; 2])?;
        let priority = priority(fields.raw("priority").as_ref());
        let mut payload: Value = fields.need(["payload"; 2])?;
        let at_users = match payload.as_object_mut().filter(|_| kind == MessageKind::TEXT) {
            Some(payload) => payload.remove("atUserList").unwrap_or_default(),
            None => Value::Null,
        };
        let content = Content::of_type(&kind.to_string(), payload, Spelling::Sdk)
            .map_err(|error| error.within("payload"))?;
        check(&content)?;
        let at_users = match at_users {
            Value::Null => Vec::new(),
            list => crate::Json::from_value(list, Spelling::Sdk)
                .map_err(|error: Error| error.within("payload.atUserList"))?,
        };
        Ok(Self {
            to: conversation(&conversation_type, &to)?,
            priority,
            content,
            at_users,
            cloud_custom_data: fields.may(["cloudCustomData"; 2])?.unwrap_or_default(),
            receivers: fields.may(["receiverList"; 2])?.unwrap_or_default(),
            other: fields.left(),
        })
    }
}

fn conversation(conversation_type: &str, to: &str) -> Result<ConversationId, Error> {
    let wrong = |path: &str, why: String| Fault::NotSendable(why).at_path(path);
    let is_known = matches!(conversation_type, "C2C" | "GROUP");
    if !is_known {
        let why = format!("{conversation_type:?} is neither C2C nor GROUP");
        return Err(wrong("conversationType", why));
    }
    ConversationId::new(&format!("{conversation_type}{to}")).map_err(|error| wrong("to", error.to_string()))
}

fn priority(value: Option<&Value>) -> Priority {
    let number = |number: u64| u8::try_from(number).ok().map(Priority);
    let asked = match value {
        Some(Value::String(name)) => Priority::from_name(name).or_else(|| name.parse().ok().and_then(number)),
        Some(value) => value.as_u64().and_then(number),
        None => None,
    };
    asked.filter(|it| it.is_known()).unwrap_or_default()
}

/// What the SDK refuses to create, beyond missing fields.
fn check(content: &Content) -> Result<(), Error> {
    let (path, why) = match content {
        Content::Text(it) if it.text.is_empty() => ("payload.text", "the text is empty"),
        Content::Custom(it) if it.data.is_none() && it.description.is_none() && it.extension.is_none() => (
            "payload",
            "a custom message has data, a description or an extension",
        ),
        Content::Relay(it) if it.messages.as_deref().unwrap_or_default().is_empty() => {
            ("payload.messageList", "no messages to merge")
        }
        _ => return Ok(()),
    };
    Err(Fault::NotSendable(why.to_owned()).at_path(path))
}
