//! When the hub is asked for its conversation list, page by page, and who waits for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::actor::Reply;
use crate::{Conversation, GetConversationListResponse, ImError};

/// How long after a failed question the hub is asked again: twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The questions for the conversation list. One is under way at a time; whatever makes the list wanted meanwhile makes it
/// be asked for again.
#[derive(Debug, Default)]
pub(crate) struct ListSync {
    wanted: bool,
    asked: bool,
    /// What to ask for the next page with, in the middle of a list.
    next: Vec<u8>,
    not_before: Option<Instant>,
    pause: Option<Duration>,
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    /// The list must have been asked for so many times.
    asks: u64,
    reply: Reply<GetConversationListResponse>,
}

impl ListSync {
    /// The list is to be asked for; again, if it is being asked for.
    pub(crate) const fn want(&mut self) {
        self.wanted = true;
    }

    /// The application waits for a list that is asked for from now on, `asks` questions having been asked before.
    pub(crate) fn wait(&mut self, asks: u64, reply: Reply<GetConversationListResponse>) {
        self.waiting.push(Waiting {
            asks: asks.saturating_add(1),
            reply,
        });
        (self.wanted, self.not_before) = (true, None);
    }

    /// Whether nothing is to be asked, and nothing is being asked.
    pub(crate) const fn is_idle(&self) -> bool {
        !self.wanted && !self.asked && self.next.is_empty()
    }

    /// The page to ask for now; the first one if it is empty.
    pub(crate) fn question(&self, now: Instant) -> Option<Vec<u8>> {
        let has_rested = self.not_before.is_none_or(|until| now >= until);
        let is_due = !self.next.is_empty() || self.wanted && has_rested;
        (!self.asked && is_due).then(|| self.next.clone())
    }

    /// When there will be something to ask, if nothing else happens.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.not_before.filter(|_| self.wanted && !self.asked)
    }

    /// The session has taken the question. Whether it is for the first page.
    pub(crate) const fn asked(&mut self) -> bool {
        self.asked = true;
        let is_first = self.next.is_empty();
        if is_first {
            self.wanted = false;
        }
        is_first
    }

    /// A page has come, and there is another one.
    pub(crate) fn go_on(&mut self, next: &[u8]) {
        self.asked = false;
        self.next = next.to_vec();
    }

    /// The list is complete. Tells those who have waited for one that was asked for as often.
    pub(crate) fn done(&mut self, asks: u64, list: &[Arc<Conversation>], is_truncated: bool) {
        self.end();
        (self.not_before, self.pause) = (None, None);
        let (served, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|waiting| waiting.asks <= asks);
        self.waiting = waiting;
        for Waiting { reply, .. } in served {
            let _ = reply.send(Ok(GetConversationListResponse {
                conversation_list: list.to_vec(),
                is_truncated,
            }));
        }
    }

    /// There is no answer. The hub is asked again after a while.
    pub(crate) fn failed(&mut self, now: Instant, error: &ImError) {
        self.end();
        let pause = self.pause.map_or(FIRST_PAUSE, |pause| pause * 2);
        let pause = pause
            .max(error.retry_after().unwrap_or_default())
            .min(LONGEST_PAUSE);
        (self.wanted, self.pause, self.not_before) = (true, Some(pause), Some(now + pause));
        self.refuse(error);
    }

    /// Nobody gets a list any more.
    pub(crate) fn refuse(&mut self, error: &ImError) {
        for Waiting { reply, .. } in self.waiting.drain(..) {
            let _ = reply.send(Err(error.clone()));
        }
    }

    /// The session has logged in anew: what was asked before says nothing any more.
    pub(crate) fn restart(&mut self) {
        self.next.clear();
        (self.wanted, self.not_before, self.pause) = (true, None, None);
    }

    /// The page that has come was asked for before the last login.
    pub(crate) fn restart_stale(&mut self) {
        self.end();
        self.wanted = true;
    }

    fn end(&mut self) {
        self.asked = false;
        self.next.clear();
    }
}
