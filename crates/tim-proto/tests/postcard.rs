//! The codec against real postcard: the same values must give the same bytes, and each must read the other's.

mod mirror;

use mirror::{Mirror, leak, ours};
use proptest::prelude::{ProptestConfig, any, proptest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tim_proto::wire::{BufferTooSmall, Decode, Encode, decode_prefix, encode_body};

/// Ours is postcard's, both ways; a value comes back; and a short buffer is told how much is needed.
fn same<W, M>(fields: &M)
where
    W: Encode + Decode<'static>,
    M: Mirror<W> + Serialize + DeserializeOwned + PartialEq + core::fmt::Debug,
{
    let bytes = ours(&fields.wire());
    assert_eq!(bytes, postcard::to_allocvec(fields).unwrap(), "{fields:?}");
    assert_eq!(&postcard::from_bytes::<M>(&bytes).unwrap(), fields);

    let bytes = leak(bytes);
    let (decoded, behind) = decode_prefix::<W>(bytes).expect("our own bytes");
    assert_eq!(behind, &[]);
    assert_eq!(&M::of(&decoded), fields);
    assert_eq!(ours(&decoded), bytes, "encoded again");

    for available in 0..bytes.len() {
        let full = encode_body(&decoded, &mut vec![0; available]);
        assert_eq!(
            full,
            Err(BufferTooSmall {
                needed: bytes.len(),
                available
            })
        );
        // A part of a value is either an error or a value that was whole already.
        if let Ok((value, _)) = decode_prefix::<W>(&bytes[..available]) {
            assert!(ours(&value).len() <= available);
        }
    }
}

macro_rules! compare {
    ($($test:ident: $mirror:ident, $wire:ty;)+) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
            $(#[test]
            fn $test(fields in any::<mirror::$mirror>()) {
                same::<$wire, _>(&fields);
            })+
        }
    };
}

use tim_proto::{conversation, message, request};

compare! {
    message_id: MessageId, tim_proto::MessageId;
    messages: Message, message::Message<'static>;
    headers: Header, message::Header<'static>;
    text: Text, message::Text<'static>;
    image: Image, message::Image<'static>;
    audio: Audio, message::Audio<'static>;
    video: Video, message::Video<'static>;
    file: File, message::File<'static>;
    custom: Custom, message::Custom<'static>;
    face: Face, message::Face<'static>;
    group_tip: GroupTip, message::GroupTip<'static>;
    system_notice: SystemNotice, tim_proto::notice::SystemNotice<'static>;
    revocation: Revocation, message::Revocation<'static>;
    mentions: Mentions, message::Mentions<'static>;
    login: Login, request::Login<'static>;
    login_response: LoginResponse, request::LoginResponse<'static>;
    send: Send, request::Send<'static>;
    send_response: SendResponse, request::SendResponse<'static>;
    revoke: Revoke, request::Revoke<'static>;
    revoke_response: RevokeResponse, request::RevokeResponse;
    history: History, request::History<'static>;
    history_response: HistoryResponse, request::HistoryResponse<'static>;
    mark_read: MarkRead, request::MarkRead;
    mark_read_response: MarkReadResponse, request::MarkReadResponse;
    conversations: Conversations, request::Conversations<'static>;
    conversations_response: ConversationsResponse, request::ConversationsResponse<'static>;
    get_conversation_profile: GetConversationProfile, request::GetConversationProfile;
    delete_conversation: DeleteConversation, request::DeleteConversation;
    conversation_profile: ConversationProfile, conversation::ConversationProfile<'static>;
    fetch: Fetch, request::Fetch;
    fetch_response: FetchResponse, request::FetchResponse<'static>;
    create_group: CreateGroup, request::CreateGroup<'static>;
    create_group_response: CreateGroupResponse, request::CreateGroupResponse;
    quit_group: QuitGroup, request::QuitGroup;
    dismiss_group: DismissGroup, request::DismissGroup;
    get_group_profile: GetGroupProfile, request::GetGroupProfile;
    join_group: JoinGroup, request::JoinGroup<'static>;
    join_group_response: JoinGroupResponse, request::JoinGroupResponse;
    handle_application: HandleApplication, request::HandleApplication<'static>;
    handle_invitation: HandleInvitation, request::HandleInvitation<'static>;
    invite_members: InviteMembers, request::InviteMembers<'static>;
    remove_members: RemoveMembers, request::RemoveMembers<'static>;
    ban_members: BanMembers, request::BanMembers<'static>;
    members_response: MembersResponse, request::MembersResponse<'static>;
    set_member: SetMember, request::SetMember<'static>;
    change_owner: ChangeOwner, request::ChangeOwner;
    update_group: UpdateGroup, request::UpdateGroup<'static>;
    set_receive_option: SetReceiveOption, request::SetReceiveOption;
    group_members: GroupMembers, request::GroupMembers<'static>;
    group_members_response: GroupMembersResponse, request::GroupMembersResponse<'static>;
    groups: Groups, request::Groups<'static>;
    groups_response: GroupsResponse, request::GroupsResponse<'static>;
    group_profile: GroupProfile, conversation::GroupProfile<'static>;
    user_profiles: UserProfiles, request::UserProfiles<'static>;
    user_profiles_response: UserProfilesResponse, request::UserProfilesResponse<'static>;
    update_user_profile: UpdateUserProfile, request::UpdateUserProfile<'static>;
    renew: Renew, request::Renew<'static>;
    renew_response: RenewResponse, request::RenewResponse;
    expiring: Expiring, request::Expiring;
    failure: Failure, request::Failure<'static>;
    deliver: Deliver, request::Deliver<'static>;
    gap: Gap, request::Gap;
    conversation_change: ConversationChange, request::ConversationChange;
}

#[test]
fn integers_at_every_length() {
    let edges = (0..64)
        .flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit, (1 << bit) + 1])
        .chain([u64::MAX]);
    for value in edges {
        assert_eq!(ours(&value), postcard::to_allocvec(&value).unwrap());
        same_number(value);
    }
}

fn same_number(value: u64) {
    fn read<'a, T: Decode<'a>>(bytes: &'a [u8]) -> Option<T> {
        decode_prefix::<T>(bytes).ok().map(|(value, _)| value)
    }
    let bytes = ours(&value);
    assert_eq!(read::<u64>(&bytes), postcard::from_bytes(&bytes).ok());
    assert_eq!(read::<u32>(&bytes), u32::try_from(value).ok());
    assert_eq!(read::<u16>(&bytes), u16::try_from(value).ok());
}

/// What serde could leave out, fill in or merge would make the wire depend on more than the list of fields.
#[test]
fn no_wire_type_uses_attributes_of_serde_that_bend_the_format() {
    let forbidden = ["skip", "default", "other", "untagged", "flatten"];
    let mut seen = 0;
    let mut folders = vec![std::path::PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src"
    ))];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            seen += 1;
            let source = std::fs::read_to_string(&path).unwrap();
            for (at, _) in source.match_indices("serde(") {
                let attribute = source[at..].split(']').next().unwrap();
                let bad = forbidden.iter().find(|word| attribute.contains(**word));
                assert_eq!(bad, None, "{}: {attribute}", path.display());
            }
        }
    }
    assert!(seen > 20, "looked at {seen} files only");
}
