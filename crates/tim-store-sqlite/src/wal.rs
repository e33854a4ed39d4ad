//! The write-ahead log before SQLite opens it.
//!
//! SQLite takes the log up to the first frame with a wrong checksum and forgets the rest without a word. After a power cut that is
//! right: the rest is the transaction that was not synced yet. But a flipped bit or a truncation looks the same and would take
//! acknowledged messages with it. Two things tell them apart. Every commit is synced before the next one begins, so behind a damaged
//! frame there is at most the rest of one transaction. And the index of the log (`-shm`), which names a frame only after it was synced,
//! survives a killed process.

use std::fs;
use std::io;
use std::path::Path;

use super::{beside, only_file};

const MAGIC: u32 = 0x377f_0682;
const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// The index: two copies of the header of 48 bytes, then how many frames are in the database.
const INDEX: usize = 136;
const INDEX_HEADER: usize = 48;
const BACKFILLED_AT: usize = 96;

/// What a look at the log has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing is missing.
    Whole,
    /// The log ends inside a transaction: that of a power cut, or the last one before damage.
    Unfinished,
    /// The log is empty, but its index knows committed frames. After a power cut the index may be older than the log, which was
    /// moved into the database; if there was none, they are lost.
    Empty,
    /// Acknowledged changes are missing; the text says which part of the log is damaged.
    Damaged(String),
}

/// Looks at the log of this database.
pub(super) fn look(database: &Path) -> io::Result<Found> {
    let log = read(&beside(database, "-wal"))?;
    let index = Index::decode(&read(&beside(database, "-shm"))?);
    Ok(judge(&log, index))
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    only_file(path)?;
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read,
    }
}

/// What is to be said of this log with this index.
#[cfg(feature = "fuzzing")]
pub(super) fn judge_files(log: &[u8], index: &[u8]) -> Found {
    judge(log, Index::decode(index))
}

fn judge(log: &[u8], index: Option<Index>) -> Found {
    let frames = match Log::decode(log) {
        Ok(frames) => frames,
        Err(why) => return why,
    };
    let committed = frames.as_ref().map_or(0, |frames| frames.committed);
    // An index of an earlier life of the log says nothing.
    let salts = frames.as_ref().map(|frames| frames.salts);
    if let Some(index) = index
        && index.frames > committed
        && index.frames > index.backfilled
        && salts.is_none_or(|salts| salts == index.salts)
    {
        if salts.is_none() {
            return Found::Empty;
        }
        return Found::Damaged(format!(
            "it has {committed} intact frames, but {} were committed",
            index.frames
        ));
    }
    let Some(frames) = frames else { return Found::Whole };
    match frames.behind {
        Behind::Nothing => Found::Whole,
        Behind::Part => Found::Unfinished,
        Behind::Commits => Found::Damaged(format!(
            "frame {} is damaged, and later commits follow it",
            frames.intact + 1
        )),
    }
}

/// What follows the intact frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behind {
    Nothing,
    /// Frames of one transaction.
    Part,
    /// A commit, and more behind it.
    Commits,
}

/// The frames of a log.
struct Log {
    salts: [u8; 8],
    /// Frames with a right checksum.
    intact: u32,
    /// Those of them up to the last commit.
    committed: u32,
    behind: Behind,
}

impl Log {
    /// `Ok(None)` for a log that holds nothing.
    fn decode(log: &[u8]) -> Result<Option<Self>, Found> {
        // The header is synced before the first frame is written.
        if log.len() <= HEADER {
            return Ok(None);
        }
        let damaged = || Found::Damaged("its header is damaged".to_owned());
        let (header, frames) = log.split_at(HEADER);
        let magic = number(header, 0);
        let is_big = magic == MAGIC | 1;
        let mut sum = Checksum { is_big, at: (0, 0) };
        sum.add(&header[..24]);
        let page = number(header, 8) as usize;
        if magic & !1 != MAGIC
            || sum.at != (number(header, 24), number(header, 28))
            || !(512..=65_536).contains(&page)
        {
            return Err(damaged());
        }
        let salts: [u8; 8] = header[16..24].try_into().map_err(|_| damaged())?;
        let mut found = Self {
            salts,
            intact: 0,
            committed: 0,
            behind: Behind::Nothing,
        };
        let (mut is_intact, mut ended) = (true, false);
        for frame in frames.chunks_exact(FRAME_HEADER + page) {
            if frame[8..16] != salts {
                // Of an earlier life of the log; or damaged, with more behind it.
                is_intact = false;
                continue;
            }
            let is_commit = number(frame, 4) != 0;
            if is_intact {
                sum.add(&frame[..8]);
                sum.add(&frame[FRAME_HEADER..]);
                is_intact = sum.at == (number(frame, 16), number(frame, 20));
            }
            if is_intact {
                found.intact += 1;
                if is_commit {
                    found.committed = found.intact;
                }
                continue;
            }
            found.behind = if ended { Behind::Commits } else { Behind::Part };
            ended |= is_commit;
        }
        Ok(Some(found))
    }
}

/// SQLite's checksum of the log: two sums over pairs of words.
struct Checksum {
    is_big: bool,
    at: (u32, u32),
}

impl Checksum {
    fn add(&mut self, bytes: &[u8]) {
        let word = |bytes: &[u8]| {
            let bytes = bytes.try_into().unwrap_or_default();
            match self.is_big {
                true => u32::from_be_bytes(bytes),
                false => u32::from_le_bytes(bytes),
            }
        };
        let (mut first, mut second) = self.at;
        for pair in bytes.chunks_exact(8) {
            let (low, high) = pair.split_at(4);
            first = first.wrapping_add(word(low)).wrapping_add(second);
            second = second.wrapping_add(word(high)).wrapping_add(first);
        }
        self.at = (first, second);
    }
}

/// A big-endian number; 0 past the end.
fn number(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    four.map_or(0, u32::from_be_bytes)
}

/// What the index says.
#[derive(Debug, Clone, Copy)]
struct Index {
    /// Committed and synced frames.
    frames: u32,
    /// Those of them that are in the database.
    backfilled: u32,
    salts: [u8; 8],
}

impl Index {
    /// `None` for an index that is damaged or was being written. It is rebuilt then.
    fn decode(index: &[u8]) -> Option<Self> {
        let index = index.get(..INDEX)?;
        let (header, rest) = index.split_at(INDEX_HEADER);
        let native = |at: usize| Some(u32::from_ne_bytes(index.get(at..at + 4)?.try_into().ok()?));
        let mut sum = Checksum {
            is_big: cfg!(target_endian = "big"),
            at: (0, 0),
        };
        sum.add(&header[..40]);
        let is_right =
            header == &rest[..INDEX_HEADER] && header[12] == 1 && sum.at == (native(40)?, native(44)?);
        is_right.then_some(Self {
            frames: native(16)?,
            backfilled: native(BACKFILLED_AT)?,
            salts: header[32..40].try_into().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    /// A log with this many commits of one row each, and its index, as a killed process leaves them.
    fn killed(dir: &Path, commits: u32) -> (Vec<u8>, Vec<u8>) {
        let database = dir.join("db");
        let connection = Connection::open(&database).unwrap();
        let wal = "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE t (x);";
        connection.execute_batch(wal).unwrap();
        for number in 0..commits {
            connection.execute("INSERT INTO t VALUES (?1)", [number]).unwrap();
        }
        let files = ["-wal", "-shm"].map(|name| fs::read(beside(&database, name)).unwrap());
        let [log, index] = files;
        (log, index)
    }

    const PAGE: usize = FRAME_HEADER + 4096;

    #[test]
    fn a_whole_log_is_whole_with_and_without_its_index() {
        let dir = tempfile::tempdir().unwrap();
        let (log, index) = killed(dir.path(), 20);
        assert_eq!(judge(&log, Index::decode(&index)), Found::Whole);
        assert!(Index::decode(&index).is_some());
        assert_eq!(judge(&log, None), Found::Whole);
        assert_eq!(judge(&[], None), Found::Whole);
    }

    #[test]
    fn every_flipped_bit_of_a_commit_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let (log, index) = killed(dir.path(), 8);
        for at in (0..log.len()).step_by(97) {
            let mut damaged = log.clone();
            damaged[at] ^= 1;
            let found = judge(&damaged, Index::decode(&index));
            assert!(matches!(found, Found::Damaged(_)), "byte {at}: {found:?}");
            // Without the index, the last transaction cannot be told from one that a power cut has torn.
            let found = judge(&damaged, None);
            let is_last = at >= log.len() - PAGE;
            assert!(
                is_last || matches!(found, Found::Damaged(_)),
                "byte {at}: {found:?}"
            );
            assert_ne!(found, Found::Whole, "byte {at}");
        }
    }

    #[test]
    fn a_truncated_log_is_noticed_by_its_index() {
        let dir = tempfile::tempdir().unwrap();
        let (log, index) = killed(dir.path(), 8);
        for len in [0, 10, HEADER, HEADER + PAGE, log.len() - PAGE, log.len() - 1] {
            let found = judge(&log[..len], Index::decode(&index));
            let is_noticed = match len > HEADER {
                true => matches!(found, Found::Damaged(_)),
                false => found == Found::Empty,
            };
            assert!(is_noticed, "{len} bytes: {found:?}");
        }
    }

    #[test]
    fn what_a_power_cut_tears_is_not_damage() {
        let dir = tempfile::tempdir().unwrap();
        let (log, index) = killed(dir.path(), 8);
        let mut torn = log.clone();
        let at = torn.len() - 100;
        torn[at..].fill(0);
        assert_eq!(judge(&torn, None), Found::Unfinished);
        // An index from before the last commit, as the disk may have it.
        let mut earlier = Index::decode(&index).unwrap();
        earlier.frames -= 1;
        assert_eq!(judge(&torn, Some(earlier)), Found::Unfinished);
        // Of another life of the log.
        earlier.salts[0] ^= 1;
        earlier.frames += 100;
        assert_eq!(judge(&log, Some(earlier)), Found::Whole);
    }
}
