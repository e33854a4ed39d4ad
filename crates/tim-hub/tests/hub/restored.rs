//! A store that is put back from an older copy: nothing is lost in silence, nothing comes twice.

use std::fs;
use std::sync::Arc;

use super::support::{Device, Observed, Reply, TestHub, c2c};

const RESTORED: Observed = Observed::Gap { from: 0, to: 0 };

/// A copy of the hub's data, as a backup is made of it: the hub has stopped.
fn copy(data: &tempfile::TempDir) -> Arc<tempfile::TempDir> {
    let to = tempfile::tempdir().unwrap();
    for file in fs::read_dir(data.path()).unwrap() {
        let file = file.unwrap();
        if !file.file_type().unwrap().is_file() {
            continue;
        }
        fs::copy(file.path(), to.path().join(file.file_name())).unwrap();
    }
    Arc::new(to)
}

fn say(device: &mut Device, to: &str, what: &str, count: u32) -> Vec<String> {
    let texts: Vec<String> = (0..count).map(|n| format!("{what}{n}")).collect();
    for text in &texts {
        device.send(c2c(to), text);
    }
    texts
}

/// What alice said to bob, who has all of it and a page of history, on a copy of the hub's data from before the last 50
/// messages.
fn lost_fifty() -> (TestHub, Device, Arc<tempfile::TempDir>, Vec<u8>) {
    let hub = TestHub::start();
    let (mut alice, mut bob) = (Device::login(&hub, "alice", 1), Device::login(&hub, "bob", 2));
    say(&mut alice, "bob", "old", 50);
    bob.until_texts(50);
    let data = hub.stop();
    let backup = copy(&data);
    let hub = TestHub::start_on(data, |_| ());
    alice.move_to(&hub);
    bob.move_to(&hub);
    say(&mut alice, "bob", "lost", 50);
    bob.until_texts(100);
    bob.until(|device| device.session.is_ready());
    let lost_page = match bob.page(c2c("alice"), &[], 3) {
        Ok(Reply::Page { next, .. }) => next,
        other => panic!("{other:?}"),
    };
    bob.cut();
    drop(alice);
    drop(hub.stop());
    let hub = TestHub::start_on(Arc::clone(&backup), |_| ());
    (hub, bob, backup, lost_page)
}

#[test]
fn a_device_that_knows_more_than_the_store_hears_of_a_gap_and_then_all_that_is_new() {
    let (hub, mut bob, ..) = lost_fifty();
    // More than was lost: by the numbers alone, the device's place would be one that the store knows.
    let mut alice = Device::login(&hub, "alice", 3);
    let new = say(&mut alice, "bob", "new", 80);
    bob.observed.clear();
    bob.move_to(&hub);
    bob.until_texts(80);
    assert_eq!(bob.texts(), new, "all that is new, once");
    let gap = bob.observed.iter().position(|seen| *seen == RESTORED);
    let first = bob
        .observed
        .iter()
        .position(|seen| matches!(seen, Observed::Message { .. }));
    assert!(gap.is_some() && gap < first, "the gap first: {:?}", bob.observed);

    // From then on it is a device like any other.
    bob.cut();
    bob.observed.clear();
    let more = say(&mut alice, "bob", "more", 3);
    bob.until_texts(3);
    assert_eq!(bob.texts(), more);
    assert!(!bob.observed.contains(&RESTORED), "{:?}", bob.observed);
}

#[test]
fn a_gap_is_announced_even_if_nothing_is_new_and_only_once() {
    let (hub, mut bob, ..) = lost_fifty();
    bob.observed.clear();
    bob.move_to(&hub);
    let cursor = bob.session.cursor().to_vec();
    bob.until(|device| device.session.cursor() != cursor);
    assert!(bob.observed.contains(&RESTORED), "{:?}", bob.observed);
    bob.observed.clear();
    bob.cut();
    let mut alice = Device::login(&hub, "alice", 3);
    say(&mut alice, "bob", "new", 1);
    bob.until_texts(1);
    assert!(!bob.observed.contains(&RESTORED), "{:?}", bob.observed);
}

#[test]
fn a_device_that_knows_no_more_than_the_copy_notices_nothing() {
    let hub = TestHub::start();
    let (mut alice, mut bob) = (Device::login(&hub, "alice", 1), Device::login(&hub, "bob", 2));
    say(&mut alice, "bob", "old", 5);
    bob.until_texts(5);
    bob.cut(); // and away while the rest happens
    let last = say(&mut alice, "bob", "kept", 2);
    let data = hub.stop();
    let backup = copy(&data);
    let hub = TestHub::start_on(data, |_| ());
    alice.move_to(&hub);
    say(&mut alice, "bob", "lost", 5);
    drop(alice);
    drop(hub);
    let hub = TestHub::start_on(backup, |_| ());
    let mut alice = Device::login(&hub, "alice", 3);
    let new = say(&mut alice, "bob", "new", 9);
    bob.observed.clear();
    bob.move_to(&hub);
    bob.until_texts(11);
    assert_eq!(bob.texts(), [last, new].concat());
    assert!(!bob.observed.contains(&RESTORED), "{:?}", bob.observed);
}

#[test]
fn a_device_of_the_copy_is_told_when_the_original_comes_back() {
    let (hub, bob, backup, _) = lost_fifty();
    drop(bob);
    let (mut alice, mut carol) = (Device::login(&hub, "alice", 3), Device::login(&hub, "carol", 4));
    let older = copy(&backup);
    say(&mut alice, "carol", "lost", 7);
    carol.until_texts(7);
    carol.cut();
    drop(hub);
    // The second copy was put back: carol's place is of an epoch that is lost in turn.
    let hub = TestHub::start_on(older, |_| ());
    let mut alice = Device::login(&hub, "alice", 5);
    let new = say(&mut alice, "carol", "new", 9);
    carol.observed.clear();
    carol.move_to(&hub);
    carol.until_texts(9);
    assert_eq!(carol.texts(), new);
    assert!(carol.observed.contains(&RESTORED), "{:?}", carol.observed);
}

#[test]
fn a_cursor_that_no_store_gave_out_is_a_gap() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    say(&mut alice, "bob", "old", 3);
    // Of something that is no cursor nothing is known; an epoch that is none of this store's has nothing in common with it.
    for (strange, delivered) in [(&[7][..], 0), (&[0xff; 16], 0), (&[0x7f; 16], 3)] {
        let mut bob = Device::new(&hub, "bob", 2);
        assert!(bob.session.resume_from(strange));
        bob.log_in();
        assert!(bob.observed.contains(&RESTORED), "{:?}", bob.observed);
        assert_eq!(bob.texts().len(), delivered, "{strange:?}");
    }
}

#[test]
fn history_pages_of_a_lost_store_go_on_with_what_the_copy_has() {
    let (hub, mut bob, _, lost_page) = lost_fifty();
    let mut alice = Device::login(&hub, "alice", 3);
    bob.move_to(&hub);
    bob.until(|device| device.session.is_ready());
    let page = |device: &mut Device| match device.page(c2c("alice"), &lost_page, 3) {
        Ok(Reply::Page { texts, .. }) => texts,
        other => panic!("{other:?}"),
    };
    assert_eq!(page(&mut bob), ["old47", "old48", "old49"]);
    say(&mut alice, "bob", "new", 80);
    // The place of the lost page is one of the new messages' by now: those above it came as news.
    assert_eq!(page(&mut bob), ["new44", "new45", "new46"]);
}

#[test]
fn a_device_is_told_that_what_it_was_answered_is_lost() {
    let hub = TestHub::start();
    say(&mut Device::login(&hub, "carol", 3), "bob", "old", 3);
    let data = hub.stop();
    let backup = copy(&data);
    let hub = TestHub::start_on(data, |_| ());
    // Nothing is delivered to her that would move her cursor.
    let mut alice = Device::login(&hub, "alice", 1);
    say(&mut alice, "bob", "lost", 1);
    alice.cut();
    drop(hub.stop());
    let hub = TestHub::start_on(backup, |_| ());
    let mut bob = Device::login(&hub, "bob", 2);
    let new = say(&mut bob, "alice", "new", 3);
    alice.observed.clear();
    alice.move_to(&hub);
    alice.until_texts(3);
    assert_eq!(alice.observed.first(), Some(&RESTORED), "{:?}", alice.observed);
    assert_eq!(alice.texts(), new);

    // She knows that now.
    alice.cut();
    alice.observed.clear();
    say(&mut bob, "alice", "more", 1);
    alice.move_to(&hub);
    alice.until_texts(1);
    assert!(!alice.observed.contains(&RESTORED), "{:?}", alice.observed);
}

#[test]
fn a_device_that_was_answered_goes_on_where_it_was_delivered() {
    let hub = TestHub::start();
    let (mut alice, mut bob) = (Device::login(&hub, "alice", 1), Device::login(&hub, "bob", 2));
    say(&mut bob, "alice", "taken", 2);
    alice.until_texts(2);
    alice.observed.clear();
    let late = say(&mut bob, "alice", "late", 3);
    say(&mut alice, "bob", "own", 1);
    alice.cut();
    alice.move_to(&hub);
    let after = say(&mut bob, "alice", "after", 1);
    alice.until_texts(4);
    assert_eq!(alice.texts(), [late, after].concat(), "each once");
    assert!(!alice.observed.contains(&RESTORED), "{:?}", alice.observed);
}
