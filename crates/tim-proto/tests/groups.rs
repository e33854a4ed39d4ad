//! What the wire says about groups beyond single bodies: mentions, the hub's word about senders, changes of a group.

use tim_proto::message::TipOperation;
use tim_proto::message::{
    Content, GroupChange, GroupTip, Header, Mentions, Message, SenderNames, tags, to_vec,
};
use tim_proto::request::{Request, SendMessage, UpdateGroup, for_each_request};
use tim_proto::wire::{BufferTooSmall, Extension, Extensions, FrameKind, List, decode_body};
use tim_proto::{
    AtKind, ConversationId, GroupId, InviteOption, JoinOption, JoinStatus, MemberResult, ReceiveOption,
};
use tim_testkit::messages::text;
use tim_testkit::user;

fn group() -> GroupId {
    GroupId::new("team").unwrap()
}

fn hi(extensions: Extensions<'_>) -> Message<'_> {
    let mut message = text(user("alice"), ConversationId::Group(group()), "hi");
    message.extensions = extensions;
    message
}

/// The content as it stands in a SEND.
fn sent(message: Message<'_>) -> Vec<u8> {
    let body = to_vec(&SendMessage::new(&message).with_options(Default::default()));
    tim_proto::request::Send::content_bytes(&body).unwrap().to_vec()
}

#[test]
fn mentions_travel_from_the_sender_to_the_reader() {
    let named = [user("bob"), user("carol")];
    for (users, all) in [
        (&named[..], false),
        (&named[..1], true),
        (&[], true),
        (&[], false),
    ] {
        let mentions = Mentions::new().with_users(List::from_slice(users)).with_all(all);
        let mut room = [0; 64];
        let message = hi(mentions.write(&mut room).unwrap());
        assert_eq!(message.mentions(), Some(mentions));
        let content = sent(message);
        let content: Content<'_> = decode_body(&content).unwrap();
        assert_eq!(content.mentions(), Some(mentions));
        assert!(!content.has_reserved_extensions());
        let read = content.mentions().unwrap();
        let expected = |name: &str| match (users.contains(&user(name)), all) {
            (true, true) => Some(AtKind::AT_ALL_AT_ME),
            (true, false) => Some(AtKind::AT_ME),
            (false, true) => Some(AtKind::AT_ALL),
            (false, false) => None,
        };
        for name in ["bob", "carol", "dave"] {
            assert_eq!(read.kind_for(&user(name)), expected(name), "{name}");
        }
    }
    assert_eq!(hi(Extensions::NONE).mentions(), None);
}

#[test]
fn a_short_buffer_for_mentions_is_told_how_much_is_needed() {
    let users = [user("bob")];
    let mentions = Mentions::new()
        .with_users(List::from_slice(&users))
        .with_all(true);
    let needed = mentions.write(&mut [0; 64]).unwrap().as_bytes().len();
    for available in 0..needed {
        let full = mentions.write(&mut vec![0; available]).map(|_| ());
        assert_eq!(full, Err(BufferTooSmall { needed, available }));
    }
    assert!(mentions.write(&mut vec![0; needed]).is_ok());
}

#[test]
fn malformed_mentions_and_names_are_none() {
    let broken = to_vec(&Extension::new(tags::MENTIONS, b"\x03\x02bo"));
    let names = to_vec(&Extension::new(tags::NICK, b"\xff\xfe"));
    let both = [broken, names].concat();
    let message = hi(Extensions::new(&both).unwrap());
    assert_eq!(message.mentions(), None);
    assert_eq!(
        (message.nick(), message.name_card(), message.avatar()),
        ("", "", "")
    );
    assert!(Extensions::new(&both[..both.len() - 1]).is_err());
}

#[test]
fn the_hub_adds_its_word_and_recognises_who_claims_it() {
    let users = [user("bob")];
    let mentions = Mentions::new().with_users(List::from_slice(&users));
    let mut room = [0; 64];
    let content = sent(hi(mentions.write(&mut room).unwrap()));
    for (nick, name_card, avatar) in [
        ("Alice", "阿丽", "https://h/a"),
        ("Alice", "", ""),
        ("", "阿丽", ""),
        ("", "", ""),
    ] {
        let names = SenderNames::new()
            .with_nick(nick)
            .with_name_card(name_card)
            .with_avatar(avatar);
        let stamped = [content.clone(), to_vec(&names)].concat();
        #[cfg(feature = "alloc")]
        assert_eq!(tim_proto::message::with_sender_names(&content, &names), stamped);
        let read: Content<'_> = decode_body(&stamped).unwrap();
        assert_eq!(
            (read.nick(), read.name_card(), read.avatar()),
            (nick, name_card, avatar)
        );
        assert_eq!(read.mentions(), Some(mentions));
        assert_eq!(read.has_reserved_extensions(), names != SenderNames::default());
        // What a message says does not depend on whether its payload was looked at.
        let envelope = hi(Extensions::NONE).envelope;
        let bytes = to_vec(&Header::new(envelope, read));
        let message = Message::decode_from(&bytes).unwrap();
        assert_eq!((message.nick(), message.mentions()), (nick, Some(mentions)));
    }
    let newer = to_vec(&Extension::new(4711, b"x"));
    let content = sent(hi(Extensions::new(&newer).unwrap()));
    assert!(
        decode_body::<Content<'_>>(&content)
            .unwrap()
            .has_reserved_extensions()
    );
}

#[test]
fn an_update_is_told_as_the_changes_that_it_makes() {
    let update = UpdateGroup::new(group())
        .with_name("Team 2")
        .with_notification("")
        .with_join_option(JoinOption::DISABLE_APPLY)
        .with_invite_option(InviteOption::FREE_ACCESS)
        .with_mute_all(true);
    let changes: Vec<GroupChange<'_>> = update.changes().collect();
    assert_eq!(
        changes,
        [
            GroupChange::Name("Team 2"),
            GroupChange::Notification(""),
            GroupChange::JoinOption(JoinOption::DISABLE_APPLY),
            GroupChange::InviteOption(InviteOption::FREE_ACCESS),
            GroupChange::MuteAll(true),
        ]
    );
    assert_eq!(UpdateGroup::new(group()).changes().count(), 0);
    let tip = GroupTip::new(TipOperation::GROUP_PROFILE_UPDATED, group())
        .with_operator_id("alice")
        .with_group_name("Team")
        .with_member_count(3)
        .with_changes(List::from_slice(&changes))
        .with_operator(Default::default())
        .with_names(Default::default());
    let bytes = to_vec(&tip);
    let read: GroupTip<'_> = decode_body(&bytes).unwrap();
    assert_eq!(read.changes.iter().collect::<Vec<_>>(), changes);
}

#[test]
fn a_change_that_nobody_knows_yet_is_carried_on() {
    let changes = [
        GroupChange::Unknown(99, b"\x01\x02"),
        GroupChange::Owner(user("bob")),
        GroupChange::Unknown(0, b""),
    ];
    let bytes = to_vec(&List::from_slice(&changes));
    let read: List<'_, GroupChange<'_>> = decode_body(&bytes).unwrap();
    assert_eq!(read.iter().collect::<Vec<_>>(), changes);
    assert_eq!(to_vec(&read), bytes);
}

/// Whether the response to this kind of request is decoded from an empty body; `None` if there is no such request.
fn responds_with_nothing(kind: FrameKind) -> Option<bool> {
    macro_rules! response {
        ([] $($request:ty),+) => {
            match kind {
                $(kind if kind == <$request as Request>::KIND => {
                    Some(decode_body::<<$request as Request>::Response<'_>>(b"").is_ok())
                })+
                _ => None,
            }
        };
    }
    for_each_request!(response![])
}

#[test]
fn every_kind_of_request_has_a_type_and_these_responses_are_empty() {
    for kind in (0..0x40).map(FrameKind) {
        let expected = match kind {
            FrameKind::PING | FrameKind::PONG | FrameKind::ACK | FrameKind::GOODBYE | FrameKind::ERROR => {
                None
            }
            FrameKind::LOGOUT
            | FrameKind::CANCEL_UPLOAD
            | FrameKind::QUIT_GROUP
            | FrameKind::HANDLE_APPLICATION
            | FrameKind::SET_MEMBER
            | FrameKind::CHANGE_OWNER
            | FrameKind::UPDATE_GROUP
            | FrameKind::DISMISS_GROUP
            | FrameKind::HANDLE_INVITATION
            | FrameKind::SET_RECEIVE_OPTION
            | FrameKind::UPDATE_USER_PROFILE
            | FrameKind::REGISTER_PUSH
            | FrameKind::UNREGISTER_PUSH => Some(true),
            _ => kind.name().map(|_| false),
        };
        assert_eq!(responds_with_nothing(kind), expected, "{kind}");
    }
}

#[test]
fn the_enumerations_of_groups_are_open() {
    macro_rules! open {
        ($($name:ident),+) => {$(
            for known in $name::KNOWN {
                assert_eq!(known.to_string().parse(), Ok(*known));
                assert!(known.is_known() && known.to_string().parse::<u8>().is_err());
            }
            assert_eq!("200".parse(), Ok($name(200)));
            assert_eq!($name(0).name(), None);
        )+};
    }
    open!(
        JoinOption,
        InviteOption,
        JoinStatus,
        MemberResult,
        ReceiveOption,
        AtKind
    );
    assert_eq!(ReceiveOption::default(), ReceiveOption::ACCEPT_AND_NOTIFY);
    assert!(!JoinOption::AS_USUAL.is_known() && !InviteOption::AS_USUAL.is_known());
}
