//! Random numbers in the ids of what the hub writes itself.

use std::sync::atomic::{AtomicU32, Ordering};

/// How many numbers one change of a group uses at most.
const STEP: u32 = 16;

/// Gives out numbers that are not repeated for long.
#[derive(Debug, Default)]
pub(crate) struct Randoms(AtomicU32);

impl Randoms {
    /// The first of [`STEP`] numbers for the caller.
    pub(crate) fn next(&self) -> u32 {
        self.0.fetch_add(STEP, Ordering::Relaxed)
    }
}
