//! Delivery: how messages and notices reach the mailboxes of the devices that are online.
//!
//! The log is the queue: live push is only a fast path over it, so a slow device costs no memory. `fanout` carries commits,
//! `live` what is stored nowhere; `group_queue` keeps the rate of each group before either.

mod av_chat_room_tips;
pub(crate) mod fanout;
mod group_queue;
mod live;
mod receipt;
mod recent_ids;
mod revocations;
#[cfg(feature = "rest")]
mod under_way;
mod withdrawals;

pub(crate) use av_chat_room_tips::{AvChatRoomTips, announcer};
pub(crate) use fanout::{FanOutQueue, start_fanout};
pub(crate) use group_queue::{GroupQueue, PendingMessage, Route, append_to_log};
#[cfg(feature = "rest")]
pub(crate) use live::Overloaded;
pub(crate) use live::{LiveMessage, LiveQueue, live_delivery, start_live};
pub(crate) use receipt::{SendReceipt, stored_before};
pub(crate) use recent_ids::{RecentId, RecentIds};
pub(crate) use revocations::Revocations;
#[cfg(feature = "rest")]
pub(crate) use under_way::{UnderWay, UnderWayCall};
pub(crate) use withdrawals::{Mark, Withdrawals};
