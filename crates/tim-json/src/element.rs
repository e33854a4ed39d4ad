//! Elements of a message body, by type.

use serde_json::{Map, Value};
use tim_proto::MessageKind;

use crate::Spelling;
use crate::content::{Custom, Face, File, Image, Location, Relay, Revocation, Sound, Text, Video};
use crate::error::{Error, Fault};
use crate::object::{At, Field, Flat, Object, object};
use crate::tip::{GroupTip, SystemNotice};

object! {
    /// An element of a `MsgBody`: `{"MsgType": …, "MsgContent": …}`, in the SDK `{"type": …, "payload": …}`.
    pub struct Element(Rest, flat content: Content) {}
}

impl From<Content> for Element {
    fn from(content: Content) -> Self {
        Self {
            content,
            other: Map::new(),
        }
    }
}

macro_rules! contents {
    ($($(#[$doc:meta])* $variant:ident($kind:ident);)+) => {
        /// What an element contains, by its type.
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        #[allow(clippy::large_enum_variant)] // short-lived, and few at a time
        pub enum Content {
            $($(#[$doc])* $variant($variant),)+
            /// An element of an unknown type, or without a content that could be read: `null`, and payloads that tim shows as a
            /// string of hex digits.
            Unknown {
                /// The type.
                msg_type: String,
                /// The content as it came; `None` if there was none.
                value: Option<Value>,
            },
        }

        impl Content {
            /// The type as the vendor spells it, such as `TIMTextElem`.
            #[must_use]
            pub fn msg_type(&self) -> &str {
                match self {
                    $(Self::$variant(_) => MessageKind::$kind.name().unwrap_or_default(),)+
                    Self::Unknown { msg_type, .. } => msg_type,
                }
            }

            /// Reads the content of an element of this type.
            fn read(msg_type: String, value: Option<Value>, spelling: Spelling, at: &At<'_>) -> Result<Self, Error> {
                let kind = MessageKind::from_name(&msg_type).unwrap_or(MessageKind(0));
                match (value, kind) {
                    $((Some(value @ Value::Object(_)), MessageKind::$kind) => {
                        $variant::read(value, spelling, at).map(Self::$variant)
                    })+
                    (value, kind) if !kind.is_known() || may_lack_content(value.as_ref(), spelling) => {
                        Ok(Self::Unknown { msg_type, value })
                    }
                    (None, _) => Err(Fault::Missing { expected: "an object" }.at(at)),
                    (Some(other), _) => Err(Fault::expected("an object", &other).at(at)),
                }
            }

            /// The content without its type: what is in `MsgContent` or `payload`.
            #[must_use]
            pub fn to_content_value(&self, spelling: Spelling) -> Option<Value> {
                match self {
                    $(Self::$variant(it) => Some(it.write(spelling)),)+
                    Self::Unknown { value, .. } => value.clone(),
                }
            }
        }

        $(impl From<$variant> for Content {
            fn from(content: $variant) -> Self {
                Self::$variant(content)
            }
        })+
    };
}

contents! {
    /// `TIMTextElem`.
    Text(TEXT);
    /// `TIMImageElem`.
    Image(IMAGE);
    /// `TIMSoundElem`.
    Sound(AUDIO);
    /// `TIMVideoFileElem`.
    Video(VIDEO);
    /// `TIMFileElem`.
    File(FILE);
    /// `TIMCustomElem`.
    Custom(CUSTOM);
    /// `TIMFaceElem`.
    Face(FACE);
    /// `TIMLocationElem`.
    Location(LOCATION);
    /// `TIMRelayElem`.
    Relay(MERGER);
    /// `TIMGroupTipElem`.
    GroupTip(GROUP_TIP);
    /// `TIMGroupSystemNoticeElem`.
    SystemNotice(GROUP_SYSTEM_NOTICE);
    /// tim's own entry for a revocation.
    Revocation(REVOCATION);
}

/// A revoked message has no payload, and the SDK has none for an unknown element.
const fn may_lack_content(value: Option<&Value>, spelling: Spelling) -> bool {
    matches!(spelling, Spelling::Sdk) && matches!(value, None | Some(Value::Null | Value::String(_)))
}

impl Default for Content {
    fn default() -> Self {
        Self::Text(Text::default())
    }
}

impl Content {
    /// Reads a content whose type is known from elsewhere, such as the payload that an application gives to
    /// `createTextMessage`.
    ///
    /// # Errors
    /// [`Error`] with the path of the fault.
    pub fn of_type(msg_type: &str, value: Value, spelling: Spelling) -> Result<Self, Error> {
        crate::limits::check_value(&value)?;
        Self::read(msg_type.to_owned(), Some(value), spelling, &At::ROOT)
    }
}

const TYPE: [&str; 2] = ["MsgType", "type"];
const CONTENT: [&str; 2] = ["MsgContent", "payload"];

impl Flat for Content {
    fn take(fields: &mut Object<'_>) -> Result<Self, Error> {
        let msg_type: String = fields.need(TYPE)?;
        let name = CONTENT[fields.spelling().index()];
        let value = fields.raw(name);
        Self::read(msg_type, value, fields.spelling(), &fields.at().key(name))
    }

    fn put(&self, spelling: Spelling, to: &mut Map<String, Value>) {
        let at = spelling.index();
        to.insert(TYPE[at].to_owned(), self.msg_type().into());
        if let Some(value) = self.to_content_value(spelling) {
            to.insert(CONTENT[at].to_owned(), value);
        }
    }
}

/// Of a message or a conversation's last message: a type that is empty or missing is no content.
impl Flat for Option<Content> {
    fn take(fields: &mut Object<'_>) -> Result<Self, Error> {
        let at = fields.spelling().index();
        match fields.raw(TYPE[at]) {
            Some(Value::String(msg_type)) if !msg_type.is_empty() => {
                let value = fields.raw(CONTENT[at]);
                let place = fields.at().key(CONTENT[at]);
                Content::read(msg_type, value, fields.spelling(), &place).map(Some)
            }
            Some(other @ (Value::String(_) | Value::Null)) => {
                fields.put_back(TYPE[at], other);
                Ok(None)
            }
            Some(other) => Err(Fault::expected("a string", &other).at(&fields.at().key(TYPE[at]))),
            None => Ok(None),
        }
    }

    fn put(&self, spelling: Spelling, to: &mut Map<String, Value>) {
        if let Some(content) = self {
            content.put(spelling, to);
        }
    }
}
