//! Files: uploads, the messages that carry them, downloads.

mod crossings;
mod http;
mod lost;
mod refused;
mod transfer;
