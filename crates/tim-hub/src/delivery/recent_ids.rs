//! The ids of messages that are stored nowhere: online-only messages and messages to AVChatRooms.
//!
//! The store keeps the ids of what it stored for weeks. The newest of the others are kept here for two minutes, which covers a
//! client that was cut off before the response and repeats its request. A repetition is answered and not delivered again;
//! another message under the same id is refused.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use tim_proto::MessageId;
use tim_proto::planted::{self, Fault};

use crate::threads::lock;
use tim_store::Fingerprint;

/// How many ids are kept.
const MAX_IDS: usize = 65_536;
/// For how long.
const KEPT_MS: u64 = 120_000;

/// The ids of the messages that were passed on lately.
#[derive(Debug, Default)]
pub(crate) struct RecentIds(Mutex<Tables>);

#[derive(Debug, Default)]
struct Tables {
    known: HashMap<MessageId, Passed>,
    /// In order of arrival, with the steady time of it: setting the wall clock makes no id older.
    order: VecDeque<(MessageId, u64)>,
}

#[derive(Debug, Clone, Copy)]
struct Passed {
    fingerprint: Fingerprint,
    time: u64,
}

/// The result of looking an id up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecentId {
    Unknown,
    /// This same message was passed on, with this time of sending (unix seconds).
    Same(u64),
    /// Another message was.
    Other,
}

impl RecentIds {
    /// Looks an id up.
    pub(crate) fn look_up(&self, id: &MessageId, fingerprint: Fingerprint) -> RecentId {
        lock(&self.0).look_up(id, fingerprint)
    }

    /// Looks an id up. One that is unknown is taken for this message of this time (unix seconds), which is then passed on.
    pub(crate) fn take(
        &self,
        id: MessageId,
        fingerprint: Fingerprint,
        time: u64,
        steady_ms: u64,
    ) -> RecentId {
        let mut tables = lock(&self.0);
        tables.forget_old(steady_ms);
        let found = tables.look_up(&id, fingerprint);
        if found == RecentId::Unknown {
            tables.insert(id, Passed { fingerprint, time }, steady_ms);
        }
        found
    }

    /// The same, if the message can be passed on: `pass_on` is called while nobody else learns of the id, so what another caller is told
    /// of it is final. It must neither block nor use these ids.
    ///
    /// # Errors
    /// Those of `pass_on`. The id is not taken then.
    #[cfg(feature = "rest")]
    pub(crate) fn take_if<E>(
        &self,
        id: MessageId,
        fingerprint: Fingerprint,
        time: u64,
        steady_ms: u64,
        pass_on: impl FnOnce() -> Result<(), E>,
    ) -> Result<RecentId, E> {
        let mut tables = lock(&self.0);
        tables.forget_old(steady_ms);
        let found = tables.look_up(&id, fingerprint);
        if found == RecentId::Unknown {
            pass_on()?;
            tables.insert(id, Passed { fingerprint, time }, steady_ms);
        }
        Ok(found)
    }
}

impl Tables {
    fn look_up(&self, id: &MessageId, fingerprint: Fingerprint) -> RecentId {
        match self.known.get(id) {
            None => RecentId::Unknown,
            Some(passed) if passed.fingerprint == fingerprint || planted::is(Fault::IdsWithoutHash) => {
                RecentId::Same(passed.time)
            }
            Some(_) => RecentId::Other,
        }
    }

    fn insert(&mut self, id: MessageId, passed: Passed, steady_ms: u64) {
        self.known.insert(id, passed);
        self.order.push_back((id, steady_ms));
    }

    fn forget_old(&mut self, steady_ms: u64) {
        while let Some(&(id, at_ms)) = self.order.front() {
            if self.order.len() < MAX_IDS && steady_ms.saturating_sub(at_ms) < KEPT_MS {
                return;
            }
            self.order.pop_front();
            self.known.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn id(random: u32) -> MessageId {
        MessageId {
            sender: 1,
            client_time: 2,
            random,
        }
    }

    #[test]
    fn an_id_is_known_for_two_minutes_and_taken_once() {
        let ids = RecentIds::default();
        let (one, two) = (Fingerprint::of(&[b"one"]), Fingerprint::of(&[b"two"]));
        assert_eq!(ids.take(id(1), one, 70, 5_000), RecentId::Unknown);
        assert_eq!(ids.take(id(1), one, 71, 6_000), RecentId::Same(70));
        assert_eq!(ids.take(id(1), two, 71, 6_000), RecentId::Other);
        assert_eq!(
            ids.take(id(1), one, 9_000_000, 5_000 + KEPT_MS - 1),
            RecentId::Same(70)
        );
        assert_eq!(ids.take(id(1), two, 71, 5_000 + KEPT_MS), RecentId::Unknown);
    }

    /// The second one comes while the first one is being refused.
    #[cfg(feature = "rest")]
    #[test]
    fn of_two_at_once_neither_is_told_that_a_message_was_passed_on_that_was_refused() {
        let (ids, one) = (&RecentIds::default(), Fingerprint::of(&[b"one"]));
        let take =
            |pass_on: &dyn Fn() -> Result<(), &'static str>| ids.take_if(id(1), one, 70, 5_000, pass_on);
        std::thread::scope(|scope| {
            let second = std::sync::OnceLock::new();
            let refused = take(&|| {
                let (started, take) = (std::sync::Arc::new(std::sync::Barrier::new(2)), &take);
                let starting = std::sync::Arc::clone(&started);
                let other = scope.spawn(move || {
                    starting.wait();
                    (ids.look_up(&id(1), one), take(&|| Err("full as well")))
                });
                started.wait();
                second.set(other).map_err(|_| "it is set once")?;
                Err("full")
            });
            assert_eq!(refused, Err("full"));
            let other = second.into_inner().unwrap().join().unwrap();
            assert_eq!(other, (RecentId::Unknown, Err("full as well")));
        });
        assert_eq!(take(&|| Ok(())), Ok(RecentId::Unknown));
        assert_eq!(take(&|| Err("not asked")), Ok(RecentId::Same(70)));
    }

    #[test]
    fn the_number_of_ids_is_bounded() {
        let ids = RecentIds::default();
        let print = Fingerprint::of(&[]);
        for random in 0..MAX_IDS as u32 + 10 {
            ids.take(id(random), print, 1, 1_000);
        }
        let tables = lock(&ids.0);
        assert_eq!((tables.known.len(), tables.order.len()), (MAX_IDS, MAX_IDS));
        assert_eq!(tables.look_up(&id(9), print), RecentId::Unknown);
        assert_ne!(tables.look_up(&id(10), print), RecentId::Unknown);
    }
}
