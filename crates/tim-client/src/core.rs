//! What the client's task knows beside the session: who is logged in, the conversations, the deliveries under way.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tim_proto::conversation as wire;
use tim_proto::message::{Payload, Revocation, RevokedBy};
use tim_proto::request::{Answer, ConversationsAnswer, Delivery, LoginAnswer};
use tim_proto::{ConversationId, ErrorCode};
use tim_transport_std::session::{Event as SessionEvent, NotReadyReason};
use tokio::time::Instant;

use crate::actor::Reply;
use crate::bus::Mark;
use crate::cache::ConversationCache;
use crate::client::LoginResponse;
use crate::event::Event;
use crate::groups::GroupCache;
use crate::inbound::{Inbound, Item, Lookup, Question};
use crate::shared::{Shared, Stage};
use crate::throttle::Throttle;
use crate::{Conversation, GroupProfile, ImError, Message};

pub(crate) struct Core {
    pub(crate) shared: Arc<Shared>,
    pub(crate) conversations: ConversationCache,
    inbound: VecDeque<Inbound>,
    /// How many deliveries there have been.
    deliveries: u64,
    batch: Batch,
    refresh: Refresh,
    pub(crate) groups: GroupCache,
    news: News,
    login: Option<Reply<LoginResponse>>,
    nick: String,
}

/// Changes of lists that the application is to be told of.
#[derive(Debug, Default)]
struct News {
    conversations: Throttle,
    total_unread: Throttle,
    groups: Throttle,
    /// What was told last.
    told_unread: u64,
}

/// Messages that make one MESSAGE_RECEIVED, and which deliveries they came in.
#[derive(Debug, Default)]
struct Batch {
    messages: Vec<Message>,
    mark: Option<Mark>,
}

/// Whether the hub's conversation list is to be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refresh {
    No,
    Wanted,
    Asked,
    /// Asked, and something has changed since.
    AskedAndWanted,
}

impl Core {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let limit = shared.limits.conversations() as usize;
        Self {
            conversations: ConversationCache::new(shared.user, limit),
            groups: GroupCache::new(shared.user),
            inbound: VecDeque::new(),
            deliveries: 0,
            batch: Batch::default(),
            refresh: Refresh::No,
            news: News::default(),
            login: None,
            nick: String::new(),
            shared,
        }
    }

    /// An event of the session that is no answer.
    pub(crate) fn take_event(&mut self, event: &SessionEvent<'_>) {
        match event {
            SessionEvent::LoggedIn(answer) => self.logged_in(answer),
            SessionEvent::LoginFailed(failure) => self.login_failed((*failure).into()),
            SessionEvent::Ready => {
                self.shared.set_status(|status| status.ready = true);
                self.shared.bus.publish(&Event::SdkReady);
                self.want_refresh();
            }
            SessionEvent::NotReady(reason) => self.not_ready(*reason),
            SessionEvent::KickedOut(failure) => self.kicked_out((*failure).into()),
            SessionEvent::NetState(state) => self.shared.bus.publish(&Event::NetStateChange(*state)),
            SessionEvent::Delivered(deliver) => self.take_delivery(deliver),
            SessionEvent::Gap(gap) => {
                self.inbound.push_back(Inbound {
                    mark: None,
                    item: Item::Gap(*gap),
                    asked: false,
                });
            }
            SessionEvent::ConversationChanged(change) => {
                if !self.conversations.take_change(change) {
                    self.want_refresh();
                }
                self.news.conversations.want();
            }
            _ => {} // a malformed frame was passed over; a later version's event means nothing here
        }
    }

    /// Turns what is complete into events, up to the first delivery that lacks something, and says what to ask for next.
    pub(crate) fn next_question(&mut self) -> Option<Question> {
        while self.inbound.front().is_some_and(|first| first.item.is_complete()) {
            self.emit_first();
        }
        match self.inbound.front() {
            Some(first) if !first.asked => first.item.question(self.shared.fetch_piece),
            _ if !self.shared.status().ready => None,
            _ if self.refresh == Refresh::Wanted => Some(Question::List),
            _ => self.groups.next_question().map(Question::Group),
        }
    }

    /// The session has taken the question.
    pub(crate) fn asked(&mut self, question: &Question) {
        match question {
            Question::List => self.refresh = Refresh::Asked,
            Question::Group(group) => self.groups.asked(*group),
            _ => self
                .inbound
                .iter_mut()
                .take(1)
                .for_each(|first| first.asked = true),
        }
    }

    /// The answer to the question, or why there is none.
    pub(crate) fn answered(&mut self, question: &Question, answer: Result<&Answer<'_>, ImError>) {
        match (question, answer) {
            (Question::List, answer) => {
                let again = std::mem::replace(&mut self.refresh, Refresh::No) == Refresh::AskedAndWanted;
                if let Ok(Answer::Conversations(list)) = answer {
                    self.replace_list(list);
                }
                if again {
                    self.want_refresh();
                }
            }
            (Question::Group(group), answer) => {
                let profile = match answer {
                    Ok(Answer::GroupProfile(profile)) => Ok(self.group(profile)),
                    Ok(_) => Err(ImError::unexpected_answer()),
                    Err(error) => Err(error),
                };
                self.groups.answered(*group, profile);
            }
            (_, answer) => {
                let Some(first) = self.inbound.front_mut() else {
                    return;
                };
                first.asked = false;
                let shared = &self.shared;
                match answer {
                    Ok(answer) => first
                        .item
                        .take_answer(answer, &shared.user, |view| shared.instance(view)),
                    Err(_) => first.item.give_up(&shared.user),
                }
            }
        }
    }

    /// Whether what is missing must be done without: nothing can be asked for before the hub has delivered everything,
    /// and it cannot go on before what waits here is out of the way.
    pub(crate) fn must_not_wait(&self) -> bool {
        self.waiting() >= self.shared.bus.capacity() && !self.shared.status().ready
    }

    /// How many deliveries wait for what they lack.
    pub(crate) fn waiting(&self) -> usize {
        self.inbound.len()
    }

    /// Publishes what has come together.
    pub(crate) fn publish(&mut self) {
        self.flush_batch();
        self.publish_lists();
    }

    /// Tells of lists that have changed, unless that was done less than a second ago.
    fn publish_lists(&mut self) {
        let (now, bus) = (Instant::now(), &self.shared.bus);
        let heard = bus.has_streams();
        if self.news.conversations.take(now, heard) {
            bus.publish(&Event::ConversationListUpdated(self.conversations.list()));
        }
        let unread = self.conversations.total_unread();
        self.shared.total_unread.store(unread, Ordering::Relaxed);
        if unread != self.news.told_unread {
            self.news.total_unread.want();
        }
        if self.news.total_unread.take(now, heard) && unread != self.news.told_unread {
            self.news.told_unread = unread;
            bus.publish(&Event::TotalUnreadMessageCountUpdated(unread));
        }
        if self.groups.take_changed() {
            self.news.groups.want();
        }
        if self.news.groups.take(now, heard) {
            bus.publish(&Event::GroupListUpdated(self.groups.list()));
        }
    }

    /// When a list that has changed may be told of.
    pub(crate) fn news_due(&self) -> Option<Instant> {
        let News {
            conversations,
            total_unread,
            groups,
            ..
        } = &self.news;
        [conversations, total_unread, groups]
            .into_iter()
            .filter_map(Throttle::due)
            .min()
    }

    pub(crate) fn begin_login(&mut self, reply: Reply<LoginResponse>) {
        self.login = Some(reply);
        self.shared.set_status(|status| status.stage = Stage::LoggingIn);
    }

    pub(crate) fn login_response(&self, repeat_login: bool) -> LoginResponse {
        LoginResponse {
            account: self.shared.account(),
            nick: self.nick.clone(),
            repeat_login,
        }
    }

    /// A login was refused or took too long: the first one, or one to get back in.
    pub(crate) fn login_failed(&mut self, error: ImError) {
        match self.login.take() {
            Some(reply) => {
                self.shared
                    .set_status(|status| status.stage = Stage::Ended(ErrorCode::LOGIN_FAILED));
                let _ = reply.send(Err(error));
            }
            None => self.kicked_out(error),
        }
    }

    /// A logout is done.
    pub(crate) fn logged_out(&mut self) {
        if let Some(reply) = self.login.take() {
            let _ = reply.send(Err(ErrorCode::LOGGED_OUT.into()));
        }
        self.shared.set_status(|status| {
            if !matches!(status.stage, Stage::Ended(_)) {
                status.stage = Stage::Ended(ErrorCode::LOGGED_OUT);
            }
            status.ready = false;
        });
        self.groups.clear();
    }

    /// Takes over the hub's conversation list.
    pub(crate) fn replace_list(&mut self, list: &ConversationsAnswer<'_>) {
        let fresh = list
            .conversations
            .iter()
            .map(|conversation| self.conversation(&conversation))
            .collect();
        self.conversations.replace(fresh);
        self.news.conversations.want();
    }

    /// A conversation as the hub describes it, with the instance of its last message.
    pub(crate) fn conversation(&self, conversation: &wire::Conversation<'_>) -> Conversation {
        let last = conversation
            .last_message()
            .map(|view| self.shared.instance(&view));
        if let ConversationId::Group(group) = conversation.id {
            self.shared.note_group(group, conversation.group_type);
        }
        Conversation::from_wire(conversation, last)
    }

    /// A group as the hub describes it.
    pub(crate) fn group(&self, group: &wire::GroupProfile<'_>) -> GroupProfile {
        self.shared.note_group(group.id, group.group_type);
        group.into()
    }

    /// The list has changed here, by one of the user's own calls.
    pub(crate) fn list_has_changed(&mut self) {
        self.news.conversations.want();
    }

    fn logged_in(&mut self, answer: &LoginAnswer<'_>) {
        self.shared.account.store(answer.account, Ordering::Relaxed);
        self.shared.bus.start_at(answer.cursor);
        self.nick = answer.nick.into();
        self.shared.set_status(|status| status.stage = Stage::LoggedIn);
        if let Some(reply) = self.login.take() {
            let _ = reply.send(Ok(self.login_response(false)));
        }
        self.want_refresh();
    }

    fn not_ready(&mut self, reason: NotReadyReason) {
        self.shared.set_status(|status| status.ready = false);
        self.shared.bus.publish(&Event::SdkNotReady(reason));
    }

    fn kicked_out(&mut self, error: ImError) {
        self.shared
            .set_status(|status| status.stage = Stage::Ended(error.code));
        self.shared.bus.publish(&Event::KickedOut(error));
    }

    fn want_refresh(&mut self) {
        self.refresh = match self.refresh {
            Refresh::No | Refresh::Wanted => Refresh::Wanted,
            Refresh::Asked | Refresh::AskedAndWanted => Refresh::AskedAndWanted,
        };
    }

    fn take_delivery(&mut self, deliver: &Delivery<'_>) {
        self.deliveries += 1;
        let cursor = (!deliver.cursor.is_empty()).then(|| deliver.cursor.to_vec());
        let mark = Mark {
            through: self.deliveries,
            cursor,
        };
        let item = self.item_of(&deliver.message());
        self.inbound.push_back(Inbound {
            mark: Some(mark),
            item,
            asked: false,
        });
    }

    fn item_of(&self, view: &tim_proto::Message<'_>) -> Item {
        if let Payload::Revocation(revocation) = &view.payload {
            return self.revocation(view, revocation);
        }
        let conversation = view.conversation_of(&self.shared.user);
        let known = self.shared.known(conversation, *view.from(), view.id);
        let own = known.is_some_and(|known| known.is_made_here());
        let message = self.shared.instance(view);
        if own {
            Item::Own(message)
        } else if message.is_stub() {
            Item::Stub {
                message,
                payload: Vec::new(),
            }
        } else {
            Item::Message(message)
        }
    }

    fn revocation(&self, view: &tim_proto::Message<'_>, revocation: &Revocation<'_>) -> Item {
        let conversation = view.conversation_of(&self.shared.user);
        let known = self
            .shared
            .known(conversation, revocation.sender, revocation.message);
        let by = RevokedBy {
            revoker: revocation.revoker.as_str(),
            reason: revocation.reason,
            name: view.revoker_name(),
        };
        if let Some(message) = &known {
            message.mark_revoked(&by);
        }
        if view.envelope.origin == self.shared.device && *view.from() == self.shared.user {
            return Item::Nothing; // the call that did it has said so
        }
        known.map_or_else(
            || Item::Revoked(Lookup::new(conversation, revocation, &by)),
            Item::Found,
        )
    }

    fn emit_first(&mut self) {
        let Some(Inbound { mark, item, .. }) = self.inbound.pop_front() else {
            return;
        };
        match item {
            Item::Message(message) | Item::Stub { message, .. } => {
                self.conversations.take_message(&message, true);
                self.groups.take_message(&message);
                self.news.conversations.want();
                self.batch.messages.push(message);
                self.batch.add(mark);
            }
            Item::Own(message) => {
                self.conversations.take_message(&message, true);
                self.news.conversations.want();
                self.batch.add(mark);
            }
            Item::Found(message) => {
                self.flush_batch();
                self.news.conversations.want();
                // Whether it had been counted as unread is the hub's to say.
                let unread = self.conversations.get(&message.conversation_id());
                if unread.is_some_and(|conversation| conversation.unread_count > 0) {
                    self.want_refresh();
                }
                self.shared
                    .bus
                    .publish_marked(Some(&Event::MessageRevoked(vec![message])), mark);
            }
            Item::Gap(gap) => {
                self.flush_batch();
                if gap.is_restored() {
                    self.conversations.rewind();
                    self.want_refresh();
                }
                if gap.conversation == ConversationId::System {
                    self.groups.lost_notices();
                }
                self.shared.bus.publish(&Event::Gap(gap));
            }
            Item::Nothing | Item::Revoked(_) => self.batch.add(mark),
        }
    }

    fn flush_batch(&mut self) {
        let Batch { messages, mark } = std::mem::take(&mut self.batch);
        if messages.is_empty() {
            if mark.is_some() {
                self.shared.bus.publish_marked(None, mark);
            }
        } else {
            self.shared
                .bus
                .publish_marked(Some(&Event::MessageReceived(messages)), mark);
        }
    }
}

/// The client's task has ended, or was ended by the runtime. Deliveries that were not complete stay behind the cursor.
impl Drop for Core {
    fn drop(&mut self) {
        self.logged_out();
        self.shared.bus.close();
    }
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
