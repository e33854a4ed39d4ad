//! Deliveries on their way to an event, in the hub's order. An incomplete one holds up those behind it: a stub whose
//! payload is fetched in pieces, or a revocation whose message is looked up in the history.

use std::collections::VecDeque;

use tim_proto::message::{Content, Envelope, Header, MessageFlags, Revocation, RevokedBy, to_vec};
use tim_proto::request::{Fetch, FetchResponse, Gap, HistoryResponse};
use tim_proto::wire::{Extensions, decode_body};
use tim_proto::{ConversationId, MessageId, MessageKind, UserId};

use super::{Mark, Query};
use crate::Message;

/// The longest payload that is fetched, in bytes. A hub that announces more is not believed.
const MAX_FETCHED: u32 = 1024 * 1024;

/// In how many pages of history a revoked message is looked up. It can be revoked for two minutes only.
const LOOKUP_PAGES: u8 = 4;

/// The deliveries that are not published yet, oldest first.
#[derive(Debug, Default)]
pub(super) struct InboundQueue {
    entries: VecDeque<Inbound>,
    /// How many of them the hub has sent: deliveries and gaps.
    from_hub: usize,
    /// How many deliveries and gaps there have been.
    deliveries: u64,
    /// The cursor behind all that was appended.
    cursor: Vec<u8>,
}

/// An entry of the queue.
#[derive(Debug)]
pub(super) struct Inbound {
    /// Up to where what comes from the hub is published with it; `None` if it comes from this client.
    pub(super) mark: Option<Mark>,
    pub(super) item: Item,
    pub(super) revokes: Option<Revokes>,
    /// Whether what is missing was requested and has not arrived.
    in_flight: bool,
    is_from_hub: bool,
}

#[derive(Debug)]
pub(super) enum Item {
    /// To be published.
    Message(Message),
    /// Sent by this client: counted, not published.
    Own(Message),
    /// To be completed.
    Stub {
        message: Message,
        payload: Vec<u8>,
    },
    /// A revocation of a message that is to be looked up.
    Lookup(Lookup),
    /// A revocation, with its message.
    Revoked(Message),
    /// A revocation by a call of this client, whose response is on its way.
    Revoking(Message),
    /// Nothing to publish.
    Silent,
    Gap(Gap),
    /// All that waited at the hub stands before this.
    Ready,
}

/// The effect of a revocation on the conversation's unread count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Revokes {
    pub(super) conversation: ConversationId,
    /// The sequence of the revocation.
    pub(super) sequence: u64,
    /// The sequence of the message.
    pub(super) message: u64,
    pub(super) sender: UserId,
}

impl InboundQueue {
    /// Appends what a delivery with this cursor has brought.
    pub(super) fn deliver(&mut self, cursor: &[u8], item: Item, revokes: Option<Revokes>) {
        self.deliveries += 1;
        self.from_hub += 1;
        if !cursor.is_empty() {
            self.cursor = cursor.to_vec();
        }
        let cursor = (!cursor.is_empty()).then(|| cursor.to_vec());
        let mark = Mark {
            through: self.deliveries,
            cursor,
        };
        self.entries.push_back(Inbound {
            mark: Some(mark),
            item,
            revokes,
            in_flight: false,
            is_from_hub: true,
        });
    }

    /// The session's cursor behind the deliveries so far: it moves without one when the hub has passed what this device sent.
    pub(super) fn passed(&mut self, cursor: &[u8]) {
        if cursor.is_empty() || self.cursor == cursor {
            return;
        }
        self.cursor = cursor.to_vec();
        let mark = Mark {
            through: self.deliveries,
            cursor: Some(cursor.to_vec()),
        };
        // However often the cursor moves, it is one entry until something else comes.
        if let Some(last) = self.entries.back_mut()
            && matches!(last.item, Item::Silent)
            && last.revokes.is_none()
        {
            last.mark = Some(mark);
            return;
        }
        self.entries.push_back(Inbound {
            mark: Some(mark),
            item: Item::Silent,
            revokes: None,
            in_flight: false,
            is_from_hub: false,
        });
    }

    /// Appends a gap. It has no cursor, but the cursors behind it wait until the application has processed it: who starts again from one
    /// of them is not told of it again.
    pub(super) fn gap(&mut self, gap: Gap) {
        self.deliveries += 1;
        self.from_hub += 1;
        let mark = Mark {
            through: self.deliveries,
            cursor: None,
        };
        self.entries.push_back(Inbound {
            mark: Some(mark),
            item: Item::Gap(gap),
            revokes: None,
            in_flight: false,
            is_from_hub: true,
        });
    }

    /// Appends something that no delivery has brought.
    pub(super) fn push(&mut self, item: Item) {
        self.entries.push_back(Inbound {
            mark: None,
            item,
            revokes: None,
            in_flight: false,
            is_from_hub: false,
        });
    }

    /// SDK_READY was not published and is void.
    pub(super) fn drop_ready(&mut self) {
        self.entries.retain(|entry| !matches!(entry.item, Item::Ready));
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many entries the hub has sent. The others come of what this client does.
    pub(super) const fn waiting_deliveries(&self) -> usize {
        self.from_hub
    }

    /// Takes the first entry if it is complete. `is_connected`: responses can arrive.
    pub(super) fn pop_complete(&mut self, is_connected: bool) -> Option<Inbound> {
        let is_complete = self.entries.front()?.item.is_complete(is_connected);
        if !is_complete {
            return None;
        }
        let first = self.entries.pop_front()?;
        self.from_hub -= usize::from(first.is_from_hub);
        Some(first)
    }

    /// What to ask the hub for, so that the first entry becomes complete.
    pub(super) fn query(&self, fetch_piece: u32) -> Option<Query> {
        let first = self.entries.front().filter(|first| !first.in_flight)?;
        first.item.query(fetch_piece)
    }

    pub(super) fn query_sent(&mut self) {
        if let Some(first) = self.entries.front_mut() {
            first.in_flight = true;
        }
    }

    /// The response to the query about the first entry has arrived.
    pub(super) fn front_arrived(&mut self) -> Option<&mut Item> {
        let first = self.entries.front_mut()?;
        first.in_flight = false;
        Some(&mut first.item)
    }
}

impl Item {
    fn is_complete(&self, is_connected: bool) -> bool {
        match self {
            Self::Stub { .. } | Self::Lookup(_) => false,
            Self::Revoking(message) => !(is_connected && message.is_being_revoked()),
            _ => true,
        }
    }

    fn query(&self, fetch_piece: u32) -> Option<Query> {
        match self {
            Self::Stub { message, payload } => {
                Some(Query::Piece(next_piece(message, payload.len(), fetch_piece)))
            }
            Self::Lookup(lookup) => Some(Query::History {
                conversation: lookup.conversation,
                next: lookup.next.clone(),
            }),
            _ => None,
        }
    }

    /// Completes the item without what could not be fetched.
    pub(super) fn give_up(&mut self, me: &UserId) {
        match self {
            Self::Stub { message, .. } => *self = Self::Message(message.clone()),
            Self::Lookup(lookup) => *self = Self::Revoked(lookup.bare(me)),
            _ => {}
        }
    }

    /// Takes a piece of a stub's payload.
    pub(super) fn take_piece(&mut self, piece: &FetchResponse<'_>) {
        if let Self::Stub { message, payload } = self
            && take_piece(message, payload, piece.total, piece.bytes)
        {
            *self = Self::Message(message.clone());
        }
    }

    /// Takes a page of history. `instance` finds or makes the instance of a message.
    pub(super) fn take_history(
        &mut self,
        page: &HistoryResponse<'_>,
        me: &UserId,
        instance: impl Fn(&Header<'_>) -> Message,
    ) {
        if let Self::Lookup(lookup) = self {
            if let Some(found) = lookup.search(page, me, instance) {
                *self = Self::Revoked(found);
            } else if !lookup.turn_page(page) {
                *self = Self::Revoked(lookup.bare(me));
            }
        }
    }
}

/// A revoked message that the application does not hold.
#[derive(Debug)]
pub(super) struct Lookup {
    conversation: ConversationId,
    sequence: u64,
    message: MessageId,
    sender: UserId,
    /// The encoded [`RevokedBy`] extension.
    revoked_by: Vec<u8>,
    next: Vec<u8>,
    pages: u8,
}

impl Lookup {
    pub(super) fn new(conversation: ConversationId, revocation: &Revocation<'_>, by: &RevokedBy<'_>) -> Self {
        Self {
            conversation,
            sequence: revocation.sequence,
            message: revocation.message,
            sender: revocation.sender,
            revoked_by: to_vec(by),
            next: Vec::new(),
            pages: 0,
        }
    }

    /// What is known about the message without the history: sender, position, and that it is revoked.
    fn bare(&self, me: &UserId) -> Message {
        let to = match self.conversation {
            ConversationId::C2c(_) if self.sender != *me => ConversationId::C2c(*me),
            other => other,
        };
        let header = Header::new(
            Envelope::new(self.sender)
                .with_sequence(self.sequence)
                .with_time(self.message.client_time)
                .with_flags(MessageFlags::REVOKED),
            Content::new(to, self.message, MessageKind(0), &[])
                .with_extensions(Extensions::new(&self.revoked_by).unwrap_or_default()),
        );
        Message::stored(&header, me)
    }

    fn search(
        &self,
        page: &HistoryResponse<'_>,
        me: &UserId,
        instance: impl Fn(&Header<'_>) -> Message,
    ) -> Option<Message> {
        let found = headers(page).find(|header| header.envelope.sequence == self.sequence)?;
        let message = instance(&found);
        // A hub of an earlier version may not have marked it.
        if let Some(by) = self.bare(me).view().revoked_by() {
            message.mark_revoked(&by);
        }
        Some(message)
    }

    /// Whether an older page may have it.
    fn turn_page(&mut self, page: &HistoryResponse<'_>) -> bool {
        self.pages += 1;
        self.next = page.next.to_vec();
        let passed = headers(page)
            .next()
            .is_none_or(|oldest| oldest.envelope.sequence < self.sequence);
        !passed && !page.completed && self.pages < LOOKUP_PAGES
    }
}

/// The messages of a page, oldest first; their payloads are not decoded.
pub(super) fn headers<'a>(page: &HistoryResponse<'a>) -> impl Iterator<Item = Header<'a>> {
    page.messages
        .encoded_items()
        .filter_map(|message| decode_body(message).ok())
}

/// The request for the next piece of a stub, `have` bytes of whose payload have arrived.
pub(crate) fn next_piece(message: &Message, have: usize, len: u32) -> Fetch {
    Fetch::new(
        message.conversation_id(),
        message.sequence(),
        u32::try_from(have).unwrap_or(u32::MAX),
        len,
    )
}

/// Appends a piece to the payload of a stub. Returns whether no further piece is needed.
pub(crate) fn take_piece(message: &Message, payload: &mut Vec<u8>, total: u32, piece: &[u8]) -> bool {
    payload.extend_from_slice(piece);
    if payload.len() >= total as usize && total <= MAX_FETCHED {
        payload.truncate(total as usize);
        message.complete(payload);
        return true;
    }
    piece.is_empty() || total > MAX_FETCHED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_that_moves_often_takes_up_one_entry() {
        let mut queue = InboundQueue::default();
        queue.deliver(&[1], Item::Ready, None);
        for cursor in 2..200_u8 {
            queue.passed(&[cursor]);
        }
        assert_eq!((queue.len(), queue.waiting_deliveries()), (2, 1));
        assert!(queue.pop_complete(true).is_some());
        let last = queue.pop_complete(true).and_then(|last| last.mark);
        assert_eq!(last.and_then(|mark| mark.cursor), Some(vec![199]));
        assert_eq!((queue.len(), queue.waiting_deliveries()), (0, 0));
    }
}
