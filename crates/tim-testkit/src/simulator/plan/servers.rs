//! What users do about offline push.

use super::{BEGIN_MS, Draft, any, stream};
use crate::Rng;
use crate::simulator::op::{Call, DeviceKind, Op, SHARED_TOKENS};

impl Draft {
    /// The tokens that devices register, if there are sinks. They come beside everything else.
    pub(super) fn servers(&mut self) {
        if self.settings.servers.is_none() {
            return;
        }
        let devices = self.devices().into_iter();
        for (device, _) in devices.filter(|(_, kind)| *kind == DeviceKind::Sdk) {
            let mut rng = stream(self.seed, "tokens", super::number_of(device));
            let own = own_token(device.user, device.device);
            let at = rng.within(1_700..BEGIN_MS);
            if rng.percent(80) {
                self.steps
                    .push((at, Op::Call(device, Call::RegisterPush(own, true))));
            }
            for _ in 0..rng.below(4) {
                let at = self.time(&mut rng);
                let token = token(own, &mut rng);
                let call = match rng.below(10) {
                    0..7 => Call::RegisterPush(token, rng.percent(80)),
                    _ => Call::UnregisterPush(token),
                };
                self.steps.push((at, Op::Call(device, call)));
            }
        }
    }
}

/// The token of a device that only this one registers.
pub(in crate::simulator) fn own_token(user: u8, device: u8) -> u16 {
    SHARED_TOKENS + 4 * u16::from(user) + u16::from(device)
}

/// A token of a device: more often its own.
pub(in crate::simulator) fn token(own: u16, rng: &mut Rng) -> u16 {
    match rng.percent(70) {
        true => own,
        false => any(rng, &[0, 1, 2]),
    }
}
