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
/// How much later than the last one the first of several responses may arrive, in milliseconds.
const SPREAD_MS: u64 = 1_000;

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

/// Nobody has more messages accepted in any time than the rate allows in that time.
fn rates(model: &Model<'_>) -> Result<u64, Violation> {
    let rate = u64::from(model.history.plan.settings.sends_per_second);
    let mut accepted: BTreeMap<u8, Vec<(usize, u64)>> = BTreeMap::new();
    for (at, observation) in model.history.observations.iter().enumerate() {
        if let What::AttackSaw {
            hostile,
            saw: AttackSaw::Accepted { duplicate: false, .. },
        } = observation.what
        {
            accepted.entry(hostile).or_default().push((at, observation.at_ms));
        }
    }
    let mut checked = 0;
    for (hostile, accepted) in accepted {
        for (first, (at, from_ms)) in accepted.iter().enumerate() {
            for (last, (until, until_ms)) in accepted.iter().enumerate().skip(first) {
                let (count, ms) = ((last - first + 1) as u64, until_ms - from_ms);
                let allowed = rate * BURST_SECONDS + rate * (ms + SPREAD_MS) / 1_000;
                checked += 1;
                if rate > 0 && count > allowed {
                    let words = format!(
                        "{count} messages of rogue-{hostile} were accepted in {ms} ms, {allowed} may be"
                    );
                    return Err(Violation::new(NAME, words).at([*at, *until]));
                }
            }
        }
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{MadeUp, passes, violates};
    use super::*;
    use crate::simulator::history::Ceiling;
    use crate::simulator::op::Target;

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

    #[test]
    fn a_rate_that_is_kept_and_one_that_is_not() {
        let accepted = |count: u32, pause_ms| {
            let mut run = MadeUp::new();
            run.history.plan.settings.sends_per_second = 10;
            for request in 0..count {
                let saw = AttackSaw::Accepted {
                    request,
                    sequence: u64::from(request) + 1,
                    duplicate: false,
                };
                run.push(None, What::AttackSaw { hostile: 0, saw });
                run.pass(pause_ms);
            }
            run
        };
        passes(&Ceilings, &accepted(30, 0));
        passes(&Ceilings, &accepted(100, 95));
        violates(&Ceilings, &accepted(60, 0), "were accepted in");
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
