//! An entry or a message on its way to devices.

use std::sync::OnceLock;

use bytes::Bytes;
use tim_proto::{MessageKind, Priority, UserId};
use tim_store::Entry;

use super::Device;
use crate::encoding;

/// How many ranks of urgency there are, see [`Priority::rank`].
pub(super) const RANKS: usize = 4;

/// An entry or a message on its way to devices, encoded once for all of them.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// Its position in the order of changes; 0 for a message that is not stored.
    change: u64,
    sender: UserId,
    /// The number of the device that sent it and does not get it; 0 if there is none.
    origin: u64,
    /// How urgent it is, if it is not stored.
    priority: Priority,
    /// The encoded message as it was sent.
    message: Bytes,
    /// The encoded message since it was revoked.
    revoked: OnceLock<Bytes>,
}

impl Delivery {
    /// A stored entry. A revocation is delivered to the device that revoked too: that device may have lost the response, or the
    /// application that waited for it, and would show the message for ever.
    pub(crate) fn of(entry: &Entry) -> Self {
        Self::stored(
            entry.change,
            entry.sender,
            origin_of(entry),
            encoding::message(entry),
        )
    }

    /// A stored message.
    pub(super) const fn stored(change: u64, sender: UserId, origin: u64, message: Bytes) -> Self {
        Self {
            change,
            sender,
            origin,
            priority: Priority::NORMAL,
            message,
            revoked: OnceLock::new(),
        }
    }

    /// A message that is not stored.
    pub(crate) fn live(sender: UserId, origin: u64, priority: Priority, message: Bytes) -> Self {
        Self {
            priority,
            ..Self::stored(0, sender, origin, message)
        }
    }

    /// The position in the order of changes; 0 for a message that is not stored.
    pub(crate) const fn change(&self) -> u64 {
        self.change
    }

    /// The encoded message as it is to be delivered now.
    pub(crate) fn message(&self) -> &Bytes {
        self.revoked.get().unwrap_or(&self.message)
    }

    /// Replaces the message, which was revoked, by what is left of it.
    pub(crate) fn revoke(&self, left: Bytes) {
        // It is revoked once.
        let _ = self.revoked.set(left);
    }

    /// Whether `device` sent the message and does not get it.
    pub(crate) fn is_from(&self, device: &Device) -> bool {
        device.has_sent(self.sender, self.origin)
    }

    /// Whether it is stored nowhere: a device that does not get it now never gets it.
    pub(crate) const fn is_live_only(&self) -> bool {
        self.change == 0
    }

    pub(super) fn rank(&self) -> usize {
        usize::from(self.priority.rank()).min(RANKS - 1)
    }

    /// The sender, and the number of its device.
    pub(crate) const fn from(&self) -> (UserId, u64) {
        (self.sender, self.origin)
    }

    pub(crate) const fn priority(&self) -> Priority {
        self.priority
    }
}

/// The number of the device that sent an entry and does not get it; 0 if there is none.
pub(crate) const fn origin_of(entry: &Entry) -> u64 {
    match entry.kind {
        MessageKind::REVOCATION => 0,
        _ => entry.origin,
    }
}
