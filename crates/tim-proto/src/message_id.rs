//! Generates, serializes and replaces message ids, and numbers the messages of a client.

use crate::MessageId;

impl MessageId {
    /// The length of [`MessageId::to_bytes`].
    pub const LEN: usize = 20;

    /// Serializes the id for storage: sender, time and random number, in little-endian byte order.
    ///
    /// ```
    /// use tim_proto::MessageId;
    /// let id = MessageId { sender: 144115200000000001, client_time: 1_705_307_415, random: 42 };
    /// let kept: [u8; MessageId::LEN] = id.to_bytes();
    /// assert_eq!(MessageId::from_bytes(kept), id);
    /// ```
    #[must_use]
    pub const fn to_bytes(self) -> [u8; Self::LEN] {
        let [a, b, c, d, e, f, g, h] = self.sender.to_le_bytes();
        let [i, j, k, l, m, n, o, p] = self.client_time.to_le_bytes();
        let [q, r, s, t] = self.random.to_le_bytes();
        [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t]
    }

    /// Restores an id from the bytes of [`MessageId::to_bytes`].
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t] = bytes;
        Self {
            sender: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            client_time: u64::from_le_bytes([i, j, k, l, m, n, o, p]),
            random: u32::from_le_bytes([q, r, s, t]),
        }
    }

    /// The id with which to resend a message after the hub refused it with `MESSAGE_ID_REUSED`, because another
    /// message has this id.
    ///
    /// The new id is derived from the old id and the device's number; it is not random. A device that resets before
    /// it receives the response to the new id, and restarts from the stored id, derives the same new id again. The
    /// hub therefore stores the message only once.
    #[must_use]
    pub const fn successor(self, device: u64) -> Self {
        let old = self.random;
        let random = mix(mix(device) ^ self.client_time.rotate_left(32) ^ old as u64) as u32;
        Self {
            random: if random == old {
                old.wrapping_add(1)
            } else {
                random
            },
            ..self
        }
    }
}

/// The maximum number of times a client resends a message under a [successor](MessageId::successor) of its id.
pub const MAX_SUCCESSORS: u32 = 3;

/// Generates the random numbers of message ids.
///
/// A generator does not repeat a number within 2³² draws: it applies a bijection to a counter. Generators of one
/// account use different bijections, which depend on the seed and, after the first login, on the device's number and
/// the hub's time in milliseconds. Devices with the same seed therefore draw different numbers, and so does a device
/// that restarts with the same seed. Not cryptographically secure.
///
/// ```
/// use tim_proto::MessageRandom;
/// let mut random = MessageRandom::new(7);
/// random.logged_in(1, 1_705_307_415_123);
/// assert_ne!(random.draw(), random.draw());
/// ```
#[derive(Debug, Clone, Copy)]
pub struct MessageRandom {
    key: u64,
    count: u32,
}

impl MessageRandom {
    /// Creates a generator. The seed should differ between boots.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            key: mix(seed),
            count: 0,
        }
    }

    /// Mixes in values that are unique to this login: the device's number, and the hub's time in milliseconds from
    /// the response to LOGIN.
    pub const fn logged_in(&mut self, device: u64, hub_time_ms: u64) {
        self.key = mix(self.key ^ mix(device ^ mix(hub_time_ms)));
    }

    /// Returns the next number.
    pub const fn draw(&mut self) -> u32 {
        self.count = self.count.wrapping_add(1);
        let mut x = self.count ^ self.key as u32;
        // Bijective steps: xor-shifts, and multiplications by odd numbers.
        x ^= x >> 16;
        x = x.wrapping_mul(0x7feb_352d);
        x ^= x >> 15;
        x = x.wrapping_mul((self.key >> 32) as u32 | 1);
        x ^= x >> 16;
        x = x.wrapping_mul(0x846c_a68b);
        x ^ (x >> 15)
    }
}

/// Numbers the messages of a client (`clientSequence`) with ten digits, as the web SDK does. The first number is
/// derived from the time of day, so a restarted client usually begins at a higher number. No component relies on
/// that.
///
/// ```
/// use tim_proto::ClientSequence;
/// // 08:30:15 UTC
/// let mut sequence = ClientSequence::at(1_705_307_415);
/// assert_eq!((sequence.draw(), sequence.draw()), (3_830_150_001, 3_830_150_002));
/// // 20:55:33
/// assert_eq!(ClientSequence::at(1_705_352_133).draw(), 2_055_330_001);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ClientSequence {
    next: u32,
}

impl ClientSequence {
    /// The smallest number with ten digits, which follows the largest `u32`.
    pub const FIRST: u32 = 1_000_000_000;

    /// Creates the sequence of a client that starts at this Unix time, in seconds. The digits are hour, minute and
    /// second (UTC), followed by a four-digit counter. A one-digit hour is prefixed with 3.
    #[must_use]
    pub const fn at(unix_seconds: u64) -> Self {
        // Uses 32-bit arithmetic, for processors without 64-bit division. From 2106 on, the time of day is wrong,
        // which is harmless.
        let second = unix_seconds as u32 % 86_400;
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let hour = if hour < 10 { 30 + hour } else { hour };
        Self {
            next: ((hour * 100 + minute) * 100 + second) * 10_000 + 1,
        }
    }

    /// Returns the next number. The largest `u32` is followed by [`ClientSequence::FIRST`].
    pub const fn draw(&mut self) -> u32 {
        let number = self.next;
        self.next = match number.checked_add(1) {
            Some(next) => next,
            None => Self::FIRST,
        };
        number
    }
}

/// Bijective mixing function in which each input bit affects all output bits: MurmurHash3's finalizer, after an
/// addition that maps 0 to a nonzero value.
const fn mix(x: u64) -> u64 {
    let mut x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::HashSet;
    use std::string::ToString as _;
    use std::vec::Vec;

    use super::*;

    #[test]
    fn a_generator_never_draws_a_number_twice() {
        let mut random = MessageRandom::new(1);
        random.logged_in(7, 1_705_307_415_123);
        // 300,000 independent draws out of 2^32 would contain about ten duplicates.
        let drawn: HashSet<u32> = (0..300_000).map(|_| random.draw()).collect();
        assert_eq!(drawn.len(), 300_000);
    }

    #[test]
    fn devices_with_the_same_seed_draw_different_numbers() {
        let draws = |seed, device, time_ms| {
            let mut random = MessageRandom::new(seed);
            random.logged_in(device, time_ms);
            std::array::from_fn::<u32, 8, _>(|_| random.draw())
        };
        let mut seen = HashSet::new();
        let time_ms = 1_705_307_415_123;
        for seed in [0, 1] {
            for device in 1..=64 {
                for passed in [0, 1, 2, 999, 1000] {
                    seen.extend(draws(seed, device, time_ms + passed));
                }
            }
        }
        assert_eq!(seen.len(), 2 * 64 * 5 * 8);
    }

    #[test]
    fn a_successor_is_another_id_and_always_the_same_one() {
        let id = MessageId {
            sender: 5,
            client_time: 1_705_307_415,
            random: 42,
        };
        let chain = |device| {
            let ids = std::iter::successors(Some(id), move |id| Some(id.successor(device)));
            ids.take(4).collect::<Vec<_>>()
        };
        assert_eq!(chain(1), chain(1));
        let all: HashSet<MessageId> = chain(1).into_iter().chain(chain(2)).collect();
        assert_eq!(all.len(), 7, "the first is the same");
        assert!(
            all.iter()
                .all(|other| (other.sender, other.client_time) == (5, 1_705_307_415))
        );
        let fixed = (0..100_000).map(|random| MessageId { random, ..id });
        assert!(fixed.into_iter().all(|id| id.successor(1) != id));
    }

    #[test]
    fn a_client_sequence_has_ten_digits_from_midnight_to_midnight_and_over_its_end() {
        for (seconds, first) in [
            (0, 3_000_000_001),
            (36_000, 1_000_000_001),
            (86_399, 2_359_590_001),
            (35_999, 3_959_590_001),
        ] {
            assert_eq!(ClientSequence::at(86_400 * 19_000 + seconds).draw(), first);
        }
        let mut last = ClientSequence { next: u32::MAX };
        assert_eq!((last.draw(), last.draw()), (u32::MAX, ClientSequence::FIRST));
        assert_eq!(ClientSequence::at(u64::MAX).draw().to_string().len(), 10);
    }
}
