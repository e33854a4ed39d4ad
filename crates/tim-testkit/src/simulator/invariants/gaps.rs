//! What is lost is announced. A device that had seen something that a restored store does not have is told, before it rests; a gap of entries
//! is one of entries that the hub has no more; and nothing new appears under an old id.

use std::collections::BTreeMap;

use tim_session::proto::{MessageId, UserId};

use super::super::history::{Content, Event, Log, Mark, StartsFrom, What};
use super::model::Viewer;
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
        matches!(profile, Profile::Restore)
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
        if before != mark {
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
    let own = |at: &usize| observations[*at].device == Some(device);
    // It is to be told if it keeps what it has seen.
    let starts_anew = (restored..observations.len())
        .filter(own)
        .any(|at| match &observations[at].what {
            What::Started(started) => !started.twin && !matches!(started.from, StartsFrom::Cursor { .. }),
            _ => false,
        });
    if starts_anew {
        return Ok(0);
    }
    let lost = model.seen().find(|(at, seen, viewer)| {
        *at < restored
            && *viewer == Viewer::Pushed(device)
            && matches!(observations[*at].what, What::Event(Event::Received(_)))
            && seen.sequence > 0
            && is_lost(model, &seen.log, seen.sequence, seen.id, &seen.content)
    });
    let Some((seen_at, seen, _)) = lost else {
        return Ok(0);
    };
    let is_told = (restored..observations.len())
        .filter(own)
        .any(|at| observations[at].what == What::Event(Event::RestoredGap));
    if is_told {
        return Ok(1);
    }
    // It may have lost the cursor since it saw that.
    let lost_cursor = (seen_at..restored)
        .filter(own)
        .any(|at| match &observations[at].what {
            What::Started(started) => match started.from {
                StartsFrom::Cursor { observations } => observations <= seen_at,
                _ => true,
            },
            _ => false,
        });
    if lost_cursor {
        return Ok(0);
    }
    let words = format!("{device} had seen {seen}, which the restored store does not have, and was not told");
    Err(Violation::new(NAME, words).at([seen_at, restored]))
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
        run
    }

    #[test]
    fn a_device_that_has_seen_what_is_lost_is_told_or_not() {
        let mut run = restored();
        violates(&Gaps, &run, "was not told");
        run.push(Some(device(1)), What::Event(Event::RestoredGap));
        assert!(passes(&Gaps, &run) > 0);
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
