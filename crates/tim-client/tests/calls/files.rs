//! Messages with files: created from sources of every shape, uploaded before they are sent, and downloaded.

use std::io::Cursor;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tim_client::proto::message::ImageSize;
use tim_client::proto::request::Failure;
use tim_client::proto::wire::FrameKind;
use tim_client::{
    AudioMetadata, Client, ErrorCode, FilePart, ImError, Message, Payload, Platform, Progress, SendOptions,
    Source, Status, UploadSource, VideoMetadata,
};

use super::support::files::Files;
use super::support::*;

/// What begins like a PNG, and is the same for the same number.
pub(super) fn picture(len: usize, seed: u8) -> Vec<u8> {
    let noise = (0_u32..).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8 ^ seed);
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    bytes.extend(noise.take(len - bytes.len()));
    bytes
}

/// A source that counts who holds it.
struct Held(Vec<u8>);

impl UploadSource for Held {
    fn name(&self) -> &str {
        "held.png"
    }
    fn size(&self) -> u64 {
        self.0.len() as u64
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
        let rest = &self.0[offset as usize..];
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }
}

/// Sends a message while the hub serves.
async fn send(
    client: &Client,
    message: &Message,
    files: &mut Files,
    hub: &mut HubEnd,
) -> Result<(), ImError> {
    let sending = client.send_message(message, SendOptions::default());
    served(files, hub, sending).await.map(drop)
}

/// What comes of `wanted` while the hub serves.
pub(super) async fn served<T>(files: &mut Files, hub: &mut HubEnd, wanted: impl Future<Output = T>) -> T {
    tokio::select! {
        biased;
        done = wanted => done,
        () = files.serve(hub) => unreachable!("it serves for ever"),
    }
}

/// Notes the progress of a message.
fn noting(message: Message) -> (Message, Arc<Mutex<Vec<Progress>>>) {
    let noted = Arc::new(Mutex::new(Vec::new()));
    let notes = noted.clone();
    let message = message.with_progress(move |progress| notes.lock().unwrap().push(progress));
    (message, noted)
}

#[tokio::test(start_paused = true)]
async fn a_picture_is_uploaded_before_it_is_sent_and_progress_ends_at_one() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let mut files = Files::default();
    let source = Arc::new(Held(picture(123_456, 1)));
    let message = client
        .create_image_message(user("bob"), source.clone())
        .await
        .unwrap();
    // It can be shown at once.
    let Payload::Image(image) = message.payload() else {
        panic!("{message:?}")
    };
    assert_eq!((image.images.len(), message.status()), (3, Status::UnSend));
    hub.settle().await;
    let (message, noted) = noting(message);
    let sending = async {
        let sent = client.send_message(&message, SendOptions::default()).await;
        sent.unwrap();
        noted.lock().unwrap().clone()
    };
    let noted = served(&mut files, &mut hub, sending).await;
    assert!(noted.len() > 3 && noted.iter().all(|it| it.total == 123_456));
    assert!(
        noted.windows(2).all(|pair| pair[0].done < pair[1].done),
        "{noted:?}"
    );
    assert_eq!(noted.last().unwrap().fraction(), 1.0);
    // The instance has what the hub found out, and nothing holds the source any more.
    let Payload::Image(image) = message.payload() else {
        panic!("{message:?}")
    };
    let sizes: Vec<_> = image.images.iter().map(|it| (it.size_type, it.width)).collect();
    assert_eq!(
        sizes,
        [
            (ImageSize::ORIGINAL, 800),
            (ImageSize::THUMBNAIL, 198),
            (ImageSize::LARGE, 720)
        ]
    );
    let stored = files.content(image.uuid).unwrap();
    assert_eq!((&*stored.name, &*stored.media_type), ("held.png", "image/png"));
    assert!(stored.bytes == source.0);
    assert_eq!(Arc::strong_count(&source), 1);
    assert_eq!(files.received, 123_456);
}

#[tokio::test(start_paused = true)]
async fn every_kind_carries_its_metadata() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let mut files = Files::default();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("clip.mp4");
    std::fs::write(&path, b"not really a film").unwrap();
    let recorded = AudioMetadata {
        duration: Duration::from_millis(61_500),
        sample_rate: 44_100,
        channels: 1,
        bit_rate: 192_000,
        format: "aac".into(),
    };
    let bytes = Source::bytes("", "sound");
    let audio = client
        .create_audio_message(user("bob"), bytes, recorded)
        .await
        .unwrap();
    let reader = Source::reader("notes.txt", Cursor::new(b"hello".to_vec()));
    let file = client.create_file_message(user("bob"), reader).await.unwrap();
    let video = VideoMetadata {
        duration: Duration::from_secs(9),
        ..VideoMetadata::default()
    };
    let video = client
        .create_video_message(user("bob"), &*path, video)
        .await
        .unwrap();
    let with_preview = VideoMetadata {
        thumbnail: Some(Source::bytes("", picture(500, 2))),
        ..VideoMetadata::default()
    };
    let previewed = client
        .create_video_message(user("bob"), path, with_preview)
        .await
        .unwrap();
    for message in [&audio, &file, &video, &previewed] {
        send(&client, message, &mut files, &mut hub).await.unwrap();
        assert_eq!(message.upload_progress().unwrap().fraction(), 1.0);
    }
    let Payload::Audio(audio) = audio.payload() else {
        panic!()
    };
    assert_eq!(files.content(audio.uuid).unwrap().bytes, b"sound");
    assert_eq!((audio.size, audio.seconds(), audio.sample_rate), (5, 61, 44_100));
    assert_eq!(
        (audio.channels, audio.bit_rate, audio.format),
        (1, 192_000, "aac")
    );
    let Payload::File(file) = file.payload() else {
        panic!()
    };
    let stored = files.content(file.uuid).unwrap();
    assert_eq!(
        (file.name, file.size, &*stored.media_type),
        ("notes.txt", 5, "text/plain")
    );
    let Payload::Video(video) = video.payload() else {
        panic!()
    };
    assert_eq!((video.seconds, video.format, video.size), (9, "mp4", 17));
    let default = video.thumbnail;
    assert_eq!((default.is_default, default.width, default.size), (true, 200, 20));
    assert_eq!(
        (default.format, default.url),
        ("png", ""),
        "it is a part of the file"
    );
    let Payload::Video(video) = previewed.payload() else {
        panic!()
    };
    let own = video.thumbnail;
    assert_eq!((own.is_default, own.width, own.size), (false, 800, 500));
    assert_eq!(own.format, "png");
    assert!(files.content(own.uuid).is_some());
    // The content of both videos is the same, and was uploaded once.
    assert_eq!(files.complete.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_is_refused_before_anything_is_uploaded() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let dir = tempfile::tempdir().unwrap();
    let image = async |source: Source| {
        let made = client.create_image_message(user("bob"), source).await;
        made.map(drop).map_err(|error| error.code)
    };
    let file = async |source: Source| {
        let made = client.create_file_message(user("bob"), source).await;
        made.map(drop).map_err(|error| error.code)
    };
    let no_picture = Err(ErrorCode::MESSAGE_IMAGE_SELECT_FILE_FIRST);
    assert_eq!(image(None::<Source>.into()).await, no_picture);
    assert_eq!(image(dir.path().join("none.png").into()).await, no_picture);
    let two = vec![
        Source::bytes("a", picture(9, 1)),
        Source::bytes("b", picture(9, 1)),
    ];
    assert_eq!(image(two.into()).await, Err(ErrorCode::SEVERAL_FILES));
    assert_eq!(
        image(Source::bytes("a.png", "")).await,
        Err(ErrorCode::MESSAGE_FILE_IS_EMPTY)
    );
    let program = Source::bytes("a.png", "MZ");
    assert_eq!(image(program).await, Err(ErrorCode::MESSAGE_IMAGE_TYPES_LIMIT));
    let no_file = Err(ErrorCode::MESSAGE_FILE_SELECT_FILE_FIRST);
    assert_eq!(file(dir.path().into()).await, no_file);
    for name in ["", "..", "a\0b", &"x".repeat(256)] {
        let code = file(Source::bytes(name, "x")).await;
        assert_eq!(code, Err(ErrorCode::GROUP_INVALID_PARAMETERS), "{name:?}");
    }
    let longer = AudioMetadata {
        duration: Duration::from_millis(600_001),
        ..AudioMetadata::default()
    };
    let made = client
        .create_audio_message(user("bob"), Source::bytes("", "x"), longer)
        .await;
    assert_eq!(made.unwrap_err().code, ErrorCode::RECORDING_TOO_LONG);
    let film = Source::bytes("a.avi", "x");
    let made = client
        .create_video_message(user("bob"), film, VideoMetadata::default())
        .await;
    assert_eq!(made.unwrap_err().code, ErrorCode::MESSAGE_VIDEO_TYPES_LIMIT);
    hub.settle().await;
}

/// As long as its kind may be, or a byte longer; it is never read.
struct Endless(u64);

impl UploadSource for Endless {
    fn name(&self) -> &str {
        "zeros"
    }
    fn size(&self) -> u64 {
        self.0
    }
    fn read_at(&self, _: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
        buffer.fill(0);
        Ok(buffer.len())
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_mebibytes_are_taken_and_a_byte_more_is_not_and_platforms_differ() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    const MOST: u64 = tim_client::proto::vendor::limits::MAX_FILE_BYTES;
    let source = Arc::new(Endless(MOST));
    client.create_file_message(user("bob"), source).await.unwrap();
    let source = Arc::new(Endless(MOST + 1));
    let made = client.create_file_message(user("bob"), source).await;
    assert_eq!(made.unwrap_err().code, ErrorCode::MESSAGE_FILE_SIZE_LIMIT);
    hub.settle().await;
    for (platform, can_file, can_audio) in [
        (Platform::WEB, true, false),
        (Platform::MINI_PROGRAM, false, true),
    ] {
        let (client, ..) = alice_online_with(|builder| builder.platform(platform)).await;
        let source = || Source::bytes("a.aac", "x");
        let file = client.create_file_message(user("bob"), source()).await;
        let audio = client
            .create_audio_message(user("bob"), source(), AudioMetadata::default())
            .await;
        for (made, can) in [(file, can_file), (audio, can_audio)] {
            assert_eq!(made.is_ok(), can);
            let code = made.err().map(|error| error.code);
            assert!(code.is_none_or(|code| code == ErrorCode::UNSUPPORTED_PLATFORM));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_is_cut_twenty_times_completes_and_sends_little_twice() {
    let (client, _events, mut hub, mut listener) = alice_online_with(|builder| {
        builder.session(|config| config.backoff_max = Duration::from_millis(500))
    })
    .await;
    let content = picture(1_000_000, 3);
    let message = client
        .create_image_message(user("bob"), Source::bytes("a.png", content.clone()))
        .await
        .unwrap();
    let mut files = Files::default();
    let sending = tokio::spawn({
        let (client, message) = (client.clone(), message.clone());
        async move { client.send_message(&message, SendOptions::default()).await }
    });
    // The last request before a cut is lost on the way there, or its response on the way back.
    for cut in 0..20_u32 {
        for _ in 0..(cut.wrapping_mul(2_654_435_761) >> 16) % 5 {
            files.serve_one(&mut hub).await;
        }
        let last = hub.next_request().await;
        if cut % 2 == 0 {
            files.take_unanswered(&last);
        }
        drop(hub);
        hub = accept(&mut listener).await;
        hub.let_in().await;
    }
    files.serve_send(&mut hub).await;
    sending.await.unwrap().unwrap();
    let Payload::Image(image) = message.payload() else {
        panic!()
    };
    assert!(files.content(image.uuid).unwrap().bytes == content);
    let again = files.received - content.len() as u64;
    assert!(again <= 20 * 10_000, "{again} bytes were sent again");
    // The connection was lost in the middle of the upload each time.
    assert!(client.stats().await.unwrap().reconnects >= 20);
}

#[tokio::test(start_paused = true)]
async fn what_the_hub_has_is_not_uploaded_again_and_the_same_content_at_once_is_uploaded_once() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let mut files = Files::default();
    let create = async |to: &str| {
        let source = Source::bytes("a.png", picture(50_000, 4));
        client.create_image_message(user(to), source).await.unwrap()
    };
    let (one, other, different) = (create("bob").await, create("carol").await, {
        let source = Source::bytes("b.png", picture(40_000, 5));
        client.create_image_message(user("bob"), source).await.unwrap()
    });
    let all = async {
        let default = SendOptions::default;
        tokio::join!(
            client.send_message(&one, default()),
            client.send_message(&other, default()),
            client.send_message(&different, default()),
        )
    };
    let (a, b, c) = served(&mut files, &mut hub, all).await;
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    assert_eq!((files.received, files.sent.len()), (90_000, 3));
    // Later it is known too, and progress is told all the same.
    let (again, noted) = noting(create("dave").await);
    send(&client, &again, &mut files, &mut hub).await.unwrap();
    assert_eq!(files.received, 90_000);
    let noted: Vec<_> = noted.lock().unwrap().iter().map(Progress::fraction).collect();
    assert_eq!(noted, [1.0]);
}

#[tokio::test(start_paused = true)]
async fn an_upload_is_cancelled_and_begun_again() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let mut files = Files::default();
    let (message, noted) = noting({
        let source = Source::bytes("a.png", picture(200_000, 6));
        client.create_image_message(user("bob"), source).await.unwrap()
    });
    let sending = tokio::spawn({
        let (client, message) = (client.clone(), message.clone());
        async move { client.send_message(&message, SendOptions::default()).await }
    });
    while files.received < 50_000 {
        files.serve_one(&mut hub).await;
    }
    served(&mut files, &mut hub, client.cancel_upload(&message))
        .await
        .unwrap();
    let error = sending.await.unwrap().unwrap_err();
    assert_eq!(
        (error.code, message.status()),
        (ErrorCode::UPLOAD_CANCELLED, Status::Fail)
    );
    assert_eq!((files.count(FrameKind::CANCEL_UPLOAD), files.open.len()), (1, 0));
    assert_eq!(
        (message.upload_progress().unwrap().done, files.sent.len()),
        (0, 0)
    );
    noted.lock().unwrap().clear();
    served(&mut files, &mut hub, client.resend_message(&message))
        .await
        .unwrap();
    assert!(files.received >= 250_000);
    assert!(noted.lock().unwrap()[0].done < 50_000);
    // What was sent cannot be cancelled, and what has no file neither.
    let text = client.create_text_message(user("bob"), "x").unwrap();
    for message in [&message, &text] {
        let error = client.cancel_upload(message).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::INVALID_OPERATION);
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_a_resend_goes_on_where_the_upload_stopped() {
    let (client, _events, mut hub, mut listener) = alice_online().await;
    let mut files = Files::default();
    let content = picture(200_000, 7);
    let source = Source::bytes("a.png", content.clone());
    let message = client.create_image_message(user("bob"), source).await.unwrap();
    let sending = async || client.send_message(&message, SendOptions::default()).await;
    let half = async {
        while files.received < 90_000 {
            files.serve_one(&mut hub).await;
        }
    };
    // The caller loses patience.
    tokio::select! {
        _ = sending() => panic!("it was sent"),
        () = half => {}
    }
    assert_eq!(message.status(), Status::Fail);
    // So does the client itself, after a logout.
    let resent = tokio::spawn({
        let (client, message) = (client.clone(), message.clone());
        async move { client.resend_message(&message).await }
    });
    while files.received < 120_000 {
        files.serve_one(&mut hub).await;
    }
    let logout = tokio::spawn({
        let client = client.clone();
        async move { client.logout().await }
    });
    while hub.next(|_| Some(())).await.is_some() {}
    drop(hub);
    logout.await.unwrap().unwrap();
    assert_eq!(resent.await.unwrap().unwrap_err().code, ErrorCode::LOGGED_OUT);
    let login = tokio::spawn({
        let client = client.clone();
        async move { client.login().await }
    });
    let mut hub = accept(&mut listener).await;
    hub.let_in().await;
    login.await.unwrap().unwrap();
    client.wait_until_ready().await.unwrap();
    let had = files.open.values().next().unwrap().bytes.len() as u64;
    let before = files.received;
    served(&mut files, &mut hub, client.resend_message(&message))
        .await
        .unwrap();
    assert_eq!(files.received - before, 200_000 - had, "only the rest was sent");
    let Payload::Image(image) = message.payload() else {
        panic!()
    };
    assert!(files.content(image.uuid).unwrap().bytes == content);
}

#[tokio::test(start_paused = true)]
async fn a_message_survives_a_restart_in_the_middle_of_its_upload() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.png");
    let content = picture(150_000, 8);
    std::fs::write(&path, &content).unwrap();
    let mut files = Files::default();
    let mut kept = Vec::new();
    for source in [Source::path(&path), Source::bytes("b.png", content.clone())] {
        let (client, _events, mut hub, _listener) = alice_online().await;
        let message = client.create_image_message(user("bob"), source).await.unwrap();
        let received = files.received;
        let half = async {
            while files.received < received + 30_000 {
                files.serve_one(&mut hub).await;
            }
        };
        tokio::select! {
            _ = client.send_message(&message, SendOptions::default()) => panic!("it was sent"),
            () = half => {}
        }
        kept.push(message.to_bytes());
    }
    let (client, _events, mut hub, _listener) = alice_online().await;
    let before = files.received;
    let message = client.restore_message(&kept[0]).unwrap();
    assert_eq!(message.status(), Status::Fail);
    served(&mut files, &mut hub, client.resend_message(&message))
        .await
        .unwrap();
    assert!(files.received - before < 100_000, "it went on");
    // Bytes are not kept: they are given again.
    let message = client.restore_message(&kept[1]).unwrap();
    let error = client.resend_message(&message).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::MESSAGE_IMAGE_SELECT_FILE_FIRST);
    let other = Source::bytes("b.png", picture(10, 1));
    let error = client.attach_source(&message, other).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::INVALID_OPERATION);
    client
        .attach_source(&message, Source::bytes("b.png", content))
        .await
        .unwrap();
    served(&mut files, &mut hub, client.resend_message(&message))
        .await
        .unwrap();
    assert_eq!(files.sent[0], files.sent[1]);
    // A message whose upload was complete needs its file no more.
    let message = client.create_image_message(user("bob"), &*path).await.unwrap();
    let refused = async {
        loop {
            let asked = hub.next_request().await;
            match asked.kind {
                FrameKind::SEND => break hub.fail(&asked, ErrorCode::STORAGE_FULL, "").await,
                _ => files.answer(&mut hub, &asked).await,
            }
        }
    };
    let (sent, ()) = tokio::join!(client.send_message(&message, SendOptions::default()), refused);
    assert_eq!(sent.unwrap_err().code, ErrorCode::STORAGE_FULL);
    let kept = message.to_bytes();
    drop(message);
    std::fs::remove_file(path).unwrap();
    let message = client.restore_message(&kept).unwrap();
    served(&mut files, &mut hub, client.resend_message(&message))
        .await
        .unwrap();
    assert_eq!(files.sent[2], files.sent[0]);
}

/// A file message that is stored, with this content.
pub(super) async fn stored(client: &Client, content: &[u8], files: &mut Files, hub: &mut HubEnd) -> Message {
    let source = Source::bytes("a.bin", content);
    let message = client.create_file_message(user("bob"), source).await.unwrap();
    send(client, &message, files, hub).await.unwrap();
    message
}

#[tokio::test(start_paused = true)]
async fn a_file_is_downloaded_to_a_path_in_pieces_and_goes_on_after_a_failure() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let mut files = Files::default();
    let content = picture(300_000, 9);
    let message = stored(&client, &content, &mut files, &mut hub).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.bin");
    std::fs::write(&path, "old").unwrap();
    let parts = || {
        let names = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|it| it.unwrap().file_name());
        let names = names.map(|name| name.into_string().unwrap());
        names.filter(|name| name.ends_with(".part")).count()
    };
    // The hub breaks off.
    let broken = async {
        for _ in 0..12 {
            files.serve_one(&mut hub).await;
        }
        let asked = hub.next_request().await;
        hub.fail(&asked, ErrorCode::FILE_STORE_FAILED, "").await;
    };
    let download = async || {
        client
            .download(&message, FilePart::FILE)
            .unwrap()
            .to_path(&path)
            .await
    };
    let (error, ()) = tokio::join!(download(), broken);
    assert_eq!(error.unwrap_err().code, ErrorCode::FILE_STORE_FAILED);
    assert_eq!((std::fs::read(&path).unwrap(), parts()), (b"old".to_vec(), 1));
    let part = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|it| it.unwrap().path());
    let part = part
        .into_iter()
        .find(|path| path.extension().is_some_and(|it| it == "part"));
    let part = part.unwrap();
    let left = std::fs::read(&part).unwrap();
    files.offsets.clear();
    let len = served(&mut files, &mut hub, download()).await.unwrap();
    assert!(std::fs::read(&path).unwrap() == content);
    assert_eq!((len, parts()), (300_000, 0));
    // From the end of what is left on, which is compared.
    let from = *files.offsets.iter().min().unwrap();
    assert_eq!(from, left.len() as u64 - (64 << 10), "it went on");
    // A power cut has taken the end of it; or it is longer than the file.
    let mut damaged = left.clone();
    damaged[left.len() - 1000..].fill(0);
    for left in [damaged, [&content[..], b"more"].concat()] {
        std::fs::write(&part, left).unwrap();
        let len = served(&mut files, &mut hub, download()).await.unwrap();
        assert!(std::fs::read(&path).unwrap() == content);
        assert_eq!((len, parts()), (300_000, 0));
    }
    // A path that cannot be written, and a file that is gone.
    let nowhere = client.download(&message, FilePart::FILE).unwrap();
    let error = nowhere
        .to_path(dir.path().join("none/out.bin"))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::INVALID_OPERATION);
    files.complete.clear();
    let error = served(&mut files, &mut hub, download()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::FILE_NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn a_download_goes_on_after_pieces_that_are_refused_for_now() {
    let (client, _events, mut hub, _listener) = alice_online().await;
    let mut files = Files::default();
    let content = picture(300_000, 11);
    let message = stored(&client, &content, &mut files, &mut hub).await;
    let download = async || {
        let download = client.download(&message, FilePart::FILE).unwrap();
        download.to_bytes(300_000).await
    };
    let refusal = Failure::new(ErrorCode::RATE_LIMITED, "").with_retry_after_ms(700);
    let served = async {
        for number in 1.. {
            match number {
                10..=12 | 40 => {
                    let asked = hub.next_request().await;
                    hub.fail_with(&asked, &refusal).await;
                }
                _ => files.serve_one(&mut hub).await,
            }
        }
    };
    tokio::select! {
        bytes = download() => assert!(bytes.unwrap() == content),
        () = served => unreachable!(),
    }
    // Not for ever.
    let refused = async {
        loop {
            let asked = hub.next_request().await;
            hub.fail_with(&asked, &refusal).await;
        }
    };
    tokio::select! {
        bytes = download() => assert_eq!(bytes.unwrap_err().code, ErrorCode::RATE_LIMITED),
        () = refused => unreachable!(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_is_read_into_memory_up_to_a_limit_or_by_a_reader() {
    use tokio::io::AsyncReadExt as _;
    let (client, _events, mut hub, _listener) = alice_online().await;
    let mut files = Files::default();
    let content = picture(100_000, 10);
    let message = stored(&client, &content, &mut files, &mut hub).await;
    let download = || client.download(&message, FilePart::FILE).unwrap();
    let noted = Arc::new(Mutex::new(Vec::new()));
    let notes = noted.clone();
    let noting = download().with_progress(move |progress| notes.lock().unwrap().push(progress.done));
    let bytes = served(&mut files, &mut hub, noting.to_bytes(100_000))
        .await
        .unwrap();
    assert!(bytes == content);
    let noted = noted.lock().unwrap().clone();
    assert!(noted.is_sorted() && noted.last() == Some(&100_000));
    let error = served(&mut files, &mut hub, download().to_bytes(99_999))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::RES_SIZE_LIMIT);
    let mut reader = download().with_offset(60_000).into_reader();
    let mut rest = Vec::new();
    served(&mut files, &mut hub, reader.read_to_end(&mut rest))
        .await
        .unwrap();
    assert!(rest == content[60_000..]);
    // A hub that changes its mind about the size is not believed.
    let lying = async {
        let asked = hub.next_request().await;
        let answer = tim_client::proto::request::DownloadResponse::new(99, &[1; 99]);
        hub.answer(&asked, &answer).await;
    };
    let (error, ()) = tokio::join!(download().to_bytes(1000), lying);
    assert_eq!(error.unwrap_err().code, ErrorCode::PROTOCOL_VIOLATION);
    // Messages without a file at the hub.
    let text = client.create_text_message(user("bob"), "x").unwrap();
    let error = client.download(&text, FilePart::FILE).unwrap_err();
    assert_eq!(error.code, ErrorCode::FILE_NOT_FOUND);
}
