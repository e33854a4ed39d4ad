//! The files of an image, audio, video or file message until it is sent.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tim_proto::wire::{Encode, Reader, Writer};
use tokio::sync::Notify;

use super::opened::Opened;

/// The progress of an upload or a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Progress {
    /// How many bytes are transferred. It never decreases, except after [`Client::cancel_upload`](crate::Client::cancel_upload).
    pub done: u64,
    /// How many bytes there are in all.
    pub total: u64,
}

impl Progress {
    /// The fraction that is transferred, from 0 to 1.
    #[must_use]
    pub fn fraction(&self) -> f64 {
        match self.total {
            0 => 0.0,
            total => self.done as f64 / total as f64,
        }
    }
}

/// A function that is called with the progress.
type OnProgress = Arc<dyn Fn(Progress) + Send + Sync>;

/// The files of a message that is not sent yet, and the progress of their upload.
#[derive(Default)]
pub(crate) struct Attachment {
    inner: Mutex<Inner>,
    cancelled: Notify,
}

#[derive(Default)]
struct Inner {
    files: Files,
    progress: Progress,
    on_progress: Option<OnProgress>,
    /// Whether this upload has reported progress.
    is_told: bool,
    /// The uploads in the hub that are not complete.
    begun: Vec<u64>,
    is_uploading: bool,
    is_cancelled: bool,
}

/// The files of a message.
#[derive(Clone, Default)]
pub(crate) struct Files {
    pub(super) main: Option<AttachedFile>,
    /// The preview of a video.
    pub(super) thumbnail: Option<AttachedFile>,
}

/// A file that is to be uploaded.
#[derive(Clone)]
pub(crate) struct AttachedFile {
    pub(super) name: String,
    pub(super) media_type: String,
    pub(super) size: u64,
    pub(super) at: At,
}

/// Where its content is.
#[derive(Clone)]
pub(super) enum At {
    Open(Opened),
    /// At a path that was persisted and is not open yet.
    Path(PathBuf),
}

/// What a file is in its message.
mod roles {
    pub(super) const MAIN: u8 = 0;
    pub(super) const THUMBNAIL: u8 = 1;
}

/// The files as they are persisted: a list of role, name, media type, size and path. Content that is not at a path is left out.
impl Encode for Files {
    fn encode(&self, writer: &mut Writer<'_>) {
        let roles = [(roles::MAIN, &self.main), (roles::THUMBNAIL, &self.thumbnail)];
        let files = roles
            .iter()
            .filter_map(|(role, file)| Some((*role, file.as_ref()?)));
        let files: Vec<_> = files
            .filter_map(|(role, file)| Some((role, file, file.path()?)))
            .collect();
        (files.len() as u8).encode(writer);
        for (role, file, path) in files {
            role.encode(writer);
            file.name.as_str().encode(writer);
            file.media_type.as_str().encode(writer);
            file.size.encode(writer);
            path.encode(writer);
        }
    }
}

impl Files {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        let mut files = Self::default();
        for _ in 0..reader.read::<u8>() {
            let role: u8 = reader.read();
            let file = AttachedFile {
                name: reader.read::<&str>().into(),
                media_type: reader.read::<&str>().into(),
                size: reader.read(),
                at: At::Path(reader.read::<&str>().into()),
            };
            match role {
                roles::MAIN => files.main = Some(file),
                roles::THUMBNAIL => files.thumbnail = Some(file),
                _ => {}
            }
        }
        files
    }
}

impl AttachedFile {
    /// The path, if it is at one that is valid Unicode.
    fn path(&self) -> Option<&str> {
        match &self.at {
            At::Open(opened) => opened.path()?.to_str(),
            At::Path(path) => path.to_str(),
        }
    }
}

impl Attachment {
    pub(crate) fn new(files: Files) -> Self {
        let attachment = Self::default();
        attachment.set_files(files);
        attachment
    }

    pub(crate) fn files(&self) -> Files {
        self.inner().files.clone()
    }

    pub(super) fn set_files(&self, files: Files) {
        let size = |file: &Option<AttachedFile>| file.as_ref().map_or(0, |file| file.size);
        let mut inner = self.inner();
        inner.progress.total = size(&files.main).saturating_add(size(&files.thumbnail));
        inner.files = files;
    }

    /// The message is sent: the source is not needed any more.
    pub(crate) fn release(&self) {
        let mut inner = self.inner();
        inner.files = Files::default();
        inner.on_progress = None;
        inner.begun.clear();
    }

    pub(crate) fn progress(&self) -> Progress {
        self.inner().progress
    }

    pub(crate) fn set_on_progress(&self, on_progress: OnProgress) {
        self.inner().on_progress = Some(on_progress);
    }

    /// The hub has so many bytes.
    pub(super) fn report(&self, done: u64) {
        let mut inner = self.inner();
        let done = done.min(inner.progress.total);
        if done > inner.progress.done {
            inner.progress.done = done;
            tell(inner);
        }
    }

    /// Everything is uploaded. This is always reported, even if the hub had all of it before.
    pub(super) fn report_all(&self) {
        let mut inner = self.inner();
        if inner.progress.done < inner.progress.total || !inner.is_told {
            inner.progress.done = inner.progress.total;
            tell(inner);
        }
    }

    /// An upload begins; it ends when the guard is dropped.
    pub(super) fn begin(&self) -> Uploading<'_> {
        let mut inner = self.inner();
        inner.is_uploading = true;
        inner.is_cancelled = false;
        inner.is_told = false;
        Uploading(self)
    }

    pub(super) fn begun(&self, upload: u64) {
        let mut inner = self.inner();
        if !inner.begun.contains(&upload) {
            inner.begun.push(upload);
        }
    }

    pub(super) fn ended(&self, upload: u64) {
        self.inner().begun.retain(|begun| *begun != upload);
    }

    /// Stops the upload that is under way, if there is one. Returns the uploads to cancel in the hub.
    pub(super) fn cancel(&self) -> Vec<u64> {
        let mut inner = self.inner();
        if inner.is_uploading {
            inner.is_cancelled = true;
        }
        inner.progress.done = 0;
        let begun = std::mem::take(&mut inner.begun);
        drop(inner);
        self.cancelled.notify_waiters();
        begun
    }

    /// Waits until the upload is cancelled.
    pub(super) async fn cancelled(&self) {
        loop {
            let mut notified = std::pin::pin!(self.cancelled.notified());
            notified.as_mut().enable();
            if self.inner().is_cancelled {
                return;
            }
            notified.await;
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Calls the application, which may read the progress again meanwhile.
fn tell(mut inner: MutexGuard<'_, Inner>) {
    inner.is_told = true;
    let (on_progress, progress) = (inner.on_progress.clone(), inner.progress);
    drop(inner);
    if let Some(on_progress) = on_progress {
        on_progress(progress);
    }
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment")
            .field("progress", &self.progress())
            .finish_non_exhaustive()
    }
}

/// An upload that is under way.
pub(super) struct Uploading<'a>(&'a Attachment);

impl Drop for Uploading<'_> {
    fn drop(&mut self) {
        self.0.inner().is_uploading = false;
    }
}
