//! What a group tip carries.

use crate::open::open_newtype;
use crate::wire::{Encode, List, Read, Reader, Writer, features, wire};
use crate::{GroupId, InviteOption, JoinOption, UserId};

open_newtype! {
    /// What a group tip is about, in the web SDK's numbering and names. (The native SDKs number differently.)
    #[derive(PartialOrd, Ord)]
    pub struct TipOperation(u32) {
        /// Members joined.
        JOIN = 1, "GRP_TIP_MBR_JOIN";
        /// Members left.
        QUIT = 2, "GRP_TIP_MBR_QUIT";
        /// Members were removed.
        KICKED_OUT = 3, "GRP_TIP_MBR_KICKED_OUT";
        /// Members became admins.
        SET_ADMIN = 4, "GRP_TIP_MBR_SET_ADMIN";
        /// Admins became plain members.
        CANCELED_ADMIN = 5, "GRP_TIP_MBR_CANCELED_ADMIN";
        /// The group's profile changed.
        GROUP_PROFILE_UPDATED = 6, "GRP_TIP_GRP_PROFILE_UPDATED";
        /// A member's profile changed.
        MEMBER_PROFILE_UPDATED = 7, "GRP_TIP_MBR_PROFILE_UPDATED";
        /// Members were banned from an AVChatRoom.
        BAN_AV_CHAT_ROOM_MEMBER = 10, "GRP_TIP_BAN_AVCHATROOM_MEMBER";
        /// Members may enter the AVChatRoom again.
        UNBAN_AV_CHAT_ROOM_MEMBER = 11, "GRP_TIP_UNBAN_AVCHATROOM_MEMBER";
    }
}

impl TipOperation {
    /// No operation: what a reader makes of a number that is missing or none of an operation's.
    pub const NONE: Self = Self(0);
}

impl Default for TipOperation {
    fn default() -> Self {
        Self::NONE
    }
}

wire! {
    /// A group tip: an event in a group.
    #[derive(Debug)]
    pub struct GroupTip<'a> {
        /// The event.
        pub operation: TipOperation,
        /// The user who caused it.
        pub operator_id: &'a str = "" => with_operator_id,
        /// The affected users.
        pub users: List<'a, &'a str> = List::EMPTY => with_users,
        /// The group.
        pub group_id: GroupId,
        /// The group's name.
        pub group_name: &'a str = "" => with_group_name,
        /// The number of members after the event.
        pub member_count: u32 = 0 => with_member_count,
        /// The changes of the group's profile, for [`TipOperation::GROUP_PROFILE_UPDATED`] (`newGroupProfile`).
        pub changes: List<'a, GroupChange<'a>> = List::EMPTY => with_changes,
        /// The members whose mute changed, for [`TipOperation::MEMBER_PROFILE_UPDATED`]; else empty.
        pub muted: List<'a, Muted> = List::EMPTY => with_muted,
        /// The reason for removing or banning members; may be empty.
        pub reason: &'a str = "" => with_reason,
        /// The operator's names and picture (`operatorInfo`).
        pub operator: TipNames<'a> = TipNames::new() => with_operator,
        /// The users' names and pictures, in the order of `users`; may be shorter, see [`GroupTip::members`].
        pub names: List<'a, TipNames<'a>> = List::EMPTY => with_names,
    }
}

impl<'a> GroupTip<'a> {
    /// The documented text, which names users by their ids.
    #[must_use]
    pub fn text(
        &self,
        words: crate::Words,
    ) -> crate::render::TipText<'a, crate::wire::ListIter<'a, &'a str>> {
        crate::render::tip_text(self.operation, self.operator_id, self.users.iter(), words)
    }

    /// The same text with users as people know them: by name card, else nick, else id.
    ///
    /// ```
    /// use tim_proto::message::{GroupTip, TipNames};
    /// use tim_proto::message::TipOperation;
    /// use tim_proto::wire::List;
    /// use tim_proto::{GroupId, Words};
    ///
    /// let names = [TipNames::new().with_nick("Bob B.")];
    /// let tip = GroupTip::new(TipOperation::JOIN, GroupId::new("team")?)
    ///     .with_operator_id("alice")
    ///     .with_users(List::from_slice(&["bob", "carol"]))
    ///     .with_member_count(3)
    ///     .with_names(List::from_slice(&names));
    /// assert_eq!(tip.text(Words::SEED).to_string(), "群成员:bob,carol,加入群组");
    /// assert_eq!(tip.text_with_names(Words::SEED).to_string(), "群成员:Bob B.,carol,加入群组");
    /// # Ok::<(), tim_proto::IdError>(())
    /// ```
    #[must_use]
    pub fn text_with_names(
        &self,
        words: crate::Words,
    ) -> crate::render::TipText<'a, impl Iterator<Item = &'a str> + Clone + use<'a>> {
        let operator = self.operator.shown_for(self.operator_id);
        let users = self.members().map(|member| member.names.shown_for(member.id));
        crate::render::tip_text(self.operation, operator, users, words)
    }

    /// The users with their names (`memberList`). Names that would have made the tip too long are empty.
    pub fn members(&self) -> impl Iterator<Item = TipMember<'a>> + Clone + use<'a> {
        let names = self.names.iter().map(Some).chain(core::iter::repeat(None));
        self.users.iter().zip(names).map(|(id, names)| TipMember {
            id,
            names: names.unwrap_or_default(),
        })
    }

    /// Whose nick and picture stand beside the tip: the operator's if it names no users; the first user's if users joined,
    /// were removed, or became or ceased to be admins. `None` for other tips: the sender's, who is the hub.
    #[must_use]
    pub fn face(&self) -> Option<TipNames<'a>> {
        let Some(first) = self.members().next() else {
            return Some(self.operator);
        };
        let is_about_users = matches!(
            self.operation,
            TipOperation::JOIN
                | TipOperation::KICKED_OUT
                | TipOperation::SET_ADMIN
                | TipOperation::CANCELED_ADMIN
        );
        is_about_users.then_some(first.names)
    }
}

wire! {
    /// A user's names and picture when a tip was written. Unknown ones are empty.
    #[derive(Debug, Default)]
    pub struct TipNames<'a> {
        /// The nick.
        pub nick: &'a str = "" => with_nick,
        /// The name in the group.
        pub name_card: &'a str = "" => with_name_card,
        /// The URL of the picture.
        pub avatar: &'a str = "" => with_avatar,
    }
}

impl<'a> TipNames<'a> {
    /// What to call the user with this id: by name card, else nick, else the id.
    #[must_use]
    pub fn shown_for(&self, id: &'a str) -> &'a str {
        match (self.name_card, self.nick) {
            ("", "") => id,
            ("", nick) => nick,
            (name_card, _) => name_card,
        }
    }
}

/// A user whom a tip is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TipMember<'a> {
    /// The user's id.
    pub id: &'a str,
    /// The user's names.
    pub names: TipNames<'a>,
}

wire! {
    /// The mute of a member.
    #[derive(Debug)]
    pub struct Muted {
        /// The member.
        pub user: UserId,
        /// The duration in seconds; 0 if the mute ended.
        pub seconds: u32,
    }
}

macro_rules! changes {
    ($($(#[$doc:meta])* $number:literal => $name:ident($ty:ty),)+) => {
        /// A change of a group's profile. On the wire it is the number of the field, then the new value.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum GroupChange<'a> {
            $($(#[$doc])* $name($ty),)+
            /// An unknown field, with the value as bytes.
            Unknown(u32, &'a [u8]),
        }

        impl Encode for GroupChange<'_> {
            fn encode(&self, writer: &mut Writer<'_>) {
                let mut put = |what: u32, value: &dyn Encode| {
                    what.encode(writer);
                    value.encode(writer);
                };
                match self {
                    $(Self::$name(value) => put($number, value),)+
                    Self::Unknown(what, value) => {
                        what.encode(writer);
                        writer.put(value);
                    }
                }
            }
        }

        impl<'a> Read<'a> for GroupChange<'a> {
            fn read(reader: &mut Reader<'a>) -> Self {
                match u32::read(reader) {
                    $($number => Self::$name(reader.read()),)+
                    what => Self::Unknown(what, reader.take_rest()),
                }
            }

            features! {
                from, to:
                serde from.deserialize_enum("GroupChange", serde::TAGS, crate::wire::serde::FieldsOf::<Self>::new(to)),
                arbitrary {
                    let input = from.bytes(from.len().min(100))?;
                    let change: GroupChange<'_> = arbitrary::Unstructured::new(input).arbitrary()?;
                    to.append(&mut super::to_vec(&change));
                    Ok(())
                },
            }
        }

        #[cfg(feature = "arbitrary")]
        impl<'a> arbitrary::Arbitrary<'a> for GroupChange<'a> {
            fn arbitrary(from: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
                const UNKNOWN: u32 = [$($number),+].len() as u32 + 1;
                Ok(match from.int_in_range(1..=UNKNOWN)? {
                    $($number => Self::$name(from.arbitrary()?),)+
                    _ => Self::Unknown(from.int_in_range(UNKNOWN..=u32::MAX)?, from.arbitrary()?),
                })
            }
        }

        #[cfg(feature = "serde")]
        #[allow(unreachable_pub)] // what `wire!` declares is public
        mod serde {
            use serde_core::{Serialize, Serializer};

            use super::*;
            use crate::wire::serde::Raw;

            wire! {
                /// A change that this version does not know, where it is shown by its parts.
                #[derive(Debug)]
                pub struct UnknownChange<'a> {
                    /// What changed.
                    pub what: u32,
                    /// The new value.
                    pub value: &'a [u8],
                }
            }

            #[cfg(feature = "alloc")]
            pub(super) const TAGS: &[&str] = &[$(stringify!($name),)+ "Unknown"];

            impl Serialize for GroupChange<'_> {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    const NAME: &str = "GroupChange";
                    match self {
                        $(Self::$name(it) => {
                            serializer.serialize_newtype_variant(NAME, $number, stringify!($name), it)
                        })+
                        &Self::Unknown(what, value) if serializer.is_human_readable() => {
                            serializer.serialize_newtype_variant(NAME, what, "Unknown", &UnknownChange { what, value })
                        }
                        Self::Unknown(what, value) => (what, Raw(value)).serialize(serializer),
                    }
                }
            }

            /// A change by its name: its number and its value.
            #[cfg(feature = "alloc")]
            impl<'de, 'a> serde_core::de::Visitor<'de> for crate::wire::serde::FieldsOf<'_, GroupChange<'a>> {
                type Value = ();

                fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                    f.write_str("a change of a group's profile, by its name")
                }

                fn visit_enum<A: serde_core::de::EnumAccess<'de>>(self, data: A) -> Result<(), A::Error> {
                    use crate::message::to_vec;
                    use crate::wire::serde::{FieldName, Transcode};
                    use serde_core::de::{Error as _, VariantAccess as _};
                    let (name, variant) = data.variant_seed(FieldName(TAGS))?;
                    let (what, mut value) = match name {
                        $(stringify!($name) => ($number, variant.newtype_variant_seed(Transcode::<$ty>::NEW)?),)+
                        _ => {
                            let parts = variant.newtype_variant_seed(Transcode::<UnknownChange<'_>>::NEW)?;
                            let unknown: UnknownChange<'_> =
                                crate::wire::decode_body(&parts).map_err(A::Error::custom)?;
                            (unknown.what, unknown.value.to_vec())
                        }
                    };
                    self.to.append(&mut to_vec(&what));
                    self.to.append(&mut value);
                    Ok(())
                }
            }
        }
    };
}

changes! {
    /// 1: its name.
    1 => Name(&'a str),
    /// 2: the introduction.
    2 => Introduction(&'a str),
    /// 3: the notification to its members.
    3 => Notification(&'a str),
    /// 4: the URL of its picture.
    4 => Avatar(&'a str),
    /// 5: the owner.
    5 => Owner(UserId),
    /// 6: the join option.
    6 => JoinOption(JoinOption),
    /// 7: the invite option.
    7 => InviteOption(InviteOption),
    /// 8: whether everybody but owner and admins is muted.
    8 => MuteAll(bool),
}
