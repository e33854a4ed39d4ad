//! Moving a data directory into a database: every kind of row, interruptions, and what must be refused.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::rc::Rc;

use tim_proto::UserId;
use tim_store::suite::world::{DAY_MS, World};
use tim_store::suite::{Engine, administer, contacts, files, group_life, purge, push, revoke, rosters};
use tim_store::transfer::{Begun, Stage, Transfer, TransferError};
use tim_store::{LogKey, Store, StoreReader as _};
use tim_store_postgres::{Import, OpenError, OpenOptions};
use tim_store_sqlite::{self as sqlite, Export};

use crate::server::Database;
use crate::{Postgres, end_sessions};

/// A data directory that outlives the world that fills it.
struct Directory(Rc<tempfile::TempDir>);

impl Engine for Directory {
    fn open(&self) -> Store {
        sqlite::open(self.0.path()).unwrap().into()
    }

    fn copy(&self) -> Box<dyn Engine> {
        let to = tempfile::tempdir().unwrap();
        copy_files(self.0.path(), to.path());
        Box::new(Self(Rc::new(to)))
    }
}

fn copy_files(from: &Path, to: &Path) {
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// A directory with what this leaves in it.
fn filled(fill: impl FnOnce(&mut World)) -> Rc<tempfile::TempDir> {
    let dir = Rc::new(tempfile::tempdir().unwrap());
    fill(&mut World::new(Box::new(Directory(Rc::clone(&dir)))));
    dir
}

/// Two users who have said something.
fn talk(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    for text in ["one", "two", "three"] {
        world.say(LogKey::c2c(alice, bob), alice, text);
    }
    world.say(LogKey::c2c(bob, bob), bob, "a note");
}

fn log() -> LogKey {
    crate::log()
}

type Moving = Transfer<Export, Import>;

fn try_begin(dir: &Path, database: &Database) -> Result<Moving, TransferError> {
    let target = OpenOptions::new().import(&database.url()).unwrap();
    Transfer::begin(Export::open(dir).unwrap(), target)
}

/// Takes steps, at most so many; whether it is finished.
fn steps(moving: &mut Moving, most: usize) -> bool {
    (0..most).any(|_| moving.step().unwrap().stage == Stage::Finished)
}

fn moved(dir: &Path) -> Database {
    let database = Database::new();
    let mut moving = try_begin(dir, &database).unwrap();
    assert!(steps(&mut moving, 100_000));
    database
}

/// Copies everything, and compares nothing yet.
fn copied(dir: &Path, database: &Database) -> Moving {
    let mut moving = try_begin(dir, database).unwrap();
    while moving.step().unwrap().stage == Stage::Copying {}
    moving
}

fn compared(mut moving: Moving) -> TransferError {
    loop {
        match moving.step() {
            Ok(progress) => assert_ne!(progress.stage, Stage::Finished, "the difference was not found"),
            Err(error) => return error,
        }
    }
}

#[test]
fn every_kind_of_row_is_moved_and_the_store_goes_on() {
    let fills: [fn(&mut World); 10] = [
        administer::administered_groups_are_kept,
        contacts::contacts_are_kept_in_their_order,
        files::those_who_see_a_file_send_it_on,
        group_life::a_life_with_every_tip_and_notice,
        purge::gaps_are_announced_once,
        push::what_was_pushed_only_moves_forward,
        revoke::unread_and_preview_follow,
        rosters::a_mute_lasts_however_its_user_left_and_came_back,
        rosters::mentions_are_kept_until_read,
        rosters::the_muted_write_again_in_time,
    ];
    let (mut kinds, mut empty, mut last) = (BTreeSet::new(), BTreeSet::new(), None);
    for fill in fills {
        let dir = filled(fill);
        let database = Database::new();
        let mut moving = try_begin(dir.path(), &database).unwrap();
        assert_eq!(moving.begun(), Begun::Fresh);
        assert!(steps(&mut moving, 100_000));
        for table in &moving.report().tables {
            match table.rows {
                0 => empty.insert(table.table),
                _ => kinds.insert(table.table),
            };
        }
        drop(moving);
        same_lists(dir.path(), &database);
        last = Some(database);
    }
    goes_on(last.unwrap());
    let never: Vec<_> = empty.difference(&kinds).collect();
    assert_eq!(never, Vec::<&&str>::new(), "no case has rows of these");
}

/// Both stores return the same conversations to everybody.
fn same_lists(dir: &Path, database: &Database) {
    let (_writer, old) = sqlite::open(dir).unwrap();
    let (_other, new) = tim_store_postgres::open(&database.url()).unwrap();
    assert_eq!(old.head_change(), new.head_change());
    let users = database.sql("SELECT name FROM tim.users WHERE id <> 0");
    for user in users.lines() {
        let user = UserId::from_record(user).unwrap();
        assert_eq!(old.account(&user), new.account(&user));
        let list = |reader: &dyn tim_store::StoreReader| reader.conversations(&user, None, 100);
        assert_eq!(list(&old), list(&new), "{user}");
        assert_eq!(old.contacts(&user), new.contacts(&user));
        assert_eq!(old.push_tokens(&user), new.push_tokens(&user));
    }
}

/// New users and conversations have new numbers, and old ones go on.
fn goes_on(database: Database) {
    let mut world = World::new(Box::new(Postgres(database)));
    world.now_ms += 100 * DAY_MS;
    let before = world.reader().head_change().unwrap();
    let (alice, nina) = (world.user("alice"), world.user("nina-the-new-one"));
    let stored = world.say(LogKey::c2c(alice, nina), alice, "hello");
    assert_eq!((stored.sequence, stored.change), (1, before + 1));
    assert_eq!(world.unread(&nina, &LogKey::c2c(alice, nina)), 1);
}

#[test]
fn devices_go_on_with_their_cursors() {
    let dir = filled(talk);
    let (cursor, head) = {
        let (_writer, reader) = sqlite::open(dir.path()).unwrap();
        let head = reader.head_change().unwrap();
        (reader.epochs().cursor(head - 1), head)
    };
    let database = moved(dir.path());
    let (_writer, reader) = tim_store_postgres::open(&database.url()).unwrap();
    assert_eq!(reader.head_change(), Ok(head));
    let point = reader.epochs().resume(cursor, head);
    assert_eq!((point.change, point.restored), (head - 1, false));
}

#[test]
fn what_a_killed_hub_has_left_in_its_log_is_moved() {
    let dir = filled(talk);
    let killed = tempfile::tempdir().unwrap();
    // As a hub that has the directory leaves it.
    let mut world = World::new(Box::new(Directory(Rc::clone(&dir))));
    world.now_ms += DAY_MS;
    let alice = UserId::new("alice").unwrap();
    let last = world.say(log(), alice, "the last words").sequence;
    copy_files(dir.path(), killed.path());
    let database = moved(killed.path());
    let (_writer, reader) = tim_store_postgres::open(&database.url()).unwrap();
    let head = reader
        .conversation(&alice, &log())
        .unwrap()
        .unwrap()
        .head_sequence;
    assert_eq!(head, last);
}

#[test]
fn an_interrupted_transfer_goes_on() {
    let dir = filled(group_life::a_life_with_every_tip_and_notice);
    let database = Database::new();
    let mut most = 0;
    loop {
        let mut moving = try_begin(dir.path(), &database).unwrap();
        let expected = if most == 0 { Begun::Fresh } else { Begun::Resumed };
        assert_eq!(moving.begun(), expected);
        if steps(&mut moving, most) {
            assert!(
                most > 20,
                "it was interrupted while it copied and while it compared"
            );
            break;
        }
        if most == 14 {
            // The server ends a session in the middle of a step.
            end_sessions(&database);
            let error = (0..40).find_map(|_| moving.step().err()).unwrap();
            assert!(matches!(error, TransferError::Target(_)), "{error}");
        }
        drop(moving);
        let refused = crate::refused(&database.url());
        assert!(matches!(refused, OpenError::Unfinished { .. }), "{refused}");
        most += 7;
    }
    same_lists(dir.path(), &database);
    let again = try_begin(dir.path(), &database).unwrap();
    assert_eq!(again.begun(), Begun::Complete);
}

#[test]
fn a_complete_copy_of_a_directory_that_was_used_since_is_not_taken_for_all_of_it() {
    let (dir, database) = (filled(talk), Database::new());
    assert!(steps(&mut try_begin(dir.path(), &database).unwrap(), usize::MAX));
    let again = try_begin(dir.path(), &database).unwrap();
    assert_eq!(again.begun(), Begun::Complete);
    drop(again);
    let mut world = World::new(Box::new(Directory(Rc::clone(&dir))));
    world.now_ms += DAY_MS;
    world.say(log(), UserId::new("alice").unwrap(), "one more");
    drop(world);
    assert_eq!(
        try_begin(dir.path(), &database).unwrap_err(),
        TransferError::SourceChanged
    );
}

#[test]
fn a_copy_that_differs_is_found_and_not_used() {
    let dir = filled(talk);
    for (change, named) in [
        (
            "UPDATE tim.entries SET body = set_byte(body, 1, get_byte(body, 1) # 1) WHERE sequence = 2",
            &["C2Calice+bob: 3 rows with the hash", "in the source, 3 rows"][..],
        ),
        (
            "DELETE FROM tim.entries WHERE sequence = 3",
            &["C2Calice+bob: 3 rows", "in the source, 2 rows"],
        ),
        (
            "INSERT INTO tim.entries SELECT 9999, sequence, change, time_ms, sender, client_time, random, origin, flags, kind, countable, \
             body FROM tim.entries WHERE sequence = 3",
            &["no rows in the source, 1 rows"],
        ),
        (
            "UPDATE tim.users SET nick = 'x' WHERE name = 'bob'",
            &["table users: 3 rows"],
        ),
        (
            "DELETE FROM tim.epochs",
            &["table epochs: 1 rows", "in the source, no rows"],
        ),
    ] {
        let database = Database::new();
        let moving = copied(dir.path(), &database);
        database.sql(change);
        let error = compared(moving);
        assert!(matches!(error, TransferError::Differs(_)), "{error}");
        let text = error.to_string();
        assert!(named.iter().all(|part| text.contains(part)), "{change}: {text}");
        assert!(matches!(
            crate::refused(&database.url()),
            OpenError::Unfinished { .. }
        ));
    }
}

#[test]
fn only_an_empty_schema_and_an_unchanged_directory_will_do() {
    let dir = filled(talk);
    let database = Database::new();
    drop(crate::opened(&database));
    let error = try_begin(dir.path(), &database).unwrap_err();
    assert_eq!(error, TransferError::NotEmpty);
    drop(crate::opened(&database));

    let database = Database::new();
    drop(copied(dir.path(), &database));
    let other = filled(talk);
    assert_eq!(
        try_begin(other.path(), &database).unwrap_err(),
        TransferError::OtherSource
    );
    // What changes nothing is no matter; a message is.
    drop(sqlite::open(dir.path()).unwrap());
    drop(try_begin(dir.path(), &database).unwrap());
    let mut world = World::new(Box::new(Directory(Rc::clone(&dir))));
    world.now_ms += DAY_MS;
    world.say(log(), UserId::new("alice").unwrap(), "one more");
    drop(world);
    assert_eq!(
        try_begin(dir.path(), &database).unwrap_err(),
        TransferError::SourceChanged
    );
}

#[test]
fn nobody_uses_either_store_meanwhile() {
    let dir = filled(talk);
    let database = Database::new();
    let moving = try_begin(dir.path(), &database).unwrap();
    let refused = sqlite::open(dir.path()).unwrap_err();
    assert!(matches!(refused, sqlite::OpenError::InUse { .. }), "{refused}");
    let refused = OpenOptions::new().import(&database.url()).unwrap_err();
    assert!(matches!(refused, OpenError::InUse { .. }), "{refused}");
    drop(moving);
    let nowhere = tempfile::tempdir().unwrap();
    assert!(matches!(
        Export::open(nowhere.path()).unwrap_err(),
        sqlite::OpenError::Lost { .. }
    ));
    assert!(
        fs::read_dir(nowhere.path()).unwrap().next().is_none(),
        "nothing was made"
    );
}
