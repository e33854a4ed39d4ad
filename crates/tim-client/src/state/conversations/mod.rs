//! The conversation list, kept up to date from what arrives. Derived state: the hub's list replaces it at any time.
//!
//! How many messages are unread follows the one rule of [`tim_proto::unread`], for each conversation by itself. The total
//! is the sum over the conversations that are held here, and the *rest*: what the hub says is unread in those behind them.
//! What may have changed in a conversation that is not held is not guessed at: the hub is asked for its list again, and
//! until the answer is here the total is not told of, nor is a conversation whose number is not known.

use std::collections::VecDeque;
use std::sync::Arc;

use tim_proto::conversation::AtInfo;
use tim_proto::message::{GroupChange, GroupTip, flags};
use tim_proto::unread::{HubCount, Taken, UnreadCount};
use tim_proto::{ConversationId, Payload, ReceiveOption, UserId};

use crate::{Conversation, Flow, Message};

/// How many mentions of the user a conversation holds; the oldest give way.
const MAX_AT: usize = 100;
/// How many entries behind the hub's number are remembered one by one, for each conversation.
const REMEMBERED: usize = 64;
/// Of how many conversations that are not held something is remembered. The hub's list decides about those beyond.
const MAX_UNHELD: usize = 256;

/// The conversations, newest first.
#[derive(Debug)]
pub(crate) struct ConversationList {
    me: UserId,
    held: Vec<Held>,
    /// What was said of conversations that are not held: deliveries may be under way that it is about.
    unheld: VecDeque<Unheld>,
    /// Something that was said of one that is not held is forgotten.
    has_forgotten: bool,
    /// How many are held at the most.
    depth: usize,
    /// What is unread in the conversations that are not held.
    rest: u64,
    /// Whether all that the hub lists are held.
    complete: bool,
    /// Whether the hub's list has come since the login.
    known: bool,
    /// The hub's time at the login, Unix time in seconds.
    since: u64,
    /// How many times the hub was asked for its list.
    asks: u64,
    collecting: Option<Collecting>,
}

#[derive(Debug)]
struct Held {
    conversation: Arc<Conversation>,
    unread: UnreadCount<REMEMBERED>,
    /// Whether the number is known, not only what was delivered.
    sure: bool,
    /// At which of the questions for the list something was last delivered.
    touched: u64,
}

/// A conversation that is not held.
#[derive(Debug, Clone, Copy)]
struct Unheld {
    id: ConversationId,
    /// It is off the list up to this sequence: later entries bring it back.
    through: u64,
    /// The newest number of the hub's.
    count: HubCount,
}

/// The pages of the hub's list that have come so far.
#[derive(Debug, Default)]
struct Collecting {
    fresh: Vec<Conversation>,
    rest: u64,
}

/// A page of the hub's list.
#[derive(Debug)]
pub(crate) struct ListPage {
    pub(crate) conversations: Vec<Conversation>,
    pub(crate) total_unread: u64,
    pub(crate) completed: bool,
}

/// Whether what is known leaves something to ask the hub for.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Nothing,
    /// The list.
    List,
}

impl Need {
    const fn list_if(needed: bool) -> Self {
        if needed { Self::List } else { Self::Nothing }
    }
}

/// What a page of the list comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The next page is wanted too.
    More,
    /// The list is taken over.
    Done(Need),
    /// It was asked for before the last login, and says nothing any more.
    Stale,
}

impl ConversationList {
    pub(crate) const fn new(me: UserId, depth: usize) -> Self {
        Self {
            me,
            held: Vec::new(),
            unheld: VecDeque::new(),
            has_forgotten: false,
            depth,
            rest: 0,
            complete: false,
            known: false,
            since: 0,
            asks: 0,
            collecting: None,
        }
    }

    /// The list as it is known for certain.
    pub(crate) fn list(&self) -> Vec<Arc<Conversation>> {
        let sure = self.held.iter().filter(|held| held.sure);
        sure.map(|held| held.conversation.clone()).collect()
    }

    /// Whether the hub lists more conversations than are held.
    pub(crate) const fn is_truncated(&self) -> bool {
        !self.complete
    }

    /// What is unread in all conversations that count.
    pub(crate) fn total_unread(&self) -> u64 {
        let counting = self
            .held
            .iter()
            .filter(|held| held.conversation.counts_in_total());
        let held = counting.map(|held| u64::from(held.conversation.unread_count));
        held.fold(self.rest, u64::saturating_add)
    }

    /// Whether the hub's list has come since the login.
    pub(crate) const fn is_known(&self) -> bool {
        self.known
    }

    /// Whether every number is known, so that no answer of the hub's is going to correct the total.
    pub(crate) fn is_settled(&self) -> bool {
        self.known
            && self
                .held
                .iter()
                .all(|held| held.sure && !held.unread.is_unclear())
    }

    /// A new login: the user may have read and deleted on other devices meanwhile, and the store may have been restored.
    pub(crate) fn log_in(&mut self, hub_seconds: u64) {
        self.known = false;
        self.since = hub_seconds;
        self.unheld.clear();
        self.collecting = None;
    }

    /// The hub is being asked for the first page of its list.
    pub(crate) fn begin_list(&mut self) {
        self.asks += 1;
        self.collecting = Some(Collecting::default());
    }

    /// How many times the hub was asked for its list.
    pub(crate) const fn asks(&self) -> u64 {
        self.asks
    }

    /// How many conversations the list is to have from now on.
    pub(crate) const fn set_depth(&mut self, depth: usize) {
        self.depth = depth;
    }

    /// The hub does not say what its list is.
    pub(crate) fn give_up_list(&mut self) {
        self.collecting = None;
    }

    /// Takes over a page of the hub's list. A conversation that has moved on since the hub made it keeps its newer state.
    pub(crate) fn take_page(&mut self, page: ListPage) -> Progress {
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
        let mut before: Vec<Option<Held>> = self.held.drain(..).map(Some).collect();
        // What has moved on since stays in front, in its order.
        let (mut ahead, mut listed) = (Vec::new(), Vec::new());
        let mut unclear = false;
        for conversation in fresh {
            let is_same = |held: &Option<Held>| {
                held.as_ref()
                    .is_some_and(|held| held.conversation.id == conversation.id)
            };
            let at = before.iter().position(is_same);
            let Some((at, held)) = at.and_then(|at| Some((at, before.get_mut(at)?.take()?))) else {
                listed.push(Held::new(conversation));
                continue;
            };
            let has_moved = held.conversation.last_sequence > conversation.last_sequence;
            let held = held.refreshed(conversation, !self.known);
            unclear |= !held.sure;
            if has_moved {
                ahead.push((at, held));
            } else {
                listed.push(held);
            }
        }
        // What came since the hub was asked may be newer than its answer.
        let kept = before.into_iter().enumerate();
        let kept =
            kept.filter_map(|(at, held)| Some((at, held?)).filter(|(_, held)| held.touched >= self.asks));
        let in_front = ahead.len();
        ahead.extend(kept);
        let again = unclear || ahead.len() > in_front;
        ahead.sort_by_key(|(at, _)| *at);
        self.held = ahead.into_iter().map(|(_, held)| held).chain(listed).collect();
        (self.rest, self.complete, self.known) = (rest, completed, true);
        self.has_forgotten = false;
        self.keep_depth();
        Need::list_if(again)
    }

    /// The hub begins again from an older state: what it says next is right, however far things were before.
    pub(crate) fn rewind(&mut self) {
        self.known = false;
        self.unheld.clear();
        for held in &mut self.held {
            held.unread = UnreadCount::new(HubCount {
                unread: held.unread.count(),
                counted: 0,
                read: 0,
            });
            Arc::make_mut(&mut held.conversation).last_sequence = 0;
        }
    }

    /// A stored entry that was delivered, or one of this client's that the hub has taken.
    pub(crate) fn take_message(&mut self, message: &Message, delivered: bool) -> Need {
        let view = message.view();
        let (id, sequence) = (message.conversation_id(), view.envelope.sequence);
        if sequence == 0 || view.envelope.flags & flags::ONLINE_ONLY != 0 || self.is_gone(&id, sequence) {
            return Need::Nothing; // never stored (S87, S88), or off the list since
        }
        let me = self.me;
        if view.envelope.flags & flags::NO_LAST != 0 {
            // It does not bring its conversation onto the list or up it.
            if let Some(held) = self.find(&id).filter(|_| delivered) {
                held.unread.deliver(&view, &me);
                held.show_count();
            }
            return Need::Nothing;
        }
        let mut held = match self.position(&id) {
            Some(at) => self.held.remove(at),
            None => self.begin(id, view.envelope.time).named_by(message),
        };
        held.touched = self.asks;
        let is_new = delivered && sequence > held.unread.counted();
        if delivered {
            held.unread.deliver(&view, &me);
        }
        let unread = held.unread.count();
        let conversation = Arc::make_mut(&mut held.conversation);
        conversation.unread_count = unread;
        if sequence >= conversation.last_sequence {
            conversation.last_sequence = sequence;
            conversation.last_message = Some(message.clone());
        }
        if is_new {
            if message.flow() == Flow::In && sequence > conversation.read_sequence {
                note_mention(conversation, message, &me);
            }
            match message.payload() {
                Payload::GroupTip(tip) => take_tip(conversation, &tip),
                _ => take_names(conversation, message),
            }
        }
        let needed = !held.sure || held.unread.is_unclear();
        self.held.insert(0, held);
        self.keep_depth();
        Need::list_if(needed)
    }

    /// The entry `sequence` revokes the message `message` of `sender`.
    pub(crate) fn take_revocation(
        &mut self,
        id: &ConversationId,
        sequence: u64,
        message: u64,
        sender: &UserId,
    ) -> Need {
        if self.is_gone(id, sequence) {
            return Need::Nothing;
        }
        let is_own = *sender == self.me;
        let Some(held) = self.find(id) else {
            return Need::list_if(!is_own && !self.holds_all());
        };
        if !is_own {
            held.unread.revoked(sequence, message);
        }
        let unread = held.unread.count();
        let needed = !held.sure || held.unread.is_unclear();
        let conversation = Arc::make_mut(&mut held.conversation);
        conversation.unread_count = unread;
        conversation
            .group_at_info_list
            .retain(|at| at.sequence != message);
        Need::list_if(needed)
    }

    /// The user wants to be told of a group's messages like this.
    pub(crate) fn set_remind_type(&mut self, id: &ConversationId, option: ReceiveOption) -> Need {
        match self.find(id) {
            Some(held) => {
                Arc::make_mut(&mut held.conversation).message_remind_type = option;
                Need::Nothing
            }
            None => Need::list_if(!self.holds_all()),
        }
    }

    /// A number of the hub's: the user has read, on whichever device.
    pub(crate) fn take_count(&mut self, id: &ConversationId, fresh: HubCount) -> Need {
        if fresh.counted == 0 {
            return Need::Nothing;
        }
        if let Some(held) = self.find(id) {
            return held.take_count(fresh);
        }
        // What it has counted may still be on its way here.
        let through = self.note_unheld(id, |unheld| {
            if (fresh.counted, fresh.read) > (unheld.count.counted, unheld.count.read) {
                unheld.count = fresh;
            }
            unheld.through
        });
        Need::list_if(fresh.counted > through && !self.holds_all())
    }

    /// Remembers something of a conversation that is not held.
    fn note_unheld<T>(&mut self, id: &ConversationId, note: impl FnOnce(&mut Unheld) -> T) -> T {
        let known = self.unheld.iter().position(|unheld| unheld.id == *id);
        let known = known.and_then(|at| self.unheld.remove(at));
        if known.is_none() && self.unheld.len() >= MAX_UNHELD {
            self.unheld.pop_front();
            self.has_forgotten = true;
        }
        let mut unheld = known.unwrap_or_else(|| Unheld {
            id: *id,
            through: 0,
            count: HubCount::default(),
        });
        let noted = note(&mut unheld);
        self.unheld.push_back(unheld);
        noted
    }

    /// The conversation is off the list, with everything up to this sequence.
    pub(crate) fn take_off(&mut self, id: &ConversationId, through: u64) -> Need {
        if through == 0 {
            return Need::Nothing;
        }
        let known = self.note_unheld(id, |unheld| {
            let known = unheld.through;
            unheld.through = through.max(known);
            known
        });
        let Some(at) = self.position(id) else {
            return Need::list_if(known == 0 && !self.holds_all());
        };
        let is_newer = |held: &Held| {
            let last = held.conversation.last_message.as_ref();
            last.is_some_and(|last| last.sequence() > through)
        };
        if !self.held.get(at).is_some_and(is_newer) {
            let count = self.held.remove(at).unread.hub();
            self.note_unheld(id, |unheld| unheld.count = count);
        }
        Need::Nothing
    }

    /// A conversation as the hub describes it by itself, with what has been delivered since.
    pub(crate) fn describe(&mut self, mut conversation: Conversation) -> (Conversation, Need) {
        let Some(held) = self.find(&conversation.id) else {
            return (conversation, Need::Nothing);
        };
        let need = held.take_count(hub_count(&conversation));
        conversation.unread_count = held.conversation.unread_count;
        conversation.read_sequence = held.conversation.read_sequence;
        (conversation, need)
    }

    /// Whether there is nothing on the hub's list that is not held.
    const fn holds_all(&self) -> bool {
        self.known && self.complete && !self.has_forgotten
    }

    fn is_gone(&self, id: &ConversationId, sequence: u64) -> bool {
        self.unheld
            .iter()
            .any(|unheld| unheld.id == *id && sequence <= unheld.through)
    }

    /// A conversation of which the first entry has come, or the first since it was taken off the list. When it is known
    /// that the hub listed nothing of it, and the entry is no older than the login, all of it that is unread was or will be
    /// delivered.
    fn begin(&self, id: ConversationId, seconds: u64) -> Held {
        let unheld = self.unheld.iter().find(|unheld| unheld.id == id);
        let (through, count) = unheld.map_or_else(Default::default, |one| (one.through, one.count));
        let mut held = Held::new(Conversation::empty(id));
        held.unread = UnreadCount::new(if count.counted > through {
            count
        } else {
            HubCount {
                unread: 0,
                counted: through,
                read: through,
            }
        });
        held.show_count();
        held.sure = self.known && (through > 0 || self.holds_all() && seconds > self.since);
        held
    }

    /// Lets go of the oldest ones beyond the depth.
    fn keep_depth(&mut self) {
        while self.held.len() > self.depth.max(1) {
            let Some(oldest) = self.held.pop() else { return };
            if oldest.conversation.counts_in_total() {
                self.rest = self.rest.saturating_add(oldest.conversation.unread_count.into());
            }
            self.complete = false;
        }
    }

    fn position(&self, id: &ConversationId) -> Option<usize> {
        self.held.iter().position(|held| held.conversation.id == *id)
    }

    fn find(&mut self, id: &ConversationId) -> Option<&mut Held> {
        self.held.iter_mut().find(|held| held.conversation.id == *id)
    }
}

impl Held {
    /// A conversation that begins with this message. A peer's own message and a tip say what the conversation is called; of
    /// others that is asked before anybody is told of it.
    fn named_by(mut self, message: &Message) -> Self {
        self.sure &= match self.conversation.id {
            ConversationId::C2c(_) => message.flow() == Flow::In,
            ConversationId::System => true,
            _ => matches!(message.payload(), Payload::GroupTip(_)),
        };
        self
    }

    fn new(conversation: Conversation) -> Self {
        Self {
            unread: UnreadCount::new(hub_count(&conversation)),
            conversation: Arc::new(conversation),
            sure: true,
            touched: 0,
        }
    }

    fn take_count(&mut self, fresh: HubCount) -> Need {
        let taken = self.unread.take(fresh);
        self.show_count();
        Need::list_if(taken == Taken::Unclear || !self.sure || self.unread.is_unclear())
    }

    fn show_count(&mut self) {
        let (unread, read) = (self.unread.count(), self.unread.read_sequence());
        let conversation = &self.conversation;
        if (conversation.unread_count, conversation.read_sequence) != (unread, read) {
            let conversation = Arc::make_mut(&mut self.conversation);
            (conversation.unread_count, conversation.read_sequence) = (unread, read);
            conversation.group_at_info_list.retain(|at| at.sequence > read);
        }
    }

    /// As the hub lists it, with what has been delivered behind that. `restart`: whatever was known before does not count.
    fn refreshed(mut self, mut fresh: Conversation, restart: bool) -> Self {
        let base = hub_count(&fresh);
        let taken = if restart {
            self.unread.restart(base)
        } else {
            self.unread.take(base)
        };
        let known = &*self.conversation;
        let behind = known
            .group_at_info_list
            .iter()
            .filter(|at| at.sequence > base.counted);
        fresh.group_at_info_list.extend(behind.copied());
        if known.last_sequence > fresh.last_sequence {
            fresh.last_sequence = known.last_sequence;
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
        fresh.unread_count = self.unread.count();
        fresh.read_sequence = self.unread.read_sequence();
        let read = fresh.read_sequence;
        fresh.group_at_info_list.retain(|at| at.sequence > read);
        self.sure = taken != Taken::Unclear && !self.unread.is_unclear();
        self.conversation = Arc::new(fresh);
        self
    }
}

/// The hub's number in a conversation that is as the hub describes it.
const fn hub_count(conversation: &Conversation) -> HubCount {
    HubCount {
        unread: conversation.unread_count,
        counted: conversation.last_sequence,
        read: conversation.read_sequence,
    }
}

/// Notes a message that mentions the user.
fn note_mention(conversation: &mut Conversation, message: &Message, me: &UserId) {
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
    list.push(AtInfo {
        sequence: message.sequence(),
        from: message.sender(),
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

#[cfg(test)]
mod tests;
