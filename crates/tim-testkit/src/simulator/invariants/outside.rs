//! What can be concluded about the servers of others that the hub calls.

use super::super::history::{Mark, Notified, Question, Verdict, What};
use super::super::op::{Call, DeviceKind, Rest, Server, ServerFault};
use super::Model;
use super::model::{Called, Spoken};

/// Before a server is left alone it fails so often in a row.
const FAILURES: usize = 5;
/// How long a failure of the application's server may have the hub not call it, in milliseconds: it is left alone for ten seconds, and
/// then somebody else's request is the next test for as long.
const LEFT_ALONE_MS: u64 = 25_000;
/// How exactly times are kept, in milliseconds.
const SLACK_MS: u64 = 100;

impl Model<'_> {
    /// How long the hub waits for an answer of the application's server, in milliseconds.
    fn timeout_ms(&self) -> u64 {
        let settings = &self.history.plan.settings.servers;
        settings.map_or(0, |servers| servers.timeout_ms)
    }

    /// Whether the hub may have got an answer, and taken it for one.
    pub(super) fn may_decide(&self, question: &Question) -> bool {
        let in_time = |after_ms| after_ms <= self.timeout_ms() + SLACK_MS;
        question.verdict != Verdict::Useless && question.after_ms.is_some_and(in_time)
    }

    /// Whether the hub has got an answer, as long as it lives.
    pub(super) fn decides(&self, question: &Question) -> bool {
        self.may_decide(question)
            && question
                .after_ms
                .is_some_and(|after_ms| self.is_in_time(after_ms))
            && self.answered.contains_key(&question.number)
    }

    /// Whether the hub is sure to get an answer that comes after so many virtual milliseconds.
    fn is_in_time(&self, after_ms: u64) -> bool {
        after_ms + SLACK_MS < self.timeout_ms()
    }

    /// Whether the application's server may have dropped a message.
    pub(super) fn may_be_dropped(&self, mark: Mark) -> bool {
        let drops = |question: &Question| question.verdict == Verdict::Drop && self.may_decide(question);
        self.asked_about(mark).any(|(_, question)| drops(question))
    }

    /// Whether the hub may not have called a server at some time between two observations, as that failed then or before.
    pub(super) fn may_be_left_alone(&self, server: Server, from: usize, to: usize) -> bool {
        let (from_ms, to_ms) = (self.at_ms(from).saturating_sub(LEFT_ALONE_MS), self.at_ms(to));
        let (mut failures, mut has_fault) = (0, false);
        for observation in &self.history.observations {
            if observation.at_ms > to_ms {
                break;
            }
            match &observation.what {
                What::ServerFault(of, fault) if *of == server => {
                    let until_ms = observation.at_ms + fault.for_ms();
                    let is_slow = matches!(fault, ServerFault::Slow { .. });
                    // What is slow may be too slow for the time-out; so it is with what waits for it.
                    has_fault |= until_ms + if is_slow { 5_000 } else { 0 } >= from_ms;
                }
                What::Asked(question) if server == Server::Application && observation.at_ms >= from_ms => {
                    failures += usize::from(!self.decides(question));
                }
                What::Told(told) if server == Server::Application && observation.at_ms >= from_ms => {
                    failures += usize::from(!told.after_ms.is_some_and(|after_ms| self.is_in_time(after_ms)));
                }
                _ => {}
            }
        }
        has_fault || failures >= FAILURES
    }

    /// Whether the application's server is asked and told about a message: not about those that are imported, or sent to many.
    pub(super) fn has_callbacks(&self, message: &Spoken<'_>) -> bool {
        let has_none = |call: &Called<'_>| match call.op {
            Call::Rest(Rest::Send { to, .. }) => to.len() > 1,
            Call::Rest(Rest::Import { .. }) => true,
            _ => false,
        };
        let mut calls = message.calls.iter().filter_map(|call| self.calls.get(call));
        self.history.plan.settings.servers.is_some() && message.device.is_some() && !calls.any(has_none)
    }

    /// Whether the sender of a message may have said that nobody is to be notified of it: firmware says nothing of that.
    pub(super) fn disables_push(&self, mark: Mark) -> bool {
        let device = self.messages.get(&mark).and_then(|message| message.device);
        let can =
            device.is_some_and(|device| device.is_backend() || self.kind(device) == Some(DeviceKind::Sdk));
        can && self.history.plan.disables_push(mark)
    }

    /// The last observation that was made by a time, in virtual milliseconds.
    pub(super) fn by_ms(&self, at_ms: u64) -> usize {
        let observations = &self.history.observations;
        observations.partition_point(|observation| observation.at_ms <= at_ms)
    }

    /// The notifications, each with its observation.
    pub(super) fn notified(&self) -> impl Iterator<Item = (usize, &Notified)> {
        let observations = self.history.observations.iter().enumerate();
        observations.filter_map(|(at, observation)| match &observation.what {
            What::Notified(notified) => Some((at, notified)),
            _ => None,
        })
    }

    /// Whether something between two observations keeps the hub from reading or writing its store as usual.
    pub(super) fn store_fails_between(&self, from: usize, to: usize) -> bool {
        let (from_ms, to_ms) = (self.at_ms(from).saturating_sub(30_000), self.at_ms(to));
        let mut observations = self.history.observations.iter();
        observations.any(|observation| {
            matches!(observation.what, What::StoreFault(_)) && (from_ms..=to_ms).contains(&observation.at_ms)
        })
    }

    /// Whether the hub ended between two observations.
    pub(super) fn hub_ended_between(&self, from: usize, to: usize) -> bool {
        let between = self
            .history
            .observations
            .get(from..to.min(self.history.observations.len()));
        let ends = |what: &What| matches!(what, What::HubEnded(_) | What::HubFailed);
        between
            .into_iter()
            .flatten()
            .any(|observation| ends(&observation.what))
    }

    /// The number of the hub's life in which an observation was made.
    pub(super) fn life(&self, at: usize) -> usize {
        let before = self.history.observations.iter().take(at);
        before
            .filter(|observation| matches!(observation.what, What::HubStarted { .. }))
            .count()
    }
}
