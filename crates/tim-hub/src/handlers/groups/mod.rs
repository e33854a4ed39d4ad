//! Requests about groups: `create` and `change` are decided by the store, `read` looks groups up, and `av_chat_rooms` handles
//! the groups whose members are in memory only.

mod av_chat_rooms;
mod change;
mod create;
mod read;

pub use change::Audience;
pub(crate) use create::create;
pub(crate) use read::{MembersAsked, fitting, list_cursor, page_len};

use crate::refusal::Refusal;
use crate::store::Refused;

/// A refusal of the groups' rules on its way out of a handler.
pub(crate) fn refused(refused: Refused) -> Refusal {
    Refusal::from(&refused.into())
}
