//! Formats of pictures, recordings, videos and files: by their first bytes, their name, or the application's media type.

use tim_proto::message::ImageFormat;
use tim_proto::{ErrorCode, MessageKind};

use super::opened::Opened;
use crate::ImError;

/// The first bytes of pictures that can be sent, with their format and media type.
const PICTURES: &[(&[u8], ImageFormat, &str)] = &[
    (b"\xff\xd8\xff", ImageFormat::JPEG, "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", ImageFormat::PNG, "image/png"),
    (b"GIF8", ImageFormat::GIF, "image/gif"),
    (b"BM", ImageFormat::BMP, "image/bmp"),
];
const WEBP: (&[u8], &[u8]) = (b"RIFF", b"WEBP");
/// What follows the length of the first box in a file of the MP4 family.
const MP4: &[u8] = b"ftyp";

/// Extensions with their media types. The first one of a media type is its short name.
const EXTENSIONS: &[(&str, &str)] = &[
    ("aac", "audio/aac"),
    ("bmp", "image/bmp"),
    ("csv", "text/csv"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("json", "application/json"),
    ("m4a", "audio/mp4"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("ogg", "audio/ogg"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("txt", "text/plain"),
    ("wav", "audio/wav"),
    ("webp", "image/webp"),
    ("zip", "application/zip"),
];
const ANY: &str = "application/octet-stream";

/// The format and the media type of a picture by its first bytes; `None` if it cannot be sent.
pub(super) fn picture(head: &[u8]) -> Option<(ImageFormat, &'static str)> {
    if head.starts_with(WEBP.0) && head.get(8..12) == Some(WEBP.1) {
        return Some((ImageFormat::UNKNOWN, "image/webp"));
    }
    let known = PICTURES.iter().find(|(first, ..)| head.starts_with(first));
    known.map(|(_, format, media_type)| (*format, *media_type))
}

/// The media type of a file that can be sent as this kind.
///
/// # Errors
/// The code of a wrong type.
pub(super) fn media_type(kind: MessageKind, file: &Opened) -> Result<String, ImError> {
    let given = file.media_type.to_ascii_lowercase();
    let by_name = by_name(&file.name);
    let found = match kind {
        MessageKind::IMAGE => {
            let (_, found) =
                picture(&file.head).ok_or_else(|| wrong(ErrorCode::MESSAGE_IMAGE_TYPES_LIMIT, file))?;
            found.to_owned()
        }
        MessageKind::VIDEO => {
            let is_video = |media_type: &str| matches!(media_type, "video/mp4" | "video/quicktime");
            match by_name.filter(|it| is_video(it)) {
                _ if is_video(&given) => given,
                Some(media_type) => media_type.to_owned(),
                None if given.is_empty() && file.head.get(4..8) == Some(MP4) => "video/mp4".to_owned(),
                None => return Err(wrong(ErrorCode::MESSAGE_VIDEO_TYPES_LIMIT, file)),
            }
        }
        _ if given.is_empty() => by_name.unwrap_or(ANY).to_owned(),
        _ => given,
    };
    Ok(found)
}

/// `mp4` for `a.mp4` and for `video/mp4`.
pub(super) fn short_name(media_type: &str) -> &'static str {
    let known = EXTENSIONS.iter().find(|(_, known)| *known == media_type);
    known.map_or("", |(extension, _)| extension)
}

fn by_name(name: &str) -> Option<&'static str> {
    let (_, extension) = name.rsplit_once('.')?;
    let known = EXTENSIONS
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(extension));
    known.map(|(_, media_type)| *media_type)
}

fn wrong(code: ErrorCode, file: &Opened) -> ImError {
    ImError::new(code, file.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::source::Source;
    use tokio::runtime::Handle;

    async fn found(kind: MessageKind, source: Source) -> Result<String, ErrorCode> {
        let opened = Opened::open(&Handle::current(), source, 1000).await.unwrap();
        media_type(kind, &opened).map_err(|error| error.code)
    }

    #[tokio::test]
    async fn pictures_are_known_by_their_content_and_videos_by_any_sign() {
        let wrong_picture = Err(ErrorCode::MESSAGE_IMAGE_TYPES_LIMIT);
        let wrong_video = Err(ErrorCode::MESSAGE_VIDEO_TYPES_LIMIT);
        let mp4 = b"\0\0\0\x20ftypisom";
        let cases: &[(_, &str, &[u8], &str, _)] = &[
            (
                MessageKind::IMAGE,
                "a.txt",
                b"\xff\xd8\xff\xe0",
                "",
                Ok("image/jpeg"),
            ),
            (
                MessageKind::IMAGE,
                "a",
                b"RIFF\0\0\0\0WEBPVP8 ",
                "",
                Ok("image/webp"),
            ),
            (MessageKind::IMAGE, "a.png", b"MZ", "image/png", wrong_picture),
            (MessageKind::VIDEO, "a.MOV", b"moov", "", Ok("video/quicktime")),
            (MessageKind::VIDEO, "a", mp4, "", Ok("video/mp4")),
            (MessageKind::VIDEO, "a", b"x", "video/mp4", Ok("video/mp4")),
            (MessageKind::VIDEO, "a.avi", b"RIFF", "", wrong_video),
            (MessageKind::AUDIO, "a.aac", b"x", "", Ok("audio/aac")),
            (MessageKind::FILE, "a.unheard-of", b"x", "", Ok(ANY)),
            (MessageKind::FILE, "a.pdf", b"x", "Text/Plain", Ok("text/plain")),
        ];
        for (kind, name, content, given, expected) in cases {
            let source = Source::bytes(*name, *content).with_media_type(*given);
            let found = found(*kind, source).await;
            assert_eq!(found.as_deref(), expected.as_deref(), "{name}");
        }
        assert_eq!((short_name("video/quicktime"), short_name("a/b")), ("mov", ""));
    }
}
