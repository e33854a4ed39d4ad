//! Files: a picture, a recording, a video and a document, from one device to another, and what becomes of them.

use sha2::{Digest as _, Sha256};
use tim_client::{AudioMetadata, Client, ConversationId, FilePart, ImError, Message, Source, VideoMetadata};

use super::play::{DeviceName, Play, with};
use crate::error::Failure;
use crate::hex::hex;
use crate::session::failure;

/// The width and height of the picture: more than the thumbnail has.
const SIDE: u32 = 240;
/// The size of the document: several pieces.
const LONG: usize = 150_000;
const PICTURE_LEN: usize = (54 + SIDE * SIDE * 3) as usize;
/// More than any of the files has.
const MOST: usize = 1 << 20;
/// How much of a hash is shown.
const SHOWN: usize = 8;

/// One message of each kind that carries a file: the receivers have the same bytes.
pub(super) async fn each_kind(play: &mut Play) -> Result<(), Failure> {
    let (alice, bob) = (with("alice")?, with("bob")?);
    play.scene("Files")?;
    let kinds = [
        ("a picture", "sunset.bmp", picture()),
        ("a recording", "memo.aac", b"a voice, if you believe it".to_vec()),
        ("a video", "waves.mp4", b"waves, if you believe it".to_vec()),
        (
            "a document",
            "plan.pdf",
            (0..LONG).map(|at| (at * 7 / 3) as u8).collect(),
        ),
    ];
    let mut last = None;
    for (what, name, content) in kinds {
        play.step(format_args!("Alice sends {what} of {} bytes", content.len()))?;
        let hash = Sha256::digest(&content);
        let client = play.device(DeviceName::Phone).client.clone();
        let message = create(&client, bob, name, content).await.map_err(failure)?;
        play.sends(DeviceName::Phone, &message).await?;
        let progress = message.upload_progress().map(|progress| progress.fraction());
        play.check("all of it is uploaded", progress, Some(1.0))?;
        for (on, from) in [(DeviceName::Bob, alice), (DeviceName::Laptop, bob)] {
            let received = play.receives(on, from).await?;
            let client = play.device(on).client.clone();
            let bytes = download(&client, &received, FilePart::FILE)
                .await
                .map_err(failure)?;
            let found = Sha256::digest(bytes);
            play.shows(on, format_args!("SHA-256 {}…", hex(&found[..SHOWN])))?;
            play.check("the same bytes", found == hash, true)?;
            if what == "a picture" {
                let thumbnail = download(&client, &received, FilePart::THUMBNAIL).await;
                let len = thumbnail.map_err(failure)?.len();
                play.check(
                    "a thumbnail that is smaller",
                    (1..PICTURE_LEN).contains(&len),
                    true,
                )?;
            }
            last = Some(received);
        }
    }
    let Some(last) = last else {
        return Ok(());
    };
    play.step("Carol, who is in another conversation, asks for the document")?;
    let carol = play.device(DeviceName::Carol).client.clone();
    let refused = download(&carol, &last, FilePart::FILE).await.is_err();
    play.check("she is refused", refused, true)
}

async fn create(
    client: &Client,
    to: ConversationId,
    name: &str,
    content: Vec<u8>,
) -> Result<Message, ImError> {
    let source = Source::bytes(name, content);
    match name.rsplit('.').next() {
        Some("bmp") => client.create_image_message(to, source).await,
        Some("aac") => {
            client
                .create_audio_message(to, source, AudioMetadata::default())
                .await
        }
        Some("mp4") => {
            client
                .create_video_message(to, source, VideoMetadata::default())
                .await
        }
        _ => client.create_file_message(to, source).await,
    }
}

async fn download(client: &Client, message: &Message, part: FilePart) -> Result<Vec<u8>, ImError> {
    client.download(message, part)?.to_bytes(MOST).await
}

/// A sunset, as a BMP.
fn picture() -> Vec<u8> {
    let size = SIDE * SIDE * 3;
    let mut bytes = b"BM".to_vec();
    for number in [54 + size, 0, 54, 40, SIDE, SIDE] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend([1, 0, 24, 0]);
    for number in [0, size, 2835, 2835, 0, 0] {
        bytes.extend(number.to_le_bytes());
    }
    for y in 0..SIDE {
        let [blue, red] = [y, SIDE - y].map(|part| u8::try_from(part).unwrap_or(u8::MAX));
        bytes.extend([blue, blue / 2, red].repeat(SIDE as usize));
    }
    bytes
}
