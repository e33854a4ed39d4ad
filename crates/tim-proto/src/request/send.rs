//! SEND: stores a message and delivers it.

use super::Request;
use crate::Message;
use crate::message::{Content, Payload, PayloadBody, SendOptions};
use crate::wire::{DecodeError, Encode, Extensions, FrameKind, Nested, Writer, decode_prefix, wire};

wire! {
    open_ended;
    /// SEND: stores a message and delivers it. The content is the rest of the body; the hub passes it on byte for byte.
    #[derive(Debug)]
    pub struct Send<'a> {
        /// How to store, deliver and notify.
        pub options: Nested<SendOptions<'a>> = Nested(SendOptions::new()) => with_options,
        /// The message's content.
        pub content: Content<'a>,
    }
}

impl Request for Send<'_> {
    const KIND: FrameKind = FrameKind::SEND;
    type Response<'a> = SendResponse<'a>;
}

impl<'a> Send<'a> {
    /// The encoded content in the body of a SEND frame.
    ///
    /// # Errors
    /// [`DecodeError`] if the options before it are truncated.
    pub fn content_bytes(body: &'a [u8]) -> Result<&'a [u8], DecodeError> {
        let (_options, content) = decode_prefix::<&[u8]>(body)?;
        Ok(content)
    }
}

/// SEND, encoded from a [`Message`] instead of its [`Content`].
///
/// ```
/// use tim_proto::message::{Envelope, SendOptions, Text, to_vec};
/// use tim_proto::request::{Send, SendMessage};
/// use tim_proto::wire::decode_body;
/// use tim_proto::{Message, MessageId, UserId};
///
/// let (alice, bob) = (UserId::new("alice")?, UserId::new("bob")?);
/// let message = Message::new(Envelope::new(alice), bob.into(), MessageId::NONE, Text::new("hi"));
/// let options = SendOptions::new().with_online_user_only(true);
/// let body = to_vec(&SendMessage::new(&message).with_options(options));
/// let received: Send<'_> = decode_body(&body)?;
/// assert_eq!((received.options.0, received.content.to), (options, bob.into()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SendMessage<'a, P = Payload<'a>> {
    /// How to store, deliver and notify.
    pub options: SendOptions<'a>,
    /// The message. Only its content is encoded, not its envelope.
    pub message: &'a Message<'a, P>,
}

impl<P: PayloadBody> Encode for SendMessage<'_, P> {
    fn encode(&self, writer: &mut Writer<'_>) {
        writer.put_sized(&self.options);
        self.message.encode_content(writer);
    }
}

impl<P: PayloadBody> Request for SendMessage<'_, P> {
    const KIND: FrameKind = FrameKind::SEND;
    type Response<'a> = SendResponse<'a>;
}

wire! {
    open_ended;
    /// Response to [`Send`]: the message is stored or, if online-only, passed on.
    #[derive(Debug)]
    pub struct SendResponse<'a> {
        /// The message's sequence in the conversation; 0 if it is not stored.
        pub sequence: u64,
        /// When the hub accepted the message, Unix time in seconds.
        pub time: u64,
        /// Whether the hub had already stored this message.
        pub duplicate: bool = false => with_duplicate,
        /// The sender's names as receivers see them, and who has revoked a duplicate, under the
        /// [`tags`](crate::message::tags) of messages; only if the client announced [`SENDER_NAMES`](crate::wire::features::SENDER_NAMES).
        pub extensions: Extensions<'a> = Extensions::NONE => with_extensions,
    }
}
