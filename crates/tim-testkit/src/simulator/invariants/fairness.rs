//! What hostile users do costs an innocent pair little: each message of it is accepted and arrives within twice the longest time of the quiet
//! beginning, or within half a second, and the time that what was sent to the receiver itself takes in front of it.

use std::collections::BTreeMap;

use super::super::history::{Content, Event, Mark, What};
use super::super::op::Plan;
use super::{Invariant, Model, Violation};
use crate::simulator::op::Profile;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Fairness;

const NAME: &str = "fairness";

/// A latency that is no harm, whatever the quiet one was.
const HARMLESS_MS: u64 = 500;

impl Invariant for Fairness {
    fn name(&self) -> &'static str {
        NAME
    }

    fn applies_to(&self, profile: Profile) -> bool {
        matches!(profile, Profile::Hostile)
    }

    fn check(&self, model: &Model<'_>) -> Result<u64, Violation> {
        if !model.history.plan.population.innocent_pair {
            return Ok(0);
        }
        let arrivals = arrivals(model);
        let is_attack = |what: &What| matches!(what, What::Attacked { .. });
        let observations = &model.history.observations;
        let noisy_from = observations
            .iter()
            .position(|observation| is_attack(&observation.what));
        let noisy_from = noisy_from.unwrap_or(observations.len());
        let (mut quiet, mut noisy) = (0, Vec::new());
        for (mark, message) in pair(model) {
            let Some(arrived) = arrivals.get(&mark).copied() else {
                let words = format!("{mark} of the innocent pair has not arrived");
                return Err(Violation::new(NAME, words).at([message.begun]));
            };
            let latency = model.at_ms(arrived).saturating_sub(model.at_ms(message.begun));
            if arrived < noisy_from {
                quiet = latency.max(quiet);
            } else {
                let latency = latency.saturating_sub(queue_ms(model, message.begun, arrived));
                noisy.push((latency, message.begun, arrived));
            }
        }
        let bound = (2 * quiet).max(HARMLESS_MS);
        if let Some((latency, begun, arrived)) = noisy.iter().max().filter(|(latency, ..)| *latency > bound) {
            let words = format!(
                "a message of the innocent pair took {latency} ms more than its queue beside hostile users, and {quiet} at most before"
            );
            return Err(Violation::new(NAME, words).at([*begun, *arrived]));
        }
        Ok(noisy.len() as u64)
    }
}

/// How long the entries of others take that a device got while a message was on its way to it: a window of them for each
/// round trip. Whoever floods a user fills the queue of that user.
fn queue_ms(model: &Model<'_>, begun: usize, arrived: usize) -> u64 {
    let observations = &model.history.observations;
    let device = observations.get(arrived).and_then(|arrival| arrival.device);
    let meanwhile = observations.get(begun..arrived).unwrap_or_default();
    let received = meanwhile
        .iter()
        .filter(|observation| observation.device == device);
    let entries = received.filter_map(|observation| match &observation.what {
        What::Event(Event::Received(entries)) => Some(entries),
        _ => None,
    });
    let is_other =
        |seen: &&super::super::history::Seen| seen.from != Plan::user(0) && seen.from != Plan::user(1);
    let others = entries.flatten().filter(is_other).count() as u64;
    let settings = &model.history.plan.settings;
    let round_trip_us = 2 * settings.delay_us.1;
    others * round_trip_us / u64::from(settings.window.max(1)) / 1_000
}

/// The messages of users 0 and 1 to each other.
fn pair<'m>(model: &'m Model<'_>) -> impl Iterator<Item = (Mark, &'m super::model::Spoken<'m>)> {
    let log = super::super::history::Log::of(
        Plan::user(0),
        tim_session::proto::ConversationId::C2c(Plan::user(1)),
    );
    let messages = model.messages.iter();
    messages
        .filter(move |(_, message)| message.sent.log == log && message.device.is_some())
        .map(|(mark, message)| (*mark, message))
}

/// When each message arrived at a device of another user first.
fn arrivals(model: &Model<'_>) -> BTreeMap<Mark, usize> {
    let mut arrivals = BTreeMap::new();
    for (at, observation) in model.history.observations.iter().enumerate() {
        let (What::Event(Event::Received(entries)), Some(device)) = (&observation.what, observation.device)
        else {
            continue;
        };
        for seen in entries.iter().filter(|seen| seen.from != device.user_id()) {
            if let Content::Said(said) = &seen.content
                && let Some(mark) = said.mark
            {
                arrivals.entry(mark).or_insert(at);
            }
        }
    }
    arrivals
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{MadeUp, passes, violates};
    use super::*;
    use crate::simulator::op::{Attack, Target};

    #[test]
    fn a_message_of_the_pair_is_late_or_lost() {
        let mut run = MadeUp::new();
        run.history.plan.population.innocent_pair = true;
        let say = |run: &mut MadeUp, ms| {
            let sent = run.send(0, Target::User(1));
            run.pass(ms);
            let seen = run.seen_of(sent, 1);
            run.receive(1, &[seen]);
        };
        say(&mut run, 400);
        run.push(
            None,
            What::Attacked {
                call: 50,
                hostile: 0,
                attack: Attack::ForgedAck,
            },
        );
        say(&mut run, 700);
        assert_eq!(passes(&Fairness, &run), 1);
        let mut late = run.clone();
        say(&mut late, 900);
        violates(&Fairness, &late, "took 9");
        // What a flood has put in front of it counts.
        let mut queued = run.clone();
        queued.history.plan.settings.window = 1;
        queued.history.plan.settings.delay_us = (500, 2_000);
        let sent = queued.send(0, Target::User(1));
        queued.pass(900);
        let seen = queued.seen_of(sent, 1);
        let mut flood = seen.clone();
        flood.from = Plan::hostile_user(0);
        flood.content = Content::Gone;
        let mut short = queued.clone();
        queued.receive(1, &vec![flood.clone(); 40]);
        queued.receive(1, std::slice::from_ref(&seen));
        passes(&Fairness, &queued);
        short.receive(1, &vec![flood; 10]);
        short.receive(1, &[seen]);
        violates(&Fairness, &short, "more than its queue");
        run.send(0, Target::User(1));
        violates(&Fairness, &run, "has not arrived");
    }
}
