//! The files that the payload of a message names.

use tim_proto::request::UploadRefused;
use tim_proto::{ErrorCode, FileId, FileNameError, MessageKind, Payload, check_file_name};

use crate::refusal::Refusal;
use crate::service::Services;

/// A file of the hub that a payload names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::handlers) struct Named {
    pub(in crate::handlers) file: FileId,
    /// The kind of message that it must be for.
    kind: MessageKind,
    /// Its size according to the payload, if that has one.
    size: Option<u64>,
    /// Whether the payload has a URL for it too.
    has_url: bool,
    /// What is wrong with its name in the payload.
    bad_name: Option<FileNameError>,
}

/// The file of a message, and the thumbnail of a video, if they are the hub's. Payloads can also name files of other services.
pub(in crate::handlers) fn named(payload: &Payload<'_>) -> [Option<Named>; 2] {
    let named = |uuid: &str, kind, size, has_url| {
        uuid.parse().ok().map(|file| Named {
            file,
            kind,
            size,
            has_url,
            bad_name: None,
        })
    };
    let file = match payload {
        Payload::Image(image) => {
            let original = image.images.iter().find(|one| one.size_type.0 == 1);
            let has_url = image.images.iter().any(|one| !one.url.is_empty());
            named(
                image.uuid,
                MessageKind::IMAGE,
                original.map(|one| one.size),
                has_url,
            )
        }
        Payload::Audio(audio) => named(
            audio.uuid,
            MessageKind::AUDIO,
            Some(audio.size),
            !audio.url.is_empty(),
        ),
        Payload::Video(video) => named(
            video.uuid,
            MessageKind::VIDEO,
            Some(video.size),
            !video.url.is_empty(),
        ),
        Payload::File(file) => named(
            file.uuid,
            MessageKind::FILE,
            Some(file.size),
            !file.url.is_empty(),
        )
        .map(|named| Named {
            // The name may be empty.
            bad_name: check_file_name(file.name).err().filter(|_| !file.name.is_empty()),
            ..named
        }),
        _ => None,
    };
    let thumbnail = match payload {
        Payload::Video(video) => {
            let thumbnail = video.thumbnail;
            named(
                thumbnail.uuid,
                MessageKind::IMAGE,
                None,
                !thumbnail.url.is_empty(),
            )
        }
        _ => None,
    };
    [file, thumbnail]
}

/// Refuses a message whose payload is wrong about its file. The store decides whether the sender may send the file.
pub(in crate::handlers) fn check_named(services: &Services, named: &Named) -> Result<(), Refusal> {
    let refusal = |text: &str| Err(Refusal::new(ErrorCode::FILE_NOT_YOURS, text));
    if let Some(bad_name) = named.bad_name {
        let bad_name = UploadRefused::Name(bad_name);
        return Err(Refusal::new(bad_name.code(), bad_name.to_string()));
    }
    if named.has_url {
        return refusal("a message with a file of this hub must not have a URL");
    }
    // The store refuses a message whose file is gone, unless it is the repetition of one that was stored.
    let Some(file) = services.reads.store().file(&named.file)? else {
        return Ok(());
    };
    if file.kind != named.kind {
        return refusal("the message names a file that was uploaded for another kind of message");
    }
    match named.size {
        Some(size) if size != file.size => refusal("the size in the message is not that of its file"),
        _ => Ok(()),
    }
}
