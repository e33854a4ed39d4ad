//! What an application's server was told is so, and it is told what is so: a message that was accepted for several users is in the log of
//! each, what it has marked as read is read, and counts, roles and histories that it asks for are those of the store.

use tim_session::proto::Role;

use super::super::history::{BackendView, Content, Log, Returned, Stored};
use super::super::op::{Call, DeviceRef, Plan, Profile, Rest};
use super::model::{Called, Spoken, Watcher};
use super::{Invariant, Model, Violation};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct AsTold;

const NAME: &str = "as-told";

impl Invariant for AsTold {
    fn name(&self) -> &'static str {
        NAME
    }

    fn applies_to(&self, profile: Profile) -> bool {
        matches!(profile, Profile::Backend | Profile::Servers)
    }

    fn check(&self, model: &Model<'_>) -> Result<u64, Violation> {
        let mut checked = 0;
        for message in model.messages.values().filter(|message| message.is_by_backend()) {
            checked += is_everywhere(model, message)?;
        }
        for call in model.calls.values() {
            checked += is_read(model, call)?;
        }
        if let Some(view) = &model.snapshot.backend {
            checked += counts(model, view)? + roles(model, view)? + histories(model, view)?;
        }
        Ok(checked)
    }
}

fn may_be_lost(model: &Model<'_>, at: usize) -> bool {
    model.may_be_lost(Watcher::Device(DeviceRef::BACKEND), at)
}

/// A message of which the server was told only that it is stored is in each log to which it goes.
fn is_everywhere(model: &Model<'_>, message: &Spoken<'_>) -> Result<u64, Violation> {
    let mut checked = 0;
    let calls = message.calls.iter().filter_map(|call| model.calls.get(call));
    for call in calls {
        let Some((at, Returned::Stored)) = call.returned() else {
            continue;
        };
        if message.sent.online_only || may_be_lost(model, at) {
            continue;
        }
        let own = [message.sent.log];
        let logs = if message.logs.is_empty() {
            &own[..]
        } else {
            &message.logs
        };
        for log in logs {
            let entries = model.snapshot.logs.get(log).into_iter().flatten();
            let is_it = |stored: &Stored| match stored.seen.content {
                // It may be this one.
                Content::Gone => stored.seen.from == message.sent.from,
                _ => stored.seen.content.mark() == message.sent.said.mark,
            };
            checked += 1;
            if !entries.into_iter().any(is_it) && !may_be_removed(model, call, at, log) {
                let words = format!(
                    "{:?} was accepted for {log}, and is not there",
                    message.sent.said.mark
                );
                return Err(Violation::new(NAME, words).at([call.begun, at]));
            }
        }
    }
    Ok(checked)
}

/// Whether retention, or the end of its group, may have removed from a log what a call that returned at `at` stored there.
fn may_be_removed(model: &Model<'_>, call: &Called<'_>, at: usize, log: &Log) -> bool {
    if let Some(first) = model.first_kept(log) {
        return first > 1;
    }
    let is_dismissed = match log {
        Log::Group(group) => !model.snapshot.groups.contains_key(group) && model.may_be_dismissed(group),
        _ => false,
    };
    // What is imported is older than the call.
    let is_import = matches!(call.op, Call::Rest(Rest::Import { .. }));
    let earliest_ms = (call.begun..=at).map(|then| model.wall_ms(then)).min();
    is_dismissed || is_import || model.may_be_purged(earliest_ms.unwrap_or(0) / 1000)
}

/// What the server has marked as read is read, up to what had been accepted before.
fn is_read(model: &Model<'_>, call: &Called<'_>) -> Result<u64, Violation> {
    let (Call::Rest(Rest::SetRead(user, peer)), Some((at, _))) = (call.op, call.returned()) else {
        return Ok(0);
    };
    let (user, peer) = (Plan::user(*user), Plan::user(*peer));
    let log = Log::of(user, peer.into());
    let view = model.snapshot.fresh.iter().find(|view| view.user == user);
    let entry = view.and_then(|view| view.list.iter().find(|entry| entry.log == log));
    let Some(entry) = entry.filter(|_| !may_be_lost(model, at)) else {
        return Ok(0);
    };
    let mut checked = 0;
    for accepted in model.messages.values().flat_map(|message| &message.accepted) {
        let is_before = accepted.log == log && accepted.at < call.begun;
        // After a restore, another one may have the sequence.
        if !is_before || model.restored_between(accepted.at, usize::MAX) {
            continue;
        }
        checked += 1;
        if accepted.sequence > entry.read_sequence {
            let words = format!(
                "{user} was marked as having read {log}, with {} in it, and the mark is at {}",
                accepted.sequence, entry.read_sequence
            );
            return Err(Violation::new(NAME, words).at([accepted.at, call.begun, at]));
        }
    }
    Ok(checked)
}

/// The server is told the counts that users see.
fn counts(model: &Model<'_>, told: &BackendView) -> Result<u64, Violation> {
    let mut checked = 0;
    for view in model.snapshot.fresh.iter().filter(|view| !view.truncated) {
        let mut sum = 0;
        for entry in &view.list {
            let Log::C2c(one, other) = entry.log else { continue };
            sum += entry.unread;
            let peer = if one == view.user { other } else { one };
            checked += 1;
            let with = told.unread_with.get(&(view.user, peer));
            // It asks about all users that it knows.
            if told.unread.contains_key(&peer) && with != Some(&entry.unread) {
                let words = format!(
                    "{} has {} unread in {}, and the server is told {with:?}",
                    view.user, entry.unread, entry.log
                );
                return Err(Violation::new(NAME, words));
            }
        }
        if let Some(all) = told.unread.get(&view.user).filter(|all| **all != sum) {
            let words = format!("{} has {sum} unread, and the server is told {all}", view.user);
            return Err(Violation::new(NAME, words));
        }
    }
    Ok(checked)
}

/// It is told the roles that the members have.
fn roles(model: &Model<'_>, told: &BackendView) -> Result<u64, Violation> {
    let mut checked = 0;
    for (group, state) in &model.snapshot.groups {
        let Some(roles) = told.roles.get(group) else {
            return Err(Violation::new(
                NAME,
                format!("the server is told nothing of {group}"),
            ));
        };
        // It asks about all users that it knows.
        if let Some(user) = told.unread.keys().find(|user| !roles.contains_key(*user)) {
            let words = format!("the server is not told what {user} is in {group}");
            return Err(Violation::new(NAME, words));
        }
        for (user, role) in roles {
            let member = state.members.get(user).map(|member| member.role);
            let name = match member {
                None => "NotMember",
                Some(Role::OWNER) => "Owner",
                Some(Role::ADMIN) => "Admin",
                Some(_) => "Member",
            };
            checked += 1;
            if role != name {
                let words = format!("{user} is {name} in {group}, and the server is told {role}");
                return Err(Violation::new(NAME, words));
            }
        }
    }
    Ok(checked)
}

/// It is told which messages there are, and which of them are revoked.
fn histories(model: &Model<'_>, told: &BackendView) -> Result<u64, Violation> {
    let mut checked = 0;
    for ((one, other), rows) in &told.histories {
        let log = Log::of(*one, (*other).into());
        let entries = model.snapshot.logs.get(&log).into_iter().flatten();
        let is_message = |stored: &&Stored| !matches!(stored.seen.content, Content::Revocation { .. });
        let stored: Vec<(u64, bool)> = entries
            .filter(is_message)
            .map(|stored| (stored.seen.sequence, stored.seen.revoked))
            .collect();
        checked += rows.len() as u64;
        if stored != *rows {
            let words = format!("the log of {log} has {stored:?}, and the server is told {rows:?}");
            return Err(Violation::new(NAME, words));
        }
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::made_up::{MadeUp, c2c, passes, violates};
    use super::*;
    use crate::simulator::history::{ListEntry, Mark};
    use crate::simulator::op::{Body, Target};
    use tim_session::proto::ReceiveOption;

    /// User 0 sees the conversation with user 1, with so many unread messages behind the mark.
    fn look(run: &mut MadeUp, unread: u64, read_sequence: u64) {
        let entry = ListEntry {
            log: c2c(0, 1),
            unread,
            read_sequence,
            last_sequence: 1,
            last: None,
            receive_option: ReceiveOption::ACCEPT_AND_NOTIFY,
            name: String::new(),
            at: Vec::new(),
        };
        run.snapshot.fresh.clear();
        run.lists(0, vec![entry], unread);
    }

    /// The server sends a message of user 0 to the others, which is stored for user 1.
    fn batch() -> (MadeUp, Mark) {
        let mut run = MadeUp::new();
        let mark = run.next_mark();
        let message = run.message(Plan::user(0), Target::User(1), mark);
        let send = Rest::Send {
            from: 0,
            to: vec![1, 2],
            body: Body::Text(0),
            online_only: false,
            to_sender: true,
        };
        let call = run.backend_about(Call::Rest(send), Some(message));
        run.store(c2c(0, 1), 1, 0, mark);
        run.returns(call, Returned::Stored);
        (run, mark)
    }

    #[test]
    fn a_message_to_many_is_in_each_log() {
        let (mut run, mark) = batch();
        let other = run.send(0, Target::User(2));
        run.store(c2c(0, 2), 1, 0, other);
        violates(&AsTold, &run, "and is not there");
        let mut gone = run.clone();
        gone.snapshot.logs.get_mut(&c2c(0, 2)).unwrap()[0].seen.content = Content::Gone;
        passes(&AsTold, &gone);
        // Retention may have removed all that the log had, once it is old enough.
        let mut empty = run.clone();
        empty.snapshot.logs.remove(&c2c(0, 2));
        violates(&AsTold, &empty, "and is not there");
        empty.snapshot.logs.insert(c2c(0, 2), Vec::new());
        violates(&AsTold, &empty, "and is not there");
        empty.history.plan.settings.retention_seconds = 60;
        empty.snapshot.at_ms += 62_000;
        passes(&AsTold, &empty);
        run.store(c2c(0, 2), 2, 0, mark);
        assert!(passes(&AsTold, &run) >= 2);
    }

    #[test]
    fn what_was_marked_as_read_is_read() {
        let mut run = MadeUp::new();
        let sent = run.send(1, Target::User(0));
        run.accept(sent, 1);
        run.store(c2c(0, 1), 1, 1, sent);
        let call = run.backend(Call::Rest(Rest::SetRead(0, 1)));
        run.returns(call, Returned::Done);
        look(&mut run, 0, 1);
        assert!(passes(&AsTold, &run) > 0);
        look(&mut run, 1, 0);
        violates(&AsTold, &run, "the mark is at 0");
    }

    #[test]
    fn the_server_is_told_what_is_so() {
        let mut run = MadeUp::new();
        let (user, peer, group) = (Plan::user(0), Plan::user(1), Plan::group(0));
        run.create(0, &[1]);
        look(&mut run, 2, 0);
        let sent = run.send(1, Target::User(0));
        run.store(c2c(0, 1), 1, 1, sent);
        let again = run.send(1, Target::User(0));
        run.store(c2c(0, 1), 2, 1, again);
        let right = BackendView {
            unread: BTreeMap::from([(user, 2), (peer, 0)]),
            unread_with: BTreeMap::from([((user, peer), 2)]),
            roles: BTreeMap::from([(
                group,
                BTreeMap::from([(user, "Member".to_owned()), (peer, "Member".to_owned())]),
            )]),
            histories: BTreeMap::from([((user, peer), vec![(1, false), (2, false)])]),
        };
        run.snapshot.backend = Some(right.clone());
        assert!(passes(&AsTold, &run) >= 3);
        let told = |change: fn(&mut BackendView)| {
            let mut run = run.clone();
            let mut view = right.clone();
            change(&mut view);
            run.snapshot.backend = Some(view);
            run
        };
        let wrong = told(|view| view.unread.values_mut().for_each(|count| *count = 3));
        violates(&AsTold, &wrong, "is told 3");
        let wrong = told(|view| view.unread_with.values_mut().for_each(|count| *count = 1));
        violates(&AsTold, &wrong, "is told Some(1)");
        let wrong = told(|view| {
            let roles = view.roles.values_mut().flat_map(BTreeMap::values_mut);
            roles.for_each(|role| "Admin".clone_into(role));
        });
        violates(&AsTold, &wrong, "is told Admin");
        let wrong = told(|view| view.histories.values_mut().for_each(|rows| rows[0].1 = true));
        violates(&AsTold, &wrong, "is told [(1, true), (2, false)]");
        // Less than it asked for.
        let less = told(|view| view.unread_with.clear());
        violates(&AsTold, &less, "is told None");
        let less = told(|view| {
            view.roles.values_mut().for_each(|roles| drop(roles.pop_last()));
        });
        violates(&AsTold, &less, "is not told what");
        let less = told(|view| {
            view.histories
                .values_mut()
                .for_each(|rows| *rows = rows.split_off(1))
        });
        violates(&AsTold, &less, "is told [(2, false)]");
    }
}
