//! What the client's task knows beside the session: who is logged in, the conversations, the deliveries under way.

pub(crate) mod conversations;
pub(crate) mod groups;
pub(crate) mod inbound;
pub(crate) mod list_sync;
pub(crate) mod throttle;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tim_proto::conversation as wire;
use tim_proto::message::{Payload, Revocation, RevokedBy};
use tim_proto::request::{self, AnyResponse as Answer, ConversationChange, ConversationsResponse, Delivery};
use tim_proto::unread::HubCount;
use tim_proto::{ConversationId, ErrorCode, GroupId, ReceiveOption};
use tim_transport_std::session::{Event as SessionEvent, NetState, NotReadyReason};
use tokio::time::Instant;

use crate::actor::Reply;
use crate::bus::Mark;
use crate::client::LoginResponse;
use crate::event::Event;
use crate::shared::{Shared, Stage};
use crate::state::conversations::{ConversationList, ListPage, Need, Progress};
use crate::state::groups::GroupList;
use crate::state::inbound::{Inbound, Item, Lookup, Question, Revokes};
use crate::state::list_sync::ListSync;
use crate::state::throttle::Throttle;
use crate::{Conversation, GetConversationListResponse, GroupProfile, ImError, Message};

/// The UserSigs of a session that is being renewed.
#[derive(Default)]
struct UserSigs {
    /// The newest one that the application has set.
    newest: String,
    /// The one that the hub took, if the application has set another since the login.
    taken: Option<String>,
    /// For the session to use again, since the hub has refused the newest.
    put_back: Option<String>,
}

pub(crate) struct State {
    pub(crate) shared: Arc<Shared>,
    pub(crate) conversations: ConversationList,
    inbound: VecDeque<Inbound>,
    /// How many deliveries there have been.
    deliveries: u64,
    batch: Batch,
    /// The session takes requests: it may be ready before the application has heard of it.
    session_ready: bool,
    /// The state of the line that was told last.
    net: Option<NetState>,
    lister: ListSync,
    pub(crate) groups: GroupList,
    news: News,
    login: Option<Reply<LoginResponse>>,
    /// Why the last try to log in came to nothing, if something answered.
    turned_away: Option<ImError>,
    user_sigs: UserSigs,
    nick: String,
}

/// How long the total is kept back for the hub's answer that may correct it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Changes of lists that the application is to be told of.
#[derive(Debug, Default)]
struct News {
    conversations: Throttle,
    total_unread: Throttle,
    groups: Throttle,
    /// What was told last.
    told_unread: u64,
    /// The list that was told last, and whether the last message of each was revoked then.
    told_list: Vec<(Arc<Conversation>, bool)>,
    /// Since when the total is not certain.
    unsettled: Option<Instant>,
}

impl News {
    /// Whether a list says anything that the one told last does not.
    fn is_news(&self, list: &[Arc<Conversation>]) -> bool {
        let same = |(conversation, (told, was_revoked)): (&Arc<Conversation>, &(Arc<Conversation>, bool))| {
            let is_same = Arc::ptr_eq(conversation, told) || conversation.says_the_same(told);
            is_same && is_last_revoked(conversation) == *was_revoked
        };
        list.len() != self.told_list.len() || !list.iter().zip(&self.told_list).all(same)
    }

    fn tell(&mut self, list: &[Arc<Conversation>]) {
        let told = list
            .iter()
            .map(|one| (one.clone(), is_last_revoked(one)))
            .collect();
        self.told_list = told;
    }
}

fn is_last_revoked(conversation: &Conversation) -> bool {
    conversation
        .last_message
        .as_ref()
        .is_some_and(Message::is_revoked)
}

/// Messages that make one MESSAGE_RECEIVED, and which deliveries they came in.
#[derive(Debug, Default)]
struct Batch {
    messages: Vec<Message>,
    mark: Option<Mark>,
}

impl State {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let limit = shared.limits.conversations() as usize;
        Self {
            conversations: ConversationList::new(shared.user, limit),
            groups: GroupList::new(shared.user),
            inbound: VecDeque::new(),
            deliveries: 0,
            batch: Batch::default(),
            session_ready: false,
            net: None,
            lister: ListSync::default(),
            news: News::default(),
            login: None,
            turned_away: None,
            user_sigs: UserSigs::default(),
            nick: String::new(),
            shared,
        }
    }

    /// An event of the session that is no answer.
    pub(crate) fn take_event(&mut self, event: &SessionEvent<'_>) {
        match event {
            SessionEvent::LoggedIn(answer) => self.logged_in(answer),
            SessionEvent::LoginFailed(failure) => self.login_failed((*failure).into()),
            SessionEvent::TurnedAway(failure) => self.turned_away = Some((*failure).into()),
            SessionEvent::Ready => {
                self.session_ready = true;
                self.inbound.push_back(Inbound::of(Item::Ready));
            }
            SessionEvent::NotReady(reason) => self.not_ready(*reason),
            SessionEvent::KickedOut(failure) => self.kicked_out((*failure).into()),
            SessionEvent::NetState(state) if self.net.replace(*state) != Some(*state) => {
                self.shared.bus.publish(&Event::NetStateChange(*state));
            }
            SessionEvent::Delivered(deliver) => self.take_delivery(deliver),
            SessionEvent::Gap(gap) => self.inbound.push_back(Inbound::of(Item::Gap(*gap))),
            SessionEvent::ConversationChanged(change) => self.take_change(change),
            SessionEvent::Expiring(expiring) => {
                self.shared.bus.publish(&Event::UserSigExpiring(expiring.expires));
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
            _ => match self.lister.question(Instant::now()) {
                Some(next) => Some(Question::List { next }),
                None => self.groups.next_question().map(Question::Group),
            },
        }
    }

    /// The session has taken the question.
    pub(crate) fn asked(&mut self, question: &Question) {
        match question {
            Question::List { .. } => {
                if self.lister.asked() {
                    self.conversations.begin_list();
                }
            }
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
            (Question::List { .. }, Ok(Answer::Conversations(page))) => self.take_page(page),
            (Question::List { .. }, answer) => {
                let error = answer.err().unwrap_or_else(ImError::unexpected_answer);
                self.conversations.give_up_list();
                self.lister.failed(Instant::now(), &error);
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
        self.waiting() >= self.shared.bus.capacity() && !self.session_ready
    }

    /// How many deliveries wait for what they lack.
    pub(crate) fn waiting(&self) -> usize {
        self.inbound.len()
    }

    /// Publishes what has come together. The total comes before the messages that it counts, as in the vendor's SDK.
    pub(crate) fn publish(&mut self) {
        self.publish_total();
        self.flush_batch();
        self.publish_lists();
    }

    /// Tells of the total if it has changed, unless that was done less than a second ago, and not before it is certain.
    fn publish_total(&mut self) {
        let (now, bus) = (Instant::now(), &self.shared.bus);
        let unread = self.conversations.total_unread();
        self.shared.total_unread.store(unread, Ordering::Relaxed);
        if self.conversations.is_settled() && self.lister.is_idle() {
            self.news.unsettled = None;
        } else {
            let since = *self.news.unsettled.get_or_insert(now);
            if !self.conversations.is_known() || now < since + PATIENCE {
                return;
            }
        }
        if unread == self.news.told_unread {
            return self.news.total_unread.drop_wanted();
        }
        self.news.total_unread.want();
        if self.shared.status().ready && self.news.total_unread.take(now, bus.has_streams()) {
            self.news.told_unread = unread;
            bus.publish(&Event::TotalUnreadMessageCountUpdated(unread));
        }
    }

    /// Tells of lists that say something new, unless that was done less than a second ago.
    fn publish_lists(&mut self) {
        let (now, bus) = (Instant::now(), &self.shared.bus);
        let heard = bus.has_streams();
        let may_tell = self.shared.status().ready && self.conversations.is_known();
        if may_tell && self.news.conversations.is_open(now) {
            let list = self.conversations.list();
            if !self.news.is_news(&list) {
                self.news.conversations.drop_wanted();
            } else if self.news.conversations.take(now, heard) {
                self.news.tell(&list);
                bus.publish(&Event::ConversationListUpdated(list));
            }
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
        let now = Instant::now();
        let told = self.shared.status().ready && self.conversations.is_known();
        let patience = self.news.unsettled.filter(|_| told).map(|since| since + PATIENCE);
        let lists = [conversations, total_unread].into_iter().filter(|_| told);
        lists
            .chain([groups])
            .filter_map(Throttle::due)
            .chain(self.lister.due())
            .chain(patience)
            .filter(|due| *due > now) // what is due already waits for something else
            .min()
    }

    pub(crate) fn begin_login(&mut self, reply: Reply<LoginResponse>) {
        self.login = Some(reply);
        self.turned_away = None;
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
        self.lister.refuse(&ErrorCode::LOGGED_OUT.into());
    }

    /// The application wants the list, with at most so many conversations.
    pub(crate) fn list(&mut self, depth: usize, reply: Reply<GetConversationListResponse>) {
        let status = self.shared.status();
        if !status.ready {
            let _ = reply.send(Err(status.refusal().into()));
            return;
        }
        self.conversations.set_depth(depth);
        self.lister.wait(self.conversations.asks(), reply);
    }

    /// Takes over a page of the hub's conversation list.
    fn take_page(&mut self, page: &ConversationsResponse<'_>) {
        let conversations = page.conversations.iter();
        let conversations = conversations
            .map(|conversation| self.conversation(&conversation))
            .collect();
        let progress = self.conversations.take_page(ListPage {
            conversations,
            total_unread: page.total_unread,
            completed: page.completed || page.next.is_empty(),
        });
        match progress {
            Progress::More => self.lister.go_on(page.next),
            Progress::Done(need) => {
                self.list_has_changed(need);
                let list = self.conversations.list();
                let is_truncated = self.conversations.is_truncated();
                self.lister.done(self.conversations.asks(), &list, is_truncated);
            }
            Progress::Stale => self.lister.restart_stale(),
        }
    }

    /// The user has read or deleted a conversation, on whichever device.
    fn take_change(&mut self, change: &ConversationChange) {
        if change.counted == 0 {
            return self.list_has_changed(Need::List); // the hub has no number at hand
        }
        self.take_count(&change.conversation, change.into(), change.deleted_through);
    }

    /// The user wants to be told of a group's messages like this.
    pub(crate) fn set_remind_type(&mut self, group: GroupId, option: ReceiveOption) {
        let id = ConversationId::Group(group);
        let need = self.conversations.set_remind_type(&id, option);
        self.list_has_changed(need);
        if !self.lister.is_idle() {
            self.lister.want(); // what is under way may be older
        }
    }

    /// A number of the hub's, and through which sequence the conversation is off the list.
    pub(crate) fn take_count(
        &mut self,
        conversation: &ConversationId,
        count: HubCount,
        deleted_through: u64,
    ) {
        let need = self.conversations.take_count(conversation, count);
        self.list_has_changed(need);
        let need = self.conversations.take_off(conversation, deleted_through);
        self.list_has_changed(need);
    }

    /// A revocation takes its message off the count.
    pub(crate) fn take_revocation(&mut self, revokes: &Revokes) {
        let Revokes {
            conversation,
            sequence,
            message,
            sender,
        } = revokes;
        let need = self
            .conversations
            .take_revocation(conversation, *sequence, *message, sender);
        self.list_has_changed(need);
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

    /// A conversation as the hub describes it by itself, with what has been delivered since.
    pub(crate) fn described(&mut self, conversation: &wire::Conversation<'_>) -> Conversation {
        let conversation = self.conversation(conversation);
        let (described, need) = self.conversations.describe(conversation);
        self.list_has_changed(need);
        described
    }

    /// A group as the hub describes it.
    pub(crate) fn group(&self, group: &wire::GroupProfile<'_>) -> GroupProfile {
        self.shared.note_group(group.id, group.group_type);
        group.into()
    }

    /// The list may have changed, and the hub may have to be asked for it.
    pub(crate) fn list_has_changed(&mut self, need: Need) {
        // Before whoever has asked for the change hears that it is done.
        let total = self.conversations.total_unread();
        self.shared.total_unread.store(total, Ordering::Relaxed);
        self.news.conversations.want();
        if need == Need::List {
            self.lister.want();
        }
    }

    fn logged_in(&mut self, answer: &request::LoginResponse<'_>) {
        self.shared.logged_in(answer.account, answer.time_ms);
        self.shared.bus.start_at(answer.cursor);
        self.nick = answer.nick.into();
        self.user_sigs = UserSigs::default();
        self.shared.set_status(|status| status.stage = Stage::LoggedIn);
        if let Some(reply) = self.login.take() {
            let _ = reply.send(Ok(self.login_response(false)));
        }
        self.conversations.log_in(answer.time_ms / 1000);
        self.lister.restart();
    }

    /// The session's next login uses this UserSig instead of `replaced`.
    pub(crate) fn user_sig_set(&mut self, user_sig: String, replaced: String) {
        if self.shared.status().ready {
            self.user_sigs.taken.get_or_insert(replaced);
        }
        self.user_sigs.newest = user_sig;
        self.user_sigs.put_back = None;
    }

    /// The hub has answered to a UserSig for the session that is on. One that it refuses must not be presented at the
    /// next login: that would end the session, which the one before it still holds up.
    pub(crate) fn user_sig_answered(&mut self, user_sig: String, refusal: Option<&ImError>) {
        let sigs = &mut self.user_sigs;
        match refusal {
            None => sigs.taken = Some(user_sig),
            Some(error) if error.code.ends_session() && sigs.newest == user_sig => {
                if self.shared.status().ready {
                    sigs.put_back.clone_from(&sigs.taken);
                }
            }
            Some(_) => {}
        }
    }

    /// The UserSig that the session has to use again.
    pub(crate) fn take_put_back(&mut self) -> Option<String> {
        let put_back = self.user_sigs.put_back.take()?;
        self.user_sigs.newest.clone_from(&put_back);
        Some(put_back)
    }

    /// Why the first login cannot come to anything however often it is tried, if that is so: what answers is no hub, or
    /// one of another version.
    pub(crate) fn hopeless(&mut self) -> Option<ImError> {
        let hopeless =
            |error: &ImError| matches!(error.code, ErrorCode::NOT_A_HUB | ErrorCode::UNSUPPORTED_VERSION);
        let first = self.login.is_some();
        self.turned_away.take_if(|error| first && hopeless(error))
    }

    /// Why the last try to log in came to nothing, as the hub said.
    pub(crate) const fn take_turned_away(&mut self) -> Option<ImError> {
        self.turned_away.take()
    }

    fn not_ready(&mut self, reason: NotReadyReason) {
        self.session_ready = false;
        let was_ready = self.shared.status().ready;
        // It was not told of before, so it is not told of now.
        self.inbound
            .retain(|inbound| !matches!(inbound.item, Item::Ready));
        self.flush_batch();
        self.shared.set_status(|status| status.ready = false);
        if was_ready {
            self.shared.bus.publish(&Event::SdkNotReady(reason));
        }
        self.lister.refuse(&self.shared.status().refusal().into());
    }

    fn kicked_out(&mut self, error: ImError) {
        self.flush_batch();
        self.shared
            .set_status(|status| status.stage = Stage::Ended(error.code));
        self.shared.bus.publish(&Event::KickedOut(error));
    }

    fn take_delivery(&mut self, deliver: &Delivery<'_>) {
        self.deliveries += 1;
        let cursor = (!deliver.cursor.is_empty()).then(|| deliver.cursor.to_vec());
        let mark = Mark {
            through: self.deliveries,
            cursor,
        };
        let view = deliver.message();
        let revokes = match &view.payload {
            Payload::Revocation(revocation) => Some(Revokes {
                conversation: view.conversation_of(&self.shared.user),
                sequence: view.envelope.sequence,
                message: revocation.sequence,
                sender: revocation.sender,
            }),
            _ => None,
        };
        let item = self.item_of(&view);
        self.inbound.push_back(Inbound {
            mark: Some(mark),
            item,
            revokes,
            asked: false,
        });
    }

    fn item_of(&self, view: &tim_proto::Message<'_>) -> Item {
        if let Payload::Revocation(revocation) = &view.payload {
            return self.revocation(view, revocation);
        }
        let message = self.shared.instance(view);
        if message.is_made_here() {
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
        if view.envelope.origin == self.shared.device && *view.sender() == self.shared.user {
            return Item::Nothing; // the call that did it has said so
        }
        known.map_or_else(
            || Item::Revoked(Lookup::new(conversation, revocation, &by)),
            Item::Found,
        )
    }

    fn emit_first(&mut self) {
        let Some(first) = self.inbound.pop_front() else {
            return;
        };
        let Inbound {
            mark, item, revokes, ..
        } = first;
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
            Item::Found(message) => {
                self.publish_total();
                self.flush_batch();
                self.shared
                    .bus
                    .publish_marked(Some(&Event::MessageRevoked(vec![message])), mark);
            }
            Item::Gap(gap) => {
                self.publish_total();
                self.flush_batch();
                if gap.is_restored() {
                    self.conversations.rewind();
                }
                self.list_has_changed(Need::List);
                if gap.conversation == ConversationId::System {
                    self.groups.lost_notices();
                }
                self.shared.bus.publish(&Event::Gap(gap));
            }
            Item::Ready => {
                self.flush_batch();
                self.shared.set_status(|status| status.ready = true);
                self.shared.bus.publish(&Event::SdkReady);
                self.lister.want();
            }
            Item::Nothing | Item::Revoked(_) => self.batch.add(mark),
        }
    }

    /// A stored entry that was delivered, or one of this client's that the hub has taken.
    pub(crate) fn take_message(&mut self, message: &Message, delivered: bool) {
        let need = self.conversations.take_message(message, delivered);
        self.list_has_changed(need);
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
impl Drop for State {
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
