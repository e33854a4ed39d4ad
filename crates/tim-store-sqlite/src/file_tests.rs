//! Files whose rows are in the log only, on a full disk, and damaged.

use std::path::Path;

use tempfile::TempDir;
use tim_proto::{FileId, MessageId, MessageKind};
use tim_store::{
    AddFile, Append, File, FileQuota, LogKey, NotStored, Refused, RemoveFiles, Revoke, StoreError,
    StoreReader, StoreWriter, Write, Written,
};

use super::database::tests::{COMMITS, Commits};
use super::log_tests::{ALICE, BOB, accounts, killed, say};
use super::{SqliteReader, SqliteWriter, check, open};

const LOG: fn() -> LogKey = || LogKey::c2c(ALICE, BOB);

fn file(number: u8) -> File {
    File {
        id: FileId::from_bytes([number; 16]),
        owner: ALICE,
        kind: MessageKind::FILE,
        size: u64::from(number),
        sha256: [number; 32],
        media_type: "text/plain".to_owned(),
        format: 0,
        images: Vec::new(),
        created_ms: 1,
    }
}

fn add(file: &File) -> Write {
    let (file, quota) = (file.clone(), FileQuota::NONE);
    Write::AddFile(Box::new(AddFile { file, quota }))
}

/// Alice sends a file to bob.
fn send(number: u64, random: u32, file: &File) -> Write {
    let Write::Append(append) = say(number, random) else {
        panic!("a message")
    };
    let files = vec![file.id];
    Write::Append(Append { files, ..append })
}

fn revoke(sequence: u64) -> Write {
    Write::Revoke(Revoke {
        log: LOG(),
        sequence,
        by: ALICE,
        as_administrator: false,
        window_ms: u64::MAX,
        manager_window_ms: 0,
        reason: String::new(),
        origin: 0,
        id: MessageId::default(),
        content: bytes::Bytes::new(),
    })
}

fn remove() -> Write {
    Write::RemoveFiles(RemoveFiles {
        unsent_before_ms: u64::MAX,
        most: 10,
    })
}

#[track_caller]
fn removed(writer: &mut SqliteWriter) -> Vec<FileId> {
    match writer.commit(9, &[remove()]).unwrap().results.remove(0) {
        Ok(Written::FilesRemoved { files, more: false }) => files,
        other => panic!("{other:?}"),
    }
}

/// The answer to one write.
#[track_caller]
fn commit(writer: &mut SqliteWriter, write: Write) -> Result<Written, Refused> {
    writer.commit(1, &[write]).unwrap().results.remove(0)
}

fn has(reader: &SqliteReader, file: &File) -> bool {
    let found = reader.file(&file.id).unwrap();
    assert!(found.is_none() || found.as_ref() == Some(file));
    assert_eq!(reader.file_with(&file.content()).unwrap(), found);
    found.is_some()
}

/// Opens what a hub has left that was killed at this moment.
fn kill(dir: &Path) -> (TempDir, SqliteWriter, SqliteReader) {
    let killed = killed(dir);
    let (writer, reader) = open(killed.path()).unwrap();
    (killed, writer, reader)
}

#[test]
fn what_a_killed_hub_acknowledged_keeps_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _reader, number) = accounts(dir.path());
    let [sent, unsent] = [file(1), file(2)];
    for write in [add(&sent), add(&unsent), send(number, 1, &sent)] {
        commit(&mut writer, write).unwrap();
    }
    {
        let (dir, mut writer, reader) = kill(dir.path());
        assert!(has(&reader, &sent) && has(&reader, &unsent));
        assert_eq!(reader.files_of(&LOG(), 1), Ok(vec![sent.id]));
        let usage = reader.file_usage(&ALICE).unwrap();
        assert_eq!((usage.files, usage.bytes), (2, 3));
        assert_eq!(removed(&mut writer), [unsent.id]);
        // Removed for good, though the hub is killed at once.
        let (dir, mut writer, reader) = kill(dir.path());
        assert!(has(&reader, &sent) && !has(&reader, &unsent));
        let refused = commit(&mut writer, send(number, 2, &unsent));
        assert_eq!(refused, Err(Refused::FileNotYours));
        drop((writer, reader));
        assert!(check(dir.path()).unwrap().is_clean());
    }
    // A removal, and then messages and a revocation that are in the log only.
    assert_eq!(removed(&mut writer), [unsent.id]);
    commit(&mut writer, send(number, 2, &sent)).unwrap();
    commit(&mut writer, revoke(1)).unwrap();
    {
        let (_dir, mut writer, reader) = kill(dir.path());
        assert_eq!(reader.files_of(&LOG(), 1), Ok(Vec::new()));
        assert_eq!(reader.files_of(&LOG(), 2), Ok(vec![sent.id]));
        assert_eq!(removed(&mut writer), []);
    }
    commit(&mut writer, revoke(2)).unwrap();
    let (dir, mut writer, reader) = kill(dir.path());
    assert_eq!(removed(&mut writer), [sent.id]);
    assert!(!has(&reader, &sent));
    drop((writer, reader));
    assert!(check(dir.path()).unwrap().is_clean());
}

#[test]
fn on_a_full_disk_nothing_is_added_sent_or_removed() {
    let full = |refused: Result<_, StoreError>| {
        assert_eq!(refused.unwrap_err(), StoreError::NotStored(NotStored::DiskFull));
    };
    for commits in [Commits::Fail, Commits::RollBack] {
        let dir = tempfile::tempdir().unwrap();
        let (mut writer, reader, number) = accounts(dir.path());
        let [first, second] = [file(1), file(2)];
        commit(&mut writer, add(&first)).unwrap();
        writer.with_log(|log| log.is_full_for_blocks = true);
        full(writer.commit(1, &[add(&second)]));
        full(writer.commit(1, &[send(number, 1, &first)]));
        writer.with_log(|log| log.is_full_for_blocks = false);
        assert!(has(&reader, &first) && !has(&reader, &second));
        assert_eq!(reader.file_usage(&ALICE).unwrap().files, 1);
        COMMITS.set(commits);
        full(writer.commit(1, &[remove()]));
        // It is in the log still, and can be sent.
        assert!(has(&reader, &first));
        commit(&mut writer, send(number, 1, &first)).unwrap();
        COMMITS.set(Commits::Succeed);
        let (_dir, mut writer, reader) = kill(dir.path());
        assert!(has(&reader, &first) && !has(&reader, &second));
        assert_eq!(removed(&mut writer), []);
        commit(&mut writer, revoke(1)).unwrap();
        assert_eq!(removed(&mut writer), [first.id]);
    }
}

#[test]
fn a_damaged_file_is_neither_read_nor_sent_and_others_are() {
    for sql in [
        "UPDATE files SET size = 7 WHERE id = 1",
        "UPDATE files SET owner = 2 WHERE id = 1",
        "UPDATE files SET content = 2 WHERE id = 1",
        "UPDATE contents SET body = zeroblob(4) WHERE id = 1",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (mut writer, reader, number) = accounts(dir.path());
        let [damaged, other] = [file(1), file(2)];
        for write in [add(&damaged), add(&other)] {
            commit(&mut writer, write).unwrap();
        }
        drop((writer, reader));
        super::tests::damage(dir.path(), sql);
        let report = check(dir.path()).unwrap();
        assert_eq!(report.damaged_files, [damaged.id.to_string()], "{sql}");
        let (mut writer, reader) = open(dir.path()).unwrap();
        assert!(
            matches!(reader.file(&damaged.id), Err(StoreError::Damaged(_))),
            "{sql}"
        );
        assert!(has(&reader, &other));
        let refused = commit(&mut writer, send(number, 1, &damaged));
        assert_eq!(refused, Err(Refused::Damaged), "{sql}");
        commit(&mut writer, send(number, 1, &other)).unwrap();
    }
}

#[test]
fn a_wrong_mark_removes_no_file_that_is_used_and_is_corrected() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, reader, number) = accounts(dir.path());
    let [sent, unsent] = [file(1), file(2)];
    for write in [add(&sent), add(&unsent), send(number, 1, &sent)] {
        commit(&mut writer, write).unwrap();
    }
    writer.end_generation();
    let marks = "UPDATE files SET unused_ms = iif(unused_ms IS NULL, 0, NULL)";
    writer.connection().execute_batch(marks).unwrap();
    assert_eq!(removed(&mut writer), []);
    drop((writer, reader));
    super::tests::damage(dir.path(), "UPDATE files SET unused_ms = 0 WHERE id = 1");
    assert_eq!(check(dir.path()).unwrap().misjudged_files, 2);
    let (mut writer, reader) = open(dir.path()).unwrap();
    assert_eq!(removed(&mut writer), [unsent.id]);
    assert!(has(&reader, &sent));
    drop((writer, reader));
    assert!(check(dir.path()).unwrap().is_clean());
}

/// What is known of a file is removed in the order of what was said: it moves on with its uses.
#[test]
fn a_file_that_is_sent_again_and_again_does_not_hold_up_retention() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, reader, number) = accounts(dir.path());
    let file = file(1);
    commit(&mut writer, add(&file)).unwrap();
    let mut random = 0;
    for _ in 0..6 {
        let batch: Vec<Write> = (0..250)
            .map(|_| {
                random += 1;
                say(number, random)
            })
            .collect();
        writer.commit(1, &batch).unwrap();
        random += 1;
        commit(&mut writer, send(number, random, &file)).unwrap();
    }
    let content: i64 = writer
        .connection()
        .query_row("SELECT content FROM files", [], |row| row.get(0))
        .unwrap();
    assert!(content > 1_000, "{content}");
    assert!(has(&reader, &file));
    drop((writer, reader));
    assert!(check(dir.path()).unwrap().is_clean());
}
