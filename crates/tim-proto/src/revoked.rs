//! What is shown in the place of a revoked message (S115, S116).

use core::fmt;

use crate::words::Words;

/// Who revoked a message, as the reader sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Revoker<'a> {
    /// The reader. The seed has no text for this case: `你撤回了一条消息` is this project's addition.
    Me,
    /// The other one in a C2C conversation (S115).
    Peer,
    /// A member of the group, by the name to show (S116): name card, nick or user id.
    Member(&'a str),
}

/// The text that stands for a message that `revoker` revoked.
///
/// ```
/// use tim_proto::revoked::{Revoker, revoked_text};
/// use tim_proto::words::Words;
/// assert_eq!(revoked_text(Revoker::Peer, Words::SEED).to_string(), "对方撤回了一条消息");
/// assert_eq!(revoked_text(Revoker::Member("张三"), Words::SEED).to_string(), "张三撤回了一条消息");
/// ```
#[must_use]
pub const fn revoked_text(revoker: Revoker<'_>, words: Words) -> RevokedText<'_> {
    RevokedText { revoker, words }
}

/// The text of a revoked message; print it. From [`revoked_text`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevokedText<'a> {
    revoker: Revoker<'a>,
    words: Words,
}

impl RevokedText<'_> {
    /// Writes the text. What `Display` does, without the machinery of `core::fmt`, which a device need not link then.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_to<W: fmt::Write + ?Sized>(&self, out: &mut W) -> fmt::Result {
        let [me, peer, revoked] = self.words.0.revoked;
        out.write_str(match self.revoker {
            Revoker::Me => me,
            Revoker::Peer => peer,
            Revoker::Member(name) => name,
        })?;
        out.write_str(revoked)
    }
}

impl fmt::Display for RevokedText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_to(f)
    }
}

/// The reader, the other side, and what they did.
pub(crate) type Phrases = [&'static str; 3];

pub(crate) static CHINESE: Phrases = ["你", "对方", "撤回了一条消息"];
pub(crate) static ENGLISH: Phrases = ["You", "The other side", " revoked a message"];
