//! `tim serve` at several addresses of several kinds, and what it refuses to listen at.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use super::chat::Chat;
use super::serve::Served;
use super::{Ran, run, tim};

fn send(data: &Path, hub: &str, text: &str) -> Ran {
    let data = data.to_str().unwrap();
    let args = ["send", "bob", text, "--as", "alice", "--hub", hub, "--data", data];
    run(args, "")
}

/// Runs a hub that is to end by itself.
fn refused(data: &Path, args: &[&str]) -> Ran {
    let mut command = tim();
    command.arg("serve").args(args).arg("--data").arg(data);
    command.output().unwrap().into()
}

#[test]
fn a_hub_listens_at_several_addresses_and_stops_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let (data, socket) = (dir.path().join("data"), dir.path().join("tim.sock"));
    let unix = format!("unix:{}", socket.display());
    let mut hub = Served::start(&data, &["--listen", "tim://localhost:0", "--listen", &unix]);
    let second = hub.next_line();
    let second = second.trim().strip_prefix("listening at ").unwrap();
    assert!(second.starts_with("tim://"), "{second}");
    assert_eq!(hub.next_line(), format!("listening at {unix}\n"));
    for (number, address) in [&*hub.address, second, &unix].into_iter().enumerate() {
        let sent = send(&data, address, &format!("number {number}"));
        assert_eq!((sent.code, &*sent.err), (0, ""), "{address}");
    }
    // The one in the data directory is the first.
    let history = [
        "history",
        "bob",
        "--as",
        "alice",
        "--data",
        data.to_str().unwrap(),
    ];
    let history = run(history, "").ok();
    assert_eq!(history.lines().count(), 3, "{history}");
    let endpoint = fs::read_to_string(data.join("endpoint.toml")).unwrap();
    assert!(
        endpoint.contains(&format!("\"tim://{}\"", hub.address)),
        "{endpoint}"
    );
    assert_eq!(hub.stop(), Some(0));
    assert!(!socket.exists());
}

/// The head of a request for a WebSocket, with one more line.
fn upgrade(path: &str, line: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: tim.v1\r\n{line}\r\n\r\n"
    )
}

/// Sends a request to a `ws://` address; the connection, and the first line of the response.
fn ask(place: &str, request: &str) -> (BufReader<TcpStream>, String) {
    let mut stream = TcpStream::connect(place).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let (mut stream, mut first) = (BufReader::new(stream), String::new());
    stream.read_line(&mut first).unwrap();
    (stream, first.trim_end().to_owned())
}

#[test]
fn a_hub_serves_web_socket_at_the_path_of_its_address() {
    let dir = tempfile::tempdir().unwrap();
    let mut hub = Served::start_at(dir.path(), "ws://127.0.0.1:0/chat/tim", &[]);
    let place = hub.address.strip_prefix("ws://").unwrap();
    let (place, path) = place.split_once('/').unwrap();
    assert_eq!(path, "chat/tim");
    send(dir.path(), &hub.address, "by its address").ok();
    // The address in the data directory.
    let data = dir.path().to_str().unwrap();
    let chat = Chat::start(dir.path(), &["--as", "bob", "alice"]);
    run(["send", "bob", "hi", "--as", "alice", "--data", data], "").ok();
    chat.expect(&["hi"]);

    let elsewhere = send(dir.path(), &format!("ws://{place}/"), "nobody hears this");
    assert_eq!(elsewhere.code, 3, "{}", elsewhere.err);
    assert!(elsewhere.err.contains("another path"), "{}", elsewhere.err);
    let (_, first) = ask(place, "GET /chat/tim HTTP/1.1\r\nHost: hub\r\n\r\n");
    assert_eq!(first, "HTTP/1.1 426 Upgrade Required");
    assert_eq!(chat.leave(), Some(0));
    assert_eq!(hub.stop(), Some(0));
}

#[test]
fn a_trusted_proxy_names_the_client_and_nobody_else_does() {
    let dir = tempfile::tempdir().unwrap();
    let log = ["--log", "debug"];
    let headers = [
        (
            &["--trusted-proxy", "127.0.0.1"][..],
            "X-Forwarded-For: 192.0.2.7",
            Some("192.0.2.7 behind"),
        ),
        (
            &["--trusted-proxy", "192.0.2.1"],
            "X-Forwarded-For: 192.0.2.7",
            None,
        ),
        (
            &["--trusted-proxy", "127.0.0.1", "--proxy-header", "Forwarded"],
            "X-Forwarded-For: 192.0.2.6\r\nForwarded: for=192.0.2.7;proto=https",
            Some("192.0.2.7 behind"),
        ),
    ];
    for (args, line, named) in headers {
        let hub = Served::start_at(dir.path(), "ws://127.0.0.1:0/", &[args, &log].concat());
        let place = hub.address.trim_start_matches("ws://").trim_end_matches('/');
        let (stream, first) = ask(place, &upgrade("/", line));
        assert_eq!(first, "HTTP/1.1 101 Switching Protocols");
        // One binary message, masked with zeros, that is no hello: the hub logs whose it was.
        let message = [&[0x82, 0x80 | 20, 0, 0, 0, 0][..], &[b'x'; 20]].concat();
        stream.get_ref().write_all(&message).unwrap();
        let logged = hub.wait_for_log("peer=");
        assert_eq!(logged.contains("192.0.2"), named.is_some(), "{logged}");
        assert!(logged.contains(named.unwrap_or("127.0.0.1")), "{logged}");
    }
    // A proxy that damages its header must not give its client the address of the proxy.
    let hub = Served::start_at(dir.path(), "ws://127.0.0.1:0/", &["--trusted-proxy", "127.0.0.1"]);
    let place = hub.address.trim_start_matches("ws://").trim_end_matches('/');
    let (_, first) = ask(place, &upgrade("/", "X-Forwarded-For: unknown"));
    assert_eq!(first, "HTTP/1.1 400 Bad Request");
}

#[test]
fn a_file_has_a_url_until_its_message_is_revoked() {
    let dir = tempfile::tempdir().unwrap();
    let (data, file) = (dir.path().join("data"), dir.path().join("page.html"));
    fs::write(&file, "<script>").unwrap();
    let data = data.to_str().unwrap();
    let of = |user: &str, args: &[&str]| run([args, &["--as", user, "--data", data]].concat(), "");
    let url = |of: &dyn Fn(&str, &[&str]) -> Ran| of("bob", &["get", "alice", "#1", "--url"]);
    // A hub without HTTP gives none.
    let mut hub = Served::start(data.as_ref(), &[]);
    of("alice", &["send", "bob", "--file", file.to_str().unwrap()]).ok();
    assert_eq!(url(&of).code, 1);
    assert_eq!(hub.stop(), Some(0));

    let http = ["--http", "127.0.0.1:0", "--http-url", "https://hub.example.org"];
    let mut hub = Served::start(data.as_ref(), &http);
    let place = hub.next_line();
    let place = place.trim().strip_prefix("files at http://").unwrap();
    let found = url(&of).ok();
    let path = found.trim().strip_prefix("https://hub.example.org").unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n");
    let (mut response, first) = ask(place, &request);
    assert_eq!(first, "HTTP/1.1 200 OK");
    let mut rest = String::new();
    response.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("\r\n\r\n<script>"), "{rest}");
    assert!(rest.contains("content-disposition: attachment;"), "{rest}");
    of("alice", &["revoke", "bob"]).ok();
    assert_eq!(ask(place, &request).1, "HTTP/1.1 404 Not Found");
    assert_eq!(hub.stop(), Some(0));
}

#[cfg(unix)]
#[test]
fn a_unix_socket_is_for_its_owner_and_survives_a_killed_hub() {
    use std::os::unix::fs::PermissionsExt as _;

    let dir = tempfile::tempdir().unwrap();
    let (data, socket) = (dir.path().join("data"), dir.path().join("tim.sock"));
    let unix = format!("unix:{}", socket.display());
    let mode = || fs::metadata(&socket).unwrap().permissions().mode() & 0o777;
    let hub = Served::start_at(&data, &unix, &[]);
    assert_eq!((&hub.address, mode()), (&unix, 0o600));
    send(&data, &unix, "hi").ok();

    // Another hub does not take it over.
    let other = refused(&dir.path().join("other"), &["--listen", &unix]);
    assert_eq!(other.code, 1, "{}", other.err);
    assert!(
        other.err.contains(&unix) && other.err.contains("another process listens there"),
        "{}",
        other.err
    );
    send(&data, &unix, "still there").ok();

    // Ends with SIGKILL.
    drop(hub);
    assert!(socket.exists());
    let gone = send(&data, &unix, "nobody hears this");
    assert_eq!(gone.code, 3, "{}", gone.err);
    let mut hub = Served::start_at(&data, &unix, &["--socket-mode", "660"]);
    assert_eq!(mode(), 0o660);
    send(&data, &unix, "again").ok();
    assert_eq!(hub.stop(), Some(0));
    assert!(!socket.exists());

    fs::write(&socket, "notes").unwrap();
    let other = refused(&data, &["--listen", &unix]);
    assert_eq!(other.code, 1, "{}", other.err);
    assert!(other.err.contains("not a socket"), "{}", other.err);
    assert_eq!(fs::read_to_string(&socket).unwrap(), "notes");
}

#[test]
fn nothing_that_everybody_can_read_is_served_beyond_this_machine_unless_it_is_allowed() {
    let dir = tempfile::tempdir().unwrap();
    for listen in [
        &["--listen", "0.0.0.0:0"][..],
        &["--listen", "[::]:0"],
        &["--listen", "127.0.0.1:0,tim://0.0.0.0:0"],
        &["--listen", "ws://0.0.0.0:0/tim"],
        &["--listen", "127.0.0.1:0", "--http", "0.0.0.0:0"],
        &["--listen", "127.0.0.1:0", "--serial-tcp-listen", "0.0.0.0:0"],
    ] {
        let ran = refused(dir.path(), listen);
        assert_eq!(ran.code, 2, "{listen:?}: {}", ran.err);
        for part in ["without TLS", "tims://", "wss://", "--allow-plaintext"] {
            assert!(ran.err.contains(part), "{part}: {}", ran.err);
        }
    }
    assert!(!dir.path().join("tim.sqlite3").exists(), "nothing has begun");
    let mut hub = Served::start_at(dir.path(), "0.0.0.0:0", &["--allow-plaintext", "--log", "error"]);
    // Commands on this machine are sent to the loopback address.
    let data = dir.path().to_str().unwrap();
    run(["send", "bob", "hi", "--as", "alice", "--data", data], "").ok();
    assert_eq!(hub.stop(), Some(0));
}

#[test]
fn a_hub_whose_urls_of_files_could_not_work_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    for (option, value) in [
        ("--http-url", "javascript:alert(1)"),
        ("--http-url", "https://hub.example.org/a?b"),
        ("--http-url", "https://hub.example.org/#c"),
        ("--http-url", "https://"),
        ("--file-url-life", "0s"),
    ] {
        let ran = refused(
            dir.path(),
            &["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", option, value],
        );
        assert_eq!(ran.code, 2, "{value}: {}", ran.err);
        assert!(ran.err.contains(option), "{value}: {}", ran.err);
        assert!(!dir.path().join("tim.sqlite3").exists(), "nothing has begun");
    }
}

#[test]
fn addresses_that_cannot_be_are_named_with_what_could() {
    let dir = tempfile::tempdir().unwrap();
    for (listen, parts) in [
        ("nowhere", &["the port is missing", "nowhere:7878"][..]),
        ("http://127.0.0.1:80", &["\"http\"", "tims://HOST:PORT"]),
        ("unix:tim.sock", &["not absolute"]),
        ("tims://127.0.0.1:0", &["needs a certificate", "--tls-cert"]),
        ("wss://127.0.0.1:0/tim", &["needs a certificate", "--tls-cert"]),
        ("ws://127.0.0.1:0/tim?a=b", &["with a query"]),
    ] {
        let ran = refused(dir.path(), &["--listen", listen]);
        assert_eq!(ran.code, 2, "{}", ran.err);
        for part in parts {
            assert!(ran.err.contains(part), "{part}: {}", ran.err);
        }
        assert!(!dir.path().join("tim.sqlite3").exists());
    }
    let ran = send(dir.path(), "tims://::1:7878", "hi");
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.contains("tims://[::1]:7878"), "{}", ran.err);
}
