//! The time and the line of a device.

use std::cell::RefCell;
use std::future::poll_fn;
use std::task::Poll;

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use tim_client::transport::Connector;
use tim_transport_embedded::{Clock, Instant, Transport};

use crate::End;
use crate::simulator::net::{LinkEnd, SharedLine};
use crate::simulator::network::SimulatedConnector;
use crate::simulator::time::Steady;

/// tokio's time, as a device counts it.
#[derive(Debug, Clone, Copy)]
pub(super) struct DeviceClock(pub(super) Steady);

impl Clock for DeviceClock {
    fn now(&self) -> Instant {
        self.0.now()
    }

    async fn wait_until(&self, moment: Instant) {
        tokio::time::sleep_until(self.0.at(moment)).await;
    }
}

/// How a device reaches the hub.
pub(super) enum Way {
    Stream(SimulatedConnector),
    Serial(SharedLine),
}

pub(super) struct DeviceTransport {
    pub(super) way: Way,
    pub(super) link: RefCell<Option<LinkEnd>>,
}

impl Transport for DeviceTransport {
    type Connection<'a> = (Half<'a>, Half<'a>);

    async fn connect(&mut self) -> Option<(Half<'_>, Half<'_>)> {
        let link = match &mut self.way {
            Way::Stream(connector) => connector.connect().await.ok(),
            Way::Serial(line) => Some(self.link.take().unwrap_or_else(|| line.end(End::Device))),
        };
        *self.link.get_mut() = Some(link?);
        Some((Half(&self.link), Half(&self.link)))
    }

    async fn disconnect(&mut self) {
        if let Way::Stream(_) = self.way {
            self.link.take();
        }
    }
}

/// One direction of the device's end.
pub(super) struct Half<'a>(&'a RefCell<Option<LinkEnd>>);

impl ErrorType for Half<'_> {
    type Error = ErrorKind;
}

impl Half<'_> {
    fn with<T>(
        &self,
        act: impl FnOnce(&mut LinkEnd) -> Poll<std::io::Result<T>>,
    ) -> Poll<Result<T, ErrorKind>> {
        match &mut *self.0.borrow_mut() {
            Some(link) => act(link).map_err(|_| ErrorKind::ConnectionReset),
            None => Poll::Ready(Err(ErrorKind::NotConnected)),
        }
    }
}

impl Read for Half<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        poll_fn(|context| self.with(|link| link.poll_receive(context, buffer))).await
    }
}

impl Write for Half<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        poll_fn(|context| self.with(|link| link.poll_send(context, bytes))).await
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}
