//! Who is logged in on a connection, what is known of the user, and how far the device has been served.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tim_proto::request::Synced;
use tim_proto::wire::FrameKind;
use tim_proto::{GroupId, Role, UserId};
use tim_session::{GrowBuffer, HubSession};

use crate::connection::Expiry;
use crate::device::{Delivery, Device, Mailbox};
use crate::groups::rules::TypeRules;
use crate::permissions::CheckedAt;
use crate::store::Epochs;

/// After how many of its own messages a device is told how far it has been served.
pub(crate) const MAX_UNTOLD: u32 = 256;
/// How many peers a connection remembers to have accounts.
const MAX_KNOWN_PEERS: usize = 256;

/// In how many groups a connection remembers its user's standing.
const MAX_KNOWN_GROUPS: usize = 64;

/// How the user is called and looks.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    pub(crate) nick: Box<str>,
    pub(crate) avatar: Box<str>,
}

/// The user's standing in a group.
#[derive(Debug, Clone)]
pub(crate) struct GroupMembership {
    pub(crate) rules: &'static TypeRules,
    /// The user's role.
    pub(crate) role: Role,
    pub(crate) name_card: Box<str>,
    /// Until when the user may not write, unix ms.
    pub(crate) muted_until_ms: u64,
    /// Whether only owner and admins may write.
    pub(crate) mute_all: bool,
    /// The group's [`edition`](crate::presence::registry::PresenceRegistry::edition) before all this was read.
    pub(crate) edition: Option<u64>,
}

/// Who is logged in, and how far the device has been served.
pub(crate) struct ClientContext {
    pub(crate) device: Arc<Device>,
    pub(crate) account: u64,
    /// The last change that was handed over (or passed over).
    pub(crate) cursor: u64,
    /// The log is being read; live deliveries wait.
    pub(crate) catching_up: bool,
    /// The store was put back from an older copy than what the device had, and the device has not been told yet.
    pub(crate) restored: bool,
    /// When the session ends, unless it is renewed.
    pub(crate) expiry: Expiry,
    /// The last reading found more than there was room for.
    pub(crate) more: bool,
    pub(crate) synced: bool,
    known_peers: HashSet<UserId>,
    /// Read when it is first needed, and again when it has changed ([`ClientContext::forget`]).
    names: Option<Names>,
    places: HashMap<GroupId, GroupMembership>,
    /// What is remembered of the user's rights was as the store has it at this count, or was read since.
    pub(crate) checked: CheckedAt,
    /// How many of the device's own messages the cursor has passed since the device was told of it.
    pub(crate) untold: u32,
}

impl ClientContext {
    pub(crate) fn new(device: Arc<Device>, account: u64, cursor: u64, checked: CheckedAt) -> Self {
        Self {
            device,
            account,
            cursor,
            catching_up: true,
            restored: false,
            expiry: Expiry::NEVER,
            more: false,
            synced: false,
            known_peers: HashSet::new(),
            names: None,
            places: HashMap::new(),
            checked,
            untold: 0,
        }
    }

    /// Tells the device how far it has been served, so that its next login does not go through its own messages again.
    pub(crate) fn tell_cursor(&mut self, session: &mut HubSession<GrowBuffer>, epochs: &Epochs) -> bool {
        let cursor = epochs.cursor(self.cursor).to_bytes();
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
    pub(crate) fn knows(&self, peer: &UserId) -> bool {
        self.known_peers.contains(peer)
    }

    /// Remembers that a peer has an account.
    pub(crate) fn meet(&mut self, peer: UserId) {
        if self.known_peers.len() >= MAX_KNOWN_PEERS {
            self.known_peers.clear();
        }
        self.known_peers.insert(peer);
    }

    pub(crate) fn names(&self) -> Option<Names> {
        self.names.clone()
    }

    pub(crate) fn is_called(&mut self, names: Names) {
        self.names = Some(names);
    }

    pub(crate) fn place(&self, group: &GroupId) -> Option<GroupMembership> {
        self.places.get(group).cloned()
    }

    pub(crate) fn stands(&mut self, group: GroupId, place: GroupMembership) {
        if self.places.len() >= MAX_KNOWN_GROUPS {
            self.places.clear();
        }
        self.places.insert(group, place);
    }

    /// What is known of the user and the user's groups is not so any more.
    pub(crate) fn forget(&mut self) {
        self.names = None;
        self.places = HashMap::new();
    }

    /// The next live delivery that the device has not been handed from the log.
    pub(crate) fn next_live(&mut self, mailbox: &mut Mailbox) -> Option<Arc<Delivery>> {
        if self.catching_up {
            return None;
        }
        while let Some(delivery) = mailbox.live.pop() {
            if delivery.change > self.cursor && delivery.is_from(&self.device) {
                self.cursor = delivery.change;
                self.untold += 1;
            } else if delivery.is_live_only() || delivery.change > self.cursor {
                return Some(delivery);
            }
        }
        None
    }
}
