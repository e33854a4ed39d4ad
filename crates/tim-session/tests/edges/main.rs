//! Both ends at the edges of what their configuration and buffers allow: every limit exactly, one below and one above.

mod client;
mod hub;
mod owed;
mod queues;
mod serial;
mod support;
mod times;
