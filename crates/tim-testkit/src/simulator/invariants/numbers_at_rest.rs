//! Every number that a device has published equals the hub's at rest, and the hub's follows from its logs: unread counts, read marks, last
//! messages, totals, the order of the list. A read mark that was acknowledged does not go back.

use tim_session::proto::{ReceiveOption, UserId};

use super::super::history::{Content, DeviceState, FreshView, ListEntry, Log, Returned, Stored};
use super::model::Watcher;
use super::{Invariant, Model, Violation};
use crate::simulator::op::{Call, Profile};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct NumbersAtRest;

const NAME: &str = "numbers-at-rest";

impl Invariant for NumbersAtRest {
    fn name(&self) -> &'static str {
        NAME
    }

    fn applies_to(&self, _profile: Profile) -> bool {
        true
    }

    fn check(&self, model: &Model<'_>) -> Result<u64, Violation> {
        let mut checked = 0;
        for view in &model.snapshot.fresh {
            checked += follows(model, view)?;
            checked += total(view)?;
        }
        for state in model.snapshot.devices.iter().filter(|state| state.ready) {
            let user = state.device.user_id();
            if let Some(view) = model.snapshot.fresh.iter().find(|view| view.user == user) {
                checked += agrees(model, state, view)?;
            }
        }
        Ok(checked + marks(model)?)
    }
}

/// What the hub lists follows from its logs.
fn follows(model: &Model<'_>, view: &FreshView) -> Result<u64, Violation> {
    let mut checked = 0;
    for entry in &view.list {
        let Some(entries) = model.snapshot.logs.get(&entry.log) else {
            continue;
        };
        let joined_at = joined_at(model, &entry.log, &view.user);
        let visible = || entries.iter().filter(|stored| stored.seen.sequence > joined_at);
        let mut compare = |what: &str, listed: u64, counted: u64| {
            checked += 1;
            if listed == counted {
                return Ok(());
            }
            let words = format!(
                "the hub lists {what} {listed} in {} for {}, and the log has {counted}",
                entry.log, view.user
            );
            Err(Violation::new(NAME, words))
        };
        let is_unread = |stored: &&Stored| {
            stored.seen.sequence > entry.read_sequence
                && stored.seen.from != view.user
                && !stored.no_unread
                && !stored.seen.revoked
                && !matches!(stored.seen.content, Content::Revocation { .. })
        };
        compare("unread", entry.unread, visible().filter(is_unread).count() as u64)?;
        let head = entries.last().map_or(0, |stored| stored.seen.sequence);
        compare("the last sequence", entry.last_sequence, head)?;
        let is_last =
            |stored: &&Stored| !stored.no_last && !matches!(stored.seen.content, Content::Revocation { .. });
        let last = visible().rfind(is_last).map_or(0, |stored| stored.seen.sequence);
        let listed = entry.last.as_ref().map_or(0, |last| last.sequence);
        compare("the last message", listed, last)?;
    }
    Ok(checked)
}

fn joined_at(model: &Model<'_>, log: &Log, user: &UserId) -> u64 {
    let Log::Group(group) = log else { return 0 };
    let members = model.snapshot.groups.get(group).map(|group| &group.members);
    members
        .and_then(|members| members.get(user))
        .map_or(0, |member| member.joined_at)
}

/// The total is the sum of what counts.
fn total(view: &FreshView) -> Result<u64, Violation> {
    if view.truncated {
        return Ok(0);
    }
    let counts = |entry: &&ListEntry| {
        !matches!(entry.log, Log::System(_)) && entry.receive_option == ReceiveOption::ACCEPT_AND_NOTIFY
    };
    let sum: u64 = view.list.iter().filter(counts).map(|entry| entry.unread).sum();
    if sum != view.total_unread {
        let words = format!(
            "the hub's total for {} is {}, and the sum {sum}",
            view.user, view.total_unread
        );
        return Err(Violation::new(NAME, words));
    }
    Ok(1)
}

/// A device shows what a new one would.
fn agrees(model: &Model<'_>, state: &DeviceState, view: &FreshView) -> Result<u64, Violation> {
    let mut checked = 0;
    let fails = |words: String| Err(Violation::new(NAME, format!("{} {words}", state.device)));
    if let Some(total) = state.total_unread {
        checked += 1;
        if total != view.total_unread {
            return fails(format!(
                "has the total {total}, and the hub {}: {}; the hub {}",
                view.total_unread,
                counts(state.list.iter().flatten()),
                counts(&view.list)
            ));
        }
    }
    let Some(list) = &state.list else {
        return Ok(checked);
    };
    // A list that was asked for with a length may be shorter once something was deleted from it.
    let has_length = model.has_called(state.device, |call| matches!(call, Call::Latest(_)));
    for entry in list {
        checked += 1;
        let Some(fresh) = view.list.iter().find(|fresh| fresh.log == entry.log) else {
            if view.truncated {
                continue;
            }
            return fails(format!("lists {}, and the hub does not", entry.log));
        };
        let shown = |entry: &ListEntry| {
            let last = entry.last.as_ref();
            let last = last.map(|last| (last.sequence, last.id, last.revoked));
            (
                entry.unread,
                entry.read_sequence,
                entry.last_sequence,
                last,
                entry.receive_option,
                entry.at.clone(),
            )
        };
        if shown(entry) != shown(fresh) {
            return fails(format!("shows {}, and the hub {}", words(entry), words(fresh)));
        }
    }
    let all = !state.truncated && !view.truncated && !has_length;
    if let Some(missing) = view
        .list
        .iter()
        .find(|fresh| list.iter().all(|entry| entry.log != fresh.log))
        && all
    {
        return fails(format!("does not list {}", words(missing)));
    }
    let order = |list: &[ListEntry]| list.iter().map(|entry| entry.log).collect::<Vec<_>>();
    if all && order(list) != order(&view.list) {
        let names = |list: &[ListEntry]| {
            order(list)
                .iter()
                .map(Log::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        };
        return fails(format!(
            "lists in the order {}, and the hub {}",
            names(list),
            names(&view.list)
        ));
    }
    Ok(checked)
}

/// The unread messages of each conversation.
fn counts<'a>(list: impl IntoIterator<Item = &'a ListEntry>) -> String {
    let counts = list.into_iter().map(|entry| {
        format!(
            "{} {} (option {})",
            entry.log, entry.unread, entry.receive_option.0
        )
    });
    counts.collect::<Vec<_>>().join(", ")
}

fn words(entry: &ListEntry) -> String {
    let last = entry
        .last
        .as_ref()
        .map_or_else(|| "none".to_owned(), |last| format!("{last} ({})", last.id));
    format!(
        "{} with unread {}, read to {}, last sequence {}, last message {last}, option {}, mentions {:?}",
        entry.log, entry.unread, entry.read_sequence, entry.last_sequence, entry.receive_option.0, entry.at
    )
}

/// What was acknowledged as read is read.
fn marks(model: &Model<'_>) -> Result<u64, Violation> {
    let mut checked = 0;
    for call in model.calls.values() {
        let Some((
            at,
            Returned::Read {
                log,
                read_sequence: Some(read),
                ..
            },
        )) = call.returned()
        else {
            continue;
        };
        let user = call.device.user_id();
        let view = model.snapshot.fresh.iter().find(|view| view.user == user);
        let entry = view.and_then(|view| view.list.iter().find(|entry| entry.log == *log));
        if let Some(entry) = entry.filter(|_| !model.may_be_lost(Watcher::Device(call.device), at)) {
            checked += 1;
            if entry.read_sequence < *read {
                let words = format!(
                    "{user} has read {log} to {read}, and the mark is at {}",
                    entry.read_sequence
                );
                return Err(Violation::new(NAME, words).at([call.begun, at]));
            }
        }
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{MadeUp, c2c, passes, violates};
    use super::*;
    use crate::simulator::history::Seen;
    use crate::simulator::op::Target;

    /// Two messages of user 0, unread by user 1, as the hub and the device list them.
    fn unread() -> MadeUp {
        let mut run = MadeUp::new();
        let log = c2c(0, 1);
        let mut last = None;
        for sequence in [1, 2] {
            let sent = run.send(0, Target::User(1));
            run.accept(sent, sequence);
            last = Some(run.store(log, sequence, 0, sent).seen.clone());
        }
        let entry = ListEntry {
            log,
            unread: 2,
            read_sequence: 0,
            last_sequence: 2,
            last,
            receive_option: ReceiveOption::ACCEPT_AND_NOTIFY,
            name: String::new(),
            at: Vec::new(),
        };
        run.lists(1, vec![entry], 2);
        run
    }

    #[test]
    fn numbers_that_agree() {
        assert!(passes(&NumbersAtRest, &unread()) >= 6);
    }

    #[test]
    fn a_device_shows_another_number_than_the_hub() {
        let mut run = unread();
        run.snapshot.devices[1].total_unread = Some(3);
        violates(&NumbersAtRest, &run, "has the total 3");
        let mut run = unread();
        run.snapshot.devices[1].list.as_mut().unwrap()[0].unread = 1;
        violates(&NumbersAtRest, &run, "shows");
        let mut run = unread();
        run.snapshot.devices[1].list.as_mut().unwrap().clear();
        violates(&NumbersAtRest, &run, "does not list");
    }

    #[test]
    fn the_total_counts_nothing_that_retention_has_removed() {
        let mut run = unread();
        let seen = run.snapshot.logs[&c2c(0, 1)][0].seen.clone();
        let gone = Seen {
            log: c2c(1, 2),
            ..seen
        };
        run.receive(1, &[gone]);
        run.snapshot.devices[1].total_unread = Some(3);
        violates(&NumbersAtRest, &run, "has the total 3");
        run.history.plan.settings.retention_seconds = 1;
        run.snapshot.at_ms += 1_000_000;
        violates(&NumbersAtRest, &run, "has the total 3");
    }

    #[test]
    fn the_hub_shows_what_its_log_does_not_have() {
        for (change, words) in [
            ((|entry| entry.unread = 1) as fn(&mut ListEntry), "lists unread 1"),
            (|entry| entry.last_sequence = 3, "lists the last sequence 3"),
            (|entry| entry.last = None, "lists the last message 0"),
        ] {
            let mut run = unread();
            let view = run
                .snapshot
                .fresh
                .iter_mut()
                .find(|view| !view.list.is_empty())
                .unwrap();
            change(&mut view.list[0]);
            violates(&NumbersAtRest, &run, words);
        }
        let mut run = unread();
        run.snapshot
            .fresh
            .iter_mut()
            .for_each(|view| view.total_unread += 1);
        violates(&NumbersAtRest, &run, "and the sum");
    }

    #[test]
    fn a_read_mark_goes_back() {
        let mut run = unread();
        let call = run.call(1, Call::Read(Target::User(0)));
        let log = c2c(0, 1);
        run.returns(
            call,
            Returned::Read {
                log,
                read_sequence: Some(2),
                unread: Some(0),
            },
        );
        violates(&NumbersAtRest, &run, "the mark is at 0");
    }
}
