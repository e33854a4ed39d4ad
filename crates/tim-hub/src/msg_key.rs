//! `MsgKey`: the name of a message between two users.
//!
//! It is `<MsgSeq>_<MsgRandom>_<MsgTime>`: the place in the log, the random number of the message id, and when the message was stored.

use std::fmt;

use tim_store::Entry;

/// The name of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MsgKey {
    /// The place in the log; 0 for a message that is not stored; a digest of the content for one to many users.
    pub(crate) sequence: u64,
    pub(crate) random: u32,
    /// Unix seconds.
    pub(crate) time: u64,
}

impl MsgKey {
    /// That of a stored message.
    pub(crate) const fn of(entry: &Entry) -> Self {
        Self {
            sequence: entry.sequence,
            random: entry.id.random,
            time: entry.time_ms / 1000,
        }
    }
}

impl fmt::Display for MsgKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}_{}", self.sequence, self.random, self.time)
    }
}

#[cfg(feature = "rest")]
impl std::str::FromStr for MsgKey {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('_');
        let mut part = || {
            parts
                .next()
                .filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let (sequence, random, time) = (part().ok_or(())?, part().ok_or(())?, part().ok_or(())?);
        if parts.next().is_some() {
            return Err(());
        }
        let number = |text: &str| text.parse::<u64>().map_err(drop);
        Ok(Self {
            sequence: number(sequence)?,
            random: random.parse().map_err(drop)?,
            time: number(time)?,
        })
    }
}

#[cfg(all(test, feature = "rest"))]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_written() {
        for key in [
            MsgKey {
                sequence: 1,
                random: 2,
                time: 3,
            },
            MsgKey {
                sequence: u64::MAX,
                random: u32::MAX,
                time: u64::from(u32::MAX),
            },
        ] {
            assert_eq!(key.to_string().parse(), Ok(key));
            assert!(key.to_string().len() <= 50);
        }
        for text in [
            "",
            "1",
            "1_2",
            "1_2_3_4",
            "a_2_3",
            "1__3",
            "-1_2_3",
            "+1_2_3",
            "1_4294967296_3",
            "1_2_3 ",
            "1_2_99999999999999999999",
        ] {
            assert_eq!(text.parse::<MsgKey>(), Err(()), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_read_is_a_key(text in "[0-9_+-]{0,30}", sequence: u64, random: u32, time: u64) {
            if let Ok(key) = text.parse::<MsgKey>() {
                proptest::prop_assert_eq!(key.to_string().parse(), Ok(key));
            }
            let key = MsgKey { sequence, random, time };
            proptest::prop_assert_eq!(key.to_string().parse(), Ok(key));
        }
    }
}
