//! What the chapters about pictures, recordings, files and videos have in common: sources, uploads and downloads.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tim_client::{
    AudioMetadata, Client, ErrorCode, FilePart, ImError, Message, MessageKind, Progress, SendOptions, Source,
    UploadSource, UserId, VideoMetadata,
};

use super::claims;
use super::payloads::carries;
use crate::check::{Stop, Verdict, ensure, ensure_eq, ensure_refused};
use crate::lab::Lab;

/// More than any of the files has.
const MOST: usize = 1 << 20;

/// A file of this kind, of some pieces. A picture is a real one.
pub(super) fn content(kind: MessageKind) -> Vec<u8> {
    match kind {
        MessageKind::IMAGE => picture(220),
        MessageKind::VIDEO => [b"\0\0\0\x20ftypisom".as_slice(), &vec![7; 90_000]].concat(),
        _ => (0..100_000_u32)
            .map(|at| (at.wrapping_mul(2_654_435_761) >> 21) as u8)
            .collect(),
    }
}

/// A square picture, as a BMP.
fn picture(side: u32) -> Vec<u8> {
    let size = side * side * 3;
    let mut bytes = b"BM".to_vec();
    for number in [54 + size, 0, 54, 40, side, side] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend([1, 0, 24, 0]);
    for number in [0, size, 2835, 2835, 0, 0] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend((0..size).map(|at| (at / 3) as u8));
    bytes
}

/// A name that fits the kind.
pub(super) const fn name(kind: MessageKind) -> &'static str {
    match kind {
        MessageKind::IMAGE => "picture.bmp",
        MessageKind::AUDIO => "recording.aac",
        MessageKind::VIDEO => "video.mp4",
        _ => "file.bin",
    }
}

/// A recorder says this.
fn recorded() -> AudioMetadata {
    AudioMetadata {
        duration: Duration::from_millis(60_000),
        sample_rate: 44_100,
        channels: 1,
        bit_rate: 192_000,
        format: "aac".into(),
    }
}

pub(super) async fn create(
    client: &Client,
    to: UserId,
    kind: MessageKind,
    source: Source,
) -> Result<Message, ImError> {
    match kind {
        MessageKind::IMAGE => client.create_image_message(to, source).await,
        MessageKind::AUDIO => client.create_audio_message(to, source, recorded()).await,
        MessageKind::VIDEO => {
            let video = VideoMetadata {
                duration: Duration::from_secs(60),
                ..VideoMetadata::default()
            };
            client.create_video_message(to, source, video).await
        }
        _ => client.create_file_message(to, source).await,
    }
}

/// What is uploaded from this source arrives with the same bytes. Returns the message as it arrived.
pub(super) async fn arrives_from(
    lab: &Lab,
    kind: MessageKind,
    source: Source,
    content: &[u8],
) -> Result<Message, Stop> {
    let (alice, mut bob) = lab.pair().await?;
    let message = create(&alice.client, bob.user(), kind, source).await?;
    ensure_eq!(message.kind(), kind, "the kind");
    alice
        .client
        .send_message(&message, SendOptions::default())
        .await?;
    let got = bob.receives(&message).await?;
    ensure_eq!(got.payload(), message.payload(), "the payload that arrived");
    let bytes = bob.client.download(&got, FilePart::FILE)?.to_bytes(MOST).await?;
    ensure!(
        bytes == content,
        "the bytes that arrive are not those that were sent"
    );
    Ok(got)
}

/// A source of an application's own.
pub(super) struct Own {
    pub(super) name: &'static str,
    pub(super) content: Vec<u8>,
}

impl UploadSource for Own {
    fn name(&self) -> &str {
        self.name
    }

    fn size(&self) -> u64 {
        self.content.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = self.content.get(from..).unwrap_or_default();
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }
}

/// The call that creates this kind: the payload is carried as in SPEC.md, and a file is uploaded.
pub(super) async fn creates(lab: &Lab, kind: MessageKind) -> Verdict {
    carries(lab, kind).await?;
    handle(lab, kind).await?;
    Ok("it is created from a file, which arrives; and the payload is carried as in SPEC.md".into())
}

/// A handle that yields one file.
pub(super) async fn handle(lab: &Lab, kind: MessageKind) -> Verdict {
    let content = content(kind);
    let selected = vec![Source::bytes(name(kind), content.clone())];
    arrives_from(lab, kind, selected.into(), &content).await?;
    Ok("a selection of one file is taken, and the same bytes arrive".into())
}

/// A source with a name, a size and a media type, which the SDK claims under this name.
pub(super) async fn file_object(lab: &Lab, kind: MessageKind, feature: &str) -> Verdict {
    ensure!(claims(feature), "the SDK does not claim it");
    own_source(lab, kind).await
}

/// A source of an application's own.
pub(super) async fn own_source(lab: &Lab, kind: MessageKind) -> Verdict {
    let content = content(kind);
    let own = Arc::new(Own {
        name: name(kind),
        content: content.clone(),
    });
    arrives_from(lab, kind, own.into(), &content).await?;
    Ok("a source with name, size and content is taken, and the same bytes arrive".into())
}

/// Content that a reader yields.
pub(super) async fn reader(lab: &Lab, kind: MessageKind) -> Verdict {
    let content = content(kind);
    let source = Source::reader(name(kind), io::Cursor::new(content.clone()));
    arrives_from(lab, kind, source, &content).await?;
    Ok("what a reader yields arrives with the same bytes".into())
}

/// Nothing, and more than one file, are refused.
pub(super) async fn refuses(lab: &Lab, kind: MessageKind, source: Source, code: ErrorCode) -> Verdict {
    let (alice, bob) = lab.pair().await?;
    let made = create(&alice.client, bob.user(), kind, source).await;
    ensure_refused(made, &[code], "the message")?;
    Ok(format!("it is refused with {}, and there is no message", code.0))
}

/// After it was sent, nothing holds the source; and what was sent is what the source had.
pub(super) async fn lets_go(lab: &Lab) -> Verdict {
    let kind = MessageKind::IMAGE;
    let (alice, mut bob) = lab.pair().await?;
    let own = Arc::new(Own {
        name: name(kind),
        content: content(kind),
    });
    let message = create(&alice.client, bob.user(), kind, own.clone().into()).await?;
    alice
        .client
        .send_message(&message, SendOptions::default())
        .await?;
    ensure_eq!(Arc::strong_count(&own), 1, "who holds the source");
    drop(own);
    let got = bob.receives(&message).await?;
    let bytes = bob.client.download(&got, FilePart::FILE)?.to_bytes(MOST).await?;
    ensure!(
        bytes == content(kind),
        "the bytes that arrive are not those that were sent"
    );
    Ok("nothing holds the source when sending has returned".into())
}

/// What was told of the progress of an upload of this kind, before sending returned.
async fn progress(lab: &Lab, kind: MessageKind) -> Result<Vec<Progress>, Stop> {
    let (alice, bob) = lab.pair().await?;
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = told.clone();
    let source = Source::bytes(name(kind), content(kind));
    let message = create(&alice.client, bob.user(), kind, source).await?;
    let message = message.with_progress(move |progress| {
        tell.lock().unwrap_or_else(PoisonError::into_inner).push(progress);
    });
    alice
        .client
        .send_message(&message, SendOptions::default())
        .await?;
    Ok(std::mem::take(
        &mut *told.lock().unwrap_or_else(PoisonError::into_inner),
    ))
}

/// Progress grows, and reaches 1.0 before sending returns.
pub(super) async fn tells_progress(lab: &Lab, kinds: &[MessageKind]) -> Verdict {
    for kind in kinds {
        let told = progress(lab, *kind).await?;
        let last = told.last().map(Progress::fraction);
        ensure_eq!(last, Some(1.0), "the last progress of a {kind}");
        let grows = told.windows(2).all(|pair| pair[0].done < pair[1].done);
        ensure!(grows, "it does not grow: {told:?}");
    }
    Ok("progress grows, and reaches 1.0 before sending returns".into())
}

/// An event carries bytes, a total and a fraction.
pub(super) async fn carries_a_fraction(lab: &Lab) -> Verdict {
    let total = content(MessageKind::FILE).len() as u64;
    let told = progress(lab, MessageKind::FILE).await?;
    for one in &told {
        ensure_eq!(one.total, total, "the total");
        let fraction = one.done as f64 / total as f64;
        ensure!((0.0..=1.0).contains(&fraction), "the fraction is {fraction}");
        ensure_eq!(one.fraction(), fraction, "the fraction");
    }
    Ok("bytes, total and the fraction of both".into())
}
