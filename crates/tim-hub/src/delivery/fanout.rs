//! From the store's commits to the devices that are online.
//!
//! It is a worker of its own, so that a message to a large group does not hold up the writer. It touches no socket: it puts
//! references to the same bytes into mailboxes.
//!
//! Presence follows the store here. So the answer to a change of a group's members leaves from here too, behind the change:
//! what its receiver then sends to those online reaches the members that there are now.

use std::io;
use std::sync::Arc;

use tim_proto::planted::{self, Fault};
use tim_proto::request::ConversationChange;
use tim_proto::{ConversationId, GroupId, UserId};

use super::revocations::Revocations;
use crate::device::{Delivery, Device};
use crate::presence::{Move, PresenceRegistry};
use crate::worker::{self, Closed, Queue, Worker, Workplace};
use tim_store::{EntryFlags, LogKey, Published, RosterChange, WriteError, WriteResult};

/// How much may wait for the fan-out before the writer waits for it.
const MAX_WAITING: usize = 64;

/// The queue of the fan-out.
#[derive(Debug, Clone)]
pub(crate) struct FanOutQueue(Queue<Work>);

enum Work {
    /// What one commit has published.
    Commit(Vec<Published>),
    /// An answer that does not leave before what was enqueued earlier is in presence.
    Answer(Box<dyn FnOnce() + Send>),
}

/// Starts the fan-out.
///
/// # Errors
/// The operating system's, if it gives no thread.
pub(crate) fn start_fanout(
    workplace: &Workplace,
    presence: &Arc<PresenceRegistry>,
    revocations: &Arc<Revocations>,
) -> io::Result<(FanOutQueue, Worker)> {
    let (presence, revocations) = (Arc::clone(presence), Arc::clone(revocations));
    let work = move |work| match work {
        Work::Commit(published) => deliver_commit(published, &presence, &revocations),
        Work::Answer(answer) => answer(),
    };
    let (queue, worker) = worker::start(workplace, "tim-fanout", MAX_WAITING, work)?;
    Ok((FanOutQueue(queue), worker))
}

impl FanOutQueue {
    /// How many commits and answers wait.
    pub(crate) fn waiting(&self) -> usize {
        self.0.waiting()
    }

    /// Delivers what a commit has published.
    pub(crate) fn deliver(&self, published: Vec<Published>) -> Result<(), Closed> {
        self.0.send(Work::Commit(published))
    }

    /// Answers a write behind all commits that were enqueued before; at once if the store has failed, as nothing of the write is
    /// delivered then. Called on the writer's thread, which waits if the queue is full.
    pub(crate) fn answer(&self, result: WriteResult, answered: impl FnOnce(WriteResult) + Send + 'static) {
        if !matches!(result, Ok(_) | Err(WriteError::Refused(_))) {
            return answered(result);
        }
        // If the fan-out has ended, the hub stops, and nobody waits for an answer.
        let _ = self.0.send(Work::Answer(Box::new(move || answered(result))));
    }
}

/// Delivers what one commit has published.
fn deliver_commit(published: Vec<Published>, presence: &PresenceRegistry, revocations: &Revocations) {
    for Published {
        log,
        entry,
        roster,
        revoked,
    } in published
    {
        // First: those who come get the tip, and those who leave do not.
        if let Some(roster) = roster {
            let tip = match &entry {
                Some(entry) if log == LogKey::Group(roster.group) => entry.sequence,
                _ => 0,
            };
            regroup(presence, &roster, roster.sequence.max(tip));
        }
        let Some(entry) = entry else {
            continue;
        };
        let delivery = Arc::new(Delivery::of(&entry));
        if !entry.flags.contains(EntryFlags::SYSTEM) {
            revocations.hand_out(&delivery);
        }
        deliver(presence, &log, &delivery);
        if let Some(revoked) = revoked {
            revocations.passed(&revoked);
        }
    }
}

/// Follows the members of a group. The devices of those who left remove it from their lists, with everything up to `sequence`.
fn regroup(presence: &PresenceRegistry, roster: &RosterChange, sequence: u64) {
    if !planted::is(Fault::RemovedStaysListed) {
        presence.roster(roster.group, &roster.left, Move::Left);
    }
    presence.roster(roster.group, &roster.joined, Move::Joined);
    for user in &roster.left {
        presence
            .devices(user)
            .iter()
            .for_each(|device| remove_from_list(device, roster.group, sequence));
    }
    // The members of an AVChatRoom are told first, by the live thread.
    if roster.dismissed && !presence.is_av_chat_room(&roster.group) {
        dismiss(presence, roster.group, sequence);
    }
}

/// A group is dismissed: those online in it remove it from their lists, with everything up to `sequence`; 0 for an
/// AVChatRoom, of which nothing is stored.
pub(crate) fn dismiss(presence: &PresenceRegistry, group: GroupId, sequence: u64) {
    let devices = presence.dismiss(group);
    devices
        .iter()
        .for_each(|device| remove_from_list(device, group, sequence));
}

fn remove_from_list(device: &Device, group: GroupId, sequence: u64) {
    device.invalidate();
    let through = sequence.max(1); // of an AVChatRoom nothing can come behind it
    device.change(
        ConversationChange::new(ConversationId::Group(group))
            .with_read_sequence(through)
            .with_counted(through)
            .with_deleted_through(through),
    );
}

/// Puts a delivery into the mailboxes of those in a log. What is not stored is passed on to other hubs.
pub(crate) fn deliver(presence: &PresenceRegistry, log: &LogKey, delivery: &Arc<Delivery>) {
    if delivery.is_live_only() {
        presence.others().pass_on(log, delivery);
    }
    deliver_here(presence, log, delivery);
}

/// Puts a delivery into the mailboxes of those in a log who are online here.
pub(super) fn deliver_here(presence: &PresenceRegistry, log: &LogKey, delivery: &Arc<Delivery>) {
    let drops = |device: &Arc<Device>| u64::from(device.deliver(delivery));
    let to_user = |user| presence.devices(user).iter().map(drops).sum::<u64>();
    let dropped = match log {
        LogKey::Group(group) => presence.group(group).iter().map(drops).sum(),
        LogKey::System(user) => to_user(user),
        LogKey::C2c(pair) => {
            let (one, other) = pair.users();
            match one == other {
                true => to_user(&one),
                false => to_user(&one) + to_user(&other),
            }
        }
    };
    if dropped > 0 {
        presence.note_dropped(dropped);
    }
}

/// Puts a delivery into the mailboxes of some users.
#[cfg(feature = "rest")]
pub(crate) fn deliver_to(presence: &PresenceRegistry, users: &[UserId], delivery: &Arc<Delivery>) {
    presence.others().pass_on_to(users, delivery);
    deliver_here_to(presence, users, delivery);
}

/// Puts a delivery into the mailboxes of some users who are online here.
pub(super) fn deliver_here_to(presence: &PresenceRegistry, users: &[UserId], delivery: &Arc<Delivery>) {
    let devices = users.iter().flat_map(|user| presence.devices(user));
    let dropped = devices.map(|device| u64::from(device.deliver(delivery))).sum();
    if dropped > 0 {
        presence.note_dropped(dropped);
    }
}
