//! Nobody gets the file of a message who cannot read the message: no stranger, nobody who has left or came later, and nobody at all
//! once it is revoked. Hostile users get nothing of anybody's.

use std::collections::BTreeMap;

use super::super::history::{AttackSaw, FileSaw, Log, Mark, Returned, What};
use super::model::{Called, Viewer, Watcher};
use super::{Invariant, Model, Violation};
use crate::simulator::op::Profile;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct FileAccess;

const NAME: &str = "file-access";

impl Invariant for FileAccess {
    fn name(&self) -> &'static str {
        NAME
    }

    fn applies_to(&self, profile: Profile) -> bool {
        profile == Profile::Files
    }

    fn check(&self, model: &Model<'_>) -> Result<u64, Violation> {
        let revoked = revoked(model);
        let mut checked = 0;
        for (number, call) in &model.calls {
            let Some((at, Returned::Downloaded(downloaded))) = call.returned() else {
                continue;
            };
            checked += 1;
            let place = (downloaded.log, downloaded.sequence);
            if let Some(why) = not_allowed(model, *number, call, place, at) {
                let words = format!(
                    "{} has downloaded the file of {}/{}, {why}",
                    call.device, place.0, place.1
                );
                return Err(Violation::new(NAME, words).at([call.begun, at]));
            }
            let taken_back = revoked.get(&(downloaded.log, downloaded.sequence, downloaded.mark));
            if let Some(since) = taken_back.filter(|since| **since < call.begun) {
                let words = format!(
                    "{} has downloaded the file of {}/{}, which was revoked before",
                    call.device, place.0, place.1
                );
                return Err(Violation::new(NAME, words).at([*since, call.begun, at]));
            }
        }
        Ok(checked + hostile(model)?)
    }
}

/// What was certainly revoked for good, and when that was known first.
fn revoked(model: &Model<'_>) -> BTreeMap<(Log, u64, Option<Mark>), usize> {
    let mut revoked = BTreeMap::new();
    for call in model.calls.values() {
        let Some((at, Returned::Revoked { log, sequence, mark })) = call.returned() else {
            continue;
        };
        if mark.is_some() && !model.may_be_lost(Watcher::Device(call.device), at) {
            let first = revoked.entry((*log, *sequence, *mark)).or_insert(at);
            *first = at.min(*first);
        }
    }
    revoked
}

/// Why the caller may not read what is at this place.
fn not_allowed(
    model: &Model<'_>,
    number: u32,
    call: &Called<'_>,
    (log, sequence): (Log, u64),
    at: usize,
) -> Option<&'static str> {
    let user = call.device.user_id();
    if log.seen_by(&user).is_none() {
        return Some("which is between others");
    }
    let Log::Group(group) = log else {
        return None;
    };
    if !model.may_be_in(group, user, call.begun, at) {
        return Some("and is not in the group");
    }
    if !model.is_of_this_store(Viewer::Asked(call.device, number), at) {
        return None;
    }
    let periods = model.periods(group, user)?;
    let was_in = periods.iter().any(|period| period.contains(sequence));
    (!was_in).then_some("and was not in the group when it was sent")
}

/// Hostile users get nothing of what others have uploaded, and what they do wrong with their own uploads is refused.
fn hostile(model: &Model<'_>) -> Result<u64, Violation> {
    let mut asked = BTreeMap::new();
    let mut checked = 0;
    for (at, observation) in model.history.observations.iter().enumerate() {
        match &observation.what {
            What::AttackAsked {
                hostile,
                request,
                ask,
            } => drop(asked.insert((*hostile, *request), (at, *ask))),
            What::AttackSaw {
                hostile,
                saw: AttackSaw::File(request, saw),
            } => {
                let Some((since, ask)) = asked.get(&(*hostile, *request)) else {
                    continue;
                };
                checked += 1;
                let is_fine = match saw {
                    FileSaw::Refused => true,
                    FileSaw::Granted => ask.may_be_granted(),
                };
                if !is_fine {
                    let words = format!("rogue-{hostile} was granted {ask:?}");
                    return Err(Violation::new(NAME, words).at([*since, at]));
                }
            }
            _ => {}
        }
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{MadeUp, device, passes, violates};
    use super::*;
    use crate::simulator::history::FileAsk;
    use crate::simulator::op::{Call, Target, Which};

    #[test]
    fn who_may_read_it_and_nobody_once_it_is_revoked() {
        let (mut run, mark) = MadeUp::with_file();
        let downloaded = run.downloaded(mark, 0);
        run.download(1, downloaded);
        assert_eq!(passes(&FileAccess, &run), 1);
        let mut stranger = run.clone();
        stranger.download(2, downloaded);
        violates(&FileAccess, &stranger, "which is between others");
        let message = run.message_of(mark);
        let call = run.call_about(0, Call::Revoke(Which::Own(0)), Some(message));
        let (log, sequence) = (downloaded.log, downloaded.sequence);
        let mut late = run.clone();
        run.returns(
            call,
            Returned::Revoked {
                log,
                sequence,
                mark: Some(mark),
            },
        );
        // Of a call that was under way it is not known which came first.
        late.download(1, downloaded);
        passes(&FileAccess, &late);
        run.download(0, downloaded);
        violates(&FileAccess, &run, "which was revoked before");
        let mut restored = run;
        restored.push(None, What::Restored { backup: 0 });
        passes(&FileAccess, &restored);
    }

    #[test]
    fn who_is_not_in_the_group_or_came_later() {
        let mut run = MadeUp::new();
        run.create(0, &[1]);
        let said = run.say(0, 2);
        let mark = said.content.mark().unwrap();
        let downloaded = run.downloaded(mark, 0);
        run.download(1, downloaded);
        assert_eq!(passes(&FileAccess, &run), 1);
        let mut stranger = run.clone();
        stranger.download(2, downloaded);
        violates(&FileAccess, &stranger, "is not in the group");
        run.join(2, 3);
        let mut late = run.clone();
        late.download(2, downloaded);
        violates(&FileAccess, &late, "was not in the group when");
        run.quit(1, 4);
        run.download(1, downloaded);
        violates(&FileAccess, &run, "is not in the group");
    }

    #[test]
    fn a_hostile_user_is_granted_something() {
        for (ask, is_fine) in [
            (FileAsk::Content(Target::Group(0)), false),
            (FileAsk::Name, false),
            (FileAsk::Foreign, false),
            (FileAsk::Wrong(1), false),
            (FileAsk::Own, true),
        ] {
            let mut run = MadeUp::new();
            let asked = What::AttackAsked {
                hostile: 0,
                request: 7,
                ask,
            };
            run.push(None, asked);
            for (saw, holds) in [(FileSaw::Refused, true), (FileSaw::Granted, is_fine)] {
                let mut run = run.clone();
                let saw = AttackSaw::File(7, saw);
                run.push(Some(device(0)), What::AttackSaw { hostile: 0, saw });
                match holds {
                    true => assert_eq!(passes(&FileAccess, &run), 1),
                    false => violates(&FileAccess, &run, "was granted"),
                }
            }
        }
    }
}
