//! A device that is logged in, and what waits for it.
//!
//! Its mailbox has three parts, each with a ceiling and a policy. *Answers* are bounded by the requests that the
//! connection may have under way. *Live* deliveries are a fast path over the log: when they are too many, they are
//! dropped and the device is marked behind, to read on from the log when it has room; of those that no log has, the least
//! urgent go first. *Changes* of the user's own state are one for each conversation, the newest; beyond the ceiling one
//! takes the place of all, which tells the device to ask for its list.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::task::Waker;

use bytes::Bytes;
use tim_proto::request::ConversationChange;
use tim_proto::wire::FrameKind;
use tim_proto::{ErrorCode, GroupId, Priority, UserId};

use crate::handlers::send::PassedOn;
use crate::refusal::Refusal;
use crate::store::{LogKey, WriteError, Written};
use crate::threads::lock;

/// How many changes of the user's own state wait for one device.
const MAX_CHANGES: usize = 256;
/// How many ranks of urgency there are, see [`Priority::rank`].
const RANKS: usize = 4;

/// An entry on its way to devices, encoded once for all of them.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// Its place in the order of changes; 0 for a message that is not stored.
    pub(crate) change: u64,
    pub(crate) sender: UserId,
    /// The sending device's number.
    pub(crate) origin: u64,
    /// How urgent it is, if it is not stored.
    pub(crate) priority: Priority,
    /// The encoded message, as it was when it was sent.
    message: Bytes,
    /// As it is since it was revoked.
    revoked: OnceLock<Bytes>,
}

impl Delivery {
    /// Of an entry with this place in the order of changes, from this user and device.
    pub(crate) const fn stored(change: u64, sender: UserId, origin: u64, message: Bytes) -> Self {
        Self {
            change,
            sender,
            origin,
            priority: Priority::NORMAL,
            message,
            revoked: OnceLock::new(),
        }
    }

    /// Of a message that is not stored.
    pub(crate) const fn live(sender: UserId, origin: u64, priority: Priority, message: Bytes) -> Self {
        Self {
            change: 0,
            sender,
            origin,
            priority,
            message,
            revoked: OnceLock::new(),
        }
    }

    /// The encoded message, to be handed out now.
    pub(crate) fn message(&self) -> &Bytes {
        self.revoked.get().unwrap_or(&self.message)
    }

    /// The message was revoked, and this is what is left of it.
    pub(crate) fn revoke(&self, left: Bytes) {
        // It is revoked once.
        let _ = self.revoked.set(left);
    }

    /// Whether `device` sent it itself and so is not to be told (S105).
    pub(crate) fn is_from(&self, device: &Device) -> bool {
        self.origin != 0 && self.origin == device.number && self.sender == device.user
    }

    /// No log has it: who does not get it now never gets it.
    pub(crate) const fn is_live_only(&self) -> bool {
        self.change == 0
    }

    fn rank(&self) -> usize {
        usize::from(self.priority.rank()).min(RANKS - 1)
    }
}

/// The answer to a request of this connection that was not answered at once.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) request: u32,
    pub(crate) kind: FrameKind,
    /// The log that it was about.
    pub(crate) log: Option<LogKey>,
    pub(crate) group: Option<GroupId>,
    pub(crate) outcome: Outcome,
}

/// What came of a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The store's answer.
    Store(Result<Written, WriteError>),
    /// The message was passed on, and is stored nowhere.
    PassedOn(PassedOn),
    /// The hub refused it.
    Refused(Refusal),
}

/// Which login of a device this is: the numbers that tell a late LOGIN from a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct LoginId {
    pub(crate) session: u64,
    pub(crate) attempt: u32,
}

impl LoginId {
    /// Whether the same session has logged in with this since, so that `other` comes late.
    pub(crate) const fn is_newer_than(&self, other: &Self) -> bool {
        self.session == other.session && self.attempt >= other.attempt
    }
}

/// A device that is logged in.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) user: UserId,
    pub(crate) number: u64,
    life: LoginId,
    max_live: usize,
    /// What the connection remembers of its user and the user's groups is not so any more.
    stale: AtomicBool,
    mailbox: Mutex<Mailbox>,
}

/// What waits for a device.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    pub(crate) answers: VecDeque<Answered>,
    pub(crate) live: Live,
    pub(crate) changes: VecDeque<ConversationChange>,
    /// Live deliveries were dropped: the log has them.
    pub(crate) behind: bool,
    /// The session is to end, and why.
    pub(crate) farewell: Option<ErrorCode>,
    waker: Option<Waker>,
}

/// Live deliveries in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Live {
    queue: VecDeque<Arc<Delivery>>,
    /// How many of each rank are in no log.
    live_only: [u32; RANKS],
}

impl Live {
    fn len(&self) -> usize {
        self.queue.len()
    }

    fn count(&mut self, delivery: &Delivery, change: impl FnOnce(u32) -> u32) {
        if delivery.is_live_only()
            && let Some(count) = self.live_only.get_mut(delivery.rank())
        {
            *count = change(*count);
        }
    }

    fn push(&mut self, delivery: Arc<Delivery>) {
        self.count(&delivery, |count| count.saturating_add(1));
        self.queue.push_back(delivery);
    }

    /// The oldest.
    pub(crate) fn pop(&mut self) -> Option<Arc<Delivery>> {
        let delivery = self.queue.pop_front()?;
        self.count(&delivery, |count| count.saturating_sub(1));
        Some(delivery)
    }

    /// Puts back what was taken, as the oldest.
    pub(crate) fn put_back(&mut self, delivery: Arc<Delivery>) {
        self.count(&delivery, |count| count.saturating_add(1));
        self.queue.push_front(delivery);
    }

    /// Drops the newest of the least urgent that no log has, if it is less urgent than `rank`.
    fn displace(&mut self, rank: usize) -> bool {
        let least = self.live_only.iter().take(rank).position(|count| *count > 0);
        let Some(least) = least else { return false };
        let is_least = |waiting: &Arc<Delivery>| waiting.is_live_only() && waiting.rank() == least;
        let Some(at) = self.queue.iter().rposition(is_least) else {
            return false;
        };
        if let Some(gone) = self.queue.remove(at) {
            self.count(&gone, |count| count.saturating_sub(1));
        }
        true
    }

    /// Drops what the log has.
    fn drop_stored(&mut self) {
        self.queue.retain(|waiting| waiting.is_live_only());
    }
}

impl Device {
    pub(crate) fn new(user: UserId, number: u64, max_live: usize) -> Self {
        // Behind from the start: what the device missed is in the log.
        let mailbox = Mailbox {
            behind: true,
            ..Mailbox::default()
        };
        Self {
            user,
            number,
            life: LoginId::default(),
            max_live,
            stale: AtomicBool::new(false),
            mailbox: Mutex::new(mailbox),
        }
    }

    /// The same device, with the numbers of its login.
    pub(crate) fn with_login(self, life: LoginId) -> Self {
        Self { life, ..self }
    }

    pub(crate) const fn life(&self) -> &LoginId {
        &self.life
    }

    /// The mailbox, for its connection.
    pub(crate) fn mailbox(&self) -> MutexGuard<'_, Mailbox> {
        lock(&self.mailbox)
    }

    /// Whom to wake when something comes.
    pub(crate) fn listen(&self, waker: &Waker) {
        let mut mailbox = self.mailbox();
        match &mut mailbox.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    pub(crate) fn answer(&self, answered: Answered) {
        self.put(|mailbox| mailbox.answers.push_back(answered));
    }

    /// Hands over a delivery. Where there is no room, what the log has waits there, and the device is marked behind; of
    /// the rest the least urgent is dropped.
    pub(crate) fn deliver(&self, delivery: &Arc<Delivery>) {
        if delivery.is_live_only() && delivery.is_from(self) {
            return;
        }
        self.put(|mailbox| {
            let has_room = mailbox.live.len() < self.max_live;
            if delivery.is_live_only() {
                if has_room || mailbox.live.displace(delivery.rank()) {
                    mailbox.live.push(Arc::clone(delivery));
                }
            } else if has_room && !mailbox.behind {
                mailbox.live.push(Arc::clone(delivery));
            } else {
                mailbox.live.drop_stored();
                mailbox.behind = true;
            }
        });
    }

    pub(crate) fn change(&self, change: ConversationChange) {
        self.put(|mailbox| {
            let is_about = |waiting: &ConversationChange| waiting.conversation == change.conversation;
            let is_newer =
                |waiting: &ConversationChange| waiting.counted == 0 || waiting.counted > change.counted;
            let waits = |waiting: &ConversationChange| is_about(waiting) && is_newer(waiting);
            if change.counted > 0 && mailbox.changes.iter().any(waits) {
                return;
            }
            mailbox.changes.retain(|waiting| !is_about(waiting));
            if mailbox.changes.len() >= MAX_CHANGES {
                // Too many to tell one by one: the device is to ask for the list.
                mailbox.changes.clear();
                mailbox
                    .changes
                    .push_back(ConversationChange { counted: 0, ..change });
            } else {
                mailbox.changes.push_back(change);
            }
        });
    }

    /// What the connection remembers of its user, or of a group of the user's, has changed.
    pub(crate) fn forget(&self) {
        self.stale.store(true, Ordering::Release);
    }

    /// Whether what the connection remembers is to be read again. To be asked before it is used: what is read after that is
    /// either new, or the answer is yes the next time.
    pub(crate) fn is_stale(&self) -> bool {
        self.stale.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn end(&self, code: ErrorCode) {
        self.put(|mailbox| mailbox.farewell = Some(code));
    }

    fn put(&self, put: impl FnOnce(&mut Mailbox)) {
        let waker = {
            let mut mailbox = self.mailbox();
            put(&mut mailbox);
            mailbox.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(change: u64, priority: Priority) -> Arc<Delivery> {
        let live = Delivery::live(UserId::SYSTEM, 0, priority, Bytes::new());
        Arc::new(Delivery { change, ..live })
    }

    fn waiting(device: &Device) -> Vec<(u64, Priority)> {
        let mut mailbox = device.mailbox();
        let taken = std::iter::from_fn(|| mailbox.live.pop());
        taken
            .map(|delivery| (delivery.change, delivery.priority))
            .collect()
    }

    #[test]
    fn of_what_no_log_has_the_least_urgent_goes_first_and_the_order_stays() {
        let device = Device::new(UserId::SYSTEM, 1, 4);
        device.mailbox().behind = false;
        let [lowest, low, normal, high] = [Priority::LOWEST, Priority::LOW, Priority::NORMAL, Priority::HIGH];
        for priority in [low, lowest, normal, lowest] {
            device.deliver(&delivery(0, priority));
        }
        device.deliver(&delivery(0, lowest)); // no room, and nothing less urgent
        device.deliver(&delivery(0, high));
        device.deliver(&delivery(0, low));
        device.deliver(&delivery(0, low)); // nothing less urgent any more
        let left = [low, normal, high, low].map(|priority| (0, priority));
        assert_eq!(waiting(&device), left);
        assert!(!device.mailbox().behind);
    }

    #[test]
    fn what_the_log_has_makes_room_for_nothing_but_waits_there() {
        let device = Device::new(UserId::SYSTEM, 1, 2);
        device.mailbox().behind = false;
        device.deliver(&delivery(1, Priority::NORMAL));
        device.deliver(&delivery(0, Priority::LOWEST));
        device.deliver(&delivery(2, Priority::NORMAL));
        assert!(device.mailbox().behind);
        assert_eq!(waiting(&device), [(0, Priority::LOWEST)]);
    }
}
