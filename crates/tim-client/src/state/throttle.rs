//! Rate limit of notifications: the first at once, then at most one a second.

use std::time::Duration;

use tim_transport_std::session::Instant;

/// How long after a notification the next of its kind is held back.
const INTERVAL: Duration = Duration::from_secs(1);

/// Decides when a notification of one kind may be published. Changes within a second of the last notification are combined
/// into one at the end of that second. (The vendor's SDK restarts the second with each change, so steady changes silence
/// it.)
#[derive(Debug, Default)]
pub(super) struct Throttle {
    pending: bool,
    closed_until: Option<Instant>,
}

impl Throttle {
    /// There is something to publish.
    pub(super) const fn request(&mut self) {
        self.pending = true;
    }

    /// Whether something is pending and may be published now.
    pub(super) fn is_open(&self, now: Instant) -> bool {
        self.pending && self.closed_until.is_none_or(|until| now >= until)
    }

    /// There is nothing to publish after all.
    pub(super) const fn cancel(&mut self) {
        self.pending = false;
    }

    /// Takes the pending notification if it may be published now. Without listeners it is dropped and closes nothing.
    pub(super) fn take(&mut self, now: Instant, has_listeners: bool) -> bool {
        if !self.is_open(now) {
            return false;
        }
        self.pending = false;
        if has_listeners {
            self.closed_until = Some(now + INTERVAL);
        }
        has_listeners
    }

    /// When the pending notification may be published.
    pub(super) fn due(&self) -> Option<Instant> {
        self.closed_until.filter(|_| self.pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_once_and_one_for_all_others_of_a_second() {
        let at = Instant::from_millis;
        let mut throttle = Throttle::default();
        assert!(!throttle.take(at(0), true), "nothing to publish");
        throttle.request();
        assert_eq!((throttle.take(at(0), true), throttle.due()), (true, None));
        for ms in [10, 500, 999] {
            throttle.request();
            assert!(!throttle.take(at(ms), true), "{ms}");
            assert_eq!(throttle.due(), Some(at(1000)));
        }
        assert!(throttle.take(at(1000), true) && !throttle.take(at(1000), true));
        throttle.request();
        assert!(!throttle.take(at(1999), true) && throttle.take(at(5000), true));
    }

    #[test]
    fn without_listeners_nothing_is_closed() {
        let now = Instant::from_millis(5);
        let mut throttle = Throttle::default();
        throttle.request();
        assert!(!throttle.take(now, false));
        throttle.request();
        assert!(throttle.take(now, true));
    }
}
