//! What clients ask of the model of the hub, in memory of its own.

use tim_session::HubEvent;
use tim_session::proto::message::to_vec;
use tim_session::proto::request::{AnyRequest as Request, Resume};
use tim_session::proto::{ConversationId, GroupId, UserId};

/// Which log: a pair of users in order, or a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Pair(UserId, UserId),
    Group(GroupId),
}

/// A request, in memory of its own.
pub(crate) enum Asked {
    Login {
        user: UserId,
        device: u64,
        /// The session's number, and its attempt.
        life: (u64, u32),
        from: Option<usize>,
    },
    Send {
        id: u32,
        content: Vec<u8>,
    },
    History {
        id: u32,
        log: Option<Key>,
        before: Option<usize>,
        count: usize,
    },
    Fetch {
        id: u32,
        log: Option<Key>,
        sequence: usize,
        offset: usize,
        len: usize,
    },
    Unsupported {
        id: u32,
    },
}

pub(crate) fn asked(event: HubEvent<'_>, device: Option<(UserId, u64)>) -> Asked {
    let log = |conversation| device.and_then(|(user, _)| key(user, conversation));
    match event {
        HubEvent::Login(login) => {
            let from = match login.resume {
                Resume::NOW => None,
                Resume::START => Some(0),
                _ => Some(place(login.cursor).expect("a cursor of this hub")),
            };
            Asked::Login {
                user: login.user,
                device: login.device,
                life: (login.session, login.attempt),
                from,
            }
        }
        HubEvent::Request {
            id,
            request: Request::Send(send),
            ..
        } => Asked::Send {
            id,
            content: to_vec(&send.content),
        },
        HubEvent::Request {
            id,
            request: Request::History(history),
            ..
        } => Asked::History {
            id,
            log: log(history.conversation),
            before: place(history.next),
            count: if history.count == 0 {
                15
            } else {
                history.count.into()
            },
        },
        HubEvent::Request {
            id,
            request: Request::Fetch(fetch),
            ..
        } => Asked::Fetch {
            id,
            log: log(fetch.conversation),
            sequence: fetch.sequence as usize,
            offset: fetch.offset as usize,
            len: fetch.len as usize,
        },
        HubEvent::Request { id, .. } | HubEvent::Malformed { id, .. } => Asked::Unsupported { id },
        other => panic!("an event that the model does not know: {other:?}"),
    }
}

pub(crate) fn cursor(place: usize) -> [u8; 4] {
    (place as u32).to_le_bytes()
}

pub(crate) fn place(cursor: &[u8]) -> Option<usize> {
    cursor
        .try_into()
        .ok()
        .map(|bytes| u32::from_le_bytes(bytes) as usize)
}

pub(crate) fn key(user: UserId, conversation: ConversationId) -> Option<Key> {
    match conversation {
        ConversationId::C2c(peer) => Some(Key::Pair(user.min(peer), user.max(peer))),
        ConversationId::Group(group) => Some(Key::Group(group)),
        _ => None,
    }
}
