//! Pages of lists: how many items fit, and the cursors with which clients ask for the next page.
//!
//! A cursor is good for its own list only.

use tim_proto::wire::{self, crc32, decode_body};
use tim_proto::{ErrorCode, GroupId, Role, UserId};

use crate::refusal::Refusal;
use tim_store::{ListPosition, LogKey};

/// A list that is read in pages.
#[derive(Debug, Clone, Copy)]
pub(super) enum Paged {
    /// The history of a conversation.
    History(LogKey),
    /// A group's members, all or those with a role.
    Members(GroupId, Option<Role>),
    /// A user's groups.
    Groups(UserId),
    /// A user's conversations.
    Conversations(UserId),
}

/// How many bytes of a cursor identify the list.
const TAG: usize = 4;

impl Paged {
    fn tag(&self) -> [u8; TAG] {
        let tag = match self {
            Self::History(LogKey::C2c(pair)) => {
                let (low, high) = pair.users();
                // No id contains a zero, so no two pairs give the same bytes.
                crc32(&[b"1", low.as_str().as_bytes(), b"\0", high.as_str().as_bytes()])
            }
            Self::History(LogKey::Group(group)) => crc32(&[b"2", group.as_str().as_bytes()]),
            Self::History(LogKey::System(user)) => crc32(&[b"3", user.as_str().as_bytes()]),
            Self::Members(group, None) => crc32(&[b"4", group.as_str().as_bytes()]),
            Self::Members(group, Some(role)) => crc32(&[b"5", &[role.0], group.as_str().as_bytes()]),
            Self::Groups(user) => crc32(&[b"6", user.as_str().as_bytes()]),
            Self::Conversations(user) => crc32(&[b"7", user.as_str().as_bytes()]),
        };
        tag.to_le_bytes()
    }

    /// The cursor for a position in this list.
    pub(super) fn cursor(&self, position: &[u8]) -> Vec<u8> {
        [&self.tag()[..], position].concat()
    }

    /// The position in a cursor; `None` for the beginning of the list.
    pub(super) fn position<'a>(&self, cursor: &'a [u8]) -> Result<Option<&'a [u8]>, Refusal> {
        if cursor.is_empty() {
            return Ok(None);
        }
        match cursor.split_first_chunk() {
            Some((tag, position)) if *tag == self.tag() => Ok(Some(position)),
            _ => Err(invalid()),
        }
    }
}

/// The client's cursor is not one of this list.
pub(super) fn invalid() -> Refusal {
    Refusal::new(
        ErrorCode::CURSOR_INVALID,
        "this is no place in this list; it may be one in another list",
    )
}

/// The most bytes that the length before an item of a list takes.
pub(super) const MAX_LEN_PREFIX: usize = 5;

/// How many items of these sizes fit into `max_bytes`: at least one, if there is one.
pub(super) fn fitting(sizes: impl Iterator<Item = usize>, max_bytes: usize) -> Result<usize, Refusal> {
    let (mut fit, mut free) = (0, max_bytes);
    for size in sizes {
        match free.checked_sub(size.saturating_add(MAX_LEN_PREFIX)) {
            Some(left) => free = left,
            None if fit == 0 => {
                return Err(Refusal::new(
                    ErrorCode::FRAME_TOO_LARGE,
                    "not one of them fits into a frame that you take",
                ));
            }
            None => break,
        }
        fit += 1;
    }
    Ok(fit)
}

/// The number of items of a page for which a client asks; 0 is as many as there may be.
pub(super) fn page_len(count: u16, most: u32) -> usize {
    let most = most as usize;
    match count {
        0 => most,
        count => most.min(usize::from(count)),
    }
}

/// The store's cursor at this position.
pub(super) fn list_cursor(position: Option<&[u8]>) -> Result<Option<ListPosition>, Refusal> {
    match position {
        Some(position) => ListPosition::from_bytes(position).map(Some).ok_or_else(invalid),
        None => Ok(None),
    }
}

/// A number as a position.
pub(super) fn encode(number: u64) -> EncodedNumber {
    let mut bytes = [0; 10];
    let len = wire::encode_body(&number, &mut bytes).unwrap_or(0);
    EncodedNumber { bytes, len }
}

/// The number at a position; `None` if it is not one.
pub(super) fn number(position: &[u8]) -> Option<u64> {
    decode_body(position).ok()
}

/// A number, encoded.
pub(super) struct EncodedNumber {
    bytes: [u8; 10],
    len: usize,
}

impl AsRef<[u8]> for EncodedNumber {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_own_list_only() {
        let user = |name| UserId::new(name).unwrap();
        let group = |name| GroupId::new(name).unwrap();
        let lists = [
            Paged::History(LogKey::c2c(user("alice"), user("bob"))),
            Paged::History(LogKey::c2c(user("alice"), user("carol"))),
            Paged::History(LogKey::c2c(user("a"), user("licebob"))),
            Paged::History(LogKey::Group(group("alice"))),
            Paged::History(LogKey::System(user("alice"))),
            Paged::Members(group("alice"), None),
            Paged::Members(group("alice"), Some(Role::ADMIN)),
            Paged::Members(group("alice"), Some(Role::MEMBER)),
            Paged::Groups(user("alice")),
            Paged::Groups(user("bob")),
            Paged::Conversations(user("bob")),
        ];
        for (of, list) in lists.iter().enumerate() {
            let cursor = list.cursor(b"position");
            for (with, other) in lists.iter().enumerate() {
                let position = other.position(&cursor).ok();
                assert_eq!(
                    position == Some(Some(&b"position"[..])),
                    of == with,
                    "{list:?} {other:?}"
                );
            }
            assert_eq!(list.position(&[]).ok(), Some(None));
            assert!(list.position(&cursor[..3]).is_err());
        }
    }
}
