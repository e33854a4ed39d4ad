//! What an operator does with a running hub.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::serve::Served;

/// The status and the body of what is served there.
fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[test]
fn metrics_have_a_listener_of_their_own_and_health_is_on_both() {
    let dir = tempfile::tempdir().unwrap();
    let both = ["--http", "127.0.0.1:0", "--metrics", "127.0.0.1:0"];
    let mut hub = Served::start(dir.path(), &both);
    let mut place = |what: &str| {
        let line = hub.next_line();
        let address = line
            .trim()
            .strip_prefix(what)
            .and_then(|rest| rest.strip_prefix(" at http://"));
        address.unwrap_or_else(|| panic!("{line}")).to_owned()
    };
    let (files, metrics) = (place("files"), place("metrics"));
    for address in [&files, &metrics] {
        assert_eq!(get(address, "/healthz"), (200, "ok\n".to_owned()));
        assert_eq!(get(address, "/readyz"), (200, "ready\n".to_owned()));
    }
    let (status, page) = get(&metrics, "/metrics");
    assert_eq!(status, 200);
    assert!(
        page.contains("\ntim_ready 1\n") && page.contains("tim_connections{state=\"http\"}"),
        "{page}"
    );
    assert_eq!(get(&files, "/metrics").0, 404, "not where everybody comes");
    assert_eq!(hub.stop(), Some(0));
}

#[test]
fn metrics_do_not_listen_to_the_world_by_accident() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    let refused = super::run(
        [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--metrics",
            "0.0.0.0:0",
            "--data",
            data,
        ],
        "",
    );
    assert_eq!(refused.code, 2, "{}", refused.err);
    assert!(refused.err.contains("--allow-plaintext"), "{}", refused.err);
}

#[test]
fn a_log_of_json_has_an_object_on_each_line_with_its_fields() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["--log", "info", "--log-format", "json"];
    let mut hub = Served::start(dir.path(), &args);
    let line = hub.wait_for_log("so many connections fit");
    let event: serde_json::Value = serde_json::from_str(&line).unwrap();
    let text = |field: &str| event[field].as_str().unwrap().to_owned();
    assert_eq!(
        (text("level"), text("message")),
        ("INFO".to_owned(), "so many connections fit".to_owned())
    );
    assert!(
        event["max_connections"].as_u64().unwrap() > 0,
        "a number stays one: {line}"
    );
    let time = text("timestamp");
    assert!(time.ends_with('Z') && time.contains('T'), "UTC: {time}");
    assert!(text("target").starts_with("tim"), "{line}");
    assert_eq!(hub.stop(), Some(0));
}
