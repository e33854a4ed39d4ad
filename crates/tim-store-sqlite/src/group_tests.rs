//! What is stored of groups: after a crash, and when it is over.

use bytes::Bytes;
use rusqlite::Connection;
use tim_groups::{Authority, GroupAction, GroupCommand, GroupPolicy, GroupUpdate, NewGroup, create};
use tim_proto::{GroupId, GroupType, MessageId, MessageKind, UserId};
use tim_store::{
    Append, ChangesRequest, EntryFlags, Fingerprint, LogKey, MembersRequest, NotStored, PageRequest, Purge,
    Quota, Revoke, StoreError, StoreReader as _, StoreWriter as _, Write, Written,
};

use super::*;

const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];

fn users() -> [UserId; 4] {
    NAMES.map(|name| UserId::new(name).unwrap())
}

fn command(group: GroupId, actor: UserId, action: GroupAction) -> Write {
    Write::ChangeGroup(Box::new(GroupCommand {
        group,
        actor,
        random: 9,
        authority: Authority::Role,
        silent: false,
        policy: GroupPolicy::default(),
        live_members: 0,
        action,
    }))
}

fn new_group(group: GroupId, group_type: GroupType) -> Write {
    let [owner, bob, carol, _] = users();
    let wish = NewGroup {
        members: vec![bob, carol],
        random: 1,
        ..NewGroup::new(group, group_type, owner)
    };
    Write::CreateGroup(Box::new(
        create(
            wish,
            &GroupPolicy::default(),
            1,
            &std::collections::BTreeMap::new(),
        )
        .unwrap(),
    ))
}

/// All that anybody can see.
fn everything(reader: &SqliteReader, group: GroupId) -> String {
    let page = reader.page(&PageRequest {
        log: LogKey::Group(group),
        before: None,
        after: 0,
        limit: 100,
        max_bytes: usize::MAX,
    });
    let seen = users().map(|user| {
        let changes = reader.changes_since(&ChangesRequest {
            user,
            cursor: 0,
            limit: 100,
            max_bytes: usize::MAX,
        });
        (
            reader.conversations(&user, None, 100),
            changes,
            reader.group_and_membership(&group, &user),
        )
    });
    format!(
        "{page:?} {seen:?} {:?} {:?}",
        reader.members_page(&MembersRequest {
            group,
            role: None,
            after: None,
            limit: usize::MAX,
        }),
        reader.head_change()
    )
}

/// Makes the writer fail at the n-th row that it touches, as a crash would.
fn set_fuse(database: &Connection, rows: usize) {
    database
        .execute_batch(&format!(
            "CREATE TEMP TABLE IF NOT EXISTS fuse (rows); DELETE FROM fuse; INSERT INTO fuse VALUES ({rows});"
        ))
        .unwrap();
    for table in [
        "logs", "entries", "personal", "groups", "mentions", "requests", "meta",
    ] {
        for (event, doing) in [("i", "INSERT"), ("u", "UPDATE"), ("d", "DELETE")] {
            database
                .execute_batch(&format!(
                    "CREATE TEMP TRIGGER IF NOT EXISTS fuse_{table}_{event} BEFORE {doing} ON main.{table} BEGIN
                         UPDATE fuse SET rows = rows - 1;
                         SELECT RAISE(ABORT, 'the fuse is burnt') FROM fuse WHERE rows < 0;
                     END;"
                ))
                .unwrap();
        }
    }
}

#[test]
fn a_change_that_fails_in_the_middle_leaves_the_group_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, reader) = open(dir.path()).unwrap();
    let [alice, bob, _, dave] = users();
    writer
        .commit(1, &[Write::EnsureAccounts(users().to_vec())])
        .unwrap();
    let reason = String::new();
    let changes = [
        ("dismissed", GroupType::PUBLIC, alice, GroupAction::Dismiss),
        ("left", GroupType::WORK, alice, GroupAction::Quit),
        (
            "invited",
            GroupType::COMMUNITY,
            bob,
            GroupAction::Invite {
                users: vec![dave],
                reason: reason.clone(),
            },
        ),
        (
            "handed",
            GroupType::MEETING,
            alice,
            GroupAction::ChangeOwner { owner: bob },
        ),
        (
            "asked",
            GroupType::PUBLIC,
            dave,
            GroupAction::Join {
                message: reason.clone(),
            },
        ),
        (
            "removed",
            GroupType::PUBLIC,
            alice,
            GroupAction::Remove {
                users: vec![bob],
                reason,
            },
        ),
    ];
    for (name, group_type, actor, action) in changes {
        let group = GroupId::new(name).unwrap();
        set_fuse(&writer.connection(), usize::MAX >> 1);
        let made = writer.commit(2, &[new_group(group, group_type)]).unwrap();
        assert!(made.results[0].is_ok());
        let before = everything(&reader, group);
        let write = command(group, actor, action);
        let mut rows = 0;
        loop {
            set_fuse(&writer.connection(), rows);
            match writer.commit(3, std::slice::from_ref(&write)) {
                Ok(commit) => {
                    assert!(commit.results[0].is_ok(), "{commit:?}");
                    break;
                }
                Err(error) => {
                    assert!(
                        matches!(error, StoreError::NotStored(NotStored::Engine(_))),
                        "{error}"
                    );
                    assert_eq!(everything(&reader, group), before, "{name} failed at row {rows}");
                }
            }
            rows += 1;
        }
        assert!(rows > 4, "{name} touched {rows} rows");
        assert_ne!(everything(&reader, group), before);
    }
}

fn ask(writer: &mut SqliteWriter, now_ms: u64, group: GroupId, actor: UserId, action: GroupAction) {
    let answers = writer.commit(now_ms, &[command(group, actor, action)]).unwrap();
    assert!(answers.results.iter().all(Result::is_ok), "{answers:?}");
}

fn count(writer: &SqliteWriter, what: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {what}");
    writer.connection().query_row(&sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn nothing_is_kept_of_who_left_nor_of_a_group_that_ended_but_its_id() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _reader) = open(dir.path()).unwrap();
    let [alice, bob, ..] = users();
    let group = GroupId::new("g").unwrap();
    writer
        .commit(1, &[Write::EnsureAccounts(users().to_vec())])
        .unwrap();
    writer.commit(2, &[new_group(group, GroupType::MEETING)]).unwrap();
    let rename = GroupUpdate {
        name: Some("secret".to_owned()),
        introduction: Some("secret".to_owned()),
        notification: Some("secret".to_owned()),
        avatar: Some("secret".to_owned()),
        ..GroupUpdate::default()
    };
    ask(&mut writer, 3, group, alice, GroupAction::Update(rename));
    let rows = "personal WHERE log = (SELECT log FROM groups)";
    assert_eq!(count(&writer, rows), 3);
    ask(&mut writer, 4, group, bob, GroupAction::Quit);
    assert_eq!(count(&writer, rows), 2);
    ask(&mut writer, 5, group, alice, GroupAction::Dismiss);
    assert_eq!(count(&writer, rows), 0);
    let texts = "groups WHERE 'secret' IN (name, introduction, notification, avatar)";
    assert_eq!(count(&writer, texts), 0);
    assert_eq!(count(&writer, "groups"), 1);
}

#[test]
fn whom_a_revoked_message_mentioned_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, reader) = open(dir.path()).unwrap();
    let [_, bob, carol, _] = users();
    let group = GroupId::new("g").unwrap();
    let log = LogKey::Group(group);
    writer
        .commit(1, &[Write::EnsureAccounts(users().to_vec())])
        .unwrap();
    writer.commit(2, &[new_group(group, GroupType::PUBLIC)]).unwrap();
    let message = Write::Append(Append {
        log,
        sender: bob,
        id: MessageId {
            sender: reader.account(&bob).unwrap().unwrap().number,
            client_time: 1,
            random: 1,
        },
        fingerprint: Fingerprint::of(&[b"x"]),
        origin: 0,
        kind: MessageKind::TEXT,
        flags: EntryFlags::NONE,
        content: Bytes::from_static(b"x"),
        require_membership: true,
        mentions: vec![carol],
        mention_all: false,
        quota: Quota::NONE,
        files: Vec::new(),
    });
    let answer = writer.commit(3, &[message]).unwrap().results.remove(0);
    let Ok(Written::Stored(at)) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(count(&writer, "mentions"), 1);
    let revoke = Write::Revoke(Revoke {
        log,
        sequence: at.sequence,
        by: bob,
        as_administrator: false,
        window_ms: 1000,
        manager_window_ms: 0,
        reason: String::new(),
        origin: 0,
        id: MessageId::default(),
        content: Bytes::new(),
    });
    assert!(writer.commit(4, &[revoke]).unwrap().results[0].is_ok());
    assert_eq!(count(&writer, "mentions"), 0);
}

#[test]
fn restrictions_are_kept_for_as_long_as_they_mean_something() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _reader) = open(dir.path()).unwrap();
    let [alice, bob, carol, dave] = users();
    let group = GroupId::new("room").unwrap();
    writer
        .commit(1, &[Write::EnsureAccounts(users().to_vec())])
        .unwrap();
    let mut new = new_group(group, GroupType::PUBLIC);
    if let Write::CreateGroup(new) = &mut new {
        (new.group.group_type, new.group.members, new.tip) = (GroupType::AV_CHAT_ROOM, vec![], None);
    }
    writer.commit(2, &[new]).unwrap();
    let ban = |users: &[UserId], seconds| GroupAction::Ban {
        users: users.to_vec(),
        seconds,
        reason: String::new(),
    };
    ask(&mut writer, 3, group, alice, ban(&[bob, carol], 60));
    ask(&mut writer, 3, group, alice, ban(&[dave], 600));
    assert_eq!(count(&writer, "restrictions"), 3);
    ask(&mut writer, 4, group, alice, ban(&[bob], 0));
    assert_eq!(count(&writer, "restrictions"), 2, "lifted");
    let purge = |over_before_ms| {
        Write::Purge(Purge {
            older_than_ms: 0,
            forget_ids_before_ms: 0,
            over_before_ms,
            budget: 10,
            ..Purge::NONE
        })
    };
    // The time of the commit may be wrong: what counts is the time that the purge is sure of.
    writer.commit(u64::MAX >> 1, &[purge(60_002)]).unwrap();
    assert_eq!(count(&writer, "restrictions"), 2);
    writer.commit(60_004, &[purge(60_004)]).unwrap();
    assert_eq!(count(&writer, "restrictions"), 1, "over");
}

#[test]
fn old_mentions_are_forgotten_without_looking_at_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let (writer, _reader) = open(dir.path()).unwrap();
    let connection = writer.connection();
    let mut statement = connection
        .prepare(&format!("EXPLAIN QUERY PLAN {}", purge::FORGET_MENTIONS))
        .unwrap();
    let plan: String = statement.query_row([1, 1], |row| row.get("detail")).unwrap();
    assert!(plan.contains("(log=? AND sequence<?)"), "{plan}");
}
