//! What the devices do with files, and what goes wrong with those.

use super::{BEGIN_MS, Draft, any, below_any, number_of, stream, within_any};
use crate::Rng;
use crate::simulator::op::{
    Attack, Body, Call, DeviceKind, DeviceRef, FileBody, FileFault, FileKind, Mention, Op, Profile,
    StoreFault, Target,
};

/// How long the known contents are.
const KNOWN: [u32; 4] = [300, 2_000, 5_000, 12_000];

impl Draft {
    /// Calls with files and faults of the file store, if the hub keeps files. They come beside everything else.
    pub(super) fn files(&mut self) {
        if self.settings.files.is_none() {
            return;
        }
        let is_light = self.profile != Profile::Files;
        let mut rng = stream(self.seed, "file faults", 0);
        for _ in 0..rng.below(if is_light { 2 } else { 5 }) {
            let at = rng.within(BEGIN_MS..self.end_ms);
            self.moments.push(at);
            let fault = file_fault(&mut rng);
            self.steps.push((at, Op::Store(fault)));
        }
        self.file_attacks();
        for (device, kind) in self.devices() {
            let mut rng = stream(self.seed, "files", number_of(device));
            let count = match (kind, is_light) {
                (DeviceKind::Serial, _) => 0,
                (_, true) => rng.below(3),
                (_, false) => rng.within(4..16),
            };
            let mut at = self.time(&mut rng);
            for _ in 0..count {
                at = match rng.percent(25) {
                    true => at + rng.below(200),
                    false => self.time(&mut rng),
                };
                let call = self.file_call(device, kind, &mut rng);
                self.steps.push((at, Op::Call(device, call)));
            }
        }
    }

    fn file_attacks(&mut self) {
        let (users, groups) = (self.users(), self.population.groups.len() as u64);
        for hostile in 0..self.population.hostile {
            let mut rng = stream(self.seed, "hostile files", u64::from(hostile));
            let most = if self.profile == Profile::Files { 16 } else { 3 };
            for _ in 0..rng.below(most) {
                let at = rng.within(BEGIN_MS..self.end_ms);
                let to = match rng.percent(50) {
                    true => Target::User(rng.below(users) as u8),
                    false => Target::Group(rng.below(groups) as u8),
                };
                let attack = match rng.below(8) {
                    0..2 => Attack::TakeFiles(to),
                    2..4 => Attack::NameFile(to),
                    4 => Attack::TakeUploads,
                    _ => Attack::OddUpload(rng.below(6) as u8),
                };
                self.steps.push((at, Op::Attack(hostile, attack)));
            }
        }
    }

    fn file_call(&self, device: DeviceRef, kind: DeviceKind, rng: &mut Rng) -> Call {
        let to = self.target(device, rng);
        match rng.below(100) {
            0..45 => {
                let body = self.body(kind, rng);
                send_file(rng, to, body)
            }
            45..52 => Call::Resend(rng.below(3) as u16),
            52..55 => Call::ResendKept(rng.below(4) as u16),
            55..60 => Call::CancelUpload(rng.below(3) as u16),
            60..68 => Call::Forward {
                which: self.which(device, rng),
                to,
            },
            68..72 => Call::Revoke(self.which(device, rng)),
            _ => Call::Download {
                which: self.which(device, rng),
                part: any(rng, &[0, 0, 0, 1, 2, 3]),
                from: match rng.percent(60) {
                    true => 0,
                    false => rng.below(60_000) as u32,
                },
                again_after: match rng.percent(70) {
                    true => 0,
                    false => within_any(rng, 1, &[100, 3_000, 20_000]) as u32,
                },
            },
        }
    }

    fn body(&self, kind: DeviceKind, rng: &mut Rng) -> FileBody {
        let is_small = kind != DeviceKind::Sdk;
        let most: &[u64] = match (is_small, self.profile) {
            (true, _) => &[200, 2_500],
            (false, Profile::Files) => &[200, 5_000, 20_000, 20_000, 60_000],
            (false, _) => &[200, 3_000],
        };
        file_body(rng, most)
    }
}

/// A file of up to one of these sizes.
pub(in crate::simulator) fn file_body(rng: &mut Rng, most: &[u64]) -> FileBody {
    let kind = any(
        rng,
        &[
            FileKind::File,
            FileKind::File,
            FileKind::Image,
            FileKind::Audio,
            FileKind::Video,
        ],
    );
    let known = below_any(rng, &[1, 1, 4, 5]) as usize;
    match known.checked_sub(1).and_then(|at| KNOWN.get(at)) {
        Some(size)
            if kind != FileKind::Image && u64::from(*size) < most.iter().copied().max().unwrap_or(0) =>
        {
            FileBody {
                kind,
                size: *size,
                content: known as u16,
            }
        }
        _ => FileBody {
            kind,
            size: within_any(rng, 1, most) as u32,
            content: 0,
        },
    }
}

/// The call that sends it.
pub(in crate::simulator) fn send_file(rng: &mut Rng, to: Target, body: FileBody) -> Call {
    Call::Send {
        to,
        body: Body::File(body),
        priority: rng.within(1..5) as u8,
        online_only: rng.percent(4),
        mention: Mention::Nobody,
        retry_ms: any(rng, &[0, 0, 3_000, 20_000]),
    }
}

fn file_fault(rng: &mut Rng) -> StoreFault {
    let fault = any(
        rng,
        &[
            FileFault::Full,
            FileFault::ReadOnly,
            FileFault::Unreadable,
            FileFault::Flaky,
        ],
    );
    StoreFault::Files(fault, within_any(rng, 100, &[1_000, 5_000, 20_000]) as u32)
}
