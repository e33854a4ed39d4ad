//! A full or failing disk: what is refused leaves nothing, and what was stored stays.

use std::fs;

use tim_proto::UserId;
use tim_store::{NotStored, Purge, StoreError, StoreReader, StoreWriter, Write, Written};

use super::database::tests::{COMMITS, Commits};
use super::log::LOG;
use super::log_tests::{ALICE, BOB, accounts, committed, heads, killed, killed_and_locked, notice, say};
use super::{OpenError, SqliteWriter, check, open};

#[test]
fn a_store_whose_last_generation_cannot_be_committed_is_opened_and_read() {
    for commits in [Commits::Fail, Commits::RollBack] {
        let dir = tempfile::tempdir().unwrap();
        let (mut writer, reader, number) = accounts(dir.path());
        for random in 1..=5 {
            writer.commit(1, &[say(number, random), notice(random)]).unwrap();
        }
        let killed = killed_and_locked(dir.path());
        drop((writer, reader));

        COMMITS.set(commits);
        for stored in 5..7 {
            let (mut writer, reader) = open(killed.path()).unwrap();
            assert_eq!(heads(&reader), [stored, 5]);
            assert_eq!(reader.conversations(&BOB, None, 10).unwrap().total_unread, stored);
            assert_eq!(reader.account(&ALICE).unwrap().unwrap().number, number);
            // The log has room.
            let random = u32::try_from(stored + 1).unwrap();
            writer.commit(1, &[say(number, random)]).unwrap();
            let profile = Write::SetUserProfile {
                user: ALICE,
                nick: Some("a".into()),
                avatar: None,
            };
            let refused = writer.commit(1, &[profile]).unwrap_err();
            assert_eq!(refused, StoreError::NotStored(NotStored::DiskFull));
            assert_eq!(heads(&reader), [stored + 1, 5]);
        }
        // It could not leave everything in the database, so its log must not be missed.
        let path = killed.path().join(LOG);
        let log = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        COMMITS.set(Commits::Succeed);
        assert!(matches!(open(killed.path()), Err(OpenError::Damaged { .. })));
        fs::write(&path, log).unwrap();
        let (_writer, reader) = open(killed.path()).unwrap();
        assert_eq!((heads(&reader), committed(killed.path())), ([7, 5], 12));
    }
}

#[test]
fn a_block_for_which_the_disk_has_no_space_stores_nothing_and_passes() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, reader, number) = accounts(dir.path());
    writer.commit(1, &[say(number, 1)]).unwrap();
    writer.with_log(|log| log.is_full_for_blocks = true);
    for random in 2..=3 {
        let refused = writer.commit(1, &[say(number, random)]).unwrap_err();
        assert_eq!(refused, StoreError::NotStored(NotStored::DiskFull));
        assert_eq!(heads(&reader), [1, 0]);
    }
    writer.with_log(|log| log.is_full_for_blocks = false);
    writer.commit(1, &[say(number, 2)]).unwrap();
    let killed = killed(dir.path());
    drop((writer, reader));
    let (_writer, reader) = open(killed.path()).unwrap();
    assert_eq!(heads(&reader), [2, 0]);
}

#[test]
fn a_full_disk_of_the_log_stores_nothing_and_passes() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, reader, number) = accounts(dir.path());
    writer.commit(1, &[say(number, 1), notice(1)]).unwrap();
    writer.with_log(|log| log.is_full = true);
    for random in 2..=3 {
        let refused = writer
            .commit(1, &[say(number, random), notice(random)])
            .unwrap_err();
        assert_eq!(refused, StoreError::NotStored(NotStored::DiskFull));
        assert_eq!(heads(&reader), [1, 1]);
        assert_eq!(reader.head_change(), Ok(2));
    }
    let killed = killed(dir.path());
    writer.with_log(|log| log.is_full = false);
    let stored = writer.commit(1, &[say(number, 2), notice(2)]).unwrap();
    assert!(
        matches!(stored.results[0], Ok(Written::Stored(stored)) if (stored.sequence, stored.change) == (2, 3))
    );
    assert_eq!(heads(&reader), [2, 2]);
    let (_writer, reader) = open(killed.path()).unwrap();
    assert_eq!(heads(&reader), [1, 1]);
}

#[test]
fn a_database_that_cannot_grow_keeps_what_is_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, reader, number) = accounts(dir.path());
    let pages: i64 = writer
        .connection()
        .query_row("PRAGMA page_count", [], |row| row.get(0))
        .unwrap();
    let limit = |writer: &SqliteWriter, pages: i64| {
        let _: i64 = writer
            .connection()
            .query_row(&format!("PRAGMA max_page_count = {pages}"), [], |row| row.get(0))
            .unwrap();
    };
    limit(&writer, pages + 10);
    let mut stored = 0;
    let refused = loop {
        match writer.commit(1, &[say(number, stored + 1)]) {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused, StoreError::NotStored(NotStored::DiskFull));
    assert_eq!(
        heads(&reader)[0],
        u64::from(stored).min(100).max(u64::from(stored))
    );
    let killed = killed(dir.path());
    let (_writer, of_killed) = open(killed.path()).unwrap();
    assert_eq!(heads(&of_killed), heads(&reader));
    limit(&writer, 1 << 20);
    writer.commit(1, &[say(number, stored + 1)]).unwrap();
    assert_eq!(heads(&reader)[0], u64::from(stored) + 1);
}

/// What is applied can be taken back only with its generation: a store that is full for long must not do that for each send.
#[test]
fn a_store_that_stays_full_does_not_apply_its_generation_again_and_again() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, reader, number) = accounts(dir.path());
    let blocks = 200;
    for random in 1..=blocks {
        writer.commit(1, &[say(number, random)]).unwrap();
    }
    let restored = |writer: &SqliteWriter| writer.turn().database.as_ref().unwrap().restored;
    // The log has no space on the disk.
    writer.with_log(|log| log.is_full = true);
    for random in 1_000..1_100 {
        assert!(writer.commit(1, &[say(number, random)]).is_err());
    }
    assert_eq!(restored(&writer), 0, "nothing was applied");
    writer.with_log(|log| log.is_full = false);
    // The database may not grow.
    let _: i64 = writer
        .connection()
        .query_row("PRAGMA max_page_count = 1", [], |row| row.get(0))
        .unwrap();
    let mut refused = 0;
    for random in 1_000..2_000 {
        refused += u64::from(writer.commit(1, &[say(number, random)]).is_err());
    }
    assert!(refused > 500, "{refused}");
    assert!(restored(&writer) < 2_000, "{} blocks", restored(&writer));
    assert_eq!(reader.head_change().unwrap(), heads(&reader)[0]);
}

#[test]
fn nothing_is_committed_after_the_log_has_failed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, reader, number) = accounts(dir.path());
    writer.commit(1, &[say(number, 1)]).unwrap();
    writer.with_log(|log| log.is_broken = true);
    for _ in 0..2 {
        let failed = writer.commit(1, &[say(number, 2)]).unwrap_err();
        assert!(matches!(failed, StoreError::Fatal(_)), "{failed}");
    }
    writer.with_log(|log| log.is_broken = false);
    assert!(matches!(
        writer.commit(1, &[notice(1)]),
        Err(StoreError::Fatal(_))
    ));
    // What was being stored is of unknown outcome, and in this case not in the log.
    drop((writer, reader));
    let (_writer, reader) = open(dir.path()).unwrap();
    assert_eq!(heads(&reader), [1, 0]);
}

#[test]
fn what_is_taken_back_is_neither_known_nor_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, reader, number) = accounts(dir.path());
    writer.commit(1, &[say(number, 1)]).unwrap();
    writer.end_generation();
    writer.commit(1, &[say(number, 2)]).unwrap();
    let carol = UserId::new("carol").unwrap();
    let batch = [Write::EnsureAccount(carol), say(number, 3)];
    writer.with_log(|log| log.is_full_for_blocks = true);
    assert!(writer.commit(2, &batch).is_err());
    writer.with_log(|log| log.is_full_for_blocks = false);
    assert_eq!(reader.account(&carol).unwrap(), None);
    let commit = writer.commit(3, &batch).unwrap();
    assert!(
        matches!(commit.results[1], Ok(Written::Stored(stored)) if stored.sequence == 3),
        "{commit:?}"
    );
    assert!(reader.account(&carol).unwrap().is_some());
    drop((writer, reader));
    assert!(check(dir.path()).unwrap().is_clean());
}

#[test]
fn a_purge_that_cannot_be_committed_removes_nothing() {
    for commits in [Commits::Fail, Commits::RollBack] {
        let dir = tempfile::tempdir().unwrap();
        let (mut writer, reader, number) = accounts(dir.path());
        let unused = UserId::new("unused").unwrap();
        writer
            .commit(1, &[say(number, 1), say(number, 2), Write::EnsureAccount(unused)])
            .unwrap();
        writer.end_generation();
        let purge = Write::Purge(Purge {
            older_than_ms: 10,
            forget_ids_before_ms: 10_000,
            unused_before_ms: 10,
            ..Purge::NONE
        });
        COMMITS.set(commits);
        assert!(writer.commit(100, std::slice::from_ref(&purge)).is_err());
        COMMITS.set(Commits::Succeed);
        assert_eq!(heads(&reader), [2, 0]);
        assert!(reader.account(&unused).unwrap().is_some());
        // The numbers go on, also in the log.
        writer.commit(100, &[say(number, 3)]).unwrap();
        drop((writer, reader));
        let (mut writer, reader) = open(dir.path()).unwrap();
        assert_eq!(heads(&reader), [3, 0]);
        let commit = writer.commit(101, &[purge]).unwrap();
        assert!(
            matches!(
                commit.results[..],
                [Ok(Written::Purged {
                    entries: 2,
                    ids: 2,
                    accounts: 1,
                    more: false,
                    ..
                })]
            ),
            "{commit:?}"
        );
        drop((writer, reader));
        assert!(check(dir.path()).unwrap().is_clean());
    }
}
