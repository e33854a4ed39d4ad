//! What many hubs on one database cost, by simulation: how many hubs and devices a send concerns, how much hints and reading that makes, and
//! how long a send waits for the writer.
//!
//! Nothing here talks to a hub or a database: users, groups and sends are drawn from a seed, and counted. `docs/scale.md` says what follows.

mod population;
mod traffic;
mod writers;

pub use population::{Placement, Population};
pub use traffic::{HINT_EVERY_MS, Traffic, traffic};
pub use writers::{Costs, Reading, Wait, Writers, wait};

/// The size of an installation, and its load.
#[derive(Debug, Clone, Copy)]
pub struct Installation {
    /// Connected devices; a user has two.
    pub devices: u32,
    /// Hubs.
    pub hubs: u16,
    /// Messages per second, of all users together.
    pub sends_per_second: u32,
    /// For how long they are sent.
    pub seconds: u32,
    /// The same seed gives the same figures.
    pub seed: u64,
}

impl Installation {
    /// A million devices at a hundred hubs.
    pub const LARGE: Self = Self {
        devices: 1_000_000,
        hubs: 100,
        sends_per_second: 5_000,
        seconds: 10,
        seed: 1,
    };
}

/// The value below which this share of the values is, in per cent.
fn percentile<T: Copy + Ord + Default>(values: &mut [T], per_cent: usize) -> T {
    values.sort_unstable();
    let at = values.len().saturating_sub(1) * per_cent / 100;
    values.get(at).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Installation = Installation {
        devices: 20_000,
        hubs: 20,
        sends_per_second: 500,
        seconds: 4,
        seed: 7,
    };

    #[test]
    fn the_same_seed_gives_the_same_figures() {
        let population = Population::new(&SMALL);
        let once = traffic(&SMALL, &population, Placement::Any);
        let again = traffic(&SMALL, &Population::new(&SMALL), Placement::Any);
        assert_eq!(once, again);
        assert_ne!(once, traffic(&SMALL, &population, Placement::Community));
    }

    #[test]
    fn who_talks_with_whom_decides_how_many_hubs_a_send_concerns() {
        let population = Population::new(&SMALL);
        let [any, user, community] = Placement::ALL.map(|placement| traffic(&SMALL, &population, placement));
        // Who receives does not depend on where they are.
        assert_eq!(any.devices, user.devices);
        assert_eq!(any.devices, community.devices);
        assert!(any.hubs_mean > user.hubs_mean && user.hubs_mean > community.hubs_mean);
        assert!(any.read_mean < f64::from(SMALL.sends_per_second), "{any:?}");
    }

    #[test]
    fn reading_under_the_lock_is_what_ends_first() {
        let writers = |hubs, reading| Writers {
            hubs,
            sends_per_second: 2_000,
            seconds: 10,
            reading,
            seed: 1,
        };
        let alone = wait(&writers(1, Reading::UnderLock), &Costs::MEASURED);
        let many = wait(&writers(100, Reading::UnderLock), &Costs::MEASURED);
        let ahead = wait(&writers(100, Reading::Ahead), &Costs::MEASURED);
        assert!(
            alone.p99_ms < ahead.p99_ms && ahead.p99_ms < many.p99_ms,
            "{alone:?} {ahead:?} {many:?}"
        );
        assert!(!alone.is_behind && !ahead.is_behind);
    }
}
