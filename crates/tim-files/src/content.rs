//! Complete content, behind `object_store`.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::future::Future;
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{MultipartUpload as _, ObjectStore, ObjectStoreExt as _};
use tim_proto::FileId;

use crate::error::FileError;
use crate::faults::{Faults, Operation};
use crate::pictures::Part;
use crate::remote::{Driver, Remote};

/// How much is sent to an object store at a time: some require at least 5 MiB.
const SEND_LEN: usize = 8 << 20;

/// How many objects of a store one step of a sweep looks at.
const SWEEP_STEP: usize = 5_000;
/// What the store is asked to write and to delete before it is used.
const TRIAL: &str = "tim-files.trial";

/// The content of all files.
pub(crate) struct Content {
    store: Arc<dyn ObjectStore>,
    driver: Driver,
    /// The directory of a local store, on the file system of the uploads: content is linked into it, not copied.
    local: Option<PathBuf>,
    faults: Faults,
}

/// Some of the files of which there is anything, in the order of their names.
pub(crate) struct Listed {
    pub(crate) files: BTreeSet<FileId>,
    /// After which name to go on; `None` at the end.
    pub(crate) next: Option<String>,
}

impl Content {
    pub(crate) fn local(directory: PathBuf, faults: Faults) -> Result<Self, FileError> {
        fs::create_dir_all(&directory)?;
        let store = LocalFileSystem::new_with_prefix(&directory)?.with_fsync(true);
        Ok(Self {
            store: Arc::new(store),
            driver: Driver::Here,
            local: Some(directory),
            faults,
        })
    }

    pub(crate) fn remote(remote: &Remote, faults: Faults) -> Self {
        Self {
            store: Arc::clone(&remote.store),
            driver: remote.driver.clone(),
            local: None,
            faults,
        }
    }

    /// The directory, if it is in one.
    pub(crate) fn directory(&self) -> Option<&FilePath> {
        self.local.as_deref()
    }

    /// Whether it is elsewhere, not in a directory.
    pub(crate) const fn is_remote(&self) -> bool {
        self.local.is_none()
    }

    fn run<T, F>(&self, request: impl FnOnce(Arc<dyn ObjectStore>) -> F) -> Result<T, FileError>
    where
        T: Send + 'static,
        F: Future<Output = object_store::Result<T>> + Send + 'static,
    {
        self.driver.run(request(Arc::clone(&self.store)))
    }

    /// Puts the bytes of an upload into the store. The upload keeps them too.
    pub(crate) fn put_file(&self, id: FileId, staged: &FilePath) -> Result<(), FileError> {
        self.faults.before(Operation::Put)?;
        match &self.local {
            Some(directory) => link(directory, id, staged),
            None => written(self.send(&key(id, Part::Original), staged)),
        }
    }

    pub(crate) fn put(&self, id: FileId, part: Part, bytes: Vec<u8>) -> Result<(), FileError> {
        self.faults.before(Operation::Put)?;
        written(self.put_at(key(id, part), bytes))
    }

    fn put_at(&self, key: Path, bytes: Vec<u8>) -> Result<(), FileError> {
        self.run(|store| async move { store.put(&key, bytes.into()).await.map(|_| ()) })
    }

    /// Sends the bytes of an upload to an object store. They are read here, a part at a time.
    fn send(&self, key: &Path, staged: &FilePath) -> Result<(), FileError> {
        let mut file = File::open(staged)?;
        let mut read = || -> io::Result<Vec<u8>> {
            let mut bytes = Vec::new();
            file.by_ref().take(SEND_LEN as u64).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let (at, mut part) = (key.clone(), read()?);
        if part.len() < SEND_LEN {
            return self.put_at(at, part);
        }
        let mut upload = self.run(|store| async move { store.put_multipart(&at).await })?;
        while !part.is_empty() {
            let sent = self.driver.run(upload.put_part(part.into()));
            match sent.and_then(|()| Ok(read()?)) {
                Ok(next) => part = next,
                Err(error) => {
                    // Otherwise the store keeps what was sent.
                    let _ = self.driver.run(async move { upload.abort().await });
                    return Err(error);
                }
            }
        }
        self.driver.run(async move {
            let completed = upload.complete().await.map(|_| ());
            if completed.is_err() {
                let _ = upload.abort().await;
            }
            completed
        })
    }

    pub(crate) fn read(&self, id: FileId, part: Part, range: Range<u64>) -> Result<Bytes, FileError> {
        self.faults.before(Operation::Read)?;
        let (end, len) = (range.end, range.end.saturating_sub(range.start));
        let key = key(id, part);
        match self.run(|store| async move { store.get_range(&key, range).await }) {
            // The content is shorter: some stores return what there is, others refuse.
            Ok(bytes) if (bytes.len() as u64) < len => Err(FileError::Damaged),
            Ok(bytes) => Ok(bytes),
            Err(error) => match self.size(id, part) {
                Ok(Some(size)) if size < end => Err(FileError::Damaged),
                _ => Err(error),
            },
        }
    }

    /// The size of a part, if it is there.
    pub(crate) fn size(&self, id: FileId, part: Part) -> Result<Option<u64>, FileError> {
        self.faults.before(Operation::Read)?;
        let key = key(id, part);
        match self.run(|store| async move { store.head(&key).await }) {
            Ok(found) => Ok(Some(found.size)),
            Err(FileError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Renames a part, and replaces what has the new name. A part that is missing was renamed before.
    pub(crate) fn rename(&self, from: FileId, to: FileId, part: Part) -> Result<(), FileError> {
        self.faults.before(Operation::Put)?;
        let (from, to) = (key(from, part), key(to, part));
        gone_is_done(self.run(|store| async move { store.rename(&from, &to).await }))
    }

    /// Deletes a file with all its parts. It is no error if they are gone already.
    pub(crate) fn delete(&self, id: FileId) -> Result<(), FileError> {
        self.faults.before(Operation::Delete)?;
        let keys = [Part::Large, Part::Thumbnail, Part::Original].map(|part| Ok(key(id, part)));
        self.run(|store| async move {
            let mut deleted = store.delete_stream(stream::iter(keys).boxed());
            while let Some(one) = deleted.next().await {
                match one {
                    Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        })
    }

    /// Of which files there is anything, behind this name. A local store lists all at once, another one some.
    pub(crate) fn list(&self, behind: Option<String>) -> Result<Listed, FileError> {
        if let Some(directory) = &self.local {
            if !directory.is_dir() {
                return Ok(Listed {
                    files: BTreeSet::new(),
                    next: None,
                });
            }
            remove_halves(directory)?;
        }
        let most = if self.is_remote() { SWEEP_STEP } else { usize::MAX };
        let names: Vec<Path> = self.run(|store| async move {
            let found = match behind {
                Some(behind) => store.list_with_offset(None, &Path::from(behind)),
                None => store.list(None),
            };
            let names = found.map_ok(|object| object.location);
            names.take(most).try_collect().await
        })?;
        let next = names.last().filter(|_| names.len() == most);
        let ids = names.iter().filter_map(|name| {
            let name = name.filename()?;
            name.split('.').next()?.parse().ok()
        });
        Ok(Listed {
            files: ids.collect(),
            next: next.map(ToString::to_string),
        })
    }

    /// What a small object beside the files says, if it is there.
    pub(crate) fn note(&self, name: &str) -> Result<Option<String>, FileError> {
        let key = Path::from(name);
        match self.run(|store| async move { store.get_range(&key, 0..MAX_NOTE).await }) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(FileError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes such an object.
    pub(crate) fn set_note(&self, name: &str, text: &str) -> Result<(), FileError> {
        self.put_at(Path::from(name), text.into())
    }

    /// Whether the store takes an object and deletes it again.
    pub(crate) fn try_out(&self) -> Result<(), FileError> {
        self.set_note(TRIAL, "written at the start of a hub, and deleted again\n")?;
        let key = Path::from(TRIAL);
        gone_is_done(self.run(|store| async move { store.delete(&key).await }))
    }
}

/// The longest object beside the files of which all is read.
const MAX_NOTE: u64 = 256;

/// What is missing is the store, when something is written.
fn written(result: Result<(), FileError>) -> Result<(), FileError> {
    result.map_err(|error| match error {
        FileError::NotFound => {
            FileError::Failed("there is no such bucket, or the upload was aborted".to_owned())
        }
        error => error,
    })
}

fn gone_is_done(result: Result<(), FileError>) -> Result<(), FileError> {
    match result {
        Err(FileError::NotFound) => Ok(()),
        result => result,
    }
}

/// The key of a part of a file.
fn key(id: FileId, part: Part) -> Path {
    Path::from(relative(id, part))
}

pub(crate) fn relative(id: FileId, part: Part) -> String {
    let [first, ..] = id.to_bytes();
    let suffix = match part {
        Part::Original => "",
        Part::Large => ".large",
        Part::Thumbnail => ".thumbnail",
    };
    format!("{first:02x}/{id}{suffix}")
}

/// Gives the bytes of an upload their name in a local store.
fn link(directory: &FilePath, id: FileId, staged: &FilePath) -> Result<(), FileError> {
    let path = directory.join(relative(id, Part::Original));
    let Some(parent) = path.parent() else {
        return Err(FileError::Failed("content outside of a directory".to_owned()));
    };
    if !parent.is_dir() {
        fs::create_dir_all(parent)?;
        sync_directory(directory)?;
    }
    // What an earlier attempt has left may be the same file as the upload: a copy onto it would empty both.
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    if fs::hard_link(staged, &path).is_err() {
        // A file system without links.
        fs::copy(staged, &path)?;
        File::open(&path)?.sync_all()?;
    }
    Ok(sync_directory(parent)?)
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(directory: &FilePath) -> io::Result<()> {
    match cfg!(unix) {
        true => File::open(directory)?.sync_all(),
        false => Ok(()),
    }
}

/// Removes the unfinished files of a local store after a crash.
fn remove_halves(directory: &FilePath) -> io::Result<()> {
    for folder in fs::read_dir(directory)? {
        let folder = folder?.path();
        if !folder.is_dir() {
            continue;
        }
        for file in fs::read_dir(folder)? {
            let path = file?.path();
            if path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().contains('#'))
            {
                fs::remove_file(path)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_that_an_earlier_attempt_has_left_is_put_again_whole() {
        let directory = tempfile::tempdir().unwrap();
        let staged = directory.path().join("staged");
        fs::write(&staged, b"whole").unwrap();
        let id = FileId::from_bytes([7; 16]);
        for _ in 0..2 {
            link(directory.path(), id, &staged).unwrap();
            let content = directory.path().join(relative(id, Part::Original));
            assert_eq!(fs::read(content).unwrap(), b"whole");
            assert_eq!(fs::read(&staged).unwrap(), b"whole");
        }
    }
}
