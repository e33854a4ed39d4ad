//! What is stored and read.

use std::sync::Arc;
use std::time::Duration;

use tim_files::{Announced, FileStore};
use tim_proto::request::FilePart;
use tim_proto::{ErrorCode, MessageKind};

use super::Bucket;
use crate::support::{Device, bmp, c2c, sha256};

const FILE: MessageKind = MessageKind::FILE;

/// Several parts of a large object.
fn large() -> Vec<u8> {
    (0..9_u32 << 20).map(|at| (at ^ (at >> 8)) as u8).collect()
}

#[test]
fn files_are_put_read_in_ranges_and_deleted() {
    let Some(bucket) = Bucket::new("stored") else {
        return;
    };
    let hub = bucket.start();
    let mut alice = Device::login(&hub, "alice", 1);
    let (content, picture) = (large(), bmp(730, 730));
    let file = alice.send_file(c2c("bob"), FILE, &content);
    let image = alice.send_file(c2c("bob"), MessageKind::IMAGE, &picture);
    let objects = bucket.objects();
    assert_eq!(
        objects.len(),
        4,
        "a file, and a picture with two renditions: {objects:?}"
    );
    let mut bob = Device::login(&hub, "bob", 2);
    assert!(bob.download(c2c("alice"), file, FilePart::FILE).unwrap() == content);
    assert!(bob.download(c2c("alice"), image, FilePart::ORIGINAL).unwrap() == picture);
    for part in [FilePart::LARGE, FilePart::THUMBNAIL] {
        assert!(!bob.download(c2c("alice"), image, part).unwrap().is_empty());
    }
    let before = bucket.line.received();
    let (total, piece) = bob
        .download_piece(c2c("alice"), file, FilePart::FILE, (8_500_000, 1000))
        .unwrap();
    assert_eq!(
        (total, &piece[..]),
        (content.len() as u64, &content[8_500_000..8_501_000])
    );
    let received = bucket.line.received() - before;
    assert!(received < 10_000, "a range is not the whole: {received} bytes");
    // What is there is not uploaded again.
    assert_eq!(
        alice.begin_upload(FILE, &content).unwrap().offset,
        content.len() as u64
    );
    alice.revoke(c2c("bob"), image).unwrap();
    alice.wait_until(|| bucket.objects().len() == 1);
    let gone = bob.download(c2c("alice"), image, FilePart::ORIGINAL);
    assert_eq!(gone, Err(ErrorCode::FILE_NOT_FOUND));
    assert!(bob.download(c2c("alice"), file, FilePart::FILE).is_ok());
}

#[test]
fn an_upload_goes_on_after_a_restart() {
    let Some(bucket) = Bucket::new("resumed") else {
        return;
    };
    let hub = bucket.start();
    let mut alice = Device::login(&hub, "alice", 1);
    let upload = alice.begin_upload(FILE, b"0123456789").unwrap().upload;
    alice.piece(upload, 0, b"0123").unwrap();
    drop(alice);
    let hub = bucket.start_on(hub.stop());
    let mut alice = Device::login(&hub, "alice", 1);
    let sequence = alice.send_file(c2c("bob"), FILE, b"0123456789");
    drop(alice);
    let hub = bucket.start_on(hub.stop());
    let mut alice = Device::login(&hub, "alice", 1);
    let content = alice.download(c2c("bob"), sequence, FilePart::FILE);
    assert_eq!(content.unwrap(), b"0123456789");
}

#[test]
fn content_without_a_row_is_removed_and_its_upload_can_be_ended() {
    let Some(bucket) = Bucket::new("killed") else {
        return;
    };
    let data = Arc::new(tempfile::tempdir().unwrap());
    let files = bucket.options(&data);
    // A hub that is killed between content and row.
    let store = FileStore::open(&files.directory, files.store, crate::support::START_MS, 0).unwrap();
    let announced = Announced {
        owner: "alice".to_owned(),
        kind: FILE.0,
        name: "a.bin".to_owned(),
        media_type: String::new(),
        size: 5,
        sha256: sha256(b"hello"),
        duration_ms: 0,
    };
    let upload = store
        .begin(&announced, crate::support::START_MS, 0)
        .unwrap()
        .upload;
    store.append("alice", upload, 0, b"hello", 0).unwrap();
    store.complete("alice", upload, false).unwrap();
    drop(store);
    let orphan = bucket.objects();
    assert_eq!(orphan.len(), 1);
    let hub = bucket.start_on(data);
    let mut alice = Device::login(&hub, "alice", 1);
    alice.wait_until(|| bucket.objects().is_empty());
    assert_eq!(alice.begin_upload(FILE, b"hello").unwrap().offset, 5);
    let sequence = alice.send_file(c2c("bob"), FILE, b"hello");
    assert_eq!(
        alice.download(c2c("bob"), sequence, FilePart::FILE).unwrap(),
        b"hello"
    );
    // And one that nobody sends is removed in time.
    alice.upload(FILE, b"not sent").unwrap();
    assert_eq!(bucket.objects().len(), 2);
    hub.advance(Duration::from_secs(25 * 3600));
    alice.send(c2c("bob"), "time has passed");
    alice.wait_until(|| bucket.objects().len() == 1);
}

#[test]
fn content_that_was_damaged_in_the_bucket_is_noticed_and_comes_back() {
    let Some(bucket) = Bucket::new("damaged") else {
        return;
    };
    let hub = bucket.start();
    let mut alice = Device::login(&hub, "alice", 1);
    let sequence = alice.send_file(c2c("bob"), FILE, b"0123456789");
    let object = bucket.objects().remove(0);
    for damage in [Some(&b"0123"[..]), None] {
        match damage {
            Some(short) => bucket.ask("PUT", &object, short),
            None => bucket.ask("DELETE", &object, b""),
        };
        let damaged = Err(ErrorCode::STORAGE_DAMAGED);
        assert_eq!(alice.download(c2c("bob"), sequence, FilePart::FILE), damaged);
        assert_eq!(alice.begin_upload(FILE, b"0123456789").unwrap().offset, 0);
        alice.upload(FILE, b"0123456789").unwrap();
        let content = alice.download(c2c("bob"), sequence, FilePart::FILE);
        assert_eq!(content.unwrap(), b"0123456789");
        assert_eq!(bucket.objects(), [object.as_str()]);
    }
}
