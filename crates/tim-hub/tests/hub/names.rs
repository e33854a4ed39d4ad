//! How users are called, on their messages and when looked up, and who is mentioned.

use tim_proto::message::{Mentions, Text};
use tim_proto::request::{OneConversation, Request, SetMember, UpdateUserProfile, UserProfiles};
use tim_proto::wire::{Extensions, List};
use tim_proto::{AtKind, ErrorCode, GroupType, UserId};

use super::support::{Device, Reply, TestHub, c2c, group, group_id, user};

fn call(device: &mut Device, nick: &str) -> Result<Reply, ErrorCode> {
    device.ask(&Request::UpdateUserProfile(UpdateUserProfile {
        nick: Some(nick),
        avatar: Some("https://example.org/a.png"),
    }))
}

fn send_with(device: &mut Device, text: &str, extensions: Extensions<'_>) -> Result<u64, ErrorCode> {
    let mut message = device.message(group("g"), Text { text });
    message.extensions = extensions;
    match device.send_message(&message)? {
        Reply::Sent { sequence, .. } => Ok(sequence),
        other => panic!("{other:?}"),
    }
}

#[test]
fn messages_carry_their_senders_names_from_every_device() {
    let hub = TestHub::start();
    let (mut alice, mut tablet) = (Device::login(&hub, "alice", 1), Device::login(&hub, "alice", 2));
    let mut bob = Device::login(&hub, "bob", 3);
    alice.create(GroupType::MEETING, "g", &[user("bob")]).unwrap();
    tablet.send(c2c("bob"), "nameless");
    assert_eq!(call(&mut alice, "爱丽丝"), Ok(Reply::Done));
    tablet.send(c2c("bob"), "named");
    tablet.send(group("g"), "in the group");
    let card = Request::SetMember(SetMember {
        group: group_id("g"),
        user: user("alice"),
        role: None,
        mute_seconds: None,
        name_card: Some("Boss"),
    });
    assert_eq!(alice.ask(&card), Ok(Reply::Done));
    tablet.send(group("g"), "with a card");
    bob.until_texts(4);
    let (nick, avatar) = ("爱丽丝", "https://example.org/a.png");
    let expected = [
        ["nameless", "", "", ""],
        ["named", nick, "", avatar],
        ["in the group", nick, "", avatar],
        ["with a card", nick, "Boss", avatar],
    ];
    assert_eq!(bob.said, expected.map(|said| said.map(str::to_owned)));
    let users = [user("alice"), user("nobody"), user("bob")];
    let look = Request::UserProfiles(UserProfiles {
        users: List::from_slice(&users),
    });
    let found = [["alice", nick, avatar], ["bob", "", ""]].map(|one| one.map(str::to_owned));
    assert_eq!(bob.ask(&look), Ok(Reply::Users(found.to_vec())));
    assert_eq!(
        call(&mut alice, &"x".repeat(101)),
        Err(ErrorCode::GROUP_INVALID_PARAMETERS)
    );
    let many: Vec<UserId> = (0..101).map(|n| user(&format!("u{n}"))).collect();
    let look = Request::UserProfiles(UserProfiles {
        users: List::from_slice(&many),
    });
    assert_eq!(bob.ask(&look), Err(ErrorCode::GROUP_INVALID_PARAMETERS));
}

#[test]
fn a_device_with_small_frames_gets_messages_whose_senders_have_long_names() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let mut kiosk = Device::with(&hub, "kiosk", 9, |config| config.max_frame = 512);
    kiosk.log_in();
    let avatar = "x".repeat(500);
    let update = UpdateUserProfile {
        nick: Some("alice"),
        avatar: Some(&avatar),
    };
    assert_eq!(alice.ask(&Request::UpdateUserProfile(update)), Ok(Reply::Done));
    alice.send(c2c("kiosk"), "hello");
    alice
        .ask(&Request::UpdateUserProfile(UpdateUserProfile {
            nick: None,
            avatar: Some(""),
        }))
        .unwrap();
    alice.send(c2c("kiosk"), "end");
    kiosk.until_texts(1);
    let stub = |seen: &super::support::Seen| matches!(seen, super::support::Seen::Stub { sequence: 1, .. });
    assert!(kiosk.seen.iter().any(stub), "{:?}", kiosk.seen);
}

#[test]
fn nobody_puts_words_into_the_hubs_mouth() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    alice.create(GroupType::MEETING, "g", &[]).unwrap();
    let forged = Extensions::new(&[64, 3, b'b', b'o', b'b']).unwrap();
    assert_eq!(
        send_with(&mut alice, "x", forged),
        Err(ErrorCode::INVALID_OPERATION)
    );
    let broken = Extensions::new(&[1, 1, 9]).unwrap();
    assert_eq!(
        send_with(&mut alice, "x", broken),
        Err(ErrorCode::MSG_PKG_PARSE_FAILED)
    );
    let unknown = Extensions::new(&[63, 1, 9]).unwrap();
    assert_eq!(send_with(&mut alice, "x", unknown), Ok(2));
}

#[test]
fn who_is_mentioned_is_told_where_until_it_is_read() {
    let hub = TestHub::start();
    let (mut alice, mut bob) = (Device::login(&hub, "alice", 1), Device::login(&hub, "bob", 2));
    alice
        .create(GroupType::PUBLIC, "g", &[user("bob"), user("carol")])
        .unwrap();
    let mut room = [0; 256];
    let names = [user("bob"), user("stranger")];
    let by_name = Mentions {
        users: List::from_slice(&names),
        all: false,
    };
    let at = send_with(&mut alice, "@bob", by_name.write(&mut room).unwrap()).unwrap();
    let everybody = Mentions {
        users: List::from_slice(&[]),
        all: true,
    };
    let mut room = [0; 256];
    let extensions = everybody.write(&mut room).unwrap();
    assert_eq!(
        send_with(&mut bob, "@all", extensions),
        Err(ErrorCode::GROUP_PERMISSION_DENY)
    );
    let all = send_with(&mut alice, "@all", extensions).unwrap();
    let profile = Request::ConversationProfile(OneConversation {
        conversation: group("g"),
    });
    bob.until_texts(2);
    bob.ask(&profile).unwrap();
    let expected = [(at, AtKind::AT_ME), (all, AtKind::AT_ALL)];
    assert_eq!(bob.at, expected.map(|(at, kind)| (at, "alice".to_owned(), kind)));
    let mut carol = Device::login(&hub, "carol", 3);
    carol.ask(&profile).unwrap();
    assert_eq!(carol.at, [(all, "alice".to_owned(), AtKind::AT_ALL)]);
    assert_eq!(bob.read(group("g")), 0);
    bob.ask(&profile).unwrap();
    assert_eq!(bob.at, []);
    let many: Vec<UserId> = (0..101).map(|n| user(&format!("u{n}"))).collect();
    let mentions = Mentions {
        users: List::from_slice(&many),
        all: false,
    };
    let mut room = [0; 2048];
    let extensions = mentions.write(&mut room).unwrap();
    assert_eq!(
        send_with(&mut alice, "x", extensions),
        Err(ErrorCode::GROUP_INVALID_PARAMETERS)
    );
}
