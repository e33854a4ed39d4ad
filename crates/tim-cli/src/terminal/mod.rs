//! Messages in a terminal.

mod emoji;
mod locale;
mod message;
mod safe;
mod width;

pub(crate) use emoji::emoji_keys;
pub(crate) use message::{Look, MessageLine, When};
pub(crate) use safe::{Safe, is_treacherous};
pub(crate) use width::{clip, column, width};
