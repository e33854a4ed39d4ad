//! What the SDK takes from the system it runs on: the time of day and random numbers. Nothing else in the crate reads
//! either. Intervals are measured with tokio's clock, which the driver of the session keeps.

use std::hash::{BuildHasher, Hasher, RandomState};

// In a browser the standard library has no clock: `SystemTime::now` panics there.
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
use std::time::{SystemTime, UNIX_EPOCH};
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use web_time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970.
pub(crate) fn unix_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A random number, for ids and back-off. Without a random source in the system, the seed of the standard library's hash
/// tables stands in.
pub(crate) fn random() -> u64 {
    getrandom::u64().unwrap_or_else(|_| RandomState::new().build_hasher().finish())
}
