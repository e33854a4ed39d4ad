//! Handlers: what becomes of each request.

pub(crate) mod ask;
pub(crate) mod groups;
pub(crate) mod pages;
pub(crate) mod profiles;
pub(crate) mod requests;
pub(crate) mod send;
