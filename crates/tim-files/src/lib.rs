#![doc = include_str!("../README.md")]

mod announced;
mod block;
mod content;
mod error;
mod faults;
mod pictures;
mod staging;
mod store;
#[cfg(test)]
mod tests;

pub use announced::Announced;
pub use error::FileError;
pub use faults::{Faults, Operation};
pub use pictures::{
    DEFAULT_THUMBNAIL, Format, LARGE, MAX_MEMORY, MAX_PIXELS, MAX_SIDE, Part, Picture, Rendition, THUMBNAIL,
    default_thumbnail,
};
pub use store::{Begun, Completed, FileStore, FileStoreOptions, Received};
pub use tim_proto::{FileId, NoFileId};
