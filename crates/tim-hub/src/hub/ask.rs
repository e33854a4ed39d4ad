//! What a connection asks of the hub, in memory of its own.

use bytes::Bytes;
use tim_proto::request::{Request, Resume, Send};
use tim_proto::wire::{FrameKind, List};
use tim_proto::{
    ConversationId, ErrorCode, GroupId, GroupType, InviteOption, JoinOption, MessageId, MessageKind, Payload,
    UserId,
};
use tim_session::{CloseReason, HubEvent, HubOutput, Instant};

use super::encode;

/// The session's next output.
pub(super) enum Next {
    Login(Login),
    Ask {
        id: u32,
        kind: FrameKind,
        ask: Ask,
    },
    /// A request that the session or this module found wanting.
    Refuse {
        id: u32,
        code: ErrorCode,
        text: String,
    },
    Close(CloseReason),
    Wait(Option<Instant>),
}

pub(super) struct Login {
    pub(super) app: u32,
    pub(super) user: UserId,
    pub(super) user_sig: String,
    pub(super) device: u64,
    pub(super) resume: Resume,
    pub(super) cursor: Option<u64>,
}

pub(super) enum Ask {
    Send(Sending),
    Revoke(Revoking),
    History {
        conversation: ConversationId,
        before: Option<u64>,
        count: u16,
    },
    MarkRead {
        conversation: ConversationId,
        sequence: u64,
    },
    Conversations {
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
}

pub(super) struct Sending {
    pub(super) to: ConversationId,
    pub(super) id: MessageId,
    pub(super) kind: MessageKind,
    pub(super) online_user_only: bool,
    pub(super) content: Bytes,
}

pub(super) struct Revoking {
    pub(super) conversation: ConversationId,
    pub(super) sequence: u64,
    /// The message's id, or the default one if the client does not know it.
    pub(super) message: MessageId,
    pub(super) reason: String,
}

pub(super) struct NewGroup {
    pub(super) group: Option<GroupId>,
    pub(super) group_type: GroupType,
    pub(super) name: String,
    pub(super) introduction: String,
    pub(super) notification: String,
    pub(super) avatar: String,
    pub(super) members: Vec<UserId>,
    pub(super) random: u32,
    pub(super) join_option: JoinOption,
    pub(super) invite_option: InviteOption,
}

impl From<HubOutput<'_>> for Next {
    fn from(output: HubOutput<'_>) -> Self {
        match output {
            HubOutput::Wait(until) => Self::Wait(until),
            HubOutput::Close(reason) => Self::Close(reason),
            HubOutput::Event(HubEvent::Login(login)) => Self::Login(Login {
                app: login.app,
                user: login.user,
                user_sig: login.user_sig.to_owned(),
                device: login.device,
                resume: login.resume,
                cursor: encode::cursor_number(login.cursor),
            }),
            HubOutput::Event(HubEvent::Malformed { id, kind, error }) => {
                let text = format!("the {kind} request is malformed: {error}");
                Self::Refuse {
                    id,
                    code: ErrorCode::MSG_PKG_PARSE_FAILED,
                    text,
                }
            }
            HubOutput::Event(HubEvent::Request { id, request, body }) => match ask(&request, body) {
                Ok(ask) => Self::Ask {
                    id,
                    kind: request.kind(),
                    ask,
                },
                Err((code, text)) => Self::Refuse { id, code, text },
            },
            HubOutput::Event(_) => Self::Wait(None),
        }
    }
}

type Refusal = (ErrorCode, String);

fn ask(request: &Request<'_>, body: &[u8]) -> Result<Ask, Refusal> {
    Ok(match request {
        Request::Send(send) => Ask::Send(sending(send, body)?),
        Request::Revoke(revoke) => Ask::Revoke(Revoking {
            conversation: revoke.conversation,
            sequence: revoke.sequence,
            message: revoke.message,
            reason: revoke.reason.to_owned(),
        }),
        Request::History(history) => Ask::History {
            conversation: history.conversation,
            before: before(history.next)?,
            count: history.count,
        },
        Request::MarkRead(mark) => Ask::MarkRead {
            conversation: mark.conversation,
            sequence: mark.sequence,
        },
        Request::Conversations(list) => Ask::Conversations { count: list.count },
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
        other => {
            return Err((
                ErrorCode::UNSUPPORTED_REQUEST,
                format!("this hub does not know {} requests", other.kind()),
            ));
        }
    })
}

fn members(list: &List<'_, UserId>) -> Vec<UserId> {
    list.iter().collect()
}

fn before(next: &[u8]) -> Result<Option<u64>, Refusal> {
    if next.is_empty() {
        return Ok(None);
    }
    let invalid = || (ErrorCode::CURSOR_INVALID, String::new());
    encode::cursor_number(next).map(Some).ok_or_else(invalid)
}

/// Checks what can be checked without the store.
fn sending(send: &Send<'_>, body: &[u8]) -> Result<Sending, Refusal> {
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
    if let Err(error) = Payload::decode_strict(content.kind, content.payload) {
        let text = format!("the payload is no {}: {error}", content.kind);
        return Err((ErrorCode::MSG_INVALID_JSON_BODY_FORMAT, text));
    }
    let bytes =
        Send::content_bytes(body).map_err(|error| (ErrorCode::MSG_PKG_PARSE_FAILED, error.to_string()))?;
    Ok(Sending {
        to: content.to,
        id: content.id,
        kind: content.kind,
        online_user_only: send.options.online_user_only,
        content: Bytes::copy_from_slice(bytes),
    })
}

/// Kinds that a conversation's members must be able to believe.
const fn is_hubs_own(kind: MessageKind) -> bool {
    matches!(kind.0, 32..64)
}
