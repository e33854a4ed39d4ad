//! Where a page of a list ended, as a client keeps it: bytes that are good for that list only.

use tim_proto::wire::crc32;
use tim_proto::{ErrorCode, GroupId, Role, UserId};

use crate::refusal::Refusal;
use crate::store::LogKey;

/// A list that is read in pages.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Paged {
    /// The history of a conversation.
    History(LogKey),
    /// A group's members, all or those with a role.
    Members(GroupId, Option<Role>),
    /// A user's groups.
    Groups(UserId),
    /// A user's conversations.
    Conversations(UserId),
}

/// How many bytes say which list it is.
const TAG: usize = 4;

impl Paged {
    fn tag(&self) -> [u8; TAG] {
        let tag = match self {
            Self::History(LogKey::C2c(pair)) => {
                let (low, high) = pair.users();
                // A zero is in no id, so that no two pairs run together to the same bytes.
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

    /// The cursor for a place in this list.
    pub(crate) fn cursor(&self, place: &[u8]) -> Vec<u8> {
        [&self.tag()[..], place].concat()
    }

    /// The place that a cursor names; `None` for the list's beginning.
    pub(crate) fn place<'a>(&self, cursor: &'a [u8]) -> Result<Option<&'a [u8]>, Refusal> {
        if cursor.is_empty() {
            return Ok(None);
        }
        match cursor.split_first_chunk() {
            Some((tag, place)) if *tag == self.tag() => Ok(Some(place)),
            _ => Err(invalid()),
        }
    }
}

/// The client's cursor is none of this list.
pub(crate) fn invalid() -> Refusal {
    Refusal::new(
        ErrorCode::CURSOR_INVALID,
        "this is no place in this list; it may be one in another list",
    )
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
            let cursor = list.cursor(b"place");
            for (with, other) in lists.iter().enumerate() {
                let place = other.place(&cursor).ok();
                assert_eq!(
                    place == Some(Some(&b"place"[..])),
                    of == with,
                    "{list:?} {other:?}"
                );
            }
            assert_eq!(list.place(&[]).ok(), Some(None));
            assert!(list.place(&cursor[..3]).is_err());
        }
    }
}
