//! Another message under a used id is never acknowledged.

use std::collections::BTreeMap;

use tim_session::proto::{ErrorCode, MessageId, UserId};

use super::super::history::{AttackSaw, Mark, What};
use super::{Invariant, Model, Violation};
use crate::simulator::op::{Attack, Profile};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct UsedId;

const NAME: &str = "used-id";

impl Invariant for UsedId {
    fn name(&self) -> &'static str {
        NAME
    }

    fn applies_to(&self, _profile: Profile) -> bool {
        true
    }

    fn check(&self, model: &Model<'_>) -> Result<u64, Violation> {
        let mut acknowledged: BTreeMap<(UserId, MessageId), Vec<(usize, Mark)>> = BTreeMap::new();
        for (mark, message) in &model.messages {
            for accepted in message.accepted.iter().filter(|accepted| accepted.sequence > 0) {
                let known = acknowledged.entry((message.sent.from, accepted.id)).or_default();
                known.push((accepted.at, *mark));
            }
        }
        let mut checked = 0;
        for ((from, id), mut acknowledgements) in acknowledged {
            acknowledgements.sort_unstable();
            for pair in acknowledgements.windows(2) {
                let [(first, one), (second, other)] = *pair else {
                    continue;
                };
                checked += 1;
                // A restore may have undone the first one.
                if one != other && !model.restored_between(first, second) {
                    let words =
                        format!("{one} and {other} of {from} were both acknowledged under the id {id}");
                    return Err(Violation::new(NAME, words).at([first, second]));
                }
            }
            checked += 1;
        }
        Ok(checked + accounts(model)? + honest(model)?)
    }
}

/// Who makes ids as clients do is never left with one that is used.
fn honest(model: &Model<'_>) -> Result<u64, Violation> {
    let mut checked = 0;
    for call in model.calls.values().filter(|call| call.message.is_some()) {
        let Some((at, result)) = call.ended else { continue };
        checked += 1;
        if matches!(result, Err(failed) if failed.code == ErrorCode::MESSAGE_ID_REUSED) {
            let words = format!("{} has sent a message under an id that it had used", call.device);
            return Err(Violation::new(NAME, words).at([call.begun, at]));
        }
    }
    Ok(checked)
}

/// A hostile user's message under the id of another account is never acknowledged.
fn accounts(model: &Model<'_>) -> Result<u64, Violation> {
    let mut forged = BTreeMap::new();
    let mut doing = BTreeMap::new();
    let mut checked = 0;
    for (at, observation) in model.history.observations.iter().enumerate() {
        match &observation.what {
            What::Attacked { hostile, attack, .. } => drop(doing.insert(*hostile, *attack)),
            What::AttackSent { hostile, request, .. } => {
                let is_forged = matches!(
                    doing.get(hostile),
                    Some(Attack::ForgedId(_) | Attack::ForgedExtensions(_) | Attack::ForgedKind(..))
                );
                if is_forged {
                    forged.insert((*hostile, *request), at);
                    checked += 1;
                }
            }
            What::AttackSaw {
                hostile,
                saw: AttackSaw::Accepted { request, .. },
            } => {
                if let Some(sent) = forged.get(&(*hostile, *request)) {
                    let words = format!("a forged message of rogue-{hostile} was acknowledged");
                    return Err(Violation::new(NAME, words).at([*sent, at]));
                }
            }
            _ => {}
        }
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{MadeUp, passes, violates};
    use super::*;
    use crate::simulator::op::Target;

    #[test]
    fn two_messages_under_one_id() {
        let mut run = MadeUp::new();
        let [one, two] = [run.send(0, Target::User(1)), run.send(0, Target::User(1))];
        run.accept(one, 1);
        run.accept(two, 2);
        assert!(passes(&UsedId, &run) >= 2);
        let mut run = MadeUp::new();
        let [one, two] = [run.send(0, Target::User(1)), run.send(0, Target::User(1))];
        run.accept_as(one, 1, 5);
        run.accept_as(two, 1, 5);
        violates(&UsedId, &run, "both acknowledged");
    }

    #[test]
    fn the_same_message_twice_is_fine_and_after_a_restore_another_one_too() {
        let mut run = MadeUp::new();
        let [one, two] = [run.send(0, Target::User(1)), run.send(0, Target::User(1))];
        run.accept_as(one, 1, 5);
        run.accept_as(one, 1, 5);
        run.push(None, What::Restored { backup: 0 });
        run.accept_as(two, 1, 5);
        passes(&UsedId, &run);
    }

    #[test]
    fn a_client_is_left_with_a_used_id() {
        let mut run = MadeUp::new();
        let call = run.send(0, Target::User(1));
        run.fail(call.0, 200_011, false);
        assert!(passes(&UsedId, &run) > 0);
        let mut run = MadeUp::new();
        let call = run.send(0, Target::User(1));
        run.fail(call.0, 200_025, false);
        violates(&UsedId, &run, "under an id that it had used");
    }

    #[test]
    fn a_forged_id_is_acknowledged() {
        let mut run = MadeUp::new();
        let attack = Attack::ForgedId(Target::User(0));
        let hostile = 0;
        run.push(
            None,
            What::Attacked {
                call: 90,
                hostile,
                attack,
            },
        );
        let message = run.message(Plan::hostile_user(0), Target::User(0), Mark::hostile(90, 0));
        run.push(
            None,
            What::AttackSent {
                hostile,
                request: 3,
                message,
            },
        );
        passes(&UsedId, &run);
        let saw = AttackSaw::Accepted {
            request: 3,
            sequence: 1,
            duplicate: false,
        };
        run.push(None, What::AttackSaw { hostile, saw });
        violates(&UsedId, &run, "forged");
    }

    use crate::simulator::op::Plan;
}
