//! How far the wall clock can be trusted when something is removed because of its age.

/// By how much the wall clock may deviate from the steady one between two looks without having jumped.
const JUMP_MS: u64 = 60_000;
/// How long the wall clock must have run steadily before what was stored by it counts as proof of the time.
const SETTLED_MS: u64 = 24 * 60 * 60 * 1000;

/// The least time that it certainly is, for removing what is old: never later than the newest entry's time plus what the
/// steady clock has counted since, nor than what the wall clock has shown plus what the steady clock has counted since. A wall clock
/// that jumps ahead removes nothing, not even back to where it was: what was stored meanwhile has the times of a clock that was slow,
/// and is younger than it looks.
#[derive(Debug, Default)]
pub(crate) struct ProvenTime {
    /// A proven time, and the steady clock at that time.
    proof: Option<(u64, u64)>,
    /// Both clocks at the last look.
    last: Option<(u64, u64)>,
    /// Since when, by the steady clock, the wall clock has not jumped.
    steady_since: u64,
}

/// The result of a look at the clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    /// The time that is proven, unix ms.
    pub(super) proven_ms: u64,
    /// By how much the wall clock has jumped since the last look, if it has.
    pub(super) jumped_ms: Option<i64>,
}

impl ProvenTime {
    /// Looks at the clocks. `newest_ms` is the newest entry's time.
    pub(super) fn look(&mut self, wall_ms: u64, steady_ms: u64, newest_ms: Option<u64>) -> Look {
        let jumped_ms = self.last.and_then(|(wall_then, steady_then)| {
            let expected = wall_then.saturating_add(steady_ms.saturating_sub(steady_then));
            let off = i128::from(wall_ms) - i128::from(expected);
            (off.unsigned_abs() > u128::from(JUMP_MS)).then(|| i64::try_from(off).unwrap_or(i64::MAX))
        });
        self.last = Some((wall_ms, steady_ms));
        if jumped_ms.is_some() {
            self.steady_since = steady_ms;
        }
        let settled = steady_ms.saturating_sub(self.steady_since) >= SETTLED_MS;
        if newest_ms.is_none() && self.proof.is_none() {
            // A wrong clock can remove nothing here.
            self.proof = Some((wall_ms, steady_ms));
        }
        if let Some(newest_ms) = newest_ms.filter(|newest_ms| *newest_ms <= wall_ms)
            && (self.proof.is_none() || settled && newest_ms > self.proven(steady_ms))
        {
            self.proof = Some((newest_ms, steady_ms));
        }
        if self.proven(steady_ms) > wall_ms {
            self.proof = Some((wall_ms, steady_ms));
        }
        Look {
            proven_ms: self.proven(steady_ms),
            jumped_ms,
        }
    }

    fn proven(&self, steady_ms: u64) -> u64 {
        self.proof.map_or(0, |(time_ms, then)| {
            time_ms.saturating_add(steady_ms.saturating_sub(then))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 60 * 60 * 1000;
    const MINUTE: u64 = 60_000;
    const NOW: u64 = 1_700_000_000_000;

    #[test]
    fn a_clock_that_jumps_ahead_proves_nothing_and_is_noticed() {
        let mut time = ProvenTime::default();
        assert_eq!(time.look(NOW, 0, Some(NOW - MINUTE)).proven_ms, NOW - MINUTE);
        let ahead = time.look(NOW + 8 * DAY, 2 * MINUTE, Some(NOW));
        assert_eq!(ahead.jumped_ms, Some((8 * DAY - 2 * MINUTE) as i64));
        assert_eq!(ahead.proven_ms, NOW + MINUTE);
        // Entries that were stored meanwhile prove nothing either.
        let still = time.look(NOW + 8 * DAY + MINUTE, 3 * MINUTE, Some(NOW + 8 * DAY));
        assert_eq!((still.proven_ms, still.jumped_ms), (NOW + 2 * MINUTE, None));
        let back = time.look(NOW + 4 * MINUTE, 4 * MINUTE, Some(NOW + 8 * DAY));
        assert!(back.jumped_ms.is_some_and(|ms| ms < 0));
        assert_eq!(back.proven_ms, NOW + 3 * MINUTE);
    }

    #[test]
    fn time_that_passes_while_the_hub_runs_counts() {
        let mut time = ProvenTime::default();
        for day in 0..30 {
            let look = time.look(NOW + day * DAY, day * DAY, Some(NOW));
            assert_eq!((look.proven_ms, look.jumped_ms), (NOW + day * DAY, None));
        }
    }

    #[test]
    fn an_empty_store_believes_the_clock_and_no_jump_of_it() {
        let mut time = ProvenTime::default();
        assert_eq!(time.look(NOW, 0, None).proven_ms, NOW);
        let ahead = time.look(NOW + 8 * DAY, MINUTE, Some(NOW));
        assert_eq!(ahead.proven_ms, NOW + MINUTE);
        // A clock that was in 1970 when the hub was started is right a day after it has been set.
        let mut time = ProvenTime::default();
        time.look(0, 0, None);
        assert_eq!(time.look(NOW, MINUTE, None).proven_ms, MINUTE);
        let later = time.look(NOW + DAY, DAY + MINUTE, Some(NOW + DAY));
        assert_eq!(later.proven_ms, NOW + DAY);
    }

    #[test]
    fn a_clock_set_back_is_waited_for() {
        let mut time = ProvenTime::default();
        time.look(NOW, 0, Some(NOW));
        let back = time.look(NOW - DAY, MINUTE, Some(NOW));
        assert_eq!((back.proven_ms, back.jumped_ms.is_some()), (NOW - DAY, true));
    }

    #[test]
    fn a_clock_that_was_set_back_and_ahead_again_proves_no_more_than_has_passed() {
        let mut time = ProvenTime::default();
        time.look(NOW, 0, Some(NOW));
        let behind = NOW - 15 * DAY;
        assert_eq!(time.look(behind, MINUTE, Some(NOW)).proven_ms, behind);
        // What is stored now has the time of the slow clock.
        let again = time.look(NOW + 2 * MINUTE, 2 * MINUTE, Some(behind));
        assert_eq!(again.proven_ms, behind + MINUTE);
        let settled = time.look(NOW + 2 * MINUTE + DAY, 2 * MINUTE + DAY, Some(NOW + DAY));
        assert_eq!(settled.proven_ms, NOW + DAY);
    }

    #[test]
    fn a_hub_that_was_off_catches_up_by_what_is_stored_a_day_later() {
        let mut time = ProvenTime::default();
        let off = NOW + 30 * DAY; // the newest entry is from before
        assert_eq!(time.look(off, 0, Some(NOW)).proven_ms, NOW);
        let soon = time.look(off + DAY / 2, DAY / 2, Some(off + DAY / 2));
        assert_eq!(soon.proven_ms, NOW + DAY / 2);
        let later = time.look(off + DAY, DAY, Some(off + DAY));
        assert_eq!(later.proven_ms, off + DAY);
        // But not by an entry that claims to be of a time to come.
        let look = time.look(off + 2 * DAY, 2 * DAY, Some(off + 90 * DAY));
        assert_eq!(look.proven_ms, off + 2 * DAY);
    }
}
