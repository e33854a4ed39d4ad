//! What is refused, with the path of the fault; limits at, below and above.

use proptest::prelude::*;
use serde_json::{Value, json};
use tim_json::limits::{MAX_DEPTH, MAX_DOCUMENT_BYTES, MAX_LIST_ITEMS, MAX_VALUES};
use tim_json::{Conversation, Element, Fault, Json, Message, OfflinePushInfo, Spelling, value};

#[test]
fn a_fault_has_its_path() {
    let cases = [
        (json!({}), "MsgType", "missing; expected a string"),
        (
            json!({"MsgType": 5}),
            "MsgType",
            "expected a string, found a number",
        ),
        (
            json!({"MsgType": "TIMTextElem"}),
            "MsgContent",
            "missing; expected an object",
        ),
        (
            json!({"MsgType": "TIMTextElem", "MsgContent": null}),
            "MsgContent",
            "expected an object, found null",
        ),
        (
            json!({"MsgType": "TIMTextElem", "MsgContent": {}}),
            "MsgContent.Text",
            "missing; expected a string",
        ),
        (
            json!({"MsgType": "TIMFaceElem", "MsgContent": {"Index": 0.5, "Data": ""}}),
            "MsgContent.Index",
            "expected a whole number of 64 bits, found a number",
        ),
        (
            json!({"MsgType": "TIMImageElem", "MsgContent": {"ImageInfoArray": [{}, {"Width": -1}]}}),
            "MsgContent.ImageInfoArray[1].Width",
            "expected a whole number of 32 bits, found a number",
        ),
        (
            json!({"MsgType": "TIMRelayElem", "MsgContent": {"CompatibleText": "", "MsgList": [
                {"MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": []}}]}
            ]}}),
            "MsgContent.MsgList[0].MsgBody[0].MsgContent.Text",
            "expected a string, found an array",
        ),
        (json!([]), "", "expected an object, found an array"),
    ];
    for (document, path, fault) in cases {
        let error = Element::from_value(document.clone(), Spelling::Rest).expect_err(path);
        assert_eq!((error.path(), error.fault().to_string().as_str()), (path, fault));
        // The same through serde, where the document is part of a larger one.
        let error = serde_json::from_value::<Element>(document).unwrap_err();
        assert!(error.to_string().contains(fault), "{error}");
    }
    let error = Element::from_slice(b"{\"MsgType\": \"", Spelling::Rest).unwrap_err();
    assert!(matches!(error.fault(), Fault::NotJson(_)), "{error}");
}

#[test]
fn what_tim_cannot_carry_is_refused_when_it_is_encoded() {
    let cases = [
        (
            json!({"MsgType": "TIMFaceElem", "MsgContent": {"Index": -1, "Data": ""}}),
            "Index",
        ),
        (
            json!({"MsgType": "TIMImageElem", "MsgContent": {"ImageFormat": 256, "ImageInfoArray": []}}),
            "ImageFormat",
        ),
        (
            json!({"MsgType": "TIMSoundElem", "MsgContent": {"Second": 4_294_968}}),
            "Second",
        ),
        (
            json!({"MsgType": "TIMGroupTipElem", "MsgContent": {"OpType": 1}}),
            "groupProfile.groupID",
        ),
        (json!({"MsgType": "TIMNewElem", "MsgContent": {"a": 1}}), ""),
    ];
    for (document, path) in cases {
        let element = Element::from_value(document.clone(), Spelling::Rest).unwrap();
        assert_eq!(
            element.to_value(Spelling::Rest),
            document,
            "it is kept all the same"
        );
        let error = element.content.encode().unwrap_err();
        assert_eq!(error.path(), path, "{error}");
        assert!(matches!(error.fault(), Fault::NotSendable(_)), "{error}");
    }
}

#[test]
fn limits_hold() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(value(nested(MAX_DEPTH).as_bytes()).is_ok());
    for depth in [MAX_DEPTH + 1, 100_000] {
        let error = value(nested(depth).as_bytes()).unwrap_err();
        assert!(
            matches!(error.fault(), Fault::OverLimit { what: "levels", .. }),
            "{error}"
        );
    }
    // Brackets in strings do not count.
    assert!(value(format!("[\"{}\\\"[\"]", "[{,".repeat(30_000)).as_bytes()).is_ok());

    let values = |count: usize| format!("[{}0]", "0,".repeat(count - 2));
    assert!(value(values(MAX_VALUES).as_bytes()).is_ok());
    let error = value(values(MAX_VALUES + 1).as_bytes()).unwrap_err();
    assert!(
        matches!(error.fault(), Fault::OverLimit { what: "values", .. }),
        "{error}"
    );

    let bytes = |count: usize| format!("\"{}\"", "x".repeat(count - 2));
    assert!(value(bytes(MAX_DOCUMENT_BYTES).as_bytes()).is_ok());
    let error = value(bytes(MAX_DOCUMENT_BYTES + 1).as_bytes()).unwrap_err();
    assert!(
        matches!(
            error.fault(),
            Fault::OverLimit {
                what: "bytes of JSON",
                ..
            }
        ),
        "{error}"
    );

    let list = |count: usize| json!({"conversationGroupList": vec![""; count]});
    assert!(Conversation::from_value(list(MAX_LIST_ITEMS), Spelling::Sdk).is_ok());
    let error = Conversation::from_value(list(MAX_LIST_ITEMS + 1), Spelling::Sdk).unwrap_err();
    assert_eq!(error.path(), "conversationGroupList");
}

/// The same limits where somebody else has parsed the document.
#[test]
fn limits_hold_for_parsed_documents() {
    let mut deep = json!({});
    for _ in 0..MAX_DEPTH {
        deep = json!({ "x": deep });
    }
    let error = OfflinePushInfo::from_value(json!({ "Ext2": deep }), Spelling::Rest).unwrap_err();
    assert!(error.path().starts_with("Ext2.x.x"), "{error}");
    assert!(
        matches!(error.fault(), Fault::OverLimit { what: "levels", .. }),
        "{error}"
    );

    let wide = json!({ "other": vec![0; MAX_VALUES] });
    let error = Message::from_value(wide, Spelling::Sdk).unwrap_err();
    assert!(
        matches!(error.fault(), Fault::OverLimit { what: "values", .. }),
        "{error}"
    );
    assert!(error.path().starts_with("other["), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Any value in any field of an element is refused with a path into it, or kept.
    #[test]
    fn any_value_is_refused_or_kept(
        msg_type in prop::sample::select(vec![
            "TIMTextElem", "TIMImageElem", "TIMSoundElem", "TIMVideoFileElem", "TIMFileElem", "TIMCustomElem", "TIMFaceElem",
            "TIMLocationElem", "TIMRelayElem", "TIMGroupTipElem", "TIMGroupSystemNoticeElem", "TIMNewElem",
        ]),
        field in prop::sample::select(vec!["Text", "UUID", "Url", "Size", "ImageInfoArray", "Data", "Index", "Desc", "MsgList", "x"]),
        content in prop::sample::select(vec![
            json!(null), json!(true), json!(-1), json!(1e300), json!(u64::MAX), json!(""), json!([[]]), json!([{}]), json!({"a": 1}),
        ]),
    ) {
        let mut fields = json!({"Text": "", "Index": 1, "Data": "", "Desc": "", "Latitude": 1.5, "Longitude": -2,
            "CompatibleText": "", "ImageInfoArray": []});
        fields[field] = content;
        let document = json!({"MsgType": msg_type, "MsgContent": fields, "Extra": [1]});
        match Element::from_value(document.clone(), Spelling::Rest) {
            Ok(element) => {
                prop_assert_eq!(element.to_value(Spelling::Rest), with_floats(document));
                let _ = element.content.encode();
            }
            Err(error) => prop_assert!(error.path().starts_with("MsgContent"), "{}", error),
        }
    }
}

/// Coordinates are numbers with a fraction.
fn with_floats(mut document: Value) -> Value {
    if document["MsgType"] == "TIMLocationElem" {
        document["MsgContent"]["Longitude"] = json!(-2.0);
    }
    document
}
