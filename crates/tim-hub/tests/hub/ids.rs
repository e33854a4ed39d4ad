//! One id is one message, whichever way it goes.

use super::support::{Device, Reply, TestHub, c2c, group, group_id, user};
use tim_proto::message::{Message, SendOptions, Text};
use tim_proto::request::CreateGroup;
use tim_proto::{ErrorCode, GroupType, JoinStatus};

const REUSED: Result<Reply, ErrorCode> = Err(ErrorCode::MESSAGE_ID_REUSED);

fn sent(sequence: u64, duplicate: bool) -> Result<Reply, ErrorCode> {
    Ok(Reply::Sent { sequence, duplicate })
}

fn texts(device: &mut Device, conversation: tim_proto::ConversationId) -> Vec<String> {
    match device.page(conversation, &[], 0) {
        Ok(Reply::Page { texts, .. }) => texts,
        other => panic!("{other:?}"),
    }
}

fn send_online(device: &mut Device, message: &Message<'_>) -> Result<Reply, ErrorCode> {
    let options = SendOptions::new().with_online_user_only(true);
    let ticket = device.start_send(message, options);
    device.wait_for(ticket)
}

#[test]
fn another_message_under_a_used_id_is_refused_and_goes_under_another_id() {
    let hub = TestHub::start();
    let (mut phone, mut tablet) = (Device::login(&hub, "kiosk", 1), Device::login(&hub, "kiosk", 2));
    let first = phone.message(c2c("desk"), Text::new("the terminal is on"));
    let mut fire = tablet.message(c2c("fire"), Text::new("FIRE in the lobby"));
    fire.id = first.id;
    assert_eq!(phone.send_message(&first), sent(1, false));
    assert_eq!(tablet.send_message(&fire), REUSED);
    let mut here = tablet.message(c2c("desk"), Text::new("FIRE"));
    here.id = first.id;
    assert_eq!(tablet.send_message(&here), REUSED);
    assert_eq!(
        phone.send_message(&first),
        sent(1, true),
        "the first is what it was"
    );
    fire.id = fire.id.successor(2);
    assert_eq!(tablet.send_message(&fire), sent(1, false));
    assert_eq!(tablet.send_message(&fire), sent(1, true));
    assert_eq!(texts(&mut phone, c2c("fire")), ["FIRE in the lobby"]);
    assert_eq!(texts(&mut phone, c2c("desk")), ["the terminal is on"]);
    // The hub remembers over a restart.
    let hub = hub.restart();
    let mut again = Device::login(&hub, "kiosk", 3);
    assert_eq!(again.send_message(&here), REUSED);
    assert_eq!(again.send_message(&fire), sent(1, true));
}

#[test]
fn of_two_devices_with_the_same_id_at_the_same_time_one_is_refused_and_nothing_is_lost() {
    let hub = TestHub::start();
    let (mut phone, mut tablet) = (Device::login(&hub, "alice", 1), Device::login(&hub, "alice", 2));
    for round in 1..=20 {
        let text = [format!("phone {round}"), format!("tablet {round}")];
        let one = phone.message(c2c("bob"), Text::new(&text[0]));
        let mut two = tablet.message(c2c("bob"), Text::new(&text[1]));
        two.id = one.id;
        // Both are under way before either is answered.
        let first = phone.start_send(&one, SendOptions::default());
        let second = tablet.start_send(&two, SendOptions::default());
        phone.push_out();
        tablet.push_out();
        let answers = [phone.wait_for(first), tablet.wait_for(second)];
        let refused = answers.iter().filter(|answer| **answer == REUSED).count();
        let stored = answers
            .iter()
            .filter(|answer| **answer == sent(round, false))
            .count();
        assert_eq!((refused, stored), (1, 1), "{answers:?}");
    }
    assert_eq!(texts(&mut phone, c2c("bob")).len(), 15, "a page");
}

#[test]
fn priority_and_count_are_no_content() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let mut message = alice.message(c2c("bob"), Text::new("once"));
    assert_eq!(alice.send_message(&message), sent(1, false));
    message.client_sequence += 1;
    message.priority = tim_proto::Priority::LOW;
    assert_eq!(alice.send_message(&message), sent(1, true));
    message.payload = tim_proto::Payload::Text(Text::new("twice"));
    assert_eq!(alice.send_message(&message), REUSED);
}

#[test]
fn a_new_nick_between_two_tries_makes_no_other_message() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let message = alice.message(c2c("bob"), Text::new("once"));
    assert_eq!(alice.send_message(&message), sent(1, false));
    let update = tim_proto::request::UpdateUserProfile::new().with_nick("Alice");
    alice.ask(&update).unwrap();
    assert_eq!(alice.send_message(&message), sent(1, true));
}

#[test]
fn an_online_only_message_is_delivered_once_and_its_id_is_taken() {
    let hub = TestHub::start();
    let (mut alice, mut bob) = (Device::login(&hub, "alice", 1), Device::login(&hub, "bob", 2));
    alice.create_group("g", &[user("bob")]).unwrap();
    for to in [c2c("bob"), group("g")] {
        let before = bob.texts().len();
        let typing = alice.message(to, Text::new("typing"));
        assert_eq!(send_online(&mut alice, &typing), sent(0, false));
        assert_eq!(send_online(&mut alice, &typing), sent(0, true));
        let mut other = alice.message(to, Text::new("other"));
        other.id = typing.id;
        assert_eq!(send_online(&mut alice, &other), REUSED);
        assert_eq!(alice.send_message(&other), REUSED, "nor is it stored");
        // The same message may still be stored: who was offline gets it then.
        let Ok(Reply::Sent {
            sequence,
            duplicate: false,
        }) = alice.send_message(&typing)
        else {
            panic!("not stored")
        };
        assert_ne!(sequence, 0);
        assert_eq!(send_online(&mut alice, &typing), sent(sequence, true));
        assert_eq!(send_online(&mut alice, &other), REUSED);
        bob.until_texts(before + 2);
        assert_eq!(bob.texts()[before..], ["typing", "typing"]);
    }
}

#[test]
fn a_message_to_a_room_is_delivered_once_and_its_id_is_taken() {
    let hub = TestHub::start();
    let (mut alice, mut bob) = (Device::login(&hub, "alice", 1), Device::login(&hub, "bob", 2));
    alice.create(GroupType::AV_CHAT_ROOM, "live", &[]).unwrap();
    assert_eq!(bob.join("live"), Ok(Reply::Joined(JoinStatus::JOINED)));
    let hello = alice.message(group("live"), Text::new("hello"));
    assert_eq!(alice.send_message(&hello), sent(0, false));
    assert_eq!(alice.send_message(&hello), sent(0, true));
    let mut other = alice.message(group("live"), Text::new("other"));
    other.id = hello.id;
    assert_eq!(alice.send_message(&other), REUSED);
    other.id = other.id.successor(1);
    assert_eq!(alice.send_message(&other), sent(0, false));
    bob.until_texts(2);
    assert_eq!(bob.texts(), ["hello", "other"]);
}

#[test]
fn a_second_group_with_the_random_number_of_the_first_is_refused() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let mut make = |name, id: Option<&str>, random| {
        let mut request = CreateGroup::new(GroupType::PUBLIC, name, random);
        request.group = id.map(group_id);
        alice.ask(&request)
    };
    for id in [None, Some("named")] {
        let first = make("cooks", id, 7);
        assert!(first.is_ok());
        assert_eq!(make("cooks", id, 7), first, "the same request");
        assert_eq!(make("bakers", id, 7), REUSED);
    }
    assert!(make("bakers", None, 8).is_ok());
}
