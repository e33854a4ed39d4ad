//! Explanations of fields whose values do not speak for themselves: codes, extensions, nested messages, UserSigs.

use serde_json::{Map, Value, json};
use tim_proto::conversation::Conversation;
use tim_proto::message::{Envelope, Header, Mentions, Message, Payload};
use tim_proto::request::{
    CompactDeliver, ConversationsResponse, Deliver, Failure, HistoryResponse, Send, SendResponse,
};
use tim_proto::wire::{DecodeError, Extensions, FrameKind, Hello, decode_body, features};
use tim_proto::{UserId, Words, conversation};
use tim_usersig::UserSig;

use crate::endpoints::{fields, to_value};

const FEATURES: [(u32, &str); 4] = [
    (features::STUBS, "stubs"),
    (features::SENDER_NAMES, "sender names"),
    (features::COMPACT, "compact deliveries"),
    (features::COMPACT_NUMBERS, "compact deliveries with numbers"),
];

/// The fields of a frame's body, explained: error codes have their names, nested messages and known extensions are
/// decoded, tips and notices have their texts, and UserSigs are replaced by their claims. URLs of files
/// and tokens of push services, which are credentials too, are left out.
///
/// # Errors
/// [`DecodeError`] if the body is malformed.
pub fn describe(kind: FrameKind, body: &[u8]) -> Result<Value, DecodeError> {
    let mut value = fields(kind, body)?;
    redact(&mut value);
    match kind {
        _ if kind == FrameKind::FILE_URL.answer() => redact_text(&mut value, "url"),
        FrameKind::REGISTER_PUSH | FrameKind::UNREGISTER_PUSH => redact_text(&mut value, "token"),
        FrameKind::ERROR | FrameKind::GOODBYE => {
            let code = decode_body::<Failure<'_>>(body)?.code;
            value["name"] = json!(code.name());
            value["meaning"] = json!(code.text());
        }
        FrameKind::SEND => {
            let content = decode_body::<Send<'_>>(body)?.content;
            // Decoded as the message that it becomes, without the envelope that the hub adds.
            let envelope = Envelope::new(UserId::SYSTEM);
            let mut shown = message(&Header::new(envelope, content).message());
            if let Value::Object(fields) = &mut shown {
                fields.shift_remove("envelope");
            }
            if let Err(error) = Payload::decode_strict(content.kind, content.payload) {
                shown["payload_error"] =
                    json!(format!("{} at byte {} of the payload", error.fault, error.at));
            }
            value["content"] = shown;
        }
        FrameKind::DELIVER => value["message"] = message(&decode_body::<Deliver<'_>>(body)?.message),
        FrameKind::DELIVER_COMPACT => {
            let compact = decode_body::<CompactDeliver<'_>>(body)?;
            // The receiver stands for itself: who that is is not in the frame.
            let mut shown = message(&compact.header(&UserId::SYSTEM).message());
            if compact.to.is_none() {
                shown["to"] = json!("(the receiver)");
            }
            value = json!({ "cursor": value["cursor"], "rest": value["rest"], "message": shown });
        }
        _ if kind == FrameKind::SEND.answer() => {
            let response: SendResponse<'_> = decode_body(body)?;
            explain_extensions(&mut value, response.extensions);
        }
        _ if kind == FrameKind::HISTORY.answer() => {
            let page: HistoryResponse<'_> = decode_body(body)?;
            value["messages"] = page.messages.iter().map(|it| message(&it)).collect();
        }
        _ if kind == FrameKind::CONVERSATIONS.answer() => {
            let list: ConversationsResponse<'_> = decode_body(body)?;
            for (value, listed) in items(&mut value["conversations"]).zip(list.conversations.iter()) {
                explain_conversation(value, &listed);
            }
        }
        _ if kind == FrameKind::CONVERSATION_PROFILE.answer() => {
            let profile: conversation::ConversationProfile<'_> = decode_body(body)?;
            explain_conversation(&mut value["conversation"], &profile.conversation);
        }
        _ => {}
    }
    Ok(value)
}

/// The fields of a hello.
#[must_use]
pub fn describe_hello(hello: &Hello) -> Value {
    json!({
        "min_version": hello.min_version,
        "max_version": hello.max_version,
        "end": hello.end,
        "features": names(hello.features, &FEATURES),
        "max_frame": hello.max_frame,
        "window": hello.window,
    })
}

/// A message of any kind.
fn message(message: &Message<'_>) -> Value {
    let mut value = to_value(message);
    let text = match message.payload {
        Payload::GroupTip(tip) => Some(tip.text(Words::SEED).to_string()),
        Payload::SystemNotice(notice) => notice.text(Words::SEED).map(|text| text.to_string()),
        _ => None,
    };
    if let Some(text) = text {
        value["text"] = json!(text);
    }
    explain_extensions(&mut value, message.extensions);
    value
}

/// Moves the known extensions of a message out of the list, under their names.
fn explain_extensions(value: &mut Value, extensions: Extensions<'_>) {
    use tim_proto::message::tags;
    const TEXTS: [(u32, &str); 6] = [
        (tags::NICK, "nick"),
        (tags::NAME_CARD, "name_card"),
        (tags::AVATAR, "avatar"),
        (tags::REVOKER, "revoker"),
        (tags::REVOKE_REASON, "revoke_reason"),
        (tags::REVOKER_NAME, "revoker_name"),
    ];
    let mut unknown = Vec::new();
    let mut known = Map::new();
    for extension in extensions.iter() {
        let name = TEXTS.iter().find(|(tag, _)| *tag == extension.tag);
        let decoded = match (extension.tag, name) {
            (tags::MENTIONS, _) => decode_body::<Mentions<'_>>(extension.bytes)
                .ok()
                .map(|it| ("mentions", to_value(&it))),
            (_, Some((_, name))) => str::from_utf8(extension.bytes)
                .ok()
                .map(|text| (*name, json!(text))),
            _ => None,
        };
        match decoded {
            Some((name, value)) => _ = known.insert(name.to_owned(), value),
            None => unknown.push(to_value(&extension)),
        }
    }
    if let Value::Object(fields) = value {
        fields.shift_remove("extensions");
        fields.extend(known);
        if !unknown.is_empty() {
            fields.insert("extensions".to_owned(), Value::Array(unknown));
        }
    }
}

fn explain_conversation(value: &mut Value, conversation: &Conversation<'_>) {
    if let Some(last) = conversation.last_message() {
        value["last_message"] = message(&last);
    }
}

/// Replaces UserSigs, which let their bearers log in, by their claims.
fn redact(value: &mut Value) {
    let Some(sig) = value.get_mut("user_sig") else {
        return;
    };
    let text = sig.as_str().unwrap_or_default();
    *sig = match UserSig::inspect(text) {
        Ok(claims) => {
            json!({ "user": claims.user.as_str(), "app": claims.app, "expires": claims.expires })
        }
        Err(error) => json!(format!("({} bytes: {error})", text.len())),
    };
}

/// Replaces a text that lets its bearer do something by its length: the URL of a file, a token of a push service.
fn redact_text(value: &mut Value, field: &str) {
    if let Some(text) = value.get_mut(field) {
        *text = json!(format!("({} bytes)", text.as_str().unwrap_or_default().len()));
    }
}

/// The names of the bits that are set; numbers for bits without a name.
fn names(set: u32, names: &[(u32, &str)]) -> Value {
    let bits = (0..u32::BITS).map(|at| 1 << at).filter(|bit| set & bit != 0);
    bits.map(|bit| match names.iter().find(|(named, _)| *named == bit) {
        Some((_, name)) => json!(name),
        None => json!(format!("{bit:#x} (unknown)")),
    })
    .collect()
}

fn items(value: &mut Value) -> impl Iterator<Item = &mut Value> {
    value.as_array_mut().into_iter().flatten()
}
