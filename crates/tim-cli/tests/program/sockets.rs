//! `tim serve` at several addresses of several kinds, and what it refuses to listen at.

use std::fs;
use std::path::Path;

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
        &["--listen", "127.0.0.1:0", "--serial-tcp-listen", "0.0.0.0:0"],
    ] {
        let ran = refused(dir.path(), listen);
        assert_eq!(ran.code, 2, "{listen:?}: {}", ran.err);
        for part in ["without TLS", "tims://", "--allow-plaintext"] {
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
fn addresses_that_cannot_be_are_named_with_what_could() {
    let dir = tempfile::tempdir().unwrap();
    for (listen, parts) in [
        ("nowhere", &["the port is missing", "nowhere:7878"][..]),
        ("http://127.0.0.1:80", &["\"http\"", "tims://HOST:PORT"]),
        ("unix:tim.sock", &["not absolute"]),
        ("tims://127.0.0.1:0", &["needs a certificate", "--tls-cert"]),
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
