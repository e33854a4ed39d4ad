//! Files by HTTP, under signed URLs.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use tim_hub::usersig::App;
use tim_proto::request::{FilePart, FileUrl};
use tim_proto::{ConversationId, ErrorCode, GroupType, MessageKind};

use super::lost::content;
use crate::support::{APP, Device, Reply, Served, TestHub, bmp, c2c, group, user};

const CONTENT: &[u8] = b"0123456789";

/// The path of the URL that a device gets.
pub(super) fn target(
    device: &mut Device,
    of: ConversationId,
    sequence: u64,
    part: FilePart,
) -> Result<String, ErrorCode> {
    match device.ask(&FileUrl::new(of, sequence).with_part(part))? {
        Reply::FileUrl { url, expires } => {
            assert!(expires > 0);
            Ok(url[url.find("/files/").unwrap()..].to_owned())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_is_read_whole_in_ranges_and_only_if_it_has_changed() {
    let hub = TestHub::start();
    let [mut alice, mut bob] =
        [("alice", 1), ("bob", 2)].map(|(name, number)| Device::login(&hub, name, number));
    let sequence = alice.send_file(c2c("bob"), MessageKind::FILE, CONTENT);
    let part = FilePart::FILE;
    assert_eq!(
        target(&mut bob, c2c("alice"), sequence, part),
        Err(ErrorCode::FILE_NOT_FOUND),
        "nothing is served yet"
    );
    let http = Served::start(&hub, |_| ());
    let url = target(&mut bob, c2c("alice"), sequence, part).unwrap();
    let (status, head, body) = http.ask("GET", &url, "");
    assert_eq!((status, &*body), (200, CONTENT));
    for line in [
        "content-length: 10",
        "content-type: application/octet-stream",
        "content-disposition: attachment; filename=\"a.bin\"",
        "x-content-type-options: nosniff",
        "content-security-policy: sandbox",
        "accept-ranges: bytes",
        "cache-control: private, no-cache",
    ] {
        assert!(head.contains(line), "{line} in {head}");
    }
    let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
    for (lines, status, body) in [
        ("Range: bytes=2-4\r\n".to_owned(), 206, &b"234"[..]),
        ("Range: bytes=-3\r\n".to_owned(), 206, b"789"),
        ("Range: bytes=7-\r\n".to_owned(), 206, b"789"),
        ("Range: bytes=10-\r\n".to_owned(), 416, b""),
        ("Range: bytes=0-1,4-5\r\n".to_owned(), 200, CONTENT),
        (format!("Range: bytes=2-4\r\nIf-Range: {tag}\r\n"), 206, b"234"),
        (
            "Range: bytes=2-4\r\nIf-Range: \"other\"\r\n".to_owned(),
            200,
            CONTENT,
        ),
        (format!("If-None-Match: \"x\", W/{tag}\r\n"), 304, b""),
        ("If-None-Match: \"x\"\r\n".to_owned(), 200, CONTENT),
        (format!("If-Match: \"x\", {tag}\r\n"), 200, CONTENT),
        ("If-Match: *\r\nRange: bytes=2-4\r\n".to_owned(), 206, b"234"),
    ] {
        assert_eq!(http.get(&url, &lines), (status, body.to_vec()), "{lines}");
    }
    for tags in ["\"x\"".to_owned(), format!("W/{tag}"), String::new()] {
        let lines = format!("If-Match: {tags}\r\nIf-None-Match: {tag}\r\n");
        assert_eq!(http.get(&url, &lines).0, 412, "{tags}");
    }
    hub.advance(Duration::from_secs(10));
    let (_, head, _) = http.ask("GET", &url, "Range: bytes=2-4\r\n");
    assert!(head.contains("content-range: bytes 2-4/10"), "{head}");
    let (_, head, _) = http.ask("GET", &url, "Range: bytes=10-\r\n");
    assert!(head.contains("content-range: bytes */10"), "{head}");
    let (status, head, body) = http.ask("HEAD", &url, "");
    assert!(
        (status, body.len()) == (200, 0) && head.contains("content-length: 10"),
        "{head}"
    );
    assert_eq!(http.ask("POST", &url, "Content-Length: 0\r\n").0, 405);
    // A picture is shown; of its parts each is what it is.
    let picture = bmp(210, 199);
    let sequence = alice.send_file(c2c("bob"), MessageKind::IMAGE, &picture);
    for (part, media_type) in [
        (FilePart::ORIGINAL, "image/bmp"),
        (FilePart::THUMBNAIL, "image/jpeg"),
    ] {
        let url = target(&mut bob, c2c("alice"), sequence, part).unwrap();
        let (status, head, body) = http.ask("GET", &url, "");
        assert!(
            status == 200 && head.contains(&format!("content-type: {media_type}")),
            "{head}"
        );
        assert!(head.contains("content-disposition: inline"), "{head}");
        assert_eq!(body, bob.download(c2c("alice"), sequence, part).unwrap());
    }
}

#[test]
fn a_url_ends_with_its_time_the_message_and_the_membership_and_cannot_be_made_up() {
    let hub = TestHub::start();
    let [mut alice, mut bob] =
        [("alice", 1), ("bob", 2)].map(|(name, number)| Device::login(&hub, name, number));
    alice.create(GroupType::WORK, "g", &[user("bob")]).unwrap();
    let sequence = alice.send_file(group("g"), MessageKind::FILE, CONTENT);
    let http = Served::start(&hub, |options| options.url_life = Duration::from_secs(60));
    let mut eve = Device::login(&hub, "eve", 3);
    assert_eq!(
        target(&mut eve, group("g"), sequence, FilePart::FILE),
        Err(ErrorCode::GROUP_PERMISSION_DENY)
    );
    let url = target(&mut bob, group("g"), sequence, FilePart::FILE).unwrap();
    let gone = http.get("/files/nothing", "");
    assert_eq!(gone.0, 404);
    // Nothing tells what is not there from what may not be read.
    let mut other = url.clone();
    let last = other.pop().unwrap();
    other.push(if last == 'A' { 'Q' } else { 'A' });
    for target in ["/", "/files/", "/files", &other, &url[..url.len() - 3]] {
        assert_eq!(http.get(target, ""), gone, "{target}");
    }
    assert_eq!(http.get(&url, ""), (200, CONTENT.to_vec()));
    hub.advance(Duration::from_secs(61));
    assert_eq!(http.get(&url, "").0, 403);
    let former = target(&mut bob, group("g"), sequence, FilePart::FILE).unwrap();
    assert_eq!(http.get(&former, "").0, 200);
    // The key is replaced: URLs of the former one are good for as long as the hub knows it.
    let key = |key: &str| App::new(APP, key.to_owned());
    hub.reload(|options| {
        options.former_app = Some(std::mem::replace(
            &mut options.app,
            key("another key that is long enough"),
        ));
    });
    let url = target(&mut bob, group("g"), sequence, FilePart::FILE).unwrap();
    assert_eq!((http.get(&former, "").0, http.get(&url, "").0), (200, 200));
    hub.reload(|options| options.app = key("another key that is long enough"));
    assert_eq!((http.get(&former, ""), http.get(&url, "").0), (gone.clone(), 200));
    alice.remove("g", &["bob"]).unwrap();
    assert_eq!(http.get(&url, ""), gone);
    let sequence = alice.send_file(c2c("bob"), MessageKind::FILE, CONTENT);
    let url = target(&mut bob, c2c("alice"), sequence, FilePart::FILE).unwrap();
    assert_eq!(http.get(&url, "").0, 200);
    alice.revoke(c2c("bob"), sequence).unwrap();
    assert_eq!(http.get(&url, ""), gone);
}

#[test]
fn a_client_that_says_nothing_is_in_nobodys_way() {
    let hub = TestHub::start();
    let http = Served::start(&hub, |options| {
        options.head_timeout = Duration::from_millis(200);
        options.max_connections = 2;
    });
    let mut silent = TcpStream::connect(http.address).unwrap();
    let mut slow = TcpStream::connect(http.address).unwrap();
    slow.write_all(b"GET / HT").unwrap();
    // One too many, until the others have had their time.
    let mut third = TcpStream::connect(http.address).unwrap();
    assert_eq!(third.read(&mut [0]).unwrap_or(0), 0);
    for stream in [&mut silent, &mut slow] {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    }
    assert_eq!(http.get("/", "").0, 404);
}

/// Asks for a file, for a range of it and for its header; each time the status is the same.
fn all_are(http: &Served, url: &str, status: u16) {
    for (method, lines) in [("GET", ""), ("GET", "Range: bytes=2-4\r\n"), ("HEAD", "")] {
        let (found, head, body) = http.ask(method, url, lines);
        assert_eq!(found, status, "{method} {lines}");
        assert_eq!(head.contains("retry-after: "), status == 503, "{head}");
        assert_eq!(head.contains("etag: "), status < 400, "{head}");
        assert_eq!(body.is_empty(), method == "HEAD");
    }
}

#[test]
fn what_cannot_be_read_is_told_by_the_status() {
    let (hub, faults) = TestHub::start_with_slow_files();
    let [mut alice, mut bob] =
        [("alice", 1), ("bob", 2)].map(|(name, number)| Device::login(&hub, name, number));
    let http = Served::start(&hub, |_| ());
    // More than one piece.
    let long: Vec<u8> = (0..300_000_u32).map(|at| (at >> 3) as u8).collect();
    for whole in [CONTENT, &long] {
        let sequence = alice.send_file(c2c("bob"), MessageKind::FILE, whole);
        let url = target(&mut bob, c2c("alice"), sequence, FilePart::FILE).unwrap();
        assert!(http.get(&url, "") == (200, whole.to_vec()));
        faults.refuse_reads();
        all_are(&http, &url, 503);
        faults.release();
        hub.advance(Duration::from_secs(10));
        let path = &content(&hub, "")[0];
        // Only the end is missing.
        std::fs::write(path, &whole[..whole.len() - 1]).unwrap();
        assert_eq!(http.get(&url, "").0, 500);
        assert_eq!(http.ask("HEAD", &url, "").0, 500);
        assert_eq!(
            http.get(&url, "Range: bytes=2-4\r\n"),
            (206, whole[2..5].to_vec())
        );
        std::fs::write(path, b"0").unwrap();
        all_are(&http, &url, 500);
        hub.advance(Duration::from_secs(10));
        std::fs::remove_file(path).unwrap();
        all_are(&http, &url, 500);
    }
}
