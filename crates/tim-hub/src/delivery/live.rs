//! What is stored nowhere, on its way to those online: messages to AVChatRooms and online-only messages.
//!
//! They have a worker of their own, so that a message to an AVChatRoom of 100,000 holds up neither the writer nor a
//! connection. Its queue has a ceiling, and a sender into a full one is refused. AVChatRooms and other conversations are served in turn,
//! so that one in which much is said does not keep the others waiting. The worker answers the senders: whether they may still write is
//! checked when their messages are delivered.

use std::io;
use std::sync::{Arc, Mutex, Weak};

use tim_groups::{Refused, SystemEntry};
use tim_proto::message::{Content, Envelope, MessageFlags};
use tim_proto::planted::{self, Fault};
use tim_proto::{ErrorCode, GroupId, Priority, UserId};
use tim_store::{FairQueue, Fingerprint, LogKey};

use super::fanout;
use super::receipt::{PassedOn, SendReceipt};
use super::recent_ids::{RecentId, RecentIds};
use crate::clock::Clock;
use crate::device::{Delivery, Device};
use crate::encoding;
use crate::permissions::{Generation, Permissions};
use crate::presence::PresenceRegistry;
use crate::refusal::Refusal;
use crate::threads::lock;
use crate::worker::{self, Queue, Worker, Workplace};

/// How many deliveries may wait, and how many of the users of one conversation.
const MAX_WAITING: usize = 4096;
const MAX_OF_LOG: usize = 256;

/// A user's message for those online.
#[derive(Debug)]
pub(crate) struct LiveMessage {
    id: tim_proto::MessageId,
    fingerprint: Fingerprint,
    delivery: Arc<Delivery>,
    /// When it arrived, unix seconds.
    time: u64,
    mention_all: bool,
    /// When its sender was last permitted to send it.
    checked: Generation,
}

impl LiveMessage {
    /// A message from this device, with its content as it is to be delivered.
    pub(crate) fn new(
        device: &Device,
        message: &Content<'_>,
        fingerprint: Fingerprint,
        content: &[u8],
        mention_all: bool,
        checked: Generation,
        now_ms: u64,
    ) -> Self {
        let from = (device.user(), device.number());
        Self::of(from, message, fingerprint, content, mention_all, checked, now_ms)
    }

    /// A message from a user, and the number of the device; 0 for none.
    pub(crate) fn of(
        (user, origin): (UserId, u64),
        message: &Content<'_>,
        fingerprint: Fingerprint,
        content: &[u8],
        mention_all: bool,
        checked: Generation,
        now_ms: u64,
    ) -> Self {
        let time = now_ms / 1000;
        let envelope = live_envelope(user, origin, time);
        let encoded = encoding::enveloped(&envelope, content);
        Self {
            id: message.id,
            fingerprint,
            delivery: Arc::new(Delivery::live(user, origin, message.priority, encoded)),
            time,
            mention_all,
            checked,
        }
    }

    /// Passes the message on, unless this was done before.
    pub(crate) fn pass_on(
        &self,
        ids: &RecentIds,
        steady_ms: u64,
        deliver: impl FnOnce(&Arc<Delivery>),
    ) -> Result<PassedOn, Refusal> {
        if let Some(before) = passed_on(ids.take(self.id, self.fingerprint, self.time, steady_ms))?
            && !planted::is(Fault::PassedOnTwice)
        {
            return Ok(before);
        }
        deliver(&self.delivery);
        Ok(PassedOn {
            time: self.time,
            duplicate: false,
        })
    }

    /// Passes the message on if there is space for it, unless this was done before.
    ///
    /// # Errors
    /// There is no space. The message may be sent again.
    #[cfg(feature = "rest")]
    pub(crate) fn pass_on_if(
        &self,
        ids: &RecentIds,
        steady_ms: u64,
        deliver: impl FnOnce(&Arc<Delivery>) -> Result<(), Overloaded>,
    ) -> Result<Result<PassedOn, Refusal>, Overloaded> {
        let deliver = || deliver(&self.delivery);
        let found = ids.take_if(self.id, self.fingerprint, self.time, steady_ms, deliver)?;
        let fresh = PassedOn {
            time: self.time,
            duplicate: false,
        };
        Ok(passed_on(found).map(|before| before.unwrap_or(fresh)))
    }

    /// How the message was passed on before, if it was.
    pub(super) fn passed_before(&self, ids: &RecentIds) -> Result<Option<PassedOn>, Refusal> {
        passed_on(ids.look_up(&self.id, self.fingerprint))
    }
}

fn passed_on(found: RecentId) -> Result<Option<PassedOn>, Refusal> {
    match found {
        RecentId::Unknown => Ok(None),
        RecentId::Same(time) => Ok(Some(PassedOn {
            time,
            duplicate: true,
        })),
        RecentId::Other => Err(Refused::IdReused.into()),
    }
}

const fn live_envelope(from: UserId, origin: u64, time: u64) -> Envelope {
    Envelope::new(from)
        .with_time(time)
        .with_flags(MessageFlags::ONLINE_ONLY)
        .with_origin(origin)
}

/// An entry of the hub's own for those online.
pub(crate) fn live_delivery(entry: &SystemEntry, time: u64, priority: Priority) -> Arc<Delivery> {
    let envelope = live_envelope(UserId::SYSTEM, 0, time);
    let message = encoding::enveloped(&envelope, &entry.content);
    Arc::new(Delivery::live(UserId::SYSTEM, 0, priority, message))
}

/// What waits, and whose turn it is.
type Waiting = Mutex<FairQueue<LogKey, Work>>;

/// The queue of the live worker.
#[derive(Debug, Clone)]
pub(crate) struct LiveQueue {
    waiting: Arc<Waiting>,
    /// One for each item that waits.
    turns: Queue<()>,
    presence: Weak<PresenceRegistry>,
}

#[derive(Debug)]
enum Work {
    Deliver(LogKey, Arc<Delivery>),
    PassOn(Box<(GroupId, SendReceipt, LiveMessage)>),
    /// The group is dismissed.
    Dismiss(GroupId),
    /// What another hub has passed on.
    DeliverHere(LogKey, Arc<Delivery>),
    DeliverHereTo(Vec<UserId>, Arc<Delivery>),
}

/// The queue is full, or the hub stops.
#[derive(Debug)]
pub(crate) struct Overloaded;

/// Starts the live worker.
///
/// # Errors
/// The operating system's, if it gives no thread.
pub(crate) fn start_live(
    workplace: &Workplace,
    presence: &Arc<PresenceRegistry>,
    permissions: Arc<Permissions>,
    ids: Arc<RecentIds>,
    clock: Clock,
) -> io::Result<(LiveQueue, Worker)> {
    let live = Live {
        presence: Arc::clone(presence),
        permissions,
        ids,
        clock,
    };
    LiveQueue::start(workplace, Arc::downgrade(presence), move |work| live.work(work))
}

impl LiveQueue {
    fn start(
        workplace: &Workplace,
        presence: Weak<PresenceRegistry>,
        mut work: impl FnMut(Work) + Send + 'static,
    ) -> io::Result<(Self, Worker)> {
        let waiting: Arc<Waiting> = Arc::new(Mutex::new(FairQueue::new(MAX_WAITING)));
        let taken = Arc::clone(&waiting);
        let turn = move |()| {
            let next = lock(&taken).pop();
            next.into_iter().for_each(|(_, next)| work(next));
        };
        let (turns, worker) = worker::start(workplace, "tim-live", MAX_WAITING, turn)?;
        let queue = Self {
            waiting,
            turns,
            presence,
        };
        Ok((queue, worker))
    }

    /// How much waits.
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.waiting).len()
    }

    /// Appends to what waits of a conversation, of which there may be so much then. Returns it if there is too much.
    fn push(&self, log: LogKey, work: Work, at_most: usize) -> Result<(), Work> {
        let abandoned = {
            let mut waiting = lock(&self.waiting);
            waiting.push(log, work, at_most)?;
            // There is space for as many turns as items.
            match self.turns.try_send(()) {
                Ok(()) => return Ok(()),
                Err(_) => waiting.take(),
            }
        };
        // The worker has ended: the hub stops.
        for work in abandoned {
            if let Work::PassOn(work) = work {
                let (_, receipt, _) = *work;
                receipt.refuse(Refusal::new(ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR, ""));
            }
        }
        Ok(())
    }

    /// Delivers something of the hub's own to those online in a log.
    pub(crate) fn deliver(&self, log: LogKey, delivery: Arc<Delivery>) -> Result<(), Overloaded> {
        let pushed = self.push(log, Work::Deliver(log, delivery), usize::MAX);
        pushed.map_err(|_| Overloaded)
    }

    /// Delivers what another hub has passed on to those online here in a log.
    pub(crate) fn deliver_here(&self, log: LogKey, delivery: Arc<Delivery>) -> Result<(), Overloaded> {
        let pushed = self.push(log, Work::DeliverHere(log, delivery), MAX_OF_LOG);
        pushed.map_err(|_| Overloaded)
    }

    /// Delivers what another hub has passed on to some users.
    pub(crate) fn deliver_here_to(
        &self,
        users: Vec<UserId>,
        delivery: Arc<Delivery>,
    ) -> Result<(), Overloaded> {
        let log = LogKey::System(delivery.from().0);
        let pushed = self.push(log, Work::DeliverHereTo(users, delivery), MAX_OF_LOG);
        pushed.map_err(|_| Overloaded)
    }

    /// Passes a user's message on to a group and answers it. Returns the receipt if the queue is full.
    pub(super) fn pass_on(
        &self,
        group: GroupId,
        receipt: SendReceipt,
        message: LiveMessage,
    ) -> Result<(), SendReceipt> {
        let work = Work::PassOn(Box::new((group, receipt, message)));
        match self.push(LogKey::Group(group), work, MAX_OF_LOG) {
            Err(Work::PassOn(back)) => Err(back.1),
            _ => Ok(()),
        }
    }

    /// Removes a group behind what is still to be delivered to it; at once if the queue is full.
    pub(crate) fn dismiss(&self, group: GroupId) {
        let pushed = self.push(LogKey::Group(group), Work::Dismiss(group), usize::MAX);
        if pushed.is_err()
            && let Some(presence) = self.presence.upgrade()
        {
            fanout::dismiss(&presence, group, 0);
        }
    }
}

/// What the worker works with.
struct Live {
    presence: Arc<PresenceRegistry>,
    permissions: Arc<Permissions>,
    ids: Arc<RecentIds>,
    clock: Clock,
}

impl Live {
    fn work(&self, work: Work) {
        match work {
            Work::Deliver(log, delivery) => fanout::deliver(&self.presence, &log, &delivery),
            Work::PassOn(work) => {
                let (group, receipt, message) = *work;
                let user = receipt.responder.device().user();
                receipt.passed_on(self.pass_on(&user, group, &message));
            }
            Work::Dismiss(group) => fanout::dismiss(&self.presence, group, 0),
            Work::DeliverHere(log, delivery) => fanout::deliver_here(&self.presence, &log, &delivery),
            Work::DeliverHereTo(users, delivery) => {
                fanout::deliver_here_to(&self.presence, &users, &delivery);
            }
        }
    }

    fn pass_on(&self, user: &UserId, group: GroupId, message: &LiveMessage) -> Result<PassedOn, Refusal> {
        self.permissions
            .may_still_write(message.checked, user, group, message.mention_all)?;
        message.pass_on(&self.ids, self.clock.steady_ms(), |delivery| {
            fanout::deliver(&self.presence, &LogKey::Group(group), delivery);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_room_keeps_the_others_waiting_for_one_message() {
        let [busy, quiet] = ["busy", "quiet"].map(|name| GroupId::new(name).unwrap());
        let worked = Arc::<Mutex<Vec<GroupId>>>::default();
        let work = {
            let worked = Arc::clone(&worked);
            move |work| match work {
                Work::Dismiss(group) => lock(&worked).push(group),
                other => panic!("{other:?}"),
            }
        };
        let workplace = Workplace::Steps(Arc::default());
        let (queue, worker) = LiveQueue::start(&workplace, Weak::new(), work).unwrap();
        let push = |group| {
            let work = Work::Dismiss(group);
            queue.push(LogKey::Group(group), work, MAX_OF_LOG).is_ok()
        };
        assert!((0..MAX_OF_LOG).all(|_| push(busy)));
        assert!(!push(busy), "it has as many as may wait");
        assert!(push(quiet));
        let worker = worker.stepped().unwrap().upgrade().unwrap();
        assert_eq!(worker.waiting(), MAX_OF_LOG + 1);
        assert!(worker.step() && worker.step());
        assert_eq!(*lock(&worked), [busy, quiet]);
        while worker.step() {}
        assert_eq!(lock(&worked).len(), MAX_OF_LOG + 1);
        assert!(lock(&queue.waiting).is_empty());
        worker.abandon();
        assert!(push(busy));
        assert!(lock(&queue.waiting).is_empty(), "nothing waits without a worker");
    }
}
