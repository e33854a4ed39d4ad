//! Accounts that nothing refers to.

use tim_groups::GroupAction;
use tim_proto::{GroupType, UserId};

use super::{DAY_MS, World, groups, rosters, stored};
use crate::{LogKey, Purge, Refused, Write, Written};

/// Removes the accounts that were not used for so long. Returns how many.
fn remove_unused(world: &mut World, days: u64) -> u64 {
    let mut removed = 0;
    loop {
        let step = step(world, days);
        match world.write(step) {
            Ok(Written::Purged { accounts, more, .. }) => {
                removed += accounts;
                if !more {
                    return removed;
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

fn step(world: &World, days: u64) -> Write {
    Write::Purge(Purge {
        unused_before_ms: world.now_ms - days * DAY_MS,
        ..Purge::NONE
    })
}

fn has(world: &World, user: &UserId) -> bool {
    world.reader().account(user).unwrap().is_some()
}

pub fn what_nothing_refers_to_is_removed_in_time(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let made = world.now_ms;
    assert_eq!(world.reader().unused_since(&alice), Ok(Some(made)));
    world.now_ms += 50 * DAY_MS;
    // Bob logs in.
    assert_eq!(world.user("bob"), bob);
    assert_eq!(world.reader().unused_since(&bob), Ok(Some(world.now_ms)));
    world.now_ms += 40 * DAY_MS;
    assert_eq!(remove_unused(world, 90), 0, "to the millisecond");
    world.now_ms += 1;
    world.reopen();
    assert_eq!(remove_unused(world, 90), 1);
    assert_eq!((has(world, &alice), has(world, &bob)), (false, true));
    assert_eq!(world.reader().unused_since(&alice), Ok(None));
    assert_eq!(world.reader().accounts(&[alice]), Ok(Vec::new()));
    world.reopen();
    assert!(!has(world, &alice));
    // Who comes back is new, and works.
    world.user("alice");
    let log = LogKey::c2c(alice, bob);
    world.say(log, alice, "here again");
    assert_eq!(world.list(&bob), [log]);
    world.now_ms += 200 * DAY_MS;
    assert_eq!(remove_unused(world, 90), 0);
}

pub fn whatever_refers_to_an_account_keeps_it(world: &mut World) {
    let names = [
        "owner",
        "writer",
        "reader",
        "member",
        "gone",
        "applicant",
        "banned",
        "told",
        "shown",
        "beside",
    ];
    let users = names.map(|name| world.user(name));
    let [
        owner,
        writer,
        reader,
        member,
        gone,
        applicant,
        banned,
        told,
        shown,
        beside,
    ] = users;
    let unused = world.user("unused");
    let group = world.group("crew", &[owner, member, gone]);
    world.change(group, gone, GroupAction::Quit).unwrap();
    world.say(LogKey::c2c(writer, reader), writer, "x");
    let room = rosters::typed(world, "room", GroupType::AV_CHAT_ROOM, owner, &[]);
    let ban = GroupAction::Ban {
        users: vec![banned],
        seconds: 1,
        reason: String::new(),
    };
    world.change(room, owner, ban).unwrap();
    let asked = rosters::typed(world, "asked", GroupType::PUBLIC, owner, &[]);
    world.change(asked, applicant, groups::join()).unwrap();
    let entry = world.prepared("told");
    let log = LogKey::System(told);
    world.write(Write::AppendSystem { log, entry }).unwrap();
    let profile = Write::SetUserProfile {
        user: shown,
        nick: Some("Shown".to_owned()),
        avatar: None,
    };
    world.write(profile).unwrap();
    // The hub lets somebody write who is no member.
    let mut append = world.message(LogKey::Group(group), beside, "x");
    append.require_membership = false;
    stored(world.write(Write::Append(append)));

    for user in &users {
        assert_eq!(world.reader().unused_since(user), Ok(None), "{user}");
    }
    world.now_ms += 1_000 * DAY_MS;
    // Also when all that is old has been removed.
    let everything = Purge {
        older_than_ms: world.now_ms,
        forget_ids_before_ms: world.now_ms,
        over_before_ms: world.now_ms,
        ..Purge::NONE
    };
    world.write(Write::Purge(everything)).unwrap();
    assert_eq!(remove_unused(world, 1), 1);
    for user in &users {
        assert!(has(world, user), "{user}");
    }
    assert!(!has(world, &unused));
}

pub fn removal_and_use_are_decided_in_their_order(world: &mut World) {
    let users = ["alice", "bob", "carol", "dave"].map(|name| world.user(name));
    let [alice, bob, carol, dave] = users;
    let before = users.map(|user| world.number(&user));
    // The store has found her: what it remembers of that must not outlast her.
    assert_eq!(world.user("carol"), carol);
    world.now_ms += 100 * DAY_MS;
    let message = |world: &mut World, to| {
        let append = world.message(LogKey::c2c(dave, to), dave, "x");
        Write::Append(append)
    };
    let (to_bob, to_carol) = (message(world, bob), message(world, carol));
    let batch = [
        Write::EnsureAccount(alice),
        to_bob,
        step(world, 90),
        to_carol.clone(),
    ];
    let answers = world.batch(&batch);
    assert_eq!(answers[0], Ok(Written::Account { number: before[0] }));
    stored(answers[1].clone());
    assert!(
        matches!(answers[2], Ok(Written::Purged { accounts: 1, .. })),
        "{answers:?}"
    );
    assert_eq!(
        answers[3],
        Err(Refused::NoSuchUser(carol)),
        "nothing is lost: it can be sent again"
    );
    let again = Write::WithAccounts {
        users: vec![carol],
        write: Box::new(to_carol),
    };
    stored(world.write(again));
    assert_ne!(world.number(&carol), before[2]);
    assert_eq!(
        [alice, bob, dave].map(|user| world.number(&user)),
        [before[0], before[1], before[3]]
    );
}

pub fn numbers_of_removed_accounts_are_not_given_out_again(world: &mut World) {
    let mut numbers = Vec::new();
    for round in 0..3 {
        for name in ["a", "b", "c"] {
            let user = world.user(&format!("{name}{round}"));
            numbers.push(world.number(&user));
        }
        world.now_ms += 2 * DAY_MS;
        assert_eq!(remove_unused(world, 1), 3);
        world.reopen();
    }
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
}
