//! What all connections of a hub share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tim_proto::GroupId;
use tim_proto::request::ConversationChange;
use tim_proto::wire::FrameKind;

use crate::admission::log_limiter::LogLimiter;
use crate::delivery::group_queue::GroupQueue;
use crate::delivery::live::LiveQueue;
use crate::delivery::recent_ids::RecentIds;
use crate::device::{Answered, Device, Outcome};
use crate::options::HubOptions;
use crate::permissions::Permissions;
use crate::presence::registry::PresenceRegistry;
use crate::retention::Keeper;
use crate::settings::Settings;
use crate::store::{Epochs, LogKey, StoreReader, Write, WriteError, Writer, Written};
use crate::threads::JoinOnDrop;

pub(crate) struct Services {
    pub(crate) options: HubOptions,
    pub(crate) settings: Arc<Settings>,
    /// Logins that were refused, and connections that were turned away, for the log.
    pub(crate) refusals: LogLimiter,
    pub(crate) turned_away: LogLimiter,
    /// Cursors that this store did not give out: a user can present as many as there is time for logins.
    pub(crate) foreign_cursors: LogLimiter,
    /// In front of the store, which it uses.
    pub(crate) _keeper: Keeper,
    pub(crate) writer: Arc<Writer>,
    pub(crate) reader: Arc<dyn StoreReader>,
    /// What makes cursors of change numbers.
    pub(crate) epochs: Arc<Epochs>,
    pub(crate) presence: Arc<PresenceRegistry>,
    pub(crate) permissions: Arc<Permissions>,
    pub(crate) gates: GroupQueue,
    pub(crate) randoms: AtomicU32,
    pub(crate) live: LiveQueue,
    pub(crate) live_ids: Arc<RecentIds>,
    /// Behind the writer and the queue, whose ends are what ends them.
    pub(crate) _threads: [JoinOnDrop; 2],
}

impl Services {
    /// The wall clock: for what is shown and stored, and for what was agreed on in such times.
    pub(crate) fn now_ms(&self) -> u64 {
        self.options.clock.wall_ms()
    }

    /// The clock that nobody sets: for how long something takes.
    pub(crate) fn steady_ms(&self) -> u64 {
        self.options.clock.steady_ms()
    }

    /// A number for the ids of what the hub says; as many behind it as one change makes are not given out again for long.
    pub(crate) fn next_random(&self) -> u32 {
        self.randoms.fetch_add(16, Ordering::Relaxed)
    }

    /// Hands a write to the store; its answer comes into the device's mailbox.
    pub(crate) fn submit(
        &self,
        device: &Arc<Device>,
        request: u32,
        kind: FrameKind,
        log: Option<LogKey>,
        group: Option<GroupId>,
        write: Write,
    ) -> Result<(), WriteError> {
        let (device, presence) = (Arc::clone(device), Arc::clone(&self.presence));
        self.writer.submit(write, move |answer| {
            if let (Ok(written), Some(log)) = (&answer, log) {
                tell_own_devices(&presence, &device, &log, written);
            }
            device.answer(Answered {
                request,
                kind,
                log,
                group,
                outcome: Outcome::Store(answer),
            });
        })
    }
}

/// A user's own state of a conversation changed: the user's other devices are told (S183).
fn tell_own_devices(presence: &PresenceRegistry, device: &Arc<Device>, log: &LogKey, written: &Written) {
    let Some(conversation) = log.seen_by(&device.user) else {
        return;
    };
    let Written::Read {
        read_sequence,
        unread,
        counted,
        deleted_through,
    } = written
    else {
        return;
    };
    if *counted == 0 {
        return; // there is no such conversation
    }
    let change = ConversationChange {
        conversation,
        unread: u32::try_from(*unread).unwrap_or(u32::MAX),
        read_sequence: *read_sequence,
        counted: *counted,
        deleted_through: *deleted_through,
    };
    for other in presence.devices(&device.user) {
        if !Arc::ptr_eq(&other, device) {
            other.change(change);
        }
    }
}
