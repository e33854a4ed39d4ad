use super::super::online::{Leaving, Move};
use super::super::rate::Bucket;
use super::*;

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn group(name: &str) -> GroupId {
    GroupId::new(name).unwrap()
}

/// A device that is logged in, of a user in these stored groups.
fn login(online: &Online, name: &str, groups: &[&str]) -> Arc<Device> {
    let device = Arc::new(Device::new(user(name), 1, 16));
    online.enter(&device, 16, Bucket::new(10, 0));
    online.join(&device, groups.iter().map(|name| (group(name), false)));
    device
}

fn in_room(online: &Online, name: &str) -> Arc<Device> {
    let device = login(online, name, &["stored"]);
    online.enter_room(group("room"), &device.user);
    online.enter_room(group("other"), &device.user);
    device
}

fn cut(online: &Online, device: &Arc<Device>, now_ms: u64) {
    online.leave(device, Leaving::Cut, now_ms);
}

fn users(online: &Online, name: &str) -> Vec<UserId> {
    let (mut users, next) = online.room_page(&group(name), 0, 1_000);
    assert_eq!(next, None);
    users.sort_unstable();
    users
}

#[test]
fn who_comes_back_in_time_has_never_been_away() {
    let online = Online::default();
    let _alice = in_room(&online, "alice");
    let bob = in_room(&online, "bob");
    online.take_news(10_000);
    cut(&online, &bob, 10_000);
    assert!(online.is_in(&group("room"), &user("bob")) && !online.is_in(&group("stored"), &user("bob")));
    assert_eq!(online.room_members(&group("room")), 2);
    assert_eq!(users(&online, "room"), [user("alice"), user("bob")]);
    assert!(online.devices(&user("bob")).is_empty());
    assert_eq!(online.next_turn_ms(), Some(70_000));
    online.let_absent_go(69_999);
    let again = login(&online, "bob", &["stored"]);
    online.let_absent_go(1_000_000);
    for name in ["room", "other", "stored"] {
        let list = online.group(&group(name));
        let here: Vec<_> = list.iter().filter(|device| device.user == user("bob")).collect();
        assert!(here.len() == 1 && Arc::ptr_eq(here[0], &again), "{name}");
        assert_eq!(online.room_members(&group(name)), 2, "{name}");
    }
    assert_eq!(users(&online, "room"), [user("alice"), user("bob")]);
    assert!(online.take_news(1_000_000).is_empty() && online.next_turn_ms().is_none());
}

#[test]
fn who_does_not_come_back_leaves_when_the_grace_is_over() {
    let online = Online::default();
    let _alice = in_room(&online, "alice");
    let (bob, carol) = (in_room(&online, "bob"), in_room(&online, "carol"));
    cut(&online, &bob, 10_000);
    cut(&online, &carol, 10_500);
    online.let_absent_go(70_499);
    let told = online.take_news(70_499);
    assert!(
        told.iter()
            .all(|told| told.left == [user("bob")] && told.members == 2)
    );
    assert_eq!(told.len(), 2);
    assert!(!online.is_in(&group("room"), &user("bob")));
    // Who is entering has come back, however long it takes.
    let again = Arc::new(Device::new(user("carol"), 1, 16));
    online.enter(&again, 16, Bucket::new(0, 0));
    online.let_absent_go(100_000);
    assert_eq!(users(&online, "room"), [user("alice"), user("carol")]);
    cut(&online, &again, 100_000);
    assert_eq!(online.next_absent_ms(), Some(160_000));
    // The clock was set back: too early rather than never.
    online.let_absent_go(5_000);
    assert_eq!(
        (users(&online, "room"), online.next_absent_ms()),
        (vec![user("alice")], None)
    );
    assert_eq!(online.tables().users.len(), 1);
}

#[test]
fn who_wants_to_go_or_is_in_no_room_is_gone_at_once() {
    let online = Online::default();
    let bob = in_room(&online, "bob");
    let carol = login(&online, "carol", &["stored"]);
    online.leave(&bob, Leaving::ForGood, 0);
    cut(&online, &carol, 0);
    assert!(online.tables().users.is_empty() && online.tables().groups.is_empty());
    assert_eq!(online.next_absent_ms(), None);
    // Entering again and going for good takes the stand-in along.
    cut(&online, &in_room(&online, "bob"), 0);
    online.leave(&login(&online, "bob", &[]), Leaving::ForGood, 0);
    assert!(online.tables().users.is_empty() && online.tables().groups.is_empty());
    assert!(online.tables().absent.is_empty());
}

#[test]
fn an_absent_user_can_be_banned_and_a_room_with_absent_users_can_end() {
    let online = Online::default();
    let (alice, bob) = (in_room(&online, "alice"), in_room(&online, "bob"));
    online.take_news(0);
    cut(&online, &bob, 0);
    online.slip_out(group("room"), &user("bob"));
    assert_eq!(users(&online, "room"), [user("alice")]);
    assert_eq!(online.room_members(&group("room")), 1);
    assert!(online.take_news(10_000).is_empty());
    online.dismiss(group("other"));
    online.roster(group("stored"), &[user("bob")], Move::Joined);
    assert!(!online.is_in(&group("other"), &user("bob")) && !online.is_in(&group("stored"), &user("bob")));
    login(&online, "bob", &[]);
    online.leave(&alice, Leaving::ForGood, 0);
    assert!(online.tables().groups.is_empty(), "nothing is put back");
}

#[test]
fn coming_back_fills_no_bucket() {
    let online = Online::default();
    let bob = in_room(&online, "bob");
    assert!(
        (0..20).all(|_| online.may_send(&bob.user, 0, 1).is_ok())
            && online.may_send(&bob.user, 0, 1).is_err()
    );
    cut(&online, &bob, 0);
    login(&online, "bob", &[]);
    assert!(online.may_send(&bob.user, 0, 1).is_err());
    assert!(online.may_send(&bob.user, 1_000, 1).is_ok());
}

#[test]
fn of_too_many_absent_users_the_first_leave() {
    let online = Online::default();
    let room = group("room");
    let extra = 3;
    for number in 0..MAX_ABSENT + extra {
        let device = login(&online, &format!("user{number}"), &[]);
        online.enter_room(room, &device.user);
        cut(&online, &device, number as u64 / 10_000);
    }
    assert_eq!(online.room_members(&room) as usize, MAX_ABSENT);
    assert_eq!(online.tables().users.len(), MAX_ABSENT);
    online.let_absent_go(GRACE_MS + 100);
    assert!(online.tables().users.is_empty() && online.tables().groups.is_empty());
}
