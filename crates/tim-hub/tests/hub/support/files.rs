//! Requests of a device that are about files.

use std::sync::{Arc, Condvar, Mutex};

use sha2::{Digest, Sha256};
use tim_files::{Faults, Operation};
use tim_proto::message::{Audio, File, Image, ImageFormat, ImageInfo, ImageSize, Payload, Video};
use tim_proto::request::{
    BeginUpload, BeginUploadResponse, CancelUpload, Download, EndUpload, FilePart, Upload,
};
use tim_proto::{ConversationId, ErrorCode, MessageKind};

use super::{Device, Reply, TestHub, Uploaded};

pub(crate) fn sha256(content: &[u8]) -> [u8; 32] {
    Sha256::digest(content).into()
}

/// How many files there are in the directory of the hub's files.
pub(crate) fn files_left(hub: &TestHub) -> usize {
    fn count(path: &std::path::Path) -> usize {
        let entries = std::fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        entries
            .map(|path| if path.is_dir() { count(&path) } else { 1 })
            .sum()
    }
    count(&hub.data_dir().join("files"))
}

/// A picture of one colour.
pub(crate) fn bmp(width: u32, height: u32) -> Vec<u8> {
    bitmap(width, height, 24)
}

/// A picture of one colour, with so many bits for a pixel: 24, or 1.
pub(crate) fn bitmap(width: u32, height: u32, bits: u32) -> Vec<u8> {
    let row = (width * bits).div_ceil(32) * 4;
    let begin = if bits == 1 { 54 + 8 } else { 54 };
    let len = begin + row * height;
    let mut out = b"BM".to_vec();
    for number in [
        len,
        0,
        begin,
        40,
        width,
        height,
        1 | bits << 16,
        0,
        row * height,
        2835,
        2835,
        0,
        0,
    ] {
        out.extend(number.to_le_bytes());
    }
    out.resize(len as usize, 0x70);
    out
}

/// Sends a message of this kind with the file.
pub(crate) fn file_message(
    device: &mut Device,
    to: ConversationId,
    kind: MessageKind,
    file: &Uploaded,
) -> Result<Reply, ErrorCode> {
    let images = [ImageInfo::new(ImageSize::ORIGINAL).with_size(file.size)];
    let payload = match kind {
        MessageKind::IMAGE => Payload::Image(
            Image::new(
                ImageFormat(file.format),
                tim_proto::wire::List::from_slice(&images),
            )
            .with_uuid(&file.uuid),
        ),
        MessageKind::AUDIO => Payload::Audio(Audio::new().with_uuid(&file.uuid).with_size(file.size)),
        MessageKind::VIDEO => Payload::Video(Video::new().with_uuid(&file.uuid).with_size(file.size)),
        _ => Payload::File(
            File::new()
                .with_uuid(&file.uuid)
                .with_name("a.bin")
                .with_size(file.size),
        ),
    };
    let message = device.message(to, payload);
    device.send_message(&message)
}

/// Decides what becomes of the hub's files.
#[derive(Clone, Default)]
pub(crate) struct FileFaults(Arc<(Mutex<Fault>, Condvar)>);

#[derive(Clone, Copy, Default, PartialEq)]
enum Fault {
    #[default]
    None,
    Held,
    HeldPictures,
    Full,
    Unreadable,
}

impl FileFaults {
    /// What is written or read waits.
    pub(crate) fn hold(&self) {
        self.set(Fault::Held);
    }

    /// Large pictures wait to be decoded.
    pub(crate) fn hold_pictures(&self) {
        self.set(Fault::HeldPictures);
    }

    /// Nothing can be written.
    pub(crate) fn fill_up(&self) {
        self.set(Fault::Full);
    }

    /// Nothing can be read.
    pub(crate) fn refuse_reads(&self) {
        self.set(Fault::Unreadable);
    }

    /// All is well again.
    pub(crate) fn release(&self) {
        self.set(Fault::None);
    }

    fn set(&self, fault: Fault) {
        *self.0.0.lock().unwrap() = fault;
        self.0.1.notify_all();
    }

    pub(super) fn faults(&self) -> Faults {
        let fault = Arc::clone(&self.0);
        Faults::new(move |operation| {
            let waits = |now: &mut Fault| match now {
                Fault::HeldPictures => operation == Operation::Decode,
                now => *now == Fault::Held,
            };
            let now = *fault.1.wait_while(fault.0.lock().unwrap(), waits).unwrap();
            match (now, operation == Operation::Read) {
                (Fault::Full, false) => Err(std::io::ErrorKind::StorageFull.into()),
                (Fault::Unreadable, true) => Err(std::io::ErrorKind::PermissionDenied.into()),
                _ => Ok(()),
            }
        })
    }
}

impl Device {
    /// Waits until something is so at the hub, which this device does not see.
    pub(crate) fn wait_until(&mut self, mut done: impl FnMut() -> bool) {
        self.until(|_| done());
    }

    pub(crate) fn begin_upload(
        &mut self,
        kind: MessageKind,
        content: &[u8],
    ) -> Result<BeginUploadResponse, ErrorCode> {
        let hash = sha256(content);
        self.begin_with(&BeginUpload::new(kind, "a.bin", content.len() as u64, &hash))
    }

    pub(crate) fn begin_with(&mut self, begin: &BeginUpload<'_>) -> Result<BeginUploadResponse, ErrorCode> {
        match self.ask(begin)? {
            Reply::Begun(begun) => Ok(begun),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn piece(&mut self, upload: u64, offset: u64, bytes: &[u8]) -> Result<u64, ErrorCode> {
        match self.ask(&Upload::new(upload, offset, bytes))? {
            Reply::Confirmed(offset) => Ok(offset),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn end_upload(&mut self, upload: u64) -> Result<Uploaded, ErrorCode> {
        match self.ask(&EndUpload::new(upload))? {
            Reply::Uploaded(file) => Ok(file),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn cancel_upload(&mut self, upload: u64) -> Result<Reply, ErrorCode> {
        self.ask(&CancelUpload::new(upload))
    }

    /// Uploads what the hub has not, in pieces.
    pub(crate) fn upload(&mut self, kind: MessageKind, content: &[u8]) -> Result<Uploaded, ErrorCode> {
        let begun = self.begin_upload(kind, content)?;
        let mut offset = begun.offset;
        for piece in content[offset as usize..].chunks(begun.piece_len as usize) {
            self.piece(begun.upload, offset, piece)?;
            offset += piece.len() as u64;
        }
        self.end_upload(begun.upload)
    }

    /// Uploads a file and sends it. Returns its sequence.
    pub(crate) fn send_file(&mut self, to: ConversationId, kind: MessageKind, content: &[u8]) -> u64 {
        let file = self.upload(kind, content).unwrap();
        match file_message(self, to, kind, &file) {
            Ok(Reply::Sent { sequence, .. }) => sequence,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn download_piece(
        &mut self,
        conversation: ConversationId,
        sequence: u64,
        part: FilePart,
        (offset, len): (u64, u32),
    ) -> Result<(u64, Vec<u8>), ErrorCode> {
        match self.ask(&Download::new(conversation, sequence, offset, len).with_part(part))? {
            Reply::FilePiece { total, bytes } => Ok((total, bytes)),
            other => panic!("{other:?}"),
        }
    }

    /// The whole of a file, in pieces.
    pub(crate) fn download(
        &mut self,
        conversation: ConversationId,
        sequence: u64,
        part: FilePart,
    ) -> Result<Vec<u8>, ErrorCode> {
        let mut content = Vec::new();
        loop {
            let at = content.len() as u64;
            let (total, bytes) = self.download_piece(conversation, sequence, part, (at, 1 << 20))?;
            content.extend(&bytes);
            if bytes.is_empty() || content.len() as u64 == total {
                return Ok(content);
            }
        }
    }
}
