//! Contacts, UserSigs that are void, and accounts that were deleted.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tim_proto::UserId;

use super::{DAY_MS, World};
use crate::{
    About, ChangeContacts, Contact, LogKey, MAX_CONTACT_DETAILS, MAX_CONTACTS, Purge, Refused, Write, Written,
};

fn contact(user: UserId, details: &str) -> Contact {
    let details = details.to_owned();
    Contact { user, details }
}

fn change(user: UserId, version: u64) -> ChangeContacts {
    ChangeContacts {
        user,
        version,
        details: None,
        set: Vec::new(),
        remove: Vec::new(),
    }
}

fn set(user: UserId, version: u64, set: Vec<Contact>) -> Write {
    let change = change(user, version);
    Write::ChangeContacts(vec![ChangeContacts { set, ..change }])
}

pub fn contacts_are_kept_in_their_order(world: &mut World) {
    let [alice, bob, carol, dave] = ["alice", "bob", "carol", "dave"].map(|name| world.user(name));
    assert_eq!(
        world.reader().contacts(&alice).unwrap(),
        crate::Contacts::default()
    );
    let added = vec![contact(dave, "d"), contact(carol, "c")];
    assert_eq!(world.write(set(alice, 0, added)), Ok(Written::Done));
    assert_eq!(
        world.write(set(alice, 1, vec![contact(bob, "b"), contact(dave, "D")])),
        Ok(Written::Done)
    );
    let stale = world.write(set(alice, 1, vec![contact(bob, "x")]));
    assert_eq!(stale, Err(Refused::ContactsChanged(alice)));
    let whole = ChangeContacts {
        details: Some("of the list".to_owned()),
        remove: vec![carol, alice],
        ..change(alice, 2)
    };
    assert_eq!(world.write(Write::ChangeContacts(vec![whole])), Ok(Written::Done));
    world.reopen();
    let found = world.reader().contacts(&alice).unwrap();
    assert_eq!((found.version, &*found.details), (3, "of the list"));
    assert_eq!(found.contacts, [contact(dave, "D"), contact(bob, "b")]);
    assert_eq!(found.of(&bob), Some(&contact(bob, "b")));
    assert_eq!(world.reader().contacts(&bob).unwrap().contacts, []);
    // Who is in a list, and whose list it is, keep their accounts.
    world.now_ms += 200 * DAY_MS;
    let unused = Purge {
        unused_before_ms: world.now_ms,
        ..Purge::NONE
    };
    world.write(Write::Purge(unused)).unwrap();
    assert_eq!(world.reader().accounts(&[alice, bob, dave]).unwrap().len(), 3);
}

pub fn a_change_of_contacts_is_made_whole(world: &mut World) {
    let [alice, bob] = ["alice", "bob"].map(|name| world.user(name));
    let nobody = UserId::new("nobody").unwrap();
    let with = |user, who| ChangeContacts {
        set: vec![contact(who, "")],
        ..change(user, 0)
    };
    let stale = ChangeContacts {
        version: 7,
        ..with(bob, alice)
    };
    let long = ChangeContacts {
        details: Some("x".repeat(MAX_CONTACT_DETAILS + 1)),
        ..change(bob, 0)
    };
    let len = MAX_CONTACT_DETAILS + 1;
    let max = MAX_CONTACT_DETAILS;
    for (second, refused) in [
        (stale, Refused::ContactsChanged(bob)),
        (with(bob, nobody), Refused::NoSuchUser(nobody)),
        (with(nobody, bob), Refused::NoSuchUser(nobody)),
        (with(alice, bob), Refused::ContactsChanged(alice)),
        (long, Refused::TooLarge { len, max }),
    ] {
        let both = Write::ChangeContacts(vec![with(alice, bob), second]);
        assert_eq!(world.write(both), Err(refused));
        assert_eq!(
            world.reader().contacts(&alice).unwrap(),
            crate::Contacts::default()
        );
    }
    let both = Write::ChangeContacts(vec![with(alice, bob), with(bob, alice)]);
    assert_eq!(world.write(both), Ok(Written::Done));
    let users: Vec<_> = (0..MAX_CONTACTS)
        .map(|number| UserId::new(&format!("u{number}")).unwrap())
        .collect();
    world.write(Write::EnsureAccounts(users.clone())).unwrap();
    let max = MAX_CONTACTS;
    let all: Vec<_> = users.iter().map(|user| contact(*user, "")).collect();
    assert_eq!(
        world.write(set(alice, 1, all.clone())),
        Err(Refused::TooManyContacts { user: alice, max })
    );
    let instead = ChangeContacts {
        set: all,
        remove: vec![bob],
        ..change(alice, 1)
    };
    assert_eq!(
        world.write(Write::ChangeContacts(vec![instead])),
        Ok(Written::Done)
    );
    assert_eq!(world.reader().contacts(&alice).unwrap().contacts.len(), max);
}

pub fn a_deleted_account_is_opened_again_without_what_it_had(world: &mut World) {
    let [alice, bob] = ["alice", "bob"].map(|name| world.user(name));
    let log = LogKey::c2c(alice, bob);
    world.say(log, alice, "kept");
    let number = world.reader().account(&alice).unwrap().unwrap().number;
    let profile = Write::SetUserProfile {
        user: alice,
        nick: Some("Alice".to_owned()),
        avatar: Some("a".to_owned()),
    };
    world.write(profile).unwrap();
    for (one, other) in [(alice, bob), (bob, alice)] {
        world.write(set(one, 0, vec![contact(other, "x")])).unwrap();
    }
    let deletion = Write::DeleteAccount {
        user: alice,
        before_s: 50,
    };
    assert_eq!(world.write(deletion), Ok(Written::Done));
    world.reopen();
    let reader = world.reader();
    assert_eq!(
        (reader.account(&alice), reader.accounts(&[alice])),
        (Ok(None), Ok(Vec::new()))
    );
    assert_eq!(reader.user_sigs_valid_from(&alice), Ok(50));
    assert_eq!(
        (
            reader.contacts(&alice).unwrap().contacts,
            reader.contacts(&bob).unwrap().contacts
        ),
        (vec![], vec![])
    );
    assert_eq!(reader.contacts(&bob).unwrap().version, 2, "it has changed");
    // What she has said stays on his list, and counts.
    let conversation = reader.conversation(&bob, &log).unwrap().unwrap();
    let About::Peer(peer) = &conversation.about else {
        panic!("{:?}", conversation.about);
    };
    assert_eq!(
        (peer.number, peer.nick.as_str(), conversation.unread),
        (number, "", 1)
    );
    let listed = reader.conversations(&bob, None, 10).unwrap();
    assert_eq!((listed.conversations.len(), listed.total_unread), (1, 1));
    assert_eq!(
        world.write(Write::EnsureAccount(alice)),
        Ok(Written::Account { number })
    );
    let account = world.reader().account(&alice).unwrap().unwrap();
    assert_eq!((account.nick.as_str(), account.avatar.as_str()), ("", ""));
    assert_eq!(world.reader().user_sigs_valid_from(&alice), Ok(50));
    assert_eq!(world.list(&alice), [log]);
    let nobody = UserId::new("nobody").unwrap();
    let deletion = Write::DeleteAccount {
        user: nobody,
        before_s: 50,
    };
    assert_eq!(world.write(deletion), Err(Refused::NoSuchUser(nobody)));
}

pub fn user_sigs_are_void_for_good(world: &mut World) {
    let alice = world.user("alice");
    assert_eq!(world.reader().user_sigs_valid_from(&alice), Ok(0));
    for (before_s, from) in [(100, 100), (50, 100), (200, 200)] {
        let void = Write::VoidUserSigs {
            user: alice,
            before_s,
        };
        assert_eq!(world.write(void), Ok(Written::Done));
        assert_eq!(world.reader().user_sigs_valid_from(&alice), Ok(from));
    }
    // Nor does retention make them good again.
    world.now_ms += 200 * DAY_MS;
    let unused = Purge {
        unused_before_ms: world.now_ms,
        ..Purge::NONE
    };
    world.write(Write::Purge(unused)).unwrap();
    world.reopen();
    assert_eq!(world.reader().user_sigs_valid_from(&alice), Ok(200));
    let nobody = UserId::new("nobody").unwrap();
    assert_eq!(world.reader().user_sigs_valid_from(&nobody), Ok(0));
    // A clock that is ahead makes them void until then. Once it is right, the next time counts.
    let (now_s, ahead_s) = (world.now_ms / 1000, world.now_ms / 1000 + 1_000_000);
    for (at_s, before_s, from) in [
        (ahead_s, ahead_s, ahead_s),
        (ahead_s, now_s, ahead_s),
        (now_s, now_s, now_s),
    ] {
        world.now_ms = at_s * 1000;
        let void = Write::VoidUserSigs {
            user: alice,
            before_s,
        };
        assert_eq!(world.write(void), Ok(Written::Done));
        assert_eq!(world.reader().user_sigs_valid_from(&alice), Ok(from));
    }
}

/// A user, how far the version is off, whom to set, and whom to remove.
type Step = (usize, u64, Option<usize>, Option<usize>);

/// Lists of contacts as plain lists.
pub fn any_changes_of_contacts_agree_with_the_model(world: &mut World) {
    let users: Vec<_> = (0..4).map(|number| world.user(&format!("u{number}"))).collect();
    let mut model: BTreeMap<UserId, (u64, Vec<Contact>)> =
        users.iter().map(|user| (*user, (0, Vec::new()))).collect();
    let mut runner = TestRunner::new(Config {
        cases: 24,
        failure_persistence: None,
        ..Config::default()
    });
    let who = || prop::option::of(0..4_usize);
    let steps = prop::collection::vec((0..4_usize, 0..3_u64, who(), who()), 1..8);
    let cell = std::cell::RefCell::new((world, &mut model));
    runner
        .run(&steps, |steps: Vec<Step>| {
            let (world, model) = &mut *cell.borrow_mut();
            for (number, (user, off, to_set, to_remove)) in steps.into_iter().enumerate() {
                let user = users[user];
                let (version, list) = model.get_mut(&user).unwrap();
                let said = format!("{version}-{number}");
                let made = ChangeContacts {
                    set: to_set.iter().map(|at| contact(users[*at], &said)).collect(),
                    remove: to_remove.iter().map(|at| users[*at]).collect(),
                    ..change(user, *version + off)
                };
                let answer = world.write(Write::ChangeContacts(vec![made.clone()]));
                if off > 0 {
                    assert_eq!(answer, Err(Refused::ContactsChanged(user)));
                    continue;
                }
                assert_eq!(answer, Ok(Written::Done));
                *version += 1;
                list.retain(|contact| !made.remove.contains(&contact.user));
                for new in made.set {
                    match list.iter_mut().find(|old| old.user == new.user) {
                        Some(old) => *old = new,
                        None => list.push(new),
                    }
                }
            }
            for (user, (version, list)) in model.iter() {
                let found = world.reader().contacts(user).unwrap();
                assert_eq!((found.version, &found.contacts), (*version, list));
            }
            Ok(())
        })
        .unwrap();
}
