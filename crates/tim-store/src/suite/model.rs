//! Any sequence of operations, beside a plain model that keeps lists and counts by looking at every entry.

use proptest::test_runner::{Config, TestRunner};
use tim_groups::{GroupAction, GroupResponse};
use tim_proto::{JoinStatus, MessageKind, ReceiveOption, UserId};

use super::model_state::{GROUP, Model, ModelRow, SYSTEM, Step, step};
use super::{World, groups, model_files, model_push, revoke};
use crate::{
    ChangesRequest, Cursor, EntryFlags, Gap, LogKey, Merge, Purge, Refused, RemoveFiles, SystemEntry, Write,
    Written,
};

pub fn any_history_agrees_with_the_model(world: &mut World) {
    // Some hundred writes a case, each synced; PROPTEST_CASES asks for more.
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() {
        Config::default().cases
    } else {
        48
    };
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    });
    let world = std::cell::RefCell::new(world);
    let case = std::cell::Cell::new(0);
    runner
        .run(&proptest::collection::vec(step(), 1..80), |steps| {
            let world = &mut **world.borrow_mut();
            case.set(case.get() + 1);
            forget_earlier_cases(world);
            let mut model = Model::new(world, case.get());
            for step in steps {
                apply(world, &mut model, &step);
                compare(world, &model);
                model_files::compare(world, &model);
                model_push::compare(world, &model);
            }
            compare_history(world, &model);
            model_files::compare_uses(world, &model);
            Ok(())
        })
        .unwrap();
}

/// So that a case's purges find only its own entries.
fn forget_earlier_cases(world: &mut World) {
    world.now_ms += 1_000_000;
    let everything = Purge {
        older_than_ms: world.now_ms,
        forget_ids_before_ms: world.now_ms,
        over_before_ms: world.now_ms,
        budget: u32::MAX,
        ..Purge::NONE
    };
    world.write(Write::Purge(everything)).unwrap();
    let files = RemoveFiles {
        unsent_before_ms: world.now_ms,
        most: u32::MAX,
    };
    world.write(Write::RemoveFiles(files)).unwrap();
}

fn apply(world: &mut World, model: &mut Model, step: &Step) {
    match *step {
        Step::Say { log, user, flags } => say(world, model, log, user, flags),
        Step::Tip { log } => tip(world, model, log),
        Step::Reopen => reopen(world, model),
        Step::Read { log, user, upto } => read(world, model, log, user, upto),
        Step::Revoke { log, user, back } => revoke_one(world, model, log, user, back),
        Step::Delete { log, user } => delete(world, model, log, user),
        Step::Join { user } => join(world, model, user),
        Step::Leave { user } => leave(world, model, user),
        Step::Receive { user, notified } => receive(world, model, user, notified),
        Step::Upload { user, content } => model_files::upload(world, model, user, content),
        Step::Send { log, user, file } => model_files::send(world, model, (log, user), file),
        Step::Claim { user, file } => model_files::claim(world, model, user, file),
        Step::TakeBack { file } => {
            if let Some((log, user, back)) = model_files::newest(model, file) {
                revoke_one(world, model, log, user, back);
            }
        }
        Step::RemoveFiles { keep_s, most } => model_files::remove(world, model, keep_s, most),
        Step::Register { user, token, enabled } => {
            model_push::register_one(world, model, user, token, enabled);
        }
        Step::Unregister { user, token } => model_push::unregister_one(world, model, user, token),
        Step::Pushed { user, back } => model_push::pushed(world, model, user, back),
        Step::Wait { seconds } => world.now_ms += seconds * 1000,
        Step::Purge { keep_s, budget } => purge(world, model, keep_s, budget),
        Step::CatchUp {
            user,
            limit,
            readings,
        } => catch_up(world, model, user, limit, readings),
    }
}

/// A merge belongs to one opening.
fn reopen(world: &mut World, model: &mut Model) {
    for device in &mut model.devices {
        device.merge = Merge::default();
    }
    world.reopen();
}

fn say(world: &mut World, model: &mut Model, log: usize, user: usize, flags: EntryFlags) {
    let sender = model.users[user];
    let mut append = world.message(model.keys[log], sender, "x");
    append.flags = flags;
    let answer = world.write(Write::Append(append));
    if log < SYSTEM && model.is_party(log, user) {
        let at = model.push(log, sender, flags, MessageKind::TEXT, world.now_ms);
        assert_eq!(answer, Ok(Written::Stored(at)));
    } else {
        assert_eq!(answer, Err(Refused::NotParticipant(sender)));
    }
}

fn tip(world: &mut World, model: &mut Model, log: usize) {
    let entry: SystemEntry = world.prepared("tip");
    let answer = world.write(Write::AppendSystem {
        log: model.keys[log],
        entry,
    });
    let at = model.push(
        log,
        UserId::SYSTEM,
        EntryFlags::SYSTEM,
        MessageKind::GROUP_TIP,
        world.now_ms,
    );
    assert_eq!(answer, Ok(Written::Stored(at)));
}

fn read(world: &mut World, model: &mut Model, log: usize, user: usize, upto: Option<u64>) {
    let answer = world.write(Write::MarkRead {
        user: model.users[user],
        log: model.keys[log],
        upto,
    });
    if log != GROUP && model.logs[log].head() == 0 {
        let nothing = Written::NOTHING_TO_READ;
        assert_eq!(answer, Ok(nothing));
    } else if model.row(log, user).is_none() {
        assert_eq!(answer, Err(Refused::NotParticipant(model.users[user])));
    } else {
        let target = upto.unwrap_or(u64::MAX).min(model.logs[log].head());
        let row = model.rows.get_mut(&(log, user)).unwrap();
        row.read = row.read.max(target);
        assert_eq!(answer, Ok(read_state(model, log, user)));
    }
}

fn revoke_one(world: &mut World, model: &mut Model, log: usize, user: usize, back: u64) {
    let by = model.users[user];
    let sequence = model.logs[log].head().saturating_sub(back);
    let request = revoke::by(world, model.keys[log], sequence, by);
    let answer = world.write(Write::Revoke(request));
    if log != GROUP && model.logs[log].head() == 0 {
        assert_eq!(answer, Err(Refused::NoSuchConversation));
        return;
    }
    let Some(row) = model.row(log, user) else {
        assert_eq!(answer, Err(Refused::NotParticipant(by)));
        return;
    };
    let mut seen = model.logs[log]
        .kept()
        .filter(|entry| entry.at.sequence > row.joined_at);
    let target = seen.find(|entry| entry.at.sequence == sequence);
    let target = target.map(|target| (target.at.time_ms, target.revoked_by, target.flags, target.sender));
    drop(seen);
    let Some((time_ms, revoked_by, target_flags, sender)) = target else {
        assert_eq!(answer, Err(Refused::NotFound));
        return;
    };
    let manages = log == GROUP && user == 0;
    let window_ms = if manages {
        revoke::MANAGER_WINDOW_MS
    } else {
        revoke::WINDOW_MS
    };
    let age_ms = world.now_ms - time_ms;
    match revoked_by {
        Some(first) if first == by => assert!(matches!(answer, Ok(Written::Revoked { already: true, .. }))),
        Some(first) => assert_eq!(answer, Err(Refused::AlreadyRevoked(first))),
        None if target_flags.contains(EntryFlags::SYSTEM) || (sender != by && !manages) => {
            assert_eq!(answer, Err(Refused::NotYours));
        }
        None if age_ms > window_ms => {
            assert_eq!(answer, Err(Refused::TooLate { age_ms, window_ms }));
        }
        None => {
            let index = usize::try_from(sequence).unwrap() - 1;
            model.logs[log].entries[index].revoked_by = Some(by);
            let entry_flags = EntryFlags::SYSTEM | EntryFlags::NO_UNREAD | EntryFlags::NO_LAST;
            let entry = model.push(log, by, entry_flags, MessageKind::REVOCATION, world.now_ms);
            assert_eq!(
                answer,
                Ok(Written::Revoked {
                    entry,
                    already: false
                })
            );
        }
    }
}

fn delete(world: &mut World, model: &mut Model, log: usize, user: usize) {
    let answer = world.write(Write::DeleteConversation {
        user: model.users[user],
        log: model.keys[log],
    });
    let head = model.logs[log].head();
    let Some(row) = model.rows.get_mut(&(log, user)).filter(|row| row.takes_part) else {
        let nothing = Written::NOTHING_TO_READ;
        assert_eq!(answer, Ok(nothing));
        return;
    };
    (row.hidden_through, row.read) = (head, head);
    assert_eq!(answer, Ok(read_state(model, log, user)));
}

/// What reading and deleting are answered.
fn read_state(model: &Model, log: usize, user: usize) -> Written {
    let row = model.rows[&(log, user)];
    let entries = &model.logs[log].entries;
    let shown = entries
        .iter()
        .rev()
        .find(|entry| !entry.flags.contains(EntryFlags::NO_LAST));
    let is_hidden = shown.map_or(0, |entry| entry.at.sequence) <= row.hidden_through;
    Written::Read {
        read_sequence: model.read_to(log, user),
        unread: model.unread(log, user),
        counted: model.logs[log].head(),
        deleted_through: if is_hidden { row.hidden_through } else { 0 },
    }
}

fn join(world: &mut World, model: &mut Model, user: usize) {
    let answer = world.change(model.group(), model.users[user], groups::join());
    if model.row(GROUP, user).is_some() {
        assert_eq!(answer, Ok(GroupResponse::Joined(JoinStatus::ALREADY_IN_GROUP)));
        return;
    }
    assert_eq!(answer, Ok(GroupResponse::Joined(JoinStatus::JOINED)));
    let head = model.logs[GROUP].head();
    let row = ModelRow {
        takes_part: true,
        joined_at: head,
        read: head,
        ..ModelRow::default()
    };
    model.rows.insert((GROUP, user), row);
    model.push(
        GROUP,
        UserId::SYSTEM,
        EntryFlags::SYSTEM,
        MessageKind::GROUP_TIP,
        world.now_ms,
    );
    model.push(
        SYSTEM + user,
        UserId::SYSTEM,
        EntryFlags::SYSTEM,
        MessageKind::GROUP_SYSTEM_NOTICE,
        world.now_ms,
    );
}

fn leave(world: &mut World, model: &mut Model, user: usize) {
    let answer = world.change(model.group(), model.users[user], GroupAction::Quit);
    if user == 0 {
        assert_eq!(answer, Err(Refused::OwnerMayNotQuit));
        return;
    }
    assert_eq!(answer, Ok(GroupResponse::Done));
    if model.row(GROUP, user).is_none() {
        return;
    }
    model.rows.get_mut(&(GROUP, user)).unwrap().takes_part = false;
    model.push(
        GROUP,
        UserId::SYSTEM,
        EntryFlags::SYSTEM,
        MessageKind::GROUP_TIP,
        world.now_ms,
    );
    let quiet = EntryFlags::SYSTEM | EntryFlags::NO_UNREAD;
    model.push(
        SYSTEM + user,
        UserId::SYSTEM,
        quiet,
        MessageKind::GROUP_SYSTEM_NOTICE,
        world.now_ms,
    );
}

fn receive(world: &mut World, model: &mut Model, user: usize, notified: bool) {
    let option = match notified {
        true => ReceiveOption::ACCEPT_AND_NOTIFY,
        false => ReceiveOption::ACCEPT_NOT_NOTIFY,
    };
    let action = GroupAction::SetReceiveOption { option };
    let answer = world.change(model.group(), model.users[user], action);
    let name = model.users[user];
    let row = model.rows.get_mut(&(GROUP, user)).filter(|row| row.takes_part);
    let Some(row) = row else {
        assert_eq!(answer, Err(Refused::NotParticipant(name)));
        return;
    };
    assert_eq!(answer, Ok(GroupResponse::Done));
    if row.silent == notified {
        row.silent = !notified;
        let unseen = EntryFlags::SYSTEM | EntryFlags::NO_UNREAD | EntryFlags::NO_LAST;
        model.push(
            SYSTEM + user,
            UserId::SYSTEM,
            unseen,
            MessageKind::GROUP_SYSTEM_NOTICE,
            world.now_ms,
        );
    }
}

fn purge(world: &mut World, model: &mut Model, keep_s: u64, budget: u32) {
    let older_than_ms = world.now_ms.saturating_sub(keep_s * 1000);
    // Whole logs' worth at a time, so that the model need not know which log comes first.
    loop {
        let step = Purge {
            older_than_ms,
            forget_ids_before_ms: 0,
            over_before_ms: world.now_ms,
            budget,
            ..Purge::NONE
        };
        let Ok(Written::Purged { entries, more, .. }) = world.write(Write::Purge(step)) else {
            panic!("purge")
        };
        assert!(entries <= u64::from(budget));
        if !more {
            break;
        }
    }
    for log in &mut model.logs {
        let old = log
            .entries
            .iter()
            .take_while(|entry| entry.at.time_ms < older_than_ms)
            .count() as u64;
        log.purged = log.purged.max(old);
    }
}

fn catch_up(world: &World, model: &mut Model, user: usize, limit: usize, readings: usize) {
    let mut expected = Vec::new();
    let mut gaps = Vec::new();
    let cursor = model.devices[user].cursor;
    let kept = Cursor::from_bytes(&model.devices[user].kept).unwrap();
    let resumed = world
        .reader()
        .epochs()
        .resume(kept, world.reader().head_change().unwrap());
    assert_eq!((resumed.change, resumed.restored), (cursor, false), "{kept:?}");
    for (index, log) in model.logs.iter().enumerate() {
        let Some(row) = model.row(index, user) else {
            continue;
        };
        expected.extend(
            log.kept()
                .filter(|entry| entry.at.sequence > row.joined_at)
                .map(|entry| entry.at.change),
        );
        let lost = log.entries.iter().rfind(|entry| entry.at.sequence <= log.purged);
        if lost.is_some_and(|entry| entry.at.change > cursor && entry.at.sequence > row.joined_at) {
            gaps.push(Gap {
                log: model.keys[index],
                from: row.joined_at + 1,
                to: log.purged,
            });
        }
    }
    expected.retain(|change| *change > cursor);
    expected.sort_unstable();

    let mut got = Vec::new();
    let mut got_gaps = Vec::new();
    let device = &mut model.devices[user];
    let mut is_complete = false;
    for _ in 0..readings {
        let fresh = world.changes(model.users[user], device.cursor, limit);
        let request = ChangesRequest {
            user: model.users[user],
            cursor: device.cursor,
            limit,
            max_bytes: usize::MAX,
        };
        let changes = world.reader().changes_after(&request, &mut device.merge).unwrap();
        assert_eq!(
            (&changes.entries, &changes.gaps),
            (&fresh.entries, &fresh.gaps),
            "what is left of a reading goes on as a new one begins"
        );
        got.extend(changes.entries.iter().map(|change| change.entry.change));
        got_gaps.extend(changes.gaps);
        device.cursor = changes.cursor;
        if !changes.more {
            is_complete = true;
            break;
        }
    }
    device.kept = world
        .reader()
        .epochs()
        .cursor(device.cursor)
        .to_bytes()
        .as_ref()
        .to_vec();
    if is_complete {
        assert_eq!(got, expected);
        got_gaps.sort_unstable_by_key(|gap| gap.log);
        gaps.sort_unstable_by_key(|gap| gap.log);
        assert_eq!(got_gaps, gaps);
    } else {
        assert!(expected.starts_with(&got), "{got:?} of {expected:?}");
        assert!(got_gaps.iter().all(|gap| gaps.contains(gap)), "{got_gaps:?}");
    }
    device.got.extend(got);
    assert!(
        device.got.is_sorted_by(|a, b| a < b),
        "nothing twice, nothing out of order"
    );
}

/// Every user's view of every log, and the list.
fn compare(world: &mut World, model: &Model) {
    for user in 0..3 {
        let name = model.users[user];
        assert_eq!(
            world.stored_bytes(name),
            model.stored_bytes(user),
            "of user {user}"
        );
        assert_eq!(world.begun(name), model.begun(user), "by user {user}");
    }
    for user in 0..3 {
        // With each conversation's position, its part of the total.
        let mut list: Vec<(u64, usize, u64)> = Vec::new();
        for (log, key) in model.keys.iter().enumerate() {
            let found = world.reader().conversation(&model.users[user], key).unwrap();
            let Some(row) = model.row(log, user) else {
                assert_eq!(found, None);
                continue;
            };
            let found = found.unwrap();
            assert_eq!(
                found.unread,
                model.unread(log, user),
                "unread of user {user} in {key}"
            );
            assert_eq!(
                (found.read_sequence, found.head_sequence),
                (model.read_to(log, user), model.logs[log].head())
            );
            assert_eq!(found.first_kept, model.logs[log].purged + 1);
            let last = model.last(log, user);
            let shown = |at: u64, revoked: bool| (at, revoked);
            assert_eq!(
                found
                    .last
                    .as_ref()
                    .map(|entry| shown(entry.sequence, entry.is_revoked())),
                last.map(|entry| shown(entry.at.sequence, entry.revoked_by.is_some()))
            );
            if let Some(last) = last.filter(|last| last.at.sequence > row.hidden_through) {
                let counts = log < SYSTEM && !row.silent;
                list.push((last.at.change, log, if counts { found.unread } else { 0 }));
            }
        }
        list.sort_unstable_by(|a, b| b.cmp(a));
        let total: u64 = list.iter().map(|(.., unread)| unread).sum();
        let expected: Vec<LogKey> = list.iter().map(|(_, log, _)| model.keys[*log]).collect();
        assert_eq!(world.list(&model.users[user]), expected);
        assert_eq!(world.conversations(&model.users[user]).total_unread, total);
        compare_pages(world, model, user, &list);
    }
}

/// The list in pages of two, each with what is unread in it and behind it.
fn compare_pages(world: &World, model: &Model, user: usize, list: &[(u64, usize, u64)]) {
    let mut after = None;
    let mut rest = list;
    loop {
        let page = world
            .reader()
            .conversations(&model.users[user], after, 2)
            .unwrap();
        let found: Vec<LogKey> = page.conversations.iter().map(|found| found.log).collect();
        let (expected, behind) = rest.split_at(rest.len().min(2));
        assert!(
            expected
                .iter()
                .map(|(_, log, _)| model.keys[*log])
                .eq(found.iter().copied()),
            "user {user}: {found:?}"
        );
        let unread = rest.iter().map(|(.., unread)| unread).sum::<u64>();
        assert_eq!(page.total_unread, unread, "user {user} after {after:?}");
        assert_eq!(page.more, !behind.is_empty());
        rest = behind;
        after = page.next.last().copied();
        if !page.more {
            break;
        }
    }
}

fn compare_history(world: &World, model: &Model) {
    for (log, key) in model.keys.iter().enumerate() {
        let expected: Vec<(u64, bool)> = model.logs[log]
            .kept()
            .filter(|entry| entry.kind != MessageKind::REVOCATION)
            .map(|entry| (entry.at.sequence, entry.revoked_by.is_some()))
            .collect();
        let mut got = Vec::new();
        let mut before = None;
        loop {
            let page = world.page(*key, before, 4);
            got.splice(
                0..0,
                page.entries
                    .iter()
                    .map(|entry| (entry.sequence, entry.is_revoked())),
            );
            before = Some(page.next);
            if page.completed {
                break;
            }
        }
        assert_eq!(got, expected);
    }
}
