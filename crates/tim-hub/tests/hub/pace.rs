//! The pace of a group: so many messages a second, the urgent ones first (S14-S20, S215).

use std::time::Duration;

use tim_proto::message::{Mentions, SendOptions, Text};
use tim_proto::request::{BanMembers, UpdateGroup};
use tim_proto::wire::List;
use tim_proto::{ErrorCode, GroupType, Priority, Role};
use tim_session::RequestId;

use super::support::{Device, Reply, TestHub, c2c, group, group_id, user};

fn start(device: &mut Device, text: &str, priority: Priority) -> RequestId {
    let mut message = device.message(group("g"), Text::new(text));
    message.priority = priority;
    device.start_send(&message, SendOptions::default())
}

/// A hub on which a group takes five messages a second, and five in one go were just taken.
fn busy() -> (TestHub, Device, Device) {
    let hub = TestHub::start_with(|options| {
        options.limits = options.limits.with_group_messages_per_second(5);
    });
    let (mut alice, bob) = (Device::login(&hub, "alice", 1), Device::login(&hub, "bob", 2));
    alice.create(GroupType::MEETING, "g", &[user("bob")]).unwrap();
    for n in 0..5 {
        alice.send(group("g"), &format!("free {n}"));
    }
    (hub, alice, bob)
}

#[test]
fn what_is_too_much_waits_and_then_the_least_urgent_go() {
    let (hub, mut alice, mut bob) = busy();
    let waiting: Vec<RequestId> = (0..5)
        .map(|n| start(&mut alice, &format!("wait {n}"), Priority::LOW))
        .collect();
    let lowest = start(&mut alice, "lowest", Priority::LOWEST);
    assert_eq!(alice.wait_for(lowest), Err(ErrorCode::GROUP_SEND_MSG_FREQ_LIMIT));
    // Five wait, at five a second: the sixth has its turn in 1.2 seconds.
    assert_eq!(alice.retry_after, Some(Duration::from_millis(1200)));
    let normal = start(&mut alice, "normal", Priority::NORMAL);
    // There is no room: the newest of the less urgent goes for it, and its sender is told.
    assert_eq!(
        alice.wait_for(waiting[4]),
        Err(ErrorCode::GROUP_SEND_MSG_FREQ_LIMIT)
    );
    // HIGH does not wait for what others have used up.
    let high = start(&mut alice, "high", Priority::HIGH);
    assert!(matches!(alice.wait_for(high), Ok(Reply::Sent { .. })));
    // Other groups and conversations of two are not concerned.
    alice.send(c2c("bob"), "meanwhile");
    hub.advance(Duration::from_secs(2));
    assert!(matches!(alice.wait_for(normal), Ok(Reply::Sent { .. })));
    for ticket in &waiting[..4] {
        assert!(matches!(alice.wait_for(*ticket), Ok(Reply::Sent { .. })));
    }
    bob.until_texts(12);
    let mut expected: Vec<String> = (0..5).map(|n| format!("free {n}")).collect();
    expected.extend(["high", "meanwhile", "normal"].map(str::to_owned));
    expected.extend((0..4).map(|n| format!("wait {n}")));
    assert_eq!(bob.texts(), expected);
}

#[test]
fn what_has_waited_too_long_is_dropped_and_its_sender_is_told() {
    let (hub, mut alice, mut bob) = busy();
    // HIGH runs the others into debt for as long as it comes.
    let low = start(&mut alice, "low", Priority::LOW);
    for round in 0..3 {
        for n in 0..5 {
            let high = start(&mut alice, &format!("high {round} {n}"), Priority::HIGH);
            assert!(matches!(alice.wait_for(high), Ok(Reply::Sent { .. })));
        }
        hub.advance(Duration::from_secs(1));
    }
    assert_eq!(alice.wait_for(low), Err(ErrorCode::GROUP_SEND_MSG_FREQ_LIMIT));
    bob.until_texts(20);
    assert!(!bob.texts().contains(&"low"));
}

#[test]
fn who_may_not_write_uses_nothing_up() {
    let (_hub, mut alice, mut bob) = busy();
    let mut eve = Device::login(&_hub, "eve", 3);
    for _ in 0..20 {
        let message = eve.message(group("g"), Text::new("let me in"));
        assert_eq!(eve.send_message(&message), Err(ErrorCode::GROUP_PERMISSION_DENY));
    }
    let waits = start(&mut alice, "mine", Priority::LOWEST);
    _hub.advance(Duration::from_secs(1));
    assert!(matches!(alice.wait_for(waits), Ok(Reply::Sent { .. })));
    bob.until_texts(6);
}

#[test]
fn what_waited_when_its_sender_was_cut_off_is_stored_once() {
    let (hub, mut alice, mut bob) = busy();
    let ticket = start(&mut alice, "once", Priority::NORMAL);
    alice.turn();
    alice.cut();
    alice.turn();
    alice.until(|device| device.session.is_ready());
    hub.advance(Duration::from_secs(1));
    assert!(matches!(alice.wait_for(ticket), Ok(Reply::Sent { .. })));
    alice.send(c2c("bob"), "end");
    bob.until(|device| device.texts().contains(&"end"));
    assert_eq!(bob.texts().iter().filter(|text| **text == "once").count(), 1);
}

#[test]
fn what_waits_in_a_room_when_its_sender_is_banned_is_not_heard() {
    let hub = TestHub::start_with(|options| {
        options.limits = options.limits.with_group_messages_per_second(5);
    });
    let (mut alice, mut bob) = (Device::login(&hub, "alice", 1), Device::login(&hub, "bob", 2));
    alice.create(GroupType::AV_CHAT_ROOM, "g", &[]).unwrap();
    bob.join("g").unwrap();
    let texts: Vec<String> = (0..6).map(|n| n.to_string()).collect();
    let tickets: Vec<RequestId> = texts
        .iter()
        .map(|text| start(&mut bob, text, Priority::NORMAL))
        .collect();
    for ticket in &tickets[..5] {
        assert!(matches!(bob.wait_for(*ticket), Ok(Reply::Sent { .. })));
    }
    let names = [user("bob")];
    let ban = BanMembers::new(group_id("g"), List::from_slice(&names), 60);
    assert!(matches!(alice.ask(&ban), Ok(Reply::Members(_))));
    hub.advance(Duration::from_secs(1));
    assert_eq!(bob.wait_for(tickets[5]), Err(ErrorCode::GROUP_PERMISSION_DENY));
    bob.send(c2c("alice"), "end");
    alice.until(|device| device.texts().contains(&"end"));
    assert_eq!(alice.texts(), ["0", "1", "2", "3", "4", "end"]);
}

#[test]
fn what_was_stored_is_not_said_to_be_dropped_when_it_is_sent_again() {
    let (hub, mut alice, mut bob) = busy();
    hub.advance(Duration::from_secs(1));
    let ticket = start(&mut alice, "once", Priority::LOWEST);
    alice.push_out();
    bob.until_texts(6);
    alice.cut(); // and the answer is lost
    for n in 0..9 {
        start(&mut bob, &format!("more {n}"), Priority::NORMAL);
    }
    bob.send(c2c("bob"), "they are there");
    alice.until(|device| device.session.is_ready());
    let again = alice.wait_for(ticket);
    assert!(
        matches!(again, Ok(Reply::Sent { duplicate: true, .. })),
        "{again:?}"
    );
}

/// What a member may not do any more while messages of theirs wait.
type Taking = fn(&mut Device) -> Result<Reply, ErrorCode>;

#[test]
fn what_waits_goes_only_if_its_sender_may_still_send_it() {
    let muted: Taking = |alice| alice.mute("g", "bob", 60);
    let all_muted: Taking = |alice| alice.ask(&UpdateGroup::new(group_id("g")).with_mute_all(true));
    let removed: Taking = |alice| alice.remove("g", &["bob"]);
    let dismissed: Taking = |alice| alice.dismiss("g");
    let demoted: Taking = |alice| alice.set_role("g", "bob", Role::MEMBER);
    let (shut_up, denied, gone) = (
        ErrorCode::GROUP_SHUTUP_DENY,
        ErrorCode::GROUP_PERMISSION_DENY,
        ErrorCode::GROUP_NOT_FOUND,
    );
    for (group_type, online_only, mention_all, what, taking, code) in [
        (GroupType::AV_CHAT_ROOM, false, false, "mute", muted, shut_up),
        (
            GroupType::AV_CHAT_ROOM,
            false,
            false,
            "mute all",
            all_muted,
            shut_up,
        ),
        (GroupType::MEETING, true, false, "mute", muted, shut_up),
        (GroupType::MEETING, true, false, "mute all", all_muted, shut_up),
        (GroupType::MEETING, true, false, "remove", removed, denied),
        (GroupType::MEETING, true, true, "demote", demoted, denied),
        (GroupType::MEETING, false, false, "mute", muted, shut_up),
        (GroupType::MEETING, false, false, "mute all", all_muted, shut_up),
        (GroupType::MEETING, false, false, "remove", removed, denied),
        (GroupType::MEETING, false, false, "dismiss", dismissed, gone),
        (GroupType::MEETING, false, true, "demote", demoted, denied),
    ] {
        let case = format!("{what} in {group_type}, online only {online_only}");
        let hub = TestHub::start_with(|options| {
            options.limits = options.limits.with_group_messages_per_second(5);
        });
        let [mut alice, mut bob, mut carol] =
            [("alice", 1), ("bob", 2), ("carol", 3)].map(|(name, number)| Device::login(&hub, name, number));
        let is_room = group_type == GroupType::AV_CHAT_ROOM;
        let members = [user("bob"), user("carol")];
        let members = if is_room { &[] } else { &members[..] };
        alice.create(group_type, "g", members).unwrap();
        if is_room {
            bob.join("g").unwrap();
            carol.join("g").unwrap();
        }
        if mention_all {
            alice.set_role("g", "bob", Role::ADMIN).unwrap();
        }
        let mut room = [0; 16];
        let mentions = Mentions::new().with_all(mention_all);
        let extensions = mentions.write(&mut room).unwrap();
        let texts: Vec<String> = (0..9).map(|n| n.to_string()).collect();
        let tickets: Vec<RequestId> = texts
            .iter()
            .map(|text| {
                let mut message = bob.message(group("g"), Text::new(text));
                message.extensions = extensions;
                let options = SendOptions::new().with_online_user_only(online_only);
                bob.start_send(&message, options)
            })
            .collect();
        // The first five go, the others wait.
        for ticket in &tickets[..5] {
            let sent = bob.wait_for(*ticket);
            assert!(matches!(sent, Ok(Reply::Sent { .. })), "{case}: {sent:?}");
        }
        taking(&mut alice).unwrap();
        hub.advance(Duration::from_secs(1));
        for ticket in &tickets[5..] {
            assert_eq!(bob.wait_for(*ticket), Err(code), "{case}");
        }
        bob.send(c2c("carol"), "end");
        carol.until(|carol| carol.texts().contains(&"end"));
        assert_eq!(carol.texts(), ["0", "1", "2", "3", "4", "end"], "{case}");
    }
}
