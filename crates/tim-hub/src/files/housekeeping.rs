//! Removes what is not needed any more: abandoned uploads, files that no message uses, content without a row.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tim_proto::FileId;
use tim_store::{RemoveFiles, StoreError, Write, WriteError, WriteResult, Written};
use tracing::{debug, info, warn};

use super::Files;
use crate::refusal::Refusal;

/// A time before which no file waits for its message: only those are removed that a message has used.
const USED_ONCE: u64 = 1;
/// How many files one step removes.
const STEP: u32 = 100;

impl Files {
    /// A round on a thread that may block. `proven_ms` is a time that has passed.
    pub(crate) fn keep_house_here(self: &Arc<Self>, proven_ms: u64) {
        if self.content.is_none() {
            return;
        }
        self.tidy();
        loop {
            let removed = self
                .writer
                .write_blocking(Write::RemoveFiles(self.step(proven_ms)));
            let Some((files, more)) = self.taken(removed) else {
                return;
            };
            self.delete(&files);
            if !more {
                return;
            }
        }
    }

    /// Begins a round, in a stepped hub.
    pub(crate) fn keep_house(self: &Arc<Self>, proven_ms: u64) {
        if self.content.is_none() {
            return;
        }
        let files = Arc::clone(self);
        self.disk.run_detached(None, move || files.tidy());
        self.remove(self.step(proven_ms));
    }

    /// A message was revoked: files that it alone has used are removed now. Those that nobody has sent stay for their time.
    pub(crate) fn remove_unused(self: &Arc<Self>) {
        if self.content.is_some() {
            self.remove(RemoveFiles {
                unsent_before_ms: USED_ONCE,
                most: STEP,
            });
        }
    }

    fn remove(self: &Arc<Self>, step: RemoveFiles) {
        let files = Arc::downgrade(self);
        let submitted = self.writer.submit(Write::RemoveFiles(step), move |removed| {
            let Some(files) = files.upgrade() else { return };
            let Some((keys, more)) = files.taken(removed) else {
                return;
            };
            if more {
                files.remove(step);
            }
            let deleting = Arc::clone(&files);
            files.objects.run_detached(None, move || deleting.delete(&keys));
        });
        if let Err(error) = submitted {
            debug!(%error, "unused files are not removed in this round");
        }
    }

    /// A backup is complete: what should have gone meanwhile goes. Blocks.
    #[cfg(feature = "sqlite")]
    pub(crate) fn delete_put_off(&self) {
        if self.is_put_off.load(Ordering::SeqCst) {
            self.tidy();
        }
    }

    /// Removes abandoned uploads and, once, what an earlier process has left.
    fn tidy(&self) {
        let Some(content) = &self.content else { return };
        let is_known = |file: FileId| match self.reads.store().file(&file) {
            Ok(found) => Ok(found.is_some()),
            // A damaged row has content, too.
            Err(StoreError::Damaged(_)) => Ok(true),
            Err(error) => Err(Refusal::from(error)),
        };
        match content.remove_abandoned(self.clock.steady_ms(), is_known) {
            Ok(0) => {}
            Ok(abandoned) => info!(abandoned, "removed uploads that were not ended"),
            Err(refusal) => return warn!(refusal.text, "abandoned uploads are not looked for now"),
        }
        if let Err(error) = content.delete_leftovers() {
            warn!(%error, "the content of removed files cannot be deleted; trying again later");
        }
        if self.is_held.load(Ordering::SeqCst) {
            return;
        }
        if self.is_put_off.swap(false, Ordering::SeqCst) {
            self.is_swept.store(false, Ordering::Release);
        }
        // Another hub may have put content whose row is about to be stored.
        if self.is_shared || self.is_swept.load(Ordering::Acquire) {
            return;
        }
        // A backup may have begun meanwhile, with a row that is gone here since.
        let is_needed = |file| {
            if is_known(file)? {
                return Ok(true);
            }
            let is_held = self.is_held.load(Ordering::SeqCst);
            self.is_put_off.fetch_or(is_held, Ordering::SeqCst);
            Ok::<_, Refusal>(is_held)
        };
        match content.sweep(is_needed) {
            Ok(swept) => {
                if swept.deleted > 0 {
                    info!(swept = swept.deleted, "removed content without a row");
                }
                self.is_swept.store(swept.is_done, Ordering::Release);
            }
            Err(refusal) => warn!(
                refusal.text,
                "the sweep for content without a row failed; trying again later"
            ),
        }
    }

    /// Deletes the content of files whose rows are gone. What cannot be deleted now is tried again in the next round.
    fn delete(&self, files: &[FileId]) {
        let Some(content) = &self.content else { return };
        if self.is_held.load(Ordering::SeqCst) && !files.is_empty() {
            self.is_put_off.store(true, Ordering::SeqCst);
            return;
        }
        for file in files {
            if let Err(error) = content.delete(*file) {
                warn!(%error, "the content of a removed file cannot be deleted; trying again later");
            }
        }
        if !files.is_empty() {
            debug!(files = files.len(), "removed files that no message uses");
        }
    }

    /// The files that a step has removed, and whether there may be more.
    fn taken(&self, removed: WriteResult) -> Option<(Vec<FileId>, bool)> {
        match removed {
            Ok(Written::FilesRemoved { files, more }) => Some((files, more)),
            Ok(_) => None,
            Err(error) => {
                warn!(%error, "unused files cannot be removed; trying again later");
                // If they were removed all the same, nobody knows which ones.
                if matches!(error, WriteError::Store(StoreError::Unknown(_))) {
                    self.is_swept.store(false, Ordering::Release);
                }
                None
            }
        }
    }

    const fn step(&self, proven_ms: u64) -> RemoveFiles {
        RemoveFiles {
            unsent_before_ms: proven_ms.saturating_sub(self.unsent_life_ms),
            most: STEP,
        }
    }
}
