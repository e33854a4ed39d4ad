//! Temporary files for the content of readers.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many names are tried.
const ATTEMPTS: u32 = 16;

/// A temporary file of this process. It is deleted when it is dropped.
#[derive(Debug)]
pub(super) struct Spool {
    file: Mutex<File>,
    path: PathBuf,
}

impl Spool {
    pub(super) fn create() -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
        for _ in 0..ATTEMPTS {
            let name = getrandom::u64().map_err(io::Error::other)?;
            let path = std::env::temp_dir().join(format!("tim-upload-{name:016x}"));
            match options.open(&path) {
                Ok(file) => {
                    return Ok(Self {
                        file: Mutex::new(file),
                        path,
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    pub(super) fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.file();
        file.seek(SeekFrom::End(0))?;
        file.write_all(bytes)
    }

    pub(super) fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut file = self.file();
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(buffer)
    }

    fn file(&self) -> MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // It may be gone already, if the directory for temporary files was emptied.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_file_is_deleted_with_its_last_user() {
        let spool = Spool::create().unwrap();
        spool.append(b"hello ").unwrap();
        spool.append(b"world").unwrap();
        let mut middle = [0; 5];
        spool.read_exact_at(3, &mut middle).unwrap();
        assert_eq!(&middle, b"lo wo");
        let path = spool.path.clone();
        assert!(path.exists());
        drop(spool);
        assert!(!path.exists());
    }
}
