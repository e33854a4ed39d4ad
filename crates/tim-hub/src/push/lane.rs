//! One user at one sink: up to where the user was notified there, and what has become of the message that is being sent.

use std::time::Duration;

use tim_proto::UserId;
use tokio::time::Instant;

use super::queue::Queue;

/// A user at a sink.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) sink: usize,
    /// Everything through this change was dealt with.
    pub(super) pushed: u64,
    /// There may be something through this change.
    pub(super) newest: u64,
    /// How often in a row the next notification failed.
    pub(super) failures: u32,
    /// The number of the last failure, of all there were; 0 if none was this user's.
    pub(super) failed: u64,
    /// The message that is being sent.
    pub(super) head: Head,
    /// The numbers of the tokens for which a notification was given up, and none was taken since.
    pub(super) given_up: Vec<u64>,
    pub(super) state: State,
}

/// A message of which some tokens of a user may have been notified, while another failed.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) change: u64,
    /// How many notifications the sink had taken when it was first sent.
    taken: u64,
    /// The numbers of the tokens that need no notification any more.
    settled: Vec<u64>,
    /// Those that failed, the last one at the end.
    failed: Vec<Failing>,
}

/// A token that could not be notified of the message.
#[derive(Debug, Clone, Copy)]
struct Failing {
    token: u64,
    since: Instant,
    /// How often it failed though the sink works.
    alone: u32,
    /// How many notifications the sink had taken when it failed last.
    taken: u64,
}

/// A notification that has failed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failure {
    /// The sink has answered: it is not down.
    pub(super) is_answer: bool,
    /// How many notifications the sink has taken so far.
    pub(super) taken: u64,
}

/// A notification is given up when it has failed for so long, and so often while the sink took others. Else one token that always fails
/// would hold back what the user's other devices are to be notified of.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);
const FAILURES: u32 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Idle,
    Due,
    UnderWay,
    /// As the last notification failed.
    Resting,
}

impl Lane {
    /// Of a sink, of whose messages everything through this change was dealt with. What is there already is looked up.
    pub(super) fn new(sink: usize, pushed: u64) -> Self {
        Self {
            sink,
            pushed,
            newest: u64::MAX,
            failures: 0,
            failed: 0,
            head: Head::default(),
            given_up: Vec::new(),
            state: State::Idle,
        }
    }

    /// The message at this change is being sent; of those before it nothing is kept.
    fn begin(&mut self, change: u64, taken: u64) {
        if self.head.change != change {
            self.head = Head {
                change,
                taken,
                ..Head::default()
            };
        }
    }

    /// Which of the tokens are to be notified of the message at this change, in this order: those that have not failed come first. The sink
    /// has taken so many notifications.
    pub(super) fn left<T>(&mut self, change: u64, taken: u64, mut tokens: Vec<(u64, T)>) -> Vec<(u64, T)> {
        self.begin(change, taken);
        // Those that are registered, a limited number.
        let is_there = |number: &u64| tokens.iter().any(|(token, _)| token == number);
        self.head.settled.retain(is_there);
        self.head.failed.retain(|failing| is_there(&failing.token));
        self.given_up.retain(is_there);
        tokens.retain(|(token, _)| !self.head.settled.contains(token));
        tokens.sort_by_key(|(token, _)| {
            let failed = self.head.failed.iter();
            let position = failed.map(|failing| failing.token).position(|it| it == *token);
            (self.given_up.contains(token), position)
        });
        tokens
    }

    /// A token needs no notification of the message at the head any more.
    pub(super) fn settled(&mut self, token: u64) {
        self.head.settled.push(token);
        self.given_up.retain(|given_up| *given_up != token);
    }

    /// The notification of the message at the head has failed for a token. Whether it is given up: it has failed for long while the sink
    /// took others, or it is that of a token for which one was given up before.
    pub(super) fn failed(&mut self, token: u64, failure: Failure, now: Instant) -> bool {
        let is_known = self.given_up.contains(&token);
        let head = &mut self.head;
        let before_known = if is_known { head.taken } else { failure.taken };
        let former = head.failed.iter().find(|failing| failing.token == token).copied();
        // An answer says that the sink works; that it is of use to anybody is to be seen. A sink that gave no answer has to have taken
        // something since.
        let taken_before = match failure.is_answer {
            true => head.taken,
            false => former.map_or(before_known, |former| former.taken),
        };
        let is_alone = failure.taken > taken_before;
        let failing = Failing {
            token,
            since: former.map_or(now, |former| former.since),
            alone: former.map_or(0, |former| former.alone) + u32::from(is_alone),
            taken: failure.taken,
        };
        let has_failed_long =
            failing.alone >= FAILURES && now.saturating_duration_since(failing.since) >= PATIENCE;
        head.failed.retain(|failing| failing.token != token);
        if has_failed_long || (is_alone && is_known) {
            head.settled.push(token);
            if !is_known {
                self.given_up.push(token);
            }
            return true;
        }
        head.failed.push(failing);
        false
    }

    /// Is due if there may be something to be notified of, and nothing is under way.
    pub(super) fn wait(&mut self, queues: &mut [Queue], user: UserId) {
        if self.state == State::Idle
            && self.newest > self.pushed
            && let Some(queue) = queues.get_mut(self.sink)
        {
            self.state = State::Due;
            queue.push(user, self.failed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn lane() -> Lane {
        Lane::new(0, 5)
    }

    fn left(lane: &mut Lane, change: u64, taken: u64) -> Vec<u64> {
        let left = lane.left(change, taken, [1, 2, 3].map(|it| (it, ())).into());
        left.into_iter().map(|(token, ())| token).collect()
    }

    fn fails(lane: &mut Lane, token: u64, (is_answer, taken): (bool, u64), now: Instant) -> bool {
        lane.failed(token, Failure { is_answer, taken }, now)
    }

    #[test]
    fn a_token_that_fails_neither_repeats_nor_silences_the_others_of_a_message() {
        let (mut lane, now) = (lane(), Instant::now());
        assert_eq!(left(&mut lane, 7, 0), [1, 2, 3]);
        lane.settled(1);
        assert!(!fails(&mut lane, 2, (false, 0), now));
        assert_eq!(left(&mut lane, 7, 0), [3, 2], "the one that failed comes last");
        assert!(!fails(&mut lane, 3, (true, 0), now));
        assert_eq!(left(&mut lane, 7, 0), [2, 3]);
        assert!(!fails(&mut lane, 2, (false, 0), now));
        assert_eq!(left(&mut lane, 7, 0), [3, 2]);
        assert_eq!(left(&mut lane, 8, 0), [1, 2, 3], "another message");
    }

    /// How often a token fails before the notification is given up, with a minute between two failures; at most two hours.
    fn attempts(lane: &mut Lane, change: u64, now: Instant, how: impl Fn(u64) -> (bool, u64)) -> Option<u64> {
        left(lane, change, how(0).1);
        (1..=120).find(|n| fails(lane, 2, how(*n), now + 60 * SECOND * u32::try_from(*n).unwrap()))
    }

    #[test]
    fn a_notification_is_given_up_when_it_has_failed_for_long_while_the_sink_took_others() {
        let (mut lane, now) = (lane(), Instant::now());
        // A sink that is down, and one that answers everybody so, take nothing.
        for (change, is_answer) in [(7, false), (8, true)] {
            assert_eq!(attempts(&mut lane, change, now, |_| (is_answer, 50)), None);
        }
        // One that took something long ago, and is down since.
        assert_eq!(attempts(&mut lane, 9, now, |n| (false, n.min(2))), None);
        // It takes others all the time; the first failure is at the first minute.
        assert_eq!(attempts(&mut lane, 10, now, |n| (false, n)), Some(11));
        assert_eq!(left(&mut lane, 10, 0), [1, 3], "nothing is held back");
        // The next ones are tried once, behind the other tokens, while the sink takes those.
        assert_eq!(left(&mut lane, 11, 20), [1, 3, 2]);
        assert!(fails(&mut lane, 2, (false, 22), now));
        assert_eq!(left(&mut lane, 12, 22), [1, 3, 2]);
        assert!(!fails(&mut lane, 2, (false, 22), now), "now it is down");
        // One that is taken ends this.
        lane.settled(2);
        assert_eq!(attempts(&mut lane, 13, now, |n| (true, n)), Some(11));
    }

    #[test]
    fn a_few_failures_are_no_reason_to_give_up_however_long_they_take() {
        let (mut lane, now) = (lane(), Instant::now());
        left(&mut lane, 7, 0);
        for hours in 0..FAILURES - 1 {
            assert!(!fails(&mut lane, 2, (true, 9), now + 3600 * SECOND * hours));
        }
        assert!(fails(&mut lane, 2, (true, 9), now + 3600 * SECOND * FAILURES));
    }
}
