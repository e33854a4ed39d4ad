//! A `MsgBody` and what stands beside it, as a message of tim, and back.
//!
//! A message has one payload: the first element, which is also the only one that the vendor's clients show. The elements behind it are
//! kept with the message, as JSON, and come back with its history.

use bytes::Bytes;
use serde_json::{Map, Number, Value};
use tim_json::{Content as Contents, Element, Json as _, OfflinePushInfo, Spelling};
use tim_proto::message::{
    Content, Mentions, SenderNames, tags, to_vec, with_offline_push, with_sender_names,
};
use tim_proto::wire::{Encode as _, Extension, Extensions, List, Writer, decode_body, encoded_len};
use tim_proto::{ConversationId, ErrorCode, FileId, MessageId, MessageKind, Payload, Priority, UserId};
use tim_store::{Account, Entry, EntryFlags, Fingerprint};

use super::codes;
use super::envelope::RestError;
use super::fields::{Fields, digits};
use super::{Service, service};
use crate::handlers::check_message;
use crate::refusal::Refusal;
use crate::service::Services;

/// The most words in `SendMsgControl`.
pub(super) const MAX_CONTROLS: usize = 16;

/// The codes of a service for what can be wrong with a body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Faults {
    /// It is not an array.
    pub(super) not_an_array: u32,
    /// It is missing, empty, or an element is malformed.
    pub(super) malformed: u32,
    /// It is well-formed, but no message of tim.
    pub(super) unfit: u32,
    /// It is too long.
    pub(super) too_long: u32,
}

/// What a message is to say, wherever it goes.
#[derive(Debug, Clone)]
pub(super) struct Body {
    pub(super) kind: MessageKind,
    payload: Vec<u8>,
    /// The encoded extensions.
    extensions: Vec<u8>,
    pub(super) priority: Priority,
    pub(super) flags: EntryFlags,
    /// How those who are offline are notified.
    push: Option<Box<OfflinePushInfo>>,
    too_long: u32,
    unfit: u32,
}

impl Body {
    /// Reads `MsgBody`, `CloudCustomData`, `SendMsgControl` and `OfflinePushInfo`.
    pub(super) fn read(fields: &Fields<'_>, faults: Faults) -> Result<Self, RestError> {
        let elements = elements(fields, faults)?;
        let Some((first, others)) = elements.split_first() else {
            return Err(fields.fault("MsgBody", "is empty").with_code(faults.malformed));
        };
        // As each of them would be refused by itself.
        let empty = "has no content: a custom element needs Data, Desc or Ext, a file its FileSize";
        let unfit = |index: usize, what: &dyn std::fmt::Display| {
            let name = format!("MsgBody[{index}]");
            fields.fault(&name, what).with_code(faults.unfit)
        };
        let custom = elements
            .iter()
            .filter(|it| matches!(it.content, Contents::Custom(_)));
        if custom.count() > 1 {
            return Err(unfit(0, &"has several TIMCustomElem; a message has one at most"));
        }
        // All of them, though only the first one is kept in this form.
        for (index, element) in elements.iter().enumerate() {
            let encoded = element.content.encode().map_err(|error| unfit(index, &error))?;
            if !encoded.payload().has_content() {
                return Err(unfit(index, &empty));
            }
            if matches!(encoded.kind().0, 32..64) {
                return Err(unfit(
                    index,
                    &format_args!("is a {}, which only the hub writes", encoded.kind()),
                ));
            }
        }
        let encoded = first.content.encode().map_err(|error| unfit(0, &error))?;
        let mut extensions = Vec::new();
        let data = fields.text("CloudCustomData")?.unwrap_or("");
        extend(&mut extensions, tags::CLOUD_CUSTOM_DATA, data);
        if !others.is_empty() {
            let others: Vec<_> = others.iter().map(|it| it.to_value(Spelling::Rest)).collect();
            extend(
                &mut extensions,
                tags::MORE_ELEMENTS,
                &Value::Array(others).to_string(),
            );
        }
        Ok(Self {
            kind: encoded.kind(),
            payload: encoded.bytes().to_vec(),
            extensions,
            priority: Priority::NORMAL,
            flags: flags(fields)?,
            push: push(fields, faults)?,
            too_long: faults.too_long,
            unfit: faults.unfit,
        })
    }

    /// The body of a message that mentions users, or everybody.
    pub(super) fn mentioning(mut self, users: &[UserId], all: bool) -> Self {
        if users.is_empty() && !all {
            return self;
        }
        let mentions = Mentions::new().with_users(List::from_slice(users)).with_all(all);
        let bytes = to_vec(&mentions);
        let mut extensions = Vec::new();
        extend_with(&mut extensions, &Extension::new(tags::MENTIONS, &bytes));
        extensions.append(&mut self.extensions);
        self.extensions = extensions;
        self
    }

    /// The body with another content in place of all elements.
    #[cfg(feature = "outgoing")]
    pub(super) fn with_content(&self, content: &Contents) -> Result<Self, String> {
        let encoded = content
            .encode()
            .map_err(|error| format!("its MsgBody cannot be sent: {error}"))?;
        let mut extensions = Vec::new();
        let kept = Extensions::new(&self.extensions).unwrap_or(Extensions::NONE);
        for one in kept.iter().filter(|one| one.tag != tags::MORE_ELEMENTS) {
            extend_with(&mut extensions, &one);
        }
        Ok(Self {
            kind: encoded.kind(),
            payload: encoded.bytes().to_vec(),
            extensions,
            ..self.clone()
        })
    }

    /// The content of a message with this body.
    pub(super) fn content(&self, to: ConversationId, id: MessageId) -> Content<'_> {
        Content::new(to, id, self.kind, &self.payload)
            .with_priority(self.priority)
            .with_extensions(Extensions::new(&self.extensions).unwrap_or(Extensions::NONE))
    }

    /// The encoded content, with the names of the sender, and how those who are offline are notified.
    pub(super) fn encode(&self, to: ConversationId, id: MessageId, from: &Account, name_card: &str) -> Bytes {
        let names = SenderNames::new()
            .with_nick(&from.nick)
            .with_name_card(name_card)
            .with_avatar(&from.avatar);
        let content = with_sender_names(&to_vec(&self.content(to, id)), &names);
        match &self.push {
            Some(push) => with_offline_push(&content, &push.to_push()).into(),
            None => content.into(),
        }
    }

    /// What distinguishes the message from others with its id.
    pub(super) fn fingerprint(&self, to: ConversationId) -> Fingerprint {
        Fingerprint::of_message(&self.content(to, MessageId::default()))
    }

    /// Checks what the message says, and returns the files of this hub that it names. Reads the store if there are any.
    pub(super) fn check(
        &self,
        services: &Services,
        to: ConversationId,
        is_stored: bool,
    ) -> Result<Vec<FileId>, Refusal> {
        let files = check_message(services, &self.content(to, MessageId::default()))?;
        match is_stored || files.is_empty() {
            true => Ok(files),
            false => {
                let text = "the message is not stored, so nobody could fetch its file";
                Err(Refusal::new(ErrorCode::FILE_NOT_YOURS, text))
            }
        }
    }

    /// What distinguishes the message from others with its random number, whoever receives it.
    pub(super) fn digest(&self) -> u64 {
        self.fingerprint(UserId::SYSTEM.into()).to_bits()
    }

    /// The error for a refusal of the message.
    pub(super) fn refused(&self, service: Service, refusal: Refusal) -> RestError {
        let refusal = RestError::of(service, refusal);
        match refusal.code {
            code if code == service.internal => refusal,
            code if code == ErrorCode::COMM_BODY_SIZE_LIMIT.0 => refusal.with_code(self.too_long),
            _ => refusal.with_code(self.unfit),
        }
    }
}

/// The elements of `MsgBody`.
fn elements(fields: &Fields<'_>, faults: Faults) -> Result<Vec<Element>, RestError> {
    let value = match fields.value("MsgBody") {
        None => return Err(fields.fault("MsgBody", "is missing").with_code(faults.malformed)),
        Some(value @ Value::Array(_)) => value,
        Some(_) => {
            return Err(fields
                .fault("MsgBody", "is not an array")
                .with_code(faults.not_an_array));
        }
    };
    Vec::<Element>::from_value(written_out(value.clone()), Spelling::Rest)
        .map_err(|error| RestError::new(faults.malformed, error.within("MsgBody").to_string()))
}

/// The longest string of a fraction.
pub(super) const MAX_FRACTION: usize = 32;
/// The fields of elements that are fractions.
const FRACTIONS: [&str; 2] = ["Latitude", "Longitude"];
/// Those that are whole numbers.
const NUMBERS: [&str; 17] = [
    "Index",
    "ImageFormat",
    "InstanceId",
    "Type",
    "Size",
    "Width",
    "Height",
    "Second",
    "Download_Flag",
    "FileSize",
    "VideoSize",
    "VideoSecond",
    "VideoDownloadFlag",
    "ThumbSize",
    "ThumbWidth",
    "ThumbHeight",
    "ThumbDownloadFlag",
];

/// Elements whose numbers may be strings, and whose fields may be missing if they are empty, as they are wanted.
fn written_out(mut elements: Value) -> Value {
    for element in elements.as_array_mut().into_iter().flatten() {
        let filled = match element.get("MsgType").and_then(Value::as_str) {
            Some("TIMFaceElem") => Some("Data"),
            Some("TIMLocationElem") => Some("Desc"),
            _ => None,
        };
        let Some(Value::Object(content)) = element.get_mut("MsgContent") else {
            continue;
        };
        if let Some(name) = filled.filter(|name| content.get(*name).is_none_or(Value::is_null)) {
            content.insert(name.to_owned(), "".into());
        }
        unquote(content);
        let images = content.get_mut("ImageInfoArray").and_then(Value::as_array_mut);
        let images = images.into_iter().flatten();
        images.filter_map(Value::as_object_mut).for_each(unquote);
    }
    elements
}

/// Makes numbers of the strings of numbers.
fn unquote(content: &mut Map<String, Value>) {
    let mut read = |name: &str, number: fn(&str) -> Option<Number>| {
        if let Some(value) = content.get_mut(name)
            && let Some(number) = value.as_str().and_then(number)
        {
            *value = Value::Number(number);
        }
    };
    NUMBERS
        .iter()
        .for_each(|name| read(name, |text| digits(text).map(Number::from)));
    FRACTIONS.iter().for_each(|name| read(name, fraction));
}

/// A fraction without an exponent.
fn fraction(text: &str) -> Option<Number> {
    let is_plain = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    let fits = text.len() <= MAX_FRACTION && text.bytes().all(is_plain);
    text.parse().ok().filter(|_| fits)
}

/// `OfflinePushInfo`. Of its fields those count that a notification has.
fn push(fields: &Fields<'_>, faults: Faults) -> Result<Option<Box<OfflinePushInfo>>, RestError> {
    let Some(value) = fields.value("OfflinePushInfo") else {
        return Ok(None);
    };
    let push = OfflinePushInfo::from_value(value.clone(), Spelling::Rest).map_err(|error| {
        let info = error.within("OfflinePushInfo").to_string();
        RestError::new(faults.unfit, info)
    })?;
    let checked = push.to_push().check();
    checked.map_err(|over| RestError::new(faults.too_long, over.to_string()))?;
    Ok(Some(Box::new(push)))
}

/// `SendMsgControl`. Words that have no meaning here are ignored.
fn flags(fields: &Fields<'_>) -> Result<EntryFlags, RestError> {
    let words = fields.texts("SendMsgControl", MAX_CONTROLS)?;
    let flag = |word, flag| {
        if words.contains(&word) {
            flag
        } else {
            EntryFlags::NONE
        }
    };
    Ok(flag("NoUnread", EntryFlags::NO_UNREAD) | flag("NoLastMsg", EntryFlags::NO_LAST))
}

fn extend(extensions: &mut Vec<u8>, tag: u32, text: &str) {
    if text.is_empty() {
        return;
    }
    extend_with(extensions, &Extension::new(tag, text.as_bytes()));
}

fn extend_with(extensions: &mut Vec<u8>, extension: &Extension<'_>) {
    let start = extensions.len();
    extensions.resize(start + encoded_len(extension), 0);
    extension.encode(&mut Writer::new(extensions.get_mut(start..).unwrap_or_default()));
}

/// What the interface shows of a stored message.
pub(super) struct Shown {
    /// The elements; none of a message that was revoked.
    pub(super) body: Vec<Value>,
    pub(super) cloud_custom_data: String,
    pub(super) priority: Priority,
}

/// The body of a stored message.
pub(super) fn shown(entry: &Entry) -> Shown {
    let Ok(content) = decode_body::<Content<'_>>(&entry.content) else {
        return Shown {
            body: Vec::new(),
            cloud_custom_data: String::new(),
            priority: Priority::NORMAL,
        };
    };
    let mut body = Vec::new();
    if !entry.is_revoked() {
        let first = Contents::of_payload(&Payload::decode(content.kind, content.payload));
        body.push(Element::from(first).to_value(Spelling::Rest));
        // Written by whoever has sent the message.
        if let Ok(Value::Array(others)) = tim_json::value(content.more_elements().as_bytes()) {
            body.extend(others);
        }
    }
    Shown {
        body,
        cloud_custom_data: content.cloud_custom_data().to_owned(),
        priority: content.priority,
    }
}

/// What can be wrong with the body of a message to a group.
pub(super) const OF_GROUP: Faults = Faults {
    not_an_array: service::GROUPS.parameter,
    malformed: service::GROUPS.parameter,
    unfit: service::GROUPS.parameter,
    too_long: codes::BODY_TOO_LONG,
};

/// What can be wrong with the body of a one-to-one message.
pub(super) const OF_C2C: Faults = Faults {
    not_an_array: codes::BODY_NOT_AN_ARRAY,
    malformed: codes::BAD_BODY,
    unfit: codes::UNFIT_BODY,
    too_long: codes::TOO_LONG,
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// The types of elements, and what their fields may be.
    const TYPES: [&str; 8] = [
        "TIMTextElem",
        "TIMFaceElem",
        "TIMLocationElem",
        "TIMCustomElem",
        "TIMSoundElem",
        "TIMFileElem",
        "TIMVideoFileElem",
        "TIMImageElem",
    ];
    const NAMES: [&str; 14] = [
        "Text",
        "Data",
        "Desc",
        "Ext",
        "Index",
        "Latitude",
        "Longitude",
        "Url",
        "UUID",
        "Size",
        "Second",
        "Download_Flag",
        "FileName",
        "FileSize",
    ];

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            ".{0,12}".prop_map(Value::from),
            any::<u32>().prop_map(Value::from),
            any::<u32>().prop_map(|number| number.to_string().into()),
            any::<f64>().prop_map(Value::from),
            Just(Value::Null),
            Just(json!([])),
        ]
    }

    fn element() -> impl Strategy<Value = Value> {
        let fields = proptest::collection::vec((proptest::sample::select(&NAMES[..]), value()), 0..6);
        let kind = proptest::sample::select(&TYPES[..]);
        (kind, fields, ".{0,8}").prop_map(|(kind, fields, text)| {
            let mut content = Map::from_iter([
                ("Text".to_owned(), text.clone().into()),
                ("Data".to_owned(), text.into()),
                ("Index".to_owned(), 1.into()),
                ("Latitude".to_owned(), 1.5.into()),
                ("Longitude".to_owned(), "2.5".into()),
            ]);
            content.extend(fields.into_iter().map(|(name, value)| (name.to_owned(), value)));
            json!({"MsgType": kind, "MsgContent": content})
        })
    }

    fn read(elements: &[Value], data: &str) -> Result<Body, RestError> {
        let body = json!({"MsgBody": elements, "CloudCustomData": data});
        let Value::Object(body) = body else { unreachable!() };
        Body::read(&Fields::new(&body, service::OPENIM), OF_C2C)
    }

    proptest! {
        #[test]
        fn what_the_history_shows_is_the_same_message_when_it_is_sent(
            elements in proptest::collection::vec(element(), 1..4),
            data in ".{0,8}",
        ) {
            let Ok(body) = read(&elements, &data) else { return Ok(()) };
            let to = UserId::new("bob").unwrap().into();
            let from = Account {
                user: UserId::new("alice").unwrap(),
                number: 1,
                nick: "Alice".to_owned(),
                avatar: String::new(),
            };
            let entry = Entry {
                sequence: 1,
                change: 1,
                time_ms: 1,
                sender: from.user,
                id: MessageId::default(),
                origin: 0,
                flags: body.flags,
                kind: body.kind,
                content: body.encode(to, MessageId::default(), &from, ""),
            };
            let shown = shown(&entry);
            prop_assert_eq!(&shown.cloud_custom_data, &data);
            prop_assert_eq!(shown.body.len(), elements.len());
            let again = read(&shown.body, &shown.cloud_custom_data);
            prop_assert_eq!(again.map(|again| again.fingerprint(to)), Ok(body.fingerprint(to)));
        }
    }
}
