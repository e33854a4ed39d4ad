//! What an account may take up.

use tim_proto::{MessageKind, UserId};

use super::{DAY_MS, World, purge::purge, revoke, stored};
use crate::{Append, ENTRY_BYTES, EntryFlags, LogKey, Quota, Refused, Write, Written};

fn within(append: Append, bytes: u64, conversations: u64) -> Write {
    Write::Append(Append {
        quota: Quota { bytes, conversations },
        ..append
    })
}

fn too_much(user: UserId, stored: u64, max: u64) -> Result<Written, Refused> {
    Err(Refused::TooMuchStored { user, stored, max })
}

pub fn bytes_are_given_back_when_they_are_removed(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let log = LogKey::c2c(alice, bob);
    let group = LogKey::Group(world.group("crew", &[bob, alice]));
    let max = 3 * ENTRY_BYTES + 30;
    let say = |world: &mut World, log, text: &str| {
        let append = world.message(log, alice, text);
        (append.clone(), world.write(within(append, max, u64::MAX)))
    };
    let (first, answer) = say(world, log, "0123456789");
    let at = stored(answer);
    stored(say(world, group, "0123456789").1);
    stored(say(world, log, "0123456789").1);
    assert_eq!(world.stored_bytes(alice), max, "to the byte");
    let (refused, answer) = say(world, log, "");
    assert_eq!(answer, too_much(alice, max, max));
    assert_eq!(
        world.write(within(first, max, u64::MAX)),
        Ok(Written::Duplicate(at)),
        "what is stored is stored"
    );
    world.reopen();
    assert_eq!(world.stored_bytes(alice), max);
    // Others have a count of their own, and are not asked.
    assert_eq!(world.stored_bytes(bob), 0);
    world.say(log, bob, "of bob's");
    assert_eq!(world.stored_bytes(alice), max);

    // The revocation is an entry of alice's too, and her message loses its content.
    let revocation = revoke::by(world, log, 2, alice);
    world.write(Write::Revoke(revocation)).unwrap();
    assert_eq!(world.stored_bytes(alice), 4 * ENTRY_BYTES + 20);
    world.now_ms += 8 * DAY_MS;
    assert_eq!(purge(world, 100), 5);
    assert_eq!((world.stored_bytes(alice), world.stored_bytes(bob)), (0, 0));
    stored(world.write(within(refused, max, u64::MAX)));
    assert_eq!(world.stored_bytes(alice), ENTRY_BYTES);
}

pub fn a_refused_message_leaves_nothing(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let carol = UserId::new("carol").unwrap();
    world.say(LogKey::c2c(alice, bob), alice, "x");
    let append = world.message(LogKey::c2c(alice, carol), alice, "x");
    let write = Write::WithAccounts {
        users: vec![carol],
        write: Box::new(within(append.clone(), 0, u64::MAX)),
    };
    assert_eq!(world.write(write), too_much(alice, ENTRY_BYTES + 1, 0));
    assert_eq!(world.reader().conversation(&alice, &append.log), Ok(None));
    world.reopen();
    assert_eq!(world.begun(alice), 1);
    // The same message goes through later.
    assert_eq!(stored(world.write(Write::Append(append))).sequence, 1);
    assert_eq!(world.begun(alice), 2);
}

pub fn conversations_count_for_who_has_begun_them(world: &mut World) {
    let (alice, bob, carol) = (world.user("alice"), world.user("bob"), world.user("carol"));
    let first = world.message(LogKey::c2c(alice, bob), alice, "x");
    stored(world.write(within(first, u64::MAX, 1)));
    let second = world.message(LogKey::c2c(alice, carol), alice, "x");
    let refused = Refused::TooManyConversations {
        user: alice,
        begun: 1,
        max: 1,
    };
    assert_eq!(world.write(within(second.clone(), u64::MAX, 1)), Err(refused));
    let more = world.message(LogKey::c2c(alice, bob), alice, "more");
    stored(world.write(within(more, u64::MAX, 1)));
    // Carol writes first, then alice may answer.
    world.say(LogKey::c2c(alice, carol), carol, "hello");
    stored(world.write(within(second, u64::MAX, 1)));
    let note = world.message(LogKey::c2c(alice, alice), alice, "a note");
    stored(world.write(within(note, u64::MAX, 2)));
    assert_eq!(
        (world.begun(alice), world.begun(bob), world.begun(carol)),
        (2, 0, 1)
    );
    // What the system begins is nobody's.
    let (log, entry) = (LogKey::c2c(bob, carol), world.prepared("tip"));
    world.write(Write::AppendSystem { log, entry }).unwrap();
    let answer = world.message(log, bob, "x");
    stored(world.write(within(answer, u64::MAX, 0)));
    assert_eq!((world.begun(bob), world.begun(carol)), (0, 1));
    // It stays begun when its messages are removed.
    world.now_ms += 8 * DAY_MS;
    purge(world, 100);
    world.reopen();
    assert_eq!((world.begun(alice), world.stored_bytes(alice)), (2, 0));
}

pub fn what_the_hub_writes_counts_for_nobody(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    for log in [LogKey::System(alice), LogKey::c2c(alice, bob)] {
        let entry = world.prepared("told");
        world.write(Write::AppendSystem { log, entry }).unwrap();
    }
    assert_eq!(world.stored_bytes(alice), 0);
    assert_eq!(
        Quota::cost(EntryFlags::SYSTEM, 100),
        Quota::cost(EntryFlags::REVOKED, 100)
    );
    let mut append = world.message(LogKey::c2c(alice, bob), alice, "1234");
    (append.kind, append.flags) = (MessageKind::CUSTOM, EntryFlags::NO_LAST);
    stored(world.write(Write::Append(append)));
    assert_eq!(world.stored_bytes(alice), ENTRY_BYTES + 4);
}
