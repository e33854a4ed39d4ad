//! What people read: texts with emojis, and the words for group tips, system notices, revoked messages and placeholders.
//!
//! Everything here is an iterator or prints itself, in the [`Words`] of the caller's choice, and allocates nothing.

mod notice;
mod placeholder;
mod revoked;
pub mod text;
mod tip;
mod words;

pub use notice::NoticeText;
pub use placeholder::{last_message_text, placeholder};
pub use revoked::{RevokedText, Revoker, revoked_text};
pub use tip::{TipText, tip_text};
pub use words::{UnknownWords, Words};
