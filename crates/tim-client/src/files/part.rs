//! The temporary file beside its destination in which a download is collected.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// The longest name of a file that common file systems take, in bytes.
const MAX_NAME: usize = 255;

/// A file that is not complete yet. It is created with its first bytes.
#[derive(Debug)]
pub(super) struct PartFile {
    file: Option<File>,
    path: PathBuf,
    destination: PathBuf,
    /// How many bytes it has.
    len: u64,
}

impl PartFile {
    /// Opens what an earlier attempt has left, or begins a new file. `fingerprint` distinguishes the files of different messages.
    pub(super) fn open(destination: &Path, fingerprint: u32) -> io::Result<Self> {
        let name = check_destination(destination)?;
        let part = part_name(&name, fingerprint);
        let mut part = Self {
            file: None,
            path: destination.with_file_name(part),
            destination: destination.to_owned(),
            len: 0,
        };
        if let Some(metadata) = regular(&part.path)? {
            match metadata.len() {
                0 => part.remove()?,
                len => {
                    let file = OpenOptions::new().read(true).write(true).open(&part.path)?;
                    (part.file, part.len) = (Some(file), len);
                }
            }
        }
        Ok(part)
    }

    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it.
    pub(super) fn remove(&mut self) -> io::Result<()> {
        (self.file, self.len) = (None, 0);
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Takes a piece that begins at `at`, which is not behind the end. False if what there is of it is another one: nothing is changed
    /// then.
    pub(super) fn take(&mut self, at: u64, bytes: &[u8]) -> io::Result<bool> {
        let known = usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX);
        let (known, new) = bytes.split_at(known.min(bytes.len()));
        if !known.is_empty() {
            let mut kept = vec![0; known.len()];
            let mut file = self.file()?;
            file.seek(SeekFrom::Start(at))?;
            file.read_exact(&mut kept)?;
            if kept != known {
                return Ok(false);
            }
        }
        if !new.is_empty() {
            self.append(new)?;
        }
        Ok(true)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let at = self.len;
        let mut file = self.file()?;
        let written = file.seek(SeekFrom::Start(at)).and_then(|_| file.write_all(bytes));
        match written {
            Ok(()) => self.len += bytes.len() as u64,
            Err(_) if at == 0 => self.remove()?,
            Err(_) => {}
        }
        written
    }

    /// The file is complete: moves it to its destination, where it replaces a regular file.
    pub(super) fn complete(mut self) -> io::Result<u64> {
        self.file()?.sync_all()?;
        check_destination(&self.destination)?;
        match std::fs::rename(&self.path, &self.destination) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(io::Error::other(
                "another download has moved the same file there, or it was removed",
            )),
            Err(error) => Err(error),
            Ok(()) => Ok(self.len),
        }
    }

    /// The open file, which is created if it does not exist.
    fn file(&mut self) -> io::Result<&File> {
        if self.file.is_none() {
            // `create_new` does not follow symbolic links.
            let created = OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .open(&self.path);
            self.file = Some(created.map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => {
                    io::Error::other("another download of the same file is writing it")
                }
                _ => error,
            })?);
        }
        self.file.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// The name of the temporary file: it is no longer than file systems take, however long the one of the destination is.
fn part_name(name: &OsStr, fingerprint: u32) -> OsString {
    let suffix = format!(".{fingerprint:08x}.part");
    let most = MAX_NAME - suffix.len();
    let mut part = match name.len() <= most {
        true => name.to_owned(),
        false => {
            let (name, mut len) = (name.to_string_lossy(), 0);
            let chars = name.chars();
            chars
                .take_while(|c| {
                    len += c.len_utf8();
                    len <= most
                })
                .collect::<String>()
                .into()
        }
    };
    part.push(suffix);
    part
}

/// Checks that a file can be put there. Returns its name.
fn check_destination(path: &Path) -> io::Result<OsString> {
    let invalid = |text| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    let whole = path.as_os_str().as_encoded_bytes();
    let is_last = |name: &&OsStr| whole.ends_with(name.as_encoded_bytes());
    if path.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    // A name with a separator after it is that of a directory.
    let Some(name) = path.file_name().filter(is_last) else {
        return invalid("not the path of a file");
    };
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    match std::fs::metadata(directory.unwrap_or_else(|| Path::new("."))) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return Err(io::ErrorKind::NotADirectory.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(io::Error::new(error.kind(), "its directory does not exist"));
        }
        Err(error) => return Err(error),
    }
    regular(path)?;
    Ok(name.to_owned())
}

/// The regular file at a path, if there is one. Anything else there is an error; symbolic links are not followed.
fn regular(path: &Path) -> io::Result<Option<Metadata>> {
    let metadata = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found?,
    };
    if metadata.is_file() {
        return Ok(Some(metadata));
    }
    let what = match metadata.is_symlink() {
        true => "a symbolic link",
        false => "not a regular file",
    };
    let text = format!("{} is {what}", path.display());
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_name_has_a_temporary_file() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["x".repeat(241), "x".repeat(242), "x".repeat(255), "群".repeat(85)] {
            let destination = directory.path().join(&name);
            let mut part = PartFile::open(&destination, 0x1234).unwrap();
            assert!(part.take(0, b"hel").unwrap());
            let beside = part.path().file_name().unwrap().to_str().unwrap().to_owned();
            assert!(
                beside.len() <= MAX_NAME && beside.ends_with(".00001234.part"),
                "{beside}"
            );
            let start = beside.strip_suffix(".00001234.part").unwrap();
            assert!(name.starts_with(start), "{beside}");
            // A later attempt finds it.
            drop(part);
            let mut part = PartFile::open(&destination, 0x1234).unwrap();
            assert_eq!(part.len(), 3);
            assert!(part.take(3, b"lo").unwrap());
            assert_eq!(part.complete().unwrap(), 5);
            assert_eq!(std::fs::read(&destination).unwrap(), b"hello");
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 4);
    }
}
