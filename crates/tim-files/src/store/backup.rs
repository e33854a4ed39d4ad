//! A copy of all content.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::{FileStore, private_directory};
use crate::content::sync_directory;
use crate::error::FileError;
use crate::place::REMEMBERED;

/// What was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Copied {
    /// How many files of content, renditions of pictures included.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many of them are shared with the copy before, as they are the same.
    pub shared: u64,
}

/// Copies content. What the copy before has, too, is linked to there: content never changes under its name.
fn copy(from: &Path, to: &Path, before: Option<&Path>) -> io::Result<Copied> {
    let mut copied = Copied::default();
    fs::create_dir_all(to)?;
    for folder in entries(from)? {
        if !folder.is_dir() {
            continue;
        }
        let Some(name) = folder.file_name() else { continue };
        let (into, earlier) = (to.join(name), before.map(|before| before.join(name)));
        fs::create_dir_all(&into)?;
        for file in entries(&folder)? {
            let Some(name) = file.file_name() else { continue };
            // What is being written has no row yet.
            if name.to_string_lossy().contains('#') {
                continue;
            }
            let earlier = earlier.as_ref().map(|earlier| earlier.join(name));
            if let Some((bytes, is_shared)) = copy_one(&file, &into.join(name), earlier.as_deref())? {
                copied.files += 1;
                copied.bytes += bytes;
                copied.shared += u64::from(is_shared);
            }
        }
        sync_directory(&into)?;
    }
    sync_directory(to)?;
    Ok(copied)
}

/// Its length, and whether it is a link; `None` if it is gone, as an upload that was none is.
fn copy_one(from: &Path, to: &Path, earlier: Option<&Path>) -> io::Result<Option<(u64, bool)>> {
    let (len, modified) = match fs::metadata(from) {
        Ok(found) if found.is_file() => (found.len(), found.modified()?),
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // Whoever has written to the earlier copy has changed its time.
    let is_same = |earlier: &&Path| {
        fs::symlink_metadata(earlier).is_ok_and(|file| {
            let is_as_old = file.modified().is_ok_and(|time| time == modified);
            file.is_file() && file.len() == len && is_as_old
        })
    };
    if let Some(earlier) = earlier.filter(is_same)
        && fs::hard_link(earlier, to).is_ok()
    {
        return Ok(Some((len, true)));
    }
    match fs::copy(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        copied => copied?,
    };
    let copy = File::open(to)?;
    // Without it, the next copy shares nothing with this one.
    let _ = copy.set_modified(modified);
    copy.sync_all()?;
    Ok(Some((len, false)))
}

fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(directory) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

impl FileStore {
    /// Copies all content into the directory of another file store, which is made; not the uploads that are under way. Content that
    /// `before`, the directory of an earlier copy, has too is shared with it where the file system has hard links. Nothing may be
    /// [deleted](Self::delete) meanwhile that is to be in the copy. `None` if the content is in a store of objects: the copy only
    /// remembers which.
    ///
    /// # Errors
    /// [`FileError::Directory`] with what the system says.
    pub fn back_up(&self, to: &Path, before: Option<&Path>) -> Result<Option<Copied>, FileError> {
        let Some(files) = self.staging.parent() else {
            return Ok(None);
        };
        copy_files(files, self.content.directory().is_none(), to, before)
    }

    /// As [`back_up`](Self::back_up), of the file store in a directory that nobody uses.
    ///
    /// # Errors
    /// [`FileError::Directory`] with what the system says.
    pub fn back_up_closed(
        from: &Path,
        to: &Path,
        before: Option<&Path>,
    ) -> Result<Option<Copied>, FileError> {
        let is_remote = from.join(REMEMBERED).exists();
        copy_files(from, is_remote, to, before)
    }
}

fn copy_files(
    files: &Path,
    is_remote: bool,
    to: &Path,
    before: Option<&Path>,
) -> Result<Option<Copied>, FileError> {
    let failed = |error: io::Error| FileError::directory(to, error.into());
    private_directory(to).map_err(|error| FileError::directory(to, error))?;
    if is_remote {
        match fs::copy(files.join(REMEMBERED), to.join(REMEMBERED)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => return Ok(None),
        }
    }
    let content = |files: &Path| files.join("content");
    let copied = copy(&content(files), &content(to), before.map(content).as_deref());
    copied.map(Some).map_err(failed)
}
