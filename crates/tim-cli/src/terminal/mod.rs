//! How messages look in a terminal.

mod emoji;
mod message;
mod safe;

pub(crate) use message::{Look, Said, When};
pub(crate) use safe::Safe;
