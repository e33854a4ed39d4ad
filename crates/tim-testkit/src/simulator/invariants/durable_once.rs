//! What was acknowledged is stored once, at its place, unchanged; what was refused, or is not to be stored, is not in the store. What a device
//! keeps is kept before the hub has it, and until it is acknowledged or refused.

use std::collections::BTreeMap;

use tim_session::proto::{ErrorCode, MessageId, UserId};

use super::super::history::{Content, Log, Mark, Stored, What};
use super::super::op::{Call, DeviceFault};
use super::model::{Accepted, Spoken};
use super::{Invariant, Model, Violation};
use crate::simulator::op::Profile;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct DurableOnce;

const NAME: &str = "durable-once";

impl Invariant for DurableOnce {
    fn name(&self) -> &'static str {
        NAME
    }

    fn applies_to(&self, _profile: Profile) -> bool {
        true
    }

    fn check(&self, model: &Model<'_>) -> Result<u64, Violation> {
        let mut checked = logs(model)?;
        for (mark, message) in &model.messages {
            checked += once(model, *mark, message)?;
            for accepted in &message.accepted {
                checked += acknowledged(model, *mark, message, accepted)?;
            }
            checked += refused(model, *mark, message)?;
            checked += kept(model, *mark, message)?;
        }
        Ok(checked)
    }
}

/// The logs have no holes, no id twice, and nothing that nobody sent.
fn logs(model: &Model<'_>) -> Result<u64, Violation> {
    let mut checked = 0;
    for (log, entries) in &model.snapshot.logs {
        let mut ids: BTreeMap<(UserId, MessageId), u64> = BTreeMap::new();
        for pair in entries.windows(2) {
            if let [one, next] = pair
                && next.seen.sequence != one.seen.sequence + 1
            {
                let (one, next) = (one.seen.sequence, next.seen.sequence);
                return Err(Violation::new(
                    NAME,
                    format!("the log of {log} has {next} after {one}"),
                ));
            }
        }
        for stored in entries {
            checked += 1;
            let seen = &stored.seen;
            if !matches!(seen.content, Content::Said(_) | Content::Gone) {
                continue;
            }
            if let Some(first) = ids.insert((seen.from, seen.id), seen.sequence) {
                let words = format!(
                    "{log} has {} from {} at {first} and as {seen}",
                    seen.id, seen.from
                );
                return Err(Violation::new(NAME, words));
            }
            if matches!(seen.content, Content::Said(_)) {
                origin(model, stored)?;
            }
        }
    }
    Ok(checked)
}

/// What is stored was sent so, by its sender, to this log.
fn origin(model: &Model<'_>, stored: &Stored) -> Result<(), Violation> {
    let seen = &stored.seen;
    let message = seen.content.mark().and_then(|mark| model.messages.get(&mark));
    let Some(message) = message else {
        return Err(Violation::new(
            NAME,
            format!("nobody sent what is stored as {seen}"),
        ));
    };
    let sent = message.sent;
    if model.differs(&sent.said, &seen.content) {
        let words = format!(
            "stored as {seen}, with other bytes than were sent ({:?})",
            sent.said
        );
        return Err(Violation::new(NAME, words).at([message.begun]));
    }
    if sent.from != seen.from || !message.is_to(&seen.log) {
        let words = format!("{} sent to {} what is stored as {seen}", sent.from, sent.log);
        return Err(Violation::new(NAME, words).at([message.begun]));
    }
    Ok(())
}

/// A message is in the store at most once, and not at all if it is not to be stored.
fn once(model: &Model<'_>, mark: Mark, message: &Spoken<'_>) -> Result<u64, Violation> {
    let stored = model.stored_marks.get(&mark).map_or(&[][..], Vec::as_slice);
    // What was kept before it was sent does not say that it is for those online only; it may be sent again as a usual message.
    let calls = || message.calls.iter().filter_map(|call| model.calls.get(call));
    let kept = calls().any(|call| matches!(call.op, Call::ResendKept(_)));
    let is_stored = (!message.sent.online_only || kept) && !model.is_room(&message.sent.log);
    let most = usize::from(is_stored) * message.copies();
    let is_twice = |log: &Log| stored.iter().filter(|(other, _)| other == log).count() > 1;
    if stored.len() > most || stored.iter().any(|(log, _)| is_twice(log)) {
        // A server whose call takes as long as it is remembered has sent another one.
        let times = calls().map(|call| (call.begun, call.ended.map_or(usize::MAX, |(at, _)| at)));
        if message.is_by_backend()
            && times
                .into_iter()
                .any(|(from, to)| model.clock_moved_between(from, to))
        {
            return Ok(0);
        }
        let places: Vec<_> = stored.iter().map(|(_, stored)| stored.seen.to_string()).collect();
        let words = format!("{mark} is stored {} times: {}", stored.len(), places.join(", "));
        let ends = calls().filter_map(|call| call.ended.map(|(at, _)| at));
        return Err(Violation::new(NAME, words).at(calls().map(|call| call.begun).chain(ends)));
    }
    Ok(1)
}

fn acknowledged(
    model: &Model<'_>,
    mark: Mark,
    message: &Spoken<'_>,
    accepted: &Accepted,
) -> Result<u64, Violation> {
    let Accepted {
        at,
        by,
        log,
        sequence,
        id,
        time_s,
    } = *accepted;
    if message.sent.online_only || model.is_room(&log) || model.may_be_lost(by, at) {
        return Ok(0);
    }
    let fails = |words: String| Err(Violation::new(NAME, words).at([message.begun, at]));
    if sequence == 0 && model.may_be_dropped(mark) {
        return Ok(0);
    }
    if sequence == 0 {
        return fails(format!("{mark} was acknowledged in {log} without a sequence"));
    }
    match model.stored(&log, sequence) {
        Some(stored) if stored.seen.id != id && id != MessageId::default() => fails(format!(
            "{mark} was acknowledged as {log}/{sequence} with id {id}, and there is {} with id {}",
            stored.seen, stored.seen.id
        )),
        Some(stored) if stored.seen.content.mark() != Some(mark) && stored.seen.content != Content::Gone => {
            fails(format!(
                "{mark} was acknowledged as {log}/{sequence}, and there is {}",
                stored.seen
            ))
        }
        Some(_) => Ok(1),
        None if is_gone(model, &log, sequence, time_s) => Ok(0),
        None => fails(format!(
            "{mark} was acknowledged as {log}/{sequence}, and is not in the store"
        )),
    }
}

/// Whether retention or the end of its group may have removed an entry.
fn is_gone(model: &Model<'_>, log: &Log, sequence: u64, time_s: Option<u64>) -> bool {
    if let Log::Group(group) = log
        && !model.snapshot.groups.contains_key(group)
        && model.may_be_dismissed(group)
    {
        return true;
    }
    let below = model.first_kept(log).is_none_or(|first| sequence < first);
    below && time_s.is_none_or(|time_s| model.may_be_purged(time_s))
}

/// What was refused in so many words each time is not stored.
fn refused(model: &Model<'_>, mark: Mark, message: &Spoken<'_>) -> Result<u64, Violation> {
    let calls: Vec<_> = message
        .calls
        .iter()
        .filter_map(|call| model.calls.get(call))
        .collect();
    let first_is_known = calls.first().is_some_and(|call| {
        matches!(
            call.op,
            Call::Send { .. } | Call::SendKept { .. } | Call::Forward { .. } | Call::Rest(_)
        )
    });
    if !first_is_known || !calls.iter().all(|call| call.certainly_failed()) {
        return Ok(0);
    }
    match model.stored_marks.get(&mark).and_then(|stored| stored.first()) {
        Some((_, stored)) => {
            let ends = calls.iter().filter_map(|call| call.ended.map(|(at, _)| at));
            let words = format!("{mark} was refused, and is stored as {}", stored.seen);
            Err(Violation::new(NAME, words).at([message.begun].into_iter().chain(ends)))
        }
        None => Ok(1),
    }
}

/// What a device is to keep is in its storage before the hub has it, and is not lost there before it is acknowledged or refused for good.
fn kept(model: &Model<'_>, mark: Mark, message: &Spoken<'_>) -> Result<u64, Violation> {
    let calls = || message.calls.iter().filter_map(|call| model.calls.get(call));
    let Some(first) = calls().find(|call| matches!(call.op, Call::SendKept { .. })) else {
        return Ok(0);
    };
    let Some(kept) = model.kept.get(&mark).copied() else {
        let is_alone = calls().count() == 1;
        return match model.stored_marks.get(&mark).and_then(|stored| stored.first()) {
            Some((_, stored)) if is_alone => {
                let words = format!("{} was not kept before the hub had it", stored.seen);
                Err(Violation::new(NAME, words).at([message.begun]))
            }
            _ => Ok(1),
        };
    };
    let devices = &model.snapshot.devices;
    let is_ready = devices
        .iter()
        .any(|state| state.device == first.device && state.ready);
    let mut later = model.history.observations.iter().skip(kept);
    let is_reset = later.any(|later| {
        later.device == Some(first.device)
            && matches!(later.what, What::DeviceFault(DeviceFault::Reset { .. }))
    });
    if !is_ready || is_reset || !message.accepted.is_empty() {
        return Ok(u64::from(is_ready));
    }
    // A message of an account that is no more is given up.
    let is_told = calls().any(|call| match (call.op, call.ended) {
        (Call::ResendOutbox, Some((_, Err(failed)))) if failed.code == OTHER_ACCOUNT => true,
        _ => call.certainly_failed(),
    });
    if is_told {
        return Ok(1);
    }
    let words = format!(
        "{} has kept {mark}, and it was neither acknowledged nor refused",
        first.device
    );
    Err(Violation::new(NAME, words).at([message.begun, kept]))
}

/// How a message of another account fails.
const OTHER_ACCOUNT: ErrorCode = ErrorCode::MESSAGE_SEND_NEED_MESSAGE_INSTANCE;

#[cfg(test)]
mod tests {
    use super::super::made_up::{MadeUp, c2c, device, passes, violates};
    use super::*;
    use crate::simulator::history::{Event, What};
    use crate::simulator::op::{HubFault, Target};

    #[test]
    fn what_was_acknowledged_and_is_stored_is_fine() {
        let mut run = MadeUp::new();
        let sent = run.send(0, Target::User(1));
        run.accept(sent, 1);
        run.store(c2c(0, 1), 1, 0, sent);
        assert!(passes(&DurableOnce, &run) >= 3);
    }

    #[test]
    fn an_acknowledged_message_is_missing_or_is_another_one() {
        let mut run = MadeUp::new();
        let sent = run.send(0, Target::User(1));
        run.accept(sent, 1);
        violates(&DurableOnce, &run, "is not in the store");
        let other = run.send(1, Target::User(0));
        run.store(c2c(0, 1), 1, 1, other);
        violates(&DurableOnce, &run, "and there is");
    }

    #[test]
    fn a_message_is_stored_twice() {
        let mut run = MadeUp::new();
        let sent = run.send(0, Target::User(1));
        run.accept(sent, 1);
        run.store(c2c(0, 1), 1, 0, sent);
        run.store(c2c(0, 1), 2, 0, sent).seen.id.random += 1;
        violates(&DurableOnce, &run, "stored 2 times");
    }

    #[test]
    fn a_refused_message_is_stored_but_one_of_which_nothing_is_known_may_be() {
        let mut run = MadeUp::new();
        let sent = run.send(0, Target::User(1));
        run.store(c2c(0, 1), 1, 0, sent);
        let mut known = run.clone();
        known.fail(sent.0, 10007, false);
        violates(&DurableOnce, &known, "was refused");
        run.fail(sent.0, 9505, true);
        passes(&DurableOnce, &run);
    }

    #[test]
    fn what_a_device_keeps_is_kept_first_and_until_it_is_answered() {
        let mut run = MadeUp::new();
        let sent = run.send_kept(0, Target::User(1));
        let mut early = run.clone();
        early.store(c2c(0, 1), 1, 0, sent);
        violates(&DurableOnce, &early, "not kept before");
        passes(&DurableOnce, &run);
        run.push(Some(device(0)), What::Kept(sent));
        violates(&DurableOnce, &run, "neither acknowledged nor refused");
        let mut lost = run.clone();
        lost.fail(sent.0, 9505, true);
        violates(&DurableOnce, &lost, "neither acknowledged nor refused");
        let mut refused = run.clone();
        refused.fail(sent.0, 10007, false);
        passes(&DurableOnce, &refused);
        let mut reset = run.clone();
        let fault = DeviceFault::Reset {
            after_ms: 10,
            from_start: true,
        };
        reset.push(Some(device(0)), What::DeviceFault(fault));
        passes(&DurableOnce, &reset);
        run.store(c2c(0, 1), 1, 0, sent);
        run.accept(sent, 1);
        passes(&DurableOnce, &run);
    }

    #[test]
    fn a_log_with_a_hole_or_with_what_nobody_sent() {
        let mut run = MadeUp::new();
        let [one, two] = [run.send(0, Target::User(1)), run.send(0, Target::User(1))];
        run.store(c2c(0, 1), 1, 0, one);
        run.store(c2c(0, 1), 3, 0, two);
        violates(&DurableOnce, &run, "3 after 1");
        let mut run = MadeUp::new();
        run.store(c2c(0, 1), 1, 0, Mark(77));
        violates(&DurableOnce, &run, "nobody sent");
    }

    #[test]
    fn a_forged_sender_or_changed_bytes() {
        let mut run = MadeUp::new();
        let sent = run.send(0, Target::User(1));
        run.store(c2c(0, 1), 1, 1, sent);
        violates(&DurableOnce, &run, "sent to");
        let mut run = MadeUp::new();
        let sent = run.send(0, Target::User(1));
        if let Content::Said(said) = &mut run.store(c2c(0, 1), 1, 0, sent).seen.content {
            said.hash += 1;
        }
        violates(&DurableOnce, &run, "other bytes");
    }

    #[test]
    fn a_restore_may_lose_what_came_after_the_backup_and_nothing_else() {
        let mut run = MadeUp::new();
        let before = run.send(0, Target::User(1));
        run.accept(before, 1);
        run.push(None, What::BackedUp { backup: 0, change: 1 });
        let after = run.send(0, Target::User(1));
        run.accept(after, 2);
        run.push(None, What::HubEnded(HubFault::Restore(10)));
        run.push(None, What::Restored { backup: 0 });
        run.store(c2c(0, 1), 1, 0, before);
        passes(&DurableOnce, &run);
        run.snapshot.logs.clear();
        violates(&DurableOnce, &run, "is not in the store");
    }

    #[test]
    fn an_answer_that_was_on_its_way_when_the_store_was_restored_may_be_lost() {
        let mut run = MadeUp::new();
        run.push(None, What::BackedUp { backup: 0, change: 0 });
        let [before, late, after] = [(); 3].map(|()| run.send(0, Target::User(1)));
        run.accept(before, 1);
        run.push(None, What::HubEnded(HubFault::Restore(10)));
        run.push(None, What::Restored { backup: 0 });
        run.accept(late, 2);
        passes(&DurableOnce, &run);
        let connected = |run: &mut MadeUp, user| {
            let connected = Event::Other("net Connected".to_owned());
            run.push(Some(device(user)), What::Event(connected));
        };
        connected(&mut run, 1); // somebody else
        let mut own = run.clone();
        run.accept(after, 3);
        passes(&DurableOnce, &run);
        connected(&mut own, 0);
        own.accept(after, 3);
        violates(&DurableOnce, &own, "is not in the store");
    }

    #[test]
    fn retention_may_remove_what_is_old_and_nothing_else() {
        let mut run = MadeUp::new();
        run.history.plan.settings.retention_seconds = 60;
        let sent = run.send(0, Target::User(1));
        run.accept(sent, 1);
        run.snapshot.at_ms += 59_000 / 2;
        violates(&DurableOnce, &run, "is not in the store");
        run.snapshot.at_ms += 62_000;
        passes(&DurableOnce, &run);
    }
}
