//! Fingerprints distinguish requests with the same id.

use std::borrow::Cow;

use sha2::{Digest as _, Sha256};
use tim_groups::NewGroup;
use tim_proto::message::{Content, tags};
use tim_proto::{FileId, MessageKind, Payload};

/// A hash of the content of a request: the first eight bytes of a SHA-256. It distinguishes a repeated request from another one
/// with the same id.
///
/// Ids belong to one account. Two contents with the same fingerprint, which take some 2³² attempts to find, can only be used
/// against the finder's own account.
///
/// ```
/// use tim_store::Fingerprint;
/// assert_eq!(Fingerprint::of(&[b"a", b"b"]), Fingerprint::of(&[b"a", b"b"]));
/// assert_ne!(Fingerprint::of(&[b"a", b"b"]), Fingerprint::of(&[b"ab", b""]));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// The fingerprint of these parts, in this order.
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

    /// The fingerprint of what the sender chose of a message: the conversation, the kind, the payload, and the extensions that are
    /// not the hub's. The priority and the client sequence are left out, so that a client needs only the id and the payload of a
    /// message to send it again. So is what the hub calls a file: one that was removed and is uploaded again has another name.
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
            &without_file_names(content.kind, content.payload),
            &extensions.finalize(),
        ])
    }

    /// The fingerprint of a new group: its profile, its options and its members.
    #[must_use]
    pub fn of_group(new: &NewGroup) -> Self {
        let members: String = new.members.iter().map(|member| format!("{member}\n")).collect();
        Self::of(&[
            &[new.group_type.0, new.join_option.0, new.invite_option.0],
            new.name.as_bytes(),
            new.introduction.as_bytes(),
            new.notification.as_bytes(),
            new.avatar.as_bytes(),
            members.as_bytes(),
        ])
    }

    /// The fingerprint as a number, to be stored and compared.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// A fingerprint that was stored as its bits.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

/// A payload with zeros in place of the names of the hub's files.
fn without_file_names(kind: MessageKind, payload: &[u8]) -> Cow<'_, [u8]> {
    let names = match Payload::decode(kind, payload) {
        Payload::Image(image) => [image.uuid, ""],
        Payload::Audio(audio) => [audio.uuid, ""],
        Payload::Video(video) => [video.uuid, video.thumbnail.uuid],
        Payload::File(file) => [file.uuid, ""],
        _ => return payload.into(),
    };
    let mut without = payload.to_vec();
    for name in names.iter().filter(|name| name.parse::<FileId>().is_ok()) {
        let mut at = 0;
        while let Some(place) = without.get_mut(at..at + name.len()) {
            if place == name.as_bytes() {
                place.fill(0);
            }
            at += 1;
        }
    }
    without.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tim_proto::message::{File, Video, to_vec};
    use tim_proto::{ConversationId, GroupId, MessageId};

    #[test]
    fn a_message_with_a_file_is_the_same_one_whatever_the_hub_calls_the_file() {
        let fingerprint = |kind, payload: &[u8]| {
            let to = ConversationId::Group(GroupId::new("g").unwrap());
            Fingerprint::of_message(&Content::new(to, MessageId::NONE, kind, payload))
        };
        let names = [[1; 16], [2; 16]].map(|bytes| FileId::from_bytes(bytes).to_string());
        let file = |uuid: &str, name: &str| {
            let file = File::new().with_uuid(uuid).with_name(name).with_size(5);
            fingerprint(MessageKind::FILE, &to_vec(&file))
        };
        assert_eq!(file(&names[0], "a"), file(&names[1], "a"));
        assert_ne!(file(&names[0], "a"), file(&names[0], "b"));
        // What others call theirs is the sender's choice.
        assert_ne!(file("https://h/1", "a"), file("https://h/2", "a"));
        let video = |uuid: &str, thumbnail: &str, seconds| {
            let thumbnail = Video::default().thumbnail.with_uuid(thumbnail);
            let video = Video::new()
                .with_uuid(uuid)
                .with_thumbnail(thumbnail)
                .with_seconds(seconds);
            fingerprint(MessageKind::VIDEO, &to_vec(&video))
        };
        assert_eq!(video(&names[0], &names[1], 3), video(&names[1], &names[0], 3));
        assert_ne!(video(&names[0], &names[1], 3), video(&names[0], &names[1], 4));
    }
}
