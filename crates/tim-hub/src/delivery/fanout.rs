//! From the store's commits to the devices that are online.
//!
//! A thread of its own, so that a message to a large group does not hold up the writer. It never touches a socket: it
//! puts references to the same bytes into mailboxes.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use tim_proto::request::ConversationChange;
use tim_proto::{ConversationId, GroupId};

use crate::delivery::revocations::Revocations;
use crate::device::{Delivery, Device};
use crate::encoding as encode;
use crate::presence::registry::{Move, PresenceRegistry};
use crate::store::{EntryFlags, LogKey, Published, RosterChange};

/// Hands out what the store publishes until the store is closed.
pub(crate) fn run(published: &Receiver<Vec<Published>>, presence: &PresenceRegistry, recall: &Revocations) {
    while let Ok(batch) = published.recv() {
        for Published {
            log,
            entry,
            roster,
            revoked,
        } in batch
        {
            // First: who comes gets the tip, and who leaves does not.
            if let Some(roster) = roster {
                regroup(presence, &roster, entry.sequence);
            }
            let delivery = Arc::new(encode::delivery(&entry));
            if !entry.flags.contains(EntryFlags::SYSTEM) {
                recall.hand_out(&delivery);
            }
            deliver(presence, &log, &delivery);
            if let Some(revoked) = revoked {
                recall.passed(&revoked);
            }
        }
    }
}

/// Lets into a group's list who came, and out of it who left. The devices of those who left take it off their lists.
fn regroup(presence: &PresenceRegistry, roster: &RosterChange, sequence: u64) {
    presence.roster(roster.group, &roster.left, Move::Left);
    presence.roster(roster.group, &roster.joined, Move::Joined);
    for user in &roster.left {
        presence
            .devices(user)
            .iter()
            .for_each(|device| take_off(device, roster.group, sequence));
    }
    // A room is still to hear of it, from [`crate::delivery::live`].
    if roster.dismissed && !presence.is_room(&roster.group) {
        dismiss(presence, roster.group, sequence);
    }
}

/// A group is no more: off the lists of all who are online in it, with everything up to `sequence`; 0 for a room, of which
/// nothing is stored.
pub(crate) fn dismiss(presence: &PresenceRegistry, group: GroupId, sequence: u64) {
    let devices = presence.dismiss(group);
    devices
        .iter()
        .for_each(|device| take_off(device, group, sequence));
}

fn take_off(device: &Device, group: GroupId, sequence: u64) {
    device.forget();
    let through = sequence.max(1); // of a room there is nothing that could come behind it
    device.change(ConversationChange {
        conversation: ConversationId::Group(group),
        unread: 0,
        read_sequence: through,
        counted: through,
        deleted_through: through,
    });
}

/// Puts a delivery into the mailboxes of those whom it concerns.
pub(crate) fn deliver(presence: &PresenceRegistry, log: &LogKey, delivery: &Arc<Delivery>) {
    let to_user = |user| {
        let devices = presence.devices(user);
        devices.iter().for_each(|device| device.deliver(delivery));
    };
    match log {
        LogKey::Group(group) => {
            let devices = presence.group(group);
            devices.iter().for_each(|device| device.deliver(delivery));
        }
        LogKey::System(user) => to_user(user),
        LogKey::C2c(pair) => {
            let (one, other) = pair.users();
            to_user(&one);
            if other != one {
                to_user(&other);
            }
        }
    }
}
