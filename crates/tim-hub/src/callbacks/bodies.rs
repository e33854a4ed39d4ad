//! The vendor's bodies of callbacks, and what an answer decides.

use serde_json::{Map, Value, json};
use tim_json::{Element, Json as _, Spelling};
use tim_proto::message::Content;
use tim_proto::{ConversationId, ErrorCode, Payload, UserId};

use super::CallbackCommand;
use crate::refusal::Refusal;

/// The longest text of the application that a sender is told, in bytes.
const MAX_TEXT: usize = 256;

/// What a callback about a message says of it.
pub(crate) struct About<'a> {
    pub(crate) command: CallbackCommand,
    pub(crate) sender: UserId,
    pub(crate) content: &'a Content<'a>,
    /// Of a group.
    pub(crate) group_type: &'a str,
    pub(crate) online_only: bool,
    /// Unix time in milliseconds.
    pub(crate) now_ms: u64,
}

/// The key of a message, as REST calls and callbacks have it.
fn key(content: &Content<'_>, time: u64) -> String {
    format!("{}_{}_{time}", content.client_sequence, content.id.random)
}

impl About<'_> {
    /// The body before the message is taken, which that after it begins with.
    pub(crate) fn body(&self) -> Map<String, Value> {
        let Self { content, .. } = self;
        let online_only = u32::from(self.online_only);
        let payload = Payload::decode(content.kind, content.payload);
        let first = Element::from(tim_json::Content::of_payload(&payload)).to_value(Spelling::Rest);
        let mut elements = vec![first];
        if let Ok(Value::Array(others)) = tim_json::value(content.more_elements().as_bytes()) {
            elements.extend(others);
        }
        let body = match content.to {
            ConversationId::Group(group) => json!({
                "CallbackCommand": self.command.name(),
                "GroupId": group.as_str(),
                "Type": self.group_type,
                "From_Account": self.sender.as_str(),
                "Operator_Account": self.sender.as_str(),
                "Random": content.id.random,
                "OnlineOnlyFlag": online_only,
                "MsgBody": elements,
                "CloudCustomData": content.cloud_custom_data(),
                "EventTime": self.now_ms,
            }),
            to => {
                let peer = match to {
                    ConversationId::C2c(peer) => peer.to_string(),
                    _ => String::new(),
                };
                let time = self.now_ms / 1000;
                json!({
                    "CallbackCommand": self.command.name(),
                    "From_Account": self.sender.as_str(),
                    "To_Account": peer,
                    "MsgSeq": content.client_sequence,
                    "MsgRandom": content.id.random,
                    "MsgTime": time,
                    "MsgKey": key(content, time),
                    "OnlineOnlyFlag": online_only,
                    "MsgBody": elements,
                    "CloudCustomData": content.cloud_custom_data(),
                })
            }
        };
        match body {
            Value::Object(body) => body,
            _ => Map::new(),
        }
    }
}

/// What the application decides about a message.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    /// It is taken, maybe with another content.
    Go(Option<Box<tim_json::Content>>),
    /// It is dropped, and its sender does not hear of it.
    Drop,
    Refuse(Refusal),
}

/// What an answer decides; `Err` if it is none.
pub(crate) fn verdict(answer: &Map<String, Value>, is_group: bool) -> Result<Verdict, String> {
    let code = answer.get("ErrorCode").and_then(Value::as_u64);
    let code = code.ok_or("it has no ErrorCode, or one that is no number")?;
    let (refused, own) = match is_group {
        false => (ErrorCode::MSG_PUSH_DENY, 120_001..=130_000),
        true => (ErrorCode::GROUP_REJECT_FROM_THIRDPARTY, 10_100..=10_200),
    };
    let text = answer
        .get("ErrorInfo")
        .and_then(Value::as_str)
        .unwrap_or_default();
    match code {
        0 => content(answer).map(Verdict::Go),
        1 => Ok(Verdict::Refuse(Refusal::new(refused, ""))),
        2 => Ok(Verdict::Drop),
        code if own.contains(&code) => {
            let code = ErrorCode(u32::try_from(code).unwrap_or_default());
            let end = (0..=text.len().min(MAX_TEXT))
                .rev()
                .find(|end| text.is_char_boundary(*end));
            let text = text.get(..end.unwrap_or_default()).unwrap_or_default();
            Ok(Verdict::Refuse(Refusal::new(code, text)))
        }
        other => Err(format!(
            "it has the ErrorCode {other}, which says nothing about a message"
        )),
    }
}

/// The content that an answer has for the message, if there is one.
fn content(answer: &Map<String, Value>) -> Result<Option<Box<tim_json::Content>>, String> {
    let Some(Value::Array(elements)) = answer.get("MsgBody").filter(|body| !body.is_null()) else {
        return Ok(None);
    };
    match elements.as_slice() {
        [] => Ok(None),
        [element] => Element::from_value(element.clone(), Spelling::Rest)
            .map(|element| Some(Box::new(element.content)))
            .map_err(|error| format!("its MsgBody cannot be read: {error}")),
        _ => Err("its MsgBody has several elements, and a message has one".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(answer: Value, is_group: bool) -> Result<Verdict, String> {
        verdict(answer.as_object().unwrap(), is_group)
    }

    #[test]
    fn what_an_answer_decides() {
        let refuse = |code, text: &str| Ok(Verdict::Refuse(Refusal::new(ErrorCode(code), text)));
        let answer =
            |code: u64| json!({"ActionStatus": "OK", "ErrorInfo": "no bad words", "ErrorCode": code});
        assert_eq!(decide(answer(0), false), Ok(Verdict::Go(None)));
        assert_eq!(decide(answer(1), false), refuse(20_006, ""));
        assert_eq!(decide(answer(1), true), refuse(10_016, ""));
        assert_eq!(decide(answer(2), true), Ok(Verdict::Drop));
        assert_eq!(decide(answer(120_001), false), refuse(120_001, "no bad words"));
        assert_eq!(decide(answer(130_000), false), refuse(130_000, "no bad words"));
        assert_eq!(decide(answer(10_100), true), refuse(10_100, "no bad words"));
        for (code, is_group) in [
            (120_000, false),
            (130_001, false),
            (10_100, false),
            (10_201, true),
            (3, true),
        ] {
            assert!(decide(answer(code), is_group).is_err(), "{code}");
        }
        for wrong in [
            json!({}),
            json!({"ErrorCode": "0"}),
            json!({"ErrorCode": 0, "MsgBody": [1]}),
        ] {
            assert!(decide(wrong, false).is_err());
        }
        let element = json!({"MsgType": "TIMTextElem", "MsgContent": {"Text": "***"}});
        let changed = decide(json!({"ErrorCode": 0, "MsgBody": [element]}), false);
        assert!(
            matches!(&changed, Ok(Verdict::Go(Some(content))) if matches!(&**content, tim_json::Content::Text(text) if text.text == "***")),
            "{changed:?}"
        );
        assert!(decide(json!({"ErrorCode": 0, "MsgBody": [element, element]}), false).is_err());
    }
}
