//! What is too much, too large, too fast or wrong.

use std::time::Duration;

use super::support::{Device, Observed, Reply, TestHub, c2c, group, user};
use tim_hub::HubOptions;
use tim_proto::message::{Payload, SendOptions, Text};
use tim_proto::request::{Fetch, UpdateUserProfile, UserProfiles};
use tim_proto::wire::{LEAST_MAX_FRAME, List};
use tim_proto::{ConversationId, ErrorCode, GroupId, GroupType, MessageKind};
use tim_session::ClientConfig;

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
        kiosk.observed[1],
        Observed::Stub {
            sequence: 1,
            payload_len
        }
    );
    let mut payload = Vec::new();
    while payload.len() < payload_len as usize {
        let (offset, conversation) = (payload.len() as u32, c2c("alice"));
        let fetch = Fetch::new(conversation, 1, offset, 10_000);
        let Ok(Reply::Piece { total, bytes }) = kiosk.ask(&fetch) else {
            panic!()
        };
        assert_eq!(total, payload_len);
        assert!(!bytes.is_empty() && bytes.len() < 512);
        payload.extend(bytes);
    }
    assert_eq!(
        Payload::decode(MessageKind::TEXT, &payload),
        Payload::Text(Text::new(&long))
    );
}

#[test]
fn a_device_with_the_smallest_frames_misses_nothing_however_long_ids_and_names_are() {
    let hub = TestHub::start();
    let (writer, reader, id) = ("w".repeat(32), "r".repeat(32), "g".repeat(48));
    let mut writer = Device::login(&hub, &writer, 1);
    let (nick, avatar) = ("n".repeat(100), "a".repeat(500));
    let look = UpdateUserProfile::new().with_nick(&nick).with_avatar(&avatar);
    assert_eq!(writer.ask(&look), Ok(Reply::Done));
    let smallest = |config: &mut ClientConfig| config.max_frame = LEAST_MAX_FRAME;
    let mut device = Device::with(&hub, &reader, 9, smallest);
    device.log_in();
    writer
        .create(GroupType::MEETING, &id, &[user(&reader)])
        .expect("a group"); // its tip is 1
    let say = |writer: &mut Device, number: u32| {
        let text = format!("{number} {}", "x".repeat(200));
        writer.send(group(&id), &text);
        writer.send(c2c(&reader), &text);
    };
    say(&mut writer, 1); // live
    let stubs = |device: &Device| {
        let sequence = |seen: &Observed| match seen {
            Observed::Stub { sequence, .. } => Some(*sequence),
            _ => None,
        };
        device.observed.iter().filter_map(sequence).collect::<Vec<_>>()
    };
    device.until(|device| stubs(device).len() >= 3);
    assert_eq!(stubs(&device), [1, 2, 1]);
    device.cut();
    say(&mut writer, 2);
    writer
        .revoke_for(group(&id), 2, &"because ".repeat(20))
        .expect("taken back");
    device.until(|device| stubs(device).len() >= 6); // read from the log
    assert_eq!(stubs(&device), [1, 2, 1, 3, 2, 4], "{:?}", device.observed);
    let Ok(Reply::Piece { total, bytes }) = device.fetch(group(&id), 3, 0, 1000) else {
        panic!("no piece");
    };
    assert!(total > 200 && !bytes.is_empty());
}

#[test]
fn what_is_wrong_is_refused_and_nothing_is_stored() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let refused = |alice: &mut Device, change: &dyn Fn(&mut tim_proto::Message<'_>)| {
        let mut message = alice.message(c2c("bob"), Text::new("x"));
        change(&mut message);
        alice.send_message(&message).unwrap_err()
    };
    let long = "x".repeat(13 * 1024);
    let long: &'static str = long.leak();
    assert_eq!(
        refused(&mut alice, &|m| m.payload = Text::new(long).into()),
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
fn an_account_that_sends_too_fast_is_slowed_down() {
    let hub = TestHub::start_with(|options| options.sends_per_second = 5);
    let mut alice = Device::login(&hub, "alice", 1);
    for n in 0..10 {
        alice.send(c2c("bob"), &n.to_string());
    }
    let message = alice.message(c2c("bob"), Text::new("one too many"));
    assert_eq!(alice.send_message(&message), Err(ErrorCode::RATE_LIMITED));
    // It is told when: not a millisecond earlier, and not later.
    let wait = alice.retry_after.expect("a time");
    assert_eq!(wait, Duration::from_millis(200));
    hub.advance(wait - Duration::from_millis(1));
    assert_eq!(alice.send_message(&message), Err(ErrorCode::RATE_LIMITED));
    assert_eq!(alice.retry_after, Some(Duration::from_millis(1)));
    hub.advance(Duration::from_millis(1));
    alice.send_message(&message).unwrap();
    hub.advance(Duration::from_secs(1));
    // What is wrong for good has no time.
    let foreign = alice.message(group("nowhere"), Text::new("x"));
    alice.send_message(&foreign).unwrap_err();
    assert_eq!(alice.retry_after, None);
}

#[test]
fn an_account_that_asks_too_much_is_slowed_down_and_sends_as_before() {
    let hub = TestHub::start_with(|options| options.requests_per_second = 50);
    let mut alice = Device::login(&hub, "alice", 1);
    let mut bob = Device::login(&hub, "bob", 2);
    alice.send(c2c("bob"), "hello");
    // A login costs 20, a page of conversations 10: there are 100 in one go, for all devices of the user together.
    let mut other = Device::login(&hub, "alice", 3);
    for _ in 0..3 {
        alice.conversations();
        other.conversations();
    }
    let wait = |device: &mut Device| {
        let refused = device.delete(c2c("bob"));
        assert!(matches!(refused, Err(ErrorCode::RATE_LIMITED)), "{refused:?}");
        device.retry_after
    };
    assert_eq!(wait(&mut other), Some(Duration::from_millis(20)));
    // A refusal costs 1.
    assert_eq!(wait(&mut alice), Some(Duration::from_millis(40)));
    alice.send(c2c("bob"), "messages have a limit of their own");
    bob.conversations();
    hub.advance(Duration::from_millis(60));
    other.delete(c2c("bob")).unwrap();
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
        let message = alice.message(c2c("bob"), Text::new(&long));
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
    let message = alice.message(c2c("bob"), Text::new(&long));
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

#[test]
fn an_account_stores_so_many_bytes_and_goes_on_when_some_are_removed() {
    let hub = TestHub::start_with(|options| {
        options.max_account_bytes = 2_000;
        options.purge_interval = Duration::from_millis(5);
    });
    let mut alice = Device::login(&hub, "alice", 1);
    let mut bob = Device::login(&hub, "bob", 2);
    let text = "x".repeat(700);
    alice.send(c2c("bob"), &text);
    alice.send(c2c("bob"), &text);
    let third = alice.message(c2c("carol"), Text::new(&text));
    assert_eq!(alice.send_message(&third), Err(ErrorCode::ACCOUNT_STORAGE_FULL));
    assert_eq!(alice.retry_after, Some(Duration::from_secs(60)));
    assert!(ErrorCode::ACCOUNT_STORAGE_FULL.is_transient());
    // It is alice who is at fault: others write, to her as well, and she reads, and gets room by herself.
    bob.send(c2c("alice"), &text);
    alice.until_texts(1);
    assert_eq!(alice.read(c2c("bob")), 0);
    alice.revoke(c2c("bob"), 1).unwrap();
    let sent = |sequence| {
        Ok(Reply::Sent {
            sequence,
            duplicate: false,
        })
    };
    assert_eq!(alice.send_message(&third), sent(1), "the same one");
    // Or time does it.
    let fourth = alice.message(c2c("carol"), Text::new(&text));
    assert_eq!(alice.send_message(&fourth), Err(ErrorCode::ACCOUNT_STORAGE_FULL));
    hub.advance(Duration::from_secs(8 * 24 * 3600));
    let answer = loop {
        match alice.send_message(&fourth) {
            Err(ErrorCode::ACCOUNT_STORAGE_FULL) => {} // until the hub has come round to it
            answer => break answer,
        }
    };
    assert_eq!(answer, sent(2));
}

#[test]
fn an_account_begins_so_many_conversations_and_answers_in_others() {
    let hub = TestHub::start_with(|options| options.max_conversations = 2);
    let mut alice = Device::login(&hub, "alice", 1);
    let mut dave = Device::login(&hub, "dave", 4);
    alice.send(c2c("bob"), "1");
    alice.send(c2c("carol"), "2");
    alice.send(c2c("bob"), "more");
    let third = alice.message(c2c("dave"), Text::new("3"));
    assert_eq!(alice.send_message(&third), Err(ErrorCode::TOO_MANY_CONVERSATIONS));
    assert_eq!(alice.retry_after, None);
    dave.send(c2c("alice"), "hello");
    alice.send_message(&third).unwrap();
    // The operator may allow more while the hub runs; 0 is no limit.
    let fourth = alice.message(c2c("eve"), Text::new("4"));
    assert_eq!(
        alice.send_message(&fourth),
        Err(ErrorCode::TOO_MANY_CONVERSATIONS)
    );
    hub.tell(async |hub| {
        let mut options = HubOptions::new(super::support::app());
        options.max_conversations = 0;
        hub.reload(&options).unwrap();
    });
    alice.send_message(&fourth).unwrap();
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
fn coming_again_does_not_make_an_account_faster() {
    let hub = TestHub::start_with(|options| options.sends_per_second = 5);
    let mut taken = 0;
    for number in 1..5 {
        let mut alice = Device::login(&hub, "alice", number);
        for n in 0..10 {
            let text = n.to_string();
            let message = alice.message(c2c("bob"), Text::new(&text));
            taken += u32::from(alice.send_message(&message).is_ok());
        }
        alice.session.logout(tim_session::Instant::ZERO);
        alice.until(|device| !device.is_connected());
    }
    assert_eq!(taken, 10);
}

#[test]
fn a_message_id_names_its_sender_also_where_nothing_is_stored() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let mut bob = Device::login(&hub, "bob", 2);
    alice.create(GroupType::WORK, "g", &[user("bob")]).unwrap();
    alice.create(GroupType::AV_CHAT_ROOM, "room", &[]).unwrap();
    bob.join("room").unwrap();
    let bobs = bob.session.account();
    for (to, online_user_only) in [
        (c2c("bob"), true),
        (c2c("bob"), false),
        (group("g"), true),
        (group("g"), false),
        (group("room"), false),
    ] {
        let mut message = alice.message(to, Text::new("as bob"));
        message.id.sender = bobs;
        let options = SendOptions::new().with_online_user_only(online_user_only);
        let ticket = alice.start_send(&message, options);
        assert_eq!(
            alice.wait_for(ticket),
            Err(ErrorCode::GROUP_INVALID_PARAMETERS),
            "{to} {online_user_only}"
        );
    }
    alice.send(c2c("bob"), "end");
    bob.until(|bob| bob.texts().contains(&"end"));
    assert_eq!(bob.texts(), ["end"]);
}

#[test]
fn accounts_that_were_never_used_for_anything_are_removed_unless_somebody_is_logged_in() {
    let life = Duration::from_secs(3_600);
    let change = move |options: &mut HubOptions| {
        options.max_conversations = 1;
        options.unused_account_life = life;
        options.purge_interval = Duration::from_millis(5);
    };
    let hub = TestHub::start_with(change);
    let account = |device: &mut Device| device.message(c2c("anybody"), Text::new("")).id.sender;
    let mut alice = Device::login(&hub, "alice", 1);
    let mut bob = Device::login(&hub, "bob", 2);
    let mut carol = Device::login(&hub, "carol", 3);
    let mut idle = Device::login(&hub, "idle", 4);
    let before = [account(&mut bob), account(&mut carol), account(&mut idle)];
    bob.send(c2c("bob"), "a note");
    drop((bob, carol));
    alice.send(c2c("alice"), "a note");
    // Carol's account is known to the connection, and refers to nothing yet.
    let message = alice.message(c2c("carol"), Text::new("hello"));
    assert_eq!(
        alice.send_message(&message),
        Err(ErrorCode::TOO_MANY_CONVERSATIONS)
    );
    let users = ["bob", "carol", "idle"].map(user);
    let look = UserProfiles::new(List::from_slice(&users));
    loop {
        hub.advance(life / 3);
        let Ok(Reply::Users(found)) = alice.ask(&look) else {
            panic!("no profiles")
        };
        assert!(found.iter().any(|[name, ..]| name == "bob"), "{found:?}");
        assert!(found.iter().any(|[name, ..]| name == "idle"), "{found:?}");
        if found.len() == 2 {
            break;
        }
    }
    // A message makes her another account, and she finds it.
    hub.tell(async |hub| {
        let mut options = HubOptions::new(super::support::app());
        change(&mut options);
        options.max_conversations = 0;
        hub.reload(&options).unwrap();
    });
    alice.send_message(&message).unwrap();
    let mut carol = Device::login(&hub, "carol", 5);
    let mut bob = Device::login(&hub, "bob", 6);
    assert_ne!(account(&mut carol), before[1]);
    assert_eq!([account(&mut bob), account(&mut idle)], [before[0], before[2]]);
    assert_eq!(carol.conversations().len(), 1);
    carol.send(c2c("alice"), "hello");
    idle.send(c2c("alice"), "still here");
    alice.until_texts(2);
}
