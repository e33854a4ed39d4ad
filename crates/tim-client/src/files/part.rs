//! The temporary file beside its destination in which a download is collected.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// A file that is not complete yet.
#[derive(Debug)]
pub(super) struct PartFile {
    file: File,
    path: PathBuf,
    destination: PathBuf,
    /// How much of it there is.
    len: u64,
}

impl PartFile {
    /// Opens what an earlier attempt has left, or begins anew. `fingerprint` tells the files of different messages apart.
    pub(super) fn open(destination: &Path, fingerprint: u32) -> io::Result<Self> {
        let Some(name) = destination.file_name() else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not the path of a file",
            ));
        };
        if destination.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let mut part = OsString::from(name);
        part.push(format!(".{fingerprint:08x}.part"));
        let path = destination.with_file_name(part);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)?;
        let len = file.metadata()?.len();
        Ok(Self {
            file,
            path,
            destination: destination.to_owned(),
            len,
        })
    }

    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// Forgets what there is.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.len = 0;
        self.file.set_len(0)
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.len))?;
        self.file.write_all(bytes)?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// It is complete: moves it to its destination, where it replaces what was there.
    pub(super) fn complete(self) -> io::Result<u64> {
        self.file.sync_all()?;
        std::fs::rename(&self.path, &self.destination)?;
        Ok(self.len)
    }
}
