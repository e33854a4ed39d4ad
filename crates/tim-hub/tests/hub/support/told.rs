//! What a device is told and answered, in memory of its own.

use tim_proto::message::SystemNotice;
use tim_proto::message::{GroupTip, Message, MessageFlags, Payload, Revocation, Text};
use tim_proto::request::AnyResponse as Answer;
use tim_proto::{ErrorCode, JoinStatus, MemberResult, MessageKind, Role, UserId};
use tim_session::Event;

/// What a device was told, in memory of its own.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    Ready,
    Message {
        conversation: String,
        sequence: u64,
        from: String,
        text: String,
        flags: MessageFlags,
    },
    Tip(String),
    Notice(String),
    Revoked {
        conversation: String,
        sequence: u64,
        by: String,
    },
    Stub {
        sequence: u64,
        payload_len: u32,
    },
    Gap {
        from: u64,
        to: u64,
    },
    Conversation {
        conversation: String,
        unread: u32,
        deleted: bool,
    },
    /// So many seconds are left.
    Expiring(u32),
    KickedOut(ErrorCode),
    LoginFailed(ErrorCode),
    TurnedAway(ErrorCode),
}

/// What a notice says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Notice {
    pub(crate) operation: u32,
    pub(crate) operator: String,
    pub(crate) group: String,
    pub(crate) message: String,
    pub(crate) key: u64,
    pub(crate) custom: String,
    /// Whether it may become its conversation's last message.
    pub(crate) may_be_last: bool,
}

impl Notice {
    pub(super) fn of(notice: &SystemNotice<'_>, flags: MessageFlags) -> Self {
        Self {
            may_be_last: !flags.contains(MessageFlags::NO_LAST),
            operation: notice.operation.0,
            operator: notice.operator_id.to_owned(),
            group: notice.group_id.to_owned(),
            message: notice.handle_message.to_owned(),
            key: notice.message_key,
            custom: notice.user_defined_field.to_owned(),
        }
    }
}

/// What a tip says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tip {
    pub(crate) operation: u32,
    pub(crate) users: Vec<String>,
    pub(crate) members: u32,
    pub(crate) changes: usize,
    /// How the operator and the users are shown to people.
    pub(crate) shown: Vec<String>,
}

impl Tip {
    pub(super) fn of(tip: &GroupTip<'_>) -> Self {
        Self {
            operation: tip.operation.0,
            users: tip.users.iter().map(str::to_owned).collect(),
            members: tip.member_count,
            changes: tip.changes.len(),
            shown: std::iter::once(tip.operator.shown_for(tip.operator_id))
                .chain(tip.members().map(|member| member.names.shown_for(member.id)))
                .map(str::to_owned)
                .collect(),
        }
    }
}

pub(super) fn said(message: &Message<'_>) -> [String; 4] {
    let names = [message.nick(), message.name_card(), message.avatar()].map(str::to_owned);
    let [nick, card, avatar] = names;
    [text(message), nick, card, avatar]
}

/// An answer in memory of its own.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reply {
    Sent {
        sequence: u64,
        duplicate: bool,
    },
    Page {
        texts: Vec<String>,
        sequences: Vec<u64>,
        next: Vec<u8>,
        completed: bool,
    },
    Read {
        unread: u32,
    },
    Conversations(Vec<(String, u32, String)>),
    Profile {
        members: u32,
        unread: u32,
    },
    Piece {
        total: u32,
        bytes: Vec<u8>,
    },
    Group(String),
    Joined(JoinStatus),
    Members(Vec<(String, MemberResult)>),
    GroupMembers {
        /// Who, and in which role.
        members: Vec<(String, Role)>,
        next: Vec<u8>,
        completed: bool,
    },
    Groups {
        groups: Vec<String>,
        next: Vec<u8>,
        completed: bool,
    },
    GroupProfile {
        name: String,
        owner: String,
        members: u32,
        role: Role,
        name_card: String,
    },
    Users(Vec<[String; 3]>),
    /// The session ends then.
    Renewed(u64),
    Done,
}

pub(super) fn seen(event: &Event<'_>, me: &UserId) -> Option<Seen> {
    Some(match event {
        Event::Ready => Seen::Ready,
        Event::KickedOut(failure) => Seen::KickedOut(failure.code),
        Event::LoginFailed(failure) => Seen::LoginFailed(failure.code),
        Event::TurnedAway(failure) => Seen::TurnedAway(failure.code),
        Event::Expiring(expiring) => Seen::Expiring(expiring.seconds),
        Event::Gap(gap) => Seen::Gap {
            from: gap.from,
            to: gap.to,
        },
        Event::ConversationChanged(change) => Seen::Conversation {
            conversation: change.conversation.to_string(),
            unread: change.unread,
            deleted: change.deleted_through > 0,
        },
        Event::Delivered(deliver) => {
            let message = &deliver.message();
            let (conversation, sequence) =
                (message.conversation_of(me).to_string(), message.envelope.sequence);
            match message.payload {
                _ if message.envelope.flags.contains(MessageFlags::STUB) => Seen::Stub {
                    sequence,
                    payload_len: deliver.payload_len,
                },
                Payload::GroupTip(tip) => Seen::Tip(tip.text(tim_proto::Words::SEED).to_string()),
                Payload::SystemNotice(notice) => Seen::Notice(
                    notice
                        .text(tim_proto::Words::SEED)
                        .map(|text| text.to_string())
                        .unwrap_or_default(),
                ),
                Payload::Revocation(Revocation {
                    sequence, revoker, ..
                }) => Seen::Revoked {
                    conversation,
                    sequence,
                    by: revoker.to_string(),
                },
                _ => Seen::Message {
                    conversation,
                    sequence,
                    from: message.sender().to_string(),
                    text: text(message),
                    flags: message.envelope.flags,
                },
            }
        }
        _ => return None,
    })
}

/// What it says; of a revoked message who took it back, and why.
pub(super) fn text(message: &Message<'_>) -> String {
    if message.is_revoked() {
        let by = message.revoked_by().unwrap_or_default();
        let left = match message.payload {
            Payload::Unknown(_, []) => String::new(),
            ref payload => format!("{payload:?}"),
        };
        return format!("~{} {}{left}", by.shown_name(), by.reason);
    }
    match message.payload {
        Payload::Text(Text { text }) => text.to_owned(),
        Payload::Unknown(MessageKind(kind), bytes) => format!("kind {kind}: {} bytes", bytes.len()),
        ref other => other.kind().to_string(),
    }
}

pub(super) fn reply(answer: &Answer<'_>) -> Reply {
    match answer {
        Answer::Send(sent) => Reply::Sent {
            sequence: sent.sequence,
            duplicate: sent.duplicate,
        },
        Answer::Revoke(revoked) => Reply::Sent {
            sequence: revoked.sequence,
            duplicate: false,
        },
        Answer::History(page) => Reply::Page {
            texts: page.messages.iter().map(|message| text(&message)).collect(),
            sequences: page
                .messages
                .iter()
                .map(|message| message.envelope.sequence)
                .collect(),
            next: page.next.to_vec(),
            completed: page.completed,
        },
        Answer::MarkRead(read) => Reply::Read { unread: read.unread },
        Answer::Conversations(list) => Reply::Conversations(
            list.conversations
                .iter()
                .map(|one| {
                    let last = one
                        .last_message()
                        .map(|message| text(&message))
                        .unwrap_or_default();
                    (one.id.to_string(), one.unread, last)
                })
                .collect(),
        ),
        Answer::ConversationProfile(profile) => Reply::Profile {
            members: profile.group.map_or(0, |group| group.member_count),
            unread: profile.conversation.unread,
        },
        Answer::Fetch(piece) => Reply::Piece {
            total: piece.total,
            bytes: piece.bytes.to_vec(),
        },
        Answer::CreateGroup(made) => Reply::Group(made.group.to_string()),
        Answer::JoinGroup(joined) => Reply::Joined(joined.status),
        Answer::Members(answer) => {
            let results = answer.results.iter();
            Reply::Members(results.map(|one| (one.user.to_string(), one.result)).collect())
        }
        Answer::GroupMembers(page) => Reply::GroupMembers {
            members: page
                .members
                .iter()
                .map(|one| (one.user.to_string(), one.role))
                .collect(),
            next: page.next.to_vec(),
            completed: page.completed,
        },
        Answer::Groups(page) => Reply::Groups {
            groups: page.groups.iter().map(|one| one.id.to_string()).collect(),
            next: page.next.to_vec(),
            completed: page.completed,
        },
        Answer::GroupProfile(profile) => Reply::GroupProfile {
            name: profile.name.to_owned(),
            owner: profile.owner.to_string(),
            members: profile.member_count,
            role: profile.role,
            name_card: profile.name_card.to_owned(),
        },
        Answer::Renew(renewed) => Reply::Renewed(renewed.expires),
        Answer::UserProfiles(found) => Reply::Users(
            found
                .users
                .iter()
                .map(|one| [one.id.as_str(), one.nick, one.avatar].map(str::to_owned))
                .collect(),
        ),
        _ => Reply::Done,
    }
}
