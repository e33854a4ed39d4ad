//! What was revoked is nowhere any more: not in the store, not in its files, in no page, and on no device but its sender's. And the content
//! of nothing else is gone.

use std::collections::{BTreeMap, BTreeSet};

use tim_session::proto::{GroupId, MessageId, UserId};

use super::super::history::{
    Content, DeviceState, Event, Log, Mark, Observation, Returned, Seen, Stored, What,
};
use super::super::op::{Call, DeviceKind, DeviceRef, Plan, Rest};
use super::model::{Viewer, Watcher};
use super::{Invariant, Model, Violation};
use crate::simulator::op::Profile;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Revoked;

const NAME: &str = "revoked";

impl Invariant for Revoked {
    fn name(&self) -> &'static str {
        NAME
    }

    fn applies_to(&self, _profile: Profile) -> bool {
        true
    }

    fn check(&self, model: &Model<'_>) -> Result<u64, Violation> {
        let mut checked = 0;
        let mut revoked: BTreeMap<(Log, u64), usize> = BTreeMap::new();
        for call in model.calls.values() {
            if let Some((at, Returned::Revoked { log, sequence, mark })) = call.returned()
                && !model.may_be_lost(Watcher::Device(call.device), at)
            {
                checked += 1;
                is_removed(model, at, log, *sequence, *mark)?;
                let first = revoked.entry((*log, *sequence)).or_insert(at);
                *first = (*first).min(at);
            }
        }
        checked += pages(model, &revoked)? + pushed(model, &revoked)?;
        checked += at_rest(model)?;
        Ok(checked + unasked(model)?)
    }
}

/// The store has only the place of it.
fn is_removed(
    model: &Model<'_>,
    at: usize,
    log: &Log,
    sequence: u64,
    mark: Option<Mark>,
) -> Result<(), Violation> {
    if let Some(stored) = model.stored(log, sequence)
        && (!stored.seen.revoked || stored.seen.content != Content::Gone)
    {
        let words = format!("{log}/{sequence} was revoked, and the store has {}", stored.seen);
        return Err(Violation::new(NAME, words).at([at]));
    }
    // It is in the write-ahead log until retention has run next, once more if something reads just then.
    let wiped_ms = 2 * model.history.plan.settings.purge_interval_ms + 1_000;
    let is_wiped = model.at_ms(at) + wiped_ms < model.snapshot.at_ms;
    let Some(mark) = mark.filter(|_| is_wiped) else {
        return Ok(());
    };
    // Sent once more when the hub no longer knew its id, it is another message, which nobody has revoked.
    let entries = || model.snapshot.logs.values().flatten();
    let is_stored_again = entries().any(|stored| stored.seen.content.mark() == Some(mark));
    if model.snapshot.marks_in_files.contains(&mark) && !is_stored_again {
        let words = format!("{mark} was revoked, and is in the files of the store");
        return Err(Violation::new(NAME, words).at([at]));
    }
    Ok(())
}

/// Whoever asks after it was revoked does not get the content.
fn pages(model: &Model<'_>, revoked: &BTreeMap<(Log, u64), usize>) -> Result<u64, Violation> {
    let mut checked = 0;
    for (at, seen, viewer) in model.seen() {
        let Some(since) = revoked.get(&(seen.log, seen.sequence)) else {
            continue;
        };
        let Viewer::Asked(device, call) = viewer else {
            continue;
        };
        let Some(call) = model.calls.get(&call).filter(|call| call.begun > *since) else {
            continue;
        };
        // A list has instances that the device holds; an own one keeps its content.
        if seen.from == device.user_id() || !matches!(call.op, Call::Page { .. }) {
            continue;
        }
        checked += 1;
        if matches!(seen.content, Content::Said(_)) {
            let words = format!("{device} asked for {seen}, which was revoked before");
            return Err(Violation::new(NAME, words).at([*since, call.begun, at]));
        }
    }
    Ok(checked)
}

/// Whoever gets it after it was revoked does not get the content, but for what was on its way from the hub by then.
fn pushed(model: &Model<'_>, revoked: &BTreeMap<(Log, u64), usize>) -> Result<u64, Violation> {
    let mut checked = 0;
    if model.last_restore().is_some() {
        return Ok(0);
    }
    for (at, seen, viewer) in model.seen() {
        let (Some(since), Viewer::Pushed(device)) = (revoked.get(&(seen.log, seen.sequence)), viewer) else {
            continue;
        };
        let is_delivery = matches!(
            model.history.observations[at].what,
            What::Event(Event::Received(_))
        );
        let Some(travel_ms) = model.travel_ms(device).filter(|_| is_delivery && at > *since) else {
            continue;
        };
        checked += 1;
        // An instance of an own message that the device held before keeps its content, and says that it is revoked.
        let keeps = seen.revoked && seen.from == device.user_id();
        let is_late =
            model.at_ms(at) > model.at_ms(*since) + travel_ms && !was_cut_off(model, device, *since, at);
        if matches!(seen.content, Content::Said(_)) && is_late && !keeps {
            let words = format!("{device} got {seen}, which was revoked before");
            return Err(Violation::new(NAME, words).at([*since, at]));
        }
    }
    Ok(checked)
}

/// Whether a device had no connection from before one observation up to another. What it hands over then had come before: it waited
/// behind a revocation whose message the device was looking up.
fn was_cut_off(model: &Model<'_>, device: DeviceRef, since: usize, at: usize) -> bool {
    let connection = |what: &What| match what {
        What::Event(Event::Other(name)) => match name.as_str() {
            "net Connected" => Some(true),
            "net Connecting" | "net Disconnected" => Some(false),
            _ => None,
        },
        What::Started(_) => Some(true),
        _ => None,
    };
    let changes = |observations: &[Observation]| -> Vec<bool> {
        let own = observations.iter().filter(|one| one.device == Some(device));
        own.filter_map(|one| connection(&one.what)).collect()
    };
    let observations = &model.history.observations;
    let before = changes(observations.get(..since).unwrap_or_default());
    let meanwhile = changes(observations.get(since..at).unwrap_or_default());
    before.last() == Some(&false) && !meanwhile.contains(&true)
}

/// At rest no device shows what is revoked in the store, and none as revoked what is not.
fn at_rest(model: &Model<'_>) -> Result<u64, Violation> {
    let mut checked = 0;
    let current = |seen: &Seen| -> Option<&Stored> {
        let stored = model.stored(&seen.log, seen.sequence)?;
        (stored.seen.id == seen.id).then_some(stored)
    };
    // What firmware keeps in its memory is its own affair.
    let on_sdk = |state: &&DeviceState| state.ready && model.kind(state.device) == Some(DeviceKind::Sdk);
    for state in model.snapshot.devices.iter().filter(on_sdk) {
        for seen in &state.held {
            let Some(stored) = current(seen) else { continue };
            checked += u64::from(stored.seen.revoked);
            if let Log::Group(group) = seen.log
                && !is_told(model, group, state.device.user_id(), seen)
            {
                continue;
            }
            // An instance that was restored from what was kept before it was sent knows nothing of the revocation.
            let is_own = seen.from == state.device.user_id();
            if is_own && model.was_kept(seen.content.mark()) {
                continue;
            }
            // A restore may have undone the revocation, which the device has seen.
            let is_undone = seen.revoked && model.last_restore().is_some();
            if seen.revoked != stored.seen.revoked && !is_undone {
                let words = format!(
                    "{} holds {seen}, and in the store there is {}",
                    state.device, stored.seen
                );
                return Err(Violation::new(NAME, words));
            }
            if seen.revoked && !is_own && matches!(seen.content, Content::Said(_)) {
                let words = format!("{} still has the content of {seen}", state.device);
                return Err(Violation::new(NAME, words));
            }
        }
    }
    for view in &model.snapshot.fresh {
        for seen in view.pages.values().flatten() {
            if let Some(stored) = current(seen)
                && stored.seen.revoked
            {
                checked += 1;
                if matches!(seen.content, Content::Said(_)) {
                    let words = format!("a new device of {} sees the content of {seen}", view.user);
                    return Err(Violation::new(NAME, words));
                }
            }
        }
    }
    Ok(checked)
}

/// Whether a user is told of the revocation of an entry of a group: by the entry that says so, which members see that had joined
/// before it. Nobody tells those who have left, also not when they come back.
fn is_told(model: &Model<'_>, group: GroupId, user: UserId, revoked: &Seen) -> bool {
    let members = model.snapshot.groups.get(&group).map(|group| &group.members);
    if !members.is_some_and(|members| members.contains_key(&user)) {
        return false;
    }
    // Who was away until the group was dismissed is not told, and a restore begins behind it.
    if model.last_restore().is_some() && model.may_be_dismissed(&group) {
        return false;
    }
    let content = Content::Revocation {
        sequence: revoked.sequence,
    };
    let entries = model.snapshot.logs.get(&revoked.log).into_iter().flatten();
    let says_so = entries
        .map(|stored| &stored.seen)
        .find(|seen| seen.content == content);
    match (says_so, model.joined_behind(group, user)) {
        (Some(says_so), Some(joined)) => says_so.sequence > joined,
        _ => true,
    }
}

/// Only what somebody has tried to revoke is revoked.
fn unasked(model: &Model<'_>) -> Result<u64, Violation> {
    let tries = || {
        let calls = model.calls.values();
        let revokes = |op: &Call| {
            matches!(
                op,
                Call::Revoke(_) | Call::Rest(Rest::Withdraw(_) | Rest::Recall(_))
            )
        };
        calls.filter(move |call| revokes(call.op) && !call.certainly_failed())
    };
    let ids: BTreeSet<MessageId> = tries().filter_map(|call| Some(call.message?.id)).collect();
    let mut places: BTreeSet<(Log, u64)> = tries()
        .filter_map(|call| match call.returned() {
            Some((_, Returned::Revoked { log, sequence, .. })) => Some((*log, *sequence)),
            _ => None,
        })
        .collect();
    // An application's server names places, also if it does not know what became of it.
    let by_backend = tries().filter(|call| call.device.is_backend());
    let named = by_backend.filter_map(|call| model.messages.get(&call.message?.said.mark?));
    for message in named {
        let accepted = message.accepted.iter();
        places.extend(accepted.map(|accepted| (accepted.log, accepted.sequence)));
    }
    // Of these it is not known what they were about.
    let any = tries().any(|call| call.message.is_none() && call.returned().is_none());
    let mut checked = 0;
    for stored in model.snapshot.logs.values().flatten().filter(|_| !any) {
        let seen = &stored.seen;
        let by_hostile =
            (0..model.history.plan.population.hostile).any(|number| seen.from == Plan::hostile_user(number));
        if (!seen.revoked && seen.content != Content::Gone) || by_hostile {
            continue;
        }
        checked += 1;
        if !ids.contains(&seen.id) && !places.contains(&(seen.log, seen.sequence)) {
            return Err(Violation::new(
                NAME,
                format!("nobody who may has revoked {seen} ({})", seen.id),
            ));
        }
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{MadeUp, c2c, device, passes, violates};
    use super::*;
    use crate::simulator::op::{LinkFault, Target, Which};

    /// A message of user 0 to user 1 that was revoked, and what it was before.
    fn revoked() -> (MadeUp, Mark, Seen) {
        revoked_after(|_| ())
    }

    /// The same, with something that happened before it was revoked.
    fn revoked_after(happens: impl FnOnce(&mut MadeUp)) -> (MadeUp, Mark, Seen) {
        let mut run = MadeUp::new();
        let sent = run.send(0, Target::User(1));
        run.accept(sent, 1);
        let seen = run.store(c2c(0, 1), 1, 0, sent).seen.clone();
        run.receive(1, std::slice::from_ref(&seen));
        happens(&mut run);
        let message = run.message_of(sent);
        let call = run.call_about(0, Call::Revoke(Which::Own(0)), Some(message));
        let (log, sequence) = (c2c(0, 1), 1);
        run.returns(
            call,
            Returned::Revoked {
                log,
                sequence,
                mark: Some(sent),
            },
        );
        run.revoke(log, 1);
        (run, sent, seen)
    }

    #[test]
    fn a_revoked_message_of_which_only_the_place_is_left() {
        let (run, ..) = revoked();
        assert!(passes(&Revoked, &run) >= 2);
    }

    #[test]
    fn the_store_its_files_or_a_page_have_it_still() {
        let (run, mark, seen) = revoked();
        let mut stored = run.clone();
        stored.snapshot.logs.get_mut(&c2c(0, 1)).unwrap()[0].seen = seen.clone();
        violates(&Revoked, &stored, "the store has");
        let mut files = run.clone();
        files.snapshot.marks_in_files.push(mark);
        passes(&Revoked, &files);
        files.pass(200_000);
        violates(&Revoked, &files, "in the files");
        files.store(c2c(0, 1), 2, 0, mark);
        passes(&Revoked, &files);
        let mut paged = run.clone();
        let call = paged.call(
            1,
            Call::Page {
                of: Target::User(0),
                count: 1,
                pages: 1,
            },
        );
        let (log, entries) = (c2c(0, 1), vec![seen]);
        paged.returns(
            call,
            Returned::Page {
                log,
                entries,
                completed: true,
            },
        );
        violates(&Revoked, &paged, "which was revoked before");
    }

    #[test]
    fn a_device_holds_it_still() {
        let (mut run, _, seen) = revoked();
        run.hold(1, seen.clone());
        violates(&Revoked, &run, "holds");
        let mut flagged = seen;
        flagged.revoked = true;
        run.hold(1, flagged.clone());
        violates(&Revoked, &run, "still has the content");
        flagged.content = Content::Gone;
        run.hold(1, flagged);
        passes(&Revoked, &run);
    }

    #[test]
    fn who_was_out_of_the_group_when_it_was_revoked_is_not_told() {
        let mut run = MadeUp::new();
        run.create(0, &[1, 2]);
        let said = run.say(0, 2);
        run.quit(1, 3);
        run.say_revoked(0, 2, 4);
        run.join(1, 5);
        run.hold(1, said.clone());
        assert!(passes(&Revoked, &run) > 0);
        let mut stayed = run.clone();
        stayed.hold(2, said.clone());
        violates(&Revoked, &stayed, "user-2.0 holds");
        // Revoked after coming back.
        let mut run = MadeUp::new();
        run.create(0, &[1]);
        let said = run.say(0, 2);
        run.quit(1, 3);
        run.join(1, 4);
        run.say_revoked(0, 2, 5);
        run.hold(1, said);
        violates(&Revoked, &run, "user-1.0 holds");
    }

    #[test]
    fn something_is_revoked_that_nobody_revoked() {
        let (mut run, ..) = revoked();
        run.history.observations.retain(|observation| {
            observation.device != Some(device(0))
                || !matches!(
                    observation.what,
                    What::Called {
                        op: Call::Revoke(_),
                        ..
                    }
                )
        });
        violates(&Revoked, &run, "nobody who may");
    }

    #[test]
    fn a_device_is_handed_it_after_it_was_revoked() {
        let (mut run, _, seen) = revoked();
        let mut on_its_way = run.clone();
        on_its_way.receive(1, std::slice::from_ref(&seen));
        passes(&Revoked, &on_its_way);
        run.pass(1_000);
        let mut slow = run.clone();
        let fault = LinkFault::Slow {
            delay_ms: 2_000,
            for_ms: 5_000,
        };
        slow.push(Some(device(1)), What::LinkFault(fault));
        slow.receive(1, std::slice::from_ref(&seen));
        passes(&Revoked, &slow);
        let mut sender = run.clone();
        run.receive(1, std::slice::from_ref(&seen));
        violates(&Revoked, &run, "which was revoked before");
        // Another device of the sender's keeps it, if it knows that it is revoked.
        let mut known = sender.clone();
        let revoked = true;
        known.receive(
            0,
            &[Seen {
                revoked,
                ..seen.clone()
            }],
        );
        passes(&Revoked, &known);
        sender.receive(0, &[seen]);
        violates(&Revoked, &sender, "which was revoked before");
    }
    #[test]
    fn what_a_device_hands_over_without_a_connection_had_come_before() {
        let net = |run: &mut MadeUp, name: &str| {
            run.push(Some(device(1)), What::Event(Event::Other(format!("net {name}"))));
        };
        let handed_over = |mut run: MadeUp, seen: &Seen| {
            run.pass(15_000);
            run.receive(1, std::slice::from_ref(seen));
            run
        };
        let (mut cut_off, _, seen) = revoked_after(|run| net(run, "Disconnected"));
        passes(&Revoked, &handed_over(cut_off.clone(), &seen));
        net(&mut cut_off, "Connecting");
        passes(&Revoked, &handed_over(cut_off.clone(), &seen));
        net(&mut cut_off, "Connected");
        violates(&Revoked, &handed_over(cut_off, &seen), "which was revoked before");
        // The connection ended after the revocation, which may have come over it.
        let (mut late, _, seen) = revoked_after(|run| net(run, "Connected"));
        net(&mut late, "Disconnected");
        violates(&Revoked, &handed_over(late, &seen), "which was revoked before");
    }
}
