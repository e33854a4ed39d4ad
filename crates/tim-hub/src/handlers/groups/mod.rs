//! Requests about groups: `create` and `change` are decided by the store (`store_change`), `lookup` reads, `system` is what the
//! application's server does, and `administer` what its administrators do.

#[cfg(feature = "rest")]
mod administer;
mod change;
mod create;
mod lookup;
#[cfg(feature = "outgoing")]
mod question;
mod store_change;
mod system;

#[cfg(feature = "rest")]
pub(crate) use administer::{Administered, administer, create_prepared, notify_room, tell_list_changed};
pub(super) use change::{change, invite_members, join, quit, set_receive_option};
pub(super) use create::create;
pub(super) use lookup::{groups, members, profile, profile_for};
#[cfg(feature = "outgoing")]
pub(super) use question::{Asker, question};
#[cfg(all(feature = "outgoing", feature = "rest"))]
pub(crate) use question::{invitation, owned_groups};
pub use system::Audience;
pub(crate) use system::{notify_group, reclaim_group};
