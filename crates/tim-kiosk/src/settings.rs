//! Who the kiosk is and where it stands, from variables of the build:
//!
//! | variable | what | without it |
//! |---|---|---|
//! | `TIM_KIOSK_USER` | who logs in | `kiosk-1` |
//! | `TIM_KIOSK_SIG` | the user's UserSig, as `tim sig make --user kiosk-1` prints it | none: the hub lets nobody in |
//! | `TIM_KIOSK_APP` | the application's number | 1400000000 |
//! | `TIM_KIOSK_DEVICE` | the device's number, another one for each kiosk; a [number in flash](crate::board::number) goes first | 1 |
//! | `TIM_KIOSK_GROUP` | the group that meets in the lobby | `lobby` |
#![forbid(unsafe_code)]

use core::time::Duration;

use tim_transport_embedded::proto::{GroupId, UserId};
use tim_transport_embedded::{ClientConfig, Framing};

use crate::board;

macro_rules! setting {
    ($name:literal, $default:literal) => {
        match option_env!($name) {
            Some(value) => value,
            None => $default,
        }
    };
}

/// The UserSig.
pub(crate) const USER_SIG: &str = setting!("TIM_KIOSK_SIG", "");
/// The lobby's group.
pub(crate) const GROUP: GroupId = match GroupId::new(setting!("TIM_KIOSK_GROUP", "lobby")) {
    Ok(group) => group,
    Err(_) => panic!("TIM_KIOSK_GROUP is no group id"),
};
/// Who logs in.
pub(crate) const USER: UserId = match UserId::new(setting!("TIM_KIOSK_USER", "kiosk-1")) {
    Ok(user) => user,
    Err(_) => panic!("TIM_KIOSK_USER is no user id"),
};
const APP: u32 = match u32::from_str_radix(setting!("TIM_KIOSK_APP", "1400000000"), 10) {
    Ok(app) => app,
    Err(_) => panic!("TIM_KIOSK_APP is no number"),
};
const DEVICE: u64 = match u64::from_str_radix(setting!("TIM_KIOSK_DEVICE", "1"), 10) {
    Ok(device) => device,
    Err(_) => panic!("TIM_KIOSK_DEVICE is no number"),
};

/// The largest frame that the kiosk takes; what is longer comes as a stub.
pub(crate) const MAX_FRAME: usize = 512;

/// The device's number: what was written into this board's flash, or else that of the build.
pub(crate) fn device() -> u64 {
    board::number().unwrap_or(DEVICE)
}

/// A small device on a serial line.
pub(crate) const fn session(device: u64) -> ClientConfig {
    let mut config = ClientConfig::new(APP, USER, device);
    config.framing = Framing::Serial;
    config.max_frame = MAX_FRAME as u32;
    config.window = 2;
    config.serial_retry = Duration::from_millis(500);
    config
}
