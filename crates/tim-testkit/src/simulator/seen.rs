//! What clients, devices and the store show, in the words of the [history](super::history).

use tim_client::{Conversation, GroupProfile, ImError, Message};
use tim_proto::message::{Content as Encoded, MessageFlags, Payload, to_vec};
use tim_proto::wire::decode_body;
use tim_proto::{ErrorCode, MessageKind, UserId};
use tim_store::{Entry, EntryFlags, LogKey};

use super::files;
use super::history::{Content, Failed, GroupSeen, ListEntry, Log, MemberSeen, Said, Seen, Stored};

/// The content of a payload, if it is there.
fn content(flags: MessageFlags, payload: &Payload<'_>, kind: MessageKind, bytes: &[u8]) -> Content {
    if flags.contains(MessageFlags::STUB) {
        return Content::Stub;
    }
    // What remains of a revoked message has no mark; if it has one, that is for the checkers to see.
    if flags.contains(MessageFlags::REVOKED) && Said::of(kind, bytes).mark.is_none() {
        return Content::Gone;
    }
    Content::of(payload, kind, bytes)
}

/// A message as the hub or the client encodes it, as `me` sees it.
pub(crate) fn of_message(me: UserId, message: &tim_proto::Message<'_>) -> Seen {
    let flags = message.envelope.flags;
    let payload = &message.payload;
    Seen {
        log: Log::of(me, message.conversation_of(&me)),
        sequence: message.envelope.sequence,
        id: message.id,
        from: message.envelope.from,
        time_s: message.envelope.time,
        content: content(flags, payload, payload.kind(), &to_vec(payload)),
        revoked: flags.contains(MessageFlags::REVOKED),
        online_only: flags.contains(MessageFlags::ONLINE_ONLY),
    }
}

/// An instance of the SDK, in its current state.
pub(crate) fn of_instance(me: UserId, message: &Message) -> Seen {
    let view = message.view();
    // Of an own instance that was revoked, the view shows what the hub has, and the payload what the user wrote.
    let payload = message.payload();
    let flags = view.envelope.flags;
    Seen {
        log: Log::of(me, message.conversation_id()),
        content: content(flags, &payload, payload.kind(), &to_vec(&payload)),
        ..of_message(me, &view)
    }
}

pub(crate) fn of_instances(me: UserId, messages: &[Message]) -> Vec<Seen> {
    messages.iter().map(|message| of_instance(me, message)).collect()
}

pub(crate) fn of_conversation(me: UserId, conversation: &Conversation) -> ListEntry {
    ListEntry {
        log: Log::of(me, conversation.id),
        unread: conversation.unread_count.into(),
        read_sequence: conversation.read_sequence,
        last_sequence: conversation.last_sequence,
        last: conversation
            .last_message
            .as_ref()
            .map(|last| of_instance(me, last)),
        receive_option: conversation.message_remind_type,
        name: conversation.name.clone(),
        at: conversation
            .group_at_info_list
            .iter()
            .map(|at| at.sequence)
            .collect(),
    }
}

pub(crate) fn of_group(group: &GroupProfile) -> GroupSeen {
    GroupSeen {
        group: group.id,
        group_type: group.group_type,
        name: group.name.clone(),
        owner: group.owner,
        member_count: group.member_count.into(),
        mute_all: group.mute_all,
        role: group.role,
        muted_until_s: group.muted_until,
    }
}

pub(crate) fn of_member(member: &tim_client::GroupMember) -> MemberSeen {
    MemberSeen {
        user: member.user,
        role: member.role,
        muted_until_s: member.muted_until,
    }
}

pub(crate) fn log_of(log: &LogKey) -> Log {
    match log {
        LogKey::C2c(pair) => {
            let (low, high) = pair.users();
            Log::C2c(low, high)
        }
        LogKey::Group(group) => Log::Group(*group),
        LogKey::System(user) => Log::System(*user),
    }
}

pub(crate) fn key_of(log: &Log) -> LogKey {
    match log {
        Log::C2c(low, high) => LogKey::c2c(*low, *high),
        Log::Group(group) => LogKey::Group(*group),
        Log::System(user) => LogKey::System(*user),
    }
}

/// An entry of the store.
pub(crate) fn of_entry(log: &LogKey, entry: &Entry) -> Stored {
    // The id as everybody sees it; the store files what the hub wrote under an id of its own.
    let (id, content, file) = match decode_body::<Encoded<'_>>(&entry.content) {
        Ok(encoded) => {
            let payload = Payload::decode(entry.kind, encoded.payload);
            let content = content(entry.flags.on_wire(), &payload, entry.kind, encoded.payload);
            (encoded.id, content, files::file_in(&payload))
        }
        Err(_) => {
            let payload = Payload::Unknown(entry.kind, &entry.content);
            let content = Content::of(&payload, entry.kind, &entry.content);
            (entry.id, content, None)
        }
    };
    Stored {
        seen: Seen {
            log: log_of(log),
            sequence: entry.sequence,
            id,
            from: entry.sender,
            time_s: entry.time_ms / 1000,
            content,
            revoked: entry.is_revoked(),
            online_only: false,
        },
        file,
        change: entry.change,
        time_ms: entry.time_ms,
        no_unread: entry.flags.contains(EntryFlags::NO_UNREAD),
        no_last: entry.flags.contains(EntryFlags::NO_LAST),
    }
}

/// A failure that was reported to the caller.
pub(crate) fn failed(code: ErrorCode, text: impl Into<String>) -> Failed {
    // The codes of a hub that has answered say what happened, those of a client that has had no answer do not.
    let unanswered = [
        ErrorCode::NETWORK_TIMEOUT,
        ErrorCode::OUTCOME_UNKNOWN,
        ErrorCode::LOGGED_OUT,
        ErrorCode::FRAME_TOO_LARGE,
        ErrorCode::PROTOCOL_VIOLATION,
    ];
    Failed {
        unknown: unanswered.contains(&code) || code.ends_session() || code == ErrorCode::SERVER_SHUTTING_DOWN,
        code,
        text: text.into(),
    }
}

/// Whether a login was refused because of its UserSig: the application gets a new one.
pub(crate) const fn is_of_sig(code: ErrorCode) -> bool {
    matches!(code.0, 70_000..=70_999)
}

pub(crate) fn failed_call(error: &ImError) -> Failed {
    failed(error.code, error.text.clone())
}
