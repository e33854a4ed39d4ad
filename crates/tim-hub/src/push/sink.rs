//! Whether the sink takes notifications, and when what failed is tried again.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tim_proto::UserId;
use tokio::time::Instant;

use super::notification::PushStats;

/// Pauses after failures double, from the first to the last. What a sink asks for is kept, up to the longest.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// A sink is down when it was not available for so many users in a row. With fewer, the failures are those of the users. An answer to one
/// notification, whichever it is, says that the sink works.
pub(super) const DOWN_AFTER: usize = 8;

/// How long to wait after a failure, with so many before it.
pub(super) fn pause_after(failures: u32, retry_after: Option<Duration>) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << failures.min(6));
    let pause = match retry_after {
        Some(asked) => asked.min(LONGEST_PAUSE),
        None => doubled.min(LAST_PAUSE),
    };
    pause.max(FIRST_PAUSE)
}

/// A sink, as the hub sees it.
#[derive(Debug, Default)]
pub(super) struct Sink {
    pub(super) state: Mutex<SinkState>,
    pub(super) counted: Counted,
}

/// What was counted at a sink.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) sent: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) too_old: AtomicU64,
    pub(super) suppressed: AtomicU64,
    pub(super) given_up: AtomicU64,
}

impl Counted {
    pub(super) fn add_to(&self, stats: &mut PushStats) {
        let count = |number: &AtomicU64| number.load(Ordering::Relaxed);
        stats.sent += count(&self.sent);
        stats.failed += count(&self.failed);
        stats.refused += count(&self.refused);
        stats.too_old += count(&self.too_old);
        stats.suppressed += count(&self.suppressed);
        stats.given_up += count(&self.given_up);
    }
}

/// What may be under way at a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// Nothing: it is a pause.
    None,
    /// One user, to see whether the sink works again.
    Trial,
    /// So many users.
    Users(usize),
}

/// Whether the sink takes notifications.
#[derive(Debug, Default)]
pub(super) struct SinkState {
    /// For whom it has failed since it last worked; no more than make it down.
    failed_for: Vec<UserId>,
    /// How often in a row it was found to be down.
    failures: u32,
    paused_until: Option<Instant>,
}

impl SinkState {
    pub(super) fn worked(&mut self) {
        *self = Self::default();
    }

    pub(super) fn failed(&mut self, user: UserId, retry_after: Option<Duration>, now: Instant) {
        if self.failed_for.len() < DOWN_AFTER && !self.failed_for.contains(&user) {
            self.failed_for.push(user);
        }
        // What was under way when a pause began says nothing new.
        if self.is_down() && self.pause_ends(now).is_none() {
            self.paused_until = Some(now + pause_after(self.failures, retry_after));
            self.failures = self.failures.saturating_add(1);
        }
    }

    pub(super) fn is_down(&self) -> bool {
        self.failed_for.len() >= DOWN_AFTER
    }

    /// What may be under way now.
    pub(super) fn room(&self, most: usize, now: Instant) -> Room {
        if self.pause_ends(now).is_some() {
            Room::None
        } else if self.is_down() {
            Room::Trial
        } else {
            Room::Users(most.max(1))
        }
    }

    pub(super) fn pause_ends(&self, now: Instant) -> Option<Instant> {
        self.paused_until.filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 32;
    const SECOND: Duration = Duration::from_secs(1);

    fn name(number: usize) -> UserId {
        UserId::new(&format!("user{number}")).unwrap()
    }

    /// A sink that has failed for so many users.
    fn failed_for(users: usize, now: Instant) -> SinkState {
        let mut sink = SinkState::default();
        (0..users).for_each(|number| sink.failed(name(number), None, now));
        sink
    }

    #[test]
    fn one_user_never_makes_the_sink_down_and_many_do() {
        let now = Instant::now();
        let mut sink = failed_for(DOWN_AFTER - 1, now);
        for _ in 0..100 {
            sink.failed(name(0), Some(60 * SECOND), now);
        }
        assert_eq!(
            (sink.room(MOST, now), sink.pause_ends(now)),
            (Room::Users(MOST), None)
        );
        let mut sink = failed_for(DOWN_AFTER, now);
        assert_eq!(sink.pause_ends(now), Some(now + SECOND));
        assert_eq!(sink.room(MOST, now), Room::None);
        assert_eq!(sink.room(MOST, now + SECOND), Room::Trial);
        sink.worked();
        assert_eq!(
            (sink.room(MOST, now), sink.pause_ends(now)),
            (Room::Users(MOST), None)
        );
        assert_eq!(sink.room(0, now), Room::Users(1), "at least");
    }

    #[test]
    fn the_pauses_of_a_sink_that_is_down_double() {
        let mut now = Instant::now();
        let mut sink = failed_for(DOWN_AFTER - 1, now);
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            // All that were under way fail together; that is one failure.
            (0..MOST).for_each(|number| sink.failed(name(number), None, now));
            let ends = now + seconds * SECOND;
            assert_eq!(sink.pause_ends(now), Some(ends));
            now = ends;
        }
        sink.failed(name(1), Some(7 * SECOND), now);
        assert_eq!(sink.pause_ends(now), Some(now + 7 * SECOND), "as it asks");
        assert_eq!(pause_after(0, Some(Duration::ZERO)), SECOND);
        assert_eq!(pause_after(0, Some(Duration::MAX)), 600 * SECOND);
    }
}
