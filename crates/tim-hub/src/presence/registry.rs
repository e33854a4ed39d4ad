//! The registry of who is online: one lock, held for a moment.
//!
//! Fan-out takes a snapshot of a group's devices and iterates over it without the lock. What concerns many users is done a
//! part at a time.
//!
//! The groups of a user are read from the store when a device logs in, and follow the store's commits from then on
//! ([`PresenceRegistry::roster`]). What is read at login can be older than what the commits have said meanwhile; so, from
//! the moment a device enters until it is listed, the registry remembers which groups its user has left.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tim_proto::{ErrorCode, GroupId, UserId};

use super::av_chat_rooms::Moves;
use super::device_set::Snapshot;
use super::others::Others;
use super::tables::Tables;
use super::{Leaving, Move};
use crate::device::Device;
use crate::threads::lock;

/// How many users are dealt with before others get the lock.
const PART: usize = 1024;

/// The devices that are logged in, by user and by group.
#[derive(Debug, Default)]
pub(crate) struct PresenceRegistry(Mutex<Tables>, AtomicU64, Others);

impl PresenceRegistry {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        lock(&self.0)
    }

    /// So many deliveries did not fit into the mailboxes of devices, and are not stored.
    pub(crate) fn note_dropped(&self, number: u64) {
        self.1.fetch_add(number, Ordering::Relaxed);
    }

    /// How many there were.
    pub(crate) fn dropped(&self) -> u64 {
        self.1.load(Ordering::Relaxed)
    }

    /// Adds a device. An earlier connection of the same device is replaced; with too many devices the oldest is closed.
    /// `false` if the login is an old one: the same session has logged in since, and stays.
    pub(crate) fn enter(&self, device: &Arc<Device>, max_devices: usize) -> bool {
        let Some(leaving) = self.tables().enter(device, max_devices) else {
            return false;
        };
        for (device, reason) in leaving {
            device.close(reason);
        }
        true
    }

    /// The other hubs.
    pub(crate) const fn others(&self) -> &Others {
        &self.2
    }

    /// Tells the other hubs of a device that has entered. The oldest one of a user who has too many with those elsewhere is closed.
    pub(crate) fn tell_entered(&self, device: &Device, max_devices: usize, at_ms: u64) {
        if let Some(oldest) = self.2.entered(device, max_devices, at_ms) {
            self.close_device(&device.user(), oldest, ErrorCode::KICKED_OUT_MULT_DEVICE);
        }
    }

    /// Closes the device of a user that has this number.
    pub(crate) fn close_device(&self, user: &UserId, number: u64, reason: ErrorCode) {
        let devices = self.devices(user);
        let device = devices.iter().find(|device| device.number() == number);
        device.into_iter().for_each(|device| device.close(reason));
    }

    /// Whether a user has a device online, here or on another hub.
    pub(crate) fn is_online_anywhere(&self, user: &UserId) -> bool {
        self.is_online(user) || self.2.has(user)
    }

    /// How many devices a user has online, on all hubs.
    #[cfg(feature = "rest")]
    pub(crate) fn count_devices(&self, user: &UserId) -> usize {
        self.devices(user).len() + self.2.count(user)
    }

    /// A user has joined an AVChatRoom with a device on another hub, or left it. Those here are in it, too, or are not any more.
    pub(crate) fn moved_elsewhere(&self, group: &str, user: &str, has_joined: bool) {
        let (Ok(group), Ok(user)) = (GroupId::from_record(group), UserId::from_record(user)) else {
            return;
        };
        let mut tables = self.tables();
        if has_joined {
            if tables.add(group, &user) {
                tables.mark_av_chat_room(group);
            }
        } else if tables.rooms().contains(&group) && tables.remove(group, &user) {
            tables.rooms_mut().forget_left(&group, &user);
        }
    }

    /// Lists a device that has entered in these groups of its user, which were read since; each with whether it is an
    /// AVChatRoom.
    pub(crate) fn join(&self, device: &Arc<Device>, groups: impl Iterator<Item = (GroupId, bool)>) {
        self.tables().join(device, groups);
    }

    /// A device goes offline.
    pub(crate) fn leave(&self, device: &Arc<Device>, leaving: Leaving, now_ms: u64) {
        self.tables().leave(device, leaving, now_ms);
        self.2.left(device);
    }

    /// The devices of a user.
    pub(crate) fn devices(&self, user: &UserId) -> Vec<Arc<Device>> {
        self.tables().devices(user).cloned().collect()
    }

    /// The later login of a device that has left.
    pub(crate) fn successor(&self, device: &Device) -> Option<Arc<Device>> {
        let (tables, user) = (self.tables(), device.user());
        let mut devices = tables.devices(&user);
        let successor = devices.find(|other| other.number() == device.number())?;
        (!std::ptr::eq(Arc::as_ptr(successor), device)).then(|| Arc::clone(successor))
    }

    /// Whether a user has a device online.
    pub(crate) fn is_online(&self, user: &UserId) -> bool {
        self.tables().devices(user).next().is_some()
    }

    /// All devices.
    pub(crate) fn all(&self) -> Vec<Arc<Device>> {
        self.tables().all_devices()
    }

    /// Closes all sessions.
    pub(crate) fn close_all(&self, reason: ErrorCode) {
        for device in self.all() {
            device.close(reason);
        }
    }

    /// What is cached of a user is out of date.
    pub(crate) fn invalidate(&self, user: &UserId) {
        for device in self.tables().devices(user) {
            device.invalidate();
        }
    }

    /// The devices of those in a group.
    pub(crate) fn group(&self, group: &GroupId) -> Snapshot {
        self.tables().group(group)
    }

    /// Whether a user who is online is known to be in a group.
    pub(crate) fn is_in(&self, group: &GroupId, user: &UserId) -> bool {
        self.tables().is_in(group, user)
    }

    /// A number that changes when what is cached of the group is out of date for everybody in it; `None` for a user who is
    /// not known to be in it. To be read before the group is.
    pub(crate) fn epoch(&self, group: &GroupId, user: &UserId) -> Option<u64> {
        let tables = self.tables();
        tables.is_in(group, user).then(|| tables.epoch(group)).flatten()
    }

    /// What is cached of a group is out of date.
    pub(crate) fn advance_epoch(&self, group: &GroupId) {
        self.tables().advance_epoch(group);
    }

    /// These users have come into a group, or left it.
    pub(crate) fn roster(&self, group: GroupId, users: &[UserId], moved: Move) {
        for part in users.chunks(PART) {
            let mut tables = self.tables();
            for user in part {
                match moved {
                    Move::Joined => tables.add(group, user),
                    Move::Left => tables.remove(group, user),
                };
            }
        }
    }

    /// A group is dismissed: nobody is in it any more. Returns the devices of those who were.
    pub(crate) fn dismiss(&self, group: GroupId) -> Snapshot {
        let snapshot = self.tables().remove_group(&group);
        let mut users = snapshot.iter().map(|device| device.user()).peekable();
        while users.peek().is_some() {
            self.tables().forget_group(&group, users.by_ref().take(PART));
        }
        drop(users);
        // Devices that came meanwhile, of users who were not dealt with yet.
        self.tables().remove_group(&group);
        snapshot
    }

    /// Lets a user who is online into an AVChatRoom; whether the user was not in it before.
    pub(crate) fn enter_av_chat_room(&self, group: GroupId, user: &UserId) -> bool {
        let is_new = {
            let mut tables = self.tables();
            let is_new = tables.add(group, user);
            tables.mark_av_chat_room(group);
            is_new
        };
        if is_new {
            self.2.moved(&group, user, true);
        }
        is_new
    }

    /// Tells the members of an AVChatRoom, in a while, that a user has come.
    pub(crate) fn announce(&self, group: GroupId, user: UserId) {
        self.tables().rooms_mut().note(group, user, Move::Joined);
    }

    /// A user leaves an AVChatRoom; whether the user was in it.
    pub(crate) fn leave_av_chat_room(&self, group: GroupId, user: &UserId) -> bool {
        let was_in = self.tables().remove(group, user);
        if was_in {
            self.2.moved(&group, user, false);
        }
        was_in
    }

    /// Removes a user from an AVChatRoom whose members have not been told that the user came, or are told otherwise why the
    /// user goes.
    pub(crate) fn leave_av_chat_room_silently(&self, group: GroupId, user: &UserId) -> bool {
        let was_in = {
            let mut tables = self.tables();
            let was_in = tables.remove(group, user);
            if was_in {
                tables.rooms_mut().forget_left(&group, user);
            }
            was_in
        };
        if was_in {
            self.2.moved(&group, user, false);
        }
        was_in
    }

    /// Whether a group of which somebody is online is an AVChatRoom.
    pub(crate) fn is_av_chat_room(&self, group: &GroupId) -> bool {
        self.tables().rooms().contains(group)
    }

    /// In how many AVChatRooms a user is.
    pub(crate) fn count_av_chat_rooms(&self, user: &UserId) -> usize {
        self.tables().count_av_chat_rooms(user)
    }

    /// How many users are in an AVChatRoom, on all hubs.
    pub(crate) fn av_chat_room_members(&self, group: &GroupId) -> u32 {
        self.tables().members(group).saturating_add(self.2.members(group))
    }

    /// A page of the users in an AVChatRoom, and the position of the next one.
    pub(crate) fn av_chat_room_page(
        &self,
        group: &GroupId,
        from: usize,
        limit: usize,
    ) -> (Vec<UserId>, Option<usize>) {
        self.tables().page(group, from, limit)
    }

    /// What the members of AVChatRooms are to be told now.
    pub(crate) fn take_moves(&self, now_ms: u64) -> Vec<Moves> {
        let mut due = self.tables().take_moves(now_ms);
        for moves in &mut due {
            self.2.members_here(&moves.group, moves.members);
            moves.members = moves.members.saturating_add(self.2.members(&moves.group));
        }
        due
    }

    /// When the next AVChatRoom is to be told something; `None` if there is nothing to tell.
    pub(crate) fn next_moves_ms(&self) -> Option<u64> {
        self.tables().rooms().next_ms()
    }

    /// Ends the grace periods that are over.
    pub(crate) fn end_grace_periods(&self, now_ms: u64) {
        while self.tables().end_grace_periods(now_ms, PART) {}
    }

    /// When the next grace period ends; `None` if there is none.
    pub(crate) fn next_grace_period_ms(&self) -> Option<u64> {
        self.tables().next_grace_period_ms()
    }

    /// Whether there is something to do later: moves to announce, or a grace period to end.
    pub(crate) fn has_pending(&self) -> bool {
        let tables = self.tables();
        tables.rooms().has_pending() || tables.next_grace_period_ms().is_some()
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "grace_period_tests.rs"]
mod grace_period_tests;
