//! Who takes part in a run, and how the hub and the devices are configured.

use tim_session::proto::GroupType;

use super::any;
use crate::Rng;
use crate::simulator::op::{
    DeviceKind, FileSettings, Population, Profile, ServerSettings, Settings, UserPlan,
};

pub(super) fn population(rng: &mut Rng, profile: Profile) -> Population {
    let mut users = Vec::new();
    for number in 0..rng.within(4..7) {
        let devices = (0..rng.within(1..4).min(if number == 0 { 3 } else { 2 })).map(|_| {
            let chance = rng.below(100);
            match profile {
                Profile::Serial if chance < 60 => DeviceKind::Serial,
                Profile::Serial if chance < 70 => DeviceKind::Small,
                Profile::Mixed | Profile::Devices | Profile::Crash | Profile::Restore if chance < 8 => {
                    DeviceKind::Serial
                }
                _ if chance < 22 && profile != Profile::Hostile => DeviceKind::Small,
                _ => DeviceKind::Sdk,
            }
        });
        // Device 0 can make every call, if one of the user's devices can.
        let mut devices: Vec<DeviceKind> = devices.collect();
        devices.sort_by_key(|kind| *kind != DeviceKind::Sdk);
        users.push(UserPlan { devices });
    }
    let groups = match profile {
        Profile::Rooms => vec![
            GroupType::AV_CHAT_ROOM,
            GroupType::AV_CHAT_ROOM,
            GroupType::MEETING,
            GroupType::PUBLIC,
        ],
        Profile::Groups | Profile::Backend | Profile::Servers => vec![
            GroupType::PUBLIC,
            GroupType::WORK,
            GroupType::MEETING,
            GroupType::COMMUNITY,
            GroupType::PUBLIC,
        ],
        _ => {
            let types = [
                GroupType::PUBLIC,
                GroupType::WORK,
                GroupType::MEETING,
                GroupType::COMMUNITY,
                GroupType::AV_CHAT_ROOM,
            ];
            let first = rng.below(5) as usize;
            (0..3).map(|n| types[(first + n) % types.len()]).collect()
        }
    };
    Population {
        users,
        hostile: match profile {
            Profile::Hostile => 2,
            Profile::Mixed | Profile::Files => 1,
            _ => 0,
        },
        groups,
        innocent_pair: profile == Profile::Hostile,
        backend: matches!(profile, Profile::Backend | Profile::Servers),
    }
}

pub(super) fn settings(rng: &mut Rng, profile: Profile) -> Settings {
    let usual = Settings::default();
    let mut settings = Settings {
        max_live: any(rng, &[4, 16, 256]),
        event_capacity: any(rng, &[2, 16, 256]),
        window: any(rng, &[1, 4, 16, 64]),
        delay_us: match profile {
            Profile::Hostile => (500, 2_000),
            _ => any(rng, &[(100, 1_000), (500, 20_000), (10_000, 120_000)]),
        },
        max_fragment: match profile {
            Profile::Hostile => usual.max_fragment,
            _ => any(rng, &[1, 16, 500, 1 << 20]),
        },
        keeps: rng.percent(80),
        purge_interval_ms: rng.within(2_000..20_000),
        ..usual
    };
    match profile {
        Profile::Clock => {
            settings.retention_seconds = rng.within(20..60);
            settings.purge_interval_ms = rng.within(1_000..8_000);
        }
        Profile::Logins => {
            settings.max_devices = rng.within(1..4) as usize;
            settings.sig_seconds = rng.within(20..90);
        }
        Profile::Mixed if rng.percent(25) => {
            settings.retention_seconds = rng.within(30..90);
            settings.purge_interval_ms = rng.within(2_000..15_000);
        }
        _ => {}
    }
    if matches!(profile, Profile::Rooms) {
        settings.group_messages_per_second = any(rng, &[2, 5, 40]);
    }
    if matches!(profile, Profile::Hostile) {
        settings.sends_per_second = any(rng, &[20, 200]);
    }
    if settings.max_fragment == 1 {
        // Each byte is an arrival of its own: only a part of the runs, and with little delay.
        settings.delay_us = (20, 200);
    }
    settings
}

/// How the hub keeps files, in the profiles in which there are some. Quotas are small enough to be reached.
pub(super) fn files(rng: &mut Rng, profile: Profile, settings: &mut Settings) {
    let is_light = matches!(profile, Profile::Mixed | Profile::Crash | Profile::Restore);
    if profile != Profile::Files && !(is_light && rng.percent(50)) {
        return;
    }
    settings.files = Some(FileSettings {
        piece_bytes: any(rng, &[500, 1_500, 4_096, 10_000]),
        window: any(rng, &[1, 2, 8]),
        account_bytes: any(rng, &[0, 0, 0, 8_000, 30_000]),
        account_files: any(rng, &[0, 0, 0, 2, 6]),
        max_uploads: any(rng, &[1, 2, 16, 16]),
        upload_life_ms: any(rng, &[4_000, 20_000]),
        unsent_life_ms: any(rng, &[3_000, 15_000]),
    });
    if is_light {
        return;
    }
    settings.max_frame = any(rng, &[24 * 1024, 64 * 1024]);
    settings.max_fragment = settings.max_fragment.max(16);
    if rng.percent(25) {
        settings.retention_seconds = rng.within(20..60);
        settings.purge_interval_ms = rng.within(1_000..8_000);
    }
}

/// How the hub calls servers of others, in the profile in which there are some.
pub(super) fn servers(rng: &mut Rng, profile: Profile, settings: &mut Settings) {
    if profile != Profile::Servers {
        return;
    }
    settings.servers = Some(ServerSettings {
        timeout_ms: any(rng, &[600, 2_000, 2_000]),
        refuse_without_answer: rng.percent(20),
        max_waiting: any(rng, &[3, 4_096, 4_096]),
        max_age_s: any(rng, &[30, 24 * 3600, 24 * 3600, 24 * 3600]),
        max_concurrent: any(rng, &[1, 2, 32]),
        refuses: any(rng, &[0, 8, 20]),
        changes: any(rng, &[0, 15, 40]),
        drops: any(rng, &[0, 0, 8]),
        unanswered: any(rng, &[0, 0, 5, 20]),
        not_taken: any(rng, &[0, 10, 40]),
    });
}

/// In most runs in which applications restart, the buffers between a device and the hub are small: a device that comes back gets
/// its messages piece by piece, between the answers to what it asks for.
pub(super) fn small_buffers(rng: &mut Rng, profile: Profile, settings: &mut Settings) {
    if profile != Profile::Devices || rng.percent(30) {
        return;
    }
    settings.socket_bytes = any(rng, &[2 * 1024, 4 * 1024]);
    settings.max_outgoing = any(rng, &[60 * 1024, 64 * 1024]);
    settings.max_frame = 24 * 1024;
}
