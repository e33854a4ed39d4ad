//! Catching up behind a cursor.

use super::{DAY_MS, World, texts};
use crate::{ChangesRequest, Cursor, LogKey, ResumePoint, Write};

/// Catches up in steps of `limit` and returns the changes' numbers.
pub fn catch_up(world: &World, user: tim_proto::UserId, mut cursor: u64, limit: usize) -> Vec<u64> {
    let mut seen = Vec::new();
    loop {
        let changes = world.changes(user, cursor, limit);
        assert!(changes.entries.len() <= limit);
        assert!(changes.cursor >= cursor);
        seen.extend(changes.entries.iter().map(|change| change.entry.change));
        cursor = changes.cursor;
        if !changes.more {
            assert_eq!(cursor, world.reader().head_change().unwrap());
            return seen;
        }
    }
}

pub fn a_device_gets_everything_once_and_in_order(world: &mut World) {
    let (alice, bob, carol) = (world.user("alice"), world.user("bob"), world.user("carol"));
    let group = world.group("g1", &[alice, bob, carol]);
    let logs = [
        LogKey::c2c(alice, bob),
        LogKey::Group(group),
        LogKey::c2c(alice, carol),
        LogKey::c2c(alice, alice),
    ];
    let mut all = Vec::new();
    for count in 0..60usize {
        let log = logs[count * count % 4];
        all.push(world.say(log, alice, "x").change);
    }
    let notice = world.prepared("notice");
    world
        .write(Write::AppendSystem {
            log: LogKey::System(alice),
            entry: notice,
        })
        .unwrap();
    all.push(61);
    for limit in [1, 7, 1000] {
        assert_eq!(catch_up(world, alice, 0, limit), all);
    }
    for cursor in 0..=61 {
        let behind: Vec<u64> = all.iter().copied().filter(|change| *change > cursor).collect();
        assert_eq!(catch_up(world, alice, cursor, 16), behind, "from {cursor}");
    }
    assert!(world.changes(alice, 61, 10).entries.is_empty());
}

pub fn bytes_and_entries_are_limited(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    for size in [10, 200, 10, 10] {
        world.say(LogKey::c2c(alice, bob), bob, &"x".repeat(size));
    }
    let ask = |cursor, max_bytes| {
        let request = ChangesRequest {
            user: alice,
            cursor,
            limit: 100,
            max_bytes,
        };
        let changes = world.reader().changes_since(&request).unwrap();
        (changes.entries.len(), changes.cursor, changes.more)
    };
    assert_eq!(ask(0, 100), (1, 1, true));
    assert_eq!(ask(1, 100), (1, 2, true), "one goes through whatever its size");
    assert_eq!(ask(2, 100), (2, 4, false));
    assert_eq!(ask(4, 100), (0, 4, false));
}

pub fn nothing_of_others(world: &mut World) {
    let (alice, bob, eve) = (world.user("alice"), world.user("bob"), world.user("eve"));
    let group = world.group("g1", &[alice, bob]);
    world.say(LogKey::c2c(alice, bob), alice, "private");
    world.say(LogKey::Group(group), alice, "members only");
    let changes = world.changes(eve, 0, 100);
    assert!(changes.entries.is_empty() && changes.gaps.is_empty() && !changes.more);
    assert_eq!(changes.cursor, 2, "what is not hers is behind her all the same");
    assert!(world.list(&eve).is_empty());
    assert_eq!(world.reader().conversation(&eve, &LogKey::Group(group)), Ok(None));
    assert_eq!(
        world.reader().conversation(&eve, &LogKey::c2c(alice, bob)),
        Ok(None)
    );
    let unknown = tim_proto::UserId::new("unknown").unwrap();
    assert!(world.changes(unknown, 0, 100).entries.is_empty());
}

pub fn reads_see_what_was_answered(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let log = LogKey::c2c(alice, bob);
    for count in 1..=200u64 {
        let stored = world.say(log, alice, &count.to_string());
        let page = world.page(log, None, 1);
        assert_eq!(texts(&page.entries), [count.to_string()]);
        let changes = world.changes(bob, stored.change - 1, 10);
        assert_eq!(changes.entries.len(), 1);
        assert_eq!(world.unread(&bob, &log), count);
    }
}

fn cursor(world: &World, change: u64) -> Cursor {
    let kept = world.reader().epochs().cursor(change).to_bytes();
    Cursor::from_bytes(kept.as_ref()).unwrap()
}

fn resume(world: &World, cursor: Cursor) -> (u64, bool) {
    let head = world.reader().head_change().unwrap();
    let ResumePoint { change, restored, .. } = world.reader().epochs().resume(cursor, head);
    (change, restored)
}

pub fn a_copy_knows_cursors_of_a_later_life(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let log = LogKey::c2c(alice, bob);
    for text in ["a", "b", "c"] {
        world.say(log, alice, text);
    }
    let shared = [0, 1, 3].map(|change| cursor(world, change));
    let backup = world.copy();
    for text in ["lost", "lost", "lost"] {
        world.say(log, alice, text);
    }
    let lost = [4, 6].map(|change| cursor(world, change));
    world.reopen();
    world.say(log, alice, "lost");
    let later = cursor(world, 7);
    let mut copy = World::new(backup);
    copy.now_ms = world.now_ms + DAY_MS;
    for text in 0..9 {
        copy.say(log, alice, &text.to_string());
    }
    copy.reopen();
    copy.say(log, alice, "9");
    for (kept, change) in shared.into_iter().zip([0, 1, 3]) {
        assert_eq!(resume(&copy, kept), (change, false));
        assert_eq!(resume(world, kept), (change, false));
    }
    for kept in lost.into_iter().chain([later]) {
        assert_eq!(resume(&copy, kept), (3, true), "what they have in common");
        assert_eq!(resume(world, kept), (kept.change, false));
    }
    assert_eq!(catch_up(&copy, bob, 3, 4), (4..=13).collect::<Vec<u64>>());
}

pub fn cursors_outlive_openings(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let log = LogKey::c2c(alice, bob);
    let kept: Vec<Cursor> = (1..=5)
        .map(|count| {
            world.reopen();
            let change = world.say(log, alice, "x").change;
            assert_eq!(change, count);
            cursor(world, change)
        })
        .collect();
    world.reopen();
    for (kept, change) in kept.into_iter().zip(1..) {
        assert_eq!(resume(world, kept), (change, false));
    }
}

pub fn an_opening_that_changes_nothing_leaves_no_trace(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.say(LogKey::c2c(alice, bob), alice, "x");
    world.reopen();
    let before = world.reader().epochs();
    for _ in 0..3 {
        world.reopen();
        world.user("carol");
    }
    let (before, after) = (cursor(world, 1), before.cursor(1));
    assert_eq!(before, after);
    world.say(LogKey::c2c(alice, bob), alice, "y");
    assert_ne!(cursor(world, 2).epoch, cursor(world, 1).epoch);
}
