//! User-facing text: messages with emojis, and the wording of group tips, system notices, revoked messages and
//! placeholders.
//!
//! All types here are iterators or implement `Display`. They use the [`Words`] that the caller selects, and do not
//! allocate.

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
