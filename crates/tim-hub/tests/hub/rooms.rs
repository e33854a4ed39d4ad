//! AVChatRooms: everything live, nothing stored.

use std::time::Duration;

use tim_hub::Audience;
use tim_proto::message::{SendOptions, Text};
use tim_proto::request::{
    BanMembers, CreateGroup, DismissGroup, GetConversationProfile, SetMember, UpdateGroup,
};
use tim_proto::wire::List;
use tim_proto::{ErrorCode, GroupType, JoinStatus, MemberResult};
use tim_store::Cursor;

use super::support::{Device, Observed, Reply, TestHub, c2c, group, group_id, user};

/// Alice's room, with bob in it.
fn room() -> (TestHub, Device, Device) {
    let hub = TestHub::start();
    let (mut alice, mut bob) = (Device::login(&hub, "alice", 1), Device::login(&hub, "bob", 2));
    alice.create(GroupType::AV_CHAT_ROOM, "live", &[]).unwrap();
    assert_eq!(bob.join("live"), Ok(Reply::Joined(JoinStatus::JOINED)));
    assert_eq!(alice.until_tip(1).users, ["bob"]);
    (hub, alice, bob)
}

fn say(device: &mut Device, text: &str) -> Result<Reply, ErrorCode> {
    let message = device.message(group("live"), Text::new(text));
    device.send_message(&message)
}

fn count(device: &mut Device) -> u32 {
    match device.profile("live") {
        Ok(Reply::GroupProfile { members, .. }) => members,
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_is_there_hears_it_and_nothing_of_it_is_stored() {
    let (hub, mut alice, mut bob) = room();
    let mut eve = Device::login(&hub, "eve", 3);
    let mut watcher = Device::login(&hub, "watcher", 4);
    let change = |alice: &mut Device, watcher: &mut Device| {
        let seen = watcher.texts().len();
        alice.send(c2c("watcher"), "mark");
        watcher.until_texts(seen + 1);
        Cursor::from_bytes(watcher.session.cursor()).unwrap().change
    };
    let before = change(&mut alice, &mut watcher);
    let sent = Reply::Sent {
        sequence: 0,
        duplicate: false,
    };
    for n in 0..50 {
        assert_eq!(say(&mut bob, &n.to_string()), Ok(sent.clone()));
    }
    alice.until_texts(50);
    assert_eq!(alice.texts(), (0..50).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(bob.join("live"), Ok(Reply::Joined(JoinStatus::ALREADY_IN_GROUP)));
    assert_eq!(bob.quit("live"), Ok(Reply::Done));
    assert_eq!(bob.quit("live"), Ok(Reply::Done), "the same again");
    assert_eq!(
        change(&mut alice, &mut watcher),
        before + 1,
        "the mark is all that was stored"
    );
    assert_eq!(say(&mut bob, "x"), Err(ErrorCode::GROUP_PERMISSION_DENY));
    assert_eq!(say(&mut eve, "x"), Err(ErrorCode::GROUP_PERMISSION_DENY));
    assert_eq!(
        eve.page(group("live"), &[], 0),
        Err(ErrorCode::GROUP_PERMISSION_DENY)
    );
    assert_eq!(eve.texts(), [""; 0]);
    eve.join("live").unwrap();
    for device in [&mut alice, &mut eve] {
        let page = device.page(group("live"), &[], 0);
        assert!(
            matches!(page, Ok(Reply::Page { texts, completed: true, .. }) if texts.is_empty()),
            "history is empty and completed"
        );
        assert_eq!(device.read(group("live")), 0);
        let listed = device.conversations();
        assert!(
            listed
                .iter()
                .all(|(id, unread, _)| id != "GROUPlive" || *unread == 0),
            "{listed:?}"
        );
    }
    let profile = GetConversationProfile::new(group("live"));
    let expected = Ok(Reply::Profile {
        members: 2,
        unread: 0,
    });
    assert_eq!(alice.ask(&profile), expected);
    assert_eq!(eve.ask(&profile), expected);
    assert_eq!(bob.ask(&profile), Err(ErrorCode::CONVERSATION_NOT_FOUND));
    assert_eq!(
        alice.revoke(group("live"), 1),
        Err(ErrorCode::GROUP_NOT_ALLOW_REVOKE_MSG)
    );
    assert_eq!(alice.quit("live"), Err(ErrorCode::GROUP_SUPER_NOT_ALLOW_QUIT));
    assert_eq!(
        alice.invite("live", &["bob"]),
        Err(ErrorCode::GROUP_PERMISSION_DENY)
    );
}

#[test]
fn online_only_is_refused_there() {
    let (_hub, mut alice, mut bob) = room();
    let message = alice.message(group("live"), Text::new("x"));
    let options = SendOptions::new().with_online_user_only(true);
    let ticket = alice.start_send(&message, options);
    assert_eq!(
        alice.wait_for(ticket),
        Err(ErrorCode::ONLINE_ONLY_NOT_ALLOWED),
        "S91"
    );
    say(&mut alice, "y").unwrap();
    bob.until_texts(1);
    assert_eq!(bob.texts(), ["y"]);
}

#[test]
fn who_goes_offline_has_left_and_all_devices_of_a_user_are_in() {
    let (hub, mut alice, mut bob) = room();
    let mut tablet = Device::login(&hub, "bob", 3);
    assert_eq!(count(&mut alice), 2);
    say(&mut alice, "one").unwrap();
    bob.until_texts(1);
    tablet.until_texts(1);
    bob.session.logout(tim_session::Instant::ZERO);
    bob.until(|device| !device.is_connected());
    say(&mut alice, "two").unwrap();
    tablet.until_texts(2);
    assert_eq!(count(&mut alice), 2);
    tablet.session.logout(tim_session::Instant::ZERO);
    tablet.until(|device| !device.is_connected());
    hub.advance(Duration::from_secs(1));
    let tip = alice.until_tip(2);
    assert_eq!((tip.users, tip.members), (vec!["bob".to_owned()], 1));
    let mut again = Device::login(&hub, "bob", 4);
    assert_eq!(say(&mut again, "x"), Err(ErrorCode::GROUP_PERMISSION_DENY));
    assert_eq!(again.join("live"), Ok(Reply::Joined(JoinStatus::JOINED)));
    let Ok(Reply::GroupMembers {
        mut members,
        completed: true,
        ..
    }) = again.members("live", &[], 0)
    else {
        panic!()
    };
    members.sort_by(|one, other| one.0.cmp(&other.0));
    let names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["alice", "bob"]);
    // The room outlives the hub, and its owner is in it whenever she is online.
    let hub = hub.restart();
    alice.move_to(&hub);
    alice.cut();
    alice.turn();
    alice.until(|device| device.session.is_ready());
    assert_eq!(count(&mut alice), 1);
}

#[test]
fn who_is_cut_off_stays_for_a_minute() {
    let (hub, mut alice, mut bob) = room();
    bob.cut();
    bob.until(|device| device.session.is_ready());
    say(&mut bob, "back").unwrap();
    say(&mut alice, "so soon").unwrap();
    alice.until_texts(1);
    bob.until_texts(1);
    assert_eq!((count(&mut alice), bob.texts()), (2, vec!["so soon"]));
    // For longer than that nobody is waited for.
    drop(bob);
    hub.advance(Duration::from_secs(59));
    assert_eq!(count(&mut alice), 2);
    let mut carol = Device::login(&hub, "carol", 3);
    carol.join("live").unwrap();
    hub.advance(Duration::from_secs(61));
    let tip = alice.until_tip(2);
    assert_eq!((tip.users, tip.members), (vec!["bob".to_owned()], 2));
    let mut again = Device::login(&hub, "bob", 4);
    assert_eq!(say(&mut again, "x"), Err(ErrorCode::GROUP_PERMISSION_DENY));
    assert!(alice.tips.iter().all(|tip| tip.users != ["bob"]), "told once");
}

#[test]
fn who_is_banned_is_out_until_let_in_again() {
    let (hub, mut alice, mut bob) = room();
    let mut carol = Device::login(&hub, "carol", 3);
    carol.join("live").unwrap();
    let names = [user("bob"), user("alice")];
    let ban =
        |seconds| BanMembers::new(group_id("live"), List::from_slice(&names), seconds).with_reason("noise");
    assert_eq!(carol.ask(&ban(60)), Err(ErrorCode::GROUP_PERMISSION_DENY));
    let results = [
        ("bob", MemberResult::REMOVED),
        ("alice", MemberResult::NOT_ALLOWED),
    ];
    let results = results.map(|(name, result)| (name.to_owned(), result)).to_vec();
    assert_eq!(alice.ask(&ban(60)), Ok(Reply::Members(results)));
    assert_eq!(bob.until_notice(21).message, "noise");
    let tip = carol.until_tip(10);
    assert_eq!((tip.users, tip.members), (vec!["bob".to_owned()], 2));
    assert_eq!(say(&mut bob, "x"), Err(ErrorCode::GROUP_PERMISSION_DENY));
    assert_eq!(bob.join("live"), Err(ErrorCode::GROUP_PERMISSION_DENY));
    say(&mut alice, "quiet now").unwrap();
    carol.until_texts(1);
    alice.send(c2c("bob"), "later");
    bob.until_texts(1);
    assert_eq!(bob.texts(), ["later"]);
    assert!(matches!(alice.ask(&ban(0)), Ok(Reply::Members(_))));
    carol.until_tip(11);
    bob.join("live").unwrap();
    say(&mut bob, "back").unwrap();
    carol.until_texts(2);
    // A ban ends by itself, too. Who is not there is banned as well.
    assert_eq!(bob.quit("live"), Ok(Reply::Done));
    alice.ask(&ban(60)).unwrap();
    assert_eq!(carol.until_tip(10).members, 2);
    hub.advance(Duration::from_secs(61));
    bob.join("live").unwrap();
}

#[test]
fn who_is_muted_there_stays_and_is_silent() {
    let (hub, mut alice, mut bob) = room();
    say(&mut bob, "one").unwrap();
    let mute = |seconds| SetMember::new(group_id("live"), user("bob")).with_mute_seconds(seconds);
    assert_eq!(alice.ask(&mute(60)), Ok(Reply::Done));
    assert_eq!(say(&mut bob, "two"), Err(ErrorCode::GROUP_SHUTUP_DENY));
    bob.until_tip(7);
    assert_eq!(alice.ask(&mute(0)), Ok(Reply::Done));
    say(&mut bob, "three").unwrap();
    let all = |mute_all| UpdateGroup::new(group_id("live")).with_mute_all(mute_all);
    assert_eq!(alice.ask(&all(true)), Ok(Reply::Done));
    assert_eq!(
        say(&mut bob, "four"),
        Err(ErrorCode::GROUP_SHUTUP_DENY),
        "at once"
    );
    bob.until_tip(6);
    say(&mut alice, "five").unwrap();
    assert_eq!(alice.ask(&all(false)), Ok(Reply::Done));
    say(&mut bob, "six").unwrap();
    alice.until_texts(3);
    assert_eq!(alice.texts(), ["one", "three", "six"]);
    drop(hub);
}

#[test]
fn the_end_of_a_room_and_the_applications_word_are_told_live() {
    let (hub, mut alice, mut bob) = room();
    let id = group_id("live");
    hub.tell(async |hub| {
        hub.notify_group(id, Audience::Everybody, "ten minutes left")
            .await
    })
    .unwrap();
    assert_eq!(bob.until_notice(255).custom, "ten minutes left");
    let names = [user("bob")];
    hub.tell(async |hub| hub.notify_group(id, Audience::Users(&names), "you").await)
        .unwrap();
    assert_eq!(bob.until_notice(255).custom, "you");
    assert_eq!(bob.dismiss("live"), Err(ErrorCode::GROUP_PERMISSION_DENY));
    assert_eq!(alice.dismiss("live"), Ok(Reply::Done));
    bob.until_notice(5);
    assert_eq!(say(&mut bob, "x"), Err(ErrorCode::GROUP_NOT_FOUND));
    assert_eq!(bob.join("live"), Err(ErrorCode::GROUP_NOT_FOUND));
    let list = bob.conversations();
    assert!(list.is_empty(), "{list:?}");
}

#[test]
fn a_room_that_ends_before_its_making_is_answered_is_off_the_lists() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let make = alice.start(&CreateGroup::new(GroupType::AV_CHAT_ROOM, "", 7).with_group(group_id("live")));
    let end = alice.start(&DismissGroup::new(group_id("live")));
    alice.wait_for(make).unwrap();
    assert_eq!(alice.wait_for(end), Ok(Reply::Done));
    let off = |seen: &Observed| matches!(seen, Observed::Conversation { deleted: true, .. });
    alice.until(|device| device.observed.iter().any(off));
}

#[test]
fn nobody_is_in_more_rooms_than_allowed() {
    let hub = TestHub::start_with(|options| options.max_groups = 2);
    let (mut alice, mut carol) = (Device::login(&hub, "alice", 1), Device::login(&hub, "carol", 2));
    let mut bob = Device::login(&hub, "bob", 3);
    for (owner, name) in [(&mut alice, "one"), (&mut carol, "three")] {
        owner.create(GroupType::AV_CHAT_ROOM, name, &[]).unwrap();
    }
    alice.create(GroupType::AV_CHAT_ROOM, "two", &[]).unwrap();
    let third = alice.create(GroupType::AV_CHAT_ROOM, "more", &[]);
    assert_eq!(third, Err(ErrorCode::GROUP_COUNT_LIMIT), "her own count as well");
    bob.join("one").unwrap();
    bob.join("two").unwrap();
    assert_eq!(bob.join("three"), Err(ErrorCode::GROUP_COUNT_LIMIT));
    assert_eq!(bob.join("two"), Ok(Reply::Joined(JoinStatus::ALREADY_IN_GROUP)));
    bob.quit("one").unwrap();
    assert_eq!(bob.join("three"), Ok(Reply::Joined(JoinStatus::JOINED)));
}

#[test]
fn bans_and_mutes_outlast_leaving_and_coming_back() {
    let (hub, mut alice, mut bob) = room();
    alice.mute("live", "bob", 60).unwrap();
    bob.quit("live").unwrap();
    bob.join("live").unwrap();
    assert_eq!(say(&mut bob, "muted"), Err(ErrorCode::GROUP_SHUTUP_DENY));
    let names = [user("bob")];
    let ban = BanMembers::new(group_id("live"), List::from_slice(&names), 30);
    alice.ask(&ban).unwrap();
    assert_eq!(bob.join("live"), Err(ErrorCode::GROUP_PERMISSION_DENY));
    let mut again = Device::login(&hub, "bob", 7);
    assert_eq!(again.join("live"), Err(ErrorCode::GROUP_PERMISSION_DENY));
    hub.advance(Duration::from_secs(31));
    bob.join("live").unwrap();
    assert_eq!(say(&mut bob, "still muted"), Err(ErrorCode::GROUP_SHUTUP_DENY));
    hub.advance(Duration::from_secs(30));
    say(&mut bob, "at last").unwrap();
    alice.until_texts(1);
    assert_eq!(alice.texts(), ["at last"]);
}
