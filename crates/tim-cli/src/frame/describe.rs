//! The fields of each frame kind, by name.

use tim_proto::conversation::{Conversation, ConversationProfile};
use tim_proto::message::{Envelope, OfflinePush, SendOptions, flags};
use tim_proto::request::{
    AnyRequest as Request, AnyResponse as Answer, ConversationChange, CreateGroup, DeleteConversation,
    Deliver, Expiring, Failure, Fetch, FetchResponse, Gap, GetConversationProfile, History, HistoryResponse,
    Login, LoginResponse, MarkRead, MarkReadResponse, Push, Revoke, Send, SetMember, UpdateGroup,
};
use tim_proto::wire::{
    Decode, DecodeError, Extensions, Frame, FrameKind, Hello, Role, decode_prefix, features,
};
use tim_proto::{Message, MessageId};
use tim_usersig::UserSig;

use super::fields::{Fields, Shown};
use super::group;
use super::payload::{content, payload};
use crate::time::date_and_time;

/// The fields of a frame's body.
pub(crate) fn describe(frame: &Frame<'_>) -> Result<Fields, DecodeError> {
    let Frame { kind, body, .. } = *frame;
    let fields = match kind {
        FrameKind::LOGIN => login(&tim_proto::wire::decode_body(body)?),
        FrameKind::ERROR | FrameKind::GOODBYE => failure(&tim_proto::wire::decode_body(body)?),
        FrameKind::DELIVER
        | FrameKind::GAP
        | FrameKind::SYNCED
        | FrameKind::CONVERSATION
        | FrameKind::EXPIRING => push(&Push::decode(kind, body)?),
        FrameKind::PING | FrameKind::PONG | FrameKind::ACK => Fields::new(),
        _ if kind.is_answer() => answer(&Answer::decode(kind, body)?),
        _ => request(&Request::decode(kind, body)?, body),
    };
    Ok(fields.and(extensions_of(kind, body)))
}

/// What a newer version put behind the fields that are known here.
fn extensions_of(kind: FrameKind, body: &[u8]) -> Fields {
    fn behind<'a, T: Decode<'a>>(body: &'a [u8]) -> Option<Extensions<'a>> {
        let (_, behind) = decode_prefix::<T>(body).ok()?;
        Extensions::new(behind).ok()
    }
    let found = match kind {
        FrameKind::LOGIN => behind::<Login<'_>>(body),
        FrameKind::ERROR | FrameKind::GOODBYE => behind::<Failure<'_>>(body),
        FrameKind::HISTORY => behind::<History<'_>>(body),
        FrameKind::REVOKE => behind::<Revoke<'_>>(body),
        FrameKind::MARK_READ => behind::<MarkRead>(body),
        FrameKind::GAP => behind::<Gap>(body),
        FrameKind::CREATE_GROUP => behind::<CreateGroup<'_>>(body),
        FrameKind::SET_MEMBER => behind::<SetMember<'_>>(body),
        FrameKind::UPDATE_GROUP => behind::<UpdateGroup<'_>>(body),
        FrameKind::CONVERSATION => behind::<ConversationChange>(body),
        FrameKind::EXPIRING => behind::<Expiring>(body),
        _ => None,
    };
    found.map_or_else(Fields::new, extensions)
}

pub(super) fn extensions(extensions: Extensions<'_>) -> Fields {
    if extensions.is_empty() {
        return Fields::new();
    }
    let shown = extensions
        .iter()
        .map(|it| Fields::new().with("tag", it.tag).with("bytes", it.bytes));
    Fields::new().with("extensions", shown.collect::<Vec<_>>())
}

/// The fields of a hello.
pub(crate) fn hello(hello: &Hello) -> Fields {
    let role = match hello.role {
        Role::CLIENT => "client".to_owned(),
        Role::HUB => "hub".to_owned(),
        Role(other) => format!("{other} (unknown)"),
    };
    Fields::new()
        .with("min_version", hello.min_version)
        .with("max_version", hello.max_version)
        .with("role", role)
        .with(
            "features",
            bits(
                hello.features,
                &[
                    (features::STUBS, "stubs"),
                    (features::SENDER_NAMES, "sender names"),
                ],
            ),
        )
        .with("max_frame", hello.max_frame)
        .with("window", hello.window)
}

/// The names of the bits that are set; numbers for those without a name.
fn bits(set: u32, names: &[(u32, &str)]) -> Vec<String> {
    let one = |bit: u32| {
        let name = names.iter().find(|(named, _)| *named == bit);
        name.map_or_else(|| format!("{bit:#x} (unknown)"), |(_, name)| (*name).to_owned())
    };
    (0..u32::BITS)
        .map(|at| 1 << at)
        .filter(|bit| set & bit != 0)
        .map(one)
        .collect()
}

pub(super) fn time(fields: Fields, name: &'static str, seconds: u64) -> Fields {
    let shown = if seconds == 0 {
        "0".to_owned()
    } else {
        format!("{seconds} ({})", date_and_time(seconds))
    };
    fields.with(name, shown)
}

fn login(login: &Login<'_>) -> Fields {
    // The signature lets its bearer in, so it is not shown; what it says is.
    let sig = match UserSig::inspect(login.user_sig) {
        Ok(claims) => time(
            Fields::new().text("user", claims.user).with("app", claims.app),
            "expires",
            claims.expires,
        )
        .into(),
        Err(fault) => Shown::from(format!("({} bytes: {fault})", login.user_sig.len())),
    };
    Fields::new()
        .with("app", login.app)
        .text("user", login.user)
        .with("user_sig", sig)
        .with("device", login.device)
        .text("platform", login.platform)
        .with("resume", login.resume.0)
        .with("cursor", login.cursor)
        .with("session", login.session)
        .with("attempt", login.attempt)
}

fn failure(failure: &Failure<'_>) -> Fields {
    Fields::new()
        .with("code", failure.code.0)
        .with("name", failure.code.name())
        .with("retry_after_ms", failure.retry_after_ms)
        .with("text", failure.text)
        .text("meaning", failure.code.text())
}

fn request(request: &Request<'_>, body: &[u8]) -> Fields {
    match request {
        Request::Send(Send {
            options,
            content: sent,
        }) => send_options(&options.0).and(content(sent, body)),
        Request::Revoke(Revoke {
            conversation,
            sequence,
            message,
            reason,
        }) => Fields::new()
            .text("conversation", conversation)
            .with("sequence", *sequence)
            .text("message", message)
            .with("reason", *reason),
        Request::History(History {
            conversation,
            next,
            count,
        }) => Fields::new()
            .text("conversation", conversation)
            .with("next", *next)
            .with("count", *count),
        Request::MarkRead(MarkRead {
            conversation,
            sequence,
        }) => Fields::new()
            .text("conversation", conversation)
            .with("sequence", *sequence),
        Request::Conversations(request) => Fields::new()
            .with("next", request.next)
            .with("count", request.count),
        Request::ConversationProfile(GetConversationProfile { conversation })
        | Request::DeleteConversation(DeleteConversation { conversation }) => {
            Fields::new().text("conversation", conversation)
        }
        Request::Fetch(Fetch {
            conversation,
            sequence,
            offset,
            len,
        }) => Fields::new()
            .text("conversation", conversation)
            .with("sequence", *sequence)
            .with("offset", *offset)
            .with("len", *len),
        Request::Logout => Fields::new(),
        other => group::request(other).unwrap_or_else(|| unknown(body)),
    }
}

fn unknown(body: &[u8]) -> Fields {
    Fields::new().with("body", body)
}

fn send_options(options: &SendOptions<'_>) -> Fields {
    let push = options.offline_push.map(|push: OfflinePush<'_>| {
        Fields::new()
            .with("disable_push", push.disable_push)
            .with("title", push.title)
            .with("description", push.description)
            .with("extension", push.extension)
            .with("ignore_ios_badge", push.ignore_ios_badge)
            .with("android_oppo_channel_id", push.android_oppo_channel_id)
    });
    Fields::new()
        .with("online_user_only", options.online_user_only)
        .with("offline_push", push)
}

fn answer(answer: &Answer<'_>) -> Fields {
    match answer {
        Answer::Login(LoginResponse {
            account,
            time_ms,
            cursor,
            nick,
            session,
            attempt,
        }) => {
            let fields = Fields::new().with("account", *account).with("time_ms", *time_ms);
            let fields = fields.with("cursor", *cursor).with("nick", *nick);
            fields.with("session", *session).with("attempt", *attempt)
        }
        Answer::Send(answer) => time(
            Fields::new().with("sequence", answer.sequence),
            "time",
            answer.time,
        )
        .with("duplicate", answer.duplicate)
        .and(group::extra(
            None,
            [
                ("nick", answer.nick()),
                ("name_card", answer.name_card()),
                ("avatar", answer.avatar()),
            ],
        ))
        .and(extensions(answer.extensions)),
        Answer::Revoke(answer) => Fields::new().with("sequence", answer.sequence),
        Answer::History(HistoryResponse {
            next,
            completed,
            messages,
        }) => Fields::new()
            .with("next", *next)
            .with("completed", *completed)
            .with(
                "messages",
                messages.iter().map(|it| message(&it)).collect::<Vec<_>>(),
            ),
        Answer::MarkRead(MarkReadResponse {
            read_sequence,
            unread,
            counted,
        }) => Fields::new()
            .with("read_sequence", *read_sequence)
            .with("unread", *unread)
            .with("counted", *counted),
        Answer::Conversations(answer) => Fields::new()
            .with("next", answer.next)
            .with("completed", answer.completed)
            .with("total_unread", answer.total_unread)
            .with(
                "conversations",
                answer
                    .conversations
                    .iter()
                    .map(|it| conversation(&it))
                    .collect::<Vec<_>>(),
            ),
        Answer::ConversationProfile(answer) => profile(answer),
        Answer::Fetch(FetchResponse { total, bytes }) => {
            Fields::new().with("total", *total).with("bytes", *bytes)
        }
        Answer::Unknown(_, body) => unknown(body),
        other => group::answer(other).unwrap_or_default(),
    }
}

fn push(push: &Push<'_>) -> Fields {
    match push {
        Push::Deliver(Deliver {
            cursor,
            payload_len,
            message: delivered,
        }) => Fields::new()
            .with("cursor", *cursor)
            .with("payload_len", *payload_len)
            .with("message", message(delivered)),
        Push::Gap(Gap {
            conversation,
            from,
            to,
        }) => Fields::new()
            .text("conversation", conversation)
            .with("from", *from)
            .with("to", *to),
        Push::Expiring(Expiring { expires, seconds }) => {
            Fields::new().with("expires", *expires).with("seconds", *seconds)
        }
        Push::Synced(synced) if synced.cursor.is_empty() => Fields::new(),
        Push::Synced(synced) => Fields::new().with("cursor", synced.cursor),
        Push::Conversation(ConversationChange {
            conversation,
            unread,
            read_sequence,
            counted,
            deleted_through,
        }) => Fields::new()
            .text("conversation", conversation)
            .with("unread", *unread)
            .with("read_sequence", *read_sequence)
            .with("counted", *counted)
            .with("deleted_through", *deleted_through),
        _ => Fields::new(),
    }
}

fn message(message: &Message<'_>) -> Fields {
    let Envelope {
        sequence,
        time: taken,
        flags: set,
        origin,
        from,
    } = message.envelope;
    let names = [
        (flags::REVOKED, "revoked"),
        (flags::ONLINE_ONLY, "online only"),
        (flags::NO_UNREAD, "no unread"),
        (flags::STUB, "stub"),
        (flags::NO_LAST, "not the last message"),
    ];
    let envelope = time(Fields::new().with("sequence", sequence), "time", taken)
        .with("flags", bits(set, &names))
        .with("origin", origin)
        .text("from", from);
    envelope
        .and(sender_part(
            &message.to,
            &message.id,
            message.client_sequence,
            message.priority,
        ))
        .text("kind", message.payload.kind())
        .with("payload", payload(&message.payload))
        .and(group::extra(
            message.mentions(),
            [
                ("nick", message.nick()),
                ("name_card", message.name_card()),
                ("avatar", message.avatar()),
            ],
        ))
        .and(extensions(message.extensions))
}

pub(super) fn sender_part(
    to: &tim_proto::ConversationId,
    id: &MessageId,
    client_sequence: u64,
    priority: tim_proto::Priority,
) -> Fields {
    Fields::new()
        .text("to", to)
        .text("id", id)
        .with("client_sequence", client_sequence)
        .text("priority", priority)
}

fn conversation(it: &Conversation<'_>) -> Fields {
    Fields::new()
        .text("id", it.id)
        .with("unread", it.unread)
        .with("read_sequence", it.read_sequence)
        .with("last_sequence", it.last_sequence)
        .with("name", it.name)
        .with("avatar", it.avatar)
        .text("group_type", it.group_type)
        .with("last_message", it.last_message().map(|it| message(&it)))
        .text("receive_option", it.receive_option)
        .with("at", it.at.iter().map(group::at).collect::<Vec<_>>())
}

fn profile(profile: &ConversationProfile<'_>) -> Fields {
    Fields::new()
        .with("conversation", conversation(&profile.conversation))
        .with("group", profile.group.map(group::profile))
        .with("user", profile.user.map(group::user))
}
