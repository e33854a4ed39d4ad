//! Files: uploads, the messages that carry them, downloads.

mod crossings;
mod http;
mod lost;
mod refused;
#[cfg(feature = "s3")]
mod s3;
mod streams;
mod transfer;
