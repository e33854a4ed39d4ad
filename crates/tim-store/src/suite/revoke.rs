//! Revoking.

use bytes::Bytes;
use tim_groups::GroupAction;
use tim_proto::message::{Content, Mentions, SenderNames, Text, with_sender_names};
use tim_proto::wire::{List, decode_body};
use tim_proto::{ConversationId, ErrorCode, MessageId, MessageKind, Role, UserId};

use super::{World, texts};
use crate::{Append, EntryFlags, LogKey, Refused, Revoke, Write, Written};

pub const WINDOW_MS: u64 = 120_000;
pub const MANAGER_WINDOW_MS: u64 = 300_000;

/// A wish to revoke within two minutes.
pub fn by(world: &World, log: LogKey, sequence: u64, by: UserId) -> Revoke {
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
        as_administrator: false,
        window_ms: WINDOW_MS,
        manager_window_ms: MANAGER_WINDOW_MS,
        reason: "typo".to_owned(),
        origin: 3,
        id,
        content,
    }
}

fn revoke(world: &mut World, log: LogKey, sequence: u64, user: UserId) -> Result<Written, Refused> {
    let revoke = by(world, log, sequence, user);
    world.write(Write::Revoke(revoke))
}

pub fn the_message_is_marked_and_told_of(world: &mut World) {
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
    assert_eq!(texts([&message]), [""], "its content is gone");
    let told = world.changes(bob, 1, 10).entries.remove(0).entry;
    assert_eq!(
        (told.kind, told.sender, told.origin),
        (MessageKind::REVOCATION, alice, 3)
    );
    assert_eq!(told.id.sender, world.number(&alice));
    assert_eq!(texts([&told]), ["revoked 1"]);
    assert_eq!(
        world
            .published
            .last()
            .and_then(|published| published.entry.as_ref()),
        Some(&told)
    );
    assert_eq!(world.page(log, None, 15).entries, [message]);
}

pub fn the_window_is_exact(world: &mut World) {
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

/// `owner`, `admin`, `admin2` and `member` in a Community.
fn ranks(world: &mut World) -> (LogKey, [UserId; 4]) {
    let users = ["owner", "admin", "admin2", "member"].map(|name| world.user(name));
    let [owner, admin, admin2, _] = users;
    let group = world.group("g1", &users);
    for user in [admin, admin2] {
        let role = GroupAction::SetMember {
            user,
            role: Some(Role::ADMIN),
            mute_seconds: None,
            name_card: None,
        };
        world.change(group, owner, role).unwrap();
    }
    (LogKey::Group(group), users)
}

fn is_new(answer: &Result<Written, Refused>) -> bool {
    matches!(answer, Ok(Written::Revoked { already: false, .. }))
}

pub fn the_managers_revoke_what_those_of_lower_rank_wrote(world: &mut World) {
    let (log, [owner, admin, admin2, member]) = ranks(world);
    let eve = world.user("eve");
    let rude = world.say(log, member, "rude").sequence;
    assert_eq!(revoke(world, log, rude, eve), Err(Refused::NotParticipant(eve)));
    assert!(is_new(&revoke(world, log, rude, admin)));
    assert_eq!(
        revoke(world, log, rude, member),
        Err(Refused::AlreadyRevoked(admin))
    );
    for (sender, by, may) in [
        (owner, admin, false),
        (admin2, admin, false),
        (admin, owner, true),
        (owner, member, false),
        (admin, member, false),
        (member, owner, true),
    ] {
        let at = world.say(log, sender, "x").sequence;
        let answer = revoke(world, log, at, by);
        assert_eq!(is_new(&answer), may, "{by} of {sender}: {answer:?}");
        if !may {
            assert_eq!(answer.unwrap_err().code(), ErrorCode::GROUP_REVOKE_MSG_DENY);
            assert_eq!(texts([&world.reader().entry(&log, at).unwrap().unwrap()]), ["x"]);
        }
    }
    // The right is what it is when the store comes to it: in the same batch, behind the demotion.
    let at = world.say(log, member, "x").sequence;
    let LogKey::Group(group) = log else {
        panic!("a group")
    };
    let demotion = GroupAction::SetMember {
        user: admin,
        role: Some(Role::MEMBER),
        mute_seconds: None,
        name_card: None,
    };
    let batch = [
        world.command(group, owner, demotion),
        Write::Revoke(by(world, log, at, admin)),
    ];
    assert_eq!(world.batch(&batch)[1], Err(Refused::NotYours));
    // Who has left is of the lowest rank.
    let at = world.say(log, member, "bye").sequence;
    world.change(group, member, GroupAction::Quit).unwrap();
    assert_eq!(
        revoke(world, log, at, member),
        Err(Refused::NotParticipant(member))
    );
    assert!(is_new(&revoke(world, log, at, admin2)));
}

pub fn managers_have_a_window_of_their_own(world: &mut World) {
    let (log, [owner, admin, _, member]) = ranks(world);
    let said = [owner, admin, member].map(|user| world.say(log, user, "x").sequence);
    world.now_ms += MANAGER_WINDOW_MS;
    let late = |window_ms| {
        Err(Refused::TooLate {
            age_ms: MANAGER_WINDOW_MS + u64::from(window_ms == MANAGER_WINDOW_MS),
            window_ms,
        })
    };
    assert_eq!(revoke(world, log, said[2], member), late(WINDOW_MS));
    assert!(is_new(&revoke(world, log, said[1], admin)), "their own too");
    world.now_ms += 1;
    assert_eq!(revoke(world, log, said[2], admin), late(MANAGER_WINDOW_MS));
    assert_eq!(revoke(world, log, said[0], owner), late(MANAGER_WINDOW_MS));
    let mut unlimited = by(world, log, said[2], admin);
    unlimited.manager_window_ms = u64::MAX;
    assert!(is_new(&world.write(Write::Revoke(unlimited))));
    // A shorter window of the managers takes nothing from what they have as authors.
    let own = world.say(log, owner, "x").sequence;
    let theirs = world.say(log, member, "x").sequence;
    world.now_ms += WINDOW_MS;
    let short = |world: &World, sequence| {
        let mut short = by(world, log, sequence, owner);
        short.manager_window_ms = 1;
        Write::Revoke(short)
    };
    let (own, theirs) = (short(world, own), short(world, theirs));
    assert!(is_new(&world.write(own)));
    assert!(matches!(
        world.write(theirs),
        Err(Refused::TooLate { window_ms: 1, .. })
    ));
}

/// A message as the hub stores it: text, whom it mentions, and how its sender is called.
fn encoded(log: LogKey, append: &Append, text: &str) -> Bytes {
    let LogKey::Group(group) = log else {
        panic!("a group")
    };
    let mut room = [0; 64];
    let mentions = Mentions::new().with_users(List::from_slice(&append.mentions));
    let payload = tim_proto::message::to_vec(&Text::new(text));
    let content = Content::new(
        ConversationId::Group(group),
        append.id,
        MessageKind::TEXT,
        &payload,
    )
    .with_client_sequence(1)
    .with_extensions(mentions.write(&mut room).unwrap());
    let names = SenderNames::new().with_nick("Mem");
    with_sender_names(&tim_proto::message::to_vec(&content), &names).into()
}

pub fn the_content_is_gone_everywhere_and_the_revoker_is_named(world: &mut World) {
    let (log, [owner, admin, _, member]) = ranks(world);
    let mut append = world.message(log, member, "");
    append.mentions = vec![admin];
    append.content = encoded(log, &append, "hunter2");
    let at = super::stored(world.write(Write::Append(append.clone())));
    assert_eq!(world.conversation(&admin, &log).at.len(), 1);
    world
        .write(Write::SetUserProfile {
            user: owner,
            nick: Some("Boss".to_owned()),
            avatar: None,
        })
        .unwrap();
    assert!(is_new(&revoke(world, log, at.sequence, owner)));
    world.reopen();

    let page = world.page(log, None, 15).entries;
    let shown = [
        page.last().cloned(),
        world.reader().entry(&log, at.sequence).unwrap(),
        world.conversation(&admin, &log).last,
        world.list_last(&admin),
        world
            .changes(admin, at.change - 1, 1)
            .entries
            .first()
            .map(|it| it.entry.clone()),
        world
            .published
            .last()
            .and_then(|it| it.revoked.as_deref().cloned()),
    ];
    for (way, entry) in shown.into_iter().enumerate() {
        let entry = entry.unwrap();
        assert_eq!(
            (entry.sequence, entry.change, entry.time_ms),
            (at.sequence, at.change, at.time_ms)
        );
        assert_eq!(
            (entry.sender, entry.id, entry.kind),
            (member, append.id, MessageKind::TEXT),
            "{way}"
        );
        assert!(entry.is_revoked());
        let left: Content<'_> = decode_body(&entry.content).unwrap();
        assert_eq!(
            (left.payload, left.mentions(), left.nick()),
            (&[][..], None, "Mem"),
            "{way}"
        );
        let by = left.revoked_by().unwrap();
        assert_eq!((by.revoker, by.reason, by.name), ("owner", "typo", "Boss"));
    }
    assert_eq!(world.conversation(&admin, &log).at, []);
    let told = world.published.last().unwrap().entry.as_ref().unwrap();
    assert!(told.content.ends_with(b"Boss"));
    // Sending it again brings nothing back.
    let again = world.write(Write::Append(append));
    let left = world.reader().entry(&log, at.sequence).unwrap().unwrap();
    assert!(left.is_revoked());
    assert_eq!(again, Ok(Written::DuplicateOfRevoked(at, Box::new(left))));
    // A name card goes before the nick.
    let LogKey::Group(group) = log else {
        panic!("a group")
    };
    let card = GroupAction::SetMember {
        user: owner,
        role: None,
        mute_seconds: None,
        name_card: Some("The owner".to_owned()),
    };
    world.change(group, owner, card).unwrap();
    let mut append = world.message(log, member, "");
    append.content = encoded(log, &append, "again");
    let at = super::stored(world.write(Write::Append(append)));
    assert!(is_new(&revoke(world, log, at.sequence, owner)));
    let entry = world.reader().entry(&log, at.sequence).unwrap().unwrap();
    let left: Content<'_> = decode_body(&entry.content).unwrap();
    assert_eq!(left.revoked_by().unwrap().name, "The owner");
}

pub fn a_repeated_request_is_answered_as_the_first(world: &mut World) {
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

pub fn unread_and_preview_follow(world: &mut World) {
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

pub fn what_cannot_be_revoked(world: &mut World) {
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
    let tip = world.prepared("tip");
    let log = LogKey::Group(world.group("g", &[alice, bob]));
    world.write(Write::AppendSystem { log, entry: tip }).unwrap();
    assert_eq!(
        revoke(world, log, 1, alice),
        Err(Refused::NotYours),
        "a tip, by the group's owner"
    );
    assert_eq!(
        world.reader().entry(&log, 1).unwrap().unwrap().flags,
        EntryFlags::SYSTEM
    );
}
