//! Files of the model hub: uploads, and content that messages name. It checks sizes but no hashes.

use tim_session::proto::message::{ImageFormat, ImageInfo, ImageSize, Payload};
use tim_session::proto::request::{
    BeginUpload, BeginUploadResponse, CancelUpload, Done, Download, DownloadResponse, EndUpload,
    EndUploadResponse, Upload, UploadResponse,
};
use tim_session::proto::wire::List;
use tim_session::proto::{ErrorCode, FileId, Message, MessageKind, UserId};

use super::requests::Context;

/// The longest piece that the model takes.
const PIECE_LEN: u32 = 4096;
/// Every so many bytes of an upload become durable.
const CONFIRM_EVERY: usize = 1000;

/// A file, from its announcement on.
#[derive(Debug)]
struct Stored {
    owner: UserId,
    kind: MessageKind,
    size: u64,
    sha256: Vec<u8>,
    bytes: Vec<u8>,
    /// How many of the bytes are durable.
    confirmed: usize,
    is_complete: bool,
    is_cancelled: bool,
}

impl Stored {
    const fn confirm(&mut self) {
        self.confirmed = self.bytes.len();
    }
}

/// All files. The number of an upload is its place, counted from 1; the id of its file is made of the number.
#[derive(Debug, Default)]
pub(super) struct Files {
    files: Vec<Stored>,
    /// The bytes of all pieces that came.
    pub(super) uploaded: u64,
}

impl Files {
    /// What is not durable is lost.
    pub(super) fn crash(&mut self) {
        for file in &mut self.files {
            file.bytes.truncate(file.confirmed);
        }
    }

    /// The content of a complete file.
    pub(super) fn content(&self, uuid: &str) -> Option<&[u8]> {
        let [number, ..] = uuid.parse::<FileId>().ok()?.to_bytes();
        let file = self.files.get(usize::from(number).checked_sub(1)?)?;
        file.is_complete.then_some(&*file.bytes)
    }

    fn of(&mut self, owner: UserId, upload: u64) -> Result<&mut Stored, ErrorCode> {
        let at = usize::try_from(upload.wrapping_sub(1)).unwrap_or(usize::MAX);
        let file = self.files.get_mut(at);
        file.filter(|file| file.owner == owner && !file.is_cancelled)
            .ok_or(ErrorCode::UPLOAD_UNKNOWN)
    }
}

/// The id of the file of an upload.
const fn id_of(upload: u64) -> FileId {
    FileId::from_bytes([upload as u8; 16])
}

/// The `uuid` in a payload.
const fn uuid_of<'a>(payload: &Payload<'a>) -> Option<&'a str> {
    match payload {
        Payload::Image(it) => Some(it.uuid),
        Payload::Audio(it) => Some(it.uuid),
        Payload::Video(it) => Some(it.uuid),
        Payload::File(it) => Some(it.uuid),
        _ => None,
    }
}

impl Context<'_> {
    pub(super) fn begin_upload(&mut self) -> Result<(), ErrorCode> {
        let begin: BeginUpload<'_> = self.request.request();
        let owner = self.device.0;
        let files = &mut self.store.files.files;
        let same = |file: &Stored| {
            (file.owner, file.kind, file.size, &*file.sha256) == (owner, begin.kind, begin.size, begin.sha256)
                && !file.is_cancelled
        };
        let at = files.iter().position(same).unwrap_or_else(|| {
            files.push(Stored {
                owner,
                kind: begin.kind,
                size: begin.size,
                sha256: begin.sha256.to_vec(),
                bytes: Vec::new(),
                confirmed: 0,
                is_complete: false,
                is_cancelled: false,
            });
            files.len() - 1
        });
        let file = files.get_mut(at).expect("a file that was found or made");
        file.confirm();
        let offset = file.bytes.len() as u64;
        self.respond::<BeginUpload<'_>>(&BeginUploadResponse::new(at as u64 + 1, offset, PIECE_LEN, 4))
    }

    pub(super) fn upload(&mut self) -> Result<(), ErrorCode> {
        let piece: Upload<'_> = self.request.request();
        assert!(!piece.bytes.is_empty() && piece.bytes.len() <= PIECE_LEN as usize);
        self.store.files.uploaded += piece.bytes.len() as u64;
        let file = self.store.files.of(self.device.0, piece.upload)?;
        let known = (file.bytes.len() as u64).checked_sub(piece.offset);
        let known = known.ok_or(ErrorCode::PIECE_OUT_OF_ORDER)?;
        let new = piece.bytes.get(known as usize..).unwrap_or(&[]);
        file.bytes.extend_from_slice(new);
        if file.bytes.len() - file.confirmed >= CONFIRM_EVERY {
            file.confirm();
        }
        let confirmed = file.confirmed as u64;
        self.respond::<Upload<'_>>(&UploadResponse::new(confirmed))
    }

    /// An image gets its original and a thumbnail without content.
    pub(super) fn end_upload(&mut self) -> Result<(), ErrorCode> {
        let end: EndUpload = self.request.request();
        let file = self.store.files.of(self.device.0, end.upload)?;
        if file.bytes.len() as u64 != file.size {
            file.is_cancelled = true;
            return Err(ErrorCode::UPLOAD_MISMATCH);
        }
        file.is_complete = true;
        file.confirm();
        let uuid = id_of(end.upload).to_string();
        let renditions = [ImageSize::ORIGINAL, ImageSize::THUMBNAIL].map(ImageInfo::new);
        let response = EndUploadResponse::new(&uuid, file.size);
        let response = match file.kind {
            MessageKind::IMAGE => response
                .with_format(ImageFormat::PNG)
                .with_images(List::from_slice(&renditions)),
            _ => response,
        };
        self.respond::<EndUpload>(&response)
    }

    pub(super) fn cancel_upload(&mut self) -> Result<(), ErrorCode> {
        let cancel: CancelUpload = self.request.request();
        if let Ok(file) = self.store.files.of(self.device.0, cancel.upload) {
            file.is_cancelled = !file.is_complete;
        }
        self.respond::<CancelUpload>(&Done)
    }

    pub(super) fn download(&mut self) -> Result<(), ErrorCode> {
        let download: Download = self.request.request();
        let key = self.log(download.conversation);
        let entry = key.and_then(|key| self.store.entry(&key, download.sequence));
        let entry = entry.ok_or(ErrorCode::FILE_NOT_FOUND)?;
        let message = Message::decode_from(entry).expect("an entry of the log");
        if message.is_revoked() {
            return Err(ErrorCode::FILE_NOT_FOUND);
        }
        let uuid = uuid_of(&message.payload).ok_or(ErrorCode::FILE_NOT_FOUND)?;
        let content = self.store.files.content(uuid);
        let content = content.ok_or(ErrorCode::FILE_NOT_FOUND)?.to_vec();
        let from = usize::try_from(download.offset).unwrap_or(usize::MAX);
        let end = content.len().min(from.saturating_add(download.len as usize));
        let piece = content.get(from..end).unwrap_or(&[]);
        self.respond::<Download>(&DownloadResponse::new(content.len() as u64, piece))
    }
}
