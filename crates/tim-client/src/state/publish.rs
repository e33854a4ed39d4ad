//! From complete deliveries and changed lists to events.

use tim_proto::ConversationId;
use tim_transport_std::session::Instant;

use super::conversations::Need;
use super::inbound::{Inbound, Item};
use super::{Effect, Mark, Moment, State};
use crate::Message;
use crate::event::Event;

/// Messages that are published in one MESSAGE_RECEIVED, and the deliveries that they came in.
#[derive(Debug, Default)]
pub(super) struct Batch {
    messages: Vec<Message>,
    mark: Option<Mark>,
}

impl Batch {
    fn add(&mut self, mark: Option<Mark>) {
        let Some(new) = mark else { return };
        let older = self.mark.take().and_then(|mark| mark.cursor);
        self.mark = Some(Mark {
            through: new.through,
            cursor: new.cursor.or(older),
        });
    }
}

/// Publishing.
impl State {
    pub(super) fn update_total(&mut self) -> u64 {
        let total = self.conversations.total_unread();
        if std::mem::replace(&mut self.total_unread, total) != total {
            self.effects.push_back(Effect::TotalUnread(total));
        }
        total
    }

    /// Publishes what has come together. The total comes before the messages that it counts, as in the vendor's SDK.
    pub(crate) fn publish_updates(&mut self, moment: Moment) {
        self.publish_total(moment);
        self.flush_batch();
        self.publish_lists(moment);
    }

    /// When [`State::publish_updates`] or [`State::poll_query`] has something to do although nothing else happens.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        let publishes = self.session.status.ready && self.conversations.is_known();
        let sync = self.list_sync.due().filter(|due| *due > now);
        self.updates.due(now, publishes).into_iter().chain(sync).min()
    }

    /// Publishes the total if it has changed, at most once a second and not before it is certain.
    fn publish_total(&mut self, Moment { now, has_listeners }: Moment) {
        let total = self.update_total();
        let certain = self.conversations.is_settled() && self.list_sync.is_idle();
        if !self.updates.settle(now, certain, self.conversations.is_known()) {
            return;
        }
        let ready = self.session.status.ready;
        if self.updates.take_total(now, total, ready, has_listeners) {
            self.publish(Event::TotalUnreadMessageCountUpdated(total));
        }
    }

    /// Publishes lists that have changed, at most once a second.
    fn publish_lists(&mut self, Moment { now, has_listeners }: Moment) {
        let publishes = self.session.status.ready && self.conversations.is_known();
        if publishes && self.updates.conversations.is_open(now) {
            let list = self.conversations.list();
            if self.updates.take_list(now, &list, has_listeners) {
                self.publish(Event::ConversationListUpdated(list));
            }
        }
        if self.groups.take_changed() {
            self.updates.groups.request();
        }
        if self.updates.groups.take(now, has_listeners) {
            self.publish(Event::GroupListUpdated(self.groups.list()));
        }
    }

    /// Publishes a complete delivery, or adds it to the batch.
    pub(super) fn emit(&mut self, entry: Inbound, moment: Moment) {
        let Inbound {
            mark, item, revokes, ..
        } = entry;
        if let Some(revokes) = &revokes {
            self.take_revocation(revokes);
        }
        match item {
            Item::Message(message) | Item::Stub { message, .. } => {
                self.take_message(&message, true);
                self.groups.take_message(&message);
                self.batch.messages.push(message);
                self.batch.add(mark);
            }
            Item::Own(message) => {
                self.take_message(&message, true);
                self.batch.add(mark);
            }
            Item::Revoking(message) if message.is_told_by_call() => self.batch.add(mark),
            Item::Revoked(message) | Item::Revoking(message) => {
                self.publish_total(moment);
                self.flush_batch();
                self.delivered(Some(Event::MessageRevoked(vec![message])), mark);
            }
            Item::Gap(gap) => {
                self.publish_total(moment);
                self.flush_batch();
                if gap.is_restored() {
                    self.conversations.rewind();
                }
                self.list_changed(Need::List);
                if gap.conversation == ConversationId::System {
                    self.groups.lost_notices();
                }
                self.delivered(Some(Event::Gap(gap)), mark);
            }
            Item::Ready => {
                self.flush_batch();
                self.session.status.ready = true;
                self.status_changed();
                self.publish(Event::SdkReady);
                self.list_sync.want();
            }
            Item::Silent | Item::Lookup(_) => self.batch.add(mark),
        }
    }

    pub(super) fn flush_batch(&mut self) {
        let Batch { messages, mark } = std::mem::take(&mut self.batch);
        let event = (!messages.is_empty()).then(|| Event::MessageReceived(messages));
        self.delivered(event, mark);
    }

    fn delivered(&mut self, event: Option<Event>, mark: Option<Mark>) {
        match (event, mark) {
            (event, Some(mark)) => self.effects.push_back(Effect::Delivered { event, mark }),
            (Some(event), None) => self.publish(event),
            (None, None) => {}
        }
    }
}
