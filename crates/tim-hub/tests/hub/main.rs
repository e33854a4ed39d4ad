//! The hub as devices see it: over real TCP, with real sessions, and a clock that the tests set.

mod support;

use std::time::Duration;

use support::{APP, Device, Reply, START_MS, Seen, TestHub, c2c, user};
use tim_proto::message::{Payload, SendOptions, Text};
use tim_proto::request::{Fetch, OneConversation, Request};
use tim_proto::{ConversationId, ErrorCode, GroupId, MessageKind};
use tim_session::{ClientConfig, Event, Output};

#[test]
fn a_message_reaches_the_peer_and_the_senders_other_device_but_not_the_sender() {
    let hub = TestHub::start();
    let (mut alice, mut tablet) = (Device::login(&hub, "alice", 1), Device::login(&hub, "alice", 2));
    let mut bob = Device::login(&hub, "bob", 3);
    assert_eq!(alice.send(c2c("bob"), "你好[微笑]"), 1);
    bob.until_texts(1);
    tablet.until_texts(1);
    let Seen::Message {
        conversation, from, ..
    } = &bob.seen[1]
    else {
        panic!("{:?}", bob.seen)
    };
    assert_eq!((conversation.as_str(), from.as_str()), ("C2Calice", "alice"));
    let Seen::Message { conversation, .. } = &tablet.seen[1] else {
        panic!("{:?}", tablet.seen)
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
        let message = alice.message(c2c("bob"), Text { text });
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
    tablet.until(|device| device.seen.len() > 1);
    let read = Seen::Conversation {
        conversation: "C2Calice".to_owned(),
        unread: 0,
        deleted: false,
    };
    assert_eq!(tablet.seen[1..], [read]);
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
    let message = alice.message(c2c("bob"), Text { text: "once" });
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
    let moved = alice.session.cursor().to_vec();
    alice.cut();
    alice.turn();
    alice.until(|device| device.session.cursor() != moved);
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
        device.until(|device| device.seen.len() >= 4);
        let revoked = Seen::Revoked {
            conversation: conversation.to_owned(),
            sequence,
            by: "alice".to_owned(),
        };
        assert_eq!(device.seen[3..], [revoked]);
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
    assert_eq!(texts, ["~oops", "too late"], "S114: still in its place");
}

#[test]
fn a_group_is_made_with_a_tip_and_notices_and_its_messages_reach_the_members() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let mut bob = Device::login(&hub, "bob", 2);
    let mut eve = Device::login(&hub, "eve", 4);
    let group = ConversationId::Group(GroupId::new("weekend").unwrap());
    assert_eq!(eve.page(group, &[], 0), Err(ErrorCode::GROUP_NOT_FOUND));
    let made = alice.create_group("weekend", &[user("bob"), user("carol")]);
    assert_eq!(made, Ok(Reply::Group("weekend".to_owned())));
    assert_eq!(
        alice.create_group("weekend", &[user("bob")]),
        made,
        "the same request again is the same group"
    );
    alice.send(group, "去爬山吗");
    bob.until_texts(1);
    assert!(
        bob.seen
            .contains(&Seen::Tip("群成员:alice,bob,carol,加入群组".to_owned())),
        "{:?}",
        bob.seen
    );
    assert!(
        bob.seen
            .contains(&Seen::Notice("alice邀请你加群:周末去哪".to_owned())),
        "{:?}",
        bob.seen
    );
    // Carol was not there, and had no account before.
    let mut carol = Device::new(&hub, "carol", 3);
    carol.session.resume_from_start();
    carol.log_in();
    assert_eq!(carol.texts(), ["去爬山吗"]);
    assert_eq!(carol.conversations().len(), 2, "the group and the system");
    let profile = carol.ask(&Request::ConversationProfile(OneConversation {
        conversation: group,
    }));
    assert_eq!(
        profile,
        Ok(Reply::Profile {
            members: 3,
            unread: 2
        })
    );
    let message = eve.message(group, Text { text: "let me in" });
    assert_eq!(eve.send_message(&message), Err(ErrorCode::GROUP_PERMISSION_DENY));
    assert_eq!(eve.page(group, &[], 0), Err(ErrorCode::GROUP_PERMISSION_DENY));
}

#[test]
fn online_only_messages_reach_those_online_and_leave_no_trace() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let mut bob = Device::login(&hub, "bob", 2);
    let options = SendOptions {
        online_user_only: true,
        ..SendOptions::default()
    };
    let message = alice.message(c2c("bob"), Text { text: "now" });
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
    assert_eq!(bob.delete(c2c("alice")), Ok(Reply::Done));
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
    assert!(bob.seen.contains(&Seen::Gap { from: 1, to: 2 }), "{:?}", bob.seen);
    assert_eq!(bob.texts(), ["three"]);
}

#[test]
fn a_small_device_gets_stubs_and_fetches_them_in_pieces() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let mut kiosk = Device::with(&hub, "kiosk", 9, |config: &mut ClientConfig| {
        config.max_frame = 512;
        config.window = 2;
    });
    kiosk.log_in();
    let long = "长".repeat(4000);
    alice.send(c2c("kiosk"), &long);
    alice.send(c2c("kiosk"), "short");
    kiosk.until_texts(1);
    let payload_len = 12_002;
    assert_eq!(
        kiosk.seen[1],
        Seen::Stub {
            sequence: 1,
            payload_len
        }
    );
    let mut payload = Vec::new();
    while payload.len() < payload_len as usize {
        let (offset, conversation) = (payload.len() as u32, c2c("alice"));
        let fetch = Request::Fetch(Fetch {
            conversation,
            sequence: 1,
            offset,
            len: 10_000,
        });
        let Ok(Reply::Piece { total, bytes }) = kiosk.ask(&fetch) else {
            panic!()
        };
        assert_eq!(total, payload_len);
        assert!(!bytes.is_empty() && bytes.len() < 512);
        payload.extend(bytes);
    }
    assert_eq!(
        Payload::decode(MessageKind::TEXT, &payload),
        Payload::Text(Text { text: &long })
    );
}

#[test]
fn what_is_wrong_is_refused_and_nothing_is_stored() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let refused = |alice: &mut Device, change: &dyn Fn(&mut tim_proto::Message<'_>)| {
        let mut message = alice.message(c2c("bob"), Text { text: "x" });
        change(&mut message);
        alice.send_message(&message).unwrap_err()
    };
    let long = "x".repeat(13 * 1024);
    let long: &'static str = long.leak();
    assert_eq!(
        refused(&mut alice, &|m| m.payload = Text { text: long }.into()),
        ErrorCode::COMM_BODY_SIZE_LIMIT
    );
    assert_eq!(
        refused(&mut alice, &|m| m.to = ConversationId::System),
        ErrorCode::MESSAGE_SEND_INVALID_CONVERSATION_TYPE
    );
    assert_eq!(
        refused(&mut alice, &|m| m.id.sender += 1),
        ErrorCode::GROUP_INVALID_PARAMETERS
    );
    assert_eq!(
        refused(&mut alice, &|m| m.priority.0 = 9),
        ErrorCode::UNKNOWN_PRIORITY
    );
    assert_eq!(
        refused(&mut alice, &|m| m.payload =
            Payload::Unknown(MessageKind::TEXT, &[9, 1])),
        ErrorCode::MSG_INVALID_JSON_BODY_FORMAT
    );
    assert_eq!(
        refused(&mut alice, &|m| m.payload =
            Payload::Unknown(MessageKind(63), &[])),
        ErrorCode::INVALID_OPERATION
    );
    assert_eq!(
        refused(&mut alice, &|m| m.to =
            ConversationId::Group(GroupId::new("none").unwrap())),
        ErrorCode::GROUP_NOT_FOUND
    );
    assert!(alice.conversations().is_empty());
    // A kind that nobody here knows is carried through (and counts like any other).
    let mut bob = Device::login(&hub, "bob", 2);
    let message = alice.message(c2c("bob"), Payload::Unknown(MessageKind(777), b"future"));
    alice.send_message(&message).unwrap();
    bob.until_texts(1);
    assert_eq!(bob.texts(), ["kind 777: 6 bytes"]);
}

#[test]
fn a_login_needs_a_good_signature_of_the_right_user() {
    let hub = TestHub::start();
    for (signature, code) in [
        (String::new(), ErrorCode::ACCOUNT_USERSIG_EMPTY),
        ("nonsense".to_owned(), ErrorCode::ACCOUNT_USERSIG_CHECK_FAILED),
        (support::sig("mallory"), ErrorCode::ACCOUNT_USERSIG_MISMATCH_ID),
    ] {
        let mut device = Device::new(&hub, "alice", 1);
        device.session.set_user_sig(signature);
        device.session.login(tim_session::Instant::ZERO);
        device.until(|device| !device.seen.is_empty());
        assert_eq!(device.seen, [Seen::LoginFailed(code)]);
    }
    hub.clock_ms.store(
        START_MS + 31 * 24 * 3600 * 1000,
        std::sync::atomic::Ordering::SeqCst,
    );
    let mut device = Device::new(&hub, "alice", 1);
    device.session.login(tim_session::Instant::ZERO);
    device.until(|device| !device.seen.is_empty());
    assert_eq!(
        device.seen,
        [Seen::LoginFailed(ErrorCode::ACCOUNT_USERSIG_EXPIRED)]
    );
}

#[test]
fn a_login_to_another_application_is_refused() {
    let hub = TestHub::start();
    let mut device = Device::with(&hub, "alice", 1, |config| config.app = APP + 1);
    device.session.login(tim_session::Instant::ZERO);
    device.until(|device| !device.seen.is_empty());
    let refused = Seen::LoginFailed(ErrorCode::ACCOUNT_USERSIG_MISMATCH_SDKAPPID);
    assert_eq!(device.seen, [refused]);
    assert!(!device.session.is_ready());
}

#[test]
fn the_same_device_again_replaces_its_older_connection() {
    let hub = TestHub::start();
    let mut old = Device::login(&hub, "alice", 1);
    let mut new = Device::login(&hub, "alice", 1);
    old.until(|device| device.seen.len() > 1);
    assert_eq!(old.seen[1..], [Seen::KickedOut(ErrorCode::SESSION_REPLACED)]);
    assert!(!old.session.is_ready());
    new.send(c2c("bob"), "still here");
    assert!(matches!(
        old.session.poll(tim_session::Instant::ZERO),
        Output::Wait(None) | Output::Event(Event::NotReady(_))
    ));
}

#[test]
fn an_account_that_sends_too_fast_is_slowed_down() {
    let hub = TestHub::start_with(|options| options.sends_per_second = 5);
    let mut alice = Device::login(&hub, "alice", 1);
    for n in 0..10 {
        alice.send(c2c("bob"), &n.to_string());
    }
    let message = alice.message(c2c("bob"), Text { text: "one too many" });
    assert_eq!(alice.send_message(&message), Err(ErrorCode::RATE_LIMITED));
    hub.advance(Duration::from_millis(200));
    alice.send_message(&message).unwrap();
}

#[test]
fn a_full_store_refuses_what_is_new_and_goes_on_with_the_rest() {
    let hub = TestHub::start_with(|options| {
        options.max_data = 1024 * 1024;
        options.purge_interval = Duration::from_millis(5);
    });
    let mut alice = Device::login(&hub, "alice", 1);
    let mut bob = Device::login(&hub, "bob", 2);
    let long = "x".repeat(11_000);
    let mut stored = 0;
    let refused = loop {
        let message = alice.message(c2c("bob"), Text { text: &long });
        match alice.send_message(&message) {
            Ok(_) => stored += 1,
            Err(code) => break code,
        }
    };
    assert_eq!(refused, ErrorCode::STORAGE_FULL);
    assert!((50..100).contains(&stored), "{stored}");
    // What was acknowledged is there, and whoever has an account comes in.
    bob.until_texts(stored);
    let mut tablet = Device::login(&hub, "bob", 3);
    assert_eq!(tablet.conversations()[0].1 as usize, stored);
    let Ok(Reply::Page { sequences, .. }) = alice.page(c2c("bob"), &[], 1) else {
        panic!()
    };
    assert_eq!(sequences, [stored as u64]);
    assert_eq!(bob.read(c2c("alice")), 0);
    // Room that the retention makes is used again, and no sequence is missing.
    hub.advance(Duration::from_secs(8 * 24 * 3600));
    let message = alice.message(c2c("bob"), Text { text: &long });
    let sent = loop {
        match alice.send_message(&message) {
            Err(ErrorCode::STORAGE_FULL) => {} // until the hub has come round to it
            other => break other,
        }
    };
    let sequence = stored as u64 + 1;
    assert_eq!(
        sent,
        Ok(Reply::Sent {
            sequence,
            duplicate: false
        })
    );
}

/// A hub with little patience, bob in it, and enough for him to read to fill every buffer on the way.
fn impatient_hub(keep_alive: Duration) -> (TestHub, Device) {
    let hub = TestHub::start_with(|options| {
        options.max_outgoing = 128 * 1024;
        options.connection.keep_alive = keep_alive;
        options.connection.keep_alive_timeout = Duration::from_millis(300);
    });
    let mut alice = Device::login(&hub, "alice", 1);
    let long = "x".repeat(10_000);
    for _ in 0..6 {
        alice.send(c2c("bob"), &long);
    }
    let bob = Device::login(&hub, "bob", 2);
    (hub, bob)
}

#[test]
fn a_client_that_asks_and_never_reads_is_dropped() {
    let (hub, mut bob) = impatient_hub(Duration::from_millis(300));
    bob.ask_and_never_read(c2c("alice"), || ());
    // And the hub goes on for the others.
    let mut carol = Device::login(&hub, "carol", 3);
    assert_eq!(carol.send(c2c("bob"), "hello"), 1);
}

#[test]
fn a_client_that_never_reads_goes_when_its_device_comes_again() {
    let (hub, mut bob) = impatient_hub(Duration::from_secs(3600));
    let mut again = Device::new(&hub, "bob", 2);
    bob.ask_and_never_read(c2c("alice"), || again.log_in());
    assert_eq!(again.send(c2c("alice"), "here"), 7);
}

#[test]
fn a_page_is_never_empty_for_want_of_a_few_bytes() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let mut kiosk = Device::with(&hub, "kiosk", 9, |config: &mut ClientConfig| {
        config.max_frame = 512
    });
    kiosk.log_in();
    // Around the length that fills an answer, a byte at a time.
    let lens = 340..460;
    for len in lens.clone() {
        alice.send(c2c("kiosk"), &"x".repeat(len));
    }
    let mut next = Vec::new();
    let mut seen = Vec::new();
    loop {
        match kiosk.page(c2c("alice"), &next, 1) {
            Ok(Reply::Page {
                sequences,
                next: following,
                completed,
                ..
            }) => {
                seen.splice(0..0, sequences);
                next = following;
                if completed {
                    break;
                }
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, (1..=lens.len() as u64).collect::<Vec<_>>());
}

#[test]
fn an_answer_is_cut_to_what_may_wait_for_one_connection() {
    let hub = TestHub::start_with(|options| options.max_outgoing = 64 * 1024);
    let mut bob = Device::login(&hub, "bob", 2);
    let long = "x".repeat(7_000);
    for name in ["a", "b", "c", "d", "e", "f"] {
        Device::login(&hub, name, 1).send(c2c("bob"), &long);
    }
    bob.until_texts(6);
    // A device that takes more than the hub lets wait: it is told that there are more, not thrown out.
    let listed = bob.conversations().len();
    assert!((1..6).contains(&listed), "{listed}");
    assert!(bob.session.is_ready());
}

#[test]
fn those_outside_a_group_cannot_find_out_what_is_in_it() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let mut eve = Device::login(&hub, "eve", 2);
    let group = ConversationId::Group(GroupId::new("weekend").unwrap());
    alice.create_group("weekend", &[user("bob")]).unwrap();
    let sequence = alice.send(group, "secret");
    let there = eve.revoke(group, sequence);
    assert_eq!(there, Err(ErrorCode::GROUP_PERMISSION_DENY));
    assert_eq!(eve.revoke(group, sequence + 1), there);
    let fetch = |eve: &mut Device, sequence| {
        eve.ask(&Request::Fetch(Fetch {
            conversation: group,
            sequence,
            offset: 0,
            len: 10,
        }))
    };
    assert_eq!(fetch(&mut eve, sequence), there);
    assert_eq!(fetch(&mut eve, sequence + 1), there);
    let mark = Request::MarkRead(tim_proto::request::MarkRead {
        conversation: group,
        sequence: 0,
    });
    assert_eq!(eve.ask(&mark), there);
    // What two others write is in nobody else's reach: the name of the other one makes it another conversation.
    alice.send(c2c("bob"), "private");
    let Ok(Reply::Page { texts, .. }) = eve.page(c2c("bob"), &[], 0) else {
        panic!()
    };
    assert!(texts.is_empty());
    assert_eq!(eve.revoke(c2c("bob"), 1), Err(ErrorCode::MESSAGE_NOT_FOUND));
}

#[test]
fn coming_again_does_not_make_an_account_faster() {
    let hub = TestHub::start_with(|options| options.sends_per_second = 5);
    let mut taken = 0;
    for number in 1..5 {
        let mut alice = Device::login(&hub, "alice", number);
        for n in 0..10 {
            let text = n.to_string();
            let message = alice.message(c2c("bob"), Text { text: &text });
            taken += u32::from(alice.send_message(&message).is_ok());
        }
        alice.session.logout(tim_session::Instant::ZERO);
        alice.until(|device| !device.is_connected());
    }
    assert_eq!(taken, 10);
}

#[test]
fn a_large_group_costs_as_much_as_the_notices_it_makes() {
    let hub = TestHub::start_with(|options| options.sends_per_second = 100);
    let mut alice = Device::login(&hub, "alice", 1);
    let members: Vec<_> = (0..1000).map(|n| user(&format!("member{n}"))).collect();
    let many = |alice: &mut Device, name: &str| alice.create_group(name, &members);
    assert_eq!(many(&mut alice, "one"), Ok(Reply::Group("one".to_owned())));
    assert_eq!(many(&mut alice, "two"), Err(ErrorCode::RATE_LIMITED));
    hub.advance(Duration::from_secs(9));
    assert_eq!(many(&mut alice, "two"), Ok(Reply::Group("two".to_owned())));
    let mut member = Device::new(&hub, "member999", 3);
    member.session.resume_from_start();
    member.log_in();
    assert_eq!(member.conversations().len(), 3, "both groups and the system");
}

#[test]
fn a_group_may_have_more_new_members_than_writes_may_wait() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let members: Vec<_> = (0..5_900).map(|n| user(&format!("m{n}"))).collect();
    let made = alice.create_group("crowd", &members);
    assert_eq!(made, Ok(Reply::Group("crowd".to_owned())));
    let profile = alice.ask(&Request::ConversationProfile(OneConversation {
        conversation: ConversationId::Group(GroupId::new("crowd").unwrap()),
    }));
    assert_eq!(
        profile,
        Ok(Reply::Profile {
            members: 5_901,
            unread: 1
        })
    );
}
