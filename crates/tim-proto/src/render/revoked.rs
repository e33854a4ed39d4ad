//! The text that replaces a revoked message.

use core::fmt;

use crate::message::{Message, Payload};
use crate::render::Words;
use crate::{ConversationId, UserId};

/// The user who revoked a message, from the reader's point of view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Revoker<'a> {
    /// The reader. The original has no text for this case; `你撤回了一条消息` is an addition of this project.
    Me,
    /// The peer in a C2C conversation.
    Peer,
    /// A member of the group, with the name to display: name card, nick or user id.
    Member(&'a str),
}

impl<'a> Revoker<'a> {
    /// The user who revoked this message, or the message that this revocation refers to, from the point of view of
    /// `me`.
    ///
    /// ```
    /// use tim_proto::render::Revoker;
    /// # use tim_proto::message::{Envelope, Message, Payload, Revocation};
    /// # use tim_proto::{GroupId, MessageId, UserId};
    /// # let (owner, member) = (UserId::new("owner")?, UserId::new("member")?);
    /// # let id = MessageId { sender: 1, client_time: 1, random: 1 };
    /// # let payload = Payload::Revocation(Revocation::new(1, id, member, owner));
    /// # let message = Message::new(Envelope::new(owner).with_sequence(2), GroupId::new("g")?.into(), id, payload);
    /// // The owner revoked a message of the member:
    /// assert_eq!(Revoker::of(&message, &member), Revoker::Member("owner"));
    /// assert_eq!(Revoker::of(&message, &owner), Revoker::Me);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn of(message: &'a Message<'a>, me: &UserId) -> Self {
        let named = |id: &'a str, names: [&'a str; 2]| {
            let name = names.into_iter().find(|name| !name.is_empty());
            (id, name.unwrap_or(id))
        };
        let (id, name) = match (message.revoked_by(), &message.payload) {
            (Some(by), _) => (by.revoker, by.shown_name()),
            (None, Payload::Revocation(it)) => named(it.revoker.as_str(), [message.revoker_name(), ""]),
            // The message does not name its revoker. Assume its sender, the most likely one.
            (None, _) => named(message.sender().as_str(), [message.name_card(), message.nick()]),
        };
        match message.to {
            _ if id == me.as_str() => Self::Me,
            ConversationId::Group(_) => Self::Member(name),
            _ => Self::Peer,
        }
    }
}

/// The text that replaces a message that `revoker` revoked.
///
/// ```
/// use tim_proto::render::{Revoker, revoked_text};
/// use tim_proto::render::Words;
/// assert_eq!(revoked_text(Revoker::Peer, Words::SEED).to_string(), "对方撤回了一条消息");
/// assert_eq!(revoked_text(Revoker::Member("张三"), Words::SEED).to_string(), "张三撤回了一条消息");
/// ```
#[must_use]
pub const fn revoked_text(revoker: Revoker<'_>, words: Words) -> RevokedText<'_> {
    RevokedText { revoker, words }
}

/// The text that replaces a revoked message. Implements `Display`. Created by [`revoked_text`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevokedText<'a> {
    revoker: Revoker<'a>,
    words: Words,
}

impl RevokedText<'_> {
    /// Writes the text to `out`. The output is the same as with `Display`, but `core::fmt`'s formatting code need not
    /// be linked.
    ///
    /// # Errors
    /// Returns the errors of `out`.
    pub fn write_to<W: fmt::Write + ?Sized>(&self, out: &mut W) -> fmt::Result {
        let [me, peer, revoked] = self.words.0.revoked;
        out.write_str(match self.revoker {
            Revoker::Me => me,
            Revoker::Peer => peer,
            Revoker::Member(name) => self.words.person(name, true),
        })?;
        out.write_str(revoked)
    }
}

impl fmt::Display for RevokedText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_to(f)
    }
}

/// The words for the reader, for the peer, and for the revocation.
pub(crate) type Phrases = [&'static str; 3];

pub(crate) static CHINESE: Phrases = ["你", "对方", "撤回了一条消息"];
pub(crate) static ENGLISH: Phrases = ["You", "The other side", " revoked a message"];
