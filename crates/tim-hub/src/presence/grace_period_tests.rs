use super::*;
use crate::presence::grace_period::{GRACE_PERIOD_MS, MAX_ABSENT};
use tim_testkit::{group, user};

/// A device that is logged in, of a user in these stored groups.
fn login(presence: &PresenceRegistry, name: &str, groups: &[&str]) -> Arc<Device> {
    let device = Arc::new(Device::new(user(name), 1, 16));
    presence.enter(&device, 16);
    presence.join(&device, groups.iter().map(|name| (group(name), false)));
    device
}

fn in_room(presence: &PresenceRegistry, name: &str) -> Arc<Device> {
    let device = login(presence, name, &["stored"]);
    presence.enter_av_chat_room(group("room"), &device.user());
    presence.enter_av_chat_room(group("other"), &device.user());
    device
}

fn cut(presence: &PresenceRegistry, device: &Arc<Device>, now_ms: u64) {
    presence.leave(device, Leaving::Cut, now_ms);
}

fn users(presence: &PresenceRegistry, name: &str) -> Vec<UserId> {
    let (mut users, next) = presence.av_chat_room_page(&group(name), 0, 1_000);
    assert_eq!(next, None);
    users.sort_unstable();
    users
}

#[test]
fn a_user_who_comes_back_in_time_has_never_been_away() {
    let presence = PresenceRegistry::default();
    let _alice = in_room(&presence, "alice");
    let bob = in_room(&presence, "bob");
    presence.take_moves(10_000);
    cut(&presence, &bob, 10_000);
    assert!(presence.is_in(&group("room"), &user("bob")) && !presence.is_in(&group("stored"), &user("bob")));
    assert_eq!(presence.av_chat_room_members(&group("room")), 2);
    assert_eq!(users(&presence, "room"), [user("alice"), user("bob")]);
    assert!(presence.devices(&user("bob")).is_empty());
    assert_eq!(presence.next_grace_period_ms(), Some(70_000));
    presence.end_grace_periods(69_999);
    let again = login(&presence, "bob", &["stored"]);
    presence.end_grace_periods(1_000_000);
    for name in ["room", "other", "stored"] {
        let list = presence.group(&group(name));
        let here: Vec<_> = list
            .iter()
            .filter(|device| device.user() == user("bob"))
            .collect();
        assert!(here.len() == 1 && Arc::ptr_eq(here[0], &again), "{name}");
        assert_eq!(presence.av_chat_room_members(&group(name)), 2, "{name}");
    }
    assert_eq!(users(&presence, "room"), [user("alice"), user("bob")]);
    assert!(presence.take_moves(1_000_000).is_empty() && !presence.has_pending());
}

#[test]
fn a_user_who_does_not_come_back_leaves_when_the_grace_period_is_over() {
    let presence = PresenceRegistry::default();
    let _alice = in_room(&presence, "alice");
    let (bob, carol) = (in_room(&presence, "bob"), in_room(&presence, "carol"));
    cut(&presence, &bob, 10_000);
    cut(&presence, &carol, 10_500);
    presence.end_grace_periods(70_499);
    let told = presence.take_moves(70_499);
    assert!(
        told.iter()
            .all(|told| told.left == [user("bob")] && told.members == 2)
    );
    assert_eq!(told.len(), 2);
    assert!(!presence.is_in(&group("room"), &user("bob")));
    // A user who is entering has come back, however long that takes.
    let again = Arc::new(Device::new(user("carol"), 1, 16));
    presence.enter(&again, 16);
    presence.end_grace_periods(100_000);
    assert_eq!(users(&presence, "room"), [user("alice"), user("carol")]);
    cut(&presence, &again, 100_000);
    assert_eq!(presence.next_grace_period_ms(), Some(160_000));
    // The clock was set back: too early rather than never.
    presence.end_grace_periods(5_000);
    assert_eq!(
        (users(&presence, "room"), presence.next_grace_period_ms()),
        (vec![user("alice")], None)
    );
    assert_eq!(presence.tables().counts().0, 1);
}

#[test]
fn a_user_who_logs_out_or_is_in_no_room_is_gone_at_once() {
    let presence = PresenceRegistry::default();
    let bob = in_room(&presence, "bob");
    let carol = login(&presence, "carol", &["stored"]);
    presence.leave(&bob, Leaving::ForGood, 0);
    cut(&presence, &carol, 0);
    assert!(presence.tables().counts() == (0, 0, 0));
    assert_eq!(presence.next_grace_period_ms(), None);
    // Entering again and going for good takes the stand-in along.
    cut(&presence, &in_room(&presence, "bob"), 0);
    presence.leave(&login(&presence, "bob", &[]), Leaving::ForGood, 0);
    assert!(presence.tables().counts() == (0, 0, 0));
    assert!(presence.tables().nobody_is_absent());
}

#[test]
fn an_absent_user_can_be_banned_and_a_room_with_absent_users_can_end() {
    let presence = PresenceRegistry::default();
    let (alice, bob) = (in_room(&presence, "alice"), in_room(&presence, "bob"));
    presence.take_moves(0);
    cut(&presence, &bob, 0);
    presence.leave_av_chat_room_silently(group("room"), &user("bob"));
    assert_eq!(users(&presence, "room"), [user("alice")]);
    assert_eq!(presence.av_chat_room_members(&group("room")), 1);
    assert!(presence.take_moves(10_000).is_empty());
    presence.dismiss(group("other"));
    presence.roster(group("stored"), &[user("bob")], Move::Joined);
    assert!(
        !presence.is_in(&group("other"), &user("bob")) && !presence.is_in(&group("stored"), &user("bob"))
    );
    login(&presence, "bob", &[]);
    presence.leave(&alice, Leaving::ForGood, 0);
    assert!(presence.tables().counts().1 == 0, "nothing is put back");
}

#[test]
fn of_too_many_absent_users_the_first_leave() {
    let presence = PresenceRegistry::default();
    let room = group("room");
    let extra = 3;
    for number in 0..MAX_ABSENT + extra {
        let device = login(&presence, &format!("user{number}"), &[]);
        presence.enter_av_chat_room(room, &device.user());
        cut(&presence, &device, number as u64 / 10_000);
    }
    assert_eq!(presence.av_chat_room_members(&room) as usize, MAX_ABSENT);
    assert_eq!(presence.tables().counts().0, MAX_ABSENT);
    presence.end_grace_periods(GRACE_PERIOD_MS + 100);
    assert!(presence.tables().counts() == (0, 0, 0));
}
