//! Revoked messages: their content is handed out no more, whatever is on its way, and whoever took them back is named.

use tim_proto::message::{SendOptions, Text};
use tim_proto::request::UpdateUserProfile;
use tim_proto::{ErrorCode, GroupType, Role};
use tim_session::ClientConfig;

use super::support::{Device, Observed, Reply, TestHub, c2c, group, user};

const SECRET: &str = "my password is hunter2";

/// Whether anything that the device was told has the secret in it.
fn knows(device: &Device) -> bool {
    format!("{:?}", device.observed).contains("hunter2")
}

#[test]
fn who_was_not_there_while_it_stood_is_never_told_what_it_said() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let big = format!("{SECRET} {}", "x".repeat(4000));
    let [short, long] = [SECRET, &big].map(|text| alice.send(c2c("bob"), text));
    for sequence in [short, long] {
        alice.revoke_for(c2c("bob"), sequence, "typo").unwrap();
    }
    for (number, max_frame) in [(2, 512), (3, 60_000)] {
        let mut bob = Device::with(&hub, "bob", number, |config: &mut ClientConfig| {
            config.max_frame = max_frame;
        });
        bob.session.resume_from_start();
        bob.log_in();
        bob.until(|bob| {
            bob.observed
                .iter()
                .any(|seen| matches!(seen, Observed::Revoked { sequence: 2, .. }))
        });
        assert_eq!(
            bob.texts(),
            ["~alice typo"; 2],
            "in place, and who took it back, and why"
        );
        let Ok(Reply::Page { texts, sequences, .. }) = bob.page(c2c("alice"), &[], 0) else {
            panic!("no page")
        };
        assert_eq!(
            (texts, sequences),
            (vec!["~alice typo".to_owned(); 2], vec![1, 2])
        );
        let listed = ("C2Calice".to_owned(), 0, "~alice typo".to_owned());
        assert_eq!(bob.conversations(), [listed]);
        for sequence in [short, long] {
            let piece = bob.fetch(c2c("alice"), sequence, 0, 100);
            assert_eq!(piece, Err(ErrorCode::ALREADY_REVOKED));
        }
        assert!(!knows(&bob));
    }
}

#[test]
fn the_device_that_revoked_is_told_too_now_and_in_its_next_life() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let sequence = alice.send(c2c("bob"), SECRET);
    let cursor = alice.session.cursor().to_vec();
    alice.revoke(c2c("bob"), sequence).unwrap();
    let revoked = Observed::Revoked {
        conversation: "C2Cbob".to_owned(),
        sequence,
        by: "alice".to_owned(),
    };
    let is_told = |device: &Device| device.observed.contains(&revoked);
    alice.until(is_told);
    drop(alice);
    // Its application ended before it was done with that.
    let mut again = Device::new(&hub, "alice", 1);
    assert!(again.session.resume_from(&cursor));
    again.log_in();
    again.until(is_told);
    let times = again.observed.iter().filter(|seen| **seen == revoked);
    assert_eq!(times.count(), 1);
    assert_eq!(again.texts(), [""; 0], "but not what it said itself");
}

#[test]
fn what_waits_for_a_slow_device_is_revoked_while_it_waits() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let mut owner = Device::login(&hub, "owner", 2);
    owner
        .create(
            GroupType::MEETING,
            "g",
            &[user("alice"), user("slow"), user("gone")],
        )
        .unwrap();
    let mut slow = ["slow", "gone"].map(|name| {
        let mut device = Device::with(&hub, name, 9, |config: &mut ClientConfig| config.window = 1);
        device.log_in();
        device
    });
    alice.send(group("g"), "first");
    // Now one delivery is on its way to each, which they do not acknowledge; the others wait at the hub.
    let sequence = alice.send(group("g"), SECRET);
    owner.until_texts(2); // the fan-out has handed it out
    // One of them is thrown out: what waits is still theirs.
    owner.remove("g", &["gone"]).unwrap();
    alice.revoke(group("g"), sequence).unwrap();
    for device in &mut slow {
        device.until_texts(2);
        assert_eq!(device.texts(), ["first", "~alice "], "revoked, not late");
        assert!(!knows(device));
    }
}

/// A device with the smallest window, which has been handed the first message of many that it missed.
fn catching_up(hub: &TestHub, name: &str) -> Device {
    let mut device = Device::with(hub, name, 9, |config: &mut ClientConfig| config.window = 1);
    device.session.resume_from_start();
    device.begin_login();
    device.until_texts(1);
    device
}

#[test]
fn what_was_read_for_a_device_that_catches_up_is_revoked_while_it_waits() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    Device::login(&hub, "bob", 2);
    alice.send(c2c("bob"), "first");
    let secrets = [1, 2].map(|number| alice.send(c2c("bob"), &format!("{SECRET} {number}")));
    alice.send(c2c("bob"), "last");
    let mut bob = catching_up(&hub, "bob");
    for sequence in secrets {
        alice.revoke(c2c("bob"), sequence).unwrap();
    }
    bob.until_texts(4);
    let texts = bob.texts();
    assert_eq!((texts[0], texts[3]), ("first", "last"));
    // One is on its way already.
    assert_eq!(texts[2], "~alice ");
}

#[test]
fn what_was_read_for_a_device_that_catches_up_is_not_delivered_to_who_has_left() {
    let hub = TestHub::start();
    let mut owner = Device::login(&hub, "owner", 1);
    Device::login(&hub, "bob", 2);
    owner.create(GroupType::MEETING, "g", &[user("bob")]).unwrap();
    for number in 1..=10 {
        owner.send(group("g"), &format!("{number}"));
    }
    owner.send(c2c("bob"), "end");
    let mut bob = catching_up(&hub, "bob");
    owner.remove("g", &["bob"]).unwrap();
    bob.until(|bob| bob.texts().last().is_some_and(|last| *last == "end"));
    // One is on its way already.
    assert!(bob.texts().len() <= 3, "{:?}", bob.texts());
}

#[test]
fn a_payload_that_is_fetched_in_pieces_ends_when_it_is_revoked() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let mut bob = Device::login(&hub, "bob", 2);
    let sequence = alice.send(c2c("bob"), SECRET);
    let Ok(Reply::Piece { total, bytes }) = bob.fetch(c2c("alice"), sequence, 0, 4) else {
        panic!("no piece")
    };
    assert_eq!((total as usize, bytes.len()), (SECRET.len() + 1, 4));
    alice.revoke(c2c("bob"), sequence).unwrap();
    let more = bob.fetch(c2c("alice"), sequence, 4, 100);
    assert_eq!(more, Err(ErrorCode::ALREADY_REVOKED));
}

#[test]
fn a_message_that_is_sent_again_after_it_was_revoked_stays_revoked() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let message = alice.message(c2c("bob"), Text::new(SECRET));
    alice.send_message(&message).unwrap();
    alice.revoke(c2c("bob"), 1).unwrap();
    let again = alice.send_message(&message);
    assert_eq!(
        again,
        Ok(Reply::Sent {
            sequence: 1,
            duplicate: true
        })
    );
    let page = alice.page(c2c("bob"), &[], 0);
    assert!(matches!(page, Ok(Reply::Page { texts, .. }) if texts == ["~alice "]));
}

#[test]
fn the_manager_who_took_it_back_is_named_and_only_lower_ranks_are_concerned() {
    let hub = TestHub::start();
    let [mut owner, mut admin, mut member] =
        [("owner", 1), ("admin", 2), ("member", 3)].map(|(name, number)| Device::login(&hub, name, number));
    owner
        .create(GroupType::PUBLIC, "g", &[user("admin"), user("member")])
        .unwrap();
    owner.set_role("g", "admin", Role::ADMIN).unwrap();
    let nick = UpdateUserProfile::new().with_nick("张三");
    admin.ask(&nick).unwrap();
    let rude = member.send(group("g"), "rude");
    // Long after the member's own window.
    hub.advance(std::time::Duration::from_secs(3600));
    assert_eq!(
        member.revoke(group("g"), rude),
        Err(ErrorCode::GROUP_REVOKE_MSG_TIME_LIMIT)
    );
    admin.revoke_for(group("g"), rude, "be kind").unwrap();
    for device in [&mut owner, &mut admin, &mut member] {
        let listed = device.conversations();
        assert_eq!(listed[0].2, "~张三 be kind");
    }
    member.until(|member| {
        let revoked = Observed::Revoked {
            conversation: "GROUPg".to_owned(),
            sequence: rude,
            by: "admin".to_owned(),
        };
        member.observed.contains(&revoked)
    });
    let word = owner.send(group("g"), "my word");
    for device in [&mut admin, &mut member] {
        let denied = device.revoke(group("g"), word);
        assert_eq!(denied, Err(ErrorCode::GROUP_REVOKE_MSG_DENY));
    }
}

#[test]
fn what_is_stored_nowhere_cannot_be_taken_back() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let mut bob = Device::login(&hub, "bob", 2);
    alice.create(GroupType::WORK, "g", &[user("bob")]).unwrap();
    alice.create(GroupType::AV_CHAT_ROOM, "room", &[]).unwrap();
    bob.join("room").unwrap();
    for to in [c2c("bob"), group("g")] {
        let message = alice.message(to, Text::new("now"));
        let options = SendOptions::new().with_online_user_only(true);
        let ticket = alice.start_send(&message, options);
        let Ok(Reply::Sent { sequence: 0, .. }) = alice.wait_for(ticket) else {
            panic!("not passed on")
        };
        assert_eq!(alice.revoke(to, 0), Err(ErrorCode::GROUP_NOT_ALLOW_REVOKE_MSG));
    }
    for device in [&mut alice, &mut bob] {
        let denied = device.revoke(group("room"), 1);
        assert_eq!(denied, Err(ErrorCode::GROUP_NOT_ALLOW_REVOKE_MSG));
    }
    let mut eve = Device::login(&hub, "eve", 3);
    assert_eq!(
        eve.revoke(group("room"), 1),
        Err(ErrorCode::GROUP_PERMISSION_DENY)
    );
}
