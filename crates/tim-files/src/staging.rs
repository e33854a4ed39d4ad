//! Uploads that are under way: their bytes, and how many were received.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use sha2::{Digest, Sha256};
use tim_proto::FileId;
use tim_proto::planted::{self, Fault};

use crate::announced::Announced;
use crate::content::sync_directory;
use crate::error::FileError;
use crate::faults::{Faults, Operation};
use crate::pictures::Rendered;
use crate::store::Completed;

/// The maximum number of bytes that are written before a sync. A commit of messages may wait for such a sync on the same disk:
/// `tim-bench files` shows how long.
const SYNC_EVERY: u64 = 512 << 10;
/// The longest time from one sync to the next while pieces arrive, in milliseconds.
const SYNC_AFTER_MS: u64 = 250;
/// How much is read at a time to compute a hash again.
const READ_LEN: usize = 256 << 10;

/// An upload.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) announced: Announced,
    /// The bytes.
    part: PathBuf,
    /// What was announced.
    meta: PathBuf,
    faults: Faults,
    state: Mutex<State>,
}

/// What was received of an upload. Locked while its files are worked on.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Open while pieces arrive.
    file: Option<File>,
    pub(crate) received: u64,
    /// How many of them survive a power cut.
    pub(crate) synced: u64,
    is_named: bool,
    /// When that was, by the caller's clock.
    synced_ms: u64,
    /// Of the received bytes; `None` after a restart of the hub.
    hasher: Option<Sha256>,
    /// By the caller's clock.
    pub(crate) touched_ms: u64,
    /// The renditions of a picture, until they are in the store.
    pub(crate) rendered: Option<Rendered>,
    /// What its content is called, if some of that may be in the store.
    pub(crate) content_id: Option<FileId>,
    /// Somebody works on it who has not locked it.
    pub(crate) is_busy: bool,
    /// Its content is in the store.
    pub(crate) completed: Option<Completed>,
    /// Nobody is about to write the row of that, and it is not known whether it is there.
    pub(crate) is_left: bool,
    /// It was cancelled, or has failed.
    pub(crate) is_over: bool,
}

impl Staged {
    /// An upload without files yet.
    pub(crate) fn new(directory: &Path, id: u64, announced: Announced, faults: Faults) -> Self {
        Self {
            announced,
            part: directory.join(format!("{id:016x}.part")),
            meta: directory.join(format!("{id:016x}.meta")),
            faults,
            state: Mutex::default(),
        }
    }

    /// An upload of which these files were left by an earlier process. `None` if they cannot be used.
    pub(crate) fn load(meta: &Path, faults: Faults) -> Option<(u64, u64, Self)> {
        let id = u64::from_str_radix(meta.file_stem()?.to_str()?, 16).ok()?;
        let (announced, began_ms) = Announced::decode(&fs::read(meta).ok()?)?;
        let staged = Self::new(meta.parent()?, id, announced, faults);
        let received = fs::metadata(&staged.part).ok()?.len();
        if received > staged.announced.size {
            return None;
        }
        staged.lock().received = received;
        Some((id, began_ms, staged))
    }

    pub(crate) fn part(&self) -> &Path {
        &self.part
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, unless somebody works on the files.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, State>> {
        match self.state.try_lock() {
            Ok(state) => Some(state),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Whether bytes that are needed were removed from outside.
    pub(crate) fn is_lost(&self, state: &State) -> bool {
        state.completed.is_none() && matches!(self.part.try_exists(), Ok(false))
    }

    /// Makes the files. Nothing is durable before the first [`sync`](Self::sync).
    pub(crate) fn create(&self, state: &mut State, began_ms: u64) -> Result<(), FileError> {
        self.faults.before(Operation::Begin)?;
        fs::write(&self.meta, self.announced.encode(began_ms))?;
        state.file = Some(OpenOptions::new().write(true).create_new(true).open(&self.part)?);
        state.hasher = Some(Sha256::new());
        state.synced_ms = state.touched_ms;
        Ok(())
    }

    /// Appends those bytes of a piece that were not received before.
    pub(crate) fn append(&self, state: &mut State, offset: u64, bytes: &[u8]) -> Result<(), FileError> {
        let received = state.received;
        let offset = match planted::is(Fault::PieceOutOfOrder) {
            true => offset.min(received),
            false => offset,
        };
        let known = received
            .checked_sub(offset)
            .ok_or(FileError::OutOfOrder { received })?;
        let known = usize::try_from(known).unwrap_or(usize::MAX);
        let Some(new) = bytes.get(known..).filter(|new| !new.is_empty()) else {
            return Ok(());
        };
        let end = received.saturating_add(new.len() as u64);
        if end > self.announced.size {
            return Err(FileError::OtherContent("it is longer"));
        }
        self.faults.before(Operation::Write)?;
        self.rebuild_hash(state)?;
        let written = self.write(state, new);
        if let Err(error) = written {
            // The next piece begins at the same place, and overwrites what was written of this one.
            state.file = None;
            return Err(error.into());
        }
        if let Some(hasher) = &mut state.hasher {
            hasher.update(new);
        }
        state.received = end;
        let is_due = state.touched_ms.saturating_sub(state.synced_ms) >= SYNC_AFTER_MS;
        if is_due || end - state.synced >= SYNC_EVERY || end == self.announced.size {
            self.sync(state)?;
        }
        Ok(())
    }

    fn write(&self, state: &mut State, bytes: &[u8]) -> io::Result<()> {
        let file = match &mut state.file {
            Some(file) => file,
            none => {
                let mut file = OpenOptions::new().write(true).open(&self.part)?;
                file.seek(SeekFrom::Start(state.received))?;
                none.insert(file)
            }
        };
        file.write_all(bytes)
    }

    /// Computes the hash of what was received before a restart of the hub.
    fn rebuild_hash(&self, state: &mut State) -> Result<(), FileError> {
        if state.hasher.is_some() {
            return Ok(());
        }
        let (mut hasher, mut left) = (Sha256::new(), state.received);
        let mut file = File::open(&self.part)?;
        let mut buffer = vec![0; READ_LEN];
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(READ_LEN).min(READ_LEN);
            let read = file.read(buffer.get_mut(..most).unwrap_or_default())?;
            if read == 0 {
                return Err(FileError::Failed("bytes of an upload are missing".to_owned()));
            }
            hasher.update(buffer.get(..read).unwrap_or_default());
            left -= read as u64;
        }
        state.hasher = Some(hasher);
        Ok(())
    }

    /// Makes durable what was received.
    pub(crate) fn sync(&self, state: &mut State) -> Result<(), FileError> {
        if state.synced == state.received && state.is_named {
            return Ok(());
        }
        self.faults.before(Operation::Sync)?;
        match &state.file {
            Some(file) => file.sync_data()?,
            None => OpenOptions::new().write(true).open(&self.part)?.sync_data()?,
        }
        if !state.is_named {
            File::open(&self.meta)?.sync_all()?;
            self.meta.parent().map_or(Ok(()), sync_directory)?;
            state.is_named = true;
        }
        state.synced = state.received;
        state.synced_ms = state.touched_ms;
        Ok(())
    }

    /// Closes the file until the next piece.
    pub(crate) fn rest(state: &mut State) {
        state.file = None;
    }

    /// Checks that everything was received, and that it is what was announced.
    pub(crate) fn check(&self, state: &mut State) -> Result<(), FileError> {
        if state.received != self.announced.size {
            return Err(FileError::OtherContent("it is shorter"));
        }
        self.rebuild_hash(state)?;
        let hash = state.hasher.clone().unwrap_or_default().finalize();
        if hash[..] != self.announced.sha256[..] && !planted::is(Fault::HashNotCompared) {
            return Err(FileError::OtherContent("its SHA-256 is different"));
        }
        self.sync(state)?;
        Self::rest(state);
        Ok(())
    }

    /// Removes the files.
    pub(crate) fn remove(&self, state: &mut State) -> Result<(), FileError> {
        state.is_over = true;
        state.file = None;
        // Whichever of the two is left after a crash is removed at the next start.
        for path in [&self.part, &self.meta] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }
}
