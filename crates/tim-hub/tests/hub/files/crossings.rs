//! Uploads that something else comes in between of.

use std::sync::Arc;
use std::time::Duration;

use tim_proto::request::{EndUpload, FilePart};
use tim_proto::{ErrorCode, GroupType, MessageKind};

use crate::support::{Device, Reply, TestHub, bitmap, bmp, c2c, file_message, files_left, group, user};

const CONTENT: &[u8] = b"0123456789";
const KIND: MessageKind = MessageKind::FILE;

/// Goes on with the upload, which has so many bytes, and sends it.
fn go_on(device: &mut Device, upload: u64, has: usize) -> u64 {
    let begun = device.begin_upload(KIND, CONTENT).unwrap();
    assert_eq!(
        (begun.upload, begun.offset),
        (upload, has as u64),
        "it goes on where it was"
    );
    device.piece(upload, has as u64, &CONTENT[has..]).unwrap();
    let file = device.end_upload(upload).unwrap();
    let sent = file_message(device, c2c("bob"), KIND, &file);
    let Ok(Reply::Sent { sequence, .. }) = sent else {
        panic!("{sent:?}")
    };
    assert_eq!(
        device.download(c2c("bob"), sequence, FilePart::FILE).unwrap(),
        CONTENT
    );
    sequence
}

/// Begins an upload, and sends so many bytes of it.
fn begin(device: &mut Device, has: usize) -> u64 {
    let upload = device.begin_upload(KIND, CONTENT).unwrap().upload;
    device.piece(upload, 0, &CONTENT[..has]).unwrap();
    upload
}

#[test]
fn an_upload_outlasts_cuts_logouts_and_goes_on_from_another_device() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    // Cut: the same session, on another connection.
    let upload = begin(&mut alice, 3);
    alice.cut();
    alice.until(|alice| alice.session.is_ready());
    go_on(&mut alice, upload, 3);
    // Logged out, and in again.
    let content = b"9876543210";
    let upload = alice.begin_upload(KIND, content).unwrap().upload;
    alice.piece(upload, 0, &content[..4]).unwrap();
    let now = alice.now();
    alice.session.logout(now);
    alice.until(|alice| !alice.is_connected());
    let mut alice = Device::login(&hub, "alice", 1);
    assert_eq!(alice.begin_upload(KIND, content).unwrap().offset, 4);
    // Another device of the user goes on, and the first one sees where it is.
    let mut phone = Device::login(&hub, "alice", 2);
    phone.piece(upload, 4, &content[4..8]).unwrap();
    assert_eq!(
        alice.piece(upload, 4, &content[4..6]),
        Ok(4),
        "it is there, and nothing is written twice"
    );
    alice.piece(upload, 8, &content[8..]).unwrap();
    // Both end it: the same file.
    let files = [
        alice.end_upload(upload).unwrap(),
        phone.end_upload(upload).unwrap(),
    ];
    assert_eq!(files[0], files[1]);
    assert_eq!(files_left(&hub), 2);
}

#[test]
fn an_upload_outlasts_a_restart_and_a_kill_of_the_hub() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let upload = begin(&mut alice, 3);
    let hub = hub.restart();
    let mut alice = Device::login(&hub, "alice", 1);
    assert_eq!(alice.begin_upload(KIND, CONTENT).unwrap().offset, 3);
    alice.piece(upload, 3, &CONTENT[3..7]).unwrap();
    // What a kill leaves: the files as they are.
    let killed = Arc::new(tempfile::tempdir().unwrap());
    copy_all(hub.data_dir(), killed.path());
    drop(alice);
    drop(hub);
    let hub = TestHub::start_on(killed, |_| ());
    let mut alice = Device::login(&hub, "alice", 1);
    let sequence = go_on(&mut alice, upload, 7);
    // A hub that was killed between content and row has content too many: it is swept.
    let stray = hub
        .data_dir()
        .join("files/content/ab/fab000000000000000000000000000000");
    std::fs::create_dir_all(stray.parent().unwrap()).unwrap();
    std::fs::write(&stray, b"x").unwrap();
    let hub = hub.restart();
    let mut alice = Device::login(&hub, "alice", 1);
    alice.wait_until(|| !stray.exists());
    assert_eq!(
        alice.download(c2c("bob"), sequence, FilePart::FILE).unwrap(),
        CONTENT
    );
}

fn copy_all(from: &std::path::Path, to: &std::path::Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&to).unwrap();
            copy_all(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn who_has_left_or_is_muted_has_uploaded_for_nothing_there_and_can_send_it_elsewhere() {
    let hub = TestHub::start();
    let [mut alice, mut owner, mut bob] =
        [("alice", 1), ("owner", 2), ("bob", 3)].map(|(name, number)| Device::login(&hub, name, number));
    owner
        .create(GroupType::WORK, "g", &[user("alice"), user("bob")])
        .unwrap();
    owner
        .create(GroupType::PUBLIC, "muted", &[user("alice")])
        .unwrap();
    let upload = begin(&mut alice, 3);
    owner.remove("g", &["alice"]).unwrap();
    owner.mute("muted", "alice", 60).unwrap();
    alice.piece(upload, 3, &CONTENT[3..]).unwrap();
    let file = alice.end_upload(upload).unwrap();
    for (name, code) in [
        ("g", ErrorCode::GROUP_PERMISSION_DENY),
        ("muted", ErrorCode::GROUP_SHUTUP_DENY),
    ] {
        assert_eq!(
            file_message(&mut alice, group(name), KIND, &file),
            Err(code),
            "{name}"
        );
    }
    assert!(file_message(&mut alice, c2c("bob"), KIND, &file).is_ok());
    assert_eq!(bob.download(c2c("alice"), 1, FilePart::FILE).unwrap(), CONTENT);
    let sequence = owner.send_file(group("g"), KIND, b"of the group");
    assert_eq!(
        bob.download(group("g"), sequence, FilePart::FILE).unwrap(),
        b"of the group"
    );
    let quit = bob.quit("g");
    assert!(quit.is_ok(), "{quit:?}");
    assert!(bob.download(group("g"), sequence, FilePart::FILE).is_err());
}

#[test]
fn the_quota_is_reached_half_way() {
    let hub = TestHub::start_with(|options| {
        options.max_account_file_bytes = 25;
        options.max_account_files = 3;
    });
    let [mut alice, mut bob] =
        [("alice", 1), ("bob", 2)].map(|(name, number)| Device::login(&hub, name, number));
    let full = Err(ErrorCode::FILE_QUOTA_REACHED);
    // What is under way counts before it has come.
    let upload = begin(&mut alice, 3);
    let second = alice.begin_upload(KIND, b"abcdefghij").unwrap().upload;
    assert_eq!(alice.begin_upload(KIND, b"987654").map(|_| ()), full);
    assert!(
        bob.upload(KIND, b"987654").is_ok(),
        "another account has a quota of its own"
    );
    alice.cancel_upload(second).unwrap();
    alice.upload(KIND, b"987654").unwrap();
    // Not so what the operator has set meanwhile: the file is refused when it is ended, and nothing of it stays.
    hub.reload(|options| (options.max_account_file_bytes, options.max_account_files) = (12, 3));
    alice.piece(upload, 3, &CONTENT[3..]).unwrap();
    assert_eq!(alice.end_upload(upload).map(|_| ()), full);
    assert_eq!(alice.end_upload(upload), Err(ErrorCode::UPLOAD_UNKNOWN));
    hub.reload(|options| (options.max_account_file_bytes, options.max_account_files) = (0, 3));
    alice.wait_until(|| files_left(&hub) == 2);
    // The number of files.
    alice.upload(KIND, b"1").unwrap();
    alice.upload(KIND, b"2").unwrap();
    assert_eq!(alice.begin_upload(KIND, b"3").map(|_| ()), full);
    assert!(alice.upload(KIND, b"2").is_ok(), "it is there already");
    assert!(alice.send(c2c("bob"), "chat goes on") > 0);
}

#[test]
fn a_small_picture_does_not_wait_for_large_ones() {
    let (hub, faults) = TestHub::start_with_slow_files();
    let [mut alice, mut bob] =
        [("alice", 1), ("bob", 2)].map(|(name, number)| Device::login(&hub, name, number));
    let large = bitmap(2001, 2000, 1);
    let upload = put(&mut alice, &large);
    faults.hold_pictures();
    let end = alice.start(&EndUpload::new(upload));
    // Nor of the account itself.
    for device in [&mut bob, &mut alice] {
        assert!(device.upload(MessageKind::IMAGE, &bmp(20, 20)).is_ok());
    }
    assert!(!alice.is_answered(end));
    faults.release();
    match alice.wait_for(end) {
        Ok(Reply::Uploaded(file)) => assert_eq!(file.size, large.len() as u64),
        other => panic!("{other:?}"),
    }
    // It is not decoded at all if the quota has no room.
    let upload = put(&mut bob, &large);
    hub.reload(|options| options.max_account_file_bytes = large.len() as u64);
    faults.hold_pictures();
    assert_eq!(bob.end_upload(upload), Err(ErrorCode::FILE_QUOTA_REACHED));
    assert_eq!(bob.end_upload(upload), Err(ErrorCode::UPLOAD_UNKNOWN));
    faults.release();
}

/// Uploads a picture without ending that.
fn put(device: &mut Device, picture: &[u8]) -> u64 {
    let begun = device.begin_upload(MessageKind::IMAGE, picture).unwrap();
    for (at, piece) in picture.chunks(begun.piece_len as usize).enumerate() {
        let offset = at as u64 * u64::from(begun.piece_len);
        device.piece(begun.upload, offset, piece).unwrap();
    }
    begun.upload
}

#[test]
fn a_file_counts_once_when_its_upload_has_just_ended() {
    let hub = TestHub::start_with(|options| options.max_account_file_bytes = 15);
    for number in 1..=16 {
        let mut device = Device::login(&hub, &format!("user{number}"), number);
        device.upload(KIND, CONTENT).unwrap();
        assert!(device.begin_upload(KIND, b"12345").is_ok());
    }
}

#[test]
fn messages_go_on_while_what_waits_for_an_upload_is_written_slowly() {
    let (hub, faults) = TestHub::start_with_slow_files();
    let [mut alice, mut bob] =
        [("alice", 1), ("bob", 2)].map(|(name, number)| Device::login(&hub, name, number));
    let sequence = alice.send_file(c2c("bob"), KIND, b"before");
    let upload = alice.begin_upload(KIND, CONTENT).unwrap().upload;
    faults.hold();
    let piece = alice.start(&tim_proto::request::Upload::new(upload, 0, &CONTENT[..5]));
    let read = bob.start(&tim_proto::request::Download::new(c2c("alice"), sequence, 0, 9));
    // On the same connections, and while both hang.
    assert!(alice.send(c2c("bob"), "one") > sequence);
    assert!(bob.send(c2c("alice"), "two") > sequence);
    bob.until_texts(1);
    alice.read(c2c("bob"));
    assert!(!alice.is_answered(piece) && !bob.is_answered(read));
    faults.release();
    assert!(matches!(alice.wait_for(piece), Ok(Reply::Confirmed(_))));
    assert!(matches!(
        bob.wait_for(read),
        Ok(Reply::FilePiece { total: 6, .. })
    ));
    // A full disk: files are refused for now, and chat goes on. Then the upload does.
    faults.fill_up();
    assert_eq!(
        alice.piece(upload, 5, &CONTENT[5..]),
        Err(ErrorCode::FILE_STORE_FAILED)
    );
    assert!(
        alice
            .retry_after
            .is_some_and(|after| after > Duration::from_secs(1))
    );
    assert_eq!(
        alice.begin_upload(KIND, b"another").map(|_| ()),
        Err(ErrorCode::FILE_STORE_FAILED)
    );
    assert!(alice.send(c2c("bob"), "three") > sequence);
    assert_eq!(
        bob.download(c2c("alice"), sequence, FilePart::FILE).unwrap(),
        b"before",
        "reading goes on"
    );
    faults.release();
    go_on(&mut alice, upload, 5);
}
