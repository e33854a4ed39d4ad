//! Messages that calls of the REST interface are sending now.
//!
//! The id of such a message is made of the time at which its call came. A call that is repeated before the first one has ended makes it of
//! the same time, so that both have the same id and the store, or [`RecentIds`](super::RecentIds), takes one of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex};

use tim_store::Fingerprint;

use crate::threads::lock;

/// A message: the number of its sender's account, and what the call says.
type Key = (u64, Fingerprint);

/// The messages that are being sent. Bounded by the calls that are under way.
#[derive(Debug, Clone, Default)]
pub(crate) struct UnderWay(Arc<Mutex<HashMap<Key, Message>>>);

#[derive(Debug)]
struct Message {
    /// The time of which its id is made.
    time: u64,
    /// How many calls are sending it.
    calls: usize,
}

/// A call that is sending a message, until this is dropped.
#[derive(Debug)]
pub(crate) struct UnderWayCall {
    under_way: UnderWay,
    key: Key,
    time: u64,
}

impl UnderWay {
    /// A call begins to send a message, whose id would be made of this time.
    pub(crate) fn begin(&self, sender: u64, message: Fingerprint, time: u64) -> UnderWayCall {
        let key = (sender, message);
        let mut messages = lock(&self.0);
        let message = messages.entry(key).or_insert(Message { time, calls: 0 });
        message.calls += 1;
        UnderWayCall {
            time: message.time,
            under_way: self.clone(),
            key,
        }
    }
}

impl UnderWayCall {
    /// Of which time the id is made.
    pub(crate) const fn time(&self) -> u64 {
        self.time
    }
}

impl Drop for UnderWayCall {
    fn drop(&mut self) {
        let mut messages = lock(&self.under_way.0);
        if let Entry::Occupied(mut message) = messages.entry(self.key) {
            message.get_mut().calls -= 1;
            if message.get().calls == 0 {
                message.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_overlap_have_one_time() {
        let (under_way, one) = (UnderWay::default(), Fingerprint::of(&[b"one"]));
        let first = under_way.begin(7, one, 100);
        let second = under_way.begin(7, one, 400);
        assert_eq!((first.time(), second.time()), (100, 100));
        assert_eq!(under_way.begin(8, one, 400).time(), 400, "of another sender");
        drop(first);
        assert_eq!(under_way.begin(7, one, 700).time(), 100, "the second one goes on");
        drop(second);
        assert_eq!(under_way.begin(7, one, 700).time(), 700);
        assert!(lock(&under_way.0).is_empty());
    }
}
