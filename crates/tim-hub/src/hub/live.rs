//! What is in no log, on its way to those who are online: messages to AVChatRooms and for those online only.
//!
//! A thread of its own, so that a message to a room of 100,000 holds up neither the writer nor a connection. Its queue has a
//! ceiling, and who sends into a full one is told so.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Weak};

use tim_proto::GroupId;

use super::device::Delivery;
use super::fanout;
use super::online::Online;
use crate::store::LogKey;

/// How many deliveries may wait.
const MAX_WAITING: usize = 1024;

/// The way to the thread.
#[derive(Debug, Clone)]
pub(super) struct LiveQueue {
    work: SyncSender<Work>,
    online: Weak<Online>,
}

enum Work {
    Deliver(LogKey, Arc<Delivery>),
    /// What is remembered of this group is not so any more.
    Forget(GroupId),
    /// The group is no more.
    Dismiss(GroupId),
}

/// There is no room in the queue, or the hub stops.
#[derive(Debug)]
pub(super) struct Overloaded;

/// The queue, and what its other end is to be given to.
pub(super) fn queue(online: &Arc<Online>) -> (LiveQueue, impl FnOnce() + Send + 'static) {
    let (work, receiver) = sync_channel(MAX_WAITING);
    let queue = LiveQueue {
        work,
        online: Arc::downgrade(online),
    };
    let online = Arc::clone(online);
    (queue, move || run(&receiver, &online))
}

impl LiveQueue {
    pub(super) fn deliver(&self, log: LogKey, delivery: Arc<Delivery>) -> Result<(), Overloaded> {
        self.work
            .try_send(Work::Deliver(log, delivery))
            .map_err(|_| Overloaded)
    }

    /// Takes the group from those who are in it, behind what is still to be delivered. With no room in the queue, here and
    /// now.
    pub(super) fn dismiss(&self, group: GroupId) {
        if let Err(TrySendError::Full(_)) = self.work.try_send(Work::Dismiss(group))
            && let Some(online) = self.online.upgrade()
        {
            fanout::dismiss(&online, group);
        }
    }

    /// Makes all in a group look again at what they remember of it. With no room in the queue, here and now.
    pub(super) fn forget(&self, group: GroupId) {
        if let Err(TrySendError::Full(_)) = self.work.try_send(Work::Forget(group))
            && let Some(online) = self.online.upgrade()
        {
            forget(&online, &group);
        }
    }
}

fn run(work: &Receiver<Work>, online: &Online) {
    while let Ok(work) = work.recv() {
        match work {
            Work::Deliver(log, delivery) => fanout::deliver(online, &log, &delivery),
            Work::Forget(group) => forget(online, &group),
            Work::Dismiss(group) => fanout::dismiss(online, group),
        }
    }
}

fn forget(online: &Online, group: &GroupId) {
    online.group(group).iter().for_each(|device| device.forget());
}
