//! Retention.

use std::time::Duration;

use super::{DAY_MS, World, texts};
use crate::{ChangesRequest, Gap, LogKey, Purge, PurgedLog, ReadState, Refused, Write, Written};

const KEEP_MS: u64 = 7 * DAY_MS;

/// Removes everything older than seven days, in steps of `budget`; returns how many entries that was.
pub fn purge(world: &mut World, budget: u32) -> u64 {
    let older_than_ms = world.now_ms - KEEP_MS;
    let mut removed = 0;
    loop {
        let step = Purge {
            older_than_ms,
            forget_ids_before_ms: older_than_ms,
            over_before_ms: world.now_ms,
            budget,
            ..Purge::NONE
        };
        match world.write(Write::Purge(step)) {
            Ok(Written::Purged {
                entries, ids, more, ..
            }) => {
                assert!(entries + ids <= u64::from(budget));
                removed += entries;
                if !more {
                    return removed;
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

/// How many entries and ids a step has removed, and whether there may be more.
fn removed(result: &Result<Written, Refused>) -> (u64, u64, bool) {
    match result {
        Ok(Written::Purged {
            entries, ids, more, ..
        }) => (*entries, *ids, *more),
        other => panic!("{other:?}"),
    }
}

pub fn old_conversations_leave_the_list(world: &mut World) {
    let (alice, bob, carol) = (world.user("alice"), world.user("bob"), world.user("carol"));
    let (old, kept) = (LogKey::c2c(alice, bob), LogKey::c2c(alice, carol));
    world.say(old, bob, "old");
    world.say(kept, carol, "old too");
    world.now_ms += KEEP_MS - 60_000;
    assert_eq!(purge(world, 100), 0);
    assert_eq!(
        world.list(&alice),
        [kept, old],
        "6 days, 23 hours and 59 minutes later"
    );
    world.say(kept, carol, "new");
    world.now_ms += 120_000;
    assert_eq!(purge(world, 100), 2);
    assert_eq!(world.list(&alice), [kept], "7 days and a minute later (S192)");
    assert_eq!(texts(&world.page(kept, None, 15).entries), ["new"]);
    assert_eq!(world.conversation(&alice, &old).last, None);
    assert_eq!(purge(world, 100), 0, "purging again removes nothing");
}

pub fn sequences_go_on_after_everything_is_gone(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let log = LogKey::c2c(alice, bob);
    for _ in 0..5 {
        world.say(log, alice, "x");
    }
    world.read(bob, log, Some(2));
    world.now_ms += 2 * KEEP_MS;
    assert_eq!(purge(world, 100), 5);
    world.reopen();
    let page = world.page(log, None, 15);
    assert_eq!(
        (page.entries.len(), page.first_kept, page.completed),
        (0, 6, true)
    );
    let conversation = world.conversation(&bob, &log);
    assert_eq!(
        (
            conversation.head_sequence,
            conversation.unread,
            conversation.read_sequence
        ),
        (5, 0, 5),
        "what is gone counts as read"
    );
    let next = world.say(log, alice, "back");
    assert_eq!((next.sequence, next.change), (6, 6));
    assert_eq!(world.unread(&bob, &log), 1);
    assert_eq!(world.list(&bob), [log], "in the list again");
    let revoke = super::revoke::by(world, log, 3, alice);
    assert_eq!(world.write(Write::Revoke(revoke)), Err(Refused::NotFound), "gone");
}

pub fn gaps_are_announced_once(world: &mut World) {
    let (alice, bob, carol) = (world.user("alice"), world.user("bob"), world.user("carol"));
    let (lost, other) = (LogKey::c2c(alice, bob), LogKey::c2c(alice, carol));
    for _ in 0..4 {
        world.say(lost, bob, "lost"); // changes 1 to 4
    }
    world.now_ms += 2 * KEEP_MS;
    for _ in 0..3 {
        world.say(other, carol, "kept"); // 5 to 7
        world.say(lost, bob, "kept"); // 6 to 8
    }
    assert_eq!(purge(world, 100), 4);
    let gap = Gap {
        log: lost,
        from: 1,
        to: 4,
    };
    for limit in [1, 2, 100] {
        for cursor in 0..=10 {
            let mut gaps = Vec::new();
            let mut at = cursor;
            let mut entries = 0;
            loop {
                let changes = world.changes(alice, at, limit);
                gaps.extend(changes.gaps);
                entries += changes.entries.len() as u64;
                at = changes.cursor;
                if !changes.more {
                    break;
                }
            }
            let expected = if cursor < 4 { vec![gap] } else { Vec::new() };
            assert_eq!(gaps, expected, "cursor {cursor}, limit {limit}");
            assert_eq!(entries, 10 - cursor.max(4), "cursor {cursor}, limit {limit}");
        }
    }
    assert_eq!(world.page(lost, None, 15).first_kept, 5, "history says it too");
}

pub fn paging_during_a_purge(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let log = LogKey::c2c(alice, bob);
    for count in 1..=40u64 {
        world.say(log, alice, &count.to_string());
        world.now_ms += DAY_MS / 4;
    }
    let first = world.page(log, None, 10);
    assert_eq!((first.next, first.completed), (31, false));
    let removed = purge(world, 100);
    assert!(removed > 0 && removed < 31, "{removed}");
    let mut before = first.next;
    let mut sequences = Vec::new();
    loop {
        let page = world.page(log, Some(before), 10);
        assert_eq!(page.first_kept, removed + 1);
        sequences.extend(page.entries.iter().rev().map(|entry| entry.sequence));
        before = page.next;
        if page.completed {
            break;
        }
    }
    assert_eq!(
        sequences,
        (removed + 1..=30).rev().collect::<Vec<u64>>(),
        "what is left, once, and no fault"
    );
}

pub fn steps_are_bounded(world: &mut World) {
    let (alice, bob, carol) = (world.user("alice"), world.user("bob"), world.user("carol"));
    for _ in 0..10 {
        world.say(LogKey::c2c(alice, bob), alice, "x");
        world.say(LogKey::c2c(alice, carol), alice, "x");
    }
    world.now_ms += 2 * KEEP_MS;
    let older_than_ms = world.now_ms;
    let step = Purge {
        older_than_ms,
        forget_ids_before_ms: 0,
        over_before_ms: world.now_ms,
        budget: 7,
        ..Purge::NONE
    };
    let answers = world.batch(&[Write::Purge(step), Write::Purge(step), Write::Purge(step)]);
    assert_eq!(removed(&answers[0]), (7, 0, true));
    assert_eq!(removed(&answers[1]), (7, 0, true));
    assert_eq!(removed(&answers[2]), (6, 0, false));
    let request = ChangesRequest {
        user: alice,
        cursor: 0,
        limit: 10,
        max_bytes: 1000,
    };
    let changes = world.reader().changes_since(&request).unwrap();
    assert_eq!(
        (changes.entries.len(), changes.gaps.len(), changes.more),
        (0, 2, false)
    );
}

pub fn ids_outlive_the_resend_window(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let log = LogKey::c2c(alice, bob);
    let append = world.message(log, alice, "once");
    // This device's clock is ten years slow; its resends come as fast as anybody's.
    let mut slow_clock = world.message(log, alice, "slow");
    slow_clock.id.client_time -= 10 * 365 * DAY_MS / 1000;
    let first = super::stored(world.write(Write::Append(append.clone())));
    let second = super::stored(world.write(Write::Append(slow_clock.clone())));
    world.now_ms += DAY_MS;
    let purge = Purge {
        older_than_ms: world.now_ms,
        forget_ids_before_ms: world.now_ms - DAY_MS,
        over_before_ms: world.now_ms,
        budget: 100,
        ..Purge::NONE
    };
    assert_eq!(removed(&world.write(Write::Purge(purge))), (2, 0, false));
    assert_eq!(
        world.write(Write::Append(append.clone())),
        Ok(Written::Duplicate(first)),
        "purged but remembered"
    );
    assert_eq!(
        world.write(Write::Append(slow_clock)),
        Ok(Written::Duplicate(second))
    );
    world.now_ms += 2_000;
    let purge = Purge {
        forget_ids_before_ms: world.now_ms - DAY_MS,
        ..purge
    };
    assert_eq!(removed(&world.write(Write::Purge(purge))), (0, 2, false));
    assert_eq!(
        super::stored(world.write(Write::Append(append))).sequence,
        3,
        "forgotten"
    );
}

pub fn ids_last_as_long_as_their_messages(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let log = LogKey::c2c(alice, bob);
    world.say(log, bob, "of a right clock");
    // The clock is set back for a while. What is stored then looks old, and stays as long as what is before it.
    world.now_ms -= 30 * DAY_MS;
    let append = world.message(log, alice, "of a slow clock");
    let first = super::stored(world.write(Write::Append(append.clone())));
    world.now_ms += 30 * DAY_MS;
    assert_eq!(purge(world, 100), 0);
    assert_eq!(
        world.write(Write::Append(append.clone())),
        Ok(Written::Duplicate(first))
    );
    world.now_ms += KEEP_MS + 1_000;
    assert_eq!(purge(world, 100), 2);
    assert_eq!(
        super::stored(world.write(Write::Append(append))).sequence,
        3,
        "both are gone"
    );
}

pub fn unread_counts_what_is_kept(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let log = LogKey::c2c(alice, bob);
    for sender in [alice, bob, bob, alice] {
        world.say(log, sender, "old");
    }
    let revoke = super::revoke::by(world, log, 2, bob);
    world.write(Write::Revoke(revoke)).unwrap();
    world.now_ms += 2 * KEEP_MS;
    for sender in [alice, bob, alice, bob, bob] {
        world.say(log, sender, "new");
    }
    let unread = |world: &World| (world.unread(&alice, &log), world.unread(&bob, &log));
    assert_eq!(unread(world), (4, 4));
    assert_eq!(purge(world, 1), 5);
    assert_eq!(unread(world), (3, 2));
    assert_eq!(
        world.read(alice, log, Some(3)),
        (5, 3),
        "a mark among what is gone"
    );
    assert_eq!(world.read(alice, log, Some(9)), (9, 1));
    assert_eq!(world.read(bob, log, Some(7)), (7, 1));
}

pub fn a_purge_names_what_it_has_changed(world: &mut World) {
    let (alice, bob, carol) = (world.user("alice"), world.user("bob"), world.user("carol"));
    let (part, whole) = (LogKey::c2c(alice, bob), LogKey::c2c(alice, carol));
    for sender in [alice, bob, bob] {
        world.say(part, sender, "old");
    }
    world.say(whole, carol, "old");
    world.read(alice, part, Some(2));
    world.now_ms += 2 * KEEP_MS;
    world.say(part, bob, "new");
    let step = Purge {
        older_than_ms: world.now_ms - KEEP_MS,
        forget_ids_before_ms: 0,
        over_before_ms: 0,
        budget: 100,
        ..Purge::NONE
    };
    let Ok(Written::Purged { mut logs, .. }) = world.write(Write::Purge(step)) else {
        panic!("nothing was removed");
    };
    logs.sort_by_key(|purged| purged.last);
    let purged = |log, through, last| PurgedLog { log, through, last };
    assert_eq!(logs, [purged(part, 3, false), purged(whole, 1, true)]);
    let read = |user, read_sequence, unread| ReadState {
        user,
        read_sequence,
        unread,
        counted: 4,
        deleted_through: 0,
    };
    let states = |below| {
        let states = world.reader().read_states(&part, &[alice, carol, bob], below);
        states.unwrap()
    };
    assert_eq!(states(3), [read(alice, 3, 1), read(bob, 3, 0)]);
    assert_eq!(states(2), [read(bob, 3, 0)]);
    for log in [part, whole] {
        assert_eq!(world.list(&alice).contains(&log), log == part);
    }
}

pub fn a_step_without_time_gets_on(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let log = LogKey::c2c(alice, bob);
    for round in 0..4 {
        let batch: Vec<Write> = (0..100)
            .map(|_| Write::Append(world.message(log, alice, "x")))
            .collect();
        world.batch(&batch);
        if round == 1 {
            world.now_ms += 2 * KEEP_MS;
        }
    }
    let step = Purge {
        older_than_ms: world.now_ms - KEEP_MS,
        forget_ids_before_ms: world.now_ms - KEEP_MS,
        over_before_ms: world.now_ms,
        time: Some(Duration::ZERO),
        ..Purge::NONE
    };
    let (mut steps, mut all) = (0, (0, 0));
    loop {
        let (entries, ids, more) = removed(&world.write(Write::Purge(step)));
        all = (all.0 + entries, all.1 + ids);
        steps += 1;
        if !more {
            break;
        }
    }
    assert_eq!(all, (200, 200));
    // A store that looks at the clock does it in many.
    assert!((1..1_000).contains(&steps), "{steps}");
    assert_eq!(world.page(log, None, 1).first_kept, 201);
}

pub fn ids_behind_many_that_stay_are_forgotten(world: &mut World) {
    let (alice, bob, carol) = (world.user("alice"), world.user("bob"), world.user("carol"));
    let (kept, old) = (LogKey::c2c(alice, bob), LogKey::c2c(alice, carol));
    let first = world.message(old, carol, "old");
    super::stored(world.write(Write::Append(first.clone())));
    world.now_ms += 2 * KEEP_MS;
    // Of a clock that is years slow: their ids come first in the order of time, and stay with their messages.
    for _ in 0..6 {
        let batch: Vec<Write> = (0..100)
            .map(|_| {
                let mut append = world.message(kept, alice, "x");
                append.id.client_time -= 10 * 365 * DAY_MS / 1000;
                Write::Append(append)
            })
            .collect();
        world.batch(&batch);
    }
    let step = Purge {
        older_than_ms: world.now_ms - KEEP_MS,
        forget_ids_before_ms: world.now_ms - KEEP_MS,
        time: Some(Duration::ZERO),
        ..Purge::NONE
    };
    for round in 0..2 {
        let (mut all, mut steps) = ((0, 0), 0);
        loop {
            let (entries, ids, more) = removed(&world.write(Write::Purge(step)));
            all = (all.0 + entries, all.1 + ids);
            steps += 1;
            assert!(steps < 1_000, "each step looks further than the one before");
            if !more {
                break;
            }
        }
        assert_eq!(all, if round == 0 { (1, 1) } else { (0, 0) });
    }
    assert_eq!(
        super::stored(world.write(Write::Append(first))).sequence,
        2,
        "forgotten"
    );
}

/// What a batch has done before a purge, and what it does behind it, are of the same conversation.
pub fn a_batch_goes_on_behind_its_purge(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let log = LogKey::c2c(alice, bob);
    world.say(log, alice, "one");
    world.say(log, alice, "two");
    world.now_ms += 2 * KEEP_MS;
    let step = Purge {
        older_than_ms: world.now_ms - KEEP_MS,
        over_before_ms: world.now_ms,
        ..Purge::NONE
    };
    let before = world.message(log, alice, "three");
    let behind = world.message(log, bob, "four");
    let batch = [Write::Append(before), Write::Purge(step), Write::Append(behind)];
    let results = world.batch(&batch);
    assert_eq!(super::stored(results[0].clone()).sequence, 3);
    assert_eq!(removed(&results[1]), (2, 0, false));
    assert_eq!(super::stored(results[2].clone()).sequence, 4);
    for _ in 0..2 {
        let page = world.page(log, None, 10);
        assert_eq!(
            (page.first_kept, texts(&page.entries)),
            (3, vec!["three".into(), "four".into()])
        );
        assert_eq!((world.unread(&bob, &log), world.unread(&alice, &log)), (1, 1));
        world.reopen();
    }
    assert_eq!(world.say(log, bob, "five").sequence, 5);
}
