//! What can go wrong with files, and whose fault it is.

use std::io;
use std::path::{Path, PathBuf};

use crate::pictures::{MAX_PIXELS, MAX_SCANNED, MAX_SIDE};

/// Why something was not done with a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The owner has no such upload. It has to be begun again.
    #[error("there is no such upload; begin it again")]
    UnknownUpload,
    /// A piece begins behind the end of what was received.
    #[error("the piece does not begin at {received}, where the previous one ended")]
    OutOfOrder {
        /// How many bytes have been received.
        received: u64,
    },
    /// The content is not what was announced. The upload is over.
    #[error("the content is not what was announced: {0}")]
    OtherContent(&'static str),
    /// The content is not a picture of a known format, or cannot be decoded.
    #[error("the content is not a picture that can be decoded: {0}")]
    NoPicture(String),
    /// A picture has too many pixels to be decoded.
    #[error(
        "the picture has {width} x {height} pixels; at most {MAX_SIDE} a side and {MAX_PIXELS} in all are decoded"
    )]
    TooManyPixels {
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
    },
    /// A JPEG has too many scans for its pixels to be decoded.
    #[error(
        "the picture has {scans} scans of {width} x {height} pixels; at most {MAX_SCANNED} pixels in all scans are decoded: save it as a \
         baseline JPEG"
    )]
    TooManyScans {
        /// How many it has.
        scans: u64,
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
    },
    /// The owner has as many uploads under way as allowed.
    #[error("{0} uploads are under way, which is the maximum")]
    TooManyUploads(usize),
    /// There is no such content.
    #[error("there is no such content")]
    NotFound,
    /// There is less content than there should be: it was changed from outside.
    #[error("the content is damaged")]
    Damaged,
    /// There is no space left.
    #[error("there is no space left for files")]
    Full,
    /// A directory cannot be used. For the operator.
    #[error(
        "the directory {} cannot be used: {reason}; it has to be a directory, and the hub's user has to own it and be able to write to it",
        path.display()
    )]
    Directory {
        /// Where it is.
        path: PathBuf,
        /// What the operating system says.
        reason: String,
    },
    /// A store of objects cannot be used, or has the files of somebody else. For the operator.
    #[error("the store {store} cannot be used: {reason}")]
    Store {
        /// Its name.
        store: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The disk or the store of objects failed. For the operator: the text may name files.
    #[error("the file store failed: {0}")]
    Failed(String),
}

impl FileError {
    /// The directory cannot be used.
    pub(crate) fn directory(path: &Path, reason: Self) -> Self {
        let reason = match reason {
            Self::Failed(text) => text,
            other => other.to_string(),
        };
        Self::Directory {
            path: path.to_owned(),
            reason,
        }
    }
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::Full
            }
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl From<object_store::Error> for FileError {
    fn from(error: object_store::Error) -> Self {
        let text = text_of(&error);
        // Without its bucket, everything is missing.
        if matches!(error, object_store::Error::NotFound { .. }) && !text.contains(NO_BUCKET) {
            return Self::NotFound;
        }
        // The local store wraps the operating system's errors several times.
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(inner) = cause {
            if let Some(io) = inner.downcast_ref::<io::Error>()
                && matches!(
                    io.kind(),
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
                )
            {
                return Self::Full;
            }
            cause = inner.source();
        }
        Self::Failed(text)
    }
}

/// How S3 says that there is no such bucket.
pub(crate) const NO_BUCKET: &str = "NoSuchBucket";
/// How much of an error is shown.
const MAX_TEXT: usize = 500;

/// What an error of a store says. The bodies of responses may repeat what was signed: of these, only the code is shown.
pub(crate) fn text_of(error: &object_store::Error) -> String {
    let mut text = error.to_string();
    // Some say what failed, and not why.
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    let shown = text
        .split('<')
        .next()
        .unwrap_or_default()
        .trim_end_matches([' ', ':']);
    let code = text
        .split("<Code>")
        .nth(1)
        .and_then(|rest| rest.split('<').next());
    let mut shown: String = shown.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect();
    if let Some(code) = code.filter(|code| code.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
        shown = format!("{shown}, {code}");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(body: &str) -> object_store::Error {
        object_store::Error::Generic {
            store: "S3",
            source: format!("403 Forbidden: {body}").into(),
        }
    }

    #[test]
    fn what_was_signed_is_not_shown() {
        let body =
            "<?xml?><Error><Code>SignatureDoesNotMatch</Code><StringToSign>secret</StringToSign></Error>";
        let text = text_of(&error(body));
        assert_eq!(text, "Generic S3 error: 403 Forbidden, SignatureDoesNotMatch");
        assert!(text_of(&error("a\u{1b}[31m<html>")).ends_with("Forbidden: a[31m"));
        let missing = object_store::Error::NotFound {
            path: "x".to_owned(),
            source: "<Code>NoSuchBucket</Code>".into(),
        };
        assert!(matches!(FileError::from(missing), FileError::Failed(_)));
    }
}
