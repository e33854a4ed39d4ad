//! What waits for a device in the hub's memory, and what happens when too much waits for all of them together.

use std::cmp::Reverse;
use std::sync::atomic::Ordering;

use tokio::io::{AsyncRead, AsyncWrite};
use tracing::warn;

use super::{Connection, Stage};
use crate::service::Services;

impl<L: AsyncRead + AsyncWrite + Unpin> Connection<L> {
    /// Whether the connection is to break off, to free what waits there.
    pub(super) fn is_cut(&self) -> bool {
        matches!(&self.stage, Stage::Online(online) if online.device().is_cut())
    }

    /// Reports how many bytes the connection holds for its client, and sees to it that all together do not hold too many.
    pub(super) fn report_backlog(&mut self) {
        let session = self.io.session();
        let bytes = session.outgoing().len() + session.received_len();
        let Stage::Online(online) = &self.stage else {
            return;
        };
        let bytes = bytes + online.held_bytes() + online.device().mailbox().live_bytes();
        let services = &self.services;
        services.backlog.report(online.device().backlog(), bytes);
        if let Some(excess) = services.backlog.excess(services.steady_ms()) {
            shed(services, excess);
        }
    }
}

/// The devices for which most waits give that up, until so many bytes are free.
fn shed(services: &Services, excess: usize) {
    let mut devices: Vec<_> = services
        .presence
        .all()
        .into_iter()
        .map(|device| (device.backlog().load(Ordering::Relaxed) as usize, device))
        .filter(|(bytes, _)| *bytes > 0)
        .collect();
    devices.sort_unstable_by_key(|(bytes, device)| (Reverse(*bytes), device.user(), device.number()));
    let mut freed = 0;
    for (bytes, device) in devices {
        if freed >= excess {
            return;
        }
        freed += bytes;
        let (user, number) = (device.user(), device.number());
        if let Some(suppressed) = services.events.shed.take(services.steady_ms()) {
            warn!(%user, device = number, bytes, suppressed, "too much waits for clients; what waits for this one is dropped");
        }
        device.shed();
    }
}
