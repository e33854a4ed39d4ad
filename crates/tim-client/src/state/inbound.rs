//! Deliveries on their way to an event, in order. One that is not complete yet holds up those behind it: a stub whose
//! payload is fetched in pieces, a revocation whose message is looked up in the history.

use tim_proto::message::{Envelope, Payload, Revocation, RevokedBy, flags, to_vec};
use tim_proto::request::{
    AnyRequest as Request, AnyResponse as Answer, Conversations, Fetch, Gap, GetGroupProfile, History,
    HistoryResponse,
};
use tim_proto::wire::Extensions;
use tim_proto::{ConversationId, GroupId, MessageId, MessageKind, Priority, UserId};

use crate::Message;
use crate::bus::Mark;

/// The longest payload that is fetched, in bytes; a hub that speaks of more is not believed.
const MAX_FETCHED: u32 = 1024 * 1024;

/// In how many pages of history a revoked message is looked for. It can be revoked for two minutes only.
const LOOKUP_PAGES: u8 = 4;

/// A delivery, and which one it is.
#[derive(Debug)]
pub(crate) struct Inbound {
    pub(crate) mark: Option<Mark>,
    pub(crate) item: Item,
    pub(crate) revokes: Option<Revokes>,
    /// Whether the hub was asked for what is missing, and has not answered.
    pub(crate) asked: bool,
}

impl Inbound {
    /// Something that no delivery has brought.
    pub(crate) const fn of(item: Item) -> Self {
        Self {
            mark: None,
            item,
            revokes: None,
            asked: false,
        }
    }
}

#[derive(Debug)]
pub(crate) enum Item {
    /// To be shown.
    Message(Message),
    /// Sent by this client: to be counted, not shown (S105).
    Own(Message),
    /// To be completed.
    Stub { message: Message, payload: Vec<u8> },
    /// To be looked up.
    Revoked(Lookup),
    /// Looked up.
    Found(Message),
    /// Nothing to show.
    Nothing,
    /// To be announced.
    Gap(Gap),
    /// All that was waiting stands before this.
    Ready,
}

/// What a revocation does to the conversation's unread count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Revokes {
    pub(crate) conversation: ConversationId,
    /// Where the revocation stands.
    pub(crate) sequence: u64,
    /// Where the message stands.
    pub(crate) message: u64,
    pub(crate) sender: UserId,
}

/// A revoked message that the application does not hold.
#[derive(Debug)]
pub(crate) struct Lookup {
    conversation: ConversationId,
    sequence: u64,
    message: MessageId,
    sender: UserId,
    /// Who took it back, and why, as a revoked message says it.
    by: Vec<u8>,
    next: Vec<u8>,
    pages: u8,
}

impl Lookup {
    pub(crate) fn new(conversation: ConversationId, revocation: &Revocation<'_>, by: &RevokedBy<'_>) -> Self {
        Self {
            conversation,
            sequence: revocation.sequence,
            message: revocation.message,
            sender: revocation.sender,
            by: to_vec(by),
            next: Vec::new(),
            pages: 0,
        }
    }

    /// What is known of the message without the history: who, where, and that it is revoked.
    fn bare(&self, me: &UserId) -> Message {
        let to = match self.conversation {
            ConversationId::C2c(_) if self.sender != *me => ConversationId::C2c(*me),
            other => other,
        };
        let message = tim_proto::Message {
            envelope: Envelope {
                sequence: self.sequence,
                time: self.message.client_time,
                flags: flags::REVOKED,
                origin: 0,
                from: self.sender,
            },
            to,
            id: self.message,
            client_sequence: 0,
            priority: Priority::NORMAL,
            payload: Payload::Unknown(MessageKind(0), &[]),
            // What was just written is well-formed.
            extensions: Extensions::new(&self.by).unwrap_or_default(),
        };
        Message::stored(&message, me)
    }
}

/// What the hub must be asked before a delivery is complete, and for the lists.
#[derive(Debug)]
pub(crate) enum Question {
    Piece(Fetch),
    Page {
        conversation: ConversationId,
        next: Vec<u8>,
    },
    /// A page of the conversation list.
    List {
        next: Vec<u8>,
    },
    Group(GroupId),
}

impl Question {
    pub(crate) fn request(&self) -> Request<'_> {
        match self {
            Self::Piece(fetch) => Request::Fetch(*fetch),
            Self::Page { conversation, next } => Request::History(History {
                conversation: *conversation,
                next,
                count: 0,
            }),
            Self::List { next } => Request::Conversations(Conversations { next, count: 0 }),
            Self::Group(group) => Request::GroupProfile(GetGroupProfile { group: *group }),
        }
    }
}

/// The next piece of a stub of whose payload so much is there.
pub(crate) fn next_piece(message: &Message, have: usize, len: u32) -> Fetch {
    Fetch {
        conversation: message.conversation_id(),
        sequence: message.sequence(),
        offset: u32::try_from(have).unwrap_or(u32::MAX),
        len,
    }
}

impl Item {
    pub(crate) const fn is_complete(&self) -> bool {
        !matches!(self, Self::Stub { .. } | Self::Revoked(_))
    }

    /// What to ask the hub for, if this is not complete.
    pub(crate) fn question(&self, piece: u32) -> Option<Question> {
        match self {
            Self::Stub { message, payload } => {
                Some(Question::Piece(next_piece(message, payload.len(), piece)))
            }
            Self::Revoked(lookup) => Some(Question::Page {
                conversation: lookup.conversation,
                next: lookup.next.clone(),
            }),
            _ => None,
        }
    }

    /// What it is without what could not be had.
    pub(crate) fn give_up(&mut self, me: &UserId) {
        match self {
            Self::Stub { message, .. } => *self = Self::Message(message.clone()),
            Self::Revoked(lookup) => *self = Self::Found(lookup.bare(me)),
            _ => {}
        }
    }

    /// Takes an answer to the question. `instance` finds or makes the instance of a message.
    pub(crate) fn take_answer(
        &mut self,
        answer: &Answer<'_>,
        me: &UserId,
        instance: impl Fn(&tim_proto::Message<'_>) -> Message,
    ) {
        match (&mut *self, answer) {
            (Self::Stub { message, payload }, Answer::Fetch(piece)) => {
                let enough = take_piece(message, payload, piece.total, piece.bytes);
                if enough {
                    *self = Self::Message(message.clone());
                }
            }
            (Self::Revoked(lookup), Answer::History(page)) => {
                if let Some(found) = lookup.search(page, me, instance) {
                    *self = Self::Found(found);
                } else if !lookup.turn_page(page) {
                    *self = Self::Found(lookup.bare(me));
                }
            }
            _ => self.give_up(me),
        }
    }
}

impl Lookup {
    fn search(
        &self,
        page: &HistoryResponse<'_>,
        me: &UserId,
        instance: impl Fn(&tim_proto::Message<'_>) -> Message,
    ) -> Option<Message> {
        let view = page
            .messages
            .iter()
            .find(|view| view.envelope.sequence == self.sequence)?;
        let message = instance(&view);
        // A hub of an earlier version may not have said so there.
        if let Some(by) = self.bare(me).view().revoked_by() {
            message.mark_revoked(&by);
        }
        Some(message)
    }

    /// Whether an older page may have it.
    fn turn_page(&mut self, page: &HistoryResponse<'_>) -> bool {
        self.pages += 1;
        self.next = page.next.to_vec();
        let passed = page
            .messages
            .iter()
            .next()
            .is_none_or(|oldest| oldest.envelope.sequence < self.sequence);
        !passed && !page.completed && self.pages < LOOKUP_PAGES
    }
}

/// Adds a piece to the payload of a stub; whether that is all there will be.
pub(crate) fn take_piece(message: &Message, payload: &mut Vec<u8>, total: u32, piece: &[u8]) -> bool {
    payload.extend_from_slice(piece);
    if payload.len() >= total as usize && total <= MAX_FETCHED {
        payload.truncate(total as usize);
        message.complete(Payload::decode(message.kind(), payload));
        return true;
    }
    piece.is_empty() || total > MAX_FETCHED
}
