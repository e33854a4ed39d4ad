//! The conversation list, kept up to date from what arrives. Derived state: the hub's list replaces it at any time.

use std::sync::Arc;

use tim_proto::conversation::AtInfo;
use tim_proto::message::{GroupChange, GroupTip, flags};
use tim_proto::request::ConversationChange;
use tim_proto::{ConversationId, Payload, ReceiveOption, UserId};

use crate::{Conversation, Flow, Message};

/// How many mentions of the user a conversation holds; the oldest give way.
const MAX_AT: usize = 100;

/// The conversations, newest first.
#[derive(Debug)]
pub(crate) struct ConversationCache {
    me: UserId,
    list: Vec<Arc<Conversation>>,
    limit: usize,
}

impl ConversationCache {
    pub(crate) const fn new(me: UserId, limit: usize) -> Self {
        Self {
            me,
            list: Vec::new(),
            limit,
        }
    }

    pub(crate) fn list(&self) -> Vec<Arc<Conversation>> {
        self.list.clone()
    }

    /// What is unread in all conversations that count.
    pub(crate) fn total_unread(&self) -> u64 {
        let counting = self
            .list
            .iter()
            .filter(|conversation| conversation.counts_in_total());
        counting
            .map(|conversation| u64::from(conversation.unread_count))
            .sum()
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
                conversation.group_at_info_list = known.group_at_info_list.clone();
            }
            Arc::new(conversation)
        });
        self.list = merged.collect();
        self.list.truncate(self.limit);
    }

    /// The hub begins again from an older state: what it says next is right, however far things were before.
    pub(crate) fn rewind(&mut self) {
        for conversation in &mut self.list {
            let conversation = Arc::make_mut(conversation);
            (conversation.counted, conversation.last_sequence) = (0, 0);
            conversation.read_sequence = 0;
        }
    }

    /// A stored entry that was delivered, or one of this client's that the hub has taken.
    pub(crate) fn take_message(&mut self, message: &Message, delivered: bool) {
        let view = message.view();
        let sequence = view.envelope.sequence;
        if sequence == 0 || view.envelope.flags & flags::ONLINE_ONLY != 0 {
            return; // never stored: no part of the conversation (S87, S88)
        }
        if view.envelope.flags & flags::NO_LAST != 0 {
            // It does not bring its conversation onto the list or up it.
            if let Some(conversation) = self.get_mut(&message.conversation_id()) {
                conversation.last_sequence = conversation.last_sequence.max(sequence);
                if delivered {
                    conversation.counted = conversation.counted.max(sequence);
                }
            }
            return;
        }
        let me = self.me;
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
                if message.flow() == Flow::In && sequence > conversation.read_sequence {
                    note_mention(conversation, message, &me);
                }
                match message.payload() {
                    Payload::GroupTip(tip) => take_tip(conversation, &tip),
                    _ => take_names(conversation, message),
                }
            }
        });
    }

    /// The user wants to be told of a group's messages like this.
    pub(crate) fn set_remind_type(&mut self, id: &ConversationId, option: ReceiveOption) {
        if let Some(conversation) = self.get_mut(id) {
            conversation.message_remind_type = option;
        }
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
            let read = conversation.read_sequence;
            conversation.group_at_info_list.retain(|at| at.sequence > read);
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

/// Notes a message that mentions the user.
fn note_mention(conversation: &mut Conversation, message: &Message, me: &UserId) {
    let Some(kind) = message
        .mentions(me)
        .filter(|_| matches!(conversation.id, ConversationId::Group(_)))
    else {
        return;
    };
    let list = &mut conversation.group_at_info_list;
    if list.len() >= MAX_AT {
        list.remove(0);
    }
    list.push(AtInfo {
        sequence: message.sequence(),
        from: message.from(),
        kind,
    });
}

/// A tip says what its group is called now.
fn take_tip(conversation: &mut Conversation, tip: &GroupTip<'_>) {
    if !tip.group_name.is_empty() {
        conversation.name = tip.group_name.into();
    }
    for change in tip.changes.iter() {
        match change {
            GroupChange::Name(name) => conversation.name = name.into(),
            GroupChange::Avatar(avatar) => conversation.avatar = avatar.into(),
            _ => {}
        }
    }
}

/// A message of the peer says what they are called now.
fn take_names(conversation: &mut Conversation, message: &Message) {
    let from_peer = message.flow() == Flow::In && matches!(conversation.id, ConversationId::C2c(_));
    if from_peer && !message.nick().is_empty() {
        conversation.name = message.nick().into();
    }
    if from_peer && !message.avatar().is_empty() {
        conversation.avatar = message.avatar().into();
    }
}
