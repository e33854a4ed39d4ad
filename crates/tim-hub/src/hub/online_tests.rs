use std::sync::atomic::{AtomicU32, Ordering};

use super::super::device::Life;
use super::super::rate::Bucket;
use super::*;

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn group(name: &str) -> GroupId {
    GroupId::new(name).unwrap()
}

/// A device that has just logged in, each time anew.
fn enter(online: &Online, name: &str, number: u64) -> Arc<Device> {
    static ATTEMPTS: AtomicU32 = AtomicU32::new(0);
    let life = Life {
        session: 1,
        attempt: ATTEMPTS.fetch_add(1, Ordering::Relaxed),
    };
    let device = Arc::new(Device::new(user(name), number, 16).in_life(life));
    assert!(online.enter(&device, 16, Bucket::new(0, 0)));
    device
}

/// A device that is logged in, of a user in these groups.
fn login(online: &Online, name: &str, number: u64, groups: &[&str]) -> Arc<Device> {
    let device = enter(online, name, number);
    online.join(&device, groups.iter().map(|name| (group(name), false)));
    device
}

fn listed(online: &Online, name: &str) -> Vec<u64> {
    let mut numbers: Vec<u64> = online
        .group(&group(name))
        .iter()
        .map(|device| device.number)
        .collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn lists_follow_devices_and_rosters() {
    let online = Online::default();
    let phone = login(&online, "alice", 1, &["a", "b"]);
    let tablet = login(&online, "alice", 2, &["a", "b"]);
    login(&online, "bob", 3, &["b"]);
    assert_eq!(
        (listed(&online, "a"), listed(&online, "b")),
        (vec![1, 2], vec![1, 2, 3])
    );
    online.roster(group("a"), &[user("bob"), user("nobody")], Move::Joined);
    online.roster(group("b"), &[user("alice"), user("nobody")], Move::Left);
    assert_eq!(
        (listed(&online, "a"), listed(&online, "b")),
        (vec![1, 2, 3], vec![3])
    );
    assert!(online.is_in(&group("a"), &user("bob")) && !online.is_in(&group("b"), &user("alice")));
    online.leave(&phone, Leaving::ForGood, 0);
    assert_eq!(listed(&online, "a"), [2, 3]);
    online.leave(&tablet, Leaving::ForGood, 0);
    assert_eq!(listed(&online, "a"), [3]);
    assert_eq!(online.dismiss(group("a")).iter().count(), 1);
    assert!(!online.is_in(&group("a"), &user("bob")));
    assert!(listed(&online, "a").is_empty());
}

#[test]
fn who_is_removed_while_logging_in_is_not_put_back() {
    let online = Online::default();
    // The groups were read before the commit that takes alice out of one of them.
    let device = enter(&online, "alice", 1);
    let read = [(group("a"), false), (group("b"), false)];
    online.roster(group("a"), &[user("alice")], Move::Left);
    online.roster(group("c"), &[user("alice")], Move::Joined);
    online.join(&device, read.into_iter());
    assert_eq!(listed(&online, "a"), [0_u64; 0]);
    assert_eq!((listed(&online, "b"), listed(&online, "c")), (vec![1], vec![1]));
    // Once nobody is entering, nothing of it is remembered: coming back is coming back.
    let tablet = enter(&online, "alice", 2);
    online.roster(group("a"), &[user("alice")], Move::Left);
    online.roster(group("a"), &[user("alice")], Move::Joined);
    online.join(&tablet, read.into_iter());
    assert_eq!(listed(&online, "a"), [1, 2]);
}

#[test]
fn a_group_that_ends_while_somebody_logs_in_is_not_put_back() {
    let online = Online::default();
    let phone = login(&online, "alice", 1, &["a"]);
    // The groups were read before the commit that ends one of them.
    let tablet = enter(&online, "alice", 2);
    let bobs = enter(&online, "bob", 3);
    assert_eq!(online.dismiss(group("a")).iter().count(), 1);
    online.join(&tablet, std::iter::once((group("a"), false)));
    online.join(&bobs, std::iter::once((group("a"), false)));
    assert!(!online.is_in(&group("a"), &user("alice")) && !online.is_in(&group("a"), &user("bob")));
    assert!(online.tables().groups.is_empty());
    assert!(online.tables().entering.is_empty());
    online.leave(&enter(&online, "carol", 4), Leaving::ForGood, 0);
    online.leave(&phone, Leaving::ForGood, 0);
    assert!(online.tables().entering.is_empty());
}

#[test]
fn what_concerns_all_in_a_group_is_known_to_be_old_at_once() {
    let online = Online::default();
    let (a, alice) = (group("a"), user("alice"));
    login(&online, "alice", 1, &["a", "b"]);
    login(&online, "bob", 2, &["b"]);
    let before = online.edition(&a, &alice);
    assert!(before.is_some() && before == online.edition(&a, &alice));
    assert_eq!(online.edition(&a, &user("bob")), None, "is not in it");
    let other = online.edition(&group("b"), &alice);
    online.renew(&a);
    online.renew(&group("nobody's"));
    assert!(online.edition(&a, &alice).is_some() && before != online.edition(&a, &alice));
    assert_eq!(other, online.edition(&group("b"), &alice));
}

#[test]
fn a_replaced_device_leaves_its_places_and_its_room_to_the_new_one() {
    let online = Online::default();
    let old = login(&online, "alice", 1, &["a"]);
    assert!(online.enter_room(group("room"), &user("alice")));
    let new = enter(&online, "alice", 1);
    assert_eq!(listed(&online, "a"), [0_u64; 0]);
    online.join(&new, std::iter::once((group("a"), false)));
    online.leave(&old, Leaving::ForGood, 0);
    assert_eq!(
        (listed(&online, "a"), listed(&online, "room")),
        (vec![1], vec![1])
    );
    assert_eq!(online.room_members(&group("room")), 1);
    assert!(!online.enter_room(group("room"), &user("alice")), "still in it");
    online.leave(&new, Leaving::ForGood, 0);
    assert_eq!(online.room_members(&group("room")), 0);
    assert!(online.tables().groups.is_empty());
}

#[test]
fn a_room_is_told_once_a_second_who_came_and_went() {
    let online = Online::default();
    let room = group("room");
    let devices: Vec<_> = (0..250)
        .map(|n| login(&online, &format!("user{n}"), n, &[]))
        .collect();
    let come = |device: &Arc<Device>| {
        assert!(online.enter_room(room, &device.user));
        online.welcome(room, device.user);
    };
    come(&devices[0]);
    let told = online.take_news(5_000);
    assert_eq!(
        (told.len(), told[0].joined.as_slice(), told[0].members),
        (1, &[user("user0")][..], 1)
    );
    devices.iter().skip(1).for_each(come);
    assert_eq!(
        (online.take_news(5_999), online.next_news_ms()),
        (vec![], Some(6_000))
    );
    online.leave(&devices[0], Leaving::ForGood, 0);
    assert!(
        online.leave_room(room, &user("user1")),
        "came and went: nobody is told"
    );
    let told = online.take_news(6_000);
    assert_eq!(
        (told[0].joined.len(), told[0].left.as_slice()),
        (99, &[user("user0")][..])
    );
    assert_eq!(told[0].members, 248);
    assert_eq!(online.next_news_ms(), None);
    // In pages, each once.
    let (mut seen, mut from) = (Vec::new(), Some(0));
    while let Some(at) = from {
        let (users, next) = online.room_page(&room, at, 100);
        seen.extend(users);
        from = next;
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 248);
}

#[test]
fn a_clock_that_is_set_back_silences_no_room() {
    let online = Online::default();
    let room = group("room");
    for (name, number, now_ms) in [("alice", 1, 3_600_000), ("bob", 2, 5)] {
        let device = login(&online, name, number, &[]);
        online.enter_room(room, &device.user);
        online.welcome(room, device.user);
        assert_eq!(online.take_news(now_ms).len(), 1, "{name}");
    }
}

#[test]
fn a_banned_user_slips_out_without_a_word() {
    let online = Online::default();
    login(&online, "alice", 1, &[]);
    login(&online, "bob", 2, &[]);
    for name in ["alice", "bob"] {
        assert!(online.enter_room(group("room"), &user(name)));
    }
    online.slip_out(group("room"), &user("bob"));
    assert_eq!(
        (online.room_members(&group("room")), listed(&online, "room")),
        (1, vec![1])
    );
    assert!(online.take_news(10_000).is_empty());
}

#[test]
fn a_room_takes_a_hundred_thousand() {
    let online = Online::default();
    let room = group("room");
    let devices: Vec<_> = (0..100_000)
        .map(|n| {
            let device = enter(&online, &format!("user{n}"), n);
            online.join(&device, std::iter::empty());
            device.mailbox().behind = false;
            assert!(online.enter_room(room, &device.user));
            online.welcome(room, device.user);
            device
        })
        .collect();
    assert_eq!(online.room_members(&room), 100_000);
    let hello = bytes::Bytes::from_static(b"hello");
    let normal = tim_proto::Priority::NORMAL;
    let delivery = Arc::new(super::super::device::Delivery::live(
        UserId::SYSTEM,
        0,
        normal,
        hello,
    ));
    // While somebody goes through the list, others come and go.
    let list = online.group(&room);
    let (staying, leaving) = devices.split_at(50_000);
    leaving
        .iter()
        .for_each(|device| online.leave(device, Leaving::ForGood, 0));
    list.iter().for_each(|device| device.deliver(&delivery));
    assert!(devices.iter().all(|device| device.mailbox().live.pop().is_some()));
    online
        .group(&room)
        .iter()
        .for_each(|device| device.deliver(&delivery));
    assert!(staying.iter().all(|device| device.mailbox().live.pop().is_some()));
    assert!(leaving.iter().all(|device| device.mailbox().live.pop().is_none()));
    assert_eq!(Arc::strong_count(&delivery), 1, "nobody keeps it");
    online.dismiss(room);
    assert!(online.tables().groups.is_empty() && online.take_news(u64::MAX).is_empty());
}
