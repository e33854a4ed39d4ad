//! Nobody is notified who is online, of a message of the own, or of one that is online-only, read or revoked by then, or of which its sender
//! says that nobody is to be notified; nor through a token that is not registered, or is another user's. A notification has one id, which no
//! other has, and does not come again once it was taken, as long as the hub lives; those of one conversation come in order.

use std::collections::BTreeMap;

use tim_session::proto::UserId;

use super::super::history::{Content, Event, Notified as Seen, Returned, What};
use super::super::op::{Call, DeviceRef, Plan, Profile, Rest};
use super::model::Called;
use super::{Invariant, Model, Violation};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Notified;

const NAME: &str = "notified";

/// How long what was decided may be on its way to the sink, in milliseconds: what was read a second ago is sent.
const DECIDED_MS: u64 = 2_500;

impl Invariant for Notified {
    fn name(&self) -> &'static str {
        NAME
    }

    fn applies_to(&self, profile: Profile) -> bool {
        profile == Profile::Servers
    }

    fn check(&self, model: &Model<'_>) -> Result<u64, Violation> {
        let mut checked = ids(model)?;
        for (at, notified) in model.notified() {
            checked += 1;
            let why = is_excluded(model, notified)
                .or_else(|| is_known(model, at, notified))
                .or_else(|| is_not_registered(model, at, notified))
                .or_else(|| is_online(model, at, notified.user));
            if let Some((since, words)) = why {
                let words = format!(
                    "{} is notified of {}/{}, {words}",
                    notified.user, notified.place.0, notified.place.1
                );
                return Err(Violation::new(NAME, words).at(since.into_iter().chain([at])));
            }
        }
        Ok(checked)
    }
}

type Why = Option<(Option<usize>, String)>;

/// One id for one notification; none again that was taken; in order.
fn ids(model: &Model<'_>) -> Result<u64, Violation> {
    let mut known: BTreeMap<&str, (usize, &Seen)> = BTreeMap::new();
    let mut taken: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut of_token: BTreeMap<(UserId, &str, UserId, String), Vec<&str>> = BTreeMap::new();
    let mut last = BTreeMap::new();
    let mut checked = 0;
    for (at, notified) in model.notified() {
        let id = notified.id.as_str();
        let fails = |words: String, since: usize| Err(Violation::new(NAME, words).at([since, at]));
        let of = |seen: &Seen| (seen.user, seen.message, seen.platform, seen.token.clone());
        let (since, first) = *known.entry(id).or_insert((at, notified));
        if of(first) != of(notified) {
            return fails(format!("{id} is the id of two notifications"), since);
        }
        let life = model.life(at);
        if let Some((since, _)) = taken.get(id).filter(|(_, before)| *before == life) {
            return fails(format!("{id} was taken, and comes again"), *since);
        }
        if notified.answer.is_final() && notified.after_ms.is_some_and(|ms| ms < 5_000) {
            taken.insert(id, (at, life));
        }
        let about = (
            notified.user,
            notified.token.as_str(),
            notified.sender,
            notified.message.to_string(),
        );
        let ids = of_token.entry(about).or_default();
        if !ids.contains(&id) {
            ids.push(id);
        }
        if ids.len() > 1 + registrations(model, &notified.token, at).count() {
            return fails(format!("{:?} are the ids of one notification", ids), since);
        }
        let place = last.entry((life, notified.user, notified.token.as_str(), notified.place.0));
        let (before, most) = *place.or_insert((at, notified.place.1));
        if notified.place.1 < most {
            let words = format!("{} comes after {most} of {}", notified.place.1, notified.place.0);
            return fails(words, before);
        }
        last.insert(
            (life, notified.user, notified.token.as_str(), notified.place.0),
            (at, notified.place.1),
        );
        checked += 1;
    }
    Ok(checked)
}

/// The calls that register a token before an observation.
fn registrations<'a>(
    model: &'a Model<'_>,
    token: &'a str,
    before: usize,
) -> impl Iterator<Item = &'a Called<'a>> {
    let is_it = move |call: &&Called<'a>| {
        matches!(call.op, Call::RegisterPush(number, _) if Call::token(*number).1 == token)
            && call.begun < before
    };
    model.calls.values().filter(is_it)
}

/// Of such a message nobody is notified, or not this user.
fn is_excluded(model: &Model<'_>, notified: &Seen) -> Why {
    let because = |words: &str| Some((None, words.to_owned()));
    if notified.sender == notified.user {
        return because("which is of the own");
    }
    let mark = notified.mark?;
    let message = model.messages.get(&mark)?;
    let is_import = |call: &Called<'_>| matches!(call.op, Call::Rest(Rest::Import { .. }));
    let mut calls = message.calls.iter().filter_map(|call| model.calls.get(call));
    if calls.any(is_import) {
        return because("which was imported");
    }
    if !message.is_to(&notified.place.0) {
        return because("which was not sent there");
    }
    if model.was_kept(Some(mark)) {
        return None;
    }
    if message.sent.online_only {
        return because("which is for those online only");
    }
    if model.disables_push(mark) {
        return because("of which nobody is to be notified");
    }
    let stored = model.stored(&notified.place.0, notified.place.1)?;
    let Content::Said(said) = stored.seen.content else {
        return None;
    };
    let is_changed = said != message.sent.said;
    if said.mark == Some(mark) && is_changed != notified.is_changed {
        return because("with another content than is stored");
    }
    None
}

/// The message was read or revoked a while before.
fn is_known(model: &Model<'_>, at: usize, notified: &Seen) -> Why {
    let until = model.by_ms(model.at_ms(at).saturating_sub(DECIDED_MS)).min(at);
    let (log, sequence) = notified.place;
    if model.store_fails_between(at.saturating_sub(1), at) {
        return None; // what was read may have waited
    }
    model.calls.values().find_map(|call| {
        let (returned_at, returned) = call.returned().filter(|(returned_at, _)| *returned_at < until)?;
        if model.restored_between(call.begun, at) {
            return None;
        }
        let why = match (call.op, returned) {
            (
                Call::Revoke(_) | Call::Rest(Rest::Withdraw(_)),
                Returned::Revoked {
                    log: of,
                    sequence: number,
                    mark,
                },
            ) if (*of, *number) == (log, sequence)
                && mark.is_none_or(|mark| notified.mark.is_none_or(|other| other == mark)) =>
            {
                "which was revoked"
            }
            (
                _,
                Returned::Read {
                    log: of,
                    read_sequence: Some(read),
                    ..
                },
            ) if *of == log && *read >= sequence && call.device.user_id() == notified.user => {
                "which the user has read"
            }
            (Call::Rest(Rest::SetRead(user, _)), _)
                if Plan::user(*user) == notified.user && was_there(model, call, notified) =>
            {
                "which was marked as read"
            }
            _ => return None,
        };
        Some((Some(returned_at), why.to_owned()))
    })
}

/// Whether a message was in the conversation that a server has marked as read, before it did so.
fn was_there(model: &Model<'_>, call: &Called<'_>, notified: &Seen) -> bool {
    let Call::Rest(Rest::SetRead(user, peer)) = call.op else {
        return false;
    };
    let log = super::super::history::Log::of(Plan::user(*user), Plan::user(*peer).into());
    log == notified.place.0 && model.had_reached(&log, notified.place.1, call.begun)
}

/// The token is certainly not registered by the user, or switched off.
fn is_not_registered(model: &Model<'_>, at: usize, notified: &Seen) -> Why {
    let until = model.by_ms(model.at_ms(at).saturating_sub(DECIDED_MS)).min(at);
    let of_user = |call: &Called<'_>| call.device.user_id() == notified.user;
    let mut own = registrations(model, &notified.token, at).filter(|call| of_user(call));
    let is_of_token = |number: u16| Call::token(number).1 == notified.token;
    // What may have ended a registration of the user: it is certain, and nothing of the user's came after it began.
    let ends = |call: &Called<'_>| match call.op {
        Call::RegisterPush(number, enabled) => is_of_token(*number) && !(of_user(call) && *enabled),
        Call::UnregisterPush(number) => is_of_token(*number) && of_user(call),
        _ => false,
    };
    let is_over = |registered: &Called<'_>| {
        model.calls.values().find_map(|call| {
            let (ended, _) = call
                .returned()
                .filter(|(ended, _)| *ended < until && ends(call))?;
            let is_later = call.begun > registered.over();
            (is_later && !model.restored_between(registered.begun, at)).then_some(ended)
        })
    };
    if model.store_fails_between(at.saturating_sub(1), at) {
        return None;
    }
    let mut ended = None;
    let is_registered = own.any(|call| match call.op {
        Call::RegisterPush(_, true) => {
            let over = is_over(call);
            ended = ended.or(over);
            over.is_none() && !call.certainly_failed()
        }
        _ => false,
    });
    (!is_registered).then(|| (ended, format!("and has no token {} any more", notified.token)))
}

/// A device of the user is certainly online, for a while.
fn is_online(model: &Model<'_>, at: usize, user: UserId) -> Why {
    let plan = &model.history.plan;
    if model
        .calls
        .values()
        .any(|call| call.op.ends_sessions_of() == Some(user))
    {
        return None;
    }
    let users = (0..).zip(&plan.population.users);
    let devices = users.flat_map(|(number, user)| {
        (0..user.devices.len() as u8).map(move |device| DeviceRef::new(number, device))
    });
    for device in devices.filter(|device| device.user_id() == user) {
        let Some(travel_ms) = model.travel_ms(device) else {
            continue;
        };
        let Some(since) = online_since(model, device, at) else {
            continue;
        };
        if model.at_ms(since) + DECIDED_MS + travel_ms < model.at_ms(at) {
            return Some((Some(since), format!("and {device} is online")));
        }
    }
    None
}

/// Since when a device has been online without anything that says otherwise.
fn online_since(model: &Model<'_>, device: DeviceRef, at: usize) -> Option<usize> {
    let mut since = None;
    for (index, observation) in model.history.observations.iter().enumerate().take(at) {
        let is_own = observation.device == Some(device);
        match &observation.what {
            What::Event(Event::Ready) if is_own => since = since.or(Some(index)),
            What::HubEnded(_) | What::HubFailed | What::StoreFault(_) => since = None,
            What::Resolved { call, result: Ok(_) } if is_own => {
                let logs_in = model.calls.get(call).is_some_and(|call| *call.op == Call::Login);
                since = since.or_else(|| logs_in.then_some(index));
            }
            What::Resolved { .. } | What::Skipped { .. } => {}
            What::Called {
                op: Call::Logout | Call::SetUserSig { .. },
                ..
            } if is_own => since = None,
            What::Event(
                Event::NotReady(_)
                | Event::KickedOut(_)
                | Event::LoginFailed(_)
                | Event::TurnedAway(_)
                | Event::Other(_),
            )
            | What::LinkFault(_)
            | What::DeviceFault(_)
            | What::Started(_)
            | What::Ended
                if is_own =>
            {
                since = None;
            }
            _ => {}
        }
    }
    since
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{MadeUp, c2c, passes, violates};
    use super::*;
    use crate::simulator::history::SinkAnswer;
    use crate::simulator::op::{HubFault, Target, Which};

    /// User 1 has registered a token, and is away; user 0 has written.
    fn away() -> (MadeUp, Seen) {
        let mut run = MadeUp::with_servers();
        let call = run.call(1, Call::RegisterPush(0, true));
        run.returns(call, Returned::Done);
        run.call(1, Call::Logout);
        let sent = run.send(0, Target::User(1));
        run.accept(sent, 1);
        run.store(c2c(0, 1), 1, 0, sent);
        let notified = run.notification(1, sent, 1, 0);
        (run, notified)
    }

    fn notify(run: &mut MadeUp, notified: &Seen) {
        run.push(None, What::Notified(notified.clone()));
    }

    #[test]
    fn once_it_is_taken_it_does_not_come_again_unless_the_hub_was_started_again() {
        let (mut run, notified) = away();
        let failed = Seen {
            answer: SinkAnswer::NotTaken,
            ..notified.clone()
        };
        notify(&mut run, &failed);
        notify(&mut run, &notified);
        assert!(passes(&Notified, &run) >= 4);
        let mut restarted = run.clone();
        restarted.push(None, What::HubEnded(HubFault::Crash(1)));
        restarted.push(None, What::HubStarted { wall_ms: 0 });
        notify(&mut restarted, &notified);
        passes(&Notified, &restarted);
        notify(&mut run, &notified);
        violates(&Notified, &run, "comes again");
    }

    #[test]
    fn one_id_for_one_notification() {
        let (run, notified) = away();
        let other = Seen {
            id: "another".to_owned(),
            ..notified.clone()
        };
        let mut twice = run.clone();
        notify(&mut twice, &notified);
        notify(&mut twice, &other);
        passes(&Notified, &twice);
        notify(
            &mut twice,
            &Seen {
                id: "a third".to_owned(),
                ..notified.clone()
            },
        );
        violates(&Notified, &twice, "are the ids of one");
        let mut shared = run;
        notify(&mut shared, &notified);
        let message = tim_session::proto::MessageId {
            random: 77,
            ..notified.message
        };
        notify(&mut shared, &Seen { message, ..notified });
        violates(&Notified, &shared, "two notifications");
    }

    #[test]
    fn nobody_is_notified_of_what_was_revoked_or_read() {
        let (mut run, notified) = away();
        let mut read = run.clone();
        let call = run.call(0, Call::Revoke(Which::Own(0)));
        let (log, sequence) = notified.place;
        run.returns(
            call,
            Returned::Revoked {
                log,
                sequence,
                mark: None,
            },
        );
        notify(&mut run.clone(), &notified);
        run.pass(5_000);
        notify(&mut run, &notified);
        violates(&Notified, &run, "revoked");
        let call = read.call(1, Call::Read(Target::User(0)));
        read.returns(
            call,
            Returned::Read {
                log,
                read_sequence: Some(1),
                unread: Some(0),
            },
        );
        read.pass(5_000);
        notify(&mut read, &notified);
        violates(&Notified, &read, "has read");
    }

    #[test]
    fn nobody_is_notified_through_a_token_of_somebody_else_or_while_online() {
        let (mut run, notified) = away();
        let mut online = run.clone();
        let call = run.call(2, Call::RegisterPush(0, true));
        run.returns(call, Returned::Done);
        run.pass(5_000);
        notify(&mut run, &notified);
        violates(&Notified, &run, "has no token");
        online.push(Some(DeviceRef::new(1, 0)), What::Event(Event::Ready));
        online.pass(5_000);
        notify(&mut online, &notified);
        violates(&Notified, &online, "is online");
    }
}
