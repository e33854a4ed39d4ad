//! Who is online, and in which groups' lists.
//!
//! One lock, held for a moment: whoever delivers takes a snapshot of a list and goes through it without the lock, and what
//! concerns many users is done a part at a time.
//!
//! The groups of a user are read from the store when the first device comes, and follow the store's commits from then on
//! ([`PresenceRegistry::roster`]). What is read at login can be older than what the commits said meanwhile; so from the moment a
//! device enters until it is in the lists, it is remembered which groups its user has left.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use tim_proto::{ErrorCode, GroupId, UserId};

use crate::admission::token_bucket::Bucket;
use crate::device::{Device, LoginId};
use crate::presence::av_chat_rooms::News;
use crate::presence::device_set::{DeviceSet, Snapshot};
use crate::presence::grace_period::Absent;
use crate::refusal::Refusal;
use crate::threads::lock;

/// The devices that are logged in, by user and by group.
#[derive(Debug, Default)]
pub(crate) struct PresenceRegistry(Mutex<Tables>);

#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) users: HashMap<UserId, User>,
    pub(crate) groups: HashMap<GroupId, Listed>,
    /// The rooms that have news to tell.
    pub(crate) busy_rooms: HashSet<GroupId>,
    /// Those who left with a bucket that was not full: coming again does not fill it.
    gone: HashMap<UserId, Bucket>,
    /// At how many of them the full ones are looked for.
    sweep_at: usize,
    /// Those with a device that is entering.
    entering: HashSet<UserId>,
    /// Those without a device who are in rooms still, by when they leave.
    pub(crate) absent: BTreeSet<(u64, UserId)>,
}

/// The least number of buckets that is worth a sweep.
const FIRST_SWEEP: usize = 1024;
/// How many users are dealt with before others get the lock.
const PART: usize = 1024;

#[derive(Debug)]
pub(crate) struct User {
    seats: Vec<Seat>,
    sends: Bucket,
    /// Who stands in the rooms' lists from a cut until a device is in them again.
    pub(crate) absent: Option<Absent>,
    /// The groups in whose lists the devices stand.
    pub(crate) groups: HashSet<GroupId>,
    /// Those that the user has left while a device was entering.
    left: HashSet<GroupId>,
}

#[derive(Debug)]
struct Seat {
    device: Arc<Device>,
    /// The login of another session that this one took over from: what comes late of that is old too.
    before: Option<LoginId>,
    /// It stands in the lists of the user's groups; until then it is entering.
    listed: bool,
}

/// A group of which somebody is online.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    pub(crate) devices: DeviceSet,
    /// How many users are in it.
    pub(crate) users: u32,
    /// How often what concerns all in it has changed.
    edition: u64,
    /// For a group whose members are those who are here.
    pub(crate) room: Option<Box<News>>,
}

/// Who came into a group, or left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Move {
    Joined,
    Left,
}

/// How a device goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// It has lost its connection, and may come back: the rooms keep its user for a while.
    Cut,
    ForGood,
}

impl PresenceRegistry {
    pub(crate) fn tables(&self) -> std::sync::MutexGuard<'_, Tables> {
        lock(&self.0)
    }

    /// Adds a device. An earlier connection of the same device is replaced; with too many devices the oldest goes. `false`
    /// if the login is an old one: the same session has logged in since, and stays.
    pub(crate) fn enter(&self, device: &Arc<Device>, max_devices: usize, sends: Bucket) -> bool {
        let mut tables = self.tables();
        let known = tables.users.get(&device.user);
        let mut seats = known.iter().flat_map(|user| &user.seats);
        let life = device.life();
        if seats.any(|seat| seat.device.number == device.number && seat.knows_newer_than(life)) {
            return false;
        }
        tables.entering.insert(device.user);
        tables.is_back(&device.user);
        let sends = tables.gone.remove(&device.user).unwrap_or(sends);
        let user = tables.users.entry(device.user).or_insert_with(|| User {
            seats: Vec::with_capacity(1),
            sends,
            absent: None,
            groups: HashSet::new(),
            left: HashSet::new(),
        });
        if user.seats.is_empty() {
            user.sends = sends; // who was absent has left the bucket with those who are gone
        }
        let mut leaving = Vec::new();
        let same = |seat: &Seat| seat.device.number == device.number;
        let mut before = None;
        if let Some(at) = user.seats.iter().position(same) {
            let seat = user.seats.remove(at);
            let is_same = seat.device.life().session == life.session;
            before = if is_same {
                seat.before
            } else {
                Some(*seat.device.life())
            };
            leaving.push((seat.device, ErrorCode::SESSION_REPLACED));
        }
        if user.seats.len() >= max_devices.max(1) {
            leaving.push((user.seats.remove(0).device, ErrorCode::KICKED_OUT_MULT_DEVICE));
        }
        user.seats.push(Seat {
            device: Arc::clone(device),
            before,
            listed: false,
        });
        let groups: Vec<GroupId> = user.groups.iter().copied().collect();
        for (device, _) in &leaving {
            tables.unlist(device, &groups);
        }
        drop(tables);
        for (device, code) in leaving {
            device.end(code);
        }
        true
    }

    /// Puts a device that has entered into the lists of its user's groups: those that were read from the store since, of
    /// which the commits are not known to have taken any away, and those that are known already.
    pub(crate) fn join(&self, device: &Arc<Device>, groups: impl Iterator<Item = (GroupId, bool)>) {
        let mut tables = self.tables();
        let Tables {
            users,
            groups: listed,
            busy_rooms,
            entering,
            ..
        } = &mut *tables;
        let Some(user) = users.get_mut(&device.user) else {
            return;
        };
        if !user.seats.iter().any(|seat| Arc::ptr_eq(&seat.device, device)) {
            return; // replaced meanwhile
        }
        for (group, is_room) in groups.filter(|(group, _)| !user.left.contains(group)) {
            let list = listed.entry(group).or_default();
            let is_new = user.groups.insert(group);
            if is_new {
                list.users += 1;
            }
            if is_room {
                list.room.get_or_insert_default();
            }
            if is_new && let Some(room) = &mut list.room {
                room.note(device.user, Move::Joined);
                busy_rooms.insert(group);
            }
        }
        let absent = user.absent.take();
        for group in &user.groups {
            let list = listed.entry(*group).or_default();
            list.devices.insert(device);
            if let Some(absent) = &absent {
                list.devices.remove(&absent.stand_in);
            }
        }
        for seat in &mut user.seats {
            seat.listed |= Arc::ptr_eq(&seat.device, device);
        }
        if user.forget_left() {
            entering.remove(&device.user);
        }
    }

    pub(crate) fn leave(&self, device: &Arc<Device>, leaving: Leaving, now_ms: u64) {
        let mut tables = self.tables();
        let Some(user) = tables.users.get_mut(&device.user) else {
            return;
        };
        let before = user.seats.len();
        user.seats.retain(|seat| !Arc::ptr_eq(&seat.device, device));
        if user.seats.len() == before {
            return; // replaced before, and taken out of the lists then
        }
        let nobody_enters = user.forget_left();
        let sends = user.sends;
        let is_last = user.seats.is_empty();
        let groups: Vec<GroupId> = user.groups.iter().copied().collect();
        tables.unlist(device, &groups);
        if nobody_enters {
            tables.entering.remove(&device.user);
        }
        if is_last {
            tables.keep(device.user, sends, now_ms);
            match leaving {
                Leaving::Cut => tables.stay_away(device.user, now_ms),
                Leaving::ForGood => tables.depart(&device.user),
            }
        }
    }

    /// The devices of a user.
    pub(crate) fn devices(&self, user: &UserId) -> Vec<Arc<Device>> {
        let tables = self.tables();
        let seats = tables.users.get(user).map(|user| user.seats.iter());
        seats
            .into_iter()
            .flatten()
            .map(|seat| Arc::clone(&seat.device))
            .collect()
    }

    /// The devices of those in a group.
    pub(crate) fn group(&self, group: &GroupId) -> Snapshot {
        let tables = self.tables();
        let listed = tables.groups.get(group);
        listed.map(|listed| listed.devices.snapshot()).unwrap_or_default()
    }

    /// Whether a user who is online is known to be in a group.
    pub(crate) fn is_in(&self, group: &GroupId, user: &UserId) -> bool {
        let tables = self.tables();
        tables
            .users
            .get(user)
            .is_some_and(|user| user.groups.contains(group))
    }

    /// A number that changes when what is remembered of the group is not so any more for anybody in it; `None` for who is
    /// not known to be in it. To be asked before the group is read.
    pub(crate) fn edition(&self, group: &GroupId, user: &UserId) -> Option<u64> {
        let tables = self.tables();
        tables.users.get(user)?.groups.get(group)?;
        tables.groups.get(group).map(|listed| listed.edition)
    }

    /// What is remembered of a group is not so any more.
    pub(crate) fn renew(&self, group: &GroupId) {
        if let Some(listed) = self.tables().groups.get_mut(group) {
            listed.edition = listed.edition.wrapping_add(1);
        }
    }

    /// These users have come into a group, or left it.
    pub(crate) fn roster(&self, group: GroupId, users: &[UserId], moved: Move) {
        for part in users.chunks(PART) {
            let mut tables = self.tables();
            for user in part {
                match moved {
                    Move::Joined => tables.add(group, user),
                    Move::Left => tables.take_out(group, user),
                };
            }
        }
    }

    /// A group is no more: who was online in it hears nothing of it from now on. The list as it was.
    pub(crate) fn dismiss(&self, group: GroupId) -> Snapshot {
        let listed = {
            let mut tables = self.tables();
            let Tables { users, entering, .. } = &mut *tables;
            for user in entering.iter() {
                if let Some(user) = users.get_mut(user) {
                    user.left.insert(group);
                }
            }
            tables.busy_rooms.remove(&group);
            tables.groups.remove(&group)
        };
        let snapshot = listed.map(|listed| listed.devices.snapshot()).unwrap_or_default();
        let mut users = snapshot.iter().map(|device| device.user).peekable();
        // A part at a time.
        while users.peek().is_some() {
            let mut tables = self.tables();
            for user in users.by_ref().take(PART) {
                if let Some(user) = tables.users.get_mut(&user) {
                    user.groups.remove(&group);
                }
            }
        }
        drop(users);
        // Devices that came meanwhile, of users who were not dealt with yet.
        self.tables().groups.remove(&group);
        snapshot
    }

    /// Whether the user may send one more message now, or do what costs as much as so many.
    ///
    /// # Errors
    /// The refusal, which says when the next one is taken.
    pub(crate) fn may_send(&self, user: &UserId, now_ms: u64, cost: u32) -> Result<(), Refusal> {
        match self.tables().users.get_mut(user) {
            Some(user) => user
                .sends
                .take(now_ms, cost)
                .map_err(|wait_ms| Refusal::too_soon(ErrorCode::RATE_LIMITED, wait_ms, "")),
            None => Ok(()),
        }
    }

    /// Everybody.
    pub(crate) fn all(&self) -> Vec<Arc<Device>> {
        self.tables()
            .users
            .values()
            .flat_map(|user| &user.seats)
            .map(|seat| Arc::clone(&seat.device))
            .collect()
    }
}

impl Seat {
    /// Whether a login is known that this one is older than.
    fn knows_newer_than(&self, life: &LoginId) -> bool {
        let before = self.before.as_ref();
        self.device.life().is_newer_than(life) || before.is_some_and(|before| before.is_newer_than(life))
    }
}

impl User {
    /// What the user is listed with.
    fn first(&self) -> Option<&Arc<Device>> {
        let absent = self.absent.as_ref().map(|absent| &absent.stand_in);
        absent.or_else(|| self.seats.first().map(|seat| &seat.device))
    }

    /// Nothing needs to be remembered when nobody is entering; whether that is so.
    fn forget_left(&mut self) -> bool {
        let nobody_enters = self.seats.iter().all(|seat| seat.listed);
        if nobody_enters {
            self.left = HashSet::new();
        }
        nobody_enters
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

    /// Puts the devices of a user into a group's list; whether the user is online and was not in it.
    pub(crate) fn add(&mut self, group: GroupId, user: &UserId) -> bool {
        let Some(user) = self.users.get_mut(user).filter(|user| !user.seats.is_empty()) else {
            return false;
        };
        user.left.remove(&group);
        let listed = self.groups.entry(group).or_default();
        for seat in &user.seats {
            listed.devices.insert(&seat.device);
        }
        let is_new = user.groups.insert(group);
        if is_new {
            listed.users += 1;
        }
        is_new
    }

    /// Takes the devices of a user out of a group's list; whether the user was in it.
    pub(crate) fn take_out(&mut self, group: GroupId, name: &UserId) -> bool {
        let Some(user) = self.users.get_mut(name) else {
            return false;
        };
        if user.seats.iter().any(|seat| !seat.listed) {
            user.left.insert(group);
        }
        let was_in = user.groups.remove(&group);
        if let Some(listed) = self.groups.get_mut(&group) {
            for seat in &user.seats {
                listed.devices.remove(&seat.device);
                seat.device.forget();
            }
            if let Some(absent) = &user.absent {
                listed.devices.remove(&absent.stand_in);
            }
        }
        if was_in {
            self.one_less(group, *name);
        }
        was_in
    }

    fn unlist(&mut self, device: &Arc<Device>, groups: &[GroupId]) {
        for group in groups {
            if let Some(listed) = self.groups.get_mut(group) {
                listed.devices.remove(device);
            }
        }
    }

    /// A user less in a group: the last one takes the list along.
    pub(crate) fn one_less(&mut self, group: GroupId, user: UserId) {
        let Some(listed) = self.groups.get_mut(&group) else {
            return;
        };
        listed.users = listed.users.saturating_sub(1);
        if listed.users == 0 {
            self.groups.remove(&group);
            self.busy_rooms.remove(&group);
        } else if let Some(room) = &mut listed.room {
            room.note(user, Move::Left);
            self.busy_rooms.insert(group);
        }
    }

    /// Users of a group from this place of its list on, at most so many, and the next place if there are more. Each once,
    /// unless people come and go meanwhile.
    pub(crate) fn page(&self, group: &GroupId, from: usize, limit: usize) -> (Vec<UserId>, Option<usize>) {
        let mut users = Vec::new();
        let Some(listed) = self.groups.get(group) else {
            return (users, None);
        };
        let mut at = from;
        while let Some(device) = listed.devices.get(at) {
            // Who has several devices is listed with the first of them.
            let first = self.users.get(&device.user).and_then(User::first);
            if first.is_some_and(|first| Arc::ptr_eq(first, device)) {
                if users.len() >= limit {
                    return (users, Some(at));
                }
                users.push(device.user);
            }
            at += 1;
        }
        (users, None)
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
