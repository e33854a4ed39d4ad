//! What the registry's lock guards: users with their devices and groups, and groups with the devices in them.
//!
//! Invariants: a group is here if and only if at least one user is in it; it contains each listed device of such a user, or,
//! during the user's grace period, the user's stand-in.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tim_proto::planted::{self, Fault};
use tim_proto::{ErrorCode, GroupId, UserId};

use super::av_chat_rooms::{AvChatRooms, Moves};
use super::device_set::{DeviceSet, Snapshot};
use super::grace_period::GracePeriods;
use super::{Leaving, Move};
use crate::device::{Device, LoginId};

#[derive(Debug, Default)]
pub(super) struct Tables {
    /// Boxed, as a table is half empty.
    users: HashMap<UserId, Box<User>>,
    groups: HashMap<GroupId, Group>,
    rooms: AvChatRooms,
    grace_periods: GracePeriods,
    /// The users with a device that is entering.
    entering: HashSet<UserId>,
}

#[derive(Debug, Default)]
struct User {
    seats: Vec<Seat>,
    /// Takes the place of the user's devices in AVChatRooms from a cut until a device is listed again, so that the user is
    /// counted and found. What is delivered to it is dropped.
    stand_in: Option<Arc<Device>>,
    /// The groups in which the devices are listed.
    groups: HashSet<GroupId>,
    /// The groups that the user has left while a device was entering; as a rule none.
    #[allow(clippy::box_collection)] // smaller while there are none
    left: Option<Box<HashSet<GroupId>>>,
}

// Each user online has one, with a seat for each device.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<User>() <= 88 && size_of::<Seat>() <= 24);

#[derive(Debug)]
struct Seat {
    device: Arc<Device>,
    /// The login of another session that this one took over from: what comes late of that is old too.
    before: Option<Box<LoginId>>,
    /// Whether it is listed in the user's groups; until then it is entering.
    is_listed: bool,
}

/// A group of which somebody is online.
#[derive(Debug, Default)]
struct Group {
    devices: DeviceSet,
    users: u32,
    /// Counts the changes that concern all members.
    epoch: u64,
}

impl Seat {
    /// Whether a login is known that is newer than this one.
    fn knows_newer_than(&self, login: &LoginId) -> bool {
        let before = self.before.as_deref();
        self.device.login().is_newer_than(login) || before.is_some_and(|before| before.is_newer_than(login))
    }
}

impl User {
    /// The device with which the user is found in a group.
    fn first(&self) -> Option<&Arc<Device>> {
        self.stand_in
            .as_ref()
            .or_else(|| self.seats.first().map(|seat| &seat.device))
    }

    /// Forgets the groups that the user has left if no device is entering; whether that is so.
    fn forget_left(&mut self) -> bool {
        let nobody_enters = self.seats.iter().all(|seat| seat.is_listed);
        if nobody_enters {
            self.left = None;
        }
        nobody_enters
    }

    /// Remembers that the user has left a group while a device was entering.
    fn note_left(&mut self, group: GroupId) {
        self.left.get_or_insert_default().insert(group);
    }

    /// Whether the user has left a group while a device was entering.
    fn has_left(&self, group: &GroupId) -> bool {
        self.left.as_ref().is_some_and(|left| left.contains(group))
    }
}

impl Tables {
    /// Adds a device. Returns the devices that have to go for it; `None` if the login is older than one that is known.
    pub(super) fn enter(
        &mut self,
        device: &Arc<Device>,
        max_devices: usize,
    ) -> Option<Vec<(Arc<Device>, ErrorCode)>> {
        let name = device.user();
        let is_same = |seat: &Seat| seat.device.number() == device.number();
        let known = self
            .users
            .get(&name)
            .into_iter()
            .flat_map(|user| user.seats.iter());
        if known
            .into_iter()
            .any(|seat| is_same(seat) && seat.knows_newer_than(device.login()))
            && !planted::is(Fault::LoginWithoutFencing)
        {
            return None;
        }
        self.entering.insert(name);
        self.grace_periods.cancel(&name);
        let user = self.users.entry(name).or_default();
        let mut leaving = Vec::new();
        let mut before = None;
        if let Some(at) = user.seats.iter().position(is_same) {
            let seat = user.seats.remove(at);
            before = match seat.device.login() {
                login if login.session == device.login().session => seat.before,
                login => Some(Box::new(*login)),
            };
            leaving.push((seat.device, ErrorCode::SESSION_REPLACED));
        }
        if user.seats.len() >= max_devices.max(1) {
            leaving.push((user.seats.remove(0).device, ErrorCode::KICKED_OUT_MULT_DEVICE));
        }
        user.seats.reserve_exact(1); // there is one, as a rule
        user.seats.push(Seat {
            device: Arc::clone(device),
            before,
            is_listed: false,
        });
        let groups: Vec<GroupId> = user.groups.iter().copied().collect();
        for (device, _) in &leaving {
            self.unlist(device, &groups);
        }
        Some(leaving)
    }

    /// Lists a device that has entered in its user's groups: those that were read from the store since, without those that
    /// the user is known to have left meanwhile, and those that are known already.
    pub(super) fn join(&mut self, device: &Arc<Device>, groups: impl Iterator<Item = (GroupId, bool)>) {
        let name = device.user();
        let Some(user) = self.users.get_mut(&name) else {
            return;
        };
        if !user.seats.iter().any(|seat| Arc::ptr_eq(&seat.device, device)) {
            return; // replaced meanwhile
        }
        for (group, is_av_chat_room) in groups {
            if user.has_left(&group) {
                continue;
            }
            if is_av_chat_room {
                self.rooms.open(group);
            }
            if user.groups.insert(group) {
                self.groups.entry(group).or_default().users += 1;
                self.rooms.note(group, name, Move::Joined);
            }
        }
        let stand_in = user.stand_in.take();
        for group in &user.groups {
            let listed = self.groups.entry(*group).or_default();
            listed.devices.insert(device);
            if let Some(stand_in) = &stand_in {
                listed.devices.remove(stand_in);
            }
        }
        for seat in &mut user.seats {
            seat.is_listed |= Arc::ptr_eq(&seat.device, device);
        }
        if user.forget_left() {
            self.entering.remove(&name);
        }
    }

    /// A device goes offline.
    pub(super) fn leave(&mut self, device: &Arc<Device>, leaving: Leaving, now_ms: u64) {
        let name = device.user();
        let Some(user) = self.users.get_mut(&name) else {
            return;
        };
        let before = user.seats.len();
        user.seats.retain(|seat| !Arc::ptr_eq(&seat.device, device));
        if user.seats.len() == before {
            return; // replaced before, and unlisted then
        }
        let nobody_enters = user.forget_left();
        let is_last = user.seats.is_empty();
        let groups: Vec<GroupId> = user.groups.iter().copied().collect();
        self.unlist(device, &groups);
        if nobody_enters {
            self.entering.remove(&name);
        }
        match leaving {
            _ if !is_last => {}
            Leaving::Cut => self.begin_grace_period(name, now_ms),
            Leaving::ForGood => self.depart(&name),
        }
    }

    /// The last connection of a user is lost: AVChatRooms keep the user for the grace period. Stored groups do not; they are
    /// read again at login.
    fn begin_grace_period(&mut self, name: UserId, now_ms: u64) {
        let Some(user) = self.users.get_mut(&name) else {
            return;
        };
        let rooms = &self.rooms;
        if !user.groups.iter().any(|group| rooms.contains(group)) {
            return self.depart(&name);
        }
        let stored: Vec<GroupId> = user.groups.extract_if(|group| !rooms.contains(group)).collect();
        let stand_in = user
            .stand_in
            .get_or_insert_with(|| Arc::new(Device::new(name, 0, 0)));
        for group in &user.groups {
            if let Some(listed) = self.groups.get_mut(group) {
                listed.devices.insert(stand_in);
            }
        }
        for group in stored {
            self.remove_user(group, name);
        }
        if let Some(oldest) = self.grace_periods.begin(name, now_ms) {
            self.depart(&oldest);
        }
    }

    /// Ends at most `limit` grace periods that are over; whether there may be more.
    pub(super) fn end_grace_periods(&mut self, now_ms: u64, limit: usize) -> bool {
        for _ in 0..limit {
            let Some(user) = self.grace_periods.take_over(now_ms) else {
                return false;
            };
            self.depart(&user);
        }
        true
    }

    /// Removes a user from all groups.
    fn depart(&mut self, name: &UserId) {
        let Some(user) = self.users.remove(name) else {
            return;
        };
        self.grace_periods.cancel(name);
        for group in user.groups {
            if let Some((listed, stand_in)) = self.groups.get_mut(&group).zip(user.stand_in.as_ref()) {
                listed.devices.remove(stand_in);
            }
            self.remove_user(group, *name);
        }
    }

    /// Lists the devices of a user in a group; whether the user is online and was not in it.
    pub(super) fn add(&mut self, group: GroupId, user: &UserId) -> bool {
        let Some(user) = self.users.get_mut(user).filter(|user| !user.seats.is_empty()) else {
            return false;
        };
        if let Some(left) = &mut user.left {
            left.remove(&group);
        }
        let listed = self.groups.entry(group).or_default();
        for seat in &user.seats {
            listed.devices.insert(&seat.device);
        }
        let is_new = user.groups.insert(group);
        listed.users += u32::from(is_new);
        is_new
    }

    /// Removes a user from a group; whether the user was in it.
    pub(super) fn remove(&mut self, group: GroupId, name: &UserId) -> bool {
        let Some(user) = self.users.get_mut(name) else {
            return false;
        };
        if user.seats.iter().any(|seat| !seat.is_listed) {
            user.note_left(group);
        }
        let was_in = user.groups.remove(&group);
        if let Some(listed) = self.groups.get_mut(&group) {
            for seat in &user.seats {
                listed.devices.remove(&seat.device);
                seat.device.invalidate();
            }
            if let Some(stand_in) = &user.stand_in {
                listed.devices.remove(stand_in);
            }
        }
        if was_in {
            self.remove_user(group, *name);
        }
        was_in
    }

    /// Removes a group. Returns its devices.
    pub(super) fn remove_group(&mut self, group: &GroupId) -> Snapshot {
        for user in &self.entering {
            if let Some(user) = self.users.get_mut(user) {
                user.note_left(*group);
            }
        }
        self.rooms.close(group);
        let removed = self.groups.remove(group);
        removed
            .map(|removed| removed.devices.snapshot())
            .unwrap_or_default()
    }

    /// Removes a group from those of its users, after [`Tables::remove_group`].
    pub(super) fn forget_group(&mut self, group: &GroupId, users: impl Iterator<Item = UserId>) {
        for user in users {
            if let Some(user) = self.users.get_mut(&user) {
                user.groups.remove(group);
            }
        }
    }

    fn unlist(&mut self, device: &Arc<Device>, groups: &[GroupId]) {
        for group in groups {
            if let Some(listed) = self.groups.get_mut(group) {
                listed.devices.remove(device);
            }
        }
    }

    /// One user fewer in a group: the last one takes the group along.
    fn remove_user(&mut self, group: GroupId, user: UserId) {
        let Some(listed) = self.groups.get_mut(&group) else {
            return;
        };
        listed.users = listed.users.saturating_sub(1);
        if listed.users == 0 {
            self.groups.remove(&group);
            self.rooms.close(&group);
        } else {
            self.rooms.note(group, user, Move::Left);
        }
    }

    /// This group, if somebody in it is online, is an AVChatRoom.
    pub(super) fn mark_av_chat_room(&mut self, group: GroupId) {
        if self.groups.contains_key(&group) {
            self.rooms.open(group);
        }
    }

    pub(super) const fn rooms(&self) -> &AvChatRooms {
        &self.rooms
    }

    pub(super) const fn rooms_mut(&mut self) -> &mut AvChatRooms {
        &mut self.rooms
    }

    pub(super) fn take_moves(&mut self, now_ms: u64) -> Vec<Moves> {
        let groups = &self.groups;
        let members = |group: &GroupId| groups.get(group).map_or(0, |group| group.users);
        self.rooms.take_due(now_ms, members)
    }

    pub(super) fn next_grace_period_ms(&self) -> Option<u64> {
        self.grace_periods.next_ms()
    }

    /// In how many AVChatRooms a user is.
    pub(super) fn count_av_chat_rooms(&self, user: &UserId) -> usize {
        let groups = self.users.get(user).map(|user| user.groups.iter());
        let groups = groups.into_iter().flatten();
        groups.filter(|group| self.rooms.contains(group)).count()
    }

    /// The devices of a user.
    pub(super) fn devices(&self, user: &UserId) -> impl Iterator<Item = &Arc<Device>> {
        let seats = self.users.get(user).map(|user| user.seats.iter());
        seats.into_iter().flatten().map(|seat| &seat.device)
    }

    /// All devices, ordered by user.
    pub(super) fn all_devices(&self) -> Vec<Arc<Device>> {
        let seats = self.users.values().flat_map(|user| user.seats.iter());
        let mut devices: Vec<_> = seats.map(|seat| Arc::clone(&seat.device)).collect();
        devices.sort_by_key(|device| (device.user(), device.number()));
        devices
    }

    pub(super) fn group(&self, group: &GroupId) -> Snapshot {
        let listed = self.groups.get(group);
        listed.map(|listed| listed.devices.snapshot()).unwrap_or_default()
    }

    pub(super) fn members(&self, group: &GroupId) -> u32 {
        self.groups.get(group).map_or(0, |group| group.users)
    }

    pub(super) fn is_in(&self, group: &GroupId, user: &UserId) -> bool {
        let user = self.users.get(user);
        user.is_some_and(|user| user.groups.contains(group))
    }

    pub(super) fn epoch(&self, group: &GroupId) -> Option<u64> {
        self.groups.get(group).map(|group| group.epoch)
    }

    pub(super) fn advance_epoch(&mut self, group: &GroupId) {
        if let Some(group) = self.groups.get_mut(group) {
            group.epoch = group.epoch.wrapping_add(1);
        }
    }

    /// At most `limit` users of a group from this position on, and the next position if there are more. Each comes once,
    /// unless users come and go meanwhile.
    pub(super) fn page(&self, group: &GroupId, from: usize, limit: usize) -> (Vec<UserId>, Option<usize>) {
        let mut users = Vec::new();
        let Some(listed) = self.groups.get(group) else {
            return (users, None);
        };
        let mut at = from;
        while let Some(device) = listed.devices.get(at) {
            // A user with several devices comes with the first of them.
            let user = device.user();
            let first = self.users.get(&user).and_then(|user| user.first());
            if first.is_some_and(|first| Arc::ptr_eq(first, device)) {
                if users.len() >= limit {
                    return (users, Some(at));
                }
                users.push(user);
            }
            at += 1;
        }
        (users, None)
    }

    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        (self.users.len(), self.groups.len(), self.entering.len())
    }

    #[cfg(test)]
    pub(super) fn nobody_is_absent(&self) -> bool {
        self.grace_periods.is_empty()
    }
}
