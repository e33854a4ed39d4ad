//! What is in no log, on its way to those who are online: messages to AVChatRooms and for those online only.
//!
//! A thread of its own, so that a message to a room of 100,000 holds up neither the writer nor a connection. Its queue has a
//! ceiling, and who sends into a full one is told so. It answers the senders: whether they may still write is checked when
//! their messages go.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Weak};

use tim_proto::GroupId;
use tim_proto::wire::FrameKind;

use crate::delivery::fanout;
use crate::delivery::recent_ids::RecentIds;
use crate::device::{Answered, Delivery, Device, Outcome};
use crate::handlers::send::{Live, PassedOn};
use crate::permissions::Permissions;
use crate::presence::registry::PresenceRegistry;
use crate::refusal::Refusal;
use crate::store::LogKey;

/// How many deliveries may wait.
const MAX_WAITING: usize = 1024;

/// The way to the thread.
#[derive(Debug, Clone)]
pub(crate) struct LiveQueue {
    work: SyncSender<Work>,
    presence: Weak<PresenceRegistry>,
}

/// Who is to be answered, and about what.
#[derive(Debug)]
pub(crate) struct Speaker {
    pub(crate) device: Arc<Device>,
    pub(crate) request: u32,
    pub(crate) group: GroupId,
}

impl Speaker {
    pub(crate) fn answer(&self, outcome: Outcome) {
        self.device.answer(Answered {
            request: self.request,
            kind: FrameKind::SEND,
            log: Some(LogKey::Group(self.group)),
            group: None,
            outcome,
        });
    }
}

#[derive(Debug)]
enum Work {
    Deliver(LogKey, Arc<Delivery>),
    Say(Box<(Speaker, Live)>),
    /// The group is no more.
    Dismiss(GroupId),
}

/// There is no room in the queue, or the hub stops.
#[derive(Debug)]
pub(crate) struct Overloaded;

/// The queue, and what its other end is to be given to.
pub(crate) fn queue(
    presence: &Arc<PresenceRegistry>,
    permissions: Arc<Permissions>,
    ids: Arc<RecentIds>,
) -> (LiveQueue, impl FnOnce() + Send + 'static) {
    let (work, receiver) = sync_channel(MAX_WAITING);
    let queue = LiveQueue {
        work,
        presence: Arc::downgrade(presence),
    };
    let thread = Thread {
        presence: Arc::clone(presence),
        permissions,
        ids,
    };
    (queue, move || thread.run(&receiver))
}

impl LiveQueue {
    pub(crate) fn deliver(&self, log: LogKey, delivery: Arc<Delivery>) -> Result<(), Overloaded> {
        self.work
            .try_send(Work::Deliver(log, delivery))
            .map_err(|_| Overloaded)
    }

    /// Passes on a user's message and answers it. With no room in the queue the speaker comes back.
    pub(crate) fn say(&self, speaker: Speaker, live: Live) -> Result<(), Speaker> {
        self.work
            .try_send(Work::Say(Box::new((speaker, live))))
            .or_else(|error| match error {
                TrySendError::Full(Work::Say(said)) | TrySendError::Disconnected(Work::Say(said)) => {
                    Err(said.0)
                }
                _ => Ok(()),
            })
    }

    /// Takes the group from those who are in it, behind what is still to be delivered. With no room in the queue, here and
    /// now.
    pub(crate) fn dismiss(&self, group: GroupId) {
        if let Err(TrySendError::Full(_)) = self.work.try_send(Work::Dismiss(group))
            && let Some(presence) = self.presence.upgrade()
        {
            fanout::dismiss(&presence, group, 0);
        }
    }
}

struct Thread {
    presence: Arc<PresenceRegistry>,
    permissions: Arc<Permissions>,
    ids: Arc<RecentIds>,
}

impl Thread {
    fn run(&self, work: &Receiver<Work>) {
        while let Ok(work) = work.recv() {
            match work {
                Work::Deliver(log, delivery) => fanout::deliver(&self.presence, &log, &delivery),
                Work::Say(said) => {
                    let (speaker, live) = *said;
                    let passed = self.say(&speaker, &live);
                    speaker.answer(passed.map_or_else(Outcome::Refused, Outcome::PassedOn));
                }
                Work::Dismiss(group) => fanout::dismiss(&self.presence, group, 0),
            }
        }
    }

    fn say(&self, speaker: &Speaker, live: &Live) -> Result<PassedOn, Refusal> {
        let (user, group) = (&speaker.device.user, speaker.group);
        self.permissions
            .may_still_write(live.checked, user, group, live.mention_all)?;
        live.pass_on(&self.ids, self.permissions.now_ms(), |delivery| {
            fanout::deliver(&self.presence, &LogKey::Group(group), delivery);
        })
    }
}
