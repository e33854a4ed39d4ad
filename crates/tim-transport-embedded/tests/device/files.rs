//! Files: uploads and downloads in pieces, over cuts at any byte and losses of the hub.

use std::cell::Cell;
use std::future::{Future, poll_fn};

use tim_session::proto::message::{MessageFlags, Payload};
use tim_session::proto::request::{BeginUpload, Download};
use tim_session::proto::wire::FrameKind;
use tim_session::proto::{ErrorCode, MessageKind};
use tim_transport_embedded::{
    Client, Error, Events, FileFailed, FileSink, FileSource, UploadedFile, read_through,
};

use crate::hub::bob;
use crate::support::{refusal, when_ready};
use crate::world::World;

/// More than fits into an outbox of 512 bytes.
const PIECE: u64 = 512;

fn content(len: u32) -> Vec<u8> {
    (0..len)
        .map(|at| (at.wrapping_mul(0x9E37_79B1) >> 24) as u8)
        .collect()
}

/// Flash that is read in ranges, and can fail.
struct Flash<'a> {
    bytes: &'a [u8],
    /// The longest range that was read.
    longest: usize,
    fails: bool,
}

impl<'a> Flash<'a> {
    const fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            longest: 0,
            fails: false,
        }
    }
}

impl FileSource for Flash<'_> {
    async fn read_at(&mut self, offset: u64, to: &mut [u8]) -> Result<(), FileFailed> {
        self.longest = self.longest.max(to.len());
        match self.fails {
            true => Err(FileFailed),
            false => self.bytes.read_at(offset, to).await,
        }
    }
}

/// Flash that is written in order, and can fail once.
#[derive(Default)]
struct Card {
    bytes: Vec<u8>,
    fails_at: Option<usize>,
}

impl FileSink for Card {
    async fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), FileFailed> {
        assert_eq!(offset, self.bytes.len() as u64, "in order");
        if self.fails_at.take_if(|at| self.bytes.len() >= *at).is_some() {
            return Err(FileFailed);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

/// Something that tells contents apart; the model checks no hashes.
async fn hash_of(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    let (mut at, mut flash, mut buffer) = (0, bytes, [0; 100]);
    let read = read_through(&mut flash, bytes.len() as u64, &mut buffer, |piece| {
        for byte in piece {
            hash[at % 32] = byte ^ u8::rotate_left(hash[at % 32], 1);
            at += 1;
        }
    });
    read.await.expect("memory");
    assert_eq!(at, bytes.len());
    hash
}

/// Uploads the content as an image, through a buffer of 600 bytes. Reports grow, and end with the size.
async fn upload(client: Client<'_>, events: &mut Events<'_>, bytes: &[u8]) -> Result<UploadedFile, Error> {
    let (mut flash, mut reported, hash) = (Flash::new(bytes), Vec::new(), hash_of(bytes).await);
    let size = bytes.len() as u64;
    let file = BeginUpload::new(MessageKind::IMAGE, "picture.png", size, &hash);
    let mut piece = [0; 600];
    let uploaded = client.upload_file(&file, &mut flash, &mut piece, |sent, of| {
        assert_eq!(of, size);
        reported.push(sent);
    });
    let uploaded = events.until(uploaded, |_| {}).await;
    assert!(reported.is_sorted_by(|one, next| one < next), "{reported:?}");
    assert!(flash.longest as u64 <= PIECE);
    if uploaded.is_ok() {
        assert_eq!(reported.last(), Some(&size));
    }
    uploaded
}

/// Reads the file of a message to bob.
async fn download(client: Client<'_>, events: &mut Events<'_>, sequence: u64) -> Result<Vec<u8>, Error> {
    let (mut card, mut piece) = (Card::default(), [0; 300]);
    let file = Download::new(bob(), sequence, 0, 300);
    let size = client.download_file(&file, &mut piece, &mut card, |_, _| {});
    let size = events.until(size, |_| {}).await?;
    assert_eq!(size, card.bytes.len() as u64);
    Ok(card.bytes)
}

/// Sends a message to bob and returns its sequence.
async fn send<'a>(client: Client<'_>, events: &mut Events<'_>, payload: impl Into<Payload<'a>>) -> u64 {
    let mut message = client.create_message(bob(), payload).expect("a message");
    let sent = events.until(client.send_message(&mut message), |_| {}).await;
    sent.expect("sent").sequence
}

#[test]
fn a_picture_goes_from_flash_to_the_hub_and_back_in_pieces() {
    let (world, bytes) = (World::new(), content(10_000));
    when_ready(&world, async |client, mut events| {
        let file = upload(client, &mut events, &bytes).await.expect("uploaded");
        assert_eq!((file.size(), file.images().len()), (10_000, 2));
        assert_eq!(world.hub.borrow().model.file(file.uuid()), Some(&*bytes));
        let mut message = client.create_image_message(bob(), &file).expect("a message");
        let sent = events.until(client.send_message(&mut message), |_| {}).await;
        let sequence = sent.expect("sent").sequence;
        assert!(matches!(
            world.hub.borrow().entry(sequence),
            (Payload::Image(image), MessageFlags::NONE) if image.uuid == file.uuid() && image.images.len() == 2
        ));
        assert_eq!(download(client, &mut events, sequence).await, Ok(bytes.clone()));
        let as_file = client
            .create_file_message(bob(), &file, "a.png")
            .expect("a message");
        assert_eq!((as_file.payload.name, as_file.payload.size), ("a.png", 10_000));
        let audio = client.create_audio_message(bob(), &file, 90).expect("a message");
        assert_eq!((audio.payload.uuid, audio.payload.duration_ms), (file.uuid(), 90));
        for (own, format) in [(None, "png"), (Some(&file), "png")] {
            let video = client
                .create_video_message(bob(), &file, 9, own)
                .expect("a message");
            let (video, shown) = (video.payload, video.payload.thumbnail);
            assert_eq!((video.uuid, video.size, video.seconds), (file.uuid(), 10_000, 9));
            assert_eq!((shown.is_default, shown.format), (own.is_none(), format));
            assert_eq!(shown.uuid, own.map_or("", UploadedFile::uuid));
        }

        // The same again is not uploaded again.
        let before = world.hub.borrow().model.uploaded();
        let again = upload(client, &mut events, &bytes).await.expect("known");
        assert_eq!((again, world.hub.borrow().model.uploaded()), (file, before));

        let revoked = events.until(client.revoke_message(&message), |_| {});
        revoked.await.expect("revoked");
        let gone = download(client, &mut events, sequence).await;
        assert_eq!(gone, Err(refusal(ErrorCode::FILE_NOT_FOUND)));
    });
}

#[test]
fn an_upload_that_is_cut_anywhere_completes_and_sends_a_piece_twice_at_most() {
    let bytes = content(3000);
    for (cut_after, loses) in (1..4200).step_by(97).flat_map(|at| [(at, false), (at, true)]) {
        let world = World::new();
        when_ready(&world, async |client, mut events| {
            world.cut_after.set(Some(cut_after));
            let mut upload = Box::pin(upload(client, &mut events, &bytes));
            let was_lost = Cell::new(false);
            let uploaded = poll_fn(|context| {
                if loses && !world.is_open.get() && !was_lost.replace(true) {
                    world.hub.borrow_mut().model.lose_unconfirmed();
                }
                upload.as_mut().poll(context)
            });
            let file = uploaded.await.expect("uploaded");
            let hub = world.hub.borrow();
            assert_eq!(
                hub.model.file(file.uuid()),
                Some(&*bytes),
                "cut after {cut_after}"
            );
            let twice = hub.model.uploaded() - bytes.len() as u64;
            // What was not durable and is lost: less than 1000 bytes, and the piece that was refused for that.
            let most = if loses { 1000 + PIECE } else { PIECE };
            assert!(twice <= most, "{twice} bytes again, cut after {cut_after}");
        });
        assert!(world.connects.get() <= 2);
    }
}

#[test]
fn a_download_that_is_cut_anywhere_goes_on() {
    let bytes = content(3000);
    for cut_after in (1..3800).step_by(193) {
        let world = World::new();
        when_ready(&world, async |client, mut events| {
            let file = upload(client, &mut events, &bytes).await.expect("uploaded");
            let sequence = send(client, &mut events, file.file("a.bin")).await;
            world.cut_after.set(Some(cut_after));
            let read = download(client, &mut events, sequence).await;
            assert_eq!(read, Ok(bytes.clone()), "cut after {cut_after}");
        });
    }
}

#[test]
fn a_file_that_fails_is_the_applications_and_the_call_goes_on_when_it_is_repeated() {
    let (world, bytes) = (World::new(), content(2000));
    when_ready(&world, async |client, mut events| {
        let mut flash = Flash::new(&bytes);
        flash.fails = true;
        let announced = BeginUpload::new(MessageKind::AUDIO, "a.aac", 2000, &[7; 32]);
        let mut piece = [0; 300];
        let failed = client.upload_file(&announced, &mut flash, &mut piece, |_, _| {});
        assert_eq!(events.until(failed, |_| {}).await, Err(Error::File));
        flash.fails = false;
        let done = client.upload_file(&announced, &mut flash, &mut piece, |_, _| {});
        let file = events.until(done, |_| {}).await.expect("uploaded");
        assert_eq!(flash.longest, 300, "the caller's buffer");

        let sequence = send(client, &mut events, file.audio(90)).await;
        let mut from = Download::new(bob(), sequence, 0, 200);
        let mut card = Card {
            fails_at: Some(900),
            ..Card::default()
        };
        let failed = client.download_file(&from, &mut piece, &mut card, |_, _| {});
        assert_eq!(events.until(failed, |_| {}).await, Err(Error::File));
        assert_eq!(card.bytes.len(), 1000);
        from.offset = 1000;
        let mut reported = Vec::new();
        let rest = client.download_file(&from, &mut piece, &mut card, |at, of| reported.push((at, of)));
        assert_eq!(events.until(rest, |_| {}).await, Ok(2000));
        assert_eq!(
            (card.bytes, reported.last()),
            (bytes.clone(), Some(&(2000, 2000)))
        );
        // At the end there is nothing more.
        from.offset = 2000;
        let mut nothing = Card::default();
        let end = client.download_file(&from, &mut piece, &mut nothing, |_, _| {});
        assert_eq!(events.until(end, |_| {}).await, Ok(2000));
        assert!(nothing.bytes.is_empty());
    });
}

#[test]
fn refusals_reach_the_caller_and_a_lost_upload_is_begun_again() {
    let (world, bytes) = (World::new(), content(2000));
    when_ready(&world, async |client, mut events| {
        let refuse = |kind, code| world.hub.borrow_mut().model.behavior.refuse.push((kind, code));
        for (kind, code) in [
            (FrameKind::BEGIN_UPLOAD, ErrorCode::TOO_MANY_UPLOADS),
            (FrameKind::BEGIN_UPLOAD, ErrorCode::FILE_QUOTA_REACHED),
            (FrameKind::UPLOAD, ErrorCode::FILE_STORE_FAILED),
            (FrameKind::UPLOAD, ErrorCode::RATE_LIMITED),
            (FrameKind::END_UPLOAD, ErrorCode::UPLOAD_MISMATCH),
        ] {
            refuse(kind, code);
            let refused = upload(client, &mut events, &bytes).await;
            assert_eq!(refused, Err(refusal(code)));
        }
        for (kind, len) in [(FrameKind::UPLOAD, 1999), (FrameKind::END_UPLOAD, 1998)] {
            refuse(kind, ErrorCode::UPLOAD_UNKNOWN);
            let file = upload(client, &mut events, &bytes[..len]).await;
            let file = file.expect("begun again");
            assert_eq!(world.hub.borrow().model.file(file.uuid()), Some(&bytes[..len]));
        }
        // A hub that always forgets is not asked for ever.
        for _ in 0..20 {
            refuse(FrameKind::END_UPLOAD, ErrorCode::UPLOAD_UNKNOWN);
        }
        let forgotten = upload(client, &mut events, &bytes).await;
        assert_eq!(forgotten, Err(refusal(ErrorCode::UPLOAD_UNKNOWN)));
        let left = world.hub.borrow().model.behavior.refuse.len();
        assert!((10..20).contains(&left), "{left}");
    });
}

#[test]
fn what_may_not_be_uploaded_is_refused_before_a_byte_is_read() {
    let world = World::new();
    when_ready(&world, async |client, mut events| {
        let mut flash = Flash::new(&[]);
        let file = |kind, name, size| BeginUpload::new(kind, name, size, &[0; 32]);
        for (file, code) in [
            (
                file(MessageKind::IMAGE, "a", 21 << 20),
                ErrorCode::MESSAGE_IMAGE_SIZE_LIMIT,
            ),
            (
                file(MessageKind::FILE, "a", 0),
                ErrorCode::MESSAGE_FILE_URL_IS_EMPTY,
            ),
            (
                file(MessageKind::FILE, "../a", 1),
                ErrorCode::GROUP_INVALID_PARAMETERS,
            ),
            (
                file(MessageKind::TEXT, "a", 1),
                ErrorCode::GROUP_INVALID_PARAMETERS,
            ),
        ] {
            let mut piece = [0; 100];
            let refused = client.upload_file(&file, &mut flash, &mut piece, |_, _| {});
            let refused = events.until(refused, |_| {}).await;
            assert_eq!(refused, Err(Error::Invalid(code)));
        }
        assert_eq!(flash.longest, 0);
        let small = file(MessageKind::FILE, "a", 1);
        let no_room = client.upload_file(&small, &mut flash, &mut [], |_, _| {});
        let refused = events.until(no_room, |_| {}).await;
        assert_eq!(refused, Err(Error::TooLarge { len: 1, max: 0 }));
        for upload in [1, 77] {
            let cancelled = events.until(client.cancel_upload(upload), |_| {});
            cancelled.await.expect("there is no such upload now");
        }
    });
}
