//! The uploads that are under way.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tim_proto::FileId;

use super::FileStoreOptions;
use crate::error::FileError;
use crate::staging::Staged;

/// How many files are remembered whose content is to be deleted.
const MAX_LEFTOVERS: usize = 10_000;

#[derive(Default)]
pub(super) struct Table {
    pub(super) uploads: HashMap<u64, Arc<Staged>>,
    owners: HashMap<String, Vec<u64>>,
    /// Files whose content may be in the store before their row.
    pub(super) completing: HashSet<FileId>,
    /// Content that could not be deleted.
    pub(super) leftovers: BTreeSet<FileId>,
}

impl Table {
    pub(super) fn insert(&mut self, id: u64, staged: Arc<Staged>) {
        self.owners
            .entry(staged.announced.owner.clone())
            .or_default()
            .push(id);
        self.uploads.insert(id, staged);
    }

    pub(super) fn remove(&mut self, id: u64) {
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

    /// Remembers content that is to be deleted. What is too much waits for the next sweep.
    pub(super) fn leave(&mut self, file: FileId) {
        if self.leftovers.len() < MAX_LEFTOVERS {
            self.leftovers.insert(file);
        }
    }

    pub(super) fn of<'a>(&'a self, owner: &str) -> impl Iterator<Item = (u64, &'a Arc<Staged>)> {
        let ids = self.owners.get(owner).into_iter().flatten();
        ids.filter_map(|id| self.uploads.get_key_value(id).map(|(id, staged)| (*id, staged)))
    }
}

/// Loads the uploads that an earlier process has left. Removes other files, and uploads that are too old.
pub(super) fn load(
    staging: &Path,
    options: &FileStoreOptions,
    now_ms: u64,
    steady_ms: u64,
) -> Result<Table, FileError> {
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
