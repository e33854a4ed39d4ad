//! When the conversation list is requested from the hub, page by page, and which calls wait for it.

use std::time::Duration;

use tim_transport_std::session::Instant;

use super::Waiter;
use crate::ImError;

/// How long after a failure the list is requested again; doubled with each further failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The requests for the conversation list. One is in flight at a time; if the list is wanted meanwhile, it is requested
/// again afterwards.
#[derive(Debug, Default)]
pub(super) struct ListSync {
    wanted: bool,
    in_flight: bool,
    /// The position of the next page, in the middle of a list.
    next: Vec<u8>,
    not_before: Option<Instant>,
    pause: Option<Duration>,
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    /// The generation of the list that serves this call.
    generation: u64,
    waiter: Waiter,
}

impl ListSync {
    /// The list must be requested; again, if a request is in flight.
    pub(super) const fn want(&mut self) {
        self.wanted = true;
    }

    /// A call waits for a list that is requested from now on, `generation` being the newest one so far.
    pub(super) fn wait(&mut self, generation: u64, waiter: Waiter) {
        self.waiting.push(Waiting {
            generation: generation.saturating_add(1),
            waiter,
        });
        (self.wanted, self.not_before) = (true, None);
    }

    /// Whether no request is in flight and none is due.
    pub(super) const fn is_idle(&self) -> bool {
        !self.wanted && !self.in_flight && self.next.is_empty()
    }

    /// The page to request now; empty for the first one.
    pub(super) fn next_page(&self, now: Instant) -> Option<Vec<u8>> {
        let has_paused = self.not_before.is_none_or(|until| now >= until);
        let is_due = !self.next.is_empty() || self.wanted && has_paused;
        (!self.in_flight && is_due).then(|| self.next.clone())
    }

    /// When the list will be requested again after a failure.
    pub(super) fn due(&self) -> Option<Instant> {
        self.not_before.filter(|_| self.wanted && !self.in_flight)
    }

    /// The request is in flight. Returns whether it is for the first page.
    pub(super) const fn requested(&mut self) -> bool {
        self.in_flight = true;
        let is_first = self.next.is_empty();
        if is_first {
            self.wanted = false;
        }
        is_first
    }

    /// A page has arrived, and there is another one.
    pub(super) fn advance(&mut self, next: &[u8]) {
        self.in_flight = false;
        self.next = next.to_vec();
    }

    /// The list of this generation is complete. Returns the calls that it serves.
    #[must_use]
    pub(super) fn complete(&mut self, generation: u64) -> Vec<Waiter> {
        self.end();
        (self.not_before, self.pause) = (None, None);
        let (served, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|waiting| waiting.generation <= generation);
        self.waiting = waiting;
        waiters(served)
    }

    /// A request has failed. The list is requested again after a pause. Returns the calls that fail.
    #[must_use]
    pub(super) fn failed(&mut self, now: Instant, error: &ImError) -> Vec<Waiter> {
        self.end();
        let pause = self.pause.map_or(FIRST_PAUSE, |pause| pause * 2);
        let pause = pause
            .max(error.retry_after().unwrap_or_default())
            .min(LONGEST_PAUSE);
        (self.wanted, self.pause, self.not_before) = (true, Some(pause), Some(now + pause));
        self.abandon()
    }

    /// Returns all waiting calls: none of them gets a list any more.
    #[must_use]
    pub(super) fn abandon(&mut self) -> Vec<Waiter> {
        waiters(std::mem::take(&mut self.waiting))
    }

    /// The session has logged in again: pages of an earlier login are void.
    pub(super) fn restart(&mut self) {
        self.next.clear();
        (self.wanted, self.not_before, self.pause) = (true, None, None);
    }

    /// The page that has arrived was requested before the last login.
    pub(super) fn discard_page(&mut self) {
        self.end();
        self.wanted = true;
    }

    fn end(&mut self) {
        self.in_flight = false;
        self.next.clear();
    }
}

fn waiters(waiting: Vec<Waiting>) -> Vec<Waiter> {
    waiting.into_iter().map(|waiting| waiting.waiter).collect()
}
