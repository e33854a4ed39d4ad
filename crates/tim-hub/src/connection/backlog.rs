//! What waits for a device in the hub's memory, and what happens when too much waits for all of them together.

use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Context;

use tokio::io::{AsyncRead, AsyncWrite};
use tracing::warn;

use super::{Connection, Stage};
use crate::device::Device;
use crate::service::Services;

/// A device whose session is over, while its connection still sends what waits there.
pub(super) struct Leaving {
    services: Arc<Services>,
    device: Arc<Device>,
}

impl Leaving {
    pub(super) fn new(services: &Arc<Services>, device: Arc<Device>) -> Self {
        device.forget_deliveries();
        Self {
            services: Arc::clone(services),
            device,
        }
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        let backlog = &self.services.backlog;
        backlog.report(&self.device, self.device.backlog(), 0);
    }
}

impl<L: AsyncRead + AsyncWrite + Unpin> Connection<L> {
    /// The device that has the bytes which wait here.
    fn debtor(&self) -> Option<&Arc<Device>> {
        match &self.stage {
            Stage::Online(online) => Some(online.device()),
            Stage::Leaving(leaving) => Some(&leaving.device),
            Stage::Anonymous | Stage::LoggingIn(_) => None,
        }
    }

    /// Whether the connection is to break off, to free what waits there.
    pub(super) fn is_cut(&self) -> bool {
        self.debtor().is_some_and(|device| device.is_cut())
    }

    /// Reports how many bytes the connection holds for its client, and sees to it that all together do not hold too many.
    pub(super) fn report_backlog(&mut self, context: &Context<'_>) {
        // The memory, not what is in it: a client that leaves one byte unread keeps all of it.
        let buffered = self.io.session().buffered();
        let held = match &self.stage {
            Stage::Online(online) => online.held_bytes(),
            _ => 0,
        };
        let services = &self.services;
        let Some(device) = self.debtor() else { return };
        let live = {
            let mut mailbox = device.mailbox();
            if matches!(self.stage, Stage::Leaving(_)) {
                mailbox.register(context.waker());
            }
            mailbox.live_bytes() + mailbox.response_bytes()
        };
        services
            .backlog
            .report(device, device.backlog(), buffered + held + live);
        if let Some(excess) = services.backlog.excess(services.steady_ms()) {
            shed(services, excess);
        }
    }
}

/// The devices for which most waits give that up, until so many bytes are free.
fn shed(services: &Services, excess: usize) {
    let debtors = services.backlog.debtors().into_iter();
    let mut devices: Vec<_> = debtors
        .map(|device| (device.backlog().load(Ordering::Relaxed) as usize, device))
        .filter(|(bytes, _)| *bytes > 0)
        .collect();
    devices.sort_unstable_by_key(|(bytes, device)| {
        let login = device.login();
        (
            Reverse(*bytes),
            device.user(),
            device.number(),
            login.session,
            login.attempt,
        )
    });
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
