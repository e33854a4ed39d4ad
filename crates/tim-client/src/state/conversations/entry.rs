//! A conversation of the list, with its unread count.

use std::sync::Arc;

use tim_proto::conversation::AtInfo;
use tim_proto::message::{GroupChange, GroupTip, TipOperation};
use tim_proto::planted::{self, Fault};
use tim_proto::unread::{HubCount, Taken, UnreadCount};
use tim_proto::{ConversationId, Payload, UserId};

use super::Need;
use crate::{Conversation, Flow, Message};

/// How many mentions of the user a conversation keeps; the oldest are dropped.
const MAX_AT: usize = 100;
/// How many entries behind the hub's count are remembered one by one, for each conversation.
pub(super) const REMEMBERED: usize = 64;

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) conversation: Arc<Conversation>,
    /// The sequence of the last message. Behind it the log may have entries that are none: the conversation's `last_sequence` counts
    /// them.
    pub(super) last: u64,
    /// Up to which sequence name, avatar and mentions are known: by the hub's list or by deliveries. The count may be ahead of that.
    pub(super) described: u64,
    pub(super) unread: UnreadCount<REMEMBERED>,
    /// Whether the count is known, not only what was delivered.
    pub(super) certain: bool,
    /// The generation of the list in which something was last delivered.
    pub(super) generation: u64,
    /// The generation of the list in which the log was last seen to grow.
    pub(super) grown: u64,
    /// If a message of this client has moved it up the list: when the hub accepted that, Unix time in seconds.
    pub(super) accepted: Option<u64>,
    /// The newest count that the hub has told by itself since the login, and the generation of the list in which it has.
    pub(super) told: Option<(HubCount, u64)>,
}

impl Entry {
    /// A conversation that begins with this message. A message of the peer and a tip carry its name; otherwise the hub is
    /// asked for it before the conversation is published.
    pub(super) fn named_by(mut self, message: &Message) -> Self {
        self.certain &= match self.conversation.id {
            ConversationId::C2c(_) => message.flow() == Flow::In,
            ConversationId::System => true,
            _ => matches!(message.payload(), Payload::GroupTip(_)),
        };
        self
    }

    pub(super) fn new(conversation: Conversation) -> Self {
        Self {
            unread: UnreadCount::new(hub_count(&conversation)),
            last: last_sequence(&conversation),
            described: conversation.last_sequence,
            conversation: Arc::new(conversation),
            certain: true,
            generation: 0,
            grown: 0,
            accepted: None,
            told: None,
        }
    }

    /// A count of the hub, which has told it in this generation of the list.
    pub(super) fn take_count(&mut self, fresh: HubCount, generation: u64) -> Need {
        if planted::is(Fault::MarkReadOverwrites) {
            self.unread = UnreadCount::new(fresh);
        }
        let is_older = |(told, _): (HubCount, u64)| (fresh.counted, fresh.read) < (told.counted, told.read);
        if !self.told.is_some_and(is_older) {
            self.told = Some((fresh, generation));
        }
        let taken = self.unread.take(fresh);
        self.show_count();
        Need::list_if(taken == Taken::Unclear || !self.certain || self.unread.is_unclear())
    }

    pub(super) fn show_count(&mut self) {
        let (unread, read) = (self.unread.count(), self.unread.read_sequence());
        let conversation = &self.conversation;
        if (conversation.unread_count, conversation.read_sequence) != (unread, read) {
            let conversation = Arc::make_mut(&mut self.conversation);
            (conversation.unread_count, conversation.read_sequence) = (unread, read);
            conversation.group_at_info_list.retain(|at| at.sequence > read);
        }
    }

    /// The log has come to this sequence, in this generation of the list.
    pub(super) fn grow(&mut self, sequence: u64, generation: u64) {
        if sequence > self.conversation.last_sequence {
            self.grown = generation;
            Arc::make_mut(&mut self.conversation).last_sequence = sequence;
        }
    }

    /// As the hub lists it in this generation, with what was delivered after that. `restart`: the count known before the login is
    /// void; what was told since may be newer than the list, as what was told since the list was asked for. `has_moved`: it has a newer
    /// message than the list.
    pub(super) fn refreshed(
        mut self,
        mut fresh: Conversation,
        generation: u64,
        restart: bool,
        has_moved: bool,
    ) -> Self {
        let base = hub_count(&fresh);
        self.described = self.described.max(base.counted);
        let taken = match restart {
            true => self.unread.restart(base),
            false => self.unread.take(base),
        };
        if let Some((told, _)) = self.told.filter(|(_, at)| restart || *at >= generation) {
            let _ = self.unread.take(told);
        }
        let known = &*self.conversation;
        let behind = known
            .group_at_info_list
            .iter()
            .filter(|at| has_moved && at.sequence > base.counted);
        fresh.group_at_info_list.extend(behind.copied());
        if self.grown >= generation {
            fresh.last_sequence = fresh.last_sequence.max(known.last_sequence);
        }
        if has_moved {
            fresh.last_message = known.last_message.clone();
            let names = [(&mut fresh.name, &known.name), (&mut fresh.avatar, &known.avatar)];
            for (fresh, known) in names {
                if !known.is_empty() {
                    fresh.clone_from(known);
                }
            }
        }
        if taken == Taken::Older {
            fresh.group_at_info_list = known.group_at_info_list.clone();
        }
        if !has_moved {
            self.accepted = None;
            self.last = last_sequence(&fresh);
        }
        fresh.unread_count = self.unread.count();
        fresh.read_sequence = self.unread.read_sequence();
        let read = fresh.read_sequence;
        fresh.group_at_info_list.retain(|at| at.sequence > read);
        self.certain = taken != Taken::Unclear && !self.unread.is_unclear();
        self.conversation = Arc::new(fresh);
        self
    }
}

/// The sequence of the last message of a conversation that is as the hub describes it.
fn last_sequence(conversation: &Conversation) -> u64 {
    let last = conversation.last_message.as_ref();
    last.map_or(conversation.last_sequence, Message::sequence)
}

/// The hub's count in a conversation that is as the hub describes it.
pub(super) const fn hub_count(conversation: &Conversation) -> HubCount {
    HubCount {
        unread: conversation.unread_count,
        counted: conversation.last_sequence,
        read: conversation.read_sequence,
    }
}

/// Notes a message that mentions the user.
pub(super) fn note_mention(conversation: &mut Conversation, message: &Message, me: &UserId) {
    let Some(kind) = message
        .mentions(me)
        .filter(|_| matches!(conversation.id, ConversationId::Group(_)) && !message.is_revoked())
    else {
        return;
    };
    let list = &mut conversation.group_at_info_list;
    if list.len() >= MAX_AT {
        list.remove(0);
    }
    list.push(AtInfo::new(message.sequence(), message.sender(), kind));
}

/// Whether a message is the tip that this user has joined the group.
pub(super) fn joins(message: &Message, me: &UserId) -> bool {
    match message.payload() {
        Payload::GroupTip(tip) if tip.operation == TipOperation::JOIN => {
            tip.users.iter().any(|user| user == me.as_str())
        }
        _ => false,
    }
}

/// A tip carries the current name of its group.
pub(super) fn take_tip(conversation: &mut Conversation, tip: &GroupTip<'_>) {
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

/// A message of the peer carries their current name.
pub(super) fn take_names(conversation: &mut Conversation, message: &Message) {
    let from_peer = message.flow() == Flow::In && matches!(conversation.id, ConversationId::C2c(_));
    if from_peer && !message.nick().is_empty() {
        conversation.name = message.nick().into();
    }
    if from_peer && !message.avatar().is_empty() {
        conversation.avatar = message.avatar().into();
    }
}
