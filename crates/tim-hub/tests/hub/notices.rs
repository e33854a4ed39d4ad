//! The notices of groups are a conversation like any other: paged, counted, marked read (S6, S9, S131, S182, S198).

use tim_hub::Audience;
use tim_proto::{ConversationId, ErrorCode, GroupType};

use super::support::{Device, Observed, Reply, TestHub, group_id, user};

#[test]
fn notices_are_paged_counted_and_marked_read() {
    let hub = TestHub::start();
    let (mut alice, mut bob) = (Device::login(&hub, "alice", 1), Device::login(&hub, "bob", 2));
    let mut tablet = Device::login(&hub, "bob", 3);
    alice.create_group("g", &[user("bob")]).unwrap();
    for n in 0..20 {
        let text = format!("maintenance {n}");
        hub.tell(async |hub| hub.notify_group(group_id("g"), Audience::Everybody, &text).await)
            .unwrap();
    }
    // Twenty, and the one that told of the group: the last of which is shown in the list.
    bob.until(|device| device.notices.len() == 21);
    assert_eq!(bob.notices[20].custom, "maintenance 19");
    let system = |list: Vec<(String, u32, String)>| {
        let found = list.into_iter().find(|(id, _, _)| id == "@TIM#SYSTEM");
        found.map(|(_, unread, _)| unread)
    };
    assert_eq!(system(bob.conversations()), Some(21));
    assert_eq!(
        system(alice.conversations()),
        Some(20),
        "not that she made the group herself"
    );
    let (mut next, mut all) = (Vec::new(), Vec::new());
    for (len, last) in [(15, false), (6, true)] {
        let page = bob.page(ConversationId::System, &next, 0);
        let Ok(Reply::Page {
            sequences,
            next: following,
            completed,
            ..
        }) = page
        else {
            panic!()
        };
        assert_eq!((sequences.len(), completed), (len, last));
        all.splice(0..0, sequences);
        next = following;
    }
    assert_eq!(all, (1..=21).collect::<Vec<u64>>());
    assert_eq!(bob.read(ConversationId::System), 0);
    let read = Observed::Conversation {
        conversation: "@TIM#SYSTEM".to_owned(),
        unread: 0,
        deleted: false,
    };
    tablet.until(|device| device.observed.contains(&read));
    assert_eq!(system(tablet.conversations()), Some(0));
    hub.tell(async |hub| {
        hub.notify_group(group_id("g"), Audience::Users(&[user("bob"), user("eve")]), "you")
            .await
    })
    .unwrap();
    bob.until(|device| device.notices.len() == 22);
    assert_eq!(
        (system(bob.conversations()), system(alice.conversations())),
        (Some(1), Some(20))
    );
    hub.tell(async |hub| {
        hub.notify_group(group_id("g"), Audience::Users(&[]), "nobody")
            .await
    })
    .unwrap();
    assert_eq!(system(alice.conversations()), Some(20));
    let none = hub.tell(async |hub| hub.notify_group(group_id("none"), Audience::Everybody, "x").await);
    assert!(none.is_err());
}

#[test]
fn a_group_that_is_reclaimed_is_no_more() {
    let hub = TestHub::start();
    let (mut alice, mut bob) = (Device::login(&hub, "alice", 1), Device::login(&hub, "bob", 2));
    alice.create(GroupType::COMMUNITY, "g", &[user("bob")]).unwrap();
    hub.tell(async |hub| hub.reclaim_group(group_id("g")).await)
        .unwrap();
    for device in [&mut alice, &mut bob] {
        device.until_notice(11);
        assert_eq!(device.profile("g"), Err(ErrorCode::GROUP_NOT_FOUND));
    }
    assert!(
        hub.tell(async |hub| hub.reclaim_group(group_id("none")).await)
            .is_err()
    );
}
