//! Message ids of calls, so that a call that is made again sends nothing twice.
//!
//! A caller repeats `MsgRandom` when it repeats a call. The id is made of it and of the span of time in which the call comes; of a call
//! in the next span, the id of the one before is looked up, too. So a message is sent once in five minutes at least, also over a restart of
//! the hub. Another message with the same random number gets another id.

use tim_proto::{MessageId, UserId};
use tim_store::Fingerprint;

/// The length of a span of time, in seconds.
const SPAN_S: u64 = 300;
/// How many other messages of a sender in a span may have the same random number.
pub(in crate::http::rest) const ATTEMPTS: u64 = 16;
const _: () = assert!(ATTEMPTS < SPAN_S);

/// The ids that a message may have.
#[derive(Debug, Clone, Copy)]
pub(in crate::http::rest) struct Ids {
    sender: u64,
    random: u32,
    start: u64,
}

impl Ids {
    /// Of a message of the account with this number, at this time.
    pub(in crate::http::rest) const fn new(sender: u64, random: u32, now_s: u64) -> Self {
        let start = now_s - now_s % SPAN_S;
        Self {
            sender,
            random,
            start,
        }
    }

    /// The id that the message has unless other messages have the ones before.
    pub(in crate::http::rest) const fn id(&self, attempt: u64) -> MessageId {
        MessageId {
            sender: self.sender,
            client_time: self.start + attempt,
            random: self.random,
        }
    }

    /// The ids that the message would have in the span before.
    pub(in crate::http::rest) const fn before(&self) -> Self {
        Self {
            start: self.start.saturating_sub(SPAN_S),
            ..*self
        }
    }
}

/// The random number of a message to one of many users: the same for the same user, and different for others, as an id is that of one
/// message.
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
        let now = Ids::new(7, 9, 1_000);
        let next = Ids::new(7, 9, 1_300);
        assert_eq!(now.id(3), next.before().id(3));
        assert_ne!(now.id(0), next.id(0));
        assert_eq!(
            Ids::new(7, 9, 5).before().id(0),
            Ids::new(7, 9, 5).id(0),
            "at the beginning of time"
        );
        let [bob, carol] = ["bob", "carol"].map(|name| UserId::new(name).unwrap());
        assert_eq!(of_target(5, &bob), of_target(5, &bob));
        assert_ne!(of_target(5, &bob), of_target(5, &carol));
        assert_ne!(of_target(5, &bob), of_target(6, &bob));
    }
}
