//! What a connection asks of the hub, in memory of its own.

use bytes::Bytes;
use tim_proto::message::{Content, tags};
use tim_proto::request::{AnyRequest as Request, Resume, Send, UpdateGroup};
use tim_proto::vendor::limits::Limits;
use tim_proto::wire::{FrameKind, List};
use tim_proto::{
    ConversationId, ErrorCode, GroupId, GroupType, InviteOption, JoinOption, MessageId, MessageKind, Payload,
    Priority, UserId,
};
use tim_session::{CloseReason, HubEvent, HubOutput, Instant};

use crate::device::LoginId;
use crate::groups::{GroupAction, GroupUpdate};
use crate::handlers::groups::MembersAsked;
use crate::refusal::Refusal;
use crate::store::{Cursor, Fingerprint, MAX_MENTIONS};

/// The session's next output.
pub(crate) enum Next {
    Login(Login),
    Ask {
        id: u32,
        kind: FrameKind,
        ask: Ask,
    },
    /// A request that the session or this module found wanting.
    Refuse {
        id: u32,
        failed: Refusal,
    },
    Close(CloseReason),
    Wait(Option<Instant>),
}

pub(crate) struct Login {
    pub(crate) app: u32,
    pub(crate) user: UserId,
    pub(crate) user_sig: String,
    /// Until when the UserSig is good, unix seconds; known once it has been checked.
    pub(crate) expires_s: u64,
    pub(crate) device: u64,
    pub(crate) life: LoginId,
    pub(crate) resume: Resume,
    pub(crate) cursor: Option<Cursor>,
}

pub(crate) enum Ask {
    Send(Sending),
    Revoke(Revoking),
    History {
        conversation: ConversationId,
        next: Vec<u8>,
        count: u16,
    },
    MarkRead {
        conversation: ConversationId,
        sequence: u64,
    },
    Conversations {
        next: Vec<u8>,
        count: u16,
    },
    Profile {
        conversation: ConversationId,
    },
    Delete {
        conversation: ConversationId,
    },
    Fetch {
        conversation: ConversationId,
        sequence: u64,
        offset: u32,
        len: u32,
    },
    CreateGroup(Box<NewGroup>),
    ChangeGroup {
        group: GroupId,
        action: Box<GroupAction>,
    },
    GroupMembers(MembersAsked),
    Groups {
        next: Vec<u8>,
        count: u16,
    },
    GroupProfile {
        group: GroupId,
    },
    UserProfiles {
        users: Vec<UserId>,
    },
    Renew {
        user_sig: String,
    },
    UpdateUserProfile {
        nick: Option<String>,
        avatar: Option<String>,
    },
}

pub(crate) struct Sending {
    pub(crate) to: ConversationId,
    pub(crate) id: MessageId,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) kind: MessageKind,
    pub(crate) online_user_only: bool,
    pub(crate) priority: Priority,
    /// Whom of a group it mentions.
    pub(crate) mentions: Vec<UserId>,
    pub(crate) mention_all: bool,
    pub(crate) content: Bytes,
}

pub(crate) struct Revoking {
    pub(crate) conversation: ConversationId,
    pub(crate) sequence: u64,
    /// The message's id, or the default one if the client does not know it.
    pub(crate) message: MessageId,
    pub(crate) reason: String,
}

pub(crate) struct NewGroup {
    pub(crate) group: Option<GroupId>,
    pub(crate) group_type: GroupType,
    pub(crate) name: String,
    pub(crate) introduction: String,
    pub(crate) notification: String,
    pub(crate) avatar: String,
    pub(crate) members: Vec<UserId>,
    pub(crate) random: u32,
    pub(crate) join_option: JoinOption,
    pub(crate) invite_option: InviteOption,
}

impl Next {
    pub(crate) fn of(output: HubOutput<'_>, limits: &Limits) -> Self {
        match output {
            HubOutput::Wait(until) => Self::Wait(until),
            HubOutput::Close(reason) => Self::Close(reason),
            HubOutput::Event(HubEvent::Login(login)) => Self::Login(Login {
                app: login.app,
                user: login.user,
                user_sig: login.user_sig.to_owned(),
                expires_s: 0,
                device: login.device,
                life: LoginId {
                    session: login.session,
                    attempt: login.attempt,
                },
                resume: login.resume,
                cursor: Cursor::from_bytes(login.cursor),
            }),
            HubOutput::Event(HubEvent::Request { id, request }) => {
                let kind = request.kind();
                let asked = match request.decode_any() {
                    Ok(decoded) => ask(&decoded, request.body(), limits),
                    Err(error) => {
                        let text = format!("the {kind} request is malformed: {error}");
                        Err((ErrorCode::MSG_PKG_PARSE_FAILED, text))
                    }
                };
                match asked {
                    Ok(ask) => Self::Ask { id, kind, ask },
                    Err((code, text)) => Self::Refuse {
                        id,
                        failed: Refusal::new(code, text),
                    },
                }
            }
            HubOutput::Event(_) => Self::Wait(None),
        }
    }
}

type Fault = (ErrorCode, String);

fn ask(request: &Request<'_>, body: &[u8], limits: &Limits) -> Result<Ask, Fault> {
    Ok(match request {
        Request::Send(send) => Ask::Send(sending(send, body, limits)?),
        Request::Revoke(revoke) => Ask::Revoke(Revoking {
            conversation: revoke.conversation,
            sequence: revoke.sequence,
            message: revoke.message,
            reason: revoke.reason.to_owned(),
        }),
        Request::History(history) => Ask::History {
            conversation: history.conversation,
            next: history.next.to_vec(),
            count: history.count,
        },
        Request::MarkRead(mark) => Ask::MarkRead {
            conversation: mark.conversation,
            sequence: mark.sequence,
        },
        Request::Conversations(list) => Ask::Conversations {
            next: list.next.to_vec(),
            count: list.count,
        },
        Request::ConversationProfile(one) => Ask::Profile {
            conversation: one.conversation,
        },
        Request::DeleteConversation(one) => Ask::Delete {
            conversation: one.conversation,
        },
        Request::Fetch(fetch) => Ask::Fetch {
            conversation: fetch.conversation,
            sequence: fetch.sequence,
            offset: fetch.offset,
            len: fetch.len,
        },
        Request::CreateGroup(create) => Ask::CreateGroup(Box::new(NewGroup {
            group: create.group,
            group_type: create.group_type,
            name: create.name.to_owned(),
            introduction: create.introduction.to_owned(),
            notification: create.notification.to_owned(),
            avatar: create.avatar.to_owned(),
            members: members(&create.members),
            random: create.random,
            join_option: create.join_option,
            invite_option: create.invite_option,
        })),
        other => return group_ask(other),
    })
}

fn group_ask(request: &Request<'_>) -> Result<Ask, Fault> {
    Ok(match request {
        Request::GroupMembers(members) => Ask::GroupMembers(MembersAsked {
            group: members.group,
            next: members.next.to_vec(),
            count: members.count,
            role: members.role,
        }),
        Request::Groups(groups) => Ask::Groups {
            next: groups.next.to_vec(),
            count: groups.count,
        },
        Request::GroupProfile(one) => Ask::GroupProfile { group: one.group },
        Request::UserProfiles(profiles) => Ask::UserProfiles {
            users: members(&profiles.users),
        },
        Request::Renew(renew) => Ask::Renew {
            user_sig: renew.user_sig.to_owned(),
        },
        Request::UpdateUserProfile(update) => Ask::UpdateUserProfile {
            nick: owned(update.nick),
            avatar: owned(update.avatar),
        },
        other => {
            let Some((group, action)) = action(other) else {
                let text = format!("this hub does not know {} requests", other.kind());
                return Err((ErrorCode::UNSUPPORTED_REQUEST, text));
            };
            let action = Box::new(action);
            Ask::ChangeGroup { group, action }
        }
    })
}

/// What a request wants of a group that is there.
fn action(request: &Request<'_>) -> Option<(GroupId, GroupAction)> {
    Some(match request {
        Request::JoinGroup(join) => {
            let message = join.message.to_owned();
            (join.group, GroupAction::Join { message })
        }
        Request::QuitGroup(one) => (one.group, GroupAction::Quit),
        Request::DismissGroup(one) => (one.group, GroupAction::Dismiss),
        Request::HandleApplication(handle) => {
            let action = GroupAction::HandleApplication {
                applicant: handle.applicant,
                accept: handle.accept,
                message: handle.message.to_owned(),
                key: handle.key,
            };
            (handle.group, action)
        }
        Request::HandleInvitation(handle) => {
            let action = GroupAction::HandleInvitation {
                accept: handle.accept,
                message: handle.message.to_owned(),
            };
            (handle.group, action)
        }
        Request::InviteMembers(list) => {
            let (users, reason) = (members(&list.users), list.reason.to_owned());
            (list.group, GroupAction::Invite { users, reason })
        }
        Request::RemoveMembers(list) => {
            let (users, reason) = (members(&list.users), list.reason.to_owned());
            (list.group, GroupAction::Remove { users, reason })
        }
        Request::BanMembers(ban) => {
            let action = GroupAction::Ban {
                users: members(&ban.users),
                seconds: ban.seconds,
                reason: ban.reason.to_owned(),
            };
            (ban.group, action)
        }
        Request::SetMember(set) => {
            let action = GroupAction::SetMember {
                user: set.user,
                role: set.role,
                mute_seconds: set.mute_seconds,
                name_card: owned(set.name_card),
            };
            (set.group, action)
        }
        Request::ChangeOwner(change) => (change.group, GroupAction::ChangeOwner { owner: change.owner }),
        Request::UpdateGroup(update) => (update.group, GroupAction::Update(group_update(update))),
        Request::SetReceiveOption(set) => (set.group, GroupAction::SetReceiveOption { option: set.option }),
        _ => return None,
    })
}

fn group_update(update: &UpdateGroup<'_>) -> GroupUpdate {
    GroupUpdate {
        name: owned(update.name),
        introduction: owned(update.introduction),
        notification: owned(update.notification),
        avatar: owned(update.avatar),
        join_option: update.join_option,
        invite_option: update.invite_option,
        mute_all: update.mute_all,
    }
}

fn owned(text: Option<&str>) -> Option<String> {
    text.map(str::to_owned)
}

fn members(list: &List<'_, UserId>) -> Vec<UserId> {
    list.iter().collect()
}

/// Checks what can be checked without the store.
fn sending(send: &Send<'_>, body: &[u8], limits: &Limits) -> Result<Sending, Fault> {
    let content = &send.content;
    if content.to == ConversationId::System {
        return Err((ErrorCode::MESSAGE_SEND_INVALID_CONVERSATION_TYPE, String::new()));
    }
    if is_hubs_own(content.kind) {
        return Err((
            ErrorCode::INVALID_OPERATION,
            format!("only the hub writes {} messages", content.kind),
        ));
    }
    if content.priority.checked().is_err() {
        return Err((ErrorCode::UNKNOWN_PRIORITY, String::new()));
    }
    let payload = Payload::decode_strict(content.kind, content.payload).map_err(|error| {
        let text = format!("the payload is no {}: {error}", content.kind);
        (ErrorCode::MSG_INVALID_JSON_BODY_FORMAT, text)
    })?;
    limits
        .check_message(&payload, content.payload.len(), content.extensions)
        .map_err(|over| (over.code, over.to_string()))?;
    if !payload.has_content() {
        return Err((ErrorCode::MESSAGE_FILE_URL_IS_EMPTY, String::new()));
    }
    if content.claims_hubs_word() {
        let text = "extensions with tags from 64 on are the hub's".to_owned();
        return Err((ErrorCode::INVALID_OPERATION, text));
    }
    let (mentions, mention_all) = mentioned(content)?;
    let bytes =
        Send::content_bytes(body).map_err(|error| (ErrorCode::MSG_PKG_PARSE_FAILED, error.to_string()))?;
    Ok(Sending {
        to: content.to,
        id: content.id,
        fingerprint: Fingerprint::of_message(content),
        kind: content.kind,
        online_user_only: send.options.0.online_user_only,
        priority: content.priority,
        mentions,
        mention_all,
        content: Bytes::copy_from_slice(bytes),
    })
}

/// Whom a message mentions. In a conversation of two it means nothing.
fn mentioned(content: &Content<'_>) -> Result<(Vec<UserId>, bool), Fault> {
    let is_group = matches!(content.to, ConversationId::Group(_));
    if !is_group || content.extensions.get(tags::MENTIONS).is_none() {
        return Ok((Vec::new(), false));
    }
    let Some(mentions) = content.mentions() else {
        let text = "the mentions cannot be read".to_owned();
        return Err((ErrorCode::MSG_PKG_PARSE_FAILED, text));
    };
    if mentions.users.len() > MAX_MENTIONS {
        let text = format!(
            "{} users mentioned, at most {MAX_MENTIONS} can be",
            mentions.users.len()
        );
        return Err((ErrorCode::GROUP_INVALID_PARAMETERS, text));
    }
    Ok((mentions.users.iter().collect(), mentions.all))
}

/// Kinds that a conversation's members must be able to believe.
const fn is_hubs_own(kind: MessageKind) -> bool {
    matches!(kind.0, 32..64)
}
