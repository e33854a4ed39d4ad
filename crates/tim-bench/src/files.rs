//! Files of 100 MiB on their way to the hub and back, and messages that are sent on the same connection meanwhile.
//!
//! Each message waits for the one before it, in turn without a file and beside an upload. The content is compared.

use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use tim_bench::Latency;
use tim_proto::message::File;
use tim_proto::request::{BeginUpload, Download, EndUpload};
use tim_proto::{ConversationId, MessageKind, UserId};

use crate::Result;
use crate::bot::Bot;
use crate::hub::Target;
use crate::report::{Figure, Report, Value};

/// The size of a file, how many are uploaded one after the other, and how many messages are sent without one before each.
pub(crate) struct Load {
    size: usize,
    files: u64,
    messages: u64,
}

impl Load {
    pub(crate) const fn of(quick: bool) -> Self {
        match quick {
            true => Self {
                size: 300_000,
                files: 2,
                messages: 10,
            },
            false => Self {
                size: 100 << 20,
                files: 10,
                messages: 500,
            },
        }
    }
}

/// What was measured.
struct Measured {
    alone: Latency,
    beside: Latency,
    hashing: Duration,
    uploading: Duration,
    downloading: Duration,
    memory: Option<u64>,
    most_memory: Option<u64>,
    piece_len: u32,
    window: u8,
}

pub(crate) async fn measure(report: &mut Report, target: &Target, load: &Load) -> Result<()> {
    let mut bot = Bot::login(target, "uploader", 0).await?;
    let peer = ConversationId::C2c(UserId::new("receiver")?);
    let mut measured = Measured {
        alone: Latency::new(),
        beside: Latency::new(),
        hashing: Duration::ZERO,
        uploading: Duration::ZERO,
        downloading: Duration::ZERO,
        memory: None,
        most_memory: None,
        piece_len: 0,
        window: 0,
    };
    let mut content = content(load.size);
    for _ in 0..load.files {
        // Known content is not uploaded again, also that of an earlier run.
        for chunk in content.chunks_exact_mut(4).take(4) {
            chunk.copy_from_slice(&bot.draw().to_le_bytes());
        }
        measured
            .round(&mut bot, target, peer, &content, load.messages)
            .await?;
    }
    measured.report(report, load)
}

impl Measured {
    /// Messages without a file; then a file, and messages beside it; then the file is read back.
    async fn round(
        &mut self,
        bot: &mut Bot,
        target: &Target,
        peer: ConversationId,
        content: &[u8],
        messages: u64,
    ) -> Result<()> {
        for _ in 0..messages {
            let start = Instant::now();
            bot.send(peer).await?;
            self.alone.record(start.elapsed());
        }
        self.memory = self.memory.or_else(|| target.memory());
        let uuid = self.upload(bot, target, peer, content).await?;
        let file = File::new()
            .with_uuid(&uuid)
            .with_name("bench.bin")
            .with_size(content.len() as u64);
        let sequence = bot.send_payload(peer, file).await?;
        let start = Instant::now();
        let pieces: Vec<_> = content.chunks(self.piece_len as usize).collect();
        let places = (0..content.len()).step_by(self.piece_len as usize);
        let requests = places.map(|at| Download::new(peer, sequence, at as u64, self.piece_len));
        bot.call_each(requests, PIECES, |number, piece| match pieces.get(number) {
            Some(expected) if *expected == piece.bytes => Ok(()),
            _ => Err(format!("piece {number} of the file is another one").into()),
        })
        .await?;
        self.downloading += start.elapsed();
        Ok(())
    }

    /// Uploads the content, with [`PIECES`] of it under way, and one message.
    async fn upload(
        &mut self,
        bot: &mut Bot,
        target: &Target,
        peer: ConversationId,
        content: &[u8],
    ) -> Result<String> {
        let start = Instant::now();
        let hash: [u8; 32] = Sha256::digest(content).into();
        self.hashing += start.elapsed();
        let start = Instant::now();
        let begin = BeginUpload::new(MessageKind::FILE, "bench.bin", content.len() as u64, &hash);
        let begun = bot.call(&begin, |begun| begun).await?;
        if begun.offset != 0 {
            return Err("the hub knows a file that was never uploaded".into());
        }
        (self.piece_len, self.window) = (begun.piece_len, begun.window);
        let mut pieces = content.chunks(begun.piece_len as usize);
        let mut sent = 0;
        let mut message: Option<Instant> = None;
        let mut answered_messages = bot.stored;
        loop {
            while bot.pieces_under_way < PIECES.min(begun.window.into())
                && let Some(piece) = pieces.next()
            {
                bot.start_piece(begun.upload, sent, piece)?;
                sent += piece.len() as u64;
            }
            if bot.pieces_under_way == 0 {
                break;
            }
            if bot.stored > answered_messages {
                answered_messages = bot.stored;
                self.beside.extend(message.take().map(|sent| sent.elapsed()));
            }
            if message.is_none() {
                message = Some(Instant::now());
                bot.start_send(peer)?;
                if self.beside.count().is_multiple_of(16) {
                    self.most_memory = self.most_memory.max(target.memory());
                }
            }
            bot.turn().await?;
        }
        // What waits is not taken by the calls.
        while bot.under_way() > 0 {
            bot.turn().await?;
        }
        let uuid = bot
            .call(&EndUpload::new(begun.upload), |ended| ended.uuid.to_owned())
            .await?;
        self.uploading += start.elapsed();
        self.most_memory = self.most_memory.max(target.memory());
        Ok(uuid)
    }

    fn report(&self, report: &mut Report, load: &Load) -> Result<()> {
        report.begin(
            "files",
            [
                ("bytes", load.size as u64),
                ("files", load.files),
                ("piece", self.piece_len.into()),
                ("pieces", PIECES.min(self.window.into()) as u64),
            ],
        );
        let bytes = load.size as f64 * load.files as f64;
        for (key, label, took) in [
            ("upload", "uploads, checked and durable", self.uploading),
            ("download", "downloads, compared", self.downloading),
            ("sha256", "  SHA-256 alone, in the client", self.hashing),
        ] {
            let rate = Value::Round(bytes / 1e6 / took.as_secs_f64());
            report.add(Figure::new(key, label, rate, "MB/s"))?;
        }
        for (key, label, latency) in [
            ("alone", "a message, without a file", &self.alone),
            ("beside", "a message, beside the upload", &self.beside),
        ] {
            report.add_latency(key, label, latency)?;
        }
        let ratio = self.beside.quantile(0.99).as_secs_f64() / self.alone.quantile(0.99).as_secs_f64();
        report.add(Figure::new(
            "beside_over_alone",
            "  p99 beside over p99 without",
            Value::Real(ratio),
            "x",
        ))?;
        let messages = Value::Round(self.beside.count() as f64);
        report.add(Figure::new(
            "beside_count",
            "  messages beside uploads",
            messages,
            "",
        ))?;
        if let (Some(before), Some(most)) = (self.memory, self.most_memory) {
            let grown = most.saturating_sub(before) as f64 / 1e6;
            report.add(Figure::new(
                "memory_grown",
                "the hub's memory has grown by",
                Value::Real(grown),
                "MB",
            ))?;
        }
        Ok(())
    }
}

/// How many pieces are under way at the most, each way: about as many as the SDK allows itself on a line like this one, where more
/// would wait in queues only.
const PIECES: usize = 4;

/// Bytes that do not repeat soon.
fn content(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut content = Vec::with_capacity(size + 8);
    while content.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        content.extend(state.to_le_bytes());
    }
    content.truncate(size);
    content
}
