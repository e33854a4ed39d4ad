//! History, page by page.

use tim_proto::GroupId;

use super::{World, texts};
use crate::{LogKey, PageRequest, Write, Written};

/// All pages from the newest back.
fn walk(world: &World, log: LogKey, limit: usize) -> Vec<u64> {
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = world.page(log, before, limit);
        assert!(page.entries.len() <= limit);
        assert!(
            page.entries.is_sorted_by_key(|entry| entry.sequence),
            "oldest first"
        );
        seen.extend(page.entries.iter().rev().map(|entry| entry.sequence));
        before = Some(page.next);
        if page.completed {
            let further = world.page(log, before, limit);
            assert!(further.entries.is_empty() && further.completed, "and stays so");
            return seen;
        }
        assert_eq!(page.entries.len(), limit, "only the last page is short");
    }
}

pub fn pages_walk_the_whole_history_once(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let log = LogKey::c2c(alice, bob);
    for count in 1..=46 {
        world.say(log, if count % 3 == 0 { alice } else { bob }, "x");
        let newest_first: Vec<u64> = (1..=count).rev().collect();
        assert_eq!(walk(world, log, 15), newest_first, "after {count} messages");
    }
    assert_eq!(walk(world, log, 1), (1..=46).rev().collect::<Vec<u64>>());
    let request = PageRequest {
        log,
        before: None,
        after: 40,
        limit: 15,
        max_bytes: usize::MAX,
    };
    let page = world.reader().page(&request).unwrap();
    assert_eq!(
        (page.entries.len(), page.next, page.completed),
        (6, 41, true),
        "not below the floor"
    );
}

pub fn a_page_is_stable_while_others_append(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let log = LogKey::c2c(alice, bob);
    for _ in 0..30 {
        world.say(log, alice, "old");
    }
    let first = world.page(log, None, 10);
    let second_before = world.page(log, Some(first.next), 10);
    for _ in 0..30 {
        world.say(log, bob, "new");
    }
    assert_eq!(world.page(log, Some(first.next), 10), second_before);
    assert_eq!(second_before.entries[0].sequence, 11);
}

pub fn pages_skip_revocations_exactly(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let log = LogKey::c2c(alice, bob);
    for count in 1..=20u64 {
        let stored = world.say(log, alice, &count.to_string());
        let revoke = super::revoke::by(world, log, stored.sequence, alice);
        assert!(matches!(
            world.write(Write::Revoke(revoke)),
            Ok(Written::Revoked { already: false, .. })
        ));
    }
    for limit in [1, 3, 15] {
        let odd: Vec<u64> = (1..=40).rev().filter(|sequence| sequence % 2 == 1).collect();
        assert_eq!(
            walk(world, log, limit),
            odd,
            "messages at odd places, revocations between"
        );
    }
    assert!(
        world
            .page(log, None, 15)
            .entries
            .iter()
            .all(|entry| entry.is_revoked())
    );
}

pub fn bytes_are_limited(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let log = LogKey::c2c(alice, bob);
    for size in [10, 10, 100, 10] {
        world.say(log, alice, &"x".repeat(size));
    }
    let page = |before, max_bytes| {
        let request = PageRequest {
            log,
            before,
            after: 0,
            limit: 15,
            max_bytes,
        };
        let page = world.reader().page(&request).unwrap();
        (page.entries.len(), page.next, page.completed)
    };
    assert_eq!(page(None, 50), (1, 4, false));
    assert_eq!(
        page(Some(4), 50),
        (1, 3, false),
        "one goes through whatever its size"
    );
    assert_eq!(page(Some(3), 20), (2, 1, true), "exactly full");
    assert_eq!(page(None, 130), (4, 1, true));
}

pub fn an_unknown_log_is_an_empty_completed_page(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let missing = LogKey::Group(GroupId::new("missing").unwrap());
    for log in [LogKey::c2c(alice, bob), missing, LogKey::System(alice)] {
        let page = world.page(log, None, 15);
        assert!(page.entries.is_empty() && page.completed);
        assert_eq!(world.reader().conversation(&alice, &log), Ok(None));
    }
}

pub fn pages_and_changes_meet(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let log = LogKey::c2c(alice, bob);
    for count in 0..25 {
        world.say(log, alice, &count.to_string());
    }
    let cursor = world.reader().head_change().unwrap();
    for count in 25..40 {
        world.say(log, bob, &count.to_string());
    }
    // A device that takes the cursor, then history from before it and changes from behind it, has each entry once.
    let behind = world.changes(alice, cursor, 100);
    let newer = texts(behind.entries.iter().map(|change| &change.entry));
    let first_new = behind.entries[0].entry.sequence;
    let older = texts(&world.page(log, Some(first_new), 100).entries);
    let all: Vec<String> = (0..40).map(|count| count.to_string()).collect();
    assert_eq!([older, newer].concat(), all);
}
