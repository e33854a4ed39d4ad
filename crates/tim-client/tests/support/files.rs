//! A small model of what a hub does with files.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};
use tim_client::proto::FileId;
use tim_client::proto::message::{ImageFormat, ImageInfo, ImageSize};
use tim_client::proto::request::{
    BeginUpload, BeginUploadResponse, CancelUpload, ConversationsResponse, Done, Download, DownloadResponse,
    EndUpload, EndUploadResponse, Send, SendResponse, Upload, UploadResponse,
};
use tim_client::proto::wire::{FrameKind, List};
use tim_client::{ErrorCode, MessageKind, Payload};

use super::{HubEnd, Incoming};

/// What a hub knows of files, over any number of connections.
pub struct Files {
    /// The largest piece and the window that uploads are told, and the longest piece of a download.
    pub piece: u32,
    pub window: u8,
    pub download_piece: usize,
    /// Uploads that are not complete, by number.
    pub open: HashMap<u64, Incomplete>,
    /// Complete files by kind and hash.
    pub complete: HashMap<(MessageKind, Vec<u8>), Complete>,
    /// The payloads of the messages that were sent, with their kinds.
    pub sent: Vec<(MessageKind, Vec<u8>)>,
    /// How many requests of each kind have come.
    pub counts: HashMap<FrameKind, usize>,
    /// How many bytes of pieces have come, also those that the hub had already.
    pub received: u64,
    /// Where the pieces of downloads began.
    pub offsets: Vec<u64>,
    last: u64,
}

pub struct Incomplete {
    pub kind: MessageKind,
    pub name: String,
    pub media_type: String,
    pub size: u64,
    pub sha256: Vec<u8>,
    pub bytes: Vec<u8>,
}

pub struct Complete {
    pub uuid: String,
    pub name: String,
    pub media_type: String,
    pub bytes: Vec<u8>,
    upload: u64,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            piece: 10_000,
            window: 4,
            download_piece: 10_000,
            open: HashMap::new(),
            complete: HashMap::new(),
            sent: Vec::new(),
            counts: HashMap::new(),
            received: 0,
            offsets: Vec::new(),
            last: 0,
        }
    }
}

impl Files {
    /// The content that the hub has under this name.
    pub fn content(&self, uuid: &str) -> Option<&Complete> {
        self.complete.values().find(|file| file.uuid == uuid)
    }

    pub fn count(&self, kind: FrameKind) -> usize {
        self.counts.get(&kind).copied().unwrap_or_default()
    }

    /// Serves everything until a message is sent.
    pub async fn serve_send(&mut self, hub: &mut HubEnd) {
        let before = self.sent.len();
        while self.sent.len() == before {
            self.serve_one(hub).await;
        }
    }

    /// Serves everything; does not return.
    pub async fn serve(&mut self, hub: &mut HubEnd) {
        loop {
            self.serve_one(hub).await;
        }
    }

    /// Takes and answers one request.
    pub async fn serve_one(&mut self, hub: &mut HubEnd) {
        let asked = hub.next_request().await;
        self.answer(hub, &asked).await;
    }

    pub async fn answer(&mut self, hub: &mut HubEnd, asked: &Incoming) {
        *self.counts.entry(asked.kind).or_default() += 1;
        match asked.kind {
            FrameKind::CONVERSATIONS => {
                let list = ConversationsResponse::new(Default::default()).with_completed(true);
                hub.answer(asked, &list).await;
            }
            FrameKind::BEGIN_UPLOAD => {
                let response = self.begin(&asked.request());
                hub.answer(asked, &response).await;
            }
            FrameKind::UPLOAD => match self.take(&asked.request()) {
                Ok(offset) => hub.answer(asked, &UploadResponse::new(offset)).await,
                Err(code) => hub.fail(asked, code, "").await,
            },
            FrameKind::END_UPLOAD => self.end(hub, asked).await,
            FrameKind::CANCEL_UPLOAD => {
                let cancel: CancelUpload = asked.request();
                self.open.remove(&cancel.upload);
                hub.answer(asked, &Done).await;
            }
            FrameKind::DOWNLOAD => self.download(hub, asked).await,
            FrameKind::SEND => {
                let send: Send<'_> = asked.request();
                self.sent.push((send.content.kind, send.content.payload.to_vec()));
                let sequence = self.sent.len() as u64;
                hub.answer(asked, &SendResponse::new(sequence, 1_705_307_415))
                    .await;
            }
            other => panic!("a request of kind {other}"),
        }
    }

    /// A piece has arrived, and its response is lost.
    pub fn take_unanswered(&mut self, asked: &Incoming) {
        if asked.kind == FrameKind::UPLOAD {
            self.take(&asked.request()).unwrap();
        }
    }

    fn begin(&mut self, begin: &BeginUpload<'_>) -> BeginUploadResponse {
        let told = |upload, offset| BeginUploadResponse::new(upload, offset, self.piece, self.window);
        if let Some(complete) = self.complete.get(&(begin.kind, begin.sha256.to_vec())) {
            return told(complete.upload, begin.size);
        }
        let known = self
            .open
            .iter()
            .find(|(_, open)| open.sha256 == begin.sha256 && open.kind == begin.kind);
        if let Some((upload, open)) = known {
            return told(*upload, open.bytes.len() as u64);
        }
        let (upload, response) = (self.last + 1, told(self.last + 1, 0));
        self.last = upload;
        let open = Incomplete {
            kind: begin.kind,
            name: begin.name.into(),
            media_type: begin.media_type.into(),
            size: begin.size,
            sha256: begin.sha256.to_vec(),
            bytes: Vec::new(),
        };
        self.open.insert(upload, open);
        response
    }

    fn take(&mut self, piece: &Upload<'_>) -> Result<u64, ErrorCode> {
        assert!(piece.bytes.len() <= self.piece as usize, "a piece is too long");
        self.received += piece.bytes.len() as u64;
        let open = self
            .open
            .get_mut(&piece.upload)
            .ok_or(ErrorCode::UPLOAD_UNKNOWN)?;
        let have = open.bytes.len() as u64;
        if piece.offset > have {
            return Err(ErrorCode::PIECE_OUT_OF_ORDER);
        }
        let new = (have - piece.offset) as usize;
        open.bytes
            .extend_from_slice(piece.bytes.get(new..).unwrap_or_default());
        assert!(open.bytes.len() as u64 <= open.size, "more than was announced");
        Ok(open.bytes.len() as u64)
    }

    async fn end(&mut self, hub: &mut HubEnd, asked: &Incoming) {
        let end: EndUpload = asked.request();
        if let Some(open) = self.open.remove(&end.upload) {
            let sum = Sha256::digest(&open.bytes).to_vec();
            if sum != open.sha256 {
                return hub.fail(asked, ErrorCode::UPLOAD_MISMATCH, "").await;
            }
            let uuid = FileId::from_bytes([end.upload as u8; 16]).to_string();
            let complete = Complete {
                uuid,
                name: open.name,
                media_type: open.media_type,
                bytes: open.bytes,
                upload: end.upload,
            };
            self.complete.insert((open.kind, open.sha256), complete);
        }
        let complete = self.complete.iter().find(|(_, it)| it.upload == end.upload);
        let Some(((kind, _), complete)) = complete else {
            return hub.fail(asked, ErrorCode::UPLOAD_UNKNOWN, "").await;
        };
        let size = complete.bytes.len() as u64;
        let info = |size_type, size, side| {
            ImageInfo::new(size_type)
                .with_size(size)
                .with_width(side)
                .with_height(side)
        };
        let images: &[_] = match *kind {
            MessageKind::IMAGE => &[
                info(ImageSize::ORIGINAL, size, 800),
                info(ImageSize::THUMBNAIL, 19, 198),
                info(ImageSize::LARGE, 72, 720),
            ],
            MessageKind::VIDEO => &[info(ImageSize::THUMBNAIL, 20, 200)],
            _ => &[],
        };
        let format = match *kind {
            MessageKind::IMAGE => ImageFormat::PNG,
            _ => ImageFormat::UNKNOWN,
        };
        let response = EndUploadResponse::new(&complete.uuid, size)
            .with_images(List::from_slice(images))
            .with_format(format);
        hub.answer(asked, &response).await;
    }

    async fn download(&mut self, hub: &mut HubEnd, asked: &Incoming) {
        let download: Download = asked.request();
        self.offsets.push(download.offset);
        let sent = self.sent.get(download.sequence as usize - 1);
        let (kind, payload) = sent.expect("a message that was sent");
        let uuid = match Payload::decode(*kind, payload) {
            Payload::File(file) => file.uuid.to_owned(),
            Payload::Image(image) => image.uuid.to_owned(),
            other => panic!("{other:?}"),
        };
        let Some(file) = self.content(&uuid) else {
            return hub.fail(asked, ErrorCode::FILE_NOT_FOUND, "").await;
        };
        let from = (download.offset as usize).min(file.bytes.len());
        let len = (download.len as usize).min(self.download_piece);
        let to = (from + len).min(file.bytes.len());
        let response = DownloadResponse::new(file.bytes.len() as u64, &file.bytes[from..to]);
        hub.answer(asked, &response).await;
    }
}
