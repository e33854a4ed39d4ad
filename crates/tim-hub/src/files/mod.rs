//! Files: uploads on their way into the file store, and reads of content.
//!
//! Everything that waits for the disk runs on a pool of its own, a few jobs at a time and fewer of one user, so that neither chat
//! nor the files of others wait for one user's. What waits for a store of objects runs on another pool, so that uploads go on while
//! it is slow or gone. Large pictures are decoded one at
//! a time, and small ones beside them. The file store has the bytes
//! (`tim-files`), the store has the rows, and the protocol's checks are in the handlers.

mod check;
mod housekeeping;
mod rows;
mod uploads;

pub use check::check_content;
pub(crate) use uploads::{MAX_PIECES, Piece};

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::atomic::AtomicBool;
#[cfg(feature = "sqlite")]
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tim_files::{FileError, FileStore, Part};
use tim_proto::vendor::limits::Limits;
use tim_proto::{ErrorCode, FileId, UserId};
use tim_store::{File, Writer};
use tracing::warn;

use crate::clock::Clock;
use crate::file_options::FileOptions;
use crate::pool::{Pool, PoolSize};
use crate::reads::Reads;
use crate::refusal::Refusal;
use crate::settings::Settings;
use crate::threads::lock;
use uploads::Lanes;

/// Jobs that read and write files.
const DISK: PoolSize = PoolSize {
    workers: 4,
    of_user: 2,
};
/// Jobs that wait for a store of objects.
const OBJECTS: PoolSize = PoolSize {
    workers: 8,
    of_user: 2,
};
/// Jobs that decode pictures: each may take as much memory as [`tim_files::MAX_MEMORY`] says.
const RENDERING: PoolSize = PoolSize {
    workers: 1,
    of_user: 1,
};
/// Jobs that decode small pictures, so that these do not wait for large ones, and see which ones are large.
const RENDERING_SMALL: PoolSize = PoolSize {
    workers: 1,
    of_user: 1,
};
/// For how long it is known whether the directory can be written.
const TRIED_LIFE_MS: u64 = 5_000;
/// How many finished uploads are remembered.
const MAX_FINISHED: usize = 4096;

/// The files of a hub.
pub(crate) struct Files {
    /// `None` if the hub has none.
    content: Option<FileStore>,
    unsent_life_ms: u64,
    disk: Pool,
    /// What puts, reads and deletes content.
    objects: Pool,
    rendering: Pool,
    rendering_small: Pool,
    reads: Reads,
    writer: Arc<Writer>,
    settings: Arc<Settings>,
    clock: Clock,
    lanes: Mutex<Lanes>,
    finished: Mutex<Finished>,
    is_swept: AtomicBool,
    /// Whether other hubs use the same content.
    is_shared: bool,
    /// Whether content stays, as a backup is being made.
    is_held: AtomicBool,
    /// Something should have gone meanwhile.
    is_put_off: AtomicBool,
    /// When the directory was tried last, and whether it could be written.
    tried: Mutex<Option<(u64, bool)>>,
}

/// The files that uploads have become, for clients that repeat END_UPLOAD.
#[derive(Default)]
struct Finished {
    files: HashMap<u64, Arc<File>>,
    oldest: VecDeque<u64>,
}

/// Content stays until this is dropped.
#[cfg(feature = "sqlite")]
pub(crate) struct Hold<'a>(&'a AtomicBool);

#[cfg(feature = "sqlite")]
impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl Files {
    pub(crate) fn new(
        content: Option<FileStore>,
        unsent_life: Duration,
        reads: Reads,
        writer: Arc<Writer>,
        settings: Arc<Settings>,
        clock: Clock,
    ) -> Self {
        let disk = reads.pool().beside(DISK);
        let objects = match content.as_ref().is_some_and(FileStore::is_remote) {
            true => reads.pool().beside(OBJECTS),
            false => disk.clone(),
        };
        Self {
            content,
            unsent_life_ms: u64::try_from(unsent_life.as_millis()).unwrap_or(u64::MAX),
            disk,
            objects,
            rendering: reads.pool().beside(RENDERING),
            rendering_small: reads.pool().beside(RENDERING_SMALL),
            reads,
            writer,
            settings,
            clock,
            lanes: Mutex::default(),
            finished: Mutex::default(),
            is_swept: AtomicBool::new(false),
            is_shared: false,
            is_held: AtomicBool::new(false),
            is_put_off: AtomicBool::new(false),
            tried: Mutex::default(),
        }
    }

    /// The same, with content that other hubs use, too.
    pub(crate) const fn shared(mut self, is_shared: bool) -> Self {
        self.is_shared = is_shared;
        self
    }

    /// Opens the file store of a hub that has one. The limits can lower the number of uploads further.
    pub(crate) fn open(
        options: Option<&FileOptions>,
        limits: &Limits,
        clock: &Clock,
    ) -> Result<Option<FileStore>, FileError> {
        let Some(options) = options else { return Ok(None) };
        let (now_ms, steady_ms) = (clock.wall_ms(), clock.steady_ms());
        let mut store = options.store.clone();
        let most = usize::try_from(limits.open_uploads()).unwrap_or(usize::MAX);
        store.max_uploads = store.max_uploads.min(most);
        FileStore::open(&options.directory, store, now_ms, steady_ms).map(Some)
    }

    /// The file store.
    pub(crate) fn content(&self) -> Result<&FileStore, Refusal> {
        let text = "this hub keeps no files";
        self.content
            .as_ref()
            .ok_or_else(|| Refusal::new(ErrorCode::UNSUPPORTED_REQUEST, text))
    }

    /// Whether the directory of files can be written, as of a moment ago at most. Waits for the disk.
    pub(crate) fn is_writable(&self, steady_ms: u64) -> bool {
        let Some(content) = &self.content else { return true };
        let mut tried = lock(&self.tried);
        if let Some((at_ms, is_writable)) = *tried
            && steady_ms.saturating_sub(at_ms) < TRIED_LIFE_MS
        {
            return is_writable;
        }
        let probed = content.probe();
        if let Err(error) = &probed {
            warn!(%error, "the hub is not ready: its data directory cannot be written");
        }
        *tried = Some((steady_ms, probed.is_ok()));
        probed.is_ok()
    }

    /// Keeps all content until this is dropped; `None` if somebody does already. What should have gone meanwhile goes in the round after.
    #[cfg(feature = "sqlite")]
    pub(crate) fn hold_content(&self) -> Option<Hold<'_>> {
        let was_held = self.is_held.swap(true, Ordering::SeqCst);
        (!was_held).then_some(Hold(&self.is_held))
    }

    /// The pools of the disk, of pictures and of small ones.
    pub(crate) const fn pools(&self) -> [&Pool; 3] {
        [&self.disk, &self.rendering, &self.rendering_small]
    }

    /// Whether jobs are running or waiting.
    pub(crate) fn is_busy(&self) -> bool {
        self.objects.is_busy() || self.pools().into_iter().any(Pool::is_busy)
    }

    /// An upload has become this file, or the file was there before: END_UPLOAD is answered with it, however often.
    pub(crate) fn finished(&self, upload: u64, file: Arc<File>) {
        let mut finished = lock(&self.finished);
        if finished.files.insert(upload, file).is_none() {
            finished.oldest.push_back(upload);
        }
        if finished.oldest.len() > MAX_FINISHED
            && let Some(oldest) = finished.oldest.pop_front()
        {
            finished.files.remove(&oldest);
        }
    }

    /// The file that an upload of this user has become.
    fn finished_as(&self, user: UserId, upload: u64) -> Option<Arc<File>> {
        let finished = lock(&self.finished);
        finished
            .files
            .get(&upload)
            .filter(|file| file.owner == user)
            .cloned()
    }

    /// Whether an upload of this user has become a file a moment ago.
    pub(crate) fn is_finished(&self, user: UserId, upload: u64) -> bool {
        self.finished_as(user, upload).is_some()
    }

    /// Runs what waits for content on the pool.
    pub(crate) fn on_objects(&self, user: UserId, work: impl FnOnce() + Send + 'static) {
        self.objects.run_detached(Some(user), work);
    }

    /// Reads a range of a file on the pool, and hands it to `done` there.
    pub(crate) fn read(
        self: &Arc<Self>,
        user: UserId,
        (file, part): (FileId, Part),
        range: Range<u64>,
        done: impl FnOnce(Result<Bytes, Refusal>) + Send + 'static,
    ) {
        let files = Arc::clone(self);
        self.objects.run_detached(Some(user), move || {
            done(files.read_here(file, part, range));
        });
    }

    fn read_here(&self, file: FileId, part: Part, range: Range<u64>) -> Result<Bytes, Refusal> {
        self.content()?
            .read(file, part, range)
            .map_err(|error| self.unreadable(file, part, error))
    }

    /// Why content cannot be read. Content that is not as its row says is logged for the operator.
    fn unreadable(&self, file: FileId, part: Part, error: FileError) -> Refusal {
        let damaged = |what| {
            warn!(%file, ?part, "content is {what}; it is restored when its owner uploads it again");
            let text =
                format!("the content of this file is {what}; it is restored when its owner uploads it again");
            Refusal::new(ErrorCode::STORAGE_DAMAGED, text)
        };
        match error {
            // Unless the file was removed a moment ago.
            FileError::NotFound if matches!(self.reads.store().file(&file), Ok(Some(_))) => {
                damaged("missing")
            }
            FileError::Damaged => damaged("damaged"),
            FileError::Failed(_) => {
                warn!(%file, ?part, %error, "content cannot be read");
                let text = "the file cannot be read at the moment; try again later";
                Refusal::new(ErrorCode::FILE_STORE_FAILED, text)
            }
            error => error.into(),
        }
    }
}
