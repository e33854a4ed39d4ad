//! The files of a hub: uploads on their way to content.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use object_store::ObjectStore;
use sha2::{Digest, Sha256};
use tim_proto::FileId;

use crate::announced::Announced;
use crate::content::Content;
use crate::error::FileError;
use crate::faults::Faults;
use crate::pictures::{self, Part, Picture};
use crate::staging::{Staged, State};

/// How a file store works.
#[derive(Clone)]
#[non_exhaustive]
pub struct FileStoreOptions {
    /// The maximum number of uploads that an owner has under way. Default 16.
    pub max_uploads: usize,
    /// How long an upload is kept to which nothing comes, in milliseconds. Default: a day.
    pub upload_life_ms: u64,
    /// How many bytes of the disk uploads leave free for others, as for messages. Default: 64 MiB.
    pub keep_free: u64,
    /// What the names of files are derived from: nobody may guess it.
    pub secret: [u8; 32],
    /// Where complete content is; `None` for a directory beside the uploads.
    pub content: Option<Arc<dyn ObjectStore>>,
    /// What fails.
    pub faults: Faults,
}

impl FileStoreOptions {
    /// The defaults, with this secret.
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        Self {
            max_uploads: 16,
            upload_life_ms: 24 * 60 * 60 * 1000,
            keep_free: 64 << 20,
            secret,
            content: None,
            faults: Faults::default(),
        }
    }
}

/// An upload that has begun, or goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun {
    /// The number of the upload.
    pub upload: u64,
    /// How many bytes of it are durable: the next piece begins there.
    pub received: u64,
}

/// How much of an upload has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// How many bytes have come. The next piece begins there.
    pub received: u64,
    /// How many of them are durable.
    pub confirmed: u64,
}

/// An upload whose content is in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed {
    /// The name of the file.
    pub file: FileId,
    /// If it is a picture that was asked for: what it is.
    pub picture: Option<Picture>,
}

/// Uploads and content in a directory. Every call but [`is_upload_of`](Self::is_upload_of),
/// [`announced`](Self::announced) and [`pending_bytes`](Self::pending_bytes) may wait for the disk.
pub struct FileStore {
    staging: PathBuf,
    content: Content,
    options: FileStoreOptions,
    /// Never locked while the disk is waited for.
    table: Mutex<Table>,
    made: AtomicU64,
}

#[derive(Default)]
struct Table {
    uploads: HashMap<u64, Arc<Staged>>,
    owners: HashMap<String, Vec<u64>>,
    /// Content that may have no row yet.
    completing: HashSet<FileId>,
}

impl Table {
    fn insert(&mut self, id: u64, staged: Arc<Staged>) {
        self.owners
            .entry(staged.announced.owner.clone())
            .or_default()
            .push(id);
        self.uploads.insert(id, staged);
    }

    fn remove(&mut self, id: u64) {
        let Some(staged) = self.uploads.remove(&id) else {
            return;
        };
        let owner = &staged.announced.owner;
        if let Some(ids) = self.owners.get_mut(owner) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.owners.remove(owner);
            }
        }
    }

    fn of<'a>(&'a self, owner: &str) -> impl Iterator<Item = (u64, &'a Arc<Staged>)> {
        let ids = self.owners.get(owner).into_iter().flatten();
        ids.filter_map(|id| self.uploads.get_key_value(id).map(|(id, staged)| (*id, staged)))
    }
}

impl FileStore {
    /// The file store in `directory`, with the uploads that are under way there. `now_ms` is the wall clock, `steady_ms` the
    /// clock that all other calls are given.
    ///
    /// # Errors
    /// [`FileError::Directory`] if the directory cannot be used.
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
            Some(store) => Content::remote(Arc::clone(store), options.faults.clone()),
            None => Content::local(local.clone(), options.faults.clone()).map_err(unusable(&local))?,
        };
        let table = load(&staging, &options, now_ms, steady_ms).map_err(unusable(&staging))?;
        Ok(Self {
            staging,
            content,
            options,
            table: Mutex::new(table),
            made: AtomicU64::new(now_ms),
        })
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
        staged.is_some_and(|staged| staged.announced.owner == owner)
    }

    /// What was announced of an owner's upload.
    #[must_use]
    pub fn announced(&self, owner: &str, upload: u64) -> Option<Announced> {
        self.upload(owner, upload)
            .ok()
            .map(|staged| staged.announced.clone())
    }

    /// How many bytes the uploads of an owner have that are under way, without the one that is announced so.
    #[must_use]
    pub fn pending_bytes(&self, announced: &Announced) -> u64 {
        let table = self.table();
        let others = table
            .of(&announced.owner)
            .filter(|(_, staged)| staged.announced.key() != announced.key());
        others.map(|(_, staged)| staged.announced.size).sum()
    }

    /// Begins an upload, or goes on with the one of the same owner, kind, size and SHA-256.
    ///
    /// # Errors
    /// [`FileError::TooManyUploads`]; [`FileError::Full`] and [`FileError::Failed`] from the disk.
    pub fn begin(&self, announced: &Announced, now_ms: u64, steady_ms: u64) -> Result<Begun, FileError> {
        loop {
            let (upload, staged, is_new) = self.find_or_reserve(announced)?;
            let mut state = staged.lock();
            if state.is_over || (!is_new && staged.is_lost(&state)) {
                // It has ended meanwhile, and is about to leave the table; or somebody has removed its bytes.
                let _ = staged.remove(&mut state);
                drop(state);
                self.table().remove(upload);
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

    /// The upload that is announced so, or a place for a new one.
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

    /// Takes a piece of an upload. What of it has come before is not written again.
    ///
    /// # Errors
    /// [`FileError::UnknownUpload`]; [`FileError::OutOfOrder`]; [`FileError::OtherContent`] if more comes than was announced: the
    /// upload is over then. [`FileError::Full`] and [`FileError::Failed`] from the disk: the piece can be sent again.
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
            Err(error @ FileError::OtherContent(_)) => {
                self.drop_upload(upload, &staged, &mut state);
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes durable what has come of an upload, of which no more comes for now.
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

    /// No more of an upload comes for now. Its file is closed; what was not made durable stays so.
    pub fn pause(&self, owner: &str, upload: u64) {
        if let Ok(staged) = self.upload(owner, upload) {
            Staged::rest(&mut staged.lock());
        }
    }

    /// Checks that an upload is what was announced, and puts it into the store; a picture gets its renditions. The upload stays
    /// until [`settle`](Self::settle) or [`discard`](Self::discard): whoever ends it again gets the same answer.
    ///
    /// # Errors
    /// [`FileError::UnknownUpload`]; [`FileError::OtherContent`], [`FileError::NoPicture`] and [`FileError::TooManyPixels`]: the
    /// upload is over then. [`FileError::Full`] and [`FileError::Failed`]: it can be ended again.
    pub fn complete(&self, owner: &str, upload: u64, is_picture: bool) -> Result<Completed, FileError> {
        let staged = self.upload(owner, upload)?;
        let mut state = open(&staged)?;
        if let Some(completed) = &state.completed {
            return Ok(completed.clone());
        }
        let completed = staged
            .check(&mut state)
            .and_then(|()| self.put(&staged, is_picture));
        match completed {
            Ok(completed) => {
                state.completed = Some(completed.clone());
                Ok(completed)
            }
            Err(error @ (FileError::Full | FileError::Failed(_))) => Err(error),
            Err(error) => {
                self.drop_upload(upload, &staged, &mut state);
                Err(error)
            }
        }
    }

    /// Puts the bytes of a checked upload into the store.
    fn put(&self, staged: &Staged, is_picture: bool) -> Result<Completed, FileError> {
        let announced = &staged.announced;
        let rendered = match is_picture {
            true => Some(pictures::render(staged.part(), announced.size)?),
            false => None,
        };
        let [name @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = self.name(announced);
        let file = FileId::from_bytes(name);
        self.table().completing.insert(file);
        let picture = rendered.as_ref().map(|rendered| rendered.picture.clone());
        let (large, thumbnail) =
            rendered.map_or((None, None), |rendered| (rendered.large, rendered.thumbnail));
        let renditions = [(Part::Large, large), (Part::Thumbnail, thumbnail)];
        let put = renditions
            .into_iter()
            .filter_map(|(part, bytes)| Some((part, bytes?)))
            .try_for_each(|(part, bytes)| self.content.put(file, part, bytes))
            .and_then(|()| self.content.put_file(file, staged.part()));
        if let Err(error) = put {
            // If this fails too, the next sweep finds it.
            let _ = self.content.delete(file);
            self.table().completing.remove(&file);
            return Err(error);
        }
        Ok(Completed { file, picture })
    }

    /// The file of a completed upload has its row: the upload is forgotten, and its content stays.
    pub fn settle(&self, owner: &str, upload: u64) {
        self.end(owner, upload, false);
    }

    /// The file of a completed upload is one that was there before, with these parts and their sizes. If some of that one's content
    /// was lost, the content of the upload takes its place; the upload is forgotten. Returns whether some was lost.
    ///
    /// # Errors
    /// [`FileError::UnknownUpload`]; [`FileError::Full`] and [`FileError::Failed`]: it can be ended again.
    pub fn settle_as(
        &self,
        owner: &str,
        upload: u64,
        file: FileId,
        parts: &[(Part, u64)],
    ) -> Result<bool, FileError> {
        let is_whole = self.is_whole(file, parts)?;
        if !is_whole {
            let staged = self.upload(owner, upload)?;
            let state = open(&staged)?;
            let completed = state.completed.as_ref().ok_or(FileError::UnknownUpload)?;
            // The original last: without it the file is not whole.
            for part in [Part::Large, Part::Thumbnail, Part::Original] {
                self.content.rename(completed.file, file, part)?;
            }
            if self.content.size(file, Part::Original)?.is_none() {
                return Err(FileError::Failed(
                    "the content of an upload is missing".to_owned(),
                ));
            }
        }
        self.discard(owner, upload);
        Ok(!is_whole)
    }

    /// Whether all these parts of a file are there, with these sizes.
    ///
    /// # Errors
    /// From the store.
    pub fn is_whole(&self, file: FileId, parts: &[(Part, u64)]) -> Result<bool, FileError> {
        for (part, size) in parts {
            if self.content.size(file, *part)? != Some(*size) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The file of a completed upload gets no row: nothing of it stays.
    pub fn discard(&self, owner: &str, upload: u64) {
        self.end(owner, upload, true);
    }

    fn end(&self, owner: &str, upload: u64, is_discarded: bool) {
        let Ok(staged) = self.upload(owner, upload) else {
            return;
        };
        let mut state = staged.lock();
        if let Some(completed) = state.completed.take() {
            if is_discarded {
                let _ = self.content.delete(completed.file);
            }
            self.table().completing.remove(&completed.file);
        }
        self.drop_upload(upload, &staged, &mut state);
    }

    /// Cancels an upload, if the owner has such a one that is not completed.
    ///
    /// # Errors
    /// From the disk.
    pub fn cancel(&self, owner: &str, upload: u64) -> Result<(), FileError> {
        let Ok(staged) = self.upload(owner, upload) else {
            return Ok(());
        };
        let mut state = staged.lock();
        if state.completed.is_some() {
            return Ok(());
        }
        let removed = staged.remove(&mut state);
        self.table().remove(upload);
        removed
    }

    /// Removes an upload that is over. What cannot be removed now is removed at the next start.
    fn drop_upload(&self, upload: u64, staged: &Staged, state: &mut State) {
        let _ = staged.remove(state);
        self.table().remove(upload);
    }

    /// Removes the uploads to which nothing has come for their life. Returns how many.
    pub fn remove_abandoned(&self, steady_ms: u64) -> usize {
        let uploads: Vec<_> = {
            let table = self.table();
            table
                .uploads
                .iter()
                .map(|(id, staged)| (*id, Arc::clone(staged)))
                .collect()
        };
        let mut removed = 0;
        for (upload, staged) in uploads {
            let mut state = staged.lock();
            let age_ms = steady_ms.saturating_sub(state.touched_ms);
            if age_ms > self.options.upload_life_ms && !state.is_over && state.completed.is_none() {
                self.drop_upload(upload, &staged, &mut state);
                removed += 1;
            }
        }
        removed
    }

    /// Reads a range of a file, which must lie within it.
    ///
    /// # Errors
    /// [`FileError::NotFound`]; [`FileError::Damaged`] if the content is shorter; [`FileError::Failed`] from the store.
    pub fn read(&self, file: FileId, part: Part, range: Range<u64>) -> Result<Bytes, FileError> {
        self.content.read(file, part, range)
    }

    /// Deletes files. What is gone already is no failure.
    ///
    /// # Errors
    /// From the store.
    pub fn delete(&self, file: FileId) -> Result<(), FileError> {
        self.content.delete(file)
    }

    /// Deletes the content of files that nobody knows. Returns how many.
    ///
    /// # Errors
    /// From the store, or from `is_known`.
    pub fn sweep<E: From<FileError>>(
        &self,
        mut is_known: impl FnMut(FileId) -> Result<bool, E>,
    ) -> Result<usize, E> {
        let mut deleted = 0;
        for file in self.content.list()? {
            // In this order: whoever completes it enters it here before it is listed, and leaves after its row is stored.
            let is_completing = self.table().completing.contains(&file);
            if !is_completing && !is_known(file)? {
                self.content.delete(file)?;
                deleted += 1;
            }
        }
        Ok(deleted)
    }

    /// Whether the disk has space for so many bytes more, and what is to stay free.
    fn check_space(&self, more: u64) -> Result<(), FileError> {
        match free_space(&self.staging) {
            Some(free) if free < more.saturating_add(self.options.keep_free) => Err(FileError::Full),
            // It is unknown, or enough.
            _ => Ok(()),
        }
    }

    fn upload(&self, owner: &str, upload: u64) -> Result<Arc<Staged>, FileError> {
        let table = self.table();
        let staged = table
            .uploads
            .get(&upload)
            .filter(|staged| staged.announced.owner == owner);
        staged.cloned().ok_or(FileError::UnknownUpload)
    }

    /// A name that was not used before and that nobody guesses.
    fn name(&self, announced: &Announced) -> [u8; 32] {
        let mut hasher = Sha256::new();
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

/// How many bytes are free on the disk of a directory: nobody knows.
#[cfg(not(unix))]
const fn free_space(_: &Path) -> Option<u64> {
    None
}

/// A directory that nobody else reads.
fn private_directory(directory: &Path) -> Result<(), FileError> {
    fs::create_dir_all(directory)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// The directory of uploads, and the one that it is in, also if somebody has removed them meanwhile.
fn make_directories(staging: &Path) -> Result<(), FileError> {
    if staging.is_dir() {
        return Ok(());
    }
    staging.parent().map_or(Ok(()), private_directory)?;
    Ok(fs::create_dir_all(staging)?)
}

/// The uploads that an earlier process has left. Files that are none, and what is too old, are removed.
fn load(staging: &Path, options: &FileStoreOptions, now_ms: u64, steady_ms: u64) -> Result<Table, FileError> {
    let mut table = Table::default();
    let mut paths = Vec::new();
    for entry in fs::read_dir(staging)? {
        paths.push(entry?.path());
    }
    paths.sort();
    let is_meta = |path: &&PathBuf| path.extension().is_some_and(|extension| extension == "meta");
    for meta in paths.iter().filter(is_meta) {
        let Some((id, began_ms, staged)) = Staged::load(meta, options.faults.clone()) else {
            continue;
        };
        if now_ms.saturating_sub(began_ms) <= options.upload_life_ms {
            staged.lock().touched_ms = steady_ms;
            table.insert(id, Arc::new(staged));
        }
    }
    for path in paths {
        let id = path
            .file_stem()
            .and_then(|stem| u64::from_str_radix(stem.to_str()?, 16).ok());
        if id.is_none_or(|id| !table.uploads.contains_key(&id)) {
            fs::remove_file(path)?;
        }
    }
    Ok(table)
}
