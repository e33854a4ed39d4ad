//! The files of a hub: uploads on their way to content.

mod backup;
mod ending;
mod options;
mod table;
mod tidy;

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tim_proto::FileId;
use tim_proto::planted::{self, Fault};

use crate::announced::Announced;
use crate::content::Content;
use crate::error::FileError;
pub use backup::Copied;
pub use options::{Begun, Completed, FileStoreOptions, Received};
pub use tidy::Swept;

use crate::pictures::Part;
use crate::place;
use crate::staging::{Staged, State};
use table::{Table, load};

/// Uploads and content in a directory. Every call but [`is_upload_of`](Self::is_upload_of),
/// [`announced`](Self::announced) and [`pending_bytes`](Self::pending_bytes) may wait for the disk.
pub struct FileStore {
    staging: PathBuf,
    content: Content,
    options: FileStoreOptions,
    /// Never locked while the disk is waited for.
    table: Mutex<Table>,
    /// Behind which object the sweep of a store of objects goes on.
    sweeping: Mutex<Option<String>>,
    made: AtomicU64,
}

impl FileStore {
    /// Opens the file store in `directory`, with the uploads that are under way there. `now_ms` is the wall clock, `steady_ms` the
    /// monotonic clock that all other calls are passed.
    ///
    /// # Errors
    /// [`FileError::Directory`] if the directory cannot be used; [`FileError::Store`] if a store of objects cannot, or if the files of
    /// the directory are in another store.
    pub fn open(
        directory: &Path,
        options: FileStoreOptions,
        now_ms: u64,
        steady_ms: u64,
    ) -> Result<Self, FileError> {
        let unusable = |path: &Path| {
            let path = path.to_owned();
            move |error| FileError::directory(&path, error)
        };
        let (staging, local) = (directory.join("staging"), directory.join("content"));
        private_directory(directory).map_err(unusable(directory))?;
        make_directories(&staging).map_err(unusable(&staging))?;
        let content = match &options.content {
            Some(remote) => Content::remote(remote, options.faults.clone()),
            None => Content::local(local.clone(), options.faults.clone()).map_err(unusable(&local))?,
        };
        let table = load(&staging, &options, now_ms, steady_ms).map_err(unusable(&staging))?;
        let store = Self {
            staging,
            content,
            options,
            table: Mutex::new(table),
            sweeping: Mutex::new(None),
            made: AtomicU64::new(now_ms),
        };
        match &store.options.content {
            Some(remote) => place::settle_remote(directory, &store.content, &remote.name, &store.fresh_id())?,
            None => place::settle_local(directory)?,
        }
        Ok(store)
    }

    /// Whether complete content is in a store of objects, which may answer slowly or not at all.
    #[must_use]
    pub const fn is_remote(&self) -> bool {
        self.content.is_remote()
    }

    /// Writes some bytes beside the uploads, and removes them: whether that is possible, as it is not on a full disk.
    ///
    /// # Errors
    /// [`FileError::Directory`] with what the system says.
    pub fn probe(&self) -> Result<(), FileError> {
        const BYTES: [u8; 4096] = [1; 4096];
        let path = self.staging.join("probe");
        fs::write(&path, BYTES)
            .and_then(|()| fs::remove_file(&path))
            .map_err(|error| FileError::directory(&path, error.into()))
    }

    /// Whether this owner has such an upload.
    #[must_use]
    pub fn is_upload_of(&self, owner: &str, upload: u64) -> bool {
        let table = self.table();
        let staged = table.uploads.get(&upload);
        staged.is_some_and(|staged| is_of(staged, owner))
    }

    /// What was announced of an owner's upload.
    #[must_use]
    pub fn announced(&self, owner: &str, upload: u64) -> Option<Announced> {
        self.upload(owner, upload)
            .ok()
            .map(|staged| staged.announced.clone())
    }

    /// The announced sizes of the uploads that the owner has under way, without the one with this announcement and those that
    /// `is_file` says are files already. It must not call the file store.
    #[must_use]
    pub fn pending_bytes(&self, announced: &Announced, is_file: impl Fn(u64) -> bool) -> u64 {
        let table = self.table();
        let others = table
            .of(&announced.owner)
            .filter(|(upload, staged)| staged.announced.key() != announced.key() && !is_file(*upload));
        others.map(|(_, staged)| staged.announced.size).sum()
    }

    /// Begins an upload, or continues the one with the same owner, kind, size and SHA-256.
    ///
    /// # Errors
    /// [`FileError::TooManyUploads`]; [`FileError::Full`] and [`FileError::Failed`] from the disk.
    pub fn begin(&self, announced: &Announced, now_ms: u64, steady_ms: u64) -> Result<Begun, FileError> {
        loop {
            let (upload, staged, is_new) = self.find_or_reserve(announced)?;
            let mut state = staged.lock();
            if state.is_over || (!is_new && staged.is_lost(&state)) {
                // It has ended meanwhile and is about to leave the table, or its bytes were removed from outside.
                self.drop_upload(upload, &staged, &mut state);
                continue;
            }
            state.touched_ms = steady_ms;
            let prepared = match is_new {
                true => make_directories(&self.staging)
                    .and_then(|()| self.check_space(announced.size))
                    .and_then(|()| staged.create(&mut state, now_ms)),
                false => staged.sync(&mut state),
            };
            let received = state.received;
            if let Err(error) = prepared {
                if is_new {
                    let _ = staged.remove(&mut state);
                    drop(state);
                    self.table().remove(upload);
                }
                return Err(error);
            }
            return Ok(Begun { upload, received });
        }
    }

    /// The upload with this announcement, or a place for a new one.
    fn find_or_reserve(&self, announced: &Announced) -> Result<(u64, Arc<Staged>, bool), FileError> {
        let mut table = self.table();
        let found = table
            .of(&announced.owner)
            .find(|(_, staged)| staged.announced.key() == announced.key());
        if let Some((upload, staged)) = found {
            return Ok((upload, Arc::clone(staged), false));
        }
        let count = table.of(&announced.owner).count();
        if count >= self.options.max_uploads {
            return Err(FileError::TooManyUploads(count));
        }
        let [a, b, c, d, e, f, g, h, ..] = self.name(announced);
        // 0 is nobody's.
        let upload = u64::from_le_bytes([a, b, c, d, e, f, g, h]).max(1);
        let staged = Staged::new(
            &self.staging,
            upload,
            announced.clone(),
            self.options.faults.clone(),
        );
        let staged = Arc::new(staged);
        table.insert(upload, Arc::clone(&staged));
        Ok((upload, staged, true))
    }

    /// Takes a piece of an upload. Bytes that were received before are not written again.
    ///
    /// # Errors
    /// [`FileError::UnknownUpload`]; [`FileError::OutOfOrder`]; [`FileError::OtherContent`] if there are more bytes than
    /// were announced: the upload is over then, unless it is completed. [`FileError::Full`] and [`FileError::Failed`] from the disk: the piece can be sent again.
    pub fn append(
        &self,
        owner: &str,
        upload: u64,
        offset: u64,
        bytes: &[u8],
        steady_ms: u64,
    ) -> Result<Received, FileError> {
        let staged = self.upload(owner, upload)?;
        let mut state = open(&staged)?;
        state.touched_ms = steady_ms;
        self.check_space(bytes.len() as u64)?;
        match staged.append(&mut state, offset, bytes) {
            Ok(()) => Ok(received(&state)),
            // A completed upload stays: its file may have a row.
            Err(error @ FileError::OtherContent(_)) if state.completed.is_none() => {
                self.drop_upload(upload, &staged, &mut state);
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes durable what was received of an upload, and closes its file until the next piece.
    ///
    /// # Errors
    /// [`FileError::UnknownUpload`]; [`FileError::Full`] and [`FileError::Failed`] from the disk.
    pub fn rest(&self, owner: &str, upload: u64) -> Result<Received, FileError> {
        let staged = self.upload(owner, upload)?;
        let mut state = open(&staged)?;
        staged.sync(&mut state)?;
        Staged::rest(&mut state);
        Ok(received(&state))
    }

    /// Closes the file of an upload until the next piece, without making anything durable.
    pub fn pause(&self, owner: &str, upload: u64) {
        if let Ok(staged) = self.upload(owner, upload) {
            Staged::rest(&mut staged.lock());
        }
    }

    /// Reads a range of a file, which must lie within it.
    ///
    /// # Errors
    /// [`FileError::NotFound`]; [`FileError::Damaged`] if the content is shorter; [`FileError::Failed`] from the store.
    pub fn read(&self, file: FileId, part: Part, range: Range<u64>) -> Result<Bytes, FileError> {
        self.content.read(file, part, range)
    }

    /// Checks that the disk has space for so many more bytes, besides what is to stay free.
    fn check_space(&self, more: u64) -> Result<(), FileError> {
        match free_space(&self.staging) {
            Some(free) if free < more.saturating_add(self.options.keep_free) => Err(FileError::Full),
            // It is unknown, or enough.
            _ => Ok(()),
        }
    }

    fn upload(&self, owner: &str, upload: u64) -> Result<Arc<Staged>, FileError> {
        let table = self.table();
        let staged = table.uploads.get(&upload).filter(|staged| is_of(staged, owner));
        staged.cloned().ok_or(FileError::UnknownUpload)
    }

    /// An id for a store of objects that has none. It is no secret.
    fn fresh_id(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update(b"a store of objects");
        hasher.update(self.options.secret);
        hasher.update(self.made.load(Ordering::Relaxed).to_le_bytes());
        let [id @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = <[u8; 32]>::from(hasher.finalize());
        FileId::from_bytes(id).to_string()
    }

    /// A name that was not used before and is impossible to guess.
    fn name(&self, announced: &Announced) -> [u8; 32] {
        let mut hasher = Sha256::new();
        if planted::is(Fault::FileNamesDrawnAgain) {
            let made = self.made.fetch_add(1, Ordering::Relaxed) % 16;
            hasher.update(made.to_le_bytes());
            return hasher.finalize().into();
        }
        hasher.update(self.options.secret);
        hasher.update(self.made.fetch_add(1, Ordering::Relaxed).to_le_bytes());
        hasher.update(announced.sha256);
        hasher.update(announced.owner.as_bytes());
        hasher.finalize().into()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for FileStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let uploads = self.table().uploads.len();
        f.debug_struct("FileStore")
            .field("uploads", &uploads)
            .finish_non_exhaustive()
    }
}

/// Whether it is an upload of this owner.
fn is_of(staged: &Staged, owner: &str) -> bool {
    staged.announced.owner == owner || planted::is(Fault::UploadOfAnybody)
}

/// The state of an upload that still takes pieces, or is completed.
fn open(staged: &Staged) -> Result<MutexGuard<'_, State>, FileError> {
    let state = staged.lock();
    match state.is_over {
        true => Err(FileError::UnknownUpload),
        false => Ok(state),
    }
}

const fn received(state: &State) -> Received {
    Received {
        received: state.received,
        confirmed: state.synced,
    }
}

/// How many bytes are free on the disk of a directory.
#[cfg(unix)]
fn free_space(directory: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(directory).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// How many bytes are free on the disk of a directory: unknown on this platform.
#[cfg(not(unix))]
const fn free_space(_: &Path) -> Option<u64> {
    None
}

/// Creates a directory that other users cannot read.
fn private_directory(directory: &Path) -> Result<(), FileError> {
    fs::create_dir_all(directory)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Creates the directory of uploads and its parent, if they were removed meanwhile too.
fn make_directories(staging: &Path) -> Result<(), FileError> {
    if staging.is_dir() {
        return Ok(());
    }
    staging.parent().map_or(Ok(()), private_directory)?;
    Ok(fs::create_dir_all(staging)?)
}
