//! What nobody needs any more.

use std::sync::{Arc, PoisonError};

use tim_proto::FileId;
use tim_proto::planted::{self, Fault};

use super::FileStore;
use crate::content::Listed;
use crate::error::FileError;

/// What a step of a sweep has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// How many files were deleted.
    pub deleted: usize,
    /// Whether all content has been looked at.
    pub is_done: bool,
}

impl FileStore {
    /// It is not known whether the file of a completed upload has its row. The upload stays for its life: whoever ends it again finds
    /// out, and else [`remove_abandoned`](Self::remove_abandoned) does.
    pub fn leave(&self, owner: &str, upload: u64, steady_ms: u64) {
        if let Ok(staged) = self.upload(owner, upload) {
            let mut state = staged.lock();
            (state.is_left, state.touched_ms) = (true, steady_ms);
        }
    }

    /// Removes the uploads to which nothing has come for their life. Of those that were [left](Self::leave) completed, the content goes
    /// too unless the file is known. Returns how many.
    ///
    /// # Errors
    /// From `is_known`; the rest is removed later.
    pub fn remove_abandoned<E>(
        &self,
        steady_ms: u64,
        mut is_known: impl FnMut(FileId) -> Result<bool, E>,
    ) -> Result<usize, E> {
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
            // Who works on it has not left it.
            let Some(mut state) = staged.try_lock() else {
                continue;
            };
            let age_ms = steady_ms.saturating_sub(state.touched_ms);
            let is_done = state.completed.is_some() && !state.is_left;
            let is_kept = is_done || state.is_busy || planted::is(Fault::AbandonedKept);
            if age_ms <= self.options.upload_life_ms || state.is_over || is_kept {
                continue;
            }
            let completed = state.completed.as_ref().map(|completed| completed.file);
            if let Some(file) = completed
                && is_known(file)?
            {
                state.content_id = None; // it is that of the file
                self.table().completing.remove(&file);
            }
            state.completed = None;
            self.drop_upload(upload, &staged, &mut state);
            removed += 1;
        }
        Ok(removed)
    }

    /// Deletes a file. What is gone already is no failure; what cannot be deleted is
    /// [tried again](Self::delete_leftovers).
    ///
    /// # Errors
    /// From the store.
    pub fn delete(&self, file: FileId) -> Result<(), FileError> {
        let deleted = self.content.delete(file);
        let mut table = self.table();
        if deleted.is_ok() {
            table.leftovers.remove(&file);
        } else {
            table.leave(file);
        }
        deleted
    }

    /// Deletes what could not be deleted before. What is more than is remembered waits for the next sweep.
    ///
    /// # Errors
    /// From the store.
    pub fn delete_leftovers(&self) -> Result<(), FileError> {
        let leftovers: Vec<_> = self.table().leftovers.iter().copied().collect();
        leftovers.into_iter().try_for_each(|file| self.delete(file))
    }

    /// Deletes the content of files that nobody knows. A directory is swept at once. Of a store of objects one step looks at some
    /// thousand objects; the next one goes on behind them.
    ///
    /// # Errors
    /// From the store, or from `is_known`.
    pub fn sweep<E: From<FileError>>(
        &self,
        mut is_known: impl FnMut(FileId) -> Result<bool, E>,
    ) -> Result<Swept, E> {
        let behind = self.sweeping().clone();
        let Listed { files, next } = self.content.list(behind)?;
        let mut deleted = 0;
        for file in files {
            // In this order: an upload is entered here before its content can be listed, and leaves after its row is stored.
            let is_completing = self.table().completing.contains(&file);
            if !is_completing && !is_known(file)? {
                self.delete(file)?;
                deleted += 1;
            }
        }
        let is_done = next.is_none();
        *self.sweeping() = next;
        Ok(Swept { deleted, is_done })
    }

    /// Behind which object the sweep goes on.
    fn sweeping(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.sweeping.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
