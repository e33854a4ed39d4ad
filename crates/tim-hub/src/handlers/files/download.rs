//! DOWNLOAD and FILE_URL: the files of messages, for users who may read the message now.

use std::sync::Arc;

use tim_files::{Part, default_thumbnail};
use tim_proto::message::Content;
use tim_proto::planted::{self, Fault};
use tim_proto::request::{Download, DownloadResponse, FilePart, FileUrl};
use tim_proto::wire::decode_body;
use tim_proto::{ConversationId, ErrorCode, FileId, MessageId, MessageKind, Payload, UserId};
use tim_store::{File, LogKey};

use super::super::visibility::read_visible;
use super::super::{Handled, Reply};
use crate::client_context::ClientContext;
use crate::device::Responder;
use crate::refusal::Refusal;
use crate::service::Services;

/// The maximum number of pieces for one device that are being read or wait in its mailbox.
const MAX_DOWNLOADS: usize = 16;

/// Which file is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    conversation: ConversationId,
    sequence: u64,
    message: MessageId,
    part: FilePart,
}

impl From<&FileUrl> for Wanted {
    fn from(request: &FileUrl) -> Self {
        Self {
            conversation: request.conversation,
            sequence: request.sequence,
            message: request.message,
            part: request.part,
        }
    }
}

/// What is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    File {
        file: File,
        part: Part,
        size: u64,
    },
    /// The thumbnail of a video that has none.
    DefaultThumbnail,
}

/// Sends a piece of the file of a message. Other requests do not wait for it.
pub(in crate::handlers) fn download(
    services: &Arc<Services>,
    client: &mut ClientContext,
    request: &Download,
) -> Handled<Download> {
    services.files.content()?;
    let Some(hold) = client.begin_download(MAX_DOWNLOADS) else {
        let text = "too many pieces are under way to this device; receive some first";
        return Err(Refusal::new(ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR, text));
    };
    let wanted = Wanted {
        conversation: request.conversation,
        sequence: request.sequence,
        message: request.message,
        part: request.part,
    };
    let most = client.max_response().saturating_sub(DownloadResponse::OVERHEAD) as u64;
    let (offset, len) = (request.offset, u64::from(request.len).min(most));
    let (user, responder, services) = (
        client.user(),
        client.responder::<Download>(),
        Arc::clone(services),
    );
    let reads = services.reads.clone();
    reads.run_detached(Some(user), move || match find(&services, user, &wanted) {
        Ok(found) => read(&services, user, &found, (offset, len), responder, hold),
        Err(refusal) => responder.refuse(refusal),
    });
    Reply::later()
}

/// Reads what was found, on the pool of files.
fn read(
    services: &Services,
    user: UserId,
    found: &Found,
    (offset, len): (u64, u64),
    responder: Responder<Download>,
    hold: Arc<()>,
) {
    let total = match found {
        Found::File { size, .. } => *size,
        Found::DefaultThumbnail => default_thumbnail().len() as u64,
    };
    let range = offset.min(total)..offset.saturating_add(len).min(total);
    match found {
        Found::File { file, part, .. } if !range.is_empty() => {
            let file = file.id;
            services
                .files
                .read(user, (file, *part), range, move |read| match read {
                    Ok(bytes) => responder.respond_holding(&DownloadResponse::new(total, &bytes), hold),
                    Err(refusal) => responder.refuse(refusal),
                });
        }
        Found::File { .. } => responder.respond(&DownloadResponse::new(total, &[])),
        Found::DefaultThumbnail => {
            let bytes = usize::try_from(range.start)
                .ok()
                .zip(usize::try_from(range.end).ok());
            let bytes = bytes
                .and_then(|(start, end)| default_thumbnail().get(start..end))
                .unwrap_or(&[]);
            responder.respond_holding(&DownloadResponse::new(total, bytes), hold);
        }
    }
}

/// The file of a message that the user may read now.
fn find(services: &Services, user: UserId, wanted: &Wanted) -> Result<Found, Refusal> {
    find_with(services, user, wanted, |_| ()).map(|(found, ())| found)
}

/// The same, with something from the message.
pub(super) fn find_with<T>(
    services: &Services,
    user: UserId,
    wanted: &Wanted,
    also: impl FnOnce(&Payload<'_>) -> T,
) -> Result<(Found, T), Refusal> {
    let log = LogKey::of(user, wanted.conversation);
    let store = services.reads.store();
    let read = |after| {
        if wanted.sequence <= after {
            return Ok(None);
        }
        let Some(entry) = store.entry(&log, wanted.sequence)? else {
            return Ok(None);
        };
        Ok(Some((entry, store.files_of(&log, wanted.sequence)?)))
    };
    let found = match planted::is(Fault::DownloadUnchecked) {
        true => read(0)?,
        false => read_visible(services, user, &log, read)?,
    };
    let is_wanted = |id: MessageId| wanted.message == MessageId::NONE || wanted.message == id;
    let Some((entry, files)) = found.filter(|(entry, _)| is_wanted(entry.id)) else {
        return Err(gone());
    };
    if entry.is_revoked() {
        return Err(gone());
    }
    let Ok(content) = decode_body::<Content<'_>>(&entry.content) else {
        return Err(Refusal::new(
            ErrorCode::STORAGE_FAILED,
            "the stored message cannot be read",
        ));
    };
    let payload = Payload::decode(content.kind, content.payload);
    let Some(file) = file_of(&payload, wanted.part) else {
        return Ok((default_of(&payload, wanted.part)?, also(&payload)));
    };
    if !files.contains(&file) {
        return Err(gone());
    }
    let file = store.file(&file)?.ok_or_else(gone)?;
    Ok((part_of(file, &payload, wanted.part)?, also(&payload)))
}

/// The file that a part of a message is in.
fn file_of(payload: &Payload<'_>, part: FilePart) -> Option<FileId> {
    let uuid = match (payload, part) {
        (Payload::Image(image), _) => image.uuid,
        (Payload::Video(video), FilePart::THUMBNAIL) => video.thumbnail.uuid,
        (Payload::Video(video), FilePart::FILE | FilePart::ORIGINAL) => video.uuid,
        (Payload::Audio(audio), FilePart::FILE | FilePart::ORIGINAL) => audio.uuid,
        (Payload::File(file), FilePart::FILE | FilePart::ORIGINAL) => file.uuid,
        _ => return None,
    };
    uuid.parse().ok()
}

/// The default thumbnail, of a video of this hub that has no other.
fn default_of(payload: &Payload<'_>, part: FilePart) -> Result<Found, Refusal> {
    match payload {
        Payload::Video(video)
            if part == FilePart::THUMBNAIL
                && video.thumbnail.uuid.is_empty()
                && video.thumbnail.url.is_empty()
                && video.uuid.parse::<FileId>().is_ok() =>
        {
            Ok(Found::DefaultThumbnail)
        }
        _ => Err(gone()),
    }
}

/// Where the part of a file is.
fn part_of(file: File, payload: &Payload<'_>, part: FilePart) -> Result<Found, Refusal> {
    let is_picture = matches!(payload, Payload::Image(_)) && file.kind == MessageKind::IMAGE;
    let (stored, size) = match part {
        FilePart::LARGE | FilePart::THUMBNAIL if is_picture => {
            let image = file
                .images
                .iter()
                .find(|image| image.part == part.0)
                .ok_or_else(gone)?;
            match (image.is_original, part) {
                (true, _) => (Part::Original, file.size),
                (false, FilePart::LARGE) => (Part::Large, image.size),
                (false, _) => (Part::Thumbnail, image.size),
            }
        }
        FilePart::FILE | FilePart::ORIGINAL => (Part::Original, file.size),
        // A video's own.
        FilePart::THUMBNAIL => (Part::Original, file.size),
        _ => return Err(gone()),
    };
    Ok(Found::File {
        file,
        part: stored,
        size,
    })
}

fn gone() -> Refusal {
    Refusal::new(ErrorCode::FILE_NOT_FOUND, "")
}

/// Makes a URL for the file of a message, if the hub serves files by HTTP.
pub(in crate::handlers) fn file_url(
    services: &Services,
    client: &mut ClientContext,
    request: &FileUrl,
) -> Handled<FileUrl> {
    services.files.content()?;
    find(services, client.user(), &request.into())?;
    #[cfg(feature = "http")]
    {
        let (app, now_s) = (services.settings.app(), services.now_ms() / 1000);
        if let Some((url, expires)) = services.file_urls.url(&app, client.user(), request, now_s) {
            return Reply::now(&tim_proto::request::FileUrlResponse::new(&url, expires));
        }
    }
    Err(Refusal::new(
        ErrorCode::FILE_NOT_FOUND,
        "this hub does not serve files by HTTP",
    ))
}
