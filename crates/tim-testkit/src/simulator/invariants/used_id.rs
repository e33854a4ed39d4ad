//! Another message under a used id is never acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use tim_session::proto::{ErrorCode, MessageId, UserId};

use super::super::history::{AttackSaw, Mark, What};
use super::model::Accepted;
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
            // An application's server is not always told the id.
            let is_known =
                |accepted: &&Accepted| accepted.sequence > 0 && accepted.id != MessageId::default();
            for accepted in message.accepted.iter().filter(is_known) {
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

/// What a hostile user must not send, as a message under the id of another account, is never acknowledged.
fn accounts(model: &Model<'_>) -> Result<u64, Violation> {
    let mut forgeries = BTreeSet::new();
    let mut forged = BTreeMap::new();
    let mut checked = 0;
    for (at, observation) in model.history.observations.iter().enumerate() {
        match &observation.what {
            What::Attacked { call, attack, .. } if is_forgery(attack) => {
                forgeries.insert(Mark::hostile(*call, 0));
            }
            What::AttackSent {
                hostile,
                request,
                message,
            } if message.said.mark.is_some_and(|mark| forgeries.contains(&mark)) => {
                forged.insert((*hostile, *request), at);
                checked += 1;
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

/// Whether the message that an attack sends must not be acknowledged.
const fn is_forgery(attack: &Attack) -> bool {
    matches!(
        attack,
        Attack::ForgedId(_) | Attack::ForgedExtensions(_) | Attack::ForgedKind(..)
    )
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

    /// A hostile user forges an id, and then does something honest that is sent first, as one that logs in before does.
    #[test]
    fn a_forged_id_is_acknowledged() {
        let mut run = MadeUp::new();
        let hostile = 0;
        let attacks = [
            Attack::ForgedId(Target::User(0)),
            Attack::SendFlood(Target::User(0), 1),
        ];
        for (call, attack) in (90..).zip(attacks) {
            let attacked = What::Attacked {
                call,
                hostile,
                attack,
            };
            run.push(None, attacked);
        }
        for (call, request) in [(91, 2), (90, 3)] {
            let message = run.message(Plan::hostile_user(0), Target::User(0), Mark::hostile(call, 0));
            let sent = What::AttackSent {
                hostile,
                request,
                message,
            };
            run.push(None, sent);
        }
        for (request, is_fine) in [(2, true), (3, false)] {
            let saw = AttackSaw::Accepted {
                request,
                sequence: 1,
                duplicate: false,
            };
            run.push(None, What::AttackSaw { hostile, saw });
            match is_fine {
                true => drop(passes(&UsedId, &run)),
                false => violates(&UsedId, &run, "forged"),
            }
        }
    }

    use crate::simulator::op::Plan;
}
