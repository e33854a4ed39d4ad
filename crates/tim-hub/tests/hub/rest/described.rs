//! The description of the interface, and that calls and answers are as it says.
//!
//! Every call that a test makes is compared with it: one that works takes what the description says, and every answer has what it says and
//! nothing else.

use serde_json::{Map, Value, json};

use super::{Rest, query};
use crate::support::{Served, TestHub};

/// How a value differs from a schema of the description; `None` if it does not. Patterns are not looked at. If it is `strict`, objects have
/// no other fields.
fn fault(document: &Value, schema: &Value, value: &Value, strict: bool) -> Option<String> {
    let whole = Map::new();
    let schema = match schema["$ref"].as_str() {
        Some(name) => document.pointer(name.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    let schema = schema.as_object().unwrap_or(&whole);
    let differs = |what: &str| Some(format!("{value} {what} {}", Value::Object(schema.clone())));
    let of = |schema: &Value| fault(document, schema, value, strict);
    let list = |name: &str| schema.get(name).and_then(Value::as_array);
    if let Some(all) = list("allOf")
        && let Some(fault) = all.iter().find_map(of)
    {
        return Some(fault);
    }
    for (name, most) in [("anyOf", usize::MAX), ("oneOf", 1)] {
        let Some(ways) = list(name) else { continue };
        let fits = ways.iter().filter(|way| of(way).is_none()).count();
        if fits == 0 || fits > most {
            return differs(&format!(
                "fits {fits} of {:?}",
                ways.iter().map(of).collect::<Vec<_>>()
            ));
        }
    }
    let types = schema.get("type").map(|types| match types {
        Value::Array(types) => types.clone(),
        one => vec![one.clone()],
    });
    if types.is_some_and(|types| !types.iter().any(|name| is_of(name.as_str().unwrap(), value))) {
        return differs("is not of the type");
    }
    if list("enum").is_some_and(|words| !words.contains(value)) {
        return differs("is none of");
    }
    let limit = |name: &str| schema.get(name).and_then(Value::as_f64);
    let (least, most) = match value {
        Value::Number(_) => (limit("minimum"), limit("maximum")),
        Value::Array(_) => (limit("minItems"), limit("maxItems")),
        Value::String(_) => (
            limit("minLength"),
            limit("x-max-bytes").or_else(|| limit("maxLength")),
        ),
        _ => (None, None),
    };
    let size = match value {
        Value::Number(number) => number.as_f64().unwrap(),
        Value::Array(items) => items.len() as f64,
        Value::String(text) => text.len() as f64,
        _ => 0.0,
    };
    if least.is_some_and(|least| size < least) || most.is_some_and(|most| size > most) {
        return differs("is beyond the limits of");
    }
    match value {
        Value::Array(items) => {
            let schema = schema.get("items")?;
            items
                .iter()
                .find_map(|item| fault(document, schema, item, strict))
        }
        Value::Object(fields) => of_object(document, schema, fields, strict),
        _ => None,
    }
}

fn is_of(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        name => panic!("unknown type {name}"),
    }
}

fn of_object(
    document: &Value,
    schema: &Map<String, Value>,
    fields: &Map<String, Value>,
    strict: bool,
) -> Option<String> {
    let required = schema.get("required").and_then(Value::as_array);
    let mut required = required.into_iter().flatten().filter_map(Value::as_str);
    if let Some(name) = required.find(|name| !fields.contains_key(*name)) {
        return Some(format!("{name} is missing"));
    }
    let described = schema.get("properties").and_then(Value::as_object);
    for (name, field) in fields {
        match described.and_then(|described| described.get(name)) {
            Some(schema) => {
                if let Some(fault) = fault(document, schema, field, strict) {
                    return Some(format!("{name}: {fault}"));
                }
            }
            None if strict && described.is_some() => return Some(format!("{name} is not described")),
            None => {}
        }
    }
    None
}

/// Whether some part of a schema describes a field.
fn describes(schema: &Value, name: &str) -> bool {
    let parts = ["allOf", "anyOf", "oneOf"].map(|all| schema[all].as_array().cloned().unwrap_or_default());
    !schema["properties"][name].is_null() || parts.iter().flatten().any(|part| describes(part, name))
}

/// Checks a call and its answer against the description.
pub(crate) fn check(document: &Value, command: &str, body: &[u8], answer: &Value) {
    let operation = &document["paths"][format!("/v4/{command}")]["post"];
    if operation.is_null() {
        assert_eq!(
            answer["ErrorCode"], 60_009,
            "{command} is not described: {answer}"
        );
        return;
    }
    let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
    let wrong = fault(document, schema, answer, true);
    assert_eq!(wrong, None, "the answer {answer} to {command}");
    if answer["ActionStatus"] != "OK" || refuses(answer) {
        return;
    }
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    let body: Value = serde_json::from_slice(body).unwrap();
    let wrong = fault(document, schema, &body, false);
    assert_eq!(wrong, None, "{command} takes {body}");
    for name in body.as_object().unwrap().keys() {
        let is_described = describes(schema, name) || UNKNOWN.contains(&name.as_str());
        assert!(is_described, "{command} has {name}, which is not described");
    }
}

/// Fields that have no effect.
const UNKNOWN: [&str; 3] = ["x", "SyncOtherMachine", "WithNoActiveGroups"];

/// Whether an answer has a code for one of the items of the call.
fn refuses(answer: &Value) -> bool {
    let is_code = |name: &str| ["ResultCode", "Result", "ErrorCode", "RetCode"].contains(&name);
    match answer {
        Value::Object(fields) => fields.iter().any(|(name, field)| {
            refuses(field) || is_code(name) && field.as_u64().is_some_and(|code| code > 0)
        }),
        Value::Array(items) => items.iter().any(refuses),
        _ => false,
    }
}

#[test]
fn the_description_is_served_to_everybody_and_has_all_commands() {
    let rest = Rest::start();
    let (status, head, body) = rest.http.ask("GET", "/openapi.json", "");
    assert_eq!(status, 200, "{head}");
    assert!(head.contains("content-type: application/json\r\n"), "{head}");
    let document: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 52, "{:?}", paths.keys());
    let mut ids = std::collections::HashSet::new();
    for (path, item) in paths {
        let id = item["post"]["operationId"].as_str().unwrap();
        assert!(ids.insert(id), "two are {id}");
        // Each is a command: none is unknown, and without its fields it fails by its own code.
        let command = path.strip_prefix("/v4/").unwrap();
        let answer = rest.call(command, json!({"x": 1}));
        assert_ne!(answer["ErrorCode"], 60_009, "{command}");
        let needs = fault(
            &document,
            &item["post"]["requestBody"]["content"]["application/json"]["schema"],
            &json!({"x": 1}),
            false,
        );
        assert_eq!(
            needs.is_some(),
            answer["ActionStatus"] == "FAIL",
            "{command}: {answer}"
        );
    }
    // All that is referred to is there.
    let text = String::from_utf8(body).unwrap();
    for name in text.split("\"$ref\":\"#").skip(1) {
        let name = name.split('"').next().unwrap();
        assert!(document.pointer(name).is_some(), "{name}");
    }
}

#[test]
fn a_client_that_has_the_description_is_not_sent_it_again() {
    let rest = Rest::start();
    let (_, head, _) = rest.http.ask("HEAD", "/openapi.json", "");
    let tag = head.split("etag: ").nth(1).unwrap().split("\r\n").next().unwrap();
    let (status, head, body) = rest
        .http
        .ask("GET", "/openapi.json", &format!("If-None-Match: {tag}\r\n"));
    assert_eq!((status, body.len()), (304, 0), "{head}");
    assert_eq!(
        rest.http
            .ask("GET", "/openapi.json?x=1", "If-None-Match: \"other\"\r\n")
            .0,
        200
    );
    assert_eq!(rest.http.ask("POST", "/openapi.json", "").0, 405);
    assert_eq!(rest.http.get("/openapi.json/", "").0, 404);
    let answer = rest.ask("openapi.json", &query("admin"), b"{}");
    assert_eq!(answer["ErrorCode"], 60_009);
    // Where there is no interface, there is no description.
    let hub = TestHub::start();
    assert_eq!(Served::start(&hub, |_| ()).get("/openapi.json", "").0, 404);
}

#[test]
fn a_number_is_the_same_however_it_is_written() {
    let rest = Rest::start();
    rest.accounts(&["alice", "bob"]);
    let message = |random: Value, index: Value, degrees: Value| {
        let face = json!({"MsgType": "TIMFaceElem", "MsgContent": {"Index": index, "Data": ""}});
        let place = json!({"Desc": "", "Latitude": degrees, "Longitude": -0.5});
        let place = json!({"MsgType": "TIMLocationElem", "MsgContent": place});
        json!({
            "From_Account": "alice", "To_Account": "bob", "MsgRandom": random, "MsgBody": [face, place],
        })
    };
    let first = rest.ok("openim/sendmsg", message(json!(7), json!(3), json!(1.5)));
    for (random, index, degrees) in [
        (json!(7.0), json!(3.0), json!("1.5")),
        (json!("7"), json!("3"), json!("1.50")),
        (json!("007"), json!("003"), json!(1.5)),
    ] {
        let again = rest.ok("openim/sendmsg", message(random, index, degrees));
        assert_eq!(again["MsgKey"], first["MsgKey"], "it is the same message");
    }
    let wrong = [
        (json!("+7"), json!(3), json!(1)),
        (json!(7.5), json!(3), json!(1)),
        (json!("7.0"), json!(3), json!(1)),
        (json!(4_294_967_296.0), json!(3), json!(1)),
        (json!(7), json!("+3"), json!(1)),
        (json!(7), json!("3.0"), json!(1)),
        (json!(7), json!(-3.0), json!(1)),
        (json!(7), json!(3), json!("1e5")),
        (json!(7), json!(3), json!("nan")),
        (json!(7), json!(3), json!("1".repeat(33))),
    ];
    for (random, index, degrees) in wrong {
        let answer = rest.call("openim/sendmsg", message(random, index, degrees));
        let code = answer["ErrorCode"].as_u64().unwrap();
        assert!([90_002, 90_005, 90_010].contains(&code), "{answer}");
    }
    let unread = rest.ok("openim/get_c2c_unread_msg_num", json!({"To_Account": "bob"}));
    assert_eq!(unread["AllC2CUnreadMsgNum"], 1);
}

#[test]
fn a_field_of_a_friend_is_a_string_or_a_number() {
    let rest = Rest::start();
    rest.accounts(&["alice", "bob"]);
    let friend = json!([{"To_Account": "bob", "AddSource": "AddSource_Type_web"}]);
    rest.ok(
        "sns/friend_add",
        json!({"From_Account": "alice", "AddFriendItem": friend}),
    );
    for (value, code) in [
        (json!("\"".repeat(500)), 0),
        (json!("x".repeat(501)), 30_001),
        (json!(7), 0),
        (json!(true), 0),
        (json!(null), 30_001),
        (json!([]), 30_001),
        (json!({"a": 1}), 30_001),
    ] {
        let items =
            json!([{"To_Account": "bob", "SnsItem": [{"Tag": "Tag_SNS_Custom_Test", "Value": value}]}]);
        let answer = rest.ok(
            "sns/friend_update",
            json!({"From_Account": "alice", "UpdateItem": items}),
        );
        assert_eq!(answer["ResultItem"][0]["ResultCode"], code, "{items}");
    }
}

#[test]
fn each_element_of_a_message_says_something() {
    let rest = Rest::start();
    rest.accounts(&["alice", "bob"]);
    let text = json!({"MsgType": "TIMTextElem", "MsgContent": {"Text": "hi"}});
    let custom = |data: &str| json!({"MsgType": "TIMCustomElem", "MsgContent": {"Data": data}});
    let file =
        |size: u32| json!({"MsgType": "TIMFileElem", "MsgContent": {"FileName": "a", "FileSize": size}});
    for (element, code) in [
        (custom("x"), 0),
        (file(1), 0),
        (custom(""), 90_010),
        (file(0), 90_010),
    ] {
        for body in [json!([element]), json!([text, element])] {
            let call = json!({"From_Account": "alice", "To_Account": "bob", "MsgRandom": 1, "MsgBody": body});
            assert_eq!(rest.code("openim/sendmsg", call), code, "{body}");
        }
    }
}
