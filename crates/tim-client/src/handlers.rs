//! Handlers: functions that are called with events, in order.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::bus::{Bus, EventStream};
use crate::event::{Event, EventKind};
use crate::shared::Shared;

/// Identifies a registered handler, to remove it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HandlerId(u64);

type Handler = Arc<dyn Fn(&Event) + Send + Sync>;

/// The handlers of a client. The first one starts a task that reads one stream for all of them.
#[derive(Default)]
pub(crate) struct Handlers(Mutex<Table>);

#[derive(Default)]
struct Table {
    entries: Vec<(HandlerId, EventKind, Handler)>,
    last: u64,
    running: bool,
}

impl std::fmt::Debug for Handlers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handlers")
            .field("count", &self.lock().entries.len())
            .finish()
    }
}

impl Handlers {
    /// Adds a handler. Returns the stream to read for all handlers if it is the first one.
    pub(crate) fn add(
        &self,
        kind: EventKind,
        handler: Handler,
        bus: &Arc<Bus>,
    ) -> (HandlerId, Option<EventStream>) {
        let mut table = self.lock();
        table.last += 1;
        let id = HandlerId(table.last);
        table.entries.push((id, kind, handler));
        let start = !std::mem::replace(&mut table.running, true);
        (id, start.then(|| bus.subscribe()))
    }

    pub(crate) fn remove(&self, id: HandlerId) -> bool {
        let mut table = self.lock();
        let before = table.entries.len();
        table.entries.retain(|entry| entry.0 != id);
        table.entries.len() < before
    }

    fn for_kind(&self, kind: EventKind) -> Vec<Handler> {
        let table = self.lock();
        table
            .entries
            .iter()
            .filter(|entry| entry.1 == kind)
            .map(|entry| entry.2.clone())
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Calls the handlers until the client has ended.
pub(crate) async fn dispatch(shared: Arc<Shared>, mut events: EventStream) {
    while let Some(event) = events.next().await {
        for handler in shared.handlers.for_kind(event.kind()) {
            // A handler that panics must not end the others.
            if catch_unwind(AssertUnwindSafe(|| handler(&event))).is_err() {
                tracing::error!(event = event.name(), "a handler panicked");
            }
        }
    }
}
