//! What a user is to be notified of, read from the store.

use std::collections::HashMap;

use tim_proto::message::Content;
use tim_proto::planted::{self, Fault};
use tim_proto::wire::decode_body;
use tim_proto::{Payload, ReceiveOption, UserId, Words};
use tim_store::{
    About, ChangeEntry, ChangesRequest, Conversation, EntryFlags, LogKey, PushToken, StoreError, StoreReader,
};

use super::notification::Notification;
use super::routes::PushRoutes;
use super::rules::{Candidate, Why, decide};

/// How many entries are read at a time.
const ENTRIES: usize = 32;
/// How many bytes of content.
const BYTES: usize = 256 * 1024;

/// By what is decided.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    /// Messages that were stored before this time are too old.
    pub(super) oldest_ms: u64,
    /// How old they may be, in seconds.
    pub(super) max_age: u64,
    pub(super) words: Words,
    pub(super) routes: PushRoutes,
}

/// A message of which a user is to be notified.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) change: u64,
    /// Each with the number of its token.
    pub(super) notifications: Vec<(u64, Notification)>,
}

/// What was found for a user.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The user has tokens that the sink takes.
    pub(super) has_tokens: bool,
    /// In the order of the messages.
    pub(super) messages: Vec<Message>,
    /// Everything through this change is among them, or the user is not notified of it.
    pub(super) through: u64,
    /// There is more behind it.
    pub(super) more: bool,
    pub(super) too_old: u64,
    pub(super) suppressed: u64,
}

/// Reads what there is for a user and a sink behind a change.
pub(super) fn read(
    store: &dyn StoreReader,
    (user, sink): (UserId, usize),
    pushed: u64,
    terms: Terms,
) -> Result<Found, StoreError> {
    let mut tokens = store.push_tokens(&user)?;
    tokens.retain(|token| terms.routes.number(token.platform) == Some(sink));
    if tokens.is_empty() {
        return Ok(Found::default());
    }
    let changes = store.changes_since(&ChangesRequest {
        user,
        cursor: pushed,
        limit: ENTRIES,
        max_bytes: BYTES,
    })?;
    let mut found = Found {
        has_tokens: true,
        through: changes.cursor,
        more: changes.more,
        ..Found::default()
    };
    let mut reading = Reading {
        store,
        user,
        is_blocked: store.is_blocked(&user)?,
        tokens,
        terms,
        conversations: HashMap::new(),
        unread: None,
    };
    for change in &changes.entries {
        match reading.notifications(change) {
            Ok(Ok(notifications)) => found.messages.push(Message {
                change: change.entry.change,
                notifications,
            }),
            Ok(Err(Why::TooOld)) => found.too_old += 1,
            Ok(Err(Why::NotMeant | Why::Online)) => {}
            Ok(Err(_)) => found.suppressed += 1,
            // What is damaged is not shown; the next ones are.
            Err(StoreError::Damaged(_)) => found.suppressed += 1,
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

struct Reading<'a> {
    store: &'a dyn StoreReader,
    user: UserId,
    is_blocked: bool,
    tokens: Vec<PushToken>,
    terms: Terms,
    conversations: HashMap<LogKey, Option<Conversation>>,
    /// In all conversations together, if it was needed.
    unread: Option<u64>,
}

impl Reading<'_> {
    fn notifications(
        &mut self,
        change: &ChangeEntry,
    ) -> Result<Result<Vec<(u64, Notification)>, Why>, StoreError> {
        let ChangeEntry { log, entry } = change;
        let is_own = entry.sender == self.user;
        if is_own || entry.flags.contains(EntryFlags::SYSTEM) || matches!(log, LogKey::System(_)) {
            return Ok(Err(Why::NotMeant));
        }
        let Ok(content) = decode_body::<Content<'_>>(&entry.content) else {
            return Ok(Err(Why::NoText));
        };
        let is_blocked = self.is_blocked;
        let Some(conversation) = self.conversation(log)? else {
            return Ok(Err(Why::NotMeant));
        };
        let (group_name, notifies) = match &conversation.about {
            About::Group(group, membership) => (
                Some(group.name.as_str()),
                membership.receive_option == ReceiveOption::ACCEPT_AND_NOTIFY,
            ),
            _ => (None, true),
        };
        let id = conversation.id;
        let title = match group_name {
            Some("") => conversation.id.to_string(),
            Some(name) => name.to_owned(),
            None if content.nick().is_empty() => entry.sender.to_string(),
            None => content.nick().to_owned(),
        };
        let candidate = Candidate {
            kind: entry.kind,
            payload: Payload::decode(entry.kind, content.payload),
            options: content.offline_push(),
            title: &title,
            is_own,
            is_blocked,
            is_read: entry.sequence <= conversation.read_sequence && !planted::is(Fault::ReadNotified),
            is_revoked: entry.is_revoked(),
            is_imported: entry.flags.contains(EntryFlags::IMPORTED),
            is_online_only: false,
            is_too_old: entry.time_ms < self.terms.oldest_ms,
            // That is looked at when it is sent.
            is_online: false,
            notifies,
        };
        let alert = match decide(&candidate, self.terms.words) {
            Ok(alert) => alert,
            Err(why) => return Ok(Err(why)),
        };
        let unread = self.unread()?;
        let tokens = self
            .tokens
            .iter()
            .filter(|token| token.enabled || planted::is(Fault::SwitchIgnored));
        let notifications = tokens.map(|token| {
            let notification = Notification {
                id: match planted::is(Fault::KeyOfAttempt) {
                    true => format!("{}-{}-{}", entry.id, token.number, self.terms.oldest_ms),
                    false => format!("{}-{}", entry.id, token.number),
                },
                user: self.user,
                platform: token.platform,
                token: token.token.clone(),
                title: alert.title.clone(),
                text: alert.text.clone(),
                extension: alert.extension.clone(),
                badge: alert.badge(token.platform, unread),
                channel: alert.channel(token.platform).map(str::to_owned),
                conversation: id,
                sequence: entry.sequence,
                message: entry.id,
                sender: entry.sender,
                time: entry.time_ms / 1000,
                expires: (entry.time_ms / 1000).saturating_add(self.terms.max_age),
            };
            (token.number, notification)
        });
        Ok(Ok(notifications.collect()))
    }

    fn conversation(&mut self, log: &LogKey) -> Result<Option<&Conversation>, StoreError> {
        if !self.conversations.contains_key(log) {
            let found = self.store.conversation(&self.user, log)?;
            self.conversations.insert(*log, found);
        }
        Ok(self.conversations.get(log).and_then(Option::as_ref))
    }

    fn unread(&mut self) -> Result<u64, StoreError> {
        if let Some(unread) = self.unread {
            return Ok(unread);
        }
        let unread = self.store.conversations(&self.user, None, 1)?.total_unread;
        self.unread = Some(unread);
        Ok(unread)
    }
}
