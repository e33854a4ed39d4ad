//! Messages, history, reading, revoking: what devices send and are told.

use std::time::Duration;

use super::support::{Device, Observed, Reply, TestHub, c2c, group, user};
use tim_proto::message::{SendOptions, Text};
use tim_proto::{ErrorCode, GroupType};
use tim_store::Cursor;

#[test]
fn a_message_reaches_the_peer_and_the_senders_other_device_but_not_the_sender() {
    let hub = TestHub::start();
    let (mut alice, mut tablet) = (Device::login(&hub, "alice", 1), Device::login(&hub, "alice", 2));
    let mut bob = Device::login(&hub, "bob", 3);
    assert_eq!(alice.send(c2c("bob"), "你好[微笑]"), 1);
    bob.until_texts(1);
    tablet.until_texts(1);
    let Observed::Message {
        conversation, from, ..
    } = &bob.observed[1]
    else {
        panic!("{:?}", bob.observed)
    };
    assert_eq!((conversation.as_str(), from.as_str()), ("C2Calice", "alice"));
    let Observed::Message { conversation, .. } = &tablet.observed[1] else {
        panic!("{:?}", tablet.observed)
    };
    assert_eq!(conversation, "C2Cbob");
    // S105: what bob says afterwards is the first thing that alice's sending device is told.
    bob.send(c2c("alice"), "在");
    alice.until_texts(1);
    assert_eq!(alice.texts(), ["在"]);
    assert_eq!(bob.texts(), ["你好[微笑]"]);
}

#[test]
fn a_receiver_offline_during_a_thousand_messages_gets_them_in_order_once() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let mut bob = Device::login(&hub, "bob", 2);
    bob.cut();
    let expected: Vec<String> = (0..1000).map(|n| format!("message {n}")).collect();
    let mut tickets = Vec::new();
    for text in &expected {
        let message = alice.message(c2c("bob"), Text::new(text));
        alice.until(|device| device.session.pending() < 60);
        tickets.push(alice.start_send(&message, SendOptions::default()));
    }
    for ticket in tickets {
        alice.wait_for(ticket).unwrap();
    }
    let mut tablet = Device::login(&hub, "bob", 3);
    assert_eq!(
        tablet.conversations(),
        [("C2Calice".to_owned(), 1000, "message 999".to_owned())]
    );
    bob.until_texts(1000);
    assert_eq!(bob.texts(), expected);
    assert_eq!(bob.read(c2c("alice")), 0);
    tablet.until(|device| device.observed.len() > 1);
    let read = Observed::Conversation {
        conversation: "C2Calice".to_owned(),
        unread: 0,
        deleted: false,
    };
    assert_eq!(tablet.observed[1..], [read]);
    assert_eq!(tablet.conversations()[0].1, 0);
}

#[test]
fn a_device_that_is_cut_again_and_again_misses_nothing() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let mut bob = Device::login(&hub, "bob", 2);
    let expected: Vec<String> = (0..200).map(|n| format!("{n}")).collect();
    for (n, text) in expected.iter().enumerate() {
        alice.send(c2c("bob"), text);
        bob.turn();
        if n % 7 == 3 {
            bob.cut();
        }
    }
    bob.until_texts(200);
    assert_eq!(bob.texts(), expected);
}

#[test]
fn a_resent_message_is_stored_once() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let message = alice.message(c2c("bob"), Text::new("once"));
    assert_eq!(
        alice.send_message(&message),
        Ok(Reply::Sent {
            sequence: 1,
            duplicate: false
        })
    );
    assert_eq!(
        alice.send_message(&message),
        Ok(Reply::Sent {
            sequence: 1,
            duplicate: true
        })
    );
    let Ok(Reply::Page {
        texts,
        completed: true,
        ..
    }) = alice.page(c2c("bob"), &[], 0)
    else {
        panic!()
    };
    assert_eq!(texts, ["once"]);
}

#[test]
fn history_pages_walk_back_without_overlap_or_gap() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    for n in 1..=37 {
        assert_eq!(alice.send(c2c("bob"), &n.to_string()), n);
    }
    let (mut next, mut all) = (Vec::new(), Vec::new());
    for (len, last) in [(15, false), (15, false), (7, true), (0, true)] {
        let Ok(Reply::Page {
            sequences,
            next: following,
            completed,
            ..
        }) = alice.page(c2c("bob"), &next, 99)
        else {
            panic!()
        };
        assert_eq!((sequences.len(), completed), (len, last));
        assert!(sequences.is_sorted());
        all.splice(0..0, sequences);
        next = following;
    }
    assert_eq!(all, (1..=37).collect::<Vec<u64>>());
    assert_eq!(alice.page(c2c("bob"), b"\xff", 0), Err(ErrorCode::CURSOR_INVALID));
    let nobody = alice.page(c2c("nobody"), &[], 0);
    assert!(
        matches!(nobody, Ok(Reply::Page { texts, completed: true, .. }) if texts.is_empty()),
        "S172"
    );
}

#[test]
fn a_devices_own_messages_move_its_cursor_without_being_delivered() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let before = alice.session.cursor().to_vec();
    for n in 0..300 {
        alice.send(c2c("bob"), &n.to_string());
    }
    alice.until(|device| device.session.cursor() != before);
    alice.cut();
    alice.send(c2c("bob"), "after the cut");
    assert_eq!(alice.texts(), [""; 0]);
    // Its answer came behind a cursor that names it. The device may have been served up to it before the next cut, or is after it.
    let cursor = |device: &Device| Cursor::from_bytes(device.session.cursor()).unwrap();
    let stored = cursor(&alice).known;
    assert!(stored > Cursor::from_bytes(&before).unwrap().known + 300);
    alice.cut();
    alice.turn();
    alice.until(|device| cursor(device).change >= stored);
    assert_eq!(alice.texts(), [""; 0], "S105 holds across cuts");
}

#[test]
fn a_message_is_revoked_within_its_window_and_everybody_is_told() {
    let hub = TestHub::start();
    let (mut alice, mut tablet) = (Device::login(&hub, "alice", 1), Device::login(&hub, "alice", 2));
    let mut bob = Device::login(&hub, "bob", 3);
    let sequence = alice.send(c2c("bob"), "oops");
    let late = alice.send(c2c("bob"), "too late");
    hub.advance(Duration::from_secs(119));
    assert_eq!(bob.revoke(c2c("alice"), sequence), Err(ErrorCode::REVOKE_DENIED));
    assert_eq!(alice.revoke(c2c("bob"), 99), Err(ErrorCode::MESSAGE_NOT_FOUND));
    let first = alice.revoke(c2c("bob"), sequence).unwrap();
    assert_eq!(
        alice.revoke(c2c("bob"), sequence).unwrap(),
        first,
        "the same request again gets the same answer"
    );
    for (device, conversation) in [(&mut bob, "C2Calice"), (&mut tablet, "C2Cbob")] {
        device.until(|device| device.observed.len() >= 4);
        let revoked = Observed::Revoked {
            conversation: conversation.to_owned(),
            sequence,
            by: "alice".to_owned(),
        };
        assert_eq!(device.observed[3..], [revoked]);
    }
    assert_eq!(
        bob.conversations()[0].1,
        1,
        "the revoked one is not unread any more"
    );
    hub.advance(Duration::from_secs(2));
    assert_eq!(
        alice.revoke(c2c("bob"), late),
        Err(ErrorCode::MSG_REVOKE_TIME_LIMIT)
    );
    let Ok(Reply::Page { texts, .. }) = bob.page(c2c("alice"), &[], 0) else {
        panic!()
    };
    assert_eq!(texts, ["~alice ", "too late"], "S114: still in its place");
}

#[test]
fn online_only_messages_reach_those_online_and_leave_no_trace() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let mut bob = Device::login(&hub, "bob", 2);
    let options = SendOptions::new().with_online_user_only(true);
    let message = alice.message(c2c("bob"), Text::new("now"));
    let ticket = alice.start_send(&message, options);
    assert_eq!(
        alice.wait_for(ticket),
        Ok(Reply::Sent {
            sequence: 0,
            duplicate: false
        })
    );
    bob.until_texts(1);
    assert!(bob.conversations().is_empty());
    let Ok(Reply::Page { texts, .. }) = bob.page(c2c("alice"), &[], 0) else {
        panic!()
    };
    assert!(texts.is_empty());
}

#[test]
fn a_deleted_conversation_comes_back_with_its_history() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let mut bob = Device::login(&hub, "bob", 2);
    alice.send(c2c("bob"), "one");
    bob.until_texts(1);
    assert_eq!(bob.delete(c2c("alice")), Ok(Reply::Read { unread: 0 }));
    assert!(bob.conversations().is_empty());
    alice.send(c2c("bob"), "two");
    assert_eq!(bob.conversations().len(), 1);
    let Ok(Reply::Page { texts, .. }) = bob.page(c2c("alice"), &[], 0) else {
        panic!()
    };
    assert_eq!(texts, ["one", "two"]);
}

#[test]
fn nothing_is_lost_over_a_restart_of_the_hub() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let mut bob = Device::login(&hub, "bob", 2);
    alice.send(c2c("bob"), "before");
    bob.until_texts(1);
    let hub = hub.restart();
    alice.move_to(&hub);
    bob.move_to(&hub);
    alice.turn(); // notices the cut
    assert!(alice.session.is_ready(), "a restart is a short cut");
    assert_eq!(alice.send(c2c("bob"), "after"), 2);
    bob.until_texts(2);
    assert_eq!(bob.texts(), ["before", "after"]);
}

#[test]
fn messages_older_than_the_retention_go_and_the_gap_is_said() {
    let hub = TestHub::start_with(|options| options.purge_interval = Duration::from_millis(5));
    let mut alice = Device::login(&hub, "alice", 1);
    let mut bob = Device::login(&hub, "bob", 2);
    bob.cut();
    alice.send(c2c("bob"), "one");
    alice.send(c2c("bob"), "two");
    hub.advance(Duration::from_secs(7 * 24 * 3600 - 60));
    assert_eq!(
        alice.conversations().len(),
        1,
        "S192: at 6 d 23 h 59 min it is there"
    );
    hub.advance(Duration::from_secs(120));
    let start = std::time::Instant::now();
    while !alice.conversations().is_empty() {
        // The hub comes round to it by itself.
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "S192: at 7 d 0 h 1 min it is gone"
        );
    }
    assert_eq!(alice.send(c2c("bob"), "three"), 3, "sequences go on");
    bob.until_texts(1);
    assert!(
        bob.observed.contains(&Observed::Gap { from: 1, to: 2 }),
        "{:?}",
        bob.observed
    );
    assert_eq!(bob.texts(), ["three"]);
}

#[test]
fn what_was_stored_before_its_sender_lost_the_right_is_answered_so() {
    let hub = TestHub::start();
    let (mut alice, mut bob) = (Device::login(&hub, "alice", 1), Device::login(&hub, "bob", 2));
    alice.create(GroupType::MEETING, "g", &[user("bob")]).unwrap();
    bob.until_tip(1);
    let message = bob.message(group("g"), Text::new("once"));
    let ticket = bob.start_send(&message, SendOptions::default());
    bob.push_out();
    alice.until_texts(1);
    // The answer is lost with the line, and bob with his right.
    bob.cut();
    alice.remove("g", &["bob"]).unwrap();
    bob.until(|device| device.session.is_ready());
    assert!(matches!(
        bob.wait_for(ticket),
        Ok(Reply::Sent { duplicate: true, .. })
    ));
    let message = bob.message(group("g"), Text::new("x"));
    assert_eq!(bob.send_message(&message), Err(ErrorCode::GROUP_PERMISSION_DENY));
}
