//! A store that is slow, or fails: what devices get then, and what is stored in the end.

use std::time::Duration;

use tim_hub::HubError;
use tim_proto::message::{SendOptions, Text};
use tim_proto::request::{Fetch, GroupMembers, History, MarkRead};
use tim_proto::{ConversationId, ErrorCode};
use tim_store::{NotStored, StoreError};

use super::support::{Device, Reply, TestHub, c2c, group, user};

fn sent(sequence: u64, duplicate: bool) -> Result<Reply, ErrorCode> {
    Ok(Reply::Sent { sequence, duplicate })
}

fn texts(device: &mut Device, conversation: ConversationId) -> Vec<String> {
    match device.page(conversation, &[], 0) {
        Ok(Reply::Page { texts, .. }) => texts,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_slow_commit_holds_up_its_sender_only() {
    let (hub, faults) = TestHub::start_faulty();
    let (mut alice, mut bob) = (Device::login(&hub, "alice", 1), Device::login(&hub, "bob", 2));
    alice.send(c2c("bob"), "before");
    bob.until_texts(1);
    faults.hold_commits();
    let late = alice.message(c2c("bob"), Text { text: "late" });
    let ticket = alice.start_send(&late, SendOptions::default());
    alice.until(|_| faults.held() == 1);
    assert_eq!(texts(&mut bob, c2c("alice")), ["before"], "reads go on");
    assert_eq!(texts(&mut alice, c2c("bob")), ["before"], "also the sender's");
    assert!(
        !alice.is_answered(ticket),
        "what is not durable is not acknowledged"
    );
    assert_eq!(bob.texts(), ["before"], "nor is it delivered");
    faults.release();
    assert_eq!(alice.wait_for(ticket), sent(2, false));
    bob.until_texts(2);
}

#[test]
fn what_certainly_was_not_stored_can_be_sent_again() {
    let (hub, faults) = TestHub::start_faulty();
    let (mut alice, _bob) = (Device::login(&hub, "alice", 1), Device::login(&hub, "bob", 2));
    let message = alice.message(c2c("bob"), Text { text: "x" });
    for (error, code) in [
        (NotStored::DiskFull, ErrorCode::STORAGE_FULL),
        (NotStored::Busy, ErrorCode::STORAGE_FAILED),
    ] {
        faults.next_commit_fails(StoreError::NotStored(error));
        assert_eq!(alice.send_message(&message), Err(code));
    }
    assert_eq!(alice.send_message(&message), sent(1, false));
    assert_eq!(alice.send_message(&message), sent(1, true));
}

#[test]
fn the_first_message_to_a_new_user_is_stored_with_the_account_or_not_at_all() {
    let (hub, faults) = TestHub::start_faulty();
    let mut alice = Device::login(&hub, "alice", 1);
    let message = alice.message(c2c("bob"), Text { text: "x" });
    faults.next_commit_fails(StoreError::NotStored(NotStored::DiskFull));
    assert_eq!(alice.send_message(&message), Err(ErrorCode::STORAGE_FULL));
    assert_eq!(alice.send_message(&message), sent(1, false));
}

#[test]
fn a_commit_with_an_unknown_outcome_leaves_one_entry_after_the_resend() {
    let (hub, faults) = TestHub::start_faulty();
    let (mut alice, mut bob) = (Device::login(&hub, "alice", 1), Device::login(&hub, "bob", 2));
    alice.send(c2c("bob"), "one");
    let two = alice.message(c2c("bob"), Text { text: "two" });
    faults.next_commit_is_unknown();
    assert_eq!(alice.send_message(&two), Err(ErrorCode::OUTCOME_UNKNOWN));
    assert_eq!(alice.send_message(&two), sent(2, true), "it was stored");
    assert_eq!(alice.send(c2c("bob"), "three"), 3);
    bob.until(|bob| bob.texts().contains(&"three"));
    assert_eq!(texts(&mut bob, c2c("alice")), ["one", "two", "three"]);
}

#[test]
fn a_fatal_commit_stops_the_hub_and_nothing_is_acknowledged() {
    let (hub, faults) = TestHub::start_faulty();
    let (mut alice, bob) = (Device::login(&hub, "alice", 1), Device::login(&hub, "bob", 2));
    faults.next_commit_fails(StoreError::Fatal("the disk is gone".to_owned()));
    let message = alice.message(c2c("bob"), Text { text: "x" });
    let ticket = alice.start_send(&message, SendOptions::default());
    alice.until(|alice| alice.is_answered(ticket) || !alice.is_connected());
    if alice.is_answered(ticket) {
        alice.wait_for(ticket).unwrap_err();
    }
    drop((alice, bob));
    let ended = hub.ended();
    assert!(
        matches!(&ended, Err(HubError::Store(why)) if why.contains("the disk is gone")),
        "{ended:?}"
    );
}

#[test]
fn a_slow_read_holds_up_its_connection_only_and_its_requests_stay_in_order() {
    // One thread serves all connections of this hub.
    let (hub, faults) = TestHub::start_faulty();
    let [mut alice, mut bob, mut carol] =
        [("alice", 1), ("bob", 2), ("carol", 3)].map(|(name, number)| Device::login(&hub, name, number));
    assert_eq!(bob.send(c2c("carol"), "one"), 1);
    assert_eq!(
        bob.send(c2c("carol"), "two"),
        2,
        "what bob needs to send is cached"
    );
    carol.until_texts(2);
    faults.hold_reads();
    let history = alice.start(&History {
        conversation: c2c("bob"),
        next: &[],
        count: 0,
    });
    let behind = alice.start(&MarkRead {
        conversation: c2c("bob"),
        sequence: 0,
    });
    alice.until(|_| faults.held() == 1);
    // Others send, get messages and mark them as read.
    assert_eq!(bob.send(c2c("carol"), "three"), 3);
    carol.until_texts(3);
    let mark = MarkRead {
        conversation: c2c("bob"),
        sequence: 3,
    };
    assert_eq!(carol.ask(&mark), Ok(Reply::Read { unread: 0 }));
    // Also those who cannot be served now do not hold up the others.
    let other = carol.start(&History {
        conversation: c2c("bob"),
        next: &[],
        count: 0,
    });
    carol.until(|_| faults.held() == 2);
    assert_eq!(bob.send(c2c("carol"), "four"), 4);
    carol.until_texts(4);
    // The connection that waits for the store gets deliveries meanwhile, and its later requests wait behind the read.
    assert!(!alice.is_answered(history) && !alice.is_answered(behind));
    faults.release();
    assert!(matches!(alice.wait_for(history), Ok(Reply::Page { texts, .. }) if texts.is_empty()));
    assert!(alice.wait_for(behind).is_ok());
    assert!(matches!(carol.wait_for(other), Ok(Reply::Page { texts, .. }) if texts.len() == 4));
}

#[test]
fn logins_and_catching_up_wait_for_a_slow_store_and_hold_up_nobody() {
    let (hub, faults) = TestHub::start_faulty();
    let (mut alice, mut bob) = (Device::login(&hub, "alice", 1), Device::login(&hub, "bob", 2));
    alice.send(c2c("bob"), "one");
    alice.send(c2c("bob"), "two");
    bob.until_texts(2);
    faults.hold_reads();
    let mut carol = Device::new(&hub, "carol", 3);
    let now = carol.now();
    carol.session.login(now);
    carol.until(|_| faults.held() == 1);
    alice.send(c2c("bob"), "three");
    bob.until_texts(3);
    faults.release();
    carol.until(|carol| carol.session.is_ready());
    assert_eq!(carol.send(c2c("bob"), "from carol"), 1);
}

#[test]
fn a_member_who_is_removed_during_a_read_does_not_see_what_is_said_afterwards() {
    let (hub, faults) = TestHub::start_faulty();
    let [mut alice, mut bob, mut carol] =
        [("alice", 1), ("bob", 2), ("carol", 3)].map(|(name, number)| Device::login(&hub, name, number));
    alice.create_group("g", &[user("bob"), user("carol")]).unwrap();
    let last = alice.send(group("g"), "to all");
    let page = History {
        conversation: group("g"),
        next: &[],
        count: 0,
    };
    faults.hold_reads_by("page");
    let history = bob.start(&page);
    bob.until(|_| faults.held() == 1);
    alice.remove("g", &["bob"]).unwrap();
    alice.send(group("g"), "not to bob");
    faults.release();
    assert_eq!(bob.wait_for(history), Err(ErrorCode::GROUP_PERMISSION_DENY));
    // The same with a piece of a message that is not there yet, behind the two tips and the message above.
    let sequence = last + 4;
    let piece = Fetch {
        conversation: group("g"),
        sequence,
        offset: 0,
        len: 100,
    };
    faults.hold_reads_by("entry");
    let fetch = carol.start(&piece);
    carol.until(|_| faults.held() == 1);
    alice.remove("g", &["carol"]).unwrap();
    assert_eq!(alice.send(group("g"), "not to carol"), sequence);
    faults.release();
    assert_eq!(carol.wait_for(fetch), Err(ErrorCode::GROUP_PERMISSION_DENY));
}

#[test]
fn a_member_who_is_removed_during_a_read_does_not_see_the_members_afterwards() {
    let (hub, faults) = TestHub::start_faulty();
    let (mut alice, mut bob) = (Device::login(&hub, "alice", 1), Device::login(&hub, "bob", 2));
    alice.create_group("g", &[user("bob")]).unwrap();
    faults.hold_reads_by("members_page");
    let members = bob.start(&GroupMembers {
        group: "g".parse().unwrap(),
        next: &[],
        count: 0,
        role: None,
    });
    bob.until(|_| faults.held() == 1);
    alice.remove("g", &["bob"]).unwrap();
    faults.release();
    assert_eq!(bob.wait_for(members), Err(ErrorCode::GROUP_PERMISSION_DENY));
}

#[test]
fn a_read_that_is_under_way_when_the_hub_stops_leaves_the_directory_free() {
    let (hub, faults) = TestHub::start_faulty();
    let mut alice = Device::login(&hub, "alice", 1);
    faults.hold_reads();
    alice.start(&History {
        conversation: c2c("bob"),
        next: &[],
        count: 0,
    });
    alice.until(|_| faults.held() == 1);
    let later = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        faults.release();
    });
    let data = hub.stop();
    tim_store_sqlite::open(data.path()).expect("nothing holds the directory");
    later.join().unwrap();
}
