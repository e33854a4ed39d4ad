//! What a hostile user does with files: it asks for those of others, names them, writes to their uploads, and uploads badly.

use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use tim_proto::message::{Content as Encoded, SendOptions, to_vec};
use tim_proto::request::{
    BeginUpload, BeginUploadResponse, CancelUpload, Download, EndUpload, EndUploadResponse, Send, Upload,
};
use tim_proto::wire::{Frame, FrameKind, Nested};
use tim_proto::{FileId, MessageKind};

use super::raid::Raid;
use super::{Asked, Connection, Rogue, body};
use crate::simulator::files::{content_of, with_uploaded};
use crate::simulator::history::{AttackSaw, FileAsk, FileOf, FileSaw, Mark, What};
use crate::simulator::op::{FileBody, FileKind, Target};

/// How many files or uploads an attack is about.
const MANY: usize = 3;
/// How many bytes it uploads.
const SIZE: u32 = 2_000;

/// A request about files, and what follows when it is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileRequest {
    /// The beginning of an upload that goes on in this way, in the attack of this step.
    Begin(u8, u32),
    /// The end of an upload.
    End,
    Other,
}

impl Rogue {
    /// Notes what is asked, and the number of the request.
    fn ask_files(&self, ask: FileAsk) -> u32 {
        let request = self.request();
        self.observe(What::AttackAsked {
            hostile: self.number,
            request,
            ask,
        });
        request
    }

    pub(super) fn file_answer(
        &self,
        connection: &Connection,
        frame: &Frame<'_>,
        request: FileRequest,
    ) -> AttackSaw {
        match request {
            FileRequest::Begin(how, step) => {
                if let Some(begun) = body::<BeginUploadResponse>(frame) {
                    self.go_on(connection, how, step, &begun);
                }
            }
            FileRequest::End => {
                let ended = body::<EndUploadResponse<'_>>(frame);
                let file = ended.and_then(|ended| ended.uuid.parse::<FileId>().ok());
                self.files.borrow_mut().extend(file);
            }
            FileRequest::Other => {}
        }
        AttackSaw::File(frame.id, FileSaw::Granted)
    }

    /// Sends the pieces of an upload of its own, and ends it.
    fn go_on(&self, connection: &Connection, how: u8, step: u32, begun: &BeginUploadResponse) {
        let (upload, content) = (begun.upload, content_of(own(step)));
        let piece = |offset: u64, bytes: &[u8], ask| {
            let asked = Asked::File(FileRequest::Other);
            let upload = Upload::new(upload, offset, bytes);
            connection.ask(FrameKind::UPLOAD, self.ask_files(ask), &upload, asked);
        };
        let len = begun.piece_len.clamp(200, SIZE) as usize;
        if how == 2 {
            let ahead = begun.offset + 100;
            let bytes = content.get(ahead as usize..).unwrap_or_default();
            return piece(ahead, &bytes[..bytes.len().min(len)], FileAsk::Wrong(how));
        }
        let end = if how == 4 {
            content.len() / 2
        } else {
            content.len()
        };
        let mut at = begun.offset as usize;
        while at < end {
            let next = (at + len).min(end);
            piece(at as u64, &content[at..next], FileAsk::Own);
            at = next;
        }
        if how == 3 {
            piece(at as u64, b"more", FileAsk::Wrong(how));
        }
        let ask = match how {
            0 => FileAsk::Own,
            _ => FileAsk::Wrong(how),
        };
        let end = EndUpload::new(upload);
        connection.ask(
            FrameKind::END_UPLOAD,
            self.ask_files(ask),
            &end,
            Asked::File(FileRequest::End),
        );
    }
}

/// What the attack of a step uploads.
const fn own(step: u32) -> FileOf {
    let body = FileBody {
        kind: FileKind::File,
        size: SIZE,
        content: 0,
    };
    FileOf {
        origin: Mark::hostile(step, 0),
        body,
    }
}

/// The names in a directory, in order.
fn names_in(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

impl Raid<'_> {
    /// Asks for the files of messages of a conversation in which it is not.
    pub(super) fn take_files(&self, target: Target) {
        let conversation = self.rogue.conversation(target);
        for sequence in 1..=MANY as u64 * 2 {
            let download = Download::new(conversation, sequence, 0, 4096);
            let request = self.rogue.ask_files(FileAsk::Content(target));
            let asked = Asked::File(FileRequest::Other);
            self.connection
                .ask(FrameKind::DOWNLOAD, request, &download, asked);
        }
    }

    /// Sends messages with the file of somebody, whose name it has found out.
    pub(super) fn name_file(&mut self, target: Target) {
        let Some(dir) = self.rogue.shared.files_dir() else {
            return;
        };
        let dir = dir.join("content");
        let mut files = Vec::new();
        for folder in names_in(&dir) {
            for name in names_in(&dir.join(&folder)) {
                let size = fs::metadata(dir.join(&folder).join(&name)).map_or(0, |found| found.len());
                files.extend(name.parse::<FileId>().ok().map(|file| (file, size)));
            }
        }
        files.retain(|(file, _)| !self.rogue.files.borrow().contains(file));
        if files.is_empty() {
            return;
        }
        let (file, size) = files[self.rng.below(files.len() as u64) as usize];
        let kinds = [FileKind::Image, FileKind::Audio, FileKind::Video, FileKind::File];
        for (n, kind) in (0..).zip(kinds) {
            let mark = match kind {
                FileKind::Image => Mark(4_000),
                _ => Mark::hostile(self.step, n),
            };
            let body = FileBody {
                kind,
                size: size as u32,
                content: 0,
            };
            let payload = with_uploaded(
                mark,
                FileOf { origin: mark, body },
                &file.to_string(),
                size,
                |payload| to_vec(&payload),
            );
            self.send_named(target, kind.message(), &payload);
        }
    }

    fn send_named(&mut self, target: Target, kind: MessageKind, payload: &[u8]) {
        let id = self.id();
        let content = Encoded::new(self.rogue.conversation(target), id, kind, payload);
        let request = self.rogue.ask_files(FileAsk::Name);
        let send = Send::new(content).with_options(Nested(SendOptions::new()));
        let asked = Asked::File(FileRequest::Other);
        self.connection.ask(FrameKind::SEND, request, &send, asked);
    }

    /// Writes to the uploads of others, whose numbers it has found out, and ends and cancels them.
    pub(super) fn take_uploads(&self) {
        let Some(dir) = self.rogue.shared.files_dir() else {
            return;
        };
        let staging = dir.join("staging");
        let numbers = names_in(&staging).into_iter().filter_map(|name| {
            let number = u64::from_str_radix(name.strip_suffix(".part")?, 16).ok()?;
            let len = fs::metadata(staging.join(&name)).map_or(0, |found| found.len());
            Some((number, len))
        });
        // The uploads of this user say so.
        let me = self.rogue.user.to_string();
        let is_own = |upload: u64| {
            let meta = fs::read(staging.join(format!("{upload:016x}.meta"))).unwrap_or_default();
            meta.windows(me.len()).any(|window| window == me.as_bytes())
        };
        for (upload, len) in numbers.filter(|(upload, _)| !is_own(*upload)).take(MANY) {
            let asked = Asked::File(FileRequest::Other);
            let ask = || self.rogue.ask_files(FileAsk::Foreign);
            self.connection.ask(
                FrameKind::UPLOAD,
                ask(),
                &Upload::new(upload, len, b"mine"),
                asked,
            );
            self.connection
                .ask(FrameKind::END_UPLOAD, ask(), &EndUpload::new(upload), asked);
            let request = self.rogue.request();
            let cancel = CancelUpload::new(upload);
            self.connection
                .ask(FrameKind::CANCEL_UPLOAD, request, &cancel, Asked::Other);
        }
    }

    /// Uploads something in this way.
    pub(super) fn odd_upload(&self, how: u8) {
        let content = content_of(own(self.step));
        let mut sha256: [u8; 32] = Sha256::digest(&content).into();
        if how == 1 {
            sha256[0] ^= 1;
        }
        let (name, ask) = match how {
            5 => ("../../x", FileAsk::Wrong(how)),
            _ => ("x", FileAsk::Own),
        };
        let begin = BeginUpload::new(MessageKind::FILE, name, content.len() as u64, &sha256);
        let asked = Asked::File(FileRequest::Begin(how, self.step));
        let request = self.rogue.ask_files(ask);
        self.connection
            .ask(FrameKind::BEGIN_UPLOAD, request, &begin, asked);
    }
}
