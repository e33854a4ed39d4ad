//! What the disk can do at best: appends to one file, each synced. A durable figure means little without it.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Latency;

/// The block of a message that is synced alone.
pub const SINGLE_BLOCK: usize = 256;
/// What a server stores beside a text, generously: ids, names, sequence, checksum.
const BESIDE_TEXT: usize = 99;
/// Where the file starts anew, so that no run fills the disk.
const MAX_FILE: u64 = 256 << 20;

/// The bytes that a message with this text takes in a log.
#[must_use]
pub const fn message_block(text: usize) -> usize {
    text + BESIDE_TEXT
}

/// The block of a group commit of one message from each of these senders; `most` is the largest group.
#[must_use]
pub const fn group_block(text: usize, senders: usize, most: usize) -> usize {
    let messages = if senders < most { senders } else { most };
    message_block(text) * messages
}

/// Synced appends of one block.
#[derive(Debug, Clone)]
pub struct Ceiling {
    /// The size of the block in bytes.
    pub block: usize,
    /// How long each took.
    pub latency: Latency,
    /// How long all took.
    pub took: Duration,
}

impl Ceiling {
    /// Appends a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.latency.count() as f64 / self.took.as_secs_f64()
    }

    /// Adds what was measured at another time.
    pub fn add(&mut self, more: &Self) {
        self.latency.add(&more.latency);
        self.took += more.took;
    }
}

/// Appends blocks of this size to an unnamed file in this directory for this long, each with `fdatasync`. Blocks the thread.
///
/// # Errors
/// If the file cannot be made, written or synced.
pub fn sync_appends(directory: &Path, block: usize, time: Duration) -> io::Result<Ceiling> {
    let mut file: File = tempfile::tempfile_in(directory)?;
    let bytes = vec![0xa5; block];
    let mut latency = Latency::new();
    let start = Instant::now();
    let mut written = 0;
    while latency.count() == 0 || start.elapsed() < time {
        if written >= MAX_FILE {
            file.rewind()?;
            written = 0;
        }
        let began = Instant::now();
        file.write_all(&bytes)?;
        file.sync_data()?;
        latency.record(began.elapsed());
        written += bytes.len() as u64;
    }
    let took = start.elapsed();
    Ok(Ceiling { block, latency, took })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appends_are_counted_and_leave_no_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut first = sync_appends(directory.path(), 256, Duration::ZERO).expect("an append");
        assert_eq!((first.block, first.latency.count()), (256, 1));
        assert!(first.rate() > 0.0 && first.took >= first.latency.max());
        let more = sync_appends(directory.path(), 256, Duration::from_millis(5)).expect("appends");
        first.add(&more);
        assert_eq!(first.latency.count(), 1 + more.latency.count());
        assert_eq!(std::fs::read_dir(directory.path()).expect("a listing").count(), 0);
    }

    #[test]
    fn a_group_commit_has_a_message_of_each_sender() {
        assert_eq!(group_block(157, 1, 256), SINGLE_BLOCK);
        assert_eq!(group_block(157, 64, 256), 16 * 1024);
        assert_eq!(group_block(157, 10_000, 256), 64 * 1024);
    }
}
