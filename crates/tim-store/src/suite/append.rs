//! Accounts and appending.

use tim_proto::MessageKind;
use tim_proto::{GroupId, UserId};

use super::{World, stored, texts};
use crate::{EntryFlags, LogKey, MAX_CONTENT, Refused, Write, Written, account_number};

pub fn accounts_are_numbered_once(world: &mut World) {
    let alice = UserId::new("alice").unwrap();
    let bob = UserId::new("bob").unwrap();
    let answers = world.batch(&[
        Write::EnsureAccount(alice),
        Write::EnsureAccount(bob),
        Write::EnsureAccount(alice),
    ]);
    assert_eq!(
        answers[0],
        Ok(Written::Account {
            number: account_number(1)
        })
    );
    assert_eq!(
        answers[1],
        Ok(Written::Account {
            number: account_number(2)
        })
    );
    assert_eq!(answers[2], answers[0], "the same number again");
    assert_eq!(
        world.write(Write::EnsureAccount(UserId::SYSTEM)),
        Err(Refused::ReservedUser(UserId::SYSTEM))
    );
    let carol = UserId::new("carol").unwrap();
    let with_reserved = Write::EnsureAccounts(vec![carol, UserId::SYSTEM]);
    assert_eq!(
        world.write(with_reserved),
        Err(Refused::ReservedUser(UserId::SYSTEM))
    );
    assert_eq!(world.reader().account(&carol), Ok(None), "refused as a whole");
    assert_eq!(
        world.write(Write::EnsureAccounts(vec![bob, carol])),
        Ok(Written::Done)
    );
    let number = |user| world.reader().account(user).unwrap().unwrap().number;
    assert_eq!(
        (number(&bob), number(&carol)),
        (account_number(2), account_number(3))
    );
    assert_eq!(
        world.reader().account(&UserId::new("Alice").unwrap()),
        Ok(None),
        "ids are case-sensitive"
    );
}

pub fn accounts_are_made_with_a_write(world: &mut World) {
    let alice = world.user("alice");
    let (bob, carol) = (UserId::new("bob").unwrap(), UserId::new("carol").unwrap());
    let with_accounts = |users: Vec<UserId>, write| Write::WithAccounts {
        users,
        write: Box::new(write),
    };
    let log = LogKey::c2c(alice, bob);
    let message = world.message(log, alice, "hello");
    let alone = Write::Append(message.clone());
    let reserved = with_accounts(vec![bob, UserId::SYSTEM], alone.clone());
    assert_eq!(world.write(reserved), Err(Refused::ReservedUser(UserId::SYSTEM)));
    assert_eq!(world.write(alone.clone()), Err(Refused::NoSuchUser(bob)));
    let at = stored(world.write(with_accounts(vec![bob, alice], alone.clone())));
    assert_eq!(world.write(alone), Ok(Written::Duplicate(at)));

    let by_a_stranger = world.message(log, carol, "x");
    let refused = world.write(with_accounts(vec![carol], Write::Append(by_a_stranger)));
    assert_eq!(refused, Err(Refused::ForeignId));
    assert!(world.reader().account(&carol).unwrap().is_some());
}

pub fn sequences_and_changes_have_no_gaps(world: &mut World) {
    let (alice, bob, carol) = (world.user("alice"), world.user("bob"), world.user("carol"));
    let logs = [LogKey::c2c(alice, bob), LogKey::c2c(carol, alice)];
    assert_eq!(world.reader().head_change(), Ok(0));
    for round in 1..=10 {
        for log in logs {
            let answer = world.say(log, alice, "x");
            assert_eq!(answer.sequence, round);
            assert_eq!(answer.time_ms, world.now_ms);
            assert_eq!(world.reader().head_change(), Ok(answer.change));
        }
    }
    let changes: Vec<u64> = world
        .published
        .iter()
        .filter_map(|published| Some(published.entry.as_ref()?.change))
        .collect();
    assert_eq!(
        changes,
        (1..=20).collect::<Vec<u64>>(),
        "one order for the whole store"
    );
}

pub fn a_resend_is_answered_as_the_first(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let log = LogKey::c2c(alice, bob);
    let append = world.message(log, alice, "once");
    let twice = world.batch(&[Write::Append(append.clone()), Write::Append(append.clone())]);
    let first = stored(twice[0].clone());
    assert_eq!(twice[1], Ok(Written::Duplicate(first)), "in the same batch");
    world.now_ms += 1_000;
    assert_eq!(
        world.write(Write::Append(append.clone())),
        Ok(Written::Duplicate(first))
    );
    world.reopen();
    let of = |user| world.reader().stored(user, &append.id, append.fingerprint);
    assert_eq!((of(&alice), of(&bob)), (Ok(Some(Ok(first))), Ok(None)));
    assert_eq!(
        world.write(Write::Append(append)),
        Ok(Written::Duplicate(first)),
        "after a restart"
    );
    assert_eq!(world.page(log, None, 15).entries.len(), 1);
    assert_eq!(world.published.len(), 1, "published once");

    // The same second and random of somebody else is another message.
    let mut other = world.message(log, bob, "other");
    other.id.client_time = first.time_ms / 1000;
    other.id.random = 1;
    assert_eq!(stored(world.write(Write::Append(other))).sequence, 2);
}

pub fn an_id_is_used_for_one_message(world: &mut World) {
    let (alice, bob, carol) = (world.user("alice"), world.user("bob"), world.user("carol"));
    let log = LogKey::c2c(alice, bob);
    let first = world.message(log, alice, "the lobby terminal is on");
    let at = stored(world.write(Write::Append(first.clone())));
    let mut other = world.message(log, alice, "FIRE in the lobby");
    other.id = first.id;
    let mut elsewhere = world.message(LogKey::c2c(alice, carol), alice, "the lobby terminal is on");
    elsewhere.id = first.id;
    for round in 0..2 {
        for append in [&other, &elsewhere] {
            assert_eq!(
                world.write(Write::Append(append.clone())),
                Err(Refused::IdReused),
                "{round}"
            );
            assert_eq!(
                world.reader().stored(&alice, &append.id, append.fingerprint),
                Ok(Some(Err(Refused::IdReused)))
            );
        }
        assert_eq!(
            world.write(Write::Append(first.clone())),
            Ok(Written::Duplicate(at))
        );
        world.reopen();
    }
    assert_eq!(world.page(log, None, 15).entries.len(), 1);
    assert_eq!(world.list(&carol), [], "nothing was begun there");
    // Under another id it goes, and is itself again when it comes again.
    other.id.random += 1_000;
    let second = stored(world.write(Write::Append(other.clone())));
    assert_eq!(second.sequence, 2);
    assert_eq!(world.write(Write::Append(other)), Ok(Written::Duplicate(second)));
}

pub fn many_messages_of_a_batch_under_one_id(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let log = LogKey::c2c(alice, bob);
    let texts_sent = ["one", "two", "one", "three", "two"];
    let first = world.message(log, alice, "");
    let batch: Vec<Write> = texts_sent
        .iter()
        .map(|text| {
            let mut append = world.message(log, alice, text);
            append.id = first.id;
            Write::Append(append)
        })
        .collect();
    let answers = world.batch(&batch);
    let at = stored(answers[0].clone());
    let reused = Err(Refused::IdReused);
    assert_eq!(
        answers[1..],
        [reused.clone(), Ok(Written::Duplicate(at)), reused.clone(), reused]
    );
    assert_eq!(texts(&world.page(log, None, 15).entries), ["one"]);
    assert_eq!(world.published.len(), 1);
    assert_eq!(world.say(log, bob, "next").sequence, 2, "no gap");
}

pub fn a_refused_item_leaves_its_neighbours(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let nobody = UserId::new("nobody").unwrap();
    let log = LogKey::c2c(alice, bob);
    let good = [world.message(log, alice, "1"), world.message(log, bob, "2")];
    let mut bad = world.message(LogKey::c2c(alice, nobody), alice, "lost");
    bad.id.random = 999;
    let [first, second] = good;
    let answers = world.batch(&[
        Write::Append(first),
        Write::Append(bad.clone()),
        Write::Append(second),
    ]);
    assert_eq!(stored(answers[0].clone()).sequence, 1);
    assert_eq!(answers[1], Err(Refused::NoSuchUser(nobody)));
    assert_eq!(stored(answers[2].clone()).sequence, 2);
    assert_eq!(texts(&world.page(log, None, 15).entries), ["1", "2"]);
    assert_eq!(world.list(&alice), [log], "the refused item made no conversation");

    world.user("nobody");
    assert_eq!(
        stored(world.write(Write::Append(bad))).sequence,
        1,
        "its id was not used up"
    );
}

pub fn strangers_cannot_write(world: &mut World) {
    let (alice, bob, eve) = (world.user("alice"), world.user("bob"), world.user("eve"));
    let group = world.group("g1", &[alice, bob]);
    let outside = Err(Refused::NotParticipant(eve));
    for log in [
        LogKey::c2c(alice, bob),
        LogKey::Group(group),
        LogKey::System(eve),
        LogKey::System(alice),
    ] {
        let append = world.message(log, eve, "psst");
        assert_eq!(world.write(Write::Append(append)), outside, "{log}");
    }
    let mut for_rest = world.message(LogKey::Group(group), eve, "by the admin's leave");
    for_rest.require_membership = false;
    assert_eq!(stored(world.write(Write::Append(for_rest))).sequence, 1);

    let missing = GroupId::new("missing").unwrap();
    let append = world.message(LogKey::Group(missing), alice, "hello?");
    assert_eq!(
        world.write(Write::Append(append)),
        Err(Refused::NoSuchGroup(missing))
    );
    let mut forged = world.message(LogKey::c2c(alice, bob), alice, "as bob");
    forged.id.sender = world.number(&bob);
    assert_eq!(world.write(Write::Append(forged)), Err(Refused::ForeignId));
    let mut system = world.message(LogKey::c2c(alice, bob), alice, "as the system");
    system.sender = UserId::SYSTEM;
    assert_eq!(
        world.write(Write::Append(system)),
        Err(Refused::ReservedUser(UserId::SYSTEM))
    );
}

pub fn entries_come_back_whole(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let log = LogKey::c2c(alice, bob);
    let mut append = world.message(log, alice, "");
    append.content = (0..=255).collect::<Vec<u8>>().into();
    append.origin = u64::MAX;
    append.id.client_time = u64::MAX;
    append.id.random = u32::MAX;
    append.kind = MessageKind(u16::MAX);
    append.flags = EntryFlags::from_bits(u32::MAX);
    let answer = stored(world.write(Write::Append(append.clone())));
    let entry = world.reader().entry(&log, 1).unwrap().unwrap();
    assert_eq!(
        (entry.sequence, entry.change, entry.time_ms),
        (answer.sequence, answer.change, answer.time_ms)
    );
    assert_eq!(
        (entry.sender, entry.id, entry.origin),
        (alice, append.id, append.origin)
    );
    assert_eq!(
        (entry.kind, entry.content.clone()),
        (append.kind, append.content.clone())
    );
    assert_eq!(
        entry.flags,
        EntryFlags::from_bits(u32::MAX).chosen(),
        "the store's own bits are not the sender's"
    );
    assert_eq!(
        world
            .published
            .last()
            .and_then(|published| published.entry.as_ref()),
        Some(&entry)
    );
    assert_eq!(world.reader().entry(&log, 2), Ok(None));
    assert_eq!(world.write(Write::Append(append)), Ok(Written::Duplicate(answer)));
}

pub fn too_much_content_is_refused(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let mut append = world.message(LogKey::c2c(alice, bob), alice, "");
    append.content = vec![0; MAX_CONTENT + 1].into();
    let refused = Err(Refused::TooLarge {
        len: MAX_CONTENT + 1,
        max: MAX_CONTENT,
    });
    assert_eq!(world.write(Write::Append(append.clone())), refused);
    append.content = vec![0; MAX_CONTENT].into();
    assert_eq!(stored(world.write(Write::Append(append))).sequence, 1);
}

pub fn reopening_keeps_everything(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let log = LogKey::c2c(alice, bob);
    let group = world.group("g1", &[alice, bob]);
    for text in ["1", "2", "3"] {
        world.say(log, alice, text);
        world.say(LogKey::Group(group), bob, text);
    }
    world.read(bob, log, Some(2));
    let before = (
        world.conversations(&bob),
        world.page(log, None, 15),
        world.changes(bob, 0, 100),
        world.members(&group),
    );
    world.reopen();
    let after = (
        world.conversations(&bob),
        world.page(log, None, 15),
        world.changes(bob, 0, 100),
        world.members(&group),
    );
    assert_eq!(before, after);
    let next = world.say(log, bob, "4");
    assert_eq!((next.sequence, next.change), (4, 7), "numbers go on");
}
