//! Tells the devices that are online what retention has removed of what they show: unread entries, and last messages. Devices that
//! come later ask for their lists.

use std::collections::BTreeSet;
use std::sync::Arc;

use tim_proto::UserId;
use tim_proto::request::ConversationChange;
use tim_store::{LogKey, PurgedLog, ReadState, StoreError};
use tracing::debug;

use crate::delivery::Withdrawals;
use crate::presence::PresenceRegistry;
use crate::reads::Reads;

/// How many users of a log are looked up at a time.
const USERS: usize = 256;

/// Who is online, and what they have read.
pub(crate) struct Announcer {
    presence: Arc<PresenceRegistry>,
    reads: Reads,
    withdrawals: Arc<Withdrawals>,
}

impl Announcer {
    pub(crate) fn new(
        presence: Arc<PresenceRegistry>,
        reads: Reads,
        withdrawals: Arc<Withdrawals>,
    ) -> Arc<Self> {
        Arc::new(Self {
            presence,
            reads,
            withdrawals,
        })
    }

    /// Tells of what one step has removed, as a read of a stepped hub.
    pub(crate) fn announce(self: Arc<Self>, logs: Vec<PurgedLog>) {
        self.withdrawals.purged(&logs);
        if !logs.is_empty() {
            let reads = self.reads.clone();
            reads.run_detached(None, move || self.tell_all(&logs));
        }
    }

    /// Tells of what one step has removed. One caller at a time: what is read later is to be told later.
    pub(super) fn announce_here(&self, logs: &[PurgedLog]) {
        self.withdrawals.purged(logs);
        self.tell_all(logs);
    }

    fn tell_all(&self, logs: &[PurgedLog]) {
        for purged in logs {
            if let Err(error) = self.tell(purged) {
                return debug!(%error, "devices are not told of what retention has removed");
            }
        }
    }

    fn tell(&self, purged: &PurgedLog) -> Result<(), StoreError> {
        // Only who has not read all of it has a number that is wrong now; a last message is shown to all.
        let below = if purged.last { u64::MAX } else { purged.through };
        let users: Vec<UserId> = self.online(&purged.log).into_iter().collect();
        for users in users.chunks(USERS) {
            for state in self.reads.store().read_states(&purged.log, users, below)? {
                if let Some(change) = change(purged, &state) {
                    let devices = self.presence.devices(&state.user);
                    devices.iter().for_each(|device| device.change(change));
                }
            }
        }
        Ok(())
    }

    fn online(&self, log: &LogKey) -> BTreeSet<UserId> {
        match log {
            LogKey::Group(group) => {
                let devices = self.presence.group(group);
                devices.iter().map(|device| device.user()).collect()
            }
            LogKey::System(user) => [*user].into(),
            LogKey::C2c(pair) => {
                let (one, other) = pair.users();
                let users = [one, other].into_iter();
                users.filter(|user| self.presence.is_online(user)).collect()
            }
        }
    }
}

/// What a user's devices are told.
fn change(purged: &PurgedLog, state: &ReadState) -> Option<ConversationChange> {
    let off_the_list = if purged.last { purged.through } else { 0 };
    Some(
        ConversationChange::new(purged.log.seen_by(&state.user)?)
            .with_unread(u32::try_from(state.unread).unwrap_or(u32::MAX))
            .with_read_sequence(state.read_sequence)
            .with_counted(state.counted)
            .with_deleted_through(state.deleted_through.max(off_the_list)),
    )
}
