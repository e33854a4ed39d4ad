//! The fields of each message kind, by name.

use tim_proto::Words;
use tim_proto::message::{Content, Image, Payload, Thumbnail, TipNames, Video};
use tim_proto::notice::SystemNotice;

use super::describe::{extensions, sender_part};
use super::fields::Fields;
use super::group;

/// What a sender wrote; `body` is the frame's body that it stands in.
pub(super) fn content(content: &Content<'_>, body: &[u8]) -> Fields {
    let fields = sender_part(
        &content.to,
        &content.id,
        content.client_sequence,
        content.priority,
    )
    .text("kind", content.kind);
    let shown = match Payload::decode_strict(content.kind, content.payload) {
        Ok(decoded) => payload(&decoded),
        Err(fault) => {
            let start = content
                .payload
                .as_ptr()
                .addr()
                .saturating_sub(body.as_ptr().addr());
            let place = format!("{} at byte {} of the body", fault.fault, start + fault.at);
            Fields::new().with("broken", place).with("bytes", content.payload)
        }
    };
    fields
        .with("payload", shown)
        .and(group::extra(
            content.mentions(),
            [
                ("nick", content.nick()),
                ("name_card", content.name_card()),
                ("avatar", content.avatar()),
            ],
        ))
        .and(extensions(content.extensions))
}

/// The fields of a payload.
pub(super) fn payload(payload: &Payload<'_>) -> Fields {
    let fields = Fields::new();
    match payload {
        Payload::Text(it) => fields.with("text", it.text),
        Payload::Custom(it) => fields
            .with("data", it.data)
            .with("description", it.description)
            .with("extension", it.extension),
        Payload::Face(it) => fields.with("index", it.index).with("data", it.data),
        Payload::Image(it) => image(it),
        Payload::Audio(it) => fields
            .with("uuid", it.uuid)
            .with("url", it.url)
            .with("size", it.size)
            .with("duration_ms", it.duration_ms)
            .with("sample_rate", it.sample_rate)
            .with("channels", it.channels)
            .with("bit_rate", it.bit_rate)
            .with("format", it.format),
        Payload::Video(it) => video(it),
        Payload::File(it) => fields
            .with("uuid", it.uuid)
            .with("name", it.name)
            .with("size", it.size)
            .with("url", it.url),
        Payload::GroupTip(it) => fields
            .with("operation", format!("{} {}", it.operation.0, it.operation))
            .with("operator_id", it.operator_id)
            .with("users", it.users.iter().collect::<Vec<_>>())
            .text("group_id", it.group_id)
            .with("group_name", it.group_name)
            .with("member_count", it.member_count)
            .with(
                "changes",
                it.changes.iter().map(group::change).collect::<Vec<_>>(),
            )
            .with("muted", it.muted.iter().map(group::muted).collect::<Vec<_>>())
            .with("reason", it.reason)
            .with("operator", tip_names(it.operator))
            .with("names", it.names.iter().map(tip_names).collect::<Vec<_>>())
            .text("text", it.text(Words::SEED)),
        Payload::SystemNotice(it) => notice(it),
        Payload::Revocation(it) => fields
            .with("sequence", it.sequence)
            .text("message", it.message)
            .text("sender", it.sender)
            .text("revoker", it.revoker)
            .with("reason", it.reason),
        Payload::Unknown(_, bytes) => fields.with("bytes", *bytes),
        _ => fields,
    }
}

fn tip_names(names: TipNames<'_>) -> Fields {
    Fields::new()
        .with("nick", names.nick)
        .with("name_card", names.name_card)
        .with("avatar", names.avatar)
}

fn image(image: &Image<'_>) -> Fields {
    let rendition = |it: tim_proto::message::ImageInfo<'_>| {
        Fields::new()
            .with("size_type", it.size_type.0)
            .with("instance", it.instance)
            .with("size", it.size)
            .with("width", it.width)
            .with("height", it.height)
            .with("url", it.url)
    };
    Fields::new()
        .with("format", image.format.0)
        .with("uuid", image.uuid)
        .with("images", image.images.iter().map(rendition).collect::<Vec<_>>())
}

fn video(video: &Video<'_>) -> Fields {
    let Thumbnail {
        is_default,
        uuid,
        url,
        size,
        width,
        height,
        format,
    } = video.thumbnail;
    let thumbnail = Fields::new()
        .with("is_default", is_default)
        .with("uuid", uuid)
        .with("url", url)
        .with("size", size)
        .with("width", width)
        .with("height", height)
        .with("format", format);
    Fields::new()
        .with("uuid", video.uuid)
        .with("url", video.url)
        .with("size", video.size)
        .with("seconds", video.seconds)
        .with("format", video.format)
        .with("thumbnail", thumbnail)
}

fn notice(notice: &SystemNotice<'_>) -> Fields {
    Fields::new()
        .with(
            "operation",
            format!("{} {}", notice.operation.0, notice.operation),
        )
        .with("operator_id", notice.operator_id)
        .with("group_id", notice.group_id)
        .with("group_name", notice.group_name)
        .with("handle_message", notice.handle_message)
        .with("authentication", notice.authentication)
        .with("message_key", notice.message_key)
        .with("user_defined_field", notice.user_defined_field)
        .with("text", notice.text(Words::SEED).map(|text| text.to_string()))
}
