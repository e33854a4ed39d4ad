//! A file of 100 MiB on its way to the hub and back, and messages that are sent on the same connection meanwhile.
//!
//! Each message waits for the one before it, first without a file, then beside the upload. The content is compared.

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

/// The size of the file, and how many messages are sent without one.
pub(crate) struct Load {
    size: usize,
    messages: u64,
}

impl Load {
    pub(crate) const fn of(quick: bool) -> Self {
        match quick {
            true => Self {
                size: 300_000,
                messages: 10,
            },
            false => Self {
                size: 100 << 20,
                messages: 2_000,
            },
        }
    }
}

pub(crate) async fn measure(report: &mut Report, target: &Target, load: &Load) -> Result<()> {
    let content = content(load.size);
    let hash_start = Instant::now();
    let hash: [u8; 32] = Sha256::digest(&content).into();
    let hashing = hash_start.elapsed();
    let mut bot = Bot::login(target, "uploader", 0).await?;
    let peer = ConversationId::C2c(UserId::new("receiver")?);
    let mut alone = Latency::new();
    for _ in 0..load.messages {
        let start = Instant::now();
        bot.send(peer).await?;
        alone.record(start.elapsed());
    }
    let memory = target.memory();
    let begin = BeginUpload::new(MessageKind::FILE, "bench.bin", load.size as u64, &hash);
    let begun = bot.call(&begin, |begun| begun).await?;
    let mut beside = Latency::new();
    let mut most_memory = memory;
    let start = Instant::now();
    let mut sent = 0;
    let (mut message, stored) = (None, bot.stored);
    let mut pieces = content.chunks(begun.piece_len as usize);
    let mut answered_messages = stored;
    loop {
        while bot.pieces_under_way < usize::from(begun.window)
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
            beside.extend(message.take().map(|sent: Instant| sent.elapsed()));
        }
        if message.is_none() {
            message = Some(Instant::now());
            bot.start_send(peer)?;
            if beside.count().is_multiple_of(16) {
                most_memory = most_memory.max(target.memory());
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
    let uploading = start.elapsed();
    most_memory = most_memory.max(target.memory());
    let file = File::new()
        .with_uuid(&uuid)
        .with_name("bench.bin")
        .with_size(load.size as u64);
    let sequence = bot.send_payload(peer, file).await?;
    let start = Instant::now();
    let mut at = 0;
    while at < content.len() {
        let request = Download::new(peer, sequence, at as u64, begun.piece_len);
        let piece = bot.call(&request, |piece| piece.bytes.to_vec()).await?;
        if piece.is_empty() || content.get(at..at + piece.len()) != Some(&piece) {
            return Err(format!("the file is another one at {at}").into());
        }
        at += piece.len();
    }
    let downloading = start.elapsed();
    report.begin(
        "files",
        [
            ("bytes", load.size as u64),
            ("piece", begun.piece_len.into()),
            ("window", begun.window.into()),
        ],
    );
    let rate = |took: Duration| Value::Round(load.size as f64 / 1e6 / took.as_secs_f64());
    report.add(Figure::new(
        "upload",
        "uploads of one file, checked and durable",
        rate(uploading),
        "MB/s",
    ))?;
    report.add(Figure::new(
        "download",
        "downloads of it, one piece after the other",
        rate(downloading),
        "MB/s",
    ))?;
    report.add(Figure::new(
        "sha256",
        "  SHA-256 alone, in the client",
        rate(hashing),
        "MB/s",
    ))?;
    for (key, label, latency) in [
        ("alone", "a message, without a file", &alone),
        ("beside", "a message, beside the upload", &beside),
    ] {
        report.add_latency(key, label, latency)?;
    }
    let ratio = beside.quantile(0.99).as_secs_f64() / alone.quantile(0.99).as_secs_f64();
    report.add(Figure::new(
        "beside_over_alone",
        "  p99 beside over p99 without",
        Value::Real(ratio),
        "x",
    ))?;
    if let (Some(before), Some(most)) = (memory, most_memory) {
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
