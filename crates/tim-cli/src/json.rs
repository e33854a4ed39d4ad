//! Messages as JSON, with the field names of the documented SDK.

use std::fmt::{self, Display, Write as _};

use serde::Serialize;
use serde_json::{Value, json};
use tim_proto::message::SystemNotice;
use tim_proto::message::{GroupChange, GroupTip, Image, Mentions, Payload, Video};
use tim_proto::vendor::constants;
use tim_proto::{MENTION_ALL, Message, UserId};

use crate::terminal::is_treacherous;

/// A JSON value on one line, safe for terminals: control characters are escaped, which changes no value.
pub(crate) struct Line<'a, T>(pub(crate) &'a T);

impl<T: Serialize> Display for Line<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = serde_json::to_string(self.0).map_err(|_| fmt::Error)?;
        // Such characters occur only in strings.
        text.chars().try_for_each(|c| {
            if is_treacherous(c) {
                let mut units = [0; 2];
                c.encode_utf16(&mut units)
                    .iter()
                    .try_for_each(|unit| write!(f, "\\u{unit:04x}"))
            } else {
                f.write_char(c)
            }
        })
    }
}

/// A message as the SDK presents it to `me`.
pub(crate) fn message(message: &Message<'_>, me: &UserId) -> Value {
    let envelope = &message.envelope;
    let kind = message.payload.kind();
    let by = message.revoked_by().unwrap_or_default();
    json!({
        "ID": message.id.to_string(),
        "type": kind.to_string(),
        "payload": payload(&message.payload),
        "conversationID": message.conversation_of(me).to_string(),
        "conversationType": message.to.conversation_type().as_str(),
        "from": envelope.from.as_str(),
        "to": message.to.target(),
        "flow": if envelope.from == *me { constants::flow::OUT } else { constants::flow::IN },
        "time": envelope.time,
        "sequence": envelope.sequence,
        "clientSequence": message.client_sequence,
        "random": message.id.random,
        "priority": message.priority.to_string(),
        "isRevoked": message.is_revoked(),
        "revoker": by.revoker,
        "revokerName": by.name,
        "revokeReason": by.reason,
        "nick": message.nick(),
        "avatar": message.avatar(),
        "nameCard": message.name_card(),
        "atUserList": message.mentions().map_or_else(Vec::new, at_user_list),
    })
}

/// The mentioned users, and the SDK's constant for everybody.
fn at_user_list(mentions: Mentions<'_>) -> Vec<String> {
    let named = mentions.users.iter().map(|user| user.to_string());
    named
        .chain(mentions.all.then(|| MENTION_ALL.to_owned()))
        .collect()
}

/// A payload. Kinds that the SDK does not know are strings of hex digits.
fn payload(payload: &Payload<'_>) -> Value {
    match payload {
        Payload::Text(it) => json!({ "text": it.text }),
        Payload::Custom(it) => {
            json!({ "data": it.data, "description": it.description, "extension": it.extension })
        }
        Payload::Face(it) => json!({ "index": it.index, "data": it.data }),
        Payload::Image(it) => image(it),
        Payload::Audio(it) => {
            json!({ "uuid": it.uuid, "url": it.url, "size": it.size, "second": it.seconds() })
        }
        Payload::Video(it) => video(it),
        Payload::File(it) => {
            json!({ "uuid": it.uuid, "fileName": it.name, "fileSize": it.size, "fileUrl": it.url })
        }
        Payload::GroupTip(it) => tip(it),
        Payload::SystemNotice(it) => notice(it),
        Payload::Revocation(it) => json!({
            "sequence": it.sequence,
            "ID": it.message.to_string(),
            "revoker": it.revoker.as_str(),
            "revokeReason": it.reason,
        }),
        Payload::Unknown(_, []) => Value::Null,
        Payload::Unknown(_, bytes) => json!(crate::hex::hex(bytes)),
        _ => Value::Null,
    }
}

fn tip(tip: &GroupTip<'_>) -> Value {
    let mut changes = serde_json::Map::new();
    for change in tip.changes.iter() {
        let (name, value) = match change {
            GroupChange::Name(text) => ("groupName", json!(text)),
            GroupChange::Introduction(text) => ("introduction", json!(text)),
            GroupChange::Notification(text) => ("notification", json!(text)),
            GroupChange::Avatar(text) => ("avatar", json!(text)),
            GroupChange::Owner(user) => ("ownerID", json!(user.as_str())),
            GroupChange::JoinOption(option) => ("joinOption", json!(option.to_string())),
            GroupChange::InviteOption(option) => ("inviteOption", json!(option.to_string())),
            GroupChange::MuteAll(mute) => ("muteAllMembers", json!(mute)),
            _ => continue,
        };
        changes.insert(name.to_owned(), value);
    }
    let members = tip.members().map(|member| {
        let mut one =
            json!({ "userID": member.id, "nick": member.names.nick, "avatar": member.names.avatar });
        if !member.names.name_card.is_empty() {
            one["nameCard"] = json!(member.names.name_card);
        }
        if let Some(muted) = tip.muted.iter().find(|muted| muted.user.as_str() == member.id) {
            one["muteTime"] = json!(muted.seconds);
        }
        one
    });
    json!({
        "operationType": tip.operation.0,
        "operatorID": tip.operator_id,
        "userIDList": tip.users.iter().collect::<Vec<_>>(),
        "groupProfile": { "groupID": tip.group_id.as_str(), "groupName": tip.group_name },
        "newGroupProfile": changes,
        "memberList": members.collect::<Vec<_>>(),
        "operatorInfo": {
            "userID": tip.operator_id,
            "nick": tip.operator.nick,
            "avatar": tip.operator.avatar,
        },
        "reason": tip.reason,
        "memberCount": tip.member_count,
    })
}

fn image(image: &Image<'_>) -> Value {
    let images = image.images.iter().map(|it| {
        json!({
            "sizeType": it.size_type.0,
            "instanceID": it.instance,
            "size": it.size,
            "width": it.width,
            "height": it.height,
            "url": it.url,
        })
    });
    json!({ "uuid": image.uuid, "imageFormat": image.format.0, "imageInfoArray": images.collect::<Vec<_>>() })
}

fn video(video: &Video<'_>) -> Value {
    let thumb = &video.thumbnail;
    json!({
        "videoUUID": video.uuid,
        "videoUrl": video.url,
        "videoSize": video.size,
        "videoSecond": video.seconds,
        "videoFormat": video.format,
        "thumbUUID": thumb.uuid,
        "thumbUrl": thumb.url,
        "thumbSize": thumb.size,
        "thumbWidth": thumb.width,
        "thumbHeight": thumb.height,
        "thumbFormat": thumb.format,
    })
}

fn notice(notice: &SystemNotice<'_>) -> Value {
    json!({
        "operationType": notice.operation.0,
        "operatorID": notice.operator_id,
        "groupProfile": { "groupID": notice.group_id, "groupName": notice.group_name },
        "handleMessage": notice.handle_message,
        "authentication": notice.authentication,
        "messageKey": notice.message_key,
        "userDefinedField": notice.user_defined_field,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_escaped_and_the_value_stays_the_same() {
        let nasty =
            "a\u{9b}31m\u{7f}\u{85}\u{202e}b\u{2066}\u{2028}\u{2029}\u{200e}\u{61c}\n\u{1b}好😁\"\\\u{feff}";
        let value = json!({ nasty: [nasty, 1, null] });
        let line = Line(&value).to_string();
        assert!(!line.chars().any(is_treacherous), "{line:?}");
        assert!(
            line.contains("\\u009b31m\\u007f\\u0085\\u202eb\\u2066\\u2028\\u2029"),
            "{line}"
        );
        assert!(line.contains("好😁"), "{line}");
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), value);
    }
}
