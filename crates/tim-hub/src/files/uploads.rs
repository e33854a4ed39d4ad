//! The uploads that pieces come for.
//!
//! A *lane* has what waits for one upload, in the order in which it came. One job at a time works on it, so that the bytes are
//! written in order and a hash is computed once; several pieces are written by one job. A lane that is empty is gone.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tim_files::{Announced, Completed, FileError, Format, Picture};
use tim_groups::Refused;
use tim_proto::message::{ImageFormat, ImageInfo, ImageSize};
use tim_proto::request::{CancelUpload, Done, EndUpload, EndUploadResponse, Upload, UploadResponse};
use tim_proto::wire::List;
use tim_proto::{ErrorCode, FileId, MessageKind, UserId};
use tim_store::{AddFile, File, FileImage, Write, WriteError, WriteResult, Written};

use super::Files;
use crate::device::Responder;
use crate::refusal::Refusal;
use crate::threads::lock;

/// How many pieces of an upload are under way at the most.
pub(crate) const MAX_PIECES: usize = 16;
/// How many bytes wait for one upload at the most: the pieces of those who keep to the window, and of a few who have come again.
const MAX_LANE_BYTES: usize = 4 << 20;
/// How many bytes wait for all uploads together at the most.
const MAX_BYTES: usize = 64 << 20;
/// How many bytes one job writes before others have their turn.
const TURN: usize = 1 << 20;
/// With so many bytes that are not durable, an upload for which nothing waits is made so.
const SYNC_AT_REST: u64 = 1 << 20;

/// What waits for an upload.
pub(super) struct Lane {
    user: UserId,
    tasks: VecDeque<Task>,
    bytes: usize,
}

enum Task {
    Piece(Piece),
    End(Responder<EndUpload>),
    Cancel(Responder<CancelUpload>),
}

/// A piece of an upload.
pub(crate) struct Piece {
    pub(crate) offset: u64,
    pub(crate) bytes: Box<[u8]>,
    pub(crate) responder: Responder<Upload<'static>>,
}

impl Files {
    /// Takes a piece, to be written on the pool. The caller has seen that it is the user's upload.
    pub(crate) fn add_piece(
        self: &Arc<Self>,
        user: UserId,
        upload: u64,
        piece: Piece,
    ) -> Result<(), Refusal> {
        let len = piece.bytes.len();
        let waiting = self.waiting_bytes.fetch_add(len, Ordering::Relaxed);
        let added = if waiting > MAX_BYTES {
            Err(Refusal::new(
                ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR,
                "too many pieces of files wait",
            ))
        } else {
            self.add(user, upload, Task::Piece(piece))
        };
        if added.is_err() {
            self.waiting_bytes.fetch_sub(len, Ordering::Relaxed);
        }
        added
    }

    /// Ends an upload, behind its pieces.
    pub(crate) fn end(
        self: &Arc<Self>,
        user: UserId,
        upload: u64,
        responder: Responder<EndUpload>,
    ) -> Result<(), Refusal> {
        self.add(user, upload, Task::End(responder))
    }

    /// Cancels an upload, behind its pieces.
    pub(crate) fn cancel(
        self: &Arc<Self>,
        user: UserId,
        upload: u64,
        responder: Responder<CancelUpload>,
    ) -> Result<(), Refusal> {
        self.add(user, upload, Task::Cancel(responder))
    }

    fn add(self: &Arc<Self>, user: UserId, upload: u64, task: Task) -> Result<(), Refusal> {
        let len = task.len();
        let is_new = {
            let mut lanes = lock(&self.lanes);
            let is_new = !lanes.contains_key(&upload);
            let lane = lanes.entry(upload).or_insert_with(|| Lane {
                user,
                tasks: VecDeque::new(),
                bytes: 0,
            });
            // Numbers are not shared; nobody learns of another's lane.
            if lane.user != user {
                return Err(FileError::UnknownUpload.into());
            }
            if lane.tasks.len() >= 2 * MAX_PIECES || lane.bytes + len > MAX_LANE_BYTES {
                let text = "more pieces are under way than the window allows";
                return Err(Refusal::new(ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR, text));
            }
            lane.bytes += len;
            lane.tasks.push_back(task);
            is_new
        };
        if is_new {
            self.work_on(user, upload);
        }
        Ok(())
    }

    fn work_on(self: &Arc<Self>, user: UserId, upload: u64) {
        let files = Arc::clone(self);
        self.disk
            .run_detached(Some(user), move || files.work(user, upload));
    }

    /// Does what waits for an upload, for a turn.
    fn work(self: &Arc<Self>, user: UserId, upload: u64) {
        let mut done = 0;
        let mut unconfirmed = 0;
        while done < TURN {
            let Some(task) = self.next_task(upload) else {
                self.rest(user, upload, unconfirmed);
                unconfirmed = 0;
                if self.leave(upload) {
                    return;
                }
                continue;
            };
            let len = task.len();
            done += len;
            match task {
                Task::Piece(piece) => unconfirmed = self.write(user, upload, piece),
                Task::Cancel(responder) => {
                    let cancelled = self
                        .content()
                        .and_then(|content| Ok(content.cancel(user.as_str(), upload)?));
                    match cancelled {
                        Ok(()) => responder.respond(&Done),
                        Err(refusal) => responder.refuse(refusal),
                    }
                }
                // Goes on when it is answered.
                Task::End(responder) => return self.begin_end(user, upload, responder),
            }
            self.waiting_bytes.fetch_sub(len, Ordering::Relaxed);
        }
        self.work_on(user, upload);
    }

    fn next_task(&self, upload: u64) -> Option<Task> {
        let mut lanes = lock(&self.lanes);
        let lane = lanes.get_mut(&upload)?;
        let task = lane.tasks.pop_front()?;
        lane.bytes -= task.len();
        Some(task)
    }

    /// Leaves an upload for which nothing waits; whether nothing does.
    fn leave(&self, upload: u64) -> bool {
        let mut lanes = lock(&self.lanes);
        let is_empty = lanes.get(&upload).is_none_or(|lane| lane.tasks.is_empty());
        if is_empty {
            lanes.remove(&upload);
        }
        is_empty
    }

    /// Writes a piece and answers it. Returns how many bytes of the upload are not durable.
    fn write(&self, user: UserId, upload: u64, piece: Piece) -> u64 {
        let steady_ms = self.clock.steady_ms();
        let written = self.content().and_then(|content| {
            let written = content.append(user.as_str(), upload, piece.offset, &piece.bytes, steady_ms);
            Ok(written?)
        });
        match written {
            Ok(written) => {
                piece.responder.respond(&UploadResponse::new(written.confirmed));
                written.received - written.confirmed
            }
            Err(refusal) => {
                piece.responder.refuse(refusal);
                0
            }
        }
    }

    /// Nothing waits for the upload. Its file is closed: there may be many such uploads.
    fn rest(&self, user: UserId, upload: u64, unconfirmed: u64) {
        let Ok(content) = self.content() else { return };
        if unconfirmed < SYNC_AT_REST || content.rest(user.as_str(), upload).is_err() {
            content.pause(user.as_str(), upload);
        }
    }

    /// Begins to end an upload: pictures are decoded elsewhere.
    fn begin_end(self: &Arc<Self>, user: UserId, upload: u64, responder: Responder<EndUpload>) {
        if let Some(file) = self.finished_as(user, upload) {
            respond(responder, &file);
            return self.work_on(user, upload);
        }
        let announced = self
            .content()
            .map(|content| content.announced(user.as_str(), upload));
        match announced {
            Ok(Some(announced)) if announced.kind == MessageKind::IMAGE.0 => {
                let files = Arc::clone(self);
                self.rendering.run_detached(Some(user), move || {
                    files.complete(user, upload, &announced, responder)
                });
            }
            Ok(Some(announced)) => self.complete(user, upload, &announced, responder),
            Ok(None) => {
                responder.refuse(FileError::UnknownUpload.into());
                self.work_on(user, upload);
            }
            Err(refusal) => {
                responder.refuse(refusal);
                self.work_on(user, upload);
            }
        }
    }

    /// Puts the content of an upload in its place, and has the store write its row.
    fn complete(
        self: &Arc<Self>,
        user: UserId,
        upload: u64,
        announced: &Announced,
        responder: Responder<EndUpload>,
    ) {
        let is_picture = announced.kind == MessageKind::IMAGE.0;
        let completed = self
            .content()
            .and_then(|content| Ok(content.complete(user.as_str(), upload, is_picture)?));
        let completed = match completed {
            Ok(completed) => completed,
            Err(refusal) => {
                responder.refuse(refusal);
                return self.work_on(user, upload);
            }
        };
        let write = Write::AddFile(Box::new(AddFile {
            file: row(user, announced, &completed),
            quota: self.settings.file_quota(),
        }));
        let (files, answered) = (Arc::clone(self), responder.clone());
        let submitted = self.writer.submit(write, move |answer| {
            files.added(user, upload, completed.file, answer, answered)
        });
        if let Err(error) = submitted {
            responder.refuse(error.into());
            self.work_on(user, upload);
        }
    }

    /// The store has written the row of a file, or not. On the store's thread, which does not wait for the disk.
    fn added(
        self: &Arc<Self>,
        user: UserId,
        upload: u64,
        completed: FileId,
        answer: WriteResult,
        responder: Responder<EndUpload>,
    ) {
        let is_kept = match answer {
            Ok(Written::File { file, .. }) => {
                let is_kept = file.id == completed;
                let file = Arc::from(file);
                respond(responder, &file);
                self.finished(upload, file);
                Some(is_kept)
            }
            Ok(_) => {
                responder.refuse(Refusal::wrong_answer());
                None
            }
            Err(error) => {
                // Of anything else it may be that the row is there: the upload can be ended again.
                let is_refused = matches!(error, WriteError::Refused(_));
                let is_full = matches!(
                    error,
                    WriteError::Refused(Refused::TooManyFiles { .. } | Refused::TooManyFileBytes { .. })
                );
                let refusal = Refusal::from(error);
                responder.refuse(match is_full {
                    true => Refusal {
                        retry_after_ms: 0,
                        ..refusal
                    },
                    false => refusal,
                });
                is_refused.then_some(false)
            }
        };
        let files = Arc::clone(self);
        self.disk.run_detached(Some(user), move || {
            if let Ok(content) = files.content() {
                match is_kept {
                    Some(true) => content.settle(user.as_str(), upload),
                    Some(false) => content.discard(user.as_str(), upload),
                    None => {}
                }
            }
            files.work(user, upload);
        });
    }
}

impl Task {
    fn len(&self) -> usize {
        match self {
            Self::Piece(piece) => piece.bytes.len(),
            Self::End(_) | Self::Cancel(_) => 0,
        }
    }
}

/// What the store keeps of a file.
fn row(owner: UserId, announced: &Announced, completed: &Completed) -> File {
    let picture = completed.picture.as_ref();
    File {
        id: completed.file,
        owner,
        kind: MessageKind(announced.kind),
        size: announced.size,
        sha256: announced.sha256,
        // Of a picture by its content, whatever was announced.
        media_type: picture.map_or_else(
            || announced.media_type.clone(),
            |picture| picture.format.media_type().to_owned(),
        ),
        format: picture
            .map_or(ImageFormat::UNKNOWN, |picture| format(picture.format))
            .0,
        images: picture
            .map(|picture| images(picture, announced.size))
            .unwrap_or_default(),
        created_ms: 0,
    }
}

fn images(picture: &Picture, size: u64) -> Vec<FileImage> {
    let original = FileImage {
        part: ImageSize::ORIGINAL.0,
        width: picture.width,
        height: picture.height,
        size,
        is_original: true,
    };
    let renditions = [
        (ImageSize::LARGE, picture.large),
        (ImageSize::THUMBNAIL, picture.thumbnail),
    ];
    let renditions = renditions.map(|(part, rendition)| FileImage {
        part: part.0,
        width: rendition.width,
        height: rendition.height,
        size: rendition.size,
        is_original: rendition.is_original,
    });
    std::iter::once(original).chain(renditions).collect()
}

const fn format(format: Format) -> ImageFormat {
    match format {
        Format::Jpeg => ImageFormat::JPEG,
        Format::Gif => ImageFormat::GIF,
        Format::Png => ImageFormat::PNG,
        Format::Bmp => ImageFormat::BMP,
        _ => ImageFormat::UNKNOWN,
    }
}

/// Answers with what the payload of a message says of its file.
fn respond(responder: Responder<EndUpload>, file: &File) {
    let mut images: Vec<ImageInfo<'_>> = file
        .images
        .iter()
        .map(|image| {
            ImageInfo::new(ImageSize(image.part))
                .with_size(image.size)
                .with_width(image.width)
                .with_height(image.height)
        })
        .collect();
    if file.kind == MessageKind::VIDEO {
        let side = tim_files::DEFAULT_THUMBNAIL;
        let size = tim_files::default_thumbnail().len() as u64;
        let thumbnail = ImageInfo::new(ImageSize::THUMBNAIL).with_size(size);
        images.push(thumbnail.with_width(side).with_height(side));
    }
    let uuid = file.id.to_string();
    let response = EndUploadResponse::new(&uuid, file.size)
        .with_images(List::from_slice(&images))
        .with_format(ImageFormat(file.format));
    responder.respond(&response);
}
