//! Uploads that end: as files, or as nothing.

use std::sync::MutexGuard;

use tim_proto::FileId;

use super::{Completed, FileStore, open};
use crate::error::FileError;
use crate::faults::Operation;
use crate::pictures::{self, Part, Rendered, Which};
use crate::staging::{Staged, State};

/// Somebody works on an upload, until this is dropped.
struct Busy<'a>(&'a Staged);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.lock().is_busy = false;
    }
}

impl FileStore {
    /// Checks that an upload is what was announced, and makes the renditions of a picture, which [`complete`](Self::complete) would do
    /// otherwise: this takes the processor, that waits for the store.
    ///
    /// # Errors
    /// As [`complete`](Self::complete).
    pub fn render(&self, owner: &str, upload: u64) -> Result<(), FileError> {
        self.render_which(owner, upload, Which::All).map(|_| ())
    }

    /// As [`render`](Self::render), if the picture is a small one: of at most [`SMALL_PIXELS`](crate::SMALL_PIXELS). Returns whether it
    /// is; of a larger one only the size is read.
    ///
    /// # Errors
    /// As [`complete`](Self::complete).
    pub fn render_small(&self, owner: &str, upload: u64) -> Result<bool, FileError> {
        self.render_which(owner, upload, Which::Small)
    }

    fn render_which(&self, owner: &str, upload: u64, which: Which) -> Result<bool, FileError> {
        let staged = self.upload(owner, upload)?;
        let mut state = open(&staged)?;
        if state.completed.is_some() || state.rendered.is_some() {
            return Ok(true);
        }
        let checked = staged.check(&mut state);
        let rendered = self.busy(state, &staged, || {
            checked?;
            if which == Which::All {
                self.options.faults.before(Operation::Decode)?;
            }
            pictures::render(staged.part(), staged.announced.size, which)
        });
        let (mut state, rendered) = rendered?;
        match rendered {
            Ok(rendered) => {
                state.rendered = rendered;
                Ok(state.rendered.is_some())
            }
            Err(error) => Err(self.failed(upload, &staged, &mut state, error)),
        }
    }

    /// Checks that an upload is what was announced, and puts it into the store; a picture gets its renditions. The upload stays
    /// until [`settle`](Self::settle) or [`discard`](Self::discard), and completing it again returns the same.
    ///
    /// # Errors
    /// [`FileError::UnknownUpload`]; [`FileError::OtherContent`], [`FileError::NoPicture`], [`FileError::TooManyPixels`] and
    /// [`FileError::TooManyScans`]: the upload is over then. [`FileError::Full`] and [`FileError::Failed`]: it can be ended again.
    pub fn complete(&self, owner: &str, upload: u64, is_picture: bool) -> Result<Completed, FileError> {
        let staged = self.upload(owner, upload)?;
        let mut state = open(&staged)?;
        state.is_left = false;
        if let Some(completed) = &state.completed {
            return Ok(completed.clone());
        }
        let checked = staged.check(&mut state);
        let mut rendered = state.rendered.take();
        let file = match state.content_id {
            Some(file) => file,
            None => {
                let [name @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] =
                    self.name(&staged.announced);
                *state.content_id.insert(FileId::from_bytes(name))
            }
        };
        let completed = self.busy(state, &staged, || {
            checked?;
            if is_picture && rendered.is_none() {
                rendered = pictures::render(staged.part(), staged.announced.size, Which::All)?;
            }
            self.put(&staged, file, rendered.as_ref())
        });
        let (mut state, completed) = completed?;
        match completed {
            Err(error @ (FileError::Full | FileError::Failed(_))) => {
                state.rendered = rendered;
                Err(error)
            }
            Ok(completed) => {
                state.completed = Some(completed.clone());
                Ok(completed)
            }
            Err(error) => Err(self.failed(upload, &staged, &mut state, error)),
        }
    }

    /// Works on an upload that is not locked meanwhile: who begins it again does not wait for the store.
    fn busy<'a, T>(
        &self,
        mut state: MutexGuard<'a, State>,
        staged: &'a Staged,
        work: impl FnOnce() -> Result<T, FileError>,
    ) -> Result<(MutexGuard<'a, State>, Result<T, FileError>), FileError> {
        if state.is_busy {
            return Err(FileError::Failed("the upload is being ended already".to_owned()));
        }
        state.is_busy = true;
        drop(state);
        let busy = Busy(staged);
        let done = work();
        drop(busy);
        Ok((staged.lock(), done))
    }

    /// What has failed for now can be tried again; else the upload is over.
    fn failed(&self, upload: u64, staged: &Staged, state: &mut State, error: FileError) -> FileError {
        if !matches!(error, FileError::Full | FileError::Failed(_)) {
            self.drop_upload(upload, staged, state);
        }
        error
    }

    /// Puts the bytes of a checked upload into the store. What fails can be put again, under the same name.
    fn put(
        &self,
        staged: &Staged,
        file: FileId,
        rendered: Option<&Rendered>,
    ) -> Result<Completed, FileError> {
        self.table().completing.insert(file);
        let renditions = rendered.into_iter().flat_map(|rendered| {
            [
                (Part::Large, &rendered.large),
                (Part::Thumbnail, &rendered.thumbnail),
            ]
        });
        let put = renditions
            .filter_map(|(part, bytes)| Some((part, bytes.clone()?)))
            .try_for_each(|(part, bytes)| self.content.put(file, part, bytes))
            .and_then(|()| self.content.put_file(file, staged.part()));
        if let Err(error) = put {
            if !self.is_remote() {
                // Nothing of it takes up the disk meanwhile. If this fails, the next sweep finds it.
                let _ = self.content.delete(file);
            }
            return Err(error);
        }
        let picture = rendered.map(|rendered| rendered.picture.clone());
        Ok(Completed { file, picture })
    }

    /// Forgets a completed upload whose file has its row now. Its content stays.
    pub fn settle(&self, owner: &str, upload: u64) {
        self.end(owner, upload, false);
    }

    /// Forgets a completed upload of which there is a file already, with these parts and sizes. If that file has lost content, the
    /// content of the upload replaces it. Returns whether it had.
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
            let completed = open(&staged)?.completed.as_ref().map(|completed| completed.file);
            let completed = completed.ok_or(FileError::UnknownUpload)?;
            // The original last: without it the file is not whole.
            for part in [Part::Large, Part::Thumbnail, Part::Original] {
                self.content.rename(completed, file, part)?;
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

    /// Whether the content of a file has all these parts, with these sizes.
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

    /// Removes a completed upload whose file gets no row, with its content.
    pub fn discard(&self, owner: &str, upload: u64) {
        self.end(owner, upload, true);
    }

    fn end(&self, owner: &str, upload: u64, is_discarded: bool) {
        let Ok(staged) = self.upload(owner, upload) else {
            return;
        };
        let completed = {
            let mut state = staged.lock();
            let completed = state.completed.take();
            if completed.is_some() {
                state.content_id = None;
            }
            self.drop_upload(upload, &staged, &mut state);
            completed
        };
        let Some(completed) = completed else { return };
        if is_discarded {
            // If this fails, it is tried again later.
            let _ = self.delete(completed.file);
        }
        self.table().completing.remove(&completed.file);
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
        self.forget(upload, &mut state);
        removed
    }

    /// Removes an upload that is over. What cannot be removed now is removed at the next start.
    pub(super) fn drop_upload(&self, upload: u64, staged: &Staged, state: &mut State) {
        let _ = staged.remove(state);
        self.forget(upload, state);
    }

    /// Takes an upload off the table. What may be in the store of it is deleted later.
    fn forget(&self, upload: u64, state: &mut State) {
        let mut table = self.table();
        table.remove(upload);
        if let Some(file) = state.content_id.take() {
            table.leave(file);
            table.completing.remove(&file);
        }
    }
}
