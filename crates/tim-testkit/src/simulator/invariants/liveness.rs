//! After the faults end, everything settles within the deadline: every device that wants to be is ready, and every call has returned.
//! Nobody is thrown out meanwhile for what passes by itself, or for another login of the device that there was not.

use tim_session::proto::ErrorCode;

use super::super::history::{Event, Observation, What};
use super::super::op::DeviceRef;
use super::{Invariant, Model, Violation};
use crate::simulator::op::Profile;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Liveness;

const NAME: &str = "liveness";

/// Codes of what passes by itself: overload, a store that fails or is full, a hub that stops, too many requests.
const PASSES: [u32; 5] = [60_022, 200_005, 200_006, 200_008, 200_011];

/// How long a login of an earlier life of a device, or of a twin, may be on its way or alive.
const LATE_MS: u64 = 60_000;

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

/// What passes by itself ends no session for good, and another login ends one only if there was another one.
fn endings(model: &Model<'_>) -> Result<u64, Violation> {
    let mut checked = 0;
    for (at, observation) in model.history.observations.iter().enumerate() {
        let (code, for_good) = match &observation.what {
            What::Event(Event::KickedOut(code) | Event::LoginFailed(code)) => (*code, true),
            What::Event(Event::TurnedAway(code)) => (*code, false),
            _ => continue,
        };
        checked += 1;
        if for_good && PASSES.contains(&code.0) {
            let words = format!("a session has ended for good with {code}, which passes by itself");
            return Err(Violation::new(NAME, words).at([at]));
        }
        if let Some(device) = observation.device
            && code == ErrorCode::SESSION_REPLACED
            && !has_another(model, device, at)
        {
            let words =
                format!("{device} had to go for another login, and only this one of the device lives");
            return Err(Violation::new(NAME, words).at([at]));
        }
    }
    Ok(checked)
}

/// Whether something other than the first life of a device may have logged in: a twin, or a later life, to which something of the
/// earlier one may come late.
fn has_another(model: &Model<'_>, device: DeviceRef, at: usize) -> bool {
    let now_ms = model.at_ms(at);
    let before = model.history.observations.get(..at).unwrap_or_default();
    let of_device = before.iter().filter(|other| other.device == Some(device));
    let is_another = |other: &Observation| match other.what {
        What::Started(started) => started.twin || started.life > 0,
        _ => false,
    };
    let mut recent = of_device.filter(|other| other.at_ms + LATE_MS > now_ms);
    recent.any(is_another)
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{MadeUp, device, passes, violates};
    use super::*;
    use crate::simulator::history::{Started, StartsFrom};
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
    fn a_device_that_goes_for_another_login_that_there_was_not() {
        let mut run = MadeUp::new();
        let started = Started {
            life: 1,
            from: StartsFrom::Now,
            twin: true,
        };
        for event in [Event::TurnedAway, Event::KickedOut] {
            let mut alone = run.clone();
            let replaced = What::Event(event(ErrorCode::SESSION_REPLACED));
            alone.push(Some(device(1)), replaced.clone());
            violates(&Liveness, &alone, "for another login");
            let mut beside = run.clone();
            beside.push(Some(device(1)), What::Started(started));
            let mut late = beside.clone();
            beside.push(Some(device(1)), replaced.clone());
            passes(&Liveness, &beside);
            late.pass(LATE_MS);
            late.push(Some(device(1)), replaced);
            violates(&Liveness, &late, "for another login");
        }
        run.push(
            Some(device(1)),
            What::Event(Event::TurnedAway(ErrorCode::SERVER_SHUTTING_DOWN)),
        );
        passes(&Liveness, &run);
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
