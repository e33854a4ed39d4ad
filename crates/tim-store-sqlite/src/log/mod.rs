//! The log in front of the database: what was acknowledged and is not committed in SQLite yet.
//!
//! A commit of SQLite writes whole pages, twice: for a message of 157 bytes some ten kilobytes. So batches are not committed one by one.
//! They are applied to the database inside one transaction that stays open, and a *block* with the batch is appended to the log, which
//! is synced. When the transaction has grown enough, SQLite commits it once: a *generation*. The log then begins from its start again.
//!
//! After a crash the transaction is lost, and the blocks of the log are applied again, by the same code, to the database as the last
//! commit left it ([`replay`](super::replay)). The number of the generation tells which blocks those are: it is stored in the
//! database by the commit, and in each block under its checksum, so that blocks of earlier generations are void without being removed.
//!
//! The file grows in steps and is then written over, so that a sync need not wait for the file system's own journal. Blocks are written
//! past the page cache where the file system allows it: otherwise each sync writes at least a page of 4,096 bytes.

pub(super) mod block;
pub(super) mod front;
pub(super) mod record;

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use tracing::info;

use self::block::{Block, Found, Header, SECTOR};
use self::front::{FRONT, FRONT_LEN, Front};
use super::counts::Counts;
use super::only_file;

/// The name of the log in the data directory.
pub(super) const LOG: &str = "tim.log";

/// The greatest length of the log. A generation ends before.
const MAX_LEN: u64 = 4 << 20;
/// By how much the file grows. A divisor of the greatest length.
const GROWTH: u64 = 1 << 20;
/// In memory, blocks begin at a multiple of this, as direct writes need it.
const ALIGNMENT: usize = 4096;

/// Zeros are written in pieces of this size: the kernel accounts a later write with the whole piece.
const ZEROS: usize = 64 << 10;
/// How much is overwritten in one step of a wipe.
const AT_ONCE: u64 = GROWTH;

/// The open log.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    /// The secret number of the store.
    salt: u64,
    /// Whether the file has a [front](self::front).
    has_front: bool,
    /// `None` until the first block of this opening.
    file: Option<File>,
    is_direct: bool,
    /// The length of the file.
    len: u64,
    /// Where the next block goes.
    end: u64,
    /// Up to where something was written since the last [`wipe`](Self::wipe).
    used: u64,
    /// The next block is written from here.
    buffer: Buffer,
    counts: Arc<Counts>,
    /// As if the disk were full.
    #[cfg(test)]
    pub(super) is_full: bool,
    /// As if the disk were full, and the file system needed space to write over something.
    #[cfg(test)]
    pub(super) is_full_for_blocks: bool,
    /// As if the disk refused to write.
    #[cfg(test)]
    pub(super) is_broken: bool,
}

impl Log {
    /// The log of a data directory, which is begun if there is none. On a full disk it [is not](Self::has_front), and is begun later.
    pub(super) fn create(dir: &Path, salt: u64) -> io::Result<Self> {
        let mut log = Self::new(dir, salt)?;
        match log.begin() {
            Err(error) if !is_full(&error) => Err(error),
            _ => Ok(log),
        }
    }

    /// The log of a data directory. Creates nothing yet.
    pub(super) fn new(dir: &Path, salt: u64) -> io::Result<Self> {
        let path = dir.join(LOG);
        only_file(&path)?;
        let front = match File::open(&path) {
            Ok(file) => {
                let mut bytes = Vec::new();
                file.take(FRONT).read_to_end(&mut bytes)?;
                front::look(&bytes, salt)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Front::Nothing,
            Err(error) => return Err(error),
        };
        let len = match front {
            Front::Own { len } => len,
            Front::Nothing | Front::Foreign => 0,
        };
        Ok(Self {
            path,
            salt,
            has_front: len > 0,
            file: None,
            is_direct: cfg!(target_os = "linux"),
            len,
            end: FRONT,
            used: len,
            buffer: Buffer::default(),
            counts: Arc::default(),
            #[cfg(test)]
            is_full_for_blocks: false,
            #[cfg(test)]
            is_full: false,
            #[cfg(test)]
            is_broken: false,
        })
    }

    /// What the log has of a generation.
    pub(super) fn read(&self, salt: u64, generation: u64) -> io::Result<Found> {
        let mut bytes = Vec::new();
        only_file(&self.path)?;
        match File::open(&self.path) {
            Ok(file) => file.take(MAX_LEN).read_to_end(&mut bytes)?,
            Err(error) if error.kind() == ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        let blocks = bytes.get(FRONT_LEN..).unwrap_or_default();
        let found = block::scan(blocks, salt, generation);
        let is_empty = matches!(&found, Found::Blocks(blocks) if blocks.is_empty());
        Ok(match front::look(&bytes, salt) {
            Front::Own { len } if len > bytes.len() as u64 => Found::Short { len },
            Front::Nothing if is_empty => Found::Nothing,
            Front::Foreign if is_empty => Found::Foreign,
            Front::Nothing | Front::Foreign => Found::NoFront,
            Front::Own { .. } => found,
        })
    }

    /// What is counted.
    pub(super) fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// Whether the file says whose it is.
    pub(super) const fn has_front(&self) -> bool {
        self.has_front
    }

    /// Begins the file anew, unless it is the log of this store already.
    fn begin(&mut self) -> io::Result<()> {
        if self.has_front {
            return Ok(());
        }
        let file = open(&self.path, false)?;
        file.set_len(0)?;
        self.file = Some(file);
        self.buffer.zero(FRONT_LEN);
        front::encode(self.salt, 0, self.buffer.get_mut(FRONT_LEN));
        let begun = self.put(0, FRONT_LEN);
        let file = self.file.take();
        begun?;
        if let Some(file) = file {
            file.sync_all()?;
        }
        // The name of the file is durable, too.
        if let Some(dir) = self.path.parent() {
            File::open(dir)?.sync_all()?;
        }
        (self.len, self.end, self.used) = (FRONT, FRONT, FRONT);
        self.has_front = true;
        Ok(())
    }

    /// The next block goes behind those with bodies of these lengths.
    pub(super) fn go_on_after(&mut self, bodies: impl Iterator<Item = usize>) {
        self.end = FRONT + bodies.map(|body| block::padded(body) as u64).sum::<u64>();
    }

    /// Whether a block with a body of this length fits.
    pub(super) fn has_room(&self, body: usize) -> bool {
        self.end.saturating_add(block::padded(body) as u64) <= MAX_LEN
    }

    /// Takes the space that a block with such a body needs from the disk.
    pub(super) fn reserve(&mut self, body: usize) -> io::Result<()> {
        self.grow(self.end + block::padded(body) as u64)
    }

    /// Appends a block, for which there is [space](Self::reserve). It is durable when this returns; after an error it is unknown what
    /// of it is on the disk.
    pub(super) fn append(&mut self, header: &Header, body: &[u8]) -> Result<(), NotAppended> {
        let len = self.buffer.fill(header, body);
        self.put_block(self.end, len).map_err(NotAppended::Written)?;
        let begun = Instant::now();
        self.sync().map_err(NotAppended::Synced)?;
        let took_us = begun.elapsed().as_micros();
        let took_us = u64::try_from(took_us).unwrap_or(u64::MAX);
        self.counts.syncs_us.observe(took_us);
        self.end += len as u64;
        self.used = self.used.max(self.end);
        Ok(())
    }

    /// A new generation begins: its blocks are written over those of the last one.
    pub(super) const fn restart(&mut self) {
        self.end = FRONT;
    }

    /// Overwrites a part of what is left of earlier generations, behind the blocks of this one; false if there is little. Without a
    /// sync: [`wipe`](Self::wipe) makes it durable.
    pub(super) fn wipe_behind(&mut self) -> io::Result<bool> {
        let used = self.used.next_multiple_of(ZEROS as u64).min(self.len);
        let from = used.saturating_sub(AT_ONCE);
        if from < self.end.next_multiple_of(ZEROS as u64) {
            return Ok(false);
        }
        self.fill_with_zeros(from, used)?;
        self.used = from;
        Ok(true)
    }

    /// Overwrites what was written with zeros, so that nothing of it remains in the file. The generation must be committed.
    pub(super) fn wipe(&mut self) -> io::Result<()> {
        self.restart();
        if self.used <= FRONT {
            return Ok(());
        }
        let used = self.used.next_multiple_of(ZEROS as u64).min(self.len);
        self.zero(FRONT, used)?;
        self.used = FRONT;
        Ok(())
    }

    /// Empties the file: everything is in the database.
    pub(super) fn close(&mut self) -> io::Result<()> {
        self.restart();
        self.file = None;
        self.has_front = false;
        self.len = 0;
        self.used = 0;
        match OpenOptions::new().write(true).open(&self.path) {
            Ok(file) => {
                file.set_len(0)?;
                file.sync_all()
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Makes the file at least so long.
    fn grow(&mut self, len: u64) -> io::Result<()> {
        #[cfg(test)]
        if self.is_full {
            return Err(ErrorKind::StorageFull.into());
        }
        self.begin()?;
        self.open()?;
        while self.len < len {
            let step = front::step(self.len) + 1;
            self.zero(self.len, step * GROWTH)?;
            self.buffer.zero(SECTOR);
            front::encode(self.salt, step, self.buffer.get_mut(SECTOR));
            self.put(front::place(step), SECTOR)?;
            self.len = step * GROWTH;
        }
        Ok(())
    }

    fn open(&mut self) -> io::Result<()> {
        if self.file.is_some() {
            return Ok(());
        }
        let file = match open(&self.path, self.is_direct) {
            Err(error) if self.is_direct && is_refusal(&error) => {
                self.is_direct = false;
                open(&self.path, false)?
            }
            opened => opened?,
        };
        self.file = Some(file);
        Ok(())
    }

    fn zero(&mut self, from: u64, to: u64) -> io::Result<()> {
        self.fill_with_zeros(from, to)?;
        self.file.as_ref().map_or(Ok(()), File::sync_all)
    }

    fn fill_with_zeros(&mut self, from: u64, to: u64) -> io::Result<()> {
        self.open()?;
        self.buffer.zero(ZEROS);
        let mut at = from;
        while at < to {
            let len = usize::try_from(to - at).map_or(ZEROS, |rest| rest.min(ZEROS));
            self.put(at, len)?;
            at += len as u64;
        }
        Ok(())
    }

    fn put_block(&mut self, at: u64, len: usize) -> io::Result<()> {
        #[cfg(test)]
        if self.is_full_for_blocks {
            return Err(ErrorKind::StorageFull.into());
        }
        #[cfg(test)]
        if self.is_broken {
            return Err(ErrorKind::Other.into());
        }
        self.put(at, len)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), File::sync_data)
    }

    /// Writes the buffer. If the file system refuses direct writes, this and later ones go through the page cache.
    fn put(&mut self, at: u64, len: usize) -> io::Result<()> {
        let written = self.put_once(at, len);
        match written {
            Err(error) if self.is_direct && is_refusal(&error) => {
                info!(
                    "{}: direct writes are not possible here: more is written",
                    self.path.display()
                );
                self.is_direct = false;
                self.file = Some(open(&self.path, false)?);
                self.put_once(at, len)
            }
            written => written,
        }
    }

    fn put_once(&self, at: u64, len: usize) -> io::Result<()> {
        let Some(mut file) = self.file.as_ref() else {
            return Err(ErrorKind::NotFound.into());
        };
        file.seek(SeekFrom::Start(at))?;
        file.write_all(self.buffer.get(len))
    }
}

/// Why a block is not in the log.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotAppended {
    /// It could not be written.
    #[error("{0}")]
    Written(io::Error),
    /// It is unknown what of it is on the disk.
    #[error("{0}")]
    Synced(io::Error),
}

/// Whether there is no space.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
    )
}

fn is_refusal(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported)
}

fn open(path: &Path, is_direct: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
        #[cfg(target_os = "linux")]
        if is_direct {
            options.custom_flags(libc::O_DIRECT);
        }
    }
    let _ = is_direct;
    options.open(path)
}

/// Bytes at an aligned place.
#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    start: usize,
}

impl Buffer {
    /// Writes a block into it. Returns its padded length.
    fn fill(&mut self, header: &Header, body: &[u8]) -> usize {
        let len = block::padded(body.len());
        self.zero(len);
        Block { header, body }.encode(self.get_mut(len));
        len
    }

    fn zero(&mut self, len: usize) {
        self.bytes.clear();
        self.bytes.resize(len + ALIGNMENT, 0);
        let start = self.bytes.as_ptr().align_offset(ALIGNMENT);
        self.start = if start < ALIGNMENT { start } else { 0 };
    }

    fn get_mut(&mut self, len: usize) -> &mut [u8] {
        self.bytes
            .get_mut(self.start..self.start + len)
            .unwrap_or_default()
    }

    fn get(&self, len: usize) -> &[u8] {
        self.bytes.get(self.start..self.start + len).unwrap_or_default()
    }
}

const _: () = assert!(
    MAX_LEN.is_multiple_of(GROWTH) && GROWTH.is_multiple_of(ZEROS as u64) && ZEROS.is_multiple_of(SECTOR)
);
