//! What is in the log only, after a crash or damage.

use std::fs;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::Connection;
use tempfile::TempDir;
use tim_proto::{MessageId, MessageKind, UserId};
use tim_store::{
    Append, EntryFlags, Fingerprint, LogKey, PageRequest, Purge, Quota, StoreReader, StoreWriter,
    SystemEntry, Write, Written,
};

use super::log::LOG;
use super::{DATABASE, OpenError, SqliteReader, SqliteWriter, check, open, schema};

pub(super) const ALICE: UserId = match UserId::new("alice") {
    Ok(user) => user,
    Err(_) => panic!("an id"),
};
pub(super) const BOB: UserId = match UserId::new("bob") {
    Ok(user) => user,
    Err(_) => panic!("an id"),
};

/// The length of the log's front.
const FRONT: usize = 4096;

fn talk() -> LogKey {
    LogKey::c2c(ALICE, BOB)
}

/// A store with two accounts, and alice's number.
pub(super) fn accounts(dir: &Path) -> (SqliteWriter, SqliteReader, u64) {
    let (mut writer, reader) = open(dir).unwrap();
    writer
        .commit(1, &[Write::EnsureAccounts(vec![ALICE, BOB])])
        .unwrap();
    let number = reader.account(&ALICE).unwrap().unwrap().number;
    (writer, reader, number)
}

pub(super) fn say(number: u64, random: u32) -> Write {
    Write::Append(Append {
        log: talk(),
        sender: ALICE,
        id: MessageId {
            sender: number,
            client_time: 1,
            random,
        },
        fingerprint: Fingerprint::of(&[&random.to_le_bytes()]),
        origin: 0,
        kind: MessageKind::TEXT,
        flags: EntryFlags::NONE,
        content: Bytes::from(random.to_le_bytes().repeat(50)),
        require_membership: true,
        mentions: Vec::new(),
        mention_all: false,
        quota: Quota::NONE,
        files: Vec::new(),
    })
}

pub(super) fn notice(random: u32) -> Write {
    Write::AppendSystem {
        log: LogKey::System(BOB),
        entry: SystemEntry {
            client_time: 1,
            random,
            kind: MessageKind::TEXT,
            flags: EntryFlags::NONE,
            content: Bytes::from_static(b"notice"),
        },
    }
}

/// The files as they are at this moment: what a killed hub leaves.
pub(super) fn killed(dir: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in fs::read_dir(dir).unwrap() {
        let file = file.unwrap();
        if file.file_name() != "hub.lock" {
            fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
        }
    }
    copy
}

pub(super) fn heads(reader: &SqliteReader) -> [u64; 2] {
    [talk(), LogKey::System(BOB)].map(|log| {
        let request = PageRequest {
            log,
            before: None,
            after: 0,
            limit: 100,
            max_bytes: usize::MAX,
        };
        reader
            .page(&request)
            .unwrap()
            .entries
            .last()
            .map_or(0, |entry| entry.sequence)
    })
}

/// The changes that a connection of its own sees.
pub(super) fn committed(dir: &Path) -> u64 {
    let database = Connection::open(dir.join(DATABASE)).unwrap();
    let change: i64 = database
        .query_row("SELECT change FROM meta", [], |row| row.get(0))
        .unwrap();
    u64::try_from(change).unwrap()
}

#[test]
fn what_is_in_the_log_only_is_read_by_all_and_survives_a_kill_with_its_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, reader, number) = accounts(dir.path());
    for random in 1..=10 {
        writer.commit(1, &[say(number, random), notice(random)]).unwrap();
    }
    let read = Write::MarkRead {
        user: BOB,
        log: talk(),
        upto: Some(7),
    };
    writer.commit(2, &[read]).unwrap();
    assert_eq!(committed(dir.path()), 0);
    assert_eq!(heads(&reader), [10, 10]);
    assert_eq!(reader.conversations(&BOB, None, 10).unwrap().total_unread, 3);
    let cursor = reader.epochs().cursor(reader.head_change().unwrap());

    let killed = killed(dir.path());
    assert_eq!(check(killed.path()).unwrap().batches_in_log, 12);
    let (mut writer, reader) = open(killed.path()).unwrap();
    assert_eq!(committed(killed.path()), 20);
    assert_eq!(heads(&reader), [10, 10]);
    assert_eq!(reader.conversations(&BOB, None, 10).unwrap().total_unread, 3);
    let resumed = reader.epochs().resume(cursor, reader.head_change().unwrap());
    assert_eq!((resumed.change, resumed.restored), (20, false));
    let results = writer
        .commit(3, &[say(number, 10), say(number, 11)])
        .unwrap()
        .results;
    assert!(matches!(results[0], Ok(Written::Duplicate(stored)) if stored.sequence == 10));
    assert!(matches!(results[1], Ok(Written::Stored(stored)) if stored.sequence == 11));
    drop((writer, reader));
    assert_eq!(fs::metadata(killed.path().join(LOG)).unwrap().len(), 0);
    assert!(check(killed.path()).unwrap().is_clean());
}

#[test]
fn a_log_whose_generation_is_committed_is_not_applied_again() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, reader, number) = accounts(dir.path());
    writer.commit(1, &[say(number, 1), notice(1)]).unwrap();
    writer.end_generation();
    // As if the hub were killed between the commit and the next block.
    let before_next = killed(dir.path());
    writer.commit(1, &[notice(2)]).unwrap();
    let behind = killed(dir.path());
    drop((writer, reader));
    for (killed, expected) in [(before_next, [1, 1]), (behind, [1, 2])] {
        let (_writer, reader) = open(killed.path()).unwrap();
        assert_eq!(heads(&reader), expected);
    }
}

#[test]
fn a_torn_block_is_left_out_and_a_damaged_one_in_front_of_others_keeps_the_store_closed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, reader, number) = accounts(dir.path());
    for random in 1..=5 {
        writer.commit(1, &[say(number, random)]).unwrap();
    }
    let killed = killed(dir.path());
    drop((writer, reader));
    let path = killed.path().join(LOG);
    let whole = fs::read(&path).unwrap();
    let blocks = whole
        .iter()
        .rposition(|byte| *byte != 0)
        .unwrap()
        .next_multiple_of(512);
    // Six blocks of one sector each, behind the front.
    assert_eq!(blocks, FRONT + 6 * 512);
    let with = |at: usize, byte: u8| {
        let mut damaged = whole.clone();
        damaged[at] ^= byte;
        damaged
    };
    for sector in 0..5 {
        let damaged = with(FRONT + sector * 512 + 80, 1);
        fs::write(&path, &damaged).unwrap();
        let refused = open(killed.path()).unwrap_err();
        assert!(
            matches!(&refused, OpenError::Damaged { path: named, .. } if *named == path),
            "{refused}"
        );
        assert!(check(killed.path()).is_err());
        assert_eq!(fs::read(&path).unwrap(), damaged, "kept as it is");
    }
    fs::write(&path, with(FRONT + 5 * 512 + 80, 1)).unwrap();
    let (_writer, reader) = open(killed.path()).unwrap();
    assert_eq!(
        heads(&reader),
        [4, 0],
        "what was being written, for all one can know"
    );
}

#[test]
fn a_database_that_is_older_than_the_log_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, reader, number) = accounts(dir.path());
    writer.commit(1, &[say(number, 1)]).unwrap();
    writer.end_generation();
    let backup = killed(dir.path());
    for random in 2..=3 {
        writer.commit(1, &[say(number, random)]).unwrap();
        writer.end_generation();
    }
    writer.commit(1, &[say(number, 4)]).unwrap();
    fs::copy(dir.path().join(LOG), backup.path().join(LOG)).unwrap();
    drop((writer, reader));
    let refused = open(backup.path()).unwrap_err().to_string();
    assert!(
        refused.contains("continues generation 3 of the database, which is at 1"),
        "{refused}"
    );
    fs::remove_file(backup.path().join(LOG)).unwrap();
    let (_writer, reader) = open(backup.path()).unwrap();
    assert_eq!(heads(&reader), [1, 0]);
}

#[test]
fn the_missing_log_of_a_killed_hub_keeps_the_store_closed_until_somebody_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, reader, number) = accounts(dir.path());
    writer.commit(1, &[say(number, 1)]).unwrap();
    let killed = killed(dir.path());
    let lock = killed.path().join("hub.lock");
    fs::copy(dir.path().join("hub.lock"), &lock).unwrap();
    drop((writer, reader));
    fs::remove_file(killed.path().join(LOG)).unwrap();
    for _ in 0..2 {
        let refused = open(killed.path()).unwrap_err();
        assert!(refused.to_string().contains("remove hub.lock"), "{refused}");
    }
    fs::remove_file(&lock).unwrap();
    let (_writer, reader) = open(killed.path()).unwrap();
    assert_eq!(heads(&reader), [0, 0]);
}

/// A killed hub's files, with its lock file.
pub(super) fn killed_and_locked(dir: &Path) -> TempDir {
    let killed = killed(dir);
    fs::copy(dir.join("hub.lock"), killed.path().join("hub.lock")).unwrap();
    killed
}

#[test]
fn a_log_of_a_killed_hub_that_was_emptied_truncated_or_swapped_keeps_the_store_closed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, reader, number) = accounts(dir.path());
    for random in 1..=5 {
        writer.commit(1, &[say(number, random)]).unwrap();
    }
    let killed = killed_and_locked(dir.path());
    drop((writer, reader));
    let other = tempfile::tempdir().unwrap();
    let (mut writer, reader, number) = accounts(other.path());
    writer.commit(1, &[say(number, 1)]).unwrap();
    let foreign = fs::read(other.path().join(LOG)).unwrap();
    drop((writer, reader));

    let path = killed.path().join(LOG);
    let whole = fs::read(&path).unwrap();
    let truncated = (0..FRONT + 7 * 512)
        .step_by(512)
        .chain([1, 4097, whole.len() - 1])
        .map(|len| whole[..len].to_vec());
    let zeros_in_front = [vec![0; FRONT], whole[FRONT..].to_vec()].concat();
    let others = [vec![0; whole.len()], b"hello\n".to_vec(), foreign, zeros_in_front];
    for log in truncated.chain(others) {
        fs::write(&path, &log).unwrap();
        let refused = open(killed.path()).unwrap_err();
        assert!(
            matches!(&refused, OpenError::Damaged { path: named, .. } if *named == path),
            "{}: {refused}",
            log.len()
        );
        assert!(check(killed.path()).is_err(), "{}", log.len());
        assert_eq!(fs::read(&path).unwrap(), log, "kept as it is");
    }
    // The first mark alone, as after a power cut while the file grew, and damage to it.
    let mut first_mark_damaged = whole.clone();
    first_mark_damaged[9] ^= 1;
    fs::write(&path, &first_mark_damaged).unwrap();
    let (_writer, reader) = open(killed.path()).unwrap();
    assert_eq!(heads(&reader), [5, 0]);
}

#[test]
fn a_hub_that_was_killed_while_it_created_the_database_does_not_keep_the_next_one_out() {
    let dir = tempfile::tempdir().unwrap();
    let journal = format!("{DATABASE}-journal");
    for name in ["hub.lock", DATABASE, &journal] {
        fs::write(dir.path().join(name), []).unwrap();
    }
    let (mut writer, reader, number) = accounts(dir.path());
    writer.commit(1, &[say(number, 1)]).unwrap();
    assert_eq!(heads(&reader), [1, 0]);
    drop((writer, reader));
    // A store that was open once is never begun anew.
    fs::write(dir.path().join(DATABASE), []).unwrap();
    assert!(matches!(open(dir.path()), Err(OpenError::Emptied { .. })));
    fs::write(dir.path().join("hub.lock"), []).unwrap();
    assert!(matches!(open(dir.path()), Err(OpenError::Emptied { .. })));
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_not_used_as_one() {
    let dir = tempfile::tempdir().unwrap();
    drop(accounts(dir.path()));
    for name in [LOG, "tim.sqlite3-wal", "tim.sqlite3-shm", "hub.lock"] {
        let path = dir.path().join(name);
        let kept = fs::read(&path).unwrap_or_default();
        let _ = fs::remove_file(&path);
        std::os::unix::fs::symlink("/dev/null", &path).unwrap();
        let refused = open(dir.path()).unwrap_err().to_string();
        assert!(refused.contains("is not a file"), "{name}: {refused}");
        fs::remove_file(&path).unwrap();
        fs::write(&path, kept).unwrap();
    }
    assert!(open(dir.path()).is_ok());
}

#[test]
fn a_long_read_ends_the_generation_and_is_right() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, reader, number) = accounts(dir.path());
    writer.commit(1, &[say(number, 1)]).unwrap();
    let slow = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT count(*) FROM n";
    let mut turn = writer.turn();
    let database = turn.database.as_mut().unwrap();
    let read = database.read(Some(Duration::ZERO), |db| {
        db.query_row(slow, [], |row| row.get::<_, i64>(0))
    });
    assert!(read.is_none(), "{read:?}");
    let read = database.read(None, |db| db.query_row(slow, [], |row| row.get::<_, i64>(0)));
    assert_eq!(read.unwrap().unwrap(), 100_000);
    // The transaction is still there.
    assert!(database.is_ahead());
    database.was_read(Duration::from_secs(1));
    drop(turn);
    assert_eq!(
        (heads(&reader)[0], committed(dir.path())),
        (1, 1),
        "committed for the reader"
    );
}

#[test]
fn a_generation_ends_when_the_log_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, reader, number) = accounts(dir.path());
    let Write::Append(append) = say(number, 0) else {
        unreachable!()
    };
    let large = |random: u32| {
        Write::Append(Append {
            id: MessageId { random, ..append.id },
            content: vec![1; 1 << 20].into(),
            ..append.clone()
        })
    };
    for random in 1..=10 {
        writer.commit(1, &[large(random)]).unwrap();
        let expected = match random {
            1..4 => 0,
            4..7 => 3,
            7..10 => 6,
            _ => 9,
        };
        assert_eq!(committed(dir.path()), expected, "{random}");
    }
    // One that does not fit in any log.
    writer
        .commit(1, &(11..=19).map(large).collect::<Vec<_>>())
        .unwrap();
    assert_eq!(committed(dir.path()), 19);
    let killed = killed(dir.path());
    drop((writer, reader));
    let (_writer, reader) = open(killed.path()).unwrap();
    assert_eq!(reader.head_change(), Ok(19));
}

#[test]
fn a_store_from_before_there_was_a_log_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let database = Connection::open(dir.path().join(DATABASE)).unwrap();
    database.execute_batch(schema::STEPS[0]).unwrap();
    database
        .execute_batch("PRAGMA user_version = 12; INSERT INTO users (name) VALUES ('alice')")
        .unwrap();
    drop(database);
    let (mut writer, reader) = open(dir.path()).unwrap();
    assert!(reader.account(&ALICE).unwrap().is_some());
    writer.commit(1, &[Write::EnsureAccount(BOB)]).unwrap();
    let killed = killed(dir.path());
    drop((writer, reader));
    let (_writer, reader) = open(killed.path()).unwrap();
    assert!(reader.account(&BOB).unwrap().is_some());
}

#[test]
fn what_users_take_up_is_counted_when_the_log_is_applied_again() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, reader, number) = accounts(dir.path());
    writer.commit(1, &[say(number, 1)]).unwrap();
    writer.end_generation();
    writer.commit(2, &[say(number, 2), say(number, 3)]).unwrap();
    // It makes an account, and is refused.
    let Write::Append(append) = say(number, 4) else {
        panic!("a message")
    };
    let carol = UserId::new("carol").unwrap();
    let refused = Write::WithAccounts {
        users: vec![carol],
        write: Box::new(Write::Append(Append {
            log: LogKey::c2c(ALICE, carol),
            quota: Quota {
                conversations: 1,
                ..Quota::NONE
            },
            ..append
        })),
    };
    let commit = writer.commit(3, &[refused]).unwrap();
    assert!(
        matches!(
            commit.results[..],
            [Err(tim_store::Refused::TooManyConversations { begun: 1, .. })]
        ),
        "{commit:?}"
    );
    let count = |path: &Path| {
        let database = Connection::open(path.join(DATABASE)).unwrap();
        database
            .query_row(
                "SELECT bytes, conversations FROM users WHERE name = 'alice'",
                [],
                |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)),
            )
            .unwrap()
    };
    let one = count(dir.path());
    assert!(one.0 > 128 && one.1 == 1, "{one:?}");
    let killed = killed(dir.path());
    drop((writer, reader));
    assert_eq!(count(dir.path()), (3 * one.0, 1));
    let (writer, reader) = open(killed.path()).unwrap();
    assert!(reader.account(&carol).unwrap().is_some());
    assert_eq!(count(killed.path()), (3 * one.0, 1));
    drop((writer, reader));
    assert!(check(killed.path()).unwrap().is_clean());
}

#[test]
fn accounts_that_are_in_the_log_only_keep_their_numbers_and_times() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, reader, _) = accounts(dir.path());
    let [removed, new] = ["removed", "new"].map(|name| UserId::new(name).unwrap());
    let number = |reader: &SqliteReader, user| reader.account(&user).unwrap().map(|account| account.number);
    writer.commit(1, &[Write::EnsureAccount(removed)]).unwrap();
    let before = number(&reader, removed);
    writer
        .commit(
            5,
            &[Write::Purge(Purge {
                unused_before_ms: 5,
                ..Purge::NONE
            })],
        )
        .unwrap();
    assert_eq!(number(&reader, removed), None);
    for now_ms in [6, 8] {
        writer.commit(now_ms, &[Write::EnsureAccount(new)]).unwrap();
    }
    let killed = killed(dir.path());
    let known = number(&reader, new);
    assert!(known > before, "{known:?} {before:?}");
    let (_writer, reader) = open(killed.path()).unwrap();
    assert_eq!(number(&reader, new), known);
    assert_eq!(reader.unused_since(&new), Ok(Some(8)));
    assert_eq!(number(&reader, removed), None);
}

#[test]
fn what_changes_nothing_does_not_keep_other_writes_out_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, reader, number) = accounts(dir.path());
    let unregister = |user| Write::UnregisterPush {
        user,
        platform: tim_proto::request::PushPlatform::IOS,
        token: "unknown".to_owned(),
        written: None,
        number: None,
    };
    let nobody = UserId::new("nobody").unwrap();
    let batch = [unregister(ALICE), say(number, 1), unregister(nobody), notice(2)];
    writer.commit(1, &batch).unwrap();
    assert_eq!(committed(dir.path()), 0, "in the log only");
    let killed = killed(dir.path());
    assert_eq!(heads(&open(killed.path()).unwrap().1), [1, 1]);
    let profile = Write::SetUserProfile {
        user: ALICE,
        nick: Some("Alice".to_owned()),
        avatar: None,
    };
    writer.commit(1, &[say(number, 3), profile]).unwrap();
    assert_eq!((committed(dir.path()), heads(&reader)), (3, [2, 1]));
}
