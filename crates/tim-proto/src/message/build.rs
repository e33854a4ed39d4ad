//! The constructors of [`Message`] and of what is not declared by `wire!`, by the rule of `wire!`: what a value must have is
//! an argument of `new`, everything else has a default and a `with_` method.

use super::{Content, Envelope, Message, RevokedBy, SendOptions, SenderNames};
use crate::request::SendMessage;
use crate::wire::Extensions;
use crate::{ConversationId, MessageId, Priority};

/// Methods that return the value with one field changed.
macro_rules! with {
    ($($(#[$doc:meta])* $with:ident($field:ident: $ty:ty);)+) => {$(
        $(#[$doc])*
        #[must_use]
        #[inline]
        pub const fn $with(mut self, $field: $ty) -> Self {
            self.$field = $field;
            self
        }
    )+};
}

impl<'a, P> Message<'a, P> {
    /// A message of normal priority, without extensions.
    #[must_use]
    #[inline]
    pub const fn new(envelope: Envelope, to: ConversationId, id: MessageId, payload: P) -> Self {
        Self {
            envelope,
            to,
            id,
            client_sequence: 0,
            priority: Priority::NORMAL,
            payload,
            extensions: Extensions::NONE,
        }
    }

    /// The same message with another payload.
    #[must_use]
    #[inline]
    pub fn with_payload<Q>(self, payload: Q) -> Message<'a, Q> {
        Message {
            envelope: self.envelope,
            to: self.to,
            id: self.id,
            client_sequence: self.client_sequence,
            priority: self.priority,
            payload,
            extensions: self.extensions,
        }
    }

    with! {
        /// Sets [`Message::envelope`].
        with_envelope(envelope: Envelope);
        /// Sets [`Message::client_sequence`].
        with_client_sequence(client_sequence: u64);
        /// Sets [`Message::priority`].
        with_priority(priority: Priority);
        /// Sets [`Message::extensions`].
        with_extensions(extensions: Extensions<'a>);
    }
}

impl<'a> Content<'a> {
    with! {
        /// Sets [`Content::payload`].
        with_payload(payload: &'a [u8]);
    }
}

impl<'a, P> SendMessage<'a, P> {
    /// The request to send this message as usual.
    #[must_use]
    #[inline]
    pub const fn new(message: &'a Message<'a, P>) -> Self {
        Self {
            options: SendOptions::new(),
            message,
        }
    }

    with! {
        /// Sets [`SendMessage::options`].
        with_options(options: SendOptions<'a>);
    }
}

impl<'a> SenderNames<'a> {
    /// No names.
    #[must_use]
    #[inline]
    pub const fn new() -> Self {
        Self {
            nick: "",
            name_card: "",
            avatar: "",
        }
    }

    with! {
        /// Sets [`SenderNames::nick`].
        with_nick(nick: &'a str);
        /// Sets [`SenderNames::name_card`].
        with_name_card(name_card: &'a str);
        /// Sets [`SenderNames::avatar`].
        with_avatar(avatar: &'a str);
    }
}

impl<'a> RevokedBy<'a> {
    /// Revoked by this user, without a reason.
    #[must_use]
    #[inline]
    pub const fn new(revoker: &'a str) -> Self {
        Self {
            revoker,
            reason: "",
            name: "",
        }
    }

    with! {
        /// Sets [`RevokedBy::reason`].
        with_reason(reason: &'a str);
        /// Sets [`RevokedBy::name`].
        with_name(name: &'a str);
    }
}
