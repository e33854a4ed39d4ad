//! The files of messages: what is in them, and how a message says which one it is.
//!
//! Content follows from numbers, so that whoever sees some of it can tell whether it is right. The [mark](Mark) of a message with a file is
//! in its name or format; that of a picture is its width and height.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use tim_session::proto::message::{
    Audio, File, Image, ImageFormat, ImageInfo, ImageSize, Payload, Thumbnail, Video,
};
use tim_session::proto::wire::List;
use tim_session::proto::{FileId, MessageKind};

use super::history::{FileOf, Mark, Said};
use super::op::FileKind;
use crate::Rng;

/// The sides of a picture are up to so many pixels.
const SIDE: u32 = 64;
/// The header of a picture.
const BMP_HEADER: usize = 54;

impl FileKind {
    /// The kind of its message.
    #[must_use]
    pub const fn message(self) -> MessageKind {
        match self {
            Self::Image => MessageKind::IMAGE,
            Self::Audio => MessageKind::AUDIO,
            Self::Video => MessageKind::VIDEO,
            Self::File => MessageKind::FILE,
        }
    }

    const fn extension(self) -> &'static str {
        match self {
            Self::Image => "bmp",
            Self::Audio => "aac",
            Self::Video => "mp4",
            Self::File => "bin",
        }
    }
}

/// The name of a file that is sent in a message with this mark.
pub(crate) fn name_of(mark: Mark, kind: FileKind) -> String {
    format!("{}{}", mark.text(), kind.extension())
}

/// The content of a file.
pub(crate) fn content_of(file: FileOf) -> Vec<u8> {
    if file.body.kind == FileKind::Image {
        return picture(file.origin);
    }
    let which = match file.body.content {
        0 => u64::from(file.origin.0),
        known => 1 << 40 | u64::from(known),
    };
    let mut rng = Rng::new(which.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    rng.draw();
    let words = (file.body.size as usize).div_ceil(8);
    let mut bytes: Vec<u8> = (0..words).flat_map(|_| rng.draw().to_le_bytes()).collect();
    bytes.truncate(file.body.size as usize);
    bytes
}

/// The width and height of the picture with this mark.
const fn sides_of(mark: Mark) -> (u32, u32) {
    (1 + mark.0 % SIDE, 1 + mark.0 / SIDE % SIDE)
}

/// The mark of the picture with these sides.
const fn mark_of((width, height): (u32, u32)) -> Option<Mark> {
    match (width.checked_sub(1), height.checked_sub(1)) {
        (Some(low), Some(high)) if low < SIDE && high < SIDE => Some(Mark(low + high * SIDE)),
        _ => None,
    }
}

/// A picture in the simplest format.
fn picture(mark: Mark) -> Vec<u8> {
    let (width, height) = sides_of(mark);
    let row = (width as usize * 3).next_multiple_of(4);
    let size = BMP_HEADER + row * height as usize;
    let mut bytes = b"BM".to_vec();
    bytes.extend((size as u32).to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend((BMP_HEADER as u32).to_le_bytes());
    bytes.extend(40_u32.to_le_bytes());
    bytes.extend(width.to_le_bytes());
    bytes.extend(height.to_le_bytes());
    bytes.extend(1_u16.to_le_bytes());
    bytes.extend(24_u16.to_le_bytes());
    bytes.resize(BMP_HEADER, 0);
    bytes.extend((BMP_HEADER..size).map(|at| (at as u32 * 31 + mark.0) as u8));
    bytes
}

/// What tells bytes from others.
pub(crate) fn hash_of(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

/// Passes the payload of a message with this mark and a file that the hub has.
pub(crate) fn with_uploaded<T>(
    mark: Mark,
    file: FileOf,
    uuid: &str,
    size: u64,
    make: impl FnOnce(Payload<'_>) -> T,
) -> T {
    let (name, text) = (name_of(mark, file.body.kind), mark.text());
    match file.body.kind {
        FileKind::Image => {
            let (width, height) = sides_of(mark);
            let sizes = [ImageSize::ORIGINAL, ImageSize::THUMBNAIL, ImageSize::LARGE];
            let info = |part| ImageInfo::new(part).with_size(size);
            let images = sizes.map(|part| info(part).with_width(width).with_height(height));
            make(
                Image::new(ImageFormat::BMP, List::from_slice(&images))
                    .with_uuid(uuid)
                    .into(),
            )
        }
        FileKind::Audio => make(
            Audio::new()
                .with_uuid(uuid)
                .with_size(size)
                .with_format(&text)
                .into(),
        ),
        FileKind::Video => {
            let thumbnail = Thumbnail::new().with_is_default(true);
            let video = Video::new().with_uuid(uuid).with_size(size);
            make(video.with_format(&text).with_thumbnail(thumbnail).into())
        }
        FileKind::File => make(
            File::new()
                .with_uuid(uuid)
                .with_name(&name)
                .with_size(size)
                .into(),
        ),
    }
}

/// The file of the hub that a payload names.
pub(crate) fn file_in(payload: &Payload<'_>) -> Option<FileId> {
    let uuid = match payload {
        Payload::Image(image) => image.uuid,
        Payload::Audio(audio) => audio.uuid,
        Payload::Video(video) => video.uuid,
        Payload::File(file) => file.uuid,
        _ => return None,
    };
    uuid.parse().ok()
}

/// The size of the file that a payload names.
pub(crate) fn size_in(payload: &Payload<'_>) -> u64 {
    match payload {
        Payload::Image(image) => image.images.iter().next().map_or(0, |original| original.size),
        Payload::Audio(audio) => audio.size,
        Payload::Video(video) => video.size,
        Payload::File(file) => file.size,
        _ => 0,
    }
}

/// What a message with a file says, whatever the hub calls the file; `None` for other messages.
pub(super) fn said(kind: MessageKind, bytes: &[u8]) -> Option<Said> {
    if !matches!(
        kind,
        MessageKind::IMAGE | MessageKind::AUDIO | MessageKind::VIDEO | MessageKind::FILE
    ) {
        return None;
    }
    let payload = Payload::decode(kind, bytes);
    let mark = match &payload {
        Payload::Image(image) => {
            let original = image.images.iter().next();
            original.and_then(|original| mark_of((original.width, original.height)))
        }
        Payload::Audio(audio) => Mark::find(audio.format.as_bytes()),
        Payload::Video(video) => Mark::find(video.format.as_bytes()),
        Payload::File(file) => Mark::find(file.name.as_bytes()),
        _ => None,
    };
    let size = size_in(&payload);
    Some(Said {
        kind,
        mark,
        hash: hash_of(&size.to_le_bytes()),
        len: size as u32,
    })
}

/// The result of something that waits for nothing.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::op::FileBody;
    use tim_session::proto::message::to_vec;

    #[test]
    fn a_message_with_a_file_says_which_one_it_is_whatever_the_hub_calls_the_file() {
        let kinds = [FileKind::Image, FileKind::Audio, FileKind::Video, FileKind::File];
        for (kind, mark) in kinds
            .into_iter()
            .flat_map(|kind| [0, 63, 64, 599].map(|n| (kind, Mark(n))))
        {
            let body = FileBody {
                kind,
                size: 100,
                content: 0,
            };
            let file = FileOf { origin: mark, body };
            let size = content_of(file).len() as u64;
            let said_of = |uuid: &str| {
                with_uploaded(mark, file, uuid, size, |payload| {
                    said(payload.kind(), &to_vec(&payload))
                })
            };
            let id = FileId::from_bytes([7; 16]).to_string();
            let found = said_of(&id);
            assert_eq!(found.and_then(|said| said.mark), Some(mark), "{kind:?}");
            assert_eq!(found, said_of(""));
        }
        assert_eq!(said(MessageKind::TEXT, b"mark:00000001."), None);
    }

    #[test]
    fn content_is_the_same_again_and_another_one_for_another_number() {
        let file = |origin, content| {
            let body = FileBody {
                kind: FileKind::File,
                size: 500,
                content,
            };
            FileOf {
                origin: Mark(origin),
                body,
            }
        };
        assert_eq!(content_of(file(1, 0)), content_of(file(1, 0)));
        assert_ne!(content_of(file(1, 0)), content_of(file(2, 0)));
        assert_eq!(content_of(file(1, 3)), content_of(file(2, 3)));
        assert_ne!(content_of(file(1, 3)), content_of(file(1, 4)));
        assert_eq!(content_of(file(1, 0)).len(), 500);
    }
}
