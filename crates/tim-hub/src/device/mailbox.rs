//! What waits for a device.
//!
//! A mailbox has three parts, each with a ceiling and a policy. *Responses* are bounded by the requests that the connection
//! may have under way. *Live* deliveries are a fast path over the log: when there are too many, they are dropped and the
//! device is marked *behind*, to read on from the log later; of those that are not stored, the least urgent are dropped
//! first. *Changes* of the user's own state are one for each conversation, the newest; beyond the ceiling one change
//! replaces them all, which tells the device to ask for its list.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use tim_proto::ErrorCode;
use tim_proto::planted::{self, Fault};
use tim_proto::request::ConversationChange;
use tim_proto::wire::FrameKind;

use super::delivery::{Delivery, RANKS};
use crate::metrics::Began;
use crate::refusal::Refusal;

/// How many changes of the user's own state wait for one device.
const MAX_CHANGES: usize = 256;
/// What a place in the queue takes up.
const SLOT: usize = size_of::<Arc<Delivery>>();

/// A connection is woken at the latest when its mailbox is so much fuller.
const FILLING_PARTS: usize = 8;

/// The response to a request that was not answered at once.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) request: u32,
    pub(crate) kind: FrameKind,
    pub(crate) began: Began,
    /// The change that the response says is stored; 0 if none.
    pub(crate) change: u64,
    /// The encoded body, or the refusal.
    pub(crate) result: Result<Vec<u8>, Refusal>,
    /// What is free again when the response has left the mailbox.
    pub(crate) _hold: Option<Arc<()>>,
}

/// What waits for a device.
#[derive(Debug)]
pub(crate) struct Mailbox {
    /// `None` if nothing waits, as for an idle device.
    waiting: Option<Box<Waiting>>,
    max_live: usize,
    behind: bool,
    /// The application is asked about a request of the device.
    asking: bool,
    kicked_out: bool,
    close_reason: Option<ErrorCode>,
    waker: Option<Waker>,
}

#[derive(Debug, Default)]
struct Waiting {
    responses: VecDeque<Response>,
    live: Live,
    changes: VecDeque<ConversationChange>,
}

impl Mailbox {
    pub(super) fn new(max_live: usize) -> Self {
        Self {
            waiting: None,
            max_live,
            // From the start: what the device missed is in the log.
            behind: true,
            asking: false,
            kicked_out: false,
            close_reason: None,
            waker: None,
        }
    }

    /// Registers the task of the connection to be woken when something arrives; whether that has been since the last time.
    pub(crate) fn register(&mut self, waker: &Waker) -> bool {
        match &mut self.waker {
            Some(known) => known.clone_from(waker),
            none => {
                *none = Some(waker.clone());
                return true;
            }
        }
        false
    }

    pub(super) const fn take_waker(&mut self) -> Option<Waker> {
        self.waker.take()
    }

    /// Whether the session is to end.
    pub(crate) const fn is_closed(&self) -> bool {
        self.close_reason.is_some()
    }

    /// Why the session is to end, if it is.
    pub(crate) const fn close_reason(&self) -> Option<ErrorCode> {
        self.close_reason
    }

    /// The application is asked about a request of the device, or is not any more.
    #[cfg(feature = "outgoing")]
    pub(super) const fn set_asking(&mut self, is_asking: bool) {
        self.asking = is_asking;
    }

    /// Whether the application is asked about a request of the device.
    pub(crate) const fn is_asking(&self) -> bool {
        self.asking
    }

    /// Whether the user was kicked out, also when the session has ended.
    #[cfg(feature = "outgoing")]
    pub(crate) const fn is_kicked_out(&self) -> bool {
        self.kicked_out
    }

    /// Why the session is to end, once.
    pub(crate) const fn take_close_reason(&mut self) -> Option<ErrorCode> {
        self.close_reason.take()
    }

    /// Whether live deliveries have been dropped since the last call; the log has them.
    pub(crate) const fn take_behind(&mut self) -> bool {
        std::mem::replace(&mut self.behind, false)
    }

    /// The oldest response.
    pub(crate) fn next_response(&mut self) -> Option<Response> {
        self.take(|waiting| waiting.responses.pop_front())
    }

    /// The newest change that one of the responses says is stored; 0 if none does.
    pub(crate) fn newest_answered(&self) -> u64 {
        let responses = self.waiting.iter().flat_map(|waiting| &waiting.responses);
        responses.map(|response| response.change).max().unwrap_or(0)
    }

    /// The oldest change of the user's own state.
    pub(crate) fn next_change(&mut self) -> Option<ConversationChange> {
        self.take(|waiting| waiting.changes.pop_front())
    }

    /// The oldest live delivery.
    pub(crate) fn next_live(&mut self) -> Option<Arc<Delivery>> {
        self.take(|waiting| waiting.live.pop())
    }

    fn take<T>(&mut self, take: impl FnOnce(&mut Waiting) -> Option<T>) -> Option<T> {
        let waiting = self.waiting.as_mut()?;
        let taken = take(waiting);
        if waiting.is_empty() {
            self.waiting = None;
        }
        taken
    }

    fn waiting(&mut self) -> &mut Waiting {
        self.waiting.get_or_insert_default()
    }

    /// Puts back the delivery that was taken last.
    pub(crate) fn put_back(&mut self, delivery: Arc<Delivery>) {
        self.waiting().live.put_back(delivery);
    }

    /// How many bytes the live deliveries take up. What waits for several devices is shared among them.
    pub(crate) fn live_bytes(&self) -> usize {
        let share = |delivery: &Arc<Delivery>| SLOT + delivery.message().len() / Arc::strong_count(delivery);
        let waiting = self.waiting.iter().flat_map(|waiting| &waiting.live.queue);
        waiting.map(share).sum()
    }

    /// How many bytes the responses take up.
    pub(crate) fn response_bytes(&self) -> usize {
        let responses = self.waiting.iter().flat_map(|waiting| &waiting.responses);
        responses
            .map(|response| response.result.as_ref().map_or(0, Vec::capacity))
            .sum()
    }

    /// Drops all live deliveries. What is stored is read from the log later.
    pub(super) fn shed(&mut self) {
        self.take(|waiting| {
            waiting.live = Live::default();
            Some(())
        });
        self.behind = true;
    }

    pub(super) fn respond(&mut self, response: Response) {
        self.waiting().responses.push_back(response);
    }

    pub(super) const fn close(&mut self, reason: ErrorCode) {
        self.kicked_out |= reason.0 == ErrorCode::KICKED_OUT_REST_API.0;
        self.close_reason = Some(reason);
    }

    /// Takes a delivery. Without capacity, what is stored is left to the log and the device is marked behind; of the rest,
    /// the least urgent is dropped. Whether one was.
    pub(super) fn deliver(&mut self, delivery: &Arc<Delivery>) -> bool {
        let waiting = self.waiting.as_ref();
        let has_capacity = waiting.map_or(0, |waiting| waiting.live.queue.len()) < self.max_live;
        if delivery.is_live_only() {
            let displaces = |waiting: &mut Box<Waiting>| waiting.live.displace(delivery.rank());
            if has_capacity || self.waiting.as_mut().is_some_and(displaces) {
                self.waiting().live.push(Arc::clone(delivery));
            }
            return !has_capacity;
        }
        if has_capacity && !self.behind {
            self.waiting().live.push(Arc::clone(delivery));
        } else {
            self.fall_behind();
        }
        false
    }

    /// Whether so many deliveries wait that the connection has to be woken before more come: full, some would be dropped. True for
    /// one in so many, as others come with it.
    pub(super) fn is_filling(&self) -> bool {
        let waiting = self.waiting.as_ref();
        let live = waiting.map_or(0, |waiting| waiting.live.queue.len());
        live > 0 && live.is_multiple_of((self.max_live / FILLING_PARTS).max(1))
    }

    /// From here on the log is read.
    pub(super) fn fall_behind(&mut self) {
        self.take(|waiting| {
            waiting.live.drop_stored();
            Some(())
        });
        self.behind = true;
    }

    pub(super) fn change(&mut self, change: ConversationChange) {
        let is_about = |waiting: &ConversationChange| waiting.conversation == change.conversation;
        let count = |change: &ConversationChange| (change.counted, change.read_sequence);
        let mut newest = change;
        let changes = &mut self.waiting().changes;
        if let Some(at) = changes.iter().position(is_about)
            && let Some(waiting) = changes.remove(at)
        {
            let is_newer = waiting.counted == 0 || count(&waiting) > count(&change);
            if change.counted > 0 && is_newer && !planted::is(Fault::OlderCountWins) {
                newest = waiting;
            }
            // What took the conversation off the list may be another one than what has read most of it.
            if newest.counted > 0 {
                newest.deleted_through = waiting.deleted_through.max(change.deleted_through);
            }
        }
        let change = newest;
        if changes.len() >= MAX_CHANGES {
            // Too many to send one by one: the device is to ask for the list.
            changes.clear();
            changes.push_back(change.with_counted(0));
        } else {
            changes.push_back(change);
        }
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.responses.is_empty() && self.live.queue.is_empty() && self.changes.is_empty()
    }
}

/// Live deliveries in order of arrival.
#[derive(Debug, Default)]
struct Live {
    queue: VecDeque<Arc<Delivery>>,
    /// How many of each rank are not stored.
    live_only: [u32; RANKS],
}

impl Live {
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

    fn pop(&mut self) -> Option<Arc<Delivery>> {
        let delivery = self.queue.pop_front()?;
        self.count(&delivery, |count| count.saturating_sub(1));
        Some(delivery)
    }

    fn put_back(&mut self, delivery: Arc<Delivery>) {
        self.count(&delivery, |count| count.saturating_add(1));
        self.queue.push_front(delivery);
    }

    /// Drops the newest of the least urgent that are not stored, if it is less urgent than `rank`.
    fn displace(&mut self, rank: usize) -> bool {
        let least = self.live_only.iter().take(rank).position(|count| *count > 0);
        let Some(least) = least else { return false };
        let is_least = |waiting: &Arc<Delivery>| waiting.is_live_only() && waiting.rank() == least;
        let Some(at) = self.queue.iter().rposition(is_least) else {
            return false;
        };
        if let Some(dropped) = self.queue.remove(at) {
            self.count(&dropped, |count| count.saturating_sub(1));
        }
        true
    }

    fn drop_stored(&mut self) {
        self.queue.retain(|waiting| waiting.is_live_only());
    }
}
