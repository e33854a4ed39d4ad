#![doc = include_str!("../README.md")]

mod announced;
mod block;
mod content;
mod error;
mod faults;
mod jpeg;
mod look;
mod pictures;
mod place;
mod remote;
#[cfg(feature = "s3")]
mod s3;
mod staging;
mod store;
#[cfg(test)]
mod tests;

pub use announced::Announced;
pub use error::FileError;
pub use faults::{Faults, Operation};
pub use look::{PartState, is_elsewhere, look};
pub use pictures::{
    DEFAULT_THUMBNAIL, Format, LARGE, MAX_MEMORY, MAX_PIXELS, MAX_SCANNED, MAX_SIDE, Part, Picture,
    Rendition, SMALL_PIXELS, THUMBNAIL, default_thumbnail,
};
pub use remote::Remote;
#[cfg(feature = "s3")]
pub use s3::{S3Credentials, S3Keys, S3Options};
pub use store::{Begun, Completed, Copied, FileStore, FileStoreOptions, Received, Swept};
pub use tim_proto::{FileId, NoFileId};
