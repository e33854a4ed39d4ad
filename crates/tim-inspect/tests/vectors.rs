//! Every vector of the wire format is decoded, and its fields are those that the vector names.

use serde_json::Value;
use tim_inspect::proto::wire::FrameKind;
use tim_inspect::{Content, describe, fields, stream};

fn from_hex(text: &str) -> Vec<u8> {
    let digits = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hex digits");
    (0..text.len()).step_by(2).map(digits).collect()
}

fn vectors() -> Vec<Value> {
    serde_json::from_str(include_str!("../../tim-proto/vectors/frames.json")).expect("a list of vectors")
}

#[test]
fn the_fields_of_every_vector_are_its_own() {
    let vectors = vectors();
    assert!(vectors.len() > 80);
    for vector in vectors {
        let bytes = from_hex(vector["hex"].as_str().expect("hex digits"));
        let parts: Vec<_> = stream(&bytes, usize::MAX).collect();
        let [part] = &parts[..] else { panic!("{parts:?}") };
        let Content::Frame(frame) = &part.content else {
            panic!("{part:?}")
        };
        assert_eq!(u64::from(frame.kind.0), vector["kind"]);
        assert_eq!(frame.kind.to_string(), vector["kind_name"]);
        let mut expected = vector["body"].clone();
        if let Some(extensions) = vector.get("extensions") {
            expected["extensions"] = extensions.clone();
        }
        let found = fields(frame.kind, frame.body).expect("a good body");
        assert_eq!(found, expected, "{}", vector["name"]);
        assert!(describe(frame.kind, frame.body).is_ok(), "{}", vector["name"]);
    }
}

#[test]
fn no_url_of_a_file_is_shown() {
    let body = b"\x0bhttps://h/s\x07";
    let shown = describe(FrameKind::FILE_URL.answer(), body).expect("a good body");
    assert_eq!(shown, serde_json::json!({ "url": "(11 bytes)", "expires": 7 }));
}

#[test]
fn no_token_of_a_push_service_is_shown() {
    let shown = describe(FrameKind::UNREGISTER_PUSH, b"\x01\x03abc").expect("a good body");
    assert_eq!(
        shown,
        serde_json::json!({ "platform": "ios", "token": "(3 bytes)" })
    );
}

#[test]
fn no_user_sig_is_shown() {
    let mut seen = 0;
    for vector in vectors() {
        let Some(sig) = vector["body"]["user_sig"].as_str().filter(|sig| !sig.is_empty()) else {
            continue;
        };
        let bytes = from_hex(vector["hex"].as_str().expect("hex digits"));
        for part in stream(&bytes, usize::MAX) {
            if let Content::Frame(frame) = part.content {
                let shown = describe(frame.kind, frame.body).expect("a good body").to_string();
                assert!(!shown.contains(sig), "{shown}");
                seen += 1;
            }
        }
    }
    assert!(seen >= 2, "LOGIN and RENEW carry one");
}

#[test]
fn a_body_of_an_unknown_kind_is_hexadecimal_digits() {
    let shown = describe(FrameKind(0x3f), &[1, 2, 0xab]).expect("anything goes");
    assert_eq!(shown, "0102ab");
}
