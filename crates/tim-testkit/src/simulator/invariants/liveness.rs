//! After the faults end, everything settles within the deadline: every device that wants to be is ready, and every call has returned.

use super::{Invariant, Model, Violation};
use crate::simulator::op::Profile;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Liveness;

const NAME: &str = "liveness";

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
        Ok(devices.count() as u64 + model.calls.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{MadeUp, device, passes, violates};
    use super::*;
    use crate::simulator::history::What;
    use crate::simulator::op::Target;

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
    fn a_call_that_never_returns_unless_its_application_has_ended() {
        let mut run = MadeUp::new();
        run.send(0, Target::User(1));
        violates(&Liveness, &run, "has not returned");
        run.push(Some(device(0)), What::Ended);
        passes(&Liveness, &run);
    }
}
