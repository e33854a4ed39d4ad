//! What all connections of a hub share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

use tim_proto::GroupId;
use tim_proto::request::ConversationChange;
use tim_proto::wire::FrameKind;

use super::device::{Answered, Device, Outcome};
use super::gate::Gates;
use super::keeper::Keeper;
use super::live::LiveQueue;
use super::live_ids::LiveIds;
use super::notes::Notes;
use super::online::Online;
use super::options::HubOptions;
use super::rights::Rights;
use super::tunable::Tunable;
use crate::store::{Epochs, LogKey, StoreReader, Write, WriteError, Writer, Written};

pub(super) struct Shared {
    pub(super) options: HubOptions,
    pub(super) tunable: Arc<Tunable>,
    /// Logins that were refused, and connections that were turned away, for the log.
    pub(super) refusals: Notes,
    pub(super) turned_away: Notes,
    /// Cursors that this store did not give out: a user can present as many as there is time for logins.
    pub(super) foreign_cursors: Notes,
    /// In front of the store, which it uses.
    pub(super) _keeper: Keeper,
    pub(super) writer: Arc<Writer>,
    pub(super) reader: Arc<dyn StoreReader>,
    /// What makes cursors of change numbers.
    pub(super) epochs: Arc<Epochs>,
    pub(super) online: Arc<Online>,
    pub(super) rights: Arc<Rights>,
    pub(super) gates: Gates,
    pub(super) randoms: AtomicU32,
    pub(super) live: LiveQueue,
    pub(super) live_ids: Arc<LiveIds>,
    /// Behind the writer and the queue, whose ends are what ends them.
    pub(super) _threads: [JoinOnDrop; 2],
}

#[derive(Debug)]
/// A thread that is waited for, so that the data directory is free when the hub is gone.
pub(super) struct JoinOnDrop(pub(super) Option<JoinHandle<()>>);

impl Drop for JoinOnDrop {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            // Its panic, if it had one, has been reported.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// The wall clock: for what is shown and stored, and for what was agreed on in such times.
    pub(super) fn now_ms(&self) -> u64 {
        self.options.clock.wall_ms()
    }

    /// The clock that nobody sets: for how long something takes.
    pub(super) fn steady_ms(&self) -> u64 {
        self.options.clock.steady_ms()
    }

    /// A number for the ids of what the hub says; as many behind it as one change makes are not given out again for long.
    pub(super) fn next_random(&self) -> u32 {
        self.randoms.fetch_add(16, Ordering::Relaxed)
    }

    /// Hands a write to the store; its answer comes into the device's mailbox.
    pub(super) fn submit(
        &self,
        device: &Arc<Device>,
        request: u32,
        kind: FrameKind,
        log: Option<LogKey>,
        group: Option<GroupId>,
        write: Write,
    ) -> Result<(), WriteError> {
        let (device, online) = (Arc::clone(device), Arc::clone(&self.online));
        self.writer.submit(write, move |answer| {
            if let (Ok(written), Some(log)) = (&answer, log) {
                tell_own_devices(&online, &device, &log, written);
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
fn tell_own_devices(online: &Online, device: &Arc<Device>, log: &LogKey, written: &Written) {
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
    for other in online.devices(&device.user) {
        if !Arc::ptr_eq(&other, device) {
            other.change(change);
        }
    }
}
