//! Which list updates and totals to publish, and when.

use std::sync::Arc;
use std::time::Duration;

use tim_transport_std::session::Instant;

use super::throttle::Throttle;
use crate::{Conversation, Message};

/// How long the total is held back for a response that may correct it.
const SETTLE_TIME: Duration = Duration::from_secs(1);

/// The updates that the application is to be notified of, and what was published last.
#[derive(Debug, Default)]
pub(super) struct Updates {
    pub(super) conversations: Throttle,
    pub(super) total_unread: Throttle,
    pub(super) groups: Throttle,
    last_total: u64,
    /// The list that was published last, and whether the last message of each conversation was revoked then.
    last_list: Vec<(Arc<Conversation>, bool)>,
    /// Since when the total is not certain.
    unsettled_since: Option<Instant>,
}

impl Updates {
    /// Whether the total may be published: it is certain, or the correction is late although the list is known.
    pub(super) fn settle(&mut self, now: Instant, certain: bool, list_known: bool) -> bool {
        if certain {
            self.unsettled_since = None;
            return true;
        }
        let since = *self.unsettled_since.get_or_insert(now);
        list_known && now >= since + SETTLE_TIME
    }

    /// Whether to publish this total now.
    pub(super) fn take_total(&mut self, now: Instant, total: u64, ready: bool, has_listeners: bool) -> bool {
        if total == self.last_total {
            self.total_unread.cancel();
            return false;
        }
        self.total_unread.request();
        let publish = ready && self.total_unread.take(now, has_listeners);
        if publish {
            self.last_total = total;
        }
        publish
    }

    /// Whether to publish this list now.
    pub(super) fn take_list(
        &mut self,
        now: Instant,
        list: &[Arc<Conversation>],
        has_listeners: bool,
    ) -> bool {
        if !self.is_changed(list) {
            self.conversations.cancel();
            return false;
        }
        let publish = self.conversations.take(now, has_listeners);
        if publish {
            self.last_list = list
                .iter()
                .map(|conversation| (conversation.clone(), is_last_revoked(conversation)))
                .collect();
        }
        publish
    }

    /// Whether a list differs from the one that was published last.
    fn is_changed(&self, list: &[Arc<Conversation>]) -> bool {
        let same = |(conversation, (last, was_revoked)): (&Arc<Conversation>, &(Arc<Conversation>, bool))| {
            let is_same = Arc::ptr_eq(conversation, last) || conversation.is_shown_as(last);
            is_same && is_last_revoked(conversation) == *was_revoked
        };
        list.len() != self.last_list.len() || !list.iter().zip(&self.last_list).all(same)
    }

    /// When something may be published that is held back now. What is due already waits for something else.
    /// `publishes`: conversations and the total are published.
    pub(super) fn due(&self, now: Instant, publishes: bool) -> Option<Instant> {
        let settled = self.unsettled_since.map(|since| since + SETTLE_TIME);
        let lists = [self.conversations.due(), self.total_unread.due(), settled];
        let lists = lists.into_iter().filter(|_| publishes);
        lists
            .chain([self.groups.due()])
            .flatten()
            .filter(|due| *due > now)
            .min()
    }
}

fn is_last_revoked(conversation: &Conversation) -> bool {
    conversation
        .last_message
        .as_ref()
        .is_some_and(Message::is_revoked)
}
