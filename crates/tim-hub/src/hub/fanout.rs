//! From the store's commits to the devices that are online.
//!
//! A thread of its own, so that a message to a large group does not hold up the writer. It never touches a socket: it
//! puts references to the same bytes into mailboxes.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use tim_proto::request::ConversationChange;
use tim_proto::{ConversationId, GroupId};

use super::device::{Delivery, Device};
use super::encode;
use super::online::{Move, Online};
use super::recall::Recall;
use crate::store::{LogKey, Published, Roster, flags};

/// Hands out what the store publishes until the store is closed.
pub(super) fn run(published: &Receiver<Vec<Published>>, online: &Online, recall: &Recall) {
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
                regroup(online, &roster, entry.sequence);
            }
            let delivery = Arc::new(encode::delivery(&entry));
            if entry.flags & flags::SYSTEM == 0 {
                recall.hand_out(&delivery);
            }
            deliver(online, &log, &delivery);
            if let Some(revoked) = revoked {
                recall.passed(&revoked);
            }
        }
    }
}

/// Lets into a group's list who came, and out of it who left. The devices of those who left take it off their lists.
fn regroup(online: &Online, roster: &Roster, sequence: u64) {
    online.roster(roster.group, &roster.left, Move::Left);
    online.roster(roster.group, &roster.joined, Move::Joined);
    for user in &roster.left {
        online
            .devices(user)
            .iter()
            .for_each(|device| take_off(device, roster.group, sequence));
    }
    // A room is still to hear of it, from [`super::live`].
    if roster.dismissed && !online.is_room(&roster.group) {
        dismiss(online, roster.group, sequence);
    }
}

/// A group is no more: off the lists of all who are online in it, with everything up to `sequence`; 0 for a room, of which
/// nothing is stored.
pub(super) fn dismiss(online: &Online, group: GroupId, sequence: u64) {
    let devices = online.dismiss(group);
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
pub(super) fn deliver(online: &Online, log: &LogKey, delivery: &Arc<Delivery>) {
    let to_user = |user| {
        let devices = online.devices(user);
        devices.iter().for_each(|device| device.deliver(delivery));
    };
    match log {
        LogKey::Group(group) => {
            let devices = online.group(group);
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
