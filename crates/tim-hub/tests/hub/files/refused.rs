//! What a hub makes of uploads that are not what they say, and of messages that name what their senders may not send.

use tim_proto::message::{File, Video};
use tim_proto::request::{BeginUpload, Download, FilePart, FileUrl, Upload};
use tim_proto::{ErrorCode, GroupType, MessageKind};

use crate::support::{Device, Reply, TestHub, Uploaded, bmp, c2c, file_message, files_left, group, sha256};

const HELLO: &[u8] = b"hello";

#[test]
fn what_is_announced_is_checked_before_a_byte_comes() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let hash = sha256(HELLO);
    let file = |name, size| BeginUpload::new(MessageKind::FILE, name, size, &hash);
    let long = "x".repeat(4096);
    let mib = 1 << 20;
    let invalid = ErrorCode::GROUP_INVALID_PARAMETERS;
    for (begin, code) in [
        (file("../../x", 5), invalid),
        (file("a\\b", 5), invalid),
        (file("..", 5), invalid),
        (file("a\0b", 5), invalid),
        (file("", 5), invalid),
        (file(&long, 5), invalid),
        (file("a", 5).with_media_type("text/html\r\nX: y"), invalid),
        (BeginUpload::new(MessageKind::FILE, "a", 5, &hash[..31]), invalid),
        (BeginUpload::new(MessageKind::TEXT, "a", 5, &hash), invalid),
        (file("a", 0), ErrorCode::MESSAGE_FILE_URL_IS_EMPTY),
        (file("a", 100 * mib + 1), ErrorCode::MESSAGE_FILE_SIZE_LIMIT),
        (
            BeginUpload::new(MessageKind::IMAGE, "a", 20 * mib + 1, &hash),
            ErrorCode::MESSAGE_IMAGE_SIZE_LIMIT,
        ),
        (
            BeginUpload::new(MessageKind::AUDIO, "a", 20 * mib + 1, &hash),
            ErrorCode::MESSAGE_AUDIO_SIZE_LIMIT,
        ),
        (
            BeginUpload::new(MessageKind::VIDEO, "a", 100 * mib + 1, &hash),
            ErrorCode::MESSAGE_VIDEO_SIZE_LIMIT,
        ),
        (
            BeginUpload::new(MessageKind::AUDIO, "a", 5, &hash).with_duration_ms(600_001),
            ErrorCode::RECORDING_TOO_LONG,
        ),
    ] {
        assert_eq!(alice.begin_with(&begin), Err(code), "{begin:?}");
    }
    assert!(alice.begin_with(&file("a", 100 * mib)).is_ok());
    assert_eq!(files_left(&hub), 2, "what was announced, and its bytes");
}

#[test]
fn an_upload_that_is_not_what_it_says_leaves_nothing_behind() {
    let hub = TestHub::start();
    let [mut alice, mut bob] =
        [("alice", 1), ("bob", 2)].map(|(name, number)| Device::login(&hub, name, number));
    // Longer.
    let upload = alice.begin_upload(MessageKind::FILE, HELLO).unwrap().upload;
    assert_eq!(alice.piece(upload, 0, b"hello!"), Err(ErrorCode::UPLOAD_MISMATCH));
    assert_eq!(alice.piece(upload, 0, HELLO), Err(ErrorCode::UPLOAD_UNKNOWN));
    // Shorter, and of another hash.
    for other in [&b"hell"[..], b"jello"] {
        let upload = alice.begin_upload(MessageKind::FILE, HELLO).unwrap().upload;
        alice.piece(upload, 0, other).unwrap();
        assert_eq!(alice.end_upload(upload), Err(ErrorCode::UPLOAD_MISMATCH));
        assert_eq!(alice.end_upload(upload), Err(ErrorCode::UPLOAD_UNKNOWN));
    }
    // Out of order: refused, and the upload goes on.
    let upload = alice.begin_upload(MessageKind::FILE, HELLO).unwrap().upload;
    for offset in [1, 5, u64::MAX] {
        assert_eq!(
            alice.piece(upload, offset, b"o"),
            Err(ErrorCode::PIECE_OUT_OF_ORDER)
        );
    }
    alice.piece(upload, 0, b"hel").unwrap();
    // Somebody else's, and nobody's.
    for number in [upload, 77, 0] {
        assert_eq!(bob.piece(number, 3, b"lo"), Err(ErrorCode::UPLOAD_UNKNOWN));
        assert_eq!(bob.end_upload(number), Err(ErrorCode::UPLOAD_UNKNOWN));
        assert_eq!(bob.cancel_upload(number), Ok(Reply::Done));
    }
    assert_eq!(alice.piece(upload, 3, b"lo"), Ok(5));
    alice.cancel_upload(upload).unwrap();
    assert_eq!(alice.end_upload(upload), Err(ErrorCode::UPLOAD_UNKNOWN));
    assert_eq!(files_left(&hub), 0);
    assert_eq!(alice.send(c2c("bob"), "chat goes on"), 1);
}

#[test]
fn a_picture_is_one_by_its_content() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let mut bomb = bmp(1, 1);
    // It says that it has 65,535 x 65,535 pixels.
    for at in [18, 22] {
        bomb[at..at + 4].copy_from_slice(&0xffff_u32.to_le_bytes());
    }
    let page = b"<svg onload=alert(1)>".to_vec();
    let half = bmp(50, 50)[..700].to_vec();
    for (content, code) in [
        (bomb, ErrorCode::MESSAGE_IMAGE_SIZE_LIMIT),
        (page, ErrorCode::MESSAGE_IMAGE_TYPES_LIMIT),
        (half, ErrorCode::MESSAGE_IMAGE_TYPES_LIMIT),
    ] {
        assert_eq!(alice.upload(MessageKind::IMAGE, &content), Err(code));
    }
    assert_eq!(files_left(&hub), 0);
    // A picture with something behind it is the picture, whatever its name says.
    let mut polyglot = bmp(3, 2);
    polyglot.extend(b"PK\x03\x04 <script>");
    let hash = sha256(&polyglot);
    let begin = BeginUpload::new(MessageKind::IMAGE, "a.html", polyglot.len() as u64, &hash)
        .with_media_type("text/html");
    let upload = alice.begin_with(&begin).unwrap().upload;
    alice.piece(upload, 0, &polyglot).unwrap();
    assert_eq!(alice.end_upload(upload).unwrap().format, 4);
}

#[test]
fn a_message_names_only_what_its_sender_may_send() {
    let hub = TestHub::start();
    let [mut alice, mut bob, mut eve] =
        [("alice", 1), ("bob", 2), ("eve", 3)].map(|(name, number)| Device::login(&hub, name, number));
    let file = alice.upload(MessageKind::FILE, HELLO).unwrap();
    let refused = Err(ErrorCode::FILE_NOT_YOURS);
    let send = |device: &mut Device, to, kind, file: &Uploaded| file_message(device, to, kind, file);
    // Another kind, another size, one that is not there, one that is somebody else's.
    assert_eq!(send(&mut alice, c2c("bob"), MessageKind::VIDEO, &file), refused);
    let other_size = Uploaded {
        size: 6,
        ..file.clone()
    };
    assert_eq!(
        send(&mut alice, c2c("bob"), MessageKind::FILE, &other_size),
        refused
    );
    let unknown = Uploaded {
        uuid: format!("f{:032x}", 7),
        ..file.clone()
    };
    assert_eq!(send(&mut alice, c2c("bob"), MessageKind::FILE, &unknown), refused);
    assert_eq!(send(&mut eve, c2c("bob"), MessageKind::FILE, &file), refused);
    // With a URL, or where nobody could fetch it.
    let with_url = File::new()
        .with_uuid(&file.uuid)
        .with_size(5)
        .with_url("https://example.org/");
    let message = alice.message(c2c("bob"), with_url);
    assert_eq!(alice.send_message(&message), refused);
    alice.create(GroupType::AV_CHAT_ROOM, "room", &[]).unwrap();
    assert_eq!(send(&mut alice, group("room"), MessageKind::FILE, &file), refused);
    // As the thumbnail of a video, it would have to be a picture.
    let payload = Video::new().with_url("https://example.org/v").with_size(9);
    let thumbnail = tim_proto::message::Thumbnail::new().with_uuid(&file.uuid);
    let message = alice.message(c2c("bob"), payload.with_thumbnail(thumbnail));
    assert_eq!(alice.send_message(&message), refused);
    // Its owner sends it; who has read it sends it on; and what others keep is passed on as it is.
    let sent = send(&mut alice, c2c("bob"), MessageKind::FILE, &file);
    assert!(matches!(sent, Ok(Reply::Sent { sequence: 1, .. })), "{sent:?}");
    assert_eq!(send(&mut eve, c2c("bob"), MessageKind::FILE, &file), refused);
    let sent = send(&mut bob, c2c("eve"), MessageKind::FILE, &file);
    assert!(matches!(sent, Ok(Reply::Sent { sequence: 1, .. })), "{sent:?}");
    assert_eq!(eve.download(c2c("bob"), 1, FilePart::FILE).unwrap(), HELLO);
    let foreign = File::new()
        .with_uuid("1400000000_alice_x")
        .with_size(5)
        .with_url("https://example.org/");
    let message = alice.message(c2c("bob"), foreign);
    assert!(matches!(
        alice.send_message(&message),
        Ok(Reply::Sent { sequence: 2, .. })
    ));
    assert_eq!(
        bob.download(c2c("alice"), 2, FilePart::FILE),
        Err(ErrorCode::FILE_NOT_FOUND)
    );
    let url = alice.ask(&FileUrl::new(c2c("bob"), 1));
    assert_eq!(url, Err(ErrorCode::FILE_NOT_FOUND), "without HTTP");
}

#[test]
fn a_message_calls_a_file_of_the_hub_by_no_path() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let file = alice.upload(MessageKind::FILE, HELLO).unwrap();
    let payload = File::new().with_uuid(&file.uuid).with_size(file.size);
    let long = "x".repeat(3000);
    for name in ["../../x", "a\\b", "..", "a\u{1b}[2J", "a\nb", "a\u{202e}b", &long] {
        let message = alice.message(c2c("bob"), payload.with_name(name));
        let invalid = Err(ErrorCode::GROUP_INVALID_PARAMETERS);
        assert_eq!(alice.send_message(&message), invalid, "{name:?}");
    }
    // A name that is one, none, and whatever a file of another service is called.
    let foreign = File::new()
        .with_uuid("elsewhere")
        .with_url("https://example.org/")
        .with_size(1);
    for payload in [
        payload.with_name("Plan (2).pdf"),
        payload,
        foreign.with_name("../../x"),
    ] {
        let message = alice.message(c2c("bob"), payload);
        let sent = alice.send_message(&message);
        assert!(matches!(sent, Ok(Reply::Sent { .. })), "{sent:?}");
    }
}

#[test]
fn an_account_has_a_bounded_number_of_uploads_and_of_pieces_under_way() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let uploads: Vec<u64> = (0..16u8)
        .map(|at| alice.begin_upload(MessageKind::FILE, &[at]).unwrap().upload)
        .collect();
    assert_eq!(
        alice.begin_upload(MessageKind::FILE, b"more"),
        Err(ErrorCode::TOO_MANY_UPLOADS)
    );
    assert!(alice.retry_after.is_some(), "it may be different in a moment");
    assert!(
        alice.begin_upload(MessageKind::FILE, &[3]).is_ok(),
        "one that has begun goes on"
    );
    alice.cancel_upload(uploads[0]).unwrap();
    let begun = alice.begin_upload(MessageKind::FILE, &[7; 100_000]).unwrap();
    let most = begun.piece_len as usize;
    assert!(begun.window >= 4 && most < 64 * 1024);
    assert_eq!(
        alice.piece(begun.upload, 0, &vec![7; most + 1]),
        Err(ErrorCode::GROUP_INVALID_PARAMETERS)
    );
    // Many at once, and a download of nothing among them: all are answered.
    let pieces: Vec<_> = (0..8)
        .map(|at| alice.start(&Upload::new(begun.upload, at * 10, &[7; 10])))
        .collect();
    let nothing = alice.start(&Download::new(c2c("bob"), 1, 0, 10));
    for piece in pieces {
        assert!(matches!(alice.wait_for(piece), Ok(Reply::Confirmed(_))));
    }
    assert_eq!(alice.wait_for(nothing), Err(ErrorCode::FILE_NOT_FOUND));
    let begun = alice.begin_upload(MessageKind::FILE, &[7; 100_000]).unwrap();
    assert_eq!(begun.offset, 80, "in their order");
    // A hub that allows fewer uploads.
    let hub = TestHub::start_with(|options| options.limits = options.limits.with_open_uploads(1));
    let mut alice = Device::login(&hub, "alice", 1);
    assert!(alice.begin_upload(MessageKind::FILE, b"one").is_ok());
    assert_eq!(
        alice.begin_upload(MessageKind::FILE, b"more"),
        Err(ErrorCode::TOO_MANY_UPLOADS)
    );
}
