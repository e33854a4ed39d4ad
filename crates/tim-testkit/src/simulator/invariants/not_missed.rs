//! Whoever is offline is notified of each message that qualifies, through each token, whatever fails meanwhile: a sink, the hub, its store.
//! It is checked where all faults have ended, and nobody has logged in yet.

use tim_session::proto::{MessageKind, UserId};

use super::super::history::{Content, Event, Log, Notified, SinkAnswer, Stored, What};
use super::super::op::{Call, DeviceRef, Plan, Profile, Rest};
use super::model::{Called, Spoken, Watcher};
use super::{Invariant, Model, Violation};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct NotMissed;

const NAME: &str = "not-missed";

impl Invariant for NotMissed {
    fn name(&self) -> &'static str {
        NAME
    }

    fn applies_to(&self, profile: Profile) -> bool {
        profile == Profile::Servers
    }

    fn check(&self, model: &Model<'_>) -> Result<u64, Violation> {
        let is_end = |what: &What| matches!(what, What::AllNotified);
        let observations = &model.history.observations;
        let Some(end) = observations
            .iter()
            .rposition(|observation| is_end(&observation.what))
        else {
            return Ok(0);
        };
        let before = observations.get(..end).unwrap_or_default();
        // At a rest everybody has been online.
        let from = before
            .iter()
            .rposition(|observation| matches!(observation.what, What::Rested));
        let from = from.unwrap_or(0);
        let mut checked = 0;
        for user in 0..model.history.plan.population.users.len() as u8 {
            for registered in registered(model, user, from, end) {
                checked += all_of(model, (user, registered), end)?;
            }
        }
        Ok(checked)
    }
}

/// The calls after which a user has certainly had a token up to an observation.
fn registered<'a>(model: &'a Model<'_>, user: u8, _from: usize, end: usize) -> Vec<&'a Called<'a>> {
    let changes = |call: &Called<'_>| match call.op {
        Call::RegisterPush(number, _) | Call::UnregisterPush(number) => Some(*number),
        _ => None,
    };
    let is_certain = |call: &Called<'_>| {
        let (Call::RegisterPush(number, true), Some((ended, _))) = (call.op, call.returned()) else {
            return false;
        };
        let token = Call::token(*number).1;
        let mut others = model
            .calls
            .values()
            .filter(|other| changes(other) == Some(*number));
        let is_alone = others.all(|other| other.begun == call.begun || other.over() < call.begun);
        let is_unknown =
            |notified: &Notified| notified.token == token && notified.answer == SinkAnswer::TokenUnknown;
        let mut unknown = model.notified().filter(|(_, notified)| is_unknown(notified));
        call.device.user_id() == Plan::user(user)
            && ended < end
            && is_alone
            && !model.restored_between(call.begun, end)
            && !unknown.any(|(at, _)| at > call.begun)
    };
    model.calls.values().filter(|call| is_certain(call)).collect()
}

/// The user was notified of all messages that qualify, through the token that a call has registered.
fn all_of(model: &Model<'_>, (number, registered): (u8, &Called<'_>), end: usize) -> Result<u64, Violation> {
    let user = Plan::user(number);
    let (Call::RegisterPush(token, _), Some((since, _))) = (registered.op, registered.returned()) else {
        return Ok(0);
    };
    let is_kept_out = |call: &Called<'_>| match call.op {
        Call::Rest(Rest::Block(user, _) | Rest::Delete(user)) => *user == number,
        _ => false,
    };
    if model.calls.values().any(is_kept_out) {
        return Ok(0);
    }
    let Some(away) = away_since(model, number, end).map(|away| away.max(since)) else {
        return Ok(0);
    };
    let token = Call::token(*token).1;
    let mut checked = 0;
    for message in model.messages.values().filter(|message| message.begun > away) {
        for accepted in message.accepted.iter().filter(|accepted| accepted.at < end) {
            let Some(stored) = model.stored(&accepted.log, accepted.sequence) else {
                continue;
            };
            if !qualifies(model, message, stored, user)
                || model.may_be_lost(accepted_by(message), accepted.at)
            {
                continue;
            }
            let max_age_s = model
                .history
                .plan
                .settings
                .servers
                .map_or(0, |servers| servers.max_age_s);
            let age_ms = model.at_ms(end).saturating_sub(model.at_ms(message.begun));
            if age_ms + 1_000 > max_age_s * 1_000 || model.clock_moved_between(message.begun, end) {
                continue;
            }
            checked += 1;
            let is_it = |notified: &Notified| {
                let place = (accepted.log, accepted.sequence);
                let is_done = notified.answer.is_final() && notified.after_ms.is_some();
                is_done && (notified.user, notified.place) == (user, place) && notified.token == token
            };
            if !model.notified().any(|(at, notified)| at < end && is_it(notified)) {
                let words = format!(
                    "{user} is away, and was not notified of {} through {token}",
                    stored.seen
                );
                return Err(Violation::new(NAME, words).at([
                    registered.begun,
                    away,
                    message.begun,
                    accepted.at,
                    end,
                ]));
            }
        }
    }
    Ok(checked)
}

fn accepted_by(message: &Spoken<'_>) -> Watcher {
    Watcher::Device(message.device.unwrap_or(DeviceRef::BACKEND))
}

/// Whether a user is to be notified of an entry.
fn qualifies(model: &Model<'_>, message: &Spoken<'_>, stored: &Stored, user: UserId) -> bool {
    let Content::Said(said) = stored.seen.content else {
        return false;
    };
    let log = stored.seen.log;
    let sequence = stored.seen.sequence;
    let is_receiver = match log {
        Log::C2c(one, other) => one != other && (one == user || other == user) && stored.seen.from != user,
        Log::Group(group) => {
            let periods = model.periods.get(&(group, user));
            let is_in = periods.is_some_and(|periods| {
                periods
                    .last()
                    .is_some_and(|last| last.contains(sequence) && last.through == u64::MAX)
            });
            stored.seen.from != user && model.whole.contains(&group) && is_in
        }
        Log::System(_) => false,
    };
    let keeps_quiet = |call: &Called<'_>| match call.op {
        Call::ReceiveOption(..) => call.device.user_id() == user,
        Call::Rest(Rest::SetRead(reader, _)) => Plan::user(*reader) == user && call.over() > message.begun,
        // Whoever is removed and added again is a member, and has read nothing.
        Call::Read(_) | Call::ReadUpTo(..) | Call::DeleteConversation(_) => {
            call.device.user_id() == user && call.over() > message.begun
        }
        _ => false,
    };
    let is_import = |call: &Called<'_>| matches!(call.op, Call::Rest(Rest::Import { .. }));
    let mut own = message.calls.iter().filter_map(|call| model.calls.get(call));
    is_receiver
        && said.mark == message.sent.said.mark
        && matches!(said.kind, MessageKind::TEXT | MessageKind::FACE)
        && !said.mark.is_none_or(|mark| model.disables_push(mark))
        && !message.sent.online_only
        && !own.any(is_import)
        && !model.calls.values().any(keeps_quiet)
}

/// Since when all devices of a user are certainly logged out; `None` if one may be online.
fn away_since(model: &Model<'_>, user: u8, end: usize) -> Option<usize> {
    let plan = model.history.plan.population.users.get(usize::from(user))?;
    let devices = (0..plan.devices.len() as u8).map(|number| DeviceRef::new(user, number));
    let mut since = 0;
    for device in devices {
        since = since.max(logged_out_since(model, device, end)?);
    }
    Some(since)
}

fn logged_out_since(model: &Model<'_>, device: DeviceRef, end: usize) -> Option<usize> {
    let mut since = Some(0);
    // Whether the hub has certainly heard what the device said last: without a connection, a device logs out by itself.
    let mut is_heard = false;
    for (at, observation) in model.history.observations.iter().enumerate().take(end) {
        let is_own = observation.device == Some(device);
        match &observation.what {
            What::HubEnded(_) | What::HubFailed => is_heard = false,
            _ if !is_own => {}
            What::Event(Event::Other(name)) if name == "net Connected" => (is_heard, since) = (true, None),
            What::Event(Event::Ready) => (is_heard, since) = (true, None),
            What::LinkFault(_) => is_heard = false,
            What::Called { op: Call::Login, .. } | What::Started(_) | What::DeviceFault(_) => since = None,
            What::Resolved { call, result: Ok(_) } => match model.calls.get(call).map(|call| call.op) {
                Some(Call::Logout) if is_heard => (is_heard, since) = (false, Some(at)),
                Some(Call::Login) => since = None,
                _ => {}
            },
            _ => {}
        }
    }
    let is_login = |call: &&Called<'_>| call.device == device && *call.op == Call::Login;
    let mut logins = model.calls.values().filter(is_login);
    // One that was under way is over.
    let since = since?;
    logins
        .all(|call| call.begun >= end || call.ended.is_some_and(|(ended, _)| ended < end))
        .then_some(since)
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{MadeUp, c2c, passes, violates};
    use super::*;
    use crate::simulator::history::Returned;
    use crate::simulator::op::Target;

    #[test]
    fn who_is_away_is_notified_of_what_qualifies() {
        let mut run = MadeUp::with_servers();
        let call = run.call(1, Call::RegisterPush(0, true));
        run.returns(call, Returned::Done);
        let call = run.call(1, Call::Logout);
        run.returns(call, Returned::Done);
        let sent = run.send(0, Target::User(1));
        run.accept(sent, 1);
        run.store(c2c(0, 1), 1, 0, sent);
        let notified = run.notification(1, sent, 1, 0);
        let mut missed = run.clone();
        missed.push(None, What::AllNotified);
        violates(&NotMissed, &missed, "was not notified");
        let failed = Notified {
            answer: SinkAnswer::Unavailable,
            ..notified.clone()
        };
        let mut failing = run.clone();
        failing.push(None, What::Notified(failed));
        failing.push(None, What::AllNotified);
        violates(&NotMissed, &failing, "was not notified");
        run.push(None, What::Notified(notified));
        run.push(None, What::AllNotified);
        assert_eq!(passes(&NotMissed, &run), 1);
        let mut back = missed;
        back.history.observations.pop();
        back.call(1, Call::Login);
        back.push(None, What::AllNotified);
        assert_eq!(passes(&NotMissed, &back), 0);
    }
}
