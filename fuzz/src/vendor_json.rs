//! JSON that claims to be the vendor's.

use std::fmt::Debug;

use serde_json::Value;
use tim_json::text::{NoticePayload, TipPayload};
use tim_json::{
    Content, Conversation, Element, Fault, GroupProfile, Json, Message, NewMessage, OfflinePushInfo,
    SendOptions, Spelling,
};
use tim_proto::{MessageKind, Words};

/// A document is refused with the path of the fault, or becomes a value that is written as a document with the same value. What
/// tim can carry of it is the same after another journey through tim.
pub fn vendor_json(data: &[u8]) {
    let Ok(document) = tim_json::value(data) else {
        return;
    };
    for spelling in [Spelling::Rest, Spelling::Sdk] {
        check::<Message>(&document, spelling);
        check::<Conversation>(&document, spelling);
        check::<GroupProfile>(&document, spelling);
        check::<OfflinePushInfo>(&document, spelling);
        check::<SendOptions>(&document, spelling);
        let body = check::<Vec<Element>>(&document, spelling).unwrap_or_default();
        for element in body.into_iter().chain(check::<Element>(&document, spelling)) {
            check_journey(&element.content);
            let received = element.content.as_received(|| 7);
            assert_eq!(
                received.clone().as_received(|| 8),
                received,
                "nothing more to receive"
            );
            check_journey(&received.as_forwarded());
        }
    }
    for kind in MessageKind::KNOWN {
        if let Ok(new) = NewMessage::from_value(*kind, document.clone()) {
            check_journey(&new.content);
        }
    }
    let _ = NoticePayload::read(&document).map(|it| it.text(Words::SEED));
    let _ = TipPayload::read(&document).map(|it| it.text(Words::SEED));
}

fn check<T: Json + PartialEq + Debug>(document: &Value, spelling: Spelling) -> Option<T> {
    match T::from_value(document.clone(), spelling) {
        Ok(value) => {
            let written = value.to_value(spelling);
            let again = T::from_value(written.clone(), spelling).expect("its own document is accepted");
            assert_eq!(again, value);
            assert_eq!(again.to_value(spelling), written);
            Some(value)
        }
        Err(error) => {
            let place = pointer(error.path());
            let found = document.pointer(&place);
            match error.fault() {
                Fault::Missing { .. } => assert!(found.is_none_or(Value::is_null), "{error}"),
                _ => assert!(found.is_some(), "{error}"),
            }
            None
        }
    }
}

/// The path of an error as a JSON pointer. Only known names are in it, which have none of these characters.
fn pointer(path: &str) -> String {
    let slashes = path.replace(['.', '['], "/").replace(']', "");
    match slashes.strip_prefix('/') {
        _ if slashes.is_empty() => slashes,
        Some(_) => slashes,
        None => format!("/{slashes}"),
    }
}

fn check_journey(content: &Content) {
    let Ok(first) = content.encode() else { return };
    let second = Content::of_payload(&first.payload()).encode();
    let second = second.expect("what tim carries can be sent");
    assert_eq!(second.kind(), first.kind());
    let third = Content::of_payload(&second.payload())
        .encode()
        .expect("once more");
    assert_eq!(third, second);
}
