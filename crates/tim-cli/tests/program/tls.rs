//! `tim serve` and its clients with TLS.

#[cfg(unix)]
mod device;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tim_proto::wire::{End, Hello};
use tim_testkit::certificates::{Age, Authority, Files};

use super::chat::Chat;
use super::serve::{Served, client_hello};
use super::{Leash, Ran, run};

const LOOPBACK: &str = "127.0.0.1";

/// A hub with TLS at a free port, and its authority.
struct World {
    dir: tempfile::TempDir,
    authority: Authority,
    files: Files,
    hub: Served,
}

impl World {
    fn new(names: &[&str], age: Age, args: &[&str]) -> Self {
        Self::at("tims://127.0.0.1:0", names, age, args)
    }

    fn at(listen: &str, names: &[&str], age: Age, args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::new(dir.path(), "authority");
        let files = authority.sign("hub", names, age);
        let (certificate, key) = (files.certificate.to_str().unwrap(), files.key.to_str().unwrap());
        let tls = ["--tls-cert", certificate, "--tls-key", key];
        let hub = Served::start_at(&dir.path().join("data"), listen, &[&tls, args].concat());
        let (scheme, _) = listen.split_once('0').unwrap_or_default();
        assert!(hub.address.starts_with(scheme), "{}", hub.address);
        Self {
            dir,
            authority,
            files,
            hub,
        }
    }

    fn data(&self) -> String {
        self.dir.path().join("data").to_str().unwrap().to_owned()
    }

    /// The host and port.
    fn place(&self) -> &str {
        self.hub.address.strip_prefix("tims://").unwrap()
    }

    fn send(&self, args: &[&str]) -> Ran {
        let data = self.data();
        let all = ["send", "bob", "hi", "--as", "alice", "--data", &data];
        run([&all, args].concat(), "")
    }

    fn trusting(&self) -> [&str; 2] {
        ["--tls-ca", self.authority.file.to_str().unwrap()]
    }
}

#[test]
fn a_user_chats_over_tls_and_over_web_socket_in_it() {
    for listen in ["tims://127.0.0.1:0", "wss://127.0.0.1:0/tim"] {
        chats(World::at(listen, &[LOOPBACK], Age::Valid, &[]));
    }
}

fn chats(mut world: World) {
    let (data, [flag, authority]) = (world.data(), world.trusting());
    let chat = Chat::start(data.as_ref(), &["--as", "bob", "alice", flag, authority]);
    // The address is that in the data directory.
    world.send(&world.trusting()).ok();
    chat.expect(&["hi"]);
    assert_eq!(chat.leave(), Some(0));
    assert_eq!(world.hub.stop(), Some(0));
}

#[test]
fn a_hub_that_cannot_be_trusted_is_refused_with_the_reason_and_what_to_do() {
    let world = World::new(&["hub.example.org"], Age::Valid, &[]);
    let told = |ran: Ran, parts: &[&str]| {
        assert_eq!((ran.code, &*ran.out), (3, ""), "{}", ran.err);
        for part in parts {
            assert!(ran.err.contains(part), "{part}: {}", ran.err);
        }
    };
    let wrong = ["is not for 127.0.0.1, but for hub.example.org", "--tls-name NAME"];
    told(world.send(&world.trusting()), &wrong);
    let named = [&world.trusting()[..], &["--tls-name", "hub.example.org"]].concat();
    world.send(&named).ok();
    // By the system's list.
    told(
        world.send(&["--tls-name", "hub.example.org"]),
        &["authority that is not trusted here", "--tls-ca FILE"],
    );
    // A hub that does not speak TLS.
    let plain = Served::start(&world.dir.path().join("plain"), &[]);
    let address = format!("tims://{}", plain.address);
    let at = [&world.trusting()[..], &["--hub", &address]].concat();
    told(world.send(&at), &["cannot reach a hub at tims://"]);

    let expired = World::new(&[LOOPBACK], Age::Expired, &[]);
    told(
        expired.send(&expired.trusting()),
        &["has expired on 2021-02-03", "SIGHUP"],
    );
    let missing = ["--tls-ca", "/nonexistent/ca.pem"];
    let ran = world.send(&missing);
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.contains("/nonexistent/ca.pem"), "{}", ran.err);
}

#[test]
fn files_that_do_not_belong_together_keep_a_hub_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "authority");
    let (hub, other) = (
        authority.sign("hub", &[LOOPBACK], Age::Valid),
        authority.sign("other", &[LOOPBACK], Age::Valid),
    );
    let path = |path: &PathBuf| path.to_str().unwrap().to_owned();
    let (certificate, key) = (path(&hub.certificate), path(&other.key));
    let data = path(&dir.path().join("data"));
    for (args, part) in [
        (
            &["--tls-cert", &certificate, "--tls-key", &key][..],
            "does not belong to the certificate",
        ),
        (&["--tls-cert", &certificate], "--tls-cert needs --tls-key"),
        (&["--tls-key", &key], "--tls-key needs --tls-cert"),
        (&["--tls-cert", "/nonexistent", "--tls-key", &key], "/nonexistent"),
    ] {
        let all = [
            &["serve", "--listen", "tims://127.0.0.1:0", "--data", &data],
            args,
        ]
        .concat();
        let ran = run(all, "");
        assert_eq!(ran.code, 2, "{}", ran.err);
        assert!(ran.err.contains(part), "{part}: {}", ran.err);
        assert!(!dir.path().join("data/tim.sqlite3").exists());
    }
}

#[cfg(unix)]
#[test]
fn a_certificate_is_renewed_while_a_connection_goes_on() {
    let world = World::new(&[LOOPBACK], Age::Valid, &["--log", "info"]);
    let (data, [flag, authority]) = (world.data(), world.trusting());
    let chat = Chat::start(data.as_ref(), &["--as", "bob", "alice", flag, authority]);
    world.send(&world.trusting()).ok();
    chat.expect(&["hi"]);

    // A file that is cut off changes nothing.
    let whole = std::fs::read(&world.files.certificate).unwrap();
    std::fs::write(&world.files.certificate, &whole[..whole.len() / 2]).unwrap();
    world.hub.hang_up();
    world
        .hub
        .wait_for_log("cannot reload the certificate; the old one stays in use");
    world.send(&world.trusting()).ok();
    chat.expect(&["hi"]);

    // The next one is of another authority, so that it shows which one is in use.
    let next = Authority::new(world.dir.path(), "next");
    let _ = next.sign("hub", &[LOOPBACK], Age::Valid);
    world.hub.hang_up();
    world.hub.wait_for_log("certificate reloaded");
    let refused = world.send(&world.trusting());
    assert_eq!(refused.code, 3, "{}", refused.err);
    let trusting = ["--tls-ca", next.file.to_str().unwrap()];
    let data = world.data();
    let args = [
        "send",
        "bob",
        "under the new one",
        "--as",
        "alice",
        "--data",
        &data,
    ];
    run([&args[..], &trusting].concat(), "").ok();
    chat.expect(&["under the new one"]);
    assert_eq!(chat.leave(), Some(0));
}

/// As on a disk that does not respond.
#[cfg(unix)]
#[test]
fn a_certificate_that_cannot_be_read_to_its_end_stops_nothing() {
    let mut world = World::new(&[LOOPBACK], Age::Valid, &[]);
    let certificate = world.files.certificate.clone();
    std::fs::remove_file(&certificate).unwrap();
    let made = Command::new("mkfifo").arg(&certificate).status().unwrap();
    assert!(made.success());
    world.hub.hang_up();
    // Opened as soon as the hub opens it to read.
    let writer = std::fs::OpenOptions::new()
        .write(true)
        .open(&certificate)
        .unwrap();
    for _ in 0..3 {
        world.send(&world.trusting()).ok();
    }
    assert_eq!(world.hub.stop(), Some(0));
    drop(writer);
}

#[test]
fn clients_that_stop_in_the_handshake_are_in_nobodys_way() {
    let mut world = World::new(&[LOOPBACK], Age::Valid, &["--max-half-open", "8"]);
    let mut stalled = Vec::new();
    for number in 0..40 {
        let mut stream = TcpStream::connect(world.place()).unwrap();
        // The beginning of a ClientHello, or nothing.
        if number % 2 == 0 {
            stream.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01").unwrap();
        }
        stalled.push(stream);
    }
    for _ in 0..3 {
        world.send(&world.trusting()).ok();
    }
    let began = Instant::now();
    assert_eq!(world.hub.stop(), Some(0));
    // Not as long as connections are waited for that do not leave.
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    drop(stalled);
}

#[test]
fn openssl_reaches_the_hub() {
    let world = World::new(&[LOOPBACK], Age::Valid, &[]);
    let [_, authority] = world.trusting();
    let s_client = |options: &[&str]| {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-connect", world.place(), "-CAfile", authority]);
        command
            .args(["-verify_return_error", "-verify_ip", LOOPBACK])
            .args(options);
        let command = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().expect("openssl is installed")
    };
    let mut child = s_client(&["-quiet", "-alpn", "tim/1"]);
    let _leash = Leash::new(&child);
    child.stdin.as_mut().unwrap().write_all(&client_hello()).unwrap();
    let mut answer = [0; Hello::LEN];
    let read = child.stdout.as_mut().unwrap().read_exact(&mut answer);
    let _ = child.kill();
    let said = child.wait_with_output().unwrap();
    read.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&said.stderr)));
    assert_eq!(Hello::from_bytes(&answer).unwrap().end, End::HUB);

    let shown = s_client(&["-alpn", "tim/1"]).wait_with_output().unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    for part in ["ALPN protocol: tim/1", "TLSv1.3", "Verify return code: 0 (ok)"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let other = s_client(&["-alpn", "http/1.1"]).wait_with_output().unwrap();
    let refused = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(
        !other.status.success() && refused.contains("no application protocol"),
        "{refused}"
    );
}

/// A client that does not know that it has to speak TLS.
#[test]
fn a_plain_client_is_not_left_waiting() {
    let world = World::new(&[LOOPBACK], Age::Valid, &[]);
    let ran = world.send(&["--hub", world.place(), "--timeout", "60"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(
        ran.err.contains("NOT_A_HUB") && ran.err.contains("tims://"),
        "{}",
        ran.err
    );
    let mut stream = TcpStream::connect(world.place()).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    // An alert, and the end.
    let mut answer = Vec::new();
    let _ = BufReader::new(stream).read_until(0, &mut answer);
    assert!(answer.first().is_none_or(|first| *first == 21), "{answer:?}");
}
