//! What is lost is announced. A device that had seen something that a restored store does not have is told, before it rests; a gap of entries
//! is one of entries that the hub has no more; and nothing new appears under an old id.

use std::collections::BTreeMap;

use tim_session::proto::{MessageId, UserId};

use super::super::history::{Content, Event, Log, Mark, Returned, StartsFrom, What};
use super::model::{Viewer, Watcher};
use super::{Invariant, Model, Violation};
use crate::simulator::op::{DeviceRef, Profile};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Gaps;

const NAME: &str = "gaps";

impl Invariant for Gaps {
    fn name(&self) -> &'static str {
        NAME
    }

    fn applies_to(&self, profile: Profile) -> bool {
        matches!(profile, Profile::Restore | Profile::Backend)
    }

    fn check(&self, model: &Model<'_>) -> Result<u64, Violation> {
        let mut checked = ids(model)?;
        checked += false_gaps(model)?;
        if let Some(restored) = model.last_restore() {
            for state in model.snapshot.devices.iter().filter(|state| state.ready) {
                checked += is_told(model, state.device, restored)?;
            }
        }
        Ok(checked)
    }
}

/// One id is one message, whenever and wherever somebody sees it.
fn ids(model: &Model<'_>) -> Result<u64, Violation> {
    let mut known: BTreeMap<(UserId, MessageId), (usize, Mark)> = BTreeMap::new();
    for (at, seen, _) in model.seen() {
        let Some(mark) = seen.content.mark().filter(|_| seen.id != MessageId::default()) else {
            continue;
        };
        let (first, before) = *known.entry((seen.from, seen.id)).or_insert((at, mark));
        // A server that gives two messages the same random number has the second one named as the first was, which a restore has undone.
        let is_by_backend = |mark: &Mark| {
            model
                .messages
                .get(mark)
                .is_some_and(super::model::Spoken::is_by_backend)
        };
        let is_undone = model.restored_between(first, at) && is_by_backend(&before) && is_by_backend(&mark);
        if before != mark && !is_undone {
            let words = format!("{seen} was seen under the id {} of {before}", seen.id);
            return Err(Violation::new(NAME, words).at([first, at]));
        }
    }
    Ok(u64::from(model.last_restore().is_some()) * known.len() as u64)
}

/// A gap of entries that the store still has.
fn false_gaps(model: &Model<'_>) -> Result<u64, Violation> {
    let mut checked = 0;
    for (at, observation) in model.history.observations.iter().enumerate() {
        let What::Event(Event::Gap { log, from, to }) = &observation.what else {
            continue;
        };
        if model.restored_between(at, usize::MAX) {
            continue;
        }
        checked += 1;
        if let Some(first) = model.first_kept(log)
            && *to >= first
        {
            let words =
                format!("a gap from {from} to {to} of {log} was announced, and the store has {first} still");
            return Err(Violation::new(NAME, words).at([at]));
        }
    }
    Ok(checked)
}

/// A device that has seen what the restored store does not have is told that.
fn is_told(model: &Model<'_>, device: DeviceRef, restored: usize) -> Result<u64, Violation> {
    let observations = &model.history.observations;
    let lost: Vec<_> = model
        .seen()
        .filter(|(at, seen, viewer)| {
            *at < restored
                && *viewer == Viewer::Pushed(device)
                && matches!(observations[*at].what, What::Event(Event::Received(_)))
                && seen.sequence > 0
                && is_lost(model, &seen.log, seen.sequence, seen.id, &seen.content)
        })
        .collect();
    let own: Vec<_> = lost_own(model, device).collect();
    let checked = u64::from(!lost.is_empty()) + u64::from(!own.is_empty());
    if let Some((seen_at, seen, _)) = lost.into_iter().find(|(at, ..)| holds(model, device, *at)) {
        let words =
            format!("{device} had seen {seen}, which the restored store does not have, and was not told");
        return Err(Violation::new(NAME, words).at([seen_at, restored]));
    }
    // A cursor that an application keeps may be of before the answer.
    let is_held = |at: usize| holds(model, device, at) && !is_restarted(model, device, at);
    if let Some((at, words)) = own.into_iter().find(|(at, _)| is_held(*at)) {
        let words =
            format!("{device} was answered that {words}, which a restore has undone, and was not told");
        return Err(Violation::new(NAME, words).at([at, restored]));
    }
    Ok(checked)
}

/// What a device was answered that is stored, and the restored store does not have: when, and in words.
fn lost_own<'a>(model: &'a Model<'_>, device: DeviceRef) -> impl Iterator<Item = (usize, String)> + 'a {
    let calls = model.calls.values().filter(move |call| call.device == device);
    calls.filter_map(move |call| {
        let is_undone = |at| model.may_be_lost(Watcher::Device(device), at);
        let (at, returned) = call.returned().filter(|(at, _)| is_undone(*at))?;
        let Returned::Accepted {
            log, sequence, id, ..
        } = returned
        else {
            return None;
        };
        let first = model.first_kept(log).filter(|first| first <= sequence)?;
        let stored = model.stored(log, *sequence);
        let is_lost = stored.is_none_or(|stored| stored.seen.id != *id);
        (first > 0 && is_lost).then(|| (at, format!("{id} is {log}/{sequence}")))
    })
}

/// Whether the application of a device was started again after an observation.
fn is_restarted(model: &Model<'_>, device: DeviceRef, at: usize) -> bool {
    let since = model.history.observations.iter().skip(at + 1);
    let own = since.filter(|observation| observation.device == Some(device));
    own.into_iter()
        .any(|observation| matches!(&observation.what, What::Started(started) if !started.twin))
}

/// Whether a device holds at the end what it saw in an observation: it was not told since that what it has is void, nor did it start
/// from before that. A cursor from before it was told makes it forget that it was.
fn holds(model: &Model<'_>, device: DeviceRef, seen_at: usize) -> bool {
    let since = model.history.observations.iter().enumerate().skip(seen_at + 1);
    let own = since.filter(|(_, observation)| observation.device == Some(device));
    let mut told = None;
    for (at, observation) in own {
        match &observation.what {
            What::Event(Event::RestoredGap) => told = Some(at),
            What::Started(started) if !started.twin => match started.from {
                StartsFrom::Cursor { observations } if observations > seen_at => {
                    told = told.filter(|told| *told < observations);
                }
                _ => return false,
            },
            _ => {}
        }
    }
    told.is_none()
}

/// Whether the store has nothing, or another entry, at a place, and not because of retention or the end of the group.
fn is_lost(model: &Model<'_>, log: &Log, sequence: u64, id: MessageId, content: &Content) -> bool {
    let Some(first) = model.first_kept(log) else {
        return false;
    };
    if !matches!(content, Content::Said(_)) || sequence < first {
        return false;
    }
    model
        .stored(log, sequence)
        .is_none_or(|stored| stored.seen.id != id)
}

#[cfg(test)]
mod tests {
    use super::super::super::history::Started;
    use super::super::made_up::{MadeUp, c2c, device, passes, violates};
    use super::*;
    use crate::simulator::op::Target;

    /// A run in which user 1 has seen two messages, of which the restored store has one.
    fn restored() -> MadeUp {
        let mut run = MadeUp::new();
        for sequence in [1, 2] {
            let sent = run.send(0, Target::User(1));
            run.accept(sent, sequence);
            let seen = run.store(c2c(0, 1), sequence, 0, sent).seen.clone();
            run.receive(1, &[seen]);
            if sequence == 1 {
                run.push(None, What::BackedUp { backup: 0, change: 1 });
            }
        }
        run.snapshot.logs.get_mut(&c2c(0, 1)).unwrap().truncate(1);
        run.push(None, What::Restored { backup: 0 });
        run.push(Some(device(0)), What::Event(Event::RestoredGap));
        run
    }

    #[test]
    fn a_device_that_has_seen_what_is_lost_is_told_or_not() {
        let mut run = restored();
        violates(&Gaps, &run, "had seen");
        run.push(Some(device(1)), What::Event(Event::RestoredGap));
        assert!(passes(&Gaps, &run) > 0);
    }

    #[test]
    fn a_device_whose_own_message_is_lost_is_told_or_not() {
        let mut run = restored();
        run.push(Some(device(1)), What::Event(Event::RestoredGap));
        let sent = run.send(0, Target::User(1));
        run.accept(sent, 3);
        passes(&Gaps, &run); // no restore since
        run.push(None, What::Restored { backup: 0 });
        violates(&Gaps, &run, "was answered that");
        let mut late = run.clone();
        late.push(Some(device(0)), What::Event(Event::RestoredGap));
        let sent = late.send(0, Target::User(1));
        late.push(None, What::Restored { backup: 0 });
        late.accept(sent, 3); // on its way when the hub ended
        violates(&Gaps, &late, "was answered that");
        run.push(Some(device(0)), What::Event(Event::RestoredGap));
        assert!(passes(&Gaps, &run) > 0);
    }

    #[test]
    fn what_a_device_saw_before_it_was_told_is_void_in_later_restores() {
        let mut run = restored();
        run.push(Some(device(1)), What::Event(Event::RestoredGap));
        run.push(None, What::Restored { backup: 0 });
        assert!(passes(&Gaps, &run) > 0);
        // What it sees after that is not.
        let sent = run.send(0, Target::User(1));
        run.accept(sent, 2);
        let seen = run.store(c2c(0, 1), 2, 0, sent).seen.clone();
        run.receive(1, &[seen]);
        run.snapshot.logs.get_mut(&c2c(0, 1)).unwrap().truncate(1);
        run.push(None, What::Restored { backup: 0 });
        run.push(Some(device(0)), What::Event(Event::RestoredGap));
        violates(&Gaps, &run, "had seen");
    }

    #[test]
    fn a_device_forgets_that_it_was_told() {
        for (kept, is_told) in [(false, false), (true, true)] {
            let mut run = restored();
            let before = run.history.observations.len();
            run.push(Some(device(1)), What::Event(Event::RestoredGap));
            let observations = if kept { before + 1 } else { before };
            let from = StartsFrom::Cursor { observations };
            let started = Started {
                life: 1,
                from,
                twin: false,
            };
            run.push(Some(device(1)), What::Started(started));
            if is_told {
                passes(&Gaps, &run);
            } else {
                violates(&Gaps, &run, "had seen");
            }
        }
    }

    #[test]
    fn a_gap_of_what_is_still_there() {
        let mut run = MadeUp::new();
        let sent = run.send(0, Target::User(1));
        run.store(c2c(0, 1), 4, 0, sent);
        let log = c2c(0, 1);
        run.push(Some(device(1)), What::Event(Event::Gap { log, from: 1, to: 3 }));
        passes(&Gaps, &run);
        run.push(Some(device(1)), What::Event(Event::Gap { log, from: 1, to: 4 }));
        violates(&Gaps, &run, "the store has 4 still");
    }

    #[test]
    fn another_message_is_seen_under_an_id() {
        let mut run = restored();
        run.push(Some(device(1)), What::Event(Event::RestoredGap));
        let new = run.send(0, Target::User(1));
        let mut seen = run.store(c2c(0, 1), 2, 0, new).seen.clone();
        run.receive(1, &[seen.clone()]);
        passes(&Gaps, &run);
        seen.id = run.id_of(Mark(new.0 - 1));
        run.receive(1, &[seen]);
        violates(&Gaps, &run, "under the id");
    }
}
