//! The requests that the model hub answers. A handler reads the request from its body and sends the response.

use tim_session::proto::conversation::{Conversation, ConversationProfile, UserProfile};
use tim_session::proto::message::{Header, Message};
use tim_session::proto::request::{
    Conversations, ConversationsResponse, DeleteConversation, Failure, Fetch, FetchResponse,
    GetConversationProfile, History, HistoryResponse, MarkRead, MarkReadResponse, Renew, RenewResponse,
    Request, Revoke, RevokeResponse, Send,
};
use tim_session::proto::wire::{FrameKind, List, decode_body};
use tim_session::proto::{ConversationId, ErrorCode, GroupType, UserId};

use tim_session::{Instant, SendError};

use super::connection::Connection;
use super::store::{Key, Store};
use super::{cursor, position};
use crate::Incoming;

/// The default length of a page.
const PAGE: usize = 15;

/// What a handler works on.
pub(super) struct Context<'a> {
    pub(super) store: &'a mut Store,
    pub(super) connection: &'a mut Connection,
    /// User and device.
    pub(super) device: (UserId, u64),
    pub(super) now: Instant,
    /// Requests to refuse, once each.
    pub(super) refusals: &'a mut Vec<(FrameKind, ErrorCode)>,
    pub(super) retry_after_ms: u32,
    pub(super) request: &'a Incoming,
}

impl Context<'_> {
    pub(super) fn handle(mut self) {
        let kind = self.request.kind;
        let refused = self.refusals.iter().position(|refusal| refusal.0 == kind);
        let done = match refused {
            Some(at) => Err(self.refusals.remove(at).1),
            None => self.dispatch(),
        };
        if let Err(code) = done {
            let failure = Failure::new(code, "").with_retry_after_ms(self.retry_after_ms);
            let failed = self.connection.session.fail(self.request.id, &failure);
            failed.expect("room for an error");
        }
    }

    fn dispatch(&mut self) -> Result<(), ErrorCode> {
        match self.request.kind {
            FrameKind::SEND => self.send(),
            FrameKind::REVOKE => self.revoke(),
            FrameKind::HISTORY => self.history(),
            FrameKind::FETCH => self.fetch(),
            FrameKind::BEGIN_UPLOAD => self.begin_upload(),
            FrameKind::UPLOAD => self.upload(),
            FrameKind::END_UPLOAD => self.end_upload(),
            FrameKind::CANCEL_UPLOAD => self.cancel_upload(),
            FrameKind::DOWNLOAD => self.download(),
            FrameKind::MARK_READ => self.mark_read(),
            FrameKind::CONVERSATIONS => self.conversations(),
            FrameKind::CONVERSATION_PROFILE => self.profile(),
            FrameKind::DELETE_CONVERSATION => self.delete(),
            FrameKind::RENEW => self.respond::<Renew<'_>>(&RenewResponse::new(u64::MAX)),
            _ => Err(ErrorCode::UNSUPPORTED_REQUEST),
        }
    }

    /// Sends a response; an error code if the client takes no frame of its size.
    pub(super) fn respond<R: Request>(&mut self, response: &R::Response<'_>) -> Result<(), ErrorCode> {
        let sent = self.connection.session.respond::<R>(self.request.id, response);
        match sent {
            Err(SendError::TooLarge { .. }) => Err(ErrorCode::FRAME_TOO_LARGE),
            sent => {
                sent.expect("room for a response");
                Ok(())
            }
        }
    }

    /// The log of a conversation, if there is one.
    pub(super) fn log(&self, conversation: ConversationId) -> Option<Key> {
        let key = Key::new(self.device.0, conversation)?;
        let has_log = self.store.takes_part(self.device.0, &key) && !self.store.log(&key).is_empty();
        has_log.then_some(key)
    }

    fn send(&mut self) -> Result<(), ErrorCode> {
        let content = Send::content_bytes(&self.request.body).map_err(|_| ErrorCode::MSG_PKG_PARSE_FAILED)?;
        let time = self.now.as_micros() / 1_000_000;
        let response = self.store.append(content, self.device, time)?;
        self.respond::<Send<'_>>(&response)
    }

    fn revoke(&mut self) -> Result<(), ErrorCode> {
        let revoke: Revoke<'_> = self.request.request();
        let key = self.log(revoke.conversation);
        key.and_then(|key| self.store.revoke(&key, revoke.sequence, revoke.message))
            .ok_or(ErrorCode::MSG_REVOKE_TIME_LIMIT)?;
        self.respond::<Revoke<'_>>(&RevokeResponse::new(revoke.sequence))
    }

    /// As many messages before the mark as were asked for, or as fit.
    fn history(&mut self) -> Result<(), ErrorCode> {
        let history: History<'_> = self.request.request();
        let key = self.log(history.conversation);
        let log = key.map(|key| self.store.log(&key).to_vec()).unwrap_or_default();
        let end = position(history.next).unwrap_or(log.len()).min(log.len());
        let count = match history.count {
            0 => PAGE,
            count => count.into(),
        };
        let mut sent = Ok(());
        for start in end.saturating_sub(count)..=end {
            let messages: Vec<_> = log[start..end]
                .iter()
                .filter_map(|entry| Message::decode_from(entry).ok())
                .collect();
            sent = self.respond::<History<'_>>(
                &HistoryResponse::new(List::from_slice(&messages))
                    .with_next(&cursor(start))
                    .with_completed(start == 0),
            );
            if sent.is_ok() {
                break;
            }
        }
        sent
    }

    fn fetch(&mut self) -> Result<(), ErrorCode> {
        let fetch: Fetch = self.request.request();
        let key = self.log(fetch.conversation);
        let entry = key.and_then(|key| self.store.entry(&key, fetch.sequence));
        let entry = entry.ok_or(ErrorCode::MESSAGE_NOT_FOUND)?.to_vec();
        let header: Header<'_> = decode_body(&entry).expect("an entry of the log");
        let payload = header.content.payload;
        let (offset, len) = (fetch.offset as usize, fetch.len as usize);
        let end = payload.len().min(offset.saturating_add(len));
        self.respond::<Fetch>(&FetchResponse::new(
            payload.len() as u32,
            payload.get(offset..end).unwrap_or(&[]),
        ))
    }

    fn mark_read(&mut self) -> Result<(), ErrorCode> {
        let mark: MarkRead = self.request.request();
        let response = self.mark(mark.conversation, mark.sequence, false)?;
        self.respond::<MarkRead>(&response)
    }

    fn delete(&mut self) -> Result<(), ErrorCode> {
        let delete: DeleteConversation = self.request.request();
        let response = self.mark(delete.conversation, 0, true)?;
        self.respond::<DeleteConversation>(&response)
    }

    /// Marks a conversation as read through `sequence`; 0 is all of it.
    fn mark(
        &mut self,
        conversation: ConversationId,
        sequence: u64,
        delete: bool,
    ) -> Result<MarkReadResponse, ErrorCode> {
        let (user, key) = (self.device.0, self.log(conversation));
        let key = key.ok_or(ErrorCode::CONVERSATION_NOT_FOUND)?;
        let last = self.store.log(&key).len() as u64;
        let through = if sequence == 0 { last } else { sequence.min(last) };
        let marks = self.store.mark_read(user, key, through, delete);
        Ok(MarkReadResponse::new(marks.read)
            .with_unread(self.store.unread(user, &key))
            .with_counted(last))
    }

    fn conversations(&mut self) -> Result<(), ErrorCode> {
        let user = self.device.0;
        let list: Vec<Shown> = self
            .store
            .logs_of(user)
            .filter_map(|key| {
                let shown = Shown::new(self.store, user, key);
                (shown.last_sequence > self.store.marks(user, &key).deleted).then_some(shown)
            })
            .collect();
        let mut sent = Ok(());
        // Without their last messages if the client takes no frame of that size.
        for with_last in [true, false] {
            let listed: Vec<_> = list.iter().map(|shown| shown.conversation(with_last)).collect();
            sent = self.respond::<Conversations<'_>>(
                &ConversationsResponse::new(List::from_slice(&listed))
                    .with_completed(true)
                    .with_total_unread(list.iter().map(|shown| u64::from(shown.unread)).sum()),
            );
            if sent.is_ok() {
                break;
            }
        }
        sent
    }

    fn profile(&mut self) -> Result<(), ErrorCode> {
        let profile: GetConversationProfile = self.request.request();
        let key = self.log(profile.conversation);
        let key = key.ok_or(ErrorCode::CONVERSATION_NOT_FOUND)?;
        let shown = Shown::new(self.store, self.device.0, key);
        let mut response = ConversationProfile::new(shown.conversation(false));
        if let ConversationId::C2c(id) = profile.conversation {
            response.user = Some(UserProfile::new(id).with_nick(&shown.name));
        }
        self.respond::<GetConversationProfile>(&response)
    }
}

/// A conversation of the list, with its own memory.
struct Shown {
    id: ConversationId,
    name: String,
    unread: u32,
    read_sequence: u64,
    last_sequence: u64,
    last: Vec<u8>,
}

impl Shown {
    fn new(store: &Store, user: UserId, key: Key) -> Self {
        let id = key.conversation_of(user);
        Self {
            id,
            name: nick(id.target()),
            unread: store.unread(user, &key),
            read_sequence: store.marks(user, &key).read,
            last_sequence: store.log(&key).len() as u64,
            last: store.log(&key).last().cloned().unwrap_or_default(),
        }
    }

    fn conversation(&self, with_last: bool) -> Conversation<'_> {
        let mut shown = Conversation::new(self.id)
            .with_unread(self.unread)
            .with_read_sequence(self.read_sequence)
            .with_last_sequence(self.last_sequence)
            .with_name(&self.name);
        if let ConversationId::Group(_) = self.id {
            shown.group_type = GroupType::PUBLIC;
        }
        shown.last_message = with_last.then_some(&*self.last);
        shown
    }
}

/// The name under which the model shows a user: the id with a capital.
pub(super) fn nick(id: &str) -> String {
    let mut chars = id.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}
