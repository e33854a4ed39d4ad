//! When a session ends: with the UserSig that began it, or with the one that renewed it.

use std::time::Duration;

use tim_proto::request::Expiring;

use crate::clock::Clock;

/// How long before the end the device is warned; of a shorter time, when half of it is left.
const WARNING_MS: u64 = 5 * 60 * 1000;

/// When a session ends. Counted on the steady clock from the moment when the UserSig was verified: a wall clock that jumps
/// ends no session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expiry {
    expires_s: u64,
    end_ms: u64,
    /// When the device is to be warned; never again once it has been.
    warn_ms: u64,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    Warning(Expiring),
    End,
}

impl Expiry {
    /// For a UserSig that is good until this unix time in seconds.
    pub(crate) fn at(clock: &Clock, expires_s: u64) -> Self {
        let left_ms = expires_s.saturating_mul(1000).saturating_sub(clock.wall_ms());
        let end_ms = clock.steady_ms().saturating_add(left_ms);
        Self {
            expires_s,
            end_ms,
            warn_ms: end_ms.saturating_sub(WARNING_MS.min(left_ms / 2)),
        }
    }

    /// What is due at this moment of the steady clock.
    pub(crate) fn due(&self, now_ms: u64) -> Due {
        if now_ms >= self.end_ms {
            return Due::End;
        }
        if now_ms < self.warn_ms {
            return Due::Nothing;
        }
        let left_s = u32::try_from((self.end_ms - now_ms) / 1000).unwrap_or(u32::MAX);
        Due::Warning(Expiring::new(self.expires_s, left_s))
    }

    /// The device has been warned.
    pub(crate) const fn warned(&mut self) {
        self.warn_ms = u64::MAX;
    }

    /// How long to wait before looking again. What is far away is looked at before it is due.
    pub(crate) fn next_look(&self, now_ms: u64) -> Duration {
        let next_ms = self.warn_ms.min(self.end_ms);
        Duration::from_millis(next_ms.saturating_sub(now_ms).clamp(1, WARNING_MS))
    }
}
