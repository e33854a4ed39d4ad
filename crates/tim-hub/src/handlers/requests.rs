//! What becomes of each request. Nothing that a client says is trusted: who it is comes from the login, and membership,
//! sizes and rates are checked here, before anything is stored.

use std::sync::Arc;

use bytes::Bytes;
use tim_proto::message::{Content, Revocation};
use tim_proto::request::{
    AnyResponse as Answer, CreateGroupResponse, FetchResponse, JoinGroupResponse, MarkReadResponse,
    MemberOutcome, MembersResponse, RevokeResponse,
};
use tim_proto::wire::{Encode, FrameKind, List, decode_body, encoded_len};
use tim_proto::{ConversationId, ErrorCode, MessageId, MessageKind};
use tim_session::SendError;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::connection::Connection;
use crate::device::{Answered, Device, Outcome};
use crate::encoding::{self as encode, HistoryBody, Raw};
use crate::groups::GroupResponse;
use crate::groups::tips::content;
use crate::handlers::ask::{Ask, Revoking};
use crate::handlers::groups;
use crate::handlers::pages::{self, Paged};
use crate::refusal::Refusal;
use crate::store::{About, Conversation, Entry, LogKey, PageRequest, Revoke, Write, Written};

/// What of a frame is not messages: its header and the answer's other fields, generously.
pub(crate) const ANSWER_OVERHEAD: usize = 64;
/// The most bytes that the length before an item of a list takes.
pub(crate) const MAX_LEN_PREFIX: usize = 5;

impl<L: AsyncRead + AsyncWrite + Unpin> Connection<L> {
    pub(crate) fn handle(&mut self, id: u32, kind: FrameKind, ask: Ask) {
        let Some(me) = &mut self.me else {
            return self.fail(id, &Refusal::new(ErrorCode::USER_NOT_LOGGED_IN, ""));
        };
        let (device, account) = (Arc::clone(&me.device), me.account);
        me.checked = self.hub.permissions.now(); // before it is asked what is stale
        if device.is_stale() {
            me.forget();
        }
        let done = match ask {
            Ask::Send(sending) => self.send(id, &device, account, sending),
            Ask::Revoke(revoking) => self.revoke(id, &device, account, &revoking),
            Ask::History {
                conversation,
                next,
                count,
            } => self.history(id, &device, conversation, &next, count),
            Ask::MarkRead {
                conversation,
                sequence,
            } => self.mark_read(id, &device, conversation, sequence),
            Ask::Conversations { next, count } => self.conversations(id, &device, &next, count),
            Ask::Profile { conversation } => self.profile(id, &device, conversation),
            Ask::Delete { conversation } => {
                let log = LogKey::of(device.user, conversation);
                self.write(
                    id,
                    kind,
                    &device,
                    Some(log),
                    Write::DeleteConversation {
                        user: device.user,
                        log,
                    },
                )
            }
            Ask::Fetch {
                conversation,
                sequence,
                offset,
                len,
            } => self.fetch(id, &device, conversation, sequence, offset, len),
            Ask::CreateGroup(new) => groups::create(&self.hub, &device, id, *new),
            Ask::ChangeGroup { group, action } => self.change_group(id, kind, &device, group, *action),
            Ask::GroupMembers(asked) => self.group_members(id, &device, &asked),
            Ask::Groups { next, count } => self.groups(id, &device, &next, count),
            Ask::GroupProfile { group } => self.group_profile(id, &device, group),
            Ask::UserProfiles { users } => self.user_profiles(id, &users),
            Ask::Renew { user_sig } => self.renew(id, &user_sig),
            Ask::UpdateUserProfile { nick, avatar } => self.update_user_profile(id, &device, nick, avatar),
        };
        if let Err(failed) = done {
            self.fail(id, &failed);
        }
    }

    pub(crate) fn write(
        &self,
        id: u32,
        kind: FrameKind,
        device: &Arc<Device>,
        log: Option<LogKey>,
        write: Write,
    ) -> Result<(), Refusal> {
        self.hub
            .submit(device, id, kind, log, None, write)
            .map_err(|error| Refusal::from(&error))
    }

    fn mark_read(
        &mut self,
        id: u32,
        device: &Arc<Device>,
        conversation: ConversationId,
        sequence: u64,
    ) -> Result<(), Refusal> {
        let log = LogKey::of(device.user, conversation);
        if let LogKey::Group(group) = log
            && self.hub.presence.is_room(&group)
        {
            // Nothing of it is ever unread.
            self.hub.permissions.place(&device.user, group)?;
            let nothing = MarkReadResponse {
                read_sequence: 0,
                unread: 0,
                counted: 0,
            };
            self.reply(id, FrameKind::MARK_READ, &Answer::MarkRead(nothing));
            return Ok(());
        }
        let write = Write::MarkRead {
            user: device.user,
            log,
            upto: (sequence > 0).then_some(sequence),
        };
        self.write(id, FrameKind::MARK_READ, device, Some(log), write)
    }

    fn revoke(
        &self,
        id: u32,
        device: &Arc<Device>,
        account: u64,
        revoking: &Revoking,
    ) -> Result<(), Refusal> {
        let (sequence, message) = (revoking.sequence, revoking.message);
        let log = LogKey::of(device.user, revoking.conversation);
        if sequence == 0 || self.is_in_room(device, &log) {
            let text = "the message is not stored and cannot be revoked";
            return Err(Refusal::new(ErrorCode::GROUP_NOT_ALLOW_REVOKE_MSG, text));
        }
        // Outsiders are not told whether there is such a message; who may revoke it is for the store to decide.
        self.visible_from(device, &log)?;
        let target = self.hub.reader.entry(&log, sequence)?;
        let any = message == MessageId::default();
        let Some(target) = target.filter(|target| any || target.id == message) else {
            return Err(Refusal::new(
                in_conversation(ErrorCode::GROUP_REVOKE_MSG_NOT_FOUND, Some(log)),
                "",
            ));
        };
        let revocation = Revocation {
            sequence,
            message: target.id,
            sender: target.sender,
            revoker: device.user,
            reason: &revoking.reason,
        };
        let now_ms = self.hub.now_ms();
        // Derived, so that a repeated request makes the same entry.
        let entry_id = MessageId {
            sender: account,
            client_time: now_ms / 1000,
            random: target.id.random,
        };
        let content = content(
            revoking.conversation,
            entry_id,
            MessageKind::REVOCATION,
            &revocation,
        );
        let limits = &self.hub.options.limits;
        let manager_window_ms = match limits.manager_revoke_window_seconds() {
            0 => u64::MAX,
            seconds => seconds.saturating_mul(1000),
        };
        let revoke = Revoke {
            log,
            sequence,
            by: device.user,
            window_ms: self.hub.settings.revoke_window_ms(),
            manager_window_ms,
            reason: revoking.reason.clone(),
            origin: device.number,
            id: entry_id,
            content,
        };
        self.write(id, FrameKind::REVOKE, device, Some(log), Write::Revoke(revoke))
    }

    fn is_in_room(&self, device: &Device, log: &LogKey) -> bool {
        let presence = &self.hub.presence;
        matches!(log, LogKey::Group(group) if presence.is_room(group) && presence.is_in(group, &device.user))
    }

    /// What the user may see of a log: everything behind the returned sequence.
    fn visible_from(&self, device: &Device, log: &LogKey) -> Result<u64, Refusal> {
        let LogKey::Group(group) = log else { return Ok(0) };
        match self.hub.reader.membership(group, &device.user)? {
            Some(membership) => Ok(membership.joined_at),
            // Of a room nothing is kept.
            None if self.is_in_room(device, log) => Ok(u64::MAX),
            None if self.hub.reader.group(group)?.is_none() => {
                Err(Refusal::new(ErrorCode::GROUP_NOT_FOUND, ""))
            }
            None => Err(Refusal::new(
                ErrorCode::GROUP_PERMISSION_DENY,
                "only members read a group's history",
            )),
        }
    }

    fn history(
        &mut self,
        id: u32,
        device: &Arc<Device>,
        conversation: ConversationId,
        next: &[u8],
        count: u16,
    ) -> Result<(), Refusal> {
        let log = LogKey::of(device.user, conversation);
        let paged = Paged::History(log);
        let before = match paged.place(next)? {
            Some(place) => Some(encode::page_number(place).ok_or_else(pages::invalid)?),
            None => None,
        };
        let asked = (count > 0).then_some(u32::from(count));
        let limit = self.hub.options.limits.page_len(asked).unwrap_or(1) as usize;
        let max = self.max_answer().saturating_sub(ANSWER_OVERHEAD);
        let after = self.visible_from(device, &log)?;
        let page = self.hub.reader.page(&PageRequest {
            log,
            before,
            after,
            limit,
            max_bytes: max,
        })?;
        // The newest that fit; what is left out comes with the next page.
        let mut room = max;
        let mut messages: Vec<Bytes> = Vec::with_capacity(page.entries.len());
        let mut oldest = page.next;
        for entry in page.entries.iter().rev() {
            let message = encode::fitted(encode::message(entry), max.saturating_sub(MAX_LEN_PREFIX));
            let Some(left) = room.checked_sub(message.len() + MAX_LEN_PREFIX) else {
                break;
            };
            room = left;
            oldest = entry.sequence;
            messages.push(message);
        }
        if messages.is_empty() && !page.entries.is_empty() {
            return Err(Refusal::new(
                ErrorCode::FRAME_TOO_LARGE,
                "not one message of it fits into a frame that you take",
            ));
        }
        messages.reverse();
        let whole = messages.len() == page.entries.len();
        let raw: Vec<Raw<'_>> = messages.iter().map(|message| Raw(message)).collect();
        let next = encode::page_cursor(if whole { page.next } else { oldest });
        let body = HistoryBody {
            next: &paged.cursor(next.as_ref()),
            completed: whole && page.completed,
            messages: List::from_slice(&raw),
        };
        self.reply_body(id, FrameKind::HISTORY, &body);
        Ok(())
    }

    fn conversations(
        &mut self,
        id: u32,
        device: &Arc<Device>,
        next: &[u8],
        count: u16,
    ) -> Result<(), Refusal> {
        let paged = Paged::Conversations(device.user);
        let after = groups::list_cursor(paged.place(next)?)?;
        let limit = groups::page_len(count, self.hub.options.limits.conversations());
        let page = self.hub.reader.conversations(&device.user, after, limit)?;
        let max = self.max_answer().saturating_sub(ANSWER_OVERHEAD);
        let found = &page.conversations;
        let lasts: Vec<_> = found.iter().map(|one| self.last_message(one, max / 4)).collect();
        let entries: Vec<_> = found
            .iter()
            .zip(&lasts)
            .map(|(one, last)| encode::conversation(one, last.as_deref()))
            .collect();
        let fit = groups::fitting(entries.iter().map(encoded_len), max)?;
        let list = entries.get(..fit).unwrap_or_default();
        let completed = fit == found.len() && !page.more;
        let last = page.next.get(fit.saturating_sub(1)).filter(|_| !completed);
        let next = last.map(|last| paged.cursor(last.as_bytes())).unwrap_or_default();
        let answer = tim_proto::request::ConversationsResponse {
            next: &next,
            completed,
            total_unread: page.total_unread,
            conversations: List::from_slice(list),
        };
        self.reply(id, FrameKind::CONVERSATIONS, &Answer::Conversations(answer));
        Ok(())
    }

    fn last_message(&self, conversation: &Conversation, max: usize) -> Option<Bytes> {
        conversation
            .last
            .as_ref()
            .map(|entry: &Entry| encode::fitted(encode::message(entry), max))
    }

    fn profile(
        &mut self,
        id: u32,
        device: &Arc<Device>,
        conversation: ConversationId,
    ) -> Result<(), Refusal> {
        let log = LogKey::of(device.user, conversation);
        let found = match self.hub.reader.conversation(&device.user, &log)? {
            Some(found) => found,
            None => match self.not_begun(conversation, log)? {
                Some(empty) => empty,
                None => return self.room_conversation(id, device, conversation),
            },
        };
        let max = self.max_answer() / 2;
        let last = self.last_message(&found, max);
        let hub = Arc::clone(&self.hub);
        let group = match &found.about {
            About::Group(group, membership) => Some(hub.profile(group, Some(membership), true)),
            _ => None,
        };
        let profile = encode::profile(&found, last.as_deref(), group);
        self.reply(
            id,
            FrameKind::CONVERSATION_PROFILE,
            &Answer::ConversationProfile(profile),
        );
        Ok(())
    }

    /// A conversation of two, or the system's, in which nothing was said yet; `None` for a group's.
    fn not_begun(&self, id: ConversationId, log: LogKey) -> Result<Option<Conversation>, Refusal> {
        let about = match id {
            ConversationId::C2c(peer) => match self.hub.reader.account(&peer)? {
                Some(account) => About::Peer(account),
                None => return Err(Refusal::new(ErrorCode::USER_OR_GROUP_NOT_FOUND, "")),
            },
            ConversationId::System => About::System,
            _ => return Ok(None),
        };
        Ok(Some(Conversation {
            log,
            id,
            last: None,
            unread: 0,
            read_sequence: 0,
            head_sequence: 0,
            head_change: 0,
            first_kept: 1,
            hidden: false,
            about,
            at: Vec::new(),
        }))
    }

    fn fetch(
        &mut self,
        id: u32,
        device: &Arc<Device>,
        conversation: ConversationId,
        sequence: u64,
        offset: u32,
        len: u32,
    ) -> Result<(), Refusal> {
        let log = LogKey::of(device.user, conversation);
        let visible = sequence > self.visible_from(device, &log)?;
        let Some(entry) = self.hub.reader.entry(&log, sequence)?.filter(|_| visible) else {
            return Err(Refusal::new(ErrorCode::MESSAGE_NOT_FOUND, ""));
        };
        if entry.is_revoked() {
            return Err(Refusal::new(ErrorCode::ALREADY_REVOKED, ""));
        }
        let Ok(content) = decode_body::<Content<'_>>(&entry.content) else {
            return Err(Refusal::new(
                ErrorCode::STORAGE_FAILED,
                "the stored message cannot be read",
            ));
        };
        let payload = content.payload;
        let max = self.max_answer().saturating_sub(ANSWER_OVERHEAD);
        let start = (offset as usize).min(payload.len());
        let end = start.saturating_add((len as usize).min(max)).min(payload.len());
        let answer = FetchResponse {
            total: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            bytes: payload.get(start..end).unwrap_or(&[]),
        };
        self.reply(id, FrameKind::FETCH, &Answer::Fetch(answer));
        Ok(())
    }

    /// The store has answered a request of this connection.
    pub(crate) fn answered(&mut self, answered: Answered) {
        if answered.kind == FrameKind::LOGIN {
            return self.logged_in(&answered);
        }
        let Answered {
            request,
            kind,
            log,
            group,
            outcome,
        } = answered;
        let outcome = match outcome {
            Outcome::Store(answer) => answer,
            Outcome::Refused(failed) => return self.fail(request, &failed),
            Outcome::PassedOn(passed) => return self.sent(request, log, 0, passed.time, passed.duplicate),
        };
        let answer = match outcome {
            Ok(Written::Stored(at)) => {
                return self.sent(request, log, at.sequence, at.time_ms / 1000, false);
            }
            Ok(Written::Duplicate(at)) => {
                return self.sent(request, log, at.sequence, at.time_ms / 1000, true);
            }
            Ok(Written::Revoked { entry, .. }) => Answer::Revoke(RevokeResponse {
                sequence: entry.sequence,
            }),
            Ok(Written::Read {
                read_sequence,
                unread,
                counted,
                ..
            }) => Answer::MarkRead(MarkReadResponse {
                read_sequence,
                unread: u32::try_from(unread).unwrap_or(u32::MAX),
                counted,
            }),
            Ok(Written::Group { .. }) if let Some(group) = group => {
                Answer::CreateGroup(CreateGroupResponse { group })
            }
            Ok(Written::GroupChanged(changed)) => {
                return self.group_changed(request, kind, &changed.response);
            }
            Ok(_) => Answer::Done,
            Err(error) => {
                let failed = Refusal::from(&error);
                let code = in_conversation(failed.code, log);
                return self.fail(request, &Refusal { code, ..failed });
            }
        };
        self.reply(request, kind, &answer);
    }

    fn group_changed(&mut self, request: u32, kind: FrameKind, answer: &GroupResponse) {
        match answer {
            GroupResponse::Done => self.reply(request, kind, &Answer::Done),
            GroupResponse::Joined(status) => {
                let answer = JoinGroupResponse { status: *status };
                self.reply(request, kind, &Answer::JoinGroup(answer));
            }
            GroupResponse::Members(results) => {
                let results = results.iter();
                let results: Vec<MemberOutcome> = results
                    .map(|(user, result)| MemberOutcome {
                        user: *user,
                        result: *result,
                    })
                    .collect();
                let answer = MembersResponse {
                    results: List::from_slice(&results),
                };
                self.reply(request, kind, &Answer::Members(answer));
            }
        }
    }

    pub(crate) fn reply(&mut self, id: u32, kind: FrameKind, answer: &Answer<'_>) {
        self.reply_body(id, kind, answer);
    }

    fn reply_body<T: Encode>(&mut self, id: u32, kind: FrameKind, body: &T) {
        match self.io.session().respond_untyped(id, kind, body) {
            Ok(()) | Err(SendError::NotOnline) => {}
            Err(SendError::TooLarge { .. }) => self.fail(
                id,
                &Refusal::new(ErrorCode::FRAME_TOO_LARGE, "the answer is larger than you take"),
            ),
            Err(_) => self.fail(id, &Refusal::new(ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR, "")),
        }
    }
}

/// TIM has different codes for the same refusal in groups and between two users.
fn in_conversation(code: ErrorCode, log: Option<LogKey>) -> ErrorCode {
    match (code, log) {
        (ErrorCode::MSG_REVOKE_TIME_LIMIT, Some(LogKey::Group(_))) => ErrorCode::GROUP_REVOKE_MSG_TIME_LIMIT,
        (ErrorCode::GROUP_REVOKE_MSG_DENY, Some(LogKey::C2c(_))) => ErrorCode::REVOKE_DENIED,
        (ErrorCode::GROUP_REVOKE_MSG_NOT_FOUND, Some(LogKey::C2c(_))) => ErrorCode::MESSAGE_NOT_FOUND,
        (code, _) => code,
    }
}
