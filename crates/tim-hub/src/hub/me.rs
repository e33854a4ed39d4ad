//! Who is logged in on a connection, and how far the device has been served.

use std::collections::HashSet;
use std::sync::Arc;

use tim_proto::UserId;
use tim_proto::request::Synced;
use tim_proto::wire::FrameKind;
use tim_session::{GrowBuffer, HubSession};

use super::encode;
use super::online::{Delivery, Device, Mailbox};

/// After how many of its own messages a device is told how far it has been served.
pub(super) const MAX_UNTOLD: u32 = 256;
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
    /// How many of the device's own messages the cursor has passed since the device was told of it.
    pub(super) untold: u32,
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
            untold: 0,
        }
    }

    /// Tells the device how far it has been served, so that its next login does not go through its own messages again.
    pub(super) fn tell_cursor(&mut self, session: &mut HubSession<GrowBuffer>) -> bool {
        let cursor = encode::cursor(self.cursor);
        let body = Synced {
            cursor: cursor.as_ref(),
        };
        let told = session.push(FrameKind::SYNCED, &body).is_ok();
        if told {
            self.untold = 0;
        }
        told
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
    pub(super) fn next_live(&mut self, mailbox: &mut Mailbox) -> Option<Arc<Delivery>> {
        if self.catching_up {
            return None;
        }
        while let Some(delivery) = mailbox.live.pop_front() {
            if delivery.change > self.cursor && delivery.is_from(&self.device) {
                self.cursor = delivery.change;
                self.untold += 1;
            } else if delivery.change == 0 || delivery.change > self.cursor {
                return Some(delivery);
            }
        }
        None
    }
}
