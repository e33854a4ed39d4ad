//! Files: uploads, the messages that carry them, downloads.

mod crossings;
mod http;
mod refused;
mod transfer;
