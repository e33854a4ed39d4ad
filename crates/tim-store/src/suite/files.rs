//! Files: what is counted, what may be sent, and what is removed when.

use tim_groups::GroupAction;
use tim_proto::{FileId, MessageKind, UserId};

use super::groups::join;
use super::{DAY_MS, World, purge::purge, revoke, stored};
use crate::{
    AddFile, Append, File, FileContent, FileImage, FileQuota, FileUsage, LogKey, MAX_FILES, Refused,
    RemoveFiles, Write, Written,
};

/// A picture of ten bytes with a thumbnail of three, which others with the same number have too.
pub fn picture(owner: UserId, number: u8) -> File {
    let image = FileImage {
        part: 1,
        width: 1024,
        height: 768,
        size: 10,
        is_original: true,
    };
    let thumbnail = FileImage {
        part: 3,
        width: 198,
        height: 149,
        size: 3,
        is_original: false,
    };
    let mut key = [number; 16];
    for (place, byte) in key.iter_mut().zip(owner.as_str().bytes()) {
        *place ^= byte;
    }
    File {
        id: FileId::from_bytes(key),
        owner,
        kind: MessageKind::IMAGE,
        size: 10,
        sha256: [number; 32],
        media_type: "image/png".to_owned(),
        format: 3,
        images: vec![image, thumbnail],
        created_ms: 0,
    }
}

const BYTES: u64 = 13;
const NOTHING: [FileId; 0] = [];

pub fn add(file: &File, quota: FileQuota) -> Write {
    Write::AddFile(Box::new(AddFile {
        file: file.clone(),
        quota,
    }))
}

/// A new file of this user.
#[track_caller]
pub fn upload(world: &mut World, owner: UserId, number: u8) -> File {
    let file = picture(owner, number);
    match world.write(add(&file, FileQuota::NONE)) {
        Ok(Written::File { file, is_new: true }) => *file,
        other => panic!("{other:?}"),
    }
}

/// A message that names files.
pub fn naming(world: &mut World, log: LogKey, sender: UserId, files: &[FileId]) -> Append {
    let mut append = world.message(log, sender, "a picture");
    append.kind = MessageKind::IMAGE;
    append.files = files.to_vec();
    append
}

/// Sends a file. Returns the message's sequence.
#[track_caller]
pub fn send(world: &mut World, log: LogKey, sender: UserId, file: &File) -> u64 {
    let append = naming(world, log, sender, &[file.id]);
    stored(world.write(Write::Append(append))).sequence
}

/// The file cannot be sent, and the attempt leaves nothing.
#[track_caller]
fn refused(world: &mut World, log: LogKey, sender: UserId, file: FileId) {
    assert_eq!(world.reader().may_send_file(&sender, &file), Ok(false));
    let append = naming(world, log, sender, &[file]);
    let before = world.reader().conversation(&sender, &log).unwrap();
    assert_eq!(world.write(Write::Append(append)), Err(Refused::FileNotYours));
    assert_eq!(world.reader().conversation(&sender, &log).unwrap(), before);
}

#[track_caller]
fn revoke_it(world: &mut World, log: LogKey, sequence: u64, by: UserId) {
    let revocation = revoke::by(world, log, sequence, by);
    world.write(Write::Revoke(revocation)).unwrap();
}

fn claim(owner: UserId, file: &File) -> Write {
    Write::ClaimFile { owner, file: file.id }
}

fn has(world: &World, file: &File) -> bool {
    let found = world.reader().file(&file.id).unwrap();
    assert_eq!(
        found.is_some(),
        world.reader().file_with(&file.content()).unwrap().is_some()
    );
    found.is_some()
}

/// What a step removes in which files wait for a message for a day.
#[track_caller]
pub fn remove(world: &mut World) -> Vec<FileId> {
    let step = RemoveFiles {
        unsent_before_ms: world.now_ms - DAY_MS,
        most: 100,
    };
    match world.write(Write::RemoveFiles(step)) {
        Ok(Written::FilesRemoved {
            mut files,
            more: false,
        }) => {
            files.sort_unstable();
            files
        }
        other => panic!("{other:?}"),
    }
}

pub fn a_file_comes_back_whole(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let made = world.now_ms;
    let file = upload(world, alice, 1);
    let expected = File {
        created_ms: made,
        ..picture(alice, 1)
    };
    assert_eq!(file, expected);
    let of_bob = upload(world, bob, 1);
    for _ in 0..2 {
        assert_eq!(world.reader().file(&file.id), Ok(Some(file.clone())));
        assert_eq!(world.reader().file_with(&file.content()), Ok(Some(file.clone())));
        assert_eq!(
            world.reader().file_with(&of_bob.content()),
            Ok(Some(of_bob.clone()))
        );
        world.reopen();
    }
    assert_eq!(world.reader().file(&FileId::from_bytes([0; 16])), Ok(None));
    let other = |content: FileContent| world.reader().file_with(&content);
    for content in [
        FileContent {
            kind: MessageKind::FILE,
            ..file.content()
        },
        FileContent {
            size: 11,
            ..file.content()
        },
        FileContent {
            sha256: [2; 32],
            ..file.content()
        },
        FileContent {
            owner: UserId::new("nobody").unwrap(),
            ..file.content()
        },
    ] {
        assert_eq!(other(content), Ok(None));
    }
    // Of hashes that begin alike each is another.
    let mut alike = picture(alice, 3);
    alike.sha256 = file.sha256;
    alike.sha256[31] = 0;
    world.write(add(&alike, FileQuota::NONE)).unwrap();
    let found = world.reader().file_with(&alike.content()).unwrap().unwrap();
    assert_eq!(found.id, alike.id);
    // Nothing else can be stored under an id, and nothing of nobody's.
    let mut taken = picture(bob, 4);
    taken.id = file.id;
    assert_eq!(world.write(add(&taken, FileQuota::NONE)), Err(Refused::IdReused));
    let nobody = UserId::new("nobody").unwrap();
    assert_eq!(
        world.write(add(&picture(nobody, 1), FileQuota::NONE)),
        Err(Refused::NoSuchUser(nobody))
    );
}

pub fn the_same_content_is_stored_once(world: &mut World) {
    let alice = world.user("alice");
    let file = upload(world, alice, 1);
    let mut again = picture(alice, 1);
    again.id = FileId::from_bytes([77; 16]);
    world.now_ms += 1;
    for _ in 0..2 {
        let answer = world.write(add(&again, FileQuota { bytes: 0, files: 0 }));
        let known = Written::File {
            file: Box::new(file.clone()),
            is_new: false,
        };
        assert_eq!(answer, Ok(known), "the quota is not asked");
        assert_eq!(world.reader().file(&again.id), Ok(None));
        world.reopen();
    }
    let usage = FileUsage {
        bytes: BYTES,
        files: 1,
    };
    assert_eq!(world.reader().file_usage(&alice), Ok(usage));
}

pub fn files_are_counted_for_their_owners(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let usage = |world: &World, user| world.reader().file_usage(&user).unwrap();
    let quota = FileQuota {
        bytes: 2 * BYTES,
        files: 3,
    };
    assert_eq!(usage(world, alice), FileUsage::default());
    world.write(add(&picture(alice, 1), quota)).unwrap();
    world.write(add(&picture(bob, 1), quota)).unwrap();
    world.write(add(&picture(alice, 2), quota)).unwrap();
    let full = Refused::TooManyFileBytes {
        user: alice,
        stored: 2 * BYTES,
        max: 2 * BYTES,
    };
    assert_eq!(
        world.write(add(&picture(alice, 3), quota)),
        Err(full),
        "to the byte"
    );
    let few = FileQuota {
        bytes: u64::MAX,
        files: 2,
    };
    let full = Refused::TooManyFiles {
        user: alice,
        stored: 2,
        max: 2,
    };
    assert_eq!(world.write(add(&picture(alice, 3), few)), Err(full));
    // Of many at once, no more are stored than may be.
    let batch: Vec<Write> = (1..=4).map(|n| add(&picture(bob, n), quota)).collect();
    let answers = world.batch(&batch);
    assert_eq!(
        answers.iter().filter(|answer| answer.is_ok()).count(),
        2,
        "{answers:?}"
    );
    world.reopen();
    let both = FileUsage {
        bytes: 2 * BYTES,
        files: 2,
    };
    assert_eq!([usage(world, alice), usage(world, bob)], [both; 2]);
    // What is removed is given back, and what others send on counts for its owner.
    let log = LogKey::c2c(alice, bob);
    let first = picture(alice, 1);
    let sequence = send(world, log, alice, &first);
    send(world, LogKey::c2c(bob, bob), bob, &first);
    revoke_it(world, log, sequence, alice);
    assert_eq!(remove(world), NOTHING);
    assert_eq!([usage(world, alice), usage(world, bob)], [both; 2]);
    world.now_ms += DAY_MS + 1;
    assert_eq!(remove(world).len(), 3, "all that were not sent");
    let one = FileUsage {
        bytes: BYTES,
        files: 1,
    };
    assert_eq!(
        [usage(world, alice), usage(world, bob)],
        [one, FileUsage::default()]
    );
    world.reopen();
    assert_eq!(
        [usage(world, alice), usage(world, bob)],
        [one, FileUsage::default()]
    );
}

pub fn those_who_see_a_file_send_it_on(world: &mut World) {
    let names = ["alice", "bob", "carol", "dave"];
    let [alice, bob, carol, dave] = names.map(|name| world.user(name));
    let file = upload(world, alice, 1);
    let (first, second) = (LogKey::c2c(alice, bob), LogKey::c2c(bob, carol));
    refused(world, second, bob, file.id);
    refused(world, first, alice, FileId::from_bytes([9; 16]));
    let sent = send(world, first, alice, &file);
    assert_eq!(world.reader().files_of(&first, sent), Ok(vec![file.id]));
    assert_eq!(world.reader().files_of(&first, sent + 1), Ok(Vec::new()));
    refused(world, second, carol, file.id);
    let sent_on = send(world, second, bob, &file);
    // Carol sees bob's message, and dave none.
    refused(world, LogKey::c2c(dave, dave), dave, file.id);
    send(world, LogKey::c2c(carol, carol), carol, &file);
    // Alice revokes hers, and who has it from others still sends it.
    revoke_it(world, first, sent, alice);
    assert_eq!(world.reader().files_of(&first, sent), Ok(Vec::new()));
    world.reopen();
    assert_eq!(world.reader().files_of(&second, sent_on), Ok(vec![file.id]));
    assert_eq!(remove(world), NOTHING);
    let sent_back = send(world, LogKey::c2c(carol, alice), carol, &file);
    assert_eq!(sent_back, 1);
    assert_eq!(world.reader().may_send_file(&bob, &file.id), Ok(true));
    revoke_it(world, second, sent_on, bob);
    refused(world, first, bob, file.id);
}

pub fn members_send_on_what_they_see(world: &mut World) {
    let names = ["alice", "bob", "carol"];
    let [alice, bob, carol] = names.map(|name| world.user(name));
    let group = world.group("crew", &[alice, bob]);
    let log = LogKey::Group(group);
    let [old, new] = [1, 2].map(|number| upload(world, alice, number));
    send(world, log, alice, &old);
    world.change(group, carol, join()).unwrap();
    let notes = |user| LogKey::c2c(user, user);
    refused(world, notes(carol), carol, old.id);
    let both = naming(world, log, alice, &[new.id, old.id, new.id]);
    stored(world.write(Write::Append(both)));
    let last = world.conversation(&alice, &log).head_sequence;
    let mut named = world.reader().files_of(&log, last).unwrap();
    named.sort_unstable();
    assert_eq!(named, {
        let mut both = [new.id, old.id];
        both.sort_unstable();
        both
    });
    send(world, notes(carol), carol, &old);
    world.change(group, bob, GroupAction::Quit).unwrap();
    refused(world, notes(bob), bob, new.id);
    // All or none.
    let one = upload(world, bob, 3);
    let mixed = naming(world, notes(bob), bob, &[one.id, new.id]);
    assert_eq!(world.write(Write::Append(mixed)), Err(Refused::FileNotYours));
    let many = naming(world, notes(bob), bob, &[one.id; MAX_FILES + 1]);
    assert!(matches!(
        world.write(Write::Append(many)),
        Err(Refused::BadValue(_))
    ));
    let most = naming(world, notes(bob), bob, &[one.id; MAX_FILES]);
    stored(world.write(Write::Append(most)));
    // A dismissed group uses none of its files.
    world.change(group, alice, GroupAction::Dismiss).unwrap();
    assert_eq!(remove(world), [new.id]);
    world.reopen();
    assert!(has(world, &old) && has(world, &one) && !has(world, &new));
}

pub fn a_file_is_removed_when_nothing_uses_it(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let log = LogKey::c2c(alice, bob);
    let [unsent, twice, kept] = [1, 2, 3].map(|number| upload(world, alice, number));
    let first = naming(world, log, alice, &[twice.id]);
    let at = stored(world.write(Write::Append(first.clone())));
    let second = send(world, log, alice, &twice);
    send(world, log, alice, &kept);
    world.now_ms += DAY_MS;
    assert_eq!(remove(world), NOTHING, "to the millisecond");
    world.now_ms += 1;
    assert_eq!(remove(world), [unsent.id]);
    assert_eq!(world.write(claim(alice, &unsent)), Err(Refused::NoSuchFile));
    refused(world, log, alice, unsent.id);
    // Of two messages that name a file one is revoked, and then the other.
    let third = send(world, log, alice, &twice);
    revoke_it(world, log, third, alice);
    assert_eq!(remove(world), NOTHING);
    world.reopen();
    assert!(has(world, &twice) && has(world, &kept) && !has(world, &unsent));
    // Both are past the window of revocation; retention takes them, with the others.
    assert_eq!((at.sequence, second), (1, 2));
    world.now_ms += 7 * DAY_MS;
    let late = send(world, log, bob, &kept);
    purge(world, 1);
    assert_eq!(remove(world), [twice.id]);
    // A resend is answered as before.
    assert_eq!(world.reader().files_of(&log, late), Ok(vec![kept.id]));
    revoke_it(world, log, late, bob);
    assert_eq!(remove(world), [kept.id]);
    world.reopen();
    assert!(!has(world, &kept));
    // The content can be uploaded again.
    assert!(upload(world, alice, 3).created_ms == world.now_ms);
}

pub fn a_resend_needs_no_file(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let log = LogKey::c2c(alice, bob);
    let file = upload(world, alice, 1);
    let append = naming(world, log, alice, &[file.id]);
    let at = stored(world.write(Write::Append(append.clone())));
    assert_eq!(
        world.write(Write::Append(append.clone())),
        Ok(Written::Duplicate(at))
    );
    revoke_it(world, log, at.sequence, alice);
    assert_eq!(remove(world), [file.id]);
    assert!(matches!(
        world.write(Write::Append(append)),
        Ok(Written::DuplicateOfRevoked(first, _)) if first == at
    ));
    assert!(!has(world, &file));
}

pub fn a_claim_outlasts_the_last_use(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let log = LogKey::c2c(alice, bob);
    let file = upload(world, alice, 1);
    assert_eq!(world.write(claim(bob, &file)), Err(Refused::NoSuchFile));
    world.now_ms += DAY_MS;
    world.write(claim(alice, &file)).unwrap();
    world.now_ms += DAY_MS;
    assert_eq!(remove(world), NOTHING);
    let sequence = send(world, log, alice, &file);
    // Alice is about to send it again, and what bob sends on is another matter.
    world.write(claim(alice, &file)).unwrap();
    let sent_on = send(world, LogKey::c2c(bob, bob), bob, &file);
    revoke_it(world, log, sequence, alice);
    revoke_it(world, LogKey::c2c(bob, bob), sent_on, bob);
    world.reopen();
    assert_eq!(remove(world), NOTHING);
    let sequence = send(world, log, alice, &file);
    revoke_it(world, log, sequence, alice);
    assert_eq!(remove(world), [file.id]);
    // An upload of the same content is a claim, too.
    let file = upload(world, alice, 1);
    world.now_ms += DAY_MS;
    world.write(add(&file, FileQuota::NONE)).unwrap();
    world.now_ms += DAY_MS;
    assert_eq!(remove(world), NOTHING);
    world.now_ms += 1;
    assert_eq!(remove(world), [file.id]);
}

pub fn removal_and_use_are_decided_in_their_order(world: &mut World) {
    let alice = world.user("alice");
    let log = LogKey::c2c(alice, alice);
    let step = RemoveFiles {
        unsent_before_ms: u64::MAX,
        most: 100,
    };
    let file = upload(world, alice, 1);
    let append = naming(world, log, alice, &[file.id]);
    let answers = world.batch(&[Write::Append(append), Write::RemoveFiles(step)]);
    let nothing = Written::FilesRemoved {
        files: Vec::new(),
        more: false,
    };
    assert_eq!(answers[1], Ok(nothing.clone()));
    world.reopen();
    revoke_it(world, log, 1, alice);
    let append = naming(world, log, alice, &[file.id]);
    let again = claim(alice, &file);
    let answers = world.batch(&[Write::RemoveFiles(step), Write::Append(append), again]);
    let removed = Written::FilesRemoved {
        files: vec![file.id],
        more: false,
    };
    let expected = [Ok(removed), Err(Refused::FileNotYours), Err(Refused::NoSuchFile)];
    assert_eq!(answers, expected);
    world.reopen();
    assert_eq!(world.write(Write::RemoveFiles(step)), Ok(nothing));
}

pub fn steps_of_removal_are_bounded(world: &mut World) {
    let alice = world.user("alice");
    let keys: Vec<FileId> = (1..=5).map(|number| upload(world, alice, number).id).collect();
    let mut removed: Vec<FileId> = Vec::new();
    let step = RemoveFiles {
        unsent_before_ms: world.now_ms + 1,
        most: 2,
    };
    let counts: Vec<(usize, bool)> = (0..3)
        .map(|_| match world.write(Write::RemoveFiles(step)) {
            Ok(Written::FilesRemoved { files, more }) => {
                removed.extend(&files);
                (files.len(), more)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(counts, [(2, true), (2, true), (1, false)]);
    removed.sort_unstable();
    let mut keys = keys;
    keys.sort_unstable();
    assert_eq!(removed, keys);
}

pub fn an_owner_of_files_keeps_the_account(world: &mut World) {
    let alice = world.user("alice");
    upload(world, alice, 1);
    assert_eq!(world.reader().unused_since(&alice), Ok(None));
    world.now_ms += 2 * DAY_MS;
    assert_eq!(remove(world).len(), 1);
    assert_eq!(world.reader().unused_since(&alice), Ok(None), "ever");
}
