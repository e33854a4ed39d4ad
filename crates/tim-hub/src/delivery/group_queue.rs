//! Messages on their way into groups, at the pace that a group takes ([`crate::admission::group_limiter`]), and the task that comes back for
//! those that wait.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tim_proto::wire::FrameKind;
use tim_proto::{ErrorCode, Priority};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::admission::group_limiter::{Limiter, Offer};
use crate::delivery::live::Speaker;
use crate::device::Outcome;
use crate::handlers::send::Live;
use crate::refusal::Refusal;
use crate::service::Services;
use crate::store::{Append, LogKey, Write, Written};
use crate::threads::lock;

/// The longest that the task sleeps while somebody waits: the hub's clock need not go like the runtime's.
const MAX_SLEEP_MS: u64 = 20;
/// The longest that it dozes, with nothing to do but to see absent users out some time.
const MAX_DOZE_MS: u64 = 500;

/// A message on its way into a group, and who is to be answered. That one may be gone by then.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) speaker: Speaker,
    pub(crate) way: Way,
}

/// Where it goes.
#[derive(Debug)]
pub(crate) enum Way {
    /// Into the group's log.
    Store(Box<Append>),
    /// To those who are online.
    Live(Live),
}

/// The limiter of all groups.
#[derive(Debug)]
pub(crate) struct GroupQueue {
    per_second: u32,
    limiter: Mutex<Limiter<Sent>>,
    keeping: Mutex<Keeping>,
    /// Ends a doze.
    call: Arc<Notify>,
}

/// Whether a task comes back for what waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeping {
    Nobody,
    Awake,
    Dozing,
}

impl GroupQueue {
    pub(crate) fn new(per_second: u32) -> Self {
        Self {
            per_second,
            limiter: Mutex::new(Limiter::new(per_second)),
            keeping: Mutex::new(Keeping::Nobody),
            call: Arc::default(),
        }
    }
}

impl Services {
    /// A message wants into a group: it goes, it waits for its turn, or it is dropped, or another one for it. Whoever sent
    /// it is told.
    pub(crate) fn offer(self: &Arc<Self>, priority: Priority, sent: Sent) {
        if self.gates.per_second == 0 {
            return self.let_go(sent);
        }
        // What passes is handed on under the lock, which never waits, so that nothing overtakes it.
        let mut limiter = lock(&self.gates.limiter);
        let (dropped, waits) = match limiter.offer(sent.speaker.group, priority, sent, self.steady_ms()) {
            Offer::Pass(sent) => {
                self.let_go(sent);
                (None, false)
            }
            Offer::Waits => (None, true),
            Offer::Displaces(other) => (Some(other), true),
            Offer::Dropped(sent) => (Some(sent), false),
        };
        drop(limiter);
        if let Some(dropped) = dropped {
            self.turn_away(&dropped);
        }
        if waits {
            self.keep_gates();
        }
    }

    /// Whether its sender may still write is checked where it goes.
    fn let_go(&self, sent: Sent) {
        let Sent { speaker, way } = sent;
        let refused = match way {
            Way::Store(append) => {
                let Speaker {
                    device,
                    request,
                    group,
                } = &speaker;
                let (log, write) = (LogKey::Group(*group), Write::Append(*append));
                let submitted = self.submit(device, *request, FrameKind::SEND, Some(log), None, write);
                submitted.map_err(|error| (speaker, Outcome::Store(Err(error))))
            }
            Way::Live(live) => self.live.say(speaker, live).map_err(|speaker| {
                let failed = Refusal::new(ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR, "");
                (speaker, Outcome::Refused(failed))
            }),
        };
        if let Err((speaker, outcome)) = refused {
            speaker.answer(outcome);
        }
    }

    /// Tells the sender of a message that there was no room for it; or, if it is the repetition of one that was stored, that
    /// it was.
    fn turn_away(&self, sent: &Sent) {
        let outcome = match &sent.way {
            Way::Store(append) => {
                let Append {
                    log,
                    sender,
                    id,
                    fingerprint,
                    ..
                } = &**append;
                match self.reader.stored(log, sender, id, *fingerprint) {
                    Ok(Some(first)) => {
                        Some(Outcome::Store(first.map(Written::Duplicate).map_err(Into::into)))
                    }
                    Ok(None) => None,
                    Err(error) => Some(Outcome::Store(Err(error.into()))),
                }
            }
            Way::Live(live) => match live.passed_before(&self.live_ids) {
                Ok(Some(passed)) => Some(Outcome::PassedOn(passed)),
                Ok(None) => None,
                Err(failed) => Some(Outcome::Refused(failed)),
            },
        };
        let full = || {
            let code = ErrorCode::GROUP_SEND_MSG_FREQ_LIMIT;
            let wait_ms = lock(&self.gates.limiter).wait_ms(&sent.speaker.group, self.steady_ms());
            Outcome::Refused(Refusal::too_soon(code, wait_ms, self.no_room()))
        };
        let outcome = outcome.unwrap_or_else(full);
        sent.speaker.answer(outcome);
    }

    fn no_room(&self) -> String {
        format!(
            "not sent: the group takes {} messages a second, and the more urgent ones go first; \
             send it again in a moment, or with a higher priority",
            self.gates.per_second
        )
    }

    /// Sees to it that a task comes back for what waits. To be called after it was made to wait.
    pub(crate) fn keep_gates(self: &Arc<Self>) {
        let mut keeping = lock(&self.gates.keeping);
        match *keeping {
            Keeping::Awake => {}
            Keeping::Dozing => {
                *keeping = Keeping::Awake;
                self.gates.call.notify_one();
            }
            Keeping::Nobody => {
                // Without a runtime nobody is there to hear anything: a connection is dropped when the runtime is.
                if let Ok(runtime) = Handle::try_current() {
                    *keeping = Keeping::Awake;
                    drop(keeping);
                    runtime.spawn(keep(Keeper(Arc::downgrade(self))));
                }
            }
        }
    }

    /// Lets go whose turn it is, and tells the rooms their news; in how many milliseconds to come back, or `None` and the
    /// task ends.
    fn gates_turn(&self) -> Option<u64> {
        let now_ms = self.steady_ms();
        let dropped = {
            let mut limiter = lock(&self.gates.limiter);
            let turn = limiter.turn(now_ms);
            turn.passed.into_iter().for_each(|sent| self.let_go(sent));
            turn.dropped
        };
        dropped.iter().for_each(|sent| self.turn_away(sent));
        self.presence.let_absent_go(now_ms);
        self.tell_rooms(now_ms);
        // Whoever makes something wait from now on finds that nobody comes back for it, or not soon.
        let mut keeping = lock(&self.gates.keeping);
        let next = lock(&self.gates.limiter).next_ms();
        let soon = next.into_iter().chain(self.presence.next_news_ms()).min();
        let sleep = |at: u64, most| at.saturating_sub(now_ms).clamp(1, most);
        let (state, wait_ms) = match (soon, self.presence.next_absent_ms()) {
            (Some(at), _) => (Keeping::Awake, Some(sleep(at, MAX_SLEEP_MS))),
            (None, Some(at)) => (Keeping::Dozing, Some(sleep(at, MAX_DOZE_MS))),
            (None, None) => (Keeping::Nobody, None),
        };
        *keeping = state;
        wait_ms
    }
}

/// However the task ends, another one can be started.
struct Keeper(Weak<Services>);

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Some(hub) = self.0.upgrade() {
            *lock(&hub.gates.keeping) = Keeping::Nobody;
        }
    }
}

async fn keep(mut keeper: Keeper) {
    loop {
        let Some(hub) = keeper.0.upgrade() else { return };
        let Some(wait_ms) = hub.gates_turn() else {
            keeper.0 = Weak::new(); // another one may have been started already
            return;
        };
        // The hub is not held while it sleeps: one that is dropped is gone.
        let call = Arc::clone(&hub.gates.call);
        drop(hub);
        let sleep = tokio::time::sleep(Duration::from_millis(wait_ms));
        tokio::select! {
            () = sleep => {}
            () = call.notified() => {}
        }
    }
}
