//! A circuit breaker: after failures in a row nothing is asked for a while, and then one request tries whether it works again.
//!
//! Only what can mean that the server is down counts. Who sends a message on which the server hangs must not take the callbacks from
//! everybody: requests that it leaves unanswered count once they are about what several users do.

use std::time::Duration;

use tim_proto::UserId;
use tokio::time::Instant;

use crate::outgoing::Fault;

/// After how many failures in a row the breaker opens, and for how long.
pub(super) const FAILURES: u32 = 5;
pub(super) const OPEN_TIME: Duration = Duration::from_secs(10);
/// About what so many users do requests must be that were not answered.
pub(super) const USERS: usize = 3;

/// Who makes the hub ask or tell; `None` if that is nobody in particular.
pub(super) type Cause = Option<UserId>;

#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// Failures without a connection.
    unreachable: u32,
    /// Failures with one.
    unanswered: u32,
    /// Whose requests were not answered, at most [`USERS`].
    causes: Vec<Cause>,
    open_until: Option<Instant>,
    /// Whose request was the last to try, and was not answered: others go first the next time.
    tried: Option<Cause>,
}

impl Breaker {
    /// Whether a request may be made now. When the time is over it may be one, which decides.
    pub(super) fn admits(&mut self, now: Instant, cause: Cause) -> bool {
        match self.open_until {
            Some(until) if until > now => false,
            Some(until) if self.tried == Some(cause) && until + OPEN_TIME > now => false,
            Some(_) => {
                // The others wait for the outcome of this one.
                self.open_until = Some(now + OPEN_TIME);
                self.tried = Some(cause);
                true
            }
            None => true,
        }
    }

    pub(super) fn worked(&mut self) {
        *self = Self::default();
    }

    /// Whether this failure has opened it.
    pub(super) fn failed(&mut self, now: Instant, cause: Cause, fault: Fault) -> bool {
        match fault {
            // It is there.
            Fault::Useless => {
                self.worked();
                return false;
            }
            Fault::Unreachable => self.unreachable = self.unreachable.saturating_add(1),
            Fault::Unanswered => {
                self.unanswered = self.unanswered.saturating_add(1);
                if self.causes.len() < USERS && !self.causes.contains(&cause) {
                    self.causes.push(cause);
                }
            }
        }
        let is_down =
            self.unreachable >= FAILURES || (self.unanswered >= FAILURES && self.causes.len() >= USERS);
        let opens = is_down && self.open_until.is_none();
        if is_down {
            self.open_until = Some(now + OPEN_TIME);
        }
        opens
    }

    pub(super) fn is_open(&self, now: Instant) -> bool {
        self.open_until.is_some_and(|until| until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(name: &str) -> Cause {
        Some(UserId::new(name).unwrap())
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_tries_again_once() {
        let (mut breaker, mut now, alice) = (Breaker::default(), Instant::now(), cause("alice"));
        let fail = |breaker: &mut Breaker, now| breaker.failed(now, alice, Fault::Unreachable);
        for _ in 1..FAILURES {
            assert!(breaker.admits(now, alice) && !fail(&mut breaker, now));
        }
        breaker.worked();
        for _ in 1..FAILURES {
            assert!(!fail(&mut breaker, now));
        }
        assert!(fail(&mut breaker, now));
        assert!(!breaker.admits(now, alice) && breaker.is_open(now));
        now += OPEN_TIME;
        assert!(breaker.admits(now, alice), "one tries");
        assert!(!breaker.admits(now, None), "the others do not");
        assert!(!fail(&mut breaker, now), "it was open");
        now += OPEN_TIME;
        assert!(!breaker.admits(now, alice), "somebody else goes first");
        assert!(breaker.admits(now, None));
        breaker.worked();
        assert!(breaker.admits(now, alice) && breaker.admits(now, alice));
    }

    #[test]
    fn what_one_user_does_opens_it_for_nobody() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        for n in 0..20 {
            for _ in 0..FAILURES {
                assert!(!breaker.failed(now, cause(&format!("user-{n}")), Fault::Useless));
            }
        }
        for name in ["mallory", "trudy"] {
            for _ in 0..20 {
                assert!(!breaker.failed(now, cause(name), Fault::Unanswered));
            }
        }
        assert!(breaker.admits(now, None));
        assert!(
            breaker.failed(now, cause("alice"), Fault::Unanswered),
            "the third"
        );
        assert!(!breaker.admits(now, None));
        // Who has tried in vain does not try again at once, but alone after a while.
        let mut now = now + OPEN_TIME;
        assert!(breaker.admits(now, cause("mallory")));
        breaker.failed(now, cause("mallory"), Fault::Unanswered);
        now += OPEN_TIME;
        assert!(!breaker.admits(now, cause("mallory")));
        now += OPEN_TIME;
        assert!(breaker.admits(now, cause("mallory")));
    }
}
