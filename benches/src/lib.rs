//! What the benchmarks share: timing several candidates fairly in one run.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// A name, and what is timed. It returns something that depends on all of its work.
pub type Candidate<'a> = (&'static str, Box<dyn FnMut() -> usize + 'a>);

/// What [`measure`] found out about a candidate.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// One call, in seconds; the median of all rounds.
    pub seconds: f64,
    /// The time of one call divided by the first candidate's in the same round; the median of all rounds.
    pub relative: f64,
}

const ROUNDS: usize = 61;
const ROUND: Duration = Duration::from_millis(2);

/// Times each candidate.
///
/// The candidates take turns of some milliseconds, so that a noisy moment or another clock rate hits them all; compare
/// them by [`Timing::relative`].
pub fn measure(candidates: &mut [Candidate<'_>]) -> Vec<Timing> {
    let calls: Vec<u32> = candidates
        .iter_mut()
        .map(|(_, work)| calls_per_round(work))
        .collect();
    let mut rounds = vec![Vec::with_capacity(ROUNDS); candidates.len()];
    for _ in 0..ROUNDS {
        for ((_, work), (&calls, times)) in candidates.iter_mut().zip(calls.iter().zip(&mut rounds)) {
            times.push(time(work, calls).as_secs_f64() / f64::from(calls));
        }
    }
    let timing = |times: &Vec<f64>| Timing {
        seconds: median(times.iter().copied()),
        relative: median(times.iter().zip(&rounds[0]).map(|(time, first)| time / first)),
    };
    rounds.iter().map(timing).collect()
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

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
