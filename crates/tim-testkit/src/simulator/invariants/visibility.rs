//! Nobody sees what the visibility matrix of the hub forbids: the conversation of others, the notices of others, what was said in a group
//! before joining it, or after leaving it.

use tim_session::proto::UserId;
use tim_session::proto::message::TipOperation;

use super::super::history::{AttackSaw, Content, Event, Log, Observation, Returned, Seen, What};
use super::super::op::{Call, DeviceRef, Plan};
use super::model::{Called, Viewer};
use super::{Invariant, Model, Violation};
use crate::simulator::op::Profile;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Visibility;

const NAME: &str = "visibility";

impl Invariant for Visibility {
    fn name(&self) -> &'static str {
        NAME
    }

    fn applies_to(&self, _profile: Profile) -> bool {
        true
    }

    fn check(&self, model: &Model<'_>) -> Result<u64, Violation> {
        let mut checked = 0;
        for (at, seen, viewer) in model.seen() {
            let Some(user) = viewer.user() else { continue };
            checked += sees(model, at, seen, viewer, user)?;
        }
        for view in &model.snapshot.fresh {
            let end = model.history.observations.len();
            for seen in view.pages.values().flatten() {
                let look = Look {
                    user: view.user,
                    asked_at: end,
                    at: end,
                    on_request: true,
                    is_current: true,
                };
                checked += may_see(model, seen, look)
                    .map_err(|words| Violation::new(NAME, format!("at rest {words}")))?;
            }
        }
        Ok(checked + members(model)?)
    }
}

fn sees(model: &Model<'_>, at: usize, seen: &Seen, viewer: Viewer, user: UserId) -> Result<u64, Violation> {
    let (asked_at, on_request) = match viewer {
        Viewer::Asked(_, call) => (model.calls.get(&call).map_or(at, |call| call.begun), true),
        _ => (at, false),
    };
    let asked_at = match viewer {
        Viewer::Pushed(device) if seen.sequence == 0 => said_after(model, at, seen, device),
        _ => asked_at,
    };
    let is_current = model.is_of_this_store(viewer, at);
    let look = Look {
        user,
        asked_at,
        at,
        on_request,
        is_current,
    };
    may_see(model, seen, look).map_err(|words| Violation::new(NAME, words).at([asked_at, at]))
}

/// An observation after which something that is not stored was said that a device has got: it waits for long for a device that
/// takes little at a time. It had been said when somebody saw it, on the connection of this device; a tip then came of a call that
/// had begun.
fn said_after(model: &Model<'_>, at: usize, seen: &Seen, device: DeviceRef) -> usize {
    let observations = model.history.observations.get(..at).unwrap_or_default();
    let connects = |what: &What| match what {
        What::Event(Event::Other(name)) => name == "net Connecting",
        What::Started(_) => true,
        _ => false,
    };
    let connected = observations
        .iter()
        .rposition(|observation| observation.device == Some(device) && connects(&observation.what));
    let same = |observation: &Observation| match &observation.what {
        What::Event(Event::Received(entries)) => entries.contains(seen),
        _ => false,
    };
    let mut later = observations.iter().enumerate().skip(connected.unwrap_or(0));
    let first = later.find(|(_, observation)| same(observation));
    let first = first.map_or(at, |(first, _)| first);
    caused(model, seen, first).unwrap_or(first)
}

/// The beginning of the last call before an observation from which a tip may have come.
fn caused(model: &Model<'_>, seen: &Seen, before: usize) -> Option<usize> {
    let Log::Group(group) = seen.log else { return None };
    let Content::Tip {
        operation,
        operator,
        users,
        ..
    } = &seen.content
    else {
        return None;
    };
    let lets_in =
        |call: &Called<'_>, user: &String| UserId::new(user).is_ok_and(|user| Model::lets_in(call, user));
    let is_by_operator = |call: &Called<'_>| call.device.user_id().to_string() == *operator;
    let causes = |call: &&Called<'_>| match *operation {
        TipOperation::JOIN => users.iter().any(|user| lets_in(call, user)),
        TipOperation::QUIT => is_by_operator(call) && matches!(call.op, Call::Quit(_)),
        TipOperation::BAN_AV_CHAT_ROOM_MEMBER => is_by_operator(call) && matches!(call.op, Call::Ban(..)),
        _ => is_by_operator(call) && !matches!(call.op, Call::Join(_) | Call::Quit(_) | Call::Ban(..)),
    };
    let calls = model.group_calls(group).filter(causes);
    let begun = calls.filter(|call| call.begun < before && !call.certainly_failed());
    begun.map(|call| call.begun).max()
}

/// Who sees an entry, and how.
#[derive(Clone, Copy)]
struct Look {
    user: UserId,
    /// The observation in which it was asked for, and that in which it was seen.
    asked_at: usize,
    at: usize,
    on_request: bool,
    /// What is seen is of the store as it is since the last restore.
    is_current: bool,
}

/// Checks that a user may see an entry.
fn may_see(model: &Model<'_>, seen: &Seen, look: Look) -> Result<u64, String> {
    let Look {
        user,
        asked_at,
        at,
        on_request,
        is_current,
    } = look;
    if seen.content == Content::Gone && !on_request {
        return Ok(0); // a revocation, which is visible, names a message that need not be
    }
    let group = match seen.log {
        Log::C2c(one, other) if user == one || user == other => return Ok(1),
        Log::System(owner) if user == owner => return Ok(1),
        Log::C2c(..) | Log::System(_) => return Err(format!("{user} sees {seen}")),
        Log::Group(group) => group,
    };
    if seen.sequence == 0 {
        // Not stored: only those who were in the group when it was said, or have come since.
        let said_at = model.message_of(seen).map_or(asked_at, |message| message.begun);
        return if model.may_be_in(group, user, said_at, at) {
            Ok(1)
        } else {
            Err(format!("{user}, who is not in the group, sees {seen}"))
        };
    }
    if !model.may_be_in(group, user, 0, at) {
        return Err(format!("{user}, who was never in the group, sees {seen}"));
    }
    // After a restore the tips of the time before it are not all known.
    if !is_current || model.last_restore().is_some_and(|restored| asked_at < restored) {
        return Ok(1);
    }
    let Some(periods) = model.periods(group, user) else {
        return Ok(1);
    };
    let is_in = periods.iter().find(|period| period.contains(seen.sequence));
    let Some(period) = is_in else {
        return Err(format!(
            "{user} sees {seen} and was a member for {}",
            words(periods)
        ));
    };
    // Whoever has left since, and asks afterwards, sees nothing of that time any more.
    let has_left = period.through != u64::MAX && model.had_reached(&seen.log, period.through, asked_at);
    if on_request && has_left {
        return Err(format!(
            "{user}, who had left the group before asking, sees {seen} ({})",
            words(periods)
        ));
    }
    Ok(1)
}

fn words(periods: &[super::model::Period]) -> String {
    let words = periods.iter().map(|period| match period.through {
        u64::MAX => format!("after {}", period.after),
        through => format!("{} to {through}", period.after + 1),
    });
    let words: Vec<_> = words.collect();
    if words.is_empty() {
        "no time".to_owned()
    } else {
        words.join(", ")
    }
}

/// Only members see who is in a group.
fn members(model: &Model<'_>) -> Result<u64, Violation> {
    let mut checked = 0;
    for (at, observation) in model.history.observations.iter().enumerate() {
        let (group, user, asked_at) = match (&observation.what, observation.device) {
            (
                What::Resolved {
                    call,
                    result: Ok(Returned::Members { group, .. }),
                },
                Some(device),
            ) => {
                let begun = model.calls.get(call).map_or(at, |call| call.begun);
                (*group, device.user_id(), begun)
            }
            (
                What::AttackSaw {
                    hostile,
                    saw: AttackSaw::Members(group, _),
                },
                _,
            ) => (*group, Plan::hostile_user(*hostile), at),
            _ => continue,
        };
        checked += 1;
        if !model.may_be_in(group, user, asked_at, at) {
            let words = format!("{user}, who is not in {group}, sees its members");
            return Err(Violation::new(NAME, words).at([asked_at, at]));
        }
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{MadeUp, c2c, passes, violates};
    use super::*;
    use crate::simulator::history::AttackSaw;
    use crate::simulator::op::Target;

    fn page(run: &mut MadeUp, user: u8, entries: Vec<Seen>) {
        let log = entries[0].log;
        let of = Target::Group(0);
        let call = run.call(
            user,
            Call::Page {
                of,
                count: 15,
                pages: 1,
            },
        );
        run.returns(
            call,
            Returned::Page {
                log,
                entries,
                completed: true,
            },
        );
    }

    /// A group of user 0, in which something was said before user 1 joined, and something afterwards.
    fn joined() -> (MadeUp, [Seen; 2]) {
        let mut run = MadeUp::new();
        run.create(0, &[2]);
        let before = run.say(0, 2);
        run.join(1, 3);
        let after = run.say(0, 4);
        (run, [before, after])
    }

    #[test]
    fn a_member_sees_what_came_after_joining() {
        let (mut run, [before, after]) = joined();
        page(&mut run, 1, vec![after]);
        assert!(passes(&Visibility, &run) > 0);
        page(&mut run, 1, vec![before]);
        violates(&Visibility, &run, "was a member for after 2");
    }

    #[test]
    fn who_has_left_sees_nothing_of_that_time_when_asking() {
        let (mut run, [_, after]) = joined();
        run.quit(1, 5);
        let mut late = run.clone();
        late.receive(1, std::slice::from_ref(&after)); // it was on its way
        passes(&Visibility, &late);
        run.say(0, 6);
        page(&mut run, 1, vec![after]);
        violates(&Visibility, &run, "had left the group before asking");
    }

    #[test]
    fn a_stranger_sees_a_group_or_a_conversation() {
        let (mut run, [before, _]) = joined();
        let sent = run.send(0, Target::User(1));
        let secret = run.store(c2c(0, 1), 1, 0, sent).seen.clone();
        let mut other = run.clone();
        other.receive(2, std::slice::from_ref(&secret));
        violates(&Visibility, &other, "user-2 sees");
        let saw = AttackSaw::Entries(vec![before]);
        run.push(None, What::AttackSaw { hostile: 0, saw });
        violates(&Visibility, &run, "was never in the group");
        run.receive(1, &[secret]);
    }

    #[test]
    fn who_was_removed_gets_what_is_not_stored() {
        let (mut run, [_, mut live]) = joined();
        live.sequence = 0;
        live.online_only = true;
        let mut good = run.clone();
        good.receive(1, &[live.clone()]);
        passes(&Visibility, &good);
        run.quit(1, 5);
        let sent = run.send(0, Target::Group(0));
        let mut later = run.seen_of(sent, 0);
        later.online_only = true;
        run.receive(1, &[later]);
        violates(&Visibility, &run, "who is not in the group");
    }

    #[test]
    fn a_tip_of_what_was_asked_for_before_somebody_left() {
        let mut run = MadeUp::new();
        run.create(0, &[1]);
        let call = run.call(2, Call::Join(0));
        run.quit(1, 5);
        let mut late = run.clone();
        let join = |run: &mut MadeUp, call| {
            run.returns(call, Returned::Joined(1));
            let mark = run.send(0, Target::Group(0));
            let content = Content::Tip {
                operation: TipOperation::JOIN,
                operator: "user-2".to_owned(),
                users: vec!["user-2".to_owned()],
                members: 3,
            };
            let tip = Seen {
                content,
                from: UserId::SYSTEM,
                ..run.seen_of(mark, 0)
            };
            run.receive(1, &[tip]);
        };
        join(&mut late, call);
        passes(&Visibility, &late);
        // Who joins after that is no concern of the user's.
        run.returns(call, Returned::Joined(1));
        let call = run.call(2, Call::Join(0));
        join(&mut run, call);
        violates(&Visibility, &run, "who is not in the group");
    }

    #[test]
    fn of_what_is_not_complete_the_time_is_known_as_well() {
        let (mut run, _) = joined();
        let sent = run.send(0, Target::Group(0));
        let mut stub = run.seen_of(sent, 0);
        stub.online_only = true;
        stub.content = Content::Stub;
        run.quit(1, 5);
        run.pass(2_000);
        let mut of_others = run.clone();
        run.receive(1, &[stub.clone()]);
        passes(&Visibility, &run);
        stub.id.random += 1;
        of_others.receive(1, &[stub]);
        violates(&Visibility, &of_others, "who is not in the group");
    }

    #[test]
    fn what_was_on_its_way_before_a_restore_is_of_another_store() {
        let mut run = MadeUp::new();
        run.create(0, &[1, 2]);
        run.push(None, What::BackedUp { backup: 0, change: 1 });
        let mut restored = run.clone();
        restored.push(None, What::Restored { backup: 0 });
        run.quit(1, 2); // which the restored store does not have
        let log = Log::Group(Plan::group(0));
        let [join, quit] = [0, 1].map(|index| run.snapshot.logs[&log][index].seen.clone());
        let told = |run: &mut MadeUp, user| {
            let device = DeviceRef { user, device: 0 };
            run.push(Some(device), What::Event(Event::RestoredGap));
        };
        restored.receive(2, std::slice::from_ref(&quit));
        told(&mut restored, 1);
        page(&mut restored, 1, vec![join.clone()]);
        passes(&Visibility, &restored);
        // Who has been told of the restore sees the store as it is.
        told(&mut restored, 2);
        restored.receive(2, &[quit]);
        page(&mut restored, 1, vec![join]);
        violates(&Visibility, &restored, "had left the group before asking");
    }

    #[test]
    fn what_is_not_stored_waits_for_a_device_that_reads_slowly() {
        let (mut run, [_, mut tip]) = joined();
        tip.sequence = 0;
        tip.content = Content::Tip {
            operation: TipOperation::JOIN,
            operator: "user-7".to_owned(),
            users: vec!["user-7".to_owned()],
            members: 3,
        };
        let mut late = run.clone();
        late.receive(0, &[tip.clone()]);
        for run in [&mut late, &mut run] {
            run.quit(1, 5);
        }
        let mut again = late.clone();
        late.receive(1, &[tip.clone()]);
        passes(&Visibility, &late);
        // Nobody else has got it: it was said just now.
        run.receive(1, &[tip.clone()]);
        violates(&Visibility, &run, "who is not in the group");
        // On a new connection nothing waits.
        let device = DeviceRef { user: 1, device: 0 };
        again.push(
            Some(device),
            What::Event(Event::Other("net Connecting".to_owned())),
        );
        again.receive(1, &[tip]);
        violates(&Visibility, &again, "who is not in the group");
    }

    #[test]
    fn a_stranger_sees_the_members() {
        let (mut run, _) = joined();
        let group = Plan::group(0);
        let call = run.call(1, Call::Members(0));
        run.returns(
            call,
            Returned::Members {
                group,
                members: Vec::new(),
            },
        );
        passes(&Visibility, &run);
        run.quit(1, 5);
        let call = run.call(1, Call::Members(0));
        run.returns(
            call,
            Returned::Members {
                group,
                members: Vec::new(),
            },
        );
        violates(&Visibility, &run, "sees its members");
    }
}
