//! The conversation list, kept up to date from what arrives. Derived state: the hub's list replaces it at any time.

use std::sync::Arc;

use tim_proto::ConversationId;
use tim_proto::message::flags;
use tim_proto::request::ConversationChange;

use crate::{Conversation, Flow, Message};

/// The conversations, newest first.
#[derive(Debug)]
pub(crate) struct ConversationCache {
    list: Vec<Arc<Conversation>>,
    limit: usize,
}

impl ConversationCache {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            list: Vec::new(),
            limit,
        }
    }

    pub(crate) fn list(&self) -> Vec<Arc<Conversation>> {
        self.list.clone()
    }

    /// Takes over the hub's list. A conversation that has moved on since the hub made it keeps its newer state.
    pub(crate) fn replace(&mut self, fresh: Vec<Conversation>) {
        let merged = fresh.into_iter().map(|mut conversation| {
            if let Some(known) = self.get(&conversation.id)
                && known.counted > conversation.counted
            {
                conversation.unread_count = known.unread_count;
                conversation.counted = known.counted;
                conversation.last_sequence = known.last_sequence;
                conversation.last_message = known.last_message.clone();
            }
            Arc::new(conversation)
        });
        self.list = merged.collect();
        self.list.truncate(self.limit);
    }

    /// A stored entry that was delivered, or one of this client's that the hub has taken.
    pub(crate) fn take_message(&mut self, message: &Message, delivered: bool) {
        let view = message.view();
        let sequence = view.envelope.sequence;
        if sequence == 0 || view.envelope.flags & flags::ONLINE_ONLY != 0 {
            return; // never stored: no part of the conversation (S87, S88)
        }
        self.touch(message.conversation_id(), |conversation| {
            if sequence >= conversation.last_sequence {
                conversation.last_sequence = sequence;
                conversation.last_message = Some(message.clone());
            }
            if delivered && sequence > conversation.counted {
                conversation.counted = sequence;
                let counts = view.envelope.flags & flags::NO_UNREAD == 0 && message.flow() == Flow::In;
                if counts && sequence > conversation.read_sequence {
                    conversation.unread_count = conversation.unread_count.saturating_add(1);
                }
            }
        });
    }

    /// The user read or deleted a conversation. Whether the list is now known to be right.
    pub(crate) fn take_change(&mut self, change: &ConversationChange) -> bool {
        if change.deleted {
            self.remove(&change.conversation);
            return true;
        }
        self.mark_read(&change.conversation, change.read_sequence, change.unread);
        // With some left unread it is not known which of them were delivered here already.
        change.unread == 0
    }

    pub(crate) fn mark_read(&mut self, id: &ConversationId, read_sequence: u64, unread: u32) {
        if let Some(conversation) = self.get_mut(id) {
            conversation.read_sequence = conversation.read_sequence.max(read_sequence);
            conversation.unread_count = unread;
        }
    }

    pub(crate) fn remove(&mut self, id: &ConversationId) {
        self.list.retain(|conversation| conversation.id != *id);
    }

    pub(crate) fn get(&self, id: &ConversationId) -> Option<&Arc<Conversation>> {
        self.list.iter().find(|conversation| conversation.id == *id)
    }

    fn get_mut(&mut self, id: &ConversationId) -> Option<&mut Conversation> {
        self.list
            .iter_mut()
            .find(|conversation| conversation.id == *id)
            .map(Arc::make_mut)
    }

    /// Changes a conversation and moves it to the front.
    fn touch(&mut self, id: ConversationId, change: impl FnOnce(&mut Conversation)) {
        let at = self.list.iter().position(|conversation| conversation.id == id);
        let mut conversation =
            at.map_or_else(|| Arc::new(Conversation::empty(id)), |at| self.list.remove(at));
        change(Arc::make_mut(&mut conversation));
        self.list.insert(0, conversation);
        self.list.truncate(self.limit);
    }
}
