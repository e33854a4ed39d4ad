//! Constructors: what a value must have is an argument of `new`, everything else has a default and a `with_` method.

use super::{Content, Envelope, Header, Message, MessageFlags, OfflinePush, SendOptions};
use crate::wire::Extensions;
use crate::{ConversationId, MessageId, MessageKind, Priority, UserId};

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

impl Envelope {
    /// The envelope of a message of this sender that the hub has not seen yet.
    #[must_use]
    #[inline]
    pub const fn new(from: UserId) -> Self {
        Self {
            sequence: 0,
            time: 0,
            flags: MessageFlags::NONE,
            origin: 0,
            from,
        }
    }

    with! {
        /// Sets [`Envelope::sequence`].
        with_sequence(sequence: u64);
        /// Sets [`Envelope::time`].
        with_time(time: u64);
        /// Sets [`Envelope::flags`].
        with_flags(flags: MessageFlags);
        /// Sets [`Envelope::origin`].
        with_origin(origin: u64);
    }
}

impl<'a> Header<'a> {
    /// The header of a message.
    #[must_use]
    #[inline]
    pub const fn new(envelope: Envelope, content: Content<'a>) -> Self {
        Self { envelope, content }
    }
}

impl<'a> Content<'a> {
    /// The content of a message with this encoded payload: of normal priority, without extensions.
    #[must_use]
    #[inline]
    pub const fn new(to: ConversationId, id: MessageId, kind: MessageKind, payload: &'a [u8]) -> Self {
        Self {
            to,
            id,
            client_sequence: 0,
            priority: Priority::NORMAL,
            kind,
            payload,
            extensions: Extensions::NONE,
        }
    }

    with! {
        /// Sets [`Content::client_sequence`].
        with_client_sequence(client_sequence: u64);
        /// Sets [`Content::priority`].
        with_priority(priority: Priority);
        /// Sets [`Content::payload`].
        with_payload(payload: &'a [u8]);
        /// Sets [`Content::extensions`].
        with_extensions(extensions: Extensions<'a>);
    }
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

impl<'a> SendOptions<'a> {
    /// The default: the message is stored, counts as unread, and is pushed as usual.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            online_user_only: false,
            offline_push: None,
        }
    }

    with! {
        /// Sets [`SendOptions::online_user_only`].
        with_online_user_only(online_user_only: bool);
        /// Sets [`SendOptions::offline_push`].
        with_offline_push(offline_push: Option<OfflinePush<'a>>);
    }
}

impl<'a> OfflinePush<'a> {
    /// A notification as usual.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            disable_push: false,
            title: None,
            description: None,
            extension: None,
            ignore_ios_badge: false,
            android_oppo_channel_id: None,
        }
    }

    with! {
        /// Sets [`OfflinePush::disable_push`].
        with_disable_push(disable_push: bool);
        /// Sets [`OfflinePush::title`].
        with_title(title: Option<&'a str>);
        /// Sets [`OfflinePush::description`].
        with_description(description: Option<&'a str>);
        /// Sets [`OfflinePush::extension`].
        with_extension(extension: Option<&'a str>);
        /// Sets [`OfflinePush::ignore_ios_badge`].
        with_ignore_ios_badge(ignore_ios_badge: bool);
        /// Sets [`OfflinePush::android_oppo_channel_id`].
        with_android_oppo_channel_id(android_oppo_channel_id: Option<&'a str>);
    }
}
