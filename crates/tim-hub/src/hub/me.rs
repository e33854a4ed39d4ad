//! Who is logged in on a connection, and how far the device has been served.

use std::collections::HashSet;
use std::sync::Arc;

use tim_proto::UserId;

use super::online::{Delivery, Device, Mailbox};

/// How many peers a connection remembers to have accounts.
const MAX_KNOWN_PEERS: usize = 256;

/// Who is logged in, and how far the device has been served.
pub(super) struct Me {
    pub(super) device: Arc<Device>,
    pub(super) account: u64,
    /// The last change that was handed over (or passed over).
    pub(super) cursor: u64,
    /// The log is being read; live deliveries wait.
    pub(super) catching_up: bool,
    /// The last reading found more than there was room for.
    pub(super) more: bool,
    pub(super) synced: bool,
    known_peers: HashSet<UserId>,
}

impl Me {
    pub(super) fn new(device: Arc<Device>, account: u64, cursor: u64) -> Self {
        Self {
            device,
            account,
            cursor,
            catching_up: true,
            more: false,
            synced: false,
            known_peers: HashSet::new(),
        }
    }

    /// Whether a peer is known to have an account.
    pub(super) fn knows(&self, peer: &UserId) -> bool {
        self.known_peers.contains(peer)
    }

    /// Remembers that a peer has an account.
    pub(super) fn meet(&mut self, peer: UserId) {
        if self.known_peers.len() >= MAX_KNOWN_PEERS {
            self.known_peers.clear();
        }
        self.known_peers.insert(peer);
    }

    /// The next live delivery that the device has not been handed from the log.
    pub(super) fn next_live(&self, mailbox: &mut Mailbox) -> Option<Arc<Delivery>> {
        if self.catching_up {
            return None;
        }
        while let Some(delivery) = mailbox.live.pop_front() {
            if delivery.change == 0 || delivery.change > self.cursor {
                return Some(delivery);
            }
        }
        None
    }
}
