//! Admission: what is checked before work is done for somebody, so that nobody uses up what others need.

pub(crate) mod group_limiter;
pub(crate) mod log_limiter;
pub(crate) mod token_bucket;
