//! What the SDK takes from the system it runs on: the time of day and random numbers. Nothing else in the crate reads
//! either, and a [`ClientBuilder`](crate::ClientBuilder) can replace both. Intervals are measured with tokio's clock, which
//! the driver of the session keeps.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

// In a browser the standard library has no clock: `SystemTime::now` panics there.
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
use std::time::{SystemTime, UNIX_EPOCH};
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use web_time::{SystemTime, UNIX_EPOCH};

/// The time of day: milliseconds since 1970.
#[derive(Clone)]
pub(crate) struct WallClock(Option<Arc<dyn Fn() -> u64 + Send + Sync>>);

impl WallClock {
    /// The system's.
    pub(crate) const SYSTEM: Self = Self(None);

    pub(crate) fn new(unix_millis: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(unix_millis)))
    }

    pub(crate) fn unix_millis(&self) -> u64 {
        self.0.as_ref().map_or_else(system_millis, |clock| clock())
    }
}

impl fmt::Debug for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WallClock")
    }
}

fn system_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Random numbers for ids and back-off.
#[derive(Debug)]
pub(crate) enum Randoms {
    System,
    /// They follow from a seed (SplitMix64).
    Seeded(u64),
}

impl Randoms {
    /// Without a random source in the system, the seed of the standard library's hash tables stands in.
    pub(crate) fn draw(&mut self) -> u64 {
        let Self::Seeded(state) = self else {
            return getrandom::u64().unwrap_or_else(|_| RandomState::new().build_hasher().finish());
        };
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
