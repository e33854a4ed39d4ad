//! How often each kind of fault is expected in a run, by profile.

use crate::simulator::op::Profile;

/// How often each kind of fault is expected in a run, in tenths; links and devices: in a run over all of them together.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rates {
    pub(super) cuts: u64,
    pub(super) silent: u64,
    pub(super) unreachable: u64,
    pub(super) slow: u64,
    pub(super) serial: u64,
    pub(super) slow_readers: u64,
    pub(super) restarts: u64,
    pub(super) resets: u64,
    /// Only of devices of firmware.
    pub(super) power_cuts: u64,
    pub(super) twins: u64,
    pub(super) device_clocks: u64,
    pub(super) stops: u64,
    pub(super) crashes: u64,
    pub(super) backups: u64,
    pub(super) restores: u64,
    pub(super) hub_clocks: u64,
    pub(super) store_errors: u64,
    pub(super) store_slow: u64,
    pub(super) attacks: u64,
    pub(super) servers: u64,
}

impl Rates {
    pub(super) const fn of(profile: Profile) -> Self {
        let none = Self {
            cuts: 0,
            silent: 0,
            unreachable: 0,
            slow: 0,
            serial: 0,
            slow_readers: 0,
            restarts: 0,
            resets: 0,
            power_cuts: 0,
            twins: 0,
            device_clocks: 0,
            stops: 0,
            crashes: 0,
            backups: 0,
            restores: 0,
            hub_clocks: 0,
            store_errors: 0,
            store_slow: 0,
            attacks: 0,
            servers: 0,
        };
        match profile {
            Profile::Calm | Profile::Groups | Profile::Rooms => Self {
                slow_readers: 5,
                cuts: if matches!(profile, Profile::Calm) { 0 } else { 20 },
                ..none
            },
            Profile::Mixed => Self {
                cuts: 40,
                silent: 15,
                unreachable: 10,
                slow: 10,
                serial: 10,
                slow_readers: 10,
                restarts: 15,
                resets: 8,
                power_cuts: 8,
                twins: 5,
                device_clocks: 5,
                stops: 5,
                crashes: 8,
                backups: 5,
                restores: 3,
                hub_clocks: 5,
                store_errors: 10,
                store_slow: 10,
                attacks: 30,
                servers: 0,
            },
            Profile::Links => Self {
                cuts: 120,
                silent: 50,
                unreachable: 30,
                slow: 40,
                slow_readers: 20,
                ..none
            },
            Profile::Serial => Self {
                serial: 120,
                cuts: 20,
                stops: 8,
                resets: 10,
                power_cuts: 30,
                restarts: 10,
                ..none
            },
            Profile::Devices => Self {
                restarts: 80,
                resets: 40,
                power_cuts: 60,
                cuts: 30,
                slow_readers: 30,
                device_clocks: 10,
                ..none
            },
            Profile::Crash => Self {
                crashes: 40,
                power_cuts: 30,
                stops: 15,
                cuts: 20,
                restarts: 20,
                store_slow: 10,
                ..none
            },
            Profile::Restore => Self {
                backups: 30,
                restores: 15,
                crashes: 5,
                cuts: 20,
                restarts: 20,
                resets: 5,
                power_cuts: 8,
                ..none
            },
            Profile::Clock => Self {
                hub_clocks: 40,
                device_clocks: 30,
                stops: 8,
                cuts: 20,
                restarts: 10,
                ..none
            },
            Profile::Store => Self {
                store_errors: 60,
                store_slow: 40,
                cuts: 20,
                crashes: 5,
                ..none
            },
            Profile::Logins => Self {
                twins: 50,
                cuts: 40,
                silent: 30,
                restarts: 30,
                stops: 5,
                ..none
            },
            Profile::Hostile => Self { attacks: 250, ..none },
            Profile::Backend => Self {
                cuts: 30,
                silent: 5,
                unreachable: 5,
                restarts: 15,
                resets: 3,
                stops: 8,
                crashes: 15,
                backups: 12,
                restores: 6,
                hub_clocks: 8,
                store_errors: 15,
                store_slow: 8,
                ..none
            },
            Profile::Servers => Self {
                cuts: 15,
                silent: 3,
                restarts: 10,
                stops: 8,
                crashes: 15,
                backups: 3,
                restores: 2,
                hub_clocks: 2,
                store_errors: 8,
                store_slow: 6,
                servers: 60,
                ..none
            },
            Profile::Files => Self {
                cuts: 40,
                silent: 8,
                unreachable: 8,
                slow: 20,
                restarts: 25,
                resets: 5,
                stops: 8,
                crashes: 10,
                backups: 5,
                restores: 4,
                hub_clocks: 3,
                store_errors: 12,
                store_slow: 12,
                ..none
            },
        }
    }
}
