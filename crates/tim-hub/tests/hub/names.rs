//! How users are called, on their messages and when looked up, and who is mentioned.

use tim_proto::message::{Mentions, Text};
use tim_proto::request::{GetConversationProfile, SetMember, UpdateGroup, UpdateUserProfile, UserProfiles};
use tim_proto::wire::{Extensions, List};
use tim_proto::{AtKind, ConversationId, ErrorCode, GroupType, UserId};

use super::support::{Device, Reply, TestHub, c2c, group, group_id, user};

fn call(device: &mut Device, nick: &str) -> Result<Reply, ErrorCode> {
    device.ask(
        &UpdateUserProfile::new()
            .with_nick(nick)
            .with_avatar("https://example.org/a.png"),
    )
}

fn send_with(device: &mut Device, text: &str, extensions: Extensions<'_>) -> Result<u64, ErrorCode> {
    let mut message = device.message(group("g"), Text::new(text));
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
    let card = SetMember::new(group_id("g"), user("alice")).with_name_card("Boss");
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
    assert_eq!(bob.sender_names, expected.map(|said| said.map(str::to_owned)));
    let users = [user("alice"), user("nobody"), user("bob")];
    let look = UserProfiles::new(List::from_slice(&users));
    let found = [["alice", nick, avatar], ["bob", "", ""]].map(|one| one.map(str::to_owned));
    assert_eq!(bob.ask(&look), Ok(Reply::Users(found.to_vec())));
    assert_eq!(
        call(&mut alice, &"x".repeat(101)),
        Err(ErrorCode::GROUP_INVALID_PARAMETERS)
    );
    let many: Vec<UserId> = (0..101).map(|n| user(&format!("u{n}"))).collect();
    let look = UserProfiles::new(List::from_slice(&many));
    assert_eq!(bob.ask(&look), Err(ErrorCode::GROUP_INVALID_PARAMETERS));
}

/// Sets the user's name in group `g`.
fn set_card(device: &mut Device, name: &str, card: &str) {
    let set = SetMember::new(group_id("g"), user(name)).with_name_card(card);
    assert_eq!(device.ask(&set), Ok(Reply::Done));
}

#[test]
fn a_sender_that_asks_for_it_is_told_how_it_is_called() {
    let hub = TestHub::start();
    let mut plain = Device::login(&hub, "alice", 1);
    let mut alice = Device::with(&hub, "alice", 2, |config| config.sender_names = true);
    alice.log_in();
    call(&mut alice, "爱丽丝").unwrap();
    alice.create(GroupType::MEETING, "g", &[user("bob")]).unwrap();
    alice.create(GroupType::AV_CHAT_ROOM, "room", &[]).unwrap();
    set_card(&mut alice, "alice", "Boss");
    alice.send(c2c("bob"), "to a user");
    let message = alice.message(group("g"), Text::new("into a group"));
    for _ in 0..2 {
        alice.send_message(&message).unwrap(); // the second time as a duplicate
    }
    let live = alice.message(group("room"), Text::new("into a room"));
    alice.send_message(&live).unwrap();
    plain.send(group("g"), "not asked for");
    let avatar = "https://example.org/a.png";
    let expected = ["", "Boss", "Boss", ""].map(|card| ["爱丽丝", card, avatar].map(str::to_owned));
    assert_eq!(alice.own_names, expected);
    assert_eq!(plain.own_names, [["", "", ""]]);
}

#[test]
fn tips_say_how_their_users_are_called() {
    let hub = TestHub::start();
    let (mut alice, mut bob) = (Device::login(&hub, "alice", 1), Device::login(&hub, "bob", 2));
    let mut kiosk = Device::with(&hub, "kiosk", 9, |config| config.max_frame = 256);
    kiosk.log_in();
    call(&mut alice, "爱丽丝").unwrap();
    call(&mut bob, "Bob B.").unwrap();
    let members = [user("bob"), user("carol"), user("kiosk")];
    alice.create(GroupType::PUBLIC, "g", &members).unwrap();
    assert_eq!(
        bob.until_tip(1).shown,
        ["爱丽丝", "爱丽丝", "Bob B.", "carol", "kiosk"]
    );
    set_card(&mut bob, "bob", "bobby");
    assert_eq!(alice.until_tip(7).shown, ["bobby", "bobby"], "the new card");
    alice.remove("g", &["bob"]).unwrap();
    assert_eq!(bob.until_notice(4).operator, "alice");
    assert_eq!(alice.until_tip(3).shown, ["爱丽丝", "bobby"]);
    alice.create(GroupType::AV_CHAT_ROOM, "room", &[]).unwrap();
    bob.join("room").unwrap();
    alice.until(|device| {
        let mut tips = device.tips.iter();
        tips.any(|tip| tip.users == ["bob"] && tip.shown == ["Bob B.", "Bob B."])
    });
}

#[test]
fn a_device_with_small_frames_gets_tips_without_names() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let mut kiosk = Device::with(&hub, "kiosk", 9, |config| config.max_frame = 512);
    kiosk.log_in();
    let avatar = "x".repeat(500);
    let update = UpdateUserProfile::new().with_nick("爱丽丝").with_avatar(&avatar);
    assert_eq!(alice.ask(&update), Ok(Reply::Done));
    alice.create(GroupType::PUBLIC, "g", &[user("kiosk")]).unwrap();
    assert_eq!(kiosk.until_tip(1).shown, ["alice", "alice", "kiosk"]);
    let Ok(Reply::Page { texts, .. }) = kiosk.page(group("g"), &[], 1) else {
        panic!("no page");
    };
    assert_eq!(texts, ["TIMGroupTipElem"], "in the history too");
}

#[test]
fn a_device_with_small_frames_gets_messages_whose_senders_have_long_names() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let mut kiosk = Device::with(&hub, "kiosk", 9, |config| config.max_frame = 512);
    kiosk.log_in();
    let avatar = "x".repeat(500);
    let update = UpdateUserProfile::new().with_nick("alice").with_avatar(&avatar);
    assert_eq!(alice.ask(&update), Ok(Reply::Done));
    alice.send(c2c("kiosk"), "hello");
    alice.ask(&UpdateUserProfile::new().with_avatar("")).unwrap();
    alice.send(c2c("kiosk"), "end");
    kiosk.until_texts(1);
    let stub =
        |seen: &super::support::Observed| matches!(seen, super::support::Observed::Stub { sequence: 1, .. });
    assert!(kiosk.observed.iter().any(stub), "{:?}", kiosk.observed);
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
    let by_name = Mentions::new().with_users(List::from_slice(&names));
    let at = send_with(&mut alice, "@bob", by_name.write(&mut room).unwrap()).unwrap();
    let everybody = Mentions::new().with_all(true);
    let mut room = [0; 256];
    let extensions = everybody.write(&mut room).unwrap();
    assert_eq!(
        send_with(&mut bob, "@all", extensions),
        Err(ErrorCode::GROUP_PERMISSION_DENY)
    );
    let all = send_with(&mut alice, "@all", extensions).unwrap();
    let profile = GetConversationProfile::new(group("g"));
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
    let mentions = Mentions::new().with_users(List::from_slice(&many));
    let mut room = [0; 2048];
    let extensions = mentions.write(&mut room).unwrap();
    assert_eq!(
        send_with(&mut alice, "x", extensions),
        Err(ErrorCode::GROUP_INVALID_PARAMETERS)
    );
}

#[test]
fn a_shown_name_that_steers_a_terminal_or_is_the_systems_is_refused() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    alice.create(GroupType::MEETING, "g", &[]).unwrap();
    let bad = Err(ErrorCode::GROUP_INVALID_PARAMETERS);
    for name in [
        "a\r\nb",
        "\u{1b}[2J",
        "\u{9b}31m",
        "\u{202e}x",
        "@TIM#SYSTEM",
        " @tim#system ",
    ] {
        assert_eq!(call(&mut alice, name), bad, "nick {name:?}");
        let card = SetMember::new(group_id("g"), user("alice")).with_name_card(name);
        assert_eq!(alice.ask(&card), bad, "name card {name:?}");
        let rename = UpdateGroup::new(group_id("g")).with_name(name);
        assert_eq!(alice.ask(&rename), bad, "group {name:?}");
    }
    assert_eq!(call(&mut alice, "阿丽 😁"), Ok(Reply::Done));
}

#[test]
fn nobody_gets_an_account_or_a_group_under_an_id_with_a_space_at_its_end() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let spaced = UserId::from_record("bob ").unwrap();
    let message = alice.message(ConversationId::C2c(spaced), Text::new("x"));
    assert_eq!(alice.send_message(&message), Err(ErrorCode::MSG_INVALID_ID));
    let users = [spaced];
    let look = UserProfiles::new(List::from_slice(&users));
    assert_eq!(alice.ask(&look), Ok(Reply::Users(Vec::new())));
}
