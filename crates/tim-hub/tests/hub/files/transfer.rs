//! A file on its way from one user to another, and who can read it.

use std::time::{Duration, Instant};

use tim_proto::message::File;
use tim_proto::request::{Download, FilePart};
use tim_proto::{ErrorCode, GroupType, MessageId, MessageKind};

use crate::support::{Device, Reply, TestHub, bmp, c2c, file_message, files_left, group, user};

#[test]
fn a_file_of_each_kind_arrives_as_it_was_sent() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let mut bob = Device::login(&hub, "bob", 2);
    let large: Vec<u8> = (0..200_000u32).map(|at| (at * 7 / 3) as u8).collect();
    let picture = bmp(210, 199);
    for (kind, content) in [
        (MessageKind::IMAGE, &picture),
        (MessageKind::AUDIO, &large),
        (MessageKind::VIDEO, &large),
        (MessageKind::FILE, &large),
    ] {
        let file = alice.upload(kind, content).unwrap();
        assert_eq!(file.size, content.len() as u64);
        let sent = file_message(&mut alice, c2c("bob"), kind, &file);
        let Ok(Reply::Sent { sequence, .. }) = sent else {
            panic!("{sent:?}")
        };
        for (device, peer) in [(&mut bob, "alice"), (&mut alice, "bob")] {
            let read = device.download(c2c(peer), sequence, FilePart::FILE).unwrap();
            assert!(read == *content, "{kind}");
        }
        let range = bob
            .download_piece(c2c("alice"), sequence, FilePart::FILE, (1000, 7))
            .unwrap();
        assert_eq!(range, (file.size, content[1000..1007].to_vec()));
        let behind = bob
            .download_piece(c2c("alice"), sequence, FilePart::FILE, (u64::MAX, 7))
            .unwrap();
        assert_eq!(behind, (file.size, Vec::new()));
        let thumbnail = bob.download(c2c("alice"), sequence, FilePart::THUMBNAIL);
        match kind {
            MessageKind::IMAGE => {
                let sizes: Vec<_> = file
                    .images
                    .iter()
                    .map(|(part, _, width, height)| (*part, *width, *height))
                    .collect();
                assert_eq!(sizes, [(1, 210, 199), (3, 209, 198), (2, 210, 199)]);
                assert_eq!(file.format, 4);
                assert_eq!(thumbnail.unwrap().len() as u64, file.images[1].1);
                assert_eq!(
                    bob.download(c2c("alice"), sequence, FilePart::LARGE).unwrap(),
                    picture
                );
            }
            MessageKind::VIDEO => assert_eq!(thumbnail.unwrap().len() as u64, file.images[0].1),
            _ => assert_eq!(thumbnail, Err(ErrorCode::FILE_NOT_FOUND)),
        }
    }
}

const CONTENT: &[u8] = b"what the file says";

#[test]
fn content_that_the_account_has_uploaded_is_not_uploaded_again() {
    let hub = TestHub::start();
    let [mut alice, mut bob] =
        [("alice", 1), ("bob", 2)].map(|(name, number)| Device::login(&hub, name, number));
    let file = alice.upload(MessageKind::FILE, CONTENT).unwrap();
    // On another device, too, and after a restart.
    let mut phone = Device::login(&hub, "alice", 9);
    let begun = phone.begin_upload(MessageKind::FILE, CONTENT).unwrap();
    assert_eq!(begun.offset, CONTENT.len() as u64);
    assert_eq!(phone.end_upload(begun.upload).unwrap(), file);
    assert_eq!(
        phone.end_upload(begun.upload).unwrap(),
        file,
        "as often as it asks"
    );
    assert_eq!(
        bob.begin_upload(MessageKind::FILE, CONTENT).unwrap().offset,
        0,
        "not of another account"
    );
    assert_eq!(
        alice.begin_upload(MessageKind::AUDIO, CONTENT).unwrap().offset,
        0,
        "nor for another kind of message"
    );
    let hub = hub.restart();
    let mut alice = Device::login(&hub, "alice", 1);
    assert_eq!(alice.upload(MessageKind::FILE, CONTENT).unwrap(), file);
}

#[test]
fn who_cannot_read_the_message_cannot_read_its_file() {
    let hub = TestHub::start();
    let [mut alice, mut bob, mut eve] =
        [("alice", 1), ("bob", 2), ("eve", 3)].map(|(name, number)| Device::login(&hub, name, number));
    let gone = Err(ErrorCode::FILE_NOT_FOUND);
    let sequence = alice.send_file(c2c("bob"), MessageKind::FILE, CONTENT);
    for peer in ["alice", "bob", "eve"] {
        assert_eq!(eve.download(c2c(peer), sequence, FilePart::FILE), gone);
    }
    assert_eq!(bob.download(c2c("alice"), sequence + 1, FilePart::FILE), gone);
    assert_eq!(bob.download(c2c("alice"), 0, FilePart::FILE), gone);
    // The id is checked if it is given.
    let request = Download::new(c2c("alice"), sequence, 0, 9).with_message(MessageId {
        sender: 1,
        client_time: 1,
        random: 1,
    });
    assert_eq!(bob.ask(&request), Err(ErrorCode::FILE_NOT_FOUND));
    // In a group: from the moment of joining on, and as long as the membership lasts.
    alice.create(GroupType::WORK, "g", &[user("bob")]).unwrap();
    let sequence = alice.send_file(group("g"), MessageKind::FILE, CONTENT);
    let denied = Err(ErrorCode::GROUP_PERMISSION_DENY);
    assert_eq!(eve.download(group("g"), sequence, FilePart::FILE), denied);
    alice.invite("g", &["eve"]).unwrap();
    assert_eq!(
        eve.download(group("g"), sequence, FilePart::FILE),
        gone,
        "it is from before"
    );
    assert_eq!(
        bob.download(group("g"), sequence, FilePart::FILE).unwrap(),
        CONTENT
    );
    alice.remove("g", &["bob"]).unwrap();
    assert_eq!(bob.download(group("g"), sequence, FilePart::FILE), denied);
    // The first piece was theirs, the next one is not.
    let sequence = alice.send_file(group("g"), MessageKind::FILE, CONTENT);
    assert!(
        eve.download_piece(group("g"), sequence, FilePart::FILE, (0, 4))
            .is_ok()
    );
    eve.quit("g").unwrap();
    assert_eq!(eve.download(group("g"), sequence, FilePart::FILE), denied);
    // With a group its files are gone.
    alice.create(GroupType::PUBLIC, "p", &[user("bob")]).unwrap();
    let sequence = alice.send_file(group("p"), MessageKind::FILE, CONTENT);
    assert!(bob.download(group("p"), sequence, FilePart::FILE).is_ok());
    alice.dismiss("p").unwrap();
    let dismissed = Err(ErrorCode::GROUP_NOT_FOUND);
    assert_eq!(bob.download(group("p"), sequence, FilePart::FILE), dismissed);
}

/// Waits until the hub has so many files.
fn until_left(hub: &TestHub, count: usize) {
    let start = Instant::now();
    while files_left(hub) != count {
        let left = files_left(hub);
        assert!(start.elapsed() < Duration::from_secs(20), "{left} files are left");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_message_that_is_sent_again_when_its_file_is_gone_is_the_first_one() {
    let hub = TestHub::start_with(|options| options.purge_interval = Duration::from_millis(2));
    let mut alice = Device::login(&hub, "alice", 1);
    let file = alice.upload(MessageKind::FILE, CONTENT).unwrap();
    let payload = File::new().with_uuid(&file.uuid).with_size(file.size);
    let message = alice.message(c2c("bob"), payload);
    let sent = |sequence, duplicate| Ok(Reply::Sent { sequence, duplicate });
    assert_eq!(alice.send_message(&message), sent(1, false));
    // Another device takes it back, and the first one, which was cut off, sends it again.
    Device::login(&hub, "alice", 2).revoke(c2c("bob"), 1).unwrap();
    until_left(&hub, 0);
    assert_eq!(alice.send_message(&message), sent(1, true));
    // Another message with this file is refused.
    let another = alice.message(c2c("bob"), payload);
    assert_eq!(alice.send_message(&another), Err(ErrorCode::FILE_NOT_YOURS));
}

#[test]
fn the_content_of_a_revoked_file_is_removed_at_once() {
    // The rounds that remove the rest are a minute apart.
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let sequence = alice.send_file(c2c("bob"), MessageKind::IMAGE, &bmp(210, 199));
    until_left(&hub, 2);
    alice.revoke(c2c("bob"), sequence).unwrap();
    until_left(&hub, 0);
}

#[test]
fn what_is_revoked_or_expired_is_gone_with_its_content() {
    let hub = TestHub::start_with(|options| options.purge_interval = Duration::from_millis(2));
    let [mut alice, mut bob] =
        [("alice", 1), ("bob", 2)].map(|(name, number)| Device::login(&hub, name, number));
    let gone = Err(ErrorCode::FILE_NOT_FOUND);
    let until_left = |count| until_left(&hub, count);
    // Two messages with the same file: it goes with the second one.
    let file = alice.upload(MessageKind::IMAGE, &bmp(210, 199)).unwrap();
    let sequences = ["bob", "carol"].map(|peer| {
        let sent = file_message(&mut alice, c2c(peer), MessageKind::IMAGE, &file);
        assert!(matches!(sent, Ok(Reply::Sent { sequence: 1, .. })), "{sent:?}");
        1
    });
    until_left(2);
    assert!(
        bob.download_piece(c2c("alice"), 1, FilePart::FILE, (0, 10))
            .is_ok()
    );
    alice.revoke(c2c("bob"), sequences[0]).unwrap();
    assert_eq!(bob.download(c2c("alice"), 1, FilePart::FILE), gone);
    assert!(alice.download(c2c("carol"), 1, FilePart::FILE).is_ok());
    alice.revoke(c2c("carol"), sequences[1]).unwrap();
    until_left(0);
    assert_eq!(alice.download(c2c("carol"), 1, FilePart::FILE), gone);
    // Retention takes the file with the message. An upload that nobody sends stays for a day, and so does one that is not ended.
    let sequence = alice.send_file(c2c("bob"), MessageKind::FILE, CONTENT);
    hub.advance(Duration::from_secs(6 * 24 * 3600));
    alice.upload(MessageKind::FILE, b"never sent").unwrap();
    let open = alice.begin_upload(MessageKind::FILE, b"never ended").unwrap();
    alice.piece(open.upload, 0, b"never").unwrap();
    assert_eq!(
        bob.download(c2c("alice"), sequence, FilePart::FILE).unwrap(),
        CONTENT
    );
    hub.advance(Duration::from_secs(23 * 3600));
    assert!(
        alice
            .begin_upload(MessageKind::FILE, b"never ended")
            .unwrap()
            .offset
            > 0,
        "that is a sign of life"
    );
    hub.advance(Duration::from_secs(2 * 3600));
    until_left(2);
    assert_eq!(bob.download(c2c("alice"), sequence, FilePart::FILE), gone);
    hub.advance(Duration::from_secs(25 * 3600));
    until_left(0);
    assert_eq!(alice.end_upload(open.upload), Err(ErrorCode::UPLOAD_UNKNOWN));
}
