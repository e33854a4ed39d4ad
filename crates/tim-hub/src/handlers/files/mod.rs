//! BEGIN_UPLOAD, UPLOAD, END_UPLOAD, CANCEL_UPLOAD, DOWNLOAD and FILE_URL; and which files a message names.

mod download;
mod named;
#[cfg(feature = "http")]
mod readable;
mod upload;

pub(super) use download::{download, file_url};
pub(super) use named::{Named, check_named, named};
#[cfg(feature = "http")]
pub(crate) use readable::Readable;
pub(super) use upload::{begin, cancel, end, piece};
