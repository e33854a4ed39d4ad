//! Events that may come too often: one at once, then at most one a second.

use std::time::Duration;

use tokio::time::Instant;

/// How long after an event the next of its kind is kept back.
const PAUSE: Duration = Duration::from_secs(1);

/// Says when an event of one kind may be told. What is wanted within a second of the last one is told once, at the end of
/// that second. (The vendor's SDK begins the second anew with each change, so that steady changes keep it silent.)
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    wanted: bool,
    closed_until: Option<Instant>,
}

impl Throttle {
    /// There is something to tell.
    pub(crate) fn want(&mut self) {
        self.wanted = true;
    }

    /// Whether there is something to tell, and it may be told now.
    pub(crate) fn is_open(&self, now: Instant) -> bool {
        self.wanted && self.closed_until.is_none_or(|until| now >= until)
    }

    /// There is nothing to tell after all.
    pub(crate) const fn drop_wanted(&mut self) {
        self.wanted = false;
    }

    /// Whether there is something to tell, now; the answer yes is given once. `heard` says whether anybody listens: what
    /// nobody hears closes nothing.
    pub(crate) fn take(&mut self, now: Instant, heard: bool) -> bool {
        if !self.is_open(now) {
            return false;
        }
        self.wanted = false;
        if heard {
            self.closed_until = Some(now + PAUSE);
        }
        heard
    }

    /// When there will be something to tell, if nothing else happens.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.closed_until.filter(|_| self.wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_once_and_one_for_all_others_of_a_second() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut throttle = Throttle::default();
        assert!(!throttle.take(at(0), true), "nothing to tell");
        throttle.want();
        assert_eq!((throttle.take(at(0), true), throttle.due()), (true, None));
        for ms in [10, 500, 999] {
            throttle.want();
            assert!(!throttle.take(at(ms), true), "{ms}");
            assert_eq!(throttle.due(), Some(at(1000)));
        }
        assert!(throttle.take(at(1000), true) && !throttle.take(at(1000), true));
        throttle.want();
        assert!(!throttle.take(at(1999), true) && throttle.take(at(5000), true));
    }

    #[test]
    fn what_nobody_hears_closes_nothing() {
        let now = Instant::now();
        let mut throttle = Throttle::default();
        throttle.want();
        assert!(!throttle.take(now, false));
        throttle.want();
        assert!(throttle.take(now, true));
    }
}
