//! Files: uploads, the messages that carry them, downloads.

mod crossings;
mod refused;
mod transfer;
