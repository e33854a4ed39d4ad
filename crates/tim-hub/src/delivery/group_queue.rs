//! Messages on their way into groups, at the rate that a group takes.

use std::sync::{Arc, Mutex};

use tim_proto::{ErrorCode, GroupId, Priority};
use tim_store::{Append, Write, Writer};

use super::live::{LiveMessage, LiveQueue};
use super::receipt::{SendReceipt, stored_before};
use super::recent_ids::RecentIds;
use crate::admission::{GroupLimiter, Offer};
use crate::clock::Clock;
use crate::metrics::{Drop, Metrics};
use crate::reads::Reads;
use crate::refusal::Refusal;
use crate::threads::lock;

/// A message on its way into a group.
#[derive(Debug)]
pub(crate) struct PendingMessage {
    pub(crate) group: GroupId,
    pub(crate) receipt: SendReceipt,
    pub(crate) route: Route,
}

/// Where it goes.
#[derive(Debug)]
pub(crate) enum Route {
    /// Into the group's log.
    Log(Box<Append>),
    /// To those online.
    Live(LiveMessage),
}

/// The messages of all groups that wait for their turn.
pub(crate) struct GroupQueue {
    per_second: u32,
    limiter: Mutex<GroupLimiter<PendingMessage>>,
    clock: Clock,
    reads: Reads,
    writer: Arc<Writer>,
    live: LiveQueue,
    recent_ids: Arc<RecentIds>,
    metrics: Arc<Metrics>,
}

impl GroupQueue {
    pub(crate) fn new(
        per_second: u32,
        clock: Clock,
        reads: Reads,
        writer: Arc<Writer>,
        live: LiveQueue,
        recent_ids: Arc<RecentIds>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            per_second,
            limiter: Mutex::new(GroupLimiter::new(per_second)),
            clock,
            reads,
            writer,
            live,
            recent_ids,
            metrics,
        }
    }

    /// Passes, queues or drops a message according to the group's rate limit. `true` if a message waits: then
    /// [`GroupQueue::turn`] must be called.
    #[must_use]
    pub(crate) fn offer(&self, priority: Priority, message: PendingMessage) -> bool {
        if self.per_second == 0 {
            self.forward(message);
            return false;
        }
        // What passes is forwarded under the lock, which never blocks, so that nothing overtakes it.
        let mut limiter = lock(&self.limiter);
        let offer = limiter.offer(message.group, priority, message, self.clock.steady_ms());
        let (dropped, waits) = match offer {
            Offer::Pass(message) => {
                self.forward(message);
                (None, false)
            }
            Offer::Waits => (None, true),
            Offer::Displaces(other) => (Some(other), true),
            Offer::Dropped(message) => (Some(message), false),
        };
        drop(limiter);
        if let Some(dropped) = dropped {
            self.turn_away(dropped);
        }
        waits
    }

    /// Forwards the messages whose turn it is.
    pub(crate) fn turn(&self, now_ms: u64) {
        let dropped = {
            let mut limiter = lock(&self.limiter);
            let turn = limiter.turn(now_ms);
            turn.passed.into_iter().for_each(|message| self.forward(message));
            turn.dropped
        };
        dropped.into_iter().for_each(|message| self.turn_away(message));
    }

    /// When the next turn is due; `None` if no message waits.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        lock(&self.limiter).next_ms()
    }

    /// Whether the sender may still write is checked by the store, or by the live thread.
    fn forward(&self, message: PendingMessage) {
        let PendingMessage {
            group,
            receipt,
            route,
        } = message;
        match route {
            Route::Log(append) => append_to_log(&self.writer, Write::Append(*append), receipt),
            Route::Live(live) => {
                if let Err(receipt) = self.live.pass_on(group, receipt, live) {
                    self.metrics.dropped(Drop::LiveQueue, 1);
                    receipt.refuse(Refusal::new(ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR, ""));
                }
            }
        }
    }

    /// Refuses a message for which the group has no capacity; a repetition of one that was stored or passed on before is
    /// answered as that one was.
    fn turn_away(&self, message: PendingMessage) {
        let PendingMessage {
            group,
            receipt,
            route,
        } = message;
        self.metrics.dropped(Drop::GroupRate, 1);
        let wait_ms = lock(&self.limiter).wait_ms(&group, self.clock.steady_ms());
        let text = format!(
            "not sent: the group takes {} messages a second, and the more urgent ones go first; \
             send it again in a moment, or with a higher priority",
            self.per_second
        );
        let full = Refusal::too_soon(ErrorCode::GROUP_SEND_MSG_FREQ_LIMIT, wait_ms, text);
        match route {
            Route::Live(live) => receipt.passed_on(
                live.passed_before(&self.recent_ids)
                    .and_then(|before| before.ok_or(full)),
            ),
            Route::Log(append) => {
                let reads = self.reads.clone();
                self.reads.run_detached(Some(append.sender), move || {
                    let found = reads
                        .store()
                        .stored(&append.sender, &append.id, append.fingerprint);
                    match found {
                        Ok(Some(Ok(first))) => {
                            let written = stored_before(reads.store(), &append.log, first);
                            receipt.written(written.map_err(Into::into));
                        }
                        Ok(Some(Err(refused))) => receipt.refuse(refused.into()),
                        Ok(None) => receipt.refuse(full),
                        Err(error) => receipt.refuse(error.into()),
                    }
                });
            }
        }
    }
}

/// Has the store append a message, and answers its sender.
pub(crate) fn append_to_log(writer: &Writer, append: Write, receipt: SendReceipt) {
    let refuse = receipt.refuser();
    let submitted = writer.submit(append, move |answer| receipt.written(answer));
    if let Err(error) = submitted {
        refuse(error.into());
    }
}
