//! The conversation list, kept up to date from what arrives. Derived state: the hub's list replaces it at any time.
//!
//! Unread messages are counted by the rule of [`tim_proto::unread`], for each conversation separately. The total is the sum
//! over the conversations held here plus the *rest*: the hub's total for the conversations beyond them. Changes of
//! conversations that are not held are not guessed: the hub is asked for its list again. Until the response has arrived,
//! neither the total nor a conversation with an unknown count is published.

mod entry;

use std::collections::VecDeque;
use std::sync::Arc;

use tim_proto::message::MessageFlags;
use tim_proto::planted::{self, Fault};
use tim_proto::unread::{HubCount, UnreadCount};
use tim_proto::{ConversationId, Payload, ReceiveOption, UserId};

use crate::{Conversation, Flow, Message};
use entry::{Entry, hub_count, joins, note_mention, take_names, take_tip};

/// How many conversations that are not held are remembered. The hub's list is authoritative for the others.
const MAX_UNLISTED: usize = 256;

/// The conversations, newest first.
#[derive(Debug)]
pub(super) struct ConversationList {
    me: UserId,
    entries: Vec<Entry>,
    /// Conversations that are not held but have changed: deliveries for them may be in flight.
    unlisted: VecDeque<Unlisted>,
    /// A change of a conversation that is not held was dropped from `unlisted`.
    has_forgotten: bool,
    /// The maximum number of entries.
    depth: usize,
    /// The unread messages in conversations that are not held.
    rest: u64,
    /// Whether all conversations of the hub's list are held.
    complete: bool,
    /// Whether the hub's list has arrived since the login.
    known: bool,
    /// The hub's time at the login, Unix time in seconds.
    since: u64,
    /// How many times the hub was asked for its list.
    generation: u64,
    collecting: Option<Collecting>,
}

/// A conversation that is not held.
#[derive(Debug, Clone, Copy)]
struct Unlisted {
    id: ConversationId,
    /// It is off the list up to this sequence: later entries bring it back.
    through: u64,
    /// The newest count of the hub.
    count: HubCount,
    /// The receive option, if it is known: it outlasts the deletion.
    receive_option: Option<ReceiveOption>,
}

/// The pages of the hub's list that have arrived so far.
#[derive(Debug, Default)]
struct Collecting {
    fresh: Vec<Conversation>,
    rest: u64,
}

/// A page of the hub's list.
#[derive(Debug)]
pub(super) struct ListPage {
    pub(super) conversations: Vec<Conversation>,
    pub(super) total_unread: u64,
    pub(super) completed: bool,
}

/// Whether a change requires a request to the hub.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Nothing,
    /// The list.
    List,
}

impl Need {
    const fn list_if(needed: bool) -> Self {
        if needed { Self::List } else { Self::Nothing }
    }
}

/// The result of a page of the list.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The next page is needed too.
    More,
    /// The list is complete.
    Done(Need),
    /// The page was requested before the last login, and is void.
    Stale,
}

impl ConversationList {
    pub(super) const fn new(me: UserId, depth: usize) -> Self {
        Self {
            me,
            entries: Vec::new(),
            unlisted: VecDeque::new(),
            has_forgotten: false,
            depth,
            rest: 0,
            complete: false,
            known: false,
            since: 0,
            generation: 0,
            collecting: None,
        }
    }

    /// The conversations whose count is certain.
    pub(super) fn list(&self) -> Vec<Arc<Conversation>> {
        let certain = self.entries.iter().filter(|entry| entry.certain);
        certain.map(|entry| entry.conversation.clone()).collect()
    }

    /// Whether the hub lists more conversations than are held.
    pub(super) const fn is_truncated(&self) -> bool {
        !self.complete
    }

    /// The unread messages in all conversations that count.
    pub(super) fn total_unread(&self) -> u64 {
        let counting = self
            .entries
            .iter()
            .filter(|entry| entry.conversation.counts_in_total());
        let entry = counting.map(|entry| u64::from(entry.conversation.unread_count));
        entry.fold(self.rest, u64::saturating_add)
    }

    /// Whether the hub's list has arrived since the login.
    pub(super) const fn is_known(&self) -> bool {
        self.known
    }

    /// Whether every count is known, so that no response will correct the total.
    pub(super) fn is_settled(&self) -> bool {
        self.known
            && self
                .entries
                .iter()
                .all(|entry| entry.certain && !entry.unread.is_unclear())
    }

    /// A new login: meanwhile the user may have read and deleted on other devices, or the hub's store may have been restored.
    pub(super) fn log_in(&mut self, hub_seconds: u64) {
        self.known = false;
        self.since = hub_seconds;
        self.unlisted.clear();
        self.collecting = None;
        for entry in &mut self.entries {
            entry.told = None;
        }
    }

    /// The first page of the hub's list was requested.
    pub(super) fn begin_list(&mut self) {
        self.generation += 1;
        self.collecting = Some(Collecting::default());
    }

    /// How many times the hub was asked for its list.
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    /// Sets the maximum number of conversations.
    pub(super) const fn set_depth(&mut self, depth: usize) {
        self.depth = depth;
    }

    /// The request for the list has failed.
    pub(super) fn give_up_list(&mut self) {
        self.collecting = None;
    }

    /// Takes a page of the hub's list. A conversation that has changed since the hub made the page keeps its newer state.
    pub(super) fn take_page(&mut self, page: ListPage) -> Progress {
        let Some(mut collecting) = self.collecting.take() else {
            return Progress::Stale;
        };
        let counting = page
            .conversations
            .iter()
            .filter(|conversation| conversation.counts_in_total());
        let on_page: u64 = counting
            .map(|conversation| u64::from(conversation.unread_count))
            .sum();
        collecting.rest = page.total_unread.saturating_sub(on_page);
        let got_any = !page.conversations.is_empty();
        collecting.fresh.extend(page.conversations);
        if !page.completed && got_any && collecting.fresh.len() < self.depth {
            self.collecting = Some(collecting);
            return Progress::More;
        }
        Progress::Done(self.replace(collecting, page.completed))
    }

    fn replace(&mut self, Collecting { fresh, rest }: Collecting, completed: bool) -> Need {
        let mut before: Vec<Option<Entry>> = self.entries.drain(..).map(Some).collect();
        // What has changed since stays in front, in its order.
        let (mut ahead, mut listed) = (Vec::new(), Vec::new());
        let mut unclear = false;
        for conversation in fresh {
            let is_same = |entry: &Option<Entry>| {
                entry
                    .as_ref()
                    .is_some_and(|entry| entry.conversation.id == conversation.id)
            };
            let at = before.iter().position(is_same);
            let Some((at, entry)) = at.and_then(|at| Some((at, before.get_mut(at)?.take()?))) else {
                listed.extend(self.begin_listed(conversation));
                continue;
            };
            // What was known before the list was asked for cannot be newer, unless the hub's store was restored from an older state.
            let is_since = entry.generation >= self.generation;
            let has_moved = is_since && entry.last > conversation.last_sequence;
            let entry = entry.refreshed(conversation, self.generation, !self.known, has_moved);
            unclear |= !entry.certain;
            if has_moved {
                ahead.push((at, entry));
            } else {
                listed.push(entry);
            }
        }
        // What was delivered since the request may be newer than the response.
        let kept = before.into_iter().enumerate();
        let kept = kept.filter_map(|(at, entry)| {
            Some((at, entry?)).filter(|(_, entry)| entry.generation >= self.generation)
        });
        let in_front = ahead.len();
        ahead.extend(kept);
        let again = unclear || ahead.len() > in_front;
        ahead.sort_by_key(|(at, _)| *at);
        self.entries = ahead.into_iter().map(|(_, entry)| entry).chain(listed).collect();
        (self.rest, self.complete, self.known) = (rest, completed, true);
        self.has_forgotten = false;
        self.keep_depth();
        Need::list_if(again)
    }

    /// A conversation that was not held, as the hub lists it: nothing if it was deleted since the hub made the page. It may
    /// have been read since.
    fn begin_listed(&self, conversation: Conversation) -> Option<Entry> {
        let unlisted = self
            .unlisted
            .iter()
            .find(|unlisted| unlisted.id == conversation.id);
        let last = conversation.last_message.as_ref();
        if unlisted.is_some_and(|one| last.is_some_and(|last| last.sequence() <= one.through)) {
            return None;
        }
        let mut entry = Entry::new(conversation);
        if let Some(unlisted) = unlisted {
            let _ = entry.take_count(unlisted.count, self.generation);
        }
        Some(entry)
    }

    /// The hub was restored from an older state: its next list is authoritative, whatever was known before.
    pub(super) fn rewind(&mut self) {
        self.known = false;
        self.unlisted.clear();
        for entry in &mut self.entries {
            entry.unread = UnreadCount::new(HubCount {
                unread: entry.unread.count(),
                counted: 0,
                read: 0,
            });
            entry.accepted = None;
            entry.told = None;
            let conversation = Arc::make_mut(&mut entry.conversation);
            conversation.last_sequence = 0;
            (entry.last, entry.described) = (0, 0);
            conversation.group_at_info_list.clear();
        }
    }

    /// A stored entry: one that was delivered, or one of this client that the hub has accepted.
    pub(super) fn take_message(&mut self, message: &Message, delivered: bool) -> Need {
        let view = message.view();
        let (id, sequence) = (message.conversation_id(), view.envelope.sequence);
        if sequence == 0
            || view.envelope.flags.contains(MessageFlags::ONLINE_ONLY)
            || self.is_gone(&id, sequence)
        {
            return Need::Nothing; // never stored, or off the list since
        }
        let (me, generation) = (self.me, self.generation);
        if view.envelope.flags.contains(MessageFlags::NO_LAST) {
            // It does not move its conversation onto the list or up it.
            if let Some(entry) = self.find(&id).filter(|_| delivered) {
                entry.unread.deliver(&view, &me);
                entry.grow(sequence, generation);
                entry.show_count();
            }
            return Need::Nothing;
        }
        let at = self.position(&id);
        let mut entry = match at {
            Some(at) => self.entries.remove(at),
            None => self.begin(message).named_by(message),
        };
        // An older message, such as one that the hub had already when it was sent again, moves nothing.
        let place = at.filter(|_| sequence <= entry.last);
        if place.is_none() {
            entry.generation = generation;
        }
        entry.grow(sequence, generation);
        let is_uncounted = delivered && sequence > entry.unread.counted();
        if is_uncounted && joins(message, &me) {
            // Membership begins anew. What came before the user joined is not the user's to read.
            Arc::make_mut(&mut entry.conversation).message_remind_type = ReceiveOption::ACCEPT_AND_NOTIFY;
            let before = sequence - 1;
            let _ = entry.unread.take(HubCount {
                unread: 0,
                counted: before,
                read: before,
            });
        }
        if delivered {
            entry.unread.deliver(&view, &me);
        }
        entry.show_count();
        let conversation = Arc::make_mut(&mut entry.conversation);
        if sequence >= entry.last {
            entry.last = sequence;
            conversation.last_message = Some(message.clone());
        }
        // The hub's count, which an answer has told, may be ahead of the deliveries.
        if delivered && sequence > entry.described {
            entry.described = sequence;
            if message.flow() == Flow::In && sequence > conversation.read_sequence {
                note_mention(conversation, message, &me);
            }
            match message.payload() {
                Payload::GroupTip(tip) => take_tip(conversation, &tip),
                _ => take_names(conversation, message),
            }
        }
        let is_ambiguous = place.is_none() && self.is_overtaking(view.envelope.time, delivered);
        if place.is_none() {
            entry.accepted = Some(view.envelope.time).filter(|_| !delivered);
        }
        let needed = !entry.certain || entry.unread.is_unclear() || is_ambiguous;
        self.entries.insert(place.unwrap_or(0), entry);
        self.keep_depth();
        Need::list_if(needed)
    }

    /// Whether a message of this time, which moves its conversation to the top, may be older than what is there. Deliveries
    /// come in the hub's order, and so do answers; but an answer may overtake a delivery, or come late after a reconnect.
    fn is_overtaking(&self, time: u64, delivered: bool) -> bool {
        if delivered {
            let mut accepted = self.entries.iter().filter_map(|entry| entry.accepted);
            return accepted.any(|accepted| accepted >= time);
        }
        let first = self.entries.first();
        let newest = first.and_then(|entry| entry.conversation.last_message.as_ref());
        newest.is_some_and(|newest| newest.time() >= time)
    }

    /// The entry `sequence` revokes the message `message` of `sender`.
    pub(super) fn take_revocation(
        &mut self,
        id: &ConversationId,
        sequence: u64,
        message: u64,
        sender: &UserId,
    ) -> Need {
        if self.is_gone(id, sequence) {
            return Need::Nothing;
        }
        let (is_own, generation) = (*sender == self.me, self.generation);
        let Some(entry) = self.find(id) else {
            return Need::list_if(!is_own && !self.holds_all());
        };
        entry.grow(sequence, generation);
        if !is_own && !planted::is(Fault::RevokedStillCounts) {
            entry.unread.revoked(sequence, message);
        }
        let unread = entry.unread.count();
        let needed = !entry.certain || entry.unread.is_unclear();
        let conversation = Arc::make_mut(&mut entry.conversation);
        conversation.unread_count = unread;
        conversation
            .group_at_info_list
            .retain(|at| at.sequence != message);
        Need::list_if(needed)
    }

    /// The user has set the receive option of a group.
    pub(super) fn set_receive_option(&mut self, id: &ConversationId, option: ReceiveOption) -> Need {
        match self.find(id) {
            Some(entry) => {
                Arc::make_mut(&mut entry.conversation).message_remind_type = option;
                Need::Nothing
            }
            None => {
                self.note_unlisted(id, |unlisted| unlisted.receive_option = Some(option));
                Need::list_if(!self.holds_all())
            }
        }
    }

    /// Something of the user's own state has changed on another device, and the hub has not said what. Its next list tells, but not of
    /// conversations that are off the list.
    pub(super) fn doubt_options(&mut self) {
        for unlisted in &mut self.unlisted {
            unlisted.receive_option = None;
        }
    }

    /// A count of the hub: the user has read, on whichever device.
    pub(super) fn take_count(&mut self, id: &ConversationId, fresh: HubCount) -> Need {
        if fresh.counted == 0 {
            return Need::Nothing;
        }
        let generation = self.generation;
        if let Some(entry) = self.find(id) {
            return entry.take_count(fresh, generation);
        }
        // Entries that it has counted may still be in flight.
        let through = self.note_unlisted(id, |unlisted| {
            if (fresh.counted, fresh.read) > (unlisted.count.counted, unlisted.count.read) {
                unlisted.count = fresh;
            }
            unlisted.through
        });
        Need::list_if(fresh.counted > through && !self.holds_all())
    }

    /// Remembers a change of a conversation that is not held.
    fn note_unlisted<T>(&mut self, id: &ConversationId, note: impl FnOnce(&mut Unlisted) -> T) -> T {
        let known = self.unlisted.iter().position(|unlisted| unlisted.id == *id);
        let known = known.and_then(|at| self.unlisted.remove(at));
        if known.is_none() && self.unlisted.len() >= MAX_UNLISTED {
            self.unlisted.pop_front();
            self.has_forgotten = true;
        }
        let mut unlisted = known.unwrap_or_else(|| Unlisted {
            id: *id,
            through: 0,
            count: HubCount::default(),
            receive_option: None,
        });
        let noted = note(&mut unlisted);
        self.unlisted.push_back(unlisted);
        noted
    }

    /// The conversation was deleted from the list, with everything up to this sequence.
    pub(super) fn take_off(&mut self, id: &ConversationId, through: u64) -> Need {
        if through == 0 {
            return Need::Nothing;
        }
        let known = self.note_unlisted(id, |unlisted| {
            let known = unlisted.through;
            unlisted.through = through.max(known);
            known
        });
        let Some(at) = self.position(id) else {
            return Need::list_if(known == 0 && !self.holds_all());
        };
        // Not the sequence of the message itself: a hub that was restored may have taken it back.
        let is_newer = |entry: &Entry| entry.conversation.last_message.is_some() && entry.last > through;
        if !self.entries.get(at).is_some_and(is_newer) {
            let entry = self.entries.remove(at);
            self.note_unlisted(id, |unlisted| {
                unlisted.count = entry.unread.hub();
                unlisted.receive_option = Some(entry.conversation.message_remind_type);
            });
        }
        Need::Nothing
    }

    /// A conversation as the hub describes it by itself, with what was delivered since.
    pub(super) fn describe(&mut self, mut conversation: Conversation) -> (Conversation, Need) {
        let generation = self.generation;
        let Some(entry) = self.find(&conversation.id) else {
            return (conversation, Need::Nothing);
        };
        let need = entry.take_count(hub_count(&conversation), generation);
        conversation.unread_count = entry.conversation.unread_count;
        conversation.read_sequence = entry.conversation.read_sequence;
        (conversation, need)
    }

    /// Whether the hub's list has nothing that is not held.
    const fn holds_all(&self) -> bool {
        self.known && self.complete && !self.has_forgotten
    }

    fn is_gone(&self, id: &ConversationId, sequence: u64) -> bool {
        self.unlisted
            .iter()
            .any(|unlisted| unlisted.id == *id && sequence <= unlisted.through)
    }

    /// A conversation whose first entry has arrived, or the first since it was deleted. If the hub is known not to have
    /// listed it, and the entry is no older than the login, all its unread messages were or will be delivered. Of a group
    /// the receive option has to be known too: that of a new member is the default.
    fn begin(&self, message: &Message) -> Entry {
        let (id, seconds) = (message.conversation_id(), message.time());
        let unlisted = self.unlisted.iter().find(|unlisted| unlisted.id == id);
        let (through, count) = unlisted.map_or_else(Default::default, |one| (one.through, one.count));
        let known_option = match id {
            ConversationId::Group(_) if !joins(message, &self.me) => {
                unlisted.and_then(|one| one.receive_option)
            }
            _ => Some(ReceiveOption::ACCEPT_AND_NOTIFY),
        };
        let mut conversation = Conversation::empty(id);
        conversation.message_remind_type = known_option.unwrap_or_default();
        let mut entry = Entry::new(conversation);
        entry.unread = UnreadCount::new(if count.counted > through {
            count
        } else {
            HubCount {
                unread: 0,
                counted: through,
                read: through,
            }
        });
        entry.show_count();
        // Behind its first entry a conversation has a read mark that nobody has told, unless the user joins by this entry: it
        // was removed from the list.
        let is_new = message.sequence() == 1 || joins(message, &self.me);
        let is_counted = through > 0 || is_new && self.holds_all() && seconds > self.since;
        entry.certain = self.known && is_counted && known_option.is_some();
        entry
    }

    /// Drops the oldest entries beyond the depth.
    fn keep_depth(&mut self) {
        while self.entries.len() > self.depth.max(1) {
            let Some(oldest) = self.entries.pop() else { return };
            // What was remembered of it from before it was held is older than what is dropped here.
            let id = oldest.conversation.id;
            self.unlisted.retain(|unlisted| unlisted.id != id);
            if oldest.conversation.counts_in_total() {
                self.rest = self.rest.saturating_add(oldest.conversation.unread_count.into());
            }
            self.complete = false;
        }
    }

    fn position(&self, id: &ConversationId) -> Option<usize> {
        self.entries.iter().position(|entry| entry.conversation.id == *id)
    }

    fn find(&mut self, id: &ConversationId) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.conversation.id == *id)
    }
}

#[cfg(test)]
mod tests;
