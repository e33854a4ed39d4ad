//! Files: uploads, the messages that carry them, downloads.

mod refused;
mod transfer;
