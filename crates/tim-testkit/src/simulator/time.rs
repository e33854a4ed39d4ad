//! The clocks of a run: tokio's paused time, and wall clocks that may be set.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tim_session::Instant;

/// How often the time may be asked for without any passing.
const MAX_LOOKS: u32 = 20_000_000;

thread_local! {
    /// The time that was last told on this thread, and how often.
    static LOOKS: Cell<(u64, u32)> = const { Cell::new((0, 0)) };
}

/// The wall clocks' reading when a run begins, Unix time in milliseconds.
pub(crate) const START_MS: u64 = 1_750_000_000_000;

/// The steady time of a run, which begins at 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Steady(tokio::time::Instant);

impl Steady {
    pub(crate) fn start() -> Self {
        Self(tokio::time::Instant::now())
    }

    pub(crate) fn now(self) -> Instant {
        let micros = self.0.elapsed().as_micros() as u64;
        let (last, looks) = LOOKS.get();
        let looks = if last == micros { looks + 1 } else { 0 };
        LOOKS.set((micros, looks));
        assert!(
            looks < MAX_LOOKS,
            "time stands still at {} ms: somebody is busy for ever",
            micros / 1000
        );
        Instant::from_micros(micros)
    }

    pub(crate) fn ms(self) -> u64 {
        self.0.elapsed().as_millis() as u64
    }

    /// A moment on tokio's clock.
    pub(crate) fn at(self, moment: Instant) -> tokio::time::Instant {
        self.0 + moment.since(Instant::ZERO)
    }
}

/// A wall clock. Clones are the same clock.
#[derive(Debug, Clone)]
pub(crate) struct Wall {
    steady: Steady,
    offset_ms: Arc<AtomicI64>,
}

impl Wall {
    pub(crate) fn new(steady: Steady) -> Self {
        Self {
            steady,
            offset_ms: Arc::default(),
        }
    }

    /// Unix time in milliseconds.
    pub(crate) fn ms(&self) -> u64 {
        let right = START_MS + self.steady.ms();
        right.saturating_add_signed(self.offset_ms.load(Ordering::Relaxed))
    }

    /// Sets the clock forward, or back.
    pub(crate) fn jump(&self, ms: i64) {
        self.offset_ms.fetch_add(ms, Ordering::Relaxed);
    }
}
