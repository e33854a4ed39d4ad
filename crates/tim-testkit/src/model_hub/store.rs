//! What the model keeps: logs, groups, and what each user has read.

use std::collections::{BTreeMap, BTreeSet};

use tim_session::proto::message::{Content, Envelope, Header, Message, MessageFlags, to_vec};
use tim_session::proto::request::SendResponse;
use tim_session::proto::wire::decode_body;
use tim_session::proto::{ConversationId, ErrorCode, GroupId, MessageId, UserId};

use super::files::Files;

/// Which log: a pair of users in order, or a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Pair(UserId, UserId),
    Group(GroupId),
}

impl Key {
    /// The log of a conversation, as `user` names it.
    pub(super) fn new(user: UserId, conversation: ConversationId) -> Option<Self> {
        match conversation {
            ConversationId::C2c(peer) => Some(Self::Pair(user.min(peer), user.max(peer))),
            ConversationId::Group(group) => Some(Self::Group(group)),
            _ => None,
        }
    }

    /// The name of the conversation for `user`.
    pub(super) fn conversation_of(&self, user: UserId) -> ConversationId {
        match *self {
            Self::Pair(one, other) => ConversationId::C2c(if one == user { other } else { one }),
            Self::Group(group) => ConversationId::Group(group),
        }
    }
}

/// How far a user is in a log.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Marks {
    pub(super) read: u64,
    pub(super) deleted: u64,
}

/// What outlives connections.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) files: Files,
    pub(super) groups: BTreeMap<GroupId, BTreeSet<UserId>>,
    /// Each conversation's entries, as encoded messages; the first one has sequence 1.
    logs: BTreeMap<Key, Vec<Vec<u8>>>,
    /// The content that was stored under each message id, and the response.
    stored: BTreeMap<MessageId, (Vec<u8>, SendResponse<'static>)>,
    /// Every entry in the order in which it was stored: a cursor is a position in it.
    pub(super) changes: Vec<(Key, usize)>,
    marks: BTreeMap<(UserId, Key), Marks>,
}

impl Store {
    pub(super) fn takes_part(&self, user: UserId, key: &Key) -> bool {
        match key {
            Key::Pair(one, other) => user == *one || user == *other,
            Key::Group(group) => self
                .groups
                .get(group)
                .is_some_and(|members| members.contains(&user)),
        }
    }

    /// The entries of a log, oldest first.
    pub(super) fn log(&self, key: &Key) -> &[Vec<u8>] {
        self.logs.get(key).map_or(&[], Vec::as_slice)
    }

    pub(super) fn entry(&self, key: &Key, sequence: u64) -> Option<&[u8]> {
        let index = usize::try_from(sequence.checked_sub(1)?).ok()?;
        self.log(key).get(index).map(Vec::as_slice)
    }

    /// The logs of the conversations that `user` takes part in.
    pub(super) fn logs_of(&self, user: UserId) -> impl Iterator<Item = Key> {
        let keys = self.logs.keys().copied();
        keys.filter(move |key| self.takes_part(user, key))
    }

    /// Appends a message. The same message again is a duplicate.
    pub(super) fn append(
        &mut self,
        content: &[u8],
        (from, origin): (UserId, u64),
        time: u64,
    ) -> Result<SendResponse<'static>, ErrorCode> {
        let sent: Content<'_> = decode_body(content).map_err(|_| ErrorCode::MSG_PKG_PARSE_FAILED)?;
        if let Some((first, response)) = self.stored.get(&sent.id) {
            let first = decode_body::<Content<'_>>(first);
            let same = |it: &Content<'_>| {
                (it.to, it.kind, it.payload, it.extensions.as_bytes())
                    == (sent.to, sent.kind, sent.payload, sent.extensions.as_bytes())
            };
            return match first.is_ok_and(|first| same(&first)) {
                true => Ok(response.with_duplicate(true)),
                false => Err(ErrorCode::MESSAGE_ID_REUSED),
            };
        }
        let key = Key::new(from, sent.to).filter(|key| self.takes_part(from, key));
        let key = key.ok_or(ErrorCode::GROUP_NOT_FOUND)?;
        let log = self.logs.entry(key).or_default();
        let sequence = log.len() as u64 + 1;
        let envelope = Envelope::new(from).with_sequence(sequence).with_time(time);
        let mut entry = to_vec(&envelope.with_origin(origin));
        entry.extend_from_slice(content);
        log.push(entry);
        self.changes.push((key, log.len() - 1));
        let response = SendResponse::new(sequence, time);
        self.stored.insert(sent.id, (content.to_vec(), response));
        Ok(response)
    }

    /// Marks an entry as revoked, if it is the message with this id.
    pub(super) fn revoke(&mut self, key: &Key, sequence: u64, id: MessageId) -> Option<()> {
        let index = usize::try_from(sequence.checked_sub(1)?).ok()?;
        let entry = self.logs.get_mut(key)?.get_mut(index)?;
        let mut message = Message::decode_from(entry).ok()?;
        if message.id != id {
            return None;
        }
        message.envelope.flags |= MessageFlags::REVOKED;
        *entry = message.to_encoded().into_inner();
        Some(())
    }

    pub(super) fn marks(&self, user: UserId, key: &Key) -> Marks {
        self.marks.get(&(user, *key)).copied().unwrap_or_default()
    }

    /// Marks a log as read through `sequence`, and as deleted if `delete` says so.
    pub(super) fn mark_read(&mut self, user: UserId, key: Key, sequence: u64, delete: bool) -> Marks {
        let marks = self.marks.entry((user, key)).or_default();
        marks.read = marks.read.max(sequence);
        if delete {
            marks.deleted = marks.read;
        }
        *marks
    }

    /// How many entries of others `user` has not read.
    pub(super) fn unread(&self, user: UserId, key: &Key) -> u32 {
        let read = usize::try_from(self.marks(user, key).read).unwrap_or(usize::MAX);
        let unread = self.log(key).iter().skip(read).filter(|entry| {
            decode_body::<Header<'_>>(entry).is_ok_and(|header| header.envelope.from != user)
        });
        unread.count() as u32
    }
}
