//! Who was kicked out, blocked or deleted has no session of before and cannot log in with an older UserSig; who is blocked cannot log in at
//! all. And nobody else loses a session in this way.

use tim_session::proto::{ErrorCode, UserId};

use super::super::history::{Event, Observation, What};
use super::super::op::{Call, DeviceKind, DeviceRef, Profile, Rest};
use super::model::{Called, Watcher};
use super::{Invariant, Model, Violation};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct KeptOut;

const NAME: &str = "kept-out";

/// How long it may take until a device knows that its session has ended, beside the way there, in milliseconds.
const NOTICED_MS: u64 = 2_000;

impl Invariant for KeptOut {
    fn name(&self) -> &'static str {
        NAME
    }

    fn applies_to(&self, profile: Profile) -> bool {
        matches!(profile, Profile::Backend | Profile::Servers)
    }

    fn check(&self, model: &Model<'_>) -> Result<u64, Violation> {
        let mut checked = kicked_for_a_reason(model)?;
        for call in model.calls.values() {
            let Some(user) = call.op.ends_sessions_of() else {
                continue;
            };
            checked += has_new_sigs(model, call, user)?;
            checked += is_blocked(model, call, user)?;
        }
        Ok(checked)
    }
}

/// Nobody is kicked out by an application's server that has not tried to.
fn kicked_for_a_reason(model: &Model<'_>) -> Result<u64, Violation> {
    let mut checked = 0;
    for (at, observation) in model.history.observations.iter().enumerate() {
        let (What::Event(Event::KickedOut(code)), Some(device)) = (&observation.what, observation.device)
        else {
            continue;
        };
        if *code != ErrorCode::KICKED_OUT_REST_API {
            continue;
        }
        checked += 1;
        let mut calls = model.calls.values().filter(|call| call.begun < at);
        let is_it = |call: &Called<'_>| {
            call.op.ends_sessions_of() == Some(device.user_id()) && !call.certainly_failed()
        };
        if !calls.any(is_it) {
            let words = format!("{device} was kicked out, and no server has tried to");
            return Err(Violation::new(NAME, words).at([at]));
        }
    }
    Ok(checked)
}

/// At rest, every device of the user is logged in with a UserSig that was made since.
fn has_new_sigs(model: &Model<'_>, call: &Called<'_>, user: UserId) -> Result<u64, Violation> {
    let Some((at, _)) = call.returned() else {
        return Ok(0);
    };
    let voids = matches!(call.op, Call::Rest(Rest::Kick(_) | Rest::Delete(_)));
    if !voids || model.may_be_lost(Watcher::Device(DeviceRef::BACKEND), at) {
        return Ok(0);
    }
    let void_before_s = model.wall_ms(call.begun) / 1000;
    let mut checked = 0;
    let devices = model.snapshot.devices.iter().filter(|state| state.ready);
    for state in devices.filter(|state| state.device.user_id() == user) {
        checked += 1;
        if let Some(since_s) = state.sig_since_s.filter(|since_s| *since_s < void_before_s) {
            let words = format!(
                "{} is logged in with a UserSig of {since_s}, and those from before {void_before_s} are void",
                state.device
            );
            return Err(Violation::new(NAME, words).at([call.begun, at]));
        }
    }
    Ok(checked)
}

/// From when it is acknowledged until somebody may let the user in again, no device is logged in, or comes to be.
fn is_blocked(model: &Model<'_>, call: &Called<'_>, user: UserId) -> Result<u64, Violation> {
    let (Call::Rest(Rest::Block(number, true)), Some((from, _))) = (call.op, call.returned()) else {
        return Ok(0);
    };
    let mut lets_in = model.calls.values().filter(|other| {
        matches!(other.op, Call::Rest(Rest::Block(whom, false)) if whom == number)
            && other.over() > call.begun
    });
    // One that was under way at the same time may have come behind it.
    if lets_in.clone().any(|other| other.begun < from) {
        return Ok(0);
    }
    let restored = (from..model.history.observations.len()).find(|at| model.restored_between(from, at + 1));
    let until = lets_in.by_ref().map(|other| other.begun).chain(restored).min();
    let until = until.unwrap_or(model.history.observations.len());
    let mut checked = 0;
    for device in model.snapshot.devices.iter().map(|state| state.device) {
        if device.user_id() == user && model.kind(device) == Some(DeviceKind::Sdk) {
            checked += stays_out(model, device, (call.begun, from, until))?;
        }
    }
    Ok(checked)
}

/// Checks that a device has no session from a while after the second of these observations, up to the third.
fn stays_out(
    model: &Model<'_>,
    device: DeviceRef,
    (begun, from, until): (usize, usize, usize),
) -> Result<u64, Violation> {
    let Some(travel_ms) = model.travel_ms(device) else {
        return Ok(0);
    };
    let known_ms = model.at_ms(from) + travel_ms + NOTICED_MS;
    let is_own = |observation: &&Observation| observation.device == Some(device);
    let observations = model.history.observations.get(..until).unwrap_or_default();
    let mut is_connected = None;
    for (at, observation) in observations.iter().enumerate() {
        if !is_own(&observation) {
            continue;
        }
        match connection(&observation.what) {
            Some(true) => {
                is_connected = Some(at);
                if at > from && observation.at_ms > known_ms {
                    let words = format!("{device} is let in, and its user is blocked");
                    return Err(Violation::new(NAME, words).at([begun, from, at]));
                }
            }
            Some(false) => is_connected = None,
            None => {}
        }
    }
    let is_over = observations.last().is_some_and(|last| last.at_ms > known_ms);
    match is_connected.filter(|_| is_over && is_told(model, device, from, until)) {
        Some(at) => {
            let words = format!("{device} is still connected, and its user is blocked");
            Err(Violation::new(NAME, words).at([at, begun, from]))
        }
        None => Ok(1),
    }
}

/// Whether what the hub has sent to a device arrives: nothing has happened to its link.
fn is_told(model: &Model<'_>, device: DeviceRef, from: usize, until: usize) -> bool {
    let observations = model.history.observations.get(..until).unwrap_or_default();
    let disturbs = |observation: &Observation| match observation.what {
        What::LinkFault(_) | What::DeviceFault(_) => observation.device == Some(device),
        What::HubEnded(_) | What::HubFailed => true,
        _ => false,
    };
    // A link that is silent may have been so for long.
    !observations
        .iter()
        .enumerate()
        .any(|(at, observation)| disturbs(observation) && (at > from || observation.device == Some(device)))
}

/// Whether a device has a connection on which it is logged in since an observation.
fn connection(what: &What) -> Option<bool> {
    match what {
        What::Event(Event::Other(name)) if name == "net Connected" => Some(true),
        What::Event(Event::Other(name)) if name.starts_with("net ") => Some(false),
        What::Event(Event::KickedOut(_) | Event::NotReady(_)) | What::Ended => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{MadeUp, device, passes, violates};
    use super::*;
    use crate::simulator::history::Returned;

    const CONNECTED: &str = "net Connected";

    fn net(state: &str) -> What {
        What::Event(Event::Other(state.to_owned()))
    }

    /// User 0 is connected, and the server makes a call.
    fn after(rest: Rest) -> MadeUp {
        let mut run = MadeUp::new();
        run.push(Some(device(0)), net(CONNECTED));
        let call = run.backend(Call::Rest(rest));
        run.returns(call, Returned::Done);
        run
    }

    #[test]
    fn who_was_kicked_out_comes_back_with_a_new_user_sig_only() {
        for rest in [Rest::Kick(0), Rest::Delete(0)] {
            let mut run = after(rest);
            let now_s = run.snapshot.wall_ms / 1000;
            run.snapshot.devices[0].sig_since_s = Some(now_s);
            assert!(passes(&KeptOut, &run) > 0);
            run.snapshot.devices[0].sig_since_s = Some(now_s - 10);
            violates(&KeptOut, &run, "is logged in with a UserSig of");
            run.push(None, What::Restored { backup: 0 });
            passes(&KeptOut, &run);
        }
    }

    #[test]
    fn somebody_is_kicked_out_whom_nobody_has_kicked() {
        let mut run = after(Rest::Kick(0));
        let kicked = What::Event(Event::KickedOut(ErrorCode::KICKED_OUT_REST_API));
        run.push(Some(device(0)), kicked.clone());
        passes(&KeptOut, &run);
        run.push(Some(device(1)), kicked);
        violates(&KeptOut, &run, "no server has tried to");
    }

    #[test]
    fn who_is_blocked_stays_out_until_somebody_lets_the_user_in() {
        let mut still = after(Rest::Block(0, true));
        let mut out = still.clone();
        still.pass(10_000);
        still.push(None, What::RestBegins);
        violates(&KeptOut, &still, "is still connected");
        out.push(Some(device(0)), net("net Disconnected"));
        out.pass(10_000);
        let mut back = out.clone();
        back.push(Some(device(0)), net(CONNECTED));
        violates(&KeptOut, &back, "is let in");
        let call = out.backend(Call::Rest(Rest::Block(0, false)));
        out.returns(call, Returned::Done);
        out.push(Some(device(0)), net(CONNECTED));
        assert!(passes(&KeptOut, &out) > 0);
    }
}
