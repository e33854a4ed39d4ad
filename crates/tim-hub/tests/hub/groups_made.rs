//! Groups as they are made, and who is kept out of them.

use std::time::Duration;

use super::support::{Device, Observed, Reply, TestHub, c2c, group_id, user};
use tim_proto::message::Text;
use tim_proto::request::{ChangeOwner, Fetch, GetConversationProfile};
use tim_proto::{ConversationId, ErrorCode, GroupId, GroupType, MemberResult};

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
        alice.create_group("weekend", &[user("carol"), user("bob")]),
        made,
        "the same request again is the same group"
    );
    alice.send(group, "去爬山吗");
    bob.until_texts(1);
    assert!(
        bob.observed
            .contains(&Observed::Tip("群成员:alice,bob,carol,加入群组".to_owned())),
        "{:?}",
        bob.observed
    );
    assert!(
        bob.observed
            .contains(&Observed::Notice("alice邀请你加群:周末去哪".to_owned())),
        "{:?}",
        bob.observed
    );
    // Carol was not there, and had no account before.
    let mut carol = Device::new(&hub, "carol", 3);
    carol.session.resume_from_start();
    carol.log_in();
    assert_eq!(carol.texts(), ["去爬山吗"]);
    assert_eq!(carol.conversations().len(), 2, "the group and the system");
    let profile = carol.ask(&GetConversationProfile::new(group));
    assert_eq!(
        profile,
        Ok(Reply::Profile {
            members: 3,
            unread: 2
        })
    );
    let message = eve.message(group, Text::new("let me in"));
    assert_eq!(eve.send_message(&message), Err(ErrorCode::GROUP_PERMISSION_DENY));
    assert_eq!(eve.page(group, &[], 0), Err(ErrorCode::GROUP_PERMISSION_DENY));
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
    let fetch = |eve: &mut Device, sequence| eve.ask(&Fetch::new(group, sequence, 0, 10));
    assert_eq!(fetch(&mut eve, sequence), there);
    assert_eq!(fetch(&mut eve, sequence + 1), there);
    let mark = tim_proto::request::MarkRead::new(group);
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
    let profile = alice.ask(&GetConversationProfile::new(ConversationId::Group(
        GroupId::new("crowd").unwrap(),
    )));
    assert_eq!(
        profile,
        Ok(Reply::Profile {
            members: 5_901,
            unread: 1
        })
    );
}

#[test]
fn a_repeated_request_with_another_type_lets_nobody_in() {
    let hub = TestHub::start();
    let (mut eve, mut bob) = (Device::login(&hub, "eve", 1), Device::login(&hub, "bob", 2));
    let group = ConversationId::Group(group_id("g"));
    eve.create_group("g", &[user("bob")]).unwrap();
    let to_bob = ChangeOwner::new(group_id("g"), user("bob"));
    assert_eq!(eve.ask(&to_bob), Ok(Reply::Done));
    let removed = vec![("eve".to_owned(), MemberResult::REMOVED)];
    assert_eq!(bob.remove("g", &["eve"]), Ok(Reply::Members(removed)));
    eve.until_notice(4);
    let _ = eve.create(GroupType::AV_CHAT_ROOM, "g", &[]);
    bob.send(group, "eve is gone");
    bob.send(c2c("eve"), "end");
    eve.until_texts(1);
    assert_eq!(eve.texts(), ["end"]);
}
