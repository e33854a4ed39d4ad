//! Calls that are refused before their command is looked at: nothing of them is stored.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use tim_hub::usersig::{App, UserSig};

use super::{Rest, query, query_with};
use crate::support::{APP, START_MS, Served, TestHub, sig, sig_for, user};

const IMPORT: &str = "im_open_login_svc/account_import";

/// Whether the user has an account.
fn is_known(rest: &Rest, name: &str) -> bool {
    let answer = rest.ok(
        "im_open_login_svc/account_check",
        json!({"CheckItem": [{"UserID": name}]}),
    );
    answer["ResultItem"][0]["AccountStatus"] == "Imported"
}

#[test]
fn who_calls_must_be_an_administrator_of_this_application() {
    let rest = Rest::start();
    let app = APP.to_string();
    let body = json!({"UserID": "eve"}).to_string();
    let other_key = UserSig::sign(
        &App::new(APP, "another key of some length"),
        &user("admin"),
        START_MS / 1000,
        3600,
    );
    let mut cut = sig("admin");
    cut.truncate(cut.len() - 9);
    for (query, code) in [
        (String::new(), 60_012),
        (query_with("", "admin", &sig("admin")), 60_012),
        (query_with("7", "admin", &sig("admin")), 60_006),
        (query_with("x", "admin", &sig("admin")), 60_006),
        (query_with(&app, "", &sig("admin")), 60_004),
        (query_with(&app, &"a".repeat(33), &sig("admin")), 60_004),
        (query_with(&app, "admin", ""), 70_002),
        (query_with(&app, "admin", "no-sig"), 70_003),
        (query_with(&app, "admin", &cut), 70_003),
        (query_with(&app, "admin", "%ff"), 60_002),
        (query_with(&app, "admin", &other_key), 70_009),
        (query_with(&app, "admin", &sig("eve")), 70_013),
        (query("eve"), 70_403),
        // Percent-encoded twice.
        (query("admin").replace("usersig=", "usersig=%252A"), 70_003),
    ] {
        let answer = rest.ask(IMPORT, &query, body.as_bytes());
        assert_eq!(answer["ErrorCode"], code, "{query}: {answer}");
    }
    let expiring = query_with(&app, "admin", &sig_for("admin", 60));
    assert_eq!(
        rest.ask(IMPORT, &expiring, b"{\"UserID\": \"bob\"}")["ErrorCode"],
        0
    );
    rest.hub.advance(Duration::from_secs(61));
    assert_eq!(rest.ask(IMPORT, &expiring, body.as_bytes())["ErrorCode"], 70_001);
    assert_eq!(
        rest.ask("openim/querystate", &query("eve"), b"{}")["ErrorCode"],
        90_009
    );
    assert!(is_known(&rest, "bob") && !is_known(&rest, "eve"));
    assert!(rest.hub.shared().stats().refused_calls >= 8);
    // The operator takes the right away.
    rest.hub.reload(|options| options.admins = vec![user("root")]);
    assert_eq!(rest.code(IMPORT, json!({"UserID": "eve"})), 70_403);
    assert_eq!(rest.ask(IMPORT, &query("root"), body.as_bytes())["ErrorCode"], 0);
}

#[test]
fn what_is_no_call_gets_a_code_and_what_is_not_served_is_not_found() {
    let rest = Rest::start();
    for command in [
        "nothing/at_all",
        "im_open_login_svc/import",
        "im_open_login_svc",
        "",
        "openim/account_import",
    ] {
        assert_eq!(rest.code(command, json!({})), 60_009, "{command}");
    }
    for (body, code) in [
        ("", 60_003),
        ("UserID=eve", 60_003),
        ("[]", 60_003),
        ("\"UserID\"", 60_003),
        ("{\"UserID\": \"eve\"", 60_003),
        ("{\"UserID\": \"e\u{0}ve\"}", 60_003),
        ("{}", 70_402),
        ("{\"UserID\": null}", 70_402),
        ("{\"UserID\": \"\"}", 70_402),
        ("{\"UserID\": 5}", 70_402),
        ("{\"UserID\": [\"eve\"]}", 70_402),
        ("{\"UserID\": \" eve\"}", 70_402),
        ("{\"UserID\": \"@TIM#SYSTEM\"}", 70_402),
        ("{\"UserID\": \"eveeveeveeveeveeveeveeveeveeveeve\"}", 70_402),
    ] {
        let answer = rest.ask(IMPORT, &query("admin"), body.as_bytes());
        assert_eq!(answer["ErrorCode"], code, "{body}: {answer}");
    }
    let deep = format!(
        "{{\"UserID\": \"eve\", \"x\": {}{}}}",
        "[".repeat(200),
        "]".repeat(200)
    );
    assert_eq!(
        rest.ask(IMPORT, &query("admin"), deep.as_bytes())["ErrorCode"],
        60_003
    );
    let target = format!("/v4/{IMPORT}?{}", query("admin"));
    for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
        let (status, _, answer) = rest.http.ask(method, &target, "");
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(
            (status, answer["ErrorCode"].as_u64()),
            (200, Some(60_002)),
            "{method}"
        );
    }
    // Success would open a tunnel.
    for target in [&*target, "/openapi.json", "hub:80"] {
        let (status, _, _) = rest.http.ask("CONNECT", target, "");
        assert_eq!(status, 501, "{target}");
    }
    for target in ["/", "/v4", "/v5/openim/sendmsg", "/files/x"] {
        assert_eq!(rest.http.get(target, "").0, 404, "{target}");
    }
    assert!(!is_known(&rest, "eve"));
    let hub = TestHub::start();
    let http = Served::start(&hub, |_| ());
    assert_eq!(http.ask("POST", &target, "").0, 404, "nobody is an administrator");
}

#[test]
fn a_body_is_neither_too_long_nor_too_slow() {
    let hub = TestHub::start_with(|options| options.admins = vec![user("admin")]);
    let http = Served::start(&hub, |options| options.body_timeout = Duration::from_millis(200));
    let rest = Rest { http, hub };
    let target = format!("/v4/{IMPORT}?{}", query("admin"));
    let filled = |len: usize| {
        let mut body = String::from("{\"UserID\": \"bob\", \"x\": \"");
        body.push_str(&"x".repeat(len - body.len() - 2));
        body.push_str("\"}");
        body
    };
    let largest = filled(128 * 1024);
    assert_eq!(
        rest.ask(IMPORT, &query("admin"), largest.as_bytes())["ErrorCode"],
        0
    );
    // It is refused before it comes, whether or not its length is known.
    let chunked = format!("20001\r\n{}\r\n0\r\n\r\n", "x".repeat(0x20001));
    for (lines, body) in [
        ("Content-Length: 131073\r\n", ""),
        ("Content-Length: 99999999999\r\n", ""),
        ("Transfer-Encoding: chunked\r\n", &*chunked),
    ] {
        let mut stream = TcpStream::connect(rest.http.address).unwrap();
        write!(stream, "POST {target} HTTP/1.1\r\nHost: hub\r\n{lines}\r\n{body}").unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.contains("\"ErrorCode\":60002"), "{lines}: {answer}");
    }
    // Some of the body, and never the rest.
    let mut slow = TcpStream::connect(rest.http.address).unwrap();
    write!(
        slow,
        "POST {target} HTTP/1.1\r\nHost: hub\r\nContent-Length: 100\r\n\r\n{{\"User"
    )
    .unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("\"ErrorCode\":60008"), "{answer}");
    // A client that goes away harms nobody.
    drop(TcpStream::connect(rest.http.address).map(|mut stream| {
        write!(
            stream,
            "POST {target} HTTP/1.1\r\nHost: hub\r\nContent-Length: 9\r\n\r\n{{"
        )
    }));
    assert!(is_known(&rest, "bob"));
}

#[test]
fn calls_have_a_rate_and_a_connection_is_used_again() {
    let rest = Rest::start_with(|options| options.rest_calls_per_second = 2);
    let codes: Vec<_> = (0..6)
        .map(|number| rest.code(IMPORT, json!({"UserID": format!("u{number}")})))
        .collect();
    assert_eq!(codes, [0, 0, 0, 0, 60_011, 60_011]);
    rest.hub.advance(Duration::from_secs(1));
    assert_eq!(rest.code(IMPORT, json!({"UserID": "later"})), 0);
    rest.hub.reload(|options| {
        options.admins = vec![user("admin")];
        options.rest_calls_per_second = 0;
    });
    assert!(!is_known(&rest, "u5") && is_known(&rest, "later"));
    let mut stream = TcpStream::connect(rest.http.address).unwrap();
    let target = format!("/v4/{IMPORT}?{}", query("admin"));
    for _ in 0..3 {
        let body = "{\"UserID\": \"again\"}";
        write!(
            stream,
            "POST {target} HTTP/1.1\r\nHost: hub\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = [0; 4096];
        let len = stream.read(&mut answer).unwrap();
        assert!(String::from_utf8_lossy(&answer[..len]).contains("\"ErrorCode\":0"));
    }
}
