//! DELIVER_COMPACT: a delivery without what the receiver knows or does not ask for.

use super::Delivery;
use crate::message::{Content, Envelope, Header, MessageFlags};
use crate::planted::{self, Fault};
use crate::wire::{Extensions, wire};
use crate::{ConversationId, MessageId, MessageKind, Priority, UserId};

/// What is subtracted from [`CompactDeliver::time`].
const TIME_BASE: u64 = 1_700_000_000;
/// What is subtracted from [`CompactDeliver::account`].
const ACCOUNT_BASE: u64 = 144_115_200_000_000_000;
/// What is added to [`CompactDeliver::age`].
const AGE_BASE: u64 = 32;

wire! {
    /// The cursor of a compact delivery, as the difference from the last one of the connection.
    #[derive(Debug, Default)]
    pub struct CompactCursor<'a> {
        /// How many bytes at the start are those of the last cursor that the hub sent on the connection.
        pub shared: u8 = 0 => with_shared,
        /// The bytes behind them. If there are none, the delivery has no cursor.
        pub rest: &'a [u8] = &[] => with_rest,
    }
}

wire! {
    /// What a compact delivery says only if it is not the default.
    #[derive(Debug)]
    pub struct CompactRest {
        /// As [`Deliver::payload_len`](super::Deliver::payload_len).
        pub payload_len: u32 = 0 => with_payload_len,
        /// As [`Envelope::flags`].
        pub flags: MessageFlags = MessageFlags::NONE => with_flags,
        /// As [`Envelope::origin`].
        pub origin: u64 = 0 => with_origin,
        /// As [`Content::client_sequence`].
        pub client_sequence: u64 = 0 => with_client_sequence,
        /// As [`Content::priority`].
        pub priority: Priority = Priority::NORMAL => with_priority,
    }
}

wire! {
    open_ended;
    /// DELIVER_COMPACT: an entry of a conversation, without what the receiver knows. Numbers are modulo 2^64.
    ///
    /// [`CompactDeliver::of`] makes one of a message, and [`CompactDeliver::header`] makes the message of it again.
    #[derive(Debug)]
    pub struct CompactDeliver<'a> {
        /// The cursor.
        pub cursor: CompactCursor<'a>,
        /// What is not the default.
        pub rest: Option<CompactRest> = None => with_rest,
        /// As [`Envelope::sequence`].
        pub sequence: u64 = 0 => with_sequence,
        /// [`Envelope::time`] less 1,700,000,000.
        pub time: u64,
        /// As [`Envelope::from`].
        pub from: UserId,
        /// As [`Content::to`]; `None`: the receiver.
        pub to: Option<ConversationId> = None => with_to,
        /// The account of the message id less 144,115,200,000,000,000.
        pub account: u64 = 0 => with_account,
        /// By how much the time of the message id is before [`Envelope::time`], plus 32.
        pub age: u64 = AGE_BASE => with_age,
        /// The random number of the message id.
        pub random: u32 = 0 => with_random,
        /// As [`Content::kind`].
        pub kind: MessageKind,
        /// As [`Content::payload`].
        pub payload: &'a [u8],
        /// As [`Content::extensions`].
        pub extensions: Extensions<'a> = Extensions::NONE => with_extensions,
    }
}

impl Default for CompactRest {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> CompactDeliver<'a> {
    /// The compact form of a message to `me`. Without `with_numbers` it does not say origin and `client_sequence`, except the
    /// origin `device`, by which a device knows its own entries.
    #[must_use]
    pub fn of(
        header: &Header<'a>,
        payload_len: u32,
        cursor: CompactCursor<'a>,
        me: &UserId,
        device: u64,
        with_numbers: bool,
    ) -> Self {
        let (envelope, content) = (&header.envelope, &header.content);
        let says_origin = with_numbers || (envelope.origin == device && envelope.from == *me);
        let rest = CompactRest {
            payload_len,
            flags: envelope.flags,
            origin: if says_origin { envelope.origin } else { 0 },
            client_sequence: if with_numbers { content.client_sequence } else { 0 },
            priority: content.priority,
        };
        let is_to_me = match content.to {
            ConversationId::C2c(to) => to == *me || planted::is(Fault::CompactTakesAllAsOwn),
            _ => false,
        };
        let hides_sender =
            planted::is(Fault::CompactWithoutSender) && matches!(content.to, ConversationId::Group(_));
        Self {
            cursor,
            rest: (rest != CompactRest::new()).then_some(rest),
            sequence: envelope.sequence,
            time: envelope.time.wrapping_sub(TIME_BASE),
            from: if hides_sender { *me } else { envelope.from },
            to: (!is_to_me).then_some(content.to),
            account: content.id.sender.wrapping_sub(ACCOUNT_BASE),
            age: envelope
                .time
                .wrapping_add(AGE_BASE)
                .wrapping_sub(content.id.client_time),
            random: content.id.random,
            kind: content.kind,
            payload: content.payload,
            extensions: content.extensions,
        }
    }

    /// The message, as `me` receives it.
    #[must_use]
    #[inline]
    pub fn header(&self, me: &UserId) -> Header<'a> {
        let rest = self.rest.unwrap_or_default();
        let time = self.time.wrapping_add(TIME_BASE);
        Header {
            envelope: Envelope {
                sequence: self.sequence,
                time,
                flags: rest.flags,
                origin: rest.origin,
                from: self.from,
            },
            content: Content {
                to: self.to.unwrap_or(ConversationId::C2c(*me)),
                id: MessageId {
                    sender: self.account.wrapping_add(ACCOUNT_BASE),
                    client_time: time.wrapping_add(AGE_BASE).wrapping_sub(self.age),
                    random: self.random,
                },
                client_sequence: rest.client_sequence,
                priority: rest.priority,
                kind: self.kind,
                payload: self.payload,
                extensions: self.extensions,
            },
        }
    }

    /// The delivery, as `me` receives it, with the whole cursor.
    #[must_use]
    #[inline]
    pub fn delivery(&self, me: &UserId, cursor: &'a [u8]) -> Delivery<'a> {
        let payload_len = self.rest.map_or(0, |rest| rest.payload_len);
        Delivery::of_header(cursor, payload_len, self.header(me))
    }
}
