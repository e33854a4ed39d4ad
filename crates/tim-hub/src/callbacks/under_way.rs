//! The messages that the application has allowed, and of which it is not known yet what becomes of them.
//!
//! A device whose connection ends then sends its message again on the next one, and the application is asked once more. What it says then
//! depends on whether the message was taken the first time, which the store does not know before it has committed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tim_proto::MessageId;
use tokio::sync::Notify;

use crate::threads::lock;

/// Those of a hub. There is a place for each question and each answer that is under way, so their number is bounded as those are.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    /// How often each is.
    counts: Mutex<HashMap<MessageId, usize>>,
    settled: Notify,
}

/// A message is under way until this is dropped, with the answer to its sender.
#[derive(Debug)]
pub(crate) struct Passage {
    under_way: Arc<UnderWay>,
    id: MessageId,
}

impl UnderWay {
    pub(super) fn enter(self: &Arc<Self>, id: MessageId) -> Passage {
        *lock(&self.counts).entry(id).or_default() += 1;
        Passage {
            under_way: Arc::clone(self),
            id,
        }
    }

    /// Ready when the message is not under way.
    pub(super) async fn settled(&self, id: &MessageId) {
        loop {
            let mut next = std::pin::pin!(self.settled.notified());
            // Before the look: what is settled behind it is heard.
            next.as_mut().enable();
            if !lock(&self.counts).contains_key(id) {
                return;
            }
            next.await;
        }
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        let mut counts = lock(&self.under_way.counts);
        let Some(count) = counts.get_mut(&self.id) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            counts.remove(&self.id);
            drop(counts);
            self.under_way.settled.notify_waiters();
        }
    }
}
