//! Message ids of calls, so that a call that is made again sends nothing twice.
//!
//! A caller repeats `MsgRandom` when it repeats a call. The ids are made of it, of the receiver and the content, and of the span of time in
//! which the call comes; those of the spans before and after it are looked up, too: before, as the call may have been made first in
//! that one, and after, as somebody may have set the clock back since. Calls that overlap are in the span of the first of them. So a message
//! is sent once in five minutes at least, also over a restart of the hub. Other messages with the same random number have other ids.

use tim_proto::planted::{self, Fault};
use tim_proto::{ConversationId, MessageId, UserId};
use tim_store::{Fingerprint, StoreError, StoreReader, Stored};

use crate::delivery::{RecentId, RecentIds, UnderWay, UnderWayCall};

/// The length of a span of time, in seconds.
const SPAN_S: u64 = 300;
/// Over how many seconds at the beginning of a span the ids are spread; those of messages that are not stored, behind them.
const SPREAD_S: u16 = 60;
/// How many ids a message may have: others may have taken those before.
pub(in crate::http::rest) const ATTEMPTS: u64 = 16;
/// How many of them have the caller's random number. There are so few of these ids in a span that those of many messages collide; the
/// others have a random number of their own.
const WITH_RANDOM: u64 = 4;
const _: () = assert!(2 * SPREAD_S as u64 <= SPAN_S && WITH_RANDOM < ATTEMPTS);

/// A call that sends a message, and the ids that the message may have. Calls with the same message that overlap have the same ids.
#[derive(Debug)]
pub(in crate::http::rest) struct Sending {
    pub(in crate::http::rest) ids: Ids,
    _call: UnderWayCall,
}

impl Sending {
    /// Of a call that begins to send a message with these ids. To be dropped when it is known what has become of the message.
    pub(in crate::http::rest) fn begin(under_way: &UnderWay, ids: Ids) -> Self {
        let call = under_way.begin(ids.sender, ids.message, ids.start);
        let start = call.time();
        Self {
            ids: Ids { start, ..ids },
            _call: call,
        }
    }
}

/// The ids that a message may have.
#[derive(Debug, Clone, Copy)]
pub(in crate::http::rest) struct Ids {
    sender: u64,
    random: u32,
    start: u64,
    /// Of the random number, the receiver and the content.
    message: Fingerprint,
}

impl Ids {
    /// Of a message of the account with this number with this content, at this time.
    pub(in crate::http::rest) fn new(
        sender: u64,
        random: u32,
        (to, digest): (ConversationId, u64),
        now_s: u64,
    ) -> Self {
        let message = Fingerprint::of(&[
            &random.to_le_bytes(),
            &digest.to_le_bytes(),
            to.to_string().as_bytes(),
        ]);
        Self {
            sender,
            random,
            start: match planted::is(Fault::RepeatedCallSendsAgain) {
                true => now_s,
                false => now_s - now_s % SPAN_S,
            },
            message,
        }
    }

    /// Those of a message that is not stored. None of them is one of a stored message: of either kind only those before it count.
    pub(in crate::http::rest) const fn of_passed_on(self) -> Self {
        Self {
            start: self.start + SPREAD_S as u64,
            ..self
        }
    }

    /// The id that the message has unless other messages have the ones before.
    pub(in crate::http::rest) fn id(&self, attempt: u64) -> MessageId {
        let hash = Fingerprint::of(&[&self.message.to_bits().to_le_bytes(), &attempt.to_le_bytes()]);
        let [a, b, c, d, e, f, ..] = hash.to_bits().to_le_bytes();
        MessageId {
            sender: self.sender,
            client_time: self.start + u64::from(u16::from_le_bytes([e, f]) % SPREAD_S),
            random: match attempt < WITH_RANDOM {
                true => self.random,
                false => u32::from_le_bytes([a, b, c, d]),
            },
        }
    }

    /// Whether the message may have this id.
    pub(super) fn have(&self, id: &MessageId) -> bool {
        (self.start..self.start + SPAN_S).contains(&id.client_time) && self.all().any(|own| own == *id)
    }

    /// The id with which the message was stored in a span beside this one, and where it is; `None` if it was not. With `here` also in this
    /// one, where the store finds it out as well.
    pub(in crate::http::rest) fn stored_beside(
        &self,
        store: &dyn StoreReader,
        sender: &UserId,
        fingerprint: Fingerprint,
        here: bool,
    ) -> Result<Option<(MessageId, Stored)>, StoreError> {
        for ids in here.then_some(*self).into_iter().chain(self.beside()) {
            for id in ids.all() {
                match store.stored(sender, &id, fingerprint)? {
                    None => break,
                    Some(Ok(at)) => return Ok(Some((id, at))),
                    // Another message has this id.
                    Some(Err(_)) => {}
                }
            }
        }
        Ok(None)
    }

    /// The same of a message that is not stored, and when it was passed on.
    pub(in crate::http::rest) fn passed_on_beside(
        &self,
        recent: &RecentIds,
        fingerprint: Fingerprint,
        here: bool,
    ) -> Option<(MessageId, u64)> {
        let mut spans = here.then_some(*self).into_iter().chain(self.beside());
        spans.find_map(|ids| {
            let mut found = ids.all().map(|id| (id, recent.look_up(&id, fingerprint)));
            match found.find(|(_, found)| !matches!(found, RecentId::Other))? {
                (id, RecentId::Same(time)) => Some((id, time)),
                _ => None,
            }
        })
    }

    /// The ids that the message may have, in the order in which they are tried.
    fn all(&self) -> impl Iterator<Item = MessageId> + '_ {
        (0..ATTEMPTS).map(|attempt| self.id(attempt))
    }

    const fn beside(&self) -> [Self; 2] {
        let after = Self {
            start: self.start.saturating_add(SPAN_S),
            ..*self
        };
        [self.before(), after]
    }

    /// The ids that the message would have in the span before.
    pub(super) const fn before(&self) -> Self {
        Self {
            start: self.start.saturating_sub(SPAN_S),
            ..*self
        }
    }
}

/// The random number of an imported message whose own is taken by a message to another user.
pub(super) fn of_target(random: u32, to: &UserId) -> u32 {
    let hash = Fingerprint::of(&[&random.to_le_bytes(), to.as_str().as_bytes()]);
    let [a, b, c, d, ..] = hash.to_bits().to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_a_span_are_those_before_of_the_next() {
        let to = |name: &str| ConversationId::C2c(UserId::new(name).unwrap());
        let ids = |now_s| Ids::new(7, 9, (to("bob"), 1), now_s);
        let (now, next) = (ids(1_000), ids(1_300));
        assert_eq!(now.id(3), next.before().id(3));
        assert_ne!(now.id(0), next.id(0));
        assert_eq!(ids(5).before().id(0), ids(5).id(0), "at the beginning of time");
        let [stored, passed_on] = [now, now.of_passed_on()].map(|ids| {
            let times = ids.all().map(|id| id.client_time);
            times.collect::<Vec<_>>()
        });
        assert!(stored.iter().max() < passed_on.iter().min(), "{passed_on:?}");
        assert!(passed_on.iter().all(|time| *time < next.start));
        assert!(now.have(&now.id(15)) && !now.have(&next.id(15)));
        for other in [
            Ids::new(7, 9, (to("carol"), 1), 1_000),
            Ids::new(7, 9, (to("bob"), 2), 1_000),
            Ids::new(7, 8, (to("bob"), 1), 1_000),
            Ids::new(6, 9, (to("bob"), 1), 1_000),
        ] {
            assert!(!now.have(&other.id(15)));
        }
        let [bob, carol] = ["bob", "carol"].map(|name| UserId::new(name).unwrap());
        assert_eq!(of_target(5, &bob), of_target(5, &bob));
        assert_ne!(of_target(5, &bob), of_target(5, &carol));
        assert_ne!(of_target(5, &bob), of_target(6, &bob));
    }

    #[test]
    fn any_number_of_messages_with_one_random_number_have_ids() {
        let to = ConversationId::C2c(UserId::new("bob").unwrap());
        let mut taken = std::collections::HashSet::new();
        for digest in 0..5_000 {
            let ids = Ids::new(7, 9, (to, digest), 1_000);
            assert!((0..ATTEMPTS).any(|attempt| taken.insert(ids.id(attempt))));
        }
        let unchanged = taken.iter().filter(|id| id.random == 9).count();
        assert!(unchanged > 50, "{unchanged}");
    }
}
