//! A read mark never goes back: not in the lists that an application is shown one after another, and not in what it asks for, once anybody
//! of the user has been told of the mark.
//!
//! At rest most numbers are right again, because the hub's list has corrected them meanwhile. This looks at every one that was shown.

use std::collections::BTreeMap;

use tim_session::proto::UserId;

use super::super::history::{Event, ListEntry, Log, Returned, What};
use super::super::op::DeviceRef;
use super::model::Called;
use super::{Invariant, Model, Violation};
use crate::simulator::op::Profile;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct MarksForward;

const NAME: &str = "marks-forward";

impl Invariant for MarksForward {
    fn name(&self) -> &'static str {
        NAME
    }

    fn applies_to(&self, _profile: Profile) -> bool {
        true
    }

    fn check(&self, model: &Model<'_>) -> Result<u64, Violation> {
        Ok(published(model)? + asked_for(model)?)
    }
}

/// The lists that a device publishes, in their order.
fn published(model: &Model<'_>) -> Result<u64, Violation> {
    let mut checked = 0;
    let mut shown: BTreeMap<(DeviceRef, Log), (usize, u64)> = BTreeMap::new();
    for (at, observation) in model.history.observations.iter().enumerate() {
        match (&observation.what, observation.device) {
            (What::Restored { .. }, _) => shown.clear(),
            // An application that was started again knows nothing of what it was shown before.
            (What::Started(started), Some(device)) if !started.twin => {
                shown.retain(|(shown, _), _| *shown != device);
            }
            // Until it is told of a restore, a device keeps what it had, and then it begins anew.
            (What::Event(Event::RestoredGap), Some(device)) => shown.retain(|(shown, _), _| *shown != device),
            (What::Event(Event::List(entries)), Some(device)) => {
                for entry in entries {
                    checked += 1;
                    let before = shown.insert((device, entry.log), (at, entry.read_sequence));
                    if let Some((before, mark)) = before.filter(|(_, mark)| *mark > entry.read_sequence) {
                        let words = format!("{device} has shown {mark}");
                        return Err(goes_back(&words, entry).at([before, at]));
                    }
                }
            }
            _ => {}
        }
    }
    Ok(checked)
}

/// What a device asks for is no older than what anybody of the user was told before it asked.
fn asked_for(model: &Model<'_>) -> Result<u64, Violation> {
    let mut checked = 0;
    let mut told = Told::default();
    let mut ended: Vec<(usize, &Called<'_>, &Returned)> = Vec::new();
    for call in model.calls.values() {
        ended.extend(call.returned().map(|(at, returned)| (at, call, returned)));
    }
    ended.sort_unstable_by_key(|(at, ..)| *at);
    for (at, call, returned) in ended {
        let user = call.device.user_id();
        match returned {
            Returned::Read {
                log,
                read_sequence: Some(mark),
                ..
            } => told.note(user, *log, at, *mark),
            Returned::List { entries, .. } => {
                for entry in entries {
                    let before = told.before(user, entry.log, call.begun);
                    // What a restore has undone meanwhile is lost.
                    let before = before.filter(|(before, _)| !model.restored_between(*before, at));
                    checked += u64::from(before.is_some());
                    if let Some((before, mark)) = before.filter(|(_, mark)| *mark > entry.read_sequence) {
                        let words = format!("{} was told {mark}, and asks", call.device.user_id());
                        return Err(goes_back(&words, entry).at([before, call.begun, at]));
                    }
                    told.note(user, entry.log, at, entry.read_sequence);
                }
            }
            _ => {}
        }
    }
    Ok(checked)
}

fn goes_back(words: &str, entry: &ListEntry) -> Violation {
    let words = format!(
        "{words} for the read mark of {}, and then it is {}",
        entry.log, entry.read_sequence
    );
    Violation::new(NAME, words)
}

/// The marks that a user was told of, and in which observation, in their order.
#[derive(Default)]
struct Told(BTreeMap<(UserId, Log), Vec<(usize, u64)>>);

impl Told {
    fn note(&mut self, user: UserId, log: Log, at: usize, mark: u64) {
        self.0.entry((user, log)).or_default().push((at, mark));
    }

    /// The highest before an observation.
    fn before(&self, user: UserId, log: Log, observation: usize) -> Option<(usize, u64)> {
        let told = self.0.get(&(user, log))?.iter();
        let before = told.take_while(|(at, _)| *at < observation);
        before.copied().max_by_key(|(_, mark)| *mark)
    }
}

#[cfg(test)]
mod tests {
    use tim_session::proto::ReceiveOption;

    use super::super::made_up::{MadeUp, c2c, device, passes, violates};
    use super::*;
    use crate::simulator::op::{Call, Target};

    fn entry(read_sequence: u64) -> ListEntry {
        ListEntry {
            log: c2c(0, 1),
            unread: 0,
            read_sequence,
            last_sequence: 9,
            last: None,
            receive_option: ReceiveOption::ACCEPT_AND_NOTIFY,
            name: String::new(),
            at: Vec::new(),
        }
    }

    fn list(run: &mut MadeUp, mark: u64) {
        run.push(Some(device(1)), What::Event(Event::List(vec![entry(mark)])));
    }

    fn listed(mark: u64) -> Returned {
        Returned::List {
            entries: vec![entry(mark)],
            truncated: false,
        }
    }

    #[test]
    fn a_list_that_shows_an_older_mark() {
        let mut run = MadeUp::new();
        [1, 1, 4].into_iter().for_each(|mark| list(&mut run, mark));
        assert_eq!(passes(&MarksForward, &run), 3);
        let mut restored = run.clone();
        restored.push(None, What::Restored { backup: 0 });
        list(&mut restored, 3);
        passes(&MarksForward, &restored);
        list(&mut run, 3);
        violates(&MarksForward, &run, "user-1.0 has shown 4");
    }

    #[test]
    fn what_is_asked_for_after_a_mark_was_told_is_no_older() {
        let mut run = MadeUp::new();
        let asks_before = run.call(1, Call::List);
        let reads = run.call(1, Call::Read(Target::User(0)));
        let read = Returned::Read {
            log: c2c(0, 1),
            read_sequence: Some(5),
            unread: Some(0),
        };
        run.returns(reads, read);
        run.returns(asks_before, listed(3));
        passes(&MarksForward, &run);
        let asks = run.call(1, Call::List);
        let mut right = run.clone();
        right.returns(asks, listed(5));
        assert_eq!(passes(&MarksForward, &right), 1);
        run.returns(asks, listed(4));
        violates(&MarksForward, &run, "was told 5");
    }
}
