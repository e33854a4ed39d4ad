//! What the application is asked about a message, and what its answer decides.

use serde_json::{Map, Value};
use tim_json::{Element, Json as _, Spelling};
use tim_proto::message::Content;
use tim_proto::{ConversationId, ErrorCode, Payload};

use super::after::Sender;
use super::{CallbackCommand, Callbacks, Unanswered};
use crate::msg_key::MsgKey;
use crate::refusal::Refusal;

/// The longest text of the application that a sender is told, in bytes.
const MAX_TEXT: usize = 256;

/// What a callback about a message says of it.
pub(crate) struct About<'a> {
    pub(crate) sender: Sender,
    pub(crate) content: &'a Content<'a>,
    /// What `MsgSeq` is of a one-to-one message, and the first part of its `MsgKey`: the place in the log once it has one, before that what
    /// the sender says.
    pub(crate) sequence: u64,
    /// Of a group.
    pub(crate) group_type: &'a str,
    pub(crate) online_only: bool,
    /// Unix time in milliseconds.
    pub(crate) now_ms: u64,
}

/// What becomes of a message after the application was asked.
pub(crate) enum Decision<T> {
    /// It is taken, maybe changed.
    Go(Option<T>),
    /// It is dropped, and its sender does not hear of it.
    Drop,
    Refuse(Refusal),
    /// Nothing is decided: the hub stops.
    Stopping,
}

impl Callbacks {
    /// Asks the application about a message. `change` makes the message with the content that the application wants instead; a content of
    /// which that cannot be made is no answer.
    pub(crate) async fn ask_about<T>(
        &self,
        about: &About<'_>,
        change: impl FnOnce(&tim_json::Content) -> Result<T, String>,
    ) -> Decision<T> {
        let is_group = matches!(about.content.to, ConversationId::Group(_));
        let command = match is_group {
            true => CallbackCommand::BeforeGroup,
            false => CallbackCommand::BeforeC2c,
        };
        let decide = |answer: &Map<String, Value>| {
            Ok(match verdict(answer, is_group)? {
                Verdict::Go(None) => Decision::Go(None),
                Verdict::Go(Some(content)) => Decision::Go(Some(change(&content)?)),
                Verdict::Drop => Decision::Drop,
                Verdict::Refuse(refusal) => Decision::Refuse(refusal),
            })
        };
        let body = || about.body(command);
        let decided = self.ask(command, about.sender.platform, body, decide).await;
        match decided {
            Ok(decision) => decision,
            Err(Unanswered::Stopping) => Decision::Stopping,
            Err(Unanswered::NoAnswer) if self.refuses_without_answer() => {
                let text = "the application could not be asked about the message; try again later";
                Decision::Refuse(Refusal::new(refused(is_group), text))
            }
            Err(Unanswered::NoAnswer) => Decision::Go(None),
        }
    }
}

/// The code with which the application refuses what is sent, or done in a group, unless it has one of its own.
pub(super) const fn refused(is_group: bool) -> ErrorCode {
    match is_group {
        true => ErrorCode::GROUP_REJECT_FROM_THIRDPARTY,
        false => ErrorCode::MSG_PUSH_DENY,
    }
}

impl About<'_> {
    /// The body before the message is taken, which that after it begins with.
    pub(super) fn body(&self, command: CallbackCommand) -> Map<String, Value> {
        let Self { content, sender, .. } = self;
        let mut body = match content.to {
            ConversationId::Group(group) => command.body([
                ("GroupId", group.as_str().into()),
                ("Type", self.group_type.into()),
                ("From_Account", sender.user.as_str().into()),
                ("Operator_Account", sender.operator.as_str().into()),
                ("Random", content.id.random.into()),
                ("EventTime", self.now_ms.into()),
            ]),
            to => {
                let peer = match to {
                    ConversationId::C2c(peer) => peer.to_string(),
                    _ => String::new(),
                };
                let key = MsgKey {
                    sequence: self.sequence,
                    random: content.id.random,
                    time: self.now_ms / 1000,
                };
                command.body([
                    ("From_Account", sender.user.as_str().into()),
                    ("To_Account", peer.into()),
                    ("MsgSeq", key.sequence.into()),
                    ("MsgRandom", key.random.into()),
                    ("MsgTime", key.time.into()),
                    ("MsgKey", key.to_string().into()),
                ])
            }
        };
        let said = [
            ("OnlineOnlyFlag", u32::from(self.online_only).into()),
            ("MsgBody", elements(content).into()),
            ("CloudCustomData", content.cloud_custom_data().into()),
        ];
        body.extend(said.map(|(name, value)| (name.to_owned(), value)));
        body
    }
}

/// The elements of a message.
fn elements(content: &Content<'_>) -> Vec<Value> {
    let payload = Payload::decode(content.kind, content.payload);
    let first = Element::from(tim_json::Content::of_payload(&payload)).to_value(Spelling::Rest);
    let mut elements = vec![first];
    if let Ok(Value::Array(others)) = tim_json::value(content.more_elements().as_bytes()) {
        elements.extend(others);
    }
    elements
}

/// What the application decides about a message.
#[derive(Debug, PartialEq)]
enum Verdict {
    /// It is taken, maybe with another content.
    Go(Option<Box<tim_json::Content>>),
    /// It is dropped, and its sender does not hear of it.
    Drop,
    Refuse(Refusal),
}

/// What an answer decides; `Err` if it is none.
fn verdict(answer: &Map<String, Value>, is_group: bool) -> Result<Verdict, String> {
    match code(answer)? {
        0 => content(answer).map(Verdict::Go),
        2 => Ok(Verdict::Drop),
        code => refusal(answer, code, is_group).map(Verdict::Refuse),
    }
}

/// What an answer says first.
pub(super) fn code(answer: &Map<String, Value>) -> Result<u64, String> {
    let code = answer.get("ErrorCode").and_then(Value::as_u64);
    code.ok_or_else(|| "it has no ErrorCode, or one that is no number".to_owned())
}

/// The refusal in an answer with this code.
pub(super) fn refusal(answer: &Map<String, Value>, code: u64, is_group: bool) -> Result<Refusal, String> {
    let own = match is_group {
        false => 120_001..=130_000,
        true => 10_100..=10_200,
    };
    if code == 1 {
        return Ok(Refusal::new(refused(is_group), ""));
    }
    if !own.contains(&code) {
        return Err(format!("it has the ErrorCode {code}, which decides nothing"));
    }
    let text = answer
        .get("ErrorInfo")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let end = (0..=text.len().min(MAX_TEXT))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    let text = text.get(..end.unwrap_or_default()).unwrap_or_default();
    let code = ErrorCode(u32::try_from(code).unwrap_or_default());
    Ok(Refusal::new(code, text))
}

/// The content that an answer has for the message, if there is one.
fn content(answer: &Map<String, Value>) -> Result<Option<Box<tim_json::Content>>, String> {
    let elements = match answer.get("MsgBody") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(elements)) => elements,
        Some(_) => return Err("its MsgBody is no array".to_owned()),
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
    use serde_json::json;

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
            json!({"ErrorCode": 0, "MsgBody": {"MsgType": "TIMTextElem", "MsgContent": {"Text": "***"}}}),
            json!({"ErrorCode": 0, "MsgBody": "***"}),
            json!({"ErrorCode": 0, "MsgBody": 7}),
            json!({"ErrorCode": 0, "MsgBody": false}),
        ] {
            assert!(decide(wrong, false).is_err());
        }
        for none in [json!(null), json!([])] {
            assert_eq!(
                decide(json!({"ErrorCode": 0, "MsgBody": none}), false),
                Ok(Verdict::Go(None))
            );
        }
        let element = json!({"MsgType": "TIMTextElem", "MsgContent": {"Text": "***"}});
        let changed = decide(json!({"ErrorCode": 0, "MsgBody": [element]}), false);
        assert!(
            matches!(&changed, Ok(Verdict::Go(Some(content))) if matches!(&**content, tim_json::Content::Text(text) if text.text == "***")),
            "{changed:?}"
        );
        assert!(decide(json!({"ErrorCode": 0, "MsgBody": [element, element]}), false).is_err());
    }

    use proptest::prelude::*;

    /// JSON of the kinds that an answer has, and of those that it has not.
    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,40}".prop_map(Value::from),
            Just(json!("TIMTextElem")),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            let name = prop_oneof![
                Just("MsgType".to_owned()),
                Just("MsgContent".to_owned()),
                Just("Text".to_owned()),
                ".{0,8}"
            ];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::vec((name, inner), 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Whatever an endpoint answers, a sender is told a code that applications have, and no long text; and nothing is changed but by
        /// one element.
        #[test]
        fn any_answer_decides_within_the_rules_or_not_at_all(
            code in prop_oneof![
                (0_u64..4).prop_map(Value::from),
                (119_990_u64..130_010).prop_map(Value::from),
                (10_090_u64..10_210).prop_map(Value::from),
                value()
            ],
            info in prop_oneof![".{0,300}".prop_map(Value::from), value()],
            body in prop_oneof![Just(Value::Null), value()],
            is_group: bool,
        ) {
            let answer = json!({"ErrorCode": code, "ErrorInfo": info, "MsgBody": body});
            match decide(answer, is_group) {
                Ok(Verdict::Go(content)) => {
                    prop_assert_eq!(code.as_u64(), Some(0));
                    let elements = body.as_array().map_or(0, Vec::len);
                    prop_assert_eq!(usize::from(content.is_some()), elements);
                }
                Ok(Verdict::Drop) => prop_assert_eq!(code.as_u64(), Some(2)),
                Ok(Verdict::Refuse(refusal)) => {
                    let own = if is_group { 10_100..=10_200 } else { 120_001..=130_000 };
                    prop_assert!(own.contains(&refusal.code.0) || code.as_u64() == Some(1));
                    prop_assert!(refusal.text.len() <= MAX_TEXT);
                    prop_assert!(info.as_str().unwrap_or_default().starts_with(&refusal.text));
                }
                Err(what) => prop_assert!(!what.is_empty()),
            }
        }
    }
}
