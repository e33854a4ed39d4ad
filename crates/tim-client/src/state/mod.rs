//! The core of the SDK: a state machine without I/O, clock or tasks.
//!
//! [`State`] is told what happened: an event of the session, a response to a [`Query`] of its own, a command or a response
//! on behalf of the application. It answers with queued [`Effect`]s and with the next [`Query`]. The client's task
//! (`actor`) moves them between the session, the event streams and the calls. The current time is an argument.
//!
//! - `session`: login stage, readiness, UserSigs
//! - `conversations`: the conversation list and its unread counts; `list_sync`: when to request it from the hub
//! - `groups`: the group list
//! - `inbound`: deliveries that are not published yet, in order; `publish`: how they become events
//! - `query`: requests of the state itself, for missing parts and for the lists
//! - `messages`: the message instances that the application holds
//! - `revoked_here`: revocations by calls, of which no event tells
//! - `updates`: which lists and totals to publish; `throttle`: how often

pub(crate) mod conversations;
pub(crate) mod groups;
mod inbound;
mod list_sync;
mod messages;
mod publish;
mod query;
mod revoked_here;
mod session;
#[cfg(test)]
mod tests;
mod throttle;
mod updates;

use std::collections::VecDeque;
use std::sync::Arc;

use tim_proto::conversation as wire;
use tim_proto::message::{Header, Revocation, RevokedBy};
use tim_proto::request::{self, ConversationChange, Delivery, HistoryResponse};
use tim_proto::unread::HubCount;
use tim_proto::wire::{FrameKind, decode_body};
use tim_proto::{ConversationId, ErrorCode, GroupId, GroupType, ReceiveOption, UserId};
use tim_transport_std::session::{Event as SessionEvent, Instant, NotReadyReason};

use crate::client::LoginResponse;
use crate::event::Event;
use crate::message::Revoking;
use crate::{Conversation, GetConversationListResponse, GroupProfile, ImError, Message};
use conversations::{ConversationList, Need};
use groups::{AvChatRooms, GroupList};
use inbound::{InboundQueue, Item, Lookup, Revokes, headers};
use list_sync::ListSync;
use publish::Batch;
use revoked_here::RevokedHere;
use session::SessionState;
use updates::Updates;

pub(crate) use inbound::{next_piece, take_piece};
pub(crate) use messages::Messages;
pub(crate) use query::Query;
pub(crate) use session::{Stage, Status};

/// Identifies a call that waits for the conversation list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Waiter(pub(crate) u64);

/// The deliveries that an event comes from: the number of the last one, and its cursor if it has one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) through: u64,
    pub(crate) cursor: Option<Vec<u8>>,
}

/// What the owner of a [`State`] has to do, in order.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Publish an event that no delivery has caused.
    Publish(Event),
    /// These deliveries are processed. Publish the event that they caused, if any.
    Delivered {
        event: Option<Event>,
        mark: Mark,
    },
    /// The status has changed.
    Status(Status),
    /// The total of unread messages, for calls that read it without asking.
    TotalUnread(u64),
    /// The hub has accepted the login; ids are made with these from now on.
    LoggedIn {
        account: u64,
        hub_time_ms: u64,
        cursor: Vec<u8>,
    },
    /// The login call is done.
    LoginDone(Result<LoginResponse, ImError>),
    /// A call that waits for the conversation list is done.
    ListDone(Waiter, Result<GetConversationListResponse, ImError>),
    Session(SessionEffect),
}

/// What the session has to do.
#[derive(Debug)]
pub(crate) enum SessionEffect {
    /// Log in with this UserSig from now on.
    UseUserSig(String),
    LogOut,
}

/// What `handle` and its kind need to know about the moment of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) now: Instant,
    /// Whether any event stream is open.
    pub(crate) has_listeners: bool,
}

/// What a [`State`] is made with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Config {
    pub(crate) user: UserId,
    pub(crate) device: u64,
    /// How many conversations the list holds.
    pub(crate) conversations: usize,
    /// How much of a stub is fetched at a time, in bytes.
    pub(crate) fetch_piece: u32,
    /// How many deliveries may wait for missing parts before they are published without them, while no part can be
    /// requested.
    pub(crate) capacity: usize,
}

pub(crate) struct State {
    config: Config,
    messages: Arc<Messages>,
    av_chat_rooms: Arc<AvChatRooms>,
    session: SessionState,
    conversations: ConversationList,
    list_sync: ListSync,
    pub(crate) groups: GroupList,
    inbound: InboundQueue,
    revoked_here: RevokedHere,
    batch: Batch,
    updates: Updates,
    /// The total of unread messages in the last [`Effect::TotalUnread`].
    total_unread: u64,
    effects: VecDeque<Effect>,
}

/// Whether requests of this kind change nothing at the hub.
const fn only_reads(kind: FrameKind) -> bool {
    matches!(
        kind,
        FrameKind::HISTORY
            | FrameKind::CONVERSATIONS
            | FrameKind::CONVERSATION_PROFILE
            | FrameKind::FETCH
            | FrameKind::GROUP_MEMBERS
            | FrameKind::GROUPS
            | FrameKind::GROUP_PROFILE
            | FrameKind::USER_PROFILES
            | FrameKind::RENEW
    )
}

/// Commands, and what the owner asks.
impl State {
    pub(crate) fn new(config: Config, messages: Arc<Messages>, av_chat_rooms: Arc<AvChatRooms>) -> Self {
        Self {
            messages,
            av_chat_rooms,
            session: SessionState::new(),
            conversations: ConversationList::new(config.user, config.conversations),
            list_sync: ListSync::default(),
            groups: GroupList::new(config.user),
            inbound: InboundQueue::default(),
            revoked_here: RevokedHere::default(),
            batch: Batch::default(),
            updates: Updates::default(),
            total_unread: 0,
            effects: VecDeque::new(),
            config,
        }
    }

    pub(crate) const fn status(&self) -> Status {
        self.session.status
    }

    /// The next effect; until there is none, the owner has something to do.
    pub(crate) fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// How many deliveries wait for missing parts.
    pub(crate) const fn waiting(&self) -> usize {
        self.inbound.waiting_deliveries()
    }

    /// How much waits behind missing parts, with what this client has done itself.
    pub(crate) fn backlog(&self) -> usize {
        self.inbound.len()
    }

    /// Begins the first login. Its result is an effect.
    pub(crate) fn begin_login(&mut self) {
        self.session.begin_login();
        self.status_changed();
    }

    pub(crate) fn login_response(&self, repeat_login: bool) -> LoginResponse {
        LoginResponse {
            account: self.session.account,
            nick: self.session.nick.clone(),
            repeat_login,
        }
    }

    /// The time for the first login is up. `connection_error`: why there is no connection.
    pub(crate) fn login_timed_out(&mut self, connection_error: Option<String>) {
        let error = self.session.timeout_error(connection_error);
        self.login_failed(error);
        self.effects.push_back(Effect::Session(SessionEffect::LogOut));
    }

    /// The session is logged out.
    pub(crate) fn logged_out(&mut self) {
        self.login_done(Err(ErrorCode::LOGGED_OUT.into()));
        let status = &mut self.session.status;
        status.ready = false;
        if !matches!(status.stage, Stage::Ended(_)) {
            status.stage = Stage::Ended(ErrorCode::LOGGED_OUT);
        }
        self.status_changed();
        self.groups.clear();
        self.abandon_lists(&ErrorCode::LOGGED_OUT.into());
    }

    /// A call waits for the list of the latest `depth` conversations.
    pub(crate) fn list(&mut self, depth: usize, waiter: Waiter) {
        let status = self.session.status;
        if !status.ready {
            let refused = Err(status.refusal().into());
            return self.effects.push_back(Effect::ListDone(waiter, refused));
        }
        self.conversations.set_depth(depth);
        self.list_sync.wait(self.conversations.generation(), waiter);
    }

    /// The session's next login uses this UserSig instead of `replaced`.
    pub(crate) fn user_sig_set(&mut self, user_sig: String, replaced: String) {
        let ready = self.session.status.ready;
        self.session.user_sigs.set(user_sig, replaced, ready);
    }

    fn status_changed(&mut self) {
        self.effects.push_back(Effect::Status(self.session.status));
    }

    fn publish(&mut self, event: Event) {
        self.effects.push_back(Effect::Publish(event));
    }

    fn login_done(&mut self, result: Result<LoginResponse, ImError>) {
        if std::mem::take(&mut self.session.login_pending) {
            self.effects.push_back(Effect::LoginDone(result));
        }
    }

    fn abandon_lists(&mut self, error: &ImError) {
        let waiters = self.list_sync.abandon();
        self.fail_lists(waiters, error);
    }

    fn fail_lists(&mut self, waiters: Vec<Waiter>, error: &ImError) {
        let failed = |waiter| Effect::ListDone(waiter, Err(error.clone()));
        self.effects.extend(waiters.into_iter().map(failed));
    }
}

/// Events of the session.
impl State {
    pub(crate) fn handle(&mut self, event: &SessionEvent<'_>) {
        match event {
            SessionEvent::LoggedIn(response) => self.logged_in(response),
            SessionEvent::LoginFailed(failure) => self.login_failed((*failure).into()),
            SessionEvent::TurnedAway(failure) => {
                if let Some(hopeless) = self.session.turned_away((*failure).into()) {
                    self.login_failed(hopeless);
                    self.effects.push_back(Effect::Session(SessionEffect::LogOut));
                }
            }
            SessionEvent::Ready => {
                self.session.takes_requests = true;
                self.inbound.push(Item::Ready);
            }
            SessionEvent::NotReady(reason) => self.not_ready(*reason),
            SessionEvent::KickedOut(failure) => self.kicked_out((*failure).into()),
            SessionEvent::NetState(state) if self.session.set_net(*state) => {
                self.publish(Event::NetStateChange(*state));
            }
            SessionEvent::Delivered(delivery) => self.take_delivery(delivery),
            SessionEvent::Gap(gap) => {
                if gap.is_restored() {
                    self.revoked_here.clear();
                    self.messages.rewind();
                }
                self.inbound.gap(*gap);
            }
            SessionEvent::ConversationChanged(change) => self.take_change(change),
            SessionEvent::Late { kind } if !only_reads(*kind) => self.list_changed(Need::List),
            SessionEvent::Expiring(expiring) => self.publish(Event::UserSigExpiring(expiring.expires)),
            _ => {} // a malformed push, which the session counts and the driver logs, or an event of a later version
        }
    }

    /// All events of the session so far are handled, and this is its cursor.
    pub(crate) fn passed(&mut self, cursor: &[u8]) {
        self.inbound.passed(cursor);
    }

    fn logged_in(&mut self, response: &request::LoginResponse<'_>) {
        self.effects.push_back(Effect::LoggedIn {
            account: response.account,
            hub_time_ms: response.time_ms,
            cursor: response.cursor.to_vec(),
        });
        let session = &mut self.session;
        session.account = response.account;
        session.nick = response.nick.into();
        session.user_sigs = Default::default();
        session.status.stage = Stage::LoggedIn;
        self.status_changed();
        self.login_done(Ok(self.login_response(false)));
        self.conversations.log_in(response.time_ms / 1000);
        self.list_sync.restart();
    }

    /// A login was refused or took too long: the first one, or one to reconnect.
    fn login_failed(&mut self, error: ImError) {
        if self.session.login_pending {
            self.session.status.stage = Stage::Ended(ErrorCode::LOGIN_FAILED);
            self.status_changed();
            self.login_done(Err(error));
        } else {
            self.kicked_out(error);
        }
    }

    fn not_ready(&mut self, reason: NotReadyReason) {
        self.session.takes_requests = false;
        self.inbound.drop_ready();
        self.flush_batch();
        let was_ready = std::mem::take(&mut self.session.status.ready);
        self.status_changed();
        if was_ready {
            self.publish(Event::SdkNotReady(reason));
        }
        let refusal = self.session.status.refusal().into();
        self.abandon_lists(&refusal);
    }

    fn kicked_out(&mut self, error: ImError) {
        tracing::warn!(code = error.code.0, "the hub has ended the session");
        self.flush_batch();
        self.session.status.stage = Stage::Ended(error.code);
        self.status_changed();
        self.publish(Event::KickedOut(error));
    }

    /// The user has read or deleted a conversation, on whichever device.
    fn take_change(&mut self, change: &ConversationChange) {
        if change.counted == 0 {
            // The hub has no count at hand.
            self.conversations.doubt_options();
            return self.list_changed(Need::List);
        }
        self.take_count(&change.conversation, change.into(), change.deleted_through);
    }

    fn take_delivery(&mut self, delivery: &Delivery<'_>) {
        let header = &delivery.header;
        let revocation = header.payload::<Revocation<'_>>();
        let revokes = revocation.map(|revocation| Revokes {
            conversation: header.conversation_of(&self.config.user),
            sequence: header.envelope.sequence,
            message: revocation.sequence,
            sender: revocation.sender,
        });
        let item = match &revocation {
            Some(revocation) => self.revocation(header, revocation),
            None => self.message_item(header),
        };
        self.inbound.deliver(delivery.cursor, item, revokes);
    }

    fn message_item(&self, header: &Header<'_>) -> Item {
        let message = self.messages.instance(header);
        if message.is_created_here() {
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

    fn revocation(&mut self, header: &Header<'_>, revocation: &Revocation<'_>) -> Item {
        let me = &self.config.user;
        let conversation = header.conversation_of(me);
        let is_from_here = header.envelope.origin == self.config.device && header.sender() == me;
        let known = self
            .messages
            .known(conversation, revocation.sender, revocation.message);
        let by = RevokedBy::new(revocation.revoker.as_str())
            .with_reason(revocation.reason)
            .with_name(header.content.revoker_name());
        if let Some(message) = &known {
            message.mark_revoked(&by);
        }
        if is_from_here {
            let sequence = header.envelope.sequence;
            if self.revoked_here.delivered(conversation, sequence) {
                return Item::Silent;
            }
            // Without an answered call it is of an earlier run, or the response is on its way or lost.
            if let Some(message) = &known {
                message.own_revocation_arrived();
            }
        }
        match known {
            Some(message) if message.is_being_revoked() && is_from_here => Item::Revoking(message),
            Some(message) => Item::Revoked(message),
            None => Item::Lookup(Lookup::new(conversation, revocation, &by)),
        }
    }
}

/// Responses to calls of the application.
impl State {
    /// A count of the hub, and through which sequence the conversation is off the list.
    pub(crate) fn take_count(
        &mut self,
        conversation: &ConversationId,
        count: HubCount,
        deleted_through: u64,
    ) {
        let need = self.conversations.take_count(conversation, count);
        self.list_changed(need);
        let need = self.conversations.take_off(conversation, deleted_through);
        self.list_changed(need);
    }

    /// A revocation takes its message off the count.
    fn take_revocation(&mut self, revokes: &Revokes) {
        let Revokes {
            conversation,
            sequence,
            message,
            sender,
        } = revokes;
        let need = self
            .conversations
            .take_revocation(conversation, *sequence, *message, sender);
        self.list_changed(need);
    }

    /// A call that revokes a message has its response: the sequence of the revocation.
    pub(crate) fn revoke_done(
        &mut self,
        revoking: &Revoking,
        response: Result<u64, ImError>,
    ) -> Result<(), ImError> {
        let message = revoking.message();
        let sequence = match response {
            Ok(sequence) => sequence,
            Err(_) if revoking.is_done() => {
                revoking.succeeded();
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        message.mark_revoked(&RevokedBy::new(self.config.user.as_str()));
        let revokes = Revokes {
            conversation: message.conversation_id(),
            sequence,
            message: message.sequence(),
            sender: message.sender(),
        };
        if revoking.succeeded() && !revoking.is_done() {
            self.revoked_here.answered(revokes.conversation, sequence);
        }
        self.take_revocation(&revokes);
        Ok(())
    }

    /// A stored entry: one that was delivered, or one of this client that the hub has accepted.
    pub(crate) fn take_message(&mut self, message: &Message, delivered: bool) {
        let need = self.conversations.take_message(message, delivered);
        self.list_changed(need);
    }

    /// The user has set the receive option of a group.
    pub(crate) fn set_receive_option(&mut self, group: GroupId, option: ReceiveOption) {
        let id = ConversationId::Group(group);
        let need = self.conversations.set_receive_option(&id, option);
        self.list_changed(need);
        if !self.list_sync.is_idle() {
            self.list_sync.want(); // the request in flight may be older
        }
        self.groups
            .change(group, |group| group.message_remind_type = option);
    }

    /// The hub has answered to a UserSig for the current session.
    pub(crate) fn user_sig_answered(&mut self, user_sig: String, refusal: Option<&ImError>) {
        let session = &mut self.session;
        match refusal {
            None => session.user_sigs.accepted(user_sig),
            Some(error) if error.code.ends_session() && session.status.ready => {
                let fallback = session.user_sigs.refused(&user_sig);
                let effect = fallback.map(|fallback| Effect::Session(SessionEffect::UseUserSig(fallback)));
                self.effects.extend(effect);
            }
            Some(_) => {}
        }
    }

    /// A conversation as the hub describes it by itself, with what was delivered since.
    pub(crate) fn described(&mut self, conversation: &wire::Conversation<'_>) -> Conversation {
        let conversation = self.conversation(conversation);
        let (described, need) = self.conversations.describe(conversation);
        self.list_changed(need);
        described
    }

    /// A conversation as the hub describes it, with the instance of its last message.
    fn conversation(&self, conversation: &wire::Conversation<'_>) -> Conversation {
        let last = conversation.last_message;
        let last = last.and_then(|message| decode_body::<Header<'_>>(message).ok());
        let last = last.map(|header| self.messages.instance(&header));
        if let ConversationId::Group(group) = conversation.id {
            self.av_chat_rooms.note(group, conversation.group_type);
        }
        Conversation::from_wire(conversation, last)
    }

    /// A group as the hub describes it.
    pub(crate) fn group(&self, group: &wire::GroupProfile<'_>) -> GroupProfile {
        self.av_chat_rooms.note(group.id, group.group_type);
        group.into()
    }

    /// Remembers the type of a group.
    pub(crate) fn note_group(&self, group: GroupId, group_type: GroupType) {
        self.av_chat_rooms.note(group, group_type);
    }

    /// The instances of a page of history.
    pub(crate) fn instances(&self, page: &HistoryResponse<'_>) -> Vec<Message> {
        headers(page)
            .map(|header| self.messages.instance(&header))
            .collect()
    }

    /// The list may have changed, and the hub may have to be asked for it.
    fn list_changed(&mut self, need: Need) {
        self.update_total(); // before the call that caused the change returns
        self.updates.conversations.request();
        if need == Need::List {
            self.list_sync.want();
        }
    }
}
