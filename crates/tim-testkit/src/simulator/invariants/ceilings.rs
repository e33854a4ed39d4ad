//! What is bounded stays below its ceiling, and a limit is the same one on both ends.

use std::collections::BTreeMap;

use super::super::history::{AttackSaw, What};
use super::{Invariant, Model, Violation};
use crate::simulator::op::Profile;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Ceilings;

const NAME: &str = "ceilings";

/// The code of a message that is too long.
const TOO_LONG: u32 = 80_002;
/// For how many seconds a user may send ahead of the rate.
const BURST_SECONDS: u64 = 2;

impl Invariant for Ceilings {
    fn name(&self) -> &'static str {
        NAME
    }

    fn applies_to(&self, _profile: Profile) -> bool {
        true
    }

    fn check(&self, model: &Model<'_>) -> Result<u64, Violation> {
        let ceilings = &model.snapshot.ceilings;
        match ceilings.iter().find(|ceiling| ceiling.most > ceiling.allowed) {
            Some(over) => {
                let words = format!(
                    "{} came to {}, and {} are allowed",
                    over.what, over.most, over.allowed
                );
                Err(Violation::new(NAME, words))
            }
            None => Ok(ceilings.len() as u64 + lengths(model)? + rates(model)?),
        }
    }
}

/// What a client has made is not too long for the hub.
fn lengths(model: &Model<'_>) -> Result<u64, Violation> {
    let made = model.calls.values().filter(|call| call.message.is_some());
    let mut checked = 0;
    for call in made {
        let Some((at, result)) = call.ended else { continue };
        checked += 1;
        if matches!(result, Err(failed) if failed.code.0 == TOO_LONG) {
            let words = format!("{} has made a message that is too long for the hub", call.device);
            return Err(Violation::new(NAME, words).at([call.begun, at]));
        }
    }
    Ok(checked)
}

/// Nobody has more messages accepted in any time than the rate allows in that time. The hub accepts a message between its being
/// sent and the arrival of the response, which the sender may be slow to read. A hub that starts again knows nothing of the time before.
fn rates(model: &Model<'_>) -> Result<u64, Violation> {
    let rate = u64::from(model.history.plan.settings.sends_per_second);
    if rate == 0 {
        return Ok(0);
    }
    let accepted = accepted_of_hostile(model);
    let hub_starts: Vec<_> = (0..)
        .zip(&model.history.observations)
        .filter(|(_, observation)| matches!(observation.what, What::HubStarted { .. }))
        .map(|(at, _)| at)
        .collect();
    let mut checked = 0;
    for (hostile, mut accepted) in accepted {
        accepted.sort_unstable();
        for (first, (sent, _)) in accepted.iter().enumerate() {
            let mut until = *sent;
            for (count, (_, at)) in (1..).zip(&accepted[first..]) {
                until = until.max(*at);
                let ms = model.at_ms(until) - model.at_ms(*sent) + 1;
                let between = |start: &&usize| (*sent..until).contains(*start);
                let bursts = 1 + hub_starts.iter().filter(between).count() as u64;
                let allowed = rate * BURST_SECONDS * bursts + rate * ms / 1_000;
                checked += 1;
                if count > allowed {
                    let words = format!(
                        "{count} messages of rogue-{hostile} were accepted in {ms} ms, {allowed} may be"
                    );
                    return Err(Violation::new(NAME, words).at([*sent, until]));
                }
            }
        }
    }
    Ok(checked)
}

/// Of each hostile user, the messages that were accepted: the observations of their being sent and of the responses.
fn accepted_of_hostile(model: &Model<'_>) -> BTreeMap<u8, Vec<(usize, usize)>> {
    let mut sent = BTreeMap::new();
    let mut accepted: BTreeMap<u8, Vec<(usize, usize)>> = BTreeMap::new();
    for (at, observation) in model.history.observations.iter().enumerate() {
        match observation.what {
            What::AttackSent { hostile, request, .. } => drop(sent.insert((hostile, request), at)),
            What::AttackSaw {
                hostile,
                saw:
                    AttackSaw::Accepted {
                        request,
                        duplicate: false,
                        ..
                    },
            } => {
                if let Some(sent) = sent.get(&(hostile, request)) {
                    accepted.entry(hostile).or_default().push((*sent, at));
                }
            }
            _ => {}
        }
    }
    accepted
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{MadeUp, passes, violates};
    use super::*;
    use crate::simulator::history::{Ceiling, Mark, Observation};
    use crate::simulator::op::{Plan, Target};

    #[test]
    fn a_message_that_only_one_end_finds_too_long() {
        let mut run = MadeUp::new();
        let call = run.send(0, Target::User(1));
        run.fail(call.0, 200_011, false);
        assert!(passes(&Ceilings, &run) > 0);
        let mut run = MadeUp::new();
        let call = run.send(0, Target::User(1));
        run.fail(call.0, TOO_LONG, false);
        violates(&Ceilings, &run, "too long");
    }

    /// A hostile user sends so many messages, with pauses between them, and reads the responses after a time.
    fn accepted(count: u32, pause_ms: u64, reads_after_ms: u64) -> MadeUp {
        let mut run = MadeUp::new();
        run.history.plan.settings.sends_per_second = 10;
        for request in 0..count {
            let mark = Mark::hostile(90, request);
            let message = run.message(Plan::hostile_user(0), Target::User(0), mark);
            let sent = What::AttackSent {
                hostile: 0,
                request,
                message,
            };
            run.at_once(None, sent);
            run.pass(pause_ms);
        }
        run.pass(reads_after_ms);
        for request in 0..count {
            let saw = AttackSaw::Accepted {
                request,
                sequence: u64::from(request) + 1,
                duplicate: false,
            };
            run.at_once(None, What::AttackSaw { hostile: 0, saw });
        }
        run
    }

    #[test]
    fn a_rate_that_is_kept_and_one_that_is_not() {
        assert!(passes(&Ceilings, &accepted(20, 0, 10)) > 0);
        violates(&Ceilings, &accepted(21, 0, 10), "21 messages");
        passes(&Ceilings, &accepted(100, 100, 0));
        violates(
            &Ceilings,
            &accepted(100, 50, 0),
            "messages of rogue-0 were accepted in",
        );
        // Of what is read late nobody knows when it was accepted.
        passes(&Ceilings, &accepted(60, 0, 4_000));
        violates(&Ceilings, &accepted(61, 0, 4_000), "61 messages");
    }

    #[test]
    fn a_hub_that_starts_again_allows_another_burst() {
        let mut run = accepted(21, 0, 10);
        let sent = |observation: &Observation| matches!(observation.what, What::AttackSent { .. });
        let first = run.history.observations.iter().position(sent).unwrap();
        let started = Observation {
            what: What::HubStarted { wall_ms: 0 },
            ..run.history.observations[first]
        };
        run.history.observations.insert(first + 10, started);
        passes(&Ceilings, &run);
    }

    #[test]
    fn below_and_above_a_ceiling() {
        let mut run = MadeUp::new();
        let what = "bytes in a mailbox".to_owned();
        run.snapshot.ceilings.push(Ceiling {
            what,
            most: 5,
            allowed: 5,
        });
        assert_eq!(passes(&Ceilings, &run), 1);
        run.snapshot.ceilings[0].most = 6;
        violates(&Ceilings, &run, "6");
    }
}
