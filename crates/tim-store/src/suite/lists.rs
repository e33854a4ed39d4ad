//! The conversation list, read marks, hidden conversations.

use tim_proto::{ConversationId, Role, UserId};

use super::{World, stored, texts};
use crate::{About, EntryFlags, LogKey, Refused, Write, Written};

pub fn newest_first_and_at_most_a_hundred(world: &mut World) {
    let alice = world.user("alice");
    let peers: Vec<UserId> = (0..101).map(|n| world.user(&format!("peer{n}"))).collect();
    for peer in &peers {
        world.say(LogKey::c2c(alice, *peer), *peer, "hello");
    }
    let newest_first: Vec<LogKey> = peers.iter().rev().map(|peer| LogKey::c2c(alice, *peer)).collect();
    assert_eq!(world.list(&alice), newest_first[..100]);
    let page = world.reader().conversations(&alice, None, 1000).unwrap();
    assert_eq!(
        (page.conversations.len(), page.more, page.total_unread),
        (100, true, 101),
        "never more on a page, and all in the total"
    );
    let (mut walked, mut left, mut after) = (Vec::new(), Vec::new(), None);
    loop {
        let page = world.reader().conversations(&alice, after, 40).unwrap();
        walked.extend(page.conversations.iter().map(|one| one.log));
        left.push(page.total_unread);
        after = page.next.last().copied();
        if !page.more {
            break;
        }
    }
    assert_eq!((walked, left), (newest_first, vec![101, 61, 21]));
    let all = world.reader().conversations(&peers[0], None, 1).unwrap();
    assert_eq!((all.conversations.len(), all.more), (1, false));
    let oldest = LogKey::c2c(alice, peers[0]);
    world.say(oldest, alice, "still there?");
    assert_eq!(
        world.list(&alice)[0],
        oldest,
        "moves to the top in the same millisecond too"
    );
    assert_eq!(world.list(&peers[0]), [oldest]);
}

pub fn own_messages_are_never_unread(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let log = LogKey::c2c(alice, bob);
    for (sender, alices, bobs) in [
        (alice, 0, 1),
        (alice, 0, 2),
        (bob, 1, 2),
        (alice, 1, 3),
        (bob, 2, 3),
    ] {
        world.say(log, sender, "x");
        assert_eq!(
            (world.unread(&alice, &log), world.unread(&bob, &log)),
            (alices, bobs)
        );
    }
    assert_eq!(
        world.conversation(&alice, &log).read_sequence,
        0,
        "sending does not mark as read"
    );
    assert_eq!(world.read(alice, log, None), (5, 0));
    assert_eq!(world.unread(&bob, &log), 3, "and nobody else's mark moves");
}

pub fn the_read_mark_only_moves_forward(world: &mut World) {
    let (alice, bob, eve) = (world.user("alice"), world.user("bob"), world.user("eve"));
    let log = LogKey::c2c(alice, bob);
    for sender in [bob, alice, bob, bob, alice, bob] {
        world.say(log, sender, "x");
    }
    assert_eq!(world.read(alice, log, Some(3)), (3, 2));
    assert_eq!(world.read(alice, log, Some(1)), (3, 2));
    assert_eq!(world.read(alice, log, Some(0)), (3, 2));
    assert_eq!(world.read(alice, log, Some(5)), (5, 1));
    assert_eq!(
        world.read(alice, log, Some(u64::MAX)),
        (6, 0),
        "no further than what there is"
    );
    world.say(log, bob, "x");
    assert_eq!(world.unread(&alice, &log), 1);
    let mark = |user| Write::MarkRead {
        user,
        log,
        upto: None,
    };
    assert_eq!(world.write(mark(eve)), Err(Refused::NotParticipant(eve)));
    let unknown = Write::MarkRead {
        user: alice,
        log: LogKey::c2c(alice, eve),
        upto: None,
    };
    let nothing = Written::NOTHING_TO_READ;
    assert_eq!(world.write(unknown), Ok(nothing.clone()), "not begun");
    let notices = Write::MarkRead {
        user: alice,
        log: LogKey::System(alice),
        upto: None,
    };
    assert_eq!(world.write(notices), Ok(nothing), "no notice yet");
}

pub fn a_deleted_conversation_comes_back_with_its_history(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let log = LogKey::c2c(alice, bob);
    world.say(log, bob, "1");
    world.say(log, bob, "2");
    let delete = Write::DeleteConversation { user: alice, log };
    let deleted = Written::Read {
        read_sequence: 2,
        unread: 0,
        counted: 2,
        deleted_through: 2,
    };
    assert_eq!(world.write(delete.clone()), Ok(deleted.clone()));
    assert_eq!(world.conversations(&alice), world.conversations(&UserId::SYSTEM));
    let found = world.conversation(&alice, &log);
    assert_eq!((found.hidden, found.unread), (true, 0), "what is deleted is read");
    assert_eq!(world.list(&bob), [log], "only from this user's list");
    assert_eq!(
        texts(&world.page(log, None, 15).entries),
        ["1", "2"],
        "the messages stay (S203)"
    );
    assert_eq!(world.write(delete), Ok(deleted), "deleting twice is no fault");

    let revoke = super::revoke::by(world, log, 2, bob);
    world.write(Write::Revoke(revoke)).unwrap();
    assert!(
        world.list(&alice).is_empty(),
        "a revocation does not bring it back"
    );
    world.say(log, bob, "3");
    assert_eq!(world.list(&alice), [log]);
    assert_eq!(
        world.write(Write::MarkRead {
            user: alice,
            log,
            upto: Some(3)
        }),
        Ok(Written::Read {
            read_sequence: 3,
            unread: 1,
            counted: 4,
            deleted_through: 0
        })
    );
    assert_eq!(
        texts(&world.page(log, None, 15).entries),
        ["1", "", "3"],
        "with its history (S204)"
    );
    let unknown = Write::DeleteConversation {
        user: alice,
        log: LogKey::c2c(alice, alice),
    };
    let nothing = Written::NOTHING_TO_READ;
    assert_eq!(world.write(unknown), Ok(nothing));
}

pub fn flags_are_obeyed(world: &mut World) {
    let (alice, bob, carol) = (world.user("alice"), world.user("bob"), world.user("carol"));
    let log = LogKey::c2c(alice, bob);
    world.say(log, bob, "shown");
    world.say(LogKey::c2c(alice, carol), carol, "newer");
    let mut quiet = world.message(log, bob, "not counted");
    quiet.flags = EntryFlags::NO_UNREAD;
    let mut hidden = world.message(log, bob, "not shown");
    hidden.flags = EntryFlags::NO_LAST;
    stored(world.write(Write::Append(hidden)));
    assert_eq!(
        world.list(&alice),
        [LogKey::c2c(alice, carol), log],
        "does not move up"
    );
    assert_eq!(texts(&world.conversation(&alice, &log).last), ["shown"]);
    assert_eq!(world.unread(&alice, &log), 2);
    stored(world.write(Write::Append(quiet)));
    assert_eq!(world.unread(&alice, &log), 2);
    assert_eq!(texts(&world.conversation(&alice, &log).last), ["not counted"]);
    assert_eq!(world.read(alice, log, Some(1)), (1, 1));
}

pub fn profiles_are_shown(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let group = world.group("g1", &[alice, bob]);
    let nick = Write::SetUserProfile {
        user: bob,
        nick: Some("Bob B.".to_owned()),
        avatar: None,
    };
    assert_eq!(world.write(nick), Ok(Written::Done));
    let avatar = Write::SetUserProfile {
        user: bob,
        nick: None,
        avatar: Some("bob.png".to_owned()),
    };
    assert_eq!(world.write(avatar), Ok(Written::Done));
    world.say(LogKey::c2c(alice, bob), bob, "hi");
    world.say(LogKey::Group(group), bob, "hi all");

    let list = world.conversations(&alice).conversations;
    let About::Group(profile, standing) = &list[0].about else {
        panic!("{:?}", list[0])
    };
    assert_eq!(
        (list[0].id, profile.name.as_str()),
        (ConversationId::Group(group), "g1's name")
    );
    assert_eq!((profile.member_count, profile.owner), (2, alice));
    assert_eq!(standing.role, Role::OWNER);
    let About::Peer(peer) = &list[1].about else {
        panic!("{:?}", list[1])
    };
    assert_eq!(list[1].id, ConversationId::C2c(bob));
    assert_eq!(
        (peer.user, peer.nick.as_str(), peer.avatar.as_str()),
        (bob, "Bob B.", "bob.png")
    );
    let nobody = UserId::new("nobody").unwrap();
    let unknown = Write::SetUserProfile {
        user: nobody,
        nick: None,
        avatar: None,
    };
    assert_eq!(world.write(unknown), Err(Refused::NoSuchUser(nobody)));
}

pub fn a_note_to_oneself(world: &mut World) {
    let alice = world.user("alice");
    let log = LogKey::c2c(alice, alice);
    world.say(log, alice, "remember");
    let list = world.conversations(&alice).conversations;
    assert_eq!(list.len(), 1);
    assert_eq!((list[0].id, list[0].unread), (ConversationId::C2c(alice), 0));
    assert_eq!(world.changes(alice, 0, 10).entries.len(), 1, "once, not twice");
}
