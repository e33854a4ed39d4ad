//! Every recorded case of the vendor's SDK and of a REST client, in both directions.

use serde_json::{Value, json};
use tim_json::{Content, Element, Json, Message, NewMessage, Spelling};
use tim_proto::message::{Envelope, Mentions};
use tim_proto::wire::List;
use tim_proto::{MessageId, MessageKind, UserId};

use super::golden;

/// What a login, the clock and a random generator give to a new message: the test gives what the recording has.
const GIVEN: &[&str] = &[
    "from",
    "senderTinyID",
    "time",
    "clientTime",
    "clientSequence",
    "random",
];
/// The SDK's private fields. They are kept where they are read, and not made here.
const PRIVATE: &[&str] = &[
    "_elements",
    "_onlineOnlyFlag",
    "_groupAtInfoList",
    "_relayFlag",
    "_isExcludedFromUnreadCount",
    "_isExcludedFromLastMessage",
    "_receiverList",
];
/// Cases that are about a login and not about JSON.
const ABOUT_A_LOGIN: &[&str] = &["before login"];
/// Cases that the SDK creates and never sends; here they are refused at once, at this path.
const REFUSED_EARLIER: &[(&str, &str)] = &[("text bad conversationType", "conversationType")];
/// Where tim's payload has less than the SDK's object: the case, a pointer into the payload, and what is there instead.
const NOT_CARRIED: &[(&str, &str, Value)] = &[
    // Unknown fields of known payloads.
    ("face extra fields", "/foo", Value::Null),
    // The address of a merged message's sender is not on the wire.
    ("merger", "/messageList/0/ID", Value::Null),
    ("merger", "/messageList/1/ID", Value::Null),
];

fn kind_of(api: &str) -> MessageKind {
    match api {
        "createTextMessage" | "createTextAtMessage" => MessageKind::TEXT,
        "createCustomMessage" => MessageKind::CUSTOM,
        "createFaceMessage" => MessageKind::FACE,
        "createLocationMessage" => MessageKind::LOCATION,
        "createImageMessage" => MessageKind::IMAGE,
        "createAudioMessage" => MessageKind::AUDIO,
        "createVideoMessage" => MessageKind::VIDEO,
        "createFileMessage" => MessageKind::FILE,
        "createMergerMessage" => MessageKind::MERGER,
        other => panic!("no such call: {other}"),
    }
}

fn cases(file: &str) -> Vec<Value> {
    golden(file)["cases"].as_array().unwrap().clone()
}

#[test]
fn created_messages_read_and_written_are_the_same() {
    let mut seen = 0;
    for case in cases("create_messages.json") {
        let Some(output) = case.get("output") else {
            continue;
        };
        let message = Message::from_value(output.clone(), Spelling::Sdk).unwrap();
        assert_eq!(message.to_value(Spelling::Sdk), *output, "{}", case["case"]);
        // serde in the natural spelling does the same.
        let text = serde_json::to_string(&message).unwrap();
        assert_eq!(serde_json::from_str::<Message>(&text).unwrap(), message);
        seen += 1;
    }
    assert_eq!(seen, 24);
}

#[test]
fn options_become_the_messages_that_the_sdk_creates() {
    let (mut created, mut refused) = (0, 0);
    for case in cases("create_messages.json") {
        let name = case["case"].as_str().unwrap();
        if ABOUT_A_LOGIN.contains(&name) {
            assert!(
                case["rejected"]["code"].is_u64(),
                "{name} is about JSON after all"
            );
            continue;
        }
        let kind = kind_of(case["api"].as_str().unwrap());
        let mut input = case["input"].clone();
        let output = case.get("output");
        // Instead of a file that a user picked: what the SDK made of it.
        if let (Some(output), Some(_)) = (output, input.pointer("/payload/file")) {
            input["payload"] = output["payload"].clone();
        }
        // Instead of messages: how the SDK merges them.
        if let (Some(output), Some(list)) = (output, input.pointer_mut("/payload/messageList")) {
            *list = output["payload"]["messageList"].clone();
        }
        let new = NewMessage::from_value(kind, input);
        let refusal = REFUSED_EARLIER.iter().find(|(case, _)| *case == name);
        match (output, new) {
            (Some(_), Err(error)) => {
                let (_, path) = refusal.unwrap_or_else(|| panic!("{name}: {error}"));
                assert_eq!(error.path(), *path, "{name}");
                refused += 1;
            }
            (Some(output), Ok(new)) => {
                check_created(name, &new, output);
                created += 1;
            }
            (None, new) => {
                let error = new.expect_err(name);
                assert!(!error.path().is_empty(), "{name}: {error}");
                refused += 1;
            }
        }
    }
    assert_eq!((created, refused), (23, 9));
}

fn check_created(name: &str, new: &NewMessage, output: &Value) {
    for given in GIVEN {
        assert!(output.get(given).is_some(), "{name} has no {given}");
    }
    let number = |field: &str| output[field].as_u64().unwrap();
    let me = UserId::new(output["from"].as_str().unwrap()).unwrap();
    let id = MessageId {
        sender: output["senderTinyID"].as_str().unwrap().parse().unwrap(),
        client_time: number("clientTime"),
        random: number("random").try_into().unwrap(),
    };
    let users: Vec<UserId> = new.at_users.iter().map(|user| user.parse().unwrap()).collect();
    let mut buffer = [0; 256];
    let mentions = Mentions::new().with_users(List::from_slice(&users));
    let mentions = mentions.write(&mut buffer).unwrap();
    let encoded = new.content.encode().unwrap();
    assert_eq!(encoded.kind(), kind_of_content(&new.content), "{name}");
    let envelope = Envelope::new(me).with_time(number("time"));
    let message = tim_proto::Message::new(envelope, new.to, id, encoded.payload())
        .with_client_sequence(number("clientSequence"))
        .with_priority(new.priority)
        .with_extensions(mentions);
    let mut shown = Message::created(&message);
    shown.cloud_custom_data = Some(new.cloud_custom_data.clone());
    let mut shown = shown.to_value(Spelling::Sdk);
    let mut expected = output.clone();
    for private in PRIVATE {
        expected.as_object_mut().unwrap().remove(*private);
    }
    for (_, pointer, instead) in NOT_CARRIED.iter().filter(|(case, ..)| *case == name) {
        *expected["payload"].pointer_mut(pointer).expect(pointer) = instead.clone();
    }
    // The SDK leaves out what is not there, and tim has an empty text.
    without_empty(&mut expected);
    without_empty(&mut shown);
    // A picture's second address is the first; before the upload the SDK has only the first.
    let images = shown
        .pointer_mut("/payload/imageInfoArray")
        .and_then(Value::as_array_mut);
    for image in images.into_iter().flatten() {
        assert_eq!(
            image.as_object_mut().unwrap().remove("imageUrl"),
            image.get("url").cloned()
        );
    }
    assert_eq!(shown, expected, "{name}");
}

fn kind_of_content(content: &Content) -> MessageKind {
    MessageKind::from_sdk_name(content.msg_type()).unwrap()
}

/// Without null and empty texts in the payload.
fn without_empty(message: &mut Value) {
    fn clean(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.retain(|_, field| !field.is_null() && field != "");
                fields.values_mut().for_each(clean);
            }
            Value::Array(items) => items.iter_mut().for_each(clean),
            _ => {}
        }
    }
    clean(&mut message["payload"]);
}

#[test]
fn elements_are_received_and_forwarded_as_by_the_sdk() {
    let all = cases("element_roundtrip.json");
    assert_eq!(all.len(), 4);
    for case in all {
        let received = &case["received_element"];
        let element = Element::from_value(received.clone(), Spelling::Rest).unwrap();
        assert_eq!(element.to_value(Spelling::Rest), *received);

        // The SDK draws the number of each rendition; the test gives those of the recording.
        let payload = &case["payload_in_sdk"];
        let mut drawn = payload["imageInfoArray"].as_array().into_iter().flatten();
        let mut instance = || {
            let one = drawn.next().expect("one for each rendition");
            one["instanceID"].as_u64().unwrap().try_into().unwrap()
        };
        let in_sdk = element.content.clone().as_received(&mut instance);
        assert_eq!(in_sdk.to_content_value(Spelling::Sdk).as_ref(), Some(payload));

        // And back: the payload read on its own, as it is forwarded.
        let read = Content::of_type(element.content.msg_type(), payload.clone(), Spelling::Sdk).unwrap();
        assert_eq!(read, in_sdk);
        let forwarded = Element::from(read.as_forwarded()).to_value(Spelling::Rest);
        assert_eq!(json!([forwarded]), case["forwarded_wire_MsgBody"]);

        // Through tim and back nothing changes that tim has.
        let through = Content::of_payload(&in_sdk.encode().unwrap().payload());
        assert_eq!(through.encode(), in_sdk.encode());
    }
}

#[test]
fn bodies_of_rest_calls_read_and_written_are_the_same() {
    let path = format!("{}/tests/golden/rest_requests.jsonl", env!("CARGO_MANIFEST_DIR"));
    let mut elements = 0;
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let call: Value = serde_json::from_str(line).unwrap();
        let mut messages = vec![&call["body"]];
        messages.extend(call["body"]["MsgList"].as_array().into_iter().flatten());
        for body in messages.iter().filter_map(|message| message.get("MsgBody")) {
            let read = Vec::<Element>::from_value(body.clone(), Spelling::Rest).unwrap();
            assert_eq!(read.to_value(Spelling::Rest), *body, "{}", call["method"]);
            for element in &read {
                let encoded = element.content.encode().unwrap();
                let back = Content::of_payload(&encoded.payload());
                assert_eq!(back.encode().unwrap(), encoded);
                elements += 1;
            }
        }
    }
    assert_eq!(elements, 7);
}
