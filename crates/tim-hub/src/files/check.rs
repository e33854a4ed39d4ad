//! Checks the content of files without a hub.

use std::io;
use std::path::Path;

use tim_files::{Part, PartState};
use tim_store::File;

use super::rows::parts;

/// What is wrong with the content of a file in the directory of a hub's files, in words; nothing is changed, and the hub may be running.
/// `is_deep`: the file is read, and its SHA-256 compared. Renditions have none.
///
/// # Errors
/// From the disk.
pub fn check_content(directory: &Path, file: &File, is_deep: bool) -> io::Result<Option<String>> {
    for (part, size) in parts(file) {
        let sha256 = (is_deep && part == Part::Original).then_some(&file.sha256);
        let what = match part {
            Part::Large => "large picture",
            Part::Thumbnail => "thumbnail",
            _ => "content",
        };
        let wrong = match tim_files::look(directory, file.id, part, size, sha256)? {
            PartState::Whole => continue,
            PartState::Missing => format!("its {what} is missing"),
            PartState::OtherSize(len) => format!("its {what} has {len} bytes instead of {size}"),
            _ => format!("its {what} is another one: the SHA-256 differs"),
        };
        return Ok(Some(wrong));
    }
    Ok(None)
}
