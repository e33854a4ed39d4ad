//! Complete content, behind `object_store`.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{MultipartUpload as _, ObjectStore, ObjectStoreExt as _};
use tim_proto::FileId;

use crate::block::block_on;
use crate::error::FileError;
use crate::faults::{Faults, Operation};
use crate::pictures::Part;

/// How much is sent to a store of objects at a time: some take no less than 5 MiB.
const SEND_LEN: usize = 8 << 20;

/// The content of all files.
#[derive(Debug)]
pub(crate) struct Content {
    store: Arc<dyn ObjectStore>,
    /// The directory of a local store, on the file system of the uploads: content comes into it without being copied.
    local: Option<PathBuf>,
    faults: Faults,
}

impl Content {
    pub(crate) fn local(directory: PathBuf, faults: Faults) -> Result<Self, FileError> {
        fs::create_dir_all(&directory)?;
        let store = LocalFileSystem::new_with_prefix(&directory)?.with_fsync(true);
        Ok(Self {
            store: Arc::new(store),
            local: Some(directory),
            faults,
        })
    }

    pub(crate) fn remote(store: Arc<dyn ObjectStore>, faults: Faults) -> Self {
        Self {
            store,
            local: None,
            faults,
        }
    }

    /// Puts the bytes of an upload into the store. They stay where they are, too.
    pub(crate) fn put_file(&self, id: FileId, staged: &FilePath) -> Result<(), FileError> {
        self.faults.before(Operation::Put)?;
        match &self.local {
            Some(directory) => link(directory, id, staged),
            None => Ok(block_on(send(&*self.store, &key(id, Part::Original), staged))?),
        }
    }

    pub(crate) fn put(&self, id: FileId, part: Part, bytes: Vec<u8>) -> Result<(), FileError> {
        self.faults.before(Operation::Put)?;
        block_on(self.store.put(&key(id, part), bytes.into()))?;
        Ok(())
    }

    pub(crate) fn read(&self, id: FileId, part: Part, range: Range<u64>) -> Result<Bytes, FileError> {
        self.faults.before(Operation::Read)?;
        let (end, len) = (range.end, range.end.saturating_sub(range.start));
        match block_on(self.store.get_range(&key(id, part), range)) {
            // It is shorter: some stores give what there is, others refuse.
            Ok(bytes) if (bytes.len() as u64) < len => Err(FileError::Damaged),
            Ok(bytes) => Ok(bytes),
            Err(error) => match self.size(id, part) {
                Ok(Some(size)) if size < end => Err(FileError::Damaged),
                _ => Err(error.into()),
            },
        }
    }

    /// The size of a part, if it is there.
    pub(crate) fn size(&self, id: FileId, part: Part) -> Result<Option<u64>, FileError> {
        self.faults.before(Operation::Read)?;
        match block_on(self.store.head(&key(id, part))) {
            Ok(found) => Ok(Some(found.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives a part another name, whatever has that name now. What is not there was renamed before.
    pub(crate) fn rename(&self, from: FileId, to: FileId, part: Part) -> Result<(), FileError> {
        self.faults.before(Operation::Put)?;
        match block_on(self.store.rename(&key(from, part), &key(to, part))) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes a file with all its parts. What is gone already is no failure.
    pub(crate) fn delete(&self, id: FileId) -> Result<(), FileError> {
        self.faults.before(Operation::Delete)?;
        for part in [Part::Large, Part::Thumbnail, Part::Original] {
            match block_on(self.store.delete(&key(id, part))) {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Of which files there is anything.
    pub(crate) fn list(&self) -> Result<BTreeSet<FileId>, FileError> {
        if let Some(directory) = &self.local {
            if !directory.is_dir() {
                return Ok(BTreeSet::new());
            }
            remove_halves(directory)?;
        }
        let found: Vec<_> = block_on(self.store.list(None).try_collect())?;
        let ids = found.iter().filter_map(|object| {
            let name = object.location.filename()?;
            name.split('.').next()?.parse().ok()
        });
        Ok(ids.collect())
    }
}

/// Where the part of a file is.
fn key(id: FileId, part: Part) -> Path {
    Path::from(relative(id, part))
}

fn relative(id: FileId, part: Part) -> String {
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
        return Err(FileError::Failed("content outside of any directory".to_owned()));
    };
    if !parent.is_dir() {
        fs::create_dir_all(parent)?;
        sync_directory(directory)?;
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

/// Sends the bytes of an upload to a store of objects.
async fn send(store: &dyn ObjectStore, key: &Path, staged: &FilePath) -> object_store::Result<()> {
    let failed = |error: io::Error| object_store::Error::Generic {
        store: "uploads",
        source: error.into(),
    };
    let file = File::open(staged).map_err(failed)?;
    let mut upload = store.put_multipart(key).await?;
    loop {
        let mut bytes = Vec::new();
        let read = (&file).take(SEND_LEN as u64).read_to_end(&mut bytes);
        let sent = match read.map_err(failed) {
            Ok(0) => break,
            Ok(_) => upload.put_part(bytes.into()).await,
            Err(error) => Err(error),
        };
        if let Err(error) = sent {
            // The store keeps what was sent otherwise.
            let _ = upload.abort().await;
            return Err(error);
        }
    }
    upload.complete().await.map(|_| ())
}

/// Removes what a local store was writing when the process ended.
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
