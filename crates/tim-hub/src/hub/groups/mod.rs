//! What is asked about groups: `create` and `change` for the store to decide, `read` for looking them up, `room` for those
//! whose members are in memory only, `users` for who the users are.

mod change;
mod create;
mod read;
mod room;
mod users;

pub use change::Audience;
pub(super) use create::create;
pub(super) use read::{MembersAsked, fitting, list_cursor, page_len};

use super::failed::Failed;
use crate::store::Refused;

/// A refusal of the groups' rules on its way out of a handler.
pub(super) fn refused(refused: Refused) -> Failed {
    Failed::from(&refused.into())
}
