//! What a device gets from the hub, in memory of its own.

use tim_proto::message::SystemNotice;
use tim_proto::message::{GroupTip, Message, MessageFlags, Payload, Revocation, Text};
use tim_proto::request::{
    BanMembers, BeginUpload, BeginUploadResponse, Conversations, CreateGroup, DeleteConversation, Download,
    EndUpload, Failure, Fetch, FileUrl, GetConversationProfile, GetGroupProfile, GroupMembers, Groups,
    History, InviteMembers, JoinGroup, MarkRead, RawResponse, RemoveMembers, Renew, Request, Revoke, Send,
    Upload, UserProfiles,
};
use tim_proto::{ErrorCode, JoinStatus, MemberResult, MessageKind, Role, UserId};
use tim_session::Event;

/// An event of a device, in memory of its own.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Observed {
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

pub(super) fn sender_names(message: &Message<'_>) -> [String; 4] {
    let names = [message.nick(), message.name_card(), message.avatar()].map(str::to_owned);
    let [nick, card, avatar] = names;
    [text(message), nick, card, avatar]
}

/// What END_UPLOAD says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Uploaded {
    pub(crate) uuid: String,
    pub(crate) size: u64,
    /// Which rendition, and its size, width and height.
    pub(crate) images: Vec<(u8, u64, u32, u32)>,
    pub(crate) format: u8,
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
    Begun(BeginUploadResponse),
    /// So many bytes of an upload are durable.
    Confirmed(u64),
    Uploaded(Uploaded),
    FileUrl {
        url: String,
        expires: u64,
    },
    FilePiece {
        total: u64,
        bytes: Vec<u8>,
    },
    /// The session ends then.
    Renewed(u64),
    Done,
}

pub(super) fn observe(event: &Event<'_>, me: &UserId) -> Option<Observed> {
    Some(match event {
        Event::Ready => Observed::Ready,
        Event::KickedOut(failure) => Observed::KickedOut(failure.code),
        Event::LoginFailed(failure) => Observed::LoginFailed(failure.code),
        Event::TurnedAway(failure) => Observed::TurnedAway(failure.code),
        Event::Expiring(expiring) => Observed::Expiring(expiring.seconds),
        Event::Gap(gap) => Observed::Gap {
            from: gap.from,
            to: gap.to,
        },
        Event::ConversationChanged(change) => Observed::Conversation {
            conversation: change.conversation.to_string(),
            unread: change.unread,
            deleted: change.deleted_through > 0,
        },
        Event::Delivered(deliver) => {
            let message = &deliver.message();
            let (conversation, sequence) =
                (message.conversation_of(me).to_string(), message.envelope.sequence);
            match message.payload {
                _ if message.envelope.flags.contains(MessageFlags::STUB) => Observed::Stub {
                    sequence,
                    payload_len: deliver.payload_len,
                },
                Payload::GroupTip(tip) => Observed::Tip(tip.text(tim_proto::Words::SEED).to_string()),
                Payload::SystemNotice(notice) => Observed::Notice(
                    notice
                        .text(tim_proto::Words::SEED)
                        .map(|text| text.to_string())
                        .unwrap_or_default(),
                ),
                Payload::Revocation(Revocation {
                    sequence, revoker, ..
                }) => Observed::Revoked {
                    conversation,
                    sequence,
                    by: revoker.to_string(),
                },
                _ => Observed::Message {
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
        Payload::Text(Text { text, .. }) => text.to_owned(),
        Payload::Unknown(MessageKind(kind), bytes) => format!("kind {kind}: {} bytes", bytes.len()),
        ref other => other.kind().to_string(),
    }
}

pub(super) fn reply(raw: &RawResponse<'_>) -> Result<Reply, Failure<'static>> {
    Ok(match raw.kind() {
        Send::KIND => {
            let sent = raw.decode::<Send<'_>>()?;
            Reply::Sent {
                sequence: sent.sequence,
                duplicate: sent.duplicate,
            }
        }
        Revoke::KIND => {
            let revoked = raw.decode::<Revoke<'_>>()?;
            Reply::Sent {
                sequence: revoked.sequence,
                duplicate: false,
            }
        }
        History::KIND => {
            let page = raw.decode::<History<'_>>()?;
            Reply::Page {
                texts: page.messages.iter().map(|message| text(&message)).collect(),
                sequences: page
                    .messages
                    .iter()
                    .map(|message| message.envelope.sequence)
                    .collect(),
                next: page.next.to_vec(),
                completed: page.completed,
            }
        }
        MarkRead::KIND | DeleteConversation::KIND => {
            let read = RawResponse::new(MarkRead::KIND, raw.body()).decode::<MarkRead>()?;
            Reply::Read { unread: read.unread }
        }
        Conversations::KIND => {
            let list = raw.decode::<Conversations<'_>>()?;
            Reply::Conversations(
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
            )
        }
        GetConversationProfile::KIND => {
            let profile = raw.decode::<GetConversationProfile>()?;
            Reply::Profile {
                members: profile.group.map_or(0, |group| group.member_count),
                unread: profile.conversation.unread,
            }
        }
        Fetch::KIND => {
            let piece = raw.decode::<Fetch>()?;
            Reply::Piece {
                total: piece.total,
                bytes: piece.bytes.to_vec(),
            }
        }
        CreateGroup::KIND => {
            let made = raw.decode::<CreateGroup<'_>>()?;
            Reply::Group(made.group.to_string())
        }
        JoinGroup::KIND => {
            let joined = raw.decode::<JoinGroup<'_>>()?;
            Reply::Joined(joined.status)
        }
        InviteMembers::KIND | RemoveMembers::KIND | BanMembers::KIND => {
            let answer = RawResponse::new(InviteMembers::KIND, raw.body()).decode::<InviteMembers<'_>>()?;
            let results = answer.results.iter();
            Reply::Members(results.map(|one| (one.user.to_string(), one.result)).collect())
        }
        GroupMembers::KIND => {
            let page = raw.decode::<GroupMembers<'_>>()?;
            Reply::GroupMembers {
                members: page
                    .members
                    .iter()
                    .map(|one| (one.user.to_string(), one.role))
                    .collect(),
                next: page.next.to_vec(),
                completed: page.completed,
            }
        }
        Groups::KIND => {
            let page = raw.decode::<Groups<'_>>()?;
            Reply::Groups {
                groups: page.groups.iter().map(|one| one.id.to_string()).collect(),
                next: page.next.to_vec(),
                completed: page.completed,
            }
        }
        GetGroupProfile::KIND => {
            let profile = raw.decode::<GetGroupProfile>()?;
            Reply::GroupProfile {
                name: profile.name.to_owned(),
                owner: profile.owner.to_string(),
                members: profile.member_count,
                role: profile.role,
                name_card: profile.name_card.to_owned(),
            }
        }
        Renew::KIND => {
            let renewed = raw.decode::<Renew<'_>>()?;
            Reply::Renewed(renewed.expires)
        }
        BeginUpload::KIND => Reply::Begun(raw.decode::<BeginUpload<'_>>()?),
        Upload::KIND => Reply::Confirmed(raw.decode::<Upload<'_>>()?.offset),
        EndUpload::KIND => {
            let ended = raw.decode::<EndUpload>()?;
            let images = ended.images.iter();
            Reply::Uploaded(Uploaded {
                uuid: ended.uuid.to_owned(),
                size: ended.size,
                images: images
                    .map(|one| (one.size_type.0, one.size, one.width, one.height))
                    .collect(),
                format: ended.format.0,
            })
        }
        Download::KIND => {
            let piece = raw.decode::<Download>()?;
            Reply::FilePiece {
                total: piece.total,
                bytes: piece.bytes.to_vec(),
            }
        }
        FileUrl::KIND => {
            let found = raw.decode::<FileUrl>()?;
            Reply::FileUrl {
                url: found.url.to_owned(),
                expires: found.expires,
            }
        }
        UserProfiles::KIND => {
            let found = raw.decode::<UserProfiles<'_>>()?;
            Reply::Users(
                found
                    .users
                    .iter()
                    .map(|one| [one.id.as_str(), one.nick, one.avatar].map(str::to_owned))
                    .collect(),
            )
        }
        _ => Reply::Done,
    })
}
