//! A store that is slow, or fails: what devices get then, and what is stored in the end.

use tim_hub::HubError;
use tim_proto::message::{SendOptions, Text};
use tim_proto::request::{
    Done, Fetch, GetConversationProfile, GroupMembers, History, InviteMembers, MarkRead, SendMessage,
};
use tim_proto::wire::{FrameKind, List};
use tim_proto::{ConversationId, ErrorCode};
use tim_store::faults::Faults;
use tim_store::{NotStored, StoreError};

use super::support::{Device, Raw, Reply, TestHub, c2c, group, user};

/// The newest page of a conversation.
fn newest(conversation: ConversationId) -> History<'static> {
    History::new(conversation)
}

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
    let late = alice.message(c2c("bob"), Text::new("late"));
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
    let message = alice.message(c2c("bob"), Text::new("x"));
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
    let message = alice.message(c2c("bob"), Text::new("x"));
    faults.next_commit_fails(StoreError::NotStored(NotStored::DiskFull));
    assert_eq!(alice.send_message(&message), Err(ErrorCode::STORAGE_FULL));
    assert_eq!(alice.send_message(&message), sent(1, false));
}

#[test]
fn an_invitation_is_stored_with_the_accounts_or_not_at_all() {
    let (hub, faults) = TestHub::start_faulty();
    let mut alice = Device::login(&hub, "alice", 1);
    alice.create_group("g", &[]).unwrap();
    let dave = GetConversationProfile::new(c2c("dave"));
    let none = Err(ErrorCode::USER_OR_GROUP_NOT_FOUND);
    faults.hold_commits();
    let invitation = alice.start(&InviteMembers::new(
        "g".parse().unwrap(),
        List::from_slice(&[user("dave")]),
    ));
    alice.until(|_| faults.held() == 1);
    faults.next_commit_fails(StoreError::NotStored(NotStored::DiskFull));
    faults.release();
    assert_eq!(alice.wait_for(invitation), Err(ErrorCode::STORAGE_FULL));
    assert_eq!(alice.ask(&dave), none, "no account without the invitation");
    assert!(alice.invite("g", &["dave"]).is_ok());
    assert!(alice.ask(&dave).is_ok());
}

#[test]
fn a_commit_with_an_unknown_outcome_leaves_one_entry_after_the_resend() {
    let (hub, faults) = TestHub::start_faulty();
    let (mut alice, mut bob) = (Device::login(&hub, "alice", 1), Device::login(&hub, "bob", 2));
    alice.send(c2c("bob"), "one");
    let two = alice.message(c2c("bob"), Text::new("two"));
    faults.next_commit_is_unknown();
    assert_eq!(alice.send_message(&two), Err(ErrorCode::OUTCOME_UNKNOWN));
    assert_eq!(alice.send_message(&two), sent(2, true), "it was stored");
    assert_eq!(alice.send(c2c("bob"), "three"), 3);
    bob.until(|bob| bob.texts().contains(&"three"));
    assert_eq!(texts(&mut bob, c2c("alice")), ["one", "two", "three"]);
}

#[test]
fn what_a_commit_with_an_unknown_outcome_has_stored_reaches_those_who_are_online() {
    let (hub, faults) = TestHub::start_faulty();
    let [mut alice, mut bob, mut carol] =
        [("alice", 1), ("bob", 2), ("carol", 3)].map(|(name, number)| Device::login(&hub, name, number));
    alice.create_group("g", &[user("bob"), user("carol")]).unwrap();
    alice.send(group("g"), "one");
    bob.until_texts(1);
    let two = alice.message(group("g"), Text::new("two"));
    faults.next_commit_is_unknown();
    assert_eq!(
        alice.send_message(&two),
        Err(ErrorCode::OUTCOME_UNKNOWN),
        "its sender is told before the session ends"
    );
    alice.until(|alice| alice.session.is_ready());
    alice.send(group("g"), "three");
    bob.until_texts(3);
    assert_eq!(bob.texts(), ["one", "two", "three"]);
    carol.until_texts(3);
    // Whoever was removed by such a commit gets nothing more.
    faults.next_commit_is_unknown();
    assert_eq!(alice.remove("g", &["carol"]), Err(ErrorCode::OUTCOME_UNKNOWN));
    alice.until(|alice| alice.session.is_ready());
    carol.until(|carol| !carol.is_connected());
    carol.until(|carol| carol.session.is_ready());
    alice.send(group("g"), "not to carol");
    bob.until_texts(4);
    alice.send(c2c("carol"), "to carol");
    carol.until(|carol| carol.texts().contains(&"to carol"));
    assert!(!carol.texts().contains(&"not to carol"), "{:?}", carol.texts());
}

#[test]
fn a_fatal_commit_stops_the_hub_and_nothing_is_acknowledged() {
    let (hub, faults) = TestHub::start_faulty();
    let (mut alice, bob) = (Device::login(&hub, "alice", 1), Device::login(&hub, "bob", 2));
    faults.next_commit_fails(StoreError::Fatal("the disk is gone".to_owned()));
    let message = alice.message(c2c("bob"), Text::new("x"));
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
    let history = alice.start(&newest(c2c("bob")));
    let behind = alice.start(&MarkRead::new(c2c("bob")));
    alice.until(|_| faults.held() == 1);
    // Others send, get messages and mark them as read.
    assert_eq!(bob.send(c2c("carol"), "three"), 3);
    carol.until_texts(3);
    let mark = MarkRead::new(c2c("bob")).with_sequence(3);
    assert_eq!(carol.ask(&mark), Ok(Reply::Read { unread: 0 }));
    // Also those who cannot be served now do not hold up the others.
    let other = carol.start(&newest(c2c("bob")));
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

/// Alice, whose first request, a page of history, does not return.
fn in_a_slow_read(hub: &TestHub, faults: &Faults) -> Raw {
    let mut alice = Raw::open(hub, 4096);
    alice.login("alice", 1, 1, 1);
    alice.until(FrameKind::SYNCED);
    faults.hold_reads_by("page");
    alice.say(FrameKind::HISTORY, 1, &newest(c2c("bob")));
    faults.wait_until_held(1);
    alice
}

#[test]
fn during_a_slow_read_a_connection_answers_pings_and_takes_acks() {
    let (hub, faults) = TestHub::start_faulty();
    let mut bob = Device::login(&hub, "bob", 2);
    let mut alice = in_a_slow_read(&hub, &faults);
    let piece = Fetch::new(c2c("bob"), 12, 0, 100);
    alice.say(FrameKind::FETCH, 2, &piece);
    alice.say(FrameKind::HISTORY, 3, &newest(c2c("bob")));
    alice.say(FrameKind::PING, 9, &Done);
    assert_eq!(alice.until(FrameKind::PONG), []);
    // Its window is 4, so these come only if its ACKs are taken.
    for number in 1..=12 {
        bob.send(c2c("alice"), &number.to_string());
        assert_eq!(alice.next(), Some((FrameKind::DELIVER, 0)));
        alice.acknowledge(number);
    }
    faults.release();
    for kind in [FrameKind::HISTORY, FrameKind::FETCH, FrameKind::HISTORY] {
        let answer = Some((kind.answer(), 0));
        assert_eq!(alice.next(), answer, "in order");
    }
}

#[test]
fn what_a_client_sends_during_a_slow_read_is_bounded() {
    let (hub, faults) = TestHub::start_faulty();
    let mut bob = Device::login(&hub, "bob", 2);
    let mut alice = in_a_slow_read(&hub, &faults);
    let next = [0; 3000];
    let large = newest(c2c("bob")).with_next(&next);
    // Six of them are more than is held; the PING behind the eighth is not read before the first request is answered.
    alice.say_at_once(FrameKind::HISTORY, 2..=9, &large);
    alice.say(FrameKind::PING, 10, &Done);
    for _ in 0..4 {
        bob.send(c2c("alice"), "x");
        assert_eq!(alice.next(), Some((FrameKind::DELIVER, 0)));
    }
    faults.release();
    let answers = alice.until(FrameKind::PONG);
    assert_eq!(answers[0], FrameKind::HISTORY.answer());
    assert!(
        answers[1..].iter().all(|kind| *kind == FrameKind::ERROR),
        "{answers:?}"
    );
}

#[test]
fn what_is_sent_before_a_logout_is_answered() {
    let (hub, faults) = TestHub::start_faulty();
    let mut bob = Device::login(&hub, "bob", 2);
    let message = bob.message(c2c("alice"), Text::new("last words"));
    bob.session.logout(tim_session::Instant::ZERO);
    bob.until(|bob| !bob.is_connected());
    let mut again = Raw::open(&hub, 4096);
    again.login("bob", 2, 2, 1);
    again.until(FrameKind::SYNCED);
    let send = SendMessage::new(&message);
    faults.hold_commits();
    again.say(FrameKind::SEND, 1, &send);
    again.say(FrameKind::HISTORY, 2, &newest(c2c("alice")));
    again.say(FrameKind::LOGOUT, 3, &Done);
    faults.wait_until_held(1);
    faults.release();
    let mut answers: Vec<_> = std::iter::from_fn(|| again.next()).collect();
    assert_eq!(
        answers.pop(),
        Some((FrameKind::LOGOUT.answer(), 0)),
        "then the hub closes"
    );
    // The cursor of what is answered comes before the answer.
    let at = |kind| answers.iter().position(|(answer, _)| *answer == kind);
    assert!(at(FrameKind::SYNCED).is_some_and(|synced| Some(synced) < at(FrameKind::SEND.answer())));
    answers.retain(|(kind, _)| *kind != FrameKind::SYNCED);
    answers.sort_unstable_by_key(|(kind, _)| kind.0);
    let expected = [FrameKind::SEND, FrameKind::HISTORY].map(|kind| (kind.answer(), 0));
    assert_eq!(answers, expected);
    let mut alice = Device::login(&hub, "alice", 1);
    assert_eq!(texts(&mut alice, c2c("bob")), ["last words"]);
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
    let page = newest(group("g"));
    faults.hold_reads_by("page");
    let history = bob.start(&page);
    bob.until(|_| faults.held() == 1);
    alice.remove("g", &["bob"]).unwrap();
    alice.send(group("g"), "not to bob");
    faults.release();
    assert_eq!(bob.wait_for(history), Err(ErrorCode::GROUP_PERMISSION_DENY));
    // The same with a piece of a message that is not there yet, behind the two tips and the message above.
    let sequence = last + 4;
    let piece = Fetch::new(group("g"), sequence, 0, 100);
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
    let members = bob.start(&GroupMembers::new("g".parse().unwrap()));
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
    alice.start(&newest(c2c("bob")));
    alice.until(|_| faults.held() == 1);
    let stopping = hub.shared();
    let later = std::thread::spawn(move || {
        while !stopping.is_stopping() {
            std::thread::yield_now();
        }
        drop(stopping);
        faults.release();
    });
    let data = hub.stop();
    later.join().unwrap();
    tim_store_sqlite::open(data.path()).expect("nothing holds the directory");
}

#[test]
fn what_is_damaged_has_a_code_of_its_own_and_the_hub_goes_on() {
    let (hub, faults) = TestHub::start_faulty();
    let (mut alice, mut bob) = (Device::login(&hub, "alice", 1), Device::login(&hub, "bob", 2));
    alice.send(c2c("bob"), "one");
    bob.until_texts(1);
    faults.reads_fail(Some(StoreError::Damaged(
        "C2Calice+bob: entry 1 is damaged".to_owned(),
    )));
    assert_eq!(
        alice.page(c2c("bob"), &[], 0).unwrap_err(),
        ErrorCode::STORAGE_DAMAGED
    );
    assert!(!ErrorCode::STORAGE_DAMAGED.is_transient());
    faults.reads_fail(None);
    assert_eq!(texts(&mut alice, c2c("bob")), ["one"]);
    // Of a batch in which something damaged was needed, nothing was stored; the other writes may be sent again.
    let message = alice.message(c2c("bob"), Text::new("two"));
    faults.next_commit_fails(StoreError::Damaged("what is stored about log 1".to_owned()));
    assert_eq!(alice.send_message(&message), Err(ErrorCode::STORAGE_FAILED));
    assert_eq!(alice.send_message(&message), sent(2, false));
    drop(hub);
}
