use super::*;
use crate::admission::token_bucket::Bucket;
use crate::presence::registry::{Leaving, Move};

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn group(name: &str) -> GroupId {
    GroupId::new(name).unwrap()
}

/// A device that is logged in, of a user in these stored groups.
fn login(presence: &PresenceRegistry, name: &str, groups: &[&str]) -> Arc<Device> {
    let device = Arc::new(Device::new(user(name), 1, 16));
    presence.enter(&device, 16, Bucket::new(10, 0));
    presence.join(&device, groups.iter().map(|name| (group(name), false)));
    device
}

fn in_room(presence: &PresenceRegistry, name: &str) -> Arc<Device> {
    let device = login(presence, name, &["stored"]);
    presence.enter_room(group("room"), &device.user);
    presence.enter_room(group("other"), &device.user);
    device
}

fn cut(presence: &PresenceRegistry, device: &Arc<Device>, now_ms: u64) {
    presence.leave(device, Leaving::Cut, now_ms);
}

fn users(presence: &PresenceRegistry, name: &str) -> Vec<UserId> {
    let (mut users, next) = presence.room_page(&group(name), 0, 1_000);
    assert_eq!(next, None);
    users.sort_unstable();
    users
}

#[test]
fn who_comes_back_in_time_has_never_been_away() {
    let presence = PresenceRegistry::default();
    let _alice = in_room(&presence, "alice");
    let bob = in_room(&presence, "bob");
    presence.take_news(10_000);
    cut(&presence, &bob, 10_000);
    assert!(presence.is_in(&group("room"), &user("bob")) && !presence.is_in(&group("stored"), &user("bob")));
    assert_eq!(presence.room_members(&group("room")), 2);
    assert_eq!(users(&presence, "room"), [user("alice"), user("bob")]);
    assert!(presence.devices(&user("bob")).is_empty());
    assert_eq!(presence.next_turn_ms(), Some(70_000));
    presence.let_absent_go(69_999);
    let again = login(&presence, "bob", &["stored"]);
    presence.let_absent_go(1_000_000);
    for name in ["room", "other", "stored"] {
        let list = presence.group(&group(name));
        let here: Vec<_> = list.iter().filter(|device| device.user == user("bob")).collect();
        assert!(here.len() == 1 && Arc::ptr_eq(here[0], &again), "{name}");
        assert_eq!(presence.room_members(&group(name)), 2, "{name}");
    }
    assert_eq!(users(&presence, "room"), [user("alice"), user("bob")]);
    assert!(presence.take_news(1_000_000).is_empty() && presence.next_turn_ms().is_none());
}

#[test]
fn who_does_not_come_back_leaves_when_the_grace_is_over() {
    let presence = PresenceRegistry::default();
    let _alice = in_room(&presence, "alice");
    let (bob, carol) = (in_room(&presence, "bob"), in_room(&presence, "carol"));
    cut(&presence, &bob, 10_000);
    cut(&presence, &carol, 10_500);
    presence.let_absent_go(70_499);
    let told = presence.take_news(70_499);
    assert!(
        told.iter()
            .all(|told| told.left == [user("bob")] && told.members == 2)
    );
    assert_eq!(told.len(), 2);
    assert!(!presence.is_in(&group("room"), &user("bob")));
    // Who is entering has come back, however long it takes.
    let again = Arc::new(Device::new(user("carol"), 1, 16));
    presence.enter(&again, 16, Bucket::new(0, 0));
    presence.let_absent_go(100_000);
    assert_eq!(users(&presence, "room"), [user("alice"), user("carol")]);
    cut(&presence, &again, 100_000);
    assert_eq!(presence.next_absent_ms(), Some(160_000));
    // The clock was set back: too early rather than never.
    presence.let_absent_go(5_000);
    assert_eq!(
        (users(&presence, "room"), presence.next_absent_ms()),
        (vec![user("alice")], None)
    );
    assert_eq!(presence.tables().users.len(), 1);
}

#[test]
fn who_wants_to_go_or_is_in_no_room_is_gone_at_once() {
    let presence = PresenceRegistry::default();
    let bob = in_room(&presence, "bob");
    let carol = login(&presence, "carol", &["stored"]);
    presence.leave(&bob, Leaving::ForGood, 0);
    cut(&presence, &carol, 0);
    assert!(presence.tables().users.is_empty() && presence.tables().groups.is_empty());
    assert_eq!(presence.next_absent_ms(), None);
    // Entering again and going for good takes the stand-in along.
    cut(&presence, &in_room(&presence, "bob"), 0);
    presence.leave(&login(&presence, "bob", &[]), Leaving::ForGood, 0);
    assert!(presence.tables().users.is_empty() && presence.tables().groups.is_empty());
    assert!(presence.tables().absent.is_empty());
}

#[test]
fn an_absent_user_can_be_banned_and_a_room_with_absent_users_can_end() {
    let presence = PresenceRegistry::default();
    let (alice, bob) = (in_room(&presence, "alice"), in_room(&presence, "bob"));
    presence.take_news(0);
    cut(&presence, &bob, 0);
    presence.slip_out(group("room"), &user("bob"));
    assert_eq!(users(&presence, "room"), [user("alice")]);
    assert_eq!(presence.room_members(&group("room")), 1);
    assert!(presence.take_news(10_000).is_empty());
    presence.dismiss(group("other"));
    presence.roster(group("stored"), &[user("bob")], Move::Joined);
    assert!(
        !presence.is_in(&group("other"), &user("bob")) && !presence.is_in(&group("stored"), &user("bob"))
    );
    login(&presence, "bob", &[]);
    presence.leave(&alice, Leaving::ForGood, 0);
    assert!(presence.tables().groups.is_empty(), "nothing is put back");
}

#[test]
fn coming_back_fills_no_bucket() {
    let presence = PresenceRegistry::default();
    let bob = in_room(&presence, "bob");
    assert!(
        (0..20).all(|_| presence.may_send(&bob.user, 0, 1).is_ok())
            && presence.may_send(&bob.user, 0, 1).is_err()
    );
    cut(&presence, &bob, 0);
    login(&presence, "bob", &[]);
    assert!(presence.may_send(&bob.user, 0, 1).is_err());
    assert!(presence.may_send(&bob.user, 1_000, 1).is_ok());
}

#[test]
fn of_too_many_absent_users_the_first_leave() {
    let presence = PresenceRegistry::default();
    let room = group("room");
    let extra = 3;
    for number in 0..MAX_ABSENT + extra {
        let device = login(&presence, &format!("user{number}"), &[]);
        presence.enter_room(room, &device.user);
        cut(&presence, &device, number as u64 / 10_000);
    }
    assert_eq!(presence.room_members(&room) as usize, MAX_ABSENT);
    assert_eq!(presence.tables().users.len(), MAX_ABSENT);
    presence.let_absent_go(GRACE_MS + 100);
    assert!(presence.tables().users.is_empty() && presence.tables().groups.is_empty());
}
