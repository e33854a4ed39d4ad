//! After the faults end, everything settles within the deadline: every device that wants to be is ready, and every call has returned.

use super::super::history::{Event, What};
use super::{Invariant, Model, Violation};
use crate::simulator::op::Profile;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Liveness;

const NAME: &str = "liveness";

/// Codes of what passes by itself: overload, a store that fails or is full, a hub that stops, too many requests.
const PASSES: [u32; 5] = [60_022, 200_005, 200_006, 200_008, 200_011];

impl Invariant for Liveness {
    fn name(&self) -> &'static str {
        NAME
    }

    fn applies_to(&self, _profile: Profile) -> bool {
        true
    }

    fn check(&self, model: &Model<'_>) -> Result<u64, Violation> {
        let devices = model.snapshot.devices.iter().filter(|state| state.wants_in);
        if let Some(out) = devices.clone().find(|state| !state.ready) {
            let words = format!("{} wants to be logged in and is not ready", out.device);
            return Err(Violation::new(NAME, words));
        }
        let hangs = model
            .calls
            .iter()
            .find(|(_, call)| call.ended.is_none() && !call.abandoned);
        if let Some((number, call)) = hangs {
            let words = format!("call {number} of {} has not returned: {:?}", call.device, call.op);
            return Err(Violation::new(NAME, words).at([call.begun]));
        }
        if let Some(unsettled) = model.snapshot.unsettled.first() {
            return Err(Violation::new(NAME, format!("not settled: {unsettled}")));
        }
        Ok(devices.count() as u64 + model.calls.len() as u64 + endings(model)?)
    }
}

/// What passes by itself ends no session for good.
fn endings(model: &Model<'_>) -> Result<u64, Violation> {
    let mut checked = 0;
    for (at, observation) in model.history.observations.iter().enumerate() {
        let What::Event(Event::KickedOut(code) | Event::LoginFailed(code)) = &observation.what else {
            continue;
        };
        checked += 1;
        if PASSES.contains(&code.0) {
            let words = format!("a session has ended for good with {code}, which passes by itself");
            return Err(Violation::new(NAME, words).at([at]));
        }
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{MadeUp, device, passes, violates};
    use super::*;
    use crate::simulator::op::Target;
    use tim_session::proto::ErrorCode;

    #[test]
    fn a_device_that_is_not_ready_or_something_that_does_not_settle() {
        let mut run = MadeUp::new();
        assert!(passes(&Liveness, &run) >= 3);
        run.snapshot.devices[1].ready = false;
        violates(&Liveness, &run, "is not ready");
        run.snapshot.devices[1].wants_in = false;
        passes(&Liveness, &run);
        run.snapshot.unsettled.push("the store's queue".to_owned());
        violates(&Liveness, &run, "not settled");
    }

    #[test]
    fn a_session_that_ends_for_good_because_of_what_passes() {
        for (code, passes_by_itself) in [(60_022, true), (200_006, true), (6_208, false), (70_001, false)] {
            let mut run = MadeUp::new();
            run.push(Some(device(0)), What::Event(Event::KickedOut(ErrorCode(code))));
            match passes_by_itself {
                true => violates(&Liveness, &run, "which passes by itself"),
                false => assert!(passes(&Liveness, &run) > 0),
            }
        }
    }

    #[test]
    fn a_call_that_never_returns_unless_its_application_has_ended() {
        let mut run = MadeUp::new();
        run.send(0, Target::User(1));
        violates(&Liveness, &run, "has not returned");
        run.push(Some(device(0)), What::Ended);
        passes(&Liveness, &run);
    }
}
