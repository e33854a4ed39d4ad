//! What cannot be seen from outside: settings, a full disk, a failing one.

use bytes::Bytes;
use rusqlite::ffi;
use tim_proto::{ConversationId, MessageId, MessageKind, UserId};
use tim_store::{
    Append, ChangesRequest, EntryFlags, Fingerprint, Gap, LogKey, NotStored, PageRequest, Purge, Quota,
    Refused, Revoke, StoreError, StoreReader as _, StoreWriter as _, Write, Written,
};

use super::writer::commit_error;
use super::*;

fn pragma(connection: &Connection, name: &str) -> String {
    let value = connection.query_row(&format!("PRAGMA {name}"), [], |row| {
        row.get::<_, rusqlite::types::Value>(0)
    });
    match value.unwrap() {
        rusqlite::types::Value::Integer(number) => number.to_string(),
        rusqlite::types::Value::Text(text) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_commit_is_synced() {
    let dir = tempfile::tempdir().unwrap();
    let (writer, _reader) = open(dir.path()).unwrap();
    assert_eq!(pragma(&writer.connection(), "journal_mode"), "wal");
    assert_eq!(
        pragma(&writer.connection(), "synchronous"),
        "2",
        "FULL; NORMAL loses messages in a power cut"
    );
    assert_eq!(pragma(&writer.connection(), "wal_autocheckpoint"), "0");
}

#[test]
fn readers_cannot_write() {
    let dir = tempfile::tempdir().unwrap();
    let _store = open(dir.path()).unwrap();
    let reader = open_reader(&dir.path().join(DATABASE)).unwrap();
    assert!(reader.execute("DELETE FROM users", []).is_err());
}

#[test]
fn a_statement_is_prepared_once_whatever_is_bound() {
    let dir = tempfile::tempdir().unwrap();
    let (writer, _reader) = open(dir.path()).unwrap();
    let reader = open_reader(&dir.path().join(DATABASE)).unwrap();
    let writing = writer.connection();
    for connection in [&reader, &*writing] {
        for text in [
            "SELECT count(*) FROM personal p INDEXED BY memberships CROSS JOIN groups g ON g.log = p.log WHERE p.user = ?1 AND p.role IS NOT NULL",
            "SELECT count(*) FROM groups g CROSS JOIN logs l ON l.id = g.log WHERE g.log = ?1",
        ] {
            let mut statement = connection.prepare(text).unwrap();
            for bound in 0..10 {
                let found: u32 = statement.query_row([bound], |row| row.get(0)).unwrap();
                assert_eq!(found, 0);
            }
            let status = rusqlite::StatementStatus::RePrepare;
            assert_eq!(statement.get_status(status), 0, "{text}");
        }
    }
}

fn message(number: u64, log: LogKey, sender: UserId, random: u32) -> Write {
    Write::Append(Append {
        log,
        sender,
        id: MessageId {
            sender: number,
            client_time: 1,
            random,
        },
        fingerprint: Fingerprint::of(&[b"x"]),
        origin: 0,
        kind: MessageKind::TEXT,
        flags: EntryFlags::NONE,
        content: vec![7; 3000].into(),
        require_membership: true,
        mentions: Vec::new(),
        mention_all: false,
        quota: Quota::NONE,
        files: Vec::new(),
    })
}

#[test]
fn a_full_disk_stores_nothing_names_itself_and_passes() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, reader) = open(dir.path()).unwrap();
    let alice = UserId::new("alice").unwrap();
    let log = LogKey::c2c(alice, alice);
    let account = writer
        .commit(1, &[Write::EnsureAccount(alice)])
        .unwrap()
        .results
        .remove(0);
    let Ok(Written::Account { number }) = account else {
        panic!("{account:?}")
    };
    let pages: u32 = pragma(&writer.connection(), "page_count").parse().unwrap();
    let limit = |pages: u32| format!("PRAGMA max_page_count = {pages}");
    let _ = pragma(
        &writer.connection(),
        limit(pages + 20).trim_start_matches("PRAGMA "),
    );

    let batch = |from: u32| {
        (from..from + 10)
            .map(|random| message(number, log, alice, random))
            .collect::<Vec<_>>()
    };
    let mut stored = 0;
    let failed = loop {
        match writer.commit(1, &batch(stored)) {
            Ok(commit) => stored += u32::try_from(commit.published.len()).unwrap(),
            Err(error) => break error,
        }
    };
    assert_eq!(failed, StoreError::NotStored(NotStored::DiskFull));
    assert!(failed.to_string().contains("disk is full"));
    assert!(stored > 0);
    assert_eq!(
        reader.head_change(),
        Ok(u64::from(stored)),
        "nothing of the failed batch"
    );

    let _ = pragma(
        &writer.connection(),
        limit(1_000_000).trim_start_matches("PRAGMA "),
    );
    let commit = writer.commit(1, &batch(stored)).unwrap();
    let first = commit.published[0].entry.as_ref().unwrap();
    assert_eq!(
        (first.sequence, first.change),
        (u64::from(stored) + 1, u64::from(stored) + 1),
        "no number was lost"
    );
}

#[test]
fn a_failed_fsync_is_fatal() {
    let failure = |code| rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
    for code in [
        ffi::SQLITE_IOERR_FSYNC,
        ffi::SQLITE_IOERR_WRITE,
        ffi::SQLITE_CORRUPT,
    ] {
        assert!(matches!(commit_error(&failure(code)), StoreError::Fatal(_)));
        assert!(matches!(plain_error(&failure(code)), StoreError::Fatal(_)));
    }
    assert_eq!(
        commit_error(&failure(ffi::SQLITE_BUSY)),
        StoreError::NotStored(NotStored::Busy)
    );
    assert!(matches!(
        plain_error(&failure(ffi::SQLITE_ERROR)),
        StoreError::NotStored(NotStored::Engine(_))
    ));
}

#[test]
fn too_long_a_batch_is_refused_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, reader) = open(dir.path()).unwrap();
    let alice = UserId::new("alice").unwrap();
    let batch = vec![Write::EnsureAccount(alice); tim_store::MAX_BATCH + 1];
    assert_eq!(
        writer.commit(1, &batch).unwrap_err(),
        StoreError::NotStored(NotStored::BatchTooLong)
    );
    assert_eq!(reader.account(&alice), Ok(None));
}

const ALICE: UserId = match UserId::new("alice") {
    Ok(user) => user,
    Err(_) => panic!("an id"),
};

/// A note of alice's to herself, as the hub stores it.
fn note(random: u32, text: &str) -> Bytes {
    let id = MessageId {
        sender: 0,
        client_time: 1,
        random,
    };
    let text = tim_proto::message::Text::new(text);
    tim_groups::tips::content(ConversationId::C2c(ALICE), id, MessageKind::TEXT, &text)
}

fn revocation(sequence: u64, content: Bytes) -> Write {
    Write::Revoke(Revoke {
        log: LogKey::c2c(ALICE, ALICE),
        sequence,
        by: ALICE,
        as_administrator: false,
        window_ms: u64::MAX,
        manager_window_ms: 0,
        reason: String::new(),
        origin: 0,
        id: MessageId::default(),
        content,
    })
}

/// Whether any file of the data directory has this in it.
fn found_in_files(dir: &Path, text: &[u8]) -> bool {
    let files = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
    files
        .map(|file| fs::read(file).unwrap())
        .any(|bytes| bytes.windows(text.len()).any(|part| part == text))
}

#[test]
fn revoked_contents_are_not_in_the_files_either() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, reader) = open(dir.path()).unwrap();
    writer.commit(1, &[Write::EnsureAccount(ALICE)]).unwrap();
    let number = reader.account(&ALICE).unwrap().unwrap().number;
    let log = LogKey::c2c(ALICE, ALICE);
    // Small ones inside pages, and large ones with pages of their own, among others that stay.
    let says = |random: u32| {
        let long = "x".repeat(if random.is_multiple_of(3) { 9000 } else { 10 });
        let Write::Append(append) = message(number, log, ALICE, random) else {
            panic!("a message")
        };
        let said = if random.is_multiple_of(2) {
            "it stays"
        } else {
            "hunter2"
        };
        Write::Append(Append {
            content: note(random, &format!("{said} {long} {said}")),
            ..append
        })
    };
    for random in 1..=60 {
        let commit = writer.commit(1, &[says(random)]).unwrap();
        assert!(commit.results[0].is_ok());
    }
    assert!(found_in_files(dir.path(), b"hunter2"));
    let revocations: Vec<Write> = (1..=60)
        .step_by(2)
        .map(|sequence| revocation(sequence, note(0, "")))
        .collect();
    let commit = writer.commit(2, &revocations).unwrap();
    assert!(commit.results.iter().all(Result::is_ok), "{commit:?}");
    let housekeeping = Write::Purge(Purge {
        older_than_ms: 0,
        forget_ids_before_ms: 0,
        over_before_ms: 0,
        budget: 10,
        ..Purge::NONE
    });
    writer.commit(2, &[housekeeping]).unwrap();
    assert!(!found_in_files(dir.path(), b"hunter2"));
    assert!(found_in_files(dir.path(), b"it stays"));
    assert!(!reader.entry(&log, 2).unwrap().unwrap().is_revoked());
    assert_eq!(pragma(&writer.connection(), "secure_delete"), "1");
}

#[test]
fn ids_that_nobody_could_make_today_are_read_and_keep_nothing_from_opening() {
    let dir = tempfile::tempdir().unwrap();
    let old = [
        UserId::from_record(" alice").unwrap(),
        UserId::from_record("bob ").unwrap(),
    ];
    {
        let (mut writer, _reader) = open(dir.path()).unwrap();
        let accounts = writer.commit(1, &old.map(Write::EnsureAccount)).unwrap();
        assert!(
            accounts.results.iter().all(Result::is_ok),
            "as an older program made them"
        );
    }
    let (_writer, reader) = open(dir.path()).unwrap();
    for user in old {
        let account = reader.account(&user).unwrap();
        assert!(account.is_some(), "{user:?}");
        let page = reader.conversations(&user, None, 10);
        assert!(page.is_ok(), "{user:?}");
    }
}

/// A store with notes of alice's to herself, `texts[0]` at sequence 1. All are in the database.
fn notes(dir: &Path, texts: &[&str]) -> (SqliteWriter, SqliteReader, u64) {
    let (mut writer, reader) = open(dir).unwrap();
    writer.commit(1, &[Write::EnsureAccount(ALICE)]).unwrap();
    let number = reader.account(&ALICE).unwrap().unwrap().number;
    for (random, text) in (1..).zip(texts) {
        let commit = writer.commit(1, &[said(number, random, text)]).unwrap();
        assert!(commit.results[0].is_ok());
    }
    writer.end_generation();
    (writer, reader, number)
}

fn said(number: u64, random: u32, text: &str) -> Write {
    let Write::Append(append) = message(number, LogKey::c2c(ALICE, ALICE), ALICE, random) else {
        panic!("a message")
    };
    Write::Append(Append {
        content: note(random, text),
        ..append
    })
}

/// Changes rows behind the store's back, as a disk does.
pub(super) fn damage(dir: &Path, sql: &str) {
    let database = Connection::open(dir.join(DATABASE)).unwrap();
    database
        .set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false)
        .unwrap();
    database.execute_batch("PRAGMA writable_schema=ON").unwrap();
    assert_eq!(database.execute(sql, []).unwrap(), 1, "{sql}");
}

fn page_before(reader: &SqliteReader, before: Option<u64>) -> Result<Vec<u64>, StoreError> {
    let page = reader.page(&PageRequest {
        log: LogKey::c2c(ALICE, ALICE),
        before,
        after: 0,
        limit: 15,
        max_bytes: usize::MAX,
    });
    page.map(|page| page.entries.iter().map(|entry| entry.sequence).collect())
}

#[test]
fn a_damaged_entry_is_reported_and_not_returned() {
    for sql in [
        "UPDATE contents SET body = zeroblob(length(body)) WHERE id = 3",
        "UPDATE entries SET sender = 0 WHERE sequence = 3",
        "UPDATE entries SET time_ms = time_ms + 1 WHERE sequence = 3",
        "UPDATE entries SET flags = flags | 1 WHERE sequence = 3",
        "UPDATE entries SET sum = sum + 1 WHERE sequence = 3",
        "UPDATE entries SET content = 2 WHERE sequence = 3",
        "UPDATE entries SET content = 1000 WHERE sequence = 3",
        "UPDATE contents SET body = 'text' WHERE id = 3",
        "DELETE FROM contents WHERE id = 3",
        "DELETE FROM entries WHERE sequence = 3",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (mut writer, reader, number) = notes(dir.path(), &["1", "2", "3", "4", "5"]);
        damage(dir.path(), sql);
        let log = LogKey::c2c(ALICE, ALICE);
        let damaged = StoreError::Damaged("C2Calice+alice: entry 3 is damaged".to_owned());
        assert_eq!(reader.entry(&log, 3), Err(damaged.clone()), "{sql}");
        assert_eq!(page_before(&reader, None), Ok(vec![4, 5]), "{sql}");
        assert_eq!(page_before(&reader, Some(4)), Err(damaged.clone()), "{sql}");
        assert_eq!(page_before(&reader, Some(3)), Ok(vec![1, 2]), "{sql}");
        for cursor in 0..5 {
            let request = ChangesRequest {
                user: ALICE,
                cursor,
                limit: 100,
                max_bytes: usize::MAX,
            };
            let changes = reader.changes_since(&request).unwrap();
            let sequences: Vec<u64> = changes.entries.iter().map(|one| one.entry.sequence).collect();
            let expected: Vec<u64> = (cursor + 1..=5).filter(|sequence| *sequence != 3).collect();
            assert_eq!(sequences, expected, "{sql}, cursor {cursor}");
            let gap = Gap { log, from: 3, to: 3 };
            // A device that has it may be told, too.
            let is_told = changes.gaps == [gap];
            assert!(
                is_told || cursor >= 3 && changes.gaps.is_empty(),
                "{sql}, cursor {cursor}: {changes:?}"
            );
        }
        // It cannot be revoked, which would make it look intact; others are stored beside that.
        let batch = [
            said(number, 6, "6"),
            revocation(3, note(0, "")),
            said(number, 7, "7"),
        ];
        let results = writer.commit(2, &batch).unwrap().results;
        assert!(results[0].is_ok() && results[2].is_ok(), "{results:?}");
        assert_eq!(results[1], Err(Refused::Damaged), "{sql}");
        drop((writer, reader));
        let report = check(dir.path()).unwrap();
        let found: Vec<String> = report.damaged.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["C2Calice+alice: entry 3 is damaged"], "{sql}");
        assert!(
            report.broken.is_empty() && report.entries == 6,
            "{sql}: {report:?}"
        );
        drop(open(dir.path()).unwrap());
    }
}

#[test]
fn a_damaged_last_message_is_left_out_of_the_list_and_announced_to_devices() {
    let dir = tempfile::tempdir().unwrap();
    let (_writer, reader, _) = notes(dir.path(), &["1", "2", "3"]);
    damage(dir.path(), "DELETE FROM entries WHERE sequence = 3");
    let page = reader.conversations(&ALICE, None, 10).unwrap();
    assert_eq!(
        (page.conversations.len(), &page.conversations[0].last),
        (1, &None)
    );
    let request = ChangesRequest {
        user: ALICE,
        cursor: 2,
        limit: 100,
        max_bytes: usize::MAX,
    };
    let changes = reader.changes_since(&request).unwrap();
    assert_eq!((changes.entries.len(), changes.gaps.len()), (0, 1));
    assert_eq!((changes.cursor, changes.more), (3, false));
}

#[test]
fn what_is_stored_about_conversations_is_checked_at_the_start() {
    for sql in [
        "UPDATE logs SET sequence = sequence - 1",
        "UPDATE logs SET first_kept = 2",
        "UPDATE logs SET name = 'alice' || char(10) || 'alicf'",
        "UPDATE personal SET joined_at = 2",
        "DELETE FROM personal",
        "UPDATE meta SET change = 1",
        "UPDATE sqlite_schema SET sql = replace(sql, 'nick TEXT', 'mick TEXT') WHERE name = 'users'",
    ] {
        let dir = tempfile::tempdir().unwrap();
        drop(notes(dir.path(), &["1", "2", "3"]));
        assert!(check(dir.path()).unwrap().is_clean());
        damage(dir.path(), sql);
        let refused = open(dir.path()).unwrap_err();
        let OpenError::Damaged { path, .. } = &refused else {
            panic!("{sql}: {refused}")
        };
        assert_eq!(*path, dir.path().join(DATABASE), "{sql}");
        assert!(!check(dir.path()).unwrap().broken.is_empty(), "{sql}");
    }
}

#[test]
fn a_conversation_whose_head_is_damaged_takes_no_messages_and_others_do() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, reader, number) = notes(dir.path(), &["1", "2"]);
    let bob = UserId::new("bob").unwrap();
    writer.commit(1, &[Write::EnsureAccount(bob)]).unwrap();
    writer.end_generation();
    damage(dir.path(), "UPDATE logs SET sequence = 1");
    let Write::Append(append) = said(number, 4, "to bob") else {
        panic!("a message")
    };
    let other = Write::Append(Append {
        log: LogKey::c2c(ALICE, bob),
        ..append
    });
    let results = writer.commit(2, &[said(number, 3, "3"), other]).unwrap().results;
    assert_eq!(results[0], Err(Refused::Damaged));
    assert!(results[1].is_ok(), "{results:?}");
    let damaged = "C2Calice+alice: what is stored about it is damaged".to_owned();
    assert_eq!(page_before(&reader, None), Err(StoreError::Damaged(damaged)));
}

#[test]
fn a_damaged_structure_names_the_file_and_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let texts: Vec<String> = (0..200).map(|number| format!("{number}").repeat(100)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    drop(notes(dir.path(), &texts));
    let path = dir.path().join(DATABASE);
    let whole = fs::read(&path).unwrap();
    let mut refused = 0;
    for page in 0..whole.len() / 4096 {
        let mut damaged = whole.clone();
        damaged[page * 4096..(page + 1) * 4096].fill(0);
        fs::write(&path, damaged).unwrap();
        if let Err(error) = open(dir.path()) {
            assert!(
                error.to_string().contains(&*path.to_string_lossy()),
                "page {page}: {error}"
            );
            refused += 1;
        }
    }
    assert!(refused > 5, "{refused}");
}

#[test]
fn a_damaged_write_ahead_log_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let mut store = notes(dir.path(), &["1", "2", "3"]);
    store.0.commit(1, &[said(store.2, 4, "4")]).unwrap();
    store.0.end_generation();
    for name in ["", "-wal", "-shm"] {
        let name = format!("{DATABASE}{name}");
        fs::copy(dir.path().join(&name), copy.path().join(&name)).unwrap();
    }
    drop(store);
    let log = copy.path().join(format!("{DATABASE}-wal"));
    let whole = fs::read(&log).unwrap();
    fs::write(&log, &whole[..whole.len() / 2]).unwrap();
    let refused = open(copy.path()).unwrap_err();
    assert!(
        matches!(&refused, OpenError::Damaged { path, .. } if *path == log),
        "{refused}"
    );
    assert_eq!(fs::read(&log).unwrap().len(), whole.len() / 2, "kept as it is");
    fs::write(&log, &whole).unwrap();
    let (_writer, reader) = open(copy.path()).unwrap();
    assert_eq!(reader.head_change(), Ok(4));
}

/// What the module `recent` keeps.
fn kept(database: &Connection) -> Vec<String> {
    let mut statement = database
        .prepare(
            "SELECT format('%d %d %d %d %d', user, listed, change, log, unread) FROM recent
             UNION ALL SELECT format('%d: %d %d %d', id, unread, bytes, conversations) FROM users ORDER BY 1",
        )
        .unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// A store with conversations of each kind: read, unread, deleted, deleted with something new that does not show, with oneself, revoked.
fn talks(dir: &Path) -> (SqliteWriter, SqliteReader) {
    let (mut writer, reader) = open(dir).unwrap();
    let names = ["alice", "bob", "carol", "dave", "eve"];
    let users = names.map(|name| UserId::new(name).unwrap());
    let numbers = users.map(|user| {
        let account = writer.commit(1, &[Write::EnsureAccount(user)]).unwrap();
        match account.results[..] {
            [Ok(Written::Account { number })] => number,
            ref other => panic!("{other:?}"),
        }
    });
    let alice = users[0];
    let mut random = 0;
    let mut say = |writer: &mut SqliteWriter, from: usize, to: usize, flags: EntryFlags| {
        random += 1;
        let mut write = message(
            numbers[from],
            LogKey::c2c(users[from], users[to]),
            users[from],
            random,
        );
        if let Write::Append(append) = &mut write {
            append.flags = flags;
        }
        writer.commit(10, &[write]).unwrap();
    };
    for (from, to, flags) in [
        (1, 0, EntryFlags::NONE),
        (2, 0, EntryFlags::NONE),
        (0, 1, EntryFlags::NONE),
        (1, 0, EntryFlags::NONE),
        (3, 0, EntryFlags::NONE),
        (4, 0, EntryFlags::NO_LAST),
        (0, 0, EntryFlags::NONE),
        (2, 0, EntryFlags::NONE),
        (2, 0, EntryFlags::NO_LAST),
        (2, 0, EntryFlags::NO_LAST),
        (3, 1, EntryFlags::NONE),
    ] {
        say(&mut writer, from, to, flags);
    }
    let log = |peer: usize| LogKey::c2c(alice, users[peer]);
    let upto = Some(1);
    let (user, deleted) = (alice, log(3));
    let read = [
        Write::MarkRead {
            user,
            log: log(1),
            upto,
        },
        Write::DeleteConversation { user, log: deleted },
    ];
    writer.commit(11, &read).unwrap();
    say(&mut writer, 3, 0, EntryFlags::NO_LAST);
    say(&mut writer, 1, 0, EntryFlags::NONE);
    (writer, reader)
}

#[test]
fn a_store_of_the_first_schema_gets_the_order_of_its_conversations() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, reader) = talks(dir.path());
    let unused = UserId::new("unused").unwrap();
    writer.commit(20, &[Write::EnsureAccount(unused)]).unwrap();
    let users = ["alice", "bob", "carol", "dave", "eve"].map(|name| UserId::new(name).unwrap());
    let lists = |reader: &SqliteReader| users.map(|user| reader.conversations(&user, None, 100).unwrap());
    let before = lists(&reader);
    assert_eq!((before[0].conversations.len(), before[0].total_unread), (3, 6));
    drop((writer, reader));
    let path = dir.path().join(DATABASE);
    let database = Connection::open(&path).unwrap();
    let rows = kept(&database);
    database
        .execute_batch(
            "ALTER TABLE users DROP COLUMN blocked; DROP TABLE contacts; ALTER TABLE users DROP COLUMN valid_from;
             ALTER TABLE users DROP COLUMN deleted; ALTER TABLE users DROP COLUMN contacts_version; ALTER TABLE users DROP COLUMN contacts;
             DROP TABLE push_tokens; DROP TABLE push_users; ALTER TABLE meta DROP COLUMN push_token;
             DROP TABLE fields; DROP INDEX groups_by_type; ALTER TABLE groups DROP COLUMN max_members;
             ALTER TABLE groups DROP COLUMN profile_changes; ALTER TABLE groups DROP COLUMN profile_ms;
             DROP TABLE files; DROP TABLE uses; ALTER TABLE meta DROP COLUMN removed_file;
             DROP TABLE recent; DROP INDEX memberships; ALTER TABLE users DROP COLUMN unread;
             ALTER TABLE users DROP COLUMN bytes; ALTER TABLE users DROP COLUMN conversations; ALTER TABLE logs DROP COLUMN begun_by;
             DROP INDEX unused; ALTER TABLE users DROP COLUMN is_new; ALTER TABLE users DROP COLUMN used_ms; ALTER TABLE meta DROP COLUMN removed_user;
             ALTER TABLE meta DROP COLUMN generation; ALTER TABLE meta DROP COLUMN salt; PRAGMA user_version = 12;",
        )
        .unwrap();
    drop(database);
    let (writer, reader) = open(dir.path()).unwrap();
    assert_eq!(lists(&reader), before);
    // Accounts that something refers to are known, and for the others the time begins now.
    assert!(
        reader
            .unused_since(&unused)
            .unwrap()
            .is_some_and(|since| since > 1_700_000_000_000)
    );
    assert!(users.iter().all(|user| reader.unused_since(user) == Ok(None)));
    drop((writer, reader));
    assert!(check(dir.path()).unwrap().is_clean());
    // The same conversations and counts; the newest rows may stand for a later change.
    let after = kept(&Connection::open(&path).unwrap());
    assert_eq!(after.len(), rows.len());
    // What users take up is counted the same.
    let usage = |rows: &[String]| {
        rows.iter()
            .filter(|row| row.contains(':'))
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(usage(&after), usage(&rows));
    assert!(usage(&rows).iter().any(|row| row.ends_with(" 1")), "{rows:?}");
}

#[test]
fn a_wrong_order_or_count_of_conversations_is_found() {
    for sql in [
        "UPDATE users SET unread = unread + 1 WHERE name = 'alice'",
        "UPDATE recent SET unread = unread + 1 WHERE user = 1 AND listed = 1",
        "DELETE FROM recent WHERE user = 1 AND listed = 1 AND change = (SELECT min(change) FROM recent WHERE user = 1 AND listed = 1)",
        "DELETE FROM recent WHERE user = 1 AND listed = 0",
        "UPDATE recent SET change = change + 100 WHERE user = 1 AND listed = 1",
        "UPDATE recent SET change = -change WHERE user = 1 AND listed = 1",
        "UPDATE recent SET log = 1 WHERE user = 1 AND listed = 1 AND log = 2",
        "UPDATE recent SET log = 77 WHERE user = 2 AND listed = 1 AND log = 1",
        "UPDATE recent SET listed = 1 - listed WHERE user = 1",
        "INSERT INTO recent VALUES (3, 0, 1, 1, 0)",
        "DELETE FROM recent",
    ] {
        let dir = tempfile::tempdir().unwrap();
        drop(talks(dir.path()));
        assert!(check(dir.path()).unwrap().is_clean());
        let database = Connection::open(dir.path().join(DATABASE)).unwrap();
        assert!(database.execute(sql, []).unwrap() > 0, "{sql}");
        drop(database);
        assert!(!check(dir.path()).unwrap().broken.is_empty(), "{sql}");
        assert!(
            matches!(open(dir.path()), Err(OpenError::Damaged { .. })),
            "{sql}"
        );
    }
}

#[test]
fn a_conversation_that_is_the_newest_of_both_moves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _reader) = talks(dir.path());
    let [bob, alice] = ["bob", "alice"].map(|name| UserId::new(name).unwrap());
    let number = tim_store::account_number(2);
    let mut say = |random| {
        let said = message(number, LogKey::c2c(alice, bob), bob, random);
        assert!(writer.commit(12, &[said]).unwrap().results[0].is_ok());
        kept(&writer.connection())
    };
    let before = say(1001);
    assert_eq!(say(1002), before);
    assert_eq!(say(1003), before);
}

#[test]
fn what_is_miscounted_is_found_and_counted_anew() {
    for sql in [
        "UPDATE users SET bytes = bytes + 1 WHERE name = 'alice'",
        "UPDATE users SET conversations = 77 WHERE name = 'bob'",
        "UPDATE logs SET begun_by = 0 WHERE id = 1",
    ] {
        let dir = tempfile::tempdir().unwrap();
        drop(talks(dir.path()));
        let path = dir.path().join(DATABASE);
        let rows = kept(&Connection::open(&path).unwrap());
        assert!(check(dir.path()).unwrap().is_clean());
        damage(dir.path(), sql);
        let report = check(dir.path()).unwrap();
        assert_eq!(
            (report.broken.len(), report.damaged.len(), report.miscounted.len()),
            (0, 0, 1),
            "{sql}"
        );
        drop(open(dir.path()).unwrap());
        assert!(check(dir.path()).unwrap().is_clean(), "{sql}");
        if !sql.contains("logs") {
            assert_eq!(kept(&Connection::open(&path).unwrap()), rows, "{sql}");
        }
    }
}

#[test]
fn a_damaged_mark_removes_no_account_that_is_used() {
    let dir = tempfile::tempdir().unwrap();
    drop(talks(dir.path()));
    damage(dir.path(), "UPDATE users SET is_new = 1 WHERE name = 'alice'");
    let (mut writer, reader) = open(dir.path()).unwrap();
    let all = Write::Purge(Purge {
        unused_before_ms: u64::MAX >> 1,
        ..Purge::NONE
    });
    let commit = writer.commit(30, &[all]).unwrap();
    assert!(
        matches!(commit.results[..], [Ok(Written::Purged { accounts: 0, .. })]),
        "{commit:?}"
    );
    assert!(reader.account(&ALICE).unwrap().is_some());
    assert_eq!(reader.unused_since(&ALICE), Ok(None));
}

#[test]
fn an_account_with_a_damaged_mark_keeps_its_count_when_others_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    drop(talks(dir.path()));
    damage(dir.path(), "UPDATE users SET is_new = 1 WHERE name = 'alice'");
    let (mut writer, reader) = open(dir.path()).unwrap();
    let unused = UserId::new("unused").unwrap();
    let number = reader.account(&ALICE).unwrap().unwrap().number;
    let said = message(number, LogKey::c2c(ALICE, ALICE), ALICE, 4711);
    let all = Write::Purge(Purge {
        unused_before_ms: u64::MAX >> 1,
        ..Purge::NONE
    });
    let commit = writer
        .commit(30, &[Write::EnsureAccount(unused), said, all])
        .unwrap();
    assert!(
        matches!(
            commit.results[..],
            [_, Ok(Written::Stored(_)), Ok(Written::Purged { accounts: 1, .. })]
        ),
        "{commit:?}"
    );
    drop((writer, reader));
    assert!(check(dir.path()).unwrap().is_clean());
}

#[test]
fn a_conversation_with_a_damaged_age_does_not_hold_up_retention() {
    let dir = tempfile::tempdir().unwrap();
    drop(talks(dir.path()));
    let ages = |path: &Path| -> Vec<Option<i64>> {
        let database = Connection::open(path.join(DATABASE)).unwrap();
        let mut ages = database
            .prepare("SELECT first_time_ms FROM logs ORDER BY id")
            .unwrap();
        let rows = ages.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    };
    let before = ages(dir.path());
    damage(dir.path(), "UPDATE logs SET first_time_ms = 1 WHERE id = 1");
    let (mut writer, _reader) = open(dir.path()).unwrap();
    let purge = |older_than_ms| {
        Write::Purge(Purge {
            older_than_ms,
            ..Purge::NONE
        })
    };
    let mut removed = |older_than_ms| match writer.commit(30, &[purge(older_than_ms)]).unwrap().results[..] {
        [
            Ok(Written::Purged {
                entries, more: false, ..
            }),
        ] => entries,
        ref other => panic!("{other:?}"),
    };
    assert_eq!(removed(10), 0, "all are newer");
    assert_eq!(ages(dir.path()), before);
    damage(dir.path(), "UPDATE logs SET first_time_ms = 1 WHERE id = 1");
    assert!(removed(11) > 5);
}

#[test]
fn a_step_of_retention_without_time_is_short() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _reader, number) = notes(dir.path(), &[]);
    let batch: Vec<Write> = (0..100).map(|random| said(number, random, "old")).collect();
    writer.commit(1, &batch).unwrap();
    let step = Write::Purge(Purge {
        older_than_ms: 10,
        time: Some(Duration::ZERO),
        ..Purge::NONE
    });
    let commit = writer.commit(100, &[step]).unwrap();
    assert!(
        matches!(
            commit.results[..],
            [Ok(Written::Purged {
                entries: 1..=32,
                more: true,
                ..
            })]
        ),
        "{commit:?}"
    );
}
