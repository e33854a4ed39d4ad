//! Between the vendor's elements and tim's payloads.

use serde_json::Value;
use tim_proto::message::{
    Audio, Custom, Face, File, GroupChange, GroupTip, Image, ImageFormat, ImageInfo, ImageSize, Muted,
    NoticeOperation, Payload, PayloadBody, Revocation, SystemNotice, Text, Thumbnail, TipNames, TipOperation,
    Video, to_vec,
};
use tim_proto::wire::List;
use tim_proto::{GroupId, InviteOption, JoinOption, MessageId, MessageKind, UserId};

use crate::element::Content;
use crate::error::{Error, Fault};
use crate::object::Field;
use crate::{Spelling, content, tip};

/// The vendor's `DownloadFlag` of what is loaded from its URL.
const FROM_URL: u32 = 2;

/// A payload as tim's bytes, with its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedPayload {
    kind: MessageKind,
    bytes: Vec<u8>,
}

impl EncodedPayload {
    fn of(payload: &impl PayloadBody) -> Self {
        Self {
            kind: payload.kind(),
            bytes: to_vec(payload),
        }
    }

    /// The kind of the message.
    #[must_use]
    pub const fn kind(&self) -> MessageKind {
        self.kind
    }

    /// The encoded payload, for [`tim_proto::message::Content::payload`].
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> Payload<'_> {
        Payload::decode(self.kind, &self.bytes)
    }
}

impl Content {
    /// The content as tim's payload. Fields that tim's payload does not have are left out.
    ///
    /// A place and merged messages, which tim carries and does not make, travel as the JSON of their `MsgContent`.
    ///
    /// # Errors
    /// [`Error`] if a number or an id is outside of what tim can carry, or the type has no number in tim. The path begins at
    /// the content.
    pub fn encode(&self) -> Result<EncodedPayload, Error> {
        Ok(match self {
            Self::Text(it) => EncodedPayload::of(&Text::new(&it.text)),
            Self::Custom(it) => EncodedPayload::of(
                &Custom::new()
                    .with_data(text(&it.data))
                    .with_description(text(&it.description))
                    .with_extension(text(&it.extension)),
            ),
            Self::Face(it) => EncodedPayload::of(&Face::new(number(it.index, "Index")?).with_data(&it.data)),
            Self::Image(it) => image(it)?,
            Self::Sound(it) => EncodedPayload::of(&sound(it)?),
            Self::Video(it) => EncodedPayload::of(&video(it)),
            Self::File(it) => EncodedPayload::of(
                &File::new()
                    .with_uuid(text(&it.uuid))
                    .with_name(text(&it.name))
                    .with_size(it.size.unwrap_or(0))
                    .with_url(either(&it.url, &it.remote_url)),
            ),
            Self::Location(it) => json(MessageKind::LOCATION, it),
            Self::Relay(it) => json(MessageKind::MERGER, it),
            Self::GroupTip(it) => group_tip(it)?,
            Self::SystemNotice(it) => EncodedPayload::of(&notice(it)?),
            Self::Revocation(it) => EncodedPayload::of(&revocation(it)?),
            Self::Unknown { msg_type, value } => unknown(msg_type, value.as_ref())?,
        })
    }

    /// A payload as the vendor's content.
    #[must_use]
    pub fn of_payload(payload: &Payload<'_>) -> Self {
        match payload {
            Payload::Text(it) => content::Text {
                text: it.text.to_owned(),
                ..Default::default()
            }
            .into(),
            Payload::Custom(it) => content::Custom {
                data: some(it.data),
                description: some(it.description),
                extension: some(it.extension),
                ..Default::default()
            }
            .into(),
            Payload::Face(it) => content::Face {
                index: it.index.into(),
                data: it.data.to_owned(),
                ..Default::default()
            }
            .into(),
            Payload::Image(it) => of_image(it).into(),
            Payload::Audio(it) => content::Sound {
                uuid: some(it.uuid),
                url: some(it.url),
                remote_url: some(it.url),
                size: Some(it.size),
                second: Some(it.seconds()),
                download_flag: Some(FROM_URL),
                ..Default::default()
            }
            .into(),
            Payload::Video(it) => of_video(it).into(),
            Payload::File(it) => content::File {
                uuid: some(it.uuid),
                name: some(it.name),
                size: Some(it.size),
                url: some(it.url),
                download_flag: Some(FROM_URL),
                ..Default::default()
            }
            .into(),
            Payload::GroupTip(it) => of_group_tip(it).into(),
            Payload::SystemNotice(it) => of_notice(it).into(),
            Payload::Revocation(it) => content::Revocation {
                sequence: Some(it.sequence),
                id: Some(it.message.to_string()),
                sender: Some(it.sender.to_string()),
                revoker: Some(it.revoker.to_string()),
                reason: some(it.reason),
                ..Default::default()
            }
            .into(),
            Payload::Unknown(kind, bytes) => of_unknown(*kind, bytes),
            other => of_unknown(other.kind(), &to_vec(other)),
        }
    }
}

fn text(field: &Option<String>) -> &str {
    field.as_deref().unwrap_or("")
}

fn either<'a>(first: &'a Option<String>, second: &'a Option<String>) -> &'a str {
    match text(first) {
        "" => text(second),
        first => first,
    }
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn not_sendable(path: &'static str, why: impl ToString) -> Error {
    Fault::NotSendable(why.to_string()).at_path(path)
}

fn number(value: i64, path: &'static str) -> Result<u32, Error> {
    u32::try_from(value).map_err(|_| not_sendable(path, format_args!("{value} is no number of 32 bits")))
}

fn user(id: &str, path: &'static str) -> Result<UserId, Error> {
    UserId::new(id).map_err(|error| not_sendable(path, error))
}

fn image(image: &content::Image) -> Result<EncodedPayload, Error> {
    let small = |it: Option<u32>, path| {
        let it = it.unwrap_or(0);
        u8::try_from(it).map_err(|_| not_sendable(path, format_args!("{it} is no number of 8 bits")))
    };
    let renditions = image.images.iter().map(|it| {
        let size_type = ImageSize(small(it.size_type, "ImageInfoArray")?);
        Ok(ImageInfo::new(size_type)
            .with_instance(it.instance.unwrap_or(0))
            .with_size(it.size.unwrap_or(0))
            .with_width(it.width.unwrap_or(0))
            .with_height(it.height.unwrap_or(0))
            .with_url(either(&it.url, &it.image_url)))
    });
    let renditions: Vec<_> = renditions.collect::<Result<_, Error>>()?;
    let format = image.format.map_or(Ok(ImageFormat::UNKNOWN), |it| {
        small(Some(it), "ImageFormat").map(ImageFormat)
    })?;
    let image = Image::new(format, List::from_slice(&renditions)).with_uuid(text(&image.uuid));
    Ok(EncodedPayload::of(&image))
}

fn of_image(image: &Image<'_>) -> content::Image {
    let renditions = image
        .images
        .iter()
        .enumerate()
        .map(|(position, it)| content::ImageInfo {
            instance: Some(it.instance),
            size_type: Some(it.size_type.0.into()),
            position: u32::try_from(position).ok(),
            size: Some(it.size),
            width: Some(it.width),
            height: Some(it.height),
            url: some(it.url),
            image_url: some(it.url),
            ..Default::default()
        });
    content::Image {
        uuid: some(image.uuid),
        format: Some(image.format.0.into()),
        images: renditions.collect(),
        ..Default::default()
    }
}

fn sound(it: &content::Sound) -> Result<Audio<'_>, Error> {
    let seconds = it.second.unwrap_or(0);
    let duration_ms = seconds.checked_mul(1000).ok_or_else(|| {
        not_sendable(
            "Second",
            format_args!("{seconds} s are more than {} s", u32::MAX / 1000),
        )
    })?;
    Ok(Audio::new()
        .with_uuid(text(&it.uuid))
        .with_url(either(&it.url, &it.remote_url))
        .with_size(it.size.unwrap_or(0))
        .with_duration_ms(duration_ms))
}

fn video(it: &content::Video) -> Video<'_> {
    let thumbnail = Thumbnail::new()
        .with_uuid(text(&it.thumb_uuid))
        .with_url(either(&it.thumb_url, &it.snapshot_url))
        .with_size(it.thumb_size.or(it.snapshot_size).unwrap_or(0))
        .with_width(it.thumb_width.or(it.snapshot_width).unwrap_or(0))
        .with_height(it.thumb_height.or(it.snapshot_height).unwrap_or(0))
        .with_format(text(&it.thumb_format));
    Video::new()
        .with_uuid(text(&it.uuid))
        .with_url(either(&it.url, &it.remote_url))
        .with_size(it.size.unwrap_or(0))
        .with_seconds(it.second.unwrap_or(0))
        .with_format(text(&it.format))
        .with_thumbnail(thumbnail)
}

fn of_video(it: &Video<'_>) -> content::Video {
    let thumb = &it.thumbnail;
    content::Video {
        uuid: some(it.uuid),
        url: some(it.url),
        remote_url: some(it.url),
        size: Some(it.size),
        second: Some(it.seconds),
        format: some(it.format),
        download_flag: Some(FROM_URL),
        thumb_uuid: some(thumb.uuid),
        thumb_url: some(thumb.url),
        thumb_size: Some(thumb.size),
        thumb_width: Some(thumb.width),
        thumb_height: Some(thumb.height),
        thumb_format: some(thumb.format),
        thumb_download_flag: Some(FROM_URL),
        snapshot_url: some(thumb.url),
        snapshot_size: Some(thumb.size),
        snapshot_width: Some(thumb.width),
        snapshot_height: Some(thumb.height),
        ..Default::default()
    }
}

/// A kind of which tim does not know the fields: its `MsgContent` as JSON.
fn json(kind: MessageKind, content: &impl Field) -> EncodedPayload {
    EncodedPayload {
        kind,
        bytes: content.write(Spelling::Rest).to_string().into_bytes(),
    }
}

fn of_unknown(kind: MessageKind, bytes: &[u8]) -> Content {
    let msg_type = kind.to_string();
    if kind == MessageKind::LOCATION || kind == MessageKind::MERGER {
        let content =
            crate::value(bytes).and_then(|value| Content::of_type(&msg_type, value, Spelling::Rest));
        if let Ok(content) = content {
            return content.as_received(|| 0);
        }
    }
    let value = match bytes {
        [] => Value::Null,
        bytes => bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
            .into(),
    };
    let value = Some(value);
    Content::Unknown { msg_type, value }
}

fn unknown(msg_type: &str, value: Option<&Value>) -> Result<EncodedPayload, Error> {
    let kind = msg_type.parse().map_err(|_| {
        let why = format_args!("{msg_type:?} is no type of message that tim has a number for").to_string();
        Fault::NotSendable(why).at_path("")
    })?;
    let hex = match value {
        None | Some(Value::Null) => "",
        Some(Value::String(hex)) => hex,
        Some(other) => return Err(Fault::expected("a string of hex digits", other).at_path("")),
    };
    let digit = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .and_then(|it| u8::try_from(it).ok())
    };
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = hex.as_bytes().chunks(2).map(byte).collect();
    let bytes = bytes.ok_or_else(|| not_sendable("", "its content is no string of pairs of hex digits"))?;
    Ok(EncodedPayload { kind, bytes })
}

fn revocation(it: &content::Revocation) -> Result<Revocation<'_>, Error> {
    let id: MessageId = text(&it.id).parse().map_err(|error| not_sendable("ID", error))?;
    let sender = user(text(&it.sender), "sender")?;
    let revoker = user(text(&it.revoker), "revoker")?;
    Ok(Revocation::new(it.sequence.unwrap_or(0), id, sender, revoker).with_reason(text(&it.reason)))
}

fn notice(it: &tip::SystemNotice) -> Result<SystemNotice<'_>, Error> {
    let group = it.group.as_ref();
    let name = group.map_or("", |group| either(&group.name, &group.group_name));
    Ok(SystemNotice::new(NoticeOperation(number(
        it.operation.unwrap_or(0),
        "operationType",
    )?))
    .with_operator_id(text(&it.operator_id))
    .with_group_id(group.map_or("", |group| text(&group.group_id)))
    .with_group_name(name)
    .with_handle_message(text(&it.handle_message))
    .with_authentication(text(&it.authentication))
    .with_message_key(it.message_key.unwrap_or(0))
    .with_user_defined_field(text(&it.user_defined_field)))
}

fn of_notice(it: &SystemNotice<'_>) -> tip::SystemNotice {
    tip::SystemNotice {
        operation: Some(it.operation.0.into()),
        operator_id: some(it.operator_id),
        group: Some(tip::TipGroup {
            group_id: some(it.group_id),
            group_name: some(it.group_name),
            name: some(it.group_name),
            ..Default::default()
        }),
        handle_message: some(it.handle_message),
        authentication: some(it.authentication),
        message_key: Some(it.message_key),
        user_defined_field: some(it.user_defined_field),
        ..Default::default()
    }
}

fn group_tip(it: &tip::GroupTip) -> Result<EncodedPayload, Error> {
    let operation = TipOperation(number(it.operation.unwrap_or(0), "operationType")?);
    let group = it.group.as_ref();
    let id = group.map_or("", |group| text(&group.group_id));
    let id = GroupId::new(id).map_err(|error| not_sendable("groupProfile.groupID", error))?;
    let members = it.members.as_deref().unwrap_or_default();
    // A missing list stands for the operator.
    let users: Vec<&str> = match &it.users {
        Some(users) => users.iter().map(String::as_str).collect(),
        None => it.operator_id.as_deref().into_iter().collect(),
    };
    let names_of = |member: &&str| {
        let found = members.iter().find(|it| text(&it.user) == *member);
        found.map_or_else(TipNames::new, names)
    };
    let names_of_users: Vec<TipNames<'_>> = users.iter().map(names_of).collect();
    let muted = members.iter().filter_map(|member| {
        let muted = |seconds| Ok(Muted::new(user(text(&member.user), "memberList")?, seconds));
        member.mute_time.map(muted)
    });
    let muted: Vec<Muted> = muted.collect::<Result<_, Error>>()?;
    let changes = it.changes.as_ref().map(changes).transpose()?.unwrap_or_default();
    let reason = match text(&it.reason) {
        "" => members
            .iter()
            .map(|member| text(&member.reason))
            .find(|it| !it.is_empty()),
        reason => Some(reason),
    };
    let tip = GroupTip::new(operation, id)
        .with_operator_id(text(&it.operator_id))
        .with_users(List::from_slice(&users))
        .with_group_name(group.map_or("", |group| either(&group.group_name, &group.name)))
        .with_member_count(it.member_count.or(it.member_num).unwrap_or(0))
        .with_changes(List::from_slice(&changes))
        .with_muted(List::from_slice(&muted))
        .with_reason(reason.unwrap_or(""))
        .with_operator(it.operator.as_ref().map_or_else(TipNames::new, names))
        .with_names(List::from_slice(&names_of_users));
    Ok(EncodedPayload::of(&tip))
}

fn names(of: &tip::TipMember) -> TipNames<'_> {
    TipNames::new()
        .with_nick(text(&of.nick))
        .with_name_card(text(&of.name_card))
        .with_avatar(text(&of.avatar))
}

fn changes(new: &tip::NewGroupProfile) -> Result<Vec<GroupChange<'_>>, Error> {
    let owner = new
        .owner
        .as_deref()
        .map(|id| user(id, "newGroupProfile.ownerID"))
        .transpose()?;
    let join: Option<JoinOption> = parsed(&new.join_option, "newGroupProfile.joinOption")?;
    let invite: Option<InviteOption> = parsed(&new.invite_option, "newGroupProfile.inviteOption")?;
    let all = [
        new.name.as_deref().map(GroupChange::Name),
        new.introduction.as_deref().map(GroupChange::Introduction),
        new.notification.as_deref().map(GroupChange::Notification),
        new.avatar.as_deref().map(GroupChange::Avatar),
        owner.map(GroupChange::Owner),
        join.map(GroupChange::JoinOption),
        invite.map(GroupChange::InviteOption),
        new.mute_all.map(GroupChange::MuteAll),
    ];
    Ok(all.into_iter().flatten().collect())
}

fn parsed<T: std::str::FromStr<Err: ToString>>(
    field: &Option<String>,
    path: &'static str,
) -> Result<Option<T>, Error> {
    let parse = |text: &str| {
        text.parse()
            .map_err(|error: T::Err| not_sendable(path, error.to_string()))
    };
    field.as_deref().map(parse).transpose()
}

fn of_group_tip(it: &GroupTip<'_>) -> tip::GroupTip {
    let mut new = tip::NewGroupProfile::default();
    for change in it.changes.iter() {
        match change {
            GroupChange::Name(text) => new.name = some(text),
            GroupChange::Introduction(text) => new.introduction = some(text),
            GroupChange::Notification(text) => new.notification = some(text),
            GroupChange::Avatar(text) => new.avatar = some(text),
            GroupChange::Owner(user) => new.owner = Some(user.to_string()),
            GroupChange::JoinOption(option) => new.join_option = Some(option.to_string()),
            GroupChange::InviteOption(option) => new.invite_option = Some(option.to_string()),
            GroupChange::MuteAll(mute) => new.mute_all = Some(mute),
            _ => {}
        }
    }
    let member = |id: &str, names: TipNames<'_>| tip::TipMember {
        user: some(id),
        nick: some(names.nick),
        avatar: some(names.avatar),
        name_card: some(names.name_card).filter(|card| !card.is_empty()),
        ..Default::default()
    };
    let members = it.members().map(|one| {
        let muted = it.muted.iter().find(|muted| muted.user.as_str() == one.id);
        tip::TipMember {
            mute_time: muted.map(|muted| muted.seconds),
            ..member(one.id, one.names)
        }
    });
    tip::GroupTip {
        operation: Some(it.operation.0.into()),
        operator_id: some(it.operator_id),
        users: Some(it.users.iter().map(str::to_owned).collect()),
        member_num: Some(it.member_count),
        member_count: Some(it.member_count),
        members: Some(members.collect()),
        group: Some(tip::TipGroup {
            group_id: Some(it.group_id.to_string()),
            group_name: some(it.group_name),
            ..Default::default()
        }),
        changes: Some(new),
        operator: Some(member(it.operator_id, it.operator)),
        reason: some(it.reason),
        ..Default::default()
    }
}
