//! A store that fails: chat goes on, and what was uploaded is not lost.

use std::time::Duration;

use tim_proto::request::FilePart;
use tim_proto::{ErrorCode, MessageKind};

use super::{Bucket, forbidden};
use crate::support::{Device, Line, bmp, c2c};

const FILE: MessageKind = MessageKind::FILE;
/// What becomes of the line to the store.
type Break = fn(&Line);

const BREAKS: [Break; 3] = [Line::cut, Line::fall_silent, |line| {
    line.answer(forbidden("AccessDenied"))
}];

/// Ends the upload as soon as the store is back.
fn end(device: &mut Device, upload: u64) {
    while let Err(code) = device.end_upload(upload) {
        assert_eq!(code, ErrorCode::FILE_STORE_FAILED);
        // For a moment, nothing is asked of a store that did not answer.
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn download(device: &mut Device, sequence: u64) -> Vec<u8> {
    loop {
        match device.download(c2c("bob"), sequence, FilePart::FILE) {
            Ok(content) => return content,
            Err(code) => assert_eq!(code, ErrorCode::FILE_STORE_FAILED),
        }
    }
}

#[test]
fn a_store_that_fails_refuses_for_now_and_chat_goes_on() {
    let Some(mut bucket) = Bucket::new("broken") else {
        return;
    };
    bucket.options.time_limit = Duration::from_secs(2);
    let hub = bucket.start();
    let mut alice = Device::login(&hub, "alice", 1);
    let sequence = alice.send_file(c2c("bob"), FILE, b"there");
    let picture = bmp(8, 8);
    for (number, broken) in BREAKS.into_iter().enumerate() {
        let content = format!("content {number}").into_bytes();
        let upload = alice.begin_upload(FILE, &content).unwrap().upload;
        alice.piece(upload, 0, &content).unwrap();
        broken(&bucket.line);

        let failed = Err(ErrorCode::FILE_STORE_FAILED);
        assert_eq!(alice.end_upload(upload).map(|_| ()), failed);
        assert_eq!(
            alice.download(c2c("bob"), sequence, FilePart::FILE).map(|_| ()),
            failed
        );
        assert_eq!(
            alice.begin_upload(FILE, b"there").map(|_| ()),
            failed,
            "nobody knows whether it is there"
        );
        assert!(alice.send(c2c("bob"), "chat goes on") > 0);
        // Uploads go on, too, until they are ended.
        let other = alice.begin_upload(MessageKind::IMAGE, &picture).unwrap();
        if other.offset < picture.len() as u64 {
            alice.piece(other.upload, 0, &picture).unwrap();
        }
        assert_eq!(alice.end_upload(other.upload).map(|_| ()), failed);
        bucket.line.mend();
        let begun = alice.begin_upload(FILE, &content).unwrap();
        assert_eq!(
            (begun.upload, begun.offset),
            (upload, content.len() as u64),
            "nothing is lost"
        );
        end(&mut alice, upload);

        assert_eq!(download(&mut alice, sequence), b"there");
    }
    let upload = alice.begin_upload(MessageKind::IMAGE, &picture).unwrap().upload;
    end(&mut alice, upload);
}

#[test]
fn a_file_that_is_revoked_while_the_store_is_gone_is_removed_when_it_is_back() {
    let Some(mut bucket) = Bucket::new("removed") else {
        return;
    };
    bucket.options.time_limit = Duration::from_secs(2);
    let hub = bucket.start();
    let mut alice = Device::login(&hub, "alice", 1);
    let sequence = alice.send_file(c2c("bob"), FILE, b"there");
    bucket.line.cut();
    alice.revoke(c2c("bob"), sequence).unwrap();
    let gone = alice.download(c2c("bob"), sequence, FilePart::FILE);
    assert_eq!(gone, Err(ErrorCode::FILE_NOT_FOUND));
    assert_eq!(bucket.objects().len(), 1);
    bucket.line.mend();
    alice.wait_until(|| bucket.objects().is_empty());
}
