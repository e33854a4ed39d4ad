//! How many hubs and devices sends concern, and what hints and reading they make.

use super::{Installation, Placement, Population, percentile};
use crate::Rng;

/// A hub sends its hints together, at most so often.
pub const HINT_EVERY_MS: u32 = 5;
/// So many per cent of the messages go into groups.
const INTO_GROUPS: u8 = 40;

/// What a run has counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Traffic {
    /// Messages.
    pub sends: u64,
    /// Devices that receive a message: mean, median, the 99th percentile, the most.
    pub devices: (f64, u32, u32, u32),
    /// Hubs at which some of them are: mean.
    pub hubs_mean: f64,
    /// The 99th percentile of that.
    pub hubs_p99: u32,
    /// Hints that the hubs send together, per second: one of a hub for all that it has stored in [`HINT_EVERY_MS`].
    pub hints: f64,
    /// Entries that a hub reads from the database per second because they concern a device of its own, and that another hub has stored: mean.
    pub read_mean: f64,
    /// Of the hub with the most.
    pub read_most: f64,
    /// Messages that a hub hands to its devices per second: mean.
    pub delivered_mean: f64,
    /// Of the hub with the most.
    pub delivered_most: f64,
}

/// Sends at random, and counts.
#[must_use]
pub fn traffic(installation: &Installation, population: &Population, placement: Placement) -> Traffic {
    let hub_of = population.hubs(installation, placement);
    let mut counted = Counted::new(installation, &hub_of);
    // Who says something to whom is the same wherever they are.
    let mut rng = Rng::new(installation.seed ^ 0x5E9D);
    let sends = u64::from(installation.sends_per_second) * u64::from(installation.seconds);
    for number in 0..sends {
        let at_ms = number * 1_000 / u64::from(installation.sends_per_second.max(1));
        let sender = rng.below(u64::from(population.users())) as u32;
        let from = sender * 2 + rng.below(2) as u32;
        counted.begin(from, at_ms);
        let group = match rng.percent(INTO_GROUPS) {
            true => population.group_of(sender, &mut rng),
            false => None,
        };
        match group {
            Some(group) => population
                .members(group)
                .iter()
                .for_each(|member| counted.receives(*member, from)),
            None => {
                let partner = population.partner(sender, &mut rng);
                counted.receives(partner, from);
                // The sender's other device.
                counted.receives(sender, from);
            }
        }
        counted.end();
    }
    counted.result(sends, f64::from(installation.seconds.max(1)))
}

struct Counted<'a> {
    hub_of: &'a [u16],
    /// Which send concerned each hub last.
    concerned: Vec<u64>,
    read: Vec<u64>,
    delivered: Vec<u64>,
    /// The interval in which each hub has sent hints last.
    hinted: Vec<u64>,
    hints: u64,
    fan_outs: Vec<u32>,
    hubs: Vec<u32>,
    current: (u64, u16),
    devices: u32,
    at: u32,
}

impl<'a> Counted<'a> {
    fn new(installation: &Installation, hub_of: &'a [u16]) -> Self {
        let none = vec![0; usize::from(installation.hubs.max(1))];
        Self {
            hub_of,
            concerned: none.clone(),
            read: none.clone(),
            delivered: none.clone(),
            hinted: none,
            hints: 0,
            fan_outs: Vec::new(),
            hubs: Vec::new(),
            current: (0, 0),
            devices: 0,
            at: 0,
        }
    }

    fn begin(&mut self, from: u32, at_ms: u64) {
        let hub = self.hub_of[from as usize];
        self.current = (self.current.0 + 1, hub);
        (self.devices, self.at) = (0, 0);
        let interval = at_ms / u64::from(HINT_EVERY_MS) + 1;
        let last = &mut self.hinted[usize::from(hub)];
        self.hints += u64::from(*last != interval);
        *last = interval;
    }

    /// The devices of a user but the one that sends.
    fn receives(&mut self, user: u32, from: u32) {
        for device in [user * 2, user * 2 + 1] {
            if device == from {
                continue;
            }
            let hub = self.hub_of[device as usize];
            let at = usize::from(hub);
            self.devices += 1;
            self.delivered[at] += 1;
            if self.concerned[at] != self.current.0 {
                self.concerned[at] = self.current.0;
                self.at += 1;
                self.read[at] += u64::from(hub != self.current.1);
            }
        }
    }

    fn end(&mut self) {
        self.fan_outs.push(self.devices);
        self.hubs.push(self.at);
    }

    fn result(mut self, sends: u64, seconds: f64) -> Traffic {
        let mean = |values: &[u32]| {
            let sum: u64 = values.iter().map(|value| u64::from(*value)).sum();
            sum as f64 / values.len().max(1) as f64
        };
        let rate = |values: &[u64]| {
            let (sum, most) = (
                values.iter().sum::<u64>(),
                values.iter().max().copied().unwrap_or(0),
            );
            (sum as f64 / values.len() as f64 / seconds, most as f64 / seconds)
        };
        let (read_mean, read_most) = rate(&self.read);
        let (delivered_mean, delivered_most) = rate(&self.delivered);
        let devices = mean(&self.fan_outs);
        Traffic {
            sends,
            hubs_mean: mean(&self.hubs),
            hubs_p99: percentile(&mut self.hubs, 99),
            devices: (
                devices,
                percentile(&mut self.fan_outs, 50),
                percentile(&mut self.fan_outs, 99),
                percentile(&mut self.fan_outs, 100),
            ),
            hints: self.hints as f64 / seconds,
            read_mean,
            read_most,
            delivered_mean,
            delivered_most,
        }
    }
}
