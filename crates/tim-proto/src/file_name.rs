//! Valid names of files.

use crate::shown_name::steers;
use crate::vendor::limits::MAX_FILE_NAME_BYTES;

/// Why a text is not a valid name of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileNameError {
    /// It is empty.
    #[error("the name of the file is empty")]
    Empty,
    /// It is too long.
    #[error("the name of the file has {len} bytes, at most {MAX_FILE_NAME_BYTES} are allowed")]
    TooLong {
        /// How many bytes it has.
        len: usize,
    },
    /// It is a path, or the name of a directory.
    #[error("the name of the file is a path; pass only its last part")]
    Path,
    /// It has a control character, a line separator, or a character that changes the reading direction.
    #[error(
        "the name of a file must not have control characters, line separators or characters that change the reading direction"
    )]
    Steers,
}

/// Checks the name of a file: the last part of a path, with 1 to [`MAX_FILE_NAME_BYTES`] bytes. A file system may refuse more
/// names than this does.
///
/// ```
/// use tim_proto::{FileNameError, check_file_name};
/// assert_eq!(check_file_name("Plan (2).pdf"), Ok(()));
/// assert_eq!(check_file_name("../../etc/passwd"), Err(FileNameError::Path));
/// assert_eq!(check_file_name(".."), Err(FileNameError::Path));
/// assert_eq!(check_file_name("a\0"), Err(FileNameError::Steers));
/// ```
///
/// # Errors
/// [`FileNameError`].
pub fn check_file_name(name: &str) -> Result<(), FileNameError> {
    if name.is_empty() {
        Err(FileNameError::Empty)
    } else if name.len() > MAX_FILE_NAME_BYTES {
        Err(FileNameError::TooLong { len: name.len() })
    } else if name == "." || name == ".." || name.bytes().any(|byte| matches!(byte, b'/' | b'\\')) {
        Err(FileNameError::Path)
    } else if name.chars().any(steers) {
        Err(FileNameError::Steers)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_part_of_a_path_of_at_most_255_bytes() {
        let longest = core::str::from_utf8(&[b'x'; MAX_FILE_NAME_BYTES + 1]).unwrap();
        for good in [
            &longest[1..],
            "a",
            "...",
            ".profile",
            "\u{8ba1}\u{5212} 1.pdf",
            " ",
        ] {
            assert_eq!(check_file_name(good), Ok(()), "{good}");
        }
        assert_eq!(check_file_name(longest), Err(FileNameError::TooLong { len: 256 }));
        assert_eq!(check_file_name(""), Err(FileNameError::Empty));
        for path in [".", "..", "/", "a/b", "a/", "..\\x", "C:\\x"] {
            assert_eq!(check_file_name(path), Err(FileNameError::Path), "{path}");
        }
        for steering in [
            "a\0",
            "a\nb",
            "\u{1b}[2J",
            "a\u{7f}",
            "gpj.\u{202e}exe",
            "\u{2028}",
        ] {
            assert_eq!(check_file_name(steering), Err(FileNameError::Steers));
        }
    }
}
