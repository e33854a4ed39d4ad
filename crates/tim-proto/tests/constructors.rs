//! Bodies made by `new` alone, and what their setters set.

use core::fmt::Debug;

use tim_proto::conversation::{AtInfo, Conversation, ConversationProfile, GroupProfile, UserProfile};
use tim_proto::message::{
    Audio, Content, Custom, Envelope, Face, File, GroupTip, Header, Image, ImageFormat, ImageInfo, ImageSize,
    Mentions, MessageFlags, Muted, NoticeOperation, OfflinePush, Revocation, SendOptions, SystemNotice, Text,
    Thumbnail, TipNames, TipOperation, Video, to_vec,
};
use tim_proto::request::{
    BanMembers, BeginUpload, BeginUploadResponse, CancelUpload, ChangeOwner, ConversationChange,
    Conversations, ConversationsResponse, CreateGroup, CreateGroupResponse, DeleteConversation, Deliver,
    DismissGroup, Download, DownloadResponse, EndUpload, EndUploadResponse, Expiring, Failure, Fetch,
    FetchResponse, FileUrl, FileUrlResponse, Gap, GetConversationProfile, GetGroupProfile, GroupMember,
    GroupMembers, GroupMembersResponse, Groups, GroupsResponse, HandleApplication, HandleInvitation, History,
    HistoryResponse, InviteMembers, JoinGroup, JoinGroupResponse, Login, LoginResponse, MarkRead,
    MarkReadResponse, MemberOutcome, MembersResponse, PushPlatform, QuitGroup, RegisterPush, RemoveMembers,
    Renew, RenewResponse, Resume, Revoke, RevokeResponse, Send, SendResponse, SetMember, SetReceiveOption,
    Synced, UnregisterPush, UpdateGroup, UpdateUserProfile, Upload, UploadResponse, UserProfiles,
    UserProfilesResponse,
};
use tim_proto::wire::{Decode, Extension, List, decode_body};
use tim_proto::{
    AtKind, ConversationId, ErrorCode, GroupId, GroupType, InviteOption, JoinOption, JoinStatus,
    MemberResult, Message, MessageId, MessageKind, Platform, Priority, ReceiveOption, Role, UserId,
};

fn user() -> UserId {
    UserId::new("alice").unwrap()
}

fn group() -> GroupId {
    GroupId::new("hikers").unwrap()
}

fn to() -> ConversationId {
    ConversationId::Group(group())
}

/// Each value is the same after it was encoded and decoded.
macro_rules! travel {
    ($($value:expr),+ $(,)?) => {{$(
        match $value { value => arrives(&to_vec(&value), value) }
    )+}};
}

fn arrives<'a, T: Decode<'a> + PartialEq + Debug>(bytes: &'a [u8], value: T) {
    assert_eq!(decode_body(bytes), Ok(value));
}

#[test]
fn a_request_made_by_new_alone_travels() {
    let content = Content::new(to(), MessageId::NONE, MessageKind::TEXT, b"\x02hi");
    travel![
        Conversations::new(),
        GetConversationProfile::new(to()),
        DeleteConversation::new(to()),
        Fetch::new(to(), 7, 0, 100),
        BeginUpload::new(MessageKind::FILE, "plan.pdf", 9, &[7; 32]),
        Upload::new(3, 0, b"abc"),
        EndUpload::new(3),
        CancelUpload::new(3),
        Download::new(to(), 7, 0, 100),
        FileUrl::new(to(), 7),
        History::new(to()),
        Login::new(1, user(), "sig", 2, Platform::DESKTOP),
        MarkRead::new(to()),
        Renew::new("sig"),
        RegisterPush::new(PushPlatform::IOS, "token"),
        UnregisterPush::new(PushPlatform::OPPO, "token"),
        Revoke::new(to(), 7),
        Send::new(content),
        UpdateUserProfile::new(),
        UserProfiles::new(List::from_slice(&[user()])),
        BanMembers::new(group(), List::from_slice(&[user()]), 60),
        ChangeOwner::new(group(), user()),
        CreateGroup::new(GroupType::PUBLIC, "Hikers", 7),
        DismissGroup::new(group()),
        HandleApplication::new(group(), user(), true),
        HandleInvitation::new(group(), false),
        InviteMembers::new(group(), List::from_slice(&[user()])),
        JoinGroup::new(group()),
        Groups::new(),
        GroupMembers::new(group()),
        GetGroupProfile::new(group()),
        QuitGroup::new(group()),
        RemoveMembers::new(group(), List::from_slice(&[user()])),
        SetMember::new(group(), user()),
        SetReceiveOption::new(group(), ReceiveOption::DISCARD),
        UpdateGroup::new(group()),
    ];
}

#[test]
fn what_the_hub_makes_by_new_alone_travels() {
    let conversations = [Conversation::new(to())];
    let groups = [GroupProfile::new(group(), GroupType::PUBLIC, user())];
    let members = [GroupMember::new(user(), Role::ADMIN)];
    let outcomes = [MemberOutcome::new(user(), MemberResult::ADDED)];
    let users = [UserProfile::new(user())];
    let message = Message::new(
        Envelope::new(user()),
        to(),
        MessageId::NONE,
        Text::new("hi").into(),
    );
    travel![
        ConversationsResponse::new(List::from_slice(&conversations)),
        ConversationProfile::new(conversations[0]),
        Failure::new(ErrorCode::RATE_LIMITED, "slower"),
        FetchResponse::new(3, b"abc"),
        BeginUploadResponse::new(3, 0, 60_000, 8),
        UploadResponse::new(3),
        EndUploadResponse::new("f00112233445566778899aabbccddeeff", 3),
        DownloadResponse::new(3, b"abc"),
        FileUrlResponse::new("https://h/x", 1_705_307_415),
        HistoryResponse::new(List::from_slice(&[message])),
        LoginResponse::new(5),
        MarkReadResponse::new(7),
        RenewResponse::new(9),
        RevokeResponse::new(8),
        SendResponse::new(7, 1_705_307_415),
        UserProfilesResponse::new(List::from_slice(&users)),
        CreateGroupResponse::new(group()),
        JoinGroupResponse::new(JoinStatus::WAIT_APPROVAL),
        MembersResponse::new(List::from_slice(&outcomes)),
        GroupsResponse::new(List::from_slice(&groups)),
        GroupMembersResponse::new(List::from_slice(&members)),
        Deliver::new(message),
        Gap::new(to(), 3, 9),
        Synced::new(),
        Expiring::new(1_705_307_415, 60),
        ConversationChange::new(to()),
        AtInfo::new(7, user(), AtKind::AT_ME),
    ];
}

#[test]
fn the_parts_of_a_message_made_by_new_alone_travel() {
    let content = Content::new(to(), MessageId::NONE, MessageKind::TEXT, b"\x02hi");
    travel![
        Envelope::new(user()),
        content,
        Header::new(Envelope::new(user()), content),
        Extension::new(3, b"abc"),
        SendOptions::new(),
        OfflinePush::new(),
        Mentions::new(),
        Text::new("hi"),
        Custom::new(),
        Face::new(3),
        Image::new(
            ImageFormat::PNG,
            List::from_slice(&[ImageInfo::new(ImageSize::ORIGINAL)])
        ),
        Audio::new(),
        Video::new(),
        Thumbnail::new(),
        File::new(),
        Revocation::new(7, MessageId::NONE, user(), user()),
        SystemNotice::new(NoticeOperation::INVITED),
        GroupTip::new(TipOperation::JOIN, group()),
        TipNames::new(),
        Muted::new(user(), 60),
    ];
}

#[test]
fn a_setter_sets_its_field_and_what_is_not_set_is_as_documented() {
    let set = SetMember::new(group(), user()).with_role(Role::ADMIN);
    assert_eq!(
        (set.group, set.user, set.role),
        (group(), user(), Some(Role::ADMIN))
    );
    assert_eq!((set.mute_seconds, set.name_card), (None, None));
    let set = set.with_mute_seconds(0).with_name_card("");
    assert_eq!(
        (set.role, set.mute_seconds, set.name_card),
        (Some(Role::ADMIN), Some(0), Some(""))
    );

    let create = CreateGroup::new(GroupType::PUBLIC, "Hikers", 7);
    assert_eq!((create.name, create.random, create.group), ("Hikers", 7, None));
    let options = (create.join_option, create.invite_option);
    assert_eq!(options, (JoinOption::AS_USUAL, InviteOption::AS_USUAL));

    let login = Login::new(1, user(), "sig", 2, Platform::DESKTOP);
    assert_eq!(
        (login.resume, login.cursor, login.session, login.attempt),
        (Resume::NOW, &[][..], 0, 0)
    );
    let login = login
        .with_resume(Resume::CURSOR)
        .with_cursor(&[1])
        .with_session(3)
        .with_attempt(4);
    assert_eq!((login.resume, login.cursor), (Resume::CURSOR, &[1][..]));
    assert_eq!((login.device, login.session, login.attempt), (2, 3, 4));

    let conversation = Conversation::new(to());
    assert_eq!(conversation.receive_option, ReceiveOption::default());
    let envelope = Envelope::new(user())
        .with_sequence(1)
        .with_time(2)
        .with_flags(MessageFlags::REVOKED)
        .with_origin(3);
    let Envelope {
        sequence,
        time,
        flags,
        origin,
        ..
    } = envelope;
    assert_eq!((sequence, time, flags, origin), (1, 2, MessageFlags::REVOKED, 3));
    let content = Content::new(to(), MessageId::NONE, MessageKind::TEXT, b"");
    assert_eq!((content.priority, content.client_sequence), (Priority::NORMAL, 0));
}

/// `new()` without arguments, and `Default`, are the same.
#[test]
fn a_body_with_a_default_has_the_same_one_in_both_forms() {
    macro_rules! same {
        ($($type:ty),+) => { $(assert_eq!(<$type>::new(), <$type>::default());)+ };
    }
    same!(
        Conversations<'_>,
        Groups<'_>,
        UpdateUserProfile<'_>,
        Synced<'_>,
        SendOptions<'_>,
        OfflinePush<'_>
    );
    same!(
        Mentions<'_>,
        Custom<'_>,
        Audio<'_>,
        Video<'_>,
        Thumbnail<'_>,
        File<'_>,
        TipNames<'_>
    );
    assert_eq!(Text::new(""), Text::default());
    assert_eq!(Face::new(0), Face::default());
    assert_eq!(LoginResponse::new(0), LoginResponse::default());
    assert_eq!(SystemNotice::new(NoticeOperation::NONE), SystemNotice::default());
}
