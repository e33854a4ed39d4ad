//! Offline push: who is notified of which message, through the push services that users have registered.
//!
//! There is no second queue. Each user with tokens has a cursor in the store's order of changes, like a device, and what is behind it is
//! still to be looked at ([`reading`]). So a hub that is killed between a commit and the notification goes on where it was, and a sink
//! that is down for an hour costs no memory. The cursor moves when the sink has taken a notification; it is written a little later, so
//! that after a kill the newest ones come again, under the same ids.
//!
//! Each sink of the table ([`routes`]) works for itself: it has its places, its pauses, and its own position for each user. What is stored
//! is the position of the sink that is farthest behind.
//!
//! What is in memory is a line for each user with tokens ([`pending`]), and which devices the message at the head is still to be sent to.
//! Without tokens, and without a sink, a commit costs one look at a counter. The rules are pure functions ([`rules`]).

#[cfg(feature = "apns")]
mod apns;
#[cfg(any(feature = "apns", feature = "web-push"))]
mod fitting;
mod lane;
#[cfg(feature = "outgoing")]
mod log;
mod notification;
mod notifying;
mod pending;
mod queue;
mod reading;
mod registrations;
mod routes;
mod rules;
#[cfg(test)]
mod rules_tests;
#[cfg(any(feature = "apns", feature = "web-push"))]
mod signing;
mod sink;
#[cfg(feature = "web-push")]
mod web;
#[cfg(feature = "outgoing")]
mod webhook;
mod worker;

#[cfg(feature = "apns")]
pub use apns::{Apns, ApnsKey, ApnsOptions};
#[cfg(feature = "outgoing")]
pub use log::PushLog;
pub use notification::{Notification, PushError, PushOptions, PushSink, PushStats, Sending};
pub use routes::PushRoutes;
#[cfg(feature = "web-push")]
pub use web::{VapidKey, WebPush, WebPushOptions};
#[cfg(feature = "outgoing")]
pub use webhook::PushWebhook;
pub(crate) use worker::Push;
