//! Extensions of a message: the sender's mentions, and what the hub adds about the sender and a revocation.

use super::{Content, Message, OfflinePush, Payload, TipNames};
use crate::request::SendResponse;
use crate::wire::{BufferTooSmall, Encode, Extension, Extensions, List, Writer, decode_body, wire};
use crate::{AtKind, UserId};

/// The tags of a message's extensions. Tags below [`tags::FIRST_OF_HUB`] are for the sender, the others for the hub.
pub mod tags {
    /// [`Mentions`](super::Mentions).
    pub const MENTIONS: u32 = 1;
    /// Data of the sender's application, UTF-8 (`cloudCustomData`).
    pub const CLOUD_CUSTOM_DATA: u32 = 2;
    /// The elements of a message behind the first one, which is its payload: a JSON array as in the vendor's `MsgBody`, UTF-8. Clients of the
    /// vendor show the first element only.
    pub const MORE_ELEMENTS: u32 = 3;
    /// The first tag reserved for the hub. The hub refuses messages from clients that contain reserved tags.
    pub const FIRST_OF_HUB: u32 = 64;
    /// The sender's nick, UTF-8.
    pub const NICK: u32 = 64;
    /// The sender's name in the group, UTF-8.
    pub const NAME_CARD: u32 = 65;
    /// Where the sender's picture is, UTF-8.
    pub const AVATAR: u32 = 66;
    /// Of a revoked message: the user id of who took it back, UTF-8.
    pub const REVOKER: u32 = 67;
    /// Of a revoked message: why it was taken back, UTF-8.
    pub const REVOKE_REASON: u32 = 68;
    /// Of a revoked message and of a revocation: the name of who took it back, UTF-8. The name card, or else the nick.
    pub const REVOKER_NAME: u32 = 69;
    /// How users who are offline are notified: the sender's [`OfflinePush`](crate::message::OfflinePush).
    pub const OFFLINE_PUSH: u32 = 70;
}

/// The user id by which the SDK's `atUserList` means everybody. (The three s are the SDK's.) On the wire that is
/// [`Mentions::all`].
pub const MENTION_ALL: &str = "__kImSDK_MesssageAtALL__";

wire! {
    /// Whom a message in a group mentions (`atUserList`).
    ///
    /// ```
    /// use tim_proto::message::Mentions;
    /// use tim_proto::wire::List;
    /// use tim_proto::{AtKind, UserId};
    ///
    /// let (bob, carol) = (UserId::new("bob")?, UserId::new("carol")?);
    /// let users = [bob];
    /// let mentions = Mentions::new().with_users(List::from_slice(&users));
    /// assert_eq!((mentions.kind_for(&bob), mentions.kind_for(&carol)), (Some(AtKind::AT_ME), None));
    ///
    /// let mut room = [0; 64];
    /// let extensions = mentions.write(&mut room)?; // for `Message::extensions`
    /// assert!(!extensions.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[derive(Debug, Default)]
    pub struct Mentions<'a> {
        /// These users.
        pub users: List<'a, UserId> = List::EMPTY => with_users,
        /// Everybody.
        pub all: bool = false => with_all,
    }
}

impl Mentions<'_> {
    /// How the message mentions `user`, or `None` (`atTypeArray`).
    #[must_use]
    pub fn kind_for(&self, user: &UserId) -> Option<AtKind> {
        let by_name = self.users.iter().any(|mentioned| mentioned == *user);
        match (by_name, self.all) {
            (true, true) => Some(AtKind::AT_ALL_AT_ME),
            (false, true) => Some(AtKind::AT_ALL),
            (true, false) => Some(AtKind::AT_ME),
            (false, false) => None,
        }
    }

    /// Writes the mentions as the extensions of a message.
    ///
    /// # Errors
    /// [`BufferTooSmall`] with the length that was needed.
    pub fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<Extensions<'b>, BufferTooSmall> {
        let mut writer = Writer::new(buffer);
        tags::MENTIONS.encode(&mut writer);
        writer.put_sized(self);
        let len = writer.finish()?;
        Ok(Extensions::of_written(buffer.get(..len).unwrap_or(&[])))
    }
}

/// The sender's names and picture, as the hub adds them to a message. Encoded as extensions in the order of their tags,
/// without empty ones; they follow the sender's own extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SenderNames<'a> {
    /// The nick.
    pub nick: &'a str,
    /// The name in the group.
    pub name_card: &'a str,
    /// Where the picture is.
    pub avatar: &'a str,
}

impl Encode for SenderNames<'_> {
    fn encode(&self, writer: &mut Writer<'_>) {
        for (tag, text) in [
            (tags::NICK, self.nick),
            (tags::NAME_CARD, self.name_card),
            (tags::AVATAR, self.avatar),
        ] {
            if !text.is_empty() {
                let bytes = text.as_bytes();
                Extension { tag, bytes }.encode(writer);
            }
        }
    }
}

/// The bytes of a content, followed by the sender's names.
#[cfg(feature = "alloc")]
#[must_use]
pub fn with_sender_names(content: &[u8], names: &SenderNames<'_>) -> alloc::vec::Vec<u8> {
    let mut bytes = alloc::vec![0; content.len() + crate::wire::encoded_len(names)];
    let mut writer = Writer::new(&mut bytes);
    writer.put(content);
    names.encode(&mut writer);
    bytes
}

/// The bytes of a content, followed by how users who are offline are notified. What the sender says of it stands beside the content in
/// SEND; the hub keeps it with the message.
#[cfg(feature = "alloc")]
#[must_use]
pub fn with_offline_push(content: &[u8], push: &OfflinePush<'_>) -> alloc::vec::Vec<u8> {
    let bytes = super::to_vec(push);
    let extension = Extension {
        tag: tags::OFFLINE_PUSH,
        bytes: &bytes,
    };
    let mut whole = alloc::vec![0; content.len() + crate::wire::encoded_len(&extension)];
    let mut writer = Writer::new(&mut whole);
    writer.put(content);
    extension.encode(&mut writer);
    whole
}

/// Who revoked a message, and why. Encoded as extensions, without empty ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RevokedBy<'a> {
    /// The user id.
    pub revoker: &'a str,
    /// Why; empty if nothing was said.
    pub reason: &'a str,
    /// The revoker's name card or nick at that time; empty without either.
    pub name: &'a str,
}

impl<'a> RevokedBy<'a> {
    /// The name to show: name card, nick or user id, in that order.
    #[must_use]
    pub const fn shown_name(&self) -> &'a str {
        if self.name.is_empty() {
            self.revoker
        } else {
            self.name
        }
    }
}

impl Encode for RevokedBy<'_> {
    fn encode(&self, writer: &mut Writer<'_>) {
        for (tag, text) in [
            (tags::REVOKER, self.revoker),
            (tags::REVOKE_REASON, self.reason),
            (tags::REVOKER_NAME, self.name),
        ] {
            if !text.is_empty() {
                let bytes = text.as_bytes();
                Extension { tag, bytes }.encode(writer);
            }
        }
    }
}

impl Content<'_> {
    /// The bytes of the content after its revocation: without the payload and the sender's extensions, and with `by` added.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn revoked(&self, by: &RevokedBy<'_>) -> alloc::vec::Vec<u8> {
        struct Left<'c>(&'c Content<'c>, &'c RevokedBy<'c>);
        impl Encode for Left<'_> {
            fn encode(&self, writer: &mut Writer<'_>) {
                let bare = Content {
                    payload: &[],
                    extensions: Extensions::NONE,
                    ..*self.0
                };
                bare.encode(writer);
                for extension in self.0.extensions.iter() {
                    if (tags::FIRST_OF_HUB..tags::REVOKER).contains(&extension.tag) {
                        extension.encode(writer);
                    }
                }
                self.1.encode(writer);
            }
        }
        super::to_vec(&Left(self, by))
    }

    /// Whether the content contains extensions that only the hub may write.
    #[must_use]
    pub fn has_reserved_extensions(&self) -> bool {
        self.extensions.iter().any(|it| it.tag >= tags::FIRST_OF_HUB)
    }
}

macro_rules! common {
    ($message:ident) => {
        impl<'a> $message<'a> {
            /// How users who are offline are notified, as the hub keeps it with the message; `None` if the sender said nothing.
            #[must_use]
            pub fn offline_push(&self) -> Option<OfflinePush<'a>> {
                let body = self.extensions.get(tags::OFFLINE_PUSH)?;
                decode_body(body).ok()
            }

            /// The mentions, if the message has any that are well-formed.
            #[must_use]
            pub fn mentions(&self) -> Option<Mentions<'a>> {
                let body = self.extensions.get(tags::MENTIONS)?;
                decode_body(body).ok()
            }

            /// Data of the sender's application (`cloudCustomData`); empty if there is none.
            #[must_use]
            pub fn cloud_custom_data(&self) -> &'a str {
                text(self.extensions, tags::CLOUD_CUSTOM_DATA)
            }

            /// The elements behind the first one, as the JSON of a `MsgBody`; empty if there are none.
            #[must_use]
            pub fn more_elements(&self) -> &'a str {
                text(self.extensions, tags::MORE_ELEMENTS)
            }

            /// The name of the user who revoked, in a revoked message and in a revocation; empty if unknown.
            #[must_use]
            pub fn revoker_name(&self) -> &'a str {
                text(self.extensions, tags::REVOKER_NAME)
            }

            /// Who revoked the message, if it is revoked.
            #[must_use]
            pub fn revoked_by(&self) -> Option<RevokedBy<'a>> {
                revoked_by(self.extensions)
            }
        }
    };
}
common!(Message);
common!(Content);

fn revoked_by(extensions: Extensions<'_>) -> Option<RevokedBy<'_>> {
    let by = RevokedBy {
        revoker: text(extensions, tags::REVOKER),
        reason: text(extensions, tags::REVOKE_REASON),
        name: text(extensions, tags::REVOKER_NAME),
    };
    (!by.revoker.is_empty()).then_some(by)
}

impl<'a> SendResponse<'a> {
    /// Who revoked the message, if it was sent before and has been revoked since.
    #[must_use]
    pub fn revoked_by(&self) -> Option<RevokedBy<'a>> {
        revoked_by(self.extensions)
    }
}

macro_rules! names {
    ($message:ident) => {
        impl<'a> $message<'a> {
            /// The sender's nick when it was sent; empty if unknown.
            #[must_use]
            pub fn nick(&self) -> &'a str {
                text(self.extensions, tags::NICK)
            }

            /// The sender's name in the group when it was sent; empty if there was none.
            #[must_use]
            pub fn name_card(&self) -> &'a str {
                text(self.extensions, tags::NAME_CARD)
            }

            /// Where the sender's picture was when it was sent; empty if unknown.
            #[must_use]
            pub fn avatar(&self) -> &'a str {
                text(self.extensions, tags::AVATAR)
            }
        }
    };
}
names!(Content);
names!(SendResponse);

impl<'a> Message<'a> {
    /// The sender's nick when it was sent; empty if unknown. Beside a tip stands the nick of [`GroupTip::face`](super::GroupTip::face).
    #[must_use]
    pub fn nick(&self) -> &'a str {
        self.face()
            .map_or_else(|| text(self.extensions, tags::NICK), |face| face.nick)
    }

    /// The sender's name in the group when it was sent; empty if there was none. Of a tip as [`Message::nick`].
    #[must_use]
    pub fn name_card(&self) -> &'a str {
        self.face()
            .map_or_else(|| text(self.extensions, tags::NAME_CARD), |face| face.name_card)
    }

    /// Where the sender's picture was when it was sent; empty if unknown. Of a tip as [`Message::nick`].
    #[must_use]
    pub fn avatar(&self) -> &'a str {
        self.face()
            .map_or_else(|| text(self.extensions, tags::AVATAR), |face| face.avatar)
    }

    fn face(&self) -> Option<TipNames<'a>> {
        match &self.payload {
            Payload::GroupTip(tip) => tip.face(),
            _ => None,
        }
    }
}

pub(crate) fn text(extensions: Extensions<'_>, tag: u32) -> &str {
    let bytes = extensions.get(tag).unwrap_or(&[]);
    core::str::from_utf8(bytes).unwrap_or("")
}
