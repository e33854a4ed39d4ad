//! How long sends wait for the lock under which the hubs of one database write, one after another.

use std::collections::VecDeque;

use super::percentile;
use crate::Rng;

/// The most writes of a batch, as `tim_store::MAX_BATCH`.
const BATCH: usize = 256;

/// What a transaction takes.
#[derive(Debug, Clone, Copy)]
pub struct Costs {
    /// Without anything in it, in microseconds: the lock, the commit, the standby.
    pub transaction_us: u64,
    /// For each message that is stored.
    pub entry_us: u64,
    /// For each message of another hub that is read.
    pub read_us: u64,
}

impl Costs {
    /// What was measured: see `docs/scale.md`.
    pub const MEASURED: Self = Self {
        transaction_us: 1_500,
        entry_us: 110,
        read_us: 10,
    };
}

/// When a hub reads what others have stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// All of it when it has the lock.
    UnderLock,
    /// As it comes; under the lock only what the transaction just before has stored.
    Ahead,
}

/// Hubs that write.
#[derive(Debug, Clone, Copy)]
pub struct Writers {
    /// How many.
    pub hubs: u16,
    /// Messages per second, of all hubs together.
    pub sends_per_second: u32,
    /// For how long.
    pub seconds: u32,
    /// When they read.
    pub reading: Reading,
    /// The same seed gives the same figures.
    pub seed: u64,
}

/// How long a send waits until it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// The median, in milliseconds.
    pub p50_ms: u64,
    /// The 99th percentile.
    pub p99_ms: u64,
    /// Whether more is sent than is stored: waits grow without end.
    pub is_behind: bool,
}

struct Hub {
    waiting: VecDeque<u64>,
    is_queued: bool,
    /// How many entries it knows.
    known: u64,
}

/// Lets hubs write in turn, as they come.
#[must_use]
pub fn wait(writers: &Writers, costs: &Costs) -> Wait {
    let mut rng = Rng::new(writers.seed);
    let count = usize::from(writers.hubs.max(1));
    let mut hubs: Vec<Hub> = (0..count)
        .map(|_| Hub {
            waiting: VecDeque::new(),
            is_queued: false,
            known: 0,
        })
        .collect();
    let end_us = u64::from(writers.seconds) * 1_000_000;
    let every_us = 1_000_000.0 / f64::from(writers.sends_per_second.max(1));
    let (mut queue, mut waits) = (VecDeque::new(), Vec::new());
    let (mut now, mut sent, mut stored, mut newest) = (0_u64, 0_u64, 0_u64, 0_u64);
    let at_us = |number: u64| (number as f64 * every_us) as u64;
    loop {
        if queue.is_empty() {
            now = now.max(at_us(sent));
        }
        // What has come meanwhile.
        while at_us(sent) <= now && at_us(sent) < end_us {
            let to = rng.below(count as u64) as usize;
            hubs[to].waiting.push_back(at_us(sent));
            if !std::mem::replace(&mut hubs[to].is_queued, true) {
                queue.push_back(to);
            }
            sent += 1;
        }
        let Some(next) = queue.pop_front() else { break };
        if now >= end_us {
            break;
        }
        let hub = &mut hubs[next];
        let batch: Vec<u64> = (0..BATCH).map_while(|_| hub.waiting.pop_front()).collect();
        let unread = match writers.reading {
            Reading::UnderLock => stored - hub.known,
            Reading::Ahead => newest.min(stored - hub.known),
        };
        newest = batch.len() as u64;
        stored += newest;
        hub.known = stored;
        now += costs.transaction_us + costs.entry_us * newest + costs.read_us * unread;
        waits.extend(batch.into_iter().map(|since| (now - since) / 1_000));
        hub.is_queued = !hub.waiting.is_empty();
        if hub.is_queued {
            queue.push_back(next);
        }
    }
    // At a load that is kept up with, little is left over.
    let left = sent.saturating_sub(waits.len() as u64);
    Wait {
        p50_ms: percentile(&mut waits, 50),
        p99_ms: percentile(&mut waits, 99),
        is_behind: left > sent / 10,
    }
}
