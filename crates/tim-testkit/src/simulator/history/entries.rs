//! Messages and conversations, as somebody sees them.

use std::fmt;

use tim_session::proto::message::{NoticeOperation, Payload, TipOperation};
use tim_session::proto::{ConversationId, GroupId, MessageId, MessageKind, ReceiveOption, UserId};

use crate::simulator::files;
use crate::simulator::op::FileBody;

/// Which log, independent of who sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Log {
    /// Of two users, the smaller first.
    C2c(UserId, UserId),
    /// Of a group.
    Group(GroupId),
    /// The notices of a user.
    System(UserId),
}

impl Log {
    /// The log of a conversation, as this user names it.
    #[must_use]
    pub fn of(user: UserId, conversation: ConversationId) -> Self {
        match conversation {
            ConversationId::C2c(peer) if peer < user => Self::C2c(peer, user),
            ConversationId::C2c(peer) => Self::C2c(user, peer),
            ConversationId::Group(group) => Self::Group(group),
            _ => Self::System(user),
        }
    }

    /// The conversation, as this user names it; `None` if the user cannot have it.
    #[must_use]
    pub fn seen_by(&self, user: &UserId) -> Option<ConversationId> {
        match self {
            Self::C2c(a, b) if a == user => Some(ConversationId::C2c(*b)),
            Self::C2c(a, b) if b == user => Some(ConversationId::C2c(*a)),
            Self::C2c(..) => None,
            Self::Group(group) => Some(ConversationId::Group(*group)),
            Self::System(owner) => (owner == user).then_some(ConversationId::System),
        }
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::C2c(a, b) => write!(f, "{a}+{b}"),
            Self::Group(group) => write!(f, "{group}"),
            Self::System(user) => write!(f, "notices of {user}"),
        }
    }
}

/// What tells a message from all others of a run: it is in the bytes of its content. The number of the step that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark(pub u32);

impl Mark {
    /// The mark of the `n`-th message of a hostile step.
    #[must_use]
    pub const fn hostile(step: u32, n: u32) -> Self {
        Self(1 << 31 | (step & 0x3FFF) << 16 | (n & 0xFFFF))
    }

    const LEN: usize = 14;

    /// The bytes in the content.
    #[must_use]
    pub fn text(self) -> String {
        format!("mark:{:08x}.", self.0)
    }

    /// The text of a message with this mark, of this length at least.
    #[must_use]
    pub fn text_of(self, len: usize) -> String {
        let mut text = self.text();
        while text.len() < len {
            text.push(char::from(b'a' + (text.len() % 26) as u8));
        }
        text
    }

    /// The mark in these bytes.
    #[must_use]
    pub fn find(bytes: &[u8]) -> Option<Self> {
        let found = bytes
            .windows(Self::LEN)
            .find(|window| window.starts_with(b"mark:"))?;
        let digits = std::str::from_utf8(found.get(5..13)?).ok()?;
        u32::from_str_radix(digits, 16).ok().map(Self)
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >> 31 == 0 {
            write!(f, "#{}", self.0)
        } else {
            write!(f, "#{}.{}", self.0 >> 16 & 0x3FFF, self.0 & 0xFFFF)
        }
    }
}

/// A message to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// To which log.
    pub log: Log,
    /// Its sender.
    pub from: UserId,
    /// Its id when the call began.
    pub id: MessageId,
    /// Its content.
    pub said: Said,
    /// Only to those online.
    pub online_only: bool,
    /// The file that it carries.
    pub file: Option<FileOf>,
}

/// A file: the message that it was uploaded for first, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileOf {
    /// The mark of the message.
    pub origin: Mark,
    /// What it is.
    pub body: FileBody,
}

/// The content that a user wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Said {
    /// Its kind.
    pub kind: MessageKind,
    /// Its mark, if it has one.
    pub mark: Option<Mark>,
    /// A hash of the bytes.
    pub hash: u64,
    /// How many bytes.
    pub len: u32,
}

/// The content of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// What a user wrote.
    Said(Said),
    /// A tip.
    Tip {
        /// What happened.
        operation: TipOperation,
        /// Who did it.
        operator: String,
        /// To whom.
        users: Vec<String>,
        /// How many members there are after it.
        members: u32,
    },
    /// A notice.
    Notice {
        /// Of what.
        operation: NoticeOperation,
        /// Who did it.
        operator: String,
        /// In which group.
        group: String,
    },
    /// A revocation of the entry with this sequence.
    Revocation {
        /// The sequence.
        sequence: u64,
    },
    /// Nothing: it was revoked.
    Gone,
    /// The payload has not been fetched.
    Stub,
}

impl Content {
    /// The content of a payload that is there (neither revoked nor a stub). `kind` and `bytes` are those of the encoded payload.
    #[must_use]
    pub fn of(payload: &Payload<'_>, kind: MessageKind, bytes: &[u8]) -> Self {
        match payload {
            Payload::GroupTip(tip) => Self::Tip {
                operation: tip.operation,
                operator: tip.operator_id.to_owned(),
                users: tip.users.iter().map(str::to_owned).collect(),
                members: tip.member_count,
            },
            Payload::SystemNotice(notice) => Self::Notice {
                operation: notice.operation,
                operator: notice.operator_id.to_owned(),
                group: notice.group_id.to_owned(),
            },
            Payload::Revocation(revocation) => Self::Revocation {
                sequence: revocation.sequence,
            },
            _ => Self::Said(Said::of(kind, bytes)),
        }
    }

    /// The mark of what a user wrote.
    #[must_use]
    pub const fn mark(&self) -> Option<Mark> {
        match self {
            Self::Said(said) => said.mark,
            _ => None,
        }
    }
}

impl Said {
    /// The content of an encoded payload.
    #[must_use]
    pub fn of(kind: MessageKind, bytes: &[u8]) -> Self {
        files::said(kind, bytes).unwrap_or_else(|| Self {
            kind,
            mark: Mark::find(bytes),
            hash: files::hash_of(bytes),
            len: bytes.len() as u32,
        })
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said(Said { mark: Some(mark), .. }) => write!(f, "{mark}"),
            Self::Said(said) => write!(f, "unmarked {:?} of {} bytes", said.kind, said.len),
            Self::Tip {
                operation,
                operator,
                users,
                members,
            } => write!(
                f,
                "tip {} by {operator} [{}] members {members}",
                operation.name().unwrap_or("?"),
                users.join(" ")
            ),
            Self::Notice {
                operation,
                operator,
                group,
            } => write!(
                f,
                "notice {} by {operator} of {group}",
                operation.name().unwrap_or("?")
            ),
            Self::Revocation { sequence } => write!(f, "revocation of {sequence}"),
            Self::Gone => f.write_str("revoked"),
            Self::Stub => f.write_str("stub"),
        }
    }
}

/// An entry, as somebody sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its log.
    pub log: Log,
    /// Its sequence; 0 if it is not stored.
    pub sequence: u64,
    /// Its id.
    pub id: MessageId,
    /// Its sender.
    pub from: UserId,
    /// When the hub accepted it, Unix time in seconds.
    pub time_s: u64,
    /// The content.
    pub content: Content,
    /// Whether it is flagged as revoked. An own instance keeps its content.
    pub revoked: bool,
    /// Whether it is flagged as online-only.
    pub online_only: bool,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{} {} from {}",
            self.log, self.sequence, self.content, self.from
        )?;
        if self.revoked {
            f.write_str(" (revoked)")?;
        }
        if self.online_only {
            f.write_str(" (online-only)")?;
        }
        Ok(())
    }
}

/// An entry of a conversation list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListEntry {
    /// Which log.
    pub log: Log,
    /// The unread count.
    pub unread: u64,
    /// The read mark.
    pub read_sequence: u64,
    /// The sequence of the newest entry.
    pub last_sequence: u64,
    /// The newest message.
    pub last: Option<Seen>,
    /// The receive option.
    pub receive_option: ReceiveOption,
    /// The name shown.
    pub name: String,
    /// The sequences of the unread messages that mention the user.
    pub at: Vec<u64>,
}
