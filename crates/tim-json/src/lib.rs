#![doc = include_str!("../README.md")]

mod content;
mod conversation;
mod create;
mod element;
mod error;
pub mod limits;
mod message;
mod object;
mod payload;
mod profile;
mod push;
mod received;
pub mod text;
mod tip;

use serde_json::Value;

pub use content::{
    Custom, Face, File, Image, ImageInfo, Location, MergedMessage, Relay, Revocation, Sound, Text, Video,
};
pub use conversation::{AtInfo, Conversation, LastMessage};
pub use create::NewMessage;
pub use element::{Content, Element};
pub use error::{Error, Fault};
pub use message::{Message, ReadReceipt, Revoker};
pub use payload::EncodedPayload;
pub use profile::{GroupMember, GroupProfile, SelfInfo, UserProfile};
pub use push::{AndroidInfo, ApnsInfo, OfflinePushInfo, OfflinePushOptions, SendOptions};
pub use tip::{CustomField, GroupTip, NewGroupProfile, SystemNotice, TipGroup, TipMember};

/// Which of the vendor's two sets of names a document uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Spelling {
    /// Of the REST interface, of callbacks and of the SDK's own connection: `MsgContent`, `Download_Flag`.
    Rest,
    /// Of the objects of the Web SDK: `payload`, `downloadFlag`.
    Sdk,
}

impl Spelling {
    const fn index(self) -> usize {
        match self {
            Self::Rest => 0,
            Self::Sdk => 1,
        }
    }
}

/// A value with a form in the vendor's JSON. `Serialize` and `Deserialize` are there too; they use the spelling in which the
/// vendor has the value.
pub trait Json: object::Field {
    /// Reads a document.
    ///
    /// # Errors
    /// [`Error`] with the path of the fault; limits are in [`limits`].
    fn from_slice(json: &[u8], spelling: Spelling) -> Result<Self, Error> {
        Self::from_value(value(json)?, spelling)
    }

    /// Takes the value from a document that is parsed already.
    ///
    /// # Errors
    /// As [`Json::from_slice`].
    fn from_value(value: Value, spelling: Spelling) -> Result<Self, Error> {
        limits::check_value(&value)?;
        Self::read(value, spelling, &object::At::ROOT)
    }

    /// The value as a document.
    #[must_use]
    fn to_value(&self, spelling: Spelling) -> Value {
        self.write(spelling)
    }
}

impl<T: object::Field> Json for T {}

/// A whole number that is not negative; one with a fraction of zeros, such as `1.0`, is the same number.
#[must_use]
pub fn whole(value: &Value) -> Option<u64> {
    object::whole(value)
}

/// Parses a document within the [`limits`].
///
/// # Errors
/// [`Error`] if it is not JSON or exceeds a limit.
pub fn value(json: &[u8]) -> Result<Value, Error> {
    limits::check_text(json)?;
    serde_json::from_slice(json).map_err(|error| Fault::NotJson(error.to_string()).at(&object::At::ROOT))
}
