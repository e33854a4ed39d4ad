//! Who is online, and what waits for each device.
//!
//! A device's mailbox has three parts, each with a ceiling and a policy. *Answers* are bounded by the requests that the
//! connection may have under way. *Live* deliveries are a fast path over the log: when they are too many, they are
//! dropped and the device is marked behind, to read on from the log when it has room. *Changes* of the user's own state
//! are one for each conversation, the newest; beyond the ceiling the oldest goes.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use bytes::Bytes;
use tim_proto::request::ConversationChange;
use tim_proto::wire::FrameKind;
use tim_proto::{ErrorCode, GroupId, UserId};

use super::rate::Bucket;
use crate::store::{Answer, LogKey};

/// How many changes of the user's own state wait for one device.
const MAX_CHANGES: usize = 256;

/// An entry on its way to devices, encoded once for all of them.
#[derive(Debug)]
pub(super) struct Delivery {
    /// Its place in the order of changes; 0 for a message that is not stored.
    pub(super) change: u64,
    pub(super) sender: UserId,
    /// The sending device's number.
    pub(super) origin: u64,
    /// The encoded message.
    pub(super) message: Bytes,
}

impl Delivery {
    /// Whether `device` sent it itself and so is not to be told (S105).
    pub(super) fn is_from(&self, device: &Device) -> bool {
        self.origin != 0 && self.origin == device.number && self.sender == device.user
    }
}

/// The store's answer to a request of this connection.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) request: u32,
    pub(super) kind: FrameKind,
    /// The log that it was about.
    pub(super) log: Option<LogKey>,
    pub(super) group: Option<GroupId>,
    pub(super) answer: Answer,
}

/// A device that is logged in.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) user: UserId,
    pub(super) number: u64,
    max_live: usize,
    mailbox: Mutex<Mailbox>,
}

/// What waits for a device.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    pub(super) answers: VecDeque<Answered>,
    pub(super) live: VecDeque<Arc<Delivery>>,
    pub(super) changes: VecDeque<ConversationChange>,
    /// Live deliveries were dropped: the log has them.
    pub(super) behind: bool,
    /// The session is to end, and why.
    pub(super) farewell: Option<ErrorCode>,
    waker: Option<Waker>,
}

impl Device {
    pub(super) fn new(user: UserId, number: u64, max_live: usize) -> Self {
        // Behind from the start: what the device missed is in the log.
        let mailbox = Mailbox {
            behind: true,
            ..Mailbox::default()
        };
        Self {
            user,
            number,
            max_live,
            mailbox: Mutex::new(mailbox),
        }
    }

    /// The mailbox, for its connection.
    pub(super) fn mailbox(&self) -> MutexGuard<'_, Mailbox> {
        lock(&self.mailbox)
    }

    /// Whom to wake when something comes.
    pub(super) fn listen(&self, waker: &Waker) {
        let mut mailbox = self.mailbox();
        match &mut mailbox.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    pub(super) fn answer(&self, answered: Answered) {
        self.put(|mailbox| mailbox.answers.push_back(answered));
    }

    /// Hands over a delivery, or marks the device behind. One that is not stored is dropped instead.
    pub(super) fn deliver(&self, delivery: &Arc<Delivery>) {
        if delivery.change == 0 && delivery.is_from(self) {
            return;
        }
        self.put(|mailbox| {
            if mailbox.live.len() < self.max_live && !mailbox.behind {
                mailbox.live.push_back(Arc::clone(delivery));
            } else if delivery.change == 0 {
                // For those online only, and this one cannot take it now: the policy is to drop it.
                if mailbox.live.len() < self.max_live {
                    mailbox.live.push_back(Arc::clone(delivery));
                }
            } else {
                mailbox.live.retain(|waiting| waiting.change == 0);
                mailbox.behind = true;
            }
        });
    }

    pub(super) fn change(&self, change: ConversationChange) {
        self.put(|mailbox| {
            mailbox
                .changes
                .retain(|waiting| waiting.conversation != change.conversation);
            if mailbox.changes.len() >= MAX_CHANGES {
                mailbox.changes.pop_front();
            }
            mailbox.changes.push_back(change);
        });
    }

    pub(super) fn end(&self, code: ErrorCode) {
        self.put(|mailbox| mailbox.farewell = Some(code));
    }

    fn put(&self, put: impl FnOnce(&mut Mailbox)) {
        let waker = {
            let mut mailbox = self.mailbox();
            put(&mut mailbox);
            mailbox.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The devices that are logged in, by user and by group.
#[derive(Debug, Default)]
pub(super) struct Online(Mutex<Tables>);

#[derive(Debug, Default)]
struct Tables {
    users: HashMap<UserId, User>,
    /// Shared with the fan-out, which goes through a list without holding the lock.
    groups: HashMap<GroupId, Arc<Vec<Arc<Device>>>>,
    /// Those who left with a bucket that was not full: coming again does not fill it.
    gone: HashMap<UserId, Bucket>,
    /// At how many of them the full ones are looked for.
    sweep_at: usize,
}

/// The least number of buckets that is worth a sweep.
const FIRST_SWEEP: usize = 1024;

#[derive(Debug)]
struct User {
    devices: Vec<Arc<Device>>,
    sends: Bucket,
    /// The groups in whose lists the devices stand (or stood: one too many does no harm).
    groups: Vec<GroupId>,
}

impl Online {
    /// Adds a device. An earlier connection of the same device is replaced; with too many devices the oldest goes.
    pub(super) fn enter(&self, device: &Arc<Device>, max_devices: usize, sends: Bucket) {
        let mut tables = lock(&self.0);
        let sends = tables.gone.remove(&device.user).unwrap_or(sends);
        let user = tables.users.entry(device.user).or_insert_with(|| User {
            devices: Vec::with_capacity(1),
            sends,
            groups: Vec::new(),
        });
        let mut leaving = Vec::new();
        if let Some(at) = user
            .devices
            .iter()
            .position(|other| other.number == device.number)
        {
            leaving.push((user.devices.remove(at), ErrorCode::SESSION_REPLACED));
        }
        if user.devices.len() >= max_devices.max(1) {
            leaving.push((user.devices.remove(0), ErrorCode::KICKED_OUT_MULT_DEVICE));
        }
        user.devices.push(Arc::clone(device));
        let groups = user.groups.clone();
        for (device, _) in &leaving {
            tables.forget_in_groups(device, &groups);
        }
        drop(tables);
        for (device, code) in leaving {
            device.end(code);
        }
    }

    /// Puts a device into the lists of its user's groups, as far as it is still there.
    pub(super) fn join(&self, device: &Arc<Device>, groups: impl Iterator<Item = GroupId>) {
        let mut tables = lock(&self.0);
        for group in groups {
            let Some(user) = tables.users.get_mut(&device.user) else {
                return;
            };
            if !user.devices.iter().any(|other| Arc::ptr_eq(other, device)) {
                return; // replaced meanwhile
            }
            if !user.groups.contains(&group) {
                user.groups.push(group);
            }
            let devices = Arc::make_mut(tables.groups.entry(group).or_default());
            if !devices.iter().any(|other| Arc::ptr_eq(other, device)) {
                devices.push(Arc::clone(device));
            }
        }
    }

    pub(super) fn leave(&self, device: &Arc<Device>, now_ms: u64) {
        let mut tables = lock(&self.0);
        let Some(user) = tables.users.get_mut(&device.user) else {
            return;
        };
        user.devices.retain(|other| !Arc::ptr_eq(other, device));
        let (groups, sends) = (user.groups.clone(), user.sends);
        if user.devices.is_empty() {
            tables.users.remove(&device.user);
            tables.keep(device.user, sends, now_ms);
        }
        tables.forget_in_groups(device, &groups);
    }

    /// The devices of a user.
    pub(super) fn devices(&self, user: &UserId) -> Vec<Arc<Device>> {
        lock(&self.0)
            .users
            .get(user)
            .map(|user| user.devices.clone())
            .unwrap_or_default()
    }

    /// The devices of those in a group.
    pub(super) fn group(&self, group: &GroupId) -> Arc<Vec<Arc<Device>>> {
        lock(&self.0).groups.get(group).cloned().unwrap_or_default()
    }

    /// The members of a group have changed: these are the users in it now.
    pub(super) fn regroup(&self, group: GroupId, members: impl Iterator<Item = UserId>) {
        let mut tables = lock(&self.0);
        let mut devices = Vec::new();
        for member in members {
            let Some(user) = tables.users.get_mut(&member) else {
                continue;
            };
            if !user.groups.contains(&group) {
                user.groups.push(group);
            }
            devices.extend(user.devices.iter().cloned());
        }
        if devices.is_empty() {
            tables.groups.remove(&group);
        } else {
            tables.groups.insert(group, Arc::new(devices));
        }
    }

    /// Whether the user may send one more message now, or do what costs as much as so many.
    pub(super) fn may_send(&self, user: &UserId, now_ms: u64, cost: u32) -> bool {
        lock(&self.0)
            .users
            .get_mut(user)
            .is_none_or(|user| user.sends.take(now_ms, cost))
    }

    /// Everybody.
    pub(super) fn all(&self) -> Vec<Arc<Device>> {
        lock(&self.0)
            .users
            .values()
            .flat_map(|user| &user.devices)
            .cloned()
            .collect()
    }
}

impl Tables {
    fn keep(&mut self, user: UserId, mut sends: Bucket, now_ms: u64) {
        if sends.is_full(now_ms) {
            return;
        }
        if self.gone.len() >= self.sweep_at.max(FIRST_SWEEP) {
            self.gone.retain(|_, bucket| !bucket.is_full(now_ms));
            self.sweep_at = self.gone.len() * 2;
        }
        self.gone.insert(user, sends);
    }

    fn forget_in_groups(&mut self, device: &Arc<Device>, groups: &[GroupId]) {
        for group in groups {
            let Some(devices) = self.groups.get_mut(group) else {
                continue;
            };
            if let Some(at) = devices.iter().position(|other| Arc::ptr_eq(other, device)) {
                Arc::make_mut(devices).swap_remove(at);
            }
            if devices.is_empty() {
                self.groups.remove(group);
            }
        }
    }
}

/// A panic elsewhere leaves these tables as they were between two statements, which is good enough to go on with.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
