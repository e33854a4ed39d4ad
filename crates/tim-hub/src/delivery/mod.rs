//! Delivery: how messages and notices reach the mailboxes of the devices that are online.

pub(crate) mod fanout;
pub(crate) mod group_queue;
pub(crate) mod live;
pub(crate) mod recent_ids;
pub(crate) mod revocations;
