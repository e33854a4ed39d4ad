//! What tells apart two requests that carry the same number.

use sha2::{Digest as _, Sha256};
use tim_groups::CreateGroup;
use tim_proto::message::{Content, tags};

/// Stands for what a request asks to be stored, so that the same request, repeated, is told from another one under the same
/// number: the first eight bytes of a SHA-256.
///
/// Numbers belong to one account. Whoever finds two contents with the same fingerprint, which takes some 2³² attempts, can
/// use them against the own account only.
///
/// ```
/// use tim_store::Fingerprint;
/// assert_eq!(Fingerprint::of(&[b"a", b"b"]), Fingerprint::of(&[b"a", b"b"]));
/// assert_ne!(Fingerprint::of(&[b"a", b"b"]), Fingerprint::of(&[b"ab", b""]));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Of these parts, in this order.
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let hash: [u8; 32] = hash.finalize().into();
        let [a, b, c, d, e, f, g, h, ..] = hash;
        Self(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
    }

    /// Of what its sender wrote of a message: the conversation, the kind, the payload, and the extensions that are not the
    /// hub's. Neither the priority nor the sender's count belongs to it: a client that keeps the id and the payload of a
    /// message can send the same message again.
    #[must_use]
    pub fn of_message(content: &Content<'_>) -> Self {
        let mut extensions = Sha256::new();
        let own = content.extensions.iter();
        for extension in own.filter(|extension| extension.tag < tags::FIRST_OF_HUB) {
            extensions.update(extension.tag.to_le_bytes());
            extensions.update((extension.bytes.len() as u64).to_le_bytes());
            extensions.update(extension.bytes);
        }
        Self::of(&[
            content.to.to_string().as_bytes(),
            &content.kind.0.to_le_bytes(),
            content.payload,
            &extensions.finalize(),
        ])
    }

    /// Of what a request for a new group asks for: its profile, its options and its members.
    #[must_use]
    pub fn of_group(new: &CreateGroup) -> Self {
        let members: String = new
            .members
            .iter()
            .map(|(member, _)| format!("{member}\n"))
            .collect();
        Self::of(&[
            &[new.group_type.0, new.join_option.0, new.invite_option.0],
            new.name.as_bytes(),
            new.introduction.as_bytes(),
            new.notification.as_bytes(),
            new.avatar.as_bytes(),
            members.as_bytes(),
        ])
    }

    /// As a store keeps it.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// Of what [`Fingerprint::to_bits`] gave.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}
