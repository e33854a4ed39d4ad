//! Looks at content in a directory that a hub may be using, and changes nothing.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use sha2::{Digest, Sha256};
use tim_proto::FileId;

use crate::content;
use crate::pictures::Part;
use crate::place;

/// How much is read at a time.
const READ_LEN: usize = 256 << 10;

/// What a part of a file is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PartState {
    /// As it should be.
    Whole,
    /// It is not there.
    Missing,
    /// It has this size instead.
    OtherSize(u64),
    /// It has another SHA-256.
    OtherContent,
}

/// Whether the content of a directory is in a store of objects.
///
/// # Errors
/// From the disk.
pub fn is_elsewhere(directory: &Path) -> io::Result<bool> {
    place::has_store(directory).try_exists()
}

/// Looks at a part of a file in the directory of a [`FileStore`](crate::FileStore). It is read only if its SHA-256 is given.
///
/// # Errors
/// From the disk.
pub fn look(
    directory: &Path,
    file: FileId,
    part: Part,
    size: u64,
    sha256: Option<&[u8; 32]>,
) -> io::Result<PartState> {
    let path = directory.join("content").join(content::relative(file, part));
    let mut content = match File::open(path) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(PartState::Missing),
        Err(error) => return Err(error),
    };
    let len = content.metadata()?.len();
    if len != size {
        return Ok(PartState::OtherSize(len));
    }
    let Some(sha256) = sha256 else {
        return Ok(PartState::Whole);
    };
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; READ_LEN]);
    loop {
        match content.read(&mut buffer)? {
            0 => break,
            read => hasher.update(buffer.get(..read).unwrap_or_default()),
        }
    }
    Ok(match hasher.finalize()[..] == sha256[..] {
        true => PartState::Whole,
        false => PartState::OtherContent,
    })
}
