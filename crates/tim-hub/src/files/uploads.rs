//! Uploads that receive pieces.
//!
//! A *lane* is the queue of one upload. One job at a time works on it, so that the bytes are written in order and the hash is computed
//! once. A job writes several pieces. An empty lane is removed.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tim_files::{Announced, FileError};
use tim_groups::Refused;
use tim_proto::planted::{self, Fault};
use tim_proto::request::{CancelUpload, Done, EndUpload, Upload, UploadResponse};
use tim_proto::{ErrorCode, FileId, MessageKind, UserId};
use tim_store::{AddFile, File, FileContent, Write, WriteError, WriteResult, Written};
use tracing::info;

use super::Files;
use super::rows::{parts, respond, row};
use crate::device::Responder;
use crate::refusal::Refusal;
use crate::threads::lock;

/// The maximum number of pieces of an upload that are under way.
pub(crate) const MAX_PIECES: usize = 16;
/// The maximum number of bytes in the lanes of a user: a few windows full of pieces.
const MAX_BYTES_OF_USER: usize = 4 << 20;
/// The maximum number of bytes in all lanes together.
const MAX_BYTES: usize = 64 << 20;
/// How many bytes a job writes before others have their turn.
const TURN: usize = 1 << 20;
/// An upload whose lane is empty is synced if so many of its bytes are not durable.
const SYNC_AT_REST: u64 = 1 << 20;

/// The queues of all uploads.
#[derive(Default)]
pub(super) struct Lanes {
    /// By user too, so that a request that names another user's upload delays nobody.
    lanes: HashMap<(UserId, u64), VecDeque<Task>>,
    /// The bytes of those who have some.
    of_users: HashMap<UserId, usize>,
    bytes: usize,
}

impl Lanes {
    fn len(&self) -> usize {
        self.lanes.len()
    }

    /// Adds a task; whether it is the first one of its lane.
    fn add(&mut self, user: UserId, upload: u64, task: Task) -> Result<bool, Refusal> {
        let len = task.len();
        let overload = |text| Err(Refusal::new(ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR, text));
        if self.bytes + len > MAX_BYTES {
            return overload("too many pieces are waiting");
        }
        if len > 0 && self.of_users.get(&user).map_or(0, |bytes| *bytes) + len > MAX_BYTES_OF_USER {
            return overload("too many pieces of this account are waiting");
        }
        let is_new = !self.lanes.contains_key(&(user, upload));
        let lane = self.lanes.entry((user, upload)).or_default();
        if lane.len() >= 2 * MAX_PIECES {
            return overload("more pieces are under way than the window allows");
        }
        lane.push_back(task);
        self.bytes += len;
        if len > 0 {
            *self.of_users.entry(user).or_default() += len;
        }
        Ok(is_new)
    }

    fn next(&mut self, user: UserId, upload: u64) -> Option<Task> {
        let task = self.lanes.get_mut(&(user, upload))?.pop_front()?;
        let len = task.len();
        self.bytes -= len;
        if let Some(bytes) = self.of_users.get_mut(&user) {
            *bytes -= len;
            if *bytes == 0 {
                self.of_users.remove(&user);
            }
        }
        Some(task)
    }

    /// Removes a lane if it is empty. Returns whether it is.
    fn leave(&mut self, user: UserId, upload: u64) -> bool {
        let lane = (user, upload);
        let is_empty = self.lanes.get(&lane).is_none_or(VecDeque::is_empty);
        if is_empty {
            self.lanes.remove(&lane);
        }
        is_empty
    }
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
    /// How many uploads have something that waits to be written.
    pub(crate) fn lanes(&self) -> usize {
        lock(&self.lanes).len()
    }

    /// Queues a piece, to be written on the pool. The caller has checked that the upload is the user's.
    pub(crate) fn add_piece(
        self: &Arc<Self>,
        user: UserId,
        upload: u64,
        piece: Piece,
    ) -> Result<(), Refusal> {
        self.add(user, upload, Task::Piece(piece))
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
        let is_new = lock(&self.lanes).add(user, upload, task)?;
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

    /// Works on the lane of an upload for a turn.
    fn work(self: &Arc<Self>, user: UserId, upload: u64) {
        let mut done = 0;
        let mut unconfirmed = 0;
        while done < TURN {
            let next = lock(&self.lanes).next(user, upload);
            let Some(task) = next else {
                self.rest(user, upload, unconfirmed);
                unconfirmed = 0;
                if lock(&self.lanes).leave(user, upload) {
                    return;
                }
                continue;
            };
            done += task.len();
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
        }
        self.work_on(user, upload);
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

    /// The lane is empty. The upload's file is closed: there may be many such uploads.
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
                match self.check_room(user, upload, &announced) {
                    Ok(()) => self.render_later(user, upload, announced, responder),
                    Err(refusal) => {
                        responder.refuse(refusal);
                        self.work_on(user, upload);
                    }
                }
            }
            Ok(Some(announced)) => self.complete_later(user, upload, announced, responder),
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

    /// Refuses a picture for which the quota has no room, so that it is not decoded for nothing. The upload is over then, as when the
    /// store refuses it. The store decides again, as the renditions count as well.
    fn check_room(&self, user: UserId, upload: u64, announced: &Announced) -> Result<(), Refusal> {
        let (usage, quota) = (self.reads.store().file_usage(&user)?, self.settings.file_quota());
        let bytes = usage.bytes.saturating_add(announced.size);
        let refused = if usage.files >= quota.files {
            Refused::TooManyFiles {
                user,
                stored: usage.files,
                max: quota.files,
            }
        } else if bytes > quota.bytes {
            Refused::TooManyFileBytes {
                user,
                stored: usage.bytes,
                max: quota.bytes,
            }
        } else {
            return Ok(());
        };
        // What the account has already takes no more room.
        let known = self.reads.store().file_with(&FileContent {
            owner: user,
            kind: MessageKind(announced.kind),
            size: announced.size,
            sha256: announced.sha256,
        })?;
        if known.is_some() || planted::is(Fault::FileQuotaIgnored) {
            return Ok(());
        }
        self.content()?.cancel(user.as_str(), upload)?;
        Err(Refusal {
            retry_after_ms: 0,
            ..Refusal::from(WriteError::Refused(refused))
        })
    }

    /// Decodes a picture: first its size, as small ones do not wait for large ones.
    fn render_later(
        self: &Arc<Self>,
        user: UserId,
        upload: u64,
        announced: Announced,
        responder: Responder<EndUpload>,
    ) {
        let files = Arc::clone(self);
        self.rendering_small.run_detached(Some(user), move || {
            let rendered = files
                .content()
                .and_then(|content| Ok(content.render_small(user.as_str(), upload)?));
            if let Ok(false) = rendered {
                return files.render_large_later(user, upload, announced, responder);
            }
            files.rendered(user, upload, announced, responder, rendered.map(|_| ()));
        });
    }

    fn render_large_later(
        self: &Arc<Self>,
        user: UserId,
        upload: u64,
        announced: Announced,
        responder: Responder<EndUpload>,
    ) {
        let files = Arc::clone(self);
        self.rendering.run_detached(Some(user), move || {
            let rendered = files
                .content()
                .and_then(|content| Ok(content.render(user.as_str(), upload)?));
            files.rendered(user, upload, announced, responder, rendered);
        });
    }

    fn rendered(
        self: &Arc<Self>,
        user: UserId,
        upload: u64,
        announced: Announced,
        responder: Responder<EndUpload>,
        rendered: Result<(), Refusal>,
    ) {
        match rendered {
            Ok(()) => self.complete_later(user, upload, announced, responder),
            Err(refusal) => {
                responder.refuse(refusal);
                self.work_on(user, upload);
            }
        }
    }

    fn complete_later(
        self: &Arc<Self>,
        user: UserId,
        upload: u64,
        announced: Announced,
        responder: Responder<EndUpload>,
    ) {
        let files = Arc::clone(self);
        self.on_objects(user, move || {
            files.complete(user, upload, &announced, responder);
        });
    }

    /// Stores the content of an upload, and has the store write its row.
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
            self.leave(user, upload);
            responder.refuse(error.into());
            self.work_on(user, upload);
        }
    }

    /// Nobody writes the row of a completed upload for now.
    fn leave(&self, user: UserId, upload: u64) {
        if let Ok(content) = self.content() {
            content.leave(user.as_str(), upload, self.clock.steady_ms());
        }
    }

    /// The store has written the row of a file, or has refused to. Runs on the store's thread, so it does not wait for the disk.
    fn added(
        self: &Arc<Self>,
        user: UserId,
        upload: u64,
        completed: FileId,
        answer: WriteResult,
        responder: Responder<EndUpload>,
    ) {
        let is_kept = match answer {
            Ok(Written::File { file, .. }) if file.id != completed => {
                let files = Arc::clone(self);
                return self.on_objects(user, move || {
                    files.settle_as(user, upload, file.into(), responder);
                    files.work_on(user, upload);
                });
            }
            Ok(Written::File { file, .. }) => {
                let file: Arc<File> = Arc::from(file);
                // First, as from now on the upload counts as a file only.
                self.finished(upload, Arc::clone(&file));
                respond(responder, &file);
                Some(true)
            }
            Ok(_) => {
                responder.refuse(Refusal::wrong_answer());
                None
            }
            Err(error) => {
                // After any other error the row may be there: the upload can be ended again.
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
        self.on_objects(user, move || {
            if let Ok(content) = files.content() {
                match is_kept {
                    Some(true) => content.settle(user.as_str(), upload),
                    Some(false) => content.discard(user.as_str(), upload),
                    None => files.leave(user, upload),
                }
            }
            files.work_on(user, upload);
        });
    }

    /// The account has a file with this content already. The store keeps that one for a while now. If it has lost content, the content
    /// of the upload replaces it before the answer.
    fn settle_as(&self, user: UserId, upload: u64, file: Arc<File>, responder: Responder<EndUpload>) {
        let settled = self
            .content()
            .and_then(|content| Ok(content.settle_as(user.as_str(), upload, file.id, &parts(&file))?));
        match settled {
            Ok(was_lost) => {
                if was_lost {
                    info!(file = %file.id, "content that was lost has been uploaded again");
                }
                respond(responder, &file);
                self.finished(upload, file);
            }
            Err(refusal) => {
                self.leave(user, upload);
                responder.refuse(refusal);
            }
        }
    }

    /// Whether the content of a file is there. May wait for the disk.
    pub(crate) fn is_whole(&self, file: &File) -> Result<bool, Refusal> {
        Ok(self.content()?.is_whole(file.id, &parts(file))?)
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
