//! Admission: what is checked before work is done for somebody, so that nobody uses up what others need.

mod account_limiter;
mod backlog;
mod droppable;
mod group_limiter;
mod log_limiter;
mod network;
mod places;
mod rate_limiter;
mod token_bucket;

pub(crate) use account_limiter::AccountLimiter;
pub(crate) use backlog::Backlog;
pub(crate) use group_limiter::{GroupLimiter, Offer};
pub(crate) use log_limiter::LogLimiter;
pub(crate) use network::Network;
pub(crate) use places::{NoPlace, Place, PlaceLimits, Places};
pub(crate) use rate_limiter::RateLimiter;
