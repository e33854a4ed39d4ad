//! What the benchmarks share: timing several candidates fairly in one run.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// A measurement: the name of a candidate, and what is timed. It returns something that depends on all of its work.
pub type Candidate<'a> = (&'static str, Box<dyn FnMut() -> usize + 'a>);

const ROUNDS: usize = 31;
const ROUND: Duration = Duration::from_millis(4);

/// The median time of one call of each candidate.
///
/// The candidates take turns, so that a noisy moment hits them all, and each turn lasts several milliseconds.
pub fn medians(candidates: &mut [Candidate<'_>]) -> Vec<Duration> {
    let calls: Vec<u32> = candidates
        .iter_mut()
        .map(|(_, work)| calls_per_round(work))
        .collect();
    let mut times = vec![Vec::with_capacity(ROUNDS); candidates.len()];
    for _ in 0..ROUNDS {
        for ((_, work), (&calls, times)) in candidates.iter_mut().zip(calls.iter().zip(&mut times)) {
            times.push(time(work, calls) / calls);
        }
    }
    times.iter_mut().map(|times| median(times)).collect()
}

fn calls_per_round(work: &mut dyn FnMut() -> usize) -> u32 {
    let mut calls = 1;
    loop {
        let took = time(work, calls);
        if took * 2 > ROUND {
            let fits = ROUND.as_secs_f64() / took.as_secs_f64() * f64::from(calls);
            return (fits as u32).max(1);
        }
        calls *= 2;
    }
}

fn time(work: &mut dyn FnMut() -> usize, calls: u32) -> Duration {
    let start = Instant::now();
    for _ in 0..calls {
        black_box(work());
    }
    start.elapsed()
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
