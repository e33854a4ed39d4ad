//! Revoking.

use tim_hub::store::{LogKey, REVOCATION, Refused, Revoke, Write, Written, flags};
use tim_proto::{MessageId, UserId};

use super::{World, texts};

pub(crate) const WINDOW_MS: u64 = 120_000;

/// A wish to revoke within two minutes.
pub(crate) fn by(world: &World, log: LogKey, sequence: u64, by: UserId) -> Revoke {
    let id = MessageId {
        sender: 0,
        client_time: world.now_ms / 1000,
        random: 5,
    };
    let content = format!("revoked {sequence}").into();
    Revoke {
        log,
        sequence,
        by,
        window_ms: WINDOW_MS,
        as_admin: false,
        origin: 3,
        id,
        content,
    }
}

fn revoke(world: &mut World, log: LogKey, sequence: u64, user: UserId) -> Result<Written, Refused> {
    let revoke = by(world, log, sequence, user);
    world.write(Write::Revoke(revoke))
}

pub(crate) fn the_message_is_marked_and_told_of(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let log = LogKey::c2c(alice, bob);
    world.say(log, alice, "oops");
    let answer = revoke(world, log, 1, alice);
    let Ok(Written::Revoked {
        entry,
        already: false,
    }) = answer
    else {
        panic!("{answer:?}")
    };
    assert_eq!((entry.sequence, entry.change), (2, 2));
    let message = world.reader().entry(&log, 1).unwrap().unwrap();
    assert!(message.is_revoked());
    assert_eq!(texts([&message]), ["oops"], "the message itself stays as it was");
    let told = world.changes(bob, 1, 10).entries.remove(0).entry;
    assert_eq!((told.kind, told.sender, told.origin), (REVOCATION, alice, 3));
    assert_eq!(told.id.sender, world.number(&alice));
    assert_eq!(texts([&told]), ["revoked 1"]);
    assert_eq!(
        world.published.last().map(|published| &published.entry),
        Some(&told)
    );
    assert_eq!(world.page(log, None, 15).entries, [message]);
}

pub(crate) fn the_window_is_exact(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let log = LogKey::c2c(alice, bob);
    for age_s in [119, 120, 121] {
        let stored = world.say(log, alice, "x");
        world.now_ms += age_s * 1000;
        let answer = revoke(world, log, stored.sequence, alice);
        if age_s <= 120 {
            assert!(
                matches!(answer, Ok(Written::Revoked { already: false, .. })),
                "{age_s} s: {answer:?}"
            );
        } else {
            assert_eq!(
                answer,
                Err(Refused::TooLate {
                    age_ms: 121_000,
                    window_ms: WINDOW_MS
                })
            );
            assert!(
                !world
                    .reader()
                    .entry(&log, stored.sequence)
                    .unwrap()
                    .unwrap()
                    .is_revoked()
            );
        }
    }
}

pub(crate) fn only_ones_own_or_as_admin(world: &mut World) {
    let (alice, bob, eve) = (world.user("alice"), world.user("bob"), world.user("eve"));
    let log = LogKey::Group(world.group("g1", &[alice, bob]));
    world.say(log, bob, "rude");
    for user in [alice, eve] {
        assert_eq!(revoke(world, log, 1, user), Err(Refused::NotYours));
    }
    let mut as_admin = by(world, log, 1, alice);
    as_admin.as_admin = true;
    let answer = world.write(Write::Revoke(as_admin));
    assert!(
        matches!(answer, Ok(Written::Revoked { already: false, .. })),
        "{answer:?}"
    );
    assert_eq!(revoke(world, log, 1, bob), Err(Refused::AlreadyRevoked(alice)));
}

pub(crate) fn a_repeated_request_is_answered_as_the_first(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let log = LogKey::c2c(alice, bob);
    world.say(log, alice, "oops");
    let Ok(Written::Revoked { entry, .. }) = revoke(world, log, 1, alice) else {
        panic!("first")
    };
    world.now_ms += 10 * WINDOW_MS;
    world.reopen();
    assert_eq!(
        revoke(world, log, 1, alice),
        Ok(Written::Revoked { entry, already: true }),
        "also when it is late"
    );
    assert_eq!(world.conversation(&bob, &log).head_sequence, 2, "one revocation");
}

pub(crate) fn unread_and_preview_follow(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let log = LogKey::c2c(alice, bob);
    for text in ["1", "2", "3"] {
        world.say(log, alice, text);
    }
    world.read(bob, log, Some(1));
    assert_eq!(world.unread(&bob, &log), 2);
    revoke(world, log, 1, alice).unwrap();
    assert_eq!(world.unread(&bob, &log), 2, "it had been read");
    revoke(world, log, 3, alice).unwrap();
    let conversation = world.conversation(&bob, &log);
    assert_eq!(conversation.unread, 1);
    let last = conversation.last.unwrap();
    assert_eq!(
        (last.sequence, last.is_revoked()),
        (3, true),
        "the last message stays, marked"
    );
    assert_eq!(world.read(bob, log, Some(2)), (2, 0));
    assert_eq!(world.read(bob, log, None), (5, 0));
    world.say(log, alice, "6");
    assert_eq!(world.unread(&bob, &log), 1);
    assert_eq!(world.unread(&alice, &log), 0);
}

pub(crate) fn what_cannot_be_revoked(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let log = LogKey::c2c(alice, bob);
    assert_eq!(revoke(world, log, 1, alice), Err(Refused::NoSuchConversation));
    world.say(log, alice, "x");
    for missing in [0, 2, u64::MAX] {
        assert_eq!(revoke(world, log, missing, alice), Err(Refused::NotFound));
    }
    revoke(world, log, 1, alice).unwrap();
    assert_eq!(
        revoke(world, log, 2, alice),
        Err(Refused::NotYours),
        "a revocation"
    );
    let mut tip = world.prepared("tip");
    tip.sender = alice;
    world.write(Write::AppendSystem { log, entry: tip }).unwrap();
    assert_eq!(
        revoke(world, log, 3, alice),
        Err(Refused::NotYours),
        "a tip in the user's name"
    );
    assert_eq!(
        world.reader().entry(&log, 3).unwrap().unwrap().flags,
        flags::SYSTEM
    );
}
