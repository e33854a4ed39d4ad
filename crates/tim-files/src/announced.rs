//! What the owner of an upload has announced, and how it is stored beside the bytes.

use sha2::{Digest, Sha256};

/// What is announced before the first byte is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// Whose upload it is.
    pub owner: String,
    /// What kind of message the file is for, as the protocol numbers them.
    pub kind: u16,
    /// The name of the file on the owner's side. It is never used as a path.
    pub name: String,
    /// The media type according to the owner; may be empty.
    pub media_type: String,
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 of its content.
    pub sha256: [u8; 32],
    /// The duration of a recording or a video, in milliseconds; else 0.
    pub duration_ms: u32,
}

/// The identity of an upload: announcing it again continues it.
pub(crate) type Key = (String, u16, u64, [u8; 32]);

/// The first bytes of a stored announcement.
const MAGIC: &[u8; 8] = b"timfile1";
/// How many bytes of a hash prove that it is complete.
const CHECK: usize = 8;

impl Announced {
    pub(crate) fn key(&self) -> Key {
        (self.owner.clone(), self.kind, self.size, self.sha256)
    }

    /// As it is stored beside the bytes of an upload that began at this time.
    pub(crate) fn encode(&self, began_ms: u64) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend(began_ms.to_le_bytes());
        out.extend(self.size.to_le_bytes());
        out.extend(self.sha256);
        out.extend(self.duration_ms.to_le_bytes());
        out.extend(self.kind.to_le_bytes());
        for text in [&self.owner, &self.name, &self.media_type] {
            out.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
            out.extend(text.as_bytes());
        }
        let check = Sha256::digest(&out);
        out.extend(check.iter().take(CHECK));
        out
    }

    /// A stored announcement, with the time at which the upload began. `None` if it is incomplete or damaged.
    pub(crate) fn decode(bytes: &[u8]) -> Option<(Self, u64)> {
        let (body, check) = bytes.split_at_checked(bytes.len().checked_sub(CHECK)?)?;
        if Sha256::digest(body).get(..CHECK)? != check {
            return None;
        }
        let mut rest = body.strip_prefix(MAGIC)?;
        let began_ms = u64::from_le_bytes(take(&mut rest)?);
        let size = u64::from_le_bytes(take(&mut rest)?);
        let sha256 = take(&mut rest)?;
        let duration_ms = u32::from_le_bytes(take(&mut rest)?);
        let kind = u16::from_le_bytes(take(&mut rest)?);
        let announced = Self {
            owner: text(&mut rest)?,
            kind,
            name: text(&mut rest)?,
            media_type: text(&mut rest)?,
            size,
            sha256,
            duration_ms,
        };
        rest.is_empty().then_some((announced, began_ms))
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*taken)
}

fn text(rest: &mut &[u8]) -> Option<String> {
    let len = u32::from_le_bytes(take(rest)?) as usize;
    let (text, behind) = rest.split_at_checked(len)?;
    *rest = behind;
    String::from_utf8(text.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_back_and_damage_is_noticed() {
        let announced = Announced {
            owner: "alice".to_owned(),
            kind: 5,
            name: "../\u{fc}.txt".to_owned(),
            media_type: String::new(),
            size: 1 << 40,
            sha256: [7; 32],
            duration_ms: 9,
        };
        let bytes = announced.encode(123);
        assert_eq!(Announced::decode(&bytes), Some((announced, 123)));
        for at in 0..bytes.len() {
            assert_eq!(Announced::decode(&bytes[..at]), None);
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert_eq!(Announced::decode(&other), None, "byte {at}");
        }
    }
}
