use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::device::{Delivery, LoginId};
use tim_testkit::{group, user};

/// A device that has just logged in, each time anew.
fn enter(presence: &PresenceRegistry, name: &str, number: u64) -> Arc<Device> {
    static ATTEMPTS: AtomicU32 = AtomicU32::new(0);
    let login = LoginId {
        session: 1,
        attempt: ATTEMPTS.fetch_add(1, Ordering::Relaxed),
    };
    let device = Arc::new(Device::new(user(name), number, 16).with_login(login));
    assert!(presence.enter(&device, 16));
    device
}

/// A device that is logged in, of a user in these groups.
fn login(presence: &PresenceRegistry, name: &str, number: u64, groups: &[&str]) -> Arc<Device> {
    let device = enter(presence, name, number);
    presence.join(&device, groups.iter().map(|name| (group(name), false)));
    device
}

fn listed(presence: &PresenceRegistry, name: &str) -> Vec<u64> {
    let mut numbers: Vec<u64> = presence
        .group(&group(name))
        .iter()
        .map(|device| device.number())
        .collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn lists_follow_devices_and_rosters() {
    let presence = PresenceRegistry::default();
    let phone = login(&presence, "alice", 1, &["a", "b"]);
    let tablet = login(&presence, "alice", 2, &["a", "b"]);
    login(&presence, "bob", 3, &["b"]);
    assert_eq!(
        (listed(&presence, "a"), listed(&presence, "b")),
        (vec![1, 2], vec![1, 2, 3])
    );
    presence.roster(group("a"), &[user("bob"), user("nobody")], Move::Joined);
    presence.roster(group("b"), &[user("alice"), user("nobody")], Move::Left);
    assert_eq!(
        (listed(&presence, "a"), listed(&presence, "b")),
        (vec![1, 2, 3], vec![3])
    );
    assert!(presence.is_in(&group("a"), &user("bob")) && !presence.is_in(&group("b"), &user("alice")));
    presence.leave(&phone, Leaving::ForGood, 0);
    assert_eq!(listed(&presence, "a"), [2, 3]);
    presence.leave(&tablet, Leaving::ForGood, 0);
    assert_eq!(listed(&presence, "a"), [3]);
    assert_eq!(presence.dismiss(group("a")).iter().count(), 1);
    assert!(!presence.is_in(&group("a"), &user("bob")));
    assert!(listed(&presence, "a").is_empty());
}

#[test]
fn a_user_removed_while_logging_in_is_not_put_back() {
    let presence = PresenceRegistry::default();
    // The groups were read before the commit that takes alice out of one of them.
    let device = enter(&presence, "alice", 1);
    let read = [(group("a"), false), (group("b"), false)];
    presence.roster(group("a"), &[user("alice")], Move::Left);
    presence.roster(group("c"), &[user("alice")], Move::Joined);
    presence.join(&device, read.into_iter());
    assert_eq!(listed(&presence, "a"), [0_u64; 0]);
    assert_eq!(
        (listed(&presence, "b"), listed(&presence, "c")),
        (vec![1], vec![1])
    );
    // Once nobody is entering, nothing of it is remembered: a user who comes back is in again.
    let tablet = enter(&presence, "alice", 2);
    presence.roster(group("a"), &[user("alice")], Move::Left);
    presence.roster(group("a"), &[user("alice")], Move::Joined);
    presence.join(&tablet, read.into_iter());
    assert_eq!(listed(&presence, "a"), [1, 2]);
}

#[test]
fn a_group_that_ends_while_somebody_logs_in_is_not_put_back() {
    let presence = PresenceRegistry::default();
    let phone = login(&presence, "alice", 1, &["a"]);
    // The groups were read before the commit that ends one of them.
    let tablet = enter(&presence, "alice", 2);
    let bobs = enter(&presence, "bob", 3);
    assert_eq!(presence.dismiss(group("a")).iter().count(), 1);
    presence.join(&tablet, std::iter::once((group("a"), false)));
    presence.join(&bobs, std::iter::once((group("a"), false)));
    assert!(!presence.is_in(&group("a"), &user("alice")) && !presence.is_in(&group("a"), &user("bob")));
    assert!(presence.tables().counts().1 == 0);
    assert!(presence.tables().counts().2 == 0);
    presence.leave(&enter(&presence, "carol", 4), Leaving::ForGood, 0);
    presence.leave(&phone, Leaving::ForGood, 0);
    assert!(presence.tables().counts().2 == 0);
}

#[test]
fn a_change_for_all_members_advances_the_epoch_of_the_group() {
    let presence = PresenceRegistry::default();
    let (a, alice) = (group("a"), user("alice"));
    login(&presence, "alice", 1, &["a", "b"]);
    login(&presence, "bob", 2, &["b"]);
    let before = presence.epoch(&a, &alice);
    assert!(before.is_some() && before == presence.epoch(&a, &alice));
    assert_eq!(presence.epoch(&a, &user("bob")), None, "is not in it");
    let other = presence.epoch(&group("b"), &alice);
    presence.advance_epoch(&a);
    presence.advance_epoch(&group("nobody's"));
    assert!(presence.epoch(&a, &alice).is_some() && before != presence.epoch(&a, &alice));
    assert_eq!(other, presence.epoch(&group("b"), &alice));
}

#[test]
fn a_replaced_device_leaves_its_groups_to_the_new_one() {
    let presence = PresenceRegistry::default();
    let old = login(&presence, "alice", 1, &["a"]);
    assert!(presence.enter_av_chat_room(group("room"), &user("alice")));
    let new = enter(&presence, "alice", 1);
    assert_eq!(listed(&presence, "a"), [0_u64; 0]);
    presence.join(&new, std::iter::once((group("a"), false)));
    presence.leave(&old, Leaving::ForGood, 0);
    assert_eq!(
        (listed(&presence, "a"), listed(&presence, "room")),
        (vec![1], vec![1])
    );
    assert_eq!(presence.av_chat_room_members(&group("room")), 1);
    assert!(
        !presence.enter_av_chat_room(group("room"), &user("alice")),
        "still in it"
    );
    presence.leave(&new, Leaving::ForGood, 0);
    assert_eq!(presence.av_chat_room_members(&group("room")), 0);
    assert!(presence.tables().counts().1 == 0);
}

#[test]
fn a_room_is_told_once_a_second_who_came_and_went() {
    let presence = PresenceRegistry::default();
    let room = group("room");
    let devices: Vec<_> = (0..250)
        .map(|n| login(&presence, &format!("user{n}"), n, &[]))
        .collect();
    let come = |device: &Arc<Device>| {
        assert!(presence.enter_av_chat_room(room, &device.user()));
        presence.announce(room, device.user());
    };
    come(&devices[0]);
    let told = presence.take_moves(5_000);
    assert_eq!(
        (told.len(), told[0].joined.as_slice(), told[0].members),
        (1, &[user("user0")][..], 1)
    );
    devices.iter().skip(1).for_each(come);
    assert_eq!(
        (presence.take_moves(5_999), presence.next_moves_ms()),
        (vec![], Some(6_000))
    );
    presence.leave(&devices[0], Leaving::ForGood, 0);
    assert!(
        presence.leave_av_chat_room(room, &user("user1")),
        "came and left: nobody is told"
    );
    let told = presence.take_moves(6_000);
    assert_eq!(
        (told[0].joined.len(), told[0].left.as_slice()),
        (99, &[user("user0")][..])
    );
    assert_eq!(told[0].members, 248);
    assert_eq!(presence.next_moves_ms(), None);
    // In pages, each once.
    let (mut seen, mut from) = (Vec::new(), Some(0));
    while let Some(at) = from {
        let (users, next) = presence.av_chat_room_page(&room, at, 100);
        seen.extend(users);
        from = next;
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 248);
}

#[test]
fn a_clock_that_is_set_back_silences_no_room() {
    let presence = PresenceRegistry::default();
    let room = group("room");
    for (name, number, now_ms) in [("alice", 1, 3_600_000), ("bob", 2, 5)] {
        let device = login(&presence, name, number, &[]);
        presence.enter_av_chat_room(room, &device.user());
        presence.announce(room, device.user());
        assert_eq!(presence.take_moves(now_ms).len(), 1, "{name}");
    }
}

#[test]
fn a_banned_user_leaves_silently() {
    let presence = PresenceRegistry::default();
    login(&presence, "alice", 1, &[]);
    login(&presence, "bob", 2, &[]);
    for name in ["alice", "bob"] {
        assert!(presence.enter_av_chat_room(group("room"), &user(name)));
    }
    presence.leave_av_chat_room_silently(group("room"), &user("bob"));
    assert_eq!(
        (
            presence.av_chat_room_members(&group("room")),
            listed(&presence, "room")
        ),
        (1, vec![1])
    );
    assert!(presence.take_moves(10_000).is_empty());
}

#[test]
fn a_room_takes_a_hundred_thousand() {
    let presence = PresenceRegistry::default();
    let room = group("room");
    let devices: Vec<_> = (0..100_000)
        .map(|n| {
            let device = enter(&presence, &format!("user{n}"), n);
            presence.join(&device, std::iter::empty());
            assert!(device.mailbox().take_behind());
            assert!(presence.enter_av_chat_room(room, &device.user()));
            presence.announce(room, device.user());
            device
        })
        .collect();
    assert_eq!(presence.av_chat_room_members(&room), 100_000);
    let hello = bytes::Bytes::from_static(b"hello");
    let normal = tim_proto::Priority::NORMAL;
    let delivery = Arc::new(Delivery::live(UserId::SYSTEM, 0, normal, hello));
    // While somebody goes through the list, others come and go.
    let list = presence.group(&room);
    let (staying, leaving) = devices.split_at(50_000);
    leaving
        .iter()
        .for_each(|device| presence.leave(device, Leaving::ForGood, 0));
    assert!(!list.iter().any(|device| device.deliver(&delivery)));
    assert!(
        devices
            .iter()
            .all(|device| device.mailbox().next_live().is_some())
    );
    presence
        .group(&room)
        .iter()
        .for_each(|device| assert!(!device.deliver(&delivery)));
    assert!(
        staying
            .iter()
            .all(|device| device.mailbox().next_live().is_some())
    );
    assert!(
        leaving
            .iter()
            .all(|device| device.mailbox().next_live().is_none())
    );
    assert_eq!(Arc::strong_count(&delivery), 1, "nobody keeps it");
    presence.dismiss(room);
    assert!(presence.tables().counts().1 == 0 && presence.take_moves(u64::MAX).is_empty());
}
