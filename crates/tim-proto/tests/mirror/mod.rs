//! The wire types once more, as serde would have them: owned, plain, in the wire's order of fields.
//!
//! They are the reference that the hand-written codec is compared with. In a readable format (JSON) they are the
//! vectors' field descriptions; in postcard they give the bytes that the codec must give. What postcard's data model
//! cannot say (lists with sizes, extensions, a payload by kind) is spelled out here a second time, independently.
//!
//! Memory is leaked freely, so that the borrowed wire types can be `'static`.
#![allow(dead_code, unused_imports, unreachable_pub, missing_docs)] // each test file uses its own part

mod change;
mod fields;

pub use change::Change;
pub use fields::{Bytes, Conv, Extra, Extras, Group, Items, User, WithSize, from_hex, ours, to_hex};

use proptest::prelude::{BoxedStrategy, Strategy, any};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tim_proto::{conversation, message, notice, request};

/// A serde struct and the wire type that it stands for.
pub trait Mirror<W> {
    /// As the wire type.
    fn wire(&self) -> W;
    /// From the wire type.
    fn of(wire: &W) -> Self;
}

pub fn leak<T>(items: Vec<T>) -> &'static [T] {
    Box::leak(items.into_boxed_slice())
}

/// Pairs of pairs: proptest has no tuples as long as some bodies.
macro_rules! nested {
    ($one:ident) => { $one };
    ($one:ident, $($rest:ident),+) => { ($one, nested!($($rest),+)) };
    ($one:expr) => { $one };
    ($one:expr, $($rest:expr),+) => { ($one, nested!($($rest),+)) };
}

/// Defines structs with the fields, and the order of fields, of the wire types named.
macro_rules! mirror {
    ($($name:ident($wire:ty) { $($field:ident: $ty:ty),+ $(,)? })*) => {$(
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub struct $name { $(pub $field: $ty),+ }

        impl Mirror<$wire> for $name {
            fn wire(&self) -> $wire {
                type Wire = $wire;
                Wire { $($field: Mirror::wire(&self.$field)),+ }
            }
            fn of(wire: &$wire) -> Self {
                Self { $($field: Mirror::of(&wire.$field)),+ }
            }
        }

        impl proptest::arbitrary::Arbitrary for $name {
            type Parameters = ();
            type Strategy = BoxedStrategy<Self>;
            fn arbitrary_with((): ()) -> BoxedStrategy<Self> {
                nested!($(any::<$ty>()),+).prop_map(|nested!($($field),+)| Self { $($field),+ }).boxed()
            }
        }
    )*};
}

mirror! {
    MessageId(tim_proto::MessageId) { sender: u64, client_time: u64, random: u32 }
    Envelope(message::Envelope) { sequence: u64, time: u64, flags: u32, origin: u64, from: User }
    Content(message::Content<'static>) {
        to: Conv, id: MessageId, client_sequence: u64, priority: u8, kind: u16, payload: Bytes, extensions: Extras,
    }
    Header(message::Header<'static>) { envelope: Envelope, content: Content }
    Message(message::Message<'static>) {
        envelope: Envelope, to: Conv, id: MessageId, client_sequence: u64, priority: u8, payload: Payload,
        extensions: Extras,
    }
    SendOptions(message::SendOptions<'static>) { online_user_only: bool, offline_push: Option<OfflinePush> }
    OfflinePush(message::OfflinePush<'static>) {
        disable_push: bool, title: Option<String>, description: Option<String>, extension: Option<String>,
        ignore_ios_badge: bool, android_oppo_channel_id: Option<String>,
    }

    Text(message::Text<'static>) { text: String }
    Custom(message::Custom<'static>) { data: String, description: String, extension: String }
    Face(message::Face<'static>) { index: u32, data: String }
    Image(message::Image<'static>) { format: u8, uuid: String, images: Items<ImageInfo> }
    ImageInfo(message::ImageInfo<'static>) {
        size_type: u8, instance: u32, size: u64, width: u32, height: u32, url: String,
    }
    Audio(message::Audio<'static>) {
        uuid: String, url: String, size: u64, duration_ms: u32, sample_rate: u32, channels: u8, bit_rate: u32,
        format: String,
    }
    Video(message::Video<'static>) {
        uuid: String, url: String, size: u64, seconds: u32, format: String, thumbnail: Thumbnail,
    }
    Thumbnail(message::Thumbnail<'static>) {
        is_default: bool, uuid: String, url: String, size: u64, width: u32, height: u32, format: String,
    }
    File(message::File<'static>) { uuid: String, name: String, size: u64, url: String }
    GroupTip(message::GroupTip<'static>) {
        operation: u32, operator_id: String, users: Items<String>, group_id: Group, group_name: String,
        member_count: u32, changes: Items<Change>, muted: Items<Muted>, reason: String,
        operator: TipNames, names: Items<TipNames>,
    }
    TipNames(message::TipNames<'static>) { nick: String, name_card: String, avatar: String }
    Mentions(message::Mentions<'static>) { users: Items<User>, all: bool }
    Muted(message::Muted) { user: User, seconds: u32 }
    SystemNotice(notice::SystemNotice<'static>) {
        operation: u32, operator_id: String, group_id: String, group_name: String, handle_message: String,
        authentication: String, message_key: u64, user_defined_field: String,
    }
    Revocation(message::Revocation<'static>) {
        sequence: u64, message: MessageId, sender: User, revoker: User, reason: String,
    }

    Login(request::Login<'static>) {
        app: u32, user: User, user_sig: String, device: u64, platform: u8, resume: u8, cursor: Bytes,
        session: u64, attempt: u32,
    }
    LoginResponse(request::LoginResponse<'static>) {
        account: u64, time_ms: u64, cursor: Bytes, nick: String, session: u64, attempt: u32,
    }
    Send(request::Send<'static>) { options: WithSize<SendOptions>, content: Content }
    SendResponse(request::SendResponse<'static>) { sequence: u64, time: u64, duplicate: bool, extensions: Extras }
    Revoke(request::Revoke<'static>) { conversation: Conv, sequence: u64, message: MessageId, reason: String }
    RevokeResponse(request::RevokeResponse) { sequence: u64 }
    History(request::History<'static>) { conversation: Conv, next: Bytes, count: u16 }
    HistoryResponse(request::HistoryResponse<'static>) { next: Bytes, completed: bool, messages: Items<Message> }
    MarkRead(request::MarkRead) { conversation: Conv, sequence: u64 }
    MarkReadResponse(request::MarkReadResponse) { read_sequence: u64, unread: u32, counted: u64 }
    Conversations(request::Conversations<'static>) { next: Bytes, count: u16 }
    ConversationsResponse(request::ConversationsResponse<'static>) {
        next: Bytes, completed: bool, total_unread: u64, conversations: Items<Conversation>,
    }
    GetConversationProfile(request::GetConversationProfile) { conversation: Conv }
    DeleteConversation(request::DeleteConversation) { conversation: Conv }
    ConversationProfile(conversation::ConversationProfile<'static>) {
        conversation: Conversation, group: Option<GroupProfile>, user: Option<UserProfile>,
    }
    Conversation(conversation::Conversation<'static>) {
        id: Conv, unread: u32, read_sequence: u64, last_sequence: u64, name: String, avatar: String,
        group_type: u8, last_message: Option<Bytes>, receive_option: u8, at: Items<AtInfo>,
    }
    AtInfo(conversation::AtInfo) { sequence: u64, from: User, kind: u8 }
    GroupProfile(conversation::GroupProfile<'static>) {
        id: Group, group_type: u8, name: String, introduction: String, notification: String, avatar: String,
        owner: User, member_count: u32, created: u64, role: u8,
        join_option: u8, invite_option: u8, mute_all: bool, max_members: u32, receive_option: u8, muted_until: u64,
        name_card: String,
    }
    UserProfile(conversation::UserProfile<'static>) { id: User, nick: String, avatar: String }
    Fetch(request::Fetch) { conversation: Conv, sequence: u64, offset: u32, len: u32 }
    FetchResponse(request::FetchResponse<'static>) { total: u32, bytes: Bytes }
    CreateGroup(request::CreateGroup<'static>) {
        group: Option<Group>, group_type: u8, name: String, introduction: String, notification: String,
        avatar: String, members: Items<User>, random: u32, join_option: u8, invite_option: u8,
    }
    CreateGroupResponse(request::CreateGroupResponse) { group: Group }
    QuitGroup(request::QuitGroup) { group: Group }
    DismissGroup(request::DismissGroup) { group: Group }
    GetGroupProfile(request::GetGroupProfile) { group: Group }
    JoinGroup(request::JoinGroup<'static>) { group: Group, message: String }
    JoinGroupResponse(request::JoinGroupResponse) { status: u8 }
    HandleApplication(request::HandleApplication<'static>) {
        group: Group, applicant: User, accept: bool, message: String, key: u64,
    }
    HandleInvitation(request::HandleInvitation<'static>) { group: Group, accept: bool, message: String }
    InviteMembers(request::InviteMembers<'static>) { group: Group, users: Items<User>, reason: String }
    RemoveMembers(request::RemoveMembers<'static>) { group: Group, users: Items<User>, reason: String }
    BanMembers(request::BanMembers<'static>) { group: Group, users: Items<User>, seconds: u32, reason: String }
    MembersResponse(request::MembersResponse<'static>) { results: Items<MemberOutcome> }
    MemberOutcome(request::MemberOutcome) { user: User, result: u8 }
    SetMember(request::SetMember<'static>) {
        group: Group, user: User, role: Option<u8>, mute_seconds: Option<u32>, name_card: Option<String>,
    }
    ChangeOwner(request::ChangeOwner) { group: Group, owner: User }
    UpdateGroup(request::UpdateGroup<'static>) {
        group: Group, name: Option<String>, introduction: Option<String>, notification: Option<String>,
        avatar: Option<String>, join_option: Option<u8>, invite_option: Option<u8>, mute_all: Option<bool>,
    }
    SetReceiveOption(request::SetReceiveOption) { group: Group, option: u8 }
    GroupMembers(request::GroupMembers<'static>) { group: Group, next: Bytes, count: u16, role: Option<u8> }
    GroupMembersResponse(request::GroupMembersResponse<'static>) {
        next: Bytes, completed: bool, members: Items<GroupMember>,
    }
    GroupMember(request::GroupMember<'static>) {
        user: User, role: u8, joined: u64, muted_until: u64, nick: String, avatar: String, name_card: String,
    }
    Groups(request::Groups<'static>) { next: Bytes, count: u16 }
    GroupsResponse(request::GroupsResponse<'static>) { next: Bytes, completed: bool, groups: Items<GroupProfile> }
    UserProfiles(request::UserProfiles<'static>) { users: Items<User> }
    UserProfilesResponse(request::UserProfilesResponse<'static>) { users: Items<UserProfile> }
    UpdateUserProfile(request::UpdateUserProfile<'static>) { nick: Option<String>, avatar: Option<String> }
    Renew(request::Renew<'static>) { user_sig: String }
    RenewResponse(request::RenewResponse) { expires: u64 }
    Expiring(request::Expiring) { expires: u64, seconds: u32 }
    Failure(request::Failure<'static>) { code: u32, retry_after_ms: u32, text: String }
    Deliver(request::Deliver<'static>) { cursor: Bytes, payload_len: u32, message: Message }
    Synced(request::Synced<'static>) { cursor: Bytes }
    Gap(request::Gap) { conversation: Conv, from: u64, to: u64 }
    ConversationChange(request::ConversationChange) {
        conversation: Conv, unread: u32, read_sequence: u64, counted: u64, deleted_through: u64,
    }
}

/// The body of a frame that has no fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Nothing {}

impl Mirror<request::Done> for Nothing {
    fn wire(&self) -> request::Done {
        request::Done
    }
    fn of(_: &request::Done) -> Self {
        Self {}
    }
}

/// A payload: in JSON an object named by its kind, on the wire the kind's number and the bytes of the rest.
macro_rules! payloads {
    ($($number:literal => $name:ident),+) => {
        #[derive(Debug, Clone, PartialEq)]
        pub enum Payload { $($name($name),)+ Unknown(u16, Bytes) }

        /// What JSON sees.
        #[derive(Serialize, Deserialize)]
        enum Readable { $($name($name),)+ Unknown { kind: u16, bytes: Bytes } }

        impl From<Readable> for Payload {
            fn from(readable: Readable) -> Self {
                match readable {
                    $(Readable::$name(fields) => Self::$name(fields),)+
                    Readable::Unknown { kind, bytes } => Self::Unknown(kind, bytes),
                }
            }
        }

        impl From<Payload> for Readable {
            fn from(payload: Payload) -> Self {
                match payload {
                    $(Payload::$name(fields) => Self::$name(fields),)+
                    Payload::Unknown(kind, bytes) => Self::Unknown { kind, bytes },
                }
            }
        }

        impl Payload {
            pub fn kind(&self) -> u16 {
                match self {
                    $(Self::$name(_) => $number,)+
                    Self::Unknown(kind, _) => *kind,
                }
            }

            pub fn postcard(&self) -> Vec<u8> {
                match self {
                    $(Self::$name(fields) => postcard::to_allocvec(fields).unwrap(),)+
                    Self::Unknown(_, bytes) => bytes.0.clone(),
                }
            }

            pub fn from_postcard(kind: u16, bytes: Vec<u8>) -> Self {
                match kind {
                    $($number => match postcard::from_bytes(&bytes) {
                        Ok(fields) => Self::$name(fields),
                        Err(_) => Self::Unknown(kind, Bytes(bytes)),
                    },)+
                    _ => Self::Unknown(kind, Bytes(bytes)),
                }
            }
        }

        impl Mirror<message::Payload<'static>> for Payload {
            fn wire(&self) -> message::Payload<'static> {
                match self {
                    $(Self::$name(fields) => message::Payload::$name(fields.wire()),)+
                    Self::Unknown(kind, bytes) => {
                        message::Payload::Unknown(tim_proto::MessageKind(*kind), bytes.wire())
                    }
                }
            }
            fn of(wire: &message::Payload<'static>) -> Self {
                match wire {
                    $(message::Payload::$name(fields) => Self::$name(Mirror::of(fields)),)+
                    message::Payload::Unknown(kind, bytes) => Self::Unknown(kind.0, Mirror::of(bytes)),
                    other => panic!("a payload without a mirror: {other:?}"),
                }
            }
        }

        impl proptest::arbitrary::Arbitrary for Payload {
            type Parameters = ();
            type Strategy = BoxedStrategy<Self>;
            fn arbitrary_with((): ()) -> BoxedStrategy<Self> {
                proptest::prop_oneof![
                    $(any::<$name>().prop_map(Self::$name),)+
                    (1000_u16.., any::<Bytes>()).prop_map(|(kind, bytes)| Self::Unknown(kind, bytes)),
                ].boxed()
            }
        }
    };
}

payloads! {
    1 => Text, 2 => Image, 3 => Audio, 4 => Video, 5 => File, 6 => Custom, 7 => Face,
    32 => GroupTip, 33 => SystemNotice, 34 => Revocation
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            Readable::from(self.clone()).serialize(serializer)
        } else {
            (self.kind(), Bytes(self.postcard())).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            Readable::deserialize(deserializer).map(Self::from)
        } else {
            let (kind, bytes) = <(u16, Bytes)>::deserialize(deserializer)?;
            Ok(Self::from_postcard(kind, bytes.0))
        }
    }
}
