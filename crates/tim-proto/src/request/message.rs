//! Messages and conversations: sending, taking back, paging, marking, fetching.

use crate::conversation::ConversationList;
use crate::message::{Body, Content, Payload, SendOptions};
use crate::wire::{DecodeError, Encode, Extensions, List, Read, Reader, Writer, decode_body, wire};
use crate::{ConversationId, Message, MessageId};

/// SEND: store this message and pass it on. The content stands last and is passed on byte for byte.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Send<'a> {
    /// How.
    pub options: SendOptions<'a>,
    /// What.
    pub content: Content<'a>,
}

impl Encode for Send<'_> {
    fn encode(&self, writer: &mut Writer<'_>) {
        writer.put_sized(&self.options);
        self.content.encode(writer);
    }
}

impl<'a> Read<'a> for Send<'a> {
    fn read(reader: &mut Reader<'a>) -> Self {
        let options = decode_body(reader.take_bytes()).unwrap_or_else(|error| {
            reader.refuse_at(error.at, error.fault);
            SendOptions::default()
        });
        Self {
            options,
            content: Content::read(reader),
        }
    }
}

impl<'a> Send<'a> {
    /// The content's own bytes in the body of a SEND frame.
    ///
    /// # Errors
    /// [`DecodeError`] if the options in front of it are cut short.
    pub fn content_bytes(body: &'a [u8]) -> Result<&'a [u8], DecodeError> {
        let mut reader = Reader::new(body);
        reader.take_bytes();
        reader.check()?;
        Ok(reader.take_rest())
    }
}

/// A SEND as it is encoded from a message that was made but not sent.
#[derive(Debug, Clone, Copy)]
pub struct SendMessage<'a, P = Payload<'a>> {
    /// How.
    pub options: SendOptions<'a>,
    /// What; only the sender's part of it travels.
    pub message: &'a Message<'a, P>,
}

impl<P: Body> Encode for SendMessage<'_, P> {
    fn encode(&self, writer: &mut Writer<'_>) {
        writer.put_sized(&self.options);
        self.message.encode_content(writer);
    }
}

/// SEND answer: it is stored (or, if for those online only, passed on).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendAnswer<'a> {
    /// Its place in the conversation; 0 if it is not stored.
    pub sequence: u64,
    /// When the hub took it, Unix time in seconds.
    pub time: u64,
    /// Whether this very message had been stored before (S125).
    pub duplicate: bool,
    /// How the hub called the sender, by the [`tags`](crate::message::tags) of messages: only if the client has announced
    /// [`SENDER_NAMES`](crate::wire::features::SENDER_NAMES).
    pub extensions: Extensions<'a>,
}
wire!(SendAnswer<'a> { sequence, time, duplicate, extensions });

/// REVOKE: take this message back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoke<'a> {
    /// In which conversation.
    pub conversation: ConversationId,
    /// Where it stands.
    pub sequence: u64,
    /// Which one, as a check; all zero if not known.
    pub message: MessageId,
    /// Why; may be empty.
    pub reason: &'a str,
}
wire!(Revoke<'a> { conversation, sequence, message, reason });

/// REVOKE answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevokeAnswer {
    /// The sequence of the entry that says so.
    pub sequence: u64,
}
wire!(RevokeAnswer { sequence });

/// HISTORY: a page, going back from where the last one ended (S171-S180).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History<'a> {
    /// Of which conversation.
    pub conversation: ConversationId,
    /// `nextReqMessageID` of the page before; empty for the newest page.
    pub next: &'a [u8],
    /// How many messages at the most; 0 means the default.
    pub count: u16,
}
wire!(History<'a> { conversation, next, count });

/// HISTORY answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HistoryAnswer<'a> {
    /// What to ask for next.
    pub next: &'a [u8],
    /// Whether there is nothing older.
    pub completed: bool,
    /// The messages, oldest first.
    pub messages: List<'a, Message<'a>>,
}
wire!(HistoryAnswer<'a> { next, completed, messages });

/// MARK_READ: I have read this conversation (S181-S186).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarkRead {
    /// Which one.
    pub conversation: ConversationId,
    /// Up to where; 0 means all of it.
    pub sequence: u64,
}
wire!(MarkRead {
    conversation,
    sequence
});

/// MARK_READ and DELETE_CONVERSATION answer. Deleting a conversation reads all of it: `unread` is 0 then, and the
/// conversation is off the list until an entry behind `counted` brings it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarkReadAnswer {
    /// Up to where it is read now.
    pub read_sequence: u64,
    /// What is left unread.
    pub unread: u32,
    /// Up to which sequence the hub has counted; see [`crate::unread`].
    pub counted: u64,
}
wire!(MarkReadAnswer {
    read_sequence,
    unread,
    counted
});

/// CONVERSATIONS: a page of my conversations, newest first (S187-S195).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Conversations<'a> {
    /// [`ConversationsAnswer::next`] of the page before; empty for the first page.
    pub next: &'a [u8],
    /// How many at the most; 0 means the default, which is also the most that the hub gives.
    pub count: u16,
}
wire!(Conversations<'a> { next, count });

/// CONVERSATIONS answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConversationsAnswer<'a> {
    /// What to ask for the next page with; empty if this is the last one.
    pub next: &'a [u8],
    /// Whether there is no page behind this one.
    pub completed: bool,
    /// What is unread in the conversations of this page and of all pages behind it: on the first page, the user's total.
    /// The system's notices do not count, nor do groups whose receive option is not
    /// [`ACCEPT_AND_NOTIFY`](crate::ReceiveOption::ACCEPT_AND_NOTIFY).
    pub total_unread: u64,
    /// The conversations, newest first; fewer than asked for if no more fit into a frame that the receiver takes. All of
    /// a page, and its total, are of one moment.
    pub conversations: ConversationList<'a>,
}
wire!(ConversationsAnswer<'a> { next, completed, total_unread, conversations });

/// CONVERSATION_PROFILE and DELETE_CONVERSATION: this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OneConversation {
    /// Which one.
    pub conversation: ConversationId,
}
wire!(OneConversation { conversation });

/// FETCH: a piece of a message that arrived as a stub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fetch {
    /// In which conversation.
    pub conversation: ConversationId,
    /// Where it stands.
    pub sequence: u64,
    /// From which byte of the payload on.
    pub offset: u32,
    /// How many bytes at the most.
    pub len: u32,
}
wire!(Fetch {
    conversation,
    sequence,
    offset,
    len
});

/// FETCH answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchAnswer<'a> {
    /// How long the whole payload is.
    pub total: u32,
    /// The piece; may be shorter than asked for.
    pub bytes: &'a [u8],
}
wire!(FetchAnswer<'a> { total, bytes });
